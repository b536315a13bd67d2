//! `mlflow.db`, MLflow's SQLite database. It is read in snapshots, one a run, and never written to.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use serde_json::{Map, Value};

use super::super::files::{database, is_plain_name, walk_within};
use super::super::run::Run;
use super::super::{Report, Source};
use super::{Experiment, finish, status};
use crate::error::Result;
use crate::experiment::MIGRATIONS;
use crate::kernel::{Database, ReadTx, Skipped, Upgrade, folder_of, table_exists};

/// How such a file is known. It is opened for reading alone: nothing is upgraded.
static MLFLOW: Upgrade = Upgrade {
    migrations: &MIGRATIONS,
    tables: &["alembic_version", "experiments", "runs", "metrics", "params", "tags"],
    sql: "",
};
pub(crate) static DATABASE: &[&Upgrade] = &[&MLFLOW];

/// Tables of which nothing is taken, and what they hold.
const NOT_CARRIED: [(&str, &str); 6] = [
    ("datasets", "datasets"),
    ("inputs", "inputs of runs"),
    ("trace_info", "traces"),
    ("logged_models", "logged models"),
    ("registered_models", "registered models"),
    ("model_versions", "versions of models"),
];

/// The runs of a database.
pub(super) struct Runs {
    db: Database,
    path: PathBuf,
    experiments: HashMap<i64, Experiment>,
    ids: Vec<String>,
    /// The ids of all, those of deleted runs among them.
    pub(super) known: HashSet<String>,
}

