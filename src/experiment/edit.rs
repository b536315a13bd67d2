//! What becomes of simulations and agents: statuses, deaths, later steps, all of it.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::builtin::SIMULATION_CONFIG;
use super::cell::Cell;
use super::clock::{now_text, text_of};
use super::context::SimulationContext;
use super::database::{ExperimentDatabase, simulation};
use super::log::HealthIncident;
use super::record_table::{self, row_table};
use super::summary::Summary;
use super::{builtin, compact, names, process, write};
use crate::array::shape_json;
use crate::error::{Error, Result};
use crate::kernel::json;
use crate::kernel::{CompactReport, WriteTx};

/// Statuses after which nothing more is expected of a simulation.
pub(super) const FINAL: [&str; 5] = ["completed", "failed", "crashed", "stopped", "cancelled"];

fn check_status(status: &str) -> Result<()> {
    if !status.is_empty() && status.len() <= 50 {
        return Ok(());
    }
    Err(Error::invalid("status", "a text of 1 to 50 bytes", format!("{status:?}")))
}

/// What is changed of the record of a simulation; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct RecordUpdate {
    /// Its status. With `completed`, `failed`, `crashed`, `stopped` or `cancelled` it has ended now.
    pub status: Option<String>,
    /// When it ended, if that is not now.
    pub end_time: Option<SystemTime>,
    /// What came of it, a JSON object.
    pub results_summary: Option<String>,
    /// The file in which it is kept.
    pub simulation_db_path: Option<String>,
}

/// Changes the record; with a status, the reason for it too.
fn set_record(
    tx: &WriteTx<'_>,
    name: &str,
    update: &RecordUpdate,
    error: Option<&str>,
) -> Result<()> {
    let id = simulation(tx, name)?;
    let is_final = update.status.as_deref().is_some_and(|status| FINAL.contains(&status));
    let safe = process::safe_step(tx, id)?.filter(|_| is_final);
    let end = match update.end_time {
        Some(time) => Some(text_of(time)),
        None => is_final.then(now_text),
    };
    let sql = "UPDATE simulations SET status = coalesce(?2, status), \
        results_summary = coalesce(?3, results_summary), end_time = coalesce(?5, end_time), \
        error = CASE WHEN ?2 IS NULL THEN error ELSE ?6 END, safe_step = coalesce(?7, safe_step), \
        process_id = CASE WHEN ?4 THEN NULL ELSE process_id END, \
        simulation_db_path = coalesce(?8, simulation_db_path) WHERE id = ?1";
    let RecordUpdate { status, results_summary, simulation_db_path, .. } = update;
    let values = (id, status, results_summary, is_final, end, error, safe, simulation_db_path);
    tx.execute(sql, values)?;
    tx.seal("simulations", "id = ?1", [id]).map(drop)
}

/// An array in the form in which it is stored.
pub(super) struct StoredArray {
    dtype: String,
    shape: String,
    codec: Option<&'static str>,
    pub(super) checksum: Vec<u8>,
    data: Vec<u8>,
}

impl StoredArray {
    pub(super) fn of(array: &crate::Array) -> Self {
        let (codec, data) = crate::Codec::Auto.encode(array);
        StoredArray {
            dtype: array.dtype().to_string(),
            shape: shape_json(array.shape()),
            codec,
            checksum: crate::array::Checksum::of(array).to_bytes().to_vec(),
            data: data.into_owned(),
        }
    }

    /// Inserts it under a name and a step; one that is there is replaced.
    pub(super) fn insert(&self, tx: &WriteTx<'_>, id: i64, name: &str, step: i64) -> Result<()> {
        let StoredArray { dtype, shape, codec, checksum, data } = self;
        let sql = "INSERT OR REPLACE INTO simulation_array \
            (simulation, name, step, dtype, shape, codec, checksum, data, row_sum) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, silt_row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7))";
        tx.execute(sql, (id, name, step, dtype, shape, codec, checksum, data))?;
        Ok(())
    }
}

impl ExperimentDatabase {
    /// Says what became of a simulation. With `completed`, `failed`, `crashed`, `stopped` or `cancelled` it has ended now;
    /// what waits in its buffers is written first. Without a summary the one that is there stays.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such simulation; [`Error::Invalid`] for a summary that is not a JSON object.
    pub fn update_simulation_status(
        &self,
        simulation_id: &str,
        status: &str,
        results_summary: Option<&str>,
    ) -> Result<()> {
        self.end(simulation_id, status, results_summary, None)
    }

    /// Changes the record of a simulation; what waits in its buffers is written first.
    ///
    /// # Errors
    /// As [`update_simulation_status`](Self::update_simulation_status).
    pub fn update_simulation_record(
        &self,
        simulation_id: &str,
        update: RecordUpdate,
    ) -> Result<()> {
        self.set_record(simulation_id, update, None)
    }

