//! `MemoryStore`: rows come and go as tuples; `siltstone/memory` makes its classes of them.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use siltstone::memory::{
    ConceptUpdate, Direction, EpisodeUpdate, LearningEventUpdate, MemoryStore as Inner,
};
use siltstone::{Database, Error, NewFile};

use crate::arrays_in::to_integer;
use crate::arrow::Table;
use crate::enter::Enter;
use crate::errors::{invalid, to_py};
use crate::handle::Handle;
use crate::memory_rows::{
    Any, Fields, Maybe, NewEpisodeParts, concept, episode, event, integers, list, new_concept,
    new_edge, new_episode, new_event, number, text, to_value,
};
use crate::memory_values::{to_limit, to_number, to_payload, to_text, to_vector};
use crate::query::Query;
use crate::record_cells::to_json;
use crate::report;

/// A file of memories.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct MemoryStore {
    handle: Handle<Inner>,
}

impl MemoryStore {
    pub(crate) fn get(&self) -> PyResult<Inner> {
        self.handle.get()
    }
}

#[pymethods]
impl MemoryStore {
    #[new]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        busy_timeout: f64,
        durability: &str,
        read_only: bool,
    ) -> PyResult<Self> {
        let busy = Duration::try_from_secs_f64(busy_timeout).map_err(|_| {
            invalid("connection_timeout", "seconds, not negative", busy_timeout.to_string())
        })?;
        let builder = Database::builder(&path)
            .busy_timeout(busy)
            .durability(durability.parse().map_err(to_py)?);
        let inner = py.enter(|| {
            if read_only {
                return Inner::over(builder.open_read_only()?);
            }
            let inner = Inner::over(builder.open()?)?;
            inner.create_tables()?;
            Ok(inner)
        })?;
        let path = inner.database().path().to_owned();
        Ok(MemoryStore { handle: Handle::new(inner, path) })
    }

    #[getter]
    fn path(&self) -> &PathBuf {
        &self.handle.path
    }

    #[getter]
    fn is_open(&self) -> bool {
        self.handle.is_open()
    }

    /// Writes what waits and lets the file go. What this thread has open is rolled back, which is an error.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let Some(inner) = self.handle.take() else { return Ok(()) };
        py.enter(move || {
            let db = inner.database();
            let why =
                "was open when the file was closed; all that was written in it was rolled back";
            let open = match db.end_transaction() {
                true => Err(Error::InTransaction { what: "a transaction".into(), why }),
                false => Ok(()),
            };
            if db.is_read_only() { open } else { db.flush().and(open) }
        })
    }

    /// Whether this thread has a transaction open.
    #[getter]
    fn in_transaction(&self) -> PyResult<bool> {
        Ok(self.get()?.database().is_in_transaction())
    }

    /// The rows of a statement in the open transaction, how many it changed, and the last id.
    fn execute(
        &self,
        py: Python<'_>,
        sql: &str,
        params: Vec<Any<'_>>,
    ) -> PyResult<(Query, u64, i64)> {
        let inner = self.get()?;
        let params = params.iter().map(|value| to_value("a parameter", value));
        let params = params.collect::<PyResult<Vec<_>>>()?;
        let done = py.enter(|| inner.database().execute(sql, &params))?;
        Ok((Query { inner: done.found }, done.changes, done.last_id))
    }

    #[allow(clippy::too_many_arguments, reason = "an options object of Python, taken apart")]
    fn store_episode<'py>(
        &self,
        py: Python<'py>,
        experience: Any<'py>,
        score: Any<'py>,
        context: Any<'py>,
        timestamp: Maybe<'py>,
        metadata: Maybe<'py>,
        embedding: Maybe<'py>,
        priority: Maybe<'py>,
    ) -> PyResult<i64> {
        let inner = self.get()?;
        let parts = NewEpisodeParts {
            experience,
            score,
            context,
            timestamp,
            metadata,
            embedding,
            priority,
        };
        let episode = new_episode(&parts)?;
        py.enter(|| inner.store_episode(episode))
    }

    fn store_episodes(
        &self,
        py: Python<'_>,
        episodes: Vec<Bound<'_, PyDict>>,
    ) -> PyResult<Vec<i64>> {
        let inner = self.get()?;
        let one = |dict: &Bound<'_, PyDict>| {
            let fields = Fields { what: "an episode", dict };
            fields.check(&[
                "experience_data",
                "performance_score",
                "context_hash",
                "timestamp",
                "metadata",
                "embedding",
                "priority",
            ])?;
            new_episode(&NewEpisodeParts {
                experience: fields.must("experience_data")?,
                score: fields.must("performance_score")?,
                context: fields.must("context_hash")?,
                timestamp: fields.maybe("timestamp")?,
                metadata: fields.maybe("metadata")?,
                embedding: fields.maybe("embedding")?,
                priority: fields.maybe("priority")?,
            })
        };
        let episodes = episodes.iter().map(one).collect::<PyResult<Vec<_>>>()?;
        py.enter(|| inner.store_episodes(episodes))
    }

    fn retrieve_episode<'py>(
        &self,
        py: Python<'py>,
        id: &Any<'py>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let (inner, id) = (self.get()?, to_integer("episode_id", id)?);
        let found = py.enter(|| inner.retrieve_episode(id))?;
        found.map(|found| episode(py, &found)).transpose()
    }

    fn episodes_by_context<'py>(
        &self,
        py: Python<'py>,
        context: &Any<'py>,
        limit: &Any<'py>,
        min_score: Maybe<'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (inner, context) = (self.get()?, to_text("context_hash", context)?);
        let (limit, least) = (to_limit("limit", limit)?, number("min_score", &min_score)?);
        let found = py.enter(|| inner.episodes_by_context(&context, limit, least))?;
        list(py, &found, episode)
    }

    fn recent_episodes<'py>(
        &self,
        py: Python<'py>,
        window: &Any<'py>,
        limit: &Any<'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (inner, window) = (self.get()?, to_number("time_window", window)?);
        let limit = to_limit("limit", limit)?;
        let found = py.enter(|| inner.recent_episodes(window, limit))?;
        list(py, &found, episode)
    }

    fn update_episode(
        &self,
        py: Python<'_>,
        id: &Any<'_>,
        fields: &Bound<'_, PyDict>,
    ) -> PyResult<bool> {
        let (inner, id) = (self.get()?, to_integer("episode_id", id)?);
        let fields = Fields { what: "a change of an episode", dict: fields };
        let experience = fields.maybe("experience_data")?;
        let embedding = fields.maybe("embedding")?;
        let update = EpisodeUpdate {
            timestamp: number("timestamp", &fields.maybe("timestamp")?)?,
            experience: experience.map(|e| to_payload("experience_data", &e, 0)).transpose()?,
            performance_score: number("performance_score", &fields.maybe("performance_score")?)?,
            context_hash: text("context_hash", &fields.maybe("context_hash")?)?,
            metadata: fields.maybe("metadata")?.map(|m| to_json("metadata", &m)).transpose()?,
            embedding: embedding.map(|e| to_vector("embedding", &e)).transpose()?,
        };
        py.enter(|| inner.update_episode(id, update))
    }

    fn delete_episodes(&self, py: Python<'_>, ids: Vec<Any<'_>>) -> PyResult<usize> {
        let (inner, ids) = (self.get()?, integers("an id", ids)?);
        py.enter(|| inner.delete_episodes(&ids))
    }

    fn store_concept<'py>(
        &self,
        py: Python<'py>,
        name: Any<'py>,
        embedding: Any<'py>,
        metadata: Maybe<'py>,
        creation_time: Maybe<'py>,
    ) -> PyResult<i64> {
        let inner = self.get()?;
        let concept = new_concept(&name, &embedding, &metadata, &creation_time)?;
        py.enter(|| inner.store_concept(concept))
    }

    fn store_concepts(
        &self,
        py: Python<'_>,
        concepts: Vec<Bound<'_, PyDict>>,
    ) -> PyResult<Vec<i64>> {
        let inner = self.get()?;
        let one = |dict: &Bound<'_, PyDict>| {
            let fields = Fields { what: "a concept", dict };
            fields.check(&["name", "embedding", "metadata", "creation_time"])?;
            let (metadata, time) = (fields.maybe("metadata")?, fields.maybe("creation_time")?);
            new_concept(&fields.must("name")?, &fields.must("embedding")?, &metadata, &time)
        };
        let concepts = concepts.iter().map(one).collect::<PyResult<Vec<_>>>()?;
        py.enter(|| inner.store_concepts(concepts))
    }

    fn retrieve_concept<'py>(
        &self,
        py: Python<'py>,
        id: &Any<'py>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let (inner, id) = (self.get()?, to_integer("concept_id", id)?);
        let found = py.enter(|| inner.retrieve_concept(id))?;
        found.map(|found| concept(py, &found)).transpose()
    }

    fn retrieve_concept_by_name<'py>(
        &self,
        py: Python<'py>,
        name: &Any<'py>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let (inner, name) = (self.get()?, to_text("name", name)?);
        let found = py.enter(|| inner.retrieve_concept_by_name(&name))?;
        found.map(|found| concept(py, &found)).transpose()
    }

    fn search_concepts<'py>(
        &self,
        py: Python<'py>,
        query: &Any<'py>,
        limit: &Any<'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (inner, query) = (self.get()?, to_text("query", query)?);
        let limit = to_limit("limit", limit)?;
        let found = py.enter(|| inner.search_concepts(&query, limit))?;
        list(py, &found, concept)
    }

    fn update_concept(
        &self,
        py: Python<'_>,
        id: &Any<'_>,
        fields: &Bound<'_, PyDict>,
    ) -> PyResult<bool> {
        let (inner, id) = (self.get()?, to_integer("concept_id", id)?);
        let fields = Fields { what: "a change of a concept", dict: fields };
        let embedding = fields.maybe("embedding")?;
        let update = ConceptUpdate {
            name: text("name", &fields.maybe("name")?)?,
            embedding: embedding.map(|e| to_vector("embedding", &e)).transpose()?,
            metadata: fields.maybe("metadata")?.map(|m| to_json("metadata", &m)).transpose()?,
        };
        py.enter(|| inner.update_concept(id, update))
    }

    fn delete_concepts(&self, py: Python<'_>, ids: Vec<Any<'_>>) -> PyResult<usize> {
        let (inner, ids) = (self.get()?, integers("an id", ids)?);
        py.enter(|| inner.delete_concepts(&ids))
    }

    /// Edges as (source, target, type, strength).
    fn add_relationships(
        &self,
        py: Python<'_>,
        edges: Vec<(Any<'_>, Any<'_>, Any<'_>, Any<'_>)>,
        strict: bool,
    ) -> PyResult<()> {
        let inner = self.get()?;
        let one = |(source, target, kind, strength): &(Any<'_>, Any<'_>, Any<'_>, Any<'_>)| {
            let edge = new_edge(source, target, kind, strength)?;
            match strict && !(0.0..=1.0).contains(&edge.strength) {
                true => Err(invalid("strength", "a number from 0 to 1", edge.strength.to_string())),
                false => Ok(edge),
            }
        };
        let edges = edges.iter().map(one).collect::<PyResult<Vec<_>>>()?;
        py.enter(|| inner.add_concept_relationships(edges))
    }

    fn relationships(
        &self,
        py: Python<'_>,
        id: &Any<'_>,
        kind: Maybe<'_>,
        incoming: bool,
    ) -> PyResult<Vec<(i64, String, f64)>> {
        let (inner, id) = (self.get()?, to_integer("concept_id", id)?);
        let kind = text("relationship_type", &kind)?;
        let direction = if incoming { Direction::Incoming } else { Direction::Outgoing };
        let found = py.enter(|| inner.concept_relationships(id, kind.as_deref(), direction))?;
        Ok(found.into_iter().map(|e| (e.concept_id, e.relationship_type, e.strength)).collect())
    }

    fn delete_relationships(
        &self,
        py: Python<'_>,
        source: &Any<'_>,
        target: &Any<'_>,
        kind: Maybe<'_>,
    ) -> PyResult<usize> {
        let inner = self.get()?;
        let (source, target) = (to_integer("source_id", source)?, to_integer("target_id", target)?);
        let kind = text("relationship_type", &kind)?;
        py.enter(|| inner.delete_concept_relationships(source, target, kind.as_deref()))
    }

    fn store_event<'py>(
        &self,
        py: Python<'py>,
        task_type: Any<'py>,
        delta: Any<'py>,
        strategy: Any<'py>,
        parameters: Maybe<'py>,
        timestamp: Maybe<'py>,
    ) -> PyResult<i64> {
        let inner = self.get()?;
        let event = new_event(&task_type, &delta, &strategy, &parameters, &timestamp)?;
        py.enter(|| inner.store_learning_event(event))
    }

    fn store_events(&self, py: Python<'_>, events: Vec<Bound<'_, PyDict>>) -> PyResult<Vec<i64>> {
        let inner = self.get()?;
        let one = |dict: &Bound<'_, PyDict>| {
            let fields = Fields { what: "a learning event", dict };
            fields.check(&[
                "task_type",
                "performance_delta",
                "strategy_used",
                "parameters",
                "timestamp",
            ])?;
            new_event(
                &fields.must("task_type")?,
                &fields.must("performance_delta")?,
                &fields.must("strategy_used")?,
                &fields.maybe("parameters")?,
                &fields.maybe("timestamp")?,
            )
        };
        let events = events.iter().map(one).collect::<PyResult<Vec<_>>>()?;
        py.enter(|| inner.store_learning_events(events))
    }

    fn events_by_task<'py>(
        &self,
        py: Python<'py>,
        task_type: &Any<'py>,
        limit: &Any<'py>,
        least: Maybe<'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (inner, task) = (self.get()?, to_text("task_type", task_type)?);
        let (limit, least) = (to_limit("limit", limit)?, number("min_performance_delta", &least)?);
        let found = py.enter(|| inner.learning_events_by_task(&task, limit, least))?;
        list(py, &found, event)
    }

    fn best_strategies(
        &self,
        py: Python<'_>,
        task_type: &Any<'_>,
        limit: &Any<'_>,
        include_negative: bool,
    ) -> PyResult<Vec<(String, f64, u64)>> {
        let (inner, task) = (self.get()?, to_text("task_type", task_type)?);
        let limit = to_limit("limit", limit)?;
        let found = py.enter(|| inner.best_strategies(&task, limit, include_negative))?;
        Ok(found.into_iter().map(|s| (s.strategy, s.average_delta, s.uses)).collect())
    }

    fn update_event(
        &self,
        py: Python<'_>,
        id: &Any<'_>,
        fields: &Bound<'_, PyDict>,
    ) -> PyResult<bool> {
        let (inner, id) = (self.get()?, to_integer("event_id", id)?);
        let fields = Fields { what: "a change of a learning event", dict: fields };
        let update = LearningEventUpdate {
            performance_delta: number("performance_delta", &fields.maybe("performance_delta")?)?,
            strategy_used: text("strategy_used", &fields.maybe("strategy_used")?)?,
            parameters: fields
                .maybe("parameters")?
                .map(|p| to_json("parameters", &p))
                .transpose()?,
        };
        py.enter(|| inner.update_learning_event(id, update))
    }

    fn delete_events(&self, py: Python<'_>, ids: Vec<Any<'_>>) -> PyResult<usize> {
        let (inner, ids) = (self.get()?, integers("an id", ids)?);
        py.enter(|| inner.delete_learning_events(&ids))
    }

    fn create_backup<'py>(
        &self,
        py: Python<'py>,
        target: Option<PathBuf>,
        max_backups: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let inner = self.get()?;
        let made = py.enter(|| inner.create_backup(target.as_deref(), max_backups))?;
        report::backup(py, &made)
    }

    fn backup_if_due(
        &self,
        py: Python<'_>,
        interval: &Any<'_>,
        max_backups: usize,
    ) -> PyResult<Option<PathBuf>> {
        let (inner, interval) = (self.get()?, to_number("backup_interval", interval)?);
        let made = py.enter(|| inner.backup_if_due(interval, max_backups))?;
        Ok(made.map(|made| made.path))
    }

    fn last_backup(&self, py: Python<'_>) -> PyResult<f64> {
        let inner = self.get()?;
        py.enter(|| inner.last_backup())
    }

    fn backups(&self, py: Python<'_>) -> PyResult<Vec<PathBuf>> {
        let inner = self.get()?;
        py.enter(|| inner.backups())
    }

    fn restore_backup<'py>(
        &self,
        py: Python<'py>,
        backup: PathBuf,
    ) -> PyResult<Bound<'py, PyDict>> {
        let inner = self.get()?;
        let made = py.enter(|| inner.restore_backup(backup))?;
        report::backup(py, &made)
    }

    fn compact(&self, py: Python<'_>) -> PyResult<(u64, u64, u64, u64)> {
        let inner = self.get()?;
        let done =
            py.enter_long("compacting", |signals| inner.compact(&mut |_, _| signals.check()))?;
        Ok(report::compact(&done))
    }

    fn vacuum(&self, py: Python<'_>) -> PyResult<u64> {
        let inner = self.get()?;
        py.enter(|| {
            let freed = inner.database().vacuum()?;
            inner.database().optimize()?;
            Ok(freed)
        })
    }

    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.get()?;
        let stats = py.enter(|| inner.stats())?;
        Ok(serde_json::to_string(&stats).expect("numbers are JSON"))
    }

    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let database = self.get()?.database().clone();
        let found = py.enter_abandonable(move || database.verify())?;
        report::verify(py, &found)
    }

    fn import_database(&self, py: Python<'_>, source: PathBuf) -> PyResult<String> {
        let inner = self.get()?;
        let done = py.enter(|| inner.import(source))?;
        Ok(serde_json::to_string(&done).expect("names and numbers are JSON"))
    }

    fn sql(&self, py: Python<'_>, sql: String) -> PyResult<Query> {
        let database = self.get()?.database().clone();
        let inner = py.enter_abandonable(move || database.sql(&sql))?;
        Ok(Query { inner })
    }

    /// The same rows as a table; the statement runs each time that the table is streamed.
    fn sql_table(&self, sql: String) -> PyResult<Table> {
        let database = self.get()?.database().clone();
        Ok(Table::new(move || database.arrow(&sql)))
    }
}

/// Imports a database of Godly-AI into a new file, or only reads it; the report as JSON.
#[pyfunction]
pub(crate) fn memory_import(
    py: Python<'_>,
    source: PathBuf,
    target: Option<PathBuf>,
) -> PyResult<String> {
    let found = py.enter(|| {
        let Some(target) = target else { return siltstone::memory::inspect(source) };
        let made = NewFile::at(&target);
        let imported =
            siltstone::memory::MemoryStore::open(target).and_then(|store| store.import(source));
        made.remove_if_empty(&["episodes", "concepts", "learning_events", "concept_relationships"]);
        imported
    })?;
    Ok(serde_json::to_string(&found).expect("names and numbers are JSON"))
}
