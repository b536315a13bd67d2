//! Concepts: a name, where it lies among others, and how often it was asked for.

use bytes::Bytes;
use rusqlite::Row;

use super::store::{MemoryStore, finite, json_text, now, sql_limit, stored_payload};
use super::vector;
use crate::array::Array;
use crate::error::{Error, Result};
use crate::kernel::{Node, WriteTx};

/// A concept as it is stored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Concept {
    /// Its number, never used again.
    pub id: i64,
    /// Its name, which no other has.
    pub name: String,
    /// The bytes of its embedding, a [`Payload`](super::Payload).
    pub embedding: Bytes,
    /// When it was stored first, in seconds since 1970-01-01 UTC.
    pub creation_time: f64,
    /// How often it was asked for by name.
    pub access_count: i64,
    /// When it was asked for by name or stored again for the last time, in seconds since 1970-01-01 UTC; 0 for never.
    pub last_accessed: f64,
    /// What else is known of it: JSON text.
    pub metadata: String,
}

impl Concept {
    /// The embedding.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for what is no payload: a pickle of another program.
    pub fn vector(&self) -> Result<Array> {
        vector::decode(&self.embedding)
    }
}

/// A concept that is to be stored.
#[derive(Debug, Clone)]
pub struct NewConcept {
    name: String,
    embedding: Array,
    metadata: Option<String>,
    creation_time: Option<f64>,
}

impl NewConcept {
    /// A name and an embedding: an array of finite real numbers, not empty. One of more than one dimension is kept, and a
    /// search passes over it.
    pub fn new(name: impl Into<String>, embedding: Array) -> Self {
        NewConcept { name: name.into(), embedding, metadata: None, creation_time: None }
    }

    /// What else is known of it: JSON text of an object.
    pub fn metadata(mut self, json: impl Into<String>) -> Self {
        self.metadata = Some(json.into());
        self
    }

    /// As [`metadata`](Self::metadata), of a struct or a map of yours.
    ///
    /// # Errors
    /// What the type itself refuses.
    pub fn metadata_of(self, value: &impl serde::Serialize) -> Result<Self> {
        Ok(self.metadata(Node::of("metadata", value)?.to_json()))
    }

    /// When it came up, in seconds since 1970-01-01 UTC; the time of storing unless said. A concept that is there
    /// already keeps its own.
    pub fn creation_time(mut self, seconds: f64) -> Self {
        self.creation_time = Some(seconds);
        self
    }
}

/// What becomes other of a concept; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct ConceptUpdate {
    /// Its name.
    pub name: Option<String>,
    /// Its embedding.
    pub embedding: Option<Array>,
    /// JSON text of what else is known of it.
    pub metadata: Option<String>,
}

struct Prepared {
    name: String,
    embedding: Vec<u8>,
    metadata: String,
    creation_time: f64,
}

impl Prepared {
    fn of(concept: NewConcept) -> Result<Self> {
        Ok(Prepared {
            name: concept.name,
            embedding: vector::encode("embedding", concept.embedding)?,
            metadata: json_text("metadata", concept.metadata)?,
            creation_time: finite("creation_time", concept.creation_time.unwrap_or_else(now))?,
        })
    }

    fn upsert(&self, tx: &WriteTx<'_>) -> Result<i64> {
        // Without it, an id would be used up for each concept that is there.
        let update = "UPDATE concepts SET embedding = ?2, metadata = ?3, last_accessed = ?4, \
            row_sum = silt_row_sum(name, creation_time, access_count, ?4, ?3) WHERE name = ?1 RETURNING id";
        let known =
            tx.query_one(update, (&self.name, &self.embedding, &self.metadata, now()), |row| {
                Ok(row.get(0)?)
            })?;
        if let Some(id) = known {
            return Ok(id);
        }
        tx.insert(
            "INSERT INTO concepts (name, embedding, creation_time, metadata, row_sum) \
             VALUES (?1, ?2, ?3, ?4, silt_row_sum(?1, ?3, 0, 0, ?4))",
            (&self.name, &self.embedding, self.creation_time, &self.metadata),
        )
    }
}

pub(super) const COLUMNS: &str =
    "id, name, embedding, creation_time, access_count, last_accessed, metadata";

/// A row of [`COLUMNS`].
pub(super) fn read(row: &Row<'_>) -> Result<Concept> {
    let id = row.get(0)?;
    let bytes = row.get_ref(2)?.as_bytes().map_err(rusqlite::Error::from)?;
    Ok(Concept {
        id,
        name: row.get(1)?,
        embedding: stored_payload("concepts", id, bytes)?,
        creation_time: row.get(3)?,
        access_count: row.get::<_, Option<i64>>(4)?.unwrap_or(0),
        last_accessed: row.get::<_, Option<f64>>(5)?.unwrap_or(0.0),
        metadata: row.get::<_, Option<String>>(6)?.unwrap_or_else(|| "{}".into()),
    })
}

