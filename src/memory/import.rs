//! Databases that Godly-AI wrote, whose payloads are pickles.

use std::path::Path;

use rusqlite::Row;
use serde::Serialize;

use super::store::{MemoryStore, json_text, number};
use super::{MIGRATIONS, pickle, vector};
use crate::error::{Error, Result};
use crate::kernel::{
    Database, Durability, ReadTx, Skipped, Temporary, Upgrade, WriteTx, table_exists,
};

/// How such a file is known. It is opened for reading alone: nothing is upgraded.
static GODLY_AI: Upgrade = Upgrade {
    migrations: &MIGRATIONS,
    tables: &["episodes", "concepts", "learning_events", "concept_relationships"],
    sql: "",
};
pub(crate) static DATABASE: &[&Upgrade] = &[&GODLY_AI];

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// Episodes that were imported.
    pub episodes: u64,
    /// Concepts that were imported.
    pub concepts: u64,
    /// Learning events that were imported.
    pub learning_events: u64,
    /// Relationships that were imported.
    pub concept_relationships: u64,
    /// Rows that were skipped.
    pub skipped: Vec<Skipped>,
}

/// A table as it is read and written: the columns, and which of them is a pickle.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    pickle: Option<usize>,
    json: Option<usize>,
    numbers: &'static [usize],
}

const TABLES: [Table; 4] = [
    Table {
        name: "episodes",
        columns: &[
            "id",
            "timestamp",
            "experience_data",
            "performance_score",
            "context_hash",
            "metadata",
            "created_at",
        ],
        pickle: Some(2),
        json: Some(5),
        numbers: &[1, 3],
    },
    Table {
        name: "concepts",
        columns: &[
            "id",
            "name",
            "embedding",
            "creation_time",
            "access_count",
            "last_accessed",
            "metadata",
        ],
        pickle: Some(2),
        json: Some(6),
        numbers: &[3],
    },
    Table {
        name: "learning_events",
        columns: &[
            "id",
            "task_type",
            "performance_delta",
            "strategy_used",
            "timestamp",
            "parameters",
        ],
        pickle: None,
        json: Some(5),
        numbers: &[2, 4],
    },
    Table {
        name: "concept_relationships",
        columns: &[
            "id",
            "source_concept_id",
            "target_concept_id",
            "relationship_type",
            "strength",
            "created_at",
        ],
        pickle: None,
        json: None,
        numbers: &[4],
    },
];

impl Table {
    /// The values of a row as they are to be stored, or why it cannot be.
    fn convert(&self, row: &Row<'_>) -> Result<Vec<rusqlite::types::Value>, String> {
        use rusqlite::types::Value;
        let mut values = Vec::with_capacity(self.columns.len());
        for (i, column) in self.columns.iter().enumerate() {
            let value: Value = row.get(i).map_err(|e| e.to_string())?;
            let value = match value {
                Value::Blob(bytes) if self.pickle == Some(i) => {
                    let payload = pickle::read(&bytes)?;
                    let encoded = match (self.name, payload) {
                        ("concepts", payload) => match vector::of_payload(payload) {
                            Some(array) => vector::encode("embedding", array),
                            None => {
                                let expected = "an array, or lists of numbers";
                                Err(Error::invalid("embedding", expected, "another value"))
                            }
                        },
                        (_, payload) => payload.encode(),
                    };
                    Value::Blob(encoded.map_err(|e| e.to_string())?)
                }
                value if self.numbers.contains(&i) => {
                    let x = match value {
                        Value::Real(x) => x,
                        Value::Integer(n) => n as f64,
                        Value::Blob(bytes) => scalar(&bytes).ok_or_else(|| {
                            format!("its {column} is {} bytes where a number belongs", bytes.len())
                        })?,
                        _ => return Err(format!("its {column} is no number")),
                    };
                    Value::Real(number(column, x).map_err(|e| e.to_string())?)
                }
                Value::Text(text) if self.json == Some(i) => {
                    Value::Text(json_text(column, Some(text)).map_err(|e| e.to_string())?)
                }
                Value::Null if self.json == Some(i) => Value::Text("{}".into()),
                value => value,
            };
            values.push(value);
        }
        Ok(values)
    }

