//! A clock that is set back: what was recorded before lies in the future.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use siltstone::memory::MemoryStore;
use siltstone::{Database, Error};

use super::faults::template;
use super::{Round, files_below};

const KEPT: usize = 2;

pub(super) fn clocks(round: &Round<'_>) {
    for case in 0..round.cases.div_ceil(6) {
        let folder = tempfile::tempdir().unwrap();
        let Some(file) = round.subject.database(folder.path()) else { return };
        template(round.subject, folder.path(), 3);
        let backups = folder.path().join("backups");
        let into = || -> Result<PathBuf, Error> {
            let db = Database::builder(&file).open()?;
            Ok(db.backup_into(&backups, KEPT)?.path)
        };
        round.tried(format!("backup_into, case {case}"), retains(&file, &backups, &into));
        if round.subject.name() == "memory" {
            let beside = || {
                Ok(MemoryStore::open(&file)?.create_backup(None, KEPT)?.path) as Result<_, Error>
            };
            let outcome = retains(&file, folder.path(), &beside);
            round.tried(format!("create_backup, case {case}"), outcome);
        }
    }
}

/// Makes backups, sets the clock back, and makes more: each is there when it is reported, and the last ones stay.
fn retains(
    file: &Path,
    folder: &Path,
    make: &dyn Fn() -> Result<PathBuf, Error>,
) -> Result<(), String> {
    let mut made = Vec::new();
    for n in 0..6 {
        if n == 3 {
            set_back(file, folder)?;
        }
        let path = make().map_err(|error| format!("backup {n}: {error}"))?;
        if !path.exists() {
            return Err(format!("backup {n}, {}, is gone", path.display()));
        }
        made.push(path);
        let there: Vec<bool> = made.iter().map(|path| path.exists()).collect();
        let expected: Vec<bool> = (0..=n).map(|i| i + KEPT > n).collect();
        if there != expected {
            return Err(format!("after backup {n} there are {there:?} of them, not {expected:?}"));
        }
    }
    Ok(())
}

/// Moves what is recorded of backups, and their files, ten years into the future.
fn set_back(file: &Path, folder: &Path) -> Result<(), String> {
    const YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);
    let shift = || -> rusqlite::Result<()> {
        let db = rusqlite::Connection::open(file)?;
        let times = "SELECT name FROM pragma_table_info('siltstone_backup') WHERE name LIKE '%\\_ns' ESCAPE '\\'";
        let times: Vec<String> =
            db.prepare(times)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        assert!(!times.is_empty(), "a backup has a time");
        for time in times {
            let sql = format!("UPDATE siltstone_backup SET {time} = {time} + ?1");
            db.execute(&sql, [YEARS.as_nanos() as i64])?;
        }
        Ok(())
    };
    shift().map_err(|error| error.to_string())?;
    for path in files_below(folder).into_iter().filter(|path| path != file) {
        let opened = std::fs::File::options().write(true).open(&path);
        let moved = opened.and_then(|file| file.set_modified(SystemTime::now() + YEARS));
        moved.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
