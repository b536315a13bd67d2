//! Series by key: any backend of the library.

use std::collections::HashMap;
use std::ffi::CString;
use std::ops::Bound as End;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::new_empty_array;
use arrow_schema::DataType;
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::{Deserialize, Serialize};
use siltstone::Database;
use siltstone::series::process::label_range;
use siltstone::series::{
    Change, IndexMetadata, IndexRange, IndexValue, MemoryBackend, Metadata, Overlap, Series,
    SeriesInfo, SqliteBackend, StorageBackend, TransferOptions, append_points, decoded, tree,
    type_name,
};

use crate::arrow::Table;
use crate::enter::Enter;
use crate::errors::{invalid, to_py};
use crate::query::Query;
use crate::report;
use crate::series_columns::{Column, from_arrow, name_of, to_arrow, type_of};
use crate::undo::{Kept, Undo, give};

/// Name, dtype, what is known of the index as JSON, index, values.
pub(crate) type Parts<'py> = (Option<String>, Option<String>, String, Column<'py>, Column<'py>);

/// What happens, a key, a text, a series: see [`SeriesStore::commit`].
type TreeChange<'py> = (String, String, Option<String>, Option<Parts<'py>>);

/// An end of a range: whether it belongs to the range, and the value.
type Bound1 = Option<(bool, Value)>;

/// What is known of a series beside its name: of its index, and its attributes.
#[derive(Serialize, Deserialize)]
struct Known {
    #[serde(flatten)]
    index: IndexMetadata,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    attributes: Metadata,
}

/// Length, types of index and values, least and greatest index value, sorted, name, dtype, index, metadata.
type Info = (
    u64,
    String,
    String,
    Option<(Value, Value)>,
    bool,
    Option<String>,
    Option<String>,
    String,
    String,
);

/// An index value.
#[derive(FromPyObject, IntoPyObject)]
pub(crate) enum Value {
    Int(i64),
    Float(f64),
    Text(String),
}

/// A backend: see the library.
#[pyclass(frozen, module = "siltstone._siltstone")]
pub(crate) struct SeriesStore {
    inner: Arc<dyn StorageBackend>,
    /// The same backend, if it is a file that can be compacted.
    file: Option<SqliteBackend>,
    /// The types of series that points were appended to: such points widen nothing.
    types: Mutex<HashMap<String, Types>>,
}

/// The types of index and values.
type Types = (DataType, DataType);

/// Series whose types are remembered.
const MOST_TYPES: usize = 10_000;

impl SeriesStore {
    /// The backend of the library.
    pub(crate) fn backend(&self) -> &dyn StorageBackend {
        self.inner.as_ref()
    }
}

impl SeriesStore {
    /// The series of a file that is open.
    pub(crate) fn over(file: SqliteBackend) -> Self {
        SeriesStore { inner: Arc::new(file.clone()), file: Some(file), types: Mutex::default() }
    }

    pub(crate) fn in_memory(backend: MemoryBackend) -> Self {
        SeriesStore { inner: Arc::new(backend), file: None, types: Mutex::default() }
    }
}

#[pymethods]
impl SeriesStore {
    #[staticmethod]
    fn open(py: Python<'_>, url: String) -> PyResult<Self> {
        let inner = py.enter(|| siltstone::series::open(&url))?;
        Ok(SeriesStore { inner: inner.into(), file: None, types: Mutex::default() })
    }

