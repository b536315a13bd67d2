//! Moving through time.

use super::group::{Building, ColumnState, GroupState};
use super::keyframe_builder::UPDATES;
use super::keyframes::{is_damage, last_keyframe};
use crate::array::Array;
use crate::error::{Error, Result};
use crate::kernel::{Database, ReadTx};
use crate::simulation::initial;
use crate::simulation::read::{self, BEGINNING, Head, Span, UpdateReader, Wanted};
use crate::simulation::tables::Layout;
use crate::simulation::update::{Attribute, Group};

/// Where a group's history begins.
#[derive(Debug, Clone)]
pub(crate) enum Beginning {
    /// The initial data in the file.
    Stored,
    /// This, in place of the file's own. Keyframes hold the file's own and are not used then.
    Given(Option<Group>),
}

/// Reads one group's part of updates, in one snapshot.
pub(crate) struct Travel<'t, 'c> {
    tx: &'t ReadTx<'c>,
    layout: Layout,
    dataset: &'t str,
    group: &'t str,
    reader: Option<UpdateReader<'t, 'c>>,
    beginning: &'t Beginning,
}

impl<'t, 'c> Travel<'t, 'c> {
    pub(super) fn new(
        tx: &'t ReadTx<'c>,
        layout: Layout,
        dataset: &'t str,
        group: &'t str,
    ) -> Self {
        Travel { tx, layout, dataset, group, reader: None, beginning: &Beginning::Stored }
    }

    /// The same with another beginning.
    pub(super) fn from(self, beginning: &'t Beginning) -> Self {
        Travel { beginning, ..self }
    }

    /// Whether the file's keyframes are of the history that is read.
    fn has_keys(&self) -> bool {
        self.layout == Layout::Ours && matches!(self.beginning, Beginning::Stored)
    }

    /// The state before the first update.
    pub(super) fn initial(&mut self) -> Result<Building> {
        let mut state = Building::default();
        let group = match self.beginning {
            Beginning::Given(group) => group.clone(),
            Beginning::Stored => initial::group(self.tx, self.layout, self.dataset, self.group)?,
        };
        if let Some(group) = group {
            state.begin(&group)?;
        }
        Ok(state)
    }

    /// The last keyframe at or before a timestamp, and its position; the beginning if there is none.
    fn last_state(&mut self, until: i64) -> Result<(Building, (i64, i64))> {
        if self.has_keys()
            && let Some(keyframe) = last_keyframe(self.tx, self.dataset, self.group, until)?
        {
            let position = keyframe.position;
            match keyframe.load(self.tx) {
                Ok(state) => return Ok((state, position)),
                Err(error) if is_damage(&error) => tracing::warn!(%error, "replaying instead"),
                Err(error) => return Err(error),
            }
        }
        Ok((self.initial()?, BEGINNING))
    }

    /// An update that does not go with what came before it, which another program may have written.
    fn mismatch(&self, head: &Head, error: Error) -> Error {
        let Head { timestamp, iteration, .. } = head;
        let (dataset, group) = (self.dataset, self.group);
        match error {
            Error::Invalid { what, expected, got } => Error::Corrupt {
                location: String::new(),
                what: format!(
                    "the update of {dataset}/{group} at timestamp {timestamp}, iteration {iteration}"
                ),
                why: format!("{what}: expected {expected} as before, got {got}"),
            },
            other => other,
        }
    }

    /// Applies one update; whether it speaks of this group.
    pub(super) fn apply(&mut self, state: &mut Building, head: &Head) -> Result<bool> {
        let wanted = Wanted { group: Some(self.group), ..Wanted::default() };
        let group = self.reader()?.groups(head.id, wanted)?.pop();
        if let Some(group) = &group {
            state.apply(group).map_err(|error| self.mismatch(head, error))?;
        }
        Ok(group.is_some())
    }

