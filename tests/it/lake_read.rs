//! Reading a lake in a folder: what it has, whether that is right, what nobody needs, and bringing it back.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use regex_lite::Regex;
use siltstone::lake::{
    LakeReport, LakeSender, PublishOptions, VacuumOptions, publish, remove, tables, vacuum, verify,
};
use siltstone::memory::{MemoryStore, NewLearningEvent};
use siltstone::series::{Series, StorageBackend};
use siltstone::ticks::{TickBatch, TickStore, TickStoreConfig};
use siltstone::{Error, Handle};

pub(crate) const NOON: i64 = 1_768_824_000_000_000_000; // 2026-01-19T12:00:00Z
pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// Ticks of three symbols, a second from one to the next.
pub(crate) fn put(base: &Path, from: i64, n: i64) {
    let store = TickStore::new(TickStoreConfig {
        sqlite_base_path: base.to_owned(),
        ..TickStoreConfig::production("b")
    })
    .unwrap();
    for (i, symbol) in ["EURUSD", "GBPUSD", "USDJPY"].iter().enumerate() {
        let times: Vec<i64> = (0..n).map(|k| from + (3 * k + i as i64) * SECOND).collect();
        let bids: Vec<f64> = (0..n).map(|k| k as f64 / 8.0).collect();
        store.store_ticks(&TickBatch::new(symbol, &times, &bids, &bids)).unwrap();
    }
    store.stop().unwrap();
}

pub(crate) fn send(handle: &Handle, lake: &Path) {
    let options = PublishOptions::default();
    publish(handle, lake.to_str().unwrap(), &options, &mut |_, _| Ok(())).unwrap();
}

fn check(lake: &Path, handle: Option<&Handle>) -> LakeReport {
    verify(lake.to_str().unwrap(), handle, &mut |_, _| Ok(())).unwrap()
}

/// What was found, as lines.
fn found(report: &LakeReport) -> Vec<String> {
    let lines = report.findings.iter();
    lines.map(|finding| format!("{}: {}", finding.location, finding.what)).collect()
}

/// The data files of a table, also those that no log has.
pub(crate) fn data(table: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![table.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if !path.ends_with("_delta_log") => folders.push(path),
                false => found.push(path),
                true => {}
            }
        }
    }
    found.sort();
    found
}

/// A file with memories and series.
pub(crate) fn file(path: &Path) -> Handle {
    let db = siltstone::open(path).unwrap();
    let memory: MemoryStore = db.memory().unwrap();
    let events = (0..10).map(|n| NewLearningEvent::new("maze", f64::from(n), "explore"));
    memory.store_learning_events(events.collect()).unwrap();
    let series = db.series().unwrap();
    let points = Series::from_times_ns(&[NOON, NOON + 400 * DAY], &[1.5, f64::NAN]).unwrap();
    series.save("flow", &points, &Default::default()).unwrap();
    series.save("level", &points, &Default::default()).unwrap();
    db
}

/// Goal: a lake says which tables it has and who sends to them, and looking at a folder that is no lake makes nothing.
#[test]
fn a_lake_lists_its_tables_and_their_senders() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    put(&base, NOON, 100);
    send(&siltstone::open_read_only(&base).unwrap(), &lake);
    send(&file(&folder.path().join("a.db")), &lake);
    send(&file(&folder.path().join("b.db")), &lake);
    let all = tables(lake.to_str().unwrap()).unwrap();
    let said: Vec<_> = all
        .iter()
        .map(|table| (table.name.as_str(), table.version, table.rows, table.senders.len()))
        .collect();
    let expected = [
        ("learning_events", 1, Some(20), 2),
        ("series", 1, Some(4), 2),
        ("series_points", 1, Some(8), 2),
        ("ticks", 0, Some(300), 1),
    ];
    assert_eq!(said, expected);
    for table in &all {
        let files = data(&lake.join(&table.name));
        let bytes: u64 = files.iter().map(|path| path.metadata().unwrap().len()).sum();
        assert_eq!((table.files, table.bytes), (files.len() as u64, bytes), "{}", table.name);
        let is_new = |ms: i64| ms > 1_700_000_000_000;
        assert!(table.senders.iter().all(|s| s.commits == 1 && s.last_ms.is_some_and(is_new)));
    }

    let none = folder.path().join("none");
    let refused = tables(none.to_str().unwrap()).unwrap_err();
    assert!(matches!(refused, Error::NotFound { what: "lake", .. }), "{refused}");
    assert!(verify(none.to_str().unwrap(), None, &mut |_, _| Ok(())).is_err());
    assert!(!none.exists());
    let refused = tables(base.to_str().unwrap()).unwrap_err().to_string();
    assert!(refused.contains("_delta_log"), "{refused}");
}

