//! Runs that leave the database, and come together from several.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array as _, RecordBatch};
use proptest::prelude::*;
use serde_json::Value;
use siltstone::array::Kind;
use siltstone::simulation::json::{Schema, row_values};
use siltstone::simulation::{
    Attribute, Content, ExportFormat, ExportOptions, Group, ImportOptions, InitialData,
    SimulationDatabase, Status, Update, export, import, import_tables, merge,
};
use siltstone::table::{self, Format, WriteOptions};
use siltstone::{Array, DType, Error};
use siltstone_needs::needs;

use crate::shared;

const RUNS: [(&str, &str, &str, usize); 3] = [
    ("edge", "edge", "edge/attributes.json", 9),
    ("water_net3", "net3", "water_attributes.json", 72),
    ("water_net3_week", "net3w", "water_attributes.json", 504),
];

/// A run of the shared data in a database of its own.
fn imported(
    folder: &Path,
    (name, scenario, schema, _): (&str, &str, &str, usize),
) -> (SimulationDatabase, ImportOptions) {
    let data = shared::folder("data/simulation");
    let options = ImportOptions {
        init_dir: Some(data.join(name).join("init_data")),
        updates_dir: Some(data.join(name).join("scenarios").join(scenario)),
        schema: Schema::parse(&fs::read(data.join(schema)).unwrap()).unwrap(),
        ..ImportOptions::default()
    };
    let db = SimulationDatabase::open(folder.join(format!("{name}.db"))).unwrap();
    import(&db, &options, &mut |_, _| Ok(())).unwrap();
    (db, options)
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    };
    fs::read_dir(folder).unwrap().map(|file| entry(file.unwrap().path())).collect()
}

/// Goal: real runs come back as the files that they were, byte for byte.
#[needs(shared)]
#[test]
fn json_export_gives_the_imported_files() {
    for run in RUNS {
        let folder = tempfile::tempdir().unwrap();
        let (db, imported) = imported(folder.path(), run);
        let target = folder.path().join("out");
        let options = ExportOptions { target: target.clone(), ..ExportOptions::default() };
        let mut last = (0, 0);
        let report = export(&db, &options, &mut |done, all| {
            last = (done, all);
            Ok(())
        })
        .unwrap();
        assert_eq!(last, (run.3 as u64, run.3 as u64));
        assert_eq!((report.updates, report.rows), (run.3 as u64, 0));
        for (ours, theirs) in [
            (target.join("init_data"), imported.init_dir.unwrap()),
            (target.join("updates"), imported.updates_dir.unwrap()),
        ] {
            let (ours, theirs) = (files(&ours), files(&theirs));
            assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
            for (name, text) in theirs {
                let (a, b) =
                    (String::from_utf8_lossy(&ours[&name]), String::from_utf8_lossy(&text));
                assert!(a == b, "{name}\n{a}\n{b}");
            }
        }
        let schema = Schema::parse(&fs::read(target.join("attributes.json")).unwrap()).unwrap();
        assert_eq!(schema, imported.schema);
    }
}

