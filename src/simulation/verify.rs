//! The store's own checks.

use rusqlite::types::ValueRef;

use super::arrays::ArrayReader;
use super::tables::{Layout, array_table};
use crate::array::block::stored_checksum;
use crate::array::{COLUMN, parse_shape};
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, VerifyReport, array_block, table_exists};

/// Unpacks every array and compares its checksum; unpacks every keyframe.
pub(crate) fn verify(tx: &ReadTx<'_>, report: &mut VerifyReport) -> Result<()> {
    if !table_exists(tx, "numpy_array")? {
        return Ok(());
    }
    let layout = Layout::of(tx)?;
    verify_references(tx, report)?;
    verify_arrays(tx, layout, report)?;
    if layout == Layout::Ours {
        verify_blocks(tx, report)?;
        let sql = "SELECT k.id FROM simulation_keyframe k WHERE k.same_as IS NOT NULL AND NOT EXISTS \
            (SELECT 1 FROM simulation_keyframe s WHERE s.id = k.same_as AND s.same_as IS NULL)";
        for id in tx.query(sql, [], |row| Ok(row.get::<_, i64>(0)?))? {
            let why = "the keyframe that it refers to is missing";
            report.find(format!("simulation_keyframe row {id}"), why);
        }
        let sql = "SELECT id, state FROM simulation_keyframe WHERE same_as IS NULL";
        for (id, state) in
            tx.query(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?
        {
            report.checksums += 1;
            if let Err(error) = crate::array::unpack(&state) {
                report.find(format!("simulation_keyframe row {id}"), error.to_string());
            }
        }
    }
    Ok(())
}

/// What our own tables cannot hold by their types and foreign keys, and those of movici
/// can.
fn verify_references(tx: &ReadTx<'_>, report: &mut VerifyReport) -> Result<()> {
    let arrays = array_table(tx)?;
    let missing = format!(
        "SELECT id FROM attribute_data WHERE data_id IS NULL OR data_id NOT IN (SELECT id FROM {arrays}) \
         OR (indptr_id IS NOT NULL AND indptr_id NOT IN (SELECT id FROM {arrays}))"
    );
    let checks = [
        (
            "update",
            "its timestamp or its iteration is no integer",
            "SELECT id FROM \"update\" WHERE typeof(timestamp) <> 'integer' OR typeof(iteration) <> 'integer'",
        ),
        (
            "attribute_data",
            "its group or its name is no text",
            "SELECT id FROM attribute_data WHERE typeof(entity_group) <> 'text' OR typeof(attribute_name) <> 'text'",
        ),
        ("attribute_data", "an array that it refers to is not there", &missing),
    ];
    for (table, why, sql) in checks {
        for id in tx.query(sql, [], |row| Ok(row.get::<_, i64>(0)?))? {
            report.find(format!("{table} row {id}"), why);
        }
    }
    Ok(())
}

/// Unpacks every block of arrays.
fn verify_blocks(tx: &ReadTx<'_>, report: &mut VerifyReport) -> Result<()> {
    let ids = tx.query("SELECT id FROM array_block ORDER BY id", [], |row| Ok(row.get(0)?))?;
    let mut statement =
        tx.prepare("SELECT shape, codec, checksum, data FROM array_block WHERE id = ?1")?;
    for id in ids {
        let location = format!("array_block row {id}");
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { continue };
        if row.get_ref(1)?.as_str_or_null() == Ok(Some(COLUMN)) {
            let shape = row.get_ref(0)?.as_str().ok().and_then(|text| parse_shape(text).ok());
            let items = shape.and_then(|shape| shape.first().copied()).unwrap_or_default();
            let sum = row.get_ref(2)?.as_blob().unwrap_or_default();
            let data = row.get_ref(3)?.as_blob().unwrap_or_default();
            if !report.check_block(&location, data, &[], items as i64)? {
                continue;
            }
            if sum != stored_checksum(data) {
                report.find(&location, "its checksum is not that of its block");
            }
            report.checksums -= 1; // it is counted below
        }
        judge(report, &location, true, array_block(tx, id, None).map(drop))?;
    }
    Ok(())
}

fn verify_arrays(tx: &ReadTx<'_>, layout: Layout, report: &mut VerifyReport) -> Result<()> {
    let mut reader = ArrayReader::new(tx, layout);
    let ids = tx.query("SELECT id FROM numpy_array ORDER BY id", [], |row| Ok(row.get(0)?))?;
    let mut statement = tx.prepare(&layout.array_sql(tx)?)?;
    for id in ids {
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { continue };
        let guarded = matches!(row.get_ref(3)?, ValueRef::Blob(_));
        let read = reader.unpack(id, row, 0).map(drop);
        judge(report, &format!("numpy_array row {id}"), guarded, read)?;
    }
    Ok(())
}

/// Notes what came of reading a row that has a checksum, or has none.
fn judge(report: &mut VerifyReport, location: &str, guarded: bool, read: Result<()>) -> Result<()> {
    match read {
        Ok(()) if guarded => report.checksums += 1,
        Ok(()) => report.without_checksum += 1,
        Err(Error::Corrupt { what, why, .. }) => report.find(what, why),
        // A read that failed, or was interrupted, says nothing of the row.
        Err(error @ (Error::Io { .. } | Error::Busy { .. } | Error::Interrupted { .. })) => {
            return Err(error);
        }
        Err(error @ Error::Sqlite { code, .. }) if code != rusqlite::ffi::SQLITE_ERROR => {
            return Err(error);
        }
        Err(error) => report.find(location, error.to_string()),
    }
    Ok(())
}
