//! The kinds of `silt import`: their list, and sources that say their kind themselves.

use std::fs;
use std::io::Write;

use siltstone::ImportKind;

use crate::silt::{names, silt, silt_with};

/// Goal: the list of kinds names each kind that there is, with what it reads.
#[test]
fn all_kinds_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let list = silt(folder.path(), "import --list").ok();
    let help = silt(folder.path(), "import --help").ok();
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let kinds: Vec<&str> = (commands.lines())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap())
        .filter(|kind| *kind != "help")
        .collect();
    assert!(kinds.len() > 10 && kinds.contains(&"influx"), "{help}");
    assert_eq!(list.lines().count(), kinds.len(), "{list}");
    for (line, kind) in list.lines().zip(kinds) {
        let (name, about) = line.split_once("  ").unwrap();
        assert_eq!(name, kind);
        assert!(about.trim().len() > 10, "{line}");
        let help = silt_with(folder.path(), &format!("import {kind}"), "--help").ok();
        assert!(help.contains("silt import "), "{help}");
    }
}

/// Goal: the library and the command have the same kinds.
#[test]
fn the_list_is_that_of_the_library() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ImportKind::all() {
        let help = silt(folder.path(), &format!("import {kind} --help"));
        assert_eq!(help.code, 0, "{help:?}");
        assert_eq!(kind.name().parse::<ImportKind>().unwrap(), kind);
        assert!(kind.summary().len() > 10, "{kind}");
    }
    let list = silt(folder.path(), "import --list --json").json();
    assert_eq!(list["kinds"].as_array().unwrap().len(), ImportKind::all().count());
}

/// Goal: a source in place of a kind is imported as what it is, with the options of its kind, and stderr says so.
#[test]
fn a_source_says_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("cpu.lp"), "cpu,host=a usage=0.5 1715201400\n").unwrap();
    let ran = silt(here, "import cpu.lp --time-unit s --key lab -o plant.db --json");
    assert_eq!(ran.json()["files"][0]["added"], 1, "{ran:?}");
    assert!(ran.err.starts_with("cpu.lp: taken for influx: InfluxDB: "), "{ran:?}");
    assert!(silt(here, "series ls plant.db").ok().contains("lab/cpu,host=a/usage"));
    let quiet = silt(here, "--quiet import cpu.lp -o plant.db --time-unit s --dry-run");
    assert!(quiet.code == 0 && quiet.err.is_empty(), "{quiet:?}");
    let help = silt(here, "import cpu.lp --help").ok();
    assert!(help.contains("silt import influx"), "{help}");
    let wrong = silt(here, "import cpu.lp --prefix x -o plant.db");
    assert!(wrong.code == 2 && wrong.err.contains("--prefix"), "{wrong:?}");
    fs::create_dir_all(here.join("EURUSD")).unwrap();
    fs::write(here.join("EURUSD/2024-03-01.json"), "[]").unwrap();
    let ticks = silt(here, "import . --dry-run");
    assert!(ticks.err.contains("taken for ticks"), "{ticks:?}");
}

/// Goal: where the content does not say the kind, nothing is made, and the error names the kinds or their list.
#[test]
fn a_source_that_says_no_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("log.csv"), "time,flow\n2024-01-01,1.5\n").unwrap();
    fs::write(here.join("noise.bin"), [0, 1, 2, 3]).unwrap();
    fs::create_dir(here.join("empty")).unwrap();
    for (source, why) in [
        ("log.csv", "series, states or ticks"),
        ("noise.bin", "--list"),
        ("empty", "--list"),
        ("mlfow", "mlfow is not there; did you mean the kind mlflow: silt import mlflow SOURCE"),
        ("MLflow", "did you mean the kind mlflow"),
        ("serie", "did you mean the kind series"),
        ("tensor-board", "did you mean the kind tensorboard"),
        ("runs", "runs is not there; nor is it a kind"),
    ] {
        let ran = silt(here, &format!("import {source} -o new.db"));
        assert!(ran.code == 2 && ran.out.is_empty() && ran.err.contains(why), "{ran:?}");
        let json = silt(here, &format!("import {source} -o new.db --json"));
        assert!(json.code == 2 && json.err.starts_with("{\"error\""), "{json:?}");
    }
    assert_eq!(names(here), ["empty", "log.csv", "noise.bin"]);
}

