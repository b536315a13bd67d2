//! `Opened`: a file, or a folder of ticks; `siltstone/_open.py` makes its class of it.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use siltstone::lake::{PublishOptions, publish};

use crate::arrow::Table;
use crate::enter::Enter;
use crate::errors::to_py;
use crate::handle::Handle;
use crate::query::Query;
use crate::report;
use crate::series_store::SeriesStore;
use crate::tick_store::TickStore;

/// A file, or a folder of ticks.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct Opened {
    handle: Handle<siltstone::Handle>,
}

#[pymethods]
impl Opened {
    #[new]
    fn new(py: Python<'_>, path: PathBuf, read_only: bool) -> PyResult<Self> {
        let inner = py.enter(|| match read_only {
            true => siltstone::open_read_only(&path),
            false => siltstone::open(&path),
        })?;
        Ok(Opened { handle: Handle::new(inner, path) })
    }

    fn ticks(&self, outcomes: [Py<PyAny>; 3]) -> PyResult<TickStore> {
        let inner = self.handle.get()?;
        Ok(TickStore::new_over(inner.ticks().map_err(to_py)?.clone(), outcomes))
    }

    fn series(&self, py: Python<'_>) -> PyResult<SeriesStore> {
        let inner = self.handle.get()?;
        Ok(SeriesStore::over(py.enter(|| inner.series())?))
    }

    /// As JSON.
    fn info(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.handle.get()?;
        let info = py.enter_abandonable(move || inner.info())?;
        Ok(serde_json::to_string(&info).expect("names and numbers are JSON"))
    }

    fn sql(&self, py: Python<'_>, sql: String) -> PyResult<Query> {
        let inner = self.handle.get()?;
        let inner = py.enter_abandonable(move || inner.sql(&sql))?;
        Ok(Query { inner })
    }

    /// The same rows as a table; the statement runs each time that the table is streamed.
    fn sql_table(&self, sql: String) -> PyResult<Table> {
        let inner = self.handle.get()?;
        Ok(Table::new(move || inner.arrow(&sql)))
    }

    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let inner = self.handle.get()?;
        let found = py.enter_abandonable(move || inner.verify())?;
        report::verify(py, &found)
    }

    fn backup(&self, py: Python<'_>, target: PathBuf) -> PyResult<u64> {
        let inner = self.handle.get()?;
        py.enter(|| inner.backup(target))
    }

    fn compact(&self, py: Python<'_>) -> PyResult<(u64, u64, u64, u64)> {
        let inner = self.handle.get()?;
        let done =
            py.enter_long("compacting", |signals| inner.compact(&mut |_, _| signals.check()))?;
        Ok(report::compact(&done))
    }

    /// The tables that changed and those that failed, as JSON.
    fn publish(
        &self,
        py: Python<'_>,
        to: String,
        tables: Vec<String>,
        states: (Option<i64>, Vec<i64>),
        max_memory: Option<u64>,
        flags: (bool, bool, bool),
    ) -> PyResult<String> {
        let inner = self.handle.get()?;
        let mut options = PublishOptions::default();
        options.tables = tables;
        (options.states_every, options.state_times) = states;
        options.max_memory = max_memory;
        (options.live, options.rebuild_ledger, options.new_identity) = flags;
        let done = py.enter_long("publishing", |signals| {
            publish(&inner, &to, &options, &mut |_, _| signals.check())
        })?;
        Ok(serde_json::to_string(&done).expect("names and numbers are JSON"))
    }

    fn expand(&self, py: Python<'_>) -> PyResult<u64> {
        let inner = self.handle.get()?;
        py.enter(|| inner.expand())
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.handle.is_open()
    }

    /// Lets a file go: stores that were opened of it stay open. Ticks are stopped.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.handle.take() {
            Some(inner) => py.enter(|| inner.close()),
            None => Ok(()),
        }
    }
}
