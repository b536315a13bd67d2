//! Backups that a file has written down, in their order, and those of them that may go.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use xxhash_rust::xxh3::Xxh3;

// A backup says which records go with it; the records make the backups that retention may remove.
use super::backup::{self, BackupReport};
use super::clock::now_ns;
use super::connect;
use super::failure::At;
use super::files::{create_folder, sync_name};
use super::paths::beside;
use super::{Database, interruption, reading, schema};
use crate::error::{Error, Result};

/// Which of the backups in a folder retention keeps: the newest so many of those whose names count.
pub(crate) type Keep<'a> = (usize, &'a dyn Fn(&str) -> bool);

/// A backup as the file has it written down.
struct Record {
    number: i64,
    folder: String,
    name: String,
    size_bytes: i64,
    checksum: Option<Vec<u8>>,
}

/// What lies where a backup was put.
enum Found {
    /// The backup, as it was made.
    Whole,
    /// Something else, or a backup that was written to.
    Other,
    /// Somebody has it open, or has left a log.
    InUse,
    Nothing,
}

impl Database {
    /// Makes a backup in `folder` under a name of its own, and keeps the newest `keep` of those that this very file has
    /// written down, in the order in which they were made. A backup that was written to since, or that is not of this
    /// file, is left; so is each other file.
    ///
    /// # Errors
    /// As [`backup`](Self::backup): then there is no file of it. Nothing is removed before the new backup is
    /// verified; if an old one cannot be removed, the new one is there and written down, and so it is with
    /// [`Error::DurabilityUnknown`], which removes none.
    pub fn backup_into(&self, folder: impl AsRef<Path>, keep: usize) -> Result<BackupReport> {
        let folder = folder.as_ref();
        create_folder(folder, true)?;
        let folder = folder.canonicalize().map_err(|e| Error::io(folder, "looking for it", &e))?;
        let stem = self.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut created_ns = now_ns();
        loop {
            let target = folder.join(format!("{stem}-{created_ns}.db"));
            match self.backup_recorded(&target, false, Some((keep, &|_| true))) {
                Err(Error::Exists { .. }) => created_ns += 1, // the clock was set back
                done => return done,
            }
        }
    }

    /// As [`backup`](Self::backup), written down in the database; with `keep`, those that do not stay are removed. With
    /// `replace`, the file that has the name already may be one that is written down.
    pub(crate) fn backup_recorded(
        &self,
        target: &Path,
        replace: bool,
        keep: Option<Keep<'_>>,
    ) -> Result<BackupReport> {
        if !replace && target.exists() {
            return Err(backup::is_there(target));
        }
        let (uuid, number) = self.begin_backup()?;
        let [folder, name] = [target.parent(), target.file_name().map(Path::new)]
            .map(|part| part.unwrap_or(Path::new("")).to_string_lossy().into_owned());
        let mut may_replace = false;
        let is_it = |r: &Record| r.folder == folder && r.name == name;
        for known in self.records()?.iter().filter(|r| replace && is_it(r)) {
            may_replace |= matches!(known.check(target, &uuid)?, Found::Whole);
        }
        let record = |size: i64, checksum: &[u8], is_named: bool| {
            let (target, folder, name) = (target.to_owned(), folder.clone(), name.clone());
            let checksum = checksum.to_owned();
            self.write(move |tx| {
                if !is_named && !may_replace && target.exists() {
                    return Err(backup::is_there(&target)); // another process was faster
                }
                let sql = "INSERT OR REPLACE INTO siltstone_backup VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
                tx.execute(sql, (number, &folder, &name, now_ns(), size, &checksum))?;
                if is_named {
                    let sql = "DELETE FROM siltstone_backup \
                        WHERE folder = ?1 AND name = ?2 AND number < ?3";
                    tx.execute(sql, (&folder, &name, number))?;
                }
                Ok(())
            })
        };
        // Before it has its name: so there is no backup without a record, wherever the process is killed. One that is
        // replaced keeps its own record until it is.
        let mut sum = Vec::new();
        let made = self.backup_as(target, may_replace, &mut |copy, size| {
            sum = checksum(copy)?;
            record(size as i64, &sum, false)
        });
        let mut report = made.inspect_err(|_| {
            let _ = self.forget_backup(number); // the first error is the one to report
        })?;
        // Once more: another process may have dropped the record while it had no file.
        record(report.size_bytes as i64, &sum, true).inspect_err(|_| {
            if !may_replace && fs::remove_file(target).is_ok() {
                let _ = self.forget_backup(number);
            }
        })?;
        sync_name(target)?;
        let Some((keep, counts)) = keep else { return Ok(report) };
        // One with a higher number is another process's, and newer.
        let is_older = |r: &Record| r.number < number && r.folder == folder && counts(&r.name);
        // One that is not there replaces no other.
        let mut others = keep.max(1) - 1;
        let mut kept = Vec::new();
        for old in self.records()?.into_iter().filter(is_older) {
            let is_there = |path: PathBuf| fs::symlink_metadata(path).is_ok();
            if kept.contains(&old.name) {
                continue; // a kill left two records of one name
            } else if others > 0 && old.beside(target).is_some_and(is_there) {
                others -= 1;
                kept.push(old.name);
            } else {
                report.removed.extend(self.remove_backup(&old, target, &uuid)?);
            }
        }
        Ok(report)
    }

