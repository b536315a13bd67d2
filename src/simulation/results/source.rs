//! The database beneath results, and what it does not hold itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::ResultsOptions;
use crate::error::{Error, Result};
use crate::kernel::Temporary;
use crate::simulation::database::SimulationDatabase;
use crate::simulation::initial::InitialData;
use crate::simulation::json::{
    Initial, InitialName, Schema, parse_initial, parse_initial_file_name,
};
use crate::simulation::state::Beginning;
use crate::simulation::timeline::Timeline;
use crate::simulation::update::EntityData;

#[derive(Debug)]
pub(super) struct Source {
    // Before the folder that it lies in: it is closed first.
    pub(super) db: SimulationDatabase,
    pub(super) schema: Schema,
    pub(super) timeline: Option<Timeline>,
    /// The schema in the database, which the state of its own initial data follows.
    own_schema: Schema,
    init_dir: Option<PathBuf>,
    /// Where the database lies if it was made of a folder of JSON, and that folder.
    temporary: Option<(Temporary, PathBuf)>,
}

/// Initial data of one dataset.
pub(super) enum Opening {
    /// Nothing says anything of it.
    None,
    /// Entities, with everything that stands beside them.
    Entities(Map<String, Value>, EntityData),
    /// Something else: time series, bytes.
    Other,
}

impl Source {
    pub(super) fn new(
        db: SimulationDatabase,
        options: ResultsOptions,
        temporary: Option<(Temporary, PathBuf)>,
    ) -> Result<Self> {
        let own_schema = db.schema()?;
        let timeline = match options.timeline {
            Some(timeline) => Some(timeline),
            None => db.run()?.timeline,
        };
        if let Some(folder) = &options.init_dir {
            std::fs::read_dir(folder).map_err(|e| Error::io(folder, "listing it", &e))?;
        }
        let given = options.schema;
        let schema = if given.specs().is_empty() { own_schema.clone() } else { given };
        let init_dir = options.init_dir;
        Ok(Source { db, schema, timeline, own_schema, init_dir, temporary })
    }

    /// The path that the user gave.
    pub(super) fn location(&self) -> &Path {
        match &self.temporary {
            Some((_, folder)) => folder,
            None => self.db.database().path(),
        }
    }

    /// The result, its error naming the folder that the user gave and not the temporary database.
    pub(super) fn named<T>(&self, result: Result<T>) -> Result<T> {
        let Some((_, folder)) = &self.temporary else { return result };
        let ours = self.db.database().path();
        let renamed = |location: String| {
            location.replace(&*ours.display().to_string(), &folder.display().to_string())
        };
        let moved = |path: PathBuf| if path == ours { folder.clone() } else { path };
        result.map_err(|error| match error {
            Error::NotFound { what, name, location } => {
                Error::NotFound { what, name, location: renamed(location) }
            }
            Error::Corrupt { location, what, why } => {
                Error::Corrupt { location: renamed(location), what, why }
            }
            Error::Io { path, action, kind, why } => {
                Error::Io { path: moved(path), action, kind, why }
            }
            Error::Sqlite { path, action, code, why } => {
                Error::Sqlite { path: moved(path), action, code, why }
            }
            Error::Closed { what, why } => Error::Closed { what: renamed(what), why },
            other => other,
        })
    }

    /// The folder of initial data, if the database has none of its own.
    fn outside(&self) -> Result<Option<&PathBuf>> {
        match &self.init_dir {
            Some(folder) if self.db.initial_datasets()?.is_empty() => Ok(Some(folder)),
            _ => Ok(None),
        }
    }

    pub(super) fn datasets(&self) -> Result<Vec<String>> {
        let mut names = match self.outside()? {
            Some(folder) => json_files(folder)?.into_iter().map(|(name, _)| name).collect(),
            None => self.db.initial_datasets()?,
        };
        let updated: BTreeSet<String> = self.db.datasets()?.into_iter().collect();
        let mut kept = Vec::new();
        for name in names.drain(..) {
            if updated.contains(&name) || matches!(self.opening(&name)?, Opening::Entities(..)) {
                kept.push(name);
            }
        }
        kept.extend(updated.into_iter().filter(|name| !kept.contains(name)).collect::<Vec<_>>());
        Ok(kept)
    }

    pub(super) fn opening(&self, dataset: &str) -> Result<Opening> {
        let data = match self.outside()? {
            Some(folder) => {
                // Looked for in the list: a dataset's name is no way out of the folder.
                let found = json_files(folder)?.into_iter().find(|(name, _)| name == dataset);
                let Some((_, path)) = found else { return Ok(Opening::None) };
                let text = crate::kernel::read_whole(&path, crate::Array::MAX_STORED_BYTES as u64)?;
                return parse(&text, dataset, &self.schema).map_err(|error| Error::Corrupt {
                    location: path.display().to_string(),
                    what: "the file".into(),
                    why: error.to_string(),
                });
            }
            None => self.db.initial_dataset(dataset)?,
        };
        match data {
            None => Ok(Opening::None),
            Some(InitialData::Json(text)) => parse(&text, dataset, &self.schema),
            Some(InitialData::Entities(data)) => Ok(Opening::Entities(Map::new(), data)),
            Some(InitialData::Binary(_)) => Ok(Opening::Other),
        }
    }

    /// Where the history of a group begins.
    pub(super) fn beginning(&self, dataset: &str, group: &str) -> Result<Beginning> {
        let is_outside = self.outside()?.is_some();
        if !is_outside && self.schema == self.own_schema {
            return Ok(Beginning::Stored);
        }
        let of_group = |data: EntityData| data.into_iter().find(|g| g.name == group);
        let given = match self.opening(dataset)? {
            Opening::Entities(_, data) => of_group(data),
            _ => None,
        };
        if !is_outside
            && let Some(InitialData::Json(text)) = self.db.initial_dataset(dataset)?
            && let Ok(Opening::Entities(_, data)) = parse(&text, dataset, &self.own_schema)
            && of_group(data) == given
        {
            // Both schemas say the same of it, and keyframes may be used.
            return Ok(Beginning::Stored);
        }
        Ok(Beginning::Given(given))
    }
}

fn parse(text: &[u8], dataset: &str, schema: &Schema) -> Result<Opening> {
    Ok(match parse_initial(text, dataset, schema)? {
        Initial::Entities(initial) => Opening::Entities(initial.metadata, initial.data),
        Initial::Unstructured { .. } => Opening::Other,
    })
}

/// The datasets of a folder's JSON files and the files, in the order of the names' bytes.
fn json_files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let unlisted = |e: std::io::Error| Error::io(folder, "listing it", &e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unlisted)? {
        let path = entry.map_err(unlisted)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(InitialName { dataset, is_json: true }) = name.map(parse_initial_file_name) {
            files.push((dataset, path));
        }
    }
    files.sort();
    Ok(files)
}
