//! Whose backups are whose, in which order, and which of them may go.

use std::fs;
use std::path::{Path, PathBuf};

use siltstone::memory::{MemoryStore, NewEpisode};
use siltstone::{Array, Database, Error, Value, restore};
use xxhash_rust::xxh3::xxh3_128;

use crate::child::mission;
use crate::syscalls::{self, arm};

/// Runs SQL on a file, as another program does.
fn edit(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn made(db: &Database, folder: &Path, keep: usize) -> (PathBuf, Vec<PathBuf>) {
    let report = db.backup_into(folder, keep).unwrap();
    assert!(report.path.exists(), "the backup that was just made is gone");
    (report.path, report.removed)
}

/// What was written down until now lies a day in the future: the clock was set back by a day.
const SET_BACK: &str = "UPDATE siltstone_backup SET created_ns = created_ns + 86400000000000";

/// Goal: a clock that is set back removes no newer backup than those that stay, and never the one just made.
#[test]
fn a_clock_set_back_removes_the_oldest_backup_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backups) = (folder.path().join("run.db"), folder.path().canonicalize().unwrap());
    let db = Database::builder(&path).open().unwrap();
    let [first, second] = [(); 2].map(|()| made(&db, &backups, 2).0);
    edit(&path, SET_BACK);
    let (third, removed) = made(&db, &backups, 2);
    assert_eq!(removed, std::slice::from_ref(&first));
    let (fourth, removed) = made(&db, &backups, 1);
    assert_eq!(removed, [third, second]);
    assert!(fourth.exists() && !first.exists());
}

fn memories(path: &Path) -> MemoryStore {
    let store = MemoryStore::open(path).unwrap();
    store.store_episode(NewEpisode::new(Array::from_slice(&[1.0]), 0.5, "c")).unwrap();
    store
}

/// Goal: after the clock was set back, the memory store returns a backup that is there, lists the newest first, and does not
/// wait until the clock has caught up with the last one.
#[test]
fn a_memory_store_is_backed_up_after_the_clock_was_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = memories(&path);
    let first = store.create_backup(None, 1).unwrap().path;
    edit(&path, SET_BACK);
    edit(&path, "UPDATE memory_info SET created = created + 86400, backup_begun = created + 86400");
    let due = store.backup_if_due(3600.0, 2).unwrap().expect("one is due");
    assert!(due.path.exists());
    assert_eq!(store.backup_if_due(3600.0, 2).unwrap(), None);
    assert_eq!(store.backups().unwrap(), [due.path.clone(), first.clone()]);
    let last = store.create_backup(None, 1).unwrap();
    assert!(last.path.exists());
    assert_eq!(last.removed, [due.path, first]);
    assert_eq!(store.backups().unwrap(), [last.path]);
}

/// Goal: a copy of a file, made with `cp` or by a restore to a new place, removes no backup of the file that it was copied
/// from, and keeps those of its own.
#[test]
fn a_copy_leaves_the_backups_of_the_file_that_it_was_copied_from() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let backups = at("backups");
    let db = Database::builder(at("run.db")).open().unwrap();
    let [first, second] = [(); 2].map(|()| made(&db, &backups, 2).0);
    db.close().unwrap();
    fs::create_dir(at("other")).unwrap();
    fs::copy(at("run.db"), at("other/run.db")).unwrap();
    restore(&second, at("restored.db"), false).unwrap();
    for name in ["other/run.db", "restored.db"] {
        let copy = Database::builder(at(name)).open().unwrap();
        let (own, removed) = made(&copy, &backups, 1);
        assert_eq!(removed, Vec::<PathBuf>::new(), "{name}");
        assert_eq!(made(&copy, &backups, 1).1, [own], "{name}");
    }
    assert!(first.exists() && second.exists());
    // The file keeps its name for itself under another name, too.
    fs::rename(at("run.db"), at("moved.db")).unwrap();
    let db = Database::builder(at("moved.db")).open().unwrap();
    assert_eq!(made(&db, &backups, 1).1, [second, first]);
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 3);
}

