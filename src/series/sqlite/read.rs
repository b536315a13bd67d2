//! Series out of the tables, in a snapshot.

use std::ops::Bound;
use std::sync::mpsc::{channel, sync_channel};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};
use rusqlite::types::{Value, ValueRef};

use super::{BLOCK_ROWS, SqliteBackend, are_there};
use crate::array::block::types::{damaged, type_of};
use crate::array::block::{Block, Growing};
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, receive};
use crate::series::backend::{Revision, SeriesInfo, not_found};
use crate::series::data::{Metadata, Series};
use crate::series::index::{IndexRange, IndexValue};
use crate::table::Batches;

/// A row of the table of series.
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) info: SeriesInfo,
    pub(super) last: Option<IndexValue>,
}

const FIND: &str = "SELECT id, length, index_type, value_type, least, greatest, last, is_sorted, \
    head, metadata FROM series s WHERE key IS ?1";
/// The blob columns are the last ones but one: a block that is passed over is not read. A row is checked before what it
/// says is believed.
const BLOCKS: &str =
    "SELECT rows, index_data, value_data, least FROM series_block b WHERE series_id IS ?1 AND ";
const IN_RANGE: &str = "(?2 IS NULL OR greatest >= ?2) AND (?3 IS NULL OR least <= ?3)";

/// The statement for all blocks of a series; for those of a range of one that is sorted, in whose order the ends of its
/// blocks rise too; or of one that is not.
fn blocks_sql(tx: &ReadTx<'_>, from_begin: bool, is_sorted: bool) -> Result<String> {
    let whole = tx.whole("series_block", "b")?;
    Ok(match (from_begin, is_sorted) {
        (true, _) => format!("{BLOCKS}{whole} ORDER BY first_row"),
        (false, true) => {
            format!("{BLOCKS}greatest >= ?2 AND {whole} ORDER BY greatest, first_row")
        }
        (false, false) => {
            format!("{BLOCKS}CASE WHEN {whole} THEN {IN_RANGE} END ORDER BY first_row")
        }
    })
}

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

fn label_of(value: ValueRef<'_>) -> Result<Option<IndexValue>> {
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

pub(super) fn find(tx: &ReadTx<'_>, key: &str, location: &str) -> Result<Found> {
    if !are_there(tx)? {
        return Err(not_found(key, location));
    }
    let sql = format!("{FIND} AND {}", tx.whole("series", "s")?);
    let found = tx.query_one(&sql, [key], |row| {
        let extent = label_of(row.get_ref(4)?)?.zip(label_of(row.get_ref(5)?)?);
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
            revision: Revision(row.get::<_, i64>(0)? as u64), // a save gives another id
        };
        Ok(Found { id: row.get(0)?, info, last: label_of(row.get_ref(6)?)? })
    })?;
    found.ok_or_else(|| not_found(key, location))
}

/// The number of points of a block, as its row says it.
pub(super) fn count(rows: i64) -> Result<usize> {
    let n = usize::try_from(rows).ok().filter(|n| (1..=BLOCK_ROWS).contains(n));
    n.ok_or_else(|| damaged(format!("a block claims {rows} points")))
}

/// An index and values that grow block by block.
pub(super) struct Points<'a> {
    types: [&'a DataType; 2],
    columns: [Growing; 2],
    /// The least and the greatest index of whole numbers that are wanted.
    between: Option<(i64, i64)>,
}

impl<'a> Points<'a> {
    pub(super) fn new(info: &'a SeriesInfo) -> Result<Self> {
        let types = [&info.index_type, &info.value_type];
        let columns = [Growing::new(types[0])?, Growing::new(types[1])?];
        Ok(Points { types, columns, between: None })
    }

    /// Pieces of blocks that have no point of the range are left out.
    fn within(mut self, range: &IndexRange) -> Self {
        let end = |bound: &Bound<IndexValue>, open: i64| match bound {
            Bound::Unbounded => Some(open),
            Bound::Included(IndexValue::Int(n)) | Bound::Excluded(IndexValue::Int(n)) => Some(*n),
            _ => None,
        };
        self.between = end(&range.from, i64::MIN).zip(end(&range.to, i64::MAX));
        self
    }

