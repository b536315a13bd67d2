//! Values as long rows: one a value, whatever its type.
//!
//! What an update does not give has no row. What it clears has one without a value.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder,
    StringBuilder,
};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::{Value, json};

use super::update::{Attribute, CLEARED, NOT_GIVEN, is_sentinel};
use crate::array::{Array, DType, Kind, integer, is_float, number, text_of_cell};
use crate::error::Result;
use crate::table::from_arrow;

/// The table of updates.
pub(super) const UPDATES: &str = "simulation_updates";
/// A batch is handed out when it has this many rows,
const BATCH_ROWS: usize = 65_536;
/// or this many bytes of texts and lists.
const BATCH_BYTES: usize = 8 << 20;
/// A time that is none.
pub(super) const NOT_A_TIME: &str = "NaT";

/// The columns of long rows.
pub(super) fn schema() -> SchemaRef {
    let name = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let floats = DataType::List(Arc::new(Field::new("item", DataType::Float64, true)));
    let fields = [
        ("dataset", name()),
        ("entity_group", name()),
        ("attribute", name()),
        ("timestamp", DataType::Int64),
        ("iteration", DataType::Int64),
        ("entity_id", DataType::Int64),
        ("origin", name()),
        ("dtype", name()),
        ("shape", name()),
        ("is_cleared", DataType::Boolean),
        ("value_float", DataType::Float64),
        ("value_int", DataType::Int64),
        ("value_bool", DataType::Boolean),
        ("value_text", DataType::Utf8),
        ("value_binary", DataType::Binary),
        ("value_floats", floats),
    ];
    let fields = fields.map(|(name, kind)| Field::new(name, kind, true));
    Arc::new(Schema::new(fields.to_vec()))
}

/// What all rows of an attribute of an update have in common.
pub(super) struct Head<'a> {
    pub(super) dataset: &'a str,
    pub(super) group: &'a str,
    pub(super) attribute: &'a str,
    pub(super) timestamp: i64,
    pub(super) iteration: i64,
    pub(super) origin: Option<&'a str>,
}

/// An attribute whose values become rows.
pub(super) struct Values {
    ids: Vec<i64>,
    data: Array,
    dtype: String,
    /// As JSON, `null` in front for lists; `None` if each value is one item.
    shape: Option<String>,
    /// Where the items of each entity begin; `None` if all have as many.
    ends: Option<Vec<i64>>,
    said: Vec<u8>,
    /// Sentinel values inside of a value say that a part of it is undefined.
    has_sentinels: bool,
    /// The next entity.
    next: usize,
}

impl Values {
    /// - `said`: of each entity, what the update says of it.
    pub(super) fn new(ids: Vec<i64>, attribute: &Attribute, said: Vec<u8>) -> Self {
        let unit = attribute.data.shape()[1..].iter().map(|n| json!(n));
        let ragged = attribute.row_ptr.iter().map(|_| Value::Null);
        let shape: Vec<Value> = ragged.chain(unit).collect();
        Values {
            ids,
            dtype: attribute.data.dtype().to_string(),
            data: attribute.data.to_little_endian(),
            shape: (!shape.is_empty()).then(|| Value::from(shape).to_string()),
            ends: attribute.row_ptr.as_ref().and_then(Array::to_i64s),
            said,
            has_sentinels: attribute.mask.is_none(),
            next: 0,
        }
    }

    /// Whether all its rows have been taken.
    pub(super) fn is_done(&self) -> bool {
        self.next >= self.said.len()
    }

    /// The items of an entity.
    fn items(&self, entity: usize) -> impl Iterator<Item = &[u8]> {
        let (size, row_items) = (self.data.dtype().item_size(), self.row_items());
        let rows = match &self.ends {
            Some(ends) => ends[entity] as usize..ends[entity + 1] as usize,
            None => entity..entity + 1,
        };
        let items = rows.start * row_items..rows.end * row_items;
        items.map(move |i| &self.data.data()[i * size..(i + 1) * size])
    }

    fn row_items(&self) -> usize {
        self.data.shape()[1..].iter().product()
    }

