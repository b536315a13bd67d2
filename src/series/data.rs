//! A series in memory: an index, values, and what is known of both.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::codes::SeriesCodes;
use super::index::{IndexMetadata, IndexRange, IndexValues, Shape};
use crate::error::{Error, Result};
use crate::table::from_arrow;

/// The key of a schema's metadata under which an Arrow batch carries what Arrow has no place for.
pub const SCHEMA_KEY: &str = "siltstone.series";

/// What a user keeps beside a series: names and JSON values. It comes back as it was given.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// A series: one value for each label of an index.
///
/// - `index`: `[n]`, times ([`DataType::Timestamp`], with or without a time zone), time spans, integers,
///   floats or texts; in the order given, which need not rise, and equal ones are kept. None is missing.
/// - `values`: `[n]`, integers, floats, booleans, texts, bytes, times or time spans; a dtype that Arrow
///   lacks (complex numbers) is a [`DataType::FixedSizeBinary`] whose [`dtype`](Self::dtype) says what it is.
///   A missing value is an Arrow null, and NaN is a number like another.
///
/// # Example
/// ```
/// use siltstone::series::Series;
/// let series = Series::from_times_ns(&[0, 1_000_000_000], &[20.5, 21.0])?.with_name("temperature");
/// assert_eq!(series.len(), 2);
/// assert_eq!(series.name(), Some("temperature"));
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Series {
    index: ArrayRef,
    values: ArrayRef,
    head: Head,
}

/// What a series is, without its points.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Head {
    /// The name of the series.
    pub(crate) name: Option<String>,
    /// The dtype of the values, as the user's library writes it, where Arrow's type does not tell it.
    pub(crate) dtype: Option<String>,
    /// What is known of the index.
    pub(crate) index: IndexMetadata,
    /// What the user's library keeps with the values: `attrs` of pandas.
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    pub(crate) attributes: Metadata,
}

impl Series {
    /// A series of an index and values.
    ///
    /// # Errors
    /// [`Error::Invalid`] for lengths that differ, a missing index value, or a type that a series cannot have.
    pub fn new(index: ArrayRef, values: ArrayRef) -> Result<Self> {
        if index.len() != values.len() {
            let expected = format!("{} values, one for each label of the index", index.len());
            return Err(Error::invalid("a series", expected, values.len().to_string()));
        }
        Shape::of(index.data_type())?;
        if index.null_count() > 0 {
            let got = format!("{} missing ones", index.null_count());
            return Err(Error::invalid("the index", "a value for each point", got));
        }
        check_values(values.data_type())?;
        Ok(Series { index, values, head: Head::default() })
    }

    /// A series of floats at times.
    ///
    /// - `time_ns`: `[n]` i64, nanoseconds since 1970-01-01 UTC.
    /// - `values`: `[n]` f64.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the lengths differ.
    pub fn from_times_ns(time_ns: &[i64], values: &[f64]) -> Result<Self> {
        let index = TimestampNanosecondArray::from(time_ns.to_vec());
        Self::new(Arc::new(index), Arc::new(Float64Array::from(values.to_vec())))
    }

