//! `silt report`: what is in a file or a folder of ticks, as one page to keep or to mail.

use std::path::PathBuf;

use serde_json::json;
use siltstone_viewer::Include;

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::{human, interrupt};

/// Write a page with an overview and pictures, to be kept or mailed
///
/// One HTML file that needs no server, no script and no network: the overview of a file or a folder of ticks, and pictures
/// of series, simulations and symbols, in light and dark colours. Without --include these are the overview, and the first
/// series, the last simulations and the first symbols; what is left out is said. The file is written whole or not at all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt report run.db -o report.html
  silt report plant.db -o flow.html --include 'overview,series=flow/raw/flow_RAW#1'
  silt report sweep.db -o sweep.html --include run=foragers_0,run=foragers_5")]
pub(crate) struct Args {
    /// The database, or a folder of ticks
    file: PathBuf,

    /// The page
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Parts, with commas between: overview, series=KEY, run=ID, ticks=SYMBOL; may be given several times
    #[arg(long, value_name = "PARTS")]
    include: Vec<String>,

    /// Replace a file of that name
    #[arg(long)]
    overwrite: bool,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    interrupt::listen();
    let output = args.output.display();
    if !args.overwrite && args.output.symlink_metadata().is_ok() {
        return Err(Failure::said(format!(
            "the file {output} exists already; choose another name, or pass --overwrite to replace it"
        )));
    }
    if let (Ok(read), Ok(written)) = (args.file.canonicalize(), args.output.canonicalize())
        && read == written
    {
        return Err(Failure::said(format!(
            "{output} is the file that is read; choose another name"
        )));
    }
    let mut include = Vec::new();
    for parts in &args.include {
        include.extend(Include::list(parts)?);
    }
    let made = siltstone::interruptible(interrupt::is_set, || {
        siltstone_viewer::report(&args.file, &include)
    })?;
    interrupt::check("writing the report")?;
    siltstone::write_file(&args.output, made.html.as_bytes())?;
    if console.json {
        console.document(&json!({
            "path": args.output.display().to_string(),
            "bytes": made.html.len(),
            "pictures": made.pictures,
            "left_out": made.left_out,
        }))?;
        return Ok(Exit::Done);
    }
    for sentence in &made.left_out {
        console.note(sentence);
    }
    console.line(format!(
        "{output}: {} in {}",
        human::plural(made.pictures as u64, "picture"),
        human::size(made.html.len() as u64)
    ))?;
    Ok(Exit::Done)
}
