//! The columns of a file into a store: which series they become, and what happens to those that are there.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::append::{Appended, Overlap, append_points};
use super::backend::StorageBackend;
use super::data::Series;
use super::read::{Points, PointsColumn};
use super::widen::type_name;
use crate::error::{Error, Result};
use crate::kernel::{Packing, check_interrupted};

/// Which series the columns of a file become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportPointsOptions {
    /// The key of the series; of several columns, each has its name behind it: `KEY/COLUMN`. Several files are one series.
    pub key: Option<String>,
    /// What stands before the names of the columns where there is no key; the name of the file if nobody says.
    pub dataset: Option<String>,
    /// How series that are there get the points. Without it such a series is refused, unless it has these points and no
    /// others; with [`Overlap::Overwrite`] one that this import has written is.
    pub stored: Option<Overlap>,
    /// Keys that earlier files of this import have written.
    pub written: BTreeSet<String>,
}

impl ImportPointsOptions {
    fn is_append(&self) -> bool {
        self.stored.is_some_and(|overlap| overlap != Overlap::Overwrite)
    }
}

/// A series that an import has written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportedSeries {
    /// Its key.
    pub key: String,
    /// The type of its values: `float64`.
    pub values: String,
    /// What was added to it.
    #[serde(flatten)]
    pub appended: Appended,
}

/// Stores the series that [`read_points`](super::read_points) read of a file, in one commit.
///
/// # Errors
/// [`Error::Exists`] for a series that is there, if nobody says what happens to it; [`Error::Invalid`] for a key that is
/// one series here and several there; those of [`append_points`]. Nothing is stored.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("plant.csv");
/// use siltstone::series::{MemoryBackend, StorageBackend, import_points, read_points};
/// std::fs::write(&path, "time,flow,level\n2024-01-01T00:00:00Z,1.5,2\n2024-01-01T01:00:00Z,1.6,3\n")?;
/// let backend = MemoryBackend::new();
/// import_points(&backend, &path, read_points(&path, &Default::default())?, &Default::default())?;
/// assert_eq!(backend.list_keys("")?, ["plant/flow", "plant/level"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn import_points(
    backend: &dyn StorageBackend,
    path: impl AsRef<Path>,
    points: Points,
    options: &ImportPointsOptions,
) -> Result<Vec<ImportedSeries>> {
    let path = path.as_ref();
    let base = options.key.as_deref().or(options.dataset.as_deref()).unwrap_or(stem(path));
    let count = points.series.len();
    let keyed: Vec<(String, Series)> = (points.series.into_iter())
        .map(|series| match (count, options.key.is_some()) {
            (1, true) => (base.to_owned(), series),
            _ => (format!("{base}/{}", series.name().unwrap_or("value")), series),
        })
        .collect();
    if let Some(key) = &options.key {
        check_keys(key, path, &keyed, backend, options)?;
    }
    let (mut all, mut stored) = (Vec::new(), Vec::new());
    for (at, ((key, series), column)) in keyed.into_iter().zip(&points.columns[1..]).enumerate() {
        let is_written = options.written.contains(&key);
        let overlap = match options.stored {
            Some(overlap) if options.is_append() => overlap,
            // Several files to one key are one series.
            _ if options.key.is_some() && is_written => Overlap::Refuse,
            Some(overlap) if !is_written => overlap,
            // The same file once more.
            None if !is_written && is_stored(backend, (&key, &series), column)? => {
                stored.push((at, (key, series)));
                continue;
            }
            _ if backend.exists(&key)? => {
                let hint = match is_written {
                    true => "an earlier file has the same name; ask for --append, or take a --key",
                    false => "ask for --append or --overwrite, or take another key",
                };
                let (what, location) = (format!("the series {key:?}"), backend.location());
                return Err(Error::Exists { what, location, hint });
            }
            _ => Overlap::Refuse,
        };
        let units = column.units.iter().map(|units| ("units".to_owned(), json!(units)));
        all.push((key, series, units.collect(), overlap));
    }
    check_interrupted("importing")?;
    let appended = append_points(backend, &all)?;
    let of = |key, series: Series, appended| ImportedSeries {
        key,
        values: type_name(series.values().data_type()),
        appended,
    };
    let mut imported: Vec<ImportedSeries> = (all.into_iter().zip(appended))
        .map(|((key, series, ..), appended)| of(key, series, appended))
        .collect();
    // In the order of their columns.
    for (at, (key, series)) in stored {
        let skipped = series.len() as u64;
        imported.insert(at, of(key, series, Appended { skipped, ..Appended::default() }));
    }
    Ok(imported)
}

