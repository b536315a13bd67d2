//! Old days, removed or thinned out; and ticks that are taken back.

use std::fs;

use super::calendar::Day;
use super::store::TickStore;
use super::write;
use crate::error::{Error, Result};

/// What happens to old days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Removes the files of days that have been over for more than so many days.
    pub delete_after_days: Option<u32>,
    /// Thins out days that have been over for more than so many days.
    pub thin_after_days: Option<u32>,
    /// Of so many neighbouring ticks of a symbol the first is kept; 2 or more.
    pub keep_one_of: u32,
    /// Says what would be done, and does nothing.
    pub dry_run: bool,
}

/// What is done to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RetentionAction {
    /// Its file is removed.
    Delete,
    /// Its ticks are thinned out.
    Thin,
    /// Ticks of a symbol are removed.
    Remove,
}

/// A day that a policy meets.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RetainedDay {
    /// The day, as `2026-01-19`.
    pub day: String,
    /// What is done, or would be.
    pub action: RetentionAction,
    /// Ticks of the day before.
    pub ticks: u64,
    /// Of these, removed.
    pub removed: u64,
    /// Bytes of its file before.
    pub bytes: u64,
    /// Files that were imported before: the next import of them brings back what was removed or thinned out of this symbol.
    pub imported_files: u64,
}

impl RetainedDay {
    /// What is done, as a word: `delete`, `thin` or `remove`.
    pub fn action_name(&self) -> &'static str {
        match self.action {
            RetentionAction::Delete => "delete",
            RetentionAction::Thin => "thin",
            RetentionAction::Remove => "remove",
        }
    }
}

impl TickStore {
    /// Removes or thins out old days. Today's file is never touched.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a policy that thins without saying how much; what the disk says. The days
    /// before are done then.
    pub fn retain(&self, policy: &RetentionPolicy) -> Result<Vec<RetainedDay>> {
        if policy.thin_after_days.is_some() && policy.keep_one_of < 2 {
            let got = policy.keep_one_of.to_string();
            return Err(Error::invalid("keep_one_of", "2 or more", got));
        }
        if !policy.dry_run {
            self.flush()?;
        }
        let Some(days) = &self.shared.days else { return Ok(Vec::new()) };
        let today = Day::today();
        let mut done = Vec::new();
        for (day, path) in days.files()?.into_iter().filter(|(day, _)| *day < today) {
            let age = today.0 - day.0;
            let is_over = |limit: Option<u32>| limit.is_some_and(|limit| age > i64::from(limit));
            let bytes = fs::metadata(&path).map_or(0, |file| file.len());
            let k = u64::from(policy.keep_one_of);
            let (ticks, thinned) = self.tick_count(day)?;
            let (action, removed) = if is_over(policy.delete_after_days) {
                if !policy.dry_run {
                    days.remove(day)?;
                }
                (RetentionAction::Delete, ticks)
            } else if is_over(policy.thin_after_days) && thinned < k {
                let origins = self.shared.origins.clone();
                let dry_run = policy.dry_run;
                let removed = days
                    .writer(day)?
                    .write(move |tx| write::thin(tx, &origins, k as usize, dry_run))?;
                if !policy.dry_run {
                    days.writer(day)?.vacuum()?;
                }
                (RetentionAction::Thin, removed)
            } else {
                continue;
            };
            let (day, imported_files) = (day.to_string(), 0);
            done.push(RetainedDay { day, action, ticks, removed, bytes, imported_files });
        }
        Ok(done)
    }

    /// Removes the ticks of a symbol from one time to another, both included, such as those of a wrong import. The days that had
    /// some are listed; with `dry_run` that is all. A day of which rows were compacted has all ticks of the symbol as blocks afterwards.
    /// Files that were imported before can bring ticks of this symbol again, once each: all that they have of it, also what was thinned out.
    /// Ticks that a running process holds in memory, as the last ones, stay there.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a symbol that no day has; what the disk says. The days before are done then.
    pub fn remove_ticks(
        &self,
        symbol: &str,
        from_ns: i64,
        to_ns: i64,
        dry_run: bool,
    ) -> Result<Vec<RetainedDay>> {
        if !dry_run {
            self.flush()?;
        }
        if !self.symbols()?.iter().any(|known| known == symbol) {
            let (name, location) = (symbol.to_owned(), "the days of ticks".to_owned());
            return Err(Error::NotFound { what: "symbol", name, location });
        }
        let Some(days) = &self.shared.days else { return Ok(Vec::new()) };
        let (first, last) = (Day::of(from_ns), Day::of(to_ns));
        let mut done = Vec::new();
        for (day, path) in days.files()?.into_iter().filter(|(day, _)| (first..=last).contains(day))
        {
            let bytes = fs::metadata(&path).map_or(0, |file| file.len());
            let (ticks, _) = self.tick_count(day)?;
            let (origins, symbol) = (self.shared.origins.clone(), symbol.to_owned());
            let (removed, imported_files) = days
                .writer(day)?
                .write(move |tx| write::remove(tx, &origins, &symbol, (from_ns, to_ns), dry_run))?;
            if removed > 0 {
                if !dry_run {
                    days.writer(day)?.vacuum()?;
                }
                let (day, action) = (day.to_string(), RetentionAction::Remove);
                done.push(RetainedDay { day, action, ticks, removed, bytes, imported_files });
            }
        }
        Ok(done)
    }

    /// The ticks of a day, and by how much it was thinned out before.
    fn tick_count(&self, day: Day) -> Result<(u64, u64)> {
        let days = self.shared.days.as_ref().expect("only a store with day files is asked");
        let Some(db) = days.reader(day)? else { return Ok((0, 0)) };
        db.read(|tx| {
            if !super::tables::are_there(tx)? {
                return Ok((0, 0));
            }
            let sql = "SELECT (SELECT count(*) FROM tick_rows) \
                + (SELECT coalesce(sum(rows), 0) FROM tick_block), \
                (SELECT value FROM tick_counter WHERE name = 'thinned')";
            let counts = tx.query_one(sql, [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?.unwrap_or(0)))
            })?;
            let (ticks, thinned) = counts.unwrap_or((0, 0));
            Ok((ticks as u64, thinned as u64))
        })
    }
}
