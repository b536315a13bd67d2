//! Series in a folder of Parquet files, for every program that reads Parquet.
//!
//! ```text
//! DIR/silt-HASH-UNIQUE.parquet   a series: index and value, its key, names and metadata inside
//! DIR/silt-series.json           which file holds which key, the hashes of the files, and the records
//! DIR/silt-series.lock           held by whoever writes
//! ```
//!
//! A file is never changed once it has its name. A commit writes new files and then the list, by a rename: a reader,
//! or a crash, sees the list before or after, and so all changes of a commit or none. Files that no list names
//! any more are removed after it, or by the next commit if the process died in between. A read takes a file's bytes
//! for what was written only if they have the hash that the list says, and the list only with its own at its end.

mod list;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use self::list::{Entry, List, is_ours, new_name};
use super::backend::{
    Change, Revision, SeriesInfo, StorageBackend, expect, in_use, not_found, note_damage,
};
use super::codes::{SeriesCodes, decoded_batch};
use super::data::{Head, Metadata, SCHEMA_KEY, Series};
use super::index::{IndexRange, IndexValue};
use crate::error::{Error, Result};
use crate::kernel::{
    FileLock, VerifyReport, check_interrupted, create_folder, read_whole, sync_folder,
    write_atomically,
};
use crate::table::{self, Batches};

const LOCK: &str = "silt-series.lock";
/// The most bytes of the file of a series, which is read whole.
const MAX_FILE_BYTES: u64 = 8 << 30;
/// Rows of a row group: what a scan holds at a time.
const ROWS: usize = 65_536;
/// How often a reader looks for a file anew that a writer has replaced in between.
const TRIES: usize = 16;
/// The key of a file's metadata under which our [`Inside`] is.
const INSIDE: &str = "siltstone.stored";

/// Series in a folder of Parquet files. Several processes may read and write it.
///
/// An append writes the file of its series anew: for many small ones take
/// [`SqliteBackend`](super::SqliteBackend). Each commit writes the list of keys anew: two hundred bytes a series.
/// A read holds the file of its series in memory.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use siltstone::series::{ParquetBackend, Series, StorageBackend};
/// let backend = ParquetBackend::open(folder.path().join("plant"))?;
/// backend.save("../line#1", &Series::from_times_ns(&[0], &[20.5])?, &Default::default())?;
/// assert_eq!(backend.list_keys("")?, ["../line#1"]); // a key is data, and never a path
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ParquetBackend {
    folder: PathBuf,
}

/// What a file says of its series beside Arrow's schema.
#[derive(Debug, Serialize, Deserialize)]
struct Inside {
    key: String,
    length: u64,
    is_sorted: bool,
    extent: Option<(StoredLabel, StoredLabel)>,
    metadata: Metadata,
}

/// An index value as JSON keeps it: a float by its bits, for JSON has no infinity.
#[derive(Debug, Serialize, Deserialize)]
enum StoredLabel {
    #[serde(rename = "int")]
    Int(i64),
    #[serde(rename = "float_bits")]
    Float(u64),
    #[serde(rename = "text")]
    Text(String),
}

impl From<IndexValue> for StoredLabel {
    fn from(value: IndexValue) -> Self {
        match value {
            IndexValue::Int(n) => StoredLabel::Int(n),
            IndexValue::Float(x) => StoredLabel::Float(x.to_bits()),
            IndexValue::Text(text) => StoredLabel::Text(text),
        }
    }
}

impl From<StoredLabel> for IndexValue {
    fn from(value: StoredLabel) -> Self {
        match value {
            StoredLabel::Int(n) => IndexValue::Int(n),
            StoredLabel::Float(bits) => IndexValue::Float(f64::from_bits(bits)),
            StoredLabel::Text(text) => IndexValue::Text(text),
        }
    }
}

/// A commit that is being made.
struct Commit<'a> {
    backend: &'a ParquetBackend,
    list: List,
    /// Files that the commit wrote.
    written: Vec<String>,
}

