//! Series in a PostgreSQL server, shared by many machines: typed rows, written and read by `COPY ... BINARY`.

mod copy;
mod read;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::backend::{Change, SeriesInfo, StorageBackend};
use super::data::{Metadata, Series};
use super::index::IndexRange;
use crate::error::{Error, Result};
use crate::postgresql::{Access, Address, Failure, Pool};
use crate::table::Batches;
use postgres::Client;

/// The version of the tables that this build writes.
const VERSION: i32 = 1;
/// The lock under which tables are made: any number, always the same.
const LOCK: i64 = 0x5349_4c54_5345_5249;

/// Series in a PostgreSQL database. Clones share its connections; other processes and machines may read and
/// write it meanwhile.
///
/// The tables are made by the first write: `siltstone_series`, `siltstone_point` and `siltstone_record`, and
/// the views `time_series_data` and `time_series_metadata` for SQL of your own.
///
/// # Example
/// ```no_run
/// use siltstone::series::{PostgresBackend, Series, StorageBackend};
/// let backend = PostgresBackend::open("postgresql://me@server/plant?sslmode=verify-full")?;
/// backend.save("line#1", &Series::from_times_ns(&[0], &[20.5])?, &Default::default())?;
/// assert_eq!(backend.location(), "postgresql://server/plant");
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Clone)]
pub struct PostgresBackend {
    pool: Arc<Pool>,
    are_made: Arc<AtomicBool>,
}

impl std::fmt::Debug for PostgresBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresBackend({:?})", self.pool.location())
    }
}

impl PostgresBackend {
    /// Connects to a server.
    ///
    /// The address is libpq's: `postgresql://USER@HOST:PORT/DATABASE?PARAMETER=VALUE`, with `host=/FOLDER` for a
    /// socket, `sslmode` (`disable`, `prefer`, `require`, `verify-ca`, `verify-full`), `sslrootcert` (a file, or
    /// `system`), `connect_timeout` and others. SQLAlchemy's `postgresql+DRIVER://` is read too.
    ///
    /// The password need not be in it (as `USER:PASSWORD@`): without one, `PGPASSWORD` is taken, or the entry that fits
    /// of the file that `passfile` or `PGPASSFILE` names, or of `~/.pgpass`. A file that others may read is passed over.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address that cannot be read, [`Error::Server`] if the server does not answer or refuses,
    /// [`Error::TooNew`] if a newer Siltstone made its tables. None of them repeats a password.
    pub fn open(url: &str) -> Result<Self> {
        Self::over(Pool::new(Address::parse(url)?))
    }

    /// As [`open`](Self::open); a server that wants a password that is nowhere gets what `ask` returns, which is reported
    /// the server without a secret.
    ///
    /// # Errors
    /// As [`open`](Self::open), and those of `ask`.
    pub fn open_asking(url: &str, mut ask: impl FnMut(&str) -> Result<String>) -> Result<Self> {
        Self::over(Pool::asking(Address::parse(url)?, &mut ask)?)
    }

    fn over(pool: Pool) -> Result<Self> {
        let backend = PostgresBackend { pool: Arc::new(pool), are_made: Arc::default() };
        let are_made = backend.run(Access::Read, "looking at its tables", are_made)?;
        backend.are_made.store(are_made, Ordering::Release);
        Ok(backend)
    }

    fn run<T: Send>(
        &self,
        access: Access,
        action: &'static str,
        work: impl FnMut(&mut Client, &str) -> Result<T, Failure> + Send,
    ) -> Result<T> {
        self.pool.run(access, action, work)
    }

    /// Reads, if there are tables.
    fn read<T: Default + Send>(
        &self,
        action: &'static str,
        mut work: impl FnMut(&mut Client, &str) -> Result<T, Failure> + Send,
    ) -> Result<T> {
        self.run(Access::Read, action, |client, location| {
            if self.are_made.load(Ordering::Acquire) || are_made(client, location)? {
                work(client, location)
            } else {
                Ok(T::default())
            }
        })
    }

