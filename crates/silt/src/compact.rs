//! `silt compact`: a finished run, packed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use siltstone::CompactReport;
use siltstone::memory::MemoryStore;
use siltstone::series::SqliteBackend;

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::{human, interrupt};

/// Pack finished data into column blocks
///
/// Compacts the arrays of a run, the points of series, the simulations of an experiment that have ended, and the days of
/// ticks that have been over for a week. Every command and every call of the library reads them as before; SQLite
/// alone refuses the tables that have compacted rows, until `silt expand` makes rows of the blocks. Other programs may use the database meanwhile. Run the same command
/// again to resume.
///
/// What a first search reads of an agent's embeddings is copied into blocks: that takes room and saves time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt compact run.db
  silt compact sweep.db --simulation sim_003
  silt compact agent.db
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
    let mut bar = console.progress("compacting", "rows");
    let updates = db.compact(&mut |done, all| bar.at(done, all));
    bar.end();
    let mut report = updates?;
    let series = SqliteBackend::over(db.database().clone())?;
    let points = match series.describe()?.count {
        0 => CompactReport::default(),
        _ => {
            let mut bar = console.progress("compacting", "points");
            let compacted = series.compact_with(None, &mut |done, all| bar.at(done, all));
            bar.end();
            compacted?
        }
    };
    drop(series);
    let mut bar = console.progress("compacting", "embeddings");
    let memory = MemoryStore::over(db.database().clone())?;
    let embeddings = memory.compact(&mut |done, all| bar.at(done, all));
    bar.end();
    let embeddings = embeddings?;
    drop(memory);
    db.close()?;
    for part in [points, embeddings].into_iter().filter(|part| part.blocks > 0) {
        report = CompactReport::of_one_file([report, part]);
    }
    print(&args.file, "row", &report, start, Value::Null, console)
}

/// Says what a compaction did; `row` is what its rows are, `more` goes into the document.
pub(crate) fn print(
    path: &Path,
    row: &str,
    report: &CompactReport,
    start: Instant,
    more: Value,
    console: &mut Console,
) -> Outcome {
    let path = path.display().to_string();
    if console.json {
        let mut document = json!({
            "path": path,
            "rows": report.rows,
            "blocks": report.blocks,
            "bytes_before": report.bytes_before,
            "bytes_after": report.bytes_after,
            "seconds": start.elapsed().as_secs_f64(),
        });
        if let (Some(all), Value::Object(more)) = (document.as_object_mut(), more) {
            all.extend(more);
        }
        console.document(&document)?;
    } else {
        console.line(format!(
            "{path}: {} compacted into {} in {}; {} became {}",
            human::plural(report.rows, row),
            human::plural(report.blocks, "block"),
            human::duration(start.elapsed()),
            human::size(report.bytes_before),
            human::size(report.bytes_after),
        ))?;
    }
    Ok(Exit::Done)
}
