//! `silt publish` and `silt sync`: what a lake has not yet.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use siltstone::lake::{PublishOptions, PublishReport, publish};
use siltstone::{Handle, Watch};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::{human, interrupt};

/// Publish to a lake: Parquet files with a Delta log
///
/// Sends what the lake does not have yet of a database or a folder of ticks, replaces what has changed, and removes what is gone; each row is there once,
/// whatever fails in between. DuckDB, Polars, Spark and DataFusion read the tables. Other programs may use the database
/// meanwhile. Run the same command again to resume.
///
/// Credentials come from the environment (AWS_ACCESS_KEY_ID and others) or from the machine's own identity, never from the
/// address.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt publish data/ticks/db --to s3://bucket/lake
  silt publish agent.db --to /mnt/team/lake --table episodes
  AWS_ENDPOINT_URL=http://minio:9000 AWS_ALLOW_HTTP=true silt publish sweep.db --to s3://runs/lake")]
pub(crate) struct Args {
    #[command(flatten)]
    what: What,
}

/// Publish again and again while a file is written
///
/// As `silt publish`, repeated until Ctrl-C. What still grows is sent in small files, which become large ones when a period
/// is over. An error of the network is reported, and tried again at the next turn. While nothing is written to the database,
/// neither it nor the lake is looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt sync data/ticks/db --to s3://bucket/lake --every 5s")]
pub(crate) struct SyncArgs {
    #[command(flatten)]
    what: What,

    /// The time from one turn to the next, as 5s, 2m or 1h
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = crate::ticks::interval)]
    every: i64,
}

#[derive(Debug, Clone, clap::Args)]
struct What {
    /// The database, or a folder of ticks
    file: PathBuf,

    /// The lake: a folder, s3://bucket/folder, gs://bucket/folder or az://container/folder; or postgresql://USER@HOST/DATABASE
    #[arg(long, value_name = "ADDRESS")]
    to: String,

    /// Only this table; may be given several times (default: all)
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,

    /// Publish the states of simulations at the multiples of N too, from the first update to the last one: the table
    /// simulation_states
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    states_every: Option<i64>,

    /// Publish the states of simulations at this time too; may be given several times. Without these two options, states that
    /// the lake has are kept up to date
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    state_at: Vec<i64>,

    /// How much the files that are made and sent may take in memory at once, as 256M or 1G: 64M or more. SQLite and the ledger
    /// come on top, some 50 MB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_memory: Option<u64>,

    /// Take what the lake says of this file as what was published, after a restored backup: what the file does not have any
    /// more is removed from the lake
    #[arg(long)]
    rebuild_ledger: bool,

    /// Publish a copy of a file under a name of its own: all of it is sent
    #[arg(long, conflicts_with = "rebuild_ledger")]
    new_identity: bool,
}

/// A number of bytes, with K, M or G for powers of 1,024.
fn size(text: &str) -> Result<u64, String> {
    let (digits, bits) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 10),
        Some((at, 'M' | 'm')) => (&text[..at], 20),
        Some((at, 'G' | 'g')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << bits));
    bytes.ok_or_else(|| {
        "expected a number of bytes, or one with K, M or G behind it, as 256M".into()
    })
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    interrupt::listen();
    let start = Instant::now();
    let handle = open(&args.what.file, console)?;
    let report = once(&args.what, &handle, false, console)?;
    say_left_out(&report, console);
    print(&args.what, &report, start, console)?;
    match failed(&report) {
        None => Ok(Exit::Done),
        Some(lines) => {
            lines.iter().for_each(|line| console.warn(line));
            Err(Failure::said(format!(
                "{} not published",
                human::plural(lines.len() as u64, "table")
            )))
        }
    }
}

