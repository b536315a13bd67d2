//! Times of ticks: ns since 1970 UTC, out of what Python has for times.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyInt;

use crate::errors::invalid;

/// What is looked up once.
struct Known {
    datetime: Py<PyAny>,
    epoch: Py<PyAny>,
    microsecond: Py<PyAny>,
    /// Python's own conversion, for everything else.
    nanoseconds: Py<PyAny>,
}

fn known(py: Python<'_>) -> PyResult<&Known> {
    static KNOWN: PyOnceLock<Known> = PyOnceLock::new();
    KNOWN.get_or_try_init(py, || {
        let module = py.import("siltstone.ticks._time")?;
        let get = |name: &str| module.getattr(name).map(Bound::unbind);
        Ok(Known {
            datetime: get("datetime")?,
            epoch: get("EPOCH")?,
            microsecond: get("MICROSECOND")?,
            nanoseconds: get("nanoseconds")?,
        })
    })
}

/// An integer, a datetime with a zone, or what `siltstone.ticks._time` knows.
pub(crate) fn to_ns(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    if value.is_exact_instance_of::<PyInt>()
        && let Ok(ns) = value.extract()
    {
        return Ok(ns);
    }
    let py = value.py();
    let known = known(py)?;
    if value.get_type().is(known.datetime.bind(py))
        && let Ok(since) = value.sub(known.epoch.bind(py))
    {
        let micros: i64 = since.floor_div(known.microsecond.bind(py))?.extract()?;
        return micros.checked_mul(1_000).ok_or_else(|| {
            invalid("time", "a time from 1677 to 2262, as ns are", value.to_string())
        });
    }
    known.nanoseconds.bind(py).call1((value,))?.extract()
}
