//! Building keyframes behind the writes.
//!
//! A group gets one after [`UPDATES`] updates of its dataset if the updates since the last one
//! hold [`SHARE`] times its size, after [`DENSE_UPDATES`] if it is at least [`DENSE_BYTES`] large and they
//! hold [`DENSE_SHARE`] times, and after [`UPDATES_MOST`] in any case: so they take at most a fifth of
//! the file or one state every 4,096 updates, and a seek replays at most so many. A group that did not
//! change gets a row that points to the earlier one.
//!
//! A [`KeyframeBuilder`] goes through the updates of a dataset once, all groups together, and goes on at
//! its next run from where it stood. What it holds is thrown away if anything changed behind it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::group::Building;
use super::keyframes::{Content, encode, is_damage, last_keyframe};
use crate::error::Result;
use crate::kernel::{Database, ReadTx, WriteTx};
use crate::simulation::initial;
use crate::simulation::read::{self, BEGINNING, Span, UpdateReader, Wanted};
use crate::simulation::run;
use crate::simulation::tables::Layout;
use crate::simulation::update::Group;

/// Updates of a dataset between two keyframes, at least.
pub(super) const UPDATES: usize = 256;
/// The same where updates are large: if they hold [`DENSE_SHARE`] times the size of the state.
const DENSE_UPDATES: usize = 64;
const DENSE_SHARE: usize = 32;
/// Smaller states are replayed in no time, and more of them would cost small updates a fifth of their rate.
const DENSE_BYTES: usize = 16 << 10;
/// Updates of a dataset between two keyframes, at most.
const UPDATES_MOST: usize = 4096;
/// Bytes of updates a byte of keyframe.
const SHARE: usize = 4;
/// Updates that are looked at in one snapshot: a long build never holds the log back.
const PAGE: usize = 256;
/// Larger states are not held from one run to the next, but read again.
const HELD_BYTES: usize = 32 << 20;

/// What a run of the builder wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KeyframeReport {
    /// Keyframes written.
    pub(crate) written: u64,
    /// Keyframes that were overtaken by a change before them and thrown away.
    pub(crate) outdated: u64,
}

/// Builds the keyframes of one dataset.
#[derive(Default)]
pub(crate) struct KeyframeBuilder {
    pass: Option<Pass>,
}

/// A way through the updates of a dataset.
struct Pass {
    /// Whether every group was followed from its beginning.
    is_whole: bool,
    groups: BTreeMap<String, Followed>,
    /// Updates since the pass began.
    updates: usize,
    /// The last update that was applied.
    position: (i64, i64),
    witness: Witness,
    /// Keyframes that cannot be used.
    damaged: Vec<i64>,
}

/// A group on the way.
struct Followed {
    state: Building,
    /// The last keyframe: its position, and which one has its content.
    keyframe: Option<((i64, i64), i64)>,
    /// Since then: updates of the dataset, bytes of this group's, whether there were any.
    updates: usize,
    bytes: usize,
    changed: bool,
    /// Whether the updates so far go together.
    has_state: bool,
}

/// What makes a state of a snapshot valid later: nothing was removed since, and nothing added
/// before it.
#[derive(Clone, Copy, PartialEq)]
struct Witness {
    epoch: i64,
    last_update: i64,
}

impl Witness {
    fn now(tx: &ReadTx<'_>) -> Result<Self> {
        let sql = "SELECT max(id) FROM \"update\"";
        let last = tx.query_one(sql, [], |row| Ok(row.get::<_, Option<i64>>(0)?))?.flatten();
        let epoch = run::get(tx, "keyframe_epoch")?.unwrap_or(0);
        Ok(Witness { epoch, last_update: last.unwrap_or(0) })
    }

    fn holds(self, tx: &ReadTx<'_>, dataset: &str, position: (i64, i64)) -> Result<bool> {
        // By id, of which few are new: the index of the dataset would go through all that is older.
        let sql = "SELECT 1 FROM \"update\" WHERE id > ?1 AND +dataset_name = ?2 \
            AND (timestamp < ?3 OR timestamp = ?3 AND iteration <= ?4) LIMIT 1";
        let before = (self.last_update, dataset, position.0, position.1);
        Ok(run::get(tx, "keyframe_epoch")?.unwrap_or(0) == self.epoch
            && tx.query_one(sql, before, |_| Ok(()))?.is_none())
    }
}

/// Keyframes that are to be removed, or, of one position, to be written.
struct Due {
    damaged: Vec<i64>,
    position: (i64, i64),
    witness: Witness,
    states: Vec<(String, Content)>,
}

