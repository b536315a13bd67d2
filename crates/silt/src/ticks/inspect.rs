//! Reads a folder of ticks; makes and changes nothing.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};
use siltstone::series::process::{parse_time, parse_time_end, parse_timespan};
use siltstone::table::{self, WriteOptions};
use siltstone::ticks::{Fill, OhlcOptions, Price, TickStore, TicksSummary};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::rows::{self, Format, Rows};
use crate::table::Table;
use crate::terminal::escaped;
use crate::{human, interrupt};

/// Print the days of a folder: ticks, symbols and bytes of each
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt ticks stats data/ticks/db")]
pub(super) struct Stats {
    /// The folder of the day files
    folder: PathBuf,

    /// Output format (default: a table on a terminal, TSV in a pipe)
    #[arg(long, short, value_enum)]
    format: Option<Format>,
}

pub(super) fn stats(args: &Stats, console: &mut Console) -> Outcome {
    let store = TickStore::open_read_only(&args.folder)?;
    let days = store.days()?;
    let columns = ["day", "ticks", "rows", "compacted", "blocks", "symbols", "bytes"];
    let format = Format::or_default(args.format, console);
    let mut rows = Rows::begin(console, format, columns.map(str::to_owned).to_vec())?;
    for day in days {
        rows.row(vec![
            json!(day.day),
            json!(day.ticks.rows + day.ticks.compacted),
            json!(day.ticks.rows),
            json!(day.ticks.compacted),
            json!(day.ticks.blocks),
            json!(day.ticks.symbols),
            json!(day.bytes),
        ])?;
    }
    rows.end()?;
    Ok(Exit::Done)
}

/// What `silt info` shows of a folder.
pub(crate) fn print_info(info: &TicksSummary, console: &mut Console) -> Outcome<()> {
    console.line(format!(
        "{}: {} of {} on {}, {}",
        info.path.display(),
        human::plural(info.ticks, "tick"),
        human::plural(info.symbols.len() as u64, "symbol"),
        human::plural(info.days.len() as u64, "day"),
        human::size(info.bytes),
    ))?;
    if !info.symbols.is_empty() {
        let line = format!("  symbols  {}", info.symbols.join(", "));
        console.line(escaped(line))?;
    }
    let columns = ["day", "ticks", "compacted", "symbols", "size"];
    let mut table = Table::new(columns).width(console.table_width()).bold_headers(console.color);
    for day in &info.days {
        table.row([
            day.day.clone(),
            human::count(day.ticks.rows + day.ticks.compacted),
            human::count(day.ticks.compacted),
            human::count(day.ticks.symbols),
            human::size(day.bytes),
        ]);
    }
    console.line("")?;
    console.line(table.to_string())?;
    Ok(())
}

/// Print the last ticks of a symbol
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt ticks recent data/ticks/db EURUSD -n 20")]
pub(super) struct Recent {
    /// The folder of the day files
    folder: PathBuf,

    /// The symbol
    symbol: String,

    /// How many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    count: usize,

    /// Output format (default: a table on a terminal, TSV in a pipe)
    #[arg(long, short, value_enum)]
    format: Option<Format>,
}

pub(super) fn recent(args: &Recent, console: &mut Console) -> Outcome {
    let store = TickStore::open_read_only(&args.folder)?;
    let ticks = store.get_recent_ticks(&args.symbol, args.count)?;
    if ticks.is_empty() {
        check_symbols(&store, &args.folder, std::slice::from_ref(&args.symbol))?;
    }
    let columns = ["time", "bid", "ask", "spread", "lp"].map(str::to_owned).to_vec();
    let format = Format::or_default(args.format, console);
    let mut rows = Rows::begin(console, format, columns)?;
    for tick in ticks.iter() {
        let prices = [tick.bid, tick.ask, tick.spread].map(rows::number);
        let mut row = vec![json!(human::moment_ns(tick.time_ns))];
        row.extend(prices);
        row.push(json!(tick.lp));
        rows.row(row)?;
    }
    rows.end()?;
    Ok(Exit::Done)
}

