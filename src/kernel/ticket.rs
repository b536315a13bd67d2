//! The answer to a write that was handed in without waiting.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::deferred::Answer;
use super::interruption;
use crate::error::{Error, Result};

pub(super) struct Slot<T> {
    outcome: Mutex<Outcome<T>>,
    done: Condvar,
    /// The process whose writer answers: in a fork of it there is none.
    pid: u32,
}

enum Outcome<T> {
    Waiting,
    /// The writer is at it: it can no longer be withdrawn.
    Begun,
    Done(Result<T>),
    Taken,
    /// Its caller gave it up before the writer came to it.
    Withdrawn,
}

impl<T> Slot<T> {
    pub(super) fn new() -> Arc<Self> {
        let (outcome, done) = (Mutex::new(Outcome::Waiting), Condvar::new());
        Arc::new(Slot { outcome, done, pid: std::process::id() })
    }

    fn lock(&self) -> MutexGuard<'_, Outcome<T>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn complete(&self, result: Result<T>) {
        let mut outcome = self.lock();
        if !matches!(*outcome, Outcome::Withdrawn) {
            *outcome = Outcome::Done(result);
        }
        drop(outcome);
        self.done.notify_all();
    }

    /// The writer comes to it; false if it was withdrawn.
    pub(super) fn begin(&self) -> bool {
        let mut outcome = self.lock();
        if matches!(*outcome, Outcome::Waiting) {
            *outcome = Outcome::Begun;
        }
        !matches!(*outcome, Outcome::Withdrawn)
    }

    /// Sees to it that it is never done; false if the writer was faster.
    fn withdraw(&self) -> bool {
        let mut outcome = self.lock();
        if matches!(*outcome, Outcome::Waiting) {
            *outcome = Outcome::Withdrawn;
        }
        matches!(*outcome, Outcome::Withdrawn)
    }

    /// The answer in a process that was forked from the one that gives it: what was there at the fork.
    fn take_in_fork(&self) -> Result<T> {
        let forked = Error::Closed {
            what: "a write on its way".into(),
            why: "belongs to the process that this one was forked from",
        };
        // Whoever held the lock at the fork is not here to let it go.
        let Ok(mut outcome) = self.outcome.try_lock() else { return Err(forked) };
        match std::mem::replace(&mut *outcome, Outcome::Taken) {
            Outcome::Done(result) => result,
            _ => Err(forked),
        }
    }

    /// `None` at the deadline, or if the caller cancelled the wait.
    fn take(&self, deadline: Option<Instant>) -> Option<Result<T>> {
        if self.pid != std::process::id() {
            return Some(self.take_in_fork());
        }
        loop {
            let slice =
                interruption::is_watched().then(|| Instant::now() + interruption::CHECK_EVERY);
            let until = deadline.into_iter().chain(slice).min();
            if let Some(result) = self.take_until(until) {
                return Some(result);
            }
            if deadline.is_some_and(|at| at <= Instant::now()) || interruption::stops() {
                return None;
            }
        }
    }

    fn take_until(&self, deadline: Option<Instant>) -> Option<Result<T>> {
        let mut outcome = self.lock();
        loop {
            match std::mem::replace(&mut *outcome, Outcome::Taken) {
                Outcome::Done(result) => return Some(result),
                Outcome::Taken => unreachable!("a ticket is consumed by the call that takes it"),
                waiting => *outcome = waiting,
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
        matches!(*self.lock(), Outcome::Taken)
    }
}

/// A write on its way. [`wait`](Ticket::wait) gives its answer; dropping the ticket does not stop
/// the write, and its error is reported by the next flush or close of the handle.
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
    /// was cancelled ([`interruptible`](crate::interruptible)): the write goes on.
    pub fn wait(self) -> Result<T> {
        // Inside a caller's own function this very thread may hold the writer.
        let nested = interruption::is_asking().then(|| Instant::now() + interruption::NESTED_WAIT);
        let cancelled = Error::Interrupted { action: "waiting for a queued write, which goes on" };
        self.slot.take(nested).unwrap_or(Err(cancelled))
    }

    /// As [`wait`](Self::wait), for a write that is not to be done if its caller cancels the wait: it is withdrawn, or
    /// waited for when the writer has begun it.
    pub(super) fn wait_or_withdraw(self, action: &'static str) -> Result<T> {
        let nested = interruption::is_asking().then(|| Instant::now() + interruption::NESTED_WAIT);
        match self.slot.take(nested) {
            Some(answer) => answer,
            None if self.slot.withdraw() => Err(Error::Interrupted { action }),
            None => {
                interruption::uninterrupted(|| self.slot.take(None)).expect("nothing cancels it")
            }
        }
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
        let is_done = |outcome: &Outcome<T>| matches!(outcome, Outcome::Done(_) | Outcome::Taken);
        if self.slot.pid != std::process::id() {
            return self.slot.outcome.try_lock().is_ok_and(|outcome| is_done(&outcome));
        }
        is_done(&self.slot.lock())
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
