//! `silt import mlflow` and its like: runs of other trackers.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use siltstone::Database;
use siltstone::experiment::trackers::{self, Kind, Options, Report};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::{human, interrupt};

/// What all of them are told.
#[derive(Debug, clap::Args)]
pub(crate) struct Tracker {
    /// The folder or file to read; it is never written to
    source: PathBuf,

    /// The database; created if missing, with the folders above it
    #[arg(long, short, value_name = "FILE", required_unless_present = "dry_run")]
    output: Option<PathBuf>,

    /// Read all of it, say what was understood, and write nothing; without --output
    #[arg(long, conflicts_with = "output")]
    dry_run: bool,

    /// Text in front of the id of each run, where folders have the same ids
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,

    /// Compact runs that are over, which is quicker, so that they take less space and SQLite alone cannot read them
    #[arg(long)]
    compact: bool,
}

pub(crate) fn import(kind: Kind, args: &Tracker, console: &mut Console) -> Outcome {
    interrupt::listen();
    let start = Instant::now();
    let options = Options::new(kind).prefix(&args.prefix).compact(args.compact);
    // A source that is mistyped is refused before a file is made.
    if !args.source.exists() {
        return Err(Failure::said(format!("{} is not there", args.source.display())));
    }
    let output = args.output.as_ref().filter(|_| !args.dry_run);
    let made = output.map(siltstone::NewFile::at);
    let mut bar = console.progress("importing", "runs");
    let imported = (|| {
        let target = output.map(|path| Database::builder(path).open()).transpose()?;
        let progress = &mut |done, all| bar.at(done, all);
        match target {
            Some(target) => trackers::import(&args.source, &target, &options, progress),
            None => trackers::inspect(&args.source, &options, progress),
        }
    })();
    bar.end();
    if let Some(made) = made {
        made.remove_if_empty(&["simulations"]);
    }
    let report = imported?;
    let runs = [&report.imported, &report.continued, &report.unchanged];
    let mut skipped = report.skipped.iter();
    let nothing = skipped.next().filter(|_| runs.iter().all(|runs| runs.is_empty()));
    if let Some(first) = nothing {
        skipped.for_each(|skipped| console.warn(&skipped.to_string()));
        return Err(Failure::said(first.to_string()));
    }
    report.skipped.iter().for_each(|skipped| console.warn(&skipped.to_string()));
    if console.json {
        console.document(&json!({
            "path": output.map(|path| path.display().to_string()),
            "report": report,
            "seconds": start.elapsed().as_secs_f64(),
        }))?;
    } else {
        print(args, &report, start, console)?;
    }
    Ok(if report.skipped.is_empty() { Exit::Done } else { Exit::Skipped })
}

fn print(args: &Tracker, report: &Report, start: Instant, console: &mut Console) -> Outcome<()> {
    let found = &report.found;
    let counts = [
        (found.runs, "run"),
        (found.parameters, "parameter"),
        (found.tags, "tag"),
        (found.points, "point"),
        (found.texts, "text"),
        (found.arrays, "array"),
        (found.artifacts, "name of an artifact"),
    ];
    let counts: Vec<String> = (counts.into_iter().filter(|(n, what)| *n > 0 || *what == "run"))
        .map(|(n, what)| match what {
            "name of an artifact" if n != 1 => format!("{} names of artifacts", human::count(n)),
            what => human::plural(n, what),
        })
        .collect();
    console.line(format!("{}: {}", report.understood, counts.join(", ")))?;
    match &args.output {
        Some(output) if !output.exists() => {
            console.line(format!("{}: no run, and no file was made", output.display()))?;
        }
        Some(output) if !args.dry_run => console.line(format!(
            "{}: {} imported, {} continued, {} unchanged; {} in {}",
            output.display(),
            human::plural(report.imported.len() as u64, "run"),
            human::count(report.continued.len() as u64),
            human::count(report.unchanged.len() as u64),
            human::plural(report.rows, "record"),
            human::duration(start.elapsed()),
        ))?,
        _ => console.line("dry run: nothing was written")?,
    }
    if !report.changed.is_empty() {
        let list: Vec<String> = (report.changed.iter())
            .map(|(what, runs)| format!("{what} of {}", human::plural(*runs, "run")))
            .collect();
        console.line(format!("changed: {}", list.join(", ")))?;
    }
    if !report.not_carried.is_empty() {
        let list: Vec<String> = (report.not_carried.iter())
            .map(|(what, n)| format!("{} {what}", human::count(*n)))
            .collect();
        console.line(format!("not imported: {}", list.join(", ")))?;
    }
    report.notes.iter().for_each(|note| console.note(note));
    Ok(())
}
