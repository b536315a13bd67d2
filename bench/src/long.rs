//! One long run of small updates: whether the last ones cost what the first ones did.

use std::time::Instant;

use siltstone::Value;
use siltstone::simulation::SimulationDatabase;

use crate::baseline::Row;
use crate::siltstone_baseline::update;

/// Entities of which each update gives two attributes.
const ENTITIES: i64 = 10;
/// Parts of which each has its rate.
const PARTS: i64 = 10;

fn row(timestamp: i64) -> Row {
    let attribute =
        |a: i64| (0..ENTITIES).map(|id| (timestamp * 100 + id * 10 + a) as f64).collect();
    Row { timestamp, ids: (0..ENTITIES).collect(), attributes: (0..2).map(attribute).collect() }
}

/// Stores so many updates, a call an update, by one handle in one run, so that SQLite never gathers statistics.
pub(crate) fn run(updates: i64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("long.db");
    let db = SimulationDatabase::open(&path).expect("a new file opens");
    println!("\nlong: {updates} updates x 2 attributes x {ENTITIES} f64, a call an update (os)");
    println!("{:>12} {:>10} {:>12} {:>9}", "updates", "s", "updates/s", "x first");
    let part = updates / PARTS;
    let mut first = None;
    for begin in (0..PARTS).map(|i| i * part) {
        let start = Instant::now();
        for timestamp in begin..begin + part {
            db.store(update(&row(timestamp))).expect("an update is stored");
        }
        let seconds = start.elapsed().as_secs_f64();
        let ratio = seconds / *first.get_or_insert(seconds);
        let rate = part as f64 / seconds;
        println!("{:>12} {seconds:>10.2} {rate:>12.0} {ratio:>9.2}", begin + part);
    }
    db.flush().expect("the file takes what is left");
    assert_eq!(db.update_count(None).expect("it can be read"), (part * PARTS) as u64);
    let last = part * PARTS - 1;
    let state = db.state_at("dataset", "entities", last).expect("the group is there");
    let values = state.column("a1").expect("the attribute is there").attribute.data.to_vec::<f64>();
    assert_eq!(values, Some(row(last).attributes.swap_remove(1)));
    let sql = "SELECT (SELECT count(*) FROM simulation_keyframe), \
        (SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1')";
    let found = db.database().sql(sql).expect("a query").rows.swap_remove(0);
    assert_eq!(found[1], Value::Integer(0), "there are no statistics");
    println!("keyframes: {:?}; no statistics", found[0]);
}
