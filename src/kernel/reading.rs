//! Files that are read: regular ones, nothing that waits for somebody who writes or has no end.

use std::fs::{self, File, FileType};
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::paths::{beside, check_path};
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
    check_path(path)?;
    ["", "-wal", "-shm", "-journal"]
        .iter()
        .try_for_each(|suffix| check_is_file(&beside(path, suffix)))
}

/// Opens a file to read it.
pub(crate) fn open_file(path: &Path) -> Result<File> {
    check_is_file(path)?;
    File::open(path).map_err(|e| Error::io(path, "opening it", &e))
}

/// The bytes of a file, of which there are at most `most`; `None` if there is no such file.
///
/// # Errors
/// [`Error::Invalid`] for a larger one, before it is read, and for what is no regular file; [`Error::Io`] if it cannot be
/// read.
pub(crate) fn read_if_there(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    check_is_file(path)?;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, "opening it", &error)),
    };
    let too_large = |bytes: String| {
        Err(Error::invalid(path.display().to_string(), format!("at most {most} bytes"), bytes))
    };
    let size = file.metadata().map_err(|e| Error::io(path, "reading it", &e))?.len();
    if size > most {
        return too_large(size.to_string());
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    let read = file.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|e| Error::io(path, "reading it", &e))?;
    if bytes.len() as u64 > most { too_large("more".into()) } else { Ok(Some(bytes)) }
}

/// As [`read_if_there`], of a file that is there.
///
/// # Errors
/// As there; [`Error::NotFound`].
pub(crate) fn read_whole(path: &Path, most: u64) -> Result<Vec<u8>> {
    read_if_there(path, most)?.ok_or_else(|| Error::NotFound {
        what: "file",
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        location: super::folder_of(path).display().to_string(),
    })
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
            assert_eq!(read_whole(&path, 5).unwrap_err().to_string(), expected);
            assert_eq!(read_if_there(&path, 5).unwrap_err().to_string(), expected);
            assert_eq!(open_file(&path).unwrap_err().to_string(), expected);
            let database = Database::builder(&path);
            assert_eq!(database.clone().open_read_only().unwrap_err().to_string(), expected);
            let error = database.open().unwrap_err().to_string(); // of a link: where it leads
            assert!(error.ends_with(&what), "{error}");
        }
        assert_eq!(read_whole(&at("linked"), 5).unwrap(), b"x");
        assert_eq!(read_if_there(&at("nothing"), 5).unwrap(), None);
        let error = Database::builder(at("run.db")).open().unwrap_err().to_string();
        assert!(error.contains("run.db-journal: expected a file, got a pipe"), "{error}");
    }

    /// Goal: a file that is too large is refused by name before anything is read of it.
    #[test]
    fn only_files_of_a_bounded_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        assert!(read_if_there(&path, 5).unwrap().is_none());
        assert!(matches!(read_whole(&path, 5), Err(Error::NotFound { .. })));
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_whole(&path, 5).unwrap(), b"12345");
        let refused = read_whole(&path, 4).unwrap_err().to_string();
        assert!(refused.contains("a.json: expected at most 4 bytes, got 5"), "{refused}");
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap(); // takes no room
        assert!(matches!(read_whole(&path, 1 << 30), Err(Error::Invalid { .. })));
    }
}
