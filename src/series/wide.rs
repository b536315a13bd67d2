//! Several series side by side, as one table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, UInt64Array};
use arrow_schema::{Field, Schema};

use super::codes::{SeriesCodes, decoded_batch};
use super::data::Series;
use super::index::{IndexValue, IndexValues};
use super::widen::type_name;
use crate::error::{Error, Result};
use crate::table::{self, from_arrow};

/// A column of [`wide`].
#[derive(Debug, Clone)]
pub struct WideColumn {
    /// What it is called.
    pub name: String,
    /// Its points.
    pub series: Series,
    /// What is said of it in the field's metadata: `units`, for one.
    pub attributes: Vec<(String, String)>,
}

/// Series side by side, joined by their index: the first column is the index, each other one a series, null where
/// that has no point. What NetCDF calls a coordinate and its variables, with their attributes in the metadata of the
/// fields.
///
/// If all have one index, it stays as it is; else its values rise. Categories are there as their values and periods as
/// their texts.
///
/// # Errors
/// [`Error::Invalid`] for no series, two columns of one name, indexes of several types, or an index that has a value
/// twice (unless all have the same).
///
/// # Example
/// ```
/// use siltstone::series::{Series, WideColumn, wide};
/// let column = |name: &str, times: &[i64]| {
///     let series = Series::from_times_ns(times, &vec![1.0; times.len()])?;
///     Ok::<_, siltstone::Error>(WideColumn { name: name.into(), series, attributes: vec![] })
/// };
/// let table = wide(&[column("a", &[0, 1])?, column("b", &[1, 2])?])?;
/// assert_eq!((table.num_rows(), table.num_columns()), (3, 3));
/// assert_eq!(table.column(1).null_count(), 1);
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn wide(columns: &[WideColumn]) -> Result<RecordBatch> {
    let Some(first) = columns.first() else {
        return Err(Error::invalid("the series to join", "one at least", "none"));
    };
    let name_of = |column: &WideColumn| match column.series.index_metadata().code() {
        Some(code) => format!("{} of {code}", type_name(column.series.index().data_type())),
        None => type_name(column.series.index().data_type()),
    };
    if let Some(other) = columns.iter().find(|column| name_of(column) != name_of(first)) {
        let what = format!("the index of {:?}", other.name);
        let expected = format!("{}, as {:?} has", name_of(first), first.name);
        return Err(Error::invalid(what, expected, name_of(other)));
    }
    let names = columns.iter().map(|column| column.series.index_metadata().name.as_deref());
    let index_name =
        names.clone().next().flatten().filter(|name| names.clone().all(|n| n == Some(name)));
    let index_name = index_name.unwrap_or("index");
    let (mut fields, mut all) = (Vec::new(), Vec::new());
    for (i, column) in columns.iter().enumerate() {
        if column.name == index_name || columns[..i].iter().any(|other| other.name == column.name) {
            return Err(Error::invalid("the name of a column", "each once", &*column.name));
        }
        let attributes: HashMap<String, String> = column.attributes.iter().cloned().collect();
        let values = SeriesCodes::of(column.series.head()).decode_values(column.series.values())?;
        let field = Field::new(&column.name, values.data_type().clone(), true);
        fields.push(field.with_metadata(attributes));
        all.push(values);
    }
    let same =
        |column: &WideColumn| column.series.index().to_data() == first.series.index().to_data();
    let mut index = first.series.index().clone();
    if !columns.iter().all(same) {
        let (whole, rows) = joined(columns)?;
        index = whole;
        for (values, rows) in all.iter_mut().zip(rows) {
            let taken = arrow_select::take::take(values.as_ref(), &rows, None);
            *values = taken.map_err(|e| from_arrow("a series", e))?;
        }
    }
    let index = SeriesCodes::of(first.series.head()).decode_index(&index)?;
    fields.insert(0, Field::new(index_name, index.data_type().clone(), false));
    all.insert(0, index);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), all)
        .map_err(|e| from_arrow("series side by side", e))
}

