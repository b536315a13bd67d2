//! Runs of other trackers, imported: what they were, what a second import changes, what hostile files do.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use siltstone::Database;
use siltstone::experiment::trackers::{Kind, Options, Report, import, inspect};
use siltstone::experiment::{ExperimentDatabase, SimulationInfo, Which};
use siltstone::{Error, ImportKind, Value};

/// Imports, as the command does.
pub(crate) fn imported(kind: Kind, source: &Path, target: &Path) -> Report {
    let target = Database::builder(target).open().unwrap();
    import(source, &target, &Options::new(kind), &mut |_, _| Ok(())).unwrap()
}

fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn append(path: impl AsRef<Path>, text: &str) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// The points of a metric: step, bits of the value, time.
pub(crate) fn points(file: &Path, run: &str, metric: &str) -> Vec<(i64, u64, Option<i64>)> {
    let db = ExperimentDatabase::open_read_only(file).unwrap();
    let read = db.records(run, "simulation_metrics", &Default::default()).unwrap();
    let mut found = Vec::new();
    for batch in read.collect_batches().unwrap() {
        use arrow_array::Array;
        use arrow_array::cast::AsArray;
        use arrow_array::types::{Float64Type, Int64Type};
        let column = |name| batch.column_by_name(name).unwrap();
        let times = column("time_ms").as_primitive::<Int64Type>();
        for i in
            (0..batch.num_rows()).filter(|i| column("name").as_string::<i32>().value(*i) == metric)
        {
            let step = column("step_number").as_primitive::<Int64Type>().value(i);
            let value = column("value").as_primitive::<Float64Type>().value(i);
            found.push((step, value.to_bits(), times.is_valid(i).then(|| times.value(i))));
        }
    }
    found.sort_unstable();
    found
}

pub(crate) fn info(file: &Path, run: &str) -> SimulationInfo {
    let db = ExperimentDatabase::open_read_only(file).unwrap();
    db.simulations(Which::Ids(&[run])).unwrap().remove(0)
}

pub(crate) fn rows(file: &Path, sql: &str) -> Vec<Vec<Value>> {
    Database::builder(file).open_read_only().unwrap().sql(sql).unwrap().rows
}

