//! `silt backup`: a proven copy of a live file.

use std::path::PathBuf;

use serde_json::json;
use siltstone::ticks::TickStore;
use siltstone::{BackupReport, Handle};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::{human, interrupt};

/// Copy a database or a folder of ticks in use; verify the copy
///
/// The copy is one snapshot. It gets its name only after its integrity was checked and its rows were
/// counted; an existing file is never replaced. With --into the copy gets a name of its own, and older
/// ones that were made this way are removed, after the new one was verified. Of a folder of ticks, each day is one snapshot.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt backup run.db copy-of-run.db
  silt backup run.db --into backups --keep 7")]
pub(crate) struct Args {
    /// The database, or a folder of ticks
    file: PathBuf,

    /// The copy, which must not exist
    #[arg(required_unless_present = "into")]
    target: Option<PathBuf>,

    /// Of a database, a folder of backups instead of a target
    #[arg(long, value_name = "DIR", conflicts_with = "target", requires = "keep")]
    into: Option<PathBuf>,

    /// How many backups of this database the folder keeps
    #[arg(long, value_name = "N", requires = "into")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    interrupt::listen();
    let handle = siltstone::open_read_only(&args.file)?;
    let db = match &handle {
        Handle::Ticks(ticks) => return backup_ticks(ticks, args, console),
        other => other.database()?,
    };
    let report = match (&args.target, &args.into, args.keep) {
        (Some(target), ..) => {
            let mut bar = console.progress("copying", "pages");
            let report = db.backup_with(target, &mut |done, all| bar.at(done, all));
            bar.end();
            report?
        }
        (None, Some(folder), Some(keep)) => {
            // The database keeps the record of its backups, and so is written.
            drop(handle);
            let db = crate::write::open(&args.file, console)?;
            let report = db.database().backup_into(folder, keep as usize)?;
            db.close()?;
            report
        }
        _ => return Err(Failure::said("give a target, or --into with --keep")),
    };
    print_report(&report, "copied and verified", console)
}

/// Copies each day of a folder.
fn backup_ticks(ticks: &TickStore, args: &Args, console: &mut Console) -> Outcome {
    let Some(target) = &args.target else {
        return Err(Failure::said("--into is for databases: give a target for a folder of ticks"));
    };
    let reports = ticks.backup(target)?;
    let bytes = reports.iter().map(|report| report.size_bytes).sum();
    let path = target.display().to_string();
    if console.json {
        console.document(&json!({ "path": path, "bytes": bytes, "days": reports.len() }))?;
    } else {
        let days = human::plural(reports.len() as u64, "day");
        console.line(format!("{path}: {days} copied and verified, {}", human::size(bytes)))?;
    }
    Ok(Exit::Done)
}

/// Says what was copied.
pub(crate) fn print_report(report: &BackupReport, done: &str, console: &mut Console) -> Outcome {
    let rows: u64 = report.rows.iter().map(|(_, rows)| rows).sum();
    if console.json {
        let removed: Vec<String> =
            report.removed.iter().map(|path| path.display().to_string()).collect();
        let tables: serde_json::Map<_, _> =
            report.rows.iter().map(|(table, rows)| (table.clone(), (*rows).into())).collect();
        console.document(&json!({
            "path": report.path.display().to_string(),
            "bytes": report.size_bytes,
            "rows": tables,
            "removed": removed,
        }))?;
        return Ok(Exit::Done);
    }
    console.line(format!(
        "{}: {done}, {} and {}",
        report.path.display(),
        human::size(report.size_bytes),
        human::plural(rows, "row"),
    ))?;
    for path in &report.removed {
        console.line(format!("{}: removed", path.display()))?;
    }
    Ok(Exit::Done)
}
