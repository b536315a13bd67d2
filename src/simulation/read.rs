//! Rows back into updates.

use rusqlite::types::FromSql;
use rusqlite::{CachedStatement, Row};

use super::arrays::ArrayReader;
use super::tables::{ARRAY_COLUMNS, Layout};
use super::update::{Attribute, Group, Update};
use crate::array::Array;
use crate::error::{Error, Result};
use crate::kernel::ReadTx;

/// Row of `update` without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: i64,
    pub(super) timestamp: i64,
    pub(super) iteration: i64,
    pub(super) origin: Option<String>,
}

pub(super) fn datasets(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    // One seek a dataset, whatever the number of updates.
    let sql = "WITH RECURSIVE d (name) AS ( \
        SELECT min(dataset_name) FROM \"update\" \
        UNION ALL SELECT (SELECT min(dataset_name) FROM \"update\" WHERE dataset_name > d.name) \
        FROM d WHERE d.name IS NOT NULL) SELECT name FROM d WHERE name IS NOT NULL";
    tx.query(sql, [], |row| Ok(row.get(0)?))
}

pub(super) fn timestamps(tx: &ReadTx<'_>, dataset: &str) -> Result<Vec<i64>> {
    let sql =
        "SELECT DISTINCT timestamp FROM \"update\" WHERE dataset_name = ?1 ORDER BY timestamp";
    let found = tx.query(sql, [dataset], |row| Ok(row.get_ref(0)?.as_i64().ok()))?;
    found.into_iter().collect::<Option<_>>().ok_or_else(|| not_a_time(tx, dataset))
}

/// The error for an update whose time is no integer: numpy's become blobs where no adapter is set.
fn not_a_time(tx: &ReadTx<'_>, dataset: &str) -> Error {
    let sql =
        "SELECT id FROM \"update\" WHERE dataset_name = ?1 AND typeof(timestamp) <> 'integer'";
    let row = tx.query_one(sql, [dataset], |row| Ok(row.get::<_, i64>(0)?));
    row.map_or_else(
        |error| error,
        |id| wrong_type("update", id.unwrap_or(0), "its timestamp must be an integer".into()),
    )
}

fn wrong_type(table: &str, id: i64, why: String) -> Error {
    Error::Corrupt { location: String::new(), what: format!("{table} row {id}"), why }
}

/// A cell of a row whose first column is its id. Another program may have written anything.
pub(super) fn cell<T: FromSql>(table: &str, row: &Row<'_>, i: usize) -> Result<T> {
    row.get(i).map_err(|error| match (error, row.get::<_, i64>(0)) {
        (rusqlite::Error::InvalidColumnType(_, name, found), Ok(id)) => {
            wrong_type(table, id, format!("its {name} is of type {found}"))
        }
        (rusqlite::Error::FromSqlConversionFailure(i, found, why), Ok(id)) => wrong_type(
            table,
            id,
            format!("its column {i} of type {found} is no value of its kind: {why}"),
        ),
        (other, _) => other.into(),
    })
}

pub(super) fn update_count(tx: &ReadTx<'_>, dataset: Option<&str>) -> Result<u64> {
    let count = match dataset {
        Some(name) => {
            tx.query_one("SELECT count(*) FROM \"update\" WHERE dataset_name = ?1", [name], first)?
        }
        None => tx.query_one("SELECT count(*) FROM \"update\"", [], first)?,
    };
    Ok(count.unwrap_or(0) as u64)
}

fn first(row: &rusqlite::Row<'_>) -> Result<i64> {
    Ok(row.get(0)?)
}

/// Which updates of a dataset are read: all of them by default.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// Timestamp and iteration; the updates after them.
    pub(super) after: (i64, i64),
    /// The last timestamp.
    pub(super) until: i64,
    /// The last row.
    pub(super) last_id: i64,
    /// The most updates.
    pub(super) limit: i64,
}

