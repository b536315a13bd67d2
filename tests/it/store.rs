//! The simulation store through its public face.

use siltstone::simulation::{
    Attribute, Group, ImportOptions, InitialData, OnRepeat, Options, SimulationDatabase, Status,
    Update, import, json::Schema,
};
use siltstone::{Array, Codec, Durability, Error};
use siltstone_needs::needs;

use crate::shared;

pub(crate) fn group(name: &str, columns: &[(&str, Array)]) -> Group {
    let attributes = columns
        .iter()
        .map(|(name, array)| ((*name).to_owned(), Attribute::new(array.clone())))
        .collect();
    Group { name: name.into(), attributes }
}

fn speeds(ids: &[i64], speeds: &[f64]) -> Vec<Group> {
    vec![group("roads", &[("id", Array::from_slice(ids)), ("speed", Array::from_slice(speeds))])]
}

fn update(timestamp: i64) -> Update {
    let data = speeds(&[1], &[timestamp as f64]);
    Update { timestamp, dataset: "net".into(), data, ..Update::default() }
}

fn speed_at(db: &SimulationDatabase, timestamp: i64) -> Vec<f64> {
    let state = db.state_at("net", "roads", timestamp).unwrap();
    state.column("speed").unwrap().attribute.data.to_vec().unwrap()
}

/// Goal: what was stored is read back, in order, with its origin, and equal arrays take one row.
#[test]
fn updates_come_back_in_order_and_ids_are_shared() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    db.store_update(10, 0, "net", speeds(&[1, 2], &[3.0, 4.0]), None).unwrap();
    db.store_update(0, 1, "net", speeds(&[1, 2], &[2.0, 2.5]), Some("model")).unwrap();
    db.store_update(0, 0, "net", speeds(&[1, 2], &[1.0, 1.5]), None).unwrap();
    let updates = db.updates("net").unwrap();
    let keys: Vec<_> = updates.iter().map(|u| (u.timestamp, u.iteration)).collect();
    assert_eq!(keys, [(0, 0), (0, 1), (10, 0)]);
    assert_eq!(updates[1].origin.as_deref(), Some("model"));
    assert_eq!(updates[0].data, speeds(&[1, 2], &[1.0, 1.5]));
    assert_eq!(db.timestamps("net").unwrap(), [0, 10]);
    assert_eq!(db.datasets().unwrap(), ["net"]);
    assert_eq!((db.update_count(None).unwrap(), db.update_count(Some("other")).unwrap()), (3, 0));
    let ids = db.database().sql("SELECT count(*) FROM numpy_array WHERE dtype = '<i8'").unwrap();
    assert_eq!(ids.rows, [[siltstone::Value::Integer(1)]]);
}

/// Goal: a repeated identity is refused and leaves the stored update, or replaces it, as asked.
#[test]
fn a_repeated_identity_is_refused_or_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    db.store_update(0, 0, "net", speeds(&[1], &[1.0]), None).unwrap();
    let repeated = db.store_update(0, 0, "net", speeds(&[1], &[2.0]), None);
    let Err(Error::Exists { what, .. }) = repeated else { panic!("{repeated:?}") };
    assert!(what.contains("timestamp 0, iteration 0") && what.contains("net"), "{what}");
    assert_eq!(speed_at(&db, 0), [1.0]);
    let options = Options { on_repeat: OnRepeat::Replace, ..Options::default() };
    let db = SimulationDatabase::open_with(&path, options).unwrap();
    db.store_update(0, 0, "net", speeds(&[1], &[2.0]), None).unwrap();
    assert_eq!((speed_at(&db, 0), db.update_count(None).unwrap()), (vec![2.0], 1));
}

/// Goal: data that contradict themselves are refused by name, before anything is written.
#[test]
fn contradicting_data_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let ids = Array::from_slice(&[1i64, 2]);
    let cases = [
        (vec![group("g", &[("id", ids.clone()), ("x", Array::from_slice(&[1.0f64]))])], "net/g/x"),
        (vec![group("g", &[("id", Array::from_slice(&[1i64, 1]))])], "net/g/id"),
        (vec![group("g", &[("id", Array::from_slice(&[1.5f64]))])], "net/g/id"),
        (vec![group("timestamp", &[])], "timestamp"),
        (vec![group("g", &[]), group("g", &[])], "net"),
        (vec![group("", &[])], "entity group"),
        (
            vec![Group {
                name: "g".into(),
                attributes: vec![(
                    "c".into(),
                    Attribute::ragged(
                        Array::from_slice(&[1.0f64]),
                        Array::from_slice(&[0i64, 2, 1]),
                    ),
                )],
            }],
            "net/g/c.row_ptr",
        ),
    ];
    for (data, name) in cases {
        let error = db.store_update(0, 0, "net", data, None).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        assert!(error.to_string().contains(name), "{error} does not name {name}");
    }
    assert_eq!(db.update_count(None).unwrap(), 0);
}

