//! What a verification found.

use arrow_schema::DataType;

use crate::array::block::Block;
use crate::error::{Error, Result};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The table, and the row where there is one.
    pub location: String,
    /// What is wrong with it.
    pub what: String,
}

/// What a verification looked at and found.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct VerifyReport {
    /// Pages of the file; 0 if it is none of SQLite's.
    pub pages: u64,
    /// Arrays, blocks, rows and Parquet files whose checksum was computed again.
    pub checksums: u64,
    /// Those that were stored without a checksum, by another program or an earlier version.
    pub without_checksum: u64,
    /// Rows that another program wrote or changed: they carry no checksum.
    pub rows_without_checksum: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }

    pub(crate) fn find(&mut self, location: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding { location: location.into(), what: what.into() });
    }

    /// Unpacks a column block of columns of these types (any, if there are none) and so many rows, and holds it against its
    /// header; what is wrong is a finding. Whether the block is whole.
    pub(crate) fn check_block(
        &mut self,
        location: &str,
        bytes: &[u8],
        types: &[DataType],
        rows: i64,
    ) -> Result<bool> {
        let block = Block::of_types(bytes, types, usize::try_from(rows).unwrap_or_default());
        self.checksums += block.as_ref().map_or(types.len().max(1), Block::columns) as u64;
        match block.and_then(|block| block.verify()) {
            Ok(()) => Ok(true),
            Err(Error::Corrupt { why, .. }) => {
                self.find(location, why);
                Ok(false)
            }
            Err(other) => Err(other),
        }
    }
}
