//! Reads: ring, queue, day files and blocks as one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::calendar::Day;
use super::json_days;
use super::merge::{Rule, merge};
use super::part::{Part, Span};
use super::store::TickStore;
use super::symbols::Symbol;
use super::tables;
use super::tick::{LastTick, Row, Ticks, Wanted, check_symbol};
use super::writer::{Shared, get};
use crate::error::Result;
use crate::kernel::{ReadTx, check_interrupted, together};

/// Days in a range up to which each is looked for by name; beyond, the folders are listed.
const FEW_DAYS: i64 = 40;
/// Days that are read at once, by several threads.
pub(super) const DAYS_AT_ONCE: usize = 16;
/// Ticks in one step of a read that goes on in steps.
pub(super) const STEP: usize = 64 << 10;

/// What is looked for: a symbol, whether memory knows it or not.
pub(super) struct Target {
    pub(super) name: Arc<str>,
    symbol: Option<Arc<Symbol>>,
}

/// Where a read in steps goes on: at this time, after so many ticks of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    pub(super) time_ns: i64,
    pub(super) skip: usize,
}

impl Cursor {
    /// Behind these ticks, which were read from here on; `None` behind none.
    pub(super) fn behind(self, ticks: &Ticks) -> Option<Cursor> {
        let last = *ticks.time_ns.last()?;
        let first = ticks.time_ns.partition_point(|time| *time < last);
        let before = if first == 0 && last == self.time_ns { self.skip } else { 0 };
        Some(Cursor { time_ns: last, skip: before + ticks.len() - first })
    }
}

impl Shared {
    pub(super) fn target(&self, symbol: &str) -> Result<Target> {
        check_symbol(symbol)?;
        let symbol_known = self.symbols.get(symbol);
        let name = symbol_known.as_ref().map_or_else(|| symbol.into(), |known| known.name.clone());
        Ok(Target { name, symbol: symbol_known })
    }

    fn pending(&self, target: &Target, day: Day) -> Vec<(u64, Row)> {
        let Some(symbol) = &target.symbol else { return Vec::new() };
        let number = symbol.number;
        let wanted = self
            .queue
            .pending(|queued| queued.symbol == number && Day::of(queued.row.time_ns) == day);
        wanted.into_iter().map(|(ordinal, queued)| (ordinal, queued.row)).collect()
    }

    /// Whether rings may hold ticks that are neither on the disk nor in the queue: dropped, lost or spilled ones.
    fn rings_hold_more(&self) -> bool {
        let counters = &self.counters;
        self.dropped.load(Ordering::Relaxed)
            || get(&counters.lost) > 0
            || get(&counters.spilled) > get(&counters.recovered)
    }

    /// The ticks of a symbol in its ring, of a span, if reads need them: every read is to see what the ring holds.
    fn in_ring(&self, target: &Target, from_ns: i64, to_ns: i64) -> Vec<Row> {
        let Some(symbol) = target.symbol.as_ref().filter(|_| self.rings_hold_more()) else {
            return Vec::new();
        };
        symbol.lock().ring.between(from_ns, to_ns).copied().collect()
    }

    /// The ticks of one day within a span, and whether there are more behind its limit.
    pub(super) fn read_day(&self, target: &Target, day: Day, span: Span) -> Result<(Ticks, bool)> {
        self.read_day_into(target, day, span, Ticks::new(target.name.clone()))
    }

    /// As [`read_day`](Self::read_day), in the memory of ticks that are needed no more.
    fn read_day_into(
        &self,
        target: &Target,
        day: Day,
        span: Span,
        mut ticks: Ticks,
    ) -> Result<(Ticks, bool)> {
        ticks.clear();
        // What waits comes first: what is committed in between is then seen twice, and told apart.
        let mut pending = self.pending(target, day);
        let (from_ns, to_ns) = (span.from_ns.max(day.first_ns()), span.to_ns.min(day.last_ns()));
        pending.retain(|(_, row)| (from_ns..=to_ns).contains(&row.time_ns));
        let ring = self.in_ring(target, from_ns, to_ns);
        let is_plain = pending.is_empty() && ring.is_empty();
        let wanted = if is_plain { span.wanted } else { Wanted::All };
        let skip = if from_ns == span.from_ns { span.skip } else { 0 };
        // What the ring holds is compared with all of its times.
        let skip_late = if ring.is_empty() { 0 } else { skip };
        let (skip, limit) = (skip - skip_late, span.limit.saturating_add(skip_late));
        let span = Span { from_ns, to_ns, skip, limit, wanted };
        let (mut more, watermark) =
            self.on_disk(target, day, &mut ticks, |part, tx, out| part.read(tx, &span, out))?;
        if self.days.is_none() {
            let keep = ticks.time_ns.partition_point(|time| *time <= to_ns);
            let first = ticks.time_ns.partition_point(|time| *time < from_ns);
            let mut within = Ticks::new(target.name.clone());
            within.extend(&ticks, first..keep, Wanted::All);
            within.remove_first(span.skip);
            ticks = within;
            more = false;
        }
        let end = if more { ticks.time_ns.last().copied().unwrap_or(i64::MIN) } else { i64::MAX };
        let rows: Vec<Row> = pending
            .into_iter()
            .filter(|(ordinal, row)| *ordinal > watermark && row.time_ns < end)
            .map(|(_, row)| row)
            .collect();
        if !rows.is_empty() {
            ticks = merge(&ticks, &rows, self.rule(false))?.ticks;
        }
        if !ring.is_empty() {
            let ring: Vec<Row> = ring.into_iter().filter(|row| row.time_ns < end).collect();
            let missing = merge(&ticks, &ring, Rule::Missing)?.taken;
            let missing: Vec<Row> = missing.into_iter().map(|i| ring[i]).collect();
            ticks = ordered_as(&ring, &merge(&ticks, &missing, self.rule(false))?.ticks);
            ticks.remove_first(skip_late);
        }
        Ok((ticks, more))
    }

