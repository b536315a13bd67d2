//! A write on its way.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use siltstone::{Error, Result};

use crate::enter::CHECK_EVERY;
use crate::errors::to_py;

enum Answer {
    Waiting(siltstone::Ticket<i64>),
    /// Another thread waits with the ticket in its hands.
    Elsewhere,
    There(Result<i64>),
}

/// The answer to a submitted update.
#[pyclass(frozen, weakref, module = "siltstone._siltstone")]
pub(crate) struct Ticket {
    /// Never locked while anyone waits: an event loop may ask whether the answer is there.
    answer: Mutex<Answer>,
    changed: Condvar,
    /// The process whose writer answers: in a fork of it there is none, and nobody who waits with the ticket.
    pid: u32,
}

impl Ticket {
    pub(crate) fn new(ticket: siltstone::Ticket<i64>) -> Self {
        let (answer, changed) = (Mutex::new(Answer::Waiting(ticket)), Condvar::new());
        Ticket { answer, changed, pid: std::process::id() }
    }

    /// In a fork only what was there before it is an answer.
    fn check_process(&self) -> PyResult<()> {
        if self.pid == std::process::id() {
            return Ok(());
        }
        // Whoever held the lock at the fork is not here to let it go.
        match self.answer.try_lock().as_deref() {
            Ok(Answer::There(_)) => Ok(()),
            Ok(Answer::Waiting(ticket)) if ticket.is_done() => Ok(()),
            _ => Err(to_py(Error::Closed {
                what: "a write on its way".into(),
                why: "belongs to the process that this one was forked from",
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, answer: Answer) {
        *self.lock() = answer;
        self.changed.notify_all();
    }

    /// Waits a while; the answer stays for the next who asks.
    fn wait_a_while(&self, timeout: Duration) -> Option<Result<i64>> {
        let deadline = Instant::now() + timeout;
        let mut answer = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match std::mem::replace(&mut *answer, Answer::Elsewhere) {
                Answer::There(result) => {
                    *answer = Answer::There(result.clone());
                    return Some(result);
                }
                Answer::Waiting(ticket) => {
                    drop(answer);
                    match ticket.wait_timeout(left) {
                        Ok(result) => self.put(Answer::There(result)),
                        Err(ticket) => {
                            self.put(Answer::Waiting(ticket));
                            return None;
                        }
                    }
                    answer = self.lock();
                }
                Answer::Elsewhere if left.is_zero() => return None,
                Answer::Elsewhere => {
                    let waited = self.changed.wait_timeout(answer, left);
                    answer = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

#[pymethods]
impl Ticket {
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<i64>> {
        self.check_process()?;
        // A time-out that no clock reaches is none.
        let deadline = timeout
            .and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
            .and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let slice = left.map_or(CHECK_EVERY, |left| left.min(CHECK_EVERY));
            if let Some(answer) = py.detach(|| self.wait_a_while(slice)) {
                return answer.map(Some).map_err(to_py);
            }
            py.check_signals()?;
            if left.is_some_and(|left| left <= slice) {
                return Ok(None);
            }
        }
    }

    /// At once, whoever waits.
    fn done(&self) -> bool {
        if self.pid != std::process::id() {
            return self.check_process().is_ok();
        }
        match &*self.lock() {
            Answer::Waiting(ticket) => ticket.is_done(),
            // Whoever has the ticket puts the answer here as soon as it comes.
            Answer::Elsewhere => false,
            Answer::There(_) => true,
        }
    }
}
