//! `Viewer`: the server of the page, in a thread of this process; `siltstone/_view.py` makes its class of it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use siltstone_viewer::{Options, Server};

use crate::enter::Enter;

/// A server that answers until it is closed.
#[pyclass(frozen, weakref, module = "siltstone._siltstone")]
pub(crate) struct Viewer {
    address: String,
    frame_address: String,
    running: Mutex<Option<Running>>,
    /// The process that started it: a fork has no thread of it.
    pid: u32,
}

struct Running {
    is_closed: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<()>>,
}

#[pymethods]
impl Viewer {
    #[new]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        port: u16,
        browser: bool,
        allow_hosts: Vec<String>,
    ) -> PyResult<Self> {
        let options = Options { port, frames: true, allow_hosts };
        let mut server = py.enter(|| Server::bind(&path, options))?;
        if browser && let Err(error) = server.open_browser() {
            let said = std::ffi::CString::new(format!("no browser was opened: {error}"))?;
            PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &said, 3)?;
        }
        let address = server.address();
        let frame_address = server.frame_address().unwrap_or_default();
        let is_closed = Arc::new(AtomicBool::new(false));
        let is_stopped = is_closed.clone();
        let run = move || server.run_until(|| is_stopped.load(Ordering::Relaxed));
        let thread = std::thread::Builder::new().name("siltstone-view".into()).spawn(run)?;
        let running = Mutex::new(Some(Running { is_closed, thread }));
        Ok(Viewer { address, frame_address, running, pid: std::process::id() })
    }

    #[getter]
    fn address(&self) -> &str {
        &self.address
    }

    #[getter]
    fn frame_address(&self) -> &str {
        &self.frame_address
    }

    #[getter]
    fn is_open(&self) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_of_this_process() && running.as_ref().is_some_and(|one| !one.thread.is_finished())
    }

    /// Ends the server and gives its port and its file back. Closing again does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if !self.is_of_this_process() {
            return Ok(());
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { is_closed, thread }) = running else { return Ok(()) };
        is_closed.store(true, Ordering::Relaxed);
        // It ends within a second, whatever is still read.
        match py.detach(|| thread.join()) {
            Ok(ended) => Ok(ended?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Viewer {
    fn is_of_this_process(&self) -> bool {
        self.pid == std::process::id()
    }
}

impl Drop for Viewer {
    /// Nobody can close it any more.
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running
            && self.pid == std::process::id()
        {
            running.is_closed.store(true, Ordering::Relaxed);
        }
    }
}
