//! The state of a long run at any time: early and late cost the same.
//!
//! `cargo run --release --example time_travel`

use std::time::Instant;

use siltstone::Result;
use siltstone::simulation::{Group, SimulationDatabase, Update};

const STEPS: i64 = 20_000;
const CARS: i64 = 200;

/// At each step three of the cars report: who, and where they are.
fn reports(timestamp: i64) -> Vec<(i64, f64)> {
    let mut cars: Vec<i64> = (0..3).map(|k| (timestamp * 7 + k * 61) % CARS).collect();
    cars.sort_unstable();
    cars.into_iter().map(|car| (car, timestamp as f64 + car as f64 / 1000.0)).collect()
}

fn update(timestamp: i64) -> Update {
    let (cars, places): (Vec<i64>, Vec<f64>) = reports(timestamp).into_iter().unzip();
    let data = vec![Group::new("cars").with("id", &cars).with("place", &places)];
    Update { timestamp, dataset: "road".into(), data, ..Update::default() }
}

/// Where a car was last seen at a timestamp, from the rule itself.
fn expected(car: i64, timestamp: i64) -> Option<f64> {
    (0..=timestamp).rev().find_map(|t| {
        reports(t).into_iter().find(|(reporter, _)| *reporter == car).map(|(_, place)| place)
    })
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = SimulationDatabase::open(folder.path().join("road.db"))?;
    for from in (0..STEPS).step_by(1000) {
        db.store_updates((from..from + 1000).map(update).collect())?; // one transaction each
    }
    db.build_keyframes()?; // or leave it to the thread behind the writes, or to `close`

    for timestamp in [10, STEPS / 2, STEPS - 1] {
        let start = Instant::now();
        let state = db.state_at("road", "cars", timestamp)?;
        let took = start.elapsed();
        let place = state.column("place").expect("every update gives it");
        let places = state.values::<f64>("place")?;
        let seen = (0..places.len()).filter(|row| place.is_defined(*row)).count();
        println!("t={timestamp:<6} {seen:>3} of {CARS} cars seen; {took:?}");
        for car in [0, 63, 199] {
            let row = state.row_of(car).expect("the state has a row for every car of the run");
            let found = place.is_defined(row).then(|| places[row]);
            assert_eq!(found, expected(car, timestamp), "car {car} at {timestamp}");
        }
    }

    // Stepping: from change to change, in both directions.
    let mut cursor = db.cursor("road", "cars", 12_345)?;
    assert_eq!(cursor.next_change()?, Some(12_346));
    assert_eq!(cursor.previous_change()?, Some(12_345));
    let here = cursor.state();
    cursor.move_to(17)?;
    cursor.move_to(12_345)?;
    assert_eq!(cursor.state(), here);

    // A restart from a checkpoint: what came later goes, in one transaction.
    assert_eq!(db.resume_from(999)?, (STEPS - 1000) as u64);
    assert_eq!(db.timestamps("road")?.last(), Some(&999));
    db.close()
}
