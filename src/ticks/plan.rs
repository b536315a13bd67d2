//! What a compaction does to one symbol, made ready outside the transaction.
//!
//! A plan holds what it saw: how many rows up to which arrival with the sum of their checksums, and the blocks that it replaces by
//! theirs. Later rows stay rows. Whatever else happened meanwhile makes the plan void.

use std::collections::HashMap;
use std::sync::Arc;

use super::packed::{Packed, pack};
use super::part::{Part as Partition, Span};
use super::tables::{self, MIGRATIONS};
use super::tick::{Origins, Ticks};
use super::write::{join_short_block, store_blocks, whole_blocks};
use crate::error::Result;
use crate::kernel::{Part, ReadTx, WriteTx};

/// What was seen of a symbol in a snapshot.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    id: i64,
    from_ns: i64,
    to_ns: i64,
    last_arrival: i64,
    rows: i64,
    /// Of their checksums.
    sum: i64,
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
        let sql = "SELECT count(*), sum(coalesce(row_sum, silt_row_sum(symbol_id, time_ns, arrival, bid, ask, spread, \
            origin_id, created_ms, zeros)) & 0xffffffff) FROM tick_rows WHERE symbol_id = ?1 AND arrival <= ?2";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?));
        let (rows, sum) = tx.query_one(sql, (id, last_arrival), read)?.unwrap_or_default();
        let sql = "SELECT id, checksum FROM tick_block \
            WHERE symbol_id = ?1 AND last_ns >= ?2 AND first_ns <= ?3 ORDER BY id";
        let blocks = tx.query(sql, (id, from_ns, to_ns), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Seen { id, from_ns, to_ns, last_arrival, rows, sum: sum.unwrap_or(0), blocks })
    }
}

/// The blocks that replace what was seen.
pub(super) struct Plan {
    seen: Seen,
    blocks: Vec<Packed>,
}

/// All rows of a day, which become blocks in one transaction.
pub(super) struct DayPart(pub(super) Arc<Origins>);

impl Part for DayPart {
    type Packed = Vec<Plan>;

    fn rows(&self) -> u64 {
        1 // whatever they are, they are done in one transaction
    }

    fn pack(&self, tx: &ReadTx<'_>) -> Result<Option<Vec<Plan>>> {
        if !tables::are_there(tx)? {
            return Ok(None);
        }
        let numbers = tables::origins(tx, &self.0)?;
        let mut plans = Vec::new();
        for (id, symbol) in tables::symbols(tx)? {
            plans.extend(plan(tx, id, symbol, &self.0, &numbers)?);
        }
        Ok(Some(plans).filter(|plans| !plans.is_empty()))
    }

    fn replace(&self, tx: &mut WriteTx<'_>, plans: &Vec<Plan>) -> Result<Option<(u64, u64)>> {
        tx.ensure(&MIGRATIONS)?;
        for Plan { seen, .. } in plans {
            let range = (seen.from_ns, seen.to_ns);
            if Seen::read(tx, seen.id, range, seen.last_arrival)? != *seen {
                return Ok(None);
            }
        }
        let (mut moved, mut written) = (0, 0);
        for Plan { seen, blocks } in plans {
            let sql =
                "DELETE FROM tick_block WHERE symbol_id = ?1 AND last_ns >= ?2 AND first_ns <= ?3";
            tx.execute(sql, (seen.id, seen.from_ns, seen.to_ns))?;
            let sql = "DELETE FROM tick_rows WHERE symbol_id = ?1 AND arrival <= ?2";
            moved += tx.execute(sql, (seen.id, seen.last_arrival))? as u64;
            store_blocks(tx, seen.id, blocks)?;
            written += blocks.len() as u64;
        }
        Ok(Some((moved, written)))
    }
}

/// What becomes of all rows of a symbol, and of the blocks that they meet; `None` if it has no rows.
fn plan(
    tx: &ReadTx<'_>,
    id: i64,
    symbol: Arc<str>,
    origins: &Origins,
    numbers: &HashMap<i64, u32>,
) -> Result<Option<Plan>> {
    let sql = "SELECT min(time_ns), max(time_ns), max(arrival) FROM tick_rows WHERE symbol_id = ?1";
    let range = tx.query_one(sql, [id], |row| {
        let range: (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        Ok((range, row.get::<_, Option<i64>>(2)?))
    })?;
    let Some(((Some(from), Some(to)), Some(last_arrival))) = range else { return Ok(None) };
    let range = whole_blocks(tx, id, join_short_block(tx, id, from)?, to)?;
    let seen = Seen::read(tx, id, range, last_arrival)?;
    let mut ticks = Ticks::new(symbol);
    Partition { id, origins, numbers }.read(tx, &Span::new(range.0, range.1), &mut ticks)?;
    ticks.origins = origins.all();
    Ok(Some(Plan { seen, blocks: pack(&ticks)? }))
}
