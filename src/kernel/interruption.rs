//! Calls that can be interrupted while they wait or read.
//!
//! A program that hears signals in one thread only (Python) runs a call through [`interruptible`].
//! Wherever the call waits in its own thread, for another process's lock or for the writer, and
//! between the rows that it reads, the program's function is asked whether to stop. Other threads,
//! the writer's among them, are never stopped.

use std::cell::{Cell, RefCell};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The shortest time between two checks.
pub(crate) const CHECK_EVERY: Duration = Duration::from_millis(50);

/// How long a call made by the function itself waits for the writer, which this very thread may be.
pub(super) const NESTED_WAIT: Duration = Duration::from_secs(5);

struct Watch {
    stop: Box<dyn FnMut() -> bool>,
    checked: Instant,
    stopped: bool,
}

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// Puts the watch of an outer call back, also after a panic.
struct Outer(Option<Watch>);

impl Drop for Outer {
    fn drop(&mut self) {
        WATCH.set(self.0.take());
    }
}

/// Runs `work`; while it waits or reads in this thread, `stop` is asked about twenty times a second
/// whether to cancel. Then `work` ends with [`Error::Interrupted`](crate::Error::Interrupted), and
/// nothing of its transaction is in the file. Only the write of a [`Ticket`](crate::Ticket) goes on, and
/// the error says so. `stop` must not write to the same file.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use std::sync::atomic::{AtomicBool, Ordering};
/// static PRESSED: AtomicBool = AtomicBool::new(false); // set by a signal handler
/// # let path = folder.path().join("run.db");
/// let db = siltstone::Database::builder(&path).open()?;
/// siltstone::interruptible(|| PRESSED.load(Ordering::Relaxed), || db.flush())?;
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn interruptible<T>(stop: impl FnMut() -> bool + 'static, work: impl FnOnce() -> T) -> T {
    let watch = Watch { stop: Box::new(stop), checked: Instant::now(), stopped: false };
    let _outer = Outer(WATCH.replace(Some(watch)));
    work()
}

/// Runs `work` without a check for interruption: for what must be known to be done or not.
pub(crate) fn uninterrupted<T>(work: impl FnOnce() -> T) -> T {
    let _outer = Outer(WATCH.take());
    work()
}

/// Whether the call of this thread can be cancelled.
pub(super) fn is_watched() -> bool {
    watch(Option::is_some)
}

/// Whether this thread is inside the function that is asked.
pub(super) fn is_asking() -> bool {
    ASKING.get()
}

/// Asks if it is time to; whether the call of this thread is cancelled.
pub(super) fn stops() -> bool {
    let due = |watch: &Watch| !watch.stopped && watch.checked.elapsed() >= CHECK_EVERY;
    if watch(|watch| watch.as_ref().is_some_and(due)) {
        ask();
    }
    has_stopped()
}

/// Whether the call of this thread was cancelled.
pub(super) fn has_stopped() -> bool {
    watch(|watch| watch.as_ref().is_some_and(|watch| watch.stopped))
}

/// Reads the watch; a thread that ends has none any more, and may still have files to close.
fn watch(read: impl FnOnce(&Option<Watch>) -> bool) -> bool {
    WATCH.try_with(|watch| read(&watch.borrow())).unwrap_or(false)
}

fn ask() {
    // Taken out: the function may call the library again, which is not watched then.
    let Some(mut watch) = WATCH.take() else { return };
    ASKING.set(true);
    watch.stopped = (watch.stop)();
    ASKING.set(false);
    watch.checked = Instant::now();
    WATCH.set(Some(watch));
}

/// [`stops`] as an error.
pub(crate) fn check(action: &'static str) -> Result<()> {
    if stops() { Err(Error::Interrupted { action }) } else { Ok(()) }
}

/// Sleeps, unless the call of this thread is cancelled.
pub(crate) fn pause(duration: Duration, action: &'static str) -> Result<()> {
    let start = Instant::now();
    loop {
        check(action)?;
        let left = duration.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(if is_watched() { left.min(CHECK_EVERY) } else { left });
    }
}

/// A pause that grows: for what has no end to be waited for.
struct Nap(u32);

impl Nap {
    /// From a turn of other threads to 5 ms.
    fn take(&mut self, action: &'static str) -> Result<()> {
        self.0 += 1;
        match self.0 {
            ..100 => std::thread::yield_now(),
            n => std::thread::sleep(
                Duration::from_micros(u64::from(n - 99).pow(2)).min(Duration::from_millis(5)),
            ),
        }
        check(action)
    }
}

