//! Where updates are stored, by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::config::CollectorConfig;
use super::json_strategy::JsonStrategy;
use super::settings::Settings;
use super::sqlite_strategy::SqliteStrategy;
use crate::error::{Error, Result};
use crate::simulation::update::Update;

/// Stores the updates of one run. Several workers call [`store`](Self::store) at once.
pub trait StorageStrategy: Send + Sync {
    /// Called once, before anything is stored.
    ///
    /// # Errors
    /// What stands in the way; the run does not begin then.
    fn initialize(&self) -> Result<()>;

    /// Stores one update.
    ///
    /// # Errors
    /// Raised to the simulation at its next call, or when the collector is closed.
    fn store(&self, update: Update) -> Result<()>;

    /// A new timestamp begins: iterations count from 0 again.
    fn reset_iterations(&self, timestamp: i64) {
        let _ = timestamp;
    }

    /// Called once, after every update was stored or failed; `failure` is why the run did not end
    /// well, if it did not.
    ///
    /// # Errors
    /// What could not be ended; everything that was stored before is there.
    fn close(&self, failure: Option<&Error>) -> Result<()>;
}

/// Makes a strategy for one collector.
pub type StrategyFactory =
    dyn Fn(&CollectorConfig, &Settings) -> Result<Arc<dyn StorageStrategy>> + Send + Sync;

type Registry = BTreeMap<String, Arc<StrategyFactory>>;

fn registry() -> MutexGuard<'static, Registry> {
    static REGISTRY: Mutex<Registry> = Mutex::new(Registry::new());
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    if registry.is_empty() {
        let json: Arc<StrategyFactory> =
            Arc::new(|config: &CollectorConfig, settings: &Settings| {
                Ok(Arc::new(JsonStrategy::choose(config, settings)?) as Arc<dyn StorageStrategy>)
            });
        let sqlite: Arc<StrategyFactory> =
            Arc::new(|config: &CollectorConfig, settings: &Settings| {
                Ok(Arc::new(SqliteStrategy::choose(config, settings)?) as Arc<dyn StorageStrategy>)
            });
        registry.insert("file".into(), json.clone());
        registry.insert("disk".into(), json);
        registry.insert("sqlite".into(), sqlite);
    }
    registry
}

/// Makes a strategy known under a name, in place of any that had it.
pub fn register_strategy(name: impl Into<String>, factory: Arc<StrategyFactory>) {
    registry().insert(name.into(), factory);
}

/// The names of the known strategies.
pub fn strategy_names() -> Vec<String> {
    registry().keys().cloned().collect()
}

/// The strategy that config and settings ask for.
pub(super) fn choose(
    config: &CollectorConfig,
    settings: &Settings,
) -> Result<Arc<dyn StorageStrategy>> {
    let name = config.strategy_name(settings)?;
    let factory = registry().get(&name).cloned();
    let factory = factory.ok_or_else(|| {
        let expected = format!("one of {}", strategy_names().join(", "));
        Error::invalid("storage method", expected, format!("{name:?}, which is not supported"))
    })?;
    factory(config, settings)
}
