//! Ticks into a day's file.

use std::collections::HashMap;
use std::sync::Arc;

use super::merge::{Added, Merged, Rule, merge};
use super::packed::{Packed, SHORT_ROWS, pack};
use super::part::{Part, Span};
use super::tables::{self, Known, MIGRATIONS, SymbolKnown};
use super::tick::{Origin, Origins, Row, Ticks};
use crate::error::Result;
use crate::kernel::{ReadTx, WriteTx, now_ns};

/// So many ticks of one symbol at once are packed at once.
pub(super) const BULK_ROWS: usize = 2048;

/// Ticks of one symbol, in the order of their arrival.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) symbol: Arc<str>,
    pub(super) rows: Vec<Row>,
    /// Packed already, for a file that has nothing at these times.
    pub(super) packed: Option<Arc<Vec<Packed>>>,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packed").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// What ticks become in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Rows, unless they replace a tick that is in a block.
    Rows,
    /// Blocks, however few.
    Blocks,
    /// Blocks from [`BULK_ROWS`] of a symbol on.
    BySize,
}

/// Ticks of one day, written in one transaction.
#[derive(Debug, Clone)]
pub(super) struct DayBatch {
    pub(super) parts: Vec<Arrived>,
    pub(super) rule: Rule,
    /// Who writes, and the ordinal of the last tick: what is marked as written is not written again.
    pub(super) watermark: Option<(i64, u64)>,
    pub(super) form: Form,
    /// What was read, for the table of imports.
    pub(super) source: Option<Source>,
}

/// A file that ticks were imported from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) file: String,
    /// Those that the file has: of a day under way they come in several batches, and this is with the last one.
    pub(super) symbols: Vec<Arc<str>>,
    pub(super) target: String,
    pub(super) digest: [u8; 16],
}

/// Writes a batch in the transaction that is open.
pub(super) fn write(tx: &mut WriteTx<'_>, batch: &DayBatch, origins: &Origins) -> Result<Added> {
    tx.ensure(&MIGRATIONS)?;
    let mut known: Known = tx.take();
    let added = Writing { tx, known: &mut known, origins }.batch(batch)?;
    tx.put(known);
    Ok(added)
}

/// Makes rows of all blocks; how many.
pub(crate) fn expand(tx: &mut WriteTx<'_>) -> Result<u64> {
    if !tables::are_there(tx)? {
        return Ok(0);
    }
    tx.ensure(&MIGRATIONS)?;
    let origins = Origins::default();
    let mut known: Known = tx.take();
    let numbers = tables::origins(tx, &origins)?;
    let least = "SELECT min(arrival) FROM tick_rows";
    let least = tx.query_one(least, [], |row| Ok(row.get::<_, Option<i64>>(0)?))?;
    let (mut first, mut expanded) = (least.flatten().unwrap_or(1).min(1), 0);
    for (id, symbol) in tables::symbols(tx)? {
        let mut ticks = Ticks::new(symbol);
        Part { id, origins: &origins, numbers: &numbers }.read_blocks(tx, &mut ticks)?;
        // Of one time, what is in a block came before what is a row.
        first -= ticks.len() as i64;
        let mut arrival = first;
        let rows: Vec<Row> = (0..ticks.len()).map(|i| ticks.row(i)).collect();
        let mut ids = OriginIds { all: origins.all(), ids: Vec::new() };
        let mut writing = Writing { tx, known: &mut known, origins: &origins };
        expanded += writing.insert_rows(id, rows.iter(), &mut ids, &mut arrival)?.stored;
        tx.execute("DELETE FROM tick_block WHERE symbol_id = ?1", [id])?;
    }
    tx.put(known);
    tx.fit_names(&super::STORE)?;
    Ok(expanded)
}

/// Keeps the first of `k` neighbouring ticks of each symbol, once a file; how many are removed, or would be.
pub(super) fn thin(
    tx: &mut WriteTx<'_>,
    origins: &Origins,
    k: usize,
    dry_run: bool,
) -> Result<u64> {
    tx.ensure(&MIGRATIONS)?;
    let mut removed = 0;
    for (id, symbol) in tables::symbols(tx)? {
        removed += keep(tx, origins, (id, symbol), |i, _| i % k == 0, dry_run)?;
    }
    if !dry_run {
        tables::set_counter(tx, "thinned", k as i64)?;
    }
    Ok(removed)
}

