//! The tick store in daily life: full queues, broken disks, other formats, several at once.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use siltstone::ticks::{
    Duplicates, Fill, ImportOptions, Names, OhlcOptions, Outcome, QueueFull, ReplayOptions,
    RetentionPolicy, StorageBackend, Throttle, Tick, TickBatch, TickStore, TickStoreConfig,
    Timeframe, doctor, import,
};
use siltstone::{Database, Error, Value};

const NOON: i64 = 1_768_824_000_000_000_000; // 2026-01-19T12:00:00Z
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

fn config(base: &Path) -> TickStoreConfig {
    TickStoreConfig {
        sqlite_base_path: base.join("db"),
        json_base_path: base.join("json"),
        ..TickStoreConfig::production("b")
    }
}

fn put(store: &TickStore, time: i64, bid: f64) -> Outcome {
    store.store_tick("EURUSD", bid, bid + 0.5, 0.5, "YOFX", time).unwrap()
}

fn bids(store: &TickStore) -> Vec<f64> {
    store.get_ticks_in_range("EURUSD", i64::MIN, i64::MAX).unwrap().bid
}

/// Goal: bad input is refused before anything happens, and a symbol is no way out of the folder.
#[test]
fn bad_input_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        TickStore::new(TickStoreConfig { backend: StorageBackend::Dual, ..config(folder.path()) })
            .unwrap();
    for symbol in ["../../escape", "", "a/../b", ".hidden"] {
        let refused = store.store_tick(symbol, 1.0, 2.0, 1.0, "lp", 0).unwrap_err();
        assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
    }
    for price in [f64::NAN, f64::INFINITY] {
        assert!(store.store_tick("EURUSD", price, 2.0, 1.0, "lp", 0).is_err());
        let (time, bid) = ([0, 1], [1.0, price]);
        assert!(store.store_ticks(&TickBatch::new("EURUSD", &time, &bid, &bid)).is_err());
    }
    let short = TickBatch::new("EURUSD", &[0, 1], &[1.0], &[2.0, 3.0]);
    assert!(store.store_ticks(&short).is_err());
    assert_eq!(store.stop().unwrap().written, 0);
    assert!(!folder.path().join("escape").exists());
    let wrong = TickStoreConfig { batch_size: 0, ..config(folder.path()) };
    assert!(TickStore::new(wrong).is_err());
}

/// Goal: nothing is lost in silence: what finds the queue full is reported, counted, and in the ring.
#[test]
fn a_full_queue_is_told_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    // The folder of the year is a file, so that the writer stands still.
    std::fs::create_dir_all(folder.path().join("db")).unwrap();
    let blocker = folder.path().join("db/2026");
    std::fs::write(&blocker, "").unwrap();
    let spill = folder.path().join("no");
    std::fs::write(&spill, "").unwrap();
    let store = TickStore::new(TickStoreConfig {
        queue_size: 20,
        batch_size: 5,
        spill_path: Some(spill.clone()),
        ..config(folder.path())
    })
    .unwrap();
    let outcomes: Vec<Outcome> = (0..100).map(|n| put(&store, NOON + n, n as f64)).collect();
    let dropped = outcomes.iter().filter(|o| **o == Outcome::Dropped).count() as u64;
    assert!(dropped >= 75, "{dropped}");
    assert_eq!(store.report().dropped, dropped);
    assert_eq!(store.get_recent_ticks("EURUSD", 100).unwrap().len(), 100);
    assert!(store.stats().unwrap().oldest_uncommitted_ms.is_some());
    // Neither written nor spilled, and not thrown away: it goes on when the disk does.
    std::thread::sleep(Duration::from_millis(1_500));
    std::fs::remove_file(&blocker).unwrap();
    let flushed = (0..3).find_map(|_| store.flush().ok()); // a try that fails just now is reported
    assert_eq!(flushed.unwrap().written, 100 - dropped);
    assert_eq!(bids(&store).len(), 100, "as long as the ring holds them");
    store.stop().unwrap();
    assert!(matches!(store.store_tick("EURUSD", 1.0, 2.0, 1.0, "", 0), Err(Error::Closed { .. })));
}

