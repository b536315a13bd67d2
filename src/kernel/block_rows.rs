//! `silt_block(data)`: a column block as rows, in our connections.
//!
//! A table-valued function with the columns `row` (0, 1, ...), `c0` to `c7` and `ms`, which is `c0`
//! in millionths, rounded down: ns as ms. It reads nothing but its arguments, so a view may use it.
//!
//! `silt_block(data, first, last)` says that `c0` lies within these two. A block that cannot have
//! what the query asks of `c0` or `ms` is then not unpacked; and of one that can, only the pieces that can have it and the
//! columns that the query uses.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use rusqlite::types::{Null, Value};
use rusqlite::vtab::{
    Context, Filters, IndexConstraint, IndexConstraintOp, IndexInfo, Module, VTab, VTabConfig,
    VTabConnection, VTabCursor,
};
use rusqlite::{Connection, Error, Result, ffi};

use crate::array::block::Block;

/// Columns of a block that can be seen.
const COLUMNS: usize = 8;
/// The indices of the columns behind them.
const MS: c_int = 1 + COLUMNS as c_int;
const DATA: c_int = MS + 1;
const FIRST: c_int = MS + 2;
const LAST: c_int = MS + 3;
const MILLION: i128 = 1_000_000;

/// Adds the function to a connection.
pub(super) fn register(conn: &Connection) -> Result<()> {
    const MODULE: Module<Rows> = Module::eponymous_only_module();
    conn.create_module(c"silt_block", &MODULE, None)
}

#[repr(C)]
struct Rows {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab,
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl<'vtab> VTab<'vtab> for Rows {
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
        let schema = c"CREATE TABLE x(row, c0, c1, c2, c3, c4, c5, c6, c7, ms, \
            data HIDDEN, first HIDDEN, last HIDDEN)";
        Ok((Cow::Borrowed(schema), Rows { base: ffi::sqlite3_vtab::default() }))
    }

    /// The plan is a text: the columns that are used, as a number, and then for each argument of
    /// [`Cursor::filter`] two letters, which column it is about and how it is compared.
    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let found: Vec<(char, char)> = info.constraints().map(letters).collect();
        if !found.contains(&('d', '=')) {
            return Ok(false);
        }
        let mut plan = info.col_used().to_string();
        let mut argument = 0;
        for (i, (column, comparison)) in found.into_iter().enumerate() {
            if column == ' ' {
                continue;
            }
            argument += 1;
            let mut usage = info.constraint_usage(i);
            usage.set_argv_index(argument);
            // What is asked of the rows is looked at once more by SQLite; the arguments have no rows.
            usage.set_omit(matches!(column, 'd' | 'f' | 'l'));
            plan.extend([column, comparison]);
        }
        info.set_idx_str(&plan);
        info.set_estimated_cost(4_096.0);
        info.set_estimated_rows(4_096);
        Ok(true)
    }

    fn open(&mut self) -> Result<Cursor<'_>> {
        Ok(Cursor::default())
    }
}

/// What a constraint is about and how it compares; spaces for one that is of no use.
fn letters(constraint: IndexConstraint<'_>) -> (char, char) {
    use IndexConstraintOp as Op;
    let column = match constraint.column() {
        1 => 'c',
        MS => 'm',
        DATA => 'd',
        FIRST => 'f',
        LAST => 'l',
        _ => ' ',
    };
    let comparison = match constraint.operator() {
        Op::SQLITE_INDEX_CONSTRAINT_EQ => '=',
        Op::SQLITE_INDEX_CONSTRAINT_GT if matches!(column, 'c' | 'm') => '>',
        Op::SQLITE_INDEX_CONSTRAINT_GE if matches!(column, 'c' | 'm') => ']',
        Op::SQLITE_INDEX_CONSTRAINT_LT if matches!(column, 'c' | 'm') => '<',
        Op::SQLITE_INDEX_CONSTRAINT_LE if matches!(column, 'c' | 'm') => '[',
        _ => ' ',
    };
    if constraint.is_usable() && comparison != ' ' { (column, comparison) } else { (' ', ' ') }
}

/// The values that `c0` may have.
#[derive(Debug, Clone, Copy)]
struct Range {
    least: i128,
    greatest: i128,
}

