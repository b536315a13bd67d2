//! Columns of equal length: numpy arrays over Arrow's memory, and the table itself.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use numpy::ndarray::ArrayView1;
use numpy::{Element, PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyList;
use siltstone::Error;
use siltstone::table::Batches;

use crate::arrow::capsule;
use crate::errors::to_py;

/// A table in memory.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct Columns {
    batch: RecordBatch,
}

impl Columns {
    pub(crate) fn new(batch: RecordBatch) -> Self {
        Columns { batch }
    }

    fn column(&self, name: &str) -> PyResult<&ArrayRef> {
        self.batch.column_by_name(name).ok_or_else(|| {
            let location = "the table".to_owned();
            to_py(Error::NotFound { what: "column", name: name.to_owned(), location })
        })
    }
}

/// The numbers of a column: over its memory, or with `missing` in place of nulls.
fn numbers<'py, T>(
    this: &Bound<'py, Columns>,
    column: &ArrayRef,
    missing: T::Native,
) -> PyResult<Bound<'py, PyAny>>
where
    T: ArrowPrimitiveType,
    T::Native: Element,
{
    let column = column.as_primitive::<T>();
    if column.null_count() > 0 {
        let filled = column.iter().map(|value| value.unwrap_or(missing));
        return Ok(PyArray1::from_iter(this.py(), filled).into_any());
    }
    let view = ArrayView1::from(&column.values()[..]);
    // SAFETY: the values are those of a batch that a frozen class holds and that is never changed; the
    // array keeps the class, and nobody may write through it.
    let array = unsafe { PyArray1::borrow_from_array(&view, this.clone().into_any()) };
    array.readwrite().make_nonwriteable();
    Ok(array.into_any())
}

#[pymethods]
impl Columns {
    #[getter]
    fn names(&self) -> Vec<String> {
        self.batch.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    /// A column of numbers; times as ns. Read-only unless something is missing.
    fn numbers<'py>(this: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let column = this.get().column(name)?;
        match column.data_type() {
            DataType::Float64 => numbers::<Float64Type>(this, column, f64::NAN),
            DataType::Int64 => numbers::<Int64Type>(this, column, i64::MIN),
            DataType::UInt64 => numbers::<UInt64Type>(this, column, 0),
            DataType::Timestamp(_, _) => numbers::<TimestampNanosecondType>(this, column, i64::MIN),
            other => panic!("the library makes no column of {other}"),
        }
    }

    /// A column of texts: for each row the index of its word (-1: none), and the words.
    fn words<'py>(
        this: &Bound<'py, Self>,
        name: &str,
    ) -> PyResult<(Bound<'py, PyArray1<i32>>, Bound<'py, PyList>)> {
        let column = this.get().column(name)?.as_dictionary::<Int32Type>();
        let keys = column.keys().iter().map(|key| key.unwrap_or(-1));
        let words = column.values().as_string::<i32>();
        let words = PyList::new(this.py(), words.iter().map(Option::unwrap_or_default))?;
        Ok((PyArray1::from_iter(this.py(), keys), words))
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let batch = self.batch.clone();
        capsule(py, Batches::from_batches(batch.schema(), vec![batch]), requested_schema)
    }
}