impl KeyframeBuilder {
    /// Builds the keyframes that the dataset lacks, up to its last update.
    pub(crate) fn build(&mut self, db: &Database, dataset: &str) -> Result<KeyframeReport> {
        let mut report = KeyframeReport::default();
        // On an error the next run starts from what is in the file.
        let mut pass = self.pass.take();
        while let Some(due) = db.read(|tx| advance(tx, dataset, &mut pass))? {
            let (name, n) = (dataset.to_owned(), due.states.len() as u64);
            let (position, groups) = (due.position, names(&due));
            if !due.damaged.is_empty() {
                pass = None; // from what is left then
                db.write(move |tx| remove(tx, &due.damaged))?;
                continue;
            }
            let Some(ids) = db.write(move |tx| write(tx, &name, &due))? else {
                report.outdated += n;
                return Ok(report);
            };
            report.written += n;
            let pass = pass.as_mut().expect("what is due comes from a pass");
            for (group, id) in groups.iter().zip(ids) {
                let followed = pass.groups.get_mut(group).expect("a keyframe is of a known group");
                followed.keyframe = Some((position, id));
                (followed.updates, followed.bytes, followed.changed) = (0, 0, false);
            }
        }
        tracing::debug!(dataset, report.written, report.outdated, "keyframes");
        let size = |pass: &Pass| pass.groups.values().map(|g| g.state.size_bytes()).sum::<usize>();
        self.pass = pass.filter(|pass| size(pass) <= HELD_BYTES);
        Ok(report)
    }
}

fn names(due: &Due) -> Vec<String> {
    due.states.iter().map(|(group, _)| group.clone()).collect()
}

/// Removes keyframes, and those that refer to them.
fn remove(tx: &WriteTx<'_>, ids: &[i64]) -> Result<()> {
    for id in ids {
        tracing::warn!(id, "a damaged keyframe goes");
        tx.execute("DELETE FROM simulation_keyframe WHERE ?1 IN (id, same_as)", [id])?;
    }
    Ok(())
}

/// Writes what is due, unless it is no longer true; which keyframes have the contents.
fn write(tx: &WriteTx<'_>, dataset: &str, due: &Due) -> Result<Option<Vec<i64>>> {
    if !due.witness.holds(tx, dataset, due.position)? {
        return Ok(None);
    }
    let (timestamp, iteration) = due.position;
    let write = |(group, content): &(String, Content)| {
        let (same_as, columns, state) = match content {
            Content::SameAs(id) => (Some(*id), None, None),
            Content::State { columns, state } => (None, Some(columns), Some(state)),
        };
        let sql = "INSERT OR IGNORE INTO simulation_keyframe \
            (dataset_name, entity_group, timestamp, iteration, same_as, columns, state, row_sum) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, silt_row_sum(?1, ?2, ?3, ?4, ?5, ?6))";
        tx.execute(sql, (dataset, group, timestamp, iteration, same_as, columns, state))?;
        // Another process may have been first.
        let sql = "SELECT coalesce(same_as, id) FROM simulation_keyframe WHERE dataset_name = ?1 \
            AND entity_group = ?2 AND timestamp = ?3 AND iteration = ?4";
        let id =
            tx.query_one(sql, (dataset, group, timestamp, iteration), |row| Ok(row.get(0)?))?;
        Ok(id.expect("it was written or was there"))
    };
    due.states.iter().map(write).collect::<Result<_>>().map(Some)
}

/// Goes on until keyframes are due; `None` at the end.
fn advance(tx: &ReadTx<'_>, dataset: &str, pass: &mut Option<Pass>) -> Result<Option<Due>> {
    let layout = Layout::of(tx)?;
    if layout != Layout::Ours {
        return Ok(None);
    }
    let held = match pass.take() {
        Some(held) if held.witness.holds(tx, dataset, held.position)? => Some(held),
        _ => None,
    };
    let pass = pass.insert(match held {
        Some(held) => Pass { witness: Witness::now(tx)?, ..held },
        None => Pass::start(tx, layout, dataset, false)?,
    });
    if !pass.damaged.is_empty() {
        let damaged = std::mem::take(&mut pass.damaged);
        let (position, witness) = (pass.position, pass.witness);
        return Ok(Some(Due { damaged, position, witness, states: Vec::new() }));
    }
    let mut reader = UpdateReader::new(tx, layout)?;
    'pass: loop {
        let span = Span { after: pass.position, limit: PAGE as i64, ..Span::default() };
        let heads = read::heads(tx, dataset, span)?;
        for head in &heads {
            let groups = reader.groups(head.id, Wanted::default())?;
            if pass.has_missed(tx, dataset, &groups)? {
                *pass = Pass::start(tx, layout, dataset, true)?;
                continue 'pass;
            }
            pass.apply((head.timestamp, head.iteration), &groups);
            let states = pass.due();
            if !states.is_empty() {
                let (position, witness) = (pass.position, pass.witness);
                return Ok(Some(Due { damaged: Vec::new(), position, witness, states }));
            }
        }
        if heads.len() < PAGE {
            return Ok(None);
        }
    }
}

