//! The thread that writes what waits in the queue.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::calendar::Day;
use super::config::TickStoreConfig;
use super::day::Days;
use super::json_days::JsonDays;
use super::merge::{Added, Rule};
use super::pause::Pause;
use super::queue::{Batch, Queue, Work};
use super::spill;
use super::symbols::Symbols;
use super::tick::Origins;
use super::write::{self, Arrived, DayBatch, Form};
use crate::error::{Error, Result};
use crate::kernel::now_ns;

/// Waits before the second and the third attempt.
const BACK_OFF_MS: [u64; 2] = [100, 200];
/// How long a batch that can neither be written nor spilled waits for the next try, unless somebody asks for it.
const PARKED: Duration = Duration::from_millis(500);
/// How often spill files are tried again while nothing comes.
const RECOVERY: Duration = Duration::from_secs(5);
/// How often JSON files are written, unless somebody asks.
const JSON_INTERVAL: Duration = Duration::from_secs(30);
/// After a stop, so often is a batch tried again before it is dropped.
const LAST_TRIES: u32 = 3;

/// What the store and its writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: TickStoreConfig,
    pub(super) symbols: Symbols,
    pub(super) origins: Arc<Origins>,
    pub(super) queue: Queue,
    pub(super) days: Option<Days>,
    pub(super) json: Option<JsonDays>,
    /// Names this store's ticks in the watermarks of day files.
    pub(super) writer: i64,
    /// No file held a tick from here on when the store was opened.
    pub(super) horizon_ns: i64,
    pub(super) counters: Counters,
    /// The first thing that went wrong since somebody was told.
    pub(super) trouble: Mutex<Option<Error>>,
    pub(super) spilled: AtomicBool,
    /// Some ticks are in rings, and will not be written.
    pub(super) dropped: AtomicBool,
    /// Whether it was said that times do not seem to be ns.
    pub(super) suspected: AtomicBool,
    pub(super) json_urgent: AtomicBool,
    pub(super) stopping: AtomicBool,
    /// Where the thread that compacts days waits.
    pub(super) pause: Pause,
    /// The last batch that could not be written: why, and when, in ms since 1970-01-01 UTC.
    pub(super) last_failure: Mutex<Option<(String, i64)>>,
}

/// What the writer did.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) written: AtomicU64,
    pub(super) json_written: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) replaced: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) spilled: AtomicU64,
    pub(super) recovered: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) batch_failures: AtomicU64,
    pub(super) write_errors: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) rotations: AtomicU64,
    pub(super) current_day: AtomicU64,
    pub(super) days_compacted: AtomicU64,
    pub(super) compact_errors: AtomicU64,
}

pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

