//! A table of records in the file: its SQL.

use std::sync::Arc;

use super::schema::{RecordSchema, Shape, Storage};
use crate::error::{Error, Result};
use crate::kernel::{DocumentedName, ReadTx, Rows, WriteTx, is_reserved, table_exists};

/// A table of records that the file has.
#[derive(Debug)]
pub(super) struct RecordTable {
    pub(super) id: i64,
    pub(super) schema: RecordSchema,
    /// Inserts or replaces the rows of `silt_row_source`: simulation, step, row, the stored columns, `exact`, the row's checksum.
    pub(super) insert: String,
}

impl RecordTable {
    fn new(id: i64, schema: RecordSchema) -> Arc<Self> {
        let columns = stored_columns(&schema);
        let cells: Vec<String> = (0..columns.len() + 5).map(|i| format!("c{i}")).collect();
        let row_table = row_table(&schema.name);
        let insert = format!(
            "INSERT OR REPLACE INTO {row_table} (simulation, step, row, {}, exact, row_sum) SELECT {} FROM silt_row_source",
            columns.join(", "),
            cells.join(", ")
        );
        Arc::new(RecordTable { id, schema, insert })
    }

    /// The names of the stored columns, as SQL.
    pub(super) fn stored_columns(&self) -> Vec<String> {
        stored_columns(&self.schema)
    }

    /// The types of the columns of a block, for `silt_block`.
    fn types(&self) -> String {
        let stored = self.schema.stored().map(|(_, column)| match column.kind.storage() {
            Storage::Int | Storage::Name => "i64",
            Storage::Float => "f64",
            Storage::Text => "text",
        });
        let types: Vec<&str> = ["i64", "i64"].into_iter().chain(stored).collect();
        types.join(";")
    }

    /// Its name, over rows alone and over rows and blocks.
    fn documented_name(&self, has_blocks: bool) -> DocumentedName {
        let columns = self.stored_columns();
        let parts: Vec<String> =
            columns.iter().enumerate().map(|(i, name)| format!("r.c{} AS {name}", i + 2)).collect();
        let block = format!(
            "SELECT b.simulation AS simulation, r.c0 AS step, r.c1 AS row, {} \
             FROM record_block b \
             JOIN silt_block('record_block', b.id, b.first_step, b.last_step, '{}') r \
             WHERE b.record_table = {}",
            parts.join(", "),
            self.types(),
            self.id
        );
        let over_rows = view(&self.schema);
        let over_blocks =
            format!("{over_rows} UNION ALL {}", view_rows(&self.schema, &format!("({block})")));
        DocumentedName {
            name: self.schema.name.clone(),
            has_blocks,
            rows: Rows::View(over_rows),
            over_blocks,
            triggers: String::new(),
        }
    }
}

/// The name of the table that holds the rows, as SQL.
pub(super) fn row_table(name: &str) -> String {
    quoted(&format!("{name}_rows"))
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn stored_columns(schema: &RecordSchema) -> Vec<String> {
    schema.stored().map(|(_, column)| quoted(&column.name)).collect()
}

pub(super) fn order(shape: Shape) -> &'static str {
    match shape {
        Shape::Many | Shape::Keyed | Shape::Single => "step, row",
        Shape::Series => "row, step",
        Shape::Unique => "row",
    }
}

/// What makes the rows' table and its view.
fn definition(schema: &RecordSchema) -> String {
    let mut table = format!(
        "CREATE TABLE {} (simulation INTEGER NOT NULL, step INTEGER NOT NULL, row INTEGER NOT NULL",
        row_table(&schema.name)
    );
    for (_, column) in schema.stored() {
        let kind = match column.kind.storage() {
            Storage::Int | Storage::Name => "INTEGER",
            Storage::Float => "REAL",
            Storage::Text => "TEXT",
        };
        table.push_str(&format!(", {} {kind}", quoted(&column.name)));
    }
    let order = order(schema.shape);
    format!(
        "{table}, exact BLOB, PRIMARY KEY (simulation, {order})) STRICT, WITHOUT ROWID;\n{};",
        view(schema)
    )
}

