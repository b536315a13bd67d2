//! Five workers, and nothing that waits behind them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::error::{Error, Result};

/// As documented.
const WORKERS: usize = 5;

type Job = Box<dyn FnOnce() -> Result<()> + Send>;

/// Runs jobs on five threads; who hands one in waits until a thread takes it.
pub(super) struct Pool {
    sender: Option<SyncSender<Job>>,
    workers: Vec<JoinHandle<()>>,
    errors: Arc<Mutex<Vec<Error>>>,
    /// The process that the workers are in: a fork has none.
    pid: u32,
}

impl Pool {
    pub(super) fn start() -> Result<Self> {
        let (sender, receiver) = sync_channel::<Job>(0);
        let receiver = Arc::new(Mutex::new(receiver));
        let errors = Arc::new(Mutex::new(Vec::new()));
        let pid = std::process::id();
        let mut pool = Pool { sender: Some(sender), workers: Vec::new(), errors, pid };
        for n in 0..WORKERS {
            let (receiver, errors) = (receiver.clone(), pool.errors.clone());
            let thread = std::thread::Builder::new().name(format!("siltstone-collector-{n}"));
            let worker = thread.spawn(move || work(&receiver, &errors));
            pool.workers.push(worker.map_err(|e| Error::io("", "start a worker thread", &e))?);
        }
        Ok(pool)
    }

    /// Hands a job to a worker as soon as one is free.
    pub(super) fn submit(&self, job: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
        if self.pid != std::process::id() {
            let what = "the data collector".into();
            return Err(Error::Closed {
                what,
                why: "was made before a fork; make one in this process",
            });
        }
        let sender = self.sender.as_ref().filter(|sender| sender.send(Box::new(job)).is_ok());
        sender
            .map(drop)
            .ok_or_else(|| Error::Closed { what: "the data collector".into(), why: "was closed" })
    }

    /// What went wrong so far, in the order in which it did.
    pub(super) fn errors(&self) -> Vec<Error> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for every job.
    pub(super) fn drain(&mut self) {
        if self.pid != std::process::id() {
            std::mem::forget((self.sender.take(), std::mem::take(&mut self.workers)));
            return;
        }
        self.sender = None;
        for worker in self.workers.drain(..) {
            worker.join().expect("a worker catches the panics of its jobs");
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.drain();
    }
}

fn work(receiver: &Mutex<Receiver<Job>>, errors: &Mutex<Vec<Error>>) {
    loop {
        // The lock is held while waiting: the others have nothing to do then either.
        let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let result = catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| {
            Err(Error::Closed {
                what: "a worker of the data collector".into(),
                why: "panicked while it stored an update",
            })
        });
        if let Err(error) = result {
            errors.lock().unwrap_or_else(PoisonError::into_inner).push(error);
        }
    }
}
