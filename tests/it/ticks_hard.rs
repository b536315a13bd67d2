//! The tick store where it is hard: broken disks at bad moments, the ends of time, damage, other programs.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use siltstone::ticks::{
    Direction, ImportOptions, OhlcOptions, Outcome, QueueFull, StorageBackend, TickBatch,
    TickStore, TickStoreConfig, doctor, import, now_ns,
};
use siltstone::{Database, Error, Value};

const NOON: i64 = 1_768_824_000_000_000_000; // 2026-01-19T12:00:00Z
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
const FILE: &str = "db/2026/01/ticks_2026-01-19.db";

fn config(base: &Path) -> TickStoreConfig {
    TickStoreConfig {
        sqlite_base_path: base.join("db"),
        json_base_path: base.join("json"),
        ..TickStoreConfig::production("b")
    }
}

fn json_config(base: &Path) -> TickStoreConfig {
    TickStoreConfig { backend: StorageBackend::Json, ..config(base) }
}

fn put(store: &TickStore, time: i64, bid: f64) -> Outcome {
    store.store_tick("EURUSD", bid, bid + 0.5, 0.5, "YOFX", time).unwrap()
}

fn bids(store: &TickStore) -> Vec<f64> {
    store.get_ticks_in_range("EURUSD", i64::MIN, i64::MAX).unwrap().bid
}

/// A file where a folder has to be, so that the day cannot be written.
fn block(folder: &Path, offset: &str) -> std::path::PathBuf {
    let blocker = folder.join(offset);
    std::fs::create_dir_all(blocker.parent().unwrap()).unwrap();
    std::fs::write(&blocker, "").unwrap();
    blocker
}

/// Runs work that must end in time.
fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("{what} hangs"))
}

/// Goal: callers that wait for room in the queue hold nothing that the writer needs to bring back what
/// an earlier run had to spill.
#[test]
fn waiting_callers_do_not_stop_the_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let blocker = block(folder.path(), "db/2026");
    let store = TickStore::new(config(folder.path())).unwrap();
    (0..10).for_each(|n| assert_eq!(put(&store, NOON + n, n as f64), Outcome::Stored));
    store.flush().unwrap_err();
    drop(store);
    std::fs::remove_file(blocker).unwrap();
    let small = TickStoreConfig {
        queue_full: QueueFull::Block,
        queue_size: 5,
        batch_size: 5,
        ..config(folder.path())
    };
    let found = in_time("the recovery", move || {
        let store = TickStore::new(small).unwrap();
        (10..500).for_each(|n| assert_eq!(put(&store, NOON + n, n as f64), Outcome::Stored));
        store.flush().unwrap();
        bids(&store)
    });
    assert_eq!(found, (0..500).map(f64::from).collect::<Vec<_>>());
}

/// Goal: while a caller waits for room, others read what is in memory.
#[test]
fn a_waiting_caller_does_not_stop_readers() {
    let folder = tempfile::tempdir().unwrap();
    let blocker = block(folder.path(), "db/2026");
    let spill = block(folder.path(), "no");
    let store = TickStore::new(TickStoreConfig {
        queue_full: QueueFull::Block,
        queue_size: 5,
        batch_size: 5,
        spill_path: Some(spill),
        ..config(folder.path())
    })
    .unwrap();
    let writing = store.clone();
    let writer = std::thread::spawn(move || {
        let store =
            |n| writing.store_tick("EURUSD", n as f64, n as f64 + 0.5, 0.5, "YOFX", NOON + n);
        (0..50).for_each(|n| while store(n).is_err() {}); // it is told why there is no room
    });
    std::thread::sleep(Duration::from_millis(300));
    let reading = store.clone();
    let seen = in_time("a read", move || {
        (
            reading.get_recent_ticks("EURUSD", 1).unwrap().len(),
            reading.stats().unwrap().ticks_stored,
        )
    });
    assert_eq!(seen.0, 1);
    assert!((5..50).contains(&seen.1), "{}", seen.1);
    std::fs::remove_file(blocker).unwrap();
    writer.join().unwrap();
    let _ = store.flush(); // tells of the time without a disk
    assert_eq!(store.stats().unwrap().ticks_stored, 50);
    assert_eq!(bids(&store), (0..50).map(f64::from).collect::<Vec<_>>());
}

