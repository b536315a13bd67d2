//! Whether a folder of day files is in order.

use std::path::Path;
use std::time::Duration;

use super::calendar::{Day, suspect_unit};
use super::day::{Days, day_of, entries, no_folder};
use super::tables;
use crate::error::{Error, Result};
use crate::kernel::{Database, Durability, Finding, ReadTx, VerifyReport};

/// How long an empty day file may be one that is just being made.
const YOUNG: Duration = Duration::from_secs(60);

/// What the doctor looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct DoctorReport {
    /// Day files.
    pub files: u64,
    /// Ticks in them.
    pub ticks: u64,
    /// Blocks whose checksum was computed again.
    pub blocks: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl DoctorReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, location: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding { location: location.into(), what: what.into() });
    }
}

/// Examines a folder of day files: each file's structure, the checksum, count, order, times and prices
/// of each block, the number of ticks against that which was stored, ticks of another day than the file's, times that seem to be in another unit than ns, what was left by a process that was killed,
/// ticks that wait in spill files, and files that have been empty for more than a minute. Nothing is changed.
///
/// # Errors
/// [`Error::NotFound`] without such a folder; [`Error::Io`] if it cannot be listed. What is wrong is
/// a finding.
pub fn doctor(base: impl AsRef<Path>) -> Result<DoctorReport> {
    let base = base.as_ref();
    if !base.is_dir() {
        return Err(no_folder(base));
    }
    let mut report = DoctorReport::default();
    let known = Days::new(base, Durability::Os).files()?;
    for (day, path) in &known {
        report.files += 1;
        let name = path.display().to_string();
        if is_untouched(path) {
            if !is_young(path) {
                report.find(
                    name,
                    "it is empty: its writer was killed before the first commit; nothing is lost, and it may be removed",
                );
            }
            continue;
        }
        match examine(*day, path, &mut report) {
            // Its maker was killed before the first commit, and what he had begun was rolled back just now.
            Err(Error::NotOurs { why, .. }) if why == "it is empty" => {}
            Err(error) => {
                // The location says which file it is.
                let (what, own) = (error.to_string(), format!("{name}: "));
                report.find(name, what.strip_prefix(&own).unwrap_or(&what));
            }
            Ok(()) => {}
        }
    }
    let mut folders = vec![base.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            if path.is_dir() {
                folders.push(path);
            } else if let Some(what) =
                stray(&path, day_of(&path).is_some_and(|day| known.get(&day) == Some(&path)))
            {
                report.find(path.display().to_string(), what);
            }
        }
    }
    Ok(report)
}

/// What is wrong with a file being where it is.
fn stray(path: &Path, is_known_day: bool) -> Option<&'static str> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let beside =
        |suffix: &str| name.strip_suffix(suffix).is_some_and(|db| path.with_file_name(db).exists());
    if name.contains(".partial-") {
        return Some("it is the half of a file whose writer was killed; remove it");
    }
    if name.starts_with("spill-") {
        return Some("its ticks could not be written; they are when a store is opened here");
    }
    if name.ends_with("-wal") || name.ends_with("-shm") {
        let owned = beside("-wal") || beside("-shm");
        return (!owned).then_some("the database that it belongs to is not there");
    }
    if day_of(path).is_some() && !is_known_day {
        return Some("it is not in the folder of its year and month, so that nobody reads it");
    }
    None
}

/// Whether a file was made and its writer killed before it wrote: nothing was acknowledged.
fn is_untouched(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    size(path) == 0 && size(Path::new(&log)) == 0
}

/// Whether a file may be one that is just being made.
fn is_young(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|file| file.modified());
    // A time ahead of the clock is of now, as far as anybody can say.
    modified
        .is_ok_and(|time| time.elapsed().is_ok_and(|age| age < YOUNG) || time.elapsed().is_err())
}

fn examine(day: Day, path: &Path, report: &mut DoctorReport) -> Result<()> {
    let name = path.display().to_string();
    let db = Database::builder(path).open_read_only()?;
    db.migrate(&tables::MIGRATIONS)?;
    let VerifyReport { findings, .. } = db.verify()?;
    let sound = findings.is_empty();
    for finding in findings {
        report.find(format!("{name}: {}", finding.location), finding.what);
    }
    if sound {
        let ticks = db.read(|tx| check_day(tx, day, &name, report))?;
        report.ticks += ticks;
    }
    Ok(())
}

fn check_day(tx: &ReadTx<'_>, day: Day, name: &str, report: &mut DoctorReport) -> Result<u64> {
    if !tables::are_there(tx)? {
        return Ok(0);
    }
    let range = (day.first_ns(), day.last_ns());
    let count = |sql: &str, params: &[i64]| -> Result<i64> {
        let n = tx.query_one(sql, rusqlite::params_from_iter(params), |row| Ok(row.get(0)?))?;
        Ok(n.unwrap_or(0))
    };
    let outside = "SELECT (SELECT count(*) FROM tick_rows WHERE time_ns NOT BETWEEN ?1 AND ?2) \
        + (SELECT count(*) FROM tick_block WHERE first_ns < ?1 OR last_ns > ?2)";
    let outside = count(outside, &[range.0, range.1])?;
    if outside > 0 {
        report.find(name, format!("{outside} rows or blocks have times of another day"));
    }
    let first = "SELECT min(t) FROM (SELECT min(time_ns) AS t FROM tick_rows \
        UNION ALL SELECT min(first_ns) FROM tick_block)";
    let first = tx.query_one(first, [], |row| Ok(row.get::<_, Option<i64>>(0)?))?.flatten();
    if let Some(unit) = first.and_then(suspect_unit) {
        report
            .find(name, format!("its times seem to be in {unit} since 1970, and were given as ns"));
    }
    let ahead = "SELECT count(*) FROM tick_rows h, tick_counter c \
        WHERE c.name = 'next_arrival' AND h.arrival >= c.value";
    let ahead = count(ahead, &[])?;
    if ahead > 0 {
        report.find(name, format!("{ahead} rows have an arrival that was not given yet"));
    }
    let ticks = "SELECT (SELECT count(*) FROM tick_rows) \
        + (SELECT coalesce(sum(rows), 0) FROM tick_block)";
    let ticks = count(ticks, &[])?;
    report.blocks += count("SELECT count(*) FROM tick_block", &[])? as u64;
    let sql = "SELECT value FROM tick_counter WHERE name = 'ticks'";
    match tx.query_one(sql, [], |row| Ok(row.get::<_, i64>(0)?))? {
        Some(noted) if noted != ticks => {
            report.find(name, format!("it has {ticks} ticks where {noted} were stored"));
        }
        Some(_) => {}
        None => report.find(name, "it does not say how many ticks were stored"),
    }
    Ok(ticks as u64)
}
