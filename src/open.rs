//! One handle on a file, or on a folder of ticks.

use std::path::Path;

use crate::describe::{FileInfo, Info};
use crate::experiment::{ExperimentDatabase, Which};
use crate::kernel::{CompactReport, Database, Progress, Query, VerifyReport, upgrades};
use crate::memory::MemoryStore;
use crate::series::SqliteBackend;
use crate::simulation::{Options, SimulationDatabase};
use crate::table::Batches;
use crate::ticks::{TickStore, TickStoreConfig, doctor, has_ticks};
use crate::{Error, Result};

/// Opens a file, or an existing folder of ticks, for reading and writing. A file is made if there is none, with the folders
/// above it.
///
/// A folder has day files or nothing; a new one, and one with another `broker_id` than `siltstone`, is opened by
/// [`TickStore::new`].
///
/// # Errors
/// As [`Builder::open`](crate::Builder::open) and [`TickStore::new`]; [`Error::Invalid`] for a folder that has files but no
/// day of ticks, and for an empty path.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("run.db");
/// use siltstone::series::{Series, StorageBackend};
/// let db = siltstone::open(&path)?;
/// db.series()?.save("flow", &Series::from_times_ns(&[0, 60_000_000_000], &[1.5, 1.6])?, &Default::default())?;
/// let found = db.sql("SELECT key, length FROM series")?;
/// assert_eq!(found.rows.len(), 1);
/// assert!(db.verify()?.is_ok());
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn open(path: impl AsRef<Path>) -> Result<Handle> {
    let path = path.as_ref();
    if path.as_os_str().is_empty() {
        return Err(Error::invalid("path", "a file, or a folder of ticks", "an empty text"));
    }
    if path.is_dir() {
        let is_empty = folder_is_empty(path)?;
        if !is_empty {
            has_days(path)?;
        }
        let config = TickStoreConfig {
            sqlite_base_path: path.to_owned(),
            compact_every: None,
            ..TickStoreConfig::production("siltstone")
        };
        return Ok(Handle::Ticks(TickStore::new(config)?));
    }
    Ok(Handle::File(Database::builder(path).upgrade(upgrades()).open()?))
}

/// Opens an existing file, or folder of ticks, for reading. Nothing is changed.
///
/// # Errors
/// As [`Builder::open_read_only`](crate::Builder::open_read_only) and [`TickStore::open_read_only`];
/// [`Error::Invalid`] for a folder without a day of ticks.
pub fn open_read_only(path: impl AsRef<Path>) -> Result<Handle> {
    let path = path.as_ref();
    if path.is_dir() {
        has_days(path)?;
        return Ok(Handle::Ticks(TickStore::open_read_only(path)?));
    }
    Ok(Handle::File(Database::builder(path).upgrade(upgrades()).open_read_only()?))
}

fn folder_is_empty(folder: &Path) -> Result<bool> {
    let mut entries = folder.read_dir().map_err(|e| Error::io(folder, "listing it", &e))?;
    Ok(entries.next().is_none())
}

/// Refuses a folder that has no day of ticks.
fn has_days(folder: &Path) -> Result<()> {
    if has_ticks(folder)? {
        return Ok(());
    }
    let expected = "a file, or a folder with days of ticks (YYYY/MM/ticks_YYYY-MM-DD.db)";
    Err(Error::invalid("path", expected, format!("the folder {:?} without any", folder.display())))
}

/// A file, or a folder of ticks. Clones share it; so do the stores that it gives.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Handle {
    /// A file.
    File(Database),
    /// A folder of ticks.
    Ticks(TickStore),
}

impl Handle {
    /// The file or the folder.
    pub fn path(&self) -> &Path {
        match self {
            Handle::File(db) => db.path(),
            Handle::Ticks(ticks) => &ticks.config().sqlite_base_path,
        }
    }

    /// The file, for transactions, statistics, `vacuum` and what else is not of one store.
    ///
    /// # Errors
    /// [`Error::Invalid`] if this is a folder of ticks; so in the four below.
    pub fn database(&self) -> Result<&Database> {
        match self {
            Handle::File(db) => Ok(db),
            Handle::Ticks(_) => Err(Error::invalid(
                "path",
                "a file",
                format!("a folder of ticks, {:?}", self.path()),
            )),
        }
    }

    /// The updates of a simulation.
    ///
    /// # Errors
    /// As [`SimulationDatabase::over`].
    pub fn simulation(&self) -> Result<SimulationDatabase> {
        SimulationDatabase::over(self.database()?.clone(), Options::default())
    }

    /// An experiment, which is made if it is not there; `None` for all experiments of the file.
    ///
    /// # Errors
    /// As [`ExperimentDatabase::over`].
    pub fn experiment(&self, id: Option<&str>) -> Result<ExperimentDatabase> {
        ExperimentDatabase::over(self.database()?.clone(), id)
    }

    /// The memories of an agent.
    ///
    /// # Errors
    /// As [`MemoryStore::over`].
    pub fn memory(&self) -> Result<MemoryStore> {
        MemoryStore::over(self.database()?.clone())
    }

    /// Time series.
    ///
    /// # Errors
    /// As [`SqliteBackend::over`].
    pub fn series(&self) -> Result<SqliteBackend> {
        SqliteBackend::over(self.database()?.clone())
    }

