//! Series out of files of InfluxDB.

use std::io::Write;

use siltstone::series::{
    InfluxOptions, InfluxReport, MemoryBackend, Metadata, Series, StorageBackend, TimeUnit,
    import_influx,
};
use siltstone_needs::needs;

struct World {
    folder: tempfile::TempDir,
    backend: MemoryBackend,
}

impl World {
    fn new() -> Self {
        World { folder: tempfile::tempdir().unwrap(), backend: MemoryBackend::new() }
    }

    fn run(&self, content: &[u8], options: &InfluxOptions) -> siltstone::Result<InfluxReport> {
        let path = self.folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        import_influx(&self.backend, &path, options, &mut |_, _| Ok(()))
    }

    fn import(&self, content: impl AsRef<[u8]>) -> InfluxReport {
        self.run(content.as_ref(), &InfluxOptions::default()).unwrap()
    }

    fn refusal(&self, content: impl AsRef<[u8]>) -> String {
        self.run(content.as_ref(), &InfluxOptions::default()).unwrap_err().to_string()
    }

    fn keys(&self) -> Vec<String> {
        self.backend.list_keys("").unwrap()
    }

    /// Times and values, as JSON.
    fn points(&self, key: &str) -> String {
        let (series, _) = self.backend.load(key).unwrap();
        let rows = siltstone::table::rows(&series.to_batch()).unwrap();
        let rows: Vec<String> =
            rows.iter().map(|row| format!("{} {}", row[0].as_str().unwrap(), row[1])).collect();
        rows.join(", ")
    }
}

fn counts(report: &InfluxReport) -> [u64; 4] {
    [report.series, report.points, report.added, report.unchanged]
}

const LINES: &str = r#"# a comment
cpu,host=a,region=eu\ west usage=0.5,count=3i,big=18446744073709551615u,on=t,note="say \"hi\", \\ both" 1715201400000000000
cpu,region=eu\ west,host=a usage=1e3,count=-4i,on=FALSE,note="two
lines" 1715201400000000001

my\,disk,path=C:\temp,k\=1=v free\ space=1 1715201400000000000
bare value=2 1715201400000000000
"#;

