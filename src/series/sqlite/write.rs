//! Changes into the tables, in the transaction of their commit.

use rusqlite::types::Value;

use super::BLOCK_ROWS;
use super::read::{Points, count, find, load, orderable};
use crate::array::block::types::type_name;
use crate::array::block::{Effort, encode, fit};
use crate::error::Result;
use crate::kernel::{WriteTx, together};
use crate::series::backend::{Change, SeriesInfo, expect, in_use, last_label, not_found};
use crate::series::data::{Metadata, Series};
use crate::series::index::{IndexRange, IndexValues};

/// The fewest blocks for which a thread is worth its start.
const BLOCKS_A_THREAD: usize = 4;

/// A change, and the blocks of those of its points that need nothing of the file: packed before the writer has
/// the file.
pub(super) struct Prepared {
    change: Change,
    blocks: Vec<Block>,
}

impl Prepared {
    pub(super) fn of(change: &Change) -> Result<Self> {
        let blocks = match change {
            Change::Save { series, .. } => blocks(series, Effort::Fast)?,
            // No other block is joined with so many.
            Change::Append { series, .. } if series.len() >= BLOCK_ROWS => {
                blocks(series, Effort::Fast)?
            }
            _ => Vec::new(),
        };
        Ok(Prepared { change: change.clone(), blocks })
    }
}

pub(super) fn apply(tx: &WriteTx<'_>, prepared: &Prepared, location: &str) -> Result<()> {
    let blocks = &prepared.blocks;
    match &prepared.change {
        Change::Save { key, series, metadata } => {
            remove(tx, key)?;
            insert(tx, key, series, metadata, blocks)
        }
        Change::Append { key, series } => match find(tx, key, location) {
            Err(crate::Error::NotFound { .. }) => insert(tx, key, series, &Metadata::new(), blocks),
            found => {
                let found = found?;
                match found.info.fit(series)? {
                    Some(_) if found.info.has_types_of(series) => append(tx, found, series, blocks),
                    Some(points) => append(tx, found, &points, &[]),
                    None => {
                        let (own, metadata) = load(tx, key, &IndexRange::all(), location)?;
                        let whole = own.concat(series)?;
                        remove(tx, key)?;
                        insert(tx, key, &whole, &metadata, &[])
                    }
                }
            }
        },
        Change::Expect { key, info } => {
            let now = match find(tx, key, location) {
                Err(crate::Error::NotFound { .. }) => None,
                found => Some(found?.info),
            };
            expect(key, info.as_deref(), now.as_ref())
        }
        Change::SetMetadata { key, metadata } => {
            let sql = "UPDATE series SET metadata = ?2 WHERE key = ?1";
            there(tx.execute(sql, (key, to_json(metadata)))?, key, location)?;
            tx.seal("series", "key = ?1", [key]).map(drop)
        }
        Change::SetIndexMetadata { key, index } => {
            let mut found = find(tx, key, location)?;
            found.info.head.index = index.clone();
            let sql = "UPDATE series SET head = ?2 WHERE id = ?1";
            tx.execute(sql, (found.id, to_json(&found.info.head)))?;
            tx.seal("series", "id = ?1", [found.id]).map(drop)
        }
        Change::Delete { key } => there(remove(tx, key)?, key, location),
        Change::Rename { from, to } => {
            let found = find(tx, from, location)?;
            is_free(tx, to, location)?;
            tx.execute("UPDATE series SET key = ?2 WHERE id = ?1", (found.id, to))?;
            tx.seal("series", "id = ?1", [found.id]).map(drop)
        }
        Change::Copy { from, to } => {
            let found = find(tx, from, location)?;
            is_free(tx, to, location)?;
            let series = "INSERT INTO series (key, length, index_type, value_type, least, greatest, \
                last, is_sorted, head, metadata, row_sum) SELECT ?2, length, index_type, value_type, least, \
                greatest, last, is_sorted, head, metadata, silt_row_sum(?2, length, index_type, value_type, \
                least, greatest, last, is_sorted, head, metadata) FROM series WHERE id = ?1";
            let id = tx.insert(series, (found.id, to))?;
            let blocks = "INSERT INTO series_block (series_id, first_row, rows, least, greatest, \
                compacted, index_data, value_data, row_sum) SELECT ?2, first_row, rows, least, greatest, \
                compacted, index_data, value_data, silt_row_sum(?2, first_row, rows, least, greatest, \
                compacted) FROM series_block WHERE series_id = ?1";
            tx.execute(blocks, (found.id, id)).map(drop)
        }
        Change::Record { name, record: Some(record) } => {
            let sql = "INSERT OR REPLACE INTO series_record (name, record, row_sum) \
                VALUES (?1, ?2, silt_row_sum(?1, ?2))";
            tx.execute(sql, (name, to_json(record))).map(drop)
        }
        Change::Record { name, record: None } => {
            tx.execute("DELETE FROM series_record WHERE name = ?1", [name]).map(drop)
        }
    }
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("names and numbers are JSON")
}

fn there(changed: usize, key: &str, location: &str) -> Result<()> {
    if changed == 0 { Err(not_found(key, location)) } else { Ok(()) }
}

fn is_free(tx: &WriteTx<'_>, key: &str, location: &str) -> Result<()> {
    match tx.query_one("SELECT 1 FROM series WHERE key = ?1", [key], |_| Ok(()))? {
        Some(()) => Err(in_use(key, location)),
        None => Ok(()),
    }
}

fn remove(tx: &WriteTx<'_>, key: &str) -> Result<usize> {
    let blocks =
        "DELETE FROM series_block WHERE series_id = (SELECT id FROM series WHERE key = ?1)";
    tx.execute(blocks, [key])?;
    tx.execute("DELETE FROM series WHERE key = ?1", [key])
}

