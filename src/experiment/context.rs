//! One simulation that is being logged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use arrow_array::RecordBatch;

use super::buffer::TableBuffer;
use super::cell::Cell;
use super::config::LoggingConfig;
use super::database::{Handle, Tables};
use super::id::check_step;
use super::names::Names;
use super::record_table::{self, RecordTable};
use super::schema::RecordSchema;
use super::{arrow_in, write};
use crate::error::{Error, Result};
use crate::kernel::{Database, Durability, lock};

/// What is said of a context whose simulation is not in the file any more.
const DELETED: &str = "was deleted; rows that waited are gone with it";

/// A simulation that is being logged. Clones and threads share it; rows wait in memory, by columns, until they are
/// written in one transaction. The last clone writes what waits when it goes out of scope.
#[derive(Debug, Clone)]
pub struct SimulationContext {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) handle: Arc<Handle>,
    /// The file, with the durability of this simulation.
    db: Database,
    /// The number of the simulation in the file.
    pub(super) id: i64,
    pub(super) simulation_id: String,
    config: LoggingConfig,
    state: Mutex<State>,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) names: Names,
    pub(super) tables: Vec<TableBuffer>,
    /// Steps whose states wait.
    pub(super) logged_steps: Vec<i64>,
    /// The next step of a metric that is logged without one.
    pub(super) next_steps: HashMap<String, i64>,
    pub(super) rows: usize,
    /// Since when the oldest row waits.
    since: Option<Instant>,
    /// Whether what waited could not be written when its time came: the next call that logs tries, and gets the error.
    failed: bool,
    /// Why it takes no rows any more.
    closed: Option<&'static str>,
}

impl State {
    /// The index of a table among the buffers.
    pub(super) fn table(&self, name: &str) -> Option<usize> {
        self.tables.iter().position(|buffer| buffer.table.schema.name == name)
    }

    pub(super) fn table_or_error(&self, name: &str) -> Result<usize> {
        self.table(name).ok_or_else(|| Error::NotFound {
            what: "table",
            name: name.to_owned(),
            location: "the tables of records; define_table makes one".into(),
        })
    }

    /// Appends a row.
    pub(super) fn push(&mut self, table: usize, step: i64, cells: &[Cell<'_>]) -> Result<()> {
        self.tables[table].push(step, cells, &mut self.names)?;
        self.rows += 1;
        Ok(())
    }

    /// Appends the rows of a batch.
    pub(super) fn push_batch(
        &mut self,
        table: usize,
        step: Option<i64>,
        batch: &RecordBatch,
    ) -> Result<()> {
        arrow_in::push(&mut self.tables[table], &mut self.names, step, batch)?;
        self.rows += batch.num_rows();
        Ok(())
    }

    /// Runs `work`, and takes back what it appended if it fails.
    pub(super) fn all_or_nothing(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let before: Vec<usize> = self.tables.iter().map(TableBuffer::rows).collect();
        let result = work(self);
        if result.is_err() {
            for (buffer, rows) in self.tables.iter_mut().zip(before) {
                buffer.truncate(rows);
            }
            self.rows = self.tables.iter().map(TableBuffer::rows).sum();
        }
        result
    }

    fn clear(&mut self) {
        self.tables.iter_mut().for_each(|buffer| buffer.truncate(0));
        self.logged_steps.clear();
        (self.rows, self.since, self.failed) = (0, None, false);
    }

    fn bytes(&self) -> usize {
        self.tables.iter().map(TableBuffer::bytes).sum()
    }
}

impl SimulationContext {
    pub(super) fn new(
        handle: Arc<Handle>,
        id: i64,
        simulation_id: &str,
        config: LoggingConfig,
        tables: Tables,
    ) -> Self {
        let state = State {
            tables: tables.into_iter().map(TableBuffer::new).collect(),
            ..State::default()
        };
        let db = handle.core.db.with_durability(config.durability);
        let simulation_id = simulation_id.to_owned();
        let inner = Inner { handle, db, id, simulation_id, config, state: Mutex::new(state) };
        SimulationContext { inner: Arc::new(inner) }
    }

