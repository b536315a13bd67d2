//! Series: in SQLite, and in a folder of Parquet files.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampNanosecondType};
use siltstone::series::{ParquetBackend, Series, SqliteBackend, StorageBackend};
use siltstone::{Database, Durability, Error};

use super::found::{Found, ITEMS_OF_A_WRITER, Odd, Rows, number_of, rows_of, value_of, writer_of};
use super::{Outside, Subject, Writer, verified};

/// Points of time of an item.
const SPAN: u64 = 8;

fn points(item: u64) -> Series {
    let time = |row| (number_of(item) * SPAN + row) as i64;
    let times: Vec<i64> = (0..rows_of(item)).map(time).collect();
    let values: Vec<f64> = (0..rows_of(item)).map(|row| value_of(item, row)).collect();
    Series::from_times_ns(&times, &values).expect("as many times as values")
}

/// A point of the series of a writer.
fn add(rows: &mut Rows, key: &str, time: i64, value: f64) -> Result<(), Odd> {
    let writer = key.strip_prefix('k').and_then(|number| number.parse::<u64>().ok());
    let (Some(writer), Ok(time)) = (writer, u64::try_from(time)) else {
        return Err(Odd::wrong("array", format!("{key:?} at {time} is no item")));
    };
    let (item, row) = (writer * ITEMS_OF_A_WRITER + time / SPAN, time % SPAN);
    rows.check("array", (item, row), value, value_of(item, row))
}

fn append(backend: &dyn StorageBackend, item: u64) -> Result<(), Error> {
    backend.append(&format!("k{}", writer_of(item)), &points(item)).map(drop)
}

fn inside(backend: &dyn StorageBackend) -> Result<Found, Odd> {
    let mut rows = Rows::default();
    for key in backend.list_keys("")? {
        let (series, _) = backend.load(&key)?;
        let times = series.index().as_primitive_opt::<TimestampNanosecondType>();
        let (Some(times), Some(values)) = (times, series.to_f64s()) else {
            return Err(Odd::wrong("array", format!("{key:?} has another type")));
        };
        for (time, value) in times.values().iter().zip(values) {
            add(&mut rows, &key, *time, value)?;
        }
    }
    Ok(Found { items: rows.items(rows_of)?, packed_rows: 0 })
}

pub(super) struct InSqlite;

fn file(folder: &Path) -> PathBuf {
    folder.join("series.db")
}

impl Subject for InSqlite {
    fn name(&self) -> &'static str {
        "series"
    }

    fn open(
        &self,
        folder: &Path,
        durability: Durability,
        _: u64,
    ) -> Result<Box<dyn Writer>, Error> {
        let db = Database::builder(file(folder)).durability(durability).open()?;
        Ok(Box::new(SqliteBackend::over(db)?))
    }

    /// Points are in blocks: another program counts them.
    fn outside(&self, folder: &Path) -> Result<Found, Odd> {
        let Some(db) = Outside::open(&file(folder), "series_block")? else {
            return Ok(Found::default());
        };
        let sql = "SELECT s.length, (SELECT coalesce(sum(rows), 0) FROM series_block \
            WHERE series_id = s.id) FROM series s";
        let lengths = db.each(sql, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        if let Some((length, points)) = lengths.iter().find(|(length, points)| length != points) {
            return Err(Odd::wrong("row", format!("length {length}, points {points}")));
        }
        let packed_rows = lengths.iter().map(|lengths| lengths.0 as u64).sum();
        Ok(Found { items: Default::default(), packed_rows })
    }

    fn inside(&self, folder: &Path) -> Result<Found, Odd> {
        inside(&SqliteBackend::open(file(folder))?)
    }

    fn verify(&self, folder: &Path) -> Result<Vec<String>, Error> {
        verified(&file(folder))
    }

    fn database(&self, folder: &Path) -> Option<PathBuf> {
        Some(file(folder))
    }
}

impl Writer for SqliteBackend {
    fn put(&mut self, item: u64) -> Result<(), Error> {
        append(self, item)
    }

    fn tend(&mut self, _: u64) -> Result<Option<PathBuf>, Error> {
        self.compact(None).map(|_| None)
    }

    fn close(self: Box<Self>) -> Result<(), Error> {
        self.database().flush()
    }
}

pub(super) struct InParquet;

fn plant(folder: &Path) -> PathBuf {
    folder.join("plant")
}

impl Subject for InParquet {
    fn name(&self) -> &'static str {
        "series-parquet"
    }

    /// A commit is always synced.
    fn open(&self, folder: &Path, _: Durability, _: u64) -> Result<Box<dyn Writer>, Error> {
        Ok(Box::new(ParquetBackend::open(plant(folder))?))
    }

    /// What the list names, read by the Parquet library.
    fn outside(&self, folder: &Path) -> Result<Found, Odd> {
        let Ok(list) = std::fs::read(plant(folder).join("silt-series.json")) else {
            return Ok(Found::default());
        };
        let wrong = |what: String| Odd::wrong("array", what);
        let list: serde_json::Value =
            serde_json::from_slice(&list).map_err(|error| wrong(error.to_string()))?;
        let mut rows = Rows::default();
        for (key, entry) in list["series"].as_object().into_iter().flatten() {
            // The name, or an object that has it.
            let name = entry.as_str().or_else(|| entry["file"].as_str()).unwrap_or_default();
            let file = std::fs::File::open(plant(folder).join(name))
                .map_err(|error| wrong(format!("{name:?} of {key:?}: {error}")))?;
            let reader =
                parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
            let reader = reader.and_then(|builder| builder.build());
            for batch in reader.map_err(|error| wrong(error.to_string()))? {
                let batch = batch.map_err(|error| wrong(error.to_string()))?;
                let times = batch.column(0).as_primitive::<TimestampNanosecondType>();
                let values = batch.column(1).as_primitive::<Float64Type>();
                for (time, value) in times.values().iter().zip(values.values()) {
                    add(&mut rows, key, *time, *value)?;
                }
            }
        }
        Ok(Found { items: rows.items(rows_of)?, packed_rows: 0 })
    }

    fn inside(&self, folder: &Path) -> Result<Found, Odd> {
        inside(&ParquetBackend::open(plant(folder))?)
    }
}

impl Writer for ParquetBackend {
    fn put(&mut self, item: u64) -> Result<(), Error> {
        append(self, item)
    }

    fn close(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}
