//! What a store sees of SQLite: statements inside a transaction that the kernel opened.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use rusqlite::{CachedStatement, Connection, Params, Row};

use super::interruption;
// A transaction makes the tables of a store that it is the first to write to.
use super::schema::{self, Migrations};
use crate::error::{Error, Result};

/// What stores remember from one transaction to the next. Forgotten when a transaction is rolled
/// back or another connection has written.
#[derive(Default)]
pub(super) struct Memory(HashMap<TypeId, Box<dyn Any + Send>>);

impl Memory {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// Reads of one snapshot.
pub(crate) struct ReadTx<'c> {
    conn: &'c Connection,
}

/// A write transaction; reads through it see its own writes.
pub(crate) struct WriteTx<'c> {
    read: ReadTx<'c>,
    memory: &'c mut Memory,
    path: &'c Path,
    /// The statements of this transaction, found again by where their text lies.
    ready: RefCell<Vec<(*const str, CachedStatement<'c>)>>,
}

impl<'c> ReadTx<'c> {
    pub(super) fn new(conn: &'c Connection) -> Self {
        ReadTx { conn }
    }

    /// The connection, for the kernel.
    pub(super) fn connection(&self) -> &'c Connection {
        self.conn
    }

    /// A statement, kept ready for the next time.
    pub(crate) fn prepare(&self, sql: &str) -> Result<CachedStatement<'c>> {
        interruption::check("working on the file")?;
        Ok(self.conn.prepare_cached(sql)?)
    }

    /// The first row, if there is one.
    pub(crate) fn query_one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params)?;
        rows.next()?.map(read).transpose()
    }

    /// All rows.
    pub(crate) fn query<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
            interruption::check("reading rows")?;
        }
        Ok(all)
    }
}

impl<'c> std::ops::Deref for WriteTx<'c> {
    type Target = ReadTx<'c>;

    fn deref(&self) -> &ReadTx<'c> {
        &self.read
    }
}

impl<'c> WriteTx<'c> {
    pub(super) fn new(conn: &'c Connection, memory: &'c mut Memory, path: &'c Path) -> Self {
        WriteTx { read: ReadTx { conn }, memory, path, ready: RefCell::default() }
    }

    /// Works with a statement that is run again and again: the cache of the connection, which
    /// compares texts, is asked once a transaction.
    fn with<T>(
        &self,
        sql: &'static str,
        work: impl FnOnce(&mut CachedStatement<'c>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let mut ready = self.ready.borrow_mut();
        let at = match ready.iter().position(|(text, _)| std::ptr::eq(*text, sql)) {
            Some(at) => at,
            None => {
                ready.push((sql, self.read.conn.prepare_cached(sql)?));
                ready.len() - 1
            }
        };
        work(&mut ready[at].1)
    }

    /// Runs a statement; the number of rows changed.
    pub(crate) fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        Ok(self.prepare(sql)?.execute(params)?)
    }

    /// Inserts a row; its rowid.
    pub(crate) fn insert(&self, sql: &'static str, params: impl Params) -> Result<i64> {
        self.insert_or(sql, params, Error::from)
    }

    /// Inserts a row; its rowid, or what the caller makes of SQLite's error.
    pub(crate) fn insert_or<E>(
        &self,
        sql: &'static str,
        params: impl Params,
        error: impl FnOnce(rusqlite::Error) -> E,
    ) -> std::result::Result<i64, E> {
        self.with(sql, |statement| statement.insert(params)).map_err(error)
    }

    /// Does something to a table whose indexes are made anew after it: for so many rows that this is less work than to put
    /// each into every index.
    pub(crate) fn without_indexes<T>(
        &self,
        table: &str,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let sql = "SELECT name, sql FROM sqlite_schema \
            WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL ORDER BY rowid";
        let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let indexes = self.query(sql, [table], read)?;
        for (name, _) in &indexes {
            self.connection()
                .execute(&format!("DROP INDEX \"{}\"", name.replace('"', "\"\"")), [])?;
        }
        let done = work()?;
        for (_, sql) in &indexes {
            self.connection().execute(sql, [])?;
            interruption::check("making an index")?;
        }
        Ok(done)
    }

    /// Makes sure that the store's tables are there, in this transaction.
    pub(crate) fn ensure(&mut self, migrations: &'static Migrations) -> Result<()> {
        #[derive(Default)]
        struct Ensured(Vec<&'static str>);
        let mut ensured: Ensured = self.take();
        if !ensured.0.contains(&migrations.store) {
            schema::apply(self.read.conn, self.path, migrations)?;
            ensured.0.push(migrations.store);
        }
        self.put(ensured);
        Ok(())
    }

    /// Takes out what the store remembered; the default if nothing. Give it back with
    /// [`put`](Self::put), or it is forgotten.
    pub(crate) fn take<T: Any + Send + Default>(&mut self) -> T {
        match self.memory.0.remove(&TypeId::of::<T>()) {
            Some(kept) => *kept.downcast().expect("kept under the id of its own type"),
            None => T::default(),
        }
    }

    /// Remembers something until the next rollback.
    pub(crate) fn put<T: Any + Send>(&mut self, value: T) {
        self.memory.0.insert(TypeId::of::<T>(), Box::new(value));
    }

    /// Forgets everything that any store remembered: for work that removes rows.
    pub(crate) fn forget(&mut self) {
        self.memory.forget();
    }
}
