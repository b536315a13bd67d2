//! `silt import influx`: files of InfluxDB into a series store.

use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use serde_json::json;
use siltstone::series::{
    DryRunBackend, InfluxOptions, InfluxReport, SqliteBackend, StorageBackend, TimeUnit,
    import_influx,
};

use crate::console::Console;
use crate::exit::{Exit, Inputs, Outcome};
use crate::{human, interrupt};

/// Import series of InfluxDB: annotated CSV and line protocol
///
/// Which of the two a file is, its content says, and the command prints it. Files may be packed by gzip or zstd. A measurement, its tags
/// and a field are one series, MEASUREMENT,TAG=VALUE/FIELD, with times of UTC. A line that cannot be read, a last line without an
/// end, and points that the database has with another value are skipped and named; the exit code is 3. Points that are there
/// already change nothing, so that the same command takes what a file got meanwhile.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt import influx query.csv -o plant.db
  silt import influx export.lp.gz --key plant -o plant.db
  silt import influx telegraf.lp --time-unit s --dry-run")]
pub(crate) struct Influx {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// What stands before the key of each series: KEY/MEASUREMENT,TAG=VALUE/FIELD
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    key: Option<String>,

    /// Unit of the timestamps of line protocol: s, ms, us or ns (default: ns, unless that makes them times of 1970)
    #[arg(long, value_name = "UNIT")]
    time_unit: Option<TimeUnit>,

    /// Take a last line without a newline as whole (default: it may be cut)
    #[arg(long)]
    finished: bool,

    /// Read all of it, say what was understood and, with --output, what would be new there; store nothing
    #[arg(long)]
    dry_run: bool,

    /// The database; created if missing, with the folders above it
    #[arg(long, short, value_name = "FILE", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
}

pub(crate) fn import(args: &Influx, console: &mut Console) -> Outcome {
    interrupt::listen();
    let Some(output) = args.output.as_ref().filter(|_| !args.dry_run) else {
        let there = args.output.as_ref().filter(|output| output.exists());
        let stored = there.map(|path| super::open_read_only(&format!("sqlite:{}", path.display())));
        let stored = stored.transpose()?;
        return files(args, &DryRunBackend::over(stored.as_deref(), "a new store"), console);
    };
    let target = siltstone::NewFile::at(output);
    let imported = SqliteBackend::open(output)
        .map_err(Into::into)
        .and_then(|backend| files(args, &backend, console));
    target.remove_if_empty(&["series", "series_record"]);
    imported
}

fn files(args: &Influx, backend: &dyn StorageBackend, console: &mut Console) -> Outcome {
    let options = InfluxOptions {
        key: args.key.clone(),
        time_unit: args.time_unit,
        names_all: args.dry_run,
        finished: args.finished,
    };
    let (mut exit, mut inputs, mut all) = (Exit::Done, Inputs::default(), Vec::new());
    for file in &args.files {
        let mut bar = console.progress("importing", "series");
        let progress = &mut |done, all| bar.at(done, all);
        let imported = import_influx(backend, file, &options, progress);
        bar.end();
        let Some(report) = inputs.take(file, imported.map_err(Into::into))? else { continue };
        console.note(&format!("{}: {}", file.display(), report.taken_for));
        report.notes.iter().for_each(|note| console.note(&format!("  note: {note}")));
        report.skipped.iter().for_each(|skipped| console.warn(&skipped.to_string()));
        if !report.skipped.is_empty() {
            exit = Exit::Skipped;
        }
        if console.json {
            let mut document = json!(report);
            document["file"] = json!(file.display().to_string());
            all.push(document);
        } else {
            console.line(in_words(args, file, &report))?;
        }
    }
    let is_partial = inputs.end(console)?;
    if console.json {
        let path = args.output.as_ref().map(|path| path.display().to_string());
        console.document(&json!({ "path": path, "dry_run": args.dry_run, "files": all }))?;
    }
    Ok(if is_partial { Exit::Skipped } else { exit })
}

fn in_words(args: &Influx, file: &Path, report: &InfluxReport) -> String {
    let repeated = match report.repeated {
        0 => String::new(),
        n => format!("; {} written again later in the file", human::plural(n, "point")),
    };
    format!(
        "{}: {} of {} series {}, {} unchanged{repeated}",
        args.output.as_deref().unwrap_or(file).display(),
        human::plural(report.added, "point"),
        human::count(report.series),
        if args.dry_run { "would be added" } else { "added" },
        human::count(report.unchanged),
    )
}
