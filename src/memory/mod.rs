//! The memory store: what an agent has experienced, what it knows, and what helped it to learn.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! use siltstone::Array;
//! use siltstone::memory::{MemoryStore, NewEpisode, Payload};
//!
//! #[derive(serde::Serialize)]
//! struct Move { action: &'static str, reward: f64 }
//!
//! let memory = MemoryStore::open(folder.path().join("agent.db"))?;
//! let seen = Payload::of(&Move { action: "left", reward: 0.5 })?;
//! let episode = NewEpisode::new(seen, 0.5, "maze").embedding(Array::from([0.1, 0.9]));
//! let id = memory.store_episode(episode)?;
//! let found = memory.retrieve_episode(id)?.expect("it was stored");
//! assert_eq!(found.data()?.get("reward"), Some(&Payload::Float(0.5)));
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! A [`MemoryStore`] holds episodes (an experience, a score, a context), concepts (a name, an embedding, relationships) and
//! learning events (a strategy, and by how much it helped). Experiences and embeddings are [`Payload`]s: arrays and nests of
//! them, with a checksum, and never code. Beside the documented calls there is [search](MemoryStore::search_similar) by
//! vector, [recall](MemoryStore::recall) by age, score and likeness, and [replay](MemoryStore::sample_episodes).

mod backup;
mod changes;
mod compact;
mod concept;
mod episode;
mod facts;
mod filter;
mod functions;
mod graph;
mod import;
mod learning;
mod payload;
mod pickle;
#[cfg(feature = "lake")]
mod publish;
#[cfg(feature = "lake")]
mod pull;
mod recall;
mod relationship;
mod replay;
mod retention;
mod scan;
mod search;
mod store;
mod sum_tree;
mod vector;
mod vectors;
mod verify;

use crate::kernel::{Migrations, Step, Store};

pub use concept::{Concept, ConceptUpdate, NewConcept};
pub use episode::{Episode, EpisodeUpdate, NewEpisode};
pub use filter::{Comparison, Filter};
pub use graph::{GraphOptions, GraphReport};
pub(crate) use import::DATABASE as GODLY_AI;
pub use import::{ImportReport, inspect};
pub use learning::{LearningEvent, LearningEventUpdate, NewLearningEvent, Strategy};
pub use payload::Payload;
#[cfg(feature = "lake")]
pub(crate) use publish::PublishedMemories;
#[cfg(feature = "lake")]
pub(crate) use pull::PulledMemories;
pub use recall::{RecallOptions, RecallWeights, Recollection};
pub use relationship::{Direction, NewRelationship, Relationship};
pub use replay::{Sample, SampleMode, SampleOptions};
pub use retention::{Evict, Limit, Pruned};
pub use search::{Hit, Metric, SearchOptions};
pub use store::{MemoryStats, MemoryStore};

/// The store in a file.
pub(crate) static STORE: Store =
    Store { scalars: functions::SCALARS, ..Store::new(&MIGRATIONS, verify::verify) };

/// The versions of the store's tables.
static MIGRATIONS: Migrations = Migrations {
    store: "memory",
    steps: &[
        Step::Sql(include_str!("migrations/0001_memory.sql")),
        Step::Sql(include_str!("migrations/0002_row_sums.sql")),
        Step::Sql(include_str!("migrations/0003_vector_blocks.sql")),
        Step::Sql(include_str!("migrations/0004_late_episodes.sql")),
    ],
    summed: &[
        // Payloads have checksums of their own.
        "episodes(timestamp, performance_score, context_hash, metadata, created_at)",
        "concepts(name, creation_time, access_count, last_accessed, metadata)",
        "learning_events",
        "concept_relationships",
        "episode_embeddings(episode_id)",
        "episode_priorities(episode_id, priority)",
        "memory_replay",
        "memory_limit",
        "memory_info",
        "vector_block(kind, first_id, last_id, dimension, rows)",
    ],
};
