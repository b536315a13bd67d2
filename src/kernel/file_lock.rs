//! A file that one process at a time holds.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{check_is_file, interruption};
use crate::error::{Error, Result};

/// How long another process is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An exclusive lock on a file of its own (`flock`, on Windows `LockFileEx`); given back when it is dropped, and by the
/// system when the process dies.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock, which makes the file if it is not there, and waits for whoever holds it.
    ///
    /// # Errors
    /// [`Error::Busy`] after 30 s; [`Error::Io`] if the file cannot be made.
    pub(crate) fn take(path: &Path, action: &'static str) -> Result<Self> {
        check_is_file(path)?;
        let file = open_lock(path).map_err(|e| Error::io(path, "opening its lock", &e))?;
        let begun = Instant::now();
        while !try_lock(&file).map_err(|e| Error::io(path, "locking it", &e))? {
            if begun.elapsed() >= TIMEOUT {
                let waited_ms = TIMEOUT.as_millis() as u64;
                return Err(Error::Busy { path: path.to_owned(), waited_ms, action });
            }
            interruption::pause(Duration::from_millis(2), action)?;
        }
        Ok(FileLock { file })
    }
}

/// Opens a file that is there to be locked; it is made if it is not there. A planted link is not followed, and a pipe
/// not waited for.
pub(crate) fn open_lock(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    options.open(path)
}

impl Drop for FileLock {
    fn drop(&mut self) {
        unlock(&self.file);
    }
}

/// Locks a file that is open; false if another handle has it locked.
pub(crate) fn try_lock(file: &File) -> std::io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Not by closing it: a forked process may have it open too.
pub(crate) fn unlock(file: &File) {
    let _ = file.unlock(); // what cannot be given back goes with the process
}
