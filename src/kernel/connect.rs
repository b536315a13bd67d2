//! One SQLite connection, opened and set up.

use std::cell::Cell;
use std::path::Path;
use std::sync::Once;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};

use super::failure::{At, BUSY_TIMEOUT};
use super::options::Builder;
use super::paths::{beside, folder_of};
use super::schema::{self, APPLICATION_ID, Upgrade};
use super::{files, foreign, functions, interruption, locks, reading};
use crate::error::{Error, Result};

/// A pause before the next try, longer after more tries and never the same for two processes. The
/// caller is asked whether to cancel: see [`is_busy`].
pub(super) fn pause(tries: u32) {
    // From 50 us to 6.4 ms, twice as long after two tries: a write takes a tenth of a millisecond as a rule, and
    // whoever waits for long is passed by all who have just come.
    let base_us = 50u64 << (tries / 2).min(7);
    let jitter = Instant::now().elapsed().as_nanos() as u64
        ^ u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ u64::from(tries).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    std::thread::sleep(Duration::from_micros(base_us + (jitter >> 7) % base_us));
    interruption::stops();
}

thread_local!(static NO_WAIT: Cell<bool> = const { Cell::new(false) });

/// Runs `work`, in which this thread's statements say at once that another connection is in the way.
pub(super) fn without_waiting<T>(work: impl FnOnce() -> T) -> T {
    let before = NO_WAIT.replace(true);
    let result = work();
    NO_WAIT.set(before);
    result
}

fn busy(tries: i32) -> bool {
    if NO_WAIT.get() {
        return false;
    }
    thread_local!(static SINCE: Cell<Option<Instant>> = const { Cell::new(None) });
    if tries == 0 {
        SINCE.set(Some(Instant::now()));
    }
    pause(tries as u32);
    !interruption::has_stopped() && SINCE.get().is_none_or(|since| since.elapsed() < BUSY_TIMEOUT)
}

fn prepare(conn: &Connection) -> Result<()> {
    conn.busy_handler(Some(busy))?;
    conn.set_prepared_statement_cache_capacity(128);
    // A name in quotes that is not there is an error, and not its own text.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    conn.execute_batch(
        "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; \
         PRAGMA temp_store=MEMORY;",
    )?;
    functions::register(conn)
}

/// What a file is, by its header and its tables.
enum Owner {
    /// New or empty.
    Nobody,
    Ours,
    /// Tables that may be upgraded.
    Upgradable(&'static Upgrade),
}

fn identify(conn: &Connection, path: &Path, upgrades: &[&'static Upgrade]) -> Result<Owner> {
    // One snapshot: another process may be creating the file just now.
    conn.execute_batch("BEGIN").at(path, "reading its header")?;
    let read = || -> Result<(i32, i64)> {
        let id = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((id, tables))
    };
    let found = read().at(path, "reading its header");
    let owner = found.and_then(|(id, tables)| owner(conn, path, id, tables, upgrades));
    conn.execute_batch("ROLLBACK").at(path, "reading its header")?;
    owner
}

fn owner(
    conn: &Connection,
    path: &Path,
    id: i32,
    tables: i64,
    upgrades: &[&'static Upgrade],
) -> Result<Owner> {
    let known =
        |upgrade: &&&'static Upgrade| upgrade.tables.iter().all(|table| table_exists(conn, table));
    match (id, tables) {
        (APPLICATION_ID, _) => Ok(Owner::Ours),
        (0, 0) => Ok(Owner::Nobody),
        (0, _) => match upgrades.iter().find(known) {
            Some(upgrade) => Ok(Owner::Upgradable(upgrade)),
            None => Err(Error::NotOurs {
                path: path.to_owned(),
                why: "it is an SQLite database of another program".into(),
            }),
        },
        (id, _) => Err(Error::NotOurs {
            path: path.to_owned(),
            why: format!("it is the database of another application (id {id:#x})"),
        }),
    }
}

fn table_exists(conn: &Connection, name: &str) -> bool {
    let sql = "SELECT 1 FROM sqlite_schema WHERE name = ?1 AND type IN ('table', 'view')";
    conn.prepare_cached(sql).and_then(|mut s| s.exists([name])).unwrap_or(false)
}

/// What holds for our whole copy of SQLite, set before its first connection.
fn set_up_library() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Nobody reads SQLite's count of its memory, and each allocation would lock for it.
        // SAFETY: SQLITE_CONFIG_MEMSTATUS takes one int. In a program that has used this copy of
        // SQLite before us the call changes nothing and says so.
        #[cfg(not(feature = "extension"))]
        let set = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0) };
        #[cfg(not(feature = "extension"))]
        tracing::debug!(set, "sqlite3_config");
        locks::install();
    });
}

