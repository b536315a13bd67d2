//! What `silt demo` shows in the end: figures, a day in the past, curves, what to try next.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use siltstone::simulation::SimulationDatabase;

use super::agent::Agent;
use super::epidemic::LOCKDOWN;
use super::market::{Market, SYMBOL};
use super::plant::Plant;
use super::sweep::Sweep;
use super::watch::Watched;
use super::{Args, DATASET};
use crate::chart::{self, Canvas, Class};
use crate::console::Console;
use crate::exit::{Failure, Outcome};
use crate::human;
use crate::table::Table;

/// How the four states are drawn; their numbers are the indices.
const CLASSES: [Class<'static>; 4] = [
    Class { name: "susceptible", glyph: '.', ink: 36, rank: 0 },
    Class { name: "exposed", glyph: 'o', ink: 33, rank: 2 },
    Class { name: "infectious", glyph: '#', ink: 31, rank: 3 },
    Class { name: "recovered", glyph: '+', ink: 32, rank: 1 },
];
/// States that are asked for, to see how long one takes.
const SEEKS: i64 = 21;

/// A demo that was recorded.
pub(super) struct Demo<'a> {
    pub(super) args: &'a Args,
    pub(super) path: &'a Path,
    pub(super) db: &'a SimulationDatabase,
    pub(super) watched: &'a Watched,
    pub(super) took: Duration,
    pub(super) market: &'a Market,
    pub(super) plant: &'a Plant,
    pub(super) sweep: &'a Sweep,
    pub(super) agent: &'a Agent,
}

/// Figures of the whole.
struct Figures {
    updates: u64,
    bytes: u64,
    seek: Duration,
    checksums: u64,
}

pub(super) fn show(demo: &Demo<'_>, console: &mut Console) -> Outcome<()> {
    let figures = figures(demo)?;
    let worst_day = demo.watched.worst_day();
    if console.json {
        let mut reads = demo.watched.reads.clone();
        let document = json!({
            "path": demo.path.display().to_string(),
            "days": demo.args.days,
            "people": demo.args.people,
            "updates": figures.updates,
            "bytes": figures.bytes,
            "seconds": demo.took.as_secs_f64(),
            "reads": reads.len(),
            "read_median_seconds": median(&mut reads).as_secs_f64(),
            "seek_median_seconds": figures.seek.as_secs_f64(),
            "checksums": figures.checksums,
            "worst_day": worst_day,
            "infectious": demo.watched.infectious(),
            "ticks": demo.market.document(),
            "series": demo.plant.document(),
            "sweep": demo.sweep.document(),
            "memory": demo.agent.document(),
        });
        console.document(&document)?;
        return Ok(());
    }
    summary(demo, &figures, console)?;
    let (width, height) = console.size();
    let canvas = Canvas {
        width: width.clamp(20, 100),
        height: height.saturating_sub(4).clamp(14, 30),
        color: console.color,
    };
    picture(demo, worst_day, canvas, console)?;
    curves(demo, canvas, console)?;
    market(demo.market, canvas, console)?;
    plant(demo.plant, canvas, console)?;
    sweep(demo.sweep, canvas, console)?;
    agent(demo.agent, console)?;
    next(demo, worst_day, console)
}

/// The middle one; nothing of none.
fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn figures(demo: &Demo<'_>) -> Outcome<Figures> {
    let days = i64::from(demo.args.days);
    let mut seeks = Vec::new();
    for i in 0..SEEKS {
        // Here and there in the run, so that no seek helps the next.
        let day = (i * 8 % SEEKS) * days / SEEKS + 1;
        let start = Instant::now();
        demo.db.state_at(DATASET, "people", day)?;
        seeks.push(start.elapsed());
    }
    let report = demo.db.database().verify()?;
    if let Some(finding) = report.findings.first() {
        return Err(Failure::said(format!("{}: {}", finding.location, finding.what)));
    }
    Ok(Figures {
        updates: demo.db.update_count(None)?,
        bytes: std::fs::metadata(demo.path).map_or(0, |metadata| metadata.len()),
        seek: median(&mut seeks),
        checksums: report.checksums,
    })
}

