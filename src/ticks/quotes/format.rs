//! The formats of quotes that are known by name, and how a file is recognised.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use jiff::tz::{Offset, TimeZone};

use super::QuoteOptions;
use super::clock::{Clock, EpochUnit, Form, wall};
use crate::error::{Error, Result};

/// Whose files of quotes are read by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuoteFormat {
    /// HistData's ticks as ASCII: no header, `20120201 000003660,1.30660,1.30677,0`; times five hours behind UTC all year,
    /// as their page says.
    HistData,
    /// Dukascopy's export: `Gmt time,Ask,Bid,AskVolume,BidVolume`, day first.
    Dukascopy,
    /// MetaTrader 5's export of ticks: tabs, `<DATE> <TIME> <BID> <ASK> ...`, a side that did not change is empty. Times are
    /// of the broker's server: its zone must be told.
    Mt5,
    /// Binance's archive: `bookTicker` has quotes, of `trades` and `aggTrades` the price is both sides. Times are ms, or us
    /// since 2025.
    Binance,
}

const FORMATS: [(QuoteFormat, &str); 4] = [
    (QuoteFormat::HistData, "histdata"),
    (QuoteFormat::Dukascopy, "dukascopy"),
    (QuoteFormat::Mt5, "mt5"),
    (QuoteFormat::Binance, "binance"),
];

impl QuoteFormat {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        FORMATS.iter().map(|(format, _)| *format)
    }
}

impl fmt::Display for QuoteFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORMATS.iter().find(|(format, _)| format == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for QuoteFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "mt4" {
            let expected = "ticks: MetaTrader 4 exports bars, which `silt series import` reads";
            return Err(Error::invalid("format", expected, "mt4"));
        }
        let found = FORMATS.iter().find(|(_, name)| *name == text);
        let wrong = || {
            let names: Vec<&str> = FORMATS.iter().map(|(_, name)| *name).collect();
            Error::invalid("format", format!("one of {}", names.join(", ")), format!("{text:?}"))
        };
        found.map(|(format, _)| *format).ok_or_else(wrong)
    }
}

/// Which column is what, by names of the header, or by numbers from 1 of a file without one.
///
/// # Example
/// ```
/// use siltstone::ticks::QuoteColumns;
///
/// let columns: QuoteColumns = "time=ts,bid=b,ask=a".parse()?;
/// assert!("time=ts,bid=b".parse::<QuoteColumns>().is_err());
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuoteColumns {
    /// The time, or the date if `clock` is there.
    pub(super) time: String,
    /// The time of the day.
    pub(super) clock: Option<String>,
    pub(super) bid: String,
    pub(super) ask: String,
    pub(super) spread: Option<String>,
    pub(super) symbol: Option<String>,
    pub(super) lp: Option<String>,
}

impl FromStr for QuoteColumns {
    type Err = Error;

    /// Reads `time=COLUMN,bid=COLUMN,ask=COLUMN`, or `price=COLUMN` for both sides; `date=`, `spread=`, `symbol=` and `lp=`
    /// may be there too.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |got: String| {
            let expected = "time=COLUMN,bid=COLUMN,ask=COLUMN, or price= for both sides; date=, spread=, symbol= and lp= \
                may be there too";
            Error::invalid("columns", expected, got)
        };
        let (mut found, mut date) = (QuoteColumns::default(), None);
        let mut names = Vec::new();
        for part in text.split(',') {
            let (name, column) = part.split_once('=').ok_or_else(|| wrong(format!("{part:?}")))?;
            let column = column.to_owned();
            let said = match name {
                "price" => &["bid", "ask"][..],
                _ => &[name],
            };
            if said.iter().any(|name| names.contains(name)) {
                return Err(wrong(format!("{name} beside one that says it too")));
            }
            names.extend(said);
            match name {
                "time" => found.time = column,
                "date" => date = Some(column),
                "bid" => found.bid = column,
                "ask" => found.ask = column,
                "price" => (found.bid, found.ask) = (column.clone(), column),
                "spread" => found.spread = Some(column),
                "symbol" => found.symbol = Some(column),
                "lp" => found.lp = Some(column),
                _ => return Err(wrong(format!("{name:?}"))),
            }
        }
        if let Some(date) = date {
            found.clock = Some(std::mem::replace(&mut found.time, date));
        }
        let missing = [("time", &found.time), ("bid", &found.bid), ("ask", &found.ask)];
        let clock = found.clock.as_ref().map(|clock| ("time", clock));
        let first = missing.into_iter().chain(clock).find(|(_, column)| column.is_empty());
        match first.map(|(name, _)| name) {
            Some(name) => Err(wrong(format!("no {name}"))),
            None => Ok(found),
        }
    }
}

