//! The store's tables: their versions, and the files of the described system.

use crate::error::Result;
use crate::kernel::{Adoption, Lineage, ReadTx, table_exists};

/// All versions of the store's tables.
pub(crate) static LINEAGE: Lineage = Lineage {
    store: "simulation",
    steps: &[concat!(
        include_str!("migrations/0001_described.sql"),
        include_str!("migrations/0001_own.sql")
    )],
};

/// The described system's file: recognised by its tables, taken over when it is opened for writing.
pub(crate) static ADOPTION: Adoption = Adoption {
    lineage: &LINEAGE,
    tables: &["update", "attribute_data", "numpy_array", "update_attribute"],
    sql: concat!(include_str!("migrations/adopt.sql"), include_str!("migrations/0001_own.sql")),
};

/// Which of our additions a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// No tables of this store yet.
    Empty,
    /// The described system's own: no codec, checksum, mask or key state.
    Described,
    /// Ours.
    Ours,
}

impl Layout {
    pub(super) fn of(tx: &ReadTx<'_>) -> Result<Self> {
        if table_exists(tx, "simulation_run")? {
            Ok(Layout::Ours)
        } else if table_exists(tx, "update")? && table_exists(tx, "numpy_array")? {
            Ok(Layout::Described)
        } else {
            Ok(Layout::Empty)
        }
    }

    /// One array: dtype, shape, codec, checksum, data.
    pub(super) fn array_sql(self) -> &'static str {
        match self {
            Layout::Described => {
                "SELECT dtype, shape, NULL, NULL, data FROM numpy_array WHERE id = ?1"
            }
            _ => "SELECT dtype, shape, codec, checksum, data FROM numpy_array WHERE id = ?1",
        }
    }

    /// The attributes of an update: id, group, name, data_id, indptr_id, mask_id.
    pub(super) fn attributes_sql(self) -> &'static str {
        match self {
            Layout::Described => {
                "SELECT a.id, a.entity_group, a.attribute_name, a.data_id, a.indptr_id, NULL \
                 FROM update_attribute l JOIN attribute_data a ON a.id = l.attribute_data_id \
                 WHERE l.update_id = ?1 ORDER BY l.attribute_data_id"
            }
            _ => {
                "SELECT a.id, a.entity_group, a.attribute_name, a.data_id, a.indptr_id, a.mask_id \
                 FROM update_attribute l JOIN attribute_data a ON a.id = l.attribute_data_id \
                 WHERE l.update_id = ?1 ORDER BY l.position, l.attribute_data_id"
            }
        }
    }

    /// The attributes of an initial dataset, as [`attributes_sql`](Self::attributes_sql).
    pub(super) fn initial_attributes_sql(self) -> String {
        let sql = self.attributes_sql();
        sql.replace("update_attribute l", "initial_dataset_attribute l")
            .replace("l.update_id", "l.initial_dataset_id")
    }
}
