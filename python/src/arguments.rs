//! Arguments of hot calls that go past Python: a wrong one is an error of ours. Whoever reads the arguments notes the name
//! at it, and `errors.py` puts the name in front.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{expected, expected_type};

/// A text.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl<'a, 'py> FromPyObject<'a, 'py> for Text<'a> {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        value.extract::<&'a str>().map(Text).map_err(|error| {
            if error.is_instance_of::<PyTypeError>(value.py()) {
                expected_type("a text", &value)
            } else {
                expected("a text that UTF-8 can hold", "half a surrogate pair")
            }
        })
    }
}

/// A number.
pub(crate) struct Number(pub(crate) f64);

impl<'a, 'py> FromPyObject<'a, 'py> for Number {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        value.extract::<f64>().map(Number).map_err(|error| {
            if error.is_instance_of::<PyTypeError>(value.py()) {
                expected_type("a number", &value)
            } else {
                expected("a number that a float can hold", "a larger one")
            }
        })
    }
}

/// A dictionary.
pub(crate) struct Dict<'py>(pub(crate) Bound<'py, PyDict>);

impl<'py> FromPyObject<'_, 'py> for Dict<'py> {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match value.cast::<PyDict>() {
            Ok(dict) => Ok(Dict(dict.to_owned())),
            Err(_) => Err(expected_type("a dictionary", &value)),
        }
    }
}
