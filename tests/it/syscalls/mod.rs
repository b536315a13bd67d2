//! Faults at system calls: a child process that fails, or is killed, at the n-th call that changes the files of a folder.
//!
//! The child is an ignored test of this binary (see [`crate::child`]) that calls [`arm`] once it is ready. From then on a
//! seccomp filter stops each call of `CALLS` in all of its threads, whatever library makes it, and sends the signal
//! `SIGSYS`. Its handler numbers the calls that concern the watched folder, does to one of them what the [`Trouble`] says,
//! and makes all others, marked by a number in the sixth argument, which the filter lets through. The handler takes no
//! lock and no memory, so that it may interrupt anything.
//!
//! Each call is written down in a file beside the folder, together with the lines that the child says on its standard
//! output, in their order. So the parent can
//!
//! - count the calls of a commit ([`count`]), then fail each in turn ([`fail`]) or kill before or after it ([`kill_at`]);
//! - see whether what was acknowledged had been synced by then ([`Run::unsynced`]).
//!
//! In the child [`struck`] says whether the trouble has come, and [`heal`] ends one that lasts. A child that does not end
//! within [`TIMEOUT_S`] is killed by `SIGALRM`. Programs that the child starts meet the filter without its handler, and
//! end at their first such call.

mod trap;

use std::ffi::{OsStr, c_int};
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use trap::{FAIL, FAIL_FROM, KILL_AFTER, KILL_BEFORE, SHORT};
pub(crate) use trap::{arm, end_if_it_hangs, heal, struck};

use crate::child::{self, Child};

const PLAN: &str = "SILTSTONE_TEST_TROUBLE";
const FOLDER: &str = "SILTSTONE_TEST_FOLDER";
const TRACE: &str = "SILTSTONE_TEST_TRACE";

/// How long an armed child may take.
const TIMEOUT_S: u32 = 30;

/// What happens to the call that the plan numbers; the errors are `errno`s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing: the calls are only written down.
    Nothing,
    /// It is not made, and fails.
    Fail(c_int),
    /// It and every later one that such an error can meet (see [`Call::can_meet`]) fails.
    FailFrom(c_int),
    /// The process is killed in its place.
    KillBefore,
    /// The process is killed as soon as it is made.
    KillAfter,
    /// A write that takes half of the bytes; any other call is made as it is.
    Short,
}

impl Trouble {
    fn to_words(self) -> String {
        match self {
            Trouble::Nothing => "0 0".into(),
            Trouble::Fail(errno) => format!("{FAIL} {errno}"),
            Trouble::FailFrom(errno) => format!("{FAIL_FROM} {errno}"),
            Trouble::KillBefore => format!("{KILL_BEFORE} 0"),
            Trouble::KillAfter => format!("{KILL_AFTER} 0"),
            Trouble::Short => format!("{SHORT} 0"),
        }
    }
}

/// A call that concerned the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its number among all of the run, from 0.
    pub(crate) nth: u64,
    /// A short name: `open`, `create` (an `open` that makes the file), `write`, `truncate`, `sync`, `rename`, `link`, `unlink`,
    /// `mkdir`, `rmdir`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Where a rename or link leads.
    pub(crate) to: Option<PathBuf>,
    /// What the program was answered: below 0 an `errno`, negated.
    pub(crate) answer: i64,
    /// Whether the trouble struck it.
    pub(crate) is_struck: bool,
}

impl Call {
    /// Whether the error is one that the kernel gives for such a call.
    pub(crate) fn can_meet(&self, errno: c_int) -> bool {
        can_meet(self.name.as_bytes(), errno)
    }
}

fn can_meet(name: &[u8], errno: c_int) -> bool {
    match errno {
        libc::ENOSPC => !matches!(name, b"open" | b"unlink" | b"rmdir"),
        libc::EINTR => matches!(name, b"open" | b"create" | b"write" | b"truncate" | b"sync"),
        _ => true,
    }
}

/// What a run of a child consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Call(Call),
    /// A line on standard output.
    Said(String),
}

/// A child that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) steps: Vec<Step>,
    pub(crate) status: ExitStatus,
}

