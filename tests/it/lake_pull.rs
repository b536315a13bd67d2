//! Bringing tables of a lake back: what is pulled is what was published.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::{Float32Type, Int32Type};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, DurationNanosecondArray, Float32Array, Float64Array,
    Int8Array, Int32Array, Int64Array, PrimitiveArray, StringArray, TimestampMicrosecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use serde_json::{Value, json};
use siltstone::array::Array;
use siltstone::experiment::{Cell, ExperimentDatabase, RecordSchema, Selection, SimulationOptions};
use siltstone::lake::{PullOptions, PullReport, pull, tables};
use siltstone::memory::{NewConcept, NewEpisode, NewLearningEvent, NewRelationship, Payload};
use siltstone::series::{IndexMetadata, Metadata, Series, StorageBackend};
use siltstone::ticks::{TickStore, TickStoreConfig};
use siltstone::{Error, Handle};

use crate::lake_read::{DAY, NOON, SECOND, data, file, put, send};

/// Of each table, the rows of all its files and the sum of their hashes: what is the same, however it is divided.
fn content(lake: &Path) -> BTreeMap<String, (u64, u128)> {
    let mut content = BTreeMap::new();
    for table in tables(lake.to_str().unwrap()).unwrap() {
        let mut files: BTreeMap<String, Value> = BTreeMap::new();
        for version in 0..=table.version {
            let path = lake.join(&table.name).join(format!("_delta_log/{version:020}.json"));
            for line in std::fs::read_to_string(path).unwrap().lines() {
                let action: Value = serde_json::from_str(line).unwrap();
                if let Some(remove) = action.get("remove") {
                    files.remove(remove["path"].as_str().unwrap());
                } else if let Some(add) = action.get("add") {
                    files.insert(add["path"].as_str().unwrap().into(), add["tags"].clone());
                }
            }
        }
        let (mut rows, mut sum) = (0, 0u128);
        for tags in files.values() {
            rows += tags["siltstone_rows"].as_str().unwrap().parse::<u64>().unwrap();
            let hash = tags["siltstone_hash"].as_str().unwrap();
            sum = sum.wrapping_add(u128::from_str_radix(hash, 16).unwrap());
        }
        content.insert(table.name, (rows, sum));
    }
    content
}

pub(crate) fn bring(
    lake: &Path,
    target: &Path,
    change: impl FnOnce(&mut PullOptions),
) -> Result<PullReport, Error> {
    let mut options = PullOptions::default();
    change(&mut options);
    pull(lake.to_str().unwrap(), target, &options, &mut |_, _| Ok(()))
}

fn only(options: &mut PullOptions, table: &str) {
    options.tables.push(table.into());
}

/// What is pulled, published once more.
pub(crate) fn again(lake: &Path, folder: &Path, change: impl FnOnce(&mut PullOptions)) -> Handle {
    let pulled = folder.join("pulled");
    bring(lake, &pulled, change).unwrap();
    let handle = siltstone::open(&pulled).unwrap();
    send(&handle, &folder.join("again"));
    assert_eq!(content(&folder.join("again")), content(lake));
    assert!(handle.verify().unwrap().is_ok());
    handle
}

