//! Publishing to a lake in a folder: each row once, whatever comes in between.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, Float64Array, RecordBatch, TimestampNanosecondArray, TimestampSecondArray,
};
use arrow_cast::cast;
use arrow_schema::DataType;
use serde_json::{Value, json};
use siltstone::experiment::{Cell, ExperimentDatabase, RecordSchema};
use siltstone::lake::{PublishOptions, PublishReport, publish};
use siltstone::memory::{MemoryStore, NewLearningEvent};
use siltstone::series::{Series, StorageBackend};
use siltstone::ticks::{TickStore, TickStoreConfig};
use siltstone::{Error, Handle};

use crate::child::{self, Random, mission, say};

pub(crate) const NOON: i64 = 1_768_824_000_000_000_000; // 2026-01-19T12:00:00Z
const SECOND: i64 = 1_000_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// Ticks of three symbols, a second from one to the next, each told by its bid.
pub(crate) fn put(base: &Path, from: i64, numbers: std::ops::Range<u64>) {
    let store = TickStore::new(TickStoreConfig {
        sqlite_base_path: base.to_owned(),
        ..TickStoreConfig::production("b")
    })
    .unwrap();
    for n in numbers {
        let symbol = ["EURUSD", "GBPUSD", "USDJPY"][n as usize % 3];
        let _ = store
            .store_tick(symbol, n as f64, n as f64 + 0.5, 0.5, "LP", from + n as i64 * SECOND)
            .unwrap();
    }
    store.stop().unwrap();
}

fn send(
    file: &Path,
    lake: &Path,
    change: impl FnOnce(&mut PublishOptions),
) -> Result<PublishReport, Error> {
    let handle = siltstone::open_read_only(file)?;
    send_handle(&handle, lake, change)
}

fn send_handle(
    handle: &Handle,
    lake: &Path,
    change: impl FnOnce(&mut PublishOptions),
) -> Result<PublishReport, Error> {
    let mut options = PublishOptions::default();
    change(&mut options);
    publish(handle, lake.to_str().unwrap(), &options, &mut |_, _| Ok(()))
}

/// Why a table is refused; that nothing of it was sent.
fn refused(report: &PublishReport, table: &str) -> String {
    assert!(!report.tables.contains_key(table));
    report.failed[table].clone()
}

/// The actions of a table's log, commit by commit.
fn log(table: &Path) -> Vec<Vec<Value>> {
    let mut commits = Vec::new();
    loop {
        let path = table.join(format!("_delta_log/{:020}.json", commits.len()));
        let Ok(text) = std::fs::read_to_string(path) else { return commits };
        commits.push(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect());
    }
}

/// The files that a table has, by its log.
pub(crate) fn files(table: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for action in log(table).into_iter().flatten() {
        if let Some(add) = action.get("add") {
            files.insert(add["path"].as_str().unwrap().to_owned());
        }
        if let Some(remove) = action.get("remove") {
            assert!(files.remove(remove["path"].as_str().unwrap()), "it was there");
        }
    }
    files
}

/// The ticks of a lake: how often each bid is there, and that what the log says of a file is so.
fn bids(lake: &Path) -> BTreeMap<u64, u64> {
    let table = lake.join("ticks");
    let mut found = BTreeMap::new();
    for file in files(&table) {
        let batches = siltstone::table::read(table.join(&file)).unwrap();
        for batch in batches.collect_batches().unwrap() {
            let bid = batch.column_by_name("bid").unwrap().as_primitive::<Float64Type>();
            let ns = batch.column_by_name("time_ns").unwrap().as_primitive::<Int64Type>();
            assert_eq!((bid.null_count(), ns.null_count()), (0, 0));
            for bid in bid.values() {
                *found.entry(*bid as u64).or_default() += 1;
            }
        }
    }
    found
}

fn once(numbers: std::ops::Range<u64>) -> BTreeMap<u64, u64> {
    numbers.map(|n| (n, 1)).collect()
}

