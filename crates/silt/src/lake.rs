//! `silt lake`: look at a lake, check it, and remove what no table has.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;
use siltstone::lake::{self, tables};

use crate::console::Console;
use crate::exit::{Exit, Outcome};
use crate::table::Table;
use crate::{human, interrupt};

/// List, verify and clean a lake that files publish to
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt lake ls s3://bucket/lake
  silt lake verify /mnt/team/lake agent.db
  silt lake remove /mnt/team/lake 74c52aa6-9a8e-439a-a7b2-febe89949526
  silt lake vacuum /mnt/team/lake --dry-run")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Ls(Ls),
    Verify(Verify),
    Remove(Remove),
    Vacuum(Vacuum),
}

/// List the tables of a lake and the files that publish to them
///
/// By the logs of the tables alone, or the ledger of a server: no data file and no row is read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt lake ls s3://bucket/lake
  silt lake ls postgresql://me@server/plant")]
struct Ls {
    /// The lake: a folder, or s3://bucket/folder, gs://bucket/folder, az://container/folder; or postgresql://USER@HOST/DATABASE
    lake: String,
}

/// Check a lake against its logs, and against a file that publishes to it
///
/// Each data file is read and held against the log of its table: size, rows, and the hash of the rows; of a server each row, against
/// its ledger. With a file, each
/// segment that it has published is compared with its rows now: what differs or is not published is named. Nothing is
/// changed. The exit code is 0 if all is well and 1 if anything was found; each finding is a line on stdout.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt lake verify s3://bucket/lake
  silt lake verify /mnt/team/lake agent.db")]
struct Verify {
    /// The lake: a folder, or s3://bucket/folder, gs://bucket/folder, az://container/folder; or postgresql://USER@HOST/DATABASE
    lake: String,

    /// A database or a folder of ticks that publishes to it
    file: Option<PathBuf>,
}

/// Remove what one file has published from the tables of a lake
///
/// By the id that `silt lake ls` prints. Tables lose its rows, each in one commit; readers of older versions find them until
/// `silt lake vacuum` removes the data files. The file itself is not touched. If it publishes once more, it is refused;
/// `silt publish --rebuild-ledger` sends all of it again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt lake remove s3://bucket/lake 74c52aa6-9a8e-439a-a7b2-febe89949526
  silt lake remove s3://bucket/lake 74c52aa6-9a8e-439a-a7b2-febe89949526 --yes")]
struct Remove {
    /// The lake: a folder, or s3://bucket/folder, gs://bucket/folder, az://container/folder
    lake: String,

    /// The id of the file
    store_id: String,

    /// Remove the rows (default: only print what would be removed)
    #[arg(long)]
    yes: bool,
}

/// Remove data files that no table of a lake has any more
///
/// Those that were replaced or removed, and those that were sent and never committed, both if it was longer ago than
/// --older-than. Only Parquet files in the folders of tables are removed, and what a test of the store has left; logs and
/// checkpoints stay. Readers of an older version of a table find its files for as long as --older-than says.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt lake vacuum s3://bucket/lake --dry-run
  silt lake vacuum /mnt/team/lake --older-than 30d")]
struct Vacuum {
    /// The lake: a folder, or s3://bucket/folder, gs://bucket/folder, az://container/folder
    lake: String,

    /// How long ago a file must have been replaced, removed or sent, as 48h or 30d: two days or more
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = crate::ticks::interval)]
    older_than: i64,

    /// Print what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,

    /// Nobody publishes to this lake until the command has ended: allow less than two days
    #[arg(long)]
    no_senders: bool,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    match &args.what {
        What::Ls(args) => ls(args, console),
        What::Verify(args) => verify(args, console),
        What::Remove(args) => remove(args, console),
        What::Vacuum(args) => vacuum(args, console),
    }
}