/// How the lines of a file are read.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) separator: u8,
    pub(super) has_header: bool,
    pub(super) fields: usize,
    pub(super) time: usize,
    pub(super) clock: Option<usize>,
    pub(super) bid: usize,
    pub(super) ask: usize,
    pub(super) spread: Option<usize>,
    pub(super) symbol: Option<usize>,
    pub(super) lp: Option<usize>,
    pub(super) times: Clock,
    /// What the file was taken for.
    pub(super) taken_for: String,
}

/// Five hours behind UTC, all year.
const HISTDATA_S: i32 = -5 * 3600;
/// Columns of Binance's files without a header: of trades, of aggregated trades (one more since 2020), of quotes.
const BINANCE: [&[&str]; 5] = [
    &["id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"],
    &["id", "price", "qty", "quote_qty", "time", "is_buyer_maker"],
    &[
        "agg_trade_id",
        "price",
        "quantity",
        "first_trade_id",
        "last_trade_id",
        "transact_time",
        "is_buyer_maker",
        "is_best_match",
    ],
    &[
        "agg_trade_id",
        "price",
        "quantity",
        "first_trade_id",
        "last_trade_id",
        "transact_time",
        "is_buyer_maker",
    ],
    &[
        "update_id",
        "best_bid_price",
        "best_bid_qty",
        "best_ask_price",
        "best_ask_qty",
        "transaction_time",
        "event_time",
    ],
];

/// Fields of a line, without quotes around.
pub(super) fn fields(line: &str, separator: u8) -> Vec<&str> {
    line.split(char::from(separator)).map(|field| field.trim().trim_matches('"')).collect()
}

fn separator(options: &QuoteOptions, line: &str) -> Result<u8> {
    match options.separator {
        Some(c) if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(c as u8),
        Some(c) => Err(Error::invalid("separator", "a mark of ASCII", format!("{c:?}"))),
        None => {
            let marks = options.marks()?;
            let found = ['\t', ';', ',', '|'].into_iter().filter(|c| !marks.has(*c));
            let found = found.max_by_key(|c| line.matches(*c).count());
            Ok(found.unwrap_or(',') as u8)
        }
    }
}

