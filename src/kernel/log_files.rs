//! The log of a database and the index of that, which lie beside it: whether they are still those that were opened.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::connect::without_waiting;
use super::paths::{beside, identity};
// Methods of the writer, here because they are about its log.
use super::writer::{Core, Writer};
use crate::error::{Error, Result};

const MOVED: &str = "had its log (-wal) removed since it was opened; nothing was written, and what was acknowledged \
    before was moved into the file: open it anew";
const LOST: &str = "had its log (-wal, -shm) removed or replaced since it was opened; nothing is written, and what was \
    acknowledged before may be lost: open it anew and verify it";

/// The log and its index.
pub(super) type Log = [Option<(u64, u64)>; 2];

/// Where they lie beside a database.
pub(super) fn log_names(path: &Path) -> [PathBuf; 2] {
    ["-wal", "-shm"].map(|suffix| beside(path, suffix))
}

/// Which files these are now; `None` without a log.
pub(super) fn log_of(names: &[PathBuf; 2]) -> Option<Log> {
    let [log, index] = names;
    identity(log).map(|log| [Some(log), identity(index)])
}

impl Writer {
    /// Refuses to write into a log that lost its name: whoever opens the file next does not see it. What is in it already is
    /// moved into the file, which needs no name.
    pub(super) fn check_log(&self, core: &mut Core) -> Result<()> {
        let now = log_of(&self.log_names);
        if core.log.is_none() || now == core.log {
            core.log = now;
            return Ok(());
        }
        core.roll_back();
        // Nor when it is closed: by then others may have written.
        core.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let why = *self.cut_off.get_or_init(|| {
            // A log that others have begun has other pages at the same places, and is counted in the same index.
            let is_alone = now.is_none();
            match is_alone && without_waiting(|| move_log(&core.conn)).unwrap_or(false) {
                true => MOVED,
                false => LOST,
            }
        });
        Err(Error::Closed { what: self.path.display().to_string(), why })
    }
}

/// Moves what is in the log into the file; whether that was all.
fn move_log(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let (busy, frames, moved): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy == 0 && frames == moved)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Database, connect};

    /// Goal: a connection that has just made a file holds its log: another process that writes and goes does not take the log
    /// along, which would look as if somebody had removed it.
    #[test]
    fn a_new_connection_holds_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.db");
        let (_own, _) = connect::writer(&Database::builder(&path)).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE theirs (a INTEGER)").unwrap();
        let names = log_names(&path);
        let log = log_of(&names);
        drop(other);
        assert!(log.is_some() && log_of(&names) == log);
    }
}
