//! What a simulation store takes, it reads back: as states, exported and imported; else it refuses it.

use siltstone::simulation::json::{AttributeSpec, PyType, Schema};
use siltstone::simulation::{
    Attribute, CLEARED, ExportFormat, ExportOptions, GIVEN, Group, ImportOptions, InitialData,
    NOT_GIVEN, OnRepeat, Options, SimulationDatabase, export, import, import_tables, merge,
};
use siltstone::{Array, DType, Error};

fn open(folder: &std::path::Path) -> SimulationDatabase {
    SimulationDatabase::open(folder.join("run.db")).unwrap()
}

fn put(db: &SimulationDatabase, at: i64, attributes: Vec<(&str, Attribute)>) -> Result<i64, Error> {
    let attributes = attributes.into_iter().map(|(name, a)| (name.to_owned(), a)).collect();
    db.store_update(at, 0, "net", vec![Group { name: "g".into(), attributes }], None)
}

fn ids(ids: &[i64]) -> (&'static str, Attribute) {
    ("id", Attribute::new(Array::from_slice(ids)))
}

fn floats(values: &[f64]) -> (&'static str, Attribute) {
    ("x", Attribute::new(Array::from_slice(values)))
}

fn times(dtype: &str) -> (&'static str, Attribute) {
    let dtype: DType = dtype.parse().unwrap();
    ("when", Attribute::new(Array::new(dtype, vec![1], 7_i64.to_le_bytes().to_vec()).unwrap()))
}

/// Goal: a writer that remembers the forms of so many groups and no more looks the others up again: what does not go with an
/// earlier value is refused in the first group as in the last.
#[test]
fn forms_that_were_forgotten_are_looked_up() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let group = |n: i64| Group::new(format!("g{n}")).with("id", [1i64]);
    let numbers = (0..5_000).map(|n| group(n).with("x", [n as f64])).collect();
    db.store_update(0, 0, "net", numbers, None).unwrap();
    for n in [0, 4_095, 4_096, 4_999] {
        let refused = db.store_update(1, 0, "net", vec![group(n).with("x", ["text"])], None);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "g{n}: {refused:?}");
        db.store_update(2 + n, 0, "net", vec![group(n).with("x", [0.5])], None).unwrap();
    }
}

/// Goal: times of another unit are refused at the write, in whatever order and however often the units come, and the states
/// before stay readable.
#[test]
fn times_of_another_unit_are_refused_at_the_write() {
    for reopened in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut db = open(folder.path());
        put(&db, 0, vec![ids(&[1]), times("<M8[s]")]).unwrap();
        for (at, unit) in [(1, "<M8[ns]"), (2, "<M8[ms]"), (3, "<M8[ns]"), (4, "<m8[s]")] {
            if reopened {
                db.close().unwrap();
                db = open(folder.path());
            }
            let refused = put(&db, at, vec![ids(&[1]), times(unit)]);
            let Err(Error::Invalid { what, expected, got }) = refused else {
                panic!("{refused:?}")
            };
            assert!(
                what == "net/g/when" && expected.contains("<M8[s]") && got == unit,
                "{expected}"
            );
        }
        put(&db, 5, vec![ids(&[1]), times("<M8[s]")]).unwrap();
        for at in [0, 4, 5] {
            let state = db.state_at("net", "g", at).unwrap();
            assert_eq!(state.column("when").unwrap().attribute.data.dtype().to_string(), "<M8[s]");
        }
    }
}

macro_rules! x {
    ($values:expr) => {
        ("x", Attribute::new(Array::from_slice(&$values)))
    };
}

fn initial(text: &str) -> InitialData {
    InitialData::Json(text.as_bytes().to_vec())
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>, parts: &[&str]) {
    let Err(error @ Error::Invalid { .. }) = result else { panic!("{result:?} for {parts:?}") };
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text} without one of {parts:?}");
}

