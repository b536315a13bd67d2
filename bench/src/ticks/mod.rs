//! The tick store and its floor on the same 5,000,000 ticks: `siltstone-bench ticks [PART]`.
//!
//! `siltstone-bench ticks-data FOLDER` writes the ticks for the Python baselines, and `ticks-worker` runs
//! ours in their place beside them.

mod baseline;
pub(crate) mod data;
mod import;
mod siltstone_baseline;
mod sqlite_baseline;
pub(crate) mod worker;

use std::time::{Duration, Instant};

use siltstone::ticks::TickStore;
use tempfile::TempDir;

use baseline::{Questions, Survives, TickBaseline, size_bytes};
use data::{DAY_NS, DAYS, FIRST_NS, LP, Rows};
use siltstone_baseline::{Siltstone, config, disk_only};
use sqlite_baseline::Sqlite;

const BASELINES: [&dyn TickBaseline; 2] = [&Siltstone, &Sqlite];
/// Ticks of the races that write in small batches.
const SMALL: usize = 100_000;
const HOUR_NS: i64 = 3_600_000_000_000;

pub(crate) fn run(part: Option<&str>) {
    let wanted = |name: &str| part.is_none_or(|part| part == name);
    let start = Instant::now();
    let rows = data::rows();
    println!(
        "\nticks: {} of {} symbols over {DAYS} days, {} ({:.1} s); medians of {}",
        rows.len(),
        rows.names.len(),
        rows.source,
        start.elapsed().as_secs_f64(),
        crate::runs(),
    );
    println!("{:44} {:>14} {:>14} {:>9}", "", "siltstone", "rusqlite", "ratio");
    if wanted("call") {
        call(&rows);
    }
    if wanted("ingest") {
        ingest(&rows, Survives::Disk);
        ingest(&rows, Survives::Os);
    }
    if wanted("json") {
        import::run();
    }
    if wanted("rows") {
        row_day(&rows);
    }
    if wanted("bulk") {
        let folders = [folder(), folder()];
        bulk(&rows, &folders);
        questions(&rows, &folders);
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A line of the table; `ratio` above 1 is ours ahead.
fn line(what: &str, ours: String, theirs: Option<String>, ratio: Option<f64>) {
    let ratio = ratio.map_or("-".into(), |ratio| format!("{ratio:.2}x"));
    println!("{what:44} {ours:>14} {:>14} {ratio:>9}", theirs.unwrap_or("-".into()));
}

/// Ticks a second, both sides, and how many times ours.
pub(crate) fn rates(what: &str, ticks: [usize; 2], took: [Duration; 2]) {
    let rate = [0, 1].map(|i| ticks[i] as f64 / took[i].as_secs_f64());
    let text = |rate: f64| format!("{rate:.0}/s");
    line(what, text(rate[0]), Some(text(rate[1])), Some(rate[0] / rate[1]));
}

fn times(what: &str, took: [Duration; 2]) {
    let text = |took: Duration| format!("{:.4} ms", took.as_secs_f64() * 1e3);
    let ratio = took[1].as_secs_f64() / took[0].as_secs_f64();
    line(what, text(took[0]), Some(text(took[1])), Some(ratio));
}

fn alone(what: &str, took: Duration) {
    line(what, format!("{:.4} ms", took.as_secs_f64() * 1e3), None, None);
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let out = work();
    (start.elapsed(), out)
}

/// One `store_tick` a tick while the writer works; and what the ring answers.
fn call(rows: &Rows) {
    let (mut calls, mut last) = (Vec::new(), Vec::new());
    for _ in 0..crate::runs() {
        let folder = folder();
        let queue_size = SMALL + 1;
        let config =
            siltstone::ticks::TickStoreConfig { queue_size, ..config(folder.path(), Survives::Os) };
        let store = TickStore::new(config).expect("the store opens");
        let (took, ()) = timed(|| {
            for i in 0..SMALL {
                let (symbol, bid, ask) =
                    (rows.names[rows.symbol[i] as usize], rows.bid[i], rows.ask[i]);
                let stored = store.store_tick(symbol, bid, ask, ask - bid, LP, rows.time_ns[i]);
                let _ = stored.expect("a tick is taken");
            }
        });
        calls.push(took / SMALL as u32);
        let report = store.flush().expect("what waits is written");
        assert_eq!((report.written, report.dropped), (SMALL as u64, 0));
        last.push(each_symbol(&store, rows, 50, |store, symbol| store.last(symbol, 100).rows));
    }
    let us = crate::median(calls).as_secs_f64() * 1e6;
    line("store_tick, a call, queue not full", format!("{us:.3} us"), None, None);
    alone("last 100 of a symbol, from the ring", crate::median(last));
}

/// The mean time of a question, asked for each symbol so many times.
fn each_symbol(
    questions: &dyn Questions,
    rows: &Rows,
    times: u32,
    ask: impl Fn(&dyn Questions, &str) -> u64,
) -> Duration {
    let (took, ()) = timed(|| {
        for _ in 0..times {
            for name in &rows.names {
                assert!(ask(questions, name) > 0);
            }
        }
    });
    took / (times * rows.names.len() as u32)
}

/// Batches of 500, each acknowledged before the next.
fn ingest(rows: &Rows, how: Survives) {
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..crate::runs() {
        let answers: Vec<_> = (0..2)
            .map(|i| {
                let folder = folder();
                let start = Instant::now();
                BASELINES[i].ingest(folder.path(), rows, 0..SMALL, 500, how);
                took[i].push(start.elapsed());
                all_of_day_one(&*BASELINES[i].open(folder.path()), rows)
            })
            .collect();
        assert_eq!(answers[0], answers[1], "{} gave other ticks back", BASELINES[1].name());
        assert_eq!(answers[0].0, SMALL as u64);
    }
    let name = if how == Survives::Disk { "disk" } else { "os" };
    let took = took.map(crate::median);
    rates(&format!("durable ingest, batches of 500, {name}"), [SMALL; 2], took);
}

fn all_of_day_one(questions: &dyn Questions, rows: &Rows) -> (u64, u64) {
    rows.names.iter().fold((0, 0), |(n, bits), name| {
        let answer = questions.range(name, FIRST_NS, FIRST_NS + DAY_NS - 1);
        (n + answer.rows, bits.wrapping_add(answer.bits))
    })
}

/// A day of rows: what it answers, and compacting it.
fn row_day(rows: &Rows) {
    let (mut last, mut compact) = (Vec::new(), Vec::new());
    let mut bytes = [0, 0];
    for _ in 0..crate::runs() {
        let folder = folder();
        Siltstone.ingest(folder.path(), rows, rows.day(0), 500, Survives::Os);
        let store = disk_only(folder.path());
        last.push(each_symbol(&store, rows, 50, |store, symbol| store.last(symbol, 100).rows));
        let before = all_of_day_one(&store, rows);
        let (took, compacted) = timed(|| store.compact_all().expect("the day is compacted"));
        compact.push(took);
        assert_eq!(compacted[0].report.rows, rows.day(0).len() as u64);
        bytes = [compacted[0].report.bytes_before, compacted[0].report.bytes_after];
        assert_eq!(before, all_of_day_one(&store, rows), "compacting changed the day");
    }
    alone("last 100 of a symbol, rows on disk", crate::median(last));
    let rate = rows.day(0).len() as f64 / crate::median(compact).as_secs_f64();
    line("compacting a day of rows", format!("{rate:.0}/s"), None, None);
    let each = bytes.map(|bytes| bytes as f64 / rows.day(0).len() as f64);
    line("  bytes a tick before", format!("{:.2}", each[0]), None, None);
    line("  bytes a tick after", format!("{:.3}", each[1]), None, None);
}

/// Five days, each in one call; left there for the questions.
fn bulk(rows: &Rows, folders: &[TempDir; 2]) {
    let mut took = [Vec::new(), Vec::new()];
    for day in 0..DAYS {
        for i in 0..2 {
            let start = Instant::now();
            BASELINES[i].bulk(folders[i].path(), rows, rows.day(day));
            took[i].push(start.elapsed());
        }
    }
    let n = rows.day(0).len();
    rates("bulk import of a day, columns in, disk", [n; 2], took.map(crate::median));
    let bytes = [0, 1].map(|i| size_bytes(folders[i].path()) as f64 / rows.len() as f64);
    let text = |bytes: f64| format!("{bytes:.3}");
    line(
        "bytes a tick, compacted",
        text(bytes[0]),
        Some(text(bytes[1])),
        Some(bytes[1] / bytes[0]),
    );
}

fn questions(rows: &Rows, folders: &[TempDir; 2]) {
    let baselines = [0, 1].map(|i| BASELINES[i].open(folders[i].path()));
    let noon = FIRST_NS + 2 * DAY_NS + DAY_NS / 2;
    let day = FIRST_NS + 2 * DAY_NS;
    type Ask<'a> = Box<dyn Fn(&dyn Questions, &str) -> (u64, u64) + 'a>;
    let pair = |a: baseline::Answer| (a.rows, a.bits);
    let ask: [(&str, u32, Ask<'_>); 3] = [
        ("last 100 of a symbol, from blocks", 20, Box::new(move |q, s| pair(q.last(s, 100)))),
        (
            "one hour of a symbol",
            10,
            Box::new(move |q, s| pair(q.range(s, noon, noon + HOUR_NS - 1))),
        ),
        ("one day of a symbol", 1, Box::new(move |q, s| pair(q.range(s, day, day + DAY_NS - 1)))),
    ];
    for (what, times_each, ask) in &ask {
        for name in &rows.names {
            let answers = [0, 1].map(|i| ask(&*baselines[i], name));
            assert_eq!(answers[0], answers[1], "{what} of {name}");
        }
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..crate::runs() {
            for i in 0..2 {
                took[i].push(each_symbol(&*baselines[i], rows, *times_each, |q, s| ask(q, s).0));
            }
        }
        times(what, took.map(crate::median));
    }
    let mut took = [Vec::new(), Vec::new()];
    for run in 0..crate::runs() {
        let (ours, bars) = timed(|| baselines[0].bars(&rows.names));
        took[0].push(ours);
        // The floor takes its time: twice is enough to know it.
        if run < 2 {
            let (theirs, same) = timed(|| baselines[1].bars(&rows.names));
            took[1].push(theirs);
            assert_eq!((bars.rows, bars.bits), (same.rows, same.bits), "bars");
        }
    }
    times("one-minute bars of all ticks", took.map(crate::median));
}