    fn reserve(&mut self, n: usize) {
        self.columns.iter_mut().for_each(|column| column.reserve(n));
    }

    /// Puts a block of the file behind those that are there.
    pub(super) fn read(&mut self, tx: &ReadTx<'_>, block: i64) -> Result<()> {
        let data = "SELECT rows, index_data, value_data FROM series_block WHERE id = ?1";
        let read = |row: &rusqlite::Row<'_>| {
            self.append(row.get(0)?, bytes(row.get_ref(1)?)?, bytes(row.get_ref(2)?)?)
        };
        tx.query_one(data, [block], read)?.ok_or_else(|| damaged("a block is gone".into()))
    }

    /// Puts a block behind those that are there.
    pub(super) fn append(&mut self, rows: i64, index: &[u8], values: &[u8]) -> Result<()> {
        let n = count(rows)?;
        let mut wanted = 0..n;
        for (i, bytes) in [index, values].into_iter().enumerate() {
            let block = Block::of_types(bytes, std::slice::from_ref(self.types[i]), n)?;
            if let Some((least, greatest)) = self.between.filter(|_| i == 0 && block.has_range(0)) {
                wanted = block.rows_between(0, least, greatest)?;
            }
            block.append(0, wanted.clone(), &mut self.columns[i])?;
        }
        Ok(())
    }

    pub(super) fn finish(self, info: &SeriesInfo) -> Result<Series> {
        let [index, values] = self.columns;
        let series = Series::new(index.finish()?, values.finish()?)?;
        Ok(series.with_head(info.head.clone()))
    }
}

/// The number of points of a block, its index and its values; whether to go on.
type Take<'a> = dyn FnMut(i64, ValueRef<'_>, ValueRef<'_>) -> Result<bool> + 'a;

/// Goes through the blocks that can have points of the range.
fn each_block(
    tx: &ReadTx<'_>,
    found: &Found,
    range: &IndexRange,
    take: &mut Take<'_>,
) -> Result<()> {
    let end = |bound: &Bound<IndexValue>| match bound {
        Bound::Unbounded => Value::Null,
        Bound::Included(value) | Bound::Excluded(value) => orderable(Some(value)),
    };
    let is_sorted = found.info.is_sorted;
    let from_begin = range.from == Bound::Unbounded && (is_sorted || range.is_all());
    let mut statement = tx.prepare(&blocks_sql(tx, from_begin, is_sorted)?)?;
    let mut rows = match (from_begin, is_sorted) {
        (true, _) => statement.query([found.id])?,
        (false, true) => statement.query((found.id, end(&range.from)))?,
        (false, false) => statement.query((found.id, end(&range.from), end(&range.to)))?,
    };
    while let Some(row) = rows.next()? {
        if is_sorted
            && let Some(least) = label_of(row.get_ref(3)?)?
            && range.is_behind(&least)
        {
            break;
        }
        let more = take(row.get(0)?, row.get_ref(1)?, row.get_ref(2)?);
        if !more.map_err(|error| named(error, &found.info.key))? {
            break;
        }
    }
    Ok(())
}

/// Says which series it is that is damaged.
fn named(error: Error, key: &str) -> Error {
    match error {
        Error::Corrupt { location, why, .. } => {
            Error::Corrupt { location, what: format!("a block of the series {key:?}"), why }
        }
        other => other,
    }
}

/// Points that are unpacked by a thread of their own, and blocks that wait for it.
const MANY: u64 = 8 * BLOCK_ROWS as u64;
const WAITING: usize = 8;

