//! Series out of rows, in one snapshot.

use std::ops::Bound;
use std::sync::mpsc::sync_channel;

use arrow_array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow_schema::{DataType, SchemaRef};
use postgres::{Client, Row};
use serde::{Deserialize, Serialize};

use super::copy::{self, Kind};
use super::write::digest;
use super::{PostgresBackend, are_made};
use crate::array::block::types::type_of;
use crate::error::{Error, Result};
use crate::kernel::receive;
use crate::postgresql::{Access, Failure, text};
use crate::series::backend::{Revision, SeriesInfo, not_found};
use crate::series::data::{Metadata, Series};
use crate::series::index::{IndexRange, IndexValue};
use crate::table::{Batches, from_arrow};

/// The most points of a batch.
const BATCH_ROWS: usize = 1 << 16;

/// A row of the table of series.
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) info: SeriesInfo,
    pub(super) last: Option<IndexValue>,
}

/// The extent of an index as it is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Extent {
    #[serde(skip_serializing_if = "Option::is_none")]
    least: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    greatest: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Value>,
}

/// A value of an index as JSON; a float by its bits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Value {
    Int(i64),
    FloatBits(u64),
    Text(String),
}

impl Extent {
    pub(super) fn new(extent: Option<(IndexValue, IndexValue)>, last: Option<IndexValue>) -> Self {
        let (least, greatest) = extent.unzip();
        // Behind NaN nothing is in order.
        let last = last.filter(|last| !matches!(last, IndexValue::Float(x) if x.is_nan()));
        let value = |value: Option<IndexValue>| {
            value.map(|value| match value {
                IndexValue::Int(n) => Value::Int(n),
                IndexValue::Float(x) => Value::FloatBits(x.to_bits()),
                IndexValue::Text(text) => Value::Text(text),
            })
        };
        Extent { least: value(least), greatest: value(greatest), last: value(last) }
    }
}

impl From<Value> for IndexValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Int(n) => IndexValue::Int(n),
            Value::FloatBits(bits) => IndexValue::Float(f64::from_bits(bits)),
            Value::Text(text) => IndexValue::Text(text),
        }
    }
}

fn damaged(what: impl Into<String>, why: impl Into<String>) -> Failure {
    Failure::Ours(Error::Corrupt { location: String::new(), what: what.into(), why: why.into() })
}

/// A text of a column.
fn plain(row: &Row, column: usize) -> Result<String, Failure> {
    let stored: &str = row.try_get(column)?;
    let decoded = text::decode(stored).map(std::borrow::Cow::into_owned);
    decoded.ok_or_else(|| damaged("a text", format!("{stored:?} is not how a text is kept")))
}

fn parsed<T: serde::de::DeserializeOwned>(
    row: &Row,
    column: usize,
    what: &str,
) -> Result<T, Failure> {
    serde_json::from_str(row.try_get(column)?).map_err(|e| damaged(what, e.to_string()))
}

/// The row of a series, if there is one; `lock` keeps it until the transaction ends.
pub(super) fn find(client: &mut Client, key: &str, lock: bool) -> Result<Option<Found>, Failure> {
    let lock = if lock { " FOR UPDATE" } else { "" };
    let sql = format!(
        "SELECT id, length, index_type, value_type, extent, is_sorted, head, metadata \
         FROM siltstone_series WHERE digest = $1{lock}"
    );
    let Some(row) = client.query_opt(&sql, &[&digest(key)])? else { return Ok(None) };
    let what = format!("the series {key:?}");
    let extent: Extent = parsed(&row, 4, &what)?;
    let (least, greatest) = (extent.least, extent.greatest);
    let length = row.try_get::<_, i64>(1)?;
    let id: i64 = row.try_get(0)?;
    let info = SeriesInfo {
        key: key.to_owned(),
        length: u64::try_from(length).map_err(|_| damaged(&what, format!("{length} points")))?,
        index_type: type_of(row.try_get(2)?)?,
        value_type: type_of(row.try_get(3)?)?,
        extent: least.zip(greatest).map(|(least, greatest)| (least.into(), greatest.into())),
        is_sorted: row.try_get(5)?,
        head: parsed(&row, 6, &what)?,
        metadata: parsed(&row, 7, &what)?,
        revision: Revision(id as u64), // a save gives another id
    };
    Ok(Some(Found { id, info, last: extent.last.map(IndexValue::from) }))
}

