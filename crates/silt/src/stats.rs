//! `silt stats`: what SQLite counts in a file, table by table.

use std::path::PathBuf;

use serde_json::{Map, Value as Json, json};
use siltstone::simulation::SimulationDatabase;
use siltstone::{Database, Value};

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::human;
use crate::table::Table;

/// The settings of the file that are reported, as SQLite names them.
const PRAGMAS: [&str; 9] = [
    "page_size",
    "page_count",
    "freelist_count",
    "journal_mode",
    "auto_vacuum",
    "encoding",
    "application_id",
    "user_version",
    "schema_version",
];

/// Show SQLite's settings and the size of each table and index
///
/// Reads all pages of the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt stats run.db --json | jq '.tables[] | select(.unused_bytes > 100000)'")]
pub(crate) struct Args {
    /// The database
    file: PathBuf,
}

/// One table or index.
struct Part {
    name: String,
    /// Rows of a table; an index has none of its own.
    rows: Option<u64>,
    pages: u64,
    bytes: u64,
    unused_bytes: u64,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    let handle = SimulationDatabase::open_read_only(&args.file)?;
    let db = handle.database();
    let mut settings = Map::new();
    for pragma in PRAGMAS {
        settings.insert(pragma.to_owned(), first(db, &format!("PRAGMA {pragma}"))?);
    }
    settings.insert("sqlite_version".to_owned(), first(db, "SELECT sqlite_version()")?);
    let parts = parts(db)?;
    if console.json {
        let tables: Vec<Json> = (parts.iter())
            .map(|part| {
                json!({
                    "name": part.name,
                    "rows": part.rows,
                    "pages": part.pages,
                    "bytes": part.bytes,
                    "unused_bytes": part.unused_bytes,
                })
            })
            .collect();
        let path = args.file.display().to_string();
        console.document(&json!({ "path": path, "settings": settings, "tables": tables }))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["setting", "value"]);
    for (name, value) in &settings {
        table.row([name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)]);
    }
    console.line(table.to_string())?;
    let headers = ["table or index", "rows", "pages", "size", "unused", "of all"];
    let mut table = Table::new(headers).width(console.table_width());
    let all: u64 = parts.iter().map(|part| part.bytes).sum();
    for part in &parts {
        table.row([
            part.name.clone(),
            part.rows.map_or("-".to_owned(), human::count),
            human::count(part.pages),
            human::size(part.bytes),
            human::size(part.unused_bytes),
            format!("{:.1}%", 100.0 * part.bytes as f64 / all.max(1) as f64),
        ]);
    }
    console.line("")?;
    console.line(table.to_string())?;
    Ok(Exit::Done)
}

/// Tables and indexes, the largest first.
fn parts(db: &Database) -> Outcome<Vec<Part>> {
    let names = db.sql("SELECT name FROM sqlite_schema WHERE type = 'table'")?.rows;
    let names: Vec<String> = names.into_iter().filter_map(|row| text(&row[0])).collect();
    let sql = "SELECT name, count(*), sum(pgsize), sum(unused) FROM dbstat \
        GROUP BY name ORDER BY 3 DESC, 1";
    let mut parts = Vec::new();
    for row in db.sql(sql)?.rows {
        let name = text(&row[0]).unwrap_or_default();
        let rows = match names.contains(&name) {
            true => {
                let sql = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
                Some(db.sql(&sql)?.rows.first().map_or(0, |row| natural(&row[0])))
            }
            false => None,
        };
        let (pages, bytes, unused_bytes) = (natural(&row[1]), natural(&row[2]), natural(&row[3]));
        parts.push(Part { name, rows, pages, bytes, unused_bytes });
    }
    Ok(parts)
}

/// The first value of a statement.
fn first(db: &Database, sql: &str) -> Outcome<Json> {
    let rows = db.sql(sql)?.rows;
    Ok(match rows.first().and_then(|row| row.first()) {
        Some(Value::Integer(n)) => (*n).into(),
        Some(Value::Text(text)) => text.clone().into(),
        _ => Json::Null,
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn natural(value: &Value) -> u64 {
    match value {
        Value::Integer(n) => (*n).max(0) as u64,
        _ => 0,
    }
}
