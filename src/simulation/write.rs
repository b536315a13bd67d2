//! Updates into rows.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::ErrorCode;
use rusqlite::types::ValueRef;
use xxhash_rust::xxh3::xxh3_128;

use super::arrays::{KnownArrays, Recent};
use super::prepare::{Prepared, PreparedAttribute};
use super::run;
use super::state::Forms;
use super::tables::{MIGRATIONS, array_table};
use crate::array::Codec;
use crate::error::{Error, Result};
use crate::kernel::{WriteTx, row_sum};

/// What happens to an update whose (timestamp, iteration, dataset) is in the file already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnRepeat {
    /// [`Error::Exists`], and the stored update stays.
    #[default]
    Refuse,
    /// The new update replaces the stored one.
    Replace,
}

/// How updates are stored.
#[derive(Clone)]
pub(super) struct Storing {
    pub(super) codec: Codec,
    pub(super) repeat: OnRepeat,
    /// The form of each attribute that was stored last, which went with those before it.
    pub(super) forms: Arc<Mutex<Recent<u64, u64>>>,
}

/// What the writer remembers between two transactions.
#[derive(Default)]
pub(super) struct Known {
    arrays: KnownArrays,
    /// Rows of `attribute_data`, by a hash of group, name and array ids.
    attributes: Recent<u128, i64>,
    forms: Forms,
    /// Whether the run is marked as running.
    running: bool,
}

/// Stores one update; its row id.
pub(super) fn store(tx: &mut WriteTx<'_>, update: &Prepared, storing: &Storing) -> Result<i64> {
    tx.ensure(&MIGRATIONS)?;
    let mut known: Known = tx.take();
    if !known.running {
        run::mark_running(tx)?;
        known.running = true;
    }
    let id = insert(tx, &mut known, update, storing)?;
    tx.put(known);
    Ok(id)
}

fn insert(
    tx: &WriteTx<'_>,
    known: &mut Known,
    update: &Prepared,
    storing: &Storing,
) -> Result<i64> {
    let Prepared { timestamp, iteration, dataset, origin, attributes } = update;
    if storing.repeat == OnRepeat::Replace {
        // A file of movici may have foreign keys that do not cascade.
        let links = "DELETE FROM update_attribute WHERE update_id IN (SELECT id FROM \"update\" \
            WHERE dataset_name = ?1 AND timestamp = ?2 AND iteration = ?3)";
        tx.execute(links, (dataset, timestamp, iteration))?;
        let sql =
            "DELETE FROM \"update\" WHERE dataset_name = ?1 AND timestamp = ?2 AND iteration = ?3";
        if tx.execute(sql, (dataset, timestamp, iteration))? > 0 {
            known.forms = Forms::default();
            tx.seal("simulation_run", "row_sum IS NULL", [])?; // the trigger has counted
        }
    }
    let new_forms = check_forms(tx, known, update, storing)?;
    // OR FAIL, and no function in it: nothing comes before the row itself, so a statement journal, which the trigger would
    // ask for, has nothing to undo.
    let sql = "INSERT OR FAIL INTO \"update\" (timestamp, iteration, dataset_name, origin, row_sum) \
        VALUES (?1, ?2, ?3, ?4, ?5)";
    let [at, of] = [timestamp, iteration].map(|n| ValueRef::Integer(*n));
    let sum = row_sum([at, of, dataset.as_str().into(), origin.as_deref().into()]);
    let row = (timestamp, iteration, dataset, origin, sum);
    let id = tx.insert_or(sql, row, |error| match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Error::Exists {
            what: format!(
                "the update at timestamp {timestamp}, iteration {iteration} of dataset {dataset:?}"
            ),
            location: String::new(),
            hint: "give it another iteration, or ask for it to be replaced",
        },
        _ => error.into(),
    })?;
    for (position, attribute) in attributes.iter().enumerate() {
        let attribute_id = store_attribute(tx, known, attribute, storing.codec)?;
        let sql = "INSERT INTO update_attribute (update_id, attribute_data_id, position, row_sum) \
            VALUES (?1, ?2, ?3, silt_row_sum(?1, ?2, ?3))";
        tx.insert(sql, (id, attribute_id, position as i64))?;
    }
    if !new_forms.is_empty() {
        let mut forms = storing.forms.lock().unwrap_or_else(PoisonError::into_inner);
        new_forms.iter().for_each(|attribute| forms.put(attribute.location, attribute.form));
    }
    Ok(id)
}