/// Goal: the days that were written before an error are seen, through memory too.
#[test]
fn what_was_written_before_an_error_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let store = TickStore::new(config(folder.path())).unwrap();
    assert_eq!(put(&store, NOON, 1.0), Outcome::Stored);
    store.flush().unwrap();
    block(folder.path(), "db/2026/02");
    let (time, bid) = ([NOON + 1, NOON + 20 * DAY], [2.0, 3.0]);
    store.store_ticks(&TickBatch::new("EURUSD", &time, &bid, &bid)).unwrap_err();
    assert_eq!(store.get_recent_ticks("EURUSD", 1).unwrap().bid, [2.0]);
    assert_eq!(bids(&store), [1.0, 2.0]);
}

/// Goal: an import of today keeps ticks that are equal in everything, wherever its batches are cut, and
/// can be repeated.
#[test]
fn equal_ticks_of_an_import_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let now = now_ns();
    let day = {
        let dated = TickStore::new(json_config(&folder.path().join("dated"))).unwrap();
        for n in 0..9 {
            let _ = put(&dated, now - n / 5, 1.0);
        }
        dated.stop().unwrap();
        folder.path().join("dated/json")
    };
    let options =
        ImportOptions { batch_size: 2, ..ImportOptions::new(&day, folder.path().join("db")) };
    let report = import(&options, &mut |_, _| Ok(())).unwrap();
    assert_eq!((report.ticks_read, report.ticks_migrated), (9, 9));
    let report = import(&options, &mut |_, _| Ok(())).unwrap();
    assert_eq!((report.ticks_read, report.ticks_migrated), (9, 0));
}

/// Goal: ticks for JSON files that cannot be written are kept when the store is stopped, told, and come
/// back once.
#[test]
fn json_ticks_outlive_a_stop_on_a_broken_disk() {
    let folder = tempfile::tempdir().unwrap();
    let blocker = block(folder.path(), "json/EURUSD");
    let store = TickStore::new(json_config(folder.path())).unwrap();
    (0..3).for_each(|n| assert_eq!(put(&store, NOON + n, n as f64), Outcome::Stored));
    assert!(matches!(store.stop(), Err(Error::Io { .. })));
    assert_eq!((store.report().spilled, store.report().lost), (3, 0));
    drop(store);
    std::fs::remove_file(blocker).unwrap();
    let spilled = std::fs::read_dir(folder.path().join("json/spill-json")).unwrap();
    let spilled = spilled.map(|entry| entry.unwrap().path()).next().unwrap();
    let copy = std::fs::read(&spilled).unwrap();
    for n in 3..5 {
        let store = TickStore::new(json_config(folder.path())).unwrap();
        store.flush().unwrap();
        assert_eq!(bids(&store), (0..n).map(f64::from).collect::<Vec<_>>());
        if n == 4 {
            assert_eq!(store.stop().unwrap().json_written, 0, "written twice");
            break;
        }
        assert_eq!(store.report().recovered, 3);
        store.stop().unwrap();
        drop(store);
        assert!(!spilled.exists());
        // As after a crash between the writing and the removal of the file, whose name says where it was written.
        std::fs::write(spilled.with_extension("at-0.json"), &copy).unwrap();
        let store = TickStore::new(json_config(folder.path())).unwrap();
        assert_eq!(put(&store, NOON + 3, 3.0), Outcome::Stored);
        store.stop().unwrap();
    }
}

/// Goal: a folder of JSON files has one writer: another store is refused at once, by name, and has the folder when the first is
/// stopped.
#[cfg(unix)]
#[test]
fn one_store_writes_a_folder_of_json_files() {
    let folder = tempfile::tempdir().unwrap();
    let first = TickStore::new(json_config(folder.path())).unwrap();
    let _ = put(&first, NOON, 0.0);
    let Err(Error::Busy { path, .. }) = TickStore::new(json_config(folder.path())) else {
        panic!("two stores write one folder");
    };
    assert!(path.starts_with(folder.path()), "{}", path.display());
    first.stop().unwrap();
    let second = TickStore::new(json_config(folder.path())).unwrap();
    let _ = put(&second, NOON + 1, 1.0);
    second.stop().unwrap();
    assert_eq!(bids(&second), [0.0, 1.0]);
}

