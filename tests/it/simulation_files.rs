//! Files of other simulators, and tables of states, into a database.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int16Array, Int64Array, RecordBatch,
    StringArray, TimestampMillisecondArray,
};
use siltstone::simulation::{
    FileFormat, FileOptions, FileReport, GroupState, Layout, Missing, OnRepeat, Options,
    SimulationDatabase, StatesOptions, import_file,
};
use siltstone::table::{Batches, Format, WriteOptions};

/// A folder with files, and a database.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) db: SimulationDatabase,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { on_repeat: OnRepeat::Replace, ..Options::default() };
        let db = SimulationDatabase::open_with(folder.path().join("run.db"), options).unwrap();
        World { folder, db }
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn try_import(
        &self,
        path: &Path,
        options: &FileOptions,
    ) -> siltstone::Result<FileReport> {
        import_file(Some(&self.db), path, options, &mut |_, _| Ok(()))
    }

    pub(crate) fn import(&self, path: &Path, options: &FileOptions) -> FileReport {
        let report = self.try_import(path, options).unwrap();
        assert!(report.is_complete(), "{report:?}");
        report
    }

    /// Why a file is refused. Nothing of it is stored.
    pub(crate) fn refusal(
        &self,
        name: &str,
        content: impl AsRef<[u8]>,
        options: &FileOptions,
    ) -> String {
        let error = self.try_import(&self.file(name, content), options).unwrap_err();
        assert_eq!(self.db.update_count(None).unwrap(), 0, "{error}");
        error.to_string()
    }

    pub(crate) fn state(&self, group: &str, timestamp: i64) -> GroupState {
        self.db.state_at("traffic", group, timestamp).unwrap()
    }

    pub(crate) fn texts(&self, group: &str, name: &str, timestamp: i64) -> Vec<Option<String>> {
        let state = self.state(group, timestamp);
        let column = state.column(name).unwrap();
        let texts = column.attribute.data.to_strings().unwrap();
        let texts = texts.into_iter().enumerate();
        texts.map(|(row, text)| column.is_defined(row).then_some(text)).collect()
    }

    pub(crate) fn floats(&self, group: &str, name: &str, timestamp: i64) -> Vec<Option<f64>> {
        let state = self.state(group, timestamp);
        let column = state.column(name).unwrap();
        let values = column.attribute.data.to_vec::<f64>().unwrap().into_iter().enumerate();
        values.map(|(row, value)| column.is_defined(row).then_some(value)).collect()
    }
}

pub(crate) fn states(layout: Layout) -> StatesOptions {
    StatesOptions {
        time: "t".into(),
        layout,
        group: "cars".into(),
        columns: vec![],
        missing: None,
        separator: None,
        decimal: None,
        thousands: None,
    }
}

pub(crate) fn long(missing: Option<Missing>) -> FileOptions {
    let states = StatesOptions { missing, ..states(Layout::Long("car".into())) };
    let dataset = "traffic".into();
    FileOptions { format: FileFormat::States(states), dataset, ..FileOptions::epanet() }
}

fn wide(missing: Option<Missing>) -> FileOptions {
    let states = StatesOptions { missing, ..states(Layout::Wide("speed".into())) };
    let dataset = "traffic".into();
    FileOptions { format: FileFormat::States(states), dataset, ..FileOptions::epanet() }
}

