//! Real runs against what movici says of them, by each of the three ways in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use siltstone::array::Kind;
use siltstone::simulation::json::{Schema, row_values};
use siltstone::simulation::{
    Attribute, EntityKey, Format, GroupState, ImportOptions, ResultDataset, Results,
    ResultsOptions, SimulationDatabase, Time, detect_format, import,
};
use siltstone_needs::needs;

use crate::shared;

/// One recorded run of the shared data.
struct Recorded {
    folder: PathBuf,
    scenario: &'static str,
    schema: Schema,
    expected: Value,
}

impl Recorded {
    fn of(name: &str, scenario: &'static str, schema: &str) -> Self {
        let folder = shared::folder("data/simulation");
        let read = |path: PathBuf| std::fs::read(path).unwrap();
        let schema = match schema {
            "" => Schema::default(),
            schema => Schema::parse(&read(folder.join(schema))).unwrap(),
        };
        let folder = folder.join(name);
        let expected = serde_json::from_slice(&read(folder.join("expected.json"))).unwrap();
        Recorded { folder, scenario, schema, expected }
    }

    fn options(&self) -> ResultsOptions {
        let init_dir = Some(self.folder.join("init_data"));
        ResultsOptions { init_dir, schema: self.schema.clone(), ..ResultsOptions::default() }
    }

    fn updates(&self) -> PathBuf {
        self.folder.join("scenarios").join(self.scenario)
    }

    fn by_json(&self) -> Results {
        let results = Results::detect(self.updates(), self.options()).unwrap();
        assert_eq!(results.format(), Format::Json);
        results
    }

    fn by_import(&self, folder: &Path) -> Results {
        let path = folder.join("imported.anything");
        let db = SimulationDatabase::open(&path).unwrap();
        let options = ImportOptions {
            init_dir: Some(self.folder.join("init_data")),
            updates_dir: Some(self.updates()),
            schema: self.schema.clone(),
            ..ImportOptions::default()
        };
        let report = import(&db, &options, &mut |_, _| Ok(())).unwrap();
        assert_eq!(report.skipped, []);
        db.build_keyframes().unwrap();
        db.close().unwrap();
        // Everything is in the file: no option says anything.
        let results = Results::detect(&path, ResultsOptions::default()).unwrap();
        assert_eq!(results.format(), Format::Sqlite);
        results
    }

    fn by_movici_database(&self) -> Results {
        let path = self.folder.join(format!("{}.db", self.scenario));
        assert_eq!(detect_format(&path).unwrap(), Format::Sqlite);
        Results::open(path, self.options()).unwrap()
    }
}

/// Compares every fact of a run; how many columns were compared.
fn check_all(results: &Results, recorded: &Recorded) -> usize {
    let expected = &recorded.expected;
    let mut columns = 0;
    let datasets = expected["datasets"].as_object().unwrap();
    let mut names = results.datasets().unwrap();
    names.sort();
    assert_eq!(names, datasets.keys().cloned().collect::<Vec<_>>());
    for (name, facts) in datasets {
        let count = results.database().update_count(Some(name)).unwrap();
        assert_eq!(Some(count), expected["update_files"][name].as_u64());
        let dataset = results.dataset(name).unwrap();
        let timestamps = integers(&facts["timestamps"]);
        assert_eq!(dataset.timestamps(None).unwrap(), timestamps);
        assert_eq!(timestamps.last().copied(), facts["last_timestamp"].as_i64());
        for (key, value) in facts["metadata"].as_object().unwrap() {
            // movici takes enumerations out of `general`; here it stays whole.
            if key != "general" {
                assert_eq!(dataset.metadata()[key], *value, "{name}: {key}");
            }
        }
        let groups = facts["entity_groups"].as_object().unwrap();
        assert_eq!(dataset.groups().unwrap(), groups.keys().cloned().collect::<Vec<_>>());
        for (group, facts) in groups {
            columns += check_group(&dataset, group, facts, &recorded.schema);
        }
    }
    columns
}

