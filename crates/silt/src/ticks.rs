//! `silt ticks`: inspect a folder of ticks, and keep it small.

pub(crate) use doctor::verify;
#[cfg(feature = "lake")]
pub(crate) use inspect::interval;
pub(crate) use inspect::{export_all, print_info};
pub(crate) use retention::compact_finished;

mod doctor;
pub(crate) mod import;
mod inspect;
mod retention;

use clap::Subcommand;

use crate::console::Console;
use crate::exit::Outcome;

/// Inspect, export, compact and thin a folder of ticks
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
    Stats(inspect::Stats),
    Recent(inspect::Recent),
    Ohlc(inspect::Ohlc),
    Export(inspect::Export),
    Compact(retention::Compact),
    Retain(retention::Retain),
    Remove(retention::Remove),
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    match &args.what {
        What::Stats(args) => inspect::stats(args, console),
        What::Recent(args) => inspect::recent(args, console),
        What::Ohlc(args) => inspect::ohlc(args, console),
        What::Export(args) => inspect::export(args, console),
        What::Compact(args) => retention::compact(args, console),
        What::Retain(args) => retention::retain(args, console),
        What::Remove(args) => retention::remove(args, console),
    }
}
