//! Times as people and loggers write them: what one cell says, and what a whole column decides.

use jiff::civil::Date;

use super::{PointsOptions, TimeUnit};
use crate::array::day_number;
use crate::error::Result;
use crate::series::process::Cursor;
use crate::series::text::bad_line;

/// The order of the numbers of a date as `02/08/2022`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Dmy,
    Mdy,
    Ymd,
}

const ORDERS: [Order; 3] = [Order::Dmy, Order::Mdy, Order::Ymd];

/// A time of the calendar: what clocks show, in ns since 1970, and the offset from UTC in seconds if the text says one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) wall: i128,
    pub(super) offset: Option<i32>,
}

/// What a cell says.
#[derive(Debug, Clone, Copy)]
struct Written {
    date: WrittenDate,
    /// The second of the day (86,400 for 24:00), and ns.
    clock: Option<(i64, i64)>,
    offset: Option<i32>,
}

#[derive(Debug, Clone, Copy)]
enum WrittenDate {
    Date(Date),
    /// `02/08/2022`: three numbers, and whether the year has two digits, and dots are between them.
    Parts {
        parts: [i64; 3],
        short_year: bool,
        dotted: bool,
    },
}

impl Written {
    fn stamp(&self, order: Order) -> Option<Stamp> {
        let date = match self.date {
            WrittenDate::Date(date) => date,
            WrittenDate::Parts { parts: [a, b, c], short_year, .. } => {
                let (year, month, day) = match order {
                    Order::Dmy => (c, b, a),
                    Order::Mdy => (c, a, b),
                    Order::Ymd => (a, b, c),
                };
                match short_year {
                    true => date_of(year + if year < 69 { 2000 } else { 1900 }, month, day)?,
                    false => date_of(year, month, day).filter(|_| order != Order::Ymd)?,
                }
            }
        };
        let (second, ns) = self.clock.unwrap_or_default();
        let wall = i128::from(day_number(date) * 86_400 + second) * 1_000_000_000 + i128::from(ns);
        Some(Stamp { wall, offset: self.offset })
    }
}

fn date_of(year: i64, month: i64, day: i64) -> Option<Date> {
    Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()
}

