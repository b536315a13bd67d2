//! Relationships by likeness, of all concepts with all.

use std::collections::{BTreeMap, HashSet};

use rusqlite::types::ValueRef;
use rusqlite::vtab::Context;

use super::store::{MemoryStore, finite, now};
use super::vectors::Vectors;
use crate::error::{Error, Result};
use crate::kernel::{RowSource, check_interrupted, row_sum};

/// Which concepts become related.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphOptions {
    /// Those that are more alike than this.
    pub threshold: Option<f64>,
    /// Of each concept, at most so many others, the likest.
    pub k: Option<usize>,
    /// The type of the relationships.
    pub relationship_type: String,
    /// Whether likeness is the cosine; otherwise it is the product, as the vectors are.
    pub normalize: bool,
    /// Whether relationships of the type that are there already go first.
    pub replace: bool,
}

impl Default for GraphOptions {
    fn default() -> Self {
        GraphOptions {
            threshold: None,
            k: None,
            relationship_type: "similar_to".into(),
            normalize: true,
            replace: false,
        }
    }
}

/// What was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct GraphReport {
    /// Concepts that were compared.
    pub concepts: u64,
    /// Relationships that were written.
    pub relationships: u64,
    /// Relationships of the type that were removed first.
    pub removed: u64,
}

/// The most relationships of one call: they are held in memory until they are written.
const MOST_EDGES: usize = 1 << 24;
/// Rows that are multiplied with all others at once.
const BLOCK_ROWS: usize = 256;

/// So many relationships, and at least as many as there may be, are written without the indexes, which are made anew.
const MANY_EDGES: usize = 20_000;

const INSERT: &str = "INSERT INTO concept_relationships \
    (source_concept_id, target_concept_id, relationship_type, strength, created_at, row_sum) \
    SELECT c0, c1, c2, c3, c4, c5 FROM silt_row_source WHERE true \
    ON CONFLICT (source_concept_id, target_concept_id, relationship_type) DO UPDATE SET strength = excluded.strength, \
    row_sum = silt_row_sum(source_concept_id, target_concept_id, relationship_type, excluded.strength, created_at)";

struct Edges {
    kind: String,
    all: Vec<(i64, i64, f32)>,
    /// When, as a Julian day, as SQLite's own default would have it.
    created_at: f64,
}

impl RowSource for Edges {
    fn rows(&self) -> usize {
        self.all.len()
    }

    fn give(&self, row: usize, column: usize, to: &mut Context) -> rusqlite::Result<()> {
        let (source, target, strength) = &self.all[row];
        match column {
            0 => to.set_result(source),
            1 => to.set_result(target),
            2 => to.set_result(&self.kind),
            3 => to.set_result(&f64::from(*strength)),
            4 => to.set_result(&self.created_at),
            _ => {
                let sum = row_sum([
                    ValueRef::Integer(*source),
                    ValueRef::Integer(*target),
                    ValueRef::Text(self.kind.as_bytes()),
                    ValueRef::Real((*strength).into()),
                    ValueRef::Real(self.created_at),
                ]);
                to.set_result(&sum)
            }
        }
    }
}

