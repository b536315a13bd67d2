//! `silt import series`, also called `silt series import`: points of files into a store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;
use siltstone::series::meteaudata::{self, ImportOptions};
use siltstone::series::{
    self, DryRunBackend, ImportPointsOptions, ImportedSeries, Overlap, Points, PointsOptions,
    StorageBackend, is_table,
};

use super::file_of;
use super::read_options::ReadArgs;
use crate::console::Console;
use crate::exit::{Exit, Failure, Inputs, Outcome};
use crate::terminal::escaped;
use crate::{human, interrupt};

/// Import points: CSV, JSON-lines, Excel, Parquet and Arrow files, and datasets of meteaudata
///
/// A zip, a folder or a database of meteaudata is imported with its signals and histories, and importing it
/// once more changes nothing. Of a table the first column is the index, and each other one a series; what each column is
/// taken for is printed on stderr, and what can be read in two ways is refused. Of several files, one that
/// cannot be taken is skipped and named on stderr, and the import goes on; the exit code is 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt import series acc.zip -o plant.db
  silt import series january.csv -o plant.db --key plant/flow --tz Europe/Berlin
  silt import series february.csv -o postgresql://host/plant --key plant/flow --append --overlap skip
  silt import series logger.csv --skip-lines 4 --day-first --dry-run")]
pub(crate) struct Import {
    /// The files, or a folder
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The store that gets the points, a file or an address; created if missing, with the folders above it
    #[arg(
        long,
        short,
        visible_alias = "to",
        value_name = "STORE",
        required_unless_present = "dry_run"
    )]
    output: Option<String>,

    /// The key of the series; of several columns, each has its name behind it: KEY/COLUMN. Several files are one series
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    key: Option<String>,

    /// The name of the dataset, if not its own
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    dataset: Option<String>,

    #[command(flatten)]
    read: ReadArgs,

    /// Put the points behind those that are there
    #[arg(long, conflicts_with = "overwrite")]
    append: bool,

    /// How to treat points that overlap stored ones
    #[arg(long, value_enum, default_value_t = Rule::Refuse, requires = "append")]
    overlap: Rule,

    /// Replace series that are there
    #[arg(long)]
    overwrite: bool,

    /// Stop at the first file that cannot be read, and keep nothing of it
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Rule {
    /// Nothing is kept
    Refuse,
    /// Skip points that are not later than the last stored one; those that are stored with another value are named, exit code 3
    Skip,
    /// Replace the stored points from the first new one to the last
    Replace,
    /// Keep both: new points go behind the stored ones, whatever their index
    Keep,
}

impl From<Rule> for Overlap {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Refuse => Overlap::Refuse,
            Rule::Skip => Overlap::Skip,
            Rule::Replace => Overlap::Replace,
            Rule::Keep => Overlap::Keep,
        }
    }
}

pub(crate) fn run(args: &Import, console: &mut Console) -> Outcome {
    interrupt::listen();
    let dataset = args.files.iter().find(|file| file.exists() && !is_table(file));
    if let (Some(dataset), true) = (dataset, args.read.options() != PointsOptions::default()) {
        let name = dataset.display();
        return Err(Failure::said(format!("{name}: options of tables do not apply to a dataset")));
    }
    let Some(output) = args.output.as_ref().filter(|_| !args.read.dry_run) else {
        let stored = args.output.as_deref().map(stored).transpose()?.flatten();
        let location = args.output.as_deref().unwrap_or("a new store");
        return import_files(args, &DryRunBackend::over(stored.as_deref(), location), console);
    };
    let target = file_of(output).map(siltstone::NewFile::at);
    let imported = open(output).and_then(|backend| import_files(args, backend.as_ref(), console));
    target.into_iter().for_each(|target| target.remove_if_empty(&["series", "series_record"]));
    imported
}

fn open(output: &str) -> Outcome<Box<dyn StorageBackend>> {
    Ok(match file_of(output) {
        Some(path) => Box::new(series::SqliteBackend::open(path)?),
        None => super::open(output)?,
    })
}

/// The store of an address, for a dry run, if it is there.
fn stored(output: &str) -> Outcome<Option<Box<dyn StorageBackend>>> {
    let is_there = match (file_of(output), output.split_once(':')) {
        (Some(path), _) => path.exists(),
        (None, Some(("parquet", path))) => Path::new(path.trim_start_matches("///")).exists(),
        _ => true,
    };
    is_there.then(|| super::open_read_only(output)).transpose()
}

