//! The store's handle.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::arrays::Recent;
use super::compact;
use super::initial::{self, InitialData};
use super::json::Schema;
use super::keyframe_thread::KeyframeThread;
use super::page_size::PageChoice;
use super::prepare::{Prepared, prepare, unique_ids};
use super::read;
use super::run::{self, Run};
use super::state::{GroupCursor, GroupState, KeyframeBuilder};
use super::tables::{Layout, MIGRATIONS};
use super::timeline::Timeline;
use super::update::{EntityData, Update};
use super::write::{self, OnRepeat, Storing};
use crate::array::{Checksum, Codec};
use crate::error::{Error, Result};
use crate::kernel::{
    CompactReport, Database, Durability, Profile, Progress, QueuePolicy, Ticket, upgrades,
};

/// How a [`SimulationDatabase`] writes.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What an acknowledged update survives.
    pub durability: Durability,
    /// How arrays are packed. [`Codec::Raw`] can be read by any program.
    pub codec: Codec,
    /// What happens to a repeated (timestamp, iteration, dataset).
    pub on_repeat: OnRepeat,
    /// Page cache and log size.
    pub profile: Profile,
    /// Leaves keyframes to [`SimulationDatabase::build_keyframes`].
    pub no_keyframes: bool,
    /// How many writes may wait, and what happens to the next one; 10,000 and
    /// [`QueuePolicy::Wait`] unless set. The first handle of a process to a file decides.
    pub queue: Option<(usize, QueuePolicy)>,
    /// How long a write waits for another process; 30 s unless set. The first handle decides.
    pub busy_timeout: Option<Duration>,
}

/// A simulation's record: updates of entity groups, and the state at any time.
///
/// Clones share everything. Any number of threads may use one handle, and any number of processes
/// one file.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("run.db");
/// use siltstone::simulation::{Group, SimulationDatabase};
///
/// let db = SimulationDatabase::open(&path)?;
/// let speeds = |ids: &[i64], speeds: &[f64]| {
///     vec![Group::new("road_segments").with("id", ids).with("speed", speeds)]
/// };
/// db.store_update(0, 0, "transport_network", speeds(&[1, 2, 3], &[50.0, 60.0, 40.0]), None)?;
/// db.store_update(10, 0, "transport_network", speeds(&[2], &[55.0]), None)?;
///
/// let state = db.state_at("transport_network", "road_segments", 10)?;
/// assert_eq!(state.values::<f64>("speed")?, [50.0, 55.0, 40.0]);
/// db.close()?;
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Clone)]
pub struct SimulationDatabase {
    // Before `db`: the builder stops before the last handle to the file goes.
    keyframe_thread: Option<Arc<KeyframeThread>>,
    db: Database,
    options: Options,
    seen: Arc<Seen>,
}

/// What a handle and its clones know of what they have stored.
#[derive(Default)]
struct Seen {
    pages: PageChoice,
    /// Checksums of id arrays whose ids differ.
    unique: Mutex<Recent<Checksum, ()>>,
    /// Checksums of arrays that were packed.
    packed: Mutex<Recent<Checksum, ()>>,
    forms: Arc<Mutex<Recent<u64, u64>>>,
    /// Whether there were updates.
    wrote: AtomicBool,
}

impl std::fmt::Debug for SimulationDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulationDatabase").field("path", &self.db.path()).finish_non_exhaustive()
    }
}

