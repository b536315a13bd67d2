//! Simulations of the experiment store beside each other, and from file to file.

use std::path::PathBuf;

use pyo3::prelude::*;
use siltstone::experiment::{self, SimulationOptions, Which, import, inspect, merge};
use siltstone::{Database, Error, NewFile};

use crate::enter::Enter;
use crate::errors::{invalid, to_py};
use crate::experiment_database::ExperimentDatabase;
use crate::experiment_logger::DataLogger;
use crate::record_cells::to_json_of_run;

/// Ids, a filter, or nothing for all.
#[derive(FromPyObject, Clone)]
pub(crate) enum Chosen {
    Filter(String),
    Ids(Vec<String>),
}

/// Runs `work` with what was chosen.
pub(crate) fn which<T>(chosen: Option<&Chosen>, work: impl FnOnce(Which<'_>) -> T) -> T {
    match chosen {
        None => work(Which::All),
        Some(Chosen::Filter(filter)) => work(Which::Filter(filter)),
        Some(Chosen::Ids(ids)) => {
            work(Which::Ids(&ids.iter().map(String::as_str).collect::<Vec<_>>()))
        }
    }
}

/// A report as JSON text; Python makes objects of it.
pub(crate) fn json(report: &impl serde::Serialize) -> siltstone::Result<String> {
    serde_json::to_string(report).map_err(|error| Error::Invalid {
        what: "the report".into(),
        expected: "names that are UTF-8".into(),
        got: error.to_string(),
    })
}

/// Copies the simulations of files into one; a report as JSON.
#[pyfunction]
pub(crate) fn experiment_merge(
    py: Python<'_>,
    sources: Vec<PathBuf>,
    target: PathBuf,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    py.enter_long("merging", |signals| {
        json(&merge(&sources, &target, &mut |done, all| {
            signals.report(progress.as_ref(), done, all)
        })?)
    })
}

/// Imports databases of AgentFarm, or only reads them; a report each, as JSON.
#[pyfunction]
pub(crate) fn experiment_import(
    py: Python<'_>,
    sources: Vec<PathBuf>,
    target: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    py.enter_long("importing", |signals| {
        let made = target.as_ref().map(NewFile::at);
        let imported: siltstone::Result<_> = (|| {
            let target = target.map(|path| Database::builder(path).open()).transpose()?;
            let (mut reports, all) = (Vec::new(), sources.len() as u64);
            for (source, done) in sources.iter().zip(0..) {
                signals.report(progress.as_ref(), done, all)?;
                reports.push(match &target {
                    Some(target) => import(source, target)?,
                    None => inspect(source)?,
                });
            }
            signals.report(progress.as_ref(), all, all)?;
            Ok(reports)
        })();
        if let Some(made) = made {
            made.remove_if_empty(&["simulations"]);
        }
        json(&imported?)
    })
}

/// A simulation that is in memory until it is kept.
#[pyclass(frozen, weakref, module = "siltstone._siltstone")]
pub(crate) struct InMemorySimulation {
    inner: experiment::InMemorySimulationDatabase,
}

#[pymethods]
impl InMemorySimulation {
    #[new]
    fn new(
        py: Python<'_>,
        simulation_id: &str,
        limit: Option<usize>,
        parameters: Option<&Bound<'_, PyAny>>,
        facts: &str,
    ) -> PyResult<Self> {
        let facts = serde_json::from_str(facts)
            .map_err(|error| invalid("facts", "a JSON object", error.to_string()))?;
        let mut options = SimulationOptions::default().facts(facts);
        if let Some(parameters) = parameters {
            options = options
                .parameters_json(&to_json_of_run("parameters", parameters)?)
                .map_err(to_py)?;
        }
        let inner = py
            .enter(|| experiment::InMemorySimulationDatabase::new(simulation_id, limit, options))?;
        Ok(InMemorySimulation { inner })
    }

    fn logger(&self) -> DataLogger {
        DataLogger::new(self.inner.context().clone())
    }

    fn database(&self) -> ExperimentDatabase {
        ExperimentDatabase::over(self.inner.context().database())
    }

    fn memory(&self) -> (usize, usize) {
        self.inner.memory()
    }

    fn persist_to_disk(
        &self,
        py: Python<'_>,
        path: PathBuf,
        experiment_id: Option<&str>,
    ) -> PyResult<String> {
        py.detach(|| {
            experiment_id.map_or(Ok(()), |id| self.inner.join_experiment(id))?;
            self.inner.persist_to_disk(&path).and_then(|report| json(&report))
        })
        .map_err(to_py)
    }
}