fn summary(demo: &Demo<'_>, figures: &Figures, console: &mut Console) -> Outcome<()> {
    let mut reads = demo.watched.reads.clone();
    let (count, middle) = (reads.len() as u64, median(&mut reads));
    let most = reads.last().copied().unwrap_or_default();
    let mut table = Table::new(["", ""]);
    table.row([
        "recorded".to_owned(),
        format!(
            "{} in {}, {}",
            human::plural(figures.updates, "update"),
            human::duration(demo.took),
            human::size(figures.bytes)
        ),
    ]);
    table.row([
        "read meanwhile".to_owned(),
        format!(
            "{} at the growing file: {} each, {} at most",
            human::plural(count, "read"),
            human::duration(middle),
            human::duration(most)
        ),
    ]);
    table.row([
        "travel in time".to_owned(),
        format!("all people on any day: {}", human::duration(figures.seek)),
    ]);
    table.row([
        "verified".to_owned(),
        format!("{}, all well", human::plural(figures.checksums, "checksum")),
    ]);
    console.line("")?;
    // A list without headers: the table's first two lines say nothing.
    for line in table.to_string().lines().skip(2) {
        console.line(line)?;
    }
    Ok(())
}

/// The people where they live, as they were on a day.
fn picture(demo: &Demo<'_>, day: usize, canvas: Canvas, console: &mut Console) -> Outcome<()> {
    let people = demo.db.state_at(DATASET, "people", day as i64)?;
    let towns = demo.db.state_at(DATASET, "towns", day as i64)?;
    let floats = |state: &siltstone::simulation::GroupState, name: &str| {
        let column = state.column(name).and_then(|column| column.attribute.data.to_vec::<f64>());
        column.unwrap_or_default()
    };
    let states = people.column("state").and_then(|column| column.attribute.data.to_i64s());
    let positions = floats(&people, "x").into_iter().zip(floats(&people, "y"));
    let points: Vec<(f64, f64, usize)> = positions
        .zip(states.unwrap_or_default())
        .map(|((x, y), state)| (x, y, state as usize))
        .collect();
    let names = towns.column("name").and_then(|column| column.attribute.data.to_strings());
    let names = names.unwrap_or_default();
    let labels: Vec<(f64, f64, &str)> = (floats(&towns, "label_x").into_iter())
        .zip(floats(&towns, "label_y"))
        .zip(&names)
        .map(|((x, y), name)| (x, y, name.as_str()))
        .collect();
    heading(
        &format!("Day {day}, {}, the worst: everybody where they live", date(demo, day)?),
        console,
    )?;
    console.line(chart::map(&points, &CLASSES, &labels, canvas))?;
    Ok(())
}

fn curves(demo: &Demo<'_>, canvas: Canvas, console: &mut Console) -> Outcome<()> {
    let watched = demo.watched;
    let series = [(1, "exposed"), (2, "infectious")].map(|(at, name)| {
        (name, watched.counts.iter().map(|counts| counts[at]).collect::<Vec<_>>())
    });
    let labels: Vec<String> = (0..watched.counts.len()).map(|day| format!("day {day}")).collect();
    let band = [(LOCKDOWN.start as usize..LOCKDOWN.end as usize, "lockdown")];
    heading("How it went: exposed and infectious people, and the lockdown", console)?;
    let canvas = Canvas { height: canvas.height.min(16), ..canvas };
    console.line(chart::lines(&series, &labels, &band, canvas))?;

    let towns = demo.db.state_at(DATASET, "towns", i64::from(demo.args.days))?;
    let names = towns.column("name").and_then(|column| column.attribute.data.to_strings());
    let room = canvas.width.saturating_sub(50).clamp(8, 50);
    let mut table =
        Table::new(["town", "at most per 1,000 in 7 days", "on day", "curve"]).width(canvas.width);
    for (town, name) in names.unwrap_or_default().iter().enumerate() {
        let curve: Vec<f64> = watched
            .incidence
            .iter()
            .map(|day| day.get(town).copied().unwrap_or(f64::NAN))
            .collect();
        let worst = (0..curve.len()).rev().max_by(|a, b| curve[*a].total_cmp(&curve[*b]));
        let worst = worst.unwrap_or(0);
        let highest = curve.get(worst).copied().unwrap_or(0.0);
        table.row([
            name.clone(),
            format!("{highest:.1}"),
            (worst + 1).to_string(),
            chart::sparkline(&curve, room),
        ]);
    }
    console.line("")?;
    console.line(table.to_string())?;
    Ok(())
}

