//! `silt view`: what is in a file or a folder of ticks, in a browser.

use std::path::PathBuf;

use serde_json::json;
use siltstone_viewer::{Options, Server};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::interrupt;

/// Show a file, or a folder of ticks, in a browser
///
/// A server on this machine reads the path, never writes to it, and shows what other processes write as it comes. Only this
/// machine reaches it, and the data only who has the token of the address, which is printed on stdout. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt view run.db
  silt view data/ticks/db --port 8123 --no-browser")]
pub(crate) struct Args {
    /// The database, or a folder of ticks
    file: PathBuf,

    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// Print the address and open no browser
    #[arg(long)]
    no_browser: bool,

    /// Answer requests for this host too, which a proxy passes on; may be given several times
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    // Its end takes away what it made: the file that opens the browser, the index beside the data.
    interrupt::listen();
    let options = Options {
        port: args.port,
        allow_hosts: args.allow_host.clone(),
        ..Options::default()
    };
    let mut server = Server::bind(&args.file, options)?;
    match console.json {
        true => console.document(&json!({ "address": server.address() }))?,
        false => console.line(server.address())?,
    }
    console.flush()?;
    if !args.no_browser
        && let Err(error) = server.open_browser()
    {
        console.note(&format!("no browser was opened: {error}"));
    }
    let ended = server.run_until(interrupt::is_set);
    ended.map_err(|error| Failure::said(format!("the server ended: {error}")))?;
    Ok(Exit::Done)
}
