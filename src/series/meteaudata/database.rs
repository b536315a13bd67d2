//! The store in SQLite that meteaudata wrote, of both its shapes: points with and without a number.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, StringArray};
use rusqlite::types::ValueRef;
use serde_json::Value;

use super::folder::as_dtype;
use super::record::{Beside, beside, keep};
use super::{Archive, ArchiveSeries, LooseSeries, add_series};
use crate::error::{Error, Result};
use crate::kernel::{Database, ReadTx, Upgrade};
use crate::series::data::Series;
use crate::series::sqlite::MIGRATIONS;
use crate::series::text::{Column, Field, index_by};

/// The most of a series that is read.
#[derive(Clone, Copy)]
struct Most {
    /// They are held as texts: some 4 GiB.
    points: u64,
    /// Bytes of the text of its metadata.
    metadata: usize,
}

const MOST: Most = Most { points: 32 << 20, metadata: 16 << 20 };

/// How meteaudata's file is known. It is opened for reading alone, so that nothing is upgraded.
static METEAUDATA: Upgrade = Upgrade {
    migrations: &MIGRATIONS,
    tables: &["time_series_data", "time_series_metadata"],
    sql: "",
};
pub(crate) static DATABASE: &[&Upgrade] = &[&METEAUDATA];

/// Reads what is there.
pub(super) fn read(path: &Path) -> Result<Archive> {
    read_within(path, MOST)
}

fn read_within(path: &Path, most: Most) -> Result<Archive> {
    let db = Database::builder(path).upgrade(DATABASE).open_read_only()?;
    db.read(|tx| {
        if crate::kernel::table_exists(tx, "siltstone_schema")? {
            let why = "it was written by siltstone already";
            let expected = "a store of meteaudata";
            return Err(Error::invalid(path.display().to_string(), expected, why));
        }
        let columns: Vec<String> =
            tx.query("SELECT name FROM pragma_table_info('time_series_data')", [], |row| {
                Ok(row.get(0)?)
            })?;
        // Without numbers the points are in the order in which they were put in.
        let order = if columns.iter().any(|name| name == "idx") { "idx" } else { "rowid" };
        let keys: Vec<String> = tx.query(
            "SELECT key FROM main.time_series_metadata UNION SELECT key FROM main.time_series_data",
            [],
            |row| Ok(row.get(0)?),
        )?;
        let mut found = Archive::default();
        for key in keys {
            let read = one(tx, &key, (order, most), &mut found.notes);
            if let Some(loose) = keep(&key, read, &mut found.skipped) {
                add_loose(&mut found, loose);
            }
        }
        Ok(found)
    })
}

fn one(
    tx: &ReadTx<'_>,
    key: &str,
    (order, most): (&str, Most),
    notes: &mut Vec<String>,
) -> Result<LooseSeries> {
    let has_name =
        "SELECT 1 FROM pragma_table_info('time_series_metadata') WHERE name = 'series_name'";
    let has_name = tx.query_one(has_name, [], |_| Ok(()))?.is_some();
    let name = if has_name { "series_name" } else { "NULL" };
    let sql = format!("SELECT metadata_json, {name} FROM main.time_series_metadata WHERE key = ?1");
    let row = tx.query_one(&sql, [key], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?))
    })?;
    let (json, name) = row.unwrap_or_default();
    if json.as_ref().is_some_and(|json| json.len() > most.metadata) {
        return Err(Error::invalid(
            key,
            format!("metadata of at most {} bytes", most.metadata),
            "more",
        ));
    }
    let known = match json.as_deref().map(serde_json::from_str::<Value>) {
        Some(Ok(Value::Object(known))) => beside(known, key)?,
        Some(_) => return Err(Error::invalid(key, "metadata that are JSON", "another text")),
        None => {
            notes.push(format!("{key:?} has no metadata beside it"));
            Beside::default()
        }
    };
    let (mut index, mut values) = (Column::default(), Values::default());
    let sql = format!(
        "SELECT index_value, value FROM main.time_series_data WHERE key = ?1 ORDER BY {order}"
    );
    let mut line = 0;
    tx.query(&sql, [key], |row| {
        line += 1;
        if line > most.points {
            return Err(Error::invalid(key, format!("at most {} points", most.points), "more"));
        }
        let text = match row.get_ref(0)? {
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Integer(n) => n.to_string(),
            ValueRef::Real(x) => format!("{x:?}"),
            _ => return Err(Error::invalid(key, "an index of texts", format!("row {line}"))),
        };
        index.fields.push(Field { text: text.into(), quoted: false });
        index.lines.push(line);
        values.push(row.get_ref(1)?);
        Ok(())
    })?;
    let (index, metadata) = index_by(&index, known.index, key)?;
    let (values, dtype) = as_dtype(values.finish(), known.values_dtype.as_deref())?;
    let series = Series::new(index, values)?.with_index_metadata(metadata).with_dtype(dtype);
    let series = series.with_name_or_none(name.filter(|name| !name.is_empty() && name != "None"));
    Ok(LooseSeries { key: key.to_owned(), series, record: known.record })
}

