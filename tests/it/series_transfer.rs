//! Series from one backend into another.

use std::path::Path;

use siltstone::series::tree::{Dataset, Signal};
use siltstone::series::{
    self, IndexMetadata, MemoryBackend, Metadata, ParquetBackend, Series, SqliteBackend,
    StorageBackend, TransferOptions, conformance,
};
use siltstone::{Error, Result};
#[cfg(all(unix, feature = "postgresql"))]
use siltstone_needs::needs;

fn points(n: i64) -> Series {
    let times: Vec<i64> = (0..n).map(|i| i * 1_000_000_000).collect();
    let values: Vec<f64> = (0..n).map(|i| (i as f64 * 0.1).sin()).collect();
    let index = IndexMetadata { frequency: Some("s".into()), ..IndexMetadata::default() };
    Series::from_times_ns(&times, &values).unwrap().with_index_metadata(index).with_name("flow")
}

fn go_on(_: u64, _: u64) -> Result<()> {
    Ok(())
}

type Targets = Vec<Box<dyn StorageBackend>>;

fn targets(folder: &Path) -> Targets {
    vec![
        Box::new(MemoryBackend::new()),
        Box::new(ParquetBackend::open(folder.join("parquet")).unwrap()),
        Box::new(SqliteBackend::open(folder.join("target.db")).unwrap()),
    ]
}

#[cfg(all(unix, feature = "postgresql"))]
fn server(folder: &Path) -> Targets {
    let name = folder.file_name().unwrap().to_str().unwrap().replace('.', "c").to_lowercase();
    vec![Box::new(crate::postgres_server::shared().backend(&name))]
}

/// Goal: every type of index and of value, metadata, long series and a dataset's tree are the same at any target;
/// what is equal there is passed over the next time.
#[test]
fn what_was_copied_is_the_same() {
    copies_are_the_same(targets);
}

/// Goal: the same, into a server.
#[needs(postgresql)]
#[test]
#[cfg(all(unix, feature = "postgresql"))]
fn what_was_copied_into_a_server_is_the_same() {
    copies_are_the_same(server);
}

