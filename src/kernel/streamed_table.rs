//! A table that the program computes while a statement reads it.
//!
//! The rows come in chunks, between the bounds that the statement sets on their first columns; the rest of its conditions are
//! SQLite's to check.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::Value;
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp as Op, IndexInfo, Module, VTab, VTabConfig, VTabConnection,
    VTabCursor,
};
use rusqlite::{Error, Result, ffi};

use super::failure::At;
use super::guarded::Guarded;
use super::row_source::RowSource;
use super::{connect, query};

/// Columns that can have bounds: the first is a text, the others are integers.
const BOUND_COLUMNS: usize = 3;

/// What a statement asks of the first columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bounds {
    /// The text of the first column.
    pub(crate) word: Option<String>,
    /// The least and the greatest value of the columns behind it.
    pub(crate) ranges: [(i64, i64); BOUND_COLUMNS - 1],
}

/// Rows that can be told apart.
pub(crate) trait StreamedRows: RowSource {
    /// What no other row of the table has, whatever the bounds.
    fn key(&self, row: usize) -> [i64; 3];
}

/// The next rows; `None` at the end.
pub(crate) type Chunks = Box<dyn FnMut() -> crate::Result<Option<Box<dyn StreamedRows>>>>;

/// A table of one text column, two of integers, and any others.
pub(crate) trait StreamedTable: Send + Sync {
    /// `CREATE TABLE x(...)`, with these columns first.
    fn schema(&self) -> &'static CStr;

    /// The rows within the bounds. More may come: SQLite looks at each again.
    fn rows(&self, bounds: &Bounds) -> crate::Result<Chunks>;
}

/// Runs one statement that only reads over a table that is called `name`. `each` is that of
/// [`Database::sql_each`](super::Database::sql_each), `path` is what errors name.
pub(crate) fn query_streamed(
    path: &Path,
    name: &CStr,
    table: impl StreamedTable + 'static,
    sql: &str,
    each: impl FnMut(&[String], Option<Vec<query::Value>>) -> crate::Result<()>,
) -> crate::Result<()> {
    const MODULE: Module<Guarded<Streamed>> = Module::eponymous_only_module();
    let table = Box::new(table);
    let shared: Shared =
        Arc::new(Source { table, failed: Mutex::default(), ids: Mutex::default() });
    let run = || -> crate::Result<()> {
        let conn = connect::in_memory()?;
        conn.create_module(name, &MODULE, Some(shared.clone()))?;
        query::run(&conn, sql, each)
    };
    let ran = run();
    match shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) => Err(error),
        None => ran.at(path, "running the query"),
    }
}

struct Source {
    table: Box<dyn StreamedTable>,
    /// The store's own error, which SQLite would make a text of.
    failed: Mutex<Option<crate::Error>>,
    /// The ids of rows of which SQLite asked them: where it joins the rows of several scans (`OR`, `RIGHT JOIN`), it knows by
    /// them which it has seen. So a row has one in the whole statement.
    ids: Mutex<HashMap<[i64; 3], i64>>,
}

type Shared = Arc<Source>;

impl Source {
    fn failed(&self, error: crate::Error) -> Error {
        let text = error.to_string();
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        Error::ModuleError(text)
    }
}

#[repr(C)]
struct Streamed {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab,
    source: Shared,
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl<'vtab> VTab<'vtab> for Streamed {
    type Aux = Shared;
    type Cursor = Cursor<'vtab>;

    fn connect(
        db: &mut VTabConnection,
        aux: Option<&Shared>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        db.config(VTabConfig::DirectOnly)?;
        let source = aux.expect("the module is made with its table").clone();
        let schema = Cow::Borrowed(source.table.schema());
        Ok((schema, Streamed { base: ffi::sqlite3_vtab::default(), source }))
    }

    /// The plan is a text: for each argument of [`Cursor::filter`] the column and the comparison.
    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let mut plan = String::new();
        let mut cost = 1e9;
        let found: Vec<(c_int, Op, bool)> = (info.constraints())
            .map(|asked| (asked.column(), asked.operator(), asked.is_usable()))
            .collect();
        for (i, (column, operator, usable)) in found.into_iter().enumerate() {
            let comparison = match operator {
                Op::SQLITE_INDEX_CONSTRAINT_EQ => '=',
                Op::SQLITE_INDEX_CONSTRAINT_GT => '>',
                Op::SQLITE_INDEX_CONSTRAINT_GE => ']',
                Op::SQLITE_INDEX_CONSTRAINT_LT => '<',
                Op::SQLITE_INDEX_CONSTRAINT_LE => '[',
                _ => continue,
            };
            let is_bound = match column {
                // Another collation has more equal texts.
                0 => comparison == '=' && info.collation(i)? == "BINARY",
                column => (1..BOUND_COLUMNS as c_int).contains(&column),
            };
            if !usable || !is_bound {
                continue;
            }
            plan.extend([char::from(b'0' + column as u8), comparison]);
            info.constraint_usage(i).set_argv_index(plan.len() as c_int / 2);
            cost /= if comparison == '=' { 100.0 } else { 4.0 };
        }
        info.set_idx_str(&plan);
        info.set_estimated_cost(cost);
        Ok(true)
    }