pub(crate) fn sync(args: &SyncArgs, console: &mut Console) -> Outcome {
    interrupt::listen();
    let every = Duration::from_nanos(args.every as u64);
    let handle = open(&args.what.file, console)?;
    let mut what = args.what.clone();
    let mut is_first = true;
    let mut watch = match &handle {
        Handle::File(db) => Some(db.watch()?),
        _ => None, // a folder of ticks tells by the times of its files
    };
    let mut has_all = false;
    loop {
        let start = Instant::now();
        let has_changed = match watch.as_mut().map_or(Ok(true), Watch::has_changed) {
            Err(siltstone::Error::Busy { .. }) => true, // who publishes says so
            other => other?,
        };
        if has_all && !has_changed {
            wait(start, every)?;
            continue;
        }
        let done = once(&what, &handle, true, console);
        has_all = done.as_ref().is_ok_and(PublishReport::is_empty);
        if done.as_ref().is_ok_and(|report| report.failed.is_empty()) {
            (what.rebuild_ledger, what.new_identity) = (false, false); // once is enough
        }
        match done {
            Ok(report) => {
                if std::mem::take(&mut is_first) {
                    say_left_out(&report, console);
                }
                if !report.is_empty() {
                    print(&what, &report, start, console)?;
                    console.flush()?;
                    failed(&report).iter().flatten().for_each(|line| console.warn(line));
                }
            }
            // It may be better next time; whatever else is wrong stays wrong.
            Err(error @ (siltstone::Error::Server { .. } | siltstone::Error::Busy { .. })) => {
                console.warn(&format!("{error}; the next turn is in {}", human::duration(every)));
            }
            Err(error) => return Err(error.into()),
        }
        wait(start, every)?;
    }
}

/// Waits for the next turn.
fn wait(start: Instant, every: Duration) -> siltstone::Result<()> {
    while start.elapsed() < every {
        interrupt::check("waiting for the next turn")?;
        let left = every.saturating_sub(start.elapsed());
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
    Ok(())
}

/// A folder of ticks is read only: another process writes it.
fn open(path: &Path, console: &mut Console) -> Result<Handle, Failure> {
    if path.is_dir() {
        return Ok(siltstone::open_read_only(path)?);
    }
    Ok(Handle::File(crate::write::open(path, console)?.database().clone()))
}

fn once(
    what: &What,
    handle: &Handle,
    live: bool,
    console: &mut Console,
) -> siltstone::Result<PublishReport> {
    let mut options = PublishOptions::default();
    options.tables = what.table.clone();
    options.states_every = what.states_every;
    options.state_times = what.state_at.clone();
    options.live = live;
    options.max_memory = what.max_memory;
    options.rebuild_ledger = what.rebuild_ledger;
    options.new_identity = what.new_identity;
    let mut bar = console.progress("publishing", "segments");
    let report = publish(handle, &what.to, &options, &mut |done, all| bar.at(done, all));
    bar.end();
    report
}

fn print(
    what: &What,
    report: &PublishReport,
    start: Instant,
    console: &mut Console,
) -> Outcome<()> {
    let path = what.file.display().to_string();
    if console.json {
        let seconds = start.elapsed().as_secs_f64();
        let PublishReport { tables, failed, not_published, .. } = report;
        console
            .document(&json!({"path": path, "to": what.to, "tables": tables, "failed": failed,
            "not_published": not_published, "seconds": seconds}))?;
        return Ok(());
    }
    if report.is_empty() {
        console.line(format!("{path}: {} has all of it", what.to))?;
    }
    for (name, table) in &report.tables {
        let removed = match table.removed {
            0 => String::new(),
            n => format!(", {} replaced or removed", human::plural(n, "file")),
        };
        if table.kept > 0 {
            let files = human::plural(table.kept, "file");
            console.line(format!(
                "{name}: {files} stay in the lake, of which the folder has fewer ticks now (--rebuild-ledger replaces them)"
            ))?;
        }
        if table.commits == 0 {
            continue;
        }
        console.line(format!(
            "{name}: {} in {}, {}{removed}, in {}",
            human::plural(table.rows, "row"),
            human::plural(table.segments, "file"),
            human::size(table.bytes),
            human::duration(start.elapsed()),
        ))?;
    }
    Ok(())
}

/// Says what the file has and publishing leaves out.
fn say_left_out(report: &PublishReport, console: &Console) {
    let left_out =
        report.not_published.iter().map(|(what, n)| format!("{what} ({})", human::count(*n)));
    let left_out = left_out.collect::<Vec<_>>();
    if !left_out.is_empty() {
        console.note(&format!("not published: {}", left_out.join(", ")));
    }
}

/// What was not published, a line each; `None` if all was.
fn failed(report: &PublishReport) -> Option<Vec<String>> {
    let lines = report.failed.iter();
    let lines: Vec<_> =
        lines.map(|(name, why)| format!("{name} was not published: {why}")).collect();
    (!lines.is_empty()).then_some(lines)
}
