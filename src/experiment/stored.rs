//! Rows as they lie in the file: names and keys are numbers, integers have 64 bits.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use rusqlite::functions::Context;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::vtab::Context as Cell;

use super::buffer::{ColumnBuffer, Items};
use super::record_table::{RecordTable, order, quoted, row_table};
use super::schema::{Column, Storage};
use crate::array::block::Block;
use crate::error::{Error, Result};
use crate::kernel::{ReadTx, RowSource, RowVisitor, WriteTx, check_interrupted, row_sum};

/// The items of a stored column, of whoever has them.
pub(super) enum StoredColumn<'a> {
    Int(&'a [i64], Missing<'a>),
    Float(&'a [f64], Missing<'a>),
    /// Numbers in memory, and what they are in the file.
    Name(&'a [u32], &'a [i64], Missing<'a>),
    /// Where each ends, and all of them.
    Text(&'a [usize], &'a str, Missing<'a>),
    Texts(&'a StringArray),
}

/// Which items are missing.
#[derive(Clone, Copy)]
pub(super) enum Missing<'a> {
    None,
    Flags(&'a [bool]),
    Nulls(&'a NullBuffer),
}

impl Missing<'_> {
    fn has(&self, row: usize) -> bool {
        match self {
            Missing::None => false,
            Missing::Flags(flags) => flags[row],
            Missing::Nulls(nulls) => nulls.is_null(row),
        }
    }
}

impl<'a> StoredColumn<'a> {
    pub(super) fn of_buffer(column: &'a ColumnBuffer, stored: &'a [i64]) -> Self {
        let missing = column.missing.as_deref().map_or(Missing::None, Missing::Flags);
        match &column.items {
            Items::Int(items) => StoredColumn::Int(items, missing),
            Items::Float(items) => StoredColumn::Float(items, missing),
            Items::Name(items) => StoredColumn::Name(items, stored, missing),
            Items::Text(ends, text) => StoredColumn::Text(ends, text, missing),
        }
    }

    pub(super) fn of_array(array: &'a ArrayRef) -> Self {
        let missing = array.nulls().map_or(Missing::None, Missing::Nulls);
        match array.data_type() {
            DataType::Int64 => {
                StoredColumn::Int(array.as_primitive::<Int64Type>().values(), missing)
            }
            DataType::Float64 => {
                StoredColumn::Float(array.as_primitive::<Float64Type>().values(), missing)
            }
            _ => StoredColumn::Texts(array.as_string::<i32>()),
        }
    }
}

/// Rows to insert: step, row, and the index among the items of the columns.
struct Rows<'a> {
    simulation: i64,
    columns: &'a [StoredColumn<'a>],
    order: &'a [(i64, i64, usize)],
}

impl RowSource for Rows<'_> {
    fn rows(&self) -> usize {
        self.order.len()
    }

    fn give(&self, row: usize, column: usize, to: &mut Cell) -> rusqlite::Result<()> {
        let (step, number, i) = self.order[row];
        match column {
            0 => to.set_result(&self.simulation),
            1 => to.set_result(&step),
            2 => to.set_result(&number),
            _ => match self.columns.get(column - 3) {
                Some(column) => to.set_result(&ToSqlOutput::Borrowed(column.value(i))),
                None if column - 3 == self.columns.len() => to.set_result(&self.exact(i)),
                None => to.set_result(&self.sum(step, number, i)),
            },
        }
    }
}

impl Rows<'_> {
    /// Nine bytes for each float that SQLite cannot hold: the index of its column, and its bits.
    fn exact(&self, i: usize) -> Option<Vec<u8>> {
        let mut exact = Vec::new();
        for (index, column) in self.columns.iter().enumerate() {
            if let StoredColumn::Float(items, missing) = column
                && is_odd(items[i])
                && !missing.has(i)
            {
                exact.push(index as u8);
                exact.extend_from_slice(&items[i].to_bits().to_le_bytes());
            }
        }
        (!exact.is_empty()).then_some(exact)
    }

    /// The checksum of the row, in the order of the table's columns.
    fn sum(&self, step: i64, number: i64, i: usize) -> i64 {
        let identity = [self.simulation, step, number].map(ValueRef::Integer);
        let exact = self.exact(i);
        let exact = exact.as_deref().map_or(ValueRef::Null, ValueRef::Blob);
        let values = self.columns.iter().map(|column| column.value(i));
        row_sum(identity.into_iter().chain(values).chain([exact]))
    }
}

