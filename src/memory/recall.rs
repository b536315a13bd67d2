//! What comes to mind: by age, by how well it went, and by likeness.

use super::episode::{self, Episode};
use super::facts::Facts;
use super::filter::Filter;
use super::search::{SearchOptions, allowed, cosine, cosine_slope, query_of};
use super::store::{MemoryStore, finite, now};
use super::vector;
use super::vectors::{Group, Measure, Vectors};
use crate::array::Array;
use crate::error::{Error, Result};

/// How much each term counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecallWeights {
    /// Of recency: 1 for what is now, a half for what is one half-life old.
    pub recency: f64,
    /// Of importance: the performance score as it is stored.
    pub importance: f64,
    /// Of relevance: the cosine between the query and the embedding.
    pub relevance: f64,
}

impl Default for RecallWeights {
    fn default() -> Self {
        RecallWeights { recency: 1.0, importance: 1.0, relevance: 1.0 }
    }
}

/// How episodes are recalled.
#[derive(Debug, Clone)]
pub struct RecallOptions {
    /// How much each term counts.
    pub weights: RecallWeights,
    /// Seconds after which recency is half as much; a day unless said.
    pub half_life: f64,
    /// The time from which age is counted; the present unless said. What is later has recency 1.
    pub now: Option<f64>,
    /// Only episodes of this context.
    pub context_hash: Option<String>,
    /// A condition on the metadata.
    pub filter: Option<Filter>,
    /// Only episodes of this time or later.
    pub since: Option<f64>,
    /// Only episodes that are earlier.
    pub until: Option<f64>,
}

impl Default for RecallOptions {
    fn default() -> Self {
        RecallOptions {
            weights: RecallWeights::default(),
            half_life: 86_400.0,
            now: None,
            context_hash: None,
            filter: None,
            since: None,
            until: None,
        }
    }
}

/// An episode that came to mind, and why.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recollection {
    /// The episode.
    pub episode: Episode,
    /// The sum of the three terms, each times its weight.
    pub score: f64,
    /// A half to the power of age by half-life.
    pub recency: f64,
    /// The performance score.
    pub importance: f64,
    /// The cosine.
    pub relevance: f64,
}

struct Mind<'a> {
    query: &'a [f64],
    facts: &'a Facts,
    length: f64,
    weights: RecallWeights,
    half_life: f64,
    now: f64,
}

impl Mind<'_> {
    fn recency(&self, time: f64) -> f64 {
        (-(self.now - time).max(0.0) / self.half_life).exp2()
    }

    fn offset(&self, at: usize) -> f64 {
        // A score without an end would make a sum that is no number.
        let score = self.facts.scores[at].clamp(-1e150, 1e150);
        self.weights.recency * self.recency(self.facts.times[at]) + self.weights.importance * score
    }
}

impl Measure for Mind<'_> {
    fn linear(&self, group: &Group, at: usize) -> (f64, f64, f64) {
        let slope = cosine_slope(f64::from(group.lengths[at]), self.length);
        let offset = self.offset(at);
        (slope * self.weights.relevance, offset, offset.abs() * 1e-13)
    }

    fn exact(&self, at: usize, row: &[f64]) -> f64 {
        self.offset(at) + self.weights.relevance * cosine(self.query, row)
    }
}

impl MemoryStore {
    /// The `k` episodes that come to mind first at the sight of a vector, of those that were stored with an embedding: by a
    /// sum of recency, importance and relevance, the largest first, of equals that of the lower id. Each term is given.
    ///
    /// The terms are added and not multiplied: an old episode that fits is still found.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a half-life that is not positive, a weight that is not finite, and as
    /// [`search_similar`](Self::search_similar).
    pub fn recall(
        &self,
        vector: &Array,
        k: usize,
        options: &RecallOptions,
    ) -> Result<Vec<Recollection>> {
        let query = query_of(vector)?;
        let RecallWeights { recency, importance, relevance } = options.weights;
        for (what, weight) in
            [("recency", recency), ("importance", importance), ("relevance", relevance)]
        {
            finite(&format!("the weight of {what}"), weight)?;
        }
        if options.half_life.is_nan() || options.half_life <= 0.0 {
            let got = options.half_life.to_string();
            return Err(Error::invalid("half_life", "seconds, more than 0", got));
        }
        let now = finite("now", options.now.unwrap_or_else(now))?;
        let which = SearchOptions {
            filter: options.filter.clone(),
            context_hash: options.context_hash.clone(),
            since: options.since,
            until: options.until,
            ..SearchOptions::default()
        };
        let sql = format!("SELECT {} FROM episodes WHERE id = ?1", episode::COLUMNS);
        self.shared.episodes.with(self, &(), |tx, vectors| {
            let Some(group) = vectors.group(&query)? else { return Ok(Vec::new()) };
            let allowed = allowed(tx, vectors, group, &which)?;
            let mind = Mind {
                query: &query,
                facts: vectors.facts(tx, group)?,
                length: vector::length(&query),
                weights: options.weights,
                half_life: options.half_life,
                now,
            };
            let found = Vectors::<true>::nearest(tx, group, &query, k, allowed.as_deref(), &mind)?;
            let mut all = Vec::with_capacity(found.len());
            for (at, score) in found {
                let Some(episode) = tx.query_one(&sql, [group.ids[at]], episode::read)? else {
                    continue;
                };
                let mut relevance = 0.0;
                Vectors::<true>::stored(tx, group, [at], |_, row| relevance = cosine(&query, row))?;
                all.push(Recollection {
                    recency: mind.recency(mind.facts.times[at]),
                    importance: episode.performance_score,
                    relevance,
                    episode,
                    score,
                });
            }
            Ok(all)
        })
    }
}
