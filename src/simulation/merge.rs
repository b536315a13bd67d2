//! Several databases of one run into one.

use std::collections::HashSet;
use std::path::Path;

use super::database::{Options, SimulationDatabase};
use super::difference::{Conflict, difference, in_words, stored};
use super::json::Schema;
use super::run::Status;
use super::timeline::Timeline;
use super::update::Update;
use super::write::OnRepeat;
use crate::error::{Error, Result};
use crate::kernel::{NewFile, Progress};

/// Updates of one transaction,
const CHUNK_UPDATES: usize = 256;
/// or their bytes.
const CHUNK_BYTES: usize = 32 << 20;
/// Conflicts that a report names.
const MAX_CONFLICTS: usize = 1000;

/// What a merge did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct MergeReport {
    /// Updates stored now.
    pub updates: u64,
    /// Updates that the target had already, with the same content.
    pub unchanged: u64,
    /// Initial datasets stored now.
    pub initial_datasets: u64,
    /// Updates, initial datasets and settings that the target has with another content, and files that could not be
    /// read.
    pub conflicts: u64,
    /// The first thousand of them.
    pub first_conflicts: Vec<Conflict>,
}

/// Joins databases of one run, written by several processes or machines, into one.
///
/// An update is known by (timestamp, iteration, dataset), an initial dataset by its name. What the
/// target has with the same content stays unchanged, so that the same call resumes an interrupted
/// merge. What it has with another content is a conflict: it is reported and never overwritten. The
/// target is made if it is not there, and marked as complete if every source is and it holds nothing
/// but their updates.
///
/// `progress` gets updates done and in all, and stops the merge by returning an error; what was
/// stored until then stays.
///
/// # Errors
/// [`Error::Invalid`] for a source that is the target, [`Error::NotFound`] for one that is not there, and the error of the
/// first if none can be read, before anything is written: else what cannot be read is a conflict. [`Error::Io`] if the target cannot be written; the error of `progress`.
pub fn merge(
    sources: &[impl AsRef<Path>],
    target: impl AsRef<Path>,
    progress: &mut Progress<'_>,
) -> Result<MergeReport> {
    let target = target.as_ref();
    let mut databases = Vec::with_capacity(sources.len());
    let (mut all, mut unread) = (0, Vec::new());
    for source in sources {
        let source = source.as_ref();
        if is_same_file(source, target) {
            let got = format!("{} as both", source.display());
            return Err(Error::invalid("merge", "a target that is none of the sources", got));
        }
        let opened = SimulationDatabase::open_read_only(source)
            .and_then(|db| Ok((db.update_count(None)?, db)));
        match opened {
            Ok((updates, db)) => {
                all += updates;
                databases.push(db);
            }
            Err(error) if error.concerns(source) && !matches!(error, Error::NotFound { .. }) => {
                unread.push((source, error));
            }
            Err(error) => return Err(error),
        }
    }
    if databases.is_empty() && !unread.is_empty() {
        return Err(unread.remove(0).1);
    }
    let made = NewFile::at(target);
    let merged = merge_into(target, (&databases, all), &unread, progress);
    if merged.as_ref().map_or(true, |report| report.conflicts > 0) {
        made.remove_if_empty(&["update", "initial_dataset"]);
    }
    merged
}

fn merge_into(
    target: &Path,
    (databases, all): (&[SimulationDatabase], u64),
    unread: &[(&Path, Error)],
    progress: &mut Progress<'_>,
) -> Result<MergeReport> {
    let options = Options { on_repeat: OnRepeat::Refuse, ..Options::default() };
    let target = SimulationDatabase::open_with(target, options)?;
    let mut merge =
        Merge { target: &target, report: MergeReport::default(), done: 0, all, is_read: true };
    for (source, error) in unread {
        merge.conflict(source, "the file".into(), error.to_string());
    }
    let mut schema = target.schema()?;
    let mut positions = HashSet::new();
    for source in databases {
        let read = merge.settings(source, &mut schema).and_then(|()| merge.initial(source));
        merge.or_skip(source, read)?;
    }
    progress(0, all)?;
    for source in databases {
        let read = source.datasets().and_then(|datasets| {
            datasets.iter().try_for_each(|name| merge.updates(source, name, progress))?;
            positions.extend(source.keys()?);
            Ok(())
        });
        merge.or_skip(source, read)?;
    }
    let is_read = unread.is_empty() && merge.is_read;
    let report = merge.report;
    target.flush()?;
    target.build_keyframes()?;
    let statuses = databases.iter().filter(|_| is_read).map(|source| Ok(source.run()?.status));
    let statuses = statuses.collect::<Result<Vec<_>>>()?;
    let is_whole = is_read
        && statuses.iter().all(|status| *status == Status::Complete)
        && target.update_count(None)? == positions.len() as u64;
    if is_whole && !positions.is_empty() && target.run()?.status != Status::Complete {
        target.mark_ended(None)?;
    }
    target.database().clone().close()?;
    Ok(report)
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// A merge on its way.
struct Merge<'a> {
    target: &'a SimulationDatabase,
    report: MergeReport,
    done: u64,
    all: u64,
    /// Whether every source was read to its end.
    is_read: bool,
}

