//! Compaction: the rows of a day into column blocks, in one transaction, inside the same file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::calendar::Day;
use super::plan::DayPart;
use super::store::TickStore;
use super::tables;
use super::writer::{Shared, add};
use crate::error::{Error, Result};
use crate::kernel::CompactReport;

/// How long after the opening the store looks for days to compact for the first time.
const FIRST_CHECK: Duration = Duration::from_secs(60);

/// Sizes and times of a day's file and its log: the same ones, and nothing was written.
type Stamp = [Option<(u64, SystemTime)>; 2];

fn stamp(path: &Path) -> Stamp {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    [path, Path::new(&log)].map(|path| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.len(), file.modified().ok()?))
    })
}

/// The thread that compacts days which have been over for long enough, until the store is stopped.
pub(super) fn run(shared: &Shared) {
    let every = shared.config.compact_every.unwrap_or(Duration::MAX);
    let mut wait = every.min(FIRST_CHECK);
    let mut seen = HashMap::new();
    while !shared.pause.wait(wait) {
        wait = every;
        if let Err(error) = shared.compact_finished_days(&mut seen) {
            tracing::warn!(%error, "days could not be compacted; they are tried again");
            add(&shared.counters.compact_errors, 1);
        }
    }
}

/// What a compaction did to one day.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CompactedDay {
    /// The day, as `2026-01-19`.
    pub day: String,
    /// The file.
    pub path: PathBuf,
    /// Its ticks are the rows.
    #[serde(flatten)]
    pub report: CompactReport,
}

impl TickStore {
    /// Compacts one day, given as `2026-01-19`: its rows become blocks, in one transaction, and the file
    /// gives the space back. Late ticks may come afterwards; they are rows until the next call.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the day has no file; what the disk says. The day is then as it was.
    pub fn compact(&self, day: &str) -> Result<CompactedDay> {
        let parsed = Day::parse(day)
            .ok_or_else(|| Error::invalid("day", "a date as 2026-01-19", format!("{day:?}")))?;
        self.flush()?;
        self.shared.compact_day(parsed)?.ok_or_else(|| Error::NotFound {
            what: "day",
            name: day.to_owned(),
            location: self.config().sqlite_base_path.display().to_string(),
        })
    }

    /// Compacts every day that has been over for
    /// [`compact_after_days`](super::TickStoreConfig::compact_after_days) and has rows.
    ///
    /// # Errors
    /// As [`compact`](Self::compact); the days before are compacted.
    pub fn compact_finished(&self) -> Result<Vec<CompactedDay>> {
        self.compact_until(self.shared.finished())
    }

    /// Compacts every day that has rows, today too.
    ///
    /// # Errors
    /// As [`compact`](Self::compact); the days before are compacted.
    pub fn compact_all(&self) -> Result<Vec<CompactedDay>> {
        self.compact_until(Day(i64::MAX))
    }

    /// Makes rows of the compacted ticks of every day, so that SQLite alone reads them; how many. Each day is one transaction.
    /// A store that compacts days by itself ([`compact_every`](super::TickStoreConfig::compact_every)) does so again.
    ///
    /// # Errors
    /// What the disk says; [`Error::Corrupt`] for a block that is damaged. The days before are expanded.
    pub fn expand(&self) -> Result<u64> {
        self.flush()?;
        let Some(days) = &self.shared.days else { return Ok(0) };
        let mut expanded = 0;
        for day in days.list()? {
            let db = days.writer(day)?;
            expanded += db.expand()?;
            db.vacuum()?;
        }
        Ok(expanded)
    }

    fn compact_until(&self, end: Day) -> Result<Vec<CompactedDay>> {
        self.flush()?;
        let shared = &*self.shared;
        let Some(days) = &shared.days else { return Ok(Vec::new()) };
        let mut compacted = Vec::new();
        for day in days.list()?.into_iter().filter(|day| *day < end) {
            if shared.has_rows(day)? {
                compacted.extend(shared.compact_day(day)?);
            }
        }
        Ok(compacted)
    }
}

impl Shared {
    /// Days before this one have been over for long enough.
    fn finished(&self) -> Day {
        Day(Day::today().0 - i64::from(self.config.compact_after_days))
    }

    fn has_rows(&self, day: Day) -> Result<bool> {
        let Some(days) = &self.days else { return Ok(false) };
        let Some(db) = days.reader(day)? else { return Ok(false) };
        db.read(|tx| {
            let sql = "SELECT 1 FROM tick_rows LIMIT 1";
            Ok(tables::are_there(tx)? && tx.query_one(sql, [], |_| Ok(()))?.is_some())
        })
    }