fn ls(args: &Ls, console: &mut Console) -> Outcome {
    let found = tables(&args.lake)?;
    if console.json {
        console.document(&json!({"lake": args.lake, "tables": found}))?;
        return Ok(Exit::Done);
    }
    let mut list = Table::new(["table", "version", "files", "rows", "size"]);
    let mut senders =
        Table::new(["table", "store_id", "machine", "file", "rows", "commits", "last"]);
    for table in &found {
        let count = |rows: Option<u64>| rows.map_or_else(|| "unknown".into(), human::count);
        let rows = count(table.rows);
        let (version, files) = (table.version.to_string(), human::count(table.files));
        list.row([table.name.clone(), version, files, rows, human::size(table.bytes)]);
        for sender in &table.senders {
            let last = sender.last_ms.map(|ms| human::moment(ms as f64 / 1_000.0));
            let (store, commits) = (sender.store_id.clone(), sender.commits.to_string());
            let name = |name: &Option<String>| name.clone().unwrap_or_default();
            let (host, file) = (name(&sender.host), name(&sender.file));
            let (rows, last) = (count(sender.rows), last.unwrap_or_default());
            senders.row([table.name.clone(), store, host, file, rows, commits, last]);
        }
    }
    for table in [list, senders] {
        let table = table.bold_headers(console.color).width(console.table_width());
        console.line(format!("{table}\n"))?;
    }
    Ok(Exit::Done)
}

fn verify(args: &Verify, console: &mut Console) -> Outcome {
    interrupt::listen();
    let handle = args.file.as_ref().map(siltstone::open_read_only).transpose()?;
    let mut bar = console.progress("verifying", "files and segments");
    let report = lake::verify(&args.lake, handle.as_ref(), &mut |done, all| bar.at(done, all));
    bar.end();
    let report = report?;
    let sum = |of: fn(&lake::CheckedTable) -> u64| report.tables.values().map(of).sum::<u64>();
    let mut looked_at = format!(
        "{} and {} read",
        human::plural(sum(|table| table.files), "file"),
        human::plural(sum(|table| table.rows), "row"),
    );
    if handle.is_some() {
        let compared = human::plural(sum(|table| table.compared), "segment");
        looked_at += &format!(", {compared} compared with the file");
    }
    let without = sum(|table| table.without_hash);
    if without > 0 {
        let files = human::plural(without, "file");
        looked_at += &format!("; {files} of other writers: their rows are counted, not checked");
    }
    crate::verify::print(
        Path::new(&args.lake),
        &report.findings,
        json!(report),
        &looked_at,
        console,
    )
}

fn remove(args: &Remove, console: &mut Console) -> Outcome {
    let removed = lake::remove(&args.lake, &args.store_id, !args.yes)?;
    if console.json {
        let (lake, store) = (&args.lake, &args.store_id);
        console.document(
            &json!({"lake": lake, "store_id": store, "done": args.yes, "tables": removed}),
        )?;
        return Ok(Exit::Done);
    }
    let done = if args.yes { "removed" } else { "would be removed" };
    for (name, table) in &removed {
        let rows = table.rows.map_or_else(|| "rows".into(), |n| human::plural(n, "row"));
        console.line(format!("{name}: {rows} in {} {done}", human::plural(table.files, "file")))?;
    }
    if !args.yes {
        console.note("dry run; pass --yes to apply");
    }
    Ok(Exit::Done)
}

fn vacuum(args: &Vacuum, console: &mut Console) -> Outcome {
    interrupt::listen();
    let mut options = lake::VacuumOptions::default();
    options.older_than = Duration::from_nanos(args.older_than as u64);
    options.dry_run = args.dry_run;
    options.no_senders = args.no_senders;
    let mut bar = console.progress("removing", "files");
    let report = lake::vacuum(&args.lake, &options, &mut |done, all| bar.at(done, all));
    bar.end();
    let report = report?;
    if console.json {
        let (files, bytes) = (&report.files, report.bytes);
        let document = json!({"lake": args.lake, "files": files, "freed_bytes": bytes, "dry_run": args.dry_run});
        console.document(&document)?;
        return Ok(Exit::Done);
    }
    for file in &report.files {
        console.line(crate::terminal::escaped(file.name.clone()))?;
    }
    let (files, bytes) =
        (human::plural(report.files.len() as u64, "file"), human::size(report.bytes));
    let done = if args.dry_run { "would be given back" } else { "given back" };
    console.line(format!("{}: {files}, {bytes} {done}", args.lake))?;
    Ok(Exit::Done)
}
