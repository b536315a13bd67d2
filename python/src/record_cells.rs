//! Python's values as cells of records, and JSON.

use std::fmt::Write;

use numpy::PyUntypedArray;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyDateTime, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple, PyTzInfo,
};
use siltstone::experiment::Cell;

use crate::arguments::{EXACT, is_exact};
use crate::errors::{invalid, wrong_type};

/// A value whose text, if it is one, is Python's own or a JSON text made of it.
pub(crate) enum Held<'py> {
    Null,
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(Bound<'py, PyString>),
    Json(String),
}

impl Held<'_> {
    pub(crate) fn cell(&self) -> PyResult<Cell<'_>> {
        Ok(match self {
            Held::Null => Cell::Null,
            Held::Int(n) => Cell::Int(*n),
            Held::Float(x) => Cell::Float(*x),
            Held::Bool(b) => Cell::Bool(*b),
            Held::Text(text) => Cell::Text(utf8("a text", text)?),
            Held::Json(text) => Cell::Text(text),
        })
    }
}

/// Any value of a record: a scalar of Python or numpy, or something that becomes JSON.
pub(crate) fn held<'py>(what: &str, value: &Bound<'py, PyAny>) -> PyResult<Held<'py>> {
    if let Some(ns) = time(what, value)? {
        return Ok(ns.map_or(Held::Null, Held::Int));
    }
    Ok(match cell(what, value) {
        Ok(Cell::Null) => Held::Null,
        Ok(Cell::Int(n)) => Held::Int(n),
        Ok(Cell::Float(x)) => Held::Float(x),
        Ok(Cell::Bool(b)) => Held::Bool(b),
        Ok(Cell::Text(_)) => Held::Text(value.cast::<PyString>()?.clone()),
        Err(error) => {
            let is_nested = value.is_instance_of::<PyDict>()
                || value.is_instance_of::<PyList>()
                || value.is_instance_of::<PyTuple>();
            if !is_nested {
                return Err(error);
            }
            Held::Json(to_json(what, value)?)
        }
    })
}

/// A text as UTF-8, which has no halves of characters.
pub(crate) fn utf8<'a>(what: &str, text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    text.to_str().map_err(|_| {
        let got = text.repr().map_or_else(|_| "another".into(), |repr| repr.to_string());
        invalid(what, "a text that UTF-8 can hold", got)
    })
}

pub(crate) fn is_time(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyDateTime>()
}

/// A time of Python or pandas in ns since 1970-01-01 UTC, one without a zone taken for UTC; `None` within if it is NaT, and
/// without if the value is no time.
pub(crate) fn time(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Option<i64>>> {
    if !is_time(value) {
        return Ok(None);
    }
    let py = value.py();
    let out_of_range = |_| invalid(what, "a time that 64 bits hold in ns", value.to_string());
    if value.ne(value)? {
        return Ok(Some(None)); // NaT
    }
    if value.hasattr(intern!(py, "as_unit"))? {
        let ns = value.call_method1(intern!(py, "as_unit"), ("ns",)).map_err(out_of_range)?;
        return Ok(Some(Some(ns.getattr(intern!(py, "value"))?.extract()?)));
    }
    let zone = value.getattr(intern!(py, "tzinfo"))?;
    let kwargs = PyDict::new(py);
    kwargs.set_item("tzinfo", if zone.is_none() { None } else { Some(PyTzInfo::utc(py)?) })?;
    let epoch = py.get_type::<PyDateTime>().call((1970, 1, 1), Some(&kwargs))?;
    let since = value.sub(epoch)?;
    let part = |name: &str| since.getattr(name)?.extract::<i64>();
    let seconds = part("days")? * 86_400 + part("seconds")?;
    let ns = i128::from(seconds) * 1_000_000_000 + i128::from(part("microseconds")?) * 1_000;
    let ns = i64::try_from(ns);
    Ok(Some(Some(
        ns.map_err(|_| invalid(what, "a time that 64 bits hold in ns", value.to_string()))?,
    )))
}

/// A scalar; a text is borrowed from Python.
pub(crate) fn cell<'a>(what: &str, value: &'a Bound<'_, PyAny>) -> PyResult<Cell<'a>> {
    if let Ok(x) = value.cast_exact::<PyFloat>() {
        return Ok(Cell::Float(x.value()));
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Cell::Text(utf8(what, text)?));
    }
    if let Ok(b) = value.cast::<PyBool>() {
        return Ok(Cell::Bool(b.is_true()));
    }
    if value.is_none() {
        return Ok(Cell::Null);
    }
    if value.is_instance_of::<PyInt>() {
        let too_wide = |_| invalid(what, "an integer of 64 bits", value.to_string());
        return Ok(Cell::Int(value.extract().map_err(too_wide)?));
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(Cell::Float(value.extract()?));
    }
    other_cell(what, value)
}

