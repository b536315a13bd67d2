//! What else is known of the rows that have embeddings: what filters and recall ask for.

use std::collections::HashMap;

use rusqlite::Row;

use crate::error::Result;

/// Facts of the rows of a group, by their position in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Seconds since 1970-01-01 UTC; NaN for a row that is not there.
    pub(super) times: Vec<f64>,
    pub(super) scores: Vec<f64>,
    contexts: Vec<u32>,
    pub(super) metadata: Vec<Box<str>>,
    /// Names of contexts, each once.
    names: HashMap<String, u32>,
}

/// A row of the file.
pub(super) struct Fact {
    pub(super) id: i64,
    time: f64,
    score: f64,
    context: Box<str>,
    metadata: Box<str>,
}

impl Fact {
    /// The query for all, and the name of their id.
    pub(super) const fn select(is_of_episodes: bool) -> (&'static str, &'static str) {
        match is_of_episodes {
            true => (
                "SELECT v.episode_id, e.timestamp, e.performance_score, e.context_hash, e.metadata \
                 FROM episode_embeddings v JOIN episodes e ON e.id = v.episode_id",
                "v.episode_id",
            ),
            false => ("SELECT c.id, c.creation_time, 0.0, '', c.metadata FROM concepts c", "c.id"),
        }
    }

    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        let context = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
        let metadata = row.get_ref(4)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        Ok(Fact {
            id: row.get(0)?,
            time: row.get(1)?,
            score: row.get(2)?,
            context: context.into(),
            metadata: metadata.unwrap_or("{}").into(),
        })
    }
}

impl Facts {
    /// Of so many rows, of which nothing is known yet.
    pub(super) fn new(n: usize) -> Self {
        let mut facts = Facts::default();
        (0..n).for_each(|_| facts.push());
        facts
    }

    /// Makes room for one row more.
    pub(super) fn push(&mut self) {
        self.times.push(f64::NAN);
        self.scores.push(0.0);
        self.contexts.push(u32::MAX);
        self.metadata.push("{}".into());
    }

    pub(super) fn set(&mut self, at: usize, fact: Fact) {
        let next = self.names.len() as u32;
        let context = match self.names.get(&*fact.context) {
            Some(number) => *number,
            None => *self.names.entry(fact.context.into()).or_insert(next),
        };
        self.times[at] = fact.time;
        self.scores[at] = fact.score;
        self.contexts[at] = context;
        self.metadata[at] = fact.metadata;
    }

    /// Removes a row; the last one takes its place.
    pub(super) fn remove(&mut self, at: usize) {
        self.times.swap_remove(at);
        self.scores.swap_remove(at);
        self.contexts.swap_remove(at);
        self.metadata.swap_remove(at);
    }

    /// The number of a context, which [`is_of`](Self::is_of) takes.
    pub(super) fn context(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    pub(super) fn is_of(&self, at: usize, context: u32) -> bool {
        self.contexts[at] == context
    }
}
