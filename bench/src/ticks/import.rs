//! Import of the RTX engine's JSON tree: the real files, once for each of many dates.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use siltstone::ticks::{ImportOptions, import};

use super::baseline::Survives;
use super::sqlite_baseline::{INSERT, writer};
use crate::real::shared;

const DATES: usize = 15;

/// Copies of the real files, under further dates; the number of ticks of one date.
fn tree(folder: &Path) -> Option<usize> {
    let mut ticks = 0;
    for symbol in fs::read_dir(shared().join("data/ticks")).ok()?.flatten() {
        let Ok(text) = fs::read_to_string(symbol.path().join("2026-01-19.json")) else { continue };
        ticks += text.matches("\"bid\":").count();
        let to = folder.join(symbol.file_name());
        fs::create_dir_all(&to).expect("a folder is made");
        for date in 0..DATES {
            let date = format!("2026-01-{:02}", date + 1);
            let text = text.replace("2026-01-19T", &format!("{date}T"));
            fs::write(to.join(format!("{date}.json")), text).expect("the disk takes the bytes");
        }
    }
    Some(ticks)
}

pub(crate) fn run() {
    let folder = super::folder();
    let input = folder.path().join("json");
    let Some(ticks) = tree(&input).filter(|ticks| *ticks > 0) else {
        return println!("import of the JSON tree: skipped, no shared data");
    };
    let mut took = [Vec::new(), Vec::new()];
    for run in 0..crate::runs() {
        let output = folder.path().join(format!("ours-{run}"));
        let start = Instant::now();
        let options =
            ImportOptions { compact_after_days: Some(0), ..ImportOptions::new(&input, &output) };
        let report = import(&options, &mut |_, _| Ok(()));
        took[0].push(start.elapsed());
        let report = report.expect("the tree imports");
        assert!(report.is_complete());
        assert_eq!(report.ticks_migrated, (ticks * DATES) as u64);
        fs::remove_dir_all(&output).expect("the folder goes");
        let output = folder.path().join(format!("theirs-{run}"));
        let start = Instant::now();
        let read = rtx(&input, &output);
        took[1].push(start.elapsed());
        assert_eq!(read, ticks);
        fs::remove_dir_all(&output).expect("the folder goes");
    }
    let what = "import of the JSON tree (the baseline: one date)";
    super::rates(what, [ticks * DATES, ticks], took.map(crate::median));
}

/// What the RTX engine's tool does, of one date: `serde_json`, 1,000 rows a transaction.
fn rtx(input: &Path, output: &Path) -> usize {
    let mut conn = writer(&output.join("ticks.db"), Survives::Disk);
    let mut read = 0;
    for symbol in fs::read_dir(input).expect("a folder lists").flatten() {
        let text = fs::read(symbol.path().join("2026-01-01.json")).expect("a file reads");
        let rows: Vec<Value> = serde_json::from_slice(&text).expect("a file parses");
        read += rows.len();
        for rows in rows.chunks(1_000) {
            let tx = conn.transaction().expect("a transaction begins");
            let mut insert = tx.prepare_cached(INSERT).expect("the statement prepares");
            for row in rows {
                let (text, price) = (|k: &str| row[k].as_str(), |k: &str| row[k].as_f64());
                let ms = ms(text("timestamp").expect("a time"));
                insert
                    .execute((
                        text("symbol"),
                        ms,
                        price("bid"),
                        price("ask"),
                        price("spread"),
                        text("lp"),
                    ))
                    .expect("a row is stored");
            }
            drop(insert);
            tx.commit().expect("a batch is stored");
        }
    }
    read
}

/// ms of `2026-01-01T20:14:06.2925886+05:30` since the begin of the year, by its own clock.
fn ms(text: &str) -> i64 {
    let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("digits");
    let fraction = text[19..].trim_start_matches('.');
    let digits: String = fraction.chars().take_while(char::is_ascii_digit).take(3).collect();
    let ms = format!("{digits:0<3}").parse::<i64>().expect("digits");
    (((part(8..10) * 24 + part(11..13)) * 60 + part(14..16)) * 60 + part(17..19)) * 1_000 + ms
}
