//! Ragged arrays: one row of data after another, and where each begins.

use super::Array;
use crate::error::{Error, Result};

/// Checks that `row_ptr` cuts `rows` rows of data into entities, and returns it as numbers.
///
/// - `row_ptr`: `[n + 1]`, any integer dtype, from 0, never falling, ending at `rows`; entity `i`
///   owns the data rows `row_ptr[i]..row_ptr[i + 1]`.
///
/// # Errors
/// [`Error::Invalid`] saying which rule is broken and where.
pub fn check_row_ptr(
    what: impl std::fmt::Display,
    row_ptr: &Array,
    rows: usize,
) -> Result<Vec<usize>> {
    let invalid =
        |expected: String, got: String| Error::invalid(format!("{what}.row_ptr"), expected, got);
    let wrong_type = || {
        let got = format!("{} of shape {:?}", row_ptr.dtype(), row_ptr.shape());
        invalid("a one-dimensional array of integers".into(), got)
    };
    if row_ptr.shape().len() != 1 {
        return Err(wrong_type());
    }
    let ends = row_ptr.to_i64s().ok_or_else(wrong_type)?;
    if ends.first() != Some(&0) {
        return Err(invalid("0 as its first entry".into(), format!("{:?}", ends.first())));
    }
    if let Some(i) = ends.windows(2).position(|pair| pair[1] < pair[0]) {
        let got = format!("{} after {} at position {}", ends[i + 1], ends[i], i + 1);
        return Err(invalid("entries that never fall".into(), got));
    }
    if ends.last().map(|end| *end as usize) != Some(rows) {
        return Err(invalid(
            format!("{rows} (the rows of data) as its last entry"),
            format!("{:?}", ends.last()),
        ));
    }
    Ok(ends.into_iter().map(|end| end as usize).collect())
}
