//! Recorded runs read back: what a path is, where initial data come from, slices, odd cases.

use std::fs;
use std::path::Path;

use serde_json::Value;
use siltstone::Array;
use siltstone::Error;
use siltstone::simulation::json::{Schema, row_values};
use siltstone::simulation::{
    Attribute, CLEARED, EntityHistory, EntityKey, FilePattern, Format, GIVEN, Group, InitialData,
    KeyValue, NOT_GIVEN, Options, Results, ResultsOptions, SimulationDatabase, Time, Timeline,
    Update, detect_format,
};

use crate::store::group;

fn no_options() -> ResultsOptions {
    ResultsOptions::default()
}

fn with_init(folder: &Path) -> ResultsOptions {
    ResultsOptions { init_dir: Some(folder.to_owned()), ..no_options() }
}

fn x(ids: &[i64], values: &[f64]) -> Vec<Group> {
    vec![group("g", &[("id", Array::from_slice(ids)), ("x", Array::from_slice(values))])]
}

/// Two timestamps of a dataset `net`, without initial data.
fn small_run(path: &Path) {
    let db = SimulationDatabase::open(path).unwrap();
    db.store_update(0, 0, "net", x(&[1, 2], &[1.0, 2.0]), None).unwrap();
    db.store_update(10, 0, "net", x(&[2, 3], &[5.0, 6.0]), None).unwrap();
    db.close().unwrap();
}

/// A database whose keyframes come only when they are asked for.
fn without_keys(path: &Path) -> SimulationDatabase {
    let options = Options { no_keyframes: true, ..Options::default() };
    SimulationDatabase::open_with(path, options).unwrap()
}

fn rendered(attribute: &Attribute) -> Value {
    row_values(attribute, None).unwrap()
}

/// Goal: a path is what its content is: names, parents and foreign databases do not decide.
#[test]
fn a_path_is_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    small_run(&at("run.sqlite-of-mine"));
    assert_eq!(detect_format(at("run.sqlite-of-mine")).unwrap(), Format::Sqlite);
    // A database beside a folder of JSON is not in it.
    fs::create_dir(at("updates")).unwrap();
    fs::write(at("updates/t0_0_net.json"), r#"{"net":{"g":{"id":[1],"x":[0.5]}}}"#).unwrap();
    fs::write(at("updates/Thumbs.db"), "not a database, but long enough for a header ".repeat(9))
        .unwrap();
    fs::write(at("updates/empty.db"), "").unwrap();
    // Ours, but without a simulation in it.
    SimulationDatabase::open(at("updates/of-another-store")).unwrap().close().unwrap();
    assert!(at("updates/of-another-store").exists());
    assert_eq!(detect_format(at("updates")).unwrap(), Format::Json);
    // A folder with a database in it is one of a database, and the newest counts.
    assert_eq!(detect_format(folder.path()).unwrap(), Format::Sqlite);
    std::thread::sleep(std::time::Duration::from_millis(20));
    let newer = SimulationDatabase::open(at("newer")).unwrap();
    newer.store_update(7, 0, "newer", x(&[1], &[1.0]), None).unwrap();
    newer.close().unwrap();
    let results = Results::detect(folder.path(), no_options()).unwrap();
    assert_eq!(results.datasets().unwrap(), ["newer"]);
    for (path, is_missing) in
        [("nowhere.db", true), ("updates/Thumbs.db", false), ("updates/t0_0_net.json", false)]
    {
        match detect_format(at(path)).unwrap_err() {
            Error::NotFound { .. } => assert!(is_missing, "{path}"),
            Error::NotOurs { .. } => assert!(!is_missing, "{path}"),
            other => panic!("{path}: {other}"),
        }
    }
    assert!(!at("nowhere.db").exists());
}

/// Goal: a malformed file is named, and nothing stays in the temporary folder.
#[test]
fn a_malformed_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t0_0_net.json"), r#"{"net":{"g":{"id":[1],"x":[0.5]}}}"#)
        .unwrap();
    let good = Results::open_json(folder.path(), no_options()).unwrap();
    let temporary = good.database().database().path().parent().unwrap().to_owned();
    let dataset = good.dataset("net").unwrap();
    good.close();
    assert!(temporary.is_dir(), "a dataset in use keeps its data");
    assert_eq!(dataset.groups().unwrap(), ["g"]);
    drop(dataset);
    assert!(!temporary.exists());
    fs::write(folder.path().join("t1_0_net.json"), r#"{"net":{"g":{"id":[1],"x":[0."#).unwrap();
    fs::write(folder.path().join("t2_0_net.json"), "").unwrap();
    let error = Results::open_json(folder.path(), no_options()).unwrap_err().to_string();
    assert!(error.contains("t1_0_net.json") && error.contains("and 1 more"), "{error}");
    let missing = Results::open_json(folder.path().join("nowhere"), no_options()).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
    let missing =
        Results::open_json(folder.path(), with_init(&folder.path().join("nowhere"))).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");
}

