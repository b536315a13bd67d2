//! `silt doctor`: whether a folder of ticks is in order.

use std::path::PathBuf;

use serde_json::json;
use siltstone::ticks::doctor;

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::human;

/// Examine a folder of ticks: every file, block, checksum, count and order
///
/// Nothing is changed. Found are damage, ticks in the file of another day, files that nobody reads, what
/// was left behind by something that was killed, and ticks that wait in spill files. The exit code is 0
/// if all is well and 1 if anything was found; each thing is a line on stdout.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt doctor data/ticks/db && echo all is well")]
pub(crate) struct Args {
    /// The folder of the day files
    folder: PathBuf,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    let report = doctor(&args.folder)?;
    if console.json {
        let findings: Vec<_> = (report.findings.iter())
            .map(|finding| json!({ "place": finding.place, "what": finding.what }))
            .collect();
        console.document(&json!({
            "path": args.folder.display().to_string(),
            "ok": report.is_ok(),
            "files": report.files,
            "ticks": report.ticks,
            "blocks": report.blocks,
            "findings": findings,
        }))?;
    } else {
        for finding in &report.findings {
            let line = format!("{}: {}", finding.place, finding.what);
            console.line(crate::table::escaped(line))?;
        }
        let found = match report.findings.len() {
            0 => "all is well".to_owned(),
            n => human::plural(n as u64, "finding"),
        };
        console.line(format!(
            "{}: {found}; {}, {} and {} looked at",
            args.folder.display(),
            human::plural(report.files, "day"),
            human::plural(report.ticks, "tick"),
            human::plural(report.blocks, "block"),
        ))?;
    }
    Ok(if report.is_ok() { Exit::Done } else { Exit::Finding })
}
