//! What the documented calls take: rows of tuples, metrics, steps.

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyTuple};
use siltstone::experiment::Cell;

use crate::arguments::{is_decimal, is_exact};
use crate::errors::{invalid, wrong_type};
use crate::record_cells::{Held, cell, exact_float, held, is_time_of_numpy, rounded, scalar_kind};

/// Rows as tuples of `N`.
pub(crate) fn tuples<'py, const N: usize>(
    what: &str,
    rows: &Bound<'py, PyAny>,
    columns: [&str; N],
) -> PyResult<Vec<Bound<'py, PyTuple>>> {
    let mut out = Vec::with_capacity(rows.len().unwrap_or(0));
    let rows_of = rows.try_iter().map_err(|_| wrong_type(what, "a list of tuples", rows))?;
    for row in rows_of {
        let row = row?;
        let tuple = match row.cast_into_exact::<PyTuple>() {
            Ok(tuple) => tuple,
            Err(other) => {
                let row = other.into_inner();
                let items = row.try_iter().and_then(Iterator::collect::<PyResult<Vec<_>>>);
                PyTuple::new(rows.py(), items.map_err(|_| wrong_type(what, "tuples", &row))?)?
            }
        };
        if tuple.len() != N {
            let expected = format!("{N} values a row: {}", columns.join(", "));
            return Err(invalid(what, &expected, tuple.len().to_string()));
        }
        out.push(tuple);
    }
    Ok(out)
}

/// The items of rows, which hold them.
pub(crate) fn items<'a, 'py, const N: usize>(
    rows: &'a [Bound<'py, PyTuple>],
) -> PyResult<Vec<[Borrowed<'a, 'py, PyAny>; N]>> {
    let item = |row: &'a Bound<'py, PyTuple>, i| row.get_borrowed_item(i);
    let array = |row| -> PyResult<[_; N]> {
        let mut items = [item(row, 0)?; N];
        for (i, slot) in items.iter_mut().enumerate().skip(1) {
            *slot = item(row, i)?;
        }
        Ok(items)
    };
    rows.iter().map(array).collect()
}

pub(crate) fn cells<'a, const N: usize>(
    columns: [&str; N],
    items: &'a [[Borrowed<'_, '_, PyAny>; N]],
) -> PyResult<Vec<[Cell<'a>; N]>> {
    let row = |items: &'a [Borrowed<'_, '_, PyAny>; N]| {
        let mut out = [Cell::Null; N];
        for ((out, item), column) in out.iter_mut().zip(items).zip(columns) {
            *out = cell(column, item)?;
        }
        Ok(out)
    };
    items.iter().map(row).collect()
}

pub(crate) const AGENT: [&str; 10] = [
    "agent_id",
    "position_x",
    "position_y",
    "resource_level",
    "current_health",
    "starting_health",
    "starvation_counter",
    "is_defending",
    "total_reward",
    "age",
];
pub(crate) const RESOURCE: [&str; 4] = ["resource_id", "amount", "position_x", "position_y"];

/// The metrics of a step: names and values.
pub(crate) fn metrics<'py>(
    metrics: Option<&Bound<'py, PyDict>>,
) -> PyResult<Vec<(String, Held<'py>)>> {
    let Some(metrics) = metrics else { return Ok(Vec::new()) };
    let mut out = Vec::with_capacity(metrics.len());
    for (name, value) in metrics.iter() {
        let name: String = name.extract().map_err(|_| wrong_type("a name", "a text", &name))?;
        let value = held(&name, &value)?;
        out.push((name, value));
    }
    Ok(out)
}

pub(crate) fn is_table(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(value.is_instance_of::<PyDict>() || value.hasattr("__arrow_c_stream__")?)
}

pub(crate) fn cells_of<'a>(values: &'a [(String, Held<'_>)]) -> PyResult<Vec<(&'a str, Cell<'a>)>> {
    values.iter().map(|(name, value)| Ok((name.as_str(), value.cell()?))).collect()
}

/// A number, or nothing. One of another type, as a `Decimal`, is taken if a float is equal to it.
pub(crate) fn number(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    let cell = match cell(what, value) {
        Ok(cell) => cell,
        Err(error) => {
            // Of numpy's own, an integer beyond 64 bits with a sign.
            let can_be =
                !value.hasattr("dtype")? || scalar_kind(value)?.is_some_and(|kind| kind == "u");
            return if can_be { other_number(what, value, error).map(Some) } else { Err(error) };
        }
    };
    Ok(match cell {
        Cell::Null => None,
        Cell::Float(x) => Some(x),
        Cell::Int(_) if !value.is_instance_of::<PyInt>() && is_time_of_numpy(value)? => {
            return Err(wrong_type(what, "a number", value));
        }
        Cell::Int(n) => Some(exact_float(what, n)?),
        Cell::Bool(b) => Some(f64::from(u8::from(b))),
        Cell::Text(_) => return Err(wrong_type(what, "a number", value)),
    })
}

/// A number of another type as the float that is equal; `error` if it is none.
#[cold]
fn other_number(what: &str, value: &Bound<'_, PyAny>, error: PyErr) -> PyResult<f64> {
    let is_kept = |x: f64| {
        let is_rounded = !x.is_nan() && is_decimal(value)?;
        if is_rounded { value.eq(x) } else { is_exact(value, x) }
    };
    let py = value.py();
    match value.extract::<f64>() {
        Ok(x) if is_kept(x)? => Ok(x),
        Err(e)
            if !e.is_instance_of::<PyOverflowError>(py)
                && !e.is_instance_of::<PyValueError>(py) =>
        {
            Err(if e.is_instance_of::<PyTypeError>(py) { error } else { e })
        }
        _ if value.is_instance_of::<PyInt>() => Err(error),
        _ => Err(rounded(what, value)?),
    }
}

pub(crate) fn step(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    match cell("step_number", value)? {
        Cell::Int(n) => Ok(n),
        Cell::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => Ok(x as i64),
        _ => Err(wrong_type("step_number", "an integer", value)),
    }
}

/// A JSON object with one more field; a text that is no object is kept in the field `details`.
pub(crate) fn with_field(details: Option<String>, name: &str, value: &str) -> PyResult<String> {
    let inner = match &details {
        None => String::new(),
        Some(text) => match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(inner) => inner.to_owned(),
            None => format!("\"details\": {text}"),
        },
    };
    let comma = if inner.is_empty() { "" } else { ", " };
    Ok(format!("{{{inner}{comma}\"{name}\": {value}}}"))
}

/// A position: two numbers, of a tuple, a list or an array; those behind them do not count.
pub(crate) fn position(value: &Bound<'_, PyAny>) -> PyResult<(f64, f64)> {
    let wrong = || wrong_type("position", "two numbers", value);
    let items = value.try_iter().map_err(|_| wrong())?.collect::<PyResult<Vec<_>>>()?;
    let [x, y, ..] = items.as_slice() else { return Err(wrong()) };
    match (number("position", x)?, number("position", y)?) {
        (Some(x), Some(y)) => Ok((x, y)),
        _ => Err(wrong()),
    }
}
