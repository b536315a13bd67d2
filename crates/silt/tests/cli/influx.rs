//! `silt import influx`, and the list of kinds.

use crate::silt::{silt, silt_with};

/// Goal: a dry run says what was understood and makes no file; an import stores it, and a second one nothing; what is skipped
/// is named, and the exit code says so.
#[test]
fn influx_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let line = "cpu,host=a usage=0.5,count=3i 1715201400000000000\n";
    std::fs::write(folder.path().join("cpu.lp"), line.repeat(2)).unwrap();
    let dry = silt(folder.path(), "import influx cpu.lp -o plant.db --dry-run");
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.err.contains("cpu.lp: line protocol of InfluxDB, timestamps in ns"), "{dry:?}");
    let said = "plant.db: 2 points of 2 series would be added, 0 unchanged; 2 points written again later in the file\n";
    assert_eq!(dry.out, said);
    assert!(!folder.path().join("plant.db").exists());
    let out = silt(folder.path(), "import influx cpu.lp -o plant.db").ok();
    assert!(out.contains("2 points of 2 series added, 0 unchanged"), "{out}");
    let again = silt(folder.path(), "import influx cpu.lp -o plant.db --json").json();
    assert_eq!(
        (&again["files"][0]["added"], &again["files"][0]["unchanged"]),
        (&0.into(), &2.into())
    );
    let again = silt(folder.path(), "import influx cpu.lp -o plant.db --dry-run").ok();
    assert!(again.contains("0 points of 2 series would be added, 2 unchanged"), "{again}");
    std::fs::write(folder.path().join("cut.lp"), format!("{line}cpu,host=a usage=1")).unwrap();
    std::fs::write(folder.path().join("other.txt"), "nothing of it\n").unwrap();
    let cut = silt(folder.path(), "import influx cut.lp other.txt -o plant.db");
    assert_eq!(cut.code, 3, "{cut:?}");
    assert!(cut.err.contains("line 2: it has no end"), "{cut:?}");
    assert!(
        cut.err.contains("other.txt: skipped: expected annotated CSV or line protocol"),
        "{cut:?}"
    );
    let none = silt(folder.path(), "import influx other.txt -o none.db");
    assert!(none.code == 2 && !folder.path().join("none.db").exists(), "{none:?}");
}

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