/// Refuses a file that the parent of this process had open when it forked.
fn check_not_inherited(path: &Path) -> Result<()> {
    if locks::is_inherited(path) {
        let what = format!("{}", path.display());
        let why =
            "was open in the parent when it forked this process; start the process afresh (spawn)";
        return Err(Error::Closed { what, why });
    }
    Ok(())
}

/// Opens the writer's connection; creates the file with our application id if it is new. A file of another program
/// is left as it is, and comes with what would take it over.
pub(super) fn writer(options: &Builder) -> Result<(Connection, Option<&'static Upgrade>)> {
    set_up_library();
    let path = options.path.as_path();
    reading::check_is_database_file(path)?;
    let folder = folder_of(path);
    files::create_folder(folder, true)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    check_not_inherited(path)?;
    let conn = open_for_writing(path, flags).at(path, "opening it")?;
    prepare(&conn).at(path, "opening it")?;
    let upgrade = match identify(&conn, path, options.upgrades)? {
        Owner::Ours => {
            foreign::check_versions(&conn, path)?;
            foreign::refuse_triggers(&conn, path)?;
            None
        }
        Owner::Nobody => {
            create(&conn, options).at(path, "creating")?;
            None
        }
        Owner::Upgradable(upgrade) => Some(upgrade),
    };
    let set = || -> Result<()> {
        conn.pragma_update(None, "synchronous", "NORMAL")?;
        conn.pragma_update(None, "cache_size", -options.profile.cache_kib())?;
        set_log_size(&conn, options.profile.wal_bytes())
    };
    if upgrade.is_none() {
        enter_wal(&conn, path)?; // while `synchronous` is FULL: this still goes through a journal
    }
    set().at(path, "opening it")?;
    Ok((conn, upgrade))
}

/// What SQLite cannot open for writing it opens for reading, and says so with each write. If that was a passing error, the
/// next try goes well.
fn open_for_writing(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, flags)?;
    if !conn.is_readonly("main")? {
        return Ok(conn);
    }
    drop(conn);
    Ok(Connection::open_with_flags(path, flags)?)
}

/// Sets the size of the log at which it is moved into the file.
pub(super) fn set_log_size(conn: &Connection, bytes: i64) -> Result<()> {
    let page_size: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
    conn.pragma_update(None, "wal_autocheckpoint", bytes / page_size)?;
    // What grew beyond this is given back at the next reset of the log.
    conn.pragma_update(None, "journal_size_limit", 4 * bytes)?;
    Ok(())
}

fn create(conn: &Connection, options: &Builder) -> Result<()> {
    // These two hold only for a file without pages; of several creators all set the same.
    conn.pragma_update(None, "page_size", options.page_size)?;
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let set_id = || -> Result<()> {
        conn.pragma_update(None, "application_id", APPLICATION_ID)?;
        conn.execute_batch(schema::KERNEL_TABLES)?;
        Ok(conn.execute_batch("COMMIT")?)
    };
    set_id().inspect_err(|_| {
        let _ = conn.execute_batch("ROLLBACK"); // the first error is the one to report
    })
}

