//! Settling: the rows of a day into column blocks, in one transaction, inside the same file.

use std::path::PathBuf;

use super::calendar::Day;
use super::store::TickStore;
use super::tables;
use super::write;
use super::writer::Shared;
use crate::error::{Error, Result};

/// What settling did to one day.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct SettledDay {
    /// The day, as `2026-01-19`.
    pub day: String,
    /// The file.
    pub path: PathBuf,
    /// Rows that were moved into blocks.
    pub ticks: u64,
    /// Bytes of the file before.
    pub bytes_before: u64,
    /// And after.
    pub bytes_after: u64,
}

impl TickStore {
    /// Settles one day, given as `2026-01-19`: its rows become blocks, in one transaction, and the file
    /// gives the space back. Late ticks may come afterwards; they are rows until the next call.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the day has no file; what the disk says. The day is then as it was.
    pub fn settle(&self, day: &str) -> Result<SettledDay> {
        let parsed = Day::parse(day)
            .ok_or_else(|| Error::invalid("day", "a date as 2026-01-19", format!("{day:?}")))?;
        self.flush()?;
        self.shared.settle_day(parsed)?.ok_or_else(|| Error::NotFound {
            what: "day",
            name: day.to_owned(),
            place: self.config().sqlite_base_path.display().to_string(),
        })
    }

    /// Settles every day that has been over for
    /// [`settle_after_days`](super::TickStoreConfig::settle_after_days) and has rows.
    ///
    /// # Errors
    /// As [`settle`](Self::settle); the days before are settled.
    pub fn settle_finished(&self) -> Result<Vec<SettledDay>> {
        let days = i64::from(self.config().settle_after_days);
        self.settle_until(Day(Day::today().0 - days))
    }

    /// Settles every day that has rows, today too.
    ///
    /// # Errors
    /// As [`settle`](Self::settle); the days before are settled.
    pub fn settle_all(&self) -> Result<Vec<SettledDay>> {
        self.settle_until(Day(i64::MAX))
    }

    fn settle_until(&self, end: Day) -> Result<Vec<SettledDay>> {
        self.flush()?;
        let shared = &*self.shared;
        let Some(days) = &shared.days else { return Ok(Vec::new()) };
        let mut settled = Vec::new();
        for day in days.list()?.into_iter().filter(|day| *day < end) {
            let Some(db) = days.reader(day)? else { continue };
            let rows = db.read(|tx| {
                let sql = "SELECT 1 FROM tick_hot LIMIT 1";
                Ok(tables::are_there(tx)? && tx.query_one(sql, [], |_| Ok(()))?.is_some())
            })?;
            if rows {
                settled.extend(shared.settle_day(day)?);
            }
        }
        Ok(settled)
    }
}

impl Shared {
    fn settle_day(&self, day: Day) -> Result<Option<SettledDay>> {
        let Some(days) = &self.days else { return Ok(None) };
        let path = days.path(day);
        if !path.exists() {
            return Ok(None);
        }
        let size = || std::fs::metadata(&path).map_or(0, |file| file.len());
        let db = days.writer(day)?;
        // What is in the log counts: else a file would seem to grow.
        db.checkpoint()?;
        let bytes_before = size();
        let origins = self.origins.clone();
        let ticks = db.write(move |tx| write::settle(tx, &origins))?;
        db.vacuum()?;
        Ok(Some(SettledDay {
            day: day.to_string(),
            path: path.clone(),
            ticks,
            bytes_before,
            bytes_after: size(),
        }))
    }
}
