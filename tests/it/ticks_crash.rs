//! The tick store is killed at random instants.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use siltstone::Durability;
use siltstone::ticks::{Names, QueueFull, TickBatch, TickStore, TickStoreConfig, doctor};

use crate::child::{self, Random, mission, say};

/// Kills in a normal run; `SILTSTONE_TICK_KILLS` asks for more.
const KILLS: usize = 40;
/// Folders that are written in turn.
const FOLDERS: usize = 4;
const NOON: i64 = 1_768_824_000_000_000_000;
const HOUR: i64 = 3_600_000_000_000;
const SYMBOLS: [&str; 3] = ["EURUSD", "GBPUSD", "USD/JPY"];

/// Everything about tick `n` follows from `n`: three symbols, three days, mostly rising, some late.
fn tick(n: u64) -> (&'static str, i64, f64) {
    let mut random = Random(n);
    let late = if random.below(5) == 0 { random.below(40) as i64 * HOUR } else { 0 };
    let time = NOON + (n % 2_000) as i64 * HOUR / 40 - late;
    (SYMBOLS[random.below(3) as usize], time, n as f64)
}

fn open(base: &Path) -> TickStore {
    TickStore::new(TickStoreConfig {
        sqlite_base_path: base.to_owned(),
        queue_full: QueueFull::Block,
        batch_size: 20,
        durability: Durability::Os,
        ..TickStoreConfig::production("b")
    })
    .unwrap()
}

/// What is in a folder: the numbers of its ticks, each once and as it was made.
fn numbers(base: &Path) -> HashSet<u64> {
    let mut found = HashSet::new();
    if !base.exists() {
        return found;
    }
    let store = open(base);
    for symbol in SYMBOLS {
        let ticks = store.get_ticks_in_range(symbol, i64::MIN, i64::MAX).unwrap();
        assert!(ticks.time_ns.is_sorted());
        for stored in ticks.iter() {
            let n = stored.bid as u64;
            let (symbol, time, bid) = tick(n);
            assert_eq!((stored.symbol, stored.time_ns, stored.bid), (symbol, time, bid));
            assert_eq!((stored.ask, stored.spread, stored.lp), (bid + 0.5, 0.5, "YOFX"));
            assert!(found.insert(n), "tick {n} is there twice");
        }
    }
    store.stop().unwrap();
    let report = doctor(base).unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
    assert_eq!(report.ticks, found.len() as u64);
    found
}

/// Goal: killed at any instant of ingest, rotation, bulk loads and compaction: no acknowledged tick is
/// lost, none is doubled, every file opens, the doctor is content, and the next process goes on.
#[test]
fn a_kill_at_any_instant_loses_no_acknowledged_tick() {
    let folder = tempfile::tempdir().unwrap();
    let kills = std::env::var("SILTSTONE_TICK_KILLS").ok().and_then(|n| n.parse().ok());
    let kills: usize = kills.unwrap_or(KILLS);
    let start = Instant::now();
    let (mut random, mut acked_in_all) = (Random(7), 0);
    for lane in 0..FOLDERS {
        let base = folder.path().join(format!("db-{lane}"));
        let mut acked: HashSet<u64> = HashSet::new();
        for _ in 0..kills / FOLDERS {
            let mut child = child::start("ticks_crash::writes_until_it_is_killed", &base, "");
            assert!(child.wait_for("open"), "the child could not open what the last one left");
            let mut said = child.hear("acked", random.below(8));
            std::thread::sleep(Duration::from_micros(random.below(30_000)));
            said.extend(child.kill());
            for line in said {
                let words: Vec<&str> = line.split_whitespace().collect();
                if let [.., "acked", from, to] = words[..] {
                    let number = |word: &str| word.parse::<u64>().unwrap();
                    acked.extend(number(from)..number(to));
                }
            }
            let found = numbers(&base);
            let mut lost: Vec<_> = acked.difference(&found).collect();
            lost.sort();
            assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
            acked = found;
        }
        acked_in_all += acked.len();
    }
    println!("{kills} kills, {acked_in_all} ticks, {:?}", start.elapsed());
    assert!(acked_in_all > 10 * kills, "only {acked_in_all} ticks: the kills came too early");
}

