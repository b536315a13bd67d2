//! The store's own checks of a file.

use super::are_there;
use super::read::{Points, bytes, find, orderable};
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, VerifyReport};
use crate::series::index::IndexValues;

/// Unpacks every block, and compares it with what the tables say of it and of its series.
pub(crate) fn verify(tx: &ReadTx<'_>, report: &mut VerifyReport) -> Result<()> {
    if !are_there(tx)? {
        return Ok(());
    }
    for key in tx.query("SELECT key FROM series ORDER BY id", [], |row| Ok(row.get(0)?))? {
        let key: String = key;
        let found = match find(tx, &key, "the file") {
            Ok(found) => found,
            Err(Error::Corrupt { why, .. }) => {
                report.find(format!("series {key:?}"), why);
                continue;
            }
            Err(other) => return Err(other),
        };
        let sql = "SELECT id, first_row, rows, least, greatest, index_data, value_data \
            FROM series_block WHERE series_id = ?1 ORDER BY first_row";
        let mut next = 0;
        let mut statement = tx.prepare(sql)?;
        let mut rows = statement.query([found.id])?;
        while let Some(row) = rows.next()? {
            let location = format!("series_block row {} of {key:?}", row.get::<_, i64>(0)?);
            let (first, count): (i64, i64) = (row.get(1)?, row.get(2)?);
            if first != next {
                report.find(&location, format!("it begins at point {first} where {next} is due"));
            }
            next = first.saturating_add(count);
            let mut is_whole = true;
            for (column, data_type) in [(5, &found.info.index_type), (6, &found.info.value_type)] {
                let bytes = row.get_ref(column)?.as_blob().unwrap_or_default();
                let types = std::slice::from_ref(data_type);
                is_whole &= report.check_block(&location, bytes, types, count)?;
            }
            if !is_whole {
                continue;
            }
            let mut points = Points::new(&found.info)?;
            let (index, values) = (bytes(row.get_ref(5)?), bytes(row.get_ref(6)?));
            let read = index.and_then(|index| points.append(count, index, values?));
            match read.and_then(|()| points.finish(&found.info)) {
                Ok(block) => {
                    let (least, greatest) = IndexValues::of(block.index())?.extent().unzip();
                    let says: [rusqlite::types::Value; 2] = [row.get(3)?, row.get(4)?];
                    if says != [orderable(least.as_ref()), orderable(greatest.as_ref())] {
                        report.find(&location, "its index is not the range that its row says");
                    }
                }
                Err(Error::Corrupt { why, .. }) => report.find(&location, why),
                Err(other) => return Err(other),
            }
        }
        if next as u64 != found.info.length {
            let why = format!("its blocks hold {next} points, and it has {}", found.info.length);
            report.find(format!("series {key:?}"), why);
        }
    }
    Ok(())
}
