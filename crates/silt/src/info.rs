//! `silt info`: what a file holds.

mod experiments;

use std::path::PathBuf;

use siltstone::series::SeriesSummary;
use siltstone::simulation::{
    ArraysSummary, DatasetSummary, RunSummary, Status, Timeline, Unreadable,
};
use siltstone::{FileInfo, Info};

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::human;
use crate::table::{Table, bold, cells};
use crate::terminal::escaped;

/// Show what a database or a folder of ticks holds, and its size
///
/// An initial dataset that cannot be read is named on stderr, and all else is reported; the exit code is
/// 1 then.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt info run.db
  silt info data/ticks/db
  silt info run.db --json | jq .run.status")]
pub(crate) struct Args {
    /// The database, or a folder of ticks
    file: PathBuf,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    let info = siltstone::open_read_only(&args.file)?.info()?;
    if console.json {
        console.document(&serde_json::to_value(&info).expect("names and numbers are JSON"))?;
    }
    let info = match info {
        Info::File(info) => info,
        Info::Ticks(info) => {
            if !console.json {
                crate::ticks::print_info(&info, console)?;
            }
            return Ok(Exit::Done);
        }
        other => unreachable!("the command knows all kinds: {other:?}"),
    };
    if !console.json {
        print(&info, console)?;
    }
    let unreadable = &info.simulation.unreadable;
    for Unreadable { name, why, .. } in unreadable {
        console.warn(&format!("the initial dataset {name:?} cannot be read: {why}"));
    }
    Ok(if unreadable.is_empty() { Exit::Done } else { Exit::Finding })
}

fn print(info: &FileInfo, console: &mut Console) -> Outcome<()> {
    let simulation = &info.simulation;
    let log = match info.log_bytes {
        0 => String::new(),
        bytes => format!(" and {} of log", human::size(bytes)),
    };
    console.line(format!("{}: {}{log}", info.path.display(), human::size(info.bytes)))?;
    let schema = match (info.schema.is_empty(), simulation.has_updates) {
        (true, true) => "of movici, without tables of ours".to_owned(),
        (true, false) => "none yet, the file is empty".to_owned(),
        (false, _) => {
            let stores = info.schema.iter().map(|(store, version)| format!("{store} {version}"));
            stores.collect::<Vec<_>>().join(", ")
        }
    };
    console
        .line(format!("  schema      {schema}; pages of {} bytes", human::count(info.page_size)))?;
    print_run(&simulation.run, console)?;
    for dataset in &simulation.datasets {
        print_dataset(dataset, simulation.run.timeline, console)?;
    }
    if !simulation.initial_datasets.is_empty() {
        let mut table =
            Table::new(["initial dataset", "format", "size"]).width(console.table_width());
        table = table.bold_headers(console.color);
        for dataset in &simulation.initial_datasets {
            // The rows of an entity-based one are arrays, counted below.
            let size = if dataset.bytes == 0 { "-".into() } else { human::size(dataset.bytes) };
            table.row([dataset.name.clone(), dataset.format.clone(), size]);
        }
        console.line("")?;
        console.line(table.to_string())?;
    }
    if simulation.arrays.stored > 0 {
        console.line("")?;
        print_arrays(&simulation.arrays, console)?;
    }
    let keyframes = &simulation.keyframes;
    if keyframes.count > 0 {
        console.line(format!(
            "{}, {}",
            human::plural(keyframes.count, "keyframe"),
            human::size(keyframes.bytes)
        ))?;
    }
    if info.series.count > 0 {
        print_series(&info.series, console)?;
    }
    if info.schema.contains_key("ticks") {
        let ticks = &info.ticks;
        console.line("")?;
        let n = human::plural(ticks.rows + ticks.compacted, "tick");
        console.line(format!(
            "{} of {}, {} compacted",
            bold(n, console.color),
            human::plural(ticks.symbols, "symbol"),
            human::count(ticks.compacted)
        ))?;
    }
    crate::memory::print(&info.memory, console)?;
    experiments::print(&info.experiments, console)
}

fn print_series(series: &SeriesSummary, console: &mut Console) -> Outcome<()> {
    console.line("")?;
    let heading = bold(format!("series {}", human::count(series.count)), console.color);
    console.line(format!(
        "{heading}: {} in {} ({} compacted), {}",
        human::plural(series.points, "point"),
        human::plural(series.blocks, "block"),
        human::count(series.compacted_blocks),
        human::size(series.bytes),
    ))?;
    for name in &series.datasets {
        console.line(format!("  dataset {}", escaped(name.clone())))?;
    }
    Ok(())
}

