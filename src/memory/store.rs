//! The handle to a file of memories.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::MIGRATIONS;
use super::changes::Held;
use super::payload::{State, state};
use super::sum_tree::SumTree;
use super::vectors::Vectors;
use crate::error::{Error, Result};
use crate::kernel::{Database, ReadTx, WriteTx, json, now_ns, table_exists};

/// Episodes, concepts and learning events in a file. Clones share everything; other threads and processes may use the file
/// meanwhile.
///
/// Each call is a transaction of its own; [`Database::transaction`] makes one of several.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use siltstone::Array;
/// use siltstone::memory::{MemoryStore, NewEpisode};
/// let store = MemoryStore::open(folder.path().join("agent.db"))?;
/// let seen = Array::from_slice(&[0.1, 0.7, 0.2]);
/// let id = store.store_episode(NewEpisode::new(seen.clone(), 0.85, "maze_1"))?;
/// let episode = store.retrieve_episode(id)?.expect("it was just stored");
/// assert_eq!(episode.data()?.as_array(), Some(&seen));
/// assert_eq!(store.episodes_by_context("maze_1", 10, Some(0.5))?, [episode]);
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    pub(super) db: Database,
    pub(super) shared: Arc<Shared>,
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("db", &self.db).finish()
    }
}

/// What clones of a handle share: what they hold in memory of the file.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) concepts: Held<Vectors<false>>,
    pub(super) episodes: Held<Vectors<true>>,
    pub(super) sum_tree: Held<SumTree>,
    /// Whether the size of pages was decided.
    pages: AtomicBool,
}

/// How much there is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Episodes.
    pub episodes: u64,
    /// Concepts.
    pub concepts: u64,
    /// Learning events.
    pub learning_events: u64,
    /// Relationships between concepts.
    pub concept_relationships: u64,
    /// Bytes of the file and its log.
    pub size_bytes: u64,
    /// The version of the documented tables, which is 1; 0 before the first write. What is ours in them has a version of
    /// its own, in `siltstone_schema`.
    pub schema_version: i64,
    /// Pages of the file.
    pub total_pages: u64,
    /// Bytes of a page.
    pub page_size: u64,
}

impl MemoryStore {
    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// As [`Builder::open`](crate::Builder::open), and [`Error::TooNew`] if a newer Siltstone wrote its memories.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::over(Database::builder(path).open()?)
    }

    /// Opens a file for reading only.
    ///
    /// # Errors
    /// As [`Builder::open_read_only`](crate::Builder::open_read_only), and [`Error::TooNew`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        Self::over(Database::builder(path).open_read_only()?)
    }

    /// The memories of a file that is open; its durability is that of the handle.
    ///
    /// # Errors
    /// [`Error::TooNew`] if a newer Siltstone wrote its memories; it is left as it is.
    pub fn over(db: Database) -> Result<Self> {
        db.migrate(&MIGRATIONS)?;
        Ok(MemoryStore { db, shared: Arc::default() })
    }

    /// The file.
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Makes the tables now, and not with the first write: for whoever brings SQL of their own.
    ///
    /// # Errors
    /// As any write.
    pub fn create_tables(&self) -> Result<()> {
        self.write(|_| Ok(()))
    }

    /// How much there is in the file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn stats(&self) -> Result<MemoryStats> {
        let number = |tx: &ReadTx<'_>, sql: &str| -> Result<u64> {
            Ok(tx.query_one(sql, [], |row| Ok(row.get::<_, i64>(0)?))?.unwrap_or(0) as u64)
        };
        let mut stats = self.db.read(|tx| {
            let mut stats = MemoryStats {
                total_pages: number(tx, "PRAGMA page_count")?,
                page_size: number(tx, "PRAGMA page_size")?,
                ..MemoryStats::default()
            };
            if are_there(tx)? {
                stats.schema_version = 1;
                stats.episodes = number(tx, "SELECT count(*) FROM episodes")?;
                stats.concepts = number(tx, "SELECT count(*) FROM concepts")?;
                stats.learning_events = number(tx, "SELECT count(*) FROM learning_events")?;
                let edges = "SELECT count(*) FROM concept_relationships";
                stats.concept_relationships = number(tx, edges)?;
            }
            Ok(stats)
        })?;
        let mut log = self.db.path().as_os_str().to_owned();
        log.push("-wal");
        for file in [self.db.path(), Path::new(&log)] {
            stats.size_bytes += std::fs::metadata(file).map_or(0, |file| file.len());
        }
        Ok(stats)
    }

    pub(super) fn write<T, F>(&self, mut work: F) -> Result<T>
    where
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.db.write(move |tx| {
            tx.ensure(&MIGRATIONS)?;
            work(tx)
        })
    }

    /// Reads; the default if the file has no memories yet.
    pub(super) fn read<T: Default>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.db.read(|tx| if are_there(tx)? { work(tx) } else { Ok(T::default()) })
    }
}