impl Default for Span {
    fn default() -> Self {
        Span { after: BEGINNING, until: i64::MAX, last_id: i64::MAX, limit: i64::MAX }
    }
}

/// Updates of a dataset, in order.
pub(super) fn heads(tx: &ReadTx<'_>, dataset: &str, span: Span) -> Result<Vec<Head>> {
    let Span { after, until, last_id, limit } = span;
    // What is no integer comes before or after all integers: not to be left out in silence, it is in
    // the ranges without such an end.
    let from = match after {
        BEGINNING => "?2 IS NOT NULL AND ?3 IS NOT NULL",
        _ => "u.timestamp >= ?2 AND (u.timestamp > ?2 OR u.iteration > ?3)",
    };
    let until_sql = if until == i64::MAX { "?4 IS NOT NULL" } else { "u.timestamp <= ?4" };
    let sql = format!(
        "SELECT u.id, u.timestamp, u.iteration, u.origin FROM \"update\" u WHERE u.dataset_name IS ?1 \
         AND {from} AND {until_sql} AND +u.id <= ?5 AND {} ORDER BY u.timestamp, u.iteration LIMIT ?6",
        tx.whole("update", "u")?
    );
    let params = (dataset, after.0, after.1, until, last_id, limit);
    tx.query(&sql, params, |row| {
        let time = |i| cell("update", row, i);
        let origin = cell("update", row, 3)?;
        Ok(Head { id: row.get(0)?, timestamp: time(1)?, iteration: time(2)?, origin })
    })
}

/// Before every update.
pub(super) const BEGINNING: (i64, i64) = (i64::MIN, i64::MIN);

/// Which part of an update is read: all of it by default.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    /// This group only.
    pub(super) group: Option<&'a str>,
    /// The values of this attribute and of `id` only; of the others their form.
    pub(super) attribute: Option<&'a str>,
    /// The values of `id` only.
    pub(super) forms: bool,
}

impl Wanted<'_> {
    fn values_of(&self, attribute: &str) -> bool {
        !self.forms && self.attribute.is_none_or(|only| only == attribute)
    }
}

/// One attribute of an update.
pub(super) struct Part {
    pub(super) group: String,
    pub(super) name: String,
    /// Row of `numpy_array`: equal rows, equal values.
    pub(super) data: i64,
    /// The values; where only the form was wanted, an attribute of no entities.
    pub(super) attribute: Attribute,
}

/// Reads updates, or initial datasets, of one snapshot: a statement each.
pub(super) struct UpdateReader<'t, 'c> {
    arrays: ArrayReader<'t, 'c>,
    statement: CachedStatement<'c>,
}

impl<'t, 'c> UpdateReader<'t, 'c> {
    /// A reader of updates.
    pub(super) fn new(tx: &'t ReadTx<'c>, layout: Layout) -> Result<Self> {
        Self::of(tx, layout, ("update_attribute", "update_id"))
    }

    /// A reader of initial datasets.
    pub(super) fn initial(tx: &'t ReadTx<'c>, layout: Layout) -> Result<Self> {
        Self::of(tx, layout, ("initial_dataset_attribute", "initial_dataset_id"))
    }

    fn of(tx: &'t ReadTx<'c>, layout: Layout, links: (&str, &str)) -> Result<Self> {
        let statement = tx.prepare(&layout.attributes_sql(tx, links)?)?;
        Ok(UpdateReader { arrays: ArrayReader::new(tx, layout), statement })
    }

    /// The attributes of an update, in the order in which it named them.
    pub(super) fn parts(&mut self, id: i64, wanted: Wanted<'_>) -> Result<Vec<Part>> {
        let Wanted { group, attribute, forms } = wanted;
        let mut rows = self.statement.query((id, group, attribute, forms))?;
        let mut parts: Vec<(i64, Part)> = Vec::new();
        while let Some(row) = rows.next()? {
            let position = cell("attribute_data", row, 1)?;
            parts.push((position, part(&mut self.arrays, row, wanted)?));
        }
        if !parts.is_sorted_by_key(|(position, _)| *position) {
            parts.sort_by_key(|(position, _)| *position);
        }
        Ok(parts.into_iter().map(|(_, part)| part).collect())
    }

