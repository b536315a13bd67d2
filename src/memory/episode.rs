//! Episodes: an experience, how well it went, and in what context.

use bytes::Bytes;
use rusqlite::Row;

use super::payload::Payload;
use super::retention;
use super::store::{MemoryStore, finite, json_text, now, number, sql_limit, stored_payload};
use super::vector;
use crate::array::Array;
use crate::error::{Error, Result};
use crate::kernel::{Node, WriteTx};

/// An episode as it is stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Episode {
    /// Its number, never used again.
    pub id: i64,
    /// Seconds since 1970-01-01 UTC.
    pub timestamp: f64,
    /// The bytes of its [`Payload`].
    pub experience_data: Bytes,
    /// How well it went.
    pub performance_score: f64,
    /// In what context.
    pub context_hash: String,
    /// What else is known of it: JSON text.
    pub metadata: String,
}

impl Episode {
    /// The experience.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for what is no payload: a pickle of another program.
    pub fn data(&self) -> Result<Payload> {
        Payload::decode(self.experience_data.clone())
    }
}

/// An episode that is to be stored.
#[derive(Debug, Clone)]
pub struct NewEpisode {
    experience: Payload,
    performance_score: f64,
    context_hash: String,
    timestamp: Option<f64>,
    metadata: Option<String>,
    embedding: Option<Array>,
    priority: Option<f64>,
}

impl NewEpisode {
    /// An experience, its score and its context; stored with the time of storing.
    pub fn new(
        experience: impl Into<Payload>,
        performance_score: f64,
        context_hash: impl Into<String>,
    ) -> Self {
        NewEpisode {
            experience: experience.into(),
            performance_score,
            context_hash: context_hash.into(),
            timestamp: None,
            metadata: None,
            embedding: None,
            priority: None,
        }
    }

    /// When it was, in seconds since 1970-01-01 UTC.
    pub fn timestamp(mut self, seconds: f64) -> Self {
        self.timestamp = Some(seconds);
        self
    }

    /// What else is known of it: JSON text of an object.
    pub fn metadata(mut self, json: impl Into<String>) -> Self {
        self.metadata = Some(json.into());
        self
    }

    /// As [`metadata`](Self::metadata), of a struct or a map of yours.
    ///
    /// # Errors
    /// What the type itself refuses.
    pub fn metadata_of(self, value: &impl serde::Serialize) -> Result<Self> {
        Ok(self.metadata(Node::of("metadata", value)?.to_json()))
    }

    /// Where it lies among others, for [search](MemoryStore::search_similar_episodes) and
    /// [recall](MemoryStore::recall).
    pub fn embedding(mut self, vector: Array) -> Self {
        self.embedding = Some(vector);
        self
    }

    /// How much is to be learned from it, for [replay](MemoryStore::sample_episodes); 1 unless said.
    pub fn priority(mut self, priority: f64) -> Self {
        self.priority = Some(priority);
        self
    }
}

/// What becomes other of an episode; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct EpisodeUpdate {
    /// When it was.
    pub timestamp: Option<f64>,
    /// The experience.
    pub experience: Option<Payload>,
    /// How well it went.
    pub performance_score: Option<f64>,
    /// In what context.
    pub context_hash: Option<String>,
    /// JSON text of what else is known of it.
    pub metadata: Option<String>,
    /// Where it lies among others.
    pub embedding: Option<Array>,
}

/// An episode that can be written: all that can fail has been done.
struct Prepared {
    timestamp: f64,
    experience: Vec<u8>,
    performance_score: f64,
    context_hash: String,
    metadata: String,
    embedding: Option<Vec<u8>>,
    priority: Option<f64>,
}

