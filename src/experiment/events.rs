//! Events of the crate `tracing` beside the metrics of a run.

use std::cell::Cell as ThreadCell;
use std::fmt::{Debug, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::cell::Cell;
use super::context::SimulationContext;
use super::schema::RecordSchema;
use crate::error::Result;

/// The table, which `siltstone.integrations.logging` of Python has too.
const TABLE: &str = "run_events";
const COLUMNS: [(&str, &str); 4] =
    [("time_ms", "int64"), ("level", "category"), ("logger", "category"), ("message", "text")];

thread_local! {
    /// Whether this thread is storing an event: what that emits is not stored.
    static IS_BUSY: ThreadCell<bool> = const { ThreadCell::new(false) };
}

/// A layer of `tracing` that stores events as records of a simulation: rows of `run_events`, with `time_ms`, `level`, `logger` (the
/// event's target) and `message`, as Python's `logging` has them there: a warning is `WARNING`. Events that `tracing-log` makes of
/// the crate `log` have the target of their record.
///
/// The fields of an event stand behind its message, `name=value` each; one called `step`, 0 or more, is the step of its row. Events of
/// Siltstone itself are left out, since storing them would make new ones. An event waits for the same lock as other records of
/// the simulation. What cannot be stored, and an event whose values panic when they are shown, is [counted](RunEvents::dropped).
/// What waits is written as other records are: at the end of the simulation, and of the last handle on it, which may be the layer.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use siltstone::experiment::{ExperimentDatabase, RunLayer};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "sweep")?;
/// let run = db.create_simulation_context("run 1", Default::default())?;
/// let layer = RunLayer::new(&run)?;
/// let events = layer.events();
/// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
///     events.set_step(3);
///     tracing::warn!(target: "solver", residual = 0.5, "did not converge");
/// });
/// run.complete()?;
/// let sql = "SELECT message FROM run_events WHERE level = 'WARNING' AND step = 3";
/// let rows = db.database().sql(sql)?.rows;
/// assert_eq!(rows, [[siltstone::Value::Text("did not converge residual=0.5".into())]]);
/// assert_eq!(events.dropped(), 0);
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug)]
pub struct RunLayer {
    context: SimulationContext,
    events: RunEvents,
}

/// The step of events to come, and the number of those that were not stored; clones share them.
#[derive(Debug, Clone, Default)]
pub struct RunEvents {
    shared: Arc<(AtomicI64, AtomicU64)>,
}

impl RunEvents {
    /// Sets the step of events to come that have none of their own; 0 at the beginning.
    pub fn set_step(&self, step: i64) {
        self.shared.0.store(step, Ordering::Relaxed);
    }

    /// How many events were not stored.
    pub fn dropped(&self) -> u64 {
        self.shared.1.load(Ordering::Relaxed)
    }
}

impl RunLayer {
    /// A layer for a simulation. The table is made if it is not there.
    ///
    /// # Errors
    /// As [`define_table`](SimulationContext::define_table).
    pub fn new(context: &SimulationContext) -> Result<Self> {
        context.define_table(&RecordSchema::new(TABLE, &COLUMNS)?)?;
        Ok(RunLayer { context: context.clone(), events: RunEvents::default() })
    }

    /// What the layer shares with whoever runs the simulation.
    pub fn events(&self) -> RunEvents {
        self.events.clone()
    }

    fn store(&self, event: &Event<'_>) -> Result<()> {
        let metadata = event.metadata();
        let step = self.events.shared.0.load(Ordering::Relaxed);
        let mut text = EventText { is_log: metadata.target() == "log", step, ..Default::default() };
        event.record(&mut text);
        let target = text.target.as_deref().unwrap_or(metadata.target());
        if is_own(target) {
            return Ok(());
        }
        text.text.push_str(&text.fields);
        let level = match *metadata.level() {
            Level::WARN => "WARNING",
            other => other.as_str(),
        };
        let values = [
            ("time_ms", Cell::Int(jiff::Timestamp::now().as_millisecond())),
            ("level", Cell::Text(level)),
            ("logger", Cell::Text(target)),
            ("message", Cell::Text(text.text.trim_start())),
        ];
        self.context.log(TABLE, text.step, &values)
    }
}

impl<S: Subscriber> Layer<S> for RunLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if is_own(event.metadata().target()) {
            return;
        }
        let stored = match IS_BUSY.replace(true) {
            true => None,
            false => {
                let stored = catch_unwind(AssertUnwindSafe(|| self.store(event)));
                IS_BUSY.set(false);
                stored.ok().and_then(Result::ok)
            }
        };
        if stored.is_none() {
            self.events.shared.1.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn is_own(target: &str) -> bool {
    target == "siltstone" || target.starts_with("siltstone::")
}

/// The message of an event, then its fields.
#[derive(Default)]
struct EventText {
    text: String,
    fields: String,
    step: i64,
    /// Whether it is a record of the crate `log`, whose own target is in a field.
    is_log: bool,
    target: Option<String>,
}

impl Visit for EventText {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "log.target" if self.is_log => self.target = Some(value.to_owned()),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        match field.name() {
            "step" if value >= 0 => self.step = value,
            _ => self.record_debug(field, &value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            Err(_) => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // A String takes all that is written.
        let _ = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name if self.is_log && name.starts_with("log.") => Ok(()),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::experiment::ExperimentDatabase;

    /// Goal: an event that the storing of another one emits is counted, and waits for nothing.
    #[test]
    fn an_event_within_an_event_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let db = ExperimentDatabase::open(folder.path().join("run.db"), "events").unwrap();
        let run = db.create_simulation_context("run", Default::default()).unwrap();
        let layer = RunLayer::new(&run).unwrap();
        let events = layer.events();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            IS_BUSY.set(true);
            tracing::info!(target: "a", "within");
            IS_BUSY.set(false);
            tracing::info!(target: "a", "after");
        });
        assert_eq!((events.dropped(), run.buffered().0), (1, 1));
    }
}
