//! Counters that a program can read.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a database did since this process opened it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Jobs handed to the writer.
    pub jobs_accepted: u64,
    /// Jobs whose transaction was committed.
    pub jobs_committed: u64,
    /// Jobs that failed, each alone; nothing of them is in the file.
    pub jobs_failed: u64,
    /// Jobs refused because the queue was full.
    pub jobs_refused: u64,
    /// Jobs acknowledged before their commit ([`Durability::Buffered`](super::Durability)) that failed later.
    pub buffered_failed: u64,
    /// Transactions committed.
    pub transactions: u64,
    /// The most jobs in one transaction.
    pub largest_group: u64,
    /// Times that the writer found another connection writing and waited.
    pub busy_waits: u64,
    /// Nanoseconds spent in commits.
    pub commit_ns: u64,
    /// Jobs waiting now.
    pub queue_depth: u64,
    /// Snapshots read.
    pub reads: u64,
    /// Read connections opened.
    pub readers_opened: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) jobs_accepted: AtomicU64,
    pub(super) jobs_committed: AtomicU64,
    pub(super) jobs_failed: AtomicU64,
    pub(super) jobs_refused: AtomicU64,
    pub(super) buffered_failed: AtomicU64,
    pub(super) transactions: AtomicU64,
    pub(super) largest_group: AtomicU64,
    pub(super) busy_waits: AtomicU64,
    pub(super) commit_ns: AtomicU64,
    pub(super) reads: AtomicU64,
    pub(super) readers_opened: AtomicU64,
}

/// Adds to a counter; counters order nothing.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn snapshot(&self, queue_depth: usize) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            jobs_accepted: get(&self.jobs_accepted),
            jobs_committed: get(&self.jobs_committed),
            jobs_failed: get(&self.jobs_failed),
            jobs_refused: get(&self.jobs_refused),
            buffered_failed: get(&self.buffered_failed),
            transactions: get(&self.transactions),
            largest_group: get(&self.largest_group),
            busy_waits: get(&self.busy_waits),
            commit_ns: get(&self.commit_ns),
            queue_depth: queue_depth as u64,
            reads: get(&self.reads),
            readers_opened: get(&self.readers_opened),
        }
    }
}
