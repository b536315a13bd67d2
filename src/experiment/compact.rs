//! Rows into blocks, and back.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use super::database::{prepare, simulation};
use super::record_table::{self, RecordTable, order, row_table};
use super::schema::Shape;
use super::stored::{
    BlockRef, StoredColumn, StoredRows, Wanted, block_types, blocks, damaged, each_of_row_table,
    read_block,
};
use crate::array::block::{self, Effort, version_1};
use crate::error::Result;
use crate::kernel::{CompactReport, Database, Part, ReadTx, WriteTx, table_exists};

/// The most rows of a block.
const BLOCK_ROWS: usize = 1 << 14;

/// The most rows that are compacted in one transaction.
const ROWS_AT_ONCE: i64 = 1 << 20;

/// Packs what a simulation has in rows.
pub(super) fn compact(db: &Database, simulation_id: &str) -> Result<CompactReport> {
    let name = simulation_id.to_owned();
    let part = db.write(move |tx| {
        prepare(tx)?;
        SimulationPart::find(tx, simulation(tx, &name)?)
    })?;
    db.compact(vec![part], &mut |_, _| Ok(()))
}

/// The tables of a simulation whose rows go into blocks.
pub(super) struct SimulationPart {
    simulation: i64,
    tables: Vec<Arc<RecordTable>>,
    rows: u64,
}

/// The first rows of a table, by its place among those of the simulation.
pub(super) struct Packed {
    table: usize,
    seen: Seen,
    blocks: Vec<PackedBlock>,
}

struct PackedBlock {
    first_step: Option<i64>,
    last_step: Option<i64>,
    rows: usize,
    data: Vec<u8>,
}

/// The rows up to one: how many, and the sum of their checksums.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    last: (i64, i64),
    rows: i64,
    sum: i64,
}

impl SimulationPart {
    pub(super) fn find(tx: &ReadTx<'_>, simulation: i64) -> Result<Self> {
        let tables = record_table::tables(tx)?.into_iter();
        let tables: Vec<_> = tables.filter(|table| table.schema.can_compact()).collect();
        let mut all = 0;
        for table in &tables {
            let rows = row_table(&table.schema.name);
            let sql = format!("SELECT count(*) FROM {rows} WHERE simulation = ?1");
            all += tx.query_one(&sql, [simulation], |row| Ok(row.get::<_, i64>(0)?))?.unwrap_or(0);
        }
        Ok(SimulationPart { simulation, tables, rows: all as u64 })
    }

    /// Packs the first rows of a table, so many at the most.
    fn pack_table(&self, tx: &ReadTx<'_>, index: usize, most: i64) -> Result<Option<Packed>> {
        let table = &self.tables[index];
        let (mut last, mut blocks) = (None, Vec::new());
        let wanted = Wanted { most, ..Wanted::all(table) };
        each_of_row_table(tx, self.simulation, table, &wanted, BLOCK_ROWS, |rows| {
            let end = rows.len() - 1;
            let key = (rows.steps.value(end), rows.rows.value(end));
            last = Some(match table.schema.shape {
                Shape::Series => (key.1, key.0),
                _ => key,
            });
            pack_rows(rows, &mut |block| {
                blocks.push(block);
                Ok(())
            })
        })?;
        let Some(last) = last else { return Ok(None) };
        let seen = self.see(tx, index, last)?;
        match blocks.iter().map(|block| block.rows as i64).sum::<i64>() == seen.rows {
            true => Ok(Some(Packed { table: index, seen, blocks })),
            false => Err(damaged(format!("{:?} has rows before step 0", table.schema.name))),
        }
    }

    fn see(&self, tx: &ReadTx<'_>, index: usize, last: (i64, i64)) -> Result<Seen> {
        let table = &self.tables[index];
        let sql = format!(
            "SELECT count(*), sum(coalesce(row_sum, silt_row_sum(step, row, {}, exact)) & 0xffffffff) FROM {}",
            table.stored_columns().join(", "),
            up_to(table)
        );
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?));
        let (rows, sum) =
            tx.query_one(&sql, (self.simulation, last.0, last.1), read)?.unwrap_or_default();
        Ok(Seen { last, rows, sum: sum.unwrap_or(0) })
    }
}

/// The rows of simulation ?1 up to (?2, ?3), in the order in which they lie.
fn up_to(table: &RecordTable) -> String {
    let (rows, order) = (row_table(&table.schema.name), order(table.schema.shape));
    format!("{rows} WHERE simulation = ?1 AND ({order}) <= (?2, ?3)")
}

impl Part for SimulationPart {
    type Packed = Vec<Packed>;

    fn rows(&self) -> u64 {
        self.rows
    }

