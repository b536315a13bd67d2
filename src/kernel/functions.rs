//! SQL functions of our connections: arrays as a person reads them.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

use crate::array::{Array, BLOCK, Codec, Place, byte_size, parse_shape};
use crate::error::{Error, Result};

/// Adds `silt_items` and `silt_raw`, each of (dtype, shape, codec, data).
pub(super) fn register(conn: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("silt_items", 4, flags, |args| {
        let array = array_of(args)?;
        Ok(items_json(&array))
    })?;
    super::block_rows::register(conn)?;
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
        || user(Error::invalid("data", "the place of an array in a block", "something else"));
    let place = Place::from_bytes(data).ok_or_else(invalid)?;
    let block = block_of(args, place.block)?;
    let from = usize::try_from(place.offset).map_err(|_| invalid())?;
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
    let sql = "SELECT dtype, shape, codec, data FROM array_block WHERE id = ?1";
    conn.query_row(sql, [id], |row| {
        let (dtype, shape): (String, String) = (row.get(0)?, row.get(1)?);
        let (codec, data): (Option<String>, Vec<u8>) = (row.get(2)?, row.get(3)?);
        let (dtype, shape) = (dtype.parse().map_err(user)?, parse_shape(&shape).map_err(user)?);
        Codec::decode(codec.as_deref(), dtype, &shape, &data).map_err(user)
    })
}

/// The items in C order as one flat JSON list; a dtype that is neither number nor text as hex.
fn items_json(array: &Array) -> String {
    use serde_json::Value;
    let numbers = || -> Option<Vec<Value>> {
        if let Some(items) = array.to_strings() {
            return Some(items.into_iter().map(Value::from).collect());
        }
        if let Some(items) = array.to_i64s() {
            return Some(items.into_iter().map(Value::from).collect());
        }
        if let Some(items) = array.to_vec::<f32>() {
            return Some(items.into_iter().map(Value::from).collect());
        }
        Some(array.to_vec::<f64>()?.into_iter().map(Value::from).collect())
    };
    match numbers() {
        Some(items) => Value::Array(items).to_string(),
        None => {
            let hex: String = array.data().iter().map(|b| format!("{b:02x}")).collect();
            Value::String(hex).to_string()
        }
    }
}
