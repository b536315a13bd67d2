//! Two libraries, threads, re-created files and forks.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs;
use std::path::Path;
use std::ptr::{null, null_mut};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, ffi};

thread_local! {
    /// Reads of this thread until one fails; 0 for none.
    static UNTIL_FAILURE: Cell<u32> = const { Cell::new(0) };
}

/// Whether the read that is about to be made fails.
pub(super) fn fails_now() -> bool {
    let left = UNTIL_FAILURE.get();
    UNTIL_FAILURE.set(left.saturating_sub(1));
    if left == 1 {
        super::linux::set_error(libc::EIO);
    }
    left == 1
}

type Open = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> c_int;
type Exec =
    unsafe extern "C" fn(*mut c_void, *const c_char, *const u8, *const u8, *const u8) -> c_int;
type Close = unsafe extern "C" fn(*mut c_void) -> c_int;

/// A connection of the system's SQLite library, as `import sqlite3` would have it.
struct Other {
    exec: Exec,
    close: Close,
    db: *mut c_void,
}

impl Other {
    /// `None`, and a line on the terminal, where the system has no such library.
    fn open(path: &Path) -> Option<Self> {
        // SAFETY: the library stays loaded; the types are those of SQLite's C interface.
        unsafe {
            let library = libc::dlopen(c"libsqlite3.so.0".as_ptr(), libc::RTLD_NOW);
            if library.is_null() {
                eprintln!("skipped: there is no libsqlite3.so.0 to be the second library");
                return None;
            }
            let find = |name: &CStr| libc::dlsym(library, name.as_ptr());
            let open = std::mem::transmute::<*mut c_void, Open>(find(c"sqlite3_open"));
            let exec = std::mem::transmute::<*mut c_void, Exec>(find(c"sqlite3_exec"));
            let close = std::mem::transmute::<*mut c_void, Close>(find(c"sqlite3_close"));
            let mut db = null_mut();
            let name = CString::new(path.to_str().unwrap()).unwrap();
            assert_eq!(open(name.as_ptr(), &mut db), ffi::SQLITE_OK);
            Some(Other { exec, close, db })
        }
    }

    /// The result code of `sql`.
    fn run(&self, sql: &str) -> c_int {
        let sql = CString::new(sql).unwrap();
        // SAFETY: the connection is open and the text ends in NUL.
        unsafe { (self.exec)(self.db, sql.as_ptr(), null(), null(), null()) }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // SAFETY: closed once, by its owner.
        assert_eq!(unsafe { (self.close)(self.db) }, ffi::SQLITE_OK);
    }
}

fn open(path: &Path) -> Connection {
    super::install();
    let conn = Connection::open(path).unwrap();
    conn.busy_timeout(Duration::from_secs(10)).unwrap();
    // The subject is locks: no need to wait for the disk.
    conn.pragma_update(None, "synchronous", "OFF").unwrap();
    conn
}

fn create(path: &Path, journal: &str) -> Connection {
    let conn = open(path);
    conn.pragma_update(None, "journal_mode", journal).unwrap();
    conn.execute_batch("CREATE TABLE t(n INTEGER)").unwrap();
    conn
}

fn rows(conn: &Connection) -> i64 {
    conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

/// Descriptors of this process whose target starts with `path`, with and without a name.
fn descriptors(path: &Path) -> (usize, usize) {
    let targets = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = targets.filter_map(|entry| fs::read_link(entry.path()).ok());
    let ours = targets.map(|target| target.to_string_lossy().into_owned());
    let ours = ours.filter(|target| target.starts_with(path.to_str().unwrap()));
    let (deleted, named): (Vec<_>, Vec<_>) = ours.partition(|t| t.ends_with(" (deleted)"));
    (named.len(), deleted.len())
}

/// The kinds of our locks on a file, as the kernel has them. Not from `/proc/locks`, which is no
/// snapshot: while others take locks, it shows a lock twice or not at all.
fn our_locks(path: &Path) -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let of_file = entries.filter(|e| fs::read_link(e.path()).is_ok_and(|to| to == path));
    let mut kinds = Vec::new();
    for entry in of_file {
        let info = Path::new("/proc/self/fdinfo").join(entry.file_name());
        let info = fs::read_to_string(info).unwrap_or_default();
        let ours = info.lines().filter(|line| line.contains("OFDLCK"));
        kinds.extend(ours.filter_map(|line| line.split_whitespace().nth(4)).map(str::to_owned));
    }
    kinds.sort();
    kinds
}

