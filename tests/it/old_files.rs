//! Files of earlier versions, which every later one opens.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use siltstone::series::StorageBackend;
use siltstone::{Handle, Value};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// The rows of a query as the folder's JSON has them.
fn rows(handle: &Handle, sql: &str) -> Vec<Json> {
    let cell = |value: Value| match value {
        Value::Null => Json::Null,
        Value::Integer(n) => n.into(),
        Value::Real(x) => x.into(),
        Value::Text(text) => text.into(),
        other => panic!("{other:?} in an answer to {sql}"),
    };
    let found = handle.sql(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    found.rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect()
}

/// Opens the stores that a file has, for writing: what is old in it becomes new.
fn bring_up_to_date(name: &str, handle: &Handle) {
    match name {
        "run.db" => drop(handle.simulation().unwrap()),
        "sweep.db" => drop(handle.experiment(Some("growth")).unwrap()),
        "series.db" => drop(handle.series().unwrap()),
        "agent.db" => drop(handle.memory().unwrap()),
        _ => {}
    }
}

/// Goal: a copy of each file that an earlier version wrote gives every row that it had, read only, and once it is brought up to
/// date; it verifies, and its points and ticks are the same by the calls of the library.
#[test]
fn files_of_earlier_versions_give_what_they_had() {
    let mut versions = 0;
    for version in fs::read_dir(folder()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        versions += 1;
        let copied = tempfile::tempdir().unwrap();
        copy(&version.path(), copied.path());
        let expected = fs::read_to_string(version.path().join("expected.json")).unwrap();
        let expected: Json = serde_json::from_str(&expected).unwrap();
        let compare = |name: &str, handle: &Handle, when: &str| {
            for query in expected[name].as_array().unwrap() {
                let found = rows(handle, query["sql"].as_str().unwrap());
                let expected = query["rows"].as_array().unwrap();
                let differ = found.iter().zip(expected).position(|(a, b)| a != b);
                let both = differ.map(|i| (&found[i], &expected[i]));
                assert!(both.is_none(), "{name} of {:?}, {when}: {both:?}", version.path());
                assert_eq!(found.len(), expected.len(), "{name}, {when}");
            }
        };
        for name in expected.as_object().unwrap().keys() {
            let path = copied.path().join(name);
            compare(name, &siltstone::open_read_only(&path).unwrap(), "read only");
            let handle = siltstone::open(&path).unwrap();
            bring_up_to_date(name, &handle);
            compare(name, &handle, "up to date");
            let report = handle.verify().unwrap();
            assert!(report.is_ok(), "{name}: {:?}", report.findings);
            match name.as_str() {
                "run.db" => {
                    arrays_compacted(&handle);
                    compare_part(name, &handle, &expected[name][0]);
                    assert!(handle.database().unwrap().expand().unwrap() > 0);
                }
                "series.db" => saved_anew(&handle),
                "ticks" => compacted_anew(&handle),
                _ => continue,
            }
            compare_part(name, &handle, &expected[name][0]);
        }
    }
    assert!(versions > 0, "there is no folder of files");
}

/// Puts each series in its own place once more, as it was read.
fn saved_anew(handle: &Handle) {
    let backend = handle.series().unwrap();
    for key in backend.list_keys("").unwrap() {
        let (series, metadata) = backend.load(&key).unwrap();
        backend.delete(&key).unwrap();
        backend.save(&key, &series, &metadata).unwrap();
    }
}

/// Compacts the arrays that are rows, beside a block of before.
fn arrays_compacted(handle: &Handle) {
    let report = handle.simulation().unwrap().compact(&mut |_, _| Ok(())).unwrap();
    assert!(report.blocks > 0, "some of them were rows");
}

/// Compacts the ticks that are rows, together with the blocks that they meet.
fn compacted_anew(handle: &Handle) {
    let store = handle.ticks().unwrap();
    assert!(store.compact_all().unwrap()[0].report.rows > 0, "some of them were rows");
}

fn compare_part(name: &str, handle: &Handle, query: &Json) {
    let found = rows(handle, query["sql"].as_str().unwrap());
    assert!(Json::from(found) == query["rows"], "{name}, after it was written anew");
    assert!(handle.verify().unwrap().is_ok(), "{name}, after it was written anew");
}
