//! What other programs wrote into a backend: tables of loggers, files of InfluxDB, datasets of meteaudata.

use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};
use siltstone::series::{
    Ambiguous, BadCells, DryRunBackend, ImportPointsOptions, InfluxOptions, Nonexistent, Overlap,
    PointsOptions, SqliteBackend, StorageBackend, import_influx, import_points, is_table,
    meteaudata, read_points,
};
use siltstone::{Database, Error, NewFile, Result, Skipped};

use crate::enter::Enter;
use crate::errors::to_py;
use crate::series_store::SeriesStore;

/// How a table is read, by the names of the Python arguments.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Reading {
    index: Option<String>,
    tz: Option<String>,
    sheet: Option<String>,
    separator: Option<String>,
    skip_lines: Option<u64>,
    header: Option<bool>,
    encoding: Option<String>,
    decimal: Option<String>,
    thousands: Option<String>,
    missing: Vec<String>,
    text: Vec<String>,
    time_format: Option<String>,
    day_first: Option<bool>,
    time_unit: Option<String>,
    date_column: Option<String>,
    time_column: Option<String>,
    ambiguous: String,
    nonexistent: String,
    bad_cells: String,
}

impl Reading {
    fn options(self) -> Result<PointsOptions> {
        Ok(PointsOptions {
            index: self.index,
            time_zone: self.tz,
            sheet: self.sheet,
            separator: one_character("separator", self.separator)?,
            skip_lines: self.skip_lines,
            header: self.header,
            encoding: self.encoding.map(|text| text.parse()).transpose()?,
            decimal: one_character("decimal", self.decimal)?,
            thousands: one_character("thousands", self.thousands)?,
            missing: self.missing,
            text: self.text,
            time_format: self.time_format,
            day_first: self.day_first,
            time_unit: self.time_unit.map(|text| text.parse()).transpose()?,
            date_column: self.date_column,
            time_column: self.time_column,
            ambiguous: one_of(
                "ambiguous",
                &self.ambiguous,
                &[
                    ("infer", Ambiguous::Infer),
                    ("earliest", Ambiguous::Earliest),
                    ("latest", Ambiguous::Latest),
                    ("refuse", Ambiguous::Refuse),
                ],
            )?,
            nonexistent: one_of(
                "nonexistent",
                &self.nonexistent,
                &[("shift", Nonexistent::Shift), ("refuse", Nonexistent::Refuse)],
            )?,
            bad_cells: one_of(
                "bad_cells",
                &self.bad_cells,
                &[("missing", BadCells::Missing), ("refuse", BadCells::Refuse)],
            )?,
        })
    }
}

fn one_character(what: &str, text: Option<String>) -> Result<Option<char>> {
    let Some(text) = text else { return Ok(None) };
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) => Ok(Some(one)),
        _ => Err(invalid(what, "one character", &text)),
    }
}

fn one_of<T: Copy>(what: &str, text: &str, all: &[(&str, T)]) -> Result<T> {
    let found = all.iter().find(|(name, _)| *name == text).map(|(_, one)| *one);
    let names = || all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| invalid(what, &names(), text))
}

fn invalid(what: &str, expected: &str, got: &str) -> Error {
    let got = format!("{got:?}");
    Error::Invalid { what: what.to_owned(), expected: expected.to_owned(), got }
}

/// What several files gave, and those that were skipped.
#[derive(Default, Serialize)]
struct Files {
    files: Vec<Value>,
    skipped: Vec<Skipped>,
    #[serde(skip)]
    first: Option<Error>,
}