impl Layout {
    /// How a file is read that begins with these lines.
    pub(super) fn of(
        options: &QuoteOptions,
        path: &Path,
        first: &str,
        second: &str,
    ) -> Result<Self> {
        let separator = separator(options, first)?;
        let head = fields(first, separator);
        if let Some(columns) = &options.columns {
            return named(options, columns, path, separator, &head, second);
        }
        let Some(format) = options.format.or_else(|| recognised(&head, separator)) else {
            let is_bar = head.len() == 7 && wall(&format!("{} {}", head[0], head[1])).is_some();
            let names: Vec<String> = QuoteFormat::all().map(|format| format.to_string()).collect();
            let expected = match is_bar {
                true => {
                    "ticks: bars, as MetaTrader 4 exports them, are read by `silt series import`"
                        .to_owned()
                }
                false => format!(
                    "a file of {}: say which (--format), or what its columns are (--columns)",
                    names.join(", ")
                ),
            };
            let shown: String = first.chars().take(80).collect();
            return Err(Error::invalid(path.display().to_string(), expected, format!("{shown:?}")));
        };
        let layout = match format {
            QuoteFormat::HistData => histdata(separator, &head),
            QuoteFormat::Dukascopy => by_names(
                separator,
                &head,
                &["gmt time", "local time", "time (utc)"],
                "",
                "bid",
                "ask",
            ),
            QuoteFormat::Mt5 => by_names(separator, &head, &["<date>"], "<time>", "<bid>", "<ask>"),
            QuoteFormat::Binance => binance(separator, &head, second)?,
        };
        let mut layout = layout.ok_or_else(|| {
            let expected = format!("lines as {format} has them");
            Error::invalid(
                path.display().to_string(),
                expected,
                format!("{:?}", first.chars().take(80).collect::<String>()),
            )
        })?;
        layout.set_clock(options, path, if layout.has_header { second } else { first })?;
        layout.taken_for = format!("{format}: {}", layout.taken_for);
        Ok(layout)
    }

    /// Decides how times are read, by the first line that has one.
    fn set_clock(&mut self, options: &QuoteOptions, path: &Path, line: &str) -> Result<()> {
        if let Some(zone) = options.zone()? {
            self.times.zone = Some(zone);
        }
        let cells = fields(line, self.separator);
        let part = |at: usize| cells.get(at).copied().unwrap_or_default();
        let time = match self.clock {
            Some(clock) => format!("{} {}", part(self.time), part(clock)),
            None => part(self.time).to_owned(),
        };
        let wrong = |expected: &str| {
            Err(Error::invalid(format!("{}: time", path.display()), expected, format!("{time:?}")))
        };
        if let Some(format) = &options.time_format {
            self.times.form = Form::Format(format.clone());
        } else if let Some(unit) = options.time_unit {
            self.times.form = Form::Epoch(unit);
        }
        match &self.times.form {
            Form::Epoch(unit) => {
                let whole = time.split('.').next().and_then(|count| count.parse().ok());
                if let Some(other) = whole.and_then(EpochUnit::of).filter(|other| other != unit) {
                    return wrong(&format!(
                        "a count of {unit} since 1970 that is a time of today (--time-unit {other} is)"
                    ));
                }
                self.taken_for += &format!(", times in {unit} since 1970 UTC");
                return Ok(());
            }
            Form::Wall if time.is_empty() || wall(&time).is_some() => {}
            Form::Wall if time.parse::<f64>().is_ok() => {
                return wrong("the unit of times that are numbers (--time-unit s, ms, us or ns)");
            }
            Form::Wall => {
                return wrong(
                    "a time as 2024-03-01 10:00:00.123, or how it is written (--time-format)",
                );
            }
            Form::Format(_) => {}
        }
        let has_offset = time.is_empty() || self.times.clone().with_no_zone().read(&time).is_ok();
        match &self.times.zone {
            None if !has_offset => wrong(
                "an offset from UTC, or the zone of the times (--tz UTC, --tz Europe/Berlin, --tz -05:00)",
            ),
            None => {
                self.taken_for += ", times with their offset from UTC";
                Ok(())
            }
            Some(_) if has_offset && options.time_zone.is_some() => {
                self.taken_for += ", times with their offset from UTC, so that --tz means nothing";
                Ok(())
            }
            Some(zone) => {
                let name =
                    options.time_zone.clone().or_else(|| zone.zone.iana_name().map(str::to_owned));
                self.taken_for +=
                    &format!(", times of {}", name.unwrap_or_else(|| "UTC-05:00 all year".into()));
                Ok(())
            }
        }
    }
}

impl Clock {
    fn with_no_zone(mut self) -> Self {
        self.zone = None;
        self
    }
}

/// Whether a text begins as a file of quotes of a known format.
pub(crate) fn is_quotes(begin: &str) -> bool {
    let first = begin.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
    let separator = separator(&QuoteOptions::default(), first);
    separator.is_ok_and(|separator| recognised(&fields(first, separator), separator).is_some())
}