fn import_files(args: &Import, backend: &dyn StorageBackend, console: &mut Console) -> Outcome {
    let (mut exit, mut inputs) = (Exit::Done, Inputs::default());
    let (mut all, mut written) = (Vec::new(), BTreeSet::new());
    for file in &args.files {
        let given = match is_table(file) {
            true => points(args, file, (backend, &mut written, console)),
            false => meteaudata(args, file, (backend, &mut written, console)),
        };
        let given = if args.strict { Some(given?) } else { inputs.take(file, given)? };
        let Some((lines, done, left)) = given else { continue };
        if left {
            exit = Exit::Skipped;
        }
        if console.json {
            all.push(done);
        } else {
            for line in lines {
                console.line(line)?;
            }
        }
    }
    let is_partial = inputs.end(console)?;
    if console.json {
        console.document(&json!({ "files": all }))?;
    }
    Ok(if is_partial { Exit::Skipped } else { exit })
}

/// Lines, the JSON of the same, and whether something was skipped.
type Reported = (Vec<String>, serde_json::Value, bool);

fn meteaudata(
    args: &Import,
    file: &Path,
    (backend, written, console): (&dyn StorageBackend, &mut BTreeSet<String>, &mut Console),
) -> Outcome<Reported> {
    let options = ImportOptions {
        name: args.dataset.clone(),
        overwrite: args.overwrite,
        strict: args.strict,
        written: written.clone(),
        ..ImportOptions::default()
    };
    let mut bar = console.progress("importing", "series");
    let report = meteaudata::import(backend, file, &options, &mut |done, all| bar.at(done, all));
    bar.end();
    let report = report?;
    written.extend(report.written.iter().cloned());
    let mut lines = vec![format!(
        "{}: {} series, {}; {} unchanged",
        file.display(),
        human::count(report.series),
        human::plural(report.points, "point"),
        human::count(report.unchanged)
    )];
    lines.extend(report.conflicts.iter().chain(&report.skipped).map(ToString::to_string));
    lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
    let left = !report.conflicts.is_empty() || !report.skipped.is_empty();
    let mut reported = serde_json::to_value(&report).unwrap_or_default();
    reported["file"] = json!(file.display().to_string());
    Ok((lines, reported, left))
}

/// What each column of a file was taken for, a line each.
fn understood(file: &Path, read: &Points) -> Vec<String> {
    let points = human::plural(read.series.first().map_or(0, |s| s.len() as u64), "row");
    let mut lines = vec![format!("{}: {points}", file.display())];
    lines.extend(read.columns.iter().map(|column| format!("  {column}")));
    lines.extend(read.notes.iter().map(|note| format!("  note: {note}")));
    lines.into_iter().map(escaped).collect()
}

fn points(
    args: &Import,
    file: &Path,
    (backend, written, console): (&dyn StorageBackend, &mut BTreeSet<String>, &Console),
) -> Outcome<Reported> {
    let read = series::read_points(file, &args.read.options())?;
    let mut lines = understood(file, &read);
    if !args.read.dry_run {
        lines.drain(..).for_each(|line| console.note(&line));
    }
    let rows = read.series.first().map_or(0, |series| series.len());
    let (columns, notes) = (read.columns.clone(), read.notes.clone());
    let options = ImportPointsOptions {
        key: args.key.clone(),
        dataset: args.dataset.clone(),
        stored: match (args.append, args.overwrite) {
            (true, _) => Some(args.overlap.into()),
            (false, true) => Some(Overlap::Overwrite),
            (false, false) => None,
        },
        written: written.clone(),
    };
    let imported = series::import_points(backend, file, read, &options)?;
    let mut left = false;
    for ImportedSeries { key, appended: done, .. } in &imported {
        let points = human::plural(done.points, "point");
        let more = match (done.skipped, done.replaced) {
            (skipped, _) if skipped == rows as u64 && done.conflicts == 0 && skipped > 0 => {
                lines.push(escaped(format!("{key}: unchanged")));
                continue;
            }
            (0, 0) => String::new(),
            (skipped, 0) => format!(", {} skipped", human::count(skipped)),
            (_, replaced) => format!(", {} replaced", human::count(replaced)),
        };
        lines.push(escaped(format!("{key}: {points}{more}")));
        if let Some(first) = &done.first_conflict {
            let conflicts = human::plural(done.conflicts, "conflict");
            console.warn(&format!("{}: {key}: {conflicts} skipped: {first}", file.display()));
            left = true;
        }
        lines.extend(done.widened.iter().map(|types| escaped(format!("{key}: widened: {types}"))));
    }
    written.extend(imported.iter().map(|series| series.key.clone()));
    let reported = json!({ "file": file.display().to_string(), "points": rows, "series": imported,
        "columns": columns, "notes": notes });
    Ok((lines, reported, left))
}
