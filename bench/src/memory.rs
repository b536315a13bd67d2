//! The memory store from Rust: `siltstone-bench memory [store|read|search|graph]`.
//!
//! Episodes of 128 float64 one by one and in one call, dictionaries of two 84x84x3 float64 arrays; the latest 100 of 100,000; the ten
//! nearest of 100,000 x 512 float32, and the first search after opening; the graph of 1,000 x 512. The floor is `rusqlite` with the
//! documented table of episodes alone: no index, no check, the bytes as they are. What is read back is compared with what was stored.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use siltstone::Array;
use siltstone::memory::{
    GraphOptions, MemoryStore, Metric, NewConcept, NewEpisode, Payload, SearchOptions,
};

use crate::median;

const EPISODES: usize = 5_000;
const NUMBERS: usize = 128;
const DICTS: usize = 300;
const MANY: usize = 100_000;
const DIMENSION: usize = 512;

pub(crate) fn run(part: Option<&str>) {
    let wanted = |name: &str| part.is_none_or(|part| part == name);
    println!("\nmemories: medians of {}", crate::runs());
    if wanted("store") {
        store();
    }
    if wanted("read") {
        read();
    }
    if wanted("search") {
        search();
    }
    if wanted("graph") {
        graph();
    }
}

fn numbers() -> impl FnMut() -> f64 {
    let mut random = 0x2545_f491_4f6c_dd1du64;
    move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    }
}

fn arrays(count: usize, length: usize) -> Vec<Array> {
    let mut next = numbers();
    let array = |_| Array::from_slice(&(0..length).map(|_| next()).collect::<Vec<f64>>());
    (0..count).map(array).collect()
}

/// The median times of some works, which take turns, each time in a new folder.
fn measure<const N: usize>(mut works: [&mut dyn FnMut(&Path) -> Duration; N]) -> [Duration; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..crate::runs() {
        for (work, times) in works.iter_mut().zip(&mut times) {
            let folder = tempfile::tempdir().expect("a folder");
            times.push(work(&folder.path().join("a.db")));
        }
    }
    times.map(median)
}

fn open(path: &Path) -> MemoryStore {
    let store = MemoryStore::open(path).expect("a file");
    store.create_tables().expect("tables");
    store
}

fn episode(experience: impl Into<Payload>, i: usize) -> NewEpisode {
    NewEpisode::new(experience, i as f64 * 0.001, "maze")
}

/// Whether all episodes are there; the last is the one that was stored last.
fn check(store: &MemoryStore, count: usize, last: &Payload) {
    assert_eq!(store.stats().expect("numbers").episodes, count as u64);
    let found = store.episodes_by_context("maze", 1, None).expect("episodes");
    assert_eq!(&found[0].data().expect("a payload"), last);
}

fn bare(path: &Path) -> Connection {
    let conn = Connection::open(path).expect("a new file opens");
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
         CREATE TABLE episodes (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL, experience_data BLOB NOT NULL, \
         performance_score REAL NOT NULL, context_hash TEXT NOT NULL, metadata TEXT DEFAULT '{}', \
         created_at REAL DEFAULT (julianday('now')))",
    )
    .expect("the table is made");
    conn
}

fn insert_bare(conn: &Connection, i: usize, bytes: &[u8]) {
    let sql = "INSERT INTO episodes (timestamp, experience_data, performance_score, context_hash) VALUES (?1, ?2, ?3, 'maze')";
    let mut statement = conn.prepare_cached(sql).expect("a statement");
    statement.execute((i as f64, bytes, i as f64 * 0.001)).expect("a row");
}

fn check_bare(conn: &Connection, count: usize, last: &[u8]) {
    let sql =
        "SELECT count(*), (SELECT experience_data FROM episodes ORDER BY id DESC) FROM episodes";
    let found =
        conn.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
    assert_eq!(found.expect("a row"), (count as i64, last.to_vec()));
}