    fn forget_backup(&self, number: i64) -> Result<usize> {
        self.write(move |tx| tx.execute("DELETE FROM siltstone_backup WHERE number = ?1", [number]))
    }

    /// Removes an old backup that lies beside the new one; its path if it was there, and as it was made.
    fn remove_backup(&self, old: &Record, new: &Path, uuid: &[u8]) -> Result<Option<PathBuf>> {
        let Some(path) = old.beside(new) else {
            self.forget_backup(old.number)?;
            return Ok(None);
        };
        let found = old.check(&path, uuid)?;
        match found {
            Found::Whole => match fs::remove_file(&path) {
                // Another process has just done it.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(|e| Error::io(&path, "removing the old backup", &e))?,
            },
            Found::Nothing => {}
            Found::Other => {
                let name = &old.name;
                tracing::warn!(
                    name,
                    "not a backup of this file, or one that has changed: it is left"
                );
            }
            Found::InUse => {
                tracing::warn!(path = %path.display(), "a backup is in use, and left until it is not");
                return Ok(None);
            }
        }
        self.forget_backup(old.number)?;
        Ok(matches!(found, Found::Whole).then_some(path))
    }

    /// The uuid of this file and the number of a backup that begins. If the file is a copy of the one that its tables speak
    /// of, it gets a uuid of its own, and knows no backups: those are the other's.
    fn begin_backup(&self) -> Result<(Vec<u8>, i64)> {
        let identity = identity(self.path());
        self.write(move |tx| {
            schema::ensure_backup_table(tx.connection())?;
            let other = "DELETE FROM siltstone_file WHERE ?1 IS NULL OR identity IS NOT ?1";
            if tx.execute(other, [&identity])? > 0 {
                tx.execute("DELETE FROM siltstone_backup", [])?;
            }
            let new = "INSERT INTO siltstone_file SELECT randomblob(16), ?1, \
                coalesce((SELECT max(number) FROM siltstone_backup), 0) \
                WHERE NOT EXISTS (SELECT 1 FROM siltstone_file)";
            tx.execute(new, [&identity])?;
            let next = "UPDATE siltstone_file SET backups = backups + 1 RETURNING uuid, backups";
            let next = tx.query_one(next, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(next.expect("the row was made above"))
        })
    }

    /// The backups that this file has written down, the newest first.
    pub(crate) fn recorded_backups(&self) -> Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for record in self.records()? {
            let path = Path::new(&record.folder).join(&record.name);
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    fn records(&self) -> Result<Vec<Record>> {
        let identity = identity(self.path());
        let sql = "SELECT number, folder, name, size_bytes, checksum FROM siltstone_backup \
            WHERE EXISTS (SELECT 1 FROM siltstone_file WHERE identity = ?1) ORDER BY number DESC";
        self.read(|tx| {
            if !schema::table_exists(tx, "siltstone_file")? {
                return Ok(Vec::new());
            }
            tx.query(sql, [&identity], |row| {
                Ok(Record {
                    number: row.get(0)?,
                    folder: row.get(1)?,
                    name: row.get(2)?,
                    size_bytes: row.get(3)?,
                    checksum: row.get(4)?,
                })
            })
        })
    }
}

impl Record {
    /// Where it is, in the folder of another. A record may come from anywhere: its name is no way out of the folder.
    fn beside(&self, other: &Path) -> Option<PathBuf> {
        let is_bare = Path::new(&self.name).file_name().is_some_and(|name| name == &*self.name);
        is_bare.then(|| other.with_file_name(&self.name))
    }

    /// What is there in its place, by its content.
    fn check(&self, path: &Path, uuid: &[u8]) -> Result<Found> {
        let is_gone =
            || matches!(fs::symlink_metadata(path), Err(e) if e.kind() == io::ErrorKind::NotFound);
        match self.found(path, uuid) {
            // It was not there, or another process has removed it since.
            Err(_) if is_gone() => Ok(Found::Nothing),
            found => found,
        }
    }

    fn found(&self, path: &Path, uuid: &[u8]) -> Result<Found> {
        let there = fs::symlink_metadata(path).map_err(|e| Error::io(path, "looking at it", &e))?;
        if !there.is_file() || there.len() as i64 != self.size_bytes {
            return Ok(Found::Other);
        }
        connect::tidy(path);
        if beside(path, "-wal").exists() {
            return Ok(Found::InUse);
        }
        let is_it = Some(checksum(path)?) == self.checksum && is_of(path, uuid, self.number)?;
        Ok(if is_it { Found::Whole } else { Found::Other })
    }
}

/// Whether a file is a database that a file of this uuid was when it had begun so many backups.
fn is_of(path: &Path, uuid: &[u8], number: i64) -> Result<bool> {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    let conn = backup::open_at_rest(path)?;
    let sql = "SELECT 1 FROM pragma_application_id, siltstone_file \
        WHERE application_id = ?1 AND uuid = ?2 AND backups >= ?3";
    match conn.prepare(sql).and_then(|mut s| s.exists((schema::APPLICATION_ID, uuid, number))) {
        Ok(found) => Ok(found),
        // It has no such table, or is no database.
        #[cfg(feature = "bundled")]
        Err(rusqlite::Error::SqlInputError { .. }) => Ok(false),
        Err(e)
            if matches!(e.sqlite_error_code(), Some(NotADatabase | DatabaseCorrupt | Unknown)) =>
        {
            Ok(false)
        }
        Err(e) => Err(e).at(path, "looking at a backup"),
    }
}

/// XXH3 of all of a file.
fn checksum(path: &Path) -> Result<Vec<u8>> {
    let mut file = reading::open_file(path)?;
    let (mut hash, mut bytes) = (Xxh3::new(), vec![0; 1 << 20]);
    loop {
        interruption::check("backing up")?;
        match file.read(&mut bytes).map_err(|e| Error::io(path, "reading it", &e))? {
            0 => return Ok(hash.digest128().to_be_bytes().to_vec()),
            n => hash.update(&bytes[..n]),
        }
    }
}

/// What tells a file from its copies, for as long as it exists and whatever it is called: the number that the file
/// system gave it, and when it was made, or on which device. `None` where that is not known.
fn identity(path: &Path) -> Option<String> {
    let file = fs::metadata(path).ok()?;
    let born = file.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some(match born {
            Some(born) => format!("{} born {}", file.ino(), born.as_nanos()),
            None => format!("{} on {}", file.ino(), file.dev()),
        })
    }
    #[cfg(not(unix))]
    born.map(|born| format!("born {}", born.as_nanos()))
}

/// Which file it is and its backups, while its content is replaced.
pub(super) struct Kept([Vec<Vec<Value>>; 2]);

const KEPT: [&str; 2] = ["siltstone_file", "siltstone_backup"];

impl Kept {
    /// `None` if the file has no tables of that.
    pub(super) fn of(db: &Database) -> Result<Option<Self>> {
        db.read(|tx| {
            if !schema::table_exists(tx, KEPT[0])? {
                return Ok(None);
            }
            let rows = |table| {
                tx.query(&format!("SELECT * FROM {table}"), [], |row| {
                    (0..row.as_ref().column_count()).map(|at| Ok(row.get(at)?)).collect()
                })
            };
            Ok(Some(Kept([rows(KEPT[0])?, rows(KEPT[1])?])))
        })
    }

    /// Puts both back, in place of those that came with the content.
    pub(super) fn put_back(&self, conn: &Connection) -> Result<()> {
        schema::in_transaction(conn, || {
            schema::ensure_backup_table(conn)?;
            for (table, rows) in KEPT.iter().zip(&self.0) {
                conn.execute(&format!("DELETE FROM {table}"), [])?;
                for row in rows {
                    let placeholders = vec!["?"; row.len()].join(", ");
                    let sql = format!("INSERT INTO {table} VALUES ({placeholders})");
                    conn.execute(&sql, params_from_iter(row))?;
                }
            }
            Ok(())
        })
    }
}
