//! The bytes of a file as text.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::kernel::{open_text, reading_text};
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

/// The text of a file, unpacked if it is packed by gzip or zstd, each line ended by LF, without a byte order mark.
///
/// # Errors
/// [`Error::Invalid`] for bytes that are not in the encoding, and for NUL, naming the line.
pub(super) fn text_of(path: &Path, asked: Option<Encoding>) -> Result<String> {
    let location = path.display().to_string();
    let mut text = decoded(bytes_of(path)?, asked, &location)?;
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
    let mut bytes = bytes_of(path)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let is_cut = end < bytes.len() && !finished;
    if is_cut {
        bytes.truncate(end);
    }
    Ok((decoded(bytes, Some(Encoding::Utf8), &location)?, is_cut))
}

/// The bytes of a file, unpacked if it is packed.
fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    let text = open_text(path)?;
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, "reading it", &e))?.len();
    if size > MAX_TEXT_BYTES {
        let expected = format!("at most {MAX_TEXT_BYTES} bytes");
        return Err(Error::invalid(path.display().to_string(), expected, size.to_string()));
    }
    bounded(path, text, size, SOME_BYTES)
}

/// What a file of this size may give.
fn bounded(path: &Path, text: impl Read, size: u64, some: u64) -> Result<Vec<u8>> {
    let most = size.saturating_mul(BYTES_A_BYTE).saturating_add(some).min(MAX_TEXT_BYTES);
    let mut bytes = Vec::new();
    text.take(most + 1).read_to_end(&mut bytes).map_err(|e| {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        reading_text(path, &e, lines as u64)
    })?;
    if bytes.len() as u64 > most {
        let expected = format!("a text of at most {most} bytes for a file of this size");
        return Err(Error::invalid(path.display().to_string(), expected, "a larger one"));
    }
    Ok(bytes)
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
        Encoding::Utf8 => utf8(bytes, asked, location)?,
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

fn utf8(bytes: Vec<u8>, asked: Option<Encoding>, location: &str) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..at];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Error::invalid(
            format!("{location}, line {line}"),
            match asked {
                Some(_) => "a text in UTF-8",
                None => "a text in UTF-8: pass --encoding latin-1 or utf-16 for another one",
            },
            format!("the byte 0x{:02X}", error.as_bytes()[at]),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::kernel::Packing;

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
            let (path, size) = (Path::new("a.gz"), packed.len() as u64);
            let some = bytes - size * BYTES_A_BYTE;
            let text = || Packing::Gzip.unpack(&packed[..]).unwrap();
            assert_eq!(bounded(path, text(), size, some).unwrap().len() as u64, bytes);
            let error = bounded(path, text(), size, some - 1).unwrap_err().to_string();
            let expected = format!("a.gz: expected a text of at most {} bytes", bytes - 1);
            assert!(error.contains(&expected), "{error}");
        }
    }
}
