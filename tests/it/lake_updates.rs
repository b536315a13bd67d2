//! Publishing updates of simulations: a row a value, and no value is another than in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array as _, RecordBatch};
use arrow_cast::cast;
use arrow_schema::DataType;
use serde_json::Value;
use siltstone::lake::{PublishOptions, PublishReport, PullOptions, TableReport, publish, verify};
use siltstone::simulation::{
    Attribute, CLEARED, EntityData, GIVEN, Group, InitialData, NOT_GIVEN, OnRepeat, Options,
    SimulationDatabase, Status, Timeline, Update,
};
use siltstone::{Array, DType, Handle};
use siltstone_needs::needs;

use crate::lake_pull::{again, bring};

const TABLE: &str = "simulation_updates";

fn send(handle: &Handle, lake: &Path, live: bool) -> PublishReport {
    let mut options = PublishOptions::default();
    options.live = live;
    let report = publish(handle, lake.to_str().unwrap(), &options, &mut |_, _| Ok(())).unwrap();
    assert_eq!(report.failed, BTreeMap::new());
    report
}

/// Dataset, group, attribute, timestamp, iteration, entity, and origin: what a row is of.
type Key = (String, String, String, i64, i64, i64, Option<String>);

/// A value: its items, each as text that is another for another bit.
type Said = Vec<String>;

/// The items of a cell, from the outer list to the inner one; numbers in lists as doubles.
fn items(column: &dyn arrow_array::Array, row: usize, in_list: bool) -> Said {
    if column.is_null(row) {
        return vec!["null".into()];
    }
    let cell = column.slice(row, 1);
    let float = || {
        let floats = cast(&cell, &DataType::Float64).unwrap();
        format!("{:x}", floats.as_primitive::<Float64Type>().value(0).to_bits())
    };
    let list = |list: arrow_array::ArrayRef| {
        (0..list.len()).flat_map(|i| items(&*list, i, true)).collect::<Said>()
    };
    match column.data_type() {
        DataType::List(_) => list(cell.as_list::<i32>().value(0)),
        DataType::FixedSizeList(..) => list(cell.as_fixed_size_list().value(0)),
        DataType::Struct(_) => {
            cell.as_struct().columns().iter().flat_map(|half| items(half, 0, true)).collect()
        }
        DataType::Binary => {
            vec![cell.as_binary::<i32>().value(0).iter().map(|b| format!("{b:02x}")).collect()]
        }
        DataType::Timestamp(..) | DataType::Duration(_) => {
            items(&cast(&cell, &DataType::Int64).unwrap(), 0, in_list)
        }
        DataType::Boolean if in_list => {
            vec![format!("{:x}", f64::from(cell.as_boolean().value(0)).to_bits())]
        }
        kind if kind.is_floating() || (in_list && kind.is_integer()) => vec![float()],
        _ => {
            let text = cast(&cell, &DataType::Utf8).unwrap();
            vec![text.as_string::<i32>().value(0).to_owned()]
        }
    }
}

/// What the store's own export has of a file, but for groups whose entities have no ids.
fn exported(db: &SimulationDatabase) -> BTreeMap<Key, Option<Said>> {
    let mut all = BTreeMap::new();
    for dataset in db.datasets().unwrap() {
        for group in db.groups(&dataset).unwrap() {
            for batch in db.update_batches(&dataset, &group).unwrap().collect_batches().unwrap() {
                let number = |name: &str, row: usize| {
                    let column = batch.column_by_name(name)?.as_primitive::<Int64Type>();
                    column.is_valid(row).then(|| column.value(row))
                };
                for row in 0..batch.num_rows() {
                    let [time, iteration] =
                        ["timestamp", "iteration"].map(|n| number(n, row).unwrap());
                    let Some(id) = number("id", row) else { continue };
                    let origin =
                        batch.column_by_name("origin").map(|o| items(o, row, false).remove(0));
                    let origin = origin.filter(|origin| origin != "null");
                    let mut put = |name: &str, value: Option<Said>| {
                        let key = (
                            dataset.clone(),
                            group.clone(),
                            name.to_owned(),
                            time,
                            iteration,
                            id,
                            origin.clone(),
                        );
                        assert_eq!(all.insert(key, value), None);
                    };
                    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                        let own = ["timestamp", "iteration", "id", "origin", "cleared"];
                        if !own.contains(&field.name().as_str()) && column.is_valid(row) {
                            put(field.name(), Some(items(column, row, false)));
                        }
                    }
                    let cleared =
                        batch.column_by_name("cleared").map(|names| items(names, row, false));
                    cleared
                        .into_iter()
                        .flatten()
                        .filter(|name| name != "null")
                        .for_each(|name| put(&name, None));
                }
            }
        }
    }
    all
}

