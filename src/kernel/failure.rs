//! SQLite's result codes as the library's errors.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ffi::ErrorCode;

use crate::error::{Error, Result};

/// How long a statement waits for another connection, the writer's `BEGIN` excepted.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

impl From<rusqlite::Error> for Error {
    /// Without a location: [`At::at`] fills it in on the way out of the kernel.
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as Sqlite;
        if matches!(
            error,
            Sqlite::InvalidColumnType(..)
                | Sqlite::FromSqlConversionFailure(..)
                | Sqlite::IntegralValueOutOfRange(..)
        ) {
            // A file whose tables check no types.
            let (what, why) = ("a stored value".into(), error.to_string());
            return Error::Corrupt { location: String::new(), what, why };
        }
        let (code, why) = match &error {
            rusqlite::Error::SqliteFailure(code, text) => {
                (code.extended_code, text.clone().unwrap_or_else(|| code.to_string()))
            }
            // Of a newer SQLite, which says where in the statement; an older one gives the plain failure.
            #[cfg(feature = "bundled")]
            rusqlite::Error::SqlInputError { error, msg, .. } => (error.extended_code, msg.clone()),
            other => (rusqlite::ffi::SQLITE_ERROR, other.to_string()),
        };
        Error::Sqlite { path: PathBuf::new(), action: "", code, why }
    }
}

/// Says where an error happened.
pub(super) trait At<T> {
    /// Fills in the file and the action, and names the kinds of failure that a caller can act on.
    fn at(self, path: &Path, action: &'static str) -> Result<T>;
}

impl<T, E: Into<Error>> At<T> for Result<T, E> {
    fn at(self, path: &Path, action: &'static str) -> Result<T> {
        self.map_err(|error| match error.into() {
            Error::Sqlite { path: location, code, why, .. } if location.as_os_str().is_empty() => {
                locate_failure(path, action, code, why)
            }
            Error::Corrupt { location, what, why } if location.is_empty() => {
                Error::Corrupt { location: path.display().to_string(), what, why }
            }
            Error::NotFound { what, name, location } if location.is_empty() => {
                Error::NotFound { what, name, location: path.display().to_string() }
            }
            Error::Exists { what, location, hint } if location.is_empty() => {
                Error::Exists { what, location: path.display().to_string(), hint }
            }
            other => other,
        })
    }
}

fn locate_failure(path: &Path, action: &'static str, code: i32, why: String) -> Error {
    let path = path.to_owned();
    match rusqlite::ffi::Error::new(code).code {
        ErrorCode::NotADatabase => {
            Error::NotOurs { path, why: "it is not an SQLite database".into() }
        }
        ErrorCode::DatabaseCorrupt => Error::Corrupt {
            location: path.display().to_string(),
            what: "the database".into(),
            why: format!("{why} while {action}"),
        },
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked
            if super::interruption::has_stopped() =>
        {
            Error::Interrupted { action }
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Error::Busy { path, waited_ms: BUSY_TIMEOUT.as_millis() as u64, action }
        }
        ErrorCode::TooBig => {
            let expected = super::value_limit::in_words();
            Error::invalid(format!("a value for {}", path.display()), expected, "more")
        }
        ErrorCode::DiskFull => {
            let why = "the disk is full".into();
            Error::Io { path, action, kind: ErrorKind::StorageFull, why }
        }
        ErrorCode::PermissionDenied => {
            Error::Io { path, action, kind: ErrorKind::PermissionDenied, why }
        }
        ErrorCode::ReadOnly => Error::Io { path, action, kind: ErrorKind::ReadOnlyFilesystem, why },
        ErrorCode::CannotOpen
        | ErrorCode::SystemIoFailure
        | ErrorCode::FileLockingProtocolFailed => {
            Error::Io { path, action, kind: ErrorKind::Other, why }
        }
        ErrorCode::OperationInterrupted => Error::Interrupted { action },
        _ => Error::Sqlite { path, action, code, why },
    }
}
