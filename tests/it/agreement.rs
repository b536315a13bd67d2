//! Updates that do not go together, and who is told of what goes wrong.

use std::path::Path;

use siltstone::simulation::{
    Group, InitialData, Options, SimulationDatabase, Status, Timeline, Update,
};
use siltstone::{Array, Codec, Durability, Error, Value};
use siltstone_needs::needs;

use crate::store::group;

fn points(id: i64, shape: [usize; 2]) -> Vec<Group> {
    let values: Vec<f64> = (0..shape[0] * shape[1]).map(|i| i as f64).collect();
    let values = Array::from_slice(&values).reshape(shape.to_vec()).unwrap();
    vec![group("g", &[("id", Array::from_slice(&[id])), ("p", values)])]
}

fn number(id: i64, x: f64) -> Vec<Group> {
    vec![group("g", &[("id", Array::from_slice(&[id])), ("x", Array::from_slice(&[x]))])]
}

fn update(timestamp: i64, data: Vec<Group>) -> Update {
    Update { timestamp, dataset: "d".into(), data, ..Update::default() }
}

fn value(db: &SimulationDatabase, name: &str, timestamp: i64) -> Vec<f64> {
    let state = db.state_at("d", "g", timestamp).unwrap();
    state.column(name).unwrap().attribute.data.to_vec().unwrap()
}

/// Goal: an update whose values have another shape or kind than those before is refused by name, also
/// by a handle that has not seen them, and every state stays readable.
#[test]
fn an_update_of_another_form_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    for t in 0..5 {
        db.store_update(t, 0, "d", points(1, [1, 2]), None).unwrap();
    }
    db.close().unwrap();
    let db = SimulationDatabase::open(&path).unwrap();
    let text =
        vec![group("g", &[("id", Array::from_slice(&[1i64])), ("p", Array::from_strs(&["a"]))])];
    for other in [points(1, [1, 3]), text] {
        let error = db.store_update(9, 0, "d", other, None).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        assert!(error.to_string().contains("d/g/p"), "{error}");
    }
    db.store_update(9, 0, "other", points(1, [1, 3]), None).unwrap(); // another dataset is free
    db.store_update(9, 0, "d", points(2, [1, 2]), None).unwrap();
    assert_eq!(value(&db, "p", 9), [0.0, 1.0, 0.0, 1.0]);
    // Once what it contradicts is gone, the new form is as good as any.
    db.resume_from(-1).unwrap();
    db.store_update(0, 0, "d", points(1, [1, 3]), None).unwrap();
    assert_eq!(value(&db, "p", 0), [0.0, 1.0, 2.0]);
}

/// Goal: JSON says a list of lists for points too; the first update that gives points decides it, with
/// keyframes in between and after.
#[test]
fn lists_in_initial_json_become_points() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let text = br#"{"name":"d","data":{"g":{"id":[1,2,3],"p":[[7.0,8.0],null,[9.0,10.0]]}}}"#;
    db.store_initial_dataset("d", InitialData::Json(text.to_vec()), false).unwrap();
    for t in 0..4100 {
        db.store_update(t, 0, "d", number(1, t as f64), None).unwrap();
    }
    db.build_keyframes().unwrap(); // of the guess
    let before = db.state_at("d", "g", 4099).unwrap();
    assert!(before.column("p").unwrap().attribute.row_ptr.is_some());
    db.store_update(5000, 0, "d", points(2, [1, 2]), None).unwrap();
    for (time, second) in [(-1, false), (4099, false), (5000, true)] {
        let state = db.state_at("d", "g", time).unwrap();
        let p = state.column("p").unwrap();
        assert_eq!(p.attribute.data.shape(), [3, 2]);
        let values: Vec<f64> = p.attribute.data.to_vec().unwrap();
        assert_eq!((values[0], values[1], values[5]), (7.0, 8.0, 10.0));
        assert_eq!(p.is_defined(1), second, "at {time}");
    }
}

/// Goal: with any codec an id twice is refused, whatever was stored with the same bytes before.
#[test]
fn an_id_twice_is_refused_with_any_codec() {
    for codec in Codec::ALL {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { codec, ..Options::default() };
        let db = SimulationDatabase::open_with(folder.path().join("run.db"), options).unwrap();
        let seven = Array::from_slice(&[7i64, 7]);
        let both = vec![group("g", &[("node", seven.clone()), ("id", seven)])];
        let refused = db.store_update(0, 0, "d", both, None);
        assert!(refused.is_err_and(|e| e.to_string().contains("7 twice")), "{codec}");
    }
}

