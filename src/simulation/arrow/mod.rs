//! Updates and states as Arrow: what every other engine takes.
//!
//! | numpy | Arrow |
//! |---|---|
//! | `b1`, and `i1` of 0 and 1 that the schema calls bool | `Boolean` |
//! | `i1`-`i8`, `u1`-`u8`, `f2`-`f8` | the same width |
//! | `c8`, `c16` | `Struct { re, im }` of `Float32`, `Float64` |
//! | `U` | `Utf8` |
//! | `S` | `Binary`, without the NUL padding |
//! | `M8` in s, ms, us, ns | `Timestamp` without a zone (times are UTC) |
//! | `m8` in s, ms, us, ns | `Duration` |
//! | `M8`, `m8` in other units | `Int64` |
//! | a value of shape `[k]` | `FixedSizeList` of k, nested for more dimensions |
//! | a ragged attribute | `List` |
//!
//! Undefined, not given and "not a time" are null. A part of a value that is undefined is null too,
//! but NaN stays NaN. The dtype and shape are in the metadata of each field.

mod column;
mod decode;
mod import;
mod plan;
mod states;
#[cfg(test)]
mod tests;
mod updates;
mod values;

pub use import::import_tables;
use plan::GroupPlan;
pub(super) use states::initial;

use super::database::SimulationDatabase;
use super::tables::Layout;
use crate::error::{Error, Result};
use crate::table::Batches;

/// A batch is handed out when it has this many rows,
const BATCH_ROWS: usize = 65_536;
/// or this many bytes.
const BATCH_BYTES: usize = 16 << 20;

/// In a table's metadata: `updates`, `states`, `state` or `initial`.
const KIND: &str = "siltstone.kind";
const DATASET: &str = "siltstone.dataset";
const GROUP: &str = "siltstone.group";

impl SimulationDatabase {
    /// All updates of an entity group as one long table, in order: `timestamp`, `iteration`, `id`, and
    /// a column an attribute, null where the update says nothing of it.
    ///
    /// There is a column `origin` if any update has one, and a column `cleared` (the names of the
    /// attributes that become undefined) if any update clears a value. An attribute whose values
    /// need two Arrow types has two columns. Updates that are stored meanwhile are not in the table.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a group that the dataset never has.
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("run.db");
    /// use siltstone::Array;
    /// use siltstone::simulation::{Attribute, Group, SimulationDatabase};
    ///
    /// let db = SimulationDatabase::open(&path)?;
    /// let attributes = vec![
    ///     ("id".to_owned(), Attribute::new(Array::from_slice(&[1i64, 2]))),
    ///     ("speed".to_owned(), Attribute::new(Array::from_slice(&[50.0, f64::NAN]))),
    /// ];
    /// db.store_update(0, 0, "roads", vec![Group { name: "segments".into(), attributes }], None)?;
    ///
    /// let batches = db.update_batches("roads", "segments")?.collect_batches()?;
    /// assert_eq!(batches[0].num_rows(), 2);
    /// assert_eq!(batches[0].column_by_name("speed").unwrap().null_count(), 1);
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn update_batches(&self, dataset: &str, group: &str) -> Result<Batches> {
        let plan = self.plan(dataset, group)?;
        Ok(updates::updates(self.database(), dataset, group, plan))
    }

    /// The states of an entity group at the given timestamps as one long table: `timestamp`, `id`, and
    /// a column an attribute, null where it is undefined.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a group that the dataset never has.
    pub fn state_batches(
        &self,
        dataset: &str,
        group: &str,
        timestamps: Vec<i64>,
    ) -> Result<Batches> {
        let plan = self.plan(dataset, group)?;
        let cursor = self.cursor(dataset, group, i64::MIN)?;
        // The initial state speaks for itself; the updates must agree.
        let initial = cursor.state();
        let bools = initial.columns.iter().map(|column| column.name.clone());
        let disagrees = |name: &String| {
            plan.columns.iter().any(|column| column.attribute == *name && !column.boolean)
        };
        let bools: Vec<String> = bools.filter(|name| !disagrees(name)).collect();
        states::states(dataset, cursor, timestamps, &bools, &self.schema()?)
    }

    fn plan(&self, dataset: &str, group: &str) -> Result<GroupPlan> {
        if !self.groups(dataset)?.iter().any(|name| name == group) {
            let location =
                format!("the dataset {dataset:?} of {}", self.database().path().display());
            return Err(Error::NotFound { what: "entity group", name: group.to_owned(), location });
        }
        let schema = self.schema()?;
        self.database().read(|tx| GroupPlan::of(tx, Layout::of(tx)?, dataset, group, &schema))
    }
}
