//! Files that are not ours, damaged, too new, or where we may not write; and copies of a live file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use siltstone::simulation::{Options, SimulationDatabase, Timeline, Update};
use siltstone::{Codec, Database, Error, Result};
use siltstone_needs::needs;

use crate::child::Random;
use crate::crash::{assert_same, update_of};

fn write_updates(db: &SimulationDatabase, numbers: std::ops::Range<i64>) {
    db.store_updates(numbers.map(|n| update_of("net", n, 9)).collect()).unwrap();
}

/// A file at rest: no log beside it.
fn file_of_updates(path: &Path, updates: i64, codec: Codec) {
    let options = Options { codec, ..Options::default() };
    let db = SimulationDatabase::open_with(path, options).unwrap();
    write_updates(&db, 0..updates);
    db.close().unwrap();
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Opening in either way is refused, and nothing in the folder has changed.
fn assert_refused(path: &Path, why: impl Fn(&Error) -> bool) {
    let (before, bytes) = (names(path.parent().unwrap()), fs::read(path).ok());
    let opened = [
        SimulationDatabase::open(path).map(drop),
        SimulationDatabase::open_read_only(path).map(drop),
        Database::builder(path).open().map(drop),
    ];
    for result in opened {
        let Err(error) = result else { panic!("{} was opened", path.display()) };
        assert!(why(&error), "{error:?}");
        assert!(error.to_string().contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
    }
    assert_eq!(fs::read(path).ok(), bytes, "the file changed");
    assert_eq!(names(path.parent().unwrap()), before, "something was left beside it");
}

/// Goal: what is not a database of ours is named and left byte for byte as it is.
#[test]
fn foreign_files_are_refused_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("folder.db")).unwrap();
    assert_refused(&at("folder.db"), |e| matches!(e, Error::Invalid { .. }));
    fs::write(at("text.db"), "timestamp,iteration\n".repeat(500)).unwrap();
    assert_refused(&at("text.db"), |e| matches!(e, Error::NotOurs { .. }));
    fs::write(at("short.db"), "xy").unwrap(); // of one byte SQLite says that it is empty
    assert_refused(&at("short.db"), |e| matches!(e, Error::NotOurs { .. }));
    let missing = SimulationDatabase::open_read_only(at("missing.db"));
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    assert!(!at("missing.db").exists());
}

/// Goal: an SQLite database of another program, and one of a newer Siltstone, likewise.
#[needs(second_sqlite)]
#[test]
#[cfg(target_os = "linux")]
fn other_programs_databases_and_newer_ones_are_left_as_they_are() {
    use crate::two_libraries::Other;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let other = Other::open(&path);
    other.must("CREATE TABLE contacts (name TEXT); INSERT INTO contacts VALUES ('x')");
    drop(other);
    assert_refused(&path, |e| matches!(e, Error::NotOurs { why, .. } if why.contains("program")));
    let other = Other::open(&path);
    other.must("PRAGMA application_id = 77");
    drop(other);
    assert_refused(&path, |e| matches!(e, Error::NotOurs { why, .. } if why.contains("0x4d")));

    let path = folder.path().join("newer.db");
    file_of_updates(&path, 3, Codec::Raw);
    let other = Other::open(&path);
    other.must("UPDATE siltstone_schema SET version = 99; PRAGMA wal_checkpoint(TRUNCATE)");
    drop(other);
    let bytes = fs::read(&path).unwrap();
    for result in [SimulationDatabase::open(&path), SimulationDatabase::open_read_only(&path)] {
        let Err(Error::TooNew { file_version: 99, .. }) = result else { panic!("{result:?}") };
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(names(folder.path()).len(), 2, "{:?}", names(folder.path()));
}

/// What a reader gets out of a file, by every way in; none may panic.
fn read_all(path: &Path) -> Result<Vec<Update>> {
    let db = SimulationDatabase::open_read_only(path)?;
    db.run()?;
    let mut all = Vec::new();
    for dataset in db.datasets()? {
        all.extend(db.updates(&dataset)?);
        for timestamp in db.timestamps(&dataset)?.into_iter().step_by(97) {
            db.state_at(&dataset, "roads", timestamp)?;
        }
    }
    Ok(all)
}

/// Whether `verify` sees anything, or cannot even open the file.
fn is_seen(path: &Path) -> bool {
    let verified = Database::builder(path).open_read_only().and_then(|db| db.verify());
    verified.map_or(true, |report| !report.is_ok())
}

/// Goal: a file cut off anywhere is refused or found to be damaged, never read as if it were whole.
#[test]
fn a_truncated_file_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    file_of_updates(&path, 300, Codec::Raw);
    let bytes = fs::read(&path).unwrap();
    let whole = read_all(&path).unwrap();
    for part in 0..40 {
        let size = 1 + (bytes.len() - 1) * part / 40;
        let cut = folder.path().join(format!("cut-{part}.db"));
        fs::write(&cut, &bytes[..size]).unwrap();
        assert!(is_seen(&cut), "{size} of {} bytes verify", bytes.len());
        if let Ok(read) = read_all(&cut) {
            assert!(read == whole, "{size} of {} bytes read as something else", bytes.len());
        }
    }
}