/// The view of its name over the rows' table.
fn view(schema: &RecordSchema) -> String {
    let rows = view_rows(schema, &row_table(&schema.name));
    format!("CREATE VIEW {} AS {rows}", quoted(&schema.name))
}

/// The rows as a reader sees them.
fn view_rows(schema: &RecordSchema, from: &str) -> String {
    let name_of = |source: &str| {
        format!(
            "(SELECT n.name FROM simulation_name n WHERE n.simulation = h.simulation AND n.id = h.{source})"
        )
    };
    let mut columns = Vec::new();
    if let Some(id) = &schema.id {
        let value = match schema.key {
            Some(_) => format!("s.simulation_id || ':' || {} || '-' || h.step", name_of("row")),
            None => "((h.simulation - 1) << 40) + h.row".to_owned(),
        };
        columns.push(format!("{value} AS {}", quoted(id)));
    }
    columns.push("s.simulation_id AS simulation_id".to_owned());
    if let Some(step) = &schema.step {
        columns.push(format!("h.step AS {}", quoted(step)));
    }
    for (i, column) in schema.columns.iter().enumerate() {
        let name = quoted(&column.name);
        let source = if Some(i) == schema.key { "row".to_owned() } else { name.clone() };
        columns.push(match column.kind.storage() {
            Storage::Name => format!("{} AS {name}", name_of(&source)),
            _ => format!("h.{source} AS {name}"),
        });
    }
    let columns = columns.join(", ");
    format!("SELECT {columns} FROM {from} h JOIN simulations s ON s.id = h.simulation")
}

/// The statements that made the tables of records of the file.
pub(crate) fn definitions(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    Ok(tables(tx)?.iter().map(|table| definition(&table.schema)).collect())
}

/// The documented tables of records.
pub(crate) fn documented_names(tx: &ReadTx<'_>) -> Result<Vec<DocumentedName>> {
    let names = tables(tx)?.into_iter().map(|table| {
        let sql = "SELECT 1 FROM record_block WHERE record_table = ?1 LIMIT 1";
        let has_blocks = tx.query_one(sql, [table.id], |_| Ok(()))?.is_some();
        Ok(table.documented_name(has_blocks))
    });
    names.collect()
}

/// The tables of records of the file, in the order in which they came.
pub(super) fn tables(tx: &ReadTx<'_>) -> Result<Vec<Arc<RecordTable>>> {
    if !table_exists(tx, "record_table")? {
        return Ok(Vec::new());
    }
    tx.query("SELECT id, definition FROM record_table ORDER BY id", [], |row| {
        let schema = parse(&row.get::<_, String>(1)?)?;
        Ok(RecordTable::new(row.get(0)?, schema))
    })
}

/// The table of a name.
pub(super) fn find(tx: &ReadTx<'_>, name: &str) -> Result<Option<Arc<RecordTable>>> {
    if !table_exists(tx, "record_table")? {
        return Ok(None);
    }
    let sql = "SELECT id, definition FROM record_table WHERE name = ?1";
    tx.query_one(sql, [name], |row| {
        Ok(RecordTable::new(row.get(0)?, parse(&row.get::<_, String>(1)?)?))
    })
}

/// A definition of the file: names in it become SQL, so they are looked at as those of a user are.
fn parse(text: &str) -> Result<RecordSchema> {
    let damaged = |why: String| Error::Corrupt {
        location: String::new(),
        what: "the definition of a table of records".into(),
        why,
    };
    let schema: RecordSchema = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
    let names =
        schema.columns.iter().map(|column| &column.name).chain(&schema.step).chain(&schema.id);
    for name in names.chain([&schema.name]) {
        super::id::check_name("a name", name).map_err(|e| damaged(e.to_string()))?;
    }
    if schema.key.is_some_and(|key| key >= schema.columns.len()) || schema.columns.len() > 64 {
        return Err(damaged("its key or its columns do not fit".into()));
    }
    Ok(schema)
}

