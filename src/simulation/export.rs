//! A run out of the database: movici's folders of JSON files, or one table a group.

use std::collections::{BTreeSet, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_buffer::ScalarBuffer;

use super::database::SimulationDatabase;
use super::difference::{Identity, in_words};
use super::initial::InitialData;
use super::json::{self, Schema};
use super::tables::{Layout, array_table};
use super::update::EntityData;
use super::{arrow, initial};
use crate::error::{Error, Result};
use crate::kernel::{Progress, create_folder, sync_names_in, write_atomically};
use crate::table::{self, Batches, Format, WriteOptions};

/// The form in which a run leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExportFormat {
    /// movici's files: `init_data/<dataset>.json` and
    /// `updates/t<timestamp>_<iteration>_<dataset>.json`.
    #[default]
    Json,
    /// One table an entity group: `<dataset>.<group>.<format>`, and `init_data` as it is.
    Table(Format),
}

impl FromStr for ExportFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "json" => Ok(ExportFormat::Json),
            _ => text.parse().map(ExportFormat::Table).map_err(|_| {
                let expected = "json, parquet, arrow, csv or jsonl";
                Error::invalid("format", expected, format!("{text:?}"))
            }),
        }
    }
}

/// The rows of an exported table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// What each update gives: a row an update and entity; null where it says nothing.
    #[default]
    Updates,
    /// The state at each timestamp: a row a timestamp and entity; null where it is undefined.
    States,
}

/// What to export, and how.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// The folder; it is made if it is not there.
    pub target: PathBuf,
    /// The form.
    pub format: ExportFormat,
    /// The rows of a table. JSON files always hold the updates.
    pub what: Content,
    /// Only these datasets; all if empty.
    pub datasets: Vec<String>,
    /// Writes into a folder that holds something: files of the same name are replaced. Of JSON, update
    /// files of another run are removed (if datasets are named, those of these datasets). No other
    /// file is touched.
    pub overwrite: bool,
    /// As [`WriteOptions::escape_formulas`](crate::table::WriteOptions::escape_formulas).
    pub escape_formulas: bool,
}

/// What an export did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ExportReport {
    /// Updates that left, each counted once.
    pub updates: u64,
    /// Rows of tables.
    pub rows: u64,
    /// Initial datasets that left.
    pub initial_datasets: u64,
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Values that JSON cannot say, and that were written as `null`: rows that are cleared,
    /// infinities, a NaN that is a value.
    pub lost_values: u64,
    /// Update files of another run that were removed from the folder.
    pub removed: u64,
}

/// Exports a run.
///
/// | format | files |
/// |---|---|
/// | JSON | `updates/t<timestamp>_<iteration>_<dataset>.json` |
/// | a table | `<dataset>.<group>.<format>`, and `<dataset>.<group>.initial.<format>` |
/// | both | `init_data/<dataset>.json` (byte for byte where it came as JSON), or `<dataset>.bin` for bytes; `attributes.json` (the schema, if there is one) |
///
/// Each file is there whole or not at all. `progress` gets updates (of tables: an update once a
/// group) done and in all, and stops the export by returning an error; finished files stay.
///
/// # Errors
/// Before anything is written: [`Error::Exists`] for a folder that holds something,
/// [`Error::NotFound`] for a dataset that is not there, [`Error::Invalid`] for a name that no file can
/// have and complex numbers in JSON. [`Error::Io`] if the folder cannot be written, and
/// [`Error::Invalid`] naming the update for other values that the format cannot say; what this call
/// had made is removed then, and only files that it had replaced are new. [`Error::DurabilityUnknown`]: all of it is
/// there.
pub fn export(
    db: &SimulationDatabase,
    options: &ExportOptions,
    progress: &mut Progress<'_>,
) -> Result<ExportReport> {
    let datasets = choose(&options.datasets, db.datasets()?);
    let initial = choose(&options.datasets, db.initial_datasets()?);
    if let Some(name) =
        options.datasets.iter().find(|n| !datasets.contains(n) && !initial.contains(n))
    {
        let location = db.database().path().display().to_string();
        return Err(Error::NotFound { what: "dataset", name: name.clone(), location });
    }
    check_target(options)?;
    check_names(options, &datasets, &initial)?;
    let schema = db.schema()?;
    if options.format == ExportFormat::Json {
        check_complex(db, &datasets)?;
    }
    let mut export = Export {
        db,
        options,
        schema,
        report: ExportReport::default(),
        made: Vec::new(),
        folders: BTreeSet::new(),
        update_files: HashSet::new(),
    };
    let mut stopped = false;
    let result = export.all(&datasets, &initial, &mut |done, all| {
        progress(done, all).inspect_err(|_| stopped = true)
    });
    match result {
        Ok(()) => {
            sync_names_in(&export.folders)?;
            Ok(export.report)
        }
        Err(error) => {
            if !stopped {
                export.undo();
            }
            Err(error)
        }
    }
}

