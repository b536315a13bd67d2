//! One database file, shared by every handle of the process.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::deferred::Deferred;
use super::failure::At;
use super::options::{Builder, Durability, Profile};
use super::paths::identity;
use super::schema::{self, Migrations, Upgrade};
use super::stats::{Counters, Stats, add};
use super::ticket::Ticket;
use super::tx::{ReadTx, WriteTx};
use super::writer::Writer;
use super::{connect, interruption, transaction};
use crate::error::{Error, Result};

/// Read connections that are kept open for the next reader.
const IDLE_READERS: usize = 8;

/// A database file. Clones share the writer, the readers and the counters; so does every other
/// handle of this process to the same file.
///
/// Dropping the last handle lets the queue run dry and closes the file. [`close`](Self::close) does
/// the same and reports errors.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
    durability: Durability,
    /// Errors that this handle and its clones were not reported yet.
    deferred: Arc<Deferred>,
}

impl Builder {
    /// Opens the file for reading and writing; creates it if there is none, and folders above it that are missing, as
    /// Godly-AI and the RTX engine do (SQLite alone refuses).
    ///
    /// # Errors
    /// [`Error::NotOurs`] and [`Error::TooNew`] leave the file untouched; [`Error::Io`] if it
    /// cannot be opened or created; [`Error::Invalid`] for a URI (`file:...`) and a path that begins with `~`.
    pub fn open(self) -> Result<Database> {
        if self.path.as_os_str().is_empty() || self.path.as_os_str() == ":memory:" {
            let got =
                format!("{:?}: nothing is kept in memory only", self.path.display().to_string());
            return Err(Error::invalid("path", "the name of a file", got));
        }
        if !self.page_size.is_power_of_two() || !(512..=65536).contains(&self.page_size) {
            let got = self.page_size.to_string();
            return Err(Error::invalid("page size", "a power of two from 512 to 65536", got));
        }
        Database::open_for_writing(self)
    }

    /// Opens an existing file for reading only. Nothing is created or changed.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::NotFound`] if there is no such file.
    pub fn open_read_only(self) -> Result<Database> {
        Database::open_for_reading(self)
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, writable) = (self.path(), self.shared.writer.is_some());
        f.debug_struct("Database").field("path", &path).field("writable", &writable).finish()
    }
}

struct Shared {
    path: PathBuf,
    /// The file that was opened.
    file: Option<(u64, u64)>,
    /// The process that opened the file: a fork must not use its connections.
    pid: u32,
    writer: Option<Arc<Writer>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    idle: Mutex<Vec<Connection>>,
    profile: Profile,
    upgrades: &'static [&'static Upgrade],
    counters: Arc<Counters>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            // A fork: the parent's threads are not here, and its connections are not ours to close.
            std::mem::forget(std::mem::take(
                self.idle.get_mut().unwrap_or_else(PoisonError::into_inner),
            ));
            std::mem::forget(self.writer.take());
            return;
        }
        if let Some(writer) = &self.writer {
            writer.close();
        }
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!(path = %self.path.display(), "the writer's thread panicked");
        }
        self.idle.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        if let Some(writer) = &self.writer {
            // Costs nothing unless a table has grown much since the last time; if another process
            // writes just now, it is left for the next close.
            let optimize = |conn: &Connection| Ok(conn.execute_batch("PRAGMA optimize")?);
            let optimized = connect::without_waiting(|| writer.maintain_if_ours(optimize));
            if let Err(error) = optimized {
                tracing::debug!(%error, "PRAGMA optimize");
            }
        } else {
            connect::tidy(&self.path);
        }
    }
}

type Registry = Mutex<HashMap<PathBuf, Weak<Shared>>>;

/// The writable databases of this process, by canonical path.
fn registry() -> MutexGuard<'static, HashMap<PathBuf, Weak<Shared>>> {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn canonical(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(|e| Error::io(path, "looking for it", &e))
}

impl Database {
    /// Begins to open a file; see [`Builder`].
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("run.db");
    /// use siltstone::{Database, Durability};
    /// let db = Database::builder(&path).durability(Durability::Disk).open()?;
    /// assert!(db.verify()?.is_ok());
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn builder(path: impl AsRef<Path>) -> Builder {
        Builder::new(path.as_ref())
    }

