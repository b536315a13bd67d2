//! Checksums of rows: our own rows have one, whatever call wrote or changed them; rows that another program wrote have none
//! and are no damage; a changed byte is.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use siltstone::experiment::{
    Agent, Cell, ExperimentDatabase, LoggingConfig, RecordSchema, Selection, SimulationOptions,
    Which,
};
use siltstone::memory::{
    ConceptUpdate, EpisodeUpdate, Evict, GraphOptions, LearningEventUpdate, Limit, MemoryStore,
    NewConcept, NewEpisode, NewLearningEvent, NewRelationship, SampleMode, SampleOptions,
};
use siltstone::series::{Metadata, Series, SqliteBackend, StorageBackend};
use siltstone::simulation::{Attribute, Group, InitialData, SimulationDatabase};
use siltstone::ticks::{Names, TickBatch, TickStore, TickStoreConfig};
use siltstone::{Array, Database, Error, VerifyReport};

fn simulation(folder: &Path) -> PathBuf {
    let path = folder.join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    let column = |name: &str, array| (name.to_owned(), Attribute::new(array));
    let roads = |speed: f64| {
        let ids = column("id", Array::from_slice(&[1i64, 2]));
        let speeds = column("speed", Array::from_slice(&[speed, -0.0]));
        vec![Group { name: "roads".into(), attributes: vec![ids, speeds] }]
    };
    let text = br#"{"name": "network", "data": {"roads": {"id": [1, 2]}}}"#;
    for _ in 0..2 {
        db.store_initial_dataset("network", InitialData::Json(text.to_vec()), true).unwrap();
    }
    for time in 0..200 {
        db.store_update(time, 0, "network", roads(time as f64), Some("model")).unwrap();
    }
    db.build_keyframes().unwrap();
    assert_eq!(db.resume_from(150).unwrap(), 49);
    db.store_update(151, 0, "network", roads(0.5), None).unwrap();
    db.close().unwrap();
    path
}

