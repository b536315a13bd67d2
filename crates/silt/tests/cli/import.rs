//! `import simulation`.

use std::fs;
use std::path::Path;

use serde_json::json;
use siltstone::Array;
use siltstone::simulation::{Attribute, Group, SimulationDatabase};
use siltstone_needs::needs;

use crate::silt::{command, names, plain, silt};

const IMPORT: &str = "import simulation --init-dir init --updates-dir updates -o run.db";

/// A folder of an initial dataset and of `n` updates at 0, 1, 2, ...
fn json_run(folder: &Path, n: usize) {
    fs::create_dir_all(folder.join("init")).unwrap();
    fs::create_dir_all(folder.join("updates")).unwrap();
    let initial =
        json!({ "name": "net", "data": { "pipes": { "id": [1, 2], "flow": [0.5, null] } } });
    fs::write(folder.join("init/net.json"), initial.to_string()).unwrap();
    for i in 0..n {
        let update = json!({ "net": { "pipes": { "id": [1, 2], "flow": [i as f64, 0.25] } } });
        fs::write(folder.join(format!("updates/t{i}_0_net.json")), update.to_string()).unwrap();
    }
}

/// Goal: folders become a database that is complete, and the same command again changes nothing.
#[test]
fn folders_become_a_database() {
    let folder = tempfile::tempdir().unwrap();
    json_run(folder.path(), 70);
    let report = silt(folder.path(), &format!("{IMPORT} --json")).json();
    assert_eq!((&report["updates"], &report["initial_datasets"]), (&json!(70), &json!(1)));
    let state = silt(folder.path(), "state run.db net pipes --at 42 --quiet").ok();
    assert_eq!(state, "id\tflow\n1\t42.0\n2\t0.25\n");
    let info = silt(folder.path(), "info run.db --json").json();
    assert_eq!(info["run"]["status"], "complete");
    let report = silt(folder.path(), &format!("{IMPORT} --json")).json();
    assert_eq!((&report["updates"], &report["unchanged"]), (&json!(0), &json!(70)));
    assert_eq!(names(folder.path()), ["init", "run.db", "updates"]);
}

/// Goal: a malformed file is named and counted, the rest is imported, and the exit code is 3; once it is
/// mended, the same command takes it up.
#[test]
fn a_malformed_file_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    json_run(folder.path(), 40);
    let bad = folder.path().join("updates/t7_0_net.json");
    let good = fs::read(&bad).unwrap();
    fs::write(&bad, &good[..good.len() / 2]).unwrap();
    fs::write(folder.path().join("updates/readme.txt"), "not an update").unwrap();
    let ran = silt(folder.path(), IMPORT);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("t7_0_net.json") && ran.err.lines().count() == 1, "{ran:?}");
    assert!(
        ran.out.contains("39 updates") && ran.out.contains("1 malformed file skipped"),
        "{ran:?}"
    );
    assert!(ran.out.contains("1 other file"), "{ran:?}");
    fs::write(&bad, good).unwrap();
    let ran = silt(folder.path(), &format!("{IMPORT} --json"));
    assert_eq!((ran.code, &ran.json()["updates"]), (0, &json!(1)));
}

/// Goal: a dry run reads all files, names those that are malformed and those that contradict each other, and makes no file.
#[test]
fn a_dry_run_of_folders_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    json_run(folder.path(), 40);
    let updates = folder.path().join("updates");
    fs::write(updates.join("t7_0_net.json"), "{").unwrap();
    let other = json!({ "net": { "pipes": { "id": [1, 2], "flow": [9.0, 0.25] } } });
    fs::write(updates.join("t8_0_other.json"), other.to_string()).unwrap();
    let ran =
        silt(folder.path(), &format!("{} --dry-run --json", IMPORT.trim_end_matches(" -o run.db")));
    let found = ran.json();
    assert_eq!(
        (ran.code, &found["updates"], &found["initial_datasets"]),
        (3, &json!(39), &json!(1))
    );
    assert!(ran.err.contains("t7_0_net.json") && ran.err.contains("t8_0_other.json"), "{ran:?}");
    assert_eq!(names(folder.path()), ["init", "updates"]);
    let done = silt(folder.path(), &format!("{IMPORT} --json"));
    for name in ["updates", "initial_datasets", "bytes", "skipped", "conflicts"] {
        assert_eq!(done.json()[name], found[name], "{name}");
    }
    let short = silt(folder.path(), "import simulation updates --dry-run");
    assert!(short.out.contains("39 updates") && short.out.contains("dry run"), "{short:?}");
    assert!(silt(folder.path(), "import simulation --dry-run").code == 2);
}

