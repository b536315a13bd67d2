//! `silt pull`: tables of a lake, back into a file.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use siltstone::lake::{PullOptions, pull};

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::{human, interrupt};

/// Bring tables of a lake back into a new file, or a folder of ticks
///
/// Ticks become a new folder, series, memories, experiments and simulations a new database. Each data file is held against its hash in the log. The
/// result gets its name when all is there; of rows that two files have published under one key, --store says which.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt pull s3://bucket/lake -o ticks --table ticks --where day=2026-01-19 --where symbol=EURUSD
  silt pull /mnt/team/lake -o best.db --table run_metrics --where simulation_id=sim_7
  silt pull /mnt/team/lake -o agent.db --store 74c52aa6-9a8e-439a-a7b2-febe89949526")]
pub(crate) struct Args {
    /// The lake: a folder, or s3://bucket/folder, gs://bucket/folder, az://container/folder
    lake: String,

    /// The file or folder to make
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Only this table; may be given several times (default: all)
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,

    /// Only what one file has published: its store_id, as `silt lake ls` prints it
    #[arg(long, value_name = "ID")]
    store: Option<String>,

    /// Only rows with this value, of a column that each of the tables has; may be given several times
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = equation)]
    r#where: Vec<(String, String)>,
}

fn equation(text: &str) -> Result<(String, String), String> {
    let (column, value) = text.split_once('=').ok_or("expected COLUMN=VALUE, as symbol=EURUSD")?;
    Ok((column.to_owned(), value.to_owned()))
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    interrupt::listen();
    let start = Instant::now();
    let mut options = PullOptions::default();
    options.tables = args.table.clone();
    options.store = args.store.clone();
    options.filters = args.r#where.clone();
    let mut bar = console.progress("pulling", "rows");
    let report = pull(&args.lake, &args.output, &options, &mut |done, all| bar.at(done, all));
    bar.end();
    let report = report?;
    let path = args.output.display().to_string();
    if console.json {
        let seconds = start.elapsed().as_secs_f64();
        let (tables, files, bytes) = (&report.tables, report.files, report.bytes);
        console.document(&json!({"lake": args.lake, "path": path, "tables": tables, "files": files, "bytes": bytes,
            "not_pulled": report.not_pulled, "seconds": seconds}))?;
        return Ok(Exit::Done);
    }
    for (name, rows) in &report.tables {
        console.line(format!("{name}: {}", human::plural(*rows, "row")))?;
    }
    for (name, rows) in &report.not_pulled {
        let rows = human::plural(*rows, "row");
        console
            .note(&format!("not pulled: {name} ({rows}), which publishing makes of other tables"));
    }
    let (files, bytes) = (human::plural(report.files, "file"), human::size(report.bytes));
    let took = human::duration(start.elapsed());
    console.line(format!("{path}: made of {files} of {}, {bytes}, in {took}", args.lake))?;
    Ok(Exit::Done)
}
