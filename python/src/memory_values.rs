//! Payloads of the memory store: Python's values, and back.

use bytes::Bytes;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple,
};
use siltstone::Array;
use siltstone::memory::Payload;

use crate::arguments::{EXACT, is_exact};
use crate::arrays_in::{to_integer, to_stored_array};
use crate::arrays_out::Out;
use crate::errors::{invalid, to_py, wrong_type};

const EXPECTED: &str =
    "an array, a number, a text, bytes, a boolean, None, or a dict, list or tuple of such";

/// How deep values may lie in one another; the library says the same of what it encodes.
const MOST_DEPTH: usize = 64;

/// A value as a payload; `what` names it in errors.
pub(crate) fn to_payload(what: &str, value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Payload> {
    let py = value.py();
    if depth > MOST_DEPTH {
        return Err(invalid(what, "at most 64 levels", "deeper ones, or one that holds itself"));
    }
    if value.is_none() {
        return Ok(Payload::Nothing);
    }
    if let Ok(yes) = value.cast::<PyBool>() {
        return Ok(Payload::Bool(yes.is_true()));
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        return Ok(Payload::Float(number.value()));
    }
    if value.is_instance_of::<PyInt>() {
        return to_integer(what, value).map(Payload::Int);
    }
    if let Ok(text) = value.cast::<PyString>() {
        let text = text.to_str().map_err(|error| invalid(what, "text", error.to_string()))?;
        return Ok(text.into());
    }
    if let Ok(map) = value.cast::<PyDict>() {
        let entry = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
            let name = key.repr().map(|name| name.to_string()).unwrap_or_default();
            let key = to_payload(&format!("a key of {what}"), &key, depth + 1)?;
            Ok((key, to_payload(&format!("{what}[{name}]"), &value, depth + 1)?))
        };
        return map.iter().map(entry).collect::<PyResult<_>>().map(Payload::Map);
    }
    let items = |items: Vec<Bound<'_, PyAny>>| -> PyResult<Vec<Payload>> {
        let item = |(i, item)| to_payload(&format!("{what}[{i}]"), &item, depth + 1);
        items.into_iter().enumerate().map(item).collect()
    };
    if let Ok(list) = value.cast::<PyList>() {
        return items(list.iter().collect()).map(Payload::List);
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return items(tuple.iter().collect()).map(Payload::Tuple);
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Payload::Bytes(Bytes::copy_from_slice(bytes.as_bytes())));
    }
    if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<PyMemoryView>() {
        let bytes = py.get_type::<PyBytes>().call1((value,))?;
        return to_payload(what, &bytes, depth);
    }
    if value.hasattr(intern!(py, "__array__"))? {
        return to_payload_array(what, value);
    }
    Err(wrong_type(what, EXPECTED, value))
}

/// A numpy scalar of a kind that Python has becomes a number; everything else an array.
fn to_payload_array(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Payload> {
    let py = value.py();
    let generic = py.import(intern!(py, "numpy"))?.getattr(intern!(py, "generic"))?;
    if value.is_instance(&generic)? {
        let item = value.call_method0(intern!(py, "item"))?;
        let is_number = item.is_instance_of::<PyBool>()
            || item.is_instance_of::<PyInt>()
            || item.is_instance_of::<PyFloat>();
        let kind: String =
            value.getattr(intern!(py, "dtype"))?.getattr(intern!(py, "kind"))?.extract()?;
        // Times become integers of their own unit in Python, which would lose the unit.
        if is_number && matches!(kind.as_str(), "b" | "i" | "u" | "f") {
            return to_payload(what, &item, 0);
        }
    }
    to_vector(what, value).map(Payload::Array)
}

/// An array that has no mask.
pub(crate) fn to_vector(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Array> {
    let py = value.py();
    if value.hasattr(intern!(py, "mask"))? {
        let masked = value.getattr(intern!(py, "mask"))?;
        if py
            .import(intern!(py, "numpy"))?
            .call_method1(intern!(py, "any"), (masked,))?
            .is_truthy()?
        {
            let got = "a masked array with masked items";
            return Err(invalid(what, "an array without a mask (.filled(..) makes one)", got));
        }
    }
    to_stored_array(what, value)
}

/// A number of Python or numpy, of a `Decimal` the nearest float; no text.
pub(crate) fn to_number(what: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let is_text = value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>();
    if is_text || value.is_none() {
        return Err(wrong_type(what, "a number", value));
    }
    let x = value.extract::<f64>().map_err(|_| wrong_type(what, "a number", value))?;
    match is_exact(value, x)? {
        true => Ok(x),
        false => Err(invalid(what, EXACT, value.repr()?.to_string())),
    }
}

/// A text.
pub(crate) fn to_text(what: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let text = value.cast::<PyString>().map_err(|_| wrong_type(what, "a text", value))?;
    let text = text.to_str().map_err(|error| invalid(what, "text", error.to_string()))?;
    Ok(text.to_owned())
}

/// A count; a negative one is any number.
pub(crate) fn to_limit(what: &str, value: &Bound<'_, PyAny>) -> PyResult<usize> {
    Ok(usize::try_from(to_integer(what, value)?).unwrap_or(usize::MAX))
}

pub(crate) fn from_payload<'py>(
    out: &mut Out<'py>,
    payload: Payload,
) -> PyResult<Bound<'py, PyAny>> {
    let py = out.py();
    Ok(match payload {
        Payload::Bool(yes) => PyBool::new(py, yes).to_owned().into_any(),
        Payload::Int(number) => number.into_pyobject(py)?.into_any(),
        Payload::Float(number) => PyFloat::new(py, number).into_any(),
        Payload::Text(text) => PyString::new(py, &text).into_any(),
        Payload::Bytes(bytes) => PyBytes::new(py, &bytes).into_any(),
        Payload::Array(array) => out.array(array)?,
        Payload::List(items) => {
            let items = items.into_iter().map(|item| from_payload(out, item));
            PyList::new(py, items.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        Payload::Tuple(items) => {
            let items = items.into_iter().map(|item| from_payload(out, item));
            PyTuple::new(py, items.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        Payload::Map(entries) => {
            let map = PyDict::new(py);
            for (key, value) in entries {
                map.set_item(from_payload(out, key)?, from_payload(out, value)?)?;
            }
            map.into_any()
        }
        _ => py.None().into_bound(py),
    })
}

/// The value that the bytes of a payload stand for.
#[pyfunction]
pub(crate) fn memory_decode<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyAny>> {
    let payload = Payload::decode(data.as_bytes().to_vec()).map_err(to_py)?;
    from_payload(&mut Out::new(py), payload)
}

/// The bytes that stand for a value.
#[pyfunction]
pub(crate) fn memory_encode<'py>(
    py: Python<'py>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let bytes = to_payload("the value", value, 0)?.encode().map_err(to_py)?;
    Ok(PyBytes::new(py, &bytes))
}
