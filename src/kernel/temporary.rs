//! What has no name of its own yet: a file or a folder under a temporary name.
//!
//! The name is random, and is made only if nothing has it: no link is followed. As long as it is being written it
//! is locked (`flock`), and the system gives the lock back when the process ends, however it ends. So a temporary
//! file that can be locked is nobody's, and whoever next writes beside it removes it.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::file_lock::try_lock;
use super::paths::{beside, folder_of, numbers};
use crate::error::{Error, Result};

/// What stands between the name that a file is going to have and its random part.
const TAG: &str = ".partial-";
/// Hexadecimal digits of the random part.
const DIGITS: usize = 16;
/// Characters of the name that a file is going to have: the whole has to be a name too.
const MOST_OF_NAME: usize = 50;
/// Names that are tried.
const TRIES: usize = 100;
/// How long a folder is not looked through again: some write thousands of files into one.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// What SQLite puts beside a database.
const SUFFIXES: [&str; 3] = ["-journal", "-wal", "-shm"];

/// A file or a folder under a temporary name, removed when it is dropped without having got another, by the process
/// that made it: not by a fork.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    /// The file, or the folder; it holds the lock.
    handle: File,
    pid: u32,
    has_name: bool,
    is_emptied: bool,
}

impl Temporary {
    /// A new file beside the one that it is going to be.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn file(target: &Path) -> Result<Self> {
        Self::beside(target, |path| open(OpenOptions::new().write(true).create_new(true), path))
    }

    /// A new folder beside the one that it is going to be.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn folder(target: &Path) -> Result<Self> {
        Self::beside(target, |path| {
            fs::create_dir(path)?;
            open(OpenOptions::new().read(true), path)
        })
    }

    /// A new folder among the system's temporary ones, which nobody else can enter. Not one of the crate `tempfile`:
    /// those of a killed process stay for ever, and a fork removes them.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn private_folder() -> Result<Self> {
        remove_leftovers(&std::env::temp_dir());
        Self::beside(&std::env::temp_dir().join("siltstone"), |path| {
            create_private(path)?;
            open(OpenOptions::new().read(true), path)
        })
    }

    fn beside(target: &Path, make: impl Fn(&Path) -> io::Result<File>) -> Result<Self> {
        let folder = folder_of(target);
        sweep_sometimes(folder);
        let failed = |e| Error::io(target, "creating a temporary file beside it", &e);
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let name: String = name.chars().take(MOST_OF_NAME).collect();
        for _ in 0..TRIES {
            let random = RandomState::new().build_hasher().finish();
            let path = folder.join(format!(".{name}{TAG}{random:0DIGITS$x}"));
            match make(&path) {
                Ok(handle) if is_claimed(&handle, &path) => {
                    let pid = std::process::id();
                    let (has_name, is_emptied) = (false, false);
                    return Ok(Temporary { path, handle, pid, has_name, is_emptied });
                }
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                // Somebody took it for nobody's before it could be opened.
                Err(e) if e.kind() == io::ErrorKind::NotFound && folder.is_dir() => {}
                Err(e) => return Err(failed(e)),
            }
        }
        Err(failed(io::Error::other("a hundred random names were taken")))
    }

    /// Lets the files of a folder be emptied before it is removed: the kernel keeps descriptors of a closed database for a
    /// while, and so they fill no disk meanwhile. Only where no handle outlives the folder: what has a file mapped dies
    /// of it.
    pub(crate) fn emptied(mut self) -> Self {
        self.is_emptied = true;
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, open for writing; a folder, open.
    pub(crate) fn handle(&self) -> &File {
        &self.handle
    }

    /// Gives it its name, in place of the file that has it.
    ///
    /// # Errors
    /// [`Error::Io`]: it has not got the name, and is removed.
    pub(crate) fn rename(mut self, target: &Path) -> Result<()> {
        let renamed = fs::rename(&self.path, target);
        // Over a network a call may have been carried out although it is reported as failed.
        self.has_name = renamed.is_ok() || self.is_at(target);
        match renamed {
            Err(e) if !self.has_name => Err(Error::io(target, "renaming a file to it", &e)),
            _ => Ok(()),
        }
    }

    /// Gives a file its name unless something has it: then the answer is false, and the file is removed.
    ///
    /// # Errors
    /// As [`rename`](Self::rename).
    pub(crate) fn rename_new(mut self, target: &Path) -> Result<bool> {
        let linked = fs::hard_link(&self.path, target);
        if linked.is_ok() || self.is_at(target) {
            self.has_name = true;
            if let Err(error) = fs::remove_file(&self.path) {
                // The file is whole and has its name; the first one takes no room, and the next writer removes it.
                tracing::warn!(path = %self.path.display(), %error, "a temporary name stays");
            }
            return Ok(true);
        }
        match linked {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            // A file system without second names.
            Err(_) if fs::symlink_metadata(target).is_err() => self.rename(target).map(|()| true),
            _ => Ok(false),
        }
    }

    fn is_at(&self, target: &Path) -> bool {
        let own = self.handle.metadata().ok().and_then(|file| numbers(&file));
        let there = fs::symlink_metadata(target).ok().and_then(|file| numbers(&file));
        own.is_some() && own == there
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.has_name || self.pid != std::process::id() {
            return;
        }
        let entries = self.is_emptied.then(|| fs::read_dir(&self.path));
        for entry in entries.into_iter().flatten().flatten().flatten() {
            let file = open(OpenOptions::new().write(true), &entry.path());
            let _ = file.and_then(|file| file.set_len(0)); // removed below all the same
        }
        remove(&self.path, &self.handle);
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<()> {
    std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700).create(path)
}

/// Windows' temporary folder is the user's own.
#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A planted pipe is not waited for.
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000; // also folders
        const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000; // no link is followed
        options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
    }
    options.open(path)
}