    fn pack(&self, tx: &ReadTx<'_>) -> Result<Option<Vec<Packed>>> {
        let (mut all, mut left) = (Vec::new(), ROWS_AT_ONCE);
        for table in 0..self.tables.len() {
            let packed = self.pack_table(tx, table, left)?;
            left -= packed.as_ref().map_or(0, |packed| packed.seen.rows);
            all.extend(packed);
        }
        Ok(Some(all).filter(|all| !all.is_empty()))
    }

    fn replace(&self, tx: &mut WriteTx<'_>, all: &Vec<Packed>) -> Result<Option<(u64, u64)>> {
        for Packed { table, seen, .. } in all {
            if self.see(tx, *table, seen.last)? != *seen {
                return Ok(None);
            }
        }
        let (mut moved, mut written) = (0, 0);
        for Packed { table, seen, blocks } in all {
            let table = &self.tables[*table];
            let sql = format!("DELETE FROM {}", up_to(table));
            moved += tx.execute(&sql, (self.simulation, seen.last.0, seen.last.1))? as u64;
            written += blocks.len() as u64;
            blocks.iter().try_for_each(|block| block.insert(tx, self.simulation, table))?;
        }
        tx.fit_names(&super::STORE)?;
        Ok(Some((moved, written)))
    }
}

impl PackedBlock {
    fn of(rows: &StoredRows) -> Result<Self> {
        let (steps, numbers) = (Arc::new(rows.steps.clone()), Arc::new(rows.rows.clone()));
        let columns = [steps as ArrayRef, numbers as ArrayRef].into_iter();
        let columns: Vec<_> = columns.chain(rows.columns.iter().flatten().cloned()).collect();
        Ok(PackedBlock {
            first_step: rows.steps.values().iter().min().copied(),
            last_step: rows.steps.values().iter().max().copied(),
            rows: rows.len(),
            data: block::encode(&columns, Effort::Compact)?,
        })
    }

    /// Inserts it; the documented names are made to fit by the caller.
    fn insert(&self, tx: &WriteTx<'_>, simulation: i64, table: &RecordTable) -> Result<()> {
        let sql = "INSERT INTO record_block (simulation, record_table, first_step, last_step, rows, data, row_sum) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, silt_row_sum(?1, ?2, ?3, ?4, ?5))";
        let PackedBlock { first_step, last_step, rows, data } = self;
        tx.insert(sql, (simulation, table.id, first_step, last_step, *rows as i64, data))?;
        Ok(())
    }
}

/// Packs rows, a block each time.
fn pack_rows(mut rows: StoredRows, each: &mut dyn FnMut(PackedBlock) -> Result<()>) -> Result<()> {
    while rows.len() > 0 {
        let columns = rows.columns.iter().flatten();
        let n = columns.map(|array| block::fit(array, BLOCK_ROWS)).min();
        let n = n.unwrap_or(BLOCK_ROWS).min(rows.len());
        each(PackedBlock::of(&rows.slice(0, n))?)?;
        rows = rows.slice(n, rows.len() - n);
    }
    Ok(())
}

/// Inserts rows, in their order, as blocks of a table that has no rows of the simulation.
pub(super) fn insert_blocks(
    tx: &WriteTx<'_>,
    simulation: i64,
    table: &RecordTable,
    columns: &[StoredColumn<'_>],
    order: &[(i64, i64, usize)],
) -> Result<()> {
    for part in order.chunks(BLOCK_ROWS) {
        let rows = StoredRows::gather(columns, part);
        pack_rows(rows, &mut |block| block.insert(tx, simulation, table))?;
    }
    tx.fit_names(&super::STORE)?;
    Ok(())
}

/// Makes rows of all blocks of the file; how many.
pub(super) fn expand_all(tx: &mut WriteTx<'_>) -> Result<u64> {
    if !table_exists(tx, "record_block")? {
        return Ok(0);
    }
    prepare(tx)?;
    let mut expanded = 0;
    for table in record_table::tables(tx)? {
        let sql = "SELECT DISTINCT simulation FROM record_block WHERE record_table = ?1";
        for simulation in tx.query(sql, [table.id], |row| Ok(row.get(0)?))? {
            expanded += expand(tx, simulation, &table, i64::MIN, i64::MAX)?;
        }
    }
    Ok(expanded)
}

/// Makes rows of the blocks that meet these steps; how many.
pub(super) fn expand(
    tx: &WriteTx<'_>,
    simulation: i64,
    table: &RecordTable,
    first: i64,
    last: i64,
) -> Result<u64> {
    let wanted = Wanted::all(table).columns;
    let mut expanded = 0;
    for block in blocks(tx, simulation, table, first, last)? {
        let rows = read_block(tx, table, block, &wanted)?;
        if rows.columns.iter().flatten().any(|column| column.len() != rows.len()) {
            return Err(damaged(format!(
                "the columns of block {} are of different lengths",
                block.id
            )));
        }
        rows.insert(tx, simulation, table)?;
        remove_block(tx, block)?;
        expanded += rows.len() as u64;
    }
    if expanded > 0 {
        tx.fit_names(&super::STORE)?;
    }
    Ok(expanded)
}

/// Version 5: blocks of today. One that is damaged stays as it is, for `verify` to find.
pub(super) fn renew_blocks(tx: &WriteTx<'_>) -> Result<()> {
    for table in record_table::tables(tx)? {
        let sql = "SELECT id, rows FROM record_block WHERE record_table = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        for (id, rows) in tx.query(sql, [table.id], read)? {
            let sql = "SELECT data FROM record_block WHERE id = ?1";
            let data: Vec<u8> = tx.query_one(sql, [id], |row| Ok(row.get(0)?))?.unwrap_or_default();
            if let Ok(renewed) = version_1::renewed(
                &data,
                &block_types(&table),
                rows.max(0) as usize,
                Effort::Compact,
            ) && *renewed != data
            {
                let sql = "UPDATE record_block SET data = ?2 WHERE id = ?1";
                tx.execute(sql, (id, &*renewed))?;
            }
        }
    }
    Ok(())
}

