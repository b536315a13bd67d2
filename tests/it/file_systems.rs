//! Targets on another file system than the temporary folder, files that were moved to one, and what another user left.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use siltstone::memory::{MemoryStore, NewEpisode};
use siltstone::series::meteaudata::{WriteDatasetOptions, read_dataset, write_dataset};
use siltstone::series::{
    IndexRange, MemoryBackend, ParquetBackend, Series, SqliteBackend, StorageBackend,
    TransferOptions, transfer,
};
use siltstone::simulation::{ExportFormat, ExportOptions, SimulationDatabase, export};
use siltstone::table::{self, Format, WriteOptions};
use siltstone::{Array, Database, Error, restore};
use siltstone_needs::needs;
use tempfile::TempDir;

use crate::crash::update_of;

/// A folder among the temporary ones, and one on another file system.
fn two_file_systems() -> [TempDir; 2] {
    let here = tempfile::tempdir().unwrap();
    let there = ["/dev/shm", "/run", "/var/tmp"].into_iter().find_map(|root| {
        let folder = tempfile::tempdir_in(root).ok()?;
        let device = |folder: &TempDir| fs::metadata(folder.path()).unwrap().dev();
        (device(&folder) != device(&here)).then_some(folder)
    });
    [here, there.expect("there is another file system, and this process may write there")]
}

fn points() -> Series {
    Series::from_times_ns(&[1, 2, 3], &[1.0, 2.0, 3.0]).unwrap()
}

/// What lies in a folder under a temporary name.
fn unfinished(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().contains(".partial-")).count()
}

/// Goal: a backup, a restore, an export of each kind and a copy have their target on another file system than the database and
/// the temporary folder: none of them renames across.
#[needs(two_file_systems)]
#[test]
fn targets_may_be_on_another_file_system() {
    let [here, there] = two_file_systems();
    let (db, at) = (here.path().join("run.db"), |name: &str| there.path().join(name));
    let run = SimulationDatabase::open(&db).unwrap();
    run.store_updates((0..3).map(|n| update_of("net", n, 5)).collect()).unwrap();
    let count = |path: &Path| {
        let db = SimulationDatabase::open_read_only(path).unwrap();
        assert!(db.database().verify().unwrap().is_ok());
        db.update_count(None).unwrap()
    };
    run.database().backup(at("a.db")).unwrap();
    restore(at("a.db"), here.path().join("back.db"), false).unwrap();
    restore(&db, at("restored.db"), false).unwrap();
    for path in [at("a.db"), here.path().join("back.db"), at("restored.db")] {
        assert_eq!(count(&path), 3);
    }
    let kept = run.database().backup_into(at("backups"), 1).unwrap().path;
    let next = run.database().backup_into(at("backups"), 1).unwrap();
    assert_eq!((next.removed, count(&next.path)), (vec![kept], 3));
    for (format, name) in
        [(ExportFormat::Json, "json"), (ExportFormat::Table(Format::Parquet), "tables")]
    {
        let options = ExportOptions { target: at(name), format, ..ExportOptions::default() };
        export(&run, &options, &mut |_, _| Ok(())).unwrap();
        assert!(fs::read_dir(at(name)).unwrap().count() > 0);
    }
    let memory = MemoryBackend::new();
    memory.save("plant/flow#1/RAW#1", &points(), &Default::default()).unwrap();
    let batches = memory.scan("plant/flow#1/RAW#1", &IndexRange::all()).unwrap();
    table::write(
        at("a.csv"),
        batches,
        &WriteOptions { format: Format::Csv, ..Default::default() },
        &mut |_, _| Ok(()),
    )
    .unwrap();
    for name in ["plant.zip", "plant"] {
        write_dataset(&memory, "plant", at(name), &WriteDatasetOptions::default()).unwrap();
        assert_eq!(read_dataset(at(name)).unwrap().signals.len(), 1);
    }
    let folder = ParquetBackend::open(at("folder")).unwrap();
    let file = SqliteBackend::open(at("series.db")).unwrap();
    for target in [&folder as &dyn StorageBackend, &file] {
        transfer(&memory, target, &TransferOptions::default(), &mut |_, _| Ok(())).unwrap();
        assert_eq!(target.load("plant/flow#1/RAW#1").unwrap().0, points());
    }
    siltstone::write_file(at("notes.txt"), b"new").unwrap();
    for folder in
        [there.path().to_owned(), at("backups"), at("json"), at("tables"), here.path().into()]
    {
        assert_eq!(unfinished(&folder), 0, "{}", folder.display());
    }
}

/// As `mv` does it: to another file system it copies, and removes.
fn move_file(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(from.with_file_name(format!("run.db{end}")));
    }
}

