//! `silt expand`: compacted data as rows again.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::{human, interrupt};

/// Make rows of compacted data, which SQLite alone can read
///
/// The reverse of `silt compact`, for ticks, records of experiments and arrays of runs: the documented tables are plain
/// tables and views again. The points of series stay in column blocks. A store that compacts by itself does so again later.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt expand sweep.db
  silt expand data/ticks/db
  silt expand data/ticks/db/2026/01/ticks_2026-01-19.db")]
pub(crate) struct Args {
    /// The database, or a folder of ticks
    file: PathBuf,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    interrupt::listen();
    let path = args.file.display().to_string();
    // A mistyped name creates nothing.
    drop(siltstone::open_read_only(&args.file)?);
    let start = Instant::now();
    let db = siltstone::open(&args.file)?;
    let expanded = db.expand()?;
    if let Ok(file) = db.database() {
        file.vacuum()?;
    }
    db.close()?;
    if console.json {
        console.document(&json!({
            "path": path,
            "expanded": expanded,
            "seconds": start.elapsed().as_secs_f64(),
        }))?;
    } else {
        let (n, took) = (human::count(expanded), human::duration(start.elapsed()));
        console.line(format!("{path}: {n} rows and arrays made of column blocks in {took}"))?;
    }
    Ok(Exit::Done)
}
