//! A write transaction that stays open from call to call.
//!
//! It is of the thread that began it: until it ends, whatever that thread writes to the file or reads of it, through
//! any handle, is part of it. Other threads read what was committed, and their writes wait. It belongs to a
//! [`Transaction`]: whatever becomes of its owner, it ends with that.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

use super::failure::At;
use super::query::{Query, Value, value};
use super::tx::{ReadTx, WriteTx};
// A transaction holds the writer that began it, and a write of its own thread goes into it.
use super::writer::{Core, Writer, panicked};
use super::{Database, interruption};
use crate::error::{Error, Result};

/// What a thread has open of a file. Who owns a part of it has it too, and may end it from another thread.
pub(super) struct Held {
    /// Keeps the file open.
    db: Database,
    writer: Arc<Writer>,
    seat: Mutex<Seat>,
}

#[derive(Default)]
struct Seat {
    /// `None` while a call works with it, and when it was broken off.
    core: Option<Box<Core>>,
    /// What was begun and not ended, the outermost first.
    parts: Vec<Part>,
    /// Why all of it was rolled back, while it is still open to those who own it.
    broken: Option<&'static str>,
}

struct Part {
    id: u64,
    /// Rows that its connection had changed before.
    changes: u64,
}

thread_local! {
    static HELD: RefCell<Vec<Own>> = const { RefCell::new(Vec::new()) };
}

/// A thread's own hold, which ends with the thread.
struct Own(Arc<Held>);

impl Drop for Own {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self) -> bool {
        !self.lock().parts.is_empty()
    }

    /// Rolls back what was not committed, and gives the writer back: at once, or when the call that works with it has
    /// ended. Calls are refused until its owners have ended it: they would be writes of their own.
    fn break_off(&self, why: &'static str) {
        let mut seat = self.lock();
        seat.broken.get_or_insert(why);
        if let Some(mut core) = seat.core.take() {
            if self.db.is_of_this_process() {
                core.roll_back();
                self.writer.core.give_back(core);
            } else {
                std::mem::forget(core); // it is the parent's
            }
        }
    }

    /// Ends all parts; what was not committed is rolled back.
    fn end(&self) {
        self.lock().parts.clear();
        self.break_off(NOT_OPEN);
    }

    /// Works with it, if it is open.
    fn with<T>(&self, work: impl FnOnce(&mut Core) -> Result<T>) -> Result<T> {
        let mut seat = self.lock();
        if seat.parts.is_empty() {
            return Err(none_open());
        }
        let Some(core) = seat.core.take() else {
            let busy = "is being used by the call that this one was made in";
            return Err(closed(seat.broken.unwrap_or(busy)));
        };
        drop(seat);
        let mut lent = Lent { held: self, core: Some(core) };
        let core = lent.core.as_mut().expect("it was just put there");
        if core.conn.is_autocommit() {
            let why = "was rolled back when a write in it failed; nothing of it is in the file";
            return Err(closed(why));
        }
        work(core).at(&self.writer.path, "writing")
    }

    /// Reads in it.
    pub(super) fn read<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.with(|core| work(&ReadTx::new(&core.conn)))
    }
}

/// Puts the core back, also after a panic.
struct Lent<'a> {
    held: &'a Held,
    core: Option<Box<Core>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut seat = self.held.lock();
        seat.core = self.core.take();
        if let Some(why) = seat.broken {
            drop(seat);
            self.held.break_off(why);
        }
    }
}

/// What this thread has open of a file.
pub(super) fn open(writer: &Arc<Writer>) -> Option<Arc<Held>> {
    // A thread that ends has none any more, and may still have files to close.
    let found = HELD.try_with(|all| {
        let mut all = all.borrow_mut();
        let at = all.iter().position(|own| Arc::ptr_eq(&own.0.writer, writer))?;
        match all[at].0.is_open() {
            true => Some(Ok(all[at].0.clone())),
            false => Some(Err(all.swap_remove(at))), // its owner has ended it; let go outside
        }
    });
    found.ok().flatten()?.ok()
}

/// Whether this thread has a transaction of this file open.
pub(super) fn is_open(writer: &Arc<Writer>) -> bool {
    open(writer).is_some()
}

