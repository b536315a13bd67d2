//! Copies that were proven: SQLite's online backup to a temporary name, verified, renamed.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::backup_records::Kept;
use super::connect;
use super::failure::{At, BUSY_TIMEOUT};
use super::files::{sync_folder, sync_name};
use super::paths::{beside, folder_of};
use super::progress::Progress;
use super::temporary::{Temporary, remove_leftovers};
use super::{Database, reading, schema, upgrades};
use crate::error::{Error, Result};

/// Pages copied at a time, between two calls of the progress function.
const STEP_PAGES: i32 = 2048;

/// A backup that was made and verified.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BackupReport {
    /// The copy.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Tables and their rows, counted in the copy and found equal to the source's snapshot.
    pub rows: Vec<(String, u64)>,
    /// Older backups that retention removed after this one was verified.
    pub removed: Vec<PathBuf>,
}

impl Database {
    /// Copies a snapshot of the live file to `target`, which must not exist, and verifies it there
    /// before it gets its name.
    ///
    /// # Errors
    /// [`Error::Exists`] if `target` is there; [`Error::Io`] or [`Error::Corrupt`] if the copy
    /// cannot be made or proven. In each case no file of that name is left. [`Error::DurabilityUnknown`]: the copy is
    /// there and proven.
    pub fn backup(&self, target: impl AsRef<Path>) -> Result<BackupReport> {
        self.backup_with(target.as_ref(), &mut |_, _| Ok(()))
    }

    /// As [`backup`](Self::backup); `progress` gets pages done and in all, and stops the backup
    /// by returning an error.
    ///
    /// # Errors
    /// As [`backup`](Self::backup), and the error of `progress`.
    pub fn backup_with(&self, target: &Path, progress: &mut Progress<'_>) -> Result<BackupReport> {
        if target.exists() {
            return Err(is_there(target));
        }
        let report = self.with_reader("backing up", |conn| {
            copy(conn, self.path(), target, &|_| Ok(()), progress)?.name(target, false)
        })?;
        sync_name(target)?;
        Ok(report)
    }

    /// As [`backup`](Self::backup); with `replace`, a file may have the name already. `before` gets the proven copy under
    /// its temporary name, and its size in bytes. The name is the caller's to sync.
    pub(super) fn backup_as(
        &self,
        target: &Path,
        replace: bool,
        before: &mut dyn FnMut(&Path, u64) -> Result<()>,
    ) -> Result<BackupReport> {
        if !replace && target.exists() {
            return Err(is_there(target));
        }
        self.with_reader("backing up", |conn| {
            let copied = copy(conn, self.path(), target, &|_| Ok(()), &mut |_, _| Ok(()))?;
            before(copied.temporary.path(), copied.size_bytes)?;
            copied.name(target, replace)
        })
    }
}

pub(super) fn is_there(target: &Path) -> Error {
    exists(target, "choose another name for the backup")
}

fn exists(target: &Path, hint: &'static str) -> Error {
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let location = folder_of(target).display().to_string();
    Error::Exists { what: format!("{name:?}"), location, hint }
}

/// A copy that is verified and synced, and has no name yet.
struct Copied {
    temporary: Temporary,
    size_bytes: u64,
    rows: Vec<(String, u64)>,
}

impl Copied {
    /// Gives it its name, which is the caller's to sync.
    fn name(self, target: &Path, replace: bool) -> Result<BackupReport> {
        if replace {
            self.temporary.rename(target)?;
        } else if !self.temporary.rename_new(target)? {
            return Err(is_there(target));
        }
        let (path, size_bytes, rows) = (target.to_owned(), self.size_bytes, self.rows);
        Ok(BackupReport { path, size_bytes, rows, removed: Vec::new() })
    }
}