/// Goal: a file into which a backup is restored stays the one that it was: all of its backups go in their turn, those too that
/// were made after the one that was restored.
#[test]
fn a_restored_file_keeps_its_own_backups() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backups) = (folder.path().join("run.db"), folder.path().join("backups"));
    let db = Database::builder(&path).open().unwrap();
    let [first, second] = [(); 2].map(|()| made(&db, &backups, 9).0);
    let other = Database::builder(folder.path().join("other.db")).open().unwrap();
    let foreign = made(&other, &backups, 9).0;
    for source in [&first, &foreign] {
        restore(source, &path, true).unwrap();
    }
    let (third, removed) = made(&db, &backups, 2);
    assert_eq!(removed, [first]);
    assert_eq!(made(&db, &backups, 1).1, [third, second]);
    assert!(foreign.exists());
}

/// Goal: a backup that somebody has written to is left, also when its size is what it was; one that is in use is left until it
/// is not; and one that has changed is not replaced.
#[test]
fn a_backup_that_was_written_to_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backups) = (folder.path().join("run.db"), folder.path().join("backups"));
    let db = Database::builder(&path).open().unwrap();
    let changed = made(&db, &backups, 9).0;
    let size = fs::metadata(&changed).unwrap().len();
    edit(&changed, "UPDATE siltstone_file SET backups = 7");
    assert_eq!(fs::metadata(&changed).unwrap().len(), size);
    let used = made(&db, &backups, 9).0;
    let user = Database::builder(&used).open_read_only().unwrap();
    assert_eq!(made(&db, &backups, 1).1, Vec::<PathBuf>::new());
    user.close().unwrap();
    assert!(made(&db, &backups, 1).1.contains(&used));
    assert!(changed.exists());

    let store = memories(&folder.path().join("agent.db"));
    let mine = folder.path().join("mine.db");
    store.create_backup(Some(&mine), 3).unwrap();
    store.create_backup(Some(&mine), 3).unwrap();
    edit(&mine, "UPDATE episodes SET performance_score = 0.25");
    let refused = store.create_backup(Some(&mine), 3);
    assert!(matches!(refused, Err(Error::Exists { .. })), "{refused:?}");
    let kept = Database::builder(&mine).open_read_only().unwrap();
    let score = kept.sql("SELECT performance_score FROM episodes").unwrap().rows;
    assert_eq!(score, [[Value::Real(0.25)]]);
}

