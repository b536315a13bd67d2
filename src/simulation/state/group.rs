//! An entity group at a time.

use std::collections::HashMap;

use super::column::{Column, Values};
use crate::array::{Array, Element};
use crate::error::{Error, Result};
use crate::simulation::update::{Attribute, Group};

/// What is expected of an update without ids where the ids of the group are not its positions.
pub(super) const IDS_NEEDED: &str =
    "an attribute id, as the group has ids that are not its positions";

/// Entities and attributes of one group while updates are applied.
#[derive(Debug, Clone, Default)]
pub(super) struct Building {
    ids: Vec<i64>,
    index: HashMap<i64, usize>,
    pub(super) columns: Vec<Column>,
    /// The rows of the last id array: updates mostly speak of the same entities.
    last: Option<(Array, Vec<usize>)>,
}

impl Building {
    pub(super) fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// Whether the ids are the positions, so that an update without ids can speak of them.
    pub(super) fn has_positions(&self) -> bool {
        self.ids.iter().zip(0..).all(|(id, position)| *id == position)
    }

    /// Makes room for entities that are not there yet.
    pub(super) fn add_ids(&mut self, ids: &[i64]) {
        for &id in ids {
            let next = self.ids.len();
            if *self.index.entry(id).or_insert(next) == next {
                self.ids.push(id);
            }
        }
        let entities = self.ids.len();
        self.columns.iter_mut().for_each(|column| column.grow(entities));
        self.last = None;
    }

    /// The rows of entities; those that are new get one.
    pub(super) fn rows_of(&mut self, ids: &[i64]) -> Vec<usize> {
        if ids == self.ids {
            return (0..ids.len()).collect();
        }
        if ids.iter().any(|id| !self.index.contains_key(id)) {
            self.add_ids(ids);
        }
        ids.iter().map(|id| self.index[id]).collect()
    }

    /// Makes sure that there is a column for an attribute, of a dtype that holds its values.
    pub(super) fn add_column(&mut self, name: &str, attribute: &Attribute) -> Result<()> {
        self.column(name, attribute)?.apply(attribute, &[])
    }

    pub(super) fn column(&mut self, name: &str, attribute: &Attribute) -> Result<&mut Column> {
        let at = self.columns.iter().position(|column| column.name == name);
        let at = at.unwrap_or_else(|| {
            self.columns.push(Column::new(name, attribute, self.ids.len()));
            self.columns.len() - 1
        });
        Ok(&mut self.columns[at])
    }

    pub(super) fn apply(&mut self, group: &Group) -> Result<()> {
        let ids = group.ids();
        let rows = match self.last.take() {
            Some((last, rows)) if last == ids => rows,
            _ => {
                let what = format!("{}/id", group.name);
                let numbers = crate::simulation::prepare::unique_ids(&what, &ids)?;
                self.add_ids(&numbers);
                numbers.iter().map(|id| self.index[id]).collect()
            }
        };
        for (name, attribute) in &group.attributes {
            if name != "id" {
                if attribute.entities() != rows.len() {
                    let expected = format!("{} entities as in id", rows.len());
                    let what = format!("{}/{name}", group.name);
                    return Err(Error::invalid(what, expected, attribute.entities().to_string()));
                }
                self.column(name, attribute)?.apply(attribute, &rows)?;
            }
        }
        self.last = Some((ids, rows));
        Ok(())
    }

    /// Applies the initial data, of which some shapes may be guesses.
    pub(super) fn begin(&mut self, group: &Group) -> Result<()> {
        self.apply(group)?;
        for column in &mut self.columns {
            column.guessed = matches!(column.values, Values::Ragged(_));
        }
        Ok(())
    }

    pub(super) fn size_bytes(&self) -> usize {
        8 * self.ids.len() + self.columns.iter().map(Column::size_bytes).sum::<usize>()
    }

    pub(super) fn to_state(&self, timestamp: i64) -> GroupState {
        let columns = self.columns.iter().map(|column| ColumnState {
            name: column.name.clone(),
            attribute: column.to_attribute(),
        });
        GroupState { timestamp, ids: self.ids.clone(), columns: columns.collect() }
    }
}

/// The state of an entity group at a timestamp.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupState {
    /// The timestamp that was asked for.
    pub timestamp: i64,
    /// Every entity that the group ever has, in the order in which the run names them.
    pub ids: Vec<i64>,
    /// Every attribute that the group ever has.
    pub columns: Vec<ColumnState>,
}

/// One attribute of a [`GroupState`].
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnState {
    /// The attribute.
    pub name: String,
    /// A value an entity, in the order of [`GroupState::ids`], low byte first. An undefined row holds
    /// the documented sentinel of its dtype, or zeros where there is none; `mask` (there if any row is
    /// undefined, or holds a value that looks like the sentinel) says [`CLEARED`](crate::simulation::CLEARED) for it.
    pub attribute: Attribute,
}

impl ColumnState {
    /// Whether row `i` has a value.
    pub fn is_defined(&self, i: usize) -> bool {
        self.attribute.mask.as_ref().is_none_or(|mask| mask.data()[i] == 0)
    }
}

impl GroupState {
    /// The values of an attribute.
    pub fn column(&self, name: &str) -> Option<&ColumnState> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The values of an attribute as Rust numbers, a value an entity in the order of [`ids`](Self::ids); of lists, those of
    /// all entities one after another. What is undefined is the sentinel of its dtype: see [`ColumnState`].
    ///
    /// # Errors
    /// [`Error::NotFound`] for an attribute that the group never has, [`Error::Invalid`] for numbers of another type.
    pub fn values<T: Element>(&self, name: &str) -> Result<Vec<T>> {
        let column = self.column(name).ok_or_else(|| Error::NotFound {
            what: "attribute",
            name: name.to_owned(),
            location: format!("the state at {}", self.timestamp),
        })?;
        let data = &column.attribute.data;
        data.to_vec().ok_or_else(|| {
            let expected = format!("values of {}", T::DTYPE);
            Error::invalid(format!("the attribute {name:?}"), expected, format!("{}", data.dtype()))
        })
    }

    /// The row of an entity.
    pub fn row_of(&self, id: i64) -> Option<usize> {
        self.ids.iter().position(|other| *other == id)
    }
}
