//! A block's bytes into columns. Nothing is believed: every length is held against what is there.

use super::column::{Kind, Words};
use super::{
    CHECKSUM, ENTRY, Form, HEAD, MAGIC, MAX_COLUMNS, MAX_ROWS, VERSION, checksum, numbers,
};
use crate::error::{Error, Result};

/// The most bytes of a dictionary once unpacked.
const MAX_DICTIONARY: u64 = 64 << 20;

/// A block whose checksum and directory are right; its columns are unpacked one by one.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    rows: usize,
    columns: Vec<Entry<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    kind: Kind,
    form: Form,
    least: i64,
    greatest: i64,
    data: &'a [u8],
}

impl<'a> Block<'a> {
    /// Looks at the directory and compares the checksum.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for bytes that no encoder of ours made.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self> {
        Self::parse(bytes).map_err(damaged)
    }

    fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let short = || format!("it has only {} bytes", bytes.len());
        let body = bytes.len().checked_sub(CHECKSUM).ok_or_else(short)?;
        let (body, sum) = bytes.split_at(body);
        let (head, _) = body.split_at_checked(HEAD).ok_or_else(short)?;
        if head[..4] != MAGIC {
            return Err("it does not begin as a block does".into());
        }
        if head[4] != VERSION {
            return Err(format!("its version {} is not one that this build knows", head[4]));
        }
        if checksum(body) != sum {
            return Err("the checksum differs from the one it was stored with".into());
        }
        let columns = head[5] as usize;
        let rows = number(&head[8..]) as usize;
        if columns == 0 || columns > MAX_COLUMNS || rows == 0 || rows > MAX_ROWS {
            return Err(format!("it claims {columns} columns of {rows} rows"));
        }
        let rest = &body[HEAD..];
        let (directory, mut data) = rest.split_at_checked(columns * ENTRY).ok_or_else(short)?;
        let mut entries = Vec::with_capacity(columns);
        for entry in directory.chunks_exact(ENTRY) {
            let size = number(&entry[4..]) as usize;
            let (own, others) = data
                .split_at_checked(size)
                .ok_or_else(|| format!("a column of {size} bytes goes beyond its end"))?;
            data = others;
            let wide = |at: usize| i64::from_le_bytes(entry[at..at + 8].try_into().expect("8"));
            entries.push(Entry {
                kind: Kind::of(entry[0])?,
                form: Form::of(entry[1])?,
                least: wide(8),
                greatest: wide(16),
                data: own,
            });
        }
        if !data.is_empty() {
            return Err(format!("{} bytes are left over", data.len()));
        }
        Ok(Block { rows, columns: entries })
    }

    /// The number of rows, 1 at least.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The types of the columns.
    pub(crate) fn kinds(&self) -> impl ExactSizeIterator<Item = Kind> + '_ {
        self.columns.iter().map(|column| column.kind)
    }

    /// The least and greatest integer of a column of integers or bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is no such column.
    pub(crate) fn range_i64(&self, column: usize) -> Result<(i64, i64)> {
        match self.columns.get(column) {
            Some(entry) if matches!(entry.kind, Kind::I64 | Kind::U8) => {
                Ok((entry.least, entry.greatest))
            }
            _ => Err(missing(column, Kind::I64)),
        }
    }

    /// Appends a column of integers.
    ///
    /// # Errors
    /// [`Error::Corrupt`]; `out` may have grown.
    pub(crate) fn read_i64(&self, column: usize, out: &mut Vec<i64>) -> Result<()> {
        let entry = self.entry(column, Kind::I64)?;
        numbers::decode(entry.form, entry.data, self.rows, out).map_err(damaged)
    }

    /// Appends a column of floats.
    ///
    /// # Errors
    /// [`Error::Corrupt`]; `out` may have grown.
    pub(crate) fn read_f64(&self, column: usize, out: &mut Vec<f64>) -> Result<()> {
        let entry = self.entry(column, Kind::F64)?;
        numbers::decode(entry.form, entry.data, self.rows, out).map_err(damaged)
    }

    /// Appends a column of bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`]; `out` may have grown.
    pub(crate) fn read_u8(&self, column: usize, out: &mut Vec<u8>) -> Result<()> {
        let entry = self.entry(column, Kind::U8)?;
        numbers::decode(entry.form, entry.data, self.rows, out).map_err(damaged)
    }

    /// A column of texts.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(crate) fn text(&self, column: usize) -> Result<Words> {
        let entry = self.entry(column, Kind::Text)?;
        read_text(entry, self.rows).map_err(damaged)
    }

    fn entry(&self, column: usize, kind: Kind) -> Result<&Entry<'a>> {
        let entry = self.columns.get(column).filter(|entry| entry.kind == kind);
        entry.ok_or_else(|| missing(column, kind))
    }
}

fn read_text(entry: &Entry<'_>, rows: usize) -> Result<Words, String> {
    let short = || "a text column ends too early".to_owned();
    let (size, rest) = entry.data.split_at_checked(4).ok_or_else(short)?;
    let (stored, rest) = rest.split_at_checked(number(size) as usize).ok_or_else(short)?;
    let (form, stored_codes) = rest.split_first().ok_or_else(short)?;
    let unpacked = match entry.form {
        Form::Raw => stored.to_vec(),
        Form::Zstd => {
            let size = zstd::zstd_safe::get_frame_content_size(stored).ok().flatten();
            let size = size.filter(|size| *size <= MAX_DICTIONARY);
            let size = size.ok_or("the dictionary does not say its size, or too large a one")?;
            numbers::decompress(stored, size as usize)?
        }
        other => return Err(format!("a dictionary has no form {other:?}")),
    };
    let (count, mut rest) = unpacked.split_at_checked(4).ok_or_else(short)?;
    // No allocation by the count: each word takes four bytes at least.
    let mut words = Vec::new();
    for _ in 0..number(count) {
        let (size, after) = rest.split_at_checked(4).ok_or_else(short)?;
        let (word, after) = after.split_at_checked(number(size) as usize).ok_or_else(short)?;
        let word = std::str::from_utf8(word).map_err(|_| "a word is not UTF-8")?;
        words.push(word.to_owned());
        rest = after;
    }
    if !rest.is_empty() {
        return Err("bytes are left over after the words".into());
    }
    let form = Form::of(*form)?;
    let mut codes: Vec<u32> = Vec::new();
    numbers::decode(form, stored_codes, rows, &mut codes)?;
    if codes.iter().any(|code| *code as usize >= words.len()) {
        return Err("a row has the number of a word that is not there".into());
    }
    Ok(Words { codes, words })
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"))
}

fn missing(column: usize, kind: Kind) -> Error {
    damaged(format!("its column {column} is not of the type {kind:?}"))
}

fn damaged(why: String) -> Error {
    Error::Corrupt { location: String::new(), what: "a column block".into(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a dictionary is unpacked up to its budget, and one that claims a byte more is refused before it is.
    #[test]
    fn a_dictionary_has_a_budget() {
        for (bytes, expected) in
            [(MAX_DICTIONARY, "bytes are left over"), (MAX_DICTIONARY + 1, "too large a one")]
        {
            // No words, and zeros behind them.
            let stored = zstd::bulk::compress(&vec![0; bytes as usize], 1).unwrap();
            let data = [&(stored.len() as u32).to_le_bytes()[..], &stored, &[0]].concat();
            let (kind, form) = (Kind::Text, Form::Zstd);
            let entry = Entry { kind, form, least: 0, greatest: 0, data: &data };
            let error = read_text(&entry, 1).expect_err("it is no dictionary");
            assert!(error.contains(expected), "{bytes}: {error}");
        }
    }
}
