//! Files beside the database: whole or not at all, and an error that says which.
//!
//! Until a file has its name nothing has happened, and an error means that. From then on it is there and readers
//! see it: what fails later is [`Error::DurabilityUnknown`], and nobody may act as if the file were not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::paths::{check_path, folder_of};
use super::temporary::{Temporary, remove_leftovers};
use crate::error::{Error, Result};

fn sync(folder: &Path) -> io::Result<()> {
    // Only Unix lets a folder be opened and synced; elsewhere the file system does it by itself.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Makes the names in `folder` survive a loss of power, before something is done that depends on them.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    sync(folder).map_err(|e| Error::io(folder, "syncing the folder", &e))
}

/// Makes the name that `path` was just given survive a loss of power.
///
/// # Errors
/// [`Error::DurabilityUnknown`]: what has the name is there, and stays.
pub(crate) fn sync_name(path: &Path) -> Result<()> {
    let unknown = |e: io::Error| Error::DurabilityUnknown { path: path.into(), why: e.to_string() };
    sync(folder_of(path)).map_err(unknown)
}

/// As [`sync_name`], for all that was just written into folders.
pub(crate) fn sync_names_in<'a>(folders: impl IntoIterator<Item = &'a PathBuf>) -> Result<()> {
    folders.into_iter().try_for_each(|folder| {
        let unknown =
            |e: io::Error| Error::DurabilityUnknown { path: folder.clone(), why: e.to_string() };
        sync(folder).map_err(unknown)
    })
}

/// Makes a folder if it is not there, and sees whether a file can be written in it.
///
/// # Errors
/// [`Error::Io`]: it has no room, or is not ours to write.
pub(crate) fn check_writable(folder: &Path) -> Result<()> {
    create_folder(folder, true)?;
    remove_leftovers(folder);
    let probe = Temporary::file(&folder.join("probe"))?;
    // An empty file takes no room.
    let written = probe.handle().write_all(&[0; 4096]);
    written.map_err(|e| Error::io(folder, "trying whether it can be written", &e))
}

/// Makes a folder, and those above it that are missing; with `durable` their names are on the disk.
///
/// # Errors
/// [`Error::Io`]; [`Error::Invalid`] below a folder `~`.
pub(crate) fn create_folder(folder: &Path, durable: bool) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    check_path(folder)?;
    let is_missing = |above: &&Path| !above.as_os_str().is_empty() && !above.exists();
    let missing: Vec<&Path> = folder.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(folder).map_err(|e| Error::io(folder, "creating the folder", &e))?;
    missing.iter().filter(|_| durable).try_for_each(|made| sync_folder(folder_of(made)))
}

/// Writes a file under a temporary name and renames it: a reader sees the old file or the new one,
/// never a part.
///
/// With `durable` the bytes are on the disk before the name is, else the operating system has them.
///
/// # Errors
/// [`Error::Io`]; the old file, if any, is untouched and the temporary one removed. [`Error::DurabilityUnknown`]: the
/// new file is there.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], durable: bool) -> Result<()> {
    let temporary = Temporary::file(path)?;
    let write = || -> io::Result<()> {
        let mut file = temporary.handle();
        file.write_all(bytes)?;
        if durable { file.sync_all() } else { Ok(()) }
    };
    write().map_err(|e| Error::io(path, "writing it", &e))?;
    temporary.rename(path)?;
    if durable { sync_name(path) } else { Ok(()) }
}

/// Writes a file, in place of one that has its name. It is on the disk before it has the name: a reader, or a
/// crash, sees the old file or the new one, never a part.
///
/// # Errors
/// [`Error::Io`]: the old file, if any, is untouched. [`Error::DurabilityUnknown`]: the new file is there.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("notes.json");
/// siltstone::write_file(&path, b"{}")?;
/// assert_eq!(std::fs::read(path)?, b"{}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write_atomically(path.as_ref(), bytes, true)
}

/// As [`write_file`], with what `write` puts into it piece by piece: the file may be larger than memory.
///
/// # Errors
/// As [`write_file`], and what `write` returns, an [`Error`] within an [`io::Error`] as it is: there is no new file then.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("squares.txt");
/// siltstone::write_file_with(&path, |file| (0..3).try_for_each(|n| writeln!(file, "{}", n * n)))?;
/// assert_eq!(std::fs::read_to_string(path)?, "0\n1\n4\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_file_with<T>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> Result<T> {
    let path = path.as_ref();
    let temporary = Temporary::file(path)?;
    let mut file = io::BufWriter::new(temporary.handle());
    let written = write(&mut file).and_then(|done| {
        file.flush()?;
        temporary.handle().sync_all()?;
        Ok(done)
    });
    let done = written.map_err(|error| match error.downcast::<Error>() {
        Ok(own) => own,
        Err(error) => Error::io(path, "writing it", &error),
    })?;
    drop(file);
    temporary.rename(path)?;
    sync_name(path)?;
    Ok(done)
}
