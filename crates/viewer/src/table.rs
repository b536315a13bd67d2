//! A table as an answer: JSON, Arrow, CSV or Parquet, as `?format=` asks.

use std::io;

use arrow_ipc::writer::StreamWriter;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use siltstone::table::{self, Batches, WriteOptions};
use siltstone::{Error, Result};

use crate::answer::json_body;

/// The most rows of a table as JSON: a browser that parses more stands still.
const MOST_JSON_ROWS: usize = 200_000;

/// The form of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    #[default]
    Json,
    Arrow,
    Csv,
    Parquet,
}

/// Rows, and what is said about them.
pub(crate) struct Table {
    /// In JSON beside the rows, in Arrow as the metadata `siltstone` of the schema.
    pub(crate) about: Map<String, Json>,
    pub(crate) batches: Batches,
}

/// A table in its form.
pub(crate) struct Written {
    content_type: &'static str,
    bytes: Vec<u8>,
    /// The ending of the file, if it is one to keep.
    file: Option<&'static str>,
}

impl Table {
    /// Writes the table, in memory.
    ///
    /// # Errors
    /// What reading says; [`Error::Invalid`] for more rows than JSON takes.
    pub(crate) fn write(self, format: Format) -> Result<Written> {
        match format {
            Format::Json => self.json(),
            Format::Arrow => self.arrow(),
            Format::Csv => self.file(table::Format::Csv, "text/csv; charset=utf-8"),
            Format::Parquet => self.file(table::Format::Parquet, "application/vnd.apache.parquet"),
        }
    }

    fn json(mut self) -> Result<Written> {
        let names: Vec<&str> =
            self.batches.schema().fields().iter().map(|field| field.name().as_str()).collect();
        let columns = json!(names);
        let mut rows = Vec::new();
        while let Some(batch) = self.batches.next_batch()? {
            if rows.len() + batch.num_rows() > MOST_JSON_ROWS {
                let expected = format!("at most {MOST_JSON_ROWS} rows as JSON");
                let got = "more; ask for a width, or for format=arrow".to_owned();
                return Err(Error::Invalid { what: "the answer".to_owned(), expected, got });
            }
            rows.extend(table::rows(&batch)?.into_iter().map(Json::from));
        }
        let mut document = Json::Object(self.about);
        document["columns"] = columns;
        document["rows"] = Json::Array(rows);
        Ok(Written {
            content_type: "application/json",
            bytes: document.to_string().into_bytes(),
            file: None,
        })
    }

    /// An uncompressed stream, since decoders in browsers know no compression.
    fn arrow(mut self) -> Result<Written> {
        let schema = self.batches.schema().as_ref().clone();
        let mut metadata = schema.metadata.clone();
        metadata.insert("siltstone".to_owned(), Json::Object(self.about).to_string());
        let schema = schema.with_metadata(metadata);
        let written = |error: arrow_schema::ArrowError| Error::Invalid {
            what: "the answer".to_owned(),
            expected: "a table that Arrow can write".to_owned(),
            got: error.to_string(),
        };
        let mut out = StreamWriter::try_new(Vec::new(), &schema).map_err(written)?;
        while let Some(batch) = self.batches.next_batch()? {
            out.write(&batch).map_err(written)?;
        }
        Ok(Written {
            content_type: "application/vnd.apache.arrow.stream",
            bytes: out.into_inner().map_err(written)?,
            file: None,
        })
    }

    /// The library writes these to a path: one in a folder of its own, which goes with the answer.
    fn file(self, format: table::Format, content_type: &'static str) -> Result<Written> {
        let refused = |path: &std::path::Path, error: io::Error| Error::Io {
            path: path.to_owned(),
            action: "writing the table",
            kind: error.kind(),
            why: error.to_string(),
        };
        let folder = tempfile::tempdir().map_err(|error| refused(&std::env::temp_dir(), error))?;
        let path = folder.path().join("table").with_extension(format.extension());
        // A table that a spreadsheet opens must not run what a name in it says.
        let escape_formulas = format == table::Format::Csv;
        let options = WriteOptions { format, overwrite: false, escape_formulas };
        table::write(&path, self.batches, &options, &mut |_, _| Ok(()))?;
        let bytes = std::fs::read(&path).map_err(|error| refused(&path, error))?;
        Ok(Written { content_type, bytes, file: Some(format.extension()) })
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        let content_type = (header::CONTENT_TYPE, self.content_type.to_owned());
        match self.file {
            None => ([content_type], self.bytes).into_response(),
            Some(ending) => {
                let name = format!("attachment; filename=\"siltstone.{ending}\"");
                ([content_type, (header::CONTENT_DISPOSITION, name)], self.bytes).into_response()
            }
        }
    }
}

/// A document as an answer.
pub(crate) fn document(document: &Json) -> Response {
    json_body(document).into_response()
}
