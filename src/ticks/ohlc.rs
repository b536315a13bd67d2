//! Bars from the history.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::bars::{Bar, Timeframe, bucket};
use super::calendar::Day;
use super::outline::Outline;
use super::read::DAYS_AT_ONCE;
use super::scan::not_arrow;
use super::store::TickStore;
use super::tick::Wanted;
use crate::error::{Error, Result};
use crate::kernel::{check_interrupted, threads, together};
use crate::table::Batches;

/// Which price a bar is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Price {
    /// Half of bid + ask.
    #[default]
    Mid,
    /// The bid.
    Bid,
    /// The ask.
    Ask,
}

impl std::str::FromStr for Price {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "mid" => Ok(Price::Mid),
            "bid" => Ok(Price::Bid),
            "ask" => Ok(Price::Ask),
            _ => Err(Error::invalid("price", "mid, bid or ask", format!("{text:?}"))),
        }
    }
}

/// How to fill empty intervals between the first bar and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Fill {
    /// No bar.
    #[default]
    None,
    /// A bar of volume 0 at the close before.
    Previous,
    /// A bar of volume 0 without prices (NaN).
    Empty,
}

impl std::str::FromStr for Fill {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Fill::None),
            "previous" => Ok(Fill::Previous),
            "empty" => Ok(Fill::Empty),
            _ => Err(Error::invalid("fill", "none, previous or empty", format!("{text:?}"))),
        }
    }
}

/// How bars are made, and of which ticks; of all, by default.
#[derive(Debug, Clone, Copy)]
pub struct OhlcOptions {
    /// The first time.
    pub from_ns: i64,
    /// The last time.
    pub to_ns: i64,
    /// Which price.
    pub price: Price,
    /// A time at which a bar begins; 1970-01-01 UTC unless set.
    pub origin_ns: i64,
    /// How to fill empty intervals.
    pub fill: Fill,
}

impl Default for OhlcOptions {
    fn default() -> Self {
        OhlcOptions {
            from_ns: i64::MIN,
            to_ns: i64::MAX,
            price: Price::Mid,
            origin_ns: 0,
            fill: Fill::None,
        }
    }
}

/// The most bars that one call fills in.
const MAX_FILLED: usize = 50_000_000;

/// Bars of ticks that come rising in time.
pub(super) struct Bars {
    interval_ns: i64,
    options: OhlcOptions,
    /// The last time that the bar which is being made may have.
    last_ns: i64,
    pub(super) bars: Vec<Bar>,
}

impl Bars {
    /// No bars yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an interval below 1.
    pub(super) fn new(interval_ns: i64, options: OhlcOptions) -> Result<Self> {
        if interval_ns < 1 {
            return Err(Error::invalid("interval", "1 ns or more", interval_ns.to_string()));
        }
        Ok(Bars { interval_ns, options, last_ns: i64::MIN, bars: Vec::new() })
    }

    pub(super) fn add(&mut self, times: &[i64], bid: &[f64], ask: &[f64]) -> Result<()> {
        for ((time, bid), ask) in times.iter().zip(bid).zip(ask) {
            let price = match self.options.price {
                Price::Mid => (bid + ask) / 2.0,
                Price::Bid => *bid,
                Price::Ask => *ask,
            };
            match self.bars.last_mut() {
                Some(bar) if *time <= self.last_ns => {
                    bar.high = bar.high.max(price);
                    bar.low = bar.low.min(price);
                    bar.close = price;
                    bar.volume += 1;
                }
                _ => self.begin(*time, price)?,
            }
        }
        Ok(())
    }

    /// A bar that was made of later ticks.
    fn append(&mut self, bar: &Bar) -> Result<()> {
        match self.bars.last_mut().filter(|last| last.time_ns == bar.time_ns) {
            Some(last) => {
                last.high = last.high.max(bar.high);
                last.low = last.low.min(bar.low);
                last.close = bar.close;
                last.volume += bar.volume;
            }
            None => {
                self.fill(bar.time_ns)?;
                self.bars.push(*bar);
            }
        }
        Ok(())
    }

    /// Ticks of one bar.
    pub(super) fn add_outline(&mut self, outline: &Outline) -> Result<()> {
        let [open, high, low, close] = outline.ohlc(self.options.price);
        let first_ns = outline.ends[0].time_ns;
        if self.bars.is_empty() || first_ns > self.last_ns {
            self.begin(first_ns, open)?;
            self.bars.last_mut().expect("it has begun").volume = 0;
        }
        let bar = self.bars.last_mut().expect("it has begun");
        (bar.high, bar.low, bar.close) = (bar.high.max(high), bar.low.min(low), close);
        bar.volume += u64::from(outline.ticks);
        Ok(())
    }

    fn begin(&mut self, time_ns: i64, price: f64) -> Result<()> {
        let begin = bucket(time_ns, self.interval_ns, self.options.origin_ns);
        self.fill(begin)?;
        self.last_ns = begin.saturating_add(self.interval_ns - 1);
        let (open, high, low, close) = (price, price, price, price);
        self.bars.push(Bar { time_ns: begin, open, high, low, close, volume: 1 });
        Ok(())
    }

