//! Runs of other experiment trackers, into the experiment store.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! # let run = folder.path().join("mlruns/0/a1");
//! # std::fs::create_dir_all(run.join("metrics")).unwrap();
//! # std::fs::write(folder.path().join("mlruns/0/meta.yaml"), "experiment_id: '0'\nname: Default\n").unwrap();
//! # std::fs::write(run.join("meta.yaml"), "run_id: a1\nstatus: 3\nstart_time: 0\nend_time: 5\n").unwrap();
//! # std::fs::write(run.join("metrics/loss"), "1 0.5 0\n2 nan 1\n").unwrap();
//! # let mlruns = folder.path().join("mlruns");
//! use siltstone::Database;
//! use siltstone::experiment::trackers::{Kind, Options, import};
//!
//! let target = Database::builder(folder.path().join("runs.db")).open()?;
//! let report = import(&mlruns, &target, &Options::new(Kind::Mlflow), &mut |_, _| Ok(()))?;
//! assert_eq!((report.imported, report.found.points), (vec!["a1".to_owned()], 2));
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! A run becomes a simulation of the same id. Its parameters are the simulation's parameters, its metrics are rows of
//! `simulation_metrics`, and what else is known of it (name, tags, parent, names of artifacts) is in its provenance.
//! An import compares with what is there: a run that grew since is continued, and a second import changes nothing. What a
//! tracker lets change of a run, such as its status, is taken. A point, a row or an array that the source has otherwise than the
//! file, and a parameter where those are fixed, is skipped and named, and the stored one stays.

mod detect;
mod files;
mod message;
mod mlflow;
mod netlogo;
mod put;
mod run;
mod sacred;
mod tensorboard;
mod trackio;
mod values;
mod wandb;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use serde::Serialize;

use super::compact;
use crate::error::{Error, Result};
use crate::kernel::{Database, Progress, Skipped, check_interrupted, interruptible, receive};
pub(crate) use detect::{in_file, in_folder, is_netlogo};
pub(crate) use mlflow::DATABASE as MLFLOW;
use put::Put;
use run::Run;
pub(crate) use trackio::DATABASE as TRACKIO;

/// A tracker whose runs can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// MLflow: a folder `mlruns`, its SQLite database, or a folder with either or both.
    Mlflow,
    /// TensorBoard: event files.
    Tensorboard,
    /// Sacred: its file store.
    Sacred,
    /// trackio: the SQLite database of a project.
    Trackio,
    /// Weights & Biases: runs that were logged offline.
    Wandb,
    /// NetLogo's BehaviorSpace: a table or a spreadsheet of an experiment.
    Netlogo,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 6] =
        [Kind::Mlflow, Kind::Tensorboard, Kind::Sacred, Kind::Trackio, Kind::Wandb, Kind::Netlogo];

    /// Its name: `mlflow`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Mlflow => "mlflow",
            Kind::Tensorboard => "tensorboard",
            Kind::Sacred => "sacred",
            Kind::Trackio => "trackio",
            Kind::Wandb => "wandb",
            Kind::Netlogo => "netlogo",
        }
    }

    /// What it reads, in a line.
    pub fn summary(self) -> &'static str {
        match self {
            Kind::Mlflow => {
                "MLflow: a folder mlruns, its SQLite database mlflow.db, or a folder with either or both"
            }
            Kind::Tensorboard => "TensorBoard: event files, and folders with some",
            Kind::Sacred => "Sacred: the folder of its file store",
            Kind::Trackio => "trackio: the SQLite database of a project",
            Kind::Wandb => {
                "Weights & Biases: the folder wandb with offline runs, or a file run-ID.wandb"
            }
            Kind::Netlogo => "NetLogo: a table or a spreadsheet of BehaviorSpace",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Kind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names = Kind::ALL.map(Kind::name).join(", ");
            Error::invalid("the kind of an import", names, format!("{text:?}"))
        })
    }
}

/// How runs are imported.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The tracker that wrote them.
    pub kind: Kind,
    /// A text in front of each id, for trackers whose ids are not unique between folders; empty unless set.
    pub prefix: String,
    /// Whether runs that are over become column blocks, which take less space and time, and which SQLite alone cannot read; not
    /// unless set.
    pub compact: bool,
}

impl Options {
    /// Those of a tracker, with its own ids.
    pub fn new(kind: Kind) -> Self {
        Options { kind, prefix: String::new(), compact: false }
    }

    /// Puts a text in front of each id.
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Options { prefix: prefix.into(), ..self }
    }

    /// Whether runs that are over are compacted.
    pub fn compact(self, compact: bool) -> Self {
        Options { compact, ..self }
    }
}