/// Goal: a long table becomes an update a time, texts that name entities get numbers and stay, each column has the narrowest
/// type that keeps its values; and the same file again changes nothing.
#[test]
fn a_long_table_becomes_an_update_a_time() {
    let world = World::new();
    let text = "\u{feff}t;car;speed;laps;brakes;plate;empty\r\n\
        0;a;1.5;3;true;007;\r\n0;b;-0.0;4;false;\"x;\"\"y\"\"\";\r\n\r\n\
        5;b;nan;9007199254740993;True;z;\r\n5;a;2;4;False;_udf_;\r\n";
    let path = world.file("cars.csv", text);
    let report = world.import(&path, &long(None));
    assert_eq!((report.rows, report.updates, report.unchanged), (4, 2, 0));
    assert_eq!(
        report.taken_for,
        "text with ';' between fields: 4 rows, 2 timestamps 0 to 5; cars: 2 entities named by texts, numbered, \
         speed (<f8), laps (<i8), brakes (|b1), plate (text), empty (empty, left out)"
    );
    assert_eq!(world.db.timestamps("traffic").unwrap(), [0, 5]);
    let first = world.state("cars", 0);
    assert_eq!(first.ids, [0, 1]);
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(first.values("speed").unwrap()), bits(vec![1.5, -0.0]));
    let named = |names: [&str; 2]| names.map(|name| Some(name.to_owned()));
    assert_eq!(world.texts("cars", "car", 5), named(["a", "b"]));
    assert_eq!(world.texts("cars", "plate", 0), named(["007", "x;\"y\""]));
    assert_eq!(world.texts("cars", "plate", 5), named(["_udf_", "z"]));
    let last = world.state("cars", 5);
    assert_eq!(last.values::<i64>("laps").unwrap(), [4, 9_007_199_254_740_993]);
    assert!(matches!(world.floats("cars", "speed", 5)[..], [Some(2.0), Some(nan)] if nan.is_nan()));
    let again = world.import(&path, &long(None));
    assert_eq!((again.updates, again.unchanged), (0, 2));
    let dry = import_file(None, &path, &long(None), &mut |_, _| Ok(())).unwrap();
    assert_eq!((dry.updates, dry.taken_for), (2, report.taken_for));
    assert!(world.db.database().verify().unwrap().is_ok());
}

/// Goal: what could be read in two ways is refused before anything is stored, and the error names what decides.
#[test]
fn what_is_ambiguous_is_refused_with_the_option_that_decides() {
    let world = World::new();
    let clear = Some(Missing::Clear);
    for (name, text, options, expected) in [
        ("absent.csv", "t,car,x\n0,1,5\n0,2,6\n1,1,7\n", long(None), "1 of 2 entities at time 1"),
        ("cell.csv", "t,car,x\n0,1,5\n0,2,\n", long(None), "--missing"),
        ("fraction.csv", "t,car,x\n0,1,5\n0.5,1,6\n", long(None), "--time-unit"),
        ("column.csv", "time,car,x\n0,1,5\n", long(None), "\"t\" (--time), got time, car, x"),
        ("id.csv", "t,car,id\n0,1,5\n", long(None), "--columns"),
        ("twice.csv", "t,car,x,x\n0,1,5,6\n", long(None), "\"x\" twice"),
        (
            "date.csv",
            "t,car,x\n2024-01-01,1,5\n",
            long(clear),
            "expected a number, got \"2024-01-01\"",
        ),
        ("none.csv", "t,car\n0,1\n", long(None), "some beside times and ids"),
        ("head.csv", "t,car,x\n", long(None), "rows that can be read, got none"),
        ("empty.csv", "", long(None), "an empty file"),
        (
            "quote.csv",
            "t,car,x\n0,\"1,5\n",
            long(None),
            "line 2: expected a record of a table, got a quote",
        ),
        ("latin.csv", "t,car,x\n0,1,a\n0,2,?\n", long(None), "not UTF-8"),
        ("cars.zip", "PK\u{3}\u{4}", long(None), "unpack it first"),
    ] {
        let mut bytes = text.as_bytes().to_vec();
        if name == "latin.csv" {
            bytes.iter_mut().filter(|c| **c == b'?').for_each(|c| *c = 0xe9);
        }
        let refusal = world.refusal(name, bytes, &options);
        assert!(refusal.contains(expected), "{refusal}");
    }
    let missing = world.folder.path().join("none/cars.csv");
    assert!(world.try_import(&missing, &long(None)).is_err());
}

