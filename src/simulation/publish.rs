//! Updates as other machines see them: a row a value.
//!
//! A bucket of datasets is cut by timestamps. Nothing is known of their unit, so a range with many values is cut into four, and
//! each of them again: the ranges of a run that grows stay as they are, but for those near its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use rusqlite::types::ValueRef;
use xxhash_rust::xxh3::xxh3_128;

use super::arrays::ArrayReader;
use super::initial;
use super::long::{Head, Rows, UPDATES, Values, schema};
use super::read::{cell, checked, datasets};
use super::state::sentinels_as_mask;
use super::tables::{Layout, array_table};
use super::update::Attribute;
use crate::array::parse_shape;
use crate::error::{Error, Result};
use crate::kernel::{Database, ReadTx};
use crate::table::{Batches, Cut, Published, PublishedTable, Slice, bucket};

/// A range with more items than this is cut; near the end of a run that grows, one with more than this.
const MOST_ITEMS: u64 = 1 << 20;
const MOST_NEW_ITEMS: u64 = 1 << 16;

/// The updates of a file, as they are published.
pub(crate) struct PublishedUpdates(pub(crate) Database);

/// The updates of a timestamp: how many items they have, and what tells them from others.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    items: u64,
    pub(super) signature: u128,
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.items = self.items.saturating_add(other.items);
        self.signature = self.signature.wrapping_add(other.signature);
    }
}

/// What there is of each bucket, by time. Arrays count by their checksums, which do not change with where they are.
pub(super) fn seen(tx: &ReadTx<'_>, layout: Layout) -> Result<BTreeMap<u64, BTreeMap<i64, Seen>>> {
    let arrays = array_table(tx)?;
    let (mask, sum) = match layout {
        Layout::Ours => ("a.mask_id", "coalesce({}.checksum, silt_row_sum({}.data))"),
        _ => ("NULL", "silt_row_sum({}.data)"),
    };
    let [data, row_ptr, mask_data] = ["n", "p", "m"].map(|array| sum.replace("{}", array));
    let sql = format!(
        "SELECT u.id, u.dataset_name, u.timestamp, u.iteration, u.origin, a.entity_group, a.attribute_name, \
         n.dtype, n.shape, {data}, p.dtype, p.shape, {row_ptr}, m.dtype, {mask_data} \
         FROM \"update\" u CROSS JOIN update_attribute l ON l.update_id = u.id \
         CROSS JOIN attribute_data a ON a.id = l.attribute_data_id LEFT JOIN {arrays} n ON n.id = a.data_id \
         LEFT JOIN {arrays} p ON p.id = a.indptr_id LEFT JOIN {arrays} m ON m.id = {mask} \
         ORDER BY u.dataset_name, u.timestamp, u.iteration"
    );
    let mut all: BTreeMap<u64, BTreeMap<i64, Seen>> = BTreeMap::new();
    let mut statement = tx.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut last: Option<(String, u64)> = None;
    let mut bytes = Vec::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(1)?.as_str_or_null().ok().flatten();
        let bucket = match &last {
            Some((known, bucket)) if Some(known.as_str()) == name => *bucket,
            _ => {
                let name: String = cell("update", row, 1)?;
                let bucket = bucket(&name);
                last = Some((name, bucket));
                bucket
            }
        };
        let timestamp: i64 = cell("update", row, 2)?;
        bytes.clear();
        for i in 1..15 {
            put(&mut bytes, row.get_ref(i)?);
        }
        let shape: Option<String> = cell("numpy_array", row, 8)?;
        let shape = shape.and_then(|shape| parse_shape(&shape).ok()).unwrap_or_default();
        let items = shape.iter().fold(1u64, |items, n| items.saturating_mul(*n as u64));
        let seen = Seen { items, signature: xxh3_128(&bytes) };
        all.entry(bucket).or_default().entry(timestamp).or_default().add(seen);
    }
    Ok(all)
}