/// Goal: a spilled tick that is equal to a stored one is kept and counted, as it would have been without the spill.
#[test]
fn a_spilled_json_tick_that_is_equal_to_a_stored_one_is_kept_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let day = folder.path().join("json/EURUSD");
    let store = TickStore::new(json_config(folder.path())).unwrap();
    assert_eq!(put(&store, NOON, 1.0), Outcome::Stored);
    store.flush().unwrap();
    std::fs::rename(&day, day.with_extension("away")).unwrap();
    block(folder.path(), "json/EURUSD");
    assert_eq!(put(&store, NOON, 1.0), Outcome::Stored);
    assert!(store.stop().is_err());
    drop(store);
    std::fs::remove_file(&day).unwrap();
    std::fs::rename(day.with_extension("away"), &day).unwrap();
    let store = TickStore::new(json_config(folder.path())).unwrap();
    assert_eq!((store.report().recovered, store.report().json_written), (1, 1));
    assert_eq!(bids(&store), [1.0, 1.0]);
}

/// Goal: a file that was made and never written, as a kill leaves it, is no finding and no obstacle.
#[test]
fn an_empty_day_file_is_no_finding() {
    let folder = tempfile::tempdir().unwrap();
    block(folder.path(), FILE);
    let report = doctor(folder.path().join("db")).unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
    let store = TickStore::new(config(folder.path())).unwrap();
    assert_eq!(bids(&store), [0.0; 0]);
    assert_eq!(store.days().unwrap().len(), 0);
    assert_eq!(put(&store, NOON, 1.0), Outcome::Stored);
    store.compact("2026-01-19").unwrap();
    store.stop().unwrap();
    let report = doctor(folder.path().join("db")).unwrap();
    assert!(report.is_ok() && report.ticks == 1, "{report:?}");
}

/// Goal: rows and blocks that somebody deleted are missed.
#[test]
fn the_doctor_counts_what_should_be_there() {
    for (compacted, sql) in [
        (false, "DELETE FROM tick_rows WHERE arrival = 3"),
        (true, "DELETE FROM tick_block WHERE id = 1"),
        (true, "UPDATE tick_block SET min_bid = -5"),
        (false, "DELETE FROM tick_watermark; DELETE FROM tick_counter"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("db");
        let store = TickStore::new(config(folder.path())).unwrap();
        (0..10).for_each(|n| assert_eq!(put(&store, NOON + n, n as f64), Outcome::Stored));
        store.flush().unwrap();
        let time: Vec<i64> = (0..5_000).map(|n| NOON + SECOND + n).collect();
        let bid = vec![1.5; 5_000];
        store.store_ticks(&TickBatch::new("GBPUSD", &time, &bid, &bid)).unwrap();
        if compacted {
            store.compact_all().unwrap();
        }
        store.stop().unwrap();
        assert_eq!(doctor(&base).unwrap().findings, []);
        let conn = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
        conn.execute_batch(sql).unwrap();
        drop(conn);
        assert!(!doctor(&base).unwrap().is_ok(), "{sql}");
    }
}

/// Goal: when a tick was written is in the row, and is NULL once the tick is compacted; every other column stays.
#[test]
fn a_compaction_forgets_when_a_tick_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = TickStore::new(config(folder.path())).unwrap();
    let before = now_ns() / 1_000_000;
    (0..300).for_each(|n| assert_eq!(put(&store, NOON + n, n as f64), Outcome::Stored));
    store.flush().unwrap();
    let day = || Database::builder(folder.path().join(FILE)).open_read_only().unwrap();
    let written = || {
        let sql = "SELECT count(*), count(created_at), coalesce(min(created_at), 0) FROM ticks";
        let row = day().sql(sql).unwrap().rows.remove(0);
        <[Value; 3]>::try_from(row).unwrap()
    };
    let others = || {
        let sql = "SELECT symbol, timestamp, bid, ask, spread, lp_source, time_ns, broker_id FROM ticks \
            ORDER BY time_ns";
        day().sql(sql).unwrap().rows
    };
    let all = others();
    let [ticks, with, Value::Integer(first)] = written() else { panic!("no time") };
    assert_eq!((ticks, with), (Value::Integer(300), Value::Integer(300)));
    assert!((before..=now_ns() / 1_000_000).contains(&first), "{first}");
    store.compact("2026-01-19").unwrap();
    assert_eq!(written(), [300, 0, 0].map(Value::Integer));
    assert_eq!(others(), all);
}

