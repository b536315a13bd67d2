//! `silt query`: a user's own SQL.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use siltstone::table::{WriteOptions, Written, without_formula};
use siltstone::ticks::DaysRead;
use siltstone::{Error, Handle, Value};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::rows::{Format, Rows};
use crate::{human, interrupt, rows};

/// Bytes of a blob that its summary shows.
const BLOB_BYTES: usize = 12;

/// Run one SQL statement, read only, and print its rows
///
/// The table "update" is an SQL keyword and wants quotes. Beside SQLite's functions there are
/// silt_items(dtype, shape, codec, data), an array as a JSON list, silt_array(dtype, shape, data), the same in its
/// shape, silt_raw(dtype, shape, codec, data), its plain bytes, silt_value(json, key, ...), the value behind a path of
/// keys, silt_similarity(a, b), the cosine of two embeddings, and the tables silt_state(dataset, entity_group, at) and
/// silt_ohlc(symbol, interval, from_ns, until_ns, price). A text is in single quotes.
///
/// Of a folder of ticks there is one table, ticks, with all days: symbol, timestamp (ms), time_ns, bid, ask, spread,
/// lp_source and broker_id. Only the days that conditions on symbol, timestamp and time_ns leave are opened; stderr says how
/// many.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt query run.db 'SELECT dataset_name, count(*) FROM \"update\" GROUP BY 1'
  silt query run.db 'SELECT id, silt_items(dtype, shape, codec, data) AS items
      FROM numpy_array LIMIT 5' --format jsonl
  silt query data/ticks/db \"SELECT avg(ask - bid) FROM ticks WHERE symbol = 'EURUSD'
      AND timestamp >= 1768780800000\"
  silt query run.db 'SELECT * FROM \"update\"' --output updates.parquet")]
pub(crate) struct Args {
    /// The database, or a folder of ticks
    file: PathBuf,

    /// The statement; - reads it from stdin
    sql: String,

    /// Output format (default: a table on a terminal, TSV in a pipe)
    #[arg(long, short, value_enum)]
    format: Option<Format>,

    /// Write the rows to this file; its extension is the format: parquet, arrow, csv or jsonl
    #[arg(long, short, value_name = "FILE", conflicts_with = "format")]
    output: Option<PathBuf>,

    /// Replace the output file if there is one
    #[arg(long, requires = "output")]
    overwrite: bool,

    /// In CSV and TSV, put a ' before texts that a spreadsheet would run as formulas (= + - @); numbers stay
    #[arg(long)]
    escape_formulas: bool,

    /// Print whole blobs as hex (default: the first bytes and the size)
    #[arg(long)]
    whole_blobs: bool,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    let db = siltstone::open_read_only(&args.file)?;
    let mut sql = args.sql.clone();
    if sql == "-" {
        sql.clear();
        let read = std::io::stdin().read_to_string(&mut sql);
        read.map_err(|error| Failure::said(format!("stdin: cannot read: {error}")))?;
    }
    if let Some(path) = &args.output {
        return write(args, &db, &sql, path, console);
    }
    let format = Format::or_default(args.format, console);
    let form = Form {
        format,
        whole_blobs: args.whole_blobs,
        // JSON is no spreadsheet's.
        escape_formulas: args.escape_formulas && matches!(format, Format::Csv | Format::Tsv),
    };
    let mut out = Out::Waiting(Target::Console(console), None);
    let mut failed = None;
    let each = |columns: &[String], row: Option<Vec<Value>>| {
        // The library's callback knows only the library's errors.
        out.take(form, columns, row).map_err(|error| {
            failed = Some(error);
            Error::Interrupted { action: "printing rows" }
        })
    };
    let asked = each_row(&db, &sql, each);
    if let Some(error) = failed {
        return Err(error.into());
    }
    let days = asked.map_err(with_hint)?;
    out.end(form)?;
    report_days(days, console);
    Ok(Exit::Done)
}

