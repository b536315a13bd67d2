//! A table from a file that [`write`](super::write) made, or another program.

use std::path::Path;

use arrow_array::RecordBatchReader;
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::batches::from_arrow;
use super::{Batches, Format};
use crate::error::{Error, Result};
use crate::kernel::open_file;

/// Rows of one batch.
const BATCH_ROWS: usize = 65_536;

/// Opens a Parquet or Arrow file as a table that streams. The format is what the file's ending says.
///
/// # Errors
/// [`Error::Invalid`] for another ending: text does not keep types. [`Error::Io`] if the file cannot
/// be opened, [`Error::Corrupt`] if it is not what it says.
pub fn read(path: impl AsRef<Path>) -> Result<Batches> {
    let path = path.as_ref();
    let format = Format::of_path(path);
    let what = path.display().to_string();
    let damaged = |why: String| Error::Corrupt {
        place: path.display().to_string(),
        what: "the table".into(),
        why,
    };
    match format {
        Some(Format::Parquet) => {
            let builder = ParquetRecordBatchReaderBuilder::try_new(open_file(path)?)
                .map_err(|e| damaged(e.to_string()))?;
            // The reader itself forgets the table's own metadata.
            let schema = builder.schema().clone();
            let reader = builder.with_batch_size(BATCH_ROWS).build();
            Ok(stream(what, schema, reader.map_err(|e| damaged(e.to_string()))?))
        }
        Some(Format::Arrow) => {
            let reader = arrow_ipc::reader::FileReader::try_new_buffered(open_file(path)?, None)
                .map_err(|e| damaged(e.to_string()))?;
            Ok(stream(what, reader.schema(), reader))
        }
        _ => Err(Error::invalid(what, "a .parquet or .arrow file", "another ending")),
    }
}

fn stream(
    what: String,
    schema: SchemaRef,
    mut reader: impl RecordBatchReader + Send + 'static,
) -> Batches {
    Batches::new(schema.clone(), move || {
        let batch = reader.next().transpose();
        let batch = batch.and_then(|b| b.map(|b| b.with_schema(schema.clone())).transpose());
        batch.map_err(|error| match from_arrow(&what, error) {
            Error::Invalid { got, .. } => {
                Error::Corrupt { place: what.clone(), what: "the table".into(), why: got }
            }
            own => own,
        })
    })
}
