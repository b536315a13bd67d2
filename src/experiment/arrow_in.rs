//! Rows of an Arrow batch into a buffer, a column at a time.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;

use super::buffer::{Items, TableBuffer};
use super::cell::exact_float;
use super::id::check_id;
use super::names::Names;
use super::schema::{Column, ColumnType, Storage};
use crate::error::{Error, Result};

/// Appends all rows. After an error some columns may have grown: the caller takes them back.
pub(super) fn push(
    buffer: &mut TableBuffer,
    names: &mut Names,
    step: Option<i64>,
    batch: &RecordBatch,
) -> Result<()> {
    let n = batch.num_rows();
    let table = std::sync::Arc::clone(&buffer.table);
    let schema = &table.schema;
    let own_step = schema.step.as_deref().unwrap_or("step");
    let batch_schema = batch.schema();
    let is_step = |name: &str| name == own_step || name == "step" || name == "step_number";
    for field in batch_schema.fields() {
        let name = field.name();
        if schema.position(name).is_none() && !(step.is_none() && is_step(name)) {
            let known: Vec<&str> =
                schema.columns.iter().map(|column| column.name.as_str()).collect();
            let what = format!("a column of {}", schema.name);
            return Err(Error::invalid(what, known.join(", "), format!("{name:?}")));
        }
    }
    match step {
        Some(step) => buffer.steps.extend(std::iter::repeat_n(step, n)),
        None => {
            let index = batch_schema.fields().iter().position(|field| is_step(field.name()));
            let Some(index) = index else {
                let what = format!("the records of {}", schema.name);
                return Err(Error::invalid(
                    what,
                    format!("a step, or a column {own_step:?}"),
                    "neither",
                ));
            };
            let column = Column { name: own_step.into(), kind: ColumnType::Int64 };
            let steps = convert(batch.column(index), &column, &schema.name)?;
            let steps = steps.as_primitive::<Int64Type>();
            if steps.null_count() > 0 {
                return Err(Error::invalid("the step", "0 or a later one", "nothing"));
            }
            steps.values().iter().try_for_each(|step| super::id::check_step(*step))?;
            buffer.steps.extend_from_slice(steps.values());
        }
    }
    for (i, column) in schema.columns.iter().enumerate() {
        let own = &mut buffer.columns[i];
        let is_key = schema.key == Some(i);
        let Some(array) = batch.column_by_name(&column.name) else {
            if is_key {
                let what = format!("{} of {}", column.name, schema.name);
                return Err(Error::invalid(what, "a column: it is the key", "none"));
            }
            own.push_missing(n);
            continue;
        };
        let array = convert(array, column, &schema.name)?;
        if is_key && array.null_count() > 0 {
            let what = format!("{} of {}", column.name, schema.name);
            return Err(Error::invalid(what, "a value in every row: it is the key", "nothing"));
        }
        own.push_flags(&array);
        match &mut own.items {
            Items::Int(items) => {
                items.extend_from_slice(array.as_primitive::<Int64Type>().values())
            }
            Items::Float(items) => {
                items.extend_from_slice(array.as_primitive::<Float64Type>().values());
            }
            Items::Name(items) => {
                let what = || format!("{} of {}", column.name, schema.name);
                for text in array.as_string::<i32>() {
                    items.push(match text {
                        None => 0,
                        Some(text) => match names.known(text) {
                            Some(number) => number,
                            None => {
                                check_id(&what(), text)?;
                                names.number(text)
                            }
                        },
                    });
                }
            }
            Items::Text(ends, all) => {
                for text in array.as_string::<i32>() {
                    all.push_str(text.unwrap_or_default());
                    ends.push(all.len());
                }
            }
        }
    }
    Ok(())
}

/// The array as the column holds it.
fn convert(array: &ArrayRef, column: &Column, table: &str) -> Result<ArrayRef> {
    let misfit = |got: String| {
        let what = format!("{} of {table}", column.name);
        Error::invalid_type(what, format!("values that {} holds", column.kind), got)
    };
    let kind = array.data_type();
    let is_text = |kind: &DataType| {
        let text = |kind: &DataType| {
            matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        };
        text(kind) || matches!(kind, DataType::Dictionary(_, values) if text(values))
    };
    let fits = *kind == DataType::Null
        || match column.kind.storage() {
            Storage::Int | Storage::Float => {
                kind.is_numeric()
                    || *kind == DataType::Boolean
                    || matches!(kind, DataType::Timestamp(..))
            }
            Storage::Text => is_text(kind),
            Storage::Name => is_text(kind) || kind.is_integer(),
        };
    if !fits {
        return Err(misfit(kind.to_string()));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |array: &ArrayRef, to: &DataType| match array.data_type() == to {
        true => Ok(array.clone()),
        false => cast_with_options(array, to, &strict).map_err(|e| misfit(e.to_string())),
    };
    match column.kind.storage() {
        Storage::Text | Storage::Name => cast(array, &DataType::Utf8),
        Storage::Float => {
            let own = cast(&cast(array, &column.kind.arrow())?, &DataType::Float64)?;
            if kind.is_integer() {
                let whole = cast(array, &DataType::Int64)?;
                let whole = whole.as_primitive::<Int64Type>().iter().flatten();
                if let Some(n) = { whole }.find(|n| exact_float(column.kind, *n).is_none()) {
                    return Err(misfit(n.to_string()));
                }
            }
            Ok(own)
        }
        Storage::Int => {
            if kind.is_floating() {
                let floats = cast(array, &DataType::Float64)?;
                let odd = floats
                    .as_primitive::<Float64Type>()
                    .iter()
                    .flatten()
                    .find(|x| x.fract() != 0.0);
                if let Some(odd) = odd {
                    return Err(misfit(format!("{odd:?}")));
                }
            }
            let own = cast(array, &column.kind.arrow())?;
            cast(&own, &DataType::Int64)
        }
    }
}
