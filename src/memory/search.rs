//! What is most like a vector.

use std::str::FromStr;

use super::concept::{self, Concept};
use super::episode::{self, Episode};
use super::filter::Filter;
use super::store::MemoryStore;
use super::vector::{self, length};
use super::vectors::{Group, Measure, Vectors};
use crate::array::Array;
use crate::error::{Error, Result};
use crate::kernel::ReadTx;

/// How like two vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Metric {
    /// The cosine of the angle between them, from -1 to 1; 0 for a vector without a length. The largest first.
    #[default]
    Cosine,
    /// Their product. The largest first.
    Dot,
    /// Their distance. The smallest first.
    L2,
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "cosine" => Ok(Metric::Cosine),
            "dot" => Ok(Metric::Dot),
            "l2" => Ok(Metric::L2),
            other => Err(Error::invalid("metric", "cosine, dot or l2", format!("{other:?}"))),
        }
    }
}

/// What a search looks at.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// How like two vectors are.
    pub metric: Metric,
    /// A condition on the metadata.
    pub filter: Option<Filter>,
    /// Only episodes of this context. Concepts have none.
    pub context_hash: Option<String>,
    /// Only what is of this time or later: an episode's timestamp, a concept's creation time.
    pub since: Option<f64>,
    /// Only what is earlier than this.
    pub until: Option<f64>,
}

/// What was found, and how like it is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Hit<T> {
    /// The concept or episode.
    pub item: T,
    /// The cosine, the product or the distance.
    pub score: f64,
}

/// The numbers of a query.
pub(super) fn query_of(vector: &Array) -> Result<Vec<f64>> {
    vector::check_query("vector", vector)?;
    Ok(vector::numbers(vector))
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The cosine, and 0 where there is no angle.
pub(super) fn cosine(query: &[f64], row: &[f64]) -> f64 {
    let (of_query, of_row) = (length(query), length(row));
    if of_query == 0.0 || of_row == 0.0 {
        return 0.0;
    }
    // Each by its own length, so that no product leaves what a float can hold. Rounding goes beyond 1.
    let sum: f64 = query.iter().zip(row).map(|(a, b)| (a / of_query) * (b / of_row)).sum();
    sum.clamp(-1.0, 1.0)
}

struct Likeness<'a> {
    metric: Metric,
    query: &'a [f64],
    length: f64,
}

impl Measure for Likeness<'_> {
    fn linear(&self, group: &Group, at: usize) -> (f64, f64, f64) {
        let length = f64::from(group.lengths[at]);
        match self.metric {
            Metric::Cosine => (cosine_slope(length, self.length), 0.0, 0.0),
            Metric::Dot => (1.0, 0.0, 0.0),
            // Without the query's own square, which is the same for all.
            Metric::L2 => {
                (2.0, -length * length, length * length * 2e-5 + self.length * self.length * 1e-13)
            }
        }
    }

    fn at_most(&self, most: f64) -> f64 {
        match self.metric {
            Metric::L2 => -(self.length * self.length - most).max(0.0).sqrt() * (1.0 - 1e-12),
            Metric::Cosine | Metric::Dot => most,
        }
    }

    fn exact(&self, _: usize, row: &[f64]) -> f64 {
        match self.metric {
            Metric::Cosine => cosine(self.query, row),
            Metric::Dot => product(self.query, row),
            Metric::L2 => {
                -self.query.iter().zip(row).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
            }
        }
    }
}

/// What a product is multiplied with to be a cosine.
pub(super) fn cosine_slope(a: f64, b: f64) -> f64 {
    if a * b > 0.0 { 1.0 / (a * b) } else { 0.0 }
}

/// The rows of a group that the options allow; `None` for all.
pub(super) fn allowed<const EPISODES: bool>(
    tx: &ReadTx<'_>,
    vectors: &Vectors<EPISODES>,
    group: &Group,
    options: &SearchOptions,
) -> Result<Option<Vec<usize>>> {
    let SearchOptions { filter, context_hash, since, until, .. } = options;
    if filter.is_none() && context_hash.is_none() && since.is_none() && until.is_none() {
        return Ok(None);
    }
    let facts = vectors.facts(tx, group)?;
    let context = context_hash.as_deref().map(|name| facts.context(name));
    let is_allowed = |at: &usize| {
        let time = facts.times[*at];
        since.is_none_or(|since| time >= since)
            && until.is_none_or(|until| time < until)
            && context.is_none_or(|context| context.is_some_and(|name| facts.is_of(*at, name)))
            && filter.as_ref().is_none_or(|filter| filter.accepts(&facts.metadata[*at]))
    };
    Ok(Some((0..group.ids.len()).filter(is_allowed).collect()))
}

