//! Episodes, concepts and learning events: what brings them in, and what is told of them.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use siltstone::memory::{MemoryStats, MemoryStore};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::table::bold;
use crate::{human, interrupt};

/// Import a Godly-AI memory database into a new file
///
/// Ids are kept. Pickled payloads are read by a machine that knows arrays and plain containers and runs nothing: a row
/// with anything else is skipped and named on stderr, and the import goes on; the exit code is 3. The source
/// is not changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt import memory godly_ai.db -o agent.db")]
pub(crate) struct Import {
    /// The database to read
    source: PathBuf,

    /// The database; created if missing, and without memories yet
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn import(args: &Import, console: &mut Console) -> Outcome {
    interrupt::listen();
    let start = Instant::now();
    if !args.source.is_file() {
        return Err(Failure::said(format!("{} is not a file", args.source.display())));
    }
    let target = siltstone::NewFile::at(&args.output);
    let imported = MemoryStore::open(&args.output).and_then(|store| store.import(&args.source));
    target.remove_if_empty(&["episodes", "concepts", "learning_events", "concept_relationships"]);
    let report = imported?;
    for skipped in &report.skipped {
        console.warn(&skipped.to_string());
    }
    let path = args.output.display().to_string();
    if console.json {
        console.document(&json!({ "path": path, "report": report }))?;
    } else {
        console.line(format!(
            "{path}: {}, {}, {} and {} in {}; {} skipped",
            human::plural(report.episodes, "episode"),
            human::plural(report.concepts, "concept"),
            human::plural(report.learning_events, "learning event"),
            human::plural(report.concept_relationships, "relationship"),
            human::duration(start.elapsed()),
            human::count(report.skipped.len() as u64),
        ))?;
    }
    Ok(if report.skipped.is_empty() { Exit::Done } else { Exit::Skipped })
}

/// What `silt info` reports memories.
pub(crate) fn print(stats: &MemoryStats, console: &mut Console) -> Outcome<()> {
    if stats.schema_version == 0 {
        return Ok(());
    }
    console.line("")?;
    let heading =
        bold(format!("memory {}", human::plural(stats.episodes, "episode")), console.color);
    console.line(format!(
        "{heading}, {}, {}, {}",
        human::plural(stats.concepts, "concept"),
        human::plural(stats.concept_relationships, "relationship"),
        human::plural(stats.learning_events, "learning event"),
    ))?;
    Ok(())
}
