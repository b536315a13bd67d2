//! Numbers that stand for something else: the codes of categories, the ordinals of periods, the booleans of an index. A
//! backend keeps the numbers; other programs get what they stand for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, UInt64Array, new_empty_array,
};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema, SchemaRef};
use arrow_select::take::{TakeOptions, take};
use serde_json::Value;

use super::backend::SeriesInfo;
use super::data::{Head, Series};
use super::index::{IndexMetadata, IndexValue, IndexValues};
use super::period::Periods;
use crate::error::{Error, Result};
use crate::table::{Batches, from_arrow};

/// The key of a schema's metadata that names the columns of a batch that hold values in place of numbers.
const DECODED_KEY: &str = "siltstone.decoded";
const INDEX: &str = "index";
const VALUES: &str = "values";

/// What numbers stand for.
#[derive(Debug, Clone)]
enum Codes {
    /// Positions in these categories.
    Categories(ArrayRef),
    Periods(Periods),
    Booleans,
}

impl Codes {
    fn of_index(known: &IndexMetadata) -> Option<Self> {
        let dtype = known.dtype.as_deref().unwrap_or_default();
        match known.kind.as_str() {
            "CategoricalIndex" => categories(known.categories.as_ref()?),
            "PeriodIndex" if dtype.starts_with("period[") => Periods::of(dtype).map(Codes::Periods),
            _ if ["bool", "boolean"].contains(&dtype) => Some(Codes::Booleans),
            _ => None,
        }
    }

    fn of_values(dtype: Option<&str>) -> Option<Self> {
        let known: Value = serde_json::from_str(dtype?.strip_prefix("category:")?).ok()?;
        categories(known["categories"].as_array()?)
    }

    /// The type of the numbers. Those of another type are left as they are.
    fn coded_type(&self) -> DataType {
        match self {
            Codes::Categories(_) => DataType::Int32,
            Codes::Periods(_) => DataType::Int64,
            Codes::Booleans => DataType::UInt8,
        }
    }

    /// What numbers stand for: categories that are texts as a dictionary.
    fn decode(&self, what: &str, codes: &ArrayRef) -> Result<ArrayRef> {
        let failed = |e| from_arrow(what, e);
        Ok(match self {
            Codes::Categories(values) => {
                let keys = codes.as_primitive_opt::<arrow_array::types::Int32Type>();
                let keys = keys.expect("the type was looked at").clone();
                match values.data_type() {
                    DataType::Utf8 => {
                        Arc::new(DictionaryArray::try_new(keys, values.clone()).map_err(failed)?)
                    }
                    _ => take(values, &keys, Some(TakeOptions { check_bounds: true }))
                        .map_err(failed)?,
                }
            }
            Codes::Periods(periods) => {
                let numbers = codes.as_primitive::<Int64Type>().iter();
                let texts = numbers.map(|number| number.map(|n| periods.text(n)).transpose());
                Arc::new(texts.collect::<Result<StringArray>>()?)
            }
            Codes::Booleans => cast(codes, &DataType::Boolean).map_err(failed)?,
        })
    }

    /// The numbers of what [`decode`](Self::decode) gave.
    fn encode(&self, what: &str, array: &ArrayRef) -> Result<ArrayRef> {
        let text = |array: &ArrayRef| -> Result<StringArray> {
            let texts = cast(array, &DataType::Utf8).map_err(|e| from_arrow(what, e))?;
            Ok(texts.as_string::<i32>().clone())
        };
        Ok(match self {
            Codes::Categories(values) => {
                let (names, texts) = (text(values)?, text(array)?);
                let codes: HashMap<&str, i32> = names.iter().flatten().zip(0..).collect();
                let code = |text: Option<&str>| {
                    let code = |text| {
                        let got = format!("{text:?}");
                        let expected = "one of its categories";
                        codes.get(text).ok_or_else(|| Error::invalid(what, expected, got))
                    };
                    text.map(code).transpose().map(|code| code.copied())
                };
                Arc::new(texts.iter().map(code).collect::<Result<Int32Array>>()?)
            }
            Codes::Periods(periods) => {
                let texts = text(array)?;
                let numbers = texts.iter().map(|text| text.map(|t| periods.read(t)).transpose());
                Arc::new(numbers.collect::<Result<Int64Array>>()?)
            }
            Codes::Booleans => cast(array, &DataType::UInt8).map_err(|e| from_arrow(what, e))?,
        })
    }
}