/// Goal: each part of a line comes out as the protocol says: escapes, types of fields, tags in any order, texts over lines.
#[test]
fn line_protocol_is_read() {
    let world = World::new();
    let report = world.import(LINES);
    assert_eq!(
        report.taken_for,
        "line protocol of InfluxDB, timestamps in ns, as the protocol has it"
    );
    assert_eq!((counts(&report), report.skipped.len()), ([7, 11, 11, 0], 0));
    assert_eq!(
        world.keys(),
        [
            "bare/value",
            "cpu,host=a,region=eu west/big",
            "cpu,host=a,region=eu west/count",
            "cpu,host=a,region=eu west/note",
            "cpu,host=a,region=eu west/on",
            "cpu,host=a,region=eu west/usage",
            r"my\,disk,k\=1=v,path=C:\temp/free space",
        ]
    );
    let cpu = |field: &str| world.points(&format!("cpu,host=a,region=eu west/{field}"));
    let at = |ns: u8| format!("2024-05-08T20:50:00.00000000{ns}Z");
    let [zero, one] = ["2024-05-08T20:50:00Z".to_owned(), at(1)];
    assert_eq!(cpu("usage"), format!("{zero} 0.5, {one} 1000.0"));
    assert_eq!(cpu("count"), format!("{zero} 3, {one} -4"));
    assert_eq!(cpu("big"), format!("{zero} 18446744073709551615"));
    assert_eq!(cpu("on"), format!("{zero} true, {one} false"));
    assert_eq!(cpu("note"), format!(r#"{zero} "say \"hi\", \\ both", {one} "two\nlines""#));
    let (series, metadata) =
        world.backend.load(r"my\,disk,k\=1=v,path=C:\temp/free space").unwrap();
    assert_eq!(series.name(), Some("free space"));
    let said =
        r#"{"measurement":"my,disk","tags":{"k=1":"v","path":"C:\\temp"},"field":"free space"}"#;
    assert_eq!(serde_json::Value::Object(metadata).to_string(), said);
}

/// Goal: a line that is none is named, and its neighbours are taken; a file of such lines is refused, with what stood there.
#[test]
fn bad_lines_of_line_protocol_are_named() {
    let bad = [
        ("cpu usage=1", "no timestamp"),
        ("cpu usage=1 soon", "a timestamp expected, got \"soon\""),
        ("cpu usage=1 99999999999999999999", "a timestamp expected"),
        ("cpu usage= 1", "got \"\""),
        ("cpu usage=abc 1", "got \"abc\""),
        ("cpu usage=1e400 1", "got \"1e400\""),
        ("cpu usage=NaN 1", "got \"NaN\""),
        ("cpu usage=9223372036854775808i 1", "got \"9223372036854775808i\""),
        ("cpu usage=-1u 1", "got \"-1u\""),
        ("cpu usage=1,usage=2 1", "the field \"usage\" twice"),
        ("cpu,host=a,host=b usage=1 1", "the tag \"host\" twice"),
        ("cpu,host= usage=1 1", "a tag as name=value expected, got \"host=\""),
        (",host=a usage=1 1", "a measurement expected"),
        ("cpu", "a measurement and fields expected, got \"cpu\""),
        ("cpu usage=\"open 1", "a text whose quote is not closed"),
        ("cpu usage=\"a\"b 1", "an end of the text \"a\" expected"),
        ("cpu usage=5i 1715201400000000000", "has floats before"),
    ];
    for (line, why) in bad {
        let world = World::new();
        let good = "cpu usage=1 1715201400000000000\n";
        let report = world.import(format!("{good}{line}\ncpu usage=2 1715201400000000001\n"));
        let said = report.skipped.iter().map(ToString::to_string).collect::<String>();
        assert!(said.contains("1 line: line 2: ") && said.contains(why), "{line}: {said}");
        assert_eq!(counts(&report)[..2], [1, 2], "{line}");
        let alone = World::new().run(format!("{line}\n").as_bytes(), &InfluxOptions::default());
        assert_eq!(alone.is_err(), why != "has floats before", "{line}");
    }
    let hopeless = format!("cpu usage=1 1715201400000000000\n{}", "nothing\n".repeat(100));
    assert!(World::new().refusal(hopeless).contains("line 2: a measurement and fields expected"));
}

/// Goal: timestamps of another unit are not taken for ns in silence: the option that decides is named, and decides.
#[test]
fn the_unit_of_timestamps_is_not_guessed() {
    let world = World::new();
    let seconds = "cpu usage=1 1715201400\n";
    let refused = world.refusal(seconds);
    assert!(refused.contains("--time-unit s gives 2024"), "{refused}");
    let unit = |unit| InfluxOptions { time_unit: Some(unit), ..Default::default() };
    let report = world.run(seconds.as_bytes(), &unit(TimeUnit::S)).unwrap();
    assert_eq!(report.taken_for, "line protocol of InfluxDB, timestamps in s");
    assert_eq!(world.points("cpu/usage"), "2024-05-08T20:50:00Z 1.0");
    let early = world.run(seconds.replace("cpu", "early").as_bytes(), &unit(TimeUnit::Ns)).unwrap();
    assert_eq!(early.added, 1);
    let far = world.run(b"far usage=1 1715201400000000000\n", &unit(TimeUnit::S)).unwrap_err();
    assert!(far.to_string().contains("--time-unit ns gives 2024"), "{far}");
    assert_eq!(world.keys(), ["cpu/usage", "early/usage"]);
}

const TABLES: &str = "\
#group,false,false,true,true,false,false,true,true,true\r\n\
#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string\r\n\
#default,_result,,,,,,,,\r\n\
,result,table,_start,_stop,_time,_value,_field,_measurement,host\r\n\
,,0,2024-05-08T20:50:00Z,2024-05-08T20:51:00Z,2024-05-08T20:50:00Z,15.43,temp,air,A\r\n\
,,0,2024-05-08T20:50:00Z,2024-05-08T20:51:00Z,2024-05-08T20:50:20.5Z,+Inf,temp,air,A\r\n\
,,1,2024-05-08T20:50:00Z,2024-05-08T20:51:00Z,2024-05-08T22:50:00+02:00,62.73,temp,air,\"B,\"\"2\"\"\"\r\n\
\r\n\
#group,false,false,true,true,false,false,true,true\r\n\
#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,long,string,string\r\n\
#default,_result,,,,,,,\r\n\
,result,table,_start,_stop,_time,_value,_field,_measurement\r\n\
,,2,2024-05-08T20:50:00Z,2024-05-08T20:51:00Z,2024-05-08T20:50:00Z,7,count,air\r\n\
,,2,2024-05-08T20:50:00Z,2024-05-08T20:51:00Z,2024-05-08T20:50:01Z,,count,air\r\n\
,mean,2,2024-05-08T20:50:00Z,2024-05-08T20:51:00Z,2024-05-08T20:50:01Z,8,count,air\r\n\
\r\n";

/// Goal: each table of annotated CSV is read by its own types; tags, results and empty cells are what they are.
#[test]
fn annotated_csv_is_read() {
    let world = World::new();
    let report = world.import(TABLES);
    assert_eq!(report.taken_for, "annotated CSV of InfluxDB, 2 tables");
    assert_eq!((counts(&report), report.skipped.len()), ([4, 5, 5, 0], 0));
    let keys = ["air,host=A/temp", "air,host=B\\,\"2\"/temp", "air,result=mean/count", "air/count"];
    assert_eq!(world.keys(), keys);
    let temp = "2024-05-08T20:50:00Z 15.43, 2024-05-08T20:50:20.500Z \"Infinity\"";
    assert_eq!(world.points(keys[0]), temp);
    assert_eq!(world.points(keys[1]), "2024-05-08T20:50:00Z 62.73");
    assert_eq!(world.points(keys[3]), "2024-05-08T20:50:00Z 7");
    // Pivoted: a column a field, and the group tells the tags.
    let pivoted = "#datatype,string,long,dateTime:RFC3339,string,string,double,boolean\n\
        #group,false,false,false,true,true,false,false\n#default,_result,,,,,,\n\
        ,result,table,_time,_measurement,host,usage,ok\n\
        ,,0,2024-05-08T20:50:00Z,cpu,a,0.5,true\n,,0,2024-05-08T20:50:10Z,cpu,a,,false\n";
    assert_eq!(counts(&world.import(pivoted)), [2, 3, 3, 0]);
    assert_eq!(world.points("cpu,host=a/usage"), "2024-05-08T20:50:00Z 0.5");
    // A number that tells tables apart is a tag.
    let numbers = "#datatype,string,long,dateTime:RFC3339,double,string,string,long,long\n\
        #group,false,false,false,false,true,true,true,false\n#default,_result,,,,,,,\n\
        ,result,table,_time,_value,_field,_measurement,rack,left\n\
        ,,0,2024-05-08T20:50:00Z,1,v,m,7,1\n,,1,2024-05-08T20:50:01Z,2,v,m,8,1\n";
    let report = world.import(numbers);
    assert_eq!((counts(&report), report.notes.len()), ([2, 2, 2, 0], 1));
    assert_eq!(world.points("m,rack=8/v"), "2024-05-08T20:50:01Z 2.0");
}

/// Goal: what annotated CSV does not say is not guessed, and what it says wrongly is named.
#[test]
fn annotated_csv_that_is_unclear_is_refused() {
    let head = |types: &str, names: &str| {
        let commas = ",".repeat(types.matches(',').count());
        format!(
            "#datatype,{types}\n#group,{}\n#default,{commas}\n,{names}\n",
            "false,".repeat(commas.len()) + "false"
        )
    };
    let row = ",2024-05-08T20:50:00Z,1,a\n";
    let plain = head("dateTime:RFC3339,long,string", "_time,_value,host");
    let twice = ",2024-05-08T20:50:00Z,2,a\n";
    for (text, why) in [
        (format!("{plain}{row}{twice}"), "two at 2024-05-08T20:50:00Z"),
        (head("dateTime:RFC3339,long", "time,_value") + row, "a column _time of times"),
        (head("string,long", "_time,_value") + row, "a column _time of times"),
        (head("dateTime:RFC3339,measurement", "_time,_value") + row, "got \"measurement\""),
        (head("dateTime:RFC3339,long", "_time,_value,host") + row, "as many types"),
        (head("dateTime:RFC3339,string", "_time,_time") + row, "\"_time\" twice"),
        (head("string,string", "error,reference") + ",no such bucket,897\n", "no such bucket"),
        ("#constant,measurement,cpu\n".into(), "got \"#constant\""),
        (",result,table,_time,_value\n".into(), "#datatype"),
        ("name,tags,time,value\na,b=c,1,2\n".into(), "silt series import"),
        ("time,value\n1,2\n".into(), "annotated CSV or line protocol of InfluxDB"),
        ("\n".into(), "annotated CSV or line protocol of InfluxDB"),
        (plain.clone(), "points that can be read, got none"),
    ] {
        let refused = World::new().refusal(&text);
        assert!(refused.contains(why), "{text}: {refused}");
    }
    let other = format!("{plain}{row}\n,_time,_value,place\n,2024-05-08T20:50:01Z,1,b\n");
    let refused = World::new().refusal(other);
    assert!(
        refused.contains("line 7: ") && refused.contains("a header without #datatype"),
        "{refused}"
    );
    let bad = ",yesterday,1,a\n,2024-05-08T20:50:01Z,1.5,a\n,2024-05-08T20:50:02Z,1\n\n,2024-05-08T20:50:03Z,\"1,a\n";
    let report = World::new().import(format!("{plain}{row}{bad}"));
    let said = report.skipped[0].to_string();
    assert!(said.contains("4 lines: line 6: _time: a time"), "{said}");
    assert!(said.contains("line 7: _value: an integer of 64 bits expected, got \"1.5\""), "{said}");
    assert!(said.contains("line 8: 4 fields expected, got 3; ..."), "{said}");
}

/// Goal: a second import changes nothing; a file that grows brings what is new, in its place; a cut last line waits.
#[test]
fn a_file_may_come_again_and_grow() {
    for whole in [LINES.replace("# a comment\n", ""), TABLES.to_owned()] {
        let (world, once) = (World::new(), World::new());
        let all = once.import(&whole);
        for end in (0..whole.len()).step_by(7).chain([whole.len(), whole.len()]) {
            let part = whole.as_bytes()[..end].to_vec();
            let has_points = part.iter().filter(|byte| **byte == b'\n').count() > 8;
            match world.run(&part, &InfluxOptions::default()) {
                Ok(report) => assert!(report.skipped.len() <= 1, "{report:?}"),
                Err(error) => assert!(!has_points, "{end}: {error}"),
            }
        }
        let again = world.import(&whole);
        assert_eq!(counts(&again), [all.series, all.points, 0, all.points]);
        assert_eq!(world.keys(), once.keys());
        for key in once.keys() {
            assert_eq!(world.backend.load(&key).unwrap(), once.backend.load(&key).unwrap());
        }
    }
    // Points before and between, in any order; the last one of a time holds.
    let world = World::new();
    world.import("a v=2 1715201400000000002\na v=4 1715201400000000004\n");
    let report = world.import(
        "a v=9 1715201400000000003\na v=3 1715201400000000003\na v=1 1715201400000000001\n",
    );
    assert_eq!((counts(&report), report.repeated), ([1, 2, 2, 0], 1));
    let values = world.backend.load("a/v").unwrap().0.to_f64s();
    assert_eq!(values, Some(vec![1.0, 2.0, 3.0, 4.0]));
}

/// Goal: a file may begin with a text of several lines, and one whose only line has no newline says so.
#[test]
fn the_first_and_the_last_line_may_be_odd() {
    let world = World::new();
    let report = world.import("# text\n\nlog note=\"two\nlines\" 1715201400000000000\nlog n=1 1715201400000000000\nlog n=2 17");
    assert_eq!(
        (counts(&report), &*world.keys()),
        ([2, 2, 2, 0], &["log/n".to_owned(), "log/note".into()][..])
    );
    let said = report.skipped[0].to_string();
    assert!(said.contains("line 6: it has no newline") && said.contains("--finished"), "{said}");
    let report =
        World::new().import("cpu v=1\ncpu v=2 1715201400000000000\ncpu v=3 1715201401000000000\n");
    assert_eq!(counts(&report)[..2], [1, 2]);
    assert!(report.skipped[0].to_string().contains("line 1"), "{:?}", report.skipped);
    let refused = world.refusal("log n=1 1715201400000000000");
    assert!(refused.contains("a newline at the end of its only line"), "{refused}");
    let options = InfluxOptions { finished: true, ..InfluxOptions::default() };
    let report = World::new().run(b"log n=1 1715201400000000000", &options).unwrap();
    assert_eq!(counts(&report), [1, 1, 1, 0]);
}

/// Goal: back-filled series do not gather in memory until a thousand wait: what they hold is committed before.
#[test]
fn whole_series_do_not_gather_in_memory() {
    use std::sync::Arc;
    let world = World::new();
    let keys = ["a", "b", "c"];
    for key in keys {
        world.import(format!("{key} v=1 1715201400000000000\n"));
        let (_, metadata) = world.backend.load(&format!("{key}/v")).unwrap();
        let n = 600_000;
        let index = arrow_array::TimestampNanosecondArray::from_iter_values(
            (0..n).map(|i| 1_715_201_400_000_000_000 + 2 * i),
        );
        let values = arrow_array::Float64Array::from_iter_values((0..n).map(|i| i as f64));
        let many = Series::new(Arc::new(index.with_timezone("UTC")), Arc::new(values)).unwrap();
        world.backend.save(&format!("{key}/v"), &many, &metadata).unwrap();
    }
    let path = world.folder.path().join("late");
    std::fs::write(&path, keys.map(|key| format!("{key} v=9 1715201400000000001\n")).concat())
        .unwrap();
    let mut lengths = Vec::new();
    let mut progress = |_: u64, _: u64| {
        lengths.push(
            keys.map(|key| world.backend.info(&format!("{key}/v")).unwrap().length - 600_000),
        );
        Ok(())
    };
    import_influx(&world.backend, &path, &InfluxOptions::default(), &mut progress).unwrap();
    assert_eq!(lengths, [[0, 0, 0], [0, 0, 0], [1, 1, 0], [1, 1, 1]]);
}

/// Goal: what the store has stays where a file says something else, and each case is named.
#[test]
fn what_differs_from_the_store_is_named() {
    let world = World::new();
    world.import("a v=1 1715201400000000001\n");
    let report = world.import("a v=2 1715201400000000001\na v=3 1715201400000000002\n");
    assert_eq!(counts(&report), [1, 2, 1, 0]);
    let said = report.skipped[0].to_string();
    assert!(said.contains("1 row of a/v skipped: the store has another value"), "{said}");
    assert_eq!(world.backend.load("a/v").unwrap().0.to_f64s(), Some(vec![1.0, 3.0]));
    let other = world.import("a v=1i 1715201400000000003\n");
    assert!(
        other.skipped[0].reason.contains("Int64") || other.skipped[0].reason.contains("int64"),
        "{other:?}"
    );
    let foreign = Series::from_times_ns(&[1], &[1.0]).unwrap();
    world.backend.save("b/v", &foreign, &Metadata::new()).unwrap();
    let refused = world.import("b v=1 1715201400000000003\n");
    assert!(refused.skipped[0].reason.contains("not this one of InfluxDB"), "{refused:?}");
    assert_eq!(world.backend.load("b/v").unwrap().0, foreign);
}

/// Goal: a packed file is unpacked, a prefix stands before the keys, and time units do not go with annotated CSV.
#[test]
fn options_hold_and_packed_files_are_read() {
    let world = World::new();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(b"CREATE DATABASE x WITH NAME autogen\ncpu usage=1 1715201400000000000\n")
        .unwrap();
    let options = InfluxOptions { key: Some("plant".into()), ..Default::default() };
    assert_eq!(world.run(&gz.finish().unwrap(), &options).unwrap().added, 1);
    assert_eq!(world.keys(), ["plant/cpu/usage"]);
    let options = InfluxOptions { time_unit: Some(TimeUnit::S), ..Default::default() };
    let refused = world.run(TABLES.as_bytes(), &options).unwrap_err().to_string();
    assert!(refused.contains("line protocol for --time-unit"), "{refused}");
}

/// Goal: the file that a user brought is read.
#[needs(cases)]
#[test]
fn the_case_of_a_user_is_read() {
    let world = World::new();
    let path = crate::shared::folder("cases/influx").join("annotated.csv");
    let report = import_influx(&world.backend, path, &InfluxOptions::default(), &mut |_, _| Ok(()));
    assert_eq!(counts(&report.unwrap()), [2, 3, 3, 0]);
    assert_eq!(world.keys(), [",host=A/temp", ",host=B/temp"]);
}

/// Goal: a line of very many fields, or a table of very many columns, is read in a moment.
#[test]
fn wide_lines_take_no_time() {
    let world = World::new();
    let fields: Vec<String> = (0..10_000).map(|i| format!("f{i}=1i")).collect();
    let report = world.import(format!("wide {} 1715201400000000000\n", fields.join(",")));
    assert_eq!(counts(&report), [10_000, 10_000, 10_000, 0]);
    // The series of a line share its tags.
    let tags: String = (0..1_000).map(|i| format!(",t{i}=v{i}")).collect();
    let fields: Vec<String> = (0..1_000).map(|i| format!("f{i}=1i")).collect();
    let report = world.import(format!("tagged{tags} {} 1715201400000000000\n", fields.join(",")));
    assert_eq!(counts(&report), [1_000, 1_000, 1_000, 0]);
    let n = 100_000;
    let types = format!("#datatype,dateTime:RFC3339,long{}\n", ",long".repeat(n));
    let names: String = (0..n).map(|i| format!(",c{i}")).collect();
    let row = format!(",2024-05-08T20:50:00Z,1{}\n", ",2".repeat(n));
    let report = world.import(format!("{types},_time,_value{names}\n{row}"));
    let note = "100000 columns are left out that have no texts and are no tags: \"c0\"";
    assert_eq!((counts(&report)[0], &*report.notes), (1, &[note.to_owned()][..]));
}
