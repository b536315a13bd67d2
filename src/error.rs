//! The one error of the library.

use std::path::PathBuf;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, named by what the caller can do about it.
///
/// `Display` is the whole sentence, and `source()` is empty: command, log and Python print the same
/// text once. Each variant says the state of the file afterwards.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller broke a documented rule. Nothing was written.
    #[error("{what}: expected {expected}, got {got}")]
    Invalid {
        /// The argument, column or field.
        what: String,
        /// The rule.
        expected: String,
        /// What came instead.
        got: String,
    },
    /// The index of a series is of a kind that the call cannot take. Nothing was written.
    #[error("{what}: expected {expected}, got {got}")]
    InvalidIndex {
        /// The call, or the series.
        what: String,
        /// The kinds of index that it takes.
        expected: String,
        /// The index that came instead.
        got: String,
    },
    /// A value or an index has a type that means nothing there. Nothing was written.
    #[error("{what}: expected {expected}, got {got}")]
    InvalidType {
        /// The argument, or the part of a series.
        what: String,
        /// The types that it may have.
        expected: String,
        /// The type that came instead.
        got: String,
    },
    /// Nothing has that name. Nothing was changed.
    #[error("{what} {name:?} is not in {location}")]
    NotFound {
        /// The kind of thing: `dataset`, `entity group`, `file`.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// Where it was looked for.
        location: String,
    },
    /// The thing is there already and is replaced only on request. Nothing was changed.
    #[error("{what} is already in {location}; {hint}")]
    Exists {
        /// The thing, with its key.
        what: String,
        /// The file.
        location: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// The file is not ours to write: not SQLite, or the database of another program. It was left untouched.
    #[error("{path}: {why}; the file was left as it is", path = .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// The file was written by a newer Siltstone. It was left untouched.
    #[error(
        "{path}: its {store} tables have version {file_version}, and this build knows versions up to \
         {known_version}; the file was left as it is, open it with a newer siltstone",
        path = .path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// The store whose tables are too new.
        store: String,
        /// The version in the file.
        file_version: i64,
        /// The newest version that this build knows.
        known_version: i64,
    },
    /// What is stored contradicts itself: a checksum, a length, a reference. Nothing was changed.
    #[error("{}{what} is damaged: {why}", in_front(location))]
    Corrupt {
        /// The file, or the input.
        location: String,
        /// The row, array or page.
        what: String,
        /// How it was seen.
        why: String,
    },
    /// Another process held the file for longer than the time-out. The transaction was rolled back.
    #[error("{path}: another connection held the file for more than {waited_ms} ms while {action}", path = .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// The time-out in milliseconds.
        waited_ms: u64,
        /// What was being done.
        action: &'static str,
    },
    /// The write queue is full and the caller asked not to wait. The job was not accepted.
    #[error("the write queue holds {capacity} jobs already; the job was not accepted")]
    QueueFull {
        /// The capacity in jobs.
        capacity: usize,
    },
    /// The handle was closed, or belongs to another process (a fork). Nothing was written.
    #[error("{what} {why}")]
    Closed {
        /// The handle.
        what: String,
        /// Why it cannot be used.
        why: &'static str,
    },
    /// This cannot be done while a transaction of this thread is open, or it was, and was rolled back.
    #[error("{what} {why}")]
    InTransaction {
        /// What cannot be done, or the transaction.
        what: String,
        /// Why.
        why: &'static str,
    },
    /// A thread or a job of the library panicked, which is a fault of the library. What it was writing was rolled back.
    #[error("{what} {why}")]
    Panicked {
        /// The thread or the job.
        what: String,
        /// What became of its work.
        why: &'static str,
    },
    /// The operating system refused (permission, missing folder, full disk). A transaction that was open was rolled back.
    #[error("{path}: {why} while {action}", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// The kind of the refusal: [`StorageFull`](std::io::ErrorKind::StorageFull) for a full disk.
        kind: std::io::ErrorKind,
        /// The system's reason.
        why: String,
    },
    /// What was asked for is done and readers see it, but the system could not say that it is on the disk. It stays;
    /// whoever does it again does it twice.
    #[error(
        "{path}: it is written and stays, but syncing its folder failed ({why}): whether it survives a loss of power \
         is not known",
        path = .path.display()
    )]
    DurabilityUnknown {
        /// The file or folder that was written.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// SQLite refused for a reason of its own. The transaction was rolled back.
    #[error("{path}: {why} (SQLite error {code}) while {action}", path = .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// SQLite's extended result code.
        code: i32,
        /// SQLite's text.
        why: String,
    },
    /// A server refused, could not be reached, or went away. The transaction was rolled back; if it went away while it
    /// was told to commit, all of it may have been carried out.
    #[error("{location}: {why} while {action}")]
    Server {
        /// The server, without a secret.
        location: String,
        /// What was being done.
        action: &'static str,
        /// Its reason, or that of the connection.
        why: String,
    },
    /// The caller asked to stop. What had been committed stays; the rest was not begun.
    #[error("interrupted while {action}")]
    Interrupted {
        /// What was being done.
        action: &'static str,
    },
}

