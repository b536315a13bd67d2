//! The real simulation results, through the command.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use siltstone_needs::needs;

use crate::silt::{shared, silt, silt_with};

/// Imports the run `water_net3` into `run.db`.
fn import(folder: &Path, data: &Path, more: &str) -> Value {
    let data = data.display();
    let ran = silt(
        folder,
        &format!(
            "import simulation --init-dir {data}/water_net3/init_data \
             --updates-dir {data}/water_net3/scenarios/net3 --attributes {data}/water_attributes.json \
             --scenario {data}/water_net3/scenarios/net3.json -o run.db --json {more}"
        ),
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.json()
}

/// Goal: the published facts of the real run hold through the command.
#[needs(shared)]
#[test]
fn the_facts_of_a_real_run_hold() {
    let data = shared("data/simulation");
    let folder = tempfile::tempdir().unwrap();
    let report = import(folder.path(), &data, "");
    assert_eq!((&report["updates"], &report["initial_datasets"]), (&json!(72), &json!(2)));
    let pressure = |at: &str| {
        let line = format!(
            "state run.db net3_network water_junction_entities --at {at} --attribute drinking_water.pressure --json"
        );
        let state = silt(folder.path(), &line).json();
        let values = state["attributes"]["drinking_water.pressure"].as_array().unwrap().clone();
        assert_eq!(values.len(), 92);
        values.iter().filter_map(Value::as_f64).sum::<f64>()
    };
    let close = |at: &str, expected: f64| {
        let sum = pressure(at);
        assert!((sum - expected).abs() < 1e-6, "at {at}: {sum}, not {expected}");
    };
    close("0", 4158.698061);
    close("43200", 4180.55514);
    close("43201", 4180.55514);
    close("2020-01-01T12:00:00Z", 4180.55514);
    close("82800", 4600.66445);
    close("999999999", 4600.66445);
    assert_eq!(pressure("-1"), 0.0, "all are undefined");
}

/// Goal: equal arrays are stored once and `info` says how much that saved; codecs save more.
#[needs(shared)]
#[test]
fn info_shows_what_was_saved() {
    let data = shared("data/simulation");
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &data, "--codec auto");
    let info = silt(folder.path(), "info run.db --json").json();
    let number = |name: &str| info["arrays"][name].as_u64().unwrap();
    assert!(number("raw_bytes") < number("referenced_bytes") * 4 / 5, "{info:#}");
    assert!(number("stored_bytes") < number("raw_bytes") * 4 / 5, "{info:#}");
    let (updates, arrays) =
        ("SELECT count(*) AS n FROM \"update\"", "SELECT count(*) AS n FROM numpy_array");
    assert_eq!(silt_with(folder.path(), "query run.db", updates).ok(), "n\n72\n");
    assert_eq!(
        silt_with(folder.path(), "query run.db", arrays).ok(),
        format!("n\n{}\n", number("stored"))
    );
}

/// Goal: the exported files are the imported ones, byte for byte.
#[needs(shared)]
#[test]
fn an_export_gives_the_files_back() {
    let data = shared("data/simulation");
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &data, "");
    silt(folder.path(), "export run.db -o out").ok();
    for (ours, theirs) in
        [("updates", "water_net3/scenarios/net3"), ("init_data", "water_net3/init_data")]
    {
        let ours = folder.path().join("out").join(ours);
        let names = crate::silt::names(&ours);
        assert_eq!(names, crate::silt::names(&data.join(theirs)));
        for name in names {
            let [ours, theirs] = [ours.join(&name), data.join(theirs).join(&name)]
                .map(|path| fs::read(path).unwrap());
            assert!(ours == theirs, "{name} differs");
        }
    }
}

/// Goal: a database of movici is read as it is, and left as it is.
#[needs(shared)]
#[test]
fn a_movici_file_is_read() {
    let data = shared("data/simulation");
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &data, "");
    fs::copy(data.join("water_net3/net3.db"), folder.path().join("theirs.db")).unwrap();
    let before = fs::read(folder.path().join("theirs.db")).unwrap();
    let state = |file: &str| {
        let line = format!("state {file} net3_network water_pipe_entities --at 7200 --json");
        silt(folder.path(), &line).json()["attributes"]["drinking_water.flow"].clone()
    };
    assert_eq!(state("theirs.db"), state("run.db"));
    let info = silt(folder.path(), "info theirs.db").ok();
    assert!(info.contains("of movici"), "{info}");
    assert!(silt(folder.path(), "verify theirs.db").ok().contains("all is well"));
    assert_eq!(fs::read(folder.path().join("theirs.db")).unwrap(), before);
    assert_eq!(crate::silt::names(folder.path()), ["run.db", "theirs.db"]);
}
