//! SQL functions of our connections: arrays as a person reads them, values of JSON by exact names.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

use crate::array::{
    Array, BLOCK, BlockLocation, Codec, DType, Kind, byte_size, integer, number, parse_shape,
};
use crate::error::{Error, Result};

/// Adds `silt_items` and `silt_raw`, each of (dtype, shape, codec, data), and `silt_value` of a JSON object and keys.
pub(super) fn register(conn: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("silt_items", 4, flags, |args| {
        let array = array_of(args)?;
        Ok(items_json(&array))
    })?;
    super::block_rows::register(conn)?;
    super::row_source::register(conn)?;
    super::row_visitor::register(conn)?;
    super::row_sum::register(conn)?;
    conn.create_scalar_function("silt_value", -1, flags, |args| {
        let path = (1..args.len()).map(|i| args.get(i)).collect::<Result<Vec<String>, _>>()?;
        Ok(super::json::sql_value(args.get::<Option<String>>(0)?.as_deref(), &path))
    })?;
    conn.create_scalar_function("silt_raw", 4, flags, |args| Ok(array_of(args)?.data().to_vec()))?;
    Ok(())
}

fn array_of(args: &Context<'_>) -> rusqlite::Result<Array> {
    let user = |error: crate::Error| rusqlite::Error::UserFunctionError(error.into());
    let (dtype, shape): (String, String) = (args.get(0)?, args.get(1)?);
    let codec: Option<String> = args.get(2)?;
    let data = args.get_raw(3).as_blob().unwrap_or_default();
    let (dtype, shape) = (dtype.parse().map_err(user)?, parse_shape(&shape).map_err(user)?);
    if codec.as_deref() != Some(BLOCK) {
        return Codec::decode(codec.as_deref(), dtype, &shape, data).map_err(user);
    }
    let invalid =
        || user(Error::invalid("data", "the location of an array in a block", "something else"));
    let location = BlockLocation::from_bytes(data).ok_or_else(invalid)?;
    let block = block_of(args, location.block)?;
    let from = usize::try_from(location.offset).map_err(|_| invalid())?;
    let to =
        byte_size(dtype, &shape).and_then(|size| from.checked_add(size)).ok_or_else(invalid)?;
    let bytes = block.data().get(from..to).ok_or_else(invalid)?;
    Array::new(dtype, shape, bytes.to_vec()).map_err(user)
}

/// A block of the same file.
fn block_of(args: &Context<'_>, id: i64) -> rusqlite::Result<Array> {
    let user = |error: crate::Error| rusqlite::Error::UserFunctionError(error.into());
    // SAFETY: the connection is used in this call and in this thread only.
    let conn = unsafe { args.get_connection()? };
    let table = crate::STORES.iter().find_map(|store| store.array_blocks);
    let table = table.ok_or_else(|| user(Error::invalid("a store", "blocks of arrays", "none")))?;
    let sql = format!("SELECT dtype, shape, codec, data FROM main.{table} WHERE id = ?1");
    conn.query_row(&sql, [id], |row| {
        let (dtype, shape): (String, String) = (row.get(0)?, row.get(1)?);
        let (codec, data): (Option<String>, Vec<u8>) = (row.get(2)?, row.get(3)?);
        let (dtype, shape) = (dtype.parse().map_err(user)?, parse_shape(&shape).map_err(user)?);
        Codec::decode(codec.as_deref(), dtype, &shape, &data).map_err(user)
    })
}

/// The items in C order as one flat JSON list: numbers, texts, `true` and `false`, a complex number as
/// `[real, imaginary]`, times as their count of units. What JSON has no number for (NaN, infinities, NaT)
/// is `null`.
fn items_json(array: &Array) -> String {
    use serde_json::Value;
    if let Some(items) = array.to_strings() {
        return Value::from(items).to_string();
    }
    let plain = array.to_little_endian();
    let (dtype, size) = (plain.dtype(), plain.dtype().item_size());
    let float = |size: usize, bytes: &[u8]| number(DType::of(Kind::Float, size as u32), bytes);
    let item = |bytes: &[u8]| -> Value {
        match dtype.kind() {
            Kind::Bool => Value::from(bytes != [0]),
            Kind::Float => Value::from(number(dtype, bytes)),
            Kind::Complex => {
                let (real, imaginary) = bytes.split_at(size / 2);
                Value::from(vec![float(size / 2, real), float(size / 2, imaginary)])
            }
            Kind::UInt => Value::from(integer(Kind::UInt, bytes) as u64),
            Kind::Int => Value::from(integer(Kind::Int, bytes)),
            _ => match integer(Kind::Int, bytes) {
                i64::MIN => Value::Null,
                count => Value::from(count),
            },
        }
    };
    Value::Array(plain.data().chunks_exact(size.max(1)).map(item).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an array of any dtype is a JSON list of its items, each exact.
    #[test]
    fn every_dtype_has_a_list() {
        let list = |dtype: &str, bytes: &[u8], n: usize| {
            items_json(&Array::new(dtype.parse().unwrap(), vec![n], bytes.to_vec()).unwrap())
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
    }
}
