//! A thing that one user at a time takes away and brings back.
//!
//! As a mutex, but what was taken can be kept from one call to the next, and the wait can be cancelled.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::interruption;
use crate::error::{Error, Result};

pub(super) struct Desk<T> {
    place: Mutex<Place<T>>,
    back: Condvar,
    /// Of what an error tells.
    path: PathBuf,
    /// How long a thing that was kept is waited for.
    timeout: Duration,
}

struct Place<T> {
    thing: Option<Box<T>>,
    /// Whether who has it keeps it from one call to the next: for as long as a caller's program pleases.
    is_kept: bool,
}

/// The thing, until it is dropped.
pub(super) struct Taken<'a, T> {
    desk: &'a Desk<T>,
    thing: Option<Box<T>>,
}

impl<T> Desk<T> {
    pub(super) fn new(thing: T, path: PathBuf, timeout: Duration) -> Self {
        let place = Mutex::new(Place { thing: Some(Box::new(thing)), is_kept: false });
        Desk { place, back: Condvar::new(), path, timeout }
    }

    fn lock(&self) -> MutexGuard<'_, Place<T>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thing, if nobody has it.
    pub(super) fn try_take(&self) -> Option<Taken<'_, T>> {
        let thing = self.place.try_lock().ok()?.thing.take()?;
        Some(Taken { desk: self, thing: Some(thing) })
    }

    /// Waits for the thing: for the end of a call that works with it, and for as long as the time-out is if somebody keeps
    /// it longer.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the caller cancels the wait; [`Error::Busy`].
    pub(super) fn take(&self, action: &'static str) -> Result<Taken<'_, T>> {
        let begun = Instant::now();
        loop {
            let mut place = self.lock();
            if place.thing.is_none() {
                let slice = interruption::CHECK_EVERY;
                let waited = self.back.wait_timeout(place, slice);
                place = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if let Some(thing) = place.thing.take() {
                return Ok(Taken { desk: self, thing: Some(thing) });
            }
            let is_late = place.is_kept && begun.elapsed() >= self.timeout;
            drop(place); // the function that is asked may come here itself
            if interruption::stops() {
                return Err(Error::Interrupted { action });
            }
            if is_late {
                let waited_ms = self.timeout.as_millis() as u64;
                return Err(Error::Busy { path: self.path.clone(), waited_ms, action });
            }
        }
    }

    /// Brings back what was [kept](Taken::keep).
    pub(super) fn bring_back(&self, thing: Box<T>) {
        *self.lock() = Place { thing: Some(thing), is_kept: false };
        self.back.notify_one();
    }
}

impl<T> Taken<'_, T> {
    /// Keeps the thing for longer.
    pub(super) fn keep(mut self) -> Box<T> {
        self.desk.lock().is_kept = true;
        self.thing.take().expect("it is there until it is kept")
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        if let Some(thing) = self.thing.take() {
            self.desk.bring_back(thing);
        }
    }
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.thing.as_deref().expect("it is there until it is kept")
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.thing.as_deref_mut().expect("it is there until it is kept")
    }
}