    /// Whether what the disk has of a day is all there is, in its own file.
    pub(super) fn is_on_disk_alone(
        &self,
        target: &Target,
        day: Day,
        (from_ns, to_ns): (i64, i64),
    ) -> bool {
        self.days.is_some()
            && self.pending(target, day).is_empty()
            && self.in_ring(target, from_ns, to_ns).is_empty()
    }

    /// Runs `work` on what the disk has of a day, and says up to which ordinal that is.
    pub(super) fn on_disk(
        &self,
        target: &Target,
        day: Day,
        out: &mut Ticks,
        work: impl FnOnce(&Part<'_>, &ReadTx<'_>, &mut Ticks) -> Result<bool>,
    ) -> Result<(bool, u64)> {
        let Some(days) = &self.days else {
            let Some(json) = &self.json else { return Ok((false, 0)) };
            let (rows, watermark) = json.read(&target.name, day, &self.origins)?;
            *out = json_days::sorted(&target.name, rows, i64::MIN, i64::MAX);
            return Ok((false, watermark));
        };
        let Some(db) = days.reader(day)? else { return Ok((false, 0)) };
        db.read(|tx| {
            if !tables::are_there(tx)? {
                return Ok((false, 0));
            }
            let watermark = tables::watermark(tx, self.writer)?;
            let Some(id) = tables::symbol_id(tx, &target.name)? else {
                return Ok((false, watermark));
            };
            let numbers = tables::origins(tx, &self.origins)?;
            let part = Part { id, origins: &self.origins, numbers: &numbers };
            Ok((work(&part, tx, out)?, watermark))
        })
    }

    /// The days of a range that may hold ticks, rising.
    pub(super) fn days_between(
        &self,
        target: &Target,
        from_ns: i64,
        to_ns: i64,
    ) -> Result<Vec<Day>> {
        if from_ns > to_ns {
            return Ok(Vec::new());
        }
        let (first, last) = (Day::of(from_ns), Day::of(to_ns));
        if last.0 - first.0 <= FEW_DAYS {
            return Ok((first.0..=last.0).map(Day).collect());
        }
        let mut days = match (&self.days, &self.json) {
            (Some(days), _) => days.list()?,
            (None, Some(json)) => json.days(&target.name)?,
            (None, None) => Vec::new(),
        };
        if let Some(symbol) = &target.symbol {
            let number = symbol.number;
            let waiting = self.queue.pending(|queued| queued.symbol == number);
            days.extend(waiting.iter().map(|(_, queued)| Day::of(queued.row.time_ns)));
            let ring = self.in_ring(target, from_ns, to_ns);
            days.extend(ring.iter().map(|row| Day::of(row.time_ns)));
            days.sort_unstable();
            days.dedup();
        }
        days.retain(|day| (first..=last).contains(day));
        Ok(days)
    }

    /// Calls `each` for the ticks of a range, rising, some ten thousand at a time; `each` says whether it
    /// wants more.
    pub(super) fn for_each(
        &self,
        target: &Target,
        from_ns: i64,
        to_ns: i64,
        wanted: Wanted,
        each: impl FnMut(&Ticks) -> Result<bool>,
    ) -> Result<()> {
        let days = self.days_between(target, from_ns, to_ns)?;
        self.for_each_of(&days, target, from_ns, to_ns, wanted, each)
    }