    /// Applies all updates after a position and up to a timestamp; moves the position along.
    fn replay(
        &mut self,
        state: &mut Building,
        position: &mut (i64, i64),
        until: i64,
    ) -> Result<()> {
        let span = Span { after: *position, until, ..Span::default() };
        for head in read::heads(self.tx, self.dataset, span)? {
            self.apply(state, &head)?;
            *position = (head.timestamp, head.iteration);
        }
        Ok(())
    }

    /// Applies what one update says of one attribute; whether it says anything of it, `None` if it
    /// does not speak of this group.
    pub(super) fn apply_only(
        &mut self,
        state: &mut Building,
        head: &Head,
        attribute: &str,
    ) -> Result<Option<bool>> {
        let only = Some(attribute);
        let wanted = Wanted { group: Some(self.group), attribute: only, ..Wanted::default() };
        let Some(mut group) = self.reader()?.groups(head.id, wanted)?.pop() else {
            return Ok(None);
        };
        group.attributes.retain(|(name, _)| name == "id" || name == attribute);
        if group.attributes.iter().all(|(name, _)| name != attribute) {
            return Ok(Some(false));
        }
        state.apply(&group).map_err(|error| self.mismatch(head, error))?;
        Ok(Some(true))
    }

    /// Adds the ids and the columns that updates bring, without their values.
    fn announce(&mut self, state: &mut Building, heads: &[Head]) -> Result<()> {
        let wanted = Wanted { group: Some(self.group), forms: true, ..Wanted::default() };
        let mut last_ids = None;
        for head in heads {
            let parts = self.reader()?.parts(head.id, wanted)?;
            if !parts.is_empty() && parts.iter().all(|part| part.name != "id") {
                // How many entities there are only the values say.
                let wanted = Wanted { group: Some(self.group), ..Wanted::default() };
                if let Some(group) = self.reader()?.groups(head.id, wanted)?.pop() {
                    state.add_ids(&group.ids().to_i64s().unwrap_or_default());
                }
            }
            for part in parts {
                if part.name != "id" {
                    let added = state.add_column(&part.name, &part.attribute);
                    added.map_err(|error| self.mismatch(head, error))?;
                } else if last_ids.replace(part.data) != Some(part.data) {
                    state.add_ids(&part.attribute.data.to_i64s().unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    fn reader(&mut self) -> Result<&mut UpdateReader<'t, 'c>> {
        if self.reader.is_none() {
            self.reader = Some(UpdateReader::new(self.tx, self.layout)?);
        }
        Ok(self.reader.as_mut().expect("it was made just now"))
    }

    /// Every entity and attribute that the group ever has, all undefined: the last keyframe's, and
    /// what came after it.
    pub(super) fn template(&mut self) -> Result<Building> {
        let (mut state, after) = self.last_state(i64::MAX)?;
        for column in &mut state.columns {
            column.defined.fill(false);
        }
        let span = Span { after, ..Span::default() };
        self.announce(&mut state, &read::heads(self.tx, self.dataset, span)?)?;
        Ok(state)
    }

    /// The nearest state at or before a timestamp that need not be replayed, and its position.
    pub(super) fn start(
        &mut self,
        template: &Building,
        timestamp: i64,
    ) -> Result<(Building, (i64, i64))> {
        let (mut known, position) = self.last_state(timestamp)?;
        let mut state = template.clone();
        for column in &mut known.columns {
            // What is a guess here may be decided later in the run.
            if let Some(later) = state.columns.iter().find(|later| later.name == column.name) {
                column.decide(&later.unit);
            }
        }
        // The template knows all ids and columns, and holds no values.
        let group = Group {
            name: self.group.to_owned(),
            attributes: std::iter::once((
                "id".to_owned(),
                Attribute::new(Array::from_slice(known.ids())),
            ))
            .chain(known.columns.iter().map(|c| (c.name.clone(), c.as_attribute())))
            .collect(),
        };
        state.apply(&group)?;
        Ok((state, position))
    }
}

/// The state of a group at a timestamp, in a snapshot that is open; `None` for a group that the file does not have.
pub(in crate::simulation) fn state_at(
    tx: &ReadTx<'_>,
    dataset: &str,
    group: &str,
    timestamp: i64,
) -> Result<Option<GroupState>> {
    let layout = Layout::of(tx)?;
    if layout == Layout::Empty {
        return Ok(None);
    }
    let mut travel = Travel::new(tx, layout, dataset, group);
    let template = travel.template()?;
    if template.ids().is_empty() && template.columns.is_empty() {
        return Ok(None);
    }
    let (mut state, mut position) = travel.start(&template, timestamp)?;
    travel.replay(&mut state, &mut position, timestamp)?;
    Ok(Some(state.to_state(timestamp)))
}

/// A cursor in time in one entity group; it moves forwards and backwards.
///
/// Holds one state of one group, and no transaction: an update that is written meanwhile is seen by
/// the next move. A clone moves by itself.
#[derive(Debug, Clone)]
pub struct GroupCursor {
    db: Database,
    dataset: String,
    group: String,
    template: Building,
    state: Building,
    /// The last update applied.
    position: (i64, i64),
    timestamp: i64,
    /// Updates of the dataset and epoch when the template was made.
    seen: (i64, i64),
    beginning: Beginning,
}

impl GroupCursor {
    pub(crate) fn open(db: &Database, dataset: &str, group: &str, timestamp: i64) -> Result<Self> {
        Self::open_from(db, dataset, group, timestamp, Beginning::Stored)
    }

    /// As [`open`](Self::open), with another beginning.
    pub(crate) fn open_from(
        db: &Database,
        dataset: &str,
        group: &str,
        timestamp: i64,
        beginning: Beginning,
    ) -> Result<Self> {
        let mut cursor = GroupCursor {
            db: db.clone(),
            dataset: dataset.to_owned(),
            group: group.to_owned(),
            template: Building::default(),
            state: Building::default(),
            position: BEGINNING,
            timestamp: i64::MIN,
            seen: (-1, -1),
            beginning,
        };
        cursor.move_to(timestamp)?;
        if cursor.template.ids().is_empty() && cursor.template.columns.is_empty() {
            return Err(Error::NotFound {
                what: "entity group",
                name: format!("{dataset}/{group}"),
                location: db.path().display().to_string(),
            });
        }
        Ok(cursor)
    }

    /// The dataset.
    pub fn dataset(&self) -> &str {
        &self.dataset
    }

    /// The entity group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Where the cursor stands.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The state where the cursor stands.
    pub fn state(&self) -> GroupState {
        self.state.to_state(self.timestamp)
    }

    /// Every entity that the group ever has, as in [`GroupState::ids`].
    pub fn ids(&self) -> &[i64] {
        self.state.ids()
    }

    /// Every attribute that the group ever has.
    pub fn attributes(&self) -> Vec<&str> {
        self.state.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// One attribute of the state where the cursor stands; `None` for one that the group never has.
    pub fn column(&self, name: &str) -> Option<ColumnState> {
        let column = self.state.columns.iter().find(|column| column.name == name)?;
        Some(ColumnState { name: column.name.clone(), attribute: column.to_attribute() })
    }

    /// Moves to a timestamp: the state is that of the last update at or before it. Before the first
    /// update stands the initial state, after the last one the last.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if rows are damaged, or an update does not go with those before it; the cursor
    /// stays where it was.
    pub fn move_to(&mut self, timestamp: i64) -> Result<()> {
        let db = self.db.clone();
        let (dataset, group) = (self.dataset.clone(), self.group.clone());
        db.read(|tx| {
            let layout = Layout::of(tx)?;
            if layout == Layout::Empty {
                self.timestamp = timestamp;
                return Ok(());
            }
            let beginning = self.beginning.clone();
            let mut travel = Travel::new(tx, layout, &dataset, &group).from(&beginning);
            let seen = seen(tx, layout)?;
            let mut known = None;
            let mut template = None;
            if seen != self.seen {
                let fresh = travel.template()?;
                known = Some(travel.start(&fresh, timestamp)?);
                template = Some(fresh);
            } else if timestamp < self.timestamp
                || travel.has_keys() && is_far(tx, &dataset, self.position, timestamp)?
            {
                known = Some(travel.start(&self.template, timestamp)?);
            }
            let is_fresh = known.is_some();
            let (mut state, mut position) =
                known.unwrap_or_else(|| (std::mem::take(&mut self.state), self.position));
            let replayed = travel.replay(&mut state, &mut position, timestamp);
            if replayed.is_err() && is_fresh {
                return replayed; // the state that the cursor had is still there
            }
            if replayed.is_err() {
                // Back to where it stood. If that cannot be read any more either, it stands nowhere.
                self.seen = (-1, -1);
                (state, position) = travel.start(&self.template, self.timestamp)?;
                travel.replay(&mut state, &mut position, self.timestamp)?;
            }
            (self.state, self.position) = (state, position);
            replayed?;
            if let Some(template) = template {
                (self.template, self.seen) = (template, seen);
            }
            self.timestamp = timestamp;
            Ok(())
        })
    }

    /// Moves to the next timestamp at which the group changes; `None` if there is none.
    ///
    /// # Errors
    /// As [`move_to`](Self::move_to).
    pub fn next_change(&mut self) -> Result<Option<i64>> {
        self.step("u.timestamp > ?2", "ASC")
    }

    /// Moves to the timestamp of the change before the one that the state is of; before the first
    /// change to -1, or to one before the first if that is earlier; `None` if the cursor is there.
    ///
    /// # Errors
    /// As [`move_to`](Self::move_to).
    pub fn previous_change(&mut self) -> Result<Option<i64>> {
        let here = self.find("u.timestamp <= ?2", "DESC", self.timestamp)?;
        let Some(here) = here else { return Ok(None) };
        let target = match self.find("u.timestamp < ?2", "DESC", here)? {
            Some(earlier) => earlier,
            None => here.saturating_sub(1).min(-1),
        };
        self.move_to(target)?;
        Ok(Some(target))
    }

    fn step(&mut self, condition: &str, order: &str) -> Result<Option<i64>> {
        let found = self.find(condition, order, self.timestamp)?;
        if let Some(timestamp) = found {
            self.move_to(timestamp)?;
        }
        Ok(found)
    }

    fn find(&self, condition: &str, order: &str, from: i64) -> Result<Option<i64>> {
        let sql = format!(
            "SELECT u.timestamp FROM \"update\" u WHERE u.dataset_name = ?1 AND {condition} AND EXISTS ( \
             SELECT 1 FROM update_attribute l JOIN attribute_data a ON a.id = l.attribute_data_id \
             WHERE l.update_id = u.id AND a.entity_group = ?3) ORDER BY u.timestamp {order} LIMIT 1"
        );
        self.db.read(|tx| match Layout::of(tx)? {
            Layout::Empty => Ok(None),
            _ => tx.query_one(&sql, (&self.dataset, from, &self.group), |row| Ok(row.get(0)?)),
        })
    }
}

/// Changes whenever updates are added or removed.
fn seen(tx: &ReadTx<'_>, layout: Layout) -> Result<(i64, i64)> {
    let number = |sql: &str| tx.query_one(sql, [], |row| Ok(row.get(0)?));
    let last = number("SELECT coalesce(max(id), 0) FROM \"update\"")?.unwrap_or(0);
    let epoch = match layout {
        Layout::Ours => crate::simulation::run::get(tx, "keyframe_epoch")?.unwrap_or(0),
        _ => 0,
    };
    Ok((last, epoch))
}

/// Whether so many updates lie between that a keyframe is the shorter way.
fn is_far(tx: &ReadTx<'_>, dataset: &str, from: (i64, i64), to: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM \"update\" WHERE dataset_name = ?1 AND timestamp > ?2 AND timestamp <= ?3 \
        LIMIT 1 OFFSET ?4";
    let far = (dataset, from.0, to, (UPDATES / 4) as i64);
    Ok(tx.query_one(sql, far, |_| Ok(()))?.is_some())
}
