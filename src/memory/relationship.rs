//! How concepts belong together: edges of a graph, each with a type and a strength.

use super::store::{MemoryStore, finite};
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, WriteTx};

/// An edge, as seen from one of its concepts.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Relationship {
    /// The concept at the other end.
    pub concept_id: i64,
    /// Its type.
    pub relationship_type: String,
    /// How strong it is.
    pub strength: f64,
}

/// Which edges of a concept are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Those that begin there.
    #[default]
    Outgoing,
    /// Those that end there.
    Incoming,
}

/// An edge that is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRelationship {
    /// Where it begins.
    pub source_id: i64,
    /// Where it ends.
    pub target_id: i64,
    /// Its type.
    pub relationship_type: String,
    /// How strong it is: any finite number.
    pub strength: f64,
}

pub(super) const UPSERT: &str = "INSERT INTO concept_relationships (source_concept_id, target_concept_id, \
    relationship_type, strength, created_at, row_sum) \
    VALUES (?1, ?2, ?3, ?4, julianday('now'), silt_row_sum(?1, ?2, ?3, ?4, julianday('now'))) \
    ON CONFLICT (source_concept_id, target_concept_id, relationship_type) DO UPDATE SET strength = excluded.strength, \
    row_sum = silt_row_sum(source_concept_id, target_concept_id, relationship_type, excluded.strength, created_at)";

impl NewRelationship {
    fn check(&self) -> Result<()> {
        if self.relationship_type.is_empty() {
            return Err(Error::invalid("relationship_type", "a text", "an empty one"));
        }
        finite("strength", self.strength).map(drop)
    }

    fn upsert(&self, tx: &WriteTx<'_>) -> Result<()> {
        let row = (self.source_id, self.target_id, &self.relationship_type, self.strength);
        tx.insert_or(UPSERT, row, |error| {
            // The only constraint that is left: the concepts.
            let missing =
                [self.source_id, self.target_id].into_iter().find(|id| !is_there(tx, *id));
            match missing {
                Some(id) => Error::NotFound {
                    what: "concept",
                    name: id.to_string(),
                    location: String::new(),
                },
                None => error.into(),
            }
        })?;
        Ok(())
    }
}

fn is_there(tx: &ReadTx<'_>, id: i64) -> bool {
    let found = tx.query_one("SELECT 1 FROM concepts WHERE id = ?1", [id], |_| Ok(()));
    matches!(found, Ok(Some(())))
}

impl MemoryStore {
    /// Stores an edge, or another strength for the one between the same concepts and of the same type.
    ///
    /// # Errors
    /// [`Error::NotFound`] if a concept is not there; [`Error::Invalid`] for a strength that is not finite or an empty
    /// type. Nothing is written.
    pub fn add_concept_relationship(&self, relationship: NewRelationship) -> Result<()> {
        relationship.check()?;
        self.write(move |tx| relationship.upsert(tx))
    }

    /// Stores edges in one transaction, all or none.
    ///
    /// # Errors
    /// As [`add_concept_relationship`](Self::add_concept_relationship).
    pub fn add_concept_relationships(&self, relationships: Vec<NewRelationship>) -> Result<()> {
        relationships.iter().try_for_each(NewRelationship::check)?;
        self.write(move |tx| relationships.iter().try_for_each(|edge| edge.upsert(tx)))
    }

    /// The edges of a concept, of one type or of all: the strongest first, of one strength by the id of the other
    /// concept. None for a concept that is not there.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn concept_relationships(
        &self,
        concept_id: i64,
        relationship_type: Option<&str>,
        direction: Direction,
    ) -> Result<Vec<Relationship>> {
        let (here, there) = match direction {
            Direction::Outgoing => ("source_concept_id", "target_concept_id"),
            Direction::Incoming => ("target_concept_id", "source_concept_id"),
        };
        let sql = format!(
            "SELECT {there}, relationship_type, coalesce(strength, 0.0) FROM concept_relationships \
             WHERE {here} = ?1 AND (?2 IS NULL OR relationship_type = ?2) \
             ORDER BY strength DESC, {there}, relationship_type"
        );
        self.read(|tx| {
            tx.query(&sql, (concept_id, relationship_type), |row| {
                Ok(Relationship {
                    concept_id: row.get(0)?,
                    relationship_type: row.get(1)?,
                    strength: row.get(2)?,
                })
            })
        })
    }

    /// Removes the edges from one concept to another, of one type or of all; how many there were.
    ///
    /// # Errors
    /// As any write.
    pub fn delete_concept_relationships(
        &self,
        source_id: i64,
        target_id: i64,
        relationship_type: Option<&str>,
    ) -> Result<usize> {
        let only = relationship_type.map(str::to_owned);
        self.write(move |tx| {
            let sql = "DELETE FROM concept_relationships WHERE source_concept_id = ?1 \
                AND target_concept_id = ?2 AND (?3 IS NULL OR relationship_type = ?3)";
            tx.execute(sql, (source_id, target_id, &only))
        })
    }
}
