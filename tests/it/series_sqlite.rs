//! Series in an SQLite file: against memory as the model, in any order of calls, compacted at any moment.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, StringArray};
use proptest::prelude::*;
use siltstone::Error;
use siltstone::series::{
    Change, IndexRange, MemoryBackend, Metadata, Series, SqliteBackend, StorageBackend,
};

const KEYS: [&str; 3] = ["a", "a/b", ""];

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Change>),
    Compact(Option<usize>),
    Reopen,
}

/// A series that regular, random and falling indexes, texts and missing values occur in.
fn points() -> impl Strategy<Value = Series> {
    let numbers = prop::collection::vec((-50_i64..50, prop::option::of(any::<f64>())), 0..40);
    (numbers, any::<bool>()).prop_map(|(rows, is_text)| {
        let (times, numbers): (Vec<i64>, Vec<Option<f64>>) = rows.into_iter().unzip();
        let index: ArrayRef = Arc::new(arrow_array::TimestampNanosecondArray::from(times));
        let values: ArrayRef = match is_text {
            true => {
                Arc::new(numbers.iter().map(|x| x.map(|x| x.to_string())).collect::<StringArray>())
            }
            false => Arc::new(Float64Array::from(numbers)),
        };
        Series::new(index, values).unwrap()
    })
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(&KEYS[..]).prop_map(str::to_owned)
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (key(), points()).prop_map(|(key, series)| {
            let metadata = Metadata::from_iter([("n".to_owned(), series.len().into())]);
            Change::Save { key, series, metadata }
        }),
        6 => (key(), points()).prop_map(|(key, series)| Change::Append { key, series }),
        1 => key().prop_map(|key| Change::Delete { key }),
        1 => (key(), key()).prop_map(|(from, to)| Change::Rename { from, to }),
        1 => (key(), key()).prop_map(|(from, to)| Change::Copy { from, to }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(change(), 1..4).prop_map(Step::Commit),
        1 => prop::option::of(0..KEYS.len()).prop_map(Step::Compact),
        1 => Just(Step::Reopen),
    ]
}

/// The kind of an answer: texts name places, which differ.
fn kind(answer: Result<(), Error>) -> &'static str {
    match answer {
        Ok(()) => "done",
        Err(Error::Invalid { .. }) => "invalid",
        Err(Error::NotFound { .. }) => "not found",
        Err(Error::Exists { .. }) => "exists",
        Err(other) => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Goal: whatever is committed, compacted and opened anew, the file holds what memory holds, whole and by range.
    #[test]
    fn a_file_holds_what_memory_holds(steps in prop::collection::vec(step(), 1..14)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("series.db");
        let (mut file, memory) = (SqliteBackend::open(&path).unwrap(), MemoryBackend::new());
        for step in steps {
            match step {
                Step::Commit(changes) => {
                    prop_assert_eq!(kind(file.commit(&changes)), kind(memory.commit(&changes)));
                }
                Step::Compact(None) => {
                    file.compact(None).unwrap();
                }
                Step::Compact(Some(key)) => {
                    let compacted = file.compact(Some(KEYS[key])).map(drop);
                    let is_there = memory.exists(KEYS[key]).unwrap();
                    prop_assert_eq!(kind(compacted), if is_there { "done" } else { "not found" });
                }
                Step::Reopen => {
                    drop(file);
                    file = SqliteBackend::open(&path).unwrap();
                }
            }
        }
        prop_assert_eq!(file.list_keys("").unwrap(), memory.list_keys("").unwrap());
        for key in memory.list_keys("").unwrap() {
            prop_assert_eq!(file.load(&key).unwrap(), memory.load(&key).unwrap());
            prop_assert_eq!(file.info(&key).unwrap(), memory.info(&key).unwrap());
            let range = IndexRange::half_open(-10, 20);
            prop_assert_eq!(
                file.load_range(&key, &range).unwrap(), memory.load_range(&key, &range).unwrap()
            );
        }
        let report = file.database().verify().unwrap();
        prop_assert!(report.is_ok(), "{:?}", report.findings);
    }
}

/// Goal: a thousand appends leave few blocks, a compacted file is smaller, and both read as what was put in.
#[test]
fn many_appends_leave_few_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("series.db");
    let backend = SqliteBackend::open(&path).unwrap();
    let mut all = (Vec::new(), Vec::new());
    for n in 0..1_000_i64 {
        let times: Vec<i64> = (0..100).map(|i| (n * 100 + i) * 1_000_000_000).collect();
        let values: Vec<f64> =
            times.iter().map(|t| (t / 1_000_000_000 % 977) as f64 / 8.0).collect();
        backend.append("k", &Series::from_times_ns(&times, &values).unwrap()).unwrap();
        all.0.extend(times);
        all.1.extend(values);
    }
    let whole = Series::from_times_ns(&all.0, &all.1).unwrap();
    let count = || {
        let sql = "SELECT count(*), sum(length(index_data) + length(value_data)) FROM series_block";
        let rows = backend.database().sql(sql).unwrap().rows;
        let number = |i: usize| match rows[0][i] {
            siltstone::Value::Integer(n) => n,
            ref other => panic!("{other:?}"),
        };
        (number(0), number(1))
    };
    let (blocks, bytes) = count();
    assert!(blocks <= 20, "{blocks} blocks");
    assert_eq!(backend.load("k").unwrap().0, whole);
    backend.compact(None).unwrap();
    let (compacted_blocks, compacted_bytes) = count();
    assert_eq!(compacted_blocks, 7, "100,000 points of 16,384 a block");
    assert!(compacted_bytes * 3 < bytes, "{compacted_bytes} of {bytes}");
    assert_eq!(backend.load("k").unwrap().0, whole);
    assert_eq!(backend.compact(None).unwrap().rows, 0, "compacted blocks stay as they are");
}

