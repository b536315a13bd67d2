//! Many ticks at once, by column.

use std::collections::HashMap;
use std::sync::Arc;

use super::calendar::Day;
use super::packed::pack;
use super::tick::{Origins, Row, Ticks, check_prices, check_symbol};
use super::write::{Arrived, BULK_ROWS};
use super::writer::Shared;
use crate::error::{Error, Result};
use crate::kernel::together;

/// A name for each tick.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Names<'a> {
    /// One for all.
    One(&'a str),
    /// Each its own.
    Each(&'a [&'a str]),
    /// By its index in a list, as in a dictionary array of Arrow.
    Coded(&'a [u32], &'a [&'a str]),
}

impl<'a> Names<'a> {
    /// The name of one tick.
    fn get(&self, i: usize) -> &'a str {
        match self {
            Names::One(name) => name,
            Names::Each(names) => names[i],
            Names::Coded(codes, names) => names[codes[i] as usize],
        }
    }

    fn check(&self, what: &str, n: usize) -> Result<()> {
        let length = |got: usize| {
            if got == n {
                return Ok(());
            }
            Err(Error::invalid(what, format!("{n} of them, as of the times"), got.to_string()))
        };
        match self {
            Names::One(_) => Ok(()),
            Names::Each(names) => length(names.len()),
            Names::Coded(codes, names) => {
                length(codes.len())?;
                match codes.iter().find(|code| **code as usize >= names.len()) {
                    None => Ok(()),
                    Some(code) => {
                        let expected = format!("numbers below {}", names.len());
                        Err(Error::invalid(what, expected, code.to_string()))
                    }
                }
            }
        }
    }
}

/// Many ticks, by column, in the order of their arrival: any symbols, days and order of times.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use siltstone::ticks::{TickBatch, TickStore, TickStoreConfig};
///
/// let store = TickStore::new(TickStoreConfig {
///     sqlite_base_path: folder.path().join("db"),
///     ..TickStoreConfig::production("BROKER-001")
/// })?;
/// let batch = TickBatch::new("EURUSD", &[0, 1_000_000], &[1.0850, 1.0851], &[1.0852, 1.0853]);
/// assert_eq!(store.store_ticks(&batch)?.written, 2);
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TickBatch<'a> {
    /// The symbol of each tick.
    pub symbol: Names<'a>,
    /// `[n]` ns since 1970-01-01 UTC.
    pub time_ns: &'a [i64],
    /// `[n]` bids, finite.
    pub bid: &'a [f64],
    /// `[n]` asks, finite.
    pub ask: &'a [f64],
    /// `[n]` spreads, finite; `ask - bid` if absent.
    pub spread: Option<&'a [f64]>,
    /// The source of each tick.
    pub lp: Names<'a>,
}

impl<'a> TickBatch<'a> {
    /// Ticks of one symbol without a source; the other fields can be set.
    pub fn new(symbol: &'a str, time_ns: &'a [i64], bid: &'a [f64], ask: &'a [f64]) -> Self {
        let (symbol, lp) = (Names::One(symbol), Names::One(""));
        TickBatch { symbol, time_ns, bid, ask, spread: None, lp }
    }

    /// The number of ticks.
    pub fn len(&self) -> usize {
        self.time_ns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.time_ns.is_empty()
    }

    fn spread(&self, i: usize) -> f64 {
        self.spread.map_or_else(|| self.ask[i] - self.bid[i], |spread| spread[i])
    }

    pub(super) fn check(&self) -> Result<()> {
        let n = self.len();
        let spread = self.spread.map_or(n, <[f64]>::len);
        for (what, got) in [("bid", self.bid.len()), ("ask", self.ask.len()), ("spread", spread)] {
            if got != n {
                let expected = format!("{n} of them, as of the times");
                return Err(Error::invalid(what, expected, got.to_string()));
            }
        }
        self.symbol.check("symbol", n)?;
        self.lp.check("lp", n)?;
        (0..n).try_for_each(|i| check_prices(self.bid[i], self.ask[i], self.spread(i)))
    }

    /// The ticks by day and symbol, each part in the order of arrival.
    pub(super) fn parts(&self, shared: &Shared) -> Result<Vec<(Day, Vec<Arrived>)>> {
        let mut origins: HashMap<&str, u32> = HashMap::new();
        let mut slots: HashMap<(Day, &str), (usize, usize)> = HashMap::new();
        let mut days: Vec<(Day, Vec<Arrived>)> = Vec::new();
        let mut symbols: HashMap<&str, Arc<str>> = HashMap::new();
        let mut last = None;
        let mut last_origin = None;
        for i in 0..self.len() {
            let (time_ns, bid, ask, spread) =
                (self.time_ns[i], self.bid[i], self.ask[i], self.spread(i));
            let lp = self.lp.get(i);
            let origin = match last_origin.filter(|(known, _)| *known == lp) {
                Some((_, number)) => number,
                None => match origins.get(lp) {
                    Some(number) => *number,
                    None => {
                        let config = &shared.config;
                        let number =
                            shared.origins.number(lp, &config.broker_id, config.utc_offset_s)?;
                        origins.insert(lp, number);
                        number
                    }
                },
            };
            last_origin = Some((lp, origin));
            let key = (Day::of(time_ns), self.symbol.get(i));
            let slot = match last.filter(|(known, _)| *known == key) {
                Some((_, slot)) => slot,
                None => match slots.get(&key) {
                    Some(slot) => *slot,
                    None => {
                        let symbol = match symbols.get(key.1) {
                            Some(symbol) => symbol.clone(),
                            None => {
                                check_symbol(key.1)?;
                                let symbol: Arc<str> = key.1.into();
                                symbols.insert(key.1, symbol.clone());
                                symbol
                            }
                        };
                        let d = days.iter().position(|(day, _)| *day == key.0);
                        let d = d.unwrap_or_else(|| {
                            days.push((key.0, Vec::new()));
                            days.len() - 1
                        });
                        days[d].1.push(Arrived { symbol, rows: Vec::new(), packed: None });
                        let slot = (d, days[d].1.len() - 1);
                        slots.insert(key, slot);
                        slot
                    }
                },
            };
            last = Some((key, slot));
            days[slot.0].1[slot.1].rows.push(Row { time_ns, bid, ask, spread, origin });
        }
        Ok(days)
    }
}

/// Packs the parts that have `least` ticks or more, before the writer is asked: it has then only to
/// insert. There is a thread for every `each` of them.
pub(super) fn pack_parts(
    parts: &mut [Arrived],
    origins: &Origins,
    least: usize,
    each: usize,
) -> Result<()> {
    let origins = origins.all();
    let large: Vec<usize> = (0..parts.len()).filter(|i| parts[*i].rows.len() >= least).collect();
    let packed = together(&large, each, |i| {
        let part = &parts[*i];
        let mut ticks = Ticks::new(part.symbol.clone());
        let mut rows: Vec<&Row> = part.rows.iter().collect();
        rows.sort_by_key(|row| row.time_ns);
        rows.into_iter().for_each(|row| ticks.push(row));
        ticks.origins = origins.clone();
        pack(&ticks)
    });
    for (i, blocks) in large.into_iter().zip(packed) {
        parts[i].packed = Some(Arc::new(blocks?));
    }
    Ok(())
}

/// Packs what goes into blocks by itself.
pub(super) fn pack_bulk(parts: &mut [Arrived], shared: &Shared) -> Result<()> {
    if !shared.rule(true).keeps_all() {
        return Ok(());
    }
    pack_parts(parts, &shared.origins, BULK_ROWS, 1)
}
