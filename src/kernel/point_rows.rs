//! `silt_points(block, rows, index_type, value_type, least, greatest, head)`: the points of a block of a series as
//! rows, in our connections. Numbers that stand for something else, as the head says, are what they stand for.
//!
//! A table-valued function with the columns `row` (0, 1, ...), `index_value` and `value`. Its arguments are
//! those columns of the tables of blocks ([`BlockTable`]) and of series, so that a view may join the three; the bytes it reads
//! itself, and only if least and greatest value leave room for what the query asks of `index_value`.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array,
    new_empty_array,
};
use arrow_cast::cast;
use arrow_schema::DataType;
use rusqlite::types::{Null, Value};
use rusqlite::vtab::{
    Context, Filters, IndexInfo, Module, VTab, VTabConfig, VTabConnection, VTabCursor,
};
use rusqlite::{Connection, Error, Result, ffi};

use super::block_plan::{self, BlockTable};
use crate::array::block::column as unpack;
use crate::array::block::types::type_of;
use crate::array::{TimeFormat, per_second, span_text};

/// The most points that a block can claim.
const MAX_ROWS: i64 = 1 << 20;
const INDEX_VALUE: c_int = 1;
const VALUE: c_int = 2;
/// The arguments, and the columns that they are.
const ARGUMENTS: usize = 7;
const FIRST_ARGUMENT: c_int = 3;

/// What the numbers of an array stand for, by the head of their series: of its index, or of its values.
pub(crate) type Decode =
    fn(head: &str, is_index: bool, array: &ArrayRef) -> crate::Result<ArrayRef>;

/// Adds the function to a connection.
pub(super) fn register(conn: &Connection) -> Result<()> {
    const MODULE: Module<Points> = Module::eponymous_only_module();
    conn.create_module(c"silt_points", &MODULE, None)
}

#[repr(C)]
struct Points {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab,
    db: *mut ffi::sqlite3,
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl<'vtab> VTab<'vtab> for Points {
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
        let schema = c"CREATE TABLE x(row, index_value, value, block HIDDEN, rows HIDDEN, \
            index_type HIDDEN, value_type HIDDEN, least HIDDEN, greatest HIDDEN, head HIDDEN)";
        // SAFETY: it is used in calls of this connection alone, which outlives its tables.
        let db = unsafe { db.handle() };
        Ok((Cow::Borrowed(schema), Points { base: ffi::sqlite3_vtab::default(), db }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        block_plan::plan(info, INDEX_VALUE, FIRST_ARGUMENT, ARGUMENTS as u32)
    }

    fn open(&mut self) -> Result<Cursor<'_>> {
        Ok(Cursor {
            base: ffi::sqlite3_vtab_cursor::default(),
            db: self.db,
            index: Cells::Unused,
            values: Cells::Unused,
            rows: 0,
            row: 0,
            table: PhantomData,
        })
    }
}

/// The values between which those of a block's index lie, as SQLite sees them.
enum Extent {
    Numbers(f64, f64),
    Texts(String, String),
    Unknown,
}

impl Extent {
    fn of(kind: &DataType, least: Value, greatest: Value) -> Self {
        // A float near to an integer keeps the order of them.
        let number = |value: &Value| match value {
            Value::Integer(n) => Some(*n as f64),
            Value::Real(x) => Some(*x),
            _ => None,
        };
        match (kind, least, greatest) {
            (DataType::Timestamp(unit, zone), Value::Integer(least), Value::Integer(greatest)) => {
                let extent = TimeFormat::new(*unit, zone.as_deref()).extent(least, greatest);
                extent.map_or(Extent::Unknown, |(least, greatest)| Extent::Texts(least, greatest))
            }
            (DataType::Timestamp(..) | DataType::Duration(_), ..) => Extent::Unknown,
            (_, Value::Text(least), Value::Text(greatest)) => Extent::Texts(least, greatest),
            (_, least, greatest) => match (number(&least), number(&greatest)) {
                (Some(least), Some(greatest)) => Extent::Numbers(least, greatest),
                _ => Extent::Unknown,
            },
        }
    }

