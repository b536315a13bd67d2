//! A database.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::config::CollectorConfig;
use super::initial;
use super::settings::Settings;
use super::strategy::StorageStrategy;
use crate::error::{Error, Result};
use crate::simulation::database::{Options, SimulationDatabase};
use crate::simulation::update::Update;

/// Writes into one database, with the initial data of the run. Marks the run as complete, or as
/// failed, when it is closed.
#[derive(Debug)]
pub struct SqliteStrategy {
    path: PathBuf,
    settings: Settings,
    append: bool,
    overwrite: bool,
    /// There from `initialize` to `close`.
    db: Mutex<Option<SimulationDatabase>>,
}

impl SqliteStrategy {
    /// The strategy for a config and settings.
    ///
    /// # Errors
    /// [`Error::Invalid`] if neither names a file or a folder.
    pub fn choose(config: &CollectorConfig, settings: &Settings) -> Result<Self> {
        Ok(SqliteStrategy {
            path: config.database_file(settings)?,
            settings: settings.clone(),
            append: config.append,
            overwrite: config.overwrite,
            db: Mutex::new(None),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn db(&self) -> MutexGuard<'_, Option<SimulationDatabase>> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_room(&self, db: &SimulationDatabase) -> Result<()> {
        let updates = db.update_count(None)?;
        if updates > 0 && !self.append && !self.overwrite {
            return Err(Error::Exists {
                what: format!("a run of {updates} updates"),
                location: self.path.display().to_string(),
                hint: "ask for append or overwrite, or name another file",
            });
        }
        if self.overwrite {
            db.resume_from(i64::MIN)?;
            db.database().write(|tx| {
                // Keyframes hold the initial state, and one that is being built must not be kept.
                tx.execute("DELETE FROM simulation_keyframe", [])?;
                crate::simulation::run::next_epoch(tx)?;
                tx.execute("DELETE FROM initial_dataset", []).map(drop)
            })?;
        }
        Ok(())
    }

    fn embed(&self, db: &SimulationDatabase, files: Vec<initial::InitialFile>) -> Result<()> {
        if !self.settings.schema.specs().is_empty() {
            db.set_schema(&self.settings.schema)?;
        }
        let known = db.initial_datasets()?;
        for file in files {
            // A run that goes on began with what it began with.
            if !(self.append && known.contains(&file.name)) {
                db.store_initial_dataset(&file.name, file.data, true)?;
            }
        }
        match self.settings.timeline {
            Some(timeline) => db.set_timeline(timeline),
            None => Ok(()),
        }
    }
}

impl StorageStrategy for SqliteStrategy {
    fn initialize(&self) -> Result<()> {
        // Read before the file is touched: a wrong one leaves nothing half begun.
        let files = initial::load(&self.settings)?;
        let durability = self.settings.durability;
        let options = Options { durability, ..Options::default() };
        let db = SimulationDatabase::open_with(&self.path, options)?;
        self.make_room(&db)?;
        self.embed(&db, files)?;
        *self.db() = Some(db);
        Ok(())
    }

    fn store(&self, update: Update) -> Result<()> {
        // The handle is cloned out, so that the workers write side by side.
        let db = self.db().clone();
        let db = db.ok_or_else(|| Error::Closed {
            what: format!("the storage in {}", self.path.display()),
            why: "is not open: it was not initialized, or was closed",
        })?;
        db.store(update).map(drop)
    }

    fn close(&self, failure: Option<&Error>) -> Result<()> {
        let Some(db) = self.db().clone() else { return Ok(()) };
        let flushed = db.flush();
        if let Err(Error::Interrupted { .. }) = flushed {
            return flushed; // nothing has ended: it can be closed again
        }
        match failure.map(Error::to_string).or(flushed.err().map(|e| e.to_string())) {
            Some(why) => db.mark_ended(Some(&why))?,
            None => db.mark_ended(None)?,
        }
        drop(self.db().take());
        db.close()
    }
}
