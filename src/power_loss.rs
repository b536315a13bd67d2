//! Losses of power at any instant, for every store: at durability `disk` none costs what was acknowledged.
//!
//! Items are numbered from 0; a store says each when it is acknowledged, and the disk notes how many there were at each cut.

use std::path::Path;

use crate::experiment::{Cell, ExperimentDatabase, LoggingConfig, SimulationOptions, Which};
use crate::kernel::fault::{Disk, seeds};
use crate::memory::{MemoryStore, NewEpisode, Payload};
use crate::series::{Series, SqliteBackend, StorageBackend};
use crate::simulation::{Attribute, Group, Options, SimulationDatabase, Update};
use crate::ticks::{Names, TickBatch, TickStore, TickStoreConfig};
use crate::{Array, Database, Durability};

const ITEMS: u64 = 40;
/// Where the ticks' day files lie in their folder; the disk is watched there.
const MONTH: &str = "2026/01";
const NOON: i64 = 1_768_824_000_000_000_000;

/// Writes items into a folder that loses power now and then, and counts those that `read` finds in what each cut left.
fn survives(below: &str, write: impl Fn(&Path, &dyn Fn(u64)), read: impl Fn(&Path) -> u64) {
    // A third of the kernel's own: each makes a store of many tables.
    let (seeds, mut cuts) = (seeds().div_ceil(3), 0);
    for seed in 0..seeds {
        let outer = tempfile::tempdir().unwrap();
        let base = outer.path().canonicalize().unwrap().join("disk");
        let watched = base.join(below);
        std::fs::create_dir_all(&watched).unwrap();
        let disk = Disk::watch(&watched, seed);
        disk.cut_every(9);
        write(&base, &|item| disk.acknowledge(item + 1));
        disk.cut_every(0);
        for cut in disk.take_cuts() {
            let copy = outer.path().join(format!("after-{cuts}"));
            let target = copy.join(below);
            std::fs::create_dir_all(&target).unwrap();
            std::fs::rename(&cut.folder, target).unwrap();
            let (left, acknowledged) = (read(&copy), cut.acknowledged);
            assert!(left >= acknowledged, "seed {seed}: {left} of {acknowledged} items");
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 4 * seeds, "only {cuts} cuts");
}

fn open(folder: &Path) -> Database {
    Database::builder(folder.join("a.db")).durability(Durability::Disk).open().unwrap()
}

fn verified(db: &Database) {
    assert_eq!(db.verify().unwrap().findings, []);
}

fn numbers(item: u64) -> Vec<f64> {
    (0..50 + item * 13 % 400).map(|i| (item * 1_000 + i) as f64 / 8.0).collect()
}

/// The items of a list that are there, each in its place and right.
fn first_items<T>(found: &[T], is_right: impl Fn(u64, &T) -> bool) -> u64 {
    for (item, found) in found.iter().enumerate() {
        assert!(is_right(item as u64, found), "item {item} is another");
    }
    found.len() as u64
}

/// Goal: no loss of power costs an update that was acknowledged at `disk`.
#[test]
fn a_loss_of_power_costs_no_update() {
    let options =
        || Options { durability: Durability::Disk, no_keyframes: true, ..Options::default() };
    let update = |item: u64| {
        let column = ("x".to_owned(), Attribute::new(Array::from_slice(&numbers(item))));
        let data = vec![Group { name: "g".into(), attributes: vec![column] }];
        let (timestamp, origin) = (item as i64, None);
        Update { timestamp, iteration: 0, dataset: "d".into(), origin, data }
    };
    let write = |folder: &Path, acknowledge: &dyn Fn(u64)| {
        let db = SimulationDatabase::open_with(folder.join("a.db"), options()).unwrap();
        for item in 0..ITEMS {
            db.store(update(item)).unwrap();
            acknowledge(item);
            match item {
                10 => drop(db.compact(&mut |_, _| Ok(())).unwrap()),
                20 => db.database().checkpoint().unwrap(),
                _ => {}
            }
        }
    };
    survives("", write, |folder| {
        let db = SimulationDatabase::open_with(folder.join("a.db"), options()).unwrap();
        verified(db.database());
        let is_empty = db.datasets().unwrap().is_empty();
        let found = if is_empty { Vec::new() } else { db.updates("d").unwrap() };
        first_items(&found, |item, found| found.data == update(item).data)
    });
}

/// Goal: no loss of power costs a step that was acknowledged at `disk`.
#[test]
fn a_loss_of_power_costs_no_step() {
    let write = |folder: &Path, acknowledge: &dyn Fn(u64)| {
        let db = ExperimentDatabase::over(open(folder), Some("e")).unwrap();
        let logging = LoggingConfig { durability: Durability::Disk, ..LoggingConfig::default() };
        let options = SimulationOptions::default().logging(logging).provenance(false);
        let simulation = db.create_simulation_context("s", options).unwrap();
        for item in 0..ITEMS {
            let (agents, resources): ([[Cell<'_>; 10]; 0], [[Cell<'_>; 4]; 0]) = ([], []);
            let metrics = [("mood", Cell::Float(numbers(item)[1]))];
            simulation.log_step(item as i64, agents, resources, &metrics).unwrap();
            acknowledge(item);
            if item == 20 {
                db.compact("s").unwrap();
            }
        }
    };
    survives("", write, |folder| {
        let db = ExperimentDatabase::over(open(folder), Some("e")).unwrap();
        verified(db.database());
        let safe = db.simulations(Which::Filter("1")).unwrap();
        safe.first().and_then(|simulation| simulation.last_step).map_or(0, |last| last as u64 + 1)
    });
}

/// Goal: no loss of power costs an episode that was acknowledged at `disk`.
#[test]
fn a_loss_of_power_costs_no_episode() {
    let write = |folder: &Path, acknowledge: &dyn Fn(u64)| {
        let store = MemoryStore::over(open(folder)).unwrap();
        for item in 0..ITEMS {
            let episode = NewEpisode::new(Array::from_slice(&numbers(item)), item as f64, "c");
            store.store_episode(episode.timestamp(item as f64)).unwrap();
            acknowledge(item);
        }
    };
    survives("", write, |folder| {
        let store = MemoryStore::over(open(folder)).unwrap();
        verified(store.database());
        let mut found = store.episodes_by_context("c", 1 << 40, None).unwrap();
        found.reverse();
        first_items(&found, |item, found| {
            found.data().unwrap() == Payload::from(Array::from_slice(&numbers(item)))
        })
    });
}

/// Goal: no loss of power costs points that were acknowledged at `disk`.
#[test]
fn a_loss_of_power_costs_no_point() {
    let write = |folder: &Path, acknowledge: &dyn Fn(u64)| {
        let backend = SqliteBackend::over(open(folder)).unwrap();
        for item in 0..ITEMS {
            let point = Series::from_times_ns(&[item as i64], &numbers(item)[1..2]).unwrap();
            backend.append("k", &point).unwrap();
            acknowledge(item);
            if item == 20 {
                backend.compact(None).unwrap();
            }
        }
    };
    survives("", write, |folder| {
        let backend = SqliteBackend::over(open(folder)).unwrap();
        verified(backend.database());
        let values = match backend.exists("k").unwrap() {
            true => backend.load("k").unwrap().0.to_f64s().unwrap(),
            false => Vec::new(),
        };
        first_items(&values, |item, value| *value == numbers(item)[1])
    });
}

/// Goal: no loss of power costs a tick that was acknowledged at `disk`.
#[test]
fn a_loss_of_power_costs_no_tick() {
    let open = |folder: &Path| {
        TickStore::new(TickStoreConfig {
            sqlite_base_path: folder.to_owned(),
            durability: Durability::Disk,
            compact_every: None,
            ..TickStoreConfig::production("b")
        })
        .unwrap()
    };
    let write = |folder: &Path, acknowledge: &dyn Fn(u64)| {
        let store = open(folder);
        for item in 0..ITEMS {
            let (time, bid, ask) = ([NOON + item as i64], [item as f64], [item as f64 + 0.5]);
            let batch =
                TickBatch { lp: Names::One("lp"), ..TickBatch::new("EURUSD", &time, &bid, &ask) };
            store.store_ticks(&batch).unwrap();
            acknowledge(item);
            if item == 20 {
                store.compact_all().unwrap();
            }
        }
        store.stop().unwrap();
    };
    survives(MONTH, write, |folder| {
        let store = open(folder);
        let ticks = store.get_ticks_in_range("EURUSD", i64::MIN, i64::MAX).unwrap();
        let bids: Vec<f64> = ticks.iter().map(|tick| tick.bid).collect();
        first_items(&bids, |item, bid| *bid == item as f64)
    });
}
