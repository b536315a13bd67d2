//! The data that lives beside the project: `SILTSTONE_SHARED`, or `../shared`.

use std::path::PathBuf;

/// A folder of the shared data; `None`, said in a line, if it is not there.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SILTSTONE_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: {} is not there (SILTSTONE_SHARED says where to look)", folder.display());
    None
}
