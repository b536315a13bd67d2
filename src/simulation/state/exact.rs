//! Integers of 64 bits beside floats: one that no float is equal to is refused, never rounded.

use super::cursor::Travel;
use super::group::Building;
use crate::array::{Array, DType, Kind, integer, is_float};
use crate::error::{Error, Result};
use crate::kernel::ReadTx;
use crate::simulation::initial;
use crate::simulation::read::{UpdateReader, Wanted};
use crate::simulation::tables::Layout;
use crate::simulation::update::{Attribute, EntityData, GIVEN};

/// Whether a dtype has integers that a float of 64 bits cannot hold.
pub(super) fn is_wide_integer(dtype: DType) -> bool {
    matches!(dtype.kind(), Kind::Int | Kind::UInt) && dtype.item_size() == 8
}

/// Checks that every given integer of an attribute stays what it is as a float of 64 bits. `at` says in which update it is.
///
/// # Errors
/// [`Error::Invalid`] with the position and the value of the first that does not.
pub(super) fn check_exact(
    what: &str,
    attribute: &Attribute,
    at: impl FnOnce() -> String,
) -> Result<()> {
    let Some((position, value)) = first_inexact(attribute) else { return Ok(()) };
    let expected = "integers that a 64-bit float holds exactly, as the values of this attribute have no other type in common";
    Err(Error::invalid(what, expected, format!("{value} at position {position}{}", at())))
}

/// The first given integer that no float of 64 bits is equal to: the position of its entity, and itself.
pub(in crate::simulation) fn first_inexact(attribute: &Attribute) -> Option<(usize, i128)> {
    let data = attribute.data.to_little_endian();
    if !is_wide_integer(data.dtype()) {
        return None;
    }
    let kind = data.dtype().kind();
    let value = |item: &[u8]| match kind {
        Kind::UInt => i128::from(integer(kind, item) as u64),
        _ => i128::from(integer(kind, item)),
    };
    let per_row = (data.len() / data.rows().max(1)).max(1);
    let ends = attribute.row_ptr.as_ref().and_then(Array::to_i64s);
    let mask = attribute.mask.as_ref().map(Array::data);
    data.data().chunks_exact(8).enumerate().find_map(|(i, item)| {
        let value = value(item);
        if is_float(value) {
            return None;
        }
        let row = i / per_row;
        let entity = match &ends {
            Some(ends) => ends.partition_point(|end| *end <= row as i64).checked_sub(1)?,
            None => row,
        };
        mask.is_none_or(|mask| mask[entity] == GIVEN).then_some((entity, value))
    })
}

/// As [`check_exact`], for all that a file holds of an attribute.
pub(super) fn check_stored(
    tx: &ReadTx<'_>,
    (dataset, group, name): (&str, &str, &str),
) -> Result<()> {
    let what = format!("{dataset}/{group}/{name}");
    let initial = initial::group(tx, Layout::Ours, dataset, group)?;
    for (_, attribute) in initial.iter().flat_map(|g| &g.attributes).filter(|(n, _)| n == name) {
        check_exact(&what, attribute, || " of the initial dataset".to_owned())?;
    }
    // The rows tell their least and greatest value; another program may have left that out.
    let sql = "SELECT u.id, u.timestamp, u.iteration FROM \"update\" u \
        JOIN update_attribute l ON l.update_id = u.id JOIN attribute_data a ON a.id = l.attribute_data_id \
        WHERE u.dataset_name = ?1 AND a.entity_group = ?2 AND a.attribute_name = ?3 \
        AND (a.min_val IS NULL OR a.min_val <= -9007199254740992.0 OR a.max_val >= 9007199254740992.0) \
        ORDER BY u.timestamp, u.iteration";
    let updates = tx.query(sql, (dataset, group, name), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    })?;
    let mut reader = UpdateReader::new(tx, Layout::Ours)?;
    let wanted = Wanted { group: Some(group), attribute: Some(name), ..Wanted::default() };
    for (id, timestamp, iteration) in updates {
        for part in reader.parts(id, wanted)?.iter().filter(|part| part.name == name) {
            let at = || format!(" of the update at timestamp {timestamp}, iteration {iteration}");
            check_exact(&what, &part.attribute, at)?;
        }
    }
    Ok(())
}

/// Checks that the updates in a file go with the initial data of their dataset, which are in it already.
///
/// # Errors
/// [`Error::Invalid`] naming what does not.
pub(in crate::simulation) fn check_initial(
    tx: &ReadTx<'_>,
    dataset: &str,
    data: &EntityData,
) -> Result<()> {
    for group in data {
        let template = Travel::new(tx, Layout::Ours, dataset, &group.name).template();
        let Building { columns, .. } = template.map_err(|error| match error {
            Error::Corrupt { what, why, .. } => {
                let expected = format!("initial data that go with {what}");
                Error::invalid(format!("initial dataset {dataset:?}"), expected, why)
            }
            other => other,
        })?;
        for (name, _) in &group.attributes {
            if columns.iter().any(|column| column.name == *name && column.dtype == DType::F64) {
                check_stored(tx, (dataset, &group.name, name))?;
            }
        }
    }
    Ok(())
}
