//! What the parts of `silt demo` have to show, the epidemic's own, and what to try next.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use siltstone::simulation::{GroupState, SimulationDatabase};

use super::epidemic::LOCKDOWN;
use super::watch::Watched;
use super::{Args, DATASET, Paths, market, plant};
use crate::chart::{self, Canvas, Class};
use crate::exit::{Failure, Outcome};
use crate::human;
use crate::table::{Table, bold};

/// How the four states are drawn; their numbers are the indices.
const CLASSES: [Class<'static>; 4] = [
    Class { name: "susceptible", glyph: '.', ink: 36, rank: 0 },
    Class { name: "exposed", glyph: 'o', ink: 33, rank: 2 },
    Class { name: "infectious", glyph: '#', ink: 31, rank: 3 },
    Class { name: "recovered", glyph: '+', ink: 32, rank: 1 },
];
/// States that are asked for, to see how long one takes.
const SEEKS: i64 = 21;

/// What a part of the demo did: as text under a heading, and its facts as JSON.
pub(super) struct Scene {
    heading: &'static str,
    text: String,
    pub(super) document: Value,
}

impl Scene {
    pub(super) fn new(heading: &'static str) -> Self {
        Scene { heading, text: String::new(), document: json!({}) }
    }

    pub(super) fn line(&mut self, text: impl AsRef<str>) {
        self.text.push('\n');
        self.text.push_str(text.as_ref());
    }

    /// A line of a name and what there is to say.
    pub(super) fn fact(&mut self, name: &str, text: String) {
        self.line(format!("{name:<14}  {text}"));
        self.document[name] = text.into();
    }

    pub(super) fn text(&self, color: bool) -> String {
        format!("\n{}{}", bold(self.heading.to_owned(), color), self.text)
    }
}

/// The middle one; nothing of none.
pub(super) fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

pub(super) fn file_size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The epidemic: figures, everybody on the worst day, and the curves.
pub(super) fn epidemic(
    args: &Args,
    path: &Path,
    (watched, took): (&Watched, Duration),
    canvas: Canvas,
) -> Outcome<Scene> {
    let db = SimulationDatabase::open_read_only(path)?;
    let days = i64::from(args.days);
    let mut seeks = Vec::new();
    for i in 0..SEEKS {
        // Here and there in the run, so that no seek helps the next.
        let start = Instant::now();
        db.state_at(DATASET, "people", (i * 8 % SEEKS) * days / SEEKS + 1)?;
        seeks.push(start.elapsed());
    }
    let report = db.database().verify()?;
    if let Some(finding) = report.findings.first() {
        return Err(Failure::said(format!("{}: {}", finding.location, finding.what)));
    }
    let (updates, bytes) = (db.update_count(None)?, file_size(path));
    let (mut reads, seek, worst) = (watched.reads.clone(), median(&mut seeks), watched.worst_day());
    let read = median(&mut reads);
    let mut scene = Scene::new("An epidemic: recorded by one process while another one reads");
    scene.document["reads"] = json!(reads.len());
    scene.document["worst_day"] = json!(worst);
    scene.document["infectious"] = json!(watched.column(2));
    let (updates, bytes) = (human::plural(updates, "update"), human::size(bytes));
    scene.fact("recorded", format!("{updates} in {}, {bytes}", human::duration(took)));
    let most = human::duration(reads.last().copied().unwrap_or_default());
    let (reads, read) = (human::plural(reads.len() as u64, "read"), human::duration(read));
    scene.fact(
        "read meanwhile",
        format!("{reads} at the growing file: {read} each, {most} at most"),
    );
    scene.fact("travel in time", format!("all people on any day: {}", human::duration(seek)));
    scene.fact("verified", format!("{}, all well", human::plural(report.checksums, "checksum")));

    let people = db.state_at(DATASET, "people", worst as i64)?;
    let towns = db.state_at(DATASET, "towns", worst as i64)?;
    let states = people.values::<i32>("state")?;
    let points: Vec<(f64, f64, usize)> = positions(&people, ["x", "y"])?
        .zip(states)
        .map(|((x, y), state)| (x, y, state as usize))
        .collect();
    let names = towns.column("name").and_then(|column| column.attribute.data.to_strings());
    let names = names.unwrap_or_default();
    let labels: Vec<(f64, f64, &str)> = positions(&towns, ["label_x", "label_y"])?
        .zip(&names)
        .map(|((x, y), name)| (x, y, name.as_str()))
        .collect();
    let date = date(&db, worst)?;
    scene.line(format!("\nDay {worst}, {date}, the worst: everybody where they live"));
    scene.line(chart::map(&points, &CLASSES, &labels, canvas));

    scene.line("\nHow it went: exposed and infectious people, and the lockdown");
    let series = [("exposed", watched.column(1)), ("infectious", watched.column(2))];
    let labels: Vec<String> = (0..watched.counts.len()).map(|day| format!("day {day}")).collect();
    let band = [(LOCKDOWN.start as usize..LOCKDOWN.end as usize, "lockdown")];
    let low = Canvas { height: canvas.height.min(16), ..canvas };
    scene.line(chart::lines(&series, &labels, &band, low));
    let room = canvas.width.saturating_sub(50).clamp(8, 50);
    let mut table =
        Table::new(["town", "at most per 1,000 in 7 days", "on day", "curve"]).width(canvas.width);
    for (town, name) in names.iter().enumerate() {
        let curve: Vec<f64> = watched.incidence.iter().map(|day| day[town]).collect();
        let worst = (0..curve.len()).rev().max_by(|a, b| curve[*a].total_cmp(&curve[*b]));
        let (worst, sparkline) = (worst.unwrap_or(0), chart::sparkline(&curve, room));
        let highest = curve.get(worst).copied().unwrap_or(0.0);
        table.row([name, &format!("{highest:.1}"), &(worst + 1).to_string(), &sparkline]);
    }
    scene.line(format!("\n{table}"));
    Ok(scene)
}

