//! `Undo`: objects of Python as they were, if what is done to them fails.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The attributes of an object, and what they become.
pub(crate) type Kept = (Py<PyDict>, Py<PyDict>);

pub(crate) fn give(py: Python<'_>, kept: &[Kept]) -> PyResult<()> {
    kept.iter().try_for_each(|(now, next)| now.bind(py).update(next.bind(py).as_mapping()))
}

/// A `with` block that gives objects back their attributes if it fails. One call of Rust does that for all of them: what
/// a signal handler raises comes before it, within the block, or after it.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct Undo {
    before: Vec<Kept>,
    /// What was done is in the file: it stays.
    stays: AtomicBool,
}

impl Undo {
    pub(crate) fn stay(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }
}

#[pymethods]
impl Undo {
    #[new]
    fn new(before: Vec<Kept>) -> Self {
        Undo { before, stays: AtomicBool::new(false) }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind, *_rest))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _rest: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        match kind.is_none() || self.stays.load(Ordering::Relaxed) {
            true => Ok(()),
            false => give(py, &self.before),
        }
    }
}