impl Prepared {
    fn of(episode: NewEpisode) -> Result<Self> {
        Ok(Prepared {
            timestamp: finite("timestamp", episode.timestamp.unwrap_or_else(now))?,
            experience: episode.experience.encode()?,
            performance_score: number("performance_score", episode.performance_score)?,
            context_hash: episode.context_hash,
            metadata: json_text("metadata", episode.metadata)?,
            embedding: episode.embedding.map(|v| vector::encode("embedding", v)).transpose()?,
            priority: episode.priority.map(priority).transpose()?,
        })
    }

    fn insert(&self, tx: &WriteTx<'_>) -> Result<i64> {
        let id = tx.insert(
            "INSERT INTO episodes (timestamp, experience_data, performance_score, context_hash, metadata, \
             created_at, row_sum) VALUES (?1, ?2, ?3, ?4, ?5, julianday('now'), \
             silt_row_sum(?1, ?3, ?4, ?5, julianday('now')))",
            (
                self.timestamp,
                &self.experience,
                self.performance_score,
                &self.context_hash,
                &self.metadata,
            ),
        )?;
        if let Some(embedding) = &self.embedding {
            let sql = "INSERT INTO episode_embeddings VALUES (?1, ?2, silt_row_sum(?1))";
            tx.insert(sql, (id, embedding))?;
        }
        if let Some(priority) = self.priority {
            let sql = "INSERT INTO episode_priorities VALUES (?1, ?2, silt_row_sum(?1, ?2))";
            tx.insert(sql, (id, priority))?;
        }
        Ok(id)
    }
}

/// A priority that can be sampled by.
pub(super) fn priority(priority: f64) -> Result<f64> {
    match priority.is_finite() && priority >= 0.0 {
        true => Ok(priority),
        false => Err(Error::invalid(
            "priority",
            "a finite number that is not negative",
            priority.to_string(),
        )),
    }
}

pub(super) const COLUMNS: &str =
    "id, timestamp, experience_data, performance_score, context_hash, metadata";

/// A row of [`COLUMNS`].
pub(super) fn read(row: &Row<'_>) -> Result<Episode> {
    let id = row.get(0)?;
    let bytes = row.get_ref(2)?.as_bytes().map_err(rusqlite::Error::from)?;
    Ok(Episode {
        id,
        timestamp: row.get(1)?,
        experience_data: stored_payload("episodes", id, bytes)?,
        performance_score: row.get(3)?,
        context_hash: row.get(4)?,
        metadata: row.get::<_, Option<String>>(5)?.unwrap_or_else(|| "{}".into()),
    })
}

impl MemoryStore {
    /// Stores an episode; its id.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a score that is not a number, a time that is not finite, metadata that is no object, or an
    /// experience or embedding that cannot be encoded: nothing is written.
    pub fn store_episode(&self, episode: NewEpisode) -> Result<i64> {
        let episode = Prepared::of(episode)?;
        self.choose_pages(episode.experience.len())?;
        self.write(move |tx| {
            let id = episode.insert(tx)?;
            retention::after_store(tx, [episode.context_hash.as_str()])?;
            Ok(id)
        })
    }

    /// Stores episodes in one transaction, all or none; their ids in the same order.
    ///
    /// # Errors
    /// As [`store_episode`](Self::store_episode).
    pub fn store_episodes(&self, episodes: Vec<NewEpisode>) -> Result<Vec<i64>> {
        let episodes = episodes.into_iter().map(Prepared::of).collect::<Result<Vec<_>>>()?;
        let Some(first) = episodes.first() else { return Ok(Vec::new()) };
        self.choose_pages(first.experience.len())?;
        self.write(move |tx| {
            let ids = episodes.iter().map(|episode| episode.insert(tx)).collect::<Result<_>>()?;
            retention::after_store(tx, episodes.iter().map(|e| e.context_hash.as_str()))?;
            Ok(ids)
        })
    }

    /// The episode of an id.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if its experience is not what was stored.
    pub fn retrieve_episode(&self, id: i64) -> Result<Option<Episode>> {
        let sql = format!("SELECT {COLUMNS} FROM episodes WHERE id = ?1");
        self.read(|tx| tx.query_one(&sql, [id], read))
    }