    fn open_for_writing(mut options: Builder) -> Result<Self> {
        let mut open = registry();
        open.retain(|_, shared| shared.strong_count() > 0);
        if options.path.exists() {
            options.path = canonical(&options.path)?;
            let shared = open.get(&options.path).and_then(Weak::upgrade);
            let is_that_file = |s: &Arc<Shared>| {
                s.pid == std::process::id()
                    && s.writer.as_ref().is_some_and(|writer| writer.is_at_its_path())
            };
            if let Some(shared) = shared.filter(is_that_file) {
                return Ok(Database::over(shared, options.durability));
            }
        }
        let conn = connect::writer(&options)?;
        options.path = canonical(&options.path)?;
        let counters = Arc::new(Counters::default());
        let writer = Arc::new(Writer::new(conn, &options, counters.clone()));
        let runner = writer.clone();
        let thread = std::thread::Builder::new()
            .name("siltstone-writer".into())
            .spawn(move || runner.run())
            .map_err(|e| Error::io(&options.path, "starting the writer's thread", &e))?;
        let shared = Arc::new(Shared {
            file: identity(&options.path),
            path: options.path.clone(),
            pid: std::process::id(),
            writer: Some(writer),
            thread: Mutex::new(Some(thread)),
            idle: Mutex::default(),
            profile: options.profile,
            upgrades: options.upgrades,
            counters,
        });
        open.insert(options.path, Arc::downgrade(&shared));
        Ok(Database::over(shared, options.durability))
    }

    fn open_for_reading(options: Builder) -> Result<Self> {
        let profile = options.profile;
        let conn = connect::reader(&options.path, profile.cache_kib(), options.upgrades)?;
        let path = canonical(&options.path)?;
        let shared = Arc::new(Shared {
            file: identity(&path),
            path,
            pid: std::process::id(),
            writer: None,
            thread: Mutex::new(None),
            idle: Mutex::new(vec![conn]),
            profile,
            upgrades: options.upgrades,
            counters: Arc::default(),
        });
        Ok(Database::over(shared, options.durability))
    }

    fn over(shared: Arc<Shared>, durability: Durability) -> Self {
        Database { shared, durability, deferred: Arc::default() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Whether the path still names the file that was opened, with its log: if not, a write is refused.
    pub(crate) fn is_at_its_path(&self) -> bool {
        identity(&self.shared.path) == self.shared.file && !self.is_cut_off()
    }

    fn is_cut_off(&self) -> bool {
        self.shared.writer.as_ref().is_some_and(|writer| writer.is_cut_off())
    }

    /// What an acknowledged write of this handle survives.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// The same file, with another durability.
    pub(crate) fn with_durability(&self, durability: Durability) -> Self {
        Database { durability, ..self.clone() }
    }

    /// Whether this handle can only read.
    pub fn is_read_only(&self) -> bool {
        self.shared.writer.is_none()
    }

    /// Counters since this process opened the file.
    pub fn stats(&self) -> Stats {
        let depth = self.shared.writer.as_ref().map_or(0, |writer| writer.depth());
        self.shared.counters.snapshot(depth)
    }

    /// Waits until every write that was accepted is in the file, at the durability of this handle.
    ///
    /// # Errors
    /// The first error of a write of this handle or a clone of it that was not reported yet: of one that had
    /// been acknowledged before its commit ([`Durability::Buffered`]), or whose [`Ticket`] nobody has
    /// waited for. It is reported once.
    pub fn flush(&self) -> Result<()> {
        let writer = self.writer()?;
        if writer.is_untouched() {
            return self.deferred.report();
        }
        writer.drain()?;
        if self.durability == Durability::Disk {
            self.checkpoint()?;
        }
        self.deferred.report()
    }

    /// Moves the log into the file and syncs both, as far as readers allow.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk refuses; what was acknowledged is still in the log.
    pub fn checkpoint(&self) -> Result<()> {
        let checkpoint = |conn: &Connection| {
            conn.pragma_update(None, "synchronous", "FULL")?;
            let moved = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            conn.pragma_update(None, "synchronous", "NORMAL")?;
            Ok(moved?)
        };
        self.writer()?.maintain(checkpoint).at(self.path(), "checkpointing")
    }

    /// Gives free pages back to the file system; the bytes by which the file shrank.
    ///
    /// # Errors
    /// [`Error::Busy`] or [`Error::Io`]; the file is whole.
    pub fn vacuum(&self) -> Result<u64> {
        let vacuum = |conn: &Connection| {
            let page_size: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let pages = |conn: &Connection| -> rusqlite::Result<i64> {
                conn.pragma_query_value(None, "page_count", |row| row.get(0))
            };
            let before = pages(conn)?;
            // Each step of this statement frees one page.
            let mut statement = conn.prepare("PRAGMA incremental_vacuum")?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {
                interruption::check("vacuuming")?;
            }
            drop(rows);
            drop(statement);
            let freed = (before - pages(conn)?).max(0) * page_size;
            conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            Ok(freed as u64)
        };
        self.writer()?.maintain(vacuum).at(self.path(), "vacuuming")
    }

    /// Writes the whole file anew, without gaps: for a file of which much was moved or removed. Others
    /// may read meanwhile, and wait to write; it takes as much disk again while it runs.
    ///
    /// # Errors
    /// [`Error::Busy`] or [`Error::Io`] (the disk is full); the file is as it was.
    pub fn rewrite(&self) -> Result<()> {
        let rewrite = |conn: &Connection| {
            // The copy is as large as the file: on the disk, not in memory.
            conn.execute_batch("PRAGMA temp_store=FILE")?;
            let rewritten = conn.execute_batch("VACUUM");
            conn.execute_batch("PRAGMA temp_store=MEMORY")?;
            rewritten?;
            Ok(conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
        };
        self.writer()?.maintain(rewrite).at(self.path(), "rewriting")
    }

    /// Lets SQLite refresh its statistics where that pays.
    ///
    /// # Errors
    /// [`Error::Busy`] or [`Error::Io`]; the file is whole.
    pub fn optimize(&self) -> Result<()> {
        let optimize = |conn: &Connection| Ok(conn.execute_batch("PRAGMA optimize")?);
        self.writer()?.maintain(optimize).at(self.path(), "optimizing")
    }

    /// Flushes and lets this handle go; the last one closes the file.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn close(self) -> Result<()> {
        if self.shared.writer.is_some() { self.flush() } else { Ok(()) }
    }

    /// Bytes of log after which it is moved into the file.
    pub(super) fn wal_bytes(&self) -> i64 {
        self.shared.profile.wal_bytes()
    }

    pub(super) fn close_idle_readers(&self) {
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether it was opened here, and not before a fork.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.shared.pid == std::process::id()
    }

    /// Has the next flush or close of this handle tell an error.
    pub(super) fn tell_later(&self, error: Error) {
        self.deferred.keep(error, None);
    }

    fn check_process(&self) -> Result<()> {
        if self.is_of_this_process() {
            return Ok(());
        }
        let what = format!("the handle to {}", self.path().display());
        Err(Error::Closed {
            what,
            why: "was opened before a fork; start the process afresh (spawn) and open the file there",
        })
    }

    pub(super) fn writer(&self) -> Result<&Arc<Writer>> {
        self.check_process()?;
        self.shared.writer.as_ref().ok_or_else(|| Error::Closed {
            what: format!("{}", self.path().display()),
            why: "was opened for reading only",
        })
    }

    /// Runs `work` in a write transaction and waits for the acknowledgement. It may run twice: see
    /// the writer.
    pub(crate) fn write<T, F>(&self, work: F) -> Result<T>
    where
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.writer()?.write(self.durability, work)
    }

    /// Queues `work` and returns at once.
    pub(crate) fn submit<T, F>(&self, work: F) -> Result<Ticket<T>>
    where
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.writer()?.submit(self.durability, &self.deferred, work)
    }

