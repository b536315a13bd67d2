//! `silt series import`: points of files into a store.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;
use siltstone::Error;
use siltstone::series::described::{self, ImportOptions};
use siltstone::series::{self, Overlap, Points, PointsOptions, StorageBackend};

use super::file_of;
use super::read_options::{ReadArgs, is_table, stem};
use crate::console::Console;
use crate::exit::{Exit, Failure, Inputs, Outcome};
use crate::target::Target;
use crate::{human, interrupt};

/// Import points: CSV, Parquet and Arrow files, and what the described system wrote
///
/// A zip, a folder or a database of the described system is imported with its signals and histories, and importing it
/// once more changes nothing. Of a table the first column is the index, and each other one a series; what each column is
/// taken for is printed on stderr, and what can be read in two ways is refused. Of several files, one that
/// cannot be taken is named on stderr and left behind, and the rest goes on; the exit code is 3 then.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt series import acc.zip --to sqlite:plant.db
  silt series import january.csv --to sqlite:plant.db --key plant/flow --tz Europe/Berlin
  silt series import february.csv --to sqlite:plant.db --key plant/flow --append --overlap skip
  silt series import logger.csv --to sqlite:plant.db --skip-lines 4 --day-first --dry-run")]
pub(crate) struct Import {
    /// The files, or a folder
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The store that gets the points; it is made if it is not there
    #[arg(long, value_name = "STORE")]
    to: String,

    /// The key of the series; of several columns, each has its name behind it: KEY/COLUMN. Several files are one series
    #[arg(long)]
    key: Option<String>,

    /// The name of the dataset, if not its own
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,

    #[command(flatten)]
    read: ReadArgs,

    /// Put the points behind those that are there
    #[arg(long)]
    append: bool,

    /// How to treat points that overlap stored ones
    #[arg(long, value_enum, default_value_t = Rule::Refuse, requires = "append")]
    overlap: Rule,

    /// Replace series that are there
    #[arg(long)]
    overwrite: bool,

    /// Keep nothing if anything cannot be read
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Rule {
    /// Nothing is kept
    Refuse,
    /// Skip points that are not later than the last stored one
    Skip,
    /// Replace the stored points from the first new one to the last
    Replace,
}

impl From<Rule> for Overlap {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Refuse => Overlap::Refuse,
            Rule::Skip => Overlap::Skip,
            Rule::Replace => Overlap::Replace,
        }
    }
}

pub(super) fn run(args: &Import, console: &mut Console) -> Outcome {
    interrupt::listen();
    if args.read.dry_run {
        return look(args, console);
    }
    let dataset = args.files.iter().find(|file| file.exists() && !is_table(file));
    if let (Some(dataset), true) = (dataset, args.read.options() != PointsOptions::default()) {
        let name = dataset.display();
        return Err(Failure::said(format!("{name}: options of tables do not apply to a dataset")));
    }
    let target = file_of(&args.to).map(Target::of);
    let imported = import_files(args, console);
    target.into_iter().for_each(|target| target.end(&["series", "series_record"]));
    imported
}

