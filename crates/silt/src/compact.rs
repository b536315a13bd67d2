//! `silt compact`: a finished run, packed.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use siltstone::series::SqliteBackend;

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::{human, interrupt};

/// Pack finished data into column blocks, which take less space
///
/// Compacts the arrays of a run, the points of series, the simulations of an experiment that have ended, and the days of
/// ticks that have been over for a week. Every command and every call of the library reads them as before; SQLite
/// alone refuses the tables that have compacted rows, until `silt expand` makes rows of the blocks. Other programs may use the database meanwhile. Run the same command
/// again to resume.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt compact run.db
  silt compact sweep.db --simulation sim_003
  silt compact data/ticks/db")]
pub(crate) struct Args {
    /// The database, or a folder of ticks
    file: PathBuf,

    /// Of experiments, only this simulation; may be given several times (default: all that have ended, unless the
    /// database holds a run too)
    #[arg(long, value_name = "ID")]
    simulation: Vec<String>,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    interrupt::listen();
    if args.file.is_dir() {
        siltstone::open_read_only(&args.file)?.ticks()?;
        return crate::ticks::compact_finished(&args.file, console);
    }
    let has_simulations = crate::runs::has_simulations(&args.file)?;
    if has_simulations && (!args.simulation.is_empty() || !crate::runs::has_updates(&args.file)?) {
        return crate::runs::compact(&args.file, &args.simulation, console);
    }
    let start = Instant::now();
    let db = crate::write::open(&args.file, console)?;
    let mut bar = console.progress("compacting", "blocks");
    let compacted = db.compact(&mut |done, all| bar.at(done, all));
    bar.end();
    let report = compacted?;
    let series = SqliteBackend::over(db.database().clone())?;
    let series_blocks = if series.describe()?.count > 0 { series.compact(None)? } else { 0 };
    drop(series);
    db.close()?;
    let bytes = std::fs::metadata(&args.file).map_or(0, |metadata| metadata.len());
    let path = args.file.display().to_string();
    if console.json {
        console.document(&json!({
            "path": path,
            "arrays": report.arrays,
            "blocks": report.blocks,
            "series_blocks": series_blocks,
            "bytes_before": report.bytes_before,
            "bytes_after": report.bytes_after,
            "bytes": bytes,
            "seconds": start.elapsed().as_secs_f64(),
        }))?;
    } else {
        console.line(format!(
            "{path}: {} of {} compacted into {} of {} in {}, {} now",
            human::plural(report.arrays, "array"),
            human::size(report.bytes_before),
            human::plural(report.blocks, "block"),
            human::size(report.bytes_after),
            human::duration(start.elapsed()),
            human::size(bytes),
        ))?;
        if series_blocks > 0 {
            let blocks = human::plural(series_blocks, "block");
            console.line(format!("{path}: series compacted into {blocks}"))?;
        }
    }
    Ok(Exit::Done)
}
