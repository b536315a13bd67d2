//! Sacred's file store, the databases of trackio and the logs of wandb: what is damaged in them, and what grows.

use std::fs;
use std::path::Path;

use siltstone::experiment::trackers::Kind;

use crate::trackers::{content, imported, info, points, rows, text};
use crate::trackers_tensorboard::bytes;

fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Goal: a run of Sacred is what its JSON says, NaN among it; damaged files are named, and the rest of the run is imported.
#[test]
fn runs_of_sacred_are_imported_and_damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (store, file) = (folder.path().join("store"), folder.path().join("runs.db"));
    let run = r#"{"status": "INTERRUPTED", "start_time": "2026-01-19T12:00:00.25", "stop_time": "2026-01-19T12:00:01",
        "experiment": {"name": "study"}, "artifacts": ["../../a.txt", {"name": "b.txt"}], "fail_trace": ["x\n", "y\n"], "result": NaN}"#;
    let metrics = r#"{"loss": {"steps": [0, 1, 2, "x"], "values": [0.5, NaN, {"dtype": "float32", "value": -0.25}, 1],
        "timestamps": ["2026-01-19T12:00:00.001", "?", "2026-01-19T12:00:00.003"]}, "odd": 7}"#;
    write(store.join("10/run.json"), run);
    write(
        store.join("10/config.json"),
        r#"{"lr": 0.1, "py/object": "os.system", "deep": [1, null]}"#,
    );
    write(store.join("10/metrics.json"), metrics);
    write(store.join("9/run.json"), run);
    write(store.join("9/config.json"), r#"{"lr": 0.1"#);
    write(store.join("11/run.json"), &run[..50]);
    write(store.join("12/run.json"), "[".repeat(100_000));
    write(store.join("_sources/a.py"), "");
    let report = imported(Kind::Sacred, &store, &file);
    assert_eq!(report.imported, ["9", "10"]);
    let reasons: Vec<String> = report.skipped.iter().map(ToString::to_string).collect();
    for name in ["9/config.json", "11", "12", "10/metrics.json: 1 row of points"] {
        assert!(reasons.iter().any(|reason| reason.contains(name)), "{name} in {reasons:#?}");
    }
    let known = info(&file, "10");
    assert_eq!((known.status.as_str(), known.error.as_deref()), ("stopped", Some("x\ny")));
    assert_eq!(
        (&known.parameters["lr"], &known.parameters["py/object"]),
        (&0.1.into(), &"os.system".into())
    );
    assert_eq!(known.clone().plain().results_summary["result"], "NaN");
    assert_eq!(known.provenance["artifacts"], serde_json::json!(["../../a.txt", "b.txt"]));
    let found = points(&file, "10", "loss");
    assert_eq!((found[0].2, found[1].2), (Some(1_768_824_000_001), None));
    assert!(f64::from_bits(found[1].1).is_nan() && f64::from_bits(found[2].1) == -0.25);
    let before = content(&file);
    assert_eq!(imported(Kind::Sacred, &store, &file).unchanged, ["9", "10"]);
    assert_eq!(content(&file), before);
    // Another store has a run of the same number.
    write(store.join("10/run.json"), run.replace("12:00:00.25", "13:00:00"));
    let other = imported(Kind::Sacred, &store, &file);
    assert!(other.skipped.iter().any(|skipped| skipped.reason.contains("origin")), "{other:?}");
    assert_eq!(content(&file), before);
}

const TRACKIO_SQL: &str = r#"
CREATE TABLE metrics (id INTEGER PRIMARY KEY, run_id TEXT, timestamp TEXT, run_name TEXT, step INTEGER, metrics TEXT);
CREATE TABLE system_metrics (id INTEGER PRIMARY KEY, run_id TEXT, timestamp TEXT, run_name TEXT, metrics TEXT);
CREATE TABLE configs (id INTEGER PRIMARY KEY, run_id TEXT, run_name TEXT, config TEXT, created_at TEXT);
INSERT INTO configs VALUES (1, 'r1', 'calm', CAST('{"lr": 0.1, "_Created": "x"}' AS BLOB), '2026-01-19T12:00:00+01:00');
INSERT INTO metrics VALUES (1, 'r1', '2026-01-19T11:00:00.001+00:00', 'calm', 0, '{"loss": 0.5, "note": "hi", "x": "NaN", "p": {"_type": "trackio.image"}}');
INSERT INTO metrics VALUES (2, 'r1', '2026-01-19T11:00:00.002+00:00', 'calm', 1, CAST('{"loss": "-Infinity"}' AS BLOB));
INSERT INTO metrics VALUES (3, 'r1', 'never', 'calm', 'one', '{"loss": 1}'), (4, 'r1', '', 'calm', 2, '{"loss"'), (5, 'r1', '', 'calm', 3, x'FF');
INSERT INTO metrics VALUES (6, 'r2', '2026-01-19T11:00:00Z', 'late', 0, '{"loss": 2}');
INSERT INTO system_metrics VALUES (1, 'r1', '2026-01-19T11:00:00Z', 'calm', '{"cpu": 10}'), (2, 'r1', '2026-01-19T11:00:01Z', 'calm', '{"cpu": 11}');
"#;

