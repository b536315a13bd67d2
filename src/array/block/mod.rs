//! Column blocks: some thousand rows, each column packed for itself, in pieces that are unpacked alone.
//!
//! A block is bytes and nothing else: no file, no SQL, no idea of what its columns mean. Its header says where everything lies
//! and what is in it, and is read without the data. Layout, all numbers low byte first:
//!
//! ```text
//! 4 bytes  "SBLK"
//! u8       version, 2
//! u8       rows of a piece, as a power of two: 0 to 20
//! u16      number of columns, 1 to 1,024
//! u32      number of rows, 1 to 1,048,576
//! u32      bytes of the header, its checksum included
//!          for each column, 8 bytes:
//! u8         type: 1 bool, 2 i8, 3 i16, 4 i32, 5 i64, 6 u8, 7 u16, 8 u32, 9 u64, 10 f16, 11 f32, 12 f64,
//!            13 text, 14 binary, 15 bytes of a fixed width
//! u8         1: its rows are one piece, however many; else 0
//! u16        zero
//! u32        the width, of type 15; else 0
//!            and for each of its pieces, 40 bytes:
//! u8           form: 0 raw, 1 pco, 2 zstd, 3 constant, 4 arithmetic, 5 deltas, 6 decimal, 7 dictionary, 8 zstd-shuffle
//! u8           flags: 1 some rows are missing, 2 it has a least and a greatest value, 4 it has a sum
//! u16          zero
//! u32          bytes of its data
//! u32          checksum: the low 32 bits of the XXH3-64 of its data
//! u32          number of values: rows that are neither missing nor NaN (a NaN of type 10 is counted)
//! 8 bytes      least value    (integers and bool: i64, of u64 its bits; floats: f64; zero if there is none)
//! 8 bytes      greatest value
//! 8 bytes      sum of the values, one after another; none if it does not fit into i64
//! 16 bytes XXH3-128 of the header before, high byte first
//!          the data of the first column's pieces, one after another, then those of the next column
//! ```
//!
//! A *part* is numbers of one type whose count is known: `u8` form, `u32` bytes, the data. The data of a piece begin with a part if
//! rows are missing: bits, u8, the first row in the lowest bit, 1 where there is a value. Then:
//!
//! - numbers: as the form says. bool: bits as above, u8. f16: u16. A fixed width: all bytes, u8.
//! - text and binary: `u32` number of words, the part of their lengths, i64, and the part of all their bytes, u8. Of the form raw each
//!   row is a word; of the form dictionary the part of each row's word number follows, i64.
//!
//! Raw numbers lie one after another; constant is one number for all; pco is a standalone Pcodec file, major format 4, of one chunk;
//! zstd is one Zstandard frame of the raw bytes that says its size; zstd-shuffle the same of all first bytes, then all second ones, and
//! so on, of numbers of more than one byte. Of i64 alone: arithmetic, the first number and the step, whose sums
//! wrap around, and [`deltas`]. Of f64 alone: [`decimal`]. u8 are 65,536 and 32,768 more for each byte of data at most, and the words
//! of more than one row have 64 MiB at most.

mod column;
mod decimal;
mod deltas;
mod growing;
mod item;
mod kind;
mod numbers;
mod read;
#[cfg(test)]
mod tests;
pub(crate) mod types;
pub(crate) mod version_1;
mod write;

pub(crate) use growing::Growing;
pub(crate) use item::{Effort, Item};
pub(crate) use read::Block;
pub(crate) use write::{encode, fit};

use crate::error::Error;

/// Rows of a piece that is written.
pub(crate) const PIECE_ROWS: usize = 1 << PIECE_LOG;
const MAGIC: [u8; 4] = *b"SBLK";
const VERSION: u8 = 2;
/// The most rows in a block: bounds what a damaged count can ask for.
pub(crate) const MAX_ROWS: usize = 1 << 20;
const MAX_COLUMNS: usize = 1 << 10;
/// Rows of a piece that is written, as a power of two.
const PIECE_LOG: u8 = 12;
/// Bytes of the head, of a column's entry, of a piece's, and of the header's checksum.
const HEAD: usize = 16;
const ENTRY: usize = 8;
const PIECE: usize = 40;
const CHECKSUM: usize = 16;
/// The most bytes of the texts of an array, and of those of more than one row.
const MOST_BYTES: usize = i32::MAX as usize;
const MOST_TEXT: usize = 64 << 20;

/// The checksum of everything before it.
fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    xxhash_rust::xxh3::xxh3_128(body).to_be_bytes()
}

/// The number at the beginning of these bytes.
fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"))
}

/// Bytes that no encoder of ours made.
pub(crate) fn damaged(why: impl Into<String>) -> Error {
    Error::Corrupt { location: String::new(), what: "a column block".into(), why: why.into() }
}

/// The checksum that a block of ticks is known by: of its header, or of an earlier block's bytes. Empty if there is none.
pub(crate) fn stored_checksum(bytes: &[u8]) -> &[u8] {
    let end = match bytes.get(4) {
        Some(&VERSION) => bytes.get(12..HEAD).map_or(0, |size| number(size) as usize),
        _ => bytes.len(),
    };
    end.checked_sub(CHECKSUM).and_then(|start| bytes.get(start..end)).unwrap_or_default()
}