/// Goal: what a file says of its backups removes nothing outside of the folder of backups, and nothing in it that is not
/// a backup of this very file.
#[test]
fn a_hostile_file_names_backups_and_nothing_goes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let at = |name: &str| root.join(name);
    let path = at("run.db");
    fs::create_dir(at("backups")).unwrap();
    let victim = Database::builder(at("victim.db")).open().unwrap();
    let database = made(&victim, &at("backups"), 1).0;
    victim.close().unwrap();
    fs::copy(at("victim.db"), at("backups/victim.db")).unwrap();
    fs::write(at("backups/notes.txt"), "notes").unwrap();
    fs::write(at("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink(at("secret.txt"), at("backups/link")).unwrap();
    edit(&at("backups/other.db"), "CREATE TABLE t (x); PRAGMA application_id = 0x53494c54");
    let db = Database::builder(&path).open().unwrap();
    made(&db, &at("backups"), 9);
    let absolute = at("secret.txt").display().to_string();
    let bare = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let names = [
        "../secret.txt".to_owned(),
        absolute,
        "./notes.txt".into(),
        "notes.txt".into(),
        "link".into(),
        "victim.db".into(),
        "other.db".into(),
        "..".into(),
        String::new(),
        bare(&database),
    ];
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("UPDATE siltstone_backup SET number = 1000").unwrap();
    for (number, name) in names.iter().enumerate() {
        // Size and checksum are what they are: whoever knows the victim can know these.
        let bytes = fs::read(at("backups").join(name)).unwrap_or_default();
        let checksum = xxh3_128(&bytes).to_be_bytes();
        let insert = "INSERT INTO siltstone_backup VALUES (?1, ?2, ?3, 1, ?4, ?5)";
        let location = at("backups").display().to_string();
        conn.execute(insert, (number as i64, location, name, bytes.len() as i64, checksum))
            .unwrap();
    }
    conn.execute_batch("UPDATE siltstone_file SET backups = 2000").unwrap();
    let (_, removed) = made(&db, &at("backups"), 1);
    assert!(removed.len() <= 1, "{removed:?}");
    for name in ["secret.txt", "victim.db", "backups/notes.txt", "backups/link", "backups/other.db"]
    {
        assert!(at(name).exists(), "{name} is gone");
    }
    assert!(at("backups/victim.db").exists() && database.exists());
    let left = "SELECT count(*) FROM siltstone_backup";
    assert_eq!(db.sql(left).unwrap().rows, [[Value::Integer(1)]]);
}

/// Goal: the table of backups of an early file is brought along by the next backup: they are listed in their order, and, since
/// nothing proves them, left.
#[test]
fn the_backups_of_an_early_file_are_brought_along() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (path, old) = (root.join("agent.db"), [root.join("agent_backup_2.db"), root.join("b.db")]);
    drop(memories(&path));
    for copy in &old {
        fs::copy(&path, copy).unwrap();
    }
    edit(
        &path,
        "DROP TABLE siltstone_backup; DROP TABLE siltstone_file;
         CREATE TABLE siltstone_backup (path TEXT NOT NULL PRIMARY KEY, created_ns INTEGER NOT NULL,
         size_bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    );
    for (n, copy) in old.iter().enumerate() {
        let (copy, size) = (copy.display(), fs::metadata(copy).unwrap().len());
        edit(&path, &format!("INSERT INTO siltstone_backup VALUES ('{copy}', {n}, {size})"));
    }
    assert_eq!(MemoryStore::open_read_only(&path).unwrap().backups().unwrap().len(), 0);
    let store = MemoryStore::open(&path).unwrap();
    let new = store.create_backup(None, 9).unwrap().path;
    assert_eq!(store.backups().unwrap(), [new.clone(), old[1].clone(), old[0].clone()]);
    assert_eq!(store.create_backup(None, 1).unwrap().removed, [new]);
    assert!(old.iter().all(|copy| copy.exists()));
    assert_eq!(
        store.backups().unwrap().len(),
        2,
        "b.db is not counted among those beside the file"
    );
}

fn backups_in(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_backup = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("run-") && name.ends_with(".db")
    };
    files.filter(is_backup).collect()
}

/// Makes a backup beside two others, and is killed meanwhile.
#[test]
#[ignore = "run by a_kill_at_any_call_leaves_no_backup_that_retention_forgets"]
fn makes_a_backup() {
    let Some((folder, _)) = mission() else { return };
    let db = Database::builder(folder.join("run.db")).open().unwrap();
    arm();
    db.backup_into(&folder, 3).unwrap();
}

/// Goal: wherever a process is killed in a backup, the next backup with `keep` leaves as many as were asked for: none is
/// there that the file does not know, and a record without its file takes no backup's place.
#[test]
fn a_kill_at_any_call_leaves_no_backup_that_retention_forgets() {
    const CHILD: &str = "backups::makes_a_backup";
    let in_a_folder = |killed_at: Option<u64>| {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap();
        let path = folder.join("run.db");
        let db = Database::builder(&path).open().unwrap();
        let kept = [(); 2].map(|()| made(&db, &folder, 2).0);
        drop(db);
        let calls = match killed_at {
            None => syscalls::count(CHILD, &folder, "").len() as u64,
            Some(nth) => syscalls::kill_at(CHILD, &folder, "", nth, true).calls().count() as u64,
        };
        assert!(kept.iter().all(|backup| backup.exists()));
        let there = backups_in(&folder).len();
        let db = Database::builder(&path).open().unwrap();
        let newest = made(&db, &folder, there).0;
        assert_eq!(backups_in(&folder).len(), there, "killed at {killed_at:?}");
        assert!(made(&db, &folder, 2).0.exists());
        assert!(newest.exists() && backups_in(&folder).len() == 2, "killed at {killed_at:?}");
        assert_eq!(db.verify().unwrap().findings.len(), 0);
        (calls, there)
    };
    let calls = in_a_folder(None).0;
    assert!(calls > 10, "{calls} calls");
    let there: Vec<_> = (0..calls).map(|nth| in_a_folder(Some(nth)).1).collect();
    assert!(there.contains(&2) && there.contains(&3), "{there:?}");
}

