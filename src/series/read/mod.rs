//! Files of points that a logger or another program wrote: delimited text, JSON lines, Parquet or Arrow; a column an index, and
//! each other a series.

mod column;
mod decode;
#[cfg(feature = "excel")]
mod excel;
mod index;
mod json_lines;
mod local;
mod number;
mod reading;
mod records;
mod table;
mod text;
mod time;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

pub(super) use column::{FileMarks, Profile, Role};
pub use decode::Encoding;
pub(super) use decode::lines_of;
pub(super) use index::{IndexReading, check_index, index_of};

use super::data::Series;
use super::index::IndexValues;
use crate::error::{Error, Result};
use crate::kernel::Packing;
use crate::table::Format;

/// How a file of points is read. What nobody says is found in the file; what cannot be found is refused, and the error
/// names the option of `silt series import`, which has the name of the field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PointsOptions {
    /// The column of the index; the first one if nobody says.
    pub index: Option<String>,
    /// The zone of index times that say no offset.
    pub time_zone: Option<String>,
    /// The sheet of a workbook; the one that has cells if nobody says.
    pub sheet: Option<String>,
    /// The character between the fields of a text.
    pub separator: Option<char>,
    /// The lines before the header.
    pub skip_lines: Option<u64>,
    /// Whether the first line is a header.
    pub header: Option<bool>,
    /// How the characters of a text are written; by its byte order mark, or UTF-8.
    pub encoding: Option<Encoding>,
    /// The decimal mark: `.` or `,`.
    pub decimal: Option<char>,
    /// The mark between thousands.
    pub thousands: Option<char>,
    /// Texts that say that nothing was measured, beside the usual ones.
    pub missing: Vec<String>,
    /// Columns that are texts, whatever they look like.
    pub text: Vec<String>,
    /// How the times of the index are written, as `%d.%m.%Y %H:%M`.
    pub time_format: Option<String>,
    /// Whether the day stands before the month in dates as `02/08/2022`.
    pub day_first: Option<bool>,
    /// The unit of index numbers that count from 1970-01-01 UTC.
    pub time_unit: Option<TimeUnit>,
    /// The column of the date, where date and time have a column each.
    pub date_column: Option<String>,
    /// The column of the time of the day.
    pub time_column: Option<String>,
    /// Which local time is meant where clocks go back.
    pub ambiguous: Ambiguous,
    /// What happens to a local time that clocks skip.
    pub nonexistent: Nonexistent,
    /// What happens to a cell that is no number in a column of numbers.
    pub bad_cells: BadCells,
}

impl PointsOptions {
    /// Whether a text, or a number, is one of [`missing`](Self::missing): `-999` is `-999.0` and `-999,0` too.
    fn is_missing_mark(&self, text: &str) -> bool {
        let number = |text: &str| -> Option<f64> {
            let comma = text.split_once(',').filter(|(_, part)| part.len() != 3);
            match comma {
                Some((whole, part)) => format!("{whole}.{part}").parse().ok(),
                None => text.parse().ok(),
            }
        };
        !self.missing.is_empty() && {
            let own = number(text);
            self.missing.iter().any(|mark| mark == text || (own.is_some() && own == number(mark)))
        }
    }
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl TimeUnit {
    pub(super) fn ns(self) -> i64 {
        match self {
            TimeUnit::S => 1_000_000_000,
            TimeUnit::Ms => 1_000_000,
            TimeUnit::Us => 1_000,
            TimeUnit::Ns => 1,
        }
    }

    /// The year of a count of this unit, given as ns, were it of another unit.
    fn year_of(self, ns: i128, unit: TimeUnit) -> i128 {
        const YEAR_NS: i128 = 31_556_952_000_000_000;
        1970 + (ns / i128::from(self.ns()) * i128::from(unit.ns())).div_euclid(YEAR_NS)
    }

    /// A note if counts of this unit are all of the year 1970, and of usual years were they of another unit.
    pub(super) fn suspicion(self, times: impl Iterator<Item = i128> + Clone) -> Option<String> {
        let (least, greatest) = (times.clone().min()?, times.max()?);
        let years = |unit: TimeUnit| [least, greatest].map(|ns| self.year_of(ns, unit));
        if years(self) != [1970, 1970] {
            return None;
        }
        let is_usual =
            |unit: &TimeUnit| years(*unit).iter().all(|year| (1980..=2100).contains(year));
        let other = [TimeUnit::S, TimeUnit::Ms, TimeUnit::Us].into_iter().find(is_usual)?;
        let [from, to] = years(other);
        let years = if from == to { to.to_string() } else { format!("{from} to {to}") };
        Some(format!("the times are of 1970: --time-unit {other} gives {years}"))
    }

    /// The error for a count that no time of a series holds; it names the unit that the count may have.
    pub(super) fn too_far(self, ns: i128, location: &str) -> Error {
        let year = |unit: TimeUnit| self.year_of(ns, unit);
        let units = [TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns];
        let other = units.into_iter().find(|unit| (1980..=2100).contains(&year(*unit)));
        let hint = other.map(|unit| format!(": --time-unit {unit} gives {}", year(unit)));
        let expected = format!("a time from 1677 to 2262{}", hint.unwrap_or_default());
        Error::invalid(location, expected, format!("the year {}", year(self)))
    }
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TimeUnit::S => "s",
            TimeUnit::Ms => "ms",
            TimeUnit::Us => "us",
            TimeUnit::Ns => "ns",
        })
    }
}