/// Goal: what the user's library closes, in mid-transaction, leaves our write lock standing.
#[test]
fn a_second_library_that_closes_the_file_leaves_our_lock_alone() {
    let dir = tempfile::tempdir().unwrap();
    for journal in ["WAL", "DELETE"] {
        let path = dir.path().join(journal);
        let conn = create(&path, journal);
        conn.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
        let Some(other) = Other::open(&path) else { return };
        assert_eq!(other.run("SELECT count(*) FROM t"), ffi::SQLITE_OK);
        drop(other);
        let probe = Other::open(&path).unwrap();
        assert_eq!(probe.run("BEGIN IMMEDIATE"), ffi::SQLITE_BUSY, "{journal}");
        conn.execute_batch("COMMIT").unwrap();
        assert_eq!(probe.run("BEGIN IMMEDIATE; ROLLBACK"), ffi::SQLITE_OK, "{journal}");
    }
}

/// Goal: what we close, read or never read, leaves the user's write lock standing.
#[test]
fn our_close_leaves_the_lock_of_a_second_library_alone() {
    let dir = tempfile::tempdir().unwrap();
    for journal in ["WAL", "DELETE"] {
        let path = dir.path().join(journal);
        // Created by the other library: our first contact with the inode is a close.
        let Some(other) = Other::open(&path) else { return };
        let sql = format!("PRAGMA journal_mode={journal}; CREATE TABLE t(n INTEGER)");
        assert_eq!(other.run(&sql), ffi::SQLITE_OK);
        assert_eq!(other.run("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)"), ffi::SQLITE_OK);
        super::install();
        drop(Connection::open(&path).unwrap()); // Without `open`, whose pragma reads the file.
        assert_eq!(rows(&open(&path)), 0);
        // POSIX locks of one process do not collide: only another description sees them.
        let probe = open(&path);
        probe.busy_timeout(Duration::ZERO).unwrap();
        let refused = probe.execute_batch("BEGIN IMMEDIATE").unwrap_err();
        assert_eq!(refused.sqlite_error_code(), Some(ffi::ErrorCode::DatabaseBusy), "{journal}");
        assert_eq!(other.run("COMMIT"), ffi::SQLITE_OK, "{journal}");
    }
}

/// Goal: the lock holder of a read-only connection is replaced without losing its lock.
#[test]
fn a_reader_keeps_its_lock_when_a_writer_comes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let Some(other) = Other::open(&path) else { return };
    assert_eq!(other.run("CREATE TABLE t(n INTEGER)"), ffi::SQLITE_OK);
    super::install();
    let reader = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(rows(&reader), 0);
    assert_eq!(our_locks(&path), ["READ"]);
    let writer = open(&path);
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(our_locks(&path), ["READ", "WRITE"]);
    writer.execute_batch("ROLLBACK").unwrap();
    assert_eq!(other.run("BEGIN EXCLUSIVE"), ffi::SQLITE_BUSY);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(other.run("BEGIN EXCLUSIVE; ROLLBACK"), ffi::SQLITE_OK);
}

/// Goal: with our last connection our locks go, also those that SQLite leaves to `close`.
#[test]
fn our_last_close_releases_what_we_hold() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    let conn = create(&path, "WAL");
    let Some(other) = Other::open(&path) else { return };
    assert_eq!(other.run("SELECT count(*) FROM t"), ffi::SQLITE_OK);
    let shm = dir.path().join("x.db-shm");
    assert_eq!(our_locks(&shm), ["READ"]);
    drop(conn);
    assert!(our_locks(&shm).is_empty());
}

/// Goal: threads that open, write and close at will leave no lock behind, and no row out.
#[test]
fn many_connections_to_one_file_share_its_locks() {
    let dir = tempfile::tempdir().unwrap();
    for journal in ["WAL", "DELETE"] {
        let path = dir.path().join(journal);
        drop(create(&path, journal));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..20 {
                        let mut conn = open(&path);
                        let immediate = TransactionBehavior::Immediate;
                        let tx = conn.transaction_with_behavior(immediate).unwrap();
                        tx.execute("INSERT INTO t VALUES (?1)", [n]).unwrap();
                        tx.commit().unwrap();
                    }
                });
            }
        });
        assert_eq!(rows(&open(&path)), 80, "{journal}");
        let Some(other) = Other::open(&path) else { return };
        assert_eq!(other.run("BEGIN EXCLUSIVE; ROLLBACK"), ffi::SQLITE_OK, "{journal}");
    }
}

/// Goal: descriptors are handed out again, and those of deleted files go.
#[test]
fn parked_descriptors_stay_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    for round in 0..100 {
        assert_eq!(rows(&create(&path, "WAL")), 0, "a stale file in round {round}");
        for _ in 0..10 {
            assert_eq!(rows(&open(&path)), 0);
        }
        let (named, deleted) = descriptors(dir.path());
        assert!(named <= 2, "{named} descriptors are kept in round {round}");
        assert!(deleted <= 8, "{deleted} of deleted files are kept in round {round}");
        fs::remove_file(&path).unwrap();
    }
}

