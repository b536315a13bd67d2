//! Keeping a folder of ticks small.

use std::path::{Path, PathBuf};

use serde_json::json;
use siltstone::ticks::{
    CompactedDay, RetainedDay, RetentionAction, RetentionPolicy, TickStore, TickStoreConfig,
};

use super::inspect::Range;
use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::{human, interrupt};

/// Days are compacted when they have been over for so many days, unless a command says otherwise.
const AFTER_DAYS: u32 = 7;

fn open(folder: &Path, compact_after_days: u32) -> Outcome<TickStore> {
    if !folder.is_dir() {
        return Err(Failure::said(format!("{} is not a folder", folder.display())));
    }
    let config = TickStoreConfig {
        sqlite_base_path: folder.to_owned(),
        compact_after_days,
        compact_every: None, // a command does what it is told, and no more
        ..TickStoreConfig::production("silt")
    };
    Ok(TickStore::new(config)?)
}

/// Turn the rows of days that are over into column blocks, in the same files
///
/// Each day is one transaction: it is compacted or it is not. Every command and every call of the
/// library reads it as before, and late ticks may come; SQLite alone
/// then refuses the table ticks, until `silt expand` makes rows of the blocks.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt ticks compact data/ticks/db
  silt ticks compact data/ticks/db --day 2026-01-19")]
pub(super) struct Compact {
    /// The folder of the day files
    folder: PathBuf,

    /// Only this day
    #[arg(long, value_name = "DATE", conflicts_with = "after_days")]
    day: Option<String>,

    /// Compact days that ended at least N days ago; 0: every day but today
    #[arg(long, value_name = "N", default_value_t = AFTER_DAYS)]
    after_days: u32,
}

/// Compacts the days that have been over for a week.
pub(crate) fn compact_finished(folder: &Path, console: &mut Console) -> Outcome {
    compact(&Compact { folder: folder.to_owned(), day: None, after_days: AFTER_DAYS }, console)
}

pub(super) fn compact(args: &Compact, console: &mut Console) -> Outcome {
    interrupt::listen();
    let store = open(&args.folder, args.after_days)?;
    let compacted = match &args.day {
        Some(day) => vec![store.compact(day)?],
        None => store.compact_finished()?,
    };
    store.stop()?;
    let sum = |of: fn(&CompactedDay) -> u64| compacted.iter().map(of).sum::<u64>();
    let (ticks, before, after) = (
        sum(|day| day.report.rows),
        sum(|day| day.report.bytes_before),
        sum(|day| day.report.bytes_after),
    );
    if console.json {
        console.document(&json!({
            "path": args.folder.display().to_string(),
            "days": compacted,
            "rows": ticks,
            "bytes_before": before,
            "bytes_after": after,
        }))?;
    } else {
        console.line(format!(
            "{}: {} of {} compacted, {} are {} now",
            args.folder.display(),
            human::plural(ticks, "tick"),
            human::plural(compacted.len() as u64, "day"),
            human::size(before),
            human::size(after),
        ))?;
    }
    Ok(Exit::Done)
}

/// Remove old days, or thin out their ticks
///
/// Nothing is done unless --yes is given: what would be done is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt ticks retain data/ticks/db --delete-after 180 --thin-after 30 --keep-one-of 10 --yes")]
pub(super) struct Retain {
    /// The folder of the day files
    folder: PathBuf,

    /// Remove days that have been over for more than N days
    #[arg(long, value_name = "N")]
    delete_after: Option<u32>,

    /// Thin out days that have been over for more than N days
    #[arg(long, value_name = "N", requires = "keep_one_of")]
    thin_after: Option<u32>,

    /// Keep the first of K neighbouring ticks
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..))]
    keep_one_of: Option<u32>,

    /// Do it
    #[arg(long)]
    yes: bool,
}

pub(super) fn retain(args: &Retain, console: &mut Console) -> Outcome {
    interrupt::listen();
    let store = open(&args.folder, 7)?;
    let policy = RetentionPolicy {
        delete_after_days: args.delete_after,
        thin_after_days: args.thin_after,
        keep_one_of: args.keep_one_of.unwrap_or(0),
        dry_run: !args.yes,
    };
    let days = store.retain(&policy)?;
    store.stop()?;
    print(&args.folder, args.yes, &days, console)
}

/// Remove ticks of a symbol from a time to another, such as those of a wrong import
///
/// Nothing is done unless --yes is given: what would be done is printed. Ticks of other symbols and times stay. The next import of
/// a file that was imported before brings back all that it has of this symbol, also what was thinned out, and nothing
/// of others. A day that is compacted stays compacted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt ticks remove data/ticks/db EURUSD --from 2026-01-19 --until 2026-01-23
  silt ticks remove data/ticks/db EURUSD --from 2026-01-19T10:00 --until 2026-01-19T11:00 --yes")]
pub(super) struct Remove {
    /// The folder of the day files
    folder: PathBuf,

    /// The symbol
    symbol: String,

    #[command(flatten)]
    range: Range,

    /// Do it
    #[arg(long)]
    yes: bool,
}

pub(super) fn remove(args: &Remove, console: &mut Console) -> Outcome {
    interrupt::listen();
    let store = open(&args.folder, 7)?;
    let Range { from, until } = args.range;
    let days = store.remove_ticks(&args.symbol, from, until, !args.yes)?;
    store.stop()?;
    print(&args.folder, args.yes, &days, console)
}

fn print(folder: &Path, is_done: bool, days: &[RetainedDay], console: &mut Console) -> Outcome {
    if console.json {
        let listed: Vec<_> = (days.iter())
            .map(|day| {
                json!({ "day": day.day, "action": day.action_name(), "ticks": day.ticks,
                    "removed": day.removed, "bytes": day.bytes, "imported_files": day.imported_files })
            })
            .collect();
        let path = folder.display().to_string();
        console.document(&json!({ "path": path, "done": is_done, "days": listed }))?;
        return Ok(Exit::Done);
    }
    for day in days {
        let of = human::plural(day.ticks, "tick");
        let would = if is_done { "" } else { "would be " };
        let what = match day.action {
            RetentionAction::Thin => "thinned out",
            _ => "removed",
        };
        console.line(format!(
            "{}: {would}{what}, {} of {of} go",
            day.day,
            human::count(day.removed)
        ))?;
    }
    if days.iter().any(|day| day.imported_files > 0) {
        let would = if is_done { "brings" } else { "would bring" };
        console.note(&format!(
            "the next import of a file that was imported before {would} back ticks of this symbol that were removed or thinned out"
        ));
    }
    if !is_done {
        console.note("dry run; pass --yes to apply");
    }
    Ok(Exit::Done)
}
