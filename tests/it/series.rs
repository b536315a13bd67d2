//! Series: every backend keeps the same promises.

use siltstone::series::{MemoryBackend, SqliteBackend, conformance};

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
