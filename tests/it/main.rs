//! The one integration-test binary: a module a topic.

mod agreement;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod backups;
#[cfg(unix)]
mod budgets;
mod child;
mod clocks;
mod concurrency;
mod copies;
mod crash;
mod experiment;
mod experiment_crash;
#[cfg(feature = "tracing")]
mod experiment_events;
mod experiment_git;
mod experiment_life;
mod experiment_model;
mod experiment_names;
mod export;
mod facts;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod file_faults;
#[cfg(target_os = "linux")]
mod file_systems;
mod foreign;
mod glossary;
mod hostile;
mod hot_paths;
#[cfg(feature = "lake")]
mod lake;
#[cfg(all(unix, feature = "lake", feature = "postgresql"))]
mod lake_postgres;
#[cfg(feature = "lake")]
mod lake_pull;
#[cfg(feature = "lake")]
mod lake_read;
#[cfg(feature = "lake")]
mod lake_scale;
#[cfg(feature = "lake")]
mod lake_updates;
mod memory;
mod memory_crash;
mod memory_life;
mod memory_model;
#[cfg(unix)]
mod not_files;
mod old_files;
mod open;
mod plain_sqlite;
#[cfg(all(unix, feature = "postgresql"))]
mod postgres_password;
#[cfg(all(unix, feature = "postgresql"))]
mod postgres_server;
mod public_api;
mod reserved_names;
mod results;
mod row_sums;
mod series;
#[cfg(feature = "excel")]
mod series_excel;
mod series_influx;
mod series_meteaudata;
mod series_parquet;
#[cfg(all(unix, feature = "postgresql"))]
mod series_postgres;
mod series_process;
mod series_read;
mod series_rules;
mod series_sql;
mod series_sqlite;
mod series_transfer;
mod series_tree;
mod shared;
mod simulation_files;
mod simulation_sumo;
mod simulation_texts;
mod simulation_writes;
mod sql_functions;
mod sqlite_extension;
mod store;
mod structs;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod syscalls;
mod ticks;
mod ticks_crash;
mod ticks_files;
mod ticks_hard;
mod ticks_life;
mod ticks_model;
mod ticks_outline;
mod ticks_told;
mod tidy;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod torture;
mod trackers;
mod trackers_compact;
mod trackers_json;
mod trackers_netlogo;
mod trackers_tensorboard;
mod travel;
#[cfg(target_os = "linux")]
mod two_libraries;
mod waits;
