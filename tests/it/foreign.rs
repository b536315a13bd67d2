//! What other programs put into the schema of a file, and what a user's own SQL may do.

use std::path::{Path, PathBuf};

use siltstone::experiment::ExperimentDatabase;
use siltstone::memory::{MemoryStore, NewConcept, NewEpisode};
use siltstone::simulation::SimulationDatabase;
use siltstone::{Array, Database, Error, Finding, VerifyReport};

/// The least integer has no absolute value: whoever makes SQLite compute it gets an error.
const FAILS_WHEN_RUN: &str = "abs(-9223372036854775808)";
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";

/// A file with memories, in a folder.
fn memories() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = MemoryStore::open(&path).unwrap();
    let vector = Array::from_slice(&[1.0, 2.0]);
    let ids = store.store_episodes(vec![
        NewEpisode::new(1, 0.5, "maze").embedding(vector.clone()),
        NewEpisode::new(2, 0.5, "maze"),
    ]);
    assert_eq!(ids.unwrap().len(), 2);
    store.store_concept(NewConcept::new("wall", vector)).unwrap();
    (folder, path)
}

fn by_others(path: &Path, sql: &str) {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.execute_batch("PRAGMA foreign_keys=OFF").unwrap();
    conn.execute_batch(sql).unwrap();
}

fn verify(path: &Path) -> siltstone::Result<VerifyReport> {
    Database::builder(path).open_read_only()?.verify()
}

/// Asserts that the file is found to be not well for these reasons.
fn assert_found(path: &Path, reasons: &[&str]) {
    let report = verify(path).unwrap();
    let found: Vec<String> = report
        .findings
        .iter()
        .map(|finding| format!("{}: {}", finding.location, finding.what))
        .collect();
    assert_eq!(found.len(), reasons.len(), "{found:#?}");
    for reason in reasons {
        assert!(found.iter().any(|found| found.contains(reason)), "{reason} in {found:#?}");
    }
}

/// Goal: what is in place of a table, index, view or trigger of ours is found, and never run.
#[test]
fn what_others_put_in_the_place_of_ours_is_found_and_not_run() {
    let view = format!(
        "DROP TABLE episode_embeddings; \
         CREATE VIEW episode_embeddings AS {ENDLESS} SELECT i AS episode_id, i AS embedding FROM n"
    );
    let generated =
        format!("ALTER TABLE concepts ADD COLUMN slow INTEGER AS ({FAILS_WHEN_RUN}) VIRTUAL");
    let check = "PRAGMA writable_schema=ON; UPDATE sqlite_schema \
        SET sql = replace(sql, 'task_type TEXT', 'task_type TEXT CHECK (abs(id) > 0)') \
        WHERE name = 'learning_events'";
    for (sql, reasons) in [
        (
            view.as_str(),
            &[
                "is in place of a table",
                "vector_inserted: is not there",
                "vector_updated: is not there",
                "vector_deleted: is not there",
                "embeddings_block_inserted: is not there",
                "embeddings_block_updated: is not there",
                "embeddings_block_deleted: is not there",
                "embeddings_moved: is not there",
            ][..],
        ),
        (&generated, &["table concepts: has a generated column or a CHECK"]),
        (check, &["table learning_events: has a generated column or a CHECK"]),
        ("DROP TRIGGER episodes_deleted", &["trigger episodes_deleted: is not there"]),
        ("DROP INDEX idx_episodes_timestamp", &["index idx_episodes_timestamp: is not there"]),
        (
            "DROP TRIGGER episodes_deleted; CREATE TRIGGER episodes_deleted AFTER DELETE ON episodes \
             BEGIN SELECT 1; END",
            &["trigger episodes_deleted: is not the one that Siltstone makes"],
        ),
        (
            "CREATE TRIGGER spy AFTER INSERT ON Concepts BEGIN DELETE FROM episodes; END",
            &["trigger spy: on concepts is not Siltstone's"],
        ),
    ] {
        let (_folder, path) = memories();
        assert!(verify(&path).unwrap().is_ok());
        by_others(&path, sql);
        assert_found(&path, reasons);
    }
}

/// Goal: a file whose versions come from a view is refused before the view is run.
#[test]
fn versions_from_a_view_are_refused() {
    let (_folder, path) = memories();
    by_others(
        &path,
        &format!(
            "DROP TABLE siltstone_schema; \
             CREATE VIEW siltstone_schema AS {ENDLESS} SELECT 'x' AS store, i AS version FROM n"
        ),
    );
    for error in [verify(&path).err(), Database::builder(&path).open().err()] {
        assert!(matches!(error, Some(Error::NotOurs { .. })), "{error:?}");
    }
}

