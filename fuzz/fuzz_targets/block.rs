//! A column block with changed bytes, read by `silt_block`: rows, or an error; and what a query skips are whole rows.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use siltstone::{Handle, Result, Value};
use siltstone_fuzz::{Input, Seed, plant};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The format's numbers: see `docs/format.md`.
const HEAD: usize = 16;
const ENTRY: usize = 8;
const PIECE: usize = 40;
const CHECKSUM: usize = 16;
/// Blocks of more rows are opened, and not read: they are slow, and nothing else.
const MOST_ROWS: i64 = 20_000;

/// A file without any table of ours: the function needs none.
static FILE: LazyLock<(tempfile::TempDir, Handle)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let handle = siltstone::open(folder.path().join("run.db")).expect("a new file");
    (folder, handle)
});

fuzz_target!(
    init: plant("block", seeds),
    |data: &[u8]| {
        let mut input = Input::new(data);
        let (least, n) = (input.number() as i64, input.number() as i64);
        let mut bytes = input.rest().to_vec();
        right_checksums(&mut bytes);
        let literal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = read(&format!("silt_block(x'{literal}')"), least, least.saturating_add(n));
    }
);

fn read(block: &str, least: i64, greatest: i64) -> Result<()> {
    let sql = |sql: String| FILE.1.sql(&sql).map(|found| found.rows);
    let count = sql(format!("SELECT count(*) FROM {block}"))?;
    if !matches!(count[0][0], Value::Integer(n) if n <= MOST_ROWS) {
        return Ok(());
    }
    let columns = "row, ms, c0, c1, c2, c3";
    let all = sql(format!("SELECT {columns} FROM {block}"))?;
    let first = sql(format!("SELECT {columns} FROM {block} LIMIT 5"))?;
    assert_eq!(first, all[..first.len()], "the first rows");
    let between = format!("SELECT {columns} FROM {block} WHERE c0 BETWEEN {least} AND {greatest}");
    let found = sql(between)?;
    for row in &found {
        let Value::Integer(at) = row[0] else { panic!("{:?} is the number of a row", row[0]) };
        assert_eq!(*row, all[at as usize], "row {at}");
    }
    Ok(())
}

/// Gives a block the checksums of what it holds, so that what lies behind them is reached.
fn right_checksums(bytes: &mut [u8]) {
    let number = |bytes: &[u8], at: usize| {
        let found = bytes.get(at..at + 4);
        found.map_or(0, |found| u32::from_le_bytes(found.try_into().expect("four bytes")) as usize)
    };
    let (header, rows) = (number(bytes, 12), number(bytes, 8));
    let Some(end) = header.checked_sub(CHECKSUM).filter(|_| header <= bytes.len()) else { return };
    let (mut at, mut data) = (HEAD, header);
    while at + ENTRY <= end {
        let is_whole = bytes[at + 1] == 1;
        let pieces = if is_whole { 1 } else { rows.div_ceil(1 << (bytes[5] & 31)) };
        at += ENTRY;
        for _ in 0..pieces {
            if at + PIECE > end {
                break;
            }
            let size = number(bytes, at + 4);
            let Some(piece) = bytes.get(data..data.saturating_add(size)) else { break };
            let sum = xxh3_64(piece) as u32;
            bytes[at + 8..at + 12].copy_from_slice(&sum.to_le_bytes());
            (at, data) = (at + PIECE, data + size);
        }
    }
    let sum = xxh3_128(&bytes[..end]).to_be_bytes();
    bytes[end..header].copy_from_slice(&sum);
}

/// The blocks of the files that the project keeps, and raw ones of each type.
fn seeds() -> Vec<Seed> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/files");
    let mut blocks = Vec::new();
    for version in fs::read_dir(kept).expect("files of earlier versions").flatten() {
        let at = |name: &str| version.path().join(name);
        blocks.extend(stored(&at("series.db"), "SELECT index_data, value_data FROM series_block"));
        blocks.extend(stored(&at("sweep.db"), "SELECT data FROM record_block"));
        if let Ok(files) = fs::read_dir(at("ticks/2026/01")) {
            let files = files.flatten().map(|file| file.path());
            let files = files.filter(|file| file.extension().is_some_and(|end| end == "db"));
            blocks.extend(files.flat_map(|file| stored(&file, "SELECT data FROM tick_block")));
        }
    }
    assert!(!blocks.is_empty(), "there are blocks to begin with");
    blocks.extend((1..=15).flat_map(|kind| [1, 5, 9].map(|rows| raw(kind, rows))));
    let seed = |block: &Vec<u8>| Seed::default().number(3).number(1 << 40).rest(block);
    blocks.iter().map(seed).collect()
}

/// The blobs that a query of a copy of a file gives, once it is brought up to date.
fn stored(path: &Path, sql: &str) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("copy.db");
    if fs::copy(path, &copy).is_err() {
        return Vec::new();
    }
    let handle = siltstone::open(&copy).expect("a file of ours");
    let _ = (handle.series().map(drop), handle.experiment(Some("growth")).map(drop));
    let found = handle.sql(sql).expect("it has blocks");
    let blob = |value| match value {
        Value::Blob(bytes) => Some(bytes),
        _ => None,
    };
    found.rows.into_iter().flatten().filter_map(blob).collect()
}

/// A block of a column of zeros, raw.
fn raw(kind: u8, rows: u32) -> Vec<u8> {
    let n = rows as usize;
    let width = if kind == 15 { 3 } else { 0 };
    let data = match kind {
        1 => vec![0; n.div_ceil(8)],
        2 | 6 => vec![0; n],
        3 | 7 | 10 => vec![0; 2 * n],
        4 | 8 | 11 => vec![0; 4 * n],
        5 | 9 | 12 => vec![0; 8 * n],
        15 => part(&vec![7; 3 * n]),
        // Words of no bytes.
        _ => [&rows.to_le_bytes()[..], &part(&vec![0; 8 * n]), &part(&[])].concat(),
    };
    let header = (HEAD + ENTRY + PIECE + CHECKSUM) as u32;
    let mut block = b"SBLK\x02\x0c\x01\x00".to_vec();
    block.extend([rows.to_le_bytes(), header.to_le_bytes()].concat());
    block.extend([kind, 0, 0, 0, width, 0, 0, 0, 0, 0, 0, 0]);
    block.extend((data.len() as u32).to_le_bytes());
    block.extend([0; 4]);
    block.extend(rows.to_le_bytes());
    block.extend([0; 24 + CHECKSUM]);
    block.extend(data);
    right_checksums(&mut block);
    block
}

fn part(data: &[u8]) -> Vec<u8> {
    [&[0][..], &(data.len() as u32).to_le_bytes(), data].concat()
}
