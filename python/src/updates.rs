//! Updates one after another, some in memory at a time.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use siltstone::simulation::{SimulationDatabase, Update};

use crate::arrays_out::Out;
use crate::enter::{Enter, Signals};
use crate::entities::update_to_dict;

/// Timestamps that are read at once.
const TIMESTAMPS: usize = 64;

/// An iterator over the updates of a dataset.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct Updates {
    db: SimulationDatabase,
    dataset: String,
    ahead: Mutex<Ahead>,
}

struct Ahead {
    timestamps: VecDeque<i64>,
    updates: VecDeque<Update>,
}

impl Updates {
    pub(crate) fn new(db: SimulationDatabase, dataset: String, timestamps: Vec<i64>) -> Self {
        let ahead = Ahead { timestamps: timestamps.into(), updates: VecDeque::new() };
        Updates { db, dataset, ahead: Mutex::new(ahead) }
    }

    fn next(&self, signals: &mut Signals) -> siltstone::Result<Option<Update>> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        while ahead.updates.is_empty() {
            let n = ahead.timestamps.len().min(TIMESTAMPS);
            let due: Vec<i64> = ahead.timestamps.drain(..n).collect();
            let (Some(first), Some(last)) = (due.first(), due.last()) else { return Ok(None) };
            let updates = &mut ahead.updates;
            self.db.for_each_update(&self.dataset, *first..=*last, |update| {
                signals.check()?;
                updates.push_back(update);
                Ok(())
            })?;
        }
        Ok(ahead.updates.pop_front())
    }
}

#[pymethods]
impl Updates {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let update = py.enter_long("reading updates", |signals| self.next(signals))?;
        update.map(|update| update_to_dict(&mut Out::new(py), update)).transpose()
    }
}
