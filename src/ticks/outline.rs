//! Ticks for a picture: in place of ticks that lie in one column of it, their outline.
//!
//! Of a piece of a block that was unpacked once its outline is remembered, so that the next picture unpacks only the pieces
//! that meet the edge of a column.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::ohlc::{Bars, OhlcOptions};
use super::packed::{Stored, unpack};
use super::part::Part;
use super::read::{Cursor, Target};
use super::store::TickStore;
use super::tick::{Ticks, Wanted};
use super::writer::Shared;
use crate::array::extremes;
use crate::error::Result;
use crate::kernel::ReadTx;
use crate::ticks::{Bar, Price};

/// A quote of an [`Outline`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quote {
    /// Its number among the ticks of the outline, from 0.
    pub number: u32,
    /// ns since 1970-01-01 UTC.
    pub time_ns: i64,
    /// The bid.
    pub bid: f64,
    /// The ask.
    pub ask: f64,
}

/// What is left of neighbouring ticks of one symbol where they are drawn at one place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outline {
    /// The number of ticks, at least 1.
    pub ticks: u32,
    /// The first tick and the last one.
    pub ends: [Quote; 2],
    /// The first tick with the lowest bid, and the first with the highest one.
    pub bids: [Quote; 2],
    /// The first tick with the lowest ask, and the first with the highest one.
    pub asks: [Quote; 2],
    /// The lowest and the highest middle of bid and ask.
    pub middles: [f64; 2],
}

impl Outline {
    /// Of ticks, at least one, without NaN.
    fn of(time_ns: &[i64], bid: &[f64], ask: &[f64]) -> Self {
        let quote =
            |i: usize| Quote { number: i as u32, time_ns: time_ns[i], bid: bid[i], ask: ask[i] };
        let places = |prices: &[f64]| extremes(prices).unwrap_or_default();
        let [bids, asks] = [bid, ask].map(|prices| places(prices).map(quote));
        let middles: Vec<f64> = bid.iter().zip(ask).map(|(bid, ask)| (bid + ask) / 2.0).collect();
        let middles = places(&middles).map(|at| middles[at]);
        let ends = [quote(0), quote(time_ns.len() - 1)];
        Outline { ticks: time_ns.len() as u32, ends, bids, asks, middles }
    }

    /// Open, high, low and close of one of the prices.
    pub(super) fn ohlc(&self, price: Price) -> [f64; 4] {
        let [first, last] = self.ends.map(|quote| match price {
            Price::Mid => (quote.bid + quote.ask) / 2.0,
            Price::Bid => quote.bid,
            Price::Ask => quote.ask,
        });
        let [low, high] = match price {
            Price::Mid => self.middles,
            Price::Bid => self.bids.map(|quote| quote.bid),
            Price::Ask => self.asks.map(|quote| quote.ask),
        };
        [first, high, low, last]
    }
}

/// Outlines that are remembered, by what their blocks hold: they outlive the store, and serve any that has these blocks.
#[derive(Debug, Default)]
pub struct Outlines {
    known: Mutex<HashMap<Vec<u8>, Pieces>>,
}

/// Of each piece of a block, if it is known.
type Pieces = Arc<[Option<Outline>]>;

/// The most blocks that are remembered: 64 MB.
const MOST_BLOCKS: usize = 64 << 10;

impl Outlines {
    fn of(&self, block: &[u8]) -> Option<Pieces> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(block).cloned()
    }

    fn remember(&self, block: &[u8], outlines: Vec<Option<Outline>>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_BLOCKS {
            known.clear();
        }
        known.insert(block.to_vec(), outlines.into());
    }
}

/// What a picture is made of, in the order of time.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Stretch<'a> {
    /// Ticks: times, bids and asks.
    Ticks(&'a [i64], &'a [f64], &'a [f64]),
    /// What is left of ticks that are one to whoever asks.
    Outline(&'a Outline),
}

/// Which ticks are drawn, and what is one place of the picture.
#[derive(Clone, Copy)]
pub struct Drawn<'a> {
    /// The first time.
    pub from_ns: i64,
    /// The last time.
    pub to_ns: i64,
    /// Whether neighbouring ticks, of this first and this last time, are drawn at one place.
    pub is_one: &'a dyn Fn(i64, i64) -> bool,
    /// The outlines of earlier pictures.
    pub known: &'a Outlines,
}

impl std::fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Drawn { from_ns, to_ns, .. } = self;
        f.debug_struct("Drawn")
            .field("from_ns", from_ns)
            .field("to_ns", to_ns)
            .finish_non_exhaustive()
    }
}

/// How ticks are gathered: which are one to whoever asks, and what takes them.
struct Gather<'a> {
    known: &'a Outlines,
    is_one: &'a dyn Fn(i64, i64) -> bool,
    take: &'a mut dyn FnMut(Stretch<'_>) -> Result<()>,
}

