//! The path that is shown: opened once, again when another file takes its place, and looked at for changes.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use siltstone::memory::MemoryStore;
use siltstone::ticks::Outlines;
use siltstone::{Error, Handle, Result};

use crate::cursors::Cursors;
use crate::lists::Lists;

/// A file that was written this short a time ago may be written again with the same time.
const RESOLUTION: Duration = Duration::from_millis(50);

/// A file, or a folder of ticks.
pub(crate) struct Source {
    path: PathBuf,
    opened: Mutex<Opened>,
    /// Places in the simulations of what is open.
    pub(crate) cursors: Cursors,
    /// What was seen of blocks of ticks, whatever file they are in.
    pub(crate) outlines: Outlines,
    /// The lists of runs that were sent.
    pub(crate) lists: Lists,
}

/// What is open, and how often something was opened: what was read by an earlier handle is of another file.
#[derive(Default)]
struct Opened {
    file: Option<(FileId, Handle)>,
    /// The memories of the file: its store holds the embeddings that a search needs.
    memory: Option<MemoryStore>,
    turn: u64,
}

/// What a file is, whatever its name; of a folder, what can be seen of its files.
type FileId = Option<(u64, u64)>;

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What can be seen of a path without reading it.
pub(crate) struct Look {
    /// Differs whenever something was written.
    pub(crate) version: u64,
    /// Bytes of the file and its log, or of all days.
    pub(crate) bytes: u64,
    /// When it was last written, in ms since 1970.
    pub(crate) modified_ms: u64,
}

impl Source {
    /// # Errors
    /// As [`siltstone::open_read_only`].
    pub(crate) fn open(path: &Path) -> Result<Self> {
        // A path that was typed as a relative one is the same when the process changes its folder.
        let path = std::path::absolute(path).map_err(|error| refused(path, &error))?;
        if !path.exists() {
            siltstone::open_read_only(&path)?; // it says so
        }
        let (opened, cursors) = (Mutex::default(), Cursors::default());
        let (outlines, lists) = (Outlines::default(), Lists::default());
        let source = Source { path, opened, cursors, outlines, lists };
        source.handle()?;
        Ok(source)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The open file. One that has taken the place of another is opened, as is one that could not be opened before.
    ///
    /// # Errors
    /// As [`siltstone::open_read_only`].
    pub(crate) fn handle(&self) -> Result<Handle> {
        Ok(self.opened()?.1)
    }

    /// The open file, and the number of its opening.
    ///
    /// # Errors
    /// As [`handle`](Self::handle).
    pub(crate) fn opened(&self) -> Result<(u64, Handle)> {
        let found = self.path.metadata().map_err(|error| refused(&self.path, &error))?;
        // An open folder of ticks does not see what another process stores: it is opened again.
        let id = if found.is_dir() { Some((self.look()?.version, 0)) } else { id_of(&found) };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, handle)) = &opened.file
            && *known == id
        {
            return Ok((opened.turn, handle.clone()));
        }
        // The file that is no longer there is closed first: it may fail as it likes.
        (opened.file, opened.memory) = (None, None);
        self.cursors.clear();
        let handle = siltstone::open_read_only(&self.path)?;
        opened.file = Some((id, handle.clone()));
        opened.turn += 1;
        Ok((opened.turn, handle))
    }

    /// The memories of the open file, one store for all queries.
    ///
    /// # Errors
    /// As [`handle`](Self::handle), and [`Handle::memory`].
    pub(crate) fn memory(&self) -> Result<MemoryStore> {
        let (turn, handle) = self.opened()?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        match &opened.memory {
            Some(store) if opened.turn == turn => Ok(store.clone()),
            _ => {
                let store = handle.memory()?;
                if opened.turn == turn {
                    opened.memory = Some(store.clone());
                }
                Ok(store)
            }
        }
    }

    /// Looks at the files without opening them.
    ///
    /// # Errors
    /// [`Error::Io`] if the path is not there.
    pub(crate) fn look(&self) -> Result<Look> {
        let found = self.path.metadata().map_err(|error| refused(&self.path, &error))?;
        let mut seen = Seen::default();
        if found.is_dir() {
            seen.folder(&self.path, DEPTH);
        } else {
            seen.file(&self.path, &found);
            let mut log = self.path.as_os_str().to_owned();
            log.push("-wal");
            if let Ok(found) = Path::new(&log).metadata()
                && !is_of_a_reader(Path::new(&log), &found)
            {
                seen.file(Path::new(&log), &found);
            }
        }
        Ok(seen.end())
    }
}

/// Folders above a day of ticks: `YYYY/MM`.
const DEPTH: usize = 2;

#[derive(Default)]
struct Seen {
    hasher: DefaultHasher,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Seen {
    fn file(&mut self, path: &Path, found: &Metadata) {
        let modified = found.modified().ok();
        (path, found.len(), modified, id_of(found)).hash(&mut self.hasher);
        self.bytes += found.len();
        self.modified = self.modified.max(modified);
    }

    /// The files of a folder and of the folders below it. What vanishes meanwhile is not there.
    fn folder(&mut self, folder: &Path, depth: usize) {
        let Ok(entries) = folder.read_dir() else { return };
        let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        entries.sort();
        for path in entries {
            match path.metadata() {
                Ok(found) if found.is_dir() && depth > 0 => self.folder(&path, depth - 1),
                Ok(found) if found.is_file() && !is_of_a_reader(&path, &found) => {
                    self.file(&path, &found);
                }
                _ => {}
            }
        }
    }

    fn end(mut self) -> Look {
        let age = self.modified.and_then(|modified| modified.elapsed().ok());
        // Written a moment ago: the next look differs from this one, so that nothing is missed.
        age.is_some_and(|age| age < RESOLUTION).hash(&mut self.hasher);
        let since =
            self.modified.and_then(|modified| modified.duration_since(SystemTime::UNIX_EPOCH).ok());
        Look {
            version: self.hasher.finish(),
            bytes: self.bytes,
            modified_ms: since.map_or(0, |since| since.as_millis() as u64),
        }
    }
}

/// Whether a file says nothing of what was written: the index of a log changes when it is read too, and who reads makes an
/// empty log.
fn is_of_a_reader(path: &Path, found: &Metadata) -> bool {
    let path = path.to_string_lossy();
    path.ends_with("-shm") || (path.ends_with("-wal") && found.len() == 0)
}

fn refused(path: &Path, error: &std::io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        action: "looking at it",
        kind: error.kind(),
        why: error.to_string(),
    }
}

#[cfg(unix)]
fn id_of(found: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;
    Some((found.dev(), found.ino()))
}

/// Where files have no number that the standard library knows, the time at which they were made.
#[cfg(not(unix))]
fn id_of(found: &Metadata) -> FileId {
    let made = found.created().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some((0, made.as_nanos() as u64))
}
