//! What a backend keeps of a dataset beside the points: three kinds of records, and the metadata of each series.
//!
//! | record | holds |
//! |---|---|
//! | `dataset/NAME` | a [`DatasetRecord`] |
//! | `signal/DATASET/NAME` | a [`SignalRecord`] |
//! | `function/SHA256` | `source_code`: the source text of a function, named by its hash |
//!
//! The metadata of a series are its [`SeriesRecord`], whose steps name the hash of their source text as
//! `source_sha256`. A series belongs to the dataset and the signal that its key names, and to nothing else:
//! two processes that add series to one dataset do not undo each other.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::names::escape;
use super::step::{ProcessingStep, now};
use crate::error::{Error, Result};
use crate::series::backend::Change;
use crate::series::data::{Metadata, Series};

/// What is known of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DatasetRecord {
    /// Its name.
    pub name: String,
    /// What it holds, in words.
    pub description: Option<String>,
    /// Whose it is.
    pub owner: Option<String>,
    /// What it is for.
    pub purpose: Option<String>,
    /// The project that it belongs to.
    pub project: Option<String>,
    /// When it was made: ISO 8601.
    pub created_on: String,
    /// When it was changed last: ISO 8601.
    pub last_updated: String,
    /// What else is known of it.
    #[serde(flatten)]
    pub more: Metadata,
}

/// Where the points of a signal come from. The names are those of meteaudata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataProvenance {
    /// Where the data were taken from.
    pub source_repository: Option<String>,
    /// The project that measured them.
    pub project: Option<String>,
    /// Where they were measured.
    pub location: Option<String>,
    /// What measured them.
    pub equipment: Option<String>,
    /// What was measured.
    pub parameter: Option<String>,
    /// What for.
    pub purpose: Option<String>,
    /// The number of this description in a system of the user's.
    pub metadata_id: Option<String>,
    /// What else is known of it.
    #[serde(flatten)]
    pub more: Metadata,
}

/// What is known of a signal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SignalRecord {
    /// Its name, with its number.
    pub name: String,
    /// The unit of its values.
    pub units: String,
    /// Where they come from.
    pub provenance: DataProvenance,
    /// When it was made: ISO 8601.
    pub created_on: String,
    /// When it was changed last: ISO 8601.
    pub last_updated: String,
    /// What else is known of it.
    #[serde(flatten)]
    pub more: Metadata,
}

/// What is known of a series of a signal: the metadata that a backend keeps beside its points.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeriesRecord {
    /// What was done to it, in order.
    pub processing_steps: Vec<ProcessingStep>,
    /// The number of this description in a system of the user's.
    pub metadata_id: Option<String>,
    /// When it was made: ISO 8601.
    pub created_on: String,
    /// What else is known of it.
    #[serde(flatten)]
    pub more: Metadata,
}

impl DatasetRecord {
    /// A dataset of this name, made now.
    pub fn new(name: impl Into<String>) -> Self {
        let now = now();
        DatasetRecord {
            name: name.into(),
            created_on: now.clone(),
            last_updated: now,
            ..Self::default()
        }
    }
}

impl SignalRecord {
    /// A signal of this name and unit, made now.
    pub fn new(name: impl Into<String>, units: impl Into<String>) -> Self {
        let now = now();
        SignalRecord {
            name: name.into(),
            units: units.into(),
            created_on: now.clone(),
            last_updated: now,
            ..Self::default()
        }
    }
}

impl SeriesRecord {
    /// Of a series that was made now, with this history.
    pub fn new(processing_steps: Vec<ProcessingStep>) -> Self {
        SeriesRecord { processing_steps, created_on: now(), ..Self::default() }
    }
}

/// The name of the record of a dataset.
pub fn dataset_record(dataset: &str) -> String {
    format!("dataset/{}", escape(dataset))
}

/// The name of the record of a signal.
pub fn signal_record(dataset: &str, signal: &str) -> String {
    format!("signal/{}/{}", escape(dataset), escape(signal))
}

/// The name of the record of a function's source text.
pub fn function_record(sha256: &str) -> String {
    format!("function/{sha256}")
}

/// The changes that save a series under a key that must be free: one that another process took meanwhile is
/// not written over.
pub fn save_new(key: String, series: Series, metadata: Metadata) -> [Change; 2] {
    let free = format!("{key}\u{0}new");
    [Change::Save { key: free.clone(), series, metadata }, Change::Rename { from: free, to: key }]
}

