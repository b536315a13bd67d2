//! The file of a day, and the files of all days.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::calendar::Day;
use super::tables::MIGRATIONS;
use crate::error::{Error, Result};
use crate::kernel::{Database, Durability, FileLock, Profile, create_folder, lock};

/// Day files that stay open for writing, and for reading. To open one takes 2 ms, and three descriptors, of which macOS gives a
/// process 256; those for reading have a small cache each.
const OPEN_WRITERS: usize = 4;
const OPEN_READERS: usize = if cfg!(target_os = "macos") { 32 } else { 128 };
/// Held while a day's file is made or removed.
const LOCK: &str = ".days.lock";
/// Small pages: a commit touches the last page of each symbol, and blocks waste less of the last one.
const PAGE_BYTES: u32 = 1024;

/// The day files of a folder: `YYYY/MM/ticks_YYYY-MM-DD.db`.
#[derive(Debug)]
pub(super) struct Days {
    base: PathBuf,
    durability: Durability,
    busy_timeout: Duration,
    read_only: bool,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    writers: HashMap<Day, (Database, u64)>,
    readers: HashMap<Day, (Database, u64)>,
    clock: u64,
}

impl Days {
    pub(super) fn new(base: &Path, durability: Durability) -> Self {
        let busy_timeout = Duration::from_secs(5);
        let open = Mutex::default();
        Days { base: base.to_owned(), durability, busy_timeout, read_only: false, open }
    }

    /// Waits so long for others who write a day.
    pub(super) fn waiting(self, busy_timeout: Duration) -> Self {
        Days { busy_timeout, ..self }
    }

    /// Files that are read and never written.
    pub(super) fn read_only(base: &Path) -> Self {
        Days { read_only: true, ..Days::new(base, Durability::default()) }
    }

    pub(super) fn path(&self, day: Day) -> PathBuf {
        let date = day.date();
        self.base
            .join(format!("{:04}/{:02}", date.year(), date.month()))
            .join(format!("ticks_{day}.db"))
    }

