//! An agent that remembers: stores what it has seen, and recalls what is like it.
//!
//! `cargo run --example memory`

use siltstone::Array;
use siltstone::memory::{Limit, MemoryStore, NewEpisode, Payload, RecallOptions, SampleOptions};

fn main() -> siltstone::Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = MemoryStore::open(folder.path().join("agent.db"))?;
    store.set_limit(Some("maze"), Some(Limit { capacity: Some(80), ..Limit::default() }))?;
    for step in 0..100i64 {
        let angle = step as f64 * 0.1;
        let seen = Array::from_slice(&[angle.sin(), angle.cos()]);
        let experience = Payload::map([("seen", seen.clone().into()), ("step", step.into())]);
        store.store_episode(NewEpisode::new(experience, angle.sin(), "maze").embedding(seen))?;
    }
    for memory in store.recall(&Array::from_slice(&[0.0, 1.0]), 3, &RecallOptions::default())? {
        println!(
            "episode {:3}  score {:.2} = recency {:.2} + importance {:.2} + relevance {:.2}",
            memory.episode.id, memory.score, memory.recency, memory.importance, memory.relevance
        );
    }
    let sample =
        store.sample_episodes(8, &SampleOptions { seed: Some(1), ..Default::default() })?;
    let ids: Vec<i64> = sample.episodes.iter().map(|episode| episode.id).collect();
    store.update_priorities(&ids, &vec![0.5; ids.len()])?;
    assert_eq!(store.stats()?.episodes, 80);
    Ok(())
}
