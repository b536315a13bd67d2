//! What is read, written and read again: random columns and real files.

use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The folder of reference runs, if this machine has it.
fn simulations() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("SILTSTONE_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("data/simulation");
    if !folder.is_dir() {
        println!("skipped: {} is not there (set SILTSTONE_SHARED)", folder.display());
        return None;
    }
    Some(folder)
}

/// Goal: every real update file is read and written back byte for byte.
#[test]
fn real_updates_come_back_byte_for_byte() {
    let Some(folder) = simulations() else { return };
    for (run, schema, count) in [
        ("water_net3/scenarios/net3", "water_attributes.json", 72),
        ("water_net3_week/scenarios", "water_attributes.json", 504),
        ("edge/scenarios/edge", "edge/attributes.json", 9),
    ] {
        let schema = Schema::parse(&std::fs::read(folder.join(schema)).unwrap()).unwrap();
        let mut run = folder.join(run);
        if run.ends_with("scenarios") {
            let mut inside = std::fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().path());
            run = inside.find(|path| path.is_dir()).unwrap();
        }
        let mut files = 0;
        for entry in std::fs::read_dir(run).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            let (timestamp, iteration, dataset) = parse_file_name(file).unwrap();
            assert_eq!(file_name(timestamp, iteration, &dataset).unwrap(), file);
            let text = std::fs::read(&path).unwrap();
            let datasets = parse_update(&text, "another name", &schema).unwrap();
            assert_eq!((datasets.len(), &datasets[0].0), (1, &dataset));
            for attribute in datasets[0].1.iter().flat_map(|group| &group.attributes) {
                assert!(attribute.1.mask.is_none());
            }
            let back = dump_update(&dataset, &datasets[0].1, &schema).unwrap();
            assert_eq!(String::from_utf8_lossy(&back), String::from_utf8_lossy(&text), "{file}");
            files += 1;
        }
        assert_eq!(files, count);
    }
}

/// Goal: real initial datasets say what they said, and tape files are told from them.
#[test]
fn real_initial_datasets_are_read() {
    let Some(folder) = simulations() else { return };
    for (file, schema, groups) in [
        ("edge/init_data/plant.json", "edge/attributes.json", 1),
        ("edge/init_data/grid.json", "edge/attributes.json", 1),
        ("water_net3/init_data/net3_network.json", "water_attributes.json", 5),
        ("water_net3/init_data/net3_patterns.json", "water_attributes.json", 0),
    ] {
        let schema = Schema::parse(&std::fs::read(folder.join(schema)).unwrap()).unwrap();
        let text = std::fs::read(folder.join(file)).unwrap();
        let mut content: serde_json::Map<String, Value> = serde_json::from_slice(&text).unwrap();
        match parse_initial(&text, "x", &schema).unwrap() {
            Initial::Unstructured { name, content: kept } => {
                assert_eq!((groups, name.as_str(), kept), (0, "net3_patterns", content));
            }
            Initial::Entities(dataset) => {
                assert_eq!(
                    (dataset.data.len(), dataset.name.as_str()),
                    (groups, content["name"].as_str().unwrap())
                );
                let dumped = dump_update("data", &dataset.data, &schema).unwrap();
                let dumped: Value = serde_json::from_slice(&dumped).unwrap();
                // Floats that were written without a fraction come back with one.
                assert_eq!(
                    floats(&dumped["data"]),
                    floats(&content.shift_remove("data").unwrap()),
                    "{file}"
                );
                assert_eq!(dataset.metadata, content);
            }
        }
    }
}

fn floats(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(floats).collect(),
        Value::Object(items) => {
            Value::Object(items.iter().map(|(k, v)| (k.clone(), floats(v))).collect())
        }
        Value::Number(n) => json!(n.as_f64()),
        other => other.clone(),
    }
}

fn leaf(py_type: PyType) -> BoxedStrategy<Value> {
    let value = match py_type {
        PyType::Bool => any::<bool>().prop_map(Value::from).boxed(),
        PyType::Int => prop_oneof![
            8 => (-9i64..9).prop_map(Value::from),
            1 => any::<i64>().prop_map(Value::from),
            1 => Just(Value::from(i32::MIN)),
        ]
        .boxed(),
        PyType::Float => any::<u64>()
            .prop_map(|bits| {
                Value::from(Some(f64::from_bits(bits)).filter(|v| v.is_finite()).unwrap_or(0.5))
            })
            .boxed(),
        PyType::Str => {
            prop_oneof![6 => "\\PC{0,8}".prop_map(Value::from), 1 => Just(Value::from("_udf_"))]
                .boxed()
        }
    };
    prop_oneof![5 => value, 1 => Just(Value::Null)].boxed()
}

