//! How long a value of a user's statement may be: what SQL makes can be a thousand times as long as what it reads.

use std::cell::Cell;

use rusqlite::Connection;
use rusqlite::limits::Limit;

thread_local! {
    static MOST: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Puts the limit of an outer call back, also after a panic.
struct Outer(Option<usize>);

impl Drop for Outer {
    fn drop(&mut self) {
        MOST.set(self.0);
    }
}

/// Runs `work`; statements of [`Database::sql`](crate::Database::sql) and its kin that it runs in this thread neither make nor
/// read a text or a blob of more than so many bytes, nor a row of more than that. One that would ends with
/// [`Error::Invalid`](crate::Error::Invalid): for a program that runs SQL of others in a bounded part of memory.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let db = siltstone::Database::builder(folder.path().join("run.db")).open()?;
/// let vast = || db.sql("SELECT zeroblob(5000000)");
/// assert!(siltstone::with_value_limit(1 << 20, vast).is_err());
/// assert!(vast().is_ok());
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn with_value_limit<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let _outer = Outer(MOST.replace(Some(bytes)));
    work()
}

/// Sets the limit of this thread, if it has one, for the statement that a connection of its own is to run.
pub(super) fn apply(conn: &Connection) -> rusqlite::Result<()> {
    if let Some(bytes) = MOST.get() {
        // SQLite takes no more than it was built for.
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes)?;
    }
    Ok(())
}

/// The limit in words.
pub(super) fn in_words() -> String {
    match MOST.get() {
        Some(bytes) => format!("at most {bytes} bytes, the limit of this statement"),
        None => "at most 10^9 bytes, as SQLite has one row".to_owned(),
    }
}