/// Locks what was just made. False if somebody took it for nobody's in between.
fn is_claimed(handle: &File, path: &Path) -> bool {
    match lock(handle) {
        Ok(locked) => locked && is_still(handle, path),
        // A file system without locks: nobody removes it then either.
        Err(_) => true,
    }
}

/// Where `flock` is a lock of its own; elsewhere SQLite's own locks would meet it.
fn lock(handle: &File) -> io::Result<bool> {
    if cfg!(target_os = "linux") { try_lock(handle) } else { Ok(true) }
}

fn is_still(handle: &File, path: &Path) -> bool {
    let there = fs::symlink_metadata(path).ok().and_then(|file| numbers(&file));
    handle.metadata().ok().and_then(|file| numbers(&file)) == there
}

/// Whether a name is one that [`Temporary`] gives.
pub(crate) fn is_temporary(name: &str) -> bool {
    let parts = name.strip_prefix('.').and_then(|name| name.rsplit_once(TAG));
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    parts.is_some_and(|(_, random)| random.len() == DIGITS && random.bytes().all(is_digit))
}

/// As [`remove_leftovers`], unless this process has just looked.
fn sweep_sometimes(folder: &Path) {
    static SWEPT: Mutex<Vec<(PathBuf, Instant)>> = Mutex::new(Vec::new());
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    swept.retain(|(_, when)| when.elapsed() < SWEEP_EVERY);
    if swept.iter().all(|(known, _)| known != folder) {
        swept.push((folder.to_owned(), Instant::now()));
        drop(swept);
        remove_leftovers(folder);
    }
}

/// Removes what writers that were killed left in a folder.
pub(crate) fn remove_leftovers(folder: &Path) {
    if !cfg!(target_os = "linux") {
        return; // without the locks it cannot be told what is nobody's
    }
    // What cannot be listed or removed takes room and harms nobody: the write goes on.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_temporary)
            && let Err(error) = remove_abandoned(&entry.path())
        {
            let path = entry.path();
            tracing::debug!(path = %path.display(), %error, "a temporary file is not removed");
        }
    }
}