/// The format whose first line it is.
fn recognised(head: &[&str], separator: u8) -> Option<QuoteFormat> {
    let lower: Vec<String> = head.iter().map(|name| name.to_lowercase()).collect();
    let has = |names: &[&str]| names.iter().all(|name| lower.iter().any(|own| own == name));
    if has(&["<date>", "<time>", "<bid>", "<ask>"]) && separator == b'\t' {
        return Some(QuoteFormat::Mt5);
    }
    if has(&["ask", "bid"]) && (has(&["gmt time"]) || has(&["local time"]) || has(&["time (utc)"]))
    {
        return Some(QuoteFormat::Dukascopy);
    }
    if BINANCE.iter().any(|names| has(names)) {
        return Some(QuoteFormat::Binance);
    }
    let is_histdata = head.len() == 4
        && head[0].len() == 18
        && head[0].as_bytes()[8] == b' '
        && wall(head[0]).is_some()
        && head[1..].iter().all(|cell| cell.parse::<f64>().is_ok());
    is_histdata.then_some(QuoteFormat::HistData)
}

fn layout(separator: u8, head: &[&str], form: Form) -> Layout {
    let times = Clock { form, zone: None };
    Layout {
        separator,
        has_header: true,
        fields: head.len(),
        time: 0,
        clock: None,
        bid: 0,
        ask: 0,
        spread: None,
        symbol: None,
        lp: None,
        times,
        taken_for: String::new(),
    }
}

fn histdata(separator: u8, head: &[&str]) -> Option<Layout> {
    let mut own = layout(separator, head, Form::Wall);
    own.times.zone =
        Offset::from_seconds(HISTDATA_S).ok().map(|offset| TimeZone::fixed(offset).into());
    own.taken_for = "no header, bid before ask".into();
    (head.len() >= 3).then_some(Layout { has_header: false, bid: 1, ask: 2, ..own })
}

/// A header of known names.
fn by_names(
    separator: u8,
    head: &[&str],
    times: &[&str],
    clock: &str,
    bid: &str,
    ask: &str,
) -> Option<Layout> {
    let at = |name: &str| head.iter().position(|own| own.eq_ignore_ascii_case(name));
    let time = times.iter().find_map(|name| at(name))?;
    let mut own = layout(separator, head, Form::Wall);
    let name = head[time].to_lowercase();
    if name == "gmt time" || name == "time (utc)" {
        own.times.zone = Some(TimeZone::UTC.into());
    }
    own.taken_for = format!("columns {} and {}", head[at(bid)?], head[at(ask)?]);
    let clock = if clock.is_empty() { None } else { Some(at(clock)?) };
    Some(Layout { time, clock, bid: at(bid)?, ask: at(ask)?, ..own })
}

fn binance(separator: u8, head: &[&str], second: &str) -> Result<Option<Layout>> {
    let has_header = head.first().is_some_and(|cell| cell.parse::<f64>().is_err());
    let names: Vec<String> = match has_header {
        true => head.iter().map(|name| name.to_lowercase()).collect(),
        false => {
            let is_bool = |at: usize| {
                head.get(at)
                    .is_some_and(|cell| ["true", "false"].contains(&cell.to_lowercase().as_str()))
            };
            let fits = |names: &&&[&str]| {
                let flag = names.iter().position(|name| *name == "is_buyer_maker");
                names.len() == head.len() && flag.is_none_or(is_bool)
            };
            let found = BINANCE.iter().find(fits);
            found
                .map(|names| names.iter().map(|name| (*name).to_owned()).collect())
                .unwrap_or_default()
        }
    };
    let at = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.as_str()));
    let sides = match (at(&["best_bid_price"]), at(&["best_ask_price"]), at(&["price"])) {
        (Some(bid), Some(ask), _) => Some((bid, ask, "quotes")),
        (_, _, Some(price)) => Some((price, price, "trades, the price as both sides")),
        _ => None,
    };
    let Some(((bid, ask, what), time)) =
        sides.zip(at(&["transaction_time", "transact_time", "time"]))
    else {
        return Ok(None);
    };
    let line = fields(second, separator);
    let first = if has_header { line.get(time) } else { head.get(time) };
    let unit = first.and_then(|count| count.parse().ok()).and_then(EpochUnit::of);
    let mut own = layout(separator, head, Form::Epoch(unit.unwrap_or(EpochUnit::Ms)));
    own.taken_for = what.into();
    Ok(Some(Layout { has_header, time, bid, ask, ..own }))
}