/// Goal: tables of loggers are a kind like the others, by the same command as `silt series import`.
#[test]
fn series_are_a_kind() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("log.csv"), "step,flow\n1,1.5\n2,2.5\n").unwrap();
    let dry = silt(here, "import series log.csv --dry-run");
    assert!(dry.code == 0 && dry.out.contains("log/flow: 2 points"), "{dry:?}");
    assert_eq!(names(here), ["log.csv"]);
    let new = silt(here, "import series log.csv -o new.db --json").json();
    let old = silt(here, "series import log.csv --to sqlite:old.db --json").json();
    assert_eq!(new, old);
    assert_eq!(silt(here, "import series log.csv").code, 2);
}

/// Goal: an import that imports nothing is a failure, 2, and names what is wrong: the target, or all that has to be said.
#[test]
fn an_import_of_nothing_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::create_dir(here.join("empty")).unwrap();
    fs::write(here.join("none.csv"), "").unwrap();
    fs::write(here.join("file.db"), "x").unwrap();
    let mt5 = "<DATE>\t<TIME>\t<BID>\t<ASK>\n2024.03.01\t10:00:00.123\t1.1\t1.2\n";
    fs::write(here.join("mt5.csv"), mt5).unwrap();
    fs::write(here.join("odd.csv"), "a,b,c\n1,2,3\n").unwrap();
    fs::write(here.join("head.csv"), "t,b,a\n").unwrap();
    fs::create_dir(here.join("tb")).unwrap();
    fs::write(here.join("tb/events.out.tfevents.1.host"), [7; 100]).unwrap();
    let utc = "import ticks mt5.csv --tz UTC";
    for (line, said) in [
        ("import simulation empty -o new.db", &["empty", "t0_0_net.json", "no file"][..]),
        ("import simulation empty --dry-run", &["t0_0_net.json"]),
        ("import ticks none.csv -o new", &["none.csv", "an empty one"]),
        ("import ticks odd.csv -o new", &["--columns"]),
        ("import ticks odd.csv --columns time=a,bid=b,price=c -o new", &["price beside one"]),
        (
            "import ticks head.csv --symbol X --columns time=t,bid=b,ask=a --time-unit ms -o new",
            &["no tick was read"],
        ),
        ("import tensorboard tb -o new.db", &["events.out.tfevents.1.host"]),
        ("import --list -o new.db", &["leave out -o"]),
        ("import ticks mt5.csv -o new", &["--tz", "--symbol"]),
        (&format!("{utc} -o new"), &["--symbol"]),
        (&format!("{utc} --symbol EURUSD -o file.db"), &["file.db: expected the folder"]),
        (&format!("{utc} --symbol EURUSD"), &["-o DIR"]),
    ] {
        let ran = silt(here, line);
        assert_eq!(ran.code, 2, "{line}: {ran:?}");
        assert!(said.iter().all(|said| ran.err.contains(said)), "{line}: {ran:?}");
    }
    let csv = "t,car,x\n0,1,5\n";
    fs::write(here.join("one.csv"), csv).unwrap();
    let states = "--time t --id car --dataset d --group g -o run.db";
    silt(here, &format!("import states one.csv {states}")).ok();
    assert_eq!(silt(here, "import simulation empty -o run.db").code, 2);
    assert_eq!(silt(here, "info run.db --json").json()["run"]["status"], "complete");
    assert!(!here.join("new.db").exists() && !here.join("data").exists());
    let dry = silt(here, &format!("{utc} --symbol EURUSD --dry-run"));
    assert!(dry.code == 0 && dry.out.starts_with("1 tick of 1 file would be imported"), "{dry:?}");
    silt(here, &format!("{utc} --symbol EURUSD -o deep/er/ticks")).ok();
}

