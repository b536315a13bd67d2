//! What meteaudata wrote, read into a backend, and its layout written.
//!
//! ```no_run
//! use siltstone::series::{MemoryBackend, meteaudata};
//! let backend = MemoryBackend::new();
//! let report = meteaudata::import(&backend, "acc.zip", &Default::default(), &mut |_, _| Ok(()))?;
//! println!("{} series, {} points", report.series, report.points);
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! | what | how it is known |
//! |---|---|
//! | a dataset, or a signal, as a zip or a folder | `NAME_metadata.yaml` and `NAME_data/` |
//! | a store of Parquet files | `KEY.parquet` and `KEY_meta.yaml` |
//! | a store in SQLite | tables `time_series_data` and `time_series_metadata` |
//!
//! Nothing is unpacked to the disk, nothing that a file names is opened or run, and no file is changed.

mod database;
mod files;
mod folder;
mod import;
mod layout;
mod plain;
mod record;
mod write;
mod yaml;

use std::path::Path;

pub(crate) use database::DATABASE;
pub use files::Limits;
pub use import::{ImportOptions, ImportReport, import};
pub(super) use plain::plain_object;
pub use write::{WriteDatasetOptions, write_dataset};

use super::backend::Change;
use super::data::{Metadata, Series};
use super::tree::{DatasetRecord, SeriesRecord, SignalRecord};
use super::tree::{dataset_record, key_of, pack, signal_record};
use crate::error::{Error, Result};
use crate::kernel::{Skipped, open_file};

/// A dataset that meteaudata wrote.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArchiveDataset {
    /// What is known of it; its name is empty if the files tell none.
    pub record: DatasetRecord,
    /// Its signals.
    pub signals: Vec<ArchiveSignal>,
}

/// A signal that meteaudata wrote.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArchiveSignal {
    /// What is known of it.
    pub record: SignalRecord,
    /// Its series.
    pub series: Vec<ArchiveSeries>,
}

/// A series that meteaudata wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchiveSeries {
    /// Its full name: `flow#1_RAW#1`.
    pub name: String,
    /// Its points.
    pub series: Series,
    /// Its history.
    pub record: SeriesRecord,
}

/// A series whose dataset and signal nothing tells.
#[derive(Debug, Clone, PartialEq)]
pub struct LooseSeries {
    /// What it is called where it was found.
    pub key: String,
    /// Its points.
    pub series: Series,
    /// What is known of it.
    pub record: SeriesRecord,
}

/// What a file or folder of meteaudata holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Archive {
    /// Its datasets.
    pub datasets: Vec<ArchiveDataset>,
    /// Series that belong to none as far as the files tell; they keep the names that they have there.
    pub loose: Vec<LooseSeries>,
    /// What could not be read.
    pub skipped: Vec<Skipped>,
    /// What was read as well as it can be, and is not wholly what it was.
    pub notes: Vec<String>,
}

/// Reads what meteaudata wrote: a zip, a folder or a database.
///
/// One series that cannot be read does not stop the rest; it is named in
/// [`skipped`](Archive::skipped).
///
/// # Errors
/// [`Error::Invalid`] for a file that meteaudata did not write, or one beyond the limits; [`Error::Io`] and
/// [`Error::Corrupt`] if it cannot be read as a whole.
pub fn read(path: impl AsRef<Path>, limits: Limits) -> Result<Archive> {
    let path = path.as_ref();
    let kind = std::fs::metadata(path).map_err(|e| Error::io(path, "opening it", &e))?;
    if kind.is_file() && is_sqlite(path)? {
        return database::read(path);
    }
    let files = files::Files::open(path, limits)?;
    if kind.is_dir() && files.names().iter().any(|name| name.ends_with(".parquet")) {
        return folder::read(files);
    }
    layout::read(files)
}