    pub(super) fn end(
        &self,
        simulation_id: &str,
        status: &str,
        summary: Option<&str>,
        error: Option<&str>,
    ) -> Result<()> {
        let update = RecordUpdate {
            status: Some(status.to_owned()),
            results_summary: summary.map(str::to_owned),
            ..RecordUpdate::default()
        };
        self.set_record(simulation_id, update, error)
    }

    fn set_record(
        &self,
        simulation_id: &str,
        mut update: RecordUpdate,
        error: Option<&str>,
    ) -> Result<()> {
        update.status.as_deref().map_or(Ok(()), check_status)?;
        if let Some(text) = &mut update.results_summary {
            *text = json::object("results_summary", text)?.1;
        }
        self.handle.core.flush_simulation(simulation_id)?;
        let (name, error) = (simulation_id.to_owned(), error.map(str::to_owned));
        let is_completed = update.status.as_deref() == Some("completed");
        let compact_when_completed =
            self.handle.core.compact_when_completed.load(Ordering::Relaxed) && is_completed;
        self.database().write(move |tx| {
            super::database::prepare(tx)?;
            set_record(tx, &name, &update, error.as_deref())
        })?;
        if compact_when_completed { self.compact(simulation_id).map(drop) } else { Ok(()) }
    }

    /// Says what became of the experiment. Without a summary the one that is there stays.
    ///
    /// # Errors
    /// [`Error::Invalid`] without an experiment, or for a summary that is not a JSON object.
    pub fn update_experiment_status(
        &self,
        status: &str,
        results_summary: Option<&str>,
    ) -> Result<()> {
        check_status(status)?;
        let summary = results_summary.map(|text| json::object("results_summary", text));
        let summary = summary.transpose()?.map(|(_, text)| text);
        let Some(id) = self.experiment_id().map(str::to_owned) else {
            return Err(Error::invalid("the experiment", "one that was opened by its id", "none"));
        };
        let status = status.to_owned();
        self.database().write(move |tx| {
            super::database::prepare(tx)?;
            let sql = "UPDATE experiments SET status = ?2, last_updated = ?3, \
                results_summary = coalesce(?4, results_summary) WHERE experiment_id = ?1";
            tx.execute(sql, (&id, &status, now_text(), &summary))?;
            tx.seal("experiments", "experiment_id = ?1", [&id]).map(drop)
        })
    }

    /// Removes a simulation with all of its records, in one transaction; how many. Rows that wait here go with it.
    /// [`Database::vacuum`] gives the room back.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such simulation; [`Error::Exists`] if it is running.
    ///
    /// [`Database::vacuum`]: crate::Database::vacuum
    pub fn delete_simulation(&self, simulation_id: &str) -> Result<u64> {
        let name = simulation_id.to_owned();
        let rows = self.database().write(move |tx| {
            super::database::prepare(tx)?;
            process::mark_dead(tx)?;
            let id = simulation(tx, &name)?;
            let sql = "SELECT 1 FROM simulations WHERE id = ?1 AND status = 'running' AND process_id IS NOT NULL";
            if tx.query_one(sql, [id], |_| Ok(()))?.is_some() {
                return Err(Error::Exists {
                    what: format!("simulation {name:?}, running,"),
                    location: String::new(),
                    hint: "give it a final status before it is deleted",
                });
            }
            write::delete(tx, id)
        })?;
        self.handle.core.contexts_of(simulation_id).iter().for_each(|context| context.discard());
        Ok(rows)
    }

    /// Packs the big tables of a simulation into column blocks, in one transaction, or in one for each million of records. They are
    /// read as before. [`Database::vacuum`] gives the room back.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such simulation.
    ///
    /// [`Database::vacuum`]: crate::Database::vacuum
    pub fn compact(&self, simulation_id: &str) -> Result<CompactReport> {
        self.handle.core.flush_simulation(simulation_id)?;
        compact::compact(self.database(), simulation_id)
    }
}

impl SimulationContext {
    /// Marks the simulation as `completed`; what waits is written first.
    ///
    /// # Errors
    /// As [`ExperimentDatabase::update_simulation_status`].
    pub fn complete(&self) -> Result<()> {
        self.database().end(self.simulation_id(), "completed", None, None)
    }

    /// Marks the simulation as `failed`, with the reason; what waits is written first.
    ///
    /// # Errors
    /// As [`ExperimentDatabase::update_simulation_status`].
    pub fn fail(&self, error: &str) -> Result<()> {
        self.database().end(self.simulation_id(), "failed", None, Some(error))
    }

