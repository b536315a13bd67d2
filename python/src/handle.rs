//! A handle of the library that Python can close, and that a forked process must not use.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use pyo3::prelude::*;
use siltstone::Error;

use crate::errors::to_py;

pub(crate) struct Handle<T: Send> {
    /// `None` once it is closed.
    inner: RwLock<Option<T>>,
    pub(crate) path: PathBuf,
    /// The process that opened it.
    pid: u32,
}

impl<T: Clone + Send> Handle<T> {
    pub(crate) fn new(inner: T, path: PathBuf) -> Self {
        Handle { inner: RwLock::new(Some(inner)), path, pid: std::process::id() }
    }

    /// What can be worked with.
    pub(crate) fn get(&self) -> PyResult<T> {
        let what = || format!("the handle to {}", self.path.display());
        if !self.is_of_this_process() {
            let why = "belongs to the process that this one was forked from; open the file here";
            return Err(to_py(Error::Closed { what: what(), why }));
        }
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let closed =
            || to_py(Error::Closed { what: what(), why: "is closed; open the file again" });
        inner.clone().ok_or_else(closed)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_of_this_process()
            && self.inner.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Takes it out to be closed; `None` if there is nothing to close here.
    pub(crate) fn take(&self) -> Option<T> {
        match self.is_of_this_process() {
            true => self.inner.write().unwrap_or_else(PoisonError::into_inner).take(),
            false => None,
        }
    }

    /// Puts back what could not be closed.
    pub(crate) fn put_back(&self, inner: T) {
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = Some(inner);
    }
}

impl<T: Send> Handle<T> {
    fn is_of_this_process(&self) -> bool {
        self.pid == std::process::id()
    }
}

impl<T: Send> Drop for Handle<T> {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if !self.is_of_this_process() {
            // Its threads are not here, and its connections are not ours to close.
            std::mem::forget(inner);
        } else if inner.is_some() {
            Python::try_attach(|py| py.detach(|| drop(inner)));
        }
    }
}
