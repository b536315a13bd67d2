//! The series of a Parquet or Arrow file.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema, TimeUnit};
use serde_json::Value;

use super::local::{Local, instants};
use super::{Points, PointsColumn, PointsOptions};
use crate::error::{Error, Result};
use crate::series::data::{SCHEMA_KEY, Series};
use crate::series::index::{IndexMetadata, Shape};
use crate::series::widen::type_name;
use crate::table::{self, from_arrow};

/// The digits behind the point of a decimal that a float divides out exactly.
const MOST_SCALE: i8 = 22;
/// The greatest count of units of a decimal that a float keeps: 15 digits.
const MOST_UNITS: u128 = 1_000_000_000_000_000;

/// The name that pandas gives to the column of an index without a name.
const UNNAMED: &str = "__index_level_";

/// Where the index of a table is.
enum Index {
    /// A column, and the name of the index.
    Column(usize, Option<String>),
    /// No column: it begins here, goes on by this step, and has this name.
    Range(i64, i64, Option<String>),
}

pub(super) fn read(path: &Path, options: &PointsOptions) -> Result<Points> {
    let location = path.display().to_string();
    let of_tables = PointsOptions {
        index: options.index.clone(),
        time_zone: options.time_zone.clone(),
        time_unit: options.time_unit,
        ambiguous: options.ambiguous,
        nonexistent: options.nonexistent,
        ..PointsOptions::default()
    };
    if *options != of_tables {
        let expected = "a delimited text for options as --skip-lines, --decimal and --time-format";
        return Err(Error::invalid(&location, expected, "a Parquet or Arrow file"));
    }
    let whole = table::read_whole(path)?;
    let schema = whole.schema();
    if schema.metadata().contains_key(SCHEMA_KEY) && *options == PointsOptions::default() {
        let series = Series::from_batch(&whole).map_err(|error| of_file(error, &location))?;
        let name = series.head().index.name.clone().unwrap_or_default();
        let columns = vec![
            reported(&name, series.index()),
            reported(series.name().unwrap_or_default(), series.values()),
        ];
        return Ok(Points { series: vec![series], columns, notes: Vec::new() });
    }
    let (index, name, at) = match index_of(&whole, options, &location)? {
        Index::Column(at, name) => {
            let index = plain(whole.column(at), schema.field(at).name(), &location)?;
            (index, name, Some(at))
        }
        Index::Range(start, step, name) => {
            let value = |row: usize| start.wrapping_add(step.wrapping_mul(row as i64));
            let values = (0..whole.num_rows()).map(value);
            (Arc::new(Int64Array::from_iter_values(values)) as ArrayRef, name, None)
        }
    };
    if index.null_count() > 0 {
        let got = format!("{} missing", index.null_count());
        let what = format!("{location}, the index {:?}", name.unwrap_or_default());
        return Err(Error::invalid(what, "a value for each row", got));
    }
    let (index, note) = in_unit(index, options, &location)?;
    let index = in_zone(index, options, &location)?;
    Shape::of(index.data_type()).map_err(|error| {
        let name = name.as_deref().unwrap_or_default();
        of_file(error, &format!("{location}, the column {name:?}"))
    })?;
    let time_zone = match index.data_type() {
        DataType::Timestamp(_, zone) => zone.as_deref().map(str::to_owned),
        _ => None,
    };
    let kind = match index.data_type() {
        DataType::Timestamp(..) => "DatetimeIndex",
        DataType::Duration(_) => "TimedeltaIndex",
        _ => "Index",
    };
    let known =
        IndexMetadata { kind: kind.into(), name: name.clone(), time_zone, ..Default::default() };
    let mut columns = vec![reported(&name.unwrap_or_default(), &index)];
    let mut all = Vec::new();
    for (i, column) in whole.columns().iter().enumerate().filter(|(i, _)| Some(*i) != at) {
        let name = schema.field(i).name();
        if schema.fields()[..i].iter().enumerate().any(|(j, f)| Some(j) != at && f.name() == name) {
            let expected = "columns of different names";
            return Err(Error::invalid(&location, expected, format!("the column {name:?} twice")));
        }
        let values = plain(column, name, &location)?;
        columns.push(reported(name, &values));
        let series = Series::new(index.clone(), values);
        let series =
            series.map_err(|error| of_file(error, &format!("{location}, the column {name:?}")))?;
        all.push(series.with_index_metadata(known.clone()).with_name(name));
    }
    if all.is_empty() {
        let expected = "an index and at least one column of values";
        return Err(Error::invalid(&location, expected, "one column"));
    }
    let index = &columns[0].name;
    let notes = note.map(|note| format!("{index}: {note}")).into_iter().collect();
    Ok(Points { series: all, columns, notes })
}