/// Replaces the backup of a given name, and is killed meanwhile.
#[test]
#[ignore = "run by a_kill_at_any_call_leaves_a_named_backup_that_the_next_call_replaces"]
fn replaces_a_backup() {
    let Some((folder, _)) = mission() else { return };
    let store = memories(&folder.join("agent.db"));
    arm();
    store.create_backup(Some(&folder.join("mine.db")), 3).unwrap();
}

/// Goal: wherever a process is killed while it replaces the backup of a given name, or makes the first one, a proven
/// backup is there if one was, and the same call made again succeeds; what somebody else has written is refused all the same.
#[test]
fn a_kill_at_any_call_leaves_a_named_backup_that_the_next_call_replaces() {
    const CHILD: &str = "backups::replaces_a_backup";
    let in_a_folder = |is_first: bool, killed_at: Option<u64>| {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap();
        let (path, mine) = (folder.join("agent.db"), folder.join("mine.db"));
        let store = memories(&path);
        if !is_first {
            store.create_backup(Some(&mine), 3).unwrap();
        }
        drop(store);
        let calls = match killed_at {
            None => syscalls::count(CHILD, &folder, "").len() as u64,
            Some(nth) => syscalls::kill_at(CHILD, &folder, "", nth, true).calls().count() as u64,
        };
        let episodes = || {
            let backup = Database::builder(&mine).open_read_only().unwrap();
            assert_eq!(backup.verify().unwrap().findings.len(), 0);
            match backup.sql("SELECT count(*) FROM episodes").unwrap().rows[0][0] {
                Value::Integer(episodes) => episodes,
                ref other => panic!("{other:?}"),
            }
        };
        let there = if mine.exists() { episodes() } else { 0 };
        assert!(is_first || there > 0, "killed at {killed_at:?}");
        let store = memories(&path);
        // An automatic one beside it takes no offence.
        assert!(store.create_backup(None, 1).unwrap().path.exists());
        store.create_backup(Some(&mine), 3).unwrap_or_else(|e| panic!("at {killed_at:?}: {e}"));
        assert_eq!(episodes(), 3);
        assert_eq!(store.backups().unwrap().iter().filter(|path| **path == mine).count(), 1);
        assert_eq!(rows_of(&path, "mine.db"), 1);
        edit(&mine, "UPDATE episodes SET performance_score = 0.25");
        let refused = store.create_backup(Some(&mine), 3);
        assert!(matches!(refused, Err(Error::Exists { .. })), "{refused:?}");
        (calls, there)
    };
    for is_first in [true, false] {
        let calls = in_a_folder(is_first, None).0;
        assert!(calls > 10, "{calls} calls");
        let there: Vec<_> = (0..calls).map(|nth| in_a_folder(is_first, Some(nth)).1).collect();
        let (before, after) = if is_first { (0, 2) } else { (1, 2) };
        assert!(there.contains(&before) && there.contains(&after), "{there:?}");
    }
}

fn rows_of(path: &Path, name: &str) -> i64 {
    let conn = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT count(*) FROM siltstone_backup WHERE name = ?1";
    conn.query_row(sql, [name], |row| row.get(0)).unwrap()
}