/// Goal: what is missing keeps its value or becomes undefined, as is said; nothing else changes.
#[test]
fn what_is_missing_is_kept_or_cleared() {
    let text = "t,car,x,y\n0,7,1.5,2.5\n0,9,3.5,\n1,9,,4.5\n3,7,5.5,6.5\n";
    for (missing, xs, ys) in [
        (Missing::Keep, [Some(1.5), Some(3.5)], [Some(2.5), Some(4.5)]),
        (Missing::Clear, [None, None], [None, Some(4.5)]),
    ] {
        let world = World::new();
        let path = world.file("cars.csv", text);
        world.import(&path, &long(Some(missing)));
        assert_eq!(world.state("cars", 1).ids, [7, 9]);
        assert_eq!(world.floats("cars", "x", 1), xs, "{missing:?}");
        assert_eq!(world.floats("cars", "y", 1), ys, "{missing:?}");
        assert_eq!(world.floats("cars", "x", 3)[0], Some(5.5));
        let kept = missing == Missing::Keep;
        assert_eq!(world.floats("cars", "x", 3)[1], kept.then_some(3.5));
        assert_eq!(world.import(&path, &long(Some(missing))).unchanged, 3);
    }
}

/// Goal: a wide table gives what the long one gives, whatever the order of its rows and the unit of its times.
#[test]
fn a_wide_table_is_the_long_one() {
    let world = World::new();
    let text = "t,a,b\n0.2,2.5,\n0.0,1.5,3.5\n0.1,7.5,8.5\n";
    let options = FileOptions { time_unit: Some(0.1), ..wide(Some(Missing::Keep)) };
    let report = world.import(&world.file("wide.csv", text), &options);
    assert_eq!((report.rows, report.updates), (6, 3));
    assert!(report.taken_for.contains("in units of 0.1, not in their order"), "{report:?}");
    assert_eq!(world.floats("cars", "speed", 0), [Some(1.5), Some(3.5)]);
    assert_eq!(world.floats("cars", "speed", 2), [Some(2.5), Some(8.5)]);
    assert_eq!(world.texts("cars", "name", 2), [Some("a".to_owned()), Some("b".to_owned())]);
    let odd = FileOptions { time_unit: Some(0.15), ..options };
    let path = world.file("odd.csv", "t,a\n0,1\n0.1,2\n0.15,3\n");
    let odd = FileOptions { dataset: "other".into(), ..odd };
    let report = world.try_import(&path, &odd).unwrap();
    assert_eq!((report.updates, report.rows_skipped), (2, 1));
    assert!(report.skipped[0].reason.contains("row 3: time: expected a multiple of 0.15"));
}

/// Goal: of a typed table each value comes back bit for bit, in its own type, and nulls are what is missing.
#[test]
fn parquet_keeps_types_and_bits() {
    let world = World::new();
    let nan = f64::from_bits(0x7ff8_0000_0000_beef);
    let columns: [(&str, ArrayRef); 9] = [
        ("t", Arc::new(Int64Array::from(vec![0, 0, 4]))),
        ("car", Arc::new(StringArray::from(vec!["a", "b", "a"]))),
        ("x", Arc::new(Float64Array::from(vec![Some(nan), Some(-0.0), None]))),
        ("y", Arc::new(Float32Array::from(vec![f32::MIN_POSITIVE / 2.0, 1.5, f32::NAN]))),
        ("n", Arc::new(Int16Array::from(vec![-5, 6, i16::MIN]))),
        ("on", Arc::new(BooleanArray::from(vec![true, false, false]))),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![1, 2, 3]))),
        ("line", Arc::new(StringArray::from(vec!["1", "2", "3"]))),
        ("who", Arc::new(StringArray::from(vec![Some("é"), None, Some("")]))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap();
    for (ending, format) in [("parquet", Format::Parquet), ("arrow", Format::Arrow)] {
        let path = world.folder.path().join(format!("cars.{ending}"));
        let batches = Batches::from_batches(batch.schema(), vec![batch.clone()]);
        siltstone::table::write(
            &path,
            batches,
            &WriteOptions { format, ..WriteOptions::default() },
            &mut |_, _| Ok(()),
        )
        .unwrap();
        let report = world.import(&path, &long(Some(Missing::Keep)));
        assert_eq!(report.updates + report.unchanged, 2, "{report:?}");
    }
    let state = world.state("cars", 4);
    let bits: Vec<u64> = state.values::<f64>("x").unwrap().into_iter().map(f64::to_bits).collect();
    assert_eq!(bits, [nan.to_bits(), (-0.0f64).to_bits()]);
    let ys: Vec<u32> = state.values::<f32>("y").unwrap().into_iter().map(f32::to_bits).collect();
    assert_eq!(ys, [f32::NAN.to_bits(), 1.5f32.to_bits()]);
    let first = world.state("cars", 0).values::<f32>("y").unwrap();
    assert_eq!(first, [f32::MIN_POSITIVE / 2.0, 1.5]);
    assert_eq!(state.values::<i16>("n").unwrap(), [i16::MIN, 6]);
    assert_eq!(state.column("on").unwrap().attribute.data.dtype().to_string(), "|b1");
    assert_eq!(state.column("at").unwrap().attribute.data.dtype().to_string(), "<M8[ms]");
    assert_eq!(world.texts("cars", "line", 0), [Some("1".to_owned()), Some("2".to_owned())]);
    assert_eq!(world.texts("cars", "who", 0), [Some("é".to_owned()), None]);
    assert_eq!(world.texts("cars", "who", 4), [Some(String::new()), None]);
}

