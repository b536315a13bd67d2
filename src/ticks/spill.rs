//! Batches that could not be written: kept in files of their own until they can be.
//!
//! A spill file is a JSON file of ticks. Its name is the watermark under which its ticks are written, so
//! that a crash between the commit and the removal of the file writes nothing twice. Ticks that go into a JSON file
//! have no such watermark: before they do, the name of the spill file says behind how many ticks they are going to be.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use super::calendar::Day;
use super::day::entries;
use super::json;
use super::json_days::{MAX_JSON_BYTES, read_rows, tick};
use super::tick::{Origin, Origins, Row};
use super::write::Arrived;
use crate::error::{Error, Result};
use crate::kernel::{create_folder, read_whole, sync_folder, write_atomically};

const AT: &str = ".at-";

/// Writes ticks of one day to a new spill file.
pub(super) fn save(
    folder: &Path,
    writer: i64,
    day: Day,
    parts: &[Arrived],
    origins: &[Origin],
) -> Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    create_folder(folder, true)?;
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("spill-{day}-{:016x}-{n}.json", writer as u64));
    let ticks = parts.iter().flat_map(|part| {
        part.rows.iter().map(|row| tick(&part.symbol, row, &origins[row.origin as usize]))
    });
    match write_atomically(&path, &json::write_ticks(ticks), true) {
        // It is there. That these ticks are not where they belong is reported in any case.
        Err(error @ Error::DurabilityUnknown { .. }) => tracing::warn!(%error, "a spill file"),
        written => written?,
    }
    Ok(path)
}

/// Behind how many ticks of a JSON file those of a spill file are, or were going to be.
pub(super) fn position(file: &Path) -> Option<usize> {
    file.file_stem()?.to_str()?.rsplit_once(AT)?.1.parse().ok()
}

/// Lets the name of a spill file say so, or say nothing.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn set_position(file: &Path, position: Option<usize>) -> Result<PathBuf> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.rsplit_once(AT).map_or(&*stem, |(stem, _)| stem);
    let name = match position {
        Some(position) => format!("{stem}{AT}{position}.json"),
        None => format!("{stem}.json"),
    };
    let named = file.with_file_name(name);
    fs::rename(file, &named).map_err(|e| Error::io(file, "renaming it", &e))?;
    sync_folder(file.parent().unwrap_or(file))?;
    Ok(named)
}

/// The spill files of a folder.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let is = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("spill-") && name.ends_with(".json")
    };
    Ok(entries(folder)?.into_iter().filter(is).collect())
}

/// Ticks in the order of arrival, by day and symbol.
pub(super) type ByDay = Vec<(Day, Vec<Arrived>)>;

/// The watermark of a spill file, and its ticks by day and symbol.
pub(super) fn load(path: &Path, origins: &Origins) -> Result<(i64, ByDay)> {
    let text = read_whole(path, MAX_JSON_BYTES)?;
    let (symbols, rows) = read_rows(path, &text, origins)?;
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let watermark = (xxh3_64(name) >> 1) as i64;
    Ok((watermark, by_day(runs(&symbols, &rows))))
}

/// Each row with its symbol.
pub(super) fn runs<'a>(
    symbols: &'a [(Arc<str>, usize)],
    rows: &'a [Row],
) -> impl Iterator<Item = (&'a Arc<str>, Row)> {
    symbols.iter().enumerate().flat_map(move |(i, (symbol, start))| {
        let end = symbols.get(i + 1).map_or(rows.len(), |next| next.1);
        rows[*start..end].iter().map(move |row| (symbol, *row))
    })
}

/// Ticks in the order of arrival, by day and symbol.
pub(super) fn by_day<'a>(ticks: impl Iterator<Item = (&'a Arc<str>, Row)>) -> ByDay {
    let mut days = ByDay::new();
    // Mostly the next tick is of the same day and symbol, or of one of a few.
    let (mut d, mut s) = (0, 0);
    for (symbol, row) in ticks {
        let day = Day::of(row.time_ns);
        if days.get(d).is_none_or(|(known, _)| *known != day) {
            d = days.iter().position(|(known, _)| *known == day).unwrap_or_else(|| {
                days.push((day, Vec::new()));
                days.len() - 1
            });
        }
        let parts = &mut days[d].1;
        let is = |part: &Arrived| Arc::ptr_eq(&part.symbol, symbol) || part.symbol == *symbol;
        if !parts.get(s).is_some_and(is) {
            s = parts.iter().position(is).unwrap_or_else(|| {
                parts.push(Arrived { symbol: symbol.clone(), rows: Vec::new(), packed: None });
                parts.len() - 1
            });
        }
        parts[s].rows.push(row);
    }
    days
}
