//! What can be typed.

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::console::Console;
use crate::exit::Outcome;
use crate::{
    backup, compact, completions, demo, expand, export, import, info, keyframes, markdown_help,
    merge, query, report, restore, resume, runs, series, state, stats, ticks, vacuum, verify, view,
};

/// The end of `silt --help`.
const EXIT_CODES: &str = "\
Exit codes:
  0    success; also if the reader of stdout closes it
  1    success with findings: damage (`verify`), unreadable data (`info`)
  2    failure: wrong usage, or an error, which stderr reports
  3    partial success: what was skipped is named on stderr
  130  interrupted by Ctrl-C; committed data stay

Environment: NO_COLOR (no colour), COLUMNS (width of tables and pictures)";

/// Import, inspect, query, export, compact and back up Siltstone databases
#[derive(Debug, Parser)]
#[command(name = "silt", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) display: Display,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How results and messages are displayed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Display {
    /// Print the result, or the error, as one JSON document
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print only results, warnings and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Use colour: auto (default: on a terminal), always, never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) color: When,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Import(import::Args),
    Info(info::Args),
    Query(query::Args),
    View(view::Args),
    Report(report::Args),
    State(state::Args),
    Runs(runs::Args),
    Export(export::Args),
    Merge(merge::Args),
    #[cfg(feature = "lake")]
    Publish(crate::publish::Args),
    #[cfg(feature = "lake")]
    Sync(crate::publish::SyncArgs),
    #[cfg(feature = "lake")]
    Pull(crate::pull::Args),
    #[cfg(feature = "lake")]
    Lake(crate::lake::Args),
    Verify(verify::Args),
    Stats(stats::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Compact(compact::Args),
    Expand(expand::Args),
    Vacuum(vacuum::Args),
    Keyframes(keyframes::Args),
    Resume(resume::Args),
    Ticks(ticks::Args),
    Series(series::Args),
    Demo(demo::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    DemoRecord(demo::record::Args),
    /// Print docs/command-line.md
    #[command(hide = true)]
    MarkdownHelp,
}

impl Command {
    pub(crate) fn run(&self, console: &mut Console) -> Outcome {
        match self {
            Command::Import(args) => import::run(args, console),
            Command::Info(args) => info::run(args, console),
            Command::Query(args) => query::run(args, console),
            Command::View(args) => view::run(args, console),
            Command::Report(args) => report::run(args, console),
            Command::State(args) => state::run(args, console),
            Command::Export(args) => export::run(args, console),
            Command::Runs(args) => runs::run(args, console),
            Command::Merge(args) => merge::run(args, console),
            #[cfg(feature = "lake")]
            Command::Publish(args) => crate::publish::run(args, console),
            #[cfg(feature = "lake")]
            Command::Sync(args) => crate::publish::sync(args, console),
            #[cfg(feature = "lake")]
            Command::Pull(args) => crate::pull::run(args, console),
            #[cfg(feature = "lake")]
            Command::Lake(args) => crate::lake::run(args, console),
            Command::Verify(args) => verify::run(args, console),
            Command::Stats(args) => stats::run(args, console),
            Command::Backup(args) => backup::run(args, console),
            Command::Restore(args) => restore::run(args, console),
            Command::Compact(args) => compact::run(args, console),
            Command::Expand(args) => expand::run(args, console),
            Command::Vacuum(args) => vacuum::run(args, console),
            Command::Keyframes(args) => keyframes::run(args, console),
            Command::Resume(args) => resume::run(args, console),
            Command::Ticks(args) => ticks::run(args, console),
            Command::Series(args) => series::run(args, console),
            Command::Completions(args) => completions::run(args, console),
            Command::Demo(args) => demo::run(args, console),
            Command::DemoRecord(args) => demo::record::run(args),
            Command::MarkdownHelp => markdown_help::run(console),
        }
    }
}
