//! What meteaudata wrote into a backend.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::{Archive, Limits, LooseSeries, read};
use crate::error::{Error, Result};
use crate::kernel::{Progress, Skipped};
use crate::series::backend::{Change, StorageBackend};
use crate::series::tree::pack;

/// Points of one commit, about.
const COMMIT_POINTS: usize = 4 << 20;
/// The most series of one commit.
const COMMIT_SERIES: usize = 1_000;

/// What to import, and how.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The name of the dataset, if not its own; for a file of one dataset.
    pub name: Option<String>,
    /// Replaces what is there with another content.
    pub overwrite: bool,
    /// Stops, before anything is kept, at the first thing that cannot be read or would replace something.
    pub strict: bool,
    /// Keys and records that are not replaced, though `overwrite` asks for it: those of earlier files of one import.
    pub written: BTreeSet<String>,
    /// How much is taken in.
    pub limits: Limits,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// The datasets, by the names that they have now.
    pub datasets: Vec<String>,
    /// Series that were kept.
    pub series: u64,
    /// Their points.
    pub points: u64,
    /// Series that were there already, with the same content.
    pub unchanged: u64,
    /// The keys and the records that hold now what the file holds.
    #[serde(skip)]
    pub written: Vec<String>,
    /// What is there with another content, and stays.
    pub conflicts: Vec<Skipped>,
    /// What could not be read.
    pub skipped: Vec<Skipped>,
    /// What was read as well as it can be, and is not wholly what it was.
    pub notes: Vec<String>,
}

/// Imports what meteaudata wrote: a zip, a folder or a database. To import it once more changes nothing.
///
/// The records of a dataset come last, so that one that is named has all its series. `progress` gets series done and
/// in all, and stops the import by returning an error; what was kept until then stays.
///
/// # Errors
/// As [`read`]; what the backend says; if it is strict, [`Error::Invalid`] or [`Error::Exists`] for the first thing that
/// would be skipped.
pub fn import(
    backend: &dyn StorageBackend,
    path: impl AsRef<Path>,
    options: &ImportOptions,
    progress: &mut Progress<'_>,
) -> Result<ImportReport> {
    let path = path.as_ref();
    let found = read(path, options.limits)?;
    if let (true, Some(Skipped { path, reason, .. })) = (options.strict, found.skipped.first()) {
        let what = path.display().to_string();
        return Err(Error::invalid(what, "what can be read", reason));
    }
    let Archive { datasets, loose, skipped, notes } = found;
    if options.name.is_some() && datasets.len() > 1 {
        let got = format!("{} of them", datasets.len());
        return Err(Error::invalid(path.display().to_string(), "one dataset to name", got));
    }
    let mut report = ImportReport { skipped, notes, ..ImportReport::default() };
    let mut changes = Vec::new();
    for dataset in datasets {
        let own = Some(dataset.record.name.as_str()).filter(|name| !name.is_empty());
        let name = options.name.as_deref().or(own).unwrap_or("default").to_owned();
        changes.extend(dataset.into_changes(Some(&name))?);
        report.datasets.push(name);
    }
    for LooseSeries { key, series, record } in loose {
        let (metadata, sources) = pack(&record);
        let record = |(name, record)| Change::Record { name, record: Some(record) };
        changes.extend(sources.into_iter().map(record));
        report
            .notes
            .push(format!("{key:?} is kept under that key: nothing tells its dataset and signal"));
        changes.push(Change::Save { key, series, metadata });
    }
    let mut new = Vec::new();
    for change in changes {
        let conflicts = report.conflicts.len();
        let is_new = is_new(backend, &change, options, &mut report)?;
        if report.conflicts.len() == conflicts {
            report.written.extend(name_of(&change));
        }
        if is_new {
            new.push(change);
        }
    }
    commit(backend, new, &mut report, progress)?;
    Ok(report)
}

fn name_of(change: &Change) -> Option<String> {
    match change {
        Change::Save { key, .. } => Some(key.clone()),
        Change::Record { name, .. } => Some(name.clone()),
        _ => None,
    }
}

/// Whether a change has anything to do.
fn is_new(
    backend: &dyn StorageBackend,
    change: &Change,
    options: &ImportOptions,
    report: &mut ImportReport,
) -> Result<bool> {
    let (name, what, same) = match change {
        Change::Save { key, series, metadata } => {
            if !backend.exists(key)? {
                return Ok(true);
            }
            let (own, known) = backend.load(key)?;
            let same = own == *series && known == *metadata;
            report.unchanged += u64::from(same);
            (key, format!("the series {key:?}"), same)
        }
        Change::Record { name, record } => match backend.record(name)? {
            None => return Ok(true),
            own => (name, format!("the record {name:?}"), own == *record),
        },
        _ => return Ok(true),
    };
    let is_written = options.written.contains(name);
    if same || (options.overwrite && !is_written) {
        return Ok(!same);
    }
    let (hint, why) = match is_written {
        true => (
            "an earlier file has the same name; take another name for one of them",
            "an earlier file has another content of that name: pass --dataset for one of them",
        ),
        false => (
            "pass overwrite (--overwrite) to replace it, or take another name",
            "another content is kept under that name: --overwrite replaces it",
        ),
    };
    if options.strict {
        return Err(Error::Exists { what, location: backend.location(), hint });
    }
    report.conflicts.push(Skipped::new(what, why));
    Ok(false)
}

/// Carries out the changes in commits of bounded size, the series before the records.
fn commit(
    backend: &dyn StorageBackend,
    changes: Vec<Change>,
    report: &mut ImportReport,
    progress: &mut Progress<'_>,
) -> Result<()> {
    let (series, records): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|change| matches!(change, Change::Save { .. }));
    let all = series.len() as u64;
    let (mut batch, mut points, mut done) = (Vec::new(), 0, 0);
    for change in series {
        if let Change::Save { series, .. } = &change {
            points += series.len();
            report.points += series.len() as u64;
        }
        batch.push(change);
        if points >= COMMIT_POINTS || batch.len() >= COMMIT_SERIES {
            backend.commit(&batch)?;
            done += batch.len() as u64;
            batch.clear();
            points = 0;
            progress(done, all)?;
        }
    }
    batch.extend(records);
    if !batch.is_empty() {
        backend.commit(&batch)?;
    }
    report.series = all;
    progress(all, all)
}
