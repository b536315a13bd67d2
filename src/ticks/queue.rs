//! Ticks on their way to the disk, bounded.
//!
//! Each accepted tick has an ordinal: 1, 2, ... in the order of acceptance. What the writer took and
//! has not committed yet is still seen here, so that a reader misses nothing; a day file says up to
//! which ordinal it holds, so that he counts nothing twice.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::config::QueueFull;
use super::tick::Row;
use crate::error::{Error, Result};
use crate::kernel::{CHECK_EVERY, check_interrupted};

/// A tick that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    /// The symbol's number in this store.
    pub(super) symbol: u32,
    pub(super) row: Row,
}

/// Ticks that the writer took in one go; the first has the ordinal `first`.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) first: u64,
    pub(super) rows: Vec<Queued>,
}

#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// The writer waits here.
    filled: Condvar,
    /// Callers that wait for room, or for a flush, wait here.
    moved: Condvar,
    depth: AtomicUsize,
    capacity: usize,
    batch: usize,
    /// The process that the writer is in: a fork of it has none.
    pid: u32,
}

#[derive(Debug, Default)]
struct Inner {
    rows: VecDeque<Queued>,
    /// The ordinal of the last accepted tick.
    accepted: u64,
    /// What the writer has taken and not finished.
    taken: Option<Arc<Batch>>,
    /// Since when the oldest waits.
    since: Option<Instant>,
    /// Somebody waits until everything up to here is done.
    urgent: u64,
    /// How often somebody asked for that.
    asked: u64,
    /// How often what was taken could be put nowhere, and why it could not the last time.
    failures: u64,
    failure: Option<Error>,
    /// Why no tick is accepted any more.
    closed: Option<&'static str>,
    /// The writer has ended.
    ended: bool,
}

/// What the writer has to do next.
#[derive(Debug)]
pub(super) enum Work {
    Write(Arc<Batch>),
    /// Nothing came for a while.
    Idle,
    /// The queue is closed and empty.
    End,
}

/// What became of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    Queued,
    DroppedNewest,
    DroppedOldest,
    /// There is no room, and the caller is to wait for it: with nothing locked.
    Full,
}

const STOPPED: &str = "was stopped";

