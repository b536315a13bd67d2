//! Everything that is a file and no database: a fault, and a kill, at each system call of each write. What was answered
//! is what is there: never lost, never doubled.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use siltstone::series::meteaudata::{WriteDatasetOptions, read_dataset, write_dataset};
use siltstone::series::{
    Change, IndexRange, MemoryBackend, Metadata, ParquetBackend, Series, SqliteBackend,
    StorageBackend,
};
use siltstone::simulation::{
    Attribute, CollectorConfig, ExportFormat, ExportOptions, Group, JsonStrategy, Settings,
    SimulationDatabase, StorageStrategy, Update, export,
};
use siltstone::table::{self, Format, WriteOptions};
use siltstone::ticks::{self, TickStore, TickStoreConfig};
use siltstone::{Array, Database, Durability, Error, Result};

use crate::child::{mission, say};
use crate::syscalls::{self, Run, Trouble, arm};

const NOON: i64 = 1_768_824_000_000_000_000; // 2026-01-19T12:00:00Z

/// What a child said of its n-th write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reported {
    /// It is there, whether or not it is known to be on the disk.
    There,
    NotThere,
    /// The child was killed before.
    Nothing,
}

pub(crate) fn report<T>(n: usize, result: Result<T>) {
    match result {
        Ok(_) | Err(Error::DurabilityUnknown { .. }) => say(format_args!("there {n}")),
        Err(error) => say(format_args!("not {n}: {error}")),
    }
}

fn reported(run: &Run, n: usize) -> Reported {
    let (there, not) = (format!("there {n}"), format!("not {n}:"));
    let said = run.said().find_map(|line| match line {
        line if line == there => Some(Reported::There),
        line if line.starts_with(&not) => Some(Reported::NotThere),
        _ => None,
    });
    said.unwrap_or(Reported::Nothing)
}

fn each_trouble(child: &str, prepare: impl Fn(&Path), check: impl Fn(&Path, &Run)) {
    each_trouble_of(&format!("file_faults::{child}"), u64::MAX, prepare, check);
}

/// Runs a child with each trouble at each of its calls, or at so many of them, in a folder of its own each time.
pub(crate) fn each_trouble_of(
    child: &str,
    most: u64,
    prepare: impl Fn(&Path),
    check: impl Fn(&Path, &Run),
) {
    let in_a_folder = |trouble: Option<(u64, Trouble)>| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        prepare(&path);
        let (nth, trouble) = trouble.unwrap_or((0, Trouble::Nothing));
        let run = syscalls::run(child, &path, "", nth, trouble);
        eprintln!("{trouble:?} at {:?}, said {:?}", run.struck(), run.said().collect::<Vec<_>>());
        assert!(run.is_ended_well(), "{:?}", run.status);
        check(&path, &run);
        run.calls().count() as u64
    };
    let calls = in_a_folder(None);
    assert!(calls > 3, "{calls} calls");
    let step = calls.div_ceil(most);
    let troubles = [Trouble::Fail(libc::EIO), Trouble::FailFrom(libc::EIO), Trouble::KillAfter];
    for first in (0..calls).step_by(step as usize) {
        for (i, trouble) in (0..).zip(troubles) {
            in_a_folder(Some((first + i % step, trouble)));
        }
    }
}

/// All files below a folder, by their names from there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn assert_nothing_unfinished(folder: &Path) {
    let names = files(folder).into_keys().map(|name| name.display().to_string());
    let unfinished: Vec<_> = names.filter(|name| name.contains(".partial-")).collect();
    assert!(unfinished.is_empty(), "{unfinished:?}");
}

fn points(n: usize) -> Series {
    let times: Vec<i64> = (0..=n as i64).map(|i| 10 * n as i64 + i).collect();
    Series::from_times_ns(&times, &vec![n as f64; n + 1]).unwrap()
}

fn commit(backend: &ParquetBackend, n: usize) -> Result<()> {
    let series = points(n);
    backend.commit(&[
        Change::Save { key: format!("k{n}"), series: series.clone(), metadata: Metadata::new() },
        Change::Append { key: "all".into(), series },
    ])
}

#[test]
#[ignore = "run by the tests of this module"]
fn commits_series() {
    let Some((folder, _)) = mission() else { return };
    let backend = ParquetBackend::open(folder).unwrap();
    arm();
    (0..3).for_each(|n| report(n, commit(&backend, n)));
}

