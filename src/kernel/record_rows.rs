//! `silt_record(block, rows, kinds, first, last)`: a block of records as rows, in our connections.
//!
//! A table-valued function with the columns `step`, `row` and `c0` to `c63`. Its arguments are columns of the table of
//! blocks ([`BlockTable`]), and a letter for each column, `i`, `f` or `t`. It unpacks those columns alone that the query uses,
//! and none if first and last step leave no room for what the query asks of `step`.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, StringArray};
use arrow_schema::DataType;
use rusqlite::types::{Null, Value};
use rusqlite::vtab::{
    Context, Filters, IndexInfo, Module, VTab, VTabConfig, VTabConnection, VTabCursor,
};
use rusqlite::{Connection, Error, Result, ffi};

use super::block_plan::{self, BlockTable};
use crate::array::block::{Block, Effort, version_1};

/// The most rows that a block can claim.
const MAX_ROWS: i64 = 1 << 20;
/// Columns of records that can be seen.
const COLUMNS: usize = 64;
const STEP: c_int = 0;
const ARGUMENTS: usize = 5;
const FIRST_ARGUMENT: c_int = 2 + COLUMNS as c_int;

/// Adds the function to a connection.
pub(super) fn register(conn: &Connection) -> Result<()> {
    const MODULE: Module<Records> = Module::eponymous_only_module();
    conn.create_module(c"silt_record", &MODULE, None)
}

#[repr(C)]
struct Records {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab,
    db: *mut ffi::sqlite3,
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl<'vtab> VTab<'vtab> for Records {
    type Aux = ();
    type Cursor = Cursor<'vtab>;

    fn connect(
        db: &mut VTabConnection,
        _: Option<&()>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        db.config(VTabConfig::Innocuous)?;
        let columns: Vec<String> = (0..COLUMNS).map(|i| format!("c{i}")).collect();
        let schema = format!(
            "CREATE TABLE x(step, row, {}, block HIDDEN, rows HIDDEN, kinds HIDDEN, first HIDDEN, last HIDDEN)\0",
            columns.join(", ")
        );
        let schema =
            CStr::from_bytes_with_nul(schema.as_bytes()).expect("it ends with a NUL").to_owned();
        // SAFETY: it is used in calls of this connection alone, which outlives its tables.
        let db = unsafe { db.handle() };
        Ok((Cow::Owned(schema), Records { base: ffi::sqlite3_vtab::default(), db }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        block_plan::plan(info, STEP, FIRST_ARGUMENT, ARGUMENTS as u32)
    }

    fn open(&mut self) -> Result<Cursor<'_>> {
        Ok(Cursor {
            base: ffi::sqlite3_vtab_cursor::default(),
            db: self.db,
            columns: Vec::new(),
            rows: 0,
            row: 0,
            table: PhantomData,
        })
    }
}

#[repr(C)]
struct Cursor<'vtab> {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab_cursor,
    db: *mut ffi::sqlite3,
    columns: Vec<Items>,
    rows: usize,
    row: usize,
    table: PhantomData<&'vtab Records>,
}

enum Items {
    Integers(Int64Array),
    Floats(Float64Array),
    Texts(StringArray),
    /// The query does not look at it.
    Unused,
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl VTabCursor for Cursor<'_> {
    fn filter(&mut self, _: c_int, plan: Option<&str>, args: &Filters<'_>) -> Result<()> {
        (self.columns, self.rows, self.row) = (Vec::new(), 0, 0);
        let (used, letters) = plan.and_then(|plan| plan.split_once(' ')).unwrap_or_default();
        let used: u64 = used.parse().unwrap_or(u64::MAX);
        let mut arguments = [const { Value::Null }; ARGUMENTS];
        let mut asked = Vec::new();
        for (i, letter) in letters.bytes().enumerate() {
            match letter {
                b'0'..=b'9' => arguments[usize::from(letter - b'0')] = args.get(i)?,
                comparison => asked.push((comparison, args.get::<Value>(i)?)),
            }
        }
        let [
            Value::Integer(block),
            Value::Integer(rows),
            Value::Text(kinds),
            Value::Integer(first),
            Value::Integer(last),
        ] = arguments
        else {
            return Ok(());
        };
        if !asked.iter().all(|(comparison, value)| leaves_room(*comparison, value, first, last)) {
            return Ok(());
        }
        let rows = usize::try_from(rows.clamp(0, MAX_ROWS)).unwrap_or_default();
        // SAFETY: SQLite calls us within a call of this connection.
        let conn = unsafe { Connection::from_handle(self.db)? };
        let mut statement = conn.prepare(&BlockTable::of("silt_record").sql())?;
        let mut found = statement.query([block])?;
        let Some(row) = found.next()? else { return Ok(()) };
        let data = row.get_ref(0)?.as_blob_or_null().ok().flatten().unwrap_or_default();
        let user = |error: crate::Error| Error::UserFunctionError(named(error, block).into());
        let types: Vec<DataType> = "ii".chars().chain(kinds.chars()).map(data_type).collect();
        let data = version_1::records(data, &types, rows, Effort::Fast).map_err(user)?;
        let unpacked = Block::of_rows(&data, rows).map_err(user)?;
        for (index, data_type) in types.iter().take(2 + COLUMNS).enumerate() {
            // The last bit stands for all columns behind it.
            if used >> index.min(63) & 1 == 0 {
                self.columns.push(Items::Unused);
                continue;
            }
            let array = unpacked.array(index, Some(data_type)).map_err(user)?;
            self.columns.push(Items::of(&array));
        }
        self.rows = rows;
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.row += 1;
        Ok(())
    }

    fn eof(&self) -> bool {
        self.row >= self.rows
    }

    fn column(&self, context: &mut Context, i: c_int) -> Result<()> {
        match self.columns.get(i as usize) {
            Some(Items::Integers(items)) if items.is_valid(self.row) => {
                context.set_result(&items.value(self.row))
            }
            Some(Items::Floats(items)) if items.is_valid(self.row) => {
                context.set_result(&items.value(self.row)) // NaN becomes NULL
            }
            Some(Items::Texts(items)) if items.is_valid(self.row) => {
                context.set_result(&items.value(self.row))
            }
            _ => context.set_result(&Null),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.row as i64)
    }
}

fn data_type(kind: char) -> DataType {
    match kind {
        'i' => DataType::Int64,
        'f' => DataType::Float64,
        _ => DataType::Utf8,
    }
}

impl Items {
    fn of(array: &ArrayRef) -> Self {
        match array.data_type() {
            DataType::Int64 => Items::Integers(array.as_primitive::<Int64Type>().clone()),
            DataType::Float64 => Items::Floats(array.as_primitive::<Float64Type>().clone()),
            _ => Items::Texts(array.as_string::<i32>().clone()),
        }
    }
}

/// Whether a step of the block can compare so with this. What is no number is left to SQLite.
fn leaves_room(comparison: u8, value: &Value, first: i64, last: i64) -> bool {
    let x = match value {
        Value::Integer(n) => *n as f64,
        Value::Real(x) => *x,
        _ => return true,
    };
    let (first, last) = (first as f64, last as f64);
    match comparison {
        b'>' => last >= x,
        b'<' => first <= x,
        _ => first <= x && x <= last,
    }
}

fn named(error: crate::Error, id: i64) -> crate::Error {
    match error {
        crate::Error::Corrupt { location, why, .. } => {
            let table = BlockTable::of("silt_record").name;
            let what = format!("the block of records in row {id} of {table}");
            crate::Error::Corrupt { location, what, why }
        }
        other => other,
    }
}
