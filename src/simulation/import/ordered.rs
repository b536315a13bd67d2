//! Work on several threads whose results are taken in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::kernel::receive;

/// Results that a worker may be ahead of the one that is due, for each worker.
const AHEAD: usize = 2;

/// Runs `work` on every item, on `workers` threads, and gives the results to `take` in the order of
/// the items.
///
/// However slow an item is, no more than `2 * workers` of those behind it are worked on or wait:
/// memory is bounded by them. An error of `take` ends it all.
pub(super) fn in_order<T: Sync, R: Send>(
    items: &[T],
    workers: usize,
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<()>,
) -> Result<()> {
    let window = AHEAD * workers;
    let (gate, next) = (Gate::default(), AtomicUsize::new(0));
    let (sender, receiver) = sync_channel::<(usize, R)>(window);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, gate, next, work) = (sender.clone(), &gate, &next, &work);
            scope.spawn(move || {
                let _guard = StopOnPanic(gate);
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    if !gate.may_work_on(at, window) || sender.send((at, work(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        // Stopped however this ends, so that no worker waits for ever.
        let _guard = StopAtEnd(&gate);
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        let receiver = receiver; // let go before the workers are waited for
        while let Some((at, result)) = receive(&receiver, "importing")? {
            waiting.insert(at, result);
            while let Some(result) = waiting.remove(&due) {
                take(result)?;
                due += 1;
                gate.taken(due);
            }
        }
        Ok(())
    })
}

/// Lets workers pass that are not too far ahead.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    taken: usize,
    stop: bool,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of an item; false if there is nothing more to do.
    fn may_work_on(&self, at: usize, window: usize) -> bool {
        let mut state = self.lock();
        while at >= state.taken + window && !state.stop {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.stop
    }

    fn taken(&self, taken: usize) {
        self.lock().taken = taken;
        self.moved.notify_all();
    }

    fn stop(&self) {
        self.lock().stop = true;
        self.moved.notify_all();
    }
}

struct StopAtEnd<'a>(&'a Gate);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What a worker that panicked would have sent is never due: the others must not wait for it.
struct StopOnPanic<'a>(&'a Gate);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;
    use crate::error::Error;

    /// Goal: results come in order, and while the first one takes its time few others are made.
    #[test]
    fn a_slow_item_bounds_what_waits() {
        let (begun, first_is_done) = (AtomicUsize::new(0), AtomicBool::new(false));
        let items: Vec<usize> = (0..500).collect();
        let work = |item: &usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            if *item == 0 {
                std::thread::sleep(Duration::from_millis(200));
                let ahead = begun.load(Ordering::SeqCst);
                assert!((2..=6).contains(&ahead), "{ahead} were begun");
                first_is_done.store(true, Ordering::SeqCst);
            }
            *item
        };
        let mut taken = Vec::new();
        let take = |item| {
            taken.push(item);
            Ok(())
        };
        in_order(&items, 3, work, take).unwrap();
        assert!(first_is_done.into_inner() && taken == items);
    }

    /// Goal: an error of the taker and a panic of a worker end it, and nobody waits for ever.
    #[test]
    fn an_error_or_a_panic_ends_it() {
        let items: Vec<usize> = (0..500).collect();
        let stop = |item| match item {
            7 => Err(Error::Interrupted { action: "taking" }),
            _ => Ok(()),
        };
        assert!(in_order(&items, 2, |item| *item, stop).is_err());
        let work = |item: &usize| assert!(*item != 7, "on purpose");
        let all = || in_order(&items, 2, work, |()| Ok(()));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(all)).is_err());
        in_order(&[] as &[usize], 2, |item| *item, stop).unwrap();
    }
}