    /// The ticks of a folder.
    ///
    /// # Errors
    /// [`Error::Invalid`] if this is a file.
    pub fn ticks(&self) -> Result<&TickStore> {
        match self {
            Handle::Ticks(ticks) => Ok(ticks),
            Handle::File(db) => {
                let got = format!("the file {}", db.path().display());
                Err(Error::invalid("path", "a folder of ticks", got))
            }
        }
    }

    /// What is there, counted store by store.
    ///
    /// # Errors
    /// What the disk says.
    pub fn info(&self) -> Result<Info> {
        match self {
            Handle::File(db) => Ok(Info::File(Box::new(FileInfo::of(db)?))),
            Handle::Ticks(ticks) => Ok(Info::Ticks(ticks.describe()?)),
        }
    }

    /// Runs one SQL statement that only reads: over the tables of a file as [`Database::sql`], over the table `ticks` of all
    /// days as [`TickStore::sql`].
    ///
    /// # Errors
    /// As these.
    pub fn sql(&self, sql: &str) -> Result<Query> {
        match self {
            Handle::File(db) => db.sql(sql),
            Handle::Ticks(ticks) => ticks.sql(sql),
        }
    }

    /// As [`sql`](Self::sql), as an Arrow table; see [`Database::arrow`].
    ///
    /// # Errors
    /// As [`Database::arrow`].
    pub fn arrow(&self, sql: &str) -> Result<Batches> {
        match self {
            Handle::File(db) => db.arrow(sql),
            Handle::Ticks(ticks) => Ok(ticks.arrow(sql)?.0),
        }
    }

    /// Checks everything, of a folder each day: as [`Database::verify`] and [`doctor`].
    ///
    /// # Errors
    /// As these. Damage is a finding.
    pub fn verify(&self) -> Result<VerifyReport> {
        match self {
            Handle::File(db) => db.verify(),
            Handle::Ticks(_) => {
                let report = doctor(self.path())?;
                let findings = report.findings;
                Ok(VerifyReport { checksums: report.blocks, findings, ..VerifyReport::default() })
            }
        }
    }

    /// Copies a snapshot of the file to `target`, or each day of a folder into the folder `target`; neither may exist.
    /// Returns the bytes of the copy.
    ///
    /// # Errors
    /// As [`Database::backup`] and [`TickStore::backup`]. Then nothing stays of the copy.
    pub fn backup(&self, target: impl AsRef<Path>) -> Result<u64> {
        match self {
            Handle::File(db) => Ok(db.backup(target)?.size_bytes),
            Handle::Ticks(ticks) => {
                let copied = ticks.backup(target)?;
                Ok(copied.iter().map(|report| report.size_bytes).sum())
            }
        }
    }

    /// Packs what is finished into column blocks: the arrays of updates, simulations that have ended, series, days of
    /// ticks; and copies embeddings into some, for the first search. Every read gives the same afterwards. `progress` gets how much is done, and of how much.
    ///
    /// # Errors
    /// What the disk says, and whatever `progress` returns. What had been packed stays so; the next call goes on.
    pub fn compact(&self, progress: &mut Progress<'_>) -> Result<CompactReport> {
        let db = match self {
            Handle::File(db) => db,
            Handle::Ticks(ticks) => {
                let days = ticks.compact_all()?;
                return Ok(days.iter().map(|day| day.report).sum());
            }
        };
        let Info::File(info) = self.info()? else { return Ok(CompactReport::default()) };
        let mut reports = Vec::new();
        if info.simulation.has_updates {
            reports.push(self.simulation()?.compact(progress)?);
        }
        if !info.experiments.simulations.is_empty() {
            let experiments = self.experiment(None)?;
            let all = experiments.simulations(Which::All)?;
            let ended = all.iter().filter(|simulation| simulation.status != "running");
            let ended: Vec<_> = ended.collect();
            for (done, simulation) in ended.iter().enumerate() {
                progress(done as u64, ended.len() as u64)?;
                match experiments.compact(&simulation.simulation_id) {
                    Err(Error::NotFound { .. }) => {} // it was removed meanwhile
                    report => reports.push(report?),
                }
            }
            progress(ended.len() as u64, ended.len() as u64)?;
        }
        if info.series.count > 0 {
            let series = SqliteBackend::over(db.clone())?;
            reports.push(series.compact_with(None, progress)?);
        }
        if info.memory.episodes > 0 || info.memory.concepts > 0 {
            reports.push(self.memory()?.compact(progress)?);
        }
        Ok(CompactReport::of_one_file(reports))
    }

    /// Makes rows of everything that is compacted, so that SQLite alone reads the documented tables; how many rows, and arrays
    /// of simulations. The points of series stay in blocks.
    ///
    /// # Errors
    /// As [`Database::expand`] and [`TickStore::expand`].
    pub fn expand(&self) -> Result<u64> {
        match self {
            Handle::File(db) => db.expand(),
            Handle::Ticks(ticks) => ticks.expand(),
        }
    }

    /// Writes what waits, and closes. Other handles, and stores that were given, keep it open.
    ///
    /// # Errors
    /// What could not be written.
    pub fn close(self) -> Result<()> {
        match self {
            Handle::File(db) => db.close(),
            Handle::Ticks(ticks) => ticks.stop().map(drop),
        }
    }
}

impl From<Database> for Handle {
    fn from(db: Database) -> Self {
        Handle::File(db)
    }
}

impl From<TickStore> for Handle {
    fn from(ticks: TickStore) -> Self {
        Handle::Ticks(ticks)
    }
}
