//! Updates of a lake, back into a file.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float64Type};
use arrow_array::{
    Array as _, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, Float64Array, Int64Array,
    ListArray, RecordBatch, StringArray,
};
use arrow_cast::cast;
use arrow_schema::DataType;
use serde_json::Value;

use super::database::{Options, SimulationDatabase};
use super::long::{NOT_A_TIME, UPDATES, schema};
use super::state::sentinels_as_mask;
use super::update::{
    Attribute, CLEARED, GIVEN, Group, NOT_GIVEN, Update, is_sentinel, sentinel_of,
};
use crate::array::{Array, DType, Kind};
use crate::error::{Error, Result};
use crate::kernel::Database;
use crate::table::{Pulled, from_arrow, of_two_files};

type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// Updates that are stored in one transaction.
const AT_ONCE: usize = 256;

/// A file that takes updates of a lake.
pub(crate) struct PulledUpdates {
    db: SimulationDatabase,
    /// Who has published each dataset.
    files: HashMap<String, String>,
    /// Of one data file: an update is in one.
    updates: BTreeMap<(String, i64, i64), Taken>,
    is_empty: bool,
}

/// An update while its rows are taken.
#[derive(Default)]
struct Taken {
    origin: Option<String>,
    groups: BTreeMap<String, BTreeMap<String, Values>>,
}

/// The values of an attribute of an update.
struct Values {
    dtype: DType,
    /// The shape of a value, without the length of a list.
    unit: Vec<usize>,
    is_ragged: bool,
    ids: Vec<i64>,
    said: Vec<u8>,
    /// The items of all entities, low byte first, and where those of each end.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// An item is equal to the sentinel of one that is undefined, and is not.
    needs_mask: bool,
}

/// A value of a row.
enum Item<'a> {
    Undefined,
    Float(f64),
    Int(i128),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl PulledUpdates {
    pub(crate) fn new(db: Database) -> Result<Self> {
        let db =
            SimulationDatabase::over(db, Options { no_keyframes: true, ..Options::default() })?;
        Ok(PulledUpdates { db, files: HashMap::new(), updates: BTreeMap::new(), is_empty: true })
    }
}

impl Pulled for PulledUpdates {
    fn takes(&self, table: &str) -> bool {
        table == UPDATES
    }

    fn take(&mut self, _: &str, file: &str, rows: &RecordBatch) -> Result<()> {
        let columns = Columns::of(rows)?;
        let mut row = 0;
        while row < rows.num_rows() {
            let first = row;
            let [dataset, group, name] = [&columns.dataset, &columns.group, &columns.attribute]
                .map(|column| column.value(first).to_owned());
            let (timestamp, iteration) =
                (columns.timestamp.value(row), columns.iteration.value(row));
            match self.files.get(&dataset) {
                Some(other) if other == file => {}
                Some(other) => {
                    return Err(of_two_files(format!("the dataset {dataset:?}"), other, file));
                }
                None => drop(self.files.insert(dataset.clone(), file.to_owned())),
            }
            let what =
                format!("{dataset}/{group}/{name} at timestamp {timestamp}, iteration {iteration}");
            let taken = self.updates.entry((dataset, timestamp, iteration)).or_default();
            taken.origin = text(&columns.origin, row).map(str::to_owned);
            let values = match taken.groups.entry(group).or_default().entry(name) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    new.insert(Values::new(columns.dtype.value(row), text(&columns.shape, row))?)
                }
            };
            while row < rows.num_rows() && columns.is_same(row, first) {
                values.ids.push(columns.id.value(row));
                let is_cleared = columns.cleared.value(row);
                values.said.push(if is_cleared { CLEARED } else { GIVEN });
                if !is_cleared && columns.value(row, values).is_none() {
                    let expected = format!("a value of the dtype {}", values.dtype);
                    return Err(Error::invalid(
                        what,
                        expected,
                        format!("another one of entity {}", columns.id.value(row)),
                    ));
                }
                values.ends.push(values.bytes.len());
                row += 1;
            }
        }
        Ok(())
    }

    fn end_of_file(&mut self) -> Result<()> {
        let mut updates = Vec::new();
        for ((dataset, timestamp, iteration), taken) in std::mem::take(&mut self.updates) {
            let groups = taken.groups.into_iter();
            let data = groups.map(|(name, values)| group(name, values)).collect::<Result<_>>()?;
            updates.push(Update { timestamp, iteration, dataset, origin: taken.origin, data });
            if updates.len() == AT_ONCE {
                self.db.store_updates(std::mem::take(&mut updates))?;
            }
            self.is_empty = false;
        }
        self.db.store_updates(updates).map(drop)
    }

    fn finish(&mut self) -> Result<()> {
        if self.is_empty {
            return Ok(());
        }
        self.db.compact(&mut |_, _| Ok(()))?;
        self.db.mark_ended(None)
    }
}

