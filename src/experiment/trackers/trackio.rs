//! trackio: an SQLite database a project. It is read in snapshots, one a run, and never written to.

use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use serde_json::{Map, Value};

use super::files::database;
use super::run::Run;
use super::values::{time_ms, time_us};
use super::{Report, Source};
use crate::error::{Error, Result};
use crate::experiment::MIGRATIONS;
use crate::kernel::{Database, ReadTx, Skipped, Upgrade, json, table_exists};

/// How such a file is known. It is opened for reading alone: nothing is upgraded.
static TRACKIO: Upgrade =
    Upgrade { migrations: &MIGRATIONS, tables: &["metrics", "configs"], sql: "" };
pub(crate) static DATABASE: &[&Upgrade] = &[&TRACKIO];

/// The runs of a project.
struct Runs {
    db: Database,
    path: PathBuf,
    project: String,
    /// The column by which rows belong to a run: its id, or its name in databases of earlier versions.
    key: &'static str,
    /// The key and the name of each.
    runs: Vec<(String, String)>,
}

/// Opens the database of a project.
pub(super) fn open(path: &Path, report: &mut Report) -> Result<Box<dyn Source>> {
    if path.is_dir() {
        let expected = "the database of a project, PROJECT.db";
        return Err(Error::invalid(path.display().to_string(), expected, "a folder"));
    }
    let db = database(path, DATABASE)?;
    let (key, runs) = db.read(|tx| {
        let has_id = "SELECT 1 FROM pragma_table_info('metrics') WHERE name = 'run_id'";
        let has_id = tx.query_one(has_id, [], |_| Ok(()))?.is_some();
        let key = if has_id { "run_id" } else { "run_name" };
        let nameless = format!("SELECT count(*) FROM main.metrics WHERE {key} IS NULL");
        let nameless: Option<i64> = tx.query_one(&nameless, [], |row| Ok(row.get(0)?))?;
        report.leave_out("points of no run", nameless.unwrap_or(0) as u64);
        for (table, what) in [("alerts", "alerts"), ("traces", "traces")] {
            if table_exists(tx, table)? {
                let sql = format!("SELECT count(*) FROM main.{table}");
                let n: Option<i64> = tx.query_one(&sql, [], |row| Ok(row.get(0)?))?;
                report.leave_out(what, n.unwrap_or(0) as u64);
            }
        }
        let sql = format!(
            "SELECT {key}, max(run_name) FROM (SELECT {key}, run_name, min(id) AS id, 0 AS t FROM main.configs GROUP BY 1 \
             UNION ALL SELECT {key}, run_name, min(id), 1 FROM main.metrics GROUP BY 1) WHERE {key} IS NOT NULL \
             GROUP BY 1 ORDER BY min(t), min(id)"
        );
        Ok((key, tx.query(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?))
    })?;
    let project = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    report.understood = format!("the project {project:?} of trackio, {}", path.display());
    Ok(Box::new(Runs { db, path: path.to_owned(), project, key, runs }))
}

impl Source for Runs {
    fn len(&self) -> usize {
        self.runs.len()
    }

    fn location(&self, _: usize) -> PathBuf {
        self.path.clone()
    }

    fn read(&self, i: usize, report: &mut Report) -> Result<Option<Run>> {
        let (id, name) = &self.runs[i];
        let mut run = Run {
            id: id.clone(),
            experiment: Some((self.project.clone(), Map::new())),
            // It does not say how a run ended.
            status: "unknown",
            origin: Some(self.project.clone()),
            ..Run::default()
        };
        run.fact("run_name", Some(name.as_str()));
        self.db.read(|tx| {
            let sql =
                format!("SELECT config, created_at FROM main.configs WHERE {} = ?1", self.key);
            let config = tx.query_one(&sql, [id], |row| {
                Ok((
                    object(row.get_ref(0)?),
                    row.get_ref(1)?.as_str_or_null().ok().flatten().and_then(time_us),
                ))
            })?;
            if let Some((config, created)) = config {
                run.start_us = created;
                if self.key == "run_name" {
                    // Names come again in other projects of the same name.
                    run.origin = created.map(|at| format!("{} {at}", self.project));
                }
                match config {
                    Some(config) => {
                        let (own, given): (Map<_, _>, _) =
                            config.into_iter().partition(|(key, _)| key.starts_with('_'));
                        run.parameters = given;
                        run.fact(
                            "config",
                            Some(own).filter(|own| !own.is_empty()).map(Value::Object),
                        );
                    }
                    None => {
                        let why = "a config that is no JSON object";
                        report.skipped.push(self.skipped(id, "configs", 1, why));
                    }
                }
            }
            self.rows(tx, id, "metrics", &mut run, report)?;
            if table_exists(tx, "system_metrics")? {
                self.rows(tx, id, "system_metrics", &mut run, report)?;
            }
            Ok(())
        })?;
        Ok(Some(run))
    }
}

impl Runs {
    fn skipped(&self, id: &str, table: &str, n: u64, why: &str) -> Skipped {
        Skipped::new(&self.path, format!("run {id:?}: {why}")).table(table).rows(n)
    }

    /// The rows of a run in one of the tables of metrics. System metrics have no step: theirs is the number of the row.
    fn rows(
        &self,
        tx: &ReadTx<'_>,
        id: &str,
        table: &str,
        run: &mut Run,
        report: &mut Report,
    ) -> Result<()> {
        let is_system = table == "system_metrics";
        let step = if is_system { "row_number() OVER (ORDER BY id) - 1" } else { "step" };
        let sql = format!(
            "SELECT {step}, timestamp, metrics FROM main.{table} WHERE {} = ?1 ORDER BY id",
            self.key
        );
        let prefix = if is_system { "system/" } else { "" };
        let mut wrong = 0;
        let mut other = |_: &mut Run, _: &str, value: Value| match value {
            Value::Null => report.leave_out("values that are null", 1),
            Value::Object(object) if object.contains_key("_type") => {
                let kind = object["_type"].as_str().unwrap_or("object");
                report.leave_out(&format!("values of the type {kind}"), 1);
            }
            _ => report.leave_out("lists among values", 1),
        };
        tx.query(&sql, [id], |row| {
            let step = row.get_ref(0)?.as_i64_or_null().ok().flatten();
            let time = row.get_ref(1)?.as_str_or_null().ok().flatten();
            match (step, object(row.get_ref(2)?)) {
                (Some(step), Some(values)) => {
                    let time = time.and_then(time_ms);
                    for (name, value) in values {
                        let name = format!("{prefix}{name}");
                        run.log(&name, (step, time), plain(value), &mut other);
                    }
                }
                _ => wrong += 1,
            }
            Ok(())
        })?;
        if wrong > 0 {
            let why = "a step that is no integer, or metrics that are no JSON object";
            report.skipped.push(self.skipped(id, table, wrong, why));
        }
        Ok(())
    }
}

/// The JSON object of a cell: a text, or bytes in versions that write those.
fn object(cell: ValueRef<'_>) -> Option<Map<String, Value>> {
    let text = std::str::from_utf8(cell.as_bytes_or_null().ok()??).ok()?;
    if let Ok(Value::Object(object)) = json::parse(text) { Some(object) } else { None }
}

/// A value with numbers in place of what JSON does not have, which trackio writes as texts.
fn plain(value: Value) -> Value {
    match value {
        Value::String(text) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => {
            json::of_number(text.parse().unwrap_or(f64::NAN))
        }
        Value::Object(parts) => {
            parts.into_iter().map(|(name, value)| (name, plain(value))).collect()
        }
        other => other,
    }
}