    /// Whether an item inside of a value is the sentinel of one that is undefined. NaN says so itself.
    fn is_undefined(&self, item: &[u8]) -> bool {
        let dtype = self.data.dtype();
        self.has_sentinels && dtype.kind() != Kind::Float && is_sentinel(dtype, item)
    }

    /// The numbers of a value, complex ones as two each; `None` if one is undefined, or none that a double is equal to.
    fn numbers(&self, entity: usize) -> Option<Vec<f64>> {
        let dtype = self.data.dtype();
        let kind = dtype.kind();
        let half = DType::of(Kind::Float, dtype.item_size() as u32 / 2);
        let mut numbers = Vec::new();
        for item in self.items(entity) {
            let is_exact = match kind {
                Kind::Int => is_float(integer(kind, item).into()),
                Kind::UInt => is_float((integer(kind, item) as u64).into()),
                Kind::Bool | Kind::Float | Kind::Complex => true,
                Kind::Bytes | Kind::Str | Kind::DateTime | Kind::TimeDelta => false,
            };
            if !is_exact || self.is_undefined(item) {
                return None;
            }
            match kind {
                Kind::Complex => {
                    numbers.extend(item.chunks_exact(half.item_size()).map(|x| number(half, x)))
                }
                _ => numbers.push(number(dtype, item)),
            }
        }
        Some(numbers)
    }

    /// A value as JSON, if it is no list of doubles: what is undefined is null, bytes are hexadecimal digits.
    fn json(&self, entity: usize) -> String {
        let kind = self.data.dtype().kind();
        let item = |item: &[u8]| match kind {
            _ if self.is_undefined(item) => Value::Null,
            Kind::Str => Value::from(text_of_cell(item)),
            Kind::Bytes => {
                let digits = without_padding(item).iter().map(|byte| format!("{byte:02x}"));
                Value::from(digits.collect::<String>())
            }
            Kind::UInt => Value::from(integer(kind, item) as u64),
            kind => int(kind, item).map_or(Value::Null, Value::from),
        };
        self.items(entity).map(item).collect::<Value>().to_string()
    }
}

/// Texts of which there are few.
#[derive(Default)]
struct Names {
    texts: Vec<String>,
    keys: Vec<Option<i32>>,
}

impl Names {
    fn push(&mut self, text: Option<&str>, rows: usize) {
        let key = text.map(|text| {
            let at = self.texts.iter().rposition(|known| known == text);
            at.unwrap_or_else(|| {
                self.texts.push(text.to_owned());
                self.texts.len() - 1
            }) as i32
        });
        self.keys.resize(self.keys.len() + rows, key);
    }

    fn finish(self) -> ArrayRef {
        let texts = Arc::new(StringArray::from(self.texts));
        Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(self.keys), texts))
    }
}

/// A column with nulls for the rows that it has not got yet: most attributes have values of one type.
macro_rules! padded {
    ($column:expr, $rows:expr) => {{
        let missing = $rows - $column.len();
        $column.append_nulls(missing);
        &mut $column
    }};
}

/// A batch of long rows while it is filled.
#[derive(Default)]
pub(super) struct Rows {
    /// dataset, group, attribute, origin, dtype, shape
    names: [Names; 6],
    timestamps: Int64Builder,
    iterations: Int64Builder,
    ids: Int64Builder,
    cleared: BooleanBuilder,
    floats: Float64Builder,
    ints: Int64Builder,
    bools: BooleanBuilder,
    texts: StringBuilder,
    binaries: BinaryBuilder,
    lists: ListBuilder<Float64Builder>,
    bytes: usize,
}

