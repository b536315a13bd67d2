//! Runs a sweep in four threads that log into one file, and compares it.

use siltstone::experiment::{At, Cell, ExperimentDatabase, RecordSchema, SimulationOptions, Which};

fn main() -> siltstone::Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "heat")?;
    // A table of our own: the temperature along a rod.
    let schema = RecordSchema::new("rod", &[("x", "float64"), ("celsius", "float64")])?;
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|run| {
                let (db, schema) = (&db, &schema);
                scope.spawn(move || simulate(db, schema, run))
            })
            .collect();
        runs.into_iter().try_for_each(|run| run.join().expect("it does not panic"))
    })?;

    let metrics = [("rod.celsius", At::Final), ("warmest", At::Final)];
    let table = db.compare(Which::Filter("params.alpha > 0.05"), &metrics)?.collect_batches()?;
    for row in siltstone::table::rows(&table[0])? {
        println!("{}: mean {:.2}, warmest {:.2} at the end", row[0], row[1], row[2]);
    }
    let compacted: u64 = db
        .simulation_ids()?
        .iter()
        .map(|name| Ok(db.compact(name)?.rows))
        .sum::<siltstone::Result<u64>>()?;
    assert_eq!(compacted, 4 * 100 * (20 + 1));
    db.close()
}

fn simulate(db: &ExperimentDatabase, schema: &RecordSchema, run: u32) -> siltstone::Result<()> {
    let alpha = 0.05 * f64::from(run + 1);
    let options =
        SimulationOptions::default().parameters(&serde_json::json!({ "alpha": alpha }))?;
    let sim = db.create_simulation_context(&format!("heat_{run}"), options)?;
    sim.define_table(schema)?;
    let mut rod = vec![20.0f64; 20];
    rod[0] = 100.0;
    for step in 0..100 {
        for (x, celsius) in rod.iter().enumerate() {
            let values = [("x", Cell::Float(x as f64)), ("celsius", Cell::Float(*celsius))];
            sim.log("rod", step, &values)?;
        }
        sim.log_metric("warmest", rod[1..].iter().copied().fold(f64::MIN, f64::max), Some(step))?;
        let before = rod.clone();
        for x in 1..rod.len() - 1 {
            rod[x] += alpha * (before[x - 1] - 2.0 * before[x] + before[x + 1]);
        }
    }
    sim.complete()
}
