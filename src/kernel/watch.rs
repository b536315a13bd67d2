//! Whether a file changes.

use rusqlite::Connection;

use super::database::Database;
use crate::error::Result;

/// Tells whether anything was committed to a file, by whatever program. A look costs some microseconds: no row is read.
///
/// # Source
/// SQLite, `PRAGMA data_version`: of one connection it changes if and only if another one has committed.
#[derive(Debug)]
pub struct Watch {
    /// Whose file it is.
    of: Database,
    /// Of its own: so it has one connection, by which nobody writes.
    db: Database,
    seen: Option<i64>,
}

impl Database {
    /// Begins to watch the file.
    ///
    /// # Errors
    /// As [`open_read_only`](crate::Builder::open_read_only). The file stays as it is.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # use siltstone::memory::{MemoryStore, NewLearningEvent};
    /// let db = siltstone::Database::builder(folder.path().join("agent.db")).open()?;
    /// let mut watch = db.watch()?;
    /// assert!(watch.has_changed()?); // nobody has looked so far
    /// assert!(!watch.has_changed()?);
    /// MemoryStore::over(db)?.store_learning_event(NewLearningEvent::new("maze", 0.2, "explore"))?;
    /// assert!(watch.has_changed()?);
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn watch(&self) -> Result<Watch> {
        let db = Database::builder(self.path()).open_read_only()?;
        Ok(Watch { of: self.clone(), db, seen: None })
    }
}

impl Watch {
    /// Whether anything was committed since the last call; true at the first one, and where another file is at the path. What is
    /// read after a call that says no is what was read after the one before.
    ///
    /// # Errors
    /// What SQLite says of a file that is gone or damaged.
    pub fn has_changed(&mut self) -> Result<bool> {
        if !self.of.is_at_its_path() || !self.db.is_at_its_path() {
            return Ok(true);
        }
        let now = self.db.with_reader("watching it", data_version)?;
        Ok(self.seen.replace(now) != Some(now))
    }
}

/// Changes when another connection has committed.
///
/// # Source
/// SQLite, `PRAGMA data_version`.
pub(super) fn data_version(conn: &Connection) -> Result<i64> {
    Ok(conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: who waits for changes of a file that was replaced does not wait for ever.
    #[cfg(unix)]
    #[test]
    fn a_file_that_was_replaced_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["a.db", "b.db"].map(|name| folder.path().join(name));
        let db = Database::builder(&path).open().unwrap();
        Database::builder(&other).open().unwrap().close().unwrap();
        let mut watch = db.watch().unwrap();
        assert_eq!([(); 3].map(|()| watch.has_changed().unwrap()), [true, false, false]);
        std::fs::rename(&other, &path).unwrap();
        assert_eq!([(); 2].map(|()| watch.has_changed().unwrap()), [true, true]);
    }
}