/// What the files of a lake have of it.
fn published(lake: &Path) -> BTreeMap<Key, Option<Said>> {
    let mut all = BTreeMap::new();
    for batch in batches(lake) {
        let text = |name: &str, row: usize| {
            let text = items(batch.column_by_name(name).unwrap(), row, false).remove(0);
            (text != "null").then_some(text)
        };
        let number = |name: &str, row: usize| text(name, row).unwrap().parse::<i64>().unwrap();
        for row in 0..batch.num_rows() {
            let of = ["dataset", "entity_group", "attribute"].map(|name| text(name, row).unwrap());
            let [dataset, group, attribute] = of;
            let (time, iteration) = (number("timestamp", row), number("iteration", row));
            let key = (
                dataset,
                group,
                attribute,
                time,
                iteration,
                number("entity_id", row),
                text("origin", row),
            );
            let values = batch.schema_ref().fields().iter().zip(batch.columns());
            let values = values.filter(|(field, column)| {
                field.name().starts_with("value_") && column.is_valid(row)
            });
            let mut values: Vec<Said> = values
                .map(|(field, column)| {
                    let found = items(column, row, false);
                    match text("shape", row) {
                        Some(_) if field.name() == "value_text" => of_json(&found[0]),
                        _ => found,
                    }
                })
                .collect();
            let is_cleared = text("is_cleared", row).unwrap() == "true";
            assert_eq!(values.len(), usize::from(!is_cleared), "{key:?}");
            assert_eq!(all.insert(key, values.pop()), None);
        }
    }
    all
}

fn of_json(text: &str) -> Said {
    let list: Vec<Value> = serde_json::from_str(text).unwrap();
    let item = |item: &Value| match item {
        Value::String(text) => text.clone(),
        Value::Number(n) => format!("{:x}", n.as_f64().unwrap().to_bits()),
        other => other.to_string(),
    };
    list.iter().map(item).collect()
}

/// The rows of a lake, of the files that its log has.
fn batches(lake: &Path) -> Vec<RecordBatch> {
    batches_of(lake, TABLE)
}

fn batches_of(lake: &Path, table: &str) -> Vec<RecordBatch> {
    let files = crate::lake::files(&lake.join(table));
    let read = |file: String| siltstone::table::read(lake.join(table).join(file)).unwrap();
    files.into_iter().flat_map(|file| read(file).collect_batches().unwrap()).collect()
}

fn array(dtype: &str, shape: &[usize], bytes: &[u8]) -> Array {
    Array::new(dtype.parse::<DType>().unwrap(), shape.to_vec(), bytes.to_vec()).unwrap()
}

