//! One handle on a file, or on a folder of ticks.

use siltstone::memory::NewEpisode;
use siltstone::series::{Series, StorageBackend};
use siltstone::simulation::{Attribute, Group};
use siltstone::ticks::{DaysRead, TickBatch, TickStore, TickStoreConfig};
use siltstone::{Array, Error, Handle, Info, Value};

const DAY_NS: i64 = 86_400_000_000_000;
const FIRST_NS: i64 = 20_000 * DAY_NS;

/// Ticks of three symbols on five days, a tick an hour and one a ns before the hour; of the first days in blocks.
fn folder_of_ticks(folder: &std::path::Path) -> TickStore {
    let config = TickStoreConfig {
        sqlite_base_path: folder.join("ticks"),
        compact_every: None,
        ..TickStoreConfig::production("b")
    };
    let store = TickStore::new(config).unwrap();
    let times: Vec<i64> =
        (1..120).flat_map(|hour| [-1, 0].map(|ns| FIRST_NS + hour * DAY_NS / 24 + ns)).collect();
    for (n, symbol) in ["6E 12-24", "EURUSD", "eurusd"].into_iter().enumerate() {
        let bid: Vec<f64> = (0..times.len()).map(|i| (n * 1000 + i) as f64 * 0.25).collect();
        let ask: Vec<f64> = bid.iter().map(|bid| bid + 0.5).collect();
        store.store_ticks(&TickBatch::new(symbol, &times, &bid, &ask)).unwrap();
    }
    store.flush().unwrap();
    let days = store.days().unwrap();
    days[..2].iter().for_each(|day| drop(store.compact(&day.day).unwrap()));
    store
}

/// Goal: SQL over a folder sees what the store reads, in rows and in blocks, whatever its conditions are; and opens only
/// the days that can match.
#[test]
fn sql_over_all_days_agrees_with_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder_of_ticks(folder.path());
    let ms = |day: i64| (FIRST_NS + day * DAY_NS) / 1_000_000;
    for (condition, opened) in [
        ("symbol = 'EURUSD'".to_owned(), 5),
        (format!("symbol = 'EURUSD' AND timestamp BETWEEN {} AND {}", ms(1), ms(2) - 1), 1),
        (format!("symbol IN ('EURUSD', '6E 12-24', 'none') AND timestamp < {}", ms(2)), 2),
        (
            format!("time_ns >= {} AND time_ns < {}", FIRST_NS + 3 * DAY_NS, FIRST_NS + 4 * DAY_NS),
            1,
        ),
        (format!("time_ns > {} AND symbol > 'F'", FIRST_NS + 4 * DAY_NS - 2), 2),
        (format!("timestamp = {}", ms(1)), 1),
        ("symbol = 'EurUsd' COLLATE NOCASE AND bid > 300.0".to_owned(), 5),
        (format!("timestamp > {} AND timestamp < {}", ms(2), ms(1)), 0),
        ("timestamp = NULL".to_owned(), 0),
        // Rows of several scans are told apart by their ids.
        (format!("timestamp < {} OR timestamp >= {}", ms(1), ms(4)), 2),
        (
            format!(
                "time_ns = {0} OR time_ns = {0} - 1 OR symbol = 'eurusd'",
                FIRST_NS + DAY_NS / 24
            ),
            5,
        ),
    ] {
        let mut found = Vec::new();
        let sql = format!(
            "SELECT symbol, timestamp, time_ns, bid, ask, spread, broker_id FROM ticks WHERE {condition}"
        );
        let read = store.sql_each(&sql, |_, row| {
            found.extend(row);
            Ok(())
        });
        assert_eq!(read.unwrap(), DaysRead { opened, days: 5 }, "{condition}");
        // The same from all ranges, by the conditions of SQLite's own table.
        let mut values = Vec::new();
        for symbol in store.symbols().unwrap() {
            for tick in store.get_ticks_in_range(&symbol, i64::MIN, i64::MAX).unwrap().iter() {
                let ms = tick.time_ns.div_euclid(1_000_000);
                let (ns, bid, ask) = (tick.time_ns, tick.bid, tick.ask);
                values.push(format!(
                    "('{symbol}', {ms}, {ns}, {bid:?}, {ask:?}, {:?}, 'b')",
                    tick.spread
                ));
            }
        }
        let plain = siltstone::open(folder.path().join("plain.db")).unwrap();
        let wanted = plain.sql(&format!(
            "WITH ticks(symbol, timestamp, time_ns, bid, ask, spread, broker_id) AS (VALUES {}) \
             SELECT * FROM ticks WHERE {condition}",
            values.join(", ")
        ));
        let mut wanted = wanted.unwrap().rows;
        for rows in [&mut found, &mut wanted] {
            rows.sort_by_key(|row| format!("{row:?}"));
        }
        assert_eq!(found, wanted, "{condition}");
    }
}

