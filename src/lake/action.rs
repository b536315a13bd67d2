//! What stands in a Delta log.
//!
//! # Source
//! The Delta transaction log protocol, reader version 1 and writer version 2.

use std::collections::BTreeMap;

use arrow_schema::{DataType, Schema, TimeUnit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::table::PublishedTable;

/// Tags of a file: the machine that sent it, and what the file that publishes is called there.
pub(super) const HOST: &str = "siltstone_host";
pub(super) const FILE: &str = "siltstone_file";

pub(super) type Texts = BTreeMap<String, Option<String>>;

/// A line of the log, or a row of a checkpoint: one of these.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Action {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) commit_info: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<Protocol>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) meta_data: Option<MetaData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) txn: Option<Txn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) add: Option<Add>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) remove: Option<Remove>,
}

/// Who may read and write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Protocol {
    pub(super) min_reader_version: i32,
    pub(super) min_writer_version: i32,
}

/// The table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetaData {
    pub(super) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) format: Format,
    pub(super) schema_string: String,
    pub(super) partition_columns: Vec<String>,
    #[serde(default)]
    pub(super) configuration: Texts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) created_time: Option<i64>,
}

/// Of the files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Format {
    pub(super) provider: String,
    #[serde(default)]
    pub(super) options: Texts,
}

/// How many commits of a writer the table has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Txn {
    pub(super) app_id: String,
    pub(super) version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_updated: Option<i64>,
}

/// A file that is part of the table from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Add {
    pub(super) path: String,
    #[serde(default)]
    pub(super) partition_values: Texts,
    pub(super) size: i64,
    pub(super) modification_time: i64,
    pub(super) data_change: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stats: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tags: Option<Texts>,
}

/// A file that is no part of the table any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Remove {
    pub(super) path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deletion_timestamp: Option<i64>,
    pub(super) data_change: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) extended_file_metadata: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) partition_values: Option<Texts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<i64>,
}

impl Remove {
    /// Of a file that was added, as the log says it.
    pub(super) fn of(add: &Add, now_ms: i64) -> Self {
        Remove {
            path: add.path.clone(),
            deletion_timestamp: Some(now_ms),
            data_change: true,
            extended_file_metadata: Some(true),
            partition_values: Some(add.partition_values.clone()),
            size: Some(add.size),
        }
    }
}

/// The columns that a table is partitioned by: the file that the rows come from, and those of its store.
pub(super) fn partitions(
    table: &PublishedTable,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    std::iter::once(("store_id", "string")).chain(table.partitions.iter().copied())
}

/// The columns of a table, those that it is partitioned by in front, as Delta says them. Each may be null, so that a table can
/// get columns later.
pub(super) fn schema_string(table: &PublishedTable) -> Result<String> {
    let field = |name: &str, kind: Value| json!({"name": name, "type": kind, "nullable": true, "metadata": {}});
    let mut fields: Vec<Value> =
        partitions(table).map(|(name, kind)| field(name, json!(kind))).collect();
    for column in table.schema.fields() {
        let kind = delta_type(column.data_type()).ok_or_else(|| {
            let what = format!("table {}, column {}", table.name, column.name());
            Error::invalid(what, "a type that Delta has", column.data_type().to_string())
        })?;
        fields.push(field(column.name(), kind));
    }
    check_names(table, &fields)?;
    Ok(json!({"type": "struct", "fields": fields}).to_string())
}

/// Refuses names that engines do not tell apart, or that Delta has no place for.
fn check_names(table: &PublishedTable, fields: &[Value]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for field in fields {
        let name = field["name"].as_str().unwrap_or_default();
        let what = || format!("table {}, column {name:?}", table.name);
        if name.is_empty() || name.contains([' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '=']) {
            let expected = "a name without spaces and any of ,;{}()=, which Delta refuses";
            return Err(Error::invalid(what(), expected, format!("{name:?}")));
        }
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            let expected = "names that differ in more than their case";
            return Err(Error::invalid(what(), expected, format!("{other:?} beside it")));
        }
    }
    Ok(())
}

