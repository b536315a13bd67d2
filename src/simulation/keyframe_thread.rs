//! The thread that builds keyframes behind the writes.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::state::KeyframeBuilder;
use crate::error::Result;
use crate::kernel::{Database, lock};

/// Updates of a dataset after which the builder looks at it.
const EVERY: u64 = 256;

/// Counts updates, and wakes a thread when a dataset has enough of them.
pub(super) struct KeyframeThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// The process that the thread is in: a fork has none.
    pid: u32,
}

#[derive(Default)]
struct Shared {
    work: Mutex<Work>,
    wake: Condvar,
    /// One a dataset; held while it builds.
    builders: Mutex<HashMap<String, KeyframeBuilder>>,
}

#[derive(Default)]
struct Work {
    since: HashMap<String, u64>,
    due: Vec<String>,
    stop: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn build(&self, db: &Database, dataset: &str) -> Result<()> {
        let mut builders = lock(&self.builders, "waiting for keyframes that are being built")?;
        let builder = match builders.get_mut(dataset) {
            Some(builder) => builder,
            None => builders.entry(dataset.to_owned()).or_default(),
        };
        builder.build(db, dataset).map(drop)
    }
}

impl KeyframeThread {
    pub(super) fn start(db: &Database) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (ours, db) = (shared.clone(), db.clone());
        let thread =
            std::thread::Builder::new().name("siltstone-keyframes".into()).spawn(move || {
                loop {
                    let mut work = ours.lock();
                    while work.due.is_empty() && !work.stop {
                        work = ours.wake.wait(work).unwrap_or_else(PoisonError::into_inner);
                    }
                    if work.stop {
                        return;
                    }
                    let dataset = work.due.remove(0);
                    drop(work);
                    if let Err(error) = ours.build(&db, &dataset) {
                        // A keyframe only makes a seek shorter: reads are right without it.
                        tracing::warn!(dataset, %error, "keyframes");
                    }
                }
            })?;
        Ok(KeyframeThread { shared, thread: Some(thread), pid: std::process::id() })
    }

    /// Counts updates of a dataset that were handed to the writer.
    pub(super) fn count(&self, dataset: &str, updates: u64) {
        let mut work = self.shared.lock();
        if !work.since.contains_key(dataset) {
            work.since.insert(dataset.to_owned(), 0);
        }
        let since = work.since.get_mut(dataset).expect("it is there now");
        *since += updates;
        if *since >= EVERY {
            *since = 0;
            if !work.due.iter().any(|due| due == dataset) {
                work.due.push(dataset.to_owned());
                self.shared.wake.notify_one();
            }
        }
    }

    /// Builds the keyframes that a dataset lacks.
    pub(super) fn build(&self, db: &Database, dataset: &str) -> Result<()> {
        self.shared.build(db, dataset)
    }

    /// The datasets that were written to.
    pub(super) fn datasets(&self) -> Vec<String> {
        self.shared.lock().since.keys().cloned().collect()
    }
}

impl Drop for KeyframeThread {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            // A fork: nobody is there to be waited for, and the lock may be held for ever.
            std::mem::forget(self.thread.take());
            return;
        }
        self.shared.lock().stop = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the builder of keyframes panicked");
        }
    }
}
