//! `silt_block(block, id, first, last, types, head)`: a column block as rows, in our connections.
//!
//! A table-valued function with the columns `row` (0, 1, ...), `c0` to `c65`, and `ms`, which is `c0` in millionths, rounded
//! down: ns as ms. `block` is the bytes of a block, or the name of a table of blocks ([`BlockTable`]), of which it reads the block
//! `id` itself. The rest may be left out: two values between which those of `c0` lie, the names of the columns' types with `;`
//! between, and what says what the numbers of the columns stand for.
//!
//! A block that cannot have what the query asks of `c0` or `ms` is not read. Of one that can, the columns that the query uses are
//! unpacked; of integers, the pieces that can have it; and the first of these pieces before the others, so that a query that
//! ends early is done with it.

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ops::Range;

use arrow_array::{Array, new_empty_array};
use arrow_schema::DataType;
use rusqlite::types::{Null, Value};
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp as Op, IndexInfo, Module, VTab, VTabConfig, VTabConnection,
    VTabCursor,
};
use rusqlite::{Connection, Error, Result, ffi};

use super::attached::schema_of;
use super::block_cells::{Cells, Extent};
use super::guarded::{Guarded, inner};
use super::store::Decode;
use crate::array::block::types::type_of;
use crate::array::block::{Block, PIECE_ROWS, damaged};

/// The most rows that a table can claim of a block.
const MAX_ROWS: i64 = 1 << 20;
/// Columns of a block that can be seen.
const COLUMNS: usize = 66;
/// The indices of the columns: the planner has a bit for each of the first 63, and one for the others.
const MS: c_int = 1;
const FIRST_ARGUMENT: c_int = 2;
const ARGUMENTS: usize = 6;
const FIRST_COLUMN: c_int = FIRST_ARGUMENT + ARGUMENTS as c_int;
/// Rows of a block, as the planner is told.
const ROWS: i64 = 16_384;

/// A table of blocks with the columns `id` and `rows`.
pub(crate) struct BlockTable {
    pub(crate) name: &'static str,
    /// The column with a block of all columns, or those with a block of one column each.
    pub(crate) data: &'static str,
}

/// Adds the function to a connection.
pub(super) fn register(conn: &Connection) -> Result<()> {
    const MODULE: Module<Guarded<Rows>> = Module::eponymous_only_module();
    conn.create_module(c"silt_block", &MODULE, None)
}

#[repr(C)]
struct Rows {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab,
    db: *mut ffi::sqlite3,
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
        let columns: Vec<String> = (0..COLUMNS).map(|i| format!("c{i}")).collect();
        let schema = format!(
            "CREATE TABLE x(row, ms, block HIDDEN, id HIDDEN, first HIDDEN, last HIDDEN, types HIDDEN, head HIDDEN, {})\0",
            columns.join(", ")
        );
        let schema =
            CStr::from_bytes_with_nul(schema.as_bytes()).expect("it ends with a NUL").to_owned();
        // SAFETY: it is used in calls of this connection alone, which outlives its tables.
        let db = unsafe { db.handle() };
        Ok((Cow::Owned(schema), Rows { base: ffi::sqlite3_vtab::default(), db }))
    }

    /// The plan is a text: the columns that are used, as a number, and behind a space a letter for each value that
    /// [`Cursor::filter`] gets: the digit of an argument, or how the value compares with `c0` (`=`, `>`, `<`) or with `ms`
    /// (`e`, `g`, `l`).
    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let mut letters: Vec<Option<char>> = Vec::new();
        for (i, constraint) in info.constraints().enumerate() {
            let (column, op) = (constraint.column(), constraint.operator());
            let is_argument = (FIRST_ARGUMENT..FIRST_COLUMN).contains(&column);
            letters.push(match constraint.is_usable() {
                // Its value comes later: SQLite looks for another way.
                false if is_argument => return Ok(false),
                false => None,
                true if is_argument && op == Op::SQLITE_INDEX_CONSTRAINT_EQ => {
                    char::from_digit((column - FIRST_ARGUMENT) as u32, 10)
                }
                true if matches!(column, MS | FIRST_COLUMN) => {
                    letter(op, column == MS).filter(|_| info.collation(i) == Ok("BINARY"))
                }
                true => None,
            });
        }
        let is_twice = |(i, letter): (usize, &Option<char>)| {
            letter.is_some_and(|c| c.is_ascii_digit()) && letters[..i].contains(letter)
        };
        if letters.iter().enumerate().any(is_twice) {
            return Err(Error::ModuleError("silt_block: an argument is given twice".into()));
        }
        if !letters.contains(&Some('0')) {
            return Ok(false);
        }
        let mut plan = format!("{} ", info.col_used());
        let mut value = 0;
        for (i, letter) in letters.into_iter().enumerate() {
            let Some(letter) = letter else { continue };
            plan.push(letter);
            value += 1;
            let mut usage = info.constraint_usage(i);
            usage.set_argv_index(value);
            // What is asked of the rows is looked at once more by SQLite; the arguments have no rows.
            usage.set_omit(letter.is_ascii_digit());
        }
        info.set_idx_str(&plan);
        info.set_estimated_cost(ROWS as f64);
        info.set_estimated_rows(ROWS);
        Ok(true)
    }

    fn open(&mut self) -> Result<Cursor<'_>> {
        Ok(Cursor {
            base: ffi::sqlite3_vtab_cursor::default(),
            db: self.db,
            found: Found::default(),
            used: 0,
            cells: Vec::new(),
            unpacked: 0..0,
            row: 0,
            table: PhantomData,
        })
    }
}

