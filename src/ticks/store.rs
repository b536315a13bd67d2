//! The store's handle.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use xxhash_rust::xxh3::xxh3_64;

use super::batch::{TickBatch, pack_bulk};
use super::calendar::{Day, suspect_unit};
// The thread is started and stopped here; in `compact` is what a store does in it, also when it is asked.
use super::compact;
use super::config::TickStoreConfig;
use super::day::{Days, no_folder};
use super::json_days::JsonDays;
use super::pause::Pause;
use super::queue::{Pushed, Queue, Queued, forked};
use super::symbols::{State, Symbol, Symbols};
use super::throttle::Throttle;
use super::tick::{Origins, Row, check_prices, quality};
use super::write::{Arrived, DayBatch, Form};
use super::writer::{self, Counters, Shared, add, get};
use crate::error::{Error, Result};
use crate::kernel::{Durability, check_writable, join, lock, now_ns, uninterrupted};

/// What became of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a tick may have been left out"]
#[non_exhaustive]
pub enum Outcome {
    /// It is in the ring and waits to be written.
    Stored,
    /// It was left out by the throttle and is nowhere.
    Throttled,
    /// The queue was full and it will not be written. Reads see it as long as it is in the ring.
    Dropped,
}

/// What has been written since the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct FlushReport {
    /// Ticks in day files.
    pub written: u64,
    /// Ticks in JSON files.
    pub json_written: u64,
    /// Left out by the rule for duplicates.
    pub duplicates: u64,
    /// Stored ones that a later one replaced.
    pub replaced: u64,
    /// Refused by the rule for duplicates.
    pub refused: u64,
    /// Not written since the queue was full.
    pub dropped: u64,
    /// In spill files, to be written later.
    pub spilled: u64,
    /// Of these, written since.
    pub recovered: u64,
    /// Neither written nor spilled when the store was stopped.
    pub lost: u64,
}

/// A store of ticks: a hot path that does not wait for the disk, and a history in day files.
///
/// Clones share everything, and any number of threads may use them. When the last one is dropped
/// the queue runs dry first; [`stop`](Self::stop) does the same and reports errors.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use siltstone::ticks::{Outcome, TickStore, TickStoreConfig, now_ns};
///
/// let store = TickStore::new(TickStoreConfig {
///     sqlite_base_path: folder.path().join("db"),
///     ..TickStoreConfig::production("BROKER-001")
/// })?;
/// let outcome = store.store_tick("EURUSD", 1.0850, 1.0852, 0.0002, "YOFX", now_ns())?;
/// assert_eq!(outcome, Outcome::Stored);
/// assert_eq!(store.flush()?.written, 1);
/// assert_eq!(store.get_recent_ticks("EURUSD", 100)?.last().unwrap().bid, 1.0850);
/// store.stop()?;
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TickStore {
    pub(super) shared: Arc<Shared>,
    guard: Arc<Guard>,
}

/// Ends the writer when the last handle goes.
#[derive(Debug)]
struct Guard {
    shared: Arc<Shared>,
    /// The process that the writer runs in: in a fork of it there is none.
    pid: u32,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Compacts days that are over.
    compactor: Mutex<Option<JoinHandle<()>>>,
}

impl Guard {
    fn new(shared: Arc<Shared>, thread: Option<JoinHandle<()>>) -> Arc<Self> {
        let (thread, compactor) = (Mutex::new(thread), Mutex::default());
        Arc::new(Guard { shared, pid: std::process::id(), thread, compactor })
    }

    /// After a cancelled wait, the next call waits on.
    fn stop(&self) -> Result<()> {
        if self.pid != std::process::id() {
            return Err(forked());
        }
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.pause.end();
        self.shared.queue.close();
        let action = "waiting for a day to be compacted; the store is stopped, and stops further";
        let mut compactor = lock(&self.compactor, action)?;
        if let Some(Err(_)) = join(&mut compactor, action)? {
            tracing::error!("the thread that compacts days panicked");
        }
        let action = "waiting for ticks to be written, which goes on; the store is stopped";
        let mut thread = lock(&self.thread, action)?;
        if let Some(Err(_)) = join(&mut thread, action)? {
            self.shared.queue.end();
            self.shared.defer(Error::Panicked {
                what: "the tick store's writer".into(),
                why: "panicked; what waited in the queue is not written",
            });
        }
        if let Some(days) = &self.shared.days {
            days.close_all();
        }
        if let Some(json) = &self.shared.json {
            json.release();
        }
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            return;
        }
        if let Err(error) = uninterrupted(|| self.stop()).and_then(|()| self.shared.take_trouble())
        {
            tracing::error!(%error, "the tick store was dropped with an error that nobody asked for");
        }
    }
}