    /// As [`for_each`](Self::for_each), of these days.
    pub(super) fn for_each_of(
        &self,
        days: &[Day],
        target: &Target,
        from_ns: i64,
        to_ns: i64,
        wanted: Wanted,
        mut each: impl FnMut(&Ticks) -> Result<bool>,
    ) -> Result<()> {
        let mut ticks = Ticks::new(target.name.clone());
        for day in days.iter().copied() {
            let mut cursor = Some(Cursor { time_ns: from_ns.max(day.first_ns()), skip: 0 });
            while let Some(at) = cursor {
                (ticks, cursor) = self.step(target, day, at, to_ns, wanted, ticks)?;
                if !ticks.is_empty() && !each(&ticks)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The next ticks of a day, in the memory of those before, and where to go on.
    pub(super) fn step(
        &self,
        target: &Target,
        day: Day,
        at: Cursor,
        to_ns: i64,
        wanted: Wanted,
        before: Ticks,
    ) -> Result<(Ticks, Option<Cursor>)> {
        let span = Span { from_ns: at.time_ns, to_ns, skip: at.skip, limit: STEP, wanted };
        let (ticks, more) = self.read_day_into(target, day, span, before)?;
        let next = if more { at.behind(&ticks) } else { None };
        Ok((ticks, next))
    }

    pub(super) fn range(&self, target: &Target, from_ns: i64, to_ns: i64) -> Result<Ticks> {
        let mut all = Ticks::new(target.name.clone());
        let read = |day: &Day| self.read_day(target, *day, Span::new(from_ns, to_ns));
        for days in self.days_between(target, from_ns, to_ns)?.chunks(DAYS_AT_ONCE) {
            for read in together(days, 1, read) {
                let (ticks, _) = read?;
                if all.is_empty() {
                    all = ticks;
                } else {
                    all.extend(&ticks, 0..ticks.len(), Wanted::All);
                }
            }
            check_interrupted("reading ticks")?;
        }
        all.origins = self.origins.all();
        Ok(all)
    }

    /// The last `n` ticks up to a time.
    pub(super) fn last(&self, target: &Target, n: usize, to_ns: i64) -> Result<Ticks> {
        let first = target.symbol.as_ref().filter(|_| self.rings_hold_more());
        let first = first.and_then(|symbol| symbol.lock().ring.first_ns());
        let Some(first) = first.filter(|first| *first <= to_ns) else {
            return self.last_stored(target, n, to_ns);
        };
        let mut high = self.range(target, first, to_ns)?;
        if high.len() >= n || first == i64::MIN {
            high.keep_last(n);
            return Ok(high);
        }
        let mut all = self.last_stored(target, n - high.len(), first - 1)?;
        all.extend(&high, 0..high.len(), Wanted::All);
        all.origins = self.origins.all();
        Ok(all)
    }

    /// The last `n` ticks up to a time, from queue and disk.
    fn last_stored(&self, target: &Target, n: usize, to_ns: i64) -> Result<Ticks> {
        let mut parts: Vec<Ticks> = Vec::new();
        let mut count = 0;
        for day in self.days_between(target, i64::MIN, to_ns)?.into_iter().rev() {
            if count >= n {
                break;
            }
            let mut pending = self.pending(target, day);
            pending.retain(|(_, row)| row.time_ns <= to_ns);
            let mut ticks = Ticks::new(target.name.clone());
            let (_, watermark) = self.on_disk(target, day, &mut ticks, |part, tx, out| {
                part.last(tx, n - count, to_ns, out)?;
                Ok(false)
            })?;
            if self.days.is_none() {
                let end = ticks.time_ns.partition_point(|time| *time <= to_ns);
                let mut within = Ticks::new(target.name.clone());
                within.extend(&ticks, 0..end, Wanted::All);
                ticks = within;
            }
            let rows: Vec<Row> =
                pending.into_iter().filter(|p| p.0 > watermark).map(|(_, row)| row).collect();
            if !rows.is_empty() {
                ticks = merge(&ticks, &rows, self.rule(false))?.ticks;
            }
            count += ticks.len();
            parts.push(ticks);
        }
        let mut all = Ticks::new(target.name.clone());
        for part in parts.iter().rev() {
            all.extend(part, 0..part.len(), Wanted::All);
        }
        all.keep_last(n);
        all.origins = self.origins.all();
        Ok(all)
    }

    /// What was stored last, into the rings, when the store is opened.
    pub(super) fn fill_rings(&self, day: Day) -> Result<()> {
        /// Ticks of each symbol that are read back.
        const FILL: usize = 1_000;
        let Some(days) = &self.days else { return Ok(()) };
        let only_day = days.list()?.len() == 1;
        let Some(db) = days.reader(day)? else { return Ok(()) };
        let symbols = db
            .read(|tx| if tables::are_there(tx)? { tables::symbols(tx) } else { Ok(Vec::new()) })?;
        let n = FILL.min(self.config.max_ticks_per_symbol);
        for (_, name) in symbols {
            let target = Target { name: name.clone(), symbol: None };
            let mut ticks = Ticks::new(name.clone());
            self.on_disk(&target, day, &mut ticks, |part, tx, out| {
                part.last(tx, n, i64::MAX, out)?;
                Ok(false)
            })?;
            let all = only_day && ticks.len() < n;
            self.symbols.with(&name, &self.config, self.bars_from_ns(), |symbol| {
                let mut state = symbol.lock();
                state.complete = true;
                state.ring.fill((0..ticks.len()).map(|i| ticks.row(i)), all);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Ticks of which those of one time come in the order of the ring, which is that of their arrival; what the ring has
/// not comes before its first ones and behind the others.
fn ordered_as(ring: &[Row], ticks: &Ticks) -> Ticks {
    let mut ordered = Ticks::new(ticks.symbol.clone());
    ordered.origins = ticks.origins.clone();
    let rows: Vec<Row> = (0..ticks.len()).map(|i| ticks.row(i)).collect();
    for group in rows.chunk_by(|a, b| a.time_ns == b.time_ns) {
        let time = group[0].time_ns;
        let first = ring.partition_point(|row| row.time_ns < time);
        let end = ring.partition_point(|row| row.time_ns <= time);
        let mut others = group.to_vec();
        let find = |row: &Row, others: &[Row]| others.iter().position(|other| other.is_same(row));
        let mut known = Vec::new();
        if group.len() > 1 {
            for row in &ring[first..end] {
                known.extend(find(row, &others).map(|i| others.remove(i)));
            }
        }
        let parts = if first == 0 { [others, known] } else { [known, others] };
        parts.iter().flatten().for_each(|row| ordered.push(row));
    }
    ordered
}

impl TickStore {
    /// The last `n` ticks of a symbol, rising in time; fewer if there are fewer, none for an unknown
    /// symbol. From memory, if it holds them.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a symbol that is none; what the disk says.
    pub fn get_recent_ticks(&self, symbol: &str, n: usize) -> Result<Ticks> {
        let shared = &*self.shared;
        let target = shared.target(symbol)?;
        if let Some(symbol) = &target.symbol {
            let state = symbol.lock();
            let enough = state
                .ring
                .time_from_end(n)
                .is_some_and(|time| state.complete || time >= shared.horizon_ns);
            if enough {
                let mut ticks = Ticks::new(target.name.clone());
                state.ring.last(n).for_each(|row| ticks.push(row));
                drop(state);
                ticks.origins = shared.origins.all();
                return Ok(ticks);
            }
        }
        shared.last(&target, n, i64::MAX)
    }

    /// The last tick of a symbol.
    ///
    /// # Errors
    /// As [`get_recent_ticks`](Self::get_recent_ticks).
    pub fn last(&self, symbol: &str) -> Result<Option<LastTick>> {
        let ticks = self.get_recent_ticks(symbol, 1)?;
        Ok(ticks.last().map(|tick| LastTick::of(&tick)))
    }

    /// The ticks of a symbol from one time to another, both inclusive, rising, over as many days as there
    /// are.
    ///
    /// # Errors
    /// As [`get_recent_ticks`](Self::get_recent_ticks), and
    /// [`Error::Corrupt`](crate::Error::Corrupt) if a block is damaged.
    pub fn get_ticks_in_range(&self, symbol: &str, from_ns: i64, to_ns: i64) -> Result<Ticks> {
        let shared = &*self.shared;
        shared.range(&shared.target(symbol)?, from_ns, to_ns)
    }

    /// All symbols that have ticks, in memory or on the disk, in the order of their bytes.
    ///
    /// # Errors
    /// What the disk says.
    pub fn symbols(&self) -> Result<Vec<String>> {
        self.symbols_between(i64::MIN, i64::MAX)
    }

    /// The symbols of the days that a range touches, and those that are in memory.
    pub(super) fn symbols_between(&self, from_ns: i64, to_ns: i64) -> Result<Vec<String>> {
        let range = Day::of(from_ns)..=Day::of(to_ns);
        let shared = &*self.shared;
        let mut found: Vec<String> =
            shared.symbols.all().iter().map(|symbol| symbol.name.to_string()).collect();
        if let Some(days) = &shared.days {
            for day in days.list()?.into_iter().filter(|day| range.contains(day)) {
                let Some(db) = days.reader(day)? else { continue };
                let there = db.read(|tx| {
                    if tables::are_there(tx)? { tables::symbols(tx) } else { Ok(Vec::new()) }
                })?;
                found.extend(there.into_iter().map(|(_, symbol)| symbol.to_string()));
            }
        } else if let Some(json) = &shared.json {
            found.extend(json.symbols()?);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}