/// Goal: a damaged block is named and the other series can be read.
#[test]
fn a_damaged_block_is_named_and_the_rest_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("series.db");
    let point = Series::from_times_ns(&[1, 2, 5], &[1.0, 2.0, 3.0]).unwrap();
    let backend = SqliteBackend::open(&path).unwrap();
    backend.save("bad", &point, &Metadata::new()).unwrap();
    backend.save("good", &point, &Metadata::new()).unwrap();
    backend.database().clone().close().unwrap();
    let conn = rusqlite::Connection::open(&path).unwrap();
    let sql =
        "UPDATE series_block SET value_data = zeroblob(length(value_data)) WHERE series_id = 1";
    assert_eq!(conn.execute(sql, []).unwrap(), 1);
    drop(conn);
    let error = backend.load("bad").unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("\"bad\""), "{error}");
    assert_eq!(backend.load("good").unwrap().0, point);
    assert!(!backend.database().verify().unwrap().is_ok());
}

/// Goal: a second compaction packs what came since, and leaves alone what was packed.
#[test]
fn compaction_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let backend = SqliteBackend::open(folder.path().join("series.db")).unwrap();
    let points = |from: i64, n: i64| {
        let times: Vec<i64> = (from..from + n).collect();
        let values: Vec<f64> = times.iter().map(|t| (*t as f64).sin()).collect();
        Series::from_times_ns(&times, &values).unwrap()
    };
    let blocks = || {
        let sql = "SELECT id, rows, compacted FROM series_block ORDER BY first_row";
        backend.database().sql(sql).unwrap().rows
    };
    backend.save("k", &points(0, 40_000), &Metadata::new()).unwrap();
    assert_eq!(backend.compact(None).unwrap().blocks, 3);
    let first = blocks();
    let mut length = 40_000;
    for n in [10, 7_000, 12_000] {
        backend.append("k", &points(length, n)).unwrap();
        length += n;
        assert!((1..=2).contains(&backend.compact(None).unwrap().blocks));
        assert_eq!(backend.load("k").unwrap().0, points(0, length));
    }
    let last = blocks();
    assert_eq!(first[..2], last[..2], "the whole ones stay");
    assert!(last.len() <= 5, "{last:?}");
    assert!(backend.database().verify().unwrap().is_ok());
}

/// Goal: whoever scans sees the series as it was when he began, whatever is done to it meanwhile.
#[test]
fn a_scan_sees_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let backend = SqliteBackend::open(folder.path().join("series.db")).unwrap();
    let times: Vec<i64> = (0..100_000).collect();
    let before = Series::from_times_ns(&times, &vec![1.5; times.len()]).unwrap();
    backend.save("k", &before, &Metadata::new()).unwrap();
    let mut batches = backend.scan("k", &IndexRange::all()).unwrap();
    let mut parts = vec![batches.next_batch().unwrap().unwrap()];
    backend.append("k", &Series::from_times_ns(&[7], &[2.0]).unwrap()).unwrap();
    backend.compact(None).unwrap();
    parts.push(batches.next_batch().unwrap().unwrap());
    backend.delete("k").unwrap();
    while let Some(batch) = batches.next_batch().unwrap() {
        parts.push(batch);
    }
    let whole = arrow_select::concat::concat_batches(&parts[0].schema(), &parts).unwrap();
    assert_eq!(Series::from_batch(&whole).unwrap(), before);
}

/// Goal: appends of two while a third compacts, copies and renames lose no point and no order.
#[test]
fn appends_compaction_and_renames_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("series.db");
    let open = || SqliteBackend::open(&path).unwrap();
    const CALLS: i64 = 60;
    let done = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for writer in 0..2_i64 {
            let (open, done) = (&open, &done);
            scope.spawn(move || {
                let backend = open();
                for n in 0..CALLS {
                    let times = [2 * n * 1_000 + writer, (2 * n + 1) * 1_000 + writer];
                    let points = Series::from_times_ns(&times, &[0.1, 0.2]).unwrap();
                    backend.append("both", &points).unwrap();
                    backend.append(&format!("own {writer}"), &points).unwrap();
                }
                done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            });
        }
        let backend = open();
        while done.load(std::sync::atomic::Ordering::SeqCst) < 2 {
            backend.compact(None).unwrap();
            // Between two commits everything is whole.
            let _ = backend.copy("both", "copy");
            let _ = backend.rename("copy", "moved");
            if let Ok((moved, _)) = backend.load("moved") {
                assert!(moved.len().is_multiple_of(2));
                backend.delete("moved").unwrap();
            }
        }
    });
    let backend = open();
    let both = backend.load("both").unwrap().0;
    assert_eq!(both.len(), 4 * CALLS as usize);
    for writer in 0..2 {
        let times: Vec<i64> = (0..2 * CALLS).map(|n| n * 1_000 + writer).collect();
        let own = backend.load(&format!("own {writer}")).unwrap().0;
        let wanted = Series::from_times_ns(&times, &vec![0.1; times.len()]).unwrap();
        assert_eq!(own.index(), wanted.index(), "in the order of the calls");
    }
    assert!(backend.database().verify().unwrap().is_ok());
}