/// Goal: what is published is there once, and published again it is not sent again; new and late ticks replace the segments that
/// they lie in, and no others.
#[test]
fn each_tick_is_there_once_and_only_what_changed_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    put(&base, NOON, 0..300);
    put(&base, NOON + DAY, 300..600);
    let report = send(&base, &lake, |_| {}).unwrap();
    let ticks = report.tables["ticks"];
    assert_eq!((ticks.rows, ticks.commits), (600, 1));
    assert_eq!(bids(&lake), once(0..600));
    assert_eq!(send(&base, &lake, |_| {}).unwrap(), PublishReport::default());
    assert_eq!(log(&lake.join("ticks")).len(), 1);
    let before = files(&lake.join("ticks"));

    put(&base, NOON - 600 * SECOND, 600..601); // of the first day, late
    let late = send(&base, &lake, |_| {}).unwrap().tables["ticks"];
    assert_eq!((late.segments, late.removed, late.commits), (1, 1, 1));
    assert_eq!(before.intersection(&files(&lake.join("ticks"))).count(), before.len() - 1);
    assert_eq!(bids(&lake), once(0..601));

    // Rows that become blocks are the same rows: files that readers have are not touched, however old.
    let old = SystemTime::now() - Duration::from_secs(3 * 86_400);
    let paths: Vec<_> =
        files(&lake.join("ticks")).iter().map(|file| lake.join("ticks").join(file)).collect();
    for path in &paths {
        std::fs::File::options().append(true).open(path).unwrap().set_modified(old).unwrap();
    }
    let store = siltstone::open(&base).unwrap();
    store.compact(&mut |_, _| Ok(())).unwrap();
    store.close().unwrap();
    assert_eq!(send(&base, &lake, |_| {}).unwrap(), PublishReport::default());
    for path in &paths {
        assert_eq!(std::fs::metadata(path).unwrap().modified().unwrap(), old, "{}", path.display());
    }
}

/// Goal: a day that grows is sent in pieces, of which old ones become one, and a later call makes one of all.
#[test]
fn a_growing_day_is_sent_in_pieces_that_become_one() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    let mut sent = 0;
    for turn in 0..30 {
        put(&base, NOON, turn * 40..(turn + 1) * 40);
        let ticks = send(&base, &lake, |options| options.live = true).unwrap().tables["ticks"];
        sent += ticks.rows;
        assert_eq!(bids(&lake), once(0..(turn + 1) * 40));
    }
    assert!(sent < 4 * 1_200, "{sent} rows were sent for 1,200");
    let pieces = files(&lake.join("ticks")).len();
    let whole = send(&base, &lake, |_| {}).unwrap().tables["ticks"];
    // Two of the three symbols share a file.
    assert_eq!((whole.segments, whole.removed), (2, pieces as u64));
    assert_eq!(bids(&lake), once(0..1_200));
    // Its log has had a checkpoint meanwhile.
    let last = std::fs::read_to_string(lake.join("ticks/_delta_log/_last_checkpoint")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&last).unwrap()["version"], 20);
    // Without the checkpoint the commits say the same; without a commit the checkpoint does.
    let log = lake.join("ticks/_delta_log");
    let checkpoint = log.join(format!("{:020}.checkpoint.parquet", 20));
    let whole = std::fs::read(&checkpoint).unwrap();
    std::fs::write(&checkpoint, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(send(&base, &lake, |_| {}).unwrap(), PublishReport::default());
    std::fs::remove_file(&checkpoint).unwrap();
    assert_eq!(send(&base, &lake, |_| {}).unwrap(), PublishReport::default());
    std::fs::write(&checkpoint, whole).unwrap();
    std::fs::remove_file(log.join(format!("{:020}.json", 3))).unwrap();
    assert_eq!(send(&base, &lake, |_| {}).unwrap(), PublishReport::default());
    std::fs::remove_file(checkpoint).unwrap();
    let why = refused(&send(&base, &lake, |_| {}).unwrap(), "ticks");
    assert!(why.contains("version 3 is missing"), "{why}");
}

