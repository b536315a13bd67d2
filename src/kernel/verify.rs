//! Whether everything in the file is what was written.

use rusqlite::Connection;

use super::failure::At;
use super::findings::VerifyReport;
use super::{Database, ReadTx, foreign, schema};
use crate::error::Result;

/// A store's own checks.
pub(crate) type Verifier = fn(&ReadTx<'_>, &mut VerifyReport) -> Result<()>;

impl Database {
    /// Checks the schema, SQLite's pages and indexes, the foreign keys, and the checksum of every array.
    ///
    /// What others put into the schema is a finding where it replaces something of ours, or would run with
    /// our writes; it is never run. Other tables of theirs that make SQLite compute something are left out.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read; damage is a finding, not an error.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.verify_with(&crate::STORES.map(|store| store.verify))
    }

    fn verify_with(&self, verifiers: &[Verifier]) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        let mut is_sound = false;
        self.with_reader("verifying", |conn| {
            let pages: i64 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
            report.pages = pages as u64;
            schema::check_names(conn)?;
            let compared = foreign::compare(conn)?;
            report.findings = compared.findings;
            let foreign = report.findings.len();
            check_pages(conn, &compared.computing, &mut report)?;
            if compared.is_ours {
                check_references(conn, &compared.computing, &mut report)?;
            }
            is_sound = compared.is_ours && report.findings.len() == foreign;
            Ok(())
        })
        .at(self.path(), "verifying")
        .or_else(|error| damage_is_a_finding(error, &mut report))?;
        if is_sound {
            self.read(|tx| {
                super::row_sum::verify(tx, &mut report)?;
                verifiers.iter().try_for_each(|verify| verify(tx, &mut report))
            })
            .or_else(|error| damage_is_a_finding(error, &mut report))?;
        }
        Ok(report)
    }
}

/// The tables that are checked one by one, where some may not be run; else `None`, for the file as a whole.
fn one_by_one(conn: &Connection, computing: &[String]) -> Result<Vec<Option<String>>> {
    if computing.is_empty() {
        return Ok(vec![None]);
    }
    let mut statement = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    let names = names.collect::<Result<Vec<_>, _>>()?.into_iter();
    let may_run = |name: &String| !computing.contains(&name.to_ascii_lowercase());
    Ok(names.filter(may_run).map(Some).collect())
}

fn check_pages(conn: &Connection, computing: &[String], report: &mut VerifyReport) -> Result<()> {
    for table in one_by_one(conn, computing)? {
        let mut check = conn.prepare(&pragma("integrity_check", table))?;
        let lines = check.query_map([], |row| row.get::<_, String>(0))?;
        for line in lines {
            let line = line?;
            if line != "ok" {
                report.find("the database", line);
            }
        }
    }
    Ok(())
}

fn check_references(
    conn: &Connection,
    computing: &[String],
    report: &mut VerifyReport,
) -> Result<()> {
    for table in one_by_one(conn, computing)? {
        let mut check = conn.prepare(&pragma("foreign_key_check", table))?;
        let mut rows = check.query([])?;
        while let Some(row) = rows.next()? {
            let (table, rowid): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
            let parent: String = row.get(2)?;
            let location = format!("{table} row {}", rowid.unwrap_or_default());
            report.find(location, format!("refers to a row of {parent} that is not there"));
        }
    }
    Ok(())
}

fn pragma(name: &str, table: Option<String>) -> String {
    match table {
        None => format!("PRAGMA {name}"),
        Some(table) => format!("PRAGMA {name}(\"{}\")", table.replace('"', "\"\"")),
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
