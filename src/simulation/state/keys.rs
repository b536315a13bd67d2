//! Key states: the whole state of a group every so many updates, so that a seek replays few.
//!
//! They are built beside the writer, from the rows, and can be removed and built again at any
//! time. A group gets one after [`UPDATES`] updates of its dataset if the updates since the last one
//! hold [`SHARE`] times its size, after [`DENSE_UPDATES`] if it is at least [`DENSE_BYTES`] large and they
//! hold [`DENSE_SHARE`] times, and after [`UPDATES_MOST`] in any case: so they take at most a fifth of
//! the file or one state every 4,096 updates, and a seek replays at most so many. A group that did not
//! change gets a row that points to the earlier one.

use std::collections::BTreeSet;

use super::column::{Column, Values};
use super::cursor::Travel;
use super::group::Building;
use crate::array::{Array, Codec, pack, unpack};
use crate::error::{Error, Result};
use crate::kernel::{Database, ReadTx};
use crate::simulation::read::{self, BEGINNING, Head};
use crate::simulation::run;
use crate::simulation::tables::Layout;

/// Updates of a dataset between two key states, at least.
pub(super) const UPDATES: usize = 256;
/// The same where updates are large: if they hold [`DENSE_SHARE`] times the size of the state.
const DENSE_UPDATES: usize = 64;
const DENSE_SHARE: usize = 32;
/// Smaller states are replayed in no time.
const DENSE_BYTES: usize = 16 << 10;
/// Updates of a dataset between two key states, at most.
const UPDATES_MOST: usize = 4096;
/// Bytes of updates a byte of key state.
const SHARE: usize = 4;

/// What a run of the builder wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KeyReport {
    /// Key states written.
    pub(crate) written: u64,
    /// Key states that were overtaken by a change before them and thrown away.
    pub(crate) outdated: u64,
}

/// A key state as it is stored.
pub(super) struct Key {
    pub(super) place: (i64, i64),
    id: i64,
    content: Content,
}

enum Content {
    SameAs(i64),
    State { columns: String, state: Vec<u8> },
}

/// The last key state of a group at or before a timestamp.
pub(super) fn last_key(
    tx: &ReadTx<'_>,
    dataset: &str,
    group: &str,
    until: i64,
) -> Result<Option<Key>> {
    let sql = "SELECT id, timestamp, iteration, same_as, columns, state FROM simulation_key_state \
        WHERE dataset_name = ?1 AND entity_group = ?2 AND timestamp <= ?3 \
        ORDER BY timestamp DESC, iteration DESC LIMIT 1";
    tx.query_one(sql, (dataset, group, until), |row| {
        let content = match row.get(3)? {
            Some(same) => Content::SameAs(same),
            None => Content::State { columns: row.get(4)?, state: row.get(5)? },
        };
        Ok(Key { place: (row.get(1)?, row.get(2)?), id: row.get(0)?, content })
    })
}

