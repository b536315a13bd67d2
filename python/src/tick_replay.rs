//! The history tick by tick.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use siltstone::ticks;

use crate::enter::Enter;

/// A replay under way.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct Replay {
    inner: Mutex<ticks::Replay>,
    /// The class of what comes out.
    tick: Py<PyAny>,
}

impl Replay {
    pub(crate) fn new(inner: ticks::Replay, tick: Py<PyAny>) -> Self {
        Replay { inner: Mutex::new(inner), tick }
    }

    /// Only while detached: another thread may hold it and wait for the GIL.
    fn lock(&self) -> MutexGuard<'_, ticks::Replay> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Replay {
    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        // What is there already is taken without giving up the GIL, unless another thread is at it.
        let ready = self.inner.try_lock().ok().filter(|inner| inner.is_ready());
        let tick = |inner: &mut ticks::Replay| -> siltstone::Result<_> {
            Ok(inner.next_tick()?.map(|tick| {
                let (symbol, lp) = (tick.symbol.to_owned(), tick.lp.to_owned());
                let broker_id = tick.broker_id.to_owned();
                (symbol, tick.time_ns, tick.bid, tick.ask, tick.spread, lp, broker_id)
            }))
        };
        let next = match ready {
            Some(mut inner) => tick(&mut inner).map_err(crate::errors::to_py)?,
            None => py.enter(|| tick(&mut self.lock()))?,
        };
        next.map(|tick| self.tick.bind(py).call1(tick)).transpose()
    }
}
