//! The store's own checks.

use rusqlite::types::ValueRef;

use super::arrays::{ArrayReader, BLOCK_SQL};
use super::tables::{Layout, array_table};
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, VerifyReport, table_exists};

/// Unpacks every array and compares its checksum; unpacks every keyframe.
pub(crate) fn verify(tx: &ReadTx<'_>, report: &mut VerifyReport) -> Result<()> {
    if !table_exists(tx, "numpy_array")? {
        return Ok(());
    }
    let layout = Layout::of(tx)?;
    verify_references(tx, report)?;
    let mut reader = ArrayReader::new(tx, layout);
    verify_table(tx, &mut reader, "numpy_array", &layout.array_sql(tx)?, report)?;
    if layout == Layout::Ours {
        verify_table(tx, &mut reader, "array_block", BLOCK_SQL, report)?;
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

fn verify_table(
    tx: &ReadTx<'_>,
    reader: &mut ArrayReader<'_, '_>,
    table: &str,
    sql: &str,
    report: &mut VerifyReport,
) -> Result<()> {
    let ids = tx.query(&format!("SELECT id FROM {table} ORDER BY id"), [], |row| {
        Ok(row.get::<_, i64>(0)?)
    })?;
    let mut statement = tx.prepare(sql)?;
    for id in ids {
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { continue };
        let guarded = matches!(row.get_ref(3)?, ValueRef::Blob(_));
        match reader.unpack(table, id, row, 0) {
            Err(Error::Corrupt { what, why, .. }) => report.find(what, why),
            // A read that failed, or was interrupted, says nothing of the row.
            Err(error @ (Error::Io { .. } | Error::Busy { .. } | Error::Interrupted { .. })) => {
                return Err(error);
            }
            Err(error @ Error::Sqlite { code, .. }) if code != rusqlite::ffi::SQLITE_ERROR => {
                return Err(error);
            }
            Err(error) => report.find(format!("{table} row {id}"), error.to_string()),
            Ok(_) if guarded => report.checksums += 1,
            Ok(_) => report.without_checksum += 1,
        }
    }
    Ok(())
}
