//! How what is stored differs from what comes under the same identity: for import and merge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Number, Value};

use super::database::SimulationDatabase;
use super::json::{Schema, row_values};
use super::read::{UpdateReader, Wanted};
use super::tables::Layout;
use super::update::{Attribute, EntityData, Update};
use crate::error::Result;

/// Something that a source says otherwise than the database that it goes into, whose word stays.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Conflict {
    /// The database or file whose word was not taken.
    pub source: PathBuf,
    /// The update, initial dataset or setting.
    pub what: String,
    /// How it differs.
    pub why: String,
}

/// An update's identity: timestamp, iteration and dataset.
pub(super) type Identity = (i64, i64, String);

/// An update's identity in words.
pub(super) fn in_words((timestamp, iteration, dataset): &Identity) -> String {
    format!("the update at timestamp {timestamp}, iteration {iteration} of dataset {dataset:?}")
}

/// The update that a database has under an identity.
pub(super) fn stored(db: &SimulationDatabase, identity: &Identity) -> Result<Option<Update>> {
    let (timestamp, iteration, dataset) = identity;
    db.database().read(|tx| {
        let layout = Layout::of(tx)?;
        if layout == Layout::Empty {
            return Ok(None);
        }
        let sql = "SELECT id, origin FROM \"update\" \
            WHERE dataset_name = ?1 AND timestamp = ?2 AND iteration = ?3";
        let found = tx.query_one(sql, (dataset, timestamp, iteration), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))
        })?;
        let Some((id, origin)) = found else { return Ok(None) };
        let data = UpdateReader::new(tx, layout)?.groups(id, Wanted::default())?;
        let (timestamp, iteration, dataset) = identity.clone();
        Ok(Some(Update { timestamp, iteration, dataset, origin, data }))
    })
}

/// How two updates differ, to the bit, whatever the order of their groups and attributes.
pub(super) fn difference(target: &Update, here: &Update) -> Option<String> {
    if target.origin != here.origin {
        let named = |origin: &str| format!("{origin:?}");
        return Some(match (&target.origin, &here.origin) {
            (Some(target), Some(here)) => {
                format!("its origin is {} here, {} in the target", named(here), named(target))
            }
            (None, Some(here)) => {
                format!("its origin is {} here, the target has none", named(here))
            }
            (Some(target), None) => {
                format!("it has no origin here, the target says {}", named(target))
            }
            (None, None) => unreachable!("they differ"),
        });
    }
    in_data(&target.data, &here.data, |_, ours, theirs| ours == theirs)
}

/// How two changes differ in what JSON says of them, which is all that a JSON file can tell: dtypes,
/// widths and sentinels may differ.
pub(super) fn difference_as_json(
    target: &EntityData,
    here: &EntityData,
    schema: &Schema,
) -> Option<String> {
    in_data(target, here, |name, ours, theirs| {
        let said = |attribute: &Attribute| row_values(attribute, schema.get(name)).ok();
        ours == theirs || said(ours).is_some_and(|ours| said(theirs) == Some(ours))
    })
}

/// How two changes differ in their values: an integer is the float equal to it, as a column of a table that grew has it.
pub(super) fn difference_in_values(target: &EntityData, here: &EntityData) -> Option<String> {
    in_data(target, here, |_, ours, theirs| {
        let values = |attribute: &Attribute| row_values(attribute, None).ok();
        let is_same = || Some(is_same_value(&values(ours)?, &values(theirs)?));
        ours == theirs || ours.mask == theirs.mask && is_same() == Some(true)
    })
}

/// Whether two values are equal, an integer to a float that it is exactly.
pub(super) fn is_same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| is_same_value(one, other))
        }
        (Value::Number(one), Value::Number(other)) => {
            let exact = |n: &Number, of: &Number| {
                let (n, of) = (n.as_i128()?, of.as_f64()?);
                Some(n as f64 == of && of as i128 == n)
            };
            one == other || [exact(one, other), exact(other, one)].contains(&Some(true))
        }
        _ => one == other,
    }
}

fn in_data(
    target: &EntityData,
    here: &EntityData,
    same: impl Fn(&str, &Attribute, &Attribute) -> bool,
) -> Option<String> {
    let (ours, theirs) = (flat(target), flat(here));
    let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    names.into_iter().find_map(|pair| {
        let (group, name) = pair;
        match (ours.get(pair), theirs.get(pair)) {
            (Some(ours), Some(theirs)) if same(name, ours, theirs) => None,
            (Some(_), Some(_)) => Some(format!("the values of {group}/{name} differ")),
            (None, _) => Some(format!("the target has no {group}/{name}")),
            (_, None) => Some(format!("only the target has {group}/{name}")),
        }
    })
}

fn flat(data: &EntityData) -> BTreeMap<(&str, &str), &Attribute> {
    let attributes = data.iter().flat_map(|group| {
        group.attributes.iter().map(|(name, values)| ((&*group.name, &**name), values))
    });
    attributes.collect()
}
