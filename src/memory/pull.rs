//! Memories out of a lake, back into a file.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::store::MemoryStore;
use super::vector;
use crate::array::Array;
use crate::error::{Error, Result};
use crate::kernel::{Database, WriteTx};
use crate::table::{Pulled, of_two_files};

/// A row, and a statement for it: the columns of the lake are its parameters, in this order.
struct Into {
    table: &'static str,
    columns: &'static [&'static str],
    sql: &'static str,
}

static TABLES: [Into; 4] = [
    Into {
        table: "concepts",
        columns: &[
            "id",
            "name",
            "creation_time",
            "access_count",
            "last_accessed",
            "metadata",
            "embedding",
        ],
        sql: "INSERT INTO concepts (id, name, creation_time, access_count, last_accessed, metadata, embedding, row_sum) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, silt_row_sum(?2, ?3, ?4, ?5, ?6))",
    },
    Into {
        table: "episodes",
        columns: &[
            "id",
            "timestamp",
            "performance_score",
            "context_hash",
            "metadata",
            "created_at",
            "experience_data",
        ],
        sql: "INSERT INTO episodes (id, timestamp, performance_score, context_hash, metadata, created_at, \
            experience_data, row_sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, silt_row_sum(?2, ?3, ?4, ?5, ?6))",
    },
    Into {
        table: "relationships",
        columns: &[
            "id",
            "source_concept_id",
            "target_concept_id",
            "relationship_type",
            "strength",
            "created_at",
        ],
        sql: "INSERT INTO concept_relationships (id, source_concept_id, target_concept_id, relationship_type, strength, \
            created_at, row_sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, silt_row_sum(?2, ?3, ?4, ?5, ?6))",
    },
    Into {
        table: "learning_events",
        columns: &[
            "id",
            "task_type",
            "performance_delta",
            "strategy_used",
            "timestamp",
            "parameters",
        ],
        sql: "INSERT INTO learning_events (id, task_type, performance_delta, strategy_used, timestamp, parameters, row_sum) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, silt_row_sum(?2, ?3, ?4, ?5, ?6))",
    },
];

/// What an episode has beside its row, each by a statement of its id and the value.
static BESIDE: [(&str, &str); 2] = [
    ("embedding", "INSERT INTO episode_embeddings VALUES (?1, ?2, silt_row_sum(?1))"),
    ("priority", "INSERT INTO episode_priorities VALUES (?1, ?2, silt_row_sum(?1, ?2))"),
];

/// A file that takes memories of a lake, with the numbers that they had.
pub(crate) struct PulledMemories {
    store: MemoryStore,
    /// Who has published them.
    file: Option<String>,
}

impl PulledMemories {
    pub(crate) fn new(db: Database) -> Result<Self> {
        Ok(PulledMemories { store: MemoryStore::over(db)?, file: None })
    }
}

fn column<'a>(table: &str, rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    rows.column_by_name(name).ok_or_else(|| Error::NotFound {
        what: "column",
        name: name.to_owned(),
        location: format!("the table {table} of the lake"),
    })
}

fn cell(column: &ArrayRef, row: usize) -> Result<Value> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match column.data_type() {
        DataType::Int64 => Value::Integer(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Value::Real(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Value::Blob(column.as_binary::<i32>().value(row).to_vec()),
        DataType::List(item) if *item.data_type() == DataType::Float64 => {
            let numbers = column.as_list::<i32>().value(row);
            let numbers = numbers.as_primitive::<Float64Type>().values();
            Value::Blob(vector::encode("embedding", Array::from_slice(numbers))?)
        }
        other => {
            let expected = "a column as memories are published";
            return Err(Error::invalid("a table of the lake", expected, other.to_string()));
        }
    })
}

fn insert(tx: &WriteTx<'_>, into: &Into, rows: &RecordBatch) -> Result<()> {
    let named = |name: &&str| column(into.table, rows, name);
    let columns = into.columns.iter().map(named).collect::<Result<Vec<_>>>()?;
    let is_episode = into.table == "episodes";
    let beside = BESIDE.iter().filter(|_| is_episode);
    let beside = beside.map(|(name, sql)| Ok((column(into.table, rows, name)?, sql)));
    let beside = beside.collect::<Result<Vec<_>>>()?;
    for row in 0..rows.num_rows() {
        let values = columns.iter().map(|column| cell(column, row)).collect::<Result<Vec<_>>>()?;
        tx.execute(into.sql, params_from_iter(&values))?;
        for (column, sql) in &beside {
            if column.is_valid(row) {
                tx.execute(sql, (&values[0], cell(column, row)?))?;
            }
        }
    }
    Ok(())
}

impl Pulled for PulledMemories {
    fn takes(&self, table: &str) -> bool {
        TABLES.iter().any(|into| into.table == table)
    }

    fn take(&mut self, table: &str, file: &str, rows: &RecordBatch) -> Result<()> {
        let known = self.file.get_or_insert_with(|| file.to_owned());
        if known != file {
            return Err(of_two_files(
                "memories, which each file numbers from 1 on".into(),
                known,
                file,
            ));
        }
        let into = TABLES.iter().find(|into| into.table == table).expect("one of its own");
        if table == "episodes" {
            let experiences = column(table, rows, "experience_data")?.as_binary_opt::<i32>();
            let bytes = experiences.map_or(0, |all| all.value_length(0).unsigned_abs() as usize);
            self.store.choose_pages(bytes)?;
        }
        let rows = rows.clone();
        self.store.write(move |tx| insert(tx, into, &rows))
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
