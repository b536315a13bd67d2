//! `silt import influx`.

use crate::silt::silt;

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
    assert!(cut.err.contains("line 2: it has no newline"), "{cut:?}");
    assert!(
        cut.err.contains("other.txt: skipped: expected annotated CSV or line protocol"),
        "{cut:?}"
    );
    let none = silt(folder.path(), "import influx other.txt -o none.db");
    assert!(none.code == 2 && !folder.path().join("none.db").exists(), "{none:?}");
}

/// Goal: a dry run names every line that cannot be read; an import says how many, and names the first.
#[test]
fn a_dry_run_names_all_bad_lines() {
    let folder = tempfile::tempdir().unwrap();
    let lines = (0..9).map(|n| format!("cpu a={} {}\n", ["1", "x"][n % 2], 1_715_201_400 + n));
    std::fs::write(folder.path().join("cpu.lp"), lines.collect::<String>()).unwrap();
    let named = |more: &str| {
        let ran = silt(folder.path(), &format!("import influx cpu.lp --time-unit s {more}"));
        assert_eq!(ran.code, 3, "{ran:?}");
        [2, 4, 6, 8].map(|line| ran.err.contains(&format!("line {line}: ")))
    };
    assert_eq!(named("--dry-run"), [true; 4]);
    assert_eq!(named("-o plant.db"), [true, true, true, false]);
}
