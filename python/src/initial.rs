//! Initial datasets.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use siltstone::simulation::InitialData;

use crate::arrays_out::Out;
use crate::entities::{groups_to_dict, to_entities};
use crate::errors::invalid;

/// `data` is the bytes of a JSON text or of anything, or a dictionary of entity groups.
pub(crate) fn to_initial(
    name: &str,
    format: &str,
    data: &Bound<'_, PyAny>,
) -> PyResult<InitialData> {
    match format {
        "UNSTRUCTURED" => Ok(InitialData::Json(data.extract()?)),
        "BINARY" => Ok(InitialData::Binary(data.extract()?)),
        "ENTITY_BASED" => Ok(InitialData::Entities(to_entities(name, data, &[])?.data)),
        other => {
            Err(invalid("format", "UNSTRUCTURED, BINARY or ENTITY_BASED", format!("{other:?}")))
        }
    }
}

/// The format and the data.
pub(crate) fn from_initial<'py>(
    py: Python<'py>,
    data: InitialData,
) -> PyResult<(&'static str, Bound<'py, PyAny>)> {
    let format = data.format();
    let data = match data {
        InitialData::Json(bytes) | InitialData::Binary(bytes) => {
            PyBytes::new(py, &bytes).into_any()
        }
        InitialData::Entities(groups) => {
            let dict = PyDict::new(py);
            groups_to_dict(&mut Out::new(py), groups, &dict)?;
            dict.into_any()
        }
        _ => return Err(invalid("initial dataset", "a known format", format)),
    };
    Ok((format, data))
}