/// Refuses symbols that have no ticks.
fn check_symbols(store: &TickStore, folder: &Path, symbols: &[String]) -> Outcome<()> {
    if symbols.is_empty() {
        return Ok(());
    }
    let known = store.symbols()?;
    match symbols.iter().find(|symbol| !known.contains(symbol)) {
        None => Ok(()),
        Some(symbol) => {
            Err(Failure::said(format!("symbol {symbol:?} is not in {}", folder.display())))
        }
    }
}

/// A range of time.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Range {
    /// From this time on: a date, an ISO 8601 time (UTC unless it has an offset), or ns since 1970-01-01 UTC
    #[arg(long, value_name = "TIME", default_value = "", hide_default_value = true, allow_hyphen_values = true, value_parser = from)]
    pub(super) from: i64,

    /// Before this time, given as --from; with a date, up to the end of that day
    #[arg(long, value_name = "TIME", default_value = "", hide_default_value = true, allow_hyphen_values = true, value_parser = until)]
    pub(super) until: i64,
}

fn from(text: &str) -> Result<i64, String> {
    if text.is_empty() { Ok(i64::MIN) } else { time(text) }
}

/// The last ns before the end.
fn until(text: &str) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(i64::MAX);
    }
    Ok(time_by(text, parse_time_end)?.saturating_sub(1))
}

fn time(text: &str) -> Result<i64, String> {
    time_by(text, parse_time)
}

fn time_by(
    text: &str,
    parse: fn(&str, Option<&str>) -> siltstone::Result<i64>,
) -> Result<i64, String> {
    const FORMS: &str = "a date as 2026-01-19, a time as 2026-01-19T10:30, or ns since 1970";
    match text.parse::<i64>() {
        // A date in digits, or a time in another unit.
        Ok(ns) if (1..1_000_000_000_000_000).contains(&ns) => {
            Err(format!("expected {FORMS}; as ns this is the first of January 1970 and soon after"))
        }
        Ok(ns) => Ok(ns),
        Err(_) if text.len() < 10 => Err(format!("expected {FORMS}")),
        Err(_) => parse(text, Some("UTC")).map_err(|error| error.to_string()),
    }
}

pub(crate) fn interval(text: &str) -> Result<i64, String> {
    if text.trim().is_empty() {
        return Err("expected a length as 30s, 1m, 1h or 1d, got nothing".into());
    }
    let ns = match text.parse::<u32>() {
        Ok(seconds) => i64::from(seconds) * 1_000_000_000,
        Err(_) if text.ends_with('M') => return Err("expected m for minutes; M is a month".into()),
        Err(_) => parse_timespan(text).map_err(|error| error.to_string())?,
    };
    if ns > 0 { Ok(ns) } else { Err("expected a length above zero, as 1m".into()) }
}

/// Print bars of a symbol
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt ticks ohlc data/ticks/db EURUSD --interval 1h --from 2026-01-19 --price bid --fill previous")]
pub(super) struct Ohlc {
    /// The folder of the day files
    folder: PathBuf,

    /// The symbol
    symbol: String,

    /// The length of a bar: 30s, 1m, 5min, 1h, 1d, or a number of seconds
    #[arg(long, value_name = "LENGTH", default_value = "1m", value_parser = interval)]
    interval: i64,

    #[command(flatten)]
    range: Range,

    /// Which price
    #[arg(long, default_value = "mid", value_parser = prices())]
    price: Price,

    /// How to fill empty intervals
    #[arg(long, default_value = "none", value_parser = ["none", "previous", "empty"])]
    fill: String,

    /// Output format (default: a table on a terminal, TSV in a pipe)
    #[arg(long, short, value_enum)]
    format: Option<Format>,
}

