//! The simulation store's handle.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use siltstone::simulation::json::Schema;
use siltstone::simulation::{self, ImportOptions, OnRepeat, Options, Timeline};
use siltstone::{Durability, Error, NewFile, QueuePolicy};

use crate::arrays_in::to_integer;
use crate::arrow::Table;
use crate::bulk::Bulk;
use crate::cursor::Cursor;
use crate::enter::Enter;
use crate::entities::{state_to_dict, to_update, update_of};
use crate::errors::{invalid, is_ours, to_py};
use crate::initial::{from_initial, to_initial};
use crate::query::Query;
use crate::report;
use crate::ticket::Ticket;
use crate::time::{Calendar, timestamp_in};
use crate::updates::Updates;

type Inner = simulation::SimulationDatabase;

/// The name of a durability, as it is typed.
pub(crate) fn durability_name(durability: Durability) -> &'static str {
    match durability {
        Durability::Buffered => "buffered",
        Durability::Disk => "disk",
        _ => "os",
    }
}

/// A handle to a simulation's record.
#[pyclass(frozen, weakref, module = "siltstone._siltstone")]
pub(crate) struct SimulationDatabase {
    /// `None` once it is closed. Never locked across a call that releases the GIL.
    inner: RwLock<Option<Inner>>,
    path: PathBuf,
    /// The process that opened the file.
    pid: u32,
    /// Whether this handle stored anything: only then is the end of the run its to tell.
    wrote: AtomicBool,
}

impl SimulationDatabase {
    pub(crate) fn get(&self) -> PyResult<Inner> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.clone().ok_or_else(|| {
            let what = format!("the handle to {}", self.path.display());
            to_py(Error::Closed { what, why: "is closed; open the file again" })
        })
    }

    fn get_to_write(&self) -> PyResult<Inner> {
        let inner = self.get()?;
        self.wrote.store(true, Ordering::Relaxed);
        Ok(inner)
    }
}

impl Drop for SimulationDatabase {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // The last handle waits for the queue to run dry: other threads of Python go on meanwhile.
        if inner.is_some() {
            Python::try_attach(|py| py.detach(|| drop(inner)));
        }
    }
}

