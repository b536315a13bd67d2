//! Memories that are written by several processes, and processes that are killed.

use std::collections::BTreeSet;
use std::time::Duration;

use siltstone::memory::{MemoryStore, NewConcept, NewEpisode};
use siltstone::{Array, Database};

use crate::child::{self, Random, mission, say};

const PROCESSES: usize = 4;
const EPISODES: usize = 100;
const BATCH: i64 = 20;
const KILLS: u64 = 40;

/// Stores, asks for a concept and searches; says each id.
#[test]
#[ignore = "run by four_processes_lose_nothing_and_count_exactly"]
fn stores_and_counts() {
    let Some((file, name)) = mission() else { return };
    let store = MemoryStore::open(file).unwrap();
    for i in 0..EPISODES {
        let vector = Array::from_slice(&[i as f32, 1.0]);
        let episode = NewEpisode::new(i as i64, 0.5, name.as_str()).embedding(vector.clone());
        let id = store.store_episode(episode).unwrap();
        let near = store.search_similar_episodes(&vector, 1, &Default::default()).unwrap();
        assert!(near[0].score > 0.999_999, "what was just stored is found");
        let count = store.retrieve_concept_by_name("shared").unwrap().unwrap().access_count;
        say(format_args!("stored {id} {count}"));
    }
}

/// Goal: four processes that write at once lose nothing: every id is one row's, every access is counted once, and each
/// finds by vector what it has just stored.
#[test]
fn four_processes_lose_nothing_and_count_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.db");
    let store = MemoryStore::open(&file).unwrap();
    store.store_concept(NewConcept::new("shared", Array::from_slice(&[1.0]))).unwrap();
    let test = "memory_crash::stores_and_counts";
    let children: Vec<_> =
        (0..PROCESSES).map(|i| child::start(test, &file, &i.to_string())).collect();
    let (mut ids, mut counts) = (BTreeSet::new(), BTreeSet::new());
    for child in children {
        for line in child.finish() {
            let Some((_, said)) = line.split_once("stored ") else { continue };
            let (id, count) = said.split_once(' ').unwrap();
            assert!(ids.insert(id.parse::<i64>().unwrap()), "{id} was given twice");
            assert!(counts.insert(count.parse::<i64>().unwrap()), "{count} was counted twice");
        }
    }
    let all = PROCESSES * EPISODES;
    assert_eq!((ids.len(), counts), (all, (1..=all as i64).collect()));
    for id in ids {
        assert!(store.retrieve_episode(id).unwrap().is_some());
    }
    assert_eq!(store.stats().unwrap().episodes, all as u64);
}

/// Stores batches and makes backups until it is killed.
#[test]
#[ignore = "run by a_kill_leaves_whole_batches_and_whole_backups"]
fn stores_batches_until_it_is_killed() {
    let Some((file, _)) = mission() else { return };
    let store = MemoryStore::open(file).unwrap();
    say(format_args!("opened"));
    for batch in 0.. {
        let episode = |i| NewEpisode::new(vec_of(i), batch as f64, "c");
        store.store_episodes((0..BATCH).map(episode).collect()).unwrap();
        say(format_args!("batch {batch}"));
        store
            .database()
            .transaction(|| (0..BATCH).try_for_each(|i| store.store_episode(episode(i)).map(drop)))
            .unwrap();
        say(format_args!("batch {batch}"));
        if batch % 3 == 2 {
            let path = store.create_backup(None, 2).unwrap().path;
            say(format_args!("backup {}", path.display()));
        }
    }
}

fn vec_of(i: i64) -> Array {
    Array::from_slice(&vec![i as f64; 200])
}

/// Goal: a process that is killed while it creates the file, stores batches and makes backups leaves whole batches, every
/// acknowledged one, and backups under their names of which each opens, is whole and has whole batches.
#[test]
fn a_kill_leaves_whole_batches_and_whole_backups() {
    let mut random = Random(11);
    let mut acknowledged_in_all = 0;
    let mut backups_in_all = 0;
    for kill in 0..KILLS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.db");
        let test = "memory_crash::stores_batches_until_it_is_killed";
        let mut child = child::start(test, &file, "");
        let mut said = Vec::new();
        // Some are killed while they make the file and its tables.
        if kill % 4 > 0 {
            assert!(child.wait_for("opened"));
            said = child.hear("batch ", random.below(12));
        }
        std::thread::sleep(Duration::from_micros(random.below(30_000)));
        said.extend(child.kill());
        let acknowledged = said.iter().filter(|line| line.contains("batch ")).count() as u64;
        acknowledged_in_all += acknowledged;
        let store = MemoryStore::open(&file).unwrap();
        let stored = store.stats().unwrap().episodes;
        assert_eq!(stored % BATCH as u64, 0, "a batch is whole or not there");
        assert!(stored / BATCH as u64 >= acknowledged, "{stored} rows, {acknowledged} batches");
        assert!(store.database().verify().unwrap().is_ok());
        let mut backups = Vec::new();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("agent_backup_") && name.ends_with(".db") {
                backups.push(path);
            }
        }
        for line in said.iter().rev().filter_map(|line| line.split_once("backup ")).take(1) {
            assert!(
                backups.iter().any(|path| path.to_string_lossy() == line.1),
                "{} is gone",
                line.1
            );
        }
        backups_in_all += backups.len();
        for backup in backups {
            let db = Database::builder(&backup).open_read_only().unwrap();
            assert!(db.verify().unwrap().is_ok(), "{}", backup.display());
            let rows = MemoryStore::over(db).unwrap().stats().unwrap().episodes;
            assert!(
                rows > 0 && rows.is_multiple_of(BATCH as u64),
                "{} has {rows}",
                backup.display()
            );
        }
    }
    assert!(acknowledged_in_all > KILLS && backups_in_all > 0, "they were killed too early");
}
