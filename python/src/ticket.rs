//! A write on its way.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use siltstone::Result;

use crate::enter::LOOK_EVERY;
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
}

impl Ticket {
    pub(crate) fn new(ticket: siltstone::Ticket<i64>) -> Self {
        Ticket { answer: Mutex::new(Answer::Waiting(ticket)), changed: Condvar::new() }
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
        // A time-out that no clock reaches is none.
        let deadline = timeout
            .and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
            .and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let slice = left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY));
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
        match &*self.lock() {
            Answer::Waiting(ticket) => ticket.is_done(),
            // Whoever has the ticket puts the answer here as soon as it comes.
            Answer::Elsewhere => false,
            Answer::There(_) => true,
        }
    }
}
