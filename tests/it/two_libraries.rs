//! Two SQLite libraries in one process, and a second process that writes (Linux).
//!
//! The user's `import sqlite3` opens our file: its `close` must not cancel our locks, nor ours its.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use siltstone::simulation::SimulationDatabase;
use siltstone::{Database, Error, Value};
use siltstone_needs::needs;

use crate::child::{self, mission};
use crate::crash::{assert_same, update_of};

const OK: c_int = 0;
const BUSY: c_int = 5;

type Open = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> c_int;
type Exec =
    unsafe extern "C" fn(*mut c_void, *const c_char, *const u8, *const u8, *const u8) -> c_int;
type Close = unsafe extern "C" fn(*mut c_void) -> c_int;

/// A connection of the system's SQLite library, as another program would have it.
pub(crate) struct Other {
    exec: Exec,
    close: Close,
    db: *mut c_void,
}

impl Other {
    /// For a test that has `#[needs(second_sqlite)]`.
    pub(crate) fn open(path: &Path) -> Self {
        // SAFETY: the library stays loaded; the types are those of SQLite's C interface.
        unsafe {
            let library = libc::dlopen(c"libsqlite3.so.0".as_ptr(), libc::RTLD_NOW);
            assert!(!library.is_null(), "there is a libsqlite3.so.0");
            let find = |name: &CStr| libc::dlsym(library, name.as_ptr());
            let open = std::mem::transmute::<*mut c_void, Open>(find(c"sqlite3_open"));
            let exec = std::mem::transmute::<*mut c_void, Exec>(find(c"sqlite3_exec"));
            let close = std::mem::transmute::<*mut c_void, Close>(find(c"sqlite3_close"));
            let mut db = null_mut();
            let name = CString::new(path.to_str().unwrap()).unwrap();
            assert_eq!(open(name.as_ptr(), &mut db), OK);
            Other { exec, close, db }
        }
    }

    /// The result code of `sql`.
    pub(crate) fn run(&self, sql: &str) -> c_int {
        let sql = CString::new(sql).unwrap();
        // SAFETY: the connection is open and the text ends in NUL.
        unsafe { (self.exec)(self.db, sql.as_ptr(), null(), null(), null()) }
    }

    /// Runs `sql`, which must go well, as soon as nobody else writes.
    pub(crate) fn must(&self, sql: &str) {
        let start = Instant::now();
        loop {
            match self.run(sql) {
                OK => return,
                BUSY if start.elapsed() < Duration::from_secs(30) => {
                    std::thread::sleep(Duration::from_micros(200));
                }
                code => panic!("SQLite error {code}: {sql}"),
            }
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // SAFETY: closed once, by its owner.
        unsafe { (self.close)(self.db) };
    }
}

/// Updates that a child wrote to its dataset, all of which must be there.
const CHILD_UPDATES: i64 = 1500;

fn stored(db: &SimulationDatabase, dataset: &str) -> Vec<i64> {
    let updates = db.updates(dataset).unwrap();
    updates.iter().for_each(assert_same);
    updates.iter().map(|update| update.timestamp).collect()
}

fn assert_whole(path: &Path, ours: i64, child: i64) {
    let db = SimulationDatabase::open_read_only(path).unwrap();
    assert!(stored(&db, "ours").into_iter().eq(0..ours), "updates of this process are missing");
    assert!(stored(&db, "child").into_iter().eq(0..child), "updates of the child are missing");
    let report = db.database().verify().unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
}

/// Goal: the other library opens and closes the file in the middle of our transactions, while a
/// second process writes: everything that either was told is stored, is stored.
#[needs(second_sqlite)]
#[test]
fn a_library_that_closes_the_file_loses_nobodys_updates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    db.store(update_of("ours", 0, 1)).unwrap();
    let child = child::start("two_libraries::writes_beside", &path, "");
    let done = AtomicBool::new(false);
    let mut ours = 1;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let other = Other::open(&path);
                other.run("SELECT count(*) FROM \"update\"");
            }
        });
        for _ in 0..40 {
            let batch = (ours..ours + 100).map(|n| update_of("ours", n, 1)).collect();
            db.store_updates(batch).unwrap();
            ours += 100;
        }
        child.finish();
        done.store(true, Ordering::Relaxed);
    });
    drop(db);
    assert_whole(&path, ours, CHILD_UPDATES);
}

/// Goal: we open, read and close the file in the middle of the other library's transactions, while a
/// second process writes: the other library's rows are all there too.
#[needs(second_sqlite)]
#[test]
fn our_close_loses_nothing_of_the_other_library() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    db.store(update_of("ours", 0, 1)).unwrap();
    drop(db);
    let other = Other::open(&path);
    other.must("CREATE TABLE notes (n INTEGER PRIMARY KEY, text TEXT)");
    let child = child::start("two_libraries::writes_beside", &path, "");
    for n in 0..150 {
        other.must("BEGIN IMMEDIATE");
        (0..10)
            .for_each(|i| other.must(&format!("INSERT INTO notes VALUES ({}, 'x')", n * 10 + i)));
        let reader = SimulationDatabase::open_read_only(&path).unwrap();
        assert_eq!(reader.timestamps("ours").unwrap(), [0]);
        drop(reader);
        if n % 10 == 0 {
            drop(SimulationDatabase::open(&path).unwrap());
        }
        other.must("COMMIT");
        std::thread::sleep(Duration::from_millis(1)); // the child's turn
    }
    child.finish();
    drop(other);
    assert_whole(&path, 1, CHILD_UPDATES);
    let db = SimulationDatabase::open_read_only(&path).unwrap();
    let found = db.database().sql("SELECT count(*), max(n) FROM notes").unwrap();
    assert_eq!(found.rows, [[Value::Integer(1500), Value::Integer(1499)]]);
}

/// Goal: a lock that somebody holds gives the caller an error of its own kind after the time-out
/// that it chose, nothing is stored, and the next write goes well.
#[needs(second_sqlite)]
#[test]
fn a_lock_held_too_long_is_busy_after_the_chosen_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let waits = Duration::from_millis(300);
    let _decides = Database::builder(&path).busy_timeout(waits).open().unwrap();
    let db = SimulationDatabase::open(&path).unwrap();
    db.store(update_of("ours", 0, 1)).unwrap();
    let other = Other::open(&path);
    other.must("BEGIN IMMEDIATE");
    let start = Instant::now();
    let refused = db.store(update_of("ours", 1, 1));
    let waited = start.elapsed();
    let Err(Error::Busy { waited_ms, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(waited_ms, 300);
    assert!(waited >= waits && waited < Duration::from_secs(5), "it waited {waited:?}");
    other.must("COMMIT");
    assert_eq!(stored(&db, "ours"), [0]);
    db.store(update_of("ours", 1, 1)).unwrap();
    assert_eq!(stored(&db, "ours"), [0, 1]);
}

#[test]
#[ignore = "run by the tests of two libraries"]
fn writes_beside() {
    let Some((path, _)) = mission() else { return };
    let db = SimulationDatabase::open(&path).unwrap();
    for n in 0..CHILD_UPDATES {
        db.store(update_of("child", n, 2)).unwrap();
    }
}
