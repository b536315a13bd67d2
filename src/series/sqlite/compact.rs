//! Blocks at the highest compression.

use super::BLOCK_ROWS;
use super::read::{Points, count, find};
use super::write::{Block, blocks, put};
use super::{MIGRATIONS, are_there};
use crate::array::block::types::type_of;
use crate::array::block::{Effort, version_1};
use crate::error::{Error, Result};
use crate::kernel::{Part, ReadTx, WriteTx};

/// The most blocks that are compacted in one transaction.
const BLOCKS_AT_ONCE: usize = 64;

/// The blocks of a series that are not compacted.
pub(super) struct SeriesPart {
    key: String,
    location: String,
    points: u64,
    /// The length of the series: points that are appended meanwhile are left for the next time.
    until: i64,
}

/// Blocks that follow each other, packed anew.
pub(super) struct Packed {
    series: i64,
    first_row: i64,
    /// The ids of the blocks that they replace, and the checksum of what these hold.
    replaced: Vec<i64>,
    sum: u128,
    points: u64,
    blocks: Vec<Block>,
}

/// A series, or all of them.
pub(super) fn parts(tx: &ReadTx<'_>, key: Option<&str>, location: &str) -> Result<Vec<SeriesPart>> {
    if let Some(key) = key {
        find(tx, key, location)?;
    }
    if !are_there(tx)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT s.key, s.length, sum(b.rows) FROM series s JOIN series_block b ON b.series_id = s.id \
        WHERE b.compacted = 0 AND (?1 IS NULL OR s.key = ?1) GROUP BY s.id ORDER BY s.key";
    tx.query(sql, [key], |row| {
        let (location, points) = (location.to_owned(), row.get::<_, i64>(2)?.max(0) as u64);
        Ok(SeriesPart { key: row.get(0)?, location, points, until: row.get(1)? })
    })
}

impl Part for SeriesPart {
    type Packed = Packed;

    fn rows(&self) -> u64 {
        self.points
    }

    /// What is compacted stays, except that a small block is joined with those behind it.
    fn pack(&self, tx: &ReadTx<'_>) -> Result<Option<Packed>> {
        let found = match find(tx, &self.key, &self.location) {
            Err(Error::NotFound { .. }) => return Ok(None), // it was removed meanwhile
            found => found?,
        };
        let sql = "SELECT min(first_row) FROM series_block WHERE series_id = ?1 \
            AND compacted = 0 AND first_row < ?2";
        let read = |row: &rusqlite::Row<'_>| Ok(row.get::<_, Option<i64>>(0)?);
        let first = tx.query_one(sql, (found.id, self.until), read)?.flatten();
        let Some(first_uncompacted) = first else { return Ok(None) };
        let before = "SELECT first_row, rows FROM series_block WHERE series_id = ?1 \
            AND first_row < ?2 ORDER BY first_row DESC LIMIT 1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, count(row.get(1)?)?));
        let joins = tx.query_one(before, (found.id, first_uncompacted), read)?;
        let joins = joins.filter(|(_, rows)| *rows < BLOCK_ROWS / 2);
        let next = "SELECT id, first_row, rows, compacted FROM series_block WHERE series_id = ?1 \
            AND first_row >= ?2 ORDER BY first_row LIMIT ?3";
        let read = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, count(row.get(2)?)?, row.get(3)?))
        };
        let first_row = joins.map_or(first_uncompacted, |(first, _)| first);
        let some = tx.query(next, (found.id, first_row, BLOCKS_AT_ONCE as i64), read)?;
        let mut points = Points::new(&found.info)?;
        let (mut replaced, mut fresh, mut rows) = (Vec::new(), 0, 0);
        for (block, first, own, is_compacted) in some {
            let is_whole: bool = is_compacted && first > first_uncompacted && own >= BLOCK_ROWS / 2;
            if is_whole || rows >= BLOCKS_AT_ONCE * BLOCK_ROWS {
                break;
            }
            points.read(tx, block)?;
            replaced.push(block);
            rows += own;
            fresh += if is_compacted { 0 } else { own as u64 };
        }
        let (sum, blocks) =
            (sum(tx, &replaced)?, blocks(&points.finish(&found.info)?, Effort::Compact)?);
        Ok(Some(Packed { series: found.id, first_row, replaced, sum, points: fresh, blocks }))
    }

    fn replace(&self, tx: &mut WriteTx<'_>, packed: &Packed) -> Result<Option<(u64, u64)>> {
        tx.ensure(&MIGRATIONS)?;
        let Packed { series, first_row, replaced, points, blocks, .. } = packed;
        if sum(tx, replaced)? != packed.sum {
            return Ok(None);
        }
        for block in replaced {
            tx.execute("DELETE FROM series_block WHERE id = ?1", [block])?;
        }
        put(tx, *series, *first_row, blocks)?;
        Ok(Some((*points, blocks.len() as u64)))
    }
}

