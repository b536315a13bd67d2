//! What a file is read into: rows of cells.

use std::path::Path;

use super::Missing;
use crate::array::DType;
use crate::error::{Error, Result};
use crate::kernel::Skipped;
use crate::table::marks::Marks;

/// Bad rows that are named, and those of a dry run.
const NAMED: usize = 3;
const NAMED_DRY: usize = 1_000;
/// So many bad rows, and more than good ones, are a file of something else.
const MOST_BAD: u64 = 100;

/// One cell of a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    Missing,
    Text(&'a str),
    Int(i64),
    Float(f64),
    /// Of a column whose dtype is known: its bytes, low byte first.
    Item(&'a [u8]),
}

/// One entity at one time.
pub(super) struct Row<'a> {
    pub(super) group: usize,
    pub(super) time: Cell<'a>,
    pub(super) id: Cell<'a>,
    pub(super) cells: &'a [Cell<'a>],
}

pub(super) enum What<'a> {
    Row(Row<'a>),
    /// No row: why it is none.
    Bad(String),
    /// A last line without an end, which may be cut: its time, if that is whole.
    Cut(Option<Cell<'a>>),
}

/// The type of a column: a dtype, or `None` for texts.
pub(super) type Type = Option<DType>;

/// What stands in a line.
pub(super) struct Found<'a> {
    pub(super) line: u64,
    pub(super) what: What<'a>,
}

/// Columns that belong together.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) group: String,
    /// Names, and types where they are known before the values are.
    pub(super) columns: Vec<(String, Option<Type>)>,
    /// The name of the column of ids.
    pub(super) id: String,
    /// Whether ids are texts, whatever they look like.
    pub(super) has_text_ids: bool,
}

pub(super) type Each<'a> = &'a mut dyn FnMut(Found<'_>) -> Result<()>;

/// A file that can be read from its beginning as often as one likes.
pub(super) trait Source {
    /// What the file was taken for.
    fn taken_for(&self) -> String;

    /// The groups; all are known, with all columns, once it was read.
    fn groups(&self) -> &[Columns];

    /// The marks of numbers in text.
    fn marks(&self) -> Marks {
        Marks::PLAIN
    }

    /// Whether they have to be said where numbers may have others.
    fn asks_for_marks(&self) -> bool {
        false
    }

    /// Reads all of it; why it ends early, if it does.
    fn read(&mut self, each: Each<'_>) -> Result<Option<String>>;
}

/// An integer with marks of numbers.
pub(super) fn marked_integer(text: &str, marks: Marks) -> Option<i64> {
    integer(&marks.plain(text)?)
}

/// An integer as programs write them: nothing in front that a number would lose.
pub(super) fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = text == "0" || digits.starts_with(|c: char| ('1'..='9').contains(&c));
    text.parse().ok().filter(|_| is_plain)
}

/// A number, also if it has zeros in front that it would lose.
fn any_number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// A number that is as exact as its text: no zeros in front, no integer that a float cannot hold.
pub(super) fn float(text: &str, marks: Marks) -> Option<f64> {
    let text = &*marks.plain(text)?;
    let digits = text.trim_start_matches(['-', '+']);
    let has_zeros =
        digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    let is_exact = |number: &f64| {
        let is_integer = digits.bytes().all(|c| c.is_ascii_digit());
        !is_integer || text.parse::<i64>().is_ok_and(|n| (*number as i128) == i128::from(n))
    };
    any_number(text).filter(|_| !has_zeros).filter(is_exact)
}

/// How times become timestamps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    unit: Option<f64>,
    pub(super) marks: Marks,
    /// Whether these have to be said where a time may have others.
    asks: bool,
}

/// Why a cell is no time.
pub(super) enum NoTime {
    /// It is none.
    Bad(String),
    /// An option has to say more.
    Unclear(Error),
}

impl Clock {
    pub(super) fn new(unit: Option<f64>) -> Result<Self> {
        match unit {
            Some(unit) if !unit.is_finite() || unit <= 0.0 => {
                Err(Error::invalid("time_unit", "a number above 0", unit.to_string()))
            }
            _ => Ok(Clock { unit, marks: Marks::PLAIN, asks: false }),
        }
    }

    pub(super) fn of(self, source: &dyn Source) -> Self {
        Clock { marks: source.marks(), asks: source.asks_for_marks(), ..self }
    }

    pub(super) fn in_words(self) -> String {
        let unit = self.unit.filter(|unit| *unit != 1.0);
        unit.map_or(String::new(), |unit| format!(" in units of {unit}"))
    }