fn letter(op: Op, is_ms: bool) -> Option<char> {
    let letters = match op {
        Op::SQLITE_INDEX_CONSTRAINT_EQ => ['=', 'e'],
        Op::SQLITE_INDEX_CONSTRAINT_GT | Op::SQLITE_INDEX_CONSTRAINT_GE => ['>', 'g'],
        Op::SQLITE_INDEX_CONSTRAINT_LT | Op::SQLITE_INDEX_CONSTRAINT_LE => ['<', 'l'],
        _ => return None,
    };
    Some(letters[usize::from(is_ms)])
}

#[repr(C)]
struct Cursor<'vtab> {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab_cursor,
    db: *mut ffi::sqlite3,
    found: Found,
    /// A bit for each column of the table.
    used: u64,
    /// The columns of some of the rows.
    cells: Vec<Cells>,
    unpacked: Range<usize>,
    row: usize,
    table: PhantomData<&'vtab Rows>,
}

/// The rows that a query may want.
#[derive(Default)]
struct Found {
    /// One of all columns, or one of each that is used.
    blocks: Vec<Option<Block<'static>>>,
    /// How many columns there are, at most so many as can be seen.
    columns: usize,
    /// `None` to take what the block has.
    types: Option<Vec<DataType>>,
    head: Option<(Decode, String)>,
    rows: Range<usize>,
    /// For errors.
    name: String,
}

/// Something that the query asks of `c0` or of `ms`.
struct Asked {
    comparison: char,
    is_ms: bool,
    value: Value,
}

impl Asked {
    fn of(letter: char, value: Value) -> Self {
        let (comparison, is_ms) = match letter {
            'e' => ('=', true),
            'g' => ('>', true),
            'l' => ('<', true),
            letter => (letter, false),
        };
        Asked { comparison, is_ms, value }
    }

    /// The integers of `c0` that can compare so; all for what is no number: SQLite compares everything once more.
    fn integers(&self) -> (i64, i64) {
        // A number between two integers: the one below and the one above.
        let (below, above) = match &self.value {
            Value::Integer(n) => (i128::from(*n), i128::from(*n)),
            Value::Real(x) => (x.floor() as i128, x.ceil() as i128),
            _ => return (i64::MIN, i64::MAX),
        };
        let unit = if self.is_ms { 1_000_000 } else { 1 };
        let end = |n: i128| n.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        let (least, greatest) = (
            end(below.saturating_mul(unit)),
            end(above.saturating_mul(unit).saturating_add(unit - 1)),
        );
        match self.comparison {
            '>' => (least, i64::MAX),
            '<' => (i64::MIN, greatest),
            _ => (least, greatest),
        }
    }
}

/// The bits of the columns of blocks, and of `ms`.
const DATA_BITS: u64 = u64::MAX << FIRST_COLUMN | 1 << MS;