/// How much a source has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Found {
    /// Runs that could be read.
    pub runs: u64,
    /// Their parameters.
    pub parameters: u64,
    /// Their tags.
    pub tags: u64,
    /// Names of metrics, each counted once a run.
    pub metrics: u64,
    /// Points of metrics.
    pub points: u64,
    /// Texts logged at a step.
    pub texts: u64,
    /// Arrays and histograms logged at a step.
    pub arrays: u64,
    /// Files of runs, whose names are kept.
    pub artifacts: u64,
}

/// What an import understood and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The tracker.
    pub kind: Kind,
    /// What the source was taken for.
    pub understood: String,
    /// What it has.
    pub found: Found,
    /// Runs that were imported, by their ids in the file; of a dry run, those that were read.
    pub imported: Vec<String>,
    /// Runs that were there and had changed or grown: what was new was added.
    pub continued: Vec<String>,
    /// Runs that were there, and of which the source has nothing new.
    pub unchanged: Vec<String>,
    /// What changed of continued runs beside their records (`status`, `parameters`), and of how many.
    pub changed: Vec<(String, u64)>,
    /// Records that were written.
    pub rows: u64,
    /// What is not finished in the source: a run that is still written, a last record of which a part is there.
    pub notes: Vec<String>,
    /// Kinds of things that this import does not carry, and how many of them the source has.
    pub not_carried: Vec<(String, u64)>,
    /// What could not be read, and values that differ from the stored ones, which stay: skipped.
    pub skipped: Vec<Skipped>,
    /// Whether each bad line is named, and not the first ones alone.
    #[serde(skip)]
    names_all: bool,
}

impl Report {
    fn new(kind: Kind) -> Self {
        Report {
            kind,
            understood: String::new(),
            found: Found::default(),
            imported: Vec::new(),
            continued: Vec::new(),
            unchanged: Vec::new(),
            changed: Vec::new(),
            rows: 0,
            notes: Vec::new(),
            not_carried: Vec::new(),
            skipped: Vec::new(),
            names_all: false,
        }
    }

    /// Adds what was said of reading a run.
    fn add(&mut self, read: Report) {
        self.notes.extend(read.notes);
        self.skipped.extend(read.skipped);
        read.not_carried.iter().for_each(|(what, n)| self.leave_out(what, *n));
    }

    /// Counts things that are not carried.
    fn leave_out(&mut self, what: &str, n: u64) {
        match self.not_carried.iter_mut().find(|(known, _)| known == what) {
            Some((_, all)) => *all += n,
            None if n > 0 => self.not_carried.push((what.to_owned(), n)),
            None => {}
        }
    }
}

/// What is interrupted.
const ACTION: &str = "importing runs";

/// The runs of a folder or file, as one tracker has them.
trait Source: Sync {
    /// How many there are.
    fn len(&self) -> usize;
    /// The file or folder of one of them.
    fn location(&self, run: usize) -> PathBuf;
    /// Reads one; what is amiss with parts of it goes into the report. `None` if there is nothing of it yet.
    fn read(&self, run: usize, report: &mut Report) -> Result<Option<Run>>;
}

/// Imports the runs of a tracker, each in one transaction. A run that cannot be read is skipped and named in the report, and
/// the others go on. The source is never written to. `progress` gets the runs that are done, and all.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Invalid`] for a source that is not there or is none of the tracker; those of the target.
/// Runs that were imported until then stay, and the same call goes on with the others.
pub fn import(
    source: impl AsRef<Path>,
    target: &Database,
    options: &Options,
    progress: &mut Progress<'_>,
) -> Result<Report> {
    read(source.as_ref(), Some(target), options, progress)
}

/// Reads the runs of a tracker as [`import`] does, and says what it understood; nothing is written.
///
/// # Errors
/// As [`import`], of the source.
pub fn inspect(
    source: impl AsRef<Path>,
    options: &Options,
    progress: &mut Progress<'_>,
) -> Result<Report> {
    read(source.as_ref(), None, options, progress)
}