/// Goal: a row that is malformed is skipped, named and counted, and the others are stored; a file of nothing else is refused.
#[test]
fn malformed_rows_are_named() {
    let world = World::new();
    let text = "t,car,x\n0,1,5\n0,1,6\nsoon,1,7\n1,,8\n-1,1,9\n1,1\n2,1,10\n";
    let report = world.try_import(&world.file("cars.csv", text), &long(None)).unwrap();
    assert_eq!((report.updates, report.rows, report.rows_skipped), (2, 2, 5), "{report:?}");
    let reason = &report.skipped[0].reason;
    assert!(reason.starts_with("5 rows: row 3: a second row of \"1\" at this time"), "{reason}");
    assert!(reason.contains("row 4: time: expected a number, got \"soon\""), "{reason}");
    assert_eq!(world.state("cars", 2).values::<i64>("x").unwrap(), [10]);
    let world = World::new();
    let refusal =
        world.refusal("odd.csv", "t,car,x\n".to_owned() + &"a,b,c\n".repeat(200), &long(None));
    assert!(refusal.contains("expected rows that can be read, got row 2: time"), "{refusal}");
}

/// Goal: a file that grows, cut anywhere, is followed: what came of the last time is completed, the numbers of names stay, and
/// at the end all is as if it had been imported at once. What differs otherwise is a conflict, and what is stored stays.
#[test]
fn a_file_that_grows_is_followed() {
    let mut text = String::from("t,car,x,y\n");
    for time in 0..6 {
        for car in 0..4 {
            text += &format!("{time},car{car},{}.25,{}\n", time * 10 + car, car);
        }
    }
    let (world, whole) = (World::new(), World::new());
    whole.import(&whole.file("cars.csv", &text), &long(Some(Missing::Keep)));
    let second = text.find("\n1,").unwrap() + 1;
    for end in (second + 2..text.len()).step_by(7).chain([text.len()]) {
        let path = world.file("cars.csv", &text[..end]);
        let report = world.try_import(&path, &long(Some(Missing::Keep))).unwrap();
        assert_eq!(report.conflicts, [], "after {end} bytes");
        let is_cut = !text[..end].ends_with('\n');
        assert_eq!((report.ends_early, report.is_complete()), (is_cut, !is_cut), "{report:?}");
    }
    for time in 0..6 {
        assert_eq!(world.state("cars", time), whole.state("cars", time));
    }
    let other = text.replace("21.25", "99.25");
    let report =
        world.try_import(&world.file("cars.csv", other), &long(Some(Missing::Keep))).unwrap();
    assert_eq!((report.updates, report.unchanged, report.conflicts.len()), (0, 5, 1));
    assert!(report.conflicts[0].why.contains("cars/x"), "{report:?}");
    assert_eq!(world.floats("cars", "x", 2)[1], Some(21.25));
    let more = "t,car,x,y\n6,new,1.25,1\n6,car2,2.25,1\n";
    world.import(&world.file("more.csv", more), &long(Some(Missing::Keep)));
    let bikes = StatesOptions { group: "bikes".into(), ..states(Layout::Long("car".into())) };
    let format = FileFormat::States(bikes);
    let path = world.file("bikes.csv", "t,car,x\n6,1,0.5\n");
    let second = FileOptions { format, iteration: 1, ..long(None) };
    assert_eq!(world.import(&path, &second).updates, 1);
    assert_eq!(world.import(&path, &second).unchanged, 1);
    assert_eq!(world.floats("bikes", "x", 6), [Some(0.5)]);
    assert_eq!(world.texts("cars", "car", 6)[4], Some("new".to_owned()));
    assert_eq!(world.floats("cars", "x", 6)[2], Some(2.25));
}