/// Goal: the error of a write that nobody waited for is reported once, by the flush or close of the handle
/// that wrote, and by no other.
#[test]
fn an_error_is_told_to_the_handle_that_wrote() {
    for durability in [Durability::Buffered, Durability::Os] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.db");
        let options = Options { durability, ..Options::default() };
        let ours = SimulationDatabase::open_with(&path, options).unwrap();
        let other = SimulationDatabase::open(&path).unwrap();
        ours.store(update(0, number(1, 0.0))).unwrap();
        drop(ours.submit(update(0, number(1, 1.0))).unwrap());
        other.flush().unwrap();
        other.close().unwrap();
        assert!(matches!(ours.flush(), Err(Error::Exists { .. })));
        ours.flush().unwrap();
        // Who has the answer from the ticket is not told again.
        assert!(ours.submit(update(0, number(1, 1.0))).unwrap().wait().is_err());
        ours.flush().unwrap();
        drop(ours.submit(update(0, number(1, 1.0))).unwrap());
        assert!(matches!(ours.close(), Err(Error::Exists { .. })));
    }
}

/// Goal: a handle without keyframes marks its run as complete as well.
#[test]
fn a_run_without_keyframes_ends_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let options = Options { no_keyframes: true, ..Options::default() };
    let db = SimulationDatabase::open_with(&path, options).unwrap();
    db.store(update(0, number(1, 0.0))).unwrap();
    db.close().unwrap();
    let db = SimulationDatabase::open_read_only(&path).unwrap();
    assert_eq!(db.run().unwrap().status, Status::Complete);
}

/// Goal: what a user's SQL leaves in its connection is not there for the next call.
#[test]
fn sql_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    db.store(update(0, number(1, 0.0))).unwrap();
    let sql = |sql: &str| db.database().sql(sql);
    assert!(sql("PRAGMA query_only=0").is_err());
    let faked = sql("CREATE TEMP TABLE \"update\" AS SELECT 9 AS id, 'zz' AS dataset_name");
    drop(faked); // refused or forgotten
    assert_eq!(db.datasets().unwrap(), ["d"]);
    assert_eq!(sql("PRAGMA query_only").unwrap().rows, [[Value::Integer(1)]]);
    assert!(sql("DELETE FROM \"update\"").is_err());
}

/// Goal: a path that names no file is refused in words.
#[test]
fn memory_is_not_a_file() {
    for path in ["", ":memory:"] {
        let error = SimulationDatabase::open(path).unwrap_err();
        assert!(matches!(&error, Error::Invalid { what, .. } if what == "path"), "{error}");
    }
}

/// Goal: a move that meets a damaged row leaves the cursor with the state and the time it had.
#[test]
fn a_cursor_stays_where_it_was_when_a_move_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    for t in 0..6 {
        db.store_update(t, 0, "d", number(1, t as f64), None).unwrap();
    }
    let mut cursor = db.cursor("d", "g", 1).unwrap();
    plant(
        &path,
        "UPDATE numpy_array SET data = x'00' WHERE id = (SELECT data_id FROM attribute_data \
        WHERE min_val = 4.0)",
    );
    for _ in 0..2 {
        assert!(matches!(cursor.move_to(5), Err(Error::Corrupt { .. })));
        let x: Vec<f64> = cursor.state().column("x").unwrap().attribute.data.to_vec().unwrap();
        assert_eq!((cursor.timestamp(), x), (1, vec![1.0]));
    }
    cursor.move_to(3).unwrap();
    assert_eq!(cursor.state().column("x").unwrap().attribute.data.to_vec::<f64>().unwrap(), [3.0]);
}

/// Another program's SQL, through the system's `python3`.
fn plant(path: &Path, sql: &str) {
    let status = std::process::Command::new("python3")
        .arg("-c")
        .arg("import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()")
        .args([path.as_os_str(), sql.as_ref()])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "python3 writes: {sql}");
}

/// Goal: damaged keyframes are passed over by readers, found by `verify`, and built again.
#[test]
fn damaged_keyframes_are_passed_over_and_built_again() {
    for damage in [
        "UPDATE simulation_keyframe SET state = x'0011'",
        "UPDATE simulation_keyframe SET same_as = id, columns = NULL, state = NULL",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.db");
        let db = SimulationDatabase::open(&path).unwrap();
        let updates = (0..600).map(|t| update(t, number(t % 3, t as f64))).collect();
        db.store_updates(updates).unwrap();
        db.close().unwrap();
        plant(&path, damage);
        let db = SimulationDatabase::open(&path).unwrap();
        assert!(!db.database().verify().unwrap().is_ok(), "{damage}");
        assert_eq!(value(&db, "x", 599), [597.0, 598.0, 599.0]);
        assert!(db.build_keyframes().unwrap() > 0);
        assert!(db.database().verify().unwrap().is_ok(), "{damage}");
        assert_eq!(value(&db, "x", 300), [300.0, 298.0, 299.0]);
    }
}

