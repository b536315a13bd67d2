//! Rows of the memory store: Python's arguments, and tuples for `siltstone/memory`.

use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple,
};
use siltstone::Value;
use siltstone::memory::{
    Concept, Episode, Filter, LearningEvent, NewConcept, NewEpisode, NewLearningEvent,
    NewRelationship,
};

use crate::arrays_in::to_integer;
use crate::errors::{invalid, to_py, wrong_type};
use crate::memory_values::{to_number, to_payload, to_text, to_vector};
use crate::record_cells::to_json;

pub(crate) type Any<'py> = Bound<'py, PyAny>;
pub(crate) type Maybe<'py> = Option<Bound<'py, PyAny>>;

pub(crate) fn to_metadata(what: &str, value: &Maybe<'_>) -> PyResult<Option<String>> {
    match value {
        Some(value) if value.is_truthy()? => to_json(what, value).map(Some),
        _ => Ok(None),
    }
}

pub(crate) fn number(what: &str, value: &Maybe<'_>) -> PyResult<Option<f64>> {
    value.as_ref().map(|value| to_number(what, value)).transpose()
}

pub(crate) fn text(what: &str, value: &Maybe<'_>) -> PyResult<Option<String>> {
    value.as_ref().map(|value| to_text(what, value)).transpose()
}

pub(crate) fn integers(what: &str, values: Vec<Any<'_>>) -> PyResult<Vec<i64>> {
    values.iter().map(|value| to_integer(what, value)).collect()
}

/// An item of a dict that has no others but those named.
pub(crate) struct Fields<'a, 'py> {
    pub(crate) what: &'a str,
    pub(crate) dict: &'a Bound<'py, PyDict>,
}

impl<'py> Fields<'_, 'py> {
    pub(crate) fn check(&self, names: &[&str]) -> PyResult<()> {
        for key in self.dict.keys() {
            let name = to_text(self.what, &key)?;
            if !names.contains(&name.as_str()) {
                return Err(invalid(self.what, &names.join(", "), name));
            }
        }
        Ok(())
    }

    pub(crate) fn maybe(&self, name: &str) -> PyResult<Maybe<'py>> {
        Ok(self.dict.get_item(name)?.filter(|value| !value.is_none()))
    }

    pub(crate) fn must(&self, name: &str) -> PyResult<Any<'py>> {
        let missing = || invalid(self.what, &format!("a {name}"), "none");
        self.dict.get_item(name)?.ok_or_else(missing)
    }
}

pub(crate) struct NewEpisodeParts<'py> {
    pub(crate) experience: Any<'py>,
    pub(crate) score: Any<'py>,
    pub(crate) context: Any<'py>,
    pub(crate) timestamp: Maybe<'py>,
    pub(crate) metadata: Maybe<'py>,
    pub(crate) embedding: Maybe<'py>,
    pub(crate) priority: Maybe<'py>,
}

pub(crate) fn new_episode(parts: &NewEpisodeParts<'_>) -> PyResult<NewEpisode> {
    let mut episode = NewEpisode::new(
        to_payload("experience_data", &parts.experience, 0)?,
        to_number("performance_score", &parts.score)?,
        to_text("context_hash", &parts.context)?,
    );
    if let Some(timestamp) = number("timestamp", &parts.timestamp)? {
        episode = episode.timestamp(timestamp);
    }
    if let Some(metadata) = to_metadata("metadata", &parts.metadata)? {
        episode = episode.metadata(metadata);
    }
    if let Some(embedding) = &parts.embedding {
        episode = episode.embedding(to_vector("embedding", embedding)?);
    }
    if let Some(priority) = number("priority", &parts.priority)? {
        episode = episode.priority(priority);
    }
    Ok(episode)
}

pub(crate) fn new_concept(
    name: &Any<'_>,
    embedding: &Any<'_>,
    metadata: &Maybe<'_>,
    creation_time: &Maybe<'_>,
) -> PyResult<NewConcept> {
    let mut concept = NewConcept::new(to_text("name", name)?, to_vector("embedding", embedding)?);
    if let Some(metadata) = to_metadata("metadata", metadata)? {
        concept = concept.metadata(metadata);
    }
    if let Some(seconds) = number("creation_time", creation_time)? {
        concept = concept.creation_time(seconds);
    }
    Ok(concept)
}