impl Runs {
    pub(super) fn open(path: &Path, report: &mut Report) -> Result<Self> {
        let db = database(path, DATABASE)?;
        let (experiments, runs) = db.read(|tx| {
            for (table, what) in NOT_CARRIED {
                if table_exists(tx, table)? {
                    let sql = format!("SELECT count(*) FROM main.\"{table}\"");
                    let n: Option<i64> = tx.query_one(&sql, [], |row| Ok(row.get(0)?))?;
                    report.leave_out(what, n.unwrap_or(0) as u64);
                }
            }
            let sql = "SELECT run_uuid, lifecycle_stage IS 'deleted' FROM main.runs ORDER BY start_time, run_uuid";
            let runs: Vec<(String, bool)> =
                tx.query(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok((experiments(tx)?, runs))
        })?;
        let (n, known) = (runs.len(), runs.iter().map(|(id, _)| id.clone()).collect());
        let ids: Vec<_> =
            runs.into_iter().filter_map(|(id, is_deleted)| (!is_deleted).then_some(id)).collect();
        report.leave_out("deleted runs", (n - ids.len()) as u64);
        report.understood = format!("a database of MLflow, {}", path.display());
        Ok(Runs { db, path: path.to_owned(), experiments, ids, known })
    }
}

fn experiments(tx: &ReadTx<'_>) -> Result<HashMap<i64, Experiment>> {
    let mut found = HashMap::new();
    let sql = "SELECT experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time \
        FROM main.experiments";
    tx.query(sql, [], |row| {
        let id: i64 = row.get(0)?;
        let mut facts = Map::new();
        facts.insert("experiment_id".into(), id.to_string().into());
        for (i, key) in
            ["artifact_location", "lifecycle_stage", "creation_time", "last_update_time"]
                .into_iter()
                .enumerate()
        {
            if let Some(text) = text(row.get_ref(i + 2)?) {
                facts.insert(key.into(), text.into());
            }
        }
        let name = text(row.get_ref(1)?).unwrap_or_else(|| id.to_string());
        found.insert(id, Experiment { id: id.to_string(), name, facts });
        Ok(())
    })?;
    if table_exists(tx, "experiment_tags")? {
        tx.query("SELECT experiment_id, key, value FROM main.experiment_tags", [], |row| {
            let experiment = found.get_mut(&row.get::<_, i64>(0)?);
            if let (Some(experiment), Some(key)) = (experiment, text(row.get_ref(1)?)) {
                let tags = experiment.facts.entry("tags").or_insert_with(|| Map::new().into());
                let value = text(row.get_ref(2)?).unwrap_or_default();
                tags.as_object_mut().expect("it was made so").insert(key, value.into());
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// A value as text; nothing of NULL.
fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(n) => Some(n.to_string()),
        ValueRef::Real(x) => Some(format!("{x:?}")),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

fn number(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(n) => Some(n),
        ValueRef::Real(x) if x.fract() == 0.0 && x.abs() < 9e18 => Some(x as i64),
        _ => None,
    }
}

impl Source for Runs {
    fn len(&self) -> usize {
        self.ids.len()
    }

    fn location(&self, _: usize) -> PathBuf {
        self.path.clone()
    }

    fn read(&self, i: usize, report: &mut Report) -> Result<Option<Run>> {
        let id = &self.ids[i];
        let mut run = self.db.read(|tx| self.run(tx, id, report))?;
        let experiment = run.facts.get("experiment").and_then(Value::as_str).unwrap_or_default();
        // Where MLflow puts files unless it is told otherwise; a path of the file itself is not followed.
        if is_plain_name(experiment) && is_plain_name(id) {
            let folder = folder_of(&self.path).join("mlruns");
            let steps = [experiment, id, "artifacts"];
            let artifacts = walk_within(&folder, &steps, &mut report.skipped)?;
            run.artifacts = artifacts.into_iter().map(|(name, _)| name).collect();
        }
        run.facts.remove("experiment");
        Ok(Some(run))
    }
}

impl Runs {
    fn run(&self, tx: &ReadTx<'_>, id: &str, report: &mut Report) -> Result<Run> {
        let mut run = Run { id: id.to_owned(), ..Run::default() };
        let sql = "SELECT experiment_id, name, status, start_time, end_time, user_id, source_name, source_version, \
            artifact_uri FROM main.runs WHERE run_uuid = ?1";
        let head = tx.query_one(sql, [id], |row| {
            if let Some(experiment) = self.experiments.get(&row.get::<_, i64>(0)?) {
                run.experiment = Some(experiment.of_run());
                run.fact("experiment", Some(experiment.id.as_str()));
            }
            run.status = status(text(row.get_ref(2)?).as_deref());
            for (i, key) in
                ["user_id", "source_name", "source_version", "artifact_uri"].into_iter().enumerate()
            {
                run.fact(key, text(row.get_ref(i + 5)?).filter(|text| !text.is_empty()));
            }
            let times = [number(row.get_ref(3)?), number(row.get_ref(4)?)];
            Ok((times, text(row.get_ref(1)?)))
        })?;
        let (times, name) = head.unwrap_or_default();
        for (table, is_tag) in [("params", false), ("tags", true)] {
            let sql =
                format!("SELECT key, value FROM main.{table} WHERE run_uuid = ?1 ORDER BY key");
            let into = if is_tag { &mut run.tags } else { &mut run.parameters };
            tx.query(&sql, [id], |row| {
                if let Some(key) = text(row.get_ref(0)?) {
                    into.insert(key, text(row.get_ref(1)?).unwrap_or_default().into());
                }
                Ok(())
            })?;
        }
        let mut wrong = 0;
        let sql =
            "SELECT key, value, timestamp, step, is_nan FROM main.metrics WHERE run_uuid = ?1";
        let mut statement = tx.prepare(sql)?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?;
            let value = match (row.get_ref(1)?, row.get_ref(4)?) {
                (_, ValueRef::Integer(is_nan)) if is_nan != 0 => Some(f64::NAN),
                (ValueRef::Real(x), _) => Some(x),
                (ValueRef::Integer(n), _) => Some(n as f64),
                _ => None,
            };
            let (time, step) = (number(row.get_ref(2)?), number(row.get_ref(3)?));
            match (name, value, step) {
                (ValueRef::Text(name), Some(value), Some(step)) => {
                    run.point(&String::from_utf8_lossy(name), step, time, value);
                }
                _ => wrong += 1,
            }
        }
        if wrong > 0 {
            let why = format!("run {id}: a name, value or step of another type");
            report.skipped.push(Skipped::new(&self.path, why).table("metrics").rows(wrong));
        }
        finish(&mut run, times, name);
        Ok(run)
    }
}
