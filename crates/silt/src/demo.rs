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

use siltstone::simulation::SimulationDatabase;

use crate::chart::Canvas;
use crate::console::Console;
use crate::exit::{Failure, Outcome};
use crate::{interrupt, view};

/// The dataset of the people and the towns.
const DATASET: &str = "epidemic";

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

    /// Then show it in a browser: a page of each file and of the folder, until Ctrl-C
    #[arg(long)]
    view: bool,

    /// Replace demo.db, demo-agent.db, demo-sweep.db and the day in demo-ticks
    #[arg(long)]
    overwrite: bool,
}

/// The files of a demo, and the folder of its ticks.
struct Paths {
    epidemic: PathBuf,
    ticks: PathBuf,
    sweep: PathBuf,
    agent: PathBuf,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    interrupt::listen();
    // `.` would stand in every command that is shown in the end.
    let dir = if args.dir == Path::new(".") { Path::new("") } else { &args.dir };
    let [epidemic, ticks, sweep, agent] =
        ["demo.db", "demo-ticks", "demo-sweep.db", "demo-agent.db"].map(|name| dir.join(name));
    let paths = Paths { epidemic, ticks, sweep, agent };
    let day = paths.ticks.join(market::DAY_FILE);
    for file in [&paths.epidemic, &day, &paths.sweep, &paths.agent] {
        clear(file, args.overwrite)?;
    }
    std::fs::create_dir_all(&args.dir).map_err(|error| {
        Failure::said(format!("{}: cannot create the folder: {error}", args.dir.display()))
    })?;
    let (width, height) = console.size();
    let canvas = Canvas {
        width: width.clamp(20, 100),
        height: height.saturating_sub(4).clamp(14, 30),
        color: console.color,
    };
    let low = Canvas { height: canvas.height.min(14), ..canvas };

    let start = Instant::now();
    let watched = watch::watch(args, &paths.epidemic, console)?;
    let took = start.elapsed();
    // While there was a reader, the writer could not put its log away.
    SimulationDatabase::open(&paths.epidemic)?.close()?;
    let mut scenes = vec![
        ("epidemic", show::epidemic(args, &paths.epidemic, (&watched, took), canvas)?),
        ("ticks", market::record(&paths.ticks, args.seed, low)?),
        ("series", plant::record(&paths.epidemic, args.seed, low)?),
        ("sweep", sweep::record(&paths.sweep, args.seed, canvas)?),
        ("memory", agent::record(&paths.agent, args.seed)?),
    ];
    let pages = match args.view {
        true => view::bind_each(&[&paths.epidemic, &paths.sweep, &paths.ticks, &paths.agent])?,
        false => Vec::new(),
    };
    if console.json {
        let mut document = scenes.remove(0).1.document;
        scenes.into_iter().for_each(|(name, scene)| document[name] = scene.document);
        if args.view {
            document["pages"] = pages.iter().map(view::Page::address).collect();
        }
        console.document(&document)?;
        return view::show(pages, console);
    }
    scenes.push(("next", show::next(&paths, watched.worst_day())?));
    for (_, scene) in &scenes {
        console.line(scene.text(console.color))?;
    }
    for page in &pages {
        console.line(format!("{}: {}", page.path().display(), page.address()))?;
    }
    view::show(pages, console)
}

/// Removes the file of an earlier demo, if the user said so.
fn clear(path: &Path, overwrite: bool) -> Outcome<()> {
    if !path.exists() {
        return Ok(());
    }
    let file = path.display();
    if !overwrite {
        return Err(Failure::said(format!(
            "{file} is there; it was left as it is, add --overwrite to replace it, or --dir for another folder"
        )));
    }
    for suffix in ["-wal", "-shm", ""] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::said(format!("{file}: cannot remove: {error}")));
            }
            _ => {}
        }
    }
    Ok(())
}
