//! Names of tables that a user gives, beside those that a store needs for itself.

use std::collections::BTreeSet;
use std::path::Path;

use siltstone::experiment::{Cell, ExperimentDatabase, RecordSchema};
use siltstone::memory::MemoryStore;
use siltstone::series::{Series, SqliteBackend, StorageBackend};
use siltstone::simulation::SimulationDatabase;
use siltstone::{Database, Error, Value};

use crate::plain_sqlite::{ARRAYS, RECORDS, TICKS};

/// Files that have the tables of every store, as rows and as blocks.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for (n, subject) in [TICKS, RECORDS, ARRAYS].iter().enumerate() {
        for (form, write) in [subject.write, subject.write_half].into_iter().enumerate() {
            let folder = folder.join(format!("{n}{form}"));
            std::fs::create_dir(&folder).unwrap();
            files.push(write(&folder));
        }
    }
    let path = folder.join("other.db");
    let db = Database::builder(&path).open().unwrap();
    MemoryStore::over(db.clone()).unwrap().create_tables().unwrap();
    let series = Series::from_times_ns(&[0, 60_000_000_000], &[1.5, 1.6]).unwrap();
    SqliteBackend::over(db.clone()).unwrap().save("flow", &series, &Default::default()).unwrap();
    #[cfg(feature = "lake")]
    {
        let (handle, lake) = (siltstone::Handle::File(db.clone()), folder.join("lake"));
        let options = siltstone::lake::PublishOptions::default();
        siltstone::lake::publish(&handle, lake.to_str().unwrap(), &options, &mut |_, _| Ok(()))
            .unwrap();
    }
    db.close().unwrap();
    files.push(path);
    files
}

fn texts(db: &Database, sql: &str) -> Vec<String> {
    let text = |row: &Vec<Value>| match &row[0] {
        Value::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    db.sql(sql).unwrap().rows.iter().map(text).collect()
}

/// Goal: no table that a user names can take a name of any table, view or index that a store makes, whether the file has
/// that store or not: it would keep the store out of the file.
#[test]
fn no_name_of_a_store_can_be_given_to_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let (mut stores, mut names) = (BTreeSet::new(), BTreeSet::new());
    for path in files(folder.path()) {
        let db = Database::builder(&path).open_read_only().unwrap();
        stores.extend(texts(&db, "SELECT store FROM siltstone_schema"));
        names.extend(texts(&db, "SELECT name FROM sqlite_schema WHERE type <> 'trigger'"));
        names.extend(texts(&db, "SELECT name FROM pragma_module_list"));
    }
    let mut expected = BTreeSet::from(["simulation", "experiment", "memory", "ticks", "series"]);
    if cfg!(feature = "lake") {
        expected.insert("publish");
    }
    assert_eq!(stores, expected.iter().map(|store| (*store).to_owned()).collect());
    for name in ["episodes", "idx_concepts_access_count", "numpy_array_rows", "silt_block", "ticks"]
    {
        assert!(names.contains(name), "{name}: {names:?}");
    }
    // SQLite lists these only once they are used.
    names.extend(["json_each", "json_tree", "pragma_table_info"].map(str::to_owned));

    let path = folder.path().join("new.db");
    let db = ExperimentDatabase::open(&path, "exp").unwrap();
    let sim = db.create_simulation_context("a", Default::default()).unwrap();
    let before = texts(db.database(), "SELECT name FROM sqlite_schema");
    for name in &names {
        let upper = name.to_uppercase();
        let with_rows = name.strip_suffix("_rows");
        for name in [name.as_str(), &upper].into_iter().chain(with_rows) {
            let made = RecordSchema::new(name, &[("x", "int64")])
                .and_then(|schema| sim.define_table(&schema));
            let error = made.expect_err(name);
            assert!(
                matches!(error, Error::Invalid { .. } | Error::Exists { .. })
                    && error.to_string().contains(name),
                "{name}: {error}"
            );
        }
    }
    assert_eq!(texts(db.database(), "SELECT name FROM sqlite_schema"), before);
    let schema = |name| RecordSchema::new(name, &[("x", "int64")]).unwrap();
    let error = sim.define_tables(&[schema("fine"), schema("concepts")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the name of table \"concepts\": expected one that neither SQLite nor a store may need for itself, got \"concepts\""
    );
    assert_eq!(texts(db.database(), "SELECT name FROM sqlite_schema"), before);
    sim.define_tables(&[schema("fine"), schema("fine"), schema("also_fine")]).unwrap();
    sim.log("fine", 0, &[("x", Cell::Int(1))]).unwrap();
    drop(sim);
    // Every store has its place beside them.
    let db = db.database();
    MemoryStore::over(db.clone()).unwrap().create_tables().unwrap();
    SimulationDatabase::over(db.clone(), Default::default())
        .unwrap()
        .store_update(0, 0, "d", Vec::new(), None)
        .unwrap();
    let series = Series::from_times_ns(&[0, 60_000_000_000], &[1.5, 1.6]).unwrap();
    SqliteBackend::over(db.clone()).unwrap().save("flow", &series, &Default::default()).unwrap();
    assert!(db.verify().unwrap().is_ok());
}

/// Goal: a store that finds a name of its tables taken, in a file of before or by a table of the user's own, says which
/// name that is and what to do; the file goes on as it was.
#[test]
fn a_store_says_which_name_is_in_its_way() {
    let folder = tempfile::tempdir().unwrap();
    for (name, sql) in [
        ("concepts", "CREATE TABLE concepts (x)"),
        ("concepts", "CREATE VIEW Concepts AS SELECT 1 AS x"),
        ("memory_limit", "CREATE TABLE memory_limit (x)"),
        ("idx_episodes_timestamp", "CREATE TABLE idx_episodes_timestamp (x)"),
    ] {
        let path = folder.path().join(format!("{}.db", sql.len()));
        let db = ExperimentDatabase::open(&path, "exp").unwrap();
        db.create_simulation_context("a", Default::default()).unwrap().complete().unwrap();
        let db = db.database();
        db.transaction(|| db.execute(sql, &[])).unwrap();
        let error = MemoryStore::over(db.clone()).unwrap().create_tables().unwrap_err();
        let expected = format!(
            "something else named {name:?}, which the memory store needs, is already in {}; use another file for that \
             store",
            path.display()
        );
        assert_eq!(error.to_string(), expected);
        assert!(texts(db, "SELECT store FROM siltstone_schema") == ["experiment"]);
        let experiment = ExperimentDatabase::over(db.clone(), Some("exp")).unwrap();
        experiment.create_simulation_context("b", Default::default()).unwrap().complete().unwrap();
        assert!(db.verify().unwrap().is_ok());
    }
}
