//! Recorded runs as they are looked at afterwards.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use siltstone::simulation::json::Schema;
use siltstone::simulation::{
    Attribute, ColumnState, EntityKey, KeyValue, ResultDataset as InnerDataset, Results as Inner,
    ResultsOptions, Timeline,
};
use siltstone::{Array, Error};

use crate::arguments::is_exact;
use crate::arrays_in::to_integer;
use crate::arrays_out::Out;
use crate::cursor::Cursor;
use crate::enter::Enter;
use crate::entities::{state_column_to_dict, state_to_dict};
use crate::errors::{to_py, wrong_type};
use crate::time::{Calendar, to_time};
use crate::updates::Updates;

/// Read access to a recorded run.
#[pyclass(frozen, weakref, module = "siltstone._siltstone")]
pub(crate) struct Results {
    /// `None` once it is closed.
    inner: RwLock<Option<Inner>>,
}

impl Results {
    fn get(&self) -> PyResult<Inner> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.clone().ok_or_else(|| {
            let what = "the handle to the results".to_owned();
            to_py(Error::Closed { what, why: "is closed; open them again" })
        })
    }
}

#[pymethods]
impl Results {
    /// Opens what is there: `kind` is `sqlite`, `json`, or `detect`.
    #[new]
    fn new(
        py: Python<'_>,
        kind: &str,
        path: PathBuf,
        init_dir: Option<PathBuf>,
        schema: Option<&[u8]>,
        timeline: Option<(f64, f64, i64)>,
        update_pattern: Option<&str>,
    ) -> PyResult<Self> {
        let options = ResultsOptions {
            init_dir,
            schema: schema.map(Schema::parse).transpose().map_err(to_py)?.unwrap_or_default(),
            timeline: timeline.map(|(reference, time_scale, start_time)| Timeline {
                reference,
                time_scale,
                start_time,
            }),
            update_pattern: update_pattern.map(str::parse).transpose().map_err(to_py)?,
        };
        let inner = py.enter(|| match kind {
            "sqlite" => Inner::open(&path, options),
            "json" => Inner::open_json(&path, options),
            _ => Inner::detect(&path, options),
        })?;
        Ok(Results { inner: RwLock::new(Some(inner)) })
    }

    #[getter]
    fn format(&self) -> PyResult<String> {
        Ok(self.get()?.format().to_string())
    }

    #[getter]
    fn path(&self) -> PyResult<PathBuf> {
        Ok(self.get()?.database().database().path().to_owned())
    }

    #[getter]
    fn has_own_initial_data(&self, py: Python<'_>) -> PyResult<bool> {
        let inner = self.get()?;
        py.enter(|| inner.has_own_initial_data())
    }

    fn datasets(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let inner = self.get()?;
        py.enter(|| inner.datasets())
    }

    fn timestamps(&self, py: Python<'_>, dataset: &str) -> PyResult<Vec<i64>> {
        let inner = self.get()?;
        py.enter(|| inner.timestamps(dataset))
    }

    fn update_count(&self, py: Python<'_>, dataset: Option<&str>) -> PyResult<u64> {
        let inner = self.get()?;
        py.enter(|| inner.database().update_count(dataset))
    }

    fn schema(&self) -> PyResult<Vec<u8>> {
        Ok(self.get()?.schema().to_json())
    }

    fn updates(&self, py: Python<'_>, dataset: &str) -> PyResult<Updates> {
        let inner = self.get()?;
        let timestamps = py.enter(|| inner.timestamps(dataset))?;
        Ok(Updates::new(inner.database().clone(), dataset.to_owned(), timestamps))
    }

    fn dataset(&self, py: Python<'_>, name: &str) -> PyResult<ResultDataset> {
        let inner = self.get()?;
        let timeline = inner.timeline().copied();
        py.enter(|| inner.dataset(name)).map(|inner| ResultDataset { inner, timeline })
    }

    fn close(&self, py: Python<'_>) {
        let inner = self.inner.write().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(inner));
    }
}

/// One dataset of a recorded run.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct ResultDataset {
    inner: InnerDataset,
    timeline: Option<Timeline>,
}

