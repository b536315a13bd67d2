//! Memories on a full disk, imported from elsewhere, and related all with all.

use siltstone::memory::{
    GraphOptions, Limit, MemoryStore, Metric, NewConcept, NewEpisode, RecallOptions, RecallWeights,
    SearchOptions,
};
use siltstone::{Array, Error, Value};
use siltstone_needs::needs;

/// The tables of Godly-AI, with one episode a row: a pickle of `bytes` bytes.
fn godly_ai(path: &std::path::Path, episodes: usize, bytes: usize) {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.execute_batch(
        "CREATE TABLE episodes (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL, experience_data BLOB NOT NULL, \
         performance_score REAL NOT NULL, context_hash TEXT NOT NULL, metadata TEXT DEFAULT '{}', \
         created_at REAL DEFAULT (julianday('now'))); \
         CREATE TABLE concepts (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, embedding BLOB NOT NULL, \
         creation_time REAL NOT NULL, access_count INTEGER DEFAULT 0, last_accessed REAL DEFAULT 0, metadata TEXT DEFAULT '{}'); \
         CREATE TABLE learning_events (id INTEGER PRIMARY KEY AUTOINCREMENT, task_type TEXT NOT NULL, performance_delta REAL NOT NULL, \
         strategy_used TEXT NOT NULL, timestamp REAL NOT NULL, parameters TEXT DEFAULT '{}'); \
         CREATE TABLE concept_relationships (id INTEGER PRIMARY KEY AUTOINCREMENT, source_concept_id INTEGER NOT NULL, \
         target_concept_id INTEGER NOT NULL, relationship_type TEXT NOT NULL, strength REAL DEFAULT 1.0, \
         created_at REAL DEFAULT (julianday('now')));",
    )
    .unwrap();
    // The bytes of Python's `pickle.dumps(bytes(n), 3)`.
    let mut pickle = vec![0x80, 3, b'B'];
    pickle.extend((bytes as u32).to_le_bytes());
    pickle.extend(vec![7; bytes]);
    pickle.push(b'.');
    let sql = "INSERT INTO episodes (timestamp, experience_data, performance_score, context_hash) VALUES (?1, ?2, 0.5, 'maze')";
    let mut insert = conn.prepare(sql).unwrap();
    for i in 0..episodes {
        insert.execute((i as f64, &pickle)).unwrap();
    }
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Goal: on a full disk a batch, a backup, an import and a graph are errors of the system that leave no half of themselves,
/// neither rows nor files; once there is room, all of them are done.
#[needs(small_disk)]
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let _mounted = crate::shared::Mounted::small(folder.path());
    let (outside, path) = (tempfile::tempdir().unwrap(), folder.path().join("agent.db"));
    let source = outside.path().join("godly.db");
    let ballast = folder.path().join("ballast");
    let store = MemoryStore::open(&path).unwrap();
    let taken = MemoryStore::open(folder.path().join("taken.db")).unwrap();
    taken.create_tables().unwrap();
    godly_ai(&source, 40, 10_000);
    let (near, far) = (Array::from_slice(&[1.0, 0.1]), Array::from_slice(&[0.0, 1.0]));
    let concept = |i: usize| {
        let vector = if i.is_multiple_of(2) { &near } else { &far };
        NewConcept::new(format!("c{i}"), vector.clone())
    };
    store.store_concepts((0..40).map(concept).collect()).unwrap();
    store.database().checkpoint().unwrap();
    taken.database().checkpoint().unwrap();
    let filled = |left: usize| {
        let _ = std::fs::remove_file(&ballast);
        let free = 2 << 20;
        let used: u64 = (names(folder.path()).iter())
            .map(|name| std::fs::metadata(folder.path().join(name)).unwrap().len())
            .sum();
        let _ = std::fs::write(&ballast, vec![1; free - used as usize - left]);
    };
    let is_full =
        |error: &Error| matches!(error, Error::Io { kind: std::io::ErrorKind::StorageFull, .. });

    filled(60_000);
    let error = taken.import(&source).unwrap_err();
    assert!(is_full(&error), "{error:?}");
    assert_eq!(taken.stats().unwrap().episodes, 0);
    let batch = || (0..50).map(|i| NewEpisode::new(vec_of(i), 0.5, "maze")).collect::<Vec<_>>();
    filled(60_000);
    let error = store.store_episodes(batch()).unwrap_err();
    assert!(is_full(&error), "{error:?}");
    assert_eq!(store.stats().unwrap().episodes, 0);
    let all = GraphOptions { threshold: Some(-2.0), ..GraphOptions::default() };
    filled(40_000);
    let error = store.build_similarity_graph(&all).unwrap_err();
    assert!(is_full(&error), "{error:?}");
    assert_eq!(store.stats().unwrap().concept_relationships, 0);
    filled(20_000);
    let before = (names(folder.path()), store.last_backup().unwrap());
    let error = store.create_backup(None, 3).unwrap_err();
    assert!(is_full(&error), "{error:?}");
    let error = store.backup_if_due(0.0, 3).unwrap_err();
    assert!(is_full(&error), "{error:?}");
    assert_eq!((names(folder.path()), store.last_backup().unwrap()), before);
    assert_eq!(store.backups().unwrap().len(), 0);

    std::fs::remove_file(&ballast).unwrap();
    assert!(store.backup_if_due(0.0, 3).unwrap().is_some(), "the next call tries again");
    assert_eq!(taken.import(&source).unwrap().episodes, 40);
    store.store_episodes(batch()).unwrap();
    assert_eq!(store.build_similarity_graph(&all).unwrap().relationships, 1_560);
    assert_eq!(store.stats().unwrap().episodes, 50);
    for store in [store, taken] {
        assert!(store.database().verify().unwrap().is_ok());
    }
}