/// Goal: several files publish to one lake at the same moment, and each row is there once.
#[test]
fn many_files_publish_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let bases: Vec<_> = (0..8).map(|n| folder.path().join(format!("db{n}"))).collect();
    for (n, base) in bases.iter().enumerate() {
        put(base, NOON, n as u64 * 100..(n as u64 + 1) * 100);
    }
    std::thread::scope(|scope| {
        for base in &bases {
            scope.spawn(|| send(base, &lake, |_| {}).unwrap());
            scope.spawn(|| send(base, &lake, |_| {}).unwrap());
        }
    });
    assert_eq!(bids(&lake), once(0..800));
    assert_eq!(log(&lake.join("ticks")).len(), bases.len());
}

/// Goal: a file that was restored from an older backup is refused, and either of the ways out leads to what it says.
#[test]
fn a_restored_file_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    put(&base, NOON, 0..30);
    send(&base, &lake, |_| {}).unwrap();
    let old = std::fs::read(base.join("publish.db")).unwrap();
    put(&base, NOON, 30..60);
    send(&base, &lake, |_| {}).unwrap();
    for name in ["publish.db-wal", "publish.db-shm"] {
        let _ = std::fs::remove_file(base.join(name));
    }
    std::fs::write(base.join("publish.db"), old).unwrap();
    let why = refused(&send(&base, &lake, |_| {}).unwrap(), "ticks");
    assert!(why.contains("restored") && why.contains("--rebuild-ledger"), "{why}");
    assert_eq!(bids(&lake), once(0..60));
    let rebuilt = send(&base, &lake, |options| options.rebuild_ledger = true).unwrap();
    assert_eq!(rebuilt, PublishReport::default(), "the lake has what the file has");
    put(&base, NOON, 60..90);
    send(&base, &lake, |_| {}).unwrap();
    assert_eq!(bids(&lake), once(0..90));

    let twice = send(&base, &lake, |options| options.new_identity = true).unwrap();
    assert_eq!(twice.tables["ticks"].rows, 90);
    assert!(bids(&lake).values().all(|times| *times == 2), "as another file's");
}

/// Goal: a log that lacks a commit, and one that is cut off, are called damaged, and nothing is sent.
#[test]
fn a_damaged_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    for turn in 0..3 {
        put(&base, NOON, turn * 30..(turn + 1) * 30);
        send(&base, &lake, |_| {}).unwrap();
    }
    put(&base, NOON, 90..120);
    let commit = |n: usize| lake.join("ticks/_delta_log").join(format!("{n:020}.json"));
    let (one, last) = (std::fs::read(commit(1)).unwrap(), std::fs::read(commit(2)).unwrap());
    std::fs::write(commit(2), &last[..last.len() / 2]).unwrap();
    let why = refused(&send(&base, &lake, |_| {}).unwrap(), "ticks");
    assert!(why.contains("is damaged") && why.contains("002.json"), "{why}");
    std::fs::write(commit(2), last).unwrap();
    std::fs::remove_file(commit(1)).unwrap();
    let why = refused(&send(&base, &lake, |_| {}).unwrap(), "ticks");
    assert!(why.contains("version 1 is missing"), "{why}");
    std::fs::write(commit(1), one).unwrap();
    send(&base, &lake, |_| {}).unwrap();
    assert_eq!(bids(&lake), once(0..120));
}

