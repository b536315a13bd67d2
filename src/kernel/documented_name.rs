//! Documented names whose rows may lie in blocks: plain SQLite reads all of them, or gets an error.
//!
//! While nothing is compacted, the name in the file is what plain SQLite can read. The transaction that makes the first block
//! turns it into a view over rows and blocks, which names a function that only our connections have: plain SQLite refuses the
//! view. The transaction that removes the last block turns it back. `siltstone_schema.needs` says what to do meanwhile.

use rusqlite::{Connection, OptionalExtension};

// What a file needs is said beside the version of the store.
use super::schema::version;
use super::store::Store;
use super::{Database, ReadTx, WriteTx};
use crate::error::Result;

/// The documented names of a store.
pub(crate) struct DocumentedNames {
    /// The version of its tables from which on the file itself has a view over blocks.
    pub(crate) since: i64,
    /// The names that a file has; none of a file without the store's tables.
    pub(crate) of: fn(&ReadTx<'_>) -> Result<Vec<DocumentedName>>,
}

/// A documented name, over rows alone and over rows and blocks.
pub(crate) struct DocumentedName {
    pub(crate) name: String,
    /// Whether there are blocks.
    pub(crate) has_blocks: bool,
    /// What the name is while there are none.
    pub(crate) rows: Rows,
    /// `CREATE VIEW` over rows and blocks.
    pub(crate) over_blocks: String,
    /// The triggers of the views.
    pub(crate) triggers: String,
}

/// What a documented name is while there are no blocks.
pub(crate) enum Rows {
    /// A view, by its `CREATE VIEW`.
    View(String),
    /// The table itself, which has this other name while there are blocks.
    Table(&'static str),
    /// Nothing: all rows are always in blocks.
    Nothing,
}

impl DocumentedName {
    /// The statement of the view that the file should have.
    fn wanted(&self) -> Option<&str> {
        match &self.rows {
            _ if self.has_blocks => Some(&self.over_blocks),
            Rows::View(view) => Some(view),
            Rows::Table(_) | Rows::Nothing => None,
        }
    }

    /// The statement of the view that the file has.
    fn found(&self, conn: &Connection) -> Result<Option<String>> {
        let sql = "SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?1";
        Ok(conn.prepare_cached(sql)?.query_row([&self.name], |row| row.get(0)).optional()?)
    }

