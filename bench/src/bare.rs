//! The floors: the documented tables by `rusqlite` and nothing else; the bytes by `write`.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use rusqlite::Connection;

use crate::baseline::{Baseline, Row};

/// One transaction an update into the documented tables, by hand.
pub(crate) struct BareSqlite;

impl Baseline for BareSqlite {
    fn name(&self) -> &'static str {
        "bare rusqlite, a transaction an update (os)"
    }

    fn write(&self, path: &Path, rows: &[Row]) {
        let mut conn = Connection::open(path).expect("a new file opens");
        conn.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; \
             CREATE TABLE numpy_array (id INTEGER PRIMARY KEY, dtype TEXT, shape TEXT, data BLOB); \
             CREATE TABLE \"update\" (id INTEGER PRIMARY KEY, timestamp INTEGER, iteration INTEGER, \
                 dataset_name TEXT, origin TEXT, UNIQUE (timestamp, iteration, dataset_name)); \
             CREATE INDEX i_dataset ON \"update\" (dataset_name); \
             CREATE TABLE attribute_data (id INTEGER PRIMARY KEY, entity_group TEXT, \
                 attribute_name TEXT, data_id INTEGER REFERENCES numpy_array (id), \
                 indptr_id INTEGER REFERENCES numpy_array (id), min_val REAL, max_val REAL); \
             CREATE INDEX i_group ON attribute_data (entity_group); \
             CREATE INDEX i_name ON attribute_data (attribute_name); \
             CREATE TABLE update_attribute (update_id INTEGER REFERENCES \"update\" (id), \
                 attribute_data_id INTEGER REFERENCES attribute_data (id), \
                 PRIMARY KEY (update_id, attribute_data_id));",
        )
        .expect("the tables are made");
        for row in rows {
            store(&mut conn, row).expect("an update is stored");
        }
    }

    fn read(&self, _path: &Path) -> Option<Vec<Row>> {
        None
    }
}

fn store(conn: &mut Connection, row: &Row) -> rusqlite::Result<()> {
    let tx = conn.transaction()?;
    let update = tx
        .prepare_cached(
            "INSERT INTO \"update\" (timestamp, iteration, dataset_name) VALUES (?1, 0, 'dataset')",
        )?
        .insert([row.timestamp])?;
    let ids: Vec<u8> = row.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    let attribute = |name: &str, dtype: &str, n: usize, data: &[u8]| -> rusqlite::Result<()> {
        let array = tx
            .prepare_cached("INSERT INTO numpy_array (dtype, shape, data) VALUES (?1, ?2, ?3)")?
            .insert((dtype, format!("[{n}]"), data))?;
        let attribute = tx
            .prepare_cached(
                "INSERT INTO attribute_data (entity_group, attribute_name, data_id) VALUES ('entities', ?1, ?2)",
            )?
            .insert((name, array))?;
        tx.prepare_cached("INSERT INTO update_attribute VALUES (?1, ?2)")?
            .execute((update, attribute))?;
        Ok(())
    };
    attribute("id", "<i8", row.ids.len(), &ids)?;
    for (i, values) in row.attributes.iter().enumerate() {
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        attribute(&format!("a{i}"), "<f8", values.len(), &data)?;
    }
    tx.commit()
}

/// The same values into one file with `write`, and one `fsync` at the end.
pub(crate) struct PlainFile;

impl Baseline for PlainFile {
    fn name(&self) -> &'static str {
        "plain file, write and one fsync"
    }

    fn write(&self, path: &Path, rows: &[Row]) {
        let mut file = File::create(path).expect("a new file opens");
        for row in rows {
            let mut bytes: Vec<u8> = row.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            bytes.extend(row.attributes.iter().flatten().flat_map(|x| x.to_le_bytes()));
            file.write_all(&bytes).expect("the disk takes the bytes");
        }
        file.sync_all().expect("the disk takes the bytes");
    }

    fn read(&self, _path: &Path) -> Option<Vec<Row>> {
        None
    }
}
