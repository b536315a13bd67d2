//! Names of files, and which file has one.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// `run.db` and `-wal` give `run.db-wal`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The folder of a path, `.` for a bare name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Refuses a path that a shell, or SQLite, would take for another one than the system does.
pub(super) fn check_path(path: &Path) -> Result<()> {
    let refuse = |expected: &str| {
        Err(Error::invalid("path", expected, format!("{:?}", path.display().to_string())))
    };
    if path.to_string_lossy().starts_with("file:") {
        return refuse("the name of a file and not a URI (./file:NAME is the name of a file)");
    }
    if path.components().next() == Some(Component::Normal("~".as_ref())) {
        return refuse(
            "a path without ~, which only a shell expands (./~ is the name of a folder)",
        );
    }
    Ok(())
}

/// Which file a path names now: the same number for the same file, whatever its name. `None` if there is none, and
/// where files have no numbers.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().and_then(|file| numbers(&file))
}

/// What tells a file from all others of this machine.
pub(super) fn numbers(file: &fs::Metadata) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some((file.dev(), file.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}
