//! Records a small run, and reads it while it is being written.
//!
//! `cargo run --example quickstart`

use siltstone::Result;
use siltstone::simulation::Group;

/// A rod of 50 cells, one end hot: the change of one step.
fn step(heat: &[f64]) -> Vec<f64> {
    let last = heat.len() - 1;
    let next = |i: usize| heat[i] + 0.25 * (heat[i - 1] - 2.0 * heat[i] + heat[i + 1]);
    let inner = (1..last).map(next);
    std::iter::once(heat[0]).chain(inner).chain([heat[last]]).collect()
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("rod.db");

    let file = siltstone::open(&path)?;
    let db = file.simulation()?;
    let ids: Vec<i64> = (1..=50).collect();
    let mut heat = vec![20.0; 50];
    heat[0] = 100.0;
    for timestamp in 0..1000 {
        let cells = Group::new("cells").with("id", &ids).with("temperature", &heat);
        // Acknowledged: a kill of this process loses nothing from here on.
        db.store_update(timestamp, 0, "rod", vec![cells], Some("heat equation"))?;
        heat = step(&heat);
    }

    // Another process may do this at any time, also while the run goes on.
    let file = siltstone::open_read_only(&path)?;
    let reader = file.simulation()?;
    assert_eq!(reader.datasets()?, ["rod"]);
    assert_eq!(reader.update_count(Some("rod"))?, 1000);
    for timestamp in [0, 10, 100, 999] {
        let state = reader.state_at("rod", "cells", timestamp)?;
        let values = state.values::<f64>("temperature")?;
        println!("t={timestamp:<4} the cell beside the hot end has {:.2} degrees", values[1]);
        assert!(values[1] >= 20.0 && values[1] < 100.0);
    }
    let shared = file.sql("SELECT count(*) FROM numpy_array")?;
    println!("arrays stored for 2,000 given ones: {:?} (ids are stored once)", shared.rows[0][0]);
    assert_eq!(shared.rows, [[siltstone::Value::Integer(1001)]]);

    db.close()?; // marks the run as complete: one that was killed says `running`
    assert_eq!(reader.run()?.status.to_string(), "complete");
    assert!(file.verify()?.is_ok());
    Ok(())
}
