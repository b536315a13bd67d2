//! The rows of an SQL statement.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use siltstone::Value;

/// Columns and rows.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct Query {
    pub(crate) inner: siltstone::Query,
}

fn to_object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Integer(n) => Ok(n.into_pyobject(py)?.into_any()),
        Value::Real(x) => Ok(x.into_pyobject(py)?.into_any()),
        Value::Text(text) => Ok(text.into_pyobject(py)?.into_any()),
        Value::Blob(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        _ => Ok(py.None().into_bound(py)),
    }
}

#[pymethods]
impl Query {
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.inner.columns.clone()
    }

    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = self.inner.rows.iter().map(|row| {
            let cells = row.iter().map(|cell| to_object(py, cell)).collect::<PyResult<Vec<_>>>()?;
            PyTuple::new(py, cells)
        });
        PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?)
    }

    fn __len__(&self) -> usize {
        self.inner.rows.len()
    }
}
