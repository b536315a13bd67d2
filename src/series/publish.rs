//! Series as other machines see them: a table of what is known of each, and one of their points.
//!
//! Points of a time index lie in the year of their time, unless they do not rise, or span a thousand years; all others in the
//! year `none`. A year of a
//! bucket of series is one slice, or one a month if it has many points.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
    new_null_array,
};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use jiff::civil::Date;
use xxhash_rust::xxh3::xxh3_128;

use super::backend::{SeriesInfo, StorageBackend};
use super::codes::decoded;
use super::index::IndexRange;
use super::sqlite::SqliteBackend;
use crate::array::{date_of_day, day_number};
use crate::error::{Error, Result};
use crate::kernel::{Database, ReadTx, table_exists};
use crate::table::Kind::{Int, Text};
use crate::table::{
    Batches, Cut, Published, PublishedTable, Slice, SqlTable, bucket, from_arrow, growing,
};

/// A year with more points than this has a slice a month.
const MANY_POINTS: u64 = 4 << 20;
const DAY_S: i64 = 86_400;
/// A series that spans more is not cut by years: most would be empty.
const MOST_YEARS: i64 = 1_000;
/// Of a month that grows, from its beginning to its end.
const CUTS_S: [i64; 3] = [DAY_S, 3_600, 300];
/// Series of one slice that have no time, as a power of two.
const SERIES_BITS: u32 = 10;
/// The year of points without a time.
const NO_YEAR: &str = "none";

static SERIES: SqlTable = SqlTable {
    name: "series",
    from: "series s",
    key: "s.id",
    columns: &[
        ("id", Int, "s.id"),
        ("key", Text, "s.key"),
        ("length", Int, "s.length"),
        ("index_type", Text, "s.index_type"),
        ("value_type", Text, "s.value_type"),
        ("is_sorted", Int, "s.is_sorted"),
        ("head", Text, "s.head"),
        ("metadata", Text, "s.metadata"),
    ],
};

const POINTS: &str = "series_points";

/// The series of a file, as they are published.
pub(crate) struct PublishedSeries(pub(crate) Database);

fn points_schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = [
        ("key", DataType::Utf8),
        ("time", time),
        ("index_integer", DataType::Int64),
        ("index_real", DataType::Float64),
        ("index_text", DataType::Utf8),
        ("value", DataType::Float64),
        ("value_integer", DataType::Int64),
        ("value_text", DataType::Utf8),
        ("value_binary", DataType::Binary),
    ];
    Arc::new(Schema::new(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec()))
}

/// How many of the unit of a time index make a second.
fn of_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// A series, and its blocks by time.
struct Known {
    id: i64,
    key: String,
    /// How many of the unit of its index make a second, if that is a time that rises.
    of_second: Option<i64>,
    /// Number, rows, and first and last time in seconds, rounded down.
    blocks: Vec<(i64, i64, i64, i64)>,
}

fn known(tx: &ReadTx<'_>) -> Result<Vec<Known>> {
    let sql = "SELECT s.id, s.key, s.index_type, s.is_sorted, b.id, b.rows, b.least, b.greatest \
        FROM series s JOIN series_block b ON b.series_id = s.id ORDER BY s.id, b.first_row";
    let mut all: Vec<Known> = Vec::new();
    tx.query(sql, [], |row| {
        let id: i64 = row.get(0)?;
        if all.last().is_none_or(|known| known.id != id) {
            let index = crate::array::block::types::type_of(&row.get::<_, String>(2)?)?;
            let of_second = match index {
                DataType::Timestamp(unit, _) if row.get(3)? => Some(of_second(unit)),
                _ => None,
            };
            all.push(Known { id, key: row.get(1)?, of_second, blocks: Vec::new() });
        }
        let known = all.last_mut().expect("it was just added");
        let time = |column: usize| -> Result<i64> {
            Ok(match known.of_second {
                Some(n) => row.get::<_, Option<i64>>(column)?.unwrap_or(0).div_euclid(n),
                None => 0,
            })
        };
        let (least, greatest) = (time(6)?, time(7)?);
        known.blocks.push((row.get(4)?, row.get(5)?, least, greatest));
        Ok(())
    })?;
    for known in &mut all {
        let first = known.blocks.iter().map(|block| block.2).min().unwrap_or(0);
        let last = known.blocks.iter().map(|block| block.3).max().unwrap_or(0);
        if last.saturating_sub(first) > MOST_YEARS * 366 * DAY_S {
            known.of_second = None;
            known.blocks.iter_mut().for_each(|block| (block.2, block.3) = (0, 0));
        }
    }
    Ok(all)
}

