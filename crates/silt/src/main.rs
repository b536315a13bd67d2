//! The command `silt`: import, inspect, query, export, back up and verify.
//!
//! Data go to stdout and messages to stderr. Each subcommand has a file: `Args` is what was typed,
//! `run` is what it means.

mod backup;
mod chart;
mod cli;
mod compact;
mod completions;
mod console;
mod demo;
mod exit;
mod expand;
mod export;
mod human;
mod import;
mod import_simulation;
mod info;
mod interrupt;
mod keyframes;
#[cfg(feature = "lake")]
mod lake;
mod markdown_help;
mod memory;
mod merge;
#[cfg(feature = "postgresql")]
mod password;
mod progress;
#[cfg(feature = "lake")]
mod publish;
#[cfg(feature = "lake")]
mod pull;
mod query;
mod report;
mod restore;
mod resume;
mod rows;
mod runs;
mod series;
mod series_copy;
mod state;
mod stats;
mod table;
mod terminal;
mod ticks;
mod vacuum;
mod verify;
mod view;
mod write;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

fn main() -> ExitCode {
    let mut typed = import::handed_on(std::env::args_os().collect());
    let mut cli = match cli::Cli::try_parse_from(&typed) {
        Ok(cli) => cli,
        Err(error) => return usage(error, &typed),
    };
    let mut console = console::Console::new(&cli.display);
    if let cli::Command::Import(args) = &cli.command
        && let Some([source, more @ ..]) = args.source()
    {
        console.json |= more.iter().any(|word| word == "--json");
        let (kind, note) = match import::detect(source) {
            Ok(detected) => detected,
            Err(failure) => return failed(&console, &failure),
        };
        typed.insert(typed.len() - more.len() - 1, kind.name().into());
        cli = match cli::Cli::try_parse_from(&typed) {
            Ok(cli) => cli,
            Err(error) => return usage(error, &typed),
        };
        console = console::Console::new(&cli.display);
        console.note(&note);
    }
    let result = cli.command.run(&mut console);
    // What was written before a failure is shown before the failure is reported.
    let result = console.flush().map_err(exit::Failure::from).and(result);
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => failed(&console, &failure),
    }
}

fn failed(console: &console::Console, failure: &exit::Failure) -> ExitCode {
    if let Some(sentence) = failure.sentence() {
        console.error(&sentence, failure.code());
    }
    ExitCode::from(failure.code())
}

/// Help and version are results; anything else is wrong usage.
fn usage(mut error: clap::Error, typed: &[OsString]) -> ExitCode {
    if error.kind() == ErrorKind::MissingRequiredArgument
        && let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg)
        && missing.iter().any(|argument| argument.starts_with('<'))
        && let Some(hint) = import::source_hint(typed)
    {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.into()]));
    }
    // Clap lists the commands that are nobody's business too.
    if let Some(ContextValue::Strings(names)) = error.remove(ContextKind::ValidSubcommand) {
        let root = cli::Cli::command();
        let is_hidden =
            |name: &String| root.find_subcommand(name).is_some_and(clap::Command::is_hide_set);
        let names = names.into_iter().filter(|name| !is_hidden(name)).collect();
        error.insert(ContextKind::ValidSubcommand, ContextValue::Strings(names));
    }
    let code = error.exit_code() as u8;
    if code != 0 && std::env::args_os().any(|arg| arg == "--json") {
        let text = error.render().to_string();
        console::write_error_json(text.trim_start_matches("error: ").trim(), code);
    } else if code != 0 {
        // What was typed may be the name of a file, which anybody chose.
        let _ = write!(std::io::stderr(), "{}", terminal::line(&error.render().to_string()));
    } else {
        let _ = error.print(); // nobody is there to read it
    }
    ExitCode::from(code)
}