pub(crate) fn new_event(
    task_type: &Any<'_>,
    delta: &Any<'_>,
    strategy: &Any<'_>,
    parameters: &Maybe<'_>,
    timestamp: &Maybe<'_>,
) -> PyResult<NewLearningEvent> {
    let mut event = NewLearningEvent::new(
        to_text("task_type", task_type)?,
        to_number("performance_delta", delta)?,
        to_text("strategy_used", strategy)?,
    );
    if let Some(parameters) = to_metadata("parameters", parameters)? {
        event = event.parameters(parameters);
    }
    if let Some(seconds) = number("timestamp", timestamp)? {
        event = event.timestamp(seconds);
    }
    Ok(event)
}

pub(crate) fn new_edge(
    source: &Any<'_>,
    target: &Any<'_>,
    kind: &Any<'_>,
    strength: &Any<'_>,
) -> PyResult<NewRelationship> {
    Ok(NewRelationship {
        source_id: to_integer("source_id", source)?,
        target_id: to_integer("target_id", target)?,
        relationship_type: to_text("relationship_type", kind)?,
        strength: to_number("strength", strength)?,
    })
}

pub(crate) fn episode<'py>(py: Python<'py>, episode: &Episode) -> PyResult<Bound<'py, PyTuple>> {
    (
        episode.id,
        episode.timestamp,
        PyBytes::new(py, &episode.experience_data),
        episode.performance_score,
        &episode.context_hash,
        &episode.metadata,
    )
        .into_pyobject(py)
}

pub(crate) fn concept<'py>(py: Python<'py>, concept: &Concept) -> PyResult<Bound<'py, PyTuple>> {
    (
        concept.id,
        &concept.name,
        PyBytes::new(py, &concept.embedding),
        concept.creation_time,
        concept.access_count,
        concept.last_accessed,
        &concept.metadata,
    )
        .into_pyobject(py)
}

pub(crate) fn event<'py>(py: Python<'py>, event: &LearningEvent) -> PyResult<Bound<'py, PyTuple>> {
    (
        event.id,
        &event.task_type,
        event.performance_delta,
        &event.strategy_used,
        event.timestamp,
        &event.parameters,
    )
        .into_pyobject(py)
}

/// Rows as a list of tuples.
pub(crate) fn list<'py, T>(
    py: Python<'py>,
    all: &[T],
    one: impl Fn(Python<'py>, &T) -> PyResult<Bound<'py, PyTuple>>,
) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, all.iter().map(|item| one(py, item)).collect::<PyResult<Vec<_>>>()?)
}

pub(crate) fn to_filter(value: &Maybe<'_>) -> PyResult<Option<Filter>> {
    let Some(value) = value else { return Ok(None) };
    Filter::parse(&to_json("where", value)?).map(Some).map_err(to_py)
}

pub(crate) fn to_value(what: &str, value: &Any<'_>) -> PyResult<Value> {
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(yes) = value.cast::<PyBool>() {
        return Ok(Value::Integer(yes.is_true().into()));
    }
    if value.is_instance_of::<PyInt>() {
        return to_integer(what, value).map(Value::Integer);
    }
    if value.is_instance_of::<PyFloat>() {
        return to_number(what, value).map(Value::Real);
    }
    if value.is_instance_of::<PyString>() {
        return to_text(what, value).map(Value::Text);
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Value::Blob(bytes.as_bytes().to_vec()));
    }
    if value.is_instance_of::<PyByteArray>() || value.is_instance_of::<PyMemoryView>() {
        let bytes = value.py().get_type::<PyBytes>().call1((value,))?;
        return to_value(what, &bytes);
    }
    if value.hasattr("item")? {
        let item = value.call_method0("item")?;
        // Some of numpy's scalars have nothing simpler to give.
        if !item.get_type().is(value.get_type()) {
            return to_value(what, &item);
        }
    }
    Err(wrong_type(what, "None, a number, a text or bytes", value))
}
