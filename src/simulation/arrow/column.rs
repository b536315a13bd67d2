//! One attribute as one Arrow column.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::NullBufferBuilder;
use arrow_array::{ArrayRef, FixedSizeListArray, ListArray};
use arrow_buffer::{MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, FieldRef};

use super::values::{data_type, items};
use crate::array::{Array, DType, Kind, shape_json};
use crate::error::{Error, Result};
use crate::simulation::json::{AttributeSpec, PyType};
use crate::simulation::state::{append_as, common, sentinels_as_mask};
use crate::simulation::update::{Attribute, CLEARED, GIVEN, is_sentinel};

/// In a field's metadata: the numpy dtype of the attribute.
pub(super) const DTYPE: &str = "siltstone.dtype";
/// In a field's metadata: the shape of one value, as JSON.
pub(super) const SHAPE: &str = "siltstone.shape";
/// In a field's metadata of a ragged attribute: the dtype of its row pointers.
pub(super) const ROW_PTR: &str = "siltstone.row_ptr";
/// In a field's metadata: the attribute's name, where the column needed another.
pub(super) const ATTRIBUTE: &str = "siltstone.attribute";
/// In a field's metadata: what the run's schema says of the attribute, as JSON.
pub(super) const SPEC: &str = "siltstone.spec";

/// How an attribute becomes a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ColumnPlan {
    /// The column's name.
    pub(super) name: String,
    pub(super) attribute: String,
    /// Holds the values of all rows; low byte first.
    pub(super) dtype: DType,
    /// What the arrays themselves have, if all are alike.
    pub(super) stored: Option<DType>,
    /// The shape of one value.
    pub(super) unit: Vec<usize>,
    /// The dtype of the row pointers of a ragged attribute.
    pub(super) row_ptr: Option<DType>,
    /// Bytes of 0 and 1 that the schema calls bools.
    pub(super) boolean: bool,
    pub(super) spec: Option<AttributeSpec>,
}

impl ColumnPlan {
    pub(super) fn new(
        name: &str,
        dtype: DType,
        unit: &[usize],
        row_ptr: Option<DType>,
        spec: Option<&AttributeSpec>,
    ) -> Self {
        ColumnPlan {
            name: name.to_owned(),
            attribute: name.to_owned(),
            dtype: dtype.to_little_endian(),
            stored: Some(dtype),
            unit: unit.to_vec(),
            row_ptr,
            boolean: false,
            spec: spec.cloned(),
        }
    }

    /// The plan for exactly this attribute.
    pub(super) fn of(name: &str, attribute: &Attribute, spec: Option<&AttributeSpec>) -> Self {
        let row_ptr = attribute.row_ptr.as_ref().map(Array::dtype);
        let data = &attribute.data;
        let mut plan = ColumnPlan::new(name, data.dtype(), &data.shape()[1..], row_ptr, spec);
        let is_bool = |(i, byte): (usize, &u8)| {
            let per_row = plan.unit.iter().product::<usize>().max(1);
            *byte <= 1
                || match &attribute.mask {
                    None => is_sentinel(DType::I8, &[*byte]),
                    Some(mask) => plan.row_ptr.is_none() && mask.data()[i / per_row] != GIVEN,
                }
        };
        plan.boolean = plan.may_be_boolean() && data.data().iter().enumerate().all(is_bool);
        plan
    }

    /// Whether the schema calls it a bool and it is stored as movici stores bools.
    pub(super) fn may_be_boolean(&self) -> bool {
        self.dtype == DType::I8 && self.spec.as_ref().is_some_and(|s| s.py_type == PyType::Bool)
    }

    /// Takes another array of the attribute into the plan; whether one column holds both.
    pub(super) fn join(&mut self, other: &ColumnPlan) -> bool {
        let alike = self.attribute == other.attribute
            && self.unit == other.unit
            && self.row_ptr.is_some() == other.row_ptr.is_some();
        let Ok(dtype) = common(&self.attribute, self.dtype, other.dtype) else { return false };
        if alike {
            self.dtype = dtype;
            self.stored = self.stored.filter(|_| self.stored == other.stored);
            self.row_ptr = match (self.row_ptr, other.row_ptr) {
                (Some(a), Some(b)) if a != b => Some(DType::I64),
                (a, _) => a,
            };
            self.boolean &= other.boolean;
        }
        alike
    }

