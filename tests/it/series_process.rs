//! The functions of series against the results of meteaudata on real data, kept in every backend.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{DurationNanosecondType, Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{
    ArrayRef, DurationNanosecondArray, Float64Array, Int64Array, TimestampNanosecondArray,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use siltstone::Error;
use siltstone::series::process::{
    Aggregation, By, Frequency, Replacement, average, interpolate, normalize_index,
    predict_from_previous_point, replace_ranges, resample, subset, subset_rank,
};
use siltstone::series::{
    IndexMetadata, IndexValue, MemoryBackend, Series, SqliteBackend, StorageBackend,
};
use siltstone_needs::needs;

/// How far a value may be from the expected one.
const RELATIVE: f64 = 1e-12;

fn text<'a>(facts: &'a Value, name: &str) -> Option<&'a str> {
    facts[name].as_str()
}

/// The columns of a file: index, value (an empty one is missing: NaN).
fn columns(path: &Path, is_float: bool) -> (Vec<i64>, Vec<f64>, Vec<f64>) {
    let (mut integers, mut floats, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for line in fs::read_to_string(path).unwrap().lines().skip(1) {
        let (index, value) = line.split_once(',').unwrap();
        match is_float {
            true => floats.push(index.parse().unwrap()),
            false => integers.push(index.parse().unwrap()),
        }
        values.push(if value.is_empty() { f64::NAN } else { value.parse().unwrap() });
    }
    (integers, floats, values)
}

/// One of the source series.
fn source(folder: &Path, facts: &Value) -> Series {
    let (index, _, values) = columns(&folder.join(text(facts, "file").unwrap()), false);
    let kind = text(facts, "index_type").unwrap();
    let zone = text(facts, "tz");
    let index: ArrayRef = match kind {
        "DatetimeIndex" => {
            let times = TimestampNanosecondArray::from(index);
            Arc::new(zone.map_or(times.clone(), |zone| times.with_timezone(zone)))
        }
        "TimedeltaIndex" => Arc::new(DurationNanosecondArray::from(index)),
        _ => Arc::new(Int64Array::from(index)),
    };
    let known = IndexMetadata {
        kind: kind.to_owned(),
        frequency: text(facts, "freq").map(str::to_owned),
        time_zone: zone.map(str::to_owned),
        dtype: text(facts, "index_dtype").map(str::to_owned),
        ..IndexMetadata::default()
    };
    Series::new(index, Arc::new(Float64Array::from(values))).unwrap().with_index_metadata(known)
}

fn label(value: &Value) -> Option<IndexValue> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.as_str().into()),
        number => Some(number.as_i64().unwrap().into()),
    }
}

/// One call of a function, as meteaudata would be called.
fn call(series: &Series, step: &Value) -> siltstone::Result<Series> {
    let (args, kwargs) = (&step["args"], &step["kwargs"]);
    match text(step, "fn").unwrap() {
        "resample" => {
            resample(series, &Frequency::parse(args[0].as_str().unwrap())?, Aggregation::Mean)
        }
        "linear_interpolation" => interpolate(series, By::Position),
        "subset" if args[2] == true => subset_rank(series, args[0].as_i64(), args[1].as_i64()),
        "subset" => subset(series, label(&args[0]).as_ref(), label(&args[1]).as_ref()),
        "replace_ranges" => {
            let pairs = args[0].as_array().unwrap().iter();
            let pairs: Vec<_> = pairs.map(|pair| (label(&pair[0]), label(&pair[1]))).collect();
            let with = kwargs["replace_with"].as_f64().unwrap_or(f64::NAN);
            replace_ranges(series, &pairs, &Replacement::Float(with))
        }
        "normalize_index_to_numeric_delta" => {
            let reference = label(&kwargs["reference_time"]);
            normalize_index(series, text(kwargs, "unit").unwrap(), reference.as_ref())
        }
        "predict_from_previous_point" => predict_from_previous_point(series),
        other => panic!("{other} is not known"),
    }
}

