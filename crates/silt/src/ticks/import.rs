//! `silt import ticks`.

use std::path::PathBuf;
use std::time::Instant;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;
use siltstone::Error;
use siltstone::ticks::{
    DayInfo, Duplicates, EpochUnit, ImportOptions, QuoteColumns, QuoteFormat, QuoteOptions,
    ShownTwice, import,
};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::{human, interrupt};

/// Import ticks: CSV and Parquet files, and what the RTX engine wrote
///
/// FILE... are text (CSV, also packed as .gz or .zst) or Parquet: of a format that is known by name, or with columns that
/// --columns names. What each file was taken for is printed on stderr, and what can be read in two ways is refused. A line
/// that is no tick is skipped and named; the exit code is 3, and 2 if no tick was read at all.
///
/// Without files it reads the folders of the RTX engine: `SYMBOL/YYYY-MM-DD.json`, `ticks_YYYY-MM-DD.db` and the latter packed as `.db.zst`, at any
/// depth. Days become rows of the table ticks, which any SQLite tool reads, unless --compact is given. A tick that is malformed is skipped by itself, its file named
/// on stderr with the byte or row, and the import goes on; the exit code is 3. A folder without such a file is an error. What is there
/// already is not stored again, so that the same command resumes an interrupted import.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "silt import ticks [OPTIONS] -o <DIR> <FILE>...\n       silt import ticks [OPTIONS] [--input-dir <DIR>] [--output-dir <DIR>]"
)]
#[command(after_help = "Examples:
  silt import ticks DAT_ASCII_EURUSD_T_202401.csv -o ticks
  silt import ticks --format mt5 --tz Europe/Helsinki --symbol EURUSD --carry EURUSD.csv -o ticks
  silt import ticks --columns time=ts,bid=b,ask=a --time-unit ms --symbol BTCUSD quotes.csv.gz -o ticks
  silt import ticks --input-dir data/ticks --output-dir data/ticks/db
  silt import ticks --input-dir data/ticks --output-dir data/ticks/db --compact=7")]
pub(crate) struct Args {
    /// Files of ticks, or the folder of the RTX engine
    #[arg(value_name = "FILE", conflicts_with = "input_dir")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    quotes: Quotes,

    /// The folder of the RTX engine to read
    #[arg(long, value_name = "DIR", default_value = "data/ticks")]
    input_dir: PathBuf,

    /// The folder of the day files; created if missing, with those above it (default without FILE: data/ticks/db)
    #[arg(long, short = 'o', visible_alias = "output", value_name = "DIR")]
    output_dir: Option<PathBuf>,

    /// Ticks in one transaction of a day that is not over yet
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,

    /// Compact days that ended at least DAYS days ago (without DAYS: every day but today), so that they take less space and
    /// SQLite alone cannot read them
    #[arg(long, value_name = "DAYS", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    compact: Option<u32>,

    /// How to treat a tick whose symbol and time are stored already
    #[arg(long, default_value = "keep_all", value_parser = rules())]
    duplicates: Duplicates,

    /// Width of the time slot in which ticks count as duplicates, in ns; 1000000 is the RTX engine's
    #[arg(long, value_name = "NS", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    duplicate_key: i64,

    /// Read and count only; nothing is compared with a folder, so that it goes without --output-dir
    #[arg(long, conflicts_with = "output_dir")]
    dry_run: bool,

    /// Threads (default: the number of cores)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

/// How files of ticks are read
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of FILE")]
struct Quotes {
    /// Whose files they are: histdata, dukascopy, mt5, binance (default: recognised by the first line)
    #[arg(long, value_name = "FORMAT", value_parser = |text: &str| text.parse::<QuoteFormat>().map_err(|e| e.to_string()))]
    format: Option<QuoteFormat>,

    /// Columns, by name or by number from 1: time=ts,bid=b,ask=a, or price= for both sides; date=, spread=, symbol=, lp=
    #[arg(long, value_name = "COLUMNS", conflicts_with = "format", value_parser = |text: &str| text.parse::<QuoteColumns>().map_err(|e| e.to_string()))]
    columns: Option<QuoteColumns>,

    /// Symbol of the ticks
    #[arg(long)]
    symbol: Option<String>,

    /// Source of the ticks (liquidity provider)
    #[arg(long)]
    lp: Option<String>,

    /// Time zone of times without an offset: UTC, Europe/Berlin, -05:00
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    tz: Option<String>,

    /// A time that clocks of the zone show twice, when they are set back: the earliest or the latest of the two (default:
    /// refuse, and skip its line)
    #[arg(long, value_name = "WHICH", default_value = "refuse", hide_default_value = true, value_parser = |text: &str| text.parse::<ShownTwice>().map_err(|e| e.to_string()))]
    ambiguous: ShownTwice,

    /// Unit of times that are numbers, counted from 1970-01-01 UTC: s, ms, us or ns
    #[arg(long, value_name = "UNIT", value_parser = |text: &str| text.parse::<EpochUnit>().map_err(|e| e.to_string()))]
    time_unit: Option<EpochUnit>,

    /// Format of times, as %d/%m/%Y %H:%M:%S%.f
    #[arg(long, value_name = "FORMAT")]
    time_format: Option<String>,

    /// Field separator (default: detected)
    #[arg(long, value_name = "CHAR")]
    separator: Option<char>,

    /// Decimal mark of prices: . or , (default: a point)
    #[arg(long, value_name = "CHAR")]
    decimal: Option<char>,

    /// Mark between thousands of prices (default: none)
    #[arg(long, value_name = "CHAR")]
    thousands: Option<char>,

