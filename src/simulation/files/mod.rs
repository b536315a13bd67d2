//! Files of other simulators, and tables of states, into a database.
//!
//! A source is read twice: first to see what it holds, so that what is ambiguous is refused before anything is stored; then
//! into updates, one for all rows of a time.

mod build;
mod delimited;
mod epanet;
mod profile;
mod rows;
mod storing;
mod sumo;
mod table;

use std::path::Path;
use std::str::FromStr;

use self::build::Builder;
pub(crate) use self::epanet::is_epanet;
use self::profile::Profile;
use self::rows::{Bad, Clock, Source};
use self::storing::Storing;
pub(crate) use self::sumo::is_sumo;
use super::database::SimulationDatabase;
use super::difference::Conflict;
use crate::error::{Error, Result};
use crate::kernel::{Progress, Skipped};

/// Whose file it is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FileFormat {
    /// A table of states: delimited text (also packed as `.gz` or `.zst`), Parquet or Arrow.
    States(StatesOptions),
    /// SUMO's output of floating car data (`fcd`): XML (also packed as `.gz` or `.zst`), CSV of SUMO or of its `xml2csv`, or
    /// Parquet. Vehicles, persons and containers are the groups; who leaves becomes undefined. In the tables that SUMO
    /// writes itself persons stand among the vehicles, and a timestep without any is missing.
    Sumo,
    /// EPANET's binary output (`.out`): a period is an update of the groups `nodes` and `links`. What does not change, such as
    /// names and lengths, comes with the first one; the energy of pumps is not read.
    Epanet,
}

/// How the rows and columns of a table say who has which value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// A row an entity and time. The column of the entities' ids; every other one is an attribute.
    Long(String),
    /// A row a time, a column an entity. The attribute whose values they are.
    Wide(String),
}

/// What no value means: an empty cell, and an entity without a row at a later time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The value before it stays.
    Keep,
    /// It is undefined from then on.
    Clear,
}

impl FromStr for Missing {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "keep" => Ok(Missing::Keep),
            "clear" => Ok(Missing::Clear),
            _ => Err(Error::invalid("missing", "keep or clear", format!("{text:?}"))),
        }
    }
}

/// How a table of states is read. An error names the option of `silt import states`, which has the name of the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatesOptions {
    /// The column of the times.
    pub time: String,
    /// Which columns are ids and attributes.
    pub layout: Layout,
    /// The entity group.
    pub group: String,
    /// The columns that are taken; every one if empty.
    pub columns: Vec<String>,
    /// What no value means. It has to be said only if there is none somewhere.
    pub missing: Option<Missing>,
    /// The character between fields: found in the first line if nobody says.
    pub separator: Option<char>,
    /// The decimal mark of a text, `.` or `,`. It has to be said only where numbers may have another than a point.
    pub decimal: Option<char>,
    /// The mark between the thousands of a text's numbers.
    pub thousands: Option<char>,
}

/// What to import of a file, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct FileOptions {
    /// Whose file it is.
    pub format: FileFormat,
    /// The dataset of the updates.
    pub dataset: String,
    /// The iteration of the updates: 0, or another one for a second file with the same times of the same dataset.
    pub iteration: i64,
    /// What a timestamp counts, in the unit of the file's times: 0.001 makes milliseconds of seconds. Without it times must
    /// be integers.
    pub time_unit: Option<f64>,
    /// Whether the file is finished: a last line of text without a newline is whole then, and not left out as one that may be cut.
    pub finished: bool,
}

impl FileOptions {
    /// Of SUMO's output: milliseconds, as SUMO itself counts, of the dataset `traffic`.
    pub fn sumo() -> Self {
        let dataset = "traffic".to_owned();
        FileOptions {
            format: FileFormat::Sumo,
            dataset,
            iteration: 0,
            time_unit: Some(0.001),
            finished: false,
        }
    }

    /// Of EPANET's output: seconds, of the dataset `network`.
    pub fn epanet() -> Self {
        let dataset = "network".to_owned();
        FileOptions {
            format: FileFormat::Epanet,
            dataset,
            iteration: 0,
            time_unit: None,
            finished: false,
        }
    }
}

/// What an import of a file did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct FileReport {
    /// What the file was taken for.
    pub taken_for: String,
    /// Rows of it that were taken.
    pub rows: u64,
    /// Updates stored now; of a dry run, those that there are.
    pub updates: u64,
    /// Updates that were in the database already, with the same content.
    pub unchanged: u64,
    /// Rows that were skipped.
    pub rows_skipped: u64,
    /// What was skipped, with the first rows of it.
    pub skipped: Vec<Skipped>,
    /// Updates that the database has with another content; that stays.
    pub conflicts: Vec<Conflict>,
    /// Whether the file ends early: it is still written, or was cut off.
    pub ends_early: bool,
}

impl FileReport {
    /// Whether all of the file is in the database.
    pub fn is_complete(&self) -> bool {
        self.skipped.is_empty() && self.conflicts.is_empty()
    }
}