    /// The same series with this name.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.head.name = Some(name.into());
        self
    }

    /// The same series with this name, or none.
    pub fn with_name_or_none(mut self, name: Option<String>) -> Self {
        self.head.name = name;
        self
    }

    /// The same series, with what is known of its index.
    pub fn with_index_metadata(mut self, metadata: IndexMetadata) -> Self {
        self.head.index = metadata;
        self
    }

    /// The same series, with the dtype of its values as the user's library writes it.
    pub fn with_dtype(mut self, dtype: Option<String>) -> Self {
        self.head.dtype = dtype;
        self
    }

    /// The same series with these attributes: what the user's library keeps with it, such as `attrs` of pandas.
    pub fn with_attributes(mut self, attributes: Metadata) -> Self {
        self.head.attributes = attributes;
        self
    }

    /// The number of points.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.head.name.as_deref()
    }

    /// The dtype of the values, as the user's library wrote it; `None` where Arrow's type says all.
    pub fn dtype(&self) -> Option<&str> {
        self.head.dtype.as_deref()
    }

    /// What the user's library keeps with it.
    pub fn attributes(&self) -> &Metadata {
        &self.head.attributes
    }

    /// The index.
    pub fn index(&self) -> &ArrayRef {
        &self.index
    }

    /// The values.
    pub fn values(&self) -> &ArrayRef {
        &self.values
    }

    /// The values as floats, a missing one as NaN: for a picture, or arithmetic that takes them so. `None` for values
    /// that are no numbers.
    pub fn to_f64s(&self) -> Option<Vec<f64>> {
        let is_number =
            self.values.data_type().is_numeric() || self.values.data_type() == &DataType::Boolean;
        let is_number = is_number && self.head.code().is_none();
        let floats =
            arrow_cast::cast(&self.values, &DataType::Float64).ok().filter(|_| is_number)?;
        let floats = floats.as_primitive::<Float64Type>();
        Some(floats.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }

    /// What is known of the index.
    pub fn index_metadata(&self) -> &IndexMetadata {
        &self.head.index
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    pub(crate) fn with_head(mut self, head: Head) -> Self {
        self.head = head;
        self
    }

    /// The points whose index lies in the range, in their order.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a range whose ends cannot be compared with this index.
    pub fn range(&self, range: &IndexRange) -> Result<Self> {
        if range.is_all() {
            return Ok(self.clone());
        }
        let range = range.for_type(self.index.data_type())?;
        let labels = IndexValues::of(&self.index)?;
        if let Some(rows) = labels.rows_of(&range) {
            return Ok(self.slice(rows.start, rows.len()));
        }
        let keep: BooleanArray =
            (0..labels.len()).map(|row| Some(range.contains(&labels.get(row)))).collect();
        let filter = |array: &ArrayRef| {
            arrow_select::filter::filter(array, &keep).map_err(|e| from_arrow("a series", e))
        };
        let (index, values) = (filter(&self.index)?, filter(&self.values)?);
        Ok(Series { index, values, head: self.head.clone() })
    }

    /// These points, of which the first has the number `start`.
    ///
    /// # Panics
    /// If the series has no such points.
    pub fn slice(&self, start: usize, len: usize) -> Self {
        let (index, values) = (self.index.slice(start, len), self.values.slice(start, len));
        Series { index, values, head: self.head.clone() }
    }

    /// This series with the points of another one behind its own. Name, dtype and what is known of the index
    /// stay its own, except that a frequency or an extent of a range is no longer known.
    ///
    /// Points of another type are converted, or both get a wider type, where every value stays equal.
    ///
    /// # Errors
    /// [`Error::Invalid`] if no type holds both without loss.
    pub fn concat(&self, other: &Self) -> Result<Self> {
        let (own, other) = self.widened(other)?;
        own.check_joins(&other)?;
        let join = |a: &ArrayRef, b: &ArrayRef| {
            arrow_select::concat::concat(&[a.as_ref(), b.as_ref()])
                .map_err(|e| from_arrow("a series", e))
        };
        let index = join(&own.index, &other.index)?;
        let values = join(&own.values, &other.values)?;
        Ok(Series { index, values, head: own.head.appended() })
    }

    /// Refuses points that cannot stand behind these.
    pub(crate) fn check_joins(&self, other: &Self) -> Result<()> {
        check_joins(&self.head, self.index.data_type(), self.values.data_type(), other)
    }

    /// The columns of its Arrow batch, `index` and `value` unless they have names, with everything else that
    /// is known of it in the schema's metadata.
    pub fn schema(&self) -> SchemaRef {
        schema(&self.head, self.index.data_type(), self.values.data_type())
    }

    /// The series as one Arrow batch; [`from_batch`](Self::from_batch) gives it back.
    pub fn to_batch(&self) -> RecordBatch {
        let columns = vec![self.index.clone(), self.values.clone()];
        RecordBatch::try_new(self.schema(), columns).expect("the columns are of the schema's types")
    }

    /// A series of the two columns of a batch: its index and its values. What [`decoded`](super::decoded) gave comes back.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another number of columns, or types that a series cannot have.
    pub fn from_batch(batch: &RecordBatch) -> Result<Self> {
        let schema = batch.schema();
        let head = Head::of_schema(&schema)?;
        let [index, values] = SeriesCodes::of(&head).encode(&schema, batch.columns())?;
        Ok(Series::new(index, values)?.with_head(head))
    }
}

/// Equal by bits, and in everything that is known: NaN equals the same NaN, and a missing value is not NaN.
impl PartialEq for Series {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head
            && self.index.to_data() == other.index.to_data()
            && self.values.to_data() == other.values.to_data()
    }
}