/// Goal: the machine and the file of a sender are told, behind a checkpoint too, and no folder above the file.
#[test]
fn a_sender_is_known_by_its_machine_and_file() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    put(&base, NOON, 100);
    send(&siltstone::open_read_only(&base).unwrap(), &lake);
    send(&file(&folder.path().join("first.db")), &lake);
    let db = file(&folder.path().join("second.db"));
    for _ in 0..21 {
        let memory: MemoryStore = db.memory().unwrap();
        memory.store_learning_event(NewLearningEvent::new("maze", 1.0, "explore")).unwrap();
        send(&db, &lake);
    }
    assert!(lake.join("learning_events/_delta_log/_last_checkpoint").exists());
    let all = tables(lake.to_str().unwrap()).unwrap();
    let files: Vec<Vec<_>> = all
        .iter()
        .map(|table| {
            let mut files: Vec<_> =
                table.senders.iter().map(|s| (s.file.clone(), s.rows)).collect();
            files.sort();
            files
        })
        .collect();
    let named = |name: &str, rows| (Some(name.to_owned()), Some(rows));
    assert_eq!(files[0], [named("first.db", 10), named("second.db", 31)]);
    assert_eq!(files[3], [named("db", 300)]);
    let hosts: Vec<_> = all.iter().flat_map(|t| &t.senders).map(|s| s.host.clone()).collect();
    assert!(
        hosts.iter().all(|host| host.as_ref().is_some_and(|host| !host.is_empty())),
        "{hosts:?}"
    );
    let above = folder.path().file_name().unwrap().to_str().unwrap();
    for entry in std::fs::read_dir(lake.join("learning_events/_delta_log")).unwrap().flatten() {
        let text = std::fs::read(entry.path()).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(above), "{:?}", entry.path());
    }
}

/// Goal: who publishes again and again need not look while nothing was written: to publish what is there already writes nothing,
/// and a write is seen.
#[test]
fn a_publish_of_nothing_new_leaves_the_file_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let db = file(&folder.path().join("a.db"));
    let Handle::File(watched) = &db else { panic!("it is a file") };
    let mut watch = watched.watch().unwrap();
    assert!(watch.has_changed().unwrap());
    send(&db, &lake);
    assert!(watch.has_changed().unwrap(), "the ledger has what was sent");
    for _ in 0..3 {
        send(&db, &lake);
        assert!(!watch.has_changed().unwrap());
    }
    let memory: MemoryStore = db.memory().unwrap();
    memory.store_learning_event(NewLearningEvent::new("maze", 1.0, "explore")).unwrap();
    assert!(watch.has_changed().unwrap());
}

/// Goal: what one file published is removed from all tables and nothing of others; the file is refused then, and sends all of
/// it again when it is told to.
#[test]
fn a_sender_is_removed_from_a_lake() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let address = lake.to_str().unwrap();
    let (first, second) = (file(&folder.path().join("a.db")), file(&folder.path().join("b.db")));
    send(&first, &lake);
    send(&second, &lake);
    let before = tables(address).unwrap();
    let is_first = |sender: &&LakeSender| sender.file.as_deref() == Some("a.db");
    let id = before[0].senders.iter().find(is_first).unwrap().store_id.clone();
    let planned = remove(address, &id, true).unwrap();
    assert_eq!(tables(address).unwrap(), before);
    assert_eq!(remove(address, &id, false).unwrap(), planned);
    let rows: Vec<_> = planned.iter().map(|(name, of)| (name.as_str(), of.rows)).collect();
    assert_eq!(
        rows,
        [("learning_events", Some(10)), ("series", Some(2)), ("series_points", Some(4))]
    );
    let left: Vec<_> = tables(address).unwrap().iter().map(|table| table.rows).collect();
    assert_eq!(left, [Some(10), Some(2), Some(4)]);
    assert_eq!(found(&check(&lake, Some(&second))), [""; 0]);
    let refused = remove(address, &id, false).unwrap_err();
    assert!(matches!(refused, Error::NotFound { what: "file", .. }), "{refused}");

    let mut options = PublishOptions::default();
    let report = publish(&first, address, &options, &mut |_, _| Ok(())).unwrap();
    assert!(report.failed["series"].contains("removed from the lake"), "{report:?}");
    assert_eq!(
        publish(&second, address, &options, &mut |_, _| Ok(())).unwrap(),
        Default::default()
    );
    options.rebuild_ledger = true;
    publish(&first, address, &options, &mut |_, _| Ok(())).unwrap();
    assert_eq!(tables(address).unwrap()[0].rows, Some(20));
    assert_eq!(found(&check(&lake, Some(&first))), [""; 0]);
}

