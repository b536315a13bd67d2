//! Errors of writes that were not reported.
//!
//! Each handle has its own list, shared with its clones: a flush or a close of another handle does
//! not take them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};

/// The first one is reported; so many are kept in case a ticket reports it.
const MOST: usize = 64;

/// Errors of one handle's writes.
#[derive(Default)]
pub(super) struct Deferred(Mutex<Vec<Unreported>>);

struct Unreported {
    error: Error,
    /// The ticket that may report it too.
    ticket: Option<Arc<dyn Answer>>,
}

/// The answer to a write that was handed in.
pub(super) trait Answer: Send + Sync {
    /// Whether its owner has it.
    fn is_taken(&self) -> bool;
}

impl Deferred {
    pub(super) fn keep(&self, error: Error, ticket: Option<Arc<dyn Answer>>) {
        let mut unreported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unreported.retain(Unreported::is_new);
        if unreported.len() < MOST {
            unreported.push(Unreported { error, ticket });
        }
    }

    /// The first unreported error; all count as reported then.
    pub(super) fn report(&self) -> Result<()> {
        let mut unreported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = unreported.drain(..).find(Unreported::is_new);
        first.map_or(Ok(()), |unreported| Err(unreported.error))
    }
}

impl Unreported {
    fn is_new(&self) -> bool {
        self.ticket.as_ref().is_none_or(|ticket| !ticket.is_taken())
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        if let Err(error) = self.report() {
            tracing::error!(%error, "a write failed, and nobody asked for its outcome");
        }
    }
}
