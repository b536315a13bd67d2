//! Arguments of hot calls that go past Python: a wrong one is an error of ours. Whoever reads the arguments notes the name
//! at it, and `errors.py` puts the name in front.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFloat, PyInt, PyType};

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

/// A number that a float has exactly; of a `Decimal` the nearest float.
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
        match is_exact(&value, x)? {
            true => Ok(Number(x)),
            false => Err(expected(EXACT, &value.repr()?.to_string())),
        }
    }
}

/// What a number has to be: of a long double, a fraction or an integer beyond 2**53 a float would be another number.
pub(crate) const EXACT: &str = "a number that a float has exactly";

/// Whether a number is of a class of Python.
fn is_of(
    class: &'static PyOnceLock<Py<PyType>>,
    [module, name]: [&str; 2],
    value: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    value.is_instance(class.import(value.py(), module, name)?)
}

/// Whether the float that Python makes of a number is the number, of those that a float may round: integers, fractions
/// and long doubles, and a `Decimal` that is beyond all floats. What another type gives as its float is taken, whatever
/// it compares equal to.
pub(crate) fn is_exact(value: &Bound<'_, PyAny>, x: f64) -> PyResult<bool> {
    static FRACTION: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static LONG_DOUBLE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if value.is_instance_of::<PyFloat>() || x.is_nan() {
        return Ok(true);
    }
    // numpy makes floats of its integers before it compares them.
    let own = match value.getattr_opt(intern!(value.py(), "item"))? {
        Some(item) if !value.is_instance_of::<PyInt>() => item.call0()?,
        _ => value.clone(),
    };
    if own.is_instance_of::<PyInt>()
        || is_of(&FRACTION, ["fractions", "Fraction"], &own)?
        || is_of(&LONG_DOUBLE, ["numpy", "longdouble"], &own)?
    {
        return own.eq(x);
    }
    Ok(x.is_finite() || !is_decimal(value)? || value.eq(x)?)
}

/// Whether a number is a `Decimal`.
pub(crate) fn is_decimal(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    is_of(&DECIMAL, ["decimal", "Decimal"], value)
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
