//! Publishing to a lake: Parquet files with a Delta log, in a folder or an object store, which many machines write and every
//! engine reads.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! use siltstone::lake::{PublishOptions, publish};
//! use siltstone::memory::{MemoryStore, NewLearningEvent};
//!
//! let db = siltstone::open(folder.path().join("agent.db"))?;
//! db.memory()?.store_learning_event(NewLearningEvent::new("maze", 0.2, "explore"))?;
//! let lake = folder.path().join("lake");
//! let report = publish(&db, lake.to_str().unwrap(), &PublishOptions::default(), &mut |_, _| Ok(()))?;
//! assert_eq!(report.tables["learning_events"].rows, 1);
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! A table is a folder of the lake with a log of its own. What a file publishes of it is divided into segments: parts by the
//! key of its rows, each a Parquet file that is named by its rows, so that whoever sends it again sends the same file. The
//! ledger, in the file that publishes, says which segments are sent and which are confirmed; the log says how many commits of
//! this file it has (Delta's `txn`), so that each is there once, whatever fails in between.

mod action;
mod budget;
mod checking;
mod cleaning;
#[cfg(feature = "postgresql")]
mod copy;
mod filter;
mod id;
mod ledger;
mod listing;
mod log;
mod objects;
mod profile;
mod publishing;
mod pulling;
mod removing;
mod report;
#[cfg(feature = "postgresql")]
mod server;
mod source;
#[cfg(test)]
mod tests;
mod units;

use std::collections::BTreeSet;
use std::path::Path;

use crate::Handle;
use crate::error::{Error, Result};
use crate::kernel::{FileLock, Progress, table_exists};
use crate::simulation::{STATES, StateTimes};
use crate::table::{Batches, Cut, Published, PublishedTable, Slice};
use budget::Budget;
use ledger::Ledger;
use objects::Objects;
use publishing::Publishing;
use source::sources;

pub use checking::{CheckedTable, LakeReport, verify};
pub use cleaning::{UnusedFile, VacuumOptions, VacuumReport, vacuum};
pub use listing::{LakeSender, LakeTable, tables};
pub use pulling::{PullOptions, PullReport, pull};
pub use removing::{RemovedRows, remove};
pub use report::{PublishReport, TableReport};

/// Held by whoever publishes a file, beside it.
const LOCK: &str = ".publish.lock";

/// How a file is published.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PublishOptions {
    /// Only these tables; all that have rows if empty.
    pub tables: Vec<String>,
    /// Publishes the states of simulations at the multiples of this, from the first update of the file to the last one, as
    /// the table `simulation_states`.
    pub states_every: Option<i64>,
    /// Publishes the states of simulations at these times too. If neither is given, those that the lake has are kept up to date.
    pub state_times: Vec<i64>,
    /// Sends what still grows in small pieces, which become large ones when it is over: for calls that follow each other
    /// within minutes.
    pub live: bool,
    /// Bytes that segments which are made and sent may take at once, 64 MiB or more; what SQLite and the ledger take comes on top,
    /// some 50 MB. By default several hundred MB, if the rows are that large.
    pub max_memory: Option<u64>,
    /// Takes what the lake says of this file as what was published, and makes the lake what the file is: after a restored
    /// backup, of either of them. What the file has no more is removed from the lake.
    pub rebuild_ledger: bool,
    /// Gives the file a name of its own first: for a copy of a file that publishes too. All of it is sent, to every lake.
    pub new_identity: bool,
}

/// Publishes a file, or a folder of ticks: what the lake has not yet of it is sent, what has changed is replaced, what is gone
/// is removed. Each table is committed by itself, a large one several times; readers see whole commits.
///
/// - `address`: a folder, `file:///folder`, `s3://bucket/folder`, `gs://bucket/folder` or `az://container/folder`. Who may
///   write there is found in the environment, or given by the machine: an address has no secrets. With the feature
///   `postgresql` also `postgresql://USER@HOST/DATABASE`, see [`PostgresBackend`](crate::series::PostgresBackend::open).
/// - `progress`: gets segments done and in all of the table that is being published.
///
/// # Errors
/// [`Error::Invalid`] for an address that is none, and for a store that cannot make an object only if none has its name;
/// [`Error::NotFound`] for a table that the file does not have; [`Error::Busy`] if another process publishes the file;
/// [`Error::Server`] and what the disk says. What was committed stays; the next call goes on. A table that is refused does not
/// hold the others up and is in [`PublishReport::failed`]: one whose columns have other types in the lake, which another program
/// changed there, or of a file that was copied or restored since it published.
///
/// # Example
/// See the [module](self).
pub fn publish(
    handle: &Handle,
    address: &str,
    options: &PublishOptions,
    progress: &mut Progress<'_>,
) -> Result<PublishReport> {
    let budget = Budget::of(options.max_memory)?;
    publish_to(handle, &Target::open(address, budget)?, options, progress)
}