/// Goal: a lake and the files that publish to it agree, and each way in which a data file can be wrong is found.
#[test]
fn a_damaged_data_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    put(&base, NOON, 100);
    put(&base, NOON + DAY, 100);
    let ticks = siltstone::open_read_only(&base).unwrap();
    send(&ticks, &lake);
    let db = file(&folder.path().join("a.db"));
    send(&db, &lake);
    assert_eq!(found(&check(&lake, None)), [""; 0]);
    let report = check(&lake, Some(&ticks));
    assert_eq!(found(&report), [""; 0]);
    let checked = report.tables["ticks"];
    assert_eq!((checked.rows, checked.compared, checked.without_hash), (600, checked.files, 0));
    assert_eq!(found(&check(&lake, Some(&db))), [""; 0]);

    let files = data(&lake.join("ticks"));
    let whole: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::write(&files[1], &whole[1][1..]).unwrap();
    // Of the same length, and a Parquet file.
    let mut changed = whole[2].clone();
    changed[100] ^= 1;
    std::fs::write(&files[2], &changed).unwrap();
    let wrong = found(&check(&lake, None));
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert!(wrong.iter().any(|line| line.ends_with("it is not there")), "{wrong:?}");
    assert!(wrong.iter().any(|line| line.contains("by the log")), "{wrong:?}");
    for (path, bytes) in files.iter().zip(&whole) {
        std::fs::write(path, bytes).unwrap();
    }
    // Other rows, where nothing but their hash differs.
    let log = lake.join("learning_events/_delta_log/00000000000000000000.json");
    let said = std::fs::read_to_string(&log).unwrap();
    let at = said.find("siltstone_hash").unwrap() + 20;
    let other = if said.as_bytes()[at] == b'0' { "1" } else { "0" };
    std::fs::write(&log, format!("{}{other}{}", &said[..at], &said[at + 1..])).unwrap();
    let wrong = found(&check(&lake, None));
    assert!(wrong.len() == 1 && wrong[0].contains("another hash"), "{wrong:?}");
    std::fs::write(&log, "{").unwrap();
    let wrong = found(&check(&lake, None));
    assert!(wrong.len() == 1 && wrong[0].contains("is damaged"), "{wrong:?}");
}

/// Goal: what the file has now and has not published, in either direction, is named by table and segment.
#[test]
fn a_file_that_changed_since_is_told_from_its_lake() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    put(&base, NOON, 100);
    send(&siltstone::open_read_only(&base).unwrap(), &lake);
    put(&base, NOON + 1_000 * SECOND, 10);
    put(&base, NOON + DAY, 7);
    let wrong = found(&check(&lake, Some(&siltstone::open_read_only(&base).unwrap())));
    let counts = |line: &String| line.split(": ").last().unwrap().to_owned();
    let mut said: Vec<_> = wrong.iter().map(counts).collect();
    said.sort();
    // Two of the three symbols share a bucket.
    let expected = [
        "110 rows in the file, 100 in the lake",
        "14 rows of the file not published",
        "220 rows in the file, 200 in the lake",
        "7 rows of the file not published",
    ];
    assert_eq!(said, expected, "{wrong:?}");
    assert!(wrong.iter().all(|line| line.contains(" segment")), "{wrong:?}");
    assert!(wrong.iter().any(|line| line.contains("partition 2026-01-20/")), "{wrong:?}");
    // A day whose file was removed to save room stays in the lake.
    send(&siltstone::open_read_only(&base).unwrap(), &lake);
    std::fs::remove_file(base.join("2026/01/ticks_2026-01-19.db")).unwrap();
    assert_eq!(found(&check(&lake, Some(&siltstone::open_read_only(&base).unwrap()))), [""; 0]);

    let db = file(&folder.path().join("a.db"));
    let wrong = found(&check(&lake, Some(&db)));
    assert_eq!(wrong.len(), 6, "nothing of it is published: {wrong:?}");
    send(&db, &lake);
    let points = Series::from_times_ns(&[NOON, NOON + 400 * DAY], &[1.5, 2.5]).unwrap();
    db.series().unwrap().save("flow", &points, &Default::default()).unwrap();
    let wrong = found(&check(&lake, Some(&db)));
    // A series that is saved again has another number.
    assert!(wrong.len() == 2 && wrong[1].contains("/2027"), "{wrong:?}");
    assert!(wrong[1].contains("as many in the lake, and they differ"), "{wrong:?}");
    db.series().unwrap().delete("flow").unwrap();
    let wrong = found(&check(&lake, Some(&db)));
    assert_eq!(wrong.len(), 3, "{wrong:?}");
}