/// Goal: memories come back with their numbers, and nothing of a row is lost.
#[test]
fn memories_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let db = siltstone::open(folder.path().join("agent.db")).unwrap();
    let memory = db.memory().unwrap();
    let mut ids = Vec::new();
    for n in 0..50 {
        let mut episode = NewEpisode::new(Payload::from("seen"), f64::from(n), "maze")
            .timestamp(f64::from(n) + 0.25)
            .metadata(format!(r#"{{"n": {n}}}"#));
        if n % 2 == 0 {
            episode = episode.embedding(Array::from_slice(&[f64::from(n), -0.5, 1e-300]));
        }
        if n % 3 == 0 {
            episode = episode.priority(f64::from(n) / 7.0);
        }
        ids.push(memory.store_episode(episode).unwrap());
        memory
            .store_concept(NewConcept::new(
                format!("c{n}"),
                Array::from_slice(&[1.5, f64::from(n)]),
            ))
            .unwrap();
        memory.store_learning_event(NewLearningEvent::new("maze", f64::from(n), "s")).unwrap();
    }
    memory.delete_episodes(&ids[10..20]).unwrap();
    for target_id in 2..9 {
        let (source_id, strength) = (1, 0.5);
        let relationship_type = "near".into();
        let new = NewRelationship { source_id, target_id, relationship_type, strength };
        memory.add_concept_relationship(new).unwrap();
    }
    send(&db, &lake);
    let pulled = again(&lake, folder.path(), |_| {});
    let back = pulled.memory().unwrap();
    assert_eq!(back.stats().unwrap().episodes, 40);
    for id in ids {
        assert_eq!(back.retrieve_episode(id).unwrap(), memory.retrieve_episode(id).unwrap());
    }
    let new = back.store_episode(NewEpisode::new(Payload::from("new"), 0.0, "maze")).unwrap();
    assert_eq!(new, 51, "a number is not used again");
}

fn zoned<T: arrow_array::types::ArrowTimestampType>(array: PrimitiveArray<T>) -> ArrayRef {
    Arc::new(array.with_timezone("Europe/Berlin"))
}

/// Series of all kinds of index and values.
fn kinds() -> Vec<(&'static str, Series)> {
    let times =
        || Arc::new(TimestampNanosecondArray::from(vec![i64::MIN, NOON + 400 * DAY, i64::MAX]));
    let values = || Arc::new(Float64Array::from(vec![Some(1.5), None, Some(f64::NAN)])) as ArrayRef;
    let of = |values: ArrayRef| Series::new(times(), values).unwrap();
    let by = |index: ArrayRef| Series::new(index, values()).unwrap();
    let category = r#"category:{"categories": ["wet", "dry"], "dtype": "object"}"#;
    let known = IndexMetadata {
        kind: "DatetimeIndex".into(),
        name: Some("when".into()),
        frequency: Some("400D".into()),
        ..IndexMetadata::default()
    };
    vec![
        ("float", of(values()).with_name("flow").with_index_metadata(known)),
        ("float32", of(Arc::new(Float32Array::from(vec![1.1, -0.0, f32::MIN_POSITIVE / 2.0])))),
        ("int8", of(Arc::new(Int8Array::from(vec![Some(-1), None, Some(127)])))),
        ("int64", of(Arc::new(Int64Array::from(vec![i64::MIN, 0, i64::MAX])))),
        ("uint64", of(Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(1)])))),
        ("small uint64", of(Arc::new(UInt64Array::from(vec![Some(2), None, Some(1)])))),
        ("bool", of(Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])))),
        ("text", of(Arc::new(StringArray::from(vec![Some(""), None, Some("\u{fc}")])))),
        ("bytes", of(Arc::new(BinaryArray::from(vec![&b"\0"[..], b"", b"x"])))),
        ("span", of(Arc::new(DurationNanosecondArray::from(vec![-1, 0, 1])))),
        ("moment", of(zoned(TimestampSecondArray::from(vec![Some(1), None, Some(-1)])))),
        (
            "category",
            of(Arc::new(Int32Array::from(vec![Some(1), None, Some(0)])))
                .with_dtype(Some(category.into())),
        ),
        ("by zoned time", by(zoned(TimestampMicrosecondArray::from(vec![1, 2, 3])))),
        ("by late time", by(zoned(TimestampMicrosecondArray::from(vec![3, 1, 2])))),
        ("by integer", by(Arc::new(PrimitiveArray::<Int32Type>::from(vec![5, -5, 5])))),
        ("by float", by(Arc::new(PrimitiveArray::<Float32Type>::from(vec![0.1, f32::NAN, 0.3])))),
        ("by text", by(Arc::new(StringArray::from(vec!["b", "a", ""])))),
        ("none", of(values()).slice(0, 0)),
    ]
}

/// Goal: a series of each kind comes back bit for bit, with what is known of it.
#[test]
fn series_of_every_kind_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let db = siltstone::open(folder.path().join("series.db")).unwrap();
    let series = db.series().unwrap();
    let metadata: Metadata = serde_json::from_value(json!({"unit": "m", "n": [1, null]})).unwrap();
    for (key, points) in kinds() {
        series.save(key, &points, &metadata).unwrap();
    }
    series.save("int8", &kinds()[2].1, &metadata).unwrap(); // it gets another number
    send(&db, &lake);
    let pulled = again(&lake, folder.path(), |_| {});
    let back = pulled.series().unwrap();
    assert_eq!(back.list_keys("").unwrap(), series.list_keys("").unwrap());
    for (key, points) in kinds() {
        assert_eq!(back.load(key).unwrap(), (points, metadata.clone()), "{key}");
        assert_eq!(back.info(key).unwrap(), series.info(key).unwrap(), "{key}");
    }
}

