//! A run out of the database: the described system's folders of JSON files, or one table a group.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_buffer::ScalarBuffer;

use super::database::SimulationDatabase;
use super::initial::InitialData;
use super::json::{self, Schema};
use super::tables::Layout;
use super::update::EntityData;
use super::{arrow, initial};
use crate::error::{Error, Result};
use crate::kernel::{sync_folder, write_atomically};
use crate::table::{self, Batches, Format, WriteOptions};

/// The form in which a run leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExportFormat {
    /// The described system's files: `init_data/<dataset>.json` and
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
    /// Writes into a folder that holds something: files of the same name are replaced, no other is
    /// touched.
    pub overwrite: bool,
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
}

/// Exports a run.
///
/// | format | files |
/// |---|---|
/// | JSON | `updates/t<timestamp>_<iteration>_<dataset>.json` |
/// | a table | `<dataset>.<group>.<format>`, and `<dataset>.<group>.initial.<format>` |
/// | both | `init_data/<dataset>.json` (byte for byte where it came as JSON), `attributes.json` (the schema, if there is one) |
///
/// Each file is there whole or not at all. `progress` gets updates (of tables: an update once a
/// group) done and in all, and stops the export by returning an error; finished files stay.
///
/// # Errors
/// [`Error::Exists`] for a folder that holds something, [`Error::NotFound`] for a dataset that is not
/// there, both before anything is written; [`Error::Io`] if the folder cannot be written;
/// [`Error::Invalid`] for values that the format cannot say.
pub fn export(
    db: &SimulationDatabase,
    options: &ExportOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<ExportReport> {
    let datasets = choose(&options.datasets, db.datasets()?);
    let initial = choose(&options.datasets, db.initial_datasets()?);
    if let Some(name) =
        options.datasets.iter().find(|n| !datasets.contains(n) && !initial.contains(n))
    {
        let place = db.database().path().display().to_string();
        return Err(Error::NotFound { what: "dataset", name: name.clone(), place });
    }
    check_target(options)?;
    let schema = db.schema()?;
    let mut export = Export { db, options, schema, report: ExportReport::default() };
    export.folder("")?;
    export.attributes()?;
    for name in &initial {
        export.initial(name)?;
    }
    match options.format {
        ExportFormat::Json => export.json(&datasets, &mut progress)?,
        ExportFormat::Table(format) => {
            export.initial_tables(&initial, format)?;
            export.tables(&datasets, format, &mut progress)?;
        }
    }
    sync_folder(&options.target)?;
    Ok(export.report)
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
            place: target.display().to_string(),
            hint: "choose an empty folder, or ask for files to be replaced",
        });
    }
    Ok(())
}

/// An export on its way.
struct Export<'a> {
    db: &'a SimulationDatabase,
    options: &'a ExportOptions,
    schema: Schema,
    report: ExportReport,
}

impl Export<'_> {
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = if name.is_empty() {
            self.options.target.clone()
        } else {
            self.options.target.join(name)
        };
        std::fs::create_dir_all(&folder)
            .map_err(|e| Error::io(&folder, "making the folder", &e))?;
        Ok(folder)
    }

    /// One file of bytes, replaced if the options say so.
    fn file(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
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
        // The name of an update's file, without its beginning: the same characters are escaped.
        let file = json::file_name(0, 0, name)?;
        let file = file.strip_prefix("t0_0_").expect("the file name begins with the numbers");
        let (file, bytes) = match data {
            InitialData::Json(text) => (file, text),
            InitialData::Binary(bytes) => (file.trim_end_matches(".json"), bytes),
            InitialData::Entities(data) => {
                let name = serde_json::to_string(name).expect("a text always serializes");
                let mut text = format!("{{\"name\":{name},").into_bytes();
                text.extend_from_slice(&json::dump_update("data", &data, &self.schema)?[1..]);
                (file, text)
            }
        };
        self.report.initial_datasets += 1;
        self.file(&folder.join(file), &bytes)
    }

    fn json(
        &mut self,
        datasets: &[String],
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<()> {
        let folder = self.folder("updates")?;
        let mut all = 0;
        for dataset in datasets {
            all += self.db.update_count(Some(dataset))?;
        }
        progress(0, all)?;
        for dataset in datasets {
            self.db.for_each_update(dataset, i64::MIN..=i64::MAX, |update| {
                let file = json::file_name(update.timestamp, update.iteration, dataset)?;
                let text = json::dump_update(dataset, &update.data, &self.schema)?;
                self.file(&folder.join(file), &text)?;
                self.report.updates += 1;
                progress(self.report.updates, all.max(self.report.updates))
            })?;
        }
        sync_folder(&folder)
    }

    fn table(
        &mut self,
        keys: &[&str],
        batches: Batches,
        format: Format,
        progress: impl FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let path = self.options.target.join(table::file_name(keys, format.extension()));
        let options = WriteOptions { format, overwrite: self.options.overwrite };
        let written = table::write(path, batches, &options, progress)?;
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
                self.table(&[dataset, &group.name, "initial"], batches, format, |_| Ok(()))?;
            }
        }
        Ok(())
    }

    fn tables(
        &mut self,
        datasets: &[String],
        format: Format,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
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
            self.table(&[dataset, &group], batches, format, |_| {
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
                let place = (number(&timestamps), number(&iterations));
                if last != Some(place) {
                    last = Some(place);
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