/// As [`define`], of a user. What comes from another file keeps its name: it is accepted already.
///
/// # Errors
/// As there; [`Error::Invalid`] for a new table of a name that a store needs, whether the file has that store or not.
pub(super) fn define_own(tx: &WriteTx<'_>, schema: &RecordSchema) -> Result<Arc<RecordTable>> {
    let mut names = [schema.name.clone(), format!("{}_rows", schema.name)].into_iter();
    if let Some(name) = names.find(|name| is_reserved(name))
        && find(tx, &schema.name)?.is_none()
    {
        let what = format!("the name of table {:?}", schema.name);
        let expected = "one that neither SQLite nor a store may need for itself";
        return Err(Error::invalid(what, expected, format!("{name:?}")));
    }
    define(tx, schema)
}

/// The first column in which two schemas differ, in words.
fn other(found: &RecordSchema, schema: &RecordSchema) -> String {
    let kind = |of: &RecordSchema, name: &str| {
        let column = of.columns.iter().find(|column| column.name == name);
        column.map_or("missing".into(), |column| column.kind.to_string())
    };
    let mut columns = schema.columns.iter().chain(&found.columns).map(|column| &column.name);
    let differing = columns.find(|name| kind(found, name) != kind(schema, name));
    differing.map_or(String::new(), |name| {
        format!(" ({name} is {} there, and {} here)", kind(found, name), kind(schema, name))
    })
}

/// The table of this schema, made if it is not there.
///
/// # Errors
/// [`Error::Exists`] if there is one of other columns, or something else has the name.
pub(super) fn define(tx: &WriteTx<'_>, schema: &RecordSchema) -> Result<Arc<RecordTable>> {
    if let Some(found) = find(tx, &schema.name)? {
        if found.schema == *schema {
            return Ok(found);
        }
        return Err(Error::Exists {
            what: format!(
                "table {:?} with other columns{}",
                schema.name,
                other(&found.schema, schema)
            ),
            location: String::new(),
            hint: "give it another name, or the columns that it has",
        });
    }
    for name in [&schema.name, &format!("{}_rows", schema.name)] {
        if table_exists(tx, name)? {
            return Err(Error::Exists {
                what: format!("a table {name:?} of another kind"),
                location: String::new(),
                hint: "give it another name",
            });
        }
    }
    for statement in definition(schema).split_inclusive(';') {
        tx.execute(statement.trim(), [])?;
    }
    tx.cover(&format!("{}_rows", schema.name))?;
    let text = serde_json::to_string(schema).expect("a schema is JSON");
    let sql = "INSERT INTO record_table (name, definition, row_sum) VALUES (?1, ?2, silt_row_sum(?1, ?2))";
    let id = tx.insert(sql, [&schema.name, &text])?;
    Ok(RecordTable::new(id, schema.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::{Cell, ExperimentDatabase, Selection, merge};
    use super::*;

    /// Goal: a file of before whose table has the name of a store's is copied into another one, with its rows.
    #[test]
    fn a_table_that_is_there_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new] = ["old.db", "new.db"].map(|name| folder.path().join(name));
        let schema = RecordSchema::new("episodes", &[("x", "int64")]).unwrap();
        let db = ExperimentDatabase::open(&old, "exp").unwrap();
        let own = schema.clone();
        db.database()
            .write(move |tx| {
                super::super::database::prepare(tx)?;
                define(tx, &own).map(drop)
            })
            .unwrap();
        let sim = db.create_simulation_context("a", Default::default()).unwrap();
        sim.define_table(&schema).unwrap();
        sim.log("episodes", 0, &[("x", Cell::Int(7))]).unwrap();
        sim.complete().unwrap();
        drop((sim, db));
        let report = merge(&[&old], &new, &mut |_, _| Ok(())).unwrap();
        assert_eq!(report.copied, ["a"]);
        let copy = ExperimentDatabase::open_read_only(&new).unwrap();
        let records = copy.records("a", "episodes", &Selection::default()).unwrap();
        assert_eq!(
            records.collect_batches().unwrap().iter().map(|batch| batch.num_rows()).sum::<usize>(),
            1
        );
    }
}
