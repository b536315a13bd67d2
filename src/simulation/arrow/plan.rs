//! The columns of a group's updates, before any of them is read.

use super::column::ColumnPlan;
use crate::array::{DType, parse_shape};
use crate::error::{Error, Result};
use crate::kernel::ReadTx;
use crate::simulation::arrays::ArrayReader;
use crate::simulation::json::Schema;
use crate::simulation::tables::{Layout, array_table};
use crate::simulation::update::CLEARED;

/// What the updates of a group hold.
#[derive(Debug, Default)]
pub(super) struct GroupPlan {
    /// The last update (row id) that was looked at: later ones may hold anything.
    pub(super) last: i64,
    pub(super) columns: Vec<ColumnPlan>,
    /// Whether any update says where it came from.
    pub(super) has_origin: bool,
    /// Whether any update clears a value.
    pub(super) has_cleared: bool,
    /// The dtype of the ids, if all are alike.
    pub(super) id: Option<DType>,
    pub(super) updates: u64,
}

/// The columns that come before the attributes.
pub(super) const OWN: [&str; 5] = ["timestamp", "iteration", "id", "origin", "cleared"];

impl GroupPlan {
    pub(super) fn of(
        tx: &ReadTx<'_>,
        layout: Layout,
        dataset: &str,
        group: &str,
        schema: &Schema,
    ) -> Result<Self> {
        let mut plan = GroupPlan::default();
        let of_dataset = "FROM \"update\" WHERE dataset_name = ?1";
        let totals = format!("SELECT coalesce(max(id), 0), count(*), count(origin) {of_dataset}");
        tx.query_one(&totals, [dataset], |row| {
            plan.last = row.get(0)?;
            plan.updates = row.get::<_, i64>(1)? as u64;
            plan.has_origin = row.get::<_, i64>(2)? > 0;
            Ok(())
        })?;
        plan.add_columns(tx, dataset, group, schema)?;
        for column in plan.columns.iter_mut().filter(|column| column.boolean) {
            column.boolean = only_bools(tx, layout, dataset, group, &column.attribute)?;
        }
        if layout == Layout::Ours {
            plan.has_cleared = has_cleared(tx, layout, dataset, group)?;
        }
        let names: Vec<String> = plan.columns.iter().map(|column| column.name.clone()).collect();
        for (i, column) in plan.columns.iter_mut().enumerate() {
            // One attribute may need two columns, and an attribute may be called as one of ours.
            while OWN.contains(&&*column.name)
                || names[..i].contains(&column.name)
                || (column.name != column.attribute && names[i..].contains(&column.name))
            {
                column.name.push('_');
            }
        }
        Ok(plan)
    }

    fn add_columns(
        &mut self,
        tx: &ReadTx<'_>,
        dataset: &str,
        group: &str,
        schema: &Schema,
    ) -> Result<()> {
        let arrays = array_table(tx)?;
        let sql = format!(
            "SELECT a.attribute_name, n.dtype, n.shape, p.dtype, min(a.min_val), max(a.max_val), \
            min(u.id), min(a.id) \
            FROM \"update\" u JOIN update_attribute l ON l.update_id = u.id \
            JOIN attribute_data a ON a.id = l.attribute_data_id \
            JOIN {arrays} n ON n.id = a.data_id LEFT JOIN {arrays} p ON p.id = a.indptr_id \
            WHERE u.dataset_name = ?1 AND a.entity_group = ?2 \
            GROUP BY 1, 2, 3, 4 ORDER BY 7, 8"
        );
        let found = tx.query(&sql, (dataset, group), |row| {
            let name: String = row.get(0)?;
            let (dtype, shape): (String, String) = (row.get(1)?, row.get(2)?);
            let row_ptr: Option<String> = row.get(3)?;
            let range = (row.get::<_, Option<f64>>(4)?, row.get::<_, Option<f64>>(5)?);
            let corrupt = |why: Error| Error::Corrupt {
                location: String::new(),
                what: format!("attribute {group}/{name}"),
                why: why.to_string(),
            };
            let dtype: DType = dtype.parse().map_err(corrupt)?;
            let shape = parse_shape(&shape).map_err(corrupt)?;
            let row_ptr = row_ptr.map(|dtype| dtype.parse()).transpose().map_err(corrupt)?;
            let unit = shape.get(1..).unwrap_or_default();
            let mut column = ColumnPlan::new(&name, dtype, unit, row_ptr, schema.get(&name));
            // Where nothing is given there is no range, and none in another program's file.
            let is_bool =
                range.0.is_none_or(|low| low >= 0.0) && range.1.is_none_or(|high| high <= 1.0);
            column.boolean = is_bool && column.may_be_boolean();
            Ok(column)
        })?;
        for column in found {
            if column.attribute == "id" {
                self.id = match self.id {
                    None => column.stored,
                    Some(id) => {
                        Some(id).filter(|id| Some(*id) == column.stored).or(Some(DType::I64))
                    }
                };
                continue;
            }
            if !self.columns.iter_mut().any(|known| known.join(&column)) {
                self.columns.push(column);
            }
        }
        Ok(())
    }
}

/// Whether the arrays without a range, of which that does not say it, hold nothing but 0, 1 and the
/// sentinel.
fn only_bools(
    tx: &ReadTx<'_>,
    layout: Layout,
    dataset: &str,
    group: &str,
    attribute: &str,
) -> Result<bool> {
    let sql = "SELECT DISTINCT a.data_id FROM \"update\" u \
        JOIN update_attribute l ON l.update_id = u.id \
        JOIN attribute_data a ON a.id = l.attribute_data_id \
        WHERE u.dataset_name = ?1 AND a.entity_group = ?2 AND a.attribute_name = ?3 \
        AND a.min_val IS NULL";
    let arrays: Vec<i64> = tx.query(sql, (dataset, group, attribute), |row| Ok(row.get(0)?))?;
    let mut reader = ArrayReader::new(tx, layout);
    for array in arrays {
        if reader.read(array)?.data().iter().any(|byte| *byte > 1 && *byte != i8::MIN as u8) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_cleared(tx: &ReadTx<'_>, layout: Layout, dataset: &str, group: &str) -> Result<bool> {
    let sql = "SELECT DISTINCT a.mask_id FROM \"update\" u \
        JOIN update_attribute l ON l.update_id = u.id \
        JOIN attribute_data a ON a.id = l.attribute_data_id \
        WHERE u.dataset_name = ?1 AND a.entity_group = ?2 AND a.mask_id IS NOT NULL";
    let masks: Vec<i64> = tx.query(sql, (dataset, group), |row| Ok(row.get(0)?))?;
    let mut reader = ArrayReader::new(tx, layout);
    for mask in masks {
        if reader.read(mask)?.data().contains(&CLEARED) {
            return Ok(true);
        }
    }
    Ok(false)
}