/// A table's rows as JSON objects.
fn rows(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn whole(batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
    // Row by row: a reader cuts batches where it likes.
    let rows =
        |batch: &RecordBatch| (0..batch.num_rows()).map(|i| batch.slice(i, 1)).collect::<Vec<_>>();
    batches.iter().flat_map(rows).collect()
}

/// Goal: tables of real runs hold each value that the updates hold, null where they say nothing, and
/// come back from Parquet and Arrow files equal, types and metadata included.
#[needs(shared)]
#[test]
fn tables_of_real_runs_hold_what_the_updates_hold() {
    for run in RUNS {
        let folder = tempfile::tempdir().unwrap();
        let (db, imported) = imported(folder.path(), run);
        let mut totals = Vec::new();
        for format in [Format::Jsonl, Format::Parquet, Format::Arrow, Format::Csv] {
            let options = ExportOptions {
                target: folder.path().join(format.extension()),
                format: ExportFormat::Table(format),
                ..ExportOptions::default()
            };
            let report = export(&db, &options, &mut |done, all| {
                assert!(done <= all);
                Ok(())
            })
            .unwrap();
            totals.push((report.updates, report.rows, report.files));
        }
        assert!(totals.iter().all(|total| *total == totals[0]), "{totals:?}");
        assert_eq!(totals[0].0, run.3 as u64);
        for dataset in db.datasets().unwrap() {
            let updates = db.updates(&dataset).unwrap();
            for group in db.groups(&dataset).unwrap() {
                let name = format!("{dataset}.{group}");
                let expected = expected_rows(&updates, &group, &imported.schema);
                let path = folder.path().join("jsonl").join(format!("{name}.jsonl"));
                assert_eq!(rows(&path), expected, "{name}");
                let path = folder.path().join("csv").join(format!("{name}.csv"));
                assert_eq!(fs::read_to_string(path).unwrap().lines().count(), expected.len() + 1);
                let memory = db.update_batches(&dataset, &group).unwrap();
                let schema = memory.schema().clone();
                let memory = whole(memory.collect_batches().unwrap());
                assert_eq!(memory.len(), expected.len());
                for format in ["parquet", "arrow"] {
                    let file = folder.path().join(format).join(format!("{name}.{format}"));
                    let table = table::read(file).unwrap();
                    assert_eq!(table.schema(), &schema);
                    assert!(whole(table.collect_batches().unwrap()) == memory, "{name} {format}");
                }
            }
        }
    }
}

/// The long table as the documented JSON says it.
fn expected_rows(updates: &[Update], group: &str, schema: &Schema) -> Vec<Value> {
    let groups = |update: &Update| update.data.iter().find(|g| g.name == group).cloned();
    let mut names: Vec<String> = Vec::new();
    for (name, _) in updates.iter().filter_map(groups).flat_map(|group| group.attributes) {
        if name != "id" && !names.contains(&name) {
            names.push(name);
        }
    }
    let mut rows = Vec::new();
    for update in updates {
        let Some(group) = groups(update) else { continue };
        let values = |name: &str| {
            let (_, attribute) = group.attributes.iter().find(|(n, _)| n == name)?;
            Some(row_values(attribute, schema.get(name)).unwrap())
        };
        let ids = values("id").unwrap();
        for (i, id) in ids.as_array().unwrap().iter().enumerate() {
            let mut row = serde_json::Map::new();
            row.insert("timestamp".into(), update.timestamp.into());
            row.insert("iteration".into(), update.iteration.into());
            row.insert("id".into(), id.clone());
            for name in &names {
                let value = values(name).map_or(Value::Null, |values| values[i].clone());
                row.insert(name.clone(), value);
            }
            rows.push(row.into());
        }
    }
    rows
}

/// Goal: a table of states says the recorded facts at each timestamp.
#[needs(shared)]
#[test]
fn tables_of_states_say_the_recorded_facts() {
    let folder = tempfile::tempdir().unwrap();
    let (db, _) = imported(folder.path(), RUNS[1]);
    let options = ExportOptions {
        target: folder.path().join("out"),
        format: ExportFormat::Table(Format::Parquet),
        what: Content::States,
        ..ExportOptions::default()
    };
    let report = export(&db, &options, &mut |_, _| Ok(())).unwrap();
    // 24 timestamps of 92 junctions, 3 tanks, 2 reservoirs, 117 pipes, 2 pumps; and once at first.
    assert_eq!(report.rows, (24 + 1) * (92 + 3 + 2 + 117 + 2));
    let file = options.target.join("net3_network.water_junction_entities.parquet");
    let mut sums: BTreeMap<i64, f64> = BTreeMap::new();
    for batch in table::read(file).unwrap().collect_batches().unwrap() {
        let times = batch.column_by_name("timestamp").unwrap().as_primitive::<Int64Type>();
        let pressure = batch.column_by_name("drinking_water.pressure").unwrap();
        let pressure = pressure.as_primitive::<Float64Type>();
        assert_eq!(pressure.null_count(), 0);
        for (time, x) in times.values().iter().zip(pressure.values()) {
            *sums.entry(*time).or_default() += x;
        }
    }
    for (time, sum) in [(0, 4158.698061), (43200, 4180.55514), (82800, 4600.66445)] {
        assert!((sums[&time] - sum).abs() < 1e-4, "{time}: {}", sums[&time]);
    }
    let state = db.state_at("net3_network", "water_junction_entities", -1).unwrap();
    let batch = state.to_arrow(&db.schema().unwrap()).unwrap();
    assert_eq!(batch.column_by_name("drinking_water.pressure").unwrap().null_count(), 92);
}

fn group(name: &str, attributes: Vec<(&str, Attribute)>) -> Group {
    let attributes = attributes.into_iter().map(|(name, a)| (name.to_owned(), a)).collect();
    Group { name: name.into(), attributes }
}

fn ids(ids: &[i64]) -> (&'static str, Attribute) {
    ("id", Attribute::new(Array::from_slice(ids)))
}

fn floats(name: &'static str, values: &[f64]) -> (&'static str, Attribute) {
    (name, Attribute::new(Array::from_slice(values)))
}

/// Goal: an export touches nothing that it was not told to, and no name leads out of the folder.
#[test]
fn an_export_stays_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let data = vec![group("../../up/g", vec![ids(&[1]), floats("a/b", &[1.5])])];
    db.store_update(0, 0, "../x", data.clone(), Some("model")).unwrap();
    db.store_initial_dataset("../../init", InitialData::Binary(vec![1, 2]), false).unwrap();
    db.store_initial_dataset("../x", InitialData::Entities(data), false).unwrap();
    for format in ["json", "parquet", "arrow", "csv", "jsonl"] {
        let target = folder.path().join(format).join("a").join("b");
        let mut options = ExportOptions {
            target: target.clone(),
            format: format.parse().unwrap(),
            ..ExportOptions::default()
        };
        export(&db, &options, &mut |_, _| Ok(())).unwrap();
        let outside = fs::read_dir(folder.path().join(format)).unwrap().count();
        assert_eq!((outside, target.parent().unwrap().read_dir().unwrap().count()), (1, 1));
        fs::write(target.join("mine.txt"), "mine").unwrap();
        let error = export(&db, &options, &mut |_, _| Ok(())).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }), "{error}");
        options.overwrite = true;
        export(&db, &options, &mut |_, _| Ok(())).unwrap();
        assert_eq!(fs::read_to_string(target.join("mine.txt")).unwrap(), "mine");
        options.datasets = vec!["unknown".into()];
        let error = export(&db, &options, &mut |_, _| Ok(())).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    let initial = fs::read_to_string(folder.path().join("json/a/b/init_data/..%2Fx.json")).unwrap();
    assert_eq!(initial, r#"{"name":"../x","data":{"../../up/g":{"id":[1],"a/b":[1.5]}}}"#);
    let error = export(
        &db,
        &ExportOptions { target: folder.path().join("stop"), ..Default::default() },
        &mut |_, _| Err(Error::Interrupted { action: "exporting" }),
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "interrupted while exporting");
}