/// Starts one of the store's threads.
fn start(
    shared: &Arc<Shared>,
    name: &str,
    work: impl FnOnce(&Shared) + Send + 'static,
) -> Result<JoinHandle<()>> {
    let own = shared.clone();
    let started = std::thread::Builder::new().name(name.into()).spawn(move || work(&own));
    started.map_err(|e| Error::io(&shared.config.sqlite_base_path, "starting a thread", &e))
}

impl TickStore {
    /// Opens a store. Its folder is made, and tried with a file that is removed again; day files are made when something is
    /// written.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a configuration that contradicts itself, [`Error::Busy`] if another
    /// store writes the JSON files of that folder, and [`Error::Io`] for a folder that cannot be written.
    pub fn new(config: TickStoreConfig) -> Result<Self> {
        config.check()?;
        if config.writes_sqlite() {
            check_writable(&config.sqlite_base_path)?;
        }
        let days =
            config.writes_sqlite().then(|| Days::new(&config.sqlite_base_path, config.durability));
        let durable = config.durability == Durability::Disk;
        let json = config
            .writes_json()
            .then(|| JsonDays::open(&config.json_base_path, durable))
            .transpose()?;
        let shared = Arc::new(Shared::new(config, days, json)?);
        writer::recover_json(&shared);
        // Ends the first thread if the second does not start.
        let guard =
            Guard::new(shared.clone(), Some(start(&shared, "siltstone-ticks", writer::run)?));
        if shared.days.is_some() && shared.config.compact_every.is_some() {
            let compactor = start(&shared, "siltstone-compact", compact::run)?;
            *guard.compactor.lock().unwrap_or_else(PoisonError::into_inner) = Some(compactor);
        }
        Ok(TickStore { shared, guard })
    }

    /// Opens a folder of day files for reading. Nothing is made or changed, and a tick is refused.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such folder; what the disk says.
    pub fn open_read_only(base: impl AsRef<Path>) -> Result<Self> {
        let base = base.as_ref();
        if !base.is_dir() {
            return Err(no_folder(base));
        }
        let config = TickStoreConfig {
            sqlite_base_path: base.to_owned(),
            ..TickStoreConfig::production("read-only")
        };
        let shared = Arc::new(Shared::new(config, Some(Days::read_only(base)), None)?);
        shared.queue.be_read_only();
        shared.stopping.store(true, Ordering::Relaxed);
        Ok(TickStore { guard: Guard::new(shared.clone(), None), shared })
    }

    /// How the store was set up.
    pub fn config(&self) -> &TickStoreConfig {
        &self.shared.config
    }

    /// Takes one tick: into the ring of its symbol, and into the queue. Never waits for the disk,
    /// unless the store was told to ([`QueueFull::Block`](super::QueueFull::Block)).
    ///
    /// - `time_ns`: ns since 1970-01-01 UTC, any order; of one that seems to be in another unit
    ///   ([`suspect_unit`](super::suspect_unit)) the log warns, once a store.
    /// - `bid`, `ask`, `spread`: finite; zeros and crossed prices are quotes, and counted as odd.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a symbol that is none and for NaN or infinity; [`Error::QueueFull`]
    /// with [`QueueFull::Error`](super::QueueFull::Error); [`Error::Closed`] after a stop. The tick is nowhere then.
    pub fn store_tick(
        &self,
        symbol: &str,
        bid: f64,
        ask: f64,
        spread: f64,
        lp: &str,
        time_ns: i64,
    ) -> Result<Outcome> {
        check_prices(bid, ask, spread)?;
        let shared = &*self.shared;
        shared.suspect(time_ns);
        shared.symbols.with(symbol, &shared.config, shared.bars_from_ns(), |symbol| {
            let row = Row { time_ns, bid, ask, spread, origin: 0 };
            shared.take(symbol, row, lp)
        })
    }