    /// A file of which more is asked than of any backend.
    #[staticmethod]
    fn open_file(py: Python<'_>, path: std::path::PathBuf) -> PyResult<Self> {
        Ok(SeriesStore::over(py.enter(|| SqliteBackend::open(path))?))
    }

    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let inner = self.inner.clone();
        let found = py.enter_abandonable(move || inner.verify())?;
        report::verify(py, &found)
    }

    fn backend_type(&self) -> &'static str {
        self.inner.backend_type()
    }

    fn location(&self) -> String {
        self.inner.location()
    }

    fn save(&self, py: Python<'_>, key: &str, series: Parts<'_>, metadata: &str) -> PyResult<()> {
        let (series, metadata) = (to_series(series)?, to_metadata(metadata)?);
        py.enter(|| self.inner.save(key, &series, &metadata))
    }

    fn save_many(&self, py: Python<'_>, items: Vec<(String, Parts<'_>, String)>) -> PyResult<()> {
        let saves = items.into_iter().map(|(key, series, metadata)| {
            let (series, metadata) = (to_series(series)?, to_metadata(&metadata)?);
            Ok(Change::Save { key, series, metadata })
        });
        let changes = saves.collect::<PyResult<Vec<Change>>>()?;
        py.enter(|| self.inner.commit(&changes))
    }

    /// What changed of a dataset, in one commit: `(what, key, text, series)` with
    /// `delete KEY`, `move KEY -> TEXT`, `new` and `save` of a series whose record is TEXT, `describe` with that alone, and
    /// `record KEY` with TEXT, or without it to remove the record. Once it is done, objects get the attributes that they
    /// are to have then, and `attempt` undoes nothing any more.
    fn commit(
        &self,
        py: Python<'_>,
        changes: Vec<TreeChange<'_>>,
        after: Vec<Kept>,
        attempt: Option<Py<Undo>>,
    ) -> PyResult<()> {
        let (mut all, mut moves, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for (what, key, text, series) in changes {
            let series = series.map(to_series).transpose()?;
            match (what.as_str(), text, series) {
                ("delete", None, None) => all.push(Change::Delete { key }),
                ("move", Some(to), None) => moves.push((key, to)),
                ("record", text, None) => {
                    let record = text.as_deref().map(to_metadata).transpose()?;
                    rest.push(Change::Record { name: key, record });
                }
                ("new" | "save" | "describe", Some(text), series) => {
                    let (metadata, sources) = tree::pack(&to_record(&text)?);
                    match series {
                        Some(series) if what == "new" => {
                            rest.extend(tree::save_new(key, series, metadata));
                        }
                        Some(series) => rest.push(Change::Save { key, series, metadata }),
                        None => rest.push(Change::SetMetadata { key, metadata }),
                    }
                    rest.extend(
                        sources
                            .into_iter()
                            .map(|(name, record)| Change::Record { name, record: Some(record) }),
                    );
                }
                _ => return Err(invalid("a change", "one that is known", what)),
            }
        }
        all.extend(tree::renames(&moves));
        all.append(&mut rest);
        let mut is_done = all.is_empty();
        let done = match is_done {
            true => Ok(()),
            // It may raise what a signal handler has raised, and have done its work all the same.
            false => py.enter(|| self.inner.commit(&all).inspect(|()| is_done = true)),
        };
        if is_done {
            if let Some(attempt) = attempt {
                attempt.get().stay();
            }
            give(py, &after)?;
        }
        done
    }

    /// The number of points of a series, and a hash of all that it is, in hexadecimal.
    fn checksum(&self, py: Python<'_>, key: &str) -> PyResult<(u64, String)> {
        let sum = py.enter(|| siltstone::series::checksum(self.inner.as_ref(), key))?;
        Ok((sum.points, format!("{:032x}", sum.hash)))
    }

    /// What is known of a series of a dataset, with the source texts of its steps, as JSON.
    fn series_record(&self, py: Python<'_>, key: &str) -> PyResult<String> {
        let record = py.enter(|| {
            let metadata = self.inner.metadata(key)?;
            tree::unpack(metadata, key, &mut |name| self.inner.record(name))
        })?;
        Ok(serde_json::to_string(&record).expect("names and numbers are JSON"))
    }

    fn append(&self, py: Python<'_>, key: &str, series: Parts<'_>, overlap: &str) -> PyResult<u64> {
        let series = to_series(series)?;
        let overlap = match overlap {
            "refuse" => Overlap::Refuse,
            "skip" => Overlap::Skip,
            "replace" => Overlap::Replace,
            "keep" => Overlap::Keep,
            other => return Err(invalid("overlap", "refuse, skip, replace or keep", other)),
        };
        let append = || -> siltstone::Result<(u64, Option<String>)> {
            if overlap == Overlap::Keep {
                return Ok((self.inner.append(key, &series)?, None));
            }
            let points = [(key.to_owned(), series.clone(), Metadata::new(), overlap)];
            let done = append_points(self.inner.as_ref(), &points)?.remove(0);
            let conflicts = done.first_conflict.map(|first| {
                format!(
                    "the series {key:?}: points with another value, skipped: {}, the first {first}",
                    done.conflicts
                )
            });
            Ok((done.points, conflicts))
        };
        let warn = |text: String| {
            let text = CString::new(text.replace('\0', "")).expect("without NUL");
            PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 2)
        };
        let own = (series.index().data_type().clone(), series.values().data_type().clone());
        let types = || self.types.lock().unwrap_or_else(PoisonError::into_inner);
        if types().get(key) == Some(&own) {
            let (appended, conflicts) = py.enter(append)?;
            conflicts.map_or(Ok(()), warn)?;
            return Ok(appended);
        }
        let (before, (appended, conflicts), after) = py.enter(|| {
            let stored = || match self.inner.info(key) {
                Ok(info) => Ok(Some((info.index_type, info.value_type))),
                Err(siltstone::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            };
            let before = stored()?;
            let appended = append()?;
            Ok((before, appended, stored()?))
        })?;
        if let (Some(before), Some(after)) = (&before, &after) {
            for (what, was, is) in [("index", &before.0, &after.0), ("values", &before.1, &after.1)]
            {
                if was != is {
                    let (was, is) = (type_name(was), type_name(is));
                    warn(format!("the series {key:?} is widened: {what} {was} to {is}"))?;
                }
            }
        }
        conflicts.map_or(Ok(()), warn)?;
        let mut types = types();
        if types.len() >= MOST_TYPES {
            types.clear();
        }
        types.extend(after.map(|after| (key.to_owned(), after)));
        Ok(appended)
    }

    fn set_metadata(&self, py: Python<'_>, key: String, metadata: &str) -> PyResult<()> {
        let metadata = to_metadata(metadata)?;
        py.enter(|| self.inner.commit(&[Change::SetMetadata { key, metadata }]))
    }

    fn load<'py>(&self, py: Python<'py>, key: &str) -> PyResult<(Parts<'py>, String)> {
        let (series, metadata) = py.enter(|| self.inner.load(key))?;
        Ok((from_series(py, &series)?, to_json(&metadata)))
    }

    fn load_many<'py>(
        &self,
        py: Python<'py>,
        keys: Vec<String>,
    ) -> PyResult<Vec<(Parts<'py>, String)>> {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let loaded = py.enter(|| self.inner.load_many(&keys))?;
        let loaded = loaded.iter();
        loaded.map(|(series, kept)| Ok((from_series(py, series)?, to_json(kept)))).collect()
    }

    fn load_range<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        from: Bound1,
        to: Bound1,
    ) -> PyResult<Parts<'py>> {
        let range = IndexRange { from: end(from), to: end(to) };
        from_series(py, &py.enter(|| self.inner.load_range(key, &range))?)
    }

    /// The points of a range, as a table that streams.
    fn scan(&self, key: String, from: Bound1, to: Bound1) -> Table {
        let (inner, range) = (self.inner.clone(), IndexRange { from: end(from), to: end(to) });
        Table::new(move || decoded(inner.scan(&key, &range)?))
    }

    fn info(&self, py: Python<'_>, key: &str) -> PyResult<Info> {
        let info: SeriesInfo = py.enter(|| self.inner.info(key))?;
        let (name, dtype) = (info.name().map(str::to_owned), info.dtype().map(str::to_owned));
        let index = serde_json::to_string(info.index_metadata()).expect("names are JSON");
        let extent = info.extent.map(|(least, greatest)| (value(least), value(greatest)));
        let types = (name_of(&info.index_type), name_of(&info.value_type));
        let kept = to_json(&info.metadata);
        Ok((info.length, types.0, types.1, extent, info.is_sorted, name, dtype, index, kept))
    }

    fn delete(&self, py: Python<'_>, key: &str) -> PyResult<()> {
        py.enter(|| self.inner.delete(key))
    }

    fn exists(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        py.enter(|| self.inner.exists(key))
    }

    fn list_keys(&self, py: Python<'_>, prefix: &str) -> PyResult<Vec<String>> {
        py.enter(|| self.inner.list_keys(prefix))
    }

    fn rename(&self, py: Python<'_>, from: &str, to: &str) -> PyResult<()> {
        py.enter(|| self.inner.rename(from, to))
    }

    fn copy(&self, py: Python<'_>, from: &str, to: &str) -> PyResult<()> {
        py.enter(|| self.inner.copy(from, to))
    }

    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        py.enter(|| self.inner.clear())
    }

    fn record(&self, py: Python<'_>, name: &str) -> PyResult<Option<String>> {
        Ok(py.enter(|| self.inner.record(name))?.as_ref().map(to_json))
    }

    fn list_records(&self, py: Python<'_>, prefix: &str) -> PyResult<Vec<String>> {
        py.enter(|| self.inner.list_records(prefix))
    }

    /// Packs the points of one series, or of all; `None` for a backend that has nothing to pack.
    fn compact(
        &self,
        py: Python<'_>,
        key: Option<String>,
    ) -> PyResult<Option<(u64, u64, u64, u64)>> {
        let Some(file) = &self.file else { return Ok(None) };
        Ok(Some(report::compact(&py.enter(|| file.compact(key.as_deref()))?)))
    }

    /// Gives free pages back; the bytes, or `None` for a backend that has none.
    fn vacuum(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        let Some(file) = &self.file else { return Ok(None) };
        let database = file.database().clone();
        py.enter_abandonable(move || database.vacuum()).map(Some)
    }

    fn sql(&self, py: Python<'_>, sql: String) -> PyResult<Query> {
        let database = self.database()?;
        let inner = py.enter_abandonable(move || database.sql(&sql))?;
        Ok(Query { inner })
    }

    /// The same rows as a table; the statement runs each time that the table is streamed.
    fn sql_table(&self, sql: String) -> PyResult<Table> {
        let database = self.database()?;
        Ok(Table::new(move || database.arrow(&sql)))
    }
}

