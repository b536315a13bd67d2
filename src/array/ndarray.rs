//! The array itself.

use std::borrow::Cow;

use bytes::Bytes;

use super::{DType, Element, Kind};
use crate::error::{Error, Result};

/// A typed n-dimensional array: dtype, shape and C-ordered bytes. Cloning shares the bytes.
///
/// Zero dimensions are a scalar, and any dimension may be zero.
#[derive(Clone, PartialEq, Eq)]
pub struct Array {
    dtype: DType,
    shape: Vec<usize>,
    data: Bytes,
}

impl std::fmt::Debug for Array {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Array({}, {:?}, {} bytes)", self.dtype, self.shape, self.data.len())
    }
}

impl Array {
    /// The most dimensions that an array may have, numpy's own limit.
    pub const MAX_DIMENSIONS: usize = 64;

    /// The most bytes of an array that is stored as one value: SQLite's 10^9 of a row, less room for the names beside it.
    /// However well it would pack: what packs well today may not tomorrow.
    pub const MAX_STORED_BYTES: usize = 1_000_000_000 - (64 << 10);

    /// Refuses a size that cannot be stored as one value. `what` is named in the error.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`MAX_STORED_BYTES`](Self::MAX_STORED_BYTES).
    pub fn check_stored(what: impl std::fmt::Display, bytes: usize) -> Result<()> {
        if bytes <= Self::MAX_STORED_BYTES {
            return Ok(());
        }
        let most = Self::MAX_STORED_BYTES;
        let expected = format!("at most {most} bytes, as SQLite has one value; store it in parts");
        Err(Error::invalid(what.to_string(), expected, format!("{bytes} bytes")))
    }

    /// An array from its parts.
    ///
    /// - `data`: the items in C order, in the byte order of `dtype`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `data` has not exactly the bytes that dtype and shape ask for.
    pub fn new(dtype: DType, shape: Vec<usize>, data: impl Into<Bytes>) -> Result<Self> {
        let data = data.into();
        let size = byte_size(dtype, &shape).ok_or_else(|| {
            Error::invalid("shape", "a size that fits into memory", format!("{shape:?}"))
        })?;
        if shape.len() > Self::MAX_DIMENSIONS {
            return Err(Error::invalid("shape", "at most 64 dimensions", shape.len().to_string()));
        }
        if size != data.len() {
            return Err(Error::invalid(
                "array",
                format!("{size} bytes for dtype {dtype} and shape {shape:?}"),
                format!("{} bytes", data.len()),
            ));
        }
        Ok(Array { dtype, shape, data })
    }

    /// A one-dimensional array of Rust numbers.
    pub fn from_slice<T: Element>(items: &[T]) -> Self {
        let mut data = Vec::new();
        T::write_le(items, &mut data);
        Array { dtype: T::DTYPE, shape: vec![items.len()], data: data.into() }
    }

    /// A one-dimensional array of text, as wide as its longest item (at least one character).
    pub fn from_strs<S: AsRef<str>>(items: &[S]) -> Self {
        let width = items.iter().map(|s| s.as_ref().chars().count()).max().unwrap_or(0).max(1);
        let mut data = vec![0; items.len() * width * 4];
        for (cell, item) in data.chunks_exact_mut(width * 4).zip(items) {
            for (slot, c) in cell.chunks_exact_mut(4).zip(item.as_ref().chars()) {
                slot.copy_from_slice(&(c as u32).to_le_bytes());
            }
        }
        Array { dtype: DType::text(width), shape: vec![items.len()], data: data.into() }
    }

    /// The same items under another shape.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the number of items differs.
    pub fn reshape(self, shape: Vec<usize>) -> Result<Self> {
        Array::new(self.dtype, shape, self.data)
    }

