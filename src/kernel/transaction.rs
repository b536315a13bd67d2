//! A write transaction that stays open from call to call.
//!
//! It belongs to the thread that began it: until it ends, whatever that thread writes to the file or reads of it, through
//! any handle, is part of it. Other threads read what was committed, and their writes wait.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

use super::failure::At;
use super::query::{Query, Value, value};
use super::tx::{ReadTx, WriteTx};
use super::writer::{Core, Writer, panicked};
use super::{Database, patience};
use crate::error::{Error, Result};

/// What a thread has open, a file each.
struct Held {
    /// Keeps the file open.
    db: Database,
    writer: Arc<Writer>,
    /// `None` while a call works with it.
    core: Option<Box<Core>>,
    /// Savepoints in it.
    depth: usize,
}

thread_local! {
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut core) = self.core.take() {
            core.roll_back();
            self.writer.core.bring_back(core);
        }
    }
}

/// Whether this thread has a transaction of this file open.
pub(super) fn is_open(writer: &Arc<Writer>) -> bool {
    // A thread that ends has none any more, and may still have files to close.
    let is_open = |all: &RefCell<Vec<Held>>| {
        all.borrow().iter().any(|held| Arc::ptr_eq(&held.writer, writer))
    };
    HELD.try_with(is_open).unwrap_or(false)
}

/// Puts the core back, also after a panic.
struct Lent<'a> {
    writer: &'a Arc<Writer>,
    core: Option<Box<Core>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|all| {
            let held = all.iter_mut().find(|held| Arc::ptr_eq(&held.writer, self.writer));
            held.expect("it stays while it is worked with").core = self.core.take();
        });
    }
}

/// Works with the open transaction of this thread; `None` if there is none.
fn with<T>(writer: &Arc<Writer>, work: impl FnOnce(&mut Core) -> Result<T>) -> Option<Result<T>> {
    let core = HELD.try_with(|all| {
        let mut all = all.borrow_mut();
        let held = all.iter_mut().find(|held| Arc::ptr_eq(&held.writer, writer))?;
        Some(held.core.take())
    });
    let core = core.ok().flatten()?;
    let Some(core) = core else {
        let why = "is being used by the call that this one was made in";
        return Some(Err(Error::Closed { what: "the transaction".into(), why }));
    };
    let mut lent = Lent { writer, core: Some(core) };
    let core = lent.core.as_mut().expect("it was just put there");
    if core.conn.is_autocommit() {
        let why = "was rolled back when a write in it failed; nothing of it is in the file";
        return Some(Err(Error::Closed { what: "the transaction".into(), why }));
    }
    Some(work(core).at(&writer.path, "writing"))
}

/// Runs a job in the open transaction of this thread, in a savepoint of its own: if it fails, the rest of the
/// transaction stays.
pub(super) fn write<T>(
    writer: &Arc<Writer>,
    work: impl FnOnce(&mut WriteTx<'_>) -> Result<T>,
) -> Option<Result<T>> {
    with(writer, |core| {
        run(&core.conn, "SAVEPOINT job")?;
        let mut tx = WriteTx::new(&core.conn, &mut core.memory, &writer.path);
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut tx)));
        drop(tx);
        let result = result.unwrap_or_else(|_| Err(panicked()));
        if result.is_err() {
            core.memory.forget();
            if core.conn.is_autocommit() {
                return result; // SQLite has rolled all of it back
            }
            run(&core.conn, "ROLLBACK TO job")?;
        }
        run(&core.conn, "RELEASE job")?;
        result
    })
}