/// Goal: the more ticks are asked for, the more come, and they end with the same one, though most of what the ring holds was
/// dropped or spilled; the last tick, ranges and joins agree with them.
#[test]
fn more_recent_ticks_are_no_older_ones() {
    for (queue_full, batch_size, most) in [
        (QueueFull::DropNewest, 50, 5_000),
        (QueueFull::DropOldest, 50, 5_000),
        (QueueFull::Block, 200, 800),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let spills = queue_full == QueueFull::Block;
        let store = TickStore::new(TickStoreConfig {
            queue_size: batch_size,
            batch_size,
            queue_full,
            max_ticks_per_symbol: 300,
            ..config(folder.path())
        })
        .unwrap();
        (0..40).for_each(|n| _ = put(&store, NOON - 100 + n, n as f64));
        assert_eq!(store.flush().unwrap().written, 40);
        if spills {
            std::fs::write(folder.path().join("db/2027"), "").unwrap();
        }
        let from = if spills { NOON + 365 * 86_400_000_000_000 } else { NOON };
        let time = |n: i64| from + n / 3;
        (0..most).for_each(|n| _ = put(&store, time(n), n as f64));
        let _ = store.flush();
        let last = store.last("EURUSD").unwrap().unwrap();
        assert_eq!(last.bid, most as f64 - 1.0);
        let all = store.get_recent_ticks("EURUSD", 10_000).unwrap();
        assert!(all.len() >= 340, "{}", all.len());
        for n in [1, 2, 299, 300, 301, 302, 339, 340] {
            let some = store.get_recent_ticks("EURUSD", n).unwrap();
            assert_eq!(some.bid, all.bid[all.len() - n..], "{queue_full:?} {n}");
        }
        assert_eq!(bids(&store), all.bid, "{queue_full:?}");
        let mut stepped = Vec::new();
        let each = |tick: Tick<'_>| {
            stepped.push(tick.bid);
            ControlFlow::Continue(())
        };
        store.replay(&["EURUSD"], ReplayOptions::default(), each).unwrap();
        assert_eq!(stepped, all.bid, "{queue_full:?}");
        drop(store.stop());
    }
}

/// Goal: a folder of spilled ticks that cannot be listed is reported by a flush once it fails for longer than one retry.
#[test]
fn a_spill_folder_that_cannot_be_listed_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let spill = folder.path().join("spill");
    std::fs::write(&spill, "").unwrap();
    let store = TickStore::new(TickStoreConfig {
        spill_path: Some(spill.clone()),
        batch_size: 1,
        ..config(folder.path())
    })
    .unwrap();
    let _ = put(&store, NOON, 1.0);
    let reported = (1..5).find_map(|n| {
        let _ = put(&store, NOON + n, 1.0);
        store.flush().err()
    });
    let Some(Error::Io { path, .. }) = reported else { panic!("{reported:?}") };
    assert_eq!(path, spill);
    std::fs::remove_file(&spill).unwrap();
    let _ = put(&store, NOON + 9, 1.0);
    let _ = store.flush(); // what was seen before it was gone
    store.flush().unwrap();
    store.stop().unwrap();
}

/// Goal: a batch that cannot be written is kept in a spill file, told once, and written once when the
/// disk is well again, by the next batch or the next store.
#[test]
fn a_spilled_batch_comes_back_once() {
    for reopened in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("db");
        std::fs::create_dir_all(&base).unwrap();
        let blocker = base.join("2026");
        std::fs::write(&blocker, "").unwrap();
        let mut store = TickStore::new(config(folder.path())).unwrap();
        (0..10).for_each(|n| assert_eq!(put(&store, NOON + n, n as f64), Outcome::Stored));
        let error = store.flush().unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        let report = store.report();
        assert_eq!((report.written, report.spilled, report.recovered), (0, 10, 0));
        assert!(store.stats().unwrap().sqlite.unwrap().retries_total >= 2);
        assert!(!doctor(&base).unwrap().is_ok(), "the doctor sees the spill file");
        std::fs::remove_file(&blocker).unwrap();
        let spilled =
            std::fs::read_dir(base.join("spill")).unwrap().next().unwrap().unwrap().path();
        let copy = std::fs::read(&spilled).unwrap();
        if reopened {
            drop(store);
            store = TickStore::new(config(folder.path())).unwrap();
        }
        let _ = put(&store, NOON + 10, 10.0);
        store.flush().unwrap();
        store.stop().unwrap();
        let all: Vec<f64> = (0..11).map(f64::from).collect();
        assert_eq!(bids(&store), all);
        assert_eq!(store.get_recent_ticks("EURUSD", 11).unwrap().bid, all);
        assert_eq!(store.report().recovered, 10);
        // As after a crash between the commit and the removal of the file.
        std::fs::write(&spilled, copy).unwrap();
        TickStore::new(config(folder.path())).unwrap().stop().unwrap();
        assert_eq!(bids(&store).len(), 11, "written twice");
        let report = doctor(&base).unwrap();
        assert!(report.is_ok(), "{:?}", report.findings);
    }
}

