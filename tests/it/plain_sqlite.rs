//! What SQLite alone reads of a file with blocks: all rows, or an error that names what it lacks. Never fewer rows.

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::types::Value as Plain;
use siltstone::experiment::{AgentAction, AgentState, Cell, ExperimentDatabase};
use siltstone::series::{Metadata, Series, SqliteBackend, StorageBackend};
use siltstone::simulation::SimulationDatabase;
use siltstone::ticks::{TickStore, TickStoreConfig};
use siltstone::{Array, Database, Handle, Value};

use crate::store::group;

pub(crate) type Table = Vec<Vec<String>>;

/// A store whose documented name was compacted in part.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// Writes its rows into a folder; the file.
    pub(crate) write: fn(&Path) -> PathBuf,
    /// Writes the same, half of it in blocks.
    pub(crate) write_half: fn(&Path) -> PathBuf,
    /// Compacts what it can of a file, which is opened for it.
    pub(crate) compact: fn(&Path),
    /// The documented SQL.
    pub(crate) sql: &'static [&'static str],
    /// The function that SQLite alone lacks.
    pub(crate) lacks: &'static str,
    /// A file of before: what it had in place of the view over blocks.
    before: &'static str,
}

const NEEDS: &str = "SELECT needs FROM siltstone_schema WHERE needs IS NOT NULL";
const NOON: i64 = 1_768_824_000_000_000_000; // 2026-01-19T12:00:00Z

fn tick_store(folder: &Path) -> TickStore {
    let config = TickStoreConfig {
        sqlite_base_path: folder.into(),
        compact_every: None,
        ..TickStoreConfig::production("b")
    };
    TickStore::new(config).unwrap()
}

fn put_ticks(folder: &Path, from: i64, n: i64) {
    let store = tick_store(folder);
    for i in from..from + n {
        let (symbol, bid) = (["EURUSD", "XAUUSD"][i as usize % 2], 1.0 + i as f64 / 1e5);
        let spread = if i % 3 == 0 { 0.25 } else { bid + 0.5 - bid };
        // Two of a kind at each time.
        let time = NOON + i / 4 * 1_000_000;
        let _ = store.store_tick(symbol, bid, bid + 0.5, spread, "YOFX", time).unwrap();
    }
    store.stop().unwrap();
}

fn day(folder: &Path) -> PathBuf {
    folder.join("2026/01/ticks_2026-01-19.db")
}

pub(crate) const TICKS: Subject = Subject {
    name: "ticks",
    write: |folder| {
        put_ticks(folder, 0, 300);
        day(folder)
    },
    write_half: |folder| {
        put_ticks(folder, 0, 150);
        (TICKS.compact)(&day(folder));
        put_ticks(folder, 150, 150);
        day(folder)
    },
    compact: |path| {
        let folder = path.ancestors().nth(3).unwrap();
        let store = tick_store(folder);
        store.compact("2026-01-19").unwrap();
        store.stop().unwrap();
    },
    sql: &[
        "SELECT symbol, count(*) FROM ticks GROUP BY symbol",
        "SELECT symbol, timestamp, bid, ask, spread, lp_source, time_ns, broker_id FROM ticks ORDER BY symbol, time_ns, bid",
        "SELECT bid, ask FROM ticks WHERE symbol = 'EURUSD' AND timestamp BETWEEN 1768824000010 AND 1768824000030 \
         ORDER BY bid",
    ],
    lacks: "no such table: main.silt_block",
    before: "DROP VIEW ticks; CREATE VIEW ticks AS SELECT s.symbol AS symbol, h.time_ns / 1000000 AS timestamp, h.bid, \
        h.ask, coalesce(h.spread, h.ask - h.bid) AS spread, 'YOFX' AS lp_source, h.time_ns, 'b' AS broker_id \
        FROM tick_rows h JOIN tick_symbol s ON s.id = h.symbol_id",
};

