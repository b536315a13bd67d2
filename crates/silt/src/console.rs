//! Where results and messages go, and how wide and colourful they may be.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde_json::Value;

use crate::cli::{Display, When};
use crate::progress::Progress;
use crate::terminal::{self, escaped};

/// Stdout for results, stderr for messages.
pub(crate) struct Console {
    /// Results.
    pub(crate) out: BufWriter<Stdout>,
    /// Whether the result is one JSON document.
    pub(crate) json: bool,
    /// Whether stdout is a terminal.
    pub(crate) is_terminal: bool,
    /// Whether stdout may have colours.
    pub(crate) color: bool,
    color_messages: bool,
    quiet: bool,
}

impl Console {
    pub(crate) fn new(display: &Display) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = |is_terminal| match display.color {
            When::Always => true,
            When::Never => false,
            When::Auto => is_terminal && !plain,
        };
        let is_terminal = io::stdout().is_terminal();
        Console {
            out: BufWriter::new(io::stdout()),
            json: display.json,
            is_terminal,
            color: color(is_terminal),
            color_messages: color(io::stderr().is_terminal()),
            quiet: display.quiet,
        }
    }

    /// Columns and rows of the terminal; 80 and 24 where nothing tells.
    pub(crate) fn size(&self) -> (usize, usize) {
        if let Some((width, height)) = terminal_size::terminal_size() {
            return (width.0.into(), height.0.into());
        }
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let (width, height) = (number("COLUMNS"), number("LINES"));
        (width.filter(|n| *n > 0).unwrap_or(80), height.filter(|n| *n > 0).unwrap_or(24))
    }

    /// The width at which a table is cut: that of the terminal. Into a pipe nothing is cut, unless
    /// COLUMNS says so.
    pub(crate) fn table_width(&self) -> usize {
        match self.is_terminal || std::env::var_os("COLUMNS").is_some() {
            true => self.size().0,
            false => usize::MAX,
        }
    }

    /// A line of the result, or several.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.out, "{}", terminal::line(text.as_ref()))
    }

    /// The result as JSON, indented for a person and on one line for a program.
    pub(crate) fn document(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.out, "{}", terminal::json(value, self.is_terminal))
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// A message for the person at the terminal.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            print_stderr(&escaped(text.to_owned()));
        }
    }

    /// A message that a script should not lose, even when it asked for quiet.
    pub(crate) fn warn(&self, text: &str) {
        let text = escaped(text.to_owned());
        match self.color_messages {
            true => print_stderr(&format!("\u{1b}[33mwarning:\u{1b}[0m {text}")),
            false => print_stderr(&format!("warning: {text}")),
        }
    }

    /// The reason of a failure.
    pub(crate) fn error(&self, sentence: &str, code: u8) {
        if self.json {
            return write_error_json(sentence, code);
        }
        let text = escaped(sentence.to_owned());
        match self.color_messages {
            true => print_stderr(&format!("\u{1b}[31merror:\u{1b}[0m {text}")),
            false => print_stderr(&format!("error: {text}")),
        }
    }

    /// Progress on stderr; nothing is drawn unless stderr is a terminal.
    pub(crate) fn progress(&self, doing: &'static str, unit: &'static str) -> Progress {
        Progress::new(doing, unit, self.quiet || self.json)
    }
}

/// A failure as one JSON document on stderr.
pub(crate) fn write_error_json(sentence: &str, code: u8) {
    print_stderr(&terminal::json(&serde_json::json!({ "error": sentence, "exit": code }), false));
}

fn print_stderr(text: &str) {
    // There is nobody to tell that stderr is gone.
    let _ = writeln!(io::stderr(), "{text}");
}