/// What a text says, if it is a time: a date, and maybe a time of the day and an offset from UTC. Digits alone are a number.
fn written(text: &str) -> Option<Written> {
    let mut rest = Cursor(text.trim());
    let (date, form) = date(&mut rest)?;
    let after = rest.0.strip_prefix(['T', 't']).unwrap_or_else(|| rest.0.trim_start());
    let mut clock = None;
    if after.len() < rest.0.len() && after.starts_with(|c: char| c.is_ascii_digit()) {
        rest.0 = after;
        clock = Some(clock_of(&mut rest, form)?);
    }
    let bare = clock.is_none() && rest.0.is_empty();
    if (form == DateForm::Basic && bare) || (form == DateForm::Month && clock.is_some()) {
        return None;
    }
    Some(Written { date, clock, offset: offset(&mut rest)? })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DateForm {
    Parted,
    /// `20220802`.
    Basic,
    /// `2022-08`.
    Month,
}

fn date(rest: &mut Cursor<'_>) -> Option<(WrittenDate, DateForm)> {
    let known = |date, form| Some((WrittenDate::Date(date), form));
    let digits = rest.0.bytes().take_while(u8::is_ascii_digit).count();
    match digits {
        8 => {
            let date = date_of(rest.digits(4)?, rest.digits(2)?, rest.digits(2)?)?;
            known(date, DateForm::Basic)
        }
        4 => {
            let year = rest.digits(4)?;
            let mark = rest.0.chars().next().filter(|c| ['-', '/', '.'].contains(c))?;
            rest.take(&[mark]);
            let month = rest.one_or_two()?;
            if rest.take(&[mark]) {
                return known(date_of(year, month, rest.one_or_two()?)?, DateForm::Parted);
            }
            known(date_of(year, month, 1).filter(|_| mark != '.')?, DateForm::Month)
        }
        1 | 2 => {
            let a = rest.one_or_two()?;
            let mark = rest.0.chars().next().filter(|c| ['-', '/', '.', ' '].contains(c))?;
            rest.take(&[mark]);
            if let Some(month) = month_name(rest) {
                rest.take(&[mark]);
                return known(date_of(rest.digits(4)?, month, a)?, DateForm::Parted);
            }
            let b = rest.one_or_two().filter(|_| mark != ' ' && rest.take(&[mark]))?;
            let short_year = rest.0.bytes().take_while(u8::is_ascii_digit).count() == 2;
            let year = rest.digits(if short_year { 2 } else { 4 })?;
            let parts = [a, b, year];
            let date = WrittenDate::Parts { parts, short_year, dotted: mark == '.' };
            Some((date, DateForm::Parted))
        }
        0 => {
            let month = month_name(rest)?;
            rest.0 = rest.0.trim_start();
            let day = rest.one_or_two()?;
            rest.take(&[',']);
            rest.0 = rest.0.trim_start();
            known(date_of(rest.digits(4)?, month, day)?, DateForm::Parted)
        }
        _ => None,
    }
}

/// Takes the English name of a month, or its first three letters.
fn month_name(rest: &mut Cursor<'_>) -> Option<i64> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let letters = rest.0.bytes().take_while(u8::is_ascii_alphabetic).count();
    let word = rest.0[..letters].to_ascii_lowercase();
    let month = NAMES.iter().position(|name| word == *name || word == name[..3])?;
    rest.0 = rest.0[letters..].trim_start_matches('.');
    Some(month as i64 + 1)
}

/// `15:30:00.25`, `3:30 PM`, `24:00`, `153000123` behind a date without marks: the second of the day, and ns.
fn clock_of(rest: &mut Cursor<'_>, form: DateForm) -> Option<(i64, i64)> {
    let run = rest.0.bytes().take_while(u8::is_ascii_digit).count();
    let is_basic = form == DateForm::Basic && run >= 4;
    let mut hour = if is_basic { rest.digits(2)? } else { rest.one_or_two()? };
    let (mut minute, mut second, mut ns, mut has_seconds) = (0, 0, 0, false);
    if is_basic {
        minute = rest.digits(2)?;
        has_seconds = run >= 6;
        if has_seconds {
            second = rest.digits(2)?;
        }
        if run > 6 {
            (ns, has_seconds) = (rest.fraction()?.0, false);
        }
    } else if rest.take(&[':']) {
        minute = rest.digits(2)?;
        has_seconds = rest.take(&[':']);
        if has_seconds {
            second = rest.digits(2)?;
        }
    }
    if has_seconds && rest.take(&['.', ',']) {
        ns = rest.fraction()?.0;
    }
    let word = rest.0.trim_start();
    for (name, noon) in [("am", 0), ("pm", 12), ("a.m.", 0), ("p.m.", 12)] {
        let half = word.get(..name.len()).filter(|half| half.eq_ignore_ascii_case(name));
        if half.is_some() {
            rest.0 = &word[name.len()..];
            hour = if (1..=12).contains(&hour) { hour % 12 + noon } else { return None };
        }
    }
    let in_day = hour < 24 || (hour == 24 && (minute, second, ns) == (0, 0, 0));
    let fits = in_day && minute < 60 && second < 60;
    fits.then_some((hour * 3600 + minute * 60 + second, ns))
}

/// The offset at the end of a text; the inner `None` if there is nothing.
fn offset(rest: &mut Cursor<'_>) -> Option<Option<i32>> {
    rest.0 = rest.0.trim_start();
    if rest.0.is_empty() {
        return Some(None);
    }
    if ["Z", "z", "UTC", "GMT"].contains(&rest.0) {
        return Some(Some(0));
    }
    rest.0 = ["UTC", "GMT"].iter().find_map(|name| rest.0.strip_prefix(name)).unwrap_or(rest.0);
    rest.offset_seconds().map(Some)
}

/// Whether a text is a time of the day: `15:30`.
fn is_clock(text: &str) -> bool {
    let mut rest = Cursor(text.trim());
    rest.0.contains(':') && clock_of(&mut rest, DateForm::Parted).is_some() && rest.0.is_empty()
}

/// Whether a text is a date of digits alone: `20240131`.
pub(super) fn is_digit_date(text: &str) -> bool {
    let is_digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits && matches!(date(&mut Cursor(text)), Some((_, DateForm::Basic)))
}

/// Whether a text is a time of the day of digits alone: `153000`, `1530`.
pub(super) fn is_digit_clock(text: &str) -> bool {
    let mut rest = Cursor(text);
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits
        && [4, 6].contains(&text.len())
        && clock_of(&mut rest, DateForm::Basic).is_some()
        && rest.0.is_empty()
}

/// Whether a text is meant as a time, though it may not be read as one: `2022-13-01`, `25:61`.
pub(super) fn looks_like_time(text: &str) -> bool {
    let text = text.trim();
    if !text.contains([':', '-', '/', '.']) {
        return false;
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let colon = text.split(':').collect::<Vec<_>>().windows(2).any(|pair| {
        pair[0].ends_with(|c: char| c.is_ascii_digit())
            && pair[1].starts_with(|c: char| c.is_ascii_digit())
    });
    let word = text.split([' ', 'T']).next().unwrap_or_default();
    colon
        || ['-', '/', '.'].iter().any(|mark| {
            let parts: Vec<&str> = word.split(*mark).collect();
            parts.len() == 3 && parts.iter().all(|part| digits(part) && part.len() <= 4)
        })
}

/// Whether a column is called as one of times is.
pub(super) fn is_time_name(name: &str) -> bool {
    let name = name.to_lowercase();
    const WORDS: [&str; 8] =
        ["time", "date", "datetime", "timestamp", "yyyymmdd", "yyyymmddhhmmss", "hhmmss", "hhmm"];
    let word = |word: &str| WORDS.contains(&word);
    name.split(|c: char| !c.is_alphanumeric()).any(word)
}

/// A cell, for a message.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) line: u64,
    pub(super) text: String,
}

impl Cell {
    pub(super) fn new(line: u64, text: &str) -> Self {
        // A message shows its begin.
        Cell { line, text: text.chars().take(80).collect() }
    }
}

/// The times of a column, as far as they were looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct TimeProfile {
    /// The cells that are times.
    pub(super) fits: u64,
    /// The cells that are the time of a day, or a date alone.
    pub(super) clocks: u64,
    pub(super) dates: u64,
    pub(super) first_other: Option<Cell>,
    parts: u64,
    fits_order: [u64; 3],
    /// A cell that says another time in another order.
    first_ambiguous: Option<Cell>,
    short_year: bool,
    other_than_dotted: bool,
    first_with_offset: Option<Cell>,
    first_without: Option<Cell>,
}

