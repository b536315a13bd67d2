//! `silt resume`: a run set back to a checkpoint.

use std::path::PathBuf;

use serde_json::json;
use siltstone::simulation::{SimulationDatabase, Timeline};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::human;

/// Remove updates after a time, to continue the run from there
///
/// All or none: one transaction. The arrays that only those updates used are removed too, and the run
/// counts as running again. What is removed cannot be brought back; without --yes this only says how
/// much it would be, and exits with 2.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt resume run.db --from 3600 --yes")]
pub(crate) struct Args {
    /// The database
    file: PathBuf,

    /// The last timestamp that stays, or a date and time where the run has a timeline
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: String,

    /// Remove them
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    let known = SimulationDatabase::open_read_only(&args.file)?;
    let timestamp = Timeline::parse(known.run()?.timeline.as_ref(), &args.from)?;
    if !args.yes {
        let sql = format!("SELECT count(*) FROM \"update\" WHERE timestamp > {timestamp}");
        let after = match known.update_count(None)? {
            0 => 0,
            _ => match known.database().sql(&sql)?.rows.first().map(|row| row[0].clone()) {
                Some(siltstone::Value::Integer(n)) => n as u64,
                _ => 0,
            },
        };
        let updates = human::plural(after, "update");
        return Err(Failure::said(format!(
            "{updates} after {timestamp} would be removed for good; add --yes to do so"
        )));
    }
    drop(known);
    let db = crate::write::open(&args.file, console)?;
    let removed = db.resume_from(timestamp)?;
    db.close()?;
    let path = args.file.display().to_string();
    if console.json {
        console.document(&json!({ "path": path, "timestamp": timestamp, "removed": removed }))?;
    } else {
        let removed = human::plural(removed, "update");
        console.line(format!("{path}: {removed} after {timestamp} removed"))?;
    }
    Ok(Exit::Done)
}