/// Goal: a trigger of others on a table of ours is refused by whoever would write, and read past by whoever reads.
#[test]
fn a_trigger_of_others_on_our_tables_keeps_writers_out() {
    let (_folder, path) = memories();
    by_others(&path, "CREATE TRIGGER spy AFTER INSERT ON episodes BEGIN DELETE FROM concepts; END");
    let error = MemoryStore::open(&path).err().unwrap();
    assert!(matches!(&error, Error::NotOurs { why, .. } if why.contains("\"spy\"")), "{error}");
    let store = MemoryStore::open_read_only(&path).unwrap();
    assert_eq!(store.stats().unwrap().episodes, 2);
    by_others(&path, "DROP TRIGGER spy");
    MemoryStore::open(&path).unwrap().store_episode(NewEpisode::new(3, 0.5, "maze")).unwrap();
    assert!(verify(&path).unwrap().is_ok());
}

/// Goal: tables of records that a user named are known as ours, and triggers on them as foreign.
#[test]
fn tables_of_records_are_ours_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sweep.db");
    let db = ExperimentDatabase::open(&path, "sweep").unwrap();
    let sim = db.create_simulation_context("sim", Default::default()).unwrap();
    sim.log_metric("loss", 0.5, Some(1)).unwrap();
    sim.complete().unwrap();
    db.close().unwrap();
    drop((sim, db));
    assert_eq!(verify(&path).unwrap().findings, []);
    let names =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE '%\\_rows' ESCAPE '\\'";
    let conn = rusqlite::Connection::open(&path).unwrap();
    let name: String = conn.query_row(names, [], |row| row.get(0)).unwrap();
    drop(conn);
    by_others(&path, &format!("CREATE TRIGGER spy AFTER INSERT ON \"{name}\" BEGIN SELECT 1; END"));
    assert_found(&path, &["trigger spy"]);
    assert!(matches!(ExperimentDatabase::open(&path, "sweep"), Err(Error::NotOurs { .. })));
}

/// Goal: tables, indexes, views and triggers of a user's own beside ours change nothing, and those that compute are not run.
#[test]
fn what_users_keep_beside_our_tables_is_left_alone() {
    let (_folder, path) = memories();
    by_others(
        &path,
        "CREATE TABLE theirs (a INTEGER); INSERT INTO theirs VALUES (-9223372036854775808); \
         ALTER TABLE theirs ADD COLUMN b INTEGER AS (abs(a)) VIRTUAL; \
         CREATE TABLE notes (episode_id INTEGER REFERENCES episodes (id), note TEXT); \
         CREATE TRIGGER note_added AFTER INSERT ON notes BEGIN SELECT 1; END; \
         CREATE VIEW recent AS SELECT * FROM episodes ORDER BY id DESC LIMIT 5; \
         CREATE INDEX by_score ON episodes (performance_score); \
         ALTER TABLE concepts ADD COLUMN note TEXT; \
         INSERT INTO notes VALUES (1, 'first')",
    );
    assert_eq!(verify(&path).unwrap().findings, []);
    MemoryStore::open(&path).unwrap().store_episode(NewEpisode::new(3, 0.5, "maze")).unwrap();
    // The other tables are checked all the same.
    by_others(&path, "INSERT INTO notes VALUES (99, 'of nobody')");
    assert_found(&path, &["refers to a row of episodes that is not there"]);
}