impl MemoryStore {
    /// The `k` concepts whose embeddings are most like a vector: exact, the likest first, of equals the one of the lower id.
    ///
    /// The first search reads all embeddings and keeps a byte a number of each, out of the blocks that
    /// [`compact`](Self::compact) makes if there are any; later ones read what has changed, whoever has changed it. Concepts whose embedding has another number of dimensions are not looked at.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a vector that no embedding has the dimensions of, or that has numbers that are not finite;
    /// [`Error::Corrupt`] if an embedding is not what was stored.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// use siltstone::Array;
    /// use siltstone::memory::{Filter, MemoryStore, NewConcept, SearchOptions};
    /// let store = MemoryStore::open(folder.path().join("agent.db"))?;
    /// for (name, x, y) in [("left", -1.0, 0.1), ("right", 1.0, 0.0), ("up", 0.0, 1.0)] {
    ///     let concept = NewConcept::new(name, Array::from_slice(&[x, y]));
    ///     store.store_concept(concept.metadata(format!(r#"{{"flat": {}}}"#, y < 0.5)))?;
    /// }
    /// let options = SearchOptions { filter: Some(Filter::parse(r#"{"flat": true}"#)?), ..Default::default() };
    /// let hits = store.search_similar(&Array::from_slice(&[0.5, 0.5]), 1, &options)?;
    /// assert_eq!(hits[0].item.name, "right");
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn search_similar(
        &self,
        vector: &Array,
        k: usize,
        options: &SearchOptions,
    ) -> Result<Vec<Hit<Concept>>> {
        let sql = format!("SELECT {} FROM concepts WHERE id = ?1", concept::COLUMNS);
        self.search(&self.shared.concepts, vector, k, options, &sql, concept::read)
    }

    /// As [`search_similar`](Self::search_similar), over the episodes that were stored with an embedding.
    ///
    /// # Errors
    /// As [`search_similar`](Self::search_similar).
    pub fn search_similar_episodes(
        &self,
        vector: &Array,
        k: usize,
        options: &SearchOptions,
    ) -> Result<Vec<Hit<Episode>>> {
        let sql = format!("SELECT {} FROM episodes WHERE id = ?1", episode::COLUMNS);
        self.search(&self.shared.episodes, vector, k, options, &sql, episode::read)
    }

    fn search<const EPISODES: bool, T>(
        &self,
        held: &super::changes::Held<Vectors<EPISODES>>,
        vector: &Array,
        k: usize,
        options: &SearchOptions,
        sql: &str,
        read: fn(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<Vec<Hit<T>>> {
        let query = query_of(vector)?;
        let likeness = Likeness { metric: options.metric, query: &query, length: length(&query) };
        held.with(self, &(), |tx, vectors| {
            let Some(group) = vectors.group(&query)? else { return Ok(Vec::new()) };
            let allowed = allowed(tx, vectors, group, options)?;
            let found =
                Vectors::<EPISODES>::nearest(tx, group, &query, k, allowed.as_deref(), &likeness)?;
            let mut hits = Vec::with_capacity(found.len());
            for (at, near) in found {
                let score = if options.metric == Metric::L2 { -near } else { near };
                let item = tx.query_one(sql, [group.ids[at]], read)?;
                hits.extend(item.map(|item| Hit { item, score }));
            }
            Ok(hits)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::NewEpisode;
    use super::*;

    /// Goal: an episode that plain SQL adds after its embedding is found by what is known of it, by a handle that has searched before.
    #[test]
    fn an_episode_may_come_after_its_embedding() {
        let folder = tempfile::tempdir().unwrap();
        let store = MemoryStore::open(folder.path().join("agent.db")).unwrap();
        let vector = Array::from_slice(&[1.0, 2.0]);
        store.store_episodes(vec![NewEpisode::new(1, 0.5, "c").embedding(vector.clone())]).unwrap();
        let found = || {
            let options = SearchOptions { context_hash: Some("late".into()), ..Default::default() };
            let hits = store.search_similar_episodes(&vector, 4, &options).unwrap();
            hits.iter().map(|hit| hit.item.id).collect::<Vec<i64>>()
        };
        assert!(found().is_empty());
        for sql in [
            "INSERT INTO episode_embeddings (episode_id, embedding) SELECT 2, embedding FROM episode_embeddings",
            "INSERT INTO episodes (id, timestamp, experience_data, performance_score, context_hash) \
             SELECT 2, 1.0, experience_data, 0.5, 'late' FROM episodes",
        ] {
            assert!(found().is_empty());
            let db = store.database();
            db.transaction(|| db.execute(sql, &[])).unwrap();
        }
        assert_eq!(found(), [2]);
    }
}