pub(super) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Shared {
    pub(super) fn rule(&self, strict: bool) -> Rule {
        let (duplicates, key_ns) = (self.config.duplicates, self.config.duplicate_key_ns);
        Rule::Policy { duplicates, key_ns, strict }
    }

    /// Keeps the first error until somebody is reported.
    pub(super) fn defer(&self, error: Error) {
        tracing::error!(%error, "the tick store's writer");
        add(&self.counters.write_errors, 1);
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(super) fn take_trouble(&self) -> Result<()> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    pub(super) fn count(&self, added: Added) {
        add(&self.counters.written, added.stored);
        add(&self.counters.duplicates, added.dropped);
        add(&self.counters.replaced, added.replaced);
        add(&self.counters.refused, added.refused);
    }

    /// Writes one day's ticks in one transaction, at the store's durability.
    pub(super) fn write_day(&self, day: Day, batch: Arc<DayBatch>) -> Result<Added> {
        let days = self.days.as_ref().expect("only a store with day files writes them");
        let added = loop {
            let db = days.writer(day)?;
            let (origins, batch) = (self.origins.clone(), batch.clone());
            match db.write(move |tx| write::write(tx, &batch, &origins)) {
                // Somebody removed the day: it begins anew, with these.
                Err(Error::Closed { .. }) if !db.is_at_its_path() => continue,
                written => break written?,
            }
        };
        let before = self.counters.current_day.swap(day.0 as u64, Ordering::Relaxed);
        add(&self.counters.rotations, u64::from(before != day.0 as u64));
        Ok(added)
    }
}

/// The writer's thread: until the queue is closed and empty.
pub(super) fn run(shared: &Shared) {
    let mut json_written = Instant::now();
    let max_wait = shared.config.flush_interval;
    // What an earlier run left.
    shared.spilled.store(true, Ordering::Relaxed);
    let mut failures = 0;
    recover(shared, &mut failures);
    loop {
        let json_waits = shared.json.as_ref().is_some_and(|json| !json.is_empty());
        let idle = match shared.spilled.load(Ordering::Relaxed) {
            true => Some(max_wait.min(RECOVERY)),
            false => json_waits.then(|| JSON_INTERVAL.saturating_sub(json_written.elapsed())),
        };
        let is_batch = match shared.queue.take(max_wait, idle) {
            Work::Write(batch) => {
                write_batch(shared, &batch);
                true
            }
            Work::Idle => false,
            Work::End => break,
        };
        if let Some(json) = &shared.json {
            let urgent = shared.json_urgent.load(Ordering::Relaxed);
            if urgent || json_written.elapsed() >= JSON_INTERVAL {
                flush_json(shared, json);
                json_written = Instant::now();
            }
        }
        // Before the batch counts as done: so a flush brings back what was spilled before it.
        recover(shared, &mut failures);
        if is_batch {
            shared.queue.finish();
        }
    }
    if let Some(json) = &shared.json {
        flush_json(shared, json);
        spill_json(shared, json);
    }
    shared.queue.end();
}

/// What JSON files did not take until the end: into spill files of its own.
fn spill_json(shared: &Shared, json: &JsonDays) {
    let folder = shared.config.json_spill_folder();
    for (symbol, day, rows) in json.take_waiting() {
        let n = rows.len() as u64;
        let part = [Arrived { symbol, rows, packed: None }];
        let mut tries = last_tries(shared);
        loop {
            let all = shared.origins.all();
            match spill::save(&folder, shared.writer, day, &part, &all) {
                Ok(path) => {
                    tracing::warn!(path = %path.display(), ticks = n, "ticks were spilled");
                    add(&shared.counters.spilled, n);
                    break;
                }
                Err(error) => shared.defer(error),
            }
            if tries.next().is_none() {
                add(&shared.counters.lost, n);
                break;
            }
            std::thread::sleep(PARKED);
        }
    }
}

/// Brings back what an earlier store could not write into JSON files. What cannot be written now
/// stays where it is.
pub(super) fn recover_json(shared: &Shared) {
    let Some(json) = &shared.json else { return };
    let files = spill::list(&shared.config.json_spill_folder()).unwrap_or_default();
    for file in files {
        if let Err(error) = recover_json_file(shared, json, &file) {
            tracing::warn!(%error, file = %file.display(), "a spill file stays");
        }
    }
}

fn recover_json_file(shared: &Shared, json: &JsonDays, file: &Path) -> Result<()> {
    let origins = &shared.origins;
    let (_, mut days) = spill::load(file, origins)?;
    let one = days.pop().filter(|(_, parts)| days.is_empty() && parts.len() == 1);
    let Some((day, Arrived { symbol, rows, .. })) =
        one.and_then(|(d, p)| Some((d, p.into_iter().next()?)))
    else {
        return Err(Error::Corrupt {
            location: file.display().to_string(),
            what: "the spill file".into(),
            why: "its ticks are not of one symbol and day".into(),
        });
    };
    let (length, is_there) = json.has_at(&symbol, day, spill::position(file), &rows, origins)?;
    let mut file = file.to_owned();
    // Else a crash, or an error, came between the writing and the removal of the file.
    if !is_there {
        file = spill::set_position(&file, Some(length))?;
        let appended = json.append_now(&symbol, day, &rows, origins);
        if matches!(appended, Ok(()) | Err(Error::DurabilityUnknown { .. })) {
            add(&shared.counters.json_written, rows.len() as u64);
            add(&shared.counters.recovered, rows.len() as u64);
        } else {
            spill::set_position(&file, None)?; // other ticks may come to that position now
        }
        appended?;
    }
    std::fs::remove_file(&file).map_err(|e| Error::io(&file, "removing it", &e))
}

pub(super) fn flush_json(shared: &Shared, json: &JsonDays) {
    let (written, outcome) = json.flush(&shared.origins);
    add(&shared.counters.json_written, written);
    if let Err(error) = outcome {
        shared.defer(error);
    }
}

/// How often something is tried again after a stop: what comes after a loss is not waited for.
fn last_tries(shared: &Shared) -> std::ops::Range<u32> {
    0..if get(&shared.counters.lost) == 0 { LAST_TRIES } else { 0 }
}

fn write_batch(shared: &Shared, batch: &Batch) {
    let symbols = shared.symbols.all();
    let name = |number: u32| &symbols[number as usize].name;
    let last = batch.first + batch.rows.len() as u64 - 1;
    if shared.days.is_some() {
        let ticks = batch.rows.iter().map(|queued| (name(queued.symbol), queued.row));
        for (day, mut parts) in spill::by_day(ticks) {
            // In the order of the table: neighbours in it are written one after another.
            if shared.config.duplicate_key_ns == 1 {
                // Else the order of arrival decides between ticks of different times.
                parts.iter_mut().for_each(|part| part.rows.sort_by_key(|row| row.time_ns));
            }
            parts.sort_by(|a, b| a.symbol.cmp(&b.symbol));
            write_or_spill(shared, day, parts, last);
        }
    }
    if let Some(json) = &shared.json {
        let rows = batch.rows.iter().map(|queued| (name(queued.symbol).clone(), queued.row));
        json.add(rows.collect(), last);
    }
}

/// Whether another try may go better.
fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Busy { .. } | Error::Io { .. } | Error::Interrupted { .. })
}

