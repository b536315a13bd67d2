//! How often a file has what: of its rows, which may be many millions, nothing is sorted.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::ops::Range;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::describe::{ArraysSummary, DatasetSummary, GroupSummary, SimulationSummary, Unreadable};
use super::initial;
use super::tables::{Layout, array_table};
use crate::array::DType;
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, Value, value};

/// Columns that a file of movici may not have.
pub(super) struct Columns {
    pub(super) codec: bool,
    pub(super) mask: bool,
    pub(super) initial: bool,
}

/// What is counted in one walk over each table. Rows may be many millions, of few kinds: they are counted by kind, since to
/// join and to sort them would take most of the time.
#[derive(Default)]
pub(super) struct Counts {
    datasets: Kinds,
    /// Groups with an attribute.
    names: Kinds,
    /// Arrays by codec, dtype and shape.
    kinds: Kinds,
    held: Vec<Held>,
    attributes: Vec<Attribute>,
    /// By the numbers of a dataset and an attribute.
    given: HashMap<(u32, u32), Given>,
}

/// The arrays of a kind.
#[derive(Default)]
struct Held {
    count: u64,
    bytes: u64,
    references: u64,
}

/// An attribute that is given, by the numbers of its name and of its arrays.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Attribute {
    name: u32,
    arrays: [Option<u32>; 3],
}

/// The updates that give an attribute.
#[derive(Default)]
struct Given {
    updates: u64,
    first_update: i64,
}

impl Counts {
    pub(super) fn of(tx: &ReadTx<'_>, has: &Columns) -> Result<Self> {
        let mut counts = Counts::default();
        let arrays = counts.count_arrays(tx, has)?;
        let attributes = counts.count_attributes(tx, has, &arrays)?;
        drop(arrays);
        counts.count_links(tx, has, &attributes)?;
        Ok(counts)
    }

