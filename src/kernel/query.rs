//! A user's own SQL, read only.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::Database;
use super::authorize::OnlyReads;
use super::documented_name::add_views;
use super::value_limit;
use crate::error::{Error, Result};

/// One value of an SQL result.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A 64-bit float.
    Real(f64),
    /// Text. Bytes that are not UTF-8 become U+FFFD.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// A text as it is, and numbers as texts; else empty.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Value::Text(text) => text.clone(),
            Value::Integer(n) => n.to_string(),
            Value::Real(x) => x.to_string(),
            Value::Null | Value::Blob(_) => String::new(),
        }
    }

    /// A number without its fraction; else 0.
    pub(crate) fn to_integer(&self) -> i64 {
        match self {
            Value::Integer(n) => *n,
            Value::Real(x) => *x as i64,
            _ => 0,
        }
    }

    /// As [`to_integer`](Self::to_integer), and 0 for what is negative.
    pub(crate) fn to_count(&self) -> u64 {
        self.to_integer().max(0) as u64
    }
}

/// The rows of an SQL statement.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// The column names, as SQLite gives them.
    pub columns: Vec<String>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
}

impl Database {
    /// Runs one SQL statement on a snapshot and returns its rows. The connection can only read.
    ///
    /// A documented table of which rows have gone into blocks, which SQLite alone refuses, gives all rows here. Beside
    /// SQLite's own functions there are `silt_items(dtype, shape, codec, data)`, an array
    /// as a JSON list, `silt_array(dtype, shape, data)`, the same in its shape, `silt_raw(dtype, shape, codec, data)`, its plain
    /// bytes, `silt_value(json, key, ...)`, the value behind a path of keys, `silt_similarity(a, b)` of two embeddings, the tables
    /// `silt_block(block)`, the rows of a column block, `silt_state(dataset, entity_group, at)` and `silt_ohlc(symbol, interval)`, and
    /// the documented table `time_series_data`, the points of series. A text is in single quotes: a name in double quotes that is not there is
    /// an error.
    ///
    /// # Errors
    /// [`Error::Sqlite`](crate::Error::Sqlite) for a statement that SQLite does not take;
    /// [`Error::Invalid`](crate::Error::Invalid) for one that would do more than read: write, open another file
    /// (`ATTACH`, `VACUUM`), set something (`PRAGMA name = value`) or load code. Pragmas that report stay.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let db = siltstone::Database::builder(folder.path().join("run.db")).open()?;
    /// let found = db.sql("SELECT 6 * 7 AS answer")?;
    /// assert_eq!(found.columns, ["answer"]);
    /// assert_eq!(found.rows, [[siltstone::Value::Integer(42)]]);
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn sql(&self, sql: &str) -> Result<Query> {
        let mut found = Query::default();
        self.sql_each(sql, |columns, row| {
            if found.columns.is_empty() {
                found.columns = columns.to_vec();
            }
            found.rows.extend(row);
            Ok(())
        })?;
        Ok(found)
    }

    /// Whether a table has a column.
    pub(crate) fn has_column(&self, table: &str, column: &str) -> Result<bool> {
        self.read(|tx| {
            let sql = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
            Ok(tx.query_one(sql, [table, column], |row| Ok(row.get::<_, i64>(0)?))? != Some(0))
        })
    }

    /// As [`sql`](Self::sql), a row at a time: `each` gets the column names and the row, and once
    /// `None` before the first row.
    ///
    /// # Errors
    /// As [`sql`](Self::sql), and whatever `each` returns.
    pub fn sql_each(
        &self,
        sql: &str,
        each: impl FnMut(&[String], Option<Vec<Value>>) -> Result<()>,
    ) -> Result<()> {
        self.with_own_reader("running the query", |conn| {
            add_views(conn)?;
            run(conn, sql, each)
        })
    }
}

/// Runs one statement of a user, which may only read.
pub(super) fn run(
    conn: &Connection,
    sql: &str,
    mut each: impl FnMut(&[String], Option<Vec<Value>>) -> Result<()>,
) -> Result<()> {
    let expected = "one statement without parameters, as SELECT 1";
    if is_empty(sql) {
        return Err(Error::invalid("the SQL statement", expected, "none"));
    }
    value_limit::apply(conn)?;
    let only_reads = OnlyReads::of(conn)?;
    let mut run = || {
        let mut statement = conn.prepare(sql)?;
        only_reads.check(&statement, sql)?;
        if statement.parameter_count() > 0 {
            return Err(Error::invalid("the SQL statement", expected, "one with ? or :name"));
        }
        let columns: Vec<String> =
            statement.column_names().into_iter().map(str::to_owned).collect();
        each(&columns, None)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let read = |i| row.get_ref(i).map(value);
            let cells = (0..columns.len()).map(read).collect::<Result<_, _>>()?;
            each(&columns, Some(cells))?;
        }
        Ok(())
    };
    run().map_err(|error| only_reads.explain(error))
}

/// Whether a text holds nothing but spaces, semicolons and comments.
fn is_empty(sql: &str) -> bool {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        let behind = |end: &str| rest.find(end).map_or("", |at| &rest[at + end.len()..]);
        rest = match rest {
            "" => return true,
            comment if comment.starts_with("--") => behind("\n"),
            comment if comment.starts_with("/*") => behind("*/"),
            _ => return false,
        };
    }
}

/// A cell as a value.
pub(crate) fn value(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Integer(n),
        ValueRef::Real(x) => Value::Real(x),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}