fn prices() -> impl TypedValueParser<Value = Price> {
    PossibleValuesParser::new(["mid", "bid", "ask"]).try_map(|name| name.parse::<Price>())
}

pub(super) fn ohlc(args: &Ohlc, console: &mut Console) -> Outcome {
    let store = TickStore::open_read_only(&args.folder)?;
    let fill = match args.fill.as_str() {
        "previous" => Fill::Previous,
        "empty" => Fill::Empty,
        _ => Fill::None,
    };
    let Range { from: from_ns, until: to_ns } = args.range;
    let options = OhlcOptions { from_ns, to_ns, price: args.price, fill, ..OhlcOptions::default() };
    check_symbols(&store, &args.folder, std::slice::from_ref(&args.symbol))?;
    let bars = store.ohlc(&args.symbol, args.interval, options)?;
    let columns = ["time", "open", "high", "low", "close", "volume"];
    let format = Format::or_default(args.format, console);
    let mut rows = Rows::begin(console, format, columns.map(str::to_owned).to_vec())?;
    for bar in bars {
        let mut row = vec![json!(human::moment_ns(bar.time_ns))];
        row.extend([bar.open, bar.high, bar.low, bar.close].map(rows::number));
        row.push(json!(bar.volume));
        rows.row(row)?;
    }
    rows.end()?;
    Ok(Exit::Done)
}

/// Write ticks to a file: Parquet, Arrow, CSV or JSON lines, by its name
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt ticks export data/ticks/db -o ticks.parquet --symbol EURUSD --from 2026-01-19 --until 2026-01-23")]
pub(super) struct Export {
    /// The folder of the day files
    folder: PathBuf,

    /// The file; its extension is the format: .parquet, .arrow, .csv or .jsonl
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Only this symbol; may be given several times
    #[arg(long, value_name = "NAME")]
    symbol: Vec<String>,

    #[command(flatten)]
    range: Range,

    /// In CSV, put a ' before texts that a spreadsheet would run as formulas (= + - @); numbers stay
    #[arg(long)]
    escape_formulas: bool,

    /// Replace a file of that name
    #[arg(long)]
    overwrite: bool,
}

/// Exports the ticks of all symbols and days.
pub(crate) fn export_all(
    folder: &Path,
    output: &Path,
    overwrite: bool,
    escape_formulas: bool,
    console: &mut Console,
) -> Outcome {
    let range = Range { from: i64::MIN, until: i64::MAX };
    let (folder, output, symbol) = (folder.to_owned(), output.to_owned(), Vec::new());
    export(&Export { folder, output, symbol, range, escape_formulas, overwrite }, console)
}

pub(super) fn export(args: &Export, console: &mut Console) -> Outcome {
    interrupt::listen();
    let store = TickStore::open_read_only(&args.folder)?;
    let ending = args.output.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let format: table::Format = ending.parse().map_err(|_| {
        let file = args.output.display();
        Failure::said(format!("{file}: its name should end in .parquet, .arrow, .csv or .jsonl"))
    })?;
    check_symbols(&store, &args.folder, &args.symbol)?;
    let symbols: Vec<&str> = args.symbol.iter().map(String::as_str).collect();
    let symbols = (!symbols.is_empty()).then_some(&symbols[..]);
    let batches = store.scan(symbols, args.range.from, args.range.until)?;
    let options =
        WriteOptions { format, overwrite: args.overwrite, escape_formulas: args.escape_formulas };
    let written = table::write(&args.output, batches, &options, &mut |_, _| {
        interrupt::check("exporting the ticks")
    })?;
    let path = args.output.display().to_string();
    if console.json {
        let document: Value =
            json!({ "path": path, "ticks": written.rows, "bytes": written.bytes });
        console.document(&document)?;
    } else {
        let (ticks, bytes) = (human::plural(written.rows, "tick"), human::size(written.bytes));
        console.line(format!("{path}: {ticks} in {bytes}"))?;
    }
    Ok(Exit::Done)
}
