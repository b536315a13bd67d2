//! Folders of a source: what is in them, in order, links not followed.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::id::is_id;
use crate::error::{Error, Result};
use crate::kernel::{Database, Skipped, Upgrade, read_if_there, table_exists};

/// Folders in folders; deeper ones are refused.
const MAX_DEPTH: usize = 32;
/// The most bytes of a small file: what a person or a tracker wrote about a run.
const MOST_BYTES: u64 = 64 << 20;

/// What a folder has: its files and folders, by name. A link is neither: it may lead anywhere.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) files: Vec<(String, PathBuf)>,
    pub(super) folders: Vec<(String, PathBuf)>,
    pub(super) skipped: Vec<Skipped>,
}

/// Lists a folder; one that is not there has nothing.
pub(super) fn list(folder: &Path) -> Result<Listing> {
    let mut listing = Listing::default();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(listing),
        Err(error) => return Err(Error::io(folder, "listing it", &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(folder, "listing it", &e))?;
        let (path, name) = (entry.path(), entry.file_name().into_string());
        let kind = entry.file_type().map_err(|e| Error::io(&path, "looking at it", &e))?;
        let why = match name {
            Ok(name) if kind.is_file() => {
                listing.files.push((name, path));
                continue;
            }
            Ok(name) if kind.is_dir() => {
                listing.folders.push((name, path));
                continue;
            }
            Ok(_) => "it is neither a file nor a folder; links are not followed",
            Err(_) => "its name is not valid UTF-8",
        };
        listing.skipped.push(Skipped::new(path, why));
    }
    listing.files.sort();
    listing.folders.sort();
    Ok(listing)
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// All files below a folder of a run, as [`walk`] gives them; none if a step on the way there from `from` is a link.
pub(super) fn walk_within(
    from: &Path,
    steps: &[&str],
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<(String, PathBuf)>> {
    let mut folder = from.to_owned();
    for step in steps {
        folder.push(step);
        if is_link(&folder) {
            skipped.push(Skipped::new(folder, "links are not followed"));
            return Ok(Vec::new());
        }
    }
    walk(&folder, skipped)
}

/// All files below a folder, each by its path from there with `/` between names.
pub(super) fn walk(folder: &Path, skipped: &mut Vec<Skipped>) -> Result<Vec<(String, PathBuf)>> {
    let (mut found, mut waiting) = (Vec::new(), vec![(String::new(), folder.to_owned(), 0)]);
    while let Some((within, folder, depth)) = waiting.pop() {
        let listing = list(&folder)?;
        skipped.extend(listing.skipped);
        for (name, path) in listing.files {
            found.push((format!("{within}{name}"), path));
        }
        for (name, path) in listing.folders {
            if depth + 1 < MAX_DEPTH {
                waiting.push((format!("{within}{name}/"), path, depth + 1));
            } else {
                skipped.push(Skipped::new(path, "it lies too deep"));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A small text file.
pub(super) fn text(path: &Path) -> Result<String> {
    text_if_there(path)?.ok_or_else(|| Error::NotFound {
        what: "file",
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        location: crate::kernel::folder_of(path).display().to_string(),
    })
}

/// As [`text`], of a file that may not be there. A link is refused: the caller made the path of names that it knows.
pub(super) fn text_if_there(path: &Path) -> Result<Option<String>> {
    if is_link(path) {
        return Err(Error::invalid(path.display().to_string(), "a file", "a link"));
    }
    let Some(bytes) = read_if_there(path, MOST_BYTES)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|e| Error::Corrupt {
        location: path.display().to_string(),
        what: "the text".into(),
        why: format!("it is not UTF-8: {e}"),
    })
}

/// Opens the database of a tracker for reading alone: nothing is upgraded.
///
/// # Errors
/// [`Error::NotOurs`] for one of another program; [`Error::Invalid`] for one of Siltstone, or of another tracker.
pub(super) fn database(path: &Path, upgrades: &'static [&'static Upgrade]) -> Result<Database> {
    let open = |upgrades| Database::builder(path).upgrade(upgrades).open_read_only();
    let db = open(upgrades).map_err(|error| {
        let others = [("MLflow", super::MLFLOW), ("trackio", super::TRACKIO)];
        let is_not_ours = matches!(error, Error::NotOurs { .. });
        match others.into_iter().find(|(_, other)| is_not_ours && open(other).is_ok()) {
            Some((name, _)) => {
                let (what, got) = (path.display().to_string(), format!("a database of {name}"));
                Error::invalid(what, "a database of the tracker", got)
            }
            None => error,
        }
    })?;
    if db.read(|tx| table_exists(tx, "siltstone_schema"))? {
        let expected = "a database of the tracker; a file of siltstone is merged";
        return Err(Error::invalid(path.display().to_string(), expected, "one of siltstone"));
    }
    Ok(db)
}

/// Whether a text of a file can be one step of a path: it leads nowhere else.
pub(super) fn is_plain_name(name: &str) -> bool {
    is_id(name) && name != "." && name != ".." && !name.contains(['/', '\\'])
}
