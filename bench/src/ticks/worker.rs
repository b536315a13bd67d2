//! Ours as one of the Python bench's baselines, in its manner: a phase in a process of its own, measures
//! as JSON. The rows come from the raw files that all baselines read.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::baseline::{Answer, Questions, Survives, TickBaseline, size_bytes};
use super::data::{DAY_NS, DAYS, FIRST_NS, Rows};
use super::siltstone_baseline::{Siltstone, disk_only};

/// `ingest DATA FOLDER TICKS`, `bulk DATA FOLDER`, `query DATA FOLDER TIMES`.
pub(crate) fn run(args: &[String]) {
    let rows = read(Path::new(&args[1]));
    let folder = Path::new(&args[2]);
    let measures = match &*args[0] {
        "ingest" => ingest(&rows, folder, args[3].parse().expect("a number of ticks")),
        "bulk" => bulk(&rows, folder),
        "query" => query(&rows, folder, args[3].parse().expect("a number of times")),
        other => panic!("{other} is no phase"),
    };
    println!("{measures}");
}

fn ingest(rows: &Rows, folder: &Path, ticks: usize) -> Value {
    let cpu = crate::seek::cpu_s();
    let start = Instant::now();
    Siltstone.ingest(folder, rows, 0..ticks, 500, Survives::Disk);
    let wall = start.elapsed().as_secs_f64();
    let cpu = crate::seek::cpu_s() - cpu;
    let store = disk_only(folder);
    let mut all = Answer::default();
    for name in &rows.names {
        let part = store.range(name, FIRST_NS, FIRST_NS + DAY_NS - 1);
        all = Answer { rows: all.rows + part.rows, bits: all.bits.wrapping_add(part.bits) };
    }
    json!({ "wall_s": wall, "cpu_s": cpu, "bytes": size_bytes(folder), "answer": pair(all) })
}

fn bulk(rows: &Rows, folder: &Path) -> Value {
    let days: Vec<f64> = (0..DAYS)
        .map(|day| {
            let start = Instant::now();
            Siltstone.bulk(folder, rows, rows.day(day));
            start.elapsed().as_secs_f64()
        })
        .collect();
    json!({ "wall_s": days, "bytes": size_bytes(folder) })
}

fn query(rows: &Rows, folder: &Path, times: usize) -> Value {
    let store: &dyn Questions = &disk_only(folder);
    let noon = FIRST_NS + 2 * DAY_NS + DAY_NS / 2;
    let symbol = rows.names[3];
    let median = |ask: &dyn Fn() -> Answer| {
        let answer = ask();
        let took = (0..times)
            .map(|_| {
                let start = Instant::now();
                assert_eq!(ask(), answer);
                start.elapsed()
            })
            .collect();
        json!({ "wall_s": crate::median(took).as_secs_f64(), "answer": pair(answer) })
    };
    json!({
        "last": median(&|| store.last(symbol, 100)),
        "hour": median(&|| store.range(symbol, noon, noon + 3_600_000_000_000 - 1)),
        "day": median(&|| store.range(symbol, FIRST_NS + 2 * DAY_NS, FIRST_NS + 3 * DAY_NS - 1)),
        "bars": median(&|| store.bars(&rows.names)),
    })
}

/// The sum of bits as text: JSON readers take no 64 bits for granted.
fn pair(answer: Answer) -> Value {
    json!([answer.rows, answer.bits.to_string()])
}

fn read(folder: &Path) -> Rows {
    fn column<const N: usize, T>(folder: &Path, name: &str, of: fn([u8; N]) -> T) -> Vec<T> {
        let bytes = fs::read(folder.join(name)).expect("the data is there: ticks-data writes it");
        bytes.chunks_exact(N).map(|b| of(b.try_into().expect("of that size"))).collect()
    }
    Rows {
        names: super::data::names(),
        symbol: column(folder, "symbol.u32", u32::from_le_bytes),
        time_ns: column(folder, "time_ns.i64", i64::from_le_bytes),
        bid: column(folder, "bid.f64", f64::from_le_bytes),
        ask: column(folder, "ask.f64", f64::from_le_bytes),
        source: "as written",
    }
}
