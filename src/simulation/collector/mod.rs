//! Recording a run while it goes on: what changed, stored by a strategy, by five workers.
//!
//! A [`DataCollector`] takes updates, keeps the state that they lead to, and stores of each only what
//! changed it. Where to is the matter of a [`StorageStrategy`]: a folder of JSON (`file`, `disk`), a
//! database (`sqlite`), or one that was registered by its name.

mod config;
mod data_collector;
mod filter;
mod initial;
mod json_strategy;
mod model;
mod pool;
mod settings;
mod sqlite_strategy;
mod strategy;
#[cfg(test)]
mod tests;

pub use config::CollectorConfig;
pub use data_collector::DataCollector;
pub use filter::{AttributeFilter, DatasetFilter, GatherFilter};
pub use json_strategy::JsonStrategy;
pub use model::{DatasetUpdates, Model, Simulation, World};
pub use settings::Settings;
pub use sqlite_strategy::SqliteStrategy;
pub use strategy::{StorageStrategy, StrategyFactory, register_strategy, strategy_names};
