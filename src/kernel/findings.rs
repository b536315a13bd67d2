//! What a verification found.

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
}