/// Says how much of a folder was read.
fn report_days(days: Option<DaysRead>, console: &mut Console) {
    if let Some(DaysRead { opened, days }) = days {
        console.note(&format!("{} of {} opened", human::count(opened), human::plural(days, "day")));
    }
}

/// The error, with what to do about the keyword that is a table's name.
fn with_hint(error: Error) -> Error {
    match error {
        Error::Sqlite { path, action, code, why }
            if why.to_ascii_lowercase().starts_with("near \"update\": syntax error") =>
        {
            let hint = "the table's name is an SQL keyword, write it as \"update\" in quotes";
            Error::Sqlite { path, action, code, why: format!("{why}; {hint}") }
        }
        other => other,
    }
}

/// The rows as a table's file.
fn write(args: &Args, db: &Handle, sql: &str, path: &Path, console: &mut Console) -> Outcome {
    let Some(format) = siltstone::table::Format::of_path(path) else {
        let file = path.display();
        return Err(Failure::said(format!(
            "{file}: its ending is none of parquet, arrow, csv and jsonl"
        )));
    };
    interrupt::listen();
    let text_format = match format {
        siltstone::table::Format::Csv => Some(Format::Csv),
        siltstone::table::Format::Jsonl => Some(Format::Jsonl),
        _ => None,
    };
    let (written, days) = match text_format {
        Some(format) => write_text(args, db, sql, (path, format))?,
        None => write_table(args, db, sql, (path, format))?,
    };
    let path = path.display().to_string();
    if console.json {
        console.document(&json!({ "path": path, "rows": written.rows, "bytes": written.bytes }))?;
    } else {
        let (rows, size) = (human::plural(written.rows, "row"), human::size(written.bytes));
        console.line(format!("{path}: {rows}, {size}"))?;
    }
    report_days(days, console);
    Ok(Exit::Done)
}

/// Text has a form for each value: the file has what stdout would get.
fn write_text(
    args: &Args,
    db: &Handle,
    sql: &str,
    (path, format): (&Path, Format),
) -> Outcome<(Written, Option<DaysRead>)> {
    if !args.overwrite && path.symlink_metadata().is_ok() {
        return Err(Failure::said(format!(
            "the file {} exists already; choose another name, or pass --overwrite to replace it",
            path.display()
        )));
    }
    let form = Form {
        format,
        whole_blobs: true,
        escape_formulas: args.escape_formulas && format == Format::Csv,
    };
    let mut rows = 0;
    let refused = |error: std::io::Error| Error::Io {
        path: path.to_owned(),
        action: "writing rows",
        kind: error.kind(),
        why: error.to_string(),
    };
    let days = siltstone::write_file_with(path, |file| {
        let mut out = Out::Waiting(Target::File(file), None);
        let each = |columns: &[String], row: Option<Vec<Value>>| {
            rows += u64::from(row.is_some());
            if rows.is_multiple_of(1024) {
                interrupt::check("writing rows")?;
            }
            out.take(form, columns, row).map_err(refused)
        };
        let days = each_row(db, sql, each).map_err(std::io::Error::other)?;
        out.end(form)?;
        Ok(days)
    })
    .map_err(with_hint)?;
    let bytes = path.metadata().map_err(refused)?.len();
    Ok((Written { rows, bytes }, days))
}

/// A format of tables has a type a column.
fn write_table(
    args: &Args,
    db: &Handle,
    sql: &str,
    (path, format): (&Path, siltstone::table::Format),
) -> Outcome<(Written, Option<DaysRead>)> {
    let (batches, days) = match db {
        Handle::Ticks(ticks) => ticks.arrow(sql).map(|(batches, days)| (batches, Some(days))),
        other => other.arrow(sql).map(|batches| (batches, None)),
    }
    .map_err(with_hint)?;
    let options =
        WriteOptions { format, overwrite: args.overwrite, escape_formulas: args.escape_formulas };
    let written = siltstone::table::write(path, batches, &options, &mut |_, _| {
        interrupt::check("writing rows")
    })?;
    Ok((written, days))
}

