//! The Python face of siltstone, thin: classes over the Rust API, one entry point, one module of errors.
//! Docstrings, defaults and conversions to other libraries are in `siltstone/*.py`.

mod arena;
mod arguments;
mod arrays_in;
mod arrays_out;
mod arrow;
mod bulk;
mod collector;
mod columns;
mod cursor;
mod database;
mod driver;
mod enter;
mod entities;
mod errors;
mod experiment_database;
mod experiment_logger;
mod experiment_reads;
mod experiment_rows;
mod files;
mod handle;
mod initial;
mod lake;
mod memory_recall;
mod memory_rows;
mod memory_store;
mod memory_transaction;
mod memory_values;
mod opened;
mod query;
mod record_cells;
mod record_columns;
mod report;
mod results;
mod series_columns;
mod series_import;
mod series_meteaudata;
mod series_process;
mod series_store;
mod series_tree;
mod simulation_files;
mod tick_replay;
mod tick_store;
mod tick_time;
mod ticket;
mod time;
mod trackers;
mod undo;
mod updates;
mod viewer;

/// The compiled half of the package `siltstone`.
#[pyo3::pymodule(gil_used = false)] // every class is frozen or has locks of its own
mod _siltstone {
    #[pymodule_export]
    use super::arrow::{Table, state_to_arrow};
    #[pymodule_export]
    use super::collector::{DataCollector, Strategy, settings_from_env, strategy_name};
    #[pymodule_export]
    use super::columns::Columns;
    #[pymodule_export]
    use super::cursor::Cursor;
    #[pymodule_export]
    use super::database::{SimulationDatabase, restore, simulation_import_json};
    #[pymodule_export]
    use super::driver::{Simulation, World};
    #[pymodule_export]
    use super::experiment_database::ExperimentDatabase;
    #[pymodule_export]
    use super::experiment_logger::DataLogger;
    #[pymodule_export]
    use super::experiment_reads::{InMemorySimulation, experiment_import, experiment_merge};
    #[pymodule_export]
    use super::files::write_file;
    #[pymodule_export]
    use super::lake::{
        lake_bucket, lake_ohlc, lake_pull, lake_remove, lake_series, lake_tables, lake_vacuum,
        lake_verify,
    };
    #[pymodule_export]
    use super::memory_recall::MemoryRecall;
    #[pymodule_export]
    use super::memory_store::{MemoryStore, memory_import};
    #[pymodule_export]
    use super::memory_transaction::MemoryTransaction;
    #[pymodule_export]
    use super::memory_values::{memory_decode, memory_encode};
    #[pymodule_export]
    use super::opened::Opened;
    #[pymodule_export]
    use super::query::Query;
    #[pymodule_export]
    use super::results::{ResultDataset, Results, detect_results_format};
    #[pymodule_export]
    use super::series_import::{
        series_import, series_import_influx, series_import_points, series_is_table,
    };
    #[pymodule_export]
    use super::series_meteaudata::series_write_meteaudata;
    #[pymodule_export]
    use super::series_process::{
        series_average, series_interpolate, series_normalize_index, series_predict,
        series_replace_ranges, series_resample, series_subset, series_subset_rank,
    };
    #[pymodule_export]
    use super::series_store::{
        SeriesStore, series_label, series_transfer, series_without_password,
    };
    #[pymodule_export]
    use super::series_tree::{
        series_dependencies, series_find, series_history, series_key, series_now, series_numbers,
        series_of_key, series_parse, series_record_name, series_split, series_unescape,
        series_within, signal_name,
    };
    #[pymodule_export]
    use super::simulation_files::simulation_import;
    #[pymodule_export]
    use super::tick_replay::Replay;
    #[pymodule_export]
    use super::tick_store::{
        TickStore, forked, ticks_doctor, ticks_import, ticks_now_ns, ticks_quality, ticks_to_ns,
    };
    #[pymodule_export]
    use super::ticket::Ticket;
    #[pymodule_export]
    use super::trackers::{import_detect, import_kind, import_kinds, import_runs};
    #[pymodule_export]
    use super::undo::Undo;
    #[pymodule_export]
    use super::updates::Updates;
    #[pymodule_export]
    use super::viewer::Viewer;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