    /// Whether a value of the block can compare so with this one. What is not of its kind is left to SQLite.
    fn allows(&self, comparison: u8, value: &Value) -> bool {
        use std::cmp::Ordering::{Greater, Less};
        let (least, greatest) = match (self, value) {
            (Extent::Numbers(least, greatest), Value::Integer(n)) => {
                (least.partial_cmp(&(*n as f64)), greatest.partial_cmp(&(*n as f64)))
            }
            (Extent::Numbers(least, greatest), Value::Real(x)) => {
                (least.partial_cmp(x), greatest.partial_cmp(x))
            }
            (Extent::Texts(least, greatest), Value::Text(text)) => {
                (Some(least.cmp(text)), Some(greatest.cmp(text)))
            }
            _ => return true,
        };
        match comparison {
            b'>' => greatest != Some(Less),
            b'<' => least != Some(Greater),
            _ => greatest != Some(Less) && least != Some(Greater),
        }
    }
}

#[repr(C)]
struct Cursor<'vtab> {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab_cursor,
    db: *mut ffi::sqlite3,
    index: Cells,
    values: Cells,
    rows: usize,
    row: usize,
    table: PhantomData<&'vtab Points>,
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl VTabCursor for Cursor<'_> {
    fn filter(&mut self, _: c_int, plan: Option<&str>, args: &Filters<'_>) -> Result<()> {
        (self.index, self.values) = (Cells::Unused, Cells::Unused);
        (self.rows, self.row) = (0, 0);
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
        let [Value::Integer(block), Value::Integer(rows), index, value, least, greatest, head] =
            arguments
        else {
            return Ok(());
        };
        let user = |error: crate::Error| Error::UserFunctionError(named(error, block).into());
        let (Value::Text(index), Value::Text(value)) = (index, value) else { return Ok(()) };
        let Value::Text(head) = head else { return Ok(()) };
        let (index, value) = (type_of(&index).map_err(user)?, type_of(&value).map_err(user)?);
        let decode =
            |column, array: &ArrayRef| match crate::STORES.iter().find_map(|store| store.decode) {
                Some(decode) => decode(&head, column == INDEX_VALUE, array).map_err(user),
                None => Ok(array.clone()),
            };
        let is_coded = *decode(INDEX_VALUE, &new_empty_array(&index))?.data_type() != index;
        let extent = match is_coded {
            true => Extent::Unknown,
            false => Extent::of(&index, least, greatest),
        };
        if !asked.iter().all(|(comparison, value)| extent.allows(*comparison, value)) {
            return Ok(());
        }
        let rows = usize::try_from(rows.clamp(0, MAX_ROWS)).unwrap_or_default();
        let is_used = |column: c_int| used >> column & 1 != 0;
        if is_used(INDEX_VALUE) || is_used(VALUE) {
            // SAFETY: SQLite calls us within a call of this connection.
            let conn = unsafe { Connection::from_handle(self.db)? };
            let mut statement = conn.prepare(&BlockTable::of("silt_points").sql())?;
            let mut found = statement.query([block])?;
            let Some(row) = found.next()? else { return Ok(()) };
            let cells = |column: c_int, kind: &DataType| {
                if !is_used(column) {
                    return Ok(Cells::Unused);
                }
                let bytes = row.get_ref((column - INDEX_VALUE) as usize)?;
                let bytes = bytes.as_blob().unwrap_or_default();
                let array = decode(column, &unpack(bytes, kind, rows).map_err(user)?)?;
                Cells::of(&array).map_err(user)
            };
            (self.index, self.values) = (cells(INDEX_VALUE, &index)?, cells(VALUE, &value)?);
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
        match i {
            INDEX_VALUE => self.index.give(self.row, context),
            VALUE => self.values.give(self.row, context),
            0 => context.set_result(&(self.row as i64)),
            _ => context.set_result(&Null),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.row as i64)
    }
}

fn named(error: crate::Error, block: i64) -> crate::Error {
    match error {
        crate::Error::Corrupt { location, why, .. } => {
            let table = BlockTable::of("silt_points").name;
            let what = format!("the block of a series in row {block} of {table}");
            crate::Error::Corrupt { location, what, why }
        }
        other => other,
    }
}

/// A column as SQLite takes it.
enum Cells {
    Integers(Int64Array),
    /// Some of which are too large for SQLite: these become floats.
    Unsigned(UInt64Array),
    Floats(Float64Array),
    Booleans(BooleanArray),
    Texts(StringArray),
    Bytes(BinaryArray),
    Times(Int64Array, TimeFormat),
    /// Spans of time, each of so many ns.
    Spans(Int64Array, i64),
    /// The query does not look at it.
    Unused,
}

impl Cells {
    fn of(array: &ArrayRef) -> crate::Result<Self> {
        use DataType as T;
        let to = |kind| {
            let no_cast = |e: arrow_schema::ArrowError| {
                crate::Error::invalid("a series", array.data_type().to_string(), e.to_string())
            };
            cast(array, &kind).map_err(no_cast)
        };
        let integers = || Ok::<_, crate::Error>(to(T::Int64)?.as_primitive::<Int64Type>().clone());
        Ok(match array.data_type() {
            T::Timestamp(unit, zone) => {
                Cells::Times(integers()?, TimeFormat::new(*unit, zone.as_deref()))
            }
            T::Duration(unit) => Cells::Spans(integers()?, 1_000_000_000 / per_second(*unit)),
            T::Boolean => Cells::Booleans(array.as_boolean().clone()),
            T::Dictionary(..) => Cells::Texts(to(T::Utf8)?.as_string::<i32>().clone()),
            T::Utf8 => Cells::Texts(array.as_string::<i32>().clone()),
            T::Binary | T::FixedSizeBinary(_) => {
                Cells::Bytes(to(T::Binary)?.as_binary::<i32>().clone())
            }
            T::UInt64 => Cells::Unsigned(array.as_primitive::<UInt64Type>().clone()),
            T::Float16 | T::Float32 | T::Float64 => {
                Cells::Floats(to(T::Float64)?.as_primitive::<Float64Type>().clone())
            }
            _ => Cells::Integers(integers()?),
        })
    }

