//! The store's own checks of a file.

use super::changes::Copied;
use super::compact::{add_range, each_block, stale};
use super::payload::{State, state};
use super::store::are_there;
use super::vector;
use super::vectors::Vectors;
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, VerifyReport, table_exists};

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
    verify_blocks::<false>(tx, report)?;
    verify_blocks::<true>(tx, report)
}

/// Holds every block against the rows that it is of.
fn verify_blocks<const EPISODES: bool>(tx: &ReadTx<'_>, report: &mut VerifyReport) -> Result<()> {
    if !table_exists(tx, "vector_block")? {
        return Ok(());
    }
    let kind = Vectors::<EPISODES>::KIND;
    let stale = stale(tx, kind)?;
    let (mut ranges, mut all) = (Vec::new(), Vectors::<EPISODES>::default());
    // A row whose checksum is wrong has been found by it.
    let whole = tx.is_whole("vector_block", "b")?;
    let mut are_whole = true;
    each_block(tx, kind, &whole, |stored, data| {
        if !report.check_block(&stored.name(), data, &[], stored.rows)? {
            are_whole = false;
            return Ok(());
        }
        match add_range(&mut ranges, &stored).and_then(|()| stored.read(data, &mut all)) {
            Err(Error::Corrupt { what, why, .. }) => {
                are_whole = false;
                report.find(what, why);
                Ok(())
            }
            other => other,
        }
    })?;
    // Only if all can be read does a row that is missing mean something.
    if !are_whole {
        return Ok(());
    }
    let (table, id) = Vectors::<EPISODES>::TABLE;
    let sql = format!("SELECT v.{id}, v.embedding FROM {table} v WHERE v.{id} BETWEEN ?1 AND ?2");
    for (first, last) in ranges {
        let mut statement = tx.prepare(&sql)?;
        let mut rows = statement.query([first, last])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let Ok(bytes) = row.get_ref(1)?.as_blob() else { continue };
            // One that is damaged has been found.
            let Ok(numbers) = Vectors::<EPISODES>::numbers(id, bytes) else { continue };
            if stale.contains(&id) || numbers.is_empty() {
                continue;
            }
            let known = all.position(id).filter(|(group, _)| group.dimension == numbers.len());
            if !known.is_some_and(|(group, at)| group.is_of(at, &numbers)) {
                report.find(format!("{table} row {id}"), "its column block is of another vector");
                return Ok(());
            }
        }
    }
    Ok(())
}
