//! Series out of the tables, in a snapshot.

use std::ops::Bound;
use std::sync::mpsc::sync_channel;

use arrow_array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow_schema::{DataType, SchemaRef};
use rusqlite::types::{Value, ValueRef};

use super::{BLOCK_ROWS, SqliteBackend, are_there};
use crate::array::block::arrays::{damaged, type_of, unpack};
use crate::error::{Error, Result};
use crate::kernel::ReadTx;
use crate::series::backend::{SeriesInfo, not_found};
use crate::series::data::{Metadata, Series};
use crate::series::index::{IndexRange, IndexValue};
use crate::table::{Batches, from_arrow};

/// A row of the table of series.
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) info: SeriesInfo,
    pub(super) last: Option<IndexValue>,
}

const FIND: &str = "SELECT id, length, index_type, value_type, least, greatest, last, is_sorted, \
    head, metadata FROM series WHERE key = ?1";
/// The blob columns are the last ones: a block that is passed over is not read.
const BLOCKS: &str = "SELECT rows, index_data, value_data FROM series_block WHERE series_id = ?1 \
    AND (?2 IS NULL OR greatest >= ?2) AND (?3 IS NULL OR least <= ?3) ORDER BY first_row";

pub(super) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| damaged(format!("its JSON does not parse: {e}")))
}

pub(super) fn names(tx: &ReadTx<'_>, sql: &str, prefix: &str) -> Result<Vec<String>> {
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query([prefix])?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if !name.starts_with(prefix) {
            break;
        }
        names.push(name);
    }
    Ok(names)
}

fn place_of(value: ValueRef<'_>) -> Result<Option<IndexValue>> {
    Ok(match value {
        ValueRef::Null => None,
        ValueRef::Integer(n) => Some(IndexValue::Int(n)),
        ValueRef::Real(x) => Some(IndexValue::Float(x)),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).map_err(|e| damaged(e.to_string()))?;
            Some(IndexValue::Text(text.to_owned()))
        }
        ValueRef::Blob(_) => return Err(damaged("an index value is a blob".into())),
    })
}

/// A value of an index as SQLite orders it.
pub(super) fn orderable(value: Option<&IndexValue>) -> Value {
    match value {
        None => Value::Null,
        Some(IndexValue::Int(n)) => Value::Integer(*n),
        Some(IndexValue::Float(x)) => Value::Real(*x), // NaN becomes NULL
        Some(IndexValue::Text(text)) => Value::Text(text.clone()),
    }
}

pub(super) fn find(tx: &ReadTx<'_>, key: &str, place: &str) -> Result<Found> {
    if !are_there(tx)? {
        return Err(not_found(key, place));
    }
    let found = tx.query_one(FIND, [key], |row| {
        let extent = place_of(row.get_ref(4)?)?.zip(place_of(row.get_ref(5)?)?);
        let length = u64::try_from(row.get::<_, i64>(1)?).map_err(|e| damaged(e.to_string()))?;
        let info = SeriesInfo {
            key: key.to_owned(),
            length,
            index_type: type_of(&row.get::<_, String>(2)?)?,
            value_type: type_of(&row.get::<_, String>(3)?)?,
            extent,
            is_sorted: row.get(7)?,
            metadata: json(&row.get::<_, String>(9)?)?,
            head: json(&row.get::<_, String>(8)?)?,
        };
        Ok(Found { id: row.get(0)?, info, last: place_of(row.get_ref(6)?)? })
    })?;
    found.ok_or_else(|| not_found(key, place))
}

/// The index and the values of a block.
pub(super) fn block(
    info: &SeriesInfo,
    rows: i64,
    index: &[u8],
    values: &[u8],
) -> Result<(ArrayRef, ArrayRef)> {
    let n = usize::try_from(rows).ok().filter(|n| (1..=BLOCK_ROWS).contains(n));
    let n = n.ok_or_else(|| damaged(format!("a block claims {rows} points")))?;
    Ok((unpack(index, &info.index_type, n)?, unpack(values, &info.value_type, n)?))
}

