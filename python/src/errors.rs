//! Rust's errors as Python's. The classes are in `siltstone/errors.py`: they have two bases each.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use siltstone::Error;

/// The Python exception of an error; its text is Rust's `Display`.
pub(crate) fn to_py(error: Error) -> PyErr {
    let class = match &error {
        Error::Invalid { .. } => "InvalidError",
        Error::InvalidIndex { .. } => "InvalidIndexError",
        Error::InvalidType { .. } => "InvalidTypeError",
        Error::NotFound { .. } => "NotFoundError",
        Error::Exists { .. } => "ExistsError",
        Error::NotOurs { .. } => "NotOursError",
        Error::TooNew { .. } => "TooNewError",
        Error::Corrupt { .. } => "CorruptError",
        Error::Busy { .. } => "BusyError",
        Error::QueueFull { .. } => "QueueFullError",
        Error::Closed { .. } => "ClosedError",
        Error::InTransaction { .. } => "InTransactionError",
        Error::Panicked { .. } => "PanickedError",
        Error::Io { .. } => "StorageError",
        Error::DurabilityUnknown { .. } => "DurabilityUnknownError",
        Error::Server { .. } => "ServerError",
        Error::Sqlite { .. } => "SqliteError",
        Error::Interrupted { .. } => return PyKeyboardInterrupt::new_err(error.to_string()),
        _ => "SiltstoneError",
    };
    raise(class, error.to_string())
}

/// A value that breaks a rule: `ValueError`.
pub(crate) fn invalid(what: &str, expected: &str, got: impl Into<String>) -> PyErr {
    raise("InvalidError", sentence(what, expected, got.into()))
}

/// A value of a wrong type: `TypeError` and `ValueError`.
pub(crate) fn wrong_type(what: &str, expected: &str, got: &Bound<'_, PyAny>) -> PyErr {
    raise("InvalidTypeError", sentence(what, expected, describe(got)))
}

/// As [`invalid`], of an argument whose name is noted at the error by who reads the arguments.
pub(crate) fn expected(expected: &str, got: &str) -> PyErr {
    raise("InvalidError", format!("expected {expected}, got {got}"))
}

/// As [`wrong_type`], of an argument whose name is noted at the error by who reads the arguments.
pub(crate) fn expected_type(expected: &str, got: &Bound<'_, PyAny>) -> PyErr {
    raise("InvalidTypeError", format!("expected {expected}, got {}", describe(got)))
}

/// Rust's own sentence for a broken rule, so that both sides say it alike.
fn sentence(what: &str, expected: &str, got: String) -> String {
    Error::Invalid { what: what.to_owned(), expected: expected.to_owned(), got }.to_string()
}

/// A value as an error names it: its type, and what it is if that is short.
fn describe(value: &Bound<'_, PyAny>) -> String {
    let class =
        value.get_type().name().map_or_else(|_| "an object".into(), |name| name.to_string());
    match value.repr().map(|repr| repr.to_string()) {
        Ok(repr) if repr.len() <= 60 => format!("{repr} ({class})"),
        _ => class,
    }
}

/// Whether an exception is one of the library's, and not one that a signal handler raised.
pub(crate) fn is_ours(py: Python<'_>, error: &PyErr) -> bool {
    let base = py.import("siltstone.errors").and_then(|m| m.getattr("SiltstoneError"));
    base.is_ok_and(|base| error.matches(py, base).unwrap_or(false))
}

fn raise(class: &str, text: String) -> PyErr {
    Python::attach(|py| {
        let raised = py.import("siltstone.errors").and_then(|m| m.getattr(class)?.call1((text,)));
        raised.map_or_else(|error| error, PyErr::from_value)
    })
}