/// Goal: the first and the last times that there are go through every call.
#[test]
fn the_ends_of_time_are_times() {
    for backend in [StorageBackend::Sqlite, StorageBackend::Json] {
        let folder = tempfile::tempdir().unwrap();
        let store = TickStore::new(TickStoreConfig {
            backend,
            utc_offset_s: 19_800,
            ..config(folder.path())
        })
        .unwrap();
        let times = [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX];
        for (n, time) in times.iter().enumerate() {
            assert_eq!(put(&store, *time, n as f64), Outcome::Stored);
        }
        store.flush().unwrap();
        let check = |store: &TickStore, when: &str| {
            let all = store.get_ticks_in_range("EURUSD", i64::MIN, i64::MAX).unwrap();
            assert_eq!(all.time_ns, times, "{backend:?} {when}");
            assert_eq!(store.get_recent_ticks("EURUSD", 9).unwrap().time_ns, times);
            let ends = store.get_ticks_in_range("EURUSD", i64::MAX, i64::MAX).unwrap();
            assert_eq!(ends.bid, [5.0]);
            for interval in [1, 60 * SECOND, i64::MAX] {
                let options = OhlcOptions::default();
                let bars = store.ohlc("EURUSD", interval, options).unwrap();
                assert_eq!(bars.iter().map(|bar| bar.volume).sum::<u64>(), 6);
                let begins: Vec<i64> = bars.iter().map(|bar| bar.time_ns).collect();
                assert!(begins.is_sorted_by(|a, b| a < b), "{interval}: {begins:?}");
            }
            let gaps = store.gaps("EURUSD", DAY, i64::MIN, i64::MAX).unwrap();
            assert_eq!(gaps.len(), 2);
            for direction in [Direction::Backward, Direction::Forward, Direction::Nearest] {
                for tolerance in [None, Some(0), Some(i64::MAX)] {
                    let found = store.asof("EURUSD", &times, tolerance, direction).unwrap();
                    let bids: Vec<f64> =
                        found.indices.iter().map(|p| found.ticks.bid[p.unwrap()]).collect();
                    assert_eq!(bids, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "{direction:?}");
                }
            }
            let before = store.asof("EURUSD", &times, Some(1), Direction::Before).unwrap();
            let bids: Vec<_> =
                before.indices.iter().map(|p| p.map(|p| before.ticks.bid[p])).collect();
            assert_eq!(bids, [None, Some(0.0), None, Some(2.0), None, Some(4.0)]);
        };
        check(&store, "written");
        store.compact_all().unwrap();
        check(&store, "compacted");
        store.stop().unwrap();
        drop(store);
        let store = TickStore::new(TickStoreConfig { backend, ..config(folder.path()) }).unwrap();
        check(&store, "opened again");
        if backend == StorageBackend::Sqlite {
            assert_eq!(doctor(folder.path().join("db")).unwrap().findings, []);
        }
    }
}

/// Goal: what the store would refuse, SQL refuses too, and the day stays readable.
#[test]
fn sql_refuses_what_the_store_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let store = TickStore::new(config(folder.path())).unwrap();
    assert_eq!(put(&store, NOON, 1.0), Outcome::Stored);
    store.stop().unwrap();
    let conn = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    let long = format!("'{}'", "x".repeat(65));
    for (symbol, ms, bid) in [
        ("'../../escape'", "1768824000001", "1.0"),
        ("''", "1768824000001", "1.0"),
        (&*long, "1768824000001", "1.0"),
        ("'a b'", "1768824000001", "1.0"),
        ("'a//b'", "1768824000001", "1.0"),
        ("'EUR\u{4e00}'", "1768824000001", "1.0"),
        ("'EUR' || char(0)", "1768824000001", "1.0"),
        ("NULL", "1768824000001", "1.0"),
        ("'EURUSD'", "NULL", "1.0"),
        ("'EURUSD'", "1768824000001", "9e999"),
        ("'EURUSD'", "1768824000001", "NULL"),
        ("'EURUSD'", "1e15", "1.0"),
        ("'EURUSD'", "99999999999999999", "1.0"),
    ] {
        let sql = format!(
            "INSERT INTO ticks (symbol, timestamp, bid, ask, spread) \
             VALUES ({symbol}, {ms}, {bid}, 1.5, 0.5)"
        );
        assert!(conn.execute_batch(&sql).is_err(), "{sql}");
    }
    let good = "INSERT INTO ticks (symbol, timestamp, bid, ask, spread) \
        VALUES ('EUR/USD.x', 1768824000001, 1.0, 1.5, 0.5)";
    conn.execute_batch(good).unwrap();
    drop(conn);
    let store = TickStore::new(config(folder.path())).unwrap();
    assert_eq!(store.symbols().unwrap(), ["EUR/USD.x", "EURUSD"]);
    assert_eq!(bids(&store), [1.0]);
    assert_eq!(doctor(folder.path().join("db")).unwrap().findings, []);
}