/// Goal: the disk space of an import is given back with it, not when the process ends.
#[cfg(target_os = "linux")]
#[test]
fn a_temporary_database_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t0_0_net.json"), r#"{"net":{"g":{"id":[1],"x":[0.5]}}}"#)
        .unwrap();
    let results = Results::open_json(folder.path(), no_options()).unwrap();
    let temporary = results.database().database().path().parent().unwrap().to_owned();
    let held = || {
        let entries = fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.path());
        let ours = |path: &std::path::PathBuf| {
            fs::read_link(path).is_ok_and(|to| to.starts_with(&temporary))
        };
        // Of files that are deleted too, and with what they hold of the disk.
        entries.filter(ours).filter_map(|path| Some(fs::metadata(path).ok()?.len())).sum::<u64>()
    };
    assert!(held() > 0);
    drop(results);
    assert_eq!(held(), 0);
}

/// Goal: a pattern of one's own finds the files that it describes.
#[test]
fn own_file_names_are_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("net@5.2.json"), r#"{"data":{"g":{"id":[1],"x":[0.5]}}}"#)
        .unwrap();
    fs::write(folder.path().join("t0_0_net.json"), "{").unwrap();
    let pattern: FilePattern =
        r"(?P<dataset>\w+)@(?P<timestamp>-?\d+)\.(?P<iteration>\d+)\.json".parse().unwrap();
    let options = ResultsOptions { update_pattern: Some(pattern), ..no_options() };
    let results = Results::detect(folder.path(), options).unwrap();
    assert_eq!(results.timestamps("net").unwrap(), [5]);
}

/// Goal: initial data come from the database if it has any, else from the folder; both with history.
#[test]
fn initial_data_come_from_the_database_or_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let init = folder.path().join("init");
    fs::create_dir(&init).unwrap();
    let text = |x: f64| {
        format!(
            r#"{{"name":"net","general":{{"enum":{{"e":["a"]}}}},"data":{{"g":{{"id":[9,1],"x":[{x:?},8.0],"y":[3,4]}},"still":{{"id":[5],"z":[true]}}}}}}"#
        )
    };
    fs::write(init.join("net.json"), text(7.5)).unwrap();
    fs::write(init.join("table.json"), r#"{"name":"table","type":"tabular","data":[1]}"#).unwrap();
    fs::write(init.join("rest.json"), r#"{"name":"rest","data":{}}"#).unwrap();
    let path = folder.path().join("run.db");
    small_run(&path);
    let x_at = |results: &Results, time: i64| {
        let state =
            results.dataset("net").unwrap().state_at("g", &Time::from(time)).unwrap().unwrap();
        (state.ids.clone(), rendered(&state.column("x").unwrap().attribute).to_string())
    };
    let outside = Results::open(&path, with_init(&init)).unwrap();
    assert!(!outside.has_own_initial_data().unwrap());
    assert_eq!(outside.datasets().unwrap(), ["net", "rest"]);
    assert_eq!(x_at(&outside, -1), (vec![9, 1, 2, 3], "[7.5,8.0,null,null]".into()));
    assert_eq!(x_at(&outside, 10), (vec![9, 1, 2, 3], "[7.5,1.0,5.0,6.0]".into()));
    let dataset = outside.dataset("net").unwrap();
    assert_eq!(dataset.groups().unwrap(), ["g", "still"]);
    assert_eq!(dataset.timestamps(Some("still")).unwrap(), [0]);
    assert!(dataset.timestamps(Some("nobody")).unwrap().is_empty());
    assert_eq!(dataset.metadata()["general"]["enum"]["e"][0], "a");
    let still = dataset.entity_history("still", &EntityKey::Id(5)).unwrap();
    assert_eq!(
        (still.timestamps, rendered(&still.attributes[0].attribute)),
        (vec![0], serde_json::json!([true]))
    );

    for wrong in ["../init/net", "nobody"] {
        let error = outside.dataset(wrong).unwrap_err();
        assert!(matches!(error, Error::NotFound { what: "dataset", .. }), "{error}");
    }
    assert!(matches!(outside.dataset("table"), Err(Error::Invalid { .. })));

    let db = SimulationDatabase::open(&path).unwrap();
    db.store_initial_dataset("net", InitialData::Json(text(-1.0).into_bytes()), false).unwrap();
    assert!(outside.has_own_initial_data().unwrap(), "a run that goes on is seen as it is");
    assert_eq!(x_at(&outside, -1).1, "[-1.0,8.0,null,null]");
}

/// Goal: the folder's initial data are also right in a long run with keyframes, which do not hold them.
#[test]
fn keyframes_do_not_hide_initial_data_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("net.json"),
        r#"{"name":"net","data":{"g":{"id":[77],"x":[0.25]}}}"#,
    )
    .unwrap();
    let path = folder.path().join("long.db");
    let db = without_keys(&path);
    let update = |t: i64| Update {
        timestamp: t,
        dataset: "net".into(),
        data: x(&[1], &[t as f64]),
        ..Update::default()
    };
    db.store_updates((0..1500).map(update).collect()).unwrap();
    assert!(db.build_keyframes().unwrap() > 0);
    let results = Results::open(&path, with_init(folder.path())).unwrap();
    let state = results.dataset("net").unwrap().state_at("g", &Time::from(1400)).unwrap().unwrap();
    assert_eq!(state.ids, [77, 1]);
    assert_eq!(rendered(&state.column("x").unwrap().attribute).to_string(), "[0.25,1400.0]");
}

