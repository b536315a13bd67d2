//! A table that streams.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, DataType, SchemaRef};

use crate::error::{Error, Result};

/// A table that streams: its schema is known at once, and each record batch is made when it is asked
/// for. Memory is bounded by one batch of whoever makes them.
///
/// It is an [`arrow_array::RecordBatchReader`], so any Arrow consumer takes it.
pub struct Batches {
    schema: SchemaRef,
    next: Box<dyn FnMut() -> Result<Option<RecordBatch>> + Send>,
    /// After the end or an error there is nothing more.
    done: bool,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Batches {
    /// A table whose batches `next` makes, until it returns `None`.
    pub fn new(
        schema: SchemaRef,
        next: impl FnMut() -> Result<Option<RecordBatch>> + Send + 'static,
    ) -> Self {
        Batches { schema, next: Box::new(next), done: false }
    }

    /// A table that is in memory.
    pub fn from_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let mut batches = batches.into_iter();
        Batches::new(schema, move || Ok(batches.next()))
    }

    /// The table that another library gives.
    pub fn from_reader(mut reader: impl RecordBatchReader + Send + 'static) -> Self {
        Batches::new(reader.schema(), move || {
            reader.next().transpose().map_err(|error| from_arrow("a table", error))
        })
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch; `None` at the end, and after an error.
    ///
    /// # Errors
    /// Those of the store that the rows come from.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.done {
            return Ok(None);
        }
        let batch = (self.next)();
        self.done = !matches!(batch, Ok(Some(_)));
        batch
    }

    /// The rest of the table, in memory.
    ///
    /// # Errors
    /// As [`next_batch`](Self::next_batch).
    pub fn collect_batches(mut self) -> Result<Vec<RecordBatch>> {
        std::iter::from_fn(|| self.next_batch().transpose()).collect()
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose().map(|batch| batch.map_err(to_arrow))
    }
}

impl RecordBatchReader for Batches {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

fn to_arrow(error: Error) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

/// Arrow's error as ours: our own comes back as it was.
pub(crate) fn from_arrow(what: &str, error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast::<Error>() {
            Ok(own) => *own,
            Err(other) => Error::invalid(what, "a table that Arrow takes", other.to_string()),
        },
        other => Error::invalid(what, "a table that Arrow takes", other.to_string()),
    }
}

/// The integer at a row of a column, if no float is equal to it.
pub(crate) fn rounded(column: &ArrayRef, row: usize) -> Option<i128> {
    let n = match column.data_type() {
        _ if column.is_null(row) => return None,
        DataType::Int64 => i128::from(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => i128::from(column.as_primitive::<UInt64Type>().value(row)),
        _ => return None,
    };
    (n as f64 as i128 != n).then_some(n)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::Schema;

    use super::*;

    /// Goal: an error of a store passes through Arrow as it was, and ends the table.
    #[test]
    fn an_error_passes_through_and_ends_the_table() {
        let mut left = 2;
        let schema = Arc::new(Schema::empty());
        let empty = RecordBatch::new_empty(schema.clone());
        let mut batches = Batches::new(schema, move || {
            left -= 1;
            match left {
                1 => Ok(Some(empty.clone())),
                _ => Err(Error::Interrupted { action: "reading" }),
            }
        });
        assert!(batches.next().unwrap().is_ok());
        let error = batches.next().unwrap().unwrap_err();
        assert_eq!(from_arrow("table", error).to_string(), "interrupted while reading");
        assert!(batches.next().is_none());
    }
}
