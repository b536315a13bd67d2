//! The torture of every store: a workload that acknowledges what it writes, trouble on the way, and an oracle that reads the
//! file from outside.
//!
//! - A [`Subject`] is a store in one of its formats: it writes numbered items, of which everything follows from the number
//!   ([`found`]), and finds them again: by plain SQL or the plain format, and by our own reader.
//! - A [`Trouble`] is what happens meanwhile. Its `round` tries some cases of one subject, which follow from the round's
//!   number: `SEED`. Children are the ignored test [`works`] of this binary.
//! - After each case [`check::check`] compares: every acknowledged item is there, whole, right and once; one that was in
//!   the making is there as a whole or not; `verify` finds nothing; and the store goes on writing.
//!
//! `make torture` runs rounds until its time is over and ends with a table; the tests at the end of this file are a few
//! cases of each kind.

mod check;
mod clocks;
mod experiment;
mod faults;
mod flips;
mod found;
mod kills;
mod memory;
mod report;
mod series;
mod simulation;
mod ticks;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use siltstone::{Database, Durability, Error};

use crate::child::{mission, say};
use crate::syscalls;
use found::{Found, Odd, rows_of};
use report::Report;

/// A store in one of its formats.
trait Subject: Sync {
    fn name(&self) -> &'static str;

    /// Opens it in a folder, for writing; `first` is the first item that will be written.
    fn open(
        &self,
        folder: &Path,
        durability: Durability,
        first: u64,
    ) -> Result<Box<dyn Writer>, Error>;

    /// What another program finds, without any code of ours.
    fn outside(&self, folder: &Path) -> Result<Found, Odd>;

    /// What our own reader finds, after it has repaired what a process left that was killed.
    fn inside(&self, folder: &Path) -> Result<Found, Odd>;

    /// Items that are kept beside the store until it can be written again.
    fn waiting(&self, _: &Path) -> Result<BTreeSet<u64>, Odd> {
        Ok(BTreeSet::new())
    }

    fn rows_of(&self, item: u64) -> u64 {
        rows_of(item)
    }

    /// What the store's own check says.
    fn verify(&self, _: &Path) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    /// Its SQLite file, if backups of it can be made.
    fn database(&self, _: &Path) -> Option<PathBuf> {
        None
    }

    /// Compares with other lines that the child said.
    fn heard(&self, _: &Path, _: &[String]) -> Result<(), Odd> {
        Ok(())
    }

    /// Whether several processes may write at once.
    fn is_shared(&self) -> bool {
        true
    }
}

/// A store that is open.
trait Writer {
    /// Stores an item; it is acknowledged when this returns without an error.
    fn put(&mut self, item: u64) -> Result<(), Error>;

    /// Stores an item whose call has failed.
    fn again(&mut self, item: u64) -> Result<(), Error> {
        self.put(item)
    }

    /// What is done now and then: compaction, checkpoints, and backups, whose path it returns.
    fn tend(&mut self, _: u64) -> Result<Option<PathBuf>, Error> {
        Ok(None)
    }

    fn close(self: Box<Self>) -> Result<(), Error>;
}

const SUBJECTS: [&dyn Subject; 8] = [
    &simulation::InSqlite,
    &simulation::InJson,
    &experiment::Steps,
    &memory::Episodes,
    &ticks::InSqlite,
    &ticks::InJson,
    &series::InSqlite,
    &series::InParquet,
];

/// What happens to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// `kill -9` at random instants.
    Kills,
    /// A kill before and after each system call.
    KillAtCall,
    /// An error of each system call, or of all from one on; short writes.
    Errors,
    /// `strace` in the shim's place.
    Strace,
    /// The order of the calls: synced before acknowledged, at durability `disk`.
    Unsynced,
    /// A small file system that is full.
    FullDisk,
    /// A signal every 200 µs.
    Signals,
    /// Several processes, one of which is killed.
    Processes,
    /// Bits of finished files.
    Flips,
    /// A clock set back.
    Clocks,
}

impl Trouble {
    const ALL: [Trouble; 10] = [
        Trouble::Kills,
        Trouble::KillAtCall,
        Trouble::Errors,
        Trouble::Strace,
        Trouble::Unsynced,
        Trouble::FullDisk,
        Trouble::Signals,
        Trouble::Processes,
        Trouble::Flips,
        Trouble::Clocks,
    ];

    /// Tries at the most `cases` cases; which, follows from the seed.
    fn round(self, subject: &'static dyn Subject, seed: u64, cases: usize, report: &Report) {
        let round = Round { subject, trouble: self, seed, cases, report };
        match self {
            Trouble::Kills => kills::kills(&round),
            Trouble::Processes => kills::processes(&round),
            Trouble::Signals => kills::signals(&round),
            Trouble::FullDisk => kills::full_disk(&round),
            Trouble::KillAtCall | Trouble::Errors => faults::calls(&round),
            Trouble::Strace => faults::strace(&round),
            Trouble::Unsynced => faults::unsynced(&round),
            Trouble::Flips => flips::flips(&round),
            Trouble::Clocks => clocks::clocks(&round),
        }
    }
}