impl Key {
    /// The state that it holds.
    pub(super) fn load(self, tx: &ReadTx<'_>) -> Result<Building> {
        let (columns, state): (String, Vec<u8>) = match self.content {
            Content::State { columns, state } => (columns, state),
            Content::SameAs(id) => {
                let sql = "SELECT columns, state FROM simulation_key_state WHERE id = ?1 AND same_as IS NULL";
                let found = tx.query_one(sql, [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
                found
                    .ok_or_else(|| damaged(self.id, "the key state that it refers to is missing"))?
            }
        };
        decode(&columns, &state).map_err(|error| match error {
            Error::Corrupt { why, .. } => damaged(self.id, &why),
            other => damaged(self.id, &other.to_string()),
        })
    }
}

fn damaged(id: i64, why: &str) -> Error {
    Error::Corrupt { place: String::new(), what: format!("key state {id}"), why: why.to_owned() }
}

/// Per column: `defined` (`|b1 [n]`), the values, and for a ragged one the row ends (`<i8 [n + 1]`).
fn encode(state: &Building) -> (String, Vec<u8>) {
    let mut arrays = vec![Array::from_slice(state.ids())];
    let mut names = Vec::new();
    for column in &state.columns {
        let ragged = matches!(column.values, Values::Ragged(_));
        names.push(serde_json::json!({ "name": column.name, "ragged": ragged }));
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
    (serde_json::Value::Array(names).to_string(), pack(&arrays, Codec::Auto))
}

fn decode(columns: &str, state: &[u8]) -> Result<Building> {
    let wrong =
        |why: &str| Error::Corrupt { place: String::new(), what: String::new(), why: why.into() };
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
        building.columns.push(Column { name, dtype, unit, values, defined });
    }
    Ok(building)
}

/// What makes a key state of this snapshot valid later: nothing was removed since, and nothing added
/// before it.
#[derive(Clone, Copy)]
struct Witness {
    epoch: i64,
    last_update: i64,
}

/// Builds the key states that a dataset lacks, up to its last update.
pub(crate) fn build_keys(db: &Database, dataset: &str) -> Result<KeyReport> {
    let mut report = KeyReport::default();
    let groups = db.read(|tx| match Layout::of(tx)? {
        Layout::Ours => groups_of(tx, dataset),
        _ => Ok(BTreeSet::new()),
    })?;
    for group in groups {
        // One snapshot a key state: a long build never holds the log back.
        while let Some((place, witness, content)) = db.read(|tx| next_key(tx, dataset, &group))? {
            let (dataset, group) = (dataset.to_owned(), group.clone());
            let valid = db.write(move |tx| {
                let (timestamp, iteration) = place;
                let epoch: Option<i64> = run::get(tx, "key_epoch")?;
                let sql = "SELECT 1 FROM \"update\" WHERE id > ?1 AND dataset_name = ?2 \
                    AND (timestamp < ?3 OR timestamp = ?3 AND iteration <= ?4) LIMIT 1";
                let added = (witness.last_update, &dataset, timestamp, iteration);
                if epoch != Some(witness.epoch) || tx.query_one(sql, added, |_| Ok(()))?.is_some() {
                    return Ok(false);
                }
                let (same_as, columns, state) = match &content {
                    Content::SameAs(id) => (Some(*id), None, None),
                    Content::State { columns, state } => (None, Some(columns), Some(state)),
                };
                let sql = "INSERT OR IGNORE INTO simulation_key_state \
                    (dataset_name, entity_group, timestamp, iteration, same_as, columns, state) \
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
                tx.execute(sql, (&dataset, &group, timestamp, iteration, same_as, columns, state))?;
                Ok(true)
            })?;
            if valid {
                report.written += 1;
            } else {
                report.outdated += 1;
                break; // the next build starts from what is there then
            }
        }
    }
    tracing::debug!(dataset, report.written, report.outdated, "key states");
    Ok(report)
}

/// Every group that a dataset's updates or initial data name.
fn groups_of(tx: &ReadTx<'_>, dataset: &str) -> Result<BTreeSet<String>> {
    let known = "SELECT DISTINCT entity_group FROM simulation_key_state WHERE dataset_name = ?1";
    let mut groups: BTreeSet<String> =
        tx.query(known, [dataset], |row| Ok(row.get(0)?))?.into_iter().collect();
    let sql = "SELECT timestamp, iteration FROM simulation_key_state WHERE dataset_name = ?1 \
        ORDER BY timestamp DESC, iteration DESC LIMIT 1";
    let place = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let last = tx.query_one(sql, [dataset], place)?;
    // A group that appeared since the last key state is in the updates since then, but one whose own
    // key was not due may be older: look back as far as a key can be late.
    let behind = "SELECT timestamp, iteration FROM \"update\" WHERE dataset_name = ?1 \
        AND (timestamp < ?2 OR timestamp = ?2 AND iteration <= ?3) \
        ORDER BY timestamp DESC, iteration DESC LIMIT 1 OFFSET ?4";
    let from = match last {
        None => None,
        Some((t, i)) => tx.query_one(behind, (dataset, t, i, UPDATES_MOST as i64), place)?,
    };
    for head in read::heads(tx, dataset, from.unwrap_or(BEGINNING), i64::MAX)? {
        for row in read::attribute_rows(tx, Layout::Ours.attributes_sql(), head.id)? {
            groups.insert(row.group);
        }
    }
    Ok(groups)
}

type NextKey = Option<((i64, i64), Witness, Content)>;

/// The next key state that a group should have after its last one.
fn next_key(tx: &ReadTx<'_>, dataset: &str, group: &str) -> Result<NextKey> {
    let last = last_key(tx, dataset, group, i64::MAX)?;
    let after = last.as_ref().map_or(BEGINNING, |key| key.place);
    let heads = heads_after(tx, dataset, after)?;
    if heads.len() < DENSE_UPDATES {
        return Ok(None);
    }
    let number = |sql: &str| tx.query_one(sql, [], |row| Ok(row.get(0)?));
    let witness = Witness {
        epoch: run::get(tx, "key_epoch")?.unwrap_or(0),
        last_update: number("SELECT max(id) FROM \"update\"")?.unwrap_or(0),
    };
    let source = last.as_ref().map(|key| match &key.content {
        Content::SameAs(id) => *id,
        Content::State { .. } => key.id,
    });
    let mut travel = Travel::new(tx, Layout::Ours, dataset, group)?;
    let mut state = match last {
        Some(key) => key.load(tx)?,
        None => travel.initial()?,
    };
    let (mut bytes, mut changed) = (0, false);
    for (n, head) in heads.iter().enumerate() {
        if let Some(read) = travel.apply(&mut state, head)? {
            (bytes, changed) = (bytes + read, true);
        }
        let n = n + 1;
        let holds = |share: usize| bytes >= share * state.size_bytes();
        let due = n >= UPDATES_MOST
            || n >= UPDATES && holds(SHARE)
            || n >= DENSE_UPDATES && holds(DENSE_SHARE) && state.size_bytes() >= DENSE_BYTES;
        let place = (head.timestamp, head.iteration);
        if n >= UPDATES_MOST
            && !changed
            && let Some(id) = source
        {
            return Ok(Some((place, witness, Content::SameAs(id))));
        }
        if due {
            let (columns, state) = encode(&state);
            return Ok(Some((place, witness, Content::State { columns, state })));
        }
    }
    Ok(None)
}

/// At most as many updates as a key state can be late.
fn heads_after(tx: &ReadTx<'_>, dataset: &str, after: (i64, i64)) -> Result<Vec<Head>> {
    let sql = "SELECT id, timestamp, iteration FROM \"update\" WHERE dataset_name = ?1 \
        AND timestamp >= ?2 AND (timestamp > ?2 OR iteration > ?3) \
        ORDER BY timestamp, iteration LIMIT ?4";
    tx.query(sql, (dataset, after.0, after.1, UPDATES_MOST as i64), |row| {
        Ok(Head { id: row.get(0)?, timestamp: row.get(1)?, iteration: row.get(2)?, origin: None })
    })
}
