//! `silt info`: what a file holds.

mod experiments;
mod facts;

use std::path::PathBuf;

use facts::{Arrays, Dataset, Facts, Series};
use serde_json::{Value, json};
use siltstone::simulation::{SimulationDatabase, Status, Timeline};

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::human;
use crate::table::{Table, bold, cells};
use crate::terminal::escaped;

/// Say what a database holds: the run, its datasets and arrays, series, simulations and their size
///
/// An initial dataset that cannot be read is named on stderr, and all else is reported; the exit code is
/// 1 then.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt info run.db
  silt info run.db --json | jq .run.status")]
pub(crate) struct Args {
    /// The database
    file: PathBuf,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    let db = SimulationDatabase::open_read_only(&args.file)?;
    let facts = Facts::of(&db)?;
    if console.json {
        console.document(&document(args, &facts))?;
    } else {
        print(args, &facts, console)?;
    }
    for (name, why) in &facts.unreadable {
        console.warn(&format!("the initial dataset {name:?} cannot be read: {why}"));
    }
    Ok(if facts.unreadable.is_empty() { Exit::Done } else { Exit::Finding })
}

fn document(args: &Args, facts: &Facts) -> Value {
    let datasets: Vec<Value> = facts.datasets.iter().map(dataset_json).collect();
    let initial: Vec<Value> = (facts.initial.iter())
        .map(|(name, format, bytes)| json!({ "name": name, "format": format, "bytes": bytes }))
        .collect();
    let unreadable: Vec<Value> =
        facts.unreadable.iter().map(|(name, why)| json!({ "name": name, "why": why })).collect();
    let Arrays { stored, references, referenced_bytes, blocks, codecs } = &facts.arrays;
    let codecs: serde_json::Map<_, _> = (codecs.iter())
        .map(|(name, held)| {
            let held =
                json!({ "arrays": held.count, "bytes": held.bytes, "raw_bytes": held.raw_bytes });
            (name.clone(), held)
        })
        .collect();
    let run = &facts.run;
    json!({
        "path": args.file.display().to_string(),
        "bytes": facts.file_bytes,
        "log_bytes": facts.log_bytes,
        "page_size": facts.page_size,
        "schema": facts.schema.iter().cloned().collect::<serde_json::Map<_, _>>(),
        "run": {
            "status": run.status.to_string(),
            "started": run.started_ns.map(human::moment_ns),
            "finished": run.finished_ns.map(human::moment_ns),
            "error": run.error,
            "timeline": run.timeline.map(|line| json!({
                "reference": line.reference,
                "time_scale": line.time_scale,
                "start_time": line.start_time,
            })),
        },
        "datasets": datasets,
        "initial_datasets": initial,
        "unreadable": unreadable,
        "arrays": {
            "stored": stored.count,
            "stored_bytes": stored.bytes,
            "raw_bytes": stored.raw_bytes,
            "references": references,
            "referenced_bytes": referenced_bytes,
            "blocks": blocks,
            "codecs": codecs,
        },
        "memory": facts.memory,
        "experiments": experiments::document(&facts.experiments),
        "keyframes": { "count": facts.keyframes.0, "bytes": facts.keyframes.1 },
        "series": {
            "count": facts.series.count,
            "points": facts.series.points,
            "blocks": facts.series.blocks,
            "compacted_blocks": facts.series.compacted,
            "bytes": facts.series.bytes,
            "datasets": facts.series.datasets,
        },
    })
}

fn dataset_json(dataset: &Dataset) -> Value {
    let groups: Vec<Value> = (dataset.groups.iter())
        .map(|group| json!({ "name": group.name, "updates": group.updates, "attributes": group.attributes }))
        .collect();
    json!({
        "name": dataset.name,
        "updates": dataset.updates,
        "timestamps": dataset.timestamps,
        "first": dataset.first,
        "last": dataset.last,
        "groups": groups,
    })
}

