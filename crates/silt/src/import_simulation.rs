//! `silt import states`, `sumo` and `epanet`: files of other simulators into a simulation store.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use siltstone::simulation::{
    FileFormat, FileOptions, FileReport, Layout, Missing, OnRepeat, Options, SimulationDatabase,
    StatesOptions, import_file,
};
use siltstone::{Codec, Durability, Error, Profile};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::import::{finish, stopped, warn_of};
use crate::{human, interrupt};

/// Import a table of states: CSV (also .gz, .zst), Parquet or Arrow
///
/// All rows of a time become one update of a dataset and group. Ids are integers, or texts, which get numbers and stay as an
/// attribute. What the table was taken for is printed on stderr, and what can be read in two ways is refused. A row that is
/// malformed is skipped and named; the exit code is 3. A last line of text without a newline may be cut: it and the rows of its
/// time are left out, with the same exit code; the next import takes them once the line has its newline, or with --finished.
/// What is in the database already is compared: the same stays unchanged, so that the same command resumes an interrupted
/// import and follows a file that grows; what differs is a conflict, skipped and named, and what the database has stays.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "silt import states [OPTIONS] --time <COLUMN> --dataset <NAME> --group <NAME> -o <FILE> <SRC>"
)]
#[command(after_help = "Examples:
  silt import states cars.csv --time t --id car --dataset traffic --group cars -o run.db
  silt import states heat.parquet --time step --wide temperature --dataset plate --group cells -o run.db")]
pub(crate) struct States {
    /// The table
    #[arg(value_name = "SRC")]
    source: PathBuf,

    /// Column of the times: integers, or numbers with --time-unit
    #[arg(long, value_name = "COLUMN")]
    time: String,

    /// Column of the entities' ids; every other one is an attribute
    #[arg(long, value_name = "COLUMN", required_unless_present = "wide", conflicts_with = "wide")]
    id: Option<String>,

    /// A column is an entity, named by its header; the values are those of this attribute
    #[arg(long, value_name = "ATTRIBUTE")]
    wide: Option<String>,

    /// Dataset of the updates
    #[arg(long, value_name = "NAME")]
    dataset: String,

    /// Entity group of the rows
    #[arg(long, value_name = "NAME")]
    group: String,

    /// Columns to take (default: all)
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    columns: Vec<String>,

    /// What an empty cell means, and an entity without a row at a later time: keep the value before, or clear it
    #[arg(long, value_name = "keep|clear", value_parser = |text: &str| text.parse::<Missing>().map_err(|e| e.to_string()))]
    missing: Option<Missing>,

    /// Field separator (default: detected)
    #[arg(long, value_name = "CHAR")]
    separator: Option<char>,

    /// Decimal mark: . or , (default: a point; must be said where numbers may have others)
    #[arg(long, value_name = "CHAR")]
    decimal: Option<char>,

    /// Mark between thousands (default: none)
    #[arg(long, value_name = "CHAR")]
    thousands: Option<char>,

    /// What a timestamp counts, in the unit of the table's times: 0.001 makes milliseconds of seconds
    #[arg(long, value_name = "NUMBER")]
    time_unit: Option<f64>,

    /// Take a last line without a newline as whole (default: it may be cut)
    #[arg(long)]
    finished: bool,

    #[command(flatten)]
    target: Target,
}

/// Import SUMO's floating car data (fcd): XML, CSV (also .gz, .zst) or Parquet
///
/// A timestep becomes one update; vehicles, persons and containers are groups. Their ids are texts: they get numbers and stay
/// as the attribute name. Who leaves becomes undefined. In CSV and Parquet that SUMO writes itself persons stand among the
/// vehicles; XML, and what xml2csv makes of it, tells them apart. Of a file that is still written, or was cut off, the timesteps that
/// are whole are stored; the exit code is 3, and the same command goes on. In CSV a last line without a newline may be
/// cut, unless --finished says otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt import sumo fcd.xml.gz -o traffic.db")]
pub(crate) struct Sumo {
    /// The output
    #[arg(value_name = "SRC")]
    source: PathBuf,

    /// Dataset of the updates
    #[arg(long, default_value = "traffic")]
    dataset: String,

    /// What a timestamp counts, in seconds
    #[arg(long, value_name = "NUMBER", default_value_t = 0.001)]
    time_unit: f64,

    /// Take a last line without a newline as whole (default: it may be cut)
    #[arg(long)]
    finished: bool,

    #[command(flatten)]
    target: Target,
}

pub(crate) fn sumo(args: &Sumo, console: &mut Console) -> Outcome {
    let (dataset, iteration) = (args.dataset.clone(), args.target.iteration);
    let time_unit = Some(args.time_unit);
    let finished = args.finished;
    let options = FileOptions { dataset, iteration, time_unit, finished, ..FileOptions::sumo() };
    import(&args.source, &options, &args.target, console)
}

/// Import EPANET's binary output (.out), of version 2
///
/// A period becomes one update of the groups nodes and links, by EPANET's own numbers; names, types, elevations, lengths,
/// diameters and ends come with the first one. Of a file that is cut off the whole periods are stored; the exit code is 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt import epanet net3.out -o net3.db")]
pub(crate) struct Epanet {
    /// The output
    #[arg(value_name = "SRC")]
    source: PathBuf,

