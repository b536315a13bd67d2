//! The byte shuffle: the bytes of equal rank stand together, since those of numbers are alike.

use super::form::reserve;
use crate::array::{DType, Kind};

/// The widest item that is shuffled.
pub(super) const MAX_WIDTH: usize = 16;

/// The bytes that are shuffled as one item: a number, a complex, a UCS-4 character; 1 for none.
pub(super) fn width(dtype: DType) -> usize {
    match dtype.kind() {
        Kind::Bytes => 1,
        Kind::Str => 4,
        _ => dtype.item_size(),
    }
}

/// Byte 0 of each item, then byte 1 of each, to the last. `items` is a whole number of items.
pub(in crate::array) fn shuffle(items: &[u8], width: usize) -> Vec<u8> {
    let mut planes = vec![0; items.len()];
    match width {
        2 => to_planes::<2>(items, &mut planes),
        4 => to_planes::<4>(items, &mut planes),
        8 => to_planes::<8>(items, &mut planes),
        16 => to_planes::<16>(items, &mut planes),
        _ => unreachable!("a dtype of {width} bytes is not shuffled"),
    }
    planes
}

/// The inverse of [`shuffle`].
pub(in crate::array) fn unshuffle(planes: &[u8], width: usize) -> Result<Vec<u8>, String> {
    let mut items = reserve(planes.len())?;
    items.resize(planes.len(), 0);
    match width {
        2 => to_items::<2>(planes, &mut items),
        4 => to_items::<4>(planes, &mut items),
        8 => to_items::<8>(planes, &mut items),
        16 => to_items::<16>(planes, &mut items),
        _ => unreachable!("a dtype of {width} bytes is not shuffled"),
    }
    Ok(items)
}

// The width is a constant so that the compiler unrolls and drops the bounds checks.
fn to_planes<const WIDTH: usize>(items: &[u8], planes: &mut [u8]) {
    let (items, _) = items.as_chunks::<WIDTH>();
    for (rank, plane) in planes.chunks_exact_mut(items.len().max(1)).enumerate() {
        for (slot, item) in plane.iter_mut().zip(items) {
            *slot = item[rank];
        }
    }
}

fn to_items<const WIDTH: usize>(planes: &[u8], items: &mut [u8]) {
    let (items, _) = items.as_chunks_mut::<WIDTH>();
    for (rank, plane) in planes.chunks_exact(items.len().max(1)).enumerate() {
        for (item, byte) in items.iter_mut().zip(plane) {
            item[rank] = *byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the layout is the documented one, so that other programs can undo it.
    #[test]
    fn bytes_of_equal_rank_stand_together() {
        let items = [0x0102u16, 0x0304, 0x0506].map(u16::to_le_bytes).concat();
        let planes = shuffle(&items, 2);
        assert_eq!(planes, [2, 4, 6, 1, 3, 5]);
        assert_eq!(unshuffle(&planes, 2).unwrap(), items);
    }

    /// Goal: every width that a dtype has is shuffled and comes back.
    #[test]
    fn every_width_comes_back() {
        for text in ["<f2", ">i4", "<f8", "<c8", "<c16", "<U7", "<M8[ns]"] {
            let width = width(text.parse().unwrap());
            for n in [0, 1, 5, 300] {
                let items = (0..n * width).map(|i| (i * 7) as u8).collect::<Vec<_>>();
                assert_eq!(unshuffle(&shuffle(&items, width), width).unwrap(), items, "{text}");
            }
        }
    }
}