/// Goal: what was typed wrongly is told before any file is made.
#[test]
fn wrong_input_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    json_run(folder.path(), 1);
    fs::write(folder.path().join("bad.json"), "{").unwrap();
    fs::write(folder.path().join("list.json"), "[1]").unwrap();
    for (more, reason) in [
        ("--scenario bad.json", "it is not JSON"),
        ("--scenario list.json", "simulation_info"),
        ("--attributes list.json", "list.json: attribute schema"),
        ("--attributes nope.json", "nope.json: cannot read"),
        ("--codec gzip", "gzip"),
        ("--workers 0", "0 is not in"),
    ] {
        let ran = silt(folder.path(), &format!("{IMPORT} {more}"));
        assert_eq!(ran.code, 2, "{more}: {ran:?}");
        assert!(ran.err.contains(reason), "{more}: {ran:?}");
    }
    let ran = silt(folder.path(), "import simulation --updates-dir nope -o run.db");
    assert!(ran.code == 2 && ran.err.contains("nope is not a folder"), "{ran:?}");
    assert!(!folder.path().join("run.db").exists());
}

/// Goal: a scenario says what timestamps mean, its reference as a number or as text.
#[test]
fn a_scenario_gives_the_timeline() {
    let folder = tempfile::tempdir().unwrap();
    json_run(folder.path(), 3);
    for reference in [json!(1_577_836_800), json!("2020-01-01"), json!("2020-01-01T01:00:00+01:00")]
    {
        let info = json!({ "simulation_info": { "reference_time": reference, "time_scale": 60 } });
        fs::write(folder.path().join("scenario.json"), info.to_string()).unwrap();
        silt(folder.path(), &format!("{IMPORT} --scenario scenario.json")).ok();
        let ran = silt(folder.path(), "state run.db net pipes --at 2020-01-01T00:02 --json");
        assert_eq!(ran.json()["timestamp"], 2, "{ran:?}");
        fs::remove_file(folder.path().join("run.db")).unwrap();
    }
}

/// Goal: each codec and durability gives the same state.
#[test]
fn each_codec_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    json_run(folder.path(), 10);
    // Large enough to be worth packing.
    let (ids, flows): (Vec<i64>, Vec<f64>) = (0..500).map(|i| (i, (i / 50) as f64)).unzip();
    let update = json!({ "net": { "pipes": { "id": ids, "flow": flows } } });
    fs::write(folder.path().join("updates/t99_0_net.json"), update.to_string()).unwrap();
    for codec in ["raw", "zstd", "lz4", "pco", "auto"] {
        for durability in ["buffered", "os", "disk"] {
            silt(
                folder.path(),
                &format!("{IMPORT} --codec {codec} --durability {durability} --workers 1"),
            )
            .ok();
            let state = silt(folder.path(), "state run.db net pipes --at 5 --limit 2 --quiet").ok();
            assert_eq!(state, "id\tflow\n1\t5.0\n2\t0.25\n", "{codec}, {durability}");
            let info = silt(folder.path(), "info run.db --json").json();
            let codecs = info["arrays"]["codecs"].as_object().unwrap();
            let used = codecs.keys().any(|name| name.starts_with(codec));
            assert!(used || codec == "auto" && codecs.len() > 1, "{codec}: {codecs:?}");
            fs::remove_file(folder.path().join("run.db")).unwrap();
        }
    }
}