impl Pass {
    /// Begins at the earliest of the groups' last keyframes, or at the beginning of the run.
    fn start(tx: &ReadTx<'_>, layout: Layout, dataset: &str, is_whole: bool) -> Result<Self> {
        let witness = Witness::now(tx)?;
        let (mut groups, mut damaged) = (BTreeMap::new(), Vec::new());
        // From one group to the next, however many keyframes each has.
        let next = "SELECT min(entity_group) FROM simulation_keyframe \
            WHERE dataset_name = ?1 AND entity_group > ?2";
        let mut last = String::new();
        while let Some(group) = tx
            .query_one(next, (dataset, &last), |row| Ok(row.get::<_, Option<String>>(0)?))?
            .flatten()
        {
            last.clone_from(&group);
            let Some(keyframe) = last_keyframe(tx, dataset, &group, i64::MAX)? else { continue };
            let (id, position) = (keyframe.id, Some((keyframe.position, keyframe.source())));
            match keyframe.load(tx) {
                Ok(state) => drop(groups.insert(group, Followed::new(state, position))),
                Err(error) if is_damage(&error) => damaged.push(id),
                Err(error) => return Err(error),
            }
        }
        let first =
            groups.values().filter_map(|group| group.keyframe).map(|(position, _)| position).min();
        for group in initial::entities(tx, layout, dataset)? {
            if let Entry::Vacant(vacant) = groups.entry(group.name.clone()) {
                let followed = vacant.insert(Followed::new(Building::default(), None));
                followed.take(|state| state.begin(&group));
            }
        }
        let has_all = groups.values().all(|group| group.keyframe.is_some());
        let first = first.filter(|_| has_all && !is_whole);
        let (is_whole, position) = (first.is_none(), first.unwrap_or(BEGINNING));
        Ok(Pass { is_whole, groups, updates: 0, position, witness, damaged })
    }

    /// Whether a group that shows up only now was spoken of before this pass began.
    fn has_missed(&self, tx: &ReadTx<'_>, dataset: &str, groups: &[Group]) -> Result<bool> {
        let sql = "SELECT 1 FROM \"update\" u JOIN update_attribute l ON l.update_id = u.id \
            JOIN attribute_data a ON a.id = l.attribute_data_id WHERE u.dataset_name = ?1 \
            AND (u.timestamp, u.iteration) <= (?2, ?3) AND a.entity_group = ?4 LIMIT 1";
        for group in groups.iter().filter(|group| !self.groups.contains_key(&group.name)) {
            let before = (dataset, self.position.0, self.position.1, &group.name);
            if !self.is_whole && tx.query_one(sql, before, |_| Ok(()))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn apply(&mut self, position: (i64, i64), groups: &[Group]) {
        for group in groups {
            if !self.groups.contains_key(&group.name) {
                let mut followed = Followed::new(Building::default(), None);
                // A seek would look at all updates before this one in vain.
                followed.updates = if self.is_whole { self.updates } else { UPDATES_MOST };
                self.groups.insert(group.name.clone(), followed);
            }
        }
        for (name, followed) in &mut self.groups {
            if followed.keyframe.is_some_and(|(keyframe, _)| position <= keyframe) {
                continue; // its keyframe has it
            }
            followed.updates += 1;
            if let Some(group) = groups.iter().find(|group| group.name == *name) {
                followed.apply(group);
                let sizes = group.attributes.iter().map(|(_, a)| a.data.data().len());
                followed.bytes += sizes.sum::<usize>();
                followed.changed = true;
            }
        }
        self.updates += 1;
        self.position = position;
    }

    /// The groups that should have a keyframe where the pass stands.
    fn due(&self) -> Vec<(String, Content)> {
        let due = self.groups.iter().filter(|(_, followed)| followed.is_due());
        due.map(|(name, followed)| (name.clone(), followed.content())).collect()
    }
}

impl Followed {
    fn new(state: Building, keyframe: Option<((i64, i64), i64)>) -> Self {
        Followed { state, keyframe, updates: 0, bytes: 0, changed: false, has_state: true }
    }

    /// Applies an update. One that does not go with what came before it leaves the group without
    /// keyframes from there on: a reader meets the same and says so.
    fn apply(&mut self, group: &Group) {
        self.take(|state| state.apply(group));
    }

    fn take(&mut self, apply: impl FnOnce(&mut Building) -> Result<()>) {
        if self.has_state
            && let Err(error) = apply(&mut self.state)
        {
            tracing::debug!(%error, "no keyframes");
            self.has_state = false;
        }
    }

    fn is_due(&self) -> bool {
        let n = self.updates;
        if !self.has_state || n < DENSE_UPDATES || n < UPDATES_MOST && self.bytes == 0 {
            return false;
        }
        let size = self.state.size_bytes();
        let holds = |share: usize| self.bytes >= share * size;
        n >= UPDATES_MOST
            || n >= UPDATES && holds(SHARE)
            || n >= DENSE_UPDATES && holds(DENSE_SHARE) && size >= DENSE_BYTES
    }

    fn content(&self) -> Content {
        match self.keyframe {
            Some((_, id)) if !self.changed => Content::SameAs(id),
            _ => encode(&self.state),
        }
    }
}