/// Goal: a group that spoke early and had no keyframe when the file was closed is followed from its
/// beginning when it speaks again after another group's keyframes.
#[test]
fn a_group_that_spoke_before_is_not_taken_for_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    let quiet = |t: i64, entity: i64| {
        let x = Array::from_slice(&[t as f64]);
        vec![group("quiet", &[("id", Array::from_slice(&[entity])), ("x", x)])]
    };
    db.store(update(0, quiet(0, 5))).unwrap();
    db.store_updates((1..600).map(|t| update(t, number(1, t as f64))).collect()).unwrap();
    db.close().unwrap();
    let db = SimulationDatabase::open(&path).unwrap();
    db.store(update(600, quiet(600, 6))).unwrap();
    db.store_updates((601..5200).map(|t| update(t, number(1, t as f64))).collect()).unwrap();
    db.close().unwrap();
    let db = SimulationDatabase::open_read_only(&path).unwrap();
    let keyframes =
        db.database().sql("SELECT count(*) FROM simulation_keyframe WHERE entity_group = 'quiet'");
    assert_ne!(keyframes.unwrap().rows, [[Value::Integer(0)]], "it has keyframes by now");
    for time in [0, 599, 600, 5199] {
        let state = db.state_at("d", "quiet", time).unwrap();
        let x = state.column("x").unwrap();
        assert_eq!((&state.ids, x.is_defined(1)), (&vec![5, 6], time >= 600), "at {time}");
        assert_eq!(x.attribute.data.to_vec::<f64>().unwrap()[0], 0.0);
    }
}

/// Goal: reading a file of movici through a handle that could write leaves it as it is;
/// the first write takes it over, with a copy beside it under a name that nobody has.
#[needs(shared)]
#[test]
fn a_movici_file_is_upgraded_by_the_first_write() {
    let original = crate::shared::folder("data/simulation/water_net3");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let bytes = std::fs::read(original.join("net3.db")).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let taken = folder.path().join("run.db.before-simulation-v0");
    std::fs::write(&taken, "precious").unwrap();
    let db = SimulationDatabase::open(&path).unwrap();
    assert_eq!(db.update_count(None).unwrap(), 72);
    db.close().unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes, "reading changed the file");
    let db = SimulationDatabase::open(&path).unwrap();
    db.set_timeline(Timeline { reference: 0.0, time_scale: 1.0, start_time: 0 }).unwrap();
    db.close().unwrap();
    assert_eq!(std::fs::read(&taken).unwrap(), b"precious");
    let copy = folder.path().join("run.db.before-simulation-v0-2");
    let copy = SimulationDatabase::open_read_only(&copy).unwrap();
    assert_eq!(copy.update_count(None).unwrap(), 72);
    assert_eq!(copy.database().sql("PRAGMA application_id").unwrap().rows, [[Value::Integer(0)]]);
}

/// Goal: what the builder of keyframes holds from one run to the next is thrown away when something is
/// written behind it: no keyframe of a past that is no longer true.
#[test]
fn a_late_update_behind_the_builder_is_in_the_next_keyframes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    let keyframes = |sql: &str| match db.database().sql(sql).unwrap().rows[0][0] {
        Value::Integer(n) => n,
        ref other => panic!("{other:?}"),
    };
    let count = "SELECT count(*) FROM simulation_keyframe";
    for t in 0..600 {
        db.store(update(2 * t, number(t % 3, t as f64))).unwrap();
    }
    let start = std::time::Instant::now();
    while keyframes(count) == 0 && start.elapsed().as_secs() < 30 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(keyframes(count) > 0, "the builder works behind the writes");
    db.store(update(101, number(7, -1.0))).unwrap();
    for t in 600..1200 {
        db.store(update(2 * t, number(t % 3, t as f64))).unwrap();
    }
    db.close().unwrap();
    let db = SimulationDatabase::open_read_only(&path).unwrap();
    for (time, last) in [(2398, 1199), (1300, 650), (700, 350), (101, 50)] {
        let state = db.state_at("d", "g", time).unwrap();
        let x = state.column("x").unwrap();
        let at = |id: i64| x.attribute.data.to_vec::<f64>().unwrap()[state.row_of(id).unwrap()];
        assert_eq!((at(7), at(last % 3)), (-1.0, last as f64), "at {time}");
    }
    assert!(!db.state_at("d", "g", 100).unwrap().column("x").unwrap().is_defined(3));
}

/// Goal: a buffered update has no row id yet, and is answered with 0; its ticket gives the id.
#[test]
fn a_buffered_update_has_no_id_and_its_ticket_gives_one() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { durability: Durability::Buffered, ..Options::default() };
    let db = SimulationDatabase::open_with(folder.path().join("run.db"), options).unwrap();
    assert_eq!(db.store_update(0, 0, "net", Vec::new(), None).unwrap(), 0);
    let update = |timestamp| Update { timestamp, dataset: "net".into(), ..Update::default() };
    assert_eq!(db.submit(update(1)).unwrap().wait().unwrap(), 2);
    db.flush().unwrap();
    assert_eq!(db.updates("net").unwrap().len(), 2);
}
