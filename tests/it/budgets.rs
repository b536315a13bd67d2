//! Inputs that are one byte, or one file, larger than the budget that the guarantees page names: refused before they are
//! read, while other inputs go on. Large files have a length and take no room.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use siltstone::experiment::{ExperimentDatabase, SimulationOptions};
use siltstone::series::meteaudata::{self, Limits};
use siltstone::series::{PointsOptions, read_points};
use siltstone::simulation::json::Schema;
use siltstone::simulation::{ImportOptions, SimulationDatabase, import};
use siltstone::ticks::{TickStore, TickStoreConfig};
use siltstone::{Error, ticks};

/// A file that begins with a text and has the length.
fn large(path: PathBuf, text: &str, bytes: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = File::create(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.set_len(bytes).unwrap();
}

fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Goal: an update of 256 MiB and a byte, and an initial dataset that no row of SQLite holds, are named by an import, which takes
/// the others.
#[test]
fn files_of_a_simulation_have_budgets() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let update = r#"{"a": {"g": {"id": [1], "x": [1.5]}}}"#;
    let initial = r#"{"name": "a", "data": {"g": {"id": [1], "x": [1.0]}}}"#;
    write(at("updates/t0_0_a.json"), update);
    large(at("updates/t1_0_a.json"), update, (256 << 20) + 1);
    write(at("updates/t2_0_a.json"), update);
    write(at("init/a.json"), initial);
    large(at("init/b.json"), initial, 999_934_465);
    large(at("init/c.bin"), "", 999_934_465);
    let db = SimulationDatabase::open(at("run.db")).unwrap();
    let (init_dir, updates_dir) = (Some(at("init")), Some(at("updates")));
    let options = ImportOptions { init_dir, updates_dir, ..Default::default() };
    let report = import(&db, &options, &mut |_, _| Ok(())).unwrap();
    assert_eq!((report.updates, report.initial_datasets), (2, 1));
    let skipped: Vec<_> = report
        .skipped
        .iter()
        .map(|skipped| (skipped.path.file_name().unwrap().to_str().unwrap(), &*skipped.reason))
        .collect();
    let [(b, why_b), (c, why_c), (t1, why_t1)] = skipped[..] else { panic!("{skipped:?}") };
    assert_eq!((b, c, t1), ("b.json", "c.bin", "t1_0_a.json"));
    for why in [why_b, why_c] {
        assert!(why.contains("at most 999934464 bytes, got 999934465"), "{why}");
    }
    assert!(why_t1.contains("at most 268435456 bytes, got 268435457"), "{why_t1}");
}

/// Goal: attribute types are read up to 64 MiB, and refused with a byte more.
#[test]
fn attribute_types_have_a_budget() {
    let most = 64 << 20;
    let mut text = b"[]".to_vec();
    text.resize(most, b' ');
    Schema::parse(&text).unwrap();
    text.push(b' ');
    let error = Schema::parse(&text).unwrap_err().to_string();
    assert!(error.contains("at most 67108864 bytes"), "{error}");
}

/// Goal: a file of JSON ticks of 2 GiB and a byte, and a day file of another program of 4 GiB and a byte, are named by an import,
/// which takes the others.
#[test]
fn files_of_ticks_have_budgets() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let tick = r#"[{"symbol":"EURUSD","bid":1.0,"ask":2.0,"spread":1.0,"timestamp":"2026-01-20T00:00:00Z","lp":"x"}]"#;
    write(at("in/EURUSD/2026-01-20.json"), tick);
    large(at("in/EURUSD/2026-01-21.json"), tick, (2 << 30) + 1);
    large(at("in/ticks_2026-01-22.db"), "SQLite format 3\0", (4 << 30) + 1);
    let options = ticks::ImportOptions::new(at("in"), at("db"));
    let report = ticks::import(&options, &mut |_, _| Ok(())).unwrap();
    assert_eq!(report.ticks_migrated, 1, "{report:?}");
    let whys: Vec<&str> = report.skipped.iter().map(|skipped| &*skipped.reason).collect();
    assert_eq!(whys.len(), 2, "{whys:?}");
    assert!(whys.iter().any(|why| why.contains("at most 2147483648 bytes")), "{whys:?}");
    assert!(whys.iter().any(|why| why.contains("at most 4294967296 bytes")), "{whys:?}");
}

