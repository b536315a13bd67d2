//! Siltstone and its floors on the same rows, in one run: `siltstone-bench [large|small|seek|real] [BASELINE]`,
//! `siltstone-bench long [UPDATES]`, and
//! `siltstone-bench ticks [call|ingest|json|rows|bulk]`, `siltstone-bench series [one|append|many]`, and
//! `siltstone-bench experiment [log|read|memory]`, `siltstone-bench memory [store|read|search|graph]`.
//!
//! Medians of five runs (`RUNS` in the environment changes that), interleaved. What is read back is compared with what was written, bit for
//! bit; a race with a difference does not end. The Python baselines are in `bench/python`.

mod bare;
mod baseline;
mod experiment;
mod long;
mod memory;
mod real;
mod seek;
mod series;
mod siltstone_baseline;
mod ticks;

use std::time::{Duration, Instant};

use baseline::{Baseline, Row};
use siltstone_baseline::Siltstone;

/// Runs of each baseline.
fn runs() -> usize {
    std::env::var("RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(5)
}

struct Work {
    name: &'static str,
    updates: usize,
    attributes: usize,
    entities: usize,
}

const WORKS: [Work; 2] = [
    Work { name: "large", updates: 1_000, attributes: 4, entities: 1_000 },
    Work { name: "small", updates: 5_000, attributes: 2, entities: 10 },
];

/// A random walk an entity and attribute, from a fixed seed.
fn rows(work: &Work) -> Vec<Row> {
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut step = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    let mut state = vec![vec![0.0; work.entities]; work.attributes];
    let ids: Vec<i64> = (0..work.entities as i64).collect();
    (0..work.updates as i64)
        .map(|timestamp| {
            state.iter_mut().flatten().for_each(|x| *x += step());
            Row { timestamp, ids: ids.clone(), attributes: state.clone() }
        })
        .collect()
}

fn same(a: &[Row], b: &[Row]) -> bool {
    let bits =
        |row: &Row| -> Vec<u64> { row.attributes.iter().flatten().map(|x| x.to_bits()).collect() };
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a.timestamp == b.timestamp && a.ids == b.ids && bits(a) == bits(b))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn race(work: &Work, only: &str) {
    let rows = rows(work);
    let all: [&dyn Baseline; 5] = [
        &Siltstone::Each,
        &Siltstone::Tickets,
        &Siltstone::Batches,
        &bare::BareSqlite,
        &bare::PlainFile,
    ];
    let baselines: Vec<_> =
        all.into_iter().filter(|baseline| baseline.name().contains(only)).collect();
    let mut write = vec![Vec::new(); baselines.len()];
    let mut read = vec![Vec::new(); baselines.len()];
    let mut size = vec![0; baselines.len()];
    for _ in 0..runs() {
        for (i, baseline) in baselines.iter().enumerate() {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("bench.db");
            let start = Instant::now();
            baseline.write(&path, &rows);
            write[i].push(start.elapsed());
            size[i] = std::fs::metadata(&path).expect("the file is there").len();
            let start = Instant::now();
            if let Some(back) = baseline.read(&path) {
                read[i].push(start.elapsed());
                assert!(same(&rows, &back), "{} gave other rows back", baseline.name());
            }
        }
    }
    let payload = (work.updates * work.attributes * work.entities * 8) as f64;
    let first = median(write[0].clone());
    println!(
        "\n{}: {} updates x {} attributes x {} f64",
        work.name, work.updates, work.attributes, work.entities
    );
    println!(
        "{:46} {:>10} {:>12} {:>9} {:>10} {:>12} {:>7}",
        "", "write ms", "updates/s", "x first", "read ms", "updates/s", "size"
    );
    for (i, baseline) in baselines.iter().enumerate() {
        let took = median(write[i].clone());
        let rate = |t: Duration| work.updates as f64 / t.as_secs_f64();
        let read = (!read[i].is_empty()).then(|| median(read[i].clone()));
        println!(
            "{:46} {:>10.1} {:>12.0} {:>9.2} {:>10} {:>12} {:>7.2}",
            baseline.name(),
            took.as_secs_f64() * 1e3,
            rate(took),
            took.as_secs_f64() / first.as_secs_f64(),
            read.map_or("-".into(), |t| format!("{:.1}", t.as_secs_f64() * 1e3)),
            read.map_or("-".into(), |t| format!("{:.0}", rate(t))),
            size[i] as f64 / payload,
        );
    }
}

fn main() {
    let only = std::env::args().nth(1);
    let rest: Vec<String> = std::env::args().skip(2).collect();
    match only.as_deref() {
        Some("ticks-data") => {
            let folder = rest.first().expect("ticks-data FOLDER");
            return ticks::data::write(&ticks::data::rows(), folder.as_ref());
        }
        Some("ticks-worker") => return ticks::worker::run(&rest),
        _ => {}
    }
    for work in WORKS.iter().filter(|w| only.as_deref().is_none_or(|o| o == w.name)) {
        race(work, &std::env::args().nth(2).unwrap_or_default());
    }
    if only.as_deref().is_none_or(|o| o == "seek") {
        seek::run();
    }
    if only.as_deref().is_none_or(|o| o == "long") {
        long::run(rest.first().and_then(|n| n.parse().ok()).unwrap_or(1_000_000));
    }
    if only.as_deref().is_none_or(|o| o == "real") {
        real::sizes();
        real::speed();
    }
    if only.as_deref().is_none_or(|o| o == "ticks") {
        ticks::run(rest.first().map(String::as_str));
    }
    if only.as_deref().is_none_or(|o| o == "series") {
        series::run(rest.first().map(String::as_str));
    }
    if only.as_deref().is_none_or(|o| o == "experiment") {
        experiment::run(rest.first().map(String::as_str));
    }
    if only.as_deref().is_none_or(|o| o == "memory") {
        memory::run(rest.first().map(String::as_str));
    }
}