pub(crate) const RECORDS: Subject = Subject {
    name: "agent_states",
    write: |folder| {
        let path = folder.join("sweep.db");
        let db = ExperimentDatabase::open(&path, "exp").unwrap();
        for simulation in ["sim_0", "sim_1"] {
            let sim = db.create_simulation_context(simulation, Default::default()).unwrap();
            for step in 0..20 {
                let state = |agent_id, position_x| AgentState {
                    agent_id,
                    position_x,
                    position_y: 0.25,
                    resource_level: 3.5,
                    current_health: 90.0,
                    starting_health: 100.0,
                    starvation_counter: 1,
                    is_defending: step % 2 == 0,
                    total_reward: 0.5,
                    age: step,
                };
                let states = [state("a", 0.1), state("b", step as f64 / 3.0)];
                let action = AgentAction {
                    agent_id: "a",
                    action_type: "move",
                    step_number: step,
                    reward: Some(0.5),
                    ..AgentAction::default()
                };
                let none: [[Cell<'_>; 4]; 0] = [];
                sim.log_step(step, states, none, &[]).unwrap();
                sim.log_agent_action(&action).unwrap();
            }
            sim.complete().unwrap();
        }
        db.close().unwrap();
        path
    },
    write_half: |folder| {
        let path = (RECORDS.write)(folder);
        (RECORDS.compact)(&path);
        path
    },
    compact: |path| {
        let db = ExperimentDatabase::open(path, "exp").unwrap();
        db.compact("sim_0").unwrap();
        db.close().unwrap();
    },
    sql: &[
        "SELECT simulation_id, count(*), sum(age) FROM agent_states GROUP BY 1 ORDER BY 1",
        "SELECT * FROM agent_states ORDER BY simulation_id, step_number, agent_id",
        "SELECT * FROM agent_actions ORDER BY simulation_id, step_number",
        "SELECT * FROM simulation_steps ORDER BY simulation_id, step_number",
    ],
    lacks: "no such table: main.silt_block",
    before: "DROP VIEW agent_states; CREATE VIEW agent_states AS SELECT step AS step_number FROM agent_states_rows; \
        DROP VIEW agent_actions; CREATE VIEW agent_actions AS SELECT step AS step_number FROM agent_actions_rows; \
        DROP VIEW simulation_steps; CREATE VIEW simulation_steps AS SELECT step AS step_number FROM simulation_steps_rows",
};

pub(crate) const ARRAYS: Subject = Subject {
    name: "numpy_array",
    write: |folder| {
        let path = folder.join("run.db");
        let db = SimulationDatabase::open(&path).unwrap();
        store_updates(&db, 0..62);
        db.close().unwrap();
        path
    },
    write_half: |folder| {
        let path = folder.join("run.db");
        let db = SimulationDatabase::open(&path).unwrap();
        store_updates(&db, 0..60);
        db.compact(&mut |_, _| Ok(())).unwrap();
        store_updates(&db, 60..62);
        db.close().unwrap();
        path
    },
    compact: |path| {
        let db = SimulationDatabase::open(path).unwrap();
        db.compact(&mut |_, _| Ok(())).unwrap();
        db.close().unwrap();
    },
    sql: &[
        "SELECT id, dtype, shape, data FROM numpy_array ORDER BY id",
        "SELECT u.timestamp, a.attribute_name, n.dtype, n.shape, n.data FROM \"update\" u \
         JOIN update_attribute ua ON ua.update_id = u.id JOIN attribute_data a ON a.id = ua.attribute_data_id \
         JOIN numpy_array n ON n.id = a.data_id ORDER BY 1, 2",
    ],
    lacks: "no such function: silt_raw",
    before: "DROP VIEW numpy_array; ALTER TABLE numpy_array_rows RENAME TO numpy_array",
};

fn store_updates(db: &SimulationDatabase, times: std::ops::Range<i64>) {
    let ids: Vec<i64> = (0..50).collect();
    for t in times {
        let values: Vec<f64> = ids.iter().map(|i| (t * i % 24) as f64 / 7.0 + t as f64).collect();
        let columns = [("id", Array::from_slice(&ids)), ("speed", Array::from_slice(&values))];
        db.store_update(t, 0, "net", vec![group("roads", &columns)], None).unwrap();
    }
}

fn plain_rows(path: &Path, sql: &str) -> Result<Table, String> {
    let conn = rusqlite::Connection::open(path).unwrap();
    let read = || -> rusqlite::Result<Table> {
        let mut statement = conn.prepare(sql)?;
        let n = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..n).map(|i| row.get::<_, Plain>(i).map(|cell| format!("{cell:?}"))).collect()
        })?;
        rows.collect()
    };
    read().map_err(|error| error.to_string())
}

