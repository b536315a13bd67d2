//! Arrow out, without pyarrow: the C stream interface.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, Field, Schema};
use pyo3::prelude::*;
use pyo3_arrow::PyTable;
use siltstone::Value;

use crate::errors::invalid;
use crate::query::Query;

fn to_error(error: ArrowError) -> PyErr {
    invalid("Arrow", "values that Arrow can hold", error.to_string())
}

/// The capsule of an Arrow C stream over one batch.
fn stream<'py>(
    py: Python<'py>,
    columns: Vec<(String, ArrayRef)>,
    rows: usize,
    requested: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, c)| Field::new(name, c.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch =
        RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(to_error)?;
    let table = Bound::new(py, PyTable::try_new(vec![batch], schema)?)?;
    table.call_method1("__arrow_c_stream__", (requested,))
}

/// An SQL result: a column is of integers, floats, text or bytes if all its values are (integers may
/// be among floats), else of text.
#[pyfunction]
#[pyo3(signature = (query, requested=None))]
pub(crate) fn query_to_arrow<'py>(
    py: Python<'py>,
    query: &Query,
    requested: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let found = &query.inner;
    let columns = (0..found.columns.len())
        .map(|i| (found.columns[i].clone(), column(found.rows.iter().map(|row| &row[i]))))
        .collect();
    stream(py, columns, found.rows.len(), requested)
}

fn column<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> ArrayRef {
    let all = |is: fn(&Value) -> bool| values.clone().all(|v| matches!(v, Value::Null) || is(v));
    if all(|v| matches!(v, Value::Integer(_))) {
        let mut out = Int64Builder::new();
        values.for_each(|v| {
            out.append_option(if let Value::Integer(n) = v { Some(*n) } else { None })
        });
        return Arc::new(out.finish());
    }
    if all(|v| matches!(v, Value::Integer(_) | Value::Real(_))) {
        let mut out = Float64Builder::new();
        values.for_each(|v| {
            out.append_option(match v {
                Value::Integer(n) => Some(*n as f64),
                Value::Real(x) => Some(*x),
                _ => None,
            });
        });
        return Arc::new(out.finish());
    }
    if all(|v| matches!(v, Value::Blob(_))) {
        let mut out = BinaryBuilder::new();
        values.for_each(|v| out.append_option(if let Value::Blob(b) = v { Some(b) } else { None }));
        return Arc::new(out.finish());
    }
    let mut out = StringBuilder::new();
    values.for_each(|v| {
        out.append_option(match v {
            Value::Integer(n) => Some(n.to_string()),
            Value::Real(x) => Some(x.to_string()),
            Value::Text(text) => Some(text.clone()),
            Value::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        });
    });
    Arc::new(out.finish())
}

/// One entity group as a table: a row an entity.
#[pyfunction]
#[pyo3(signature = (name, group, requested=None))]
pub(crate) fn entities_to_arrow<'py>(
    py: Python<'py>,
    name: &str,
    group: &Bound<'py, PyAny>,
    requested: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let _ = (py, name, group, requested);
    Err(invalid("Arrow", "a later build", "this one"))
}
