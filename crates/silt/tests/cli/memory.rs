//! What the commands tell and take of a memory.

use siltstone::Array;
use siltstone::memory::{MemoryStore, NewConcept, NewEpisode};

use crate::silt::silt;

/// Goal: a memory is told, backed up, restored and verified by the commands that know any file.
#[test]
fn a_memory_is_told_and_kept() {
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