fn copies_are_the_same(targets: fn(&Path) -> Targets) {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteBackend::open(folder.path().join("a.db")).unwrap();
    for (i, index) in conformance::indexes().into_iter().enumerate() {
        let metadata: Metadata = serde_json::from_str(r#"{"unit":"m"}"#).unwrap();
        file.save(&format!("i{i}"), &Series::new(index.clone(), index).unwrap(), &metadata)
            .unwrap();
    }
    for (i, values) in conformance::values().into_iter().enumerate() {
        let index = arrow_array::Int64Array::from_iter_values(0..values.len() as i64);
        let series = Series::new(std::sync::Arc::new(index), values).unwrap();
        file.save(&format!("v{i}"), &series, &Metadata::new()).unwrap();
    }
    file.save("long", &points(100_000), &serde_json::from_str(r#"{"a":1}"#).unwrap()).unwrap();
    let source: std::sync::Arc<dyn StorageBackend> = std::sync::Arc::new(file);
    let mut plant = Dataset::create(source.clone(), "plant").unwrap();
    let name = plant.add(Signal::new("flow", "m3/h").unwrap()).unwrap();
    plant.signal_mut(&name).unwrap().add(points(10)).unwrap();
    let keys = source.list_keys("").unwrap();
    let options = TransferOptions { most_points: 10_000, ..TransferOptions::default() };
    for target in targets(folder.path()) {
        let kind = target.backend_type();
        let mut reported = Vec::new();
        let report =
            series::transfer(source.as_ref(), target.as_ref(), &options, &mut |done, all| {
                reported.push((done, all));
                Ok(())
            });
        let report = report.unwrap_or_else(|e| panic!("{kind}: {e}"));
        assert_eq!((report.series, report.unchanged), (keys.len() as u64, 0), "{kind}");
        assert_eq!(report.records, 2, "{kind}");
        assert_eq!(target.list_keys("").unwrap(), keys, "{kind}");
        assert!(reported.is_sorted() && reported.len() > 10, "{kind}: {reported:?}");
        assert_eq!(reported.last().map(|(done, all)| done == all), Some(true));
        for key in &keys {
            assert_eq!(source.load(key).unwrap(), target.load(key).unwrap(), "{kind} {key}");
            assert_eq!(source.info(key).unwrap(), target.info(key).unwrap(), "{kind} {key}");
        }
        let again =
            series::transfer(source.as_ref(), target.as_ref(), &options, &mut go_on).unwrap();
        assert_eq!((again.series, again.unchanged), (0, keys.len() as u64), "{kind}");
        assert_eq!((again.records, again.conflicts), (0, 0), "{kind}");
    }
}

/// Goal: a copy that is interrupted leaves no half series under its key, and is taken up where it ended.
#[test]
fn an_interrupted_copy_is_taken_up() {
    interrupted_copies_are_taken_up(targets);
}

/// Goal: the same, into a server.
#[needs(postgresql)]
#[test]
#[cfg(all(unix, feature = "postgresql"))]
fn an_interrupted_copy_into_a_server_is_taken_up() {
    interrupted_copies_are_taken_up(server);
}

fn interrupted_copies_are_taken_up(targets: fn(&Path) -> Targets) {
    let folder = tempfile::tempdir().unwrap();
    let source = MemoryBackend::new();
    source.save("long", &points(50_000), &serde_json::from_str(r#"{"a":1}"#).unwrap()).unwrap();
    let options = TransferOptions { most_points: 8_000, ..TransferOptions::default() };
    for target in targets(folder.path()) {
        let kind = target.backend_type();
        let mut stop = |done: u64, _| match done {
            20_000.. => Err(Error::Interrupted { action: "copying" }),
            _ => Ok(()),
        };
        let error = series::transfer(&source, target.as_ref(), &options, &mut stop).unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }), "{kind}: {error}");
        assert!(!target.exists("long").unwrap(), "{kind}: half a series");
        let mut least = u64::MAX;
        series::transfer(&source, target.as_ref(), &options, &mut |done, _| {
            least = least.min(if done == 0 { u64::MAX } else { done });
            Ok(())
        })
        .unwrap();
        assert!(least > 20_000, "{kind}: it began anew, at {least}");
        assert_eq!(target.load("long").unwrap(), source.load("long").unwrap(), "{kind}");
        assert_eq!(target.list_keys("").unwrap(), ["long"], "{kind}: parts are left");
    }
    // A part of another series is not gone on with.
    let target = MemoryBackend::new();
    target.append("long\0part", &points(5_000).slice(1, 4_000)).unwrap();
    series::transfer(&source, &target, &options, &mut go_on).unwrap();
    assert_eq!(target.load("long").unwrap(), source.load("long").unwrap());
}

/// Goal: a series that is another one at the target stays, and is named, unless it is to be replaced.
#[test]
fn what_is_another_one_stays() {
    others_stay(targets);
}

/// Goal: the same, in a server.
#[needs(postgresql)]
#[test]
#[cfg(all(unix, feature = "postgresql"))]
fn what_is_another_one_in_a_server_stays() {
    others_stay(server);
}

fn others_stay(targets: fn(&Path) -> Targets) {
    let folder = tempfile::tempdir().unwrap();
    let source = MemoryBackend::new();
    for key in ["a/1", "a/2", "b/1"] {
        source.save(key, &points(10), &Metadata::new()).unwrap();
    }
    for target in targets(folder.path()) {
        target.save("a/1", &points(9), &Metadata::new()).unwrap();
        let metadata: Metadata = serde_json::from_str(r#"{"a":1}"#).unwrap();
        target.save("a/2", &points(10), &metadata).unwrap();
        let options = TransferOptions { prefix: "a/".into(), ..TransferOptions::default() };
        let report = series::transfer(&source, target.as_ref(), &options, &mut go_on).unwrap();
        assert_eq!(report.first_conflicts, ["a/1", "a/2"]);
        assert_eq!(report.conflicts, 2);
        assert_eq!(target.info("a/1").unwrap().length, 9);
        assert!(!target.exists("b/1").unwrap());
        let options = TransferOptions { overwrite: true, ..options };
        let report = series::transfer(&source, target.as_ref(), &options, &mut go_on).unwrap();
        assert_eq!((report.series, report.conflicts), (2, 0));
        assert_eq!(target.load("a/1").unwrap(), source.load("a/1").unwrap());
        assert_eq!(target.load("a/2").unwrap(), source.load("a/2").unwrap());
    }
}
