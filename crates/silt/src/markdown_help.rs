//! `silt markdown-help`: the page `docs/command-line.md`, made from `--help`.

use clap::{Command, CommandFactory};

use crate::cli::Cli;
use crate::console::Console;
use crate::exit::{Exit, Outcome};

const INTRODUCTION: &str = "\
# The command `silt`

This page is what `silt help` and `silt help <command>` say; a test holds it to that. To write it again:
`cargo run -p siltstone-cli -- markdown-help > docs/command-line.md`.

Results go to stdout and messages to stderr. `--json` turns the result of each command into one JSON
document, for programs: a number that JSON does not have is a text there, `NaN`, `Infinity`,
`-Infinity`, or the digits of an integer beyond 64 bits. Commands that only read never change the
database. The options of every command are listed once, under `silt`.
";

/// The options of every command, and of help.
const EVERYWHERE: [&str; 4] = ["json", "quiet", "color", "help"];

pub(crate) fn run(console: &mut Console) -> Outcome {
    // Built, so that each subcommand knows its full name; a width of its own, whatever the terminal.
    let mut root = Cli::command().term_width(100);
    root.build();
    console.line(INTRODUCTION)?;
    console.line(section(&mut root, "silt"))?;
    visit(&mut root, "silt", console)?;
    Ok(Exit::Done)
}

fn visit(command: &mut Command, name: &str, console: &mut Console) -> Outcome<()> {
    let shown = |c: &&mut Command| !c.is_hide_set() && c.get_name() != "help";
    for sub in command.get_subcommands_mut().filter(shown) {
        let name = format!("{name} {}", sub.get_name());
        console.line("")?;
        console.line(section(sub, &name))?;
        visit(sub, &name, console)?;
    }
    Ok(())
}

fn section(command: &mut Command, name: &str) -> String {
    let mut command = command.clone().term_width(100);
    if name != "silt" {
        // They are the same everywhere: told once.
        for option in EVERYWHERE {
            command = command.mut_arg(option, |arg| arg.hide(true));
        }
    }
    // As `--help` prints it: that of the whole command is short.
    let help =
        if name == "silt" { command.render_help() } else { command.render_long_help() }.to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    format!("## `{name}`\n\n```text\n{}\n```", lines.join("\n"))
}