#[pymethods]
impl SimulationDatabase {
    #[new]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        durability: &str,
        codec: &str,
        on_repeat: &str,
        read_only: bool,
        profile_and_queue: (String, usize, String, f64),
    ) -> PyResult<Self> {
        let (profile, queue_jobs, queue_policy, busy_s) = profile_and_queue;
        let queue_policy = match &*queue_policy {
            "wait" => QueuePolicy::Wait,
            "refuse" => QueuePolicy::Refuse,
            other => return Err(invalid("queue_policy", "wait or refuse", format!("{other:?}"))),
        };
        let busy_timeout = Duration::try_from_secs_f64(busy_s)
            .map_err(|_| invalid("busy_timeout", "seconds, not negative", busy_s.to_string()))?;
        let on_repeat = match on_repeat {
            "refuse" => OnRepeat::Refuse,
            "replace" => OnRepeat::Replace,
            other => return Err(invalid("on_repeat", "refuse or replace", format!("{other:?}"))),
        };
        let options = Options {
            durability: durability.parse().map_err(to_py)?,
            codec: codec.parse().map_err(to_py)?,
            profile: profile.parse().map_err(to_py)?,
            on_repeat,
            queue: Some((queue_jobs, queue_policy)),
            busy_timeout: Some(busy_timeout),
            ..Options::default()
        };
        let inner = py.enter(|| match read_only {
            true => Inner::open_read_only(&path),
            false => Inner::open_with(&path, options),
        })?;
        let path = inner.database().path().to_owned();
        Ok(SimulationDatabase {
            inner: RwLock::new(Some(inner)),
            path,
            pid: std::process::id(),
            wrote: AtomicBool::new(false),
        })
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    #[getter]
    fn closed(&self) -> bool {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    #[getter]
    fn read_only(&self) -> PyResult<bool> {
        Ok(self.get()?.database().is_read_only())
    }

    #[getter]
    fn durability(&self) -> PyResult<&'static str> {
        Ok(durability_name(self.get()?.database().durability()))
    }

    fn store_update(
        &self,
        py: Python<'_>,
        timestamp: &Bound<'_, PyAny>,
        iteration: &Bound<'_, PyAny>,
        dataset_name: &Bound<'_, PyAny>,
        entity_data: &Bound<'_, PyAny>,
        origin: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<i64> {
        let update = update_of(timestamp, iteration, dataset_name, entity_data, &[], origin)?;
        let inner = self.get_to_write()?;
        py.enter(|| inner.store(update))
    }

    fn store_updates(&self, py: Python<'_>, updates: &Bound<'_, PyAny>) -> PyResult<Vec<i64>> {
        let updates =
            updates.try_iter()?.map(|update| to_update(&update?)).collect::<PyResult<_>>()?;
        let inner = self.get_to_write()?;
        py.enter(|| inner.store_updates(updates))
    }

    fn submit_update(
        &self,
        py: Python<'_>,
        timestamp: &Bound<'_, PyAny>,
        iteration: &Bound<'_, PyAny>,
        dataset_name: &Bound<'_, PyAny>,
        entity_data: &Bound<'_, PyAny>,
        origin: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Ticket> {
        let update = update_of(timestamp, iteration, dataset_name, entity_data, &[], origin)?;
        let inner = self.get_to_write()?;
        // Released here too: a full queue makes the caller wait.
        py.enter(|| inner.submit(update)).map(Ticket::new)
    }

    fn datasets(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let inner = self.get()?;
        py.enter(|| inner.datasets())
    }

    fn groups(&self, py: Python<'_>, dataset: &str) -> PyResult<Vec<String>> {
        let inner = self.get()?;
        py.enter(|| inner.groups(dataset))
    }

    fn timestamps(&self, py: Python<'_>, dataset: &str) -> PyResult<Vec<i64>> {
        let inner = self.get()?;
        py.enter(|| inner.timestamps(dataset))
    }

    #[pyo3(signature = (dataset=None))]
    fn update_count(&self, py: Python<'_>, dataset: Option<&str>) -> PyResult<u64> {
        let inner = self.get()?;
        py.enter(|| inner.update_count(dataset))
    }

    fn updates<'py>(&self, py: Python<'py>, dataset: &str) -> PyResult<Bound<'py, PyList>> {
        let inner = self.get()?;
        let mut bulk = Bulk::new(py);
        let list = py.enter_long("reading updates", |signals| {
            inner.for_each_update(dataset, i64::MIN..=i64::MAX, |update| {
                bulk.push(update, signals)
            })?;
            bulk.finish(signals)
        })?;
        Ok(list.into_bound(py))
    }

    #[pyo3(signature = (dataset, start=None, stop=None))]
    fn iter_updates(
        &self,
        py: Python<'_>,
        dataset: &str,
        start: Option<&Bound<'_, PyAny>>,
        stop: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Updates> {
        let start = start.map(|t| to_integer("start", t)).transpose()?.unwrap_or(i64::MIN);
        let stop = stop.map(|t| to_integer("stop", t)).transpose()?.unwrap_or(i64::MAX);
        let inner = self.get()?;
        let mut timestamps = py.enter(|| inner.timestamps(dataset))?;
        timestamps.retain(|t| (start..=stop).contains(t));
        Ok(Updates::new(inner, dataset.to_owned(), timestamps))
    }

    /// The timestamp that was meant, and the state.
    fn state_at<'py>(
        &self,
        py: Python<'py>,
        dataset: &str,
        group: &str,
        timestamp: &Bound<'py, PyAny>,
    ) -> PyResult<(i64, Bound<'py, PyDict>)> {
        let inner = self.get()?;
        let timestamp = timestamp_in(&inner, timestamp)?;
        let state = py.enter(|| inner.state_at(dataset, group, timestamp))?;
        Ok((timestamp, state_to_dict(py, state)?))
    }

    fn cursor(
        &self,
        py: Python<'_>,
        dataset: &str,
        group: &str,
        timestamp: &Bound<'_, PyAny>,
    ) -> PyResult<Cursor> {
        let inner = self.get()?;
        let timestamp = timestamp_in(&inner, timestamp)?;
        let cursor = py.enter(|| inner.cursor(dataset, group, timestamp))?;
        Ok(Cursor::new(cursor, Calendar::File(inner)))
    }

    fn store_initial_dataset(
        &self,
        py: Python<'_>,
        name: &str,
        format: &str,
        data: &Bound<'_, PyAny>,
        replace: bool,
    ) -> PyResult<i64> {
        let data = to_initial(name, format, data)?;
        let inner = self.get()?;
        py.enter(|| inner.store_initial_dataset(name, data, replace))
    }

    fn initial_datasets(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let inner = self.get()?;
        py.enter(|| inner.initial_datasets())
    }

    fn initial_dataset<'py>(
        &self,
        py: Python<'py>,
        name: &str,
    ) -> PyResult<Option<(&'static str, Bound<'py, PyAny>)>> {
        let inner = self.get()?;
        let found = py.enter(|| inner.initial_dataset(name))?;
        found.map(|data| from_initial(py, data)).transpose()
    }

    fn set_schema(&self, py: Python<'_>, json: &[u8]) -> PyResult<()> {
        let schema = Schema::parse(json).map_err(to_py)?;
        let inner = self.get()?;
        py.enter(|| inner.set_schema(&schema))
    }

    fn schema(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        let inner = self.get()?;
        py.enter(|| Ok(inner.schema()?.to_json()))
    }

    fn set_timeline(
        &self,
        py: Python<'_>,
        reference: f64,
        time_scale: f64,
        start_time: i64,
    ) -> PyResult<()> {
        let inner = self.get()?;
        py.enter(|| inner.set_timeline(Timeline { reference, time_scale, start_time }))
    }

    fn run<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let inner = self.get()?;
        let run = py.enter(|| inner.run())?;
        report::run(py, &run)
    }

    #[pyo3(signature = (error=None))]
    fn mark_ended(&self, py: Python<'_>, error: Option<&str>) -> PyResult<()> {
        let inner = self.get()?;
        py.enter(|| inner.mark_ended(error))
    }

    fn resume_from(&self, py: Python<'_>, timestamp: &Bound<'_, PyAny>) -> PyResult<u64> {
        let inner = self.get()?;
        let timestamp = timestamp_in(&inner, timestamp)?;
        py.enter(|| inner.resume_from(timestamp))
    }

    fn build_keyframes(&self, py: Python<'_>) -> PyResult<u64> {
        let inner = self.get()?;
        py.enter(|| inner.build_keyframes())
    }

    #[pyo3(signature = (progress=None))]
    fn compact(
        &self,
        py: Python<'_>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(u64, u64, u64, u64)> {
        let inner = self.get()?;
        let done = py.enter_long("compacting", |signals| {
            inner.compact(&mut |done, all| signals.report(progress.as_ref(), done, all))
        })?;
        Ok(report::compact(&done))
    }

    fn vacuum(&self, py: Python<'_>) -> PyResult<u64> {
        let inner = self.get()?;
        py.enter(|| inner.vacuum())
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let inner = self.get()?;
        if inner.database().is_read_only() {
            return Ok(());
        }
        py.enter(|| inner.flush())
    }

    /// Lets the file go; with a text the run failed, if this handle wrote to it. What a signal
    /// handler raises meanwhile leaves the handle open.
    #[pyo3(signature = (error=None))]
    fn close(&self, py: Python<'_>, error: Option<&str>) -> PyResult<()> {
        let inner = self.inner.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(inner) = inner else { return Ok(()) };
        if self.pid != std::process::id() {
            // A fork: there is nothing here to be written, and the parent's file is not ours to close.
            py.detach(|| drop(inner));
            return Ok(());
        }
        let kept = inner.clone();
        let error = error.filter(|_| self.wrote.load(Ordering::Relaxed));
        let closed = py.enter(|| {
            let marked = match error {
                Some(error) => inner.mark_ended(Some(error)),
                None => Ok(()),
            };
            inner.close().and(marked)
        });
        match &closed {
            Err(raised) if !is_ours(py, raised) => {
                self.inner.write().unwrap_or_else(PoisonError::into_inner).get_or_insert(kept);
            }
            // The last handle closes the file, which may take a while.
            _ => py.detach(|| drop(kept)),
        }
        closed
    }

    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let inner = self.get()?;
        let found = py.enter_abandonable(move || inner.database().verify())?;
        report::verify(py, &found)
    }

    #[pyo3(signature = (target, progress=None))]
    fn backup<'py>(
        &self,
        py: Python<'py>,
        target: PathBuf,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let inner = self.get()?;
        let made = py.enter_long("backing up", |signals| {
            inner
                .database()
                .backup_with(&target, &mut |done, all| signals.report(progress.as_ref(), done, all))
        })?;
        report::backup(py, &made)
    }

    fn backup_into<'py>(
        &self,
        py: Python<'py>,
        folder: PathBuf,
        keep: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let inner = self.get()?;
        let made = py.enter(|| inner.database().backup_into(&folder, keep))?;
        report::backup(py, &made)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        report::stats(py, &self.get()?.database().stats())
    }

    fn sql(&self, py: Python<'_>, sql: String) -> PyResult<Query> {
        let inner = self.get()?;
        let inner = py.enter_abandonable(move || inner.database().sql(&sql))?;
        Ok(Query { inner })
    }

    /// The same rows as a table; the statement runs each time that the table is streamed.
    fn sql_table(&self, sql: String) -> PyResult<Table> {
        let inner = self.get()?;
        Ok(Table::new(move || inner.database().arrow(&sql)))
    }

    fn updates_table(&self, dataset: String, group: String) -> PyResult<Table> {
        let inner = self.get()?;
        Ok(Table::new(move || inner.update_batches(&dataset, &group)))
    }

    /// Without timestamps: at each at which the dataset has updates.
    fn states_table(
        &self,
        dataset: String,
        group: String,
        timestamps: Option<Vec<Bound<'_, PyAny>>>,
    ) -> PyResult<Table> {
        let integer = |t: &Bound<'_, PyAny>| to_integer("timestamp", t);
        let timestamps: Option<Vec<i64>> =
            timestamps.map(|all| all.iter().map(integer).collect()).transpose()?;
        let inner = self.get()?;
        Ok(Table::new(move || {
            let timestamps = match &timestamps {
                Some(timestamps) => timestamps.clone(),
                None => inner.timestamps(&dataset)?,
            };
            inner.state_batches(&dataset, &group, timestamps)
        }))
    }

    #[pyo3(signature = (folders, schema, workers, update_pattern=None, progress=None))]
    fn import_json<'py>(
        &self,
        py: Python<'py>,
        folders: (Option<PathBuf>, Option<PathBuf>),
        schema: Option<&[u8]>,
        workers: usize,
        update_pattern: Option<&str>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let options = import_options(folders, schema, workers, update_pattern).map_err(to_py)?;
        let inner = self.get_to_write()?;
        let done = py.enter_long("importing", |signals| {
            simulation::import(&inner, &options, &mut |done, all| {
                signals.report(progress.as_ref(), done, all)
            })
        })?;
        report::import(py, &done)
    }
}

