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
    state: Mutex<State>,
    /// A job is there, or no more will come.
    filled: Condvar,
    /// A worker has nothing to do.
    freed: Condvar,
    errors: Mutex<Vec<Error>>,
}

#[derive(Default)]
struct State {
    job: Option<Job>,
    /// Workers that have nothing to do.
    free: usize,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn errors(&self) -> MutexGuard<'_, Vec<Error>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker: until no more jobs come.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            state.free += 1;
            self.freed.notify_all();
            let is_idle = |state: &mut State| state.job.is_none() && !state.closed;
            let waited = self.filled.wait_while(state, is_idle);
            state = waited.unwrap_or_else(PoisonError::into_inner);
            state.free -= 1;
            let Some(job) = state.job.take() else { return };
            drop(state);
            self.freed.notify_all(); // others may be free
            let result = catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| {
                Err(Error::Panicked {
                    what: "a worker of the data collector".into(),
                    why: "panicked while it stored an update",
                })
            });
            if let Err(error) = result {
                self.errors().push(error);
            }
            state = self.lock();
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
        let mut state = self.shared.lock();
        if state.closed {
            return Err(Error::Closed { what: "the data collector".into(), why: "was closed" });
        }
        while state.job.is_some() || state.free == 0 {
            let waited = self.shared.freed.wait_timeout(state, CHECK_EVERY);
            drop(waited); // the function that is asked may come here itself
            check_interrupted("waiting for a worker of the data collector")?;
            state = self.shared.lock();
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