fn insert(
    tx: &WriteTx<'_>,
    key: &str,
    series: &Series,
    metadata: &Metadata,
    blocks: &[Block],
) -> Result<()> {
    let info = SeriesInfo::of(key, series, metadata)?;
    let sql = "INSERT INTO series (key, length, index_type, value_type, least, greatest, last, \
        is_sorted, head, metadata, row_sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
        silt_row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10))";
    let (least, greatest) = info.extent.unzip();
    let id = tx.insert(
        sql,
        (
            key,
            series.len() as i64,
            type_name(&info.index_type)?,
            type_name(&info.value_type)?,
            orderable(least.as_ref()),
            orderable(greatest.as_ref()),
            orderable(last_label(series)?.as_ref()),
            info.is_sorted,
            to_json(&info.head),
            to_json(metadata),
        ),
    )?;
    if blocks.is_empty() {
        return put(tx, id, 0, &self::blocks(series, Effort::Fast)?);
    }
    put(tx, id, 0, blocks)
}

/// Points that follow each other, packed.
pub(super) struct Block {
    /// Of the points that were packed together.
    first: usize,
    rows: usize,
    least: Value,
    greatest: Value,
    effort: Effort,
    index: Vec<u8>,
    values: Vec<u8>,
}

impl Block {
    fn of(series: &Series, first: usize, rows: usize, effort: Effort) -> Result<Self> {
        let part = series.slice(first, rows);
        let (least, greatest) = IndexValues::of(part.index())?.extent().unzip();
        let (least, greatest) = (orderable(least.as_ref()), orderable(greatest.as_ref()));
        let index = encode(std::slice::from_ref(part.index()), effort)?;
        let values = encode(std::slice::from_ref(part.values()), effort)?;
        Ok(Block { first, rows, least, greatest, effort, index, values })
    }
}

/// The blocks of these points; many are packed by several threads.
pub(super) fn blocks(series: &Series, effort: Effort) -> Result<Vec<Block>> {
    let mut parts = Vec::with_capacity(series.len() / BLOCK_ROWS + 1);
    let mut first = 0;
    while first < series.len() {
        let rest = series.slice(first, series.len() - first);
        let rows = fit(rest.index(), fit(rest.values(), BLOCK_ROWS));
        parts.push((first, rows));
        first += rows;
    }
    let pack = |(first, rows): &(usize, usize)| Block::of(series, *first, *rows, effort);
    together(&parts, BLOCKS_A_THREAD, pack).into_iter().collect()
}

/// Writes blocks, of which the first point has this number in its series.
pub(super) fn put(tx: &WriteTx<'_>, id: i64, first: i64, blocks: &[Block]) -> Result<()> {
    let sql = "INSERT INTO series_block (series_id, first_row, rows, least, greatest, compacted, \
        index_data, value_data, row_sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, \
        silt_row_sum(?1, ?2, ?3, ?4, ?5, ?6))";
    for block in blocks {
        tx.insert(
            sql,
            (
                id,
                first + block.first as i64,
                block.rows as i64,
                &block.least,
                &block.greatest,
                block.effort == Effort::Compact,
                &block.index,
                &block.values,
            ),
        )?;
    }
    Ok(())
}

fn append(
    tx: &WriteTx<'_>,
    found: super::read::Found,
    series: &Series,
    blocks: &[Block],
) -> Result<()> {
    let (info, last) = found.info.extended(found.last, series)?;
    let (least, greatest) = info.extent.clone().unzip();
    let sql = "UPDATE series SET length = length + ?2, least = ?3, greatest = ?4, last = ?5, \
        is_sorted = ?6, head = ?7, row_sum = silt_row_sum(key, length + ?2, index_type, value_type, \
        ?3, ?4, ?5, ?6, ?7, metadata) WHERE id = ?1";
    tx.execute(
        sql,
        (
            found.id,
            series.len() as i64,
            orderable(least.as_ref()),
            orderable(greatest.as_ref()),
            orderable(last.as_ref()),
            info.is_sorted,
            to_json(&info.head),
        ),
    )?;
    if series.is_empty() {
        return Ok(());
    }
    let before = SeriesInfo { length: info.length - series.len() as u64, extent: None, ..info };
    if !blocks.is_empty() {
        return put(tx, found.id, before.length as i64, blocks);
    }
    join_and_put(tx, found.id, &before, series)
}

/// Writes points behind those of a series, as one block with the last ones while they are no larger.
fn join_and_put(tx: &WriteTx<'_>, id: i64, info: &SeriesInfo, series: &Series) -> Result<()> {
    let tail = "SELECT id, first_row, rows FROM series_block WHERE series_id = ?1 \
        AND first_row < ?2 ORDER BY first_row DESC LIMIT 1";
    let (mut first, mut rows, mut joined) = (info.length as i64, series.len(), Vec::new());
    loop {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let Some((block, start, own)) = tx.query_one(tail, (id, first), read)? else { break };
        let own = count(own)?;
        if own > rows || own + rows > BLOCK_ROWS {
            break;
        }
        joined.push(block);
        (first, rows) = (start, rows + own);
    }
    if joined.is_empty() {
        return put(tx, id, first, &blocks(series, Effort::Fast)?);
    }
    let mut points = Points::new(info)?;
    for block in joined.iter().rev() {
        take(tx, *block, &mut points)?;
    }
    let points = points.finish(info)?.concat(series)?;
    put(tx, id, first, &blocks(&points, Effort::Fast)?)
}

/// Moves the points of a block out of the file.
fn take(tx: &WriteTx<'_>, block: i64, points: &mut Points<'_>) -> Result<()> {
    points.read(tx, block)?;
    tx.execute("DELETE FROM series_block WHERE id = ?1", [block]).map(drop)
}