/// Goal: text keeps null and empty apart, and every float to the bit.
#[test]
fn text_tables_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let db = siltstone::Database::builder(folder.path().join("run.db")).open().unwrap();
    let sql = "SELECT 0.1 AS x, '' AS \"te,xt\", x'00ff' AS b, 1 AS i UNION ALL \
        SELECT 1e-300, 'a \"q\"\n', NULL, NULL UNION ALL SELECT 9e999, ' pad', NULL, -5";
    let path = folder.path().join("out.csv");
    let options = WriteOptions { format: Format::Csv, ..WriteOptions::default() };
    let written =
        table::write(&path, db.arrow(sql).unwrap(), &options, &mut |_, _| Ok(())).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let expected =
        "x,\"te,xt\",b,i\n0.1,\"\",00ff,1\n1e-300,\"a \"\"q\"\"\n\",,\ninf,\" pad\",,-5\n";
    assert_eq!(text, expected);
    assert_eq!((written.rows, written.bytes), (3, expected.len() as u64));
    let error =
        table::write(&path, db.arrow(sql).unwrap(), &options, &mut |_, _| Ok(())).unwrap_err();
    assert!(error.to_string().contains("the file \"out.csv\" is already in"), "{error}");
    let path = folder.path().join("out.jsonl");
    let options = WriteOptions { format: Format::Jsonl, ..WriteOptions::default() };
    table::write(&path, db.arrow(sql).unwrap(), &options, &mut |_, _| Ok(())).unwrap();
    let first = fs::read_to_string(&path).unwrap();
    assert!(first.starts_with("{\"x\":0.1,\"te,xt\":\"\",\"b\":\"00ff\",\"i\":1}\n"), "{first}");
    // A table that fails leaves nothing behind.
    let stop = &mut |_, _| Err(Error::Interrupted { action: "writing" });
    let path = folder.path().join("no.parquet");
    table::write(&path, db.arrow(sql).unwrap(), &WriteOptions::default(), stop).unwrap_err();
    let names: Vec<_> = files(folder.path()).into_keys().filter(|n| n.contains("no")).collect();
    assert!(names.is_empty(), "{names:?}");
}