/// Goal: a project of trackio is what its JSON says; rows that are none are counted, and it may grow.
#[test]
fn projects_of_trackio_are_imported_and_damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (source, file) = (folder.path().join("study.db"), folder.path().join("runs.db"));
    drop(siltstone::Database::builder(&file).open().unwrap());
    let conn = rusqlite::Connection::open(&source).unwrap();
    conn.execute_batch(TRACKIO_SQL).unwrap();
    let before = fs::read(&source).unwrap();
    let report = imported(Kind::Trackio, &source, &file);
    assert_eq!(report.imported, ["r1", "r2"]);
    assert_eq!((report.skipped.len(), report.skipped[0].rows), (1, 3), "{report:?}");
    assert_eq!(report.not_carried, [("values of the type trackio.image".to_owned(), 1)]);
    let run = info(&file, "r1");
    assert_eq!((run.experiment_id.as_deref(), &run.parameters["lr"]), (Some("study"), &0.1.into()));
    assert_eq!(run.start_time.as_deref(), Some("2026-01-19 11:00:00"));
    let found = points(&file, "r1", "loss");
    assert_eq!(
        found.iter().map(|point| f64::from_bits(point.1)).collect::<Vec<_>>(),
        [0.5, f64::NEG_INFINITY]
    );
    assert!(f64::from_bits(points(&file, "r1", "x")[0].1).is_nan());
    assert_eq!(points(&file, "r1", "system/cpu").len(), 2);
    assert_eq!(text(&rows(&file, "SELECT text FROM texts")[0][0]), "hi");
    assert_eq!(fs::read(&source).unwrap(), before);
    conn.execute_batch(
        "INSERT INTO metrics VALUES (9, 'r2', '2026-01-19T11:00:02Z', 'late', 1, '{\"loss\": 3}')",
    )
    .unwrap();
    let grown = imported(Kind::Trackio, &source, &file);
    assert_eq!((grown.continued, grown.rows), (vec!["r2".to_owned()], 1));
    // Objects have names with dots, and an integer that no float is equal to is named.
    conn.execute_batch(
        "INSERT INTO metrics VALUES (10, 'r3', '2026-01-19T11:00:02Z', 'wide', 1, \
         '{\"n\": 9007199254740993, \"m\": 9007199254740992, \"o\": {\"a\": 1, \"b\": {\"c\": \"NaN\"}}}')",
    )
    .unwrap();
    let wide = imported(Kind::Trackio, &source, &file);
    let said = wide.skipped.iter().map(ToString::to_string).find(|said| said.contains("run r3"));
    assert!(said.is_some_and(|said| said.contains("the first 9007199254740993 of n")), "{wide:?}");
    let value = |name| f64::from_bits(points(&file, "r3", name)[0].1);
    assert_eq!((value("m"), value("o.a")), (9_007_199_254_740_992.0, 1.0));
    assert!(value("o.b.c").is_nan() && points(&file, "r3", "n").is_empty());
}

/// A log of wandb: its header, and each record in one piece.
fn wandb_log(records: &[Vec<u8>]) -> Vec<u8> {
    let mut log = b":W&B\xE1\xBE\x00".to_vec();
    for record in records {
        let mut crc = flate2::Crc::new();
        crc.update(&[1]);
        crc.update(record);
        log.extend(crc.sum().to_le_bytes());
        log.extend((record.len() as u16).to_le_bytes());
        log.push(1);
        log.extend(record);
    }
    log
}

/// Goal: a config that changes while its run goes on is taken and said, in trackio and in wandb; it is no conflict.
#[test]
fn a_config_that_changes_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (source, file) = (folder.path().join("study.db"), folder.path().join("runs.db"));
    drop(siltstone::Database::builder(&file).open().unwrap());
    let conn = rusqlite::Connection::open(&source).unwrap();
    conn.execute_batch(TRACKIO_SQL).unwrap();
    imported(Kind::Trackio, &source, &file);
    let sql = r#"UPDATE configs SET config = '{"lr": 0.2, "deep": {"a": 1}}'"#;
    conn.execute_batch(sql).unwrap();
    let damaged = imported(Kind::Trackio, &source, &file);
    assert_eq!(damaged.skipped.len(), 1, "the damaged rows alone: {damaged:?}");
    assert_eq!(damaged.changed, [("parameters".to_owned(), 1)]);
    assert_eq!(info(&file, "r1").parameters["lr"], 0.2);
    assert_eq!(imported(Kind::Trackio, &source, &file).changed, []);

    let log = folder.path().join("run-w1.wandb");
    let config = |key: &str, json: &[u8]| {
        bytes(5, &bytes(1, &[bytes(1, key.as_bytes()), bytes(16, json)].concat()))
    };
    let mut records = vec![
        bytes(17, &[bytes(1, b"w1"), bytes(3, b"study")].concat()),
        config("lr", b"0.1"),
        config("opt", br#"{"name": "adam"}"#),
    ];
    write(&log, wandb_log(&records));
    assert_eq!(imported(Kind::Wandb, &log, &file).imported, ["w1"]);
    records.extend([config("lr", b"0.2"), config("opt", br#"{"name": "adam", "eps": 1e-8}"#)]);
    write(&log, wandb_log(&records));
    let report = imported(Kind::Wandb, &log, &file);
    assert!(report.skipped.is_empty(), "{report:?}");
    assert_eq!((report.continued, report.changed.len()), (vec!["w1".to_owned()], 1));
    let parameters = info(&file, "w1").parameters;
    assert_eq!((&parameters["lr"], &parameters["opt"]["eps"]), (&0.2.into(), &1e-8.into()));
    assert_eq!(imported(Kind::Wandb, &log, &file).unchanged, ["w1"]);
}
