//! Quotes in files of other programs: delimited text, maybe packed, and Parquet; of a format that is known, or by columns
//! that the caller names.

mod clock;
mod format;
mod table;
mod text;

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::calendar::Day;
use super::spill::by_day;
use super::tick::{Origins, Row, check_prices, check_symbol};
use super::write::Arrived;
use crate::error::{Error, Result};
use crate::kernel::{check_interrupted, open_file, open_text};
use crate::table::marks::Marks;

use clock::Zone;
pub use clock::{EpochUnit, ShownTwice};
pub(crate) use format::is_quotes;
pub use format::{QuoteColumns, QuoteFormat};

/// How files of quotes are read. What nobody says is found in the file, where it is beyond doubt; else the file is
/// refused, and the error names the option of `silt import ticks`, which has the name of the field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuoteOptions {
    /// Whose files they are.
    pub format: Option<QuoteFormat>,
    /// Which column is what, in place of a format.
    pub columns: Option<QuoteColumns>,
    /// The symbol of all ticks.
    pub symbol: Option<String>,
    /// The source of all ticks (liquidity provider); empty if nobody says.
    pub lp: Option<String>,
    /// The zone of times that say no offset from UTC: `UTC`, `Europe/Berlin`, `-05:00`.
    pub time_zone: Option<String>,
    /// What a time is that clocks of that zone show twice; its line is skipped, and named, if nobody says.
    pub ambiguous: ShownTwice,
    /// The unit of times that are numbers, counted from 1970-01-01 UTC.
    pub time_unit: Option<EpochUnit>,
    /// How times are written, as `%d/%m/%Y %H:%M:%S%.f`.
    pub time_format: Option<String>,
    /// The character between fields: found in the first line if nobody says.
    pub separator: Option<char>,
    /// The decimal mark of prices in text, `.` or `,`; a point if nobody says.
    pub decimal: Option<char>,
    /// The mark between the thousands of prices in text.
    pub thousands: Option<char>,
    /// Whether a side that is empty is the last one that was not. Without it such a line is skipped, and named.
    pub carry: bool,
    /// Whether the files are finished: a last line without a newline is whole then, and not skipped as one that may be cut.
    pub finished: bool,
}

impl QuoteOptions {
    /// # Errors
    /// [`Error::Invalid`] for a value that means nothing, whatever the file.
    pub(super) fn check(&self) -> Result<()> {
        self.zone()?;
        self.marks()?;
        self.symbol.as_deref().map_or(Ok(()), check_symbol)
    }

    fn marks(&self) -> Result<Marks> {
        Marks::new(self.decimal, self.thousands)
    }

    /// What a digest has of them: all, but of those that came later only what was said, so that a file that was imported
    /// before is known.
    fn in_digest(&self) -> String {
        let later =
            QuoteOptions { decimal: self.decimal.filter(|mark| *mark != '.'), ..self.clone() };
        let unsaid = ["ambiguous: Refuse, ", "decimal: None, ", "thousands: None, "];
        unsaid.iter().fold(format!("{later:?}"), |text, part| text.replacen(part, "", 1))
    }

    /// The zone of times that say no offset.
    fn zone(&self) -> Result<Option<Zone>> {
        let zone = self.time_zone.as_deref().map(clock::zone).transpose()?;
        Ok(zone.map(|zone| Zone { twice: self.ambiguous, ..zone }))
    }
}

/// What was read of a file.
#[derive(Debug, Default)]
pub(super) struct Quotes {
    pub(super) read: u64,
    /// Lines that are no ticks, and why the first of them are not.
    pub(super) bad: u64,
    pub(super) named: Vec<String>,
    /// What the file was taken for.
    pub(super) taken_for: String,
}

/// What is expected of a file without symbols.
const SYMBOL: &str = "the symbol of its ticks (--symbol, or --columns symbol=COLUMN)";
/// So many bad lines at the beginning, and more than good ones, are a file that is none of quotes.
const MOST_BAD: u64 = 100;
/// Ticks that are gathered before those of days that are over are handed on.
const GATHERED: usize = 1 << 20;

/// Gets the ticks of a day, and how often it got some of this day and file before.
pub(super) type EachDay<'a> = &'a mut dyn FnMut(Day, Vec<Arrived>, u64) -> Result<()>;