/// Goal: a value that looks like "not given" and was given as a value survives a keyframe.
#[test]
fn a_value_like_a_sentinel_survives_a_keyframe() {
    let folder = tempfile::tempdir().unwrap();
    let db = without_keys(&folder.path().join("long.db"));
    let odd = Attribute::new(Array::from_slice(&[f64::NAN, 1.0])).with_mask(&[GIVEN, GIVEN]);
    let id = ("id".to_owned(), Attribute::new(Array::from_slice(&[1i64, 2])));
    let data = vec![Group { name: "g".into(), attributes: vec![id, ("x".into(), odd)] }];
    db.store_update(0, 0, "net", data, None).unwrap();
    let update = |t: i64| Update {
        timestamp: t,
        iteration: 1,
        dataset: "net".into(),
        data: x(&[2], &[t as f64]),
        ..Update::default()
    };
    db.store_updates((0..1500).map(update).collect()).unwrap();
    let defined = |db: &SimulationDatabase| {
        let state = db.state_at("net", "g", 1400).unwrap();
        let column = state.column("x").unwrap().clone();
        (
            column.is_defined(0),
            column.is_defined(1),
            column.attribute.data.to_vec::<f64>().unwrap()[1],
        )
    };
    assert_eq!(defined(&db), (true, true, 1400.0));
    assert!(db.build_keyframes().unwrap() > 0);
    assert_eq!(defined(&db), (true, true, 1400.0));
}

