//! One pass forwards through a group's history, reading only what is asked for.

use super::column::{Column, Values};
use super::cursor::{Beginning, Travel};
use super::group::{Building, ColumnState};
use crate::error::Result;
use crate::kernel::{Database, ReadTx};
use crate::simulation::read::{self, BEGINNING, Span};
use crate::simulation::tables::Layout;
use crate::simulation::update::Attribute;

/// One attribute of all entities of a group, through the whole run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AttributeHistory {
    /// The timestamps of the group, rising; `[0]` for a group without updates.
    pub timestamps: Vec<i64>,
    /// Every entity that the group ever has.
    pub ids: Vec<i64>,
    /// The attribute's state at each timestamp, also where it did not change: those share memory.
    pub values: Vec<Attribute>,
}

/// All attributes of one entity, through the whole run.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityHistory {
    /// The entity.
    pub id: i64,
    /// The timestamps of its group, rising; `[0]` for a group without updates.
    pub timestamps: Vec<i64>,
    /// Each attribute that the group ever has: a row a timestamp, undefined ones as in
    /// [`ColumnState`].
    pub attributes: Vec<ColumnState>,
}

/// The timestamps at which a group, or a dataset, has updates.
pub(in crate::simulation) fn group_timestamps(
    db: &Database,
    dataset: &str,
    group: &str,
) -> Result<Vec<i64>> {
    let sql = "SELECT DISTINCT u.timestamp FROM \"update\" u WHERE u.dataset_name = ?1 AND EXISTS ( \
        SELECT 1 FROM update_attribute l JOIN attribute_data a ON a.id = l.attribute_data_id \
        WHERE l.update_id = u.id AND a.entity_group = ?2) ORDER BY u.timestamp";
    db.read(|tx| match Layout::of(tx)? {
        Layout::Empty => Ok(Vec::new()),
        _ => tx.query(sql, (dataset, group), |row| Ok(row.get(0)?)),
    })
}

/// The history of one attribute; empty if the group never has it, or there is no such group.
pub(in crate::simulation) fn attribute_history(
    db: &Database,
    names: (&str, &str),
    beginning: &Beginning,
    attribute: &str,
) -> Result<AttributeHistory> {
    let mut visitor = OneAttribute { attribute, history: AttributeHistory::default() };
    db.read(|tx| walk(tx, names, beginning, &mut visitor))?;
    Ok(visitor.history)
}

/// The history of one entity, of all attributes or only of one; `None` if the group never has it, or there is no such
/// group.
pub(in crate::simulation) fn entity_history(
    db: &Database,
    names: (&str, &str),
    beginning: &Beginning,
    (id, only): (i64, Option<&str>),
) -> Result<Option<EntityHistory>> {
    let mut visitor =
        OneEntity { id, only, row: None, timestamps: Vec::new(), columns: Vec::new() };
    db.read(|tx| walk(tx, names, beginning, &mut visitor))?;
    let OneEntity { row, timestamps, columns, .. } = visitor;
    let state = |column: &Column| ColumnState {
        name: column.name.clone(),
        attribute: column.to_attribute(),
    };
    let attributes = columns.iter().map(state).collect();
    Ok(row.map(|_| EntityHistory { id, timestamps, attributes }))
}

/// What looks at a group as it goes through time.
trait Visitor {
    /// The state before the first update; whether to go on.
    fn begin(&mut self, state: &Building) -> bool;

    /// The one attribute that is needed, if it is one.
    fn only(&self) -> Option<&str>;

    /// The state after all updates of a timestamp; whether anything that is needed was in them.
    fn stand(&mut self, timestamp: i64, state: &Building, changed: bool);
}

struct OneAttribute<'a> {
    attribute: &'a str,
    history: AttributeHistory,
}

impl OneAttribute<'_> {
    fn column<'s>(&self, state: &'s Building) -> Option<&'s Column> {
        state.columns.iter().find(|column| column.name == self.attribute)
    }
}

