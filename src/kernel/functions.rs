//! SQL functions of our connections: arrays as a person reads them, values of JSON by exact names, what stores hand in.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, ffi};

use super::attached::schema_of;
use super::guarded::inner;
use super::items::Items;
use super::table_function;
use crate::array::{Array, BLOCK, BlockLocation, Checksum, Codec, byte_size, parse_shape};
use crate::error::{Error, Result};

/// Bytes of an array of which memory is taken without a look at what the connection allows.
const SMALL: usize = 1 << 20;

/// A function of a store: of its arguments alone, and deterministic.
pub(crate) struct ScalarFunction {
    pub(crate) name: &'static str,
    pub(crate) arguments: i32,
    /// Gets the arguments, and the most bytes that a value may have.
    pub(crate) call: fn(&[ValueRef<'_>], usize) -> Result<Value>,
}

/// Adds `silt_items`, `silt_array` and `silt_raw`, each of (dtype, shape, codec, data), `silt_value` of a JSON object and keys,
/// and the functions of the stores.
pub(super) fn register(conn: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("silt_items", 4, flags, |args| {
        let array = array_of(args)?;
        Items::new(&array).json(0, &[array.len()], most_bytes(args)?).map_err(user)
    })?;
    for arguments in [3, 4] {
        conn.create_scalar_function("silt_array", arguments, flags, |args| {
            if args.get_raw(0) == ValueRef::Null || args.get_raw(args.len() - 1) == ValueRef::Null {
                return Ok(None);
            }
            let array = array_of(args)?;
            let json = Items::new(&array).json(0, array.shape(), most_bytes(args)?);
            json.map(Some).map_err(user)
        })?;
    }
    for function in crate::STORES.iter().flat_map(|store| store.scalars) {
        conn.create_scalar_function(function.name, function.arguments, flags, |args| {
            let values: Vec<_> = (0..args.len()).map(|i| args.get_raw(i)).collect();
            (function.call)(&values, most_bytes(args)?).map_err(user)
        })?;
    }
    table_function::register(conn)?;
    super::block_rows::register(conn)?;
    super::row_source::register(conn)?;
    super::row_visitor::register(conn)?;
    super::row_sum::register(conn)?;
    conn.create_scalar_function("silt_value", -1, flags, |args| {
        if args.is_empty() {
            return Err(user(Error::invalid("silt_value", "a JSON object and keys", "nothing")));
        }
        let path = (1..args.len()).map(|i| args.get(i)).collect::<Result<Vec<String>, _>>()?;
        Ok(super::json::sql_value(args.get::<Option<String>>(0)?.as_deref(), &path))
    })?;
    conn.create_scalar_function("silt_raw", 4, flags, |args| Ok(array_of(args)?.data().to_vec()))?;
    Ok(())
}

/// The error of a function, as SQLite takes it.
pub(super) fn user(error: Error) -> rusqlite::Error {
    match error {
        Error::Sqlite { code, why, .. } => {
            rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(why))
        }
        other => rusqlite::Error::UserFunctionError(other.into()),
    }
}

/// The most bytes that a value of the connection may have.
fn most_bytes(args: &Context<'_>) -> rusqlite::Result<usize> {
    // SAFETY: the connection is used in this call and in this thread only.
    let conn = unsafe { args.get_connection()? };
    Ok(usize::try_from(conn.limit(Limit::SQLITE_LIMIT_LENGTH)?).unwrap_or_default())
}

/// The array that dtype, shape, codec, if there is one, and data are.
fn array_of(args: &Context<'_>) -> rusqlite::Result<Array> {
    let (dtype, shape): (String, String) = (args.get(0)?, args.get(1)?);
    let codec: Option<String> = if args.len() == 4 { args.get(2)? } else { None };
    let data = args.get_raw(args.len() - 1).as_blob().unwrap_or_default();
    let (dtype, shape) = (dtype.parse().map_err(user)?, parse_shape(&shape).map_err(user)?);
    // Before memory is taken for what SQLite would not take.
    let size = byte_size(dtype, &shape).unwrap_or_default();
    if size > SMALL && size > most_bytes(args)? {
        let code = ffi::Error::new(ffi::SQLITE_TOOBIG);
        return Err(rusqlite::Error::SqliteFailure(code, None));
    }
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

/// A block of the same file, its checksum compared.
fn block_of(args: &Context<'_>, id: i64) -> rusqlite::Result<Array> {
    // SAFETY: the connection is used in this call and in this thread only.
    let conn = unsafe { args.get_connection()? };
    let table = crate::STORES.iter().find_map(|store| store.array_blocks);
    let table = table.ok_or_else(|| user(Error::invalid("a store", "blocks of arrays", "none")))?;
    let damaged = |why: &str| Error::Corrupt {
        location: String::new(),
        what: format!("row {id} of {table}"),
        why: why.into(),
    };
    let read = |row: &Row<'_>| {
        let (dtype, shape): (String, String) = (row.get(0)?, row.get(1)?);
        let (codec, data): (Option<String>, Vec<u8>) = (row.get(2)?, row.get(3)?);
        let decoded = Codec::decode(codec.as_deref(), dtype.parse()?, &parse_shape(&shape)?, &data);
        let array = decoded.map_err(|error| damaged(&error.to_string()))?;
        let sum = Checksum::of_parts(&dtype, &shape, array.data()).to_bytes();
        match row.get_ref(4)?.as_blob() == Ok(&sum[..]) {
            true => Ok(array),
            false => Err(damaged("the checksum differs from the one it was stored with")),
        }
    };
    let schema = schema_of(&conn, table)?;
    let sql =
        format!("SELECT dtype, shape, codec, data, checksum FROM {schema}.{table} WHERE id = ?1");
    inner(table, || {
        let mut statement = conn.prepare(&sql)?;
        let mut rows = statement.query([id])?;
        match rows.next()? {
            Some(row) => read(row).map_err(user),
            None => Err(user(damaged("it is not there"))),
        }
    })
}