/// Goal: a forked child has locks of its own, and neither releases nor keeps ours. Run as a
/// process of its own, since a fork in the middle of other tests would copy their mutexes.
#[test]
fn a_forked_child_has_locks_of_its_own() {
    let mut tests = std::process::Command::new(std::env::current_exe().unwrap());
    let name = "locks::tests::fork_in_a_process_of_its_own";
    let output = tests.args([name, "--ignored", "--test-threads=1"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by a_forked_child_has_locks_of_its_own"]
fn fork_in_a_process_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("x.db"), dir.path().join("other.db"));
    drop(create(&path, "DELETE"));
    let child = |work: &dyn Fn()| {
        // SAFETY: the harness' other thread only waits; the child ends in `_exit`.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                libc::_exit(done.is_err().into());
            }
            pid
        }
    };
    let succeeded = |pid| {
        let mut status = 0;
        // SAFETY: waits for a child made above.
        unsafe { libc::waitpid(pid, &mut status, 0) == pid && status == 0 }
    };
    let is_free = |path: &Path| {
        let conn = open(path);
        conn.busy_timeout(Duration::ZERO).unwrap();
        conn.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
    };

    // A parked descriptor at the fork: the child's lock is another than ours.
    let (ready, go) = std::os::unix::net::UnixStream::pair().unwrap();
    let pid = child(&|| {
        let conn = open(&path);
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        std::io::Write::write_all(&mut &go, b"1").unwrap();
        std::thread::sleep(Duration::from_millis(200));
    });
    std::io::Read::read_exact(&mut &ready, &mut [0]).unwrap();
    assert!(!is_free(&path), "the child's lock does not keep the parent out");
    assert!(succeeded(pid));
    assert!(is_free(&path));

    // A connection open at the fork: closing the child's copy of it releases nothing of ours.
    let conn = open(&path);
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    // SAFETY: the copy is dropped in the child only, which has no other use for it.
    assert!(succeeded(child(&|| drop(unsafe { std::ptr::read(&conn) }))));
    assert_eq!(our_locks(&path), ["READ", "WRITE"]);
    drop(conn);

    // A lock held at the fork: a child that lives on does not keep it.
    let middle = child(&|| {
        let conn = create(&other, "DELETE");
        conn.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
        child(&|| {
            // Said by the grandchild, so that its fork handler has run.
            std::io::Write::write_all(&mut &go, &std::process::id().to_ne_bytes()).unwrap();
            std::thread::sleep(Duration::from_secs(10));
        });
        std::mem::forget(conn);
    });
    assert!(succeeded(middle));
    let mut grandchild = [0; 4];
    std::io::Read::read_exact(&mut &ready, &mut grandchild).unwrap();
    let free = is_free(&other);
    // SAFETY: ends the process that has just told its number, and sleeps.
    unsafe { libc::kill(i32::from_ne_bytes(grandchild), libc::SIGKILL) };
    assert!(free, "a grandchild keeps a dead process's lock");
}

/// Goal: a read that fails once, whichever it is, is reported as a failed read and never as damage, and the next one goes well.
#[test]
fn a_read_that_fails_in_passing_is_no_damage() {
    use crate::{Database, Error, Value};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = Database::builder(&path).open().unwrap();
    let fill = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 2000) \
        INSERT INTO t SELECT n, hex(randomblob(100)) FROM n";
    db.write(move |tx| {
        tx.execute("CREATE TABLE t(n INTEGER PRIMARY KEY, x TEXT)", [])?;
        tx.execute(fill, [])
    })
    .unwrap();
    db.close().unwrap();
    let db = Database::builder(&path).open_read_only().unwrap();
    let sum = || Ok(db.sql("SELECT sum(n) FROM t WHERE length(x) = 200")?.rows.remove(0).remove(0));
    let mut failed = 0;
    for at in 1..60 {
        UNTIL_FAILURE.set(at);
        let found: crate::Result<Value> = sum();
        let verified = db.verify();
        UNTIL_FAILURE.set(0);
        for error in [found.err(), verified.as_ref().err().cloned()].into_iter().flatten() {
            assert!(matches!(error, Error::Io { .. }), "read {at}: {error}");
            failed += 1;
        }
        assert!(verified.map_or(true, |report| report.is_ok()), "read {at} is reported as damage");
        assert_eq!(sum().unwrap(), Value::Integer(2_001_000));
    }
    assert!(failed > 20, "{failed} reads failed");
}
