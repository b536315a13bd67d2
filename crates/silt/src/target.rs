//! The file that an import makes if it is not there.

use std::path::{Path, PathBuf};

use siltstone::Database;

/// A file that is removed again if the import that made it put nothing in.
pub(crate) struct Target {
    path: PathBuf,
    is_new: bool,
}

impl Target {
    /// Before the file is opened.
    pub(crate) fn of(path: &Path) -> Self {
        Target { path: path.to_owned(), is_new: !path.exists() }
    }

    /// The import has ended and closed the file. It is removed if it was made, and none of these tables has a row.
    pub(crate) fn end(self, tables: &[&str]) {
        if !self.is_new || !self.path.is_file() || !self.is_empty(tables) {
            return;
        }
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            let _ = std::fs::remove_file(path); // an empty database does no harm
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