/// Goal: SQL with a time unpacks only blocks that can have it: a damaged one elsewhere is not met.
#[test]
fn sql_unpacks_only_blocks_that_can_match() {
    let folder = tempfile::tempdir().unwrap();
    let store = TickStore::new(config(folder.path())).unwrap();
    const MS: i64 = 1_000_000;
    let time: Vec<i64> = (0..42_000).map(|n| NOON + n * MS).collect();
    let bid: Vec<f64> = (0..42_000).map(|n| f64::from(n % 7)).collect();
    store.store_ticks(&TickBatch::new("EURUSD", &time, &bid, &bid)).unwrap();
    store.stop().unwrap();
    let path = folder.path().join(FILE);
    let conn = rusqlite::Connection::open(&path).unwrap();
    let flip = "UPDATE tick_block SET data = CAST(substr(data, 1, 120) || x'ff' || substr(data, 122) AS BLOB) \
        WHERE first_ns = (SELECT min(first_ns) FROM tick_block)";
    conn.execute_batch(flip).unwrap();
    drop(conn);
    let db = Database::builder(&path).open_read_only().unwrap();
    let count = |predicate: &str| {
        let found = db.sql(&format!("SELECT count(*) FROM ticks WHERE {predicate}"));
        found.map(|found| found.rows[0][0].clone())
    };
    let (ns, ms) = (NOON + 36_000 * MS, NOON / MS + 36_000);
    for (predicate, n) in [
        (format!("time_ns >= {ns}"), 6_000),
        (format!("time_ns > {ns}"), 5_999),
        (format!("time_ns = {ns}"), 1),
        (format!("symbol = 'EURUSD' AND time_ns BETWEEN {ns} AND {}", ns + 9 * MS), 10),
        (format!("timestamp >= {ms}"), 6_000),
        (format!("timestamp > {ms}"), 5_999),
        (format!("timestamp = {ms}"), 1),
        (format!("timestamp BETWEEN {ms} AND {}", ms + 9), 10),
        (format!("timestamp >= {ms}.5 AND timestamp < {ms} + 9.5"), 9),
        (format!("time_ns >= {}", i64::MAX), 0),
        ("timestamp > 9e18".to_owned(), 0),
    ] {
        assert_eq!(count(&predicate).unwrap(), Value::Integer(n), "{predicate}");
    }
    assert!(count("bid = 3").is_err(), "the damaged block is met by what may be anywhere");
    // What is no number compares as SQLite says: a text is greater than every number.
    assert_eq!(
        count(&format!("time_ns > {ns} AND timestamp < 'x'")).unwrap(),
        Value::Integer(5_999)
    );
    assert_eq!(count(&format!("time_ns > {ns} AND timestamp < NULL")).unwrap(), Value::Integer(0));
}

