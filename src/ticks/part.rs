//! The ticks of one symbol in one file: blocks and rows as one, in a snapshot.

use std::collections::HashMap;

use rusqlite::CachedStatement;

use super::packed::{Chosen, Stored, unpack};
use super::tick::{Origins, Row, Ticks, Wanted};
use crate::error::{Error, Result};
use crate::kernel::ReadTx;

/// Which ticks: times from `from_ns` to `to_ns`, both inclusive, without the first `skip`, and at most
/// `limit` of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
    pub(super) skip: usize,
    pub(super) limit: usize,
    pub(super) wanted: Wanted,
}

impl Span {
    pub(super) fn new(from_ns: i64, to_ns: i64) -> Self {
        Span { from_ns, to_ns, skip: 0, limit: usize::MAX, wanted: Wanted::All }
    }
}

/// A file's symbol, and what its origins are in this store.
pub(super) struct Part<'a> {
    pub(super) id: i64,
    pub(super) origins: &'a Origins,
    pub(super) numbers: &'a HashMap<i64, u32>,
}

const BLOCKS: &str =
    "symbol_id IS ?1 AND last_ns >= ?2 AND first_ns <= ?3 ORDER BY last_ns, first_ns, id";
const LAST_BLOCKS: &str =
    "symbol_id IS ?1 AND first_ns <= ?2 ORDER BY last_ns DESC, first_ns DESC, id DESC";
const ROWS: &str = "SELECT time_ns, bid, ask, spread, origin_id, zeros FROM tick_rows \
    WHERE symbol_id = ?1 AND time_ns BETWEEN ?2 AND ?3 ORDER BY time_ns, arrival LIMIT ?4";
const LAST_ROWS: &str = "SELECT time_ns, bid, ask, spread, origin_id, zeros FROM tick_rows \
    WHERE symbol_id = ?1 AND time_ns <= ?2 ORDER BY time_ns DESC, arrival DESC LIMIT ?3";

/// Blocks that meet a condition; it fails at a row which is damaged.
fn prepare_blocks<'c>(tx: &ReadTx<'c>, which: &str) -> Result<CachedStatement<'c>> {
    let whole = tx.whole("tick_block", "b")?;
    tx.prepare(&format!("SELECT id, kept, data FROM tick_block b WHERE {whole} AND {which}"))
}

