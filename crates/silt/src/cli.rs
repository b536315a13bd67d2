//! What can be typed.

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::console::Console;
use crate::exit::Outcome;
use crate::{
    backup, compact, completions, demo, export, import, info, keyframes, markdown_help, merge,
    query, restore, resume, runs, series, state, stats, ticks, vacuum, verify,
};

/// The end of `silt --help`.
const EXIT_CODES: &str = "\
Exit codes:
  0    done; also when the reader of stdout goes away
  1    done, and something was found: `verify` found damage, or anything at all in a folder of ticks; `info`
       what cannot be read
  2    not done: wrong usage, or an error, which is reported in a sentence on stderr
  3    done but for what was skipped and named on stderr: a malformed file or row,
       or a conflict, of an import; a contradiction or an unreadable source of `merge`
  130  interrupted by Ctrl-C; what had been committed stays

Environment:
  NO_COLOR  if set to anything, nothing is coloured unless --color=always says so
  COLUMNS   the width of tables and pictures where no terminal tells it";

/// Fill, query, inspect and back up Siltstone databases
///
/// A Siltstone database is one SQLite file that holds what numeric runs produce.
#[derive(Debug, Parser)]
#[command(name = "silt", version, after_long_help = EXIT_CODES)]
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
    /// Print the result as one JSON document on stdout, and an error as one on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print no messages and no progress, only results, warnings and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Whether to colour messages, pictures and the headings of tables (bold); auto: on a terminal,
    /// unless NO_COLOR is set
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
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
    State(state::Args),
    Runs(runs::Args),
    Compare(runs::Compare),
    Show(runs::Show),
    Export(export::Args),
    Merge(merge::Args),
    Split(runs::Split),
    Delete(runs::Delete),
    Verify(verify::Args),
    Stats(stats::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Compact(compact::Args),
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
            Command::State(args) => state::run(args, console),
            Command::Export(args) => export::run(args, console),
            Command::Runs(args) => runs::run(args, console),
            Command::Compare(args) => runs::compare(args, console),
            Command::Show(args) => runs::show(args, console),
            Command::Merge(args) => merge::run(args, console),
            Command::Split(args) => runs::split(args, console),
            Command::Delete(args) => runs::delete(args, console),
            Command::Verify(args) => verify::run(args, console),
            Command::Stats(args) => stats::run(args, console),
            Command::Backup(args) => backup::run(args, console),
            Command::Restore(args) => restore::run(args, console),
            Command::Compact(args) => compact::run(args, console),
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
