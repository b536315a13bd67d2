//! Learning events: which strategy was used for what, and by how much it helped.

use rusqlite::Row;

use super::store::{MemoryStore, finite, json_text, now, number, sql_limit};
use crate::error::Result;
use crate::kernel::{Node, WriteTx};

/// A learning event as it is stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LearningEvent {
    /// Its number, never used again.
    pub id: i64,
    /// What was to be learned.
    pub task_type: String,
    /// By how much it went better.
    pub performance_delta: f64,
    /// How it was gone about.
    pub strategy_used: String,
    /// Seconds since 1970-01-01 UTC.
    pub timestamp: f64,
    /// The strategy's parameters: JSON text.
    pub parameters: String,
}

/// A learning event that is to be stored.
#[derive(Debug, Clone)]
pub struct NewLearningEvent {
    task_type: String,
    performance_delta: f64,
    strategy_used: String,
    timestamp: Option<f64>,
    parameters: Option<String>,
}

impl NewLearningEvent {
    /// What was to be learned, by how much it went better, and how it was gone about.
    pub fn new(
        task_type: impl Into<String>,
        performance_delta: f64,
        strategy_used: impl Into<String>,
    ) -> Self {
        NewLearningEvent {
            task_type: task_type.into(),
            performance_delta,
            strategy_used: strategy_used.into(),
            timestamp: None,
            parameters: None,
        }
    }

    /// When it was, in seconds since 1970-01-01 UTC; the time of storing unless said.
    pub fn timestamp(mut self, seconds: f64) -> Self {
        self.timestamp = Some(seconds);
        self
    }

    /// The strategy's parameters: JSON text of an object.
    pub fn parameters(mut self, json: impl Into<String>) -> Self {
        self.parameters = Some(json.into());
        self
    }

    /// As [`parameters`](Self::parameters), of a struct or a map of yours.
    ///
    /// # Errors
    /// What the type itself refuses.
    pub fn parameters_of(self, value: &impl serde::Serialize) -> Result<Self> {
        Ok(self.parameters(Node::of("parameters", value)?.to_json()))
    }
}

/// What becomes other of a learning event; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct LearningEventUpdate {
    /// By how much it went better.
    pub performance_delta: Option<f64>,
    /// How it was gone about.
    pub strategy_used: Option<String>,
    /// JSON text of its parameters.
    pub parameters: Option<String>,
}

/// How well a strategy did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Strategy {
    /// The strategy.
    pub strategy: String,
    /// The mean of its events' deltas.
    pub average_delta: f64,
    /// How many events that is.
    pub uses: u64,
}

struct Prepared {
    task_type: String,
    performance_delta: f64,
    strategy_used: String,
    timestamp: f64,
    parameters: String,
}

impl Prepared {
    fn of(event: NewLearningEvent) -> Result<Self> {
        Ok(Prepared {
            task_type: event.task_type,
            performance_delta: number("performance_delta", event.performance_delta)?,
            strategy_used: event.strategy_used,
            timestamp: finite("timestamp", event.timestamp.unwrap_or_else(now))?,
            parameters: json_text("parameters", event.parameters)?,
        })
    }

    fn insert(&self, tx: &WriteTx<'_>) -> Result<i64> {
        tx.insert(
            "INSERT INTO learning_events (task_type, performance_delta, strategy_used, timestamp, parameters, \
             row_sum) VALUES (?1, ?2, ?3, ?4, ?5, silt_row_sum(?1, ?2, ?3, ?4, ?5))",
            (
                &self.task_type,
                self.performance_delta,
                &self.strategy_used,
                self.timestamp,
                &self.parameters,
            ),
        )
    }
}

const COLUMNS: &str = "id, task_type, performance_delta, strategy_used, timestamp, parameters";

fn read(row: &Row<'_>) -> Result<LearningEvent> {
    Ok(LearningEvent {
        id: row.get(0)?,
        task_type: row.get(1)?,
        performance_delta: row.get(2)?,
        strategy_used: row.get(3)?,
        timestamp: row.get(4)?,
        parameters: row.get::<_, Option<String>>(5)?.unwrap_or_else(|| "{}".into()),
    })
}

