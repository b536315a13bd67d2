//! Opens the page in the user's browser.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Opens an address in the user's browser. The token must not stand in a list of processes, which every user of the machine
/// can read: the browser gets a file that only this user can read, and which leads on. The folder of the file is returned,
/// and removed with what it is kept in.
///
/// # Errors
/// Where there is no browser, or no display to show it on.
pub(crate) fn open(address: &str) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("siltstone-view-").tempdir()?;
    let file = folder.path().join("open.html");
    // The address is this server's own: there is nothing in it to escape.
    fs::write(
        &file,
        format!("<!doctype html>\n<meta http-equiv=\"refresh\" content=\"0; url={address}\">\n"),
    )?;
    let mut command = command(&file)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    // Whoever opens the browser ends at once or stays with it: waiting for it keeps no thread of ours busy.
    std::thread::spawn(move || child.wait());
    Ok(folder)
}

#[cfg(target_os = "macos")]
fn command(file: &Path) -> io::Result<Command> {
    let mut command = Command::new("open");
    command.arg(file);
    Ok(command)
}

#[cfg(windows)]
fn command(file: &Path) -> io::Result<Command> {
    let mut command = Command::new("explorer");
    command.arg(file);
    Ok(command)
}

#[cfg(not(any(windows, target_os = "macos")))]
fn command(file: &Path) -> io::Result<Command> {
    let has_display =
        ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if !has_display {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no display"));
    }
    let mut command = Command::new("xdg-open");
    command.arg(file);
    Ok(command)
}