/// Goal: of a thousand flipped bytes none panics, and none changes a number that is read without an
/// error: an array has its checksum. What has none (names, times, references) is seen by `verify`
/// wherever SQLite keeps it twice.
#[test]
fn a_flipped_byte_never_changes_a_number_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let (mut errors, mut seen, mut unread, mut renamed) = (0, 0, 0, 0);
    for codec in [Codec::Raw, Codec::Auto] {
        let path = folder.path().join(format!("{codec}.db"));
        file_of_updates(&path, 400, codec);
        let bytes = fs::read(&path).unwrap();
        let whole = read_all(&path).unwrap();
        let mut random = Random(bytes.len() as u64);
        let damaged = folder.path().join("damaged.db");
        let header = (16..100).step_by(3);
        let positions = (0..320).map(|_| random.below(bytes.len() as u64) as usize);
        let positions: Vec<usize> = header.chain(positions).collect();
        for position in positions {
            let mut copy = bytes.clone();
            copy[position] ^= 1 << random.below(8);
            fs::write(&damaged, &copy).unwrap();
            let verified = is_seen(&damaged);
            seen += usize::from(verified);
            match read_all(&damaged) {
                Err(_) => errors += 1,
                Ok(read) if read == whole => unread += usize::from(!verified),
                Ok(read) => {
                    renamed += usize::from(!verified);
                    for update in &read {
                        assert_numbers(update, &whole, position);
                    }
                }
            }
            for end in ["-wal", "-shm"] {
                let _ = fs::remove_file(folder.path().join(format!("damaged.db{end}")));
            }
        }
    }
    println!(
        "{seen} seen by verify, {errors} refused when read; unseen: {unread} that change nothing \
         that is read, {renamed} in names or references"
    );
    assert!(seen > 350, "verify saw only {seen}");
}

/// Each array is one that was stored, in whatever update.
fn assert_numbers(update: &Update, whole: &[Update], position: usize) {
    let arrays = |update: &Update| {
        let attributes = update.data.iter().flat_map(|group| group.attributes.clone());
        attributes.map(|(_, attribute)| attribute).collect::<Vec<_>>()
    };
    let expected = whole.iter().find(|one| one.timestamp == update.timestamp);
    for attribute in arrays(update) {
        let there = expected.is_some_and(|one| arrays(one).contains(&attribute))
            || whole.iter().any(|one| arrays(one).contains(&attribute));
        assert!(there, "byte {position} changed numbers of update {}", update.timestamp);
    }
}

/// A file of movici's tables, which take values of any type.
#[cfg(target_os = "linux")]
const MOVICI: &str = "
    CREATE TABLE metadata (id INTEGER PRIMARY KEY, version VARCHAR(10) NOT NULL);
    CREATE TABLE numpy_array (id INTEGER PRIMARY KEY, dtype VARCHAR(20), shape JSON, data BLOB);
    CREATE TABLE \"update\" (id INTEGER PRIMARY KEY, timestamp INTEGER, iteration INTEGER,
        dataset_name VARCHAR, origin VARCHAR, UNIQUE (timestamp, iteration, dataset_name));
    CREATE TABLE attribute_data (id INTEGER PRIMARY KEY, entity_group VARCHAR,
        attribute_name VARCHAR, data_id INTEGER, indptr_id INTEGER, min_val FLOAT, max_val FLOAT);
    CREATE TABLE update_attribute (update_id INTEGER, attribute_data_id INTEGER,
        PRIMARY KEY (update_id, attribute_data_id));
    CREATE TABLE initial_dataset (id INTEGER PRIMARY KEY, dataset_name VARCHAR UNIQUE,
        format VARCHAR, data BLOB);
    CREATE TABLE initial_dataset_attribute (initial_dataset_id INTEGER, attribute_data_id INTEGER);
    INSERT INTO numpy_array VALUES (11, '<i8', '[2]', x'01000000000000000200000000000000');
    INSERT INTO numpy_array VALUES (12, '<f8', '[2]', x'000000000000f03f0000000000000040');
    INSERT INTO numpy_array VALUES (13, '<i8', '[3]',
        x'000000000000000001000000000000000200000000000000');
    INSERT INTO \"update\" VALUES (21, 0, 0, 'net', NULL);
    INSERT INTO attribute_data VALUES (31, 'roads', 'id', 11, NULL, NULL, NULL);
    INSERT INTO attribute_data VALUES (32, 'roads', 'x', 12, NULL, NULL, NULL);
    INSERT INTO attribute_data VALUES (33, 'roads', 'lists', 12, 13, NULL, NULL);
    INSERT INTO update_attribute VALUES (21, 31), (21, 32), (21, 33);";