/// Where what a text names begins, and where it is over, as values of an index of this type of times or time spans.
#[pyfunction]
pub(crate) fn series_label(index_type: &str, text: &str) -> PyResult<(i64, i64)> {
    let wrong = || invalid("the index", "one of times or time spans", index_type);
    let index = new_empty_array(&type_of(index_type).ok_or_else(wrong)?);
    let series = Series::new(index, new_empty_array(&DataType::Int64)).map_err(to_py)?;
    let label = IndexValue::Text(text.to_owned());
    let range = label_range(&series, Some(&label), Some(&label)).map_err(to_py)?;
    match (range.from, range.to) {
        (End::Included(IndexValue::Int(begin)), End::Excluded(IndexValue::Int(over))) => {
            Ok((begin, over))
        }
        _ => Err(wrong()),
    }
}

/// An address without the passwords in it.
#[pyfunction]
pub(crate) fn series_without_password(url: &str) -> String {
    siltstone::series::without_password(url)
}

/// Copies series from one store into another. `progress` is told the points that are done, of how many.
#[pyfunction]
pub(crate) fn series_transfer<'py>(
    py: Python<'py>,
    source: &SeriesStore,
    target: &SeriesStore,
    prefix: String,
    overwrite: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let options = TransferOptions { prefix, overwrite, ..TransferOptions::default() };
    let mut raised = None;
    let done = py.detach(|| {
        let mut step = |done: u64, all: u64| {
            let reported = Python::attach(|py| {
                py.check_signals()?;
                progress
                    .as_ref()
                    .map_or(Ok(()), |reported| reported.call1(py, (done, all)).map(drop))
            });
            reported.map_err(|error| {
                raised = Some(error);
                siltstone::Error::Interrupted { action: "copying series" }
            })
        };
        siltstone::series::transfer(
            source.inner.as_ref(),
            target.inner.as_ref(),
            &options,
            &mut step,
        )
    });
    if let Some(error) = raised {
        return Err(error);
    }
    let report = done.map_err(to_py)?;
    let counts = PyDict::new(py);
    counts.set_item("series", report.series)?;
    counts.set_item("points", report.points)?;
    counts.set_item("unchanged", report.unchanged)?;
    counts.set_item("records", report.records)?;
    counts.set_item("conflicts", report.conflicts)?;
    counts.set_item("first_conflicts", report.first_conflicts)?;
    Ok(counts)
}

