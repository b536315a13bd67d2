//! What a simulation of agents logs: the documented calls.

use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;

use super::builtin::{self, OTHER_METRICS};
use super::cell::Cell;
use super::clock::now_ms;
use super::context::{SimulationContext, State};
use super::id::{check_id, check_step};
use super::record_table::RecordTable;
use super::stored::{StoredRows, Wanted};
use super::{names, read};
use crate::error::{Error, Result};

/// The state of an agent: agent_id, position_x, position_y, resource_level, current_health, starting_health,
/// starvation_counter, is_defending, total_reward, age.
pub type AgentRow<'a> = [Cell<'a>; 10];

/// The state of a resource: resource_id, amount, position_x, position_y.
pub type ResourceRow<'a> = [Cell<'a>; 4];

/// The state of an agent at a step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[allow(missing_docs, reason = "the fields are the documented columns")]
pub struct AgentState<'a> {
    pub agent_id: &'a str,
    pub position_x: f64,
    pub position_y: f64,
    pub resource_level: f64,
    pub current_health: f64,
    pub starting_health: f64,
    pub starvation_counter: i64,
    pub is_defending: bool,
    pub total_reward: f64,
    pub age: i64,
}

impl<'a> From<AgentState<'a>> for AgentRow<'a> {
    fn from(state: AgentState<'a>) -> Self {
        [
            state.agent_id.into(),
            state.position_x.into(),
            state.position_y.into(),
            state.resource_level.into(),
            state.current_health.into(),
            state.starting_health.into(),
            state.starvation_counter.into(),
            state.is_defending.into(),
            state.total_reward.into(),
            state.age.into(),
        ]
    }
}

/// An agent, when it comes into the world.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Agent<'a> {
    /// Its id, of its own in the simulation.
    pub agent_id: &'a str,
    /// The step in which it came.
    pub birth_time: i64,
    /// What kind it is.
    pub agent_type: &'a str,
    /// Where it is.
    pub position: (f64, f64),
    /// What it has.
    pub initial_resources: f64,
    /// Its health.
    pub starting_health: f64,
    /// Its genome.
    pub genome_id: Option<&'a str>,
    /// How many ancestors it has, in a line.
    pub generation: i64,
    /// The weights of its actions, a JSON object.
    pub action_weights: Option<&'a str>,
}

/// What an agent did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AgentAction<'a> {
    /// When.
    pub step_number: i64,
    /// Who.
    pub agent_id: &'a str,
    /// What.
    pub action_type: &'a str,
    /// To whom.
    pub action_target_id: Option<&'a str>,
    /// What it got for it.
    pub reward: Option<f64>,
    /// More of it, as JSON.
    pub details: Option<&'a str>,
    /// The kind of module that decided it.
    pub module_type: Option<&'a str>,
    /// The module that decided it.
    pub module_id: Option<&'a str>,
}

/// Something that changed the health of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HealthIncident<'a> {
    /// When.
    pub step_number: i64,
    /// Whose.
    pub agent_id: &'a str,
    /// Its health before.
    pub health_before: f64,
    /// Its health after.
    pub health_after: f64,
    /// Why.
    pub cause: &'a str,
    /// More of it, as JSON.
    pub details: Option<&'a str>,
}

/// The states of a step as tables, with the documented columns; a table that is left out has no rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepTables<'a> {
    /// Of `agent_states`.
    pub agents: Option<&'a RecordBatch>,
    /// Of `resource_states`.
    pub resources: Option<&'a RecordBatch>,
}

