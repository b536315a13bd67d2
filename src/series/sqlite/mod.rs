//! Series in an SQLite file: blocks of points that grow by the logarithmic method.

mod compact;
mod describe;
mod read;
mod verify;
mod write;

use std::path::Path;

use super::backend::{Change, SeriesInfo, StorageBackend};
use super::data::{Metadata, Series};
use super::index::IndexRange;
use crate::error::Result;
use crate::kernel::{
    CompactReport, Database, DocumentedName, Migrations, Progress, ReadTx, Rows, Step,
    VerifyReport, table_exists,
};
use crate::table::Batches;
pub use describe::SeriesSummary;
pub(crate) use verify::verify;
use write::Prepared;

/// The versions of the store's tables.
pub(crate) static MIGRATIONS: Migrations = Migrations {
    store: "series",
    steps: &[
        Step::Sql(include_str!("migrations/0001_series.sql")),
        Step::Sql(include_str!("migrations/0002_block_order.sql")),
        Step::Sql("-- 3: rows have checksums"),
        Step::Sql("-- 4: time_series_data is in the file"),
        Step::Code(compact::renew_blocks),
        Step::Sql("-- 6: one table function"),
    ],
    summed: &[
        "series",
        "series_block(series_id, first_row, rows, least, greatest, compacted)",
        "series_record",
    ],
};

/// The documented table of points, which are always in blocks.
pub(crate) fn documented_names(tx: &ReadTx<'_>) -> Result<Vec<DocumentedName>> {
    if !table_exists(tx, "series_block")? {
        return Ok(Vec::new());
    }
    Ok(vec![DocumentedName {
        name: "time_series_data".into(),
        has_blocks: true,
        rows: Rows::Nothing,
        over_blocks: include_str!("migrations/points_view.sql").trim_end().to_owned(),
        triggers: String::new(),
    }])
}

/// The most points of a block.
const BLOCK_ROWS: usize = 1 << 14;

/// Series in a Siltstone file. Clones share the file; other processes may read and write it meanwhile.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// use siltstone::series::{Series, SqliteBackend, StorageBackend};
/// let backend = SqliteBackend::open(folder.path().join("plant.db"))?;
/// backend.save("line#1", &Series::from_times_ns(&[0], &[20.5])?, &Default::default())?;
/// backend.append("line#1", &Series::from_times_ns(&[1_000_000_000], &[21.0])?)?;
/// assert_eq!(backend.load("line#1")?.0.len(), 2);
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SqliteBackend {
    db: Database,
}

impl SqliteBackend {
    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// As [`Builder::open`](crate::Builder::open).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::over(Database::builder(path).open()?)
    }

    /// The series of a file that is open; its durability is that of the handle.
    ///
    /// # Errors
    /// [`Error::TooNew`](crate::Error::TooNew) if a newer Siltstone wrote its series; it is left as it is.
    pub fn over(db: Database) -> Result<Self> {
        db.migrate(&MIGRATIONS)?;
        Ok(SqliteBackend { db })
    }

    /// Gives the next new series this number, unless it is taken.
    #[cfg(feature = "lake")]
    pub(crate) fn number_from(&self, id: i64) -> Result<()> {
        self.db.write(move |tx| {
            tx.ensure(&MIGRATIONS)?;
            tx.execute("DELETE FROM sqlite_sequence WHERE name = 'series'", [])?;
            let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES ('series', ?1)";
            tx.execute(sql, [id - 1]).map(drop)
        })
    }

    /// The file.
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Packs the points of one series, or of all, at the highest compression: some blocks in a transaction.
    /// [`Database::vacuum`] gives the room back.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) for a key that is not there; what had been compacted stays so.
    pub fn compact(&self, key: Option<&str>) -> Result<CompactReport> {
        self.compact_with(key, &mut |_, _| Ok(()))
    }

    /// [`compact`](Self::compact); `progress` gets points done and in all.
    ///
    /// # Errors
    /// As it, and whatever `progress` returns.
    pub fn compact_with(
        &self,
        key: Option<&str>,
        progress: &mut Progress<'_>,
    ) -> Result<CompactReport> {
        let location = self.location();
        let parts = self.db.read(|tx| compact::parts(tx, key, &location))?;
        self.db.compact(parts, progress)
    }

    fn read<T: Default>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        self.db.read(|tx| if are_there(tx)? { work(tx) } else { Ok(T::default()) })
    }
}

fn are_there(tx: &ReadTx<'_>) -> Result<bool> {
    table_exists(tx, "series_block")
}

impl StorageBackend for SqliteBackend {
    fn backend_type(&self) -> &'static str {
        "sqlite"
    }

    fn location(&self) -> String {
        self.db.path().display().to_string()
    }

    fn commit(&self, changes: &[Change]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let changes = changes.iter().map(Prepared::of).collect::<Result<Vec<_>>>()?;
        let location = self.location();
        self.db.write(move |tx| {
            tx.ensure(&MIGRATIONS)?;
            changes.iter().try_for_each(|change| write::apply(tx, change, &location))
        })
    }

    fn list_keys(&self, prefix: &str) -> Result<Vec<String>> {
        let sql = "SELECT key FROM series WHERE key >= ?1 ORDER BY key";
        self.read(|tx| read::names(tx, sql, prefix))
    }

    fn info(&self, key: &str) -> Result<SeriesInfo> {
        self.db.read(|tx| Ok(read::find(tx, key, &self.location())?.info))
    }

    fn scan(&self, key: &str, range: &IndexRange) -> Result<Batches> {
        read::scan(self, key, range)
    }

    fn load(&self, key: &str) -> Result<(Series, Metadata)> {
        self.db.read(|tx| read::load(tx, key, &IndexRange::all(), &self.location()))
    }

    fn load_range(&self, key: &str, range: &IndexRange) -> Result<Series> {
        Ok(self.db.read(|tx| read::load(tx, key, range, &self.location()))?.0)
    }

    fn load_many(&self, keys: &[&str]) -> Result<Vec<(Series, Metadata)>> {
        let (all, location) = (IndexRange::all(), self.location());
        self.db.read(|tx| keys.iter().map(|key| read::load(tx, key, &all, &location)).collect())
    }

    fn record(&self, name: &str) -> Result<Option<Metadata>> {
        let sql = "SELECT record FROM series_record WHERE name = ?1";
        self.read(|tx| tx.query_one(sql, [name], |row| read::json(&row.get::<_, String>(0)?)))
    }

    fn list_records(&self, prefix: &str) -> Result<Vec<String>> {
        let sql = "SELECT name FROM series_record WHERE name >= ?1 ORDER BY name";
        self.read(|tx| read::names(tx, sql, prefix))
    }

    fn verify(&self) -> Result<VerifyReport> {
        self.db.verify()
    }
}