impl MemoryStore {
    /// Stores a learning event; its id.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a delta that is not a number, a time that is not finite, or parameters
    /// that are no object: nothing is written.
    pub fn store_learning_event(&self, event: NewLearningEvent) -> Result<i64> {
        let event = Prepared::of(event)?;
        self.write(move |tx| event.insert(tx))
    }

    /// Stores learning events in one transaction, all or none; their ids in the same order.
    ///
    /// # Errors
    /// As [`store_learning_event`](Self::store_learning_event).
    pub fn store_learning_events(&self, events: Vec<NewLearningEvent>) -> Result<Vec<i64>> {
        let events = events.into_iter().map(Prepared::of).collect::<Result<Vec<_>>>()?;
        self.write(move |tx| events.iter().map(|event| event.insert(tx)).collect())
    }

    /// The latest learning events of a task, at most `limit`, of a delta of at least `min_performance_delta`; the latest
    /// first, of one time the one that was stored last.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if `min_performance_delta` is NaN.
    pub fn learning_events_by_task(
        &self,
        task_type: &str,
        limit: usize,
        min_performance_delta: Option<f64>,
    ) -> Result<Vec<LearningEvent>> {
        let least =
            number("min_performance_delta", min_performance_delta.unwrap_or(f64::NEG_INFINITY))?;
        let sql = format!(
            "SELECT {COLUMNS} FROM learning_events WHERE task_type = ?1 AND performance_delta >= ?2 \
             ORDER BY timestamp DESC, id DESC LIMIT ?3"
        );
        self.read(|tx| tx.query(&sql, (task_type, least, sql_limit(limit)), read))
    }

    /// The strategies of a task by their mean delta, the best first, then the most used, then by name. As documented, only
    /// events that helped count; `include_negative` counts all, and so gives the mean of all uses.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read.
    pub fn best_strategies(
        &self,
        task_type: &str,
        limit: usize,
        include_negative: bool,
    ) -> Result<Vec<Strategy>> {
        let sql = "SELECT strategy_used, avg(performance_delta), count(*) FROM learning_events \
            WHERE task_type = ?1 AND (?2 OR performance_delta > 0) GROUP BY strategy_used";
        let mut all = self.read(|tx| {
            tx.query(sql, (task_type, include_negative), |row| {
                let (strategy, average_delta) = (row.get(0)?, row.get(1)?);
                Ok(Strategy { strategy, average_delta, uses: row.get::<_, i64>(2)? as u64 })
            })
        })?;
        all.sort_by(|a, b| {
            let by_delta = b.average_delta.total_cmp(&a.average_delta);
            by_delta.then(b.uses.cmp(&a.uses)).then_with(|| a.strategy.cmp(&b.strategy))
        });
        all.truncate(limit);
        Ok(all)
    }

    /// Changes a learning event; whether it is there.
    ///
    /// # Errors
    /// As [`store_learning_event`](Self::store_learning_event); then nothing is changed.
    pub fn update_learning_event(&self, id: i64, update: LearningEventUpdate) -> Result<bool> {
        let delta = update.performance_delta.map(|d| number("performance_delta", d)).transpose()?;
        let parameters = update.parameters.map(|p| json_text("parameters", Some(p))).transpose()?;
        let strategy = update.strategy_used;
        self.write(move |tx| {
            let changed = tx.execute(
                "UPDATE learning_events SET performance_delta = coalesce(?2, performance_delta), \
                 strategy_used = coalesce(?3, strategy_used), parameters = coalesce(?4, parameters) WHERE id = ?1",
                (id, delta, &strategy, &parameters),
            )?;
            tx.seal("learning_events", "id = ?1", [id])?;
            Ok(changed == 1)
        })
    }

    /// Removes learning events; how many were there.
    ///
    /// # Errors
    /// As any write.
    pub fn delete_learning_events(&self, ids: &[i64]) -> Result<usize> {
        let ids = ids.to_vec();
        self.write(move |tx| {
            let remove = |id: &i64| tx.execute("DELETE FROM learning_events WHERE id = ?1", [id]);
            ids.iter().map(remove).sum()
        })
    }
}
