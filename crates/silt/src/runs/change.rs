//! What becomes of simulations: imported, merged, split, compacted, exported, deleted.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use siltstone::experiment::{self, ExportOptions, MergeReport, Retention, Which};
use siltstone::{CompactReport, Database};

use super::{Chosen, open, open_to_change};
use crate::console::Console;
use crate::exit::{Exit, Failure, Inputs, Outcome};
use crate::{human, interrupt};

/// Import AgentFarm databases into one file
///
/// A simulation that the target has already is skipped. A database or a simulation that cannot be read is skipped and named on
/// stderr, rows that cannot be taken are counted with the reason of the last, and the rest goes on; the exit code is 3
/// then. The sources are not changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt import experiment old-1.db old-2.db -o sweep.db
  silt import experiment old-1.db --dry-run")]
pub(crate) struct Import {
    /// The databases to read
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,

    /// Read all of it, say what was understood, and write nothing; without --output
    #[arg(long, conflicts_with = "output")]
    dry_run: bool,

    /// The database; created if missing, with the folders above it
    #[arg(long, short, value_name = "FILE", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
}

pub(crate) fn import(args: &Import, console: &mut Console) -> Outcome {
    interrupt::listen();
    let start = Instant::now();
    let missing = args.sources.iter().find(|source| !source.is_file());
    if let Some(missing) = missing {
        return Err(Failure::said(format!("{} is not a file", missing.display())));
    }
    let output = args.output.as_ref().filter(|_| !args.dry_run);
    let made = output.map(siltstone::NewFile::at);
    let (mut reports, mut inputs) = (Vec::new(), Inputs::default());
    let imported = import_all((&args.sources, output), (&mut reports, &mut inputs), console);
    made.into_iter().for_each(|made| made.remove_if_empty(&["simulations"]));
    imported?;
    let is_partial = inputs.end(console)?;
    let left: Vec<_> = reports.iter().flat_map(|report| &report.skipped).collect();
    for left in &left {
        console.warn(&left.to_string());
    }
    let path = args.output.as_ref().map(|path| path.display().to_string());
    if console.json {
        let document = json!({ "path": path, "dry_run": args.dry_run, "sources": reports });
        console.document(&document)?;
    } else {
        let rows: u64 = reports.iter().flat_map(|report| &report.rows).map(|(_, n)| n).sum();
        let n = |names: fn(&experiment::ImportReport) -> usize| {
            reports.iter().map(names).sum::<usize>() as u64
        };
        console.line(format!(
            "{}: {} of {} in {}; {} unchanged",
            path.filter(|_| !args.dry_run).unwrap_or_else(|| "found".into()),
            human::plural(n(|report| report.simulations.len()), "simulation"),
            human::plural(rows, "row"),
            human::duration(start.elapsed()),
            human::count(n(|report| report.unchanged.len())),
        ))?;
        if args.dry_run {
            console.line("dry run: nothing was written")?;
        }
    }
    Ok(if left.is_empty() && !is_partial { Exit::Done } else { Exit::Skipped })
}

fn import_all(
    (sources, output): (&[PathBuf], Option<&PathBuf>),
    (reports, inputs): (&mut Vec<experiment::ImportReport>, &mut Inputs),
    console: &Console,
) -> Outcome<()> {
    let target = output.map(|output| Database::builder(output).open()).transpose()?;
    let mut bar = console.progress("importing", "databases");
    for (done, source) in sources.iter().enumerate() {
        bar.at(done as u64, sources.len() as u64)?;
        let given = match &target {
            Some(target) => experiment::import(source, target),
            None => experiment::inspect(source),
        };
        let given = given.map_err(Failure::from);
        reports.extend(inputs.take(source, given)?);
    }
    bar.end();
    Ok(())
}

/// The simulations of some databases into one.
pub(crate) fn merge(sources: &[PathBuf], output: &Path, console: &mut Console) -> Outcome {
    let start = Instant::now();
    let mut bar = console.progress("merging", "simulations");
    let merged = experiment::merge(sources, output, &mut |done, all| bar.at(done, all));
    bar.end();
    print_report(&merged?, output, start, console)
}

/// Copy simulations into another database
///
/// What the target has already, equal in every record, stays unchanged; what differs is named on stderr and left alone, and the
/// exit code is 3 then. The source is not changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt runs split sweep.db --where \"experiment_id = 'exp_001'\" -o exp_001.db")]
pub(crate) struct Split {
    /// The database to read
    file: PathBuf,

    #[command(flatten)]
    chosen: Chosen,