/// Goal: one bad update in a group of tickets fails alone.
#[test]
fn a_bad_ticket_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let times: Vec<i64> =
        (0..500).flat_map(|t| if t % 7 == 0 { vec![t, t] } else { vec![t] }).collect();
    let tickets: Vec<_> = times.iter().map(|t| db.submit(update(*t)).unwrap()).collect();
    let failed = tickets.into_iter().filter_map(|t| t.wait().err()).collect::<Vec<_>>();
    assert_eq!(failed.len(), 500usize.div_ceil(7));
    assert!(failed.iter().all(|e| matches!(e, Error::Exists { .. })), "{:?}", failed[0]);
    assert_eq!(db.update_count(None).unwrap(), 500);
    assert_eq!(db.database().stats().jobs_failed, failed.len() as u64);
}

/// Goal: a batch is stored whole or not at all.
#[test]
fn a_batch_is_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    assert!(db.store_updates(vec![update(1), update(2), update(1)]).is_err());
    assert_eq!(db.update_count(None).unwrap(), 0);
    assert_eq!(db.store_updates(vec![update(1), update(2)]).unwrap().len(), 2);
}

/// Goal: a restart from a checkpoint forgets what came later, and gives its space back.
#[test]
fn resume_removes_what_came_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    for t in 0..600 {
        let values: Vec<f64> = (0..100).map(|i| (t * 1000 + i) as f64).collect();
        let ids: Vec<i64> = (0..100).collect();
        db.store_update(t, 0, "net", speeds(&ids, &values), None).unwrap();
    }
    db.build_keyframes().unwrap();
    assert_eq!(db.resume_from(99).unwrap(), 500);
    assert_eq!(db.update_count(None).unwrap(), 100);
    assert_eq!(speed_at(&db, 1_000_000)[0], 99_000.0);
    let arrays = db.database().sql("SELECT count(*) FROM numpy_array").unwrap();
    assert_eq!(arrays.rows, [[siltstone::Value::Integer(101)]]);
    assert!(db.vacuum().unwrap() > 300_000);
    assert!(db.database().verify().unwrap().is_ok());
    db.store_update(100, 0, "net", speeds(&[5], &[-1.0]), None).unwrap();
    assert_eq!(speed_at(&db, 100)[5], -1.0);
}

/// Goal: a run that ended, failed or was left is told apart.
#[test]
fn the_end_of_a_run_is_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    assert_eq!(db.run().unwrap().status, Status::Unknown);
    db.store_update(0, 0, "net", speeds(&[1], &[1.0]), None).unwrap();
    assert_eq!(db.run().unwrap().status, Status::Running);
    drop(db); // as a killed process would: no word of an end
    let db = SimulationDatabase::open(&path).unwrap();
    assert_eq!(db.run().unwrap().status, Status::Running);
    db.mark_ended(Some("diverged")).unwrap();
    let run = db.run().unwrap();
    assert_eq!((run.status, run.error.as_deref()), (Status::Failed, Some("diverged")));
    db.store_update(1, 0, "net", speeds(&[1], &[1.0]), None).unwrap();
    assert_eq!(db.run().unwrap().status, Status::Running);
    db.close().unwrap();
    let db = SimulationDatabase::open_read_only(&path).unwrap();
    assert_eq!(db.run().unwrap().status, Status::Complete);
}

/// Goal: of several handles on one run the first that closes completes it, and the next write of another goes on with it.
#[test]
fn the_first_handle_that_closes_completes_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let [first, second] = [(); 2].map(|()| SimulationDatabase::open(&path).unwrap());
    first.store_update(0, 0, "net", speeds(&[1], &[1.0]), None).unwrap();
    second.store_update(1, 0, "net", speeds(&[1], &[1.0]), None).unwrap();
    first.close().unwrap();
    assert_eq!(second.run().unwrap().status, Status::Complete);
    second.store_update(2, 0, "net", speeds(&[1], &[1.0]), None).unwrap();
    assert_eq!(second.run().unwrap().status, Status::Running);
    second.close().unwrap();
    let db = SimulationDatabase::open_read_only(&path).unwrap();
    assert_eq!(db.run().unwrap().status, Status::Complete);
}

/// Goal: whole numbers that are later given as floats are floats in a state, and what they were in the updates.
#[test]
fn whole_numbers_that_become_floats_stay_exact_in_the_updates() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let count = |array: Array| {
        let ids = ("id".to_owned(), Attribute::new(Array::from_slice(&[1i64, 2])));
        let attributes = vec![ids, ("count".to_owned(), Attribute::new(array))];
        vec![Group { name: "roads".into(), attributes }]
    };
    let large = (1i64 << 53) + 2;
    db.store_update(0, 0, "net", count(Array::from_slice(&[large, 3])), None).unwrap();
    db.store_update(1, 0, "net", count(Array::from_slice(&[0.5, 0.25])), None).unwrap();
    let values = |time| {
        let state = db.state_at("net", "roads", time).unwrap();
        state.column("count").unwrap().attribute.data.to_vec::<f64>().unwrap()
    };
    assert_eq!(values(0), [large as f64, 3.0]);
    assert_eq!(values(1), [0.5, 0.25]);
    let updates = db.updates("net").unwrap();
    let (_, stored) = &updates[0].data[0].attributes[1];
    assert_eq!(stored.data.to_vec::<i64>().unwrap(), [large, 3]);
}

