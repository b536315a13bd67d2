//! Several arrays in one blob.

use xxhash_rust::xxh3::xxh3_64;

use super::{Array, Codec, DType};
use crate::error::{Error, Result};

/// Arrays one after another, each by its own codec.
///
/// Layout, numbers low byte first: count `u32`; for each array the length of the dtype text `u8` and
/// the text, the number of dimensions `u8` and each as `u64`, the length of the codec name `u8` (0:
/// raw) and the name, the length of the stored bytes `u64` and the bytes; at the end XXH3-64 of all
/// that as `u64`.
pub(crate) fn pack(arrays: &[Array], codec: Codec) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&(arrays.len() as u32).to_le_bytes());
    for array in arrays {
        let dtype = array.dtype().to_string();
        let (name, data) = codec.encode(array);
        let name = name.unwrap_or_default();
        out.push(dtype.len() as u8);
        out.extend_from_slice(dtype.as_bytes());
        out.push(array.shape().len() as u8);
        array.shape().iter().for_each(|n| out.extend_from_slice(&(*n as u64).to_le_bytes()));
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&(data.len() as u64).to_le_bytes());
        out.extend_from_slice(&data);
    }
    let checksum = xxh3_64(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// The arrays of a blob that [`pack`] made.
///
/// # Errors
/// [`Error::Corrupt`] for any other bytes.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Vec<Array>> {
    let body = bytes.len().checked_sub(8).ok_or_else(|| damaged("it is too short"))?;
    let (body, checksum) = bytes.split_at(body);
    if xxh3_64(body).to_le_bytes() != checksum {
        return Err(damaged("the checksum differs from the one it was stored with"));
    }
    let mut rest = Reader(body);
    let count = u32::from_le_bytes(rest.take(4)?.try_into().expect("four bytes"));
    // No allocation by the count: each array takes at least eleven bytes of what is there.
    let mut arrays = Vec::new();
    for _ in 0..count {
        let n = rest.byte()?;
        let dtype: DType = rest.text(n)?.parse()?;
        let dimensions = rest.byte()?;
        let shape = (0..dimensions)
            .map(|_| {
                usize::try_from(rest.number()?).map_err(|_| damaged("a dimension is too large"))
            })
            .collect::<Result<Vec<_>>>()?;
        let n = rest.byte()?;
        let name = rest.text(n)?;
        let size = usize::try_from(rest.number()?).map_err(|_| damaged("a length is too large"))?;
        let data = rest.take(size)?;
        arrays.push(Codec::decode(Some(name).filter(|n| !n.is_empty()), dtype, &shape, data)?);
    }
    if rest.0.is_empty() { Ok(arrays) } else { Err(damaged("bytes are left over")) }
}

fn damaged(why: &str) -> Error {
    Error::Corrupt {
        location: String::new(),
        what: "a blob of packed arrays".into(),
        why: why.into(),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) =
            self.0.split_at_checked(n).ok_or_else(|| damaged("it ends too early"))?;
        self.0 = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<usize> {
        Ok(self.take(1)?[0] as usize)
    }

    fn number(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes")))
    }

    fn text(&mut self, n: usize) -> Result<&'a str> {
        std::str::from_utf8(self.take(n)?).map_err(|_| damaged("a name is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what was packed comes back, and a flipped bit anywhere is seen.
    #[test]
    fn packed_arrays_return_and_damage_is_seen() {
        let arrays = [
            Array::from_slice(&[1i64, 2, 3]),
            Array::from_strs(&["a", "ß"]),
            Array::new(DType::F64, vec![], 1f64.to_le_bytes().to_vec()).unwrap(),
            Array::from_slice::<f32>(&[]),
        ];
        let packed = pack(&arrays, Codec::Auto);
        assert_eq!(unpack(&packed).unwrap(), arrays);
        for bit in 0..packed.len() * 8 {
            let mut bad = packed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(unpack(&bad).is_err(), "bit {bit}");
        }
        assert!((0..packed.len()).all(|n| unpack(&packed[..n]).is_err()));
    }
}