/// Copies to a temporary file beside `target` and verifies; `guard` looks at the snapshot first and may refuse it.
fn copy(
    source: &Connection,
    location: &Path,
    target: &Path,
    guard: &dyn Fn(&Connection) -> Result<()>,
    progress: &mut Progress<'_>,
) -> Result<Copied> {
    let mut work = || -> Result<Copied> {
        remove_leftovers(folder_of(target));
        let temporary = Temporary::file(target)?;
        // Inside a read transaction the copy is one snapshot, and no other writer restarts it.
        source.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1;")?;
        let rows = (|| {
            guard(source)?;
            copy_pages(source, temporary.path(), progress)?;
            count_rows(source)
        })();
        source.execute_batch("ROLLBACK")?;
        let rows = rows?;
        prove(temporary.path(), &rows)?;
        let file = temporary.handle();
        let size = file.sync_all().and_then(|()| file.metadata());
        let size = size.map_err(|e| Error::io(temporary.path(), "syncing it", &e))?;
        Ok(Copied { temporary, size_bytes: size.len(), rows })
    };
    work().at(location, "backing up")
}

fn copy_pages(source: &Connection, target: &Path, progress: &mut Progress<'_>) -> Result<()> {
    use rusqlite::backup::{Backup, StepResult};
    // It is there already, and no link: SQLite refuses one anywhere in the path.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let folder = folder_of(target);
    let folder = folder.canonicalize().map_err(|e| Error::io(folder, "looking for it", &e))?;
    let location = folder.join(target.file_name().unwrap_or_default());
    let mut copy = Connection::open_with_flags(location, flags).at(target, "creating the copy")?;
    let backup = Backup::new(source, &mut copy)?;
    loop {
        let step = backup.step(STEP_PAGES).at(target, "writing the copy")?;
        let done = backup.progress();
        let all = done.pagecount as u64;
        progress(all - done.remaining as u64, all)?;
        super::interruption::check("backing up")?;
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn count_rows(conn: &Connection) -> Result<Vec<(String, u64)>> {
    let mut statement = conn.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' \
         ORDER BY name",
    )?;
    let names = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let count = |name: String| {
        let sql = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
        let rows = conn.query_row(&sql, [], |row| row.get::<_, i64>(0))?;
        Ok((name, rows as u64))
    };
    names.into_iter().map(count).collect()
}

/// Checks a copy that nobody else knows yet.
fn prove(path: &Path, expected: &[(String, u64)]) -> Result<()> {
    let corrupt = |why: String| Error::Corrupt {
        location: path.display().to_string(),
        what: "the copy".into(),
        why,
    };
    let conn = open_at_rest(path)?;
    let check: String = conn
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .at(path, "checking the copy")?;
    if check != "ok" {
        return Err(corrupt(check));
    }
    let found = count_rows(&conn).at(path, "counting the rows of the copy")?;
    if found != expected {
        return Err(corrupt(format!("it has rows {found:?} where the source has {expected:?}")));
    }
    Ok(())
}

/// Opens a copy that nobody writes, for reading alone: nothing is made beside it.
pub(super) fn open_at_rest(path: &Path) -> Result<Connection> {
    reading::check_is_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", connect::percent_encode(path));
    let conn = Connection::open_with_flags(uri, flags).at(path, "opening the copy")?;
    conn.pragma_update(None, "trusted_schema", false).at(path, "opening the copy")?;
    connect::allow_interruption(&conn).at(path, "opening the copy")?;
    Ok(conn)
}

/// The automatic backup before an old file is changed, as `run.db.before-simulation-v1`.
pub(super) fn before_migration(
    conn: &Connection,
    path: &Path,
    store: &str,
    version: i64,
) -> Result<()> {
    let name = format!(".before-{store}-v{version}");
    let rows = count_rows(conn).at(path, "backing up")?;
    let mut target = beside(path, &name);
    for number in 2.. {
        if !target.exists() {
            break;
        }
        if is_copy(&target, &rows) {
            return sync_folder(folder_of(&target)); // an earlier try, or another process, has made it
        }
        target = beside(path, &format!("{name}-{number}")); // somebody else's, or of another time
    }
    // Another process may have made the backup and changed the file since we looked: its copy is the
    // one of the old file, and must stay.
    let overtaken = Cell::new(false);
    let still_old = |conn: &Connection| {
        let owner = |row: &rusqlite::Row<'_>| row.get::<_, i32>(0);
        let old = match version {
            0 => conn.pragma_query_value(None, "application_id", owner)? != schema::APPLICATION_ID,
            _ => schema::version(conn, store)? == version,
        };
        overtaken.set(!old);
        if old { Ok(()) } else { Err(Error::Interrupted { action: "backing up" }) }
    };
    let copied = copy(conn, path, &target, &still_old, &mut |_, _| Ok(()));
    match copied.and_then(|copied| copied.name(&target, false)) {
        // Before the file is changed, the copy's name is on the disk.
        Ok(_) => sync_folder(folder_of(&target)),
        // Two processes at once: the second finds the name taken by an equal copy.
        Err(_) if overtaken.get() || target.exists() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a file is a whole database with these rows.
fn is_copy(path: &Path, rows: &[(String, u64)]) -> bool {
    prove(path, rows).is_ok()
}

/// Puts a backup in place of `target`, verified first. Without `overwrite` an existing file is
/// refused; with it the file's whole content is replaced in one transaction, through SQLite, so that
/// other processes that have it open see either the old or the new. The file stays the one that it was, with the backups that
/// were made of it; a new one is a file of its own and has none.
///
/// # Errors
/// [`Error::Exists`], [`Error::NotOurs`], [`Error::Corrupt`]; `target` is as it was.
pub fn restore(
    source: impl AsRef<Path>,
    target: impl AsRef<Path>,
    overwrite: bool,
) -> Result<BackupReport> {
    let (source, target) = (source.as_ref(), target.as_ref());
    let from = Database::builder(source).upgrade(upgrades()).open_read_only()?;
    let report = from.verify()?;
    if let Some(finding) = report.findings.first() {
        return Err(Error::Corrupt {
            location: source.display().to_string(),
            what: finding.location.clone(),
            why: finding.what.clone(),
        });
    }
    if !target.exists() {
        return from.backup(target);
    }
    if !overwrite {
        return Err(exists(target, "pass overwrite (--overwrite) to replace it"));
    }
    // Refuses what is not ours, and checkpoints its log.
    let kept = Kept::of(&Database::builder(target).upgrade(upgrades()).open()?)?;
    from.with_reader("restoring", |conn| {
        conn.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1;")?;
        let rows = (|| {
            let rows = count_rows(conn)?;
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
            let mut copy = Connection::open_with_flags(target, flags)?;
            copy.busy_timeout(BUSY_TIMEOUT)?;
            let backup = rusqlite::backup::Backup::new(conn, &mut copy)?;
            backup.run_to_completion(STEP_PAGES, Duration::from_millis(1), None)?;
            drop(backup);
            // The content has come. Without its records the file is taken for a copy, and no backup is removed.
            if let Some(kept) = &kept
                && schema::is_ours(&copy)?
                && let Err(error) = kept.put_back(&copy)
            {
                tracing::warn!(path = %target.display(), %error, "the file has forgotten its backups");
            }
            Ok(rows)
        })();
        conn.execute_batch("ROLLBACK")?;
        rows
    })
    .and_then(|rows| {
        sync_name(target)?;
        let size = std::fs::metadata(target).map_err(|e| Error::io(target, "looking at it", &e))?;
        let path = target.to_owned();
        Ok(BackupReport { path, size_bytes: size.len(), rows, removed: Vec::new() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a process that comes too late, when another has backed up and changed the file already,
    /// does not put a copy of the changed file under the name that promises the old one.
    #[test]
    fn a_backup_before_a_migration_is_never_of_the_migrated_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.db");
        drop(Database::builder(&path).open().unwrap());
        let conn = Connection::open(&path).unwrap();
        let sql = "INSERT INTO siltstone_schema (store, version) VALUES ('simulation', 2)";
        conn.execute_batch(sql).unwrap();
        let made = |version| {
            before_migration(&conn, &path, "simulation", version).unwrap();
            beside(&path, &format!(".before-simulation-v{version}")).exists()
        };
        assert_eq!([made(0), made(1), made(2)], [false, false, true]);
        let names = std::fs::read_dir(folder.path()).unwrap().flatten();
        assert!(names.into_iter().all(|e| !e.file_name().to_string_lossy().contains("partial")));
    }
}