/// Goal: an SQL result has the types that its values have, or a sentence says why not.
#[test]
fn sql_results_have_types() {
    let folder = tempfile::tempdir().unwrap();
    let db = siltstone::Database::builder(folder.path().join("run.db")).open().unwrap();
    let types = |sql: &str| {
        let table = db.arrow(sql).unwrap();
        let types = table.schema().fields().iter();
        let types: Vec<String> = types.map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        (types.join(", "), whole(table.collect_batches().unwrap()).len())
    };
    let sql = "SELECT 1 AS a, 1 AS a, 2.5 AS b, NULL AS c UNION ALL SELECT NULL, 2, 7, NULL";
    assert_eq!(types(sql), ("a Int64, a_2 Int64, b Float64, c Null".into(), 2));
    assert_eq!(types("SELECT 1 AS a WHERE 0"), ("a Null".into(), 0));
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000) \
        SELECT i FROM n";
    assert_eq!(types(many), ("i Int64".into(), 150_000));
    for (sql, part) in [
        ("SELECT 1 AS a UNION ALL SELECT 'x'", "column a: expected integers in every row"),
        ("SELECT 9007199254740993 AS a UNION ALL SELECT 0.5", "beyond 2^53"),
        ("SELECT 0.5 AS a UNION ALL SELECT 9007199254740993", "got the integer 9007199254740993"),
        ("SELECT x'00' AS a UNION ALL SELECT 'x'", "got a text in row 2"),
    ] {
        let error = db.arrow(sql).unwrap_err().to_string();
        assert!(error.contains(part), "{sql}: {error}");
    }
    // The exact list of what can be read back: nulls too.
    let path = folder.path().join("nulls.parquet");
    table::write(&path, db.arrow(sql).unwrap(), &WriteOptions::default(), &mut |_, _| Ok(()))
        .unwrap();
    let back = table::read(&path).unwrap().collect_batches().unwrap();
    assert_eq!(back, db.arrow(sql).unwrap().collect_batches().unwrap());
}

