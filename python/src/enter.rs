//! The entry point from Python into the library.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use siltstone::{Error, Result};

use crate::errors::to_py;

/// How often a long call checks for Ctrl-C.
pub(crate) const CHECK_EVERY: Duration = Duration::from_millis(50);

/// What a signal handler or a callback raised while the library worked.
#[derive(Clone, Default)]
struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    fn put(&self, raised: PyErr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(raised);
    }

    /// Runs Python's signal handlers: for the library to ask whether to cancel.
    fn stop(&self) -> impl FnMut() -> bool + 'static {
        let raised = self.clone();
        // In an interpreter that ends there are no handlers.
        move || match Python::try_attach(|py| py.check_signals()) {
            Some(Err(error)) => {
                raised.put(error);
                true
            }
            _ => false,
        }
    }

    /// What was raised goes before the library's own answer, which becomes its note.
    fn instead<T>(&self, py: Python<'_>, result: Result<T>) -> PyResult<T> {
        let raised = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(raised) = raised else { return result.map_err(to_py) };
        let note = match result {
            Ok(_) => "siltstone: the call had done its work all the same".to_owned(),
            Err(error) => format!("siltstone: {error}"),
        };
        // Python 3.10 has no notes.
        let _ = raised.value(py).call_method1("add_note", (note,));
        Err(raised)
    }
}

/// Leaving Python for the library.
pub(crate) trait Enter {
    /// Runs `work` with the GIL released. Where it waits or reads, Ctrl-C is heard.
    fn enter<T: Send>(self, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T>;

    /// As [`enter`](Self::enter), for work that looks for Ctrl-C itself too, and calls Python.
    fn enter_long<T: Send>(
        self,
        action: &'static str,
        work: impl FnOnce(&mut Signals) -> Result<T> + Send,
    ) -> PyResult<T>;

    /// As [`enter`](Self::enter), for work that only reads and cannot be stopped: Ctrl-C abandons
    /// it, and a thread brings it to its end.
    fn enter_abandonable<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> PyResult<T>;
}

impl Enter for Python<'_> {
    fn enter<T: Send>(self, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
        let raised = Raised::default();
        let result = self.detach(|| siltstone::interruptible(raised.stop(), work));
        raised.instead(self, result)
    }

    fn enter_long<T: Send>(
        self,
        action: &'static str,
        work: impl FnOnce(&mut Signals) -> Result<T> + Send,
    ) -> PyResult<T> {
        let raised = Raised::default();
        let mut signals = Signals { action, raised: raised.clone(), checked: Instant::now() };
        let result = self.detach(|| siltstone::interruptible(raised.stop(), || work(&mut signals)));
        raised.instead(self, result)
    }

    fn enter_abandonable<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let (sender, receiver) = channel();
        let start = std::thread::Builder::new().name("siltstone-python".into());
        // A caller that went away wants no answer.
        start.spawn(move || drop(sender.send(work())))?;
        let receiver = std::sync::Mutex::new(receiver);
        loop {
            let answer = self.detach(|| {
                let receiver = receiver.lock().expect("no one panics while holding it");
                receiver.recv_timeout(CHECK_EVERY)
            });
            match answer {
                Ok(answer) => return answer.map_err(to_py),
                Err(RecvTimeoutError::Timeout) => self.check_signals()?,
                Err(RecvTimeoutError::Disconnected) => panic!("the call panicked in its thread"),
            }
        }
    }
}

/// Lets a long call hear Ctrl-C, and raise what a callback raised.
pub(crate) struct Signals {
    action: &'static str,
    raised: Raised,
    checked: Instant,
}

impl Signals {
    /// Runs Python's signal handlers if it is time; an error means that the work must stop.
    pub(crate) fn check(&mut self) -> Result<()> {
        if self.checked.elapsed() < CHECK_EVERY {
            return Ok(());
        }
        self.checked = Instant::now();
        self.run(|py| py.check_signals())
    }

    /// As [`check`](Self::check), and reports progress to a function.
    pub(crate) fn report(
        &mut self,
        progress: Option<&Py<PyAny>>,
        done: u64,
        all: u64,
    ) -> Result<()> {
        self.check()?;
        match progress {
            Some(progress) => self.run(|py| progress.call1(py, (done, all)).map(drop)),
            None => Ok(()),
        }
    }

    /// Runs some Python; what it raises stops the work and reaches the caller.
    pub(crate) fn run(&mut self, work: impl FnOnce(Python<'_>) -> PyResult<()>) -> Result<()> {
        Python::attach(work).map_err(|raised| {
            self.raised.put(raised);
            Error::Interrupted { action: self.action }
        })
    }
}
