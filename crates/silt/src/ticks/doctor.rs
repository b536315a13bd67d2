//! What `silt verify` does to a folder of ticks.

use std::path::Path;

use serde_json::json;
use siltstone::ticks::{TickStore, doctor};
use siltstone::{Finding, Result};

use crate::console::Console;
use crate::exit::Outcome;
use crate::human;
use crate::verify::print;

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

/// Examines a folder; with `seconds`, reports gaps that are longer too.
pub(crate) fn verify(folder: &Path, seconds: Option<u32>, console: &mut Console) -> Outcome {
    let mut report = doctor(folder)?;
    if let Some(seconds) = seconds {
        report.findings.extend(gaps(folder, seconds)?);
    }
    let looked_at = format!(
        "{}, {} and {} looked at",
        human::plural(report.files, "day"),
        human::plural(report.ticks, "tick"),
        human::plural(report.blocks, "block"),
    );
    print(folder, &report.findings, json!(report), &looked_at, console)
}
