//! One tick, and many.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Error, Result};

/// Which columns a reader wants beside the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    /// Time and prices; spread and origin stay empty.
    Prices,
    Times,
}

/// The longest source or broker name in bytes.
const MAX_NAME: usize = 64;

/// One quote of a symbol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tick<'a> {
    /// The symbol.
    pub symbol: &'a str,
    /// ns since 1970-01-01 UTC; may be negative.
    pub time_ns: i64,
    /// The bid.
    pub bid: f64,
    /// The ask.
    pub ask: f64,
    /// The spread, as it was given.
    pub spread: f64,
    /// The source (liquidity provider).
    pub lp: &'a str,
    /// The broker.
    pub broker_id: &'a str,
    /// Offset from UTC in seconds that the time was written with; the time itself is UTC.
    pub utc_offset_s: i32,
}

/// A tick by itself, without its symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct LastTick {
    /// ns since 1970-01-01 UTC.
    pub time_ns: i64,
    /// The bid.
    pub bid: f64,
    /// The ask.
    pub ask: f64,
    /// The spread, as it was given.
    pub spread: f64,
    /// The source (liquidity provider).
    pub lp: String,
}

impl LastTick {
    pub(super) fn of(tick: &Tick<'_>) -> Self {
        let Tick { time_ns, bid, ask, spread, lp, .. } = *tick;
        LastTick { time_ns, bid, ask, spread, lp: lp.to_owned() }
    }
}

/// Where ticks came from: what seldom changes from one tick to the next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The source (liquidity provider).
    pub lp: String,
    /// The broker.
    pub broker_id: String,
    /// Offset from UTC in seconds that times were written with.
    pub utc_offset_s: i32,
}

/// A tick inside the store: strings by number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    pub(super) time_ns: i64,
    pub(super) bid: f64,
    pub(super) ask: f64,
    pub(super) spread: f64,
    pub(super) origin: u32,
}

impl Row {
    /// Equal in everything, by bits.
    pub(super) fn is_same(&self, other: &Row) -> bool {
        let bits = |row: &Row| [row.bid, row.ask, row.spread].map(f64::to_bits);
        self.time_ns == other.time_ns && self.origin == other.origin && bits(self) == bits(other)
    }
}

/// The ticks of one symbol, by column, rising in time; of one time in the order of their arrival.
#[derive(Debug, Clone)]
pub struct Ticks {
    pub(super) symbol: Arc<str>,
    /// ns since 1970-01-01 UTC.
    pub time_ns: Vec<i64>,
    /// Bids.
    pub bid: Vec<f64>,
    /// Asks.
    pub ask: Vec<f64>,
    /// Spreads.
    pub spread: Vec<f64>,
    /// For each tick the index of its origin in [`origins`](Self::origins).
    pub origin: Vec<u32>,
    pub(super) origins: Arc<Vec<Origin>>,
}

impl Ticks {
    pub(super) fn new(symbol: Arc<str>) -> Self {
        Ticks {
            symbol,
            time_ns: Vec::new(),
            bid: Vec::new(),
            ask: Vec::new(),
            spread: Vec::new(),
            origin: Vec::new(),
            origins: Arc::default(),
        }
    }

    /// The symbol.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// Where ticks came from.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// The number of ticks.
    pub fn len(&self) -> usize {
        self.time_ns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.time_ns.is_empty()
    }