impl FromStr for TimeUnit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "s" => Ok(TimeUnit::S),
            "ms" => Ok(TimeUnit::Ms),
            "us" => Ok(TimeUnit::Us),
            "ns" => Ok(TimeUnit::Ns),
            _ => Err(Error::invalid("time unit", "s, ms, us or ns", format!("{text:?}"))),
        }
    }
}

/// Which local time is meant where clocks go back and show it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ambiguous {
    /// The order of the rows tells it; else it is refused.
    #[default]
    Infer,
    /// The first one.
    Earliest,
    /// The second one.
    Latest,
    /// It is refused.
    Refuse,
}

/// What happens to a local time that clocks skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nonexistent {
    /// It is refused.
    #[default]
    Refuse,
    /// It becomes the instant of the change.
    Shift,
}

/// What happens to a cell that is no number in a column of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BadCells {
    /// The file is refused, and the line named.
    #[default]
    Refuse,
    /// It is missing, and counted.
    Missing,
}

/// What was read of a file, and what each column was taken for.
#[derive(Debug, Clone)]
pub struct Points {
    /// A series for each column beside the index, named by its column.
    pub series: Vec<Series>,
    /// The columns: the index first, then those of the series in their order.
    pub columns: Vec<PointsColumn>,
    /// What else should be known: columns that were left out or named, lines that were passed over.
    pub notes: Vec<String>,
}

/// What a column was taken for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PointsColumn {
    /// Its name.
    pub name: String,
    /// What it was taken for: `timestamps of Europe/Madrid, day first`.
    pub taken_for: String,
    /// Its unit, if the file says it.
    pub units: Option<String>,
    /// The cells that say that nothing was measured.
    pub missing: u64,
    /// The cells that are left out because they are no number.
    pub bad_cells: u64,
    /// Some of them, with their lines.
    pub examples: Vec<(u64, String)>,
}

impl PointsColumn {
    fn new(name: &str, taken_for: String) -> Self {
        PointsColumn {
            name: name.to_owned(),
            taken_for,
            units: None,
            missing: 0,
            bad_cells: 0,
            examples: Vec::new(),
        }
    }
}

impl fmt::Display for PointsColumn {
    /// `level: numbers, 2 missing`, as a report has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "(no name)" } else { &self.name };
        write!(f, "{name}: {}", self.taken_for)?;
        if let Some(units) = &self.units {
            write!(f, " in {units}")?;
        }
        if self.missing > 0 {
            write!(f, ", {} missing", self.missing)?;
        }
        if self.bad_cells > 0 {
            write!(f, ", {} left out:", self.bad_cells)?;
            for (line, text) in &self.examples {
                write!(f, " {text:?} (line {line})")?;
            }
            if self.bad_cells > self.examples.len() as u64 {
                write!(f, " ...")?;
            }
        }
        Ok(())
    }
}