    fn count_links(&mut self, tx: &ReadTx<'_>, has: &Columns, attributes: &Ids) -> Result<()> {
        let sql = "SELECT l.attribute_data_id, l.update_id, u.dataset_name \
            FROM update_attribute l CROSS JOIN \"update\" u ON u.id = l.update_id";
        let mut last = None;
        tx.query(sql, [], |row| {
            let Some(attribute) = attributes.of(row, 0)? else { return Ok(()) };
            let update = value(row.get_ref(1)?).to_integer();
            let dataset = match last {
                Some((known, dataset)) if known == update => dataset,
                _ => self.datasets.number(row, 2..3)?,
            };
            last = Some((update, dataset));
            let given = self.given.entry((dataset, attribute)).or_default();
            let is_first = given.updates == 0 || update < given.first_update;
            given.first_update = if is_first { update } else { given.first_update };
            given.updates += 1;
            Ok(())
        })?;
        for ((_, attribute), Given { updates, .. }) in &self.given {
            refer(&mut self.held, &self.attributes[*attribute as usize], *updates);
        }
        if has.initial {
            let sql = "SELECT attribute_data_id FROM initial_dataset_attribute";
            tx.query(sql, [], |row| {
                if let Some(attribute) = attributes.of(row, 0)? {
                    refer(&mut self.held, &self.attributes[attribute as usize], 1);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The kinds of arrays by their ids. Sizes come from rows' headers: no array is read.
    fn count_arrays(&mut self, tx: &ReadTx<'_>, has: &Columns) -> Result<Ids> {
        let codec = if has.codec { "codec" } else { "NULL" };
        let sql =
            format!("SELECT id, {codec}, dtype, shape, length(data) FROM {}", array_table(tx)?);
        let mut ids = Ids::default();
        tx.query(&sql, [], |row| {
            let kind = self.kinds.number(row, 1..4)?;
            ids.put(row.get(0)?, kind);
            if self.held.len() <= kind as usize {
                self.held.push(Held::default());
            }
            let held = &mut self.held[kind as usize];
            held.count += 1;
            held.bytes += value(row.get_ref(4)?).to_count();
            Ok(())
        })?;
        Ok(ids)
    }

    /// The kinds of attributes by their ids.
    fn count_attributes(&mut self, tx: &ReadTx<'_>, has: &Columns, arrays: &Ids) -> Result<Ids> {
        let mask = if has.mask { "mask_id" } else { "NULL" };
        let sql = format!(
            "SELECT id, entity_group, attribute_name, data_id, indptr_id, {mask} FROM attribute_data"
        );
        let (mut ids, mut known) = (Ids::default(), HashMap::new());
        tx.query(&sql, [], |row| {
            let name = self.names.number(row, 1..3)?;
            let arrays = [arrays.of(row, 3)?, arrays.of(row, 4)?, arrays.of(row, 5)?];
            let attribute = Attribute { name, arrays };
            let kind = *known.entry(attribute).or_insert(self.attributes.len() as u32);
            if self.attributes.len() <= kind as usize {
                self.attributes.push(attribute);
            }
            ids.put(row.get(0)?, kind);
            Ok(())
        })?;
        Ok(ids)
    }

    /// The datasets with their groups, those that cannot be read among them.
    pub(super) fn datasets(&self, tx: &ReadTx<'_>, summary: &mut SimulationSummary) -> Result<()> {
        /// A group's first update, its name, and how many updates give each attribute.
        type Group<'a> = (i64, &'a Value, BTreeMap<String, u64>);
        let layout = Layout::of(tx)?;
        let sql = "SELECT dataset_name, count(*), count(DISTINCT timestamp), min(timestamp), max(timestamp) \
            FROM \"update\" GROUP BY 1 ORDER BY 1";
        let known = tx.query(sql, [], |row| {
            let cell = |i| Ok::<_, Error>(value(row.get_ref(i)?));
            Ok([cell(0)?, cell(1)?, cell(2)?, cell(3)?, cell(4)?])
        })?;
        let mut given_by: Vec<Vec<(u32, &Given)>> = vec![Vec::new(); self.datasets.all.len()];
        for ((dataset, attribute), given) in &self.given {
            given_by[*dataset as usize].push((*attribute, given));
        }
        for [dataset, updates, timestamps, first, last] in known {
            let name = dataset.to_text();
            let number = self.datasets.all.iter().position(|cells| cells[0] == dataset);
            let mut own: Vec<Group<'_>> = Vec::new();
            for (attribute, given) in number.into_iter().flat_map(|number| &given_by[number]) {
                let name = self.attributes[*attribute as usize].name;
                let [group, attribute] = &self.names.all[name as usize][..] else { continue };
                let at = own.iter().position(|(_, name, _)| *name == group).unwrap_or_else(|| {
                    own.push((given.first_update, group, BTreeMap::new()));
                    own.len() - 1
                });
                own[at].0 = own[at].0.min(given.first_update);
                *own[at].2.entry(attribute.to_text()).or_default() += given.updates;
            }
            own.sort_by_key(|(first, group, _)| (*first, group.to_text()));
            let mut unreadable =
                |why| summary.unreadable.push(Unreadable { name: name.clone(), why });
            if own.iter().any(|(_, group, _)| !matches!(group, Value::Text(_))) {
                unreadable("an entity_group of attribute_data is no text".to_owned());
            }
            let initial = initial::entities(tx, layout, &name).unwrap_or_else(|error| {
                unreadable(error.to_string());
                Vec::new() // those of the updates are known all the same
            });
            let mut groups: Vec<GroupSummary> = (initial.into_iter())
                .map(|group| GroupSummary { name: group.name, ..GroupSummary::default() })
                .collect();
            for (_, group, attributes) in own {
                let name = group.to_text();
                let at = groups.iter().position(|known| known.name == name).unwrap_or_else(|| {
                    groups.push(GroupSummary { name, ..GroupSummary::default() });
                    groups.len() - 1
                });
                // Each update of a group has one array of ids; without any, the attribute given most.
                groups[at].updates = attributes.values().copied().max().unwrap_or(0);
                groups[at].attributes = attributes.into_keys().collect();
            }
            summary.datasets.push(DatasetSummary {
                name,
                updates: updates.to_count(),
                timestamps: timestamps.to_count(),
                first: first.to_integer(),
                last: last.to_integer(),
                groups,
            });
        }
        Ok(())
    }

    /// The arrays of updates and initial datasets.
    pub(super) fn arrays(&self) -> ArraysSummary {
        let mut arrays = ArraysSummary::default();
        for (kind, Held { count, bytes, references }) in self.kinds.all.iter().zip(&self.held) {
            let raw = raw_bytes(&kind[1].to_text(), &kind[2].to_text());
            let raw = raw.unwrap_or(bytes / (*count).max(1));
            let codec = if kind[0] == Value::Null { "raw".to_owned() } else { kind[0].to_text() };
            let held = arrays.codecs.entry(codec).or_default();
            held.arrays += count;
            held.bytes += bytes;
            held.raw_bytes += raw * count;
            arrays.stored += count;
            arrays.stored_bytes += bytes;
            arrays.raw_bytes += raw * count;
            arrays.references += references;
            arrays.referenced_bytes += raw * references;
        }
        arrays
    }
}

/// Counts references to the arrays of an attribute.
fn refer(held: &mut [Held], attribute: &Attribute, times: u64) {
    for array in attribute.arrays.iter().flatten() {
        held[*array as usize].references += times;
    }
}

/// Kinds of rows, numbered from 0.
#[derive(Default)]
struct Kinds {
    /// The cells of each.
    all: Vec<Vec<Value>>,
    numbers: HashMap<Vec<u8>, u32>,
    /// The cells that are looked for, as bytes.
    key: Vec<u8>,
}

impl Kinds {
    fn number(&mut self, row: &Row<'_>, cells: Range<usize>) -> Result<u32> {
        self.key.clear();
        for i in cells.clone() {
            let cell = row.get_ref(i)?;
            self.key.push(cell.data_type() as u8);
            match cell {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    self.key.extend_from_slice(&bytes.len().to_le_bytes());
                    self.key.extend_from_slice(bytes);
                }
                ValueRef::Integer(n) => self.key.extend_from_slice(&n.to_le_bytes()),
                ValueRef::Real(x) => self.key.extend_from_slice(&x.to_le_bytes()),
                ValueRef::Null => {}
            }
        }
        if let Some(number) = self.numbers.get(&self.key) {
            return Ok(*number);
        }
        let cells = cells.map(|i| Ok(value(row.get_ref(i)?))).collect::<Result<_>>()?;
        let number = self.all.len() as u32;
        self.numbers.insert(self.key.clone(), number);
        self.all.push(cells);
        Ok(number)
    }
}

/// Numbers of kinds by the ids of rows: four bytes a row where the ids follow one another, as most do.
#[derive(Default)]
struct Ids {
    dense: Vec<Option<NonZeroU32>>,
    sparse: HashMap<i64, u32>,
    count: usize,
}

impl Ids {
    fn put(&mut self, id: i64, kind: u32) {
        self.count += 1;
        let most = 4 * self.count + 1024;
        match (usize::try_from(id), NonZeroU32::MIN.checked_add(kind)) {
            (Ok(at), Some(kind)) if at < most => {
                self.dense.resize(self.dense.len().max(at + 1), None);
                self.dense[at] = Some(kind);
            }
            _ => drop(self.sparse.insert(id, kind)),
        }
    }

    fn get(&self, id: i64) -> Option<u32> {
        let dense = usize::try_from(id).ok().and_then(|at| *self.dense.get(at)?);
        dense.map(|kind| kind.get() - 1).or_else(|| self.sparse.get(&id).copied())
    }

    /// By the id in a cell; another program may have written none.
    fn of(&self, row: &Row<'_>, i: usize) -> Result<Option<u32>> {
        Ok(row.get_ref(i)?.as_i64().ok().and_then(|id| self.get(id)))
    }
}

/// The bytes of an array by its dtype and shape; `None` if they say nothing.
fn raw_bytes(dtype: &str, shape: &str) -> Option<u64> {
    let dtype: DType = dtype.parse().ok()?;
    let shape: Vec<u64> = serde_json::from_str(shape).ok()?;
    shape.iter().try_fold(dtype.item_size() as u64, |bytes, n| bytes.checked_mul(*n))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a kind is found by its id, whatever ids there are, and far ids take no room.
    #[test]
    fn ids_are_found() {
        let mut ids = Ids::default();
        let all = [0, 1, 2, 7, 1_000, 1_100, 5, 40_000_000_000, i64::MAX, -1, i64::MIN, 3_000];
        all.iter().enumerate().for_each(|(kind, id)| ids.put(*id, kind as u32));
        let found = all.iter().map(|id| ids.get(*id)).collect::<Option<Vec<_>>>();
        assert_eq!(found, Some((0..all.len() as u32).collect()));
        assert_eq!([3, 999, 2_999, 40_000_000_001, -2].map(|id| ids.get(id)), [None; 5]);
        assert!(ids.dense.len() < 1_200, "{}", ids.dense.len());
        (2_000..200_000).for_each(|id| ids.put(id, 9));
        assert_eq!((ids.get(3_000), ids.get(199_999)), (Some(9), Some(9)));
        assert!(ids.dense.len() <= 200_000 && ids.sparse.len() < 2_000, "{}", ids.sparse.len());
    }
}
