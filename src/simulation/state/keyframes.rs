//! Keyframes: the whole state of a group every so many updates, so that a seek replays few.
//!
//! They can be removed and built again at any time: see [`super::keyframe_builder`].

use super::column::{Column, Values};
use super::group::Building;
use crate::array::{Array, Codec, pack, unpack};
use crate::error::{Error, Result};
use crate::kernel::ReadTx;

/// A keyframe as it is stored.
pub(super) struct Keyframe {
    pub(super) position: (i64, i64),
    pub(super) id: i64,
    content: Content,
}

pub(super) enum Content {
    /// That of another keyframe, by its id.
    SameAs(i64),
    State {
        columns: String,
        state: Vec<u8>,
    },
}

/// The last keyframe of a group at or before a timestamp.
pub(super) fn last_keyframe(
    tx: &ReadTx<'_>,
    dataset: &str,
    group: &str,
    until: i64,
) -> Result<Option<Keyframe>> {
    let sql = format!(
        "SELECT id, timestamp, iteration, same_as, columns, state FROM simulation_keyframe k \
         WHERE dataset_name IS ?1 AND entity_group IS ?2 AND timestamp <= ?3 AND {} \
         ORDER BY timestamp DESC, iteration DESC LIMIT 1",
        tx.is_whole("simulation_keyframe", "k")?
    );
    tx.query_one(&sql, (dataset, group, until), |row| {
        let content = match row.get(3)? {
            Some(same) => Content::SameAs(same),
            None => Content::State { columns: row.get(4)?, state: row.get(5)? },
        };
        Ok(Keyframe { position: (row.get(1)?, row.get(2)?), id: row.get(0)?, content })
    })
}

impl Keyframe {
    /// The keyframe that has the content: this one or the one that it refers to.
    pub(super) fn source(&self) -> i64 {
        match self.content {
            Content::SameAs(id) => id,
            Content::State { .. } => self.id,
        }
    }

    /// The state that it holds.
    pub(super) fn load(self, tx: &ReadTx<'_>) -> Result<Building> {
        let (columns, state): (String, Vec<u8>) = match self.content {
            Content::State { columns, state } => (columns, state),
            Content::SameAs(id) => {
                let sql = format!(
                    "SELECT columns, state FROM simulation_keyframe k WHERE id = ?1 AND same_as IS NULL AND {}",
                    tx.is_whole("simulation_keyframe", "k")?
                );
                let found = tx.query_one(&sql, [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
                found
                    .ok_or_else(|| damaged(self.id, "the keyframe that it refers to is missing"))?
            }
        };
        decode(&columns, &state).map_err(|error| match error {
            Error::Corrupt { why, .. } => damaged(self.id, &why),
            other => damaged(self.id, &other.to_string()),
        })
    }
}

fn damaged(id: i64, why: &str) -> Error {
    Error::Corrupt { location: String::new(), what: format!("keyframe {id}"), why: why.to_owned() }
}

/// Whether an error says that a keyframe is damaged: then it is passed over, as if it were not there.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Corrupt { .. })
}

/// Per column: `defined` (`|b1 [n]`), the values, and for a ragged one the row ends (`<i8 [n + 1]`).
pub(super) fn encode(state: &Building) -> Content {
    let mut arrays = vec![Array::from_slice(state.ids())];
    let mut names = Vec::new();
    for column in &state.columns {
        let ragged = matches!(column.values, Values::Ragged(_));
        let mut name = serde_json::json!({ "name": column.name, "ragged": ragged });
        if column.guessed {
            name["guessed"] = true.into();
        }
        names.push(name);
        arrays.push(Array::from_slice(&column.defined));
        let (data, ends) = match &column.values {
            Values::Uniform(bytes) => (bytes.clone(), None),
            Values::Ragged(rows) => {
                let mut ends = vec![0i64];
                rows.iter().for_each(|row| ends.push(ends[ends.len() - 1] + row.len() as i64));
                (rows.concat(), Some(ends))
            }
        };
        let rows = match &ends {
            None => column.defined.len(),
            Some(_) => data.len().checked_div(column.unit_size()).unwrap_or(0),
        };
        let shape = std::iter::once(rows).chain(column.unit.iter().copied()).collect();
        arrays
            .push(Array::new(column.dtype, shape, data).expect("the column's own bytes and shape"));
        arrays.extend(ends.map(|ends| Array::from_slice(&ends)));
    }
    let columns = serde_json::Value::Array(names).to_string();
    Content::State { columns, state: pack(&arrays, Codec::Auto) }
}

fn decode(columns: &str, state: &[u8]) -> Result<Building> {
    let wrong = |why: &str| Error::Corrupt {
        location: String::new(),
        what: String::new(),
        why: why.into(),
    };
    let names: Vec<serde_json::Value> =
        serde_json::from_str(columns).map_err(|e| wrong(&format!("its columns: {e}")))?;
    let mut arrays = unpack(state)?.into_iter();
    let mut next = || arrays.next().ok_or_else(|| wrong("an array is missing"));
    let ids = next()?.to_vec::<i64>().ok_or_else(|| wrong("its ids are not integers"))?;
    let mut building = Building::default();
    building.add_ids(&ids);
    let n = building.ids().len();
    for column in names {
        let name = column["name"].as_str().ok_or_else(|| wrong("a column has no name"))?.to_owned();
        let defined = next()?.to_vec::<bool>().filter(|d| d.len() == n);
        let defined = defined.ok_or_else(|| wrong("a column has another length than its ids"))?;
        let data = next()?;
        if data.shape().is_empty() {
            return Err(wrong("a column is a single value"));
        }
        let (dtype, unit) = (data.dtype(), data.shape()[1..].to_vec());
        let values = if column["ragged"] == true {
            let ends = next()?.to_vec::<i64>().filter(|e| e.len() == n + 1);
            let ends = ends.ok_or_else(|| wrong("a ragged column has no row ends"))?;
            let row = |pair: &[i64]| -> Option<Vec<u8>> {
                let range = usize::try_from(pair[0]).ok()?..usize::try_from(pair[1]).ok()?;
                Some(data.data().get(range)?.to_vec())
            };
            let rows: Option<Vec<_>> = ends.windows(2).map(row).collect();
            Values::Ragged(rows.ok_or_else(|| wrong("a ragged column's row ends leave its data"))?)
        } else if data.rows() == n {
            Values::Uniform(data.data().to_vec())
        } else {
            return Err(wrong("a column has another length than its ids"));
        };
        let guessed = column["guessed"] == true;
        building.columns.push(Column { name, dtype, unit, values, defined, guessed });
    }
    Ok(building)
}
