//! What a file has of series, counted.

use serde::Serialize;

use super::SqliteBackend;
use crate::error::Result;

/// What a file has of series.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct SeriesSummary {
    /// How many series.
    pub count: u64,
    /// Their points.
    pub points: u64,
    /// The blocks that have them.
    pub blocks: u64,
    /// Those of the blocks that are packed at the highest compression.
    pub compacted_blocks: u64,
    /// Bytes of the blocks.
    pub bytes: u64,
    /// The names of their datasets.
    pub datasets: Vec<String>,
}

impl SqliteBackend {
    /// What the file has of series; nothing in a file without any.
    ///
    /// # Errors
    /// What the disk says.
    pub fn describe(&self) -> Result<SeriesSummary> {
        let db = self.database();
        if !db.has_column("series_block", "compacted")? {
            return Ok(SeriesSummary::default());
        }
        let counts = "SELECT (SELECT count(*) FROM series), (SELECT coalesce(sum(length), 0) FROM series), \
            count(*), coalesce(sum(compacted), 0), \
            coalesce(sum(length(index_data) + length(value_data)), 0) FROM series_block";
        let counts = db.sql(counts)?;
        let count = |i: usize| counts.rows[0][i].to_count();
        let names = "SELECT json_extract(record, '$.name') FROM series_record \
            WHERE name GLOB 'dataset/*' ORDER BY 1";
        Ok(SeriesSummary {
            count: count(0),
            points: count(1),
            blocks: count(2),
            compacted_blocks: count(3),
            bytes: count(4),
            datasets: db.sql(names)?.rows.iter().map(|row| row[0].to_text()).collect(),
        })
    }
}
