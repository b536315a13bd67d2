//! The demo's market: quotes of four pairs, taken tick by tick, compacted, and drawn as bars.

use std::path::Path;
use std::time::Instant;

use siltstone::ticks::{OhlcOptions, QueueFull, TickStore, TickStoreConfig, doctor};

use super::random::Random;
use super::show::{Scene, file_size};
use crate::chart::{self, Canvas};
use crate::exit::{Failure, Outcome};
use crate::human;

/// 2024-03-04 00:00 UTC, and how long the market is open, in ns.
const OPENS: i64 = 1_709_510_400 * SECOND;
const HOURS: i64 = 8 * 3600 * SECOND;
const SECOND: i64 = 1_000_000_000;
/// Where the day's file is in the folder of the ticks.
pub(super) const DAY_FILE: &str = "2024/03/ticks_2024-03-04.db";
/// Messages of the feed; each quotes several levels of the book at one time.
const MESSAGES: usize = 50_000;
const LEVELS: usize = 4;
/// What is drawn.
pub(super) const SYMBOL: &str = "EURUSD";
/// Symbol, first price, standard deviation of a step in points of 0.00001.
const PAIRS: [(&str, f64, f64); 4] = [
    (SYMBOL, 1.0850, 1.2),
    ("GBPUSD", 1.2700, 1.6),
    ("AUDUSD", 0.6520, 1.0),
    ("EURCHF", 0.9580, 0.8),
];

/// Records the day of a market, compacts it, and looks at it.
pub(super) fn record(folder: &Path, seed: u64, canvas: Canvas) -> Outcome<Scene> {
    let config = TickStoreConfig {
        sqlite_base_path: folder.to_owned(),
        // All of a day in some hundred milliseconds is faster than any feed: the demo waits.
        queue_full: QueueFull::Block,
        ..TickStoreConfig::production("silt demo")
    };
    let store = TickStore::new(config.clone())?;
    let start = Instant::now();
    let (ticks, late) = feed(&store, seed)?;
    let written = store.flush()?.written;
    let took = start.elapsed();
    if written != ticks {
        return Err(Failure::said(format!("{written} of {ticks} ticks were written")));
    }
    store.stop()?;
    let bytes_as_rows = file_size(&folder.join(DAY_FILE));
    let store = TickStore::new(config)?;
    store.compact_all()?;
    store.stop()?;
    let bytes = file_size(&folder.join(DAY_FILE));
    let store = TickStore::open_read_only(folder)?;
    let start = Instant::now();
    let options = OhlcOptions { from_ns: OPENS, to_ns: OPENS + HOURS, ..OhlcOptions::default() };
    let bars = store.ohlc(SYMBOL, 300 * SECOND, options)?;
    let bars_took = start.elapsed();
    if let Some(finding) = doctor(folder)?.findings.first() {
        return Err(Failure::said(format!("{}: {}", finding.location, finding.what)));
    }

    let mut scene =
        Scene::new("A market: four levels of four pairs, several quotes at one time, some late");
    let rate = (ticks as f64 / took.as_secs_f64()) as u64;
    let [all, late, rate] = [ticks, late, rate].map(human::count);
    let took = human::duration(took);
    scene.fact("ticks", format!("{all} in {took}, {late} of them late: {rate}/s, none lost"));
    let [rows, blocks] = [bytes_as_rows, bytes].map(|bytes| bytes as f64 / ticks as f64);
    scene.fact("compacted", format!("{rows:.1} to {blocks:.2} bytes a tick, every bit kept"));
    let (number, took) = (bars.len(), human::duration(bars_took));
    scene.fact("bars", format!("{number} of five minutes out of the compacted ticks: {took}"));
    scene.line(format!("\n{SYMBOL}, the middle of bid and ask"));
    let series = [
        ("high", bars.iter().map(|bar| bar.high).collect::<Vec<_>>()),
        ("low", bars.iter().map(|bar| bar.low).collect()),
    ];
    // Hours and minutes.
    let label = |time_ns| human::moment_ns(time_ns).get(11..16).unwrap_or_default().to_owned();
    let labels: Vec<String> = bars.iter().map(|bar| label(bar.time_ns)).collect();
    scene.line(chart::lines(&series, &labels, &[], canvas));
    Ok(scene)
}

/// Hands the ticks of a day to the store; how many, and how many of them late.
fn feed(store: &TickStore, seed: u64) -> Outcome<(u64, u64)> {
    let mut random = Random::new(seed ^ 0x7469_636b);
    let mut points = PAIRS.map(|(_, price, _)| price * 1e5);
    let (mut ticks, mut late) = (0, 0);
    let step = HOURS / MESSAGES as i64;
    for message in 0..MESSAGES {
        let pair = random.below(PAIRS.len());
        let (symbol, _, deviation) = PAIRS[pair];
        // Calm and storm, each for a while.
        let storm = if (message / 6000) % 3 == 1 { 2.5 } else { 1.0 };
        points[pair] += 2.0 * deviation * storm * random.bell();
        let mut time_ns = OPENS + message as i64 * step;
        if random.below(100) == 0 && message > 100 {
            time_ns -= (1 + random.below(60) as i64) * step;
            late += LEVELS as u64;
        }
        for level in 0..LEVELS {
            let half = (2.0 + storm + 2.0 * level as f64).round();
            let [bid, ask] = [-half, half].map(|to_side| (points[pair].round() + to_side) / 1e5);
            let outcome = store.store_tick(symbol, bid, ask, ask - bid, "DEMO", time_ns)?;
            ticks += u64::from(outcome == siltstone::ticks::Outcome::Stored);
        }
    }
    Ok((ticks, late))
}