/// The first second of a year or of a month. What lies before the calendar, or behind it, belongs to its first and last year.
fn begin_s(year: i16, month: i8) -> i64 {
    if (year, month) == (Date::MIN.year(), 1) {
        return i64::MIN;
    }
    Date::new(year, month, 1).map_or(i64::MAX, |date| day_number(date).saturating_mul(DAY_S))
}

fn date_of(second: i64) -> Date {
    date_of_day(second.div_euclid(DAY_S))
}

/// The next first of a month.
fn next_month((year, month): (i16, i8)) -> (i16, i8) {
    if month == 12 { (year.saturating_add(1), 1) } else { (year, month + 1) }
}

/// What a slice has of a series: its own name, and the blocks of which it has something.
type Parts<'a> = Vec<(&'a Known, &'a (i64, i64, i64, i64))>;

fn signature(parts: &Parts<'_>, range: (i64, i64)) -> Option<u128> {
    let is_behind = |second: i64| second >= range.1 && range.1 != i64::MAX;
    let within = parts.iter().filter(|(_, block)| !is_behind(block.2) && block.3 >= range.0);
    let mut sum = None;
    for (series, block) in within {
        let mut bytes = series.key.as_bytes().to_vec();
        bytes.extend(block.0.to_le_bytes());
        bytes.extend(block.1.to_le_bytes());
        sum = Some(sum.unwrap_or(0u128).wrapping_add(xxh3_128(&bytes)));
    }
    sum
}

/// The ranges of a year of a bucket.
fn ranges(year: i16, parts: &Parts<'_>, is_newest: bool, cut: Cut) -> Vec<(i64, i64)> {
    let whole = (begin_s(year, 1), begin_s(year.saturating_add(1), 1));
    let points: u64 = parts.iter().map(|(_, block)| block.1 as u64).sum();
    let is_growing = is_newest && cut == Cut::Fine;
    let is_at_end = whole.0 == i64::MIN || whole.1 == i64::MAX;
    if is_at_end || (points < MANY_POINTS && !is_growing) {
        return vec![whole];
    }
    let last = parts.iter().map(|(_, block)| block.3).max().unwrap_or(whole.0);
    let last = last.clamp(whole.0, whole.1 - 1);
    let mut ranges = Vec::new();
    for month in 1..=12 {
        let (next_year, next) = next_month((year, month));
        let (first, until) = (begin_s(year, month), begin_s(next_year, next));
        if is_growing && (first..until).contains(&last) {
            ranges.extend(growing(first, last, &CUTS_S));
            break;
        }
        ranges.push((first, until));
    }
    ranges
}

fn slices(all: &[Known], cut: Cut) -> Vec<Slice> {
    let mut years: BTreeMap<(u64, i16), Parts<'_>> = BTreeMap::new();
    let mut others: BTreeMap<(u64, i64), Parts<'_>> = BTreeMap::new();
    for series in all {
        let bucket = bucket(&series.key);
        for block in &series.blocks {
            if series.of_second.is_none() {
                let group = series.id >> SERIES_BITS;
                others.entry((bucket, group)).or_default().push((series, block));
                continue;
            }
            for year in date_of(block.2).year()..=date_of(block.3).year() {
                years.entry((bucket, year)).or_default().push((series, block));
            }
        }
    }
    let newest: BTreeMap<u64, i16> = years.keys().copied().collect();
    let mut slices = Vec::new();
    for ((bucket, year), parts) in &years {
        for range in ranges(*year, parts, newest[bucket] == *year, cut) {
            let Some(signature) = signature(parts, range) else { continue };
            let partition = vec![bucket.to_string(), year.to_string()];
            slices.push(Slice { partition, first: range.0, until: range.1, signature });
        }
    }
    for ((bucket, group), parts) in &others {
        let Some(signature) = signature(parts, (i64::MIN, i64::MAX)) else { continue };
        let partition = vec![bucket.to_string(), NO_YEAR.to_owned()];
        let first = group << SERIES_BITS;
        slices.push(Slice { partition, first, until: first + (1 << SERIES_BITS), signature });
    }
    slices
}

