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

/// Write a run, experiments or ticks out as JSON files, Parquet, Arrow, CSV or JSON lines
///
/// JSON writes movici's folders: init_data with the initial datasets as they came,
/// and updates with a file an update. Values that JSON cannot say (cleared ones, infinities) become
/// null; they are counted, and reported on stderr. The other formats give one file a dataset and entity
/// group. Of experiments: a file a table and simulation, in folders that engines read as one table of both ids,
/// as Parquet unless --format says arrow, csv or jsonl. A folder that holds anything is refused unless --overwrite is given. An export that fails
/// removes what it had made. Of a folder of ticks, --to is a file; its extension is the format.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt export run.db --to run-json
  silt export run.db --to run-parquet --format parquet --what states
  silt export sweep.db --to sweep --table agent_states
  silt export data/ticks/db --to ticks.parquet")]
pub(crate) struct Args {
    /// The database, or a folder of ticks
    file: PathBuf,

    /// The folder; made if it is not there
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// The form of the files
    #[arg(long, short, default_value = "json", value_parser = formats())]
    format: ExportFormat,

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
        siltstone::open_read_only(&args.file)?.ticks()?;
        return crate::ticks::export_all(
            &args.file,
            &args.to,
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
                ExportFormat::Table(format) => format,
                ExportFormat::Json => Format::Parquet,
            },
            tables: args.table.clone(),
            selection: Selection::all(),
            overwrite: args.overwrite,
            escape_formulas: args.escape_formulas,
        };
        return crate::runs::export(&args.file, &args.simulation, &args.to, &options, console);
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
        target: args.to.clone(),
        format: args.format,
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
    let folder = args.to.display().to_string();
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