#[test]
#[ignore = "run by a_kill_at_any_instant_loses_no_acknowledged_tick"]
fn writes_until_it_is_killed() {
    let Some((base, _)) = mission() else { return };
    let mut next = numbers(&base).into_iter().max().map_or(0, |n| n + 1);
    let mut random = Random(next ^ u64::from(std::process::id()));
    let store = open(&base);
    say(format_args!("open"));
    loop {
        let from = next;
        match random.below(10) {
            0..6 => {
                for _ in 0..1 + random.below(120) {
                    let (symbol, time, bid) = tick(next);
                    let _ = store.store_tick(symbol, bid, bid + 0.5, 0.5, "YOFX", time).unwrap();
                    next += 1;
                }
                store.flush().unwrap();
            }
            6..8 => {
                // Now and then so many that they go into blocks at once.
                let n = if random.below(4) == 0 { 8_000 } else { 1 + random.below(300) };
                let ticks: Vec<_> = (from..from + n).map(tick).collect();
                let symbols: Vec<&str> = ticks.iter().map(|t| t.0).collect();
                let time: Vec<i64> = ticks.iter().map(|t| t.1).collect();
                let bid: Vec<f64> = ticks.iter().map(|t| t.2).collect();
                let ask: Vec<f64> = bid.iter().map(|bid| bid + 0.5).collect();
                let batch = TickBatch {
                    symbol: Names::Each(&symbols),
                    lp: Names::One("YOFX"),
                    ..TickBatch::new("", &time, &bid, &ask)
                };
                store.store_ticks(&batch).unwrap();
                next += n;
            }
            _ => {
                store.compact_all().unwrap();
            }
        }
        if next > from {
            say(format_args!("acked {from} {next}"));
        }
    }
}

/// Goal: on a disk that is full nothing that was accepted is lost: it is reported, kept, and written once when
/// there is room again.
#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("db");
    let said = child::start("ticks_crash::writes_on_a_full_disk", &base, "").finish();
    println!("{}", said.join("\n"));
    let found = numbers(&base);
    assert_eq!(found.len() as u64, FULL_DISK_TICKS);
}

#[cfg(unix)]
const FULL_DISK_TICKS: u64 = 1_500;

#[cfg(unix)]
#[test]
#[ignore = "run by a_full_disk_loses_nothing"]
fn writes_on_a_full_disk() {
    let Some((base, _)) = mission() else { return };
    let limit = |bytes: libc::rlim_t| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: both calls take a limit of this process; a write beyond it fails, and no signal
        // ends the process.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            assert_eq!(libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit), 0);
            limit.rlim_cur = bytes.min(limit.rlim_max);
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
        }
    };
    let store = open(&base);
    let mut refused = 0;
    for n in 0..FULL_DISK_TICKS {
        if n == 400 {
            limit(60 << 10);
        }
        let (symbol, time, bid) = tick(n);
        let _ = store.store_tick(symbol, bid, bid + 0.5, 0.5, "YOFX", time).unwrap();
        if n % 100 == 99 && store.flush().is_err() {
            refused += 1;
        }
        if n == 599 {
            limit(libc::RLIM_INFINITY);
        }
    }
    let report = store.flush().unwrap();
    say(format_args!("{refused} refused, {report:?}"));
    assert!(refused > 0, "the disk was never full");
    assert_eq!(report.lost, 0);
    store.stop().unwrap();
}

/// Goal: an empty day file is one that is just being made, or after a minute the end of a writer that was killed; what is wrong
/// with a file names it once.
#[test]
fn an_empty_day_is_reported_once_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).stop());
    let day = folder.path().join("2026/01/ticks_2026-01-19.db");
    std::fs::create_dir_all(day.parent().unwrap()).unwrap();
    let file = std::fs::File::create(&day).unwrap();
    assert_eq!(doctor(folder.path()).unwrap().findings, []);
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
    let found = doctor(folder.path()).unwrap().findings;
    assert!(found.len() == 1 && found[0].what.starts_with("it is empty"), "{found:?}");
    std::fs::write(&day, "no database".repeat(100)).unwrap();
    let found = doctor(folder.path()).unwrap().findings;
    assert_eq!((found.len(), &*found[0].location), (1, day.to_str().unwrap()));
    assert!(!found[0].what.contains("ticks_2026"), "{found:?}");
}
