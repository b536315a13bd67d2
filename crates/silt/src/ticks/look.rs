//! Looking: nothing is made or changed in the folder of ticks.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};
use siltstone::table::{self, WriteOptions};
use siltstone::ticks::{Fill, OhlcOptions, Price, TickStore};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::rows::{self, Format, Rows};
use crate::{human, interrupt};

/// Print the days of a folder: ticks, symbols and bytes of each
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt ticks stats data/ticks/db")]
pub(super) struct Stats {
    /// The folder of the day files
    folder: PathBuf,

    /// The form of the rows
    #[arg(long, short, value_enum)]
    format: Option<Format>,
}

pub(super) fn stats(args: &Stats, console: &mut Console) -> Outcome {
    let store = TickStore::open_read_only(&args.folder)?;
    let days = store.days()?;
    let columns = ["day", "ticks", "rows", "settled", "blocks", "symbols", "bytes"];
    let format = Format::or_default(args.format, console);
    let mut rows = Rows::begin(console, format, columns.map(str::to_owned).to_vec())?;
    for day in days {
        rows.row(vec![
            json!(day.day),
            json!(day.rows + day.settled),
            json!(day.rows),
            json!(day.settled),
            json!(day.blocks),
            json!(day.symbols),
            json!(day.bytes),
        ])?;
    }
    rows.end()?;
    Ok(Exit::Done)
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

    /// The form of the rows
    #[arg(long, short, value_enum)]
    format: Option<Format>,
}

pub(super) fn recent(args: &Recent, console: &mut Console) -> Outcome {
    let store = TickStore::open_read_only(&args.folder)?;
    let ticks = store.get_recent_ticks(&args.symbol, args.count)?;
    if ticks.is_empty() && !store.symbols()?.contains(&args.symbol) {
        let folder = args.folder.display();
        return Err(Failure::said(format!("symbol {:?} is not in {folder}", args.symbol)));
    }
    let columns = ["time_ns", "bid", "ask", "spread", "lp"].map(str::to_owned).to_vec();
    let format = Format::or_default(args.format, console);
    let mut rows = Rows::begin(console, format, columns)?;
    for tick in ticks.iter() {
        let prices = [tick.bid, tick.ask, tick.spread].map(rows::number);
        let mut row = vec![json!(tick.time_ns)];
        row.extend(prices);
        row.push(json!(tick.lp));
        rows.row(row)?;
    }
    rows.end()?;
    Ok(Exit::Done)
}

/// Print bars of a symbol
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt ticks ohlc data/ticks/db EURUSD --interval 3600 --price bid --fill previous")]
pub(super) struct Ohlc {
    /// The folder of the day files
    folder: PathBuf,

    /// The symbol
    symbol: String,

    /// The length of a bar in seconds
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    interval: u32,

    /// From this time on, ns since 1970-01-01 UTC
    #[arg(long, value_name = "NS", default_value_t = i64::MIN, hide_default_value = true, allow_negative_numbers = true)]
    from: i64,

    /// Up to this time, ns since 1970-01-01 UTC
    #[arg(long, value_name = "NS", default_value_t = i64::MAX, hide_default_value = true, allow_negative_numbers = true)]
    to: i64,

    /// Which price
    #[arg(long, default_value = "mid", value_parser = prices())]
    price: Price,

    /// What stands where no tick was
    #[arg(long, default_value = "none", value_parser = ["none", "previous", "empty"])]
    fill: String,

    /// The form of the rows
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
    let options = OhlcOptions { price: args.price, fill, ..OhlcOptions::default() };
    let interval = i64::from(args.interval) * 1_000_000_000;
    let bars = store.ohlc(&args.symbol, interval, args.from, args.to, options)?;
    let columns = ["time_ns", "open", "high", "low", "close", "volume"];
    let format = Format::or_default(args.format, console);
    let mut rows = Rows::begin(console, format, columns.map(str::to_owned).to_vec())?;
    for bar in bars {
        let mut row = vec![json!(bar.time_ns)];
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
  silt ticks export data/ticks/db --to ticks.parquet --symbol EURUSD")]
pub(super) struct Export {
    /// The folder of the day files
    folder: PathBuf,

    /// The file; its ending says the format
    #[arg(long, value_name = "FILE")]
    to: PathBuf,

    /// Only this symbol; may be given several times
    #[arg(long, value_name = "NAME")]
    symbol: Vec<String>,

    /// From this time on, ns since 1970-01-01 UTC
    #[arg(long, value_name = "NS", default_value_t = i64::MIN, hide_default_value = true, allow_negative_numbers = true)]
    from: i64,

    /// Up to this time, ns since 1970-01-01 UTC
    #[arg(long, value_name = "NS", default_value_t = i64::MAX, hide_default_value = true, allow_negative_numbers = true)]
    until: i64,

    /// In CSV, put a ' before texts that a spreadsheet would run as formulas (= + - @); numbers stay
    #[arg(long)]
    escape_formulas: bool,

    /// Replace a file of that name
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn export(args: &Export, console: &mut Console) -> Outcome {
    interrupt::listen();
    let store = TickStore::open_read_only(&args.folder)?;
    let ending = args.to.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let format: table::Format = ending.parse().map_err(|_| {
        let file = args.to.display();
        Failure::said(format!("{file}: its name should end in .parquet, .arrow, .csv or .jsonl"))
    })?;
    let symbols: Vec<&str> = args.symbol.iter().map(String::as_str).collect();
    let symbols = (!symbols.is_empty()).then_some(&symbols[..]);
    let batches = store.scan(symbols, args.from, args.until)?;
    let options =
        WriteOptions { format, overwrite: args.overwrite, escape_formulas: args.escape_formulas };
    let written =
        table::write(&args.to, batches, &options, |_| interrupt::check("exporting the ticks"))?;
    let path = args.to.display().to_string();
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