fn experiment(folder: &Path) -> PathBuf {
    let path = folder.join("sweep.db");
    let db = ExperimentDatabase::open(&path, "sweep").unwrap();
    for name in ["a", "b"] {
        let options = SimulationOptions::default().provenance(false);
        let simulation = db.create_simulation_context(name, options).unwrap();
        simulation.log_params(r#"{"rate": 0.5}"#).unwrap();
        let columns = [("place", "category"), ("x", "float64"), ("text", "text")];
        simulation.define_table(&RecordSchema::new("weather", &columns).unwrap()).unwrap();
        let agent = Agent { agent_id: "one", agent_type: "hare", ..Agent::default() };
        simulation.log_agent(&agent).unwrap();
        for step in 0..30 {
            let mut row = [Cell::Null; 10];
            // What SQLite does not give back as it is: NaN, -0.0.
            let odd = [f64::NAN, -0.0, step as f64][step as usize % 3];
            (row[0], row[7], row[8]) = (Cell::Text("one"), Cell::Bool(true), Cell::Float(odd));
            let none: [[Cell<'_>; 4]; 0] = [];
            let metrics = [("mood", Cell::Float(0.25)), ("total_agents", Cell::Int(1))];
            simulation.log_step(step, [row], none, &metrics).unwrap();
            let values = [("place", Cell::Text("hill")), ("x", Cell::Float(odd))];
            simulation.log("weather", step, &values).unwrap();
        }
        simulation.log_array("field", 3, &Array::from_slice(&[1.0, 2.0])).unwrap();
        simulation.update_agent_death("one", 29, "age").unwrap();
        simulation.complete().unwrap();
    }
    db.compact("b").unwrap();
    let again = db.resume("a", Some(20), LoggingConfig::default()).unwrap();
    drop(again);
    db.update_experiment_status("done", None).unwrap();
    db.close().unwrap();
    path
}

fn memory(folder: &Path) -> PathBuf {
    let path = folder.join("agent.db");
    let store = MemoryStore::open(&path).unwrap();
    let limit = Limit { max_age: None, capacity: Some(40), evict: Evict::Oldest };
    store.set_limit(Some("maze"), Some(limit)).unwrap();
    let mut ids = Vec::new();
    for n in 0..50 {
        let vector = Array::from_slice(&[n as f64, 1.0]);
        let episode = NewEpisode::new(vector.clone(), 0.5, "maze").embedding(vector).priority(2.0);
        ids.push(store.store_episode(episode).unwrap());
        let concept = NewConcept::new(format!("c{n}"), Array::from_slice(&[n as f32, 1.0]));
        store.store_concept(concept).unwrap();
    }
    let id = ids[49];
    let embedding = Some(Array::from_slice(&[1.0, 5.0]));
    let update = EpisodeUpdate { performance_score: Some(0.75), embedding, ..Default::default() };
    assert!(store.update_episode(id, update).unwrap());
    store.update_priorities(&[id, ids[48]], &[0.1, -0.0]).unwrap();
    let fifo = SampleOptions { mode: SampleMode::Fifo, ..SampleOptions::default() };
    store.sample_episodes(3, &fifo).unwrap();
    store.store_concept(NewConcept::new("c3", Array::from_slice(&[7f32, 1.0]))).unwrap();
    let found = store.retrieve_concept_by_name("c4").unwrap().unwrap();
    let update = ConceptUpdate { name: Some("new".into()), ..Default::default() };
    assert!(store.update_concept(found.id, update).unwrap());
    for strength in [0.5, 0.25] {
        let relationship_type = "near".to_owned();
        let relationship =
            NewRelationship { source_id: 1, target_id: 2, relationship_type, strength };
        store.add_concept_relationship(relationship).unwrap();
    }
    for k in [2, 3] {
        let options = GraphOptions { k: Some(k), ..GraphOptions::default() };
        store.build_similarity_graph(&options).unwrap();
    }
    let event = store.store_learning_event(NewLearningEvent::new("walk", 0.5, "try")).unwrap();
    let update = LearningEventUpdate { performance_delta: Some(1.0), ..Default::default() };
    assert!(store.update_learning_event(event, update).unwrap());
    store.backup_if_due(0.0, 1).unwrap();
    store.database().flush().unwrap();
    path
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64
}

fn config(base: &Path) -> TickStoreConfig {
    let sqlite_base_path = base.to_owned();
    TickStoreConfig { sqlite_base_path, compact_every: None, ..TickStoreConfig::production("b") }
}

fn ticks(folder: &Path) -> PathBuf {
    let base = folder.join("ticks");
    let store = TickStore::new(config(&base)).unwrap();
    // Of today: the rows of other days are compacted at the end.
    let now = now();
    let put = |from: i64, to: i64| {
        for n in from..to {
            let bid = [1.5, -0.0, 2.25][n as usize % 3];
            let time = now + n * 1_000;
            let _ = store.store_tick("EURUSD", bid, bid + 0.5, 0.5, "LP", time).unwrap();
        }
        store.flush().unwrap();
    };
    put(0, 500);
    store.compact_all().unwrap();
    put(500, 700);
    store.stop().unwrap();
    let files = walk(&base);
    files.into_iter().find(|path| path.extension().is_some_and(|end| end == "db")).unwrap()
}

fn series(folder: &Path) -> PathBuf {
    let path = folder.join("plant.db");
    let backend = SqliteBackend::open(&path).unwrap();
    let times = |from: i64| (from..from + 500).map(|n| n * 1_000_000_000).collect::<Vec<_>>();
    let values: Vec<f64> = (0..500).map(f64::from).collect();
    let first = Series::from_times_ns(&times(0), &values).unwrap();
    backend.save("flow", &first, &Metadata::new()).unwrap();
    backend.append("flow", &Series::from_times_ns(&times(500), &values).unwrap()).unwrap();
    backend.copy("flow", "copy").unwrap();
    backend.rename("copy", "other").unwrap();
    backend.compact(Some("flow")).unwrap();
    backend.append("flow", &Series::from_times_ns(&times(1000), &values).unwrap()).unwrap();
    backend.database().flush().unwrap();
    path
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

/// A file of each store, made by its own calls.
fn files(folder: &Path) -> [PathBuf; 5] {
    [simulation(folder), experiment(folder), memory(folder), ticks(folder), series(folder)]
}

fn verify(path: &Path) -> VerifyReport {
    Database::builder(path).open_read_only().unwrap().verify().unwrap()
}

/// The tables with sums, each with a column that its sum covers and another value of its type, as SQL.
fn covered(conn: &Connection) -> Vec<(String, String, String)> {
    let sql = "SELECT t.tbl_name, t.sql, c.type FROM sqlite_schema t, pragma_table_info(t.tbl_name) c \
        WHERE t.type = 'trigger' AND t.name = t.tbl_name || '_row_changed' \
        AND instr(t.sql, '\"' || c.name || '\" ON ') > 0";
    let mut statement = conn.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let (sql, kind): (String, String) = (row.get(1)?, row.get(2)?);
        let list = sql.split_once(" AFTER UPDATE OF ").unwrap().1.split_once(" ON ").unwrap().0;
        let column = list.rsplit(", ").next().unwrap().to_owned();
        let other = match &*kind {
            "TEXT" => format!("coalesce({column}, '') || 'x'"),
            "BLOB" => format!("CAST(coalesce({column}, x'') || 'x' AS BLOB)"),
            _ => format!("coalesce({column}, 0) + 1"),
        };
        Ok((row.get(0)?, column, other))
    });
    rows.unwrap().map(|row| row.unwrap()).collect()
}

/// Goal: whatever call of ours wrote or changed a row, the row has its sum.
#[test]
fn every_row_of_ours_has_its_checksum() {
    let folder = tempfile::tempdir().unwrap();
    for path in files(folder.path()) {
        let report = verify(&path);
        assert!(report.is_ok(), "{}: {:?}", path.display(), report.findings);
        let conn = Connection::open(&path).unwrap();
        for (table, ..) in covered(&conn) {
            let sql = format!("SELECT count(*), count(row_sum) FROM \"{table}\"");
            let (rows, sums): (i64, i64) =
                conn.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            assert_eq!(sums, rows, "{table} of {}", path.display());
        }
        assert!(report.checksums > 10 && report.rows_without_checksum == 0, "{report:?}");
    }
}

/// Goal: plain SQLite changes a row of any table, and it is a row without a sum, not damage; a row that says something else
/// than its sum is found in each table.
#[test]
fn a_change_by_another_program_is_told_from_damage() {
    let folder = tempfile::tempdir().unwrap();
    let mut tables = 0;
    for path in files(folder.path()) {
        let conn = Connection::open(&path).unwrap();
        for (table, column, other) in covered(&conn) {
            let copy = folder.path().join(format!("{table}.db"));
            conn.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
            let conn = Connection::open(&copy).unwrap();
            let pragmas = "PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON";
            conn.execute_batch(pragmas).unwrap();
            let key = match conn.prepare(&format!("SELECT rowid FROM \"{table}\"")) {
                Ok(_) => format!("rowid = (SELECT max(rowid) FROM \"{table}\")"),
                Err(_) => format!("{column} IS (SELECT {column} FROM \"{table}\" LIMIT 1)"),
            };
            let own = conn
                .execute(&format!("UPDATE \"{table}\" SET {column} = {column} WHERE {key}"), []);
            let rows = own.unwrap() as u64;
            let report = verify(&copy);
            // Our own trigger counts a change of an update, whatever changed.
            let counted = u64::from(table == "update");
            let found = (report.rows_without_checksum, report.findings.len());
            assert_eq!(found, (counted, 0), "{table}");
            // As a flipped bit has it.
            let flip = format!("UPDATE \"{table}\" SET row_sum = row_sum + 1 WHERE {key}");
            conn.execute(&flip, []).unwrap();
            let found = verify(&copy).findings;
            let named = found
                .iter()
                .filter(|finding| finding.location.starts_with(&format!("{table} row")));
            assert_eq!(named.count() as u64, rows.min(20), "{table}: {found:?}");
            if table == "record_table" {
                continue; // a definition that is none is a finding of its own
            }
            let change = format!("UPDATE \"{table}\" SET {column} = {other} WHERE {key}");
            conn.execute(&change, []).unwrap();
            let report = verify(&copy);
            let named = report
                .findings
                .iter()
                .filter(|finding| finding.what.starts_with("it does not have"));
            assert_eq!(named.count(), 0, "{table}: {:?}", report.findings);
            assert!(report.rows_without_checksum >= rows, "{table}");
            tables += usize::from(rows > 0);
        }
    }
    assert!(tables > 25, "{tables}");
}

/// A file of before has none, and SQLite alone alters no table beside one.
fn drop_views_over_blocks(conn: &Connection) {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'view' AND instr(sql, 'silt_') > 0";
    let mut statement = conn.prepare(sql).unwrap();
    let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let names: Vec<String> = names.map(Result::unwrap).collect();
    for name in &names {
        conn.execute_batch(&format!("DROP VIEW {name}")).unwrap();
    }
    if names.iter().any(|name| name == "numpy_array") {
        conn.execute_batch("ALTER TABLE numpy_array_rows RENAME TO numpy_array").unwrap();
    }
}

/// Goal: a file of before the sums is read as it is, and gets them with its first write, after a backup.
#[test]
fn an_old_file_is_read_and_gets_its_checksums() {
    let folder = tempfile::tempdir().unwrap();
    for path in files(folder.path()) {
        let conn = Connection::open(&path).unwrap();
        drop_views_over_blocks(&conn);
        for (table, ..) in covered(&conn) {
            let sql = format!(
                "DROP TRIGGER \"{table}_row_changed\"; ALTER TABLE \"{table}\" DROP COLUMN row_sum;"
            );
            conn.execute_batch(&sql).unwrap();
        }
        // What the newest two versions of memories made.
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger' \
            AND (sql LIKE '%INTO vector_stale%' OR name = 'episodes_late')";
        let mut statement = conn.prepare(sql).unwrap();
        let triggers = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let triggers: Vec<String> = triggers.map(Result::unwrap).collect();
        drop(statement);
        for trigger in triggers {
            conn.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
        }
        let tables = "DROP TABLE IF EXISTS vector_block; DROP TABLE IF EXISTS vector_stale";
        conn.execute_batch(tables).unwrap();
        let sql = "UPDATE siltstone_schema SET version = version - 1 - (store = 'memory')";
        conn.execute(sql, []).unwrap();
        drop(conn);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match &*name {
            "run.db" => {
                let db = SimulationDatabase::open_read_only(&path).unwrap();
                assert_eq!(db.updates("network").unwrap().len(), 152);
                db.state_at("network", "roads", 100).unwrap();
                SimulationDatabase::open(&path).unwrap().close().unwrap();
            }
            "sweep.db" => {
                let db = ExperimentDatabase::open_read_only(&path).unwrap();
                assert_eq!(db.simulations(Which::Filter("1")).unwrap().len(), 2);
                ExperimentDatabase::open(&path, "sweep").unwrap().close().unwrap();
            }
            "agent.db" => drop(MemoryStore::open(&path).unwrap()),
            "plant.db" => {
                let backend = SqliteBackend::open(&path).unwrap();
                assert_eq!(backend.load("flow").unwrap().0.len(), 1500);
            }
            _ => {
                let store = TickStore::new(config(&folder.path().join("ticks"))).unwrap();
                let all = store.get_ticks_in_range("EURUSD", i64::MIN, i64::MAX).unwrap();
                assert_eq!(all.len(), 700);
                let _ = store.store_tick("EURUSD", 1.0, 2.0, 1.0, "LP", now()).unwrap();
                store.stop().unwrap();
            }
        }
        let report = verify(&path);
        assert!(report.is_ok(), "{name}: {:?}", report.findings);
        assert_eq!(report.rows_without_checksum, 0, "{name}");
        assert!(!covered(&Connection::open(&path).unwrap()).is_empty(), "{name}");
        let backups = walk(folder.path()).into_iter().filter(|other| {
            other.file_name().unwrap().to_string_lossy().starts_with(&format!("{name}.before-"))
        });
        assert_eq!(backups.count(), 1, "{name}");
    }
}

/// Goal: a link that leads to another array, a block of another series: an error, and no other numbers.
#[test]
fn a_read_refuses_a_row_that_leads_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = simulation(folder.path());
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("PRAGMA foreign_keys=OFF").unwrap();
    let swap = "UPDATE attribute_data SET data_id = data_id + 1, row_sum = row_sum + 1 WHERE attribute_name = 'speed'";
    assert!(conn.execute(swap, []).unwrap() > 0);
    let db = SimulationDatabase::open_read_only(&path).unwrap();
    let error = db.updates("network").unwrap_err();
    assert!(matches!(&error, Error::Corrupt { why, .. } if why.contains("checksum")), "{error}");
    let path = series(folder.path());
    let conn = Connection::open(&path).unwrap();
    let swap = "UPDATE series_block SET least = 5, greatest = 6, row_sum = row_sum + 1 WHERE id = \
        (SELECT min(id) FROM series_block)";
    assert_eq!(conn.execute(swap, []).unwrap(), 1);
    let backend = SqliteBackend::open(&path).unwrap();
    let error = backend.load("flow").and(backend.load("other")).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { .. }), "{error}");
}