/// Whether a query looks at a column of blocks.
fn is_used(used: u64, column: usize) -> bool {
    let bit = (column + FIRST_COLUMN as usize).min(63);
    used >> bit & 1 != 0 || (column == 0 && used >> MS & 1 != 0)
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl VTabCursor for Cursor<'_> {
    fn filter(&mut self, _: c_int, plan: Option<&str>, args: &Filters<'_>) -> Result<()> {
        (self.found, self.unpacked, self.row) = (Found::default(), 0..0, 0);
        let (used, letters) = plan.and_then(|plan| plan.split_once(' ')).unwrap_or_default();
        self.used = used.parse().unwrap_or(u64::MAX);
        let mut arguments = [const { Value::Null }; ARGUMENTS];
        let mut asked = Vec::new();
        for (i, letter) in letters.chars().enumerate() {
            match letter.to_digit(10) {
                Some(argument) => arguments[argument as usize] = args.get(i)?,
                // What is no text of UTF-8 is compared by SQLite alone.
                None => asked.push(Asked::of(letter, args.get(i).unwrap_or(Value::Null))),
            }
        }
        // SAFETY: SQLite calls us within a call of this connection.
        let conn = unsafe { Connection::from_handle(self.db)? };
        if let Some(found) = find(&conn, arguments, &asked, self.used)? {
            self.row = found.rows.start;
            self.found = found;
            self.unpack()?;
        }
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.row += 1;
        self.unpack()
    }

    fn eof(&self) -> bool {
        self.row >= self.found.rows.end
    }

    fn column(&self, context: &mut Context, i: c_int) -> Result<()> {
        let row = || self.row - self.unpacked.start;
        match i {
            0 => context.set_result(&(self.row as i64)),
            MS => match self.cells.first().and_then(|cells| cells.integer(row())) {
                Some(ns) => context.set_result(&ns.div_euclid(1_000_000)),
                None => context.set_result(&Null),
            },
            _ => match self.cells.get((i - FIRST_COLUMN) as usize) {
                Some(cells) if i >= FIRST_COLUMN => cells.give(row(), context),
                _ => context.set_result(&Null),
            },
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.row as i64)
    }
}

impl Cursor<'_> {
    /// Unpacks the columns that are used at the row, if they are not: first of its piece, then of all pieces behind it.
    fn unpack(&mut self) -> Result<()> {
        let found = &self.found;
        if self.used & DATA_BITS == 0 || self.eof() || self.unpacked.contains(&self.row) {
            return Ok(());
        }
        let end = match self.row == found.rows.start {
            true => ((self.row / PIECE_ROWS + 1) * PIECE_ROWS).min(found.rows.end),
            false => found.rows.end,
        };
        let rows = self.row..end;
        let cells = (0..found.columns).map(|i| match is_used(self.used, i) {
            true => found.cells(i, rows.clone()),
            false => Ok(Cells::Unused),
        });
        let cells = cells.collect::<crate::Result<_>>().map_err(|error| found.user(error))?;
        (self.cells, self.unpacked) = (cells, rows);
        Ok(())
    }
}

impl Found {
    fn cells(&self, i: usize, rows: Range<usize>) -> crate::Result<Cells> {
        let (block, column) = if self.blocks.len() == 1 { (0, i) } else { (i, 0) };
        let no_column = || damaged(format!("it has no column {i}"));
        let types = self.types.as_ref();
        let data_type = types.map(|types| types.get(i).ok_or_else(no_column)).transpose()?;
        let block = self.blocks.get(block).ok_or_else(no_column)?;
        let Some(block) = block else { return Ok(Cells::Unused) };
        let array = block.part(column, rows, data_type)?;
        match &self.head {
            Some((decode, head)) => Cells::of(&decode(head, i == 0, &array)?),
            None => Cells::of(&array),
        }
    }

    fn user(&self, error: crate::Error) -> Error {
        let error = match error {
            crate::Error::Corrupt { location, why, .. } => {
                crate::Error::Corrupt { location, what: self.name.clone(), why }
            }
            other => other,
        };
        Error::UserFunctionError(error.into())
    }
}

/// The rows of a block that can have what is asked; `None` if there are none.
fn find(
    conn: &Connection,
    arguments: [Value; ARGUMENTS],
    asked: &[Asked],
    used: u64,
) -> Result<Option<Found>> {
    let [block, id, first, last, types, head] = arguments;
    let mut found = Found { name: "a column block".into(), ..Found::default() };
    // Bytes are what they are.
    if let (Value::Text(names), false) = (types, matches!(block, Value::Blob(_))) {
        let types = names.split(';').map(type_of).collect::<crate::Result<Vec<_>>>();
        found.types = Some(types.map_err(|error| found.user(error))?);
    }
    if let Value::Text(head) = head {
        let decode = crate::STORES.iter().find_map(|store| store.decode);
        found.head = decode.map(|decode| (decode, head));
    }
    let kind = found.types.as_ref().map_or(Some(&DataType::Int64), |types| types.first());
    let is_coded = match (&found.head, kind) {
        (Some((decode, head)), Some(kind)) => {
            let decoded = decode(head, true, &new_empty_array(kind));
            decoded.map_err(|error| found.user(error))?.data_type() != kind
        }
        _ => false,
    };
    if let Some(kind) = kind.filter(|_| !is_coded) {
        let extent = Extent::of(kind, first, last);
        let is_allowed = |a: &Asked| extent.allows(a.comparison, a.is_ms, &a.value);
        if !asked.iter().all(is_allowed) {
            return Ok(None);
        }
    }
    let is_integer = kind == Some(&DataType::Int64) && !is_coded;
    match (block, id) {
        (Value::Blob(bytes), _) => {
            let block = Block::open(&bytes).map_err(|error| found.user(error))?;
            found.add(block.into_owned());
        }
        (Value::Text(name), Value::Integer(id)) => {
            let table = BlockTable::named(&name).map_err(|error| found.user(error))?;
            found.name = format!("the block in row {id} of {name}");
            if !inner(&name, || found.read(conn, table, id, used))? {
                return Ok(None);
            }
        }
        _ => return Ok(None),
    }
    if let Some(Some(block)) = found.blocks.first()
        && is_integer
        && block.has_range(0)
    {
        let ranges = asked.iter().map(Asked::integers);
        let (least, greatest) = ranges
            .fold((i64::MIN, i64::MAX), |all, range| (all.0.max(range.0), all.1.min(range.1)));
        let rows = block.rows_between(0, least, greatest);
        found.rows = rows.map_err(|error| found.user(error))?;
    }
    Ok(Some(found))
}

