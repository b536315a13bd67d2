//! The store's own checks.

use super::tables::Layout;
use crate::array::{Checksum, Codec, parse_shape};
use crate::error::Result;
use crate::kernel::{ReadTx, VerifyReport, table_exists};

/// Unpacks every array and compares its checksum; unpacks every key state.
pub(crate) fn verify(tx: &ReadTx<'_>, report: &mut VerifyReport) -> Result<()> {
    if !table_exists(tx, "numpy_array")? {
        return Ok(());
    }
    let layout = Layout::of(tx)?;
    let sql = layout.array_sql().replace("WHERE id = ?1", "ORDER BY id").replacen("SELECT", "SELECT id,", 1);
    let mut statement = tx.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let (dtype, shape): (String, String) = (row.get(1)?, row.get(2)?);
        let codec: Option<String> = row.get(3)?;
        let checksum: Option<Vec<u8>> = row.get(4)?;
        let data = row.get_ref(5)?.as_blob().unwrap_or_default();
        let decoded = dtype.parse().and_then(|dtype| {
            let dims = parse_shape(&shape)?;
            Codec::decode(codec.as_deref(), dtype, &dims, data)
        });
        let place = format!("numpy_array row {id}");
        match (decoded, checksum) {
            (Err(error), _) => report.find(place, error.to_string()),
            (Ok(_), None) => report.without_checksum += 1,
            (Ok(array), Some(stored)) => {
                report.checksums += 1;
                if Checksum::of_parts(&dtype, &shape, array.data()).to_bytes() != stored.as_slice() {
                    report.find(place, "the checksum differs from the one it was stored with");
                }
            }
        }
    }
    if layout == Layout::Ours {
        let sql = "SELECT id, state FROM simulation_key_state WHERE same_as IS NULL";
        for (id, state) in tx.query(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))? {
            report.checksums += 1;
            if let Err(error) = crate::array::unpack(&state) {
                report.find(format!("simulation_key_state row {id}"), error.to_string());
            }
        }
    }
    Ok(())
}