/// Goal: a series of many batches and years comes back in its order.
#[test]
fn a_long_series_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let db = siltstone::open(folder.path().join("series.db")).unwrap();
    let times: Vec<i64> = (0..200_000).map(|n| NOON + n / 3 * 3_600 * SECOND).collect();
    let values: Vec<f64> = (0..200_000).map(f64::from).collect();
    let points = Series::from_times_ns(&times, &values).unwrap();
    db.series().unwrap().save("flow", &points, &Metadata::new()).unwrap();
    send(&db, &lake);
    assert!(data(&lake.join("series_points")).len() > 5);
    let pulled = again(&lake, folder.path(), |_| {});
    assert_eq!(pulled.series().unwrap().load("flow").unwrap().0, points);
}

/// Goal: ticks of several brokers come back, each with its own.
#[test]
fn ticks_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (base, lake) = (folder.path().join("db"), folder.path().join("lake"));
    put(&base, NOON, 3_000);
    put(&base, NOON + DAY, 100);
    let other = TickStore::new(TickStoreConfig {
        sqlite_base_path: base.clone(),
        ..TickStoreConfig::production("another")
    })
    .unwrap();
    let _ = other.store_tick("EURUSD", 1.0, 2.0, 7.5, "LP", NOON + 1).unwrap();
    other.stop().unwrap();
    send(&siltstone::open_read_only(&base).unwrap(), &lake);
    let pulled = again(&lake, folder.path(), |_| {});
    assert!(matches!(pulled, Handle::Ticks(_)));

    let part = folder.path().join("part");
    let report = bring(&lake, &part, |options| {
        options.filters =
            vec![("symbol".into(), "EURUSD".into()), ("day".into(), "2026-01-19".into())];
    });
    let report = report.unwrap();
    assert_eq!((report.tables["ticks"], report.files), (3_001, 1), "the others are not read");
    let ticks = TickStore::open_read_only(&part).unwrap();
    assert_eq!(ticks.get_ticks_in_range("EURUSD", 0, i64::MAX).unwrap().len(), 3_001);
}

/// Goal: what cannot be brought back as it was is refused, says what decides, and leaves nothing.
#[test]
fn what_cannot_be_brought_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (base, lake, target) = (path("db"), path("lake"), path("new"));
    put(&base, NOON, 100);
    let ticks = siltstone::open_read_only(&base).unwrap();
    send(&ticks, &lake);
    let (a, b) = (file(&path("a.db")), file(&path("b.db")));
    send(&a, &lake);
    send(&b, &lake);
    let refused = |change: fn(&mut PullOptions)| {
        let error = bring(&lake, &target, change).unwrap_err().to_string();
        assert!(!target.exists(), "{error}");
        error
    };
    assert!(refused(|_| {}).contains("ticks alone"));
    let error = refused(|options| only(options, "series"));
    assert!(error.contains("\"flow\"") && error.contains("--store ID"), "{error}");
    let error = refused(|options| only(options, "learning_events"));
    assert!(error.contains("memories") && error.contains("--store ID"), "{error}");
    assert!(refused(|options| only(options, "serie")).contains("table \"serie\" is not in"));
    assert!(refused(|options| options.store = Some("x".into())).contains("none in"));
    for symbol in ["A", "H"] {
        let error = bring(&lake, &target, |options| {
            only(options, "ticks");
            options.filters = vec![("symbol".into(), symbol.into())];
        });
        assert!(
            error.unwrap_err().to_string().contains("none in"),
            "also between those that are there"
        );
    }
    let error = refused(|options| {
        only(options, "ticks");
        options.filters = vec![("key".into(), "flow".into())];
    });
    assert!(error.contains("column \"key\" is not in the table ticks"), "{error}");

    let all = tables(lake.to_str().unwrap()).unwrap();
    let series = all.iter().find(|table| table.name == "series").unwrap();
    for (n, sender) in series.senders.iter().enumerate() {
        let own = path(&format!("{n}.db"));
        let report = bring(&lake, &own, |options| options.store = Some(sender.store_id.clone()));
        let rows: Vec<_> = report.unwrap().tables.into_values().collect();
        assert_eq!(rows, [10, 2, 4]);
        let error = bring(&lake, &own, |options| only(options, "ticks")).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }), "{error}");
    }

    // A copy that publishes under a name of its own has the same ticks.
    let options = {
        let mut options = siltstone::lake::PublishOptions::default();
        options.new_identity = true;
        options
    };
    siltstone::lake::publish(&ticks, lake.to_str().unwrap(), &options, &mut |_, _| Ok(())).unwrap();
    let error = refused(|options| only(options, "ticks"));
    assert!(error.contains("EURUSD on 2026-01-19") || error.contains(" on 2026-01-19"), "{error}");
    assert!(error.contains("--store ID"), "{error}");

    // A data file that is another one.
    let files = data(&lake.join("learning_events"));
    std::fs::copy(&files[0], &files[1]).unwrap();
    let mut options = PullOptions::default();
    only(&mut options, "learning_events");
    let stop = pull(lake.to_str().unwrap(), &target, &options, &mut |_, _| {
        Err(Error::Interrupted { action: "pulling" })
    });
    assert!(matches!(stop, Err(Error::Interrupted { .. })));
    assert!(!target.exists());
    let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("partial")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Goal: a data file that does not have the rows that the log says is not taken.