/// What SQLite's own shell says, or that of Python; `None` where there is neither.
fn system_sqlite(path: &Path, sql: &str) -> Option<Result<String, String>> {
    let file = path.to_str().unwrap();
    let python =
        "import sys, sqlite3\nprint(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall())";
    let shell = Command::new("sqlite3").args([file, sql]).output();
    let ran = shell.or_else(|_| Command::new("python3").args(["-c", python, file, sql]).output());
    let Ok(ran) = ran else {
        eprintln!("skipped: neither sqlite3 nor python3 is there");
        return None;
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(if ran.status.success() { Ok(text(&ran.stdout)) } else { Err(text(&ran.stderr)) })
}

pub(crate) fn our_rows(db: &Database, sql: &str) -> Table {
    let cell = |value: Value| match value {
        Value::Null => format!("{:?}", Plain::Null),
        Value::Integer(n) => format!("{:?}", Plain::Integer(n)),
        Value::Real(x) => format!("{:?}", Plain::Real(x)),
        Value::Text(text) => format!("{:?}", Plain::Text(text)),
        Value::Blob(bytes) => format!("{:?}", Plain::Blob(bytes)),
        other => panic!("{other:?}"),
    };
    db.sql(sql).unwrap().rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect()
}

pub(crate) fn open(path: &Path) -> Database {
    Database::builder(path).open_read_only().unwrap()
}

fn assert_whole(path: &Path) {
    let report = open(path).verify().unwrap();
    assert!(report.is_ok(), "{:?}", report.findings);
}

/// Asserts that plain SQLite refuses the names, and that ours reads all rows.
fn assert_refused_and_whole(subject: &Subject, path: &Path, before: &[Table]) {
    for (sql, before) in subject.sql.iter().zip(before) {
        let error = plain_rows(path, sql).expect_err(sql);
        assert!(error.contains(subject.lacks), "{error}");
        if let Some(ran) = system_sqlite(path, sql) {
            let error = ran.expect_err(sql);
            assert!(error.contains(subject.lacks), "{error}");
        }
        assert_eq!(&our_rows(&open(path), sql), before, "{sql}");
    }
    let needs = plain_rows(path, NEEDS).unwrap();
    assert_eq!(needs.len(), 1, "{needs:?}");
    let ways =
        ["silt query FILE", "siltstone.open(FILE)", "sqlite_extension_path()", "silt expand FILE"];
    for word in [subject.name].into_iter().chain(ways) {
        assert!(needs[0][0].contains(word), "{word} in {needs:?}");
    }
    assert_whole(path);
}

/// What plain SQLite reads of the rows, before any of them is compacted.
fn plain_before(subject: &Subject) -> Vec<Table> {
    let folder = tempfile::tempdir().unwrap();
    let path = (subject.write)(folder.path());
    assert_eq!(plain_rows(&path, NEEDS).unwrap(), Table::new());
    let before: Vec<Table> =
        subject.sql.iter().map(|sql| plain_rows(&path, sql).unwrap()).collect();
    assert!(before.iter().all(|table| !table.is_empty()));
    before
}

/// Goal: of a file half rows and half blocks plain SQLite gives an error and not fewer rows; ours is equal row by row; after
/// an expansion plain SQLite reads everything.
#[test]
fn a_name_with_blocks_is_refused_by_plain_sqlite_until_it_is_expanded() {
    for subject in [TICKS, RECORDS, ARRAYS] {
        let before = plain_before(&subject);
        let folder = tempfile::tempdir().unwrap();
        let path = (subject.write_half)(folder.path());
        assert_refused_and_whole(&subject, &path, &before);

        let db = Database::builder(&path).open().unwrap();
        assert!(db.expand().unwrap() > 0);
        assert_eq!(db.expand().unwrap(), 0);
        for (sql, before) in subject.sql.iter().zip(&before) {
            assert_eq!(&plain_rows(&path, sql).unwrap(), before, "{sql}");
            assert_eq!(&our_rows(&db, sql), before, "{sql}");
        }
        db.close().unwrap();
        assert_eq!(plain_rows(&path, NEEDS).unwrap(), Table::new());
        assert_whole(&path);
        // And the other way again.
        (subject.compact)(&path);
        assert_refused_and_whole(&subject, &path, &before);
    }
}

/// Goal: a file of the version before, in which plain SQLite saw less, is read as a whole, and gets the view over blocks
/// when it is opened for writing.
#[test]
fn a_file_of_before_gets_the_view_over_blocks() {
    for subject in [TICKS, RECORDS, ARRAYS] {
        let before = plain_before(&subject);
        let folder = tempfile::tempdir().unwrap();
        let path = (subject.write_half)(folder.path());
        let conn = rusqlite::Connection::open(&path).unwrap();
        conn.execute_batch(&format!(
            "{}; ALTER TABLE siltstone_schema DROP COLUMN needs; UPDATE siltstone_schema SET version = version - 1",
            subject.before
        ))
        .unwrap();
        drop(conn);
        assert_ne!(plain_rows(&path, subject.sql[0]).as_ref(), Ok(&before[0]));
        for (sql, before) in subject.sql.iter().zip(&before) {
            assert_eq!(&our_rows(&open(&path), sql), before, "{sql}");
        }
        (subject.compact)(&path);
        assert_refused_and_whole(&subject, &path, &before);
    }
}

fn execute(db: &Database, sql: &str) {
    db.transaction(|| db.execute(sql, &[])).unwrap();
}

/// Goal: the documented INSERT works on either form of a name, where our functions are.
#[test]
fn the_documented_insert_works_over_rows_and_over_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = (TICKS.write)(folder.path());
    let insert = "INSERT INTO ticks (symbol, timestamp, bid, ask, spread, lp_source) VALUES ('ABC', 1768824000500, 1, 2, 1, 'x')";
    let count = "SELECT count(*) FROM ticks WHERE symbol = 'ABC'";
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute(insert, []).unwrap();
    drop(conn);
    (TICKS.compact)(&path);
    let db = Database::builder(&path).open().unwrap();
    execute(&db, insert);
    assert_eq!(db.sql(count).unwrap().rows, [[Value::Integer(2)]]);
    db.expand().unwrap();
    execute(&db, insert);
    assert_eq!(db.sql(count).unwrap().rows, [[Value::Integer(3)]]);
    assert!(db.verify().unwrap().is_ok());

    let path = (ARRAYS.write)(folder.path());
    (ARRAYS.compact)(&path);
    let db = Database::builder(&path).open().unwrap();
    let insert =
        "INSERT INTO numpy_array (dtype, shape, data) VALUES ('<i8', '[1]', x'0700000000000000')";
    execute(&db, insert);
    let last = "SELECT data FROM numpy_array ORDER BY id DESC LIMIT 1";
    assert_eq!(db.sql(last).unwrap().rows, [[Value::Blob(vec![7, 0, 0, 0, 0, 0, 0, 0])]]);
}

