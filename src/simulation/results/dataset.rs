//! One dataset of a recorded run, cut in three ways.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::source::{Opening, Source};
use super::time::Time;
use crate::array::{Array, DType, Kind, number};
use crate::error::{Error, Result};
use crate::simulation::state::{
    AttributeHistory, Beginning, ColumnState, EntityHistory, GroupCursor, GroupState,
    attribute_history, entity_history, group_timestamps,
};

/// What is known of an attribute beside its values.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AttributeInfo {
    /// The name.
    pub name: String,
    /// The dtype that holds every value of the run.
    pub dtype: DType,
    /// The shape of one value: empty for a plain number.
    pub unit_shape: Vec<usize>,
    /// Whether an entity has any number of values (CSR).
    pub is_ragged: bool,
    /// The value that means "no value" in this attribute, from the dataset's `general.special`.
    pub special: Option<Value>,
    /// The enumeration that the numbers stand for, from the schema.
    pub enum_name: Option<String>,
    /// The texts of the enumeration, from the dataset's `general.enum`.
    pub enum_values: Option<Vec<String>>,
}

/// Which entity is meant.
#[derive(Debug, Clone, PartialEq)]
pub enum EntityKey {
    /// The one with this id.
    Id(i64),
    /// The first whose attribute has this value at timestamp 0.
    Attribute(String, KeyValue),
}

/// A value to find an entity by.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyValue {
    /// An integer, or a truth as 0 or 1.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

impl std::fmt::Display for KeyValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeyValue::Int(value) => value.fmt(f),
            KeyValue::Float(value) => write!(f, "{value:?}"),
            KeyValue::Text(value) => f.write_str(value),
        }
    }
}

/// One dataset of a recorded run.
#[derive(Debug, Clone)]
pub struct ResultDataset {
    source: Arc<Source>,
    name: String,
    metadata: Map<String, Value>,
}

impl ResultDataset {
    pub(super) fn open(source: Arc<Source>, name: &str) -> Result<Self> {
        let opening = source.named(source.opening(name))?;
        let has_updates = || Ok::<_, Error>(source.db.update_count(Some(name))? > 0);
        let metadata = match opening {
            Opening::Entities(metadata, _) => metadata,
            Opening::Other | Opening::None if has_updates()? => Map::new(),
            Opening::Other => {
                let expected = "a dataset of entities";
                let got = "a table or bytes, which have no state in time";
                return Err(Error::invalid(format!("dataset {name:?}"), expected, got));
            }
            Opening::None => {
                let location = source.location().display().to_string();
                return Err(Error::NotFound { what: "dataset", name: name.to_owned(), location });
            }
        };
        Ok(ResultDataset { source, name: name.to_owned(), metadata })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything that the initial data say beside the entities: `name`, `type`, and `general`
    /// whole, with its enumerations and special values.
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// The entity groups: those of the initial data, then those that updates add.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn groups(&self) -> Result<Vec<String>> {
        let mut groups = match self.source.named(self.source.opening(&self.name))? {
            Opening::Entities(_, data) => data.into_iter().map(|group| group.name).collect(),
            _ => Vec::new(),
        };
        for group in self.source.named(self.source.db.updated_groups(&self.name))? {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        Ok(groups)
    }

    /// The attributes that a group ever has, `id` not among them; none for an unknown group.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if rows are damaged.
    pub fn attributes(&self, group: &str) -> Result<Vec<AttributeInfo>> {
        let Some(state) = self.state_at(group, &Time::Timestamp(-1))? else {
            return Ok(Vec::new());
        };
        Ok(state.columns.iter().map(|column| self.describe(group, column)).collect())
    }

    fn describe(&self, group: &str, column: &ColumnState) -> AttributeInfo {
        let name = &column.name;
        let general = self.metadata.get("general").and_then(Value::as_object);
        let in_general = |key: &str| general.and_then(|general| general.get(key));
        let special = ["special", "no_data"].iter().find_map(|key| {
            let value = in_general(key)?.get(format!("{group}.{name}"))?;
            Some(value.clone())
        });
        let enum_name = self.source.schema.get(name).and_then(|spec| spec.enum_name.clone());
        let enum_values = enum_name.as_deref().and_then(|name| {
            let values = in_general("enum")?.get(name)?.as_array()?;
            // A text as it is; what else somebody may have listed as JSON.
            let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            Some(values.iter().map(text).collect())
        });
        let data = &column.attribute.data;
        AttributeInfo {
            name: name.clone(),
            dtype: data.dtype(),
            unit_shape: data.shape()[1..].to_vec(),
            is_ragged: column.attribute.row_ptr.is_some(),
            special,
            enum_name,
            enum_values,
        }
    }

    /// The timestamps at which the dataset, or one of its groups, has updates, rising: `[0]` for a
    /// group that has none, and no timestamp for an unknown group.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn timestamps(&self, group: Option<&str>) -> Result<Vec<i64>> {
        let db = &self.source.db;
        let Some(group) = group else { return self.source.named(db.timestamps(&self.name)) };
        let timestamps = group_timestamps(db.database(), &self.name, group);
        let timestamps = self.source.named(timestamps)?;
        if timestamps.is_empty() && self.groups()?.iter().any(|known| known == group) {
            return Ok(vec![0]);
        }
        Ok(timestamps)
    }

