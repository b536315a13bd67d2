//! What the store says of itself, under the documented names of both generations and some more.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::calendar::Day;
use super::config::StorageBackend;
use super::day::Days;
use super::store::TickStore;
use super::symbols::Counts;
use super::writer::get;
use super::{LEDGER, tables};
use crate::error::{Error, Result};
use crate::kernel::{BackupReport, Database, create_folder, folder_of, sync_folder};

/// What the store did and holds. The names of `backend` to `use_json_legacy` and those in `sqlite` are
/// documented.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct StorageStats {
    /// Where ticks are kept.
    pub backend: StorageBackend,
    /// Ticks that came.
    pub ticks_received: u64,
    /// Ticks that were taken.
    pub ticks_stored: u64,
    /// Ticks that the throttle left out.
    pub ticks_throttled: u64,
    /// Whether JSON files are written.
    pub use_json_legacy: bool,
    /// Ticks of which the queue had no room.
    pub ticks_dropped: u64,
    /// Ticks in JSON files.
    pub json_ticks_written: u64,
    /// Ticks that the rule for duplicates left out.
    pub duplicates: u64,
    /// Stored ticks that later ones replaced.
    pub replaced: u64,
    /// Ticks that the rule for duplicates refused.
    pub refused: u64,
    /// Ticks that went into spill files.
    pub spilled: u64,
    /// Of these, written since.
    pub recovered: u64,
    /// Days that the store compacted by itself.
    pub days_compacted: u64,
    /// Times that it could not.
    pub compact_errors: u64,
    /// For how many ms the oldest tick that is not written has been waiting.
    pub oldest_uncommitted_ms: Option<u64>,
    /// Symbols in memory.
    pub symbols: u64,
    /// Bytes of the rings.
    pub ring_bytes: u64,
    /// Ticks in the rings.
    pub ring_ticks: u64,
    /// Odd quotes that were stored.
    pub quality: QualityCounts,
    /// The day files, where there are any.
    pub sqlite: Option<SqliteStats>,
}

/// Quotes that are odd, by what is odd about them; see [`quality`](super::quality).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct QualityCounts {
    /// The bid is zero or less.
    pub bid_not_positive: u64,
    /// The ask is zero or less.
    pub ask_not_positive: u64,
    /// The ask is below the bid.
    pub crossed: u64,
    /// Bid and ask are equal.
    pub locked: u64,
    /// The spread is negative.
    pub spread_negative: u64,
    /// The spread is above a tenth of the bid.
    pub spread_wide: u64,
    /// The spread is not ask - bid.
    pub spread_differs: u64,
}

/// The day files. The names are those of the RTX engine's two generations.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct SqliteStats {
    /// Ticks written.
    pub ticks_written: u64,
    /// Ticks left out as duplicates.
    pub ticks_skipped: u64,
    /// Errors of the writer.
    pub write_errors: u64,
    /// Ticks that wait to be written.
    pub queue_size: u64,
    /// How many may.
    pub queue_capacity: u64,
    /// Times that the writer went on to another day.
    pub db_rotations: u64,
    /// The file that was written last, or the newest.
    pub current_db_path: Option<String>,
    /// Its day.
    pub current_date: Option<String>,
    /// The same file.
    pub db_path: Option<String>,
    /// Its size.
    pub db_size_bytes: u64,
    /// Its size in MiB.
    pub db_size_mb: f64,
    /// Ticks in it, rows and blocks.
    pub total_ticks: u64,
    /// Symbols in it.
    pub symbol_count: u64,
    /// Batches written.
    pub batches_written: u64,
    /// Batches that could not be written after all attempts.
    pub batch_failures: u64,
    /// Ticks that were neither written nor spilled.
    pub ticks_lost: u64,
    /// Attempts after the first.
    pub retries_total: u64,
    /// Why a batch was last not written after all attempts; absent if none was.
    pub last_batch_error: Option<String>,
    /// When that was, in ms since 1970-01-01 UTC.
    pub last_batch_error_time: Option<i64>,
    /// Share of batches that were written, in percent; absent before the first.
    pub batch_success_rate: Option<f64>,
}

/// A day file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct DayInfo {
    /// The day, as `2026-01-19`.
    pub day: String,
    /// The file.
    pub path: PathBuf,
    /// Its ticks.
    #[serde(flatten)]
    pub ticks: DayTicks,
    /// Size of the file.
    pub bytes: u64,
}

/// The ticks of a day file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct DayTicks {
    /// Ticks that are rows.
    pub rows: u64,
    /// Ticks in blocks.
    pub compacted: u64,
    /// Blocks.
    pub blocks: u64,
    /// Symbols.
    pub symbols: u64,
}

