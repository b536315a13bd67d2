//! A store that a dry run writes to.

use super::backend::{Change, SeriesInfo, StorageBackend};
use super::data::Metadata;
use super::in_memory::MemoryBackend;
use super::index::IndexRange;
use crate::error::{Error, Result};
use crate::table::Batches;

/// A store for trying out what another one would get: what is written stays in memory, and the rest is read from the
/// other, which is not changed.
pub struct DryRunBackend<'a> {
    written: MemoryBackend,
    stored: Option<&'a dyn StorageBackend>,
    location: String,
}

impl<'a> DryRunBackend<'a> {
    /// Over a store, or over nothing where there is none yet; the location is for messages.
    pub fn over(stored: Option<&'a dyn StorageBackend>, location: &str) -> Self {
        let location = stored.map_or_else(|| location.to_owned(), StorageBackend::location);
        DryRunBackend { written: MemoryBackend::new(), stored, location }
    }

    /// What `read` finds in what was written, or else in the store.
    fn either<T>(&self, read: impl Fn(&dyn StorageBackend) -> Result<T>) -> Result<T> {
        match (read(&self.written), self.stored) {
            (Err(Error::NotFound { .. }), Some(stored)) => read(stored),
            (found, _) => found,
        }
    }

    fn both(
        &self,
        list: impl Fn(&dyn StorageBackend) -> Result<Vec<String>>,
    ) -> Result<Vec<String>> {
        let mut names = list(&self.written)?;
        names.extend(self.stored.map(list).transpose()?.unwrap_or_default());
        names.sort();
        names.dedup();
        Ok(names)
    }
}

impl StorageBackend for DryRunBackend<'_> {
    fn backend_type(&self) -> &'static str {
        "dry run"
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    /// An import saves, appends and keeps records: what it appends to is taken from the store first. Nobody else writes to what
    /// is in memory, so that what was expected of a series is not looked at: a copy has a size of its own.
    fn commit(&self, changes: &[Change]) -> Result<()> {
        let expects = |change: &Change| matches!(change, Change::Expect { .. });
        let changes: Vec<Change> = changes.iter().filter(|c| !expects(c)).cloned().collect();
        for change in &changes {
            if let (Change::Append { key, .. }, Some(stored)) = (change, self.stored)
                && !self.written.exists(key)?
                && stored.exists(key)?
            {
                let (series, metadata) = stored.load(key)?;
                self.written.save(key, &series, &metadata)?;
            }
        }
        self.written.commit(&changes)
    }

    fn list_keys(&self, prefix: &str) -> Result<Vec<String>> {
        self.both(|store| store.list_keys(prefix))
    }

    fn info(&self, key: &str) -> Result<SeriesInfo> {
        self.either(|store| store.info(key))
    }

    fn scan(&self, key: &str, range: &IndexRange) -> Result<Batches> {
        self.either(|store| store.scan(key, range))
    }

    fn record(&self, name: &str) -> Result<Option<Metadata>> {
        match (self.written.record(name)?, self.stored) {
            (None, Some(stored)) => stored.record(name),
            (found, _) => Ok(found),
        }
    }

    fn list_records(&self, prefix: &str) -> Result<Vec<String>> {
        self.both(|store| store.list_records(prefix))
    }
}
