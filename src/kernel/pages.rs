//! Larger pages for a file that turns out to hold large values.
//!
//! A value that is larger than a page lies in a chain of them, and each is read and written by a
//! call of its own. But each page that a commit touches is written whole, so small values want small
//! pages. What a file will hold is known only after the first writes: so a file begins with small
//! pages and is written anew, once, while it is still small.

use rusqlite::Connection;

use super::connect::{enter_wal, set_log_size, without_waiting};
use super::database::Database;
use super::failure::At;
use crate::error::Result;

/// Larger files are left as they are.
const MOST_BYTES: i64 = 8 << 20;

impl Database {
    /// Gives the file pages of `bytes` if it is still small and nobody else has it open; whether it
    /// was done. The file is written anew in one step: a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the log cannot be turned on again; what was acknowledged is
    /// in the file.
    pub(crate) fn enlarge_pages(&self, bytes: u32) -> Result<bool> {
        let wal_bytes = self.wal_bytes();
        let enlarge = |conn: &Connection| {
            let number = |name: &str| conn.pragma_query_value(None, name, |row| row.get(0));
            let (size, count): (i64, i64) = (number("page_size")?, number("page_count")?);
            if size >= i64::from(bytes) || size * count > MOST_BYTES {
                return Ok(false);
            }
            self.close_idle_readers();
            // The page size is fixed while there is a log, and only the last connection can end it.
            let left = without_waiting(|| leave_wal(conn));
            let written = match left {
                Ok(true) => write_anew(conn, bytes),
                Ok(false) => return Ok(false),
                Err(error) => Err(error),
            };
            enter_wal(conn, self.path())?;
            set_log_size(conn, wal_bytes)?;
            if let Err(error) = &written {
                tracing::debug!(%error, bytes, "larger pages");
            }
            Ok(written.is_ok())
        };
        self.writer()?.maintain(enlarge).at(self.path(), "giving it larger pages")
    }
}

/// Ends the log; whether it could be done.
fn leave_wal(conn: &Connection) -> rusqlite::Result<bool> {
    conn.pragma_update(None, "synchronous", "FULL")?;
    let mode =
        conn.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0));
    match mode {
        Ok(mode) => Ok(mode == "delete"),
        Err(error) if super::connect::is_busy(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_anew(conn: &Connection, page_bytes: u32) -> rusqlite::Result<()> {
    conn.pragma_update(None, "page_size", page_bytes)?;
    conn.execute_batch("VACUUM")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_size(db: &Database) -> i64 {
        let size =
            |conn: &Connection| Ok(conn.pragma_query_value(None, "page_size", |r| r.get(0))?);
        db.writer().unwrap().maintain(size).unwrap()
    }

    fn fill(db: &Database) {
        db.write(|tx| {
            tx.execute("CREATE TABLE t(x BLOB)", [])?;
            tx.execute("INSERT INTO t VALUES (randomblob(50000))", []).map(drop)
        })
        .unwrap();
    }

    fn count(db: &Database) -> i64 {
        let sql = "SELECT count(*) FROM t WHERE length(x) = 50000";
        db.read(|tx| tx.query_one(sql, [], |row| Ok(row.get(0)?))).unwrap().unwrap()
    }

    /// Goal: a file gets its larger pages once, with all that is in it, and goes on in the log.
    #[test]
    fn a_small_file_gets_larger_pages() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path().join("a.db")).open().unwrap();
        fill(&db);
        assert_eq!(count(&db), 1); // leaves an idle reader behind
        assert!(db.enlarge_pages(16384).unwrap());
        assert!(!db.enlarge_pages(16384).unwrap(), "it has them already");
        assert_eq!((page_size(&db), count(&db)), (16384, 1));
        let mode = |conn: &Connection| {
            Ok(conn.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))?)
        };
        assert_eq!(db.writer().unwrap().maintain(mode).unwrap(), "wal");
        db.write(|tx| tx.execute("INSERT INTO t VALUES (randomblob(50000))", []).map(drop))
            .unwrap();
        assert_eq!(count(&db), 2);
        assert!(db.verify().unwrap().is_ok());
    }

    /// Goal: somebody who has the file open is not disturbed, and writing goes on.
    #[test]
    fn a_file_that_others_have_open_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let db = Database::builder(&path).open().unwrap();
        fill(&db);
        let other = Database::builder(&path).open_read_only().unwrap();
        assert_eq!(count(&other), 1);
        assert!(!db.enlarge_pages(16384).unwrap());
        assert_eq!(page_size(&db), 4096);
        db.write(|tx| tx.execute("INSERT INTO t VALUES (randomblob(50000))", []).map(drop))
            .unwrap();
        assert_eq!((count(&db), count(&other)), (2, 2));
    }
}
