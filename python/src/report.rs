//! The library's reports as dictionaries; `siltstone/*.py` makes named tuples of them.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use siltstone::simulation::{ImportReport, Run};
use siltstone::{BackupReport, CompactReport, Skipped, Stats, VerifyReport};

pub(crate) fn verify<'py>(py: Python<'py>, report: &VerifyReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("pages", report.pages)?;
    dict.set_item("checksums", report.checksums)?;
    dict.set_item("without_checksum", report.without_checksum)?;
    dict.set_item("rows_without_checksum", report.rows_without_checksum)?;
    let findings =
        report.findings.iter().map(|finding| (finding.location.as_str(), finding.what.as_str()));
    dict.set_item("findings", findings.collect::<Vec<_>>())?;
    Ok(dict)
}

/// Rows, blocks, bytes before and after.
pub(crate) fn compact(report: &CompactReport) -> (u64, u64, u64, u64) {
    (report.rows, report.blocks, report.bytes_before, report.bytes_after)
}

pub(crate) fn backup<'py>(py: Python<'py>, report: &BackupReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("path", &report.path)?;
    dict.set_item("size_bytes", report.size_bytes)?;
    let rows = PyDict::new(py);
    report.rows.iter().try_for_each(|(table, n)| rows.set_item(table, n))?;
    dict.set_item("rows", rows)?;
    dict.set_item("removed", &report.removed)?;
    Ok(dict)
}

pub(crate) fn stats<'py>(py: Python<'py>, stats: &Stats) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("jobs_accepted", stats.jobs_accepted)?;
    dict.set_item("jobs_committed", stats.jobs_committed)?;
    dict.set_item("jobs_failed", stats.jobs_failed)?;
    dict.set_item("jobs_refused", stats.jobs_refused)?;
    dict.set_item("buffered_failed", stats.buffered_failed)?;
    dict.set_item("transactions", stats.transactions)?;
    dict.set_item("largest_group", stats.largest_group)?;
    dict.set_item("busy_waits", stats.busy_waits)?;
    dict.set_item("commit_ns", stats.commit_ns)?;
    dict.set_item("queue_depth", stats.queue_depth)?;
    dict.set_item("reads", stats.reads)?;
    dict.set_item("readers_opened", stats.readers_opened)?;
    Ok(dict)
}

pub(crate) fn run<'py>(py: Python<'py>, run: &Run) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("status", run.status.to_string())?;
    dict.set_item("started_ns", run.started_ns)?;
    dict.set_item("finished_ns", run.finished_ns)?;
    dict.set_item("error", run.error.as_deref())?;
    let timeline = run.timeline.map(|t| (t.reference, t.time_scale, t.start_time));
    dict.set_item("timeline", timeline)?;
    Ok(dict)
}

pub(crate) fn import<'py>(py: Python<'py>, report: &ImportReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("updates", report.updates)?;
    dict.set_item("unchanged", report.unchanged)?;
    dict.set_item("initial_datasets", report.initial_datasets)?;
    dict.set_item("bytes", report.bytes)?;
    dict.set_item("other_files", report.other_files)?;
    let skipped = report.skipped.iter().map(|skipped| {
        let Skipped { path, table, row, rows, reason, .. } = skipped;
        (path, table.as_deref(), *row, *rows, reason.as_str())
    });
    dict.set_item("skipped", skipped.collect::<Vec<_>>())?;
    let conflicts = report.conflicts.iter().map(|c| (&c.source, c.what.as_str(), c.why.as_str()));
    dict.set_item("conflicts", conflicts.collect::<Vec<_>>())?;
    Ok(dict)
}
