//! Changes into the tables, in the transaction of their commit.

use super::BLOCK_ROWS;
use super::read::{block, find, load, orderable};
use crate::array::block::arrays::{damaged, pack, type_name};
use crate::array::block::buffers::Effort;
use crate::error::Result;
use crate::kernel::WriteTx;
use crate::series::backend::{Change, SeriesInfo, in_use, not_found};
use crate::series::data::{Metadata, Series, check_joins};
use crate::series::index::{IndexRange, IndexValue, IndexValues};

pub(super) fn apply(tx: &WriteTx<'_>, change: &Change, place: &str) -> Result<()> {
    match change {
        Change::Save { key, series, metadata } => {
            remove(tx, key)?;
            insert(tx, key, series, metadata)
        }
        Change::Append { key, series } => match find(tx, key, place) {
            Err(crate::Error::NotFound { .. }) => insert(tx, key, series, &Metadata::new()),
            found => append(tx, found?, series),
        },
        Change::SetMetadata { key, metadata } => {
            let sql = "UPDATE series SET metadata = ?2 WHERE key = ?1";
            there(tx.execute(sql, (key, to_json(metadata)))?, key, place)
        }
        Change::SetIndexMetadata { key, index } => {
            let mut found = find(tx, key, place)?;
            found.info.head.index = index.clone();
            let sql = "UPDATE series SET head = ?2 WHERE id = ?1";
            tx.execute(sql, (found.id, to_json(&found.info.head))).map(drop)
        }
        Change::Delete { key } => there(remove(tx, key)?, key, place),
        Change::Rename { from, to } => {
            let found = find(tx, from, place)?;
            is_free(tx, to, place)?;
            tx.execute("UPDATE series SET key = ?2 WHERE id = ?1", (found.id, to)).map(drop)
        }
        Change::Copy { from, to } => {
            let found = find(tx, from, place)?;
            is_free(tx, to, place)?;
            let series = "INSERT INTO series (key, length, index_type, value_type, least, greatest, \
                last, is_sorted, head, metadata) SELECT ?2, length, index_type, value_type, least, \
                greatest, last, is_sorted, head, metadata FROM series WHERE id = ?1";
            let id = tx.insert(series, (found.id, to))?;
            let blocks = "INSERT INTO series_block (series_id, first_row, rows, least, greatest, \
                settled, index_data, value_data) SELECT ?2, first_row, rows, least, greatest, \
                settled, index_data, value_data FROM series_block WHERE series_id = ?1";
            tx.execute(blocks, (found.id, id)).map(drop)
        }
        Change::Record { name, record: Some(record) } => {
            let sql = "INSERT OR REPLACE INTO series_record (name, record) VALUES (?1, ?2)";
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

fn there(changed: usize, key: &str, place: &str) -> Result<()> {
    if changed == 0 { Err(not_found(key, place)) } else { Ok(()) }
}

fn is_free(tx: &WriteTx<'_>, key: &str, place: &str) -> Result<()> {
    match tx.query_one("SELECT 1 FROM series WHERE key = ?1", [key], |_| Ok(()))? {
        Some(()) => Err(in_use(key, place)),
        None => Ok(()),
    }
}

fn remove(tx: &WriteTx<'_>, key: &str) -> Result<usize> {
    let blocks =
        "DELETE FROM series_block WHERE series_id = (SELECT id FROM series WHERE key = ?1)";
    tx.execute(blocks, [key])?;
    tx.execute("DELETE FROM series WHERE key = ?1", [key])
}

fn last(series: &Series) -> Result<Option<IndexValue>> {
    if series.is_empty() {
        return Ok(None);
    }
    let end = series.slice(series.len() - 1, 1);
    Ok(Some(IndexValues::of(end.index())?.get(0)))
}

fn insert(tx: &WriteTx<'_>, key: &str, series: &Series, metadata: &Metadata) -> Result<()> {
    let info = SeriesInfo::of(key, series, metadata)?;
    let sql = "INSERT INTO series (key, length, index_type, value_type, least, greatest, last, \
        is_sorted, head, metadata) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
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
            orderable(last(series)?.as_ref()),
            info.is_sorted,
            to_json(&info.head),
            to_json(metadata),
        ),
    )?;
    put(tx, id, 0, series, Effort::Hot).map(drop)
}

/// Writes points as blocks from this row on; how many blocks.
fn put(tx: &WriteTx<'_>, id: i64, first: i64, series: &Series, effort: Effort) -> Result<u64> {
    let sql = "INSERT INTO series_block (series_id, first_row, rows, least, greatest, settled, \
        index_data, value_data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let mut blocks = 0;
    for start in (0..series.len()).step_by(BLOCK_ROWS) {
        let part = series.slice(start, BLOCK_ROWS.min(series.len() - start));
        let (least, greatest) = IndexValues::of(part.index())?.extent().unzip();
        tx.insert(
            sql,
            (
                id,
                first + start as i64,
                part.len() as i64,
                orderable(least.as_ref()),
                orderable(greatest.as_ref()),
                effort == Effort::Settled,
                pack(part.index(), effort)?,
                pack(part.values(), effort)?,
            ),
        )?;
        blocks += 1;
    }
    Ok(blocks)
}

fn append(tx: &WriteTx<'_>, found: super::read::Found, series: &Series) -> Result<()> {
    let info = found.info;
    check_joins(&info.index_type, &info.value_type, series)?;
    let added = SeriesInfo::of(&info.key, series, &Metadata::new())?;
    let begins = (!series.is_empty()).then(|| series.slice(0, 1));
    let begins = begins.map(|one| IndexValues::of(one.index()).map(|v| v.get(0))).transpose()?;
    let follows = match (&found.last, &begins) {
        (_, None) => true,
        (None, Some(_)) => info.length == 0, // behind NaN nothing is in order
        (Some(last), Some(first)) => last <= first,
    };
    let extent = match (info.extent, added.extent) {
        (Some((a, b)), Some((c, d))) => {
            Some((if c < a { c } else { a }, if d > b { d } else { b }))
        }
        (own, other) => own.or(other),
    };
    let (least, greatest) = extent.unzip();
    let last = if series.is_empty() { found.last } else { last(series)? };
    let sql = "UPDATE series SET length = length + ?2, least = ?3, greatest = ?4, last = ?5, \
        is_sorted = ?6, head = ?7 WHERE id = ?1";
    tx.execute(
        sql,
        (
            found.id,
            series.len() as i64,
            orderable(least.as_ref()),
            orderable(greatest.as_ref()),
            orderable(last.as_ref()),
            info.is_sorted && added.is_sorted && follows,
            to_json(&info.head.clone().appended()),
        ),
    )?;
    if series.is_empty() {
        return Ok(());
    }
    let (mut first, mut points) = (info.length as i64, series.clone());
    let tail = "SELECT id, first_row, rows FROM series_block WHERE series_id = ?1 \
        ORDER BY first_row DESC LIMIT 1";
    let data = "SELECT index_data, value_data FROM series_block WHERE id = ?1";
    let info = SeriesInfo { extent: None, ..added };
    loop {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let Some((id, start, rows)) = tx.query_one(tail, [found.id], read)? else { break };
        let (id, rows): (i64, i64) = (id, rows);
        if rows > points.len() as i64 || rows + points.len() as i64 > BLOCK_ROWS as i64 {
            break;
        }
        let read =
            |row: &rusqlite::Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?));
        let found = tx.query_one(data, [id], read)?;
        let (index, values) = found.ok_or_else(|| damaged("a block is gone".into()))?;
        let (index, values) = block(&info, rows, &index, &values)?;
        points = Series::new(index, values)?.concat(&points)?;
        tx.execute("DELETE FROM series_block WHERE id = ?1", [id])?;
        first = start;
    }
    put(tx, found.id, first, &points, Effort::Hot).map(drop)
}

/// Writes the blocks of a series anew, as small as they get, unless they are; how many were written.
pub(super) fn settle(tx: &WriteTx<'_>, key: &str, place: &str) -> Result<u64> {
    let found = find(tx, key, place)?;
    let hot = "SELECT 1 FROM series_block WHERE series_id = ?1 AND settled = 0";
    if tx.query_one(hot, [found.id], |_| Ok(()))?.is_none() {
        return Ok(0);
    }
    let (series, _) = load(tx, key, &IndexRange::all(), place)?;
    tx.execute("DELETE FROM series_block WHERE series_id = ?1", [found.id])?;
    put(tx, found.id, 0, &series, Effort::Settled)
}
