//! Runs of other trackers, imported into column blocks.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use siltstone::experiment::trackers::{Kind, Options, Report, import};
use siltstone::{Database, Error, Value};

use crate::trackers::{content, imported, info, points, rows, text};

fn compacted(kind: Kind, source: &Path, target: &Path) -> Report {
    let target = Database::builder(target).open().unwrap();
    import(source, &target, &Options::new(kind).compact(true), &mut |_, _| Ok(())).unwrap()
}

/// How many rows of a table are in blocks, and how many are not.
fn places(file: &Path, table: &str) -> (i64, i64) {
    let one = |sql: &str| match rows(file, sql)[0][0] {
        Value::Integer(n) => n,
        _ => 0,
    };
    let blocks = format!(
        "SELECT sum(b.rows) FROM record_block b JOIN record_table t ON t.id = b.record_table WHERE t.name = '{table}'"
    );
    (one(&blocks), one(&format!("SELECT count(*) FROM {table}_rows")))
}

/// Imports a source both ways: the same reports, rows and simulations, and a second import changes nothing.
pub(crate) fn same_in_blocks(kind: Kind, source: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let (plain, packed) = (folder.path().join("plain.db"), folder.path().join("packed.db"));
    let said = imported(kind, source, &plain);
    assert_eq!(compacted(kind, source, &packed), said);
    let all = |file: &Path| {
        let tables = ["simulation_metrics", "metric_points", "texts", "histograms"];
        let mut all = Vec::new();
        for table in tables.iter().filter(|table| has_table(file, table)) {
            let sql = format!("SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5");
            all.push((*table, rows(file, &sql)));
        }
        let facts = "SELECT simulation_id, status, parameters, results_summary, provenance FROM simulations ORDER BY 1";
        all.push(("simulations", rows(file, facts)));
        // SQLite has no -0.0 in a row.
        format!("{all:?}").replace("Real(-0.0)", "Real(0.0)")
    };
    let (in_blocks, in_rows) = (all(&packed), all(&plain));
    let same = in_blocks.bytes().zip(in_rows.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| {
        let end = text.len().min(same + 80);
        String::from_utf8_lossy(&text.as_bytes()[same.saturating_sub(40)..end]).into_owned()
    };
    assert!(in_blocks == in_rows, "{} in place of {}", around(&in_blocks), around(&in_rows));
    let before = content(&packed);
    assert_eq!(compacted(kind, source, &packed).rows, 0);
    assert_eq!(content(&packed), before, "a second import changed the file");
    assert!(Database::builder(&packed).open_read_only().unwrap().verify().unwrap().is_ok());
}

fn has_table(file: &Path, table: &str) -> bool {
    !rows(file, &format!("SELECT 1 FROM record_table WHERE name = '{table}'")).is_empty()
}

fn write(path: impl AsRef<Path>, text: &str) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A run of MLflow with more points than a block has, floats that SQLite cannot hold, and steps below 0 and twice.
fn run(root: &Path, id: &str, status: u8, points: i64) {
    let meta = format!("run_id: {id}\nstatus: {status}\nstart_time: 0\nend_time: 5\n");
    write(root.join("0/meta.yaml"), "experiment_id: '0'\nname: Default\n");
    write(root.join("0").join(id).join("meta.yaml"), &meta);
    for (metric, odd) in [("loss", "nan"), ("val/acc", "-0.0"), ("x", "inf")] {
        let mut lines = String::new();
        for step in 0..points {
            let value =
                if step % 7 == 3 { odd.into() } else { format!("{:?}", 1.0 / (step as f64 + 0.5)) };
            writeln!(lines, "{} {value} {step}", 1_700_000_000_000 + step * 3).unwrap();
        }
        lines.push_str("5 0.5 -3\n1800000000000 2.5 0\n");
        write(root.join("0").join(id).join("metrics").join(metric), &lines);
    }
}

/// Goal: points of many blocks, with all that floats can be, come back as rows do; a run that goes on stays rows.
#[test]
fn points_in_blocks_are_those_of_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (root, file) = (folder.path().join("mlruns"), folder.path().join("runs.db"));
    run(&root, "over", 3, 20_000);
    run(&root, "failed", 4, 3);
    run(&root, "running", 1, 5);
    same_in_blocks(Kind::Mlflow, &root);
    compacted(Kind::Mlflow, &root, &file);
    assert_eq!(places(&file, "simulation_metrics"), (60_009, 15));
    // Of each metric the point of a step below 0, and the first of two at step 0.
    assert_eq!(places(&file, "metric_points"), (12, 6));
    let nan = points(&file, "over", "loss")[3];
    assert!(f64::from_bits(nan.1).is_nan() && nan.2 == Some(1_700_000_000_009));
    assert_eq!(points(&file, "over", "val/acc")[3].1, (-0.0f64).to_bits());
}