impl TimeProfile {
    /// Looks at a cell; as the options say times are written, where there are some.
    pub(super) fn add(&mut self, line: u64, text: &str, options: Option<&PointsOptions>) {
        let cell = || Some(Cell::new(line, text));
        if let Some(asked) = options.and_then(|options| asked(options, text)) {
            match asked {
                Some(stamp) => {
                    self.fits += 1;
                    self.note_offset(stamp.offset.is_some(), cell);
                }
                None => self.first_other = self.first_other.take().or_else(cell),
            }
            return;
        }
        let Some(written) = written(text) else {
            self.clocks += u64::from(is_clock(text));
            self.first_other = self.first_other.take().or_else(cell);
            return;
        };
        if let WrittenDate::Parts { short_year, dotted, .. } = written.date {
            self.parts += 1;
            self.short_year |= short_year;
            self.other_than_dotted |= !dotted;
            let stamps = ORDERS.map(|order| written.stamp(order));
            for (count, stamp) in self.fits_order.iter_mut().zip(stamps) {
                *count += u64::from(stamp.is_some());
            }
            let mut known = stamps.iter().flatten();
            match known.next() {
                None => {
                    self.first_other = self.first_other.take().or_else(cell);
                    return;
                }
                Some(first) if known.any(|other| other != first) => {
                    self.first_ambiguous = self.first_ambiguous.take().or_else(cell);
                }
                Some(_) => {}
            }
        }
        self.fits += 1;
        self.dates += u64::from(written.clock.is_none());
        self.note_offset(written.offset.is_some(), cell);
    }

    fn note_offset(&mut self, has_offset: bool, cell: impl Fn() -> Option<Cell>) {
        let first = match has_offset {
            true => &mut self.first_with_offset,
            false => &mut self.first_without,
        };
        *first = first.take().or_else(cell);
    }

