//! Pipes in the places of files: no reader waits for somebody who writes.

use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use siltstone::experiment::{self, ExperimentDatabase};
use siltstone::memory::MemoryStore;
use siltstone::series::{self, ParquetBackend, PointsOptions, SqliteBackend, meteaudata};
use siltstone::simulation::{self, SimulationDatabase};
use siltstone::ticks::{self, StorageBackend, TickStore, TickStoreConfig};
use siltstone::{Database, Result, restore, table};

fn make_pipe(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let path = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the path ends with a NUL.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

type Work = Box<dyn FnOnce() -> Result<()> + Send>;

/// What a reader says of a pipe; a reader that waits is one that failed.
fn refusal(name: &str, work: Work) -> String {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    let done = receiver.recv_timeout(Duration::from_secs(30));
    let done =
        done.unwrap_or_else(|_| panic!("{name} waits for somebody who writes into the pipe"));
    done.expect_err(name).to_string()
}

/// Goal: a pipe in a file's place is an error that says so, of each store and each format, whether it is opened for
/// reading, writing or importing.
#[test]
fn no_reader_waits_for_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let pipes = [
        "x.db",
        "x.csv",
        "x.parquet",
        "x.arrow",
        "x.zip",
        "list/silt-series.json",
        "json/.lock",
        "tables/x.parquet",
        "tables/attributes.json",
        "days/2026/01/ticks_2026-01-19.db",
    ];
    pipes.iter().for_each(|name| make_pipe(&at(name)));
    let db = at("x.db");
    let read = |name: &'static str| {
        let path = at(name);
        move || series::read_points(path, &PointsOptions::default()).map(drop)
    };
    let meteaudata = |name: &'static str| {
        let path = at(name);
        move || meteaudata::read(path, meteaudata::Limits::default()).map(drop)
    };
    let table = |name: &'static str| {
        let path = at(name);
        move || table::read(path).map(drop)
    };
    let (memory, target, tables) = (at("agent.db"), at("target.db"), at("tables"));
    let (new, run, list) = (at("new.db"), at("run.db"), at("list"));
    let config = TickStoreConfig {
        sqlite_base_path: at("db"),
        json_base_path: at("json"),
        backend: StorageBackend::Json,
        ..TickStoreConfig::production("b")
    };
    let [d1, d2, d3, d4, d5, d6, d7, d8, d9] = [(); 9].map(|()| db.clone());
    let readers: Vec<(&str, Work)> = vec![
        ("simulation", Box::new(move || SimulationDatabase::open(d1).map(drop))),
        ("simulation, reading", Box::new(move || SimulationDatabase::open_read_only(d2).map(drop))),
        ("experiment", Box::new(move || ExperimentDatabase::open(d3, "e").map(drop))),
        ("memory", Box::new(move || MemoryStore::open_read_only(d4).map(drop))),
        ("memory, import", Box::new(move || MemoryStore::open(memory)?.import(d5).map(drop))),
        ("series", Box::new(move || SqliteBackend::open(d6).map(drop))),
        ("restore", Box::new(move || restore(d7, new, false).map(drop))),
        (
            "experiment, import",
            Box::new(move || experiment::import(d8, &Database::builder(target).open()?).map(drop)),
        ),
        ("detect", Box::new(move || simulation::detect_format(d9).map(drop))),
        ("points", Box::new(read("x.csv"))),
        ("points, parquet", Box::new(read("x.parquet"))),
        ("table, parquet", Box::new(table("x.parquet"))),
        ("table, arrow", Box::new(table("x.arrow"))),
        ("folder of Parquet files", Box::new(move || ParquetBackend::open(list).map(drop))),
        ("zip", Box::new(meteaudata("x.zip"))),
        (
            "tables",
            Box::new(move || {
                let db = SimulationDatabase::open(run)?;
                simulation::import_tables(&db, tables, &mut |_, _| Ok(())).map(drop)
            }),
        ),
        ("ticks, JSON", Box::new(move || TickStore::new(config).map(drop))),
    ];
    for (name, work) in readers {
        let error = refusal(name, work);
        assert!(error.contains("expected a file, got a pipe (FIFO)"), "{name}: {error}");
    }
    let days = at("days");
    let error = refusal(
        "ticks",
        Box::new(move || {
            let store = TickStore::open_read_only(days)?;
            store.get_ticks_in_range("EURUSD", i64::MIN, i64::MAX).map(drop)
        }),
    );
    assert!(error.contains("pipe"), "{error}");
}

/// Goal: a file of ticks that is a pipe is skipped by its name, and the rest of the folder is imported.
#[test]
fn an_import_of_ticks_leaves_a_pipe_behind() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    for name in ["EURUSD/2026-01-19.json", "ticks_2026-01-19.db", "ticks_2026-01-20.db.zst"] {
        make_pipe(&input.join(name));
    }
    let output = folder.path().join("output");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let options = ticks::ImportOptions::new(input, output);
        sender.send(ticks::import(&options, &mut |_, _| Ok(())))
    });
    let done = receiver.recv_timeout(Duration::from_secs(30)).expect("it waits for a pipe");
    let report = done.unwrap();
    assert!(report.files == 3, "{report:?}");
    assert_eq!(report.skipped.len() as u64, report.files, "{report:?}");
    assert!(report.skipped.iter().all(|left| left.reason.contains("pipe")), "{report:?}");
}
