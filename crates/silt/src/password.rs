//! A password from the person at the terminal, not shown while it is typed.

use std::io::{self, BufRead, Write};

use siltstone::{Error, Result};

/// Asks for the password of a server.
///
/// # Errors
/// [`Error::Interrupted`] for Ctrl-C, or the end of the input.
pub(crate) fn ask(server: &str) -> Result<String> {
    eprint!("Password for {}: ", crate::terminal::escaped(server.to_owned()));
    let _ = io::stderr().flush(); // stderr that is gone is no reason not to read
    let typed = hidden(|| typed(io::stdin().lock()));
    eprintln!();
    let stopped = Error::Interrupted { action: "asking for a password" };
    typed.ok().flatten().ok_or(stopped)
}

/// What is typed up to the end of the line; `None` for Ctrl-C, Ctrl-D or the end of the input.
fn typed(input: impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    for byte in input.bytes() {
        match byte? {
            b'\n' | b'\r' => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            3 | 4 => return Ok(None),
            8 | 127 => {
                // A character of several bytes goes as one.
                while line.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {}
            }
            21 => line.clear(),
            byte => line.push(byte),
        }
    }
    Ok(None)
}

/// Runs `work` while the terminal shows nothing and hands on each key, so that Ctrl-C cannot leave it so.
#[cfg(unix)]
fn hidden<T>(work: impl FnOnce() -> T) -> T {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let input = rustix::stdio::stdin();
    let before = tcgetattr(input).ok();
    if let Some(mut quiet) = before.clone() {
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        let _ = tcsetattr(input, OptionalActions::Flush, &quiet); // then it is shown
    }
    let done = work();
    if let Some(before) = before {
        let _ = tcsetattr(input, OptionalActions::Now, &before);
    }
    done
}

#[cfg(not(unix))]
fn hidden<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: keys are taken as at any prompt: what is rubbed out is gone, and Ctrl-C gives nothing.
    #[test]
    fn a_password_is_typed_as_at_any_prompt() {
        let type_in = |keys: &[u8]| typed(keys).unwrap();
        assert_eq!(type_in(b"hunter2\nmore").as_deref(), Some("hunter2"));
        assert_eq!(type_in("hä\x7funter3\x082\r".as_bytes()).as_deref(), Some("hunter2"));
        assert_eq!(type_in(b"wrong\x15hunter2\n").as_deref(), Some("hunter2"));
        assert_eq!(type_in(b"\n").as_deref(), Some(""));
        for keys in [&b"hun\x03ter2\n"[..], b"\x04", b"hunter2"] {
            assert_eq!(type_in(keys), None);
        }
    }
}
