//! Waits have an end and can be cancelled, and nothing that was accepted is lost by it.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use siltstone::experiment::{Cell, ExperimentDatabase, LoggingConfig, SimulationOptions};
use siltstone::memory::{MemoryStore, NewEpisode};
use siltstone::ticks::{Outcome, QueueFull, StorageBackend, TickStore, TickStoreConfig};
use siltstone::{Database, Error, interruptible};

const NOON: i64 = 1_768_824_000_000_000_000; // 2026-01-19T12:00:00Z

/// Runs work that must end in time.
fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("{what} hangs"))
}

fn cancel_after(ms: u64) -> impl FnMut() -> bool + 'static {
    let start = Instant::now();
    move || start.elapsed() >= Duration::from_millis(ms)
}

/// A store of ticks that can neither write the day nor spill, and what is in its way.
fn dead(folder: &Path, queue_size: usize) -> (TickStore, [PathBuf; 2]) {
    dead_with(folder, queue_size, QueueFull::Block)
}

fn dead_with(folder: &Path, queue_size: usize, queue_full: QueueFull) -> (TickStore, [PathBuf; 2]) {
    let store = TickStore::new(TickStoreConfig {
        sqlite_base_path: folder.join("db"),
        spill_path: Some(folder.join("no")),
        queue_full,
        queue_size,
        batch_size: 5,
        ..TickStoreConfig::production("b")
    })
    .unwrap();
    let blockers = [folder.join("db/2026"), folder.join("no")];
    blockers.iter().for_each(|file| std::fs::write(file, "").unwrap());
    (store, blockers)
}

fn put(store: &TickStore, n: i64) -> Result<(), Error> {
    store.store_tick("EURUSD", n as f64, n as f64, 0.0, "YOFX", NOON + n).map(drop)
}

fn bids(store: &TickStore) -> Vec<f64> {
    store.get_ticks_in_range("EURUSD", i64::MIN, i64::MAX).unwrap().bid
}

/// Goal: where ticks can be put nowhere a flush raises, each time; they are seen meanwhile, and written once when there is room.
#[test]
fn a_flush_that_can_write_nowhere_raises_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, blockers) = dead(folder.path(), 100);
    (0..12).for_each(|n| put(&store, n).unwrap());
    let flushing = store.clone();
    let reported = in_time("a flush", move || [(); 3].map(|()| flushing.flush().unwrap_err()));
    assert!(reported.iter().all(|error| matches!(error, Error::Io { .. })), "{reported:?}");
    let expected: Vec<f64> = (0..12).map(f64::from).collect();
    assert_eq!(bids(&store), expected);
    let report = store.report();
    assert_eq!((report.written, report.spilled, report.lost, report.dropped), (0, 0, 0, 0));
    let times: Vec<i64> = (100..103).map(|n| NOON + n).collect();
    let batch = siltstone::ticks::TickBatch::new("EURUSD", &times, &[1.0; 3], &[1.0; 3]);
    assert!(matches!(store.store_ticks(&batch), Err(Error::Io { .. })));
    blockers.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    assert_eq!(store.flush().unwrap().written, 12);
    assert_eq!((bids(&store), store.flush().unwrap().written), (expected, 12));
    store.stop().unwrap();
    assert!(siltstone::ticks::doctor(folder.path().join("db")).unwrap().is_ok());
}

/// Goal: who waits for room in the queue is told why there is none, and his tick is nowhere.
#[test]
fn a_caller_that_waits_for_room_is_told_why_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (store, blockers) = dead(folder.path(), 5);
    let writing = store.clone();
    let (accepted, error) = in_time("a tick", move || {
        (0..)
            .find_map(|n| put(&writing, n).err().map(|error| (n, error)))
            .expect("the queue is bounded")
    });
    assert!(
        (5..=10).contains(&accepted) && matches!(error, Error::Io { .. }),
        "{accepted} {error}"
    );
    blockers.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    store.flush().unwrap();
    assert_eq!(bids(&store), (0..accepted).map(|n| n as f64).collect::<Vec<_>>());
}