fn check_group(dataset: &ResultDataset, group: &str, facts: &Value, schema: &Schema) -> usize {
    assert_eq!(dataset.timestamps(Some(group)).unwrap(), integers(&facts["timestamps"]), "{group}");
    let mut columns = 0;
    for (time, facts_at) in facts["state_at"].as_object().unwrap() {
        let state = dataset.state_at(group, &Time::from(time.as_str())).unwrap().unwrap();
        assert_eq!(Some(state.ids.len() as u64), facts["count"].as_u64());
        let first_ids = integers(&facts["first_ids"]);
        assert_eq!(state.ids[..first_ids.len()], first_ids);
        let names: Vec<&str> = state.columns.iter().map(|column| column.name.as_str()).collect();
        let facts_at = facts_at.as_object().unwrap();
        assert_eq!(names, facts_at.keys().collect::<Vec<_>>(), "{group} at {time}");
        for column in &state.columns {
            let what = format!("{group} {} at {time}", column.name);
            check_column(&what, &column.name, &column.attribute, &facts_at[&column.name], schema);
            columns += 1;
        }
        if let Some(full) = facts.get("full_state_at").and_then(|full| full.get(time)) {
            assert_eq!(rendered(&state, schema), *full, "{group} at {time}");
        }
    }
    for (id, facts) in facts["entity_slices"].as_object().unwrap() {
        check_entity(dataset, group, id.parse().unwrap(), facts);
    }
    for (name, facts) in facts["attribute_slices"].as_object().unwrap() {
        let history = dataset.attribute_history(group, name).unwrap();
        assert_eq!(history.timestamps.len() as u64, facts["n"].as_u64().unwrap());
        let ends = [history.timestamps[0], *history.timestamps.last().unwrap()];
        assert_eq!(ends.to_vec(), integers(&facts["timestamps_first_last"]));
        let spec = schema.get(name);
        let values = history.values.iter().map(|a| row_values(a, spec).unwrap()).collect();
        let hash = sha256(&Value::Array(values));
        assert_eq!(hash, facts["sha256_json_of_list"].as_str().unwrap(), "{group} {name}");
    }
    columns
}

fn check_column(what: &str, name: &str, attribute: &Attribute, facts: &Value, schema: &Schema) {
    let data = &attribute.data;
    assert_eq!(Some(attribute.entities() as u64), facts["rows"].as_u64(), "{what}");
    assert_eq!(Some(attribute.row_ptr.is_some()), facts["csr"].as_bool(), "{what}");
    let dtype = match data.dtype().kind() {
        Kind::Str => "U".to_owned(), // its width is that of the longest text
        _ => data.dtype().to_string(),
    };
    assert_eq!(dtype, facts["dtype"].as_str().unwrap(), "{what}");
    let undefined =
        attribute.mask.as_ref().map_or(0, |mask| mask.data().iter().filter(|m| **m != 0).count());
    assert_eq!(Some(undefined as u64), facts["undefined_rows"].as_u64(), "{what}");
    let values = row_values(attribute, schema.get(name)).unwrap();
    let first3: Vec<Value> = values.as_array().unwrap().iter().take(3).cloned().collect();
    assert_eq!(Value::Array(first3), facts["first3"], "{what}");
    assert_eq!(sha256(&values), facts["sha256_json"].as_str().unwrap(), "{what}");
    let numbers = numbers(&values);
    let fact = |key: &str| facts.get(key).and_then(Value::as_f64);
    assert_eq!((!numbers.is_empty()).then(|| fsum(&numbers)), fact("sum"), "{what}");
    assert_eq!(numbers.iter().copied().reduce(f64::min), fact("min"), "{what}");
    assert_eq!(numbers.iter().copied().reduce(f64::max), fact("max"), "{what}");
}