    /// Makes the tables, unless they are there: many may try at once.
    fn ensure(&self) -> Result<()> {
        if self.are_made.load(Ordering::Acquire) {
            return Ok(());
        }
        self.run(Access::Write, "making its tables", |client, location| {
            client.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
            if are_made(client, location)? {
                return Ok(());
            }
            client.batch_execute(include_str!("schema.sql"))?;
            // A table of that name that is there, of meteaudata, stays.
            let free = "SELECT to_regclass('time_series_data') IS NULL \
                AND to_regclass('time_series_metadata') IS NULL";
            if client.query_one(free, &[])?.get(0) {
                client.batch_execute(include_str!("views.sql"))?;
            }
            let schema = "CREATE TABLE IF NOT EXISTS siltstone_schema \
                (store text PRIMARY KEY, version integer NOT NULL)";
            client.batch_execute(schema)?;
            let version = "INSERT INTO siltstone_schema VALUES ('series', $1)";
            client.execute(version, &[&VERSION])?;
            Ok(())
        })?;
        self.are_made.store(true, Ordering::Release);
        Ok(())
    }
}

/// Whether the tables are there, of a version that this build knows.
fn are_made(client: &mut Client, location: &str) -> Result<bool, Failure> {
    // Not by its name as the session remembers it: another one may have made it meanwhile.
    let there = "SELECT 1 FROM pg_catalog.pg_class \
        WHERE relname = 'siltstone_schema' AND pg_catalog.pg_table_is_visible(oid)";
    if client.query_opt(there, &[])?.is_none() {
        return Ok(false);
    }
    let version = "SELECT version FROM siltstone_schema WHERE store = 'series'";
    match client.query_opt(version, &[])?.map(|row| row.get::<_, i32>(0)) {
        Some(version) if version > VERSION => Err(Failure::Ours(Error::TooNew {
            path: location.into(),
            store: "series".into(),
            file_version: version.into(),
            known_version: VERSION.into(),
        })),
        version => Ok(version.is_some()),
    }
}

impl StorageBackend for PostgresBackend {
    fn backend_type(&self) -> &'static str {
        "postgresql"
    }

    fn location(&self) -> String {
        self.pool.location().to_owned()
    }

    fn commit(&self, changes: &[Change]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.ensure()?;
        self.run(Access::Write, "writing series", |client, location| {
            changes.iter().try_for_each(|change| write::apply(client, change, location))
        })
    }

    fn list_keys(&self, prefix: &str) -> Result<Vec<String>> {
        let table =
            "siltstone_series WHERE left(key, 512) >= left($1, 512) AND starts_with(key, $1)";
        let sql = format!("SELECT key FROM {table}");
        self.read("listing keys", |client, _| read::names(client, &sql, prefix))
    }

    fn info(&self, key: &str) -> Result<SeriesInfo> {
        let found = self.read("looking at a series", |client, _| read::find(client, key, false))?;
        Ok(found.ok_or_else(|| super::backend::not_found(key, self.location()))?.info)
    }

    fn scan(&self, key: &str, range: &IndexRange) -> Result<Batches> {
        read::scan(self, key, range)
    }

    fn load(&self, key: &str) -> Result<(Series, Metadata)> {
        let all = IndexRange::all();
        let found = self.read("loading a series", |client, _| read::load(client, key, &all))?;
        found.ok_or_else(|| super::backend::not_found(key, self.location()))
    }

    fn load_range(&self, key: &str, range: &IndexRange) -> Result<Series> {
        let found = self.read("loading a range", |client, _| read::load(client, key, range))?;
        Ok(found.ok_or_else(|| super::backend::not_found(key, self.location()))?.0)
    }

    fn load_many(&self, keys: &[&str]) -> Result<Vec<(Series, Metadata)>> {
        let all = IndexRange::all();
        let found = self.read("loading series", |client, _| {
            keys.iter().map(|key| read::load(client, key, &all)).collect::<Result<Vec<_>, _>>()
        })?;
        let mut found = found.into_iter();
        let one = |key: &&str| {
            let series = found.next().flatten();
            series.ok_or_else(|| super::backend::not_found(key, self.location()))
        };
        keys.iter().map(one).collect()
    }

    fn record(&self, name: &str) -> Result<Option<Metadata>> {
        self.read("reading a record", |client, _| read::record(client, name))
    }

    fn list_records(&self, prefix: &str) -> Result<Vec<String>> {
        let sql = "SELECT name FROM siltstone_record WHERE starts_with(name, $1)";
        self.read("listing records", |client, _| read::names(client, sql, prefix))
    }
}
