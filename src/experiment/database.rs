//! A file of experiments and their simulations.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::clock::{now_ms, now_text};
use super::config::LoggingConfig;
// Each has the other: a database flushes the simulations that are open, and each of them writes through it.
use super::context::{Inner, SimulationContext};
use super::id::check_id;
use super::record_table::{self, RecordTable};
use super::{MIGRATIONS, builtin, process, provenance, write};
use crate::error::{Error, Result};
use crate::kernel::json;
use crate::kernel::{Database, Node, WriteTx};

/// How often it is looked whether rows have waited long enough.
const TICK: Duration = Duration::from_millis(250);
/// How often a process says that it lives.
const BEAT: Duration = Duration::from_secs(10);

/// Many simulations in one file. Clones share everything; so may other processes.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use siltstone::experiment::{Cell, ExperimentDatabase, SimulationOptions};
/// let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "exp_001")?;
/// for (run, rate) in [0.1, 0.2].into_iter().enumerate() {
///     let options = SimulationOptions::default().parameters(&serde_json::json!({"rate": rate}))?;
///     let sim = db.create_simulation_context(&format!("sim_{run}"), options)?;
///     for step in 0..10 {
///         sim.log_metric("population", 100.0 + rate * step as f64, Some(step))?;
///     }
///     sim.complete()?;
/// }
/// assert_eq!(db.simulation_ids()?, ["sim_0", "sim_1"]);
/// db.close()?;
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExperimentDatabase {
    pub(super) handle: Arc<Handle>,
}

/// What ends with the last one that holds it.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) core: Arc<Core>,
    stop: Mutex<Option<Sender<()>>>,
    ticker: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) db: Database,
    experiment_id: Option<String>,
    /// The number of this process in the file, once it has a simulation.
    process: Mutex<Option<i64>>,
    contexts: Mutex<Vec<Weak<Inner>>>,
    pub(super) compact_when_completed: AtomicBool,
}

/// How a simulation is made.
#[derive(Debug, Clone, Default)]
pub struct SimulationOptions {
    pub(super) parameters: Option<String>,
    pub(super) logging: LoggingConfig,
    pub(super) facts: Map<String, Value>,
    pub(super) without_provenance: bool,
}

impl SimulationOptions {
    /// Its parameters: a struct or a map. Floats keep what JSON does not have: NaN and infinities.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else.
    pub fn parameters(self, parameters: &impl serde::Serialize) -> Result<Self> {
        self.parameters_json(&Node::of("parameters", parameters)?.to_json())
    }

    /// Its parameters as JSON text; `NaN` and `Infinity` as Python writes them are taken.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything but an object.
    pub fn parameters_json(mut self, text: &str) -> Result<Self> {
        self.parameters = Some(json::object("parameters", text)?.1);
        Ok(self)
    }

    /// When rows go into the file.
    pub fn logging(mut self, logging: LoggingConfig) -> Self {
        self.logging = logging;
        self
    }

    /// Facts about the run, which come before those that are found without being told.
    pub fn facts(mut self, facts: Map<String, Value>) -> Self {
        self.facts = facts;
        self
    }