impl Found {
    /// Reads a block of a table: its number of rows alone if no column is used. False if it is not there.
    fn read(&mut self, conn: &Connection, table: &BlockTable, id: i64, used: u64) -> Result<bool> {
        let BlockTable { name, data } = table;
        let is_used = used & DATA_BITS != 0;
        let data = if is_used { *data } else { "rows" };
        let schema = schema_of(conn, name)?;
        let sql = format!("SELECT rows, {data} FROM {schema}.{name} WHERE id = ?1");
        let mut statement = conn.prepare(&sql)?;
        let mut found = statement.query([id])?;
        let Some(row) = found.next()? else { return Ok(false) };
        let rows: i64 = row.get(0)?;
        let rows = usize::try_from(rows.clamp(0, MAX_ROWS)).unwrap_or_default();
        self.rows = 0..rows;
        if !is_used {
            return Ok(true);
        }
        let blobs = row.as_ref().column_count() - 1;
        for i in 0..blobs {
            let types = self.types.as_deref().unwrap_or_default();
            let types = if blobs == 1 { types } else { types.get(i..=i).unwrap_or_default() };
            if blobs > 1 && !self::is_used(used, i) {
                self.blocks.push(None);
                self.columns += 1;
                continue;
            }
            let bytes = row.get_ref(1 + i)?.as_blob_or_null().ok().flatten().unwrap_or_default();
            let block = Block::of_types(bytes, types, rows).map_err(|error| self.user(error))?;
            self.add(block.into_owned());
        }
        Ok(true)
    }

    fn add(&mut self, block: Block<'static>) {
        self.rows = 0..block.rows();
        self.columns = (self.columns + block.columns()).min(COLUMNS);
        self.blocks.push(Some(block));
    }
}

impl BlockTable {
    /// The table of this name in which a store has its blocks.
    fn named(name: &str) -> crate::Result<&'static Self> {
        let mut all = crate::STORES.into_iter().filter_map(|store| store.blocks.as_ref());
        all.find(|blocks| blocks.name == name)
            .ok_or_else(|| crate::Error::invalid("block", "bytes, or a table of blocks", name))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::array::block::{self, Effort};

    const START: i64 = 1_768_824_000_123_456_789;
    const STEP: i64 = 333_333;

    /// A connection, and a block of 10,000 times in three pieces.
    fn times() -> (Connection, Vec<u8>) {
        let conn = Connection::open_in_memory().unwrap();
        register(&conn).unwrap();
        let noise = |i: i64| i * STEP + i * i % 1_009;
        let times = Int64Array::from_iter_values((0..10_000).map(|i| START + noise(i)));
        let column: ArrayRef = Arc::new(times);
        (conn, block::encode(&[column], Effort::Fast).unwrap())
    }