/// An error about points, which names the file that they are from.
fn of_file(error: Error, location: &str) -> Error {
    match error {
        Error::Invalid { what, expected, got } => {
            Error::invalid(format!("{location}, {what}"), expected, got)
        }
        other => other,
    }
}

fn reported(name: &str, array: &ArrayRef) -> PointsColumn {
    let kind = match array.data_type() {
        DataType::Timestamp(_, Some(zone)) => format!("timestamps of {zone}"),
        DataType::Timestamp(_, None) => "timestamps without a zone".into(),
        DataType::Duration(_) => "time spans".into(),
        DataType::Utf8 => "texts".into(),
        other => type_name(other),
    };
    PointsColumn { missing: array.null_count() as u64, ..PointsColumn::new(name, kind) }
}

/// The index: the column that is asked for, or that pandas wrote down, or the first one.
fn index_of(whole: &RecordBatch, options: &PointsOptions, location: &str) -> Result<Index> {
    let schema = whole.schema();
    let find = |name: &str| schema.fields().iter().position(|field| field.name() == name);
    if let Some(name) = &options.index {
        let at = find(name).ok_or_else(|| {
            let names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
            Error::invalid(location, format!("a column {name:?}"), format!("columns {names:?}"))
        })?;
        return Ok(Index::Column(at, Some(name.clone())));
    }
    let is_time = |at: usize| {
        matches!(
            schema.field(at).data_type(),
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64
        )
    };
    let of_pandas =
        schema.metadata().get("pandas").and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(of_pandas) = of_pandas {
        match &of_pandas["index_columns"].as_array().cloned().unwrap_or_default()[..] {
            [Value::String(column)] => {
                let at = find(column).ok_or_else(|| {
                    Error::invalid(
                        location,
                        format!("the index {column:?} that pandas names"),
                        "none",
                    )
                })?;
                refuse_extension(&schema, at, location)?;
                let name = Some(column.clone()).filter(|name| !name.starts_with(UNNAMED));
                return Ok(Index::Column(at, name));
            }
            [range @ Value::Object(_)] => {
                let number = |key: &str, unless| range[key].as_i64().unwrap_or(unless);
                let (start, step) = (number("start", 0), number("step", 1));
                let name = range["name"].as_str().map(str::to_owned);
                // The numbers that pandas gives to rows without an index say less than times beside them.
                let rows = start == 0 && step == 1 && name.is_none();
                let own = rows && schema.fields().len() > 1 && is_time(0);
                if !own {
                    return Ok(Index::Range(start, step, name));
                }
            }
            [] => {}
            levels => {
                let expected = "an index of one column: pass --index with the column to take";
                return Err(Error::invalid(
                    location,
                    expected,
                    format!("a MultiIndex of {} columns", levels.len()),
                ));
            }
        }
    }
    let times: Vec<usize> = (0..schema.fields().len()).filter(|at| is_time(*at)).collect();
    let first = schema.fields().first().map(|field| field.data_type().clone());
    if let ([time], Some(DataType::Float64 | DataType::Float32)) = (&times[..], first) {
        let (first, time) = (schema.field(0).name(), schema.field(*time).name());
        let expected = format!("an index: pass --index {time:?} or --index {first:?}");
        return Err(Error::invalid(
            location,
            expected,
            format!("numbers in the first column {first:?}"),
        ));
    }
    match schema.fields().first() {
        Some(field) => Ok(Index::Column(0, Some(field.name().clone()))),
        None => {
            Err(Error::invalid(location, "an index and at least one column of values", "no column"))
        }
    }
}

/// Refuses an index of periods or intervals, by its name.
fn refuse_extension(schema: &Schema, at: usize, location: &str) -> Result<()> {
    let field = schema.field(at);
    match field.metadata().get("ARROW:extension:name") {
        None => Ok(()),
        Some(extension) => {
            let what = format!("{location}, the index {:?}", field.name());
            let kind = match extension.as_str() {
                "pandas.period" => "periods: save it with to_timestamp()",
                "pandas.interval" => "intervals",
                other => other,
            };
            Err(Error::invalid(what, "times, time spans, numbers or texts", kind))
        }
    }
}

