//! 5,000,000 ticks of 20 symbols over 5 days, the same in every run, for Rust and Python baselines alike.
//!
//! A block bootstrap of the real feed (the rows of `lp` YOFX in the shared files): blocks of 20 to 200
//! neighbouring ticks are drawn at random places, and their increments of the bid, their spreads and their
//! gaps are put one after another. Gaps are stretched by one factor a symbol, so that its 50,000 ticks fill 22
//! hours. Ticks that the feed gave one stamp are 1 ms apart: a unique key (symbol, ms) costs no baseline a row.
//! Prices are whole points divided by 1e5, or 1e3 for JPY. Without the shared files a made-up feed of
//! like shape takes their place; its figures are not comparable, and the bench says so.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::real::shared;

pub(crate) const DAYS: usize = 5;
pub(crate) const PER_DAY: usize = 50_000;
pub(crate) const DAY_NS: i64 = 86_400_000_000_000;
/// 2026-01-19, a Monday.
pub(crate) const FIRST_NS: i64 = 1_768_780_800_000_000_000;
pub(crate) const LP: &str = "YOFX";

/// Names, and their first prices in points.
const SYMBOLS: [(&str, i64); 20] = [
    ("EURUSD", 116_400),
    ("GBPUSD", 134_200),
    ("AUDUSD", 67_100),
    ("NZDUSD", 57_900),
    ("USDCAD", 138_700),
    ("USDCHF", 79_700),
    ("USDJPY", 158_100),
    ("EURGBP", 86_700),
    ("EURJPY", 183_900),
    ("EURCHF", 92_800),
    ("EURAUD", 173_400),
    ("EURCAD", 161_400),
    ("GBPJPY", 212_100),
    ("GBPCHF", 107_000),
    ("AUDJPY", 106_000),
    ("AUDCAD", 93_000),
    ("CADCHF", 57_400),
    ("CHFJPY", 198_300),
    ("NZDJPY", 91_500),
    ("AUDNZD", 115_900),
];

pub(crate) fn names() -> Vec<&'static str> {
    SYMBOLS.iter().map(|symbol| symbol.0).collect()
}

/// Ticks of all symbols, rising in time within a day, the days one after another.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) names: Vec<&'static str>,
    pub(crate) symbol: Vec<u32>,
    pub(crate) time_ns: Vec<i64>,
    pub(crate) bid: Vec<f64>,
    pub(crate) ask: Vec<f64>,
    /// Where it comes from, for the report.
    pub(crate) source: &'static str,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.time_ns.len()
    }

    /// The rows of one of the days.
    pub(crate) fn day(&self, day: usize) -> std::ops::Range<usize> {
        let n = self.names.len() * PER_DAY;
        day * n..(day + 1) * n
    }
}

/// One tick of the feed against the one before.
#[derive(Clone, Copy)]
struct Step {
    gap_ms: i64,
    bid: i64,
    spread: i64,
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// The rows, and what they were made from.
pub(crate) fn rows() -> Rows {
    let mut feed = real_feed();
    let source = if feed.is_empty() { "made up" } else { "real feed, bootstrapped" };
    if feed.is_empty() {
        feed = vec![("JPY".into(), made_up()), ("".into(), made_up())];
    }
    let mut all: Vec<(i64, u32, i64, i64)> = Vec::with_capacity(DAYS * SYMBOLS.len() * PER_DAY);
    for (s, (name, first)) in SYMBOLS.iter().enumerate() {
        let jpy = name.ends_with("JPY");
        let like: Vec<_> = feed.iter().filter(|(from, _)| from.ends_with("JPY") == jpy).collect();
        // The symbol's own feed if there is one.
        let own = like.iter().position(|(from, _)| from == name);
        let steps = &like[own.unwrap_or(s % like.len())].1;
        walk(s as u32, *first, steps, &mut all);
    }
    all.sort_unstable_by_key(|(ms, symbol, ..)| (*ms, *symbol));
    let mut rows = Rows { names: names(), source, ..Rows::default() };
    for (ms, symbol, bid, ask) in all {
        let points = if SYMBOLS[symbol as usize].0.ends_with("JPY") { 1e3 } else { 1e5 };
        rows.symbol.push(symbol);
        rows.time_ns.push(ms * 1_000_000);
        rows.bid.push(bid as f64 / points);
        rows.ask.push(ask as f64 / points);
    }
    rows
}

/// The ticks of one symbol: ms, symbol, bid and ask in points.
fn walk(symbol: u32, first: i64, steps: &[Step], out: &mut Vec<(i64, u32, i64, i64)>) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (u64::from(symbol) + 1) << 32);
    let mean = steps.iter().map(|s| s.gap_ms as f64).sum::<f64>() / steps.len() as f64;
    let stretch = 22.0 * 3_600e3 / (mean * PER_DAY as f64);
    let mut bid = first;
    for day in 0..DAYS as i64 {
        let mut ms = (FIRST_NS + day * DAY_NS) / 1_000_000 + 1_000 + random.below(60_000) as i64;
        let end = (FIRST_NS + (day + 1) * DAY_NS) / 1_000_000 - 1;
        let mut left = PER_DAY;
        while left > 0 {
            let n = (20 + random.below(181) as usize).min(left).min(steps.len());
            let at = random.below((steps.len() - n + 1) as u64) as usize;
            // Turned round where the walk has gone 3 % from its begin: it stays a price.
            let sign = if (bid - first).abs() * 33 > first { (first - bid).signum() } else { 1 };
            let moved: i64 = steps[at..at + n].iter().map(|s| s.bid).sum();
            let sign = if sign != 1 && moved.signum() == sign { 1 } else { sign };
            for step in &steps[at..at + n] {
                left -= 1;
                let gap = (step.gap_ms as f64 * stretch).round() as i64;
                // The last ticks of a day that would run over are crowded at its end.
                ms = (ms + gap.max(1)).min(end - left as i64);
                bid += sign * step.bid;
                out.push((ms, symbol, bid, bid + step.spread));
            }
        }
    }
}