    /// Goal: whatever is asked of a time or of its millisecond, at the ends of pieces and of the block, what is passed over is what
    /// a plain table would not have given.
    #[test]
    fn filters_pass_over_what_does_not_match() {
        let (conn, block) = times();
        let copy = "CREATE TABLE plain AS SELECT row, ms, c0 FROM silt_block(?1)";
        conn.execute(copy, [&block]).unwrap();
        let ends = "SELECT min(c0), max(c0), count(*) FROM plain";
        let (first, last, rows): (i64, i64, i64) =
            conn.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        assert_eq!(rows, 10_000);
        let from = "silt_block(?1, NULL, ?3, ?4)";
        let mut values = Vec::new();
        for row in [0, 1, 4_095, 4_096, 8_191, 8_192, 9_999] {
            let time = "SELECT c0 FROM plain WHERE row = ?1";
            let time: i64 = conn.query_row(time, [row], |row| row.get(0)).unwrap();
            values.extend([time - 1, time, time + 1]);
        }
        for value in values {
            for (column, value) in [
                ("c0", Value::Integer(value)),
                ("ms", Value::Integer(value.div_euclid(1_000_000))),
                ("ms", Value::Real(value.div_euclid(1_000_000) as f64 + 0.5)),
            ] {
                for comparison in ["=", "<", "<=", ">", ">="] {
                    let of = |from: &str| {
                        format!(
                            "SELECT count(*), sum(row) FROM {from} WHERE {column} {comparison} ?2"
                        )
                    };
                    let plain = of("(SELECT *, ?1, ?3, ?4 FROM plain)");
                    let read = |sql: &str| {
                        conn.query_row(sql, (&block, &value, first, last), |row| {
                            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
                        })
                    };
                    let found = read(&of(from)).unwrap();
                    assert_eq!(found, read(&plain).unwrap(), "{column} {comparison} {value:?}");
                }
            }
        }
    }

    /// Goal: a query unpacks the pieces that it needs: the last one is damaged.
    #[test]
    fn pieces_that_are_not_needed_are_not_unpacked() {
        let (conn, mut block) = times();
        *block.last_mut().unwrap() ^= 1;
        let count = |sql: &str| conn.query_row(sql, [&block], |row| row.get::<_, i64>(0));
        let of =
            |rest: &str| format!("SELECT count(c0) FROM (SELECT c0 FROM silt_block(?1) {rest})");
        assert_eq!(count(&of("LIMIT 4096")).unwrap(), 4_096);
        let early = START + 8_000 * STEP;
        assert!(count(&of(&format!("WHERE c0 < {early}"))).unwrap() > 7_900);
        assert_eq!(count("SELECT count(*) FROM silt_block(?1)").unwrap(), 10_000);
        for rest in ["", "LIMIT 4097", "WHERE ms > 1768824003000"] {
            let error = count(&of(rest)).unwrap_err().to_string();
            assert!(error.contains("piece 2 of column 0"), "{rest}: {error}");
        }
    }

    /// Goal: a file whose table of blocks is a view over the function does not end the process; nor do types that do not fit, or an
    /// argument that comes twice.
    #[test]
    fn hostile_calls_are_errors() {
        let (conn, block) = times();
        let view = "CREATE VIEW tick_block AS SELECT 1 AS id, 1 AS rows, \
            (SELECT c0 FROM silt_block('tick_block', 1)) AS data";
        conn.execute_batch(view).unwrap();
        let error = |sql: &str| {
            let read = conn.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
            read.unwrap_err().to_string()
        };
        let nested = error("SELECT c0 FROM silt_block('tick_block', 1)");
        assert!(nested.contains("view over itself"), "{nested}");
        let twice = error("SELECT count(*) FROM silt_block('tick_block', 1) WHERE id = 2");
        assert!(twice.contains("given twice"), "{twice}");
        conn.execute_batch(
            "DROP VIEW tick_block; CREATE TABLE series_block (id, rows, index_data, value_data)",
        )
        .unwrap();
        let insert = "INSERT INTO series_block VALUES (1, 10000, ?1, ?1)";
        conn.execute(insert, [&block]).unwrap();
        let short = error("SELECT c1 FROM silt_block('series_block', 1, NULL, NULL, 'i64')");
        assert!(short.contains("no column 1"), "{short}");
        let other = "SELECT count(*) FROM silt_block(?1, NULL, 0, 1, 'time[ns]') WHERE c0 < '1960'";
        let count = conn.query_row(other, [&block], |row| row.get::<_, i64>(0));
        assert_eq!(count.unwrap(), 10_000, "bytes are what they are: integers are below texts");
        let bytes = "SELECT count(*) FROM silt_block(?1) WHERE c0 > CAST(x'ff' AS TEXT)";
        assert_eq!(conn.query_row(bytes, [&block], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }

    /// Goal: a table that has no blocks is not read, however it is called.
    #[test]
    fn other_tables_are_refused() {
        let (conn, _) = times();
        for name in ["sqlite_schema", "x; DROP TABLE y", "main.tick_block"] {
            let sql = "SELECT count(*) FROM silt_block(?1, 1)";
            let error = conn.query_row(sql, [name], |row| row.get::<_, i64>(0)).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
