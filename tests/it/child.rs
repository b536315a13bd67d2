//! A second process: an ignored test of this binary.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const FILE: &str = "SILTSTONE_TEST_FILE";
const ARGUMENT: &str = "SILTSTONE_TEST_ARGUMENT";

/// How long a process may take that should end by itself.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A running test of this binary; killed when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    lines: BufReader<ChildStdout>,
}

/// The command that runs the ignored test `name` (`module::function`) for a file.
pub(crate) fn command(name: &str, file: &Path, argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .env(ARGUMENT, argument)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// Starts it.
pub(crate) fn start(name: &str, file: &Path, argument: &str) -> Child {
    Child::from(command(name, file, argument))
}

impl From<Command> for Child {
    fn from(mut command: Command) -> Self {
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Child { process, lines }
    }
}

impl Child {
    /// Waits for a line that the child says; false if it ended without.
    pub(crate) fn wait_for(&mut self, line: &str) -> bool {
        let mut said = String::new();
        while self.lines.read_line(&mut said).unwrap() > 0 {
            if said.trim_end().ends_with(line) {
                return true;
            }
            said.clear();
        }
        false
    }

    /// Reads what it says until so many lines have the word in them, or it has ended. So a kill comes when something was
    /// acknowledged, however slow the machine is.
    pub(crate) fn hear(&mut self, word: &str, lines: u64) -> Vec<String> {
        let (mut said, mut heard) = (Vec::new(), 0);
        while heard < lines {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                break;
            }
            heard += u64::from(line.contains(word));
            said.push(line.trim_end().to_owned());
        }
        said
    }

    /// Kills it, with no chance to clean up; what it had said since the last read.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.rest()
    }

    /// Waits until it has ended by itself, successfully; what it had said since the last read.
    pub(crate) fn finish(self) -> Vec<String> {
        let (said, status) = self.end();
        assert!(status.success(), "the child failed: {said:?}");
        said
    }

    /// Waits until it has ended, however; what it had said since the last read.
    pub(crate) fn end(mut self) -> (Vec<String>, ExitStatus) {
        let said = self.rest();
        let start = Instant::now();
        let status = loop {
            match self.process.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(start.elapsed() < TIMEOUT, "the child does not end: {said:?}"),
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        (said, status)
    }

    fn rest(&mut self) -> Vec<String> {
        let mut said = String::new();
        self.lines.read_to_string(&mut said).unwrap();
        said.lines().map(str::to_owned).collect()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended
        let _ = self.process.wait();
    }
}

/// In the child: the file and the argument that it was started for; `None` if somebody ran all
/// ignored tests by hand.
pub(crate) fn mission() -> Option<(PathBuf, String)> {
    let file = std::env::var_os(FILE)?;
    Some((file.into(), std::env::var(ARGUMENT).unwrap_or_default()))
}

/// In the child: says a line in one system call, so that a kill leaves no part of it.
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    let line = format!("{line}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

/// Numbers that look random and are the same for the same seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}