impl SeriesStore {
    fn database(&self) -> PyResult<Database> {
        let file = self.file.as_ref().map(|file| file.database().clone());
        file.ok_or_else(|| invalid("SQL", "a backend in an SQLite file", self.inner.backend_type()))
    }
}

pub(crate) fn to_series((name, dtype, index_json, index, values): Parts<'_>) -> PyResult<Series> {
    let known: Known = serde_json::from_str(&index_json)
        .map_err(|e| invalid("what is known of the index", "its JSON", e.to_string()))?;
    let (index, values) = (to_arrow("the index", &index)?, to_arrow("the values", &values)?);
    let series = Series::new(index, values).map_err(to_py)?;
    let series = series.with_name_or_none(name).with_dtype(dtype);
    Ok(series.with_index_metadata(known.index).with_attributes(known.attributes))
}

pub(crate) fn from_series<'py>(py: Python<'py>, series: &Series) -> PyResult<Parts<'py>> {
    let (index, attributes) = (series.index_metadata().clone(), series.attributes().clone());
    let index = serde_json::to_string(&Known { index, attributes }).expect("names are JSON");
    let (name, dtype) = (series.name().map(str::to_owned), series.dtype().map(str::to_owned));
    Ok((name, dtype, index, from_arrow(py, series.index())?, from_arrow(py, series.values())?))
}

fn to_metadata(json: &str) -> PyResult<Metadata> {
    serde_json::from_str(json).map_err(|e| invalid("the metadata", "JSON", e.to_string()))
}

fn to_record(json: &str) -> PyResult<tree::SeriesRecord> {
    serde_json::from_str(json)
        .map_err(|e| invalid("what is known of a series", "a record", e.to_string()))
}

fn to_json(metadata: &Metadata) -> String {
    serde_json::to_string(metadata).expect("it came from JSON")
}

fn end(bound: Bound1) -> End<IndexValue> {
    match bound {
        None => End::Unbounded,
        Some((true, value)) => End::Included(index_value(value)),
        Some((false, value)) => End::Excluded(index_value(value)),
    }
}

pub(crate) fn index_value(value: Value) -> IndexValue {
    match value {
        Value::Int(n) => IndexValue::Int(n),
        Value::Float(x) => IndexValue::Float(x),
        Value::Text(text) => IndexValue::Text(text),
    }
}

fn value(value: IndexValue) -> Value {
    match value {
        IndexValue::Int(n) => Value::Int(n),
        IndexValue::Float(x) => Value::Float(x),
        IndexValue::Text(text) => Value::Text(text),
    }
}
