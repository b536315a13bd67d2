//! Keeping a folder of ticks small.

use std::path::{Path, PathBuf};

use serde_json::json;
use siltstone::ticks::{
    CompactedDay, RetentionAction, RetentionPolicy, TickStore, TickStoreConfig,
};

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
    if console.json {
        let listed: Vec<_> = (days.iter())
            .map(|day| {
                json!({ "day": day.day, "action": day.action_name(), "ticks": day.ticks,
                    "removed": day.removed, "bytes": day.bytes })
            })
            .collect();
        let path = args.folder.display().to_string();
        console.document(&json!({ "path": path, "done": args.yes, "days": listed }))?;
        return Ok(Exit::Done);
    }
    for day in &days {
        let of = human::plural(day.ticks, "tick");
        let what = match (day.action, args.yes) {
            (RetentionAction::Delete, true) => "removed",
            (RetentionAction::Delete, false) => "would be removed",
            (_, true) => "thinned out",
            (_, false) => "would be thinned out",
        };
        console.line(format!("{}: {what}, {} of {of} go", day.day, human::count(day.removed)))?;
    }
    if !args.yes {
        console.note("dry run; pass --yes to apply");
    }
    Ok(Exit::Done)
}
