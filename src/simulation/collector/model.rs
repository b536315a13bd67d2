//! A plain driver: models in one process, one after another, and collectors that record them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::config::CollectorConfig;
use super::data_collector::DataCollector;
use super::initial;
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::simulation::json::Initial;
use crate::simulation::state::{GroupState, TrackedState};
use crate::simulation::update::EntityData;

/// New values by dataset, in the order in which they are to be recorded.
pub type DatasetUpdates = Vec<(String, EntityData)>;

/// A part of a simulation that computes new values.
pub trait Model: Send {
    /// Called once, before the first time.
    ///
    /// # Errors
    /// Whatever stands in the way; the run does not begin then.
    fn initialize(&mut self, world: &World) -> Result<()> {
        let _ = world;
        Ok(())
    }

    /// Called at the first time of the run, and then at each time that the model asked for. Returns
    /// the new values, if there are any, and when it wants to be called next, if it does.
    ///
    /// # Errors
    /// Ends the run as failed.
    fn update(
        &mut self,
        timestamp: i64,
        world: &World,
    ) -> Result<(Option<DatasetUpdates>, Option<i64>)>;
}

/// What models see: the state of every dataset, with all that was said before in this run.
#[derive(Debug, Default)]
pub struct World {
    datasets: BTreeMap<String, TrackedState>,
    timestamp: i64,
}

impl World {
    /// The names of the datasets.
    pub fn datasets(&self) -> Vec<String> {
        self.datasets.keys().cloned().collect()
    }

    /// The entity groups of a dataset.
    pub fn groups(&self, dataset: &str) -> Vec<String> {
        let groups = self.datasets.get(dataset).map(|tracked| tracked.groups().map(str::to_owned));
        groups.into_iter().flatten().collect()
    }

    /// The state of an entity group; `None` if there is none yet.
    pub fn state(&self, dataset: &str, group: &str) -> Option<GroupState> {
        self.datasets.get(dataset)?.state(group, self.timestamp)
    }

    fn receive(&mut self, dataset: &str, data: EntityData) -> Result<()> {
        let tracked = self.datasets.entry(dataset.to_owned()).or_default();
        tracked.receive(dataset, data, None).map(drop)
    }
}

struct UserModel {
    name: String,
    model: Box<dyn Model>,
    next: Option<i64>,
}

/// Runs models in the order of their times, and at one time in the order in which they were added.
///
/// A plain driver in one process: a model is called when it asked to be, not because another one
/// changed something.
#[derive(Default)]
pub struct Simulation {
    settings: Settings,
    collectors: Vec<DataCollector>,
    models: Vec<UserModel>,
    has_run: bool,
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let models: Vec<&str> = self.models.iter().map(|model| model.name.as_str()).collect();
        f.debug_struct("Simulation")
            .field("settings", &self.settings)
            .field("collectors", &self.collectors)
            .field("models", &models)
            .finish()
    }
}

impl Simulation {
    /// A simulation without models.
    pub fn new(settings: Settings) -> Self {
        Simulation { settings, ..Simulation::default() }
    }

    /// What holds for the whole simulation.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Adds a model that is built in, by its name: `data_collector`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for another name; [`Error::Invalid`] for its config.
    pub fn add_model(&mut self, name: &str, config: &Value) -> Result<()> {
        if name != "data_collector" {
            return Err(Error::NotFound {
                what: "model",
                name: name.to_owned(),
                location: "the models that are built in (data_collector)".into(),
            });
        }
        let config = CollectorConfig::parse(config)?;
        self.add_collector(DataCollector::new(&self.settings, config)?);
        Ok(())
    }

    /// Adds a collector that was made already.
    pub fn add_collector(&mut self, collector: DataCollector) {
        self.collectors.push(collector);
    }

    /// Adds a model of one's own; its updates are stored under its name.
    pub fn add_user_model(&mut self, name: impl Into<String>, model: Box<dyn Model>) {
        self.models.push(UserModel { name: name.into(), model, next: None });
    }

    /// Runs from the timeline's start until the end time, or until no model asks for another time.
    /// Everything that was recorded is stored when this returns, also with an error.
    ///
    /// # Errors
    /// The first error of a model or of storing; the recorded run is marked as failed.
    pub fn run(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.has_run, true) {
            return Err(Error::Closed { what: "the simulation".into(), why: "has run already" });
        }
        let result = self.run_all();
        let mut first = result.err();
        for collector in &mut self.collectors {
            if let Err(error) = collector.close_after(first.as_ref()) {
                first.get_or_insert(error);
            }
        }
        first.map_or(Ok(()), Err)
    }

    fn run_all(&mut self) -> Result<()> {
        let mut world = World { timestamp: -1, ..World::default() };
        for file in initial::load(&self.settings)? {
            if let Some(Initial::Entities(data)) = file.parsed {
                world.receive(&file.name, data.data)?;
            }
        }
        self.collectors.iter_mut().try_for_each(DataCollector::initialize)?;
        let start = self.settings.timeline.map_or(0, |timeline| timeline.start_time);
        for model in &mut self.models {
            model.model.initialize(&world)?;
            model.next = Some(start);
        }
        while let Some(now) = self.models.iter().filter_map(|model| model.next).min() {
            if self.settings.end_time.is_some_and(|end| now > end) {
                break;
            }
            world.timestamp = now;
            self.collectors.iter_mut().try_for_each(|collector| collector.new_time(now))?;
            for model in self.models.iter_mut().filter(|model| model.next == Some(now)) {
                let (data, next) = model.model.update(now, &world)?;
                if let Some(next) = next.filter(|next| *next <= now) {
                    let what = format!("next time of model {:?}", model.name);
                    return Err(Error::invalid(
                        what,
                        format!("a time after {now}"),
                        next.to_string(),
                    ));
                }
                model.next = next;
                for (dataset, data) in data.into_iter().flatten() {
                    world.receive(&dataset, data.clone())?;
                    for collector in &mut self.collectors {
                        collector.update(&dataset, data.clone(), Some(&model.name))?;
                    }
                }
            }
        }
        Ok(())
    }
}
