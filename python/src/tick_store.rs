//! The tick store's handle.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use numpy::PyReadonlyArray1;
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use pyo3_arrow::input::AnyRecordBatch;
use siltstone::ticks::{
    ArrowDefaults, Fill, ImportOptions, Names, OhlcOptions, Outcome, QueueFull, QuoteOptions,
    ReplayOptions, RetentionPolicy, TickBatch, TickStoreConfig, Timeframe, bars_to_arrow,
    gaps_to_arrow, into_arrow, now_ns, suspect_unit,
};
use siltstone::{Error, Result, ticks};

use crate::arguments::{Number, Text};
use crate::arrow::Table;
use crate::columns::Columns;
use crate::enter::Enter;
use crate::errors::{invalid, to_py};
use crate::tick_replay::Replay;
use crate::tick_time::to_ns;

/// How many forks this process is away from the first one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// To be called in the child of a fork.
#[pyfunction]
pub(crate) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// How a store works: the fields of `siltstone.ticks.TickStoreConfig`.
#[derive(FromPyObject)]
pub(crate) struct Config {
    broker_id: String,
    max_ticks_per_symbol: usize,
    backend: String,
    sqlite_base_path: PathBuf,
    enable_json_legacy: bool,
    json_base_path: PathBuf,
    utc_offset_s: i32,
    queue_size: usize,
    queue_full: String,
    batch_size: usize,
    flush_interval: f64,
    durability: String,
    throttle: String,
    duplicates: String,
    duplicate_key_ns: i64,
    compact_after_days: u32,
    compact_every: Option<f64>,
    spill_path: Option<PathBuf>,
    max_bars_per_symbol: usize,
}

impl Config {
    fn into_rust(self) -> PyResult<TickStoreConfig> {
        let flush_interval = Duration::try_from_secs_f64(self.flush_interval).map_err(|_| {
            invalid("flush_interval", "seconds, not negative", self.flush_interval.to_string())
        })?;
        let every = |s: f64| {
            Duration::try_from_secs_f64(s)
                .map_err(|_| invalid("compact_every", "seconds, not negative", s.to_string()))
        };
        let compact_every = self.compact_every.map(every).transpose()?;
        Ok(TickStoreConfig {
            broker_id: self.broker_id,
            max_ticks_per_symbol: self.max_ticks_per_symbol,
            backend: self.backend.parse().map_err(to_py)?,
            sqlite_base_path: self.sqlite_base_path,
            enable_json_legacy: self.enable_json_legacy,
            json_base_path: self.json_base_path,
            utc_offset_s: self.utc_offset_s,
            queue_size: self.queue_size,
            queue_full: self.queue_full.parse().map_err(to_py)?,
            batch_size: self.batch_size,
            flush_interval,
            durability: self.durability.parse().map_err(to_py)?,
            throttle: self.throttle.parse().map_err(to_py)?,
            duplicates: self.duplicates.parse().map_err(to_py)?,
            duplicate_key_ns: self.duplicate_key_ns,
            compact_after_days: self.compact_after_days,
            compact_every,
            spill_path: self.spill_path,
            max_bars_per_symbol: self.max_bars_per_symbol,
        })
    }
}

/// A report as JSON text; Python makes named tuples of it.
fn to_json(report: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(report).map_err(|error| Error::Invalid {
        what: "the report".into(),
        expected: "names that are UTF-8".into(),
        got: error.to_string(),
    })
}

/// Time in ns, bid, ask, spread and source.
type Quote = (i64, f64, f64, f64, String);

/// A name for all, or by number.
#[derive(FromPyObject)]
enum Named {
    One(String),
    Coded(Vec<u32>, Vec<String>),
}

impl Named {
    fn words(&self) -> Vec<&str> {
        match self {
            Named::One(_) => Vec::new(),
            Named::Coded(_, words) => words.iter().map(String::as_str).collect(),
        }
    }

    fn names<'a>(&'a self, words: &'a [&'a str]) -> Names<'a> {
        match self {
            Named::One(name) => Names::One(name),
            Named::Coded(codes, _) => Names::Coded(codes, words),
        }
    }
}

/// A handle to a store of ticks.
#[pyclass(frozen, weakref, module = "siltstone._siltstone")]
pub(crate) struct TickStore {
    inner: ticks::TickStore,
    /// The number of forks when it was opened: in a later one the writer is missing.
    forks: u32,
    /// Whether a tick may have to wait for room.
    waits: bool,
    /// Whether it was said that times do not seem to be ns.
    suspected: AtomicBool,
    /// What `store_tick` returns: stored, throttled, dropped.
    outcomes: [Py<PyAny>; 3],
}

