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
    let shown = |end: Option<&i64>| end.map_or("none".to_owned(), i64::to_string);
    if ends.first() != Some(&0) {
        return Err(invalid("0 as its first entry".into(), shown(ends.first())));
    }
    if let Some(i) = ends.windows(2).position(|pair| pair[1] < pair[0]) {
        let got = format!("{} after {} at position {}", ends[i + 1], ends[i], i + 1);
        return Err(invalid("entries that never fall".into(), got));
    }
    if ends.last().map(|end| *end as usize) != Some(rows) {
        return Err(invalid(
            format!("{rows} (the rows of data) as its last entry"),
            shown(ends.last()),
        ));
    }
    Ok(ends.into_iter().map(|end| end as usize).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each broken rule is reported in words, with the numbers that break it.
    #[test]
    fn broken_rules_are_told_in_words() {
        for (ends, said) in [
            (&[][..], "0 as its first entry, got none"),
            (&[1, 2], "0 as its first entry, got 1"),
            (&[0, 2, 1], "got 1 after 2 at position 2"),
            (&[0, 2], "3 (the rows of data) as its last entry, got 2"),
        ] {
            let error = check_row_ptr("x", &Array::from_slice::<i64>(ends), 3).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with("x.row_ptr: ") && error.ends_with(said), "{error}");
        }
    }
}