/// Goal: a file that was moved to another file system is read and written there; it forgets its backups, and removes none of
/// them, also with the same `keep`.
#[needs(two_file_systems)]
#[test]
fn a_file_that_was_moved_to_another_file_system_forgets_its_backups() {
    let [here, there] = two_file_systems();
    let (db, moved) = (here.path().join("run.db"), there.path().join("run.db"));
    let backups = here.path().join("backups");
    let store = SimulationDatabase::open(&db).unwrap();
    store.store_updates(vec![update_of("net", 0, 5)]).unwrap();
    let kept = [(); 2].map(|()| store.database().backup_into(&backups, 2).unwrap().path);
    store.close().unwrap();
    move_file(&db, &moved);
    let store = SimulationDatabase::open(&moved).unwrap();
    store.store_updates(vec![update_of("net", 1, 5)]).unwrap();
    let first = store.database().backup_into(&backups, 1).unwrap();
    assert!(first.removed.is_empty() && kept.iter().all(|backup| backup.exists()), "{first:?}");
    let second = store.database().backup_into(&backups, 1).unwrap();
    assert_eq!(second.removed, [first.path]);
    assert_eq!(store.update_count(None).unwrap(), 2);
    // Moved back it is another one still.
    store.close().unwrap();
    move_file(&moved, &db);
    let third = Database::builder(&db).open().unwrap().backup_into(&backups, 1).unwrap();
    assert!(third.removed.is_empty() && second.path.exists(), "{third:?}");
}

/// Goal: a file that is moved to another file system while it is open takes no more writes through the old handle, each of which
/// says so; what was acknowledged before is in the file that was moved, if its log went along, and goes on from there.
#[needs(two_file_systems)]
#[test]
fn a_file_that_is_moved_while_it_is_open_takes_no_writes() {
    let [here, there] = two_file_systems();
    let (db, moved) = (here.path().join("run.db"), there.path().join("run.db"));
    let store = SimulationDatabase::open(&db).unwrap();
    store.store_updates((0..3).map(|n| update_of("net", n, 5)).collect()).unwrap();
    fs::copy(here.path().join("run.db-wal"), there.path().join("run.db-wal")).unwrap();
    move_file(&db, &moved);
    for n in 3..5 {
        let refused = store.store_updates(vec![update_of("net", n, 5)]);
        let Err(error @ Error::Closed { .. }) = refused else { panic!("{refused:?}") };
        assert!(error.to_string().contains("run.db"), "{error}");
    }
    let there = SimulationDatabase::open(&moved).unwrap();
    there.store_updates(vec![update_of("net", 3, 5)]).unwrap();
    assert!(there.database().verify().unwrap().is_ok());
    let times: Vec<i64> = there.updates("net").unwrap().iter().map(|u| u.timestamp).collect();
    assert_eq!(times, [0, 1, 2, 3]);
    assert!(!db.exists(), "the old handle makes no file of that name");
}

/// Goal: what a killed process of another user left stays, also for root, and what one of ours left goes; what versions before
/// this one left stays.
#[needs(root)]
#[test]
fn what_another_user_left_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (ours, theirs) = (
        [at(".a.db.partial-00000000000000aa"), at(".a.partial-00000000000000ab")],
        [at(".a.db.partial-00000000000000ba"), at(".a.partial-00000000000000bb")],
    );
    for [file, folder] in [&ours, &theirs] {
        fs::write(file, "half").unwrap();
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("half"), "half").unwrap();
    }
    theirs.iter().for_each(|path| chown(path, Some(65_534), None).unwrap());
    let early = at(".a.db.partial-4711-0");
    fs::write(&early, "half").unwrap();
    let db = Database::builder(at("run.db")).open().unwrap();
    db.backup(at("a.db")).unwrap();
    assert!(ours.iter().all(|path| !path.exists()), "ours stay");
    assert!(theirs.iter().all(|path| path.exists()) && early.exists(), "what is not ours is gone");
    chown(&theirs[0], Some(0), None).unwrap();
    db.backup(at("b.db")).unwrap();
    assert!(!theirs[0].exists() && theirs[1].exists());
}

/// Goal: a memory store makes its backup on another file system, replaces it, and restores it from there.
#[needs(two_file_systems)]
#[test]
fn a_memory_is_backed_up_to_another_file_system() {
    let [here, there] = two_file_systems();
    let store = MemoryStore::open(here.path().join("agent.db")).unwrap();
    let add = || store.store_episode(NewEpisode::new(Array::from_slice(&[1.0]), 0.5, "c")).unwrap();
    let target = there.path().join("agent.db");
    add();
    store.create_backup(Some(&target), 1).unwrap();
    add();
    store.create_backup(Some(&target), 1).unwrap();
    add();
    store.restore_backup(&target).unwrap();
    let rows = store.database().sql("SELECT count(*) FROM episodes").unwrap().rows;
    assert_eq!(rows, [[siltstone::Value::Integer(2)]]);
}