/// Checks that the attributes go with those of their names before them; those of another form than the last.
fn check_forms<'u>(
    tx: &WriteTx<'_>,
    known: &mut Known,
    update: &'u Prepared,
    storing: &Storing,
) -> Result<Vec<&'u PreparedAttribute>> {
    let mut forms = storing.forms.lock().unwrap_or_else(PoisonError::into_inner);
    let mut is_new = |attribute: &&PreparedAttribute| {
        attribute.name != "id" && forms.get(&attribute.location) != Some(attribute.form)
    };
    let new: Vec<_> = update.attributes.iter().filter(|a| is_new(a)).collect();
    drop(forms);
    for attribute in &new {
        let position = (&*update.dataset, &*attribute.group, &*attribute.name);
        known.forms.check(tx, position, (&attribute.attribute(), attribute.has_ids))?;
    }
    Ok(new)
}

/// The row of an attribute: an equal one if there is one lately, else a new one.
pub(super) fn store_attribute(
    tx: &WriteTx<'_>,
    known: &mut Known,
    attribute: &PreparedAttribute,
    codec: Codec,
) -> Result<i64> {
    let (data, mut new) = known.arrays.store(tx, &attribute.data, codec)?;
    let mut side = |array: &Option<super::arrays::NewArray>| -> Result<Option<i64>> {
        let Some(array) = array else { return Ok(None) };
        let (id, is_new) = known.arrays.store(tx, array, codec)?;
        new |= is_new;
        Ok(Some(id))
    };
    let (row_ptr, mask) = (side(&attribute.row_ptr)?, side(&attribute.mask)?);
    let key = key(attribute, [Some(data), row_ptr, mask]);
    if !new && let Some(id) = known.attributes.get(&key) {
        return Ok(id);
    }
    let (min, max) = attribute.range.unzip();
    let sql = "INSERT INTO attribute_data \
        (entity_group, attribute_name, data_id, indptr_id, mask_id, min_val, max_val, row_sum) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, silt_row_sum(?1, ?2, ?3, ?4, ?5, ?6, ?7))";
    let row = (&attribute.group, &attribute.name, data, row_ptr, mask, min, max);
    let id = tx.insert(sql, row)?;
    known.attributes.put(key, id);
    Ok(id)
}

fn key(attribute: &PreparedAttribute, ids: [Option<i64>; 3]) -> u128 {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(attribute.group.as_bytes());
    bytes.push(0); // no name holds one
    bytes.extend_from_slice(attribute.name.as_bytes());
    for id in ids {
        bytes.extend_from_slice(&id.unwrap_or(0).to_le_bytes());
    }
    xxh3_128(&bytes)
}

/// Removes all updates after `timestamp`; how many.
pub(super) fn remove_after(tx: &mut WriteTx<'_>, timestamp: i64) -> Result<u64> {
    tx.ensure(&MIGRATIONS)?;
    let links = "DELETE FROM update_attribute WHERE update_id IN \
        (SELECT id FROM \"update\" WHERE timestamp > ?1)";
    tx.execute(links, [timestamp])?; // in case the foreign keys do not cascade
    let removed = tx.execute("DELETE FROM \"update\" WHERE timestamp > ?1", [timestamp])?;
    if removed > 0 {
        remove_unused(tx)?;
        tx.seal("simulation_run", "row_sum IS NULL", [])?; // the trigger has counted
    }
    tx.forget();
    run::mark_running(tx)?;
    Ok(removed as u64)
}

/// Removes attributes and arrays that no update and no initial dataset uses; how many arrays.
pub(super) fn remove_unused(tx: &mut WriteTx<'_>) -> Result<u64> {
    // The foreign keys look for children of each removed row: with indexes for the time being.
    let children = [
        ("update_attribute", "attribute_data_id"),
        ("initial_dataset_attribute", "attribute_data_id"),
        ("attribute_data", "data_id"),
        ("attribute_data", "indptr_id"),
        ("attribute_data", "mask_id"),
    ];
    for (table, column) in children {
        tx.execute(
            &format!("CREATE INDEX siltstone_tmp_{table}_{column} ON {table} ({column})"),
            [],
        )?;
    }
    tx.execute(
        "DELETE FROM attribute_data WHERE id NOT IN (SELECT attribute_data_id FROM update_attribute) \
         AND id NOT IN (SELECT attribute_data_id FROM initial_dataset_attribute)",
        [],
    )?;
    let unused = format!(
        "DELETE FROM {} WHERE id NOT IN (SELECT data_id FROM attribute_data) \
         AND id NOT IN (SELECT indptr_id FROM attribute_data WHERE indptr_id IS NOT NULL) \
         AND id NOT IN (SELECT mask_id FROM attribute_data WHERE mask_id IS NOT NULL)",
        array_table(tx)?
    );
    let removed = tx.execute(&unused, [])?;
    super::compact::remove_unused_blocks(tx)?;
    for (table, column) in children {
        tx.execute(&format!("DROP INDEX siltstone_tmp_{table}_{column}"), [])?;
    }
    tx.forget();
    Ok(removed as u64)
}