    fn beginning(&self, group: &str) -> Result<Beginning> {
        self.source.named(self.source.beginning(&self.name, group))
    }

    /// A cursor in time in one group.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a group that the dataset never has.
    pub fn cursor(&self, group: &str, time: &Time) -> Result<GroupCursor> {
        let timestamp = time.to_timestamp(self.source.timeline.as_ref())?;
        let db = self.source.db.database();
        let beginning = self.beginning(group)?;
        let cursor = GroupCursor::open_from(db, &self.name, group, timestamp, beginning);
        self.source.named(cursor)
    }

    /// The state of a group at a time: all entities and attributes that it ever has. Before the
    /// first update stands the initial state (-1), after the last one the last. `None` for an
    /// unknown group.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time that is none; [`Error::Corrupt`] if rows are damaged.
    pub fn state_at(&self, group: &str, time: &Time) -> Result<Option<GroupState>> {
        match self.cursor(group, time) {
            Ok(cursor) => Ok(Some(cursor.state())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One attribute of all entities, at each timestamp of the group; empty for an unknown group
    /// or attribute, and for `id`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if rows are damaged.
    pub fn attribute_history(&self, group: &str, attribute: &str) -> Result<AttributeHistory> {
        let beginning = self.beginning(group)?;
        let location = (self.name.as_str(), group);
        let db = self.source.db.database();
        self.source.named(attribute_history(db, location, &beginning, attribute))
    }

    /// All attributes of one entity, at each timestamp of the group.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such entity, attribute or group; [`Error::Invalid`] for
    /// a key attribute whose values are lists.
    pub fn entity_history(&self, group: &str, key: &EntityKey) -> Result<EntityHistory> {
        let missing = |what: &'static str, name: String| Error::NotFound {
            what,
            name,
            location: format!("{}/{group}", self.name),
        };
        let id = match key {
            EntityKey::Id(id) => *id,
            EntityKey::Attribute(name, value) if name == "id" => match value {
                KeyValue::Int(id) => *id,
                other => return Err(missing("entity id", other.to_string())),
            },
            EntityKey::Attribute(name, value) => {
                let state = self.state_at(group, &Time::Timestamp(0))?;
                let state = state.ok_or_else(|| missing("entity group", group.to_owned()))?;
                let column =
                    state.column(name).ok_or_else(|| missing("attribute", name.clone()))?;
                let row = find(column, value)?;
                let row = row.ok_or_else(|| missing("entity with", format!("{name} = {value}")))?;
                state.ids[row]
            }
        };
        let history = self.history(group, id, None)?;
        history.ok_or_else(|| missing("entity", id.to_string()))
    }

    /// One attribute of one entity, at each timestamp of the group. Only its updates are read.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such entity, attribute or group.
    pub fn value_history(&self, group: &str, id: i64, attribute: &str) -> Result<EntityHistory> {
        let missing = |what: &'static str, name: String| Error::NotFound {
            what,
            name,
            location: format!("{}/{group}", self.name),
        };
        let history = self.history(group, id, Some(attribute))?;
        let history = history.ok_or_else(|| missing("entity", id.to_string()))?;
        match history.attributes.is_empty() {
            true => Err(missing("attribute", attribute.to_owned())),
            false => Ok(history),
        }
    }

    fn history(
        &self,
        group: &str,
        id: i64,
        attribute: Option<&str>,
    ) -> Result<Option<EntityHistory>> {
        let beginning = self.beginning(group)?;
        let location = (self.name.as_str(), group);
        let db = self.source.db.database();
        self.source.named(entity_history(db, location, &beginning, (id, attribute)))
    }
}

/// The first row with a value.
fn find(column: &ColumnState, value: &KeyValue) -> Result<Option<usize>> {
    let data = &column.attribute.data;
    if column.attribute.row_ptr.is_some() || data.shape().len() != 1 {
        let expected = "an attribute with one plain value an entity";
        return Err(Error::invalid(format!("key {:?}", column.name), expected, "lists"));
    }
    let is_defined = |row: &usize| column.is_defined(*row);
    let found = match (data.dtype().kind(), value) {
        (Kind::Str | Kind::Bytes, KeyValue::Text(text)) => {
            let texts = data.to_strings().unwrap_or_default();
            (0..texts.len()).filter(is_defined).find(|row| texts[*row] == *text)
        }
        (Kind::Int | Kind::UInt, KeyValue::Int(value)) => match data.to_i64s() {
            Some(values) => (0..values.len()).filter(is_defined).find(|row| values[*row] == *value),
            None => find_number(data, *value as f64, is_defined),
        },
        (Kind::Float | Kind::Bool, KeyValue::Int(value)) => {
            find_number(data, *value as f64, is_defined)
        }
        (Kind::Int | Kind::UInt | Kind::Float | Kind::Bool, KeyValue::Float(value)) => {
            find_number(data, *value, is_defined)
        }
        _ => None,
    };
    Ok(found)
}

fn find_number(data: &Array, value: f64, is_defined: impl Fn(&usize) -> bool) -> Option<usize> {
    let (dtype, size) = (data.dtype(), data.dtype().item_size());
    let of_row = |row: usize| number(dtype, &data.data()[row * size..(row + 1) * size]);
    (0..data.rows()).filter(is_defined).find(|row| of_row(*row) == value)
}