/// Goal: the points of a series, which are always in blocks, are a documented name in the file: plain SQLite names what it
/// lacks, and the file says what to do.
#[test]
fn the_points_of_series_are_refused_by_plain_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plant.db");
    let backend = SqliteBackend::open(&path).unwrap();
    let series = Series::from_times_ns(&[0, 1, 2], &[0.5, 1.5, 2.5]).unwrap();
    backend.save("flow", &series, &Metadata::new()).unwrap();
    drop(backend);
    let sql = "SELECT key, value FROM time_series_data ORDER BY idx";
    let error = plain_rows(&path, sql).unwrap_err();
    assert!(error.contains("no such table: main.silt_block"), "{error}");
    let db = open(&path);
    assert_eq!(our_rows(&db, sql).len(), 3);
    let needs = our_rows(&db, "SELECT needs FROM siltstone_schema");
    assert!(
        needs[0][0].contains("time_series_data") && !needs[0][0].contains("expand"),
        "{needs:?}"
    );
    assert_whole(&path);
}

/// Goal: a folder of ticks is compacted and expanded as one, late ticks in their order.
#[test]
fn a_folder_of_ticks_is_expanded() {
    let folder = tempfile::tempdir().unwrap();
    put_ticks(folder.path(), 0, 100);
    (TICKS.compact)(&day(folder.path()));
    put_ticks(folder.path(), 0, 10);
    let db = siltstone::open(folder.path()).unwrap();
    let Handle::Ticks(store) = &db else { panic!() };
    let read = || store.get_ticks_in_range("EURUSD", i64::MIN, i64::MAX).unwrap();
    let before = read();
    assert_eq!(before.len(), 55);
    assert_eq!(db.expand().unwrap(), 100);
    let after = read();
    assert_eq!((&after.time_ns, &after.bid), (&before.time_ns, &before.bid));
    assert_eq!(db.expand().unwrap(), 0);
    db.close().unwrap();
    let count = "SELECT count(*) FROM ticks";
    assert_eq!(plain_rows(&day(folder.path()), count).unwrap(), [["Integer(110)"]]);
    assert!(siltstone::ticks::doctor(folder.path()).unwrap().is_ok());
}

