//! What a path is, by what is in it.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::simulation::database::SimulationDatabase;
use crate::simulation::json::parse_file_name;
use crate::simulation::tables::Layout;

/// What a run was recorded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A database file.
    Sqlite,
    /// A folder of update files.
    Json,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Format::Sqlite => "sqlite",
            Format::Json => "json",
        })
    }
}

pub(super) enum Found {
    Database(PathBuf),
    Updates,
}

/// Says what a run was recorded in: a file that opens as a database is one, whatever its name; a
/// folder with a database of a simulation in it is one too; any other folder is one of JSON.
///
/// Nothing is changed. Other folders, such as the parent, are not looked at.
///
/// # Errors
/// [`Error::NotFound`] for a path that leads nowhere; [`Error::NotOurs`] for a file that is no
/// database of a simulation.
pub fn detect_format(path: impl AsRef<Path>) -> Result<Format> {
    Ok(match find(path.as_ref())? {
        Found::Database(_) => Format::Sqlite,
        Found::Updates => Format::Json,
    })
}

pub(super) fn find(path: &Path) -> Result<Found> {
    let metadata = std::fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound {
            what: "file or folder",
            name: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            location: path.parent().unwrap_or(Path::new("")).display().to_string(),
        },
        _ => Error::io(path, "looking at it", &e),
    })?;
    if metadata.is_dir() {
        let database = newest_database(path)?;
        return Ok(database.map_or(Found::Updates, Found::Database));
    }
    // Opening it says best what is wrong with a file that is none.
    SimulationDatabase::open_read_only(path)?;
    Ok(Found::Database(path.to_owned()))
}

/// The newest file of a folder that is a database with a simulation in it.
fn newest_database(folder: &Path) -> Result<Option<PathBuf>> {
    let unlisted = |e: &std::io::Error| Error::io(folder, "listing it", e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| unlisted(&e))? {
        let path = entry.map_err(|e| unlisted(&e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A long run has a million update files, and none of them is a database.
        let is_beside = ["-wal", "-shm", "-journal"].iter().any(|end| name.ends_with(end));
        if is_beside || parse_file_name(&name).is_some() {
            continue;
        }
        // One that vanishes meanwhile is not there.
        if let Ok(metadata) = std::fs::metadata(&path)
            && metadata.is_file()
        {
            files.push((metadata.modified().ok(), path));
        }
    }
    files.sort();
    Ok(files.into_iter().rev().map(|(_, path)| path).find(|path| holds_a_simulation(path)))
}

fn holds_a_simulation(path: &Path) -> bool {
    let layout = || SimulationDatabase::open_read_only(path)?.database().read(Layout::of);
    layout().is_ok_and(|layout| layout != Layout::Empty)
}
