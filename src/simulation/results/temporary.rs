//! A folder of our own in the system's temporary one.
//!
//! A database is opened by its name time and again, for each reader, so the name has to stay while it
//! is used. A process that is killed leaves its folder: the next one removes it.

mod owner;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};

/// How the names of our folders begin.
const PREFIX: &str = "siltstone-";

/// Removed, with all that is in it, when it is dropped by the process that made it: not by a fork.
#[derive(Debug)]
pub(super) struct TemporaryFolder {
    path: PathBuf,
    /// The process that made it: a fork of it leaves the folder alone.
    pid: u32,
}

impl TemporaryFolder {
    /// A new folder that nobody else can enter. Those that killed processes left are removed.
    pub(super) fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        let folder = Self::within(parent.clone())?;
        owner::remove_abandoned(&parent, &folder.path);
        Ok(folder)
    }

    fn within(parent: PathBuf) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        // Made only if it is not there, so a name that somebody guessed is stepped over.
        for _ in 0..100 {
            let n = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{PREFIX}{}-{now:x}-{n}", std::process::id()));
            match make(&path) {
                Ok(()) => {
                    owner::sign(&path);
                    return Ok(TemporaryFolder { path, pid: std::process::id() });
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io(path, "making the temporary folder", &e)),
            }
        }
        Err(Error::Io {
            path: parent,
            action: "making a temporary folder",
            why: "a hundred names were taken".into(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(unix)]
fn make(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir(path)
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            return;
        }
        // The kernel keeps descriptors of a closed file for a while: emptied, it fills no disk meanwhile.
        for entry in std::fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let file = std::fs::OpenOptions::new().write(true).open(entry.path());
            let _ = file.and_then(|file| file.set_len(0)); // removed below all the same
        }
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a temporary folder stays behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: nothing stays behind, and two folders are two.
    #[test]
    fn a_folder_goes_with_its_owner() {
        let (a, b) = (TemporaryFolder::new().unwrap(), TemporaryFolder::new().unwrap());
        assert_ne!(a.path(), b.path());
        std::fs::write(a.path().join("x"), "y").unwrap();
        let path = a.path().to_owned();
        drop(a);
        assert!(!path.exists());
        assert!(b.path().is_dir());
    }
}