/// Goal: one handle reaches each store of a file, says what is in it, queries, verifies, copies and packs it, and the
/// wrong kind of path is an error that says so.
#[test]
fn one_handle_reaches_all_stores_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = siltstone::open(&path).unwrap();
    let id = ("id".to_owned(), Attribute::new(Array::from_slice(&(0..200i64).collect::<Vec<_>>())));
    let run = db.simulation().unwrap();
    for step in 0..40 {
        let heat: Vec<f64> = (0..200).map(|cell| f64::from(step * cell)).collect();
        let heat = ("heat".to_owned(), Attribute::new(Array::from_slice(&heat)));
        let groups = vec![Group { name: "cells".into(), attributes: vec![id.clone(), heat] }];
        run.store_update(step.into(), 0, "plate", groups, None).unwrap();
    }
    let sim = db.experiment(Some("e")).unwrap();
    let sim = sim.create_simulation_context("s", Default::default()).unwrap();
    sim.log_metric("loss", 1.0, Some(0)).unwrap();
    sim.complete().unwrap();
    let episode = NewEpisode::new(Array::from_slice(&[1.0, 2.0]), 0.5, "maze");
    db.memory().unwrap().store_episode(episode).unwrap();
    let flow = Series::from_times_ns(&[0, 1], &[1.0, 2.0]).unwrap();
    db.series().unwrap().save("flow", &flow, &Default::default()).unwrap();

    let Info::File(info) = db.info().unwrap() else { panic!("it is a file") };
    let stores: Vec<&str> = info.schema.keys().map(String::as_str).collect();
    assert_eq!(stores, ["experiment", "memory", "series", "simulation"]);
    assert_eq!((info.simulation.datasets[0].updates, info.memory.episodes), (40, 1));
    assert_eq!((info.experiments.simulations["completed"], info.series.points), (1, 2));
    let sql = "SELECT (SELECT count(*) FROM \"update\") + (SELECT count(*) FROM episodes) AS n";
    assert_eq!(db.sql(sql).unwrap().rows, [[Value::Integer(41)]]);
    let compacted = db.compact(&mut |_, _| Ok(())).unwrap();
    assert!(compacted.rows > 40 && compacted.blocks > 2, "{compacted:?}");
    assert_eq!(db.verify().unwrap().findings, []);
    assert!(db.backup(folder.path().join("copy.db")).unwrap() > 0);
    assert!(matches!(db.backup(folder.path().join("copy.db")), Err(Error::Exists { .. })));
    let copy = siltstone::open_read_only(folder.path().join("copy.db")).unwrap();
    assert_eq!(copy.series().unwrap().load("flow").unwrap().0.len(), 2);
    assert!(copy.memory().unwrap().retrieve_episode(1).unwrap().is_some());
    assert!(matches!(db.ticks(), Err(Error::Invalid { .. })));
    assert!(matches!(
        siltstone::open_read_only(folder.path().join("none.db")),
        Err(Error::NotFound { .. })
    ));
    db.close().unwrap();
}

/// Goal: the same handle on a folder of ticks.
#[test]
fn one_handle_does_the_same_to_a_folder_of_ticks() {
    let folder = tempfile::tempdir().unwrap();
    folder_of_ticks(folder.path()).stop().unwrap();
    let ticks = folder.path().join("ticks");
    let db = siltstone::open(&ticks).unwrap();
    let Info::Ticks(info) = db.info().unwrap() else { panic!("it is a folder") };
    assert_eq!((info.ticks, info.days.len(), info.symbols.len()), (3 * 238, 5, 3));
    let sql = "SELECT symbol, count(*) FROM ticks GROUP BY symbol ORDER BY 1";
    let counts = db.sql(sql).unwrap();
    assert_eq!(counts.rows.len(), 3);
    assert_eq!(db.compact(&mut |_, _| Ok(())).unwrap().blocks, 3 * 3);
    assert_eq!(db.sql(sql).unwrap(), counts);
    let report = db.verify().unwrap();
    assert!(report.is_ok() && report.checksums == 15, "{report:?}");
    assert!(db.backup(folder.path().join("copy")).unwrap() > 0);
    assert!(matches!(db.backup(folder.path().join("copy")), Err(Error::Exists { .. })));
    let copy = siltstone::open_read_only(folder.path().join("copy")).unwrap();
    assert_eq!(copy.sql(sql).unwrap(), counts);
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    assert!(siltstone::open(&other).is_ok(), "an empty folder is a new one");
    std::fs::write(other.join("notes.txt"), "mine").unwrap();
    assert!(matches!(siltstone::open(&other), Err(Error::Invalid { .. })));
    assert!(matches!(siltstone::open_read_only(&other), Err(Error::Invalid { .. })));
    assert!(matches!(siltstone::open(""), Err(Error::Invalid { .. })));
    for bad in ["", " -- nothing", "SELECT ?1"] {
        assert!(matches!(db.sql(bad), Err(Error::Invalid { .. })), "{bad:?}: {:?}", db.sql(bad));
    }
    assert!(matches!(copy, Handle::Ticks(_)) && matches!(db.memory(), Err(Error::Invalid { .. })));
    db.close().unwrap();
}

/// Goal: handles go from thread to thread.
#[test]
fn handles_are_send_and_sync() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Handle>();
    is_shared::<siltstone::Database>();
    is_shared::<siltstone::simulation::SimulationDatabase>();
    is_shared::<siltstone::experiment::ExperimentDatabase>();
    is_shared::<siltstone::experiment::SimulationContext>();
    is_shared::<siltstone::memory::MemoryStore>();
    is_shared::<siltstone::series::SqliteBackend>();
    is_shared::<TickStore>();
    is_shared::<Error>();
}