/// Goal: a last line without an end may be cut, so that it and all rows of its time are left out, and that is said; a line whose
/// time is whole takes none of another time with it, and with its end all are there.
#[test]
fn a_last_line_without_an_end_is_left_out_with_its_time() {
    for (end, updates, rows) in [
        ("1,b,2.7", 1, 2),
        ("1,b,2.75", 1, 2),
        ("1,b", 1, 2),
        ("2,a,3", 2, 3),
        ("2,\"a", 2, 3),
        ("2", 1, 2),
        ("2,\u{e9}", 2, 3),
    ] {
        let world = World::new();
        let mut text = format!("t,car,x\n0,a,1\n0,b,2\n1,a,3\n{end}").into_bytes();
        if end.ends_with('\u{e9}') {
            text.pop(); // cut inside the character
        }
        let options = long(Some(Missing::Clear));
        let path = world.file("cars.csv", &text);
        let report = world.try_import(&path, &options).unwrap();
        assert_eq!(
            (report.updates, report.rows, report.ends_early),
            (updates, rows, true),
            "{end}"
        );
        let [skipped] = &report.skipped[..] else { panic!("{report:?}") };
        assert!(
            skipped.reason.starts_with("line 5 is the last one and has no newline"),
            "{report:?}"
        );
        assert_eq!(world.db.timestamps("traffic").unwrap().len() as u64, updates);
    }
    let world = World::new();
    world.try_import(&world.file("cars.csv", "t,car,x\n0,a,1\n0,b,2.7"), &long(None)).unwrap_err();
    let path = world.file("cars.csv", "t,car,x\n0,a,1\n0,b,2.75\n");
    world.import(&path, &long(None));
    assert_eq!(world.floats("cars", "x", 0), [Some(1.0), Some(2.75)]);
}

/// Goal: a last line without a newline is whole if the file is said to be finished; where others follow its time nothing is
/// stored, a quote that is not closed is no cut line, and the end mark of DOS is none.
#[test]
fn a_finished_file_needs_no_newline() {
    let text = "t,car,x\n0,a,1\n0,b,2\n1,a,3\n1,b,2.5";
    let finished = FileOptions { finished: true, ..long(None) };
    let world = World::new();
    assert!(world.try_import(&world.file("cars.csv", text), &long(None)).unwrap().ends_early);
    assert_eq!(world.import(&world.file("cars.csv", text), &finished).updates, 1);
    assert_eq!(world.floats("cars", "x", 1), [Some(3.0), Some(2.5)]);
    let one = World::new().refusal("one.csv", "t,car,x\n0,a,1\n0,b,2", &long(None));
    assert!(one.contains("--finished"), "{one}");

    for unsorted in ["1,a,3\n1,b,4\n0,a,1\n0,b,2", "1,a,3\n0,a,2\n1,b,4\n0"] {
        let world = World::new();
        let text = format!("t,car,x\n{unsorted}");
        let refused = world.refusal("cars.csv", &text, &long(None));
        assert!(refused.contains("line 5") && refused.contains("--finished"), "{refused}");
        assert!(world.db.timestamps("traffic").unwrap().is_empty());
    }
    let world = World::new();
    let path = world.file("cars.csv", "t,car,x\n1,a,3\n1,b,4\n0,a,1\n0,b,2");
    assert_eq!(world.import(&path, &finished).updates, 2);

    for end in ["", "\n"] {
        let text = format!("t,car,x\n0,a,1\n1,\"a,2\n2,a,3{end}");
        let refused = World::new().refusal("cars.csv", &text, &long(None));
        assert!(
            refused.contains("line 3") && refused.contains("a quote that is not closed"),
            "{refused}"
        );
    }
    let world = World::new();
    assert_eq!(
        world.import(&world.file("dos.csv", format!("{text}\r\n\u{1a}")), &long(None)).updates,
        2
    );
}