/// Whether SQLite does not give a float back as it is: NaN becomes NULL, and -0.0 becomes 0.
fn is_odd(x: f64) -> bool {
    x.is_nan() || (x == 0.0 && x.is_sign_negative())
}

impl StoredColumn<'_> {
    /// The items in another order.
    fn gather(&self, order: &[(i64, i64, usize)]) -> ArrayRef {
        fn all<T>(
            missing: &Missing<'_>,
            order: &[(i64, i64, usize)],
            item: impl Fn(usize) -> T,
        ) -> impl Iterator<Item = Option<T>> {
            order.iter().map(move |(_, _, i)| (!missing.has(*i)).then(|| item(*i)))
        }
        match self {
            StoredColumn::Int(items, missing) => {
                Arc::new(all(missing, order, |i| items[i]).collect::<Int64Array>())
            }
            StoredColumn::Float(items, missing) => {
                Arc::new(all(missing, order, |i| items[i]).collect::<Float64Array>())
            }
            StoredColumn::Name(items, stored, missing) => {
                Arc::new(all(missing, order, |i| stored[items[i] as usize]).collect::<Int64Array>())
            }
            StoredColumn::Text(ends, text, missing) => {
                let item = |i: usize| &text[if i == 0 { 0 } else { ends[i - 1] }..ends[i]];
                Arc::new(all(missing, order, item).collect::<StringArray>())
            }
            StoredColumn::Texts(texts) => {
                let item =
                    |(_, _, i): &(i64, i64, usize)| texts.is_valid(*i).then(|| texts.value(*i));
                Arc::new(order.iter().map(item).collect::<StringArray>())
            }
        }
    }

    fn value(&self, i: usize) -> ValueRef<'_> {
        match self {
            StoredColumn::Int(_, missing)
            | StoredColumn::Float(_, missing)
            | StoredColumn::Name(_, _, missing)
            | StoredColumn::Text(_, _, missing)
                if missing.has(i) =>
            {
                ValueRef::Null
            }
            StoredColumn::Int(items, _) => ValueRef::Integer(items[i]),
            StoredColumn::Float(items, _) => ValueRef::Real(items[i]),
            StoredColumn::Name(items, stored, _) => ValueRef::Integer(stored[items[i] as usize]),
            StoredColumn::Text(ends, text, _) => {
                let from = if i == 0 { 0 } else { ends[i - 1] };
                ValueRef::Text(&text.as_bytes()[from..ends[i]])
            }
            StoredColumn::Texts(texts) if texts.is_null(i) => ValueRef::Null,
            StoredColumn::Texts(texts) => ValueRef::Text(texts.value(i).as_bytes()),
        }
    }
}