/// Numbers that count from 1970 as times, where the unit is said, and a note if it does not seem to be theirs.
fn in_unit(
    index: ArrayRef,
    options: &PointsOptions,
    location: &str,
) -> Result<(ArrayRef, Option<String>)> {
    let Some(unit) = options.time_unit else {
        let is_time = matches!(index.data_type(), DataType::Timestamp(..));
        if options.time_zone.is_some() && !is_time {
            let expected = "times in the index for --tz: pass --time-unit for numbers since 1970";
            return Err(Error::invalid(location, expected, type_name(index.data_type())));
        }
        return Ok((index, None));
    };
    if !index.data_type().is_integer() {
        let got = type_name(index.data_type());
        return Err(Error::invalid(location, "integers in the index for --time-unit", got));
    }
    let counts = cast(&index, &DataType::Int64).map_err(|e| from_arrow(location, e))?;
    for (count, row) in counts.as_primitive::<Int64Type>().values().iter().zip(1..) {
        let ns = i128::from(*count) * i128::from(unit.ns());
        if i64::try_from(ns).is_err() {
            return Err(unit.too_far(ns, &format!("{location}, row {row}")));
        }
    }
    let ns = counts.as_primitive::<Int64Type>().values().iter();
    let note = unit.suspicion(ns.map(|count| i128::from(*count) * i128::from(unit.ns())));
    let unit = match unit {
        super::TimeUnit::S => TimeUnit::Second,
        super::TimeUnit::Ms => TimeUnit::Millisecond,
        super::TimeUnit::Us => TimeUnit::Microsecond,
        super::TimeUnit::Ns => TimeUnit::Nanosecond,
    };
    let times = cast(&counts, &DataType::Timestamp(unit, Some("UTC".into())));
    Ok((times.map_err(|e| from_arrow(location, e))?, note))
}

/// Times without an offset as local time of the zone that is asked for; instants as shown there.
fn in_zone(index: ArrayRef, options: &PointsOptions, location: &str) -> Result<ArrayRef> {
    let (Some(zone), DataType::Timestamp(unit, own)) = (&options.time_zone, index.data_type())
    else {
        return Ok(index);
    };
    let zoned = DataType::Timestamp(*unit, Some(zone.as_str().into()));
    if own.is_some() {
        return cast(&index, &zoned).map_err(|e| from_arrow(location, e));
    }
    let size = 1_000_000_000 / crate::array::per_second(*unit);
    let too_far = || Error::invalid(location, "times from 1677 to 2262", "other ones");
    let counts = cast(&index, &DataType::Int64).map_err(|e| from_arrow(location, e))?;
    let local = |count: &i64| Some(Local { wall: count.checked_mul(size)?, offset: None });
    let times: Option<Vec<Local>> =
        counts.as_primitive::<Int64Type>().values().iter().map(local).collect();
    let times = times.ok_or_else(too_far)?;
    let rows: Vec<u64> = (1..=times.len() as u64).collect();
    let ns = instants(&times, &rows, (Some(zone), options, location))?;
    let counts = ns.into_iter().map(|ns| ns.div_euclid(size));
    let counts: ArrayRef = Arc::new(Int64Array::from_iter_values(counts));
    let zoned = cast(&counts, &zoned).map_err(|e| from_arrow(location, e))?;
    Ok(zoned)
}

/// A column of a type that a series has: texts of dictionaries, days as times, decimals that a float keeps.
fn plain(array: &ArrayRef, name: &str, location: &str) -> Result<ArrayRef> {
    let to = |to: &DataType| cast(array, to).map_err(|e| from_arrow(location, e));
    match array.data_type() {
        DataType::Dictionary(_, values) if is_text(values) => to(&DataType::Utf8),
        DataType::Dictionary(_, values) => plain(&to(values)?, name, location),
        DataType::LargeUtf8 | DataType::Utf8View => to(&DataType::Utf8),
        DataType::LargeBinary | DataType::BinaryView => to(&DataType::Binary),
        DataType::Date32 => to(&DataType::Timestamp(TimeUnit::Second, None)),
        DataType::Date64 => to(&DataType::Timestamp(TimeUnit::Millisecond, None)),
        DataType::Decimal128(_, 0..=MOST_SCALE) if is_exact(array) => to(&DataType::Float64),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => {
            let expected = "decimals of at most 15 digits, which a float keeps";
            let what = format!("{location}, the column {name:?}");
            Err(Error::invalid(what, expected, array.data_type().to_string().to_ascii_lowercase()))
        }
        _ => Ok(array.clone()),
    }
}

/// Whether a float keeps each of these decimals.
fn is_exact(decimals: &ArrayRef) -> bool {
    let mut units = decimals.as_primitive::<Decimal128Type>().iter().flatten();
    units.all(|units| units.unsigned_abs() < MOST_UNITS)
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