pub(super) fn names(client: &mut Client, sql: &str, prefix: &str) -> Result<Vec<String>, Failure> {
    let rows = client.query(sql, &[&&*text::encode(prefix)])?;
    let mut names = rows.iter().map(|row| plain(row, 0)).collect::<Result<Vec<_>, _>>()?;
    names.sort();
    Ok(names)
}

pub(super) fn record(client: &mut Client, name: &str) -> Result<Option<Metadata>, Failure> {
    let sql = "SELECT record FROM siltstone_record WHERE digest = $1";
    let row = client.query_opt(sql, &[&digest(name)])?;
    row.map(|row| parsed(&row, 0, &format!("the record {name:?}"))).transpose()
}

/// The first row of a sorted series whose index is not less than (or is greater than) this value: found by
/// halving, at the server.
fn first_row(
    client: &mut Client,
    found: &Found,
    value: &IndexValue,
    is_greater: bool,
) -> Result<i64, Failure> {
    let kind = Kind::of_index(&found.info.index_type).column("index");
    let before = if is_greater { "<=" } else { "<" };
    let sql = format!(
        "WITH RECURSIVE half(low, high) AS (SELECT 0::bigint, $2::bigint UNION ALL \
           SELECT CASE WHEN p.{kind} {before} $3 THEN p.row + 1 ELSE low END, \
                  CASE WHEN p.{kind} {before} $3 THEN high ELSE p.row END \
           FROM half JOIN siltstone_point p ON p.series_id = $1 AND p.row = (low + high) / 2 \
           WHERE low < high) \
         SELECT low FROM half WHERE low = high"
    );
    let length = found.info.length as i64;
    let row = match value {
        IndexValue::Int(n) => client.query_opt(&sql, &[&found.id, &length, n]),
        IndexValue::Float(x) => client.query_opt(&sql, &[&found.id, &length, x]),
        IndexValue::Text(t) => client.query_opt(&sql, &[&found.id, &length, &&*text::encode(t)]),
    }?;
    let what = || damaged(format!("the series {:?}", found.info.key), "rows of it are missing");
    Ok(row.ok_or_else(what)?.try_get(0)?)
}

/// The rows that may lie in the range, as a condition.
fn rows(client: &mut Client, found: &Found, range: &IndexRange) -> Result<String, Failure> {
    let mut condition = format!("series_id = {}", found.id);
    if range.is_all() || found.info.length == 0 {
        return Ok(condition);
    }
    if found.info.is_sorted {
        let from = match &range.from {
            Bound::Included(value) => first_row(client, found, value, false)?,
            Bound::Excluded(value) => first_row(client, found, value, true)?,
            Bound::Unbounded => 0,
        };
        let to = match &range.to {
            Bound::Included(value) => first_row(client, found, value, true)?,
            Bound::Excluded(value) => first_row(client, found, value, false)?,
            Bound::Unbounded => found.info.length as i64,
        };
        condition += &format!(" AND row >= {from} AND row < {to}");
        return Ok(condition);
    }
    // Of points in no order the server looks at all, and sends those that may be meant: the ends belong to
    // it, NaN is its greatest number, and we look again. A text could not stand here.
    for (end, comparison) in [(&range.from, ">="), (&range.to, "<=")] {
        match end {
            Bound::Included(IndexValue::Int(n)) | Bound::Excluded(IndexValue::Int(n)) => {
                condition += &format!(" AND index_int {comparison} ({n})");
            }
            Bound::Included(IndexValue::Float(x)) | Bound::Excluded(IndexValue::Float(x))
                if x.is_finite() =>
            {
                condition += &format!(" AND index_float {comparison} ({x:e})::double precision");
            }
            _ => {}
        }
    }
    Ok(condition)
}