fn to_key(key: &str, value: &Bound<'_, PyAny>) -> PyResult<EntityKey> {
    if key == "id" {
        return to_integer("id", value).map(EntityKey::Id);
    }
    let value = if let Ok(text) = value.extract::<String>() {
        KeyValue::Text(text)
    } else if let Ok(number) = value.extract::<i64>() {
        KeyValue::Int(number)
    } else if let Ok(number) = value.extract::<f64>()
        && is_exact(value, number)?
    {
        KeyValue::Float(number)
    } else {
        return Err(wrong_type(key, "an integer, a number or a text", value));
    };
    Ok(EntityKey::Attribute(key.to_owned(), value))
}

#[pymethods]
impl ResultDataset {
    #[getter]
    fn name(&self) -> &str {
        self.inner.name()
    }

    /// JSON text.
    fn metadata(&self) -> String {
        serde_json::Value::Object(self.inner.metadata().clone()).to_string()
    }

    fn groups(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        py.enter(|| self.inner.groups())
    }

    fn attributes<'py>(&self, py: Python<'py>, group: &str) -> PyResult<Bound<'py, PyList>> {
        let found = py.enter(|| self.inner.attributes(group))?;
        let list = PyList::empty(py);
        for info in found {
            let dict = PyDict::new(py);
            dict.set_item("name", &info.name)?;
            dict.set_item("dtype", info.dtype.to_string())?;
            dict.set_item("unit_shape", info.unit_shape)?;
            dict.set_item("csr", info.is_ragged)?;
            dict.set_item("special", info.special.map(|value| value.to_string()))?;
            dict.set_item("enum_name", info.enum_name)?;
            dict.set_item("enum_values", info.enum_values)?;
            list.append(dict)?;
        }
        Ok(list)
    }

    fn timestamps(&self, py: Python<'_>, group: Option<&str>) -> PyResult<Vec<i64>> {
        py.enter(|| self.inner.timestamps(group))
    }

    fn cursor(&self, py: Python<'_>, group: &str, time: &Bound<'_, PyAny>) -> PyResult<Cursor> {
        let time = to_time(time)?;
        let cursor = py.enter(|| self.inner.cursor(group, &time))?;
        Ok(Cursor::new(cursor, Calendar::Known(self.timeline)))
    }

    /// The timestamp that was meant, and the state.
    fn state_at<'py>(
        &self,
        py: Python<'py>,
        group: &str,
        time: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(i64, Bound<'py, PyDict>)>> {
        let time = to_time(time)?;
        let state = py.enter(|| self.inner.state_at(group, &time))?;
        state.map(|state| Ok((state.timestamp, state_to_dict(py, state)?))).transpose()
    }

    /// Timestamps, ids, and a dictionary a timestamp.
    fn attribute_history<'py>(
        &self,
        py: Python<'py>,
        group: &str,
        attribute: &str,
    ) -> PyResult<(Vec<i64>, Bound<'py, PyAny>, Bound<'py, PyList>)> {
        let history = py.enter(|| self.inner.attribute_history(group, attribute))?;
        let mut out = Out::new(py);
        let values = PyList::empty(py);
        for value in history.values {
            values.append(state_column_to_dict(&mut out, value)?)?;
        }
        let ids = out.array(Array::from_slice(&history.ids))?;
        Ok((history.timestamps, ids, values))
    }

    /// Timestamps, and each attribute with a row a timestamp.
    fn entity_history<'py>(
        &self,
        py: Python<'py>,
        group: &str,
        key: &str,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<(Vec<i64>, Bound<'py, PyDict>)> {
        let key = to_key(key, value)?;
        let history = py.enter(|| self.inner.entity_history(group, &key))?;
        let mut out = Out::new(py);
        let attributes = PyDict::new(py);
        for ColumnState { name, attribute } in history.attributes {
            let attribute: Attribute = attribute;
            attributes.set_item(out.name(&name), state_column_to_dict(&mut out, attribute)?)?;
        }
        Ok((history.timestamps, attributes))
    }
}

/// What a run was recorded in: `sqlite` or `json`.
#[pyfunction]
pub(crate) fn detect_results_format(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    py.enter(|| siltstone::simulation::detect_format(&path)).map(|format| format.to_string())
}