/// Whether a store has these points under the key, and no others, of the same unit.
fn is_stored(
    backend: &dyn StorageBackend,
    (key, series): (&str, &Series),
    column: &PointsColumn,
) -> Result<bool> {
    let info = match backend.info(key) {
        Err(Error::NotFound { .. }) => return Ok(false),
        info => info?,
    };
    let units = info.metadata.get("units").and_then(|units| units.as_str());
    if info.length != series.len() as u64 || units != column.units.as_deref() {
        return Ok(false);
    }
    let Some(points) = info.fit(series)? else { return Ok(false) };
    let (own, _) = backend.load(key)?;
    Ok(own.index() == points.index() && own.values() == points.values())
}

/// Refuses a file of one column for a key under which there is a series a column, and a file of several for a key of one
/// series: those of another file of this import or, to append, of the store.
fn check_keys(
    key: &str,
    file: &Path,
    keyed: &[(String, Series)],
    backend: &dyn StorageBackend,
    options: &ImportPointsOptions,
) -> Result<()> {
    let below = format!("{key}/");
    let (mut own, mut columns) = (options.written.contains(key), Vec::new());
    columns.extend(options.written.iter().filter(|other| other.starts_with(&below)).cloned());
    if options.is_append() {
        own |= backend.exists(key)?;
        columns.extend(backend.list_keys(&below)?);
    }
    let (expected, got) = match keyed {
        [(_, series)] if !own && !columns.is_empty() => {
            let name = series.name().unwrap_or("value");
            let expected = format!(
                "the columns of the series below {key:?}, as {:?}: pass --key with the key of one of them",
                columns[0]
            );
            (expected, format!("one column {name:?}"))
        }
        [_, _, ..] if own && columns.is_empty() => {
            let expected = format!("one column for the series {key:?}: pass another --key");
            (expected, format!("{} columns", keyed.len()))
        }
        _ => return Ok(()),
    };
    Err(Error::invalid(file.display().to_string(), expected, got))
}

/// The name of a file without its endings: the key of its series.
fn stem(path: &Path) -> &str {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("points");
    let packed = path.extension().and_then(|e| e.to_str()).is_some_and(Packing::is_ending);
    let inner = if packed { stem.rsplit_once('.') } else { None };
    inner.map_or(stem, |(inner, _)| inner)
}

/// Whether a path is a table for [`read_points`](super::read_points), and not a dataset of meteaudata: a file that is no
/// zip and no SQLite database. A workbook is a zip that is one.
pub fn is_table(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    let mut begin = Vec::new();
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    if !path.is_file() || ["zip", "db", "sqlite", "sqlite3"].contains(&ending.as_str()) {
        return false;
    }
    if ["xlsx", "xlsm", "xlsb", "xls", "ods"].contains(&ending.as_str()) {
        return true;
    }
    // What cannot be read is told by whoever reads it.
    let _ = File::open(path).and_then(|file| file.take(16).read_to_end(&mut begin));
    !begin.starts_with(b"PK\x03\x04") && !begin.starts_with(b"SQLite format 3\0")
}

/// Whether a text begins as the files of loggers do that say what they are: TOA5 and HOBO.
pub(crate) fn is_logger(begin: &str) -> bool {
    let first = begin.trim_start_matches(['\u{feff}', '"']);
    first.starts_with("TOA5\"") || first.starts_with("TOA5,") || first.starts_with("Plot Title:")
}
