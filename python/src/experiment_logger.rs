//! What logs a simulation: the documented calls.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt};
use siltstone::Error;
use siltstone::experiment::{
    Agent, AgentAction, AgentRow, HealthIncident, LoggingConfig, RecordSchema, ResourceRow,
    SimulationContext, StepTables,
};

use crate::arguments::{Dict, Text};
use crate::arrays_in::to_stored_array;
use crate::enter::Enter;
use crate::errors::{invalid, to_py, wrong_type};
use crate::experiment_rows::{
    AGENT, RESOURCE, cells, cells_of, is_table, items, metrics, number, position, step, tuples,
    with_field,
};
use crate::record_cells::{id, to_json, to_json_of_run};
use crate::record_columns::batch;

/// When rows go into the file, as Python has it.
pub(crate) fn logging(
    buffer_size: usize,
    commit_interval: f64,
    durability: &str,
) -> PyResult<LoggingConfig> {
    let commit_interval = Duration::try_from_secs_f64(commit_interval).map_err(|_| {
        invalid("commit_interval", "seconds, more than 0", commit_interval.to_string())
    })?;
    let durability = durability.parse().map_err(to_py)?;
    Ok(LoggingConfig { buffer_size, commit_interval, durability, ..LoggingConfig::default() })
}

/// A table of records to be made: its name, names and types of its columns, its key.
type Definition = (String, Vec<(String, String)>, Option<String>);

/// Logs one simulation. Any number of threads may use it.
#[pyclass(frozen, weakref, subclass, module = "siltstone._siltstone")]
pub(crate) struct DataLogger {
    pub(crate) inner: SimulationContext,
    pid: u32,
}

impl DataLogger {
    pub(crate) fn new(inner: SimulationContext) -> Self {
        DataLogger { inner, pid: std::process::id() }
    }

    pub(crate) fn get(&self) -> PyResult<&SimulationContext> {
        if self.pid == std::process::id() {
            return Ok(&self.inner);
        }
        Err(to_py(Error::Closed {
            what: format!("the simulation {:?}", self.inner.simulation_id()),
            why: "belongs to the process that this one was forked from; open the database here",
        }))
    }
}

impl Drop for DataLogger {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            // The rows that wait are the parent's to write.
            std::mem::forget(self.inner.clone());
        }
    }
}

#[pymethods]
impl DataLogger {
    /// What logs a simulation of a database.
    #[new]
    #[pyo3(signature = (database, simulation_id=None, config=None))]
    fn of_database(
        database: &Bound<'_, PyAny>,
        simulation_id: Option<&Bound<'_, PyAny>>,
        config: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let expected = "a database or a simulation of siltstone.experiment";
        if !database.hasattr("_logger_of")? {
            return Err(wrong_type("database", expected, database));
        }
        let logger = database.call_method1("_logger_of", (simulation_id, config))?;
        let logger = logger.cast_into::<DataLogger>().map_err(PyErr::from)?;
        Ok(DataLogger::new(logger.get().get()?.clone()))
    }

    /// The same simulation with a buffer of its own.
    fn with_logging(
        &self,
        buffer_size: usize,
        commit_interval: f64,
        durability: &str,
    ) -> PyResult<Self> {
        let logging = logging(buffer_size, commit_interval, durability)?;
        self.get()?.with_logging(logging).map(DataLogger::new).map_err(to_py)
    }

    #[getter]
    fn simulation_id(&self) -> &str {
        self.inner.simulation_id()
    }

