//! The items of an array as SQL values and as JSON.

use rusqlite::types::Value as Sql;
use serde_json::Value as Json;

use crate::array::{Array, DType, Kind, integer, number, text_of_cell};
use crate::error::{Error, Result};

/// An array, item by item.
pub(crate) struct Items {
    /// Low byte first.
    array: Array,
}

impl Items {
    pub(crate) fn new(array: &Array) -> Self {
        Items { array: array.to_little_endian() }
    }

    fn item(&self, i: usize) -> &[u8] {
        let size = self.array.dtype().item_size();
        &self.array.data()[i * size..][..size]
    }

    /// An item as JSON: a number, a text, `true` or `false`, a complex number as `[real, imaginary]`, a time as its count of
    /// units. What JSON has no number for (NaN, infinities, NaT) is `null`.
    fn json_item(&self, i: usize) -> Json {
        let (dtype, bytes) = (self.array.dtype(), self.item(i));
        match dtype.kind() {
            Kind::Bool => Json::from(bytes != [0]),
            Kind::Float => Json::from(number(dtype, bytes)),
            Kind::Complex => {
                let half = dtype.item_size() / 2;
                let float = |bytes| number(DType::of(Kind::Float, half as u32), bytes);
                let (real, imaginary) = bytes.split_at(half);
                Json::from(vec![float(real), float(imaginary)])
            }
            Kind::UInt => Json::from(integer(Kind::UInt, bytes) as u64),
            Kind::Int => Json::from(integer(Kind::Int, bytes)),
            Kind::Str => Json::from(text_of_cell(bytes)),
            Kind::Bytes => {
                let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
                Json::from(String::from_utf8_lossy(&bytes[..end]))
            }
            Kind::DateTime | Kind::TimeDelta => match integer(Kind::Int, bytes) {
                i64::MIN => Json::Null,
                count => Json::from(count),
            },
        }
    }

    /// An item as SQLite has it: an integer beyond 64 bits with sign is a float, a complex number is JSON, NaN and NaT are
    /// NULL.
    pub(crate) fn sql_item(&self, i: usize) -> Sql {
        let (dtype, bytes) = (self.array.dtype(), self.item(i));
        match dtype.kind() {
            Kind::Float => Sql::Real(number(dtype, bytes)),
            Kind::UInt => {
                let n = integer(Kind::UInt, bytes) as u64;
                i64::try_from(n).map_or(Sql::Real(n as f64), Sql::Integer)
            }
            _ => match self.json_item(i) {
                Json::Bool(yes) => Sql::Integer(i64::from(yes)),
                Json::Number(n) => n.as_i64().map_or(Sql::Null, Sql::Integer),
                Json::String(text) => Sql::Text(text),
                Json::Null => Sql::Null,
                nest => Sql::Text(nest.to_string()),
            },
        }
    }

    /// The items from `first` on, in C order, as lists of this shape in JSON, as numpy's `tolist` has them; at most `most`
    /// bytes of it.
    pub(crate) fn json(&self, first: usize, shape: &[usize], most: usize) -> Result<String> {
        let mut out = String::new();
        let mut next = first;
        self.write(&mut next, shape, most, &mut out)?;
        Ok(out)
    }

    fn write(
        &self,
        next: &mut usize,
        shape: &[usize],
        most: usize,
        out: &mut String,
    ) -> Result<()> {
        let Some((n, inner)) = shape.split_first() else {
            out.push_str(&self.json_item(*next).to_string());
            *next += 1;
            return if out.len() > most { Err(too_long(most)) } else { Ok(()) };
        };
        out.push('[');
        for i in 0..*n {
            if i > 0 {
                out.push(',');
            }
            self.write(next, inner, most, out)?;
        }
        out.push(']');
        if out.len() > most { Err(too_long(most)) } else { Ok(()) }
    }
}

