//! Series in memory, gone with the process.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::backend::{Change, Revision, SeriesInfo, StorageBackend, expect, in_use, not_found};
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
    series: BTreeMap<String, Stored>,
    /// The last revision of a series.
    revision: u64,
    records: BTreeMap<String, Metadata>,
}

#[derive(Debug, Clone)]
struct Stored {
    series: Series,
    metadata: Metadata,
    revision: u64,
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
    fn get(&self, key: &str) -> Result<&Stored> {
        self.series.get(key).ok_or_else(|| not_found(key, LOCATION))
    }

    fn get_mut(&mut self, key: &str) -> Result<&mut Stored> {
        self.series.get_mut(key).ok_or_else(|| not_found(key, LOCATION))
    }

    fn info(&self, key: &str) -> Result<SeriesInfo> {
        let Stored { series, metadata, revision } = self.get(key)?;
        let revision = Revision(*revision);
        Ok(SeriesInfo { revision, ..SeriesInfo::of(key, series, metadata)? })
    }

    fn apply(&mut self, change: &Change) -> Result<()> {
        self.revision += 1;
        let revision = self.revision;
        match change.clone() {
            Change::Save { key, series, metadata } => {
                self.series.insert(key, Stored { series, metadata, revision });
            }
            Change::Append { key, series } => match self.series.get_mut(&key) {
                Some(own) => own.series = own.series.concat(&series)?,
                None => {
                    let metadata = Metadata::new();
                    self.series.insert(key, Stored { series, metadata, revision });
                }
            },
            Change::Expect { key, info } => {
                let now = match self.series.contains_key(&key) {
                    true => Some(self.info(&key)?),
                    false => None,
                };
                expect(&key, info.as_deref(), now.as_ref())?;
            }
            Change::SetMetadata { key, metadata } => self.get_mut(&key)?.metadata = metadata,
            Change::SetIndexMetadata { key, index } => {
                let own = self.get_mut(&key)?;
                own.series = own.series.clone().with_index_metadata(index);
            }
            Change::Delete { key } => {
                self.series.remove(&key).ok_or_else(|| not_found(&key, LOCATION))?;
            }
            Change::Rename { from, to } => {
                self.insert_new(to, self.get(&from)?.clone())?;
                self.series.remove(&from);
            }
            Change::Copy { from, to } => self.insert_new(to, self.get(&from)?.clone())?,
            Change::Record { name, record: Some(record) } => {
                self.records.insert(name, record);
            }
            Change::Record { name, record: None } => {
                self.records.remove(&name);
            }
        }
        Ok(())
    }

    fn insert_new(&mut self, key: String, series: Stored) -> Result<()> {
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
        self.kept().info(key)
    }

    fn scan(&self, key: &str, range: &IndexRange) -> Result<Batches> {
        let series = self.load_range(key, range)?;
        Ok(Batches::from_batches(series.schema(), vec![series.to_batch()]))
    }

    fn load(&self, key: &str) -> Result<(Series, Metadata)> {
        let Stored { series, metadata, .. } = self.kept().get(key)?.clone();
        Ok((series, metadata))
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