impl PublishedSeries {
    /// The series of a slice, the last one first, and what is read of each.
    fn parts(&self, slice: &Slice) -> Result<Vec<(String, IndexRange)>> {
        let all = self.0.read(known)?;
        let is_own = |series: &&Known| bucket(&series.key).to_string() == slice.partition[0];
        let mut parts: Vec<_> = if slice.partition[1] == NO_YEAR {
            let ids = slice.first..slice.until;
            let own = all.iter().filter(is_own);
            let own = own.filter(|series| series.of_second.is_none() && ids.contains(&series.id));
            own.map(|series| (series.key.clone(), IndexRange::all())).collect()
        } else {
            let timed = |series: &Known| {
                let n = i128::from(series.of_second?);
                let of = |time: i128| time.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
                let (first, until) = (i128::from(slice.first), i128::from(slice.until));
                let last = if slice.until == i64::MAX { i128::MAX } else { until * n - 1 };
                let is_beyond = first * n > i64::MAX.into() || last < i64::MIN.into();
                let range = IndexRange::closed(of(first * n), of(last));
                (!is_beyond).then(|| (series.key.clone(), range))
            };
            all.iter().filter(is_own).filter_map(timed).collect()
        };
        parts.sort_by(|a, b| b.0.cmp(&a.0));
        Ok(parts)
    }
}

impl Published for PublishedSeries {
    fn tables(&self) -> Result<Vec<PublishedTable>> {
        if !self.0.read(|tx| table_exists(tx, "series_block"))? {
            return Ok(Vec::new());
        }
        let partitions = &[("key_bucket", "integer"), ("year", "string")];
        let points = PublishedTable { name: POINTS.into(), schema: points_schema(), partitions };
        Ok(vec![SERIES.published(), points])
    }

    fn unpublished(&self) -> Result<Vec<(&'static str, u64)>> {
        let sql = "SELECT count(*) FROM series_record";
        let count = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(0)?);
        let records = self.0.read(|tx| match table_exists(tx, "series_record")? {
            true => tx.query_one(sql, [], count),
            false => Ok(None),
        })?;
        Ok(vec![("records of provenance beside series", records.unwrap_or_default() as u64)])
    }

    fn slices(&self, table: &PublishedTable, cut: Cut) -> Result<Vec<Slice>> {
        self.0.read(|tx| match table.name.as_str() {
            POINTS => Ok(slices(&known(tx)?, cut)),
            _ => SERIES.slices(tx, cut),
        })
    }

    fn rows(&self, table: &PublishedTable, slice: &Slice) -> Result<Batches> {
        if table.name != POINTS {
            return Ok(SERIES.rows(&self.0, &table.schema, slice));
        }
        let mut parts = self.parts(slice)?;
        let backend = SqliteBackend::over(self.0.clone())?;
        let schema = table.schema.clone();
        let mut current: Option<(SeriesInfo, Batches)> = None;
        Ok(Batches::new(schema.clone(), move || {
            loop {
                let Some((info, batches)) = &mut current else {
                    let Some((key, range)) = parts.pop() else { return Ok(None) };
                    let found = backend
                        .info(&key)
                        .and_then(|info| Ok((info, decoded(backend.scan(&key, &range)?)?)));
                    match found {
                        Err(Error::NotFound { .. }) => {} // it was removed meanwhile
                        found => current = Some(found?),
                    }
                    continue;
                };
                match batches.next_batch()? {
                    Some(batch) if batch.num_rows() > 0 => {
                        return points(&schema, info, &batch).map(Some);
                    }
                    Some(_) => {}
                    None => current = None,
                }
            }
        }))
    }
}

