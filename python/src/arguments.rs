//! Arguments of hot calls that go past Python: a wrong one is an error of ours. Whoever reads the arguments notes the name
//! at it, and `errors.py` puts the name in front.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat};

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

/// A number that a float has exactly.
pub(crate) struct Number(pub(crate) f64);

impl<'a, 'py> FromPyObject<'a, 'py> for Number {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let x = value.extract::<f64>().map_err(|error| {
            if error.is_instance_of::<PyTypeError>(value.py()) {
                expected_type("a number", &value)
            } else {
                expected("a number that a float can hold", "a larger one")
            }
        })?;
        match is_equal(&value, x)? {
            true => Ok(Number(x)),
            false => Err(expected(EXACT, &value.repr()?.to_string())),
        }
    }
}

/// What a number has to be: of a long double, a `Decimal` or an integer beyond 2**53 a float would be another number.
pub(crate) const EXACT: &str = "a number that a float has exactly";

/// Whether the float that Python makes of a number is equal to it.
pub(crate) fn is_equal(value: &Bound<'_, PyAny>, x: f64) -> PyResult<bool> {
    if value.is_instance_of::<PyFloat>() || x.is_nan() {
        return Ok(true);
    }
    // numpy makes floats of its integers before it compares them.
    match value.getattr_opt("item")? {
        Some(item) => item.call0()?.eq(x),
        None => value.eq(x),
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
