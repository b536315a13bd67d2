//! Rows as JSON objects, nested ones too, into Parquet and out of it: what the log of a lake keeps so.

use arrow_json::ReaderBuilder;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde::Serialize;
use serde_json::Value;

use super::batches::from_arrow;
use crate::error::{Error, Result};

/// Rows as the bytes of a Parquet file.
pub(crate) fn json_rows_to_parquet(schema: SchemaRef, rows: &[impl Serialize]) -> Result<Vec<u8>> {
    let failed = |error: parquet::errors::ParquetError| {
        Error::invalid("table", "one that Parquet takes", error.to_string())
    };
    let arrow = |error| from_arrow("table", error);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).map_err(failed)?))
        .build();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties)).map_err(failed)?;
    let mut decoder = ReaderBuilder::new(schema).build_decoder().map_err(arrow)?;
    for rows in rows.chunks(4_096) {
        decoder.serialize(rows).map_err(arrow)?;
        if let Some(batch) = decoder.flush().map_err(arrow)? {
            writer.write(&batch).map_err(failed)?;
        }
    }
    writer.into_inner().map_err(failed)
}

/// The rows of a Parquet file.
pub(crate) fn json_rows_of_parquet(bytes: Bytes) -> Result<Vec<Value>> {
    let failed = |error: parquet::errors::ParquetError| {
        Error::invalid("the file", "Parquet", error.to_string())
    };
    let file = SerializedFileReader::new(bytes).map_err(failed)?;
    let rows = file.get_row_iter(None).map_err(failed)?;
    rows.map(|row| Ok(row.map_err(failed)?.to_json_value())).collect()
}