    /// Whether command line, machine and code are written down; they are unless this says no.
    pub fn provenance(mut self, yes: bool) -> Self {
        self.without_provenance = !yes;
        self
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ExperimentDatabase {
    /// Opens a file, or makes it, and joins the experiment, or makes it.
    ///
    /// # Errors
    /// As [`Builder::open`](crate::Builder::open), and as [`over`](Self::over).
    pub fn open(path: impl AsRef<Path>, experiment_id: &str) -> Result<Self> {
        Self::over(Database::builder(path).open()?, Some(experiment_id))
    }

    /// Opens a file for reading only, all experiments of it.
    ///
    /// # Errors
    /// As [`Builder::open_read_only`](crate::Builder::open_read_only).
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        Self::over(Database::builder(path).open_read_only()?, None)
    }

    /// The experiments of a file that is open. With an id, the experiment is made if it is not there; simulations
    /// that are made belong to it. Simulations whose process has died are marked `crashed`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id that is empty or too long; [`Error::TooNew`] if a newer Siltstone wrote it. The file
    /// is as it was.
    pub fn over(db: Database, experiment_id: Option<&str>) -> Result<Self> {
        if let Some(id) = experiment_id {
            check_id("experiment_id", id)?;
        }
        db.migrate(&MIGRATIONS)?;
        let id = experiment_id.map(str::to_owned);
        let core = Arc::new(Core {
            db,
            experiment_id: id.clone(),
            process: Mutex::new(None),
            contexts: Mutex::default(),
            compact_when_completed: AtomicBool::new(false),
        });
        let (mut stop, mut ticker) = (None, None);
        if !core.db.is_read_only() {
            core.db.write(move |tx| {
                prepare(tx)?;
                if let Some(id) = &id {
                    join(tx, id)?;
                }
                for name in process::mark_dead(tx)? {
                    tracing::warn!(
                        simulation = name,
                        "its process has died: it is marked as crashed"
                    );
                }
                Ok(())
            })?;
            let (sender, receiver) = channel();
            let ticking = Arc::clone(&core);
            let thread =
                std::thread::Builder::new().name("siltstone-experiment".into()).spawn(move || {
                    let mut beaten = Instant::now();
                    while let Err(RecvTimeoutError::Timeout) = receiver.recv_timeout(TICK) {
                        ticking.flush_what_waits();
                        if beaten.elapsed() >= BEAT {
                            beaten = Instant::now();
                            ticking.beat();
                        }
                    }
                });
            let thread = thread.map_err(|e| Error::io(core.db.path(), "starting its clock", &e))?;
            (stop, ticker) = (Some(sender), Some(thread));
        }
        let handle = Handle { core, stop: Mutex::new(stop), ticker: Mutex::new(ticker) };
        Ok(ExperimentDatabase { handle: Arc::new(handle) })
    }

    /// The file.
    pub fn database(&self) -> &Database {
        &self.handle.core.db
    }

    /// Whether a simulation that is marked as `completed` here is [compacted](Self::compact) at once; not unless this says
    /// so.
    pub fn compact_when_completed(&self, yes: bool) {
        self.handle.core.compact_when_completed.store(yes, Ordering::Relaxed);
    }

    /// The experiment that simulations which are made here belong to.
    pub fn experiment_id(&self) -> Option<&str> {
        self.handle.core.experiment_id.as_deref()
    }

    /// Makes a simulation, with the status `running`. What the run was is written down: parameters, seed, command
    /// line, machine, version of the code; nothing of the environment.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is one of that id in the file; [`resume`](Self::resume) goes on with it.
    pub fn create_simulation_context(
        &self,
        simulation_id: &str,
        options: SimulationOptions,
    ) -> Result<SimulationContext> {
        check_id("simulation_id", simulation_id)?;
        options.logging.check()?;
        let facts = match options.without_provenance {
            true => options.facts,
            false => provenance::collect(options.facts),
        };
        let parameters = options.parameters.unwrap_or_else(|| "{}".into());
        let mut facts = facts;
        if let Some(seed) = json::stored_object(Some(&parameters)).get("seed") {
            facts.entry("seed").or_insert_with(|| seed.clone());
        }
        let facts = (!facts.is_empty()).then(|| Value::Object(facts).to_string());
        let (name, experiment) = (simulation_id.to_owned(), self.handle.core.experiment_id.clone());
        let path = self.database().path().display().to_string();
        let known = *lock(&self.handle.core.process);
        let (id, process) = self.database().write(move |tx| {
            prepare(tx)?;
            let taken = "SELECT status FROM simulations WHERE simulation_id = ?1";
            if let Some(status) = tx.query_one(taken, [&name], |row| Ok(row.get::<_, String>(0)?))? {
                return Err(Error::Exists {
                    what: format!("simulation {name:?} ({status})"),
                    location: String::new(),
                    hint: "resume it, delete it, or give this one another id",
                });
            }
            let process = own_process(tx, known)?;
            let sql = "INSERT INTO simulations (simulation_id, experiment_id, start_time, status, parameters, \
                simulation_db_path, provenance, process_id) VALUES (?1, ?2, ?3, 'running', ?4, ?5, ?6, ?7)";
            let id = tx.insert(
                sql,
                (&name, &experiment, now_text(), &parameters, &path, &facts, process),
            )?;
            tx.seal("simulations", "id = ?1", [id])?;
            Ok((id, process))
        })?;
        *lock(&self.handle.core.process) = Some(process);
        self.context(id, simulation_id, options.logging)
    }

    /// Goes on with a simulation, whatever its status: it is `running` again. With a step, what was logged of this and
    /// later steps is removed, in one transaction. A context that logged it here until now writes what waits and is closed
    /// before.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such simulation; [`Error::Exists`] if a living process of another handle has
    /// it open.
    pub fn resume(
        &self,
        simulation_id: &str,
        from_step: Option<i64>,
        logging: LoggingConfig,
    ) -> Result<SimulationContext> {
        logging.check()?;
        from_step.map_or(Ok(()), super::id::check_step)?;
        for context in self.handle.core.contexts_of(simulation_id) {
            context.close("was resumed: log with the context that resume gave")?;
        }
        let name = simulation_id.to_owned();
        let known = *lock(&self.handle.core.process);
        let (id, process) = self.database().write(move |tx| {
            prepare(tx)?;
            process::mark_dead(tx)?;
            let id = simulation(tx, &name)?;
            let sql = "SELECT process_id FROM simulations WHERE id = ?1 AND status = 'running'";
            let holder: Option<i64> = tx.query_one(sql, [id], |row| Ok(row.get(0)?))?.flatten();
            if holder.is_some_and(|holder| Some(holder) != known) {
                return Err(Error::Exists {
                    what: format!("simulation {name:?}, running in a process that lives,"),
                    location: String::new(),
                    hint: "wait until it has ended, or finish it where it is open",
                });
            }
            if let Some(step) = from_step {
                write::truncate(tx, id, step)?;
            }
            let process = own_process(tx, known)?;
            let sql = "UPDATE simulations SET status = 'running', end_time = NULL, error = NULL, \
                safe_step = NULL, process_id = ?2 WHERE id = ?1";
            tx.execute(sql, (id, process))?;
            tx.seal("simulations", "id = ?1", [id])?;
            Ok((id, process))
        })?;
        *lock(&self.handle.core.process) = Some(process);
        self.context(id, simulation_id, logging)
    }

    pub(super) fn context(
        &self,
        id: i64,
        simulation_id: &str,
        logging: LoggingConfig,
    ) -> Result<SimulationContext> {
        let tables = self.database().read(record_table::tables)?;
        let context =
            SimulationContext::new(Arc::clone(&self.handle), id, simulation_id, logging, tables);
        let mut contexts = lock(&self.handle.core.contexts);
        contexts.retain(|context| context.strong_count() > 0);
        contexts.push(context.downgrade());
        Ok(context)
    }

    /// Writes what waits in the buffers of all simulations that are open here.
    ///
    /// # Errors
    /// The first one; the rows of that simulation are still in memory.
    pub fn flush_all_buffers(&self) -> Result<()> {
        self.handle.core.flush_all()
    }

    /// Flushes, and marks simulations that are still `running` here as `stopped`. Contexts that are still held log
    /// nothing any more: that is [`Error::Closed`].
    ///
    /// # Errors
    /// As [`flush_all_buffers`](Self::flush_all_buffers).
    pub fn close(&self) -> Result<()> {
        if self.database().is_read_only() {
            return Ok(());
        }
        self.handle.core.flush_all()?;
        for context in self.handle.core.live() {
            context.close("belongs to a database that was closed")?;
        }
        self.handle.core.let_go()
    }
}

/// Makes the tables.
pub(super) fn prepare(tx: &mut WriteTx<'_>) -> Result<()> {
    #[derive(Default)]
    struct Prepared(bool);
    let prepared: Prepared = tx.take();
    if !prepared.0 {
        tx.ensure(&MIGRATIONS)?;
        for schema in builtin::all() {
            record_table::define(tx, &schema)?;
        }
    }
    tx.put(Prepared(true));
    Ok(())
}

/// Makes the experiment if it is not there.
pub(super) fn join(tx: &WriteTx<'_>, id: &str) -> Result<()> {
    let now = now_text();
    let sql = "INSERT INTO experiments (experiment_id, name, description, creation_date, last_updated, status) \
        VALUES (?1, ?2, '', ?3, ?3, 'running') ON CONFLICT DO NOTHING";
    if tx.execute(sql, (id, format!("Experiment {id}"), now))? > 0 {
        tx.seal("experiments", "experiment_id = ?1", [id])?;
    }
    Ok(())
}

/// The number of this process in the file.
fn own_process(tx: &WriteTx<'_>, known: Option<i64>) -> Result<i64> {
    if let Some(known) = known {
        let sql = "UPDATE experiment_process SET heartbeat_ms = ?2, closed_ms = NULL WHERE id = ?1";
        if tx.execute(sql, (known, now_ms()))? == 1 {
            return Ok(known);
        }
    }
    process::register(tx)
}

/// The number of a simulation.
pub(super) fn simulation(tx: &crate::kernel::ReadTx<'_>, name: &str) -> Result<i64> {
    let not_found =
        || Error::NotFound { what: "simulation", name: name.to_owned(), location: String::new() };
    if !crate::kernel::table_exists(tx, "simulations")? {
        return Err(not_found());
    }
    let sql = "SELECT id FROM simulations WHERE simulation_id = ?1";
    tx.query_one(sql, [name], |row| Ok(row.get(0)?))?.ok_or_else(not_found)
}

impl Core {
    fn live(&self) -> Vec<Arc<Inner>> {
        lock(&self.contexts).iter().filter_map(Weak::upgrade).collect()
    }