fn read(
    path: &Path,
    target: Option<&Database>,
    options: &Options,
    progress: &mut Progress<'_>,
) -> Result<Report> {
    if !path.exists() {
        return Err(Error::NotFound {
            what: "file or folder",
            name: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            location: crate::kernel::folder_of(path).display().to_string(),
        });
    }
    let mut report = Report::new(options.kind);
    report.names_all = target.is_none();
    let source = open(path, &mut report)?;
    let n = source.len();
    let mut take = |i: usize, (run, read): Read| {
        report.add(read);
        let Err(error) = run.and_then(|run| match run {
            Some(run) => one(&*source, i, run, target, options, &mut report),
            None => Ok(()),
        }) else {
            return Ok(());
        };
        let location = source.location(i);
        if !error.concerns(&location) && !error.concerns(path) {
            return Err(error);
        }
        report.skipped.push(Skipped::new(location, error));
        Ok(())
    };
    read_ahead(&*source, options.kind, |from| {
        for i in 0..n {
            progress(i as u64, n as u64)?;
            check_interrupted(ACTION)?;
            match receive(from, ACTION)? {
                Some(read) => take(i, read)?,
                None => break, // it panicked, which is told below
            }
        }
        Ok(())
    })?;
    progress(n as u64, n as u64)?;
    Ok(report)
}

/// A run, and what the report says of reading it.
type Read = (Result<Option<Run>>, Report);

/// Reads the runs in a thread of its own, the next one while `take` has one.
fn read_ahead(
    source: &dyn Source,
    kind: Kind,
    take: impl FnOnce(&Receiver<Read>) -> Result<()>,
) -> Result<()> {
    let (send, from) = sync_channel(0);
    let over = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let stop = over.clone();
        let reader = scope.spawn(move || {
            interruptible(
                move || stop.load(Ordering::Relaxed),
                || {
                    for i in 0..source.len() {
                        let mut report = Report::new(kind);
                        let run = source.read(i, &mut report);
                        if send.send((run, report)).is_err() {
                            break; // nobody takes it any more
                        }
                    }
                },
            );
        });
        let taken = take(&from);
        over.store(true, Ordering::Relaxed);
        drop(from);
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        taken
    })
}

/// Opens the source of a report.
fn open(path: &Path, report: &mut Report) -> Result<Box<dyn Source>> {
    match report.kind {
        Kind::Mlflow => mlflow::open(path, report),
        Kind::Tensorboard => tensorboard::open(path, report),
        Kind::Sacred => sacred::open(path, report),
        Kind::Trackio => trackio::open(path, report),
        Kind::Wandb => wandb::open(path, report),
        Kind::Netlogo => netlogo::open(path, report),
    }
}

fn one(
    source: &dyn Source,
    i: usize,
    mut run: Run,
    target: Option<&Database>,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    run.add_prefix(&options.prefix);
    super::id::check_id("the id of a run", &run.id)?;
    let (id, found) = (run.id.clone(), run.count());
    report.leave_out("arrays that were logged again at their step", run.repeated_arrays());
    if run.unnamed > 0 {
        let why = "names that are empty, or have more than 255 characters or a NUL; texts and arrays of a step below 0";
        report
            .skipped
            .push(Skipped::new(source.location(i), why).table("points").rows(run.unnamed));
    }
    if let (n, Some(first)) = &run.inexact {
        let why = format!("run {id}: integers that no float is equal to, the first {first}");
        report.skipped.push(Skipped::new(source.location(i), why).table("points").rows(*n));
    }
    match target {
        None => report.imported.push(id),
        Some(target) => {
            run.sort();
            let compact = options.compact && run.is_over();
            let (options, file) = (options.clone(), target.path().display().to_string());
            let done = target.write(move |tx| put::put(tx, &options, &run, &file))?;
            report.rows += done.rows;
            for what in done.changed {
                match report.changed.iter_mut().find(|(known, _)| known == what) {
                    Some((_, runs)) => *runs += 1,
                    None => report.changed.push((what.to_owned(), 1)),
                }
            }
            if done.conflicts.n > 0 {
                let (n, named) = (done.conflicts.n, done.conflicts.named);
                let more = if n > named.len() as u64 { "; ..." } else { "" };
                let why = format!("run {id}: {}{more}; the stored values stay", named.join("; "));
                let skipped = Skipped::new(source.location(i), why);
                report.skipped.push(skipped.table("changed values").rows(n));
            }
            if compact && done.put != Put::Imported {
                compact::compact(target, &id)?;
            }
            match done.put {
                Put::Imported => report.imported.push(id),
                Put::Continued => report.continued.push(id),
                Put::Unchanged => report.unchanged.push(id),
            }
        }
    }
    report.found.add(&found);
    Ok(())
}

impl Found {
    fn add(&mut self, other: &Found) {
        self.runs += other.runs;
        self.parameters += other.parameters;
        self.tags += other.tags;
        self.metrics += other.metrics;
        self.points += other.points;
        self.texts += other.texts;
        self.arrays += other.arrays;
        self.artifacts += other.artifacts;
    }
}