/// Goal: Ctrl-C ends an import with 130; what was stored stays, the run is not complete, and the same
/// command goes on from there.
#[test]
#[cfg(unix)]
fn an_interrupted_import_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let files = 8000;
    json_run(folder.path(), files);
    let mut child = command(folder.path())
        .args(IMPORT.split(' '))
        .args(["--workers", "1"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stored = || {
        let db = SimulationDatabase::open_read_only(folder.path().join("run.db")).ok()?;
        db.update_count(None).ok().filter(|n| *n > 0)
    };
    while stored().is_none() {
        assert!(child.try_wait().unwrap().is_none(), "the import ended before its first update");
        std::thread::yield_now();
    }
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted while importing"), "{said}");
    assert!(said.contains("run the same command again to resume"), "{said}");
    let done = stored().unwrap();
    assert!(done < files as u64, "the import was too fast to be interrupted");
    let info = silt(folder.path(), "info run.db --json").json();
    assert_eq!(info["run"]["status"], "running");
    let report = silt(folder.path(), &format!("{IMPORT} --json")).json();
    assert_eq!(
        (&report["unchanged"], &report["updates"]),
        (&json!(done), &json!(files as u64 - done))
    );
    let info = silt(folder.path(), "info run.db --json").json();
    assert_eq!(info["run"]["status"], "complete");
}

fn flow(time: usize, value: f64) -> (String, String) {
    let update = json!({ "net": { "pipes": { "id": [1, 2], "flow": [value, 0.25] } } });
    (format!("updates/t{time}_0_net.json"), update.to_string())
}

/// Goal: a second file of one update is unchanged if it says the same and named if it does not; either
/// way all else is imported, and the same command again says the same.
#[test]
fn a_second_file_of_an_update_stops_nothing() {
    for same in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        json_run(folder.path(), 40);
        // The first of the two by its name is the one that is taken.
        let (_, text) = flow(5, if same { 5.0 } else { 7.5 });
        fs::write(folder.path().join("updates/t05_0_net.json"), text).unwrap();
        for (updates, unchanged) in [(40, 1), (0, 41)] {
            let ran = silt(folder.path(), &format!("{IMPORT} --json"));
            assert_eq!(ran.code, if same { 0 } else { 3 }, "{ran:?}");
            let report = ran.json();
            let unchanged = if same { unchanged } else { unchanged - 1 };
            assert_eq!(
                (&report["updates"], &report["unchanged"]),
                (&json!(updates), &json!(unchanged))
            );
            let conflicts = report["conflicts"].as_array().unwrap();
            assert_eq!((conflicts.len(), same), (usize::from(!same), same), "{report}");
            if !same {
                assert_eq!(conflicts[0]["path"], "updates/t5_0_net.json");
                let said =
                    "t5_0_net.json: the update at timestamp 5, iteration 0 of dataset \"net\"";
                assert!(ran.err.contains(said) && ran.err.contains("pipes/flow"), "{ran:?}");
            }
        }
        let state = silt(folder.path(), "state run.db net pipes --at 5 --quiet").ok();
        let value = if same { "5.0" } else { "7.5" };
        assert_eq!(state, format!("id\tflow\n1\t{value}\n2\t0.25\n"));
    }
}

/// Goal: infinities are shown where JSON has none, and are told from what is undefined.
#[test]
fn a_state_shows_infinities() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let columns = [
        ("id", Array::from_slice(&[1i64, 2, 3])),
        ("flow", Array::from_slice(&[f64::INFINITY, f64::NEG_INFINITY, 0.5])),
    ];
    let attributes = columns.map(|(name, array)| (name.to_owned(), Attribute::new(array)));
    let group = Group { name: "pipes".into(), attributes: attributes.into() };
    db.store_update(0, 0, "net", vec![group], None).unwrap();
    db.close().unwrap();
    let state = silt(folder.path(), "state run.db net pipes --quiet").ok();
    assert_eq!(state, "id\tflow\n1\tInfinity\n2\t-Infinity\n3\t0.5\n");
    let state = silt(folder.path(), "state run.db net pipes --json").json();
    assert_eq!(state["attributes"]["flow"], json!(["Infinity", "-Infinity", 0.5]));
}

/// Goal: a file whose dataset is not the one of its name is known again too.
#[test]
fn an_inner_name_of_its_own_is_known_again() {
    let folder = tempfile::tempdir().unwrap();
    json_run(folder.path(), 3);
    fs::write(folder.path().join("updates/t9_0_other.json"), flow(9, 9.0).1).unwrap();
    for (updates, unchanged) in [(4, 0), (0, 4)] {
        let ran = silt(folder.path(), &format!("{IMPORT} --json"));
        assert_eq!(ran.code, 0, "{ran:?}");
        let report = ran.json();
        assert_eq!(
            (&report["updates"], &report["unchanged"]),
            (&json!(updates), &json!(unchanged))
        );
    }
}

