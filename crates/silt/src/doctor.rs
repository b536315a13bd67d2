//! `silt doctor`: whether a folder of ticks is in order.

use std::path::{Path, PathBuf};

use serde_json::json;
use siltstone::ticks::{TickStore, doctor};
use siltstone::{Finding, Result};

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::human;

/// Examine a folder of ticks: every file, block, checksum, count and order
///
/// Nothing is changed. Reports damage, ticks in the file of another day, files that nobody reads, what
/// was left by a process that was killed, and ticks that wait in spill files. The exit code is 0
/// if all is well and 1 if anything was found; each thing is a line on stdout.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt doctor data/ticks/db --gaps 3600 && echo all is well")]
pub(crate) struct Args {
    /// The folder of the day files
    folder: PathBuf,

    /// Find times of more than so many seconds without a tick of a symbol too; whoever records a market that
    /// closes for the night wants more than a night
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..))]
    gaps: Option<u32>,
}

/// The gaps of every symbol that are longer than so many seconds.
fn gaps(folder: &Path, seconds: u32) -> Result<Vec<Finding>> {
    let store = TickStore::open_read_only(folder)?;
    let longest_ns = i64::from(seconds) * 1_000_000_000;
    let mut findings = Vec::new();
    for symbol in store.symbols()? {
        for gap in store.gaps(&symbol, longest_ns, i64::MIN, i64::MAX)? {
            let [from, to] = [gap.from_ns, gap.to_ns].map(human::moment_ns);
            let what = format!("no tick from {from} to {to}");
            findings.push(Finding { location: symbol.clone(), what });
        }
    }
    Ok(findings)
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    let mut report = doctor(&args.folder)?;
    if let Some(seconds) = args.gaps {
        report.findings.extend(gaps(&args.folder, seconds)?);
    }
    if console.json {
        let findings: Vec<_> = (report.findings.iter())
            .map(|finding| json!({ "location": finding.location, "what": finding.what }))
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
            let line = format!("{}: {}", finding.location, finding.what);
            console.line(crate::terminal::escaped(line))?;
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
