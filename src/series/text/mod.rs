//! Series out of delimited text: records with their lines, and columns by a dtype or by what the texts look like.
//!
//! A field that stands in quotes is never missing: `""` is an empty text, and nothing between two separators is a
//! missing value. A reader of CSV that others keep does not tell the two apart, so this one is our own.

mod column;
mod index;
mod scan;

pub(super) use column::{Column, Kind, Missing, detect, per_second};
pub(super) use index::{category_dtype, detect_index, index_by, zone_name};
pub(super) use scan::{Field, Row, Rows, find_separator};

use crate::error::Error;

/// What a line of a text is, for a message.
pub(super) fn bad_line(place: &str, line: u64, expected: &str, got: &str) -> Error {
    let mut short: String = got.chars().take(60).collect();
    if short.len() < got.len() {
        short.push_str("...");
    }
    Error::invalid(format!("{place}, line {line}"), expected, format!("{short:?}"))
}