/// Goal: memories and series get to the lake, and what is deleted goes from it.
#[test]
fn what_is_deleted_goes_from_the_lake() {
    let folder = tempfile::tempdir().unwrap();
    let (file, lake) = (folder.path().join("run.db"), folder.path().join("lake"));
    let db = siltstone::open(&file).unwrap();
    let memory: MemoryStore = db.memory().unwrap();
    for n in 0..10 {
        memory
            .store_learning_event(NewLearningEvent::new("maze", f64::from(n), "explore"))
            .unwrap();
    }
    let series = db.series().unwrap();
    let points = Series::from_times_ns(&[NOON, NOON + DAY], &[1.5, f64::NAN]).unwrap();
    series.save("flow", &points, &Default::default()).unwrap();
    series.save("level", &points, &Default::default()).unwrap();
    let report = send_handle(&db, &lake, |_| {}).unwrap();
    let rows: Vec<_> =
        report.tables.iter().map(|(name, table)| (name.as_str(), table.rows)).collect();
    assert_eq!(rows, [("learning_events", 10), ("series", 2), ("series_points", 4)]);
    assert_eq!(send_handle(&db, &lake, |_| {}).unwrap(), PublishReport::default());

    series.delete("flow").unwrap();
    let report =
        send_handle(&db, &lake, |options| options.tables = vec!["series_points".into()]).unwrap();
    assert_eq!(report.tables.keys().collect::<Vec<_>>(), ["series_points"]);
    let points: Vec<_> = log(&lake.join("series_points")).into_iter().flatten().collect();
    let rows: i64 = points
        .iter()
        .filter_map(|action| action.get("add"))
        .filter(|add| files(&lake.join("series_points")).contains(add["path"].as_str().unwrap()))
        .map(|add| add["tags"]["siltstone_rows"].as_str().unwrap().parse::<i64>().unwrap())
        .sum();
    assert_eq!(rows, 2);
    let unknown = send_handle(&db, &lake, |options| options.tables = vec!["point".into()]);
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
}

/// Adds a commit to a table's log, as another program does.
fn commit(table: &Path, actions: &[Value]) {
    let path = table.join(format!("_delta_log/{:020}.json", log(table).len()));
    let lines: String = actions.iter().map(|action| format!("{action}\n")).collect();
    std::fs::write(path, lines).unwrap();
}

/// Goal: a table in which another program rewrote or deleted files is refused, and becomes what the file is if that is asked for.
#[test]
fn what_another_program_rewrote_is_not_sent_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    let table = lake.join("ticks");
    put(&base, NOON, 0..60);
    put(&base, NOON + DAY, 60..120);
    send(&base, &lake, |_| {}).unwrap();
    for (number, is_rewritten) in [(120, true), (121, false)] {
        let found = log(&table);
        let add = found.iter().flatten().rev().find_map(|action| action.get("add")).unwrap();
        let path = add["path"].as_str().unwrap();
        let remove = json!({"remove": {"path": path, "dataChange": false, "deletionTimestamp": 1}});
        let mut actions = vec![remove];
        if is_rewritten {
            let (partition, _) = path.rsplit_once('/').unwrap();
            let other = format!("{partition}/part-00000.parquet");
            std::fs::copy(table.join(path), table.join(&other)).unwrap();
            let mut add = add.clone();
            add["path"] = other.into();
            add.as_object_mut().unwrap().remove("tags");
            actions.push(json!({"add": add}));
        }
        commit(&table, &actions);
        put(&base, NOON + 2 * DAY, number..number + 1);
        let before = bids(&lake);
        let why = refused(&send(&base, &lake, |_| {}).unwrap(), "ticks");
        assert!(why.contains("another program") && why.contains("--rebuild-ledger"), "{why}");
        assert_eq!(bids(&lake), before);
        send(&base, &lake, |options| options.rebuild_ledger = true).unwrap();
        assert_eq!(bids(&lake), once(0..number + 1), "rewritten: {is_rewritten}");
        assert_eq!(send(&base, &lake, |_| {}).unwrap(), PublishReport::default());
    }
}