/// Goal: a commit to a folder of Parquet files is there or not, as it was answered, whichever call fails; nothing that the
/// list names is ever missing.
#[test]
fn series_in_parquet_files_are_never_lost_or_doubled() {
    each_trouble(
        "commits_series",
        |_| (),
        |folder, run| {
            // The file format alone, without our reader.
            let list =
                fs::read(folder.join("silt-series.json")).unwrap_or(b"{\"series\":{}}".into());
            let list: Value = serde_json::from_slice(&list).unwrap();
            let rows = |key: &str| -> Option<u64> {
                let file = list["series"][key]["file"].as_str()?;
                let mut table = table::read(folder.join(file)).unwrap();
                let batches = std::iter::from_fn(|| table.next_batch().unwrap());
                Some(batches.map(|batch| batch.num_rows() as u64).sum())
            };
            let mut all = 0;
            for n in 0..3 {
                let found = rows(&format!("k{n}"));
                assert!(found.is_none_or(|rows| rows == n as u64 + 1), "k{n} has {found:?}");
                all += found.unwrap_or_default();
                match reported(run, n) {
                    Reported::There => assert!(found.is_some(), "k{n} is lost"),
                    Reported::NotThere => assert!(found.is_none(), "k{n} is there"),
                    Reported::Nothing => {}
                }
            }
            assert_eq!(rows("all").unwrap_or_default(), all);
            let backend = ParquetBackend::open(folder).unwrap();
            assert_eq!(backend.verify().unwrap().findings, []);
            commit(&backend, 3).unwrap();
            let keys = backend.list_keys("").unwrap();
            let stored =
                files(folder).into_keys().filter(|name| name.extension().unwrap() == "parquet");
            assert_eq!(stored.count(), keys.len(), "files that the list does not name");
            assert_nothing_unfinished(folder);
        },
    );
}

fn tick_config(folder: &Path, backend: ticks::StorageBackend) -> TickStoreConfig {
    TickStoreConfig {
        sqlite_base_path: folder.join("db"),
        json_base_path: folder.join("json"),
        backend,
        durability: Durability::Disk,
        ..TickStoreConfig::production("b")
    }
}

fn json_store(folder: &Path) -> Result<TickStore> {
    TickStore::new(tick_config(folder, ticks::StorageBackend::Json))
}

fn put(store: &TickStore, n: usize) {
    let time = NOON + n as i64;
    let outcome = store.store_tick("EURUSD", n as f64, n as f64 + 0.5, 0.5, "YOFX", time).unwrap();
    assert_eq!(outcome, ticks::Outcome::Stored);
}

const DAY: &str = "json/EURUSD/2026-01-19.json";

/// How often each of three ticks is in the JSON file.
fn count_ticks(folder: &Path) -> [usize; 3] {
    let text = fs::read(folder.join(DAY)).unwrap_or(b"[]".into());
    let list: Value = serde_json::from_slice(&text).unwrap();
    let bids: Vec<f64> =
        list.as_array().unwrap().iter().map(|tick| tick["bid"].as_f64().unwrap()).collect();
    [0.0, 1.0, 2.0].map(|n| bids.iter().filter(|bid| **bid == n).count())
}

#[test]
#[ignore = "run by the tests of this module"]
fn writes_json_ticks() {
    let Some((folder, _)) = mission() else { return };
    let store = json_store(&folder).unwrap();
    arm();
    for n in 0..3 {
        put(&store, n);
        report(n, store.flush());
    }
    report(3, store.stop());
}

/// Goal: ticks in JSON files are there once when a flush has said so, and once in the end if only one call fails.
#[test]
fn ticks_in_json_files_are_never_lost_or_doubled() {
    each_trouble(
        "writes_json_ticks",
        |_| (),
        |folder, run| {
            let found = count_ticks(folder);
            for (n, count) in found.into_iter().enumerate() {
                assert!(count <= 1, "tick {n} is there {count} times");
                assert!(count == 1 || reported(run, n) != Reported::There, "tick {n} is lost");
            }
            // What a stop could not write was spilled, and the next store writes it.
            json_store(folder).unwrap().stop().unwrap();
            let all = count_ticks(folder);
            assert!(all.iter().all(|count| *count <= 1), "{all:?}");
            assert!(reported(run, 3) != Reported::There || all == [1; 3], "{all:?}");
        },
    );
}

/// A spilled tick, and the day file that it goes to with an equal one.
fn spill_an_equal_tick(folder: &Path) {
    fs::create_dir(folder.join("json")).unwrap();
    fs::write(folder.join("json/EURUSD"), "in the way").unwrap();
    let store = json_store(folder).unwrap();
    put(&store, 0);
    store.stop().unwrap_err();
    drop(store);
    let other = tempfile::tempdir().unwrap();
    let store = json_store(other.path()).unwrap();
    put(&store, 0);
    store.stop().unwrap();
    fs::remove_file(folder.join("json/EURUSD")).unwrap();
    fs::create_dir(folder.join("json/EURUSD")).unwrap();
    fs::copy(other.path().join(DAY), folder.join(DAY)).unwrap();
}