fn positions(state: &GroupState, names: [&str; 2]) -> Outcome<impl Iterator<Item = (f64, f64)>> {
    Ok(state.values::<f64>(names[0])?.into_iter().zip(state.values::<f64>(names[1])?))
}

fn date(db: &SimulationDatabase, day: usize) -> Outcome<String> {
    let moment = db.run()?.timeline.map(|line| human::moment(line.seconds_of(day as i64)));
    Ok(moment.map_or_else(|| day.to_string(), |moment| moment.chars().take(10).collect()))
}

/// Commands that work on the files just recorded.
pub(super) fn next(paths: &Paths, worst_day: usize) -> Outcome<Scene> {
    let name = std::env::args_os().next().unwrap_or_else(|| "silt".into());
    let silt = quoted(Path::new(&name));
    let [file, ticks, sweep, agent] =
        [&paths.epidemic, &paths.ticks, &paths.sweep, &paths.agent].map(|path| quoted(path));
    let [tables, backups] =
        ["tables", "backups"].map(|name| quoted(&paths.epidemic.with_file_name(name)));
    let page = quoted(&paths.sweep.with_file_name("sweep.html"));
    let date = date(&SimulationDatabase::open_read_only(&paths.epidemic)?, worst_day)?;
    let (symbol, measured) = (market::SYMBOL, quoted(Path::new(plant::MEASURED)));
    let mut scene = Scene::new("What to try next");
    for command in [
        format!("info {file}"),
        format!("state {file} epidemic towns --at {date}"),
        format!("export {file} -o {tables} --format parquet --what states --overwrite"),
        format!("verify {file}"),
        format!("backup {file} --into {backups} --keep 3"),
        format!("ticks ohlc {ticks} {symbol} --interval 900"),
        format!("runs list {sweep} --where 'params.growth >= 0.06'"),
        format!("runs compare {sweep} foragers_0 foragers_5"),
        format!("info {agent}"),
        format!(
            "query {agent} 'SELECT metadata, count(*), max(performance_score) FROM episodes GROUP BY 1 ORDER BY 3 DESC LIMIT 5'"
        ),
        format!("series plot {file} {measured}"),
        format!("report {sweep} -o {page} --overwrite"),
    ] {
        scene.line(format!("  {silt} {command}"));
    }
    for path in [&file, &sweep, &ticks, &agent] {
        scene.line(format!("In a browser: {silt} view {path}"));
    }
    Ok(scene)
}

/// A word for a shell.
fn quoted(word: &Path) -> String {
    let word = word.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a path with anything in it is one word for a shell.
    #[test]
    fn words_are_quoted() {
        let quoted = |word: &str| super::quoted(Path::new(word));
        assert_eq!(quoted("a/demo.db"), "a/demo.db");
        assert_eq!(quoted("my demo"), "'my demo'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