/// A value as text.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Integer(n) => n.to_string(),
        Value::Real(x) => format!("{x:?}"),
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// All that a file says in its tables, as text.
pub(crate) fn content(file: &Path) -> String {
    let tables = rows(file, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1");
    let mut all = String::new();
    for table in tables {
        let name = text(&table[0]);
        all += &format!("{name}: {:?}\n", rows(file, &format!("SELECT * FROM \"{name}\"")));
    }
    all
}

/// A folder of MLflow with an experiment and two runs, one of which is the other's parent and still runs.
fn mlruns(folder: &Path) -> PathBuf {
    let root = folder.join("mlruns");
    write(
        root.join("7/meta.yaml"),
        "artifact_location: x\nexperiment_id: '7'\nlifecycle_stage: active\nname: sweep\n",
    );
    write(root.join("7/tags/team"), "blue");
    let run = root.join("7/aaa");
    let meta = |id: &str, status: u8, end: &str| {
        format!(
            "artifact_uri: file:///x\nend_time: {end}\nentry_point_name: ''\nexperiment_id: '7'\nlifecycle_stage: active\n\
             run_id: {id}\nrun_name: bold-{id}\nsource_name: ''\nstart_time: 1700000000123\nstatus: {status}\ntags: []\nuser_id: me\n"
        )
    };
    write(run.join("meta.yaml"), meta("aaa", 3, "1700000009000"));
    write(run.join("params/lr"), "0.10");
    write(run.join("params/opt/name"), "adam\n");
    write(run.join("tags/mlflow.note"), "ünï\nzwei");
    write(
        run.join("metrics/loss"),
        "1700000000200 0.5 0\n1700000000300 nan 1\n1700000000400 -inf 2\n1700000000500 1e-320 3\n",
    );
    write(run.join("metrics/val/acc"), "5 0.25 0\n7 0.5 0\n6 0.75 0\n5 1 -2\n");
    write(run.join("artifacts/model/weights.bin"), "xx");
    let child = root.join("7/bbb");
    write(child.join("meta.yaml"), meta("bbb", 1, "null"));
    write(child.join("tags/mlflow.parentRunId"), "aaa");
    write(child.join("metrics/loss"), "10 1.5 0\n11 1.25 1\n");
    root
}

/// Goal: a run of MLflow has its id, texts, numbers to the bit, times, status and parent; points that share a step are all kept.
#[test]
fn runs_of_mlflow_are_imported_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (root, file) = (mlruns(folder.path()), folder.path().join("runs.db"));
    let report = imported(Kind::Mlflow, &root, &file);
    assert_eq!(report.imported, ["aaa", "bbb"]);
    assert_eq!((report.found.points, report.found.parameters, report.found.tags), (10, 2, 2));
    assert!(report.skipped.is_empty() && report.notes.is_empty(), "{report:?}");
    let bits = |x: f64| x.to_bits();
    assert_eq!(
        points(&file, "aaa", "loss"),
        [
            (0, bits(0.5), Some(1_700_000_000_200)),
            (1, bits(f64::NAN), Some(1_700_000_000_300)),
            (2, bits(f64::NEG_INFINITY), Some(1_700_000_000_400)),
            (3, bits(1e-320), Some(1_700_000_000_500)),
        ]
    );
    // The last by time counts, and none is lost.
    assert_eq!(points(&file, "aaa", "val/acc"), [(0, bits(0.5), Some(7))]);
    let others = rows(&file, "SELECT point_step, value, time_ms FROM metric_points ORDER BY 1, 3");
    let row =
        |step, value, time| vec![Value::Integer(step), Value::Real(value), Value::Integer(time)];
    assert_eq!(others, [row(-2, 1.0, 5), row(0, 0.25, 5), row(0, 0.75, 6)]);
    let run = info(&file, "aaa");
    assert_eq!(run.experiment_id.as_deref(), Some("sweep"));
    assert_eq!((run.status.as_str(), run.parameters["lr"].as_str()), ("completed", Some("0.10")));
    assert_eq!(run.parameters["opt/name"], "adam\n");
    assert_eq!(run.start_time.as_deref(), Some("2023-11-14 22:13:20.123000"));
    assert_eq!(run.provenance["run_name"], "bold-aaa");
    assert_eq!(run.provenance["tags"]["mlflow.note"], "ünï\nzwei");
    assert_eq!(run.provenance["artifacts"][0], "model/weights.bin");
    let child = info(&file, "bbb");
    assert_eq!((child.status.as_str(), &child.provenance["parent"]), ("running", &"aaa".into()));
    assert_eq!(child.end_time, None);
    assert!(Database::builder(&file).open_read_only().unwrap().verify().unwrap().is_ok());
}

/// Goal: a second import changes nothing, and one of a run that grew adds what is new: a line that is not whole yet waits.
#[test]
fn a_second_import_takes_what_is_new_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (root, file) = (mlruns(folder.path()), folder.path().join("runs.db"));
    imported(Kind::Mlflow, &root, &file);
    let before = content(&file);
    let again = imported(Kind::Mlflow, &root, &file);
    assert_eq!((again.unchanged, again.rows), (vec!["aaa".to_owned(), "bbb".to_owned()], 0));
    assert_eq!(content(&file), before, "an import of what is there changed the file");

    let loss = root.join("7/bbb/metrics/loss");
    append(&loss, "12 1.125 2\n13 0.");
    let grown = imported(Kind::Mlflow, &root, &file);
    assert_eq!((grown.continued, grown.rows, grown.notes.len()), (vec!["bbb".to_owned()], 1, 1));
    append(&loss, "5 3\n14 9 1\n");
    let meta = root.join("7/bbb/meta.yaml");
    write(&meta, fs::read_to_string(&meta).unwrap().replace("status: 1", "status: 4"));
    let ended = imported(Kind::Mlflow, &root, &file);
    // The point of step 1 that came later takes the place of the first, which is kept beside it.
    assert_eq!((ended.rows, ended.notes.len()), (3, 0));
    let steps: Vec<_> = points(&file, "bbb", "loss")
        .into_iter()
        .map(|(s, v, t)| (s, f64::from_bits(v), t))
        .collect();
    assert_eq!(
        steps,
        [(0, 1.5, Some(10)), (1, 9.0, Some(14)), (2, 1.125, Some(12)), (3, 0.5, Some(13))]
    );
    assert_eq!(info(&file, "bbb").status, "failed");
    assert_eq!(ended.changed, [("status".to_owned(), 1)]);
    let db = ExperimentDatabase::over(Database::builder(&file).open().unwrap(), None).unwrap();
    for run in ["aaa", "bbb"] {
        db.compact(run).unwrap();
    }
    drop(db);
    assert_eq!(imported(Kind::Mlflow, &root, &file).rows, 0, "compacted rows are compared too");
    assert!(Database::builder(&file).open_read_only().unwrap().verify().unwrap().is_ok());
}

