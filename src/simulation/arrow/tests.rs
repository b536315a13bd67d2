//! Types, nulls and names of columns.

use arrow_array::Array as _;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type, Int32Type, TimestampNanosecondType};
use arrow_schema::DataType;

use super::*;
use crate::array::{Array, DType};
use crate::simulation::json::{AttributeSpec, PyType, Schema};
use crate::simulation::update::{Attribute, CLEARED, GIVEN, Group, NOT_GIVEN};

fn typed(dtype: &str, shape: &[usize], data: &[u8]) -> Attribute {
    let dtype: DType = dtype.parse().unwrap();
    Attribute::new(Array::new(dtype, shape.to_vec(), data.to_vec()).unwrap())
}

fn bytes<const N: usize>(items: &[[u8; N]]) -> Vec<u8> {
    items.concat()
}

/// A database with a group `g` of one dataset `d`, an update a list of attributes.
fn database(
    folder: &std::path::Path,
    updates: Vec<Vec<(&str, Attribute)>>,
    schema: &Schema,
) -> SimulationDatabase {
    let db = SimulationDatabase::open(folder.join("run.db")).unwrap();
    db.set_schema(schema).unwrap();
    for (i, attributes) in updates.into_iter().enumerate() {
        let entities = attributes[0].1.entities() as i64;
        let id = Array::from_slice(&(0..entities).collect::<Vec<_>>());
        let named = attributes.into_iter().map(|(name, values)| (name.to_owned(), values));
        let attributes = std::iter::once(("id".to_owned(), Attribute::new(id))).chain(named);
        let group = Group { name: "g".into(), attributes: attributes.collect() };
        db.store_as_another_program(i as i64, 0, "d", vec![group]);
    }
    db
}

fn only_batch(batches: Batches) -> arrow_array::RecordBatch {
    let mut batches = batches.collect_batches().unwrap();
    assert_eq!(batches.len(), 1);
    batches.pop().unwrap()
}