/// Inserts or replaces rows: step, row, and the index among the items of the columns.
pub(super) fn insert_rows(
    tx: &WriteTx<'_>,
    simulation: i64,
    table: &RecordTable,
    columns: &[StoredColumn<'_>],
    order: &[(i64, i64, usize)],
) -> Result<()> {
    tx.insert_all(&table.insert, &Rows { simulation, columns, order })?;
    Ok(())
}

/// Rows that were read: steps, rows, and those stored columns that were asked for.
#[derive(Debug, Clone)]
pub(super) struct StoredRows {
    pub(super) steps: Int64Array,
    pub(super) rows: Int64Array,
    pub(super) columns: Vec<Option<ArrayRef>>,
}

impl StoredRows {
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn slice(&self, from: usize, n: usize) -> Self {
        StoredRows {
            steps: self.steps.slice(from, n),
            rows: self.rows.slice(from, n),
            columns: self.columns.iter().map(|c| c.as_ref().map(|c| c.slice(from, n))).collect(),
        }
    }

    /// One after the other.
    pub(super) fn concat(parts: &[StoredRows]) -> Result<Self> {
        let concat = |arrays: Vec<&dyn Array>| {
            arrow_select::concat::concat(&arrays)
                .map_err(|e| Error::invalid("rows", "as many as Arrow takes", e.to_string()))
        };
        let int = |array: ArrayRef| array.as_primitive::<Int64Type>().clone();
        let columns = (0..parts[0].columns.len()).map(|i| {
            let arrays =
                parts.iter().filter_map(|part| part.columns[i].as_deref()).collect::<Vec<_>>();
            if arrays.is_empty() { Ok(None) } else { concat(arrays).map(Some) }
        });
        Ok(StoredRows {
            steps: int(concat(parts.iter().map(|part| &part.steps as &dyn Array).collect())?),
            rows: int(concat(parts.iter().map(|part| &part.rows as &dyn Array).collect())?),
            columns: columns.collect::<Result<_>>()?,
        })
    }

    /// Those of columns, in an order: step, row, and the index among the items.
    pub(super) fn gather(columns: &[StoredColumn<'_>], order: &[(i64, i64, usize)]) -> Self {
        StoredRows {
            steps: order.iter().map(|(step, ..)| *step).collect::<Vec<_>>().into(),
            rows: order.iter().map(|(_, row, _)| *row).collect::<Vec<_>>().into(),
            columns: columns.iter().map(|column| Some(column.gather(order))).collect(),
        }
    }

    /// Inserts all of them; every stored column is there.
    pub(super) fn insert(
        &self,
        tx: &WriteTx<'_>,
        simulation: i64,
        table: &RecordTable,
    ) -> Result<()> {
        let columns: Vec<StoredColumn<'_>> =
            self.columns.iter().flatten().map(StoredColumn::of_array).collect();
        let order: Vec<(i64, i64, usize)> =
            (0..self.len()).map(|i| (self.steps.value(i), self.rows.value(i), i)).collect();
        insert_rows(tx, simulation, table, &columns, &order)
    }
}

/// Which rows of a simulation and which columns are read.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) first: i64,
    pub(super) last: i64,
    /// The key, if only its rows are read.
    pub(super) key: Option<i64>,
    /// By the stored columns.
    pub(super) columns: Vec<bool>,
    /// So many rows of the row table at the most; -1 for all.
    pub(super) most: i64,
}

impl Wanted {
    pub(super) fn all(table: &RecordTable) -> Self {
        Wanted { columns: vec![true; table.schema.stored().count()], ..Wanted::no_columns(table) }
    }

    /// Steps and rows alone.
    pub(super) fn no_columns(table: &RecordTable) -> Self {
        let columns = vec![false; table.schema.stored().count()];
        Wanted { first: 0, last: i64::MAX, key: None, columns, most: -1 }
    }
}

/// Grows by cells of the file.
enum Builder {
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
}

impl Builder {
    fn new(column: &Column) -> Self {
        match column.kind.storage() {
            Storage::Int | Storage::Name => Builder::Int(Int64Builder::new()),
            Storage::Float => Builder::Float(Float64Builder::new()),
            Storage::Text => Builder::Text(StringBuilder::new()),
        }
    }

    fn push(&mut self, cell: ValueRef<'_>, exact: Option<f64>) -> Result<()> {
        match (self, cell) {
            (Builder::Float(items), _) if exact.is_some() => items.append_option(exact),
            (Builder::Int(items), ValueRef::Integer(n)) => items.append_value(n),
            (Builder::Int(items), ValueRef::Null) => items.append_null(),
            (Builder::Float(items), ValueRef::Real(x)) => items.append_value(x),
            (Builder::Float(items), ValueRef::Integer(n)) => items.append_value(n as f64),
            (Builder::Float(items), ValueRef::Null) => items.append_null(),
            (Builder::Text(items), ValueRef::Text(text)) => {
                let text = std::str::from_utf8(text).map_err(|e| damaged(e.to_string()))?;
                items.append_value(text);
            }
            (Builder::Text(items), ValueRef::Null) => items.append_null(),
            (_, other) => {
                return Err(damaged(format!("a {} where it cannot be", other.data_type())));
            }
        }
        Ok(())
    }

    fn finish(self) -> ArrayRef {
        match self {
            Builder::Int(mut items) => Arc::new(items.finish()),
            Builder::Float(mut items) => Arc::new(items.finish()),
            Builder::Text(mut items) => Arc::new(items.finish()),
        }
    }
}

/// The rows that are not in blocks, so many at a time at the most.
pub(super) fn each_of_row_table(
    tx: &ReadTx<'_>,
    simulation: i64,
    table: &RecordTable,
    wanted: &Wanted,
    most: usize,
    each: impl FnMut(StoredRows) -> Result<()>,
) -> Result<()> {
    let stored: Vec<&Column> = table.schema.stored().map(|(_, column)| column).collect();
    let chosen: Vec<usize> = (0..stored.len()).filter(|i| wanted.columns[*i]).collect();
    let mut columns = "step, row, exact".to_owned();
    for i in &chosen {
        columns.push_str(", ");
        columns.push_str(&quoted(&stored[*i].name));
    }
    // The rows lie in this order; a subquery may not put them in another.
    let sql = format!(
        "SELECT silt_visit({columns}) FROM (SELECT {columns} FROM {} \
         WHERE simulation = ?1 AND step BETWEEN ?2 AND ?3{} ORDER BY {} LIMIT {})",
        row_table(&table.schema.name),
        if wanted.key.is_some() { " AND row = ?4" } else { "" },
        order(table.schema.shape),
        wanted.most
    );
    let builders = chosen.iter().map(|i| Builder::new(stored[*i])).collect();
    let mut taken =
        Taken { each, most, stored, chosen, steps: Vec::new(), rows: Vec::new(), builders };
    match wanted.key {
        Some(key) => {
            tx.visit_rows(&sql, (simulation, wanted.first, wanted.last, key), &mut taken)?;
        }
        None => tx.visit_rows(&sql, (simulation, wanted.first, wanted.last), &mut taken)?,
    }
    taken.give()
}

/// Gives the values of a column at the last step of each simulation that has no blocks of the table: simulation, step, value.
pub(super) fn last_values(
    tx: &ReadTx<'_>,
    table: &RecordTable,
    index: usize,
    mut each: impl FnMut(i64, i64, f64),
) -> Result<()> {
    let column = table.schema.stored().nth(index).map(|(_, column)| quoted(&column.name));
    let sql = format!(
        "SELECT r.simulation, r.step, r.{}, r.exact FROM record_summary s CROSS JOIN {} r \
         ON r.simulation = s.simulation AND r.step = s.last_step WHERE s.record_table = ?1 \
         AND s.simulation NOT IN (SELECT simulation FROM record_block WHERE record_table = ?1) \
         ORDER BY s.simulation, r.row",
        column.unwrap_or_default(),
        row_table(&table.schema.name)
    );
    tx.query(&sql, [table.id], |row| {
        let exact = row.get_ref(3)?.as_blob_or_null().ok().flatten().unwrap_or_default();
        let value = bits_of(exact, index).map_or_else(|| row.get(2), |value| Ok(Some(value)));
        if let Some(value) = value? {
            each(row.get(0)?, row.get(1)?, value);
        }
        Ok(())
    })?;
    Ok(())
}

/// Rows as SQLite gives them: step, row, `exact`, and the chosen columns.
struct Taken<'a, F> {
    each: F,
    most: usize,
    stored: Vec<&'a Column>,
    /// The indices of the chosen columns among the stored ones.
    chosen: Vec<usize>,
    steps: Vec<i64>,
    rows: Vec<i64>,
    builders: Vec<Builder>,
}