/// Goal: parts of a run make the whole, a second merge changes nothing, and a contradiction is reported
/// and loses nothing.
#[needs(shared)]
#[test]
fn a_merge_makes_the_whole_and_tells_contradictions() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, _) = imported(folder.path(), RUNS[1]);
    let dataset = "net3_network";
    let updates = whole.updates(dataset).unwrap();
    let mut parts = Vec::new();
    for part in 0..2 {
        let path = folder.path().join(format!("part{part}.db"));
        let db = SimulationDatabase::open(&path).unwrap();
        db.set_schema(&whole.schema().unwrap()).unwrap();
        for name in whole.initial_datasets().unwrap() {
            let data = whole.initial_dataset(&name).unwrap().unwrap();
            db.store_initial_dataset(&name, data, false).unwrap();
        }
        // Each third update is in both.
        let mine = |(i, _): &(usize, &Update)| i % 3 == part || i % 3 == 2;
        let mine = updates.iter().enumerate().filter(mine).map(|(_, update)| update.clone());
        db.store_updates(mine.collect()).unwrap();
        db.close().unwrap();
        parts.push(path);
    }
    let target = folder.path().join("merged.db");
    let mut last = (0, 0);
    let report = merge(&parts, &target, &mut |done, all| {
        last = (done, all);
        Ok(())
    })
    .unwrap();
    assert_eq!((report.updates, report.unchanged, report.conflicts), (72, 24, 0));
    assert_eq!((report.initial_datasets, last), (2, (96, 96)));
    let merged = SimulationDatabase::open(&target).unwrap();
    assert_eq!(merged.updates(dataset).unwrap(), updates);
    assert_eq!(merged.schema().unwrap(), whole.schema().unwrap());
    assert_eq!(merged.run().unwrap().status, Status::Complete);
    assert!(merged.database().verify().unwrap().is_ok());
    let again = merge(&parts, &target, &mut |_, _| Ok(())).unwrap();
    assert_eq!((again.updates, again.unchanged, again.conflicts), (0, 96, 0));

    let other = SimulationDatabase::open(folder.path().join("other.db")).unwrap();
    let mut changed = updates[5].clone();
    changed.data[0].attributes.pop();
    let (timestamp, iteration) = (changed.timestamp, changed.iteration);
    other.store_updates(vec![changed, Update { timestamp: 1, ..updates[0].clone() }]).unwrap();
    other.store_initial_dataset(dataset, InitialData::Json(b"{}".to_vec()), false).unwrap();
    other.close().unwrap();
    let report = merge(&[folder.path().join("other.db")], &target, &mut |_, _| Ok(())).unwrap();
    assert_eq!((report.updates, report.unchanged, report.conflicts), (1, 0, 2));
    let said = &report.first_conflicts[1].what;
    let expected = format!("timestamp {timestamp}, iteration {iteration} of dataset {dataset:?}");
    assert!(said.contains(&expected), "{said}");
    let kept: Vec<Update> =
        merged.updates(dataset).unwrap().into_iter().filter(|u| u.timestamp != 1).collect();
    assert_eq!(kept, updates);

    let error = merge(&[&target], &target, &mut |_, _| Ok(())).unwrap_err().to_string();
    assert!(error.contains("a target that is none of the sources"), "{error}");
    let missing = folder.path().join("missing.db");
    let new = folder.path().join("new.db");
    assert!(merge(&[&missing], &new, &mut |_, _| Ok(())).is_err());
    assert!(!new.exists() && !missing.exists());
}

/// Goal: real runs that left as Parquet and came back are the same runs.
#[needs(shared)]
#[test]
fn tables_come_back_as_the_updates_that_they_were() {
    for run in RUNS {
        let folder = tempfile::tempdir().unwrap();
        let (db, imported) = imported(folder.path(), run);
        let target = folder.path().join("out");
        let format = ExportFormat::Table(Format::Parquet);
        let options = ExportOptions { target: target.clone(), format, ..Default::default() };
        db.compact(&mut |_, _| Ok(())).unwrap();
        export(&db, &options, &mut |_, _| Ok(())).unwrap();
        let back = SimulationDatabase::open(folder.path().join("back.db")).unwrap();
        let report = import_tables(&back, &target, &mut |_, _| Ok(())).unwrap();
        assert_eq!((report.updates, report.unchanged), (run.3 as u64, 0));
        let report = import_tables(&back, &target, &mut |_, _| Ok(())).unwrap();
        assert_eq!((report.updates, report.unchanged), (0, run.3 as u64));
        assert_eq!(back.schema().unwrap(), imported.schema);
        for dataset in db.datasets().unwrap() {
            assert_eq!(normal(&back, &dataset), normal(&db, &dataset));
        }
    }
}