    pub(super) fn field(&self) -> Field {
        let mut metadata = HashMap::from([
            (DTYPE.to_owned(), self.stored.unwrap_or(self.dtype).to_string()),
            (SHAPE.to_owned(), shape_json(&self.unit)),
        ]);
        if let Some(row_ptr) = self.row_ptr {
            metadata.insert(ROW_PTR.to_owned(), row_ptr.to_string());
        }
        if self.name != self.attribute {
            metadata.insert(ATTRIBUTE.to_owned(), self.attribute.clone());
        }
        if let Some(spec) = &self.spec {
            let spec = serde_json::to_string(spec).expect("plain fields serialize");
            metadata.insert(SPEC.to_owned(), spec);
        }
        Field::new(&self.name, self.data_type(), true).with_metadata(metadata)
    }

    fn data_type(&self) -> DataType {
        let leaf = data_type(self.dtype, self.boolean);
        let unit = self.unit.iter().rev().fold(leaf, |inner, length| match length {
            0 => DataType::List(item(inner)),
            n => DataType::FixedSizeList(item(inner), *n as i32),
        });
        if self.row_ptr.is_some() { DataType::List(item(unit)) } else { unit }
    }
}

fn item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("item", data_type, true))
}

/// The rows of one column while a batch is filled.
pub(super) struct Cells {
    plan: ColumnPlan,
    bytes: MutableBuffer,
    rows: usize,
    row_nulls: NullBufferBuilder,
    /// Items inside of rows: a row of several may be defined in part.
    items: usize,
    item_nulls: NullBufferBuilder,
    /// Where the rows of a ragged column end, in units.
    ends: Vec<i32>,
}

impl Cells {
    pub(super) fn new(plan: ColumnPlan) -> Self {
        Cells {
            plan,
            bytes: MutableBuffer::new(0),
            rows: 0,
            row_nulls: NullBufferBuilder::new(0),
            items: 0,
            item_nulls: NullBufferBuilder::new(0),
            ends: vec![0],
        }
    }

    pub(super) fn plan(&self) -> &ColumnPlan {
        &self.plan
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len() + 4 * self.ends.len()
    }

    fn is_nested(&self) -> bool {
        self.plan.row_ptr.is_some() || !self.plan.unit.is_empty()
    }

    fn per_unit(&self) -> usize {
        self.plan.unit.iter().product()
    }

    /// Whether an attribute fits the plan.
    pub(super) fn takes(&self, attribute: &Attribute) -> bool {
        let plan = &self.plan;
        let dtype = attribute.data.dtype().to_little_endian();
        attribute.row_ptr.is_some() == plan.row_ptr.is_some()
            && attribute.data.shape()[1..] == plan.unit
            && common("", plan.dtype, dtype).is_ok_and(|both| both == plan.dtype)
    }

    /// Appends rows about which nothing is said.
    pub(super) fn push_nulls(&mut self, rows: usize) {
        self.rows += rows;
        self.row_nulls.append_n_nulls(rows);
        if self.plan.row_ptr.is_some() {
            let end = self.ends[self.ends.len() - 1];
            self.ends.resize(self.ends.len() + rows, end);
        } else {
            let items = rows * self.per_unit();
            self.items += items;
            self.item_nulls.append_n_nulls(items);
            self.bytes.resize(self.bytes.len() + items * self.plan.dtype.item_size(), 0);
        }
    }