/// Removes a block; the documented names are made to fit by the caller.
pub(super) fn remove_block(tx: &WriteTx<'_>, block: BlockRef) -> Result<()> {
    tx.execute("DELETE FROM record_block WHERE id = ?1", [block.id])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::ExperimentDatabase;

    /// Goal: a block whose header says another range than its values have is found, though all its checksums are right.
    #[test]
    fn a_header_that_says_otherwise_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "e").unwrap();
        let sim = db.create_simulation_context("s", Default::default()).unwrap();
        (0..4).for_each(|step| sim.log_metric("loss", 0.5, Some(step)).unwrap());
        sim.flush_all_buffers().unwrap();
        db.compact("s").unwrap();
        assert!(db.database().verify().unwrap().is_ok());
        let lie = |tx: &mut WriteTx<'_>| {
            let sql = "SELECT data FROM record_block";
            let mut data: Vec<u8> = tx.query_one(sql, [], |row| Ok(row.get(0)?))?.unwrap();
            data[16 + 8 + 16] ^= 1; // the least step of the first piece
            let header = u32::from_le_bytes(data[12..16].try_into().unwrap()) as usize;
            let sum = xxhash_rust::xxh3::xxh3_128(&data[..header - 16]).to_be_bytes();
            data[header - 16..header].copy_from_slice(&sum);
            tx.execute("UPDATE record_block SET data = ?1", [data])
        };
        db.database().write(lie).unwrap();
        let findings = db.database().verify().unwrap().findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].what.contains("not those that its header says"), "{findings:?}");
    }

    /// Goal: a row that is replaced between the packing and the exchange makes what was packed void; one that comes behind stays a row.
    /// What another program wrote without a checksum is looked at too.
    #[test]
    fn what_was_changed_meanwhile_is_packed_again() {
        let folder = tempfile::tempdir().unwrap();
        let db = ExperimentDatabase::open(folder.path().join("sweep.db"), "e").unwrap();
        let sim = db.create_simulation_context("s", Default::default()).unwrap();
        let log = |step: i64, value: f64| {
            sim.log_metric("loss", value, Some(step)).unwrap();
            sim.flush_all_buffers().unwrap();
        };
        (0..4).for_each(|step| log(step, 0.5));
        let file = db.database();
        let part = || file.read(|tx| SimulationPart::find(tx, 1)).unwrap();
        let exchange = |meanwhile: &dyn Fn()| {
            let packed = file.read(|tx| part().pack(tx)).unwrap().unwrap();
            meanwhile();
            let part = part();
            file.write(move |tx| part.replace(tx, &packed)).unwrap()
        };
        let sql = |sql: &'static str| {
            let _ = file.write(move |tx| tx.execute(sql, [])).unwrap();
        };
        let tables = file.read(record_table::tables).unwrap();
        let metrics = tables.iter().find(|table| table.schema.name.contains("metric")).unwrap();
        assert_eq!(metrics.schema.name, "simulation_metrics");
        assert_eq!(exchange(&|| log(2, 0.25)), None, "a value was replaced");
        sql("UPDATE simulation_metrics_rows SET row_sum = NULL WHERE step = 1");
        let foreign = || sql("UPDATE simulation_metrics_rows SET value = 9.5 WHERE step = 1");
        assert_eq!(exchange(&foreign), None, "another program changed a value");
        assert_eq!(exchange(&|| log(7, 0.75)), Some((4, 1)), "it came behind");
        let left = "SELECT count(*) FROM simulation_metrics_rows";
        let count = file.read(|tx| tx.query_one(left, [], |row| Ok(row.get::<_, i64>(0)?)));
        assert_eq!(count.unwrap(), Some(1));
        assert_eq!(db.compact("s").unwrap().rows, 1);
    }
}
