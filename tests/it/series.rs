//! Series: every backend keeps the same promises.

use siltstone::series::{MemoryBackend, conformance};

/// Goal: memory passes the suite that every backend passes.
#[test]
fn memory_does_what_a_backend_must() {
    conformance::check(&|| Box::new(MemoryBackend::new()));
}
