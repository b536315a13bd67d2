//! Opening a run and finding the state in its middle, for runs of three lengths.

use std::time::Instant;

use siltstone::simulation::SimulationDatabase;

use crate::peer::Row;
use crate::siltstone_peer::update;

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
    println!("{:>9} {:>12} {:>12} {:>10}", "updates", "open+seek ms", "key states", "db MiB");
    for updates in [1_000i64, 10_000, 100_000] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("seek.db");
        let db = SimulationDatabase::open(&path).expect("a new file opens");
        let all: Vec<i64> = (0..updates).collect();
        for times in all.chunks(1_000) {
            db.store_updates(times.iter().map(|t| update(&row(*t))).collect())
                .expect("a batch is stored");
        }
        db.close().expect("the file closes");
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
        let keys = db.database().sql("SELECT count(*) FROM simulation_key_state").expect("a count");
        let size = std::fs::metadata(&path).expect("the file is there").len() as f64 / 1048576.0;
        println!(
            "{updates:>9} {:>12.2} {:>12?} {size:>10.1}",
            times[2].as_secs_f64() * 1e3,
            keys.rows[0][0]
        );
    }
}