/// Goal: a queue that is full behind a disk that takes nothing does what was chosen, each tick is taken, counted or refused, and
/// what was taken and not counted is written once when there is room, and nothing else.
#[test]
fn a_queue_that_is_full_behind_a_dead_disk_does_what_was_chosen() {
    for queue_full in [QueueFull::DropNewest, QueueFull::DropOldest, QueueFull::Error] {
        let folder = tempfile::tempdir().unwrap();
        let (store, blockers) = dead_with(folder.path(), 10, queue_full);
        // The first batch is taken by the writer, and stays with it.
        (0..5).for_each(|n| put(&store, n).unwrap());
        assert!(store.flush().is_err());
        let (mut taken, mut counted, mut refused) = (0, 0, 0);
        for n in 5..40 {
            match store.store_tick("EURUSD", n as f64, n as f64, 0.0, "YOFX", NOON + n) {
                Ok(Outcome::Stored) => taken += 1,
                Ok(outcome) => counted += u64::from(outcome == Outcome::Dropped),
                Err(Error::QueueFull { capacity: 10 }) => refused += 1,
                Err(error) => panic!("{queue_full:?}: {error}"),
            }
        }
        assert_eq!(taken + counted + refused, 35, "{queue_full:?}");
        let dropped = store.report().dropped;
        let expected: Vec<i64> = match queue_full {
            QueueFull::DropOldest => (0..5).chain(30..40).collect(),
            _ => (0..15).collect(),
        };
        let is_error = queue_full == QueueFull::Error;
        assert_eq!((dropped, refused), if is_error { (0, 25) } else { (25, 0) }, "{queue_full:?}");
        blockers.iter().for_each(|file| std::fs::remove_file(file).unwrap());
        let flushed = (0..3).find_map(|_| store.flush().ok()); // a try that fails just now is reported
        assert_eq!((flushed.unwrap().written, store.report().lost), (15, 0), "{queue_full:?}");
        store.stop().unwrap();
        drop(store);
        let store = TickStore::new(TickStoreConfig {
            sqlite_base_path: folder.path().join("db"),
            ..TickStoreConfig::production("b")
        })
        .unwrap();
        let expected: Vec<f64> = expected.into_iter().map(|n| n as f64).collect();
        assert_eq!(bids(&store), expected, "{queue_full:?}");
    }
}

/// Goal: what JSON files do not take waits in memory: no queue is full behind them, and all of it is written once when they do.
#[test]
fn json_files_that_take_nothing_fill_no_queue() {
    let folder = tempfile::tempdir().unwrap();
    let store = TickStore::new(TickStoreConfig {
        json_base_path: folder.path().join("json"),
        queue_full: QueueFull::Block,
        queue_size: 5,
        batch_size: 5,
        ..TickStoreConfig::json("b", 1_000)
    })
    .unwrap();
    let blocker = folder.path().join("json/EURUSD");
    std::fs::write(&blocker, "").unwrap();
    (0..200).for_each(|n| put(&store, n).unwrap());
    assert!(matches!(store.flush(), Err(Error::Io { .. })));
    let report = store.report();
    assert_eq!((report.dropped, report.lost, report.json_written), (0, 0, 0));
    std::fs::remove_file(&blocker).unwrap();
    assert_eq!(store.flush().unwrap().json_written, 200);
    store.stop().unwrap();
    assert_eq!(bids(&store), (0..200).map(f64::from).collect::<Vec<_>>());
}

/// Goal: a flush of ticks is cancelled, and the writing goes on; a stop on a dead disk ends and counts what is lost.
#[test]
fn a_stop_on_a_dead_disk_ends_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = dead(folder.path(), 1000);
    (0..100).for_each(|n| put(&store, n).unwrap());
    let start = Instant::now();
    let cancelled = interruptible(cancel_after(50), || store.flush());
    assert!(matches!(cancelled, Err(Error::Interrupted { .. })), "{cancelled:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
    let cancelled = interruptible(cancel_after(50), || store.stop());
    assert!(matches!(cancelled, Err(Error::Interrupted { .. })), "{cancelled:?}");
    let stopping = store.clone();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(stopping.stop()));
    let stopped = receive.recv_timeout(Duration::from_secs(120)).expect("it ends");
    assert!(matches!(stopped, Err(Error::Io { .. })), "{stopped:?}");
    assert_eq!(store.report().lost, 100);
}

/// Goal: a store of ticks says at open that its folder cannot be written: one that cannot be made, a file, one without room.
#[test]
fn a_folder_that_cannot_be_written_is_told_at_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for base in [Path::new("/proc/nope/db"), &file, &file.join("db")] {
        for backend in [StorageBackend::Sqlite, StorageBackend::Json] {
            let config = TickStoreConfig {
                backend,
                sqlite_base_path: base.into(),
                json_base_path: base.into(),
                ..TickStoreConfig::production("b")
            };
            let Err(Error::Io { path, .. }) = TickStore::new(config) else { panic!("{base:?}") };
            assert_eq!(path, base);
        }
    }
    let config = TickStoreConfig {
        sqlite_base_path: folder.path().join("db"),
        ..TickStoreConfig::production("b")
    };
    TickStore::new(config).unwrap().stop().unwrap();
    let left = std::fs::read_dir(folder.path().join("db")).unwrap().count();
    assert_eq!(left, 0, "what it was tried with is gone");
}

/// Goal: a transaction that a thread keeps open is waited for as long as for another process, also behind the queue.
#[test]
fn a_transaction_that_is_kept_open_is_not_waited_for_without_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let timeout = Duration::from_millis(200);
    let db = Database::builder(folder.path().join("a.db")).busy_timeout(timeout).open().unwrap();
    let store = MemoryStore::over(db.clone()).unwrap();
    store.create_tables().unwrap();
    let open = db.begin().unwrap();
    store.store_episode(NewEpisode::new(1.0, 0.1, "c")).unwrap();
    let other = store.clone();
    let reported = in_time("a write", move || {
        let store = |score| other.store_episode(NewEpisode::new(1.0, score, "c")).unwrap_err();
        [store(0.2), other.database().begin().unwrap_err(), other.database().flush().unwrap_err()]
    });
    assert!(reported.iter().all(|error| matches!(error, Error::Busy { .. })), "{reported:?}");
    open.commit().unwrap();
    store.store_episode(NewEpisode::new(1.0, 0.3, "c")).unwrap();
    assert_eq!(store.stats().unwrap().episodes, 2);
}

