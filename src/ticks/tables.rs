//! The tables of a day file, and what its writer remembers of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::tick::{Origin, Origins};
use crate::array::block::{self, Effort, version_1};
use crate::error::{Error, Result};
use crate::kernel::{DocumentedName, Migrations, ReadTx, Rows, Step, WriteTx, table_exists};

const VERSION_1: &str = include_str!("migrations/0001_ticks.sql");

/// All versions of the store's tables.
pub(crate) static MIGRATIONS: Migrations = Migrations {
    store: "ticks",
    steps: &[
        Step::Sql(VERSION_1),
        Step::Sql("-- 2: rows have checksums"),
        Step::Sql("-- 3: ticks is a view over rows and blocks where there are blocks"),
        Step::Code(renew_blocks),
        Step::Sql("-- 5: one table function"),
    ],
    summed: &[
        "tick_symbol",
        "tick_origin",
        "tick_rows",
        "tick_block(symbol_id, first_ns, last_ns, rows, min_bid, max_bid, kept, checksum)",
        "tick_counter",
    ],
};

/// Version 4: blocks of today. One that is damaged stays as it is, for [`verify`](super::verify()) to find.
fn renew_blocks(tx: &WriteTx<'_>) -> Result<()> {
    let whole = tx.is_whole("tick_block", "b")?;
    let row_sum = match whole.as_str() {
        "1" => "",
        _ => {
            ", row_sum = iif(row_sum IS NULL, NULL, \
             silt_row_sum(symbol_id, first_ns, last_ns, rows, min_bid, max_bid, kept, ?3))"
        }
    };
    let update = format!("UPDATE tick_block SET data = ?2, checksum = ?3{row_sum} WHERE id = ?1");
    let sql = format!("SELECT id FROM tick_block b WHERE {whole}");
    for id in tx.query(&sql, [], |row| Ok(row.get::<_, i64>(0)?))? {
        let sql = "SELECT data, checksum FROM tick_block WHERE id = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let Some((data, sum)) = tx.query_one::<(Vec<u8>, Vec<u8>)>(sql, [id], read)? else {
            continue;
        };
        if block::stored_checksum(&data) == sum
            && let Ok(Some(renewed)) = version_1::block(&data, Effort::Compact)
        {
            tx.execute(&update, (id, &renewed, block::stored_checksum(&renewed)))?;
        }
    }
    Ok(())
}

/// Whether the file has the store's tables yet.
pub(super) fn are_there(tx: &ReadTx<'_>) -> Result<bool> {
    table_exists(tx, "tick_rows")
}

/// The RTX engine's table.
pub(crate) fn documented_names(tx: &ReadTx<'_>) -> Result<Vec<DocumentedName>> {
    if !are_there(tx)? {
        return Ok(Vec::new());
    }
    let from = |start: &str| &VERSION_1[VERSION_1.find(start).expect("version 1 makes it")..];
    let over_rows = from("CREATE VIEW ticks").split(';').next().unwrap_or_default();
    let over_blocks = format!("{over_rows}\n{}", include_str!("migrations/ticks_in_blocks.sql"));
    Ok(vec![DocumentedName {
        name: "ticks".into(),
        has_blocks: tx.query_one("SELECT 1 FROM tick_block LIMIT 1", [], |_| Ok(()))?.is_some(),
        rows: Rows::View(over_rows.to_owned()),
        over_blocks: over_blocks.trim_end().to_owned(),
        triggers: from("CREATE TRIGGER ticks_insert").to_owned(),
    }])
}

/// The id of a symbol; `None` if the file has no tick of it.
pub(super) fn symbol_id(tx: &ReadTx<'_>, symbol: &str) -> Result<Option<i64>> {
    let whole = tx.whole("tick_symbol", "s")?;
    let sql = format!("SELECT id FROM tick_symbol s WHERE s.symbol IS ?1 AND {whole}");
    tx.query_one(&sql, [symbol], |row| Ok(row.get(0)?))
}

/// All symbols of the file, with their ids.
pub(super) fn symbols(tx: &ReadTx<'_>) -> Result<Vec<(i64, Arc<str>)>> {
    let whole = tx.whole("tick_symbol", "s")?;
    let sql = format!("SELECT id, symbol FROM tick_symbol s WHERE {whole} ORDER BY symbol");
    tx.query(&sql, [], |row| {
        let symbol: String = row.get(1)?;
        super::tick::check_symbol(&symbol).map_err(|error| Error::Corrupt {
            location: String::new(),
            what: "table tick_symbol".into(),
            why: error.to_string(),
        })?;
        Ok((row.get(0)?, symbol.into()))
    })
}

/// The file's origins by their id, as numbers of the store.
pub(super) fn origins(tx: &ReadTx<'_>, known: &Origins) -> Result<HashMap<i64, u32>> {
    let whole = tx.whole("tick_origin", "o")?;
    let sql =
        format!("SELECT id, lp_source, broker_id, utc_offset_s FROM tick_origin o WHERE {whole}");
    let rows = tx.query(&sql, [], |row| {
        let (lp, broker): (String, String) = (row.get(1)?, row.get(2)?);
        Ok((row.get(0)?, known.number(&lp, &broker, row.get(3)?)?))
    })?;
    Ok(rows.into_iter().collect())
}

/// Up to which of its ticks a writer has committed in this file.
pub(super) fn watermark(tx: &ReadTx<'_>, writer: i64) -> Result<u64> {
    let sql = "SELECT ordinal FROM tick_watermark WHERE writer = ?1";
    let watermark = tx.query_one(sql, [writer], |row| Ok(row.get::<_, i64>(0)?))?;
    Ok(watermark.unwrap_or(0) as u64)
}

