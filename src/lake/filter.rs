//! Rows of a table that are wanted.

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow_cast::{CastOptions, cast, cast_with_options};
use arrow_schema::DataType;
use arrow_select::filter::filter_record_batch;
use serde_json::Value;

use super::action::{Add, MetaData};
use crate::error::{Error, Result};
use crate::table::from_arrow;

/// Equal values of some columns of a table.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// Of columns that the table is partitioned by.
    partitions: Vec<(String, String)>,
    /// Of columns of its files, and whether they are texts.
    columns: Vec<(String, String, bool)>,
}

impl Filter {
    /// # Errors
    /// [`Error::NotFound`] for a column that the table does not have.
    pub(super) fn new(
        table: &str,
        metadata: &MetaData,
        wanted: &[(String, String)],
    ) -> Result<Self> {
        let schema: Value = serde_json::from_str(&metadata.schema_string).unwrap_or_default();
        let fields = schema["fields"].as_array();
        let mut filter = Filter::default();
        for (column, value) in wanted {
            let mut fields = fields.into_iter().flatten();
            let field = fields.find(|field| field["name"].as_str() == Some(column));
            if metadata.partition_columns.contains(column) {
                filter.partitions.push((column.clone(), value.clone()));
            } else if let Some(field) = field {
                filter.columns.push((column.clone(), value.clone(), field["type"] == "string"));
            } else {
                let location = format!("the table {table} of the lake");
                return Err(Error::NotFound { what: "column", name: column.clone(), location });
            }
        }
        Ok(filter)
    }

    /// Whether a file may have such rows: by its partition, and by the least and greatest values that the log tells.
    pub(super) fn may_have(&self, add: &Add) -> bool {
        let is_of = |(name, value): &(String, String)| {
            add.partition_values.get(name).is_some_and(|own| own.as_ref() == Some(value))
        };
        let statistics = add.stats.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let statistics: Value = statistics.unwrap_or_default();
        let is_in = |(name, value, is_text): &(String, String, bool)| match (
            &statistics["minValues"][name],
            &statistics["maxValues"][name],
        ) {
            (Value::String(least), Value::String(greatest)) if *is_text => {
                least <= value && value <= greatest
            }
            (Value::Number(least), Value::Number(greatest)) => {
                match (least.as_i64(), greatest.as_i64(), value.parse::<i64>()) {
                    (Some(least), Some(greatest), Ok(n)) => (least..=greatest).contains(&n),
                    _ => true,
                }
            }
            _ => true,
        };
        self.partitions.iter().all(is_of) && self.columns.iter().all(is_in)
    }

    /// The rows of a batch that are wanted.
    pub(super) fn rows(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let mut batch = batch;
        for (name, value, _) in &self.columns {
            let Some(column) = batch.column_by_name(name) else {
                return Ok(batch.slice(0, 0)); // it came later: nulls
            };
            let keep = equal(name, column, value)?;
            batch = filter_record_batch(&batch, &keep).map_err(|e| from_arrow(name, e))?;
        }
        Ok(batch)
    }
}

/// Where a column has a value.
fn equal(name: &str, column: &ArrayRef, value: &str) -> Result<BooleanArray> {
    let kind = match column.data_type() {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    let is_known = kind.is_integer() || kind.is_floating();
    if !is_known && !matches!(kind, DataType::Utf8 | DataType::Boolean | DataType::Date32) {
        let expected = "a column of integers, numbers, texts, dates or booleans";
        return Err(Error::invalid(format!("--where {name}"), expected, kind.to_string()));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let wanted = StringArray::from(vec![value]);
    let wanted = cast_with_options(&wanted, kind, &options).map_err(|_| {
        Error::invalid(format!("--where {name}"), kind.to_string(), format!("{value:?}"))
    })?;
    // As texts, since one value has one text.
    let text = |array: &ArrayRef| cast(array, &DataType::Utf8).map_err(|e| from_arrow(name, e));
    let (wanted, column) = (text(&wanted)?, text(column)?);
    let wanted = wanted.as_string::<i32>().value(0);
    Ok(column.as_string::<i32>().iter().map(|own| Some(own == Some(wanted))).collect())
}
