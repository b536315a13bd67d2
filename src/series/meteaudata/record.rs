//! The records of meteaudata, from the metadata that it wrote.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::kernel::Skipped;
use crate::series::data::Metadata;
use crate::series::index::IndexMetadata;
use crate::series::text::zone_name;
use crate::series::tree::SeriesRecord;

/// Texts of our records. YAML may have read one that looks like a number as one.
const TEXTS: [&str; 20] = [
    "name",
    "description",
    "owner",
    "purpose",
    "project",
    "created_on",
    "last_updated",
    "source_repository",
    "location",
    "equipment",
    "parameter",
    "metadata_id",
    "units",
    "version",
    "author",
    "reference",
    "source_code",
    "run_datetime",
    "suffix",
    "type",
];

/// A record of what was read; `what` names it in an error.
pub(super) fn record<T: DeserializeOwned>(mut value: Metadata, what: &str) -> Result<T> {
    as_texts(&mut value);
    if let Some(Value::Object(provenance)) = value.get_mut("provenance") {
        as_texts(provenance);
    }
    // A field that is null is one that nobody filled in.
    value.retain(|_, item| !item.is_null());
    serde_json::from_value(Value::Object(value)).map_err(|e| Error::Corrupt {
        location: what.to_owned(),
        what: "the metadata".into(),
        why: e.to_string(),
    })
}

fn as_texts(map: &mut Metadata) {
    for name in TEXTS {
        if let Some(item @ (Value::Number(_) | Value::Bool(_))) = map.get_mut(name) {
            *item = item.to_string().into();
        }
    }
}

/// What was written beside the points of a series.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) record: SeriesRecord,
    pub(super) index: IndexMetadata,
    pub(super) values_dtype: Option<String>,
    /// The values of the index, where they stand here.
    pub(super) index_values: Option<Vec<Value>>,
    pub(super) original_name: Option<String>,
}

/// Reads it. A step of a kind that nobody knows is one of another kind.
pub(super) fn beside(mut value: Metadata, what: &str) -> Result<Beside> {
    for step in
        value.get_mut("processing_steps").and_then(Value::as_array_mut).into_iter().flatten()
    {
        let Some(step) = step.as_object_mut() else { continue };
        as_texts(step);
        step.retain(|name, item| !item.is_null() || name == "parameters");
        if let Some(Value::Object(function)) = step.get_mut("function_info") {
            as_texts(function);
            function.retain(|_, item| !item.is_null());
        }
        let kind = step.get("type").cloned().unwrap_or_default();
        let known = serde_json::from_value::<crate::series::tree::ProcessingType>(kind.clone());
        if known.is_err() {
            step.insert("meteaudata_type".into(), kind);
            step.insert("type".into(), "other".into());
        }
    }
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let index = match value.remove("index_metadata") {
        Some(mut index @ Value::Object(_)) => {
            if index["frequency_hint"].is_string() {
                index["frequency"] = index["frequency_hint"].take();
            }
            serde_json::from_value::<IndexMetadata>(strip(index)).map_err(|e| Error::Corrupt {
                location: what.to_owned(),
                what: "the metadata of the index".into(),
                why: e.to_string(),
            })?
        }
        _ => IndexMetadata::default(),
    };
    let index = IndexMetadata { time_zone: index.time_zone.as_deref().map(zone_name), ..index };
    Ok(Beside {
        values_dtype: text(value.remove("values_dtype")),
        original_name: text(value.remove("original_name")),
        index_values: match value.remove("index_values") {
            Some(Value::Array(values)) => Some(values),
            _ => None,
        },
        index,
        record: record(value, what)?,
    })
}

/// The metadata of an index without what is null, its names as texts.
fn strip(value: Value) -> Value {
    let Value::Object(mut map) = value else { return value };
    map.retain(|_, item| !item.is_null());
    for name in ["type", "name", "frequency", "time_zone", "closed", "dtype"] {
        if let Some(item @ (Value::Number(_) | Value::Bool(_))) = map.get_mut(name) {
            *item = item.to_string().into();
        }
    }
    Value::Object(map)
}

/// The result of one series: it, or what is said of it.
pub(super) fn keep<T>(what: &str, read: Result<T>, left: &mut Vec<Skipped>) -> Option<T> {
    read.map_err(|error| left.push(Skipped::new(what, error))).ok()
}