    /// The database to write; created if missing
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn split(args: &Split, console: &mut Console) -> Outcome {
    interrupt::listen();
    let start = Instant::now();
    let db = open(&args.file)?;
    let report = args.chosen.with(|which| db.split(which, &args.output))?;
    print_report(&report, &args.output, start, console)
}

fn print_report(
    report: &MergeReport,
    output: &Path,
    start: Instant,
    console: &mut Console,
) -> Outcome {
    for conflict in &report.conflicts {
        let source = conflict.source.display();
        console.warn(&format!("{source}: {}: skipped: {}", conflict.simulation_id, conflict.why));
    }
    let path = output.display().to_string();
    if console.json {
        console.document(&json!({
            "path": path,
            "copied": report.copied,
            "unchanged": report.unchanged,
            "conflicts": report.conflicts,
            "rows": report.rows,
            "seconds": start.elapsed().as_secs_f64(),
        }))?;
    } else {
        console.line(format!(
            "{path}: {} of {} in {}; {} unchanged",
            human::plural(report.copied.len() as u64, "simulation"),
            human::plural(report.rows, "row"),
            human::duration(start.elapsed()),
            human::count(report.unchanged.len() as u64),
        ))?;
    }
    Ok(if report.conflicts.is_empty() { Exit::Done } else { Exit::Skipped })
}

/// Packs the tables of simulations that have ended; of these, or of all if there are none.
pub(crate) fn compact(file: &Path, simulations: &[String], console: &mut Console) -> Outcome {
    let start = Instant::now();
    let db = open_to_change(file)?;
    let names = match simulations {
        [] => {
            let ended = db.simulations(Which::Filter("status <> 'running'"))?;
            ended.into_iter().map(|simulation| simulation.simulation_id).collect()
        }
        names => names.to_vec(),
    };
    let mut bar = console.progress("compacting", "simulations");
    let mut reports = Vec::new();
    for (done, name) in names.iter().enumerate() {
        bar.at(done as u64, names.len() as u64)?;
        reports.push(db.compact(name)?);
    }
    bar.end();
    db.database().vacuum()?;
    db.close()?;
    let report = CompactReport::of_one_file(reports);
    let more = json!({ "simulations": names });
    crate::compact::print(file, "record", &report, start, more, console)
}

/// The records of simulations as files in folders.
pub(crate) fn export(
    file: &Path,
    simulations: &[String],
    to: &Path,
    options: &ExportOptions,
    console: &mut Console,
) -> Outcome {
    let start = Instant::now();
    let db = open(file)?;
    let ids: Vec<&str> = simulations.iter().map(String::as_str).collect();
    let which = if ids.is_empty() { Which::All } else { Which::Ids(&ids) };
    let mut bar = console.progress("exporting", "files");
    let files = db.export(which, to, options, &mut |done, all| bar.at(done, all));
    bar.end();
    let files = files?;
    let path = to.display().to_string();
    if console.json {
        console.document(&json!({ "path": path, "files": files }))?;
    } else {
        console.line(format!(
            "{path}: {} in {} of {} in {}",
            human::plural(files.iter().map(|file| file.rows).sum(), "row"),
            human::plural(files.len() as u64, "file"),
            human::size(files.iter().map(|file| file.bytes).sum()),
            human::duration(start.elapsed()),
        ))?;
    }
    Ok(Exit::Done)
}

/// Delete simulations by id, by a filter, or by age and number
///
/// A simulation that a process logs stays; a filter, an age or a number leaves out each that is marked as running. To delete all simulations of a file by a filter, by age or by number needs --yes. Free space
/// goes back to the file system.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt runs delete sweep.db sim_003
  silt runs delete sweep.db --where \"status = 'crashed'\" --dry-run
  silt runs delete sweep.db --keep-last 100 --keep-days 30")]
pub(crate) struct Delete {
    /// The database
    file: PathBuf,

    #[command(flatten)]
    chosen: Chosen,

    /// Keep the N most recent of those that have ended
    #[arg(long, value_name = "N", conflicts_with = "ids")]
    keep_last: Option<usize>,

    /// Keep simulations that ended within N days
    #[arg(long, value_name = "DAYS", conflicts_with = "ids", value_parser = days)]
    keep_days: Option<u32>,

    /// Only say which would go
    #[arg(long)]
    dry_run: bool,

    /// Delete also if that is all simulations of the file
    #[arg(long)]
    yes: bool,
}

fn days(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "expected a whole number of days, as 30".into())
}

pub(crate) fn delete(args: &Delete, console: &mut Console) -> Outcome {
    interrupt::listen();
    if args.chosen.is_all() && args.keep_last.is_none() && args.keep_days.is_none() {
        return Err(Failure::said("say which: ids, --where, --keep-last or --keep-days"));
    }
    let size = || std::fs::metadata(&args.file).map_or(0, |file| file.len());
    let before = size();
    let db = if args.dry_run { open(&args.file)? } else { open_to_change(&args.file)? };
    let all = db.simulations(Which::All)?.len() as u64;
    let names = if args.chosen.ids.is_empty() {
        let retention = Retention {
            keep_last: args.keep_last,
            keep_for: args.keep_days.map(|days| Duration::from_secs(u64::from(days) * 86_400)),
            filter: args.chosen.filter.clone(),
            all: args.yes,
        };
        let names = db.retain(&retention, true)?;
        if names.len() as u64 == all && all > 0 && !args.dry_run && !args.yes {
            let all = human::plural(all, "simulation");
            return Err(Failure::said(format!(
                "{}: that is all of {all}; pass --yes to delete them, nothing was deleted",
                args.file.display()
            )));
        }
        if !args.dry_run { db.retain(&retention, false)? } else { names }
    } else {
        args.chosen.with(|which| db.simulations(which))?; // all are there, or none goes
        if !args.dry_run {
            for name in &args.chosen.ids {
                db.delete_simulation(name)?;
            }
        }
        args.chosen.ids.clone()
    };
    if !args.dry_run {
        db.database().vacuum()?;
    }
    let after = size();
    if console.json {
        console.document(&json!({
            "deleted": names, "of": all, "dry_run": args.dry_run, "before": before, "after": after,
        }))?;
        return Ok(Exit::Done);
    }
    for name in &names {
        console.line(crate::terminal::escaped(name.clone()))?;
    }
    let simulations =
        format!("{} of {}", human::count(names.len() as u64), human::plural(all, "simulation"));
    if args.dry_run {
        console.note(&format!("{simulations} would be deleted"));
    } else {
        console.note(&format!(
            "{simulations} deleted, {} became {}",
            human::size(before),
            human::size(after)
        ));
    }
    Ok(Exit::Done)
}
