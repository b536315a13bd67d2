//! Threads, processes and readers on one file at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use siltstone::simulation::{Attribute, Group, Options, SimulationDatabase, Timeline, Update};
use siltstone::{Array, Database, Durability, Error, Profile, QueuePolicy, Value};
use siltstone_needs::needs;

use crate::child::{self, Child, mission};
use crate::crash::{assert_same, update_of};
use crate::shared;

fn number(value: &Value) -> i64 {
    let Value::Integer(n) = value else { panic!("{value:?}") };
    *n
}

/// The timestamps of each dataset in the order in which they were stored.
fn in_order(db: &SimulationDatabase) -> BTreeMap<String, Vec<i64>> {
    let sql = "SELECT dataset_name, timestamp FROM \"update\" ORDER BY id";
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for row in db.database().sql(sql).unwrap().rows {
        let Value::Text(name) = &row[0] else { panic!("{row:?}") };
        found.entry(name.clone()).or_default().push(number(&row[1]));
    }
    found
}

fn assert_clean(db: &SimulationDatabase) {
    let report = db.database().verify().unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
}

/// Goal: 8 threads write through one handle, waiting or by ticket, while others read: everything is
/// there once, each thread's updates in its own order; each snapshot is whole and none is older
/// than the one before.
#[test]
fn eight_threads_share_a_handle_and_readers_see_whole_snapshots() {
    const EACH: i64 = 250;
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let done = AtomicBool::new(false);
    let snapshots = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8u64)
            .map(|t| {
                let db = db.clone();
                scope.spawn(move || {
                    let dataset = format!("net-{t}");
                    let mut tickets = Vec::new();
                    for n in 0..EACH {
                        let update = update_of(&dataset, n, t);
                        if (n / 7 + t as i64) % 2 == 0 {
                            db.store(update).unwrap();
                        } else {
                            tickets.push(db.submit(update).unwrap());
                        }
                    }
                    tickets.into_iter().for_each(|ticket| assert!(ticket.wait().unwrap() > 0));
                })
            })
            .collect();
        let reader = |own: bool| {
            let (db, done) = (db.clone(), &done);
            scope.spawn(move || {
                // One through the shared handle, one as another program would.
                let path = db.database().path().to_owned();
                let db = if own { SimulationDatabase::open_read_only(path).unwrap() } else { db };
                let (mut snapshots, mut last) = (0, [0; 8]);
                while !done.load(Ordering::Relaxed) {
                    for (t, last) in last.iter_mut().enumerate() {
                        let seen = db.updates(&format!("net-{t}")).unwrap();
                        seen.iter().for_each(assert_same);
                        assert!(seen.iter().map(|u| u.timestamp).eq(0..seen.len() as i64));
                        assert!(seen.len() >= *last, "the count fell to {}", seen.len());
                        *last = seen.len();
                        snapshots += 1;
                    }
                }
                snapshots
            })
        };
        let readers = [reader(false), reader(true)];
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
        readers.map(|reader| reader.join().unwrap())
    });
    println!("{snapshots:?} snapshots");
    let found = in_order(&db);
    assert_eq!(found.len(), 8);
    for (dataset, timestamps) in found {
        assert!(timestamps.into_iter().eq(0..EACH), "{dataset}");
    }
    assert_clean(&db);
}

/// A moment that several processes wait for, in ns since 1970.
fn soon() -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (now + Duration::from_millis(150)).as_nanos()
}

fn wait_until(moment: &str) {
    let moment: u128 = moment.parse().unwrap();
    while SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() < moment {
        std::hint::spin_loop();
    }
}

fn start_together(name: &str, file: &Path, processes: usize) -> Vec<Child> {
    let moment = soon();
    let start = |k| child::start(name, file, &format!("{k} {moment}"));
    (0..processes).map(start).collect()
}

/// Goal: 4 processes open a file that is not there yet at the same instant and write it together:
/// each update is there once, nobody is told that the database is locked, and a reader of a fifth
/// process sees only whole updates.
#[test]
fn four_processes_create_and_write_one_file() {
    const EACH: i64 = 60;
    let folder = tempfile::tempdir().unwrap();
    for round in 0..8 {
        let path = folder.path().join(format!("run-{round}.db"));
        let children = start_together("concurrency::writes_its_part", &path, 4);
        // The parent only reads, from when there is something to read.
        let mut last = 0;
        while last < 100 {
            let Ok(db) = SimulationDatabase::open_read_only(&path) else { continue };
            let seen: Vec<Update> =
                (0..4).flat_map(|k| db.updates(&format!("part-{k}")).unwrap()).collect();
            seen.iter().for_each(assert_same);
            assert!(seen.len() >= last, "the count fell from {last} to {}", seen.len());
            last = seen.len();
        }
        children.into_iter().for_each(|child| drop(child.finish()));
        let db = SimulationDatabase::open(&path).unwrap();
        for (dataset, timestamps) in in_order(&db) {
            assert!(timestamps.into_iter().eq(0..EACH), "{dataset} in round {round}");
        }
        assert_eq!(db.update_count(None).unwrap(), 4 * EACH as u64);
        assert_clean(&db);
    }
}

