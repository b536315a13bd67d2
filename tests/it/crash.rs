//! A process is killed at random instants: what it was told is stored, is stored.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use siltstone::Array;
use siltstone::simulation::{Attribute, Group, Options, SimulationDatabase, Status, Update};

use crate::child::{self, Random, mission, say};

const KILLS: usize = 200;
/// Files that are written in turn, so that none grows too long to be read whole each time.
const FILES: usize = 20;
/// Each file's writers take their tags from a range of its own.
const TAGS_OF_A_FILE: u64 = 1_000_000;
const DATASET: &str = "net";
const GROUP: &str = "roads";
/// Entities of the group: each update speaks of all.
const ENTITIES: u64 = 6;

fn update(n: i64, tag: u64) -> Update {
    update_of(DATASET, n, tag)
}

/// Update `n` as the writer `tag` makes it: every bit follows from the two.
pub(crate) fn update_of(dataset: &str, n: i64, tag: u64) -> Update {
    let mut random = Random(tag ^ (n as u64) << 32);
    let ids: Vec<i64> = (0..ENTITIES as i64).collect();
    let speeds: Vec<f64> = ids.iter().map(|_| f64::from_bits(random.below(1 << 62))).collect();
    let labels: Vec<String> =
        ids.iter().map(|_| "ß".repeat(1 + random.below(9) as usize)).collect();
    // Now and then more than a page; in some files so much that the file gets larger pages.
    let is_large = tag / TAGS_OF_A_FILE % 4 == 3;
    let most = if is_large || random.below(8) == 0 { 600 } else { 4 };
    let mut ends = vec![0i64];
    ids.iter().for_each(|_| ends.push(ends[ends.len() - 1] + random.below(most) as i64));
    let items: Vec<i64> = (0..ends[ends.len() - 1]).map(|_| random.below(1 << 40) as i64).collect();
    let attributes = vec![
        ("id".to_owned(), Attribute::new(Array::from_slice(&ids))),
        ("speed".to_owned(), Attribute::new(Array::from_slice(&speeds))),
        ("label".to_owned(), Attribute::new(Array::from_strs(&labels))),
        (
            "items".to_owned(),
            Attribute::ragged(Array::from_slice(&items), Array::from_slice(&ends)),
        ),
    ];
    Update {
        timestamp: n,
        iteration: 0,
        dataset: dataset.into(),
        origin: Some(tag.to_string()),
        data: vec![Group { name: GROUP.into(), attributes }],
    }
}

/// The update that a stored one claims to be.
fn expected(stored: &Update) -> Update {
    let tag = stored.origin.as_deref().and_then(|tag| tag.parse().ok()).expect("a number");
    update_of(&stored.dataset, stored.timestamp, tag)
}