impl Part<'_> {
    /// Appends the ticks of a span, rising; whether there are more behind the limit.
    pub(super) fn read(&self, tx: &ReadTx<'_>, span: &Span, out: &mut Ticks) -> Result<bool> {
        let most = span.skip.saturating_add(span.limit);
        let most_rows = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
        let mut statement = tx.prepare(ROWS)?;
        let mut rows = statement.query((self.id, span.from_ns, span.to_ns, most_rows))?;
        let mut late = rows.next()?.map(|row| self.row(row)).transpose()?;
        let mut blocks = prepare_blocks(tx, BLOCKS)?;
        let mut blocks = blocks.query((self.id, span.from_ns, span.to_ns))?;
        let start = out.len();
        if late.is_none() {
            let more = self.read_blocks_of(&mut blocks, span, most, out)?;
            skip(span, start, out);
            return Ok(more);
        }
        let mut block = Ticks::new(out.symbol.clone());
        let mut more = false;
        'blocks: while let Some(row) = blocks.next()? {
            block.clear();
            let (found, _) = next(row, span, usize::MAX, &mut block)?;
            unpack(&[found], span.wanted, self.origins, &mut block)?;
            let (mut i, end) = (0, block.len());
            while i < end {
                let room = most - (out.len() - start);
                if room == 0 {
                    more = true;
                    break 'blocks;
                }
                let to = match &late {
                    None => end,
                    Some(late) => {
                        i + block.time_ns[i..end].partition_point(|time| *time <= late.time_ns)
                    }
                };
                let to = to.min(i.saturating_add(room));
                out.extend(&block, i..to, span.wanted);
                i = to;
                if let Some(row) = late.as_ref().filter(|late| {
                    i < end && late.time_ns < block.time_ns[i] && out.len() - start < most
                }) {
                    out.push_wanted(row, span.wanted);
                    late = rows.next()?.map(|row| self.row(row)).transpose()?;
                }
            }
        }
        while let Some(row) = late.filter(|_| !more) {
            if out.len() - start == most {
                more = true;
                break;
            }
            out.push_wanted(&row, span.wanted);
            late = rows.next()?.map(|row| self.row(row)).transpose()?;
        }
        skip(span, start, out);
        Ok(more)
    }

    /// Appends the ticks of these blocks that a span has, at most so many, where no row lies between them.
    fn read_blocks_of(
        &self,
        blocks: &mut rusqlite::Rows<'_>,
        span: &Span,
        most: usize,
        out: &mut Ticks,
    ) -> Result<bool> {
        let start = out.len();
        let (mut found, mut more) = (Vec::new(), false);
        while !more && let Some(row) = blocks.next()? {
            let (block, is_cut) = next(row, span, most - (out.len() - start), out)?;
            found.push(block);
            more = is_cut;
        }
        unpack(&found, span.wanted, self.origins, out)?;
        Ok(more)
    }

    /// Appends the ticks of all blocks, in the order of the blocks.
    pub(super) fn read_blocks(&self, tx: &ReadTx<'_>, out: &mut Ticks) -> Result<()> {
        let mut blocks = prepare_blocks(tx, BLOCKS)?;
        let mut blocks = blocks.query((self.id, i64::MIN, i64::MAX))?;
        self.read_blocks_of(&mut blocks, &Span::new(i64::MIN, i64::MAX), usize::MAX, out)?;
        Ok(())
    }

    /// The last `n` ticks up to a time, rising.
    pub(super) fn last(
        &self,
        tx: &ReadTx<'_>,
        n: usize,
        to_ns: i64,
        out: &mut Ticks,
    ) -> Result<()> {
        let mut row_ticks = Vec::new();
        let limit = i64::try_from(n).unwrap_or(i64::MAX);
        let mut statement = tx.prepare(LAST_ROWS)?;
        let mut rows = statement.query((self.id, to_ns, limit))?;
        while let Some(row) = rows.next()? {
            row_ticks.push(self.row(row)?);
        }
        row_ticks.reverse();
        let mut found: Vec<Ticks> = Vec::new();
        let mut count = 0;
        let mut statement = prepare_blocks(tx, LAST_BLOCKS)?;
        let mut rows = statement.query((self.id, to_ns))?;
        while count < n
            && let Some(row) = rows.next()?
        {
            let stored = stored(row)?;
            let rows = stored.last(n - count, to_ns)?;
            let mut block = Ticks::new(out.symbol.clone());
            stored.times(rows.clone(), &mut block.time_ns)?;
            unpack(&[(stored, rows)], Wanted::All, self.origins, &mut block)?;
            count += block.time_ns.partition_point(|time| *time <= to_ns);
            found.push(block);
        }
        let mut late = row_ticks.into_iter().peekable();
        for block in found.iter().rev() {
            let end = block.time_ns.partition_point(|time| *time <= to_ns);
            let mut i = 0;
            while i < end {
                let limit = late.peek().map_or(i64::MAX, |late| late.time_ns);
                let to = i + block.time_ns[i..end].partition_point(|time| *time <= limit);
                out.extend(block, i..to, Wanted::All);
                i = to;
                if i < end
                    && let Some(row) = late.next()
                {
                    out.push(&row);
                }
            }
        }
        late.for_each(|row| out.push(&row));
        out.keep_last(n);
        Ok(())
    }

    fn row(&self, row: &rusqlite::Row<'_>) -> Result<Row> {
        let (mut bid, mut ask) = (row.get(1)?, row.get(2)?);
        let mut spread: Option<f64> = row.get(3)?;
        if let Some(zeros) = row.get::<_, Option<i64>>(5)? {
            // SQLite stores -0.0 as 0.
            bid = if zeros & 1 != 0 { -0.0 } else { bid };
            ask = if zeros & 2 != 0 { -0.0 } else { ask };
            spread = if zeros & 4 != 0 { Some(-0.0) } else { spread };
        }
        let id: i64 = row.get(4)?;
        let origin = self.numbers.get(&id).copied().ok_or_else(|| Error::Corrupt {
            location: String::new(),
            what: "table tick_rows".into(),
            why: format!("a row refers to row {id} of tick_origin, which is not there"),
        })?;
        Ok(Row { time_ns: row.get(0)?, bid, ask, spread: spread.unwrap_or(ask - bid), origin })
    }
}

fn stored(row: &rusqlite::Row<'_>) -> Result<Stored> {
    let kept = row.get_ref(1)?.as_str().unwrap_or_default();
    let data = row.get_ref(2)?.as_blob().unwrap_or_default();
    Stored::open(row.get(0).unwrap_or_default(), kept, data)
}

/// Appends the times of a block that a span has, at most so many; which of its ticks they are, and whether there are more.
fn next(
    row: &rusqlite::Row<'_>,
    span: &Span,
    room: usize,
    out: &mut Ticks,
) -> Result<(Chosen, bool)> {
    let block = stored(row)?;
    let rows = block.between(span.from_ns, span.to_ns)?;
    let start = out.time_ns.len();
    block.times(rows.clone(), &mut out.time_ns)?;
    let times = &out.time_ns[start..];
    let first = times.partition_point(|time| *time < span.from_ns);
    let end = times.partition_point(|time| *time <= span.to_ns).max(first);
    let taken = (end - first).min(room);
    out.time_ns.truncate(start + first + taken);
    out.time_ns.drain(start..start + first);
    let from = rows.start + first;
    Ok(((block, from..from + taken), end - first > room))
}

/// What is skipped lies at the very beginning, and is the same in every snapshot.
fn skip(span: &Span, start: usize, out: &mut Ticks) {
    let skip = span.skip.min(out.len() - start);
    if skip > 0 {
        assert_eq!(start, 0, "only the first part of a read is continued");
        out.remove_first(skip);
    }
}