#[test]
#[ignore = "run by four_processes_create_and_write_one_file"]
fn writes_its_part() {
    let Some((path, argument)) = mission() else { return };
    let (k, moment) = argument.split_once(' ').unwrap();
    let tag: u64 = k.parse().unwrap();
    let dataset = format!("part-{k}");
    wait_until(moment);
    let db = SimulationDatabase::open(&path).unwrap();
    let mut tickets = Vec::new();
    for n in 0..60 {
        if n % 3 == 0 {
            tickets.push(db.submit(update_of(&dataset, n, tag)).unwrap());
        } else {
            db.store(update_of(&dataset, n, tag)).unwrap();
        }
    }
    for ticket in tickets {
        ticket.wait().unwrap();
    }
    db.close().unwrap();
}

/// The databases that movici wrote, by dataset folder.
fn movici() -> Vec<PathBuf> {
    let folder = shared::folder("data/simulation");
    let of_folder = |entry: std::fs::DirEntry| -> Vec<PathBuf> {
        let files = std::fs::read_dir(entry.path()).into_iter().flatten().flatten();
        files.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "db")).collect()
    };
    let found: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().flat_map(of_folder).collect();
    assert!(!found.is_empty());
    found
}

fn all_updates(db: &SimulationDatabase) -> Vec<Update> {
    db.datasets().unwrap().iter().flat_map(|name| db.updates(name).unwrap()).collect()
}

/// Goal: six processes open a file of movici at the same instant: it is upgraded
/// once, after one backup that is the old file, and every update is as it was.
#[needs(shared)]
#[test]
fn six_processes_upgrade_a_movici_file_once() {
    let files = movici();
    for (round, original) in files.iter().chain(&files).chain(&files).enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.db");
        std::fs::write(&path, std::fs::read(original).unwrap()).unwrap();
        let before = all_updates(&SimulationDatabase::open_read_only(&path).unwrap());
        let children = start_together("concurrency::opens_and_counts", &path, 6);
        children.into_iter().for_each(|child| {
            let said = child.finish();
            let counted = said.iter().find_map(|line| line.split_once("counted ")).unwrap().1;
            assert_eq!(counted, before.len().to_string());
        });
        let db = SimulationDatabase::open(&path).unwrap();
        assert_eq!(all_updates(&db), before, "round {round}");
        let versions = db.database().sql("SELECT store, version FROM siltstone_schema").unwrap();
        assert_eq!(versions.rows.len(), 1, "{versions:?}");
        assert_clean(&db);
        db.close().unwrap();
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["run.db", "run.db.before-simulation-v0"], "round {round}");
        let backup = folder.path().join("run.db.before-simulation-v0");
        let backup = SimulationDatabase::open_read_only(&backup).unwrap();
        let owner = backup.database().sql("PRAGMA application_id").unwrap();
        assert_eq!(number(&owner.rows[0][0]), 0, "the backup is of the new file, round {round}");
        assert_eq!(all_updates(&backup), before);
    }
}

#[test]
#[ignore = "run by six_processes_upgrade_a_movici_file_once"]
fn opens_and_counts() {
    let Some((path, argument)) = mission() else { return };
    wait_until(argument.split_once(' ').unwrap().1);
    let db = SimulationDatabase::open(&path).unwrap();
    db.set_timeline(Timeline { reference: 0.0, time_scale: 1.0, start_time: 0 }).unwrap();
    child::say(format_args!("counted {}", db.update_count(None).unwrap()));
}

/// Goal: a full queue refuses with an error of its own kind, and what it took is all stored; a flush
/// waits for room whatever the policy.
#[test]
fn a_full_queue_refuses_and_loses_nothing_that_it_took() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let first = Database::builder(&path).queue(2, QueuePolicy::Refuse).open().unwrap();
    let db = SimulationDatabase::open(&path).unwrap();
    let (mut taken, mut refused) = (Vec::new(), 0);
    let mut n = 0;
    while refused < 50 {
        match db.submit(update_of("net", n, 3)) {
            Ok(ticket) => taken.push((n, ticket)),
            Err(Error::QueueFull { capacity }) => {
                assert_eq!(capacity, 2);
                refused += 1;
                db.flush().unwrap();
            }
            Err(other) => panic!("{other}"),
        }
        n += 1;
        assert!(n < 20_000, "a queue of 2 jobs refused only {refused} of {n}");
    }
    let accepted: Vec<i64> = taken.iter().map(|(n, _)| *n).collect();
    for (_, ticket) in taken {
        ticket.wait().unwrap();
    }
    assert_eq!(db.timestamps("net").unwrap(), accepted);
    assert_eq!(first.stats().jobs_refused, 50);
}

