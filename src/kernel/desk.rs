//! A thing that one user at a time takes away and brings back.
//!
//! As a mutex, but what was taken can be kept from one call to the next, and the waiting can be given up.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::patience;
use crate::error::{Error, Result};

pub(super) struct Desk<T> {
    thing: Mutex<Option<Box<T>>>,
    back: Condvar,
}

/// The thing, until it is dropped.
pub(super) struct Taken<'a, T> {
    desk: &'a Desk<T>,
    thing: Option<Box<T>>,
}

impl<T> Desk<T> {
    pub(super) fn new(thing: T) -> Self {
        Desk { thing: Mutex::new(Some(Box::new(thing))), back: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<T>>> {
        self.thing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thing, if nobody has it.
    pub(super) fn try_take(&self) -> Option<Taken<'_, T>> {
        let thing = self.thing.try_lock().ok()?.take()?;
        Some(Taken { desk: self, thing: Some(thing) })
    }

    /// Waits for the thing.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the caller gives up the waiting.
    pub(super) fn take(&self, action: &'static str) -> Result<Taken<'_, T>> {
        let mut place = self.lock();
        loop {
            if let Some(thing) = place.take() {
                return Ok(Taken { desk: self, thing: Some(thing) });
            }
            if patience::is_watched() {
                let slice = patience::LOOK_EVERY;
                place =
                    self.back.wait_timeout(place, slice).unwrap_or_else(PoisonError::into_inner).0;
                if place.is_none() {
                    drop(place); // the function that is asked may come here itself
                    if patience::stops() {
                        return Err(Error::Interrupted { action });
                    }
                    place = self.lock();
                }
            } else {
                place = self.back.wait(place).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Brings back what was [kept](Taken::keep).
    pub(super) fn bring_back(&self, thing: Box<T>) {
        *self.lock() = Some(thing);
        self.back.notify_one();
    }
}

impl<T> Taken<'_, T> {
    /// Keeps the thing for longer.
    pub(super) fn keep(mut self) -> Box<T> {
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