/// Reads the series of a file: one for each column beside the index, named by its column. JSON lines (`.jsonl`, `.ndjson`) have
/// a column a name.
///
/// The types of a text are found from all of its fields. A column of values is one of numbers if at least half of its
/// cells are; then each cell has to be a number, or to say that nothing was measured, or `bad_cells` tells what becomes of
/// it. An index of which at least half are times is one of times, and likewise for numbers. What can be read in two ways
/// is refused.
///
/// # Errors
/// [`Error::Invalid`] for a row that does not fit, naming its line, for what is ambiguous, naming the option that decides, and
/// for a column that is not there; [`Error::Corrupt`] for a file that is damaged.
///
/// # Example
/// ```
/// use siltstone::series::read_points;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.csv");
/// std::fs::write(&path, "time;flow\n13.08.2010 00:00;1,5\n13.08.2010 01:00;\n")?;
/// let read = read_points(&path, &Default::default())?;
/// assert_eq!((read.series[0].name(), read.series[0].len()), (Some("flow"), 2));
/// assert_eq!(read.columns[0].to_string(), "time: timestamps without a zone, day first");
/// assert_eq!(read.columns[1].to_string(), "flow: numbers with a decimal comma, 1 missing");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_points(path: impl AsRef<Path>, options: &PointsOptions) -> Result<Points> {
    let path = path.as_ref();
    check(options)?;
    if let Some(ending) = workbook(path) {
        return workbook_points(path, ending, options);
    }
    if options.sheet.is_some() {
        let got = "a file that is none";
        return Err(Error::invalid(path.display().to_string(), "a workbook for --sheet", got));
    }
    let packed = path.extension().and_then(|e| e.to_str()).is_some_and(Packing::is_ending);
    let (points, lines) = match Format::of_path(&path.with_extension(""))
        .filter(|format| packed && *format == Format::Jsonl)
        .or_else(|| Format::of_path(path))
    {
        Some(Format::Parquet | Format::Arrow) => (table::read(path, options)?, Vec::new()),
        Some(Format::Jsonl) => text::read_json(path, options)?,
        _ => text::read(path, options)?,
    };
    with_order(points, &lines)
}

/// The ending of a workbook.
fn workbook(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    ["xlsx", "xlsm", "xlsb", "xls", "ods"].contains(&&*ending).then_some(ending)
}

fn workbook_points(path: &Path, ending: String, options: &PointsOptions) -> Result<Points> {
    if !ending.starts_with("xlsx") && ending != "xlsm" {
        let (what, got) = (path.display().to_string(), format!("an .{ending} file"));
        return Err(Error::invalid(
            what,
            "a workbook as .xlsx: open it in Excel or LibreOffice and save it as .xlsx",
            got,
        ));
    }
    #[cfg(feature = "excel")]
    {
        let (points, lines) = text::read_sheet(path, options)?;
        with_order(points, &lines)
    }
    #[cfg(not(feature = "excel"))]
    {
        let _ = options;
        let expected = "a table that is no workbook: this build is without the feature `excel`";
        Err(Error::invalid(path.display().to_string(), expected, format!("an .{ending} file")))
    }
}

/// Adds a note if the index has a value twice, or falls.
fn with_order(mut points: Points, lines: &[u64]) -> Result<Points> {
    if let Some(note) = order_note(&points, lines)? {
        points.notes.push(note);
    }
    Ok(points)
}

fn check(options: &PointsOptions) -> Result<()> {
    let got = |text: Option<char>| format!("{:?}", text.map(String::from).unwrap_or_default());
    if options.decimal.is_some_and(|mark| !['.', ','].contains(&mark)) {
        return Err(Error::invalid("--decimal", ". or ,", got(options.decimal)));
    }
    if options.thousands.is_some() && options.thousands == options.decimal {
        return Err(Error::invalid(
            "--thousands",
            "another mark than --decimal",
            got(options.thousands),
        ));
    }
    if options.time_column.is_some() && options.date_column.is_none() {
        return Err(Error::invalid("--time-column", "--date-column beside it", "none"));
    }
    if options.time_format.is_some() && options.time_unit.is_some() {
        return Err(Error::invalid("--time-unit", "no --time-format beside it", "both"));
    }
    Ok(())
}

/// Says if the index has a value twice, or falls.
fn order_note(points: &Points, lines: &[u64]) -> Result<Option<String>> {
    let Some(series) = points.series.first() else { return Ok(None) };
    let values = IndexValues::of(series.index())?;
    let at = |row: usize| match lines.get(row) {
        Some(line) => format!("line {line}"),
        None => format!("row {}", row + 1),
    };
    let name = series.head().index.name.as_deref().unwrap_or("index");
    let twice: Vec<usize> =
        (1..values.len()).filter(|row| values.get(*row) == values.get(row - 1)).collect();
    let is_text = matches!(values, IndexValues::Text(_));
    let falls = (1..values.len()).find(|row| values.get(*row) < values.get(row - 1));
    if let Some(row) = falls.filter(|_| !is_text) {
        return Ok(Some(format!("the index {name:?} falls at {}", at(row))));
    }
    Ok(twice.first().map(|row| {
        let more = match twice.len() {
            1 => String::new(),
            2 => " and once more".into(),
            n => format!(" and {} more times", n - 1),
        };
        format!("the index {name:?} has a value twice at {}{more}", at(*row))
    }))
}
