//! The plain driver of models, with models of Python's own.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use siltstone::simulation::{DatasetUpdates, Model, Simulation as Inner, World as InnerWorld};

use crate::arrays_in::to_integer;
use crate::collector::{Raised, Settings, make_collector};
use crate::enter::Enter;
use crate::entities::{state_to_dict, to_entities};
use crate::errors::{invalid, wrong_type};

/// Points to the world of a running simulation while one of its models is called.
struct Pointer(*const InnerWorld);

// SAFETY: the world is plain data that nobody changes while a model is called (`&World`), so any
// thread may read it; the pointer is used only under the lock of `World`, which is emptied before
// the call ends.
unsafe impl Send for Pointer {}

/// What models see. Only for the time of a call.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct World {
    inner: Mutex<Option<Pointer>>,
}

impl World {
    fn with<T>(&self, read: impl FnOnce(&InnerWorld) -> T) -> PyResult<T> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Pointer(world)) = &*inner else {
            return Err(invalid("world", "a use inside the call of the model", "one after it"));
        };
        // SAFETY: `lend` empties the lock before its reference ends, and waits for it to do so.
        Ok(read(unsafe { &**world }))
    }

    /// Calls Python with a world that it can read until it returns.
    fn lend<T>(
        py: Python<'_>,
        world: &InnerWorld,
        call: impl FnOnce(&Bound<'_, World>) -> PyResult<T>,
    ) -> PyResult<T> {
        let lent = Bound::new(py, World { inner: Mutex::new(Some(Pointer(world))) })?;
        let result = call(&lent);
        *lent.get().inner.lock().unwrap_or_else(PoisonError::into_inner) = None;
        result
    }
}

#[pymethods]
impl World {
    fn datasets(&self) -> PyResult<Vec<String>> {
        self.with(InnerWorld::datasets)
    }

    fn groups(&self, dataset: &str) -> PyResult<Vec<String>> {
        self.with(|world| world.groups(dataset))
    }

    fn state<'py>(
        &self,
        py: Python<'py>,
        dataset: &str,
        group: &str,
    ) -> PyResult<Option<(i64, Bound<'py, PyDict>)>> {
        let state = self.with(|world| world.state(dataset, group))?;
        state.map(|state| Ok((state.timestamp, state_to_dict(py, state)?))).transpose()
    }
}

/// A model of Python's own: an object with `initialize(world)` and `update(timestamp, world)`.
struct PyModel {
    name: String,
    object: Py<PyAny>,
    raised: Raised,
}

type Answer = (Option<DatasetUpdates>, Option<i64>);

impl PyModel {
    fn call<T>(
        &self,
        world: &InnerWorld,
        call: impl FnOnce(&Bound<'_, PyAny>, &Bound<'_, World>) -> PyResult<T>,
    ) -> siltstone::Result<T> {
        self.raised.call(&format!("model {:?}", self.name), |py| {
            World::lend(py, world, |world| call(self.object.bind(py), world))
        })
    }
}

impl Model for PyModel {
    fn initialize(&mut self, world: &InnerWorld) -> siltstone::Result<()> {
        self.call(world, |object, world| object.call_method1("initialize", (world,)).map(drop))
    }

    fn update(&mut self, timestamp: i64, world: &InnerWorld) -> siltstone::Result<Answer> {
        self.call(world, |object, world| {
            let answer = object.call_method1("update", (timestamp, world))?;
            to_answer(&answer)
        })
    }
}

/// `None`, or `({dataset: {group: ...}} or None, next time or None)`.
fn to_answer(answer: &Bound<'_, PyAny>) -> PyResult<Answer> {
    if answer.is_none() {
        return Ok((None, None));
    }
    let expected = "None or a tuple (data by dataset or None, next timestamp or None)";
    let Some(pair) = answer.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2) else {
        return Err(wrong_type("what a model returns", expected, answer));
    };
    let (data, next) = (pair.get_item(0)?, pair.get_item(1)?);
    let next = if next.is_none() { None } else { Some(to_integer("next timestamp", &next)?) };
    if data.is_none() {
        return Ok((None, next));
    }
    let Ok(datasets) = data.cast::<PyDict>() else {
        return Err(wrong_type("what a model returns", expected, &data));
    };
    let mut updates = DatasetUpdates::new();
    for (name, groups) in datasets.iter() {
        let name: String = name.extract().map_err(|_| wrong_type("dataset name", "text", &name))?;
        let entities = to_entities(&name, &groups, &[])?;
        updates.push((name, entities.data));
    }
    Ok((Some(updates), next))
}

/// Runs models in the order of their times, and records what they say.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct Simulation {
    /// `None` while it runs, and when it has run.
    inner: Mutex<Option<Inner>>,
    raised: Raised,
}

impl Simulation {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> PyResult<T>) -> PyResult<T> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.as_mut() {
            Some(inner) => work(inner),
            None => Err(invalid("simulation", "one that did not run", "one that runs or has run")),
        }
    }
}

#[pymethods]
impl Simulation {
    #[new]
    fn new(settings: Settings) -> PyResult<Self> {
        let inner = Mutex::new(Some(Inner::new(settings.read()?)));
        Ok(Simulation { inner, raised: Raised::default() })
    }

    fn add_collector(&self, strategy: &Bound<'_, PyAny>, config: &str) -> PyResult<()> {
        let collector = make_collector(strategy, config, &self.raised)?;
        self.with(|inner| {
            inner.add_collector(collector);
            Ok(())
        })
    }

    fn add_model(&self, name: String, object: Py<PyAny>) -> PyResult<()> {
        let model = PyModel { name: name.clone(), object, raised: self.raised.clone() };
        self.with(|inner| {
            inner.add_user_model(name, Box::new(model));
            Ok(())
        })
    }

    fn run(&self, py: Python<'_>) -> PyResult<()> {
        self.with(|_| Ok(()))?;
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut inner) = inner else { return Ok(()) };
        let result = py.enter(move || inner.run());
        self.raised.instead(py, result)
    }
}