/// Goal: a value that the source has otherwise than the file is named and not stored, and what grew beside it is.
#[test]
fn a_changed_value_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let (root, file) = (mlruns(folder.path()), folder.path().join("runs.db"));
    imported(Kind::Mlflow, &root, &file);
    let run = root.join("7/aaa");
    write(run.join("params/lr"), "0.2");
    write(run.join("params/new"), "x");
    let changed = "1700000000200 9 0\n1700000000300 8 1\n1700000000400 7 2\n1700000000500 6 3\n1700000000600 5 4\n";
    write(run.join("metrics/loss"), changed);
    // Another of several points of a step; the others stay as they are.
    write(run.join("metrics/val/acc"), "5 0.125 0\n7 0.5 0\n6 0.75 0\n5 1 -2\n");
    for compacted in [false, true] {
        let before = (points(&file, "aaa", "val/acc"), rows(&file, "SELECT * FROM metric_points"));
        let report = imported(Kind::Mlflow, &root, &file);
        let [conflict] = &report.skipped[..] else { panic!("{report:?}") };
        assert_eq!((conflict.rows, conflict.table.as_deref()), (6, Some("changed values")));
        let why = "run aaa: the parameter lr: \"0.10\" stored, \"0.2\" in the source; loss at step 0: \
            0.5 at 1700000000200 ms stored, 9.0 at 1700000000200 ms in the source; loss at step 1: ";
        assert!(conflict.reason.starts_with(why), "{conflict}");
        assert!(conflict.reason.ends_with("; ...; the stored values stay"), "{conflict}");
        // The point and the parameter that are new.
        assert_eq!(report.rows, u64::from(!compacted));
        let stored = points(&file, "aaa", "loss");
        assert_eq!((stored.len(), stored[0].1, stored[4].1), (5, 0.5f64.to_bits(), 5f64.to_bits()));
        let parameters = info(&file, "aaa").parameters;
        assert_eq!((&parameters["lr"], &parameters["new"]), (&"0.10".into(), &"x".into()));
        let after = (points(&file, "aaa", "val/acc"), rows(&file, "SELECT * FROM metric_points"));
        assert_eq!(after, before);
        let db = ExperimentDatabase::over(Database::builder(&file).open().unwrap(), None).unwrap();
        db.compact("aaa").unwrap();
    }
}