/// Goal: a dry run compares with a file or refuses to be told one, and of many conflicts three are named and all counted.
#[test]
fn a_dry_run_has_one_meaning_and_conflicts_few_lines() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for kind in ["simulation", "epanet", "experiment", "memory", "mlflow", "ticks"] {
        let ran = silt(here, &format!("import {kind} source --dry-run -o x.db"));
        assert!(ran.code == 2 && ran.err.contains("cannot be used with"), "{kind}: {ran:?}");
    }
    let table = |value: &str| {
        let rows: String = (0..90).map(|t| format!("{t},1,{value}\n")).collect();
        fs::write(here.join("cars.csv"), format!("t,car,x\n{rows}")).unwrap();
    };
    let line = "import states cars.csv --time t --id car --dataset d --group g -o run.db";
    table("1.5");
    let ran = silt(here, line);
    assert!(ran.code == 0 && ran.err.contains("90 timestamps 0 to 89; g: 1 entity by"), "{ran:?}");
    table("2.5");
    let ran = silt(here, &format!("--quiet {line}"));
    assert!(ran.code == 3 && ran.err.contains("87 conflicts"), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 4, "{ran:?}");
}

/// Goal: a series whose last number was cut is not what the grown file says, and that is named.
#[test]
fn a_number_that_was_cut_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let line = "import series sc.csv --key k -o plant.db";
    fs::write(here.join("sc.csv"), "time,v\n2024-01-01,1.5\n2024-01-02,2.7").unwrap();
    let cut = silt(here, line);
    assert!(cut.code == 0 && cut.err.contains("the last line has no newline"), "{cut:?}");
    fs::write(here.join("sc.csv"), "time,v\n2024-01-01,1.5\n2024-01-02,2.75\n2024-01-03,3\n")
        .unwrap();
    let ran = silt(here, &format!("{line} --append --overlap skip"));
    assert!(ran.code == 3 && ran.err.contains("k: 1 conflict skipped: at 2024-01-02"), "{ran:?}");
    assert!(ran.err.contains("2.7 is stored, 2.75 is new"), "{ran:?}");
    assert!(!ran.err.contains("newline"), "{ran:?}");
}

/// Goal: a refusal says what the file is, and what to type where that helps.
#[test]
fn a_refusal_says_what_the_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let gzip = |text: &[u8]| {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        to.write_all(text).unwrap();
        to.finish().unwrap()
    };
    let net =
        b"<?xml version=\"1.0\"?>\n<!-- of <configuration/> -->\n<net version=\"1\">\n</net>\n";
    let netlogo = b"\"BehaviorSpace results (NetLogo 6.4.0)\",\"Table version 2.0\"\n";
    let workbook = b"PK\x03\x04 [Content_Types].xml PK\x03\x04 xl/workbook.xml";
    let sources: [(&str, Vec<u8>, &str); 10] = [
        ("finam.csv", b"<TICKER>,<PER>,<DATE>\nX,0,20240301\n".to_vec(), "other text, \"<TICKER>"),
        ("none.gz", gzip(b""), "got an empty file, packed by gzip"),
        ("empty.csv", vec![], "got an empty file"),
        ("city.net.xml", net.to_vec(), "got XML of <net>"),
        ("city.net.xml.gz", gzip(net), "got XML of <net>, packed by gzip"),
        ("damaged.gz", vec![0x1f, 0x8b, 8, 0, 1, 2], "got a damaged gzip"),
        (
            "my log.csv",
            b"time,flow\n1,2\n".to_vec(),
            "other text, \"time,flow\"; try: silt import series 'my log.csv' --dry-run",
        ),
        ("results.csv.gz", gzip(netlogo), "packed by gzip"),
        ("net.out.gz", gzip(&516_114_521i32.to_le_bytes()), "packed by gzip"),
        ("table.bin", workbook.to_vec(), "a workbook of Excel by its content"),
    ];
    for (name, content, why) in sources {
        fs::write(here.join(name), content).unwrap();
        let ran = silt_with(here, "import -o new.db", name);
        assert!(ran.code == 2 && ran.err.contains(why), "{name}: {ran:?}");
        assert!(!ran.err.contains("taken for"), "{ran:?}");
        assert!(!here.join("new.db").exists());
    }
}