fn print(args: &Args, facts: &Facts, console: &mut Console) -> Outcome<()> {
    let log = match facts.log_bytes {
        0 => String::new(),
        bytes => format!(" and {} of log", human::size(bytes)),
    };
    console.line(format!("{}: {}{log}", args.file.display(), human::size(facts.file_bytes)))?;
    let schema = match (facts.schema.is_empty(), facts.has_updates_table) {
        (true, true) => "of movici, without tables of ours".to_owned(),
        (true, false) => "none yet, the file is empty".to_owned(),
        (false, _) => {
            let stores = facts.schema.iter().map(|(store, version)| format!("{store} {version}"));
            stores.collect::<Vec<_>>().join(", ")
        }
    };
    console.line(format!(
        "  schema      {schema}; pages of {} bytes",
        human::count(facts.page_size)
    ))?;
    print_run(facts, console)?;
    for dataset in &facts.datasets {
        print_dataset(dataset, facts.run.timeline, console)?;
    }
    if !facts.initial.is_empty() {
        let mut table =
            Table::new(["initial dataset", "format", "size"]).width(console.table_width());
        table = table.bold_headers(console.color);
        for (name, format, bytes) in &facts.initial {
            // The rows of an entity-based one are arrays, counted below.
            let size = if *bytes == 0 { "-".into() } else { human::size(*bytes) };
            table.row([name.clone(), format.clone(), size]);
        }
        console.line("")?;
        console.line(table.to_string())?;
    }
    if facts.arrays.stored.count > 0 {
        console.line("")?;
        print_arrays(&facts.arrays, console)?;
    }
    let (keyframes, bytes) = facts.keyframes;
    if keyframes > 0 {
        console.line(format!(
            "{}, {}",
            human::plural(keyframes, "keyframe"),
            human::size(bytes)
        ))?;
    }
    if facts.series.count > 0 {
        print_series(&facts.series, console)?;
    }
    crate::memory::print(&facts.memory, console)?;
    experiments::print(&facts.experiments, console)
}

fn print_series(series: &Series, console: &mut Console) -> Outcome<()> {
    console.line("")?;
    let heading = bold(format!("series {}", human::count(series.count)), console.color);
    console.line(format!(
        "{heading}: {} in {} ({} compacted), {}",
        human::plural(series.points, "point"),
        human::plural(series.blocks, "block"),
        human::count(series.compacted),
        human::size(series.bytes),
    ))?;
    for name in &series.datasets {
        console.line(format!("  dataset {}", escaped(name.clone())))?;
    }
    Ok(())
}

fn print_run(facts: &Facts, console: &mut Console) -> Outcome<()> {
    let run = &facts.run;
    let mut said = run.status.to_string();
    if run.status == Status::Running {
        said.push_str(": it goes on, or it was killed");
    }
    if let Some(error) = &run.error {
        said.push_str(&format!(": {}", escaped(error.clone())));
    }
    if let Some(started) = run.started_ns {
        said.push_str(&format!(", started {}", human::moment_ns(started)));
    }
    if let (Some(started), Some(finished)) = (run.started_ns, run.finished_ns) {
        let took = std::time::Duration::from_nanos(finished.saturating_sub(started).max(0) as u64);
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
    dataset: &Dataset,
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

fn print_arrays(arrays: &Arrays, console: &mut Console) -> Outcome<()> {
    let mut table = Table::new(["arrays", "count", "raw", "stored"]).bold_headers(console.color);
    let Arrays { stored, references, referenced_bytes, blocks, codecs } = arrays;
    let row = |name: &str, count: u64, raw: u64, stored: String| {
        [name.to_owned(), human::count(count), human::size(raw), stored]
    };
    table.row(row("referred to", *references, *referenced_bytes, "-".into()));
    table.row(row("stored once", stored.count, stored.raw_bytes, human::size(stored.bytes)));
    for (name, held) in
        codecs.iter().filter(|_| codecs.len() > 1 || stored.bytes != stored.raw_bytes)
    {
        let name = match name.as_str() {
            "block" => format!("  in {}", human::plural(*blocks, "block")),
            name => format!("  as {name}"),
        };
        table.row(row(&name, held.count, held.raw_bytes, human::size(held.bytes)));
    }
    console.line(table.to_string())?;
    let share = |saved: u64| 100.0 * saved as f64 / (*referenced_bytes).max(1) as f64;
    let shared = referenced_bytes.saturating_sub(stored.raw_bytes);
    let packed = stored.raw_bytes.saturating_sub(stored.bytes);
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
