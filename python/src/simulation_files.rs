//! Files of other simulators into a database.

use std::path::PathBuf;

use pyo3::prelude::*;
use siltstone::simulation::{
    FileFormat, FileOptions, Layout, OnRepeat, Options, StatesOptions, import_file,
};
use siltstone::{Error, Profile, Result};

use crate::database::into_file;
use crate::enter::Enter;
use crate::errors::to_py;

/// Time, id, attribute of a wide table, group, columns, what is missing, separator, decimal mark and that of thousands.
type States = (
    String,
    Option<String>,
    Option<String>,
    String,
    Vec<String>,
    Option<String>,
    [Option<char>; 3],
);

fn states_options(words: States) -> Result<StatesOptions> {
    let (time, id, wide, group, columns, missing, [separator, decimal, thousands]) = words;
    let layout = match (id, wide) {
        (Some(id), None) => Layout::Long(id),
        (None, Some(attribute)) => Layout::Wide(attribute),
        (id, _) => {
            let got = if id.is_some() { "both" } else { "neither" };
            let (what, expected) = ("id and wide".into(), "one of them".into());
            return Err(Error::Invalid { what, expected, got: got.into() });
        }
    };
    let missing = missing.map(|missing| missing.parse()).transpose()?;
    Ok(StatesOptions { time, layout, group, columns, missing, separator, decimal, thousands })
}

fn format_of((kind, states): (String, Option<States>)) -> Result<FileFormat> {
    Ok(match (&*kind, states) {
        ("states", Some(states)) => FileFormat::States(states_options(states)?),
        ("sumo", None) => FileFormat::Sumo,
        ("epanet", None) => FileFormat::Epanet,
        _ => {
            let (what, expected) = ("format".into(), "states, sumo or epanet".into());
            return Err(Error::Invalid { what, expected, got: kind });
        }
    })
}

/// Imports a file; the report as JSON text.
#[pyfunction]
pub(crate) fn simulation_import(
    py: Python<'_>,
    paths: (PathBuf, Option<PathBuf>),
    format: (String, Option<States>),
    updates: (String, i64, bool),
    time_unit: Option<f64>,
    durability: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let (source, target) = paths;
    let format = format_of(format).map_err(to_py)?;
    let (dataset, iteration, finished) = updates;
    let options = FileOptions { format, dataset, iteration, time_unit, finished };
    let durability = durability.parse().map_err(to_py)?;
    py.enter_long("importing", |signals| {
        let how = Options {
            durability,
            profile: Profile::Throughput,
            on_repeat: OnRepeat::Replace, // of a file that grows: the last update
            ..Options::default()
        };
        let report = &mut |done, all| signals.report(progress.as_ref(), done, all);
        let report = match target {
            None => import_file(None, &source, &options, report)?,
            Some(target) => into_file(&target, how, |db| {
                let imported = import_file(Some(db), &source, &options, report)?;
                if !imported.ends_early {
                    db.build_keyframes()?;
                    db.mark_ended(None)?;
                }
                Ok(imported)
            })?,
        };
        serde_json::to_string(&report).map_err(|error| Error::Invalid {
            what: "the report".into(),
            expected: "names that are UTF-8".into(),
            got: error.to_string(),
        })
    })
}
