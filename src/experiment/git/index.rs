//! Whether the files of a work tree are those of the commit, by what git wrote down of them when it last looked.

use std::fs::Metadata;
use std::path::{Component, Path};
use std::time::UNIX_EPOCH;

use super::{Repository, bytes, object};

/// The most files of an index that are looked at.
const MAX_FILES: u32 = 200_000;

/// The type of a file in its mode.
const LINK: u32 = 0o12;
const PLAIN: u32 = 0o10;

/// Whether each tracked file has the size and time that the index has of it, and the index is of the commit:
/// `Some(false)` as soon as one differs for sure, `None` if it cannot be told without reading the files.
pub(super) fn clean(repository: &Repository, commit: &str) -> Option<bool> {
    let path = repository.own.join("index");
    let data = bytes(&path)?;
    let written = time(&std::fs::metadata(&path).ok()?)?;
    let mut reader = Reader { rest: &data, hash_bytes: commit.len() / 2, version: 0 };
    let count = reader.header()?;
    let (mut name, mut all_known) = (Vec::new(), true);
    for _ in 0..count {
        let entry = reader.entry(&mut name)?;
        match entry.is_same(&repository.work, &name, written) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => all_known = false,
        }
    }
    let staged = reader.tree()?;
    if staged != object::tree_of(&repository.common, commit)? {
        return Some(false);
    }
    all_known.then_some(true)
}

/// Seconds and nanoseconds.
type Time = (u32, u32);

fn time(known: &Metadata) -> Option<Time> {
    let since = known.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    // Git keeps 32 bits of the seconds.
    Some((since.as_secs() as u32, since.subsec_nanos()))
}

/// What the index has of a file.
struct Entry {
    modified: Time,
    kind: u32,
    size: u32,
    /// Nobody is to look at the file.
    is_passed_over: bool,
    /// It is to be added, or was merged and both sides changed it.
    is_unfinished: bool,
}

impl Entry {
    /// Whether the file is as it was; `None` if that cannot be reported.
    fn is_same(&self, work: &Path, name: &[u8], written: Time) -> Option<bool> {
        if self.is_unfinished {
            return Some(false);
        }
        if self.is_passed_over {
            return Some(true);
        }
        let name = Path::new(std::str::from_utf8(name).ok()?);
        // Nobody's index leads out of its folder; one that does is not followed.
        if !name.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let known = match std::fs::symlink_metadata(work.join(name)) {
            Ok(known) => known,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(false),
            Err(_) => return None,
        };
        let is_kind = match self.kind {
            PLAIN => known.is_file(),
            LINK => known.is_symlink(),
            _ => return None,
        };
        if !is_kind {
            return Some(false);
        }
        let modified = time(&known)?;
        if known.len() as u32 != self.size {
            return Some(false);
        }
        // What was written in the instant of the index may have been written again behind it.
        let same =
            modified == self.modified || (self.modified.1 == 0 && modified.0 == self.modified.0);
        (same && self.modified < written).then_some(true)
    }
}

/// Reads an index from its begin.
struct Reader<'a> {
    rest: &'a [u8],
    hash_bytes: usize,
    version: u32,
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn flags(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// The number of entries.
    fn header(&mut self) -> Option<u32> {
        let is_index = self.take(4)? == b"DIRC";
        self.version = self.number()?;
        let count = self.number()?;
        (is_index && (2..=4).contains(&self.version) && count <= MAX_FILES).then_some(count)
    }

    /// The next entry; `name`, that of the one before, becomes its own.
    fn entry(&mut self, name: &mut Vec<u8>) -> Option<Entry> {
        let before = self.rest.len();
        let mut numbers = [0; 10];
        for number in &mut numbers {
            *number = self.number()?;
        }
        let [_, _, seconds, nanos, _, _, mode, _, _, size] = numbers;
        self.take(self.hash_bytes)?;
        let first = self.flags()?;
        let more = if first & 0x4000 != 0 && self.version > 2 { self.flags()? } else { 0 };
        if self.version == 4 {
            let stay = name.len().checked_sub(self.shortened()?)?;
            name.truncate(stay);
        } else {
            name.clear();
        }
        let length = self.rest.iter().position(|byte| *byte == 0)?;
        name.extend_from_slice(self.take(length)?);
        let read = before - self.rest.len();
        // Before version 4 one zero or more fill the entry up to a multiple of 8.
        self.take(if self.version == 4 { 1 } else { 8 - read % 8 })?;
        Some(Entry {
            modified: (seconds, nanos),
            kind: mode >> 12,
            size,
            is_passed_over: first & 0x8000 != 0 || more & 0x4000 != 0,
            is_unfinished: first & 0x3000 != 0 || more & 0x2000 != 0,
        })
    }

    /// How many bytes of the name before are no part of this one.
    fn shortened(&mut self) -> Option<usize> {
        let mut bytes = 0_usize;
        loop {
            let [byte] = self.take(1)? else { return None };
            bytes = bytes.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
            if byte & 0x80 == 0 {
                return Some(bytes);
            }
            bytes = bytes.checked_add(1)?;
        }
    }

    /// The tree that the index was made of or written as, in hex: behind the entries, if nothing was staged since.
    fn tree(&mut self) -> Option<String> {
        while self.rest.len() > self.hash_bytes {
            let (kind, size) = (self.take(4)?, self.number()?);
            let data = self.take(size as usize)?;
            // The others are no help; one in small letters changes what the entries mean.
            match kind {
                b"TREE" => {
                    let root = data.strip_prefix(b"\0")?;
                    let end = root.iter().position(|byte| *byte == b'\n')?;
                    let is_valid = root.first().is_some_and(u8::is_ascii_digit);
                    let hash = root.get(end + 1..end + 1 + self.hash_bytes).filter(|_| is_valid)?;
                    return Some(object::hex(hash));
                }
                _ if !kind[0].is_ascii_uppercase() => return None,
                _ => {}
            }
        }
        None
    }
}