/// Updates with values of every type, given, not given and cleared in each way that there is.
fn fill(db: &SimulationDatabase) {
    let mask = [GIVEN, NOT_GIVEN, CLEARED];
    let wide = [i64::MAX, i64::MIN, 5].map(i64::to_le_bytes).concat();
    let huge = [u64::MAX, 1 << 53, (1 << 53) + 1].map(u64::to_le_bytes).concat();
    let big_endian = [1.5f32, -0.0, f32::NAN].map(f32::to_be_bytes).concat();
    let halves = [0x3c00u16, 0x7e00, 0xfc00].map(u16::to_le_bytes).concat();
    let complex = [1.5f64, -2.0, f64::NAN, 0.0, 3.0, 4.0].map(f64::to_le_bytes).concat();
    let (lists, ends) = (Array::from([1.0, 2.0, 3.0]), Array::from([0i64, 2, 2, 3]));
    let texts = Array::from_strs(&["a", "b\"", "c"]);
    let group = Group::new("roads")
        .with("id", [7i64, 3, 9])
        .with("speed", [0.1, f64::NAN, f64::INFINITY])
        .with("masked", Attribute::new([f64::NAN, 1.0, 2.0].into()).with_mask(&mask))
        .with("f4", array(">f4", &[3], &big_endian))
        .with("f2", array("<f2", &[3], &halves))
        .with("i4", [1i32, i32::MIN, -7])
        .with("i8", Attribute::new(array("<i8", &[3], &wide)).with_mask(&mask))
        .with("i1", array("|i1", &[3], &[1, 0x80, 0]))
        .with("u8", array("<u8", &[3], &huge))
        .with("flag", Attribute::new(array("|b1", &[3], &[1, 0, 1])).with_mask(&[0, 0, 2]))
        .with("name", Array::from_strs(&["A28", "_udf_", "Zürich"]))
        .with("code", array("|S3", &[3], b"ab\0\0\0\0a\0b"))
        .with("when", array("<M8[ns]", &[3], &wide))
        .with("years", array("<m8[Y]", &[3], &wide))
        .with("impedance", array("<c16", &[3], &complex))
        .with(
            "pair",
            Array::from([1.0, f64::NAN, f64::NAN, f64::NAN, 5.0, 6.0]).reshape(vec![3, 2]).unwrap(),
        )
        .with("ints", Array::from([1i32, i32::MIN, 3, 4, 5, 6]).reshape(vec![3, 1, 2]).unwrap())
        .with("wide", array("<u8", &[3, 1], &huge))
        .with("flags", array("|b1", &[3, 2], &[1, 0, 1, 1, 0, 0]))
        .with("ragged", Attribute::ragged(lists, ends.clone()).with_mask(&[0, 0, 2]))
        .with("words", Attribute::ragged(texts, ends.clone()))
        .with("times", Attribute::ragged(array("<M8[s]", &[3], &wide), ends));
    db.store_update(0, 0, "network", vec![group], Some("solver")).unwrap();
    let tanks = Group::new("tanks").with("level", [0.5, 0.25]);
    let roads = Group::new("roads").with("id", [3i64]).with("speed", [f64::NAN]).with("i4", [4i32]);
    db.store_update(0, 1, "network", vec![roads, tanks], None).unwrap();
    let empty: EntityData = vec![Group::new("roads").with("id", Array::from_slice::<i64>(&[]))];
    db.store_update(1, 0, "network", empty, None).unwrap();
    for n in 0..12 {
        let area = Group::new("areas").with("id", [n]).with("heat", [n as f64]);
        db.store_update(n, 0, &format!("area {n}/ü"), vec![area], Some("heat")).unwrap();
    }
}

/// Goal: what a lake has of each value, and of each that is cleared, is what the store's own export says of it.
#[test]
fn each_value_is_a_row_that_says_what_the_export_says() {
    let folder = tempfile::tempdir().unwrap();
    let (path, lake) = (folder.path().join("run.db"), folder.path().join("lake"));
    let db = SimulationDatabase::open(&path).unwrap();
    fill(&db);
    let handle = siltstone::open(&path).unwrap();
    let report = send(&handle, &lake, false);
    let mut expected = exported(&db);
    // The export calls a time that is none null, as one that is not given.
    let none = |attribute: &str, id| {
        let key =
            ("network".into(), "roads".into(), attribute.into(), 0, 0, id, Some("solver".into()));
        (key, Some(vec!["NaT".to_owned()]))
    };
    expected.extend([none("when", 3), none("years", 3)]);
    let of_level = |(_, group, _, _, _, id, _): &Key| group == "tanks" && *id < 2;
    assert_eq!(
        published(&lake).keys().filter(|key| of_level(key)).count(),
        2,
        "by their positions"
    );
    let found: BTreeMap<_, _> =
        published(&lake).into_iter().filter(|(key, _)| !of_level(key)).collect();
    let differ: Vec<_> = expected
        .iter()
        .filter(|(key, said)| found.get(key) != Some(said))
        .map(|(key, said)| (key, said, found.get(key)))
        .collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert_eq!(found.len(), expected.len());
    assert_eq!(report.tables[TABLE].rows as usize, found.len() + 2);
    assert_eq!(send(&handle, &lake, false), PublishReport::default());
    assert!(verify(lake.to_str().unwrap(), Some(&handle), &mut |_, _| Ok(())).unwrap().is_ok());
}

