//! The process that reads while the other one writes.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use siltstone::simulation::{Group, SimulationDatabase};

use super::{Args, DATASET};
use crate::chart::sparkline;
use crate::console::Console;
use crate::exit::{Failure, Outcome};
use crate::table::cut;
use crate::{human, interrupt};

/// Between two reads of the file, and of one that grows as fast as it can.
const READ_EVERY: Duration = Duration::from_millis(80);
const READ_EVERY_FAST: Duration = Duration::from_millis(2);
/// How long the writer may take to create the file.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The pause after a simulated day, so that it can be watched: 180 days in nine seconds.
const PAUSE_MS: u64 = 50;

/// What was read while the file was written.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Susceptible, exposed, infectious and recovered people, an entry a day from day 0.
    pub(super) counts: Vec<[f64; 4]>,
    /// New infections of seven days per 1,000 people: a list a day from day 1, an entry a town.
    pub(super) incidence: Vec<Vec<f64>>,
    /// How long each read of the growing file took.
    pub(super) reads: Vec<Duration>,
}

impl Watched {
    /// The day with the most infectious people.
    pub(super) fn worst_day(&self) -> usize {
        let days = 0..self.counts.len();
        days.rev().max_by(|a, b| self.counts[*a][2].total_cmp(&self.counts[*b][2])).unwrap_or(0)
    }

    pub(super) fn infectious(&self) -> Vec<f64> {
        self.counts.iter().map(|counts| counts[2]).collect()
    }

    /// Reads the days that came since the last read.
    fn read_new(&mut self, db: &SimulationDatabase) -> siltstone::Result<()> {
        let start = Instant::now();
        if self.counts.is_empty() {
            let state = db.state_at(DATASET, "towns", 0)?;
            let attributes =
                state.columns.into_iter().map(|column| (column.name, column.attribute));
            self.counts
                .push(sums(&Group { name: String::new(), attributes: attributes.collect() }));
        }
        let next = self.counts.len() as i64;
        db.for_each_update(DATASET, next..=i64::MAX, |update| {
            // A day is whole when its figures are there.
            if let Some(towns) = update.data.iter().find(|group| group.name == "towns") {
                self.counts.push(sums(towns));
                self.incidence.push(numbers(towns, "incidence"));
            }
            Ok(())
        })?;
        self.reads.push(start.elapsed());
        Ok(())
    }
}

fn sums(towns: &Group) -> [f64; 4] {
    ["susceptible", "exposed", "infectious", "recovered"]
        .map(|name| numbers(towns, name).iter().sum())
}

/// An attribute's values as floats; none if it is not there.
fn numbers(group: &Group, name: &str) -> Vec<f64> {
    let found = group.attributes.iter().find(|(other, _)| other == name);
    let Some((_, attribute)) = found else { return Vec::new() };
    match attribute.data.to_vec::<f64>() {
        Some(values) => values,
        None => attribute.data.to_i64s().unwrap_or_default().iter().map(|n| *n as f64).collect(),
    }
}

/// Starts the writer and reads until it ends.
pub(super) fn watch(args: &Args, path: &Path, console: &mut Console) -> Outcome<Watched> {
    let mut writer = start(args, path)?;
    let watched = follow(args, path, console, &mut writer);
    if watched.is_err() {
        // Without a reader the writer stops at its next day.
        drop(writer.stdin.take());
        let _ = writer.wait();
    }
    watched
}