    /// The latest episodes of a context, at most `limit`, of a score of at least `min_score`; the latest first, of one
    /// time the one that was stored last.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `min_score` is NaN; [`Error::Corrupt`] if an experience is not what was stored.
    pub fn episodes_by_context(
        &self,
        context_hash: &str,
        limit: usize,
        min_score: Option<f64>,
    ) -> Result<Vec<Episode>> {
        let limit = sql_limit(limit);
        let order = "ORDER BY timestamp DESC, id DESC LIMIT ?2";
        self.read(|tx| match min_score {
            None => {
                let sql = format!("SELECT {COLUMNS} FROM episodes WHERE context_hash = ?1 {order}");
                tx.query(&sql, (context_hash, limit), read)
            }
            Some(score) => {
                let score = number("min_score", score)?;
                let sql = format!(
                    "SELECT {COLUMNS} FROM episodes WHERE context_hash = ?1 AND performance_score >= ?3 {order}"
                );
                tx.query(&sql, (context_hash, limit, score), read)
            }
        })
    }

    /// The latest episodes of the last `time_window` seconds, and of what is still to come; the latest first.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `time_window` is NaN; [`Error::Corrupt`] if an experience is not what was stored.
    pub fn recent_episodes(&self, time_window: f64, limit: usize) -> Result<Vec<Episode>> {
        let since = now() - number("time_window", time_window)?;
        let sql = format!(
            "SELECT {COLUMNS} FROM episodes WHERE timestamp >= ?1 ORDER BY timestamp DESC, id DESC LIMIT ?2"
        );
        self.read(|tx| tx.query(&sql, (since, sql_limit(limit)), read))
    }

    /// Changes an episode; whether it is there.
    ///
    /// # Errors
    /// As [`store_episode`](Self::store_episode); then nothing is changed.
    pub fn update_episode(&self, id: i64, update: EpisodeUpdate) -> Result<bool> {
        let timestamp = update.timestamp.map(|t| finite("timestamp", t)).transpose()?;
        let experience = update.experience.map(|e| e.encode()).transpose()?;
        let score = update.performance_score.map(|s| number("performance_score", s)).transpose()?;
        let embedding = update.embedding.map(|v| vector::encode("embedding", v)).transpose()?;
        let metadata = update.metadata.map(|m| json_text("metadata", Some(m))).transpose()?;
        let context = update.context_hash;
        self.write(move |tx| {
            let changed = tx.execute(
                "UPDATE episodes SET timestamp = coalesce(?2, timestamp), \
                 experience_data = coalesce(?3, experience_data), \
                 performance_score = coalesce(?4, performance_score), \
                 context_hash = coalesce(?5, context_hash), metadata = coalesce(?6, metadata) WHERE id = ?1",
                (id, timestamp, &experience, score, &context, &metadata),
            )?;
            tx.seal("episodes", "id = ?1", [id])?;
            if let (1, Some(embedding)) = (changed, &embedding) {
                tx.execute(
                    "INSERT INTO episode_embeddings VALUES (?1, ?2, silt_row_sum(?1)) ON CONFLICT (episode_id) \
                     DO UPDATE SET embedding = excluded.embedding, row_sum = excluded.row_sum",
                    (id, embedding),
                )?;
            }
            if let Some(context) = &context {
                retention::forget(tx);
                retention::after_store(tx, [context.as_str()])?;
            }
            Ok(changed == 1)
        })
    }

    /// Removes episodes; how many were there. [`Database::vacuum`](crate::Database::vacuum) gives the room back.
    ///
    /// # Errors
    /// As any write.
    pub fn delete_episodes(&self, ids: &[i64]) -> Result<usize> {
        let ids = ids.to_vec();
        self.write(move |tx| {
            retention::forget(tx);
            let remove = |id: &i64| tx.execute("DELETE FROM episodes WHERE id = ?1", [id]);
            ids.iter().map(remove).sum()
        })
    }
}
