//! Work on several threads at once.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

/// The most threads that one call takes: it is not the only one on its machine.
const MOST_THREADS: usize = 4;

thread_local! {
    /// Whether this thread works on a part of something: its own parts are not divided again.
    static IS_PART: Cell<bool> = const { Cell::new(false) };
}

/// How many threads this one may divide its work among, itself among them.
pub(crate) fn threads() -> usize {
    if IS_PART.get() { 1 } else { available_parallelism().map_or(1, usize::from).min(MOST_THREADS) }
}

/// Runs `work` in a thread that does not divide it again.
fn as_part<T>(work: impl FnOnce() -> T) -> T {
    let before = IS_PART.replace(true);
    let done = work();
    IS_PART.set(before);
    done
}

/// Runs `work` on each item and returns the results in the order of the items. There is a thread for each processor, at
/// most four, this one among them, and one for every `least` items: to begin a thread takes some 50 µs.
pub(crate) fn together<T: Sync, R: Send>(
    items: &[T],
    least: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = (items.len() / least.max(1)).min(threads());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(i) else { return done };
            done.push((i, work(item)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| as_part(run))).collect();
        let mut done = as_part(run);
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Runs `a` and `b`, each in a thread of its own if that is worth it.
pub(crate) fn both<A: Send, B>(
    is_worth: bool,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B,
) -> (A, B) {
    if !is_worth || threads() < 2 {
        return (a(), b());
    }
    std::thread::scope(|scope| {
        let a = scope.spawn(|| as_part(a));
        let b = as_part(b);
        (a.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each item is worked on once, and the results come in order, however many items there are.
    #[test]
    fn results_are_in_the_order_of_the_items() {
        for n in [0, 1, 2, 7, 1_000] {
            let items: Vec<usize> = (0..n).collect();
            let seen = AtomicUsize::new(0);
            let work = |item: &usize| {
                seen.fetch_add(1, Ordering::Relaxed);
                if item.is_multiple_of(5) {
                    std::thread::yield_now();
                }
                item * 2
            };
            let expected: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(together(&items, 1, work), expected);
            assert_eq!(seen.into_inner(), n);
        }
    }

    /// Goal: both are run, whether it is worth a thread or not.
    #[test]
    fn both_are_run() {
        for is_worth in [false, true] {
            assert_eq!(both(is_worth, || 1, || "b"), (1, "b"));
        }
    }

    /// Goal: a panic of any thread is one of the call.
    #[test]
    fn a_panic_is_not_lost() {
        assert!(std::panic::catch_unwind(|| both(true, || panic!("on purpose"), || ())).is_err());
        let items: Vec<usize> = (0..100).collect();
        let call = || together(&items, 1, |item| assert!(*item != 40, "on purpose"));
        assert!(std::panic::catch_unwind(call).is_err());
    }
}
