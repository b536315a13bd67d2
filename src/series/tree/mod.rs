//! Datasets of signals of series: what was measured, what was done to it, and where it comes from.
//!
//! ```
//! use std::sync::Arc;
//! use siltstone::series::{MemoryBackend, Series};
//! use siltstone::series::tree::{Dataset, Signal};
//! let backend = Arc::new(MemoryBackend::new());
//! let mut plant = Dataset::create(backend.clone(), "plant")?;
//! let flow = plant.add(Signal::new("flow", "m3/h")?)?;
//! plant.signal_mut(&flow)?.add(Series::from_times_ns(&[0, 10], &[1.0, 2.0])?)?;
//!
//! let again = Dataset::open(backend, "plant")?;
//! assert_eq!(again.signal("flow#1")?.record().units, "m3/h");
//! assert_eq!(again.signal("flow#1")?.get("RAW#1")?.len()?, 2);
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! A [`Dataset`] holds signals; a signal holds series of one quantity: as measured (`flow#1_RAW#1`), and what was
//! made of it (`flow#1_RESAMPLED#1`). Each series has the history of steps that led to it.

mod dataset;
pub mod functions;
mod names;
mod record;
mod signal;
mod step;
mod time_series;

pub use dataset::{Dataset, Input, NewSignal};
pub use names::{
    escape, find_series, key_of, last_number, numbers, of_key, parse_series_name, series_name,
    signal_name, split_number, unescape, within,
};
pub use record::{
    DataProvenance, DatasetRecord, SeriesRecord, SignalRecord, dataset_record, function_record,
    pack, renames, save_new, signal_record, unpack,
};
pub use signal::{Made, Output, Signal};
pub use step::{
    Dependency, FunctionInfo, ProcessingStep, ProcessingType, dependencies, history, now,
};
pub use time_series::TimeSeries;