    /// Takes many ticks and returns when they are written, at the durability of the store: all of a
    /// day in one transaction, after what was queued before. A part of 2,048 ticks or more of one symbol and
    /// day goes into blocks at once. The throttle is not asked.
    ///
    /// # Errors
    /// [`Error::Invalid`] before anything is written; [`Error::Exists`] with
    /// [`Duplicates::Error`](super::Duplicates::Error); what the disk says. Days that were written
    /// before the error stay; the rest is not in the store. What a JSON file did not take waits in
    /// memory and is tried again.
    pub fn store_ticks(&self, batch: &TickBatch<'_>) -> Result<FlushReport> {
        batch.check()?;
        let shared = &*self.shared;
        batch.time_ns.first().into_iter().for_each(|time| shared.suspect(*time));
        shared.queue.check_open()?;
        if shared.queue.depth() > 0 || shared.queue.oldest_waits().is_some() {
            shared.queue.drain()?;
        }
        let mut day_parts = batch.parts(shared)?;
        let days = day_parts.iter_mut();
        let mut outcome = { days }.try_for_each(|(day, parts)| shared.store_day(*day, parts));
        if let Some(json) = &shared.json {
            let (written, flushed) = json.flush(&shared.origins);
            add(&shared.counters.json_written, written);
            outcome = outcome.and(flushed);
        }
        outcome?;
        Ok(shared.report())
    }

    /// Waits until everything that was accepted before is written, at the durability of the store.
    ///
    /// # Errors
    /// The first thing that went wrong since the last call, told once: ticks that were spilled,
    /// refused or lost are counted in [`report`](Self::report). Ticks that can be put nowhere just now (a full disk): they
    /// wait in memory, and the next call tries again. [`Error::Interrupted`]: the writing goes on.
    pub fn flush(&self) -> Result<FlushReport> {
        let shared = &*self.shared;
        shared.json_urgent.store(true, Ordering::Relaxed);
        let drained = shared.queue.drain();
        shared.json_urgent.store(false, Ordering::Relaxed);
        if let Some(json) = shared.json.as_ref().filter(|json| !json.is_empty()) {
            writer::flush_json(shared, json);
        }
        drained?;
        shared.take_trouble()?;
        Ok(shared.report())
    }

    /// What has been written since the store was opened.
    pub fn report(&self) -> FlushReport {
        self.shared.report()
    }

    /// Writes everything that was accepted and ends the writer. Reads go on; ticks are refused from
    /// now on, and another store may write the JSON files. A second call does nothing.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); what can be put nowhere is lost, and counted. After [`Error::Interrupted`] the next call
    /// waits for the end.
    pub fn stop(&self) -> Result<FlushReport> {
        self.guard.stop()?;
        self.shared.take_trouble()?;
        Ok(self.shared.report())
    }
}

impl Shared {
    /// What a store has in memory, with what the newest file holds.
    fn new(config: TickStoreConfig, days: Option<Days>, json: Option<JsonDays>) -> Result<Self> {
        let last_day = match &days {
            Some(days) => days.list()?.last().copied(),
            None => None,
        };
        let horizon_ns = match (&days, last_day) {
            (Some(_), None) => i64::MIN,
            (Some(_), Some(day)) => day.last_ns().saturating_add(1),
            // Which JSON files there are is not asked.
            (None, _) => i64::MAX,
        };
        let seed = [now_ns(), i64::from(std::process::id()), &raw const config as i64];
        let seed: Vec<u8> = seed.iter().flat_map(|n| n.to_le_bytes()).collect();
        let shared = Shared {
            queue: Queue::new(config.queue_size, config.batch_size.min(config.queue_size)),
            symbols: Symbols::default(),
            origins: Arc::new(Origins::default()),
            days,
            json,
            writer: (xxh3_64(&seed) >> 1) as i64,
            horizon_ns,
            counters: Counters::default(),
            trouble: Mutex::default(),
            spilled: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            suspected: AtomicBool::new(false),
            json_urgent: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            pause: Pause::default(),
            last_failure: Mutex::default(),
            config,
        };
        if let Some(day) = last_day {
            shared.fill_rings(day)?;
        }
        Ok(shared)
    }

    /// Warns once of times that do not seem to be ns. They are kept as they are.
    fn suspect(&self, time_ns: i64) {
        if let Some(unit) = suspect_unit(time_ns)
            && !self.suspected.swap(true, Ordering::Relaxed)
        {
            let (day, path) = (Day::of(time_ns), self.config.sqlite_base_path.display());
            tracing::warn!(time_ns, %day, %path, "a time that seems to be in {unit}, not in ns");
        }
    }