/// Removes the ticks of a symbol from one time to another, both included; how many there are, and how many files were imported
/// before: ticks of this symbol can be imported from them again.
pub(super) fn remove(
    tx: &mut WriteTx<'_>,
    origins: &Origins,
    symbol: &str,
    (from, to): (i64, i64),
    dry_run: bool,
) -> Result<(u64, u64)> {
    tx.ensure(&MIGRATIONS)?;
    let Some(id) = tables::symbol_id(tx, symbol)? else { return Ok((0, 0)) };
    let in_blocks = "SELECT 1 FROM tick_block WHERE symbol_id = ?1 AND last_ns >= ?2 AND first_ns <= ?3 LIMIT 1";
    let removed = if tx.query_one(in_blocks, (id, from, to), |_| Ok(()))?.is_some() {
        let is_kept = |_, row: &Row| !(from..=to).contains(&row.time_ns);
        keep(tx, origins, (id, symbol.into()), is_kept, dry_run)?
    } else {
        let count =
            "SELECT count(*) FROM tick_rows WHERE symbol_id = ?1 AND time_ns BETWEEN ?2 AND ?3";
        let rows: Option<i64> = tx.query_one(count, (id, from, to), |row| Ok(row.get(0)?))?;
        let rows = rows.unwrap_or(0);
        if !dry_run {
            let sql = "DELETE FROM tick_rows WHERE symbol_id = ?1 AND time_ns BETWEEN ?2 AND ?3";
            tx.execute(sql, (id, from, to))?;
            tables::count(tx, -rows)?;
        }
        rows as u64
    };
    if removed == 0 {
        return Ok((0, 0));
    }
    let count = "SELECT count(DISTINCT source_file), coalesce(max(id), 0) FROM migration_log";
    let (files, last) = tx_pair(tx, count, [])?.unwrap_or_default();
    if !dry_run {
        tables::set_removed_after(tx, id, last)?;
    }
    Ok((removed, files as u64))
}

/// Keeps some ticks of a symbol, by their number and values, as blocks; how many others there are.
fn keep(
    tx: &mut WriteTx<'_>,
    origins: &Origins,
    (id, symbol): (i64, Arc<str>),
    is_kept: impl Fn(usize, &Row) -> bool,
    dry_run: bool,
) -> Result<u64> {
    let mut known: Known = tx.take();
    let mut all = Ticks::new(symbol);
    let writing = Writing { tx, known: &mut known, origins };
    writing.read(id, &Span::new(i64::MIN, i64::MAX), &mut all)?;
    let mut kept = Ticks::new(all.symbol.clone());
    let rows = (0..all.len()).map(|i| (i, all.row(i)));
    rows.filter(|(i, row)| is_kept(*i, row)).for_each(|(_, row)| kept.push(&row));
    kept.origins = all.origins.clone();
    let removed = (all.len() - kept.len()) as u64;
    if !dry_run {
        writing.delete_range(id, i64::MIN, i64::MAX)?;
        store_blocks(writing.tx, id, &pack(&kept)?)?;
        tables::count(tx, -(removed as i64))?;
    }
    tx.put(known);
    Ok(removed)
}

struct Writing<'a, 'c> {
    tx: &'a WriteTx<'c>,
    known: &'a mut Known,
    origins: &'a Origins,
}

