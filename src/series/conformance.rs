//! What every [`StorageBackend`] must do, as a suite that runs over any of them.
//!
//! For the tests of a backend, ours or a user's own:
//!
//! ```
//! use siltstone::series::{MemoryBackend, conformance};
//! conformance::check(&|| Box::new(MemoryBackend::new()));
//! ```

mod commits;

use std::sync::Arc;

use arrow_array::types::{
    DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, DurationMillisecondArray,
    DurationNanosecondArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, PrimitiveArray, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array,
    UInt16Array, UInt32Array,
};
use serde_json::json;

use self::commits::{
    all_or_nothing, changes_in_order, expectations, rename_and_copy, writers_at_once,
};
use super::{Change, IndexMetadata, IndexRange, Metadata, Series, StorageBackend};
use crate::error::Error;

/// Makes an empty backend.
pub type Make<'a> = &'a dyn Fn() -> Box<dyn StorageBackend>;

/// One rule: a sentence, and what tries it.
type Rule = (&'static str, fn(&dyn StorageBackend));

const RULES: &[Rule] = &[
    ("every type of index comes back by bits", every_index_comes_back),
    ("every type of value comes back by bits, missing as missing", every_value_comes_back),
    ("names and what is known of an index come back", names_come_back),
    ("metadata come back equal", metadata_come_back),
    ("any text is a key", any_text_is_a_key),
    ("points keep their order", points_keep_their_order),
    ("a range is what its ends say", ranges),
    ("appended points stand behind the others", append),
    ("points that no type holds together with the others are not appended", append_of_other_types),
    ("points of other types are appended without a loss", append_widens),
    ("a save replaces", save_replaces),
    ("a commit is all or nothing", all_or_nothing),
    ("the changes of a commit see each other", changes_in_order),
    ("a commit that expects another series is refused", expectations),
    ("writers that append or replace at once lose and double nothing", writers_at_once),
    ("rename and copy", rename_and_copy),
    ("what is not there is not found", not_found),
    ("keys and records are listed by prefix", lists),
    ("what is known without the points is true", infos),
    ("clear removes everything", clear),
];

/// Runs the whole suite, each rule on a backend of its own.
///
/// # Panics
/// With the rule that is broken.
pub fn check(make: Make<'_>) {
    for (rule, run) in RULES {
        let backend = make();
        // Shown by the test's runner together with the panic.
        println!("{}: {rule}", backend.backend_type());
        run(backend.as_ref());
    }
}

/// Series of every type of index, of a few points each.
pub fn indexes() -> Vec<ArrayRef> {
    let times = || vec![-1, 0, 1_700_000_000_123, i64::MAX / 2_000_000];
    vec![
        Arc::new(TimestampSecondArray::from(times())),
        Arc::new(TimestampMillisecondArray::from(times()).with_timezone("America/Toronto")),
        Arc::new(TimestampMicrosecondArray::from(times()).with_timezone("+05:30")),
        Arc::new(TimestampNanosecondArray::from(vec![i64::MIN, -1, 0, i64::MAX])),
        Arc::new(TimestampNanosecondArray::from(times()).with_timezone("UTC")),
        Arc::new(DurationNanosecondArray::from(vec![i64::MIN, 0, 5, i64::MAX])),
        Arc::new(DurationMillisecondArray::from(times())),
        Arc::new(Int64Array::from(vec![i64::MIN, (1 << 53) + 1, i64::MAX])),
        Arc::new(Int32Array::from(vec![i32::MIN, 7, i32::MAX])),
        Arc::new(Int16Array::from(vec![i16::MIN, 0, i16::MAX])),
        Arc::new(Int8Array::from(vec![-128, 127])),
        Arc::new(UInt8Array::from(vec![0, 255])),
        Arc::new(UInt16Array::from(vec![0, u16::MAX])),
        Arc::new(UInt32Array::from(vec![0, u32::MAX])),
        Arc::new(Float64Array::from(vec![f64::NEG_INFINITY, -0.0, 0.1, f64::NAN])),
        Arc::new(Float32Array::from(vec![-1.5, 0.0, f32::MAX])),
        Arc::new(StringArray::from(vec!["", "a\0b", "\u{1F40C}\u{301}", "NA", "z'\"\\"])),
    ]
}

/// Values of every type, with missing ones where there is room.
pub fn values() -> Vec<ArrayRef> {
    fn edges<T: ArrowPrimitiveType>(items: Vec<T::Native>) -> ArrayRef {
        let mut items: Vec<_> = items.into_iter().map(Some).collect();
        items.insert(1, None);
        Arc::new(PrimitiveArray::<T>::from_iter(items))
    }
    let nan = f64::from_bits(0x7ff8_0000_dead_beef);
    let complex = |x: f64, y: f64| [x.to_le_bytes(), y.to_le_bytes()].concat();
    let half = |x: f32| <Float16Type as ArrowPrimitiveType>::Native::from_f32(x);
    let pairs = [Some(complex(1.0, -2.0)), None, Some(complex(f64::NAN, 0.0))];
    vec![
        edges::<Int8Type>(vec![i8::MIN, 0, i8::MAX]),
        edges::<Int16Type>(vec![i16::MIN, 0, i16::MAX]),
        edges::<Int32Type>(vec![i32::MIN, 0, i32::MAX]),
        edges::<Int64Type>(vec![i64::MIN, (1 << 53) + 1, i64::MAX]),
        edges::<UInt8Type>(vec![0, u8::MAX]),
        edges::<UInt16Type>(vec![0, u16::MAX]),
        edges::<UInt32Type>(vec![0, u32::MAX]),
        edges::<UInt64Type>(vec![0, (1 << 53) + 1, u64::MAX]),
        edges::<Float16Type>(vec![half(-0.0), half(65_504.0), half(f32::NAN)]),
        edges::<Float32Type>(vec![-0.0, 7.25, f32::NAN, f32::INFINITY, 1e-45]),
        edges::<Float64Type>(vec![-0.0, 7.123_456_789, nan, f64::INFINITY, 5e-324]),
        Arc::new(Float64Array::from(vec![f64::NAN, 1.0, nan])),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(StringArray::from(vec![
            Some(""),
            None,
            Some("NA"),
            Some("nan"),
            Some("a\0b\u{e9}"),
        ])),
        Arc::new(BinaryArray::from(vec![Some(&b""[..]), None, Some(b"\0\xff")])),
        Arc::new(
            FixedSizeBinaryArray::try_from_sparse_iter_with_size(pairs.into_iter(), 16)
                .expect("16 bytes each"),
        ),
        edges::<TimestampNanosecondType>(vec![i64::MIN, 0, i64::MAX]),
        Arc::new(
            TimestampMillisecondArray::from(vec![Some(0), None]).with_timezone("Europe/Paris"),
        ),
        edges::<DurationSecondType>(vec![i64::MIN, 0, i64::MAX]),
        Arc::new(Float64Array::from(vec![None::<f64>, None])),
    ]
}

fn numbers(index: &[i64], values: &[f64]) -> Series {
    let index: ArrayRef = Arc::new(Int64Array::from(index.to_vec()));
    Series::new(index, Arc::new(Float64Array::from(values.to_vec()))).expect("a series")
}

fn metadata(value: serde_json::Value) -> Metadata {
    value.as_object().expect("an object").clone()
}

#[track_caller]
fn comes_back(backend: &dyn StorageBackend, key: &str, series: &Series) {
    backend.save(key, series, &Metadata::new()).unwrap_or_else(|e| panic!("{key:?}: {e}"));
    is_there(backend, key, series);
}

#[track_caller]
fn is_there(backend: &dyn StorageBackend, key: &str, series: &Series) {
    let (found, _) = backend.load(key).unwrap_or_else(|e| panic!("{key:?}: {e}"));
    assert_eq!(&found, series, "{key:?}");
    assert_eq!(backend.info(key).unwrap().schema(), series.schema(), "{key:?}");
}

fn every_index_comes_back(backend: &dyn StorageBackend) {
    for (i, index) in indexes().into_iter().enumerate() {
        let values: Vec<f64> = (0..index.len()).map(|row| row as f64 / 8.0).collect();
        let series = Series::new(index.clone(), Arc::new(Float64Array::from(values))).unwrap();
        comes_back(backend, &format!("index {i}"), &series);
        comes_back(backend, &format!("index {i}, empty"), &series.slice(0, 0));
    }
}

fn every_value_comes_back(backend: &dyn StorageBackend) {
    for (i, values) in values().into_iter().enumerate() {
        let index: Vec<i64> = (0..values.len() as i64).collect();
        let series = Series::new(Arc::new(Int64Array::from(index)), values).unwrap();
        comes_back(backend, &format!("values {i}"), &series);
        comes_back(backend, &format!("values {i}, empty"), &series.slice(0, 0));
        // A window of a larger array: what lies outside of it stays outside.
        comes_back(backend, &format!("values {i}, the rest"), &series.slice(1, series.len() - 1));
    }
}

fn names_come_back(backend: &dyn StorageBackend) {
    let known = IndexMetadata {
        kind: "RangeIndex".into(),
        name: Some("value".into()),
        frequency: Some("-1h".into()),
        time_zone: Some("America/Los_Angeles".into()),
        closed: Some("left".into()),
        categories: Some(vec![json!("b"), json!(1), json!(null)]),
        ordered: Some(true),
        start: Some(i64::MIN),
        end: Some(i64::MAX),
        step: Some(-3),
        dtype: Some("int64".into()),
    };
    let attributes = metadata(json!({"units": "m", "deep": {"a": [1, null, "\u{0}"]}}));
    let series = numbers(&[1, 2], &[0.5, f64::NAN]).with_index_metadata(known);
    let series = series.with_attributes(attributes);
    comes_back(backend, "unnamed", &series);
    comes_back(backend, "named", &series.clone().with_name("line/NH4 'quoted' \u{e9}"));
    comes_back(backend, "no letters", &series.clone().with_name(""));
    comes_back(backend, "as the index", &series.clone().with_name("value"));
    comes_back(backend, "a dtype", &series.with_dtype(Some("Int64".into())));
}

fn metadata_come_back(backend: &dyn StorageBackend) {
    let all = metadata(json!({
        "z": 1, "a": [1, 2.5, null, true, {"deep": {"er": []}}], "": "", "long": i64::MIN,
        "great": u64::MAX, "small": 5e-324, "text": "\u{1F40C} \"quotes\" \\ \u{7f}", "0": {},
    }));
    let series = numbers(&[1], &[1.0]);
    backend.save("k", &series, &all).unwrap();
    assert_eq!(backend.load("k").unwrap().1, all);
    assert_eq!(backend.metadata("k").unwrap(), all);
    let order = |m: &Metadata| m.keys().cloned().collect::<Vec<_>>();
    assert_eq!(order(&backend.metadata("k").unwrap()), order(&all), "the order of the keys");
    let other = metadata(json!({"other": 1}));
    let set = Change::SetMetadata { key: "k".into(), metadata: other.clone() };
    backend.commit(&[set]).unwrap();
    assert_eq!(backend.load("k").unwrap(), (series.clone(), other.clone()));
    let index = IndexMetadata { frequency: Some("2s".into()), ..IndexMetadata::default() };
    let set = Change::SetIndexMetadata { key: "k".into(), index: index.clone() };
    backend.commit(&[set]).unwrap();
    assert_eq!(backend.load("k").unwrap(), (series.with_index_metadata(index), other));
}

fn any_text_is_a_key(backend: &dyn StorageBackend) {
    let long = "k".repeat(10_000);
    let keys = [
        "a/b",
        "a_b",
        "a\\b",
        "../up",
        "/",
        ".",
        "..",
        "",
        " ",
        "a\0b",
        "a\0c",
        "CON",
        "D:evil",
        "%",
        "a%2Fb",
        "'; DROP TABLE series; --",
        "\"",
        "\u{e9}",
        "e\u{301}",
        "\u{1F40C}",
        "A",
        "a",
        "line\nfeed",
        "~",
        "plant/line#1/RAW#1",
        "*",
        "_",
        "\u{10FFFF}",
        &long,
    ];
    for (i, key) in keys.into_iter().enumerate() {
        comes_back(backend, key, &numbers(&[i as i64], &[i as f64]));
    }
    for (i, key) in keys.into_iter().enumerate() {
        is_there(backend, key, &numbers(&[i as i64], &[i as f64]));
        assert_eq!(backend.info(key).unwrap().key, key);
    }
    let mut sorted = keys.map(str::to_owned);
    sorted.sort();
    assert_eq!(backend.list_keys("").unwrap(), sorted);
    backend.delete("a/b").unwrap();
    is_there(backend, "a_b", &numbers(&[1], &[1.0]));
}

fn points_keep_their_order(backend: &dyn StorageBackend) {
    let series = numbers(&[5, 5, 1, 9, 5, -3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    comes_back(backend, "k", &series);
    let five = backend.load_range("k", &IndexRange::closed(5, 5)).unwrap();
    assert_eq!(five, numbers(&[5, 5, 5], &[0.0, 1.0, 4.0]));
    let info = backend.info("k").unwrap();
    assert!(!info.is_sorted);
    assert_eq!(info.extent, Some(((-3).into(), 9.into())));
}

fn ranges(backend: &dyn StorageBackend) {
    let rows = 5_000;
    let index: Vec<i64> = (0..rows).map(|i| i * 10).collect();
    let values: Vec<f64> = (0..rows).map(|i| (i as f64).sin()).collect();
    let series = numbers(&index, &values);
    comes_back(backend, "k", &series);
    let load = |range: &IndexRange| backend.load_range("k", range).unwrap();
    for range in [
        IndexRange::closed(100, 200),
        IndexRange::half_open(100, 200),
        IndexRange::closed(101, 109),
        IndexRange::closed(-5, 0),
        IndexRange::closed(49_990, 90_000),
        IndexRange::closed(200, 100),
        IndexRange { from: std::ops::Bound::Excluded(100.into()), ..IndexRange::all() },
        IndexRange { to: std::ops::Bound::Excluded(100.into()), ..IndexRange::all() },
        IndexRange::all(),
    ] {
        assert_eq!(load(&range), series.range(&range).unwrap(), "{range:?}");
        let batches = backend.scan("k", &range).unwrap();
        assert_eq!(batches.schema(), &series.schema());
        let rows: usize = batches.map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(rows, series.range(&range).unwrap().len());
    }
    let wrong = backend.load_range("k", &IndexRange::closed("a", "b"));
    assert!(matches!(wrong, Err(Error::Invalid { .. })), "{wrong:?}");
    for (i, index) in indexes().into_iter().enumerate() {
        let key = format!("range {i}");
        let values = Int64Array::from_iter_values(0..index.len() as i64);
        let series = Series::new(index, Arc::new(values)).unwrap();
        backend.save(&key, &series, &Metadata::new()).unwrap();
        let Some((least, greatest)) = backend.info(&key).unwrap().extent else { continue };
        for range in [
            IndexRange::closed(least.clone(), least.clone()),
            IndexRange::half_open(least, greatest.clone()),
            IndexRange { from: std::ops::Bound::Included(greatest), ..IndexRange::all() },
        ] {
            let found = backend.load_range(&key, &range).unwrap();
            assert_eq!(found, series.range(&range).unwrap(), "{key} {range:?}");
        }
    }
}

fn append(backend: &dyn StorageBackend) {
    // In steps of many sizes, with a model beside it.
    let mut model = numbers(&[], &[]);
    backend.save("k", &model, &metadata(json!({"kept": true}))).unwrap();
    for step in [1_i64, 0, 3, 700, 1, 2_000, 1, 1, 1] {
        let start = model.len() as i64;
        let index: Vec<i64> = (start..start + step).map(|i| i * 2).collect();
        let values: Vec<f64> = index.iter().map(|i| *i as f64 / 3.0).collect();
        let points = numbers(&index, &values);
        assert_eq!(backend.append("k", &points).unwrap(), step as u64);
        model = model.concat(&points).unwrap();
        is_there(backend, "k", &model);
    }
    assert_eq!(backend.metadata("k").unwrap(), metadata(json!({"kept": true})));
    // Late points stand where they were put, and are found by their index.
    let late = numbers(&[3, 3], &[-1.0, -2.0]);
    backend.append("k", &late).unwrap();
    model = model.concat(&late).unwrap();
    is_there(backend, "k", &model);
    let range = IndexRange::closed(2, 4);
    assert_eq!(backend.load_range("k", &range).unwrap(), model.range(&range).unwrap());
    assert!(!backend.info("k").unwrap().is_sorted);
    // A series begins with its first points, and its types are theirs.
    let named = numbers(&[1], &[1.0]).with_name("new");
    backend.append("new", &named).unwrap();
    is_there(backend, "new", &named);
    for (i, values) in values().into_iter().enumerate() {
        let key = format!("values {i}");
        let index = Int64Array::from_iter_values(0..values.len() as i64);
        let series = Series::new(Arc::new(index), values).unwrap();
        backend.save(&key, &series, &Metadata::new()).unwrap();
        backend.append(&key, &series).unwrap();
        is_there(backend, &key, &series.concat(&series).unwrap());
    }
}

fn append_of_other_types(backend: &dyn StorageBackend) {
    let others: [ArrayRef; 3] = [
        Arc::new(StringArray::from(vec!["1"])),
        Arc::new(BooleanArray::from(vec![true])),
        Arc::new(Int64Array::from(vec![(1 << 53) + 1])), // no float is equal to it, and no integer to the float
    ];
    let series = numbers(&[1], &[1.5]);
    comes_back(backend, "k", &series);
    for values in others {
        let other = Series::new(series.index().clone(), values).unwrap();
        let refused = backend.append("k", &other);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
    let times = Series::from_times_ns(&[1], &[1.0]).unwrap();
    assert!(matches!(backend.append("k", &times), Err(Error::Invalid { .. })));
    is_there(backend, "k", &series);

    // Numbers of one type that stand for something else.
    let categories = |names| IndexMetadata { categories: Some(names), ..IndexMetadata::default() };
    let period = |of: &str| {
        let (kind, dtype) = ("PeriodIndex".into(), Some(format!("period[{of}]")));
        IndexMetadata { kind, dtype, ..IndexMetadata::default() }
    };
    let coded = |dtype: &str| series.clone().with_dtype(Some(format!("category:{dtype}")));
    for (kept, other) in [
        (coded("[0, 1]"), coded("[1, 0]")),
        (coded("[0, 1]"), series.clone()),
        (indexed(categories(vec![json!("a")])), indexed(categories(vec![json!("b")]))),
        (indexed(period("M")), indexed(period("D"))),
        (indexed(period("M")), series.clone()),
    ] {
        comes_back(backend, "c", &kept);
        let refused = backend.append("c", &other);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
        is_there(backend, "c", &kept);
        assert_eq!(backend.append("c", &kept).unwrap(), 1);
    }
}

fn append_widens(backend: &dyn StorageBackend) {
    let times = |unit: i64, text: &str| -> (ArrayRef, ArrayRef) {
        let values: ArrayRef = match text {
            "whole" => Arc::new(Int64Array::from(vec![1, 2])),
            "floats" => Arc::new(Float64Array::from(vec![0.5, f64::NAN])),
            "large" => Arc::new(Int64Array::from(vec![(1 << 53) + 1, 0])),
            "bytes" => Arc::new(Int8Array::from(vec![-1, 1])),
            "missing" => Arc::new(StringArray::from(vec![None::<&str>, None])),
            _ => Arc::new(StringArray::from(vec!["a", "b"])),
        };
        let times = [1_700_000_000 * unit, 1_700_000_001 * unit];
        let index: ArrayRef = match unit {
            1 => Arc::new(TimestampSecondArray::from(times.to_vec())),
            1_000_000 => Arc::new(TimestampMicrosecondArray::from(times.to_vec())),
            _ => Arc::new(TimestampNanosecondArray::from(vec![times[0], times[1] + 1])),
        };
        (index, values)
    };
    let (s, us, ns) = (1, 1_000_000, 1_000_000_000);
    for (i, (kept, added)) in [
        (times(us, "floats"), times(ns, "floats")),
        (times(ns, "floats"), times(us, "whole")),
        (times(us, "whole"), times(s, "floats")),
        (times(s, "missing"), times(us, "whole")),
        (times(us, "texts"), times(us, "missing")),
        (times(us, "bytes"), times(us, "large")),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("w{i}");
        let (kept, added) =
            (Series::new(kept.0, kept.1).unwrap(), Series::new(added.0, added.1).unwrap());
        let kept_metadata = metadata(json!({"kept": i}));
        backend.save(&key, &kept, &kept_metadata).unwrap();
        assert_eq!(backend.append(&key, &added).unwrap(), 2);
        is_there(backend, &key, &kept.concat(&added).unwrap());
        assert_eq!(backend.metadata(&key).unwrap(), kept_metadata);
        // And more than a block of them.
        let many = Int64Array::from_iter_values(0..40_000);
        let index = TimestampNanosecondArray::from_iter_values((0..40_000).map(|n| n * 7));
        let many = Series::new(Arc::new(index), Arc::new(many)).unwrap();
        let own = backend.load(&key).unwrap().0;
        match own.concat(&many) {
            Ok(whole) => {
                backend.append(&key, &many).unwrap();
                is_there(backend, &key, &whole);
            }
            Err(_) => assert!(backend.append(&key, &many).is_err(), "{key}"),
        }
    }
    // A series without points gets the types of its first ones.
    let empty = numbers(&[], &[]).with_name("empty");
    backend.save("empty", &empty, &Metadata::new()).unwrap();
    let (index, values) = times(us, "texts");
    let points = Series::new(index, values).unwrap().with_name("points");
    backend.append("empty", &points).unwrap();
    is_there(backend, "empty", &points.with_name("empty"));
}

fn indexed(metadata: IndexMetadata) -> Series {
    numbers(&[1], &[1.0]).with_index_metadata(metadata)
}

fn save_replaces(backend: &dyn StorageBackend) {
    comes_back(backend, "k", &numbers(&[1, 2, 3], &[1.0, 2.0, 3.0]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let other = Series::new(Arc::new(StringArray::from(vec!["x", "y"])), texts).unwrap();
    comes_back(backend, "k", &other);
    assert_eq!(backend.list_keys("").unwrap(), ["k"]);
}

fn not_found(backend: &dyn StorageBackend) {
    let missing = |error: Error| {
        assert!(matches!(&error, Error::NotFound { name, .. } if name == "x/y"), "{error}");
    };
    missing(backend.load("x/y").unwrap_err());
    missing(backend.info("x/y").unwrap_err());
    missing(backend.delete("x/y").unwrap_err());
    missing(backend.rename("x/y", "z").unwrap_err());
    missing(backend.copy("x/y", "z").unwrap_err());
    missing(backend.load_range("x/y", &IndexRange::all()).unwrap_err());
    missing(backend.scan("x/y", &IndexRange::all()).unwrap_err());
    let index = IndexMetadata::default();
    let set = Change::SetIndexMetadata { key: "x/y".into(), index };
    assert!(matches!(backend.commit(&[set]), Err(Error::NotFound { .. })));
    let set = Change::SetMetadata { key: "x/y".into(), metadata: Metadata::new() };
    missing(backend.commit(&[set]).unwrap_err());
    assert!(!backend.exists("x/y").unwrap());
    assert_eq!(backend.record("x/y").unwrap(), None);
}

fn lists(backend: &dyn StorageBackend) {
    assert!(backend.list_keys("").unwrap().is_empty());
    for key in ["b/1", "a/2", "a/10", "a%", "a_", "A/1", "a"] {
        backend.save(key, &numbers(&[], &[]), &Metadata::new()).unwrap();
        let record = Some(metadata(json!({ "key": key })));
        backend.commit(&[Change::Record { name: key.into(), record }]).unwrap();
    }
    for listed in
        [StorageBackend::list_keys, StorageBackend::list_records] as [fn(&_, &str) -> _; 2]
    {
        assert_eq!(listed(backend, "a/").unwrap(), ["a/10", "a/2"]);
        assert_eq!(listed(backend, "a%").unwrap(), ["a%"]);
        assert_eq!(listed(backend, "a_").unwrap(), ["a_"]);
        assert_eq!(listed(backend, "").unwrap().len(), 7);
        assert!(listed(backend, "none").unwrap().is_empty());
    }
    assert_eq!(backend.record("a_").unwrap(), Some(metadata(json!({"key": "a_"}))));
    backend.commit(&[Change::Record { name: "a_".into(), record: None }]).unwrap();
    assert_eq!(backend.record("a_").unwrap(), None);
    let many = backend.load_many(&["a/2", "a/2", "b/1"]).unwrap();
    assert_eq!(many.len(), 3);
}

fn infos(backend: &dyn StorageBackend) {
    for (i, index) in indexes().into_iter().enumerate() {
        let key = format!("info {i}");
        let values = BooleanArray::from(vec![true; index.len()]);
        let series = Series::new(index, Arc::new(values)).unwrap().with_name("n");
        let kept = metadata(json!({ "i": i }));
        backend.save(&key, &series, &kept).unwrap();
        assert_eq!(
            backend.info(&key).unwrap(),
            super::SeriesInfo::of(&key, &series, &kept).unwrap()
        );
        backend.append(&key, &series).unwrap();
        let twice = series.concat(&series).unwrap();
        assert_eq!(
            backend.info(&key).unwrap(),
            super::SeriesInfo::of(&key, &twice, &kept).unwrap()
        );
    }
}

fn clear(backend: &dyn StorageBackend) {
    comes_back(backend, "a", &numbers(&[1], &[1.0]));
    backend.commit(&[Change::Record { name: "r".into(), record: Some(Metadata::new()) }]).unwrap();
    backend.clear().unwrap();
    assert!(backend.list_keys("").unwrap().is_empty());
    assert!(backend.list_records("").unwrap().is_empty());
    comes_back(backend, "a", &numbers(&[2], &[2.0]));
}