fn too_long(most: usize) -> Error {
    Error::invalid("an array as JSON", format!("at most {most} bytes"), "more")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(dtype: &str, shape: &[usize], bytes: &[u8]) -> Array {
        Array::new(dtype.parse().unwrap(), shape.to_vec(), bytes.to_vec()).unwrap()
    }

    /// Goal: an array of any dtype is a JSON list of its items, each exact.
    #[test]
    fn every_dtype_has_a_list() {
        let list = |dtype: &str, bytes: &[u8], n: usize| {
            Items::new(&array(dtype, &[n], bytes)).json(0, &[n], 100).unwrap()
        };
        assert_eq!(list("<f2", &[0x66, 0x2e, 0, 0x40, 0, 0x7e], 3), "[0.0999755859375,2.0,null]");
        assert_eq!(list("<u8", &[0xff; 8], 1), "[18446744073709551615]");
        assert_eq!(list(">i2", &[0xff, 0xfe], 1), "[-2]");
        assert_eq!(list("|b1", &[0, 1], 2), "[false,true]");
        let both = [1.5f64.to_le_bytes(), (-2.0f64).to_le_bytes()].concat();
        assert_eq!(list("<c16", &both, 1), "[[1.5,-2.0]]");
        let times = [7i64.to_le_bytes(), i64::MIN.to_le_bytes()].concat();
        assert_eq!(list("<M8[ns]", &times, 2), "[7,null]");
        assert_eq!(list("<U1", &[b'a', 0, 0, 0], 1), "[\"a\"]");
        assert_eq!(list("|S3", b"a\"\0", 1), "[\"a\\\"\"]");
        assert_eq!(list("<U0", &[], 2), "[\"\",\"\"]");
    }

    /// Goal: the lists have the array's shape, whatever dimension is empty.
    #[test]
    fn lists_have_the_shape() {
        let nested = |shape: &[usize]| {
            let bytes: Vec<u8> = (1..=shape.iter().product::<usize>() as u8).collect();
            Items::new(&array("|u1", shape, &bytes)).json(0, shape, 100).unwrap()
        };
        assert_eq!(nested(&[2, 3]), "[[1,2,3],[4,5,6]]");
        assert_eq!(nested(&[1, 2, 1]), "[[[1],[2]]]");
        assert_eq!(nested(&[]), "1");
        assert_eq!(nested(&[2, 0]), "[[],[]]");
        assert_eq!(nested(&[0, 2]), "[]");
    }

    /// Goal: a few bytes cannot ask for more text than SQLite takes.
    #[test]
    fn a_list_that_is_too_long_is_refused() {
        let zeros = array("|b1", &[1000], &[0; 1000]);
        let error = Items::new(&zeros).json(0, &[1000], 99).unwrap_err();
        assert_eq!(error.to_string(), "an array as JSON: expected at most 99 bytes, got more");
        let empty = array("|u1", &[1000, 0], &[]);
        assert!(Items::new(&empty).json(0, &[1000, 0], 99).is_err());
    }

    /// Goal: SQLite's values are the items.
    #[test]
    fn items_are_sql_values() {
        let item = |dtype: &str, bytes: &[u8]| Items::new(&array(dtype, &[1], bytes)).sql_item(0);
        assert_eq!(item("|b1", &[1]), Sql::Integer(1));
        assert_eq!(item("<i2", &[0xfe, 0xff]), Sql::Integer(-2));
        assert_eq!(item("<u8", &[0xff; 8]), Sql::Real(u64::MAX as f64));
        assert_eq!(item("<f4", &1.5f32.to_le_bytes()), Sql::Real(1.5));
        assert_eq!(item("<m8[s]", &i64::MIN.to_le_bytes()), Sql::Null);
        assert_eq!(item("|S2", b"a\0"), Sql::Text("a".into()));
        let both = [1.5f32.to_le_bytes(), 2.0f32.to_le_bytes()].concat();
        assert_eq!(item("<c8", &both), Sql::Text("[1.5,2.0]".into()));
    }
}
