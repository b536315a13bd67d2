//! The series store in one SQLite file: `siltstone-bench series [one|append|many]`.
//!
//! 1,000,000 floats, one a second: a random walk rounded to 0.001, the same walk as it is, and a smooth curve;
//! and 1,000 series of 1,000 points. What is read is compared with what was written, bit for bit.

use std::path::Path;
use std::time::{Duration, Instant};

use siltstone::series::{Change, IndexRange, Metadata, Series, SqliteBackend, StorageBackend};
use siltstone::{Database, Durability};

const POINTS: usize = 1_000_000;
const MANY: usize = 1_000;
const SECOND_NS: i64 = 1_000_000_000;
/// 2020-01-01 00:00:00 UTC.
const FIRST_NS: i64 = 1_577_836_800 * SECOND_NS;

pub(crate) fn run(part: Option<&str>) {
    let wanted = |name: &str| part.is_none_or(|part| part == name);
    println!("\nseries: medians of {}; ms unless it says otherwise", crate::runs());
    let walk = walk();
    let rounded: Vec<f64> = walk.iter().map(|x| (x * 1e3).round() / 1e3).collect();
    if wanted("one") {
        one("random walk, rounded to 0.001", &rounded);
        one("random walk, full precision", &walk);
        let turn = |i: usize| i as f64 / 86_400.0 * std::f64::consts::TAU;
        let smooth: Vec<f64> = (0..POINTS).map(|i| 20.0 + 10.0 * turn(i).sin()).collect();
        one("smooth curve, full precision", &smooth);
    }
    if wanted("append") {
        append(&rounded);
    }
    if wanted("many") {
        many(&rounded);
    }
}