impl<F: FnMut(StoredRows) -> Result<()>> Taken<'_, F> {
    /// Hands out what there is.
    fn give(&mut self) -> Result<()> {
        check_interrupted("reading records")?;
        if self.steps.is_empty() {
            return Ok(());
        }
        let fresh = self.chosen.iter().map(|i| Builder::new(self.stored[*i])).collect();
        let mut columns = vec![None; self.stored.len()];
        for (i, builder) in self.chosen.iter().zip(std::mem::replace(&mut self.builders, fresh)) {
            columns[*i] = Some(builder.finish());
        }
        let (steps, rows) = (std::mem::take(&mut self.steps), std::mem::take(&mut self.rows));
        (self.each)(StoredRows { steps: steps.into(), rows: rows.into(), columns })
    }
}

impl<F: FnMut(StoredRows) -> Result<()>> RowVisitor for Taken<'_, F> {
    fn visit(&mut self, row: &Context<'_>) -> Result<()> {
        let (ValueRef::Integer(step), ValueRef::Integer(number)) = (row.get_raw(0), row.get_raw(1))
        else {
            return Err(damaged("a row without a step".into()));
        };
        let exact = row.get_raw(2).as_blob_or_null().ok().flatten().unwrap_or_default();
        self.steps.push(step);
        self.rows.push(number);
        for (index, (builder, i)) in self.builders.iter_mut().zip(&self.chosen).enumerate() {
            builder.push(row.get_raw(index + 3), bits_of(exact, *i))?;
        }
        if self.steps.len() == self.most { self.give() } else { Ok(()) }
    }
}