/// Imports a file of another simulator, or a table of states; without a database it reads and counts only.
///
/// All rows of a time become one update. Entities that are named by texts get numbers, in the order in
/// which they come, after those that the group has; the text is kept as an attribute. A row that is malformed is skipped
/// and named. What the database has already is compared: the same stays unchanged, so that the same call resumes an
/// interrupted import; another content is a conflict, and what the database has stays. Of a file that grows the last update
/// may have been stored with some of its rows: it is replaced if the database was opened with
/// [`OnRepeat::Replace`](super::OnRepeat::Replace).
///
/// `progress` gets updates done and in all, and stops the import by returning an error; what was stored until then stays.
///
/// # Errors
/// [`Error::Invalid`] for a file that is none of its format, or of which an option has to say more: nothing was stored.
/// [`Error::Corrupt`] for one that is damaged, [`Error::Io`]; the error of `progress`.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use siltstone::simulation::{FileFormat, FileOptions, Layout, SimulationDatabase, StatesOptions, import_file};
///
/// let path = folder.path().join("cars.csv");
/// std::fs::write(&path, "t,car,speed\n0,a,1.5\n0,b,2\n1,a,3\n1,b,2.5\n")?;
/// let states = StatesOptions {
///     time: "t".into(),
///     layout: Layout::Long("car".into()),
///     group: "cars".into(),
///     columns: vec![],
///     missing: None,
///     separator: None,
///     decimal: None,
///     thousands: None,
/// };
/// let dataset = "traffic".to_owned();
/// let options = FileOptions { format: FileFormat::States(states), dataset, ..FileOptions::epanet() };
/// let db = SimulationDatabase::open(folder.path().join("run.db"))?;
/// let report = import_file(Some(&db), &path, &options, &mut |_, _| Ok(()))?;
/// assert_eq!((report.updates, report.is_complete()), (2, true));
/// assert_eq!(db.state_at("traffic", "cars", 1)?.values::<f64>("speed")?, [3.0, 2.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn import_file(
    db: Option<&SimulationDatabase>,
    path: impl AsRef<Path>,
    options: &FileOptions,
    progress: &mut Progress<'_>,
) -> Result<FileReport> {
    let path = path.as_ref();
    match &options.format {
        FileFormat::States(states) => {
            let source = table::open(path, states, options.finished)?;
            import_rows((db, path), source, (options, states.missing), progress)
        }
        FileFormat::Sumo => import_rows(
            (db, path),
            sumo::open(path, options.finished)?,
            (options, Some(Missing::Clear)),
            progress,
        ),
        FileFormat::Epanet => import_periods((db, path), options, progress),
    }
}

/// Imports an output of EPANET.
fn import_periods(
    (db, path): (Option<&SimulationDatabase>, &Path),
    options: &FileOptions,
    progress: &mut Progress<'_>,
) -> Result<FileReport> {
    let clock = Clock::new(options.time_unit)?;
    let mut output = epanet::open(path, clock)?;
    let mut storing = Storing::new(db, path, &options.dataset, output.periods)?;
    while let Some(update) = output.next_update(options, clock)? {
        storing.push(update, progress)?;
    }
    let mut report = storing.finish(progress)?;
    (report.taken_for, report.rows) = (output.taken_for, output.rows);
    report.ends_early = output.ends_early.is_some();
    report.skipped.extend(output.ends_early.map(|why| Skipped::new(path, why)));
    Ok(report)
}

/// Imports a source of rows.
fn import_rows(
    (db, path): (Option<&SimulationDatabase>, &Path),
    mut source: Box<dyn Source>,
    (options, missing): (&FileOptions, Option<Missing>),
    progress: &mut Progress<'_>,
) -> Result<FileReport> {
    let clock = Clock::new(options.time_unit)?.of(&*source);
    let profile = Profile::of(path, &mut *source, (clock, missing), progress)?;
    let mut storing = Storing::new(db, path, &options.dataset, profile.updates())?;
    let mut builder = Builder::new(db, options, &*source, &profile)?;
    let taken_for = profile.in_words(&*source, clock, |group, column| builder.dtype(group, column));
    let mut bad = Bad::new(path, db.is_none());
    // Nothing is stored of a file all of whose rows are bad, which may show only here.
    let mut waiting = Vec::new();
    let ends_early = source.read(&mut |found| {
        builder.take(found, clock, &mut bad)?;
        let is_hopeful = builder.rows() > 0 || bad.rows() == 0;
        if is_hopeful {
            waiting.drain(..).try_for_each(|update| storing.push(update, progress))?;
        } else {
            bad.check(0, false)?;
        }
        while let Some(update) = builder.next_update(false)? {
            match is_hopeful {
                true => storing.push(update, progress)?,
                false => waiting.push(update),
            }
        }
        Ok(())
    })?;
    if builder.rows() == 0 && bad.rows() > 0 {
        bad.check(0, true)?;
    }
    waiting.into_iter().try_for_each(|update| storing.push(update, progress))?;
    while let Some(update) = builder.next_update(true)? {
        storing.push(update, progress)?;
    }
    let mut report = storing.finish(progress)?;
    (report.taken_for, report.rows) = (taken_for, builder.rows());
    report.rows_skipped = bad.rows();
    report.skipped.extend(bad.into_skipped(missing));
    report.ends_early = ends_early.is_some();
    report.skipped.extend(ends_early.map(|why| Skipped::new(path, why)));
    Ok(report)
}
