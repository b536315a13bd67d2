//! Recording a run while it goes on. Strategies and models may be Python's own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use siltstone::Error;
use siltstone::simulation::json::Schema;
use siltstone::simulation::{
    CollectorConfig, DataCollector as Inner, JsonStrategy, Settings as InnerSettings,
    SqliteStrategy, StorageStrategy, Timeline, Update,
};

use crate::arrays_in::to_integer;
use crate::arrays_out::Out;
use crate::enter::Enter;
use crate::entities::{groups_to_dict, to_entities, update_of};
use crate::errors::{invalid, to_py};

/// Settings as Python hands them over: an object with these attributes.
#[derive(FromPyObject)]
pub(crate) struct Settings {
    storage: Option<String>,
    storage_dir: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    datasets: Vec<String>,
    schema: Option<Vec<u8>>,
    timeline: Option<(f64, f64, i64)>,
    end_time: Option<i64>,
    durability: String,
}

impl Settings {
    pub(crate) fn read(self) -> PyResult<InnerSettings> {
        let schema = self.schema.as_deref().map(Schema::parse).transpose().map_err(to_py)?;
        Ok(InnerSettings {
            storage: self.storage,
            storage_dir: self.storage_dir,
            data_dir: self.data_dir,
            datasets: self.datasets,
            schema: schema.unwrap_or_default(),
            timeline: self.timeline.map(|(reference, time_scale, start_time)| Timeline {
                reference,
                time_scale,
                start_time,
            }),
            end_time: self.end_time,
            durability: self.durability.parse().map_err(to_py)?,
        })
    }
}

/// A config as Python hands it over: JSON text.
pub(crate) fn read_config(json: &str) -> PyResult<CollectorConfig> {
    let value = serde_json::from_str(json)
        .map_err(|e| invalid("data_collector config", "a JSON text", e.to_string()))?;
    CollectorConfig::parse(&value).map_err(to_py)
}

/// The name of the strategy that config and settings ask for.
#[pyfunction]
pub(crate) fn strategy_name(config: &str, settings: Settings) -> PyResult<String> {
    read_config(config)?.strategy_name(&settings.read()?).map_err(to_py)
}

/// Settings of the environment: storage, storage_dir, data_dir, datasets, durability.
#[pyfunction]
#[expect(clippy::type_complexity, reason = "a plain tuple for Python")]
pub(crate) fn settings_from_env()
-> PyResult<(Option<String>, Option<PathBuf>, Option<PathBuf>, Vec<String>, &'static str)> {
    let s = InnerSettings::from_env().map_err(to_py)?;
    let durability = crate::database::durability_name(s.durability);
    Ok((s.storage, s.storage_dir, s.data_dir, s.datasets, durability))
}

/// What Python's own code raised while Rust called it, in order.
#[derive(Clone, Default)]
pub(crate) struct Raised(Arc<Mutex<Vec<PyErr>>>);

impl Raised {
    /// Calls Python; what it raises is kept, and Rust gets an error with its text.
    pub(crate) fn call<T>(
        &self,
        what: &str,
        work: impl FnOnce(Python<'_>) -> PyResult<T>,
    ) -> siltstone::Result<T> {
        Python::attach(|py| {
            work(py).map_err(|raised| {
                let class =
                    raised.get_type(py).name().map_or_else(|_| String::new(), |n| n.to_string());
                let got = format!("{class}: {}", raised.value(py));
                self.0.lock().unwrap_or_else(PoisonError::into_inner).push(raised);
                Error::Invalid { what: what.to_owned(), expected: "no exception".into(), got }
            })
        })
    }

    /// The first that was raised in place of the error that Rust made of it.
    pub(crate) fn instead<T>(&self, py: Python<'_>, result: PyResult<T>) -> PyResult<T> {
        result.map_err(|error| {
            let raised = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            raised.first().map_or(error, |first| first.clone_ref(py))
        })
    }
}

/// A strategy that is built in.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct Strategy {
    inner: Arc<dyn StorageStrategy>,
    path: PathBuf,
}

#[pymethods]
impl Strategy {
    #[new]
    fn new(kind: &str, config: &str, settings: Settings) -> PyResult<Self> {
        let (config, settings) = (read_config(config)?, settings.read()?);
        if kind == "sqlite" {
            let inner = SqliteStrategy::choose(&config, &settings).map_err(to_py)?;
            let path = inner.path().to_owned();
            return Ok(Strategy { inner: Arc::new(inner), path });
        }
        let inner = JsonStrategy::choose(&config, &settings).map_err(to_py)?;
        let path = inner.folder().to_owned();
        Ok(Strategy { inner: Arc::new(inner), path })
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    fn initialize(&self, py: Python<'_>) -> PyResult<()> {
        py.enter(|| self.inner.initialize())
    }

    fn store(
        &self,
        py: Python<'_>,
        timestamp: &Bound<'_, PyAny>,
        iteration: &Bound<'_, PyAny>,
        dataset: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
        origin: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let update = update_of(timestamp, iteration, dataset, data, &[], origin)?;
        py.enter(|| self.inner.store(update))
    }

    fn close(&self, py: Python<'_>, failure: Option<&str>) -> PyResult<()> {
        let failure = failure.map(failed);
        py.enter(|| self.inner.close(failure.as_ref()))
    }
}

/// Why a run failed, in Python's words.
fn failed(text: &str) -> Error {
    Error::Invalid { what: "the run".into(), expected: "no exception".into(), got: text.to_owned() }
}

/// A strategy of Python's own: an object with `initialize`, `store`, `reset_iterations`, `close`.
struct PyStrategy {
    object: Py<PyAny>,
    raised: Raised,
}

impl PyStrategy {
    fn call(&self, work: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<()>) -> siltstone::Result<()> {
        self.raised.call("the storage strategy", |py| work(self.object.bind(py)))
    }
}

impl StorageStrategy for PyStrategy {
    fn initialize(&self) -> siltstone::Result<()> {
        self.call(|object| object.call_method0("initialize").map(drop))
    }

