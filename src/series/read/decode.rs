//! The bytes of a file as text.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::kernel::read_whole;
use crate::series::text::bad_line;

/// The most bytes of a text that is read.
const MAX_TEXT_BYTES: u64 = 4 << 30;
/// The bytes that a packed text may become for each of its own, and those that any may.
const BYTES_A_BYTE: u64 = 512;
const SOME_BYTES: u64 = 256 << 20;

/// How the characters of a text are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-16, the order of its bytes by its mark, or low byte first.
    Utf16,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
    /// ISO 8859-1: a byte a character.
    Latin1,
}

const NAMES: [(&str, Encoding); 5] = [
    ("utf-8", Encoding::Utf8),
    ("utf-16", Encoding::Utf16),
    ("utf-16le", Encoding::Utf16Le),
    ("utf-16be", Encoding::Utf16Be),
    ("latin-1", Encoding::Latin1),
];

impl FromStr for Encoding {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = NAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
        found.map(|(_, encoding)| *encoding).ok_or_else(|| {
            let expected = "utf-8, utf-16, utf-16le, utf-16be or latin-1";
            Error::invalid("encoding", expected, format!("{text:?}"))
        })
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, encoding)| encoding == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// The text of a file, unpacked if it is packed by gzip, each line ended by LF, without a byte order mark.
///
/// # Errors
/// [`Error::Invalid`] for bytes that are not in the encoding, and for NUL, naming the line.
pub(super) fn text_of(path: &Path, asked: Option<Encoding>) -> Result<String> {
    let location = path.display().to_string();
    let mut text = decoded(bytes_of(path, &location)?, asked, &location)?;
    if let Some(at) = text.bytes().position(|byte| byte == 0) {
        let expected =
            "a text, or --encoding utf-16le or utf-16be for one without a byte order mark";
        let line = 1 + text[..at].matches('\n').count() as u64;
        return Err(bad_line(&location, line, expected, "\0"));
    }
    if !text.contains('\n') {
        text = text.replace('\r', "\n");
    }
    Ok(text)
}

/// The lines of a text in UTF-8 that have an end, and whether something stands behind them: the file may grow.
///
/// # Errors
/// As [`text_of`].
pub(in crate::series) fn lines_of(path: &Path, finished: bool) -> Result<(String, bool)> {
    let location = path.display().to_string();
    let mut bytes = bytes_of(path, &location)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let is_cut = end < bytes.len() && !finished;
    if is_cut {
        bytes.truncate(end);
    }
    Ok((decoded(bytes, Some(Encoding::Utf8), &location)?, is_cut))
}

/// The bytes of a file, unpacked if it is packed by gzip.
fn bytes_of(path: &Path, location: &str) -> Result<Vec<u8>> {
    let bytes = read_whole(path, MAX_TEXT_BYTES)?;
    match bytes.starts_with(&[0x1f, 0x8b]) {
        true => unpacked(&bytes, location, SOME_BYTES),
        false => Ok(bytes),
    }
}

fn unpacked(bytes: &[u8], location: &str, some: u64) -> Result<Vec<u8>> {
    let most = (bytes.len() as u64).saturating_mul(BYTES_A_BYTE).saturating_add(some);
    let most = most.min(MAX_TEXT_BYTES);
    let mut text = Vec::new();
    let reader = flate2::read::MultiGzDecoder::new(bytes);
    reader.take(most + 1).read_to_end(&mut text).map_err(|e| Error::Corrupt {
        location: location.to_owned(),
        what: "the gzip file".into(),
        why: e.to_string(),
    })?;
    if text.len() as u64 > most {
        let expected = format!("a text of at most {most} bytes for a file of this size");
        return Err(Error::invalid(location, expected, "a larger one"));
    }
    Ok(text)
}

fn decoded(bytes: Vec<u8>, asked: Option<Encoding>, location: &str) -> Result<String> {
    let by_mark = match &bytes[..] {
        [0xff, 0xfe, ..] => Some(Encoding::Utf16Le),
        [0xfe, 0xff, ..] => Some(Encoding::Utf16Be),
        _ => None,
    };
    let encoding = match asked {
        None | Some(Encoding::Utf16) => by_mark.or(asked).unwrap_or(Encoding::Utf8),
        Some(asked) => asked,
    };
    let text = match encoding {
        Encoding::Utf8 => utf8(bytes, location)?,
        Encoding::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
        Encoding::Utf16 | Encoding::Utf16Le | Encoding::Utf16Be => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let unit = match encoding {
                Encoding::Utf16Be => u16::from_be_bytes,
                _ => u16::from_le_bytes,
            };
            let read: std::result::Result<String, _> =
                char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
            match read {
                Ok(text) if rest.is_empty() => text,
                _ => return Err(Error::invalid(location, "a text in UTF-16", "other bytes")),
            }
        }
    };
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn utf8(bytes: Vec<u8>, location: &str) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..at];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Error::invalid(
            format!("{location}, line {line}"),
            "a text in UTF-8: pass --encoding latin-1 or utf-16 for another one",
            format!("the byte 0x{:02X}", error.as_bytes()[at]),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Goal: a packed text is unpacked up to its budget and no further, however many parts it is packed in.
    #[test]
    fn a_packed_text_has_a_budget() {
        let packed = |parts: usize| {
            let mut packed = Vec::new();
            for _ in 0..parts {
                let mut gz =
                    flate2::write::GzEncoder::new(&mut packed, flate2::Compression::best());
                gz.write_all(&[b'1'; 100_000]).unwrap();
                gz.finish().unwrap();
            }
            packed
        };
        for parts in [1, 7] {
            let (packed, bytes) = (packed(parts), parts as u64 * 100_000);
            let some = bytes - packed.len() as u64 * BYTES_A_BYTE;
            assert_eq!(unpacked(&packed, "a.gz", some).unwrap().len() as u64, bytes);
            let error = unpacked(&packed, "a.gz", some - 1).unwrap_err().to_string();
            let expected = format!("a.gz: expected a text of at most {} bytes", bytes - 1);
            assert!(error.contains(&expected), "{error}");
        }
    }
}
