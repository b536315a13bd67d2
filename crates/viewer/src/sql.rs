//! A user's own SQL, which only reads, and the tables it can name.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use siltstone::{Error, Handle, Result, Value};

use crate::Shared;
use crate::answer::{Answer, LONGEST, read};
use crate::table::document;

/// The longest that a statement may run.
const LONGEST_STATEMENT: Duration = Duration::from_secs(30);
/// Rows that are answered unless the query says otherwise, and the most that it may ask for.
const ROWS: usize = 10_000;
const MOST_ROWS: usize = 100_000;
/// Bytes of a blob, and of a text, that are answered.
const BLOB_BYTES: usize = 24;
const TEXT_BYTES: usize = 4096;
/// Bytes that an answer may take in memory.
const ANSWER_BYTES: usize = 64 << 20;
/// Bytes of the longest text or blob that a statement may make or read, on the way to an answer too: as much as an answer.
const VALUE_BYTES: usize = ANSWER_BYTES;
/// Statements that run at one time: one that is inside a function of SQL cannot be stopped, and must not hold every reader.
pub(crate) const STATEMENTS: usize = 2;

/// The query: a statement.
#[derive(Debug, Deserialize)]
struct Statement {
    sql: String,
    #[serde(default = "rows")]
    limit: usize,
}

fn rows() -> usize {
    ROWS
}

/// `POST /api/sql`: the rows of a statement, up to a limit.
pub(crate) async fn run(State(shared): State<Shared>, body: Bytes) -> Answer {
    let statement: Statement = serde_json::from_slice(&body).map_err(|error| Error::Invalid {
        what: "the query".to_owned(),
        expected: r#"JSON as {"sql": "SELECT 1", "limit": 1000}"#.to_owned(),
        got: error.to_string(),
    })?;
    let limit = statement.limit.clamp(1, MOST_ROWS);
    // Given back when the statement has ended, even if nobody waits for it any more.
    let turn = shared.statements.clone().acquire_owned().await;
    let started = Instant::now();
    let found = read(&shared, LONGEST_STATEMENT, move |handle| {
        let _turn = turn;
        first_rows(handle, &statement.sql, limit)
    });
    let found = found.await?;
    Ok(document(&json!({
        "columns": found.columns,
        "rows": found.rows,
        "more": found.more,
        "limit": limit,
        "seconds": started.elapsed().as_secs_f64(),
    })))
}

/// The first rows of a statement, as JSON.
#[derive(Default)]
struct Found {
    columns: Vec<String>,
    rows: Vec<Vec<Json>>,
    /// Whether there are more.
    more: bool,
}

fn first_rows(handle: &Handle, sql: &str, limit: usize) -> Result<Found> {
    let (mut found, mut bytes) = (Found::default(), 0);
    let each = |columns: &[String], row: Option<Vec<Value>>| {
        if found.columns.is_empty() {
            found.columns = columns.to_vec();
        }
        let Some(row) = row else { return Ok(()) };
        if found.rows.len() == limit {
            found.more = true;
            // The way to end a statement: what it says is not read below.
            return Err(Error::Interrupted { action: "reading rows behind the limit" });
        }
        // What is long is cut here: only what is answered is kept.
        let row: Vec<Json> = row.into_iter().map(cell).collect();
        bytes += row.iter().map(size_of_cell).sum::<usize>();
        if bytes > ANSWER_BYTES {
            return Err(Error::Invalid {
                what: "the rows of the statement".to_owned(),
                expected: format!("at most {} MB for one answer", ANSWER_BYTES >> 20),
                got: "more; ask for fewer rows or columns".to_owned(),
            });
        }
        found.rows.push(row);
        Ok(())
    };
    let done = siltstone::with_value_limit(VALUE_BYTES, || match handle {
        Handle::Ticks(ticks) => ticks.sql_each(sql, each).map(drop),
        other => other.database()?.sql_each(sql, each),
    });
    match done {
        Err(Error::Interrupted { .. }) if found.more => {}
        other => other?,
    }
    Ok(found)
}

/// Bytes of a value in memory.
fn size_of_cell(cell: &Json) -> usize {
    size_of::<Json>() + cell.as_str().map_or(0, str::len)
}

/// A value as JSON. What JSON has no number for is a text, and of what is long the begin.
fn cell(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(n) => n.into(),
        Value::Real(x) if x.is_finite() => x.into(),
        Value::Real(x) if x.is_nan() => "NaN".into(),
        Value::Real(x) => if x > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        Value::Text(text) if text.len() > TEXT_BYTES => {
            let ends = text.char_indices().map(|(end, _)| end).take_while(|end| *end <= TEXT_BYTES);
            let end = ends.last().unwrap_or(0);
            format!("{}… {} bytes", &text[..end], text.len()).into()
        }
        Value::Text(text) => text.into(),
        Value::Blob(bytes) => {
            let shown = &bytes[..bytes.len().min(BLOB_BYTES)];
            let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            match bytes.len() == shown.len() {
                true => format!("x'{hex}'").into(),
                false => format!("x'{hex}…' {} bytes", bytes.len()).into(),
            }
        }
        other => format!("{other:?}").into(),
    }
}

/// Tables and views of the file, the connection's own views among them, and their columns.
const TABLES: &str = "SELECT s.name, s.type, c.name, c.type
    FROM (SELECT name, type FROM main.sqlite_schema UNION SELECT name, type FROM temp.sqlite_schema) s
    JOIN pragma_table_info(s.name) c
    WHERE s.type IN ('table', 'view') AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    ORDER BY s.name, c.cid";
/// The one table of a folder.
const TICK_COLUMNS: [[&str; 2]; 8] = [
    ["symbol", "TEXT"],
    ["timestamp", "INTEGER"],
    ["time_ns", "INTEGER"],
    ["bid", "REAL"],
    ["ask", "REAL"],
    ["spread", "REAL"],
    ["lp_source", "TEXT"],
    ["broker_id", "TEXT"],
];

/// `GET /api/tables`: what a statement can name.
pub(crate) async fn tables(State(shared): State<Shared>) -> Answer {
    let tables = read(&shared, LONGEST, |handle| {
        if let Handle::Ticks(_) = handle {
            let columns = TICK_COLUMNS.map(|[name, kind]| json!({ "name": name, "type": kind }));
            return Ok(vec![json!({ "name": "ticks", "type": "table", "columns": columns })]);
        }
        let mut tables: Vec<Json> = Vec::new();
        for row in handle.sql(TABLES)?.rows {
            let [table, kind, column, column_type]: [Value; 4] =
                row.try_into().map_err(|_| Error::Panicked {
                    what: "the list of tables".to_owned(),
                    why: "has other columns than were asked for",
                })?;
            let (table, kind) = (cell(table), cell(kind));
            if tables.last().is_none_or(|last| last["name"] != table) {
                tables.push(json!({ "name": table, "type": kind, "columns": [] }));
            }
            if let Some(Json::Array(columns)) = tables.last_mut().map(|last| &mut last["columns"]) {
                columns.push(json!({ "name": cell(column), "type": cell(column_type) }));
            }
        }
        Ok(tables)
    });
    Ok(document(&json!({ "tables": tables.await? })))
}
