//! Takes updates as they come and stores what changed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::config::CollectorConfig;
use super::pool::Pool;
use super::settings::Settings;
use super::strategy::{self, StorageStrategy};
use crate::error::{Error, Result};
use crate::kernel::uninterrupted;
use crate::simulation::state::TrackedState;
use crate::simulation::update::{EntityData, Update};

/// Records a run: keeps the state of every dataset and stores of each update what changed it.
///
/// The first value of an attribute counts as a change, and so does every change of a bit unless a
/// tolerance is set. What an update does not say stays; an entity that becomes undefined is stored
/// as such. An update that changes nothing is not stored and takes no iteration.
///
/// Five workers store; a call waits while all of them are busy. An error of a worker is returned by
/// the next call and every one after it, and by [`close`](Self::close), which waits for all.
pub struct DataCollector {
    strategy: Arc<dyn StorageStrategy>,
    config: CollectorConfig,
    tracked: Vec<(String, TrackedState)>,
    /// The index in `tracked` of what was touched since the last flush.
    touched: Vec<usize>,
    timestamp: Option<i64>,
    iteration: i64,
    pool: Option<Pool>,
    /// What is to be handed to it.
    unsent: VecDeque<Update>,
    errors: Vec<Error>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    New,
    Running,
    Closed,
}

