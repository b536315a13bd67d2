//! Series in memory, gone with the process.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::backend::{Change, SeriesInfo, StorageBackend, in_use, not_found};
use super::data::{Metadata, Series};
use super::index::IndexRange;
use crate::error::Result;
use crate::table::Batches;

const LOCATION: &str = "memory";

/// Series in memory. What goes in and comes out is shared, never changed: Arrow arrays cannot be written to.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    kept: RwLock<Kept>,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    series: BTreeMap<String, (Series, Metadata)>,
    records: BTreeMap<String, Metadata>,
}

impl MemoryBackend {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn apply(&mut self, change: &Change) -> Result<()> {
        match change.clone() {
            Change::Save { key, series, metadata } => {
                self.series.insert(key, (series, metadata));
            }
            Change::Append { key, series } => match self.series.get_mut(&key) {
                Some((own, _)) => *own = own.concat(&series)?,
                None => {
                    self.series.insert(key, (series, Metadata::new()));
                }
            },
            Change::SetMetadata { key, metadata } => {
                self.series.get_mut(&key).ok_or_else(|| not_found(&key, LOCATION))?.1 = metadata;
            }
            Change::SetIndexMetadata { key, index } => {
                let (series, _) =
                    self.series.get_mut(&key).ok_or_else(|| not_found(&key, LOCATION))?;
                *series = series.clone().with_index_metadata(index);
            }
            Change::Delete { key } => {
                self.series.remove(&key).ok_or_else(|| not_found(&key, LOCATION))?;
            }
            Change::Rename { from, to } => {
                let moved =
                    self.series.get(&from).ok_or_else(|| not_found(&from, LOCATION))?.clone();
                self.insert_new(to, moved)?;
                self.series.remove(&from);
            }
            Change::Copy { from, to } => {
                let copy =
                    self.series.get(&from).ok_or_else(|| not_found(&from, LOCATION))?.clone();
                self.insert_new(to, copy)?;
            }
            Change::Record { name, record: Some(record) } => {
                self.records.insert(name, record);
            }
            Change::Record { name, record: None } => {
                self.records.remove(&name);
            }
        }
        Ok(())
    }

    fn insert_new(&mut self, key: String, series: (Series, Metadata)) -> Result<()> {
        if self.series.contains_key(&key) {
            return Err(in_use(&key, LOCATION));
        }
        self.series.insert(key, series);
        Ok(())
    }
}

impl StorageBackend for MemoryBackend {
    fn backend_type(&self) -> &'static str {
        "memory"
    }

    fn location(&self) -> String {
        LOCATION.to_owned()
    }

    fn commit(&self, changes: &[Change]) -> Result<()> {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if let [only] = changes {
            return kept.apply(only); // it is carried out or refused as a whole
        }
        // The arrays are shared: a copy is a few words a series.
        let mut next = kept.clone();
        changes.iter().try_for_each(|change| next.apply(change))?;
        *kept = next;
        Ok(())
    }

    fn list_keys(&self, prefix: &str) -> Result<Vec<String>> {
        let kept = self.kept();
        let from = kept.series.range(prefix.to_owned()..).map(|(key, _)| key);
        Ok(from.take_while(|key| key.starts_with(prefix)).cloned().collect())
    }

    fn info(&self, key: &str) -> Result<SeriesInfo> {
        let kept = self.kept();
        let (series, metadata) = kept.series.get(key).ok_or_else(|| not_found(key, LOCATION))?;
        SeriesInfo::of(key, series, metadata)
    }

    fn scan(&self, key: &str, range: &IndexRange) -> Result<Batches> {
        let series = self.load_range(key, range)?;
        Ok(Batches::from_batches(series.schema(), vec![series.to_batch()]))
    }

    fn load(&self, key: &str) -> Result<(Series, Metadata)> {
        self.kept().series.get(key).cloned().ok_or_else(|| not_found(key, LOCATION))
    }

    fn load_range(&self, key: &str, range: &IndexRange) -> Result<Series> {
        self.load(key)?.0.range(range)
    }

    fn record(&self, name: &str) -> Result<Option<Metadata>> {
        Ok(self.kept().records.get(name).cloned())
    }

    fn list_records(&self, prefix: &str) -> Result<Vec<String>> {
        let kept = self.kept();
        let from = kept.records.range(prefix.to_owned()..).map(|(name, _)| name);
        Ok(from.take_while(|name| name.starts_with(prefix)).cloned().collect())
    }
}