    fn import(
        &self,
        tx: &WriteTx<'_>,
        from: &ReadTx<'_>,
        source: &Path,
        skipped: &mut Vec<Skipped>,
    ) -> Result<u64> {
        let columns = self.columns.join(", ");
        let placeholders = vec!["?"; self.columns.len()].join(", ");
        let insert = format!("INSERT INTO {} ({columns}) VALUES ({placeholders})", self.name);
        let mut taken = 0;
        let mut refuse = |id, why: String| {
            skipped.push(Skipped::new(source, why).table(self.name).row(id));
        };
        let sql = format!("SELECT {columns} FROM {} ORDER BY id", self.name);
        let mut statement = from.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            let values = match self.convert(row) {
                Ok(values) => values,
                Err(why) => {
                    refuse(id, why);
                    continue;
                }
            };
            if self.name == "concept_relationships" {
                let ends = [values[1].clone(), values[2].clone()];
                let there = "SELECT (?1 IN (SELECT id FROM concepts)) AND (?2 IN (SELECT id FROM concepts))";
                let there = tx.query_one(there, rusqlite::params_from_iter(&ends), |row| {
                    Ok(row.get::<_, Option<bool>>(0)?)
                })?;
                if there.flatten() != Some(true) {
                    refuse(id, "it leads from or to a concept that is not there".into());
                    continue;
                }
            }
            match tx.execute(&insert, rusqlite::params_from_iter(&values)) {
                Ok(_) => taken += 1,
                // A name twice, or none, in a file whose tables check nothing: this statement alone is undone.
                Err(Error::Sqlite { code, why, .. })
                    if code & 0xff == rusqlite::ffi::SQLITE_CONSTRAINT =>
                {
                    refuse(id, why);
                }
                Err(error) => return Err(error),
            }
        }
        tx.seal(self.name, "row_sum IS NULL", [])?;
        Ok(taken)
    }
}

/// Godly-AI stores numpy's scalars as their bytes.
fn scalar(bytes: &[u8]) -> Option<f64> {
    match *bytes {
        [byte] => Some(f64::from(byte)), // a truth value
        [a, b, c, d] => {
            let x = f32::from_le_bytes([a, b, c, d]);
            // An integer of 32 bits would be a float of no size that anybody scores with.
            (x == 0.0 || (1e-30..1e30).contains(&x.abs())).then_some(f64::from(x))
        }
        // numpy's float of 64 bits is Python's own, and comes as a number.
        _ => Some(i64::from_le_bytes(bytes.try_into().ok()?) as f64),
    }
}

impl MemoryStore {
    /// Imports all that a database of Godly-AI has, with its ids, in one transaction. Payloads are decoded by a
    /// reader of pickles that knows arrays and plain containers, runs nothing, and refuses all else by name; a row that is
    /// refused is reported, and the others are taken. The source is only read.
    ///
    /// # Errors
    /// [`Error::Exists`] if there are memories already; [`Error::NotOurs`] for a file that is none of Godly-AI;
    /// [`Error::Invalid`] for one of Siltstone. Nothing is written.
    pub fn import(&self, source: impl AsRef<Path>) -> Result<ImportReport> {
        let path = source.as_ref().to_owned();
        let from = Database::builder(&path).upgrade(DATABASE).open_read_only()?;
        self.write(move |tx| {
            let there = "SELECT 1 WHERE EXISTS (SELECT 1 FROM episodes) OR EXISTS (SELECT 1 FROM concepts) \
                OR EXISTS (SELECT 1 FROM learning_events)";
            if tx.query_one(there, [], |_| Ok(()))?.is_some() {
                return Err(Error::Exists {
                    what: "a memory".into(),
                    location: String::new(),
                    hint: "import into a new file",
                });
            }
            from.read(|from| {
                if table_exists(from, "siltstone_schema")? {
                    let expected = "a database of Godly-AI";
                    return Err(Error::invalid(path.display().to_string(), expected, "one of siltstone"));
                }
                let mut skipped = Vec::new();
                let mut counts = [0; 4];
                for (table, count) in TABLES.iter().zip(&mut counts) {
                    *count = table.import(tx, from, &path, &mut skipped)?;
                }
                let [episodes, concepts, learning_events, concept_relationships] = counts;
                Ok(ImportReport { episodes, concepts, learning_events, concept_relationships, skipped })
            })
        })
    }
}

/// Reads all that a database of Godly-AI has as [`MemoryStore::import`] does, by way of a temporary file, and counts it.
///
/// # Errors
/// As [`MemoryStore::import`], of the source; [`Error::Io`] without a folder for temporary files.
pub fn inspect(source: impl AsRef<Path>) -> Result<ImportReport> {
    let folder = Temporary::private_folder()?.emptied();
    let path = folder.path().join("dry.db");
    let db = Database::builder(path).durability(Durability::Buffered).open()?;
    let report = MemoryStore::over(db.clone())?.import(source);
    db.close().and(report)
}
