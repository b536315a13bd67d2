//! Text files, plain or packed by gzip or zstd, as their first bytes say.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use super::reading::open_file;
use crate::error::{Error, Result};

const BUFFER: usize = 1 << 20;

/// How a text is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    /// Of a file that begins with these bytes.
    pub(crate) fn of(begin: &[u8]) -> Option<Self> {
        if begin.starts_with(&[0x1f, 0x8b]) {
            return Some(Packing::Gzip);
        }
        begin.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]).then_some(Packing::Zstd)
    }

    /// What is packed in it.
    pub(crate) fn unpack<'a>(self, packed: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Packing::Zstd => Box::new(zstd::stream::Decoder::with_buffer(packed)?),
        })
    }

    /// Whether a name has the ending of a packed file.
    pub(crate) fn is_ending(ending: &str) -> bool {
        ["gz", "zst"].iter().any(|packed| ending.eq_ignore_ascii_case(packed))
    }
}

/// What is packed otherwise, by its first bytes.
const OTHERS: [(&[u8], &str); 4] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "one packed by bzip2"),
    (b"\xfd7zXZ\0", "one packed by xz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
];

/// A file of text to read, unpacked if it is packed.
///
/// # Errors
/// [`Error::Invalid`] for a file that is packed otherwise; [`Error::Io`].
pub(crate) fn open_text(path: &Path) -> Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(BUFFER, open_file(path)?);
    let begin = file.fill_buf().map_err(|e| Error::io(path, "reading it", &e))?;
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| begin.starts_with(magic)) {
        let got = format!("{what}: unpack it first");
        let expected = "a file of text, plain or packed by gzip or zstd";
        return Err(Error::invalid(path.display().to_string(), expected, got));
    }
    Ok(match Packing::of(begin) {
        None => Box::new(file),
        Some(packing) => {
            let unpacked = packing.unpack(file).map_err(|e| Error::io(path, "unpacking it", &e))?;
            Box::new(BufReader::with_capacity(BUFFER, unpacked))
        }
    })
}

/// An error of reading what [`open_text`] opened, behind a line: what is packed may be damaged.
pub(crate) fn reading_text(path: &Path, error: &io::Error, line: u64) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof
        | ErrorKind::InvalidData
        | ErrorKind::InvalidInput
        | ErrorKind::Other => Error::Corrupt {
            location: path.display().to_string(),
            what: "the packed text".into(),
            why: format!("{error}, behind line {line}"),
        },
        _ => Error::io(path, "reading it", error),
    }
}
