//! Day files of the RTX engine, of both its generations, packed by zstd or not. They are read and
//! never written.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use rusqlite::types::ValueRef;
use xxhash_rust::xxh3::Xxh3;

use super::spill::{ByDay, by_day};
use super::tables::MIGRATIONS;
use super::tick::{Origins, Row, check_prices, check_symbol};
use crate::error::{Error, Result};
use crate::kernel::{Database, ReadTx, Temporary, Upgrade, open_file};

/// The most bytes of a day file, unpacked. All its ticks are in memory at once.
const MAX_DAY_BYTES: u64 = 4 << 30;

/// How the RTX engine's file is known. It is opened for reading alone, so that nothing is upgraded.
static RTX: Upgrade = Upgrade { migrations: &MIGRATIONS, tables: &["ticks"], sql: "" };
static UPGRADES: &[&Upgrade] = &[&RTX];

/// A digest of what was read, the ticks by day, and why rows were skipped, each by its id.
pub(super) type Found = ([u8; 16], ByDay, Vec<String>);

/// Reads a day file.
pub(super) fn read(path: &Path, origins: &Origins) -> Result<Found> {
    read_within(path, origins, MAX_DAY_BYTES)
}

fn read_within(path: &Path, origins: &Origins, most: u64) -> Result<Found> {
    if path.extension().is_none_or(|extension| extension != "zst") {
        return read_open(path, path, origins, most);
    }
    let packed = open_file(path)?;
    let folder = Temporary::private_folder()?;
    let unpacked = folder.path().join("ticks.db");
    let unpack = || -> io::Result<u64> {
        let mut reader = zstd::stream::Decoder::new(packed)?.take(most + 1);
        io::copy(&mut reader, &mut File::create_new(&unpacked)?)
    };
    unpack().map_err(|e| Error::io(path, "unpacking it", &e))?;
    read_open(&unpacked, path, origins, most)
}

fn read_open(path: &Path, name: &Path, origins: &Origins, most: u64) -> Result<Found> {
    let bytes = fs::metadata(path).map_err(|e| Error::io(name, "opening it", &e))?.len();
    if bytes > most {
        let expected = format!("at most {most} bytes, unpacked");
        return Err(Error::invalid(name.display().to_string(), expected, "more"));
    }
    let db = Database::builder(path).upgrade(UPGRADES).open_read_only()?;
    let (rows, bad) = db.read(|tx| rows(tx, origins)).map_err(|error| match error {
        Error::Corrupt { what, why, .. } => {
            Error::Corrupt { location: name.display().to_string(), what, why }
        }
        other => other,
    })?;
    let mut digest = Xxh3::new();
    for (symbol, row) in &rows {
        digest.update(symbol.as_bytes());
        digest.update(&row.time_ns.to_le_bytes());
        [row.bid, row.ask, row.spread].iter().for_each(|x| digest.update(&x.to_le_bytes()));
    }
    let days = by_day(rows.iter().map(|(symbol, row)| (symbol, *row)));
    Ok((digest.digest128().to_be_bytes(), days, bad))
}

/// The rows with their symbols, and why some were skipped.
type Rows = (Vec<(Arc<str>, Row)>, Vec<String>);

fn rows(tx: &ReadTx<'_>, origins: &Origins) -> Result<Rows> {
    // Ours have the time in ns too.
    let ours = crate::kernel::table_exists(tx, "tick_rows")?;
    if ours {
        let why = "it was written by siltstone already";
        return Err(Error::invalid("the file", "a day file of the RTX engine", why));
    }
    let sql =
        "SELECT id, symbol, timestamp, bid, ask, spread, lp_source FROM main.ticks ORDER BY id";
    let (mut last, mut bad) = (None, Vec::new());
    let rows = tx.query(sql, [], |row| {
        let id: i64 = row.get(0)?;
        match tick(row, &mut last) {
            Ok((symbol, mut row, source)) => {
                row.origin = origins.number(&source, "", 0)?;
                Ok(Some((symbol, row)))
            }
            Err(why) => {
                bad.push(format!("row {id}: {why}"));
                Ok(None)
            }
        }
    })?;
    Ok((rows.into_iter().flatten().collect(), bad))
}

/// A tick without its origin, and the source that it names; or why it is none.
fn tick(
    row: &rusqlite::Row<'_>,
    last: &mut Option<Arc<str>>,
) -> Result<(Arc<str>, Row, String), String> {
    let names = ["id", "symbol", "timestamp", "bid", "ask", "spread", "lp_source"];
    let text = |column: usize| match row.get_ref(column) {
        Ok(ValueRef::Text(text)) => Ok(String::from_utf8_lossy(text).into_owned()),
        Ok(ValueRef::Null) if column == 6 => Ok(String::new()),
        _ => Err(format!("{} is no text", names[column])),
    };
    let real = |column: usize| match row.get_ref(column) {
        Ok(ValueRef::Real(x)) => Ok(x),
        Ok(ValueRef::Integer(n)) => Ok(n as f64),
        _ => Err(format!("{} is no number", names[column])),
    };
    let symbol = text(1)?;
    let symbol = match last {
        Some(known) if **known == *symbol => known.clone(),
        _ => {
            check_symbol(&symbol).map_err(|error| error.to_string())?;
            Arc::from(symbol)
        }
    };
    *last = Some(symbol.clone());
    let Ok(ValueRef::Integer(ms)) = row.get_ref(2) else {
        return Err("timestamp is no integer".into());
    };
    let time_ns = ms.checked_mul(1_000_000);
    let time_ns = time_ns.ok_or_else(|| format!("timestamp {ms} is beyond all time"))?;
    let (bid, ask, spread) = (real(3)?, real(4)?, real(5)?);
    check_prices(bid, ask, spread).map_err(|error| error.to_string())?;
    Ok((symbol, Row { time_ns, bid, ask, spread, origin: 0 }, text(6)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a packed file that would fill the disk is refused when it has unpacked to the limit.
    #[test]
    fn a_packed_bomb_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks_2024-01-02.db.zst");
        let packed = zstd::encode_all(&vec![0; 8 << 20][..], 3).unwrap();
        assert!(packed.len() < 4_096, "{}", packed.len());
        fs::write(&path, packed).unwrap();
        let error = read_within(&path, &Origins::default(), 1 << 20).unwrap_err();
        assert!(
            error.to_string().contains("ticks_2024-01-02.db.zst: expected at most 1048576"),
            "{error}"
        );
    }
}
