//! InfluxDB: annotated CSV, which its queries give, and line protocol, which it is written in and exported as, into series.
//!
//! A series is a measurement, its tags and one field. Its key is `MEASUREMENT,TAG=VALUE,.../FIELD`, the tags by name, and its
//! metadata say the three apart. An import compares with what is there, so that a file that grew brings what is new.

mod annotated;
mod line;
mod points;
mod put;

use std::path::Path;

use serde::Serialize;

use self::points::Gathered;
use super::backend::StorageBackend;
use super::read::{TimeUnit, lines_of};
use crate::error::{Error, Result};
use crate::kernel::{Progress, Skipped};

/// How a file of InfluxDB is imported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InfluxOptions {
    /// What stands before each key, with `/` between; nothing unless set.
    pub key: Option<String>,
    /// What timestamps of line protocol count; ns, as the protocol has it, unless that makes them times of 1970.
    pub time_unit: Option<TimeUnit>,
    /// Whether a thousand lines that cannot be read are named, as a dry run wants, in place of three.
    pub names_all: bool,
    /// Whether the file is finished: a last line without a newline is whole then, and not skipped as one that may be cut.
    pub finished: bool,
}

/// What an import of a file of InfluxDB did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InfluxReport {
    /// What the file was taken for.
    pub taken_for: String,
    /// Series that the file has.
    pub series: u64,
    /// Points that the file has, each time of a series counted once.
    pub points: u64,
    /// Of these, stored now.
    pub added: u64,
    /// Of these, stored before with the same value.
    pub unchanged: u64,
    /// Points of line protocol that stand at a time of their series which comes again: the last one holds, as in InfluxDB.
    pub repeated: u64,
    /// Points that the store has with another value, which stays; and lines that could not be read.
    pub skipped: Vec<Skipped>,
    /// What else should be known.
    pub notes: Vec<String>,
}

/// Imports a file of InfluxDB: annotated CSV or line protocol, as its content says, also packed by gzip.
///
/// A line that cannot be read is skipped and named; so is a last line without an end, which may be cut inside a number. A
/// point that is stored with another value stays as it is stored, and is named too. `progress` gets the series that are
/// done and all; an interrupted import is resumed by the same call.
///
/// # Errors
/// [`Error::Invalid`] for a file that is neither, whose lines are for the greater part none, or whose times need
/// `time_unit`: nothing was stored. Those of the backend and of `progress`: the series before stay.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use siltstone::series::{InfluxOptions, MemoryBackend, StorageBackend, import_influx};
///
/// let path = folder.path().join("weather.lp");
/// std::fs::write(&path, "weather,station=A temp=15.4,ok=t 1715201400000000000\n")?;
/// let backend = MemoryBackend::new();
/// let report = import_influx(&backend, &path, &InfluxOptions::default(), &mut |_, _| Ok(()))?;
/// assert_eq!((report.series, report.added), (2, 2));
/// assert_eq!(backend.load("weather,station=A/temp")?.0.to_f64s(), Some(vec![15.4]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn import_influx(
    backend: &dyn StorageBackend,
    path: impl AsRef<Path>,
    options: &InfluxOptions,
    progress: &mut Progress<'_>,
) -> Result<InfluxReport> {
    let path = path.as_ref();
    let (text, is_cut) = lines_of(path, options.finished)?;
    let text = text.trim_start_matches('\u{feff}');
    if is_cut && text.trim().is_empty() {
        let expected = "a newline at the end of its only line, without which it may be cut (--finished if it is whole)";
        return Err(Error::invalid(path.display().to_string(), expected, "none"));
    }
    let mut gathered = Gathered::new(path, options);
    // Its first lines may be bad ones.
    let begins_badly = || text.lines().take(1_000).any(line::is_point);
    let kind = Kind::of(text, path).or_else(|error| match begins_badly() {
        true => Ok(Kind::LineProtocol),
        false => Err(error),
    })?;
    let taken_for = match kind {
        Kind::Annotated if options.time_unit.is_some() => {
            let expected = "line protocol for --time-unit";
            return Err(Error::invalid(path.display().to_string(), expected, "annotated CSV"));
        }
        Kind::Annotated => annotated::read(text, &mut gathered)?,
        Kind::LineProtocol => line::read(text, options.time_unit, &mut gathered)?,
    };
    if is_cut {
        let line = text.lines().count() + 1;
        let why = "it has no newline, and may be cut (--finished if it is whole)";
        gathered.note_bad(line as u64, why);
    }
    let mut report = put::put(backend, gathered, progress)?;
    report.taken_for = taken_for;
    Ok(report)
}

/// Whether a file that begins so is one of InfluxDB.
pub(crate) fn is_influx(begin: &str, path: &Path) -> bool {
    Kind::of(begin.trim_start_matches('\u{feff}'), path).is_ok()
}

enum Kind {
    Annotated,
    LineProtocol,
}

impl Kind {
    /// By the first line that is no comment.
    fn of(text: &str, path: &Path) -> Result<Self> {
        let refuse = |expected: &str, got: &str| {
            let got = format!("{:?}", got.chars().take(60).collect::<String>());
            Err(Error::invalid(path.display().to_string(), expected.to_owned(), got))
        };
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        if lines.next().is_some_and(annotated::is_annotation) {
            return Ok(Kind::Annotated);
        }
        let passed_over = text.split_inclusive('\n').take_while(|line| line::is_passed_over(line));
        let rest = &text[passed_over.map(str::len).sum::<usize>()..];
        let first = rest.lines().next().unwrap_or_default().trim();
        let begins = |begins: &[&str]| begins.iter().any(|begin| first.starts_with(begin));
        if begins(&["name,tags,time,", "name,time,"]) {
            let expected = "annotated CSV or line protocol; CSV of InfluxDB 1 is a table for silt series import \
                            --index time --time-unit ns";
            return refuse(expected, first);
        }
        if begins(&[",result,table", "result,table"]) {
            return refuse("annotated CSV with its lines #datatype, #group and #default", first);
        }
        match line::is_point(rest) {
            true => Ok(Kind::LineProtocol),
            false => refuse("annotated CSV or line protocol of InfluxDB", first),
        }
    }
}