impl Visitor for OneAttribute<'_> {
    fn begin(&mut self, state: &Building) -> bool {
        self.history.ids = state.ids().to_vec();
        let found = self.column(state).is_some();
        if !found {
            self.history.ids.clear();
        }
        found
    }

    fn only(&self) -> Option<&str> {
        Some(self.attribute)
    }

    fn stand(&mut self, timestamp: i64, state: &Building, changed: bool) {
        let value = match self.history.values.last() {
            Some(last) if !changed => last.clone(),
            _ => self.column(state).expect("the walk began because it is there").to_attribute(),
        };
        self.history.timestamps.push(timestamp);
        self.history.values.push(value);
    }
}

struct OneEntity<'a> {
    id: i64,
    only: Option<&'a str>,
    row: Option<usize>,
    timestamps: Vec<i64>,
    columns: Vec<Column>,
}

impl Visitor for OneEntity<'_> {
    fn begin(&mut self, state: &Building) -> bool {
        self.row = state.ids().iter().position(|id| *id == self.id);
        let wanted = |column: &&Column| self.only.is_none_or(|only| column.name == only);
        self.columns = state.columns.iter().filter(wanted).map(Column::without_rows).collect();
        self.row.is_some()
    }

    fn only(&self) -> Option<&str> {
        self.only
    }

    fn stand(&mut self, timestamp: i64, state: &Building, _: bool) {
        let row = self.row.expect("the walk began because the entity is there");
        self.timestamps.push(timestamp);
        let only = self.only;
        let wanted = |column: &&Column| only.is_none_or(|only| column.name == only);
        for (column, now) in self.columns.iter_mut().zip(state.columns.iter().filter(wanted)) {
            assert_eq!(column.dtype, now.dtype, "the walk begins with the widest dtype of the run");
            let unit_size = now.unit_size();
            match (&mut column.values, &now.values) {
                (Values::Uniform(out), Values::Uniform(bytes)) => {
                    out.extend_from_slice(&bytes[row * unit_size..(row + 1) * unit_size]);
                }
                (Values::Ragged(out), Values::Ragged(rows)) => out.push(rows[row].clone()),
                _ => unreachable!("the columns were made from each other"),
            }
            column.defined.push(now.defined[row]);
        }
    }
}

/// Goes through the updates of a group once, forwards, in one snapshot.
fn walk(
    tx: &ReadTx<'_>,
    (dataset, group): (&str, &str),
    beginning: &Beginning,
    visitor: &mut dyn Visitor,
) -> Result<()> {
    let layout = Layout::of(tx)?;
    let mut travel = Travel::new(tx, layout, dataset, group).from(beginning);
    let (mut state, after) = if layout == Layout::Empty {
        (travel.initial()?, BEGINNING)
    } else {
        let template = travel.template()?;
        travel.start(&template, i64::MIN)?
    };
    if !visitor.begin(&state) {
        return Ok(());
    }
    let heads = match layout {
        Layout::Empty => Vec::new(),
        _ => read::heads(tx, dataset, Span { after, ..Span::default() })?,
    };
    // Where the walk stands, and whether the visitor has something new to see there.
    let mut here: Option<(i64, bool)> = None;
    let mut is_silent = true;
    for head in &heads {
        if let Some((timestamp, changed)) = here
            && timestamp != head.timestamp
        {
            visitor.stand(timestamp, &state, changed);
            here = None;
        }
        let spoke = match visitor.only() {
            Some(attribute) => travel.apply_only(&mut state, head, attribute)?,
            None => travel.apply(&mut state, head)?.then_some(true),
        };
        if let Some(changed) = spoke {
            is_silent = false;
            let before = here.is_some_and(|(_, changed)| changed);
            here = Some((head.timestamp, changed || before));
        }
    }
    match here {
        Some((timestamp, changed)) => visitor.stand(timestamp, &state, changed),
        None if is_silent => visitor.stand(0, &state, true),
        None => {}
    }
    Ok(())
}
