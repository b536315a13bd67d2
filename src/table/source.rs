//! A file that remembers what the system refused: the errors of Parquet and Arrow forget it, and it is no damage.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use crate::error::{Error, Result};
use crate::kernel::open_file;

/// The first refusal of the system.
#[derive(Clone, Default)]
pub(super) struct Refused(Arc<OnceLock<(io::ErrorKind, String)>>);

impl Refused {
    fn note<T>(&self, done: io::Result<T>) -> io::Result<T> {
        done.inspect_err(|error| {
            if error.raw_os_error().is_some() {
                self.0.get_or_init(|| (error.kind(), error.to_string()));
            }
        })
    }

    /// The error of a reader, or the refusal that made it.
    pub(super) fn explain(&self, path: &Path, error: Error) -> Error {
        match self.0.get() {
            Some((kind, why)) => {
                let (path, action) = (path.into(), "reading it");
                Error::Io { path, action, kind: *kind, why: why.clone() }
            }
            None => error,
        }
    }
}

/// An open file.
pub(super) struct Source {
    file: File,
    refused: Refused,
}

impl Source {
    pub(super) fn open(path: &Path, refused: &Refused) -> Result<Self> {
        Ok(Source { file: open_file(path)?, refused: refused.clone() })
    }

    fn at(&self, start: u64) -> io::Result<Self> {
        let file = self.refused.note(self.file.try_clone())?;
        let mut source = Source { file, refused: self.refused.clone() };
        source.seek(SeekFrom::Start(start))?;
        Ok(source)
    }
}

impl Read for Source {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.refused.note(self.file.read(bytes))
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.refused.note(self.file.seek(to))
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl ChunkReader for Source {
    type T = BufReader<Source>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(self.at(start)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let mut bytes = Vec::new();
        let read = self.at(start)?.take(length as u64).read_to_end(&mut bytes)?;
        match read == length {
            true => Ok(bytes.into()),
            false => Err(ParquetError::EOF(format!("{length} bytes expected, {read} there"))),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Goal: what the system refuses to read is reported as that, and not as damage.
    #[test]
    fn a_read_that_is_refused_is_no_damage() {
        let refused = Refused::default();
        // At the beginning of a process nothing can be read.
        let source = Source::open(Path::new("/proc/self/mem"), &refused).unwrap();
        let damaged = || Error::Corrupt { location: "".into(), what: "".into(), why: "".into() };
        assert!(matches!(refused.explain(Path::new("a"), damaged()), Error::Corrupt { .. }));
        source.get_bytes(0, 8).unwrap_err();
        assert!(matches!(refused.explain(Path::new("a"), damaged()), Error::Io { .. }));
    }
}