impl Run {
    pub(crate) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.steps.iter().filter_map(|step| match step {
            Step::Call(call) => Some(call),
            Step::Said(_) => None,
        })
    }

    /// The lines that the child said after it was armed.
    pub(crate) fn said(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Said(line) => Some(line.as_str()),
            Step::Call(_) => None,
        })
    }

    /// The first call that the trouble struck.
    pub(crate) fn struck(&self) -> Option<&Call> {
        self.calls().find(|call| call.is_struck)
    }

    /// Whether the child ran until its end, or into the kill that was asked for.
    pub(crate) fn is_ended_well(&self) -> bool {
        self.status.success() || self.status.signal() == Some(libc::SIGKILL)
    }

    /// What a loss of power could have taken although it was acknowledged: for each line that `is_acknowledgement` names,
    /// the files that had bytes which were not synced, and names whose folder was not synced since they were given.
    /// `matters` leaves files out that may be lost.
    pub(crate) fn unsynced(
        &self,
        is_acknowledgement: impl Fn(&str) -> bool,
        matters: impl Fn(&Path) -> bool,
    ) -> Vec<String> {
        let (mut bytes, mut names) = (Vec::<&Path>::new(), Vec::<&Path>::new());
        let mut found = Vec::new();
        for step in &self.steps {
            match step {
                Step::Call(call) if call.answer < 0 => {}
                Step::Call(call) => match call.name.as_str() {
                    "write" | "truncate" => bytes.push(&call.path),
                    "create" | "mkdir" => names.push(&call.path),
                    "rename" | "link" => {
                        let to = call.to.as_deref().expect("it leads somewhere");
                        if call.name == "rename" {
                            names.retain(|path| *path != call.path);
                            bytes.iter_mut().filter(|b| **b == call.path).for_each(|b| *b = to);
                        }
                        names.push(to);
                    }
                    "sync" => {
                        bytes.retain(|path| *path != call.path);
                        names.retain(|path| path.parent() != Some(&call.path));
                    }
                    "unlink" | "rmdir" => {
                        bytes.retain(|path| *path != call.path);
                        names.retain(|path| *path != call.path);
                    }
                    _ => {}
                },
                Step::Said(line) if is_acknowledgement(line) => {
                    let lost = |what: &str, paths: &[&Path]| -> Vec<String> {
                        let paths = paths.iter().filter(|path| matters(path));
                        let one = |path: &&Path| format!("{line:?}: {what} {}", path.display());
                        paths.map(one).collect()
                    };
                    found.extend(lost("not synced: the bytes of", &bytes));
                    found.extend(lost("not synced: the folder of", &names));
                }
                Step::Said(_) => {}
            }
        }
        found.dedup();
        found
    }
}

/// The calls of the child `name` (`module::function`) on the files below `folder`, which is also the file of its mission.
pub(crate) fn count(name: &str, folder: &Path, argument: &str) -> Vec<Call> {
    let run = run(name, folder, argument, 0, Trouble::Nothing);
    assert!(run.status.success(), "the child failed without trouble: {:?}", run.said().last());
    run.calls().cloned().collect()
}

/// Runs the child; its `nth` call fails with the error, all others are made.
pub(crate) fn fail(name: &str, folder: &Path, argument: &str, nth: u64, errno: c_int) -> Run {
    run(name, folder, argument, nth, Trouble::Fail(errno))
}

/// Runs the child until its `nth` call, and kills it before or `after` that is made.
pub(crate) fn kill_at(name: &str, folder: &Path, argument: &str, nth: u64, after: bool) -> Run {
    let trouble = if after { Trouble::KillAfter } else { Trouble::KillBefore };
    run(name, folder, argument, nth, trouble)
}

/// Runs the child with a trouble at its `nth` call.
pub(crate) fn run(name: &str, folder: &Path, argument: &str, nth: u64, trouble: Trouble) -> Run {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let folder = folder.canonicalize().unwrap();
    let mut command = child::command(name, &folder, argument);
    command
        .env(PLAN, format!("{nth} {}", trouble.to_words()))
        .env(FOLDER, &folder)
        .env(TRACE, trace.path());
    let (_, status) = Child::from(command).end();
    let text = std::fs::read(trace.path()).unwrap();
    let steps = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(step);
    Run { steps: steps.collect(), status }
}

fn step(line: &[u8]) -> Step {
    let mut fields = line.split(|byte| *byte == b'\t');
    let mut field = || fields.next().unwrap_or_default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    let kind = field();
    if kind == b"said" {
        return Step::Said(text(field()));
    }
    let nth = text(field()).parse().expect("the number of a call");
    let (name, answer) = (text(field()), text(field()).parse().expect("an answer"));
    let (from, to) = (path(field()), field());
    let to = (!to.is_empty()).then(|| path(to));
    Step::Call(Call { nth, name, path: from, to, answer, is_struck: kind == b"struck" })
}