impl SimulationDatabase {
    /// Opens a file for reading and writing, with the default [`Options`]; creates it if there is
    /// none. A file of movici is upgraded in place by the first write, after a backup
    /// beside it; until then it is left as it is.
    ///
    /// # Errors
    /// As [`Builder::open`](crate::Builder::open).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, Options::default())
    }

    /// As [`open`](Self::open), with options.
    ///
    /// # Errors
    /// As [`Builder::open`](crate::Builder::open).
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let mut builder = Database::builder(path)
            .durability(options.durability)
            .profile(options.profile)
            .upgrade(upgrades());
        if let Some((jobs, policy)) = options.queue {
            builder = builder.queue(jobs, policy);
        }
        if let Some(timeout) = options.busy_timeout {
            builder = builder.busy_timeout(timeout);
        }
        Self::over(builder.open()?, options)
    }

    /// Opens an existing file for reading, ours or one of movici. Nothing is changed.
    ///
    /// # Errors
    /// As [`Builder::open_read_only`](crate::Builder::open_read_only).
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        let db = Database::builder(path).upgrade(upgrades()).open_read_only()?;
        Self::over(db, Options::default())
    }

    /// The simulation of a file that is open, with its durability, profile, queue and waiting time.
    /// A newer Siltstone's updates are [`Error::TooNew`].
    pub fn over(db: Database, options: Options) -> Result<Self> {
        db.migrate(&MIGRATIONS)?;
        let keyframe_thread = if db.is_read_only() || options.no_keyframes {
            None
        } else {
            let start = KeyframeThread::start(&db);
            Some(Arc::new(start.map_err(|e| Error::io(db.path(), "starting a thread for it", &e))?))
        };
        Ok(SimulationDatabase { keyframe_thread, db, options, seen: Arc::default() })
    }

    /// The file beneath: SQL, backup, verification, counters.
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Stores one update and waits until it is acknowledged; its row id in the table `"update"`,
    /// or 0 at [`Durability::Buffered`], where it has none yet.
    ///
    /// - `timestamp`, `iteration`: together with the dataset name the update's identity; any order. The timestamp is 0 or later:
    ///   -1 stands for the initial state.
    /// - `data`: entity groups; each with an attribute `id` (`[n]`, integers, each once) and others
    ///   of as many entities.
    ///
    /// # Errors
    /// [`Error::Invalid`] for data that contradict themselves, [`Error::Exists`] for a repeated
    /// identity, and what the disk says; nothing of the update is in the file then.
    pub fn store_update(
        &self,
        timestamp: i64,
        iteration: i64,
        dataset: &str,
        data: EntityData,
        origin: Option<&str>,
    ) -> Result<i64> {
        let dataset = dataset.to_owned();
        let origin = origin.map(str::to_owned);
        self.store(Update { timestamp, iteration, dataset, origin, data })
    }

    /// As [`store_update`](Self::store_update), from the whole update.
    ///
    /// # Errors
    /// As [`store_update`](Self::store_update).
    pub fn store(&self, update: Update) -> Result<i64> {
        let prepared = self.prepare(update)?;
        let storing = self.storing(std::slice::from_ref(&prepared))?;
        let dataset = self.keyframe_thread.is_some().then(|| prepared.dataset.clone());
        let id = if self.db.durability() == Durability::Buffered {
            self.db.post(move |tx| write::store(tx, &prepared, &storing).map(drop))?;
            0
        } else {
            self.db.write(move |tx| write::store(tx, &prepared, &storing))?
        };
        self.count(dataset, 1);
        Ok(id)
    }

    /// Hands an update to the writer and returns at once; the [`Ticket`] gives its row id.
    ///
    /// # Errors
    /// [`Error::Invalid`] at once; everything else through the ticket.
    pub fn submit(&self, update: Update) -> Result<Ticket<i64>> {
        let prepared = self.prepare(update)?;
        let storing = self.storing(std::slice::from_ref(&prepared))?;
        let dataset = self.keyframe_thread.is_some().then(|| prepared.dataset.clone());
        let ticket = self.db.submit(move |tx| write::store(tx, &prepared, &storing))?;
        self.count(dataset, 1);
        Ok(ticket)
    }

    /// Stores several updates in one transaction, all or none; their row ids.
    ///
    /// # Errors
    /// As [`store_update`](Self::store_update), for the first that fails.
    pub fn store_updates(&self, updates: Vec<Update>) -> Result<Vec<i64>> {
        let prepared =
            updates.into_iter().map(|update| self.prepare(update)).collect::<Result<Vec<_>>>()?;
        self.store_prepared(prepared)
    }

    /// Stores what [`prepare`](Self::prepare) made, in one transaction.
    pub(super) fn store_prepared(&self, prepared: Vec<Prepared>) -> Result<Vec<i64>> {
        let storing = self.storing(&prepared)?;
        let mut counts: Vec<(String, u64)> = Vec::new();
        for update in prepared.iter().filter(|_| self.keyframe_thread.is_some()) {
            match counts.last_mut() {
                Some((name, n)) if *name == update.dataset => *n += 1,
                _ => counts.push((update.dataset.clone(), 1)),
            }
        }
        let ids = self.db.write(move |tx| {
            prepared.iter().map(|update| write::store(tx, update, &storing)).collect()
        })?;
        counts.into_iter().for_each(|(name, n)| self.count(Some(name), n));
        Ok(ids)
    }

    /// How updates are stored that are about to be.
    fn storing(&self, updates: &[Prepared]) -> Result<Storing> {
        self.seen.pages.measure(&self.db, updates)?;
        self.seen.wrote.store(true, Ordering::Relaxed);
        let Options { codec, on_repeat: repeat, .. } = self.options;
        Ok(Storing { codec, repeat, forms: self.seen.forms.clone() })
    }

    fn count(&self, dataset: Option<String>, updates: u64) {
        if let (Some(keyframe_thread), Some(dataset)) = (&self.keyframe_thread, dataset) {
            keyframe_thread.count(&dataset, updates);
        }
    }

    /// Stores an update without reading those before it.
    #[cfg(test)]
    pub(super) fn store_as_another_program(
        &self,
        timestamp: i64,
        iteration: i64,
        dataset: &str,
        data: EntityData,
    ) {
        let dataset = dataset.to_owned();
        let update = Update { timestamp, iteration, dataset, origin: None, data };
        let prepared = self.prepare(update).unwrap();
        for attribute in &prepared.attributes {
            self.seen.forms.lock().unwrap().put(attribute.location, attribute.form);
        }
        self.store_prepared(vec![prepared]).unwrap();
    }

    /// Checks, hashes and packs an update; for any thread.
    pub(super) fn prepare(&self, update: Update) -> Result<Prepared> {
        let mut prepared = prepare(update)?;
        let unique = || self.seen.unique.lock().unwrap_or_else(PoisonError::into_inner);
        let packed = || self.seen.packed.lock().unwrap_or_else(PoisonError::into_inner);
        for attribute in &mut prepared.attributes {
            if attribute.name == "id" && unique().get(&attribute.data.checksum).is_none() {
                let what = format!("{}/{}/id", prepared.dataset, attribute.group);
                unique_ids(&what, &attribute.data.array)?;
                unique().put(attribute.data.checksum, ());
            }
            if self.options.codec != Codec::Raw {
                for array in attribute.arrays_mut() {
                    // Packed here and not by the writer; an array seen before is stored already.
                    let seen = was_seen(&mut packed(), array.checksum);
                    if !seen {
                        array.pack(self.options.codec);
                    }
                }
            }
        }
        Ok(prepared)
    }

    /// The names of the datasets that have updates, in the order of their bytes.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn datasets(&self) -> Result<Vec<String>> {
        self.read_or(Vec::new, read::datasets)
    }

    /// The timestamps at which a dataset has updates, rising, each once; none for an unknown name.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn timestamps(&self, dataset: &str) -> Result<Vec<i64>> {
        self.read_or(Vec::new, |tx| read::timestamps(tx, dataset))
    }

    /// The number of updates of a dataset, or of all.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn update_count(&self, dataset: Option<&str>) -> Result<u64> {
        self.read_or(|| 0, |tx| read::update_count(tx, dataset))
    }

    /// The identities of all updates.
    pub(super) fn keys(&self) -> Result<HashSet<(i64, i64, String)>> {
        self.read_or(HashSet::new, |tx| {
            let sql = "SELECT timestamp, iteration, dataset_name FROM \"update\"";
            let keys = tx.query(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(keys.into_iter().collect())
        })
    }

    /// All updates of a dataset in the order of (timestamp, iteration); none for an unknown name.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if an array is damaged.
    pub fn updates(&self, dataset: &str) -> Result<Vec<Update>> {
        let mut all = Vec::new();
        self.for_each_update(dataset, i64::MIN..=i64::MAX, |update| {
            all.push(update);
            Ok(())
        })?;
        Ok(all)
    }

    /// Calls `each` for the updates of a dataset between two timestamps, both inclusive, in order: one
    /// snapshot, one update in memory at a time.
    ///
    /// # Errors
    /// As [`updates`](Self::updates), and whatever `each` returns.
    pub fn for_each_update(
        &self,
        dataset: &str,
        timestamps: std::ops::RangeInclusive<i64>,
        each: impl FnMut(Update) -> Result<()>,
    ) -> Result<()> {
        self.db.read(|tx| read::for_each_update(tx, dataset, timestamps, each))
    }

    /// The entity groups of a dataset: those of its initial data, then those that its updates add.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn groups(&self, dataset: &str) -> Result<Vec<String>> {
        self.read_or(Vec::new, |tx| {
            let layout = Layout::of(tx)?;
            let initial = initial::entities(tx, layout, dataset)?;
            let mut groups: Vec<String> = initial.into_iter().map(|group| group.name).collect();
            for group in updated_groups(tx, dataset)? {
                if !groups.contains(&group) {
                    groups.push(group);
                }
            }
            Ok(groups)
        })
    }

    /// The entity groups that a dataset's updates name, in the order of their first update.
    pub(super) fn updated_groups(&self, dataset: &str) -> Result<Vec<String>> {
        self.read_or(Vec::new, |tx| updated_groups(tx, dataset))
    }

    /// The state of an entity group at a timestamp: for each entity and attribute the last value
    /// given at or before it. Before the first update stands the initial state, after the last one the
    /// last. The cost does not grow with the length of the run.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a group that the dataset never has.
    pub fn state_at(&self, dataset: &str, group: &str, timestamp: i64) -> Result<GroupState> {
        Ok(self.cursor(dataset, group, timestamp)?.state())
    }

    /// A cursor in time: it moves forwards and backwards.
    ///
    /// # Errors
    /// As [`state_at`](Self::state_at).
    pub fn cursor(&self, dataset: &str, group: &str, timestamp: i64) -> Result<GroupCursor> {
        GroupCursor::open(&self.db, dataset, group, timestamp)
    }

    /// Builds the keyframes that are missing, now and in this thread; how many were written.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written; nothing is lost: they only make seeks shorter.
    pub fn build_keyframes(&self) -> Result<u64> {
        let mut written = 0;
        for dataset in self.datasets()? {
            written += KeyframeBuilder::default().build(&self.db, &dataset)?.written;
        }
        Ok(written)
    }

    /// Stores an initial dataset; its row id. It is part of the record: the state at -1.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is one of that name and `replace` is false; [`Error::Invalid`] for
    /// a text that is not JSON, for entities that cannot be read with the schema of the file, and for such that do not go with
    /// the updates of the dataset.
    pub fn store_initial_dataset(
        &self,
        name: &str,
        data: InitialData,
        replace: bool,
    ) -> Result<i64> {
        let prepared = initial::prepare_initial(name, data)?;
        let codec = self.options.codec;
        self.db.write(move |tx| initial::store(tx, &prepared, codec, replace))
    }

    /// The names of the initial datasets, in the order they were stored.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn initial_datasets(&self) -> Result<Vec<String>> {
        self.read_or(Vec::new, initial::names)
    }

    /// An initial dataset as it was stored.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn initial_dataset(&self, name: &str) -> Result<Option<InitialData>> {
        self.read_or(|| None, |tx| initial::read_one(tx, Layout::of(tx)?, name))
    }

    /// Keeps the attribute types with the file: JSON alone does not say them all.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an initial dataset of the file cannot be read with them, [`Error::Io`] if the file cannot be
    /// written.
    pub fn set_schema(&self, schema: &Schema) -> Result<()> {
        let schema = schema.clone();
        self.db.write(move |tx| initial::set_schema(tx, &schema))
    }

    /// The attribute types that were kept; empty if none were.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn schema(&self) -> Result<Schema> {
        self.read_or(Schema::default, |tx| initial::schema(tx, Layout::of(tx)?))
    }

    /// Says what the run's timestamps mean in calendar time.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a scale that is not positive.
    pub fn set_timeline(&self, timeline: Timeline) -> Result<()> {
        timeline.check()?;
        let text = serde_json::to_string(&timeline).expect("three numbers serialize");
        self.set("timeline", text)
    }

    fn set(&self, key: &'static str, value: String) -> Result<()> {
        self.db.write(move |tx| {
            tx.ensure(&MIGRATIONS)?;
            run::set(tx, key, &value)
        })
    }

    /// What the file knows of its run: a run that was killed is still `running`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn run(&self) -> Result<Run> {
        self.db.read(run::read)
    }

    /// Marks the run as complete, or with a text as failed. The next update marks it as running.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn mark_ended(&self, error: Option<&str>) -> Result<()> {
        let error = error.map(str::to_owned);
        self.db.write(move |tx| run::mark_ended(tx, error.as_deref()))
    }

    /// Removes all updates after a timestamp, and the arrays that only they used, in one
    /// transaction: for a restart from a checkpoint. Returns how many updates were removed.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Busy`]; then everything is still there.
    pub fn resume_from(&self, timestamp: i64) -> Result<u64> {
        let removed = self.db.write(move |tx| write::remove_after(tx, timestamp));
        *self.seen.forms.lock().unwrap_or_else(PoisonError::into_inner) = Recent::default();
        removed
    }

    /// Packs the arrays of each attribute together, some hundred at a time: what is finished takes
    /// much less, and is read through every call as before. SQLite alone refuses `numpy_array` then, until
    /// [`Database::expand`] gives the arrays their bytes back. A file that is written with [`Codec::Auto`] is compacted when it
    /// is closed. `progress` gets arrays done and in all, and stops the work by returning an error.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Corrupt`], and that of `progress`; each block is in the file whole or
    /// not at all, and nothing is lost.
    pub fn compact(&self, progress: &mut Progress<'_>) -> Result<CompactReport> {
        let mut report = compact::compact(&self.db, progress)?;
        if report.blocks > 0 {
            self.db.rewrite()?; // the rows that moved left their pages half empty
            report.bytes_after = self.db.bytes_in_use()?;
        }
        Ok(report)
    }

    /// Removes arrays that nothing uses (a replaced update leaves some) and gives the space back; the
    /// bytes by which the file shrank.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Busy`]; the file is whole.
    pub fn vacuum(&self) -> Result<u64> {
        self.db.write(|tx| {
            tx.ensure(&MIGRATIONS)?;
            write::remove_unused(tx)
        })?;
        self.db.vacuum()
    }

    /// Waits until every update that was accepted is in the file.
    ///
    /// # Errors
    /// The first error of an update that had been acknowledged before its commit.
    pub fn flush(&self) -> Result<()> {
        self.db.flush()
    }

    /// Flushes, builds the keyframes that are missing, marks the run as complete if this handle
    /// wrote to it, and lets the handle go.
    ///
    /// # Errors
    /// The error of the last writes, if they were acknowledged before their commit.
    pub fn close(self) -> Result<()> {
        if self.db.is_read_only() {
            return Ok(());
        }
        self.db.flush()?;
        if let Some(keyframe_thread) = &self.keyframe_thread {
            for dataset in keyframe_thread.datasets() {
                keyframe_thread.build(&self.db, &dataset)?;
            }
        }
        if self.seen.wrote.load(Ordering::Relaxed) {
            if self.options.codec == Codec::Auto {
                self.compact(&mut |_, _| Ok(()))?;
            }
            if self.run()?.status == run::Status::Running {
                self.mark_ended(None)?;
            }
        }
        drop(self.keyframe_thread);
        self.db.close()
    }

    fn read_or<T>(
        &self,
        nothing: impl FnOnce() -> T,
        read: impl FnOnce(&crate::kernel::ReadTx<'_>) -> Result<T>,
    ) -> Result<T> {
        self.db.read(|tx| match Layout::of(tx)? {
            Layout::Empty => Ok(nothing()),
            _ => read(tx),
        })
    }
}

fn updated_groups(tx: &crate::kernel::ReadTx<'_>, dataset: &str) -> Result<Vec<String>> {
    let sql = "SELECT a.entity_group, min(u.id) FROM \"update\" u \
        JOIN update_attribute l ON l.update_id = u.id \
        JOIN attribute_data a ON a.id = l.attribute_data_id \
        WHERE u.dataset_name = ?1 GROUP BY 1 ORDER BY 2, 1";
    tx.query(sql, [dataset], |row| Ok(row.get(0)?))
}

/// Whether a checksum was there; it is afterwards.
fn was_seen(all: &mut Recent<Checksum, ()>, checksum: Checksum) -> bool {
    let seen = all.get(&checksum).is_some();
    if !seen {
        all.put(checksum, ());
    }
    seen
}