/// Hands on the points in the range, until `take` says that it is enough.
fn each_batch(
    client: &mut Client,
    found: &Found,
    range: &IndexRange,
    mut take: impl FnMut(Series) -> Result<bool>,
) -> Result<(), Failure> {
    let range = range.for_type(&found.info.index_type)?;
    let condition = rows(client, found, &range)?;
    let (index, value) = (&found.info.index_type, &found.info.value_type);
    let sql = format!(
        "COPY (SELECT {}, {} FROM siltstone_point WHERE {condition} ORDER BY row) TO STDOUT BINARY",
        Kind::of_index(index).column("index"),
        Kind::of(value).column("value"),
    );
    let mut reader = client.copy_out(&sql)?;
    copy::read(&mut reader, (index, value), BATCH_ROWS, |part| {
        let part = part.range(&range)?;
        part.is_empty()
            .then_some(true)
            .map_or_else(|| take(part.with_head(found.info.head.clone())), Ok)
    })?;
    Ok(())
}

fn joined(arrays: &[&dyn Array], kind: &DataType) -> Result<ArrayRef> {
    if arrays.is_empty() {
        return Ok(new_empty_array(kind));
    }
    arrow_select::concat::concat(arrays).map_err(|e| from_arrow("a series", e))
}

pub(super) fn load(
    client: &mut Client,
    key: &str,
    range: &IndexRange,
) -> Result<Option<(Series, Metadata)>, Failure> {
    let Some(found) = find(client, key, false)? else { return Ok(None) };
    let mut parts: Vec<Series> = Vec::new();
    each_batch(client, &found, range, |part| {
        parts.push(part);
        Ok(true)
    })?;
    let info = found.info;
    let count: u64 = parts.iter().map(|part| part.len() as u64).sum();
    if range.is_all() && count != info.length {
        let why = format!("it has {count} rows, and says that it has {}", info.length);
        return Err(damaged(format!("the series {key:?}"), why));
    }
    let index: Vec<&dyn Array> = parts.iter().map(|part| part.index().as_ref()).collect();
    let values: Vec<&dyn Array> = parts.iter().map(|part| part.values().as_ref()).collect();
    let (index, values) = (joined(&index, &info.index_type)?, joined(&values, &info.value_type)?);
    Ok(Some((Series::new(index, values)?.with_head(info.head), info.metadata)))
}

enum Message {
    Schema(SchemaRef),
    Batch(RecordBatch),
}

/// A thread reads on one snapshot, a batch ahead of whoever takes them; it ends with them.
pub(super) fn scan(backend: &PostgresBackend, key: &str, range: &IndexRange) -> Result<Batches> {
    let (send, from) = sync_channel::<Result<Message>>(1);
    let (backend, key, range) = (backend.clone(), key.to_owned(), range.clone());
    let work = move || {
        let done = backend.run(Access::Read, "scanning a series", |client, location| {
            let found = if are_made(client, location)? { find(client, &key, false)? } else { None };
            let found = found.ok_or_else(|| not_found(&key, location))?;
            range.for_type(&found.info.index_type)?;
            if send.send(Ok(Message::Schema(found.info.schema()))).is_err() {
                return Ok(());
            }
            each_batch(client, &found, &range, |part| {
                Ok(send.send(Ok(Message::Batch(part.to_batch()))).is_ok())
            })
        });
        if let Err(error) = done {
            let _ = send.send(Err(error)); // nobody listens any more
        }
    };
    let ended = || Error::Panicked { what: "the scan".into(), why: "panicked" };
    let thread = std::thread::Builder::new().name("siltstone-scan".into());
    thread.spawn(work).map_err(|e| Error::io("", "starting the thread of a scan", &e))?;
    let next = move || -> Result<_> { receive(&from, "scanning a series")?.transpose() };
    let Some(Message::Schema(schema)) = next()? else {
        return Err(ended());
    };
    Ok(Batches::new(schema, move || match next()? {
        Some(Message::Batch(batch)) => Ok(Some(batch)),
        Some(Message::Schema(_)) => Err(ended()),
        None => Ok(None),
    }))
}