fn vec_of(i: i64) -> Array {
    Array::from_slice(&vec![i as f64; 500])
}

/// Goal: a database of Godly-AI comes whole, once, but for rows that cannot be, each of which is named; one of ours
/// is refused and left as it is.
#[test]
fn a_godly_ai_database_is_imported_once() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("godly.db");
    let store = MemoryStore::open(folder.path().join("agent.db")).unwrap();
    godly_ai(&source, 3, 40);
    let conn = rusqlite::Connection::open(&source).unwrap();
    conn.execute_batch(
        "INSERT INTO episodes (timestamp, experience_data, performance_score, context_hash) VALUES \
         (9.0, CAST('none' AS BLOB), 0.5, 'maze'), (9.0, CAST('cposix\nsystem\n.' AS BLOB), 0.5, 'maze'); \
         INSERT INTO concept_relationships (source_concept_id, target_concept_id, relationship_type) VALUES (1, 2, 'x')",
    )
    .unwrap();
    drop(conn);
    let before = std::fs::read(&source).unwrap();
    let report = store.import(&source).unwrap();
    assert_eq!((report.episodes, report.concepts, report.skipped.len()), (3, 0, 3));
    let refused: Vec<(&str, i64)> = report
        .skipped
        .iter()
        .map(|row| (row.table.as_deref().unwrap(), row.row.unwrap()))
        .collect();
    assert_eq!(refused, [("episodes", 4), ("episodes", 5), ("concept_relationships", 1)]);
    assert!(report.skipped[1].reason.contains("system"), "{}", report.skipped[1].reason);
    assert_eq!(store.stats().unwrap().concept_relationships, 0);
    let found = store.episodes_by_context("maze", 10, None).unwrap();
    let times: Vec<f64> = found.iter().map(|episode| episode.timestamp).collect();
    assert_eq!(times, [2.0, 1.0, 0.0]);
    assert_eq!(found[0].data().unwrap(), siltstone::memory::Payload::Bytes(vec![7; 40].into()));
    let error = store.import(&source).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert_eq!(std::fs::read(&source).unwrap(), before);
    let other = MemoryStore::open(folder.path().join("other.db")).unwrap();
    let error = other.import(folder.path().join("agent.db")).unwrap_err();
    assert!(error.to_string().contains("a database of Godly-AI"), "{error}");
    assert_eq!(other.stats().unwrap().episodes, 0);
}

