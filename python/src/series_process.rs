//! The functions of series, each from parts to parts.

use pyo3::prelude::*;
use siltstone::Result;
use siltstone::series::process::{self, Aggregation, By, Frequency, Replacement};
use siltstone::series::{IndexValue, Series};

use crate::enter::Enter;
use crate::series_store::{Parts, Value, from_series, index_value, to_series};

/// What is put in place of values; `None` is nothing.
#[derive(FromPyObject)]
pub(crate) enum With {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

/// Two labels, both included; `None` is open.
type Ends = (Option<Value>, Option<Value>);

fn run<'py>(
    py: Python<'py>,
    series: Parts<'_>,
    work: impl FnOnce(&Series) -> Result<Series> + Send,
) -> PyResult<Parts<'py>> {
    let series = to_series(series)?;
    from_series(py, &py.enter(|| work(&series))?)
}

#[pyfunction]
pub(crate) fn series_resample<'py>(
    py: Python<'py>,
    series: Parts<'_>,
    frequency: &str,
    how: &str,
) -> PyResult<Parts<'py>> {
    run(py, series, |series| {
        process::resample(series, &Frequency::parse(frequency)?, Aggregation::parse(how)?)
    })
}

#[pyfunction]
pub(crate) fn series_interpolate<'py>(
    py: Python<'py>,
    series: Parts<'_>,
    by: &str,
) -> PyResult<Parts<'py>> {
    run(py, series, |series| process::interpolate(series, By::parse(by)?))
}

#[pyfunction]
pub(crate) fn series_subset<'py>(
    py: Python<'py>,
    series: Parts<'_>,
    start: Option<Value>,
    end: Option<Value>,
) -> PyResult<Parts<'py>> {
    let (start, end) = ends((start, end));
    run(py, series, |series| process::subset(series, start.as_ref(), end.as_ref()))
}

#[pyfunction]
pub(crate) fn series_subset_rank<'py>(
    py: Python<'py>,
    series: Parts<'_>,
    start: Option<i64>,
    end: Option<i64>,
) -> PyResult<Parts<'py>> {
    run(py, series, |series| process::subset_rank(series, start, end))
}

#[pyfunction]
pub(crate) fn series_replace_ranges<'py>(
    py: Python<'py>,
    series: Parts<'_>,
    ranges: Vec<Ends>,
    replace_with: Option<With>,
) -> PyResult<Parts<'py>> {
    let ranges: Vec<_> = ranges.into_iter().map(ends).collect();
    let with = match replace_with {
        None => Replacement::Missing,
        Some(With::Bool(flag)) => Replacement::Bool(flag),
        Some(With::Int(n)) => Replacement::Int(n),
        Some(With::Float(x)) => Replacement::Float(x),
        Some(With::Text(text)) => Replacement::Text(text),
    };
    run(py, series, |series| process::replace_ranges(series, &ranges, &with))
}

#[pyfunction]
pub(crate) fn series_average<'py>(py: Python<'py>, series: Vec<Parts<'_>>) -> PyResult<Parts<'py>> {
    let series = series.into_iter().map(to_series).collect::<PyResult<Vec<_>>>()?;
    let all: Vec<&Series> = series.iter().collect();
    from_series(py, &py.enter(|| process::average(&all))?)
}

#[pyfunction]
pub(crate) fn series_normalize_index<'py>(
    py: Python<'py>,
    series: Parts<'_>,
    unit: &str,
    reference: Option<Value>,
) -> PyResult<Parts<'py>> {
    let reference = reference.map(index_value);
    run(py, series, |series| process::normalize_index(series, unit, reference.as_ref()))
}

#[pyfunction]
pub(crate) fn series_predict<'py>(py: Python<'py>, series: Parts<'_>) -> PyResult<Parts<'py>> {
    run(py, series, process::predict_from_previous_point)
}

fn ends((start, end): Ends) -> (Option<IndexValue>, Option<IndexValue>) {
    (start.map(index_value), end.map(index_value))
}
