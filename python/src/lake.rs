//! Lakes; `siltstone/_lake.py` makes its class of it. Reports are JSON.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;
use serde::Serialize;
use siltstone::lake::{PullOptions, VacuumOptions, pull, remove, tables, vacuum, verify};
use siltstone::series::series_of;
use siltstone::table::Batches;
use siltstone::ticks::{OhlcOptions, bars_to_arrow, ohlc_of};

use crate::columns::Columns;
use crate::enter::Enter;
use crate::errors::to_py;
use crate::series_store::SeriesStore;

fn json(report: &impl Serialize) -> String {
    serde_json::to_string(report).expect("names and numbers are JSON")
}

#[pyfunction]
pub(crate) fn lake_tables(py: Python<'_>, address: String) -> PyResult<String> {
    let found = py.enter_abandonable(move || tables(&address))?;
    Ok(json(&found))
}

#[pyfunction]
pub(crate) fn lake_verify(
    py: Python<'_>,
    address: String,
    file: Option<PathBuf>,
) -> PyResult<String> {
    let report = py.enter_long("verifying a lake", |signals| {
        let handle = file.map(siltstone::open_read_only).transpose()?;
        verify(&address, handle.as_ref(), &mut |_, _| signals.check())
    })?;
    Ok(json(&report))
}

#[pyfunction]
pub(crate) fn lake_remove(
    py: Python<'_>,
    address: String,
    store_id: String,
    dry_run: bool,
) -> PyResult<String> {
    let removed = py.enter_abandonable(move || remove(&address, &store_id, dry_run))?;
    Ok(json(&removed))
}

#[pyfunction]
pub(crate) fn lake_vacuum(
    py: Python<'_>,
    address: String,
    older_than_s: f64,
    dry_run: bool,
    no_senders: bool,
) -> PyResult<String> {
    let mut options = VacuumOptions::default();
    options.older_than = Duration::from_secs_f64(older_than_s);
    options.dry_run = dry_run;
    options.no_senders = no_senders;
    let report = py.enter_long("removing files of a lake", |signals| {
        vacuum(&address, &options, &mut |_, _| signals.check())
    })?;
    Ok(json(&report))
}

#[pyfunction]
pub(crate) fn lake_pull(
    py: Python<'_>,
    address: String,
    output: PathBuf,
    tables: Vec<String>,
    store: Option<String>,
    filters: Vec<(String, String)>,
) -> PyResult<String> {
    let mut options = PullOptions::default();
    options.tables = tables;
    options.store = store;
    options.filters = filters;
    let report = py.enter_long("pulling", |signals| {
        pull(&address, &output, &options, &mut |_, _| signals.check())
    })?;
    Ok(json(&report.tables))
}

#[pyfunction]
pub(crate) fn lake_bucket(name: &str) -> u64 {
    siltstone::table::bucket(name)
}

fn batches(table: AnyRecordBatch) -> PyResult<Batches> {
    Ok(Batches::from_reader(table.into_reader()?))
}

/// Bars of ticks that an engine has read, in the order of their times.
#[pyfunction]
pub(crate) fn lake_ohlc(
    py: Python<'_>,
    ticks: AnyRecordBatch,
    interval_ns: i64,
    price: &str,
    origin_ns: i64,
    fill: &str,
) -> PyResult<Columns> {
    let price = price.parse().map_err(to_py)?;
    let fill = fill.parse().map_err(to_py)?;
    let options = OhlcOptions { price, origin_ns, fill, ..OhlcOptions::default() };
    let ticks = batches(ticks)?;
    py.enter(|| bars_to_arrow(&ohlc_of(ticks, interval_ns, options)?)).map(Columns::new)
}

/// A series that an engine has read, in memory.
#[pyfunction]
pub(crate) fn lake_series(
    py: Python<'_>,
    row: AnyRecordBatch,
    points: AnyRecordBatch,
) -> PyResult<SeriesStore> {
    let (row, points) = (batches(row)?, batches(points)?);
    let backend = py.enter(|| series_of(row, points))?;
    Ok(SeriesStore::in_memory(backend))
}