/// Where something is, before what is said of it; nothing of what is in no file.
fn in_front(location: &str) -> String {
    if location.is_empty() { String::new() } else { format!("{location}: ") }
}

impl Error {
    /// An [`Error::Invalid`] from its three parts.
    pub(crate) fn invalid(
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Error::Invalid { what: what.into(), expected: expected.into(), got: got.into() }
    }

    /// An [`Error::InvalidIndex`] from its three parts.
    pub(crate) fn invalid_index(
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Error::InvalidIndex { what: what.into(), expected: expected.into(), got: got.into() }
    }

    /// An [`Error::InvalidType`] from its three parts.
    pub(crate) fn invalid_type(
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Error::InvalidType { what: what.into(), expected: expected.into(), got: got.into() }
    }

    /// Whether the reason lies in what is read, a file or folder of several, so that the others may be fine: it cannot be
    /// opened, is damaged, or holds what is refused. A target that cannot be written, or an interruption, is another matter.
    pub fn concerns(&self, input: &std::path::Path) -> bool {
        match self {
            Error::Invalid { .. }
            | Error::InvalidIndex { .. }
            | Error::InvalidType { .. }
            | Error::NotFound { .. }
            | Error::Exists { .. }
            | Error::Corrupt { .. } => true,
            Error::NotOurs { path, .. }
            | Error::TooNew { path, .. }
            | Error::Io { path, .. }
            | Error::Sqlite { path, .. } => path.starts_with(input),
            _ => false,
        }
    }

    /// What reading `path` failed with: the system's refusal, where there was one, or else damage to `what`.
    pub(crate) fn reading(
        path: &std::path::Path,
        what: &str,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>();
            if let Some(refused) = io.filter(|io| io.raw_os_error().is_some()) {
                return Error::io(path, "reading it", refused);
            }
            cause = error.source();
        }
        let (location, what) = (path.display().to_string(), what.to_owned());
        Error::Corrupt { location, what, why: error.to_string() }
    }

    /// An [`Error::Io`] for `path`, saying what was being done.
    pub(crate) fn io(path: impl Into<PathBuf>, action: &'static str, why: &std::io::Error) -> Self {
        Error::Io { path: path.into(), action, kind: why.kind(), why: why.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    /// Goal: what is in no file is called damaged without an empty location in front.
    #[test]
    fn what_is_in_no_file_has_no_location() {
        let damaged = |location: &str| {
            Error::Corrupt {
                location: location.into(),
                what: "a payload".into(),
                why: "short".into(),
            }
            .to_string()
        };
        assert_eq!(damaged(""), "a payload is damaged: short");
        assert_eq!(damaged("a.db"), "a.db: a payload is damaged: short");
    }
}
