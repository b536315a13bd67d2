//! What publishing did.

use std::collections::BTreeMap;

use serde::Serialize;

/// What was published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PublishReport {
    /// Of each table that changed.
    pub tables: BTreeMap<String, TableReport>,
    /// Tables that could not be published, and why: the others were.
    pub failed: BTreeMap<String, String>,
    /// What the file has and publishing leaves out, and how many there are, as `initial datasets of simulations`.
    pub not_published: BTreeMap<String, u64>,
}

impl PublishReport {
    /// Whether the lake had all of it: nothing was sent or removed, and nothing failed.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.failed.is_empty()
    }
}

/// What was published of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TableReport {
    /// Segments that are new or have other rows than before.
    pub segments: u64,
    /// Their rows.
    pub rows: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Files that are no part of the table any more.
    pub removed: u64,
    /// Commits to the log of the table.
    pub commits: u64,
    /// Files that stay as they are since the folder has fewer ticks of them now: a day that was thinned, or removed and begun
    /// anew. Told once.
    pub kept: u64,
}