    /// One tick.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, i: usize) -> Tick<'_> {
        let origin = &self.origins[self.origin[i] as usize];
        Tick {
            symbol: &self.symbol,
            time_ns: self.time_ns[i],
            bid: self.bid[i],
            ask: self.ask[i],
            spread: self.spread[i],
            lp: &origin.lp,
            broker_id: &origin.broker_id,
            utc_offset_s: origin.utc_offset_s,
        }
    }

    /// All ticks, one by one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Tick<'_>> + DoubleEndedIterator {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The last tick.
    pub fn last(&self) -> Option<Tick<'_>> {
        self.len().checked_sub(1).map(|i| self.get(i))
    }

    pub(super) fn row(&self, i: usize) -> Row {
        Row {
            time_ns: self.time_ns[i],
            bid: self.bid[i],
            ask: self.ask[i],
            spread: self.spread[i],
            origin: self.origin[i],
        }
    }

    pub(super) fn push(&mut self, row: &Row) {
        self.push_wanted(row, Wanted::All);
    }

    pub(super) fn push_wanted(&mut self, row: &Row, wanted: Wanted) {
        self.time_ns.push(row.time_ns);
        if wanted != Wanted::Times {
            self.bid.push(row.bid);
            self.ask.push(row.ask);
        }
        if wanted == Wanted::All {
            self.spread.push(row.spread);
            self.origin.push(row.origin);
        }
    }

    /// Appends ticks `range` of another that has the wanted columns.
    pub(super) fn extend(&mut self, other: &Ticks, range: std::ops::Range<usize>, wanted: Wanted) {
        self.time_ns.extend_from_slice(&other.time_ns[range.clone()]);
        if wanted != Wanted::Times {
            self.bid.extend_from_slice(&other.bid[range.clone()]);
            self.ask.extend_from_slice(&other.ask[range.clone()]);
        }
        if wanted == Wanted::All {
            self.spread.extend_from_slice(&other.spread[range.clone()]);
            self.origin.extend_from_slice(&other.origin[range]);
        }
    }

    pub(super) fn clear(&mut self) {
        self.remove_first(self.len());
    }

    pub(super) fn remove_first(&mut self, n: usize) {
        fn remove<T>(items: &mut Vec<T>, n: usize) {
            items.drain(..n.min(items.len()));
        }
        remove(&mut self.time_ns, n);
        remove(&mut self.bid, n);
        remove(&mut self.ask, n);
        remove(&mut self.spread, n);
        remove(&mut self.origin, n);
    }

    /// Removes all but the last `n`.
    pub(super) fn keep_last(&mut self, n: usize) {
        self.remove_first(self.len().saturating_sub(n));
    }
}

/// The origins that a store has met, by number. They are few, and numbers are never given twice.
#[derive(Debug, Default)]
pub(super) struct Origins(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    numbers: HashMap<Origin, u32>,
    all: Arc<Vec<Origin>>,
}

impl Origins {
    /// The number of an origin, a new one if it is new.
    pub(super) fn number(&self, lp: &str, broker_id: &str, utc_offset_s: i32) -> Result<u32> {
        let origin = Origin { lp: lp.to_owned(), broker_id: broker_id.to_owned(), utc_offset_s };
        if let Some(number) =
            self.0.read().unwrap_or_else(PoisonError::into_inner).numbers.get(&origin)
        {
            return Ok(*number);
        }
        for (what, name) in [("lp", lp), ("broker_id", broker_id)] {
            if name.len() > MAX_NAME {
                let got = format!("{} bytes", name.len());
                return Err(Error::invalid(what, format!("at most {MAX_NAME} bytes"), got));
            }
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let next = known.all.len() as u32;
        let number = *known.numbers.entry(origin.clone()).or_insert(next);
        if number == next {
            Arc::make_mut(&mut known.all).push(origin);
        }
        Ok(number)
    }

    /// All of them, by number.
    pub(super) fn all(&self) -> Arc<Vec<Origin>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).all.clone()
    }
}

