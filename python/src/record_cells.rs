//! Python's values as cells of records, JSON, and columns.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    Array as _, ArrayRef, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampNanosecondArray,
    UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_schema::{Field, Schema};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyDateTime, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple, PyTzInfo,
};
use pyo3_arrow::input::AnyRecordBatch;
use siltstone::DType;
use siltstone::experiment::Cell;

use crate::arguments::{EXACT, is_equal};
use crate::arrays_in::to_array;
use crate::errors::{invalid, to_py, wrong_type};

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

fn is_time(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyDateTime>()
}

/// A time of Python or pandas in ns since 1970-01-01 UTC, one without a zone taken for UTC; `None` within if it is NaT, and
/// without if the value is no time.
fn time(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Option<i64>>> {
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

/// numpy's scalars, and arrays without dimensions, as what they are in Python.
#[cold]
fn other_cell<'a>(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Cell<'a>> {
    let py = value.py();
    let misfit = || wrong_type(what, "a number, a text, True, False or None", value);
    Ok(match scalar_kind(value)?.ok_or_else(misfit)?.as_str() {
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
    if is_equal(value, x)? {
        return Ok(x);
    }
    let kept = format!("{}: float() rounds it, str() keeps it as a text", value.repr()?);
    Err(invalid(what, EXACT, kept))
}

/// A time, or an array of times, of numpy in ns, as int64: the least one is NaT.
fn in_ns<'py>(what: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let (astype, dtype) = (intern!(py, "astype"), value.getattr(intern!(py, "dtype"))?);
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
            let is_array = value.hasattr(intern!(py, "dtype"))?
                && value.hasattr(intern!(py, "tolist"))?
                && !is_time_of_numpy(value)?;
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
    let py = value.py();
    let has_dtype = value.hasattr(intern!(py, "dtype"))?;
    if !has_dtype || !value.getattr(intern!(py, "shape"))?.is_empty()? {
        return Ok(None);
    }
    Ok(Some(value.getattr(intern!(py, "dtype"))?.getattr(intern!(py, "kind"))?.extract()?))
}

/// Whether a value is a time, or a length of time, of numpy.
pub(crate) fn is_time_of_numpy(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    if !value.hasattr(intern!(py, "dtype"))? {
        return Ok(false);
    }
    let kind = value.getattr(intern!(py, "dtype"))?.getattr(intern!(py, "kind"))?;
    Ok(matches!(&*kind.extract::<String>()?, "M" | "m"))
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

/// Records by columns: a dict of arrays and lists, or anything that hands out Arrow.
pub(crate) fn batch(what: &str, value: &Bound<'_, PyAny>) -> PyResult<RecordBatch> {
    let py = value.py();
    if !value.is_instance_of::<PyDict>() {
        let is_arrow = value.hasattr(intern!(py, "__arrow_c_stream__"))?
            || value.hasattr(intern!(py, "__arrow_c_array__"))?;
        if !is_arrow {
            return Err(wrong_type(what, "a dict of columns, or an Arrow table", value));
        }
        let reader = value.extract::<AnyRecordBatch>()?.into_reader()?;
        let schema = reader.schema();
        let wrong =
            |error: arrow_schema::ArrowError| invalid(what, "an Arrow table", error.to_string());
        let batches = reader.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        return arrow_select::concat::concat_batches(&schema, &batches).map_err(wrong);
    }
    let columns = value.cast::<PyDict>()?;
    let (mut fields, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
    for (name, values) in columns.iter() {
        let name: String = name.extract()?;
        let array = column(&format!("{name} of {what}"), &values)?;
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let rows = arrays.first().map_or(0, |array| array.len());
    if let Some(index) = arrays.iter().position(|array| array.len() != rows) {
        let what = format!("{} of {what}", fields[index].name());
        let expected = format!("{rows} values, as many as {} has", fields[0].name());
        return Err(invalid(&what, &expected, arrays[index].len().to_string()));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|error| invalid(what, "columns of one length", error.to_string()))
}

/// A column: an array of one dimension, or a list.
fn column(what: &str, values: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    let py = values.py();
    let is_times = |items: &Bound<'_, PyList>| items.iter().any(|item| is_time(&item));
    // An array of objects, as times with a zone are in numpy.
    if !values.is_instance_of::<PyList>() && values.hasattr(intern!(py, "dtype"))? {
        let made = py.import(intern!(py, "numpy"))?.call_method1("asarray", (values,))?;
        let kind: String = made.getattr("dtype")?.getattr("kind")?.extract()?;
        if kind == "O" && made.getattr("ndim")?.extract::<usize>()? == 1 {
            let items = made.call_method0("tolist")?.cast_into::<PyList>()?;
            if is_times(&items) {
                return column(what, items.as_any());
            }
        }
    }
    if let Ok(items) = values.cast::<PyList>()
        && is_times(items)
    {
        let cell = |item: Bound<'_, PyAny>| match (time(what, &item)?, item.is_none()) {
            (Some(ns), _) => Ok(ns),
            (None, true) => Ok(None),
            (None, false) => Err(wrong_type(what, "times and None", &item)),
        };
        let items: Vec<Option<i64>> = items.iter().map(cell).collect::<PyResult<_>>()?;
        return Ok(Arc::new(TimestampNanosecondArray::from(items)));
    }
    if let Ok(items) = values.cast::<PyList>() {
        let is_text = |item: &Bound<'_, PyAny>| item.is_instance_of::<PyString>() || item.is_none();
        if items.iter().all(|item| is_text(&item)) && !items.is_empty() {
            let mut texts = StringBuilder::with_capacity(items.len(), items.len() * 8);
            for item in items.iter() {
                match item.cast::<PyString>() {
                    Ok(text) => texts.append_value(utf8(what, text)?),
                    Err(_) => texts.append_null(),
                }
            }
            return Ok(Arc::new(texts.finish()));
        }
        if items.iter().any(|item| item.is_none()) {
            return with_gaps(what, items);
        }
    }
    let array = to_array(what, values)?;
    if array.shape().len() != 1 {
        return Err(invalid(what, "one dimension", format!("the shape {:?}", array.shape())));
    }
    let array = array.to_little_endian();
    let dtype = array.dtype();
    macro_rules! numbers {
        ($($name:literal $t:ty => $made:ident;)*) => {
            $(if dtype == $name.parse::<DType>().map_err(to_py)? {
                let items: Vec<$t> = array.to_vec().expect("it is of this dtype");
                return Ok(Arc::new($made::from(items)));
            })*
        };
    }
    numbers! {
        "<f8" f64 => Float64Array;
        "<i8" i64 => Int64Array;
        "<f4" f32 => Float32Array;
        "|b1" bool => BooleanArray;
        "<i4" i32 => Int32Array;
        "<i2" i16 => Int16Array;
        "|i1" i8 => Int8Array;
        "<u8" u64 => UInt64Array;
        "<u4" u32 => UInt32Array;
        "<u2" u16 => UInt16Array;
        "|u1" u8 => UInt8Array;
    }
    if dtype.to_string().starts_with("<M8[") {
        let numpy = py.import(intern!(py, "numpy"))?;
        let times = numpy.call_method1(intern!(py, "asarray"), (values,))?;
        let items: Vec<i64> = in_ns(what, &times)?.extract()?;
        let items = items.into_iter().map(|ns| (ns != i64::MIN).then_some(ns));
        return Ok(Arc::new(items.collect::<TimestampNanosecondArray>()));
    }
    if let Some(texts) = array.to_strings() {
        return Ok(Arc::new(StringArray::from(texts)));
    }
    let expected = "numbers, texts, times, True and False";
    Err(invalid(what, expected, format!("an array of {dtype}")))
}

/// An integer as a float that is equal.
pub(crate) fn exact_float(what: &str, n: i64) -> PyResult<f64> {
    match (n as f64) as i128 == i128::from(n) {
        true => Ok(n as f64),
        false => Err(invalid(what, "a number that float64 holds", n.to_string())),
    }
}

/// A list of numbers some of which are None.
fn with_gaps(what: &str, items: &Bound<'_, PyList>) -> PyResult<ArrayRef> {
    let cells = items.iter().map(|item| held(what, &item)).collect::<PyResult<Vec<_>>>()?;
    if cells.iter().all(|cell| matches!(cell, Held::Null | Held::Int(_) | Held::Bool(_))) {
        let numbers = cells.iter().map(|cell| match cell {
            Held::Int(n) => Some(*n),
            Held::Bool(b) => Some(i64::from(*b)),
            _ => None,
        });
        return Ok(Arc::new(Int64Array::from(numbers.collect::<Vec<_>>())));
    }
    let numbers = cells.iter().map(|cell| match cell {
        Held::Null => Ok(None),
        Held::Int(n) => exact_float(what, *n).map(Some),
        Held::Float(x) => Ok(Some(*x)),
        _ => Err(invalid(what, "numbers, or texts, and None", "a mixture")),
    });
    Ok(Arc::new(Float64Array::from(numbers.collect::<PyResult<Vec<_>>>()?)))
}
