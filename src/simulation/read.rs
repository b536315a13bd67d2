//! Rows back into updates.

use rusqlite::Row;
use rusqlite::types::FromSql;

use super::arrays::ArrayReader;
use super::tables::Layout;
use super::update::{Attribute, Group, Update};
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

/// One row of `attribute_data`, as an update refers to it.
#[derive(Debug, Clone)]
pub(super) struct AttributeRow {
    pub(super) group: String,
    pub(super) name: String,
    pub(super) data: i64,
    pub(super) row_ptr: Option<i64>,
    pub(super) mask: Option<i64>,
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
    Error::Corrupt { place: String::new(), what: format!("{table} row {id}"), why }
}

/// A cell of a row whose first column is its id. Another program may have written anything.
fn cell<T: FromSql>(table: &str, row: &Row<'_>, i: usize) -> Result<T> {
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

/// Updates after one place and up to a timestamp, in order. `from` is exclusive.
pub(super) fn heads(
    tx: &ReadTx<'_>,
    dataset: &str,
    after: (i64, i64),
    until: i64,
) -> Result<Vec<Head>> {
    let read = |row: &Row<'_>| {
        let time = |i| cell("update", row, i);
        let origin = cell("update", row, 3)?;
        Ok(Head { id: row.get(0)?, timestamp: time(1)?, iteration: time(2)?, origin })
    };
    // What is no integer comes before or after all integers: not to be left out in silence, it is in
    // the ranges without such an end.
    let head = "SELECT id, timestamp, iteration, origin FROM \"update\" WHERE dataset_name = ?1";
    let from = "AND timestamp >= ?2 AND (timestamp > ?2 OR iteration > ?3)";
    let order = "ORDER BY timestamp, iteration";
    match (after, until) {
        (BEGINNING, i64::MAX) => tx.query(&format!("{head} {order}"), [dataset], read),
        (after, i64::MAX) => {
            tx.query(&format!("{head} {from} {order}"), (dataset, after.0, after.1), read)
        }
        (after, until) => {
            let sql = format!("{head} {from} AND timestamp <= ?4 {order}");
            tx.query(&sql, (dataset, after.0, after.1, until), read)
        }
    }
}

/// Before every update.
pub(super) const BEGINNING: (i64, i64) = (i64::MIN, i64::MIN);

/// The attributes that an update, or with `sql` an initial dataset, refers to.
pub(super) fn attribute_rows(tx: &ReadTx<'_>, sql: &str, id: i64) -> Result<Vec<AttributeRow>> {
    tx.query(sql, [id], |row| {
        Ok(AttributeRow {
            group: cell("attribute_data", row, 1)?,
            name: cell("attribute_data", row, 2)?,
            data: cell("attribute_data", row, 3)?,
            row_ptr: cell("attribute_data", row, 4)?,
            mask: cell("attribute_data", row, 5)?,
        })
    })
}

pub(super) fn attribute(reader: &mut ArrayReader<'_, '_>, row: &AttributeRow) -> Result<Attribute> {
    let data =
        if row.name == "id" { reader.read_shared(row.data)? } else { reader.read(row.data)? };
    let mut side = |id: Option<i64>| id.map(|id| reader.read_shared(id)).transpose();
    let attribute = Attribute { data, row_ptr: side(row.row_ptr)?, mask: side(row.mask)? };
    // Another program may have written anything.
    attribute.check(&format!("{}/{}", row.group, row.name)).map_err(|error| Error::Corrupt {
        place: String::new(),
        what: format!("attribute {}/{}", row.group, row.name),
        why: error.to_string(),
    })?;
    Ok(attribute)
}

/// Rows of attributes as groups, both in the order of the rows.
pub(super) fn groups(
    reader: &mut ArrayReader<'_, '_>,
    rows: Vec<AttributeRow>,
) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let attribute = attribute(reader, &row)?;
        let at = match groups.iter().position(|group| group.name == row.group) {
            Some(at) => at,
            None => {
                groups.push(Group { name: row.group, attributes: Vec::new() });
                groups.len() - 1
            }
        };
        groups[at].attributes.push((row.name, attribute));
    }
    // A shared id array was stored first by any update; a reader expects it at the front.
    for group in &mut groups {
        if let Some(at) = group.attributes.iter().position(|(name, _)| name == "id") {
            group.attributes[..=at].rotate_right(1);
        }
    }
    Ok(groups)
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
    let mut reader = ArrayReader::new(tx, layout);
    let after = (*range.start(), i64::MIN);
    for head in heads(tx, dataset, after, *range.end())? {
        let rows = attribute_rows(tx, layout.attributes_sql(), head.id)?;
        each(Update {
            timestamp: head.timestamp,
            iteration: head.iteration,
            dataset: dataset.to_owned(),
            origin: head.origin,
            data: groups(&mut reader, rows)?,
        })?;
    }
    Ok(())
}
