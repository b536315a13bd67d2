//! What survives a loss of power, and what a failing disk leaves.

use std::path::{Path, PathBuf};

use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_READ, SQLITE_IOERR_WRITE};
use tempfile::TempDir;

use super::{Cut, Disk, Fault, Operation, seeds};
use crate::Error;
use crate::kernel::schema::{Migrations, Step};
use crate::kernel::{Database, Durability, Profile, Value};

/// A folder of the disk's own, below one that is removed in the end.
fn folder() -> (TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().canonicalize().unwrap().join("disk");
    std::fs::create_dir(&folder).unwrap();
    (outer, folder)
}

/// The content of row `n`: mostly small, sometimes pages long.
fn content(n: u64) -> Vec<u8> {
    let size = if n.is_multiple_of(7) { 9_000 } else { 40 + n as usize * 37 % 900 };
    (0..size as u64).map(|i| (n.wrapping_mul(31) ^ i.wrapping_mul(n + 17) >> 3) as u8).collect()
}

fn store(db: &Database, n: u64) -> Result<(), Error> {
    db.write(move |tx| {
        tx.execute("CREATE TABLE IF NOT EXISTS t(n INTEGER PRIMARY KEY, x BLOB)", [])?;
        // Two statements: half of it would show.
        tx.execute("INSERT INTO t VALUES (?1, NULL)", [n as i64])?;
        tx.execute("UPDATE t SET x = ?2 WHERE n = ?1", (n as i64, content(n))).map(drop)
    })
}

/// The rows of a file, each compared with what it should hold.
fn rows(db: &Database) -> Result<Vec<u64>, Error> {
    db.read(|tx| {
        let table = "SELECT 1 FROM sqlite_schema WHERE name = 't'";
        if tx.query_one(table, [], |_| Ok(()))?.is_none() {
            return Ok(Vec::new());
        }
        tx.query("SELECT n, x FROM t ORDER BY n", [], |row| {
            let n = row.get::<_, i64>(0)? as u64;
            assert!(row.get::<_, Option<Vec<u8>>>(1)?.as_deref() == Some(&content(n)), "row {n}");
            Ok(n)
        })
    })
}

/// Writes `WRITES` rows with everything between that moves the log about; the cuts on the way.
fn write_with_cuts(folder: &Path, durability: Durability, seed: u64) -> Vec<Cut> {
    const WRITES: u64 = 120;
    let disk = Disk::watch(folder, seed);
    disk.cut_every(25);
    let path = folder.join("x.db");
    let open = || {
        let builder = Database::builder(&path).durability(durability).profile(Profile::Small);
        builder.open().unwrap()
    };
    let mut db = open();
    for n in 0..WRITES {
        store(&db, n).unwrap();
        disk.acknowledge(n + 1);
        match (n + seed) % 40 {
            7 => db.flush().unwrap(),
            17 => db.checkpoint().unwrap(),
            27 => drop(db.vacuum().unwrap()),
            37 => {
                drop(db); // the log goes with the last handle
                db = open();
            }
            _ => {}
        }
    }
    drop(db);
    disk.take_cuts()
}

/// Opens what a cut left; the rows that are there, which must be the first so many.
fn survivors(cut: &Cut, seed: u64) -> u64 {
    let context = format!("seed {seed}, {}", cut.folder.display());
    let path = cut.folder.join("x.db");
    if !path.exists() {
        return 0;
    }
    let db = Database::builder(&path).open().unwrap_or_else(|error| panic!("{context}: {error}"));
    let report = db.verify().unwrap();
    assert!(report.is_ok(), "{context}: {:?}", report.findings);
    let rows = rows(&db).unwrap();
    assert!(rows.iter().copied().eq(0..rows.len() as u64), "{context}: {rows:?}");
    // And it can be written again.
    store(&db, rows.len() as u64).unwrap();
    rows.len() as u64
}

