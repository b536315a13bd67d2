//! Waits that end at once when a store is stopped.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Where a thread waits that is to end at any time.
#[derive(Debug, Default)]
pub(super) struct Pause {
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Pause {
    /// Waits for so long; true as soon as it has ended.
    pub(super) fn wait(&self, most: Duration) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(ended, most, |ended| !*ended);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn end(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}