    /// Appends the rows of an attribute. With `sentinels`, and without a mask, the documented sentinels are
    /// null. Returns the rows that the attribute clears.
    pub(super) fn push(&mut self, attribute: &Attribute, sentinels: bool) -> Result<Vec<usize>> {
        let data = attribute.data.to_little_endian();
        let (dtype, entities) = (data.dtype(), attribute.entities());
        let size = dtype.item_size();
        let per_unit = self.per_unit();
        let said: Option<Vec<u8>> = match &attribute.mask {
            Some(mask) => Some(mask.data().to_vec()),
            None if sentinels => Some(sentinels_as_mask(attribute)),
            None => None,
        };
        let is_time = matches!(dtype.kind(), Kind::DateTime | Kind::TimeDelta);
        let is_given = |row: usize| {
            let nat = || is_time && !self.is_nested() && is_nat(item_at(&data, size, row));
            said.as_ref().is_none_or(|said| said[row] == GIVEN) && !nat()
        };
        let given: Vec<bool> = (0..entities).map(is_given).collect();
        // NaN is a number that says so itself; the other sentinels would read as values.
        let inner = self.is_nested() && attribute.mask.is_none() && dtype.kind() != Kind::Float;
        let is_item = |i: usize| {
            let item = item_at(&data, size, i);
            !(inner && is_sentinel(dtype, item) || is_time && is_nat(item))
        };
        match &attribute.row_ptr {
            None => {
                append(&mut self.bytes, &data, self.plan.dtype, 0..data.len());
                for i in 0..data.len() {
                    let valid = !self.is_nested() || is_item(i);
                    self.item_nulls.append(valid && given[i / per_unit.max(1)]);
                }
                self.items += data.len();
            }
            Some(row_ptr) => {
                let ends = row_ptr.to_i64s().unwrap_or_default();
                let mut end = i64::from(self.ends[self.ends.len() - 1]);
                for (row, pair) in ends.windows(2).enumerate() {
                    if given[row] {
                        let units = pair[0] as usize * per_unit..pair[1] as usize * per_unit;
                        append(&mut self.bytes, &data, self.plan.dtype, units.clone());
                        units.clone().for_each(|i| self.item_nulls.append(is_item(i)));
                        self.items += units.len();
                        end += pair[1] - pair[0];
                    }
                    self.ends.push(self.check_end(end)?);
                }
            }
        }
        given.iter().for_each(|given| self.row_nulls.append(*given));
        self.rows += entities;
        let cleared = |row: &usize| said.as_ref().is_some_and(|said| said[*row] == CLEARED);
        Ok((0..entities).filter(cleared).collect())
    }

    fn check_end(&self, end: i64) -> Result<i32> {
        i32::try_from(end).map_err(|_| {
            let expected = format!("at most {} values in the lists of one batch", i32::MAX);
            Error::invalid(&self.plan.attribute, expected, end.to_string())
        })
    }

    /// The column.
    pub(super) fn finish(mut self) -> Result<ArrayRef> {
        let plan = &self.plan;
        let rows = self.row_nulls.finish();
        let nested = plan.row_ptr.is_some() || !plan.unit.is_empty();
        let leaf_nulls = if nested { self.item_nulls.finish() } else { rows.clone() };
        let (name, dtype, boolean) = (&plan.name, plan.dtype, plan.boolean);
        let mut array = items(name, dtype, boolean, self.bytes, self.items, leaf_nulls)?;
        let units = match plan.row_ptr {
            Some(_) => self.ends[self.rows] as usize,
            None => self.rows,
        };
        // From the innermost list outwards.
        for (level, length) in plan.unit.iter().enumerate().rev() {
            let lists = units * plan.unit[..level].iter().product::<usize>();
            let nulls = rows.clone().filter(|_| level == 0 && plan.row_ptr.is_none());
            array = list_of(array, *length, lists, nulls);
        }
        if plan.row_ptr.is_some() {
            let ends = OffsetBuffer::new(ScalarBuffer::from(self.ends));
            array = Arc::new(ListArray::new(item(array.data_type().clone()), ends, array, rows));
        }
        Ok(array)
    }
}

fn list_of(array: ArrayRef, length: usize, lists: usize, nulls: Option<NullBuffer>) -> ArrayRef {
    let field = item(array.data_type().clone());
    match length {
        0 => Arc::new(ListArray::new(field, OffsetBuffer::new_zeroed(lists), array, nulls)),
        n => Arc::new(FixedSizeListArray::new(field, n as i32, array, nulls)),
    }
}

fn item_at(data: &Array, size: usize, i: usize) -> &[u8] {
    &data.data()[i * size..(i + 1) * size]
}

/// numpy's "not a time".
fn is_nat(item: &[u8]) -> bool {
    item == i64::MIN.to_le_bytes()
}

/// Appends items as a wider dtype, if need be.
fn append(out: &mut MutableBuffer, data: &Array, to: DType, range: std::ops::Range<usize>) {
    let from = data.dtype();
    let size = from.item_size();
    let bytes = &data.data()[range.start * size..range.end * size];
    if from == to {
        out.extend_from_slice(bytes);
    } else if size == 0 {
        // Text without a character has no bytes that could be widened.
        out.resize(out.len() + range.len() * to.item_size(), 0);
    } else {
        let mut wide = Vec::with_capacity(range.len() * to.item_size());
        bytes.chunks_exact(size).for_each(|item| append_as(from, to, item, &mut wide));
        out.extend_from_slice(&wide);
    }
}