    /// Take an empty bid or ask for the last one (default: skip such a line)
    #[arg(long)]
    carry: bool,

    /// Take a last line without a newline as whole (default: it may be cut)
    #[arg(long)]
    finished: bool,
}

fn rules() -> impl TypedValueParser<Value = Duplicates> {
    PossibleValuesParser::new(["keep_all", "first", "last", "exact_row", "error"])
        .try_map(|name| name.parse::<Duplicates>())
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    interrupt::listen();
    let (files, input_dir) = match &args.files[..] {
        [folder] if folder.is_dir() => (&[][..], folder),
        files => (files, &args.input_dir),
    };
    if files.is_empty() && !input_dir.is_dir() {
        return Err(Failure::said(format!("{} is not a folder", input_dir.display())));
    }
    let output_dir = match &args.output_dir {
        Some(folder) => folder.clone(),
        None if args.files.is_empty() || args.dry_run => PathBuf::from("data/ticks/db"),
        None => {
            let sentence = "where the ticks go is not said: pass -o DIR, the folder of the day files, or --dry-run";
            return Err(Failure::said(sentence));
        }
    };
    let quotes = &args.quotes;
    let options = ImportOptions {
        files: files.to_vec(),
        quotes: QuoteOptions {
            format: quotes.format,
            columns: quotes.columns.clone(),
            symbol: quotes.symbol.clone(),
            lp: quotes.lp.clone(),
            time_zone: quotes.tz.clone(),
            ambiguous: quotes.ambiguous,
            time_unit: quotes.time_unit,
            time_format: quotes.time_format.clone(),
            separator: quotes.separator,
            decimal: quotes.decimal,
            thousands: quotes.thousands,
            carry: quotes.carry,
            finished: quotes.finished,
        },
        dry_run: args.dry_run,
        batch_size: args.batch_size as usize,
        compact_after_days: args.compact,
        duplicates: args.duplicates,
        duplicate_key_ns: args.duplicate_key,
        threads: args.workers.map_or(0, usize::from),
        ..ImportOptions::new(input_dir, &output_dir)
    };
    let start = Instant::now();
    let mut bar = console.progress("importing", "files");
    let imported = import(&options, &mut |done, all| bar.at(done, all));
    bar.end();
    let report = imported.inspect_err(|error| {
        if matches!(error, Error::Invalid { .. }) {
            return; // nothing was there to import
        }
        console.note("what was imported stays; run the same command again to resume");
    })?;
    // Where no file gave a tick, the first reason is that of a failure.
    let mut skipped = report.skipped.iter();
    let nothing = skipped.next().filter(|_| report.ticks_read == 0);
    for (file, taken_for) in &report.taken_for {
        console.note(&format!("{}: {taken_for}", file.display()));
    }
    if !files.is_empty() && report.ticks_read == 0 && report.skipped.is_empty() {
        return Err(Failure::said("no tick was read: the files have none"));
    }
    if let Some(first) = nothing {
        skipped.for_each(|skipped| console.warn(&skipped.to_string()));
        return Err(Failure::said(first.to_string()));
    }
    report.skipped.iter().for_each(|skipped| console.warn(&skipped.to_string()));
    let took = start.elapsed();
    if console.json {
        console.document(&json!({
            "path": (!args.dry_run).then(|| output_dir.display().to_string()),
            "dry_run": args.dry_run,
            "files": report.files,
            "files_done": report.files_done,
            "ticks_read": report.ticks_read,
            "ticks_migrated": report.ticks_migrated,
            "ticks_skipped": report.ticks_skipped,
            "ticks_bad": report.ticks_bad,
            "skipped": report.skipped,
            "taken_for": report.taken_for,
            "days": report.days,
            "seconds": took.as_secs_f64(),
        }))?;
    } else {
        let rate = report.ticks_read as f64 / took.as_secs_f64().max(1e-9);
        console.line(format!(
            "{}{} of {} {} in {} ({}/s)",
            if args.dry_run { String::new() } else { format!("{}: ", output_dir.display()) },
            human::plural(report.ticks_migrated, "tick"),
            human::plural(report.files_done, "file"),
            if args.dry_run { "would be imported" } else { "imported" },
            human::duration(took),
            human::count(rate as u64),
        ))?;
        if report.ticks_skipped > 0 {
            let ticks = human::plural(report.ticks_skipped, "tick");
            console.line(format!("{ticks} skipped: there already, or left out by the rule"))?;
        }
        if !report.is_complete() {
            let files = human::plural(report.skipped.len() as u64, "file");
            let ticks = match report.ticks_bad {
                0 => String::new(),
                n => format!(", {} skipped", human::plural(n, "bad tick")),
            };
            console.line(format!("{files} skipped, wholly or in part, named on stderr{ticks}"))?;
        }
        if !report.days.is_empty() {
            let folder = output_dir.display();
            let named = |in_blocks: bool| {
                names(report.days.iter().filter(|day| (day.ticks.compacted > 0) == in_blocks))
            };
            console.line(format!(
                "in rows, for any SQLite tool: {}; compacted: {}; to change it: silt ticks compact {folder}, silt expand \
                 {folder}",
                named(false),
                named(true),
            ))?;
        }
    }
    Ok(if report.is_complete() { Exit::Done } else { Exit::Skipped })
}

/// Days in a few words.
fn names<'a>(days: impl Iterator<Item = &'a DayInfo>) -> String {
    let days: Vec<&str> = days.map(|day| &*day.day).collect();
    match days[..] {
        [] => "none".into(),
        [day] => day.into(),
        [first, .., last] => {
            format!("{} from {first} to {last}", human::plural(days.len() as u64, "day"))
        }
    }
}