fn check_entity(dataset: &ResultDataset, group: &str, id: i64, facts: &Value) {
    let history = dataset.entity_history(group, &EntityKey::Id(id)).unwrap();
    assert_eq!(Some(history.timestamps.len() as u64), facts["timestamps_n"].as_u64());
    assert_eq!(history.timestamps, dataset.timestamps(Some(group)).unwrap());
    let data = facts["data"].as_object().unwrap();
    let names: Vec<&str> = history.attributes.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, data.keys().collect::<Vec<_>>());
    for column in &history.attributes {
        let what = format!("{group} {id} {}", column.name);
        let values = raw_values(&column.attribute);
        assert_eq!(values.len(), history.timestamps.len(), "{what}");
        let first3: Vec<Value> = values.iter().take(3).cloned().collect();
        assert_eq!(Value::Array(first3), data[&column.name]["first3"], "{what}");
        assert_eq!(*values.last().unwrap(), data[&column.name]["last"], "{what}");
    }
}

/// A group's state as the facts write it.
fn rendered(state: &GroupState, schema: &Schema) -> Value {
    let mut all = Map::new();
    all.insert("id".into(), state.ids.clone().into());
    for column in &state.columns {
        let values = row_values(&column.attribute, schema.get(&column.name)).unwrap();
        all.insert(column.name.clone(), values);
    }
    Value::Object(all)
}

/// The stored values, undefined ones as their sentinels; NaN as null.
fn raw_values(attribute: &Attribute) -> Vec<Value> {
    let data = &attribute.data;
    let items: Vec<Value> = match data.dtype().kind() {
        Kind::Str => data.to_strings().unwrap().into_iter().map(Value::from).collect(),
        Kind::Float => data.to_vec::<f64>().unwrap().into_iter().map(Value::from).collect(),
        _ => data.to_i64s().unwrap().into_iter().map(Value::from).collect(),
    };
    let per_unit: usize = data.shape()[1..].iter().product();
    let units: Vec<Value> = match data.shape().len() {
        1 => items,
        _ => items.chunks(per_unit).map(|unit| Value::from(unit.to_vec())).collect(),
    };
    match &attribute.row_ptr {
        None => units,
        Some(row_ptr) => {
            let ends = row_ptr.to_i64s().unwrap();
            let row =
                |pair: &[i64]| Value::from(units[pair[0] as usize..pair[1] as usize].to_vec());
            ends.windows(2).map(row).collect()
        }
    }
}

fn integers(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect()
}

/// All numbers in a value, a truth as 0 or 1.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        Value::Number(number) => vec![number.as_f64().unwrap()],
        Value::Bool(truth) => vec![f64::from(u8::from(*truth))],
        _ => vec![],
    }
}

/// The sum rounded once: partial sums that do not overlap, added from the largest.
///
/// # Source
/// J. R. Shewchuk, Adaptive precision floating-point arithmetic, 1997.
fn fsum(numbers: &[f64]) -> f64 {
    let mut partials: Vec<f64> = Vec::new();
    for &number in numbers {
        let (mut x, mut kept) = (number, Vec::new());
        for &y in &partials {
            let (big, small) = if x.abs() < y.abs() { (y, x) } else { (x, y) };
            let high = big + small;
            let low = small - (high - big);
            if low != 0.0 {
                kept.push(low);
            }
            x = high;
        }
        kept.push(x);
        partials = kept;
    }
    let (mut high, mut low) = (0.0, 0.0);
    while let Some(y) = partials.pop() {
        let x = high;
        high = x + y;
        low = y - (high - x);
        if low != 0.0 {
            break;
        }
    }
    // Half-way cases go to where the rest lies.
    if let Some(rest) = partials.last()
        && (low < 0.0) == (*rest < 0.0)
        && *rest != 0.0
    {
        let twice = 2.0 * low;
        let x = high + twice;
        if twice == x - high {
            high = x;
        }
    }
    high
}