/// Categories as an array: of the type that all of them have, or else of their JSON texts. `None` if one is there twice.
fn categories(listed: &[Value]) -> Option<Codes> {
    fn all<'v, T>(listed: &'v [Value], of: impl Fn(&'v Value) -> Option<T>) -> Option<Vec<T>> {
        listed.iter().map(of).collect()
    }
    let float = |value: &Value| value.as_f64().filter(|_| value.is_f64());
    let array: ArrayRef = if let Some(texts) = all(listed, Value::as_str) {
        Arc::new(StringArray::from(texts))
    } else if let Some(numbers) = all(listed, Value::as_i64) {
        Arc::new(Int64Array::from(numbers))
    } else if let Some(numbers) = all(listed, Value::as_u64) {
        Arc::new(UInt64Array::from(numbers))
    } else if let Some(numbers) = all(listed, float) {
        Arc::new(Float64Array::from(numbers))
    } else if let Some(booleans) = all(listed, Value::as_bool) {
        Arc::new(BooleanArray::from(booleans))
    } else {
        Arc::new(StringArray::from_iter_values(listed.iter().map(Value::to_string)))
    };
    let mut seen = HashSet::new();
    listed.iter().all(|value| seen.insert(value.to_string())).then_some(Codes::Categories(array))
}

/// What the numbers of a series stand for.
#[derive(Debug, Clone)]
pub(super) struct SeriesCodes {
    index: Option<Codes>,
    values: Option<Codes>,
}

impl SeriesCodes {
    pub(super) fn of(head: &Head) -> Self {
        SeriesCodes {
            index: Codes::of_index(&head.index),
            values: Codes::of_values(head.dtype.as_deref()),
        }
    }

    fn columns(&self) -> [(&'static str, Option<&Codes>); 2] {
        [(INDEX, self.index.as_ref()), (VALUES, self.values.as_ref())]
    }

    /// The index of these numbers, decoded.
    pub(super) fn decode_index(&self, index: &ArrayRef) -> Result<ArrayRef> {
        decode(INDEX, self.index.as_ref(), index)
    }

    /// The values of these numbers, decoded.
    pub(super) fn decode_values(&self, values: &ArrayRef) -> Result<ArrayRef> {
        decode(VALUES, self.values.as_ref(), values)
    }

    /// The types in a series of columns that have these types in a batch of this schema.
    pub(super) fn coded_types(&self, schema: &Schema) -> [DataType; 2] {
        let of = |at: usize, (name, codes): (&str, Option<&Codes>)| match codes {
            Some(codes) if is_decoded(schema, name) => codes.coded_type(),
            _ => schema.field(at).data_type().clone(),
        };
        let [index, values] = self.columns();
        [of(0, index), of(1, values)]
    }

    /// The columns of a batch of this schema as numbers.
    pub(super) fn encode(&self, schema: &Schema, columns: &[ArrayRef]) -> Result<[ArrayRef; 2]> {
        let of = |array: &ArrayRef, (name, codes): (&str, Option<&Codes>)| match codes {
            Some(codes) if is_decoded(schema, name) => codes.encode(&what(name), array),
            _ => Ok(array.clone()),
        };
        let [index, values] = self.columns();
        Ok([of(&columns[0], index)?, of(&columns[1], values)?])
    }

    /// The schema of batches that are decoded.
    fn schema(&self, coded: &SchemaRef) -> Result<SchemaRef> {
        if self.index.is_none() && self.values.is_none() {
            return Ok(coded.clone());
        }
        let (mut fields, mut names) = (Vec::new(), Vec::new());
        for (field, (name, codes)) in coded.fields().iter().zip(self.columns()) {
            let decoded = decode(name, codes, &new_empty_array(field.data_type()))?;
            if decoded.data_type() != field.data_type() {
                names.push(name);
            }
            fields.push(field.as_ref().clone().with_data_type(decoded.data_type().clone()));
        }
        let mut known = coded.metadata().clone();
        known.insert(DECODED_KEY.to_owned(), names.join(","));
        Ok(Arc::new(Schema::new_with_metadata(fields, known)))
    }
}

fn what(column: &str) -> String {
    format!("the {column}")
}

fn decode(column: &str, codes: Option<&Codes>, array: &ArrayRef) -> Result<ArrayRef> {
    match codes.filter(|codes| *array.data_type() == codes.coded_type()) {
        Some(codes) => codes.decode(&what(column), array),
        None => Ok(array.clone()),
    }
}

fn is_decoded(schema: &Schema, column: &str) -> bool {
    let decoded = schema.metadata().get(DECODED_KEY);
    decoded.is_some_and(|names| names.split(',').any(|name| name == column))
}

/// Batches of a series for other programs: categories as their values (texts as a dictionary), periods as their
/// texts, an index of booleans as booleans. [`Series::from_batch`] gives the series back.
///
/// # Errors
/// [`Error::Invalid`] for batches that are not of one series; later for a number that stands for nothing.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use arrow_array::{Int32Array, Int64Array};
/// use siltstone::series::{IndexRange, MemoryBackend, Series, StorageBackend, decoded};
/// let codes = Arc::new(Int32Array::from(vec![1, 0, 1]));
/// let series = Series::new(Arc::new(Int64Array::from(vec![0, 1, 2])), codes)?
///     .with_dtype(Some(r#"category:{"categories": ["dry", "wet"], "ordered": false}"#.into()));
/// let backend = MemoryBackend::new();
/// backend.save("road", &series, &Default::default())?;
/// let batches = decoded(backend.scan("road", &IndexRange::all())?)?.collect_batches()?;
/// assert!(format!("{:?}", batches[0].column(1)).contains("wet"));
/// assert_eq!(Series::from_batch(&batches[0])?, series);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn decoded(mut batches: Batches) -> Result<Batches> {
    let coded = batches.schema().clone();
    let codes = SeriesCodes::of(&Head::of_schema(&coded)?);
    let schema = codes.schema(&coded)?;
    if schema == coded {
        return Ok(batches);
    }
    Ok(Batches::new(schema.clone(), move || {
        let Some(batch) = batches.next_batch()? else { return Ok(None) };
        let index = codes.decode_index(batch.column(0))?;
        let values = codes.decode_values(batch.column(1))?;
        let batch = RecordBatch::try_new(schema.clone(), vec![index, values]);
        batch.map(Some).map_err(|e| from_arrow("a series", e))
    }))
}