/// numpy's scalars, and arrays without dimensions, as what they are in Python; a masked one is missing.
#[cold]
fn other_cell<'a>(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Cell<'a>> {
    let py = value.py();
    let misfit = || wrong_type(what, "a number, a text, True, False or None", value);
    let kind = scalar_kind(value)?.ok_or_else(misfit)?;
    if matches!(&*kind, "b" | "i" | "u" | "f" | "M")
        && value.is_instance_of::<PyUntypedArray>()
        && let Some(mask) = value.getattr_opt(intern!(py, "mask"))?
        && mask.is_truthy()?
    {
        return Ok(Cell::Null);
    }
    Ok(match &*kind {
        "b" => Cell::Bool(value.is_truthy()?),
        "i" | "u" => {
            let too_wide = |_| invalid(what, "an integer of 64 bits", value.to_string());
            Cell::Int(value.call_method0(intern!(py, "item"))?.extract().map_err(too_wide)?)
        }
        "f" => Cell::Float(float_of(what, &value.call_method0(intern!(py, "item"))?)?),
        "M" => match in_ns(what, value)?.extract()? {
            i64::MIN => Cell::Null, // NaT
            ns => Cell::Int(ns),
        },
        _ => return Err(misfit()),
    })
}

/// A float of numpy, which may be a long double, as the float that is equal.
fn float_of(what: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let x: f64 = value.extract()?;
    match is_exact(value, x)? {
        true => Ok(x),
        false => Err(rounded(what, value)?),
    }
}

/// What to say of a number that no float is equal to.
pub(crate) fn rounded(what: &str, value: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let (repr, text) = (value.repr()?, value.str()?);
    let got = format!("{repr}: float({text}) rounds it, str({text}) keeps it as a text");
    Ok(invalid(what, EXACT, got))
}

/// A time, or an array of times, of numpy in ns, as int64: the least one is NaT.
pub(crate) fn in_ns<'py>(what: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let (astype, dtype) = (intern!(py, "astype"), value.getattr(intern!(py, "dtype"))?);
    let is_in_ns = dtype.str()?.to_str()? == "datetime64[ns]";
    if is_in_ns {
        return value.call_method1(astype, ("int64",));
    }
    let made = value.call_method1(astype, ("datetime64[ns]",));
    // numpy goes round the end of 64 bits, and cuts what is finer.
    let is_exact = |ns: &Bound<'_, PyAny>| -> PyResult<bool> {
        let back = ns.call_method1(astype, (dtype,))?;
        let kwargs = PyDict::new(py);
        kwargs.set_item("equal_nan", true)?;
        let numpy = py.import(intern!(py, "numpy"))?;
        numpy.call_method("array_equal", (back, value), Some(&kwargs))?.is_truthy()
    };
    match made {
        Ok(ns) if is_exact(&ns)? => ns.call_method1(astype, ("int64",)),
        Err(error)
            if !error.is_instance_of::<PyOverflowError>(py)
                && !error.is_instance_of::<PyValueError>(py)
                && !error.is_instance_of::<PyTypeError>(py) =>
        {
            Err(error)
        }
        _ => Err(invalid(what, "times that 64 bits hold in ns", value.str()?.to_string())),
    }
}

/// An id: a text, or an integer as its digits.
pub(crate) fn id<'a>(
    what: &str,
    value: &'a Bound<'_, PyAny>,
    digits: &'a mut String,
) -> PyResult<&'a str> {
    match cell(what, value)? {
        Cell::Text(text) => Ok(text),
        Cell::Int(n) => {
            *digits = n.to_string();
            Ok(digits)
        }
        _ => Err(wrong_type(what, "a text or an integer", value)),
    }
}

/// The value as JSON. Numbers that JSON does not have, NaN, infinities and integers of more than 64 bits, are objects as
/// `{"$silt": "float", "value": "nan"}`, which `siltstone/_json.py` reads. numpy's scalars are numbers, tuples and numpy's
/// arrays lists; sets, times and what else JSON does not have are refused. Keys are texts, as `json` of Python makes them of
/// numbers, True, False and None; two that become one are refused.
pub(crate) fn to_json(what: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut out = String::new();
    write_json(&Inside::new(what, true), value, &mut out, 0)?;
    Ok(out)
}

