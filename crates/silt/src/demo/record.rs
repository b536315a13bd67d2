//! The process that simulates and records.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use siltstone::simulation::{InitialData, SimulationDatabase, Timeline};

use super::DATASET;
use super::epidemic::Epidemic;
use crate::exit::{Exit, Outcome};
use crate::interrupt;

/// 2024-01-01: day 0.
const DAY_ZERO: f64 = 1_704_067_200.0;

/// Record an epidemic; `silt demo` runs this in a process of its own
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    file: PathBuf,
    #[arg(long)]
    days: u32,
    #[arg(long)]
    people: u32,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    pause_ms: u64,
}

pub(crate) fn run(args: &Args) -> Outcome {
    interrupt::listen();
    // The other process holds the other end: when it goes, for whatever reason, stdin ends.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        interrupt::set();
    });
    let db = SimulationDatabase::open(&args.file)?;
    if let Err(error) = record(args, &db) {
        db.mark_ended(Some(&error.to_string()))?;
        return Err(error.into());
    }
    db.close()?;
    Ok(Exit::Done)
}

fn record(args: &Args, db: &SimulationDatabase) -> siltstone::Result<()> {
    let mut epidemic = Epidemic::new(args.people as usize, args.seed);
    db.set_timeline(Timeline { reference: DAY_ZERO, time_scale: 86_400.0, start_time: 0 })?;
    db.store_initial_dataset(DATASET, InitialData::Entities(epidemic.initial()), false)?;
    println!("ready");
    for _ in 0..args.days {
        interrupt::check("recording the epidemic")?;
        let people = epidemic.step();
        let day = i64::from(epidemic.day());
        if people.attributes[0].1.entities() > 0 {
            db.store_update(day, 0, DATASET, vec![people], Some("contagion"))?;
        }
        db.store_update(day, 1, DATASET, vec![epidemic.towns()], Some("statistics"))?;
        std::thread::sleep(Duration::from_millis(args.pause_ms));
    }
    Ok(())
}