    pub(super) fn timestamp(self, cell: Cell<'_>) -> Result<i64, NoTime> {
        let bad = |got: String| Err(NoTime::Bad(format!("time: expected a number, got {got}")));
        let (whole, number) = match cell {
            Cell::Int(n) => (Some(n), n as f64),
            Cell::Float(number) => (None, number),
            Cell::Text(text) => {
                let plain = self.marks.plain(text).unwrap_or_default();
                match (plain.parse().ok(), any_number(&plain)) {
                    (whole, Some(number)) => (whole, number),
                    (_, None) if self.asks && self.marks.are_others(text) => {
                        let expected = self.marks.expected();
                        let got = format!("{:?}", short(text));
                        return Err(NoTime::Unclear(Error::invalid("times", expected, got)));
                    }
                    (_, None) => return bad(format!("{:?}", short(text))),
                }
            }
            Cell::Missing => return bad("nothing".into()),
            Cell::Item(_) => return bad("something else".into()),
        };
        let time = match (whole, self.unit) {
            (Some(n), None | Some(1.0)) => n,
            (None, None) if number.is_finite() && number.fract() != 0.0 => {
                let expected = "integers, or what a timestamp counts (--time-unit): 0.001 makes \
                    milliseconds of seconds";
                return Err(NoTime::Unclear(Error::invalid("times", expected, number.to_string())));
            }
            (_, unit) => {
                let count = number / unit.unwrap_or(1.0);
                let nearest = count.round();
                if nearest.is_nan() || nearest.abs() >= i64::MAX as f64 {
                    return bad(number.to_string());
                }
                // As much as the rounding of two floats takes.
                if (count - nearest).abs() > (1e-9 * nearest.abs().max(1.0)).min(1e-4) {
                    let unit = unit.unwrap_or(1.0);
                    return Err(NoTime::Bad(format!(
                        "time: expected a multiple of {unit} (--time-unit), got {number}"
                    )));
                }
                nearest as i64
            }
        };
        match time {
            0.. => Ok(time),
            _ => Err(NoTime::Bad(format!("time: expected 0 or later, got {number}"))),
        }
    }
}

/// What is said of a last line without an end.
pub(super) fn no_end(line: u64) -> String {
    format!(
        "line {line} is the last one and has no newline, so that it may be cut: it and the rows of its time are left out; import \
         the file again when it is finished, with --finished if its last line is whole"
    )
}

/// A count and its noun: `1 row`, `2 rows`, `3 entities`.
pub(super) fn counted(n: u64, noun: &str) -> String {
    match noun.strip_suffix("ty") {
        _ if n == 1 => format!("1 {noun}"),
        Some(stem) => format!("{n} {stem}ties"),
        None => format!("{n} {noun}s"),
    }
}

/// The beginning of a text, for messages.
pub(super) fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Rows that are skipped.
pub(super) struct Bad<'a> {
    path: &'a Path,
    rows: u64,
    named: Vec<String>,
    most: usize,
}

impl<'a> Bad<'a> {
    pub(super) fn new(path: &'a Path, is_dry_run: bool) -> Self {
        let most = if is_dry_run { NAMED_DRY } else { NAMED };
        Bad { path, rows: 0, named: Vec::new(), most }
    }

    pub(super) fn push(&mut self, line: u64, why: &str) {
        self.rows += 1;
        if self.named.len() < self.most {
            self.named.push(format!("row {line}: {why}"));
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Refuses a file most of whose rows are none.
    pub(super) fn check(&self, good: u64, is_end: bool) -> Result<()> {
        let is_hopeless = self.rows >= MOST_BAD && self.rows > good || is_end && good == 0;
        if !is_hopeless {
            return Ok(());
        }
        let got = if self.named.is_empty() { "none".into() } else { self.named.join("; ") };
        Err(Error::invalid(self.path.display().to_string(), "rows that can be read", got))
    }

    /// What is said of them, and of their entities, which have no row then.
    pub(super) fn into_skipped(self, missing: Option<Missing>) -> Option<Skipped> {
        let then = match missing {
            Some(Missing::Keep) => "; an entity without a row at a time keeps what it had",
            Some(Missing::Clear) => "; an entity without a row at a time is undefined there",
            None => "",
        };
        let more = if self.rows > self.most as u64 { "; ..." } else { "" };
        let rows = counted(self.rows, "row");
        let reason = format!("{rows}: {}{more}{then}", self.named.join("; "));
        (self.rows > 0).then(|| Skipped::new(self.path, reason).rows(self.rows))
    }
}
