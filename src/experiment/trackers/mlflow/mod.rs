//! MLflow: its folder `mlruns`, and its SQLite database.

mod database;
mod folder;
mod yaml;

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use database::DATABASE;
use serde_json::{Map, Value};

use super::run::Run;
use super::{Report, Source};
use crate::error::{Error, Result};
use crate::kernel::{Skipped, folder_of};

/// The name that MLflow gives its database.
const FILE: &str = "mlflow.db";

/// Opens what is there: a database, a folder `mlruns`, or one that has either or both.
pub(super) fn open(path: &Path, report: &mut Report) -> Result<Box<dyn Source>> {
    if path.is_file() {
        return Ok(Box::new(database::Runs::open(path, report)?));
    }
    let mut folder = folder::Runs::open(path, report)?;
    if folder.is_none() {
        folder = folder::Runs::open(&path.join("mlruns"), report)?;
    }
    let file = path.join(FILE);
    if !file.is_file() {
        return match folder {
            Some(runs) => Ok(Box::new(runs)),
            None => Err(none(path)),
        };
    }
    let Some(mut folder) = folder else {
        return Ok(Box::new(database::Runs::open(&file, report)?));
    };
    let of_folder = std::mem::take(&mut report.understood);
    let database = match database::Runs::open(&file, report) {
        Err(error @ (Error::NotOurs { .. } | Error::Invalid { .. })) => {
            report.understood = of_folder;
            match fs::metadata(&file).is_ok_and(|found| found.len() == 0) {
                true => report.notes.push(format!("{}: not read, it is empty", file.display())),
                false => report.skipped.push(Skipped::new(file, error)),
            }
            return Ok(Box::new(folder));
        }
        opened => opened?,
    };
    report.understood = format!("{of_folder}, and {}", report.understood);
    // A folder that was migrated stays as it was, and its database goes on.
    let n = folder.leave_out(&database.known);
    if n > 0 {
        let (path, file) = (path.display(), file.display());
        report.notes.push(format!("{path}: runs left out, since {file} has their ids: {n}"));
    }
    Ok(Box::new(Both(folder, database)))
}

fn none(path: &Path) -> Error {
    let expected = "a folder mlruns (with experiments that have a meta.yaml), a database of MLflow, or a folder that has one";
    let beside = folder_of(path).join(FILE);
    let got = match beside.is_file() {
        true => format!("a folder without, beside the database {}", beside.display()),
        false => "a folder without".into(),
    };
    Error::invalid(path.display().to_string(), expected, got)
}

/// The runs of both stores, none of which is in both.
struct Both(folder::Runs, database::Runs);

impl Both {
    /// The store of a run, and its number there.
    fn at(&self, run: usize) -> (&dyn Source, usize) {
        match run.checked_sub(self.0.len()) {
            None => (&self.0, run),
            Some(run) => (&self.1, run),
        }
    }
}

impl Source for Both {
    fn len(&self) -> usize {
        self.0.len() + self.1.len()
    }

    fn location(&self, run: usize) -> PathBuf {
        let (store, run) = self.at(run);
        store.location(run)
    }

    fn read(&self, run: usize, report: &mut Report) -> Result<Option<Run>> {
        let (store, run) = self.at(run);
        store.read(run, report)
    }
}

/// The store's word for a status of MLflow, which is a number in files and a word in databases.
fn status(of_run: Option<&str>) -> &'static str {
    match of_run {
        Some("1" | "RUNNING") => "running",
        Some("2" | "SCHEDULED") => "pending",
        Some("3" | "FINISHED") => "completed",
        Some("4" | "FAILED") => "failed",
        Some("5" | "KILLED") => "stopped",
        _ => "unknown",
    }
}

/// An experiment, as both kinds of store have it.
#[derive(Debug, Default)]
struct Experiment {
    id: String,
    name: String,
    facts: Map<String, Value>,
}

impl Experiment {
    /// By its name; ids are numbers that another store has too.
    fn of_run(&self) -> (String, Map<String, Value>) {
        (self.name.clone(), self.facts.clone())
    }
}

/// Reads times in ms, and what tags say of a run.
fn finish(run: &mut Run, times: [Option<i64>; 2], name: Option<String>) {
    let tag = |key: &str| run.tags.get(key).and_then(Value::as_str).map(str::to_owned);
    let (of_tag, parent) = (tag("mlflow.runName"), tag("mlflow.parentRunId"));
    let us = |ms: Option<i64>| ms.map(|ms| ms.saturating_mul(1_000));
    run.fact("run_name", name.filter(|name| !name.is_empty()).or(of_tag));
    run.parent = parent;
    [run.start_us, run.end_us] = times.map(us);
    // Of points of one step, MLflow takes the one with the greatest time as the last, and of those the greatest value.
    run.points.sort_by(|a, b| {
        let key = |p: &super::run::Point| (p.name, p.step, p.time_ms);
        key(a).cmp(&key(b)).then(a.value.total_cmp(&b.value))
    });
}