    /// The entity groups of an update, each with its attributes, both in the order of the update.
    pub(super) fn groups(&mut self, id: i64, wanted: Wanted<'_>) -> Result<Vec<Group>> {
        Ok(groups(self.parts(id, wanted)?))
    }
}

/// A row of [`Layout::attributes_sql`].
fn part(arrays: &mut ArrayReader<'_, '_>, row: &Row<'_>, wanted: Wanted<'_>) -> Result<Part> {
    let group: String = cell("attribute_data", row, 2)?;
    let name: String = cell("attribute_data", row, 3)?;
    let id: i64 = cell("attribute_data", row, 4)?;
    let row_ptr: Option<i64> = cell("attribute_data", row, 5)?;
    let mask: Option<i64> = cell("attribute_data", row, 6)?;
    let has_values = name == "id" || wanted.values_of(&name);
    let attribute = if !has_values {
        let data = arrays.form(id, row, ARRAY_COLUMNS)?;
        Attribute { data, row_ptr: row_ptr.map(|_| Array::from_slice(&[0i64])), mask: None }
    } else {
        // The ids of most updates are those of the update before.
        let data = match &*name {
            "id" => arrays.read_shared(id)?,
            _ => arrays.unpack(id, row, ARRAY_COLUMNS)?,
        };
        let mut side = |id: Option<i64>| id.map(|id| arrays.read_shared(id)).transpose();
        checked(&group, &name, Attribute { data, row_ptr: side(row_ptr)?, mask: side(mask)? })?
    };
    Ok(Part { group, name, data: id, attribute })
}

/// An attribute whose arrays fit each other: another program may have written anything.
pub(super) fn checked(group: &str, name: &str, attribute: Attribute) -> Result<Attribute> {
    attribute.check("it").map_err(|error| Error::Corrupt {
        location: String::new(),
        what: format!("attribute {group}/{name}"),
        why: error.to_string(),
    })?;
    Ok(attribute)
}

/// Attributes as groups, both in the order of the attributes.
fn groups(parts: Vec<Part>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let n = parts.len();
    for Part { group, name, attribute, .. } in parts {
        let at = match groups.iter().rposition(|known| known.name == group) {
            Some(at) => at,
            None => {
                groups.push(Group { name: group, attributes: Vec::with_capacity(n) });
                groups.len() - 1
            }
        };
        groups[at].attributes.push((name, attribute));
    }
    // A shared id array was stored first by any update; a reader expects it at the front.
    for group in &mut groups {
        if let Some(at) = group.attributes.iter().position(|(name, _)| name == "id") {
            group.attributes[..=at].rotate_right(1);
        }
    }
    groups
}

/// Calls `each` for the updates of a dataset between two timestamps, both inclusive, in order.
pub(super) fn for_each_update(
    tx: &ReadTx<'_>,
    dataset: &str,
    range: std::ops::RangeInclusive<i64>,
    mut each: impl FnMut(Update) -> Result<()>,
) -> Result<()> {
    let layout = Layout::of(tx)?;
    if layout == Layout::Empty {
        return Ok(());
    }
    let mut reader = UpdateReader::new(tx, layout)?;
    let span = Span { after: (*range.start(), i64::MIN), until: *range.end(), ..Span::default() };
    for head in heads(tx, dataset, span)? {
        let data = reader.groups(head.id, Wanted::default())?;
        each(Update {
            timestamp: head.timestamp,
            iteration: head.iteration,
            dataset: dataset.to_owned(),
            origin: head.origin,
            data,
        })?;
    }
    Ok(())
}