/// Goal: what MLflow lets a user change of a run with a click is taken and said once; it is no conflict.
#[test]
fn a_renamed_experiment_and_run_of_mlflow_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (root, file) = (mlruns(folder.path()), folder.path().join("runs.db"));
    imported(Kind::Mlflow, &root, &file);
    for (meta, old, new) in [
        ("7/meta.yaml", "name: sweep", "name: final sweep"),
        ("7/aaa/meta.yaml", "run_name: bold-aaa", "run_name: best"),
    ] {
        let text = fs::read_to_string(root.join(meta)).unwrap();
        write(root.join(meta), text.replace(old, new));
    }
    write(root.join("7/aaa/tags/mlflow.note"), "changed");
    let report = imported(Kind::Mlflow, &root, &file);
    assert!(report.skipped.is_empty(), "{report:?}");
    assert_eq!(report.changed, [("experiment".to_owned(), 2), ("provenance".to_owned(), 1)]);
    let run = info(&file, "aaa");
    assert_eq!(run.experiment_id.as_deref(), Some("final sweep"));
    assert_eq!(run.provenance["run_name"], "best");
    assert_eq!(run.provenance["tags"]["mlflow.note"], "changed");
    let sql = "SELECT tags ->> 'experiment_id' FROM experiments WHERE name = 'final sweep'";
    assert_eq!(text(&rows(&file, sql)[0][0]), "7");
    assert_eq!(imported(Kind::Mlflow, &root, &file).unchanged.len(), 2);
    assert!(Database::builder(&file).open_read_only().unwrap().verify().unwrap().is_ok());
}

/// Goal: what is hostile or damaged is named, leads nowhere, and the rest is imported.
#[test]
fn hostile_folders_of_mlflow_are_named_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (root, file) = (mlruns(folder.path()), folder.path().join("runs.db"));
    write(folder.path().join("secret"), "1 1 1\n");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../../../../secret", root.join("7/aaa/params/stolen")).unwrap();
        std::os::unix::fs::symlink("../../../../secret", root.join("7/aaa/metrics/stolen"))
            .unwrap();
        write(folder.path().join("private/id_rsa"), "key");
        let private = folder.path().join("private");
        std::fs::create_dir_all(root.join("7/lll")).unwrap();
        write(root.join("7/lll/meta.yaml"), "run_id: lll\nstatus: 3\n");
        for of_run in ["params", "artifacts"] {
            std::os::unix::fs::symlink(&private, root.join("7/lll").join(of_run)).unwrap();
        }
    }
    write(root.join("7/aaa/metrics/bad"), "1 0.5 0\nnonsense\n1 2 3 4 5 6\n\n2 0.5 1\n");
    write(root.join("7/ccc/meta.yaml"), "a: &a [x]\nrun_id: *a\n");
    write(root.join("7/ddd/params/lr"), "1");
    write(
        root.join("7/eee/meta.yaml"),
        "run_id: '../../evil'\nstatus: 9\nlifecycle_stage: active\n",
    );
    write(root.join("7/fff/meta.yaml"), "[".repeat(100_000));
    write(root.join("8/meta.yaml"), [0xFF, 0xFE]);
    write(root.join("7/ggg/meta.yaml"), format!("run_id: {}\n", "x".repeat(300)));
    write(root.join("7/aaa/tags/latin"), [b'a', 0xE9]);
    let report = imported(Kind::Mlflow, &root, &file);
    let imported: Vec<_> = report.imported.iter().filter(|id| *id != "lll").collect();
    assert_eq!(imported, ["aaa", "bbb", "../../evil"], "an id is a text like any other");
    let reasons: Vec<String> = report.skipped.iter().map(ToString::to_string).collect();
    let names = ["ccc", "ddd", "fff", "8/meta", "ggg", "latin", "metrics/bad: 2 rows of lines"];
    for name in names {
        assert!(reasons.iter().any(|reason| reason.contains(name)), "{name} in {reasons:#?}");
    }
    #[cfg(unix)]
    {
        let links = reasons.iter().filter(|reason| reason.contains("links are not followed"));
        assert_eq!(links.count(), 4, "{reasons:#?}");
        let linked = info(&file, "lll");
        assert!(linked.parameters.is_empty() && !format!("{linked:?}").contains("id_rsa"));
    }
    assert_eq!(points(&file, "aaa", "bad").len(), 2);
    assert_eq!(info(&file, "../../evil").status, "unknown");
    assert!(!info(&file, "aaa").parameters.contains_key("stolen"));
}