/// Goal: a day that was removed from the folder to save room stays in the lake, until the lake is to be what the folder is.
#[test]
fn a_removed_day_stays_in_the_lake() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    put(&base, NOON, 0..60);
    put(&base, NOON + DAY, 60..120);
    send(&base, &lake, |_| {}).unwrap();
    let store = TickStore::open_read_only(&base).unwrap();
    let days = store.describe().unwrap().days;
    drop(store);
    std::fs::remove_file(&days[0].path).unwrap();
    assert_eq!(send(&base, &lake, |_| {}).unwrap(), PublishReport::default());
    assert_eq!(bids(&lake), once(0..120));
    // A late tick begins the day anew: what was published is not replaced by it, and that is told once.
    put(&base, NOON, 120..121);
    std::thread::sleep(Duration::from_millis(1_100)); // a file that was just written is looked at once more
    let kept = send(&base, &lake, |_| {}).unwrap().tables["ticks"];
    assert_eq!((kept.kept, kept.commits), (1, 0));
    assert_eq!(bids(&lake), once(0..120));
    assert_eq!(send(&base, &lake, |_| {}).unwrap(), PublishReport::default());
    send(&base, &lake, |options| options.rebuild_ledger = true).unwrap();
    assert_eq!(bids(&lake), once(60..121));
}

/// Goal: a lake has one ledger however its address is spelled, and goes on after it was moved.
#[test]
fn a_lake_may_have_several_names() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    put(&base, NOON, 0..60);
    send(&base, &lake, |_| {}).unwrap();
    let spelled = [lake.join("."), folder.path().join("db/../lake"), folder.path().join("link")];
    #[cfg(unix)]
    std::os::unix::fs::symlink(&lake, &spelled[2]).unwrap();
    for other in spelled.iter().take(if cfg!(unix) { 3 } else { 2 }) {
        assert_eq!(send(&base, other, |_| {}).unwrap(), PublishReport::default());
    }
    let moved = folder.path().join("moved");
    std::fs::rename(&lake, &moved).unwrap();
    assert_eq!(send(&base, &moved, |_| {}).unwrap(), PublishReport::default());
    put(&base, NOON + DAY, 60..90);
    send(&base, &moved, |_| {}).unwrap();
    assert_eq!(bids(&moved), once(0..90));
}

/// Goal: a data file that was lost is made again from the file that published it, if that is asked for.
#[test]
fn a_lost_file_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    put(&base, NOON, 0..60);
    put(&base, NOON + DAY, 60..90);
    send(&base, &lake, |_| {}).unwrap();
    let lost = files(&lake.join("ticks")).into_iter().next().unwrap();
    std::fs::remove_file(lake.join("ticks").join(&lost)).unwrap();
    let made = send(&base, &lake, |options| options.rebuild_ledger = true).unwrap().tables["ticks"];
    assert_eq!((made.segments, made.removed, made.commits), (1, 1, 1));
    assert_eq!(bids(&lake), once(0..90));
    assert_eq!(send(&base, &lake, |_| {}).unwrap(), PublishReport::default());
}

/// Goal: a backup of a folder of ticks knows what was published, so that it sends nothing twice.
#[test]
fn a_backup_of_ticks_goes_on_where_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    let copy = folder.path().join("copy");
    put(&base, NOON, 0..60);
    send(&base, &lake, |_| {}).unwrap();
    siltstone::open_read_only(&base).unwrap().backup(&copy).unwrap();
    assert_eq!(send(&copy, &lake, |_| {}).unwrap(), PublishReport::default());
    put(&copy, NOON, 60..90);
    send(&copy, &lake, |_| {}).unwrap();
    assert_eq!(bids(&lake), once(0..90));
}

/// The rows of a table of a lake.
fn rows(table: &Path) -> Vec<RecordBatch> {
    let read = |file: String| siltstone::table::read(table.join(file)).unwrap();
    files(table).into_iter().flat_map(|file| read(file).collect_batches().unwrap()).collect()
}