/// The market's day: figures, and the prices at the end of each bar.
fn market(market: &Market, canvas: Canvas, console: &mut Console) -> Outcome<()> {
    heading("A market: four levels of four pairs, several quotes at one time, some late", console)?;
    let mut table = Table::new(["", ""]);
    table.row([
        "ticks".to_owned(),
        format!(
            "{} in {}, {} of them late, one call each: {}/s into the file, none lost",
            human::count(market.ticks),
            human::duration(market.took),
            human::count(market.late),
            human::count(market.rate() as u64),
        ),
    ]);
    table.row([
        "compacted".to_owned(),
        format!(
            "{} to {}: {:.1} to {:.2} bytes a tick, every bit kept",
            human::size(market.bytes_as_rows),
            human::size(market.bytes_compacted),
            market.per_tick(market.bytes_as_rows),
            market.per_tick(market.bytes_compacted),
        ),
    ]);
    table.row([
        "bars".to_owned(),
        format!(
            "{} of five minutes out of the compacted ticks: {}",
            market.bars.len(),
            human::duration(market.bars_took)
        ),
    ]);
    for line in table.to_string().lines().skip(2) {
        console.line(line)?;
    }
    console.line("")?;
    let series = [
        ("high", market.bars.iter().map(|bar| bar.high).collect::<Vec<_>>()),
        ("low", market.bars.iter().map(|bar| bar.low).collect()),
    ];
    let label = |bar: &siltstone::ticks::Bar| {
        let text = human::moment_ns(bar.time_ns);
        text.get(11..16).unwrap_or(&text).to_owned()
    };
    let labels: Vec<String> = market.bars.iter().map(label).collect();
    console.line(format!("{SYMBOL}, the middle of bid and ask"))?;
    let canvas = Canvas { height: canvas.height.min(14), ..canvas };
    console.line(chart::lines(&series, &labels, &[], canvas))?;
    Ok(())
}

/// What a sensor measured, what was done to it, and what came out.
fn plant(plant: &Plant, canvas: Canvas, console: &mut Console) -> Outcome<()> {
    heading(
        "A treatment plant: ammonium at the inlet, and a day on which the sensor was stuck",
        console,
    )?;
    let mut table = Table::new(["", ""]);
    table.row([
        "recorded".to_owned(),
        format!(
            "{} in {}, an append a day, each safe when it returned",
            human::plural(plant.points, "point"),
            human::duration(plant.took)
        ),
    ]);
    table.row([
        "processed".to_owned(),
        format!(
            "{} series in {}, each with its history in the same commit",
            plant.keys.len() - 1,
            human::duration(plant.processed)
        ),
    ]);
    table.row(["compacted".to_owned(), format!("{:.2} bytes a point", plant.bytes_per_point)]);
    for line in table.to_string().lines().skip(2) {
        console.line(line)?;
    }
    for step in &plant.steps {
        console.line(format!("  {step}"))?;
    }
    console.line("")?;
    let [measured, repaired] = plant.hourly.clone();
    let labels: Vec<String> =
        (0..measured.len()).map(|hour| format!("day {}", hour / 24 + 1)).collect();
    let series = [("as measured", measured), ("repaired", repaired)];
    let canvas = Canvas { height: canvas.height.min(14), ..canvas };
    let band = [(plant.fault.clone(), "stuck")];
    console.line(chart::lines(&series, &labels, &band, canvas))?;
    Ok(())
}

/// A sweep: figures, and its simulations beside each other.
fn sweep(sweep: &Sweep, canvas: Canvas, console: &mut Console) -> Outcome<()> {
    heading("A sweep: foragers on a meadow that grows back at six speeds", console)?;
    let mut table = Table::new(["", ""]);
    let simulations = human::plural(sweep.runs.len() as u64, "simulation");
    let rate = sweep.rows as f64 / sweep.took.as_secs_f64().max(1e-9);
    table.row([
        "recorded".to_owned(),
        format!(
            "{} of {simulations} in {} by two threads, each step safe when it returned: {}/s",
            human::plural(sweep.rows, "row"),
            human::duration(sweep.took),
            human::count(rate as u64),
        ),
    ]);
    table.row([
        "compared".to_owned(),
        format!("{simulations} by two metrics in {}", human::duration(sweep.compared)),
    ]);
    let [as_rows, compacted] = sweep.bytes;
    table.row([
        "compacted".to_owned(),
        format!("{as_rows:.0} to {compacted:.1} bytes a state of an agent, every bit kept"),
    ]);
    for line in table.to_string().lines().skip(2) {
        console.line(line)?;
    }
    let room = canvas.width.saturating_sub(56).clamp(12, 40);
    let mut table = Table::new(["simulation", "growth", "population", "mean reward", ""]);
    for (name, growth, population, reward, series) in &sweep.runs {
        table.row([
            name.clone(),
            growth.to_string(),
            population.to_string(),
            format!("{reward:.2}"),
            chart::sparkline(series, room),
        ]);
    }
    console.line("")?;
    console.line(table.to_string())?;
    Ok(())
}