    /// One day's part of a batch: written, and then in memory too, whatever becomes of other days.
    fn store_day(&self, day: Day, parts: &mut [Arrived]) -> Result<()> {
        if self.days.is_some() {
            pack_bulk(parts, self)?;
            let mut parts = parts.to_vec();
            parts.sort_by(|a, b| a.symbol.cmp(&b.symbol));
            let rule = self.rule(true);
            let batch = DayBatch { parts, rule, watermark: None, form: Form::BySize, source: None };
            self.count(self.write_day(day, Arc::new(batch))?);
            add(&self.counters.batches, 1);
        }
        if let Some(json) = &self.json {
            let rows = parts.iter().flat_map(|p| p.rows.iter().map(|row| (p.symbol.clone(), *row)));
            json.add(rows.collect(), 0);
        }
        parts.iter().try_for_each(|part| self.remember(part))
    }

    /// The hot path, behind the lookup of the symbol.
    fn take(&self, symbol: &Symbol, row: Row, lp: &str) -> Result<Outcome> {
        let mut is_new = true;
        loop {
            if let Some(outcome) = self.try_take(symbol, row, lp, is_new)? {
                return Ok(outcome);
            }
            // The symbol is not locked: readers and the writer get at it.
            self.queue.wait_for_room()?;
            is_new = false;
        }
    }

    /// `None` if there is no room in the queue, and the caller is to wait for it.
    fn try_take(
        &self,
        symbol: &Symbol,
        mut row: Row,
        lp: &str,
        is_new: bool,
    ) -> Result<Option<Outcome>> {
        let config = &self.config;
        let mut state = symbol.lock();
        state.counts.received += u64::from(is_new);
        if config.throttle != Throttle::Off
            && state.last.leaves_out(config.throttle, row.bid, row.ask)
        {
            state.counts.throttled += 1;
            return Ok(Some(Outcome::Throttled));
        }
        row.origin = match state.source(lp) {
            Some(number) => number,
            None => {
                let number = self.origins.number(lp, &config.broker_id, config.utc_offset_s)?;
                state.remember_source(lp, number);
                number
            }
        };
        let pushed = self.queue.push(Queued { symbol: symbol.number, row }, config.queue_full)?;
        if pushed == Pushed::Full {
            return Ok(None);
        }
        state.counts.stored += 1;
        self.keep(&mut state, &row);
        if pushed != Pushed::Queued {
            state.counts.dropped += 1;
            self.dropped.store(true, Ordering::Relaxed);
        }
        let newest = pushed == Pushed::DroppedNewest;
        Ok(Some(if newest { Outcome::Dropped } else { Outcome::Stored }))
    }

    /// Puts ticks that are written into memory.
    pub(super) fn remember(&self, part: &Arrived) -> Result<()> {
        let config = &self.config;
        self.symbols.with(&part.symbol, config, self.bars_from_ns(), |symbol| {
            let mut state = symbol.lock();
            state.counts.received += part.rows.len() as u64;
            state.counts.stored += part.rows.len() as u64;
            for row in &part.rows {
                self.keep(&mut state, row);
            }
            Ok(())
        })
    }

    /// From where on the bars in memory are complete: nowhere if a rule may take ticks away again.
    pub(super) fn bars_from_ns(&self) -> i64 {
        if self.rule(false).keeps_all() { self.horizon_ns } else { i64::MAX }
    }

    /// A tick into what memory holds of its symbol.
    fn keep(&self, state: &mut State, row: &Row) {
        state.last.store(row.bid, row.ask);
        let odd = quality(row.bid, row.ask, row.spread);
        if odd != 0 {
            for (bit, count) in state.counts.odd.iter_mut().enumerate() {
                *count += u64::from(odd >> bit & 1);
            }
        }
        state.ring.push(*row, self.config.duplicates, self.config.duplicate_key_ns);
        state.minutes.add(row.time_ns, (row.bid + row.ask) / 2.0);
    }

    pub(super) fn report(&self) -> FlushReport {
        let counters = &self.counters;
        let dropped: u64 = self.symbols.all().iter().map(|s| s.lock().counts.dropped).sum();
        FlushReport {
            written: get(&counters.written),
            json_written: get(&counters.json_written),
            duplicates: get(&counters.duplicates),
            replaced: get(&counters.replaced),
            refused: get(&counters.refused),
            dropped,
            spilled: get(&counters.spilled),
            recovered: get(&counters.recovered),
            lost: get(&counters.lost),
        }
    }
}
