//! `silt series copy`: series from one store into another.

use std::time::Instant;

use serde_json::json;
use siltstone::series::{self, SqliteBackend, StorageBackend, TransferOptions};

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::series::{file_of, open, open_read_only};
use crate::{human, interrupt};

/// Copy series, and the datasets they belong to, from one store into another
///
/// Each series is written, read back, compared by count and checksum, and only then gets its key. What the
/// target has already, equal in everything, is passed over: the same command resumes an interrupted
/// copy. A series that is another one at the target stays as it is there, is named on stderr, and the exit
/// code is 3 then.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt series copy plant.db --to 'postgresql://me@server/plant?sslmode=verify-full'
  silt series copy plant.db --to parquet:plant --prefix line#1/")]
pub(crate) struct Copy {
    /// The store to read
    store: String,

    /// The store to write; created if missing
    #[arg(long, value_name = "STORE")]
    to: String,

    /// Only series whose keys begin so
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,

    /// Replace series of the target that are others
    #[arg(long)]
    overwrite: bool,
}

pub(crate) fn run(args: &Copy, console: &mut Console) -> Outcome {
    interrupt::listen();
    let start = Instant::now();
    let source = open_read_only(&args.store)?;
    let target: Box<dyn StorageBackend> = match file_of(&args.to) {
        Some(path) => Box::new(SqliteBackend::open(path)?),
        None => open(&args.to)?,
    };
    let (prefix, overwrite) = (args.prefix.clone(), args.overwrite);
    let options = TransferOptions { prefix, overwrite, ..TransferOptions::default() };
    let mut bar = console.progress("copying", "points");
    let done = series::transfer(source.as_ref(), target.as_ref(), &options, &mut |done, all| {
        bar.at(done, all)
    });
    bar.end();
    let report = done?;
    for key in &report.first_conflicts {
        console.warn(&format!("{key:?}: skipped: it is another one at the target"));
    }
    let more = report.conflicts.saturating_sub(report.first_conflicts.len() as u64);
    if more > 0 {
        console.warn(&format!("{} more skipped", human::count(more)));
    }
    let location = target.location();
    let seconds = start.elapsed();
    if console.json {
        console.document(&json!({
            "from": source.location(),
            "to": location,
            "series": report.series,
            "points": report.points,
            "records": report.records,
            "unchanged": report.unchanged,
            "conflicts": report.conflicts,
            "first_conflicts": report.first_conflicts,
            "seconds": seconds.as_secs_f64(),
        }))?;
    } else {
        console.line(format!(
            "{}: {} series of {} copied and compared in {}; {} unchanged",
            location,
            human::count(report.series),
            human::plural(report.points, "point"),
            human::duration(seconds),
            human::count(report.unchanged),
        ))?;
    }
    Ok(if report.conflicts == 0 { Exit::Done } else { Exit::Skipped })
}