/// A digest of a file and of how it is read.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn digest(path: &Path, options: &QuoteOptions) -> Result<[u8; 16]> {
    let (mut file, mut hash, mut part) = (open_file(path)?, Xxh3::new(), vec![0; 1 << 20]);
    hash.update(options.in_digest().as_bytes());
    loop {
        check_interrupted("importing")?;
        match file.read(&mut part).map_err(|e| Error::io(path, "reading it", &e))? {
            0 => return Ok(hash.digest128().to_be_bytes()),
            n => hash.update(&part[..n]),
        }
    }
}

/// Reads the quotes of a file, day by day, with some of it in memory at a time. So many bad lines are named.
///
/// # Errors
/// [`Error::Invalid`] for a file that is none of quotes, or of which an option has to say more; that of `each`.
pub(super) fn read(
    path: &Path,
    (options, named): (&QuoteOptions, usize),
    origins: &Origins,
    each: EachDay<'_>,
) -> Result<Quotes> {
    let mut gathered = Gathered::new(options, path, origins, each)?;
    gathered.most_named = named;
    let mut begin = Vec::new();
    let read = open_file(path)?.take(4).read_to_end(&mut begin);
    read.map_err(|e| Error::io(path, "reading it", &e))?;
    match begin == b"PAR1" {
        true => table::read(path, options, &mut gathered)?,
        false => text::read(path, options, open_text(path)?, &mut gathered)?,
    }
    gathered.finish()
}

/// Ticks of a file on their way to its days.
struct Gathered<'a> {
    path: &'a Path,
    origins: &'a Origins,
    each: EachDay<'a>,
    /// Of ticks without a column of symbols.
    symbol: Option<Arc<str>>,
    symbols: HashMap<String, Arc<str>>,
    /// Of ticks without a column of sources.
    origin: u32,
    sources: HashMap<String, u32>,
    /// The last sides of each symbol, where an empty one is the last.
    carried: Option<HashMap<Arc<str>, [Option<f64>; 2]>>,
    rows: Vec<(Arc<str>, Row)>,
    most: usize,
    most_named: usize,
    parts: HashMap<Day, u64>,
    out: Quotes,
}

/// One tick as a file has it: what is text there, and whether the spread is said.
struct Quote<'q> {
    time_ns: Result<i64, String>,
    /// None of a side that is empty.
    bid: Option<f64>,
    ask: Option<f64>,
    spread: Option<f64>,
    symbol: Option<&'q str>,
    lp: Option<&'q str>,
}

impl<'a> Gathered<'a> {
    fn new(
        options: &QuoteOptions,
        path: &'a Path,
        origins: &'a Origins,
        each: EachDay<'a>,
    ) -> Result<Self> {
        let symbol = options.symbol.clone().or_else(|| format::symbol_of(path));
        let symbol =
            symbol.map(|symbol| check_symbol(&symbol).map(|()| Arc::from(symbol))).transpose()?;
        let origin = origins.number(options.lp.as_deref().unwrap_or_default(), "", 0)?;
        Ok(Gathered {
            path,
            origins,
            each,
            symbol,
            symbols: HashMap::new(),
            origin,
            sources: HashMap::new(),
            carried: options.carry.then(HashMap::new),
            rows: Vec::new(),
            most: GATHERED,
            most_named: 0,
            parts: HashMap::new(),
            out: Quotes::default(),
        })
    }

    /// An error that asks for the zone asks for the symbol too, if that is missing as well.
    fn with_symbol(&self, error: Error, options: &QuoteOptions) -> Error {
        let has_symbols = options.columns.as_ref().is_some_and(|columns| columns.symbol.is_some());
        match error {
            Error::Invalid { what, expected, got }
                if expected.contains("--tz") && !has_symbols && self.symbol.is_none() =>
            {
                Error::Invalid { what, expected: format!("{expected}, and {SYMBOL}"), got }
            }
            other => other,
        }
    }

    /// Says what the file was taken for. Without a column of symbols there must be one symbol.
    fn begin(&mut self, taken_for: &str, has_symbols: bool) -> Result<()> {
        self.out.taken_for = match &self.symbol {
            Some(symbol) if !has_symbols => format!("{taken_for}, symbol {symbol}"),
            _ => taken_for.to_owned(),
        };
        if has_symbols || self.symbol.is_some() {
            return Ok(());
        }
        Err(Error::invalid(self.path.display().to_string(), SYMBOL, "none"))
    }

