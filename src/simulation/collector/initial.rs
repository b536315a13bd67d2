//! The initial data that travel with a run.

use std::path::{Path, PathBuf};

use super::settings::Settings;
use crate::error::{Error, Result};
use crate::simulation::initial::InitialData;
use crate::simulation::json::{Initial, parse_initial};

/// One file of initial data.
pub(super) struct InitialFile {
    pub(super) name: String,
    pub(super) data: InitialData,
    /// The state before the first update, if the file is one of entities.
    pub(super) parsed: Option<Initial>,
}

/// The initial data of the datasets that the settings name, or, if they name none, all `*.json` of a
/// data folder that they name.
///
/// # Errors
/// [`Error::Corrupt`] naming a file that is not what its ending says; [`Error::Io`] for a folder that
/// is not there.
pub(super) fn load(settings: &Settings) -> Result<Vec<InitialFile>> {
    let Some(folder) = folder(settings) else { return Ok(Vec::new()) };
    let paths = list(folder)?;
    let mut chosen: Vec<(String, &PathBuf)> = Vec::new();
    if settings.datasets.is_empty() {
        let json = paths.iter().filter(|path| path.extension().is_some_and(|e| e == "json"));
        chosen.extend(json.map(|path| (stem(path), path)));
    }
    for name in &settings.datasets {
        let is = |path: &&PathBuf, wanted: &str| path.file_name().is_some_and(|n| n == wanted);
        let json = format!("{name}.json");
        let found = paths
            .iter()
            .find(|path| is(path, &json))
            .or_else(|| paths.iter().find(|path| is(path, name)))
            .or_else(|| paths.iter().find(|path| stem(path) == *name));
        // A dataset may have no initial data: a model makes it.
        chosen.extend(found.map(|path| (name.clone(), path)));
    }
    chosen.into_iter().map(|(name, path)| read(settings, name, path)).collect()
}

/// Where initial data are looked for, if they are wanted.
fn folder(settings: &Settings) -> Option<&Path> {
    match &settings.data_dir {
        // The working directory holds anybody's files: nothing is taken from it by default.
        None if settings.datasets.is_empty() => None,
        None => Some(Path::new(".")),
        Some(folder) => Some(folder),
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let unlisted = |e: std::io::Error| Error::io(folder, "listing it", &e);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unlisted)? {
        let path = entry.map_err(unlisted)?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(settings: &Settings, name: String, path: &Path) -> Result<InitialFile> {
    let bytes = crate::kernel::read_whole(path, crate::Array::MAX_STORED_BYTES as u64)?;
    if path.extension().is_none_or(|ending| ending != "json") {
        return Ok(InitialFile { name, data: InitialData::Binary(bytes), parsed: None });
    }
    let parsed =
        parse_initial(&bytes, &name, &settings.schema).map_err(|error| Error::Corrupt {
            location: path.display().to_string(),
            what: "the file of initial data".into(),
            why: error.to_string(),
        })?;
    Ok(InitialFile { name, data: InitialData::Json(bytes), parsed: Some(parsed) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the working directory is only looked at for datasets that are named.
    #[test]
    fn nothing_is_taken_without_a_request() {
        let default = Settings::default();
        assert_eq!(folder(&default), None);
        let named = Settings { datasets: vec!["net".into()], ..Settings::default() };
        assert_eq!(folder(&named), Some(Path::new(".")));
        let given = Settings { data_dir: Some("data".into()), ..Settings::default() };
        assert_eq!(folder(&given), Some(Path::new("data")));
    }
}
