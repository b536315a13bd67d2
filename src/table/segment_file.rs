//! Rows as a Parquet file that is published.

use std::fs::File;
use std::io::{BufWriter, Seek};

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema, TimeUnit};
use jiff::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value, json};

use super::Batches;
use super::row_hash::RowHash;
use crate::array::date_of_day;
use crate::error::{Error, Result};

/// Rows of a row group: what a reader of few rows reads at least, and what the writer holds.
const ROW_GROUP_ROWS: usize = 128 << 10;

/// A Parquet file in the folder for temporary files, without a name.
pub(crate) struct SegmentFile {
    pub(crate) file: File,
    pub(crate) bytes: u64,
    pub(crate) hash: RowHash,
    /// Of its columns, as in a Delta log: `numRecords`, `minValues`, `maxValues`, `nullCount`.
    pub(crate) statistics: Value,
}

impl SegmentFile {
    /// Writes rows, in row groups of so many bytes at most; `None` if there are none.
    ///
    /// # Errors
    /// Those of the rows, and what the disk says.
    pub(crate) fn write(mut batches: Batches, group_bytes: usize) -> Result<Option<Self>> {
        let spool = std::env::temp_dir();
        let io = |e: std::io::Error| Error::io(&spool, "writing a file to publish", &e);
        let Some(mut batch) = batches.next_batch()? else { return Ok(None) };
        let file = tempfile::tempfile().map_err(io)?;
        let schema = batches.schema().clone();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).map_err(parquet_error)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(group_bytes))
            .set_created_by(format!("siltstone {}", env!("CARGO_PKG_VERSION")));
        // Times and ids differ from row to row by little: a third smaller than by a dictionary.
        let integers = schema.fields().iter().filter(|field| is_integer(field.data_type()));
        let properties = integers.fold(properties, |properties, field| {
            let column = ColumnPath::from(field.name().as_str());
            properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED)
        });
        let writing = BufWriter::new(file.try_clone().map_err(io)?);
        let mut writer = ArrowWriter::try_new(writing, schema.clone(), Some(properties.build()))
            .map_err(parquet_error)?;
        let mut hash = RowHash::default();
        let mut has_nan = vec![false; schema.fields().len()];
        loop {
            hash.add(&batch)?;
            note_nan(&mut has_nan, &batch);
            writer.write(&batch).map_err(parquet_error)?;
            let Some(next) = batches.next_batch()? else { break };
            batch = next;
        }
        if hash.rows == 0 {
            return Ok(None);
        }
        let metadata = writer.close().map_err(parquet_error)?;
        let statistics = statistics(&metadata, &schema, &has_nan);
        let bytes = file.metadata().map_err(io)?.len();
        (&file).rewind().map_err(io)?;
        Ok(Some(SegmentFile { file, bytes, hash, statistics }))
    }
}

fn is_integer(kind: &DataType) -> bool {
    matches!(kind, DataType::Int64 | DataType::Timestamp(..))
}

fn parquet_error(error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => Error::io(std::env::temp_dir(), "writing a file to publish", &io),
            Err(other) => Error::invalid("table", "one that Parquet takes", other.to_string()),
        },
        other => Error::invalid("table", "one that Parquet takes", other.to_string()),
    }
}

/// Notes which columns have a NaN: engines do not agree on what is greater than it.
fn note_nan(has_nan: &mut [bool], batch: &RecordBatch) {
    for (seen, column) in has_nan.iter_mut().zip(batch.columns()) {
        if !*seen && *column.data_type() == DataType::Float64 {
            *seen = column.as_primitive::<Float64Type>().values().iter().any(|x| x.is_nan());
        }
    }
}

fn statistics(metadata: &ParquetMetaData, schema: &Schema, has_nan: &[bool]) -> Value {
    let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (i, field) in schema.fields().iter().enumerate() {
        let kind = match field.data_type() {
            DataType::Dictionary(_, value) => value.as_ref(),
            DataType::List(_) => continue, // Delta has none of lists
            other => other,
        };
        let name = field.name();
        // One leaf a column: lists come last or not at all.
        let leaf = metadata.file_metadata().schema_descr().columns().iter();
        let Some(at) = { leaf }.position(|leaf| leaf.path().parts() == [name.as_str()]) else {
            continue;
        };
        let groups: Vec<Option<&Statistics>> =
            metadata.row_groups().iter().map(|group| group.column(at).statistics()).collect();
        let count =
            groups.iter().map(|s| s.and_then(Statistics::null_count_opt)).sum::<Option<u64>>();
        nulls.extend(count.map(|count| (name.clone(), json!(count))));
        if has_nan[i] {
            continue;
        }
        if let Some((low, high)) = range(&groups, kind) {
            least.insert(name.clone(), low);
            greatest.insert(name.clone(), high);
        }
    }
    let rows = metadata.file_metadata().num_rows();
    json!({"numRecords": rows, "minValues": least, "maxValues": greatest, "nullCount": nulls})
}

/// The range of a column, as a Delta log says it; `None` where it is not known, or cannot be said.
fn range(groups: &[Option<&Statistics>], kind: &DataType) -> Option<(Value, Value)> {
    let mut integers: Option<(i64, i64)> = None;
    let mut floats: Option<(f64, f64)> = None;
    let mut texts: Option<(String, String)> = None;
    for group in groups {
        match (*group)? {
            Statistics::Int64(s) => {
                widen(&mut integers, s.min_opt().copied(), s.max_opt().copied())
            }
            Statistics::Int32(s) => {
                let [low, high] = [s.min_opt(), s.max_opt()].map(|n| n.map(|n| i64::from(*n)));
                widen(&mut integers, low, high);
            }
            Statistics::Double(s) => widen(&mut floats, s.min_opt().copied(), s.max_opt().copied()),
            Statistics::ByteArray(s) if *kind == DataType::Utf8 => {
                let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).ok();
                let low = s.min_opt().map(|bytes| text(bytes.data()));
                let high = s.max_opt().map(|bytes| text(bytes.data()));
                if matches!(low, Some(None)) || matches!(high, Some(None)) {
                    return None; // what was cut is no text any more
                }
                widen(&mut texts, low.flatten(), high.flatten());
            }
            _ => return None,
        }
    }
    let finite = |x: f64| x.is_finite().then(|| json!(x));
    match kind {
        DataType::Int64 | DataType::Int32 => integers.map(|(low, high)| (json!(low), json!(high))),
        DataType::Float64 => floats.and_then(|(low, high)| Some((finite(low)?, finite(high)?))),
        DataType::Utf8 => texts.map(|(low, high)| (json!(low), json!(high))),
        DataType::Date32 => {
            let date = |day: i64| json!(date_of_day(day).to_string());
            integers.map(|(low, high)| (date(low), date(high)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let time = |us: i64| {
                let time = Timestamp::from_microsecond(us).ok()?;
                Some(json!(time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()))
            };
            integers.and_then(|(low, high)| Some((time(low)?, time(high)?)))
        }
        _ => None,
    }
}

fn widen<T: PartialOrd + Clone>(range: &mut Option<(T, T)>, low: Option<T>, high: Option<T>) {
    let (Some(low), Some(high)) = (low, high) else { return }; // nothing but nulls
    match range {
        None => *range = Some((low, high)),
        Some((least, greatest)) => {
            if low < *least {
                *least = low;
            }
            if high > *greatest {
                *greatest = high;
            }
        }
    }
}
