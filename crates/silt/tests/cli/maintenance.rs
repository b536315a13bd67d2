//! `backup`, `restore`, `vacuum`, `keys`, `resume`, `export`, `merge`: commands that write.

use serde_json::json;
use siltstone::Array;
use siltstone::simulation::{Attribute, CLEARED, GIVEN, Group, InitialData, SimulationDatabase};

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
fn a_restore_replaces_only_on_request() {
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
    assert_eq!(silt(folder.path(), "keyframes run.db --json").json()["written"], 0);
    assert!(silt(folder.path(), "verify run.db").ok().contains("all is well"));
}

/// Goal: compaction makes a finished run smaller, changes no value, and has nothing to do the next time.
#[test]
fn compaction_changes_no_value() {
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
    let report = silt(folder.path(), "compact run.db --json").json();
    assert_eq!(report["rows"], 200, "{report}");
    let after = (state(), silt(folder.path(), "info run.db --json").json());
    assert_eq!(before.0, after.0);
    let bytes = |info: &serde_json::Value| info["arrays"]["stored_bytes"].as_u64().unwrap();
    assert!(bytes(&after.1) * 3 < bytes(&before.1), "{:#}", after.1);
    assert_eq!(before.1["arrays"]["raw_bytes"], after.1["arrays"]["raw_bytes"]);
    assert_eq!(after.1["arrays"]["blocks"], report["blocks"]);
    let in_use = |when: &str| report[when].as_u64().unwrap();
    assert!(in_use("bytes_after") < in_use("bytes_before"), "{report}");
    assert!(silt(folder.path(), "info run.db").ok().contains("block"));
    assert!(silt(folder.path(), "verify run.db").ok().contains("all is well"));
    assert_eq!(silt(folder.path(), "compact run.db --json").json()["blocks"], 0);
}