/// Goal: each codec and each durability stores the same run.
#[test]
fn every_codec_and_durability_keeps_the_run() {
    for codec in Codec::ALL {
        for durability in [Durability::Buffered, Durability::Os, Durability::Disk] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("run.db");
            let options = Options { codec, durability, ..Options::default() };
            let db = SimulationDatabase::open_with(&path, options).unwrap();
            let ids: Vec<i64> = (0..200).collect();
            for t in 0..20 {
                let values: Vec<f64> = ids.iter().map(|i| (t * i) as f64 / 7.0).collect();
                db.store_update(t, 0, "net", speeds(&ids, &values), None).unwrap();
            }
            db.close().unwrap();
            let db = SimulationDatabase::open_read_only(&path).unwrap();
            assert_eq!(speed_at(&db, 13)[100], 1300.0 / 7.0);
            let report = db.database().verify().unwrap();
            assert!(report.is_ok() && report.checksums >= 21, "{report:?}");
        }
    }
}

/// Goal: the real results import whole, and again without a change.
#[needs(shared)]
#[test]
fn real_results_import_and_import_again() {
    let data = shared::folder("data/simulation");
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("net3.db")).unwrap();
    let schema = std::fs::read(data.join("water_attributes.json")).unwrap();
    let options = ImportOptions {
        init_dir: Some(data.join("water_net3/init_data")),
        updates_dir: Some(data.join("water_net3/scenarios/net3")),
        schema: Schema::parse(&schema).unwrap(),
        workers: 2,
        ..ImportOptions::default()
    };
    let report = import(&db, &options, &mut |_, _| Ok(())).unwrap();
    assert_eq!((report.updates, report.initial_datasets, report.skipped.len()), (72, 2, 0));
    let again = import(&db, &options, &mut |_, _| Ok(())).unwrap();
    assert_eq!((again.updates, again.unchanged), (0, 72));
    let pressure = |t| {
        let state = db.state_at("net3_network", "water_junction_entities", t).unwrap();
        let column = state.column("drinking_water.pressure").unwrap();
        column.attribute.data.to_vec::<f64>().unwrap().iter().sum::<f64>()
    };
    assert!((pressure(0) - 4158.698061).abs() < 1e-5);
    assert!((pressure(43201) - 4180.55514).abs() < 1e-5);
    assert!((pressure(83800) - 4600.66445).abs() < 1e-5);
    assert!(pressure(-1).is_nan());
    let Some(InitialData::Json(text)) = db.initial_dataset("net3_network").unwrap() else {
        panic!()
    };
    assert_eq!(text, std::fs::read(data.join("water_net3/init_data/net3_network.json")).unwrap());
}

/// Goal: a compacted run is much smaller, reads the same through every call, and goes on.
#[test]
fn a_compacted_run_reads_the_same_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    let ids: Vec<i64> = (0..50).collect();
    let store = |times: std::ops::Range<i64>| {
        for t in times {
            let values: Vec<f64> = ids.iter().map(|i| ((t * i) % 24) as f64 / 7.0).collect();
            db.store_update(t, 0, "net", speeds(&ids, &values), None).unwrap();
        }
    };
    store(0..700);
    db.build_keyframes().unwrap();
    let before = db.updates("net").unwrap();
    db.database().checkpoint().unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    let raw = "SELECT id, silt_items(dtype, shape, codec, data) FROM numpy_array ORDER BY id";
    let items = db.database().sql(raw).unwrap();
    let stored = || db.describe().unwrap().arrays.stored_bytes;
    let stored_before = stored();
    let report = db.compact(&mut |_, _| Ok(())).unwrap();
    assert!(report.rows >= 24 && stored() * 2 < stored_before, "{report:?}, {stored_before}");
    assert!(report.bytes_after < report.bytes_before, "{report:?}");
    assert_eq!(db.updates("net").unwrap(), before);
    assert_eq!(db.database().sql(raw).unwrap(), items);
    assert_eq!(speed_at(&db, 13)[10], ((13 * 10) % 24) as f64 / 7.0);
    let verified = db.database().verify().unwrap();
    assert!(verified.is_ok() && verified.checksums > report.rows, "{verified:?}");
    db.database().checkpoint().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() <= size);
    store(700..800); // equal arrays are found in their blocks
    assert_eq!(db.updates("net").unwrap().len(), 800);
    assert_eq!(db.compact(&mut |_, _| Ok(())).unwrap().rows, 0);
    // What nothing uses any more goes, block and all.
    assert_eq!(db.resume_from(-1).unwrap(), 800);
    let left = "SELECT (SELECT count(*) FROM numpy_array), (SELECT count(*) FROM array_block)";
    let none = siltstone::Value::Integer(0);
    assert_eq!(db.database().sql(left).unwrap().rows, [[none.clone(), none]]);
}