/// A random walk of normal steps, from a fixed seed.
fn walk() -> Vec<f64> {
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut uniform = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        ((random >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let mut at = 0.0;
    let mut step = move || {
        at += (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        at
    };
    (0..POINTS).map(|_| step()).collect()
}

fn series(first: usize, values: &[f64]) -> Series {
    let times = (first..first + values.len()).map(|i| FIRST_NS + i as i64 * SECOND_NS);
    Series::from_times_ns(&times.collect::<Vec<_>>(), values).expect("a time a value")
}

fn open(path: &Path, durability: Durability) -> SqliteBackend {
    let db = Database::builder(path).durability(durability).open().expect("the file opens");
    SqliteBackend::over(db).expect("the file is ours")
}

fn close(backend: SqliteBackend) {
    backend.database().clone().close().expect("the file closes");
}

#[derive(Default)]
struct Times(Vec<(&'static str, Vec<Duration>)>);

impl Times {
    fn time<T>(&mut self, what: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.add(what, start.elapsed());
        result
    }

    fn add(&mut self, what: &'static str, took: Duration) {
        match self.0.iter_mut().find(|(name, _)| *name == what) {
            Some((_, all)) => all.push(took),
            None => self.0.push((what, vec![took])),
        }
    }

    fn print(self) {
        for (what, took) in self.0 {
            println!("  {what:44} {:>10.3}", crate::median(took).as_secs_f64() * 1e3);
        }
    }
}

fn one(name: &str, values: &[f64]) {
    let (mut times, whole) = (Times::default(), series(0, values));
    let middle = POINTS / 2..POINTS / 2 + POINTS / 100;
    let at = |i: usize| FIRST_NS + i as i64 * SECOND_NS;
    let range = IndexRange::half_open(at(middle.start), at(middle.end));
    let part = whole.slice(middle.start, middle.len());
    let mut sizes = [0.0; 2];
    // The first time of each, with a handle that is new.
    let read = |times: &mut Times, path: &Path, what: [&'static str; 4]| {
        let backend = open(path, Durability::Os);
        let back = times.time(what[0], || backend.load("k").expect("it loads").0);
        assert!(back == whole, "{name}: other points came back");
        drop(back);
        times.time(what[1], || backend.load("k").expect("it loads"));
        close(backend);
        let backend = open(path, Durability::Os);
        let back = times.time(what[2], || backend.load_range("k", &range).expect("it loads"));
        assert!(back == part, "{name}: other points came back");
        drop(back);
        for _ in 0..10 {
            times.time(what[3], || backend.load_range("k", &range).expect("it loads"));
        }
        close(backend);
    };
    for _ in 0..crate::runs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let backend = open(&folder.path().join("disk.db"), Durability::Disk);
        times.time("save, disk", || backend.save("k", &whole, &Metadata::new()).expect("it saves"));
        times.time("save once more, disk", || {
            backend.save("k", &whole, &Metadata::new()).expect("it saves")
        });
        close(backend);
        let path = folder.path().join("os.db");
        let backend = open(&path, Durability::Os);
        times.time("save, os", || backend.save("k", &whole, &Metadata::new()).expect("it saves"));
        read(
            &mut times,
            &path,
            ["load, file just opened", "load, again", "range of 1 %", "range of 1 %, again"],
        );
        close(backend);
        sizes[0] = bytes_a_point(&path);
        let backend = open(&path, Durability::Os);
        times.time("compacting", || backend.compact(None).expect("it is compacted"));
        read(
            &mut times,
            &path,
            [
                "compacted: load",
                "compacted: load, again",
                "compacted: range",
                "compacted: range, again",
            ],
        );
        backend.database().vacuum().expect("free pages are given back");
        close(backend);
        sizes[1] = bytes_a_point(&path);
    }
    println!("{name}: {POINTS} points");
    times.print();
    println!("  {:44} {:>10.3}", "bytes a point, as rows (the file)", sizes[0]);
    println!("  {:44} {:>10.3}", "bytes a point, compacted (the file)", sizes[1]);
}

fn bytes_a_point(path: &Path) -> f64 {
    std::fs::metadata(path).expect("the file is there").len() as f64 / POINTS as f64
}

fn append(values: &[f64]) {
    let parts: Vec<Series> =
        (0..MANY).map(|i| series(i * 1_000, &values[i * 1_000..][..1_000])).collect();
    let (mut times, whole) = (Times::default(), series(0, values));
    for _ in 0..crate::runs() {
        for (durability, names) in [
            (Durability::Os, ["append, os, all calls", "append, os: load after it"]),
            (Durability::Disk, ["append, disk, all calls", "append, disk: load after it"]),
        ] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let backend = open(&folder.path().join("series.db"), durability);
            times.time(names[0], || {
                for part in &parts {
                    backend.append("k", part).expect("it appends");
                }
            });
            let back = times.time(names[1], || backend.load("k").expect("it loads").0);
            assert!(back.index() == whole.index() && back.values() == whole.values());
            close(backend);
        }
    }
    println!("1,000 appends of 1,000 points");
    times.print();
}

fn many(values: &[f64]) {
    let parts: Vec<Series> =
        (0..MANY).map(|i| series(i * 1_000, &values[i * 1_000..][..1_000])).collect();
    let keys: Vec<String> = (0..MANY).map(|i| format!("plant/line#{i}/RAW#1")).collect();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut times = Times::default();
    for _ in 0..crate::runs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("each.db");
        for (durability, what) in [
            (Durability::Os, "save, a call each, os"),
            (Durability::Disk, "save, a call each, disk"),
        ] {
            let backend = open(&path.with_extension(what.replace(' ', "")), durability);
            times.time(what, || {
                for (key, part) in keys.iter().zip(&parts) {
                    backend.save(key, part, &Metadata::new()).expect("it saves");
                }
            });
            close(backend);
        }
        let save = |(key, part): (&String, &Series)| Change::Save {
            key: key.clone(),
            series: part.clone(),
            metadata: Metadata::new(),
        };
        let backend = open(&path, Durability::Disk);
        times.time("save, one call for all, disk", || {
            let changes: Vec<Change> = keys.iter().zip(&parts).map(save).collect();
            backend.commit(&changes).expect("it saves")
        });
        close(backend);
        let backend = open(&path, Durability::Os);
        let back: Vec<Series> = times.time("load, a call each", || {
            keys.iter().map(|key| backend.load(key).expect("it loads").0).collect()
        });
        assert!(back == parts, "other points came back");
        let back = times.time("load, one call for all", || backend.load_many(&names).expect("all"));
        assert!(back.iter().map(|(series, _)| series).eq(&parts), "other points came back");
        let found = times.time("list keys", || backend.list_keys("").expect("keys"));
        assert_eq!(found.len(), MANY);
        close(backend);
    }
    println!("1,000 series of 1,000 points");
    times.print();
}