impl SimulationContext {
    /// Logs a step: the states of all agents and resources, and numbers about the whole. A step that is logged again
    /// replaces what was logged of it. A metric that has no column in `simulation_steps` is kept too: a number as in
    /// [`log_metric`](Self::log_metric), anything else in the column `other_metrics`.
    ///
    /// Unless the durability is `buffered` the step, and all that waited before it, is committed when this returns.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::InvalidType`] for a value that does not fit: nothing of the step is kept. Those of
    /// the file, as of [`flush_all_buffers`](Self::flush_all_buffers): the step is in memory then.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # use siltstone::experiment::{AgentState, Cell, ExperimentDatabase};
    /// # let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "exp_001")?;
    /// let sim = db.create_simulation_context("sim_000", Default::default())?;
    /// let agent = AgentState { agent_id: "agent_1", current_health: 90.0, ..Default::default() };
    /// let resources = [["spring".into(), 7.5.into(), 0.0.into(), 1.0.into()]];
    /// sim.log_step(0, [agent], resources, &[("total_agents", Cell::Int(1))])?;
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn log_step<'a, A, R>(
        &self,
        step: i64,
        agents: impl IntoIterator<Item = A>,
        resources: impl IntoIterator<Item = R>,
        metrics: &[(&str, Cell<'_>)],
    ) -> Result<()>
    where
        A: Into<AgentRow<'a>>,
        R: Into<ResourceRow<'a>>,
    {
        let agents = agents.into_iter().map(|row| Ok(row.into()));
        self.try_log_step(step, agents, resources.into_iter().map(|row| Ok(row.into())), metrics)
    }

    /// As [`log_step`](Self::log_step), of rows that may fail to be there; then nothing of the step is kept.
    ///
    /// # Errors
    /// As [`log_step`](Self::log_step), and the first error among the rows.
    pub fn try_log_step<'a, E: From<Error>>(
        &self,
        step: i64,
        agents: impl IntoIterator<Item = Result<AgentRow<'a>, E>>,
        resources: impl IntoIterator<Item = Result<ResourceRow<'a>, E>>,
        metrics: &[(&str, Cell<'_>)],
    ) -> Result<(), E> {
        let mut other = None;
        let logged = self.begin_step(step, metrics, |state| {
            for row in agents {
                let [id, x, y, rest @ ..] = match row {
                    Ok(row) => row,
                    Err(error) => return Err(stash(&mut other, error)),
                };
                let [resources, health, start, starving, defends, reward, age] = rest;
                let cells = [
                    id,
                    x,
                    y,
                    Cell::Null,
                    resources,
                    health,
                    start,
                    starving,
                    defends,
                    reward,
                    age,
                ];
                state.push(builtin::AGENT_STATES, step, &cells)?;
            }
            for row in resources {
                match row {
                    Ok(row) => state.push(builtin::RESOURCE_STATES, step, &row)?,
                    Err(error) => return Err(stash(&mut other, error)),
                }
            }
            Ok(())
        });
        match other {
            Some(error) => Err(error),
            None => Ok(logged?),
        }
    }

    /// As [`log_step`](Self::log_step), of tables.
    ///
    /// # Errors
    /// As [`log_step`](Self::log_step), and [`Error::Invalid`] for a column that is not documented.
    pub fn log_step_tables(
        &self,
        step: i64,
        tables: StepTables<'_>,
        metrics: &[(&str, Cell<'_>)],
    ) -> Result<()> {
        self.begin_step(step, metrics, |state| {
            if let Some(batch) = tables.agents {
                state.push_batch(builtin::AGENT_STATES, Some(step), batch)?;
            }
            if let Some(batch) = tables.resources {
                state.push_batch(builtin::RESOURCE_STATES, Some(step), batch)?;
            }
            Ok(())
        })
    }

    fn begin_step(
        &self,
        step: i64,
        metrics: &[(&str, Cell<'_>)],
        states: impl FnOnce(&mut State) -> Result<()>,
    ) -> Result<()> {
        check_step(step)?;
        self.inner.push_step(step, |state| {
            states(state)?;
            push_metrics(state, step, metrics)
        })
    }

    /// Registers an agent; one that is registered already is replaced.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    pub fn log_agent(&self, agent: &Agent<'_>) -> Result<()> {
        self.log_agents_batch(std::slice::from_ref(agent))
    }

    /// Registers agents, all or none.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    pub fn log_agents_batch(&self, agents: &[Agent<'_>]) -> Result<()> {
        agents.iter().try_for_each(|agent| check_step(agent.birth_time))?;
        self.inner.push(|state| {
            agents.iter().try_for_each(|agent| {
                let cells = [
                    agent.agent_id.into(),
                    Cell::Null,
                    agent.agent_type.into(),
                    agent.position.0.into(),
                    agent.position.1.into(),
                    agent.initial_resources.into(),
                    agent.starting_health.into(),
                    agent.genome_id.into(),
                    agent.generation.into(),
                    agent.action_weights.into(),
                ];
                state.push(builtin::AGENTS, agent.birth_time, &cells)
            })
        })
    }

    /// Logs what an agent did. It waits in memory until enough rows do, a step is committed, or it is flushed.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    pub fn log_agent_action(&self, action: &AgentAction<'_>) -> Result<()> {
        check_step(action.step_number)?;
        let target = action.action_target_id.filter(|id| !id.is_empty());
        self.inner.push_one(|state| {
            let cells = [
                action.agent_id.into(),
                action.action_type.into(),
                target.into(),
                action.reward.into(),
                action.details.into(),
                action.module_type.into(),
                action.module_id.into(),
            ];
            state.push(builtin::AGENT_ACTIONS, action.step_number, &cells)
        })
    }

    /// Logs a resource as it is before the first step.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    pub fn log_resource(
        &self,
        resource_id: &str,
        initial_amount: f64,
        position: (f64, f64),
    ) -> Result<()> {
        let cells =
            [resource_id.into(), initial_amount.into(), position.0.into(), position.1.into()];
        self.inner.push_one(|state| state.push(builtin::RESOURCE_STATES, 0, &cells))
    }

    /// Logs what changed the health of an agent.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    pub fn log_health_incident(&self, incident: &HealthIncident<'_>) -> Result<()> {
        check_step(incident.step_number)?;
        let cells = [
            incident.agent_id.into(),
            incident.health_before.into(),
            incident.health_after.into(),
            incident.cause.into(),
            incident.details.into(),
        ];
        self.inner
            .push_one(|state| state.push(builtin::HEALTH_INCIDENTS, incident.step_number, &cells))
    }

    /// Keeps a configuration, a JSON object; the latest one counts.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is none.
    pub fn save_configuration(&self, config: &str) -> Result<()> {
        let (_, config) = crate::kernel::json::object("the configuration", config)?;
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let cells = [Cell::Int(seconds as i64), Cell::Text(&config)];
        self.inner.push_one(|state| state.push(builtin::SIMULATION_CONFIG, 0, &cells))?;
        self.flush_all_buffers()
    }

    /// Logs a number of a name. Without a step, it is the one behind the last of this name, 0 first; logged again at
    /// the same step, it replaces.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    pub fn log_metric(&self, name: &str, value: f64, step: Option<i64>) -> Result<()> {
        self.log_metrics(&[(name, value)], step)
    }