fn import_options(
    (init_dir, updates_dir): (Option<PathBuf>, Option<PathBuf>),
    schema: Option<&[u8]>,
    workers: usize,
    update_pattern: Option<&str>,
) -> siltstone::Result<ImportOptions> {
    let schema = schema.map(Schema::parse).transpose()?.unwrap_or_default();
    let update_pattern = update_pattern.map(str::parse).transpose()?;
    Ok(ImportOptions { init_dir, updates_dir, schema, workers, update_pattern })
}

/// Opens a file for an import, and closes it; one that was made and got nothing is removed.
pub(crate) fn into_file<T>(
    target: &Path,
    how: Options,
    work: impl FnOnce(&simulation::SimulationDatabase) -> siltstone::Result<T>,
) -> siltstone::Result<T> {
    let made = NewFile::at(target);
    let done = simulation::SimulationDatabase::open_with(target, how).and_then(|db| {
        let done = work(&db)?;
        db.close()?;
        Ok(done)
    });
    made.remove_if_empty(&["update", "initial_dataset"]);
    done
}

/// Imports movici's folders into a file, or only reads them.
#[pyfunction]
pub(crate) fn simulation_import_json<'py>(
    py: Python<'py>,
    folders: (Option<PathBuf>, Option<PathBuf>),
    target: Option<PathBuf>,
    schema: Option<&[u8]>,
    workers: usize,
    update_pattern: Option<&str>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let options = import_options(folders, schema, workers, update_pattern).map_err(to_py)?;
    let done = py.enter_long("importing", |signals| {
        let report = &mut |done, all| signals.report(progress.as_ref(), done, all);
        let Some(target) = target else { return simulation::inspect(&options, report) };
        into_file(&target, Options::default(), |db| {
            let imported = simulation::import(db, &options, report)?;
            db.build_keyframes()?;
            db.mark_ended(None)?;
            Ok(imported)
        })
    })?;
    report::import(py, &done)
}

/// Puts replace a file by a backup.
#[pyfunction]
pub(crate) fn restore<'py>(
    py: Python<'py>,
    source: PathBuf,
    target: PathBuf,
    overwrite: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let made = py.enter(|| siltstone::restore(&source, &target, overwrite))?;
    report::backup(py, &made)
}
