//! Errors of writes that nobody has been told of.
//!
//! Each handle has its own list, shared with its clones: a flush or a close of another handle does
//! not take them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};

/// The first one is what is told; so many are kept in case it is told by its ticket.
const MOST: usize = 64;

/// Errors of one handle's writes.
#[derive(Default)]
pub(super) struct Deferred(Mutex<Vec<Untold>>);

struct Untold {
    error: Error,
    /// The ticket through which it can be told as well.
    ticket: Option<Arc<dyn Answer>>,
}

/// The answer to a write that was handed in.
pub(super) trait Answer: Send + Sync {
    /// Whether its owner has it.
    fn is_taken(&self) -> bool;
}

impl Deferred {
    pub(super) fn keep(&self, error: Error, ticket: Option<Arc<dyn Answer>>) {
        let mut untold = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        untold.retain(Untold::is_new);
        if untold.len() < MOST {
            untold.push(Untold { error, ticket });
        }
    }

    /// The first error that was not told yet; all are told then.
    pub(super) fn tell(&self) -> Result<()> {
        let mut untold = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = untold.drain(..).find(Untold::is_new);
        first.map_or(Ok(()), |untold| Err(untold.error))
    }
}

impl Untold {
    fn is_new(&self) -> bool {
        self.ticket.as_ref().is_none_or(|ticket| !ticket.is_taken())
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        if let Err(error) = self.tell() {
            tracing::error!(%error, "a write failed, and nobody asked for its outcome");
        }
    }
}