    /// Takes a tick; what is wrong with it is noted, and it is left out.
    fn push(&mut self, line: u64, quote: Result<Quote<'_>, String>) -> Result<()> {
        match quote.and_then(|quote| self.row(quote)) {
            Ok(row) => {
                self.rows.push(row);
                self.out.read += 1;
            }
            Err(why) => {
                self.out.bad += 1;
                if self.out.named.len() < self.most_named {
                    self.out.named.push(format!("line {line}: {why}"));
                }
                if self.out.bad >= MOST_BAD && self.out.bad > self.out.read {
                    let expected =
                        format!("{}; {} of {line} lines are", self.out.taken_for, self.out.read);
                    return Err(Error::invalid(
                        self.path.display().to_string(),
                        expected,
                        self.out.named.join("; "),
                    ));
                }
            }
        }
        if self.rows.len() >= self.most {
            check_interrupted("importing")?;
            self.hand_on(false)?;
        }
        Ok(())
    }

    /// The row of a quote; why it is none.
    fn row(&mut self, quote: Quote<'_>) -> Result<(Arc<str>, Row), String> {
        let text = |error: Error| error.to_string();
        let symbol = match (quote.symbol, &self.symbol) {
            (Some(name), _) => match self.symbols.get(name) {
                Some(symbol) => symbol.clone(),
                None => {
                    check_symbol(name).map_err(text)?;
                    self.symbols.entry(name.to_owned()).or_insert_with(|| name.into()).clone()
                }
            },
            (None, Some(symbol)) => symbol.clone(),
            (None, None) => return Err("symbol: expected a text, got none".into()),
        };
        let mut sides = [quote.bid, quote.ask];
        let is_empty = sides == [None, None];
        if let Some(carried) = &mut self.carried {
            // Also of a line that is no tick: its sides are the last ones.
            let last = carried.entry(symbol.clone()).or_default();
            for (last, side) in last.iter_mut().zip(&mut sides) {
                match *side {
                    Some(price) if price.is_finite() => *last = *side,
                    Some(_) => {}
                    None if is_empty => {}
                    None => *side = *last,
                }
            }
        }
        let side = |what: &str, side: Option<f64>| {
            let hint = if self.carried.is_some() { "" } else { " (--carry takes the last one)" };
            side.ok_or_else(|| format!("{what}: expected a number, got nothing{hint}"))
        };
        let (bid, ask) = (side("bid", sides[0])?, side("ask", sides[1])?);
        let time_ns = quote.time_ns?;
        let spread = quote.spread.unwrap_or(ask - bid);
        check_prices(bid, ask, spread).map_err(text)?;
        let origin = match quote.lp {
            None => self.origin,
            Some(lp) => match self.sources.get(lp) {
                Some(number) => *number,
                None => {
                    let number = self.origins.number(lp, "", 0).map_err(text)?;
                    self.sources.insert(lp.to_owned(), number);
                    number
                }
            },
        };
        Ok((symbol, Row { time_ns, bid, ask, spread, origin }))
    }

    /// Hands on what is gathered; of the day that is under way only at the end.
    fn hand_on(&mut self, is_end: bool) -> Result<()> {
        let last = self.rows.last().filter(|_| !is_end).map(|(_, row)| Day::of(row.time_ns));
        let is_over = |row: &(Arc<str>, Row)| Some(Day::of(row.1.time_ns)) != last;
        let over = self.rows.extract_if(.., |row| is_over(row)).collect::<Vec<_>>();
        for (day, parts) in by_day(over.iter().map(|(symbol, row)| (symbol, *row))) {
            let part = self.parts.entry(day).or_default();
            (self.each)(day, parts, *part)?;
            *part += 1;
        }
        self.most = self.rows.len() + GATHERED;
        Ok(())
    }

    fn finish(mut self) -> Result<Quotes> {
        self.hand_on(true)?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a file that an earlier version imported is known: options that came since, and say nothing, are not in its digest.
    #[test]
    fn a_digest_has_what_was_said() {
        let plain = "QuoteOptions { format: None, columns: None, symbol: None, lp: None, time_zone: None, time_unit: None, \
            time_format: None, separator: None, carry: false, finished: false }";
        assert_eq!(QuoteOptions::default().in_digest(), plain);
        let point = QuoteOptions { decimal: Some('.'), ..QuoteOptions::default() };
        assert_eq!(point.in_digest(), plain);
        for said in [
            QuoteOptions { decimal: Some(','), ..QuoteOptions::default() },
            QuoteOptions { thousands: Some('.'), ..QuoteOptions::default() },
            QuoteOptions { ambiguous: ShownTwice::Latest, ..QuoteOptions::default() },
        ] {
            assert_ne!(said.in_digest(), plain);
        }
    }
}