/// A batch of a series with the columns of the table of points.
fn points(schema: &SchemaRef, info: &SeriesInfo, batch: &RecordBatch) -> Result<RecordBatch> {
    let failed = |error: ArrowError| from_arrow("series", error);
    let n = batch.num_rows();
    let mut columns: BTreeMap<&str, ArrayRef> = BTreeMap::new();
    columns.insert("key", Arc::new(StringArray::from(vec![info.key.as_str(); n])));
    index_columns(batch.column(0), &mut columns).map_err(failed)?;
    value_columns(batch.column(1), &mut columns).map_err(failed)?;
    let all = schema.fields().iter().map(|field| match columns.remove(field.name().as_str()) {
        Some(column) => column,
        None => new_null_array(field.data_type(), n),
    });
    RecordBatch::try_new(schema.clone(), all.collect()).map_err(failed)
}

fn index_columns(
    index: &ArrayRef,
    columns: &mut BTreeMap<&str, ArrayRef>,
) -> Result<(), ArrowError> {
    let integer = DataType::Int64;
    match index.data_type() {
        DataType::Timestamp(unit, _) => {
            let exact = cast(index, &integer)?;
            let times: &Int64Array = exact.as_primitive();
            // Rounded down. Times that are too far for µs have none; the integer is exact.
            let time: TimestampMicrosecondArray = match unit {
                TimeUnit::Nanosecond => times.unary(|ns| ns.div_euclid(1_000)),
                unit => times.unary_opt(|n| n.checked_mul(1_000_000 / of_second(*unit))),
            };
            columns.insert("time", Arc::new(time.with_timezone("UTC")));
            columns.insert("index_integer", exact);
        }
        kind if kind.is_floating() => {
            columns.insert("index_real", cast(index, &DataType::Float64)?);
        }
        kind if kind.is_integer() || matches!(kind, DataType::Duration(_) | DataType::Boolean) => {
            columns.insert("index_integer", cast(index, &integer)?);
        }
        _ => {
            columns.insert("index_text", cast(index, &DataType::Utf8)?);
        }
    }
    Ok(())
}

fn value_columns(
    values: &ArrayRef,
    columns: &mut BTreeMap<&str, ArrayRef>,
) -> Result<(), ArrowError> {
    let (integer, real) = (DataType::Int64, DataType::Float64);
    match values.data_type() {
        DataType::UInt64 => {
            // What has no place in 63 bits is a text.
            let numbers: &UInt64Array = values.as_primitive();
            let integers: Int64Array = numbers.unary_opt(|n| i64::try_from(n).ok());
            let large = numbers.iter().map(|n| n.filter(|n| i64::try_from(*n).is_err()));
            let large: StringArray = large.map(|n| n.map(|n| n.to_string())).collect();
            columns.insert("value", cast(values, &real)?);
            columns.insert("value_integer", Arc::new(integers));
            if large.null_count() < large.len() {
                columns.insert("value_text", Arc::new(large));
            }
        }
        kind if kind.is_integer() || *kind == DataType::Boolean => {
            let integers = cast(values, &integer)?;
            columns.insert("value", cast(&integers, &real)?);
            columns.insert("value_integer", integers);
        }
        DataType::Timestamp(..) | DataType::Duration(_) => {
            columns.insert("value_integer", cast(values, &integer)?);
        }
        kind if kind.is_floating() => {
            columns.insert("value", cast(values, &real)?);
        }
        DataType::Binary | DataType::FixedSizeBinary(_) => {
            columns.insert("value_binary", cast(values, &DataType::Binary)?);
        }
        _ => {
            columns.insert("value_text", cast(values, &DataType::Utf8)?);
        }
    }
    Ok(())
}
