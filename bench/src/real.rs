//! Bytes on disk of real results, and the speed of importing JSON.

use std::path::{Path, PathBuf};
use std::time::Instant;

use siltstone::Codec;
use siltstone::simulation::json::{Schema, dump_update, file_name};
use siltstone::simulation::{ImportOptions, Options, SimulationDatabase, import};

use crate::siltstone_baseline::update;

pub(crate) fn shared() -> PathBuf {
    std::env::var_os("SILTSTONE_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"))
}

/// Bytes of attribute values, each as often as an update gives it; ids and row pointers left out.
const VALUES: &str = "SELECT sum(length(silt_raw(n.dtype, n.shape, n.codec, n.data))) \
    FROM update_attribute l JOIN attribute_data a ON a.id = l.attribute_data_id \
    JOIN numpy_array n ON n.id = a.data_id WHERE a.attribute_name != 'id'";

fn number(db: &SimulationDatabase, sql: &str) -> f64 {
    match db.database().sql(sql).expect("the query runs").rows[0][0] {
        siltstone::Value::Integer(n) => n as f64,
        ref other => panic!("{sql} gave {other:?}"),
    }
}

/// Real results, each codec: the file against the values in it.
pub(crate) fn sizes() {
    let data = shared().join("data/simulation");
    let Ok(schema) = std::fs::read(data.join("water_attributes.json")) else {
        println!("\nskipped: no shared data at {}", data.display());
        return;
    };
    let schema = Schema::parse(&schema).expect("the schema parses");
    println!("\nreal results: bytes of the file");
    println!(
        "{:18} {:8} {:>10} {:>10} {:>10} {:>12} {:>12}",
        "", "codec", "values", "initial", "file", "file/values", "- initial"
    );
    for (folder, scenario) in [("water_net3", "net3"), ("water_net3_week", "net3w")] {
        for codec in Codec::ALL {
            let target = tempfile::tempdir().expect("a temporary folder");
            let path = target.path().join("real.db");
            let options = Options { codec, ..Options::default() };
            let db = SimulationDatabase::open_with(&path, options).expect("a new file opens");
            let options = ImportOptions {
                init_dir: Some(data.join(folder).join("init_data")),
                updates_dir: Some(data.join(folder).join("scenarios").join(scenario)),
                schema: schema.clone(),
                ..ImportOptions::default()
            };
            let report = import(&db, &options, &mut |_, _| Ok(())).expect("the folder imports");
            assert!(report.skipped.is_empty());
            let values = number(&db, VALUES);
            let initial = number(&db, "SELECT sum(length(data)) FROM initial_dataset");
            db.close().expect("the file closes");
            let file = std::fs::metadata(&path).expect("the file is there").len() as f64;
            println!(
                "{folder:18} {:8} {values:>10} {initial:>10} {file:>10} {:>12.3} {:>12.3}",
                codec.name(),
                file / values,
                (file - initial) / values,
            );
        }
    }
}

/// Megabytes of JSON a second, from a folder that the operating system has in memory.
pub(crate) fn speed() {
    println!("\nimport of JSON: updates of 4 attributes x 1,000 f64");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let json = folder.path().join("updates");
    std::fs::create_dir(&json).expect("a folder is made");
    let work = crate::Work { name: "json", updates: 1_500, attributes: 4, entities: 1_000 };
    let mut bytes = 0;
    for row in crate::rows(&work) {
        let update = update(&row);
        let text =
            dump_update(&update.dataset, &update.data, &Schema::default()).expect("it dumps");
        bytes += text.len();
        write(&json.join(file_name(row.timestamp, 0, "dataset").expect("a short name")), &text);
    }
    for workers in [1, 2] {
        let mut times = Vec::new();
        for run in 0..crate::runs() {
            let path = folder.path().join(format!("import-{workers}-{run}.db"));
            let db = SimulationDatabase::open(&path).expect("a new file opens");
            let options = ImportOptions {
                updates_dir: Some(json.clone()),
                workers,
                ..ImportOptions::default()
            };
            let start = Instant::now();
            let report = import(&db, &options, &mut |_, _| Ok(())).expect("the folder imports");
            db.flush().expect("the file takes what is left");
            times.push(start.elapsed());
            assert_eq!((report.updates, report.bytes), (work.updates as u64, bytes as u64));
            drop(db);
            std::fs::remove_file(&path).expect("the file goes");
        }
        let took = crate::median(times).as_secs_f64();
        println!(
            "{workers} workers: {:.1} MB in {:.3} s: {:.0} MB/s",
            bytes as f64 / 1e6,
            took,
            bytes as f64 / 1e6 / took
        );
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("the disk takes the bytes");
}
