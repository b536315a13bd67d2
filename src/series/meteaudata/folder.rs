//! The store of Parquet files that meteaudata wrote: `KEY.parquet` and `KEY_meta.yaml`, by pandas or Polars.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow_cast::cast;
use arrow_schema::DataType;
use serde_json::Value;

use super::files::Files;
use super::record::{Beside, beside, keep};
use super::{Archive, ArchiveSeries, LooseSeries, add_series, yaml};
use crate::error::{Error, Result};
use crate::series::data::Series;
use crate::series::index::IndexMetadata;
use crate::series::text::{Column, Field, Kind, Missing, category_dtype, index_by};
use crate::table::{self, from_arrow};

/// Reads what is there.
pub(super) fn read(mut files: Files) -> Result<Archive> {
    let mut found = Archive::default();
    for name in files.names() {
        let Some(stem) = name.strip_suffix(".parquet").filter(|stem| !stem.contains('/')) else {
            continue;
        };
        let read = one(&mut files, (&name, stem), &mut found);
        if let Some(loose) = keep(&name, read, &mut found.skipped) {
            add_loose(&mut found, loose);
        }
    }
    Ok(found)
}

fn one(files: &mut Files, (name, stem): (&str, &str), found: &mut Archive) -> Result<LooseSeries> {
    let meta = format!("{stem}_meta.yaml");
    let known = match files.metadata(&meta)? {
        Some(text) => yaml::read(&text, &meta, &mut found.notes)?,
        None => Value::Null,
    };
    let known = match known {
        Value::Object(known) => beside(known, &meta)?,
        _ => {
            found.notes.push(format!("{name:?} has no metadata beside it"));
            Beside::default()
        }
    };
    let whole = table::read_whole(files.location().join(name))?;
    let (index, known_index, values, column) = columns(&whole, &known, name)?;
    let (values, dtype) = as_dtype(values, known.values_dtype.as_deref())?;
    let series = Series::new(index, values)?.with_index_metadata(known_index).with_dtype(dtype);
    let series_name = known.original_name.or(Some(column)).filter(|name| !name.is_empty());
    let series = series.with_name_or_none(series_name);
    Ok(LooseSeries { key: stem.to_owned(), series, record: known.record })
}

type Columns = (ArrayRef, IndexMetadata, ArrayRef, String);

/// Index and values of a table: by the metadata that pandas keeps in the file, or the texts in the YAML.
fn columns(table: &RecordBatch, known: &Beside, location: &str) -> Result<Columns> {
    let schema = table.schema();
    let of_pandas: Value = schema
        .metadata()
        .get("pandas")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let listed = of_pandas["index_columns"].as_array().cloned().unwrap_or_default();
    let named: Vec<&str> = listed.iter().filter_map(Value::as_str).collect();
    let values: Vec<usize> = (0..table.num_columns())
        .filter(|at| !named.contains(&schema.field(*at).name().as_str()))
        .collect();
    let [at] = values[..] else {
        let got = format!("{} columns beside the index", values.len());
        return Err(Error::invalid(location, "one column of values", got));
    };
    let (column, name) = (table.column(at).clone(), schema.field(at).name().clone());
    let name = if name == "None" { String::new() } else { name };
    let mut metadata = known.index.clone();
    if let Some(texts) = &known.index_values {
        let mut index = Column::default();
        for (line, value) in (1..).zip(texts) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            index.fields.push(Field { text: text.into(), quoted: false });
            index.lines.push(line);
        }
        let (index, metadata) = index_by(&index, metadata, &format!("{location}, index_values"))?;
        return Ok((index, metadata, column, name));
    }
    let index: ArrayRef = match (&named[..], listed.first()) {
        ([name], _) => {
            let array = table.column_by_name(name).ok_or_else(|| {
                Error::invalid(location, format!("the index column {name:?}"), "none")
            })?;
            as_index(array, &mut metadata)?
        }
        ([], Some(range @ Value::Object(_))) => {
            let (start, step) = (range["start"].as_i64(), range["step"].as_i64());
            let (start, step) = (start.unwrap_or(0), step.unwrap_or(1));
            let at = |row: usize| start.wrapping_add(step.wrapping_mul(row as i64));
            Arc::new(Int64Array::from_iter_values((0..table.num_rows()).map(at)))
        }
        ([], None) => {
            let expected = "an index in the table or its YAML";
            return Err(Error::invalid(location, expected, "values alone"));
        }
        _ => return Err(Error::invalid(location, "one index column", format!("{}", named.len()))),
    };
    Ok((index, metadata, column, name))
}