/// Refuses a symbol that is none, and one that could become a path.
///
/// A symbol has 1 to 64 letters and digits of any language, spaces and `. _ - / # & + = @ ^ $ : ! ~`; between slashes
/// there is something, it does not begin with a dot, and begins and ends with no space.
pub(super) fn check_symbol(symbol: &str) -> Result<()> {
    let fits =
        |part: &str| !part.is_empty() && !part.starts_with(['.', ' ']) && !part.ends_with(' ');
    // A letter of four bytes is one of 64, and a name of a file has 255 bytes.
    let is_short = symbol.len() <= 64 || symbol.len() <= 240 && symbol.chars().count() <= 64;
    if is_short && symbol.chars().all(is_of_symbol) && symbol.split('/').all(fits) {
        return Ok(());
    }
    let expected = "1 to 64 letters, digits, spaces and ._-/#&+=@^$:!~, no part of which begins with a dot, or \
        begins or ends with a space";
    let got = match symbol.chars().count() {
        0..=80 => format!("{symbol:?}"),
        n => format!("{:?}... of {n} letters", symbol.chars().take(40).collect::<String>()),
    };
    Err(Error::invalid("symbol", expected, got))
}

fn is_of_symbol(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || " ._-/#&+=@^$:!~".contains(c);
    }
    // Marks belong to letters; what is seen nowhere, or turns the direction, would make two symbols look alike.
    let is_unseen = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}'
        | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..);
    !c.is_control() && !c.is_whitespace() && !is_unseen
}

/// Refuses numbers that no quote has. Zeros, negative and crossed prices are quotes.
pub(super) fn check_prices(bid: f64, ask: f64, spread: f64) -> Result<()> {
    for (what, price) in [("bid", bid), ("ask", ask), ("spread", spread)] {
        if !price.is_finite() {
            return Err(Error::invalid(what, "a finite number", price.to_string()));
        }
    }
    Ok(())
}

/// What is odd about a quote, as bits.
///
/// 1: the bid is zero or less. 2: the ask is zero or less. 4: crossed, the ask is below the bid.
/// 8: locked, they are equal. 16: the spread is negative. 32: the spread is above a tenth of the bid. 64:
/// the spread differs from ask - bid by more than 0.00001.
///
/// # Source
/// The RTX engine's `ticks.sql` and `maintenance.sql`.
pub fn quality(bid: f64, ask: f64, spread: f64) -> u8 {
    let bit = |is: bool, n: u8| u8::from(is) << n;
    bit(bid <= 0.0, 0)
        | bit(ask <= 0.0, 1)
        | bit(ask < bid, 2)
        | bit(ask == bid, 3)
        | bit(spread < 0.0, 4)
        | bit(spread > 0.1 * bid, 5)
        | bit((spread - (ask - bid)).abs() > 0.00001, 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what looks like a way out of the folder is no symbol.
    #[test]
    fn symbols_that_could_be_paths_are_refused() {
        let wide = "日".repeat(64);
        for good in
            ["EURUSD", "EUR/USD", "BRK.B", "ES=F", "a", "6E 12-24", "BRK B", "ä", "हिन्दी", &wide]
        {
            check_symbol(good).unwrap();
        }
        let (long, vast) = ("x".repeat(65), "x".repeat(5_000));
        let more = ["a\nb", "a\u{200b}b", "a\u{202e}b", "a\u{a0}b", "a\\b", "a*", "a\u{7f}"];
        for bad in [
            "",
            "../../escape",
            "..",
            ".",
            "/etc",
            "a//b",
            "a/.b",
            "a/",
            " a",
            "a ",
            "a / b",
            &long,
            &vast,
        ]
        .into_iter()
        .chain(more)
        {
            let error = check_symbol(bad).unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{bad:?}");
            assert!(error.to_string().len() < 300, "{error}");
        }
    }

    /// Goal: an origin keeps its number, and none gets that of another.
    #[test]
    fn origins_keep_their_numbers() {
        let origins = Origins::default();
        assert_eq!(origins.number("YOFX", "b", 0).unwrap(), 0);
        assert_eq!(origins.number("YOFX", "b", 19_800).unwrap(), 1);
        assert_eq!(origins.number("YOFX", "b", 0).unwrap(), 0);
        assert_eq!(origins.all().len(), 2);
        assert!(origins.number(&"x".repeat(65), "b", 0).is_err());
    }
}