    /// Queues `work`, acknowledged by being queued.
    pub(crate) fn post<F>(&self, work: F) -> Result<()>
    where
        F: FnMut(&mut WriteTx<'_>) -> Result<()> + Send + 'static,
    {
        self.writer()?.post(&self.deferred, work)
    }

    /// Runs `work` on one snapshot of the file.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        if let Some(held) = self.writer().ok().and_then(transaction::open) {
            return held.read(work);
        }
        self.with_reader("reading", |conn| {
            conn.prepare_cached("BEGIN")?.execute([])?;
            let result = work(&ReadTx::new(conn));
            conn.prepare_cached("ROLLBACK")?.execute([])?; // there is nothing to commit
            result
        })
    }

    /// A pooled read connection, without a transaction.
    pub(super) fn with_reader<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        self.check_process()?;
        let lock = || self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_cut_off() {
            lock().clear(); // they have the old log
        }
        let idle = lock().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => self.new_reader()?,
        };
        add(&self.shared.counters.reads, 1);
        let result = work(&conn).at(self.path(), action);
        if conn.is_autocommit() && !self.is_cut_off() {
            let mut idle = lock();
            if idle.len() < IDLE_READERS {
                idle.push(conn);
            }
        }
        result
    }

    /// A read connection that is used once: for statements that may leave something behind.
    pub(super) fn with_own_reader<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        self.check_process()?;
        add(&self.shared.counters.reads, 1);
        let conn = self.new_reader()?;
        work(&conn).at(self.path(), action)
    }

    fn new_reader(&self) -> Result<Connection> {
        add(&self.shared.counters.readers_opened, 1);
        let cache_kib = self.shared.profile.cache_kib();
        connect::reader(self.path(), cache_kib, self.shared.upgrades)
    }

    /// Brings a store's tables up to date if the file has old ones; refuses newer ones.
    pub(crate) fn migrate(&self, migrations: &'static Migrations) -> Result<()> {
        match &self.shared.writer {
            Some(writer) => {
                writer.maintain_if_ours(|conn| schema::migrate(conn, self.path(), migrations))
            }
            None => self.with_reader("reading its versions", |conn| {
                // A file of another program has no versions; it was recognised by its tables.
                let ours = ReadTx::new(conn);
                if schema::table_exists(&ours, "siltstone_schema")? {
                    schema::check_not_newer(conn, self.path(), migrations)?;
                }
                Ok(())
            }),
        }
    }
}