impl Writing<'_, '_> {
    fn batch(&mut self, batch: &DayBatch) -> Result<Added> {
        if let Some((writer, ordinal)) = batch.watermark {
            if tables::watermark(self.tx, writer)? >= ordinal {
                return Ok(Added::default());
            }
            tables::set_watermark(self.tx, writer, ordinal)?;
        }
        let imported = match &batch.source {
            Some(source) => self.log(source, batch)?,
            None => None,
        };
        let mut arrival = self.known.next_arrival(self.tx)?;
        let mut ids = OriginIds { all: self.origins.all(), ids: Vec::new() };
        let mut added = Added::default();
        for part in &batch.parts {
            if let Some(import) = imported
                && !self.was_removed(&part.symbol, import)?
            {
                continue;
            }
            let known = self.known.symbol(self.tx, &part.symbol)?;
            let rows = &part.rows;
            let in_blocks = match batch.form {
                Form::Rows => false,
                Form::Blocks => true,
                Form::BySize => rows.len() >= BULK_ROWS,
            };
            added += if in_blocks {
                self.load(part, known, batch.rule)?
            } else {
                self.insert(part, known, batch.rule, &mut ids, &mut arrival)?
            };
            let last = rows.iter().map(|row| row.time_ns).max().unwrap_or(i64::MIN);
            if let Some(known) = self.known.symbols.get_mut(&part.symbol) {
                known.last_ns = known.last_ns.max(last);
            }
        }
        if let (Some(import), Some(source)) = (imported, &batch.source) {
            for symbol in &source.symbols {
                if self.was_removed(symbol, import)? {
                    // Behind all removals, so that the next time nothing is stored again.
                    let sql = "UPDATE migration_log SET id = (SELECT max(id) + 1 FROM migration_log) WHERE id = ?1";
                    self.tx.execute(sql, [import])?;
                    break;
                }
            }
        }
        self.known.set_next_arrival(self.tx, arrival)?;
        tables::count(self.tx, added.stored as i64 - added.removed as i64)?;
        Ok(added)
    }

    /// Whether ticks of a symbol were removed after an import.
    fn was_removed(&self, symbol: &str, import: i64) -> Result<bool> {
        Ok(tables::removed_after(self.tx, symbol)? >= Some(import))
    }

    /// Notes an import; the number of the one before if this very file was imported before. Then only symbols are stored of
    /// which ticks were removed since.
    fn log(&self, source: &Source, batch: &DayBatch) -> Result<Option<i64>> {
        let ticks: usize = batch.parts.iter().map(|part| part.rows.len()).sum();
        let sql = "INSERT OR IGNORE INTO migration_log \
            (source_file, target_db, ticks_migrated, migration_time, digest) VALUES (?1, ?2, ?3, ?4, ?5)";
        let now_ms = now_ns().div_euclid(1_000_000);
        let row = (&source.file, &source.target, ticks as i64, now_ms, &source.digest[..]);
        if self.tx.execute(sql, row)? == 1 {
            return Ok(None);
        }
        let sql = "SELECT id FROM migration_log WHERE source_file = ?1 AND digest = ?2";
        self.tx.query_one(sql, (&source.file, &source.digest[..]), |row| Ok(row.get(0)?))
    }

    /// A few ticks: rows.
    fn insert(
        &mut self,
        part: &Arrived,
        symbol: SymbolKnown,
        rule: Rule,
        ids: &mut OriginIds,
        arrival: &mut i64,
    ) -> Result<Added> {
        let rows = &part.rows;
        let first = rows.iter().map(|row| row.time_ns).min().unwrap_or(i64::MAX);
        if rule.keeps_all() {
            let all = rows.iter();
            return self.insert_rows(symbol.id, all, ids, arrival);
        }
        // Beyond what is stored there is nothing to compare with.
        let mut there = Ticks::new(part.symbol.clone());
        let late = symbol.last_ns != i64::MIN && rule.key(first) <= rule.key(symbol.last_ns);
        if late {
            let last = rows.iter().map(|row| row.time_ns).max().unwrap_or(i64::MAX);
            let span = Span::new(rule.span(first).0, rule.span(last).1);
            self.read(symbol.id, &span, &mut there)?;
        }
        let merged = merge(&there, rows, rule)?;
        if merged.added.replaced > 0 && late {
            let replaced = self.delete_rows(symbol.id, rule, rows, &merged)?;
            if !replaced {
                return Ok(self.rewrite(&part.symbol, symbol, rows, rule)?.0);
            }
        }
        let mut taken = merged.taken;
        taken.sort_unstable();
        self.insert_rows(symbol.id, taken.iter().map(|n| &rows[*n]), ids, arrival)?;
        Ok(merged.added)
    }