/// One row: what is said of it, and its items without padding.
type Row = (u8, Vec<Vec<u8>>);

/// What the updates say, whatever the way they say it.
fn normal(db: &SimulationDatabase, dataset: &str) -> Vec<(i64, i64, Option<String>, Said)> {
    let say = |update: Update| {
        let mut said = Said::new();
        for group in update.data {
            for (name, attribute) in group.attributes {
                let rows = rows_of(&attribute);
                if rows.iter().any(|(said, _)| *said != 1) {
                    let dtype = attribute.data.dtype();
                    let is_text = matches!(dtype.kind(), Kind::Str | Kind::Bytes);
                    let dtype = if is_text { "text".to_owned() } else { dtype.to_string() };
                    said.insert((group.name.clone(), name), (dtype, rows));
                }
            }
        }
        (update.timestamp, update.iteration, update.origin, said)
    };
    db.updates(dataset).unwrap().into_iter().map(say).collect()
}

type Said = BTreeMap<(String, String), (String, Vec<Row>)>;

fn rows_of(attribute: &Attribute) -> Vec<Row> {
    let data = attribute.data.to_little_endian();
    let (dtype, size) = (data.dtype(), data.dtype().item_size());
    let per_unit: usize = data.shape()[1..].iter().product();
    let ends = attribute.row_ptr.as_ref().map(|ends| ends.to_i64s().unwrap());
    let row = |i: usize| {
        let (from, to) = match &ends {
            Some(ends) => (ends[i] as usize, ends[i + 1] as usize),
            None => (i, i + 1),
        };
        let items = |i: usize| data.data()[i * size..(i + 1) * size].to_vec();
        let mut items: Vec<Vec<u8>> = (from * per_unit..to * per_unit).map(items).collect();
        let marked =
            to - from == 1 && per_unit > 0 && items.iter().all(|item| is_sentinel(dtype, item));
        let said = match &attribute.mask {
            Some(mask) => mask.data()[i],
            None => u8::from(marked),
        };
        if said != 0 {
            items.clear();
        }
        if matches!(dtype.kind(), Kind::Str | Kind::Bytes) {
            for item in &mut items {
                item.truncate(item.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1));
            }
        }
        (said, items)
    };
    (0..attribute.entities()).map(row).collect()
}

/// The documented sentinels, written down a second time.
fn is_sentinel(dtype: DType, item: &[u8]) -> bool {
    let udf: Vec<u8> = "_udf_".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
    match (dtype.kind(), item.len()) {
        (Kind::Float, 2) => u16::from_le_bytes([item[0], item[1]]) & 0x7fff > 0x7c00,
        (Kind::Float, 4) => f32::from_le_bytes(item.try_into().unwrap()).is_nan(),
        (Kind::Float, _) => f64::from_le_bytes(item.try_into().unwrap()).is_nan(),
        (Kind::Int, 4) => item == i32::MIN.to_le_bytes(),
        (Kind::Int, 1) => item == [0x80],
        (Kind::Str, _) => {
            item.len() >= 20 && item[..20] == udf && item[20..].iter().all(|b| *b == 0)
        }
        _ => false,
    }
}

const DTYPES: [&str; 22] = [
    "|b1", "|i1", "<i2", ">i4", "<i8", "|u1", "<u2", "<u4", ">u8", "<f2", "<f4", ">f8", "<c8",
    ">c16", "|S3", "<U6", ">U2", "<M8[ns]", "<M8[s]", "<m8[us]", "<M8[D]", "<m8[25s]",
];