impl MemoryStore {
    /// Relates each concept with others that are like it, by their embeddings, in one transaction. Likeness is computed in
    /// single precision, of all pairs of the same number of dimensions, in both directions; a concept is not related to
    /// itself. Relationships that are there already get the new strength, unlike [`GraphOptions::replace`], which removes
    /// those of the type first.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a threshold and a `k`, for an empty type, and for more than 16,777,216 relationships: then
    /// nothing is written.
    pub fn build_similarity_graph(&self, options: &GraphOptions) -> Result<GraphReport> {
        if options.threshold.is_none() && options.k.is_none() {
            return Err(Error::invalid("a similarity graph", "a threshold or k", "neither"));
        }
        if options.relationship_type.is_empty() {
            return Err(Error::invalid("relationship_type", "a text", "an empty one"));
        }
        let least = finite("threshold", options.threshold.unwrap_or(f64::MIN))? as f32;
        let (concepts, all) = self.read(|tx| {
            // By the number of dimensions, and by id, so that what is written lies in the order of the index.
            let mut groups: BTreeMap<usize, (Vec<i64>, Vec<f32>)> = BTreeMap::new();
            tx.query("SELECT id, embedding FROM concepts ORDER BY id", [], |row| {
                let id = row.get(0)?;
                let bytes = row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
                let numbers = Vectors::<false>::numbers(id, bytes)?;
                if !numbers.is_empty() {
                    let length = super::vector::length(&numbers);
                    let by = if options.normalize && length > 0.0 { length } else { 1.0 };
                    let (ids, rows) = groups.entry(numbers.len()).or_default();
                    ids.push(id);
                    rows.extend(numbers.iter().map(|x| (x / by) as f32));
                }
                Ok(())
            })?;
            let (mut edges, mut concepts) = (Vec::new(), 0);
            for (ids, rows) in groups.values() {
                concepts += ids.len() as u64;
                relate(ids, rows, least, options, &mut edges)?;
            }
            Ok((concepts, edges))
        })?;
        let created_at = now() / 86_400.0 + 2_440_587.5;
        let mut edges = Edges { kind: options.relationship_type.clone(), all, created_at };
        let replace = options.replace;
        self.write(move |tx| {
            // Concepts may have gone since.
            let there = tx.query("SELECT id FROM concepts", [], |row| Ok(row.get::<_, i64>(0)?))?;
            let there: HashSet<i64> = there.into_iter().collect();
            edges.all.retain(|(a, b, _)| there.contains(a) && there.contains(b));
            let delete = "DELETE FROM concept_relationships WHERE relationship_type = ?1";
            let removed = if replace { tx.execute(delete, [&edges.kind])? as u64 } else { 0 };
            let insert = || tx.insert_all(INSERT, &edges).map(drop);
            let last = "SELECT coalesce(max(id), 0) FROM concept_relationships";
            let most = tx.query_one(last, [], |row| Ok(row.get::<_, i64>(0)?))?.unwrap_or(0);
            match edges.all.len() >= MANY_EDGES.max(most as usize) {
                true => tx.without_indexes("concept_relationships", insert)?,
                false => insert()?,
            }
            Ok(GraphReport { concepts, relationships: edges.all.len() as u64, removed })
        })
    }
}

/// The edges of concepts of one number of dimensions, by source and target.
fn relate(
    ids: &[i64],
    rows: &[f32],
    least: f32,
    options: &GraphOptions,
    edges: &mut Vec<(i64, i64, f32)>,
) -> Result<()> {
    let (n, dimension) = (ids.len(), rows.len() / ids.len());
    let mut products = vec![0f32; BLOCK_ROWS.min(n) * n];
    let mut near: Vec<(usize, f32)> = Vec::new();
    for start in (0..n).step_by(BLOCK_ROWS) {
        check_interrupted("comparing concepts")?;
        let height = BLOCK_ROWS.min(n - start);
        // SAFETY: the pointers are to `height` and `n` rows of `dimension` numbers and to room for `height` times `n`, one
        // row after another, as the strides say.
        unsafe {
            matrixmultiply::sgemm(
                height,
                dimension,
                n,
                1.0,
                rows[start * dimension..].as_ptr(),
                dimension as isize,
                1,
                rows.as_ptr(),
                1,
                dimension as isize,
                0.0,
                products.as_mut_ptr(),
                n as isize,
                1,
            );
        }
        if options.normalize {
            // A cosine: rounding goes beyond it.
            products.iter_mut().for_each(|x| *x = x.clamp(-1.0, 1.0));
        }
        for (i, likeness) in products.chunks_exact(n).take(height).enumerate() {
            let source = start + i;
            near.clear();
            if likeness.iter().any(|x| !x.is_finite()) {
                let expected =
                    "products that single precision can hold; normalize, or scale the embeddings";
                return Err(Error::invalid("a similarity graph", expected, "larger ones"));
            }
            let others = likeness.iter().enumerate();
            near.extend(others.filter(|(j, x)| *j != source && **x > least).map(|(j, x)| (j, *x)));
            if let Some(k) = options.k
                && near.len() > k
            {
                near.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                near.truncate(k);
                near.sort_unstable_by_key(|(j, _)| *j);
            }
            if edges.len() + near.len() > MOST_EDGES {
                let expected = format!("at most {MOST_EDGES} relationships");
                return Err(Error::invalid(
                    "a similarity graph",
                    expected,
                    "more; give a higher threshold, or k",
                ));
            }
            edges.extend(near.iter().map(|(j, x)| (ids[source], ids[*j], *x)));
        }
    }
    Ok(())
}