/// An index of a type that a series has.
fn as_index(array: &ArrayRef, known: &mut IndexMetadata) -> Result<ArrayRef> {
    let to = |to: &DataType| cast(array, to).map_err(|e| from_arrow("the index", e));
    match array.data_type() {
        DataType::Dictionary(..) if known.kind == "CategoricalIndex" => {
            let texts = to(&DataType::Utf8)?;
            let mut column = Column::default();
            for (line, text) in (1..).zip(texts.as_string::<i32>()) {
                let text = text.unwrap_or_default().to_owned();
                column.fields.push(Field { text: text.into(), quoted: true });
                column.lines.push(line);
            }
            let (codes, with) = index_by(&column, known.clone(), "the index")?;
            *known = with;
            Ok(codes)
        }
        DataType::Dictionary(..) | DataType::LargeUtf8 | DataType::Utf8View => to(&DataType::Utf8),
        DataType::Boolean => to(&DataType::UInt8),
        DataType::UInt64 => to(&DataType::Int64),
        DataType::Timestamp(unit, Some(_)) => {
            let zone = known.time_zone.as_deref().map(Arc::from);
            if zone.is_none() {
                return Ok(array.clone());
            }
            to(&DataType::Timestamp(*unit, zone))
        }
        _ => Ok(array.clone()),
    }
}

/// Values as the dtype that was written beside them says, and the dtype where Arrow's type does not tell it.
pub(super) fn as_dtype(
    values: ArrayRef,
    dtype: Option<&str>,
) -> Result<(ArrayRef, Option<String>)> {
    let to = |values: &ArrayRef, to: &DataType| {
        cast(values, to).map_err(|e| from_arrow("the values", e))
    };
    let values = match values.data_type() {
        DataType::Dictionary(..) | DataType::LargeUtf8 | DataType::Utf8View => {
            to(&values, &DataType::Utf8)?
        }
        DataType::LargeBinary | DataType::BinaryView => to(&values, &DataType::Binary)?,
        _ => values,
    };
    let Some(kind) = dtype.and_then(Kind::of_dtype) else { return Ok((values, None)) };
    if dtype == Some("category") && values.data_type() == &DataType::Utf8 {
        let (dtype, codes) = category_dtype(&values.as_string::<i32>().iter().collect::<Vec<_>>());
        return Ok((Arc::new(arrow_array::Int32Array::from(codes)), Some(dtype)));
    }
    let values = to(&values, &kind.data_type)?;
    // Where pandas has NaN, its files have a missing value.
    let values: ArrayRef = match (kind.missing, &kind.data_type) {
        (Missing::Nan, DataType::Float64) => Arc::new(
            values
                .as_primitive::<Float64Type>()
                .iter()
                .map(|v| v.unwrap_or(f64::NAN))
                .collect::<arrow_array::Float64Array>(),
        ),
        (Missing::Nan, DataType::Float32) => Arc::new(
            values
                .as_primitive::<Float32Type>()
                .iter()
                .map(|v| v.unwrap_or(f32::NAN))
                .collect::<arrow_array::Float32Array>(),
        ),
        (Missing::Refused, _) if values.null_count() > 0 => {
            let got = format!("{} missing ones", values.null_count());
            return Err(Error::invalid("the values", format!("{dtype:?} alone"), got));
        }
        _ => values,
    };
    Ok((values, kind.dtype))
}

/// Finds the dataset and the signal of a series whose key is the name of its file: `DATASET_SIGNAL_BASE#N`, where the
/// name of the series tells where the signal begins.
fn add_loose(found: &mut Archive, loose: LooseSeries) {
    let name = loose.series.name().unwrap_or_default().to_owned();
    let safe = name.replace(['/', '\\'], "_");
    let dataset = loose.key.strip_suffix(&safe).and_then(|rest| rest.strip_suffix('_'));
    let dataset = dataset.filter(|dataset| !dataset.is_empty()).map(str::to_owned);
    match dataset {
        Some(dataset) => {
            let LooseSeries { key, series, record } = loose;
            add_series(found, &dataset, (key, ArchiveSeries { name, series, record }));
        }
        None => found.loose.push(loose),
    }
}