/// Goal: a column of integers that gets a decimal is one of numbers: equal values are no conflicts, and others are.
#[test]
fn a_column_of_integers_may_get_decimals() {
    let world = World::new();
    let text = "t,car,x\n0,a,1\n0,b,3\n1,a,2\n1,b,4\n";
    world.import(&world.file("cars.csv", text), &long(None));
    let grown = text.to_owned() + "2,a,2.5\n2,b,4\n";
    let report = world.import(&world.file("cars.csv", &grown), &long(None));
    assert_eq!((report.updates, report.unchanged), (1, 2));
    assert_eq!(world.floats("cars", "x", 2), [Some(2.5), Some(4.0)]);
    let changed = grown.replace("1,a,2\n", "1,a,2.25\n");
    let report = world.try_import(&world.file("cars.csv", changed), &long(None)).unwrap();
    assert_eq!((report.unchanged, report.conflicts.len()), (2, 1));
}

/// Goal: packed text is read, and a damaged one is called so before anything is stored.
#[test]
fn packed_text_is_read() {
    let world = World::new();
    let text = "t,car,x\n".to_owned() + "0,1,5\n1,1,6\n2,1,7\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let cut = world.refusal("cut.csv.gz", &gzip[..gzip.len() - 12], &long(None));
    assert!(cut.contains("the packed text is damaged"), "{cut}");
    assert_eq!(world.import(&world.file("cars.csv.gz", gzip), &long(None)).updates, 3);
}

/// An output of EPANET of two junctions and a tank, a pipe and a pump, by the published format: its periods, each of nodes and
/// then links, one quantity after another.
fn epanet(periods: &[[f32; 28]]) -> Vec<u8> {
    let mut file = Vec::new();
    let integers = |file: &mut Vec<u8>, all: &[i32]| {
        all.iter().for_each(|n| file.extend(n.to_le_bytes()));
    };
    let floats = |file: &mut Vec<u8>, all: &[f32]| {
        all.iter().for_each(|n| file.extend(n.to_le_bytes()));
    };
    let duration = 3600 * (periods.len() as i32 - 1);
    integers(&mut file, &[516_114_521, 20012, 3, 1, 2, 1, 0, 0, 0, 5, 0, 0, 0, 3600, duration]);
    file.resize(file.len() + 3 * 80 + 2 * 260 + 2 * 32, b' ');
    for id in [&b"../J1"[..], b"caf\xe9", b"T", b"P1", b"PU"] {
        let mut cell = [0; 32];
        cell[..id.len()].copy_from_slice(id);
        file.extend(cell);
    }
    integers(&mut file, &[1, 3, 2, 1, 1, 2, 3]); // ends of the links, their types, the tank
    floats(&mut file, &[78.5, 10.0, 20.0, 30.5, 100.0, 0.0, 300.0, 0.0]); // area, elevations, lengths, diameters
    floats(&mut file, &[0.0; 8]); // energy
    periods.iter().for_each(|period| floats(&mut file, period));
    floats(&mut file, &[0.0; 4]);
    integers(&mut file, &[periods.len() as i32, 0, 516_114_521]);
    file
}

fn periods() -> Vec<[f32; 28]> {
    (0..4).map(|p| std::array::from_fn(|i| (p * 100 + i) as f32 + 0.1)).collect()
}

