//! The one writer of a file: jobs in, transactions out.
//!
//! A caller that waits, and finds nobody writing and nothing queued, runs its job itself: no
//! other thread has to wake. All other jobs go through the queue to the writer's thread, which
//! takes what has gathered into one transaction. The jobs run without savepoints first; only if
//! one fails is the transaction rolled back and each job run again in its own savepoint, so that
//! the bad one fails alone. So a job may run twice, and must not keep anything from the first time.
//!
//! Lock order: `core`, then `queue`.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::connect::{enter_wal, is_busy, pause, set_log_size, without_waiting};
use super::deferred::{Answer, Deferred};
use super::failure::At;
use super::lease::Leased;
use super::log_files::{Log, log_names, log_of};
use super::options::{Builder, Durability, QueuePolicy};
use super::paths::identity;
use super::schema::{self, Upgrade};
use super::stats::{Counters, add};
use super::ticket::{Slot, Ticket, closed};
use super::tx::{Memory, WriteTx};
use super::watch::data_version;
use super::{interruption, transaction};
use crate::error::{Error, Result};

/// The most jobs in one transaction: bounds what a failed group has to run again.
const GROUP_JOBS: usize = 1024;

pub(super) struct Writer {
    pub(super) path: PathBuf,
    /// The file that was opened, whatever becomes of its name.
    file: Option<(u64, u64)>,
    /// Where its log is, and the index of that.
    pub(super) log_names: [PathBuf; 2],
    /// That its log was removed or replaced: this connection has the old one, and must not write.
    pub(super) cut_off: OnceLock<&'static str>,
    pub(super) core: Leased<Core>,
    queue: Mutex<Queue>,
    /// Length of the queue, to look at without its lock.
    depth: AtomicUsize,
    filled: Condvar,
    drained: Condvar,
    capacity: usize,
    policy: QueuePolicy,
    counters: Arc<Counters>,
    wal_bytes: i64,
    /// Whether the file is another program's and no write was asked for.
    untouched: AtomicBool,
}

pub(super) struct Core {
    pub(super) conn: Connection,
    pub(super) memory: Memory,
    /// Whether `synchronous` is FULL now; `None` after work that may have set it.
    full: Option<bool>,
    /// The log and its index that the connection has open, once it has them.
    pub(super) log: Option<Log>,
    /// SQLite's count of other connections' commits, as of our last transaction.
    data_version: i64,
    busy_timeout: Duration,
    /// Tables of another program that the first write upgrades.
    upgrade: Option<&'static Upgrade>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Box<dyn Job>>,
    closed: bool,
}

trait Job: Send {
    fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<()>;
    fn finish(&mut self, outcome: Result<()>);
    fn durability(&self) -> Durability;
    /// Whether its caller has gone on already.
    fn is_acknowledged(&self) -> bool;
}

struct Task<F, T> {
    work: F,
    value: Option<T>,
    slot: Option<Arc<Slot<T>>>,
    durability: Durability,
    /// Where the error goes of a job that nobody may wait for.
    deferred: Option<Arc<Deferred>>,
}

impl<F, T> Job for Task<F, T>
where
    F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send,
    T: Send + 'static,
{
    fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<()> {
        if self.slot.as_ref().is_some_and(|slot| !slot.begin()) {
            return Ok(());
        }
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(tx)));
        self.value = Some(result.unwrap_or_else(|_| Err(panicked()))?);
        Ok(())
    }

    fn finish(&mut self, outcome: Result<()>) {
        let slot = self.slot.take();
        let failed = outcome.as_ref().err().cloned();
        if let Some(slot) = &slot {
            let value = self.value.take();
            slot.complete(outcome.and_then(|()| value.ok_or_else(closed))); // it has none if it was withdrawn
        }
        if let (Some(deferred), Some(error)) = (self.deferred.take(), failed) {
            deferred.keep(error, slot.map(|slot| slot as Arc<dyn Answer>));
        }
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn is_acknowledged(&self) -> bool {
        self.slot.is_none()
    }
}

impl<F, T> Drop for Task<F, T> {
    fn drop(&mut self) {
        // Nobody waits for ever for a job that was never run.
        if let Some(slot) = self.slot.take() {
            slot.complete(Err(closed()));
        }
    }
}

const MOVED: &str =
    "was removed or replaced since it was opened; nothing was written: open it anew";