    /// Logs numbers of one step, all or none.
    ///
    /// # Errors
    /// As [`log`](Self::log).
    pub fn log_metrics(&self, metrics: &[(&str, f64)], step: Option<i64>) -> Result<()> {
        step.map_or(Ok(()), check_step)?;
        if step.is_none() {
            for (name, _) in metrics {
                self.find_next_step(name)?;
            }
        }
        let time = now_ms();
        let work = |state: &mut State| {
            for (name, value) in metrics {
                let next = state.next_steps.get(*name).copied();
                let step = step.or(next).unwrap_or(0);
                let cells = [Cell::Text(name), Cell::Float(*value), Cell::Int(time)];
                state.push(builtin::METRICS, step, &cells)?;
                if let Some(known) = state.next_steps.get_mut(*name) {
                    *known = (*known).max(step + 1);
                }
            }
            Ok(())
        };
        if metrics.len() == 1 { self.inner.push_one(work) } else { self.inner.push(work) }
    }

    /// Learns the next step of a metric from the file.
    fn find_next_step(&self, name: &str) -> Result<()> {
        if self.inner.lock().next_steps.contains_key(name) {
            return Ok(());
        }
        check_id("the name of a metric", name)?;
        let mut state = self.inner.lock();
        self.inner.flush_locked(&mut state)?;
        let table = std::sync::Arc::clone(&state.tables[builtin::METRICS].table);
        let id = self.inner.id;
        let last = self.inner.db().read(|tx| match names::find(tx, id, name)? {
            Some(key) => last_step(tx, id, &table, key),
            None => Ok(None),
        })?;
        state.next_steps.insert(name.to_owned(), last.map_or(0, |step| step + 1));
        Ok(())
    }
}

fn last_step(
    tx: &crate::kernel::ReadTx<'_>,
    simulation: i64,
    table: &RecordTable,
    key: i64,
) -> Result<Option<i64>> {
    let mut last = None;
    let wanted = Wanted { key: Some(key), ..Wanted::no_columns(table) };
    read::each_stored(tx, simulation, table, &wanted, |rows: StoredRows| {
        last = last.max(rows.steps.values().iter().copied().max());
        Ok(())
    })?;
    Ok(last)
}

/// Appends the row of `simulation_steps`, and what has no column there.
fn push_metrics(state: &mut State, step: i64, metrics: &[(&str, Cell<'_>)]) -> Result<()> {
    let table = std::sync::Arc::clone(&state.tables[builtin::SIMULATION_STEPS].table);
    let schema = &table.schema;
    let mut cells = vec![Cell::Null; schema.columns.len()];
    let mut other = serde_json::Map::new();
    for (name, cell) in metrics {
        match (schema.position(name), *cell) {
            (Some(index), cell) if *name != OTHER_METRICS => cells[index] = cell,
            (_, Cell::Float(_) | Cell::Int(_) | Cell::Bool(_)) => {
                let row = [Cell::Text(name), *cell, Cell::Int(now_ms())];
                state.push(builtin::METRICS, step, &row)?;
            }
            (_, Cell::Text(text)) => {
                let value = crate::kernel::json::parse(text).unwrap_or_else(|_| text.into());
                other.insert((*name).to_owned(), value);
            }
            (_, Cell::Null) => {
                other.insert((*name).to_owned(), serde_json::Value::Null);
            }
        }
    }
    let consumed = schema.position("resources_consumed").expect("a documented column");
    if cells[consumed] == Cell::Null {
        cells[consumed] = Cell::Float(0.0);
    }
    let other = (!other.is_empty()).then(|| serde_json::Value::Object(other).to_string());
    cells[schema.position(OTHER_METRICS).expect("a column of ours")] = other.as_deref().into();
    state.push(builtin::SIMULATION_STEPS, step, &cells)
}

/// Keeps an error of another kind; what is given back ends the work and is told to nobody.
fn stash<E>(slot: &mut Option<E>, error: E) -> Error {
    *slot = Some(error);
    Error::Interrupted { action: "logging a step" }
}