/// Goal: content that changed since it was imported is reported, and what is stored stays.
#[test]
fn changed_content_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    json_run(folder.path(), 3);
    silt(folder.path(), IMPORT).ok();
    let (name, text) = flow(1, 1.0);
    // The same in other words is the same.
    fs::write(folder.path().join(&name), text.replace(',', " , ")).unwrap();
    let initial = fs::read_to_string(folder.path().join("init/net.json")).unwrap();
    fs::write(folder.path().join("init/net.json"), initial.replace(':', ": ")).unwrap();
    let ran = silt(folder.path(), IMPORT);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    fs::write(folder.path().join(&name), flow(1, 1.5).1).unwrap();
    fs::write(folder.path().join("init/net.json"), initial.replace("0.5", "0.75")).unwrap();
    let ran = silt(folder.path(), IMPORT);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("t1_0_net.json") && ran.err.contains("init/net.json"), "{ran:?}");
    assert!(ran.out.contains("2 conflicts skipped"), "{ran:?}");
    let at =
        |time: &str| silt(folder.path(), &format!("state run.db net pipes --at {time} --quiet"));
    assert!(at("1").ok().contains("1\t1.0"));
    assert!(at("-1").ok().contains("1\t0.5"));
}

/// Goal: the types that the file keeps are those of a later import that gives none.
#[test]
fn kept_types_are_used_again() {
    let folder = tempfile::tempdir().unwrap();
    json_run(folder.path(), 3);
    let point = json!({ "net": { "pipes": { "id": [1], "at": [[1, 2]] } } });
    fs::write(folder.path().join("updates/t9_0_net.json"), point.to_string()).unwrap();
    let types = json!([{ "name": "at", "py_type": "float", "unit_shape": [2] }]);
    fs::write(folder.path().join("types.json"), types.to_string()).unwrap();
    silt(folder.path(), &format!("{IMPORT} --attributes types.json")).ok();
    let report = silt(folder.path(), &format!("{IMPORT} --json")).json();
    assert_eq!((&report["unchanged"], &report["conflicts"]), (&json!(4), &json!([])));
}

/// Goal: a folder or a link to nowhere with the name of a dataset or an update is named, and stops
/// nothing.
#[test]
#[cfg(unix)]
fn what_is_no_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    json_run(folder.path(), 3);
    fs::create_dir(folder.path().join("init/sub.json")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("init/gone.json")).unwrap();
    fs::create_dir(folder.path().join("updates/t7_0_net.json")).unwrap();
    let pipe = folder.path().join("updates/t8_0_net.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let ran = silt(folder.path(), IMPORT);
    assert_eq!(ran.code, 3, "{ran:?}");
    for name in ["sub.json", "gone.json", "t7_0_net.json", "t8_0_net.json"] {
        assert!(ran.err.contains(name), "{name}: {ran:?}");
    }
    assert!(ran.out.contains("3 updates and 1 initial dataset"), "{ran:?}");
    assert!(ran.out.contains("4 malformed files skipped"), "{ran:?}");
}

/// Goal: an import that a full disk ended is not complete, and what it says of taking it up is true.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_no_complete_run() {
    let folder = tempfile::tempdir().unwrap();
    json_run(folder.path(), 400);
    let mut refused = 0;
    // Files may not grow beyond so many kilobytes.
    for kilobytes in [4, 20, 40, 60, 80, 100, 120, 140, 160, 200, 260] {
        let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" \"$@\"");
        let mut limited = std::process::Command::new("bash");
        limited.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_silt")).args(IMPORT.split(' '));
        let ran: crate::silt::Ran = limited.current_dir(folder.path()).output().unwrap().into();
        if ran.code == 0 {
            continue;
        }
        refused += 1;
        let info = silt(folder.path(), "info run.db --json");
        if info.code == 0 {
            let info = info.json();
            assert_ne!(info["run"]["status"], "complete", "{kilobytes}: {ran:?}\n{info}");
            let stored = info["datasets"][0]["updates"].as_u64().unwrap_or(0);
            assert_eq!(ran.err.contains("stays"), stored > 0, "{kilobytes}: {ran:?}");
        }
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(folder.path().join(format!("run.db{end}")));
        }
    }
    assert!(refused > 3, "{refused}");
    silt(folder.path(), IMPORT).ok();
}

