//! Runs the command and looks at what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use siltstone::Array;
use siltstone::simulation::{Attribute, Group, InitialData, SimulationDatabase, Timeline};

/// What a run of the command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Stdout, of a run that went well.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// The JSON document on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the command prints UTF-8");
        let code = output.status.code().expect("no signal ended the command");
        Ran { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The command, in a folder, with nothing of the surroundings that changes its looks.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_silt"));
    command.current_dir(folder).env_remove("NO_COLOR").env_remove("COLUMNS").env_remove("LINES");
    command
}

/// Runs the command in a folder, its arguments as typed: parted by spaces.
pub(crate) fn silt(folder: &Path, line: &str) -> Ran {
    command(folder).args(line.split_whitespace()).output().expect("the command was built").into()
}

/// As [`silt`], with one more argument that may hold spaces.
pub(crate) fn silt_with(folder: &Path, line: &str, last: &str) -> Ran {
    let mut command = command(folder);
    command.args(line.split_whitespace()).arg(last).output().expect("the command was built").into()
}

/// SQLite alone on a file. The library is used first: what it changes in this process is not for transactions that are under way.
pub(crate) fn plain(path: impl AsRef<Path>) -> rusqlite::Connection {
    assert!(siltstone::open_read_only("no such file").is_err());
    rusqlite::Connection::open(path).expect("SQLite opens it")
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("an entry").file_name().into_string().expect("a name in UTF-8")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// One group of entities with a number each.
pub(crate) fn roads(ids: &[i64], speeds: &[f64]) -> Vec<Group> {
    let column = |name: &str, array| (name.to_owned(), Attribute::new(array));
    let attributes =
        vec![column("id", Array::from_slice(ids)), column("speed", Array::from_slice(speeds))];
    vec![Group { name: "road_segments".into(), attributes }]
}

/// A small run: `transport`, three roads, updates at 0, 10 and 20 (hours since 2020-01-01).
pub(crate) fn small_run(folder: &Path) -> PathBuf {
    let path = folder.join("run.db");
    let db = SimulationDatabase::open(&path).unwrap();
    let initial = InitialData::Entities(roads(&[1, 2, 3], &[10.0, f64::NAN, 30.0]));
    db.store_initial_dataset("transport", initial, false).unwrap();
    db.set_timeline(Timeline { reference: 1_577_836_800.0, time_scale: 3600.0, start_time: 0 })
        .unwrap();
    for (timestamp, ids, speeds) in [
        (0, &[1, 2, 3][..], &[50.0, 60.5, 40.0][..]),
        (10, &[2], &[55.0]),
        (20, &[1, 2, 3], &[1.0, 2.0, 3.0]),
    ] {
        db.store_update(timestamp, 0, "transport", roads(ids, speeds), Some("traffic")).unwrap();
    }
    db.close().unwrap();
    path
}

/// A folder of the shared data, for a test that has `#[needs(shared)]`.
pub(crate) fn shared(name: &str) -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("SILTSTONE_SHARED").map_or(beside, PathBuf::from);
    let folder = shared.join(name);
    folder.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}