/// Whether a folder or zip has files as meteaudata names them.
///
/// # Errors
/// What the disk says.
pub(crate) fn is_archive(path: &Path) -> Result<bool> {
    match files::Files::open(path, Limits::default()) {
        Ok(files) => Ok(files.names().iter().any(|name| {
            let ends = |ending: &str| name.ends_with(ending) && !name.contains('/');
            ends("_metadata.yaml") || ends("_meta.yaml")
        })),
        Err(Error::Invalid { .. } | Error::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads one dataset, or a signal alone, of a zip or folder; see [`read`].
///
/// # Errors
/// As [`read`]; [`Error::Invalid`] for a file of several datasets, or for anything that cannot be read.
///
/// # Example
/// ```no_run
/// use siltstone::series::meteaudata::read_dataset;
/// let dataset = read_dataset("acc.zip")?;
/// for signal in &dataset.signals {
///     println!("{} in {}", signal.record.name, signal.record.units);
/// }
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn read_dataset(path: impl AsRef<Path>) -> Result<ArchiveDataset> {
    let path = path.as_ref();
    let found = read(path, Limits::default())?;
    if let Some(Skipped { path, reason, .. }) = found.skipped.first() {
        let what = path.display().to_string();
        return Err(Error::invalid(what, "a series that can be read", reason));
    }
    let (count, mut datasets) = (found.datasets.len(), found.datasets.into_iter());
    match (datasets.next(), count) {
        (Some(dataset), 1) => Ok(dataset),
        _ => {
            let got = format!("{count}");
            Err(Error::invalid(path.display().to_string(), "one dataset", got))
        }
    }
}

impl ArchiveDataset {
    /// The changes that keep it under this name, or under its own: the series with their histories, the signals, and
    /// the dataset last.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a dataset that has no name and gets none.
    pub fn into_changes(mut self, name: Option<&str>) -> Result<Vec<Change>> {
        let name = name.filter(|name| !name.is_empty()).unwrap_or(&self.record.name).to_owned();
        if name.is_empty() {
            return Err(Error::invalid(
                "the name of the dataset",
                "a text that is not empty",
                "\"\"",
            ));
        }
        self.record.name.clone_from(&name);
        let (mut changes, mut records) = (Vec::new(), Vec::<(String, Metadata)>::new());
        for signal in self.signals {
            for series in signal.series {
                let (metadata, sources) = pack(&series.record);
                for source in sources {
                    if records.iter().all(|(known, _)| *known != source.0) {
                        records.push(source);
                    }
                }
                let key = key_of(&name, &signal.record.name, &series.name);
                changes.push(Change::Save { key, series: series.series, metadata });
            }
            records.push((signal_record(&name, &signal.record.name), json_of(&signal.record)));
        }
        records.push((dataset_record(&name), json_of(&self.record)));
        let record = |(name, record)| Change::Record { name, record: Some(record) };
        changes.extend(records.into_iter().map(record));
        Ok(changes)
    }
}

/// Puts a series of a store to its signal and dataset, which the store does not describe. One whose name tells no signal
/// stays loose, under `key`.
fn add_series(found: &mut Archive, dataset: &str, (key, series): (String, ArchiveSeries)) {
    let Ok((signal, ..)) = super::tree::parse_series_name(&series.name) else {
        let ArchiveSeries { series, record, .. } = series;
        found.loose.push(LooseSeries { key, series, record });
        return;
    };
    let at = found.datasets.iter().position(|known| known.record.name == dataset);
    let at = at.unwrap_or_else(|| {
        let record = DatasetRecord { name: dataset.to_owned(), ..DatasetRecord::default() };
        found.datasets.push(ArchiveDataset { record, signals: Vec::new() });
        found.datasets.len() - 1
    });
    let signals = &mut found.datasets[at].signals;
    let at = signals.iter().position(|known| known.record.name == signal);
    let at = at.unwrap_or_else(|| {
        // The store keeps no unit; meteaudata calls an unknown one so.
        let record = SignalRecord {
            name: signal.to_owned(),
            units: "unit".into(),
            ..SignalRecord::default()
        };
        signals.push(ArchiveSignal { record, series: Vec::new() });
        signals.len() - 1
    });
    signals[at].series.push(series);
}

/// A record as JSON.
fn json_of(record: &impl serde::Serialize) -> Metadata {
    match serde_json::to_value(record) {
        Ok(serde_json::Value::Object(record)) => record,
        other => unreachable!("a record is an object of names and JSON: {other:?}"),
    }
}

/// A file is known by its ending, where that says it: to look into a database that another library of this process
/// has open would cancel its locks when the read ends.
fn is_sqlite(path: &Path) -> Result<bool> {
    use std::io::Read;
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("db" | "sqlite" | "sqlite3") => return Ok(true),
        Some("zip") => return Ok(false),
        _ => {}
    }
    let mut head = Vec::new();
    let file = open_file(path)?;
    file.take(16).read_to_end(&mut head).map_err(|e| Error::io(path, "reading it", &e))?;
    Ok(head == b"SQLite format 3\0")
}