fn publish_to(
    handle: &Handle,
    target: &Target,
    options: &PublishOptions,
    progress: &mut Progress<'_>,
) -> Result<PublishReport> {
    let _lock = FileLock::take(
        &lock_beside(handle.path()),
        "waiting for another process that publishes it",
    )?;
    let mut ledger = match handle {
        Handle::File(db) => Ledger::of_file(db.clone(), target.address())?,
        Handle::Ticks(_) => Ledger::of_folder(handle.path(), target.address())?,
    };
    if options.new_identity {
        ledger.rename()?;
    }
    let states = state_times(handle, &ledger, options)?;
    let sources = sources(handle, states);
    let mut tables = Vec::new();
    for source in &sources {
        tables.extend(source.tables()?.into_iter().map(|table| (&**source, table)));
    }
    // What was published and is no table of the file any more.
    let mut published = ledger.tables()?;
    if options.rebuild_ledger {
        published.extend(target.tables_of(&ledger.store)?);
    }
    for name in published {
        if tables.iter().all(|(_, table)| table.name != name) {
            tables.push((&Gone, PublishedTable::without_rows(name)));
        }
    }
    let unknown = |name: &&String| tables.iter().all(|(_, table)| table.name != **name);
    if let Some(name) = options.tables.iter().find(unknown) {
        let location = handle.path().display().to_string();
        return Err(Error::NotFound { what: "table", name: name.clone(), location });
    }
    let cut = if options.live { Cut::Fine } else { Cut::Coarse };
    let mut report = PublishReport::default();
    for source in &sources {
        let left_out = source.unpublished()?.into_iter().filter(|(_, n)| *n > 0);
        report.not_published.extend(left_out.map(|(what, n)| (what.to_owned(), n)));
    }
    let mut is_probed = false;
    for (source, table) in &tables {
        if !options.tables.is_empty() && !options.tables.contains(&table.name) {
            continue;
        }
        let done = match target {
            Target::Lake(lake) => {
                let begun =
                    Publishing::begin(*source, table, &ledger, lake, options.rebuild_ledger);
                if !is_probed && begun.as_ref().is_ok_and(Publishing::is_first) {
                    lake.probe()?;
                    is_probed = true;
                }
                begun.and_then(|publishing| publishing.run(cut, progress))
            }
            #[cfg(feature = "postgresql")]
            Target::Server(server) => {
                let rebuild = options.rebuild_ledger;
                server.publish((*source, table), &ledger, cut, rebuild, progress)
            }
        };
        match done {
            Ok(done) if done == TableReport::default() => {}
            Ok(done) => drop(report.tables.insert(table.name.clone(), done)),
            // It says nothing of the other tables.
            Err(error @ (Error::Invalid { .. } | Error::Corrupt { .. })) => {
                report.failed.insert(table.name.clone(), error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    if report.failed.is_empty() && options.tables.is_empty() {
        ledger.keep_name()?;
    }
    Ok(report)
}

/// The times whose states are published: those that were asked for, else those that were published; `None` if there are none.
fn state_times(
    handle: &Handle,
    ledger: &Ledger,
    options: &PublishOptions,
) -> Result<Option<StateTimes>> {
    let times = StateTimes {
        every: options.states_every,
        at: options.state_times.iter().copied().collect(),
    };
    if times == StateTimes::default() {
        let known = ledger.known(STATES)?;
        let at: BTreeSet<i64> = known.segments.iter().map(|segment| segment.slice.first).collect();
        return Ok((!at.is_empty()).then_some(StateTimes { every: None, at }));
    }
    let is_simulation = match handle {
        Handle::File(db) => db.read(|tx| table_exists(tx, "update"))?,
        Handle::Ticks(_) => false,
    };
    if !is_simulation {
        let got = format!("{} without any", handle.path().display());
        return Err(Error::invalid(
            "states to publish",
            "a file with updates of a simulation",
            got,
        ));
    }
    Ok(Some(times))
}

/// Where a file is published to.
enum Target {
    Lake(Objects),
    #[cfg(feature = "postgresql")]
    Server(Box<server::Server>),
}

impl Target {
    fn open(address: &str, budget: Budget) -> Result<Self> {
        #[cfg(feature = "postgresql")]
        if server::Server::is_meant(address) {
            return Ok(Target::Server(Box::new(server::Server::open(address)?)));
        }
        Ok(Target::Lake(Objects::open(address)?.within(budget)))
    }

    /// The tables that have something of a file, whatever its ledger says.
    fn tables_of(&self, store: &str) -> Result<Vec<String>> {
        match self {
            Target::Lake(lake) => {
                let mut found = Vec::new();
                for name in lake.folders()? {
                    let state = log::Log::new(lake.folder(&name)).load()?;
                    if !state.files_of(store).is_empty() {
                        found.push(name);
                    }
                }
                Ok(found)
            }
            #[cfg(feature = "postgresql")]
            Target::Server(server) => server.tables_of(store),
        }
    }

    /// Without a secret.
    fn address(&self) -> &str {
        match self {
            Target::Lake(lake) => lake.address(),
            #[cfg(feature = "postgresql")]
            Target::Server(server) => server.address(),
        }
    }
}

/// What a table gives that the file has no more.
struct Gone;

impl Published for Gone {
    fn tables(&self) -> Result<Vec<PublishedTable>> {
        Ok(Vec::new())
    }

    fn slices(&self, _: &PublishedTable, _: Cut) -> Result<Vec<Slice>> {
        Ok(Vec::new())
    }

    fn rows(&self, table: &PublishedTable, _: &Slice) -> Result<Batches> {
        Ok(Batches::new(table.schema.clone(), || Ok(None)))
    }
}

/// The lock of a file, or of a folder.
fn lock_beside(path: &Path) -> std::path::PathBuf {
    if path.is_dir() {
        return path.join(LOCK);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{LOCK}"))
}
