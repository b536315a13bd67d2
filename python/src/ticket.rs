//! A write on its way.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use siltstone::Result;

use crate::enter::LOOK_EVERY;
use crate::errors::to_py;

enum Answer {
    Waiting(siltstone::Ticket<i64>),
    There(Result<i64>),
    /// Only while the lock is held.
    Taken,
}

/// The answer to a submitted update.
#[pyclass(frozen, weakref, module = "siltstone._siltstone")]
pub(crate) struct Ticket {
    answer: Mutex<Answer>,
}

impl Ticket {
    pub(crate) fn new(ticket: siltstone::Ticket<i64>) -> Self {
        Ticket { answer: Mutex::new(Answer::Waiting(ticket)) }
    }

    /// Waits a while; the answer stays for the next who asks.
    fn wait_a_while(&self, timeout: Duration) -> Option<Result<i64>> {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        *answer = match std::mem::replace(&mut *answer, Answer::Taken) {
            Answer::Waiting(ticket) => match ticket.wait_timeout(timeout) {
                Ok(result) => Answer::There(result),
                Err(ticket) => Answer::Waiting(ticket),
            },
            other => other,
        };
        match &*answer {
            Answer::There(result) => Some(result.clone()),
            _ => None,
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

    fn done(&self, py: Python<'_>) -> bool {
        py.detach(|| match &*self.answer.lock().unwrap_or_else(PoisonError::into_inner) {
            Answer::Waiting(ticket) => ticket.is_done(),
            _ => true,
        })
    }
}