fn spec() -> impl Strategy<Value = AttributeSpec> {
    let types = vec![PyType::Bool, PyType::Int, PyType::Float, PyType::Str];
    (
        prop::sample::select(types),
        prop::sample::select(vec![vec![], vec![1], vec![3]]),
        any::<bool>(),
    )
        .prop_map(|(py_type, unit_shape, csr)| AttributeSpec {
            unit_shape,
            csr,
            ..AttributeSpec::new("a", py_type)
        })
}

fn value_column(spec: AttributeSpec) -> impl Strategy<Value = (AttributeSpec, Vec<Value>)> {
    let list = |inner: BoxedStrategy<Value>, length| {
        let list = prop::collection::vec(inner, length).prop_map(Value::Array);
        prop_oneof![5 => list, 1 => Just(Value::Null)].boxed()
    };
    let mut row = leaf(spec.py_type);
    if let [k] = spec.unit_shape[..] {
        row = list(row, prop::collection::SizeRange::from(k));
    }
    if spec.csr {
        row = list(row, (0..4).into());
    }
    (Just(spec), prop::collection::vec(row, 0..12))
}

/// The same rows with each wholly null value as one null: what comes back.
fn collapsed(row: &Value, spec: &AttributeSpec) -> Value {
    let unit = |value: &Value| match value {
        Value::Array(items) if items.iter().all(Value::is_null) => Value::Null,
        other => other.clone(),
    };
    match row {
        Value::Array(units) if spec.csr => match &units.iter().map(unit).collect::<Vec<_>>()[..] {
            [Value::Null] => Value::Null,
            units => units.into(),
        },
        other => unit(other),
    }
}

proptest! {
    /// Goal: any column with a schema comes back as it was, nulls, sentinels and masks included;
    /// and what was read, written and read again is the same to the bit.
    #[test]
    fn columns_survive((spec, rows) in spec().prop_flat_map(value_column)) {
        let mut schema = Schema::default();
        schema.insert(spec.clone())?;
        let ids: Vec<usize> = (0..rows.len()).collect();
        let text = json!({"d": {"g": {"id": ids, "a": rows}}}).to_string();
        match parse_update(text.as_bytes(), "d", &schema) {
            Ok(datasets) => {
                let attribute = &datasets[0].1[0].attributes[1].1;
                attribute.check("a")?;
                let expected: Vec<Value> = rows.iter().map(|row| collapsed(row, &spec)).collect();
                prop_assert_eq!(row_values(attribute, Some(&spec))?, Value::from(expected));
                let dumped = dump_update("d", &datasets[0].1, &schema)?;
                prop_assert_eq!(parse_update(&dumped, "d", &schema)?, datasets);
            }
            // Only where a mask cannot say which part of a row is null.
            Err(error) => {
                prop_assert!(error.to_string().contains("no null inside a row"), "{}", error);
                prop_assert!(matches!(spec.py_type, PyType::Int | PyType::Str));
                prop_assert!(spec.csr || !spec.unit_shape.is_empty());
            }
        }
    }

    /// Goal: no text makes the reader panic, and what it accepts it can write.
    #[test]
    fn any_text_is_read_or_refused(parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 0..24)) {
        let text = format!("{{\"d\":{{\"g\":{{\"a\":[{}", parts.concat());
        for text in [&text, &format!("{text}]}}}}}}"), &format!("{text}],\"id\":[1,2]}}}}}}")] {
            if let Ok(datasets) = parse_update(text.as_bytes(), "d", &Schema::default()) {
                for (name, data) in &datasets {
                    dump_update(name, data, &Schema::default())?;
                }
            }
            let _ = parse_initial(text.as_bytes(), "d", &Schema::default());
        }
    }
}

const PARTS: [&str; 18] = [
    "[",
    "]",
    "[",
    "]",
    ",",
    ",",
    ",",
    "null",
    "1",
    "-2147483648",
    "2.5",
    "18446744073709551615",
    "1e300",
    "true",
    "\"_udf_\"",
    "\"\"",
    "{}",
    ":",
];