/// Goal: JSON files have the RTX engine's place and bytes, by the tick's own day, and a file that is
/// torn is left as it is.
#[test]
fn json_files_are_those_of_rtx() {
    let folder = tempfile::tempdir().unwrap();
    let json_config = || TickStoreConfig {
        json_base_path: folder.path().join("json"),
        utc_offset_s: 19_800,
        ..TickStoreConfig::json("BROKER-001", 100)
    };
    let store = TickStore::new(json_config()).unwrap();
    let error = TickStore::new(json_config()).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "two writers of one folder: {error}");
    assert_eq!(put(&store, NOON, 1.25), Outcome::Stored);
    assert_eq!(bids(&store), [1.25], "before it is written");
    assert_eq!(put(&store, NOON + DAY, 2.0), Outcome::Stored);
    store.flush().unwrap();
    assert_eq!(put(&store, NOON - 1, 1e-7), Outcome::Stored);
    store.flush().unwrap();
    let path = folder.path().join("json/EURUSD/2026-01-19.json");
    let expected = concat!(
        r#"[{"broker_id":"BROKER-001","symbol":"EURUSD","bid":1.25,"ask":1.75,"spread":0.5,"#,
        r#""timestamp":"2026-01-19T17:30:00+05:30","lp":"YOFX"},"#,
        r#"{"broker_id":"BROKER-001","symbol":"EURUSD","bid":1e-7,"ask":0.5000001,"spread":0.5,"#,
        r#""timestamp":"2026-01-19T17:29:59.999999999+05:30","lp":"YOFX"}]"#
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(bids(&store), [1e-7, 1.25, 2.0]);
    assert_eq!(store.get_recent_ticks("EURUSD", 2).unwrap().bid, [1.25, 2.0]);
    assert_eq!(store.symbols().unwrap(), ["EURUSD"]);
    std::fs::write(&path, &expected[..50]).unwrap();
    let _ = put(&store, NOON, 3.0);
    assert!(matches!(store.flush(), Err(Error::Corrupt { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), &expected[..50]);
    std::fs::write(&path, expected).unwrap();
    store.flush().unwrap();
    assert_eq!(bids(&store).len(), 4, "what waited is written when the file is whole");
    store.stop().unwrap();
    drop(store);
    TickStore::new(json_config()).unwrap().stop().unwrap();
}

/// Goal: the documented statements run on a day file, compacted or not, and its own way to add a row.
#[test]
fn the_documented_sql_runs() {
    let folder = tempfile::tempdir().unwrap();
    let store = TickStore::new(config(folder.path())).unwrap();
    (0..10).for_each(|n| assert_eq!(put(&store, NOON + n * SECOND, n as f64), Outcome::Stored));
    store.flush().unwrap();
    let path = folder.path().join("db/2026/01/ticks_2026-01-19.db");
    let sql = "SELECT symbol, COUNT(*) as count, MIN(timestamp) as first_tick, \
        MAX(timestamp) as last_tick FROM ticks GROUP BY symbol ORDER BY symbol";
    let plain = rusqlite::Connection::open(&path).unwrap();
    let counted = |conn: &rusqlite::Connection| -> (String, i64, i64, i64) {
        let row = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?));
        conn.query_row(sql, [], row).unwrap()
    };
    let ms = NOON / 1_000_000;
    assert_eq!(counted(&plain), ("EURUSD".into(), 10, ms, ms + 9_000));
    let insert = "INSERT INTO ticks (symbol, timestamp, bid, ask, spread, lp_source) \
        VALUES ('EURUSD', ?1, 10.0, 10.5, 0.5, 'YOFX')";
    plain.execute(insert, [ms + 10_000]).unwrap();
    let _ = put(&store, NOON + 11 * SECOND, 11.0);
    store.flush().unwrap();
    assert_eq!(bids(&store), (0..12).map(f64::from).collect::<Vec<_>>());
    store.compact("2026-01-19").unwrap();
    let _ = put(&store, NOON + 12 * SECOND, 12.0);
    store.flush().unwrap();
    let db = Database::builder(&path).open_read_only().unwrap();
    let found = db.sql(sql).unwrap();
    let expected = [
        Value::Text("EURUSD".into()),
        Value::Integer(13),
        Value::Integer(ms),
        Value::Integer(ms + 12_000),
    ];
    assert_eq!(found.rows, [expected]);
    let rows = db
        .sql("SELECT bid, ask, spread, lp_source, broker_id FROM ticks WHERE symbol = 'EURUSD' ORDER BY time_ns")
        .unwrap()
        .rows;
    assert_eq!(rows.len(), 13);
    for (n, row) in rows.iter().enumerate() {
        let n = n as f64;
        assert_eq!(row[..3], [Value::Real(n), Value::Real(n + 0.5), Value::Real(0.5)]);
        assert_eq!(row[3], Value::Text("YOFX".into()));
    }
    let ids = db.sql("SELECT count(DISTINCT id) FROM ticks").unwrap().rows;
    assert_eq!(ids, [[Value::Integer(13)]]);
}

