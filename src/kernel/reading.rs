//! Files that are read: regular ones, nothing that waits for somebody who writes or has no end.

use std::fs::{self, File, FileType};
use std::io;
use std::path::Path;

use super::connect::beside;
use crate::error::{Error, Result};

/// Refuses what is there and is no regular file, nor a link to one: to open a pipe is to wait for whoever writes into
/// it, and a device may never end.
pub(crate) fn check_is_file(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            let got = name_of(found.file_type());
            Err(Error::invalid(path.display().to_string(), "a file", got))
        }
        // What cannot be looked at cannot be opened: that says why.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The same for a database and what SQLite opens beside it.
pub(super) fn check_is_database_file(path: &Path) -> Result<()> {
    ["", "-wal", "-shm", "-journal"]
        .iter()
        .try_for_each(|suffix| check_is_file(&beside(path, suffix)))
}

/// Opens a file to read it.
pub(crate) fn open_file(path: &Path) -> Result<File> {
    check_is_file(path)?;
    File::open(path).map_err(|e| Error::io(path, "opening it", &e))
}

/// The bytes of a file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    check_is_file(path)?;
    fs::read(path).map_err(|e| Error::io(path, "reading it", &e))
}

/// The bytes of a file, if there is one.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    check_is_file(path)?;
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(path, "reading it", &e)),
    }
}

fn name_of(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a pipe (FIFO)";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if kind.is_dir() { "a folder" } else { "something else" }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::Database;

    /// Goal: nothing that would wait, or never end, is opened: neither in a file's place nor in that of a log beside it;
    /// the error says what it is. A link to a file is a file.
    #[test]
    fn what_is_no_file_is_named_and_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["pipe", "run.db-journal"] {
            let path = std::ffi::CString::new(at(name).to_str().unwrap()).unwrap();
            // SAFETY: the path ends with a NUL.
            assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        }
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink(at("pipe"), at("link")).unwrap();
        fs::write(at("plain"), "x").unwrap();
        std::os::unix::fs::symlink(at("plain"), at("linked")).unwrap();
        let zero = Path::new("/dev/zero").to_owned();
        let found = [
            (at("pipe"), "a pipe (FIFO)"),
            (at("link"), "a pipe (FIFO)"),
            (at("socket"), "a socket"),
            (folder.path().to_owned(), "a folder"),
            (zero, "a device"),
        ];
        for (path, kind) in found {
            let what = format!(": expected a file, got {kind}");
            let expected = format!("{}{what}", path.display());
            assert_eq!(read_file(&path).unwrap_err().to_string(), expected);
            assert_eq!(read_if_there(&path).unwrap_err().to_string(), expected);
            assert_eq!(open_file(&path).unwrap_err().to_string(), expected);
            let database = Database::builder(&path);
            assert_eq!(database.clone().open_read_only().unwrap_err().to_string(), expected);
            let error = database.open().unwrap_err().to_string(); // of a link: where it leads
            assert!(error.ends_with(&what), "{error}");
        }
        assert_eq!(read_file(&at("linked")).unwrap(), b"x");
        assert_eq!(read_if_there(&at("nothing")).unwrap(), None);
        let error = Database::builder(at("run.db")).open().unwrap_err().to_string();
        assert!(error.contains("run.db-journal: expected a file, got a pipe"), "{error}");
    }
}