/// Counts the ticks of a file; none of a file that is no day's.
pub(crate) fn day_ticks(db: &Database) -> Result<DayTicks> {
    db.read(|tx| {
        if !tables::are_there(tx)? {
            return Ok(DayTicks::default());
        }
        let sql = "SELECT (SELECT count(*) FROM tick_rows), \
            (SELECT coalesce(sum(rows), 0) FROM tick_block), \
            (SELECT count(*) FROM tick_block), (SELECT count(*) FROM tick_symbol)";
        let counts = tx.query_one(sql, [], |row| {
            let [rows, compacted, blocks, symbols] =
                [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?].map(|n: i64| n as u64);
            Ok(DayTicks { rows, compacted, blocks, symbols })
        })?;
        Ok(counts.unwrap_or_default())
    })
}

/// What is in a day's file; `None` if it has none.
pub(super) fn day_info(days: &Days, day: Day) -> Result<Option<DayInfo>> {
    let Some(db) = days.reader(day)? else { return Ok(None) };
    let (ticks, path) = (day_ticks(&db)?, days.path(day));
    let bytes = std::fs::metadata(&path).map_or(0, |file| file.len());
    Ok(Some(DayInfo { day: day.to_string(), path, ticks, bytes }))
}

/// What a folder has of ticks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct TicksSummary {
    /// The folder.
    pub path: PathBuf,
    /// Ticks, rows and in blocks.
    pub ticks: u64,
    /// Size of the day files.
    pub bytes: u64,
    /// The symbols of all days, by name.
    pub symbols: Vec<String>,
    /// The day files, rising.
    pub days: Vec<DayInfo>,
}

/// Whether two names are of one folder that is there.
fn same_folder(one: &Path, other: &Path) -> bool {
    std::fs::canonicalize(one).is_ok_and(|one| std::fs::canonicalize(other).is_ok_and(|o| o == one))
}

/// Whether a folder has a day file.
pub(crate) fn has_ticks(folder: &Path) -> Result<bool> {
    Ok(!Days::read_only(folder).list()?.is_empty())
}

impl TickStore {
    /// What the folder has.
    ///
    /// # Errors
    /// What the disk says.
    pub fn describe(&self) -> Result<TicksSummary> {
        let days = self.days()?;
        Ok(TicksSummary {
            path: self.shared.config.sqlite_base_path.clone(),
            ticks: days.iter().map(|day| day.ticks.rows + day.ticks.compacted).sum(),
            bytes: days.iter().map(|day| day.bytes).sum(),
            symbols: self.symbols()?,
            days,
        })
    }