/// Goal: a graph with more relationships than were there, which is written without the indexes, has them all again, serves
/// queries by them, and is what the same relationships one by one are; undone, it leaves everything as it was.
#[test]
fn a_large_graph_has_its_indexes_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::open(folder.path().join("agent.db")).unwrap();
    let vector = |i: i64| Array::from_slice(&[(i % 7) as f32 + 1.0, (i % 11) as f32, i as f32]);
    let concepts = (0..160).map(|i| NewConcept::new(format!("c{i}"), vector(i))).collect();
    let ids = store.store_concepts(concepts).unwrap();
    let indexes = || {
        let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' ORDER BY name";
        store.database().sql(sql).unwrap().rows
    };
    let before = indexes();
    let all = GraphOptions { threshold: Some(-2.0), ..GraphOptions::default() };
    let undone: Result<(), Error> = store.database().transaction(|| {
        assert_eq!(store.build_similarity_graph(&all)?.relationships, 160 * 159);
        Err(Error::Interrupted { action: "thinking" })
    });
    assert!(undone.is_err());
    assert_eq!((indexes(), store.stats().unwrap().concept_relationships), (before.clone(), 0));

    for round in 0..2 {
        assert_eq!(store.build_similarity_graph(&all).unwrap().relationships, 160 * 159);
        assert_eq!(indexes(), before, "round {round}");
        assert_eq!(store.stats().unwrap().concept_relationships, 160 * 159);
    }
    let plan = "EXPLAIN QUERY PLAN SELECT target_concept_id FROM concept_relationships \
        WHERE source_concept_id = 1 ORDER BY strength DESC, target_concept_id, relationship_type";
    let plan = format!("{:?}", store.database().sql(plan).unwrap().rows);
    assert!(plan.contains("COVERING INDEX idx_concept_relationships_source"), "{plan}");
    let found = store.concept_relationships(ids[3], None, Default::default()).unwrap();
    assert_eq!(found.len(), 159);
    assert!(found.is_sorted_by(|a, b| a.strength >= b.strength));
    assert!(store.database().verify().unwrap().is_ok());
}

/// Goal: what comes to mind is ranked by a half-life, the score and the cosine, each as its weight says.
#[test]
fn recall_adds_its_terms() {
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::open(folder.path().join("agent.db")).unwrap();
    let now = 1_000_000.0;
    for (age, score, vector) in
        [(0.0, 0.1, [1.0, 0.0]), (100.0, 0.9, [0.0, 1.0]), (200.0, 0.2, [0.6, 0.8])]
    {
        let vector = Array::from_slice(&vector);
        let episode = NewEpisode::new(age, score, "c").timestamp(now - age).embedding(vector);
        store.store_episode(episode).unwrap();
    }
    let weights = RecallWeights { recency: 2.0, importance: 1.0, relevance: 0.5 };
    let options =
        RecallOptions { weights, half_life: 100.0, now: Some(now), ..RecallOptions::default() };
    let found = store.recall(&Array::from_slice(&[1.0, 0.0]), 3, &options).unwrap();
    let terms: Vec<[f64; 3]> =
        found.iter().map(|one| [one.recency, one.importance, one.relevance]).collect();
    assert_eq!(terms, [[1.0, 0.1, 1.0], [0.5, 0.9, 0.0], [0.25, 0.2, 0.6]]);
    for one in &found {
        let sum = 2.0 * one.recency + one.importance + 0.5 * one.relevance;
        assert!((one.score - sum).abs() < 1e-12, "{} {sum}", one.score);
    }
}

/// Goal: a dry run says what would go, and nothing goes; the run itself removes just that.
#[test]
fn a_dry_run_removes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::open(folder.path().join("agent.db")).unwrap();
    let episode = |i: i64| NewEpisode::new(vec_of(i), 0.5, "maze").timestamp(i as f64);
    store.store_episodes((0..20).map(episode).collect()).unwrap();
    let limit = Limit { capacity: Some(15), ..Limit::default() };
    let would = store.prune_to(Some("maze"), limit, true).unwrap();
    assert_eq!((would[0].evicted, would[0].kept, would[0].expired), (5, 15, 0));
    assert_eq!(store.stats().unwrap().episodes, 20);
    assert_eq!(store.prune_to(Some("maze"), limit, false).unwrap(), would);
    let left = store.episodes_by_context("maze", 100, None).unwrap();
    assert_eq!(left.iter().map(|one| one.timestamp).min_by(f64::total_cmp), Some(5.0));
}