/// Goal: one thread writes and compacts while others read: each read sees a whole, growing list.
#[test]
fn readers_are_live_while_days_are_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let store = TickStore::new(TickStoreConfig {
        queue_full: QueueFull::Block,
        batch_size: 50,
        max_ticks_per_symbol: 100,
        ..config(folder.path())
    })
    .unwrap();
    let done = AtomicBool::new(false);
    const TICKS: i64 = 4_000;
    std::thread::scope(|scope| {
        for own in [false, false, true] {
            let (store, done, config) = (store.clone(), &done, config(folder.path()));
            scope.spawn(move || {
                let store = if own { TickStore::new(config).unwrap() } else { store };
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let found = bids(&store);
                    assert!(found.iter().enumerate().all(|(i, bid)| *bid == i as f64), "{found:?}");
                    assert!(found.len() >= last || own);
                    last = found.len();
                    let recent = store.get_recent_ticks("EURUSD", 10).unwrap();
                    assert!(recent.bid.windows(2).all(|w| w[1] == w[0] + 1.0), "{:?}", recent.bid);
                }
            });
        }
        for n in 0..TICKS {
            // Over the border of two days.
            let time = NOON + DAY / 2 + (n - TICKS / 2) * SECOND;
            assert_eq!(put(&store, time, n as f64), Outcome::Stored);
            if n % 500 == 499 {
                store.compact_all().unwrap();
            }
        }
        store.flush().unwrap();
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(bids(&store).len() as i64, TICKS);
}

/// Goal: two stores on one folder share it: nothing is lost or doubled.
#[test]
fn two_stores_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for half in 0..2 {
            let config = TickStoreConfig { queue_full: QueueFull::Block, ..config(folder.path()) };
            scope.spawn(move || {
                let store = TickStore::new(config).unwrap();
                for n in 0..2_000 {
                    let n = 2 * n + half;
                    assert_eq!(put(&store, NOON + n, n as f64), Outcome::Stored);
                    if n % 700 == 0 {
                        store.compact_all().unwrap();
                    }
                }
                store.stop().unwrap();
            });
        }
    });
    let store = TickStore::new(config(folder.path())).unwrap();
    assert_eq!(bids(&store), (0..4_000).map(f64::from).collect::<Vec<_>>());
    let report = doctor(folder.path().join("db")).unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
}

