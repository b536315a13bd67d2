//! A dataset in the layout of meteaudata.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pyo3::prelude::*;
use siltstone::series::meteaudata::{WriteDatasetOptions, write_dataset};

use crate::enter::Enter;
use crate::series_store::SeriesStore;

/// A signal alone, the separator, the head of the index, the heads of the values.
type Layout = (Option<String>, char, Option<String>, BTreeMap<String, String>);

/// Writes a dataset, or a signal of it, as a zip or folder; the number of its points.
#[pyfunction]
pub(crate) fn series_write_meteaudata(
    py: Python<'_>,
    store: &SeriesStore,
    dataset: &str,
    path: PathBuf,
    overwrite: bool,
    layout: Layout,
) -> PyResult<u64> {
    let (signal, separator, index_name, value_names) = layout;
    let separator = Some(separator);
    let options = WriteDatasetOptions { overwrite, signal, separator, index_name, value_names };
    Ok(py.enter(|| write_dataset(store.backend(), dataset, &path, &options))?.rows)
}