impl Rows {
    fn rows(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Takes values until the batch is full or there are no more.
    pub(super) fn push(&mut self, head: &Head<'_>, values: &mut Values) {
        let before = self.rows();
        while !values.is_done() && !self.is_full() {
            let entity = values.next;
            values.next += 1;
            let said = values.said[entity];
            if said == NOT_GIVEN {
                continue;
            }
            if said != CLEARED {
                self.value(values, entity);
            }
            self.ids.append_value(values.ids[entity]);
            self.cleared.append_value(said == CLEARED);
        }
        let rows = self.rows() - before;
        let names = [Some(head.dataset), Some(head.group), Some(head.attribute), head.origin];
        let names = names.into_iter().chain([Some(&*values.dtype), values.shape.as_deref()]);
        self.names.iter_mut().zip(names).for_each(|(own, name)| own.push(name, rows));
        self.timestamps.append_value_n(head.timestamp, rows);
        self.iterations.append_value_n(head.iteration, rows);
    }

    fn value(&mut self, values: &Values, entity: usize) {
        let dtype = values.data.dtype();
        let kind = dtype.kind();
        if values.shape.is_some() || kind == Kind::Complex {
            return match values.numbers(entity) {
                Some(numbers) => self.list(&numbers),
                None => self.text(&values.json(entity)),
            };
        }
        let rows = self.rows();
        let Some(item) = values.items(entity).next() else { return };
        match kind {
            Kind::Float => padded!(self.floats, rows).append_value(number(dtype, item)),
            Kind::Bool => padded!(self.bools, rows).append_value(item[0] != 0),
            Kind::Str => self.text(&text_of_cell(item)),
            Kind::Bytes => {
                let bytes = without_padding(item);
                self.bytes += bytes.len();
                padded!(self.binaries, rows).append_value(bytes);
            }
            kind => match int(kind, item) {
                Some(n) => padded!(self.ints, rows).append_value(n),
                None if kind == Kind::UInt => self.text(&(integer(kind, item) as u64).to_string()),
                None => self.text(NOT_A_TIME),
            },
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes += text.len();
        padded!(self.texts, self.rows()).append_value(text);
    }

    fn list(&mut self, numbers: &[f64]) {
        self.bytes += size_of_val(numbers);
        let lists = padded!(self.lists, self.rows());
        lists.values().append_slice(numbers);
        lists.append(true);
    }

    /// The batch; `None` if there is no row. `schema` has some of the columns of [`schema`].
    pub(super) fn finish(mut self, schema: &SchemaRef) -> Result<Option<RecordBatch>> {
        let rows = self.rows();
        if rows == 0 {
            return Ok(None);
        }
        let [dataset, group, attribute, origin, dtype, shape] = self.names.map(Names::finish);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("dataset", dataset),
            ("entity_group", group),
            ("attribute", attribute),
            ("timestamp", Arc::new(self.timestamps.finish())),
            ("iteration", Arc::new(self.iterations.finish())),
            ("entity_id", Arc::new(self.ids.finish())),
            ("origin", origin),
            ("dtype", dtype),
            ("shape", shape),
            ("is_cleared", Arc::new(self.cleared.finish())),
            ("value_float", Arc::new(padded!(self.floats, rows).finish())),
            ("value_int", Arc::new(padded!(self.ints, rows).finish())),
            ("value_bool", Arc::new(padded!(self.bools, rows).finish())),
            ("value_text", Arc::new(padded!(self.texts, rows).finish())),
            ("value_binary", Arc::new(padded!(self.binaries, rows).finish())),
            ("value_floats", Arc::new(padded!(self.lists, rows).finish())),
        ];
        let wanted = columns.into_iter().filter(|(name, _)| schema.index_of(name).is_ok());
        let wanted = wanted.map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new(schema.clone(), wanted);
        batch.map(Some).map_err(|error| from_arrow("values", error))
    }
}

/// An integer or a time; `None` for one that has no place in 63 bits, and for a time that is none.
fn int(kind: Kind, item: &[u8]) -> Option<i64> {
    let n = integer(kind, item);
    match kind {
        Kind::UInt => (n >= 0 || item.len() < 8).then_some(n),
        Kind::DateTime | Kind::TimeDelta => (n != i64::MIN).then_some(n),
        _ => Some(n),
    }
}

/// Bytes without the NUL at their end, as numpy hands them out.
fn without_padding(item: &[u8]) -> &[u8] {
    &item[..item.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]
}