/// As [`to_json`], but arrays are refused: they would not come back as arrays.
pub(crate) fn to_json_of_run(what: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut out = String::new();
    write_json(&Inside::new(what, false), value, &mut out, 0)?;
    Ok(out)
}

/// Where in an argument a value is: `parameters.model.layers[0]`.
struct Inside<'a, 'py> {
    what: &'a str,
    with_arrays: bool,
    outer: Option<&'a Inside<'a, 'py>>,
    key: Option<&'a Bound<'py, PyAny>>,
    index: usize,
}

impl<'a, 'py> Inside<'a, 'py> {
    fn new(what: &'a str, with_arrays: bool) -> Self {
        Inside { what, with_arrays, outer: None, key: None, index: 0 }
    }

    fn at(&'a self, key: Option<&'a Bound<'py, PyAny>>, index: usize) -> Self {
        Inside { outer: Some(self), key, index, ..*self }
    }

    fn path(&self) -> String {
        match (self.outer, self.key) {
            (None, _) => self.what.to_owned(),
            (Some(outer), Some(key)) => format!("{}.{key}", outer.path()),
            (Some(outer), None) => format!("{}[{}]", outer.path(), self.index),
        }
    }
}

fn write_json<'py>(
    inside: &Inside<'_, 'py>,
    value: &Bound<'py, PyAny>,
    out: &mut String,
    depth: usize,
) -> PyResult<()> {
    const DEEPEST: usize = 100;
    let what = inside.what;
    if depth > DEEPEST {
        return Err(invalid(what, "values at most 100 deep", "deeper ones"));
    }
    if let Ok(map) = value.cast::<PyDict>() {
        return write_items(inside, map.iter(), out, depth);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        out.push('[');
        for (i, item) in value.try_iter()?.enumerate() {
            out.push_str(if i == 0 { "" } else { ", " });
            write_json(&inside.at(None, i), &item?, out, depth + 1)?;
        }
        out.push(']');
        return Ok(());
    }
    if let Ok(text) = value.cast::<PyString>() {
        write_text(utf8(what, text)?, out);
        return Ok(());
    }
    if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        match value.extract::<i128>() {
            Ok(n) if (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&n) => {
                write!(out, "{n}").expect("a String takes any text");
            }
            _ => write_tagged("int", &value.str()?.to_string(), out),
        }
        return Ok(());
    }
    match cell(what, value) {
        Ok(Cell::Null) => out.push_str("null"),
        Ok(Cell::Bool(b)) => out.push_str(if b { "true" } else { "false" }),
        Ok(Cell::Float(x)) if x.is_nan() => write_tagged("float", "nan", out),
        Ok(Cell::Float(x)) if x.is_infinite() => {
            write_tagged("float", if x > 0.0 { "inf" } else { "-inf" }, out);
        }
        Ok(Cell::Float(x)) => write!(out, "{x:?}").expect("a String takes any text"),
        Ok(Cell::Text(text)) => write_text(text, out),
        Ok(Cell::Int(n)) if !is_time_of_numpy(value)? => {
            write!(out, "{n}").expect("a String takes any text");
        }
        _ => {
            let py = value.py();
            let is_array = dtype_kind(value)?.is_some_and(|kind| !matches!(&*kind, "M" | "m"))
                && value.hasattr(intern!(py, "tolist"))?;
            match scalar_kind(value)?.as_deref() {
                Some("u") => {
                    let integer = value.call_method0(intern!(py, "item"))?;
                    return write_json(inside, &integer, out, depth + 1);
                }
                Some("f") => {
                    float_of(&inside.path(), &value.call_method0(intern!(py, "item"))?)?;
                }
                _ => {}
            }
            if is_array && inside.with_arrays {
                let items = value.call_method0(intern!(py, "tolist"))?;
                return write_json(inside, &items, out, depth + 1);
            }
            if let Ok(map) = value.cast::<PyMapping>()
                && !is_array
            {
                let items = map.items()?;
                let pairs =
                    items.iter().map(|pair| pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>());
                let pairs = pairs.collect::<PyResult<Vec<_>>>()?;
                return write_items(inside, pairs.into_iter(), out, depth);
            }
            let expected = match is_array {
                true => "a list (an array of a run is kept by log_array)",
                false => "a number, a text, True, False, None, or a list, tuple or dict of these",
            };
            return Err(wrong_type(&inside.path(), expected, value));
        }
    }
    Ok(())
}

