//! The content hash, which is also the checksum.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use super::Array;
use crate::error::{Error, Result};

/// The content hash of an array: 16 bytes that name it and guard it.
///
/// XXH3-128 of the raw C-ordered bytes, seeded with XXH3-64 of the text
/// `dtype` + `shape as JSON` (`<f8[1000]`), stored high byte first. Two arrays of one hash are one
/// array.
///
/// # Source
/// XXH3 as in xxHash 0.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum(u128);

impl Checksum {
    /// The hash of an array.
    pub fn of(array: &Array) -> Self {
        Self::of_parts(&array.dtype().to_string(), &shape_json(array.shape()), array.data())
    }

    /// The hash from the texts of the columns `dtype` and `shape` and the raw bytes.
    pub(crate) fn of_parts(dtype: &str, shape: &str, data: &[u8]) -> Self {
        let mut header = [0u8; 64];
        let n = dtype.len() + shape.len();
        let seed = if n <= header.len() {
            header[..dtype.len()].copy_from_slice(dtype.as_bytes());
            header[dtype.len()..n].copy_from_slice(shape.as_bytes());
            xxh3_64(&header[..n])
        } else {
            xxh3_64(format!("{dtype}{shape}").as_bytes())
        };
        Checksum(xxh3_128_with_seed(data, seed))
    }

    /// The 16 bytes as they are stored.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The hash from its stored bytes; `None` if there are not 16.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Checksum(u128::from_be_bytes(bytes)))
    }
}

/// The column `shape`: a JSON list of the dimensions, as `[100, 5]`.
pub(crate) fn shape_json(shape: &[usize]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(2 + 8 * shape.len());
    text.push('[');
    for (i, n) in shape.iter().enumerate() {
        let gap = if i == 0 { "" } else { ", " };
        write!(text, "{gap}{n}").expect("a String takes any text");
    }
    text.push(']');
    text
}

/// The dimensions of a column `shape`.
pub(crate) fn parse_shape(text: &str) -> Result<Vec<usize>> {
    let invalid =
        || Error::invalid("shape", "a JSON list of dimensions, as [100, 5]", format!("{text:?}"));
    let inner =
        text.trim().strip_prefix('[').and_then(|t| t.strip_suffix(']')).ok_or_else(invalid)?;
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    inner.split(',').map(|n| n.trim().parse().map_err(|_| invalid())).collect()
}