/// Goal: bars are filled as asked, begin where asked, and late ticks change the bar that is theirs.
#[test]
fn bars_are_filled_and_take_late_ticks() {
    let folder = tempfile::tempdir().unwrap();
    let store = TickStore::new(config(folder.path())).unwrap();
    for (second, bid) in [(0, 1.0), (61, 2.0), (250, 5.0), (30, 9.0), (249, 4.0)] {
        let _ = put(&store, NOON + second * SECOND, bid);
    }
    let bars = |fill, origin_ns| {
        let (from_ns, to_ns, price) = (NOON, NOON + DAY, "bid".parse().unwrap());
        let options = OhlcOptions { from_ns, to_ns, price, fill, origin_ns };
        let bars = store.ohlc("EURUSD", 60 * SECOND, options).unwrap();
        let bar = |b: &siltstone::ticks::Bar| {
            ((b.time_ns - NOON) / SECOND, b.open, b.high, b.close, b.volume)
        };
        bars.iter().map(bar).collect::<Vec<_>>()
    };
    let plain = [(0, 1.0, 9.0, 9.0, 2), (60, 2.0, 2.0, 2.0, 1), (240, 4.0, 5.0, 5.0, 2)];
    assert_eq!(bars(Fill::None, 0), plain);
    let filled = bars(Fill::Previous, 0);
    assert_eq!(filled[2..4], [(120, 2.0, 2.0, 2.0, 0), (180, 2.0, 2.0, 2.0, 0)]);
    assert!(bars(Fill::Empty, 0)[2].1.is_nan());
    assert_eq!(bars(Fill::None, NOON + 30 * SECOND)[0], (-30, 1.0, 1.0, 1.0, 1));
    let cached = store.get_ohlc("EURUSD", Timeframe::M1, 10).unwrap();
    assert_eq!(cached.len(), 3);
    assert_eq!((cached[0].open, cached[0].high, cached[0].close), (1.25, 9.25, 9.25));
    assert_eq!(store.gaps("EURUSD", 60 * SECOND, i64::MIN, i64::MAX).unwrap().len(), 1);
}

/// Goal: a replay comes in the order of time over all symbols, at the pace that was asked, and can be
/// broken off.
#[test]
fn a_replay_keeps_order_and_pace() {
    let folder = tempfile::tempdir().unwrap();
    let store = TickStore::new(config(folder.path())).unwrap();
    let time: Vec<i64> = (0..20).map(|n| NOON + n * SECOND / 10).collect();
    let bid: Vec<f64> = (0..20).map(f64::from).collect();
    let symbols: Vec<&str> = (0..20).map(|n| ["A", "B"][n % 2]).collect();
    let batch =
        TickBatch { symbol: Names::Each(&symbols), ..TickBatch::new("", &time, &bid, &bid) };
    store.store_ticks(&batch).unwrap();
    let mut seen = Vec::new();
    let start = Instant::now();
    let n =
        store.replay(&["B", "A"], ReplayOptions { speed: 20.0, ..Default::default() }, |tick| {
            seen.push(tick.bid);
            ControlFlow::Continue(())
        });
    assert_eq!((n.unwrap(), seen), (20, bid));
    assert!(start.elapsed() >= Duration::from_millis(95), "1.9 s at 20 times the pace");
    assert_eq!(store.replay(&["A"], Default::default(), |_| ControlFlow::Break(())).unwrap(), 1);
}

/// Goal: retention says what it would do, does it, and leaves the rest.
#[test]
fn retention_removes_and_thins_old_days() {
    let folder = tempfile::tempdir().unwrap();
    let store = TickStore::new(config(folder.path())).unwrap();
    for day in [0, 10] {
        (0..25)
            .for_each(|n| assert_eq!(put(&store, NOON + day * DAY + n, n as f64), Outcome::Stored));
    }
    store.flush().unwrap();
    let today = siltstone::ticks::now_ns().div_euclid(DAY);
    let age = (today - NOON.div_euclid(DAY)) as u32;
    let policy = RetentionPolicy {
        delete_after_days: Some(age - 5),
        thin_after_days: Some(1),
        keep_one_of: 10,
        dry_run: true,
    };
    let planned = store.retain(&policy).unwrap();
    assert_eq!(bids(&store).len(), 50, "a dry run does nothing");
    let done = store.retain(&RetentionPolicy { dry_run: false, ..policy }).unwrap();
    let short = |days: &[siltstone::ticks::RetainedDay]| -> Vec<(String, u64)> {
        days.iter().map(|d| (d.day.clone(), d.removed)).collect()
    };
    assert_eq!(short(&planned), [("2026-01-19".into(), 25), ("2026-01-29".into(), 22)]);
    assert_eq!(short(&done), short(&planned));
    assert_eq!(bids(&store), [0.0, 10.0, 20.0]);
    assert!(store.retain(&RetentionPolicy { dry_run: false, ..policy }).unwrap().is_empty());
    assert_eq!(put(&store, NOON, 7.0), Outcome::Stored);
    store.flush().unwrap();
    assert_eq!(bids(&store), [7.0, 0.0, 10.0, 20.0], "a day that was removed can be written anew");
}