/// Writes two files in the usual way, one of them without a sync of the folder, and a third when all is well again.
#[test]
#[ignore = "run by the tests of this module"]
fn writes_two_files() {
    let Some((folder, _)) = child::mission() else { return };
    arm();
    for name in ["a", "b"] {
        let write = || -> std::io::Result<()> {
            let temporary = folder.join("new");
            let mut file = File::create(&temporary)?;
            file.write_all(b"0123456789")?;
            file.sync_all()?;
            std::fs::rename(temporary, folder.join(name))?;
            if name == "a" { File::open(&folder)?.sync_all() } else { Ok(()) }
        };
        match write() {
            Ok(()) => child::say(format_args!("wrote {name}")),
            Err(error) => child::say(format_args!("{}", error.raw_os_error().unwrap())),
        }
    }
    if struck() {
        heal();
        std::fs::write(folder.join("c"), b"healed").unwrap();
    }
}

fn in_a_folder<T>(work: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    work(&folder.path().canonicalize().unwrap())
}

const WRITER: &str = "syscalls::writes_two_files";

/// Goal: each call on the folder is written down in its order, whoever makes it, and a file whose folder was not synced
/// before the acknowledgement is named.
#[test]
fn each_call_is_seen_and_a_forgotten_sync_of_the_folder_is_named() {
    in_a_folder(|folder| {
        let names: Vec<_> = count(WRITER, folder, "").into_iter().map(|call| call.name).collect();
        let one = ["create", "write", "sync", "rename"];
        assert_eq!(names, [&one[..], &["open", "sync"], &one].concat());
    });
    in_a_folder(|folder| {
        let run = run(WRITER, folder, "", 0, Trouble::Nothing);
        let said: Vec<_> = run.said().filter(|line| line.starts_with("wrote")).collect();
        assert_eq!(said, ["wrote a", "wrote b"]);
        let found = run.unsynced(|line| line.starts_with("wrote"), |_| true);
        let b = folder.join("b");
        let expected = format!("\"wrote b\": not synced: the folder of {}", b.display());
        assert_eq!(found, [expected]);
    });
}

/// Goal: the call that is asked for fails, once or from then on, with the error that is asked for, and no other; a kill comes
/// before it or after it; a short write takes a part and the program writes the rest.
#[test]
fn the_trouble_strikes_the_call_that_is_asked_for() {
    for nth in 0..10 {
        let saw = |trouble| in_a_folder(|folder| run(WRITER, folder, "", nth, trouble));
        let once = saw(Trouble::Fail(libc::EIO));
        let struck: Vec<_> = once.calls().filter(|call| call.is_struck).collect();
        let [struck] = struck[..] else { panic!("{struck:?} of {nth}") };
        assert_eq!((struck.nth, struck.answer), (nth, i64::from(-libc::EIO)));
        assert!(once.said().any(|line| line == "5") && once.is_ended_well(), "{once:?}");
        let all = saw(Trouble::FailFrom(libc::ENOSPC));
        assert!(all.said().any(|line| line == "28"), "{all:?}");
        let end = all.calls().position(|call| call.path.ends_with("c")).expect("it is healed");
        let calls = all.calls().take(end).filter(|call| call.nth >= nth);
        calls.for_each(|call| assert_eq!(call.is_struck, call.can_meet(libc::ENOSPC), "{call:?}"));
    }
    for nth in [1, 3] {
        for after in [false, true] {
            in_a_folder(|folder| {
                let run = kill_at(WRITER, folder, "", nth, after);
                assert_eq!(run.status.signal(), Some(libc::SIGKILL));
                assert_eq!(run.struck().map(|call| call.nth), Some(nth));
                let file = folder.join(if (nth, after) == (3, true) { "a" } else { "new" });
                let length = std::fs::metadata(file).map_or(0, |file| file.len());
                let expected = if nth == 1 && !after { 0 } else { 10 };
                assert_eq!(length, expected, "{nth} {after}");
            });
        }
    }
    in_a_folder(|folder| {
        let run = run(WRITER, folder, "", 1, Trouble::Short);
        assert_eq!(run.struck().map(|call| call.answer), Some(5));
        assert_eq!(std::fs::read(folder.join("a")).unwrap(), b"0123456789");
    });
    in_a_folder(|folder| {
        let run = fail(WRITER, folder, "", 3, libc::EIO);
        assert_eq!(run.said().filter(|line| line.starts_with("wrote")).count(), 1);
        assert!(!folder.join("a").exists() && folder.join("b").exists());
    });
}