    #[pyo3(signature = (step_number, agent_states=None, resource_states=None, metrics=None))]
    fn log_step(
        &self,
        py: Python<'_>,
        step_number: &Bound<'_, PyAny>,
        agent_states: Option<&Bound<'_, PyAny>>,
        resource_states: Option<&Bound<'_, PyAny>>,
        metrics: Option<Dict<'_>>,
    ) -> PyResult<()> {
        let sim = self.get()?;
        let step = step(step_number)?;
        let numbers = self::metrics(metrics.as_ref().map(|Dict(metrics)| metrics))?;
        let numbers = numbers
            .iter()
            .map(|(name, value)| Ok((name.as_str(), value.cell()?)))
            .collect::<PyResult<Vec<_>>>()?;
        let by_columns = |rows: Option<&Bound<'_, PyAny>>| rows.map_or(Ok(false), is_table);
        if by_columns(agent_states)? || by_columns(resource_states)? {
            let agents = agent_states.map(|rows| batch("agent_states", rows)).transpose()?;
            let resources = resource_states
                .filter(|rows| rows.len().map_or(true, |n| n > 0))
                .map(|rows| batch("resource_states", rows))
                .transpose()?;
            let tables = StepTables { agents: agents.as_ref(), resources: resources.as_ref() };
            return py.enter(|| sim.log_step_tables(step, tables, &numbers));
        }
        let agents = match agent_states {
            Some(rows) => tuples("agent_states", rows, AGENT)?,
            None => Vec::new(),
        };
        let resources = match resource_states {
            Some(rows) => tuples("resource_states", rows, RESOURCE)?,
            None => Vec::new(),
        };
        let (agents, resources) = (items(&agents)?, items(&resources)?);
        let agents: Vec<AgentRow<'_>> = cells(AGENT, &agents)?;
        let resources: Vec<ResourceRow<'_>> = cells(RESOURCE, &resources)?;
        py.enter(|| sim.log_step(step, agents, resources, &numbers))
    }

