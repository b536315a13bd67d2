//! Column blocks: some thousand rows, each column packed for itself.
//!
//! A block is bytes and nothing else: no file, no SQL, no idea of what its columns mean. Layout, all
//! numbers low byte first:
//!
//! ```text
//! 4 bytes  "SBLK"
//! u8       version, 1
//! u8       number of columns, 1 to 64
//! u16      zero
//! u32      number of rows, 1 to 1,048,576
//!          for each column, 24 bytes:
//! u8         type: 1 i64, 2 f64, 3 text, 4 u8
//! u8         form: 0 raw, 1 pco, 2 zstd, 3 constant
//! u16        zero
//! u32        bytes of the column's data
//! 8 bytes    least value   (f64: NaN left out, NaN if there is no other; text: zero)
//! 8 bytes    greatest value
//!          the columns' data, one after another
//! 16 bytes XXH3-128 of everything before, high byte first
//! ```
//!
//! Raw data are the numbers one after another; constant data are one number; pco data are a
//! standalone Pcodec file of all; zstd data are one frame of the raw bytes (u8 only). A text column
//! is a dictionary: `u32` number of words, each as `u32` length and UTF-8 bytes, packed by zstd if the
//! column's form says so, and the rows' word numbers behind: the whole is
//! `u32` bytes of the stored dictionary, the dictionary, `u8` form of the numbers (0, 1 or 3), and
//! the numbers as a u32 column. Every number comes back bit for bit.

pub(crate) mod arrays;
pub(crate) mod buffers;
mod column;
pub(crate) mod columns;
mod decimal;
mod deltas;
mod item;
mod numbers;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use column::{Column, Kind, Words};
pub(crate) use read::Block;
pub(crate) use write::encode;

const MAGIC: [u8; 4] = *b"SBLK";
const VERSION: u8 = 1;
/// The most rows in a block: bounds what a damaged count can ask for.
pub(crate) const MAX_ROWS: usize = 1 << 20;
const MAX_COLUMNS: usize = 64;
/// Bytes of the head, of a column's entry, and of the checksum.
const HEAD: usize = 12;
const ENTRY: usize = 24;
const CHECKSUM: usize = 16;

/// How a column's data are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Raw = 0,
    Pco = 1,
    Zstd = 2,
    Constant = 3,
    /// Only of [`buffers`], as those below.
    Arithmetic = 4,
    /// See [`deltas`].
    Deltas = 5,
    /// See [`decimal`].
    Decimal = 6,
}

impl Form {
    fn of(byte: u8) -> Result<Self, String> {
        match byte {
            0 => Ok(Form::Raw),
            1 => Ok(Form::Pco),
            2 => Ok(Form::Zstd),
            3 => Ok(Form::Constant),
            4 => Ok(Form::Arithmetic),
            5 => Ok(Form::Deltas),
            6 => Ok(Form::Decimal),
            other => Err(format!("form {other} is not one that this build knows")),
        }
    }
}

/// The checksum of everything before it.
fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    xxhash_rust::xxh3::xxh3_128(body).to_be_bytes()
}
