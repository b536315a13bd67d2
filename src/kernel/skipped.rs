//! What an import did not take.

use std::fmt;
use std::path::PathBuf;

/// Input that an import skipped, and why: a file, rows of it, or a part of an archive. The rest was imported.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Skipped {
    /// The file or folder; of an archive, the name of the part.
    pub path: PathBuf,
    /// The table of the rows, in a file that has several.
    pub table: Option<String>,
    /// The id of the row, if it is one.
    pub row: Option<i64>,
    /// How many rows; 0 if it is all of the file or part.
    pub rows: u64,
    /// What is wrong, and where; of several rows, with some of them.
    pub reason: String,
}

impl Skipped {
    /// A whole file, or a part of an archive. A reason that begins with the path says it once.
    pub fn new(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        let (path, reason) = (path.into(), reason.to_string());
        let rest = reason.strip_prefix(&format!("{}: ", path.display())).map(str::to_owned);
        Skipped { path, table: None, row: None, rows: 0, reason: rest.unwrap_or(reason) }
    }

    /// So many rows of it alone.
    pub(crate) fn rows(self, rows: u64) -> Self {
        Skipped { rows, ..self }
    }

    /// Of this table.
    pub(crate) fn table(self, table: impl Into<String>) -> Self {
        Skipped { table: Some(table.into()), ..self }
    }

    /// The row of this id alone.
    pub(crate) fn row(self, id: i64) -> Self {
        Skipped { row: Some(id), rows: 1, ..self }
    }
}

impl fmt::Display for Skipped {
    /// `a.db: episodes row 8 skipped: ...`, `a.db: 2 rows of agents skipped: ...`, `t1_0_net.json: skipped: ...`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match (&self.table, self.row, self.rows) {
            (Some(table), Some(row), _) => write!(f, "{path}: {table} row {row} ")?,
            (Some(table), None, 1) => write!(f, "{path}: 1 row of {table} ")?,
            (Some(table), None, rows) => write!(f, "{path}: {rows} rows of {table} ")?,
            (None, ..) => write!(f, "{path}: ")?,
        }
        write!(f, "skipped: {}", self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the line names file, table and row as far as they are known, and the file once.
    #[test]
    fn what_was_skipped_is_a_line() {
        let file = || Skipped::new("a.db", "a.db: a step that is NULL");
        assert_eq!(file().to_string(), "a.db: skipped: a step that is NULL");
        let rows = file().table("agents").rows(2);
        assert_eq!(rows.to_string(), "a.db: 2 rows of agents skipped: a step that is NULL");
        let row = file().table("agents").row(8);
        assert_eq!(row.to_string(), "a.db: agents row 8 skipped: a step that is NULL");
        assert_eq!((row.row, row.rows), (Some(8), 1));
    }
}