/// Goal: what is none of the tracker is refused before anything is written, and a simulation of another origin stays.
#[test]
fn what_is_none_of_the_tracker_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (root, file) = (mlruns(folder.path()), folder.path().join("runs.db"));
    let target = Database::builder(&file).open().unwrap();
    let read =
        |source: &Path| import(source, &target, &Options::new(Kind::Mlflow), &mut |_, _| Ok(()));
    write(folder.path().join("empty/x"), "");
    assert!(matches!(read(&folder.path().join("empty")), Err(Error::Invalid { .. })));
    assert!(matches!(read(&folder.path().join("none")), Err(Error::NotFound { .. })));
    let one = read(&root.join("7")).unwrap_err().to_string();
    assert!(one.contains("import the folder above it"), "{one}");
    write(folder.path().join("text.db"), "no database");
    assert!(matches!(read(&folder.path().join("text.db")), Err(Error::NotOurs { .. })));
    assert!(matches!(read(&file), Err(Error::Invalid { .. })), "its own target");
    let db = ExperimentDatabase::over(target.clone(), Some("mine")).unwrap();
    db.create_simulation_context("aaa", Default::default()).unwrap().complete().unwrap();
    let report = read(&root).unwrap();
    assert_eq!((report.imported.len(), report.skipped.len()), (1, 1), "{report:?}");
    assert!(report.skipped[0].reason.contains("another simulation"), "{report:?}");
    let options = Options::new(Kind::Mlflow).prefix("theirs/");
    let report = import(&root, &target, &options, &mut |_, _| Ok(())).unwrap();
    assert_eq!(report.imported, ["theirs/aaa", "theirs/bbb"]);
    assert_eq!(info(&file, "theirs/bbb").provenance["parent"], "theirs/aaa");
}

/// MLflow's tables, as far as they matter.
const MLFLOW_SQL: &str = "
CREATE TABLE alembic_version (version_num TEXT);
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT, artifact_location TEXT, lifecycle_stage TEXT, creation_time INTEGER, last_update_time INTEGER);
CREATE TABLE experiment_tags (key TEXT, value TEXT, experiment_id INTEGER);
CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, source_type TEXT, source_name TEXT, entry_point_name TEXT, user_id TEXT, status TEXT, start_time INTEGER, end_time INTEGER, source_version TEXT, lifecycle_stage TEXT, artifact_uri TEXT, experiment_id INTEGER, deleted_time INTEGER);
CREATE TABLE metrics (key TEXT, value REAL, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan INTEGER);
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE registered_models (name TEXT);
INSERT INTO experiments VALUES (1, 'sweep', 'x', 'active', 5, 6);
INSERT INTO experiment_tags VALUES ('team', 'blue', 1);
INSERT INTO runs VALUES ('aaa', 'bold', 'LOCAL', 'run.py', '', 'me', 'KILLED', 1700000000123, 1700000009000, '', 'active', 'mlruns/1/aaa/artifacts', 1, NULL);
INSERT INTO runs VALUES ('old', 'gone', 'LOCAL', '', '', 'me', 'FINISHED', 1, 2, '', 'deleted', '', 1, 9);
INSERT INTO params VALUES ('lr', '0.10', 'aaa');
INSERT INTO tags VALUES ('mlflow.parentRunId', 'ppp', 'aaa');
INSERT INTO metrics VALUES ('loss', 0.5, 10, 'aaa', 0, 0), ('loss', 0, 11, 'aaa', 1, 1), ('loss', 1.7976931348623157e308, 12, 'aaa', 2, 0), ('loss', 7, 9, 'aaa', 2, 0), ('loss', 'text', 9, 'aaa', 3, 0);
INSERT INTO registered_models VALUES ('m');
";