fn store() {
    let all = arrays(EPISODES, NUMBERS);
    let last = Payload::from(all[EPISODES - 1].clone());
    let each = |time: Duration, count: usize| time.as_secs_f64() * 1e6 / count as f64;
    let mut ours = |path: &Path| {
        let store = open(path);
        let start = Instant::now();
        for (i, array) in all.iter().enumerate() {
            store.store_episode(episode(array.clone(), i)).expect("an episode");
        }
        let took = start.elapsed();
        check(&store, EPISODES, &last);
        took
    };
    let mut batch = |path: &Path| {
        let store = open(path);
        let start = Instant::now();
        let new = all.iter().enumerate().map(|(i, array)| episode(array.clone(), i)).collect();
        store.store_episodes(new).expect("episodes");
        let took = start.elapsed();
        check(&store, EPISODES, &last);
        took
    };
    let bytes: Vec<Vec<u8>> = all.iter().map(|a| a.data().to_vec()).collect();
    let mut floor = |path: &Path| {
        let conn = bare(path);
        let start = Instant::now();
        bytes.iter().enumerate().for_each(|(i, bytes)| insert_bare(&conn, i, bytes));
        let took = start.elapsed();
        check_bare(&conn, EPISODES, &bytes[EPISODES - 1]);
        took
    };
    let mut floor_batch = |path: &Path| {
        let mut conn = bare(path);
        let start = Instant::now();
        let tx = conn.transaction().expect("a transaction");
        bytes.iter().enumerate().for_each(|(i, bytes)| insert_bare(&tx, i, bytes));
        tx.commit().expect("a commit");
        let took = start.elapsed();
        check_bare(&conn, EPISODES, &bytes[EPISODES - 1]);
        took
    };
    let [ours, batch, floor, floor_batch] =
        measure([&mut ours, &mut batch, &mut floor, &mut floor_batch]);
    println!(
        "an episode of {NUMBERS} float64: {:.1} us a call each, {:.1} in one call; floor {:.1} and {:.1}",
        each(ours, EPISODES),
        each(batch, EPISODES),
        each(floor, EPISODES),
        each(floor_batch, EPISODES),
    );
    let images = arrays(16, 84 * 84 * 3);
    let pairs: Vec<Vec<u8>> =
        images.chunks(2).map(|pair| [pair[0].data(), pair[1].data()].concat()).collect();
    let dict = |i: usize| {
        let pair = &images[i % 8 * 2..][..2];
        Payload::map([
            ("observation", Payload::from(pair[0].clone())),
            ("next", Payload::from(pair[1].clone())),
            ("step", Payload::from(i as i64)),
        ])
    };
    let mut dicts = |path: &Path| {
        let store = open(path);
        let start = Instant::now();
        for i in 0..DICTS {
            store.store_episode(episode(dict(i), i)).expect("an episode");
        }
        let took = start.elapsed();
        check(&store, DICTS, &dict(DICTS - 1));
        took
    };
    let mut floor = |path: &Path| {
        let conn = bare(path);
        let start = Instant::now();
        (0..DICTS).for_each(|i| insert_bare(&conn, i, &pairs[i % pairs.len()]));
        let took = start.elapsed();
        check_bare(&conn, DICTS, &pairs[(DICTS - 1) % pairs.len()]);
        took
    };
    let [dicts, floor] = measure([&mut dicts, &mut floor]);
    println!(
        "a dictionary of two 84x84x3 float64: {:.0} us; floor {:.0}",
        each(dicts, DICTS),
        each(floor, DICTS)
    );
}

fn read() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder.path().join("a.db"));
    let some = arrays(100, NUMBERS);
    let new = (0..MANY).map(|i| episode(some[i % 100].clone(), i).timestamp(i as f64)).collect();
    store.store_episodes(new).expect("episodes");
    let ask = |_| {
        let start = Instant::now();
        let found = store.episodes_by_context("maze", 100, None).expect("episodes");
        let took = start.elapsed();
        assert_eq!(found.len(), 100);
        assert_eq!(found[0].data().expect("a payload").as_array(), Some(&some[99]));
        took
    };
    let took = median((0..101).map(ask).collect());
    println!("the latest 100 of {MANY}: {:.3} ms", took.as_secs_f64() * 1e3);
}

