//! SQL functions of embeddings.

use rusqlite::types::{Value, ValueRef};

use super::search::{cosine, query_of};
use super::vector;
use crate::array::Array;
use crate::error::{Error, Result};
use crate::kernel::{Items, ScalarFunction};

/// The functions of the store.
pub(crate) const SCALARS: &[ScalarFunction] = &[
    ScalarFunction { name: "silt_similarity", arguments: 2, call: similarity },
    ScalarFunction { name: "silt_array", arguments: 1, call: array },
];

/// The cosine of two embeddings; NULL if one is NULL.
fn similarity(values: &[ValueRef<'_>], _: usize) -> Result<Value> {
    let (Some(a), Some(b)) = (numbers(values[0])?, numbers(values[1])?) else {
        return Ok(Value::Null);
    };
    if a.len() != b.len() {
        let (expected, got) = (format!("{} dimensions as the first", a.len()), b.len());
        return Err(Error::invalid(
            "the second argument of silt_similarity",
            expected,
            got.to_string(),
        ));
    }
    Ok(Value::Real(cosine(&a, &b)))
}

/// The numbers of an embedding: the bytes of a payload, or a JSON list.
fn numbers(value: ValueRef<'_>) -> Result<Option<Vec<f64>>> {
    let wrong = |got: String| {
        let expected = "an embedding of a memory, or a JSON list of numbers, as '[0.5, 1]'";
        Error::invalid("an argument of silt_similarity", expected, got)
    };
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Blob(bytes) => match vector::single(bytes) {
            Some(items) => Ok(Some(
                items
                    .chunks_exact(4)
                    .map(|item| f64::from(f32::from_le_bytes(item.try_into().expect("four bytes"))))
                    .collect(),
            )),
            None => query_of(&vector::decode(bytes)?).map(Some),
        },
        ValueRef::Text(text) => {
            let items: Vec<f64> =
                serde_json::from_slice(text).map_err(|error| wrong(format!("a text: {error}")))?;
            query_of(&Array::from_slice(&items)).map(Some)
        }
        ValueRef::Integer(n) => Err(wrong(n.to_string())),
        ValueRef::Real(x) => Err(wrong(x.to_string())),
    }
}

/// The array of a payload, as an embedding is one, as JSON; NULL of NULL.
fn array(values: &[ValueRef<'_>], most: usize) -> Result<Value> {
    match values[0] {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Blob(bytes) => {
            let array = vector::decode(bytes)?;
            Items::new(&array).json(0, array.shape(), most).map(Value::Text)
        }
        _ => {
            let expected = "the bytes of an embedding, or dtype, shape and data";
            Err(Error::invalid("the argument of silt_array", expected, "something else"))
        }
    }
}