impl Range {
    /// Narrows it by a comparison with `c0` (`unit` 1) or with `ms` (a million). What is no number is
    /// left to SQLite, which compares everything once more.
    fn narrow(&mut self, unit: i128, comparison: u8, value: &Value) {
        // A number between two integers: the one below and the one above.
        let (below, above) = match value {
            Value::Integer(n) => (i128::from(*n), i128::from(*n)),
            Value::Real(x) => (x.floor() as i128, x.ceil() as i128),
            _ => return,
        };
        let first = |n: i128| n.saturating_mul(unit);
        let last = |n: i128| n.saturating_mul(unit).saturating_add(unit - 1);
        if matches!(comparison, b'=' | b'>' | b']') {
            self.least = self.least.max(first(below));
        }
        if matches!(comparison, b'=' | b'<' | b'[') {
            self.greatest = self.greatest.min(last(above));
        }
    }

    fn meets(&self, first: i64, last: i64) -> bool {
        self.least <= i128::from(last) && self.greatest >= i128::from(first)
    }
}

#[repr(C)]
#[derive(Default)]
struct Cursor<'vtab> {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab_cursor,
    /// None where the query does not look at it.
    columns: Vec<Option<ArrayRef>>,
    /// The number of the first row in its block.
    first: usize,
    rows: usize,
    row: usize,
    table: PhantomData<&'vtab Rows>,
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl VTabCursor for Cursor<'_> {
    fn filter(&mut self, _: c_int, plan: Option<&str>, args: &Filters<'_>) -> Result<()> {
        (self.columns, self.rows, self.row) = (Vec::new(), 0, 0);
        let plan = plan.unwrap_or_default();
        let digits = plan.bytes().take_while(u8::is_ascii_digit).count();
        let used = plan[..digits].parse().unwrap_or(u64::MAX);
        let mut range = Range { least: i128::MIN, greatest: i128::MAX };
        let (mut data, mut first, mut last) = (None, None, None);
        for (i, letters) in plan.as_bytes()[digits..].chunks_exact(2).enumerate() {
            match letters[0] {
                b'd' => data = Some(i),
                b'f' => first = args.get(i)?,
                b'l' => last = args.get(i)?,
                b'c' => range.narrow(1, letters[1], &args.get(i)?),
                _ => range.narrow(MILLION, letters[1], &args.get(i)?),
            }
        }
        if let (Some(first), Some(last)) = (first, last)
            && !range.meets(first, last)
        {
            return Ok(());
        }
        let Some(data) = data.map(|i| args.get::<Option<Vec<u8>>>(i)).transpose()?.flatten() else {
            return Ok(());
        };
        let unpacked = unpack(&data, used, range);
        let (columns, rows) = unpacked.map_err(|e| Error::UserFunctionError(e.into()))?;
        (self.columns, self.first, self.rows) = (columns, rows.start, rows.len());
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
        if i == 0 {
            return context.set_result(&((self.first + self.row) as i64));
        }
        let index = if i == MS { 0 } else { i as usize - 1 };
        let Some(Some(array)) = self.columns.get(index) else { return context.set_result(&Null) };
        match array.data_type() {
            _ if array.is_null(self.row) => context.set_result(&Null),
            DataType::Int64 => {
                let item = array.as_primitive::<Int64Type>().value(self.row);
                context.set_result(&if i == MS { item.div_euclid(MILLION as i64) } else { item })
            }
            DataType::Float64 => {
                context.set_result(&array.as_primitive::<Float64Type>().value(self.row))
            }
            DataType::Utf8 => context.set_result(&array.as_string::<i32>().value(self.row)),
            _ => context.set_result(&Null),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok((self.first + self.row) as i64)
    }
}

/// What was unpacked: the columns that are used, and which rows of the block they are.
type Unpacked = (Vec<Option<ArrayRef>>, std::ops::Range<usize>);

/// Unpacks the columns that are used, one bit each, of those that [`Rows`] has; of the pieces that can meet the range of `c0`.
fn unpack(data: &[u8], used: u64, range: Range) -> crate::Result<Unpacked> {
    let block = Block::open(data)?;
    let end = |n: i128| n.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    let rows = match block.has_range(0) {
        true => block.rows_between(0, end(range.least), end(range.greatest))?,
        false => 0..block.rows(),
    };
    let columns = (0..block.columns().min(COLUMNS)).map(|i| {
        let is_used = used >> (i + 1) & 1 != 0 || (i == 0 && used >> MS & 1 != 0);
        is_used.then(|| block.part(i, rows.clone(), None)).transpose()
    });
    Ok((columns.collect::<crate::Result<_>>()?, rows))
}