/// Goal: updates come back from a lake with every value that they give or clear, bit for bit, and published again they are
/// the same rows.
#[needs(shared)]
#[test]
fn updates_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own.db");
    let db = SimulationDatabase::open(&own).unwrap();
    fill(&db);
    db.close().unwrap();
    let movici = |name| crate::shared::folder("data/simulation").join(name);
    let paths = [own, movici("water_net3/net3.db"), movici("edge/edge.db")];
    for (n, path) in paths.iter().enumerate() {
        let folder = folder.path().join(n.to_string());
        std::fs::create_dir(&folder).unwrap();
        let (file, lake) = (folder.join("run.db"), folder.join("lake"));
        std::fs::copy(path, &file).unwrap();
        send(&siltstone::open(&file).unwrap(), &lake, false);
        let pulled = again(&lake, &folder, |_| {}).simulation().unwrap();
        let db = SimulationDatabase::open_read_only(&file).unwrap();
        let mut found = exported(&pulled);
        found.retain(|(_, group, ..), _| group != "tanks"); // which have got ids
        assert!(found == exported(&db), "{}", path.display());
        assert_eq!(pulled.run().unwrap().status, Status::Complete);
    }

    // What two files have of one dataset is of neither.
    let lake = folder.path().join("both");
    for name in ["a.db", "b.db"] {
        let db = SimulationDatabase::open(folder.path().join(name)).unwrap();
        grow(&db, 0..2, 0.0);
        send(&Handle::File(db.database().clone()), &lake, false);
    }
    let error = bring(&lake, &folder.path().join("c.db"), |_| {}).unwrap_err().to_string();
    assert!(error.contains("the dataset \"grid\"") && error.contains("--store ID"), "{error}");
}

/// A run of one dataset: `n` updates of 4,096 entities, from `first` on.
fn grow(db: &SimulationDatabase, times: std::ops::Range<i64>, heat: f64) {
    let ids: Vec<i64> = (0..4_096).collect();
    let update = |timestamp| {
        let heat = ids.iter().map(|id| heat + (timestamp * id) as f64).collect::<Vec<_>>();
        let cells = Group::new("cells").with("id", &ids).with("heat", &heat);
        let (dataset, data) = ("grid".into(), vec![cells]);
        Update { timestamp, dataset, data, ..Update::default() }
    };
    db.store_updates(times.map(update).collect()).unwrap();
}

/// The sum of all values of a lake, and how many there are.
fn sum(lake: &Path) -> (usize, f64) {
    let (mut rows, mut sum) = (0, 0.0);
    for batch in batches(lake) {
        let values = batch.column_by_name("value_float").unwrap().as_primitive::<Float64Type>();
        rows += batch.num_rows();
        sum += values.iter().flatten().sum::<f64>();
    }
    (rows, sum)
}