    /// Another thread holds it while it waits for another process to make or remove a day.
    fn lock(&self) -> Result<MutexGuard<'_, Open>> {
        lock(&self.open, "waiting for a day file to be opened")
    }

    /// The day's file for writing; created if missing.
    pub(super) fn writer(&self, day: Day) -> Result<Database> {
        if self.read_only {
            let what = self.base.display().to_string();
            return Err(Error::Closed { what, why: "was opened for reading only" });
        }
        let mut open = self.lock()?;
        open.clock += 1;
        let now = open.clock;
        let known = open.writers.get_mut(&day).filter(|(db, _)| db.is_at_its_path());
        if let Some((db, used)) = known {
            *used = now;
            return Ok(db.clone());
        }
        // Not while another process removes a day, file by file.
        let _lock = self.lock_files()?;
        let db = Database::builder(self.path(day))
            .durability(self.durability)
            .profile(Profile::Balanced)
            .page_size(PAGE_BYTES)
            .busy_timeout(self.busy_timeout)
            .open()?;
        db.migrate(&MIGRATIONS)?;
        open.readers.remove(&day);
        let oldest = evict(&mut open.writers, OPEN_WRITERS);
        let removed = open.writers.insert(day, (db.clone(), now));
        drop(open); // closing the oldest may take a while
        drop((oldest, removed));
        Ok(db)
    }

    /// Held by whoever makes or removes a day's file.
    fn lock_files(&self) -> Result<FileLock> {
        create_folder(&self.base, true)?;
        FileLock::take(&self.base.join(LOCK), "waiting for a day to be made or removed")
    }

    /// Removes a day's file. Whoever has it open, here or in another process, sees that before his next
    /// write: the file goes while its writers are locked out, and they look for it once they are in.
    /// On Windows it stays, with an error, as long as anybody else has it open.
    pub(super) fn remove(&self, day: Day) -> Result<()> {
        let path = self.path(day);
        if cfg!(windows) {
            // In the order of `writer`; nobody here opens the day meanwhile.
            let mut open = self.lock()?;
            let _lock = self.lock_files()?;
            drop((open.writers.remove(&day), open.readers.remove(&day)));
            return remove_files(&path);
        }
        let db = self.writer(day)?;
        let lock = self.lock_files()?;
        let removed = db.write(move |_| remove_files(&path));
        // Somebody else may have removed it just before.
        let removed = if db.is_at_its_path() { removed } else { Ok(()) };
        drop(lock); // before our own handles are asked for: who holds them may wait for the lock
        drop(db);
        self.close(day);
        removed
    }

    /// The day's file for reading; `None` if there is none.
    pub(super) fn reader(&self, day: Day) -> Result<Option<Database>> {
        let mut open = self.lock()?;
        open.clock += 1;
        let now = open.clock;
        let known = open.writers.get_mut(&day).filter(|(db, _)| db.is_at_its_path());
        if let Some((db, used)) = known {
            *used = now;
            return Ok(Some(db.clone()));
        }
        let known = open.readers.get_mut(&day).filter(|(db, _)| db.is_at_its_path());
        if let Some((db, used)) = known {
            *used = now;
            return Ok(Some(db.clone()));
        }
        drop(open); // opening takes ms, and others open other days
        let path = self.path(day);
        if !path.exists() {
            return Ok(None);
        }
        let db = match Database::builder(&path).profile(Profile::Small).open_read_only() {
            // Somebody is making it just now: nothing is committed there.
            Err(Error::NotOurs { why, .. }) if why == "it is empty" => return Ok(None),
            opened => opened?,
        };
        db.migrate(&MIGRATIONS)?;
        let mut open = self.lock()?;
        let oldest = evict(&mut open.readers, OPEN_READERS);
        let removed = open.readers.insert(day, (db.clone(), now));
        drop(open);
        drop((oldest, removed));
        Ok(Some(db))
    }

    /// Lets the handles to a day go.
    pub(super) fn close(&self, day: Day) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = (open.writers.remove(&day), open.readers.remove(&day));
        drop(open);
        drop(gone);
    }

    /// Lets all handles go.
    pub(super) fn close_all(&self) {
        let gone = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        drop(gone);
    }

    /// The days that have a file, rising.
    pub(super) fn list(&self) -> Result<Vec<Day>> {
        Ok(self.files()?.into_keys().collect())
    }

    /// The day files by day.
    pub(super) fn files(&self) -> Result<BTreeMap<Day, PathBuf>> {
        let mut found = BTreeMap::new();
        for year in numbered(&self.base, 4)? {
            for month in numbered(&year, 2)? {
                for path in entries(&month)? {
                    if let Some(day) = day_of(&path).filter(|day| self.path(*day) == path) {
                        found.insert(day, path);
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Takes out what was used longest ago, to make room for one more.
fn evict(open: &mut HashMap<Day, (Database, u64)>, most: usize) -> Option<(Database, u64)> {
    if open.len() < most {
        return None;
    }
    let oldest = open.iter().min_by_key(|(_, (_, used))| *used).map(|(day, _)| *day)?;
    open.remove(&oldest)
}

/// Removes a day's file and what SQLite has beside it.
fn remove_files(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io(path, "removing it", &e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// There is no such folder.
pub(super) fn no_folder(folder: &Path) -> Error {
    let location = folder.parent().filter(|location| !location.as_os_str().is_empty());
    let location = location.unwrap_or(Path::new(".")).display().to_string();
    Error::NotFound { what: "folder", name: folder.display().to_string(), location }
}

/// The day that a file name says.
pub(super) fn day_of(path: &Path) -> Option<Day> {
    let name = path.file_name()?.to_str()?;
    Day::parse(name.strip_prefix("ticks_")?.strip_suffix(".db")?)
}

/// The entries of a folder in the order of their names; none if it is not there.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = match fs::read_dir(folder) {
        Ok(list) => list,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder, "listing the folder", &error)),
    };
    let mut found = Vec::new();
    for entry in list {
        let entry = entry.map_err(|e| Error::io(folder, "listing the folder", &e))?;
        found.push(entry.path());
    }
    found.sort();
    Ok(found)
}

/// The folders whose names are so many digits.
fn numbered(folder: &Path, digits: usize) -> Result<Vec<PathBuf>> {
    let is = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.len() == digits && name.bytes().all(|b| b.is_ascii_digit()) && path.is_dir()
    };
    Ok(entries(folder)?.into_iter().filter(is).collect())
}