impl Head {
    /// What the schema of a batch says of its series.
    pub(crate) fn of_schema(schema: &Schema) -> Result<Self> {
        if schema.fields().len() != 2 {
            let got = format!("{} columns", schema.fields().len());
            return Err(Error::invalid("a series", "two columns, index and values", got));
        }
        if let Some(json) = schema.metadata().get(SCHEMA_KEY) {
            let what = || format!("the schema's metadata {SCHEMA_KEY:?}");
            return serde_json::from_str(json)
                .map_err(|e| Error::invalid(what(), "its JSON", e.to_string()));
        }
        let name = |i: usize, unnamed: &str| {
            Some(schema.field(i).name().clone()).filter(|name| name != unnamed)
        };
        let index = IndexMetadata { name: name(0, "index"), ..IndexMetadata::default() };
        Ok(Head { name: name(1, "value"), index, ..Head::default() })
    }

    /// What the values stand for, if they are numbers of categories.
    fn code(&self) -> Option<String> {
        self.dtype.clone().filter(|dtype| dtype.starts_with("category:"))
    }

    /// What is still known after points were added.
    pub(crate) fn appended(mut self) -> Self {
        self.index.frequency = None;
        (self.index.start, self.index.end, self.index.step) = (None, None, None);
        self
    }
}

/// What an error calls the index and the values of points that do not join a series.
pub(crate) const WHAT_INDEX: &str = "the index of the points to append";
pub(crate) const WHAT_VALUES: &str = "the values to append";

/// Refuses points whose types are not those of the series that they are to follow, and numbers that stand for
/// something else: a category of another list, a period of another length.
pub(crate) fn check_joins(
    head: &Head,
    index: &DataType,
    values: &DataType,
    other: &Series,
) -> Result<()> {
    for (what, own, others) in [
        (WHAT_INDEX, index, other.index.data_type()),
        (WHAT_VALUES, values, other.values.data_type()),
    ] {
        if own != others {
            return Err(Error::invalid(what, own.to_string(), others.to_string()));
        }
    }
    check_codes(head, &other.head)
}

/// Refuses numbers that stand for something else than those that they are to follow.
pub(crate) fn check_codes(head: &Head, other: &Head) -> Result<()> {
    for (what, own, others) in [
        (WHAT_INDEX, head.index.code(), other.index.code()),
        (WHAT_VALUES, head.code(), other.code()),
    ] {
        if own != others {
            let named = |code: Option<String>| code.unwrap_or_else(|| "plain values".into());
            return Err(Error::invalid(what, named(own), named(others)));
        }
    }
    Ok(())
}

/// The schema of a series of these types.
pub(crate) fn schema(head: &Head, index: &DataType, values: &DataType) -> SchemaRef {
    let index_name = head.index.name.as_deref().unwrap_or("index");
    let mut name = head.name.as_deref().unwrap_or("value");
    if name == index_name {
        // Most readers want names that differ; the true ones are in the metadata.
        name = if index_name == "value" { "value_" } else { "value" };
    }
    let fields =
        vec![Field::new(index_name, index.clone(), false), Field::new(name, values.clone(), true)];
    let json = serde_json::to_string(head).expect("names and numbers are JSON");
    Arc::new(Schema::new_with_metadata(fields, HashMap::from([(SCHEMA_KEY.to_owned(), json)])))
}

/// Refuses a type that the values of a series cannot have.
pub(crate) fn check_values(values: &DataType) -> Result<()> {
    use DataType as T;
    match values {
        T::Boolean | T::Utf8 | T::Binary | T::Float16 | T::Float32 | T::Float64 => Ok(()),
        T::Int8 | T::Int16 | T::Int32 | T::Int64 => Ok(()),
        T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => Ok(()),
        T::Timestamp(..) | T::Duration(_) => Ok(()),
        T::FixedSizeBinary(size) if *size > 0 => Ok(()),
        other => Err(Error::invalid(
            "the values",
            "integers, floats, booleans, texts, bytes, times or time spans",
            other.to_string(),
        )),
    }
}