fn delta_type(kind: &DataType) -> Option<Value> {
    Some(match kind {
        DataType::Int64 => json!("long"),
        DataType::Int32 => json!("integer"),
        DataType::Float64 => json!("double"),
        DataType::Boolean => json!("boolean"),
        DataType::Utf8 => json!("string"),
        DataType::Binary => json!("binary"),
        DataType::Date32 => json!("date"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => json!("timestamp"),
        DataType::Dictionary(_, value) => delta_type(value)?,
        DataType::List(item) => {
            json!({"type": "array", "elementType": delta_type(item.data_type())?, "containsNull": true})
        }
        _ => return None,
    })
}

/// The columns of a log and those of a table, the new ones behind; `None` if there are none.
///
/// # Errors
/// [`Error::Invalid`] for a column that is there with another type, and for other partitions.
pub(super) fn grown_schema(known: &MetaData, table: &PublishedTable) -> Result<Option<String>> {
    if table.schema.fields().is_empty() {
        return Ok(None); // the file has it no more
    }
    let what = || format!("table {} of the lake", table.name);
    let partitions: Vec<&str> = partitions(table).map(|(name, _)| name).collect();
    if known.partition_columns != partitions {
        let got = format!("{:?}", known.partition_columns);
        return Err(Error::invalid(what(), format!("partitions {partitions:?}"), got));
    }
    let parse = |text: &str| -> Result<Value> {
        serde_json::from_str(text).map_err(|error| Error::Corrupt {
            location: String::new(),
            what: what(),
            why: format!("its schema is not JSON: {error}"),
        })
    };
    let mut all = parse(&known.schema_string)?;
    let own = parse(&schema_string(table)?)?;
    let Some(fields) = all["fields"].as_array_mut() else {
        let why = "its schema has no fields".to_owned();
        return Err(Error::Corrupt { location: String::new(), what: what(), why });
    };
    let mut grew = false;
    for field in own["fields"].as_array().into_iter().flatten() {
        let name = field["name"].as_str().unwrap_or_default();
        let same = |other: &&Value| {
            other["name"].as_str().is_some_and(|other| other.eq_ignore_ascii_case(name))
        };
        match fields.iter().find(same) {
            None => {
                fields.push(field.clone());
                grew = true;
            }
            Some(there) if there["name"] == field["name"] && there["type"] == field["type"] => {}
            Some(there) => {
                let expected = format!(
                    "the column {} of type {}, as in the file",
                    field["name"], field["type"]
                );
                let got = format!("{} of type {}", there["name"], there["type"]);
                return Err(Error::invalid(what(), expected, got));
            }
        }
    }
    Ok(grew.then(|| all.to_string()))
}

/// The columns of a checkpoint.
pub(super) fn checkpoint_schema() -> Schema {
    use arrow_schema::Field;
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let long = |name: &str| Field::new(name, DataType::Int64, true);
    let int = |name: &str| Field::new(name, DataType::Int32, true);
    let flag = |name: &str| Field::new(name, DataType::Boolean, true);
    let map = |name: &str| {
        let key = Field::new("key", DataType::Utf8, false);
        Field::new_map(name, "key_value", key, text("value"), false, true)
    };
    let group = |name: &str, fields: Vec<Field>| Field::new_struct(name, fields, true);
    Schema::new(vec![
        group("protocol", vec![int("minReaderVersion"), int("minWriterVersion")]),
        group(
            "metaData",
            vec![
                text("id"),
                text("name"),
                group("format", vec![text("provider"), map("options")]),
                text("schemaString"),
                Field::new_list("partitionColumns", text("element"), true),
                map("configuration"),
                long("createdTime"),
            ],
        ),
        group("txn", vec![text("appId"), long("version"), long("lastUpdated")]),
        group(
            "add",
            vec![
                text("path"),
                map("partitionValues"),
                long("size"),
                long("modificationTime"),
                flag("dataChange"),
                text("stats"),
                map("tags"),
            ],
        ),
        group(
            "remove",
            vec![
                text("path"),
                long("deletionTimestamp"),
                flag("dataChange"),
                flag("extendedFileMetadata"),
                map("partitionValues"),
                long("size"),
            ],
        ),
    ])
}