/// A series as one batch for other programs, as [`decoded`] has it; as it is if that would not give it back.
pub(super) fn decoded_batch(series: &Series) -> RecordBatch {
    let plain = series.to_batch();
    let batches = Batches::from_batches(plain.schema(), vec![plain.clone()]);
    let batch = decoded(batches).and_then(|mut batches| batches.next_batch());
    let batch = batch.ok().flatten().filter(|batch| {
        batch.schema() == plain.schema()
            || Series::from_batch(batch).is_ok_and(|back| back == *series)
    });
    batch.unwrap_or(plain)
}

/// A column of a series in SQL: what its numbers stand for. `head` is the JSON that is stored with it.
pub(crate) fn decode_stored(head: &str, is_index: bool, array: &ArrayRef) -> Result<ArrayRef> {
    let head: Head = serde_json::from_str(head).map_err(|e| {
        crate::array::block::types::damaged(format!("its JSON does not parse: {e}"))
    })?;
    let codes = SeriesCodes::of(&head);
    if is_index { codes.decode_index(array) } else { codes.decode_values(array) }
}

impl SeriesInfo {
    /// [`extent`](Self::extent) as other programs get it: a period as its text, a category as its value.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a number that stands for nothing.
    pub fn decoded_extent(&self) -> Result<Option<(IndexValue, IndexValue)>> {
        let codes = SeriesCodes::of(&self.head);
        let (Some(_), Some((IndexValue::Int(least), IndexValue::Int(greatest)))) =
            (&codes.index, &self.extent)
        else {
            return Ok(self.extent.clone());
        };
        let ends: ArrayRef = Arc::new(Int64Array::from(vec![*least, *greatest]));
        let ends = cast(&ends, &self.index_type).map_err(|e| from_arrow("the index", e))?;
        let ends = codes.decode_index(&ends)?;
        let ends = match ends.data_type() {
            DataType::Dictionary(..) | DataType::Boolean => {
                cast(&ends, &DataType::Utf8).map_err(|e| from_arrow("the index", e))?
            }
            _ => ends,
        };
        let ends = IndexValues::of(&ends)?;
        Ok(Some((ends.get(0), ends.get(1))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::series::data::SCHEMA_KEY;

    fn periods(dtype: &str, numbers: Vec<i64>) -> Series {
        let known = IndexMetadata {
            kind: "PeriodIndex".into(),
            dtype: Some(dtype.into()),
            ..Default::default()
        };
        let values = Float64Array::from(vec![0.5; numbers.len()]);
        let series = Series::new(Arc::new(Int64Array::from(numbers)), Arc::new(values)).unwrap();
        series.with_index_metadata(known)
    }

    fn values(categories: &Value, codes: Vec<Option<i32>>) -> Series {
        let index = Int64Array::from_iter_values(0..codes.len() as i64);
        let known = json!({"categories": categories, "dtype": "object", "ordered": true});
        let series = Series::new(Arc::new(index), Arc::new(Int32Array::from(codes))).unwrap();
        series.with_dtype(Some(format!("category:{known}")))
    }

    /// The columns of a batch as texts.
    fn texts(batch: &RecordBatch) -> Vec<Vec<Value>> {
        crate::table::rows(batch).unwrap()
    }

    /// Goal: categories of every kind leave as their values and come back as they were, missing ones too.
    #[test]
    fn categories_leave_as_their_values() {
        let codes = vec![Some(1), None, Some(0), Some(1)];
        for categories in [
            json!(["b", ""]),
            json!([3, -1]),
            json!([1, u64::MAX]),
            json!([0.1, -0.0]),
            json!([true, false]),
        ] {
            let series = values(&categories, codes.clone());
            let batch = decoded_batch(&series);
            let row = |at: usize| texts(&batch)[at][1].clone();
            assert_eq!(
                [row(0), row(1), row(2)],
                [categories[1].clone(), Value::Null, categories[0].clone()]
            );
            assert_eq!(Series::from_batch(&batch).unwrap(), series, "{categories}");
        }
        let mixed = values(&json!(["1", 1]), codes.clone());
        let batch = decoded_batch(&mixed);
        assert_eq!(texts(&batch)[0][1], "1");
        assert_eq!(texts(&batch)[2][1], "\"1\"");
        assert_eq!(Series::from_batch(&batch).unwrap(), mixed);
        let none = values(&json!([]), vec![None, None]);
        assert_eq!(Series::from_batch(&decoded_batch(&none)).unwrap(), none);
    }

    /// Goal: periods leave as the texts that pandas gives them, and an index of booleans as booleans.
    #[test]
    fn an_index_leaves_as_what_it_stands_for() {
        for (dtype, numbers, text) in [
            ("period[M]", vec![648, 0], "2024-01"),
            ("period[Y-DEC]", vec![54, -1], "2024"),
            ("period[D]", vec![19_723, 5], "2024-01-01"),
            ("period[h]", vec![19_723 * 24 + 7], "2024-01-01 07:00"),
            ("period[Q-DEC]", vec![216, 3], "2024Q1"),
        ] {
            let series = periods(dtype, numbers);
            let batch = decoded_batch(&series);
            assert_eq!(texts(&batch)[0][0], text);
            assert_eq!(Series::from_batch(&batch).unwrap(), series, "{dtype}");
            let info = SeriesInfo::of("k", &series, &Default::default()).unwrap();
            let ends = info.decoded_extent().unwrap().unwrap();
            assert!([ends.0, ends.1].contains(&text.into()), "{dtype}");
        }
        let known = IndexMetadata { dtype: Some("bool".into()), ..Default::default() };
        let index = arrow_array::UInt8Array::from(vec![1, 0]);
        let series = Series::new(Arc::new(index), Arc::new(Int64Array::from(vec![1, 2])));
        let series = series.unwrap().with_index_metadata(known);
        let batch = decoded_batch(&series);
        assert_eq!(texts(&batch)[0][0], true);
        assert_eq!(Series::from_batch(&batch).unwrap(), series);
    }

    /// Goal: numbers that stand for nothing are kept as they are, and refused where they leave.
    #[test]
    fn numbers_that_stand_for_nothing_are_kept() {
        for series in [
            values(&json!(["a"]), vec![Some(0), Some(7)]),
            values(&json!([5, 6]), vec![Some(-1)]),
            periods("period[Y]", vec![i64::MAX]),
            periods("period[M]", vec![-900_000]),
        ] {
            let batch = decoded_batch(&series);
            assert_eq!(Series::from_batch(&batch).unwrap(), series);
            let plain = series.to_batch();
            let batches = decoded(Batches::from_batches(plain.schema(), vec![plain])).unwrap();
            let left = batches.collect_batches();
            assert!(left.is_err() || Series::from_batch(&left.unwrap()[0]).is_err());
        }
        let twice = values(&json!(["a", "a"]), vec![Some(1)]);
        assert_eq!(decoded_batch(&twice), twice.to_batch());
        let plain = decoded_batch(&values(&json!(["a"]), vec![Some(0)]));
        let mut known = plain.schema().metadata().clone();
        let head = known[SCHEMA_KEY].replace("\\\"a\\\"", "\\\"b\\\"");
        known.insert(SCHEMA_KEY.into(), head);
        let other = Schema::new_with_metadata(plain.schema().fields().clone(), known);
        let other = RecordBatch::try_new(Arc::new(other), plain.columns().to_vec()).unwrap();
        let error = Series::from_batch(&other).unwrap_err();
        assert!(error.to_string().contains("\"a\""), "{error}");
    }
}