/// Goal: a database of MLflow gives the same as its folder would, stays as it is to the byte, and grows like one.
#[test]
fn databases_of_mlflow_are_read_and_never_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let (source, file) = (folder.path().join("mlflow.db"), folder.path().join("runs.db"));
    drop(Database::builder(&file).open().unwrap()); // how this process locks is decided with its first file
    let conn = rusqlite::Connection::open(&source).unwrap();
    conn.execute_batch(MLFLOW_SQL).unwrap();
    write(folder.path().join("mlruns/1/aaa/artifacts/plot.png"), "x");
    let before = fs::read(&source).unwrap();
    let report = imported(Kind::Mlflow, &source, &file);
    assert_eq!(report.imported, ["aaa"]);
    let left = [("registered models".to_owned(), 1), ("deleted runs".to_owned(), 1)];
    assert_eq!(report.not_carried, left);
    assert_eq!((report.skipped.len(), report.skipped[0].rows), (1, 1), "{report:?}");
    let found = points(&file, "aaa", "loss");
    assert_eq!(found.iter().map(|point| point.0).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(f64::from_bits(found[1].1).is_nan() && f64::from_bits(found[2].1) == f64::MAX);
    let run = info(&file, "aaa");
    assert_eq!((run.status.as_str(), run.experiment_id.as_deref()), ("stopped", Some("sweep")));
    assert_eq!((&run.provenance["parent"], &run.parameters["lr"]), (&"ppp".into(), &"0.10".into()));
    assert_eq!(run.provenance["artifacts"][0], "plot.png");
    assert_eq!(imported(Kind::Mlflow, &source, &file).unchanged, ["aaa"]);
    assert_eq!(fs::read(&source).unwrap(), before);
    conn.execute_batch("INSERT INTO metrics VALUES ('loss', 0.25, 20, 'aaa', 9, 0)").unwrap();
    assert_eq!(imported(Kind::Mlflow, &source, &file).rows, 1);
    // MLflow 3 has both side by side; artifacts are no store.
    let [alone, both] = ["alone.db", "both.db"].map(|name| folder.path().join(name));
    assert_eq!(imported(Kind::Mlflow, folder.path(), &alone).imported, ["aaa"]);
    assert_eq!(ImportKind::detect(folder.path()).unwrap(), ImportKind::Runs(Kind::Mlflow));
    let refused = |source: &Path, kind| {
        inspect(source, &Options::new(kind), &mut |_, _| Ok(())).unwrap_err().to_string()
    };
    let artifacts = refused(&folder.path().join("mlruns"), Kind::Mlflow);
    assert!(artifacts.contains("beside the database") && artifacts.contains("mlflow.db"));
    let mixed = refused(&source, Kind::Trackio);
    assert!(mixed.contains("got a database of MLflow"), "{mixed}");
    write(folder.path().join("mlruns/0/meta.yaml"), "experiment_id: '0'\nname: files\n");
    write(folder.path().join("mlruns/0/bbb/meta.yaml"), "run_id: bbb\nstatus: 3\n");
    let report = imported(Kind::Mlflow, folder.path(), &both);
    assert_eq!(report.imported, ["bbb", "aaa"]);
    assert!(report.understood.contains("a folder of MLflow, "), "{report:?}");
    assert!(report.understood.contains("and a database of MLflow, "), "{report:?}");
    assert_eq!(ImportKind::detect(folder.path()).unwrap(), ImportKind::Runs(Kind::Mlflow));
}

/// Goal: a folder that was migrated keeps its runs, and the database has them too: its are taken, and a second import changes
/// nothing. One that was deleted in the database does not come back.
#[test]
fn a_run_in_both_stores_of_mlflow_is_that_of_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let (source, file) = (folder.path().join("mlflow.db"), folder.path().join("runs.db"));
    drop(Database::builder(&file).open().unwrap());
    let root = mlruns(folder.path()); // aaa, bbb
    write(root.join("7/old/meta.yaml"), "run_uuid: old\nstatus: 3\n");
    let conn = rusqlite::Connection::open(&source).unwrap();
    conn.execute_batch(MLFLOW_SQL).unwrap(); // aaa, and old that was deleted
    conn.execute_batch("DELETE FROM metrics WHERE step = 3").unwrap(); // a text for a number
    let report = imported(Kind::Mlflow, folder.path(), &file);
    assert_eq!((report.imported, report.found.runs), (vec!["bbb".into(), "aaa".into()], 2));
    let [note] = &report.notes[..] else { panic!("{:?}", report.notes) };
    assert!(note.ends_with("mlflow.db has their ids: 2"), "{note}");
    let end = points(&file, "aaa", "loss").last().map(|point| f64::from_bits(point.1));
    assert_eq!(end, Some(f64::MAX), "the infinity of the folder, as the database has it");
    let before = content(&file);
    let again = imported(Kind::Mlflow, folder.path(), &file);
    assert_eq!((again.unchanged, again.rows), (vec!["bbb".to_owned(), "aaa".to_owned()], 0));
    assert!(again.skipped.is_empty() && again.changed.is_empty());
    assert_eq!(content(&file), before);
}

