//! A value that one thread at a time leases.
//!
//! As a mutex, but a lease can be held from one call to the next, and the wait for it can be cancelled.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::interruption;
use crate::error::{Error, Result};

pub(super) struct Leased<T> {
    slot: Mutex<Slot<T>>,
    back: Condvar,
    /// Of what an error tells.
    path: PathBuf,
    /// The longest wait for a lease that is held.
    timeout: Duration,
}

struct Slot<T> {
    value: Option<Box<T>>,
    /// Whether its lease is held from one call to the next: for as long as the caller's program pleases.
    is_held: bool,
}

/// The value, until this is dropped.
pub(super) struct Lease<'a, T> {
    of: &'a Leased<T>,
    value: Option<Box<T>>,
}

impl<T> Leased<T> {
    pub(super) fn new(value: T, path: PathBuf, timeout: Duration) -> Self {
        let slot = Mutex::new(Slot { value: Some(Box::new(value)), is_held: false });
        Leased { slot, back: Condvar::new(), path, timeout }
    }

    fn lock(&self) -> MutexGuard<'_, Slot<T>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lease, if the value is free.
    pub(super) fn try_take(&self) -> Option<Lease<'_, T>> {
        let value = self.slot.try_lock().ok()?.value.take()?;
        Some(Lease { of: self, value: Some(value) })
    }

    /// Waits for the lease: for the end of a call that works with it, and for as long as the time-out is if somebody keeps
    /// it longer.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the caller cancels the wait; [`Error::Busy`].
    pub(super) fn take(&self, action: &'static str) -> Result<Lease<'_, T>> {
        let begun = Instant::now();
        loop {
            let mut slot = self.lock();
            if slot.value.is_none() {
                let slice = interruption::CHECK_EVERY;
                let waited = self.back.wait_timeout(slot, slice);
                slot = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if let Some(value) = slot.value.take() {
                return Ok(Lease { of: self, value: Some(value) });
            }
            let is_late = slot.is_held && begun.elapsed() >= self.timeout;
            drop(slot); // the function that is asked may come here itself
            if interruption::stops() {
                return Err(Error::Interrupted { action });
            }
            if is_late {
                let waited_ms = self.timeout.as_millis() as u64;
                return Err(Error::Busy { path: self.path.clone(), waited_ms, action });
            }
        }
    }

    /// Ends a lease that was [held](Lease::hold).
    pub(super) fn give_back(&self, value: Box<T>) {
        *self.lock() = Slot { value: Some(value), is_held: false };
        self.back.notify_one();
    }
}

impl<T> Lease<'_, T> {
    /// Holds the value after this call.
    pub(super) fn hold(mut self) -> Box<T> {
        self.of.lock().is_held = true;
        self.value.take().expect("it is there until it is held")
    }
}

impl<T> Drop for Lease<'_, T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            self.of.give_back(value);
        }
    }
}

impl<T> Deref for Lease<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_deref().expect("it is there until it is held")
    }
}

impl<T> DerefMut for Lease<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_deref_mut().expect("it is there until it is held")
    }
}