/// Goal: slices by attribute and entity agree with the state at each time, ids and dtypes that come
/// late included, and nothing that was cleared comes back.
#[test]
fn slices_agree_with_states() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = without_keys(&path);
    let columns = |ids: &[i64], rest: Vec<(&str, Attribute)>| {
        let mut attributes = vec![("id".to_owned(), Attribute::new(Array::from_slice(ids)))];
        attributes.extend(rest.into_iter().map(|(name, a)| (name.to_owned(), a)));
        vec![Group { name: "g".into(), attributes }]
    };
    let list = |items: &[i64], ends: &[i64]| {
        Attribute::ragged(Array::from_slice(items), Array::from_slice(ends))
    };
    let small = Attribute::new(Array::from_slice(&[1i32, 2]));
    db.store_update(
        0,
        0,
        "net",
        columns(&[4, 2], vec![("n", small), ("l", list(&[1, 2], &[0, 2, 2]))]),
        None,
    )
    .unwrap();
    db.store_update(
        3,
        0,
        "net",
        vec![Group { name: "h".into(), ..columns(&[1], vec![]).remove(0) }],
        None,
    )
    .unwrap();
    let big = Attribute::new(Array::from_slice(&[1i64 << 40, 0])).with_mask(&[GIVEN, NOT_GIVEN]);
    db.store_update(5, 0, "net", columns(&[9, 4], vec![("n", big)]), None).unwrap();
    let cleared = Attribute::new(Array::from_slice(&[0i32])).with_mask(&[CLEARED]);
    db.store_update(5, 1, "net", columns(&[4], vec![("n", cleared)]), None).unwrap();
    db.store_update(8, 0, "net", columns(&[9], vec![("l", list(&[7, 8, 9], &[0, 3]))]), None)
        .unwrap();
    db.close().unwrap();

    let dataset = Results::open(&path, no_options()).unwrap().dataset("net").unwrap();
    assert_eq!(dataset.timestamps(None).unwrap(), [0, 3, 5, 8]);
    for name in ["n", "l"] {
        let history = dataset.attribute_history("g", name).unwrap();
        assert_eq!((&history.timestamps[..], &history.ids[..]), (&[0, 5, 8][..], &[4, 2, 9][..]));
        for (time, value) in history.timestamps.iter().zip(&history.values) {
            let state = dataset.state_at("g", &Time::from(*time)).unwrap().unwrap();
            assert_eq!(state.column(name).unwrap().attribute, *value, "{name} at {time}");
        }
        for (row, id) in history.ids.iter().enumerate() {
            let entity = dataset.entity_history("g", &EntityKey::Id(*id)).unwrap();
            let column = entity.attributes.iter().find(|c| c.name == name).unwrap();
            let by_attribute: Vec<Value> =
                history.values.iter().map(|v| rendered(v)[row].clone()).collect();
            assert_eq!(rendered(&column.attribute), Value::from(by_attribute), "{name} of {id}");
            let value = dataset.value_history("g", *id, name).unwrap();
            let only = entity.attributes.iter().filter(|c| c.name == name).cloned().collect();
            assert_eq!(value, EntityHistory { attributes: only, ..entity }, "{name} of {id}");
        }
    }
    assert_eq!(
        rendered(&dataset.attribute_history("g", "n").unwrap().values[1]).to_string(),
        "[null,2,1099511627776]"
    );
    for (group, name) in [("g", "id"), ("g", "nothing"), ("nobody", "n")] {
        assert_eq!(dataset.attribute_history(group, name).unwrap(), Default::default());
    }
    assert_eq!(dataset.state_at("nobody", &Time::from(0)).unwrap(), None);

    for (group, id, name) in [("g", 5, "n"), ("g", 4, "nothing"), ("nobody", 4, "n")] {
        let refused = dataset.value_history(group, id, name);
        assert!(matches!(refused, Err(Error::NotFound { .. })), "{group} {id} {name}: {refused:?}");
    }
    // A cursor's attribute is that of its state; a clone goes its own way.
    let mut cursor = dataset.cursor("g", &Time::from(5)).unwrap();
    let clone = cursor.clone();
    cursor.move_to(8).unwrap();
    for (cursor, time) in [(cursor, 8), (clone, 5)] {
        let state = dataset.state_at("g", &Time::from(time)).unwrap().unwrap();
        assert_eq!((cursor.ids(), cursor.attributes()), (&state.ids[..], vec!["n", "l"]));
        for name in ["n", "l", "nothing"] {
            assert_eq!(cursor.column(name).as_ref(), state.column(name), "{name} at {time}");
        }
    }

    // A group whose last update is not the dataset's last one.
    let early = dataset.entity_history("h", &EntityKey::Id(1)).unwrap();
    assert_eq!(early.timestamps, [3]);

    let found = |key: EntityKey| dataset.entity_history("g", &key).map(|history| history.id);
    let by = |name: &str, value: KeyValue| EntityKey::Attribute(name.into(), value);
    assert_eq!(found(by("n", KeyValue::Int(2))).unwrap(), 2);
    assert_eq!(found(by("n", KeyValue::Float(1.0))).unwrap(), 4);
    assert_eq!(found(by("id", KeyValue::Int(9))).unwrap(), 9);
    for missing in [
        EntityKey::Id(5),
        by("n", KeyValue::Int(1 << 40)),
        by("q", KeyValue::Int(1)),
        by("n", KeyValue::Text("2".into())),
    ] {
        let error = found(missing).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    assert!(matches!(found(by("l", KeyValue::Int(1))), Err(Error::Invalid { .. })));
}

