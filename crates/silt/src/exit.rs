//! How the command ends.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use siltstone::Skipped;

use crate::console::Console;

/// What a subcommand returns.
pub(crate) type Outcome<T = Exit> = std::result::Result<T, Failure>;

/// A command that did what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Done,
    /// It looked, and found something: damage.
    Finding,
    /// Something was skipped, and was named.
    Skipped,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Finding => 1,
            Exit::Skipped => 3,
        })
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library's error.
    Library(siltstone::Error),
    /// Stdout could not be written.
    Output(io::Error),
    /// A sentence of the command's own.
    Said(String),
}

impl Failure {
    /// A failure that is told in a sentence of its own.
    pub(crate) fn said(sentence: impl Into<String>) -> Self {
        Failure::Said(sentence.into())
    }

    /// The exit code. A reader of stdout that goes away has seen what it wanted.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::Library(siltstone::Error::Interrupted { .. }) => 130,
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            _ => 2,
        }
    }

    /// The sentence for stderr, if there is anything to say.
    pub(crate) fn sentence(&self) -> Option<String> {
        match self {
            Failure::Library(error) => Some(error.to_string()),
            Failure::Output(_) if self.code() == 0 => None,
            Failure::Output(error) => Some(format!("stdout: cannot write: {error}")),
            Failure::Said(sentence) => Some(sentence.clone()),
        }
    }
}

/// Several inputs, of which one that cannot be read is skipped and named, and the rest goes on.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    taken: usize,
    left: Vec<(PathBuf, siltstone::Error)>,
}

impl Inputs {
    /// What an input gave; nothing if it is skipped.
    ///
    /// # Errors
    /// What is no matter of this input alone.
    pub(crate) fn take<T>(&mut self, input: &Path, given: Outcome<T>) -> Outcome<Option<T>> {
        match given {
            Ok(given) => {
                self.taken += 1;
                Ok(Some(given))
            }
            Err(Failure::Library(error)) if error.concerns(input) => {
                self.left.push((input.to_owned(), error));
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Names those that were skipped; whether there are some.
    ///
    /// # Errors
    /// The first reason, if all were: nothing was done.
    pub(crate) fn end(mut self, console: &Console) -> Outcome<bool> {
        let first = (self.taken == 0 && !self.left.is_empty()).then(|| self.left.remove(0).1);
        for (input, error) in &self.left {
            console.warn(&Skipped::new(input, error).to_string());
        }
        first.map_or(Ok(!self.left.is_empty()), |error| Err(Failure::Library(error)))
    }
}

impl From<siltstone::Error> for Failure {
    fn from(error: siltstone::Error) -> Self {
        Failure::Library(error)
    }
}

impl From<io::Error> for Failure {
    /// The only input and output of the command itself is stdout.
    fn from(error: io::Error) -> Self {
        Failure::Output(error)
    }
}