/// Goal: a day that one store removes while another has it open takes the other's late ticks anew: none is written
/// to the file that is gone.
#[test]
fn a_late_tick_survives_the_retention_of_another_store() {
    let folder = tempfile::tempdir().unwrap();
    let live = TickStore::new(config(folder.path())).unwrap();
    assert_eq!(put(&live, NOON, 1.0), Outcome::Stored);
    live.flush().unwrap();
    let other = TickStore::new(config(folder.path())).unwrap();
    let policy = RetentionPolicy { delete_after_days: Some(1), ..RetentionPolicy::default() };
    assert_eq!(other.retain(&policy).unwrap()[0].removed, 1);
    assert_eq!(put(&live, NOON + 1, 2.0), Outcome::Stored);
    assert_eq!(put(&live, NOON + 2, 3.0), Outcome::Stored);
    assert_eq!(live.flush().unwrap().written, 3);
    assert_eq!(bids(&other), [2.0, 3.0]);
    live.stop().unwrap();
    other.stop().unwrap();
    let again = TickStore::new(config(folder.path())).unwrap();
    assert_eq!(bids(&again), [2.0, 3.0]);
}

/// Goal: the throttle leaves ticks out of everything and counts them; the documented keys are there.
#[test]
fn throttled_ticks_are_counted_and_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        TickStore::new(TickStoreConfig { throttle: Throttle::Bid, ..config(folder.path()) })
            .unwrap();
    let outcomes: Vec<Outcome> =
        [1.08500, 1.08501, 1.08502].iter().map(|bid| put(&store, NOON, *bid)).collect();
    assert_eq!(outcomes, [Outcome::Stored, Outcome::Throttled, Outcome::Stored]);
    store.flush().unwrap();
    assert_eq!(bids(&store), [1.08500, 1.08502]);
    let _ = store.store_tick("ODD", 0.0, 0.0, 0.0, "", NOON).unwrap();
    let _ = store.store_tick("ODD", 3.0, 1.0, 1.0, "", NOON).unwrap();
    store.flush().unwrap();
    let stats = serde_json::to_value(store.stats().unwrap()).unwrap();
    let number = |path: &str| stats.pointer(path).and_then(serde_json::Value::as_u64);
    assert_eq!(stats["backend"], "sqlite");
    for (path, n) in [
        ("/ticks_received", 5),
        ("/ticks_stored", 4),
        ("/ticks_throttled", 1),
        ("/quality/bid_not_positive", 1),
        ("/quality/crossed", 1),
        ("/quality/locked", 1),
        ("/sqlite/ticks_written", 4),
        ("/sqlite/write_errors", 0),
        ("/sqlite/queue_size", 0),
        ("/sqlite/queue_capacity", 10_000),
        ("/sqlite/total_ticks", 4),
        ("/sqlite/symbol_count", 2),
    ] {
        assert_eq!(number(path), Some(n), "{path}");
    }
}