fn choose(wanted: &[String], all: Vec<String>) -> Vec<String> {
    all.into_iter().filter(|name| wanted.is_empty() || wanted.contains(name)).collect()
}

fn check_target(options: &ExportOptions) -> Result<()> {
    let target = &options.target;
    let holds_something = match std::fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_some(),
        Err(e) if e.kind() == ErrorKind::NotFound => false,
        Err(e) => return Err(Error::io(target, "listing it", &e)),
    };
    if holds_something && !options.overwrite {
        return Err(Error::Exists {
            what: "something".into(),
            location: target.display().to_string(),
            hint: "choose an empty folder, or ask for files to be replaced",
        });
    }
    Ok(())
}

/// Refuses names that are too long for a file.
fn check_names(options: &ExportOptions, datasets: &[String], initial: &[String]) -> Result<()> {
    let of_updates = datasets.iter().filter(|_| options.format == ExportFormat::Json);
    of_updates.chain(initial).try_for_each(|name| json::initial_file_name(name, true).map(drop))
}

/// Refuses complex numbers in updates: JSON has none.
fn check_complex(db: &SimulationDatabase, datasets: &[String]) -> Result<()> {
    let any = "SELECT 1 FROM numpy_array WHERE dtype LIKE '%c%' LIMIT 1";
    if datasets.is_empty() || db.database().sql(any)?.rows.is_empty() {
        return Ok(());
    }
    db.database().read(|tx| {
        let sql = format!(
            "SELECT u.timestamp, u.iteration, u.dataset_name, a.entity_group, \
            a.attribute_name, n.dtype FROM \"update\" u \
            JOIN update_attribute l ON l.update_id = u.id \
            JOIN attribute_data a ON a.id = l.attribute_data_id \
            JOIN {} n ON n.id = a.data_id WHERE n.dtype LIKE '%c%' \
            AND u.dataset_name = ?1 ORDER BY u.timestamp, u.iteration LIMIT 1",
            array_table(tx)?
        );
        for dataset in datasets {
            let found = tx.query_one(&sql, [dataset], |row| {
                let identity: Identity = (row.get(0)?, row.get(1)?, row.get(2)?);
                let [group, name, dtype] =
                    [row.get::<_, String>(3)?, row.get(4)?, row.get::<_, String>(5)?];
                Ok((identity, group, name, dtype))
            })?;
            if let Some((identity, group, name, dtype)) = found {
                let what = format!("{}: {dataset}/{group}/{name}", in_words(&identity));
                let got = format!("complex numbers ({dtype})");
                return Err(Error::invalid(what, "values that JSON has", got));
            }
        }
        Ok(())
    })
}

/// The error, saying where its value comes from.
fn named(error: Error, location: impl std::fmt::Display) -> Error {
    match error {
        Error::Invalid { what, expected, got } => {
            Error::Invalid { what: format!("{location}: {what}"), expected, got }
        }
        other => other,
    }
}

/// An export on its way.
struct Export<'a> {
    db: &'a SimulationDatabase,
    options: &'a ExportOptions,
    schema: Schema,
    report: ExportReport,
    /// Folders and files that were not there before, in the order in which they were made.
    made: Vec<PathBuf>,
    /// Folders that files were written into.
    folders: BTreeSet<PathBuf>,
    /// The names of update files, if others are to be removed.
    update_files: HashSet<String>,
}

