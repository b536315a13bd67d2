//! The formats of a table's file.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The format of a table's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Format {
    /// Apache Parquet: columns in dictionaries and zstd, the Arrow schema beside them.
    #[default]
    Parquet,
    /// An Arrow IPC file (Feather 2), not compressed, so that any reader can map it.
    Arrow,
    /// Comma-separated text with a header; a list is its JSON text. Types are not kept.
    Csv,
    /// A JSON object a line. Types are not kept.
    Jsonl,
}

impl Format {
    /// The ending of its files, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
        }
    }

    /// The format that a file's ending says; `None` for another ending.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "parquet" | "pq" => Some(Format::Parquet),
            "arrow" | "feather" | "ipc" => Some(Format::Arrow),
            "csv" => Some(Format::Csv),
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "parquet" => Ok(Format::Parquet),
            "arrow" => Ok(Format::Arrow),
            "csv" => Ok(Format::Csv),
            "jsonl" => Ok(Format::Jsonl),
            _ => Err(Error::invalid("format", "parquet, arrow, csv or jsonl", format!("{text:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a format is found by its name and by the ending of its files.
    #[test]
    fn formats_are_found_by_name_and_ending() {
        for format in [Format::Parquet, Format::Arrow, Format::Csv, Format::Jsonl] {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
            let path = format!("some.dir/run.{}", format.extension());
            assert_eq!(Format::of_path(Path::new(&path)), Some(format));
        }
        assert_eq!(Format::of_path(Path::new("run.PARQUET")), Some(Format::Parquet));
        assert_eq!(Format::of_path(Path::new("parquet")), None);
        let error = "xml".parse::<Format>().unwrap_err().to_string();
        assert_eq!(error, "format: expected parquet, arrow, csv or jsonl, got \"xml\"");
    }
}
