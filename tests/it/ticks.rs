//! The tick store on the real files: what the RTX engine wrote, and what is known of it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use siltstone::ticks::{
    Duplicates, ImportOptions, TickStore, TickStoreConfig, Ticks, import, json,
};
use siltstone_needs::needs;

use crate::shared;

/// A symbol, its file, and what is known of it.
type Recorded = (String, PathBuf, Value);

/// The folder of the recorded files, and the files.
fn recorded() -> (PathBuf, Vec<Recorded>) {
    let folder = shared::folder("data/ticks");
    let expected: Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let files = expected["files"].as_object().unwrap().iter().map(|(name, facts)| {
        let symbol = name.split('/').next().unwrap().to_owned();
        (symbol, folder.join(name), facts.clone())
    });
    let files = files.collect();
    (folder, files)
}

fn open(base: &Path) -> TickStore {
    let config = TickStoreConfig::production("test");
    TickStore::new(TickStoreConfig { sqlite_base_path: base.to_owned(), ..config }).unwrap()
}

/// The sum of prices as an exact decimal: each is the shortest text of its number.
fn exact_sum(prices: &[f64]) -> String {
    // In units of 10^-40, as a number of 128-bit halves would not hold: so by digits.
    let mut total = vec![0i64; 80];
    for price in prices {
        let text = format!("{price}");
        let (sign, digits) = text.strip_prefix('-').map_or((1, &*text), |rest| (-1, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        for (i, digit) in whole.bytes().rev().enumerate() {
            total[40 + i] += sign * i64::from(digit - b'0');
        }
        for (i, digit) in fraction.bytes().enumerate() {
            total[39 - i] += sign * i64::from(digit - b'0');
        }
    }
    for i in 0..79 {
        let carry = total[i].div_euclid(10);
        total[i] -= carry * 10;
        total[i + 1] += carry;
    }
    assert!(total[79] == 0, "the sums of the recorded files are positive");
    let digit = |n: &i64| char::from(b'0' + *n as u8);
    let whole: String = total[40..].iter().rev().map(digit).collect();
    let fraction: String = total[..40].iter().rev().map(digit).collect();
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

fn assert_facts(ticks: &Ticks, facts: &Value, when: &str) {
    let number = |name: &str| facts[name].as_i64().unwrap();
    assert_eq!(ticks.len() as i64, number("count"), "{when}: {}", ticks.symbol());
    assert_eq!(ticks.time_ns[0], number("min_ts_ns"));
    assert_eq!(*ticks.time_ns.last().unwrap(), number("max_ts_ns"));
    let distinct = |unit: i64| {
        let mut times: Vec<i64> = ticks.time_ns.iter().map(|t| t.div_euclid(unit)).collect();
        times.dedup();
        times.len() as i64
    };
    assert_eq!(distinct(1), number("distinct_symbol_ns"));
    assert_eq!(distinct(1_000_000), number("distinct_symbol_ms"));
    let trimmed = |name: &str| facts[name].as_str().unwrap().trim_end_matches('0').to_owned();
    assert_eq!(exact_sum(&ticks.bid), trimmed("sum_bid"), "{when}: {}", ticks.symbol());
    assert_eq!(exact_sum(&ticks.ask), trimmed("sum_ask"), "{when}: {}", ticks.symbol());
    for (lp, count) in facts["lp"].as_object().unwrap() {
        let found = ticks.iter().filter(|tick| tick.lp == lp).count();
        assert_eq!(found as i64, count.as_i64().unwrap(), "{when}: {lp}");
    }
}

/// Goal: the real files are in the store with every tick, in rows and in blocks, and come out of it
/// with the bytes that they had.
#[needs(shared)]
#[test]
fn real_files_return_from_blocks_with_their_bytes() {
    let (input, files) = recorded();
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("db");
    let options =
        ImportOptions { compact_after_days: Some(0), ..ImportOptions::new(&input, &base) };
    let report = import(&options, &mut |_, _| Ok(())).unwrap();
    assert!(report.is_complete(), "{:?}", report.skipped);
    assert_eq!(report.days.iter().map(|day| day.ticks.compacted).sum::<u64>(), 67_539);
    assert_eq!((report.files, report.ticks_read, report.ticks_migrated), (8, 67_539, 67_539));
    let check = |when: &str| {
        let store = open(&base);
        let names: Vec<&str> = files.iter().map(|(symbol, ..)| &**symbol).collect();
        assert_eq!(store.symbols().unwrap(), names);
        for (symbol, file, facts) in &files {
            let ticks = store.get_ticks_in_range(symbol, i64::MIN, i64::MAX).unwrap();
            assert_facts(&ticks, facts, when);
            let text = json::write_ticks(ticks.iter());
            assert!(text == std::fs::read(file).unwrap(), "{when}: {symbol} has other bytes");
        }
    };
    check("imported");
    let again = import(&options, &mut |_, _| Ok(())).unwrap();
    assert_eq!((again.ticks_read, again.ticks_migrated), (67_539, 0));
    check("imported twice");
    export_and_back(&base, &files, folder.path());
    let path = base.join("2026/01/ticks_2026-01-19.db");
    println!("{} bytes for 67,539 ticks", std::fs::metadata(path).unwrap().len());
}

/// Through Parquet and back the prices are the same to the last bit.
fn export_and_back(base: &Path, files: &[Recorded], folder: &Path) {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float64Type;
    let store = TickStore::open_read_only(base).unwrap();
    let path = folder.join("ticks.parquet");
    let scan = store.scan(None, i64::MIN, i64::MAX).unwrap();
    let options = siltstone::table::WriteOptions::default();
    let written = siltstone::table::write(&path, scan, &options, &mut |_, _| Ok(())).unwrap();
    assert_eq!(written.rows, 67_539);
    let mut back = siltstone::table::read(&path).unwrap();
    let mut bids: Vec<u64> = Vec::new();
    while let Some(batch) = back.next_batch().unwrap() {
        let column = batch.column_by_name("bid").unwrap().as_primitive::<Float64Type>();
        bids.extend(column.values().iter().map(|bid| bid.to_bits()));
    }
    let mut expected: Vec<u64> = Vec::new();
    for (symbol, ..) in files {
        let ticks = store.get_ticks_in_range(symbol, i64::MIN, i64::MAX).unwrap();
        expected.extend(ticks.bid.iter().map(|bid| bid.to_bits()));
    }
    assert!(bids == expected, "Parquet changed a price");
    let refused = store.store_tick("EURUSD", 1.0, 2.0, 1.0, "", 0).unwrap_err();
    assert!(matches!(refused, siltstone::Error::Closed { .. }), "{refused}");
    assert!(store.compact_all().is_ok(), "there is nothing to compact");
}

/// Goal: through the hot path, a row at a time, and compacted after: the same ticks.
#[needs(shared)]
#[test]
fn real_ticks_one_by_one_are_compacted_without_loss() {
    let (_, files) = recorded();
    let folder = tempfile::tempdir().unwrap();
    let config = TickStoreConfig {
        sqlite_base_path: folder.path().into(),
        queue_full: siltstone::ticks::QueueFull::Block,
        utc_offset_s: 19_800,
        ..TickStoreConfig::production("default")
    };
    let store = TickStore::new(config).unwrap();
    for (_, file, _) in &files {
        let text = std::fs::read(file).unwrap();
        json::parse(&text, |t| {
            let stored = store.store_tick(&t.symbol, t.bid, t.ask, t.spread, &t.lp, t.time_ns);
            stored.map(drop).map_err(|error| error.to_string())
        })
        .unwrap();
    }
    let check = |when: &str| {
        for (symbol, file, facts) in &files {
            let ticks = store.get_ticks_in_range(symbol, i64::MIN, i64::MAX).unwrap();
            assert_facts(&ticks, facts, when);
            let text = json::write_ticks(ticks.iter());
            assert!(text == std::fs::read(file).unwrap(), "{when}: {symbol} has other bytes");
            let recent = store.get_recent_ticks(symbol, 100).unwrap();
            assert_eq!(recent.time_ns, ticks.time_ns[ticks.len() - 100..]);
            assert_eq!(recent.bid, ticks.bid[ticks.len() - 100..]);
        }
    };
    check("on their way");
    assert_eq!(store.flush().unwrap().written, 67_539);
    check("flushed");
    let compacted = store.compact("2026-01-19").unwrap();
    println!("{compacted:?}");
    let report = compacted.report;
    assert_eq!(report.rows, 67_539);
    assert!(report.bytes_after * 4 < report.bytes_before);
    check("compacted");
    store.stop().unwrap();
}

/// Goal: the real files are rows after an import that does not compact, and so they are for SQLite alone.
#[needs(shared)]
#[test]
fn real_files_are_rows_for_sqlite_alone() {
    let (input, files) = recorded();
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("db");
    let report = import(&ImportOptions::new(&input, &base), &mut |_, _| Ok(())).unwrap();
    assert_eq!((report.ticks_migrated, report.days.len()), (67_539, 1));
    assert_eq!((report.days[0].ticks.rows, report.days[0].ticks.compacted), (67_539, 0));
    let conn = rusqlite::Connection::open(&report.days[0].path).unwrap();
    let count = "SELECT count(*) FROM ticks";
    assert_eq!(conn.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap(), 67_539);
    let store = open(&base);
    for (symbol, file, facts) in &files {
        let ticks = store.get_ticks_in_range(symbol, i64::MIN, i64::MAX).unwrap();
        assert_facts(&ticks, facts, "in rows");
        assert!(json::write_ticks(ticks.iter()) == std::fs::read(file).unwrap(), "{symbol}");
    }
}

/// Goal: the RTX engine's unique key (symbol, millisecond) loses what it is known to lose, and says so.
#[needs(shared)]
#[test]
fn the_rtx_key_loses_what_it_is_known_to_lose() {
    let (input, _) = recorded();
    let folder = tempfile::tempdir().unwrap();
    let options = ImportOptions {
        duplicates: Duplicates::First,
        duplicate_key_ns: 1_000_000,
        ..ImportOptions::new(&input, folder.path())
    };
    let report = import(&options, &mut |_, _| Ok(())).unwrap();
    assert_eq!((report.ticks_migrated, report.ticks_skipped), (36_302, 31_237));
}
