//! The store's own checks of a file.

use super::payload::{State, state};
use super::store::are_there;
use super::{compact, vector};
use crate::error::Result;
use crate::kernel::{ReadTx, VerifyReport};

/// Computes the checksum of every payload again, and looks for rows that refer to nothing.
pub(crate) fn verify(tx: &ReadTx<'_>, report: &mut VerifyReport) -> Result<()> {
    if !are_there(tx)? {
        return Ok(());
    }
    for (table, id, column, is_vector) in [
        ("episodes", "id", "experience_data", false),
        ("concepts", "id", "embedding", true),
        ("episode_embeddings", "episode_id", "embedding", true),
    ] {
        let sql = format!("SELECT {id}, {column} FROM {table}");
        let mut statement = tx.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let location =
                || -> Result<String> { Ok(format!("{table} row {}", row.get::<_, i64>(0)?)) };
            // One bit of a row's head makes a text of the same bytes.
            let Ok(bytes) = row.get_ref(1)?.as_blob() else {
                report.find(location()?, format!("its {column} is no blob"));
                continue;
            };
            report.checksums += 1;
            match state(bytes) {
                State::Damaged => report.find(
                    location()?,
                    format!("the checksum of its {column} differs from the one it was stored with"),
                ),
                State::Pickle => {
                    report.checksums -= 1;
                    report.without_checksum += 1;
                }
                State::Sound if is_vector => {
                    if let Err(error) =
                        vector::decode(bytes).and_then(|v| vector::check(column, &v))
                    {
                        report.find(location()?, error.to_string());
                    }
                }
                State::Sound => {}
            }
            crate::kernel::check_interrupted("verifying")?;
        }
    }
    for (table, column, parent) in [
        ("episode_embeddings", "episode_id", "episodes"),
        ("episode_priorities", "episode_id", "episodes"),
    ] {
        let sql =
            format!("SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM {parent})");
        let strangers: i64 = tx.query_one(&sql, [], |row| Ok(row.get(0)?))?.unwrap_or(0);
        if strangers > 0 {
            report.find(table, format!("{strangers} rows are of no row of {parent}"));
        }
    }
    compact::verify(tx, report)
}