/// Goal: points of any time are published once, whatever the unit of their index and wherever the calendar ends.
#[test]
fn points_of_any_time_are_published() {
    let folder = tempfile::tempdir().unwrap();
    let (file, lake) = (folder.path().join("run.db"), folder.path().join("lake"));
    let db = siltstone::open(&file).unwrap();
    let series = db.series().unwrap();
    let year_s = 365 * 86_400;
    let seconds =
        [i64::MIN + 1, -9_000_000 * year_s, -400 * year_s, 0, 500 * year_s, 1 << 60, i64::MAX];
    let ns = [i64::MIN + 1, -1, 0, 1, NOON, i64::MAX];
    let indexes: [(&str, ArrayRef); 2] = [
        ("far", Arc::new(TimestampSecondArray::from(seconds.to_vec()))),
        ("near", Arc::new(TimestampNanosecondArray::from(ns.to_vec()))),
    ];
    for (key, index) in indexes {
        let values = Float64Array::from_iter_values((0..index.len()).map(|n| n as f64));
        let points = Series::new(index, Arc::new(values)).unwrap();
        series.save(key, &points, &Default::default()).unwrap();
    }
    for live in [true, false] {
        send_handle(&db, &lake, |options| options.live = live).unwrap();
        let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for batch in rows(&lake.join("series_points")) {
            let column = |name: &str| cast(batch.column_by_name(name).unwrap(), &DataType::Utf8);
            let (keys, times) = (column("key").unwrap(), column("index_integer").unwrap());
            for (key, time) in keys.as_string::<i32>().iter().zip(times.as_string::<i32>()) {
                let time = time.unwrap().parse().unwrap();
                found.entry(key.unwrap().to_owned()).or_default().push(time);
            }
        }
        found.values_mut().for_each(|times| times.sort_unstable());
        assert_eq!(found["far"], seconds, "live: {live}");
        assert_eq!(found["near"], ns, "live: {live}");
    }
}

/// Goal: a table of records that is called as another table of a lake, with a column that each has, disturbs neither.
#[test]
fn a_table_of_records_may_be_called_as_another() {
    let folder = tempfile::tempdir().unwrap();
    let (file, lake) = (folder.path().join("run.db"), folder.path().join("lake"));
    let runs = ExperimentDatabase::open(&file, "exp").unwrap();
    let run = runs.create_simulation_context("a", Default::default()).unwrap();
    for (table, value) in [("Series_points", 1.0), ("record_series_points", 2.0), ("runs", 3.0)] {
        let columns = [("store_id", "float64"), ("record_store_id", "float64")];
        run.define_table(&RecordSchema::new(table, &columns).unwrap()).unwrap();
        run.log(table, 0, &[("store_id", Cell::Float(value))]).unwrap();
    }
    drop(run);
    runs.close().unwrap();
    let db = siltstone::open(&file).unwrap();
    let report = send_handle(&db, &lake, |_| {}).unwrap();
    assert_eq!(report.failed, BTreeMap::new());
    let all =
        [("record_Series_points", 1.0), ("record_record_series_points", 2.0), ("record_runs", 3.0)];
    for (table, value) in all {
        let rows = rows(&lake.join(table));
        let column = rows[0].column_by_name("record_store_id").unwrap();
        assert_eq!(column.as_primitive::<Float64Type>().values(), &[value], "{table}");
    }
    assert_eq!(report.tables["runs"].rows, 1);
    assert_eq!(send_handle(&db, &lake, |_| {}).unwrap(), PublishReport::default());
}