/// A value after others, so that no two rows are the same bytes.
fn put(bytes: &mut Vec<u8>, value: ValueRef<'_>) {
    let mut put = |kind: u8, value: &[u8]| {
        bytes.push(kind);
        bytes.extend((value.len() as u64).to_le_bytes());
        bytes.extend_from_slice(value);
    };
    match value {
        ValueRef::Null => put(0, &[]),
        ValueRef::Integer(n) => put(1, &n.to_le_bytes()),
        ValueRef::Real(x) => put(2, &x.to_le_bytes()),
        ValueRef::Text(text) => put(3, text),
        ValueRef::Blob(blob) => put(4, blob),
    }
}

/// The ranges of a bucket, each with what it has: as large as may be, the finer the nearer to the last time if it grows.
fn ranges(times: &BTreeMap<i64, Seen>, cut: Cut) -> Vec<(i64, i64, Seen)> {
    let times: Vec<(i64, Seen)> = times.iter().map(|(time, seen)| (*time, *seen)).collect();
    let Some((last, _)) = times.last() else { return Vec::new() };
    let mut ranges = Vec::new();
    divide(&times, (i64::MIN.into(), 64), (*last, cut), &mut ranges);
    ranges
}

/// Divides the range that begins at a time and has so many bits.
fn divide(
    times: &[(i64, Seen)],
    (first, bits): (i128, u32),
    (last, cut): (i64, Cut),
    ranges: &mut Vec<(i64, i64, Seen)>,
) {
    let Some((end, _)) = times.last() else { return };
    let mut all = Seen::default();
    times.iter().for_each(|(_, seen)| all.add(*seen));
    let is_growing = cut == Cut::Fine && *end == last;
    let until = first + (1 << bits);
    if bits == 0 || all.items <= if is_growing { MOST_NEW_ITEMS } else { MOST_ITEMS } {
        let until = i64::try_from(until).unwrap_or(i64::MAX);
        return ranges.push((first as i64, until, all));
    }
    let mut rest = times;
    for quarter in 1..=4 {
        let end = first + (quarter << (bits - 2));
        let (part, others) =
            rest.split_at(rest.partition_point(|(time, _)| i128::from(*time) < end));
        divide(part, (end - (1 << (bits - 2)), bits - 2), (last, cut), ranges);
        rest = others;
    }
}

/// An attribute of an update.
struct Link {
    timestamp: i64,
    iteration: i64,
    origin: Option<Arc<str>>,
    data: i64,
    row_ptr: Option<i64>,
    mask: Option<i64>,
    /// The ids of its group in the update; `None` if entities are known by their positions.
    ids: Option<i64>,
}

/// Dataset, entity group and attribute.
type Location = (Arc<str>, String, String);

/// The attributes of a dataset's updates from a timestamp on and before another one, those of one name together.
fn links(tx: &ReadTx<'_>, dataset: &str, slice: &Slice) -> Result<BTreeMap<Location, Vec<Link>>> {
    let mask = if Layout::of(tx)? == Layout::Ours { "a.mask_id" } else { "NULL" };
    let whole = [("update", "u"), ("update_attribute", "l"), ("attribute_data", "a")];
    let whole = whole.map(|(table, name)| tx.whole(table, name));
    let whole = whole.into_iter().collect::<Result<Vec<_>>>()?.join(" AND ");
    let sql = format!(
        "SELECT u.id, u.timestamp, u.iteration, u.origin, a.entity_group, a.attribute_name, a.data_id, a.indptr_id, {mask} \
         FROM \"update\" u CROSS JOIN update_attribute l ON l.update_id = u.id \
         CROSS JOIN attribute_data a ON a.id = l.attribute_data_id \
         WHERE u.dataset_name IS ?1 AND u.timestamp >= ?2 AND (u.timestamp < ?3 OR ?3 = {}) AND {whole} \
         ORDER BY u.timestamp, u.iteration, u.id",
        i64::MAX
    );
    let name: Arc<str> = dataset.into();
    let mut links: BTreeMap<Location, Vec<Link>> = BTreeMap::new();
    let mut update: (i64, Vec<(String, String, Link)>) = (0, Vec::new());
    let mut end = |(_, parts): (i64, Vec<(String, String, Link)>)| {
        let ids: Vec<_> = parts
            .iter()
            .filter(|(_, attribute, _)| attribute == "id")
            .map(|(group, _, link)| (group.clone(), link.data))
            .collect();
        for (group, attribute, link) in parts.into_iter().filter(|(_, name, _)| name != "id") {
            let ids = ids.iter().find(|(own, _)| *own == group).map(|(_, data)| *data);
            let location = (name.clone(), group, attribute);
            links.entry(location).or_default().push(Link { ids, ..link });
        }
    };
    let mut origin: Option<Arc<str>> = None;
    tx.query(&sql, (dataset, slice.first, slice.until), |row| {
        let id: i64 = row.get(0)?;
        if update.0 != id {
            end(std::mem::replace(&mut update, (id, Vec::new())));
        }
        let from: Option<String> = cell("update", row, 3)?;
        if origin.as_deref() != from.as_deref() {
            origin = from.map(Arc::from);
        }
        let number = |i| cell("attribute_data", row, i);
        let link = Link {
            timestamp: cell("update", row, 1)?,
            iteration: cell("update", row, 2)?,
            origin: origin.clone(),
            data: cell("attribute_data", row, 6)?,
            row_ptr: number(7)?,
            mask: number(8)?,
            ids: None,
        };
        update.1.push((cell("attribute_data", row, 4)?, cell("attribute_data", row, 5)?, link));
        Ok(())
    })?;
    end(update);
    Ok(links)
}