fn remove_abandoned(path: &Path) -> io::Result<()> {
    let handle = open(OpenOptions::new().read(true), path)?;
    let found = handle.metadata()?;
    let is_ours = (found.is_file() || found.is_dir()) && is_same_users(&found);
    if is_ours && lock(&handle)? && is_still(&handle, path) {
        tracing::info!(path = %path.display(), "what a killed writer left is removed");
        remove(path, &handle);
    }
    Ok(())
}

#[cfg(unix)]
fn is_same_users(found: &fs::Metadata) -> bool {
    // SAFETY: the call has no conditions.
    std::os::unix::fs::MetadataExt::uid(found) == unsafe { libc::geteuid() }
}

#[cfg(not(unix))]
fn is_same_users(_: &fs::Metadata) -> bool {
    true
}

fn remove(path: &Path, handle: &File) {
    let removed = if handle.metadata().is_ok_and(|found| found.is_dir()) {
        fs::remove_dir_all(path)
    } else {
        for suffix in SUFFIXES {
            let _ = fs::remove_file(beside(path, suffix)); // most never existed
        }
        fs::remove_file(path)
    };
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "a temporary file stays");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Goal: what a writer that is gone left is removed, a file or a folder; what is being written, and what only looks
    /// like it, stays.
    #[test]
    fn only_what_is_nobodys_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("run.db");
        let name = |random: &str| folder.path().join(format!(".run.db.partial-{random}"));
        let live = [Temporary::file(&target).unwrap(), Temporary::folder(&target).unwrap()];
        let left = [name("00000000000000aa"), name("00000000000000bb")];
        fs::write(&left[0], "half").unwrap();
        fs::write(beside(&left[0], "-journal"), "half").unwrap();
        fs::create_dir(&left[1]).unwrap();
        fs::write(left[1].join("part"), "half").unwrap();
        fs::write(&target, "whole").unwrap();
        let link = name("00000000000000cc");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let pipe = name("00000000000000dd");
        let path = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
        // SAFETY: the path ends in a zero.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        let others =
            [name("short"), name("0123456789ABCDEF"), folder.path().join("run.db.partial")];
        others.iter().for_each(|other| fs::write(other, "").unwrap());
        remove_leftovers(folder.path());
        assert!(left.iter().all(|path| !path.exists()) && !beside(&left[0], "-journal").exists());
        assert!(live.iter().all(|temporary| temporary.path().exists()));
        assert!(others.iter().chain([&pipe]).all(|other| other.exists()));
        assert!(link.is_symlink() && fs::read(&target).unwrap() == b"whole");
        let paths = live.each_ref().map(|temporary| temporary.path().to_owned());
        drop(live);
        assert!(paths.iter().all(|path| !path.exists()));
    }

    /// Goal: a file gets its name unless something has it, and goes where it does not.
    #[test]
    fn a_name_that_is_taken_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("run.db");
        assert!(Temporary::file(&target).unwrap().rename_new(&target).unwrap());
        fs::write(&target, "first").unwrap();
        assert!(!Temporary::file(&target).unwrap().rename_new(&target).unwrap());
        assert_eq!(fs::read(&target).unwrap(), b"first");
        Temporary::file(&target).unwrap().rename(&target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// Goal: a folder among the system's temporary ones is entered by nobody else, and goes with its owner.
    #[test]
    fn a_private_folder_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let (a, b) = (Temporary::private_folder().unwrap(), Temporary::private_folder().unwrap());
        assert_ne!(a.path(), b.path());
        assert_eq!(fs::metadata(a.path()).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(a.path().join("x"), "y").unwrap();
        let path = a.path().to_owned();
        drop(a);
        assert!(!path.exists() && b.path().is_dir());
    }
}
