//! How the command ends.

use std::io;
use std::process::ExitCode;

/// What a subcommand returns.
pub(crate) type Outcome<T = Exit> = std::result::Result<T, Failure>;

/// A command that did what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Done,
    /// It looked, and found something: damage.
    Finding,
    /// Something was left behind, and was named.
    LeftBehind,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Finding => 1,
            Exit::LeftBehind => 3,
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