/// The rows of a slice while they are read: each batch from a snapshot of its own.
struct Reading {
    db: Database,
    schema: SchemaRef,
    slice: Slice,
    /// What is to be read, the last one first; `None` before it is known.
    links: Option<Vec<(Location, std::vec::IntoIter<Link>)>>,
    /// What was read, and did not go into the last batch.
    current: Option<(Link, Values)>,
}

impl Reading {
    fn find(&mut self) -> Result<()> {
        let slice = &self.slice;
        let links = self.db.read(|tx| {
            let mut all = BTreeMap::new();
            for dataset in datasets(tx)? {
                if bucket(&dataset).to_string() == slice.partition[0] {
                    all.append(&mut links(tx, &dataset, slice)?);
                }
            }
            Ok(all)
        })?;
        let links = links.into_iter().rev();
        self.links = Some(links.map(|(location, links)| (location, links.into_iter())).collect());
        Ok(())
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.links.is_none() {
            self.find()?;
        }
        let mut rows = Rows::default();
        let db = self.db.clone();
        db.read(|tx| self.fill(&mut ArrayReader::new(tx, Layout::of(tx)?), &mut rows))?;
        rows.finish(&self.schema)
    }

    fn fill(&mut self, arrays: &mut ArrayReader<'_, '_>, rows: &mut Rows) -> Result<()> {
        let links = self.links.get_or_insert_default();
        while !rows.is_full() {
            let Some((location, left)) = links.last_mut() else { return Ok(()) };
            if self.current.is_none() {
                let Some(link) = left.next() else {
                    links.pop();
                    continue;
                };
                let values = values(arrays, location, &link)?;
                self.current = Some((link, values));
            }
            let Some((link, values)) = &mut self.current else { continue };
            let (dataset, group, attribute) = location;
            let head = Head {
                dataset,
                group,
                attribute,
                timestamp: link.timestamp,
                iteration: link.iteration,
                origin: link.origin.as_deref(),
            };
            rows.push(&head, values);
            if values.is_done() {
                self.current = None;
            }
        }
        Ok(())
    }
}

