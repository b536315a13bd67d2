//! Recorded runs as they are looked at afterwards, whatever they were recorded in.
//!
//! A database is read as it is; folders of JSON are imported into a temporary database first, so
//! that one engine answers all questions. It lies in the system's temporary folder, is removed with
//! the results, and, if the process was killed, by the next one that opens a folder of JSON.

mod dataset;
mod detect;
mod pattern;
mod source;
mod time;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use dataset::{AttributeInfo, EntityKey, KeyValue, ResultDataset};
pub use detect::{Format, detect_format};
pub use pattern::FilePattern;
pub use time::Time;

use self::source::Source;
use super::database::SimulationDatabase;
use super::import::{ImportOptions, InitialFiles, import_files};
use super::json::Schema;
use super::timeline::Timeline;
use crate::error::{Error, Result};
use crate::kernel::Temporary;

/// What a recorded run does not say itself.
#[derive(Debug, Clone, Default)]
pub struct ResultsOptions {
    /// Folder of `<dataset>.json` files: the initial state, if a database holds none.
    pub init_dir: Option<PathBuf>,
    /// Attribute types and enumerations. Without them the database's own are taken, or else types
    /// are inferred.
    pub schema: Schema,
    /// What timestamps mean in calendar time; without it the database's own is taken.
    pub timeline: Option<Timeline>,
    /// The names of update files, if they are not the documented ones.
    pub update_pattern: Option<FilePattern>,
}

/// Read access to a recorded run. Clones share everything.
#[derive(Debug, Clone)]
pub struct Results {
    source: Arc<Source>,
    format: Format,
}

impl Results {
    /// Opens a database, ours or one of movici, for reading. A run that is still
    /// being recorded may be looked at: each call sees what is there then.
    ///
    /// # Errors
    /// As [`SimulationDatabase::open_read_only`].
    pub fn open(path: impl AsRef<Path>, options: ResultsOptions) -> Result<Self> {
        Self::over(SimulationDatabase::open_read_only(path)?, options)
    }

    /// Reads the run of a database that is open.
    ///
    /// # Errors
    /// As [`SimulationDatabase::schema`]; [`Error::Io`] if `options.init_dir` cannot be listed.
    pub fn over(db: SimulationDatabase, options: ResultsOptions) -> Result<Self> {
        Self::assembled(db, options, Format::Sqlite, None)
    }

    /// Opens a folder of update files, with the initial data of `options.init_dir`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] naming the first malformed file; [`Error::Io`] if a folder cannot be
    /// listed or the temporary database not be written.
    pub fn open_json(updates_dir: impl AsRef<Path>, options: ResultsOptions) -> Result<Self> {
        let updates_dir = updates_dir.as_ref();
        let folder = Temporary::private_folder()?.emptied();
        let db = SimulationDatabase::open(folder.path().join("results.db"))?;
        let report = import_files(
            Some(&db),
            &ImportOptions {
                init_dir: options.init_dir.clone(),
                updates_dir: Some(updates_dir.to_owned()),
                schema: options.schema.clone(),
                update_pattern: options.update_pattern.clone(),
                ..ImportOptions::default()
            },
            InitialFiles::OnlyJson,
            &mut |_, _| Ok(()),
        )?;
        let skipped = report.skipped.iter().map(|file| (&file.path, file.reason.clone()));
        let conflicts = report.conflicts.iter();
        let conflicts =
            conflicts.map(|twice| (&twice.source, format!("{}: {}", twice.what, twice.why)));
        let mut wrong = skipped.chain(conflicts);
        if let Some((path, why)) = wrong.next() {
            return Err(Error::Corrupt {
                location: path.display().to_string(),
                what: match wrong.count() {
                    0 => "the file".into(),
                    more => format!("the file (and {more} more)"),
                },
                why,
            });
        }
        Self::assembled(db, options, Format::Json, Some((folder, updates_dir.to_owned())))
    }

    /// Opens what a path is: a database, a folder that holds one, or a folder of update files.
    ///
    /// # Errors
    /// As [`detect_format`], [`open`](Self::open) and [`open_json`](Self::open_json).
    pub fn detect(path: impl AsRef<Path>, options: ResultsOptions) -> Result<Self> {
        let path = path.as_ref();
        match detect::find(path)? {
            detect::Found::Database(path) => Self::open(path, options),
            detect::Found::Updates => Self::open_json(path, options),
        }
    }

    fn assembled(
        db: SimulationDatabase,
        options: ResultsOptions,
        format: Format,
        temporary: Option<(Temporary, PathBuf)>,
    ) -> Result<Self> {
        let source = Arc::new(Source::new(db, options, temporary)?);
        Ok(Results { source, format })
    }

    /// What the run was recorded in.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The database beneath; for folders of JSON a temporary one.
    pub fn database(&self) -> &SimulationDatabase {
        &self.source.db
    }

    /// What timestamps mean in calendar time.
    pub fn timeline(&self) -> Option<&Timeline> {
        self.source.timeline.as_ref()
    }

    /// The attribute types and enumerations in use.
    pub fn schema(&self) -> &Schema {
        &self.source.schema
    }

    /// Whether the initial state is the database's own and not that of `init_dir`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn has_own_initial_data(&self) -> Result<bool> {
        Ok(!self.source.db.initial_datasets()?.is_empty())
    }

    /// The datasets of entities: those with initial data, then those that only have updates.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn datasets(&self) -> Result<Vec<String>> {
        self.source.named(self.source.datasets())
    }

    /// The timestamps at which a dataset has updates, rising; none for an unknown name.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn timestamps(&self, dataset: &str) -> Result<Vec<i64>> {
        self.source.named(self.source.db.timestamps(dataset))
    }

    /// One dataset.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown name; [`Error::Invalid`] for initial data that are no
    /// entities (a table of time series) and have no updates.
    pub fn dataset(&self, name: &str) -> Result<ResultDataset> {
        ResultDataset::open(self.source.clone(), name)
    }

    /// Lets the run go; what was imported for it is removed with the last clone and dataset.
    pub fn close(self) {}
}