    /// Copies each day into the folder `target`, which must not exist, and verifies it there. The folder gets its name when all
    /// days are in it.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is something at `target`, [`Error::Invalid`] if it is inside the folder that is copied; as
    /// [`Database::backup`](crate::Database::backup). Then nothing stays of the copy.
    pub fn backup(&self, target: impl AsRef<Path>) -> Result<Vec<BackupReport>> {
        let target = target.as_ref();
        if target.exists() {
            let (what, location) = ("the folder".into(), target.display().to_string());
            return Err(Error::Exists { what, location, hint: "name one that does not exist" });
        }
        let base = &self.shared.config.sqlite_base_path;
        let inside = |path: &Path| path.ancestors().any(|above| same_folder(above, base));
        if inside(target) {
            let got = format!("{:?}, which is in the folder that is copied", target.display());
            return Err(Error::invalid("the target", "a folder elsewhere", got));
        }
        self.flush()?;
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".partial-{}", std::process::id()));
        let partial = target.with_file_name(name);
        create_folder(folder_of(target), true)?;
        std::fs::create_dir(&partial).map_err(|e| Error::io(&partial, "making it", &e))?;
        let copied = self.backup_days(&partial).and_then(|reports| {
            std::fs::rename(&partial, target)
                .map_err(|e| Error::io(target, "renaming to it", &e))?;
            sync_folder(folder_of(target))?;
            Ok(reports)
        });
        if copied.is_err() {
            let _ = std::fs::remove_dir_all(&partial); // the first error is the one to report
        }
        copied
    }

    fn backup_days(&self, target: &Path) -> Result<Vec<BackupReport>> {
        let mut reports = Vec::new();
        let Some(days) = &self.shared.days else { return Ok(reports) };
        for (day, path) in days.files()? {
            let Some(db) = days.reader(day)? else { continue };
            let copy = target
                .join(path.strip_prefix(&self.shared.config.sqlite_base_path).unwrap_or(&path));
            create_folder(folder_of(&copy), true)?;
            reports.push(db.backup(copy)?);
        }
        // What was published: without it a restored folder would be another one, and send all of it again.
        let ledger = self.shared.config.sqlite_base_path.join(LEDGER);
        if ledger.exists() {
            reports.push(Database::builder(ledger).open_read_only()?.backup(target.join(LEDGER))?);
        }
        Ok(reports)
    }

    /// What the store did since it was opened, and the state of the newest day file.
    ///
    /// # Errors
    /// What the disk says.
    pub fn stats(&self) -> Result<StorageStats> {
        let shared = &*self.shared;
        let mut sum = Counts::default();
        let (mut ring_bytes, mut ring_ticks) = (0, 0);
        let symbols = shared.symbols.all();
        for symbol in &symbols {
            let state = symbol.lock();
            sum.received += state.counts.received;
            sum.stored += state.counts.stored;
            sum.throttled += state.counts.throttled;
            sum.dropped += state.counts.dropped;
            for (total, n) in sum.odd.iter_mut().zip(state.counts.odd) {
                *total += n;
            }
            ring_bytes += state.ring.size_bytes() as u64;
            ring_ticks += state.ring.len() as u64;
        }
        let [bid, ask, crossed, locked, negative, wide, differs] = sum.odd;
        let counters = &shared.counters;
        Ok(StorageStats {
            backend: shared.config.backend,
            ticks_received: sum.received,
            ticks_stored: sum.stored,
            ticks_throttled: sum.throttled,
            use_json_legacy: shared.config.writes_json(),
            ticks_dropped: sum.dropped,
            json_ticks_written: get(&counters.json_written),
            duplicates: get(&counters.duplicates),
            replaced: get(&counters.replaced),
            refused: get(&counters.refused),
            spilled: get(&counters.spilled),
            recovered: get(&counters.recovered),
            days_compacted: get(&counters.days_compacted),
            compact_errors: get(&counters.compact_errors),
            oldest_uncommitted_ms: shared.queue.oldest_waits().map(|w| w.as_millis() as u64),
            symbols: symbols.len() as u64,
            ring_bytes,
            ring_ticks,
            quality: QualityCounts {
                bid_not_positive: bid,
                ask_not_positive: ask,
                crossed,
                locked,
                spread_negative: negative,
                spread_wide: wide,
                spread_differs: differs,
            },
            sqlite: self.sqlite_stats()?,
        })
    }

    /// The day files, rising, each with what is in it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn days(&self) -> Result<Vec<DayInfo>> {
        let Some(days) = &self.shared.days else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for day in days.list()? {
            found.extend(day_info(days, day)?);
        }
        Ok(found)
    }

    fn sqlite_stats(&self) -> Result<Option<SqliteStats>> {
        let shared = &*self.shared;
        let Some(days) = &shared.days else { return Ok(None) };
        let counters = &shared.counters;
        let written_last = match get(&counters.rotations) {
            0 => days.list()?.last().copied(),
            _ => Some(Day(counters.current_day.load(Ordering::Relaxed) as i64)),
        };
        let (mut total_ticks, mut symbol_count, mut size) = (0, 0, 0);
        if let Some(day) = written_last
            && let Some(db) = days.reader(day)?
        {
            size = std::fs::metadata(days.path(day)).map_or(0, |file| file.len());
            (total_ticks, symbol_count) = db.read(|tx| {
                if !tables::are_there(tx)? {
                    return Ok((0, 0));
                }
                let sql = "SELECT (SELECT count(*) FROM tick_rows) \
                    + (SELECT coalesce(sum(rows), 0) FROM tick_block), \
                    (SELECT count(*) FROM tick_symbol)";
                let counts = tx.query_one(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok(counts.unwrap_or((0i64, 0i64)))
            })?;
        }
        let path = written_last.map(|day| days.path(day).display().to_string());
        let (written, failed) = (get(&counters.batches), get(&counters.batch_failures));
        let tried = written + failed;
        let last_failure =
            shared.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Some(SqliteStats {
            ticks_written: get(&counters.written),
            ticks_skipped: get(&counters.duplicates),
            write_errors: get(&counters.write_errors),
            queue_size: shared.queue.depth() as u64,
            queue_capacity: shared.config.queue_size as u64,
            db_rotations: get(&counters.rotations),
            current_db_path: path.clone(),
            current_date: written_last.map(|day| day.to_string()),
            db_path: path,
            db_size_bytes: size,
            db_size_mb: size as f64 / f64::from(1 << 20),
            total_ticks: total_ticks as u64,
            symbol_count: symbol_count as u64,
            batches_written: written,
            batch_failures: failed,
            ticks_lost: get(&counters.lost),
            retries_total: get(&counters.retries),
            last_batch_error: last_failure.as_ref().map(|(why, _)| why.clone()),
            last_batch_error_time: last_failure.map(|(_, when)| when),
            batch_success_rate: (tried > 0).then(|| 100.0 * written as f64 / tried as f64),
        }))
    }
}
