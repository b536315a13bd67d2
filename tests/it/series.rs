//! Series: every backend keeps the same promises.

use siltstone::Error;
use siltstone::series::{
    MemoryBackend, ParquetBackend, Series, SqliteBackend, StorageBackend, conformance,
};
use siltstone_needs::needs;

/// Goal: memory passes the suite that every backend passes.
#[test]
fn memory_does_what_a_backend_must() {
    conformance::check(&|| Box::new(MemoryBackend::new()));
}

/// Goal: an SQLite file passes it too.
#[test]
fn sqlite_does_what_a_backend_must() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::cell::Cell::new(0);
    conformance::check(&|| {
        made.set(made.get() + 1);
        let path = folder.path().join(format!("{}.db", made.get()));
        Box::new(SqliteBackend::open(path).unwrap())
    });
}

/// Goal: a full disk refuses a save as an error of the system, the old series stays whole, and once there is room
/// again a save goes on.
#[needs(small_disk)]
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_the_old_series() {
    let points = |n: i64, value: f64| {
        let values: Vec<f64> = (0..n).map(|i| (i as f64 * value).sin()).collect();
        Series::from_times_ns(&(0..n).collect::<Vec<_>>(), &values).unwrap()
    };
    for kind in ["sqlite", "parquet"] {
        let folder = tempfile::tempdir().unwrap();
        let _mounted = crate::shared::Mounted::small(folder.path());
        let backend: Box<dyn StorageBackend> = match kind {
            "sqlite" => Box::new(SqliteBackend::open(folder.path().join("a.db")).unwrap()),
            _ => Box::new(ParquetBackend::open(folder.path().join("a")).unwrap()),
        };
        let old = points(1_000, 1.0);
        let metadata = serde_json::from_str(r#"{"old":true}"#).unwrap();
        backend.save("k", &old, &metadata).unwrap();
        for _ in 0..2 {
            let error = backend.save("k", &points(400_000, 0.7), &Default::default()).unwrap_err();
            assert!(matches!(&error, Error::Io { .. }), "{kind}: {error:?}");
            assert_eq!(backend.load("k").unwrap(), (old.clone(), metadata.clone()), "{kind}");
        }
        backend.append("k", &points(10, 2.0)).unwrap();
        assert_eq!(backend.load("k").unwrap().0.len(), 1_010, "{kind}");
    }
}