/// Goal: a complete run to which a full disk lets nothing be added is not called complete, until the
/// import is taken up.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_takes_the_word_back_that_a_run_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    json_run(folder.path(), 100);
    silt(folder.path(), IMPORT).ok();
    let status = || silt(folder.path(), "info run.db --json").json()["run"]["status"].clone();
    assert_eq!(status(), "complete");
    json_run(folder.path(), 200);
    let script = "trap '' XFSZ; ulimit -f 40; exec \"$0\" \"$@\"";
    let mut limited = std::process::Command::new("bash");
    limited.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_silt")).args(IMPORT.split(' '));
    let ran: crate::silt::Ran = limited.current_dir(folder.path()).output().unwrap().into();
    assert_eq!(ran.code, 2, "{ran:?}");
    let info = silt(folder.path(), "info run.db --json").json();
    assert_eq!(
        (&info["run"]["status"], &info["datasets"][0]["updates"]),
        (&json!("running"), &json!(100))
    );
    silt(folder.path(), IMPORT).ok();
    assert_eq!(status(), "complete");
}

/// Goal: a disk that is full only when the file is finished leaves no complete run either.
#[needs(small_disk)]
#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_is_full_at_the_end_leaves_no_complete_run() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(&disk);
    assert!(mount.output().unwrap().status.success());
    json_run(folder.path(), 0);
    let line = IMPORT.replace("run.db", "disk/run.db");
    let mut failed = Vec::new();
    for n in 0..60 {
        for i in n * 10..(n + 1) * 10 {
            let flows: Vec<f64> = (0..300).map(|k| (i * 1000 + k) as f64 + 0.5).collect();
            let ids: Vec<i64> = (0..300).collect();
            let update = json!({ "net": { "pipes": { "id": ids, "flow": flows } } });
            let name = format!("updates/t{i}_0_net.json");
            fs::write(folder.path().join(name), update.to_string()).unwrap();
        }
        let ran = silt(folder.path(), &line);
        let info = silt(folder.path(), "info disk/run.db --json");
        let status = if info.code < 2 { info.json()["run"]["status"].clone() } else { json!(null) };
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(disk.join(format!("run.db{end}")));
        }
        if ran.code != 0 {
            failed.push((n, status, ran));
        }
    }
    let _ = std::process::Command::new("umount").arg("-l").arg(&disk).output();
    assert!(failed.len() > 3, "{failed:?}");
    let wrong: Vec<_> = failed.iter().filter(|(_, status, _)| status == "complete").collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Goal: what Python's json writes beyond JSON is read: NaN as undefined, infinities, a byte order mark.
#[test]
fn what_python_writes_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let updates = folder.path().join("updates");
    fs::create_dir(&updates).unwrap();
    let write = |name: &str, text: &str| fs::write(updates.join(name), text).unwrap();
    write("t0_0_plant.json", r#"{"plant":{"pumps":{"id":[1,2],"power":[NaN,20.0]}}}"#);
    write(
        "t1_0_plant.json",
        "\u{feff}{\"plant\":{\"pumps\":{\"id\":[1,2],\"power\":[1.5,-Infinity]}}}",
    );
    silt(folder.path(), "import simulation --updates-dir updates -o x.db").ok();
    let db = SimulationDatabase::open(folder.path().join("x.db")).unwrap();
    let power = |at| db.state_at("plant", "pumps", at).unwrap().column("power").unwrap().clone();
    assert_eq!([0, 1].map(|row| power(0).is_defined(row)), [false, true]);
    let values = power(1).attribute.data.to_vec::<f64>().unwrap();
    assert_eq!(values, [1.5, f64::NEG_INFINITY]);
}

/// Goal: an import of a file of another kind leaves no target, and one that was there stays.
#[test]
fn a_failed_import_leaves_no_empty_target() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::create_dir_all(here.join("updates")).unwrap();
    fs::write(here.join("updates/t0_0_plant.json"), "{").unwrap();
    fs::write(here.join("bad.csv"), "a\n\u{0}").unwrap();
    let other = plain(here.join("other.db"));
    other.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(other);
    let before = names(here);
    for line in [
        "import memory other.db -o new.db",
        "import experiment other.db -o new.db",
        "import simulation --updates-dir updates -o new.db",
        "series import other.db --to new.db",
        "series import bad.csv --to new.db",
    ] {
        let ran = silt(here, line);
        assert!(ran.code == 2 || ran.code == 3, "{line}: {ran:?}");
        assert_eq!(names(here), before, "{line}: {ran:?}");
    }
    fs::remove_file(here.join("updates/t0_0_plant.json")).unwrap();
    json_run(here, 1);
    silt(here, IMPORT).ok();
    silt(here, "import memory other.db -o run.db");
    assert_eq!(silt(here, "info run.db --json").json()["run"]["status"], "complete");
}
