//! `backup`, `restore`, `vacuum`, `keys`, `resume`, `export`, `merge`: commands that write.

use serde_json::json;
use siltstone::simulation::SimulationDatabase;

use crate::silt::{names, roads, silt, silt_with, small_run};

/// Goal: a backup is the same database, and no file is replaced by one.
#[test]
fn a_backup_is_the_same_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    small_run(folder.path());
    let report = silt(folder.path(), "backup run.db copy.db --json").json();
    assert_eq!(report["rows"]["update"], 3);
    assert_eq!(names(folder.path()), ["copy.db", "run.db"]);
    let state = |file: &str| {
        silt(folder.path(), &format!("state {file} transport road_segments --at 10")).ok()
    };
    assert_eq!(state("copy.db"), state("run.db"));
    let ran = silt(folder.path(), "backup run.db copy.db");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("already"), "{ran:?}");
}

/// Goal: a folder of backups keeps the newest, and foreign files in it.
#[test]
fn a_folder_of_backups_keeps_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    small_run(folder.path());
    std::fs::create_dir(folder.path().join("backups")).unwrap();
    std::fs::write(folder.path().join("backups/mine.txt"), "mine").unwrap();
    for _ in 0..4 {
        silt(folder.path(), "backup run.db --into backups --keep 2").ok();
    }
    let left = names(&folder.path().join("backups"));
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.contains(&"mine.txt".to_owned()));
    assert_eq!(names(folder.path()), ["backups", "run.db"], "the log was not put away");
}

/// Goal: a restore asks before it replaces, and then replaces everything.
#[test]
fn a_restore_replaces_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_run(folder.path());
    silt(folder.path(), "backup run.db copy.db").ok();
    let db = SimulationDatabase::open(&path).unwrap();
    db.store_update(30, 0, "transport", roads(&[1], &[9.0]), None).unwrap();
    db.close().unwrap();
    let count =
        || silt_with(folder.path(), "query run.db", "SELECT count(*) AS n FROM \"update\"").ok();
    let ran = silt(folder.path(), "restore copy.db run.db");
    assert_eq!((ran.code, count().as_str()), (2, "n\n4\n"), "{ran:?}");
    silt(folder.path(), "restore copy.db run.db --overwrite").ok();
    assert_eq!(count(), "n\n3\n");
    silt(folder.path(), "restore copy.db new.db").ok();
    assert!(silt(folder.path(), "verify new.db").ok().contains("all is well"));
}

/// Goal: resuming removes what came after, only with --yes, and space goes back.
#[test]
fn resume_removes_what_came_after() {
    let folder = tempfile::tempdir().unwrap();
    small_run(folder.path());
    let ran = silt(folder.path(), "resume run.db --from 2020-01-01T10:30");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("1 update after 10"), "{ran:?}");
    let info = silt(folder.path(), "info run.db --json").json();
    assert_eq!(
        (&info["datasets"][0]["updates"], &info["run"]["status"]),
        (&json!(3), &json!("complete"))
    );
    let removed = silt(folder.path(), "resume run.db --from 10 --yes --json").json();
    assert_eq!(removed["removed"], 1);
    let info = silt(folder.path(), "info run.db --json").json();
    assert_eq!(
        (&info["datasets"][0]["last"], &info["run"]["status"]),
        (&json!(10), &json!("running"))
    );
    assert_eq!(info["arrays"]["stored"], 5);
    assert!(silt(folder.path(), "vacuum run.db").ok().contains("given back"));
    assert_eq!(silt(folder.path(), "keys run.db --json").json()["written"], 0);
    assert!(silt(folder.path(), "verify run.db").ok().contains("all is well"));
}