/// Goal: of a run that grows, what is new is sent; an update that is replaced, even by one with its row and the same range of
/// values, replaces one file; what `resume_from` removes is gone.
#[test]
fn a_run_that_grows_sends_what_is_new_and_what_was_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (path, lake) = (folder.path().join("run.db"), folder.path().join("lake"));
    let options =
        Options { on_repeat: OnRepeat::Replace, no_keyframes: true, ..Options::default() };
    let db = SimulationDatabase::open_with(&path, options).unwrap();
    let handle = Handle::File(db.database().clone());
    let send = || send(&handle, &lake, true).tables.get(TABLE).copied().unwrap_or_default();
    let expected = |until: i64| {
        (until as usize * 4_096, (0..until).map(|t| (t * 4_095 * 2_048) as f64).sum::<f64>())
    };
    grow(&db, 0..43, 0.0);
    assert!(send().segments > 3);
    assert_eq!(sum(&lake), expected(43));
    grow(&db, 43..44, 0.0);
    let new = send();
    assert!(new.rows < 10 * 4_096, "{new:?}");
    assert_eq!(sum(&lake), expected(44));

    // The last update, so that its number is used again, and one of the first ones.
    for (time, heat) in [(43, 1.0), (5, 0.5)] {
        grow(&db, time..time + 1, heat);
        let replaced = send();
        assert_eq!((replaced.segments, replaced.removed), (1, 1), "{time}");
    }
    let (rows, all) = expected(44);
    assert_eq!(sum(&lake), (rows, all + 4_096.0 * 1.5));
    assert_eq!(db.resume_from(9).unwrap(), 34);
    for heat in [3.0, 7.0] {
        grow(&db, 10..11, heat); // with the numbers that others had
        send();
        assert!(heat > 3.0 || db.resume_from(9).unwrap() == 1);
    }
    let (rows, all) = expected(11);
    assert_eq!(sum(&lake), (rows, all + 4_096.0 * 7.5));

    // Arrays that go into blocks are the same rows.
    assert!(db.compact(&mut |_, _| Ok(())).unwrap().blocks > 0);
    assert_eq!(send(), TableReport::default());
    assert!(verify(lake.to_str().unwrap(), Some(&handle), &mut |_, _| Ok(())).unwrap().is_ok());
}

/// Goal: files that movici wrote are published with their values, and after our first write to them there is nothing to send.
#[needs(shared)]
#[test]
fn files_of_movici_are_published() {
    for name in ["water_net3/net3.db", "water_net3_week/net3w.db", "edge/edge.db"] {
        let folder = tempfile::tempdir().unwrap();
        let (path, lake) = (folder.path().join("run.db"), folder.path().join("lake"));
        std::fs::copy(crate::shared::folder("data/simulation").join(name), &path).unwrap();
        let handle = siltstone::open(&path).unwrap();
        send(&handle, &lake, false);
        let db = SimulationDatabase::open(&path).unwrap();
        let (found, expected) = (published(&lake), exported(&db));
        assert!(found.len() > 20, "{name}: {}", found.len());
        assert!(found == expected, "{name}: {} and {}", found.len(), expected.len());
        let timeline = Timeline { reference: 0.0, time_scale: 1.0, start_time: 0 };
        db.set_timeline(timeline).unwrap();
        let report = send(&handle, &lake, false);
        assert!(report.is_empty(), "{report:?}");
    }
}

/// What a lake has of states: dataset, group, attribute, time, entity, and the value.
fn states(lake: &Path) -> BTreeSet<(String, String, String, i64, i64, Said)> {
    let mut all = BTreeSet::new();
    for batch in batches_of(lake, "simulation_states") {
        let text =
            |name: &str, row| items(batch.column_by_name(name).unwrap(), row, false).remove(0);
        for row in 0..batch.num_rows() {
            let [dataset, group, attribute] =
                ["dataset", "entity_group", "attribute"].map(|name| text(name, row));
            let [time, id] =
                ["timestamp", "entity_id"].map(|name| text(name, row).parse().unwrap());
            let values = batch.schema_ref().fields().iter().zip(batch.columns());
            let mut values = values.filter(|(field, column)| {
                field.name().starts_with("value_") && column.is_valid(row)
            });
            let value = items(values.next().unwrap().1, row, false);
            assert!(values.next().is_none());
            assert!(all.insert((dataset, group, attribute, time, id, value)), "once");
        }
    }
    all
}

/// What the store says of the states at these times.
fn own_states(
    db: &SimulationDatabase,
    times: &[i64],
) -> BTreeSet<(String, String, String, i64, i64, Said)> {
    let mut all = BTreeSet::new();
    for dataset in db.datasets().unwrap() {
        for group in db.groups(&dataset).unwrap() {
            for time in times {
                let batch = db.state_at(&dataset, &group, *time).unwrap();
                let batch = batch.to_arrow(&db.schema().unwrap()).unwrap();
                let ids = batch.column(0).as_primitive::<Int64Type>();
                for (field, column) in batch.schema().fields().iter().zip(batch.columns()).skip(1) {
                    for row in (0..batch.num_rows()).filter(|row| column.is_valid(*row)) {
                        let of = (dataset.clone(), group.clone(), field.name().clone());
                        let value = items(column, row, false);
                        all.insert((of.0, of.1, of.2, *time, ids.value(row), value));
                    }
                }
            }
        }
    }
    all
}

