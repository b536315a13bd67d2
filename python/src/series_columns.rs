//! One column of a series as numpy keeps it, to Arrow and back: a type as text, bytes or a list, and what is
//! there.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, StringArray, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, TimeUnit};
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::errors::{invalid, wrong_type};

/// A type, the data (bytes of fixed-width items, or a list of texts or bytes), and for each row whether it is there.
pub(crate) type Column<'py> = (String, Bound<'py, PyAny>, Option<Bound<'py, PyArray1<bool>>>);

/// The Arrow array of a column.
pub(crate) fn to_arrow(what: &str, (name, data, valid): &Column<'_>) -> PyResult<ArrayRef> {
    let valid = valid.as_ref().map(|valid| valid.readonly());
    let valid: Option<Vec<bool>> = valid.map(|valid| valid.as_array().iter().copied().collect());
    match type_of(name).ok_or_else(|| invalid(what, "a type of a series", name.clone()))? {
        DataType::Utf8 => Ok(Arc::new(texts(what, data)?)),
        DataType::Binary => Ok(Arc::new(bytes(what, data)?)),
        data_type => {
            let items: PyReadonlyArray1<'_, u8> = data.extract()?;
            let items =
                items.as_slice().map_err(|e| invalid(what, "bytes in a row", e.to_string()))?;
            fixed(what, data_type, items, valid)
        }
    }
}

fn fixed(
    what: &str,
    data_type: DataType,
    items: &[u8],
    valid: Option<Vec<bool>>,
) -> PyResult<ArrayRef> {
    let rows = match &data_type {
        DataType::Boolean => items.len(),
        DataType::FixedSizeBinary(size) => items.len() / *size as usize,
        other => items.len() / other.primitive_width().unwrap_or(1),
    };
    if valid.as_ref().is_some_and(|valid| valid.len() != rows) {
        return Err(invalid(what, &format!("{rows} rows"), "another number of missing ones"));
    }
    let nulls = valid.map(NullBuffer::from).filter(|nulls| nulls.null_count() > 0);
    if data_type == DataType::Boolean {
        let items = BooleanBuffer::collect_bool(rows, |row| items[row] != 0);
        return Ok(Arc::new(BooleanArray::new(items, nulls)));
    }
    let data = ArrayData::builder(data_type)
        .len(rows)
        .add_buffer(Buffer::from(items))
        .nulls(nulls)
        .align_buffers(true)
        .build();
    Ok(make_array(data.map_err(|e| invalid(what, "whole items", e.to_string()))?))
}

fn texts(what: &str, data: &Bound<'_, PyAny>) -> PyResult<StringArray> {
    let items = data.cast::<PyList>()?.iter().map(|item| {
        if item.is_none() {
            return Ok(None);
        }
        let text = item.cast::<PyString>().map_err(|_| wrong_type(what, "texts", &item))?;
        Ok(Some(text.to_str()?.to_owned()))
    });
    Ok(StringArray::from(items.collect::<PyResult<Vec<_>>>()?))
}

fn bytes(what: &str, data: &Bound<'_, PyAny>) -> PyResult<BinaryArray> {
    let items = data.cast::<PyList>()?.iter().map(|item| {
        if item.is_none() {
            return Ok(None);
        }
        let bytes = item.cast::<PyBytes>().map_err(|_| wrong_type(what, "bytes", &item))?;
        Ok(Some(bytes.as_bytes().to_vec()))
    });
    let items = items.collect::<PyResult<Vec<_>>>()?;
    Ok(items.iter().map(|item| item.as_deref()).collect())
}

/// The column of an Arrow array.
pub(crate) fn from_arrow<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Column<'py>> {
    let valid = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let valid = valid.map(|nulls| PyArray1::from_iter(py, nulls.iter()));
    let name = name_of(array.data_type());
    let data = match array.data_type() {
        DataType::Utf8 => PyList::new(py, array.as_string::<i32>().iter())?.into_any(),
        DataType::Binary => {
            let items = array.as_binary::<i32>().iter();
            PyList::new(py, items.map(|item| item.map(|item| PyBytes::new(py, item))))?.into_any()
        }
        DataType::Boolean => {
            let items = array.as_boolean().values().iter().map(u8::from);
            PyArray1::from_iter(py, items).into_any()
        }
        other => {
            let size = match other {
                DataType::FixedSizeBinary(size) => *size as usize,
                other => other.primitive_width().unwrap_or(1),
            };
            let data = array.to_data();
            let items = &data.buffers()[0].as_slice()[data.offset() * size..][..data.len() * size];
            PyArray1::from_slice(py, items).into_any()
        }
    };
    Ok((name, data, valid))
}

/// `float64`, `text`, `fixed:16`, `timestamp:ns`, `timestamp:ns:Europe/Paris`, `duration:ms`, ...
pub(crate) fn type_of(name: &str) -> Option<DataType> {
    let (head, rest) = name.split_once(':').unwrap_or((name, ""));
    Some(match head {
        "bool" => DataType::Boolean,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "float16" => DataType::Float16,
        "float32" => DataType::Float32,
        "float64" => DataType::Float64,
        "text" => DataType::Utf8,
        "binary" => DataType::Binary,
        "fixed" => DataType::FixedSizeBinary(rest.parse().ok().filter(|size| *size > 0)?),
        "duration" => DataType::Duration(unit_of(rest)?),
        "timestamp" => {
            let (unit, zone) = rest.split_once(':').map_or((rest, None), |(u, z)| (u, Some(z)));
            DataType::Timestamp(unit_of(unit)?, zone.map(Into::into))
        }
        _ => return None,
    })
}

fn unit_of(name: &str) -> Option<TimeUnit> {
    Some(match name {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        _ => return None,
    })
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

/// As [`type_of`] reads it.
pub(crate) fn name_of(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "bool".into(),
        DataType::Utf8 => "text".into(),
        DataType::Binary => "binary".into(),
        DataType::FixedSizeBinary(size) => format!("fixed:{size}"),
        DataType::Duration(unit) => format!("duration:{}", unit_name(*unit)),
        DataType::Timestamp(unit, None) => format!("timestamp:{}", unit_name(*unit)),
        DataType::Timestamp(unit, Some(zone)) => format!("timestamp:{}:{zone}", unit_name(*unit)),
        // Integers and floats: numpy's names in small letters.
        other => other.to_string().to_lowercase(),
    }
}