/// The values that any index has, rising, and for each column the row of each of them.
fn joined(columns: &[WideColumn]) -> Result<(ArrayRef, Vec<UInt64Array>)> {
    let arrays: Vec<&dyn Array> =
        columns.iter().map(|column| column.series.index().as_ref()).collect();
    let all = arrow_select::concat::concat(&arrays).map_err(|e| from_arrow("an index", e))?;
    let values = IndexValues::of(&all)?;
    let mut order: Vec<u64> = (0..all.len() as u64).collect();
    let label_at = |row: u64| values.get(row as usize);
    let compare = |a: &u64, b: &u64| {
        let (one, other) = (label_at(*a), label_at(*b));
        // NaN is behind all numbers.
        let is_nan = |value: &IndexValue| matches!(value, IndexValue::Float(x) if x.is_nan());
        one.partial_cmp(&other).unwrap_or_else(|| is_nan(&one).cmp(&is_nan(&other)))
    };
    order.sort_by(compare);
    let mut starts = vec![0_u64];
    for column in columns {
        starts.push(starts[starts.len() - 1] + column.series.len() as u64);
    }
    let (mut kept, mut rows) = (Vec::new(), vec![Vec::new(); columns.len()]);
    for (i, row) in order.iter().enumerate() {
        if i == 0 || compare(&order[i - 1], row).is_ne() {
            kept.push(*row);
            rows.iter_mut().for_each(|rows| rows.push(None));
        }
        let column = starts.partition_point(|start| start <= row) - 1;
        let last = rows[column].last_mut().expect("a value was pushed above");
        if last.replace(row - starts[column]).is_some() {
            let WideColumn { name, series, .. } = &columns[column];
            let point = series.slice((row - starts[column]) as usize, 1);
            let value = &table::rows(&decoded_batch(&point))?[0][0];
            let expected = "each value once, for series side by side: export this one by itself";
            let got = format!("{} twice", value.as_str().map_or(value.to_string(), str::to_owned));
            return Err(Error::invalid(format!("the index of {name:?}"), expected, got));
        }
    }
    let index = arrow_select::take::take(&all, &UInt64Array::from(kept), None);
    let index = index.map_err(|e| from_arrow("an index", e))?;
    Ok((index, rows.into_iter().map(UInt64Array::from).collect()))
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int32Array, StringArray};

    use super::*;
    use crate::series::index::IndexMetadata;

    fn column(name: &str, times: &[i64]) -> WideColumn {
        let values: Vec<f64> = times.iter().map(|time| *time as f64).collect();
        let series = Series::from_times_ns(times, &values).unwrap();
        let attributes = vec![("units".to_owned(), "m".to_owned())];
        WideColumn { name: name.into(), series, attributes }
    }

    /// Goal: each value stands beside its label, whatever the order; units are reported; what cannot be
    /// joined is refused by name.
    #[test]
    fn values_stand_beside_their_labels() {
        let table =
            wide(&[column("a", &[30, 10, 20]), column("b", &[20, 40]), column("c", &[])]).unwrap();
        let texts: Vec<String> =
            (0..4).map(|row| format!("{:?}", table.slice(row, 1).columns())).collect();
        for (text, parts) in texts.iter().zip([
            ["10.0", "null"],
            ["20.0", "20.0"],
            ["30.0", "null"],
            ["null", "40.0"],
        ]) {
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
        assert_eq!(table.schema().field(2).metadata()["units"], "m");
        let same = wide(&[column("a", &[3, 1, 1]), column("b", &[3, 1, 1])]).unwrap();
        assert_eq!(same.num_rows(), 3, "one index stays as it is");
        let error = wide(&[column("a", &[1, 1]), column("b", &[1])]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("the index of \"a\"") && error.contains("by itself"), "{error}");
        assert!(error.contains("1970-01-01T00:00:00.000000001 twice"), "{error}");
        assert!(wide(&[column("a", &[1]), column("a", &[2])]).is_err());
        let mut texts = column("t", &[1]);
        texts.series =
            Series::new(Arc::new(StringArray::from(vec!["x"])), texts.series.values().clone())
                .unwrap();
        assert!(wide(&[column("a", &[1]), texts]).is_err());
    }

    /// Goal: categories stand beside each other as their values, whatever their codes, and unlike ones are not joined by
    /// code.
    #[test]
    fn categories_are_joined_by_their_values() {
        let of = |categories: &str, codes: &[i32]| {
            let known = IndexMetadata {
                kind: "CategoricalIndex".into(),
                categories: serde_json::from_str(categories).unwrap(),
                ..Default::default()
            };
            let codes: ArrayRef = Arc::new(Int32Array::from(codes.to_vec()));
            let series = Series::new(codes.clone(), codes).unwrap();
            let dtype = format!("category:{{\"categories\": {categories}}}");
            series.with_index_metadata(known).with_dtype(Some(dtype))
        };
        let column =
            |name: &str, series| WideColumn { name: name.into(), series, attributes: vec![] };
        let one = column("one", of(r#"["x", "y"]"#, &[1, 0]));
        let table = wide(&[one.clone(), column("two", of(r#"["x", "y"]"#, &[1]))]).unwrap();
        let rows = crate::table::rows(&table).unwrap();
        assert_eq!(serde_json::to_string(&rows).unwrap(), r#"[["x","x",null],["y","y","y"]]"#);
        let error = wide(&[one, column("two", of(r#"["y", "x"]"#, &[1]))]).unwrap_err();
        assert!(error.to_string().contains("the index of \"two\""), "{error}");
    }
}