/// Goal: a transaction ends with its owner, in whatever thread; its parts never outlive it, and what was left in its middle is
/// told.
#[test]
fn a_transaction_belongs_to_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::open(folder.path().join("a.db")).unwrap();
    let db = store.database();
    let put = |score| store.store_episode(NewEpisode::new(1.0, score, "c"));
    let scores = || -> Vec<f64> {
        let all = store.episodes_by_context("c", 99, None).unwrap();
        all.iter().rev().map(|episode| episode.performance_score).collect()
    };
    let outer = db.begin().unwrap();
    put(0.1).unwrap();
    drop(db.begin().unwrap());
    let part = db.begin().unwrap();
    put(0.2).unwrap();
    drop(part); // rolled back by itself
    put(0.3).unwrap();
    outer.commit().unwrap();
    assert_eq!(scores(), [0.1, 0.3]);
    let outer = db.begin().unwrap();
    let part = db.begin().unwrap();
    put(0.4).unwrap();
    let refused = outer.commit().unwrap_err().to_string();
    assert!(refused.contains("a part that was not ended"), "{refused}");
    assert!(part.commit().is_err() && !db.is_in_transaction());
    let outer = db.begin().unwrap();
    put(0.5).unwrap();
    std::thread::scope(|scope| scope.spawn(|| outer.commit()).join().unwrap()).unwrap();
    assert!(!db.is_in_transaction());
    assert_eq!(scores(), [0.1, 0.3, 0.5]);
    db.begin().unwrap().forsake();
    db.flush().unwrap();
    let outer = db.begin().unwrap();
    let part = db.begin().unwrap();
    put(0.6).unwrap();
    part.forsake();
    let refused = put(0.7).unwrap_err().to_string();
    assert!(refused.contains("left in its middle"), "{refused}");
    assert!(db.is_in_transaction() && outer.commit().is_err() && !db.is_in_transaction());
    assert!(db.flush().unwrap_err().to_string().contains("left in its middle"));
    db.flush().unwrap();
    assert_eq!(scores(), [0.1, 0.3, 0.5]);
}

/// Goal: rows that wait are not lost and not doubled by a flush that is cancelled while another process writes.
#[test]
fn rows_of_an_experiment_outlive_a_flush_that_is_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let db = ExperimentDatabase::open(&path, "e").unwrap();
    let logging =
        LoggingConfig { commit_interval: Duration::from_secs(3600), ..LoggingConfig::default() };
    let options = SimulationOptions::default().logging(logging);
    let sim = db.create_simulation_context("s", options).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    sim.log_metric("loss", 0.5, Some(1)).unwrap();
    for _ in 0..2 {
        let start = Instant::now();
        let cancelled = interruptible(cancel_after(100), || sim.flush_all_buffers());
        assert!(matches!(cancelled, Err(Error::Interrupted { .. })), "{cancelled:?}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    other.execute_batch("ROLLBACK").unwrap();
    sim.flush_all_buffers().unwrap();
    assert_eq!(sim.buffered().0, 0);
    let none: [[Cell<'_>; 10]; 0] = [];
    let nothing: [[Cell<'_>; 4]; 0] = [];
    sim.log_step(2, none, nothing, &[]).unwrap();
    assert_eq!(sim.row_count("simulation_metrics").unwrap(), 1);
}

/// Goal: a write finds that the log beside the file was removed or replaced; what was acknowledged before is in the file, and a
/// handle that is opened then goes on.
#[test]
fn a_log_that_was_removed_is_found_by_the_next_write() {
    let beside = |path: &Path, suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    for replaced in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let store = MemoryStore::open(&path).unwrap();
        let put =
            |store: &MemoryStore, score| store.store_episode(NewEpisode::new(1.0, score, "c"));
        put(&store, 0.1).unwrap();
        put(&store, 0.2).unwrap();
        std::fs::remove_file(beside(&path, "-wal")).unwrap();
        if replaced {
            std::fs::write(beside(&path, "-wal"), "").unwrap();
        }
        for _ in 0..2 {
            let Err(Error::Closed { why, .. }) = put(&store, 0.3) else { panic!("it was taken") };
            assert!(why.contains("its log"), "{why}");
        }
        if replaced {
            continue; // what others write into theirs is not to be overwritten: it is told that it may be lost
        }
        let again = MemoryStore::open(&path).unwrap();
        put(&again, 0.4).unwrap();
        assert_eq!((store.stats().unwrap().episodes, again.stats().unwrap().episodes), (3, 3));
        drop(store);
        put(&again, 0.5).unwrap();
        drop(again);
        let conn = rusqlite::Connection::open(&path).unwrap();
        let sql = "SELECT group_concat(performance_score) FROM episodes";
        let found: String = conn.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(found, "0.1,0.2,0.4,0.5");
    }
}
