//! The rules of names, keys and histories of datasets, as the library has them.

use pyo3::prelude::*;
use siltstone::series::tree::{self, ProcessingStep};

use crate::errors::{invalid, to_py};

fn steps(json: &str) -> PyResult<Vec<ProcessingStep>> {
    serde_json::from_str(json)
        .map_err(|e| invalid("processing steps", "a list of steps", e.to_string()))
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("names and numbers are JSON")
}

/// The name of a signal, with its number.
#[pyfunction]
pub(crate) fn signal_name(name: &str) -> PyResult<String> {
    tree::signal_name(name).map_err(to_py)
}

/// What a series is called within its signal.
#[pyfunction]
pub(crate) fn series_within<'a>(signal: &str, series: &'a str) -> &'a str {
    tree::within(signal, series)
}

/// Signal, base and number of a full name.
#[pyfunction]
pub(crate) fn series_parse(name: &str) -> PyResult<(&str, &str, u64)> {
    tree::parse_series_name(name).map_err(to_py)
}

/// The base and the number of a name; `None` if it has none.
#[pyfunction]
pub(crate) fn series_split(name: &str) -> (&str, Option<u64>) {
    tree::split_number(name)
}

/// Which of the full names of a signal's series a name means.
#[pyfunction]
pub(crate) fn series_find(
    signal: &str,
    names: Vec<String>,
    name: &str,
) -> PyResult<Option<String>> {
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = tree::find_series(signal, &all, name).map_err(to_py)?;
    Ok(found.map(|found| names[found].clone()))
}

/// The numbers of new names.
#[pyfunction]
pub(crate) fn series_numbers(bases: Vec<String>, names: Vec<String>, replace: bool) -> Vec<u64> {
    let bases: Vec<&str> = bases.iter().map(String::as_str).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    tree::numbers(&bases, &names, replace)
}

/// The key of a series.
#[pyfunction]
pub(crate) fn series_key(dataset: &str, signal: &str, series: &str) -> String {
    tree::key_of(dataset, signal, series)
}

/// Signal and full name of the series of a key of a dataset.
#[pyfunction]
pub(crate) fn series_of_key(dataset: &str, key: &str) -> Option<(String, String)> {
    tree::of_key(dataset, key)
}

/// The name of the record of a dataset or, with a signal, of that; an empty signal gives what the names of all
/// records of signals begin with.
#[pyfunction]
#[pyo3(signature = (dataset, signal=None))]
pub(crate) fn series_record_name(dataset: &str, signal: Option<&str>) -> String {
    match signal {
        Some(signal) => tree::signal_record(dataset, signal),
        None => tree::dataset_record(dataset),
    }
}

/// A part of a key or of the name of a record, as the text it was made of.
#[pyfunction]
pub(crate) fn series_unescape(part: &str) -> String {
    tree::unescape(part)
}

/// The history of a series that was made; histories and new steps as JSON.
#[pyfunction]
pub(crate) fn series_history(
    inputs: Vec<(String, String)>,
    new: &str,
    output: &str,
) -> PyResult<String> {
    let inputs: Vec<(String, Vec<ProcessingStep>)> = inputs
        .into_iter()
        .map(|(name, json)| Ok((name, steps(&json)?)))
        .collect::<PyResult<_>>()?;
    let borrowed: Vec<(&str, &[ProcessingStep])> =
        inputs.iter().map(|(name, steps)| (name.as_str(), steps.as_slice())).collect();
    Ok(json(&tree::history(&borrowed, steps(new)?, output)))
}

/// What a series was made of, as JSON.
#[pyfunction]
pub(crate) fn series_dependencies(series: &str, history: &str) -> PyResult<String> {
    Ok(json(&tree::dependencies(series, &steps(history)?)))
}

/// The time now, as records write it.
#[pyfunction]
pub(crate) fn series_now() -> String {
    tree::now()
}