impl Files {
    /// What a file gave; one that cannot be read is skipped.
    fn take(&mut self, file: &Path, given: Result<Value>) -> Result<()> {
        match given {
            Ok(mut given) => {
                given["file"] = json!(file.display().to_string());
                self.files.push(given);
            }
            Err(error) if error.concerns(file) => {
                self.skipped.push(Skipped::new(file, &error));
                self.first.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The report as JSON; the first error, if all files were skipped.
    fn end(self) -> Result<String> {
        match self.first {
            Some(error) if self.files.is_empty() => Err(error),
            _ => Ok(serde_json::to_string(&self).expect("a report is JSON")),
        }
    }
}

/// Where series go: a backend that is open, or a file, which is made if it is not there.
#[derive(FromPyObject)]
pub(crate) enum Target {
    Store(Py<SeriesStore>),
    File(PathBuf),
}

fn trial(stored: Option<&dyn StorageBackend>) -> DryRunBackend<'_> {
    DryRunBackend::over(stored, "a new store")
}

/// Runs `work` on a backend, or for a dry run on one that gives what is written away.
fn on<T>(
    target: Option<&Target>,
    dry_run: bool,
    work: impl FnOnce(&dyn StorageBackend) -> Result<T>,
) -> Result<T> {
    match target {
        Some(Target::Store(store)) if dry_run => work(&trial(Some(store.get().backend()))),
        Some(Target::Store(store)) => work(store.get().backend()),
        Some(Target::File(path)) if dry_run && path.exists() => {
            let stored = SqliteBackend::over(Database::builder(path).open_read_only()?)?;
            work(&trial(Some(&stored)))
        }
        _ if dry_run => work(&trial(None)),
        Some(Target::File(path)) => {
            let made = NewFile::at(path);
            let done = SqliteBackend::open(path).and_then(|backend| work(&backend));
            made.remove_if_empty(&["series", "series_record"]);
            done
        }
        None => Err(Error::Invalid {
            what: "backend".into(),
            expected: "a backend or a file, or dry_run=True".into(),
            got: "nothing".into(),
        }),
    }
}

/// Key, dataset, how stored series get the points.
type Keys = (Option<String>, Option<String>, Option<String>);

/// Imports tables; the reports of the files as JSON.
#[pyfunction]
pub(crate) fn series_import_points(
    py: Python<'_>,
    target: Option<Target>,
    files: Vec<PathBuf>,
    keys: Keys,
    read: Reading,
    dry_run: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let (key, dataset, stored) = keys;
    let stored = stored.map(|text| overlap(&text)).transpose().map_err(to_py)?;
    let mut options = ImportPointsOptions { key, dataset, stored, ..Default::default() };
    let read = read.options().map_err(to_py)?;
    py.enter_long("importing", |signals| {
        let mut reports = Files::default();
        on(target.as_ref(), dry_run, |backend| {
            for (done, file) in files.iter().enumerate() {
                signals.report(progress.as_ref(), done as u64, files.len() as u64)?;
                let given = read_points(file, &read).and_then(|points| {
                    let columns: Vec<String> =
                        points.columns.iter().map(ToString::to_string).collect();
                    let notes = points.notes.clone();
                    let rows = points.series.first().map_or(0, |series| series.len());
                    let series = import_points(backend, file, points, &options)?;
                    options.written.extend(series.iter().map(|series| series.key.clone()));
                    Ok(json!({ "columns": columns, "notes": notes, "rows": rows, "series": series }))
                });
                reports.take(file, given)?;
            }
            signals.report(progress.as_ref(), files.len() as u64, files.len() as u64)
        })?;
        reports.end()
    })
}

fn overlap(text: &str) -> Result<Overlap> {
    one_of(
        "overlap",
        text,
        &[
            ("refuse", Overlap::Refuse),
            ("skip", Overlap::Skip),
            ("replace", Overlap::Replace),
            ("keep", Overlap::Keep),
            ("overwrite", Overlap::Overwrite),
        ],
    )
}

/// Imports files of InfluxDB; their reports as JSON.
#[pyfunction]
pub(crate) fn series_import_influx(
    py: Python<'_>,
    target: Option<Target>,
    files: Vec<PathBuf>,
    words: (Option<String>, Option<String>, bool),
    dry_run: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let (key, unit, finished) = words;
    let time_unit = unit.map(|text| text.parse()).transpose().map_err(to_py)?;
    let options = InfluxOptions { key, time_unit, names_all: dry_run, finished };
    py.enter_long("importing", |signals| {
        let mut reports = Files::default();
        on(target.as_ref(), dry_run, |backend| {
            files.iter().try_for_each(|file| {
                let report = &mut |done, all| signals.report(progress.as_ref(), done, all);
                let given = import_influx(backend, file, &options, report);
                reports.take(file, given.map(|report| json!(report)))
            })
        })?;
        reports.end()
    })
}

/// Imports a zip, a folder or a database of meteaudata; the report as JSON.
#[pyfunction]
pub(crate) fn series_import(
    py: Python<'_>,
    target: Option<Target>,
    path: PathBuf,
    name: Option<String>,
    flags: (bool, bool, bool),
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let (overwrite, strict, dry_run) = flags;
    let options = meteaudata::ImportOptions {
        name,
        overwrite,
        strict,
        ..meteaudata::ImportOptions::default()
    };
    let report = py.enter_long("importing", |signals| {
        on(target.as_ref(), dry_run, |backend| {
            let report = &mut |done, all| signals.report(progress.as_ref(), done, all);
            meteaudata::import(backend, &path, &options, report)
        })
    })?;
    Ok(serde_json::to_string(&report).expect("a report is JSON"))
}

/// Whether a file is a table, and not a dataset of meteaudata.
#[pyfunction]
pub(crate) fn series_is_table(path: PathBuf) -> bool {
    is_table(path)
}