/// Goal: at `buffered` the error of a write that was acknowledged before its commit is reported by the
/// next flush, once, or by the close; the other writes are there.
#[test]
fn a_buffered_write_that_fails_is_told_by_flush_and_by_close() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let options = Options { durability: Durability::Buffered, ..Options::default() };
    let open = || SimulationDatabase::open_with(&path, options.clone()).unwrap();
    let db = open();
    for n in [0, 1, 1, 2] {
        assert_eq!(db.store(update_of("net", n, 4)).unwrap(), 0);
    }
    let reported = db.flush();
    let Err(Error::Exists { what, .. }) = reported else { panic!("{reported:?}") };
    assert!(what.contains("timestamp 1"), "{what}");
    db.flush().unwrap();
    assert_eq!(db.timestamps("net").unwrap(), [0, 1, 2]);
    assert_eq!(db.database().stats().buffered_failed, 1);
    db.store(update_of("net", 2, 4)).unwrap();
    db.store(update_of("net", 3, 4)).unwrap();
    let reported = db.close();
    assert!(matches!(reported, Err(Error::Exists { .. })), "{reported:?}");
    assert_eq!(open().timestamps("net").unwrap(), [0, 1, 2, 3]);
}

/// Goal: a file that was removed or replaced while it was open takes no write that nobody would find; opened anew,
/// it is another file.
#[cfg(unix)]
#[test]
fn a_file_that_is_gone_takes_no_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = siltstone::series::SqliteBackend::open(&path).unwrap();
    let point = siltstone::series::Series::from_times_ns(&[1], &[1.0]).unwrap();
    let save = |db: &siltstone::series::SqliteBackend, key: &str| {
        siltstone::series::StorageBackend::save(db, key, &point, &Default::default())
    };
    save(&db, "a").unwrap();
    for end in ["", "-wal", "-shm"] {
        std::fs::remove_file(folder.path().join(format!("run.db{end}"))).unwrap();
    }
    let error = save(&db, "b").unwrap_err();
    assert!(matches!(error, siltstone::Error::Closed { .. }), "{error}");
    assert!(error.to_string().contains("run.db"), "{error}");
    let anew = siltstone::series::SqliteBackend::open(&path).unwrap();
    save(&anew, "c").unwrap();
    assert!(save(&db, "d").is_err(), "the old handle is of another file");
    assert_eq!(siltstone::series::StorageBackend::list_keys(&anew, "").unwrap(), ["c"]);
}

/// Goal: a read that stays in one snapshot keeps the log from being reset; when it has ended the log gets small again.
#[test]
fn the_log_grows_behind_a_long_read_and_shrinks_after_it() {
    /// What the log of this profile keeps when it is reset.
    const LOG: u64 = 16 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let options = Options { profile: Profile::Small, ..Options::default() };
    let db = SimulationDatabase::open_with(&path, options).unwrap();
    let values: Vec<f64> = (0..20_000).map(f64::from).collect();
    let put = |from: i64, to: i64| {
        for time in from..to {
            // Numbers that nothing packs, else there is little to write.
            let mixed: Vec<f64> = values.iter().map(|x| (x * 7.3 + time as f64).sin()).collect();
            let of = |name: &str, array| (name.to_owned(), Attribute::new(array));
            let ids: Vec<i64> = (0..20_000).collect();
            let attributes =
                vec![of("id", Array::from_slice(&ids)), of("x", Array::from_slice(&mixed))];
            db.store_update(time, 0, "net", vec![Group { name: "g".into(), attributes }], None)
                .unwrap();
        }
    };
    let log = || std::fs::metadata(path.with_file_name("run.db-wal")).unwrap().len();
    put(0, 2);
    let mut seen = 0;
    db.for_each_update("net", i64::MIN..=i64::MAX, |_| {
        if seen == 0 {
            put(2, 402);
        }
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, 2, "the snapshot is that of before");
    let behind = log();
    put(402, 480);
    assert!(behind > 2 * LOG && log() <= LOG + LOG / 4, "{behind}, then {}", log());
}