/// Goal: the schema of the caller is the one that initial data are read with, and times of all kinds
/// go through the timeline.
#[test]
fn schema_and_timeline_of_the_caller_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    let text = br#"{"name":"net","data":{"g":{"id":[1,2],"p":[[0,1],[2,3]],"s":[1,0]}}}"#;
    db.store_initial_dataset("net", InitialData::Json(text.to_vec()), false).unwrap();
    let point = Array::from_slice(&[5.0, 6.0]).reshape(vec![1, 2]).unwrap();
    db.store_update(
        60,
        0,
        "net",
        vec![group("g", &[("id", Array::from_slice(&[2i64])), ("p", point)])],
        None,
    )
    .unwrap();
    db.close().unwrap();
    let without = Results::open(&path, no_options()).unwrap().dataset("net").unwrap();
    let state = without.state_at("g", &Time::from(60)).unwrap().unwrap();
    let p = rendered(&state.column("p").unwrap().attribute).to_string();
    assert_eq!(p, "[[0.0,1.0],[5.0,6.0]]", "lists that are points");
    let schema = Schema::parse(
        br#"[{"name":"p","py_type":"float","unit_shape":[2]},{"name":"s","py_type":"int","enum_name":"e"}]"#,
    )
    .unwrap();
    let timeline = Some(Timeline { reference: 0.0, time_scale: 60.0, start_time: 0 });
    let results =
        Results::open(&path, ResultsOptions { schema, timeline, ..no_options() }).unwrap();
    let dataset = results.dataset("net").unwrap();
    for time in [Time::from(60), Time::from("1970-01-01T01:00:00Z"), Time::Moment(3601.0)] {
        let state = dataset.state_at("g", &time).unwrap().unwrap();
        assert_eq!(
            rendered(&state.column("p").unwrap().attribute).to_string(),
            "[[0.0,1.0],[5.0,6.0]]"
        );
    }
    assert!(dataset.state_at("g", &Time::from("yesterday")).is_err());
    assert_eq!(dataset.attributes("g").unwrap()[1].enum_name.as_deref(), Some("e"));
}

/// Goal: whatever is wrong with a folder of JSON, it is the folder that is named, and no temporary file.
#[test]
fn errors_name_the_folder_that_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let update = r#"{"net":{"g":{"id":[1],"x":[0.5]}}}"#;
    fs::write(folder.path().join("t0_0_net.json"), update).unwrap();
    let results = Results::open_json(folder.path(), no_options()).unwrap();
    let net = results.dataset("net").unwrap();
    let key = EntityKey::Attribute("y".into(), KeyValue::Int(1));
    let text = EntityKey::Attribute("x".into(), KeyValue::Text("a".into()));
    let temporary = results.database().database().path().display().to_string();
    for (error, names_folder) in [
        (results.dataset("zz").unwrap_err(), true),
        (net.cursor("zz", &Time::Timestamp(0)).unwrap_err(), true),
        (net.entity_history("g", &key).unwrap_err(), false),
        (net.entity_history("g", &text).unwrap_err(), false),
        (net.entity_history("zz", &EntityKey::Id(1)).unwrap_err(), false),
    ] {
        let error = error.to_string();
        assert!(!error.contains(&temporary) && !error.contains("Text("), "{error}");
        let location = folder.path().display().to_string();
        assert_eq!(error.contains(&location), names_folder, "{error}");
    }
    // Two files of one update that say different things are no run.
    fs::write(folder.path().join("t00_0_net.json"), update.replace("0.5", "0.75")).unwrap();
    let error = Results::open_json(folder.path(), no_options()).unwrap_err().to_string();
    assert!(error.contains("t0_0_net.json") && error.contains("g/x differ"), "{error}");
}

/// Goal: what a killed process left in the temporary folder goes with the next folder of JSON.
#[test]
#[cfg(target_os = "linux")]
fn what_a_killed_process_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t0_0_net.json"), r#"{"net":{"g":{"id":[1],"x":[0.5]}}}"#)
        .unwrap();
    let note = folder.path().join("note.txt");
    let mut child = crate::child::start("results::holds_a_folder_of_json", &note, "");
    assert!(child.wait_for("opened"));
    let path = fs::read_to_string(&note).unwrap();
    let path = Path::new(&path);
    assert!(path.is_dir());
    drop(Results::open_json(folder.path(), no_options()).unwrap());
    assert!(path.is_dir(), "a living process keeps its folder");
    child.kill();
    assert!(path.is_dir());
    drop(Results::open_json(folder.path(), no_options()).unwrap());
    assert!(!path.exists());
}

#[test]
#[ignore = "run by what_a_killed_process_left_is_removed"]
fn holds_a_folder_of_json() {
    let Some((path, _)) = crate::child::mission() else { return };
    let results = Results::open_json(path.parent().unwrap(), no_options()).unwrap();
    let temporary = results.database().database().path().parent().unwrap().to_owned();
    fs::write(path, temporary.to_str().unwrap()).unwrap();
    crate::child::say(format_args!("opened"));
    std::thread::sleep(std::time::Duration::from_secs(60));
}
