//! Series out of a lake, back into a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, SchemaRef};
use serde::de::DeserializeOwned;

use super::backend::{Change, StorageBackend};
use super::codes::decoded;
use super::data::{Head, Metadata, Series, schema};
use super::in_memory::MemoryBackend;
use super::sqlite::SqliteBackend;
use crate::array::block::types::type_of;
use crate::error::{Error, Result};
use crate::kernel::Database;
use crate::table::{Batches, Pulled, from_arrow, of_two_files};

/// What the lake says of a series, and how many of its points are there.
struct Known {
    file: String,
    length: u64,
    head: Head,
    /// The types of its points, and those that they were published with.
    coded: SchemaRef,
    decoded: SchemaRef,
    taken: u64,
}

/// A file that takes series of a lake.
pub(crate) struct PulledSeries {
    backend: SqliteBackend,
    known: BTreeMap<String, Known>,
    /// The number of the next series.
    next: i64,
}

impl PulledSeries {
    pub(crate) fn new(db: Database) -> Result<Self> {
        Ok(PulledSeries { backend: SqliteBackend::over(db)?, known: BTreeMap::new(), next: 1 })
    }

    /// Makes series without points, with the numbers that they had where those are free.
    fn know(&mut self, file: &str, rows: &RecordBatch) -> Result<()> {
        let mut changes = Vec::new();
        for (id, key, known, metadata) in known(file, rows)? {
            if let Some(other) = self.known.get(&key) {
                return Err(of_two_files(format!("the series {key:?}"), &other.file, file));
            }
            if id > self.next {
                self.backend.commit(&std::mem::take(&mut changes))?;
                self.next = id;
                self.backend.number_from(self.next)?;
            }
            self.next += 1;
            let series = Series::from_batch(&RecordBatch::new_empty(known.coded.clone()))?;
            changes.push(Change::Save { key: key.clone(), series, metadata });
            self.known.insert(key, known);
        }
        self.backend.commit(&changes)
    }

    /// Points of one series after those of another.
    fn points(&mut self, file: &str, rows: &RecordBatch) -> Result<()> {
        let keys = typed(column(rows, "key")?, &DataType::Utf8)?;
        let keys = keys.as_string::<i32>();
        let mut changes = Vec::new();
        let mut first = 0;
        while first < rows.num_rows() {
            let key = keys.value(first);
            let n = (first..rows.num_rows()).take_while(|row| keys.value(*row) == key).count();
            let known = self.known.get_mut(key).filter(|known| known.file == file);
            let known = known.ok_or_else(|| Error::NotFound {
                what: "series",
                name: key.to_owned(),
                location: format!(
                    "the table series of the lake, by the file {file}, which has points of it"
                ),
            })?;
            let series = known.points(&rows.slice(first, n))?;
            let key = key.to_owned();
            changes.push(Change::Append { key, series });
            known.taken += n as u64;
            first += n;
        }
        self.backend.commit(&changes)
    }
}