/// Goal: an integer that no 64-bit float is equal to is refused where its attribute has floats, in whatever order they come, by
/// name, position and value, and every state stays exact; integers that are equal to floats go with them.
#[test]
fn integers_that_floats_would_round_are_refused_at_the_write() {
    let odd = (1i64 << 53) + 1;
    for reopened in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut db = open(folder.path());
        let again = |db: &mut SimulationDatabase| {
            if reopened {
                std::mem::replace(db, open(folder.path())).close().unwrap();
            }
        };
        put(&db, 0, vec![ids(&[1, 2]), x!([7, odd])]).unwrap();
        again(&mut db);
        let refused = put(&db, 1, vec![ids(&[1]), x!([1.5])]);
        let got = "9007199254740993 at position 1 of the update at timestamp 0, iteration 0";
        refusal(refused, &["net/g/x", "64-bit float", got]);
        again(&mut db);
        put(&db, 2, vec![ids(&[1, 2]), x!([odd + 2, 8])]).unwrap();
        let x = db.state_at("net", "g", 9).unwrap().column("x").unwrap().attribute.data.clone();
        assert_eq!(x.to_vec::<i64>().unwrap(), [odd + 2, 8]);
        refusal(put(&db, 3, vec![ids(&[1]), x!([u64::MAX])]), &["net/g/x"]);

        // Once the odd ones are gone, floats go; then the odd ones do not, be they hidden by a mask or not.
        db.resume_from(-1).unwrap();
        put(&db, 0, vec![ids(&[1]), x!([1i64 << 53])]).unwrap();
        put(&db, 1, vec![ids(&[1]), x!([1.5])]).unwrap();
        for at in [2, 3] {
            again(&mut db);
            let refused = put(&db, at, vec![ids(&[4, 1]), x!([0, odd])]);
            refusal(refused, &["net/g/x", "9007199254740993 at position 1"]);
            put(&db, at + 5, vec![ids(&[1]), x!([odd + 1])]).unwrap();
        }
        let (name, hidden) = x!([odd, 5]);
        put(&db, 9, vec![ids(&[1, 2]), (name, hidden.with_mask(&[NOT_GIVEN, GIVEN]))]).unwrap();
        let ragged = |values: &[i64]| {
            let rows = Array::from_slice(&[0i64, 0, values.len() as i64]);
            ("l", Attribute::ragged(Array::from_slice(values), rows))
        };
        put(&db, 10, vec![ids(&[1, 2]), ragged(&[1, odd])]).unwrap();
        let float = Attribute::ragged(Array::from_slice(&[0.5]), Array::from_slice(&[0i64, 1]));
        let refused = put(&db, 11, vec![ids(&[1]), ("l", float)]);
        refusal(
            refused,
            &["net/g/l", "9007199254740993 at position 1 of the update at timestamp 10"],
        );
        let x = db.state_at("net", "g", 99).unwrap().column("x").unwrap().attribute.data.clone();
        assert_eq!(x.to_vec::<f64>().unwrap()[0], (odd + 1) as f64);
    }
}

/// Goal: replacing the update that had the integers lets floats in, and then the integers not any more, though the handle has
/// seen their form before.
#[test]
fn a_replaced_integer_does_not_come_back_beside_floats() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { on_repeat: OnRepeat::Replace, ..Options::default() };
    let db = SimulationDatabase::open_with(folder.path().join("run.db"), options).unwrap();
    let odd = (1i64 << 53) + 1;
    put(&db, 0, vec![ids(&[1]), x!([odd])]).unwrap();
    put(&db, 0, vec![ids(&[1]), x!([0.5])]).unwrap();
    refusal(put(&db, 1, vec![ids(&[1]), x!([odd])]), &["9007199254740993 at position 0"]);
    put(&db, 0, vec![ids(&[1]), x!([odd])]).unwrap();
    refusal(put(&db, 1, vec![ids(&[1]), x!([0.5])]), &["of the update at timestamp 0"]);
}

