//! Whether everything in the file is what was written.

use super::failure::At;
use super::{Database, ReadTx};
use crate::error::Result;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The table, and the row where there is one.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

/// What a verification looked at and found.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct VerifyReport {
    /// Pages of the file; 0 if it is none of SQLite's.
    pub pages: u64,
    /// Arrays, blocks and Parquet files whose checksum was computed again.
    pub checksums: u64,
    /// Those that were stored without a checksum, by another program or an earlier version.
    pub without_checksum: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }

    pub(crate) fn find(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding { place: place.into(), what: what.into() });
    }
}

/// A store's own checks.
pub(crate) type Verifier = fn(&ReadTx<'_>, &mut VerifyReport) -> Result<()>;

impl Database {
    /// Checks SQLite's pages and indexes, the foreign keys, and the checksum of every array.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read; damage is a finding, not an error.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.verify_with(crate::VERIFIERS)
    }

    fn verify_with(&self, verifiers: &[Verifier]) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        self.with_reader("verifying", |conn| {
            let pages: i64 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
            report.pages = pages as u64;
            let mut check = conn.prepare("PRAGMA integrity_check")?;
            let lines = check.query_map([], |row| row.get::<_, String>(0))?;
            for line in lines {
                let line = line?;
                if line != "ok" {
                    report.find("the database", line);
                }
            }
            let mut check = conn.prepare("PRAGMA foreign_key_check")?;
            let mut rows = check.query([])?;
            while let Some(row) = rows.next()? {
                let (table, rowid): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
                let parent: String = row.get(2)?;
                let place = format!("{table} row {}", rowid.unwrap_or_default());
                report.find(place, format!("refers to a row of {parent} that is not there"));
            }
            Ok(())
        })
        .at(self.path(), "verifying")
        .or_else(|error| damage_is_a_finding(error, &mut report))?;
        if report.is_ok() {
            self.read(|tx| verifiers.iter().try_for_each(|verify| verify(tx, &mut report)))
                .or_else(|error| damage_is_a_finding(error, &mut report))?;
        }
        Ok(report)
    }
}

fn damage_is_a_finding(error: crate::Error, report: &mut VerifyReport) -> Result<()> {
    match error {
        crate::Error::Corrupt { what, why, .. } => {
            report.find(what, why);
            Ok(())
        }
        other => Err(other),
    }
}