/// The checksum of what blocks hold.
fn sum(tx: &ReadTx<'_>, blocks: &[i64]) -> Result<u128> {
    let sql = "SELECT series_id, first_row, rows, compacted, index_data, value_data FROM series_block WHERE id = ?1";
    let mut sum = xxhash_rust::xxh3::Xxh3::new();
    for block in blocks {
        tx.query_one(sql, [block], |row| {
            for i in 0..4 {
                sum.update(&row.get::<_, i64>(i)?.to_le_bytes());
            }
            for i in 4..6 {
                sum.update(row.get_ref(i)?.as_blob_or_null().ok().flatten().unwrap_or_default());
            }
            Ok(())
        })?;
    }
    Ok(sum.digest128())
}

/// Version 5: blocks of today. One that is damaged stays as it is, for [`verify`](super::verify()) to find.
pub(super) fn renew_blocks(tx: &WriteTx<'_>) -> Result<()> {
    let sql = "SELECT b.id, b.rows, b.compacted, s.index_type, s.value_type FROM series_block b JOIN series s ON s.id = b.series_id";
    let read = |row: &rusqlite::Row<'_>| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get(1)?,
            row.get(2)?,
            [row.get::<_, String>(3)?, row.get(4)?],
        ))
    };
    for (id, rows, is_compacted, types) in tx.query(sql, [], read)? {
        let effort = if is_compacted { Effort::Compact } else { Effort::Fast };
        for (column, name) in ["index_data", "value_data"].into_iter().zip(types) {
            let sql = format!("SELECT {column} FROM series_block WHERE id = ?1");
            let data: Vec<u8> =
                tx.query_one(&sql, [id], |row| Ok(row.get(0)?))?.unwrap_or_default();
            let renewed = type_of(&name).and_then(|data_type| {
                Ok(version_1::renewed(&data, &[data_type], count(rows)?, effort)?.into_owned())
            });
            if let Some(renewed) = renewed.ok().filter(|renewed| *renewed != data) {
                let sql = format!("UPDATE series_block SET {column} = ?2 WHERE id = ?1");
                tx.execute(&sql, (id, renewed))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::SqliteBackend;
    use super::*;
    use crate::series::{Series, StorageBackend};

    /// Goal: a block that others write anew between the packing and the exchange makes what was packed void; a compaction then packs
    /// what is there.
    #[test]
    fn what_was_changed_meanwhile_is_packed_again() {
        let folder = tempfile::tempdir().unwrap();
        let backend = SqliteBackend::open(folder.path().join("plant.db")).unwrap();
        let points = |from: i64| {
            let times: Vec<i64> = (from..from + 10).collect();
            Series::from_times_ns(&times, &[from as f64; 10]).unwrap()
        };
        backend.save("flow", &points(0), &Default::default()).unwrap();
        let part = || backend.db.read(|tx| parts(tx, Some("flow"), "here")).unwrap().pop().unwrap();
        let (packs, replaces) = (part(), part());
        let packed = backend.db.read(|tx| packs.pack(tx)).unwrap().unwrap();
        backend.append("flow", &points(10)).unwrap();
        let replaced = backend.db.write(move |tx| replaces.replace(tx, &packed)).unwrap();
        assert_eq!(replaced, None, "the block has more points now");
        assert_eq!(backend.compact(None).unwrap().rows, 20);
        let (series, _) = backend.load("flow").unwrap();
        assert_eq!(series, points(0).concat(&points(10)).unwrap());
    }
}