    /// Makes the view that the file should have, if it has another one; whether it had.
    fn fit(&self, conn: &Connection) -> Result<bool> {
        let found = self.found(conn)?;
        if found.as_deref() == self.wanted() {
            return Ok(false);
        }
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        if found.is_some() {
            conn.execute_batch(&format!("DROP VIEW {}", quoted(&self.name)))?;
        }
        if let Rows::Table(table) = self.rows {
            let names = if self.has_blocks { (&*self.name, table) } else { (table, &*self.name) };
            // Views and triggers of others go on naming the documented name: only foreign keys follow the table.
            conn.pragma_update(None, "legacy_alter_table", true)?;
            let rename = format!("ALTER TABLE {} RENAME TO {}", quoted(names.0), quoted(names.1));
            let renamed = conn.execute_batch(&rename);
            conn.pragma_update(None, "legacy_alter_table", false)?;
            renamed?;
        }
        if let Some(view) = self.wanted() {
            conn.execute_batch(view)?;
            conn.execute_batch(&self.triggers)?;
        }
        Ok(true)
    }
}

impl WriteTx<'_> {
    /// Makes the documented names of a store fit its blocks; for whatever makes or removes blocks. Whether one was another.
    pub(crate) fn fit_names(&self, store: &Store) -> Result<bool> {
        fit(self.connection(), store)
    }
}

impl Database {
    /// Makes rows of everything that is compacted, so that SQLite alone reads the documented tables; how many rows, and arrays
    /// of simulations. The points of series stay as they are. One transaction for each store.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) for a block that is damaged; what the disk says. The store is then as it was.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let db = siltstone::Database::builder(folder.path().join("run.db")).open()?;
    /// assert_eq!(db.expand()?, 0);
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn expand(&self) -> Result<u64> {
        let mut expanded = 0;
        for store in crate::STORES {
            let (Some(expand), Some(names)) = (store.expand, &store.names) else { continue };
            if !self.read(|tx| Ok((names.of)(tx)?.iter().any(|name| name.has_blocks)))? {
                continue;
            }
            self.migrate(store.migrations)?;
            expanded += self.write(move |tx| {
                tx.forget();
                expand(tx)
            })?;
        }
        Ok(expanded)
    }
}

/// Makes the documented names of a store fit its blocks, inside the transaction that is open.
pub(super) fn fit(conn: &Connection, store: &Store) -> Result<bool> {
    let Some(names) = &store.names else { return Ok(false) };
    let names = (names.of)(&ReadTx::new(conn))?;
    let mut changed = false;
    for name in &names {
        changed |= name.fit(conn)?;
    }
    if changed {
        add_needs(conn)?;
        let sql = "UPDATE siltstone_schema SET needs = ?2 WHERE store = ?1";
        conn.execute(sql, (store.migrations.store, needs(&names)))?;
    }
    Ok(changed)
}

/// What a reader needs for names whose rows are in blocks.
fn needs(names: &[DocumentedName]) -> Option<String> {
    let compacted: Vec<&DocumentedName> = names.iter().filter(|name| name.has_blocks).collect();
    if compacted.is_empty() {
        return None;
    }
    let tables: Vec<&str> = compacted.iter().map(|name| &*name.name).collect();
    let expand = match compacted.iter().all(|name| !matches!(name.rows, Rows::Nothing)) {
        true => ", or make them plain rows with silt expand FILE",
        false => "",
    };
    Some(format!(
        "Rows of {} are in column blocks, which SQLite alone cannot read. Read them with silt query FILE, Python's \
         siltstone.open(FILE), or any SQLite that has loaded the extension of siltstone.sqlite_extension_path(){expand}.",
        tables.join(", ")
    ))
}

/// Adds the column in which a file says what it needs, to a file of before it.
pub(super) fn add_needs(conn: &Connection) -> Result<()> {
    let sql = "SELECT 1 FROM pragma_table_info('siltstone_schema') WHERE name = 'needs'";
    if !conn.prepare_cached(sql)?.exists([])? {
        conn.execute_batch("ALTER TABLE siltstone_schema ADD COLUMN needs TEXT")?;
    }
    Ok(())
}

/// Whether some store of the file has the names of its blocks in the file itself, and so says what it needs.
pub(super) fn says_needs(conn: &Connection) -> Result<bool> {
    for store in crate::STORES {
        if let Some(names) = &store.names
            && version(conn, store.migrations.store)? >= names.since
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes every name of every store over blocks, in a database that has their tables.
pub(super) fn hide_all(conn: &Connection) -> Result<()> {
    for names in crate::STORES.iter().filter_map(|store| store.names.as_ref()) {
        for mut name in (names.of)(&ReadTx::new(conn))? {
            name.has_blocks = true;
            name.fit(conn)?;
        }
    }
    Ok(())
}

/// Makes in `ours` the views that the file of `conn` should have.
pub(super) fn expect(conn: &Connection, ours: &Connection) -> Result<()> {
    for store in crate::STORES {
        let Some(names) = &store.names else { continue };
        if version(conn, store.migrations.store)? >= names.since {
            for name in (names.of)(&ReadTx::new(conn))? {
                name.fit(ours)?;
            }
        }
    }
    Ok(())
}

/// Views over blocks, in this connection alone, for a file of a version that has none itself.
pub(super) fn add_views(conn: &Connection) -> Result<()> {
    for names in crate::STORES.iter().filter_map(|store| store.names.as_ref()) {
        for name in (names.of)(&ReadTx::new(conn))?.iter().filter(|name| name.has_blocks) {
            if name.found(conn)?.as_deref() != Some(&*name.over_blocks) {
                let mut view = name.over_blocks.replacen("CREATE VIEW", "CREATE TEMP VIEW", 1);
                if let Rows::Table(table) = name.rows {
                    view = view.replace(table, &format!("main.{}", name.name));
                }
                conn.pragma_update(None, "query_only", false)?;
                let made = conn.execute_batch(&view);
                conn.pragma_update(None, "query_only", true)?;
                made?;
            }
        }
    }
    Ok(())
}
