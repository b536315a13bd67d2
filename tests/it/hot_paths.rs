//! What each statement of the hot paths costs: the steps of SQLite's machine, triggers included, in a small file and in
//! one ten times as large, both without statistics.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rusqlite::ffi;
use siltstone::Array;
use siltstone::experiment::{ExperimentDatabase, Selection, SimulationContext};
use siltstone::memory::{
    Direction, Limit, MemoryStore, NewConcept, NewEpisode, NewLearningEvent, NewRelationship,
    SampleMode, SampleOptions,
};
use siltstone::series::{IndexRange, Series, SqliteBackend, StorageBackend};
use siltstone::simulation::{Attribute, EntityData, Group, Options, SimulationDatabase, Update};
use siltstone::ticks::{Direction as Toward, TickBatch, TickStore, TickStoreConfig};

/// What all runs of a statement cost.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    runs: u64,
    steps: u64,
}

type Costs = BTreeMap<String, Cost>;

/// The files whose statements are counted.
fn watched() -> MutexGuard<'static, BTreeMap<PathBuf, Costs>> {
    static WATCHED: Mutex<BTreeMap<PathBuf, Costs>> = Mutex::new(BTreeMap::new());
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file of a connection.
unsafe fn file_of(db: *mut ffi::sqlite3) -> Option<PathBuf> {
    // SAFETY: the caller's connection is open; the name ends in NUL and lives as long as it does.
    unsafe {
        let name = ffi::sqlite3_db_filename(db, c"main".as_ptr());
        (!name.is_null()).then(|| CStr::from_ptr(name).to_str().unwrap().into())
    }
}

/// Called for each connection that the process opens.
unsafe extern "C" fn opened(
    db: *mut ffi::sqlite3,
    _: *mut *mut c_char,
    _: *const ffi::sqlite3_api_routines,
) -> c_int {
    let profile = ffi::SQLITE_TRACE_PROFILE as c_uint;
    // SAFETY: SQLite hands in the connection that it has just opened.
    unsafe { ffi::sqlite3_trace_v2(db, profile, Some(ended), std::ptr::null_mut()) }
}

/// Called when a statement has ended.
unsafe extern "C" fn ended(
    _: c_uint,
    _: *mut c_void,
    statement: *mut c_void,
    _: *mut c_void,
) -> c_int {
    let statement = statement.cast::<ffi::sqlite3_stmt>();
    // SAFETY: SQLite hands in the statement, which stays for the call; its text ends in NUL.
    let (file, sql, steps) = unsafe {
        let file = file_of(ffi::sqlite3_db_handle(statement));
        let steps = ffi::sqlite3_stmt_status(statement, ffi::SQLITE_STMTSTATUS_VM_STEP, 1);
        (file, CStr::from_ptr(ffi::sqlite3_sql(statement)).to_string_lossy().into_owned(), steps)
    };
    if let Some(file) = file
        && let Some(costs) = watched().get_mut(&file)
    {
        let cost = costs.entry(sql).or_default();
        cost.runs += 1;
        cost.steps += steps as u64;
    }
    0
}

