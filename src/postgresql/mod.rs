//! A PostgreSQL server: how it is reached, and transactions on it.

mod address;
mod password;
mod pool;
pub(crate) mod text;

use crate::error::Error;

pub(crate) use address::Address;
pub(crate) use pool::{Access, Pool};

/// Why a piece of work on a connection failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// For a reason of our own.
    Ours(Error),
    /// The server refused, or is gone.
    Server(postgres::Error),
    /// A stream of rows broke.
    Stream(std::io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Ours(error)
    }
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Self {
        Failure::Server(error)
    }
}
