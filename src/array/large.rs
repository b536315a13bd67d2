//! Memory of large arrays.

use std::collections::TryReserveError;

/// Makes room for so many more items. Linux is told to give much of it in large pages: to be given those of 4 KiB one by one takes
/// longer than to fill them.
pub(crate) fn reserve<T>(items: &mut Vec<T>, n: usize) -> Result<(), TryReserveError> {
    items.try_reserve_exact(n)?;
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4 << 10;
        const LEAST: usize = 4 << 20;
        let memory = items.spare_capacity_mut();
        let offset = memory.as_ptr().addr().wrapping_neg() % PAGE;
        let size = size_of_val(memory).saturating_sub(offset) / PAGE * PAGE;
        if size >= LEAST {
            // SAFETY: The pages lie within memory that this vector has and does not use, and the advice changes no byte of them.
            // Where it is not taken, the pages are small.
            unsafe {
                let first = memory.as_mut_ptr().byte_add(offset);
                libc::madvise(first.cast(), size, libc::MADV_HUGEPAGE);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: items stay what they are, little and much room is there, and too much is an error.
    #[test]
    fn room_is_made_behind_the_items() {
        let mut items = vec![7_u16; 3];
        for n in [0, 1, 10_000, 5 << 20] {
            reserve(&mut items, n).unwrap();
            assert!(items.capacity() - items.len() >= n);
            items.extend(std::iter::repeat_n(1, n.min(5)));
        }
        items.resize(5 << 20, 9);
        assert_eq!((&items[..4], items[items.len() - 1]), (&[7, 7, 7, 1][..], 9));
        assert!(reserve(&mut items, usize::MAX / 2).is_err());
    }
}