/// Bytes of an experience from which larger pages are chosen, as the simulation store does for its arrays: an experience
/// of so many lies in a chain of pages, and each is written by a call of its own.
const LARGE_EXPERIENCE: usize = 64 << 10;
/// Bytes of a vector of which a small page holds three at most, and much of it is left empty.
const LARGE_VECTOR: usize = 1300;
/// Bytes of vectors in one call from which they are a collection, to be read as a whole: one concept a call, which writes each
/// page that it touches, wants small pages.
const MANY_VECTORS: usize = 1 << 20;
const LARGE_PAGE_BYTES: u32 = 16384;

impl MemoryStore {
    /// Gives a file that is still small large pages, if the first experiences that a handle stores are large.
    pub(super) fn choose_pages(&self, experience_bytes: usize) -> Result<()> {
        self.enlarge_pages_if(experience_bytes >= LARGE_EXPERIENCE)
    }

    /// The same, if the first call stores a collection of large vectors.
    pub(super) fn choose_pages_for_vectors(&self, bytes: usize, count: usize) -> Result<()> {
        self.enlarge_pages_if(bytes >= LARGE_VECTOR && bytes.saturating_mul(count) >= MANY_VECTORS)
    }

    fn enlarge_pages_if(&self, is_large: bool) -> Result<()> {
        if self.shared.pages.swap(true, Ordering::Relaxed)
            || !is_large
            || self.db.is_read_only()
            || self.db.is_in_transaction()
        {
            return Ok(());
        }
        self.db.enlarge_pages(LARGE_PAGE_BYTES).map(drop)
    }
}

/// Whether the store's tables are in the file.
pub(super) fn are_there(tx: &ReadTx<'_>) -> Result<bool> {
    table_exists(tx, "memory_change")
}

/// Seconds since 1970-01-01 UTC.
pub(super) fn now() -> f64 {
    now_ns() as f64 / 1e9
}

/// `limit` as SQL has it.
pub(super) fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A number that is one.
pub(super) fn number(what: &str, number: f64) -> Result<f64> {
    match number.is_nan() {
        true => Err(Error::invalid(what, "a number", "NaN")),
        false => Ok(number),
    }
}

/// A number that is finite.
pub(super) fn finite(what: &str, number: f64) -> Result<f64> {
    match number.is_finite() {
        false => Err(Error::invalid(what, "a finite number", number.to_string())),
        true => Ok(number),
    }
}

/// JSON text of what is told beside a row, if it is an object's.
pub(super) fn json_text(what: &str, text: Option<String>) -> Result<String> {
    match text {
        None => Ok("{}".into()),
        Some(text) if text == "{}" => Ok(text),
        Some(text) => json::object(what, &text).map(|(_, text)| text),
    }
}

/// The bytes of a payload as a row has them, if they are whole. A pickle of another program is given as it is.
pub(super) fn stored_payload(table: &str, id: i64, bytes: &[u8]) -> Result<Bytes> {
    match state(bytes) {
        State::Sound | State::Pickle => Ok(Bytes::copy_from_slice(bytes)),
        State::Damaged => Err(Error::Corrupt {
            location: String::new(), // the file
            what: format!("the payload of {table} row {id}"),
            why: "the checksum differs from the one it was stored with".into(),
        }),
    }
}