    /// Removes the rows that give way; false, having removed none, if some of what must go is
    /// compacted.
    fn delete_rows(&self, id: i64, rule: Rule, rows: &[Row], merged: &Merged) -> Result<bool> {
        let spans: Vec<_> = merged.taken.iter().map(|n| rule.span(rows[*n].time_ns)).collect();
        for (from, to) in &spans {
            let sql = "SELECT 1 FROM tick_block \
                WHERE symbol_id = ?1 AND last_ns >= ?2 AND first_ns <= ?3 LIMIT 1";
            if self.tx.query_one(sql, (id, from, to), |_| Ok(()))?.is_some() {
                return Ok(false);
            }
        }
        for (from, to) in spans {
            let sql = "DELETE FROM tick_rows WHERE symbol_id = ?1 AND time_ns BETWEEN ?2 AND ?3";
            self.tx.execute(sql, (id, from, to))?;
        }
        Ok(true)
    }

    fn insert_rows<'r>(
        &mut self,
        id: i64,
        rows: impl Iterator<Item = &'r Row>,
        ids: &mut OriginIds,
        arrival: &mut i64,
    ) -> Result<Added> {
        let created_ms = now_ns().div_euclid(1_000_000);
        let mut statement = self.tx.prepare(
            "INSERT INTO tick_rows VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
             silt_row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9))",
        )?;
        let mut added = Added::default();
        for row in rows {
            let origin = ids.get(row.origin, self.tx, self.known)?;
            let derived = (row.ask - row.bid).to_bits() == row.spread.to_bits();
            let spread = (!derived).then_some(row.spread);
            let (time, bid, ask) = (row.time_ns, row.bid, row.ask);
            let zeros = negative_zeros(row);
            statement.execute((id, time, *arrival, bid, ask, spread, origin, created_ms, zeros))?;
            *arrival += 1;
            added.stored += 1;
        }
        Ok(added)
    }

    /// Many ticks: into blocks, as they are if the file has nothing at their times.
    fn load(&mut self, part: &Arrived, symbol: SymbolKnown, rule: Rule) -> Result<Added> {
        let first = part.packed.as_deref().and_then(|blocks| blocks.first());
        if let (Some(first), Some(blocks)) = (first, part.packed.as_deref())
            && rule.key(first.first_ns) > rule.key(symbol.last_ns)
        {
            store_blocks(self.tx, symbol.id, blocks)?;
            return Ok(Added { stored: part.rows.len() as u64, ..Added::default() });
        }
        Ok(self.rewrite(&part.symbol, symbol, &part.rows, rule)?.0)
    }

    /// Brings new ticks, all rows of their symbol and the blocks that they meet into order, as
    /// blocks. What became of the new ones, and how many rows were moved.
    fn rewrite(
        &mut self,
        name: &Arc<str>,
        symbol: SymbolKnown,
        new: &[Row],
        rule: Rule,
    ) -> Result<(Added, u64)> {
        let id = symbol.id;
        let mut stored = Ticks::new(name.clone());
        let numbers = tables::origins(self.tx, self.origins)?;
        let part = Part { id, origins: self.origins, numbers: &numbers };
        let row_range = "SELECT min(time_ns), max(time_ns) FROM tick_rows WHERE symbol_id = ?1";
        let row_range = self.tx.query_one(row_range, [id], |row| {
            Ok(row.get::<_, Option<i64>>(0)?.zip(row.get::<_, Option<i64>>(1)?))
        })?;
        let times = new.iter().map(|row| row.time_ns);
        let new_range = times.clone().min().zip(times.max());
        let new_range = new_range.map(|(first, last)| (rule.span(first).0, rule.span(last).1));
        let ranges = [row_range.flatten(), new_range];
        let range = ranges.into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let Some((from, to)) = range else { return Ok((Added::default(), 0)) };
        // Blocks first: they were stored before the rows that lie at the same times.
        let (from, to) = whole_blocks(self.tx, id, join_short_block(self.tx, id, from)?, to)?;
        part.read(self.tx, &Span::new(from, to), &mut stored)?;
        stored.origins = self.origins.all();
        let moved = self.delete_range(id, from, to)?;
        let merged = if new.is_empty() {
            Merged { ticks: stored, taken: Vec::new(), added: Added::default() }
        } else {
            merge(&stored, new, rule)?
        };
        store_blocks(self.tx, id, &pack(&merged.ticks)?)?;
        Ok((merged.added, moved))
    }

    /// Removes the blocks that meet a range, and all rows; how many of these.
    fn delete_range(&self, id: i64, from: i64, to: i64) -> Result<u64> {
        let sql =
            "DELETE FROM tick_block WHERE symbol_id = ?1 AND last_ns >= ?2 AND first_ns <= ?3";
        self.tx.execute(sql, (id, from, to))?;
        Ok(self.tx.execute("DELETE FROM tick_rows WHERE symbol_id = ?1", [id])? as u64)
    }

    fn read(&self, id: i64, span: &Span, out: &mut Ticks) -> Result<()> {
        let numbers: HashMap<i64, u32> = tables::origins(self.tx, self.origins)?;
        let part = Part { id, origins: self.origins, numbers: &numbers };
        part.read(self.tx, span, out)?;
        out.origins = self.origins.all();
        Ok(())
    }
}

