//! `silt ticks`: look into a folder of ticks, and keep it small.

pub(crate) mod import;
mod keep;
mod look;

use clap::Subcommand;

use crate::console::Console;
use crate::exit::Outcome;

/// Look into a folder of ticks, export it, compact it and thin it out
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt ticks stats data/ticks/db
  silt ticks ohlc data/ticks/db EURUSD --interval 60
  silt ticks compact data/ticks/db")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Stats(look::Stats),
    Recent(look::Recent),
    Ohlc(look::Ohlc),
    Export(look::Export),
    Compact(keep::Compact),
    Retain(keep::Retain),
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    match &args.what {
        What::Stats(args) => look::stats(args, console),
        What::Recent(args) => look::recent(args, console),
        What::Ohlc(args) => look::ohlc(args, console),
        What::Export(args) => look::export(args, console),
        What::Compact(args) => keep::compact(args, console),
        What::Retain(args) => keep::retain(args, console),
    }
}
