//! Backups of a live file, retention, restore, vacuum.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use siltstone::simulation::{OnRepeat, Options, SimulationDatabase};
use siltstone::{Database, Error, Value, restore};

use crate::crash::{assert_same, update_of};

fn timestamps(path: &Path) -> Vec<i64> {
    let db = SimulationDatabase::open_read_only(path).unwrap();
    assert!(db.database().verify().unwrap().is_ok());
    let updates = db.updates("net").unwrap();
    updates.iter().for_each(assert_same);
    updates.iter().map(|update| update.timestamp).collect()
}

fn write_updates(db: &SimulationDatabase, numbers: std::ops::Range<i64>) {
    db.store_updates(numbers.map(|n| update_of("net", n, 5)).collect()).unwrap();
}

/// Goal: a link, or a file, that somebody planted under a name that a temporary file could have is neither followed nor in the
/// way, also if the process has the number of the one that left it.
#[cfg(unix)]
#[test]
fn a_planted_temporary_name_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    write_updates(&db, 0..3);
    let own = std::process::id();
    for n in 0..1000 {
        let planted = folder.path().join(format!(".copy.db.partial-{own}-{n}"));
        match n % 2 {
            0 => std::os::unix::fs::symlink(&victim, planted).unwrap(),
            _ => fs::write(planted, "left").unwrap(),
        }
    }
    let copy = folder.path().join("copy.db");
    db.database().backup(&copy).unwrap();
    assert_eq!(timestamps(&copy), [0, 1, 2]);
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
}

/// Goal: backups made while the file is written are each one snapshot, whole, with what was
/// acknowledged before they began, and leave nothing else behind.
#[test]
fn a_backup_of_a_live_file_is_a_whole_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    write_updates(&db, 0..2000);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut n = 2000;
            while !done.load(Ordering::Relaxed) {
                db.store(update_of("net", n, 5)).unwrap();
                n += 1;
            }
            n
        });
        let mut last = 0;
        for k in 0..5 {
            let before = db.update_count(None).unwrap() as usize;
            let target = folder.path().join(format!("copy-{k}.db"));
            let report = db.database().backup(&target).unwrap();
            let found = timestamps(&target);
            assert!(found.iter().copied().eq(0..found.len() as i64));
            assert!(found.len() >= before && before >= last, "{} < {before}", found.len());
            assert!(report.rows.contains(&("update".into(), found.len() as u64)));
            assert_eq!(report.size_bytes, fs::metadata(&target).unwrap().len());
            last = found.len();
        }
        done.store(true, Ordering::Relaxed);
        assert!(writer.join().unwrap() > 2000, "nothing was written in the meantime");
    });
    let target = folder.path().join("copy-0.db");
    let again = db.database().backup(&target);
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
    let stop = |_: u64, _: u64| Err(Error::Interrupted { action: "backing up" });
    let stopped = db.database().backup_with(&folder.path().join("stopped.db"), &mut { stop });
    assert!(matches!(stopped, Err(Error::Interrupted { .. })), "{stopped:?}");
    db.close().unwrap();
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "run.db" && !(name.starts_with("copy-") && name.ends_with(".db")))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Goal: retention removes the oldest of its own backups, after the newest is there, and no other
/// file, however alike its name is.
#[test]
fn retention_removes_only_backups_that_it_made() {
    let folder = tempfile::tempdir().unwrap();
    let backups = folder.path().join("backups");
    fs::create_dir(&backups).unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let foreign = ["run-1.db", "run-99999999999999999999.db", "run.db", "notes.txt"];
    foreign.iter().for_each(|name| fs::write(backups.join(name), name).unwrap());
    let mut made = Vec::new();
    for n in 0..5 {
        write_updates(&db, n..n + 1);
        let report = db.database().backup_into(&backups, 2).unwrap();
        made.push(report.path);
        assert!(report.removed.len() <= 1, "{:?}", report.removed);
    }
    let there: Vec<bool> = made.iter().map(|path| path.exists()).collect();
    assert_eq!(there, [false, false, false, true, true]);
    for name in foreign {
        assert_eq!(fs::read_to_string(backups.join(name)).unwrap(), name);
    }
    assert_eq!(timestamps(&made[4]), [0, 1, 2, 3, 4]);
    assert_eq!(fs::read_dir(&backups).unwrap().count(), foreign.len() + 2);
}

/// Goal: restore refuses an existing file unless told; told, it replaces the content under an open
/// handle, which goes on writing; a damaged backup is refused and the target stays.
#[test]
fn restore_refuses_unless_told_and_replaces_under_open_handles() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let db = SimulationDatabase::open(at("run.db")).unwrap();
    write_updates(&db, 0..50);
    db.database().backup(at("copy.db")).unwrap();
    write_updates(&db, 50..80);
    let refused = restore(at("copy.db"), at("run.db"), false);
    assert!(matches!(refused, Err(Error::Exists { .. })), "{refused:?}");
    assert_eq!(db.timestamps("net").unwrap().len(), 80);

    let mut bytes = fs::read(at("copy.db")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0x5a);
    fs::write(at("damaged.db"), bytes).unwrap();
    let refused = restore(at("damaged.db"), at("run.db"), true);
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    assert_eq!(db.timestamps("net").unwrap().len(), 80);
    fs::write(at("text.db"), "text".repeat(3000)).unwrap();
    for target in ["text.db", "folder-that-is-missing/../text.db"] {
        let refused = restore(at("copy.db"), at(target), true);
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(fs::read(at("text.db")).unwrap().len(), 12_000);
    }

    let report = restore(at("copy.db"), at("run.db"), true).unwrap();
    assert!(report.rows.contains(&("update".into(), 50)));
    assert!(db.timestamps("net").unwrap().into_iter().eq(0..50));
    // What the handle remembers of the old content must not leak into the new.
    write_updates(&db, 50..90);
    db.close().unwrap();
    assert!(timestamps(&at("run.db")).into_iter().eq(0..90));
    restore(at("copy.db"), at("fresh.db"), false).unwrap();
    assert!(timestamps(&at("fresh.db")).into_iter().eq(0..50));
}

/// Goal: vacuum gives the space of removed updates back, with what is left unchanged.
#[test]
fn vacuum_shrinks_the_file_and_keeps_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let options = Options { on_repeat: OnRepeat::Replace, ..Options::default() };
    let db = SimulationDatabase::open_with(&path, options).unwrap();
    write_updates(&db, 0..3000);
    let replaced = (0..100).map(|n| update_of("net", n, 6)).collect();
    db.store_updates(replaced).unwrap();
    assert_eq!(db.resume_from(99).unwrap(), 2900);
    db.database().checkpoint().unwrap();
    let before = fs::metadata(&path).unwrap().len();
    let freed = db.vacuum().unwrap();
    let after = fs::metadata(&path).unwrap().len();
    assert!(freed > before / 2 && after + freed <= before, "{before} - {freed} -> {after}");
    assert!(timestamps(&path).into_iter().eq(0..100));
    let orphans = "SELECT count(*) FROM numpy_array WHERE id NOT IN \
        (SELECT data_id FROM attribute_data UNION SELECT indptr_id FROM attribute_data \
         WHERE indptr_id IS NOT NULL)";
    assert_eq!(db.database().sql(orphans).unwrap().rows, [[Value::Integer(0)]]);
    let plain = Database::builder(&path).open().unwrap();
    assert_eq!(plain.vacuum().unwrap(), 0);
}