/// Goal: SUMO's packed XML of several members, its Parquet, and files of InfluxDB behind a byte order mark and many comments are
/// known, and read.
#[test]
fn more_files_say_their_kind() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let mut packed = Vec::new();
    for part in [
        "<?xml version=\"1.0\"?>\n",
        "<fcd-export>\n<timestep time=\"0\">\n<vehicle id=\"a\" x=\"1\"/>\n",
        "</timestep></fcd-export>\n",
    ] {
        let mut to = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
        to.write_all(part.as_bytes()).unwrap();
        to.finish().unwrap();
    }
    fs::write(here.join("fcd.xml.gz"), packed).unwrap();
    let sql = "SELECT 0.0 AS timestep_time, 'a' AS vehicle_id, 1.5 AS vehicle_x";
    silt(here, "import --dry-run fcd.xml.gz").ok();
    silt(here, "import fcd.xml.gz -o any.db").ok();
    silt_with(here, "query any.db --quiet -o fcd.parquet", sql).ok();
    let comments =
        "# a comment of some length, as exports have them at their beginning ".repeat(5) + "\n";
    let line = "cpu,host=a usage=0.5 1715201400000000000\n";
    fs::write(here.join("long.lp"), comments.repeat(300) + line).unwrap();
    fs::write(here.join("mark.lp"), format!("\u{feff}{line}")).unwrap();
    let annotated = "\u{feff}#datatype,string,long,dateTime:RFC3339,double,string,string\n#group,false,false,false,false,true,true\n\
        #default,_result,,,,,\n,result,table,_time,_value,_field,_measurement\n,,0,2024-05-08T20:50:00Z,1.5,usage,cpu\n";
    fs::write(here.join("mark.csv"), annotated).unwrap();
    for (name, kind) in [
        ("fcd.xml.gz", "sumo"),
        ("fcd.parquet", "sumo"),
        ("long.lp", "influx"),
        ("mark.lp", "influx"),
        ("mark.csv", "influx"),
    ] {
        let ran = silt(here, &format!("import {name} --dry-run"));
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
        assert!(ran.err.contains(&format!("{name}: taken for {kind}")), "{ran:?}");
    }
    silt(here, "import mark.lp -o one.db").ok();
    assert!(silt(here, "series ls one.db").ok().contains("cpu,host=a/usage"));
}

/// Goal: -o and --dry-run stand before the source too, of each kind; alone they are no list of kinds.
#[test]
fn options_stand_before_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("cpu.lp"), "cpu,host=a usage=0.5 1715201400000000000\n").unwrap();
    for line in ["import --dry-run cpu.lp", "import --dry-run -o new.db influx cpu.lp"] {
        assert!(silt(here, line).ok().contains("would be added"), "{line}");
    }
    assert_eq!(names(here), ["cpu.lp"]);
    for (n, options) in
        ["-o 0.db", "--output=1.db", "--json -o2.db", "--quiet --output 3.db"].iter().enumerate()
    {
        silt(here, &format!("--color never import {options} cpu.lp")).ok();
        assert!(here.join(format!("{n}.db")).exists(), "{options}");
    }
    for line in ["import -o new.db", "import --dry-run", "import -o new.db -- cpu.lp"] {
        assert_eq!(silt(here, line).code, 2, "{line}");
    }
    assert!(!here.join("new.db").exists());
    let help = silt(here, "import --help").ok();
    assert!(help.contains("--output <FILE>") && help.contains("--dry-run"), "{help}");
}

/// Goal: the default folder of a tracker has the name of its kind: what to type is said.
#[test]
fn a_kind_that_is_a_folder_too_is_hinted_at() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let without = silt(here, "import wandb -o w.db");
    assert!(without.code == 2 && !without.err.contains("wandb wandb"), "{without:?}");
    for kind in ["wandb", "sacred", "memory"] {
        fs::create_dir(here.join(kind)).unwrap();
        for line in [format!("import {kind} -o w.db"), format!("import -o w.db {kind}")] {
            let ran = silt(here, &line);
            assert!(
                ran.code == 2 && ran.err.contains(&format!("silt import {kind} {kind} ...")),
                "{ran:?}"
            );
        }
    }
}
