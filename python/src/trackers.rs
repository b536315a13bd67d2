//! Runs of other experiment trackers.

use std::path::PathBuf;

use pyo3::prelude::*;
use siltstone::experiment::trackers::{Kind, Options, import, inspect};
use siltstone::{Database, NewFile};

use crate::enter::Enter;
use crate::errors::to_py;

/// The kinds that [`import_runs`] takes.
#[pyfunction]
pub(crate) fn import_kinds() -> Vec<(&'static str, &'static str)> {
    Kind::ALL.map(|kind| (kind.name(), kind.summary())).to_vec()
}

/// Imports the runs of a tracker, or only reads them; the report as JSON.
#[pyfunction]
pub(crate) fn import_runs(
    py: Python<'_>,
    kind: &str,
    source: PathBuf,
    target: Option<PathBuf>,
    prefix: String,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let options = Options::new(kind.parse().map_err(to_py)?).prefix(prefix);
    let report = py.enter_long("importing", |signals| {
        let made = target.as_ref().map(NewFile::at);
        let imported = (|| {
            let target = target.map(|path| Database::builder(path).open()).transpose()?;
            let report = &mut |done, all| signals.report(progress.as_ref(), done, all);
            match target {
                Some(target) => import(&source, &target, &options, report),
                None => inspect(&source, &options, report),
            }
        })();
        if let Some(made) = made {
            made.remove_if_empty(&["simulations"]);
        }
        imported
    })?;
    Ok(serde_json::to_string(&report).expect("a report is JSON"))
}
