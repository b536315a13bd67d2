//! The answer to a write that was handed in without waiting.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::deferred::Answer;
use super::patience;
use crate::error::{Error, Result};

pub(super) struct Slot<T> {
    outcome: Mutex<Outcome<T>>,
    done: Condvar,
}

enum Outcome<T> {
    Waiting,
    Done(Result<T>),
    Taken,
}

impl<T> Slot<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Slot { outcome: Mutex::new(Outcome::Waiting), done: Condvar::new() })
    }

    pub(super) fn complete(&self, result: Result<T>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Outcome::Done(result);
        self.done.notify_all();
    }

    /// `None` at the deadline, or if the caller gave up the waiting.
    fn take(&self, deadline: Option<Instant>) -> Option<Result<T>> {
        loop {
            let slice = patience::is_watched().then(|| Instant::now() + patience::LOOK_EVERY);
            let until = deadline.into_iter().chain(slice).min();
            if let Some(result) = self.take_until(until) {
                return Some(result);
            }
            if deadline.is_some_and(|at| at <= Instant::now()) || patience::stops() {
                return None;
            }
        }
    }

    fn take_until(&self, deadline: Option<Instant>) -> Option<Result<T>> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match std::mem::replace(&mut *outcome, Outcome::Taken) {
                Outcome::Done(result) => return Some(result),
                Outcome::Taken => unreachable!("a ticket is consumed by the call that takes it"),
                Outcome::Waiting => *outcome = Outcome::Waiting,
            }
            outcome = match deadline {
                None => self.done.wait(outcome).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.checked_duration_since(Instant::now())?;
                    self.done.wait_timeout(outcome, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl<T: Send> Answer for Slot<T> {
    fn is_taken(&self) -> bool {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*outcome, Outcome::Taken)
    }
}

/// A write on its way. [`wait`](Ticket::wait) gives its answer; dropping the ticket does not stop
/// the write, and its error is told by the next flush or close of the handle.
#[must_use = "the write's error is only seen by waiting for it, or by a flush"]
pub struct Ticket<T> {
    pub(super) slot: Arc<Slot<T>>,
}

impl<T> Ticket<T> {
    /// The answer to a write that is done.
    pub(super) fn answered(value: T) -> Self {
        let slot = Slot::new();
        slot.complete(Ok(value));
        Ticket { slot }
    }

    /// Waits until the write is acknowledged at its durability.
    ///
    /// # Errors
    /// Whatever the write met; then nothing of it is in the file. [`Error::Interrupted`] if the waiting
    /// was given up ([`interruptible`](crate::interruptible)): the write goes on.
    pub fn wait(self) -> Result<T> {
        // Inside a caller's own function this very thread may hold the writer.
        let nested = patience::is_asking().then(|| Instant::now() + patience::NESTED_WAIT);
        let given_up = Error::Interrupted { action: "waiting for a queued write, which goes on" };
        self.slot.take(nested).unwrap_or(Err(given_up))
    }

    /// Waits for `timeout` at the most; gives the ticket back if the answer is not there yet.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), in the outer `Ok`.
    pub fn wait_timeout(self, timeout: Duration) -> Result<Result<T>, Self> {
        self.slot.take(Instant::now().checked_add(timeout)).ok_or(self)
    }

    /// Whether the answer is there.
    pub fn is_done(&self) -> bool {
        let outcome = self.slot.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(*outcome, Outcome::Waiting)
    }
}

impl<T> std::fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("done", &self.is_done()).finish()
    }
}

/// The error of a write whose writer went away.
pub(super) fn closed() -> Error {
    Error::Closed { what: "the database".into(), why: "is closed" }
}
