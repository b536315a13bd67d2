//! The file that an import or a merge makes if it is not there.

use std::path::{Path, PathBuf};

use super::Database;
use super::paths::beside;

/// A file that is removed again if the work that made it put nothing in.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("new.db");
/// let made = siltstone::NewFile::at(&path);
/// drop(siltstone::Database::builder(&path).open()?);
/// made.remove_if_empty(&["simulations"]);
/// assert!(!path.exists());
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    is_new: bool,
}

impl NewFile {
    /// Before the file is opened.
    pub fn at(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        NewFile { is_new: !path.exists(), path }
    }

    /// The work has ended and closed the file. It is removed if it was not there, and none of these tables has a row.
    pub fn remove_if_empty(self, tables: &[&str]) {
        if !self.is_new || !self.path.is_file() || !self.is_empty(tables) {
            return;
        }
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(beside(&self.path, suffix)); // an empty database does no harm
        }
    }

    fn is_empty(&self, tables: &[&str]) -> bool {
        let Ok(db) = Database::builder(&self.path).open_read_only() else { return false };
        let is_there = |table: &str| {
            let sql =
                format!("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{table}'");
            db.sql(&sql).map(|found| found.rows.len())
        };
        let is_empty = |table: &&str| match is_there(table) {
            Ok(0) => true,
            Ok(_) => {
                let sql = format!("SELECT 1 FROM \"{table}\" LIMIT 1");
                db.sql(&sql).is_ok_and(|found| found.rows.is_empty())
            }
            Err(_) => false,
        };
        tables.iter().all(is_empty)
    }
}
