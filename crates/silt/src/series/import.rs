//! `silt series import`: points of files into a store.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;
use siltstone::Error;
use siltstone::series::described::{self, ImportOptions};
use siltstone::series::{self, Overlap, PointsOptions, StorageBackend};

use super::file_of;
use crate::console::Console;
use crate::exit::{Exit, Inputs, Outcome};
use crate::target::Target;
use crate::{human, interrupt};

/// Import points: CSV, Parquet and Arrow files, and what the described system wrote
///
/// A zip, a folder or a database of the described system is imported with its signals and histories, and importing it
/// once more changes nothing. Of a table the first column is the index, and each other one a series. Of several files, one that
/// cannot be taken is named on stderr and left behind, and the rest goes on; the exit code is 3 then.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt series import acc.zip --to sqlite:plant.db
  silt series import january.csv --to sqlite:plant.db --key plant/flow --tz Europe/Berlin
  silt series import february.csv --to sqlite:plant.db --key plant/flow --append --overlap skip")]
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

    /// The column of the index, if not the first
    #[arg(long, value_name = "COLUMN")]
    index: Option<String>,

    /// The time zone of times that say no offset
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,

    /// What stands between the fields, if it is not to be found
    #[arg(long, value_name = "CHAR")]
    separator: Option<char>,

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
        let ending = file.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        let table = ["csv", "tsv", "txt", "parquet", "pq", "arrow", "feather", "ipc"];
        let is_table = file.is_file() && table.contains(&ending.as_str());
        let given = match is_table {
            true => points(args, file, (backend.as_ref(), &mut written)),
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

fn points(
    args: &Import,
    file: &std::path::Path,
    (backend, written): (&dyn StorageBackend, &mut BTreeSet<String>),
) -> Outcome<Told> {
    let options = PointsOptions {
        index: args.index.clone(),
        time_zone: args.tz.clone(),
        separator: args.separator,
    };
    let read = series::read_points(file, &options)?;
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("points");
    let base = args.key.as_deref().or(args.dataset.as_deref()).unwrap_or(stem);
    let (mut lines, mut told) = (Vec::new(), Vec::new());
    let keyed: Vec<(String, series::Series)> = read
        .iter()
        .cloned()
        .map(|series| match (read.len(), args.key.is_some()) {
            (1, true) => (base.to_owned(), series),
            _ => (format!("{base}/{}", series.name().unwrap_or("value")), series),
        })
        .collect();
    let mut all = Vec::new();
    for (key, series) in keyed {
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
        all.push((key, series, overlap));
    }
    interrupt::check("importing")?;
    let appended = series::append_points(backend, &all)?;
    for ((key, series, _), done) in all.into_iter().zip(appended) {
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
    Ok((lines, json!({ "file": file.display().to_string(), "series": told }), false))
}
