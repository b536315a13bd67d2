//! What one data collector is reported.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::filter::GatherFilter;
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::simulation::state::Tolerance;

/// The name of the database in a storage folder.
const DATABASE_NAME: &str = "simulation_results.db";

/// What one [`DataCollector`](super::DataCollector) is reported.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CollectorConfig {
    /// Which part of the updates is collected.
    pub gather_filter: GatherFilter,
    /// One update a timestamp and dataset instead of each as it comes.
    pub aggregate_updates: bool,
    /// The storage strategy; before that of the settings.
    pub storage: Option<String>,
    /// The folder that results go to; before that of the settings.
    pub storage_dir: Option<PathBuf>,
    /// The database file; before every folder.
    pub database_path: Option<PathBuf>,
    /// Floats that are this near to the stored value count as unchanged. Without it every change of
    /// a bit is stored.
    pub tolerance: Option<Tolerance>,
    /// Goes on in results that are there.
    pub append: bool,
    /// Removes the results that are there: updates and initial data, and no other file.
    pub overwrite: bool,
    /// Writes update files into a folder that holds other things too.
    pub allow_foreign: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Documented {
    #[serde(rename = "name", default)]
    _name: Value,
    #[serde(rename = "type", default)]
    _type: Value,
    #[serde(default)]
    gather_filter: Value,
    aggregate_updates: Option<bool>,
    storage: Option<String>,
    storage_dir: Option<PathBuf>,
    database_path: Option<PathBuf>,
    tolerance: Option<Tolerance>,
    append: Option<bool>,
    overwrite: Option<bool>,
    allow_foreign: Option<bool>,
}

impl CollectorConfig {
    /// Reads the documented JSON object; our own keys are `tolerance` (`{"relative": 0.0,
    /// "absolute": 0.0}`), `append`, `overwrite` and `allow_foreign`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown key or a value of another kind.
    pub fn parse(config: &Value) -> Result<Self> {
        let refuse = |got: String| {
            let expected = "an object with gather_filter, aggregate_updates, storage, storage_dir, \
                database_path, tolerance, append, overwrite, allow_foreign";
            Error::invalid("data_collector config", expected, got)
        };
        let config = match config {
            Value::Null => Documented::deserialize(&Value::Object(Default::default())),
            config => Documented::deserialize(config),
        };
        let config = config.map_err(|e| refuse(e.to_string()))?;
        let config = CollectorConfig {
            gather_filter: GatherFilter::parse(&config.gather_filter)?,
            aggregate_updates: config.aggregate_updates.unwrap_or(false),
            storage: config.storage,
            storage_dir: config.storage_dir,
            database_path: config.database_path,
            tolerance: config.tolerance,
            append: config.append.unwrap_or(false),
            overwrite: config.overwrite.unwrap_or(false),
            allow_foreign: config.allow_foreign.unwrap_or(false),
        };
        config.check()?;
        Ok(config)
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.append && self.overwrite {
            let got = "both";
            return Err(Error::invalid("data_collector config", "append or overwrite", got));
        }
        match self.tolerance {
            Some(Tolerance { relative, absolute }) if !(relative >= 0.0 && absolute >= 0.0) => {
                let got = format!("relative {relative}, absolute {absolute}");
                Err(Error::invalid("tolerance", "numbers of at least 0", got))
            }
            _ => Ok(()),
        }
    }

    /// The name of the strategy: the config's, or `sqlite` for a database path, or the settings'.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a database path is given to a strategy of files.
    pub fn strategy_name(&self, settings: &Settings) -> Result<String> {
        let is_file = |name: &str| matches!(name, "file" | "disk");
        let of_settings = settings.storage.as_deref().unwrap_or("file");
        match (self.storage.as_deref(), &self.database_path) {
            (Some(name), Some(path)) if is_file(name) => {
                let got = format!("database_path {path:?} with storage {name:?}");
                Err(Error::invalid("data_collector config", "storage sqlite for a database", got))
            }
            (Some(name), _) => Ok(name.to_owned()),
            // Who names a database wants one.
            (None, Some(_)) if is_file(of_settings) => Ok("sqlite".to_owned()),
            (None, _) => Ok(of_settings.to_owned()),
        }
    }

