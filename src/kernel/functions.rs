//! SQL functions of our connections: arrays as a person reads them, values of JSON by exact names, what stores hand in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, ffi};

use super::attached::schema_of;
use super::guarded::inner;
use super::items::Items;
use super::table_function;
use super::tx::ReadTx;
use crate::array::{Array, BLOCK, Codec, array_in_block, byte_size, parse_shape, unpack_arrays};
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
    let last = Arc::<LastBlocks>::default();
    let known = last.clone();
    conn.create_scalar_function("silt_items", 4, flags, move |args| {
        let array = array_of(args, &known)?;
        Items::new(&array).json(0, &[array.len()], most_bytes(args)?).map_err(user)
    })?;
    for arguments in [3, 4] {
        let known = last.clone();
        conn.create_scalar_function("silt_array", arguments, flags, move |args| {
            if args.get_raw(0) == ValueRef::Null || args.get_raw(args.len() - 1) == ValueRef::Null {
                return Ok(None);
            }
            let array = array_of(args, &known)?;
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
    conn.create_scalar_function("silt_raw", 4, flags, move |args| {
        Ok(array_of(args, &last)?.data().to_vec())
    })?;
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
fn array_of(args: &Context<'_>, last: &LastBlocks) -> rusqlite::Result<Array> {
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
    // SAFETY: the connection is used in this call and in this thread only.
    let conn = unsafe { args.get_connection()? };
    let block =
        |id| inner("the table of blocks", || array_block(&ReadTx::new(&conn), id, Some(last)));
    array_in_block(dtype, shape, data, block).map_err(user)
}

/// The blocks that a connection unpacked last, each with its id and all columns of its row: arrays that are read one after
/// another lie in few.
pub(crate) type LastBlocks = Mutex<VecDeque<(i64, [Value; 5], Bytes)>>;

/// How many are kept: those of the attributes of a group.
const KEPT_BLOCKS: usize = 16;

/// The unpacked bytes of a block of arrays of the same file.
pub(crate) fn array_block(tx: &ReadTx<'_>, id: i64, last: Option<&LastBlocks>) -> Result<Bytes> {
    let table = crate::STORES.iter().find_map(|store| store.array_blocks);
    let table = table.ok_or_else(|| Error::invalid("a store", "blocks of arrays", "none"))?;
    let damaged = |why: String| Error::Corrupt {
        location: String::new(),
        what: format!("{table} row {id}"),
        why,
    };
    let sql = format!(
        "SELECT dtype, shape, codec, checksum, data FROM {}.{table} WHERE id = ?1",
        schema_of(tx.connection(), table)?
    );
    let read = |row: &Row<'_>| {
        let mut stored = [ValueRef::Null; 5];
        for (i, cell) in stored.iter_mut().enumerate() {
            *cell = row.get_ref(i)?;
        }
        let mut last = last.map(|last| last.lock().unwrap_or_else(PoisonError::into_inner));
        let is_it = |(of, known, _): &&(i64, [Value; 5], Bytes)| {
            *of == id && known.iter().map(ValueRef::from).eq(stored)
        };
        if let Some((.., block)) = last.as_ref().and_then(|last| last.iter().find(is_it)) {
            return Ok(block.clone());
        }
        let text = |i: usize| Ok::<_, Error>(stored[i].as_str().map_err(rusqlite::Error::from)?);
        let codec = stored[2].as_str_or_null().map_err(rusqlite::Error::from)?;
        let bytes = |i: usize| Ok::<_, Error>(stored[i].as_blob().map_err(rusqlite::Error::from)?);
        let block = unpack_arrays(text(0)?, text(1)?, codec, bytes(3)?, bytes(4)?)?;
        if let Some(last) = last.as_deref_mut() {
            let mut kept = [const { Value::Null }; 5];
            for (kept, cell) in kept.iter_mut().zip(stored) {
                *kept = cell.try_into().map_err(rusqlite::Error::from)?;
            }
            last.truncate(KEPT_BLOCKS - 1);
            last.push_front((id, kept, block.clone()));
        }
        Ok(block)
    };
    let found = tx.query_one(&sql, [id], |row| Ok(read(row)))?;
    match found {
        Some(Err(Error::Corrupt { why, .. })) => Err(damaged(why)),
        Some(block) => block,
        None => Err(damaged("the row is missing".into())),
    }
}