/// Runs a job in the open transaction of this thread, in a savepoint of its own: if it fails, the rest of the
/// transaction stays.
pub(super) fn write<T>(
    writer: &Arc<Writer>,
    work: impl FnOnce(&mut WriteTx<'_>) -> Result<T>,
) -> Option<Result<T>> {
    let write = |core: &mut Core| {
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
    };
    Some(open(writer)?.with(write))
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
        let transaction = self.begin()?;
        match work() {
            Ok(value) => transaction.commit().map(|()| value),
            Err(error) => {
                if let Err(second) = transaction.roll_back() {
                    tracing::error!(error = %second, "rolling back a transaction");
                }
                Err(error)
            }
        }
    }

    /// Begins a transaction of this thread, or a part of the one that is open: for callers that cannot hand in a closure to
    /// [`transaction`](Self::transaction). It belongs to what is returned.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process, or another thread's transaction, holds the file for too long; [`Error::Closed`]
    /// for a file that was opened for reading.
    pub fn begin(&self) -> Result<Transaction> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        let writer = self.writer()?.clone();
        if let Some(held) = open(&writer) {
            let savepoint = format!("SAVEPOINT part{}", held.lock().parts.len());
            let changes = held.with(|core| {
                run(&core.conn, &savepoint)?;
                Ok(core.conn.total_changes())
            })?;
            held.lock().parts.push(Part { id, changes });
            return Ok(Transaction { held, id });
        }
        let mut core = writer.core.take("waiting for another thread's transaction")?;
        let begun = writer.begin(&mut core, self.durability());
        if begun.is_err() {
            core.roll_back();
        }
        begun.at(self.path(), "beginning a transaction")?;
        let parts = vec![Part { id, changes: core.conn.total_changes() }];
        let seat = Mutex::new(Seat { core: Some(core.hold()), parts, broken: None });
        let held = Arc::new(Held { db: self.clone(), writer, seat });
        HELD.with_borrow_mut(|all| all.push(Own(held.clone())));
        Ok(Transaction { held, id })
    }

    /// Rolls back what this thread has open, whoever it belongs to; whether there was anything.
    pub fn end_transaction(&self) -> bool {
        let open = self.writer().ok().and_then(open);
        open.map(|held| end(&held)).is_some()
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
        super::schema::check_names(conn)?;
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
            interruption::check("running a statement")?;
        }
        drop(rows);
        // Rows that triggers change are not what the statement changed.
        let changes = if conn.total_changes() == before { 0 } else { conn.changes() };
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

/// Owns a transaction, or a part of one. What is dropped is rolled back.
#[must_use = "a transaction that nobody has is rolled back"]
pub struct Transaction {
    held: Arc<Held>,
    id: u64,
}

impl Transaction {
    /// Commits it; a part is committed with the whole.
    ///
    /// # Errors
    /// As any write, and [`Error::Closed`] if it was ended otherwise, or has a part that was not: nothing of it is in the
    /// file then.
    pub fn commit(self) -> Result<()> {
        let (depth, above) = self.depth().ok_or_else(none_open)?;
        if above > 0 {
            self.undo()?;
            return Err(closed("has a part that was not ended; all of it was rolled back"));
        }
        if depth > 0 {
            let released = self.held.with(|core| run(&core.conn, &format!("RELEASE part{depth}")));
            self.held.lock().parts.truncate(depth);
            return released;
        }
        let committed = self.held.with(|core| self.held.writer.commit(core, 1));
        end(&self.held); // rolls back what is left of one that failed
        committed
    }

    /// Undoes what was written since it was begun.
    ///
    /// # Errors
    /// [`Error::Closed`] if it was ended otherwise.
    pub fn roll_back(self) -> Result<()> {
        self.undo()
    }

    /// For one whose owner went away and ended it in neither way, and left it to what cleans up. Whoever wrote meanwhile did
    /// not know that it was open. So all of the transaction is rolled back, the parts around this one too; and if
    /// something was written, the next [`flush`](Database::flush) or [`close`](Database::close) says so.
    pub fn forsake(self) {
        let Some((depth, _)) = self.depth() else { return };
        let before = self.held.lock().parts[depth].changes;
        let written = self.held.with(|core| Ok(core.conn.total_changes() - before));
        match depth {
            0 => end(&self.held),
            _ => {
                self.held.lock().parts.truncate(depth);
                self.held.break_off(FORSAKEN);
            }
        }
        if !matches!(written, Ok(0)) {
            self.held.db.tell_later(closed(FORSAKEN));
        }
    }

    /// Its depth among the open parts, and how many are above it; `None` if it has ended.
    fn depth(&self) -> Option<(usize, usize)> {
        let seat = self.held.lock();
        let depth = seat.parts.iter().position(|part| part.id == self.id)?;
        Some((depth, seat.parts.len() - depth - 1))
    }

    fn undo(&self) -> Result<()> {
        let (depth, _) = self.depth().ok_or_else(none_open)?;
        if depth == 0 {
            end(&self.held);
            return Ok(());
        }
        let undone = self.held.with(|core| {
            core.memory.forget();
            run(&core.conn, &format!("ROLLBACK TO part{depth}"))?;
            run(&core.conn, &format!("RELEASE part{depth}"))
        });
        self.held.lock().parts.truncate(depth);
        match undone {
            // All of it was rolled back already, or is being used in another thread.
            Err(Error::Closed { why, .. }) => self.held.break_off(why),
            Err(error) => {
                self.held.break_off("was rolled back when a part of it could not be undone");
                return Err(error);
            }
            Ok(()) => {}
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.depth().is_some()
            && let Err(error) = self.undo()
        {
            tracing::error!(%error, "rolling back a transaction");
        }
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("is_open", &self.depth().is_some()).finish()
    }
}

const NOT_OPEN: &str = "is not open in this thread";
const FORSAKEN: &str =
    "was left in its middle and never ended; all that was written in it was rolled back";

fn closed(why: &'static str) -> Error {
    Error::Closed { what: "the transaction".into(), why }
}

fn none_open() -> Error {
    closed(NOT_OPEN)
}

/// Ends it, and lets it go if it is of this thread: the last handle of a file waits for the writer that it has.
fn end(held: &Arc<Held>) {
    held.end();
    let _own = HELD.try_with(|all| {
        let mut all = all.borrow_mut();
        let at = all.iter().position(|own| Arc::ptr_eq(&own.0, held))?;
        Some(all.swap_remove(at))
    });
}
