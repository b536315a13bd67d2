//! What a compaction does to one symbol, made ready outside the transaction.
//!
//! A plan holds what it saw: how many rows up to which arrival, and the blocks that it replaces by
//! their checksums. Arrivals are not given twice, so the same number of rows up to it are the same rows;
//! later ones stay rows. Whatever else happened meanwhile makes the plan void.

use std::sync::Arc;

use super::packed::{Packed, pack};
use super::part::{Part, Span};
use super::tables::{self, MIGRATIONS};
use super::tick::{Origins, Ticks};
use super::write::{join_short_block, store_blocks, whole_blocks};
use crate::error::Result;
use crate::kernel::{ReadTx, WriteTx};

/// What was seen of a symbol in a snapshot.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    id: i64,
    from_ns: i64,
    to_ns: i64,
    last_arrival: i64,
    rows: i64,
    /// Id and checksum of each block from `from_ns` to `to_ns`.
    blocks: Vec<(i64, Vec<u8>)>,
}

impl Seen {
    fn read(
        tx: &ReadTx<'_>,
        id: i64,
        (from_ns, to_ns): (i64, i64),
        last_arrival: i64,
    ) -> Result<Self> {
        let sql = "SELECT count(*) FROM tick_rows WHERE symbol_id = ?1 AND arrival <= ?2";
        let rows = tx.query_one(sql, (id, last_arrival), |row| Ok(row.get(0)?))?.unwrap_or(0);
        let sql = "SELECT id, checksum FROM tick_block \
            WHERE symbol_id = ?1 AND last_ns >= ?2 AND first_ns <= ?3 ORDER BY id";
        let blocks = tx.query(sql, (id, from_ns, to_ns), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Seen { id, from_ns, to_ns, last_arrival, rows, blocks })
    }
}

/// What was found, and the ticks: all rows of the symbol, and those of the blocks that they meet.
pub(super) struct Found {
    seen: Seen,
    ticks: Ticks,
}

/// The blocks that replace what was seen.
pub(super) struct Plan {
    seen: Seen,
    blocks: Vec<Packed>,
}

/// What a compaction would take of a symbol; `None` if it has no rows.
pub(super) fn find(
    tx: &ReadTx<'_>,
    id: i64,
    symbol: &Arc<str>,
    origins: &Origins,
) -> Result<Option<Found>> {
    let sql = "SELECT min(time_ns), max(time_ns), max(arrival) FROM tick_rows WHERE symbol_id = ?1";
    let range = tx.query_one(sql, [id], |row| {
        let range: (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        Ok((range, row.get::<_, Option<i64>>(2)?))
    })?;
    let Some(((Some(from), Some(to)), Some(last_arrival))) = range else { return Ok(None) };
    let range = whole_blocks(tx, id, join_short_block(tx, id, from)?, to)?;
    let seen = Seen::read(tx, id, range, last_arrival)?;
    let numbers = tables::origins(tx, origins)?;
    let mut ticks = Ticks::new(symbol.clone());
    Part { id, origins, numbers: &numbers }.read(tx, &Span::new(range.0, range.1), &mut ticks)?;
    ticks.origins = origins.all();
    Ok(Some(Found { seen, ticks }))
}

impl Found {
    /// Packs the ticks: the long part.
    pub(super) fn pack(self) -> Result<Plan> {
        Ok(Plan { seen: self.seen, blocks: pack(&self.ticks)? })
    }
}

/// Puts the blocks in place of the rows; how many rows. `None`, and nothing is done, if a plan is void.
pub(super) fn apply(tx: &mut WriteTx<'_>, plans: &[Plan]) -> Result<Option<u64>> {
    tx.ensure(&MIGRATIONS)?;
    for Plan { seen, .. } in plans {
        let range = (seen.from_ns, seen.to_ns);
        if Seen::read(tx, seen.id, range, seen.last_arrival)? != *seen {
            return Ok(None);
        }
    }
    let mut moved = 0;
    for Plan { seen, blocks } in plans {
        let sql =
            "DELETE FROM tick_block WHERE symbol_id = ?1 AND last_ns >= ?2 AND first_ns <= ?3";
        tx.execute(sql, (seen.id, seen.from_ns, seen.to_ns))?;
        let sql = "DELETE FROM tick_rows WHERE symbol_id = ?1 AND arrival <= ?2";
        moved += tx.execute(sql, (seen.id, seen.last_arrival))? as u64;
        store_blocks(tx, seen.id, blocks)?;
    }
    Ok(Some(moved))
}