/// Goal: a user's SQL reads, pragmas that report included; whatever else is refused by name, and makes no file.
#[test]
fn a_users_sql_only_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    let column = |name: &str| {
        (name.to_owned(), siltstone::simulation::Attribute::new(Array::from_slice(&[1i64])))
    };
    let attributes = vec![column("id"), column("speed")];
    let data = vec![siltstone::simulation::Group { name: "roads".into(), attributes }];
    db.store_update(0, 0, "net", data, None).unwrap();
    let other = folder.path().join("other.db");
    let other = other.display();
    for (sql, reason) in [
        (format!("VACUUM INTO '{other}'"), "VACUUM"),
        ("VACUUM".into(), "VACUUM"),
        (format!("ATTACH '{other}' AS o"), "another file"),
        ("DETACH main".into(), "DETACH"),
        ("PRAGMA journal_mode = delete".into(), "PRAGMA journal_mode = delete"),
        ("PRAGMA journal_mode(wal)".into(), "PRAGMA journal_mode"),
        ("PRAGMA user_version = 7".into(), "sets something"),
        ("PRAGMA writable_schema = 1".into(), "writable_schema"),
        ("PRAGMA wal_checkpoint".into(), "wal_checkpoint"),
        ("PRAGMA optimize".into(), "optimize"),
        ("PRAGMA incremental_vacuum".into(), "incremental_vacuum"),
        ("SELECT load_extension('x')".into(), "load_extension"),
        ("DELETE FROM \"update\"".into(), "which writes"),
        ("INSERT INTO metadata VALUES (2, 'v')".into(), "which writes"),
        ("WITH n AS (SELECT 1) UPDATE \"update\" SET origin = 'x'".into(), "which writes"),
        ("CREATE TEMP TABLE t AS SELECT 1".into(), "which writes"),
        ("CREATE TABLE t (a)".into(), "which writes"),
        ("DROP TABLE \"update\"".into(), "which writes"),
        ("ANALYZE".into(), "which writes"),
        ("REINDEX".into(), "which writes"),
    ] {
        let error = db.database().sql(&sql).err().unwrap_or_else(|| panic!("{sql} is taken"));
        let text = error.to_string();
        assert!(matches!(error, Error::Invalid { .. }) && text.contains(reason), "{sql}: {text}");
    }
    let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
    let files: Vec<_> =
        files.filter(|name| !name.to_string_lossy().starts_with("run.db")).collect();
    assert!(files.is_empty(), "{files:?}");
    for (sql, rows) in [
        ("PRAGMA table_info(\"update\")", 6),
        ("SELECT * FROM pragma_table_info('update')", 6),
        ("PRAGMA integrity_check", 1),
        ("PRAGMA integrity_check(\"update\")", 1),
        ("PRAGMA foreign_key_check", 0),
        ("PRAGMA page_count", 1),
        ("PRAGMA journal_mode", 1),
        ("PRAGMA user_version", 1),
        ("EXPLAIN QUERY PLAN SELECT 1", 1),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9) SELECT i FROM n",
            9,
        ),
        ("SELECT silt_items(dtype, shape, codec, data) FROM numpy_array LIMIT 1", 1),
    ] {
        assert_eq!(
            db.database().sql(sql).unwrap_or_else(|e| panic!("{e}")).rows.len(),
            rows,
            "{sql}"
        );
    }
}

/// Goal: a name that is not UTF-8, which SQLite takes and no text can say, is an error and a finding.
#[test]
fn a_name_that_is_not_text_is_refused() {
    let (_folder, path) = memories();
    by_others(&path, "PRAGMA journal_mode=DELETE; CREATE TABLE odd (abcdq INTEGER)");
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(5).position(|part| part == b"abcdq").unwrap();
    let bytes = [&bytes[..at], b"ab\xffdq", &bytes[at + 5..]].concat();
    std::fs::write(&path, bytes).unwrap();
    assert_found(&path, &["it is not valid UTF-8"]);
    let db = Database::builder(&path).open_read_only().unwrap();
    let error = db.sql("SELECT * FROM odd").unwrap_err();
    assert!(matches!(&error, Error::Corrupt { why, .. } if why.contains("UTF-8")), "{error}");
}

/// Goal: a damaged name of a column is found, in every table and column of ours: SQLite reads the rows by the other name,
/// and a table whose column of checksums has another name would pass as one without checksums.
#[test]
fn a_damaged_name_of_a_column_is_found() {
    let (_folder, path) = memories();
    by_others(&path, "PRAGMA journal_mode=DELETE");
    for (table, column) in
        [("episodes", "row_sum"), ("concepts", "metadata"), ("learning_events", "row_sum")]
    {
        let damaged = path.with_file_name(format!("{table}.db"));
        std::fs::copy(&path, &damaged).unwrap();
        let conn = rusqlite::Connection::open(&damaged).unwrap();
        conn.execute_batch("PRAGMA writable_schema=ON").unwrap();
        let sql = "UPDATE sqlite_schema SET sql = replace(sql, ?1, 'p' || substr(?1, 2)) \
            WHERE type = 'table' AND name = ?2 AND instr(sql, ?1)";
        assert_eq!(conn.execute(sql, [column, table]).unwrap(), 1);
        drop(conn);
        let report = verify(&damaged).unwrap();
        let location = format!("table {table}");
        let what = format!("has no column {column} as Siltstone makes it");
        assert!(report.findings.contains(&Finding { location, what }), "{:#?}", report.findings);
    }
    assert!(verify(&path).unwrap().is_ok());
}
