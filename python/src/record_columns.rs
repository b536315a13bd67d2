//! Python's columns as those of records.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampNanosecondArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array, new_null_array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use pyo3_arrow::input::{AnyArray, AnyRecordBatch};
use siltstone::DType;

use crate::arguments::is_exact;
use crate::arrays_in::to_array;
use crate::errors::{invalid, to_py, wrong_type};
use crate::record_cells::{Held, exact_float, held, in_ns, is_time, is_time_of_numpy, time, utf8};

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
    if let Some(array) = of_arrow(what, values)? {
        return Ok(array);
    }
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
        if items.iter().all(|item| item.is_none()) {
            return Ok(new_null_array(&DataType::Null, items.len()));
        }
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
    let is_list = values.is_instance_of::<PyList>() || values.is_instance_of::<PyTuple>();
    if is_list && let Some(floats) = array.to_vec::<f64>() {
        for (i, x) in floats.iter().enumerate().filter(|(_, x)| x.abs() >= 2f64.powi(53)) {
            let item = values.get_item(i)?;
            if !is_exact(&item, *x)? {
                return Err(invalid(what, "numbers that float64 holds", item.to_string()));
            }
        }
    }
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
        // numpy makes times of several units those of one, and goes round the end of 64 bits.
        if is_list && !are_of(values, &times.getattr(intern!(py, "dtype"))?)? {
            let ns = |item: PyResult<Bound<'_, PyAny>>| {
                let item = item?;
                match is_time_of_numpy(&item)? {
                    true => in_ns(what, &item)?.extract::<i64>(),
                    false => Err(wrong_type(what, "times and None", &item)),
                }
            };
            let items = values.try_iter()?.map(ns).collect::<PyResult<Vec<_>>>()?;
            return Ok(timestamps(items));
        }
        let ns = to_array(what, &in_ns(what, &times)?)?;
        return Ok(timestamps(ns.to_vec().expect("numpy made it of int64")));
    }
    if let Some(texts) = array.to_strings() {
        return Ok(Arc::new(StringArray::from(texts)));
    }
    let expected = "numbers, texts, times, True and False";
    Err(invalid(what, expected, format!("an array of {dtype}")))
}

/// A column that hands out Arrow, and is none of numpy: it tells what is missing.
fn of_arrow(what: &str, values: &Bound<'_, PyAny>) -> PyResult<Option<ArrayRef>> {
    let py = values.py();
    let hands_out = values.hasattr(intern!(py, "__arrow_c_stream__"))?
        || values.hasattr(intern!(py, "__arrow_c_array__"))?;
    let of_numpy = |dtype: Bound<'_, PyAny>| {
        dtype.is_instance(&py.import(intern!(py, "numpy"))?.getattr(intern!(py, "dtype"))?)
    };
    let dtype = values.getattr_opt(intern!(py, "dtype"))?;
    if !hands_out || dtype.map_or(Ok(false), of_numpy)? {
        return Ok(None);
    }
    let reader = values.extract::<AnyArray>()?.into_reader()?;
    let kind = reader.field().data_type().clone();
    let wrong = |error: ArrowError| invalid(what, "a column of Arrow", error.to_string());
    let chunks = reader.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let parts: Vec<&dyn Array> = chunks.iter().map(AsRef::as_ref).collect();
    match parts[..] {
        [] => Ok(Some(new_null_array(&kind, 0))),
        _ => arrow_select::concat::concat(&parts).map(Some).map_err(wrong),
    }
}

/// Whether all items of a list are numpy's, of this dtype.
fn are_of(items: &Bound<'_, PyAny>, dtype: &Bound<'_, PyAny>) -> PyResult<bool> {
    for item in items.try_iter()? {
        match item?.getattr_opt(intern!(items.py(), "dtype"))? {
            Some(own) if own.eq(dtype)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Times in ns, of which the least one is NaT.
fn timestamps(ns: Vec<i64>) -> ArrayRef {
    let items = ns.into_iter().map(|ns| (ns != i64::MIN).then_some(ns));
    Arc::new(items.collect::<TimestampNanosecondArray>())
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