    /// Whether the order of the numbers in dates is no question.
    pub(super) fn is_plain(&self) -> bool {
        self.parts == 0 && !(self.first_with_offset.is_some() && self.first_without.is_some())
    }

    /// Whether the times say their offset.
    pub(super) fn has_offsets(&self) -> bool {
        self.first_with_offset.is_some()
    }

    /// How the column is read.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) where that is ambiguous, naming a line and the option that decides.
    pub(super) fn decide(&self, options: &PointsOptions, location: &str) -> Result<TimeReading> {
        if let (Some(_), Some(without)) = (&self.first_with_offset, &self.first_without) {
            let expected = "an offset from UTC, as other times of the column have one";
            return Err(bad_line(location, without.line, expected, &without.text));
        }
        if let Some(reading) = TimeReading::by_options(options) {
            return Ok(reading);
        }
        let order = match options.day_first {
            Some(true) => Order::Dmy,
            Some(false) => Order::Mdy,
            None => self.order(location)?,
        };
        Ok(TimeReading::Written { order, is_told: self.parts > 0 })
    }

    fn order(&self, location: &str) -> Result<Order> {
        let most = self.fits_order.iter().max().copied().unwrap_or(0);
        let best: Vec<Order> =
            (0..3).filter(|i| self.fits_order[*i] == most).map(|i| ORDERS[i]).collect();
        match (&best[..], &self.first_ambiguous) {
            // Dots are between day, month and year alone.
            _ if !self.other_than_dotted => Ok(Order::Dmy),
            ([order], _) => Ok(*order),
            (_, None) => Ok(best[0]),
            (_, Some(cell)) => {
                let expected = match self.short_year {
                    true => {
                        "a date of which the column tells what is day, month and year: pass \
                             --day-first, --no-day-first or --time-format"
                    }
                    false => {
                        "a date of which the column tells what is day and month: pass \
                              --day-first or --no-day-first"
                    }
                };
                Err(bad_line(location, cell.line, expected, &cell.text))
            }
        }
    }
}

/// How the times of a column are read.
#[derive(Debug, Clone)]
pub(super) enum TimeReading {
    /// As they are written; with the order of dates as `02/08/2022`, and whether there are such.
    Written {
        order: Order,
        is_told: bool,
    },
    Format(String),
    Epoch(TimeUnit),
}

impl TimeReading {
    /// What the options say, if they do.
    fn by_options(options: &PointsOptions) -> Option<Self> {
        let format = options.time_format.clone().map(TimeReading::Format);
        format.or(options.time_unit.map(TimeReading::Epoch))
    }

    /// What a text says.
    pub(super) fn read(&self, text: &str) -> Option<Stamp> {
        match self {
            TimeReading::Written { order, .. } => written(text)?.stamp(*order),
            TimeReading::Format(format) => by_format(format, text.trim()),
            TimeReading::Epoch(unit) => by_unit(text, *unit),
        }
    }

    /// How it is reported: `, day first`.
    pub(super) fn reported(&self) -> String {
        match self {
            TimeReading::Written { is_told: false, .. } => String::new(),
            TimeReading::Written { order: Order::Dmy, .. } => ", day first".into(),
            TimeReading::Written { order: Order::Mdy, .. } => ", month first".into(),
            TimeReading::Written { order: Order::Ymd, .. } => ", year first".into(),
            TimeReading::Format(format) => format!(", as {format}"),
            TimeReading::Epoch(unit) => format!(", {unit} since 1970"),
        }
    }
}

/// What a text says where options tell how times are written; the outer `None` if they do not.
fn asked(options: &PointsOptions, text: &str) -> Option<Option<Stamp>> {
    match (&options.time_format, options.time_unit) {
        (Some(format), _) => Some(by_format(format, text.trim())),
        (None, Some(unit)) => Some(by_unit(text, unit)),
        (None, None) => None,
    }
}

fn by_unit(text: &str, unit: TimeUnit) -> Option<Stamp> {
    Some(Stamp { wall: epoch_ns(text.trim(), unit)?, offset: Some(0) })
}

