//! What the commands tell and take of a memory.

use siltstone::Array;
use siltstone::memory::{MemoryStore, NewConcept, NewEpisode};

use crate::silt::{plain, silt};

/// Goal: a memory is reported, backed up, restored and verified by the commands that know any file.
#[test]
fn a_memory_is_shown_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let store = MemoryStore::open(here.join("agent.db")).unwrap();
    store.store_episode(NewEpisode::new(1.0, 0.5, "maze")).unwrap();
    store.store_concept(NewConcept::new("a", Array::from_slice(&[1.0]))).unwrap();
    drop(store);
    let text = silt(here, "info agent.db").ok();
    assert!(text.contains("memory 1 episode, 1 concept, 0 relationships"), "{text}");
    let found = silt(here, "info agent.db --json").json();
    assert_eq!(found["memory"]["episodes"], 1);
    silt(here, "backup agent.db copy.db").ok();
    silt(here, "restore copy.db again.db").ok();
    silt(here, "verify again.db").ok();
    let again = MemoryStore::open_read_only(here.join("again.db")).unwrap();
    assert_eq!(again.stats().unwrap().episodes, 1);
}

/// Goal: a database of Godly-AI is imported by a command, which names what it skips and says so by its
/// exit code; a second time is refused, and so is what is no file.
#[test]
fn a_godly_ai_memory_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    // Locks change their kind when the library is first used in a process: before the other connection has some.
    drop(MemoryStore::open(here.join("first.db")).unwrap());
    let conn = plain(here.join("godly.db"));
    // Pickles of 1.5, and of a function that runs a program.
    conn.execute_batch(
        "CREATE TABLE episodes (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL, experience_data BLOB, \
         performance_score REAL, context_hash TEXT, metadata TEXT, created_at REAL); \
         CREATE TABLE concepts (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, embedding BLOB, creation_time REAL, \
         access_count INTEGER, last_accessed REAL, metadata TEXT); \
         CREATE TABLE learning_events (id INTEGER PRIMARY KEY AUTOINCREMENT, task_type TEXT, performance_delta REAL, \
         strategy_used TEXT, timestamp REAL, parameters TEXT); \
         CREATE TABLE concept_relationships (id INTEGER PRIMARY KEY AUTOINCREMENT, source_concept_id INTEGER, \
         target_concept_id INTEGER, relationship_type TEXT, strength REAL, created_at REAL); \
         INSERT INTO episodes VALUES (7, 1.0, x'8003473FF80000000000002E', 0.5, 'maze', '{}', 1.0), \
         (8, 2.0, x'63706F7369780A73797374656D0A2E', 0.5, 'maze', '{}', 1.0); \
         INSERT INTO learning_events VALUES (1, 'maze', 0.5, 'left', 1.0, '{}');",
    )
    .unwrap();
    drop(conn);
    let dry = silt(here, "import memory godly.db --dry-run --json");
    assert!(dry.code == 3 && !here.join("agent.db").exists(), "{dry:?}");
    let ran = silt(here, "import memory godly.db --dry-run");
    assert!(ran.out.contains("1 episode") && ran.out.contains("nothing was written"), "{ran:?}");
    let ran = silt(here, "import memory godly.db -o agent.db");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("episodes row 8 skipped") && ran.err.contains("system"), "{ran:?}");
    assert!(ran.out.contains("1 episode, 0 concepts, 1 learning event"), "{ran:?}");
    assert!(ran.out.contains("1 skipped"), "{ran:?}");
    let store = MemoryStore::open_read_only(here.join("agent.db")).unwrap();
    let found = store.retrieve_episode(7).unwrap().expect("it keeps its id");
    assert_eq!(found.data().unwrap(), siltstone::memory::Payload::Float(1.5));
    drop(store);
    let ran = silt(here, "import memory godly.db -o again.db --json").json();
    assert_eq!(dry.json()["report"], ran["report"]);
    assert_eq!(
        (&ran["report"]["episodes"], &ran["report"]["skipped"][0]["row"]),
        (&1.into(), &8.into())
    );
    for line in ["import memory godly.db -o agent.db", "import memory nothing.db -o new.db"] {
        let ran = silt(here, line);
        assert!(ran.code != 0 && ran.out.is_empty() && !ran.err.is_empty(), "{line}: {ran:?}");
    }
    assert!(!here.join("new.db").exists());
}