impl ParquetBackend {
    /// Series in a folder, which is made if it is not there. Files of others in it are left alone.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be made; [`Error::TooNew`] or [`Error::Corrupt`] for a list that this
    /// build cannot read. Nothing is changed.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref().to_owned();
        create_folder(&folder, true)?;
        let backend = ParquetBackend { folder };
        backend.list()?;
        Ok(backend)
    }

    /// Whether a folder holds series of ours.
    pub fn is_at(folder: impl AsRef<Path>) -> bool {
        folder.as_ref().join(list::NAME).is_file()
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn list(&self) -> Result<List> {
        List::read(&self.folder)
    }

    /// What `read` makes of the file of a series.
    fn file<T>(&self, key: &str, read: impl Fn(&Path, &Entry) -> Result<T>) -> Result<T> {
        for _ in 0..TRIES {
            let list = self.list()?;
            let entry = list.series.get(key).ok_or_else(|| not_found(key, self.location()))?;
            let path = self.folder.join(entry.file());
            match read(&path, entry) {
                // A writer may have replaced it after the list was read.
                Err(_) if !path.exists() => {}
                done => return done,
            }
        }
        Err(damaged(&self.folder, key, "the file that the list names is not there"))
    }
}

/// The points of a file, and what it says of itself.
fn open(path: &Path, entry: &Entry, key: &str) -> Result<(Batches, SeriesInfo)> {
    let bytes = read_whole(path, MAX_FILE_BYTES)?;
    if !entry.is_whole(&bytes) {
        return Err(damaged(path, key, "its hash is not the one that the list says"));
    }
    let batches = table::read_parquet(path, bytes)?;
    let info = inside(path, key, batches.schema())?;
    Ok((batches, info))
}

/// What a file says of itself, from its footer alone.
fn inspect(path: &Path, entry: &Entry, key: &str) -> Result<SeriesInfo> {
    let footer = table::read_parquet_footer(path)?;
    if !entry.is_footer(&footer) {
        return Err(damaged(path, key, "the hash of its footer is not the one that the list says"));
    }
    inside(path, key, &table::schema_of_footer(path, &footer)?)
}

fn damaged(location: &Path, key: &str, why: impl Into<String>) -> Error {
    Error::Corrupt {
        location: location.display().to_string(),
        what: format!("the series {key:?}"),
        why: why.into(),
    }
}