impl MemoryStore {
    /// Stores a concept, or another embedding and metadata for the one of that name; its id.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an embedding that is no array of finite real numbers, or metadata that is no
    /// object: nothing is written.
    pub fn store_concept(&self, concept: NewConcept) -> Result<i64> {
        let concept = Prepared::of(concept)?;
        self.choose_pages_for_vectors(concept.embedding.len(), 1)?;
        self.write(move |tx| concept.upsert(tx))
    }

    /// Stores concepts in one transaction, all or none; their ids in the same order.
    ///
    /// # Errors
    /// As [`store_concept`](Self::store_concept).
    pub fn store_concepts(&self, concepts: Vec<NewConcept>) -> Result<Vec<i64>> {
        let concepts = concepts.into_iter().map(Prepared::of).collect::<Result<Vec<_>>>()?;
        if let Some(first) = concepts.first() {
            self.choose_pages_for_vectors(first.embedding.len(), concepts.len())?;
        }
        self.write(move |tx| concepts.iter().map(|concept| concept.upsert(tx)).collect())
    }

    /// The concept of an id; this is not counted as an access.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if its embedding is not what was stored.
    pub fn retrieve_concept(&self, id: i64) -> Result<Option<Concept>> {
        let sql = format!("SELECT {COLUMNS} FROM concepts WHERE id = ?1");
        self.read(|tx| tx.query_one(&sql, [id], read))
    }

    /// The concept of a name; it is counted, and given as it is then. A file that was opened for reading counts nothing.
    ///
    /// # Errors
    /// As any write, and [`Error::Corrupt`] if its embedding is not what was stored.
    pub fn retrieve_concept_by_name(&self, name: &str) -> Result<Option<Concept>> {
        if self.db.is_read_only() {
            let sql = format!("SELECT {COLUMNS} FROM concepts WHERE name = ?1");
            return self.read(|tx| tx.query_one(&sql, [name], read));
        }
        let sql = format!(
            "UPDATE concepts SET access_count = coalesce(access_count, 0) + 1, last_accessed = ?2, row_sum = \
             silt_row_sum(name, creation_time, coalesce(access_count, 0) + 1, ?2, metadata) \
             WHERE name = ?1 RETURNING {COLUMNS}"
        );
        let name = name.to_owned();
        self.write(move |tx| tx.query_one(&sql, (&name, now()), read))
    }

    /// Concepts whose name has `query` in it, as `LIKE` of SQL sees it (`%` is any text, `_` any character, case of ASCII
    /// letters is nothing): those asked for most often first, then the newest. Nothing is counted.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a query of more than 40,000 bytes; [`Error::Corrupt`] if an embedding is not what was stored.
    pub fn search_concepts(&self, query: &str, limit: usize) -> Result<Vec<Concept>> {
        if query.len() > 40_000 {
            let got = format!("{} bytes", query.len());
            return Err(Error::invalid("query", "at most 40,000 bytes", got));
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM concepts WHERE name LIKE '%' || ?1 || '%' \
             ORDER BY access_count DESC, creation_time DESC, id LIMIT ?2"
        );
        self.read(|tx| tx.query(&sql, (query, sql_limit(limit)), read))
    }

    /// Changes a concept; whether it is there.
    ///
    /// # Errors
    /// [`Error::Exists`] if another one has the name, and as [`store_concept`](Self::store_concept); then nothing is
    /// changed.
    pub fn update_concept(&self, id: i64, update: ConceptUpdate) -> Result<bool> {
        let embedding = update.embedding.map(|v| vector::encode("embedding", v)).transpose()?;
        let metadata = update.metadata.map(|m| json_text("metadata", Some(m))).transpose()?;
        let name = update.name;
        self.write(move |tx| {
            if let Some(name) = &name {
                let sql = "SELECT 1 FROM concepts WHERE name = ?1 AND id <> ?2";
                if tx.query_one(sql, (name, id), |_| Ok(()))?.is_some() {
                    return Err(Error::Exists {
                        what: format!("a concept {name:?}"),
                        location: String::new(),
                        hint: "choose another name, or remove that one",
                    });
                }
            }
            let changed = tx.execute(
                "UPDATE concepts SET name = coalesce(?2, name), embedding = coalesce(?3, embedding), \
                 metadata = coalesce(?4, metadata) WHERE id = ?1",
                (id, &name, &embedding, &metadata),
            )?;
            tx.seal("concepts", "id = ?1", [id])?;
            Ok(changed == 1)
        })
    }

    /// Removes concepts, and the relationships that they have; how many concepts were there.
    ///
    /// # Errors
    /// As any write.
    pub fn delete_concepts(&self, ids: &[i64]) -> Result<usize> {
        let ids = ids.to_vec();
        self.write(move |tx| {
            let remove = |id: &i64| {
                tx.execute("DELETE FROM concept_relationships WHERE source_concept_id = ?1", [id])?;
                tx.execute("DELETE FROM concept_relationships WHERE target_concept_id = ?1", [id])?;
                tx.execute("DELETE FROM concepts WHERE id = ?1", [id])
            };
            ids.iter().map(remove).sum()
        })
    }
}