/// Some cases of one trouble for one store.
struct Round<'a> {
    subject: &'static dyn Subject,
    trouble: Trouble,
    seed: u64,
    cases: usize,
    report: &'a Report,
}

impl Round<'_> {
    /// Counts a case, and writes down what is odd.
    fn tried(&self, what: impl std::fmt::Display, outcome: Result<(), String>) {
        self.report.tried(self, outcome.map_err(|odd| format!("{what}: {odd}")));
    }
}

/// The file of a store, opened by plain SQLite.
struct Outside(rusqlite::Connection);

impl Outside {
    /// `None` if there is no such file, or the table is not in it yet. The file must be sound as SQLite sees it.
    fn open(file: &Path, table: &str) -> Result<Option<Self>, Odd> {
        if !file.exists() {
            return Ok(None);
        }
        let sql =
            |error: rusqlite::Error| Odd::wrong("SQLite", format!("{}: {error}", file.display()));
        let db = rusqlite::Connection::open(file).map_err(sql)?;
        let count = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
        let there: i64 = db.query_row(count, [table], |row| row.get(0)).map_err(sql)?;
        let sound: String =
            db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(sql)?;
        if sound != "ok" {
            return Err(Odd::wrong("SQLite", sound));
        }
        Ok((there > 0).then_some(Outside(db)))
    }

    fn each<T>(
        &self,
        sql: &str,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Odd> {
        let rows = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.0.prepare(sql)?;
            statement.query_map([], read)?.collect()
        };
        rows().map_err(|error| Odd::wrong("SQLite", format!("{error}, {sql}")))
    }
}

/// What `verify` finds in a file.
fn verified(file: &Path) -> Result<Vec<String>, Error> {
    let report = Database::builder(file).open_read_only()?.verify()?;
    Ok(report.findings.iter().map(|found| format!("{found:?}")).collect())
}

/// The files of a folder and of those in it, sorted; none if there is no such folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

/// The item that a line acknowledges.
fn acknowledged(line: &str) -> Option<u64> {
    line.rsplit_once("acked ")?.1.parse().ok()
}

/// Whether a line tells of a failure.
fn tells_failure(line: &str) -> bool {
    line.contains("failed ") // the test harness says "failed;"
}

/// What a child is to do.
#[derive(Debug, Clone, Copy)]
struct Mission {
    first: u64,
    /// Items; 0: until it is killed.
    count: u64,
    durability: Durability,
    /// Whether calls count from before the store is opened, or from after it.
    arms_early: bool,
    special: Special,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Special {
    Nothing,
    /// Fills the disk after a few items, and makes room again when an error has come.
    Fills,
    /// Sends itself signals all the time.
    Signals,
}

impl Mission {
    fn new(first: u64, count: u64) -> Self {
        let (durability, special) = (Durability::Os, Special::Nothing);
        Mission { first, count, durability, arms_early: false, special }
    }

    fn argument(&self, subject: &dyn Subject) -> String {
        let disk = self.durability == Durability::Disk;
        let (name, early, special) = (subject.name(), self.arms_early, self.special as u8);
        format!("{name} {} {} {disk} {early} {special}", self.first, self.count)
    }

