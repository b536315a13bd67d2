//! `silt keyframes`: the keyframes that make seeks short.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::human;

/// Build missing keyframes, which make seeks fast
///
/// With them a seek costs the same early and late in the run. A run builds them by itself while it writes. This is for a file of another program, or one whose
/// run was killed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt keyframes run.db")]
pub(crate) struct Args {
    /// The database
    file: PathBuf,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    let start = Instant::now();
    let db = crate::write::open(&args.file, console)?;
    let written = db.build_keyframes()?;
    db.close()?;
    let took = start.elapsed();
    let path = args.file.display().to_string();
    if console.json {
        let seconds = took.as_secs_f64();
        console.document(&json!({ "path": path, "written": written, "seconds": seconds }))?;
    } else {
        let (written, took) = (human::plural(written, "keyframe"), human::duration(took));
        console.line(format!("{path}: {written} built in {took}"))?;
    }
    Ok(Exit::Done)
}