    /// The database file: `database_path`, or `simulation_results.db` in the `storage_dir` of the
    /// config or of the settings.
    ///
    /// # Errors
    /// [`Error::Invalid`] if none of them is given.
    pub fn database_file(&self, settings: &Settings) -> Result<PathBuf> {
        match &self.database_path {
            Some(path) => Ok(path.clone()),
            None => Ok(self
                .storage_folder(settings, "database_path or storage_dir")?
                .join(DATABASE_NAME)),
        }
    }

    /// The folder of update files: the `storage_dir` of the config or of the settings.
    ///
    /// # Errors
    /// [`Error::Invalid`] if neither is given.
    pub fn update_folder(&self, settings: &Settings) -> Result<PathBuf> {
        self.storage_folder(settings, "storage_dir")
    }

    fn storage_folder(&self, settings: &Settings, wanted: &str) -> Result<PathBuf> {
        let folder = self.storage_dir.as_ref().or(settings.storage_dir.as_ref());
        folder.cloned().ok_or_else(|| {
            let expected = format!("{wanted} in the config, or storage_dir in the settings");
            Error::invalid("data_collector", expected, "none of them")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(value: Value) -> CollectorConfig {
        CollectorConfig::parse(&value).unwrap()
    }

    /// Goal: the documented keys are read, name and type passed over, and any other refused.
    #[test]
    fn documented_keys_only() {
        let all = config(json!({
            "name": "dc", "type": "data_collector", "gather_filter": "*", "aggregate_updates": true,
            "storage": "sqlite", "storage_dir": "a", "database_path": "b.db",
            "tolerance": {"rtol": 1e-5, "absolute": 1e-8}
        }));
        assert!(all.aggregate_updates && all.gather_filter == GatherFilter::All);
        assert_eq!(all.tolerance, Some(Tolerance { relative: 1e-5, absolute: 1e-8 }));
        assert_eq!(config(json!({})), CollectorConfig::default());
        assert_eq!(config(json!(null)), CollectorConfig::default());
        for wrong in [
            json!({"gatherfilter": "*"}),
            json!({"aggregate_updates": "yes"}),
            json!({"append": true, "overwrite": true}),
            json!({"tolerance": {"relative": -1.0}}),
            json!([]),
        ] {
            let error = CollectorConfig::parse(&wrong).unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{error}");
        }
    }

    /// Goal: database_path goes before the config's storage_dir, and that before the settings'.
    #[test]
    fn the_documented_priority_holds() {
        let mut settings = Settings { storage_dir: Some("s".into()), ..Settings::default() };
        let file = |value, settings: &Settings| config(value).database_file(settings).unwrap();
        let both = json!({"database_path": "x/y.db", "storage_dir": "c"});
        assert_eq!(file(both, &settings), PathBuf::from("x/y.db"));
        let folder = json!({"storage_dir": "c"});
        assert_eq!(file(folder, &settings), PathBuf::from("c/simulation_results.db"));
        assert_eq!(file(json!({}), &settings), PathBuf::from("s/simulation_results.db"));
        assert!(config(json!({})).database_file(&Settings::default()).is_err());

        let name = |value, settings: &Settings| config(value).strategy_name(settings);
        assert_eq!(name(json!({}), &settings).unwrap(), "file");
        assert_eq!(name(json!({"database_path": "x"}), &settings).unwrap(), "sqlite");
        assert_eq!(name(json!({"storage": "sqlite"}), &settings).unwrap(), "sqlite");
        assert!(name(json!({"storage": "file", "database_path": "x"}), &settings).is_err());
        settings.storage = Some("own".into());
        assert_eq!(name(json!({"database_path": "x"}), &settings).unwrap(), "own");
    }
}