impl std::fmt::Debug for DataCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataCollector")
            .field("config", &self.config)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl DataCollector {
    /// A collector with the strategy that config and settings ask for.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown strategy, or one that is not told where to.
    pub fn new(settings: &Settings, config: CollectorConfig) -> Result<Self> {
        config.check()?;
        let strategy = strategy::choose(&config, settings)?;
        Ok(Self::with_strategy(strategy, config))
    }

    /// A collector with a strategy of one's own.
    pub fn with_strategy(strategy: Arc<dyn StorageStrategy>, config: CollectorConfig) -> Self {
        DataCollector {
            strategy,
            config,
            tracked: Vec::new(),
            touched: Vec::new(),
            timestamp: None,
            iteration: 0,
            pool: None,
            unsent: VecDeque::new(),
            errors: Vec::new(),
            phase: Phase::New,
        }
    }

    /// Makes the storage ready.
    ///
    /// # Errors
    /// What the strategy says; the collector can be initialized again then.
    pub fn initialize(&mut self) -> Result<()> {
        if self.phase != Phase::New {
            return Err(closed("was initialized before"));
        }
        self.strategy.initialize()?;
        self.pool = Some(Pool::start()?);
        self.phase = Phase::Running;
        Ok(())
    }

    /// A timestamp begins. To announce the same one again changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time before the last one; an earlier error of a worker.
    pub fn new_time(&mut self, timestamp: i64) -> Result<()> {
        self.check()?;
        match self.timestamp {
            Some(now) if timestamp == now => return Ok(()),
            Some(now) if timestamp < now => {
                let expected = format!("a time after {now}");
                return Err(Error::invalid("timestamp", expected, timestamp.to_string()));
            }
            _ => {}
        }
        self.flush()?;
        self.timestamp = Some(timestamp);
        self.iteration = 0;
        self.strategy.reset_iterations(timestamp);
        Ok(())
    }

    /// Takes an update of one dataset.
    ///
    /// # Errors
    /// [`Error::Invalid`] before the first [`new_time`](Self::new_time) and for data that contradict
    /// themselves or what came before, of which nothing is stored; an earlier error of a worker.
    pub fn update(&mut self, dataset: &str, data: EntityData, origin: Option<&str>) -> Result<()> {
        self.check()?;
        if self.timestamp.is_none() {
            let got = "an update before the first time";
            return Err(Error::invalid("data collector", "a time, then its updates", got));
        }
        let data = self.config.gather_filter.apply(dataset, data);
        if data.is_empty() {
            return Ok(());
        }
        let at = self.tracked.iter().position(|(name, _)| name == dataset).unwrap_or_else(|| {
            self.tracked.push((dataset.to_owned(), TrackedState::default()));
            self.tracked.len() - 1
        });
        if self.config.aggregate_updates {
            if !self.touched.contains(&at) {
                self.touched.push(at);
            }
            return self.tracked[at].1.receive_in_span(dataset, data);
        }
        let changes = self.tracked[at].1.receive(dataset, data, self.config.tolerance)?;
        self.store(dataset.to_owned(), changes, origin.map(str::to_owned))
    }

    /// Takes updates of several datasets; their iterations are in the order given.
    ///
    /// # Errors
    /// As [`update`](Self::update), for the first that fails; those before it are taken.
    pub fn update_all(
        &mut self,
        updates: Vec<(String, EntityData)>,
        origin: Option<&str>,
    ) -> Result<()> {
        updates.into_iter().try_for_each(|(dataset, data)| self.update(&dataset, data, origin))
    }

    /// What went wrong in workers so far, all of it.
    pub fn errors(&self) -> Vec<Error> {
        self.pool.as_ref().map_or_else(|| self.errors.clone(), Pool::errors)
    }

    /// Stores what is left, waits for every worker and ends the storage. A second call does nothing.
    ///
    /// # Errors
    /// The first error of a worker, the last write included, or what could not be ended. Every other
    /// update is stored then. After [`Error::Interrupted`] it is still open: the next call goes on.
    pub fn close(&mut self) -> Result<()> {
        self.close_after(None)
    }

    /// As [`close`](Self::close), for a run that failed: the storage is told why, and what was
    /// aggregated of the unfinished timestamp is stored too.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub fn close_after(&mut self, failure: Option<&Error>) -> Result<()> {
        if self.phase != Phase::Running {
            self.phase = Phase::Closed;
            return Ok(());
        }
        // Whatever a worker met before: what was handed in is stored.
        let flushed = self.flush();
        if let Err(Error::Interrupted { .. }) = flushed {
            return flushed;
        }
        if let Some(pool) = &mut self.pool {
            pool.drain()?;
            self.errors = pool.errors();
        }
        let error = self.errors.first().cloned().or(flushed.err());
        let ended = self.strategy.close(failure.or(error.as_ref()));
        if let Err(Error::Interrupted { .. }) = ended {
            return ended;
        }
        (self.phase, self.pool) = (Phase::Closed, None);
        error.map_or(ended, Err)
    }

    /// Stores what was gathered at the timestamp.
    fn flush(&mut self) -> Result<()> {
        for at in std::mem::take(&mut self.touched) {
            let (dataset, tracked) = &mut self.tracked[at];
            let dataset = dataset.clone();
            let changes = tracked.end_span(self.config.tolerance);
            self.put(dataset, changes, None);
        }
        self.send()
    }

    fn store(&mut self, dataset: String, data: EntityData, origin: Option<String>) -> Result<()> {
        self.put(dataset, data, origin);
        self.send()
    }

    /// What is known of the state has it from now on: it must be stored, whatever interrupts the call.
    fn put(&mut self, dataset: String, data: EntityData, origin: Option<String>) {
        let (Some(timestamp), false) = (self.timestamp, data.is_empty()) else { return };
        let iteration = self.iteration;
        self.unsent.push_back(Update { timestamp, iteration, dataset, origin, data });
        self.iteration += 1;
    }

    /// Hands what was put to the workers; what is not taken goes with the next call.
    fn send(&mut self) -> Result<()> {
        let pool = self.pool.as_mut().ok_or_else(|| closed("was not initialized"))?;
        while !self.unsent.is_empty() {
            pool.wait_for_worker()?;
            let (update, strategy) = (self.unsent.pop_front(), self.strategy.clone());
            pool.submit(move || update.map_or(Ok(()), |update| strategy.store(update)));
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        match self.phase {
            Phase::New => Err(closed("was not initialized")),
            Phase::Closed => Err(closed("was closed")),
            Phase::Running => self.errors().into_iter().next().map_or(Ok(()), Err),
        }
    }
}

impl Drop for DataCollector {
    /// What was handed in is stored, but the run is not marked as ended: nobody said so.
    fn drop(&mut self) {
        if self.phase == Phase::Running {
            // Nobody is there to be told otherwise, or to wait for it once more.
            let ended = uninterrupted(|| {
                let flushed = self.flush();
                self.pool.as_mut().map_or(Ok(()), Pool::drain).and(flushed)
            });
            for error in self.errors().into_iter().chain(ended.err()) {
                tracing::error!(%error, "a data collector was dropped before it was closed");
            }
        }
    }
}

fn closed(why: &'static str) -> Error {
    Error::Closed { what: "the data collector".into(), why }
}
