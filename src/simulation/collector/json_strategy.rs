//! A folder of update files.

use std::fs;
use std::path::{Path, PathBuf};

use super::config::CollectorConfig;
use super::settings::Settings;
use super::strategy::StorageStrategy;
use crate::error::{Error, Result};
use crate::kernel::{Durability, create_folder, is_temporary, remove_leftovers, write_atomically};
use crate::simulation::json::{Schema, dump_update, file_name, parse_file_name};
use crate::simulation::update::Update;

/// Writes `t<timestamp>_<iteration>_<dataset>.json` files, each whole or not at all.
///
/// What is not an update file is never removed, and a folder that holds other things is refused unless
/// [`CollectorConfig::allow_foreign`] is set.
#[derive(Debug)]
pub struct JsonStrategy {
    folder: PathBuf,
    schema: Schema,
    durable: bool,
    append: bool,
    overwrite: bool,
    allow_foreign: bool,
}

impl JsonStrategy {
    /// The strategy for a config and settings.
    ///
    /// # Errors
    /// [`Error::Invalid`] if neither names a folder.
    pub fn choose(config: &CollectorConfig, settings: &Settings) -> Result<Self> {
        Ok(JsonStrategy {
            folder: config.update_folder(settings)?,
            schema: settings.schema.clone(),
            durable: settings.durability == Durability::Disk,
            append: config.append,
            overwrite: config.overwrite,
            allow_foreign: config.allow_foreign,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The update files in the folder, and the first other thing.
    fn list(&self) -> Result<(Vec<PathBuf>, Option<String>)> {
        let unlisted = |e: std::io::Error| Error::io(&self.folder, "listing it", &e);
        let (mut updates, mut foreign) = (Vec::new(), None);
        for entry in fs::read_dir(&self.folder).map_err(unlisted)? {
            let entry = entry.map_err(unlisted)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && parse_file_name(&name).is_some() {
                updates.push(entry.path());
            } else if !is_temporary(&name) {
                foreign.get_or_insert(name);
            }
        }
        Ok((updates, foreign))
    }
}

impl StorageStrategy for JsonStrategy {
    fn initialize(&self) -> Result<()> {
        let folder = &self.folder;
        create_folder(folder, self.durable)?;
        remove_leftovers(folder);
        let (updates, foreign) = self.list()?;
        if let Some(name) = foreign.filter(|_| !self.allow_foreign) {
            return Err(Error::NotOurs {
                path: folder.join(name),
                why: "it is no update, and results go to a folder of their own \
                    (allow_foreign lets them share one)"
                    .into(),
            });
        }
        if self.overwrite {
            for path in updates {
                fs::remove_file(&path).map_err(|e| Error::io(&path, "removing it", &e))?;
            }
        } else if !self.append && !updates.is_empty() {
            return Err(Error::Exists {
                what: format!("a run of {} update files", updates.len()),
                location: folder.display().to_string(),
                hint: "ask for append or overwrite, or name another folder",
            });
        }
        Ok(())
    }

    fn store(&self, update: Update) -> Result<()> {
        let bytes = dump_update(&update.dataset, &update.data, &self.schema)?;
        let path =
            self.folder.join(file_name(update.timestamp, update.iteration, &update.dataset)?);
        if path.exists() {
            return Err(Error::Exists {
                what: format!("the update {}", path.file_name().unwrap_or_default().display()),
                location: self.folder.display().to_string(),
                hint: "give it another iteration",
            });
        }
        write_atomically(&path, &bytes, self.durable)
    }

    fn close(&self, _failure: Option<&Error>) -> Result<()> {
        Ok(()) // each file is whole already
    }
}