fn start(args: &Args, path: &Path) -> Outcome<Child> {
    let program = std::env::current_exe();
    let program = program.map_err(|e| Failure::said(format!("cannot find this program: {e}")))?;
    let pause_ms = if args.fast { 0 } else { PAUSE_MS };
    Command::new(program)
        .arg("demo-record")
        .arg(path)
        .args(["--days", &args.days.to_string(), "--people", &args.people.to_string()])
        .args(["--seed", &args.seed.to_string(), "--pause-ms", &pause_ms.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| Failure::said(format!("cannot start the process that records: {e}")))
}

fn follow(args: &Args, path: &Path, console: &mut Console, writer: &mut Child) -> Outcome<Watched> {
    let process = writer.id();
    if !console.json {
        console.line(format!(
            "Process {process} simulates {} for {} and records them into {}; this one reads.",
            human::plural(args.people.into(), "person").replace("persons", "people"),
            human::plural(args.days.into(), "day"),
            path.display(),
        ))?;
        console.flush()?;
    }
    let mut watched = Watched::default();
    let mut live = Live { days: args.days, printed: 0, drawn: false };
    let Some(db) = wait_for(path, writer)? else { return Err(failure(writer)) };
    loop {
        let ended = ended(writer)?;
        watched.read_new(&db)?;
        live.print(&watched, console, ended.is_some())?;
        match ended {
            Some(true) => return Ok(watched),
            Some(false) => return Err(failure(writer)),
            None => std::thread::sleep(if args.fast { READ_EVERY_FAST } else { READ_EVERY }),
        }
        if interrupt::is_set() {
            live.clear(console)?;
            let day = watched.counts.len().saturating_sub(1);
            console.note(&format!(
                "stopped after day {day}; {} holds what was recorded",
                path.display()
            ));
        }
        interrupt::check("recording the demo")?;
    }
}

/// The file, as soon as its first state is in it; nothing if the writer ends before.
fn wait_for(path: &Path, writer: &mut Child) -> Outcome<Option<SimulationDatabase>> {
    let start = Instant::now();
    loop {
        interrupt::check("recording the demo")?;
        let ended = ended(writer)?;
        // Until the file has its header and its tables, it is not there for a reader.
        let problem = match SimulationDatabase::open_read_only(path) {
            Ok(db) => match db.initial_datasets() {
                Ok(names) if names.iter().any(|name| name == DATASET) => return Ok(Some(db)),
                Ok(_) => None,
                Err(error) => Some(error),
            },
            Err(error) => Some(error),
        };
        if ended == Some(false) {
            return Ok(None);
        }
        if start.elapsed() > TIMEOUT || ended.is_some() {
            let why =
                problem.map_or("it has no initial state".to_owned(), |error| error.to_string());
            return Err(Failure::said(format!("the recording cannot be read: {why}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the writer ended, and well.
fn ended(writer: &mut Child) -> Outcome<Option<bool>> {
    let status = writer.try_wait();
    let status = status
        .map_err(|e| Failure::said(format!("cannot ask for the process that records: {e}")))?;
    Ok(status.map(|status| status.success()))
}

/// What the writer said when it failed.
fn failure(writer: &mut Child) -> Failure {
    let mut said = String::new();
    if let Some(stderr) = &mut writer.stderr {
        let _ = stderr.read_to_string(&mut said); // what there is
    }
    match interrupt::is_set() {
        true => siltstone::Error::Interrupted { action: "recording the demo" }.into(),
        false => Failure::said(format!("the process that records failed: {}", said.trim())),
    }
}

/// One line that changes on a terminal; a line now and then elsewhere.
struct Live {
    days: u32,
    printed: usize,
    drawn: bool,
}

impl Live {
    fn print(&mut self, watched: &Watched, console: &mut Console, ended: bool) -> Outcome<()> {
        if console.json {
            return Ok(());
        }
        let day = watched.counts.len().saturating_sub(1);
        if !console.is_terminal {
            // Ten lines in all.
            let due = self.printed + (self.days as usize).div_ceil(9);
            if day >= due || ended && day > self.printed {
                self.printed = day;
                console.line(line(watched, self.days, 20).0)?;
                console.flush()?;
            }
            return Ok(());
        }
        if ended {
            return self.clear(console);
        }
        let (width, _) = console.size();
        let (plain, curve) = line(watched, self.days, width.saturating_sub(60).min(60));
        // One column stays free: a full line would wrap on some terminals.
        let plain = cut(&plain, width.saturating_sub(1));
        let text = match console.color && plain.contains(&curve) && !curve.is_empty() {
            true => plain.replace(&curve, &format!("\u{1b}[31m{curve}\u{1b}[0m")),
            false => plain,
        };
        write!(console.out, "\r\u{1b}[2K{text}")?;
        self.drawn = true;
        console.flush()?;
        Ok(())
    }

    fn clear(&mut self, console: &mut Console) -> Outcome<()> {
        if std::mem::take(&mut self.drawn) {
            write!(console.out, "\r\u{1b}[2K")?;
            console.flush()?;
        }
        Ok(())
    }
}

/// What the last read found, and its curve.
fn line(watched: &Watched, days: u32, width: usize) -> (String, String) {
    let day = watched.counts.len().saturating_sub(1);
    let infectious = watched.infectious();
    let curve = sparkline(&infectious, width);
    let took = watched.reads.last().copied().unwrap_or_default();
    let now = infectious.last().copied().unwrap_or(0.0);
    let text = format!(
        "day {day:>3} of {days}  infectious {now:>5}  {curve}  read in {}",
        human::duration(took)
    );
    (text, curve)
}