impl Commit<'_> {
    fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Save { key, series, metadata } => self.put(key, series, metadata),
            Change::Append { key, series } => match self.list.series.contains_key(key) {
                true => {
                    let (own, metadata) = self.get(key)?;
                    self.put(key, &own.concat(series)?, &metadata)
                }
                false => self.put(key, series, &Metadata::new()),
            },
            Change::Expect { key, info } => {
                let entry = self.list.series.get(key);
                let of =
                    |entry: &Entry| inspect(&self.backend.folder.join(entry.file()), entry, key);
                expect(key, info.as_deref(), entry.map(of).transpose()?.as_ref())
            }
            Change::SetMetadata { key, metadata } => {
                let (series, _) = self.get(key)?;
                self.put(key, &series, metadata)
            }
            Change::SetIndexMetadata { key, index } => {
                let (series, metadata) = self.get(key)?;
                self.put(key, &series.with_index_metadata(index.clone()), &metadata)
            }
            Change::Delete { key } => self.remove(key),
            Change::Rename { from, to } => {
                self.copy(from, to)?;
                self.remove(from)
            }
            Change::Copy { from, to } => self.copy(from, to),
            Change::Record { name, record: Some(record) } => {
                self.list.records.insert(name.clone(), record.clone());
                Ok(())
            }
            Change::Record { name, record: None } => {
                self.list.records.remove(name);
                Ok(())
            }
        }
    }

    fn get(&self, key: &str) -> Result<(Series, Metadata)> {
        let location = || self.backend.location();
        let entry = self.list.series.get(key).ok_or_else(|| not_found(key, location()))?;
        let (batches, info) = open(&self.backend.folder.join(entry.file()), entry, key)?;
        Ok((series(&info, batches)?, info.metadata))
    }

    fn copy(&mut self, from: &str, to: &str) -> Result<()> {
        let (series, metadata) = self.get(from)?;
        if self.list.series.contains_key(to) {
            return Err(in_use(to, self.backend.location()));
        }
        self.put(to, &series, &metadata)
    }

    fn remove(&mut self, key: &str) -> Result<()> {
        let removed = self.list.series.remove(key);
        removed.map(drop).ok_or_else(|| not_found(key, self.backend.location()))
    }

    fn put(&mut self, key: &str, series: &Series, metadata: &Metadata) -> Result<()> {
        let name = new_name(key);
        let path = self.backend.folder.join(&name);
        let info = SeriesInfo::of(key, series, metadata)?;
        let extent = info.extent.map(|(least, greatest)| (least.into(), greatest.into()));
        let (length, is_sorted) = (info.length, info.is_sorted);
        let inside =
            Inside { key: key.to_owned(), length, is_sorted, extent, metadata: metadata.clone() };
        let inside = serde_json::to_string(&inside)
            .map_err(|e| Error::invalid("the metadata", "JSON", e.to_string()))?;
        // Other programs see what numbers stand for.
        let batch = decoded_batch(series);
        let mut known = batch.schema().metadata().clone();
        known.insert(INSIDE.to_owned(), inside);
        let schema = Schema::new_with_metadata(batch.schema().fields().clone(), known);
        let schema = Arc::new(schema);
        let batch = batch.with_schema(schema.clone());
        let batch = batch.map_err(|e| table::from_arrow("a series", e))?;
        let mut start = 0;
        let batches = Batches::new(schema, move || {
            let rows = ROWS.min(batch.num_rows() - start);
            start += rows;
            Ok((rows > 0).then(|| batch.slice(start - rows, rows)))
        });
        let bytes = table::to_parquet(batches)?;
        self.written.push(name.clone());
        // Nobody reads it before the list names it.
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        written.map_err(|e| Error::io(&path, "writing it", &e))?;
        self.list.series.insert(key.to_owned(), Entry::new(name, &bytes));
        Ok(())
    }

    /// Removes files of ours that this list does not name: of an earlier state, or of a process that died.
    fn tidy(&self) {
        let named: BTreeSet<&str> = self.list.series.values().map(Entry::file).collect();
        let Ok(entries) = fs::read_dir(&self.backend.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| is_ours(name) && !named.contains(name))
                && let Err(error) = fs::remove_file(entry.path())
            {
                // It takes room and nothing else; the next commit tries again.
                tracing::warn!(path = %entry.path().display(), %error, "a file that is not needed");
            }
        }
    }
}

/// What a file says of its series.
fn inside(path: &Path, key: &str, schema: &SchemaRef) -> Result<SeriesInfo> {
    let damaged = |why: String| damaged(path, key, why);
    let json = |name: &str| {
        let json = schema.metadata().get(name);
        json.ok_or_else(|| damaged(format!("there is no {name:?} in the file")))
    };
    let inside: Inside = serde_json::from_str(json(INSIDE)?).map_err(|e| damaged(e.to_string()))?;
    let head: Head = serde_json::from_str(json(SCHEMA_KEY)?).map_err(|e| damaged(e.to_string()))?;
    if inside.key != key || schema.fields().len() != 2 {
        return Err(damaged(format!("the file holds {:?}", inside.key)));
    }
    let [index_type, value_type] = SeriesCodes::of(&head).coded_types(schema);
    Ok(SeriesInfo {
        key: inside.key,
        length: inside.length,
        index_type,
        value_type,
        extent: inside.extent.map(|(least, greatest)| (least.into(), greatest.into())),
        is_sorted: inside.is_sorted,
        metadata: inside.metadata,
        head,
        // A save gives the file another name.
        revision: Revision(xxh3_64(path.file_name().unwrap_or_default().as_encoded_bytes())),
    })
}