/// Goal: day files of the RTX engine are imported, packed or not; a file that is none is
/// named, with the byte where it is JSON, and the rest is imported.
#[test]
fn rtx_files_are_imported_and_bad_ones_named() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    std::fs::create_dir_all(input.join("EURUSD")).unwrap();
    let db = input.join("ticks_2026-01-20.db");
    let conn = rusqlite::Connection::open(&db).unwrap();
    conn.execute_batch(
        "CREATE TABLE ticks (id INTEGER PRIMARY KEY AUTOINCREMENT, symbol VARCHAR(20) NOT NULL, \
         timestamp INTEGER NOT NULL, bid REAL NOT NULL, ask REAL NOT NULL, spread REAL NOT NULL, \
         lp_source VARCHAR(50), created_at INTEGER DEFAULT (strftime('%s', 'now') * 1000)); \
         INSERT INTO ticks (symbol, timestamp, bid, ask, spread, lp_source) VALUES \
         ('EURUSD', 1768867200000, 1, 1.5, 0.5, 'YOFX'), ('EURUSD', 1768867200001, 2.5, 3, 0.5, NULL);",
    )
    .unwrap();
    drop(conn);
    let packed = zstd::encode_all(&std::fs::read(&db).unwrap()[..], 3).unwrap();
    std::fs::write(input.join("ticks_2026-01-20.db.zst"), packed).unwrap();
    std::fs::write(input.join("EURUSD/2026-01-20.json"), "version https://git-lfs").unwrap();
    std::fs::write(input.join("EURUSD/2026-01-21.json"), r#"[{"symbol":"X","bid":1}]"#).unwrap();
    let base = folder.path().join("db");
    let dry = ImportOptions { dry_run: true, ..ImportOptions::new(&input, &base) };
    let report = import(&dry, &mut |_, _| Ok(())).unwrap();
    assert_eq!((report.files, report.ticks_read), (4, 4));
    assert!(!base.exists(), "a dry run writes nothing");
    let report = import(&ImportOptions::new(&input, &base), &mut |_, _| Ok(())).unwrap();
    assert_eq!(
        (report.ticks_migrated, report.ticks_skipped),
        (2, 2),
        "the packed copy holds the same"
    );
    let whys: Vec<&str> = report.skipped.iter().map(|left| &*left.reason).collect();
    assert_eq!(whys.len(), 2);
    assert!(whys[0].contains("byte 0") && whys[1].contains("byte 1"), "{whys:?}");
    let store = TickStore::new(config(folder.path())).unwrap();
    assert_eq!(bids(&store), [1.0, 2.5]);
    let stop = import(&ImportOptions::new(&input, &base), &mut |_, _| {
        Err(Error::Interrupted { action: "importing" })
    });
    assert!(matches!(stop, Err(Error::Interrupted { .. })));
}

/// Goal: the doctor finds what is wrong: a flipped bit, a tick of another day, leftover files.
#[test]
fn the_doctor_finds_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("db");
    let store = TickStore::new(config(folder.path())).unwrap();
    (0..100).for_each(|n| assert_eq!(put(&store, NOON + n, n as f64), Outcome::Stored));
    store.compact("2026-01-19").unwrap();
    store.stop().unwrap();
    let path = base.join("2026/01/ticks_2026-01-19.db");
    let found = |sql: &str| {
        let conn = rusqlite::Connection::open(&path).unwrap();
        conn.execute_batch(sql).unwrap();
        drop(conn);
        let findings = doctor(&base).unwrap().findings;
        findings.iter().map(|f| format!("{}: {}\n", f.location, f.what)).collect::<String>()
    };
    assert_eq!(found(""), "");
    let late = "INSERT INTO tick_rows VALUES (1, 0, 101, 1.0, 1.5, NULL, 1, 0, NULL, NULL)";
    assert!(found(late).contains("another day"));
    assert!(found("DELETE FROM tick_rows; UPDATE tick_block SET rows = 99").contains("count"));
    let flip = "UPDATE tick_block SET rows = 100, \
        data = CAST(substr(data, 1, 120) || x'ff' || substr(data, 122) AS BLOB)";
    assert!(found(flip).contains("checksum"));
    let damaged = store.get_ticks_in_range("EURUSD", i64::MIN, i64::MAX).unwrap_err();
    assert!(matches!(damaged, Error::Corrupt { .. }), "{damaged}");
    std::fs::write(base.join("2026/01/.x.partial-1-2"), "").unwrap();
    std::fs::write(base.join("ticks_2026-01-19.db"), "").unwrap();
    let all = found("");
    assert!(all.contains("killed") && all.contains("year and month"), "{all}");
}

/// Goal: the rule `error` refuses a batch as a whole, and nothing of it is there.
#[test]
fn a_refused_batch_is_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        TickStore::new(TickStoreConfig { duplicates: Duplicates::Error, ..config(folder.path()) })
            .unwrap();
    let (time, bid) = ([NOON, NOON + 1], [1.0, 2.0]);
    store.store_ticks(&TickBatch::new("EURUSD", &time, &bid, &bid)).unwrap();
    let (time, bid) = ([NOON + 2, NOON + 1], [3.0, 4.0]);
    let refused = store.store_ticks(&TickBatch::new("EURUSD", &time, &bid, &bid)).unwrap_err();
    assert!(matches!(refused, Error::Exists { .. }), "{refused}");
    assert_eq!(bids(&store), [1.0, 2.0]);
}
