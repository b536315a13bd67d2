//! The simulation store: updates of entity groups as a run writes them, and the state at any time.
//!
//! ```
//! # let folder = tempfile::tempdir().unwrap();
//! use siltstone::simulation::{Group, SimulationDatabase};
//!
//! let db = SimulationDatabase::open(folder.path().join("run.db"))?;
//! for (time, speeds) in [(0, [50.0, 60.0]), (10, [55.0, 60.0])] {
//!     let roads = Group::new("roads").with("id", [1i64, 2]).with("speed", speeds);
//!     db.store_update(time, 0, "network", vec![roads], None)?;
//! }
//! assert_eq!(db.state_at("network", "roads", 5)?.values::<f64>("speed")?, [50.0, 60.0]);
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! A run has datasets; a dataset has entity groups; a group has entities, named by `id`, and
//! attributes. An [`Update`] gives new values for some entities at a (timestamp, iteration); the
//! state at a timestamp is what all updates up to it leave. [`SimulationDatabase`] is the way in.

mod arrays;
mod arrow;
mod collector;
mod compact;
mod counts;
mod database;
mod describe;
mod difference;
mod export;
mod files;
mod functions;
mod import;
mod initial;
pub mod json;
mod keyframe_thread;
#[cfg(feature = "lake")]
mod long;
mod merge;
mod page_size;
mod prepare;
#[cfg(feature = "lake")]
mod publish;
#[cfg(feature = "lake")]
mod publish_states;
#[cfg(feature = "lake")]
mod pull;
mod read;
mod results;
mod run;
mod state;
mod tables;
mod timeline;
mod update;
mod verify;
mod write;

pub use arrow::import_tables;
pub use collector::{
    AttributeFilter, CollectorConfig, DataCollector, DatasetFilter, DatasetUpdates, GatherFilter,
    JsonStrategy, Model, Settings, Simulation, SqliteStrategy, StorageStrategy, StrategyFactory,
    World, register_strategy, strategy_names,
};
pub use database::{Options, SimulationDatabase};
pub use describe::{
    ArraysSummary, CodecSummary, DatasetSummary, GroupSummary, InitialDatasetSummary,
    KeyframesSummary, RunSummary, SimulationSummary, Unreadable,
};
pub use difference::Conflict;
pub use export::{Content, ExportFormat, ExportOptions, ExportReport, export};
pub use files::{FileFormat, FileOptions, FileReport, Layout, Missing, StatesOptions, import_file};
pub(crate) use files::{is_epanet, is_sumo};
pub(crate) use import::is_folder_of_updates;
pub use import::{ImportOptions, ImportReport, import, inspect};
pub use initial::InitialData;
pub use merge::{MergeReport, merge};
#[cfg(feature = "lake")]
pub(crate) use publish::PublishedUpdates;
#[cfg(feature = "lake")]
pub(crate) use publish_states::{PublishedStates, STATES, StateTimes};
#[cfg(feature = "lake")]
pub(crate) use pull::PulledUpdates;
pub use results::{
    AttributeInfo, EntityKey, FilePattern, Format, KeyValue, ResultDataset, Results,
    ResultsOptions, Time, detect_format,
};
pub use run::{Run, Status};
pub use state::{AttributeHistory, ColumnState, EntityHistory, GroupCursor, GroupState, Tolerance};
pub use timeline::Timeline;
pub use update::{Attribute, CLEARED, EntityData, GIVEN, Group, NOT_GIVEN, ROW_PTR_NAMES, Update};
pub use write::OnRepeat;

use crate::kernel::{DocumentedNames, Store};
use tables::{MIGRATIONS, UPGRADE};

/// The store in a file.
pub(crate) static STORE: Store = Store {
    upgrade: Some(&UPGRADE),
    names: Some(DocumentedNames { since: 4, of: tables::documented_names }),
    expand: Some(compact::expand),
    array_blocks: Some("array_block"),
    tables: functions::TABLES,
    ..Store::new(&MIGRATIONS, verify::verify)
};