/// A kill and an I/O fault at each system call of a compaction and an expansion.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod faults {
    use super::*;
    use crate::child::mission;
    use crate::file_faults::{each_trouble_of, report};
    use crate::syscalls::arm;

    #[test]
    #[ignore = "run by the tests of this module"]
    fn compacts_ticks() {
        let Some((folder, _)) = mission() else { return };
        let store = tick_store(&folder);
        arm();
        report(0, store.compact("2026-01-19"));
        report(1, store.expand());
        drop(store.stop());
    }

    #[test]
    #[ignore = "run by the tests of this module"]
    fn compacts_records() {
        let Some((folder, _)) = mission() else { return };
        let db = ExperimentDatabase::open(folder.join("sweep.db"), "exp").unwrap();
        arm();
        report(0, db.compact("sim_0"));
        report(1, db.database().expand());
        drop(db.close());
    }

    #[test]
    #[ignore = "run by the tests of this module"]
    fn compacts_arrays() {
        let Some((folder, _)) = mission() else { return };
        let db = SimulationDatabase::open(folder.join("run.db")).unwrap();
        arm();
        report(0, db.compact(&mut |_, _| Ok(())));
        report(1, db.database().expand());
        drop(db.close());
    }

    /// Goal: a kill or an I/O fault within the transaction that changes a name leaves one of its two forms, with all rows.
    fn one_of_two_forms(subject: &Subject, child: &str, file: &str) {
        let before = plain_before(subject);
        let write = |folder: &Path| drop((subject.write)(folder));
        each_trouble_of(&format!("plain_sqlite::faults::{child}"), 25, write, |folder, _| {
            let path = folder.join(file);
            let forms = subject.sql.iter().zip(&before).map(|(sql, before)| {
                let plain = plain_rows(&path, sql);
                match &plain {
                    Ok(rows) => assert_eq!(rows, before, "{sql}"),
                    Err(error) => assert!(error.contains(subject.lacks), "{error}"),
                }
                assert_eq!(&our_rows(&open(&path), sql), before, "{sql}");
                plain.is_ok()
            });
            let forms: Vec<bool> = forms.collect();
            assert!(forms.iter().all(|form| *form == forms[0]), "{forms:?}");
            assert_eq!(plain_rows(&path, NEEDS).unwrap().is_empty(), forms[0]);
            assert_whole(&path);
        });
    }

    #[test]
    fn a_compaction_of_ticks_that_is_cut_off_leaves_all_rows() {
        one_of_two_forms(&TICKS, "compacts_ticks", "2026/01/ticks_2026-01-19.db");
    }

    #[test]
    fn a_compaction_of_records_that_is_cut_off_leaves_all_rows() {
        one_of_two_forms(&RECORDS, "compacts_records", "sweep.db");
    }

    #[test]
    fn a_compaction_of_arrays_that_is_cut_off_leaves_all_rows() {
        one_of_two_forms(&ARRAYS, "compacts_arrays", "run.db");
    }
}
