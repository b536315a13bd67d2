//! `MemoryTransaction`: what `with store.transaction()` enters and leaves.
//!
//! Both are one call of Rust each. Python raises what a signal handler raises between its own instructions, but not between
//! such a call and the block that it begins or ends; a generator has such places. What is never left is rolled back as
//! soon as nobody has it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyGeneratorExit;
use pyo3::prelude::*;
use siltstone::{Error, Transaction};

use crate::enter::Enter;
use crate::errors::to_py;
use crate::memory_store::MemoryStore;

/// A transaction of a store of memories.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct MemoryTransaction {
    store: Py<MemoryStore>,
    /// What the block gets.
    connection: Py<PyAny>,
    /// Makes the documented exception of one of ours.
    documented: Py<PyAny>,
    open: Mutex<Option<Transaction>>,
    /// The process that it is open in.
    pid: u32,
}

impl MemoryTransaction {
    fn lock(&self) -> MutexGuard<'_, Option<Transaction>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn documented<T>(&self, py: Python<'_>, result: PyResult<T>) -> PyResult<T> {
        result.map_err(|error| match self.documented.call1(py, (error.value(py),)) {
            Ok(documented) if documented.bind(py).is(error.value(py)) => error,
            Ok(documented) => {
                let documented = PyErr::from_value(documented.into_bound(py));
                documented.set_cause(py, Some(error));
                documented
            }
            Err(raised) => raised,
        })
    }
}

impl Drop for MemoryTransaction {
    fn drop(&mut self) {
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(transaction) = open else { return };
        if self.pid != std::process::id() {
            std::mem::forget(transaction);
        } else {
            Python::try_attach(|py| py.detach(|| transaction.forsake()));
        }
    }
}

#[pymethods]
impl MemoryTransaction {
    #[new]
    fn new(store: Py<MemoryStore>, connection: Py<PyAny>, documented: Py<PyAny>) -> Self {
        let (open, pid) = (Mutex::default(), std::process::id());
        MemoryTransaction { store, connection, documented, open, pid }
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let begin = || {
            let store = self.store.get().get()?;
            if self.lock().is_some() {
                let why = "is open already; ask the store for another one";
                return Err(to_py(Error::Closed { what: "the transaction".into(), why }));
            }
            *self.lock() = Some(py.enter(|| store.database().begin())?);
            Ok(self.connection.clone_ref(py))
        };
        self.documented(py, begin())
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let Some(transaction) = self.lock().take() else { return Ok(false) };
        // A generator that is let go in its middle: nobody hears of it.
        let is_left = kind.is(py.get_type::<PyGeneratorExit>());
        let is_well = kind.is_none();
        let ended = py.detach(|| match (is_left, is_well) {
            (true, _) => {
                transaction.forsake();
                Ok(())
            }
            (_, true) => transaction.commit(),
            (_, false) => transaction.roll_back(),
        });
        self.documented(py, ended.map_err(to_py)).map(|()| false)
    }
}