    fn store(&self, update: Update) -> siltstone::Result<()> {
        self.call(|object| {
            let data = pyo3::types::PyDict::new(object.py());
            groups_to_dict(&mut Out::new(object.py()), update.data, &data)?;
            let (name, origin) = (update.dataset, update.origin);
            let args = (name, update.timestamp, update.iteration, data, origin);
            object.call_method1("store", args).map(drop)
        })
    }

    fn reset_iterations(&self, timestamp: i64) {
        // Nobody waits for an answer; what it raises is reported by the next call.
        let _ = self.call(|object| object.call_method1("reset_iterations", (timestamp,)).map(drop));
    }

    fn close(&self, failure: Option<&Error>) -> siltstone::Result<()> {
        let failure = failure.map(Error::to_string);
        self.call(|object| object.call_method1("close", (failure,)).map(drop))
    }
}

/// A collector over a strategy that is built in or Python's own.
pub(crate) fn make_collector(
    strategy: &Bound<'_, PyAny>,
    config: &str,
    raised: &Raised,
) -> PyResult<Inner> {
    let strategy: Arc<dyn StorageStrategy> = match strategy.cast::<Strategy>() {
        Ok(built_in) => built_in.get().inner.clone(),
        Err(_) => {
            Arc::new(PyStrategy { object: strategy.clone().unbind(), raised: raised.clone() })
        }
    };
    Ok(Inner::with_strategy(strategy, read_config(config)?))
}

/// Takes updates as they come and stores what changed.
#[pyclass(frozen, weakref, module = "siltstone._siltstone")]
pub(crate) struct DataCollector {
    /// `None` only while it is dropped.
    inner: Mutex<Option<Inner>>,
    raised: Raised,
    pid: u32,
}

impl DataCollector {
    /// Only while detached: workers that are waited for may need the GIL.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Inner) -> siltstone::Result<T> + Send,
    ) -> PyResult<T> {
        if self.pid != std::process::id() {
            // Another thread may have held the lock at the fork.
            let why = "was made before a fork; make one in this process";
            return Err(to_py(Error::Closed { what: "the data collector".into(), why }));
        }
        let result = py.enter(|| {
            let mut inner: MutexGuard<'_, _> =
                self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            work(inner.as_mut().expect("taken only when the object goes"))
        });
        let result = self.raised.instead(py, result);
        // A strategy whose `reset_iterations` raised has no other way to say so.
        match result {
            Ok(_) if !self.raised.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty() => {
                self.raised.instead(py, Err(invalid("data collector", "no exception", "one")))
            }
            result => result,
        }
    }
}

impl Drop for DataCollector {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        Python::try_attach(|py| py.detach(|| drop(inner)));
    }
}

#[pymethods]
impl DataCollector {
    #[new]
    fn new(strategy: &Bound<'_, PyAny>, config: &str) -> PyResult<Self> {
        let raised = Raised::default();
        let inner = Mutex::new(Some(make_collector(strategy, config, &raised)?));
        Ok(DataCollector { inner, raised, pid: std::process::id() })
    }

    fn initialize(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, Inner::initialize)
    }

    fn new_time(&self, py: Python<'_>, timestamp: &Bound<'_, PyAny>) -> PyResult<()> {
        let timestamp = to_integer("timestamp", timestamp)?;
        self.with(py, |inner| inner.new_time(timestamp))
    }

    fn update(
        &self,
        py: Python<'_>,
        dataset: &str,
        data: &Bound<'_, PyAny>,
        origin: Option<String>,
    ) -> PyResult<()> {
        let entities = to_entities(dataset, data, &[])?;
        let origin = origin.or(entities.origin);
        self.with(py, |inner| inner.update(dataset, entities.data, origin.as_deref()))
    }

    fn errors(&self, py: Python<'_>) -> Vec<String> {
        let errors = py.detach(|| {
            let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.as_ref().map_or_else(Vec::new, Inner::errors)
        });
        errors.iter().map(Error::to_string).collect()
    }

    fn close(&self, py: Python<'_>, failure: Option<&str>) -> PyResult<()> {
        let failure = failure.map(failed);
        self.with(py, |inner| inner.close_after(failure.as_ref()))
    }
}
