//! The experiment store's handle.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use pyo3::prelude::*;
use siltstone::experiment::{self, Selection, SimulationOptions};
use siltstone::{Database, Error};

use crate::arrays_out::Out;
use crate::arrow::Table;
use crate::enter::Enter;
use crate::errors::{invalid, to_py};
use crate::experiment_logger::{DataLogger, logging};
use crate::query::Query;
use crate::record_cells::to_json;
use crate::report;

type Inner = experiment::ExperimentDatabase;

/// A handle to experiments and simulations.
#[pyclass(frozen, weakref, module = "siltstone._siltstone")]
pub(crate) struct ExperimentDatabase {
    /// `None` once it is closed.
    inner: RwLock<Option<Inner>>,
    path: PathBuf,
    pid: u32,
}

impl ExperimentDatabase {
    pub(crate) fn get(&self) -> PyResult<Inner> {
        let what = || format!("the handle to {}", self.path.display());
        if self.pid != std::process::id() {
            let why = "belongs to the process that this one was forked from; open the file here";
            return Err(to_py(Error::Closed { what: what(), why }));
        }
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let closed =
            || to_py(Error::Closed { what: what(), why: "is closed; open the file again" });
        inner.clone().ok_or_else(closed)
    }
}

impl Drop for ExperimentDatabase {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if self.pid != std::process::id() {
            std::mem::forget(inner);
        } else if inner.is_some() {
            Python::try_attach(|py| py.detach(|| drop(inner)));
        }
    }
}

