//! Episodes, concepts and learning events: what brings them in, and what is told of them.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use siltstone::memory::{MemoryStats, MemoryStore, inspect};

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
#[command(after_help = "Examples:
  silt import memory godly_ai.db -o agent.db
  silt import memory godly_ai.db --dry-run")]
pub(crate) struct Import {
    /// The database to read
    source: PathBuf,

    /// Read all of it, say what was understood, and write nothing; without --output
    #[arg(long, conflicts_with = "output")]
    dry_run: bool,

    /// The database; created if missing, with the folders above it, and without memories yet
    #[arg(long, short, value_name = "FILE", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
}

pub(crate) fn import(args: &Import, console: &mut Console) -> Outcome {
    interrupt::listen();
    let start = Instant::now();
    if !args.source.is_file() {
        return Err(Failure::said(format!("{} is not a file", args.source.display())));
    }
    let report = match args.output.as_ref().filter(|_| !args.dry_run) {
        None => inspect(&args.source)?,
        Some(output) => {
            let target = siltstone::NewFile::at(output);
            let imported = MemoryStore::open(output).and_then(|store| store.import(&args.source));
            target.remove_if_empty(&[
                "episodes",
                "concepts",
                "learning_events",
                "concept_relationships",
            ]);
            imported?
        }
    };
    for skipped in &report.skipped {
        console.warn(&skipped.to_string());
    }
    let path = args.output.as_ref().map(|path| path.display().to_string());
    if console.json {
        console.document(&json!({ "path": path, "dry_run": args.dry_run, "report": report }))?;
    } else {
        console.line(format!(
            "{}: {}, {}, {} and {} in {}; {} skipped",
            path.filter(|_| !args.dry_run).unwrap_or_else(|| args.source.display().to_string()),
            human::plural(report.episodes, "episode"),
            human::plural(report.concepts, "concept"),
            human::plural(report.learning_events, "learning event"),
            human::plural(report.concept_relationships, "relationship"),
            human::duration(start.elapsed()),
            human::count(report.skipped.len() as u64),
        ))?;
        if args.dry_run {
            console.line("dry run: nothing was written")?;
        }
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