/// Hands each row to `each`; of a folder, which days were opened.
fn each_row(
    db: &Handle,
    sql: &str,
    each: impl FnMut(&[String], Option<Vec<Value>>) -> siltstone::Result<()>,
) -> siltstone::Result<Option<DaysRead>> {
    match db {
        Handle::Ticks(ticks) => ticks.sql_each(sql, each).map(Some),
        other => other.database()?.sql_each(sql, each).map(|()| None),
    }
}

/// How rows are printed.
#[derive(Debug, Clone, Copy)]
struct Form {
    format: Format,
    whole_blobs: bool,
    escape_formulas: bool,
}

impl Form {
    fn names(self, names: Vec<String>) -> Vec<String> {
        match self.escape_formulas {
            true => names.iter().map(|name| without_formula(name).into_owned()).collect(),
            false => names,
        }
    }

    fn cell(self, value: Value) -> Json {
        match value {
            Value::Text(text) if self.escape_formulas => without_formula(&text).into(),
            value => to_json(value, self.whole_blobs),
        }
    }
}

/// Where rows go.
enum Target<'a> {
    Console(&'a mut Console),
    File(&'a mut dyn std::io::Write),
}

impl<'a> Target<'a> {
    fn begin(self, form: Form, columns: Vec<String>) -> std::io::Result<Rows<'a>> {
        match self {
            Target::Console(console) => Rows::begin(console, form.format, form.names(columns)),
            Target::File(file) => Rows::begin_file(file, form.format, form.names(columns)),
        }
    }
}

/// The columns are known when the statement is; they are written with the first row, since until then
/// it may fail.
enum Out<'a> {
    Waiting(Target<'a>, Option<Vec<String>>),
    Begun(Rows<'a>),
    Nowhere,
}

impl Out<'_> {
    fn take(
        &mut self,
        form: Form,
        columns: &[String],
        row: Option<Vec<Value>>,
    ) -> std::io::Result<()> {
        // A statement that gives no rows has no header either.
        if columns.is_empty() {
            return Ok(());
        }
        let Some(row) = row else {
            if let Out::Waiting(_, waiting) = self {
                *waiting = Some(columns.to_vec());
            }
            return Ok(());
        };
        *self = match std::mem::replace(self, Out::Nowhere) {
            Out::Waiting(target, _) => Out::Begun(target.begin(form, columns.to_vec())?),
            other => other,
        };
        if let Out::Begun(rows) = self {
            rows.row(row.into_iter().map(|value| form.cell(value)).collect())?;
        }
        Ok(())
    }

    fn end(self, form: Form) -> std::io::Result<()> {
        match self {
            Out::Begun(rows) => drop(rows.end()?),
            // No rows: the header says so.
            Out::Waiting(target, Some(columns)) => drop(target.begin(form, columns)?.end()?),
            Out::Waiting(..) | Out::Nowhere => {}
        }
        Ok(())
    }
}

fn to_json(value: Value, whole_blobs: bool) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(n) => n.into(),
        Value::Real(x) => rows::number(x),
        Value::Text(text) => text.into(),
        Value::Blob(bytes) => blob(&bytes, whole_blobs).into(),
        other => format!("{other:?}").into(),
    }
}

/// The bytes as an SQL literal, or their beginning and how many they are.
fn blob(bytes: &[u8], whole: bool) -> String {
    let shown = if whole { bytes.len() } else { bytes.len().min(BLOB_BYTES) };
    let hex: String = bytes[..shown].iter().map(|byte| format!("{byte:02x}")).collect();
    match bytes.len() - shown {
        0 => format!("x'{hex}'"),
        _ => format!("x'{hex}…' {} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a short blob is itself, a long one is summed up, and whole when asked for.
    #[test]
    fn blobs_are_summed_up() {
        assert_eq!(blob(&[], false), "x''");
        assert_eq!(blob(&[1, 255], false), "x'01ff'");
        assert_eq!(blob(&[7; 13], false), format!("x'{}…' 13 bytes", "07".repeat(12)));
        assert_eq!(blob(&[7; 13], true), format!("x'{}'", "07".repeat(13)));
    }
}