/// Columns that the caller names.
fn named(
    options: &QuoteOptions,
    columns: &QuoteColumns,
    path: &Path,
    separator: u8,
    head: &[&str],
    second: &str,
) -> Result<Layout> {
    let find = |name: &String| {
        let by_number =
            || name.parse::<usize>().ok().filter(|n| (1..=head.len()).contains(n)).map(|n| n - 1);
        head.iter()
            .position(|own| own == name)
            .map(|at| (at, true))
            .or_else(|| by_number().map(|at| (at, false)))
    };
    let wanted =
        [Some(&columns.time), columns.clock.as_ref(), Some(&columns.bid), Some(&columns.ask)];
    let more = [columns.spread.as_ref(), columns.symbol.as_ref(), columns.lp.as_ref()];
    let mut found = [None; 7];
    let mut kinds = Vec::new();
    for (found, name) in found.iter_mut().zip(wanted.into_iter().chain(more)) {
        let Some(name) = name else { continue };
        if head.iter().filter(|own| *own == name).count() > 1 {
            let got = format!("{name:?} twice");
            return Err(Error::invalid(
                format!("{}: column", path.display()),
                "one of that name",
                got,
            ));
        }
        let (at, is_name) = find(name).ok_or_else(|| {
            let expected = format!("one of {}", head.join(", "));
            Error::invalid(format!("{}: column", path.display()), expected, format!("{name:?}"))
        })?;
        kinds.push(is_name);
        *found = Some(at);
    }
    if columns.symbol.is_some() && options.symbol.is_some() {
        return Err(Error::invalid("symbol", "one symbol, or a column of them", "both"));
    }
    let has_header = kinds[0];
    if kinds.iter().any(|kind| *kind != has_header) {
        return Err(Error::invalid("columns", "all by name, or all by number", "some of each"));
    }
    let [time, clock, bid, ask, spread, symbol, lp] = found;
    let needed = |at: Option<usize>| at.unwrap_or_default();
    let mut own = layout(separator, head, Form::Wall);
    own = Layout {
        has_header,
        time: needed(time),
        clock,
        bid: needed(bid),
        ask: needed(ask),
        spread,
        symbol,
        lp,
        ..own
    };
    own.taken_for = format!("columns {} and {}", columns.bid, columns.ask);
    let first = head.join(&char::from(separator).to_string());
    own.set_clock(options, path, if has_header { second } else { &first })?;
    Ok(own)
}

/// The symbol that the name of a file says, where vendors name their files so: `DAT_ASCII_EURUSD_T_201202.csv`,
/// `BTCUSDT-trades-2024-01-01.csv`.
pub(super) fn symbol_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let is_symbol = |symbol: &&str| {
        !symbol.is_empty() && symbol.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    if let Some(rest) = name.strip_prefix("DAT_ASCII_") {
        return rest
            .split_once("_T_")
            .map(|(symbol, _)| symbol)
            .filter(is_symbol)
            .map(str::to_owned);
    }
    let kinds = ["-trades-", "-aggTrades-", "-bookTicker-"];
    let found = kinds.iter().find_map(|kind| name.split_once(kind));
    found.map(|(symbol, _)| symbol).filter(is_symbol).map(str::to_owned)
}
