//! A simulation that is in memory until it is kept.

use std::path::Path;
use std::time::Duration;

use super::config::LoggingConfig;
use super::context::SimulationContext;
use super::database::{ExperimentDatabase, SimulationOptions, join};
use super::id::check_id;
use super::merge::{MergeReport, copy, copy_waiting};
use crate::error::{Error, Result};
use crate::kernel::{Database, Durability, Temporary};

/// Without a limit, rows spill once they take so much.
const DEFAULT_LIMIT: usize = 1 << 30;

/// One simulation, whose rows stay in memory until they are kept in a file. What would go beyond the limit spills into a
/// file of its own in the system's folder for temporary files, and so does everything when it is read: no row is lost to
/// the limit. Nothing survives the process unless it is [kept](Self::persist_to_disk).
#[derive(Debug)]
pub struct InMemorySimulationDatabase {
    context: SimulationContext,
    limit: usize,
    /// Goes with it.
    _folder: Temporary,
}

impl InMemorySimulationDatabase {
    /// A simulation in memory, which takes `limit` bytes of it at the most (1 GiB unless given).
    ///
    /// # Errors
    /// As [`ExperimentDatabase::create_simulation_context`]; [`Error::Io`] without a folder for temporary files.
    pub fn new(
        simulation_id: &str,
        limit: Option<usize>,
        options: SimulationOptions,
    ) -> Result<Self> {
        let folder = Temporary::private_folder()?;
        let db = Database::builder(folder.path().join("spill.db"))
            .durability(Durability::Buffered)
            .open()?;
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        let logging = LoggingConfig {
            buffer_size: usize::MAX,
            buffer_bytes: Some(limit / 2),
            commit_interval: Duration::MAX,
            durability: Durability::Buffered,
        };
        let db = ExperimentDatabase::over(db, None)?;
        let context = db.create_simulation_context(simulation_id, options.logging(logging))?;
        Ok(InMemorySimulationDatabase { context, limit, _folder: folder })
    }

    /// What logs it.
    pub fn context(&self) -> &SimulationContext {
        &self.context
    }

    /// The bytes that its rows take in memory, and those that they may take.
    pub fn memory(&self) -> (usize, usize) {
        (self.context.buffered().1, self.limit)
    }

    /// Gives the simulation to an experiment: that is made in the file in which it is kept, if it is not there.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id that is empty or too long.
    pub fn join_experiment(&self, experiment_id: &str) -> Result<()> {
        check_id("experiment_id", experiment_id)?;
        let id = experiment_id.to_owned();
        self.context.database().database().write(move |tx| {
            join(tx, &id)?;
            tx.execute("UPDATE simulations SET experiment_id = ?1", [&id])?;
            tx.seal("simulations", "true", []).map(drop)
        })
    }

    /// Keeps the simulation in a file, new or shared with others, in one transaction, with the status that it has.
    ///
    /// # Errors
    /// [`Error::Exists`] if the file has another simulation of that id; nothing of it is written. Those of the file.
    pub fn persist_to_disk(&self, path: impl AsRef<Path>) -> Result<MergeReport> {
        let name = self.context.simulation_id();
        let own = self.context.database();
        // Nobody runs it in the file in which it is kept.
        own.database().write(|tx| {
            tx.execute("UPDATE simulations SET process_id = NULL", [])?;
            tx.seal("simulations", "true", []).map(drop)
        })?;
        let target = Database::builder(path).open()?;
        let mut report = MergeReport::default();
        if let Some(rows) = copy_waiting(&self.context.inner, &target)? {
            report.copied.push(name.to_owned());
            report.rows = rows;
            return Ok(report);
        }
        self.context.flush_all_buffers()?;
        copy(own.database(), name, &target, &mut report)?;
        match report.conflicts.first() {
            Some(conflict) => Err(Error::Exists {
                what: format!("simulation {name:?} ({})", conflict.why),
                location: target.path().display().to_string(),
                hint: "keep this one in another file",
            }),
            None => Ok(report),
        }
    }
}