/// Reads in the open transaction of this thread.
pub(super) fn read<T>(
    writer: &Arc<Writer>,
    work: impl FnOnce(&ReadTx<'_>) -> Result<T>,
) -> Option<Result<T>> {
    with(writer, |core| work(&ReadTx::new(&core.conn)))
}

fn run(conn: &Connection, sql: &str) -> Result<()> {
    conn.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// What an SQL statement did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Executed {
    /// Its rows, if it has any.
    pub found: Query,
    /// Rows that it inserted, changed or removed.
    pub changes: u64,
    /// The id of the row that was inserted last in this transaction.
    pub last_id: i64,
}

impl Database {
    /// Runs `work` in one transaction: all that this thread writes meanwhile, through any handle to the file, is in the file
    /// afterwards, or nothing. In a transaction that is open already it is a part that can fail by itself.
    ///
    /// # Errors
    /// Those of `work`, after which nothing that it wrote is in the file; [`Error::Busy`] if another process writes for too
    /// long.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// use siltstone::memory::{MemoryStore, NewEpisode};
    /// let store = MemoryStore::open(folder.path().join("agent.db"))?;
    /// let failed: siltstone::Result<()> = store.database().transaction(|| {
    ///     store.store_episode(NewEpisode::new(1.0, 0.5, "maze"))?;
    ///     Err(siltstone::Error::Interrupted { action: "thinking" })
    /// });
    /// assert!(failed.is_err());
    /// assert_eq!(store.stats()?.episodes, 0);
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn transaction<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.begin()?;
        let mut open = Open { db: self, done: false };
        let value = work()?;
        open.done = true;
        self.commit()?;
        Ok(value)
    }

    /// Begins a transaction of this thread, or a savepoint in the one that is open: for callers that cannot hand in a
    /// closure to [`transaction`](Self::transaction). A thread that ends rolls back what it has open.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process writes for too long; [`Error::Closed`] for a file that was opened for reading.
    pub fn begin(&self) -> Result<()> {
        let writer = self.writer()?.clone();
        let deeper = with(&writer, |core| run(&core.conn, "SAVEPOINT part"));
        if let Some(begun) = deeper {
            begun?;
            depth(&writer, |depth| *depth += 1);
            return Ok(());
        }
        let mut core = writer.core.take("waiting for another thread's transaction")?;
        let begun = writer.begin(&mut core, self.durability());
        if begun.is_err() {
            core.roll_back();
        }
        begun.at(self.path(), "beginning a transaction")?;
        let core = Some(core.keep());
        let held = Held { db: self.clone(), writer, core, depth: 0 };
        HELD.with_borrow_mut(|all| all.push(held));
        Ok(())
    }

    /// Commits what [`begin`](Self::begin) began last.
    ///
    /// # Errors
    /// [`Error::Closed`] if this thread has none open; otherwise as any write, and all of it is rolled back.
    pub fn commit(&self) -> Result<()> {
        let writer = self.writer()?.clone();
        if deepest(&writer)? > 0 {
            let released = with(&writer, |core| run(&core.conn, "RELEASE part"));
            depth(&writer, |depth| *depth -= 1);
            return released.unwrap_or_else(|| Err(none_open()));
        }
        let committed = with(&writer, |core| writer.commit(core, 1));
        end(&writer); // rolls back what is left of one that failed
        committed.unwrap_or_else(|| Err(none_open()))
    }

    /// Undoes what was written since [`begin`](Self::begin) was called last.
    ///
    /// # Errors
    /// [`Error::Closed`] if this thread has none open.
    pub fn roll_back(&self) -> Result<()> {
        let writer = self.writer()?.clone();
        if deepest(&writer)? == 0 {
            end(&writer);
            return Ok(());
        }
        depth(&writer, |depth| *depth -= 1);
        let undone = with(&writer, |core| {
            core.memory.forget();
            run(&core.conn, "ROLLBACK TO part")?;
            run(&core.conn, "RELEASE part")
        });
        match undone {
            // SQLite has rolled all of it back already.
            Some(Err(Error::Closed { .. })) | None => Ok(()),
            Some(undone) => undone,
        }
    }

    /// Whether this thread has a transaction open.
    pub fn is_in_transaction(&self) -> bool {
        self.writer().is_ok_and(is_open)
    }

    /// Runs one SQL statement in the open transaction of this thread: a caller's own writes to the documented tables.
    ///
    /// # Errors
    /// [`Error::Closed`] if this thread has no transaction open; [`Error::Sqlite`] for a statement that SQLite does not
    /// take, or that would begin, end or leave the transaction, or attach another file. The rest of the transaction stays.
    pub fn execute(&self, sql: &str, params: &[Value]) -> Result<Executed> {
        use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
        let writer = self.writer()?.clone();
        let allow = |context: AuthContext<'_>| match context.action {
            AuthAction::Transaction { .. }
            | AuthAction::Savepoint { .. }
            | AuthAction::Attach { .. }
            | AuthAction::Detach { .. }
            | AuthAction::Pragma { pragma_value: Some(_), .. } => Authorization::Deny,
            _ => Authorization::Allow,
        };
        let executed = write(&writer, |tx| {
            tx.forget(); // it may do anything to what stores remember
            tx.execute_any(sql, params, allow)
        });
        executed.unwrap_or_else(|| Err(none_open()))
    }
}

impl WriteTx<'_> {
    fn execute_any(
        &self,
        sql: &str,
        params: &[Value],
        allow: impl for<'r> FnMut(rusqlite::hooks::AuthContext<'r>) -> rusqlite::hooks::Authorization
        + Send
        + 'static,
    ) -> Result<Executed> {
        let conn = self.connection();
        conn.authorizer(Some(allow))?;
        let prepared = conn.prepare(sql);
        conn.authorizer(
            None::<fn(rusqlite::hooks::AuthContext<'_>) -> rusqlite::hooks::Authorization>,
        )?;
        let mut statement = prepared?;
        let before = conn.total_changes();
        let columns: Vec<String> =
            statement.column_names().into_iter().map(str::to_owned).collect();
        let mut found = Query { columns, rows: Vec::new() };
        let mut rows = statement.query(rusqlite::params_from_iter(params))?;
        while let Some(row) = rows.next()? {
            let cells = (0..found.columns.len()).map(|i| row.get_ref(i).map(value));
            found.rows.push(cells.collect::<Result<_, _>>()?);
            patience::look("running a statement")?;
        }
        drop(rows);
        let changes = conn.total_changes() - before;
        Ok(Executed { found, changes, last_id: conn.last_insert_rowid() })
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(n) => ValueRef::Integer(*n),
            Value::Real(x) => ValueRef::Real(*x),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Rolls back a part that was not brought to its end.
struct Open<'a> {
    db: &'a Database,
    done: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.done
            && let Err(error) = self.db.roll_back()
        {
            tracing::error!(%error, "rolling back a transaction");
        }
    }
}

fn none_open() -> Error {
    Error::Closed { what: "the transaction".into(), why: "is not open in this thread" }
}

fn deepest(writer: &Arc<Writer>) -> Result<usize> {
    depth(writer, |depth| *depth).ok_or_else(none_open)
}

fn depth<T>(writer: &Arc<Writer>, work: impl FnOnce(&mut usize) -> T) -> Option<T> {
    HELD.with_borrow_mut(|all| {
        let held = all.iter_mut().find(|held| Arc::ptr_eq(&held.writer, writer))?;
        Some(work(&mut held.depth))
    })
}

/// Lets go of the transaction; what was not committed is rolled back.
fn end(writer: &Arc<Writer>) {
    let held = HELD.with_borrow_mut(|all| {
        let at = all.iter().position(|held| Arc::ptr_eq(&held.writer, writer))?;
        Some(all.swap_remove(at))
    });
    if let Some(held) = held {
        let db = held.db.clone();
        drop(held); // gives the writer back, which the last handle of a file waits for
        drop(db);
    }
}