#[test]
#[ignore = "run by the tests of this module"]
fn brings_spilled_ticks_back() {
    let Some((folder, _)) = mission() else { return };
    arm();
    report(0, json_store(&folder).and_then(|store| store.stop()));
}

/// Goal: a spilled tick that is equal to a stored one is kept, and written once.
#[test]
fn spilled_ticks_come_back_once_also_if_they_are_equal_to_stored_ones() {
    each_trouble("brings_spilled_ticks_back", spill_an_equal_tick, |folder, _| {
        assert!((1..=2).contains(&count_ticks(folder)[0]));
        let store = json_store(folder).unwrap();
        store.stop().unwrap();
        assert_eq!(count_ticks(folder), [2, 0, 0]);
        assert_eq!(fs::read_dir(folder.join("json/spill-json")).unwrap().count(), 0);
        assert_nothing_unfinished(&folder.join("json/EURUSD"));
    });
}

fn block_ticks(folder: &Path) {
    for name in ["json", "db"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    fs::write(folder.join("json/EURUSD"), "in the way").unwrap();
    fs::write(folder.join("db/2026"), "in the way").unwrap();
}

#[test]
#[ignore = "run by the tests of this module"]
fn spills_ticks() {
    let Some((folder, _)) = mission() else { return };
    let stores = [ticks::StorageBackend::Json, ticks::StorageBackend::Sqlite]
        .map(|backend| TickStore::new(tick_config(&folder, backend)).unwrap());
    stores.iter().for_each(|store| put(store, 0));
    arm();
    for store in &stores {
        drop(store.stop()); // it says that the day could not be written
        say(format_args!("lost {}", store.report().lost));
    }
}

/// Goal: ticks that go into a spill file are there once when the disk takes them again.
#[test]
fn spilled_ticks_are_never_lost_or_doubled() {
    each_trouble("spills_ticks", block_ticks, |folder, run| {
        fs::remove_file(folder.join("json/EURUSD")).unwrap();
        fs::remove_file(folder.join("db/2026")).unwrap();
        json_store(folder).unwrap().stop().unwrap();
        let store = TickStore::new(tick_config(folder, ticks::StorageBackend::Sqlite)).unwrap();
        store.stop().unwrap();
        let days = store.get_ticks_in_range("EURUSD", i64::MIN, i64::MAX).unwrap().len();
        let lost: Vec<_> = run.said().filter(|line| line.starts_with("lost")).collect();
        let found = [count_ticks(folder)[0], days];
        for (n, found) in found.into_iter().enumerate() {
            assert!(found <= 1, "{found} ticks where there was one");
            assert!(found == 1 || lost.get(n) != Some(&"lost 0"), "a tick is lost");
        }
    });
}

fn make_source(folder: &Path) {
    let series = SqliteBackend::open(folder.join("plant.db")).unwrap();
    series.save("k", &points(9), &Metadata::new()).unwrap();
    series.database().backup_into(folder.join("kept"), 1).unwrap();
}

#[test]
#[ignore = "run by the tests of this module"]
fn makes_backups() {
    let Some((folder, _)) = mission() else { return };
    let db = Database::builder(folder.join("plant.db")).open().unwrap();
    arm();
    report(0, db.backup(folder.join("copy.db")));
    report(1, db.backup_into(folder.join("kept"), 1));
}

/// Goal: a backup is there, proven, if that was answered; it is not there if it failed; and the one before it is there
/// until it is.
#[test]
fn backups_are_there_or_not_as_answered() {
    each_trouble("makes_backups", make_source, |folder, run| {
        let is_whole = |path: &Path| {
            let db = Database::builder(path).open_read_only().unwrap();
            assert!(db.verify().unwrap().is_ok());
            assert_eq!(SqliteBackend::over(db).unwrap().load("k").unwrap().0, points(9));
        };
        let copy = folder.join("copy.db");
        match reported(run, 0) {
            Reported::There => is_whole(&copy),
            Reported::NotThere => assert!(!copy.exists(), "it failed and is there"),
            Reported::Nothing if copy.exists() => is_whole(&copy),
            Reported::Nothing => {}
        }
        let mut kept: Vec<_> = files(&folder.join("kept")).into_keys().collect();
        kept.retain(|name| !name.to_string_lossy().contains(".partial-"));
        assert!(!kept.is_empty(), "the only backup is lost");
        kept.iter().for_each(|name| is_whole(&folder.join("kept").join(name)));
        let db = Database::builder(folder.join("plant.db")).open().unwrap();
        db.backup_into(folder.join("kept"), 1).unwrap();
        db.backup(folder.join("last.db")).unwrap();
        assert_nothing_unfinished(folder);
    });
}

fn plant() -> MemoryBackend {
    let backend = MemoryBackend::new();
    for key in ["plant/flow#1/RAW#1", "plant/level#1/RAW#1"] {
        backend.save(key, &points(5), &Metadata::new()).unwrap();
    }
    backend
}

fn write_tables(folder: &Path, done: &dyn Fn(usize, Result<()>)) {
    let formats = [Format::Parquet, Format::Arrow, Format::Csv, Format::Jsonl];
    for (n, format) in formats.into_iter().enumerate() {
        let batches = plant().scan("plant/flow#1/RAW#1", &IndexRange::all()).unwrap();
        let path = folder.join(format!("table.{}", format.extension()));
        let options = WriteOptions { format, overwrite: n % 2 == 0, ..WriteOptions::default() };
        done(n, table::write(path, batches, &options, &mut |_, _| Ok(())).map(drop));
    }
    let zip = WriteDatasetOptions { overwrite: true, ..Default::default() };
    done(4, write_dataset(&plant(), "plant", folder.join("plant.zip"), &zip).map(drop));
    let new = WriteDatasetOptions::default();
    done(5, write_dataset(&plant(), "plant", folder.join("new.zip"), &new).map(drop));
    done(6, write_dataset(&plant(), "plant", folder.join("plant"), &new).map(drop));
    done(7, siltstone::write_file(folder.join("notes.txt"), b"new"));
}

const TABLES: [&str; 8] = [
    "table.parquet",
    "table.arrow",
    "table.csv",
    "table.jsonl",
    "plant.zip",
    "new.zip",
    "plant",
    "notes.txt",
];

fn old_tables(folder: &Path) {
    for n in [0, 2, 4, 7] {
        fs::write(folder.join(TABLES[n]), "old").unwrap();
    }
}

#[test]
#[ignore = "run by the tests of this module"]
fn writes_tables() {
    let Some((folder, _)) = mission() else { return };
    arm();
    write_tables(&folder, &report::<()>);
}

/// What there is under a name, without the times at which it was written.
fn content(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    if path.is_dir() {
        let is_points = |name: &Path| name.extension().is_some_and(|ending| ending == "csv");
        return files(path).into_iter().filter(|(name, _)| is_points(name)).collect();
    }
    let Ok(mut bytes) = fs::read(path) else { return BTreeMap::new() };
    if path.extension().is_some_and(|ending| ending == "zip") && bytes != b"old" {
        let series = read_dataset(path).unwrap().signals.into_iter().flat_map(|s| s.series);
        let points: Vec<_> = series.map(|series| (series.name, series.series)).collect();
        bytes = format!("{points:?}").into();
    }
    BTreeMap::from([(PathBuf::new(), bytes)])
}

/// Goal: an exported file, zip or folder is the new one whole, or the old one if there was any, as answered.
#[test]
fn exported_files_are_new_or_old_as_answered() {
    let reference = tempfile::tempdir().unwrap();
    write_tables(reference.path(), &|_, result| result.unwrap());
    each_trouble("writes_tables", old_tables, |folder, run| {
        for (n, name) in TABLES.into_iter().enumerate() {
            let found = content(&folder.join(name));
            let is_old = match found.get(Path::new("")) {
                Some(bytes) => bytes == b"old",
                None => found.is_empty(),
            };
            let is_new = found == content(&reference.path().join(name));
            match reported(run, n) {
                Reported::There => assert!(is_new, "{name}"),
                Reported::NotThere => assert!(is_old, "{name}"),
                Reported::Nothing => assert!(is_new || is_old, "{name}"),
            }
        }
        siltstone::write_file(folder.join("last"), b"").unwrap();
        assert_nothing_unfinished(folder);
    });
}

/// Goal: the bytes of backups, tables, zips and of the list of a folder of series, and their names, are synced before they are
/// answered, whatever the durability of the database is.
#[test]
fn what_was_answered_has_been_synced() {
    for (child, names) in [
        ("makes_backups", &["copy.db", "kept"][..]),
        ("writes_tables", &TABLES[..6]),
        ("commits_series", &["silt-series.json", ".parquet"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        make_source(&path);
        let child = format!("file_faults::{child}");
        let run = syscalls::run(&child, &path, "", 0, Trouble::Nothing);
        assert!(run.said().any(|line| line.starts_with("there")), "{child}");
        let matters = |path: &Path| names.iter().any(|name| path.to_string_lossy().contains(name));
        assert!(run.calls().any(|call| matters(&call.path)), "{child}");
        let unsynced = run.unsynced(|line| line.starts_with("there"), matters);
        assert_eq!(unsynced, Vec::<String>::new(), "{child}");
    }
}

fn update(timestamp: i64) -> Update {
    let id = ("id".to_owned(), Attribute::new(Array::from_slice(&[1i64, 2])));
    let x = ("x".to_owned(), Attribute::new(Array::from_slice(&[0.5, timestamp as f64])));
    let data = vec![Group { name: "g".into(), attributes: vec![id, x] }];
    Update { timestamp, iteration: 0, dataset: "net".into(), data, origin: None }
}

fn strategy(folder: &Path) -> Arc<dyn StorageStrategy> {
    let settings = Settings { durability: Durability::Disk, ..Settings::default() };
    let config = CollectorConfig {
        storage_dir: Some(folder.to_owned()),
        append: true,
        ..CollectorConfig::default()
    };
    Arc::new(JsonStrategy::choose(&config, &settings).unwrap())
}

#[test]
#[ignore = "run by the tests of this module"]
fn collects_updates() {
    let Some((folder, _)) = mission() else { return };
    arm();
    let results = strategy(&folder.join("results"));
    if results.initialize().is_ok() {
        (0..3).for_each(|n| report(n, results.store(update(n as i64))));
    }
}

/// Goal: an update that goes into a JSON file is there whole if that was answered, and not there if it failed.
#[test]
fn json_results_are_there_or_not_as_answered() {
    each_trouble(
        "collects_updates",
        |_| (),
        |folder, run| {
            let found = files(&folder.join("results"));
            for n in 0..3 {
                let text = found.get(Path::new(&format!("t{n}_0_net.json")));
                let value = text.map(|text| serde_json::from_slice::<Value>(text).unwrap());
                assert!(
                    value.as_ref().is_none_or(|v| v["net"]["g"]["x"][1] == n as f64),
                    "{value:?}"
                );
                match reported(run, n) {
                    Reported::There => assert!(value.is_some(), "update {n} is lost"),
                    Reported::NotThere => {
                        assert!(value.is_none(), "update {n} failed and is there")
                    }
                    Reported::Nothing => {}
                }
            }
            let results = strategy(&folder.join("results"));
            results.initialize().unwrap();
            results.store(update(9)).unwrap();
            assert_nothing_unfinished(folder);
        },
    );
}

fn make_run(folder: &Path) {
    let db = SimulationDatabase::open(folder.join("run.db")).unwrap();
    db.store_updates(vec![update(0), update(1)]).unwrap();
}

fn open_run(folder: &Path) -> SimulationDatabase {
    SimulationDatabase::open_read_only(folder.join("run.db")).unwrap()
}

fn exports(db: &SimulationDatabase, folder: &Path, done: &dyn Fn(usize, Result<()>)) {
    let forms = [ExportFormat::Json, ExportFormat::Table(Format::Parquet)];
    for (n, format) in forms.into_iter().enumerate() {
        let target = folder.join(format!("out{n}"));
        let options = ExportOptions { target, format, ..ExportOptions::default() };
        done(n, export(db, &options, &mut |_, _| Ok(())).map(drop));
    }
}

#[test]
#[ignore = "run by the tests of this module"]
fn exports_a_run() {
    let Some((folder, _)) = mission() else { return };
    let db = open_run(&folder);
    arm();
    exports(&db, &folder, &report::<()>);
}

/// Goal: an exported run is there whole if that was answered, and nothing of it if it failed on a disk that works again.
#[test]
fn an_exported_run_is_there_or_not_as_answered() {
    let reference = tempfile::tempdir().unwrap();
    make_run(reference.path());
    exports(&open_run(reference.path()), reference.path(), &|_, result| result.unwrap());
    each_trouble("exports_a_run", make_run, |folder, run| {
        for n in 0..2 {
            let name = format!("out{n}");
            let mut found = files(&folder.join(&name));
            // A first name that cannot be removed stays until the next writer.
            found.retain(|name, _| !name.to_string_lossy().contains(".partial-"));
            match reported(run, n) {
                Reported::There => assert_eq!(found, files(&reference.path().join(&name))),
                // While the disk refuses everything it cannot be cleaned either.
                Reported::NotThere if run.calls().filter(|call| call.is_struck).count() == 1 => {
                    assert_eq!(found, BTreeMap::new(), "it failed and is there");
                }
                Reported::NotThere | Reported::Nothing => {}
            }
        }
    });
}
