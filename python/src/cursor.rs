//! Moving through time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use siltstone::simulation::GroupCursor;

use crate::enter::Enter;
use crate::entities::state_to_dict;
use crate::time::{Calendar, to_time};

/// A cursor in time in one entity group.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct Cursor {
    inner: Mutex<GroupCursor>,
    calendar: Calendar,
}

impl Cursor {
    pub(crate) fn new(inner: GroupCursor, calendar: Calendar) -> Self {
        Cursor { inner: Mutex::new(inner), calendar }
    }

    /// Only while detached: another thread may hold it and wait for the GIL.
    fn lock(&self) -> MutexGuard<'_, GroupCursor> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Cursor {
    #[getter]
    fn timestamp(&self, py: Python<'_>) -> i64 {
        py.detach(|| self.lock().timestamp())
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = py.detach(|| self.lock().state());
        state_to_dict(py, state)
    }

    fn move_to(&self, py: Python<'_>, timestamp: &Bound<'_, PyAny>) -> PyResult<()> {
        let time = to_time(timestamp)?;
        py.enter(|| {
            let timestamp = self.calendar.timestamp(&time)?;
            self.lock().move_to(timestamp)
        })
    }

    fn next_change(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        py.enter(|| self.lock().next_change())
    }

    fn previous_change(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        py.enter(|| self.lock().previous_change())
    }
}