    fn flush_all(&self) -> Result<()> {
        self.live().iter().try_for_each(|context| context.flush())
    }

    /// The contexts of one simulation that are open here.
    pub(super) fn contexts_of(&self, simulation_id: &str) -> Vec<Arc<Inner>> {
        let mut live = self.live();
        live.retain(|context| context.simulation_id == simulation_id);
        live
    }

    /// Writes what waits of one simulation, if it is open here.
    pub(super) fn flush_simulation(&self, simulation_id: &str) -> Result<()> {
        self.contexts_of(simulation_id).iter().try_for_each(|context| context.flush())
    }

    fn flush_what_waits(&self) {
        for context in self.live() {
            if let Err(error) = context.flush_by_clock() {
                tracing::warn!(%error, "rows wait in memory: they could not be written");
            }
        }
    }

    fn beat(&self) {
        let Some(id) = *lock(&self.process) else { return };
        if let Err(error) = self.db.write(move |tx| process::beat(tx, id)) {
            tracing::warn!(%error, "the file was not told that this process lives");
        }
    }

    fn let_go(&self) -> Result<()> {
        let mut process = lock(&self.process);
        if let Some(id) = *process {
            self.db.write(move |tx| process::close(tx, id))?;
            *process = None;
        }
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        drop(lock(&self.stop).take());
        if let Some(thread) = lock(&self.ticker).take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the clock of an experiment panicked");
        }
        if !self.core.db.is_read_only()
            && let Err(error) = self.core.let_go()
        {
            tracing::error!(%error, "the file was not told that this process lets it go");
        }
    }
}

/// The tables of records by name, for a context.
pub(super) type Tables = Vec<Arc<RecordTable>>;
