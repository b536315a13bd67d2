//! `silt export`: a run out of the database, as files for other programs.

use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;
use siltstone::experiment::{ExportOptions as ExperimentOptions, Selection};
use siltstone::simulation::{Content, ExportFormat, ExportOptions, SimulationDatabase, export};
use siltstone::table::Format;

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::{human, interrupt};

/// Export a run, experiments or ticks to JSON, Parquet, Arrow or CSV
///
/// A run leaves as movici's folders of JSON (init_data with the initial datasets as they came, updates with one file for
/// each update), or in another format as one file for each dataset and entity group. Values that JSON does not have
/// (cleared ones, infinities) become null; stderr says how many.
///
/// Experiments leave as one file for each table and simulation, in folders that query engines read as one table with
/// columns for both ids. Ticks leave as one file, --output, whose extension is the format.
///
/// A folder that holds anything is refused unless --overwrite is given. An export that fails removes what it has made.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt export run.db -o run-json
  silt export run.db -o run-parquet --format parquet --what states
  silt export sweep.db -o sweep --table agent_states
  silt export data/ticks/db -o ticks.parquet")]
pub(crate) struct Args {
    /// The database, or a folder of ticks
    file: PathBuf,

    /// The folder; created if missing
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// File format (default: json for a run, parquet for experiments)
    #[arg(long, short, value_parser = formats())]
    format: Option<ExportFormat>,

    /// The rows of a table; JSON files always hold the updates
    #[arg(long, value_enum, default_value_t = What::Updates)]
    what: What,

    /// Only this dataset; may be given several times
    #[arg(long, value_name = "NAME")]
    dataset: Vec<String>,

    /// Of experiments, only this simulation; may be given several times
    #[arg(long, value_name = "ID")]
    simulation: Vec<String>,

    /// Of experiments, only this table; may be given several times
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,

    /// In CSV, put a ' before texts that a spreadsheet would run as formulas (= + - @); numbers stay
    #[arg(long)]
    escape_formulas: bool,

    /// Write into a folder that holds something: replace files of the same name, and remove update
    /// files of another run (with --dataset only those of these datasets); no other file is touched
    #[arg(long)]
    overwrite: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// A row an update and entity: what the update gives
    Updates,
    /// A row a timestamp and entity: the state at that time
    States,
}

fn formats() -> impl TypedValueParser<Value = ExportFormat> {
    PossibleValuesParser::new(["json", "parquet", "arrow", "csv", "jsonl"])
        .try_map(|name| name.parse::<ExportFormat>())
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    interrupt::listen();
    if args.file.is_dir() {
        let others = [&args.dataset, &args.simulation, &args.table];
        if others.iter().any(|given| !given.is_empty()) || matches!(args.what, What::States) {
            return Err(Failure::said(
                "--dataset, --simulation, --table and --what are not for ticks: `silt ticks export` chooses symbols and times",
            ));
        }
        if args.format.is_some() {
            return Err(Failure::said(
                "--format is not for ticks: the extension of --output is the format",
            ));
        }
        siltstone::open_read_only(&args.file)?.ticks()?;
        return crate::ticks::export_all(
            &args.file,
            &args.output,
            args.overwrite,
            args.escape_formulas,
            console,
        );
    }
    let of_experiments = !args.simulation.is_empty() || !args.table.is_empty();
    let has_simulations = crate::runs::has_simulations(&args.file)?;
    if has_simulations && (of_experiments || !crate::runs::has_updates(&args.file)?) {
        let options = ExperimentOptions {
            format: match args.format {
                None => Format::Parquet,
                Some(ExportFormat::Table(format)) => format,
                Some(ExportFormat::Json) => {
                    return Err(Failure::said(
                        "--format json is for a run: experiments are exported as parquet, arrow, csv or jsonl",
                    ));
                }
            },
            tables: args.table.clone(),
            selection: Selection::all(),
            overwrite: args.overwrite,
            escape_formulas: args.escape_formulas,
        };
        return crate::runs::export(&args.file, &args.simulation, &args.output, &options, console);
    }
    let start = Instant::now();
    let db = SimulationDatabase::open_read_only(&args.file)?;
    if db.datasets()?.is_empty()
        && db.database().sql("SELECT 1 FROM sqlite_schema WHERE name = 'series'")?.rows.len() == 1
    {
        let file = args.file.display();
        return Err(Failure::said(format!(
            "{file} has no updates and no simulations: `silt series export` exports series"
        )));
    }
    let options = ExportOptions {
        target: args.output.clone(),
        format: args.format.unwrap_or_default(),
        what: match args.what {
            What::Updates => Content::Updates,
            What::States => Content::States,
        },
        datasets: args.dataset.clone(),
        overwrite: args.overwrite,
        escape_formulas: args.escape_formulas,
    };
    let mut bar = console.progress("exporting", "updates");
    let exported = export(&db, &options, &mut |done, all| bar.at(done, all));
    bar.end();
    let report = exported?;
    if report.lost_values > 0 {
        console.warn(&format!(
            "{} that JSON cannot say (cleared, infinite, or a NaN that is meant) became null",
            human::plural(report.lost_values, "value")
        ));
    }
    let folder = args.output.display().to_string();
    if console.json {
        console.document(&json!({
            "path": folder,
            "files": report.files,
            "bytes": report.bytes,
            "updates": report.updates,
            "rows": report.rows,
            "initial_datasets": report.initial_datasets,
            "lost_values": report.lost_values,
            "removed": report.removed,
            "seconds": start.elapsed().as_secs_f64(),
        }))?;
        return Ok(Exit::Done);
    }
    let rows = match report.rows {
        0 => String::new(),
        n => format!(" in {}", human::plural(n, "row")),
    };
    console.line(format!(
        "{folder}: {}{rows} and {} as {} of {} in {}",
        human::plural(report.updates, "update"),
        human::plural(report.initial_datasets, "initial dataset"),
        human::plural(report.files, "file"),
        human::size(report.bytes),
        human::duration(start.elapsed()),
    ))?;
    if report.removed > 0 {
        let files = human::plural(report.removed, "update file");
        console.line(format!("{files} of another run removed"))?;
    }
    Ok(Exit::Done)
}
