//! Several blobs, one a column, as one: a value of a file's row for itself would leave a page half empty behind each.
//!
//! Layout, all numbers low byte first: `u32` number of columns, `u32` bytes of each, and then they themselves, one after
//! another. Each has its own checksum.

use crate::error::{Error, Result};

/// The blobs of these columns as one.
pub(crate) fn join(columns: &[Vec<u8>]) -> Vec<u8> {
    let size = columns.iter().map(Vec::len).sum::<usize>() + 4 * (columns.len() + 1);
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(&(columns.len() as u32).to_le_bytes());
    for column in columns {
        out.extend_from_slice(&(column.len() as u32).to_le_bytes());
    }
    columns.iter().for_each(|column| out.extend_from_slice(column));
    out
}

/// The blob of one column.
///
/// # Errors
/// [`Error::Corrupt`] for bytes that do not hold it.
pub(crate) fn column(bytes: &[u8], index: usize) -> Result<&[u8]> {
    let number = |at: usize| -> Option<usize> {
        let part = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(part.try_into().expect("four bytes")) as usize)
    };
    let find = || {
        let n = number(0).filter(|n| index < *n && *n <= bytes.len() / 4)?;
        let mut from = 4 * (n + 1);
        for i in 0..index {
            from = from.checked_add(number(4 * (i + 1))?)?;
        }
        bytes.get(from..from.checked_add(number(4 * (index + 1))?)?)
    };
    find().ok_or_else(|| Error::Corrupt {
        location: String::new(),
        what: "a block of columns".into(),
        why: format!("its {} bytes do not hold column {index}", bytes.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what was joined is found again, and no byte beyond the end is looked at, whatever is cut off or changed.
    #[test]
    fn columns_are_found_and_nothing_else() {
        let columns = [vec![1, 2, 3], vec![], vec![4; 300]];
        let bytes = join(&columns);
        for (i, own) in columns.iter().enumerate() {
            assert_eq!(column(&bytes, i).unwrap(), own);
        }
        assert!(column(&bytes, 3).is_err() && column(&[], 0).is_err());
        for end in 0..bytes.len() {
            assert!(column(&bytes[..end], 2).is_err(), "{end}");
        }
        for at in 0..16 {
            let mut bytes = bytes.clone();
            bytes[at] = 255;
            for i in 0..4 {
                let _ = column(&bytes, i); // an error or some bytes, never a panic
            }
        }
    }
}
