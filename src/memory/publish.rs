//! Memories as other machines see them: the documented tables, embeddings as lists of numbers.

use super::vector;
use crate::error::Result;
use crate::kernel::{Database, table_exists};
use crate::table::Kind::{Blob, Int, Numbers, Real, Text};
use crate::table::{Batches, Cut, Published, PublishedTable, Slice, SqlTable};

/// The numbers of an embedding, in the order of its rows if it has more than one dimension.
fn embedding(bytes: &[u8]) -> Result<Vec<f64>> {
    Ok(vector::numbers(&vector::decode(bytes)?))
}

static TABLES: [SqlTable; 4] = [
    SqlTable {
        name: "episodes",
        from: "episodes e LEFT JOIN episode_embeddings v ON v.episode_id = e.id \
            LEFT JOIN episode_priorities p ON p.episode_id = e.id",
        key: "e.id",
        columns: &[
            ("id", Int, "e.id"),
            ("timestamp", Real, "e.timestamp"),
            ("performance_score", Real, "e.performance_score"),
            ("context_hash", Text, "e.context_hash"),
            ("metadata", Text, "e.metadata"),
            ("created_at", Real, "e.created_at"),
            ("priority", Real, "p.priority"),
            ("experience_data", Blob, "e.experience_data"),
            ("embedding", Numbers(embedding), "v.embedding"),
        ],
    },
    SqlTable {
        name: "concepts",
        from: "concepts c",
        key: "c.id",
        columns: &[
            ("id", Int, "c.id"),
            ("name", Text, "c.name"),
            ("creation_time", Real, "c.creation_time"),
            ("access_count", Int, "c.access_count"),
            ("last_accessed", Real, "c.last_accessed"),
            ("metadata", Text, "c.metadata"),
            ("embedding", Numbers(embedding), "c.embedding"),
        ],
    },
    SqlTable {
        name: "relationships",
        from: "concept_relationships r",
        key: "r.id",
        columns: &[
            ("id", Int, "r.id"),
            ("source_concept_id", Int, "r.source_concept_id"),
            ("target_concept_id", Int, "r.target_concept_id"),
            ("relationship_type", Text, "r.relationship_type"),
            ("strength", Real, "r.strength"),
            ("created_at", Real, "r.created_at"),
        ],
    },
    SqlTable {
        name: "learning_events",
        from: "learning_events l",
        key: "l.id",
        columns: &[
            ("id", Int, "l.id"),
            ("task_type", Text, "l.task_type"),
            ("performance_delta", Real, "l.performance_delta"),
            ("strategy_used", Text, "l.strategy_used"),
            ("timestamp", Real, "l.timestamp"),
            ("parameters", Text, "l.parameters"),
        ],
    },
];

/// The memories of a file, as they are published.
pub(crate) struct PublishedMemories(pub(crate) Database);

impl PublishedMemories {
    fn table(table: &PublishedTable) -> Option<&'static SqlTable> {
        TABLES.iter().find(|own| own.name == table.name)
    }
}

impl Published for PublishedMemories {
    fn tables(&self) -> Result<Vec<PublishedTable>> {
        let are_there = self.0.read(|tx| table_exists(tx, "memory_info"))?;
        Ok(if are_there { TABLES.iter().map(SqlTable::published).collect() } else { Vec::new() })
    }

    fn slices(&self, table: &PublishedTable, cut: Cut) -> Result<Vec<Slice>> {
        let Some(own) = Self::table(table) else { return Ok(Vec::new()) };
        self.0.read(|tx| own.slices(tx, cut))
    }

    fn rows(&self, table: &PublishedTable, slice: &Slice) -> Result<Batches> {
        let own = Self::table(table).expect("one of those that it gave");
        Ok(own.rows(&self.0, &table.schema, slice))
    }
}
