//! Files that no store writes.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::enter::Enter;

/// Writes a file whole or not at all.
#[pyfunction]
pub(crate) fn write_file(py: Python<'_>, path: PathBuf, data: Vec<u8>) -> PyResult<()> {
    py.enter(|| siltstone::write_file(&path, &data))
}