impl Queue {
    pub(super) fn new(capacity: usize, batch: usize) -> Self {
        Queue {
            inner: Mutex::default(),
            filled: Condvar::new(),
            moved: Condvar::new(),
            depth: AtomicUsize::new(0),
            capacity,
            batch,
            pid: std::process::id(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    /// How long the oldest tick that is not committed has been waiting.
    pub(super) fn oldest_waits(&self) -> Option<Duration> {
        self.lock().since.map(|since| since.elapsed())
    }

    pub(super) fn push(&self, queued: Queued, policy: QueueFull) -> Result<Pushed> {
        let mut inner = self.lock();
        let mut pushed = Pushed::Queued;
        while inner.rows.len() >= self.capacity && inner.closed.is_none() {
            match policy {
                QueueFull::DropNewest => return Ok(Pushed::DroppedNewest),
                QueueFull::Error => return Err(Error::QueueFull { capacity: self.capacity }),
                QueueFull::DropOldest => {
                    inner.rows.pop_front();
                    pushed = Pushed::DroppedOldest;
                }
                QueueFull::Block => return Ok(Pushed::Full),
            }
        }
        inner.check_open()?;
        inner.rows.push_back(queued);
        inner.accepted += 1;
        let depth = inner.rows.len();
        if inner.since.is_none() {
            inner.since = Some(Instant::now());
        }
        self.depth.store(depth, Ordering::Relaxed);
        drop(inner);
        // The writer wakes for a full batch, and once for the first tick, to start its clock.
        if depth == 1 || depth == self.batch {
            self.filled.notify_one();
        }
        Ok(pushed)
    }

    /// Waits until there is room, or the queue is closed. The caller must hold no lock that the writer
    /// takes: while it waits, only the writer makes room.
    ///
    /// # Errors
    /// Why the writer cannot make room, once it has tried; [`Error::Interrupted`].
    pub(super) fn wait_for_room(&self) -> Result<()> {
        let done = |inner: &Inner| inner.rows.len() < self.capacity || inner.closed.is_some();
        self.wait(self.lock(), done, "waiting for room in the queue of ticks")
    }

    /// Waits for the writer, which ends when it can put what it took nowhere: the caller is told why, and what was accepted
    /// stays.
    fn wait<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner>,
        done: impl Fn(&Inner) -> bool,
        action: &'static str,
    ) -> Result<()> {
        if self.pid != std::process::id() {
            return Err(forked());
        }
        let before = inner.failures;
        while !done(&inner) {
            if let Some(failure) = inner.failure.as_ref().filter(|_| inner.failures > before) {
                return Err(failure.clone());
            }
            let waited = self.moved.wait_timeout(inner, CHECK_EVERY);
            drop(waited); // the function that is asked may come here itself
            check_interrupted(action)?;
            inner = self.lock();
        }
        Ok(())
    }

    /// The writer can put what it took nowhere, for this reason: it waits for a while, or until somebody asks for a flush.
    pub(super) fn park(&self, failure: Error, most: Duration) {
        let mut inner = self.lock();
        inner.failures += 1;
        inner.failure = Some(failure);
        self.moved.notify_all();
        let asked = inner.asked;
        let is_calm = |inner: &mut Inner| inner.asked == asked && inner.closed.is_none();
        drop(self.filled.wait_timeout_while(inner, most, is_calm));
    }

    /// The next batch: when it is full, or the oldest has waited for `max_wait`, or somebody waits for
    /// a flush. [`Work::Idle`] when nothing came for the time that is given.
    pub(super) fn take(&self, max_wait: Duration, idle: Option<Duration>) -> Work {
        let mut inner = self.lock();
        loop {
            // Beyond all time: never by itself.
            let due = inner.since.and_then(|since| since.checked_add(max_wait));
            let waiting = inner.rows.len();
            let first = inner.accepted + 1 - waiting as u64;
            let urgent = inner.closed.is_some() || first <= inner.urgent;
            let late = due.is_some_and(|due| due <= Instant::now());
            if waiting >= self.batch || (waiting > 0 && (urgent || late)) {
                let n = waiting.min(self.batch);
                let rows = inner.rows.drain(..n).collect();
                let batch = Arc::new(Batch { first, rows });
                inner.taken = Some(batch.clone());
                self.depth.store(inner.rows.len(), Ordering::Relaxed);
                drop(inner);
                self.moved.notify_all();
                return Work::Write(batch);
            }
            if waiting == 0 && inner.closed.is_some() {
                return Work::End;
            }
            if let Some(idle) = idle.filter(|_| waiting == 0) {
                let waited = self.filled.wait_timeout(inner, idle);
                let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                inner = after;
                if timeout.timed_out() && inner.rows.is_empty() && inner.closed.is_none() {
                    return Work::Idle;
                }
                continue;
            }
            inner = match due.filter(|_| waiting > 0) {
                None => self.filled.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let left = due.saturating_duration_since(Instant::now());
                    self.filled.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// The writer is done with the batch that it took.
    pub(super) fn finish(&self) {
        let mut inner = self.lock();
        (inner.taken, inner.failure) = (None, None);
        inner.since = (!inner.rows.is_empty()).then(Instant::now);
        drop(inner);
        self.moved.notify_all();
    }

    /// Waits until everything accepted so far is done.
    ///
    /// # Errors
    /// Why it can be put nowhere, once that was tried anew; it is kept, and tried again. [`Error::Interrupted`].
    pub(super) fn drain(&self) -> Result<()> {
        let mut inner = self.lock();
        let target = inner.accepted;
        inner.urgent = inner.urgent.max(target);
        inner.asked += 1;
        self.filled.notify_one();
        let done = |inner: &Inner| {
            let waiting = inner.accepted - inner.rows.len() as u64;
            let done = inner.taken.as_ref().map_or(waiting, |batch| batch.first - 1);
            done >= target || inner.ended
        };
        self.wait(inner, done, "waiting for ticks to be written, which goes on")
    }

    /// Refuses a tick that would not be accepted.
    pub(super) fn check_open(&self) -> Result<()> {
        self.lock().check_open()
    }

    /// No tick is accepted any more; the writer ends when the queue is empty.
    pub(super) fn close(&self) {
        self.lock().closed.get_or_insert(STOPPED);
        self.filled.notify_all();
        self.moved.notify_all();
    }

    /// The writer has ended: nobody waits for it any longer.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.closed.get_or_insert(STOPPED);
        inner.ended = true;
        drop(inner);
        self.moved.notify_all();
    }

    /// There is no writer and never was.
    pub(super) fn be_read_only(&self) {
        self.lock().closed = Some("was opened for reading only");
        self.end();
    }

    /// What is not committed, each with its ordinal, in the order of acceptance.
    pub(super) fn pending(&self, mut wanted: impl FnMut(&Queued) -> bool) -> Vec<(u64, Queued)> {
        let inner = self.lock();
        let first = inner.accepted + 1 - inner.rows.len() as u64;
        let taken = inner.taken.iter().flat_map(|batch| (batch.first..).zip(&batch.rows));
        let all = taken.chain((first..).zip(&inner.rows));
        all.filter(|(_, queued)| wanted(queued)).map(|(n, queued)| (n, *queued)).collect()
    }
}

pub(super) fn forked() -> Error {
    let why = "belongs to the process that this one was forked from; open one here";
    Error::Closed { what: "the tick store".into(), why }
}

impl Inner {
    fn check_open(&self) -> Result<()> {
        let Some(why) = self.closed else { return Ok(()) };
        Err(Error::Closed { what: "the tick store".into(), why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(n: i64) -> Queued {
        Queued { symbol: 0, row: Row { time_ns: n, bid: 0.0, ask: 0.0, spread: 0.0, origin: 0 } }
    }

    fn take(queue: &Queue, max_wait: Duration) -> Option<Arc<Batch>> {
        match queue.take(max_wait, None) {
            Work::Write(batch) => Some(batch),
            Work::Idle => panic!("nobody asked for it"),
            Work::End => None,
        }
    }

    fn times(pending: &[(u64, Queued)]) -> Vec<(u64, i64)> {
        pending.iter().map(|(n, q)| (*n, q.row.time_ns)).collect()
    }

    /// Goal: each policy does what it says with the tick that finds the queue full.
    #[test]
    fn a_full_queue_follows_its_policy() {
        for (policy, left) in [
            (QueueFull::DropNewest, vec![(1, 1), (2, 2)]),
            (QueueFull::DropOldest, vec![(2, 2), (3, 3)]),
            (QueueFull::Error, vec![(1, 1), (2, 2)]),
        ] {
            let queue = Queue::new(2, 500);
            queue.push(queued(1), policy).unwrap();
            queue.push(queued(2), policy).unwrap();
            let third = queue.push(queued(3), policy);
            match policy {
                QueueFull::DropNewest => assert_eq!(third.unwrap(), Pushed::DroppedNewest),
                QueueFull::DropOldest => assert_eq!(third.unwrap(), Pushed::DroppedOldest),
                _ => assert!(matches!(third.unwrap_err(), Error::QueueFull { capacity: 2 })),
            }
            assert_eq!(times(&queue.pending(|_| true)), left, "{policy:?}");
        }
    }

    /// Goal: a writer that has something else to do is told when nothing comes.
    #[test]
    fn an_idle_writer_is_told() {
        let queue = Queue::new(2, 1);
        let idle = Some(Duration::from_millis(1));
        assert!(matches!(queue.take(Duration::MAX, idle), Work::Idle));
        queue.push(queued(1), QueueFull::Block).unwrap();
        assert!(matches!(queue.take(Duration::MAX, idle), Work::Write(_)));
    }

    /// Goal: a blocked caller goes on when the writer has taken something, and a taken tick is still
    /// seen until it is done.
    #[test]
    fn a_blocked_caller_waits_for_room() {
        let queue = Queue::new(2, 1);
        queue.push(queued(1), QueueFull::Block).unwrap();
        queue.push(queued(2), QueueFull::Block).unwrap();
        std::thread::scope(|scope| {
            assert_eq!(queue.push(queued(3), QueueFull::Block).unwrap(), Pushed::Full);
            let blocked = scope.spawn(|| {
                queue.wait_for_room().unwrap();
                queue.push(queued(3), QueueFull::Block)
            });
            let batch = take(&queue, Duration::ZERO).unwrap();
            assert_eq!((batch.first, batch.rows.len()), (1, 1));
            assert_eq!(blocked.join().unwrap().unwrap(), Pushed::Queued);
        });
        assert_eq!(times(&queue.pending(|_| true)), [(1, 1), (2, 2), (3, 3)]);
        queue.finish();
        assert_eq!(times(&queue.pending(|_| true)), [(2, 2), (3, 3)]);
        queue.close();
        assert!(queue.push(queued(4), QueueFull::Block).is_err());
        assert_eq!(take(&queue, Duration::MAX).unwrap().rows.len(), 1);
        queue.finish();
        assert_eq!(take(&queue, Duration::MAX).unwrap().rows.len(), 1);
        queue.finish();
        assert!(take(&queue, Duration::MAX).is_none());
        queue.drain().unwrap();
    }

    /// Goal: what can be put nowhere is told to who waits for a flush or for room, once it was tried since they came; it stays,
    /// and whoever asks again wakes the writer.
    #[test]
    fn what_can_be_put_nowhere_is_told_and_kept() {
        let queue = Queue::new(1, 1);
        queue.push(queued(1), QueueFull::Block).unwrap();
        let fail = |most| queue.park(Error::QueueFull { capacity: 77 }, most);
        take(&queue, Duration::ZERO).unwrap();
        queue.push(queued(2), QueueFull::Block).unwrap();
        fail(Duration::ZERO);
        let waits: [fn(&Queue) -> Result<()>; 2] = [Queue::drain, Queue::wait_for_room];
        std::thread::scope(|scope| {
            for wait in &waits {
                let waiting = scope.spawn(|| wait(&queue));
                std::thread::sleep(Duration::from_millis(200));
                assert!(!waiting.is_finished(), "it was not tried since");
                fail(Duration::ZERO);
                let reported = waiting.join().unwrap().unwrap_err();
                assert!(matches!(reported, Error::QueueFull { capacity: 77 }), "{reported}");
            }
            let parked = scope.spawn(|| fail(Duration::from_secs(600)));
            while queue.lock().failures < 4 {
                std::thread::yield_now();
            }
            let waiting = scope.spawn(|| queue.drain());
            parked.join().unwrap();
            assert_eq!(times(&queue.pending(|_| true)), [(1, 1), (2, 2)]);
            queue.finish();
            take(&queue, Duration::MAX).unwrap();
            queue.finish();
            waiting.join().unwrap().unwrap();
        });
    }
}