    /// Makes the bars of the empty intervals between the last one and one that begins then, if they are wanted.
    fn fill(&mut self, begin: i64) -> Result<()> {
        if let Some(last) = self.bars.last().copied().filter(|_| self.options.fill != Fill::None) {
            let price = if self.options.fill == Fill::Previous { last.close } else { f64::NAN };
            let mut at = last.time_ns;
            while let Some(next) = at.checked_add(self.interval_ns).filter(|next| *next < begin) {
                if self.bars.len() == MAX_FILLED {
                    let got = "a gap that asks for more".to_owned();
                    return Err(Error::invalid("fill", format!("at most {MAX_FILLED} bars"), got));
                }
                at = next;
                let (open, high, low, close) = (price, price, price, price);
                self.bars.push(Bar { time_ns: at, open, high, low, close, volume: 0 });
            }
        }
        Ok(())
    }
}

/// Bars of ticks of one symbol that come from elsewhere, as from a lake: batches with the columns `time_ns` (integer), `bid` and
/// `ask`, rising in time. The same ticks give the bars that [`TickStore::ohlc`] gives.
///
/// - `interval_ns`: length of a bar, 1 or more.
///
/// # Errors
/// [`Error::Invalid`] for an interval below 1, a null, and times that fall; [`Error::NotFound`] for a column that is not there; those
/// of the batches.
pub fn ohlc_of(mut ticks: Batches, interval_ns: i64, options: OhlcOptions) -> Result<Vec<Bar>> {
    let mut bars = Bars::new(interval_ns, options)?;
    let mut last_ns = i64::MIN;
    while let Some(batch) = ticks.next_batch()? {
        let column = |name: &'static str, kind: DataType| {
            let found = batch.column_by_name(name).ok_or_else(|| Error::NotFound {
                what: "column",
                name: name.into(),
                location: "the ticks".into(),
            })?;
            match cast(found, &kind).map_err(not_arrow)? {
                column if column.null_count() > 0 => Err(Error::invalid(name, "a number", "null")),
                column => Ok(column),
            }
        };
        let (times, real) = (column("time_ns", DataType::Int64)?, DataType::Float64);
        let (bid, ask) = (column("bid", real.clone())?, column("ask", real)?);
        let times = times.as_primitive::<Int64Type>().values();
        let rises = times.iter().try_fold(last_ns, |last, time| (*time >= last).then_some(*time));
        last_ns =
            rises.ok_or_else(|| Error::invalid("time_ns", "times that rise", "one that falls"))?;
        let first = times.partition_point(|time| *time < options.from_ns);
        let end = times.partition_point(|time| *time <= options.to_ns).max(first);
        let prices = |column: &ArrayRef| column.as_primitive::<Float64Type>().values().clone();
        bars.add(&times[first..end], &prices(&bid)[first..end], &prices(&ask)[first..end])?;
    }
    Ok(bars.bars)
}

impl TickStore {
    /// Bars of a symbol from its ticks; rising, late ticks in their place.
    ///
    /// - `interval_ns`: length of a bar, 1 or more.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an interval below 1; as
    /// [`get_ticks_in_range`](Self::get_ticks_in_range).
    pub fn ohlc(&self, symbol: &str, interval_ns: i64, options: OhlcOptions) -> Result<Vec<Bar>> {
        let OhlcOptions { from_ns, to_ns, .. } = options;
        let mut bars = Bars::new(interval_ns, options)?;
        let shared = &*self.shared;
        let target = shared.target(symbol)?;
        let of_days = |days: &&[Day]| -> Result<Vec<Bar>> {
            let mut bars = Bars::new(interval_ns, OhlcOptions { fill: Fill::None, ..options })?;
            shared.for_each_of(days, &target, from_ns, to_ns, Wanted::Prices, |ticks| {
                bars.add(&ticks.time_ns, &ticks.bid, &ticks.ask)?;
                Ok(true)
            })?;
            Ok(bars.bars)
        };
        for days in shared.days_between(&target, from_ns, to_ns)?.chunks(DAYS_AT_ONCE) {
            let parts: Vec<&[Day]> = days.chunks(days.len().div_ceil(threads())).collect();
            for found in together(&parts, 1, of_days) {
                found?.iter().try_for_each(|bar| bars.append(bar))?;
            }
            check_interrupted("making bars")?;
        }
        Ok(bars.bars)
    }

    /// The last `limit` bars of a symbol by the mid price, rising, the open one too: from memory, if it
    /// reaches back so far, else from the history.
    ///
    /// # Errors
    /// As [`ohlc`](Self::ohlc).
    pub fn get_ohlc(&self, symbol: &str, timeframe: Timeframe, limit: usize) -> Result<Vec<Bar>> {
        let target = self.shared.target(symbol)?;
        let known = self.shared.symbols.get(symbol);
        let in_memory = known.and_then(|known| known.lock().minutes.last(timeframe, limit));
        if let Some(bars) = in_memory {
            return Ok(bars);
        }
        // Back from the last tick, day by day, until there are enough.
        let mut found: Vec<Bar> = Vec::new();
        let mut to_ns = i64::MAX;
        while found.len() < limit {
            let last = self.shared.last(&target, 1, to_ns)?;
            let Some(last_ns) = last.time_ns.last().copied() else { break };
            let from_ns = bucket(last_ns, Timeframe::D1.ns(), 0);
            let mut bars = self.ohlc(
                symbol,
                timeframe.ns(),
                OhlcOptions { from_ns, to_ns, ..OhlcOptions::default() },
            )?;
            bars.append(&mut found);
            found = bars;
            match from_ns.checked_sub(1) {
                Some(before) => to_ns = before,
                None => break,
            }
        }
        Ok(found.split_off(found.len().saturating_sub(limit)))
    }
}
