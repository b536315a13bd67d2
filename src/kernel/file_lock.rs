//! A file that one process at a time holds.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{check_is_file, interruption};
use crate::error::{Error, Result};

/// How long another process is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An exclusive lock (`flock`) on a file of its own; given back when it is dropped, and by the system when the
/// process dies. Where there is no `flock` it locks nothing: there the caller sees to it that one process writes.
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

#[cfg(unix)]
pub(super) fn try_lock(file: &File) -> std::io::Result<bool> {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open as long as `file` is.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(true);
    }
    let error = std::io::Error::last_os_error();
    if error.kind() == std::io::ErrorKind::WouldBlock { Ok(false) } else { Err(error) }
}

/// Not by closing it: a forked process may have it open too.
#[cfg(unix)]
fn unlock(file: &File) {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open as long as `file` is.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

#[cfg(not(unix))]
pub(super) fn try_lock(_: &File) -> std::io::Result<bool> {
    Ok(true)
}

#[cfg(not(unix))]
fn unlock(_: &File) {}
