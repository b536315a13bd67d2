//! Reads that fail, told from damage.

use std::ffi::{c_int, c_void};

use super::linux::{last_error, set_error};

/// Stands for `pread(2)`: of a read that failed with one of these errors, SQLite says that the database is damaged. With an
/// error that it does not know it says that a read failed, which may go well the next time.
///
/// # Source
/// `unixRead` in SQLite's `os_unix.c`: `SQLITE_IOERR_CORRUPTFS`.
pub(super) unsafe extern "C" fn pread(
    fd: c_int,
    bytes: *mut c_void,
    size: libc::size_t,
    offset: libc::off_t,
) -> libc::ssize_t {
    // SAFETY: passed on as it came.
    let read = || unsafe { libc::pread(fd, bytes, size, offset) };
    #[cfg(test)]
    let read = || if super::tests::fails_now() { -1 } else { read() };
    let n = read();
    if n < 0 && matches!(last_error(), libc::EIO | libc::ENXIO | libc::ERANGE) {
        set_error(libc::EREMOTEIO);
    }
    n
}
