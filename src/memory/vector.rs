//! Embeddings: arrays of numbers. Those of one dimension are vectors, which a search compares.

use super::payload::Payload;
use crate::array::{Array, Kind, number};
use crate::error::{Error, Result};

/// Checks an embedding, and encodes it.
pub(super) fn encode(what: &str, vector: Array) -> Result<Vec<u8>> {
    Array::check_stored(what, vector.data().len())?;
    check(what, &vector)?;
    Payload::Array(vector).encode()
}

/// Whether an array can be the vector of a search.
pub(super) fn check_query(what: &str, vector: &Array) -> Result<()> {
    check(what, vector)?;
    match vector.shape().len() {
        1 => Ok(()),
        _ => Err(Error::invalid(what, "an array of one dimension", shown(vector))),
    }
}

fn shown(vector: &Array) -> String {
    format!("{} of shape {:?}", vector.dtype(), vector.shape())
}

/// Whether an array can be an embedding: one dimension or more, at least one item, real numbers, all finite.
pub(super) fn check(what: &str, vector: &Array) -> Result<()> {
    let real = matches!(vector.dtype().kind(), Kind::Int | Kind::UInt | Kind::Float);
    if vector.shape().is_empty() || vector.is_empty() || !real {
        let expected = "an array of real numbers, of one dimension or more, not empty";
        return Err(Error::invalid(what, expected, shown(vector)));
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

/// The array that a payload is as an embedding: an array, or lists of numbers, as numpy takes them.
pub(super) fn of_payload(payload: Payload) -> Option<Array> {
    if let Payload::Array(array) = payload {
        return Some(array);
    }
    let (mut shape, mut items) = (Vec::new(), Vec::new());
    gather(&payload, 0, &mut shape, &mut items)?;
    let whole: Option<Vec<i64>> = items.iter().map(|(_, whole)| *whole).collect();
    let flat = match whole {
        Some(whole) => Array::from_slice(&whole),
        None => Array::from_slice(&items.iter().map(|(x, _)| *x).collect::<Vec<f64>>()),
    };
    Array::new(flat.dtype(), shape, flat.data().to_vec()).ok()
}

/// The numbers of lists in lists, each also as an integer if it is one. All lists of a level have one length.
fn gather(
    payload: &Payload,
    level: usize,
    shape: &mut Vec<usize>,
    items: &mut Vec<(f64, Option<i64>)>,
) -> Option<()> {
    match payload {
        Payload::List(list) | Payload::Tuple(list) => {
            match shape.get(level) {
                None if items.is_empty() && shape.len() == level => shape.push(list.len()),
                Some(n) if *n == list.len() => {}
                _ => return None,
            }
            list.iter().try_for_each(|item| gather(item, level + 1, shape, items))
        }
        Payload::Int(n) if level > 0 && level == shape.len() => {
            items.push((*n as f64, Some(*n)));
            Some(())
        }
        Payload::Float(x) if level > 0 && level == shape.len() => {
            items.push((*x, None));
            Some(())
        }
        _ => None,
    }
}

/// The embedding that a row has.
pub(super) fn decode(bytes: &[u8]) -> Result<Array> {
    match Payload::decode(bytes.to_vec())? {
        Payload::Array(array) => Ok(array),
        _ => Err(Error::Corrupt {
            location: String::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: lists of numbers are the arrays that numpy makes of them, and nothing else is one.
    #[test]
    fn lists_of_numbers_are_arrays() {
        let list = |items: Vec<Payload>| Payload::List(items);
        let array = of_payload(list(vec![1.into(), 2.into()])).unwrap();
        assert_eq!((array.shape(), array.to_vec::<i64>()), (&[2][..], Some(vec![1, 2])));
        let array = of_payload(list(vec![1.into(), 0.5.into()])).unwrap();
        assert_eq!((array.shape(), array.to_vec::<f64>()), (&[2][..], Some(vec![1.0, 0.5])));
        let row = |a: f64, b: f64| Payload::Tuple(vec![a.into(), b.into()]);
        let array = of_payload(list(vec![row(1.0, 2.0), row(3.0, 4.0)])).unwrap();
        assert_eq!(array.shape(), [2, 2]);
        assert_eq!(array.to_vec::<f64>(), Some(vec![1.0, 2.0, 3.0, 4.0]));
        let odd = [
            list(vec![row(1.0, 2.0), 3.0.into()]),
            list(vec![3.0.into(), row(1.0, 2.0)]),
            list(vec![row(1.0, 2.0), list(vec![1.0.into()])]),
            list(vec!["a".into()]),
            list(vec![true.into()]),
            1.0.into(),
            Payload::Nothing,
        ];
        for payload in odd {
            assert_eq!(of_payload(payload.clone()), None, "{payload:?}");
        }
    }
}