fn vectors(count: usize) -> Vec<Vec<f32>> {
    let mut next = numbers();
    (0..count).map(|_| (0..DIMENSION).map(|_| next() as f32).collect()).collect()
}

fn concepts(store: &MemoryStore, vectors: &[Vec<f32>]) {
    for (start, part) in vectors.chunks(10_000).enumerate().map(|(i, part)| (i * 10_000, part)) {
        let concept = |(i, v): (usize, &Vec<f32>)| {
            NewConcept::new(format!("c{:06}", start + i), Array::from_slice(v))
        };
        store.store_concepts(part.iter().enumerate().map(concept).collect()).expect("concepts");
    }
}

fn search() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.db");
    let vectors = vectors(MANY);
    let store = open(&path);
    let start = Instant::now();
    concepts(&store, &vectors);
    let took = start.elapsed().as_secs_f64();
    drop(store);
    let bytes = std::fs::metadata(&path).expect("a file").len() / MANY as u64;
    println!("{MANY} x {DIMENSION} float32 stored: {took:.2} s, {bytes} bytes each");
    let options = SearchOptions { metric: Metric::Dot, ..SearchOptions::default() };
    let plain = |query: &[f32]| {
        let dot = |v: &[f32]| -> f64 {
            v.iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let mut all: Vec<(f64, usize)> =
            vectors.iter().enumerate().map(|(i, v)| (dot(v), i)).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all.truncate(10);
        all.into_iter().map(|(_, i)| format!("c{i:06}")).collect::<Vec<_>>()
    };
    let ask = |store: &MemoryStore, query: &[f32]| {
        let array = Array::from_slice(query);
        let start = Instant::now();
        let found = store.search_similar(&array, 10, &options).expect("hits");
        let took = start.elapsed();
        let names: Vec<_> = found.into_iter().map(|hit| hit.item.name).collect();
        (took, names)
    };
    let expected = plain(&vectors[7]);
    let first = || {
        let each = (0..crate::runs()).map(|_| {
            let store = MemoryStore::open(&path).expect("a file");
            let (took, names) = ask(&store, &vectors[7]);
            assert_eq!(names, expected);
            took
        });
        median(each.collect()).as_secs_f64()
    };
    let by_rows = first();
    let store = MemoryStore::open(&path).expect("a file");
    store.compact(&mut |_, _| Ok(())).expect("room");
    let by_blocks = first();
    let times: Vec<Duration> = (0..20)
        .map(|i| {
            let (took, names) = ask(&store, &vectors[i * 977]);
            assert_eq!(names, plain(&vectors[i * 977]));
            took
        })
        .collect();
    println!(
        "the ten nearest of {MANY} x {DIMENSION}: {:.2} ms; the first after opening {by_rows:.3} s, compacted {by_blocks:.3} s",
        median(times).as_secs_f64() * 1e3,
    );
}

fn graph() {
    let vectors = vectors(1_000);
    for (title, threshold) in [("edges above 0.1", 0.1), ("all edges", -2.0)] {
        let mut edges = 0;
        let mut work = |path: &Path| {
            let store = open(path);
            concepts(&store, &vectors);
            let options = GraphOptions { threshold: Some(threshold), ..GraphOptions::default() };
            let start = Instant::now();
            let report = store.build_similarity_graph(&options).expect("a graph");
            let took = start.elapsed();
            edges = report.relationships;
            assert_eq!(store.stats().expect("numbers").concept_relationships, edges);
            took
        };
        let [took] = measure([&mut work]);
        println!(
            "the graph of 1,000 x {DIMENSION}, {title}: {edges} in {:.3} s",
            took.as_secs_f64()
        );
    }
}