/// Goal: a file that was imported before the folder was migrated has what the database has, though that has other infinities.
#[test]
fn a_folder_of_mlflow_that_was_migrated_is_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let (source, file) = (folder.path().join("mlflow.db"), folder.path().join("runs.db"));
    drop(Database::builder(&file).open().unwrap());
    let root = folder.path().join("mlruns/1");
    write(root.join("meta.yaml"), "experiment_id: '1'\nname: sweep\n");
    write(root.join("ccc/meta.yaml"), "run_id: ccc\nstatus: 3\n");
    write(root.join("ccc/metrics/loss"), "1 inf 0\n2 -inf 1\n3 -0.0 2\n4 nan 3\n");
    assert_eq!(imported(Kind::Mlflow, folder.path(), &file).rows, 4);
    let conn = rusqlite::Connection::open(&source).unwrap();
    conn.execute_batch(MLFLOW_SQL).unwrap();
    conn.execute_batch(
        "DELETE FROM runs; DELETE FROM metrics; INSERT INTO runs (run_uuid, status, experiment_id) VALUES ('ccc', 'FINISHED', 1);
         INSERT INTO metrics VALUES ('loss', 1.7976931348623157e308, 1, 'ccc', 0, 0), ('loss', -1.7976931348623157e308, 2, 'ccc', 1, 0),
         ('loss', -0.0, 3, 'ccc', 2, 0), ('loss', 0, 4, 'ccc', 3, 1)",
    )
    .unwrap();
    let report = imported(Kind::Mlflow, folder.path(), &file);
    assert_eq!(
        (&report.unchanged[..], report.skipped.len()),
        (&["ccc".to_owned()][..], 0),
        "{report:?}"
    );
}

/// Goal: a file mlflow.db that is empty or another program's is said, and keeps nobody from the folder beside it, nor from what
/// else is in the folder.
#[test]
fn a_database_that_is_none_keeps_nobody_from_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (source, file) = (folder.path().join("mlflow.db"), folder.path().join("runs.db"));
    drop(Database::builder(&file).open().unwrap());
    write(&source, "");
    write(folder.path().join("1/run.json"), r#"{"status": "COMPLETED"}"#);
    let sacred = ImportKind::Runs(Kind::Sacred);
    assert_eq!(ImportKind::detect(folder.path()).unwrap(), sacred, "no MLflow is in it");
    fs::remove_dir_all(folder.path().join("1")).unwrap();
    mlruns(folder.path());
    assert_eq!(ImportKind::detect(folder.path()).unwrap(), ImportKind::Runs(Kind::Mlflow));
    let report = imported(Kind::Mlflow, folder.path(), &file);
    assert_eq!((report.imported.len(), report.skipped.len()), (2, 0));
    assert!(report.notes[0].ends_with("mlflow.db: not read, it is empty"), "{report:?}");
    let texts = |source: &Path| fs::write(source, "a text").unwrap();
    let foreign = |source: &Path| {
        rusqlite::Connection::open(source).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    };
    let ours = |source: &Path| drop(Database::builder(source).open().unwrap());
    for make in [&texts as &dyn Fn(&Path), &foreign, &ours] {
        fs::remove_file(&source).unwrap();
        make(&source);
        let report = imported(Kind::Mlflow, folder.path(), &file);
        assert_eq!(report.unchanged.len(), 2);
        let [skipped] = &report.skipped[..] else { panic!("{report:?}") };
        assert!(skipped.path == source && report.notes.is_empty(), "{report:?}");
        assert!(report.understood.starts_with("a folder of MLflow, "), "{report:?}");
    }
}