/// Goal: a collection of large vectors in one call gets pages that hold them well; concepts one by one keep small pages.
#[test]
fn a_collection_gets_large_pages() {
    let folder = tempfile::tempdir().unwrap();
    let vector = Array::from_slice(&vec![0.5f32; 512]);
    let concept = |i: usize| NewConcept::new(format!("c{i}"), vector.clone());
    let collection = MemoryStore::open(folder.path().join("collection.db")).unwrap();
    collection.store_concepts((0..2000).map(concept).collect()).unwrap();
    let stats = collection.stats().unwrap();
    assert_eq!((stats.page_size, stats.concepts), (16384, 2000));
    assert!(stats.total_pages * stats.page_size < 2000 * 2_700, "{stats:?}");
    let single = MemoryStore::open(folder.path().join("single.db")).unwrap();
    single.store_concept(concept(0)).unwrap();
    single.store_concepts((1..600).map(concept).collect()).unwrap();
    assert_eq!(single.stats().unwrap().page_size, 4096);
    for store in [collection, single] {
        assert_eq!(store.search_similar(&vector, 3, &Default::default()).unwrap().len(), 3);
        assert!(store.database().verify().unwrap().is_ok());
    }
}

/// Goal: the nearest by distance is found where its own bound is far from its distance, among rows whose bounds are loose, from
/// rows and from blocks; of equals it is that of the lowest id.
#[test]
fn the_nearest_by_distance_is_not_passed_over() {
    let by_distance = SearchOptions { metric: Metric::L2, ..SearchOptions::default() };
    let (_folder, store) = crate::memory::store();
    let row = |name: String, x: f64, y: f64| {
        store.store_concept(NewConcept::new(name, Array::from_slice(&[x, y]))).unwrap()
    };
    for n in 0..40 {
        row(format!("far {n}"), 100.0, -0.393);
    }
    let nearest: Vec<i64> = (0..40).map(|n| row(format!("near {n}"), 100.0, 0.0)).collect();
    for is_compacted in [false, true] {
        if is_compacted {
            store.compact(&mut |_, _| Ok(())).unwrap();
        }
        let store = MemoryStore::open(store.database().path()).unwrap();
        let hits = store.search_similar(&Array::from_slice(&[0.0, 9.0]), 3, &by_distance).unwrap();
        let ids: Vec<i64> = hits.iter().map(|hit| hit.item.id).collect();
        assert_eq!(ids, nearest[..3], "compacted: {is_compacted}");
        assert!((hits[0].score - (100f64.powi(2) + 81.0).sqrt()).abs() < 1e-9);
    }
}

/// Goal: of rows that are gone a compaction leaves neither blocks nor notes.
#[test]
fn blocks_of_rows_that_are_gone_go() {
    let (_folder, store) = crate::memory::store();
    for n in 0..50 {
        let vector = Array::from_slice(&[f64::from(n), 1.0]);
        store.store_concept(NewConcept::new(format!("c{n}"), vector)).unwrap();
    }
    store.compact(&mut |_, _| Ok(())).unwrap();
    let count = || {
        let sql = "SELECT (SELECT count(*) FROM vector_block), (SELECT count(*) FROM vector_stale)";
        store.database().sql(sql).unwrap().rows.remove(0)
    };
    assert_eq!(count(), [Value::Integer(1), Value::Integer(0)]);
    let other = rusqlite::Connection::open(store.database().path()).unwrap();
    other.execute("DELETE FROM concepts", []).unwrap();
    drop(other);
    assert_eq!(count(), [Value::Integer(1), Value::Integer(50)]);
    store.compact(&mut |_, _| Ok(())).unwrap();
    assert_eq!(count(), [Value::Integer(0), Value::Integer(0)]);
}
