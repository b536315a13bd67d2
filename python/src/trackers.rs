//! Runs of other experiment trackers.

use std::path::PathBuf;

use pyo3::prelude::*;
use siltstone::experiment::trackers::{Options, import, inspect};
use siltstone::{Database, ImportKind, NewFile};

use crate::enter::Enter;
use crate::errors::to_py;

/// All kinds of imports, and what each reads.
#[pyfunction]
pub(crate) fn import_kinds() -> Vec<(&'static str, &'static str)> {
    ImportKind::all().map(|kind| (kind.name(), kind.summary())).collect()
}

/// A kind by its name.
#[pyfunction]
pub(crate) fn import_kind(name: &str) -> PyResult<&'static str> {
    Ok(name.parse::<ImportKind>().map_err(to_py)?.name())
}

/// The kind of a file or folder, by its content.
#[pyfunction]
pub(crate) fn import_detect(py: Python<'_>, source: PathBuf) -> PyResult<&'static str> {
    Ok(py.enter(|| ImportKind::detect(source))?.name())
}

/// Imports the runs of a tracker, or only reads them; the report as JSON.
#[pyfunction]
pub(crate) fn import_runs(
    py: Python<'_>,
    kind: &str,
    source: PathBuf,
    target: Option<PathBuf>,
    prefix: String,
    compact: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let options = Options::new(kind.parse().map_err(to_py)?).prefix(prefix).compact(compact);
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