fn print_run(run: &RunSummary, console: &mut Console) -> Outcome<()> {
    let mut said = run.status.to_string();
    if run.status == Status::Running {
        said.push_str(": it goes on, or it was killed");
    }
    if let Some(error) = &run.error {
        said.push_str(&format!(": {}", escaped(error.clone())));
    }
    if let Some(started) = &run.started {
        said.push_str(&format!(", started {started}"));
    }
    if let Some(took) = run.took_ns {
        let took = std::time::Duration::from_nanos(took);
        said.push_str(&format!(", took {}", human::duration(took)));
    }
    console.line(format!("  run         {said}"))?;
    if let Some(Timeline { reference, time_scale, .. }) = run.timeline {
        let reference = human::moment(reference);
        console.line(format!("  timeline    0 is {reference}, a step is {time_scale} s"))?;
    }
    Ok(())
}

fn print_dataset(
    dataset: &DatasetSummary,
    timeline: Option<Timeline>,
    console: &mut Console,
) -> Outcome<()> {
    let moments = match timeline {
        Some(line) => {
            let [first, last] =
                [dataset.first, dataset.last].map(|at| human::moment(line.seconds_of(at)));
            format!(" ({first} to {last})")
        }
        None => String::new(),
    };
    console.line("")?;
    let heading = bold(format!("dataset {}", escaped(dataset.name.clone())), console.color);
    console.line(format!(
        "{heading}: {} at {}, {} to {}{moments}",
        human::plural(dataset.updates, "update"),
        human::plural(dataset.timestamps, "timestamp"),
        dataset.first,
        dataset.last,
    ))?;
    for group in &dataset.groups {
        let updates = human::plural(group.updates, "update");
        let attributes: Vec<&String> =
            group.attributes.iter().filter(|name| *name != "id").collect();
        let text = match attributes.is_empty() {
            true => format!("{}: {updates}", group.name),
            false => {
                let last = attributes.len() - 1;
                let words = attributes.iter().enumerate();
                let words =
                    words.map(|(i, name)| format!("{name}{}", if i < last { "," } else { "" }));
                let words: Vec<String> = words.collect();
                format!("{}: {updates} of {}", group.name, words.join(" "))
            }
        };
        for line in wrapped(&escaped(text), console.table_width().saturating_sub(2)) {
            console.line(format!("  {line}"))?;
        }
    }
    Ok(())
}

/// The text in lines of at most `width` cells, broken at spaces; all but the first are indented.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if cells(line) + 1 + cells(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("    {word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn print_arrays(arrays: &ArraysSummary, console: &mut Console) -> Outcome<()> {
    let mut table = Table::new(["arrays", "count", "raw", "stored"]).bold_headers(console.color);
    let ArraysSummary { stored, stored_bytes, raw_bytes, .. } = *arrays;
    let row = |name: &str, count: u64, raw: u64, stored: String| {
        [name.to_owned(), human::count(count), human::size(raw), stored]
    };
    table.row(row("referred to", arrays.references, arrays.referenced_bytes, "-".into()));
    table.row(row("stored once", stored, raw_bytes, human::size(stored_bytes)));
    for (name, held) in
        arrays.codecs.iter().filter(|_| arrays.codecs.len() > 1 || stored_bytes != raw_bytes)
    {
        let name = match name.as_str() {
            "block" => format!("  in {}", human::plural(arrays.blocks, "block")),
            name => format!("  as {name}"),
        };
        table.row(row(&name, held.arrays, held.raw_bytes, human::size(held.bytes)));
    }
    console.line(table.to_string())?;
    let share = |saved: u64| 100.0 * saved as f64 / arrays.referenced_bytes.max(1) as f64;
    let shared = arrays.referenced_bytes.saturating_sub(raw_bytes);
    let packed = raw_bytes.saturating_sub(stored_bytes);
    console.line(format!(
        "equal arrays stored once save {} ({:.0}%), codecs {} ({:.0}%)",
        human::size(shared),
        share(shared),
        human::size(packed),
        share(packed),
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every word is there, no line is too long unless one word is.
    #[test]
    fn long_lines_are_broken() {
        assert_eq!(wrapped("a bb ccc dddd", 6), ["a bb", "    ccc", "    dddd"]);
        assert_eq!(wrapped("a bb ccc dddd", 12), ["a bb ccc", "    dddd"]);
        assert_eq!(wrapped("a bb", usize::MAX), ["a bb"]);
    }
}