/// Goal: at `disk`, no loss of power at any instant costs an acknowledged write, and what is left is
/// whole: while a file is created, written, checkpointed, shrunk, closed and opened again.
#[test]
fn a_loss_of_power_costs_no_write_that_was_acknowledged_at_disk() {
    let mut cuts = 0;
    for seed in 0..seeds() {
        let (_outer, folder) = folder();
        for cut in write_with_cuts(&folder, Durability::Disk, seed) {
            let left = survivors(&cut, seed);
            let acked = cut.acknowledged;
            assert!(left >= acked, "seed {seed}: {left} rows of {acked} acknowledged");
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 100, "only {cuts} cuts");
}

/// Goal: at `os`, a loss of power may cost the last writes, and only these: the file is whole, and holds
/// the first so many.
#[test]
fn a_loss_of_power_at_os_leaves_the_first_writes_and_a_whole_file() {
    let (mut cuts, mut lost) = (0, 0);
    for seed in 0..seeds() {
        let (_outer, folder) = folder();
        for cut in write_with_cuts(&folder, Durability::Os, seed) {
            lost += u64::from(survivors(&cut, seed) < cut.acknowledged);
            cuts += 1;
        }
    }
    println!("{cuts} cuts, {lost} of them lost writes");
    assert!(cuts > 40, "only {cuts} cuts");
    assert!(lost > 0, "nothing was lost: the model of the disk is too kind");
}

/// Goal: whatever operation fails, and whenever: a write is acknowledged and there, or an error and
/// not there; the next one after the fault goes well, and so does the file when it is opened again.
#[test]
fn a_failing_disk_leaves_each_write_whole_or_out() {
    let faults = [
        (Operation::Write, SQLITE_IOERR_WRITE),
        (Operation::Write, SQLITE_FULL),
        (Operation::Sync, SQLITE_IOERR_FSYNC),
        (Operation::Read, SQLITE_IOERR_READ),
    ];
    let (mut refused, mut failed) = (0, 0);
    for (k, (operation, code)) in faults.into_iter().enumerate() {
        for after in 0..24 {
            let (_outer, folder) = folder();
            let disk = Disk::watch(&folder, 0);
            let path = folder.join("x.db");
            let open = || {
                let builder = Database::builder(&path).durability(Durability::Disk);
                builder.profile(Profile::Small).open().unwrap()
            };
            let mut db = open();
            (0..5).for_each(|n| store(&db, n).unwrap());
            db.checkpoint().unwrap();
            if operation == Operation::Read {
                // With nothing in the cache, so that there is something to read.
                drop(db);
                db = open();
            }
            let times = 1 + after % 3;
            disk.set_fault(Some(Fault { operation, after, times, code }));
            let mut there: Vec<u64> = (0..5).collect();
            for n in 5..14 {
                match store(&db, n) {
                    Ok(()) => there.push(n),
                    Err(error) => {
                        assert!(matches!(error, Error::Io { .. }), "{error:?}");
                        refused += 1;
                    }
                }
                if n % 3 == 0 {
                    let _ = db.checkpoint(); // it may meet the fault
                }
                if let Ok(found) = rows(&db) {
                    assert_eq!(found, there, "{operation:?} {code} after {after}");
                }
            }
            disk.set_fault(None);
            failed += disk.failed();
            let context = format!("fault {k}, after {after}");
            store(&db, 14).unwrap_or_else(|error| panic!("{context}: {error}"));
            there.push(14);
            assert_eq!(rows(&db).unwrap(), there, "{context}");
            drop(db);
            let db = open();
            assert_eq!(rows(&db).unwrap(), there, "{context}, opened again");
            assert!(db.verify().unwrap().is_ok(), "{context}");
        }
    }
    println!("{failed} operations failed, {refused} writes were refused");
    assert!(failed > 100 && refused > 50, "{failed} failures, {refused} refusals: too few");
}

/// Goal: a full disk refuses a whole group of tickets without losing one that was acknowledged, and
/// without hanging one that was not.
#[test]
fn a_full_disk_answers_every_ticket() {
    for after in 0..12 {
        let (_outer, folder) = folder();
        let disk = Disk::watch(&folder, 0);
        let db = Database::builder(folder.join("x.db")).open().unwrap();
        store(&db, 0).unwrap();
        let fault = Fault { operation: Operation::Write, after, times: 5, code: SQLITE_FULL };
        disk.set_fault(Some(fault));
        let submit = |n: u64| {
            let insert = "INSERT INTO t VALUES (?1, ?2)";
            db.submit(move |tx| tx.execute(insert, (n as i64, content(n))).map(drop)).unwrap()
        };
        let tickets: Vec<_> = (1..40).map(|n| (n, submit(n))).collect();
        let stored =
            tickets.into_iter().filter_map(|(n, ticket)| ticket.wait().is_ok().then_some(n));
        let there: Vec<u64> = std::iter::once(0).chain(stored).collect();
        disk.set_fault(None);
        assert_eq!(rows(&db).unwrap(), there, "after {after}");
        assert!(disk.failed() > 0);
    }
}

const FIRST: &str = "CREATE TABLE t(n INTEGER PRIMARY KEY, x BLOB)";
static OLD: Migrations = Migrations { store: "travel", steps: &[Step::Sql(FIRST)], summed: &[] };
static NEW: Migrations = Migrations {
    store: "travel",
    steps: &[
        Step::Sql(FIRST),
        Step::Sql(
            "ALTER TABLE t ADD COLUMN twice; UPDATE t SET twice = 2 * n; CREATE TABLE u AS SELECT n FROM t;",
        ),
    ],
    summed: &[],
};

/// The version of the tables, and whether all that makes it one is there, and nothing of another.
fn version(db: &Database) -> i64 {
    let one = |sql: &str| db.sql(sql).unwrap().rows[0][0].clone();
    let version = one("SELECT version FROM siltstone_schema WHERE store = 'travel'");
    let parts = "SELECT (SELECT count(*) FROM sqlite_schema WHERE name = 'u') + \
        (SELECT count(*) FROM pragma_table_info('t') WHERE name = 'twice')";
    match version {
        Value::Integer(1) => assert_eq!(one(parts), Value::Integer(0), "half a migration"),
        _ => {
            let whole =
                "SELECT (SELECT count(*) FROM t WHERE twice = 2 * n) + (SELECT count(*) FROM u)";
            assert_eq!((one(parts), one(whole)), (Value::Integer(2), Value::Integer(80)));
        }
    }
    let Value::Integer(version) = version else { panic!("{version:?}") };
    version
}

/// Goal: wherever a migration ends, by a loss of power or a failing disk, the file has the old tables or the new ones, with
/// every row, and the next opening brings it to the new ones.
#[test]
fn a_migration_is_whole_or_not_there() {
    let old = |folder: &Path| {
        let path = folder.join("x.db");
        let db = Database::builder(&path).durability(Durability::Disk).open().unwrap();
        db.write(|tx| tx.ensure(&OLD)).unwrap();
        (0..40).for_each(|n| store(&db, n).unwrap());
        path
    };
    let migrate = |path: &Path| {
        let db = Database::builder(path).durability(Durability::Disk).open()?;
        db.migrate(&NEW).map(|()| db)
    };
    let mut seen = [0; 3];
    for seed in 0..4 {
        let (_outer, folder) = folder();
        let disk = Disk::watch(&folder, seed);
        let path = old(&folder);
        disk.cut_every(1);
        drop(migrate(&path).unwrap());
        disk.cut_every(0);
        for cut in disk.take_cuts() {
            let path = cut.folder.join("x.db");
            let db = Database::builder(&path).open().unwrap();
            assert_eq!(rows(&db).unwrap().len(), 40);
            seen[version(&db) as usize] += 1;
            drop(db);
            let db = migrate(&path).unwrap();
            assert_eq!((version(&db), rows(&db).unwrap().len()), (2, 40));
            assert!(db.verify().unwrap().is_ok());
        }
    }
    println!("{seen:?} of each version");
    assert!(seen[1] > 5 && seen[2] > 0, "{seen:?} of each version: too few");
    let mut failed = 0;
    for after in 0..40 {
        for (operation, code) in
            [(Operation::Write, SQLITE_FULL), (Operation::Sync, SQLITE_IOERR_FSYNC)]
        {
            let (_outer, folder) = folder();
            let disk = Disk::watch(&folder, 0);
            let path = old(&folder);
            disk.set_fault(Some(Fault { operation, after, times: 3, code }));
            let migrated = migrate(&path).map(drop);
            disk.set_fault(None);
            failed += u64::from(migrated.is_err());
            let db = Database::builder(&path).open().unwrap();
            assert_eq!(rows(&db).unwrap().len(), 40);
            assert!(version(&db) == 2 || migrated.is_err(), "{operation:?} after {after}");
            drop(db);
            assert_eq!(version(&migrate(&path).unwrap()), 2);
        }
    }
    println!("{failed} migrations failed");
    assert!(failed > 20, "only {failed} migrations failed");
}

/// Goal: a backup that fails leaves no file of itself, and the one before it whole; the next one is made, and each that is
/// there is on record.
#[test]
fn a_backup_that_fails_leaves_the_one_before() {
    let (mut failed, mut late) = (0, 0);
    for (operation, code) in [
        (Operation::Write, SQLITE_FULL),
        (Operation::Write, SQLITE_IOERR_WRITE),
        (Operation::Sync, SQLITE_IOERR_FSYNC),
        (Operation::Read, SQLITE_IOERR_READ),
    ] {
        for after in 0..70 {
            let (_outer, folder) = folder();
            let disk = Disk::watch(&folder, 0);
            let db = Database::builder(folder.join("x.db")).profile(Profile::Small).open().unwrap();
            (0..20).for_each(|n| store(&db, n).unwrap());
            let before = db.backup_into(&folder, 3).unwrap().path;
            (20..40).for_each(|n| store(&db, n).unwrap());
            let names = || -> Vec<String> {
                let entries = std::fs::read_dir(&folder).unwrap().flatten();
                let names = entries.map(|entry| entry.file_name().into_string().unwrap());
                let mut names: Vec<_> = names
                    .filter(|name| {
                        name.starts_with("x-") && !name.ends_with("-wal") && !name.ends_with("-shm")
                    })
                    .collect();
                names.sort();
                names
            };
            let recorded = || -> Vec<_> {
                let recorded = db.recorded_backups().unwrap();
                recorded.into_iter().filter(|backup| backup.exists()).collect()
            };
            let there = names();
            disk.set_fault(Some(Fault { operation, after, times: 3, code }));
            let made = db.backup_into(&folder, 3);
            disk.set_fault(None);
            match &made {
                Ok(report) => {
                    let copy = Database::builder(&report.path).open_read_only().unwrap();
                    assert_eq!(rows(&copy).unwrap().len(), 40);
                }
                Err(_) => {
                    failed += 1;
                    // One that was written down is made: what failed then was the search for those that are too many.
                    let known = recorded();
                    late += known.len() - 1;
                    if let [new, _] = known.as_slice() {
                        let copy = Database::builder(new).open_read_only().unwrap();
                        assert_eq!(rows(&copy).unwrap().len(), 40);
                    } else {
                        assert_eq!(names(), there, "{operation:?} {code} after {after}");
                    }
                }
            }
            let copy = Database::builder(&before).open_read_only().unwrap();
            assert_eq!(rows(&copy).unwrap().len(), 20);
            assert!(copy.verify().unwrap().is_ok());
            let next = db.backup_into(&folder, 3).unwrap();
            assert!(next.path.exists());
            assert_eq!(recorded().len(), names().len());
            assert_eq!(next.removed, Vec::<PathBuf>::new());
        }
    }
    println!("{failed} backups failed, {late} of them when they were made");
    assert!(failed > 60 && late < 20, "{failed} backups failed, {late} late");
}