fn sha256(value: &Value) -> String {
    let mut text = String::new();
    push_python(&mut text, value);
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As Python's `json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(',', ':'))`.
fn push_python(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                push_python(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            out.push('{');
            for (i, (key, item)) in sorted.into_iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                push_python(out, &Value::from(key.as_str()));
                out.push(':');
                push_python(out, item);
            }
            out.push('}');
        }
        Value::Number(number) if number.is_f64() => {
            out.push_str(&python_float(number.as_f64().unwrap()))
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// Python's `repr`: the shortest digits, with an exponent below 1e-4 and from 1e16.
fn python_float(x: f64) -> String {
    let scientific = format!("{x:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    if (-4..16).contains(&exponent) {
        let plain = format!("{x}");
        return if plain.contains('.') { plain } else { format!("{plain}.0") };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// Every fact of a run, by each way in: `columns` states of columns each time.
fn facts_hold(name: &str, scenario: &'static str, schema: &str, columns: usize) {
    let recorded = Recorded::of(name, scenario, schema);
    assert_eq!(check_all(&recorded.by_json(), &recorded), columns);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(check_all(&recorded.by_import(folder.path()), &recorded), columns);
    assert_eq!(check_all(&recorded.by_movici_database(), &recorded), columns);
}

/// Goal: every fact holds, whatever way a run is read: all types, undefined, ragged, new groups.
#[needs(shared)]
#[test]
fn the_facts_of_the_edge_cases_hold() {
    facts_hold("edge", "edge", "edge/attributes.json", 82);
}

/// Goal: as above, on a real run.
#[needs(shared)]
#[test]
fn the_facts_of_a_day_of_water_hold() {
    facts_hold("water_net3", "net3", "water_attributes.json", 324);
}

/// Goal: as above, where keyframes come in.
#[needs(shared)]
#[test]
fn the_facts_of_a_week_of_water_hold() {
    facts_hold("water_net3_week", "net3w", "water_attributes.json", 324);
}

/// Goal: where movici is wrong (text cut, history of new ids), we are right.
#[needs(shared)]
#[test]
fn what_is_wrong_there_is_right_here() {
    let recorded = Recorded::of("edge_bugs", "bugs", "");
    let folder = tempfile::tempdir().unwrap();
    for results in [recorded.by_json(), recorded.by_import(folder.path())] {
        let cases = recorded.expected["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let text = |key: &str| case[key].as_str().unwrap();
            let dataset = results.dataset(text("dataset")).unwrap();
            let time = Time::Timestamp(case["t"].as_i64().unwrap());
            let state = dataset.state_at(text("group"), &time).unwrap().unwrap();
            let column = state.column(text("attribute")).unwrap();
            assert_eq!(row_values(&column.attribute, None).unwrap(), case["correct"], "{case}");
        }
    }
}

/// Goal: enumerations and special values are the same in every reader, and `general` stays whole.
#[needs(shared)]
#[test]
fn enumerations_and_special_values_are_kept() {
    let recorded = Recorded::of("edge", "edge", "edge/attributes.json");
    let folder = tempfile::tempdir().unwrap();
    let all =
        [recorded.by_json(), recorded.by_import(folder.path()), recorded.by_movici_database()];
    for results in all {
        let dataset = results.dataset("plant").unwrap();
        assert_eq!(dataset.metadata()["general"]["special"]["sensor_entities.f.temp"], -9999.0);
        let attributes = dataset.attributes("sensor_entities").unwrap();
        let of = |name: &str| attributes.iter().find(|a| a.name == name).unwrap();
        assert_eq!(of("f.temp").special, Some(Value::from(-9999.0)));
        let state = of("i.state");
        assert_eq!((state.enum_name.as_deref(), &state.special), (Some("state"), &None));
        assert_eq!(state.enum_values.as_ref().unwrap(), &["closed", "open", "broken"]);
        assert_eq!((of("c.line").is_ragged, &of("c.line").unit_shape), (true, &vec![2]));
        assert_eq!(dataset.attributes("nobody").unwrap(), []);
    }
}