/// Goal: settling makes a finished run smaller, changes no value, and has nothing to do the next time.
#[test]
fn settling_changes_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let ids: Vec<i64> = (0..100).collect();
    for timestamp in 0..200 {
        let speeds: Vec<f64> = ids.iter().map(|id| (id / 7 + timestamp) as f64).collect();
        db.store_update(timestamp, 0, "transport", roads(&ids, &speeds), None).unwrap();
    }
    db.close().unwrap();
    let state = || silt(folder.path(), "state run.db transport road_segments --at 77").ok();
    let before = (state(), silt(folder.path(), "info run.db --json").json());
    let report = silt(folder.path(), "settle run.db --json").json();
    assert_eq!(report["arrays"], 200, "{report}");
    let after = (state(), silt(folder.path(), "info run.db --json").json());
    assert_eq!(before.0, after.0);
    let bytes = |info: &serde_json::Value| info["arrays"]["stored_bytes"].as_u64().unwrap();
    assert!(bytes(&after.1) * 3 < bytes(&before.1), "{:#}", after.1);
    assert_eq!(before.1["arrays"]["raw_bytes"], after.1["arrays"]["raw_bytes"]);
    assert_eq!(after.1["arrays"]["blocks"], report["blocks"]);
    assert!(bytes(&after.1) >= report["bytes_after"].as_u64().unwrap(), "{report}, {:#}", after.1);
    assert!(silt(folder.path(), "info run.db").ok().contains("block"));
    assert!(silt(folder.path(), "verify run.db").ok().contains("all is well"));
    assert_eq!(silt(folder.path(), "settle run.db --json").json()["blocks"], 0);
}

/// Goal: commands that change a database make none of a mistyped name.
#[test]
fn writers_make_no_file_of_a_mistyped_name() {
    let folder = tempfile::tempdir().unwrap();
    for line in [
        "vacuum typo.db",
        "keys typo.db",
        "settle typo.db",
        "resume typo.db --from 0 --yes",
        "backup typo.db copy.db",
        "backup typo.db --into backups --keep 1",
        "restore typo.db new.db",
        "export typo.db --to out",
        "merge typo.db -o new.db",
    ] {
        let ran = silt(folder.path(), line);
        assert_eq!(ran.code, 2, "{line}: {ran:?}");
        assert!(ran.err.contains("typo.db"), "{line}: {ran:?}");
        assert_eq!(names(folder.path()), [""; 0], "after {line}");
    }
}

/// Goal: an export is imported again as the same run, and a full folder is refused.
#[test]
fn an_export_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    small_run(folder.path());
    let report = silt(folder.path(), "export run.db --to out --json").json();
    assert_eq!((&report["updates"], &report["initial_datasets"]), (&json!(3), &json!(1)));
    silt(
        folder.path(),
        "import simulation --init-dir out/init_data --updates-dir out/updates -o again.db",
    )
    .ok();
    for time in ["-1", "0", "15", "20"] {
        let state = |file: &str| {
            silt(folder.path(), &format!("state {file} transport road_segments --at {time}")).ok()
        };
        assert_eq!(state("again.db"), state("run.db"), "at {time}");
    }
    let ran = silt(folder.path(), "export run.db --to out");
    assert_eq!(ran.code, 2, "{ran:?}");
    silt(folder.path(), "export run.db --to out --overwrite").ok();
    silt(folder.path(), "export run.db --to tables --format csv --what states").ok();
    let table =
        std::fs::read_to_string(folder.path().join("tables/transport.road_segments.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 3 * 3, "{table}");
    assert_eq!(silt(folder.path(), "export run.db --to other --dataset nope").code, 2);
}

/// Goal: two parts of a run become one; what they say differently is named, and exit code 3.
#[test]
fn parts_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    for (name, timestamps, speed) in [("a.db", 0..3, 1.0), ("b.db", 3..6, 2.0), ("c.db", 5..7, 3.0)]
    {
        let db = SimulationDatabase::open(folder.path().join(name)).unwrap();
        for timestamp in timestamps {
            db.store_update(timestamp, 0, "transport", roads(&[1], &[speed]), None).unwrap();
        }
        db.close().unwrap();
    }
    let report = silt(folder.path(), "merge a.db b.db -o all.db --json").json();
    assert_eq!((&report["updates"], &report["conflicts"]), (&json!(6), &json!(0)));
    let report = silt(folder.path(), "merge a.db b.db -o all.db --json").json();
    assert_eq!((&report["updates"], &report["skipped"]), (&json!(0), &json!(6)));
    let ran = silt(folder.path(), "merge c.db -o all.db");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("c.db") && ran.err.contains("left behind"), "{ran:?}");
    let state = silt(folder.path(), "state all.db transport road_segments --at 5 --quiet").ok();
    assert_eq!(state, "id\tspeed\n1\t2.0\n");
}