fn write_or_spill(shared: &Shared, day: Day, parts: Vec<Arrived>, last: u64) {
    let n: u64 = parts.iter().map(|part| part.rows.len() as u64).sum();
    let batch = Arc::new(DayBatch {
        parts,
        rule: shared.rule(false),
        watermark: Some((shared.writer, last)),
        form: Form::BySize,
        source: None,
    });
    let mut tries = last_tries(shared);
    loop {
        let error = match try_write(shared, day, &batch) {
            Ok(added) => {
                add(&shared.counters.batches, 1);
                shared.count(added);
                if added.refused > 0 {
                    shared.defer(refused(day, added.refused));
                }
                return;
            }
            Err(error) => error,
        };
        add(&shared.counters.batch_failures, 1);
        let failure = (error.to_string(), now_ns().div_euclid(1_000_000));
        *shared.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        let folder = shared.config.spill_folder();
        let all = shared.origins.all();
        match spill::save(&folder, shared.writer, day, &batch.parts, &all) {
            Ok(path) => {
                tracing::warn!(path = %path.display(), ticks = n, "ticks were spilled");
                add(&shared.counters.spilled, n);
                shared.spilled.store(true, Ordering::Relaxed);
                shared.defer(error);
                return;
            }
            Err(spill_error) => {
                tracing::error!(%error, %spill_error, "ticks can neither be written nor spilled");
                add(&shared.counters.write_errors, 1);
            }
        }
        // Nowhere to put it: it stays here, and the queue fills behind it.
        if shared.stopping.load(Ordering::Relaxed) && tries.next().is_none() {
            add(&shared.counters.lost, n);
            shared.defer(error);
            return;
        }
        shared.queue.park(error, PARKED);
    }
}

fn try_write(shared: &Shared, day: Day, batch: &Arc<DayBatch>) -> Result<Added> {
    let mut tries = BACK_OFF_MS.iter();
    loop {
        match shared.write_day(day, batch.clone()) {
            Err(error) if may_pass(&error) => {
                let Some(wait) = tries.next() else { return Err(error) };
                tracing::warn!(%error, "a batch of ticks is tried again");
                add(&shared.counters.retries, 1);
                std::thread::sleep(Duration::from_millis(*wait));
            }
            done => return done,
        }
    }
}

fn refused(day: Day, n: u64) -> Error {
    Error::Exists {
        what: format!("{n} ticks at a symbol and time that were stored before"),
        location: format!("the day {day}"),
        hint: "they were refused, as configured",
    }
}

/// Writes the ticks of spill files where they belong, and removes the files. What fails is tried again, and reported if
/// it fails then too: `failures` counts them.
fn recover(shared: &Shared, failures: &mut u32) {
    if shared.days.is_none() || !shared.spilled.swap(false, Ordering::Relaxed) {
        return;
    }
    let folder = shared.config.spill_folder();
    let recovered = spill::list(&folder)
        .and_then(|files| files.iter().try_for_each(|file| recover_file(shared, file)));
    match recovered {
        Ok(()) => *failures = 0,
        Err(error) => {
            tracing::warn!(%error, folder = %folder.display(), "spill files stay");
            shared.spilled.store(true, Ordering::Relaxed);
            *failures += 1;
            if *failures == 2 {
                shared.defer(error);
            }
        }
    }
}

fn recover_file(shared: &Shared, file: &PathBuf) -> Result<()> {
    let (watermark, days) = spill::load(file, &shared.origins)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let own = name.contains(&format!("-{:016x}-", shared.writer as u64));
    for (day, parts) in days {
        let n: u64 = parts.iter().map(|part| part.rows.len() as u64).sum();
        let batch = DayBatch {
            parts,
            rule: shared.rule(false),
            watermark: Some((watermark, 1)),
            form: Form::BySize,
            source: None,
        };
        let batch = Arc::new(batch);
        let added = shared.write_day(day, batch.clone())?;
        shared.count(added);
        add(&shared.counters.recovered, n);
        // What this store took is in its rings; what was there before was read from the disk.
        if !own && added.stored > 0 {
            batch.parts.iter().try_for_each(|part| shared.remember(part))?;
        }
    }
    std::fs::remove_file(file).map_err(|e| Error::io(file, "removing it", &e))
}