/// Reads the blocks here while another thread unpacks them: each takes about as long. The number of points.
fn unpack_meanwhile(
    tx: &ReadTx<'_>,
    found: &Found,
    range: &IndexRange,
    points: &mut Points<'_>,
) -> Result<u64> {
    let (send, from) = sync_channel::<(i64, [Vec<u8>; 2])>(WAITING);
    let (give_back, unused) = channel();
    std::thread::scope(|scope| {
        let unpacked = scope.spawn(move || {
            from.iter().try_for_each(|(rows, blobs)| {
                points.append(rows, &blobs[0], &blobs[1])?;
                let _ = give_back.send(blobs); // nobody needs them at the end
                Ok(())
            })
        });
        let mut count = 0;
        let read = each_block(tx, found, range, &mut |rows, index, values| {
            count += rows as u64;
            let mut blobs: [Vec<u8>; 2] = unused.try_recv().unwrap_or_default();
            for (blob, from) in blobs.iter_mut().zip([index, values]) {
                blob.clear();
                blob.extend_from_slice(bytes(from)?);
            }
            // An error there ends the reading here.
            Ok(send.send((rows, blobs)).is_ok())
        });
        drop(send); // ends the other thread
        let unpacked = unpacked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        read.and(unpacked.map_err(|error| named(error, &found.info.key))).map(|()| count)
    })
}

/// The bytes of a block.
pub(super) fn bytes(blob: ValueRef<'_>) -> Result<&[u8]> {
    blob.as_blob().map_err(|_| damaged("a block is not a blob".into()))
}

pub(super) fn load(
    tx: &ReadTx<'_>,
    key: &str,
    range: &IndexRange,
    location: &str,
) -> Result<(Series, Metadata)> {
    let found = find(tx, key, location)?;
    let range = range.for_type(&found.info.index_type)?;
    let mut points = Points::new(&found.info)?.within(&range);
    if range.is_all() {
        // What the blocks can hold bounds what the row of the series claims.
        let sql = "SELECT count(*) FROM series_block WHERE series_id = ?1";
        let blocks: i64 = tx.query_one(sql, [found.id], |row| Ok(row.get(0)?))?.unwrap_or(0);
        let most = (blocks as u64).saturating_mul(BLOCK_ROWS as u64).min(found.info.length);
        points.reserve(usize::try_from(most).unwrap_or(0));
    }
    let mut count = 0;
    if range.is_all() && found.info.length >= MANY {
        count = unpack_meanwhile(tx, &found, &range, &mut points)?;
    } else {
        each_block(tx, &found, &range, &mut |rows, index, values| {
            count += rows as u64;
            points.append(rows, bytes(index)?, bytes(values)?).map(|()| true)
        })?;
    }
    let info = &found.info;
    if range.is_all() && count != info.length {
        let why = format!("its blocks hold {count} points, and it has {}", info.length);
        return Err(named(damaged(why), key));
    }
    let series = points.finish(info).map_err(|error| named(error, key))?;
    Ok((series.range(&range)?, found.info.metadata))
}

enum Message {
    Schema(SchemaRef),
    Batch(RecordBatch),
}

/// A thread reads on one snapshot, a block ahead of whoever takes the batches; it ends with them.
pub(super) fn scan(backend: &SqliteBackend, key: &str, range: &IndexRange) -> Result<Batches> {
    let (send, from) = sync_channel::<Result<Message>>(1);
    let (db, location) = (backend.db.clone(), backend.db.path().display().to_string());
    let (key, range) = (key.to_owned(), range.clone());
    let work = move || {
        let done = db.read(|tx| {
            let found = find(tx, &key, &location)?;
            let range = range.for_type(&found.info.index_type)?;
            if send.send(Ok(Message::Schema(found.info.schema()))).is_err() {
                return Ok(());
            }
            each_block(tx, &found, &range, &mut |rows, index, values| {
                let mut points = Points::new(&found.info)?.within(&range);
                points.append(rows, bytes(index)?, bytes(values)?)?;
                let part = points.finish(&found.info)?.range(&range)?;
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
    let ended = || Error::Panicked { what: "the scan".into(), why: "panicked" };
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
