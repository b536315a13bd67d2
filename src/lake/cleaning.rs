//! Files of a lake that no table has any more.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::action::Action;
use super::log::{FOLDER, Log, REMOVED_FOR_MS, State};
use super::objects::{Listed, Objects, PROBES, plain};
use crate::error::{Error, Result};
use crate::kernel::{Progress, now_ns};

const DAY: Duration = Duration::from_secs(86_400);
/// A sender may commit, within a day, a file that it sent up to a day before.
const LEAST: Duration = Duration::from_secs(2 * 86_400);

/// How a lake is cleaned.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VacuumOptions {
    /// A file stays if it was part of a table, or was written, this short a time ago; 7 days. Readers of an older version
    /// find its files for so long.
    pub older_than: Duration,
    /// Removes nothing.
    pub dry_run: bool,
    /// Nobody publishes to the lake, on any machine, until this has ended: `older_than` may be less than two days.
    pub no_senders: bool,
}

impl Default for VacuumOptions {
    fn default() -> Self {
        VacuumOptions { older_than: 7 * DAY, dry_run: false, no_senders: false }
    }
}

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VacuumReport {
    /// Below the lake.
    pub files: Vec<UnusedFile>,
    /// Their bytes.
    pub bytes: u64,
}

/// A file that no table has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnusedFile {
    /// Below the lake.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, in ms since 1970.
    pub modified_ms: i64,
}

/// What may be removed below a folder.
struct Folder {
    name: String,
    objects: Objects,
    /// Of a table.
    log: Option<(Log, State)>,
    unused: Vec<Listed>,
}

/// Removes data files that no table of a lake has: those that were replaced or removed, and those that were sent and never
/// committed, both if it was longer ago than [`older_than`](VacuumOptions::older_than). Only Parquet files in the folders of
/// tables are looked at, and what a test of the store has left. Logs and checkpoints stay.
///
/// - `progress`: gets files that were removed, and in all.
///
/// # Errors
/// [`Error::NotFound`] for a folder that is not there; [`Error::Invalid`] for an address that is none or has no table, for
/// less than two days while somebody may publish, and for a log that names files elsewhere; [`Error::Corrupt`] for a damaged
/// log: nothing was removed. [`Error::Server`] and what the disk says: some may have been removed.
pub fn vacuum(
    address: &str,
    options: &VacuumOptions,
    progress: &mut Progress<'_>,
) -> Result<VacuumReport> {
    if options.older_than < LEAST && !options.no_senders {
        let expected = "two days or more, since a sender may commit what it sent before \
            (--no-senders if nobody publishes meanwhile)";
        let got = format!("{} s", options.older_than.as_secs());
        return Err(Error::invalid("the age of files to remove", expected, got));
    }
    let lake = Objects::open_existing(address)?;
    let age_ms = i64::try_from(options.older_than.as_millis()).unwrap_or(i64::MAX);
    let since_ms = (now_ns() / 1_000_000).saturating_sub(age_ms);
    let mut folders = Vec::new();
    for name in lake.folders()? {
        folders.extend(unused(lake.folder(&name), &name, since_ms)?);
    }
    if !folders.iter().any(|folder| folder.log.is_some()) {
        return Err(super::listing::no_lake(&lake));
    }
    let all = folders.iter().map(|folder| folder.unused.len() as u64).sum();
    let mut report = VacuumReport::default();
    for mut folder in folders {
        if let Some((log, state)) = &mut folder.log {
            log.advance(state)?; // what was committed since the files were listed
            let live = live(state);
            folder.unused.retain(|file| !live.contains(&file.name));
        }
        for file in &folder.unused {
            progress(report.files.len() as u64, all)?;
            // Whoever sends it once more wants it.
            let is_old = |now: Listed| now.modified_ms < since_ms;
            if !options.dry_run {
                if !folder.objects.find(&file.name)?.is_some_and(is_old) {
                    continue;
                }
                folder.objects.remove(&file.name)?;
            }
            report.bytes += file.bytes;
            report.files.push(UnusedFile {
                name: format!("{}/{}", folder.name, file.name),
                bytes: file.bytes,
                modified_ms: file.modified_ms,
            });
        }
        if let (Some((log, state)), false) = (&mut folder.log, options.dry_run) {
            log.advance(state)?;
            let live = live(state);
            if let Some(file) = folder.unused.iter().find(|file| live.contains(&file.name)) {
                return Err(Error::Corrupt {
                    location: folder.objects.address().to_owned(),
                    what: file.name.clone(),
                    why: "it was removed while a sender committed it again".into(),
                });
            }
        }
    }
    Ok(report)
}

fn live(state: &State) -> BTreeSet<String> {
    state.files.keys().flat_map(|path| [path.clone(), plain(path)]).collect()
}

/// What may be removed of a folder of the lake; `None` if it is none of ours.
fn unused(objects: Objects, name: &str, since_ms: i64) -> Result<Option<Folder>> {
    let is_old = |file: &Listed| file.modified_ms < since_ms;
    if name == PROBES {
        let unused = objects.list("", None)?.into_iter().filter(is_old).collect();
        return Ok(Some(Folder { name: name.into(), objects, log: None, unused }));
    }
    // Files first: what is committed after they were listed is in the log that is read then.
    let mut unused = objects.list("", None)?;
    let log = Log::new(objects.clone());
    let state = log.load()?;
    if state.version.is_none() {
        return Ok(None);
    }
    let named = named(&objects, &state, &unused, since_ms)?;
    unused.retain(|file| is_old(file) && is_data(&file.name) && !named.contains(&file.name));
    Ok(Some(Folder { name: name.into(), objects, log: Some((log, state)), unused }))
}

/// Whether it can be a data file: no part of its path is hidden, as Delta says it.
fn is_data(name: &str) -> bool {
    name.ends_with(".parquet") && !name.split('/').any(|part| part.starts_with(['_', '.']))
}

/// The files that a table has, or had less long ago.
fn named(
    objects: &Objects,
    state: &State,
    listed: &[Listed],
    since_ms: i64,
) -> Result<BTreeSet<String>> {
    let is_new = |ms: Option<i64>| ms.is_none_or(|ms| ms >= since_ms);
    let removed = state.removed.values().filter(|remove| is_new(remove.deletion_timestamp));
    let mut paths: Vec<String> =
        state.files.keys().cloned().chain(removed.map(|remove| remove.path.clone())).collect();
    if since_ms < now_ns() / 1_000_000 - REMOVED_FOR_MS {
        // Checkpoints have forgotten what was removed so long ago.
        let commits = listed.iter().filter(|file| {
            let is_commit = file.name.starts_with(FOLDER) && file.name.ends_with(".json");
            is_commit && file.modified_ms >= since_ms
        });
        for commit in commits {
            let Some(bytes) = objects.get(&commit.name)? else { continue };
            for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let action: Action = serde_json::from_slice(line).map_err(|error| {
                    let location = format!("{}/{}", objects.address(), commit.name);
                    let what = "the log of the table".into();
                    Error::Corrupt { location, what, why: error.to_string() }
                })?;
                let removed = action.remove.filter(|r| is_new(r.deletion_timestamp));
                paths.extend(removed.map(|remove| remove.path));
            }
        }
    }
    if let Some(path) = paths.iter().find(|path| path.contains("://") || path.starts_with('/')) {
        let expected = "a log that names its files below the folder of the table";
        return Err(Error::invalid(objects.address(), expected, format!("{path:?}")));
    }
    let plain: Vec<String> = paths.iter().map(|path| plain(path)).collect();
    Ok(paths.into_iter().chain(plain).collect())
}