    fn array(&self) -> Option<&dyn Array> {
        Some(match self {
            Cells::Integers(array) | Cells::Times(array, _) | Cells::Spans(array, _) => array,
            Cells::Unsigned(array) => array,
            Cells::Floats(array) => array,
            Cells::Booleans(array) => array,
            Cells::Texts(array) => array,
            Cells::Bytes(array) => array,
            Cells::Unused => return None,
        })
    }

    fn give(&self, row: usize, context: &mut Context) -> Result<()> {
        if self.array().is_none_or(|array| array.is_null(row)) {
            return context.set_result(&Null);
        }
        match self {
            Cells::Integers(array) => context.set_result(&array.value(row)),
            Cells::Unsigned(array) => match i64::try_from(array.value(row)) {
                Ok(n) => context.set_result(&n),
                Err(_) => context.set_result(&(array.value(row) as f64)),
            },
            Cells::Floats(array) => context.set_result(&array.value(row)), // NaN becomes NULL
            Cells::Booleans(array) => context.set_result(&array.value(row)),
            Cells::Texts(array) => context.set_result(&array.value(row)),
            Cells::Bytes(array) => context.set_result(&array.value(row)),
            Cells::Times(array, times) => context.set_result(&times.text(array.value(row))),
            Cells::Spans(array, ns) => {
                context.set_result(&span_text(i128::from(array.value(row)) * i128::from(*ns)))
            }
            Cells::Unused => context.set_result(&Null),
        }
    }
}