    /// Compacts what has been over for long enough; a file that has not changed since it was seen
    /// without rows is not opened. One day's error does not keep the others.
    fn compact_finished_days(&self, seen: &mut HashMap<Day, Stamp>) -> Result<()> {
        let Some(days) = &self.days else { return Ok(()) };
        let end = self.finished();
        let mut outcome = Ok(());
        for (day, path) in days.files()?.into_iter().filter(|(day, _)| *day < end) {
            if self.pause.wait(Duration::ZERO) {
                break;
            }
            let before = stamp(&path);
            if seen.get(&day) == Some(&before) {
                continue;
            }
            let compacted = self.has_rows(day).and_then(|rows| {
                if rows { self.compact_day(day).map(|_| true) } else { Ok(false) }
            });
            match compacted {
                Ok(true) => add(&self.counters.days_compacted, 1),
                Ok(false) => {
                    seen.insert(day, before);
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    fn compact_day(&self, day: Day) -> Result<Option<CompactedDay>> {
        let Some(days) = &self.days else { return Ok(None) };
        let path = days.path(day);
        if !path.exists() {
            return Ok(None);
        }
        let db = days.writer(day)?;
        let report = db.compact(vec![DayPart(self.origins.clone())], &mut |_, _| Ok(()))?;
        db.vacuum()?;
        Ok(Some(CompactedDay { day: day.to_string(), path, report }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::config::{Duplicates, TickStoreConfig};
    use super::*;
    use crate::kernel::{Database, Part};

    const NOON: i64 = 1_768_824_000_000_000_000; // 2026-01-19T12:00:00Z

    fn put(store: &TickStore, time: i64, bid: f64) {
        let _ = store.store_tick("EURUSD", bid, bid + 0.5, 0.5, "YOFX", time).unwrap();
        store.flush().unwrap();
    }

    fn bids(store: &TickStore) -> Vec<f64> {
        store.get_ticks_in_range("EURUSD", NOON, NOON + 100).unwrap().bid
    }

    fn rows(db: &Database) -> i64 {
        let count = "SELECT count(*) FROM tick_rows";
        db.read(|tx| tx.query_one(count, [], |row| Ok(row.get(0)?))).unwrap().unwrap()
    }

    /// Goal: what comes between the packing and the exchange stays a row, in its place; what was taken
    /// away or compacted meanwhile makes the plan void, and nothing is done.
    #[test]
    fn a_plan_takes_what_it_saw_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = TickStore::new(TickStoreConfig {
            sqlite_base_path: folder.path().into(),
            duplicates: Duplicates::Last,
            ..TickStoreConfig::production("b")
        })
        .unwrap();
        (0..4).for_each(|n| put(&store, NOON + 2 * n, n as f64));
        let db = store.shared.days.as_ref().unwrap().writer(Day::of(NOON)).unwrap();
        let part = DayPart(store.shared.origins.clone());
        let plans = || Arc::new(db.read(|tx| part.pack(tx)).unwrap().unwrap());
        let apply = |plans: Arc<_>| {
            let part = DayPart(store.shared.origins.clone());
            db.write(move |tx| part.replace(tx, &plans)).unwrap().map(|(rows, _)| rows)
        };
        let packed = plans();
        put(&store, NOON + 1, 9.0);
        assert_eq!(apply(packed.clone()), Some(4));
        assert_eq!((rows(&db), bids(&store)), (1, vec![0.0, 9.0, 1.0, 2.0, 3.0]));
        assert_eq!(apply(packed), None, "its rows are gone");
        let packed = plans();
        put(&store, NOON + 1, 8.0);
        assert_eq!(apply(packed), None, "its row was replaced");
        put(&store, NOON + 20, 4.0);
        let packed = plans();
        assert_eq!(packed.len(), 1);
        let set = |sql: &'static str| {
            let _ = db.write(move |tx| tx.execute(sql, [])).unwrap();
        };
        set("UPDATE tick_rows SET bid = 4.5, row_sum = NULL");
        assert_eq!(apply(packed), None, "another program changed a row");
        set("UPDATE tick_rows SET bid = 4.0");
        let packed = plans();
        put(&store, NOON + 4, 7.0);
        assert_eq!(apply(packed), None, "a block that it joins was written anew");
        assert_eq!(bids(&store), [0.0, 8.0, 1.0, 7.0, 3.0, 4.0]);
        store.compact_all().unwrap();
        assert_eq!((rows(&db), bids(&store)), (0, vec![0.0, 8.0, 1.0, 7.0, 3.0, 4.0]));
        store.stop().unwrap();
        assert!(super::super::doctor(folder.path()).unwrap().is_ok());
    }
}