impl TickStore {
    /// Warns once of times that do not seem to be ns.
    fn suspect(&self, py: Python<'_>, time_ns: i64) -> PyResult<()> {
        let Some(unit) = suspect_unit(time_ns) else { return Ok(()) };
        if self.suspected.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let text = format!("time: {time_ns} seems to be in {unit} since 1970; it is taken for ns");
        let text = std::ffi::CString::new(text).expect("digits and letters");
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 1)
    }

    /// Over a store that is open.
    pub(crate) fn new_over(inner: ticks::TickStore, outcomes: [Py<PyAny>; 3]) -> Self {
        let waits = inner.config().queue_full == QueueFull::Block;
        let (forks, suspected) = (FORKS.load(Ordering::Relaxed), AtomicBool::new(false));
        TickStore { inner, forks, waits, suspected, outcomes }
    }

    fn get(&self) -> PyResult<&ticks::TickStore> {
        if self.forks == FORKS.load(Ordering::Relaxed) {
            return Ok(&self.inner);
        }
        Err(to_py(Error::Closed {
            what: "the tick store".into(),
            why: "belongs to the process that this one was forked from; open one here",
        }))
    }
}

#[pymethods]
impl TickStore {
    #[new]
    fn new(py: Python<'_>, config: Config, outcomes: [Py<PyAny>; 3]) -> PyResult<Self> {
        let config = config.into_rust()?;
        let inner = py.enter(|| ticks::TickStore::new(config))?;
        Ok(TickStore::new_over(inner, outcomes))
    }

    #[staticmethod]
    fn open_read_only(py: Python<'_>, base: PathBuf, outcomes: [Py<PyAny>; 3]) -> PyResult<Self> {
        let inner = py.enter(|| ticks::TickStore::open_read_only(base))?;
        Ok(TickStore::new_over(inner, outcomes))
    }

    /// The hot path: keeps the GIL unless it may have to wait.
    #[pyo3(signature = (symbol, bid, ask, spread=None, lp=Text(""), time=None))]
    #[allow(clippy::too_many_arguments, reason = "the arguments are those of the Python method")]
    fn store_tick<'py>(
        &self,
        py: Python<'py>,
        symbol: Text<'_>,
        bid: Number,
        ask: Number,
        spread: Option<Number>,
        lp: Text<'_>,
        time: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<&Py<PyAny>> {
        let (Text(symbol), Number(bid), Number(ask), Text(lp)) = (symbol, bid, ask, lp);
        let time_ns = match time {
            Some(time) => to_ns(time)?,
            None => now_ns(),
        };
        self.suspect(py, time_ns)?;
        let spread = spread.map_or(ask - bid, |Number(spread)| spread);
        let inner = self.get()?;
        let store = || inner.store_tick(symbol, bid, ask, spread, lp, time_ns);
        let outcome = if self.waits { py.detach(store) } else { store() }.map_err(to_py)?;
        Ok(&self.outcomes[match outcome {
            Outcome::Throttled => 1,
            Outcome::Dropped => 2,
            _ => 0,
        }])
    }

    fn store_ticks(
        &self,
        py: Python<'_>,
        symbol: Named,
        time_ns: PyReadonlyArray1<'_, i64>,
        prices: (PyReadonlyArray1<'_, f64>, PyReadonlyArray1<'_, f64>),
        spread: Option<PyReadonlyArray1<'_, f64>>,
        lp: Named,
    ) -> PyResult<String> {
        // Copied while the GIL is held: once it is released, Python may change the arrays.
        let copy = |array: &PyReadonlyArray1<'_, f64>| array.as_array().to_vec();
        let (bid, ask) = (copy(&prices.0), copy(&prices.1));
        let (time_ns, spread) = (time_ns.as_array().to_vec(), spread.as_ref().map(copy));
        time_ns.first().map_or(Ok(()), |time| self.suspect(py, *time))?;
        let (symbols, sources) = (symbol.words(), lp.words());
        let batch = TickBatch {
            symbol: symbol.names(&symbols),
            time_ns: &time_ns,
            bid: &bid,
            ask: &ask,
            spread: spread.as_deref(),
            lp: lp.names(&sources),
        };
        let inner = self.get()?;
        py.enter(|| to_json(&inner.store_ticks(&batch)?))
    }

    fn store_arrow(
        &self,
        py: Python<'_>,
        table: AnyRecordBatch,
        symbol: Option<&str>,
        lp: Option<&str>,
    ) -> PyResult<String> {
        let inner = self.get()?;
        let batches = table.into_reader()?;
        py.enter(|| to_json(&inner.store_arrow(batches, ArrowDefaults { symbol, lp })?))
    }