/// Sets a counter, which is made if it is not there.
pub(super) fn set_counter(tx: &WriteTx<'_>, name: &str, value: i64) -> Result<()> {
    let sql = "INSERT INTO tick_counter VALUES (?1, ?2, silt_row_sum(?1, ?2)) \
        ON CONFLICT (name) DO UPDATE SET value = excluded.value, row_sum = excluded.row_sum";
    tx.execute(sql, (name, value)).map(drop)
}

/// The last import before ticks of a symbol were removed; `None` if none ever were.
pub(super) fn removed_after(tx: &ReadTx<'_>, symbol: &str) -> Result<Option<i64>> {
    let sql = "SELECT c.value FROM tick_counter c JOIN tick_symbol s ON c.name = 'removed ' || s.id \
        WHERE s.symbol IS ?1";
    tx.query_one(sql, [symbol], |row| Ok(row.get(0)?))
}

/// Notes that ticks of a symbol were removed after an import.
pub(super) fn set_removed_after(tx: &WriteTx<'_>, symbol_id: i64, import: i64) -> Result<()> {
    set_counter(tx, &format!("removed {symbol_id}"), import)
}

/// What the writer remembers of a file between two transactions.
#[derive(Default)]
pub(super) struct Known {
    pub(super) symbols: HashMap<Arc<str>, SymbolKnown>,
    origins: HashMap<Origin, i64>,
    next_arrival: Option<i64>,
}

/// What it remembers of a symbol.
#[derive(Debug, Clone, Copy)]
pub(super) struct SymbolKnown {
    pub(super) id: i64,
    /// The greatest time stored, `i64::MIN` if there is none.
    pub(super) last_ns: i64,
}

impl Known {
    pub(super) fn symbol(&mut self, tx: &WriteTx<'_>, symbol: &Arc<str>) -> Result<SymbolKnown> {
        if let Some(known) = self.symbols.get(symbol) {
            return Ok(*known);
        }
        let id = match symbol_id(tx, symbol)? {
            Some(id) => id,
            None => {
                let sql = "INSERT INTO tick_symbol (symbol, row_sum) VALUES (?1, silt_row_sum(?1))";
                tx.insert(sql, [&**symbol])?
            }
        };
        let sql = "SELECT max((SELECT coalesce(max(time_ns), ?2) FROM tick_rows WHERE symbol_id = ?1), \
            (SELECT coalesce(max(last_ns), ?2) FROM tick_block WHERE symbol_id = ?1))";
        let last_ns = tx.query_one(sql, (id, i64::MIN), |row| Ok(row.get(0)?))?;
        let known = SymbolKnown { id, last_ns: last_ns.unwrap_or(i64::MIN) };
        self.symbols.insert(symbol.clone(), known);
        Ok(known)
    }

    pub(super) fn origin(&mut self, tx: &WriteTx<'_>, origin: &Origin) -> Result<i64> {
        if let Some(id) = self.origins.get(origin) {
            return Ok(*id);
        }
        let key = (&origin.lp, &origin.broker_id, origin.utc_offset_s);
        let sql = "SELECT id FROM tick_origin \
            WHERE lp_source = ?1 AND broker_id = ?2 AND utc_offset_s = ?3";
        let id = match tx.query_one(sql, key, |row| Ok(row.get(0)?))? {
            Some(id) => id,
            None => tx.insert(
                "INSERT INTO tick_origin (lp_source, broker_id, utc_offset_s, row_sum) \
                 VALUES (?1, ?2, ?3, silt_row_sum(?1, ?2, ?3))",
                key,
            )?,
        };
        self.origins.insert(origin.clone(), id);
        Ok(id)
    }

    /// The arrival number of the next tick.
    pub(super) fn next_arrival(&mut self, tx: &WriteTx<'_>) -> Result<i64> {
        if let Some(next) = self.next_arrival {
            return Ok(next);
        }
        let sql = "SELECT value FROM tick_counter WHERE name = 'next_arrival'";
        let next = tx.query_one(sql, [], |row| Ok(row.get(0)?))?;
        next.ok_or_else(|| Error::Corrupt {
            location: String::new(),
            what: "table tick_counter".into(),
            why: "it has no row next_arrival".into(),
        })
    }

    pub(super) fn set_next_arrival(&mut self, tx: &WriteTx<'_>, next: i64) -> Result<()> {
        if self.next_arrival != Some(next) {
            let sql = "UPDATE tick_counter SET value = ?1, row_sum = silt_row_sum(name, ?1) \
                WHERE name = 'next_arrival'";
            tx.execute(sql, [next])?;
            self.next_arrival = Some(next);
        }
        Ok(())
    }
}

/// Changes the number of ticks that should be there.
pub(super) fn count(tx: &WriteTx<'_>, more: i64) -> Result<()> {
    if more != 0 {
        let sql = "UPDATE tick_counter SET value = value + ?1, row_sum = silt_row_sum(name, value + ?1) \
            WHERE name = 'ticks'";
        tx.execute(sql, [more])?;
    }
    Ok(())
}

/// Says in the file up to which of its ticks a writer has committed here.
pub(super) fn set_watermark(tx: &WriteTx<'_>, writer: i64, ordinal: u64) -> Result<()> {
    let sql = "INSERT INTO tick_watermark (writer, ordinal) VALUES (?1, ?2) \
        ON CONFLICT (writer) DO UPDATE SET ordinal = max(ordinal, excluded.ordinal)";
    tx.execute(sql, (writer, ordinal as i64)).map(drop)
}