/// Goal: a text of points of 4 GiB and a byte is refused by its name, packed or not, CSV or JSON lines.
#[test]
fn a_text_of_points_has_a_budget() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.csv", "a.csv.gz", "a.jsonl", "a.txt"] {
        let path = folder.path().join(name);
        large(path.clone(), "t,v\n1,2\n", (4 << 30) + 1);
        let error = read_points(&path, &PointsOptions::default()).unwrap_err().to_string();
        let expected = "expected at most 4294967296 bytes, got 4294967297";
        assert!(error.contains(name) && error.contains(expected), "{error}");
    }
}

const KNOWN: &str = "name: A#1\nunits: m\ntime_series:\n  A#1_RAW#1:\n    created_on: 2020-01-01\n    \
    index_metadata: {type: RangeIndex}\n    processing_steps: []\n    values_dtype: int64\n";

fn read(path: &Path, limits: Limits) -> Result<meteaudata::Archive, Error> {
    meteaudata::read(path, limits)
}

/// Goal: a folder of a dataset has a budget of files, of each file, of all files and of metadata: what is at the budget is read,
/// and one more is refused.
#[test]
fn a_folder_of_a_dataset_has_budgets() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let csv = "t,v\n0,1\n1,2\n";
    write(at("s/A#1_metadata.yaml"), KNOWN);
    write(at("s/A#1_data/A#1_RAW#1.csv"), csv);
    let all = Limits::default();
    assert_eq!((all.files, all.file_bytes, all.total_bytes), (1_000_000, 2 << 30, 16 << 30));
    let points = |limits| {
        let found = read(&at("s"), limits).unwrap();
        assert_eq!(
            found.skipped.len(),
            usize::from(found.datasets[0].signals[0].series.is_empty())
        );
        found.datasets[0].signals[0].series.len()
    };
    let (known, bytes) = (KNOWN.len() as u64, (KNOWN.len() + csv.len()) as u64);
    assert_eq!(points(Limits { files: 2, file_bytes: known, total_bytes: bytes }), 1);
    assert_eq!(points(Limits { total_bytes: bytes - 1, ..all }), 0);
    let refused = |limits| read(&at("s"), limits).unwrap_err().to_string();
    let error = refused(Limits { files: 1, ..all });
    assert!(error.contains("at most 1 files"), "{error}");
    let error = refused(Limits { file_bytes: known - 1, ..all });
    assert!(error.contains(&format!("at most {} bytes", known - 1)), "{error}");

    // Metadata have a budget of their own; a series beside them goes on.
    large(at("s/B_metadata.yaml"), "name: B\n", (64 << 20) + 1);
    let found = read(&at("s"), all).unwrap();
    assert_eq!((found.datasets.len(), found.skipped.len()), (1, 1), "{found:?}");
    let why = &found.skipped[0].reason;
    assert!(why.contains("B_metadata.yaml") && why.contains("at most 67108864 bytes"), "{why}");
    fs::remove_file(at("s/B_metadata.yaml")).unwrap();
    large(at("s/A#1_data/A#1_RAW#1.csv"), csv, (2 << 30) + 1);
    let found = read(&at("s"), all).unwrap();
    assert!(found.skipped[0].reason.contains("at most 2147483648 bytes"), "{found:?}");
}

/// Goal: names are taken up to the lengths that the page gives, and refused with one more.
#[test]
fn names_have_their_lengths() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let text = |n| "n".repeat(n);
    let db = SimulationDatabase::open(at("run.db")).unwrap();
    let dataset = |n: usize| db.store_update(0, 0, &text(n), Vec::new(), None).map(drop);
    let sweep = ExperimentDatabase::open(at("sweep.db"), "sweep").unwrap();
    let simulation = |n: usize| {
        sweep.create_simulation_context(&text(n), SimulationOptions::default()).map(drop)
    };
    let experiment = |n: usize| ExperimentDatabase::open(at("sweep.db"), &text(n)).map(drop);
    let config = TickStoreConfig { sqlite_base_path: at("db"), ..TickStoreConfig::production("b") };
    let store = TickStore::new(config.clone()).unwrap();
    let source = |n: usize| store.store_tick("EURUSD", 1.0, 2.0, 1.0, &text(n), 1).map(drop);
    let broker = |n: usize| {
        let store = TickStore::new(TickStoreConfig { broker_id: text(n), ..config.clone() })?;
        store.store_tick("EURUSD", 1.0, 2.0, 1.0, "x", 1).map(drop)
    };
    type Store<'a> = &'a dyn Fn(usize) -> Result<(), Error>;
    let each: [(Store<'_>, usize); 5] =
        [(&dataset, 1_024), (&simulation, 255), (&experiment, 255), (&source, 64), (&broker, 64)];
    for (n, (store, most)) in each.into_iter().enumerate() {
        store(most).unwrap();
        let refused = store(most + 1);
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{n}: {refused:?}");
    }
}