/// Locks what another thread may hold while it waits for the disk or for another process.
pub(crate) fn lock<'a, T>(mutex: &'a Mutex<T>, action: &'static str) -> Result<MutexGuard<'a, T>> {
    if !is_watched() {
        return Ok(mutex.lock().unwrap_or_else(PoisonError::into_inner));
    }
    let mut nap = Nap(0);
    loop {
        match mutex.try_lock() {
            Ok(locked) => return Ok(locked),
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => nap.take(action)?,
        }
    }
}

/// Waits for a thread to end, once; one that is not waited for to its end can be waited for again. The inner error is what it
/// panicked with.
pub(crate) fn join<T>(
    thread: &mut Option<JoinHandle<T>>,
    action: &'static str,
) -> Result<Option<std::thread::Result<T>>> {
    let mut nap = Nap(0);
    while is_watched() && thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
        nap.take(action)?;
    }
    Ok(thread.take().map(JoinHandle::join))
}

/// Runs `work`, which waits for another machine and cannot be asked: in a thread of its own, if the call can be cancelled.
/// Then `cancel` is called until it has ended. What came of it, and whether it was cancelled.
#[cfg(feature = "postgresql")]
pub(crate) fn cancellable<T: Send>(
    cancel: impl Fn(),
    work: impl FnOnce() -> T + Send,
) -> (T, bool) {
    if !is_watched() {
        return (work(), false);
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(work);
        let mut nap = Nap(0);
        let mut cancelled = false;
        while !thread.is_finished() {
            if nap.take("").is_err() {
                cancelled = true;
                cancel();
                std::thread::sleep(CHECK_EVERY);
            }
        }
        let done = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (done, cancelled)
    })
}

/// What another thread sends next; `None` if it has ended.
pub(crate) fn receive<T>(from: &Receiver<T>, action: &'static str) -> Result<Option<T>> {
    loop {
        match from.recv_timeout(CHECK_EVERY) {
            Ok(sent) => return Ok(Some(sent)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => check(action)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Database;
    use std::thread;

    fn cancel_after(ms: u64) -> impl FnMut() -> bool + 'static {
        let start = Instant::now();
        move || start.elapsed() >= Duration::from_millis(ms)
    }

    /// Goal: a write that waits for another connection ends soon after it is asked to, writes
    /// nothing, and the next one works.
    #[test]
    fn a_write_that_waits_for_another_process_is_cancelled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.db");
        let db = Database::builder(&path).open().unwrap();
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let write = |db: &Database| {
            db.write(|tx| {
                tx.execute("INSERT INTO siltstone_schema (store, version) VALUES ('x', 1)", [])
            })
        };
        let start = Instant::now();
        let cancelled = interruptible(cancel_after(100), || write(&db));
        assert_eq!(cancelled.unwrap_err().to_string(), "interrupted while writing");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(db.sql("SELECT * FROM siltstone_schema").unwrap().rows.len(), 0);
        assert_eq!(write(&db).unwrap(), 1);
    }

    /// Goal: a write that waits behind another one in the queue is withdrawn, and a ticket's goes on.
    #[test]
    fn a_queued_write_is_withdrawn_with_its_caller() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path().join("run.db")).open().unwrap();
        let slow = db.submit(|_| {
            thread::sleep(Duration::from_millis(600));
            Ok(())
        });
        thread::sleep(Duration::from_millis(50));
        let insert = "INSERT INTO siltstone_schema (store, version) VALUES (?1, 1)";
        let waiting = interruptible(cancel_after(100), || {
            db.write(move |tx| tx.execute(insert, ["withdrawn"]))
        });
        let Err(Error::Interrupted { action: "writing" }) = waiting else { panic!("{waiting:?}") };
        let ticket = db.submit(move |tx| tx.execute(insert, ["goes on"])).unwrap();
        let waiting = interruptible(cancel_after(100), || ticket.wait());
        let Err(Error::Interrupted { action }) = waiting else { panic!("{waiting:?}") };
        assert!(action.contains("goes on"), "{action}");
        slow.unwrap().wait().unwrap();
        db.flush().unwrap();
        let rows = db.sql("SELECT store FROM siltstone_schema").unwrap().rows;
        assert_eq!(rows, [[crate::Value::Text("goes on".into())]]);
    }

    /// Goal: one long statement of a reader is interrupted while it runs; calls inside the function that is
    /// asked are not watched.
    #[test]
    fn a_long_statement_is_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path().join("run.db")).open().unwrap();
        let inner = db.clone();
        let mut asked = 0;
        let stop = move || {
            asked += 1;
            assert!(is_asking() && !is_watched());
            inner.sql("SELECT 1").unwrap();
            asked > 1
        };
        let endless =
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c";
        let start = Instant::now();
        let cancelled = interruptible(stop, || db.sql(endless));
        assert_eq!(cancelled.unwrap_err().to_string(), "interrupted while running the query");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert!(!is_watched() && !is_asking() && !stops());
    }
}