fn each_block(
    tx: &ReadTx<'_>,
    found: &Found,
    range: &IndexRange,
    mut take: impl FnMut(Series) -> Result<bool>,
) -> Result<()> {
    let range = range.for_type(&found.info.index_type)?;
    let end = |bound: &Bound<IndexValue>| match bound {
        Bound::Unbounded => Value::Null,
        Bound::Included(value) | Bound::Excluded(value) => orderable(Some(value)),
    };
    let mut statement = tx.prepare(BLOCKS)?;
    let mut rows = statement.query((found.id, end(&range.from), end(&range.to)))?;
    let blob = |value: ValueRef<'_>| value.as_blob().map(<[u8]>::to_vec);
    while let Some(row) = rows.next()? {
        let (index, values) = (blob(row.get_ref(1)?), blob(row.get_ref(2)?));
        let (Ok(index), Ok(values)) = (index, values) else {
            return Err(damaged("a block is not a blob".into()));
        };
        let (index, values) = block(&found.info, row.get(0)?, &index, &values)
            .map_err(|error| named(error, &found.info.key))?;
        let series = Series::new(index, values)?.with_head(found.info.head.clone());
        if !take(series.range(&range)?)? {
            break;
        }
    }
    Ok(())
}

/// Says which series it is that is damaged.
fn named(error: Error, key: &str) -> Error {
    match error {
        Error::Corrupt { place, why, .. } => {
            Error::Corrupt { place, what: format!("a block of the series {key:?}"), why }
        }
        other => other,
    }
}

fn joined(arrays: &[&dyn Array], kind: &DataType) -> Result<ArrayRef> {
    if arrays.is_empty() {
        return Ok(new_empty_array(kind));
    }
    arrow_select::concat::concat(arrays).map_err(|e| from_arrow("a series", e))
}

pub(super) fn load(
    tx: &ReadTx<'_>,
    key: &str,
    range: &IndexRange,
    place: &str,
) -> Result<(Series, Metadata)> {
    let found = find(tx, key, place)?;
    let mut parts: Vec<Series> = Vec::new();
    each_block(tx, &found, range, |part| {
        parts.push(part);
        Ok(true)
    })?;
    let info = found.info;
    let count: u64 = parts.iter().map(|part| part.len() as u64).sum();
    if range.is_all() && count != info.length {
        let why = format!("its blocks hold {count} points, and it has {}", info.length);
        return Err(named(damaged(why), key));
    }
    let index: Vec<&dyn Array> = parts.iter().map(|part| part.index().as_ref()).collect();
    let values: Vec<&dyn Array> = parts.iter().map(|part| part.values().as_ref()).collect();
    let (index, values) = (joined(&index, &info.index_type)?, joined(&values, &info.value_type)?);
    Ok((Series::new(index, values)?.with_head(info.head), info.metadata))
}

enum Message {
    Schema(SchemaRef),
    Batch(RecordBatch),
}

/// A thread reads on one snapshot, a block ahead of whoever takes the batches; it ends with them.
pub(super) fn scan(backend: &SqliteBackend, key: &str, range: &IndexRange) -> Result<Batches> {
    let (send, receive) = sync_channel::<Result<Message>>(1);
    let (db, place) = (backend.db.clone(), backend.db.path().display().to_string());
    let (key, range) = (key.to_owned(), range.clone());
    let work = move || {
        let done = db.read(|tx| {
            let found = find(tx, &key, &place)?;
            range.for_type(&found.info.index_type)?;
            if send.send(Ok(Message::Schema(found.info.schema()))).is_err() {
                return Ok(());
            }
            each_block(tx, &found, &range, |part| {
                Ok(part.is_empty() || send.send(Ok(Message::Batch(part.to_batch()))).is_ok())
            })
        });
        if let Err(error) = done {
            let _ = send.send(Err(error)); // nobody listens any more
        }
    };
    let thread = std::thread::Builder::new().name("siltstone-scan".into());
    thread
        .spawn(work)
        .map_err(|e| Error::io(backend.db.path(), "starting the thread of a scan", &e))?;
    let ended = || Error::Closed { what: "the scan".into(), why: "ended without a word" };
    let Message::Schema(schema) = receive.recv().map_err(|_| ended())?? else {
        return Err(ended());
    };
    Ok(Batches::new(schema, move || match receive.recv() {
        Ok(Ok(Message::Batch(batch))) => Ok(Some(batch)),
        Ok(Ok(Message::Schema(_))) => Err(ended()),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(None),
    }))
}