/// Arrays compare by their bytes.
pub(crate) fn assert_same(stored: &Update) {
    let (found, made) = (&stored.data, expected(stored).data);
    let n = stored.timestamp;
    assert_eq!(found.len(), made.len(), "groups of update {n}");
    for (found, made) in found.iter().zip(made) {
        let names = |group: &Group| {
            let mut names: Vec<_> = group.attributes.iter().map(|a| a.0.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(names(found), names(&made), "attributes of update {n}");
        for (name, made) in &made.attributes {
            let (_, found) = found.attributes.iter().find(|a| a.0 == *name).unwrap();
            assert!(found == made, "attribute {name} of update {n} differs");
        }
    }
}

/// What the parent knows from what the child said.
#[derive(Default)]
struct Reported {
    /// Acknowledged updates and who wrote them.
    acked: BTreeMap<i64, u64>,
    /// Batches begun: all of them is there or nothing.
    batches: Vec<Range<i64>>,
    /// A removal of what is after this was begun and not acknowledged.
    resuming: Option<i64>,
}

impl Reported {
    fn hear(&mut self, line: &str) {
        // The first line has the test's name before it.
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| words[words.len() - i].parse::<i64>().expect("a number");
        let verb = words.iter().find(|w| ["acked", "batch", "resuming", "resumed"].contains(*w));
        match verb.copied() {
            Some("acked") => {
                self.acked.insert(number(2), number(1) as u64);
            }
            Some("batch") => self.batches.push(number(2)..number(1)),
            Some("resuming") => self.resuming = Some(number(1)),
            Some("resumed") => {
                self.resuming = None;
                self.acked.retain(|n, _| *n <= number(1));
                self.batches.clear();
            }
            _ => {}
        }
    }

    /// Compares a file with what was said; it is the truth for the next child.
    fn check(&mut self, path: &Path) -> usize {
        let options = Options { no_keyframes: true, ..Options::default() };
        let db = SimulationDatabase::open_with(path, options).unwrap();
        let report = db.database().verify().unwrap();
        assert!(report.is_ok(), "{:?}", report.findings);
        let stored = db.updates(DATASET).unwrap();
        stored.iter().for_each(assert_same);
        for (i, update) in stored.iter().enumerate() {
            assert_eq!(update.timestamp, i as i64, "an update is missing or out of order");
        }
        let tags: Vec<u64> =
            stored.iter().map(|u| u.origin.as_deref().unwrap().parse().unwrap()).collect();
        if let Some(kept) = self.resuming.take()
            && stored.len() as i64 == kept + 1
        {
            self.acked.retain(|n, _| *n <= kept); // it was done and not told
            self.batches.clear();
        }
        for (n, tag) in &self.acked {
            let found = tags.get(*n as usize);
            assert_eq!(found, Some(tag), "update {n}, acknowledged to {tag}, of {}", stored.len());
        }
        for batch in self.batches.drain(..) {
            let there = batch.clone().filter(|n| *n < stored.len() as i64).count();
            assert!(there == 0 || there == batch.clone().count(), "{there} of batch {batch:?}");
        }
        if !stored.is_empty() {
            assert_eq!(db.run().unwrap().status, Status::Running);
            let n = stored.len() as i64 / 2;
            let state = db.state_at(DATASET, GROUP, n).unwrap();
            let speed = &stored[n as usize].data[0].attributes.iter().find(|a| a.0 == "speed");
            assert!(state.column("speed").unwrap().attribute.data == speed.unwrap().1.data);
        }
        self.acked = (0..).zip(tags).collect();
        stored.len()
    }
}

/// Goal: 200 kills at random instants, in the middle of single updates, tickets, batches, keyframes,
/// compaction, larger pages, removals and opening: every acknowledged update is there bit for bit, none is half
/// there, the file verifies, the run counts as running, and the next process goes on writing.
#[test]
fn a_kill_at_any_instant_loses_no_acknowledged_update() {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let lanes = 2;
    let totals: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let lane = |lane: usize| {
            let folder = folder.path();
            move || {
                let mut random = Random(lane as u64);
                let (mut kills, mut acked) = (0, 0);
                for file in (lane..FILES).step_by(lanes) {
                    let path = folder.join(format!("run-{file}.db"));
                    let mut reported = Reported::default();
                    for round in 0..KILLS / FILES {
                        let tag = file as u64 * TAGS_OF_A_FILE + round as u64 * 10_000;
                        acked += kill_once(&path, tag, &mut reported, &mut random);
                        kills += 1;
                    }
                }
                (kills, acked)
            }
        };
        let lanes: Vec<_> = (0..lanes).map(|n| scope.spawn(lane(n))).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    let kills: usize = totals.iter().map(|t| t.0).sum();
    let acked: usize = totals.iter().map(|t| t.1).sum();
    println!("{kills} kills, {acked} acknowledged updates, {:?}", start.elapsed());
    assert_eq!(kills, KILLS);
    assert!(acked > 10 * KILLS, "only {acked} updates were acknowledged: the kills came too early");
}

/// One child and its end; how many updates it had acknowledged.
fn kill_once(path: &Path, tag: u64, reported: &mut Reported, random: &mut Random) -> usize {
    let mut child = child::start("crash::writes_until_it_is_killed", path, &tag.to_string());
    let mut said = Vec::new();
    if random.below(5) > 0 {
        assert!(child.wait_for("open"), "the child could not open what the last one left");
        said = child.hear("acked", random.below(40));
    } // else it may be killed while it opens and repairs
    std::thread::sleep(Duration::from_micros(random.below(30_000)));
    said.extend(child.kill());
    said.iter().for_each(|line| reported.hear(line));
    reported.check(path);
    said.iter().filter(|line| line.contains("acked")).count()
}

#[test]
#[ignore = "run by a_kill_at_any_instant_loses_no_acknowledged_update"]
fn writes_until_it_is_killed() {
    let Some((path, argument)) = mission() else { return };
    let mut tag: u64 = argument.parse().unwrap();
    let mut random = Random(tag);
    let db = SimulationDatabase::open(&path).unwrap();
    let mut next = db.update_count(None).unwrap() as i64;
    say(format_args!("open"));
    loop {
        match random.below(14) {
            0..4 => {
                db.store(update(next, tag)).unwrap();
                say(format_args!("acked {next} {tag}"));
                next += 1;
            }
            4..7 => {
                let submit = |n| (n, db.submit(update(n, tag)).unwrap());
                let tickets: Vec<_> =
                    (next..next + 1 + random.below(20) as i64).map(submit).collect();
                for (n, ticket) in tickets {
                    ticket.wait().unwrap();
                    say(format_args!("acked {n} {tag}"));
                    next = n + 1;
                }
            }
            7..10 => {
                let end = next + 1 + random.below(9) as i64;
                say(format_args!("batch {next} {end}"));
                db.store_updates((next..end).map(|n| update(n, tag)).collect()).unwrap();
                (next..end).for_each(|n| say(format_args!("acked {n} {tag}")));
                next = end;
            }
            10 => {
                db.build_keyframes().unwrap();
            }
            11 if random.below(3) == 0 => {
                db.compact(&mut |_, _| Ok(())).unwrap();
            }
            12.. if next > 0 => {
                let kept = next - 1 - random.below(next.min(40) as u64) as i64;
                say(format_args!("resuming {kept}"));
                db.resume_from(kept).unwrap();
                say(format_args!("resumed {kept}"));
                next = kept + 1;
                tag += 1; // what is written again can be told from what was removed
            }
            _ => {}
        }
    }
}

/// Goal: what a process leaves that was killed in the middle of a transaction with a journal (a file that is being made, or
/// gets larger pages) is rolled back also for one that only reads, and never read as it lies there.
#[test]
fn a_reader_rolls_back_what_a_killed_process_had_begun() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("a.db"), folder.path().join("copy.db"));
    drop(siltstone::Database::builder(&path).open().unwrap());
    let other = rusqlite::Connection::open(&path).unwrap();
    let table = "PRAGMA journal_mode = DELETE; CREATE TABLE t (x BLOB); INSERT INTO t \
        SELECT zeroblob(3000) FROM (VALUES (1), (2), (3), (4)), (VALUES (1), (2), (3), (4))";
    other.execute_batch(table).unwrap();
    // So few pages in memory that the file is changed before the commit.
    other.execute_batch("PRAGMA cache_size = 2; BEGIN; UPDATE t SET x = randomblob(3000)").unwrap();
    for suffix in ["", "-journal"] {
        let name = |path: &Path| std::path::PathBuf::from(format!("{}{suffix}", path.display()));
        std::fs::copy(name(&path), name(&copy)).unwrap();
    }
    drop(other);
    let db = siltstone::Database::builder(&copy).open_read_only().unwrap();
    let sql = "SELECT count(*), sum(x = zeroblob(3000)) FROM t";
    let all = siltstone::Value::Integer(16);
    assert_eq!(db.sql(sql).unwrap().rows, [[all.clone(), all]]);
    assert!(!folder.path().join("copy.db-journal").exists());
}
