//! The list of a folder: which file holds which key, what the files' bytes are, and the records.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::error::{Error, Result};
use crate::kernel::read_if_there;
use crate::series::data::Metadata;
use crate::table;

pub(super) const NAME: &str = "silt-series.json";
/// 1 had no hashes.
const VERSION: u32 = 2;
/// The most bytes of the list.
const MAX_BYTES: u64 = 1 << 30;
/// What stands before the list's own hash, which is that of all bytes before this.
const SEAL: &[u8] = b",\"hash\":\"";
const SEAL_END: &[u8] = b"\"}";
const HASH_DIGITS: usize = 32;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct List {
    version: u32,
    pub(super) series: BTreeMap<String, Entry>,
    #[serde(default)]
    pub(super) records: BTreeMap<String, Metadata>,
}

/// The file of a series.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Entry {
    Hashed {
        file: String,
        /// XXH3-128 of all bytes of the file.
        hash: String,
        /// XXH3-128 of its footer, which is read alone to tell what is known of the series.
        footer: String,
    },
    /// As version 1 had it.
    Unhashed(String),
}

impl Entry {
    /// Of a new file with these bytes.
    pub(super) fn new(file: String, bytes: &[u8]) -> Self {
        let footer = hash(table::parquet_footer(bytes).unwrap_or_default());
        Entry::Hashed { file, hash: hash(bytes), footer }
    }

    pub(super) fn file(&self) -> &str {
        match self {
            Entry::Hashed { file, .. } | Entry::Unhashed(file) => file,
        }
    }

    pub(super) fn is_hashed(&self) -> bool {
        matches!(self, Entry::Hashed { .. })
    }

    /// Whether these are the bytes of the file.
    pub(super) fn is_whole(&self, bytes: &[u8]) -> bool {
        match self {
            Entry::Hashed { hash: known, .. } => *known == hash(bytes),
            Entry::Unhashed(_) => true,
        }
    }

    /// Whether these are the bytes of the file's footer.
    pub(super) fn is_footer(&self, bytes: &[u8]) -> bool {
        match self {
            Entry::Hashed { footer, .. } => *footer == hash(bytes),
            Entry::Unhashed(_) => true,
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    format!("{:0HASH_DIGITS$x}", xxh3_128(bytes))
}

impl List {
    /// Reads the list of a folder; an empty one if there is none.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let Some(text) = read_if_there(&path, MAX_BYTES)? else { return Ok(List::default()) };
        let damaged = |why: String| Error::Corrupt {
            location: path.display().to_string(),
            what: "the list of series".into(),
            why,
        };
        let sealed = is_sealed(&text);
        if sealed == Some(false) {
            return Err(damaged("its hash is another".into()));
        }
        let list: List = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        if list.version > VERSION {
            let (file_version, known_version) = (i64::from(list.version), i64::from(VERSION));
            return Err(Error::TooNew {
                path,
                store: "series".into(),
                file_version,
                known_version,
            });
        }
        if list.version == VERSION && sealed.is_none() {
            return Err(damaged("its hash is not at its end".into()));
        }
        match list.series.values().find(|entry| !is_ours(entry.file())) {
            // A name from a file is not trusted to stay inside of the folder.
            Some(entry) => {
                Err(damaged(format!("{:?} is not the name of a file of ours", entry.file())))
            }
            None => Ok(list),
        }
    }

    /// The bytes of the list's file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let list = List { version: VERSION, ..self.clone() };
        let mut text = serde_json::to_vec(&list)
            .map_err(|e| Error::invalid("the records", "JSON", e.to_string()))?;
        text.pop(); // its last brace, which follows the hash
        let hash = hash(&text);
        text.extend([SEAL, hash.as_bytes(), SEAL_END].concat());
        Ok(text)
    }
}

/// Whether the hash at the end is that of what stands before it; `None` without one.
fn is_sealed(text: &[u8]) -> Option<bool> {
    let at = text.len().checked_sub(SEAL.len() + HASH_DIGITS + SEAL_END.len())?;
    let known = text[at..].strip_prefix(SEAL)?.strip_suffix(SEAL_END)?;
    Some(hash(&text[..at]).as_bytes() == known)
}

/// A new name for the file of a key. The hash only tells which files belong together when one looks.
pub(super) fn new_name(key: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let hash = xxh3_64(key.as_bytes());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let count = COUNT.fetch_add(1, Ordering::Relaxed) & 0xffff;
    let unique = now as u64 ^ u64::from(std::process::id()).rotate_left(40);
    format!("silt-{hash:016x}-{unique:016x}{count:04x}.parquet")
}

/// Whether a file has a name that [`new_name`] gives.
pub(super) fn is_ours(name: &str) -> bool {
    let middle = name.strip_prefix("silt-").and_then(|name| name.strip_suffix(".parquet"));
    middle.is_some_and(|middle| {
        middle.len() == 37
            && middle.bytes().enumerate().all(|(i, byte)| match i {
                16 => byte == b'-',
                _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
            })
    })
}