/// Which of the prices are -0.0; `None` if none is.
fn negative_zeros(row: &Row) -> Option<i64> {
    let bit = |x: f64, bit: i64| if x == 0.0 && x.is_sign_negative() { bit } else { 0 };
    let bits = bit(row.bid, 1) | bit(row.ask, 2) | bit(row.spread, 4);
    (bits != 0).then_some(bits)
}

/// Inserts blocks, in place of those that were removed before.
pub(super) fn store_blocks(tx: &WriteTx<'_>, id: i64, blocks: &[Packed]) -> Result<()> {
    let sql = "INSERT INTO tick_block \
        (symbol_id, first_ns, last_ns, rows, min_bid, max_bid, kept, checksum, data, row_sum) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, silt_row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8))";
    for block in blocks {
        let (first, last, rows) = (block.first_ns, block.last_ns, block.rows as i64);
        let (kept, sum) = (block.kept.name(), block.checksum());
        let (min_bid, max_bid) = (block.min_bid, block.max_bid);
        tx.insert(sql, (id, first, last, rows, min_bid, max_bid, kept, sum, &block.data))?;
    }
    tx.fit_names(&super::STORE).map(drop)
}

/// The block before, if it is short: so that late ticks do not leave many small blocks.
pub(super) fn join_short_block(tx: &ReadTx<'_>, id: i64, from: i64) -> Result<i64> {
    let sql = "SELECT first_ns, rows FROM tick_block \
        WHERE symbol_id = ?1 AND last_ns < ?2 ORDER BY last_ns DESC, first_ns DESC LIMIT 1";
    let before = tx_pair(tx, sql, (id, from))?;
    Ok(match before {
        Some((first, rows)) if rows < SHORT_ROWS as i64 => first,
        _ => from,
    })
}

/// A range made so wide that it cuts no block.
pub(super) fn whole_blocks(
    tx: &ReadTx<'_>,
    id: i64,
    mut from: i64,
    mut to: i64,
) -> Result<(i64, i64)> {
    let sql = "SELECT coalesce(min(first_ns), ?2), coalesce(max(last_ns), ?3) FROM tick_block \
        WHERE symbol_id = ?1 AND last_ns >= ?2 AND first_ns <= ?3";
    loop {
        let met = tx_pair(tx, sql, (id, from, to))?.unwrap_or((from, to));
        let wider = (met.0.min(from), met.1.max(to));
        // Again, since blocks may share a time at their borders.
        if wider == (from, to) {
            return Ok(wider);
        }
        (from, to) = wider;
    }
}

fn tx_pair(
    tx: &ReadTx<'_>,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Option<(i64, i64)>> {
    tx.query_one(sql, params, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The file's ids of the store's origins, looked up once a batch.
struct OriginIds {
    all: Arc<Vec<Origin>>,
    ids: Vec<Option<i64>>,
}

impl OriginIds {
    fn get(&mut self, number: u32, tx: &WriteTx<'_>, known: &mut Known) -> Result<i64> {
        let number = number as usize;
        if let Some(Some(id)) = self.ids.get(number) {
            return Ok(*id);
        }
        let id = known.origin(tx, &self.all[number])?;
        self.ids.resize(self.ids.len().max(number + 1), None);
        self.ids[number] = Some(id);
        Ok(id)
    }
}