/// Counts the statements that `work` makes SQLite run on this file, by whatever connection.
fn watch(path: &Path, work: impl FnOnce()) -> Costs {
    watched().insert(path.to_owned(), Costs::new());
    work();
    let costs = watched().remove(path).unwrap();
    let statistics = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'";
    let conn = rusqlite::Connection::open(path).unwrap();
    assert_eq!(conn.query_row(statistics, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    costs
}

/// Runs from here on are counted for connections that are opened from here on.
fn listen() {
    static ONCE: Once = Once::new();
    // SAFETY: the function has the form that SQLite documents for it.
    ONCE.call_once(|| unsafe {
        assert_eq!(ffi::sqlite3_auto_extension(Some(opened)), ffi::SQLITE_OK);
    });
}

/// Does the same work on a file with `n` rows and on one with ten times as many; no statement may take more of SQLite's
/// steps in the second, and no plan goes through a table that grows or sorts its rows.
fn grows_not(n: usize, work: impl Fn(&Path, usize) -> (PathBuf, Costs)) {
    listen();
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    let small = work(&base.join("small"), n).1;
    let (file, large) = work(&base.join("large"), 10 * n);
    assert!(large.len() > 5, "{large:?}");
    let mean = |cost: &Cost| cost.steps as f64 / cost.runs as f64;
    let mut grown = Vec::new();
    for (sql, cost) in &large {
        let before = small.get(sql).map_or(0.0, mean);
        if mean(cost) > 1.5 * before + 40.0 {
            grown.push(format!("{before:.0} -> {:.0} steps: {sql}", mean(cost)));
        }
    }
    assert!(grown.is_empty(), "with 10 times the rows:\n{}", grown.join("\n"));
    let conn = rusqlite::Connection::open(&file).unwrap();
    // The last handle that was closed may have gathered them.
    let _ = conn.execute_batch("DELETE FROM sqlite_stat1; DELETE FROM sqlite_stat4");
    drop(conn);
    let conn = rusqlite::Connection::open(&file).unwrap();
    let empty = rusqlite::Connection::open_in_memory().unwrap();
    let mut made = conn.prepare("SELECT sql FROM sqlite_schema WHERE sql NOT NULL").unwrap();
    for sql in made.query_map([], |row| row.get::<_, String>(0)).unwrap() {
        // What SQLite makes by itself cannot be made, and need not be.
        let _ = empty.execute_batch(&sql.unwrap());
    }
    for conn in [&conn, &empty] {
        let mut through: Vec<String> = large.keys().flat_map(|sql| scans(conn, sql)).collect();
        through.sort();
        through.dedup();
        assert!(through.is_empty(), "{}", through.join("\n"));
    }
}

/// Tables that have a row a store, a symbol, a table of records, a limit or a setting, and what is no table.
const SMALL: [&str; 14] = [
    "CONSTANT",
    "d", // the datasets, as a statement of ours walks through them
    "memory_info",
    "memory_limit",
    "record_table",
    "silt_row_source",
    "siltstone_backup",
    "siltstone_schema",
    "simulation_run",
    "sqlite_master",
    "sqlite_schema",
    "temp.sqlite_schema",
    "tick_origin",
    "tick_symbol",
];

/// What the plan of a statement goes through whole or sorts; nothing for one that needs functions of ours, whose steps
/// are counted all the same.
fn scans(conn: &rusqlite::Connection, sql: &str) -> Vec<String> {
    // Of the columns of one table.
    if sql.contains("pragma_table_") {
        return Vec::new();
    }
    let Ok(mut plan) = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    let mut rows = plan.raw_query(); // without parameters: it is not run
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get::<_, String>(3).unwrap());
    }
    let small = |line: &str| {
        SMALL.iter().any(|name| line.split(' ').nth(1) == Some(name))
            || line.contains("simulations_open")
    }; // those that run
    let costly =
        |line: &String| line.starts_with("SCAN") && !small(line) || line.contains("TEMP B-TREE");
    lines.into_iter().filter(costly).map(|line| format!("{line} | {sql}")).collect()
}

/// Updates of one segment, of which there are 100.
fn updates(times: std::ops::Range<usize>) -> Vec<Update> {
    let one = |time: usize| {
        let column = |name: &str, array| (name.to_owned(), Attribute::new(array));
        let (id, speed) = ((time % 100) as i64, time as f64);
        let attributes = vec![
            column("id", Array::from_slice(&[id])),
            column("speed", Array::from_slice(&[speed])),
        ];
        let data: EntityData = vec![Group { name: "roads".into(), attributes }];
        let dataset = "network".to_owned();
        Update { timestamp: time as i64, iteration: 0, dataset, origin: None, data }
    };
    times.map(one).collect()
}

/// Goal: an update costs the same after 20,000 others as after 2,000, and so does a state early and late.
#[test]
fn a_simulation_does_not_slow_down() {
    grows_not(2000, |path, n| {
        let options = Options { no_keyframes: true, ..Options::default() };
        let db = SimulationDatabase::open_with(path, options).unwrap();
        for first in (0..n).step_by(1000) {
            db.store_updates(updates(first..first + 1000)).unwrap();
        }
        assert!(db.build_keyframes().unwrap() >= n as u64 / 512);
        let costs = watch(path, || {
            for update in updates(n..n + 50) {
                db.store(update).unwrap();
            }
            assert_eq!(db.build_keyframes().unwrap(), 0);
            for time in [10, n as i64 / 2, n as i64] {
                db.state_at("network", "roads", time).unwrap();
                let mut cursor = db.cursor("network", "roads", time).unwrap();
                assert_eq!(cursor.next_change().unwrap(), Some(time + 1));
                assert_eq!(cursor.previous_change().unwrap(), Some(time));
            }
            db.run().unwrap();
        });
        (path.to_owned(), costs)
    });
}