    fn open(&mut self) -> Result<Cursor<'_>> {
        Ok(Cursor {
            base: ffi::sqlite3_vtab_cursor::default(),
            source: self.source.clone(),
            chunks: None,
            chunk: None,
            row: 0,
            table: PhantomData,
        })
    }
}

#[repr(C)]
struct Cursor<'vtab> {
    /// SQLite's part, which must come first.
    base: ffi::sqlite3_vtab_cursor,
    source: Shared,
    chunks: Option<Chunks>,
    chunk: Option<Box<dyn StreamedRows>>,
    /// In the chunk.
    row: usize,
    table: PhantomData<&'vtab Streamed>,
}

impl Cursor<'_> {
    /// Goes on to the next chunk that has rows.
    fn advance(&mut self) -> Result<()> {
        self.row = 0;
        loop {
            let Some(chunks) = &mut self.chunks else { return Ok(()) };
            self.chunk = chunks().map_err(|error| self.source.failed(error))?;
            match &self.chunk {
                None => self.chunks = None,
                Some(chunk) if chunk.rows() == 0 => {}
                Some(_) => return Ok(()),
            }
        }
    }
}

// SAFETY: `repr(C)`, and SQLite's part comes first.
unsafe impl VTabCursor for Cursor<'_> {
    fn filter(&mut self, _: c_int, plan: Option<&str>, arguments: &Filters<'_>) -> Result<()> {
        let plan = plan.unwrap_or_default().as_bytes();
        let mut bounds = Bounds { word: None, ranges: [(i64::MIN, i64::MAX); BOUND_COLUMNS - 1] };
        let mut is_empty = false;
        for (i, step) in plan.chunks_exact(2).enumerate() {
            let (column, comparison) = (usize::from(step[0] - b'0'), step[1]);
            match (arguments.get::<Value>(i)?, column) {
                // Nothing is equal to NULL, less or more.
                (Value::Null, _) => is_empty = true,
                (Value::Text(word), 0) => bounds.word = Some(word),
                // A text or a blob is compared by its kind: SQLite looks at the rows.
                (_, 0) | (Value::Text(_) | Value::Blob(_), _) => {}
                (Value::Integer(n), column) => {
                    narrow(&mut bounds.ranges[column - 1], comparison, n, n)
                }
                (Value::Real(x), column) => {
                    // From float to integer `as` saturates, and NaN, which SQLite does not have, is 0.
                    let (below, above) = (x.floor() as i64, (x.ceil() as i64).saturating_add(1));
                    narrow(&mut bounds.ranges[column - 1], comparison, below, above);
                }
            }
        }
        (self.chunk, self.chunks) = (None, None);
        if !is_empty && bounds.ranges.iter().all(|(least, greatest)| least <= greatest) {
            let chunks = self.source.table.rows(&bounds);
            self.chunks = Some(chunks.map_err(|error| self.source.failed(error))?);
        }
        self.advance()
    }

    fn next(&mut self) -> Result<()> {
        self.row += 1;
        match &self.chunk {
            Some(chunk) if self.row >= chunk.rows() => self.advance(),
            _ => Ok(()),
        }
    }

    fn eof(&self) -> bool {
        self.chunk.is_none()
    }

    fn column(&self, context: &mut Context, i: c_int) -> Result<()> {
        self.chunk.as_ref().map_or(Ok(()), |chunk| chunk.give(self.row, i as usize, context))
    }

    fn rowid(&self) -> Result<i64> {
        let Some(chunk) = &self.chunk else { return Ok(0) };
        let mut ids = self.source.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let next = ids.len() as i64 + 1;
        Ok(*ids.entry(chunk.key(self.row)).or_insert(next))
    }
}