    fn flush(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.get()?;
        py.enter(|| to_json(&inner.flush()?))
    }

    fn stop(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.get()?;
        py.enter(|| to_json(&inner.stop()?))
    }

    fn report(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.get()?;
        py.enter(|| to_json(&inner.report()))
    }

    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.get()?;
        py.enter(|| to_json(&inner.stats()?))
    }

    fn days(&self, py: Python<'_>) -> PyResult<String> {
        let inner = self.get()?;
        py.enter(|| to_json(&inner.days()?))
    }

    fn symbols(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let inner = self.get()?;
        py.enter(|| inner.symbols())
    }

    fn recent(&self, py: Python<'_>, symbol: &str, n: usize) -> PyResult<Columns> {
        let inner = self.get()?;
        py.enter(|| into_arrow(inner.get_recent_ticks(symbol, n)?)).map(Columns::new)
    }

    /// Time, bid, ask, spread and source of the last tick.
    fn last(&self, py: Python<'_>, symbol: &str) -> PyResult<Option<Quote>> {
        let inner = self.get()?;
        let last = py.enter(|| inner.last(symbol))?;
        Ok(last.map(|tick| (tick.time_ns, tick.bid, tick.ask, tick.spread, tick.lp)))
    }

    fn range(
        &self,
        py: Python<'_>,
        symbol: &str,
        start: &Bound<'_, PyAny>,
        end: &Bound<'_, PyAny>,
    ) -> PyResult<Columns> {
        let (start, end) = (to_ns(start)?, to_ns(end)?);
        let inner = self.get()?;
        py.enter(|| into_arrow(inner.get_ticks_in_range(symbol, start, end)?)).map(Columns::new)
    }

    fn scan(&self, symbols: Option<Vec<String>>, start: i64, end: i64) -> PyResult<Table> {
        let inner = self.get()?.clone();
        Ok(Table::new(move || {
            let symbols: Option<Vec<&str>> =
                symbols.as_ref().map(|symbols| symbols.iter().map(String::as_str).collect());
            inner.scan(symbols.as_deref(), start, end)
        }))
    }

    #[allow(clippy::too_many_arguments, reason = "the arguments are those of the Python method")]
    fn ohlc(
        &self,
        py: Python<'_>,
        symbol: &str,
        interval_ns: i64,
        range: (i64, i64),
        price: &str,
        origin_ns: i64,
        fill: &str,
    ) -> PyResult<Columns> {
        let fill: Fill = fill.parse().map_err(to_py)?;
        let (from_ns, to_ns) = range;
        let price = price.parse().map_err(to_py)?;
        let options = OhlcOptions { from_ns, to_ns, price, origin_ns, fill };
        let inner = self.get()?;
        py.enter(|| bars_to_arrow(&inner.ohlc(symbol, interval_ns, options)?)).map(Columns::new)
    }

    fn get_ohlc(
        &self,
        py: Python<'_>,
        symbol: &str,
        timeframe: &str,
        limit: usize,
    ) -> PyResult<Columns> {
        let timeframe: Timeframe = timeframe.parse().map_err(to_py)?;
        let inner = self.get()?;
        py.enter(|| bars_to_arrow(&inner.get_ohlc(symbol, timeframe, limit)?)).map(Columns::new)
    }

    fn asof(
        &self,
        py: Python<'_>,
        symbol: &str,
        times_ns: PyReadonlyArray1<'_, i64>,
        tolerance_ns: Option<i64>,
        direction: &str,
    ) -> PyResult<Columns> {
        let times = times_ns.as_array().to_vec();
        let direction = direction.parse().map_err(to_py)?;
        let inner = self.get()?;
        py.enter(|| inner.asof(symbol, &times, tolerance_ns, direction)?.to_arrow(&times))
            .map(Columns::new)
    }

    fn gaps(
        &self,
        py: Python<'_>,
        symbol: &str,
        min_ns: i64,
        start: i64,
        end: i64,
    ) -> PyResult<Columns> {
        let inner = self.get()?;
        py.enter(|| gaps_to_arrow(&inner.gaps(symbol, min_ns, start, end)?)).map(Columns::new)
    }

    fn replay(
        &self,
        py: Python<'_>,
        symbols: Vec<String>,
        start: i64,
        end: i64,
        speed: f64,
        tick: Py<PyAny>,
    ) -> PyResult<Replay> {
        let inner = self.get()?;
        let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
        let options = ReplayOptions { from_ns: start, to_ns: end, speed };
        let inner = py.enter(|| inner.start_replay(&names, options))?;
        Ok(Replay::new(inner, tick))
    }

    /// A day, or with `None` those that are over, or with `"all"` all.
    fn compact(&self, py: Python<'_>, day: Option<&str>) -> PyResult<String> {
        let inner = self.get()?;
        py.enter(|| match day {
            Some("all") => to_json(&inner.compact_all()?),
            Some(day) => to_json(&[inner.compact(day)?]),
            None => to_json(&inner.compact_finished()?),
        })
    }

    fn expand(&self, py: Python<'_>) -> PyResult<u64> {
        let inner = self.get()?;
        py.enter(|| inner.expand())
    }

    fn retain(
        &self,
        py: Python<'_>,
        delete_after_days: Option<u32>,
        thin_after_days: Option<u32>,
        keep_one_of: u32,
        dry_run: bool,
    ) -> PyResult<String> {
        let policy = RetentionPolicy { delete_after_days, thin_after_days, keep_one_of, dry_run };
        let inner = self.get()?;
        py.enter(|| to_json(&inner.retain(&policy)?))
    }
}