fn next(source_id: i64, target_id: i64) -> NewRelationship {
    NewRelationship { source_id, target_id, relationship_type: "next".into(), strength: 1.0 }
}

/// Goal: what an agent stores, recalls and replays costs the same with ten times the memories.
#[test]
fn a_memory_does_not_slow_down() {
    grows_not(1000, |path, n| {
        let store = MemoryStore::open(path).unwrap();
        let vector = |i: usize| Array::from_slice(&[i as f64, 1.0, 2.0]);
        // A rare context among common ones, with a limit for one of these.
        let context = |i: usize| if i == 3 { "rare".into() } else { format!("c{}", i % 3) };
        let limit = Limit { capacity: Some(n as u64 / 6), ..Limit::default() };
        store.set_limit(Some("c2"), Some(limit)).unwrap();
        let episode = |i: usize| {
            NewEpisode::new(i as i64, (i % 10) as f64 / 10.0, context(i)).timestamp(i as f64)
        };
        let event = |i: usize| NewLearningEvent::new("task", 0.1, format!("s{}", i % 5));
        store.store_episodes((0..n).map(episode).collect()).unwrap();
        store.store_learning_events((0..n).map(event).collect()).unwrap();
        let concept = |i: usize| NewConcept::new(format!("concept {i}"), vector(i));
        let ids = store.store_concepts((0..n).map(concept).collect()).unwrap();
        let edge = |i: usize| next(ids[i], ids[(i + 1) % n]);
        store.add_concept_relationships((0..n).map(edge).collect()).unwrap();
        let in_order = |context: Option<&str>| {
            let mode = SampleMode::Fifo;
            let context_hash = context.map(str::to_owned);
            let options = SampleOptions { mode, context_hash, ..SampleOptions::default() };
            store.sample_episodes(3, &options).unwrap();
        };
        (0..3).for_each(|_| in_order(Some("rare")));
        let costs = watch(path, || {
            for i in n..n + 12 {
                let id = store.store_episode(episode(i)).unwrap();
                store.update_priorities(&[id], &[0.5]).unwrap();
                store.retrieve_episode(id).unwrap().unwrap();
                store.store_learning_event(event(i)).unwrap();
                let id = store.store_concept(concept(i)).unwrap();
                store.add_concept_relationship(next(id, ids[0])).unwrap();
                store.retrieve_concept_by_name(&format!("concept {i}")).unwrap().unwrap();
            }
            for context in ["c0", "rare"] {
                store.episodes_by_context(context, 5, None).unwrap();
                store.episodes_by_context(context, 5, Some(0.5)).unwrap();
                in_order(Some(context));
            }
            in_order(None);
            store.recent_episodes(1e12, 5).unwrap();
            store.learning_events_by_task("task", 5, Some(0.05)).unwrap();
            store.concept_relationships(ids[5], None, Direction::Outgoing).unwrap();
            store.concept_relationships(ids[5], Some("next"), Direction::Incoming).unwrap();
            store.delete_concepts(&ids[1..2]).unwrap();
            store.delete_episodes(&[1]).unwrap();
        });
        (path.to_owned(), costs)
    });
}

fn log(sim: &SimulationContext, steps: std::ops::Range<i64>) {
    for step in steps {
        sim.log_metrics(&[("loss", 1.0 / (step + 1) as f64), ("gain", 2.0)], Some(step)).unwrap();
    }
    sim.flush_all_buffers().unwrap();
}

