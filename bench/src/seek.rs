//! Opening a run and finding the state in its middle, for runs of three lengths.

use std::path::Path;
use std::time::Instant;

use siltstone::simulation::{Options, SimulationDatabase};

use crate::baseline::Row;
use crate::siltstone_baseline::update;

const ENTITIES: usize = 1_000;
const CHANGED: usize = 10;

/// Sparse updates: ten of a thousand entities change, so that no single update holds the state.
fn row(timestamp: i64) -> Row {
    let first = timestamp as usize * 7 % ENTITIES;
    let ids: Vec<i64> = (0..CHANGED).map(|i| ((first + i * 31) % ENTITIES) as i64).collect();
    let attributes =
        (0..2).map(|a| ids.iter().map(|id| (timestamp * 1000 + id * 10 + a) as f64).collect());
    Row { timestamp, attributes: attributes.collect(), ids }
}

pub(crate) fn run() {
    println!(
        "\nopen, then the state at the middle ({CHANGED} of {ENTITIES} entities change an update)"
    );
    println!(
        "{:>9} {:>12} {:>10} {:>10} {:>14} {:>16}",
        "updates", "open+seek ms", "keyframes", "db MiB", "keyframes %", "write CPU, x none"
    );
    for updates in [1_000i64, 10_000, 100_000] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("seek.db");
        let without = Options { no_keyframes: true, ..Options::default() };
        let none_s = write(&folder.path().join("none.db"), updates, without);
        let keys_s = write(&path, updates, Options::default());
        let middle = updates / 2;
        let mut expected = vec![f64::NAN; ENTITIES];
        for t in 0..=middle {
            let row = row(t);
            row.ids.iter().zip(&row.attributes[0]).for_each(|(id, x)| expected[*id as usize] = *x);
        }
        let mut times = Vec::new();
        for _ in 0..5 {
            let start = Instant::now();
            let db = SimulationDatabase::open_read_only(&path).expect("the file opens");
            let state = db.state_at("dataset", "entities", middle).expect("the group is there");
            times.push(start.elapsed());
            let column = state.column("a0").expect("the attribute is there");
            let values = column.attribute.data.to_vec::<f64>().expect("values are f64");
            for (id, x) in state.ids.iter().zip(&values) {
                let expected = expected[*id as usize];
                assert!(
                    x.to_bits() == expected.to_bits() || x.is_nan() && expected.is_nan(),
                    "entity {id}"
                );
            }
        }
        times.sort();
        let db = SimulationDatabase::open_read_only(&path).expect("the file opens");
        let number = |sql: &str| match db.database().sql(sql).expect("the query runs").rows[0][0] {
            siltstone::Value::Integer(n) => n as f64,
            ref other => panic!("{sql} gave {other:?}"),
        };
        let keyframes = number("SELECT count(*) FROM simulation_keyframe");
        let bytes = number("SELECT coalesce(sum(length(state)), 0) FROM simulation_keyframe");
        let size = std::fs::metadata(&path).expect("the file is there").len() as f64;
        println!(
            "{updates:>9} {:>12.2} {keyframes:>10} {:>10.1} {:>14.1} {:>16.2}",
            times[2].as_secs_f64() * 1e3,
            size / 1048576.0,
            100.0 * bytes / size,
            keys_s / none_s,
        );
    }
}

/// Writes a run in batches of 100; the CPU time of all threads until it is closed.
fn write(path: &Path, updates: i64, options: Options) -> f64 {
    let start = cpu_s();
    let db = SimulationDatabase::open_with(path, options).expect("a new file opens");
    let all: Vec<i64> = (0..updates).collect();
    for times in all.chunks(100) {
        db.store_updates(times.iter().map(|t| update(&row(*t))).collect())
            .expect("a batch is stored");
    }
    db.close().expect("the file closes");
    cpu_s() - start
}

/// CPU seconds of this process, in steps of 10 ms; not a number where there is no `/proc`.
pub(crate) fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|n| n.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / 100.0
}
