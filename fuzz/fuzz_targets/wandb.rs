//! A run of wandb: whatever the file is, it is read or named, and gives no more than it has.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use siltstone::experiment::trackers::{Kind, Options, inspect};
use siltstone_fuzz::{Input, Seed, folder_in_memory, plant};

static FILE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = folder_in_memory();
    let path = folder.path().join("run-a1.wandb");
    (folder, path)
});

fuzz_target!(
    init: plant("wandb", seeds),
    |data: &[u8]| {
        // 0: a file as it is; else pieces that become records with right checksums.
        let mut input = Input::new(data);
        let bytes = match input.byte() {
            0 => input.rest().to_vec(),
            n => HEADER.iter().copied().chain((0..n.min(64)).flat_map(|_| record(input.piece()))).collect(),
        };
        fs::write(&FILE.1, &bytes).expect("a small file in memory");
        match inspect(&FILE.1, &Options::new(Kind::Wandb), &mut |_, _| Ok(())) {
            Ok(report) => assert!(report.found.points <= bytes.len() as u64),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
);

const HEADER: &[u8; 7] = b":W&B\xE1\xBE\x00";

/// A whole record: its checksum, its length, 1.
fn record(bytes: &[u8]) -> Vec<u8> {
    let crc = ![&[1], bytes].concat().iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
    });
    let length = (bytes.len() as u16).to_le_bytes();
    [&crc.to_le_bytes()[..], &length, &[1], bytes].concat()
}

fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let (tag, mut out) = (number << 3 | 2, Vec::new());
    if tag > 127 {
        out.push((tag & 127) as u8 | 128);
    }
    out.push(if tag > 127 { (tag >> 7) as u8 } else { tag as u8 });
    out.push(bytes.len() as u8);
    [&out[..], bytes].concat()
}

fn seeds() -> Vec<Seed> {
    let item = |key: &[u8], json: &[u8]| [field(1, key), field(16, json)].concat();
    let pair = |key: &[u8], json: &[u8]| field(1, &item(key, json));
    let run =
        field(17, &[field(1, b"a1"), field(3, b"p"), field(4, &pair(b"lr", b"0.1"))].concat());
    let history = field(2, &[pair(b"loss", b"0.5"), pair(b"_step", b"1")].concat());
    let summary = field(3, &pair(b"best", b"{\"a\":NaN}"));
    let exit = field(18, &[8, 1]);
    let all = [&run, &history, &summary, &exit].map(|part| record(part)).concat();
    let mut seeds = vec![Seed::default().byte(0).rest(&[&HEADER[..], &all].concat())];
    let pieces = [run, history, summary, exit];
    seeds.push(pieces.iter().fold(Seed::default().byte(4), |seed, piece| seed.piece(piece)));
    seeds
}