/// Makes the index of a table lead to its other rows: from the first key to the last row, and back.
fn twist(path: &Path, table: &str, key: &str) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(&format!(
        "CREATE TABLE twisted_{table} (id INTEGER PRIMARY KEY, {key}, UNIQUE ({key})); \
         INSERT INTO twisted_{table} SELECT (SELECT min(id) + max(id) FROM \"{table}\") - id, {key} FROM \"{table}\"; \
         PRAGMA writable_schema=ON; \
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = \
         'sqlite_autoindex_twisted_{table}_1') WHERE name = 'sqlite_autoindex_{table}_1';"
    ))
    .unwrap();
}

fn is_refused<T: std::fmt::Debug>(what: &str, read: siltstone::Result<T>) {
    match read {
        Err(Error::Corrupt { why, .. }) => assert!(why.contains("checksum"), "{what}: {why}"),
        other => panic!("{what}: {other:?}"),
    }
}

/// Goal: where a damaged index leads to another row, a read of arrays or blocks is an error, and no other numbers.
#[test]
fn a_read_refuses_an_index_that_leads_to_another_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = simulation(folder.path());
    let db = SimulationDatabase::open(&path).unwrap();
    db.store_initial_dataset("other", InitialData::Json(b"{}".to_vec()), true).unwrap();
    db.close().unwrap();
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("DELETE FROM simulation_keyframe; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(conn);
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    twist(&copy, "initial_dataset", "dataset_name");
    let db = SimulationDatabase::open_read_only(&copy).unwrap();
    is_refused("initial datasets", db.initial_dataset("network"));
    twist(&path, "update", "dataset_name, timestamp, iteration");
    let db = SimulationDatabase::open_read_only(&path).unwrap();
    is_refused("updates", db.updates("network"));
    is_refused("a state", db.state_at("network", "roads", 20));
    let batches = db.update_batches("network", "roads");
    is_refused("Arrow", batches.and_then(|batches| batches.collect_batches()));

    let path = ticks(folder.path());
    let base = folder.path().join("ticks");
    let store = TickStore::new(config(&base)).unwrap();
    let _ = store.store_tick("GBPUSD", 9.0, 9.5, 0.5, "LP", now()).unwrap();
    store.stop().unwrap();
    twist(&path, "tick_symbol", "symbol");
    let store = TickStore::new(config(&base));
    let read = store.and_then(|store| store.get_ticks_in_range("EURUSD", i64::MIN, i64::MAX));
    is_refused("ticks", read);
}