    /// Adds parameters that were not known when it was made.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything but a JSON object; [`Error::Exists`] for a parameter that has another value.
    pub fn log_params(&self, parameters: &str) -> Result<()> {
        let (new, _) = json::object("parameters", parameters)?;
        self.inner.check_open()?;
        let id = self.inner.id;
        self.inner.db().write(move |tx| {
            let sql = "SELECT parameters FROM simulations WHERE id = ?1";
            let text: Option<String> = tx.query_one(sql, [id], |row| Ok(row.get(0)?))?;
            let mut all: Map<String, Value> = json::stored_object(text.as_deref());
            for (name, value) in &new {
                if all.get(name).is_some_and(|known| known != value) {
                    return Err(Error::Exists {
                        what: format!("parameter {name:?} with the value {}", all[name]),
                        location: String::new(),
                        hint: "a parameter keeps its value; log what changes as a metric",
                    });
                }
                all.insert(name.clone(), value.clone());
            }
            let text = Value::Object(all).to_string();
            tx.execute("UPDATE simulations SET parameters = ?2 WHERE id = ?1", (id, text))?;
            tx.seal("simulations", "id = ?1", [id]).map(drop)
        })
    }

    /// Keeps an array under a name and a step; logged again, it replaces.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is empty or too long, a step below 0, and an array of more than
    /// [`MAX_STORED_BYTES`](crate::Array::MAX_STORED_BYTES).
    pub fn log_array(&self, name: &str, step: i64, array: &crate::Array) -> Result<()> {
        super::id::check_id("the name of an array", name)?;
        super::id::check_step(step)?;
        self.inner.check_open()?;
        let location = format!("the array {name:?} of simulation {:?}", self.simulation_id());
        crate::Array::check_stored(location, array.data().len())?;
        let (name, id, array) = (name.to_owned(), self.inner.id, StoredArray::of(array));
        self.inner.db().write(move |tx| array.insert(tx, id, &name, step))
    }

    /// Says that an agent has died, and logs why.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an agent that was not registered; nothing is written.
    pub fn update_agent_death(&self, agent_id: &str, death_time: i64, cause: &str) -> Result<()> {
        super::id::check_step(death_time)?;
        self.inner.check_open()?;
        self.flush_all_buffers()?;
        let (id, agent) = (self.inner.id, agent_id.to_owned());
        self.inner.db().write(move |tx| {
            let not_found = || Error::NotFound {
                what: "agent",
                name: agent.clone(),
                location: "the agents of the simulation".into(),
            };
            let row = names::find(tx, id, &agent)?.ok_or_else(not_found)?;
            let sql = "UPDATE agents_rows SET death_time = ?3 WHERE simulation = ?1 AND row = ?2";
            if tx.execute(sql, (id, row, death_time))? == 0 {
                return Err(not_found());
            }
            tx.seal("agents_rows", "simulation = ?1 AND row = ?2", (id, row)).map(drop)
        })?;
        self.log_health_incident(&HealthIncident {
            step_number: death_time,
            agent_id,
            health_before: 0.0,
            health_after: 0.0,
            cause,
            details: Some("{\"final_state\": \"dead\"}"),
        })
    }

    /// Logs the state of one agent at a step: some of the columns of `agent_states`; its age is the step unless it is
    /// given.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    pub fn update_agent_state(
        &self,
        agent_id: &str,
        step: i64,
        values: &[(&str, Cell<'_>)],
    ) -> Result<()> {
        let mut all = vec![("agent_id", Cell::Text(agent_id)), ("age", Cell::Int(step))];
        all.extend_from_slice(values);
        self.log("agent_states", step, &all)
    }

    /// The configuration that was kept last, as JSON text.
    ///
    /// # Errors
    /// Those of the file.
    pub fn configuration(&self) -> Result<Option<String>> {
        self.flush_all_buffers()?;
        let id = self.inner.id;
        let table = &builtin::all()[SIMULATION_CONFIG].name;
        let sql = format!(
            "SELECT config_data FROM {} WHERE simulation = ?1 ORDER BY row DESC LIMIT 1",
            row_table(table)
        );
        self.inner.db().read(|tx| tx.query_one(&sql, [id], |row| Ok(row.get(0)?)))
    }

    /// How many records of a table the simulation has, those that wait among them.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such table.
    pub fn row_count(&self, table: &str) -> Result<u64> {
        self.flush_all_buffers()?;
        let id = self.inner.id;
        self.inner.db().read(|tx| {
            let not_found = || Error::NotFound {
                what: "table",
                name: table.to_owned(),
                location: String::new(),
            };
            let table = record_table::find(tx, table)?.ok_or_else(not_found)?;
            Ok(u64::try_from(Summary::load(tx, id, &table)?.rows).unwrap_or(0))
        })
    }
}