pub(super) fn panicked() -> Error {
    Error::Panicked { what: "the write".into(), why: "panicked and was rolled back" }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic inside leaves a transaction open at worst, which `begin` rolls back.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    pub(super) fn new(
        (conn, upgrade): (Connection, Option<&'static Upgrade>),
        options: &Builder,
        counters: Arc<Counters>,
    ) -> Self {
        let log_names = log_names(&options.path);
        Writer {
            path: options.path.clone(),
            file: identity(&options.path),
            cut_off: OnceLock::new(),
            core: Leased::new(
                Core {
                    conn,
                    memory: Memory::default(),
                    full: None,
                    log: log_of(&log_names),
                    data_version: 0,
                    busy_timeout: options.busy_timeout,
                    upgrade,
                },
                options.path.clone(),
                options.busy_timeout,
            ),
            queue: Mutex::default(),
            depth: AtomicUsize::new(0),
            filled: Condvar::new(),
            drained: Condvar::new(),
            capacity: options.queue_jobs,
            policy: options.queue_policy,
            counters,
            wal_bytes: options.profile.wal_bytes(),
            untouched: AtomicBool::new(upgrade.is_some()),
            log_names,
        }
    }

    /// Whether the file still has its name, and its log. What is written to one that was removed is lost.
    pub(super) fn is_at_its_path(&self) -> bool {
        identity(&self.path) == self.file && !self.is_cut_off()
    }

    /// Whether its log was found to be another one.
    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.get().is_some()
    }

    pub(super) fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    /// Runs a job and waits for its acknowledgement.
    pub(super) fn write<T, F>(self: &Arc<Self>, durability: Durability, mut work: F) -> Result<T>
    where
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        if let Some(done) = transaction::write(self, &mut work) {
            return done;
        }
        if let Some(mut core) = self.core.try_take()
            && self.depth.load(Ordering::Acquire) == 0
        {
            add(&self.counters.jobs_accepted, 1);
            return self.run_alone(&mut core, durability, &mut work);
        }
        self.submit_with(self.policy, durability, None, work)?.wait_or_withdraw("writing")
    }

    /// Queues a job.
    pub(super) fn submit<T, F>(
        self: &Arc<Self>,
        durability: Durability,
        deferred: &Arc<Deferred>,
        work: F,
    ) -> Result<Ticket<T>>
    where
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        if transaction::is_open(self) {
            return self.write(durability, work).map(Ticket::answered);
        }
        self.submit_with(self.policy, durability, Some(deferred.clone()), work)
    }

    /// Waits until everything queued before has been written, with room in the queue or without.
    pub(super) fn drain(self: &Arc<Self>) -> Result<()> {
        self.check_no_transaction()?;
        self.submit_with(QueuePolicy::Wait, Durability::Os, None, |_| Ok(()))?.wait()
    }

    fn submit_with<T, F>(
        self: &Arc<Self>,
        policy: QueuePolicy,
        durability: Durability,
        deferred: Option<Arc<Deferred>>,
        work: F,
    ) -> Result<Ticket<T>>
    where
        F: FnMut(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let slot = Slot::new();
        let task = Task { work, value: None, slot: Some(slot.clone()), durability, deferred };
        self.push(Box::new(task), policy)?;
        Ok(Ticket { slot })
    }

    /// Queues a job that is acknowledged already: its error is kept for the next flush.
    pub(super) fn post<F>(self: &Arc<Self>, deferred: &Arc<Deferred>, work: F) -> Result<()>
    where
        F: FnMut(&mut WriteTx<'_>) -> Result<()> + Send + 'static,
    {
        if transaction::is_open(self) {
            return self.write(Durability::Buffered, work);
        }
        let deferred = Some(deferred.clone());
        let durability = Durability::Buffered;
        self.push(
            Box::new(Task { work, value: None, slot: None, durability, deferred }),
            self.policy,
        )
    }

    fn push(&self, job: Box<dyn Job>, policy: QueuePolicy) -> Result<()> {
        let mut queue = lock(&self.queue);
        while queue.jobs.len() >= self.capacity && !queue.closed {
            if policy == QueuePolicy::Refuse {
                add(&self.counters.jobs_refused, 1);
                return Err(Error::QueueFull { capacity: self.capacity });
            }
            let waited = self.drained.wait_timeout(queue, interruption::CHECK_EVERY);
            drop(waited); // the function that is asked may come here itself
            interruption::check("waiting for room in the queue")?;
            queue = lock(&self.queue);
        }
        if queue.closed {
            return Err(closed());
        }
        self.untouched.store(false, Ordering::Release);
        queue.jobs.push_back(job);
        self.depth.store(queue.jobs.len(), Ordering::Release);
        add(&self.counters.jobs_accepted, 1);
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    /// The writer's thread: until the queue is closed and empty.
    pub(super) fn run(&self) {
        loop {
            let mut queue = lock(&self.queue);
            while queue.jobs.is_empty() {
                if queue.closed {
                    return;
                }
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            drop(queue); // lock order: core first
            let mut core = match self.core.take("writing") {
                Ok(core) => core,
                Err(error) => {
                    self.refuse_waiting(&error);
                    continue;
                }
            };
            let mut queue = lock(&self.queue);
            let n = queue.jobs.len().min(GROUP_JOBS);
            let mut group: Vec<_> = queue.jobs.drain(..n).collect();
            self.depth.store(queue.jobs.len(), Ordering::Release);
            drop(queue);
            self.drained.notify_all();
            self.run_group(&mut core, &mut group);
        }
    }

    /// A thread keeps a transaction open: who waits for an answer gets it. What is acknowledged already stays.
    fn refuse_waiting(&self, error: &Error) {
        let mut queue = lock(&self.queue);
        let jobs = std::mem::take(&mut queue.jobs).into_iter();
        let (acknowledged, waiting): (Vec<_>, Vec<_>) = jobs.partition(|job| job.is_acknowledged());
        queue.jobs = acknowledged.into();
        self.depth.store(queue.jobs.len(), Ordering::Release);
        drop(queue);
        self.drained.notify_all();
        for mut job in waiting {
            add(&self.counters.jobs_failed, 1);
            job.finish(Err(error.clone()));
        }
    }

    /// Lets the queue run dry and ends the thread.
    pub(super) fn close(&self) {
        lock(&self.queue).closed = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }

    /// Work on the writer's connection outside any transaction (vacuum, checkpoint).
    pub(super) fn maintain<T>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        self.check_no_transaction()?;
        let mut core = self.core.take("waiting for another thread's write")?;
        core.end_transaction();
        self.upgrade(&mut core)?;
        core.full = None;
        self.check_log(&mut core)?;
        let done = work(&core.conn);
        core.log = log_of(&self.log_names); // it may have begun another one
        done
    }

    /// The same for work that leaves a file of another program as it is: it is passed over there.
    pub(super) fn maintain_if_ours(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<()>,
    ) -> Result<()> {
        if self.is_untouched() { Ok(()) } else { self.maintain(work) }
    }

    /// Refuses what cannot be done while this thread has a transaction open.
    fn check_no_transaction(self: &Arc<Self>) -> Result<()> {
        let why = "cannot be done inside a transaction; end it first";
        match transaction::is_open(self) {
            true => Err(Error::InTransaction { what: "this".into(), why }),
            false => Ok(()),
        }
    }

    /// Whether the file is still another program's and nothing was on its way into it.
    pub(super) fn is_untouched(&self) -> bool {
        self.untouched.load(Ordering::Acquire)
    }

    /// Upgrades the tables of another program, before the first write.
    fn upgrade(&self, core: &mut Core) -> Result<()> {
        let Some(upgrade) = core.upgrade else { return Ok(()) };
        self.untouched.store(false, Ordering::Release);
        core.conn.pragma_update(None, "synchronous", "FULL")?;
        core.full = None;
        schema::upgrade(&core.conn, &self.path, upgrade)?;
        enter_wal(&core.conn, &self.path)?;
        set_log_size(&core.conn, self.wal_bytes)?;
        core.upgrade = None;
        Ok(())
    }

    fn run_alone<T>(
        &self,
        core: &mut Core,
        durability: Durability,
        work: &mut dyn FnMut(&mut WriteTx<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut run = |core: &mut Core| -> Result<T> {
            self.begin(core, durability)?;
            let mut tx = WriteTx::new(&core.conn, &mut core.memory, &self.path);
            let value = catch_unwind(AssertUnwindSafe(|| work(&mut tx)));
            let value = value.unwrap_or_else(|_| Err(panicked()))?;
            drop(tx); // its statements go back before the commit
            self.commit(core, 1)?;
            Ok(value)
        };
        run(core)
            .inspect_err(|_| {
                core.roll_back();
                add(&self.counters.jobs_failed, 1);
            })
            .at(&self.path, "writing")
    }

    fn run_group(&self, core: &mut Core, group: &mut [Box<dyn Job>]) {
        let span = tracing::debug_span!("commit", jobs = group.len());
        let _entered = span.enter();
        let outcome = self.try_together(core, group);
        let Err(error) = outcome else {
            return group.iter_mut().for_each(|job| job.finish(Ok(())));
        };
        core.roll_back();
        let apart = match error {
            Failed::Job(_) if group.len() > 1 => self.try_apart(core, group),
            Failed::Job(error) | Failed::Whole(error) => Err(error),
        };
        let all = apart.unwrap_or_else(|error| {
            core.roll_back();
            group.iter().map(|_| Err(error.clone())).collect()
        });
        for (job, outcome) in group.iter_mut().zip(all) {
            if outcome.is_err() {
                add(&self.counters.jobs_failed, 1);
                add(&self.counters.buffered_failed, job.is_acknowledged().into());
            }
            job.finish(outcome.at(&self.path, "writing"));
        }
    }

    fn try_together(&self, core: &mut Core, group: &mut [Box<dyn Job>]) -> Result<(), Failed> {
        let durability = group.iter().map(|job| job.durability()).max().unwrap_or_default();
        self.begin(core, durability).map_err(Failed::Whole)?;
        let mut tx = WriteTx::new(&core.conn, &mut core.memory, &self.path);
        for job in group.iter_mut() {
            job.run(&mut tx).map_err(Failed::Job)?;
        }
        drop(tx);
        self.commit(core, group.len()).map_err(Failed::Whole)
    }

    /// Each job in its own savepoint; the outer error is one that meets them all.
    fn try_apart(&self, core: &mut Core, group: &mut [Box<dyn Job>]) -> Result<Vec<Result<()>>> {
        let durability = group.iter().map(|job| job.durability()).max().unwrap_or_default();
        self.begin(core, durability)?;
        let mut outcomes = Vec::with_capacity(group.len());
        for job in group.iter_mut() {
            core.conn.execute_batch("SAVEPOINT job")?;
            let outcome = job.run(&mut WriteTx::new(&core.conn, &mut core.memory, &self.path));
            if outcome.is_err() {
                core.memory.forget();
                core.conn.execute_batch("ROLLBACK TO job")?;
            }
            core.conn.execute_batch("RELEASE job")?;
            outcomes.push(outcome);
        }
        self.commit(core, outcomes.iter().filter(|o| o.is_ok()).count())?;
        Ok(outcomes)
    }

    pub(super) fn begin(&self, core: &mut Core, durability: Durability) -> Result<()> {
        core.end_transaction();
        self.upgrade(core)?;
        let full = durability == Durability::Disk;
        if core.full != Some(full) {
            core.conn.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
            core.full = Some(full);
        }
        let start = Instant::now();
        for tries in 0.. {
            // The waiting is done here, for as long as the caller chose.
            let begin =
                || core.conn.prepare_cached("BEGIN IMMEDIATE").and_then(|mut s| s.execute([]));
            let begun = without_waiting(begin);
            match begun {
                Ok(_) => break,
                Err(e) if !is_busy(&e) => return Err(e.into()),
                Err(_) if start.elapsed() > core.busy_timeout => {
                    let waited_ms = core.busy_timeout.as_millis() as u64;
                    return Err(Error::Busy {
                        path: self.path.clone(),
                        waited_ms,
                        action: "writing",
                    });
                }
                Err(_) => {
                    add(&self.counters.busy_waits, 1);
                    pause(tries);
                }
            }
        }
        // With the file locked: who removes a file that others may have open does it in a transaction too.
        if identity(&self.path) != self.file {
            core.roll_back();
            let what = self.path.display().to_string();
            return Err(Error::Closed { what, why: MOVED });
        }
        self.check_log(core)?;
        if !core.memory.is_empty() {
            let now = data_version(&core.conn)?;
            if now != core.data_version {
                core.memory.forget();
                core.data_version = now;
            }
        }
        Ok(())
    }

    pub(super) fn commit(&self, core: &mut Core, jobs: usize) -> Result<()> {
        let start = Instant::now();
        core.conn.prepare_cached("COMMIT")?.execute([])?;
        add(&self.counters.commit_ns, start.elapsed().as_nanos() as u64);
        add(&self.counters.transactions, 1);
        add(&self.counters.jobs_committed, jobs as u64);
        self.counters.largest_group.fetch_max(jobs as u64, Ordering::Relaxed);
        Ok(())
    }
}

enum Failed {
    /// One job failed: the others may be fine.
    Job(Error),
    /// The transaction failed.
    Whole(Error),
}

impl Core {
    /// Undoes a transaction that failed, and forgets what it taught. SQLite may have rolled it back
    /// already (full disk).
    pub(super) fn roll_back(&mut self) {
        self.memory.forget();
        self.end_transaction();
    }

    /// Ends a transaction that a panic left open.
    fn end_transaction(&mut self) {
        if !self.conn.is_autocommit() {
            self.memory.forget();
            if let Err(error) = self.conn.execute_batch("ROLLBACK") {
                tracing::error!(%error, "rollback");
            }
        }
    }
}