impl Export<'_> {
    fn all(
        &mut self,
        datasets: &[String],
        initial: &[String],
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        self.folder("")?;
        self.attributes()?;
        for name in initial {
            let location = format!("the initial dataset {name:?}");
            self.initial(name).map_err(|error| named(error, location))?;
        }
        match self.options.format {
            ExportFormat::Json => self.json(datasets, progress),
            ExportFormat::Table(format) => {
                self.initial_tables(initial, format)?;
                self.tables(datasets, format, progress)
            }
        }
    }

    /// Removes what was made, the last first. What else came into a folder meanwhile keeps it there.
    fn undo(&self) {
        for path in self.made.iter().rev() {
            let is_folder = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
            let removed =
                if is_folder { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
            if let Err(error) = removed {
                tracing::debug!(path = %path.display(), %error, "of a failed export it stays");
            }
        }
    }

    fn folder(&mut self, name: &str) -> Result<PathBuf> {
        let folder = if name.is_empty() {
            self.options.target.clone()
        } else {
            self.options.target.join(name)
        };
        let missing = folder.ancestors().take_while(|above| {
            !above.as_os_str().is_empty() && std::fs::symlink_metadata(above).is_err()
        });
        let missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        create_folder(&folder, true)?;
        self.made.extend(missing.into_iter().rev());
        self.folders.insert(folder.clone());
        Ok(folder)
    }

    /// Notes a file that is about to be written, and was not there.
    fn note(&mut self, path: &Path) {
        if !self.options.overwrite || std::fs::symlink_metadata(path).is_err() {
            self.made.push(path.to_owned());
        }
    }

    /// One file of bytes, replaced if the options say so.
    fn file(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.note(path);
        write_atomically(path, bytes, false)?;
        self.report.files += 1;
        self.report.bytes += bytes.len() as u64;
        Ok(())
    }

    fn attributes(&mut self) -> Result<()> {
        if self.schema.specs().is_empty() {
            return Ok(());
        }
        self.file(&self.options.target.join("attributes.json"), &self.schema.to_json())
    }

    fn initial(&mut self, name: &str) -> Result<()> {
        let Some(data) = self.db.initial_dataset(name)? else { return Ok(()) };
        let folder = self.folder("init_data")?;
        let is_json = !matches!(data, InitialData::Binary(_));
        let path = folder.join(json::initial_file_name(name, is_json)?);
        let bytes = match data {
            InitialData::Json(bytes) | InitialData::Binary(bytes) => bytes,
            InitialData::Entities(data) => {
                let (data, lost) = json::dump_update_counted("data", &data, &self.schema)?;
                self.report.lost_values += lost;
                let name = serde_json::to_string(name).expect("a text always serializes");
                let mut text = format!("{{\"name\":{name},").into_bytes();
                text.extend_from_slice(&data[1..]);
                text
            }
        };
        self.report.initial_datasets += 1;
        self.file(&path, &bytes)
    }

    fn json(&mut self, datasets: &[String], progress: &mut Progress<'_>) -> Result<()> {
        let folder = self.folder("updates")?;
        let mut all = 0;
        for dataset in datasets {
            all += self.db.update_count(Some(dataset))?;
        }
        progress(0, all)?;
        for dataset in datasets {
            self.db.for_each_update(dataset, i64::MIN..=i64::MAX, |update| {
                let file = json::file_name(update.timestamp, update.iteration, dataset)?;
                let dumped = json::dump_update_counted(dataset, &update.data, &self.schema);
                let (text, lost) = dumped.map_err(|error| {
                    let location = (update.timestamp, update.iteration, dataset.clone());
                    named(error, in_words(&location))
                })?;
                self.file(&folder.join(&file), &text)?;
                if self.options.overwrite {
                    self.update_files.insert(file);
                }
                self.report.lost_values += lost;
                self.report.updates += 1;
                progress(self.report.updates, all.max(self.report.updates))
            })?;
        }
        if self.options.overwrite { self.remove_others(&folder) } else { Ok(()) }
    }

    /// Removes update files that this export did not write: two runs in a folder would be read as one.
    fn remove_others(&mut self, folder: &Path) -> Result<()> {
        let unlisted = |e: std::io::Error| Error::io(folder, "listing it", &e);
        let only = &self.options.datasets;
        for entry in std::fs::read_dir(folder).map_err(unlisted)? {
            let entry = entry.map_err(unlisted)?;
            let name = entry.file_name();
            let name = name.to_str().filter(|name| !self.update_files.contains(*name));
            let Some((_, _, dataset)) = name.and_then(json::parse_file_name) else { continue };
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && (only.is_empty() || only.contains(&dataset)) {
                let path = entry.path();
                std::fs::remove_file(&path).map_err(|e| Error::io(&path, "removing it", &e))?;
                self.report.removed += 1;
            }
        }
        Ok(())
    }

    fn table(
        &mut self,
        keys: &[&str],
        batches: Batches,
        format: Format,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let path = self.options.target.join(table::file_name(keys, format.extension()));
        let ExportOptions { overwrite, escape_formulas, .. } = *self.options;
        let options = WriteOptions { format, overwrite, escape_formulas };
        self.note(&path);
        let written = table::write_unsynced(&path, batches, &options, progress)?;
        self.report.files += 1;
        self.report.bytes += written.bytes;
        self.report.rows += written.rows;
        Ok(())
    }

    fn initial_tables(&mut self, initial: &[String], format: Format) -> Result<()> {
        for dataset in initial {
            for group in initial_entities(self.db, dataset)? {
                let batch = arrow::initial(dataset, &group, &self.schema)?;
                let batches = Batches::from_batches(batch.schema(), vec![batch]);
                self.table(
                    &[dataset, &group.name, "initial"],
                    batches,
                    format,
                    &mut |_, _| Ok(()),
                )?;
            }
        }
        Ok(())
    }

    fn tables(
        &mut self,
        datasets: &[String],
        format: Format,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let mut jobs = Vec::new();
        for dataset in datasets {
            let timestamps = self.db.timestamps(dataset)?;
            let count = self.db.update_count(Some(dataset))?;
            let weight = match self.options.what {
                Content::Updates => count,
                Content::States => timestamps.len() as u64,
            };
            for group in self.db.groups(dataset)? {
                jobs.push((dataset, group, timestamps.clone(), weight));
            }
            self.report.updates += count;
        }
        let all = jobs.iter().map(|job| job.3).sum();
        let mut before = 0;
        progress(0, all)?;
        for (dataset, group, timestamps, weight) in jobs {
            let batches = match self.options.what {
                Content::Updates => self.db.update_batches(dataset, &group)?,
                Content::States => self.db.state_batches(dataset, &group, timestamps)?,
            };
            let (batches, done) = counted(batches);
            self.table(&[dataset, &group], batches, format, &mut |_, _| {
                let done = done.load(Ordering::Relaxed).min(weight);
                progress(before + done, all)
            })?;
            before += weight;
            progress(before, all)?;
        }
        Ok(())
    }
}

/// The same table, and how many updates (or timestamps) of it have been read.
fn counted(mut batches: Batches) -> (Batches, Arc<AtomicU64>) {
    let counter = Arc::new(AtomicU64::new(0));
    let count = counter.clone();
    let mut last = None;
    let schema = batches.schema().clone();
    let counted = Batches::new(schema, move || {
        let batch = batches.next_batch()?;
        if let Some(batch) = &batch {
            let numbers = |name: &str| {
                let column = batch.column_by_name(name)?;
                Some(column.as_primitive::<Int64Type>().values().clone())
            };
            let (timestamps, iterations) = (numbers("timestamp"), numbers("iteration"));
            for row in 0..batch.num_rows() {
                let number = |column: &Option<ScalarBuffer<i64>>| column.as_ref().map(|c| c[row]);
                let location = (number(&timestamps), number(&iterations));
                if last != Some(location) {
                    last = Some(location);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(batch)
    });
    (counted, counter)
}

fn initial_entities(db: &SimulationDatabase, dataset: &str) -> Result<EntityData> {
    db.database().read(|tx| initial::entities(tx, Layout::of(tx)?, dataset))
}