/// The steps of each symbol of the shared files; one-sided quotes are left out.
fn real_feed() -> Vec<(String, Vec<Step>)> {
    let mut found = Vec::new();
    let Ok(folders) = fs::read_dir(shared().join("data/ticks")) else { return found };
    for folder in folders.flatten().filter(|f| f.path().is_dir()) {
        let name = folder.file_name().to_string_lossy().into_owned();
        let points = if name.ends_with("JPY") { 1e3 } else { 1e5 };
        let mut steps = Vec::new();
        let mut before: Option<(i64, i64)> = None;
        for file in fs::read_dir(folder.path()).expect("a folder lists").flatten() {
            let text = fs::read(file.path()).expect("a shared file reads");
            let rows: Vec<Value> = serde_json::from_slice(&text).expect("a shared file parses");
            for row in rows.iter().filter(|row| row["lp"] == LP) {
                let price = |key: &str| row[key].as_f64().expect("a price");
                let (bid, ask) = (price("bid"), price("ask"));
                if bid <= 0.0 || ask <= 0.0 {
                    continue;
                }
                let time = day_ms(row["timestamp"].as_str().expect("a time"));
                let (bid, ask) = ((bid * points).round() as i64, (ask * points).round() as i64);
                if let Some((last_ms, last_bid)) = before
                    && (0..60_000).contains(&(time - last_ms))
                {
                    let gap_ms = time - last_ms;
                    steps.push(Step { gap_ms, bid: bid - last_bid, spread: ask - bid });
                }
                before = Some((time, bid));
            }
        }
        if steps.len() > 1_000 {
            found.push((name, steps));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// ms since midnight of `2026-01-19T20:14:06.2925886+05:30`, by its own clock.
fn day_ms(text: &str) -> i64 {
    let (_, time) = text.split_once('T').expect("a date and a time");
    let part = |range: std::ops::Range<usize>| time[range].parse::<i64>().expect("digits");
    let fraction: String =
        time[8..].trim_start_matches('.').chars().take_while(char::is_ascii_digit).collect();
    let ms = format!("{fraction:0<3}")[..3].parse::<i64>().expect("digits");
    ((part(0..2) * 60 + part(3..5)) * 60 + part(6..8)) * 1_000 + ms
}

/// A feed of bursts of one to eight levels, small steps and few spreads.
fn made_up() -> Vec<Step> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut steps = Vec::new();
    while steps.len() < 5_000 {
        for level in 0..1 + random.below(8) {
            let gap_ms = if level == 0 { 100 + random.below(1_500) as i64 } else { 0 };
            let bid = random.below(7) as i64 - 3;
            steps.push(Step { gap_ms, bid, spread: 8 + random.below(20) as i64 });
        }
    }
    steps
}

/// Writes the columns as raw little-endian files, and `ticks.json` about them.
pub(crate) fn write(rows: &Rows, folder: &Path) {
    fs::create_dir_all(folder).expect("the folder is made");
    let keep = |name: &str, bytes: Vec<u8>| {
        fs::write(folder.join(name), bytes).expect("the disk takes the bytes");
    };
    keep("time_ns.i64", rows.time_ns.iter().flat_map(|x| x.to_le_bytes()).collect());
    keep("symbol.u32", rows.symbol.iter().flat_map(|x| x.to_le_bytes()).collect());
    keep("bid.f64", rows.bid.iter().flat_map(|x| x.to_le_bytes()).collect());
    keep("ask.f64", rows.ask.iter().flat_map(|x| x.to_le_bytes()).collect());
    let about = json!({
        "symbols": rows.names, "days": DAYS, "rows": rows.len(), "first_ns": FIRST_NS, "lp": LP,
        "source": rows.source,
    });
    keep("ticks.json", about.to_string().into_bytes());
}