/// Turns the write-ahead log on, and opens it: from then on nobody takes it for one that is left over. SQLite does not call
/// the busy handler for the first, so we try again.
pub(super) fn enter_wal(conn: &Connection, path: &Path) -> Result<()> {
    let start = Instant::now();
    for tries in 0.. {
        let mode = conn
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode == "wal" => {
                let read = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
                return read.at(path, "opening its log");
            }
            Ok(mode) => {
                let why = format!("the file system allows only journal mode {mode:?}");
                let (path, kind) = (path.to_owned(), std::io::ErrorKind::Unsupported);
                return Err(Error::Io { path, action: "turning on the log", kind, why });
            }
            Err(e) if !is_busy(&e) || start.elapsed() > BUSY_TIMEOUT => {
                return Err(e).at(path, "turning on the log");
            }
            Err(_) => pause(tries),
        }
    }
    unreachable!("the loop ends by returning")
}

/// A connection without a file, for tables that the program computes.
pub(super) fn in_memory() -> Result<Connection> {
    set_up_library();
    let conn = Connection::open_in_memory()?;
    prepare(&conn)?;
    allow_interruption(&conn)?;
    Ok(conn)
}

/// Whether SQLite said that another connection is in the way, and the caller still wants to wait.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    ) && !interruption::has_stopped()
}

/// Opens a connection that can only read.
pub(super) fn reader(
    path: &Path,
    cache_kib: i64,
    upgrades: &[&'static Upgrade],
) -> Result<Connection> {
    set_up_library();
    reading::check_is_database_file(path)?;
    if !path.exists() {
        let location = folder_of(path).display().to_string();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Err(Error::NotFound { what: "file", name, location });
    }
    check_not_inherited(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).at(path, "opening it")?;
    let mut probed = probe(&conn);
    if probed.as_ref().is_err_and(waits_for_rollback) {
        roll_back(path).at(path, "rolling back what a process had begun that died")?;
        probed = probe(&conn);
    }
    let is_left = |suffix| beside(path, suffix).exists();
    let conn = match probed {
        // A log needs its index file: where the folder cannot be written and nobody has left a
        // log or a journal, the file is at rest and can be read as it is.
        Err(e) if cannot_make_index(&e) && !is_left("-wal") && !is_left("-journal") => {
            let uri = format!("file:{}?immutable=1", percent_encode(path));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
                .at(path, "opening it")?
        }
        _ => conn,
    };
    prepare(&conn).at(path, "opening it")?;
    conn.pragma_update(None, "query_only", true).at(path, "opening it")?;
    conn.pragma_update(None, "cache_size", -cache_kib).at(path, "opening it")?;
    allow_interruption(&conn).at(path, "opening it")?;
    match identify(&conn, path, upgrades)? {
        Owner::Nobody => Err(Error::NotOurs { path: path.to_owned(), why: "it is empty".into() }),
        Owner::Ours => foreign::check_versions(&conn, path).map(|()| conn),
        Owner::Upgradable(_) => Ok(conn),
    }
}

/// Lets the statements of a connection be interrupted while they run. Only for one that reads: SQLite
/// may ask when a COMMIT has done its work, and would call that interrupted.
pub(super) fn allow_interruption(conn: &Connection) -> rusqlite::Result<()> {
    conn.progress_handler(10_000, Some(interruption::stops))
}

/// Removes the empty log and its index that a connection for reading makes and, having no right to lock
/// the file, leaves. Only the last connection to a file removes them; a log with content stays.
pub(super) fn tidy(path: &Path) {
    let log = beside(path, "-wal");
    if std::fs::metadata(log).is_ok_and(|log| log.len() == 0) {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Closing does it; where we may not write, the two files stay, which harms nobody.
        let _ = Connection::open_with_flags(path, flags)
            .and_then(|conn| conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())));
    }
}

fn cannot_make_index(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly))
}

fn probe(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// Whether a journal lies there with which the file must be put right before it is read.
fn waits_for_rollback(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|e| e.extended_code == ffi::SQLITE_READONLY_ROLLBACK)
}

/// Takes back what a process had begun that died: only a connection that may write can.
fn roll_back(path: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    probe(&conn)
}

pub(super) fn percent_encode(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                text.push(*byte as char)
            }
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
