//! `silt demo`: an epidemic, recorded by one process while another reads it; the day of a market; a sensor's
//! fortnight; a sweep of simulations; what an agent remembers.

pub(crate) mod record;

mod agent;
mod epidemic;
mod market;
mod plant;
mod random;
mod show;
mod sweep;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Instant;

use siltstone::Error;
use siltstone::simulation::{InitialData, SimulationDatabase};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::interrupt;

/// The dataset of the people and the towns.
const DATASET: &str = "epidemic";
/// The initial dataset by which a demo's file is known.
const ABOUT: &str = "about_this_demo";
/// Who made the file, in [`ABOUT`].
const MAKER: &str = "silt demo";

/// Record sample data of every store and inspect them
///
/// One process simulates an epidemic in six towns and records every day of it. This one reads the same
/// file meanwhile, then sums up, goes back in time to the worst day and draws what happened. Then it
/// takes the quotes of a market's day into demo-ticks, tick by tick, and draws their bars; and a sensor's
/// two weeks into demo.db, repairs a fault, and draws what was measured and what came out; and a sweep of six simulations
/// into demo-sweep.db, and compares them; and what an agent sees in the rooms of a house into demo-agent.db, where it finds
/// out by a dim view in which room it is. In the end it says what to try next.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt demo --fast")]
pub(crate) struct Args {
    /// The folder for demo.db, demo-agent.db, demo-sweep.db and demo-ticks
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    /// How many days to simulate
    #[arg(long, value_name = "N", default_value_t = 180)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,

    /// How many people live in the towns
    #[arg(long, value_name = "N", default_value_t = 4000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=200_000))]
    people: u32,

    /// Another number gives another epidemic
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Simulate as fast as the machine can, else at a pace to watch
    #[arg(long)]
    fast: bool,

    /// Replace demo.db, demo-agent.db, demo-sweep.db and the day in demo-ticks even if they are something else than an earlier demo
    #[arg(long)]
    overwrite: bool,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    interrupt::listen();
    // `.` would stand in every command that is shown in the end.
    let path = match args.dir == Path::new(".") {
        true => PathBuf::from("demo.db"),
        false => args.dir.join("demo.db"),
    };
    clear(&path, args.overwrite, is_demo)?;
    let ticks = market::folder_beside(&path);
    market::clear(&ticks, args.overwrite)?;
    let sweep = beside(&path, "sweep");
    clear(&sweep, args.overwrite, sweep::is_demo)?;
    let agent = beside(&path, "agent");
    clear(&agent, args.overwrite, agent::is_demo)?;
    std::fs::create_dir_all(&args.dir).map_err(|error| {
        Failure::said(format!("{}: cannot create the folder: {error}", args.dir.display()))
    })?;
    let start = Instant::now();
    let watched = watch::watch(args, &path, console)?;
    let took = start.elapsed();
    // While there was a reader, the writer could not put its log away.
    SimulationDatabase::open(&path)?.close()?;
    let market = market::record(ticks, args.seed)?;
    let plant = plant::record(&path, args.seed)?;
    let sweep = sweep::record(sweep, args.seed)?;
    let agent = agent::record(agent, args.seed)?;
    let db = SimulationDatabase::open_read_only(&path)?;
    let (path, db, watched, market) = (&path, &db, &watched, &market);
    let (plant, sweep, agent) = (&plant, &sweep, &agent);
    let demo = show::Demo { args, path, db, watched, took, market, plant, sweep, agent };
    show::show(&demo, console)?;
    Ok(Exit::Done)
}

/// A file beside the run's, with so much more in its name.
fn beside(path: &Path, more: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{more}.db"))
}

/// Removes the file of an earlier demo; any other is refused, unless the user said otherwise.
fn clear(path: &Path, overwrite: bool, is_demo: impl FnOnce(&Path) -> bool) -> Outcome<()> {
    if !path.exists() {
        return Ok(());
    }
    if !overwrite && !is_demo(path) {
        return Err(Failure::said(format!(
            "{} is there and is not an earlier demo; it was left as it is, add --overwrite to \
             replace it, or --dir for another folder",
            path.display()
        )));
    }
    remove_database(path)
}

/// Whether an SQL query counts nothing.
fn counts_none(db: &siltstone::Database, sql: &str) -> siltstone::Result<bool> {
    Ok(db.sql(sql)?.rows == [[siltstone::Value::Integer(0)]])
}

/// Removes a database with its log.
fn remove_database(path: &Path) -> Outcome<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let name = Path::new(&name).display();
                return Err(Failure::said(format!("{name}: cannot remove: {error}")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_demo(path: &Path) -> bool {
    let about = || -> Result<Option<InitialData>, Error> {
        SimulationDatabase::open_read_only(path)?.initial_dataset(ABOUT)
    };
    let Ok(Some(InitialData::Json(text))) = about() else { return false };
    serde_json::from_slice::<serde_json::Value>(&text).is_ok_and(|about| about["made_by"] == MAKER)
}