    #[pyo3(signature = (agent_id, birth_time, agent_type, position, initial_resources, starting_health,
        genome_id=None, generation=0, action_weights=None))]
    #[allow(clippy::too_many_arguments, reason = "the arguments are the documented ones")]
    fn log_agent(
        &self,
        py: Python<'_>,
        agent_id: &Bound<'_, PyAny>,
        birth_time: i64,
        agent_type: &str,
        position: &Bound<'_, PyAny>,
        initial_resources: f64,
        starting_health: f64,
        genome_id: Option<&Bound<'_, PyAny>>,
        generation: i64,
        action_weights: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let mut digits = [String::new(), String::new()];
        let [own, genome] = &mut digits;
        let weights = action_weights.map(|w| to_json("action_weights", w)).transpose()?;
        let agent = Agent {
            agent_id: id("agent_id", agent_id, own)?,
            birth_time,
            agent_type,
            position: self::position(position)?,
            initial_resources,
            starting_health,
            genome_id: genome_id.map(|g| id("genome_id", g, genome)).transpose()?,
            generation,
            action_weights: weights.as_deref(),
        };
        let sim = self.get()?;
        py.enter(|| sim.log_agent(&agent))?;
        py.enter(|| sim.flush_all_buffers())
    }

    fn log_agents_batch(&self, py: Python<'_>, agents: Vec<Bound<'_, PyDict>>) -> PyResult<()> {
        let sim = self.get()?;
        let mut texts = Vec::with_capacity(agents.len());
        for agent in &agents {
            let what = "an agent of the batch";
            let field = |name: &str| -> PyResult<Bound<'_, PyAny>> {
                agent.get_item(name)?.ok_or_else(|| invalid(what, &format!("a {name}"), "none"))
            };
            if let Some(own) = agent.get_item("simulation_id")?
                && !own.is_none()
                && own.extract::<String>()? != sim.simulation_id()
            {
                let got = own.to_string();
                return Err(invalid(
                    "simulation_id",
                    &format!("{:?}, that of this context", sim.simulation_id()),
                    got,
                ));
            }
            let text = |value: Bound<'_, PyAny>, what: &str| {
                let mut digits = String::new();
                id(what, &value, &mut digits).map(str::to_owned)
            };
            let optional = |name: &str| -> PyResult<Option<Bound<'_, PyAny>>> {
                Ok(agent.get_item(name)?.filter(|value| !value.is_none()))
            };
            let genome = optional("genome_id")?.map(|g| text(g, "genome_id")).transpose()?;
            let weights =
                optional("action_weights")?.map(|w| to_json("action_weights", &w)).transpose()?;
            let generation = optional("generation")?.map_or(Ok(0), |g| g.extract::<i64>())?;
            texts.push((
                text(field("agent_id")?, "agent_id")?,
                field("birth_time")?.extract::<i64>()?,
                text(field("agent_type")?, "agent_type")?,
                self::position(&field("position")?)?,
                field("initial_resources")?.extract::<f64>()?,
                field("starting_health")?.extract::<f64>()?,
                (genome, generation, weights),
            ));
        }
        let agents: Vec<Agent<'_>> = texts
            .iter()
            .map(
                |(
                    agent_id,
                    birth_time,
                    agent_type,
                    position,
                    resources,
                    health,
                    (genome, generation, weights),
                )| Agent {
                    agent_id,
                    birth_time: *birth_time,
                    agent_type,
                    position: *position,
                    initial_resources: *resources,
                    starting_health: *health,
                    genome_id: genome.as_deref(),
                    generation: *generation,
                    action_weights: weights.as_deref(),
                },
            )
            .collect();
        py.enter(|| sim.log_agents_batch(&agents).and_then(|()| sim.flush_all_buffers()))
    }

    #[pyo3(signature = (step_number, agent_id, action_type, action_target_id=None, reward=None, details=None,
        module_type=None, module_id=None, action_taken=None, action_taken_mapped=None))]
    #[allow(clippy::too_many_arguments, reason = "the arguments are the documented ones")]
    fn log_agent_action(
        &self,
        py: Python<'_>,
        step_number: &Bound<'_, PyAny>,
        agent_id: &Bound<'_, PyAny>,
        action_type: &Bound<'_, PyAny>,
        action_target_id: Option<&Bound<'_, PyAny>>,
        reward: Option<&Bound<'_, PyAny>>,
        details: Option<&Bound<'_, PyAny>>,
        module_type: Option<Text<'_>>,
        module_id: Option<&Bound<'_, PyAny>>,
        action_taken: Option<&Bound<'_, PyAny>>,
        action_taken_mapped: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let sim = self.get()?;
        let mut digits = [const { String::new() }; 4];
        let [own, other, kind, module] = &mut digits;
        let mut details = details.map(|d| to_json("details", d)).transpose()?;
        for (name, value) in
            [("action_taken", action_taken), ("action_taken_mapped", action_taken_mapped)]
        {
            if let Some(value) = value {
                details = Some(with_field(details, name, &to_json(name, value)?)?);
            }
        }
        let reward = reward.map_or(Ok(None), |reward| number("reward", reward))?;
        let target = match action_target_id {
            Some(target) if target.is_truthy()? => Some(target),
            _ => None,
        };
        let action = AgentAction {
            step_number: step(step_number)?,
            agent_id: id("agent_id", agent_id, own)?,
            action_type: id("action_type", action_type, kind)?,
            action_target_id: target.map(|t| id("action_target_id", t, other)).transpose()?,
            reward,
            details: details.as_deref(),
            module_type: module_type.map(|Text(module_type)| module_type),
            module_id: module_id.map(|m| id("module_id", m, module)).transpose()?,
        };
        py.enter(|| sim.log_agent_action(&action))
    }

    #[pyo3(signature = (step_number, agent_id, module_type, module_id, action_taken, action_taken_mapped,
        reward=None))]
    #[allow(clippy::too_many_arguments, reason = "the arguments are the documented ones")]
    fn log_learning_experience(
        &self,
        py: Python<'_>,
        step_number: &Bound<'_, PyAny>,
        agent_id: &Bound<'_, PyAny>,
        module_type: Text<'_>,
        module_id: &Bound<'_, PyAny>,
        action_taken: &Bound<'_, PyAny>,
        action_taken_mapped: &Bound<'_, PyAny>,
        reward: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.log_agent_action(
            py,
            step_number,
            agent_id,
            action_taken_mapped,
            None,
            reward,
            None,
            Some(module_type),
            Some(module_id),
            Some(action_taken),
            Some(action_taken_mapped),
        )
    }

    fn log_resource(
        &self,
        py: Python<'_>,
        resource_id: &Bound<'_, PyAny>,
        initial_amount: f64,
        position: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (sim, position) = (self.get()?, self::position(position)?);
        let mut digits = String::new();
        let resource = id("resource_id", resource_id, &mut digits)?;
        py.enter(|| sim.log_resource(resource, initial_amount, position))
    }

    #[pyo3(signature = (step_number, agent_id, health_before, health_after, cause, details=None))]
    #[allow(clippy::too_many_arguments, reason = "the arguments are the documented ones")]
    fn log_health_incident(
        &self,
        py: Python<'_>,
        step_number: &Bound<'_, PyAny>,
        agent_id: &Bound<'_, PyAny>,
        health_before: f64,
        health_after: f64,
        cause: &str,
        details: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let sim = self.get()?;
        let mut digits = String::new();
        let details = details.map(|d| to_json("details", d)).transpose()?;
        let incident = HealthIncident {
            step_number: step(step_number)?,
            agent_id: id("agent_id", agent_id, &mut digits)?,
            health_before,
            health_after,
            cause,
            details: details.as_deref(),
        };
        py.enter(|| sim.log_health_incident(&incident))
    }

    fn update_agent_death(
        &self,
        py: Python<'_>,
        agent_id: &Bound<'_, PyAny>,
        death_time: &Bound<'_, PyAny>,
        cause: &str,
    ) -> PyResult<()> {
        let sim = self.get()?;
        let mut digits = String::new();
        let (agent, time) = (id("agent_id", agent_id, &mut digits)?, step(death_time)?);
        py.enter(|| sim.update_agent_death(agent, time, cause))
    }

    fn update_agent_state(
        &self,
        py: Python<'_>,
        agent_id: &Bound<'_, PyAny>,
        step_number: &Bound<'_, PyAny>,
        values: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let sim = self.get()?;
        let mut digits = String::new();
        let (agent, step) = (id("agent_id", agent_id, &mut digits)?, step(step_number)?);
        let values = metrics(Some(values))?;
        let values = cells_of(&values)?;
        py.enter(|| sim.update_agent_state(agent, step, &values))
    }

    fn save_configuration(&self, py: Python<'_>, config: &Bound<'_, PyAny>) -> PyResult<()> {
        let (sim, text) = (self.get()?, to_json_of_run("the configuration", config)?);
        py.enter(|| sim.save_configuration(&text))
    }

    fn get_configuration(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let sim = self.get()?;
        py.enter(|| sim.configuration())
    }

    fn get_table_row_count(&self, py: Python<'_>, table: &str) -> PyResult<u64> {
        let sim = self.get()?;
        py.enter(|| sim.row_count(table))
    }

    #[pyo3(signature = (name, value, step=None))]
    fn log_metric(
        &self,
        py: Python<'_>,
        name: Text<'_>,
        value: &Bound<'_, PyAny>,
        step: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (sim, Text(name)) = (self.get()?, name);
        let missing = || wrong_type(name, "a number", value);
        let value = number(name, value)?.ok_or_else(missing)?;
        let step = step.map(self::step).transpose()?;
        py.enter(|| sim.log_metric(name, value, step))
    }

    /// Whether all are Python's own numbers, which nobody changes afterwards.
    #[pyo3(signature = (metrics, step=None))]
    fn log_metrics(
        &self,
        py: Python<'_>,
        metrics: Dict<'_>,
        step: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let (sim, Dict(metrics)) = (self.get()?, metrics);
        let mut are_own = true;
        let mut values = Vec::with_capacity(metrics.len());
        for (name, value) in metrics.iter() {
            let name: String = name.extract()?;
            let missing = || wrong_type(&name, "a number", &value);
            let number = number(&name, &value)?.ok_or_else(missing)?;
            values.push((name, number));
            are_own &= value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>();
        }
        let step = step.map(self::step).transpose()?;
        let values: Vec<(&str, f64)> = values.iter().map(|(name, x)| (name.as_str(), *x)).collect();
        py.enter(|| sim.log_metrics(&values, step))?;
        Ok(are_own)
    }

    fn log_params(&self, py: Python<'_>, params: &Bound<'_, PyAny>) -> PyResult<()> {
        let (sim, text) = (self.get()?, to_json_of_run("parameters", params)?);
        py.enter(|| sim.log_params(&text))
    }

    #[pyo3(signature = (name, array, step=0))]
    fn log_array(
        &self,
        py: Python<'_>,
        name: &str,
        array: &Bound<'_, PyAny>,
        step: i64,
    ) -> PyResult<()> {
        let (sim, array) = (self.get()?, to_stored_array(name, array)?);
        py.enter(|| sim.log_array(name, step, &array))
    }

    /// Defines tables, all or none: of each its name, names and types of columns, and the key.
    fn define_tables(&self, py: Python<'_>, tables: Vec<Definition>) -> PyResult<()> {
        let schema = |(name, columns, key): &Definition| {
            let columns: Vec<(&str, &str)> =
                columns.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
            let schema = RecordSchema::new(name, &columns)?;
            key.as_deref().map_or(Ok(schema.clone()), |key| schema.with_key(key))
        };
        let schemas: Vec<RecordSchema> =
            tables.iter().map(schema).collect::<Result<_, _>>().map_err(to_py)?;
        let sim = self.get()?;
        py.enter(|| sim.define_tables(&schemas))
    }

    fn log_row(
        &self,
        py: Python<'_>,
        table: &str,
        step_number: &Bound<'_, PyAny>,
        values: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let sim = self.get()?;
        let values = metrics(Some(values))?;
        let (values, step) = (cells_of(&values)?, step(step_number)?);
        py.enter(|| sim.log(table, step, &values))
    }

    fn log_rows(
        &self,
        py: Python<'_>,
        table: &str,
        step_number: Option<&Bound<'_, PyAny>>,
        rows: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let sim = self.get()?;
        let (rows, step) = (batch(table, rows)?, step_number.map(step).transpose()?);
        py.enter(|| sim.log_batch(table, step, &rows))
    }

    fn flush_all_buffers(&self, py: Python<'_>) -> PyResult<()> {
        let sim = self.get()?;
        py.enter(|| sim.flush_all_buffers())
    }

    fn flush_if_needed(&self, py: Python<'_>) -> PyResult<()> {
        let sim = self.get()?;
        py.enter(|| sim.flush_if_needed())
    }

    fn flush_action_buffer(&self, py: Python<'_>) -> PyResult<()> {
        self.flush_all_buffers(py)
    }

    fn flush_health_buffer(&self, py: Python<'_>) -> PyResult<()> {
        self.flush_all_buffers(py)
    }

    #[getter]
    fn needs_flush(&self) -> bool {
        self.inner.buffered().0 > 0
    }

    /// Rows that wait, and their bytes.
    fn buffered(&self) -> (usize, usize) {
        self.inner.buffered()
    }

    fn complete(&self, py: Python<'_>) -> PyResult<()> {
        let sim = self.get()?;
        py.enter(|| sim.complete())
    }

    fn fail(&self, py: Python<'_>, error: &str) -> PyResult<()> {
        let sim = self.get()?;
        py.enter(|| sim.fail(error))
    }
}