fn sha256(items: impl Iterator<Item = [u8; 8]>) -> String {
    let mut hash = Sha256::new();
    items.for_each(|item| hash.update(item));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn index_sha256(series: &Series) -> String {
    let index = series.index();
    if let Some(times) = index.as_primitive_opt::<TimestampNanosecondType>() {
        return sha256(times.values().iter().map(|time| time.to_le_bytes()));
    }
    if let Some(spans) = index.as_primitive_opt::<DurationNanosecondType>() {
        return sha256(spans.values().iter().map(|span| span.to_le_bytes()));
    }
    if let Some(numbers) = index.as_primitive_opt::<Int64Type>() {
        return sha256(numbers.values().iter().map(|number| number.to_le_bytes()));
    }
    sha256(index.as_primitive::<Float64Type>().values().iter().map(|x| x.to_le_bytes()))
}

fn is_close(got: f64, wanted: f64) -> bool {
    (got.is_nan() && wanted.is_nan()) || (got - wanted).abs() <= RELATIVE * wanted.abs()
}

/// Compares a series with what is expected of it; whether the values are the same by bits.
fn compare(what: &str, folder: &Path, got: &Series, wanted: &Value) -> bool {
    assert_eq!(got.len() as u64, wanted["n"].as_u64().unwrap(), "{what}");
    let known = got.index_metadata();
    assert_eq!(Some(&*known.kind), text(wanted, "index_type"), "{what}");
    assert_eq!(known.frequency.as_deref(), text(wanted, "freq"), "{what}");
    assert_eq!(known.time_zone.as_deref(), text(wanted, "tz"), "{what}");
    assert_eq!(known.dtype.as_deref(), text(wanted, "index_dtype"), "{what}");
    assert_eq!(index_sha256(got), text(wanted, "sha256_index_le8").unwrap(), "{what}: the index");
    let values = got.to_f64s().unwrap();
    let wanted_values: Option<Vec<f64>> = text(wanted, "file").map(|file| {
        columns(
            &folder.join(file),
            known.kind == "Index" && known.dtype.as_deref() == Some("float64"),
        )
        .2
    });
    for (got, wanted) in values.iter().zip(wanted_values.iter().flatten()) {
        assert!(is_close(*got, *wanted), "{what}: {got} is not {wanted}");
    }
    let nan = values.iter().filter(|x| x.is_nan()).count();
    assert_eq!(nan as u64, wanted["nan"].as_u64().unwrap(), "{what}: missing values");
    let there = || values.iter().copied().filter(|x| !x.is_nan());
    for (name, fact) in [
        ("min", there().reduce(f64::min)),
        ("max", there().reduce(f64::max)),
        ("sum", Some(there().sum())),
    ] {
        let Some(wanted) = wanted[name].as_f64() else { continue };
        let fact = fact.unwrap_or(0.0);
        assert!(
            (fact - wanted).abs() <= 1e-11 * wanted.abs(),
            "{what}: {name} {fact}, not {wanted}"
        );
    }
    for (name, start) in [("first5", 0), ("last5", values.len().saturating_sub(5))] {
        for (i, wanted) in wanted[name].as_array().unwrap().iter().enumerate() {
            let wanted = wanted.as_f64().unwrap_or(f64::NAN);
            assert!(is_close(values[start + i], wanted), "{what}: {name}, not {wanted}");
        }
    }
    let canonical = values.iter().map(|x| if x.is_nan() { f64::NAN } else { *x }.to_le_bytes());
    sha256(canonical) == text(wanted, "sha256_values_le8").unwrap()
}

/// A series as it comes back from a backend.
fn kept(backend: &dyn StorageBackend, series: &Series) -> Series {
    backend.save("one", series, &Default::default()).unwrap();
    let loaded = backend.load("one").unwrap().0;
    assert_eq!(&loaded, series, "a backend changed a series");
    loaded
}

/// Goal: the 46 operations on real series give what meteaudata gives, whichever backend keeps input and
/// result.
#[needs(shared)]
#[test]
fn operations_give_what_meteaudata_gives() {
    let folder = crate::shared::folder("data/series");
    let facts = fs::read_to_string(folder.join("expected.json")).unwrap();
    let facts: Value = serde_json::from_str(&facts).unwrap();
    let slot = tempfile::tempdir().unwrap();
    let backends: [Box<dyn StorageBackend>; 2] = [
        Box::new(MemoryBackend::new()),
        Box::new(SqliteBackend::open(slot.path().join("series.db")).unwrap()),
    ];
    for backend in backends {
        let input = |name: &Value| {
            let facts = &facts["series"][name.as_str().unwrap()];
            let series = source(&folder, facts);
            assert!(
                compare(name.as_str().unwrap(), &folder, &series, facts),
                "{name} is another one"
            );
            kept(backend.as_ref(), &series)
        };
        let (mut calls, mut equal) = (0, 0);
        for operation in facts["ops"].as_array().unwrap() {
            let result = if operation["op"] == "average_signals" {
                let mut inputs: Vec<Series> =
                    operation["inputs"].as_array().unwrap().iter().map(input).collect();
                for (i, step) in operation["pre"].as_object().unwrap() {
                    let step = serde_json::json!({"fn": step[0], "args": step[1], "kwargs": {}});
                    let slot = &mut inputs[i.parse::<usize>().unwrap()];
                    *slot = kept(backend.as_ref(), &call(slot, &step).unwrap());
                }
                average(&inputs.iter().collect::<Vec<_>>()).unwrap()
            } else {
                let steps = operation["chain"].as_array().unwrap();
                steps.iter().fold(input(&operation["input"]), |series, step| {
                    kept(backend.as_ref(), &call(&series, step).unwrap())
                })
            };
            let what = format!("{} {}", operation["input"], operation["chain"]);
            calls += 1;
            equal +=
                usize::from(compare(&what, &folder, &kept(backend.as_ref(), &result), operation));
        }
        println!("{}: {equal} of {calls} equal by bits", backend.backend_type());
        assert_eq!((calls, equal), (46, 46), "operations, and those that are equal by bits");
    }
}

/// Goal: what meteaudata refuses is refused, with the same kind of error.
#[needs(shared)]
#[test]
fn errors_are_those_of_meteaudata() {
    let folder = crate::shared::folder("data/series");
    let facts = fs::read_to_string(folder.join("expected.json")).unwrap();
    let facts: Value = serde_json::from_str(&facts).unwrap();
    let mut calls = 0;
    for case in facts["errors"].as_array().unwrap() {
        // Units belong to signals, and pairs are pairs by their type.
        let by_type = case["fn"] == "average_signals" || case["fn"] == "replace_ranges";
        if by_type {
            assert_eq!(case["raises"], "ValueError");
            continue;
        }
        let series = source(&folder, &facts["series"][case["input"].as_str().unwrap()]);
        let error = call(&series, case).unwrap_err();
        let raised = match &error {
            Error::InvalidIndex { .. } => "IndexError",
            Error::InvalidType { .. } => "TypeError",
            Error::Invalid { .. } => "ValueError",
            other => panic!("{case}: {other}"),
        };
        assert_eq!(raised, text(case, "raises").unwrap(), "{case}: {error}");
        calls += 1;
    }
    assert_eq!(calls, 6);
}
