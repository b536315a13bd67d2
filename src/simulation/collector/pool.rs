//! Five workers, and nothing that waits behind them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::error::{Error, Result};
use crate::kernel::{CHECK_EVERY, check_interrupted, join, uninterrupted};

/// As documented.
const WORKERS: usize = 5;

type Job = Box<dyn FnOnce() -> Result<()> + Send>;

/// Runs jobs on five threads; who hands one in waits until a thread takes it.
pub(super) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<Option<JoinHandle<()>>>,
    /// The process that the workers are in: a fork has none.
    pid: u32,
}

#[derive(Default)]
struct Shared {
    desk: Mutex<Desk>,
    /// A job is there, or no more will come.
    filled: Condvar,
    /// A worker has nothing to do.
    freed: Condvar,
    errors: Mutex<Vec<Error>>,
}

#[derive(Default)]
struct Desk {
    job: Option<Job>,
    /// Workers that have nothing to do.
    free: usize,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn errors(&self) -> MutexGuard<'_, Vec<Error>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker: until no more jobs come.
    fn work(&self) {
        let mut desk = self.lock();
        loop {
            desk.free += 1;
            self.freed.notify_all();
            let is_idle = |desk: &mut Desk| desk.job.is_none() && !desk.closed;
            let waited = self.filled.wait_while(desk, is_idle);
            desk = waited.unwrap_or_else(PoisonError::into_inner);
            desk.free -= 1;
            let Some(job) = desk.job.take() else { return };
            drop(desk);
            self.freed.notify_all(); // others may be free
            let result = catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| {
                Err(Error::Closed {
                    what: "a worker of the data collector".into(),
                    why: "panicked while it stored an update",
                })
            });
            if let Err(error) = result {
                self.errors().push(error);
            }
            desk = self.lock();
        }
    }
}

impl Pool {
    pub(super) fn start() -> Result<Self> {
        let (shared, pid) = (Arc::<Shared>::default(), std::process::id());
        let mut pool = Pool { shared, workers: Vec::new(), pid };
        for n in 0..WORKERS {
            let shared = pool.shared.clone();
            let thread = std::thread::Builder::new().name(format!("siltstone-collector-{n}"));
            let worker = thread.spawn(move || shared.work());
            pool.workers
                .push(Some(worker.map_err(|e| Error::io("", "start a worker thread", &e))?));
        }
        Ok(pool)
    }

    /// Waits until a worker has nothing to do: the next job is taken at once.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::Closed`] in a fork, and after [`drain`](Self::drain).
    pub(super) fn wait_for_worker(&self) -> Result<()> {
        if self.pid != std::process::id() {
            let what = "the data collector".into();
            return Err(Error::Closed {
                what,
                why: "was made before a fork; make one in this process",
            });
        }
        let mut desk = self.shared.lock();
        if desk.closed {
            return Err(Error::Closed { what: "the data collector".into(), why: "was closed" });
        }
        while desk.job.is_some() || desk.free == 0 {
            let waited = self.shared.freed.wait_timeout(desk, CHECK_EVERY);
            drop(waited); // the function that is asked may come here itself
            check_interrupted("waiting for a worker of the data collector")?;
            desk = self.shared.lock();
        }
        Ok(())
    }

    /// Hands a job to the worker that was [waited for](Self::wait_for_worker).
    pub(super) fn submit(&mut self, job: impl FnOnce() -> Result<()> + Send + 'static) {
        self.shared.lock().job = Some(Box::new(job));
        self.shared.filled.notify_one();
    }

    /// What went wrong so far, in the order in which it did.
    pub(super) fn errors(&self) -> Vec<Error> {
        self.shared.errors().clone()
    }

    /// Waits for every job; no more are taken.
    ///
    /// # Errors
    /// [`Error::Interrupted`]: the next call waits for the rest.
    pub(super) fn drain(&mut self) -> Result<()> {
        if self.pid != std::process::id() {
            std::mem::forget(std::mem::take(&mut self.workers));
            return Ok(());
        }
        self.shared.lock().closed = true;
        self.shared.filled.notify_all();
        for worker in &mut self.workers {
            if let Some(ended) = join(worker, "waiting for the workers of the data collector")? {
                ended.expect("a worker catches the panics of its jobs");
            }
        }
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let ended = uninterrupted(|| self.drain());
        ended.expect("nothing cancels it");
    }
}
