//! The demo's market: quotes of four pairs, taken tick by tick, drawn as bars, then compacted.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use siltstone::ticks::{Bar, OhlcOptions, QueueFull, TickStore, TickStoreConfig, doctor};

use super::MAKER;
use super::random::Random;
use crate::exit::{Failure, Outcome};

/// 2024-03-04 00:00 UTC, in ns since 1970.
const DAY_NS: i64 = 1_709_510_400 * SECOND_NS;
const SECOND_NS: i64 = 1_000_000_000;
/// Where the day's file is in the folder of the ticks.
const DAY_FILE: &str = "2024/03/ticks_2024-03-04.db";
const HOURS: i64 = 8;
/// Messages of the feed; each quotes several levels of the book at one time.
const MESSAGES: usize = 50_000;
const LEVELS: usize = 4;
/// What is sampled.
pub(super) const SYMBOL: &str = "EURUSD";
/// Symbol, first price, standard deviation of a step in points of 0.00001.
const PAIRS: [(&str, f64, f64); 4] = [
    (SYMBOL, 1.0850, 1.2),
    ("GBPUSD", 1.2700, 1.6),
    ("AUDUSD", 0.6520, 1.0),
    ("EURCHF", 0.9580, 0.8),
];

/// What was recorded and how it went.
pub(super) struct Market {
    pub(super) folder: PathBuf,
    pub(super) ticks: u64,
    /// Ticks that came after one of a later time.
    pub(super) late: u64,
    /// From the first tick to all of them in the file.
    pub(super) took: Duration,
    pub(super) bytes_as_rows: u64,
    pub(super) bytes_compacted: u64,
    /// Bars of five minutes of [`SYMBOL`].
    pub(super) bars: Vec<Bar>,
    /// How long they took, of compacted ticks.
    pub(super) bars_took: Duration,
}

/// The folder of the ticks of a demo.
pub(super) fn folder_beside(demo: &Path) -> PathBuf {
    demo.with_file_name("demo-ticks")
}

/// Removes the day of an earlier demo; another program's is refused, unless the user said otherwise.
pub(super) fn clear(folder: &Path, overwrite: bool) -> Outcome<()> {
    let file = folder.join(DAY_FILE);
    if !file.exists() {
        return Ok(());
    }
    let is_ours = || -> siltstone::Result<bool> {
        let store = TickStore::open_read_only(folder)?;
        let ticks = store.get_ticks_in_range(SYMBOL, DAY_NS, DAY_NS + HOURS * 3600 * SECOND_NS)?;
        Ok(ticks.last().is_some_and(|tick| tick.broker_id == MAKER))
    };
    if !overwrite && !is_ours().unwrap_or(false) {
        return Err(Failure::said(format!(
            "{} is there and is not of an earlier demo; it was left as it is, add --overwrite to \
             replace it, or --dir for another folder",
            file.display()
        )));
    }
    super::remove_database(&file)
}

/// Records the day of a market, compacts it, and looks at it.
pub(super) fn record(folder: PathBuf, seed: u64) -> Outcome<Market> {
    let config = TickStoreConfig {
        sqlite_base_path: folder.clone(),
        // All of a day in some hundred milliseconds is faster than any feed: the demo waits.
        queue_full: QueueFull::Block,
        ..TickStoreConfig::production(MAKER)
    };
    let store = TickStore::new(config)?;
    let start = Instant::now();
    let (ticks, late) = feed(&store, seed)?;
    let written = store.flush()?.written;
    let took = start.elapsed();
    if written != ticks {
        return Err(Failure::said(format!("{written} of {ticks} ticks were written")));
    }
    let file = folder.join(DAY_FILE);
    let size = || std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    store.stop()?;
    let bytes_as_rows = size();
    let store = TickStore::new(TickStoreConfig {
        sqlite_base_path: folder.clone(),
        ..TickStoreConfig::production(MAKER)
    })?;
    store.compact_all()?;
    store.stop()?;
    let bytes_compacted = size();
    let store = TickStore::open_read_only(&folder)?;
    let start = Instant::now();
    let to_ns = DAY_NS + HOURS * 3600 * SECOND_NS;
    let options = OhlcOptions { from_ns: DAY_NS, to_ns, ..OhlcOptions::default() };
    let bars = store.ohlc(SYMBOL, 300 * SECOND_NS, options)?;
    let bars_took = start.elapsed();
    let report = doctor(&folder)?;
    if let Some(finding) = report.findings.first() {
        return Err(Failure::said(format!("{}: {}", finding.location, finding.what)));
    }
    Ok(Market { folder, ticks, late, took, bytes_as_rows, bytes_compacted, bars, bars_took })
}

/// Hands the ticks of a day to the store; how many, and how many of them late.
fn feed(store: &TickStore, seed: u64) -> Outcome<(u64, u64)> {
    let mut random = Random::new(seed ^ 0x7469_636b);
    let mut points = PAIRS.map(|(_, price, _)| price * 1e5);
    let (mut ticks, mut late) = (0, 0);
    let step_ns = HOURS * 3600 * SECOND_NS / MESSAGES as i64;
    for message in 0..MESSAGES {
        let pair = random.below(PAIRS.len());
        let (symbol, _, deviation) = PAIRS[pair];
        // Calm and storm, each for a while.
        let storm = if (message / 6000) % 3 == 1 { 2.5 } else { 1.0 };
        points[pair] += 2.0 * deviation * storm * random.bell();
        let mut time_ns = DAY_NS + message as i64 * step_ns;
        if random.below(100) == 0 && message > 100 {
            time_ns -= (1 + random.below(60) as i64) * step_ns;
            late += LEVELS as u64;
        }
        for level in 0..LEVELS {
            let half = (2.0 + storm + 2.0 * level as f64).round();
            let middle = points[pair].round();
            let (bid, ask) = ((middle - half) / 1e5, (middle + half) / 1e5);
            let outcome = store.store_tick(symbol, bid, ask, ask - bid, "DEMO", time_ns)?;
            debug_assert_eq!(outcome, siltstone::ticks::Outcome::Stored);
            ticks += 1;
        }
    }
    Ok((ticks, late))
}

impl Market {
    pub(super) fn per_tick(&self, bytes: u64) -> f64 {
        bytes as f64 / self.ticks as f64
    }

    pub(super) fn rate(&self) -> f64 {
        self.ticks as f64 / self.took.as_secs_f64()
    }

    pub(super) fn document(&self) -> Value {
        json!({
            "path": self.folder.display().to_string(),
            "ticks": self.ticks,
            "late": self.late,
            "seconds": self.took.as_secs_f64(),
            "bytes": self.bytes_as_rows,
            "bytes_compacted": self.bytes_compacted,
            "bars": self.bars.len(),
            "bars_seconds": self.bars_took.as_secs_f64(),
        })
    }
}