/// Values as SQLite has them: numbers, or texts as soon as there is one.
#[derive(Default)]
struct Values {
    numbers: Vec<Option<f64>>,
    texts: Vec<Option<String>>,
    is_text: bool,
}

impl Values {
    fn push(&mut self, value: ValueRef<'_>) {
        let (number, text) = match value {
            ValueRef::Integer(n) => (Some(n as f64), Some(n.to_string())),
            ValueRef::Real(x) => (Some(x), Some(format!("{x:?}"))),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                self.is_text = true;
                (None, Some(String::from_utf8_lossy(bytes).into_owned()))
            }
            ValueRef::Null => (None, None),
        };
        self.numbers.push(number);
        self.texts.push(text);
    }

    fn finish(self) -> ArrayRef {
        match self.is_text {
            true => Arc::new(StringArray::from(self.texts)),
            false => Arc::new(Float64Array::from(self.numbers)),
        }
    }
}

/// Finds the dataset and the signal in a key: `DATASET/SIGNAL/BASE#N`, any of which may hold a `/` of its own.
fn add_loose(found: &mut Archive, loose: LooseSeries) {
    let LooseSeries { key, series, record } = loose;
    let own = series.name().unwrap_or_default();
    let mut parts = None;
    for (at, _) in key.match_indices('/') {
        let (dataset, rest) = (&key[..at], &key[at + 1..]);
        for (middle, _) in rest.match_indices('/') {
            let name = format!("{}_{}", &rest[..middle], &rest[middle + 1..]);
            if name == own || (own.is_empty() && key.matches('/').count() == 2) {
                parts = Some((dataset.to_owned(), name));
            }
        }
    }
    match parts {
        Some((dataset, name)) => {
            let series = series.with_name(&name);
            add_series(found, &dataset, (key, ArchiveSeries { name, series, record }));
        }
        None => found.loose.push(LooseSeries { key, series, record }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a series with more points or metadata than the budget is skipped by its key, and the others are read.
    #[test]
    fn a_series_has_a_budget() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let known = |n: usize| format!(r#"{{"values_dtype":"float64","x":"{}"}}"#, "x".repeat(n));
        let within = Most { points: 3, metadata: known(50).len() };
        let sql = format!(
            "CREATE TABLE time_series_data (key TEXT NOT NULL, idx INTEGER NOT NULL, index_value TEXT NOT NULL, \
             value REAL, PRIMARY KEY (key, idx));
             CREATE TABLE time_series_metadata (key TEXT PRIMARY KEY, metadata_json TEXT NOT NULL, series_name TEXT);
             INSERT INTO time_series_metadata VALUES ('many', '{0}', 'many'), ('good', '{0}', 'good'), \
             ('long', '{1}', 'long');
             INSERT INTO time_series_data SELECT key, n, n, n FROM time_series_metadata, \
             (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3);
             INSERT INTO time_series_data VALUES ('many', 4, '4', 4.0);",
            known(50),
            known(51)
        );
        crate::kernel::write_foreign(&path, &sql);
        assert_eq!((read(&path).unwrap().loose.len(), MOST.points), (3, 33_554_432));
        let found = read_within(&path, within).unwrap();
        let good: Vec<_> =
            found.loose.iter().map(|loose| (&*loose.key, loose.series.len())).collect();
        assert_eq!(good, [("good", 3)]);
        let why: Vec<String> = found.skipped.iter().map(|skipped| format!("{skipped:?}")).collect();
        assert_eq!(why.len(), 2, "{why:?}");
        assert!(why.iter().any(|why| why.contains("many") && why.contains("at most 3 points")));
        let bytes = format!("metadata of at most {} bytes", within.metadata);
        assert!(why.iter().any(|why| why.contains("long") && why.contains(&bytes)), "{why:?}");
    }
}