/// Goal: commands that change a database make none of a mistyped name.
#[test]
fn writers_make_no_file_of_a_mistyped_name() {
    let folder = tempfile::tempdir().unwrap();
    for line in [
        "vacuum typo.db",
        "keyframes typo.db",
        "compact typo.db",
        "resume typo.db --from 0 --yes",
        "backup typo.db copy.db",
        "backup typo.db --into backups --keep 1",
        "restore typo.db new.db",
        "export typo.db -o out",
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
    let report = silt(folder.path(), "export run.db -o out --json").json();
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
    let ran = silt(folder.path(), "export run.db -o out");
    assert_eq!(ran.code, 2, "{ran:?}");
    silt(folder.path(), "export run.db -o out --overwrite").ok();
    silt(folder.path(), "export run.db -o tables --format csv --what states").ok();
    let table =
        std::fs::read_to_string(folder.path().join("tables/transport.road_segments.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 3 * 3, "{table}");
    assert_eq!(silt(folder.path(), "export run.db -o other --dataset nope").code, 2);
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
    assert_eq!((&report["updates"], &report["unchanged"]), (&json!(0), &json!(6)));
    let ran = silt(folder.path(), "merge c.db -o all.db");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("c.db") && ran.err.contains("skipped"), "{ran:?}");
    let state = silt(folder.path(), "state all.db transport road_segments --at 5 --quiet").ok();
    assert_eq!(state, "id\tspeed\n1\t2.0\n");
}

fn with(attribute: Attribute) -> Vec<Group> {
    let ids: Vec<i64> = (0..attribute.entities() as i64).collect();
    let attributes =
        vec![("id".to_owned(), Attribute::new(Array::from_slice(&ids))), ("x".into(), attribute)];
    vec![Group { name: "g".into(), attributes }]
}

/// Goal: what JSON cannot say is counted and reported; a run without it is silent.
#[test]
fn what_json_cannot_say_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let values = Attribute::new(Array::from_slice(&[f64::INFINITY, 1.0, f64::NAN]));
    db.store_update(0, 0, "net", with(values.clone()), None).unwrap();
    let masked = values.with_mask(&[CLEARED, GIVEN, GIVEN]);
    db.store_update(1, 0, "net", with(masked), None).unwrap();
    db.close().unwrap();
    let ran = silt(folder.path(), "export run.db -o out --json");
    // An infinity; a cleared value and a NaN that is meant.
    assert_eq!((ran.code, &ran.json()["lost_values"]), (0, &json!(3)), "{ran:?}");
    assert!(ran.err.starts_with("warning: ") && ran.err.contains("3 values"), "{ran:?}");
    small_run(folder.path());
    let ran = silt(folder.path(), "export run.db --dataset transport -o again --json");
    assert_eq!((ran.err.as_str(), &ran.json()["lost_values"]), ("", &json!(0)));
}

/// Goal: an export that cannot be finished says where it stopped, and leaves nothing of itself.
#[test]
fn a_failed_export_leaves_nothing() {
    let long = "n".repeat(201);
    let complex = || {
        let dtype = "<c8".parse().unwrap();
        with(Attribute::new(Array::new(dtype, vec![1], vec![0u8; 8]).unwrap()))
    };
    let bytes = || {
        let dtype = "|S1".parse().unwrap();
        with(Attribute::new(Array::new(dtype, vec![1], vec![0xff]).unwrap()))
    };
    for (dataset, data, parts) in [
        (long.as_str(), roads(&[1], &[1.0]), vec!["at most 200 bytes"]),
        ("z", complex(), vec!["timestamp 7, iteration 1", "z/g/x", "complex"]),
        ("z", bytes(), vec!["timestamp 7, iteration 1", "z/g/x", "UTF-8"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
        db.store_update(0, 0, "a", roads(&[1], &[1.0]), None).unwrap();
        db.store_initial_dataset("a", InitialData::Json(b"{}".to_vec()), false).unwrap();
        db.store_update(7, 1, dataset, data, None).unwrap();
        db.close().unwrap();
        let ran = silt(folder.path(), "export run.db -o deep/out");
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(parts.iter().all(|part| ran.err.contains(part)), "{ran:?}");
        assert_eq!(names(folder.path()), ["run.db"], "{ran:?}");
        // A folder that was there stays, with what was in it.
        std::fs::create_dir(folder.path().join("out")).unwrap();
        std::fs::write(folder.path().join("out/mine.txt"), "mine").unwrap();
        assert_eq!(silt(folder.path(), "export run.db -o out --overwrite").code, 2);
        assert_eq!(names(&folder.path().join("out")), ["mine.txt"]);
    }
}

/// Goal: initial data of every kind and name leave and come back as they were.
#[test]
fn initial_data_of_every_kind_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let json = |text: &str| InitialData::Json(text.as_bytes().to_vec());
    let binary = |bytes: &[u8]| InitialData::Binary(bytes.to_vec());
    let all = [
        ("pic.json", binary(&[1, 2])),
        ("pic", json("{\"name\":\"pic\"}")),
        ("heights.tif", binary(b"{\"a\":1}")),
        (".hidden", binary(&[])),
        ("a/b", json("{\"a\":[1]}")),
        ("a/c", binary(&[0xff])),
        ("raw.bin", binary(&[3])),
        ("list.json", json("{}")),
    ];
    for (name, data) in &all {
        db.store_initial_dataset(name, data.clone(), false).unwrap();
    }
    db.close().unwrap();
    silt(folder.path(), "export run.db -o out").ok();
    // A user's own files, as movici names them.
    std::fs::write(folder.path().join("out/init_data/tape.csv"), "1,2").unwrap();
    std::fs::write(folder.path().join("out/init_data/plain"), "text").unwrap();
    std::fs::write(folder.path().join("out/init_data/.DS_Store"), "no dataset").unwrap();
    silt(folder.path(), "import simulation --init-dir out/init_data -o again.db").ok();
    let db = SimulationDatabase::open_read_only(folder.path().join("again.db")).unwrap();
    for (name, data) in &all {
        assert_eq!(db.initial_dataset(name).unwrap().as_ref(), Some(data), "{name}");
    }
    assert_eq!(db.initial_dataset("tape").unwrap(), Some(binary(b"1,2")));
    assert_eq!(db.initial_dataset("plain").unwrap(), Some(binary(b"text")));
    assert_eq!(db.initial_datasets().unwrap().len(), all.len() + 2);
}

/// Goal: an export over another run leaves none of its updates, and touches nothing else.
#[test]
fn an_export_over_another_run_is_one_run() {
    let folder = tempfile::tempdir().unwrap();
    for (file, dataset, times) in
        [("old.db", "a", 0..9), ("new.db", "a", 0..3), ("b.db", "b", 5..7)]
    {
        let db = SimulationDatabase::open(folder.path().join(file)).unwrap();
        for time in times {
            db.store_update(time, 0, dataset, roads(&[1], &[1.0]), None).unwrap();
        }
        db.close().unwrap();
    }
    let updates = folder.path().join("out/updates");
    silt(folder.path(), "export old.db -o out").ok();
    std::fs::write(updates.join("t1_notes.txt"), "mine").unwrap();
    std::fs::write(updates.join("net.json"), "mine").unwrap();
    std::fs::create_dir(updates.join("t77_0_a.json")).unwrap();
    let ran = silt(folder.path(), "export new.db -o out --overwrite");
    assert!(ran.out.contains("6 update files of another run removed"), "{ran:?}");
    let kept =
        ["net.json", "t0_0_a.json", "t1_0_a.json", "t1_notes.txt", "t2_0_a.json", "t77_0_a.json"];
    assert_eq!(names(&updates), kept);
    // One dataset that is asked for by name says nothing of the others.
    let report = silt(folder.path(), "export b.db -o out --overwrite --dataset b --json").json();
    assert_eq!((&report["removed"], names(&updates).len()), (&json!(0), 8));
    let report = silt(folder.path(), "export b.db -o out --overwrite --json").json();
    assert_eq!((&report["removed"], names(&updates).len()), (&json!(3), 5));
}

/// Goal: what a merge says of a contradiction is for people.
#[test]
fn a_contradiction_is_reported_in_words() {
    let folder = tempfile::tempdir().unwrap();
    for (name, origin, hour) in [("a.db", None, 3600.0), ("b.db", Some("m2"), 60.0)] {
        let db = SimulationDatabase::open(folder.path().join(name)).unwrap();
        db.store_update(0, 0, "transport", roads(&[1], &[1.0]), origin).unwrap();
        let timeline =
            siltstone::simulation::Timeline { reference: 0.0, time_scale: hour, start_time: 0 };
        db.set_timeline(timeline).unwrap();
        let py_type = if origin.is_none() { "int" } else { "float" };
        let schema = format!(r#"[{{"name":"speed","py_type":"{py_type}"}}]"#);
        let schema = siltstone::simulation::json::Schema::parse(schema.as_bytes()).unwrap();
        db.set_schema(&schema).unwrap();
        db.close().unwrap();
    }
    let ran = silt(folder.path(), "merge a.db b.db -o all.db");
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("its origin is \"m2\" here, the target has none"), "{ran:?}");
    for debug in ["Some(", "None", "Timeline {", "AttributeSpec", "PyType"] {
        assert!(!ran.err.contains(debug), "{debug}: {ran:?}");
    }
}
