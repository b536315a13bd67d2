//! `import simulation`.

use std::fs;
use std::path::Path;

use serde_json::json;
use siltstone::simulation::SimulationDatabase;

use crate::silt::{command, names, silt};

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

/// Goal: folders become a database that is complete, and typing it again changes nothing.
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
    assert_eq!((&report["updates"], &report["skipped"]), (&json!(0), &json!(70)));
    assert_eq!(names(folder.path()), ["init", "run.db", "updates"]);
}

/// Goal: a malformed file is named and counted, the rest is imported, and the exit code is 3; once it is
/// mended, the same command takes it up.
#[test]
fn a_malformed_file_is_left_behind() {
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
        ran.out.contains("39 updates") && ran.out.contains("1 malformed file left behind"),
        "{ran:?}"
    );
    assert!(ran.out.contains("1 other file"), "{ran:?}");
    fs::write(&bad, good).unwrap();
    let ran = silt(folder.path(), &format!("{IMPORT} --json"));
    assert_eq!((ran.code, &ran.json()["updates"]), (0, &json!(1)));
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
    let done = stored().unwrap();
    assert!(done < files as u64, "the import was too fast to be interrupted");
    let info = silt(folder.path(), "info run.db --json").json();
    assert_eq!(info["run"]["status"], "running");
    let report = silt(folder.path(), &format!("{IMPORT} --json")).json();
    assert_eq!(
        (&report["skipped"], &report["updates"]),
        (&json!(done), &json!(files as u64 - done))
    );
    let info = silt(folder.path(), "info run.db --json").json();
    assert_eq!(info["run"]["status"], "complete");
}