/// The changes that give series other keys, from and to: one may get the key that another one leaves.
pub fn renames(moves: &[(String, String)]) -> Vec<Change> {
    // By way of names that nobody has.
    let aside = |key: &str| format!("{key}\u{0}moved");
    let away = moves.iter().map(|(from, _)| (from.clone(), aside(from)));
    let back = moves.iter().map(|(from, to)| (aside(from), to.clone()));
    away.chain(back).map(|(from, to)| Change::Rename { from, to }).collect()
}

const SOURCE: &str = "source_code";
const HASH: &str = "source_sha256";

/// The metadata of a series as a backend keeps them, and the source texts that they name, as records.
pub fn pack(record: &SeriesRecord) -> (Metadata, Vec<(String, Metadata)>) {
    let (mut metadata, mut sources) = (to_json(record), Vec::<(String, Metadata)>::new());
    for function in functions(&mut metadata) {
        let Some(Value::String(source)) = function.remove(SOURCE) else { continue };
        let digest = Sha256::digest(source.as_bytes());
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = function_record(&hash);
        function.insert(HASH.into(), hash.into());
        if sources.iter().all(|(known, _)| *known != name) {
            sources.push((name, Metadata::from_iter([(SOURCE.into(), source.into())])));
        }
    }
    (metadata, sources)
}

/// What is known of a series, from the metadata that a backend keeps; `source` finds a record by its name.
/// A source text that is not there stays a hash.
///
/// # Errors
/// [`Error::Corrupt`] for metadata that are no such record; what `source` says.
pub fn unpack(
    mut metadata: Metadata,
    key: &str,
    source: &mut dyn FnMut(&str) -> Result<Option<Metadata>>,
) -> Result<SeriesRecord> {
    for function in functions(&mut metadata) {
        let Some(Value::String(hash)) = function.get(HASH) else { continue };
        let record = source(&function_record(hash))?;
        if let Some(Value::String(text)) = record.and_then(|mut record| record.remove(SOURCE)) {
            function.remove(HASH);
            function.insert(SOURCE.into(), text.into());
        }
    }
    from_json(metadata, &format!("the metadata of the series {key:?}"))
}

/// What is known of the functions of the steps.
fn functions(metadata: &mut Metadata) -> impl Iterator<Item = &mut Metadata> {
    let steps = metadata.get_mut("processing_steps").and_then(Value::as_array_mut);
    let steps = steps.into_iter().flatten();
    steps.filter_map(|step| step.get_mut("function_info")?.as_object_mut())
}

/// A record as JSON.
pub(super) fn to_json(record: &impl Serialize) -> Metadata {
    match serde_json::to_value(record) {
        Ok(Value::Object(record)) => record,
        other => unreachable!("a record is an object of names and JSON: {other:?}"),
    }
}

/// A record of JSON.
pub(super) fn from_json<T: DeserializeOwned>(record: Metadata, what: &str) -> Result<T> {
    serde_json::from_value(Value::Object(record)).map_err(|e| Error::Corrupt {
        location: "the store".into(),
        what: what.to_owned(),
        why: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::step::{FunctionInfo, ProcessingType};
    use super::*;

    /// Goal: a source text is kept once for a hundred steps, and comes back.
    #[test]
    fn a_source_text_is_kept_once() {
        let source = "def f(x):\n    return x\n".repeat(50);
        let function = FunctionInfo { source_code: Some(source), ..FunctionInfo::new("f", "1") };
        let step = ProcessingStep::new(ProcessingType::Smoothing, function, "S");
        let record = SeriesRecord::new(vec![step; 100]);
        let (metadata, sources) = pack(&record);
        assert_eq!(sources.len(), 1);
        assert!(!serde_json::to_string(&metadata).unwrap().contains("return x"));
        let find = |name: &str| Ok((name == sources[0].0).then(|| sources[0].1.clone()));
        assert_eq!(unpack(metadata.clone(), "k", &mut { find }).unwrap(), record);
        let lost = unpack(metadata, "k", &mut |_| Ok(None)).unwrap();
        assert!(lost.processing_steps[0].function_info.more.contains_key(HASH), "the hash stays");
    }
}