/// Any bytes, as far as the dtype allows any.
fn items(dtype: DType, count: usize, seed: &mut impl FnMut() -> u64) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..count {
        let mut item: Vec<u8> = Vec::new();
        let udf = "_udf_".chars().map(u32::from).chain([0]);
        match dtype.kind() {
            Kind::Bool => item.push((seed() % 2) as u8),
            Kind::Int if seed().is_multiple_of(8) => {
                item = i64::MIN.to_be_bytes()[..1].to_vec(); // the sentinel of i1, or high byte first of i4
                item.resize(dtype.item_size(), 0);
                if !dtype.is_big_endian() {
                    item.reverse();
                }
            }
            Kind::Str if dtype.item_size() == 24 && seed().is_multiple_of(4) => {
                item = udf.flat_map(u32::to_le_bytes).collect();
            }
            Kind::Str => {
                for _ in 0..dtype.item_size() / 4 {
                    let c = [0, 'a' as u32, 'é' as u32, '🚰' as u32][(seed() % 4) as usize];
                    let bytes =
                        if dtype.is_big_endian() { c.to_be_bytes() } else { c.to_le_bytes() };
                    item.extend(bytes);
                }
            }
            _ => {
                while item.len() < dtype.item_size() {
                    item.extend(seed().to_le_bytes());
                }
                item.truncate(dtype.item_size());
            }
        }
        out.extend(item);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Goal: updates of any dtype, shape, raggedness and mask leave as tables and come back saying
    /// the same to the bit.
    #[test]
    fn any_updates_survive_as_tables(
        columns in prop::collection::vec((0..DTYPES.len(), 0..4usize, any::<bool>()), 1..5),
        updates in prop::collection::vec((1..5usize, any::<bool>(), any::<u64>()), 1..6),
        format in prop::sample::select(vec![Format::Parquet, Format::Arrow]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let db = SimulationDatabase::open(folder.path().join("a.db")).unwrap();
        for (i, (rows, has_mask, seed)) in updates.into_iter().enumerate() {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 24) ^ (state << 40)
            };
            let id: Vec<i64> = (0..rows as i64).map(|n| n * 3 - 2).collect();
            let mut attributes = vec![ids(&id)];
            let names: Vec<String> = (0..columns.len()).map(|n| format!("a{n}.x")).collect();
            for (name, (dtype, unit, ragged)) in names.iter().zip(&columns) {
                let dtype: DType = DTYPES[*dtype].parse().unwrap();
                let unit: &[usize] = [&[][..], &[2], &[2, 2], &[0]][*unit];
                let mut ends = vec![0i64];
                for _ in 0..rows {
                    ends.push(ends[ends.len() - 1] + (next() % 3) as i64);
                }
                let units = if *ragged { ends[rows] as usize } else { rows };
                let shape = [&[units], unit].concat();
                let data = items(dtype, shape.iter().product(), &mut next);
                let data = Array::new(dtype, shape, data).unwrap();
                let row_ptr = ragged.then(|| Array::from_slice(&ends));
                let mask: Vec<u8> = (0..rows).map(|_| (next() % 3) as u8).collect();
                let mask = has_mask.then(|| Array::from_slice(&mask));
                attributes.push((name, Attribute { data, row_ptr, mask }));
            }
            let origin = if seed.is_multiple_of(2) { Some("a model") } else { None };
            db.store_update(i as i64 / 2, i as i64 % 2, "d.s", vec![group("g/1", attributes)], origin).unwrap();
        }
        let target = folder.path().join("out");
        let format = ExportFormat::Table(format);
        export(&db, &ExportOptions { target: target.clone(), format, ..Default::default() }, &mut |_, _| Ok(())).unwrap();
        let back = SimulationDatabase::open(folder.path().join("b.db")).unwrap();
        import_tables(&back, &target, &mut |_, _| Ok(())).unwrap();
        prop_assert_eq!(normal(&back, "d.s"), normal(&db, "d.s"));
    }
}
