//! What a simulation store takes, it reads back: as states, exported and imported; else it refuses it.

use siltstone::simulation::{
    Attribute, CLEARED, ExportFormat, ExportOptions, GIVEN, Group, ImportOptions, NOT_GIVEN,
    SimulationDatabase, export, import, import_tables,
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
        export(&db, &options, |_, _| Ok(())).unwrap();
        let again = SimulationDatabase::open(folder.path().join(format!("{name}.db"))).unwrap();
        if format == ExportFormat::Json {
            let updates = Some(target.join("updates"));
            let options = ImportOptions { updates_dir: updates, ..ImportOptions::default() };
            let report = import(&again, &options, |_, _| Ok(())).unwrap();
            assert!(report.skipped.is_empty() && report.updates == 5, "{report:?}");
        } else {
            import_tables(&again, &target, |_, _| Ok(())).unwrap();
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