    fn parse(argument: &str) -> (&'static dyn Subject, Self) {
        let words: Vec<&str> = argument.split(' ').collect();
        let subject = SUBJECTS.into_iter().find(|subject| subject.name() == words[0]);
        let number = |i: usize| words[i].parse::<u64>().expect("a number");
        let special = [Special::Nothing, Special::Fills, Special::Signals][number(5) as usize];
        let durability = if words[3] == "true" { Durability::Disk } else { Durability::Os };
        let (first, count, arms_early) = (number(1), number(2), words[4] == "true");
        let mission = Mission { first, count, durability, arms_early, special };
        (subject.expect("a subject"), mission)
    }
}

const WORKS: &str = "torture::works";

/// Calls that may fail before the child makes the disk well again, and that may fail after that.
const TRIES: usize = 2;

/// Does something until it goes well; each failure is said. What fails although nothing is in its way any more is a loss.
fn insist(what: &str, work: &mut dyn FnMut(usize) -> Result<(), Error>, heal: &dyn Fn()) {
    for tries in 0..2 * TRIES {
        match work(tries) {
            Ok(()) => return,
            // Its name has lost a sync, which only a loss of power would show.
            Err(Error::DurabilityUnknown { .. }) => return,
            Err(error) => say(format_args!("failed {what}: {error}")),
        }
        if tries + 1 == TRIES {
            heal();
        }
    }
    panic!("{what} fails although the disk is well again");
}

/// Writes items and says which are acknowledged.
#[test]
#[ignore = "run by the tests of this module"]
fn works() {
    let Some((folder, argument)) = mission() else { return };
    let (subject, mission) = Mission::parse(&argument);
    let ballast = folder.join("ballast");
    let heal = || {
        syscalls::heal();
        let _ = std::fs::remove_file(&ballast); // mostly it is not there
    };
    syscalls::end_if_it_hangs();
    if mission.special == Special::Signals {
        kills::send_signals();
    }
    if mission.arms_early {
        syscalls::arm();
    }
    let mut open = None;
    let mut opens = |_| {
        open = Some(subject.open(&folder, mission.durability, mission.first)?);
        Ok(())
    };
    insist("to open", &mut opens, &heal);
    let mut writer = open.expect("it is open");
    if !mission.arms_early {
        syscalls::arm();
    }
    say(format_args!("open"));
    for item in mission.first.. {
        if mission.count > 0 && item == mission.first + mission.count {
            break;
        }
        if mission.special == Special::Fills && item == mission.first + 5 {
            kills::fill(&ballast);
        }
        let mut put = |tries| if tries == 0 { writer.put(item) } else { writer.again(item) };
        insist(&format!("item {item}"), &mut put, &heal);
        say(format_args!("acked {item}"));
        if item % 4 == 3 {
            let mut made = None;
            insist("upkeep", &mut |_| writer.tend(item).map(|path| made = path), &heal);
            if let Some(path) = made {
                say(format_args!("backup {}", path.display()));
            }
        }
    }
    if let Err(error) = writer.close() {
        say(format_args!("failed to close: {error}"));
    }
    say(format_args!("done"));
}

/// Cases of a round; the short tests try the first of them.
const CASES: usize = 24;

fn setting(name: &str) -> Option<String> {
    std::env::var(format!("SILTSTONE_TORTURE_{name}")).ok().filter(|text| !text.is_empty())
}

/// Goal: nothing that was acknowledged is lost, doubled or wrong, whatever happens, for as long as one likes to try.
#[test]
#[ignore = "run by `make torture`"]
fn tortures_every_store() {
    let number = |name, default| setting(name).map_or(default, |text| text.parse().unwrap());
    let minutes: f64 = setting("MINUTES").map_or(1.0, |text| text.parse().unwrap());
    let (first, rounds): (u64, u64) = (number("SEED", 0), number("ROUNDS", u64::MAX));
    let chosen = |name, what: &str| {
        setting(name).is_none_or(|list| list.split(',').any(|word| word.trim() == what))
    };
    let pairs: Vec<_> = SUBJECTS
        .into_iter()
        .filter(|subject| chosen("STORES", subject.name()))
        .flat_map(|subject| Trouble::ALL.map(|trouble| (subject, trouble)))
        .filter(|(_, trouble)| chosen("TROUBLES", &format!("{trouble:?}")))
        .collect();
    assert!(!pairs.is_empty(), "no such store or trouble");
    let (report, end) =
        (Report::default(), Instant::now() + Duration::from_secs_f64(minutes * 60.0));
    let next = std::sync::atomic::AtomicU64::new(0);
    // Two at a time: the children keep a core busy each.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while Instant::now() < end {
                    let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let (round, pair) = (n / pairs.len() as u64, n as usize % pairs.len());
                    if round >= rounds {
                        return;
                    }
                    let (subject, trouble) = pairs[pair];
                    trouble.round(subject, first + round, CASES, &report);
                }
            });
        }
    });
    report.end();
}

/// A few cases of a trouble for every store.
fn briefly(troubles: &[Trouble], cases: usize) {
    assert!(cases <= CASES, "so that a loss can be seen again");
    let report = Report::default();
    for subject in SUBJECTS {
        troubles.iter().for_each(|trouble| trouble.round(subject, 0, cases, &report));
    }
    report.end();
}

/// Goal: a few kills of each store, at random instants and among several processes, lose nothing that was acknowledged.
#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    briefly(&[Trouble::Kills, Trouble::Processes, Trouble::Signals], 3);
}

/// Goal: a kill before or after some of the system calls of each store leaves whole items, and every acknowledged one.
#[test]
fn a_kill_at_a_system_call_leaves_whole_items() {
    briefly(&[Trouble::KillAtCall], 8);
}

/// Goal: where some of the system calls of each store fail, and on a full disk, an item is acknowledged and there once, or
/// told to have failed, and can be stored again once the disk is well.
#[test]
fn a_failing_system_call_loses_and_doubles_nothing() {
    briefly(&[Trouble::Errors, Trouble::FullDisk, Trouble::Strace], 8);
}

/// Goal: at durability `disk` the bytes of a file and the name of it are synced before what is in it is acknowledged.
#[test]
fn what_is_acknowledged_at_disk_has_been_synced() {
    briefly(&[Trouble::Unsynced], 1);
}

/// Goal: a flipped bit of a block or an array gives an error and a finding, and no other number.
#[test]
fn a_flipped_bit_is_seen() {
    briefly(&[Trouble::Flips], 24);
}

/// Goal: with a clock set back the backup that was just made stays, and the oldest go.
#[test]
fn a_clock_set_back_removes_no_new_backup() {
    briefly(&[Trouble::Clocks], 2);
}