/// The points of a file.
fn series(info: &SeriesInfo, batches: Batches) -> Result<Series> {
    let (schema, own) = (info.schema(), batches.schema().clone());
    let batches = batches.collect_batches()?;
    let plain: Result<Vec<RecordBatch>> =
        batches.iter().map(|batch| Ok(points(info, &own, batch)?.to_batch())).collect();
    let whole = arrow_select::concat::concat_batches(&schema, &plain?);
    Series::from_batch(&whole.map_err(|e| table::from_arrow("a series", e))?)
}

/// The points of a batch of a file of this schema.
fn points(info: &SeriesInfo, schema: &Schema, batch: &RecordBatch) -> Result<Series> {
    let [index, values] = SeriesCodes::of(&info.head).encode(schema, batch.columns())?;
    Ok(Series::new(index, values)?.with_head(info.head.clone()))
}

impl StorageBackend for ParquetBackend {
    fn backend_type(&self) -> &'static str {
        "parquet"
    }

    fn location(&self) -> String {
        self.folder.display().to_string()
    }

    fn commit(&self, changes: &[Change]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let _lock =
            FileLock::take(&self.folder.join(LOCK), "waiting for another writer of series")?;
        let mut commit = Commit { backend: self, list: self.list()?, written: Vec::new() };
        let list = changes.iter().try_for_each(|change| commit.apply(change));
        // The files are on the disk, names too, before the list that names them is.
        let outcome = list.and_then(|()| commit.list.to_bytes()).and_then(|list| {
            sync_folder(&self.folder)?;
            write_atomically(&self.folder.join(list::NAME), &list, true)
        });
        match &outcome {
            Ok(()) => commit.tidy(),
            // A loss of power may bring the old list back: both its files and the new ones stay until a commit
            // that is sure.
            Err(Error::DurabilityUnknown { .. }) => {}
            Err(_) => {
                for name in &commit.written {
                    let _ = fs::remove_file(self.folder.join(name)); // or the next commit does it
                }
            }
        }
        outcome
    }

    fn list_keys(&self, prefix: &str) -> Result<Vec<String>> {
        let list = self.list()?;
        Ok(list.series.into_keys().filter(|key| key.starts_with(prefix)).collect())
    }

    fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.list()?.series.contains_key(key))
    }

    fn info(&self, key: &str) -> Result<SeriesInfo> {
        self.file(key, |path, entry| inspect(path, entry, key))
    }

    fn scan(&self, key: &str, range: &IndexRange) -> Result<Batches> {
        let (mut batches, info) = self.file(key, |path, entry| open(path, entry, key))?;
        let range = range.for_type(&info.index_type)?;
        let own = batches.schema().clone();
        Ok(Batches::new(info.schema(), move || {
            while let Some(batch) = batches.next_batch()? {
                let points = points(&info, &own, &batch)?.range(&range)?;
                if !points.is_empty() {
                    return Ok(Some(points.to_batch()));
                }
            }
            Ok(None)
        }))
    }

    fn load(&self, key: &str) -> Result<(Series, Metadata)> {
        let (batches, info) = self.file(key, |path, entry| open(path, entry, key))?;
        Ok((series(&info, batches)?, info.metadata))
    }

    fn verify(&self) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        let list = match self.list() {
            Ok(list) => list,
            Err(error) => return note_damage(&mut report, Err(error)).map(|()| report),
        };
        for (key, entry) in &list.series {
            check_interrupted("verifying")?;
            note_damage(&mut report, self.load(key).map(drop))?;
            let count = if entry.is_hashed() {
                &mut report.checksums
            } else {
                &mut report.without_checksum
            };
            *count += 1;
        }
        Ok(report)
    }

    fn record(&self, name: &str) -> Result<Option<Metadata>> {
        Ok(self.list()?.records.remove(name))
    }

    fn list_records(&self, prefix: &str) -> Result<Vec<String>> {
        let list = self.list()?;
        Ok(list.records.into_keys().filter(|name| name.starts_with(prefix)).collect())
    }
}
