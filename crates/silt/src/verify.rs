//! `silt verify`: whether everything in a file is what was written.

use std::path::{Path, PathBuf};

use serde_json::json;
use siltstone::series::{ParquetBackend, StorageBackend};
use siltstone::simulation::SimulationDatabase;
use siltstone::{Error, Finding, VerifyReport};

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::human;

/// Check a database or a folder: pages, indexes, every checksum
///
/// Of a folder of ticks, each day: every block, count and order, ticks in the file of another day, files that nobody
/// reads, what was left by a process that was killed, and ticks that wait in spill files. A folder of series in Parquet files
/// is checked by the hash of each file. Nothing is changed. The exit code is 0 if all is well and 1 if anything was found;
/// each finding is a line on stdout.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt verify run.db && echo all is well
  silt verify data/ticks/db --gaps 3600")]
pub(crate) struct Args {
    /// The database, a folder of ticks, or a folder of series in Parquet files
    file: PathBuf,

    /// Of ticks, also report gaps of more than S seconds in a symbol; choose more than a night for a market that closes
    #[arg(long, value_name = "S", value_parser = seconds)]
    gaps: Option<u32>,
}

fn seconds(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(seconds) if seconds > 0 => Ok(seconds),
        _ => Err("expected a whole number of seconds, as 3600".into()),
    }
}

fn examine(path: &Path) -> siltstone::Result<VerifyReport> {
    if ParquetBackend::is_at(path) {
        return ParquetBackend::open(path)?.verify();
    }
    SimulationDatabase::open_read_only(path)?.database().verify()
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    if args.file.is_dir() && !ParquetBackend::is_at(&args.file) {
        if let Err(error @ Error::Invalid { .. }) = siltstone::open_read_only(&args.file) {
            return Err(error.into());
        }
        return crate::ticks::verify(&args.file, args.gaps, console);
    }
    let report = match examine(&args.file) {
        Ok(report) => report,
        // Too damaged to be opened is a finding too.
        Err(Error::Corrupt { what, why, .. }) => {
            let mut report = VerifyReport::default();
            report.findings.push(Finding { location: what, what: why });
            report
        }
        Err(error) => return Err(error.into()),
    };
    let counts = [(report.without_checksum, "array"), (report.rows_without_checksum, "row")];
    let counts = counts.into_iter().filter(|(n, _)| *n > 0);
    let counts: Vec<_> = counts.map(|(n, what)| human::plural(n, what)).collect();
    let without = match counts.is_empty() {
        true => String::new(),
        false => format!(", {} stored without one", counts.join(" and ")),
    };
    let looked_at = format!(
        "{} and {} checked{without}",
        human::plural(report.pages, "page"),
        human::plural(report.checksums, "checksum"),
    );
    print(&args.file, &report.findings, json!(report), &looked_at, console)
}

/// Prints what a verification found, and how much was looked at: `document` for a program, `looked_at` for a person.
pub(crate) fn print(
    path: &Path,
    findings: &[Finding],
    mut document: serde_json::Value,
    looked_at: &str,
    console: &mut Console,
) -> Outcome {
    if console.json {
        document["path"] = json!(path.display().to_string());
        document["ok"] = json!(findings.is_empty());
        console.document(&document)?;
    } else {
        for finding in findings {
            let line = format!("{}: {}", finding.location, finding.what);
            console.line(crate::terminal::escaped(line))?;
        }
        let found = match findings.len() {
            0 => "all is well".to_owned(),
            n => human::plural(n as u64, "finding"),
        };
        console.line(format!("{}: {found}; {looked_at}", path.display()))?;
    }
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Finding })
}
