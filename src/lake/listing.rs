//! What a lake has.

use serde::Serialize;

use super::action::{Add, FILE, HOST};
use super::checking::tag;
use super::log::{Log, State};
use super::objects::Objects;
#[cfg(feature = "postgresql")]
use super::server::Server;
use crate::error::{Error, Result};

/// A table of a lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LakeTable {
    /// Its folder below the lake.
    pub name: String,
    /// Of its last commit.
    pub version: u64,
    /// Data files that it consists of.
    pub files: u64,
    /// Rows in them; `None` if the log does not say so of each, as other writers may do.
    pub rows: Option<u64>,
    /// Bytes of the files.
    pub bytes: u64,
    /// The files that publish to it.
    pub senders: Vec<LakeSender>,
}

/// A file that publishes to a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LakeSender {
    /// The name that it gave itself, as in the column `store_id`.
    pub store_id: String,
    /// How many commits of it the table has.
    pub commits: i64,
    /// When the last one was made, in ms since 1970; `None` if the log does not say so.
    pub last_ms: Option<i64>,
    /// Rows of it; `None` if the log does not say so of each file.
    pub rows: Option<u64>,
    /// The machine that sent them last; `None` if the lake does not say so, as a server does not.
    pub host: Option<String>,
    /// What the file is called there, without the folders above.
    pub file: Option<String>,
}

/// The tables of a lake, by name, from their logs alone; of a PostgreSQL server from its ledger: its version is the number of
/// commits of all files, its files are segments, and its bytes those of the table with its indexes.
///
/// # Errors
/// [`Error::NotFound`] for a folder that is not there; [`Error::Invalid`] for an address that is none or has no table;
/// [`Error::Corrupt`] for a damaged log; [`Error::Server`] and what the disk says. Nothing is made.
pub fn tables(address: &str) -> Result<Vec<LakeTable>> {
    #[cfg(feature = "postgresql")]
    if Server::is_meant(address) {
        return Server::at(address)?.tables();
    }
    let lake = Objects::open_existing(address)?;
    let mut tables = Vec::new();
    for name in lake.folders()? {
        let state = Log::new(lake.folder(&name)).load()?;
        tables.extend(table(name, &state));
    }
    if tables.is_empty() { Err(no_lake(&lake)) } else { Ok(tables) }
}

/// A folder without a table.
pub(super) fn no_lake(lake: &Objects) -> Error {
    let expected = "a lake: folders with a _delta_log";
    Error::invalid(lake.address(), expected, "an address without any")
}

fn table(name: String, state: &State) -> Option<LakeTable> {
    let senders = state.writers.values().map(|txn| {
        let files = state.files_of(&txn.app_id);
        let latest = files.values().max_by_key(|add| add.modification_time);
        let said = |name| latest.and_then(|add| tag(add, name)).map(str::to_owned);
        LakeSender {
            store_id: txn.app_id.clone(),
            commits: txn.version,
            last_ms: txn.last_updated,
            rows: files.values().map(|add| rows(add)).sum(),
            host: said(HOST),
            file: said(FILE),
        }
    });
    Some(LakeTable {
        name,
        version: state.version?,
        files: state.files.len() as u64,
        rows: state.files.values().map(rows).sum(),
        bytes: state.files.values().map(|add| add.size as u64).sum(),
        senders: senders.collect(),
    })
}

/// The rows of a file, by its statistics.
pub(super) fn rows(add: &Add) -> Option<u64> {
    let statistics: serde_json::Value = serde_json::from_str(add.stats.as_deref()?).ok()?;
    statistics.get("numRecords")?.as_u64()
}
