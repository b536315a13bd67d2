//! `silt completions`: what a shell needs to complete this command.

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use crate::cli::Cli;
use crate::console::Console;
use crate::exit::{Exit, Outcome};

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt completions bash > ~/.local/share/bash-completion/completions/silt")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    // Into memory first: the generator panics where it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "silt", &mut text);
    if console.json {
        let script = String::from_utf8_lossy(&text);
        console.document(&json!({ "shell": args.shell.to_string(), "script": script }))?;
    } else {
        std::io::Write::write_all(&mut console.out, &text)?;
    }
    Ok(Exit::Done)
}