/// Goal: the states at the times that were asked for are those that the store says; a call that asks for none keeps them up to
/// date, and sends those alone that are others now.
#[test]
fn states_at_chosen_times_are_published_and_kept_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let (path, lake) = (folder.path().join("run.db"), folder.path().join("lake"));
    let options = Options { no_keyframes: true, ..Options::default() };
    let db = SimulationDatabase::open_with(&path, options).unwrap();
    let cells =
        |ids: &[i64], heat: &[f64]| vec![Group::new("cells").with("id", ids).with("heat", heat)];
    let initial = cells(&[1, 2, 3], &[0.5, f64::NAN, 0.25]);
    db.store_initial_dataset("grid", InitialData::Entities(initial), false).unwrap();
    for time in [3, 10, 11, 25, 40] {
        for dataset in ["grid", "net"] {
            let heat = [time as f64, f64::NAN];
            db.store_update(time, 0, dataset, cells(&[1, time], &heat), None).unwrap();
        }
    }
    let handle = Handle::File(db.database().clone());
    let publish = |every: Option<i64>, at: &[i64]| {
        let mut options = PublishOptions::default();
        (options.states_every, options.state_times) = (every, at.to_vec());
        let report =
            publish(&handle, lake.to_str().unwrap(), &options, &mut |_, _| Ok(())).unwrap();
        assert_eq!(report.failed, BTreeMap::new());
        assert_eq!(
            report.not_published,
            BTreeMap::from([("initial datasets of simulations".into(), 1)])
        );
        report.tables.get("simulation_states").copied().unwrap_or_default()
    };
    assert_eq!(publish(None, &[]), TableReport::default());
    publish(Some(10), &[]);
    assert_eq!(states(&lake), own_states(&db, &[10, 20, 30, 40]));
    publish(Some(20), &[-1, 11]);
    assert_eq!(states(&lake), own_states(&db, &[-1, 11, 20, 40]));
    assert_eq!(publish(None, &[]), TableReport::default());
    assert!(verify(lake.to_str().unwrap(), Some(&handle), &mut |_, _| Ok(())).unwrap().is_ok());

    db.store_update(12, 0, "grid", cells(&[2], &[-1.0]), None).unwrap();
    let report = verify(lake.to_str().unwrap(), Some(&handle), &mut |_, _| Ok(())).unwrap();
    let of_states = |f: &&siltstone::Finding| f.location.starts_with("simulation_states");
    assert_eq!(report.findings.iter().filter(of_states).count(), 2, "at 20 and 40");
    let sent = publish(None, &[]);
    assert_eq!((sent.segments, sent.removed), (2, 2));
    assert_eq!(states(&lake), own_states(&db, &[-1, 11, 20, 40]));
    let initial = InitialData::Entities(cells(&[1, 2, 3], &[0.5, 0.5, 0.5]));
    db.store_initial_dataset("grid", initial, true).unwrap();
    assert_eq!(publish(None, &[]).segments, 4);
    assert_eq!(states(&lake), own_states(&db, &[-1, 11, 20, 40]));

    let pulled = bring(&lake, &folder.path().join("pulled.db"), |_| {}).unwrap();
    assert_eq!(pulled.not_pulled["simulation_states"] as usize, states(&lake).len());
    let only = |options: &mut PullOptions| options.tables.push("simulation_states".into());
    let error = bring(&lake, &folder.path().join("states.db"), only).unwrap_err().to_string();
    assert!(error.contains("publishing makes of simulation_updates"), "{error}");
    let mut options = PublishOptions::default();
    options.states_every = Some(1);
    db.store_update(1_000_000, 0, "net", cells(&[2], &[-1.0]), None).unwrap();
    let address = lake.to_str().unwrap();
    let report = siltstone::lake::publish(&handle, address, &options, &mut |_, _| Ok(())).unwrap();
    assert!(report.failed["simulation_states"].contains("at most 10000 states"), "{report:?}");
}
