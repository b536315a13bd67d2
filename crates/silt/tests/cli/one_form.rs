//! One form of times, numbers and types in all that the command prints, and sentences of what is not there.

use std::path::Path;

use siltstone::experiment::{ExperimentDatabase, SimulationOptions};
use siltstone::series::{Series, SqliteBackend, StorageBackend};
use siltstone::ticks::{TickStore, TickStoreConfig};

use crate::silt::{names, silt, silt_with};

/// Noon of 2026-01-19 and a quarter of a second.
const NOON_NS: i64 = 1_768_824_000_250_000_000;

fn day_of_ticks(here: &Path) -> String {
    let config = TickStoreConfig {
        sqlite_base_path: here.join("db"),
        compact_every: None,
        ..TickStoreConfig::production("b")
    };
    let store = TickStore::new(config).unwrap();
    for second in [0, 600] {
        let _ = store
            .store_tick("EURUSD", 1.5, 1.75, 0.25, "LP", NOON_NS + second * 1_000_000_000)
            .unwrap();
    }
    store.stop().unwrap();
    "db/2026/01/ticks_2026-01-19.db".into()
}

/// Goal: a time is ISO 8601 with its zone wherever one is printed, with as much of a fraction as there is.
#[test]
fn times_have_a_zone_and_their_fraction() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    day_of_ticks(here);
    for format in ["csv", "tsv", "json", "jsonl", "table"] {
        let recent = silt(here, &format!("ticks recent db EURUSD --format {format}")).ok();
        assert!(recent.contains("2026-01-19T12:00:00.25Z"), "{format}: {recent}");
    }
    let bars = silt(here, "ticks ohlc db EURUSD --format csv").ok();
    assert_eq!(bars.lines().nth(1), Some("2026-01-19T12:00:00Z,1.625,1.625,1.625,1.625,1"));
    let gaps = silt(here, "verify db --gaps 60");
    assert!(
        gaps.out.contains("from 2026-01-19T12:00:00.25Z to 2026-01-19T12:10:00.25Z"),
        "{gaps:?}"
    );

    let series = Series::from_times_ns(&[NOON_NS, NOON_NS + 1], &[0.1, 0.2]).unwrap();
    let store = SqliteBackend::open(here.join("s.db")).unwrap();
    store.save("flow", &series, &Default::default()).unwrap();
    drop(store);
    let listed = silt(here, "series ls s.db --format csv").ok();
    let times = "2026-01-19T12:00:00.25,2026-01-19T12:00:00.250000001";
    assert!(listed.contains(&format!("flow,2,datetime64[ns],float64,{times}")), "{listed}");

    let db = ExperimentDatabase::open(here.join("e.db"), "e").unwrap();
    let sim = db.create_simulation_context("sim_0", SimulationOptions::default()).unwrap();
    sim.log_metric("loss", 1.23456789e-9, None).unwrap();
    sim.complete().unwrap();
    assert!(silt(here, "runs list e.db --format csv").ok().contains("1.23456789e-9"));
    assert!(silt(here, "runs list e.db --format table").ok().contains("1.23457e-9"));
    let shown = silt(here, "runs show e.db sim_0 --json").json();
    let listed = silt(here, "runs list e.db --format jsonl").ok();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    for time in
        [&shown["simulation"]["start_time"], &shown["simulation"]["end_time"], &listed["started"]]
    {
        let time = time.as_str().unwrap();
        assert!(time.as_bytes()[10] == b'T' && time.ends_with('Z'), "{time}");
    }
}

/// Goal: CSV and JSON lines are the same in a file and on stdout: integers among floats, nothing and an empty text, commas.
#[test]
fn text_is_the_same_in_a_file_and_on_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    drop(siltstone::open(here.join("a.db")).unwrap());
    let sql = "SELECT 1 AS n, 'a,b' AS text UNION ALL SELECT 2.5, '' UNION ALL SELECT 1e300, NULL UNION ALL SELECT NULL, 'é'";
    for format in ["csv", "jsonl"] {
        let stdout = silt_with(here, &format!("query a.db --format {format}"), sql).ok();
        let told = silt_with(here, &format!("query a.db -o out.{format}"), sql).ok();
        assert!(told.contains("4 rows"), "{told}");
        assert_eq!(std::fs::read_to_string(here.join(format!("out.{format}"))).unwrap(), stdout);
    }
    let csv = std::fs::read_to_string(here.join("out.csv")).unwrap();
    assert_eq!(csv, "n,text\n1,\"a,b\"\n2.5,\"\"\n1e+300,\n,é\n");
    let again = silt_with(here, "query a.db -o out.csv", sql);
    assert!(again.code == 2 && again.err.contains("--overwrite"), "{again:?}");
    silt_with(here, "query a.db --overwrite -o out.csv", "SELECT 1 AS n WHERE 0").ok();
    assert_eq!(std::fs::read_to_string(here.join("out.csv")).unwrap(), "n\n");
    let bad = silt_with(here, "query a.db --overwrite -o out.csv", "SELECT nothing");
    assert_eq!(bad.code, 2);
    assert_eq!(std::fs::read_to_string(here.join("out.csv")).unwrap(), "n\n", "the old file stays");
}

/// Goal: who asks a file for what it does not have is told what it has; a day file says its ticks.
#[test]
fn a_file_says_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let day = day_of_ticks(here);
    let ran = silt(here, &format!("runs list {day}"));
    assert!(ran.code == 0 && ran.err.contains("has no experiments; it has: ticks"), "{ran:?}");
    let info = silt(here, &format!("info {day}")).ok();
    assert!(info.contains("2 ticks of 1 symbol, 0 compacted"), "{info}");
    let info = silt(here, &format!("info {day} --json")).json();
    assert_eq!(info["ticks"]["rows"], 2);
    std::fs::write(here.join("nothing.db"), "").unwrap();
    let ran = silt(here, "verify nothing.db");
    assert!(ran.code == 2 && ran.err.contains("nothing.db: it is empty"), "{ran:?}");
    let ran = silt(here, "verify db --gaps abc");
    assert!(ran.code == 2 && ran.err.contains("expected a whole number of seconds"), "{ran:?}");
}

/// Goal: a path that a shell or SQLite takes for another one is refused, and leaves nothing behind.
#[test]
fn a_path_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("a.csv"), "t,v\n1,2\n").unwrap();
    let before = names(here);
    for (store, wanted) in [
        ("sqlite:file:x.db", "not a URI"),
        ("~/x.db", "only a shell expands"),
        ("parquet:~/x", "~"),
    ] {
        let ran = silt(here, &format!("series import a.csv --key k --to {store}"));
        assert!(ran.code == 2 && ran.err.contains(wanted), "{store}: {ran:?}");
        assert_eq!(names(here), before, "{store}");
    }
    silt(here, "series import a.csv --key k --to ./~/x.db").ok();
    let twice = "backup ./~/x.db y.db";
    silt(here, twice).ok();
    let ran = silt(here, twice);
    assert!(ran.err.contains("\"y.db\" is already in"), "{ran:?}");
}