/// The values of an attribute of an update.
fn values(
    arrays: &mut ArrayReader<'_, '_>,
    (dataset, group, name): &Location,
    link: &Link,
) -> Result<Values> {
    let data = arrays.read(link.data)?;
    let mut side = |id: Option<i64>| id.map(|id| arrays.read_shared(id)).transpose();
    let (row_ptr, mask, ids) = (side(link.row_ptr)?, side(link.mask)?, side(link.ids)?);
    let attribute = checked(group, name, Attribute { data, row_ptr, mask })?;
    let entities = attribute.entities();
    let what = || {
        let Link { timestamp, iteration, .. } = link;
        format!("{dataset}/{group} at timestamp {timestamp}, iteration {iteration}")
    };
    let ids = match ids {
        None => (0..entities as i64).collect(),
        Some(ids) => ids.to_i64s().ok_or_else(|| {
            let expected = "integers that fit into i64";
            Error::invalid(format!("{}, id", what()), expected, ids.dtype().to_string())
        })?,
    };
    if ids.len() != entities {
        let got = format!("{entities} of attribute {name}");
        return Err(Error::invalid(what(), format!("{} rows as in id", ids.len()), got));
    }
    let said = match &attribute.mask {
        Some(mask) => mask.data().to_vec(),
        None => sentinels_as_mask(&attribute),
    };
    Ok(Values::new(ids, &attribute, said))
}

impl Published for PublishedUpdates {
    fn tables(&self) -> Result<Vec<PublishedTable>> {
        if self.0.read(Layout::of)? == Layout::Empty {
            return Ok(Vec::new());
        }
        let partitions = &[("dataset_bucket", "integer")];
        Ok(vec![PublishedTable { name: UPDATES.into(), schema: schema(), partitions }])
    }

    fn unpublished(&self) -> Result<Vec<(&'static str, u64)>> {
        let initial = self.0.read(initial::names)?.len() as u64;
        Ok(vec![("initial datasets of simulations", initial)])
    }

    fn slices(&self, _: &PublishedTable, cut: Cut) -> Result<Vec<Slice>> {
        let seen = self.0.read(|tx| seen(tx, Layout::of(tx)?))?;
        let mut slices = Vec::new();
        for (bucket, times) in &seen {
            let partition = vec![bucket.to_string()];
            slices.extend(ranges(times, cut).into_iter().map(|(first, until, seen)| Slice {
                partition: partition.clone(),
                first,
                until,
                signature: seen.signature,
            }));
        }
        Ok(slices)
    }

    fn rows(&self, table: &PublishedTable, slice: &Slice) -> Result<Batches> {
        let (db, schema) = (self.0.clone(), table.schema.clone());
        let mut reading = Reading {
            db,
            schema: schema.clone(),
            slice: slice.clone(),
            links: None,
            current: None,
        };
        Ok(Batches::new(schema, move || reading.next()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(of: impl IntoIterator<Item = i64>, items: u64) -> BTreeMap<i64, Seen> {
        of.into_iter().map(|time| (time, Seen { items, signature: 1 })).collect()
    }

    /// Goal: each timestamp lies in one range, none is larger than it may be, and what comes later changes only ranges near
    /// the end.
    #[test]
    fn a_run_that_grows_leaves_the_ranges_before_it() {
        for step in [1, 3_600, 1_000_000_007] {
            let run = |n: i64| times((0..n).map(|i| i64::MIN / 3 + i * step), 4_096);
            for cut in [Cut::Coarse, Cut::Fine] {
                let found = ranges(&run(3_000), cut);
                assert!(found.len() > 10);
                assert!(found.windows(2).all(|pair| pair[0].1 <= pair[1].0));
                assert!(found.iter().all(|(_, _, seen)| seen.items <= MOST_ITEMS));
                assert_eq!(found.iter().map(|(_, _, seen)| seen.signature).sum::<u128>(), 3_000);
                let later = ranges(&run(3_016), cut);
                let same = found.iter().filter(|range| later.contains(range)).count();
                assert!(found.len() - same < 8, "{same} of {}", found.len());
            }
            let last = ranges(&run(3_000), Cut::Fine).pop().unwrap();
            assert!(last.2.items <= MOST_NEW_ITEMS);
        }
        let ends = ranges(&times([i64::MIN, -1, 0, i64::MAX], MOST_ITEMS), Cut::Coarse);
        assert_eq!(ends.iter().map(|(_, _, seen)| seen.signature).collect::<Vec<_>>(), [1; 4]);
        assert_eq!(ends[3].1, i64::MAX);
    }
}
