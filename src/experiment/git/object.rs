//! The tree of a commit, from the object itself: by itself in a file, or in a pack as it is.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::ZlibDecoder;

/// The most packs that are searched.
const MAX_PACKS: usize = 1_000;
/// The most bytes before the tree in an object: `commit`, its size.
const MAX_HEAD: usize = 32;
/// A whole commit, as the type of an object of a pack.
const COMMIT: u8 = 1;

/// The tree of a commit, in hex; `None` if the commit is not found, or is kept as a difference to another object.
pub(super) fn tree_of(common: &Path, commit: &str) -> Option<String> {
    let objects = common.join("objects");
    let path = objects.join(&commit[..2]).join(&commit[2..]);
    if let Some(file) = open(&path) {
        let text = inflate(file, MAX_HEAD + "tree ".len() + commit.len())?;
        let end = text.iter().position(|byte| *byte == 0)?;
        return text[..end].starts_with(b"commit ").then(|| tree(&text[end + 1..], commit))?;
    }
    let packs = std::fs::read_dir(objects.join("pack")).ok()?.flatten().map(|entry| entry.path());
    let packs = packs.filter(|path| path.extension().is_some_and(|ending| ending == "idx"));
    packs.take(MAX_PACKS).find_map(|index| in_pack(&index, commit))
}

/// A plain file.
fn open(path: &Path) -> Option<File> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    File::open(path).ok()
}

/// The tree of a commit of one pack.
fn in_pack(index: &Path, commit: &str) -> Option<String> {
    let offset = offset(&mut open(index)?, &bytes_of(commit)?)?;
    let mut pack = open(&index.with_extension("pack"))?;
    pack.seek(SeekFrom::Start(offset)).ok()?;
    let mut byte = [0];
    pack.read_exact(&mut byte).ok()?;
    let kind = (byte[0] >> 4) & 7;
    while byte[0] & 0x80 != 0 {
        pack.read_exact(&mut byte).ok()?; // the rest of its size
    }
    if kind != COMMIT {
        return None;
    }
    tree(&inflate(pack, "tree ".len() + commit.len())?, commit)
}

/// Where an object begins in the pack of an index of version 2.
fn offset(index: &mut File, wanted: &[u8]) -> Option<u64> {
    let mut read = |at: u64, bytes: usize| {
        let mut data = vec![0; bytes];
        index.seek(SeekFrom::Start(at)).ok()?;
        index.read_exact(&mut data).ok()?;
        Some(data)
    };
    let number = |data: &[u8]| data.try_into().ok().map(|data| u64::from(u32::from_be_bytes(data)));
    if read(0, 8)? != b"\xfftOc\0\0\0\x02" {
        return None;
    }
    let up_to = |first: u64| 8 + first * 4;
    let all = number(&read(up_to(255), 4)?)?;
    let first = u64::from(wanted[0]);
    let mut low = if first == 0 { 0 } else { number(&read(up_to(first - 1), 4)?)? };
    let mut high = number(&read(up_to(first), 4)?)?;
    let (names, size) = (up_to(256), wanted.len() as u64);
    while low < high {
        let middle = low + (high - low) / 2;
        let name = read(names + middle * size, wanted.len())?;
        match name[..].cmp(wanted) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => {
                let offsets = names + all * (size + 4);
                let offset = number(&read(offsets + middle * 4, 4)?)?;
                if offset >> 31 == 0 {
                    return Some(offset);
                }
                let far = offsets + all * 4 + (offset & 0x7fff_ffff) * 8;
                return read(far, 8)?.try_into().ok().map(u64::from_be_bytes);
            }
        }
    }
    None
}

/// The first bytes of a packed text, and no more of them.
fn inflate(file: File, most: usize) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(most);
    ZlibDecoder::new(file).take(most as u64).read_to_end(&mut text).ok()?;
    Some(text)
}

/// The hash in `tree HASH`, with which a commit begins.
fn tree(text: &[u8], commit: &str) -> Option<String> {
    let hash = text.strip_prefix(b"tree ")?.get(..commit.len())?;
    super::hash(std::str::from_utf8(hash).ok()?)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let pair = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(pair).collect()
}
