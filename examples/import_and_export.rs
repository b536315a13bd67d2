//! Folders of JSON into one file, and out of it again: the same JSON, and Parquet.
//!
//! `cargo run --example import_and_export`

use std::fs;
use std::path::{Path, PathBuf};

use siltstone::simulation::{
    Content, ExportFormat, ExportOptions, ImportOptions, SimulationDatabase, export, import,
};
use siltstone::table::Format;
use siltstone::{Error, Result};

const INITIAL: &str =
    r#"{"name":"plant","type":"plant","data":{"pumps":{"id":[1,2],"power":[null,5.5]}}}"#;
const UPDATES: [(&str, &str); 3] = [
    ("t0_0_plant.json", r#"{"plant":{"pumps":{"id":[1,2],"power":[10.0,20.0]}}}"#),
    ("t60_0_plant.json", r#"{"plant":{"pumps":{"id":[2],"power":[25.0],"label":["reserve"]}}}"#),
    ("t120_0_plant.json", r#"{"plant":{"pumps":{"id":[1],"power":[12.5]}}}"#),
];

fn main() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (init, updates) = (folder.path().join("init_data"), folder.path().join("updates"));
    write(&init.join("plant.json"), INITIAL);
    UPDATES.iter().for_each(|(name, text)| write(&updates.join(name), text));
    write(&updates.join("t180_0_plant.json"), r#"{"plant":{"pumps":{"id":[1"#); // a run was killed here

    let db = SimulationDatabase::open(folder.path().join("plant.db"))?;
    let folders = ImportOptions {
        init_dir: Some(init.clone()),
        updates_dir: Some(updates.clone()),
        ..Default::default()
    };
    let report = import(&db, &folders, &mut |_done, _all| Ok(()))?;
    println!("{} updates, {} initial dataset", report.updates, report.initial_datasets);
    println!("{}", report.skipped[0]);
    assert_eq!((report.updates, report.initial_datasets, report.skipped.len()), (3, 1, 1));
    let again = import(&db, &folders, &mut |_, _| Ok(()))?;
    assert_eq!((again.updates, again.unchanged), (0, 3)); // an import that was interrupted goes on

    let state = db.state_at("plant", "pumps", 60)?;
    let power = state.column("power").expect("a column of the group");
    assert_eq!(power.attribute.data.to_vec::<f64>().expect("floats"), [10.0, 25.0]);

    // The same JSON again, byte for byte.
    let json = folder.path().join("json");
    let report =
        export(&db, &ExportOptions { target: json.clone(), ..Default::default() }, &mut |_, _| {
            Ok(())
        })?;
    println!("{} updates out as JSON in {} files", report.updates, report.files);
    for (name, text) in UPDATES {
        assert_eq!(read(&json.join("updates").join(name)), text.as_bytes());
    }
    assert_eq!(read(&json.join("init_data/plant.json")), INITIAL.as_bytes());

    // A table: the state at each timestamp, a row a timestamp and entity.
    let tables = ExportOptions {
        target: folder.path().join("tables"),
        format: ExportFormat::Table(Format::Parquet),
        what: Content::States,
        ..Default::default()
    };
    let report = export(&db, &tables, &mut |_, _| Ok(()))?;
    println!("{} rows out as Parquet", report.rows);
    assert_eq!(&read(&tables.target.join("plant.pumps.parquet"))[..4], b"PAR1");

    // A folder that holds something is refused unless the options say otherwise.
    let refused = export(&db, &tables, &mut |_, _| Ok(()));
    assert!(matches!(refused, Err(Error::Exists { .. })));
    db.close()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a new folder");
    fs::write(path, text).expect("a new file");
}

fn read(path: &PathBuf) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
