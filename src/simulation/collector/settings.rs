//! What holds for a whole simulation.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::kernel::Durability;
use crate::simulation::json::Schema;
use crate::simulation::timeline::Timeline;

/// What holds for a whole simulation, under the documented names.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The storage strategy: `file` (or `disk`, its old name), `sqlite`, or a registered one. `None`
    /// is `file`.
    pub storage: Option<String>,
    /// The folder that results go to.
    pub storage_dir: Option<PathBuf>,
    /// The folder of initial data. `None` is the working directory, from which only the `datasets`
    /// that are named are taken; of a folder that is named, all `*.json`.
    pub data_dir: Option<PathBuf>,
    /// The datasets of the run. Their initial data, where there are any, are kept with the results.
    pub datasets: Vec<String>,
    /// Attribute types and enumerations.
    pub schema: Schema,
    /// What timestamps mean in calendar time, and where they start.
    pub timeline: Option<Timeline>,
    /// The last timestamp of a [`Simulation`](super::Simulation); without it, it runs until no model
    /// asks for another time.
    pub end_time: Option<i64>,
    /// What a stored update survives.
    pub durability: Durability,
}

impl Settings {
    /// The settings that the environment gives: `siltstone_storage`, `siltstone_storage_dir`,
    /// `siltstone_data_dir`, `siltstone_durability`, `siltstone_datasets` (names with commas
    /// between), in small letters or capitals.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown durability, and for a value that is no text.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.into_string()))
        }))
    }

    fn from_variables(
        variables: impl Iterator<Item = (String, std::result::Result<String, std::ffi::OsString>)>,
    ) -> Result<Self> {
        let mut settings = Settings::default();
        for (name, value) in variables {
            let lower = name.to_lowercase();
            let Some(setting) = lower.strip_prefix("siltstone_") else { continue };
            if !matches!(
                setting,
                "storage" | "storage_dir" | "data_dir" | "durability" | "datasets"
            ) {
                continue; // the prefix is not ours alone
            }
            let text =
                value.map_err(|raw| Error::invalid(&name, "some text", format!("{raw:?}")))?;
            match setting {
                "storage" => settings.storage = Some(text),
                "storage_dir" => settings.storage_dir = Some(text.into()),
                "data_dir" => settings.data_dir = Some(text.into()),
                "durability" => settings.durability = text.parse()?,
                _ => {
                    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                    settings.datasets = names.map(str::to_owned).collect();
                }
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the environment says what the documented names say, and other names are left alone.
    #[test]
    fn the_environment_is_read() {
        let read = |pairs: &[(&str, &str)]| {
            let owned =
                |(name, value): &(&str, &str)| ((*name).to_owned(), Ok((*value).to_owned()));
            Settings::from_variables(pairs.iter().map(owned))
        };
        let settings = read(&[
            ("SILTSTONE_STORAGE", "sqlite"),
            ("siltstone_storage_dir", "./results"),
            ("SILTSTONE_DATASETS", "a, b,"),
            ("SILTSTONE_DURABILITY", "disk"),
            ("SILTSTONE_SHARED", "elsewhere"),
            ("PATH", "/bin"),
        ])
        .unwrap();
        assert_eq!(settings.storage.as_deref(), Some("sqlite"));
        assert_eq!(settings.storage_dir, Some(PathBuf::from("./results")));
        assert_eq!((settings.datasets, settings.data_dir), (vec!["a".into(), "b".into()], None));
        assert_eq!(settings.durability, Durability::Disk);
        assert!(read(&[("SILTSTONE_DURABILITY", "maybe")]).is_err());
    }
}
