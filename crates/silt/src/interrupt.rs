//! Ctrl-C: the work in hand is ended at its next step; a second one ends the process.
//!
//! Only commands that write, and the server, install this. For the others the system's own way is right: the process
//! ends at once, and the shell sees 130.

use std::sync::atomic::{AtomicBool, Ordering};

use siltstone::{Error, Result};

static STOP: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C is seen by [`check`].
pub(crate) fn listen() {
    let stop = || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    // Where no handler can be set, Ctrl-C ends the process: the file is safe then too.
    let _ = ctrlc::set_handler(stop);
}

/// Whether Ctrl-C was pressed.
pub(crate) fn is_set() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Does what Ctrl-C does: for a process that is told to stop in another way.
pub(crate) fn set() {
    STOP.store(true, Ordering::Relaxed);
}

/// The error that stops the work, if Ctrl-C was pressed.
///
/// # Errors
/// [`Error::Interrupted`].
pub(crate) fn check(action: &'static str) -> Result<()> {
    if is_set() { Err(Error::Interrupted { action }) } else { Ok(()) }
}
