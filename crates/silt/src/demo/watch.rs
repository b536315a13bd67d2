//! The process that reads while the other one writes.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use siltstone::simulation::{Group, SimulationDatabase};

use super::epidemic::STATES;
use super::{Args, DATASET};
use crate::chart::sparkline;
use crate::console::Console;
use crate::exit::{Failure, Outcome};
use crate::{human, interrupt};

/// Between two reads of the file, and of one that grows as fast as it can.
const READ_EVERY: Duration = Duration::from_millis(80);
const READ_EVERY_FAST: Duration = Duration::from_millis(2);
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

    /// People in a state, an entry a day.
    pub(super) fn column(&self, state: usize) -> Vec<f64> {
        self.counts.iter().map(|counts| counts[state]).collect()
    }

    /// Reads the days that came since the last read.
    fn read_new(&mut self, db: &SimulationDatabase) -> siltstone::Result<()> {
        let start = Instant::now();
        if self.counts.is_empty() {
            let columns = db.state_at(DATASET, "towns", 0)?.columns.into_iter();
            let attributes = columns.map(|column| (column.name, column.attribute)).collect();
            self.counts.push(sums(&Group { name: String::new(), attributes }));
        }
        db.for_each_update(DATASET, self.counts.len() as i64..=i64::MAX, |update| {
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

    /// What the last read found, and its curve.
    fn line(&self, days: u32) -> String {
        let infectious = self.column(2);
        let (day, curve) = (self.counts.len().saturating_sub(1), sparkline(&infectious, 20));
        let now = infectious.last().copied().unwrap_or(0.0);
        let took = human::duration(self.reads.last().copied().unwrap_or_default());
        format!("day {day:>3} of {days}  infectious {now:>5}  {curve}  read in {took}")
    }
}

fn sums(towns: &Group) -> [f64; 4] {
    STATES.map(|name| numbers(towns, name).iter().sum())
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
    let program = std::env::current_exe();
    let program = program.map_err(|e| Failure::said(format!("cannot find this program: {e}")))?;
    let pause_ms = if args.fast { 0 } else { PAUSE_MS };
    let mut writer = Command::new(program)
        .arg("demo-record")
        .arg(path)
        .args(["--days", &args.days.to_string(), "--people", &args.people.to_string()])
        .args(["--seed", &args.seed.to_string(), "--pause-ms", &pause_ms.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| Failure::said(format!("cannot start the process that records: {e}")))?;
    let watched = follow(args, path, console, &mut writer);
    if watched.is_err() {
        // Without a reader the writer stops at its next day.
        drop(writer.stdin.take());
        let _ = writer.wait();
    }
    watched
}

fn follow(args: &Args, path: &Path, console: &mut Console, writer: &mut Child) -> Outcome<Watched> {
    if !console.json {
        console.line(format!(
            "Process {} simulates {} for {} and records them into {}; this one reads.",
            writer.id(),
            human::plural(args.people.into(), "person").replace("persons", "people"),
            human::plural(args.days.into(), "day"),
            path.display(),
        ))?;
        console.flush()?;
    }
    let (mut watched, mut printed) = (Watched::default(), 0);
    // The writer says when the first state is in the file.
    let said = writer.stdout.take().map(|out| BufReader::new(out).read_line(&mut String::new()));
    if !matches!(said, Some(Ok(1..))) {
        return Err(failure(writer));
    }
    let db = SimulationDatabase::open_read_only(path)?;
    loop {
        // Before the last read, which so has all.
        let ended = writer.try_wait();
        let ended = ended
            .map_err(|e| Failure::said(format!("cannot ask for the process that records: {e}")))?;
        watched.read_new(&db)?;
        let day = watched.counts.len().saturating_sub(1);
        // Ten lines in all.
        let is_due = day >= printed + (args.days as usize).div_ceil(9);
        if !console.json && (is_due || ended.is_some() && day > printed) {
            printed = day;
            console.line(watched.line(args.days))?;
            console.flush()?;
        }
        match ended {
            Some(status) if status.success() => return Ok(watched),
            Some(_) => return Err(failure(writer)),
            None => std::thread::sleep(if args.fast { READ_EVERY_FAST } else { READ_EVERY }),
        }
        if interrupt::is_set() {
            let file = path.display();
            console.note(&format!("stopped after day {day}; {file} holds what was recorded"));
        }
        interrupt::check("recording the demo")?;
    }
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