/// Goal: a join keeps what it found and not what it passed, whatever lies between the times.
#[test]
fn a_join_keeps_only_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = TickStore::new(config(folder.path())).unwrap();
    let time: Vec<i64> = (0..150_000).map(|n| NOON + (n / 3) * SECOND * 10).collect();
    let bid: Vec<f64> = (0..150_000).map(f64::from).collect();
    store.store_ticks(&TickBatch::new("EURUSD", &time, &bid, &bid)).unwrap();
    let last = *time.last().unwrap();
    let asked = [last + DAY, NOON, NOON + 5 * SECOND, last, NOON - 1, NOON + 100_000 * SECOND];
    for (direction, expected) in [
        (Direction::Backward, [149_999, 2, 2, 149_999, -1, 30_002]),
        (Direction::Before, [149_999, -1, 2, 149_996, -1, 29_999]),
        (Direction::Forward, [-1, 0, 3, 149_997, 0, 30_000]),
        (Direction::Nearest, [149_999, 2, 2, 149_999, 0, 30_002]),
    ] {
        let found = store.asof("EURUSD", &asked, None, direction).unwrap();
        let indices = found.indices.iter().map(|p| p.map_or(-1.0, |p| found.ticks.bid[p]));
        assert_eq!(indices.collect::<Vec<_>>(), expected.map(f64::from), "{direction:?}");
        assert!(found.ticks.len() <= asked.len(), "{} ticks", found.ticks.len());
        assert!(found.ticks.time_ns.is_sorted());
    }
}

/// Goal: a store compacts by itself what has been over for long enough, and only that, and only if it is to.
#[test]
fn finished_days_are_compacted_by_themselves() {
    for by_itself in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let store = TickStore::new(TickStoreConfig {
            compact_every: by_itself.then_some(Duration::from_millis(20)),
            ..config(folder.path())
        })
        .unwrap();
        let today = now_ns();
        for time in [NOON, today - 2 * DAY, today] {
            assert_eq!(put(&store, time, 1.0), Outcome::Stored);
        }
        store.flush().unwrap();
        let compacted = || -> Vec<u64> {
            store.days().unwrap().iter().map(|day| day.ticks.compacted).collect()
        };
        let start = Instant::now();
        while by_itself && compacted()[0] == 0 {
            assert!(start.elapsed() < Duration::from_secs(20), "nothing is compacted");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(compacted(), [u64::from(by_itself), 0, 0]);
        assert_eq!(store.stats().unwrap().days_compacted, u64::from(by_itself));
        // A late one makes the day a candidate again.
        assert_eq!(put(&store, NOON + 1, 2.0), Outcome::Stored);
        store.flush().unwrap();
        while by_itself && compacted()[0] < 2 {
            assert!(start.elapsed() < Duration::from_secs(40), "a late tick is not compacted");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(store.get_ticks_in_range("EURUSD", NOON, NOON + 1).unwrap().bid, [1.0, 2.0]);
        in_time("a stop", move || store.stop().unwrap());
    }
}

/// Goal: what the RTX engine tells of the last failure is reported.
#[test]
fn the_last_failure_is_in_the_stats() {
    let folder = tempfile::tempdir().unwrap();
    block(folder.path(), "db/2026");
    let store = TickStore::new(config(folder.path())).unwrap();
    let sqlite = |store: &TickStore| serde_json::to_value(store.stats().unwrap().sqlite).unwrap();
    assert!(sqlite(&store)["last_batch_error"].is_null());
    assert_eq!(put(&store, NOON, 1.0), Outcome::Stored);
    store.flush().unwrap_err();
    let stats = sqlite(&store);
    assert!(stats["last_batch_error"].is_string(), "{stats}");
    let age_ms = now_ns() / 1_000_000 - stats["last_batch_error_time"].as_i64().unwrap();
    assert!((0..60_000).contains(&age_ms), "{age_ms}");
}

/// Goal: a file whose maker was killed in the middle of its first transaction, as its journal tells, is no finding
/// either once that was rolled back.
#[test]
fn a_day_file_that_is_rolled_back_to_nothing_is_no_finding() {
    let folder = tempfile::tempdir().unwrap();
    let path = block(folder.path(), FILE);
    // An empty database of one page: what a rollback to the beginning can leave.
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("CREATE TABLE x(y); DROP TABLE x").unwrap();
    drop(conn);
    assert!(std::fs::metadata(&path).unwrap().len() > 0);
    let report = doctor(folder.path().join("db")).unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
    let store = TickStore::new(config(folder.path())).unwrap();
    assert_eq!(put(&store, NOON, 1.0), Outcome::Stored);
    store.stop().unwrap();
    let report = doctor(folder.path().join("db")).unwrap();
    assert!(report.is_ok() && report.ticks == 1, "{report:?}");
}