/// What rows of the table `series` say: of each series its number, key, and metadata.
fn known(file: &str, rows: &RecordBatch) -> Result<Vec<(i64, String, Known, Metadata)>> {
    let texts = |name: &str| -> Result<StringArray> {
        Ok(typed(column(rows, name)?, &DataType::Utf8)?.as_string::<i32>().clone())
    };
    let (keys, heads, metadata) = (texts("key")?, texts("head")?, texts("metadata")?);
    let (indexes, values) = (texts("index_type")?, texts("value_type")?);
    let integers = |name: &str| -> Result<Int64Array> {
        Ok(typed(column(rows, name)?, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    };
    let (ids, lengths) = (integers("id")?, integers("length")?);
    let known = |row| {
        let key = keys.value(row).to_owned();
        let head: Head = json(&key, heads.value(row))?;
        let (index, value) = (type_of(indexes.value(row))?, type_of(values.value(row))?);
        let coded = schema(&head, &index, &value);
        let decoded = decoded(Batches::from_batches(coded.clone(), Vec::new()))?.schema().clone();
        let (file, length) = (file.to_owned(), lengths.value(row) as u64);
        let known = Known { file, length, head, coded, decoded, taken: 0 };
        let metadata = json(&key, metadata.value(row))?;
        Ok((ids.value(row), key, known, metadata))
    };
    (0..rows.num_rows()).map(known).collect()
}

/// A series as a lake has it, in memory: `row` is the row of the table `series`, `points` rows of `series_points`, in their order; all
/// of its columns are there. If they are not all points of the series, they are those of a range.
///
/// # Errors
/// [`Error::NotFound`] for a column that is not there; [`Error::Invalid`] for more or less than one series, and values of other
/// types; [`Error::Corrupt`] for a row that no file has published; those of the batches.
pub fn series_of(mut row: Batches, points: Batches) -> Result<MemoryBackend> {
    let mut all = Vec::new();
    while let Some(rows) = row.next_batch()? {
        all.extend(known("", &rows)?);
    }
    let n = all.len();
    let Some((_, key, known, metadata)) = all.pop().filter(|_| n == 1) else {
        return Err(Error::invalid("the series of the lake", "one row", format!("{n} rows")));
    };
    let all = points.collect_batches()?;
    let series = all.iter().filter(|rows| rows.num_rows() > 0).map(|rows| known.points(rows));
    let empty = Series::from_batch(&RecordBatch::new_empty(known.coded.clone()))?;
    let backend = MemoryBackend::default();
    let mut changes = vec![Change::Save { key: key.clone(), series: empty, metadata }];
    for series in series {
        changes.push(Change::Append { key: key.clone(), series: series? });
    }
    backend.commit(&changes)?;
    if backend.info(&key)?.index_metadata() != &known.head.index {
        backend.commit(&[Change::SetIndexMetadata { key, index: known.head.index }])?;
    }
    Ok(backend)
}

impl Known {
    fn points(&self, rows: &RecordBatch) -> Result<Series> {
        let [index, values] = self.decoded.fields().as_ref() else {
            return Err(Error::invalid("a series", "an index and values", "other columns"));
        };
        let index = index_of(rows, index.data_type())?;
        let values = values_of(rows, values.data_type())?;
        let batch = RecordBatch::try_new(self.decoded.clone(), vec![index, values]);
        Series::from_batch(&batch.map_err(|e| from_arrow("a series", e))?)
    }
}

fn json<T: DeserializeOwned>(key: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt {
        location: "the table series of the lake".into(),
        what: format!("what it says of the series {key:?}"),
        why: error.to_string(),
    })
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    rows.column_by_name(name).ok_or_else(|| Error::NotFound {
        what: "column",
        name: name.to_owned(),
        location: "a table of series of the lake".into(),
    })
}

fn typed(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, kind, &options).map_err(|e| from_arrow("a series", e))
}

/// The index, from where [`index_columns`](super::publish) put it.
fn index_of(rows: &RecordBatch, kind: &DataType) -> Result<ArrayRef> {
    let name = match kind {
        DataType::Timestamp(..) | DataType::Duration(_) | DataType::Boolean => "index_integer",
        kind if kind.is_floating() => "index_real",
        kind if kind.is_integer() => "index_integer",
        _ => "index_text",
    };
    typed(column(rows, name)?, kind)
}

/// The values, from where [`value_columns`](super::publish) put them.
fn values_of(rows: &RecordBatch, kind: &DataType) -> Result<ArrayRef> {
    let name = match kind {
        DataType::UInt64 => {
            // What is too large for 63 bits is a text; of a batch with one, all were once.
            let (texts, integers) = (column(rows, "value_text")?, column(rows, "value_integer")?);
            let texts = typed(texts, &DataType::UInt64)?;
            let integers = typed(integers, &DataType::UInt64)?;
            let texts = texts.as_primitive::<UInt64Type>().iter();
            let both = texts.zip(integers.as_primitive::<UInt64Type>().iter());
            return Ok(Arc::new(both.map(|(text, n)| text.or(n)).collect::<UInt64Array>()));
        }
        DataType::Timestamp(..) | DataType::Duration(_) | DataType::Boolean => "value_integer",
        kind if kind.is_integer() => "value_integer",
        kind if kind.is_floating() => "value",
        DataType::Binary | DataType::FixedSizeBinary(_) => "value_binary",
        _ => "value_text",
    };
    typed(column(rows, name)?, kind)
}

impl Pulled for PulledSeries {
    fn takes(&self, table: &str) -> bool {
        ["series", "series_points"].contains(&table)
    }

    fn take(&mut self, table: &str, file: &str, rows: &RecordBatch) -> Result<()> {
        if table == "series" { self.know(file, rows) } else { self.points(file, rows) }
    }

    fn finish(&mut self) -> Result<()> {
        let mut changes = Vec::new();
        for (key, known) in std::mem::take(&mut self.known) {
            if known.taken != known.length {
                let expected = format!("{} points", known.length);
                let what = format!("the series {key:?} of the lake");
                return Err(Error::invalid(what, expected, known.taken.to_string()));
            }
            if self.backend.info(&key)?.index_metadata() != &known.head.index {
                // What does not outlive points that are appended.
                changes.push(Change::SetIndexMetadata { key, index: known.head.index });
            }
        }
        self.backend.commit(&changes)
    }
}