/// What `exact` says of a stored column: nine bytes for each float that SQLite cannot hold, its index and its bits.
fn bits_of(exact: &[u8], column: usize) -> Option<f64> {
    if exact.is_empty() {
        return None;
    }
    let part = exact.chunks_exact(9).find(|part| usize::from(part[0]) == column)?;
    Some(f64::from_bits(u64::from_le_bytes(part[1..].try_into().expect("eight bytes"))))
}

/// The types of the arrays in the blocks of a table.
pub(super) fn block_type(column: &Column) -> DataType {
    match column.kind.storage() {
        Storage::Int | Storage::Name => DataType::Int64,
        Storage::Float => DataType::Float64,
        Storage::Text => DataType::Utf8,
    }
}

/// Those of all columns of a block: its steps and rows, and what is stored.
pub(super) fn block_types(table: &RecordTable) -> Vec<DataType> {
    let stored = table.schema.stored().map(|(_, column)| block_type(column));
    [DataType::Int64, DataType::Int64].into_iter().chain(stored).collect()
}

/// A block of a simulation and table.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockRef {
    pub(super) id: i64,
    /// Its first and last step.
    pub(super) steps: (i64, i64),
    pub(super) rows: usize,
}

/// The blocks that meet these steps, in their order.
pub(super) fn blocks(
    tx: &ReadTx<'_>,
    simulation: i64,
    table: &RecordTable,
    first: i64,
    last: i64,
) -> Result<Vec<BlockRef>> {
    let sql = format!(
        "SELECT id, rows, first_step, last_step FROM record_block b WHERE simulation IS ?1 AND record_table IS ?2 \
         AND first_step <= ?4 AND CASE WHEN {} THEN last_step >= ?3 END ORDER BY first_step, id",
        tx.whole("record_block", "b")?
    );
    tx.query(&sql, (simulation, table.id, first, last), |row| {
        let rows: i64 = row.get(1)?;
        let rows = usize::try_from(rows).ok().filter(|rows| *rows <= 1 << 20);
        let rows = rows.ok_or_else(|| damaged("a block claims too many rows".into()))?;
        Ok(BlockRef { id: row.get(0)?, steps: (row.get(2)?, row.get(3)?), rows })
    })
}

/// The rows of a block.
pub(super) fn read_block(
    tx: &ReadTx<'_>,
    table: &RecordTable,
    block: BlockRef,
    wanted: &[bool],
) -> Result<StoredRows> {
    let mut statement = tx.prepare("SELECT data FROM record_block WHERE id = ?1")?;
    let mut found = statement.query([block.id])?;
    let no_block = || damaged(format!("block {} is not there", block.id));
    let row = found.next()?.ok_or_else(no_block)?;
    let data = row.get_ref(0)?.as_blob_or_null().ok().flatten().unwrap_or_default();
    let named = |error: Error| match error {
        Error::Corrupt { location, why, .. } => {
            let what = format!("block {} of {:?}", block.id, table.schema.name);
            Error::Corrupt { location, what, why }
        }
        other => other,
    };
    let unpacked = Block::of_types(data, &block_types(table), block.rows).map_err(named)?;
    let read =
        |position: usize, kind: &DataType| unpacked.array(position, Some(kind)).map_err(named);
    let int = |array: ArrayRef| array.as_primitive::<Int64Type>().clone();
    let columns = table.schema.stored().enumerate().map(|(index, (_, column))| {
        if !wanted[index] {
            return Ok(None);
        }
        read(index + 2, &block_type(column)).map(Some)
    });
    Ok(StoredRows {
        steps: int(read(0, &DataType::Int64)?),
        rows: int(read(1, &DataType::Int64)?),
        columns: columns.collect::<Result<_>>()?,
    })
}

pub(super) fn damaged(why: String) -> Error {
    Error::Corrupt { location: String::new(), what: "a table of records".into(), why }
}