    /// The dtype.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The items' bytes in C order, in the byte order of the dtype.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The bytes, without a copy when this was the only owner.
    pub fn into_data(self) -> Bytes {
        self.data
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The length of the first dimension; 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Bytes per row.
    pub fn row_size(&self) -> usize {
        self.shape.iter().skip(1).product::<usize>() * self.dtype.item_size()
    }

    /// The same numbers with the low byte first; without a copy if they are so already.
    pub fn to_little_endian(&self) -> Self {
        if !self.dtype.is_big_endian() {
            return self.clone();
        }
        let mut data = self.data.to_vec();
        data.chunks_exact_mut(self.dtype.swap_size()).for_each(<[u8]>::reverse);
        Array { dtype: self.dtype.to_little_endian(), shape: self.shape.clone(), data: data.into() }
    }

    /// The items as Rust numbers, whatever the byte order; `None` if the dtype is another one.
    pub fn to_vec<T: Element>(&self) -> Option<Vec<T>> {
        if self.dtype.to_little_endian() != T::DTYPE {
            return None;
        }
        let plain = self.to_little_endian();
        Some(plain.data.chunks_exact(T::DTYPE.item_size()).map(T::read_le).collect())
    }

    /// The items of any integer dtype as `i64`; `None` for another kind or a value beyond `i64`.
    pub fn to_i64s(&self) -> Option<Vec<i64>> {
        if self.dtype == DType::I64 {
            return self.to_vec();
        }
        let plain = self.to_little_endian();
        let signed = match plain.dtype.kind() {
            Kind::Int => true,
            Kind::UInt | Kind::Bool => false,
            _ => return None,
        };
        let size = plain.dtype.item_size();
        let wide = |bytes: &[u8]| {
            let fill = if signed && bytes[size - 1] & 0x80 != 0 { 0xff } else { 0 };
            let mut buffer = [fill; 8];
            buffer[..size].copy_from_slice(bytes);
            let value = i64::from_le_bytes(buffer);
            (signed || size < 8 || value >= 0).then_some(value)
        };
        plain.data.chunks_exact(size).map(wide).collect()
    }

    /// The items of a text or bytes dtype without their padding; `None` for another dtype.
    ///
    /// A code point that is no character becomes U+FFFD, and so does a byte that is not UTF-8.
    pub fn to_strings(&self) -> Option<Vec<String>> {
        let plain = self.to_little_endian();
        let size = plain.dtype.item_size();
        if !matches!(plain.dtype.kind(), Kind::Str | Kind::Bytes) {
            return None;
        }
        if size == 0 {
            return Some(vec![String::new(); self.len()]);
        }
        let text = |cell: &[u8]| match plain.dtype.kind() {
            Kind::Str => text_of_cell(cell),
            _ => {
                let end = cell.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
                match String::from_utf8_lossy(&cell[..end]) {
                    Cow::Borrowed(text) => text.to_owned(),
                    Cow::Owned(text) => text,
                }
            }
        };
        Some(plain.data.chunks_exact(size).map(text).collect())
    }
}

/// One UCS-4 cell, low byte first, without its NUL padding.
pub(crate) fn text_of_cell(cell: &[u8]) -> String {
    let code = |b: &[u8]| u32::from_le_bytes(b.try_into().expect("four bytes"));
    let end = cell.chunks_exact(4).rposition(|b| code(b) != 0).map_or(0, |i| i + 1);
    cell.chunks_exact(4)
        .take(end)
        .map(|b| char::from_u32(code(b)).unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// The most items, or rows, that an array without bytes may claim.
const MOST_EMPTY: usize = 1 << 20;

/// Bytes of an array; `None` if the product leaves `isize`, or if there are no bytes and the product of
/// the dimensions that are not zero is more than [`MOST_EMPTY`]: nothing in a file would answer for it.
pub(crate) fn byte_size(dtype: DType, shape: &[usize]) -> Option<usize> {
    // A zero anywhere makes the array empty, but numpy bounds the product of the others too.
    let mut lengths = shape.iter().filter(|n| **n > 0);
    lengths
        .try_fold(dtype.item_size().max(1), |size, n| size.checked_mul(*n))
        .filter(|size| *size <= isize::MAX as usize)?;
    let size = shape.iter().product::<usize>() * dtype.item_size();
    let claimed = shape.iter().filter(|n| **n > 0).product::<usize>();
    (size > 0 || claimed <= MOST_EMPTY).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: scalars, empty arrays and text keep their shape and items.
    #[test]
    fn shapes_and_text_survive() {
        let scalar = Array::new(DType::F64, vec![], 1.5f64.to_le_bytes().to_vec()).unwrap();
        assert_eq!((scalar.rows(), scalar.len(), scalar.to_vec()), (1, 1, Some(vec![1.5f64])));
        let empty = Array::new(DType::F64, vec![0, 7], vec![]).unwrap();
        assert_eq!((empty.len(), empty.row_size()), (0, 56));
        let words = ["Zürich", "", "🚰\n"];
        assert_eq!(Array::from_strs(&words).to_strings().unwrap(), words);
        let bytes = Array::new("|S3".parse().unwrap(), vec![2], b"ab\0\0\0c".to_vec()).unwrap();
        assert_eq!(bytes.to_strings().unwrap(), ["ab", "\0\0c"]);
    }

    /// Goal: the byte order is kept in the bytes and undone in the numbers.
    #[test]
    fn big_endian_reads_as_the_same_numbers() {
        let data = [1i32, -2, i32::MIN].iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<_>>();
        let array = Array::new(">i4".parse().unwrap(), vec![3], data.clone()).unwrap();
        assert_eq!(array.data(), data);
        assert_eq!(array.to_i64s().unwrap(), [1, -2, i64::from(i32::MIN)]);
        assert_eq!(array.to_vec::<i32>().unwrap(), [1, -2, i32::MIN]);
        let wide = Array::from_slice(&[u64::MAX]);
        assert!(wide.to_i64s().is_none());
    }

    /// Goal: a shape from a hostile file cannot overflow or promise bytes that are not there.
    #[test]
    fn wild_shapes_are_refused() {
        assert!(Array::new(DType::F64, vec![usize::MAX, 2], vec![]).is_err());
        assert!(Array::new(DType::F64, vec![usize::MAX, 0, 16], vec![]).is_err());
        assert!(Array::new(DType::F64, vec![3], vec![0; 23]).is_err());
        assert!(Array::new(DType::U8, vec![1; 65], vec![0]).is_err());
        for (dtype, shape) in [
            ("<f8", vec![0, 100_000_000_000]),
            ("<f8", vec![1_000_000_000_000, 0]),
            ("|S0", vec![3, 100_000_000_000]),
            ("<U0", vec![1_000_000_000_000]),
        ] {
            let claimed = Array::new(dtype.parse().unwrap(), shape, vec![]);
            assert!(claimed.is_err(), "no byte answers for {claimed:?}");
        }
    }
}