    pub(super) fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.inner)
    }

    /// The id of the simulation.
    pub fn simulation_id(&self) -> &str {
        &self.inner.simulation_id
    }

    /// The database that it is in.
    pub fn database(&self) -> super::ExperimentDatabase {
        super::ExperimentDatabase { handle: Arc::clone(&self.inner.handle) }
    }

    /// The same simulation with a buffer of its own, whose rows go into the file at other times.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a buffer or an interval of 0; [`Error::Closed`] if this one is closed.
    pub fn with_logging(&self, logging: LoggingConfig) -> Result<Self> {
        logging.check()?;
        self.inner.check_open()?;
        self.database().context(self.inner.id, self.simulation_id(), logging)
    }

    /// When its rows go into the file.
    pub fn logging(&self) -> &LoggingConfig {
        &self.inner.config
    }

    /// Rows that wait in memory, and the bytes that they take.
    pub fn buffered(&self) -> (usize, usize) {
        let state = self.inner.lock();
        (state.rows, state.bytes())
    }

    /// Writes what waits, in one transaction.
    ///
    /// # Errors
    /// Those of the file: [`Error::Busy`], [`Error::Io`] on a full disk. The rows are still in memory then, and the next
    /// flush tries again.
    pub fn flush_all_buffers(&self) -> Result<()> {
        self.inner.flush()
    }

    /// Writes what waits if it has waited for the commit interval or is as much as the buffer size.
    ///
    /// # Errors
    /// As [`flush_all_buffers`](Self::flush_all_buffers).
    pub fn flush_if_needed(&self) -> Result<()> {
        self.inner.flush_if_due()
    }

    /// Makes a table of records in the file, unless it is there. All simulations of the file share it.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is one of that name with other columns, or of another kind; [`Error::Invalid`] for a name
    /// that a store needs for itself, in this file or another.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # use siltstone::experiment::{Cell, ExperimentDatabase, RecordSchema, Selection};
    /// let db = ExperimentDatabase::open(folder.path().join("heat.db"), "heat")?;
    /// let sim = db.create_simulation_context("sim_0", Default::default())?;
    /// sim.define_table(&RecordSchema::new("temperature", &[("x", "float64"), ("celsius", "float64")])?)?;
    /// sim.log("temperature", 0, &[("x", Cell::Float(0.5)), ("celsius", Cell::Float(21.25))])?;
    /// assert_eq!(sim.read("temperature", &Selection::all())?.collect_batches()?[0].num_rows(), 1);
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn define_table(&self, schema: &RecordSchema) -> Result<()> {
        self.define_tables(std::slice::from_ref(schema))
    }

    /// Defines tables of records, all of them or none.
    ///
    /// # Errors
    /// As [`define_table`](Self::define_table), for the first that is refused; then none is made.
    pub fn define_tables(&self, schemas: &[RecordSchema]) -> Result<()> {
        let mut state = self.inner.lock_to_log()?;
        let is_new = |schema: &&RecordSchema| {
            let known = state.table(&schema.name).map(|index| &state.tables[index].table.schema);
            known != Some(*schema)
        };
        let new: Vec<RecordSchema> = schemas.iter().filter(is_new).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let tables = self.inner.db.write(move |tx| {
            super::database::prepare(tx)?;
            new.iter()
                .map(|schema| record_table::define_own(tx, schema))
                .collect::<Result<Vec<_>>>()
        })?;
        for table in tables {
            if state.table(&table.schema.name).is_none() {
                state.tables.push(TableBuffer::new(table));
            }
        }
        Ok(())
    }

    /// Logs one record: a value for each column that has one.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a table or column that is not there; [`Error::Invalid`] and [`Error::InvalidType`] for a
    /// value that does not fit, and a step below 0. Nothing of the record is kept then.
    pub fn log(&self, table: &str, step: i64, values: &[(&str, Cell<'_>)]) -> Result<()> {
        check_step(step)?;
        self.inner.push_one(|state| {
            let index = state.table_or_error(table)?;
            let cells = by_column(&state.tables[index].table, values)?;
            state.push(index, step, &cells)
        })
    }

    /// Logs many records of one table: a row each. Without a step, the batch has it as a column of its name.
    ///
    /// # Errors
    /// As [`log`](Self::log), for the first record that does not fit; then none is kept.
    pub fn log_batch(&self, table: &str, step: Option<i64>, batch: &RecordBatch) -> Result<()> {
        step.map_or(Ok(()), check_step)?;
        self.inner.push(|state| {
            let index = state.table_or_error(table)?;
            state.push_batch(index, step, batch)
        })
    }

    /// The tables of records that it can log to.
    pub fn tables(&self) -> Vec<RecordSchema> {
        self.inner.lock().tables.iter().map(|buffer| buffer.table.schema.clone()).collect()
    }
}

/// The cells in the order of the columns.
pub(super) fn by_column<'a>(
    table: &RecordTable,
    values: &[(&str, Cell<'a>)],
) -> Result<Vec<Cell<'a>>> {
    let schema = &table.schema;
    let mut cells = vec![Cell::Null; schema.columns.len()];
    for (name, cell) in values {
        let index = schema.position(name).ok_or_else(|| {
            let names: Vec<&str> =
                schema.columns.iter().map(|column| column.name.as_str()).collect();
            Error::invalid(
                format!("a column of {}", schema.name),
                names.join(", "),
                format!("{name:?}"),
            )
        })?;
        cells[index] = *cell;
    }
    Ok(cells)
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for a call that can be cancelled: another thread holds it while it waits for the file.
    fn lock_to_write(&self) -> Result<MutexGuard<'_, State>> {
        lock(&self.state, "waiting for another thread's rows to be written")
    }

    /// The same for a call that logs.
    fn lock_to_log(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.lock_to_write()?;
        if let Some(why) = state.closed {
            return Err(self.closed(why));
        }
        if state.failed {
            self.flush_locked(&mut state)?;
        }
        Ok(state)
    }

    /// An error if it takes no rows any more.
    pub(super) fn check_open(&self) -> Result<()> {
        self.lock_to_log().map(drop)
    }

    fn closed(&self, why: &'static str) -> Error {
        Error::Closed { what: format!("the context of simulation {:?}", self.simulation_id), why }
    }

    /// Writes what waits; from then on it takes no rows.
    pub(super) fn close(&self, why: &'static str) -> Result<()> {
        let mut state = self.lock_to_write()?;
        self.flush_locked(&mut state)?;
        state.closed = Some(why);
        Ok(())
    }

    /// Lets the rows go that wait: their simulation was deleted.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.clear();
        state.closed = Some(DELETED);
    }

    pub(super) fn db(&self) -> &Database {
        &self.db
    }

    /// Appends rows, all or none, and writes what waits once there are enough.
    pub(super) fn push(&self, work: impl FnOnce(&mut State) -> Result<()>) -> Result<()> {
        self.push_one(|state| state.all_or_nothing(work))
    }

    /// As [`push`](Self::push), of one row: `work` appends it or fails.
    pub(super) fn push_one(&self, work: impl FnOnce(&mut State) -> Result<()>) -> Result<()> {
        let mut state = self.lock_to_log()?;
        work(&mut state)?;
        state.since.get_or_insert_with(Instant::now);
        if state.rows >= self.config.buffer_size || self.is_too_large(&state) {
            self.flush_locked(&mut state)?;
        }
        Ok(())
    }

    /// Looks at the bytes only now and then.
    fn is_too_large(&self, state: &State) -> bool {
        let limit = self.config.buffer_bytes.filter(|_| state.rows.is_multiple_of(64));
        limit.is_some_and(|limit| state.bytes() > limit)
    }

    /// Appends the rows of a step, all or none; they are committed when it returns unless rows may wait.
    pub(super) fn push_step(
        &self,
        step: i64,
        work: impl FnOnce(&mut State) -> Result<()>,
    ) -> Result<()> {
        let mut state = self.lock_to_log()?;
        let waits = state.logged_steps.contains(&step);
        if waits {
            // What waits of this step goes only if the new one is right.
            self.flush_locked(&mut state)?;
        }
        state.all_or_nothing(work)?;
        state.logged_steps.push(step);
        state.since.get_or_insert_with(Instant::now);
        if self.config.durability != Durability::Buffered || self.is_due(&state) {
            self.flush_locked(&mut state)?;
        }
        Ok(())
    }

    fn is_due(&self, state: &State) -> bool {
        state.rows >= self.config.buffer_size
            || self.config.buffer_bytes.is_some_and(|limit| state.bytes() > limit)
            || state.since.is_some_and(|since| since.elapsed() >= self.config.commit_interval)
    }

    pub(super) fn flush(&self) -> Result<()> {
        let mut state = self.lock_to_write()?;
        self.flush_locked(&mut state)
    }

    pub(super) fn flush_if_due(&self) -> Result<()> {
        let mut state = self.lock_to_write()?;
        if self.is_due(&state) { self.flush_locked(&mut state) } else { Ok(()) }
    }

    /// As [`flush_if_due`](Self::flush_if_due), by the clock, where nobody gets the error: the next call that logs does.
    pub(super) fn flush_by_clock(&self) -> Result<()> {
        let mut state = self.lock_to_write()?;
        if !self.is_due(&state) {
            return Ok(());
        }
        let flushed = self.flush_locked(&mut state);
        // A file that another process holds for long is waited for, and no failure of a call.
        state.failed = flushed.as_ref().is_err_and(|error| !matches!(error, Error::Busy { .. }));
        flushed
    }

    /// Writes what waits. What is in memory is let go only after the commit; or if the simulation was deleted, which is an
    /// error once.
    pub(super) fn flush_locked(&self, state: &mut State) -> Result<()> {
        if state.rows == 0 {
            return Ok(());
        }
        let (id, shared) = (self.id, Arc::new(Mutex::new(std::mem::take(state))));
        let writing = Arc::clone(&shared);
        let take_back = |shared: &Mutex<State>| {
            std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let written = self.db.write(move |tx| {
            let state = writing.lock().unwrap_or_else(PoisonError::into_inner);
            write::write(tx, id, &state.names, &state.tables, &state.logged_steps)
        });
        *state = take_back(&shared);
        let Some(stored) = written? else {
            state.clear();
            state.closed = Some(DELETED);
            return Err(self.closed(DELETED));
        };
        state.names.stored(stored);
        state.clear();
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            let rows = self.lock().rows;
            tracing::error!(%error, rows, simulation = self.simulation_id, "rows were lost: they could not be written");
        }
    }
}
