//! movici's folders of JSON files into a database.

mod initial;
mod ordered;
mod updates;

use std::path::{Path, PathBuf};

use self::initial::import_initial;
use self::updates::import_updates;
use super::database::SimulationDatabase;
use super::difference::Conflict;
use super::json::Schema;
use super::results::FilePattern;
use crate::error::{Error, Result};
use crate::kernel::{Progress, Skipped, read_whole};

/// What to import, and how.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Folder of the initial state: `<dataset>.json` files, kept byte for byte, and files with any
    /// other ending, or none, kept as bytes.
    pub init_dir: Option<PathBuf>,
    /// Folder of `t<timestamp>_<iteration>_<dataset>.json` files.
    pub updates_dir: Option<PathBuf>,
    /// The names of update files, if they are not the documented ones.
    pub update_pattern: Option<FilePattern>,
    /// Attribute types; kept with the file. Without them those that are kept already are used, and
    /// else types are inferred from the values.
    pub schema: Schema,
    /// Threads that parse; 0: as many as there are cores.
    pub workers: usize,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ImportReport {
    /// Updates stored now.
    pub updates: u64,
    /// Updates that were in the database already, or came earlier, with the same content.
    pub unchanged: u64,
    /// Initial datasets stored now.
    pub initial_datasets: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Files in the updates folder whose names are not those of updates; they were not opened.
    pub other_files: u64,
    /// Files that were skipped.
    pub skipped: Vec<Skipped>,
    /// Updates and initial datasets that the database has, or got from an earlier file, with another
    /// content; that stays. The source is the file.
    pub conflicts: Vec<Conflict>,
}

impl ImportReport {
    /// Refuses folders in which no file is one to import.
    fn of_something(self, options: &ImportOptions) -> Result<Self> {
        let found = self.bytes + self.updates + self.unchanged + self.initial_datasets;
        if found > 0 || !self.skipped.is_empty() || !self.conflicts.is_empty() {
            return Ok(self);
        }
        let Some(folder) = options.updates_dir.as_ref().or(options.init_dir.as_ref()) else {
            return Ok(self);
        };
        let got = match self.other_files {
            0 => "no file".to_owned(),
            n => format!("{n} of other names"),
        };
        let expected = "files of updates, as t0_0_net.json, or of initial datasets, as net.json";
        Err(Error::invalid(folder.display().to_string(), expected, got))
    }
}

/// Which files of initial data are imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InitialFiles {
    All,
    OnlyJson,
}

/// Imports initial data and updates.
///
/// A file that is malformed is named in the report, and the rest goes on. What the database has
/// already, or an earlier file gave, is compared: with the same content it stays unchanged, so that the
/// same call resumes an interrupted import; with another content it is a conflict, named
/// in the report, and never overwritten, whatever [`OnRepeat`](super::OnRepeat) says. Two updates
/// are the same if JSON says the same of them, and so are two texts of one JSON value.
///
/// `progress` gets files done and in all, and stops the import by returning an error; what was
/// stored until then stays.
///
/// # Errors
/// [`Error::Invalid`] for folders without a file to import; [`Error::Io`] if a folder cannot be listed or the database not
/// be written; the error of `progress`.
pub fn import(
    db: &SimulationDatabase,
    options: &ImportOptions,
    progress: &mut Progress<'_>,
) -> Result<ImportReport> {
    import_files(Some(db), options, InitialFiles::All, progress)?.of_something(options)
}

/// Reads initial data and updates as [`import`] does, and counts what there is to import; nothing is written. Not found is
/// what only a database tells: that one update has another form than those before it, or is stored already.
///
/// # Errors
/// [`Error::Invalid`] for folders without a file to import; [`Error::Io`] if a folder cannot be listed; the error of
/// `progress`.
pub fn inspect(options: &ImportOptions, progress: &mut Progress<'_>) -> Result<ImportReport> {
    import_files(None, options, InitialFiles::All, progress)?.of_something(options)
}

/// As [`import`], of some of the initial data; without a database as [`inspect`].
pub(super) fn import_files(
    db: Option<&SimulationDatabase>,
    options: &ImportOptions,
    initial: InitialFiles,
    progress: &mut Progress<'_>,
) -> Result<ImportReport> {
    let mut report = ImportReport::default();
    let kept;
    let schema = match db {
        Some(db) if options.schema.specs().is_empty() => {
            kept = db.schema()?;
            &kept
        }
        Some(db) => {
            db.set_schema(&options.schema)?;
            &options.schema
        }
        None => &options.schema,
    };
    if let Some(folder) = &options.init_dir {
        import_initial(db, (folder, initial), schema, &mut report)?;
    }
    if let Some(folder) = &options.updates_dir {
        import_updates(db, folder, options, (schema, &mut report), progress)?;
    }
    Ok(report)
}

/// Whether a folder has a file that is named as one of updates.
///
/// # Errors
/// [`Error::Io`] if it cannot be listed.
pub(crate) fn is_folder_of_updates(folder: &Path) -> Result<bool> {
    let named = |path: &PathBuf| path.file_name()?.to_str().and_then(super::json::parse_file_name);
    Ok(list(folder)?.iter().any(|path| named(path).is_some()))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, "listing it", &e))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|e| Error::io(folder, "listing it", &e))?;
    paths.sort();
    Ok(paths)
}

/// The bytes of a file, or why they cannot be had.
fn read_file(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    read_whole(path, most).map_err(|error| error.to_string())
}