impl Part<'_> {
    /// The ticks of the blocks from one time to another.
    fn outline(
        &self,
        tx: &ReadTx<'_>,
        (from, to): (i64, i64),
        gather: &mut Gather<'_>,
    ) -> Result<()> {
        let whole = tx.whole("tick_block", "b")?;
        let mut heads = tx.prepare(&format!(
            "SELECT id, first_ns, last_ns, checksum FROM tick_block b WHERE {whole} AND symbol_id IS ?1 \
                AND last_ns >= ?2 AND first_ns <= ?3 ORDER BY last_ns, first_ns, id"
        ))?;
        let mut data = tx.prepare("SELECT kept, data FROM tick_block WHERE id = ?1")?;
        let mut heads = heads.query((self.id, from, to))?;
        while let Some(head) = heads.next()? {
            let (id, first, last): (i64, i64, i64) = (head.get(0)?, head.get(1)?, head.get(2)?);
            let checksum = head.get_ref(3)?.as_blob().unwrap_or_default();
            let known = gather.known.of(checksum);
            if let Some(known) = &known
                && first >= from
                && last <= to
                && (gather.is_one)(first, last)
                && known.iter().all(Option::is_some)
            {
                for outline in known.iter().flatten() {
                    (gather.take)(Stretch::Outline(outline))?;
                }
                continue;
            }
            let mut block = data.query([id])?;
            let Some(row) = block.next()? else { continue };
            let kept = row.get_ref(0)?.as_str().unwrap_or_default();
            let stored = Stored::open(id, kept, row.get_ref(1)?.as_blob().unwrap_or_default())?;
            let found = self.outline_pieces(stored, (from, to), known.as_deref(), gather)?;
            if let Some(found) = found {
                gather.known.remember(checksum, found);
            }
        }
        Ok(())
    }

    /// The ticks of one block; its outlines, if some are new.
    fn outline_pieces(
        &self,
        stored: Stored,
        (from, to): (i64, i64),
        known: Option<&[Option<Outline>]>,
        gather: &mut Gather<'_>,
    ) -> Result<Option<Vec<Option<Outline>>>> {
        let pieces = stored.pieces()?;
        let mut found = known.map_or_else(|| vec![None; pieces.len()], <[_]>::to_vec);
        let same = gather.is_one;
        let is_one = |least, greatest| least >= from && greatest <= to && same(least, greatest);
        // All that is needed at once: a column may be one piece of the whole block.
        let needed = pieces.iter().zip(&found).filter(|((_, least, greatest), outline)| {
            *greatest >= from && *least <= to && !(outline.is_some() && is_one(*least, *greatest))
        });
        let needed = needed.map(|((rows, ..), _)| rows.clone()).reduce(|a, b| a.start..b.end);
        let needed = needed.unwrap_or(0..0);
        let mut ticks = Ticks::new("".into());
        if !needed.is_empty() {
            stored.times(needed.clone(), &mut ticks.time_ns)?;
            let chosen = [(stored, needed.clone())];
            unpack(&chosen, Wanted::Prices, self.origins, &mut ticks)?;
        }
        let mut is_new = false;
        for ((rows, least, greatest), outline) in pieces.into_iter().zip(&mut found) {
            if greatest < from || least > to {
                continue;
            }
            let is_one = is_one(least, greatest);
            if let Some(outline) = outline.as_ref().filter(|_| is_one) {
                (gather.take)(Stretch::Outline(outline))?;
                continue;
            }
            let rows = rows.start - needed.start..rows.end - needed.start;
            let time_ns = &ticks.time_ns[rows.clone()];
            let (bid, ask) = (&ticks.bid[rows.clone()], &ticks.ask[rows]);
            // One that a NaN is in, which no writer of ours takes, stays what it is.
            let has_nan = || {
                [bid, ask]
                    .iter()
                    .any(|prices| prices.iter().fold(false, |nan, price| nan | price.is_nan()))
            };
            if outline.is_none() && !has_nan() {
                *outline = Some(Outline::of(time_ns, bid, ask));
                is_new = true;
            }
            match outline.as_ref().filter(|_| is_one) {
                Some(outline) => (gather.take)(Stretch::Outline(outline))?,
                None => {
                    let first = time_ns.partition_point(|time| *time < from);
                    let end = time_ns.partition_point(|time| *time <= to);
                    let part = first..end;
                    let (time_ns, bid) = (&time_ns[part.clone()], &bid[part.clone()]);
                    (gather.take)(Stretch::Ticks(time_ns, bid, &ask[part]))?;
                }
            }
        }
        Ok(is_new.then_some(found))
    }

    /// The first time from one on that a row has, up to another.
    fn first_row(&self, tx: &ReadTx<'_>, (from, to): (i64, i64)) -> Result<Option<i64>> {
        let sql =
            "SELECT min(time_ns) FROM tick_rows WHERE symbol_id = ?1 AND time_ns BETWEEN ?2 AND ?3";
        Ok(tx
            .query_one(sql, (self.id, from, to), |row| Ok(row.get::<_, Option<i64>>(0)?))?
            .flatten())
    }
}

