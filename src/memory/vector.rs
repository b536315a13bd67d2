//! Embeddings: one-dimensional arrays of numbers.

use super::payload::Payload;
use crate::array::{Array, Kind, number};
use crate::error::{Error, Result};

/// Checks an embedding, and encodes it.
pub(super) fn encode(what: &str, vector: Array) -> Result<Vec<u8>> {
    Array::check_stored(what, vector.data().len())?;
    check(what, &vector)?;
    Payload::Array(vector).encode()
}

/// Whether an array can be an embedding: one dimension, at least one item, real numbers, all finite.
pub(super) fn check(what: &str, vector: &Array) -> Result<()> {
    let got = || format!("{} of shape {:?}", vector.dtype(), vector.shape());
    let real = matches!(vector.dtype().kind(), Kind::Int | Kind::UInt | Kind::Float);
    if vector.shape().len() != 1 || vector.is_empty() || !real {
        return Err(Error::invalid(what, "a one-dimensional array of real numbers", got()));
    }
    let at = numbers(vector).iter().position(|x| !x.is_finite());
    match at {
        Some(at) => {
            let got = format!("{} at position {at}", numbers(vector)[at]);
            Err(Error::invalid(what, "finite numbers", got))
        }
        None => Ok(()),
    }
}

/// The length of a vector, whatever the size of its numbers.
pub(super) fn length(vector: &[f64]) -> f64 {
    let largest = vector.iter().fold(0f64, |largest, x| largest.max(x.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    largest * vector.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt()
}

/// The items of an array of real numbers.
pub(super) fn numbers(vector: &Array) -> Vec<f64> {
    if let Some(items) = vector.to_vec::<f64>() {
        return items;
    }
    if let Some(items) = vector.to_vec::<f32>() {
        return items.into_iter().map(f64::from).collect();
    }
    let plain = vector.to_little_endian();
    let dtype = plain.dtype();
    plain.data().chunks_exact(dtype.item_size()).map(|bytes| number(dtype, bytes)).collect()
}

/// The embedding that a row has.
pub(super) fn decode(bytes: &[u8]) -> Result<Array> {
    match Payload::decode(bytes.to_vec())? {
        Payload::Array(array) => Ok(array),
        _ => Err(Error::Corrupt {
            place: String::new(),
            what: "an embedding".into(),
            why: "it is no array".into(),
        }),
    }
}

/// The items of an embedding in single precision, low byte first, where they lie; `None` for any other embedding and for
/// bytes that are damaged.
pub(super) fn single(bytes: &[u8]) -> Option<&[u8]> {
    match super::payload::sound_body(bytes)? {
        [10, 3, b'<', b'f', b'4', 1, rest @ ..] => {
            let (n, items) = rest.split_first_chunk::<8>()?;
            let whole = u64::from_le_bytes(*n).checked_mul(4) == Some(items.len() as u64);
            (whole && !items.is_empty()).then_some(items)
        }
        _ => None,
    }
}