/// Goal: files of updates with such integers beside floats, in one file or over two, are named, and the rest is imported; a merge
/// names the updates, and takes the rest.
#[test]
fn integers_that_floats_would_round_are_refused_at_an_import() {
    let folder = tempfile::tempdir().unwrap();
    let updates = folder.path().join("updates");
    std::fs::create_dir(&updates).unwrap();
    for (at, x) in
        [(0, "[1,0.5]"), (1, "[9007199254740993,0.5]"), (2, "[9007199254740993,1]"), (3, "[3,4]")]
    {
        let text = format!(r#"{{"net":{{"g":{{"id":[1,2],"x":{x}}}}}}}"#);
        std::fs::write(updates.join(format!("t{at}_0_net.json")), text).unwrap();
    }
    let db = open(folder.path());
    let options = ImportOptions { updates_dir: Some(updates), ..ImportOptions::default() };
    let report = import(&db, &options, &mut |_, _| Ok(())).unwrap();
    assert_eq!((report.updates, report.skipped.len()), (2, 2), "{report:?}");
    for (skipped, name) in report.skipped.iter().zip(["t1_0_net.json", "t2_0_net.json"]) {
        assert!(skipped.path.ends_with(name), "{skipped:?}");
        assert!(skipped.reason.contains("9007199254740993 at position 0"), "{skipped:?}");
    }
    db.close().unwrap();

    let other = folder.path().join("other.db");
    let second = SimulationDatabase::open(&other).unwrap();
    for (at, x) in [(5, x!([(1i64 << 53) + 1])), (6, x!([4i64]))] {
        put(&second, at, vec![ids(&[1]), x]).unwrap();
    }
    second.close().unwrap();
    let report = merge(&[other], folder.path().join("run.db"), &mut |_, _| Ok(())).unwrap();
    assert_eq!((report.updates, report.conflicts), (1, 1), "{report:?}");
    assert!(report.first_conflicts[0].why.contains("net/g/x"), "{report:?}");
}

/// Goal: initial data that a state could not begin with are refused when they are stored, and when a schema makes them so; what
/// was there stays, and what says that it is something else is taken.
#[test]
fn initial_data_that_no_state_can_begin_with_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let good = r#"{"data":{"g":{"id":[1],"x":[9007199254740993]}}}"#;
    db.store_initial_dataset("net", initial(good), false).unwrap();
    for (x, part) in [
        ("[1180591620717411303424]", "1180591620717411303424"),
        ("[1, 2]", "1 values, one for each id, got 2"),
        ("[9007199254740993, 0.5]", "net/g/x"),
        ("5", "a list with one value for each entity"),
        ("[[1], 2]", "either lists or plain values"),
    ] {
        let text = format!(r#"{{"data":{{"g":{{"id":[1],"x":{x}}}}}}}"#);
        let refused = db.store_initial_dataset("net", initial(&text), true);
        refusal(refused, &["initial dataset \"net\"", part, "unstructured"]);
        let other = text.replacen('{', r#"{"format":"unstructured","#, 1);
        db.store_initial_dataset("other", initial(&other), true).unwrap();
    }
    refusal(db.store_initial_dataset("net", initial("[1, 2]"), true), &["an object"]);
    refusal(put(&db, 0, vec![ids(&[1]), x!([0.5])]), &["position 0 of the initial dataset"]);
    let mut schema = Schema::default();
    schema.insert(AttributeSpec::new("x", PyType::Str)).unwrap();
    refusal(db.set_schema(&schema), &["attribute schema", "initial dataset \"net\"", "a text"]);
    assert!(db.schema().unwrap().specs().is_empty());
    let x = db.state_at("net", "g", -1).unwrap().column("x").unwrap().attribute.data.clone();
    assert_eq!(x.to_vec::<i64>().unwrap(), [9007199254740993]);

    // After the updates, too.
    db.store_update(
        0,
        0,
        "late",
        vec![Group { name: "g".into(), attributes: vec![("x".into(), x!([0.5]).1)] }],
        None,
    )
    .unwrap();
    for (data, part) in [
        (r#"{"x":[9007199254740993]}"#, "9007199254740993 at position 0 of the initial dataset"),
        (r#"{"x":["a"]}"#, "the update of late/g at timestamp 0"),
    ] {
        let text = format!(r#"{{"data":{{"g":{data}}}}}"#);
        refusal(db.store_initial_dataset("late", initial(&text), false), &[part]);
        assert_eq!(db.initial_dataset("late").unwrap(), None);
    }
    db.store_initial_dataset("late", initial(r#"{"data":{"g":{"x":[4]}}}"#), false).unwrap();
    assert_eq!(db.state_at("late", "g", 0).unwrap().ids, [0]);
    db.close().unwrap();
}

/// Goal: an update before 0 would hide the initial state, which stands at -1: it is refused at the write, and named at an import.
#[test]
fn an_update_before_0_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    for at in [-1, -5, i64::MIN] {
        refusal(
            put(&db, at, vec![ids(&[1]), x!([0.5])]),
            &["timestamp", "initial state", &at.to_string()],
        );
    }
    let updates = folder.path().join("updates");
    std::fs::create_dir(&updates).unwrap();
    for at in [-3, 0] {
        let text = r#"{"net":{"g":{"id":[1],"x":[0.5]}}}"#;
        std::fs::write(updates.join(format!("t{at}_0_net.json")), text).unwrap();
    }
    let options = ImportOptions { updates_dir: Some(updates), ..ImportOptions::default() };
    let report = import(&db, &options, &mut |_, _| Ok(())).unwrap();
    assert_eq!((report.updates, report.skipped.len()), (1, 1), "{report:?}");
    assert!(report.skipped[0].reason.contains("initial state"), "{report:?}");
}

/// Goal: entities of a group without ids are known by their positions: in states, JSON and tables, out and in again; such
/// an update does not mix with ids of another meaning, and its attributes are of one length.
#[test]
fn a_group_without_ids_is_known_by_positions() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    put(&db, 0, vec![floats(&[0.5, 1.5, 2.5])]).unwrap();
    put(&db, 1, vec![floats(&[9.5, f64::NAN])]).unwrap();
    put(&db, 2, vec![floats(&[9.0, 8.0, 7.0, 6.0])]).unwrap();
    put(&db, 3, vec![ids(&[1]), floats(&[-1.0])]).unwrap();
    let expected = [
        (0, vec![0.5, 1.5, 2.5]),
        (1, vec![9.5, 1.5, 2.5]),
        (2, vec![9.0, 8.0, 7.0, 6.0]),
        (3, vec![9.0, -1.0, 7.0, 6.0]),
    ];
    let check = |db: &SimulationDatabase| {
        for (at, values) in &expected {
            let state = db.state_at("net", "g", *at).unwrap();
            assert_eq!(state.ids, [0, 1, 2, 3]);
            let x = state.column("x").unwrap();
            let defined = (0..4).filter(|row| x.is_defined(*row)).count();
            let data = x.attribute.data.to_vec::<f64>().unwrap();
            assert_eq!(&data[..defined], values, "at {at}");
            let mut cursor = db.cursor("net", "g", 100).unwrap();
            cursor.move_to(*at).unwrap();
            assert_eq!(cursor.state(), state);
        }
    };
    check(&db);
    let unequal =
        put(&db, 4, vec![floats(&[1.0]), ("y", Attribute::new(Array::from_slice(&[1.0, 2.0])))]);
    assert!(matches!(unequal, Err(Error::Invalid { .. })), "{unequal:?}");
    let other = vec![Group {
        name: "h".into(),
        attributes: vec![
            (ids(&[7, 9]).0.into(), ids(&[7, 9]).1),
            ("x".into(), floats(&[1.0, 2.0]).1),
        ],
    }];
    db.store_update(5, 0, "net", other, None).unwrap();
    let attributes = vec![("x".to_owned(), floats(&[3.0, 4.0]).1)];
    let mixed = db.store_update(6, 0, "net", vec![Group { name: "h".into(), attributes }], None);
    let Err(Error::Invalid { what, .. }) = mixed else { panic!("{mixed:?}") };
    assert_eq!(what, "net/h");
    assert_eq!(db.state_at("net", "h", 9).unwrap().ids, [7, 9]);

    for name in ["json", "arrow", "parquet"] {
        let format: ExportFormat = name.parse().unwrap();
        let target = folder.path().join(name);
        let options = ExportOptions { target: target.clone(), format, ..ExportOptions::default() };
        export(&db, &options, &mut |_, _| Ok(())).unwrap();
        let again = SimulationDatabase::open(folder.path().join(format!("{name}.db"))).unwrap();
        if format == ExportFormat::Json {
            let updates = Some(target.join("updates"));
            let options = ImportOptions { updates_dir: updates, ..ImportOptions::default() };
            let report = import(&again, &options, &mut |_, _| Ok(())).unwrap();
            assert!(report.skipped.is_empty() && report.updates == 5, "{report:?}");
        } else {
            import_tables(&again, &target, &mut |_, _| Ok(())).unwrap();
        }
        check(&again);
    }
}

/// Goal: rows that a mask hides hold the sentinel of their dtype, so that a reader that knows no mask sees them undefined; texts
/// are widened for it, lists become one unit of sentinels, and a value that is given stays by bits.
#[test]
fn hidden_rows_hold_the_sentinel() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mask = [GIVEN, NOT_GIVEN, CLEARED];
    let big = Array::new(
        ">f4".parse().unwrap(),
        vec![3],
        [1.5_f32, 2.5, 3.5].map(f32::to_be_bytes).concat(),
    );
    let texts = Array::from_strs(&["a", "bc", "d"]);
    let list = Attribute::ragged(
        Array::from_slice(&[1_i32, 2, 3, 4]),
        Array::from_slice(&[0_i64, 2, 2, 4]),
    );
    put(
        &db,
        0,
        vec![
            ids(&[1, 2, 3]),
            ("f", Attribute::new(big.unwrap()).with_mask(&mask)),
            ("i", Attribute::new(Array::from_slice(&[7_i32, 8, 9])).with_mask(&mask)),
            ("s", Attribute::new(texts).with_mask(&mask)),
            ("l", list.with_mask(&mask)),
            ("n", Attribute::new(Array::from_slice(&[7_i64, 8, 9])).with_mask(&mask)),
        ],
    )
    .unwrap();
    let conn = rusqlite::Connection::open(folder.path().join("run.db")).unwrap();
    let raw = |name: &str| -> (String, Vec<u8>) {
        let sql = "SELECT n.dtype, n.data FROM numpy_array n JOIN attribute_data a ON a.data_id = n.id \
            WHERE a.attribute_name = ?1";
        conn.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let (dtype, data) = raw("f");
    let f: Vec<f32> = data
        .chunks_exact(4)
        .map(|item| {
            let item: [u8; 4] = item.try_into().unwrap();
            if dtype.starts_with('>') { f32::from_be_bytes(item) } else { f32::from_le_bytes(item) }
        })
        .collect();
    assert!(dtype == ">f4" && f[0] == 1.5 && f[1].is_nan() && f[2].is_nan(), "{dtype} {f:?}");
    let i32s = |data: Vec<u8>| -> Vec<i32> {
        data.chunks_exact(4).map(|item| i32::from_le_bytes(item.try_into().unwrap())).collect()
    };
    assert_eq!(i32s(raw("i").1), [7, i32::MIN, i32::MIN]);
    assert_eq!(i32s(raw("l").1), [1, 2, i32::MIN, i32::MIN]);
    let (dtype, data) = raw("s");
    let s = Array::new(dtype.parse().unwrap(), vec![3], data).unwrap().to_strings().unwrap();
    assert_eq!((&*dtype, s), ("<U5", vec!["a".to_owned(), "_udf_".into(), "_udf_".into()]));
    let state = db.state_at("net", "g", 0).unwrap();
    for name in ["f", "i", "s", "l", "n"] {
        let column = state.column(name).unwrap();
        assert_eq!([0, 1, 2].map(|row| column.is_defined(row)), [true, false, false], "{name}");
    }
    // A state of narrow texts of which one is undefined.
    let short = ("t", Attribute::new(Array::from_strs(&["a"])));
    put(&db, 1, vec![ids(&[1]), short]).unwrap();
    let t = db.state_at("net", "g", 1).unwrap().column("t").unwrap().attribute.data.clone();
    assert_eq!(t.to_strings().unwrap(), ["a", "_udf_", "_udf_"]);
}

/// Goal: after an open an equal array is found among the last 4,096, as the guarantees page says; an earlier one is stored again,
/// and reads the same.
#[test]
fn equal_arrays_are_found_among_the_last_ones_after_an_open() {
    const ARRAYS: usize = 4_500;
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let names: Vec<String> = (0..ARRAYS).map(|i| format!("x{i}")).collect();
    let value = |i: usize| Attribute::new(Array::from_slice(&[i as f64 + 0.5]));
    let columns = names.iter().enumerate().map(|(i, name)| (name.as_str(), value(i)));
    put(&db, 0, [ids(&[1])].into_iter().chain(columns).collect()).unwrap();
    db.close().unwrap();
    let stored = || -> i64 {
        let plain = rusqlite::Connection::open(folder.path().join("run.db")).unwrap();
        plain
            .query_row("SELECT count(*) FROM numpy_array WHERE dtype = '<f8'", [], |row| row.get(0))
            .unwrap()
    };
    let before = stored();
    for (at, i, more) in [(1, ARRAYS - 4_000, 0), (2, 5, 1)] {
        let db = open(folder.path());
        put(&db, at, vec![ids(&[1]), (names[i].as_str(), value(i))]).unwrap();
        let state = db.state_at("net", "g", at).unwrap();
        let data = &state.column(&names[i]).unwrap().attribute.data;
        assert_eq!(data.to_vec::<f64>().unwrap(), [i as f64 + 0.5]);
        db.close().unwrap();
        assert_eq!(stored() - before, more, "{i}");
    }
}