fn by_format(format: &str, text: &str) -> Option<Stamp> {
    let parsed = jiff::fmt::strtime::parse(format, text).ok()?;
    let time = parsed.to_date().ok()?.to_datetime(match parsed.hour() {
        Some(_) => parsed.to_time().ok()?,
        None => jiff::civil::Time::midnight(),
    });
    let since = time.duration_since(Date::constant(1970, 1, 1).at(0, 0, 0, 0));
    Some(Stamp { wall: since.as_nanos(), offset: parsed.offset().map(|offset| offset.seconds()) })
}

/// A count of units since 1970, as `1730426400.25`, in ns.
fn epoch_ns(text: &str, unit: TimeUnit) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 20 || !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let digits = unit.ns().ilog10() as usize;
    let part = part.trim_end_matches('0');
    let part = (part.len() <= digits).then(|| format!("{part:0<digits$}"))?;
    let part = if part.is_empty() { 0 } else { part.parse::<i128>().ok()? };
    Some(sign * (whole.parse::<i128>().ok()? * i128::from(unit.ns()) + part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::process::parse_time;

    fn read(text: &str, order: Order) -> Option<i128> {
        let stamp = written(text)?.stamp(order)?;
        Some(stamp.wall - i128::from(stamp.offset.unwrap_or(0)) * 1_000_000_000)
    }

    /// Goal: the ways in which loggers write a time are read, and what is no time is not taken for one.
    #[test]
    fn a_time_is_read_as_it_is_written() {
        for (text, expected) in [
            ("2024-01-29 24:00", "2024-01-30 00:00"),
            ("2024-02-29T24:00:00", "2024-03-01 00:00"),
            ("2024-08-04 02:00:00 PM", "2024-08-04 14:00"),
            ("2024-08-04 12:05 am", "2024-08-04 00:05"),
            ("2024-08-04 12:05PM", "2024-08-04 12:05"),
            ("2024-01-01 00:00:00 UTC", "2024-01-01 00:00"),
            ("01.03.2013 00:00:00.605 GMT-0000", "2013-03-01 00:00:00.605"),
            ("2.8.2022 5:30", "2022-08-02 05:30"),
            ("02/08/22 05:30", "2022-08-02 05:30"),
            ("02/08/69", "1969-08-02"),
            ("2024-01-01T00:00:00+01:00", "2023-12-31 23:00"),
            ("2024-01-01 00:00 GMT+01:00", "2023-12-31 23:00"),
            ("20120201 000003660", "2012-02-01 00:00:03.660"),
            ("20120201T0102", "2012-02-01 01:02"),
            ("2011.12.08 18:49", "2011-12-08 18:49"),
            ("13-Aug-2022 1:02", "2022-08-13 01:02"),
            ("13 August 2022", "2022-08-13"),
            ("Aug 13, 2022 01:02 PM", "2022-08-13 13:02"),
            ("2010-3", "2010-03-01"),
            ("2010-03-13 05:30:01,25", "2010-03-13 05:30:01.25"),
        ] {
            let expected = parse_time(expected, None).unwrap();
            assert_eq!(read(text, Order::Dmy), Some(expected.into()), "{text}");
        }
        assert_eq!(read("13/08/2022", Order::Mdy), None);
        for text in [
            "",
            "x",
            "20100313",
            "2010",
            "2010.5",
            "1.299",
            "1 m",
            "2024-01-29 24:01",
            "2024-01-29 13:00 PM",
            "2024-01-29 0:00 PM",
            "2024-02-30",
            "31.04.2022",
            "2024-01-01 00:00 CEST",
            "2024-01-01 00:60",
            "02/08-2022",
            "2010-03 05:00",
            "1.2.3",
            "192.168.0.1",
        ] {
            assert_eq!(read(text, Order::Dmy), None, "{text}");
        }
    }

    /// Goal: numbers of units since 1970 are exact, also with a part behind the point.
    #[test]
    fn epochs_are_exact() {
        assert_eq!(epoch_ns("1730426400123", TimeUnit::Ms), Some(1_730_426_400_123_000_000));
        assert_eq!(epoch_ns("1548893400000000001", TimeUnit::Ns), Some(1_548_893_400_000_000_001));
        assert_eq!(epoch_ns("-0.25", TimeUnit::S), Some(-250_000_000));
        for (text, unit) in [("1.5", TimeUnit::Ns), ("", TimeUnit::S), ("1e9", TimeUnit::S)] {
            assert_eq!(epoch_ns(text, unit), None, "{text}");
        }
    }
}