/// The columns of a batch.
struct Columns {
    dataset: StringArray,
    group: StringArray,
    attribute: StringArray,
    timestamp: Int64Array,
    iteration: Int64Array,
    id: Int64Array,
    origin: StringArray,
    dtype: StringArray,
    shape: StringArray,
    cleared: BooleanArray,
    float: Float64Array,
    int: Int64Array,
    bool: BooleanArray,
    text: StringArray,
    binary: BinaryArray,
    floats: ListArray,
}

fn column(rows: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef> {
    let column = rows.column_by_name(name).ok_or_else(|| Error::NotFound {
        what: "column",
        name: name.to_owned(),
        location: format!("the table {UPDATES} of the lake"),
    })?;
    cast(column, kind).map_err(|error| from_arrow(name, error))
}

impl Columns {
    fn of(rows: &RecordBatch) -> Result<Self> {
        let text = |name| Ok::<_, Error>(column(rows, name, &DataType::Utf8)?.as_string().clone());
        let int =
            |name| Ok::<_, Error>(column(rows, name, &DataType::Int64)?.as_primitive().clone());
        let bool =
            |name| Ok::<_, Error>(column(rows, name, &DataType::Boolean)?.as_boolean().clone());
        let floats =
            schema().field_with_name("value_floats").map(|field| field.data_type().clone());
        let floats = floats.map_err(|error| from_arrow("value_floats", error))?;
        Ok(Columns {
            dataset: text("dataset")?,
            group: text("entity_group")?,
            attribute: text("attribute")?,
            timestamp: int("timestamp")?,
            iteration: int("iteration")?,
            id: int("entity_id")?,
            origin: text("origin")?,
            dtype: text("dtype")?,
            shape: text("shape")?,
            cleared: bool("is_cleared")?,
            float: column(rows, "value_float", &DataType::Float64)?.as_primitive().clone(),
            int: int("value_int")?,
            bool: bool("value_bool")?,
            text: text("value_text")?,
            binary: column(rows, "value_binary", &DataType::Binary)?.as_binary().clone(),
            floats: column(rows, "value_floats", &floats)?.as_list().clone(),
        })
    }

    /// Whether a row is of the same attribute of the same update as another one.
    fn is_same(&self, row: usize, other: usize) -> bool {
        self.timestamp.value(row) == self.timestamp.value(other)
            && self.iteration.value(row) == self.iteration.value(other)
            && self.attribute.value(row) == self.attribute.value(other)
            && self.group.value(row) == self.group.value(other)
            && self.dataset.value(row) == self.dataset.value(other)
    }

    /// Takes the value of a row.
    fn value(&self, row: usize, values: &mut Values) -> Option<()> {
        let is_list = values.is_ragged || !values.unit.is_empty();
        let is_complex = values.dtype.kind() == Kind::Complex;
        if self.floats.is_valid(row) && (is_list || is_complex) {
            let list = self.floats.value(row);
            let is_float = is_complex || values.dtype.kind() == Kind::Float;
            let item = |x: &f64| if is_float { Item::Float(*x) } else { Item::Int(*x as i128) };
            list.as_primitive::<Float64Type>()
                .values()
                .iter()
                .try_for_each(|x| values.put(&item(x)))
        } else if is_list {
            let items: Vec<Value> = serde_json::from_str(text(&self.text, row)?).ok()?;
            items.iter().try_for_each(|item| match (item, values.dtype.kind()) {
                (Value::Null, _) => values.put(&Item::Undefined),
                (Value::String(text), Kind::Bytes) => values.put(&Item::Bytes(&of_hex(text)?)),
                (Value::String(text), _) => values.put(&Item::Text(text)),
                (Value::Number(n), _) => values.put(&Item::Int(n.as_i128()?)),
                _ => None,
            })
        } else if self.float.is_valid(row) {
            values.put(&Item::Float(self.float.value(row)))
        } else if self.int.is_valid(row) {
            values.put(&Item::Int(self.int.value(row).into()))
        } else if self.bool.is_valid(row) {
            values.put(&Item::Int(self.bool.value(row).into()))
        } else if self.binary.is_valid(row) {
            values.put(&Item::Bytes(self.binary.value(row)))
        } else {
            match (text(&self.text, row)?, values.dtype.kind()) {
                (NOT_A_TIME, Kind::DateTime | Kind::TimeDelta) => values.put(&Item::Undefined),
                (text, Kind::UInt) => values.put(&Item::Int(text.parse().ok()?)),
                (text, _) => values.put(&Item::Text(text)),
            }
        }
    }
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

impl Values {
    /// - `shape`: as JSON; `None` for single items.
    fn new(dtype: &str, shape: Option<&str>) -> Result<Self> {
        let lengths: Vec<Option<usize>> = serde_json::from_str(shape.unwrap_or("[]"))
            .map_err(|error| Error::invalid("a shape", "a list of lengths", error.to_string()))?;
        Ok(Values {
            dtype: dtype.parse()?,
            unit: lengths.iter().copied().flatten().collect(),
            is_ragged: lengths.first() == Some(&None),
            ids: Vec::new(),
            said: Vec::new(),
            bytes: Vec::new(),
            ends: Vec::new(),
            needs_mask: false,
        })
    }

    /// Appends an item, low byte first; `None` if the dtype has none such.
    fn put(&mut self, item: &Item<'_>) -> Option<()> {
        let (size, start) = (self.dtype.item_size(), self.bytes.len());
        match (self.dtype.kind(), item) {
            (Kind::DateTime | Kind::TimeDelta, Item::Undefined) => {
                self.bytes.extend(i64::MIN.to_le_bytes());
            }
            (_, Item::Undefined) => self.bytes.extend(sentinel_of(self.dtype.to_little_endian())?),
            (Kind::Float | Kind::Complex, Item::Float(x)) => {
                match size / if self.dtype.kind() == Kind::Complex { 2 } else { 1 } {
                    8 => self.bytes.extend(x.to_le_bytes()),
                    4 => self.bytes.extend((*x as f32).to_le_bytes()),
                    _ => self.bytes.extend(Half::from_f64(*x).to_le_bytes()),
                }
                return Some(());
            }
            (
                Kind::Bool | Kind::Int | Kind::UInt | Kind::DateTime | Kind::TimeDelta,
                Item::Int(n),
            ) => {
                self.bytes.extend(&n.to_le_bytes()[..size]);
            }
            (Kind::Str, Item::Text(text)) => {
                text.chars().for_each(|c| self.bytes.extend(u32::from(c).to_le_bytes()));
            }
            (Kind::Bytes, Item::Bytes(bytes)) => self.bytes.extend(*bytes),
            _ => return None,
        }
        if self.bytes.len() > start + size {
            return None;
        }
        self.bytes.resize(start + size, 0);
        let is_said = !matches!(item, Item::Undefined);
        let dtype = self.dtype.to_little_endian();
        self.needs_mask |= is_said && is_sentinel(dtype, &self.bytes[start..]);
        Some(())
    }

    /// The attribute, with a value or none for each of `ids`.
    fn attribute(&self, ids: &[i64]) -> Result<Attribute> {
        let dtype = self.dtype.to_little_endian();
        let unit_items: usize = self.unit.iter().product();
        let filler = sentinel_of(dtype).unwrap_or_else(|| vec![0; dtype.item_size()]);
        let filler = filler.repeat(unit_items);
        let has_filler = !self.is_ragged || sentinel_of(dtype).is_some();
        let places: HashMap<i64, usize> =
            self.ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let (mut said, mut data, mut row_ptr) = (Vec::new(), Vec::new(), vec![0i64]);
        let mut rows = 0;
        for id in ids {
            let at = places.get(id);
            let flag = at.map_or(NOT_GIVEN, |at| self.said[*at]);
            said.push(flag);
            match at.filter(|_| flag == GIVEN) {
                Some(at) => {
                    let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
                    let items = &self.bytes[start..self.ends[*at]];
                    data.extend_from_slice(items);
                    rows += if self.is_ragged { items.len() / filler.len().max(1) } else { 1 };
                }
                None if has_filler => {
                    data.extend_from_slice(&filler);
                    rows += 1;
                }
                None => {}
            }
            row_ptr.push(rows as i64);
        }
        if dtype != self.dtype {
            data.chunks_exact_mut(dtype.swap_size()).for_each(<[u8]>::reverse);
        }
        let shape = [&[rows], &self.unit[..]].concat();
        let data = Array::new(self.dtype, shape, data)?;
        let row_ptr = self.is_ragged.then(|| Array::from_slice(&row_ptr));
        let attribute = Attribute { data, row_ptr, mask: None };
        let needs_mask = self.needs_mask || sentinels_as_mask(&attribute) != said;
        Ok(if needs_mask { attribute.with_mask(&said) } else { attribute })
    }
}

/// A group of an update, with the entities of all its attributes.
fn group(name: String, attributes: BTreeMap<String, Values>) -> Result<Group> {
    let mut ids: Vec<i64> = Vec::new();
    for values in attributes.values() {
        if ids.is_empty() {
            ids.clone_from(&values.ids);
        } else if ids != values.ids {
            let mut known: HashSet<i64> = ids.iter().copied().collect();
            ids.extend(values.ids.iter().filter(|id| known.insert(**id)));
        }
    }
    let mut group = Group::new(name).with("id", &ids);
    for (name, values) in attributes {
        let attribute = values.attribute(&ids)?;
        group.attributes.push((name, attribute));
    }
    Ok(group)
}