#[pymethods]
impl ExperimentDatabase {
    #[new]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        experiment_id: Option<&str>,
        profile: &str,
        busy_timeout: f64,
        read_only: bool,
    ) -> PyResult<Self> {
        let busy = Duration::try_from_secs_f64(busy_timeout).map_err(|_| {
            invalid("busy_timeout", "seconds, not negative", busy_timeout.to_string())
        })?;
        let builder =
            Database::builder(&path).profile(profile.parse().map_err(to_py)?).busy_timeout(busy);
        let inner = py.enter(|| {
            let db = if read_only { builder.open_read_only() } else { builder.open() }?;
            Inner::over(db, experiment_id)
        })?;
        let path = inner.database().path().to_owned();
        Ok(ExperimentDatabase { inner: RwLock::new(Some(inner)), path, pid: std::process::id() })
    }

    #[getter]
    fn path(&self) -> &PathBuf {
        &self.path
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.pid == std::process::id()
            && self.inner.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    #[allow(clippy::too_many_arguments, reason = "an options object of Python, taken apart")]
    fn create(
        &self,
        py: Python<'_>,
        simulation_id: &str,
        parameters: Option<&Bound<'_, PyAny>>,
        facts: &str,
        provenance: bool,
        buffer_size: usize,
        commit_interval: f64,
        durability: &str,
    ) -> PyResult<DataLogger> {
        let inner = self.get()?;
        let facts = serde_json::from_str(facts)
            .map_err(|error| invalid("facts", "a JSON object", error.to_string()))?;
        let mut options = SimulationOptions::default()
            .logging(logging(buffer_size, commit_interval, durability)?)
            .facts(facts)
            .provenance(provenance);
        if let Some(parameters) = parameters {
            let text = to_json("parameters", parameters)?;
            options = options.parameters_json(&text).map_err(to_py)?;
        }
        py.enter(|| inner.create_simulation_context(simulation_id, options)).map(DataLogger::new)
    }

    #[allow(clippy::too_many_arguments, reason = "an options object of Python, taken apart")]
    fn resume(
        &self,
        py: Python<'_>,
        simulation_id: &str,
        from_step: Option<i64>,
        buffer_size: usize,
        commit_interval: f64,
        durability: &str,
    ) -> PyResult<DataLogger> {
        let inner = self.get()?;
        let logging = logging(buffer_size, commit_interval, durability)?;
        py.enter(|| inner.resume(simulation_id, from_step, logging)).map(DataLogger::new)
    }

    fn simulation_ids(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let inner = self.get()?;
        py.enter(|| inner.simulation_ids())
    }

    fn update_simulation_status(
        &self,
        py: Python<'_>,
        simulation_id: &str,
        status: &str,
        summary: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let inner = self.get()?;
        let summary = summary.map(|s| to_json("results_summary", s)).transpose()?;
        py.enter(|| inner.update_simulation_status(simulation_id, status, summary.as_deref()))
    }

    fn update_experiment_status(
        &self,
        py: Python<'_>,
        status: &str,
        summary: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let inner = self.get()?;
        let summary = summary.map(|s| to_json("results_summary", s)).transpose()?;
        py.enter(|| inner.update_experiment_status(status, summary.as_deref()))
    }

    fn flush_all_buffers(&self, py: Python<'_>) -> PyResult<()> {
        let inner = self.get()?;
        py.detach(|| inner.flush_all_buffers()).map_err(to_py)
    }

    fn delete_simulation(&self, py: Python<'_>, simulation_id: &str) -> PyResult<u64> {
        let inner = self.get()?;
        py.enter(|| inner.delete_simulation(simulation_id))
    }

    fn settle(&self, py: Python<'_>, simulation_id: &str) -> PyResult<u64> {
        let inner = self.get()?;
        py.enter(|| inner.settle(simulation_id))
    }

    fn records(
        &self,
        simulation_id: String,
        table: String,
        steps: Option<(i64, i64)>,
        columns: Option<Vec<String>>,
        key: Option<String>,
    ) -> PyResult<Table> {
        let inner = self.get()?;
        Ok(Table::new(move || {
            let mut selection = Selection::all();
            if let Some((first, last)) = steps {
                selection = selection.steps(first..=last);
            }
            if let Some(columns) = &columns {
                selection =
                    selection.columns(&columns.iter().map(String::as_str).collect::<Vec<_>>());
            }
            if let Some(key) = &key {
                selection = selection.key(key);
            }
            inner.records(&simulation_id, &table, &selection)
        }))
    }

    fn array<'py>(
        &self,
        py: Python<'py>,
        simulation_id: &str,
        name: &str,
        step: Option<i64>,
    ) -> PyResult<(i64, Bound<'py, PyAny>)> {
        let inner = self.get()?;
        let (step, array) = py.enter(|| inner.array(simulation_id, name, step))?;
        Ok((step, Out::new(py).array(array)?))
    }

    fn sql(&self, py: Python<'_>, sql: String) -> PyResult<(Query, Table)> {
        let inner = self.get()?;
        py.detach(|| inner.flush_all_buffers()).map_err(to_py)?;
        let (own, text) = (inner.clone(), sql.clone());
        let found = py.enter_abandonable(move || own.database().sql(&text))?;
        let table = Table::new(move || inner.database().arrow(&sql));
        Ok((Query { inner: found }, table))
    }

    fn vacuum(&self, py: Python<'_>) -> PyResult<u64> {
        let inner = self.get()?;
        py.enter(|| inner.database().vacuum())
    }

    fn backup_into<'py>(
        &self,
        py: Python<'py>,
        folder: PathBuf,
        keep: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let inner = self.get()?;
        let report = py.enter(|| {
            inner.flush_all_buffers()?;
            inner.database().backup_into(&folder, keep)
        })?;
        Ok(report::backup(py, &report)?.into_any())
    }

    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let inner = self.get()?;
        let report = py.enter_abandonable(move || inner.database().verify())?;
        Ok(report::verify(py, &report)?.into_any())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.pid != std::process::id() {
            return Ok(());
        }
        let inner = self.inner.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(inner) = inner else { return Ok(()) };
        let closed = py.detach(|| inner.close());
        if closed.is_err() {
            // What waits is still in memory: the handle stays open, to be closed again.
            *self.inner.write().unwrap_or_else(PoisonError::into_inner) = Some(inner);
        } else {
            py.detach(|| drop(inner));
        }
        closed.map_err(to_py)
    }
}
