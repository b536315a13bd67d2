//! `MemoryRecall`: search, recall, replay and limits of a store of memories.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use siltstone::memory::{
    GraphOptions, Limit, MemoryStore as Inner, RecallOptions, RecallWeights, SampleOptions,
    SearchOptions,
};

use crate::arrays_in::to_integer;
use crate::enter::Enter;
use crate::errors::{invalid, to_py};
use crate::memory_rows::{Any, Maybe, concept, episode, integers, list, number, text, to_filter};
use crate::memory_store::MemoryStore;
use crate::memory_values::{to_limit, to_number, to_text, to_vector};

/// An episode, its score, and the terms of it.
type Recollected<'py> = (Bound<'py, PyTuple>, f64, f64, f64, f64);

/// What comes out of a store beside rows.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct MemoryRecall {
    store: Py<MemoryStore>,
}

impl MemoryRecall {
    fn get(&self) -> PyResult<Inner> {
        self.store.get().get()
    }
}

#[pymethods]
impl MemoryRecall {
    #[new]
    fn new(store: Py<MemoryStore>) -> Self {
        MemoryRecall { store }
    }

    /// Pairs of a concept's or an episode's tuple and its score.
    #[allow(clippy::too_many_arguments, reason = "an options object of Python, taken apart")]
    fn search_similar<'py>(
        &self,
        py: Python<'py>,
        vector: &Any<'py>,
        k: &Any<'py>,
        metric: &str,
        filter: Maybe<'py>,
        since: Maybe<'py>,
        until: Maybe<'py>,
        episodes: bool,
        context: Maybe<'py>,
    ) -> PyResult<Vec<(Bound<'py, PyTuple>, f64)>> {
        let (inner, vector) = (self.get()?, to_vector("vector", vector)?);
        let k = to_limit("k", k)?;
        let options = SearchOptions {
            metric: metric.parse().map_err(to_py)?,
            filter: to_filter(&filter)?,
            context_hash: text("context_hash", &context)?,
            since: number("since", &since)?,
            until: number("until", &until)?,
        };
        if episodes {
            let hits = py.enter(|| inner.search_similar_episodes(&vector, k, &options))?;
            return hits.iter().map(|hit| Ok((episode(py, &hit.item)?, hit.score))).collect();
        }
        let hits = py.enter(|| inner.search_similar(&vector, k, &options))?;
        hits.iter().map(|hit| Ok((concept(py, &hit.item)?, hit.score))).collect()
    }

    /// (concepts, relationships, removed)
    fn build_graph(
        &self,
        py: Python<'_>,
        threshold: Maybe<'_>,
        k: Maybe<'_>,
        relationship_type: &Any<'_>,
        normalize: bool,
        replace: bool,
    ) -> PyResult<(u64, u64, u64)> {
        let inner = self.get()?;
        let options = GraphOptions {
            threshold: number("threshold", &threshold)?,
            k: k.map(|k| to_limit("k", &k)).transpose()?,
            relationship_type: to_text("relationship_type", relationship_type)?,
            normalize,
            replace,
        };
        let built = py.enter(|| inner.build_similarity_graph(&options))?;
        Ok((built.concepts, built.relationships, built.removed))
    }

    /// (episode, score, recency, importance, relevance)
    #[allow(clippy::too_many_arguments, reason = "an options object of Python, taken apart")]
    fn recall<'py>(
        &self,
        py: Python<'py>,
        vector: &Any<'py>,
        k: &Any<'py>,
        weights: (f64, f64, f64),
        half_life: &Any<'py>,
        now: Maybe<'py>,
        context: Maybe<'py>,
        filter: Maybe<'py>,
        since: Maybe<'py>,
        until: Maybe<'py>,
    ) -> PyResult<Vec<Recollected<'py>>> {
        let (inner, vector) = (self.get()?, to_vector("query_vector", vector)?);
        let k = to_limit("k", k)?;
        let options = RecallOptions {
            weights: RecallWeights {
                recency: weights.0,
                importance: weights.1,
                relevance: weights.2,
            },
            half_life: to_number("half_life", half_life)?,
            now: number("now", &now)?,
            context_hash: text("context_hash", &context)?,
            filter: to_filter(&filter)?,
            since: number("since", &since)?,
            until: number("until", &until)?,
        };
        let found = py.enter(|| inner.recall(&vector, k, &options))?;
        let one = |r: &siltstone::memory::Recollection| {
            Ok((episode(py, &r.episode)?, r.score, r.recency, r.importance, r.relevance))
        };
        found.iter().map(one).collect()
    }

    /// (episodes, probabilities, weights)
    #[allow(clippy::too_many_arguments, reason = "an options object of Python, taken apart")]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        n: &Any<'py>,
        mode: &str,
        alpha: &Any<'py>,
        beta: &Any<'py>,
        seed: Option<u64>,
        context: Maybe<'py>,
        reader: &str,
    ) -> PyResult<(Bound<'py, PyList>, Vec<f64>, Vec<f64>)> {
        let inner = self.get()?;
        let n = usize::try_from(to_integer("n", n)?)
            .map_err(|_| invalid("n", "a number that is not negative", "a negative one"))?;
        let options = SampleOptions {
            mode: mode.parse().map_err(to_py)?,
            alpha: to_number("alpha", alpha)?,
            beta: to_number("beta", beta)?,
            seed,
            context_hash: text("context", &context)?,
            reader: reader.to_owned(),
        };
        let sample = py.enter(|| inner.sample_episodes(n, &options))?;
        Ok((list(py, &sample.episodes, episode)?, sample.probabilities, sample.weights))
    }

    fn update_priorities(
        &self,
        py: Python<'_>,
        ids: Vec<Any<'_>>,
        priorities: Vec<Any<'_>>,
    ) -> PyResult<()> {
        let (inner, ids) = (self.get()?, integers("an id", ids)?);
        let priorities = priorities.iter().map(|p| to_number("priority", p));
        let priorities = priorities.collect::<PyResult<Vec<_>>>()?;
        py.enter(|| inner.update_priorities(&ids, &priorities))
    }

    fn rewind(&self, py: Python<'_>, reader: &str) -> PyResult<()> {
        let inner = self.get()?;
        py.enter(|| inner.rewind(reader))
    }

    fn set_limit(
        &self,
        py: Python<'_>,
        context: Maybe<'_>,
        max_age: Maybe<'_>,
        capacity: Option<u64>,
        evict: &str,
    ) -> PyResult<()> {
        let (inner, context) = (self.get()?, text("context_hash", &context)?);
        let max_age = number("max_age", &max_age)?;
        let evict = evict.parse().map_err(to_py)?;
        let limit =
            (max_age.is_some() || capacity.is_some()).then_some(Limit { max_age, capacity, evict });
        py.enter(|| inner.set_limit(context.as_deref(), limit))
    }

    /// JSON: what `serde` makes of the reports.
    fn limits(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.get()?;
        let limits = py.enter(|| inner.limits())?;
        Ok(serde_json::to_string(&limits).expect("names and numbers are JSON"))
    }

    fn prune(&self, py: Python<'_>, dry_run: bool) -> PyResult<String> {
        let inner = self.get()?;
        let pruned = py.enter(|| inner.prune(dry_run))?;
        Ok(serde_json::to_string(&pruned).expect("names and numbers are JSON"))
    }
}