/// Goal: a run that grew and is over since, and one that was imported as rows, are in blocks after an import that asks for it.
#[test]
fn what_grew_and_what_was_rows_is_compacted_too() {
    let folder = tempfile::tempdir().unwrap();
    let (root, file) = (folder.path().join("mlruns"), folder.path().join("runs.db"));
    run(&root, "a", 1, 5);
    run(&root, "b", 3, 5);
    imported(Kind::Mlflow, &root, &file);
    let first = compacted(Kind::Mlflow, &root, &file);
    assert_eq!((first.unchanged.len(), first.rows), (2, 0));
    assert_eq!(places(&file, "simulation_metrics"), (15, 15), "a goes on, b is over");
    run(&root, "a", 3, 9);
    let grown = compacted(Kind::Mlflow, &root, &file);
    assert_eq!((grown.continued, grown.rows), (vec!["a".to_owned()], 12));
    assert_eq!(places(&file, "simulation_metrics"), (42, 0));
    run(&root, "a", 3, 11);
    let grown = compacted(Kind::Mlflow, &root, &file);
    assert_eq!((grown.rows, points(&file, "a", "x").len()), (6, 11), "beside blocks");
    assert_eq!(places(&file, "simulation_metrics"), (48, 0));
    assert_eq!(info(&file, "a").status, "completed");
    same_in_blocks(Kind::Mlflow, &root);
}

/// Goal: an import that is interrupted ends with the error and keeps whole runs, though the next one is read already; the same
/// call takes the others.
#[test]
fn an_interrupted_import_keeps_whole_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (root, file) = (folder.path().join("mlruns"), folder.path().join("runs.db"));
    (0..9).for_each(|n| run(&root, &format!("run{n}"), 3, 50));
    static STOP: AtomicBool = AtomicBool::new(false);
    let target = Database::builder(&file).open().unwrap();
    let options = Options::new(Kind::Mlflow);
    let stopped = siltstone::interruptible(
        || STOP.load(Ordering::Relaxed),
        || {
            import(&root, &target, &options, &mut |done, _| {
                if done == 4 {
                    STOP.store(true, Ordering::Relaxed);
                    std::thread::sleep(std::time::Duration::from_millis(100)); // it is asked 20 times a second
                }
                Ok(())
            })
        },
    );
    assert!(matches!(stopped, Err(Error::Interrupted { .. })), "{stopped:?}");
    let refused = import(&root, &target, &options, &mut |done, _| match done {
        6 => Err(Error::Invalid {
            what: "the progress".into(),
            expected: "no end".into(),
            got: "one".into(),
        }),
        _ => Ok(()),
    });
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    let sql = "SELECT count(*), min(n), max(n) FROM (SELECT count(*) AS n FROM simulation_metrics GROUP BY simulation_id)";
    let counts: Vec<String> = target.sql(sql).unwrap().rows[0].iter().map(text).collect();
    assert_eq!(counts, ["6", "150", "150"]);
    let rest = import(&root, &target, &options, &mut |_, _| Ok(())).unwrap();
    assert_eq!((rest.unchanged.len(), rest.imported.len()), (6, 3));
}