#[test]
fn a_damaged_data_file_is_not_pulled() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    send(&file(&folder.path().join("a.db")), &lake);
    let files = data(&lake.join("series_points"));
    std::fs::copy(&files[0], &files[1]).unwrap();
    let target = folder.path().join("new.db");
    let error = bring(&lake, &target, |options| only(options, "series")).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. } | Error::Invalid { .. }), "{error}");
    assert!(!target.exists());
}

/// Goal: simulations come back with their numbers, parameters and records of every type, those of tables of one's own too.
#[test]
fn simulations_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let db = siltstone::open(folder.path().join("sweep.db")).unwrap();
    let experiments = db.experiment(Some("sweep")).unwrap();
    let columns = [
        ("sensor", "category"),
        ("x", "float32"),
        ("n", "uint8"),
        ("at", "datetime64[ns]"),
        ("is_on", "bool"),
        ("note", "text"),
    ];
    let schema = RecordSchema::new("temperature", &columns).unwrap().with_key("sensor").unwrap();
    for n in 0..40 {
        let options = SimulationOptions::default().parameters(&json!({"n": n, "x": 0.5})).unwrap();
        let run = experiments.create_simulation_context(&format!("run {n}"), options).unwrap();
        run.define_table(&schema).unwrap();
        for step in 0..20 {
            run.log_metric("loss", step as f64 / 3.0, Some(step)).unwrap();
            let mut cells = vec![("sensor", Cell::Text("a")), ("x", Cell::Float(0.5))];
            match step % 2 {
                0 => cells.extend([("n", Cell::Int(255)), ("at", Cell::Int(NOON))]),
                _ => cells.extend([("note", Cell::Text("")), ("is_on", Cell::Bool(true))]),
            }
            run.log("temperature", step, &cells).unwrap();
        }
        match n % 3 {
            0 => run.fail("it diverged").unwrap(),
            _ => run.complete().unwrap(),
        }
    }
    for n in 0..5 {
        experiments.delete_simulation(&format!("run {}", 7 * n)).unwrap();
    }
    experiments.close().unwrap();
    send(&db, &lake);
    let pulled = again(&lake, folder.path(), |_| {});
    let back = pulled.experiment(None).unwrap();
    let own = db.experiment(None).unwrap();
    assert_eq!(back.simulation_ids().unwrap(), own.simulation_ids().unwrap());
    for id in ["run 1", "run 39"] {
        let of = |db: &ExperimentDatabase| {
            let batches = db.records(id, "temperature", &Selection::all()).unwrap();
            (batches.schema().clone(), batches.collect_batches().unwrap())
        };
        assert_eq!(of(&back), of(&own));
    }

    let one = folder.path().join("one.db");
    let report = bring(&lake, &one, |options| {
        only(options, "temperature");
        options.filters = vec![("simulation_id".into(), "run 39".into())];
    });
    let rows = report.unwrap().tables;
    assert_eq!(rows, BTreeMap::from([("runs".into(), 1), ("temperature".into(), 20)]));
}
