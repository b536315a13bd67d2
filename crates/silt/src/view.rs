//! `silt view`: what is in a file or a folder of ticks, in a browser.

use std::path::{Path, PathBuf};

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
    let options =
        Options { port: args.port, allow_hosts: args.allow_host.clone(), ..Options::default() };
    let mut server = Server::bind(&args.file, options)?;
    match console.json {
        true => console.document(&json!({ "address": server.address() }))?,
        false => console.line(server.address())?,
    }
    console.flush()?;
    if !args.no_browser {
        open_browser(&mut server, console);
    }
    server.run_until(interrupt::is_set).map_err(ended)?;
    Ok(Exit::Done)
}

fn open_browser(server: &mut Server, console: &Console) {
    if let Err(error) = server.open_browser() {
        console.note(&format!("no browser was opened: {error}"));
    }
}

fn ended(error: std::io::Error) -> Failure {
    Failure::said(format!("the server ended: {error}"))
}

/// One page of several.
pub(crate) struct Page {
    path: PathBuf,
    server: Server,
}

impl Page {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn address(&self) -> String {
        self.server.address()
    }
}

/// Servers of several paths, each at a free port.
pub(crate) fn bind_each(paths: &[&Path]) -> Outcome<Vec<Page>> {
    let bind = |path: &&Path| {
        Ok(Page { path: path.to_path_buf(), server: Server::bind(path, Options::default())? })
    };
    paths.iter().map(bind).collect()
}

/// Opens the first page in the browser, and answers for all of them until Ctrl-C.
pub(crate) fn show(mut pages: Vec<Page>, console: &mut Console) -> Outcome {
    let Some(first) = pages.first_mut() else { return Ok(Exit::Done) };
    console.flush()?;
    open_browser(&mut first.server, console);
    let run = |page: Page| move || page.server.run_until(interrupt::is_set);
    let done: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = pages.into_iter().map(|page| scope.spawn(run(page))).collect();
        started.into_iter().map(|thread| thread.join()).collect()
    });
    for result in done {
        match result {
            Ok(result) => result.map_err(ended)?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    Ok(Exit::Done)
}