/// Goal: each numpy dtype and shape has the Arrow type that the table of this module says.
#[test]
fn each_dtype_has_its_arrow_type() {
    let mut schema = Schema::default();
    schema.insert(AttributeSpec::new("flag", PyType::Bool)).unwrap();
    schema.insert(AttributeSpec::new("no flag", PyType::Bool)).unwrap();
    let nat = i64::MIN.to_le_bytes();
    let attributes = vec![
        ("bool", typed("|b1", &[2], &[0, 1])),
        ("flag", typed("|i1", &[2], &[1, 0x80])),
        ("no flag", typed("|i1", &[2], &[1, 2])),
        ("byte", typed("|i1", &[2], &[1, 0])),
        ("half", typed("<f2", &[2], &[0, 0x3c, 0, 0xc0])),
        ("big", typed(">i4", &[2], &[0, 0, 1, 0, 0x80, 0, 0, 0])),
        ("complex", typed("<c8", &[2], &[0; 16])),
        ("bytes", typed("|S3", &[2], b"ab\0\0\0c")),
        ("text", Attribute::new(Array::from_strs(&["é🚰", "_udf_"]))),
        ("time", typed("<M8[ns]", &[2], &bytes(&[1i64.to_le_bytes(), nat]))),
        ("day", typed("<M8[D]", &[2], &bytes(&[1i64.to_le_bytes(), nat]))),
        ("span", typed("<m8[ms]", &[2], &[0; 16])),
        ("point", typed("<f8", &[2, 3], &[0; 48])),
        ("matrix", typed("<i4", &[2, 2, 2], &[0; 32])),
        ("nothing", typed("<f8", &[2, 0], &[])),
        (
            "line",
            Attribute::ragged(
                typed("<f8", &[3, 2], &[0; 48]).data,
                Array::from_slice(&[0i32, 3, 3]),
            ),
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let db = database(folder.path(), vec![attributes], &schema);
    let updates = only_batch(db.update_batches("d", "g").unwrap());
    let state = db.state_at("d", "g", 0).unwrap().to_arrow(&schema).unwrap();
    let states = only_batch(db.state_batches("d", "g", vec![0]).unwrap());
    for (batch, what) in [(&updates, "updates"), (&state, "state"), (&states, "states")] {
        let type_of = |name: &str| batch.column_by_name(name).unwrap().data_type().to_string();
        for (name, expected, nulls) in [
            ("id", "Int64", 0),
            ("bool", "Boolean", 0),
            ("flag", "Boolean", 1),
            ("no flag", "Int8", 0),
            ("byte", "Int8", 0),
            ("half", "Float16", 0),
            ("big", "Int32", 1),
            ("complex", "Struct(\"re\": non-null Float32, \"im\": non-null Float32)", 0),
            ("bytes", "Binary", 0),
            ("text", "Utf8", 1),
            ("time", "Timestamp(ns)", 1),
            ("day", "Int64", 1),
            ("span", "Duration(ms)", 0),
            ("point", "FixedSizeList(3 x Float64)", 0),
            ("matrix", "FixedSizeList(2 x FixedSizeList(2 x Int32))", 0),
            ("nothing", "List(Float64)", 0),
            ("line", "List(FixedSizeList(2 x Float64))", 0),
        ] {
            // The word "field" and the like differ from one Arrow to the next.
            let got = type_of(name).replace(", field: 'item'", "").replace("field: 'item', ", "");
            assert_eq!(got, expected, "{what}: {name}");
            assert_eq!(batch.column_by_name(name).unwrap().null_count(), nulls, "{what}: {name}");
        }
        let field = batch.schema().field_with_name("big").unwrap().clone();
        assert_eq!(field.metadata()["siltstone.shape"], "[]");
        let text = batch.column_by_name("text").unwrap().as_string::<i32>().value(0).to_owned();
        let time = batch.column_by_name("time").unwrap();
        assert_eq!(
            (text.as_str(), time.as_primitive::<TimestampNanosecondType>().value(0)),
            ("é🚰", 1)
        );
        let bytes = batch.column_by_name("bytes").unwrap().as_binary::<i32>().clone();
        assert_eq!((bytes.value(0), bytes.value(1)), (&b"ab"[..], &b"\0\0c"[..]));
    }
    let big = updates.schema().field_with_name("big").unwrap().clone();
    assert_eq!(big.metadata()["siltstone.dtype"], ">i4");
}

/// Goal: values that a later update widens share a column; what no type holds gets a second one; names
/// that are taken get a longer one and say whose they are.
#[test]
fn columns_widen_split_and_are_renamed() {
    let folder = tempfile::tempdir().unwrap();
    let updates = vec![
        vec![("x", typed("<i4", &[1], &7i32.to_le_bytes())), ("id_", typed("|i1", &[1], &[1]))],
        vec![("x", typed("<f8", &[1], &0.5f64.to_le_bytes()))],
        vec![("x", Attribute::new(Array::from_strs(&["text"])))],
        vec![("timestamp", typed("|i1", &[1], &[5]))],
    ];
    let db = database(folder.path(), updates, &Schema::default());
    let batch = only_batch(db.update_batches("d", "g").unwrap());
    let names: Vec<String> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["timestamp", "iteration", "id", "x", "id_", "x_", "timestamp_"]);
    let x = batch.column(3).as_primitive::<Float64Type>();
    assert_eq!(x.iter().collect::<Vec<_>>(), [Some(7.0), Some(0.5), None, None]);
    assert_eq!(batch.column(5).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["text"]);
    let own = batch.column(6).as_primitive::<Int8Type>();
    assert_eq!(own.iter().collect::<Vec<_>>(), [None, None, None, Some(5)]);
    assert_eq!(batch.schema().field(6).metadata()["siltstone.attribute"], "timestamp");
    assert_eq!(*batch.column(0).data_type(), DataType::Int64);
}

/// Goal: what is not given, what is cleared and what looks like a sentinel are told apart.
#[test]
fn masks_and_marks_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = |mask: Option<&[u8]>| {
        let numbers = Attribute::new(Array::from_slice(&[i32::MIN, 1, 2]));
        match mask {
            Some(mask) => numbers.with_mask(mask),
            None => numbers,
        }
    };
    let updates =
        vec![vec![("x", numbers(None))], vec![("x", numbers(Some(&[GIVEN, NOT_GIVEN, CLEARED])))]];
    let db = database(folder.path(), updates, &Schema::default());
    let batch = only_batch(db.update_batches("d", "g").unwrap());
    let x = batch.column_by_name("x").unwrap().as_primitive::<Int32Type>();
    let expected = [None, Some(1), Some(2), Some(i32::MIN), None, None];
    assert_eq!(x.iter().collect::<Vec<_>>(), expected);
    let cleared = batch.column_by_name("cleared").unwrap().as_list::<i32>();
    assert_eq!((cleared.null_count(), cleared.is_valid(5)), (5, true));
    assert_eq!(cleared.value(5).as_string::<i32>().value(0), "x");
    let states = only_batch(db.state_batches("d", "g", vec![0, 1]).unwrap());
    let x = states.column_by_name("x").unwrap().as_primitive::<Int32Type>();
    let expected = [None, Some(1), Some(2), Some(i32::MIN), Some(1), None];
    assert_eq!(x.iter().collect::<Vec<_>>(), expected);
}

/// Goal: a long table comes in batches of bounded size, and updates that are stored meanwhile are
/// not in it.
#[test]
fn batches_are_bounded_and_later_updates_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let update = || vec![("x", Attribute::new(Array::from_slice(&vec![0.25; 30_000])))];
    let db = database(folder.path(), (0..7).map(|_| update()).collect(), &Schema::default());
    let mut batches = db.update_batches("d", "g").unwrap();
    let first = batches.next_batch().unwrap().unwrap();
    assert_eq!(first.num_rows(), 90_000);
    let texts = Attribute::new(Array::from_strs(&["text"]));
    let id = Attribute::new(Array::from_slice(&[1i64]));
    let attributes = vec![("id".to_owned(), id), ("x".to_owned(), texts)];
    db.store_as_another_program(3, 1, "d", vec![Group { name: "g".into(), attributes }]);
    let rows: Vec<usize> =
        batches.collect_batches().unwrap().iter().map(|batch| batch.num_rows()).collect();
    assert_eq!(rows, [90_000, 30_000]);
    let error = db.update_batches("d", "other").unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}