    /// Dataset of the updates
    #[arg(long, default_value = "network")]
    dataset: String,

    /// What a timestamp counts, in seconds
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    time_unit: f64,

    #[command(flatten)]
    target: Target,
}

pub(crate) fn epanet(args: &Epanet, console: &mut Console) -> Outcome {
    let (dataset, iteration) = (args.dataset.clone(), args.target.iteration);
    let time_unit = Some(args.time_unit);
    let options = FileOptions { dataset, iteration, time_unit, ..FileOptions::epanet() };
    import(&args.source, &options, &args.target, console)
}

/// Where a file goes
#[derive(Debug, clap::Args)]
struct Target {
    /// Iteration of the updates; another one for a second file with the same times of the same dataset
    #[arg(long, value_name = "N", default_value_t = 0)]
    iteration: i64,

    /// Read and count only; without --output
    #[arg(long, conflicts_with = "output")]
    dry_run: bool,

    /// What an acknowledged update survives: nothing, a crash of the process, a loss of power
    #[arg(long, default_value = "os", value_parser = crate::import::durabilities())]
    durability: Durability,

    /// The database; created if missing, with the folders above it
    #[arg(long, short, value_name = "FILE", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
}

pub(crate) fn states(args: &States, console: &mut Console) -> Outcome {
    let layout = match (&args.id, &args.wide) {
        (_, Some(attribute)) => Layout::Wide(attribute.clone()),
        (id, None) => Layout::Long(id.clone().unwrap_or_default()),
    };
    let states = StatesOptions {
        time: args.time.clone(),
        layout,
        group: args.group.clone(),
        columns: args.columns.clone(),
        missing: args.missing,
        separator: args.separator,
        decimal: args.decimal,
        thousands: args.thousands,
    };
    let options = FileOptions {
        format: FileFormat::States(states),
        dataset: args.dataset.clone(),
        iteration: args.target.iteration,
        time_unit: args.time_unit,
        finished: args.finished,
    };
    import(&args.source, &options, &args.target, console)
}

fn import(source: &Path, options: &FileOptions, target: &Target, console: &mut Console) -> Outcome {
    interrupt::listen();
    let start = Instant::now();
    let output = target.output.as_ref().filter(|_| !target.dry_run);
    let report = match output {
        None => read(None, source, options, console)?,
        Some(output) => {
            let new = siltstone::NewFile::at(output);
            let stored = store(source, options, (output, target.durability), console);
            new.remove_if_empty(&["update", "initial_dataset"]);
            stored?
        }
    };
    console.note(&format!("{}: {}", source.display(), report.taken_for));
    report.skipped.iter().for_each(|skipped| console.warn(&skipped.to_string()));
    warn_of(&report.conflicts, console);
    let took = start.elapsed();
    if console.json {
        let mut document = json!(report);
        document["path"] = json!(target.output.as_ref().map(|path| path.display().to_string()));
        document["dry_run"] = json!(target.dry_run);
        document["seconds"] = json!(took.as_secs_f64());
        console.document(&document)?;
    } else {
        console.line(format!(
            "{}: {} of {} {} in {}",
            target.output.as_deref().unwrap_or(source).display(),
            human::plural(report.updates, "update"),
            human::plural(report.rows, "row"),
            if target.dry_run { "would be imported" } else { "imported" },
            human::duration(took),
        ))?;
        if report.unchanged > 0 {
            let updates = human::plural(report.unchanged, "update");
            console.line(format!("{updates} unchanged: the database has the same already"))?;
        }
        if report.rows_skipped > 0 {
            let rows = human::plural(report.rows_skipped, "row");
            console.line(format!("{rows} skipped, named on stderr"))?;
        }
        if !report.conflicts.is_empty() {
            let conflicts = human::plural(report.conflicts.len() as u64, "conflict");
            console.line(format!("{conflicts} skipped, the first named on stderr"))?;
        }
    }
    Ok(if report.is_complete() { Exit::Done } else { Exit::Skipped })
}

fn store(
    source: &Path,
    options: &FileOptions,
    (output, durability): (&Path, Durability),
    console: &mut Console,
) -> Outcome<FileReport> {
    let db = SimulationDatabase::open_with(
        output,
        Options {
            durability,
            profile: Profile::Throughput,
            on_repeat: OnRepeat::Replace, // of a file that grows: the last update
            ..Options::default()
        },
    )?;
    let stored = read(Some(&db), source, options, console).and_then(|report| {
        if !report.ends_early {
            finish(Codec::Raw, &db, console)?;
        }
        Ok(report)
    });
    stored.inspect_err(|failure| {
        if !matches!(failure, Failure::Library(Error::Invalid { .. } | Error::NotFound { .. })) {
            stopped(&db, failure, console);
        }
    })
}

fn read(
    db: Option<&SimulationDatabase>,
    source: &Path,
    options: &FileOptions,
    console: &Console,
) -> Outcome<FileReport> {
    let mut bar = console.progress("importing", "updates");
    let report = import_file(db, source, options, &mut |done, all| bar.at(done, all));
    bar.end();
    Ok(report?)
}
