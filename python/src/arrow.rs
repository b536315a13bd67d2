//! Arrow out, without pyarrow: the C stream interface.

use std::path::PathBuf;

use arrow_array::{RecordBatch, RecordBatchReader};
use pyo3::prelude::*;
use pyo3_arrow::PyRecordBatchReader;
use siltstone::Result;
use siltstone::simulation::json::Schema;
use siltstone::simulation::{Attribute, CLEARED, ColumnState, Group, GroupState};
use siltstone::table::{Batches, Format, WriteOptions, write};

use crate::arrays_in::to_integer;
use crate::enter::Enter;
use crate::entities::to_entities;
use crate::errors::{invalid, to_py};

/// The capsule of an Arrow C stream.
pub(crate) fn capsule<'py>(
    py: Python<'py>,
    batches: Batches,
    requested: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let reader: Box<dyn RecordBatchReader + Send> = Box::new(batches);
    let reader = Bound::new(py, PyRecordBatchReader::new(reader))?;
    reader.call_method1("__arrow_c_stream__", (requested,))
}

/// A table that can be streamed any number of times.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct Table {
    make: Box<dyn Fn() -> Result<Batches> + Send + Sync>,
}

impl Table {
    pub(crate) fn new(make: impl Fn() -> Result<Batches> + Send + Sync + 'static) -> Self {
        Table { make: Box::new(make) }
    }
}

#[pymethods]
impl Table {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let batches = py.enter(|| (self.make)())?;
        capsule(py, batches, requested_schema)
    }

    /// The names of the columns.
    fn columns(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let batches = py.enter(|| (self.make)())?;
        Ok(batches.schema().fields().iter().map(|field| field.name().clone()).collect())
    }

    /// Writes the table to a file; rows and bytes written.
    fn write(
        &self,
        py: Python<'_>,
        path: PathBuf,
        format: Option<&str>,
        overwrite: bool,
        escape_formulas: bool,
    ) -> PyResult<(u64, u64)> {
        let format = match format {
            Some(name) => name.parse().map_err(to_py)?,
            None => Format::of_path(&path).ok_or_else(|| {
                let expected = "a file that ends in .parquet, .arrow, .csv or .jsonl, or a format";
                invalid("format", expected, path.display().to_string())
            })?,
        };
        let written = py.enter_long("writing the table", |signals| {
            let options = WriteOptions { format, overwrite, escape_formulas };
            write(&path, (self.make)()?, &options, &mut |_, _| signals.check())
        })?;
        Ok((written.rows, written.bytes))
    }
}

/// A state, as a dictionary of attributes, as a table: a row an entity.
#[pyfunction]
#[pyo3(signature = (state, timestamp, schema=None, requested=None))]
pub(crate) fn state_to_arrow<'py>(
    py: Python<'py>,
    state: &Bound<'py, PyAny>,
    timestamp: &Bound<'py, PyAny>,
    schema: Option<&[u8]>,
    requested: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let schema = schema.map(Schema::parse).transpose().map_err(to_py)?.unwrap_or_default();
    let state = state_of(state, to_integer("timestamp", timestamp)?)?;
    let batch: RecordBatch = py.enter(|| state.to_arrow(&schema))?;
    capsule(py, Batches::from_batches(batch.schema(), vec![batch]), requested)
}

/// A state back from the dictionary that it was handed out as.
fn state_of(state: &Bound<'_, PyAny>, timestamp: i64) -> PyResult<GroupState> {
    let groups = pyo3::types::PyDict::new(state.py());
    groups.set_item("state", state)?;
    let entities = to_entities("", groups.as_any(), &[])?;
    let Some(Group { attributes, .. }) = entities.data.into_iter().next() else {
        return Err(invalid("state", "a dict of attributes", "none"));
    };
    let (mut ids, mut columns) = (None, Vec::new());
    for (name, mut attribute) in attributes {
        if name == "id" {
            ids = attribute.data.to_i64s();
            continue;
        }
        attribute.check(&name).map_err(to_py)?;
        // A state knows no "not given": what its mask marks is undefined.
        let all_undefined = |mask: siltstone::Array| {
            let flags: Vec<u8> =
                mask.data().iter().map(|m| if *m == 0 { 0 } else { CLEARED }).collect();
            siltstone::Array::from_slice(&flags)
        };
        attribute = Attribute { mask: attribute.mask.map(all_undefined), ..attribute };
        columns.push(ColumnState { name, attribute });
    }
    let ids = ids.ok_or_else(|| invalid("state", "an attribute id of integers", "none"))?;
    if let Some(column) = columns.iter().find(|column| column.attribute.entities() != ids.len()) {
        let expected = format!("{} entities as in id", ids.len());
        let got = column.attribute.entities().to_string();
        return Err(invalid(&column.name, &expected, got));
    }
    Ok(GroupState { timestamp, ids, columns })
}