fn import_files(args: &Import, console: &mut Console) -> Outcome {
    let backend: Box<dyn StorageBackend> = match file_of(&args.to) {
        Some(path) => Box::new(series::SqliteBackend::open(path)?),
        None => super::open(&args.to)?,
    };
    let (mut exit, mut inputs) = (Exit::Done, Inputs::default());
    let (mut all, mut written) = (Vec::new(), BTreeSet::new());
    for file in &args.files {
        let given = match is_table(file) {
            true => points(args, file, (backend.as_ref(), &mut written, console)),
            false => described(args, file, (backend.as_ref(), console)),
        };
        let given = if args.strict { Some(given?) } else { inputs.take(file, given)? };
        let Some((lines, done, left)) = given else { continue };
        if left {
            exit = Exit::LeftBehind;
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
    Ok(if is_partial { Exit::LeftBehind } else { exit })
}

/// Lines, the JSON of the same, and whether something was left behind.
type Told = (Vec<String>, serde_json::Value, bool);

fn described(
    args: &Import,
    file: &std::path::Path,
    (backend, console): (&dyn StorageBackend, &mut Console),
) -> Outcome<Told> {
    let options = ImportOptions {
        name: args.dataset.clone(),
        overwrite: args.overwrite,
        strict: args.strict,
        ..ImportOptions::default()
    };
    let mut bar = console.progress("importing", "series");
    let report = described::import(backend, file, &options, |done, all| bar.at(done, all));
    bar.end();
    let report = report?;
    let mut lines = vec![format!(
        "{}: {} series, {}; {} unchanged",
        file.display(),
        human::count(report.series),
        human::plural(report.points, "point"),
        human::count(report.unchanged)
    )];
    for left in report.conflicts.iter().chain(&report.left_behind) {
        lines.push(format!("left behind: {}: {}", left.what, left.why));
    }
    lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
    let left = !report.conflicts.is_empty() || !report.left_behind.is_empty();
    let mut told = serde_json::to_value(&report).unwrap_or_default();
    told["file"] = json!(file.display().to_string());
    Ok((lines, told, left))
}

/// Says what each column of the files is taken for.
fn look(args: &Import, console: &mut Console) -> Outcome {
    let (mut inputs, mut all) = (Inputs::default(), Vec::new());
    for file in &args.files {
        if !is_table(file) {
            let name = file.display();
            return Err(Failure::said(format!("{name}: --dry-run reads tables, and this is none")));
        }
        let read = series::read_points(file, &args.read.options()).map_err(Failure::from);
        let Some(read) = inputs.take(file, read)? else { continue };
        if console.json {
            all.push(json!({ "file": file.display().to_string(), "columns": read.columns,
                "notes": read.notes, "points": read.series.first().map_or(0, |s| s.len()) }));
        } else {
            for line in understood(file, &read) {
                console.line(line)?;
            }
        }
    }
    let is_partial = inputs.end(console)?;
    if console.json {
        console.document(&json!({ "files": all }))?;
    }
    Ok(if is_partial { Exit::LeftBehind } else { Exit::Done })
}

/// What each column of a file was taken for, a line each.
fn understood(file: &std::path::Path, read: &Points) -> Vec<String> {
    let points = human::plural(read.series.first().map_or(0, |s| s.len() as u64), "row");
    let mut lines = vec![format!("{}: {points}", file.display())];
    lines.extend(read.columns.iter().map(|column| format!("  {column}")));
    lines.extend(read.notes.iter().map(|note| format!("  note: {note}")));
    lines
}

fn points(
    args: &Import,
    file: &std::path::Path,
    (backend, written, console): (&dyn StorageBackend, &mut BTreeSet<String>, &Console),
) -> Outcome<Told> {
    let Points { series: read, columns, notes } = {
        let read = series::read_points(file, &args.read.options())?;
        understood(file, &read).iter().for_each(|line| console.note(line));
        read
    };
    let stem = stem(file);
    let base = args.key.as_deref().or(args.dataset.as_deref()).unwrap_or(stem);
    let (mut lines, mut told) = (Vec::new(), Vec::new());
    let count = read.len();
    let keyed: Vec<(String, series::Series)> = read
        .into_iter()
        .map(|series| match (count, args.key.is_some()) {
            (1, true) => (base.to_owned(), series),
            _ => (format!("{base}/{}", series.name().unwrap_or("value")), series),
        })
        .collect();
    let mut all = Vec::new();
    for ((key, series), column) in keyed.into_iter().zip(&columns[1..]) {
        let overlap = if args.append {
            args.overlap.into()
        } else if args.key.is_some() && written.contains(&key) {
            // Several files to one key are one series.
            Overlap::Refuse
        } else if args.overwrite && !written.contains(&key) {
            Overlap::Overwrite
        } else if backend.exists(&key)? {
            let hint = match written.contains(&key) {
                true => "an earlier file has the same name; ask for --append, or take a --key",
                false => "ask for --append or --overwrite, or take another key",
            };
            let (what, place) = (format!("the series {key:?}"), backend.place());
            return Err(Error::Exists { what, place, hint }.into());
        } else {
            Overlap::Refuse
        };
        let units = column.units.iter().map(|units| ("units".to_owned(), json!(units)));
        all.push((key, series, units.collect(), overlap));
    }
    interrupt::check("importing")?;
    let appended = series::append_points(backend, &all)?;
    for ((key, series, ..), done) in all.into_iter().zip(appended) {
        let points = human::plural(done.points, "point");
        let more = match (done.skipped, done.replaced) {
            (0, 0) => String::new(),
            (skipped, 0) => format!(", {} skipped", human::count(skipped)),
            (_, replaced) => format!(", {} replaced", human::count(replaced)),
        };
        lines.push(format!("{key}: {points}{more}"));
        lines.extend(done.widened.iter().map(|types| format!("{key}: widened: {types}")));
        told.push(json!({ "key": key, "points": done.points, "skipped": done.skipped,
            "replaced": done.replaced, "values": series.values().data_type().to_string(),
            "widened": done.widened }));
        written.insert(key);
    }
    let told = json!({ "file": file.display().to_string(), "series": told, "columns": columns,
        "notes": notes });
    Ok((lines, told, false))
}