/// As if a file had been written so many days ago.
fn age(path: &Path, days: u64) {
    let time = SystemTime::now() - Duration::from_secs(days * 86_400);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// As if what the log of a table says to be removed had been so many days ago.
fn age_removals(table: &Path, days: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let ms = now - days * 86_400_000;
    let pattern = Regex::new(r#""deletionTimestamp":\d+"#).unwrap();
    for entry in std::fs::read_dir(table.join("_delta_log")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            let aged = pattern.replace_all(&text, format!(r#""deletionTimestamp":{ms}"#));
            std::fs::write(&path, aged.as_bytes()).unwrap();
        }
    }
}

/// The names of files that are removed, or would be.
fn clean(lake: &Path, change: impl FnOnce(&mut VacuumOptions)) -> Vec<String> {
    let mut options = VacuumOptions::default();
    change(&mut options);
    let report = vacuum(lake.to_str().unwrap(), &options, &mut |_, _| Ok(())).unwrap();
    report.files.into_iter().map(|file| file.name).collect()
}

fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}

/// Goal: what no table has goes when it is old enough, and nothing else, whatever its age.
#[test]
fn only_old_files_that_no_table_has_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    let table = lake.join("ticks");
    put(&base, NOON, 100);
    send(&siltstone::open_read_only(&base).unwrap(), &lake);
    let first = data(&table);
    put(&base, NOON - 600 * SECOND, 100);
    let ticks = siltstone::open_read_only(&base).unwrap();
    send(&ticks, &lake);
    let live: Vec<PathBuf> = data(&table).into_iter().filter(|f| !first.contains(f)).collect();
    assert_eq!((first.len(), live.len()), (2, 2));
    let orphan = live[0].with_file_name("9-dead.parquet");
    std::fs::copy(&live[0], &orphan).unwrap();
    let others = [
        table.join("_delta_log/00000000000000000000.checkpoint.parquet.parquet"),
        table.join("notes.txt"),
        table.join("_changes/1.parquet"),
        lake.join("models/1.parquet"),
        lake.join("1.parquet"),
    ];
    for path in &others {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "mine").unwrap();
        age(path, 400);
    }
    let probe = lake.join("_siltstone_probe/1");
    std::fs::create_dir_all(probe.parent().unwrap()).unwrap();
    std::fs::write(&probe, "1").unwrap();
    let none: [String; 0] = [];
    assert_eq!(clean(&lake, |_| {}), none, "all is new");

    for path in first.iter().chain(&live).chain([&orphan, &probe]) {
        age(path, 400);
    }
    let name = |path: &Path| path.strip_prefix(&lake).unwrap().to_str().unwrap().to_owned();
    let expected = [name(&probe), name(&orphan)];
    assert_eq!(clean(&lake, |options| options.dry_run = true), expected);
    assert!(orphan.exists() && probe.exists());
    assert_eq!(clean(&lake, |_| {}), expected);
    assert!(!orphan.exists() && !probe.exists());
    assert_eq!(clean(&lake, |_| {}), none, "what was replaced a moment ago stays");

    age_removals(&table, 10);
    assert_eq!(clean(&lake, |options| options.older_than = days(11)), none);
    age(&first[0], 8); // it was sent again since
    assert_eq!(clean(&lake, |options| options.older_than = days(9)), [name(&first[1])]);
    assert_eq!(clean(&lake, |_| {}), [name(&first[0])]);
    assert!(others.iter().all(|path| path.exists()));
    assert_eq!(data(&table).len(), live.len() + 2);
    assert_eq!(found(&check(&lake, Some(&ticks))), [""; 0]);

    let refused = |older_than: Duration, no_senders: bool| {
        let mut options = VacuumOptions::default();
        options.older_than = older_than;
        options.no_senders = no_senders;
        vacuum(lake.to_str().unwrap(), &options, &mut |_, _| Ok(())).err().map(|e| e.to_string())
    };
    assert!(refused(days(2) - days(1) / 2, false).unwrap().contains("two days or more"));
    assert_eq!(refused(Duration::ZERO, true), None);
    std::fs::write(table.join("_delta_log/00000000000000000001.json"), "{").unwrap();
    assert!(refused(days(7), false).unwrap().contains("is damaged"));
}

/// Goal: what was removed within a long retention stays, also if a checkpoint does not name it any more.
#[test]
fn a_long_retention_outlives_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    let table = lake.join("ticks");
    put(&base, NOON, 10);
    send(&siltstone::open_read_only(&base).unwrap(), &lake);
    let first = data(&table);
    for turn in 1..22 {
        put(&base, NOON + turn * 60 * SECOND, 10);
        send(&siltstone::open_read_only(&base).unwrap(), &lake);
        if turn == 1 {
            first.iter().for_each(|path| age(path, 400));
            age_removals(&table, 10);
        }
    }
    assert!(table.join("_delta_log/00000000000000000020.checkpoint.parquet").exists());
    let none: [String; 0] = [];
    assert_eq!(clean(&lake, |options| options.older_than = days(11)), none);
    assert_eq!(clean(&lake, |options| options.older_than = days(9)).len(), first.len());
}