/// Narrows a range to what a comparison allows. The two numbers are the integers around the value that it compares with:
/// the same if the value is one.
fn narrow(range: &mut (i64, i64), comparison: u8, below: i64, above: i64) {
    // Between two integers both stay: SQLite looks again.
    let is_integer = i64::from(below == above);
    match comparison {
        b'=' => *range = (range.0.max(below), range.1.min(above)),
        b'>' => range.0 = range.0.max(below.saturating_add(is_integer)),
        b']' => range.0 = range.0.max(below),
        b'<' => range.1 = range.1.min(above.saturating_sub(is_integer)),
        _ => range.1 = range.1.min(above),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from 0, ten to a chunk, up to 90, where it may fail; and the bounds that were set.
    struct Numbers {
        bounds: Arc<Mutex<Vec<Bounds>>>,
        fails: bool,
    }

    struct Ten(i64);

    impl RowSource for Ten {
        fn rows(&self) -> usize {
            10
        }

        fn give(&self, row: usize, column: usize, to: &mut Context) -> Result<()> {
            let n = self.0 + row as i64;
            match column {
                0 => to.set_result(&format!("n{}", n % 3)),
                1 => to.set_result(&n),
                _ => to.set_result(&(n * 10)),
            }
        }
    }

    impl StreamedRows for Ten {
        fn key(&self, row: usize) -> [i64; 3] {
            [self.0, row as i64, 0]
        }
    }

    impl StreamedTable for Numbers {
        fn schema(&self) -> &'static CStr {
            c"CREATE TABLE x(word TEXT, n INTEGER, tens INTEGER)"
        }

        fn rows(&self, bounds: &Bounds) -> crate::Result<Chunks> {
            self.bounds.lock().unwrap().push(bounds.clone());
            let (mut next, fails) = ((0..100).step_by(10), self.fails);
            Ok(Box::new(move || match next.next() {
                Some(90) if fails => Err(crate::Error::invalid("n", "a number below 90", "90")),
                Some(90) => Ok(None),
                first => Ok(first.map(|n| Box::new(Ten(n)) as Box<dyn StreamedRows>)),
            }))
        }
    }

    fn ask(sql: &str, fails: bool) -> (crate::Result<Vec<Vec<query::Value>>>, Vec<Bounds>) {
        let bounds = Arc::<Mutex<Vec<Bounds>>>::default();
        let mut rows = Vec::new();
        let table = Numbers { bounds: bounds.clone(), fails };
        let ran = query_streamed(Path::new("numbers"), c"numbers", table, sql, |_, row| {
            rows.extend(row);
            Ok(())
        });
        let bounds = bounds.lock().unwrap().clone();
        (ran.map(|()| rows), bounds)
    }

    /// Goal: bounds reach the table, and never leave out a row that SQLite would keep.
    #[test]
    fn bounds_are_handed_on_and_rows_checked_again() {
        const ALL: (i64, i64) = (i64::MIN, i64::MAX);
        for (condition, word, ranges) in [
            ("word = 'n1' AND n BETWEEN 3 AND 7", Some("n1"), [(3, 7), ALL]),
            ("n > 2.5 AND tens <= 40.5", None, [(2, i64::MAX), (i64::MIN, 42)]),
            ("n > 2 AND tens >= 40 AND tens < 90", None, [(3, i64::MAX), (40, 89)]),
            ("n = 4", None, [(4, 4), ALL]),
            ("word = 'N1' COLLATE NOCASE AND n < 9", None, [(i64::MIN, 8), ALL]),
            ("n < 'text' AND n <= 5", None, [(i64::MIN, 5), ALL]),
            ("n < 1e300 AND n > -1e300 AND n < 6", None, [(i64::MIN, 5), ALL]),
        ] {
            let sql = format!("SELECT n FROM numbers WHERE {condition} LIMIT 5");
            let (rows, bounds) = ask(&sql, false);
            let wanted = Bounds { word: word.map(str::to_owned), ranges };
            assert_eq!(bounds, [wanted], "{condition}");
            // The same of a table of SQLite's.
            let sql = format!(
                "WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 89), \
                 numbers AS MATERIALIZED (SELECT CAST('n' || (n % 3) AS TEXT) AS word, n, n * 10 AS tens FROM c) \
                 SELECT n FROM numbers WHERE {condition} LIMIT 5"
            );
            let wanted = ask(&sql, false).0.unwrap();
            assert!(!wanted.is_empty() && rows.unwrap() == wanted, "{condition}");
        }
    }

    /// Goal: nothing is asked for where nothing can be; the store's error comes through as it is; no statement writes.
    #[test]
    fn errors_are_the_stores_own() {
        assert!(ask("SELECT n FROM numbers WHERE n > 5 AND n < 3", true).1.is_empty());
        let error = ask("SELECT count(*) FROM numbers", true).0.unwrap_err();
        assert!(matches!(&error, crate::Error::Invalid { what, .. } if what == "n"), "{error:?}");
        for sql in ["CREATE TABLE t(x)", "ATTACH 'other.db' AS o", "DELETE FROM numbers"] {
            assert!(ask(sql, true).0.is_err(), "{sql}");
        }
    }
}
