//! What the header of a block says of a column and of its pieces.

use arrow_buffer::NullBuffer;

use super::item::{Item, Sum};
use super::kind::{Form, Kind};
use super::{ENTRY, PIECE, number};

const MISSING: u8 = 1;
const RANGE: u8 = 2;
const SUM: u8 = 4;

/// A column, as the header has it.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) kind: Kind,
    pub(super) width: u32,
    /// Of each piece but the last one.
    pub(super) piece_rows: usize,
    pub(super) is_whole: bool,
    pub(super) pieces: Vec<Piece>,
}

/// A piece of a column, as the header has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Piece {
    pub(super) form: Form,
    pub(super) is_missing: bool,
    pub(super) size: usize,
    pub(super) checksum: u32,
    pub(super) stats: Stats,
}

/// What the values of a piece are, missing ones and NaN left out.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Stats {
    pub(super) values: u32,
    /// The least and the greatest one: i64 or f64, by the type.
    pub(super) range: Option<[[u8; 8]; 2]>,
    pub(super) sum: Option<[u8; 8]>,
}

impl Stats {
    /// Of numbers.
    pub(super) fn of<T: Item>(items: &[T], nulls: Option<&NullBuffer>) -> Self {
        let (mut least, mut greatest) = (T::MOST, T::LEAST);
        let (mut sum, mut values) = (Sum::default(), 0);
        let mut take = |item: T| {
            values += u32::from(item.add(&mut sum));
            least = if item < least { item } else { least };
            greatest = if item > greatest { item } else { greatest };
        };
        match nulls {
            Some(nulls) => nulls.valid_indices().for_each(|i| take(items[i])),
            None => items.iter().for_each(|item| take(*item)),
        }
        let range = (values > 0).then(|| [least.bytes(), greatest.bytes()]);
        Stats { values, range, sum: range.and_then(|_| T::sum(&sum)) }
    }

    /// Of values that have no order here.
    pub(super) fn count(n: usize, nulls: Option<&NullBuffer>) -> Self {
        let values = n - nulls.map_or(0, NullBuffer::null_count);
        Stats { values: values as u32, range: None, sum: None }
    }
}

/// Checksum of the data of a piece.
pub(super) fn sum_of(data: &[u8]) -> u32 {
    xxhash_rust::xxh3::xxh3_64(data) as u32
}

impl Column {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.kind as u8, u8::from(self.is_whole), 0, 0]);
        out.extend_from_slice(&self.width.to_le_bytes());
        for Piece { form, is_missing, size, checksum, stats } in &self.pieces {
            let flag = |is: bool, flag: u8| if is { flag } else { 0 };
            let flags = flag(*is_missing, MISSING)
                | flag(stats.range.is_some(), RANGE)
                | flag(stats.sum.is_some(), SUM);
            out.extend_from_slice(&[*form as u8, flags, 0, 0]);
            out.extend_from_slice(&(*size as u32).to_le_bytes());
            out.extend_from_slice(&checksum.to_le_bytes());
            out.extend_from_slice(&stats.values.to_le_bytes());
            out.extend_from_slice(&stats.range.unwrap_or_default().concat());
            out.extend_from_slice(&stats.sum.unwrap_or_default());
        }
    }

    /// Takes a column of so many rows from the front of the header.
    pub(super) fn read(header: &mut &[u8], rows: usize, piece_rows: usize) -> Result<Self, String> {
        let mut take = |n: usize| {
            header.split_off(..n).ok_or_else(|| "its header ends within a column".to_owned())
        };
        let entry = take(ENTRY)?;
        let kind = Kind::of(entry[0])?;
        let is_whole = entry[1] != 0;
        let piece_rows = if is_whole { rows } else { piece_rows };
        let width = number(&entry[4..]);
        if (kind == Kind::Bytes) != (width > 0 && width <= i32::MAX as u32) || entry[1] > 1 {
            return Err(format!("its column of type {} has a width of {width}", entry[0]));
        }
        let pieces = take(rows.div_ceil(piece_rows) * PIECE)?;
        let pieces = pieces.chunks_exact(PIECE).map(|entry| {
            let (flags, value) = (entry[1], |at: usize| entry[at..at + 8].try_into().expect("8"));
            Ok(Piece {
                form: Form::of(entry[0])?,
                is_missing: flags & MISSING != 0,
                size: number(&entry[4..]) as usize,
                checksum: number(&entry[8..]),
                stats: Stats {
                    values: number(&entry[12..]),
                    range: (flags & RANGE != 0).then(|| [value(16), value(24)]),
                    sum: (flags & SUM != 0).then(|| value(32)),
                },
            })
        });
        let pieces = pieces.collect::<Result<_, String>>()?;
        Ok(Column { kind, width, piece_rows, is_whole, pieces })
    }
}

/// A text column that was read: each row's word, by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Words {
    /// Below the number of words, for each row.
    pub(crate) codes: Vec<u32>,
    /// The words.
    pub(crate) words: Vec<String>,
}