impl Shared {
    /// As [`for_each`](Self::for_each): outlines of what lies in blocks, and ticks from the first one on that does not.
    fn outline(
        &self,
        target: &Target,
        (from_ns, to_ns): (i64, i64),
        gather: &mut Gather<'_>,
    ) -> Result<()> {
        for day in self.days_between(target, from_ns, to_ns)? {
            let (from, to) = (from_ns.max(day.first_ns()), to_ns.min(day.last_ns()));
            let mut plain_from = Some(from);
            if self.is_on_disk_alone(target, day, (from, to)) {
                self.on_disk(target, day, &mut Ticks::new("".into()), |part, tx, _| {
                    plain_from = part.first_row(tx, (from, to))?;
                    let until = plain_from.map_or(Some(to), |first| first.checked_sub(1));
                    if let Some(until) = until.filter(|until| *until >= from) {
                        part.outline(tx, (from, until), gather)?;
                    }
                    Ok(false)
                })?;
            }
            let mut cursor = plain_from.map(|time_ns| Cursor { time_ns, skip: 0 });
            let mut ticks = Ticks::new(target.name.clone());
            while let Some(at) = cursor {
                (ticks, cursor) = self.step(target, day, at, to, Wanted::Prices, ticks)?;
                (gather.take)(Stretch::Ticks(&ticks.time_ns, &ticks.bid, &ticks.ask))?;
            }
        }
        Ok(())
    }
}

impl TickStore {
    /// The ticks of a symbol, rising, for a picture: of those that are drawn at one place `take` may get the outline in place
    /// of each. A picture of many ticks unpacks only those that lie at the edge of a place, once the others are known.
    ///
    /// # Errors
    /// As [`get_ticks_in_range`](Self::get_ticks_in_range), and what `take` says.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// use siltstone::ticks::{Drawn, Outlines, Stretch, TickStore, TickStoreConfig};
    ///
    /// let sqlite_base_path = folder.path().join("ticks");
    /// let config = TickStoreConfig { sqlite_base_path, ..TickStoreConfig::production("broker") };
    /// let store = TickStore::new(config)?;
    /// for time_ns in 0..1_000 {
    ///     store.store_tick("EURUSD", 1.0850, 1.0852, 0.0002, "LP", time_ns)?;
    /// }
    /// let mut ticks = 0;
    /// let known = Outlines::default();
    /// let drawn = Drawn { from_ns: 0, to_ns: 999, is_one: &|_, _| true, known: &known };
    /// store.outline("EURUSD", drawn, &mut |stretch| {
    ///     ticks += match stretch {
    ///         Stretch::Outline(outline) => outline.ticks as usize,
    ///         Stretch::Ticks(times, ..) => times.len(),
    ///         _ => 0,
    ///     };
    ///     Ok(())
    /// })?;
    /// assert_eq!(ticks, 1_000);
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn outline(
        &self,
        symbol: &str,
        drawn: Drawn<'_>,
        take: &mut dyn FnMut(Stretch<'_>) -> Result<()>,
    ) -> Result<()> {
        let Drawn { from_ns, to_ns, is_one, known } = drawn;
        let target = self.shared.target(symbol)?;
        self.shared.outline(&target, (from_ns, to_ns), &mut Gather { known, is_one, take })
    }

    /// The bars of [`ohlc`](Self::ohlc), from outlines where a bar has many ticks.
    ///
    /// # Errors
    /// As [`ohlc`](Self::ohlc).
    pub fn ohlc_outlined(
        &self,
        symbol: &str,
        interval_ns: i64,
        options: OhlcOptions,
        known: &Outlines,
    ) -> Result<Vec<Bar>> {
        let OhlcOptions { from_ns, to_ns, .. } = options;
        let mut bars = Bars::new(interval_ns, options)?;
        let is_one = |first, last| bars_are_one(first, last, interval_ns, options.origin_ns);
        let mut take = |stretch: Stretch<'_>| match stretch {
            Stretch::Ticks(times, bid, ask) => bars.add(times, bid, ask),
            Stretch::Outline(outline) => bars.add_outline(outline),
        };
        self.outline(symbol, Drawn { from_ns, to_ns, is_one: &is_one, known }, &mut take)?;
        Ok(bars.bars)
    }
}

fn bars_are_one(first: i64, last: i64, interval_ns: i64, origin_ns: i64) -> bool {
    super::bars::bucket(first, interval_ns, origin_ns)
        == super::bars::bucket(last, interval_ns, origin_ns)
}
