//! What a file or a folder of ticks has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::Result;
use crate::experiment::{ExperimentDatabase, ExperimentsSummary};
use crate::kernel::Database;
use crate::memory::{MemoryStats, MemoryStore};
use crate::series::{SeriesSummary, SqliteBackend};
use crate::simulation::{Options, SimulationDatabase, SimulationSummary};
use crate::ticks::{DayTicks, TicksSummary, day_ticks};

/// What a file or a folder of ticks has. As JSON, of either only its fields.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Info {
    /// Of a file.
    File(Box<FileInfo>),
    /// Of a folder of ticks.
    Ticks(TicksSummary),
}

/// What a file has, store by store.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FileInfo {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The size of its write-ahead log, which belongs to it.
    pub log_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// The version of each store's tables; none in a file of movici.
    pub schema: BTreeMap<String, i64>,
    /// Updates of a simulation.
    #[serde(flatten)]
    pub simulation: SimulationSummary,
    /// Memories of an agent.
    pub memory: MemoryStats,
    /// Experiments.
    pub experiments: ExperimentsSummary,
    /// Time series.
    pub series: SeriesSummary,
    /// Ticks of a day.
    pub ticks: DayTicks,
}

impl FileInfo {
    pub(crate) fn of(db: &Database) -> Result<Self> {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        let mut log = db.path().as_os_str().to_owned();
        log.push("-wal");
        let mut schema = BTreeMap::new();
        if db.has_column("siltstone_schema", "store")? {
            let rows = db.sql("SELECT store, version FROM siltstone_schema")?.rows;
            schema.extend(rows.iter().map(|row| (row[0].to_text(), row[1].to_integer())));
        }
        let simulation = SimulationDatabase::over(
            db.clone(),
            Options { no_keyframes: true, ..Options::default() },
        )?;
        // Another program's tables may have the same names.
        let memory = match schema.contains_key("memory") {
            true => MemoryStore::over(db.clone())?.stats()?,
            false => MemoryStats::default(),
        };
        let experiments = match schema.contains_key("experiment") {
            true => ExperimentDatabase::open_read_only(db.path())?.describe()?,
            false => ExperimentsSummary::default(),
        };
        Ok(FileInfo {
            path: db.path().to_owned(),
            bytes: bytes(db.path()),
            log_bytes: bytes(log.as_ref()),
            page_size: db.sql("PRAGMA page_size")?.rows[0][0].to_count(),
            schema,
            simulation: simulation.describe()?,
            memory,
            experiments,
            series: SqliteBackend::over(db.clone())?.describe()?,
            ticks: day_ticks(db)?,
        })
    }
}