impl Drop for TickStore {
    fn drop(&mut self) {
        // The last handle waits for the queue to run dry: other threads of Python go on meanwhile.
        if self.forks == FORKS.load(Ordering::Relaxed) {
            let inner = self.inner.clone();
            Python::try_attach(|py| {
                if let Err(error) = py.detach(|| inner.stop()) {
                    to_py(error).write_unraisable(py, None);
                }
            });
        }
    }
}

/// Whether a folder of day files is in order, as JSON text.
#[pyfunction]
pub(crate) fn ticks_doctor(py: Python<'_>, base: PathBuf) -> PyResult<String> {
    py.enter_abandonable(move || to_json(&ticks::doctor(base)?))
}

/// How files of quotes are read, as Python has it: format, columns, symbol, lp, zone and its times that are shown twice, unit, form of times, separator, decimal mark and that of thousands, carry, finished.
type QuoteWords = (
    [Option<String>; 4],
    (Option<String>, String),
    Option<String>,
    Option<String>,
    [Option<char>; 3],
    [bool; 2],
);

fn quote_options(words: QuoteWords) -> siltstone::Result<QuoteOptions> {
    let (
        names,
        (time_zone, ambiguous),
        unit,
        time_format,
        [separator, decimal, thousands],
        [carry, finished],
    ) = words;
    let [format, columns, symbol, lp] = names;
    Ok(QuoteOptions {
        format: format.map(|name| name.parse()).transpose()?,
        columns: columns.map(|names| names.parse()).transpose()?,
        symbol,
        lp,
        time_zone,
        ambiguous: ambiguous.parse()?,
        time_unit: unit.map(|unit| unit.parse()).transpose()?,
        time_format,
        separator,
        decimal,
        thousands,
        carry,
        finished,
    })
}

/// Ticks of the RTX engine, or files of quotes, into day files; the report as JSON text.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "Python's options, one by one")]
pub(crate) fn ticks_import(
    py: Python<'_>,
    folders: (PathBuf, PathBuf),
    files: Option<(Vec<PathBuf>, QuoteWords)>,
    sizes: (usize, usize, Option<u32>),
    dry_run: bool,
    duplicates: (String, i64),
    durability: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let (files, quotes) = match files {
        None => (Vec::new(), QuoteOptions::default()),
        Some((files, words)) => (files, quote_options(words).map_err(to_py)?),
    };
    let options = ImportOptions {
        files,
        quotes,
        dry_run,
        compact_after_days: sizes.2,
        batch_size: sizes.0,
        threads: sizes.1,
        duplicates: duplicates.0.parse().map_err(to_py)?,
        duplicate_key_ns: duplicates.1,
        durability: durability.parse().map_err(to_py)?,
        ..ImportOptions::new(folders.0, folders.1)
    };
    py.enter_long("importing", |signals| {
        let report =
            ticks::import(&options, &mut |done, all| signals.report(progress.as_ref(), done, all))?;
        to_json(&report)
    })
}

/// The clock, in ns since 1970 UTC.
#[pyfunction]
pub(crate) fn ticks_now_ns() -> i64 {
    now_ns()
}

/// What is odd about a quote, as bits.
#[pyfunction]
pub(crate) fn ticks_quality(bid: f64, ask: f64, spread: f64) -> u8 {
    ticks::quality(bid, ask, spread)
}

/// A time as ns since 1970 UTC.
#[pyfunction]
pub(crate) fn ticks_to_ns(time: &Bound<'_, PyAny>) -> PyResult<i64> {
    to_ns(time)
}
