//! The files of a zip or of a folder, by names that were listed: no name that a file tells is ever opened as a path.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use crate::error::{Error, Result};
use crate::kernel::open_file;

/// How deep the layout goes: `DATASET_data/SIGNAL_data/SERIES.csv`.
const MAX_DEPTH: usize = 3;

/// The most bytes of a file of metadata.
const METADATA_BYTES: u64 = 64 << 20;

/// How much a reader takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most files of a zip or folder.
    pub files: usize,
    /// The most bytes of one file, unpacked.
    pub file_bytes: u64,
    /// The most bytes of all files that are read, unpacked.
    pub total_bytes: u64,
}

impl Default for Limits {
    /// A million files, 2 GiB a file, 16 GiB in all.
    fn default() -> Self {
        Limits { files: 1_000_000, file_bytes: 2 << 30, total_bytes: 16 << 30 }
    }
}

/// The files of a zip or of a folder.
pub(super) struct Files {
    location: PathBuf,
    source: Source,
    limits: Limits,
    read_bytes: u64,
}

enum Source {
    Zip(Box<ZipArchive<BufReader<File>>>, BTreeMap<String, usize>),
    Folder(BTreeMap<String, PathBuf>),
}

impl Files {
    /// Lists the files; nothing is unpacked.
    pub(super) fn open(path: &Path, limits: Limits) -> Result<Self> {
        let kind = std::fs::metadata(path).map_err(|e| Error::io(path, "opening it", &e))?;
        let source = if kind.is_dir() {
            let mut found = BTreeMap::new();
            list(path, "", (MAX_DEPTH, limits.files), &mut found)?;
            Source::Folder(found)
        } else {
            let archive = ZipArchive::new(BufReader::new(open_file(path)?))
                .map_err(|e| Error::reading(path, "the zip", &e))?;
            if archive.len() > limits.files {
                return Err(too_much(path, format!("at most {} files", limits.files)));
            }
            let mut names = BTreeMap::new();
            for (at, name) in archive.file_names().enumerate() {
                let name = name.map_err(|e| Error::reading(path, "the zip", &e))?.into_owned();
                names.insert(name, at);
            }
            Source::Zip(Box::new(archive), names)
        };
        Ok(Files { location: path.to_owned(), source, limits, read_bytes: 0 })
    }

    pub(super) fn location(&self) -> &Path {
        &self.location
    }

    /// The names, with `/` between their parts.
    pub(super) fn names(&self) -> Vec<String> {
        match &self.source {
            Source::Zip(_, names) => names.keys().cloned().collect(),
            Source::Folder(names) => names.keys().cloned().collect(),
        }
    }

    /// The text of a file of metadata, which become many times their text.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub(super) fn metadata(&mut self, name: &str) -> Result<Option<String>> {
        self.text_within(name, METADATA_BYTES)
    }

    /// The text of a file; `None` if there is none of that name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that is greater than the limits, whatever size it claims; [`Error::Corrupt`] for one
    /// that is damaged or no UTF-8.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>> {
        self.text_within(name, self.limits.file_bytes)
    }

    fn text_within(&mut self, name: &str, most: u64) -> Result<Option<String>> {
        let Limits { file_bytes, total_bytes, .. } = self.limits;
        let limit = most.min(file_bytes).min(total_bytes - self.read_bytes);
        let location = self.location.join(Path::new(name).file_name().unwrap_or_default());
        let greater = || too_much(&location, format!("at most {limit} bytes"));
        let mut bytes = Vec::new();
        match &mut self.source {
            Source::Folder(names) => {
                let Some(path) = names.get(name) else { return Ok(None) };
                let file = open_file(path)?;
                let read = file.take(limit + 1).read_to_end(&mut bytes);
                read.map_err(|e| Error::io(path, "reading it", &e))?;
            }
            Source::Zip(archive, names) => {
                let Some(at) = names.get(name) else { return Ok(None) };
                let entry = archive.by_index(*at);
                let mut entry = entry.map_err(|e| Error::reading(&location, "the entry", &e))?;
                if entry.size() > limit {
                    return Err(greater());
                }
                // What it claims is not believed: the reader stops where the limit is.
                let read = (&mut entry).take(limit + 1).read_to_end(&mut bytes);
                read.map_err(|e| Error::reading(&location, "the entry", &e))?;
            }
        }
        if bytes.len() as u64 > limit {
            return Err(greater());
        }
        self.read_bytes += bytes.len() as u64;
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|e| damaged(&location, "the text", format!("it is no UTF-8: {e}")))
    }
}

fn damaged(location: &Path, what: &str, why: String) -> Error {
    Error::Corrupt { location: location.display().to_string(), what: what.into(), why }
}

fn too_much(location: &Path, expected: String) -> Error {
    Error::invalid(location.display().to_string(), expected, "more")
}

/// The files below a folder; links are not followed.
fn list(
    folder: &Path,
    prefix: &str,
    (depth, most): (usize, usize),
    found: &mut BTreeMap<String, PathBuf>,
) -> Result<()> {
    let listing = |e| Error::io(folder, "listing it", &e);
    for entry in std::fs::read_dir(folder).map_err(listing)? {
        let entry = entry.map_err(listing)?;
        let kind = entry.file_type().map_err(listing)?;
        // A name that is no Unicode is none of the layout's.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let name = format!("{prefix}{name}");
        if kind.is_dir() && depth > 1 && name.ends_with("_data") {
            list(&entry.path(), &format!("{name}/"), (depth - 1, most), found)?;
        } else if kind.is_file() {
            found.insert(name, entry.path());
        }
        if found.len() > most {
            return Err(too_much(folder, format!("at most {most} files")));
        }
    }
    Ok(())
}
