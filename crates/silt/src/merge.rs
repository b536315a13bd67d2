//! `silt merge`: several databases into one.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use siltstone::Error;
use siltstone::simulation::{SimulationDatabase, merge};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::{human, interrupt};

/// Join several databases into one
///
/// Databases of one run give its updates, databases of experiments their simulations.
/// What the target has with the same content stays unchanged, so that the same command resumes an interrupted
/// merge. What the target has with another content stays as it is there: each such
/// update is skipped and named on stderr, as is a source that cannot be read, and the exit code is 3 then.
/// The sources are not changed. Simulations of experiments come as rows, also those that a source has compacted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt merge part-1.db part-2.db -o run.db
  silt merge machine-1.db machine-2.db -o sweep.db")]
pub(crate) struct Args {
    /// The databases to read
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,

    /// The database to write; created if missing
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    interrupt::listen();
    let start = Instant::now();
    let mut experiments = 0;
    let mut known = args.sources.len();
    for source in &args.sources {
        let is_of_experiments = crate::runs::has_simulations(source).and_then(|yes| match yes {
            true => Ok(!crate::runs::has_updates(source)?),
            false => Ok(SimulationDatabase::open_read_only(source).map(|_| false)?),
        });
        match is_of_experiments {
            Ok(yes) => experiments += usize::from(yes),
            // What cannot be read is named by the merge, and the others go on; a mistyped name stops it.
            Err(Failure::Library(error))
                if error.concerns(source) && !matches!(error, Error::NotFound { .. }) =>
            {
                known -= 1;
            }
            Err(other) => return Err(other),
        }
    }
    match experiments {
        0 => {}
        n if n == known => {
            return crate::runs::merge(&args.sources, &args.output, console);
        }
        _ => {
            let sentence =
                "some of the sources hold experiments and some do not: merge each kind by itself";
            return Err(Failure::said(sentence));
        }
    }
    let mut bar = console.progress("merging", "updates");
    let merged = merge(&args.sources, &args.output, &mut |done, all| bar.at(done, all));
    bar.end();
    let report = merged?;
    for conflict in &report.first_conflicts {
        let source = conflict.source.display();
        console.warn(&format!("{source}: {}: skipped: {}", conflict.what, conflict.why));
    }
    let more = report.conflicts.saturating_sub(report.first_conflicts.len() as u64);
    if more > 0 {
        console.warn(&format!("{} more skipped", human::count(more)));
    }
    let path = args.output.display().to_string();
    if console.json {
        let conflicts: Vec<_> = (report.first_conflicts.iter())
            .map(|conflict| {
                let source = conflict.source.display().to_string();
                json!({ "source": source, "what": conflict.what, "why": conflict.why })
            })
            .collect();
        console.document(&json!({
            "path": path,
            "updates": report.updates,
            "unchanged": report.unchanged,
            "initial_datasets": report.initial_datasets,
            "conflicts": report.conflicts,
            "first_conflicts": conflicts,
            "seconds": start.elapsed().as_secs_f64(),
        }))?;
    } else {
        console.line(format!(
            "{path}: {} and {} from {} in {}; {} unchanged",
            human::plural(report.updates, "update"),
            human::plural(report.initial_datasets, "initial dataset"),
            human::plural(args.sources.len() as u64, "database"),
            human::duration(start.elapsed()),
            human::count(report.unchanged),
        ))?;
    }
    Ok(if report.conflicts == 0 { Exit::Done } else { Exit::Skipped })
}
