//! A database with one hostile row or some changed bytes: it is read, or refused in an error.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rusqlite::Connection;
use siltstone::simulation::{Attribute, Group, InitialData, Options, SimulationDatabase, Update};
use siltstone::{Array, Codec};
use siltstone_fuzz::{Input, Seed, plant};
use xxhash_rust::xxh3::xxh3_64;

/// A folder in memory where there is one, and the bytes of a small, whole run.
static SCENE: LazyLock<(tempfile::TempDir, Vec<u8>)> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let folder = folder.expect("a temporary folder");
    let path = folder.path().join("whole.db");
    record(&path).expect("a run that nobody disturbs");
    let bytes = fs::read(path).expect("it was just written");
    (folder, bytes)
});

/// 300 updates, so that there are keyframes; lists, text, masks, packed and compacted arrays.
fn record(path: &Path) -> siltstone::Result<()> {
    let options = Options { codec: Codec::Auto, ..Options::default() };
    let db = SimulationDatabase::open_with(path, options)?;
    let text = br#"{"name":"net","data":{"g":{"id":[1,2,9],"x":[0.5,null,1]}}}"#;
    db.store_initial_dataset("net", InitialData::Json(text.to_vec()), false)?;
    let update = |timestamp: i64| {
        let x: Vec<f64> = (0..3).map(|i| (timestamp * i) as f64).collect();
        let words = ["a", "longer", "x"].map(|word| format!("{word}{}", timestamp % 7));
        let list = Attribute::ragged(
            Array::from_slice(&[7i32, 8, 9]),
            Array::from_slice(&[0i64, 2, 2, 3]),
        );
        let attributes = vec![
            ("id".to_owned(), Attribute::new(Array::from_slice(&[1i64, 2, 3]))),
            ("x".to_owned(), Attribute::new(Array::from_slice(&x)).with_mask(&[0, 1, 2])),
            ("word".to_owned(), Attribute::new(Array::from_strs(&words))),
            ("list".to_owned(), list),
        ];
        let data = vec![Group { name: "g".into(), attributes }];
        Update { timestamp, dataset: "net".into(), data, ..Update::default() }
    };
    db.store_updates((0..300).map(update).collect())?;
    db.build_keyframes()?;
    db.close()
}

/// What is changed: a column of a table, in the row with the n-th id.
const CELLS: [(&str, &str); 14] = [
    ("numpy_array", "data"),
    ("numpy_array", "dtype"),
    ("numpy_array", "shape"),
    ("numpy_array", "codec"),
    ("array_block", "data"),
    ("array_block", "dtype"),
    ("array_block", "shape"),
    ("array_block", "codec"),
    ("simulation_keyframe", "state"),
    ("simulation_keyframe", "columns"),
    ("simulation_keyframe", "same_as"),
    ("attribute_data", "data_id"),
    ("attribute_data", "attribute_name"),
    ("initial_dataset", "data"),
];

fuzz_target!(
    init: plant("database", seeds),
    |data: &[u8]| {
        let (folder, whole) = &*SCENE;
        let path = folder.path().join("hostile.db");
        let mut input = Input::new(data);
        let cell = usize::from(input.byte());
        match CELLS.get(cell) {
            Some(cell) => {
                fs::write(&path, whole).expect("room in memory");
                if change(&path, *cell, &mut input).is_err() {
                    return remove(&path); // STRICT took it for what it is
                }
            }
            None => fs::write(&path, damaged(whole, &mut input)).expect("room in memory"),
        }
        let _ = read_all(&path); // an error is a right answer, a panic is not
        remove(&path);
    }
);

/// Some bytes of the file, changed: offset and content.
fn damaged(whole: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let at = input.number() as usize % bytes.len();
    let patch = input.rest();
    let n = patch.len().min(bytes.len() - at);
    bytes[at..at + n].copy_from_slice(&patch[..n]);
    bytes
}

fn change(
    path: &Path,
    (table, column): (&str, &str),
    input: &mut Input<'_>,
) -> rusqlite::Result<()> {
    let conn = Connection::open(path)?;
    // A checksum that fits nothing would hide the decoder behind it.
    if table == "numpy_array" {
        conn.execute("UPDATE numpy_array SET checksum = NULL", [])?;
    }
    let row = i64::from(input.byte());
    let found = format!(
        "(SELECT id FROM {table} ORDER BY id LIMIT 1 OFFSET {row} % (SELECT count(*) FROM {table}))"
    );
    let sql = format!("UPDATE {table} SET {column} = ?1 WHERE id = {found}");
    match column {
        "data_id" | "same_as" => conn.execute(&sql, [input.number() as i64])?,
        "state" => {
            let mut state = input.rest().to_vec();
            state.extend(xxh3_64(&state).to_le_bytes());
            conn.execute(&sql, [state])?
        }
        "data" => conn.execute(&sql, [input.rest()])?,
        _ => conn.execute(&sql, [String::from_utf8_lossy(input.rest())])?,
    };
    Ok(())
}

fn read_all(path: &Path) -> siltstone::Result<()> {
    let db = SimulationDatabase::open_read_only(path)?;
    for dataset in db.datasets()? {
        let _ = db.updates(&dataset);
        for group in db.groups(&dataset).unwrap_or_default() {
            let _ = db.state_at(&dataset, &group, 299);
            let Ok(mut cursor) = db.cursor(&dataset, &group, 5) else { continue };
            let _ = (cursor.next_change(), cursor.previous_change(), cursor.move_to(-1));
            let _ = cursor.state();
        }
    }
    let _ = (db.schema(), db.run(), db.initial_dataset("net"));
    db.database().verify().map(drop)
}

fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let _ = fs::remove_file(PathBuf::from(name)); // most were never made
    }
}

fn seeds() -> Vec<Seed> {
    let (_, whole) = &*SCENE;
    let cell = |column: u8, row: u8| Seed::default().byte(column).byte(row);
    let texts =
        ["<f8", "|S0", "<U99999", "[3]", "[0, 9]", "[4611686018427387904]", "pco", "block", "zstd"];
    let columns = (0..CELLS.len() as u8).flat_map(|column| [0, 1, 200].map(|row| (column, row)));
    let mut seeds: Vec<Seed> =
        columns.flat_map(|(c, r)| texts.map(|text| cell(c, r).rest(text.as_bytes()))).collect();
    for at in (0..whole.len()).step_by(4096) {
        seeds.push(Seed::default().byte(255).number(at as u64).rest(&whole[at..at + 64]));
    }
    // A keyframe of one id and one column, packed by hand.
    let mut state = 3u32.to_le_bytes().to_vec();
    for (dtype, n, data) in
        [("<i8", 1u64, &[1u8, 0, 0, 0, 0, 0, 0, 0][..]), ("|b1", 1, &[1]), ("<f8", 1, &[0; 8])]
    {
        state.push(dtype.len() as u8);
        state.extend(dtype.bytes());
        state.push(1);
        state.extend(n.to_le_bytes());
        state.push(0);
        state.extend((data.len() as u64).to_le_bytes());
        state.extend(data);
    }
    seeds.push(cell(8, 0).rest(&state));
    seeds.push(cell(9, 0).rest(br#"[{"name":"x","ragged":false}]"#));
    seeds
}
