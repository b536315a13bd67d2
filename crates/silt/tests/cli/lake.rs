//! `silt lake` and `silt pull`.

use std::path::Path;

use serde_json::json;
use siltstone::memory::{NewEpisode, Payload};
use siltstone::series::{Series, StorageBackend};
use siltstone::simulation::{Group, InitialData, SimulationDatabase};

use crate::silt::{names, silt};

fn save(path: &Path, values: &[f64]) {
    let db = siltstone::open(path).unwrap();
    let times: Vec<i64> = (0..values.len() as i64).map(|n| n * 1_000_000_000).collect();
    let points = Series::from_times_ns(&times, values).unwrap();
    db.series().unwrap().save("flow", &points, &Default::default()).unwrap();
}

/// Goal: the commands say what is in a lake and whether it is right, by their exit codes and as JSON too, and bring it back.
#[test]
fn a_lake_is_listed_checked_cleaned_and_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let run = |line: &str| silt(folder.path(), line);
    save(&folder.path().join("a.db"), &[1.5, 2.5]);
    run("publish a.db --to lake").ok();
    let listed = run("lake ls lake").ok();
    assert!(listed.contains("series_points        0      1     2"), "{listed}");
    let tables = run("lake ls lake --json").json();
    let store = tables["tables"][0]["senders"][0]["store_id"].as_str().unwrap().to_owned();
    assert!(listed.contains(&store));
    let missing = run("lake ls none");
    assert_eq!((missing.code, names(folder.path()).contains(&"none".to_owned())), (2, false));
    assert!(missing.err.contains("\"none\" is not in"), "{missing:?}");

    let said = run("lake verify lake a.db").ok();
    assert!(said.contains("all is well; 2 files and 3 rows read, 2 segments compared"), "{said}");
    save(&folder.path().join("a.db"), &[1.5, 3.5]);
    let found = run("lake verify lake a.db");
    assert_eq!(found.code, 1, "{found:?}");
    assert!(found.out.contains("series_points, segment 1, partition"), "{found:?}");
    let found = run("lake verify lake a.db --json").json();
    assert_eq!((&found["ok"], found["findings"].as_array().unwrap().len()), (&false.into(), 2));

    let none = run("lake vacuum lake --older-than 1h");
    assert_eq!((none.code, none.err.contains("--no-senders")), (2, true), "{none:?}");
    let none = run("lake vacuum lake --dry-run").ok();
    assert_eq!(none, "lake: 0 files, 0 B would be given back\n");
    run("publish a.db --to lake").ok();
    let freed = run("lake vacuum lake --older-than 1s --no-senders --json").json();
    assert_eq!(freed["files"].as_array().unwrap().len(), 0, "it is younger than a second");

    let said = run(&format!("pull lake -o b.db --store {store}")).ok();
    assert!(
        said.starts_with("series: 1 row\nseries_points: 2 rows\nb.db: made of 2 files of lake"),
        "{said}"
    );
    let again = run("pull lake -o b.db");
    assert_eq!((again.code, again.err.contains("choose another name")), (2, true), "{again:?}");
    let report = run("pull lake -o c.db --where key=flow --json").json();
    assert_eq!(report["tables"]["series_points"], 2);
    let wrong = run("pull lake -o d.db --where flow");
    assert!(wrong.err.contains("COLUMN=VALUE"), "{wrong:?}");
    let rows = run("query b.db SELECT/**/value/**/FROM/**/time_series_data --json");
    assert!(rows.out.contains("3.5"), "{rows:?}");
}

/// Goal: states at chosen times are published and not pulled, and the commands say what they leave out, on stderr and in JSON.
#[test]
fn what_is_left_out_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = |line: &str| silt(folder.path(), line);
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let cells = || Group::new("cells").with("id", [1i64, 2]).with("heat", [0.5, 1.5]);
    db.store_initial_dataset("grid", InitialData::Entities(vec![cells()]), false).unwrap();
    for time in [5, 15, 25] {
        db.store_update(time, 0, "grid", vec![cells()], None).unwrap();
    }
    db.close().unwrap();
    for wrong in ["63M", "much", "9999999999999G"] {
        let refused = run(&format!("publish run.db --to lake --max-memory {wrong}"));
        assert_eq!(refused.code, 2, "{refused:?}");
    }
    let said = run("publish run.db --to lake --max-memory 64M --states-every 10 --state-at -1");
    assert_eq!(said.err, "not published: initial datasets of simulations (1)\n");
    assert!(said.out.starts_with("simulation_states: 6 rows in 3 files"), "{said:?}");
    assert!(said.out.contains("simulation_updates: 6 rows in 1 file"), "{said:?}");
    let none = run("publish run.db --to lake --json").json();
    assert_eq!(
        (&none["tables"], &none["not_published"]["initial datasets of simulations"]),
        (&json!({}), &json!(1))
    );
    let said = run("pull lake -o back.db");
    assert_eq!(
        said.err,
        "not pulled: simulation_states (6 rows), which publishing makes of other tables\n"
    );
    assert_eq!(
        run("pull lake -o more.db --json").json()["not_pulled"],
        json!({"simulation_states": 6})
    );
    let state = run("query back.db SELECT/**/value/**/FROM/**/silt_state('grid','cells') --json");
    assert!(state.out.contains("1.5"), "{state:?}");
    save(&folder.path().join("a.db"), &[1.5]);
    let refused = run("publish a.db --to lake --states-every 10");
    assert_eq!(
        (refused.code, refused.err.contains("a file with updates")),
        (2, true),
        "{refused:?}"
    );
}

/// Goal: however large the rows of a file are together, publishing takes what `--max-memory` allows and what SQLite takes.
#[cfg(target_os = "linux")]
#[test]
fn memory_is_bounded_while_a_file_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let memory = siltstone::memory::MemoryStore::open(folder.path().join("agent.db")).unwrap();
    let mut random = 1u64;
    for _ in 0..120 {
        let mut text = String::with_capacity(2_000_000);
        while text.len() < 2_000_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text += &format!("{random:016x}");
        }
        memory.store_episode(NewEpisode::new(Payload::from(&*text), 0.5, "maze")).unwrap();
    }
    drop(memory);
    let mut silt = std::process::Command::new(env!("CARGO_BIN_EXE_silt"))
        .args(["publish", "agent.db", "--to", "lake", "--max-memory", "64M", "--quiet"])
        .current_dir(folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (mut peak, status) = (0, format!("/proc/{}/status", silt.id()));
    let done = loop {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or_default());
        if let Some(done) = silt.try_wait().unwrap() {
            break done;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert!(done.success());
    assert!((1..(64 + 80) << 10).contains(&peak), "{peak} KiB for 240 MB of rows");
}