impl Merge<'_> {
    fn conflict(&mut self, source: &Path, what: String, why: impl Into<String>) {
        self.report.conflicts += 1;
        if self.report.first_conflicts.len() < MAX_CONFLICTS {
            let source = source.to_owned();
            self.report.first_conflicts.push(Conflict { source, what, why: why.into() });
        }
    }

    /// The rest of a source that is damaged is named; the other sources go on.
    fn or_skip(&mut self, source: &SimulationDatabase, read: Result<()>) -> Result<()> {
        let path = source.database().path();
        match read {
            Err(error) if error.concerns(path) => {
                self.is_read = false;
                self.conflict(path, "the rest of the file".into(), error.to_string());
                Ok(())
            }
            read => read,
        }
    }

    /// Attribute types and the timeline.
    fn settings(&mut self, source: &SimulationDatabase, schema: &mut Schema) -> Result<()> {
        let known = schema.specs().len();
        for spec in source.schema()?.specs() {
            if let Err(error) = schema.insert(spec.clone()) {
                self.conflict(
                    source.database().path(),
                    format!("the schema of {:?}", spec.name),
                    error.to_string(),
                );
            }
        }
        if schema.specs().len() > known {
            match self.target.set_schema(schema) {
                Err(error @ Error::Invalid { .. }) => {
                    let path = source.database().path();
                    self.conflict(path, "the schema".into(), error.to_string());
                    *schema = self.target.schema()?;
                }
                set => set?,
            }
        }
        match (source.run()?.timeline, self.target.run()?.timeline) {
            (Some(timeline), None) => self.target.set_timeline(timeline)?,
            (Some(theirs), Some(ours)) if theirs != ours => {
                let (ours, theirs) = (timeline_in_words(&ours), timeline_in_words(&theirs));
                let why = format!("the target has {ours}, the source {theirs}");
                self.conflict(source.database().path(), "the timeline".into(), why);
            }
            _ => {}
        }
        Ok(())
    }

    fn initial(&mut self, source: &SimulationDatabase) -> Result<()> {
        for name in source.initial_datasets()? {
            let Some(theirs) = source.initial_dataset(&name)? else { continue };
            match self.target.initial_dataset(&name)? {
                None => match self.target.store_initial_dataset(&name, theirs, false) {
                    Ok(_) => self.report.initial_datasets += 1,
                    Err(error @ Error::Invalid { .. }) => {
                        let what = format!("the initial dataset {name:?}");
                        self.conflict(source.database().path(), what, error.to_string());
                    }
                    Err(error) => return Err(error),
                },
                Some(ours) if ours == theirs => {}
                Some(_) => {
                    let what = format!("the initial dataset {name:?}");
                    self.conflict(source.database().path(), what, "the target has another content");
                }
            }
        }
        Ok(())
    }

    fn updates(
        &mut self,
        source: &SimulationDatabase,
        dataset: &str,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let mut waiting: Vec<Update> = Vec::new();
        let mut size_bytes = 0;
        let read = source.for_each_update(dataset, i64::MIN..=i64::MAX, |update| {
            self.done += 1;
            let identity = (update.timestamp, update.iteration, dataset.to_owned());
            match stored(self.target, &identity)? {
                Some(ours) => match difference(&ours, &update) {
                    None => self.report.unchanged += 1,
                    Some(why) => self.conflict(source.database().path(), in_words(&identity), why),
                },
                None => {
                    size_bytes += size(&update);
                    waiting.push(update);
                }
            }
            if waiting.len() >= CHUNK_UPDATES || size_bytes >= CHUNK_BYTES {
                size_bytes = 0;
                self.store(source, std::mem::take(&mut waiting))?;
            }
            if self.done.is_multiple_of(CHUNK_UPDATES as u64) {
                progress(self.done, self.all.max(self.done))?;
            }
            Ok(())
        });
        // What was read before an error is whole.
        self.store(source, waiting)?;
        read?;
        progress(self.done, self.all.max(self.done))
    }

    fn store(&mut self, source: &SimulationDatabase, updates: Vec<Update>) -> Result<()> {
        if updates.is_empty() {
            return Ok(());
        }
        match self.target.store_updates(updates.clone()) {
            Ok(stored) => self.report.updates += stored.len() as u64,
            // Nothing of them is stored: singly, so that only what is refused is missing.
            Err(Error::Invalid { .. }) => {
                for update in updates {
                    let identity = (update.timestamp, update.iteration, update.dataset.clone());
                    match self.target.store(update) {
                        Ok(_) => self.report.updates += 1,
                        Err(error @ Error::Invalid { .. }) => {
                            let path = source.database().path();
                            self.conflict(path, in_words(&identity), error.to_string());
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn timeline_in_words(timeline: &Timeline) -> String {
    let Timeline { reference, time_scale, start_time } = timeline;
    format!("a reference of {reference} s, steps of {time_scale} s and the start {start_time}")
}

fn size(update: &Update) -> usize {
    let attributes = update.data.iter().flat_map(|group| &group.attributes);
    attributes.map(|(_, attribute)| attribute.data.data().len()).sum()
}
