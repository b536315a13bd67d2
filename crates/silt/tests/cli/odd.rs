//! One odd file or row among many: the rest is taken, it is named, and the exit code says so.

use std::fs;
use std::path::Path;

use serde_json::json;
use siltstone::experiment::ExperimentDatabase;
use siltstone::simulation::SimulationDatabase;

use crate::silt::{plain, roads, silt};

/// A database of another program, made as that program would.
fn database(path: &Path, sql: &str) {
    plain(path).execute_batch(sql).unwrap();
}

/// Goal: of several files of points the ragged one, the one that is there already and the one that is none are named, the
/// others are kept; where nothing was kept, or `--strict` asks for all or nothing, it is an error.
#[test]
fn one_odd_file_of_points_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let write = |name: &str, text: &str| fs::write(here.join(name), text).unwrap();
    write("a.csv", "t,v\n2010-01-01,1\n2010-01-02,2\n");
    write("ragged.csv", "t,v\n2010-01-01,1\n2010-01-02,2,3\n");
    write("broken.zip", "no zip");
    write("z.csv", "t,v\n2010-01-01,5\n");
    let ran =
        silt(here, "series import a.csv ragged.csv broken.zip none.csv z.csv --to sqlite:p.db");
    assert_eq!(ran.code, 3, "{ran:?}");
    for (name, why) in [("ragged.csv", "line 3"), ("broken.zip", "zip"), ("none.csv", "No such")] {
        let reported = ran.err.lines().find(|line| line.contains(name)).unwrap_or_default();
        assert!(reported.contains("skipped") && reported.contains(why), "{name}: {ran:?}");
    }
    assert!(ran.out.contains("a/v: 2 points") && ran.out.contains("z/v: 1 point"), "{ran:?}");
    write("a.csv", "t,v\n2010-01-01,1\n2010-01-02,7\n");
    let again = silt(here, "series import a.csv ragged.csv --to sqlite:p.db");
    assert!(again.code == 2 && again.err.contains("already"), "nothing was kept: {again:?}");
    let strict = silt(here, "series import ragged.csv z.csv --strict --to sqlite:q.db");
    assert!(strict.code == 2 && strict.err.contains("line 3"), "{strict:?}");
    assert!(!silt(here, "series ls q.db").out.contains('z'));
}

/// Goal: a damaged database among the parts of a run is named, the others are joined, and the whole is not called complete; a
/// mistyped name still stops before a target is made.
#[test]
fn one_damaged_part_stops_no_merge() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (name, timestamp) in [("a.db", 0), ("b.db", 10)] {
        let db = SimulationDatabase::open(here.join(name)).unwrap();
        db.store_update(timestamp, 0, "net", roads(&[1], &[5.0]), None).unwrap();
        db.close().unwrap();
    }
    fs::write(here.join("bad.db"), "no database at all").unwrap();
    let ran = silt(here, "merge a.db bad.db b.db -o all.db");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("bad.db: the file: skipped"), "{ran:?}");
    let info = silt(here, "info all.db --json").json();
    assert_eq!(info["run"]["status"], json!("running"), "{info}");
    let updates = silt(here, "stats all.db --json").out;
    assert!(!updates.is_empty());
    for line in ["merge a.db typo.db -o new.db", "merge bad.db -o new.db"] {
        let ran = silt(here, line);
        assert!(ran.code == 2 && !here.join("new.db").exists(), "{line}: {ran:?}");
    }
}

/// Goal: so is a damaged database among those of experiments.
#[test]
fn one_damaged_database_stops_no_merge_of_experiments() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for name in ["a", "b"] {
        let db = ExperimentDatabase::open(here.join(format!("{name}.db")), "exp").unwrap();
        db.create_simulation_context(name, Default::default()).unwrap().complete().unwrap();
        db.close().unwrap();
    }
    fs::write(here.join("bad.db"), "no database at all").unwrap();
    let ran = silt(here, "merge a.db bad.db b.db -o all.db --json");
    assert_eq!(ran.code, 3, "{ran:?}");
    let reported = ran.json();
    assert_eq!(reported["copied"], json!(["a", "b"]));
    assert!(reported["conflicts"][0]["source"].as_str().unwrap().ends_with("bad.db"), "{reported}");
}

/// Goal: a simulation that cannot be read, and a file that is none, are named; the other simulations and files are imported.
#[test]
fn one_odd_simulation_stops_no_import() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let tables = "CREATE TABLE simulations (simulation_id TEXT PRIMARY KEY, experiment_id TEXT, start_time TEXT, \
        end_time TEXT, status TEXT, parameters TEXT, results_summary TEXT, simulation_db_path TEXT); \
        CREATE TABLE agents (agent_id TEXT, simulation_id TEXT); \
        CREATE TABLE agent_states (simulation_id TEXT, step_number INTEGER, agent_id TEXT, age INTEGER); \
        CREATE TABLE simulation_steps (simulation_id TEXT, step_number INTEGER, total_agents INTEGER);";
    let rows = "INSERT INTO simulations (simulation_id, status) VALUES ('good', 'completed'), ('', 'completed'), \
        ('odd', x'ff00'), ('last', 'completed'); \
        INSERT INTO simulation_steps VALUES ('good', 0, 5), ('odd', 0, 6), ('last', 0, 7);";
    database(&here.join("one.db"), &format!("{tables}{rows}"));
    fs::write(here.join("bad.db"), "no database at all").unwrap();
    let ran = silt(here, "import experiment bad.db one.db -o all.db");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("bad.db: skipped"), "{ran:?}");
    assert!(
        ran.err.contains("simulation \"odd\"") && ran.err.contains("simulation \"\""),
        "{ran:?}"
    );
    let ids = silt(here, "runs list all.db --json").json();
    let ids: Vec<_> =
        ids["simulations"].as_array().unwrap().iter().map(|s| &s["simulation_id"]).collect();
    assert_eq!(ids, [&json!("good"), &json!("last")]);
    assert_eq!(silt(here, "import experiment bad.db -o new.db").code, 2);
}

/// Goal: a row that a rule of ours does not allow, which the other program's tables did, is named; the others are taken.
#[test]
fn one_odd_row_stops_no_import_of_memories() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let sql = "CREATE TABLE episodes (id INTEGER PRIMARY KEY, timestamp REAL, experience_data BLOB, \
        performance_score REAL, context_hash TEXT, metadata TEXT, created_at REAL); \
        CREATE TABLE concepts (id INTEGER PRIMARY KEY, name TEXT, embedding BLOB, creation_time REAL, \
        access_count INTEGER, last_accessed REAL, metadata TEXT); \
        CREATE TABLE learning_events (id INTEGER PRIMARY KEY, task_type TEXT, performance_delta REAL, \
        strategy_used TEXT, timestamp REAL, parameters TEXT); \
        CREATE TABLE concept_relationships (id INTEGER PRIMARY KEY, source_concept_id INTEGER, \
        target_concept_id INTEGER, relationship_type TEXT, strength REAL, created_at REAL); \
        INSERT INTO learning_events VALUES (1, 'maze', 0.5, 'left', 1.0, '{}'), (2, NULL, 0.5, 'left', 1.0, '{}'), \
        (3, 'maze', 0.5, 'right', 1.0, '{}');";
    database(&here.join("old.db"), sql);
    let ran = silt(here, "import memory old.db -o agent.db");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("learning_events row 2 skipped"), "{ran:?}");
    assert!(ran.out.contains("2 learning events"), "{ran:?}");
}
