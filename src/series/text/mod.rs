//! Series out of delimited text: records with their lines, and columns by a dtype or by what the texts look like.
//!
//! A field that stands in quotes is never missing: `""` is an empty text, and nothing between two separators is a
//! missing value. A reader of CSV that others keep does not tell the two apart, so this one is our own.

mod column;
mod index;
mod scan;

pub(super) use column::{Column, Kind, Missing, boolean, is_missing, join};
pub(super) use index::{category_dtype, index_by, zone_name};
pub(super) use scan::{find_separator, next_piece};

pub(super) use crate::table::delimited::{Field, Row, Rows};

use crate::error::{Error, Result};

/// The most bytes that the series of one text take in memory.
pub(super) const MOST_BYTES: u64 = 4 << 30;

/// What the series of a text may still take.
pub(super) struct Room<'a> {
    location: &'a str,
    most: u64,
    left: u64,
}

impl<'a> Room<'a> {
    pub(super) fn of(location: &'a str, most: u64) -> Self {
        Room { location, most, left: most }
    }

    /// Counts the bytes of an array.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is too much.
    pub(super) fn take(&mut self, bytes: u64) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            let expected = format!("series of at most {} bytes in memory", self.most);
            Error::invalid(self.location, expected, "more")
        })?;
        Ok(())
    }
}

/// The error for a quote that does not close as it should.
pub(super) fn open_quote(location: &str, line: u64) -> Error {
    let expected = "a quote that closes at the end of its field (one within a text stands twice)";
    Error::invalid(format!("{location}, line {line}"), expected, "one that does not")
}

/// What a line of a text is, for a message.
pub(super) fn bad_line(location: &str, line: u64, expected: &str, got: &str) -> Error {
    let mut short: String = got.chars().take(60).collect();
    if short.len() < got.len() {
        short.push_str("...");
    }
    Error::invalid(format!("{location}, line {line}"), expected, format!("{short:?}"))
}
