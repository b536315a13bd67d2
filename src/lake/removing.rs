//! What one file has published, removed from a lake.

use std::collections::BTreeMap;

use serde::Serialize;

use super::action::{Action, Remove};
use super::id::uuid;
use super::listing::{no_lake, rows};
use super::log::{Log, Own};
use super::objects::Objects;
use crate::error::{Error, Result};
use crate::kernel::now_ns;

/// What was removed of a table, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RemovedRows {
    /// Data files that are no part of the table any more.
    pub files: u64,
    /// Rows in them; `None` if the log does not say so of each.
    pub rows: Option<u64>,
}

/// Removes what a file has published from the tables of a lake, by their names: of each table in one commit. Readers of older
/// versions find the rows until [`vacuum`](super::vacuum) removes the data files. The file itself is not touched; if it publishes
/// once more, it is refused until it is told to rebuild its ledger, which sends all of it.
///
/// - `store_id`: the name that the file gave itself, as [`tables`](super::tables) lists it.
/// - `dry_run`: removes nothing.
///
/// # Errors
/// [`Error::NotFound`] for a folder that is not there, and a file that has nothing in the lake; [`Error::Invalid`] for an address
/// that is none or has no table, and if the file publishes meanwhile; [`Error::Corrupt`] for a damaged log;
/// [`Error::Server`] and what the disk says. What was committed stays removed.
pub fn remove(
    address: &str,
    store_id: &str,
    dry_run: bool,
) -> Result<BTreeMap<String, RemovedRows>> {
    let lake = Objects::open_existing(address)?;
    let (mut tables, mut has_tables) = (Vec::new(), false);
    for name in lake.folders()? {
        let log = Log::new(lake.folder(&name));
        let state = log.load()?;
        has_tables |= state.version.is_some();
        tables.push((name, log, state));
    }
    if !has_tables {
        return Err(no_lake(&lake));
    }
    let mut removed = BTreeMap::new();
    for (name, log, mut state) in tables {
        let own = state.files_of(store_id);
        if own.is_empty() {
            continue;
        }
        let (files, rows) = (own.len() as u64, own.values().map(|add| rows(add)).sum());
        let now_ms = now_ns() / 1_000_000;
        let action = |add| Action { remove: Some(Remove::of(add, now_ms)), ..Action::default() };
        let actions: Vec<Action> = own.into_values().map(action).collect();
        if !dry_run {
            // As a commit of the file: the file knows less commits then, and is refused.
            let number = state.commits_of(store_id) + 1;
            let plan = uuid();
            let commit = Own { writer: store_id, number, plan: &plan };
            log.commit(&mut state, &commit, &actions, &|_| Ok(Vec::new()))?;
        }
        removed.insert(name, RemovedRows { files, rows });
    }
    if removed.is_empty() {
        let location = format!("the lake {}: `silt lake ls` lists the files", lake.address());
        return Err(Error::NotFound { what: "file", name: store_id.to_owned(), location });
    }
    Ok(removed)
}