/// Goal: a table that the lake has with other columns is named, and holds the others up no more than itself.
#[test]
fn a_table_that_is_refused_does_not_hold_the_others_up() {
    let folder = tempfile::tempdir().unwrap();
    let (file, lake) = (folder.path().join("run.db"), folder.path().join("lake"));
    let db = siltstone::open(&file).unwrap();
    let save = |key: &str| {
        let points = Series::from_times_ns(&[NOON], &[1.5]).unwrap();
        db.series().unwrap().save(key, &points, &Default::default()).unwrap();
    };
    save("flow");
    send_handle(&db, &lake, |_| {}).unwrap();
    let first = lake.join("series/_delta_log").join(format!("{:020}.json", 0));
    let text = std::fs::read_to_string(&first).unwrap();
    std::fs::write(&first, text.replace(r#"\"long\""#, r#"\"string\""#)).unwrap();
    save("level");
    let report = send_handle(&db, &lake, |_| {}).unwrap();
    let why = refused(&report, "series");
    assert!(why.contains("long") && why.contains("string"), "{why}");
    assert_eq!(report.tables["series_points"].rows, 1);
}

/// Goal: an address that is none, or that holds a secret, is refused before anything is made.
#[test]
fn an_address_with_a_secret_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), NOON, 0..3);
    let ticks = siltstone::open_read_only(folder.path()).unwrap();
    let send = |address: &str| {
        let options = PublishOptions::default();
        publish(&ticks, address, &options, &mut |_, _| Ok(())).unwrap_err().to_string()
    };
    assert!(send("s3://key:secret@bucket/lake").contains("environment"));
    assert!(!send("s3://key:secret@bucket/lake").contains("secret@"));
    assert!(send("ftp://host/lake").contains("s3://bucket/folder"));
    assert!(send("").contains("an empty text"));
    for mistyped in ["s3:/bucket/lake", "s3//bucket/lake", "s3://", "gs:///", "s3:bucket"] {
        assert!(send(mistyped).contains("s3://bucket/folder"), "{mistyped}");
    }
    assert!(!folder.path().join("publish.db").exists());
}

/// Goal: a sender that is killed at any instant leaves a lake in which each row is there once, when another has finished.
#[test]
fn a_killed_sender_loses_and_repeats_nothing() {
    let kills = std::env::var("SILTSTONE_LAKE_KILLS").map_or(12, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    let mut random = Random(7);
    let mut interrupted = 0;
    for turn in 0..kills {
        put(&base, NOON + (turn % 3) as i64 * DAY, turn * 300..(turn + 1) * 300);
        let child = child::start("lake::sends_until_it_is_killed", &base, lake.to_str().unwrap());
        std::thread::sleep(Duration::from_micros(random.below(120_000)));
        interrupted += u64::from(!child.kill().iter().any(|line| line.contains("sent")));
        let there = bids(&lake);
        assert!(there.values().all(|times| *times == 1), "turn {turn}");
    }
    send(&base, &lake, |_| {}).unwrap();
    assert_eq!(bids(&lake), once(0..kills * 300), "{interrupted} of {kills} were interrupted");
    println!("{interrupted} of {kills} senders were killed before they were done");
}

#[test]
#[ignore = "the process that a test kills"]
fn sends_until_it_is_killed() {
    let Some((base, lake)) = mission() else { return };
    send(&base, Path::new(&lake), |options| options.live = true).unwrap();
    say(format_args!("sent"));
}

/// Goal: where a commit is there and cannot be read, whoever has the next one says so and does not try for ever.
#[test]
fn a_commit_that_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let db = siltstone::open(folder.path().join("agent.db")).unwrap();
    let lake = folder.path().join("lake");
    let store = |n: &str| {
        let event = NewLearningEvent::new(n, 0.5, "explore");
        db.memory().unwrap().store_learning_event(event).unwrap();
        publish(&db, lake.to_str().unwrap(), &PublishOptions::default(), &mut |_, _| Ok(()))
    };
    store("first").unwrap();
    let name = format!("{:020}.json", 1);
    std::fs::create_dir(lake.join("learning_events/_delta_log").join(&name)).unwrap();
    let told = match store("second") {
        Ok(report) => format!("{:?}", report.failed),
        Err(error) => error.to_string(),
    };
    assert!(told.contains(&name), "{told}");
}
