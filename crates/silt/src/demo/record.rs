//! The process that simulates and records.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use siltstone::Array;
use siltstone::simulation::{Attribute, Group, InitialData, SimulationDatabase, Timeline};

use super::epidemic::{Changes, Epidemic, Towns};
use super::{ABOUT, DATASET, MAKER};
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
    match record(args, &db) {
        Ok(()) => db.close()?,
        Err(error) => {
            db.mark_ended(Some(&error.to_string()))?;
            return Err(error.into());
        }
    }
    Ok(Exit::Done)
}

fn record(args: &Args, db: &SimulationDatabase) -> siltstone::Result<()> {
    let mut epidemic = Epidemic::new(args.people as usize, args.seed);
    db.set_timeline(Timeline { reference: DAY_ZERO, time_scale: 86_400.0, start_time: 0 })?;
    let about = json!({
        "made_by": MAKER, "people": args.people, "days": args.days, "seed": args.seed,
    });
    db.store_initial_dataset(ABOUT, InitialData::Json(about.to_string().into_bytes()), false)?;
    db.store_initial_dataset(DATASET, InitialData::Entities(initial(&epidemic)), false)?;
    for _ in 0..args.days {
        interrupt::check("recording the epidemic")?;
        let changes = epidemic.step();
        let day = i64::from(epidemic.day());
        if !changes.ids.is_empty() {
            db.store_update(day, 0, DATASET, vec![people(&changes)], Some("contagion"))?;
        }
        db.store_update(day, 1, DATASET, vec![towns(&epidemic.towns())], Some("statistics"))?;
        std::thread::sleep(Duration::from_millis(args.pause_ms));
    }
    Ok(())
}

fn column(name: &str, array: Array) -> (String, Attribute) {
    (name.to_owned(), Attribute::new(array))
}

/// Everybody and every town before the first day.
fn initial(epidemic: &Epidemic) -> Vec<Group> {
    let people = epidemic.people();
    let contacts = epidemic.contacts();
    let meets =
        Attribute::ragged(Array::from_slice(&contacts.data), Array::from_slice(&contacts.row_ptr));
    let attributes = vec![
        column("id", Array::from_slice(&people.id)),
        column("x", Array::from_slice(&people.x)),
        column("y", Array::from_slice(&people.y)),
        column("age", Array::from_slice(&people.age)),
        column("town", Array::from_strs(&people.town)),
        ("contacts".to_owned(), meets),
        column("state", Array::from_slice(&people.state)),
        column("load", Array::from_slice(&people.load)),
    ];
    let people = Group { name: "people".to_owned(), attributes };
    let figures = epidemic.towns();
    let positions = epidemic.town_names();
    let mut towns = towns(&figures);
    let x: Vec<f64> = positions.iter().map(|position| position.0).collect();
    let y: Vec<f64> = positions.iter().map(|position| position.1).collect();
    let fixed = [
        column("name", Array::from_strs(&figures.name)),
        column("label_x", Array::from_slice(&x)),
        column("label_y", Array::from_slice(&y)),
    ];
    towns.attributes.splice(1..1, fixed);
    vec![people, towns]
}

/// What a day changed.
fn people(changes: &Changes) -> Group {
    let attributes = vec![
        column("id", Array::from_slice(&changes.ids)),
        column("state", Array::from_slice(&changes.state)),
        column("load", Array::from_slice(&changes.load)),
    ];
    Group { name: "people".to_owned(), attributes }
}

/// The figures of a day.
fn towns(towns: &Towns) -> Group {
    let attributes = vec![
        column("id", Array::from_slice(&towns.id)),
        column("susceptible", Array::from_slice(&towns.susceptible)),
        column("exposed", Array::from_slice(&towns.exposed)),
        column("infectious", Array::from_slice(&towns.infectious)),
        column("recovered", Array::from_slice(&towns.recovered)),
        column("incidence", Array::from_slice(&towns.incidence)),
    ];
    Group { name: "towns".to_owned(), attributes }
}
