//! An event file of TensorBoard: whatever it is, it is read or named, and gives no more than it has.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use siltstone::experiment::trackers::{Kind, Options, inspect};
use siltstone_fuzz::{Input, Seed, folder_in_memory, plant};

static SCENE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = folder_in_memory();
    let path = folder.path().join("events.out.tfevents.1");
    (folder, path)
});

fuzz_target!(
    init: plant("tensorboard", seeds),
    |data: &[u8]| {
        // 0: a file as it is; else pieces that become records with right checksums.
        let mut input = Input::new(data);
        let bytes = match input.byte() {
            0 => input.rest().to_vec(),
            n => (0..n.min(64)).flat_map(|_| record(input.piece())).collect(),
        };
        fs::write(&SCENE.1, &bytes).expect("a small file in memory");
        let report = inspect(SCENE.0.path(), &Options::new(Kind::Tensorboard), &mut |_, _| Ok(()));
        let report = report.expect("what is wrong with a file is in the report");
        assert!(report.found.points + report.found.texts + report.found.arrays <= bytes.len() as u64);
    }
);

fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), bytes, &masked(bytes)].concat()
}

/// A checksum as TensorFlow writes it, a bit at a time.
fn masked(bytes: &[u8]) -> [u8; 4] {
    let crc = !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 * (crc & 1)))
    });
    crc.rotate_right(15).wrapping_add(0xA282_EAD8).to_le_bytes()
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

fn seeds() -> Vec<Seed> {
    let double = |number: u8, x: f64| [&[number << 3 | 1][..], &x.to_le_bytes()].concat();
    let event = |value: &[&[u8]]| {
        [&double(1, 1.7e9)[..], &[2 << 3, 7], &field(5, &field(1, &value.concat()))].concat()
    };
    let tag = field(1, b"loss");
    let plugin = |name: &[u8], content: &[u8]| {
        field(9, &field(1, &[field(1, name), field(2, content)].concat()))
    };
    let scalar = event(&[&tag, &[2 << 3 | 5], &0.5f32.to_le_bytes()]);
    let number = [&[8, 1, 18, 4, 18, 2, 8, 1][..], &field(5, &0.5f32.to_le_bytes())].concat();
    let tensor = event(&[&tag, &plugin(b"scalars", b""), &field(8, &number)]);
    let text =
        event(&[&tag, &plugin(b"text", b""), &field(8, &[&[8, 7][..], &field(8, b"hi")].concat())]);
    let buckets =
        [double(1, -1.0), field(6, &1f64.to_le_bytes()), field(7, &2f64.to_le_bytes())].concat();
    let histogram = event(&[&tag, &field(5, &buckets)]);
    let pair = [field(1, b"lr"), field(2, &double(2, 0.1))].concat();
    let parameters = event(&[&tag, &plugin(b"hparams", &field(3, &field(1, &pair)))]);
    let file = [record(&scalar), record(&tensor)[..20].to_vec()].concat();
    let mut seeds = vec![Seed::default().byte(0).rest(&file)];
    for event in [scalar, tensor, text, histogram, parameters] {
        seeds.push(Seed::default().byte(1).piece(&event));
    }
    seeds
}
