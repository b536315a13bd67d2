//! The experiment store's handle.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use pyo3::prelude::*;
use siltstone::Database;
use siltstone::experiment::{
    self, At, ExportOptions, RecordUpdate, Retention, Selection, SimulationOptions,
};
use siltstone::table::Format;

use crate::arrays_out::Out;
use crate::arrow::Table;
use crate::enter::Enter;
use crate::errors::{invalid, to_py};
use crate::experiment_logger::{DataLogger, logging};
use crate::experiment_reads::{Chosen, json, which};
use crate::handle::Handle;
use crate::query::Query;
use crate::record_cells::to_json_of_run;
use crate::report;

type Inner = experiment::ExperimentDatabase;

/// A handle to experiments and simulations.
#[pyclass(frozen, weakref, module = "siltstone._siltstone")]
pub(crate) struct ExperimentDatabase {
    handle: Handle<Inner>,
}

impl ExperimentDatabase {
    pub(crate) fn over(inner: Inner) -> Self {
        let path = inner.database().path().to_owned();
        ExperimentDatabase { handle: Handle::new(inner, path) }
    }

    pub(crate) fn get(&self) -> PyResult<Inner> {
        self.handle.get()
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
        Ok(ExperimentDatabase::over(inner))
    }

    #[getter]
    fn path(&self) -> &PathBuf {
        &self.handle.path
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.handle.is_open()
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
            let text = to_json_of_run("parameters", parameters)?;
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

    fn compact_when_completed(&self, yes: bool) -> PyResult<()> {
        self.get()?.compact_when_completed(yes);
        Ok(())
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
        let summary = summary.map(|s| to_json_of_run("results_summary", s)).transpose()?;
        py.enter(|| inner.update_simulation_status(simulation_id, status, summary.as_deref()))
    }

    fn update_simulation_record(
        &self,
        py: Python<'_>,
        simulation_id: &str,
        status: Option<String>,
        end_time: Option<SystemTime>,
        summary: Option<&Bound<'_, PyAny>>,
        simulation_db_path: Option<String>,
    ) -> PyResult<()> {
        let inner = self.get()?;
        let results_summary = summary.map(|s| to_json_of_run("results_summary", s)).transpose()?;
        let update = RecordUpdate { status, end_time, results_summary, simulation_db_path };
        py.enter(|| inner.update_simulation_record(simulation_id, update))
    }

    fn update_experiment_status(
        &self,
        py: Python<'_>,
        status: &str,
        summary: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let inner = self.get()?;
        let summary = summary.map(|s| to_json_of_run("results_summary", s)).transpose()?;
        py.enter(|| inner.update_experiment_status(status, summary.as_deref()))
    }

    fn flush_all_buffers(&self, py: Python<'_>) -> PyResult<()> {
        let inner = self.get()?;
        py.enter(|| inner.flush_all_buffers())
    }

    fn delete_simulation(&self, py: Python<'_>, simulation_id: &str) -> PyResult<u64> {
        let inner = self.get()?;
        py.enter(|| inner.delete_simulation(simulation_id))
    }

    fn compact(&self, py: Python<'_>, simulation_id: &str) -> PyResult<(u64, u64, u64, u64)> {
        let inner = self.get()?;
        Ok(report::compact(&py.enter(|| inner.compact(simulation_id))?))
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
        py.enter(|| inner.flush_all_buffers())?;
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
        let Some(inner) = self.handle.take() else { return Ok(()) };
        let closed = py.enter(|| inner.close());
        if closed.is_err() {
            // What waits is still in memory: the handle stays open, to be closed again.
            self.handle.put_back(inner);
        } else {
            py.detach(|| drop(inner));
        }
        closed
    }

    fn simulations(&self, py: Python<'_>, chosen: Option<Chosen>) -> PyResult<String> {
        let inner = self.get()?;
        py.enter(|| json(&which(chosen.as_ref(), |w| inner.simulations(w))?))
    }

    fn compare(&self, chosen: Option<Chosen>, metrics: Vec<(String, String)>) -> PyResult<Table> {
        let inner = self.get()?;
        let metrics = metrics
            .into_iter()
            .map(|(name, at)| Ok((name, at.parse::<At>()?)))
            .collect::<siltstone::Result<Vec<_>>>()
            .map_err(to_py)?;
        Ok(Table::new(move || {
            let metrics: Vec<(&str, At)> =
                metrics.iter().map(|(name, at)| (name.as_str(), *at)).collect();
            which(chosen.as_ref(), |w| inner.compare(w, &metrics))
        }))
    }

    fn pivot(&self, chosen: Option<Chosen>, metric: String) -> PyResult<Table> {
        let inner = self.get()?;
        Ok(Table::new(move || which(chosen.as_ref(), |w| inner.pivot(w, &metric))))
    }

    fn parameters(&self, chosen: Option<Chosen>, only_differing: bool) -> PyResult<Table> {
        let inner = self.get()?;
        Ok(Table::new(move || which(chosen.as_ref(), |w| inner.parameters(w, only_differing))))
    }

    fn difference(&self, first: String, second: String) -> PyResult<Table> {
        let inner = self.get()?;
        Ok(Table::new(move || inner.difference(&first, &second)))
    }

    fn metric(
        &self,
        py: Python<'_>,
        simulation_id: &str,
        metric: &str,
    ) -> PyResult<Vec<(i64, f64)>> {
        let inner = self.get()?;
        py.enter(|| inner.metric(simulation_id, metric))
    }

    fn metric_names(&self, py: Python<'_>, simulation_id: &str) -> PyResult<Vec<String>> {
        let inner = self.get()?;
        py.enter(|| inner.metric_names(simulation_id))
    }

    fn sizes(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.get()?;
        py.enter(|| json(&inner.sizes()?))
    }

    fn retain(
        &self,
        py: Python<'_>,
        keep_last: Option<usize>,
        keep_for: Option<f64>,
        filter: Option<String>,
        all: bool,
        dry_run: bool,
    ) -> PyResult<Vec<String>> {
        let inner = self.get()?;
        let seconds = |s: f64| {
            Duration::try_from_secs_f64(s)
                .map_err(|_| invalid("keep_for", "seconds, not negative", s.to_string()))
        };
        let retention =
            Retention { keep_last, keep_for: keep_for.map(seconds).transpose()?, filter, all };
        py.enter(|| inner.retain(&retention, dry_run))
    }

    fn split(&self, py: Python<'_>, chosen: Option<Chosen>, target: PathBuf) -> PyResult<String> {
        let inner = self.get()?;
        py.enter(|| json(&which(chosen.as_ref(), |w| inner.split(w, &target))?))
    }

    #[allow(clippy::too_many_arguments, reason = "an options object of Python, taken apart")]
    fn export(
        &self,
        py: Python<'_>,
        chosen: Option<Chosen>,
        folder: PathBuf,
        format: &str,
        tables: Vec<String>,
        steps: Option<(i64, i64)>,
        overwrite: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let inner = self.get()?;
        let format: Format = format.parse().map_err(to_py)?;
        let selection =
            steps.map_or(Selection::all(), |(first, last)| Selection::all().steps(first..=last));
        let options =
            ExportOptions { format, tables, selection, overwrite, escape_formulas: false };
        py.enter_long("exporting", |signals| {
            let mut report = |done, all| signals.report(progress.as_ref(), done, all);
            json(&which(chosen.as_ref(), |w| inner.export(w, &folder, &options, &mut report))?)
        })
    }
}
