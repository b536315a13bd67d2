//! The records of an event file: length, checksum of the length, bytes, checksum of the bytes.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::crc::masked;
use crate::error::{Error, Result};
use crate::kernel::open_file;

/// The most bytes of a record: what protocol buffers can be.
const MOST_BYTES: u64 = (2 << 30) - 1;

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A record, in [`Records::bytes`].
    Record,
    /// A record whose bytes are not those that were written; the next may be whole.
    Damaged,
    /// A part of a record: it is still written, or never was to its end.
    Partial,
    /// From here on nothing can be read: a length is not the one that was written.
    Lost,
    End,
}

/// The records of a file, one by one.
pub(super) struct Records {
    path: PathBuf,
    file: BufReader<File>,
    /// The bytes that the file had when it was opened and that were not read yet.
    left: u64,
    at: u64,
    next: u64,
    bytes: Vec<u8>,
}

impl Records {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = open_file(path)?;
        let left = file.metadata().map_err(|e| Error::io(path, "reading it", &e))?.len();
        let file = BufReader::with_capacity(1 << 18, file);
        Ok(Records { path: path.to_owned(), file, left, at: 0, next: 0, bytes: Vec::new() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the last record begins.
    pub(super) fn offset(&self) -> u64 {
        self.at
    }

    /// The bytes of the record.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Goes on to the next record.
    pub(super) fn next(&mut self) -> Result<Next> {
        self.at = self.next;
        self.bytes.clear();
        let mut head = [0; 12];
        match self.left {
            0 => return Ok(Next::End),
            1..12 => return Ok(Next::Partial),
            _ => {}
        }
        if !self.fill(&mut head)? {
            return Ok(Next::Partial);
        }
        let (length, sum) = head.split_at(8);
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        if masked(length) != word(sum) {
            return Ok(Next::Lost);
        }
        let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
        if length > MOST_BYTES {
            return Ok(Next::Lost);
        }
        // Before any room is made for it.
        if length + 4 > self.left {
            self.left = 0;
            return Ok(Next::Partial);
        }
        self.next += length + 16;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.resize(length as usize + 4, 0);
        let is_whole = self.fill(&mut bytes)?;
        let sum = word(&bytes[length as usize..]);
        bytes.truncate(length as usize);
        self.bytes = bytes;
        Ok(match is_whole {
            false => Next::Partial,
            true if masked(&self.bytes) == sum => Next::Record,
            true => Next::Damaged,
        })
    }

    /// Whether there were so many bytes.
    fn fill(&mut self, into: &mut [u8]) -> Result<bool> {
        self.left -= into.len() as u64;
        match self.file.read_exact(into) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(Error::io(&self.path, "reading it", &error)),
        }
    }
}