/// The kind of a dtype, of a value of numpy without a dimension.
pub(crate) fn scalar_kind(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let Some(shape) = value.getattr_opt(intern!(value.py(), "shape"))? else { return Ok(None) };
    match shape.cast::<PyTuple>() {
        Ok(shape) if shape.is_empty() => dtype_kind(value),
        _ => Ok(None),
    }
}

/// The kind of the dtype of a value, if it has one as those of numpy.
fn dtype_kind(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let py = value.py();
    let Some(dtype) = value.getattr_opt(intern!(py, "dtype"))? else { return Ok(None) };
    Ok(dtype.getattr_opt(intern!(py, "kind"))?.and_then(|kind| kind.extract().ok()))
}

/// Whether a value is a time, or a length of time, of numpy.
pub(crate) fn is_time_of_numpy(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(dtype_kind(value)?.is_some_and(|kind| matches!(&*kind, "M" | "m")))
}

/// The key of an object that stands for what JSON does not have.
const TAG: &str = "$silt";

fn write_tagged(kind: &str, value: &str, out: &mut String) {
    write!(out, "{{\"{TAG}\": \"{kind}\", \"value\": \"{value}\"}}")
        .expect("a String takes any text");
}

fn write_text(text: &str, out: &mut String) {
    if text.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\') {
        out.push_str(&serde_json::to_string(text).expect("a text is JSON"));
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

/// A key that is no text as `json` of Python writes it.
#[cold]
fn key_text(inside: &Inside<'_, '_>, key: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = key.py();
    if key.is_instance_of::<PyInt>() && !key.is_instance_of::<PyBool>() {
        return py.get_type::<PyInt>().call_method1(intern!(py, "__repr__"), (key,))?.extract();
    }
    Ok(match cell(inside.what, key) {
        Ok(Cell::Null) => "null".to_owned(),
        Ok(Cell::Bool(b)) => b.to_string(),
        Ok(Cell::Float(x)) if x.is_nan() => "NaN".to_owned(),
        Ok(Cell::Float(x)) if x.is_infinite() => {
            format!("{}Infinity", if x < 0.0 { "-" } else { "" })
        }
        Ok(Cell::Float(x)) => PyFloat::new(py, x).repr()?.to_string(),
        Ok(Cell::Int(n)) if !is_time_of_numpy(key)? => n.to_string(),
        _ => {
            let expected = "keys that are texts, numbers, True, False or None";
            return Err(wrong_type(&inside.path(), expected, key));
        }
    })
}

fn write_items<'py>(
    inside: &Inside<'_, 'py>,
    items: impl Iterator<Item = (Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    out: &mut String,
    depth: usize,
) -> PyResult<()> {
    let (what, from) = (inside.what, out.len());
    // One that looks as our own is a list of pairs, so that it is not taken for ours.
    let mut is_tagged = true;
    // Texts alone cannot become one key.
    let mut are_texts = true;
    let mut pairs = Vec::new();
    out.push('{');
    for (i, (key, item)) in items.enumerate() {
        out.push_str(if i == 0 { "" } else { ", " });
        let begin = out.len();
        match key.cast::<PyString>() {
            Ok(text) => write_text(utf8(what, text)?, out),
            Err(_) => {
                are_texts = false;
                write_text(&key_text(inside, &key)?, out);
            }
        }
        is_tagged &= matches!(&out[begin..], "\"$silt\"" | "\"value\"");
        let between = out.len();
        out.push_str(": ");
        write_json(&inside.at(Some(&key), i), &item, out, depth + 1)?;
        pairs.push((begin, between, out.len()));
    }
    out.push('}');
    if !are_texts {
        let mut keys: Vec<&str> = pairs.iter().map(|(begin, end, _)| &out[*begin..*end]).collect();
        keys.sort_unstable();
        if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
            let got = format!("{} twice, as JSON has texts as keys", pair[0]);
            return Err(invalid(&inside.path(), "each key once", got));
        }
    }
    if is_tagged && pairs.len() == 2 {
        let pair = |(begin, between, end): &(usize, usize, usize)| {
            format!("[{}, {}]", &out[*begin..*between], &out[between + 2..*end])
        };
        let pairs = pairs.iter().map(pair).collect::<Vec<_>>().join(", ");
        out.truncate(from);
        write!(out, "{{\"{TAG}\": \"dict\", \"value\": [{pairs}]}}")
            .expect("a String takes any text");
    }
    Ok(())
}

/// An integer as a float that is equal.
pub(crate) fn exact_float(what: &str, n: i64) -> PyResult<f64> {
    match (n as f64) as i128 == i128::from(n) {
        true => Ok(n as f64),
        false => Err(invalid(what, "a number that float64 holds", n.to_string())),
    }
}
