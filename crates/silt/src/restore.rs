//! `silt restore`: replace a file by a backup.

use std::path::PathBuf;

use crate::console::Console;
use crate::exit::Outcome;

/// Replace a database by a backup, verified first
///
/// An existing target is refused unless --overwrite is given; then its whole content is replaced in one
/// transaction, so that programs that have it open see either the old or the new.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt restore copy-of-run.db run.db --overwrite")]
pub(crate) struct Args {
    /// The backup
    source: PathBuf,

    /// The database to write
    target: PathBuf,

    /// Replace the target if there is one
    #[arg(long)]
    overwrite: bool,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    let report = siltstone::restore(&args.source, &args.target, args.overwrite)?;
    crate::backup::print_report(&report, "restored and verified", console)
}