/// An agent: figures, and what it recalls.
fn agent(agent: &Agent, console: &mut Console) -> Outcome<()> {
    heading("An agent: it remembers the rooms of a house", console)?;
    let mut table = Table::new(["", ""]);
    let each = agent.took / (agent.episodes.max(1) as u32);
    table.row([
        "remembered".to_owned(),
        format!(
            "{} with what was seen, each safe when it returned: {} each",
            human::plural(agent.episodes, "episode"),
            human::duration(each),
        ),
    ]);
    table.row([
        "lost".to_owned(),
        format!(
            "{} of {} times the five nearest memories of a dim view say which room it is; a search takes {}",
            agent.right,
            agent.tries,
            human::duration(agent.searched),
        ),
    ]);
    table.row([
        "related".to_owned(),
        format!(
            "each room with the three likest: {}",
            human::plural(agent.relationships, "relationship")
        ),
    ]);
    for line in table.to_string().lines().skip(2) {
        console.line(line)?;
    }
    let mut table = Table::new([
        &*format!("recalled in room {}", agent.room),
        "score",
        "recency",
        "importance",
        "relevance",
    ]);
    for (room, score, terms) in &agent.recalled {
        let [recency, importance, relevance] = terms.map(|x| format!("{x:.2}"));
        table.row([format!("room {room}"), format!("{score:.2}"), recency, importance, relevance]);
    }
    console.line("")?;
    console.line(table.to_string())?;
    Ok(())
}

/// Commands that work on the files just recorded.
fn next(demo: &Demo<'_>, worst_day: usize, console: &mut Console) -> Outcome<()> {
    let silt = program();
    let file = quoted(&demo.path.display().to_string());
    let tables = quoted(&demo.path.with_file_name("tables").display().to_string());
    let ticks = quoted(&demo.market.folder.display().to_string());
    let sweep = quoted(&demo.sweep.file.display().to_string());
    let agent = quoted(&demo.agent.file.display().to_string());
    let backups = quoted(&demo.path.with_file_name("backups").display().to_string());
    heading("What to try next", console)?;
    let date = date(demo, worst_day)?;
    for command in [
        format!("{silt} info {file}"),
        format!("{silt} state {file} epidemic towns --at {date}"),
        format!(
            "{silt} state {file} epidemic people --at {worst_day} --attribute town --attribute load --limit 9"
        ),
        format!(
            "{silt} query {file} 'SELECT origin, count(*), max(timestamp) FROM \"update\" GROUP BY origin'"
        ),
        format!("{silt} export {file} -o {tables} --format parquet --what states --overwrite"),
        format!("{silt} compact {file}"),
        format!("{silt} verify {file}"),
        format!("{silt} backup {file} --into {backups} --keep 3"),
        format!("{silt} ticks ohlc {ticks} {SYMBOL} --interval 900"),
        format!("{silt} verify {ticks}"),
        format!("{silt} runs list {sweep} --where 'params.growth >= 0.06'"),
        format!("{silt} runs compare {sweep} foragers_0 foragers_5"),
        format!("{silt} runs show {sweep} foragers_3"),
        format!("{silt} info {agent}"),
        format!(
            "{silt} query {agent} 'SELECT metadata, count(*), max(performance_score) FROM episodes GROUP BY 1 ORDER BY 3 DESC LIMIT 5'"
        ),
        format!("{silt} series ls {file}"),
        format!("{silt} series plot {file} {}", quoted(&demo.plant.keys[0])),
    ] {
        console.line(format!("  {command}"))?;
    }
    Ok(())
}

fn date(demo: &Demo<'_>, day: usize) -> Outcome<String> {
    let timeline = demo.db.run()?.timeline;
    let moment = timeline.map(|line| human::moment(line.seconds_of(day as i64)));
    Ok(moment.map_or_else(|| day.to_string(), |moment| moment.chars().take(10).collect()))
}

fn heading(text: &str, console: &mut Console) -> Outcome<()> {
    console.line("")?;
    match console.color {
        true => console.line(format!("\u{1b}[1m{text}\u{1b}[0m"))?,
        false => console.line(text)?,
    }
    Ok(())
}

/// How the user called this program: a bare name is found again, a path too.
fn program() -> String {
    let name = std::env::args_os().next().unwrap_or_else(|| "silt".into());
    quoted(&name.to_string_lossy())
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a path with anything in it is one word for a shell.
    #[test]
    fn words_are_quoted() {
        assert_eq!(quoted("a/demo.db"), "a/demo.db");
        assert_eq!(quoted("my demo"), "'my demo'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