/// Goal: the check of a row is one of that row, whichever the planner looks at first: SQLite puts the value of an `=` in the
/// place of a column, and looks at rows of others where there is no index worth its while.
#[test]
fn a_read_of_one_symbol_takes_no_offence_at_another() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("ticks");
    let put = |store: &TickStore, symbol: &str, n: i64| {
        let times: Vec<i64> = (0..n).map(|i| now() + i).collect();
        let bid = vec![0.5; times.len()];
        let batch =
            TickBatch { symbol: Names::One(symbol), ..TickBatch::new("", &times, &bid, &bid) };
        store.store_ticks(&batch).unwrap();
    };
    let store = TickStore::new(config(&base)).unwrap();
    put(&store, "GBP/JPY", 2_100);
    put(&store, "EURUSD", 1);
    store.stop().unwrap();
    let store = TickStore::new(config(&base)).unwrap();
    for (symbol, n) in [("GBP/JPY", 2_100), ("EURUSD", 1)] {
        let found = store.get_ticks_in_range(symbol, i64::MIN, i64::MAX).unwrap();
        assert_eq!(found.len(), n, "{symbol}");
    }
    let path = experiment(folder.path());
    let db = ExperimentDatabase::open(&path, "sweep").unwrap();
    for name in ["a", "b"] {
        db.records(name, "agent_states", &Selection::all()).unwrap().collect_batches().unwrap();
    }
}
