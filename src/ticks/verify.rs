//! The store's own checks of one file.

use super::packed::{Stored, unpack};
use super::tables;
use super::tick::{Origins, Ticks, Wanted};
use crate::array::block::stored_checksum;
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, VerifyReport};

/// Unpacks every block, and compares it with what its row says; looks for rows that refer to nothing.
pub(crate) fn verify(tx: &ReadTx<'_>, report: &mut VerifyReport) -> Result<()> {
    if !tables::are_there(tx)? {
        return Ok(());
    }
    let dangling = [
        ("tick_rows", "a symbol", "symbol_id", "tick_symbol"),
        ("tick_rows", "an origin", "origin_id", "tick_origin"),
        ("tick_block", "a symbol", "symbol_id", "tick_symbol"),
    ];
    for (table, what, column, parent) in dangling {
        let sql =
            format!("SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM {parent})");
        let n = tx.query_one(&sql, [], |row| Ok(row.get::<_, i64>(0)?))?.unwrap_or(0);
        if n > 0 {
            report.find(table, format!("{n} rows refer to {what} that is not there"));
        }
    }
    let sql = "SELECT id, symbol_id, first_ns, last_ns, rows, kept, checksum, data, min_bid, max_bid \
        FROM tick_block \
        ORDER BY symbol_id, last_ns, first_ns, id";
    let origins = Origins::default();
    let (mut before, mut ticks) = (None::<(i64, i64)>, Ticks::new("".into()));
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let location = format!("tick_block row {}", row.get::<_, i64>(0)?);
        let (symbol, first, last): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let (count, kept): (i64, String) = (row.get(4)?, row.get(5)?);
        let sum = row.get_ref(6)?.as_blob().unwrap_or_default();
        let data = row.get_ref(7)?.as_blob().unwrap_or_default();
        report.checksums += 1;
        ticks.clear();
        let unpacked = Stored::open(row.get(0)?, &kept, data).and_then(|block| {
            let (all, says) = (block.all(), block.check_header()?);
            block.times(all.clone(), &mut ticks.time_ns)?;
            unpack(&[(block, all)], Wanted::All, &origins, &mut ticks)?;
            Ok(says)
        });
        let says = match unpacked {
            Ok(says) => says,
            Err(error) => {
                let why = match error {
                    Error::Corrupt { why, .. } => why,
                    other => other.to_string(),
                };
                report.find(location, why);
                continue;
            }
        };
        if sum.is_empty() || stored_checksum(data) != sum {
            report.find(&location, "its checksum is not that of its block");
        }
        if says != Some((first, last)) {
            report.find(&location, "its times are not the range that its block says");
        }
        let ends = ticks.time_ns.first().copied().zip(ticks.time_ns.last().copied());
        if ticks.len() as i64 != count || ends != Some((first, last)) {
            report.find(&location, "its count or its times are not those of its block");
        }
        let bids = || ticks.bid.iter().copied();
        let range =
            bids().fold((f64::INFINITY, f64::NEG_INFINITY), |r, bid| (r.0.min(bid), r.1.max(bid)));
        if (row.get::<_, f64>(8)?, row.get::<_, f64>(9)?) != range {
            report.find(&location, "its bids are not the range that its row says");
        }
        if before.is_some_and(|(other, end)| other == symbol && end > first) {
            report.find(&location, "it begins before the block before it ends");
        }
        before = Some((symbol, last));
    }
    Ok(())
}