/// Goal: what a simulation logs, and what is read of it, costs the same with ten times the records and simulations.
#[test]
fn an_experiment_does_not_slow_down() {
    grows_not(100, |path, n| {
        let db = ExperimentDatabase::open(path, "sweep").unwrap();
        let make = |i: usize| {
            let options = siltstone::experiment::SimulationOptions::default().provenance(false);
            db.create_simulation_context(&format!("sim {i}"), options).unwrap()
        };
        for i in 0..n / 10 {
            let sim = make(i);
            log(&sim, 0..10);
            sim.complete().unwrap();
            db.compact(&format!("sim {i}")).unwrap();
        }
        let first = make(n);
        log(&first, 0..10 * n as i64);
        let costs = watch(path, || {
            let sim = make(n + 1);
            for step in 0..5 {
                log(&sim, step..step + 1);
                log(&first, 10 * n as i64 + step..10 * n as i64 + step + 1);
            }
            db.metric("sim 1", "loss").unwrap();
            let steps = Selection::all().steps(5..=7).key("loss");
            first.read("simulation_metrics", &steps).unwrap().collect_batches().unwrap();
            sim.complete().unwrap();
            db.database()
                .sql("SELECT status FROM simulations WHERE simulation_id = 'sim 1'")
                .unwrap();
        });
        (path.to_owned(), costs)
    });
}

/// Goal: a tick is stored, and the last ones and those of a minute are read, as fast on a full day as on a young one.
#[test]
fn a_day_of_ticks_does_not_slow_down() {
    const DAY: i64 = 1_767_225_600_000_000_000;
    grows_not(2000, |path, n| {
        let config = TickStoreConfig {
            sqlite_base_path: path.to_owned(),
            compact_every: None,
            ..TickStoreConfig::production("b")
        };
        let store = TickStore::new(config).unwrap();
        let times = |from: usize, n: usize| -> Vec<i64> {
            (from..from + n).map(|i| DAY + i as i64 * 1_000_000).collect()
        };
        let put = |from: usize, n: usize| {
            let (prices, times) = (vec![1.5; n], times(from, n));
            let batch = TickBatch::new("EURUSD", &times, &prices, &prices);
            store.store_ticks(&batch).unwrap();
        };
        (0..n).step_by(500).for_each(|from| put(from, 500));
        let file = path.join("2026/01/ticks_2026-01-01.db");
        assert!(file.exists());
        let reader = TickStore::open_read_only(path).unwrap();
        let costs = watch(&file, || {
            put(n, 5);
            let _ = store.store_tick("EURUSD", 1.5, 1.5, 0.0, "lp", times(n + 5, 1)[0]).unwrap();
            store.flush().unwrap();
            assert_eq!(reader.get_recent_ticks("EURUSD", 3).unwrap().len(), 3);
            for from in [10, n / 2] {
                let times = times(from, 5);
                let found = reader.get_ticks_in_range("EURUSD", times[0], times[4]).unwrap();
                assert_eq!(found.len(), 5);
                reader.asof("EURUSD", &times[..1], None, Toward::Backward).unwrap();
            }
        });
        (file, costs)
    });
}

/// Goal: points are put behind a series, and a range of it is read, as fast in a long series as in a short one.
#[test]
fn a_series_does_not_slow_down() {
    grows_not(20, |path, n| {
        let backend = SqliteBackend::open(path).unwrap();
        const BLOCK: usize = 1 << 14;
        let series = |from: usize, n: usize| {
            let times: Vec<i64> = (from..from + n).map(|i| i as i64).collect();
            Series::from_times_ns(&times, &vec![1.5; n]).unwrap()
        };
        for i in 0..n {
            backend.append("long", &series(i * BLOCK, BLOCK)).unwrap();
        }
        for i in 0..10 * n {
            backend.save(&format!("s{i:05}"), &series(0, 3), &Default::default()).unwrap();
        }
        let costs = watch(path, || {
            for i in 0..10 {
                backend.append("long", &series(n * BLOCK + i, 1)).unwrap();
            }
            for block in [1, n / 2, n - 2] {
                let from = (block * BLOCK) as i64;
                let range = IndexRange::closed(from, from + 10);
                assert_eq!(backend.load_range("long", &range).unwrap().len(), 11);
            }
            backend.save("s00001", &series(0, 2), &Default::default()).unwrap();
            backend.delete("s00002").unwrap();
            backend.rename("s00003", "t3").unwrap();
            assert_eq!(backend.list_keys("s0001").unwrap().len(), 10);
        });
        (path.to_owned(), costs)
    });
}
