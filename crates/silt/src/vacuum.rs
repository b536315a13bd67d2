//! `silt vacuum`: space that nothing uses, given back.

use std::path::PathBuf;

use serde_json::json;

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::human;

/// Remove unused arrays and return free space to the file system
///
/// Other programs may use the database meanwhile. A replaced or removed update leaves such arrays.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt vacuum run.db")]
pub(crate) struct Args {
    /// The database
    file: PathBuf,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    let db = crate::write::open(&args.file, console)?;
    let freed = db.vacuum()?;
    db.close()?;
    let bytes = std::fs::metadata(&args.file).map_or(0, |metadata| metadata.len());
    let path = args.file.display().to_string();
    if console.json {
        console.document(&json!({ "path": path, "freed_bytes": freed, "bytes": bytes }))?;
    } else {
        let (freed, bytes) = (human::size(freed), human::size(bytes));
        console.line(format!("{path}: {freed} given back, {bytes} now"))?;
    }
    Ok(Exit::Done)
}