/// Goal: rows that no careful program writes are an error that names the row, from every way of
/// reading and before and after the file is upgraded; `verify` finds arrays that cannot be read.
#[needs(second_sqlite)]
#[test]
#[cfg(target_os = "linux")]
fn hostile_rows_are_errors_that_name_the_row() {
    use crate::two_libraries::Other;
    let array = |set: &str| format!("UPDATE numpy_array SET {set}");
    let cases = [
        (array("shape = '[1000000000000000000]' WHERE id = 12"), "numpy_array row 12"),
        (array("shape = '[1e18]' WHERE id = 12"), "numpy_array row 12"),
        (array("shape = '[4611686018427387904, 4]' WHERE id = 12"), "numpy_array row 12"),
        (array("shape = '[-2]' WHERE id = 12"), "numpy_array row 12"),
        (array("shape = x'5b325d' WHERE id = 12"), "numpy_array row 12"),
        (array("shape = 2 WHERE id = 12"), "numpy_array row 12"),
        (array("shape = '[' WHERE id = 12"), "numpy_array row 12"),
        (array("dtype = 'O' WHERE id = 12"), "numpy_array row 12"),
        (array("dtype = '|O8' WHERE id = 12"), "numpy_array row 12"),
        (array("dtype = '<f1' WHERE id = 12"), "numpy_array row 12"),
        (array("dtype = NULL WHERE id = 12"), "numpy_array row 12"),
        (array("dtype = x'3c6638' WHERE id = 12"), "numpy_array row 12"),
        (array("data = x'00' WHERE id = 12"), "numpy_array row 12"),
        (array("data = 'text' WHERE id = 12"), "numpy_array row 12"),
        (array("data = NULL WHERE id = 12"), "numpy_array row 12"),
        (
            array("data = x'000000000000000001000000000000000900000000000000' WHERE id = 13"),
            "roads/lists",
        ),
        (
            array("data = x'0000000000000000ffffffffffffffff0200000000000000' WHERE id = 13"),
            "roads/lists",
        ),
        (array("shape = '[]', data = x'0000000000000000' WHERE id = 12"), "a single value"),
        (array("shape = '[1]', data = x'0000000000000000' WHERE id = 12"), "roads/"),
        ("DELETE FROM numpy_array WHERE id = 12".into(), "numpy_array row 12"),
        (
            "UPDATE attribute_data SET data_id = 'first' WHERE id = 32".into(),
            "attribute_data row 32",
        ),
        ("UPDATE attribute_data SET data_id = NULL WHERE id = 32".into(), "attribute_data row 32"),
        ("UPDATE attribute_data SET indptr_id = 1.5 WHERE id = 33".into(), "attribute_data row 33"),
        (
            "UPDATE attribute_data SET entity_group = x'00' WHERE id = 32".into(),
            "attribute_data row 32",
        ),
        (
            "UPDATE attribute_data SET attribute_name = NULL WHERE id = 32".into(),
            "attribute_data row 32",
        ),
        ("UPDATE \"update\" SET timestamp = 'soon' WHERE id = 21".into(), "update row 21"),
        // What numpy integers become without an adapter.
        (
            "UPDATE \"update\" SET timestamp = x'0a00000000000000' WHERE id = 21".into(),
            "update row 21",
        ),
        ("UPDATE \"update\" SET timestamp = 0.5 WHERE id = 21".into(), "update row 21"),
        (
            "UPDATE \"update\" SET iteration = x'0000000000000000' WHERE id = 21".into(),
            "update row 21",
        ),
        ("UPDATE \"update\" SET iteration = NULL WHERE id = 21".into(), "update row 21"),
        ("UPDATE \"update\" SET origin = x'ff' WHERE id = 21".into(), "update row 21"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (k, (sql, row)) in cases.iter().enumerate() {
        let path = folder.path().join(format!("hostile-{k}.db"));
        let other = Other::open(&path);
        other.must(MOVICI);
        let good = read_all(&path).unwrap();
        assert_eq!(good.len(), 1);
        other.must(sql);
        drop(other);
        let as_it_is = SimulationDatabase::open_read_only(&path).unwrap();
        let upgraded = SimulationDatabase::open(&path).unwrap();
        let timeline = Timeline { reference: 0.0, time_scale: 1.0, start_time: 0 };
        upgraded.set_timeline(timeline).unwrap(); // the first write
        for (way, db) in [("as it is", as_it_is), ("upgraded", upgraded)] {
            let mut reported = vec![("updates", db.updates("net").map(drop))];
            reported.push(("state", db.state_at("net", "roads", 5).map(drop)));
            if row.starts_with("update row")
                && !sql.contains("iteration")
                && !sql.contains("origin")
            {
                reported.push(("timestamps", db.timestamps("net").map(drop)));
            }
            for (call, result) in reported {
                match result {
                    Err(error @ Error::Corrupt { .. }) if error.to_string().contains(row) => {}
                    other => wrong.push(format!("{sql}: {call} {way}: {other:?}")),
                }
            }
            match db.database().verify() {
                Ok(report)
                    if !row.contains(" row ") || sql.contains("origin") || !report.is_ok() => {}
                other => wrong.push(format!("{sql}: verify {way}: {other:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} answers are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Goal: a full disk refuses a write as an error of the system, keeps all that was acknowledged, and
/// once there is room again goes on.
#[needs(small_disk)]
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let _mounted = crate::shared::Mounted::small(folder.path());
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    let ballast = folder.path().join("ballast");
    fs::write(&ballast, vec![1; 512 << 10]).unwrap();
    let (mut acked, mut refused) = (Vec::new(), 0);
    for n in 0..100_000 {
        match db.store(update_of("net", n, 9)) {
            Ok(_) => acked.push(n),
            Err(Error::Io { why, .. }) => {
                assert!(why.contains("full"), "{why}");
                refused += 1;
                if refused == 5 {
                    break;
                }
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(refused == 5 && acked.len() > 50, "{refused} refused after {}", acked.len());
    assert_eq!(db.timestamps("net").unwrap(), acked);
    fs::remove_file(ballast).unwrap();
    db.store(update_of("net", 100_000, 9)).unwrap();
    acked.push(100_000);
    db.close().unwrap();
    let db = SimulationDatabase::open(&path).unwrap();
    let updates = db.updates("net").unwrap();
    updates.iter().for_each(assert_same);
    assert!(updates.iter().map(|u| u.timestamp).eq(acked));
    assert!(db.database().verify().unwrap().is_ok());
}

/// Goal: a file or folder that may not be written can be read, and opening it for writing is an
/// error of the system that leaves nothing behind.
#[test]
#[cfg(unix)]
fn what_may_not_be_written_can_be_read() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let folder = tempfile::tempdir().unwrap();
    let set =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(folder.path(), 0o755);
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("run.db");
    file_of_updates(&path, 20, Codec::Raw);
    set(&path, 0o444);
    set(&inner, 0o555);
    let program = folder.path().join("program");
    let mut command = crate::child::command("hostile::reads_what_it_may_not_write", &path, "");
    // SAFETY: asks for a number.
    if unsafe { libc::geteuid() } == 0 {
        // Permissions do not bind this user: the child is nobody, and runs a copy that it can reach.
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let mut other = std::process::Command::new(&program);
        other.args(command.get_args()).uid(65534).gid(65534).current_dir("/");
        for (name, value) in command.get_envs() {
            other.env(name, value.unwrap());
        }
        other.stdout(std::process::Stdio::piped());
        command = other;
    }
    let said = crate::child::Child::from(command).finish();
    set(&inner, 0o755);
    assert!(said.iter().any(|line| line.contains("read it all")), "{said:?}");
    assert_eq!(names(&inner), ["run.db".to_owned()].into());
}

#[test]
#[ignore = "run by what_may_not_be_written_can_be_read"]
fn reads_what_it_may_not_write() {
    let Some((path, _)) = crate::child::mission() else { return };
    assert!(fs::write(path.with_extension("probe"), "x").is_err(), "this user may write here");
    let db = SimulationDatabase::open_read_only(&path).unwrap();
    let updates = db.updates("net").unwrap();
    assert_eq!(updates.len(), 20);
    updates.iter().for_each(assert_same);
    assert!(db.database().verify().unwrap().is_ok());
    drop(db);
    let refused = SimulationDatabase::open(&path);
    let Err(Error::Io { .. }) = refused else { panic!("{refused:?}") };
    let refused = SimulationDatabase::open(path.with_file_name("new.db"));
    let Err(Error::Io { .. }) = refused else { panic!("{refused:?}") };
    crate::child::say(format_args!("read it all"));
}