/// Goal: every value of EPANET's output comes back, by period, group and quantity.
#[test]
fn output_of_epanet_is_read() {
    let world = World::new();
    let mut periods = periods();
    periods[2][0] = f32::NAN;
    let options = FileOptions { dataset: "traffic".into(), ..FileOptions::epanet() };
    let path = world.file("net.out", epanet(&periods));
    let report = world.import(&path, &options);
    assert_eq!((report.rows, report.updates), (20, 4));
    assert_eq!(
        report.taken_for,
        "binary output of EPANET, version 20012: 3 nodes (1 of them tanks or reservoirs), 2 links, 4 periods of 3600 s \
         from 0 s, flow in LPS, quality: no quality"
    );
    for (p, period) in periods.iter().enumerate() {
        let (nodes, links) =
            (world.state("nodes", p as i64 * 3600), world.state("links", p as i64 * 3600));
        assert_eq!((&nodes.ids[..], &links.ids[..]), (&[1, 2, 3][..], &[1, 2][..]));
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        for (q, name) in ["demand", "head", "pressure", "quality"].into_iter().enumerate() {
            let values = nodes.values::<f32>(name).unwrap();
            assert_eq!(bits(&values), bits(&period[3 * q..3 * q + 3]), "{name} of {p}");
        }
        let names = [
            "flow",
            "velocity",
            "headloss",
            "quality",
            "status",
            "setting",
            "reaction_rate",
            "friction_factor",
        ];
        for (q, name) in names.into_iter().enumerate() {
            let values = links.values::<f32>(name).unwrap();
            assert_eq!(bits(&values), bits(&period[12 + 2 * q..14 + 2 * q]), "{name} of {p}");
        }
        assert_eq!(nodes.values::<f32>("elevation").unwrap(), [10.0, 20.0, 30.5]);
        assert_eq!(links.values::<i64>("topology.to_node_id").unwrap(), [2, 1]);
    }
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(world.texts("nodes", "name", 0), [text("../J1"), text("café"), text("T")]);
    assert_eq!(world.texts("nodes", "type", 0), [text("JUNCTION"), text("JUNCTION"), text("TANK")]);
    assert_eq!(world.texts("links", "type", 0), [text("PIPE"), text("PUMP")]);
    assert_eq!(world.import(&path, &options).unchanged, 4);
}

/// Goal: of an output that is cut off the whole periods are stored, and that is said; one whose numbers contradict its size is
/// refused before memory is taken for them.
#[test]
fn damaged_output_of_epanet_is_refused() {
    let world = World::new();
    let options = FileOptions { dataset: "traffic".into(), ..FileOptions::epanet() };
    let whole = epanet(&periods());
    let begin = whole.len() - 28 - 4 * 112;
    for end in 0..begin + 112 {
        let refusal = world.refusal("net.out", &whole[..end], &options);
        assert!(refusal.contains("EPANET"), "{refusal}");
    }
    for (at, value, expected) in [
        (0, 7, "begins otherwise"),
        (2, i32::MAX, "need more than"),
        (4, i32::MAX, "need more than"),
        (5, -1, "a count in it is -1"),
        (3, 3, "it names node"),
        (14, 0, "at most 1"),
        (13, -5, "at most 1"),
    ] {
        let mut bytes = whole.clone();
        bytes[4 * at..4 * at + 4].copy_from_slice(&i32::to_le_bytes(value));
        let refusal = world.refusal("net.out", bytes, &options);
        assert!(refusal.contains(expected), "{expected}: {refusal}");
    }
    for end in (begin + 112..whole.len()).step_by(13) {
        let report = world.try_import(&world.file("net.out", &whole[..end]), &options).unwrap();
        assert!(report.ends_early && report.conflicts.is_empty());
        assert_eq!(report.updates + report.unchanged, ((end - begin) / 112).min(4) as u64);
    }
    assert_eq!(world.import(&world.file("net.out", whole), &options).unchanged, 4);
}

/// Goal: the frame of agents that mesa's DataCollector gives, written by pandas as CSV, is a table of states; an agent that went is gone.
#[test]
fn a_frame_of_mesa_is_a_table_of_states() {
    let world = World::new();
    let csv = "Step,AgentID,wealth,kind\n0,1,1,x\n0,2,1,x\n1,1,0,poor\n1,2,2,rich\n2,2,1,poor\n";
    let frame = StatesOptions { time: "Step".into(), ..states(Layout::Long("AgentID".into())) };
    let states = StatesOptions { missing: Some(Missing::Clear), ..frame };
    let options = FileOptions { format: FileFormat::States(states), ..long(None) };
    let report = world.import(&world.file("agents.csv", csv), &options);
    assert_eq!((report.updates, report.rows), (3, 5));
    assert_eq!(world.state("cars", 1).values::<i64>("wealth").unwrap(), [0, 2]);
    assert_eq!(world.texts("cars", "kind", 2), [None, Some("poor".to_owned())]);
}
