//! MLflow: its folder `mlruns`, and its SQLite database.

mod database;
mod folder;
mod yaml;

use std::path::Path;

pub(crate) use database::DATABASE;
use serde_json::{Map, Value};

use super::run::Run;
use super::{Report, Source};
use crate::error::{Error, Result};

/// Opens what is there: a folder `mlruns`, one that has it, or a database.
pub(super) fn open(path: &Path, report: &mut Report) -> Result<Box<dyn Source>> {
    if path.is_file() {
        return Ok(Box::new(database::Runs::open(path, report)?));
    }
    for folder in [path.to_owned(), path.join("mlruns")] {
        if let Some(runs) = folder::Runs::open(&folder, report)? {
            return Ok(Box::new(runs));
        }
    }
    let expected = "a folder mlruns (with experiments that have a meta.yaml), one that has it, or a database of MLflow";
    Err(Error::invalid(path.display().to_string(), expected, "a folder without"))
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
