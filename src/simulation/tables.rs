//! The store's tables: their versions, and the files of movici.

use crate::error::Result;
use crate::kernel::{DocumentedName, Migrations, ReadTx, Rows, Step, Upgrade, table_exists};

/// All versions of the store's tables.
pub(crate) static MIGRATIONS: Migrations = Migrations {
    store: "simulation",
    steps: &[
        Step::Sql(concat!(
            include_str!("migrations/0001_movici.sql"),
            include_str!("migrations/0001_own.sql")
        )),
        Step::Sql(include_str!("migrations/0002_keyframe_order.sql")),
        Step::Sql(include_str!("migrations/0003_row_sums.sql")),
        Step::Sql("-- 4: numpy_array is a view over rows and blocks where there are blocks"),
        Step::Sql("-- 5: blocks of arrays are column blocks"),
    ],
    summed: &[
        "update(timestamp, iteration, dataset_name, origin)",
        "attribute_data(entity_group, attribute_name, data_id, indptr_id, mask_id, min_val, max_val)",
        "update_attribute(update_id, attribute_data_id, position)",
        "initial_dataset(dataset_name, format, data, codec)",
        "initial_dataset_attribute(initial_dataset_id, attribute_data_id, position)",
        "simulation_run",
        "simulation_keyframe(dataset_name, entity_group, timestamp, iteration, same_as, columns)",
    ],
};

/// movici's file: recognised by its tables, upgraded when it is opened for writing.
pub(crate) static UPGRADE: Upgrade = Upgrade {
    migrations: &MIGRATIONS,
    tables: &["update", "attribute_data", "numpy_array", "update_attribute"],
    sql: concat!(include_str!("migrations/upgrade.sql"), include_str!("migrations/0001_own.sql")),
};

/// The name of the table of arrays while some of them are in blocks, and `numpy_array` a view.
const ARRAY_ROWS: &str = "numpy_array_rows";

/// movici's table of arrays.
pub(crate) fn documented_names(tx: &ReadTx<'_>) -> Result<Vec<DocumentedName>> {
    if !table_exists(tx, "array_block")? {
        return Ok(Vec::new());
    }
    Ok(vec![DocumentedName {
        name: "numpy_array".into(),
        has_blocks: tx.query_one("SELECT 1 FROM array_block LIMIT 1", [], |_| Ok(()))?.is_some(),
        rows: Rows::Table(ARRAY_ROWS),
        over_blocks: include_str!("migrations/arrays_in_blocks.sql").trim_end().to_owned(),
        triggers: include_str!("migrations/array_triggers.sql").to_owned(),
    }])
}

/// The table that has the rows of the arrays.
pub(super) fn array_table(tx: &ReadTx<'_>) -> Result<&'static str> {
    Ok(if table_exists(tx, ARRAY_ROWS)? { ARRAY_ROWS } else { "numpy_array" })
}

/// Which of our additions a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// No tables of this store yet.
    Empty,
    /// movici's own: no codec, checksum, mask or keyframe.
    Movici,
    /// Ours.
    Ours,
}

impl Layout {
    pub(super) fn of(tx: &ReadTx<'_>) -> Result<Self> {
        if table_exists(tx, "simulation_run")? {
            Ok(Layout::Ours)
        } else if table_exists(tx, "update")? && table_exists(tx, "numpy_array")? {
            Ok(Layout::Movici)
        } else {
            Ok(Layout::Empty)
        }
    }

    /// One array: dtype, shape, codec, checksum, data.
    pub(super) fn array_sql(self, tx: &ReadTx<'_>) -> Result<String> {
        let packed = if self == Layout::Movici { "NULL, NULL" } else { "codec, checksum" };
        let table = array_table(tx)?;
        Ok(format!("SELECT dtype, shape, {packed}, data FROM {table} WHERE id = ?1"))
    }

    /// The attributes that rows of a table of links, given with the column of their owner, refer to:
    /// id, position, group, name, data_id, indptr_id, mask_id, and from [`ARRAY_COLUMNS`] the array
    /// as in [`array_sql`](Self::array_sql). Parameters: the owner; the only group; the only
    /// attribute whose values are wanted; whether no values are.
    ///
    /// The values of `id` are left out, since those of most updates are the same row. A group whose
    /// name is no text is of every group, so that a reader meets and refuses it.
    pub(super) fn attributes_sql(
        self,
        tx: &ReadTx<'_>,
        (table, owner): (&str, &str),
    ) -> Result<String> {
        let (position, mask, packed) = match self {
            Layout::Movici => ("0", "NULL", "NULL, NULL"),
            _ => ("l.position", "a.mask_id", "n.codec, n.checksum"),
        };
        // An array is guarded by its checksum, and that it is the one which was meant by those of these rows.
        let (link, attribute) = (tx.whole(table, "l")?, tx.whole("attribute_data", "a")?);
        let arrays = array_table(tx)?;
        Ok(format!(
            "SELECT a.id, {position}, a.entity_group, a.attribute_name, a.data_id, a.indptr_id, {mask}, \
             n.dtype, n.shape, {packed}, CASE WHEN a.attribute_name = 'id' OR ?4 \
             OR a.attribute_name <> ?3 THEN NULL ELSE n.data END \
             FROM {table} l CROSS JOIN attribute_data a ON a.id = l.attribute_data_id \
             LEFT JOIN {arrays} n ON n.id = a.data_id \
             WHERE l.{owner} IS ?1 AND (?2 IS NULL OR a.entity_group = ?2 \
             OR typeof(a.entity_group) <> 'text') AND {link} AND {attribute} \
             ORDER BY l.attribute_data_id"
        ))
    }
}

/// Where the columns of the array begin in [`Layout::attributes_sql`].
pub(super) const ARRAY_COLUMNS: usize = 7;
