//! Runs of NetLogo's BehaviorSpace: both layouts, what is damaged in them, and what grows.

use std::fs;
use std::path::{Path, PathBuf};

use siltstone::Database;
use siltstone::experiment::ExperimentDatabase;
use siltstone::experiment::trackers::{Kind, Options, import};

use crate::trackers::{content, imported, info, points, rows, text};
use crate::trackers_compact::same_in_blocks;

fn head(kind: &str) -> String {
    format!(
        "\"BehaviorSpace results (NetLogo 6.4.0)\",\"{kind} version 2.0\"\n\"Fire, \"\"simple\"\".nlogo\"\n\"sweep\"\n\
         \"05/08/2024 20:50:00:123 +0200\"\n\"min-pxcor\",\"max-pxcor\",\"min-pycor\",\"max-pycor\"\n\"-17\",\"17\",\"-17\",\"17\"\n"
    )
}

/// Two runs, their lines mixed, as several threads write them.
const TABLE: &str = "\
\"[run number]\",\"density\",\"mode\",\"wind?\",\"[step]\",\"burned\",\"[xcor] of turtles\",\"state\",\"done?\"\n\
\"2\",\"0.75\",\"tall, \"\"dry\"\"\",\"true\",\"0\",\"0\",\"[]\",\"calm\",\"false\"\n\
\"1\",\"57\",\"low\",\"false\",\"0\",\"1.5E-7\",\"[0.5 -1]\",\"calm\",\"false\"\n\
\"1\",\"57\",\"low\",\"false\",\"1\",\"-3\",\"[(turtle 1) 2]\",\"two\nlines\",\"true\"\n\
\"2\",\"0.75\",\"tall, \"\"dry\"\"\",\"true\",\"1\",\"4\",\"[7]\",\"\",\"true\"\n";

/// The same two runs.
const SPREADSHEET: &str = "\
\"[run number]\",\"1\",\"1\",\"1\",\"1\",\"1\",\"2\",\"2\",\"2\",\"2\",\"2\"\n\
\"density\",\"57\",,,,,\"0.75\",,,,\n\
\"mode\",\"low\",,,,,\"tall, \"\"dry\"\"\",,,,\n\
\"wind?\",\"false\",,,,,\"true\",,,,\n\
\"[reporter]\",\"[step]\",\"burned\",\"[xcor] of turtles\",\"state\",\"done?\",\"[step]\",\"burned\",\"[xcor] of turtles\",\"state\",\"done?\"\n\
\"[final]\",\"1\",\"-3\",\"[]\",\"calm\",\"true\",\"1\",\"4\",\"[7]\",\"\",\"true\"\n\
\"[min]\",\"0\",\"-3\",,,,\"0\",\"0\",,,\n\
\"[total steps]\",\"1\",,,,,\"1\",,,,\n\
\n\
\"[all run data]\",\"[step]\",\"burned\",\"[xcor] of turtles\",\"state\",\"done?\",\"[step]\",\"burned\",\"[xcor] of turtles\",\"state\",\"done?\"\n\
,\"0\",\"1.5E-7\",\"[0.5 -1]\",\"calm\",\"false\",\"0\",\"0\",\"[]\",\"calm\",\"false\"\n\
,\"1\",\"-3\",\"[(turtle 1) 2]\",\"two\nlines\",\"true\",\"1\",\"4\",\"[7]\",\"\",\"true\"\n";

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        World(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("runs.db")
    }

    fn source(&self, content: &str) -> PathBuf {
        let path = self.0.path().join("results.csv");
        fs::write(&path, content).unwrap();
        path
    }
}

/// What a file says of a run, but its status.
fn run(file: &Path, id: &str) -> String {
    let info = info(file, id);
    let db = ExperimentDatabase::open_read_only(file).unwrap();
    let arrays: Vec<String> = [0, 1]
        .into_iter()
        .filter_map(|step| db.array(id, "[xcor] of turtles", Some(step)).ok())
        .map(|array| format!("{:?}", array.1.to_vec::<f64>().unwrap()))
        .collect();
    let sql = "SELECT step, name, text FROM texts WHERE simulation_id = '?' ORDER BY 1, 2";
    let texts = rows(file, &sql.replace('?', id));
    let texts: Vec<String> =
        texts.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" ")).collect();
    let metrics = ["burned", "done?"].map(|name| points(file, id, name));
    format!("{:?} {metrics:?} {arrays:?} {texts:?}", info.parameters)
}

/// Goal: both layouts give the same runs: parameters, numbers to the bit, booleans, lists and texts.
#[test]
fn runs_of_both_layouts_are_the_same() {
    let world = World::new();
    let table = world.source(&(head("Table") + TABLE));
    let report = imported(Kind::Netlogo, &table, &world.file());
    assert_eq!(report.imported, ["sweep/1", "sweep/2"]);
    same_in_blocks(Kind::Netlogo, &table);
    assert_eq!((report.skipped.len(), report.notes.len()), (0, 0), "{report:?}");
    assert_eq!((report.found.points, report.found.arrays, report.found.texts), (8, 2, 5));
    assert!(
        report.understood.starts_with(
            "a table of NetLogo's BehaviorSpace (NetLogo 6.4.0), experiment \"sweep\""
        )
    );
    let one = info(&world.file(), "sweep/1");
    assert_eq!((one.status.as_str(), one.experiment_id.as_deref()), ("unknown", Some("sweep")));
    assert_eq!(one.provenance["model"], "Fire, \"simple\".nlogo");
    assert_eq!(one.provenance["world"]["max-pxcor"], 17);
    let own = run(&world.file(), "sweep/1");
    for part in [
        "57",
        "low",
        "false",
        "[0.5, -1.0]",
        "1 [xcor] of turtles [(turtle 1) 2]",
        "1 state two\\nlines",
    ] {
        assert!(own.contains(part), "{part} in {own}");
    }
    assert_eq!(points(&world.file(), "sweep/1", "burned")[0].1, 1.5e-7f64.to_bits());
    assert!(run(&world.file(), "sweep/2").contains("tall, \\\"dry\\\""));
    let other = World::new();
    let sheet = other.source(&(head("Spreadsheet") + SPREADSHEET));
    let report = imported(Kind::Netlogo, &sheet, &other.file());
    assert_eq!((report.imported.len(), report.skipped.len()), (2, 0), "{report:?}");
    for id in ["sweep/1", "sweep/2"] {
        assert_eq!(run(&other.file(), id), run(&world.file(), id));
    }
    let one = info(&other.file(), "sweep/1");
    assert_eq!(
        (one.status.as_str(), &one.results_summary["total_steps"]),
        ("completed", &1.into())
    );
    let sheet = world.source(&(head("Spreadsheet") + SPREADSHEET));
    let later = imported(Kind::Netlogo, &sheet, &world.file());
    assert_eq!((later.continued.len(), later.rows, later.skipped.len()), (2, 0, 0), "{later:?}");
    assert_eq!(later.changed, [("status".to_owned(), 2), ("results".to_owned(), 2)]);
    // NetLogo 7.0.3 leaves out quotes in the first line.
    let seven = head("Table").replace(
        "\"BehaviorSpace results (NetLogo 6.4.0)\",",
        "BehaviorSpace results (NetLogo 7.0.3), ",
    );
    let world = World::new();
    let report = imported(Kind::Netlogo, &world.source(&(seven + TABLE)), &world.file());
    assert_eq!(report.imported.len(), 2, "{report:?}");
}

/// Goal: a second import changes nothing, a table that grows goes on, and what is cut waits for the next import.
#[test]
fn a_table_may_grow() {
    let (world, once) = (World::new(), World::new());
    let whole = head("Table") + TABLE;
    imported(Kind::Netlogo, &once.source(&whole), &once.file());
    for end in (head("Table").len() + 100..whole.len()).step_by(5).chain([whole.len()]) {
        let source = world.source(&whole[..end]);
        let report = imported(Kind::Netlogo, &source, &world.file());
        let is_cut = !whole[..end].ends_with('\n');
        assert!(
            !is_cut || report.notes[0].contains("the last line has no end"),
            "{end}: {report:?}"
        );
    }
    let before = content(&world.file());
    let again = imported(Kind::Netlogo, &world.source(&whole), &world.file());
    assert_eq!((again.unchanged.len(), again.rows), (2, 0));
    assert_eq!(content(&world.file()), before);
    for id in ["sweep/1", "sweep/2"] {
        assert_eq!(run(&world.file(), id), run(&once.file(), id));
    }
    // A list that is another one now stays as it is, and is named.
    let other = world.source(&whole.replace("[0.5 -1]", "[0.5 -2]"));
    let report = imported(Kind::Netlogo, &other, &world.file());
    assert_eq!((report.unchanged.len(), report.skipped.len()), (2, 1), "{report:?}");
    let why = "run sweep/1: the array [xcor] of turtles at step 0: other items";
    assert!(report.skipped[0].reason.starts_with(why), "{report:?}");
    assert_eq!(content(&world.file()), before);
    // Another experiment of the same name is not mixed with it.
    let other = world.source(&whole.replace("20:50", "21:50"));
    let report = imported(Kind::Netlogo, &other, &world.file());
    assert!(report.skipped.len() == 2 && report.skipped[0].reason.contains("origin"), "{report:?}");
    assert_eq!(content(&world.file()), before);
}

/// Goal: a spreadsheet is written at once, so that one that is cut is damaged: that is skipped and named, and no run of it is complete.
#[test]
fn a_cut_spreadsheet_is_damaged() {
    let world = World::new();
    let whole = head("Spreadsheet") + SPREADSHEET;
    let cut = whole.trim_end().rfind('\n').unwrap() + 5;
    let report = imported(Kind::Netlogo, &world.source(&whole[..cut]), &world.file());
    let other = World::new();
    let headless = other.source(&whole[..whole.find("\n\n").unwrap() + 2]);
    assert_eq!(imported(Kind::Netlogo, &headless, &other.file()).skipped.len(), 1);
    let mut reasons = report.skipped.iter().map(|skipped| &skipped.reason);
    assert!(reasons.any(|why| why.contains("points of its runs are missing")), "{report:?}");
    assert_eq!(info(&world.file(), "sweep/1").status, "unknown");
}

/// Goal: of one run, step and name no value is lost in silence: a step that comes again is named, names of reporters are numbered.
#[test]
fn nothing_comes_twice() {
    for (kind, whole, again) in [
        ("Table", TABLE, "\"1\",\"57\",\"low\",\"false\",\"1\",\"8\",\"\",\"\",\"\"\n"),
        ("Spreadsheet", SPREADSHEET, ",\"1\",\"8\",\"\",\"\",\"\",\"2\",\"5\",\"\",\"\",\"\"\n"),
    ] {
        let world = World::new();
        let twice = head(kind) + &whole.replace("\"done?\"", "\"burned\"") + again;
        let report = imported(Kind::Netlogo, &world.source(&twice), &world.file());
        let said = report.skipped[0].to_string();
        assert!(
            said.contains("1 row of the table") && said.contains("the step 1 of the run 1 again"),
            "{said}"
        );
        let one = |name: &str| points(&world.file(), "sweep/1", name);
        let values = |name: &str| {
            one(name)
                .iter()
                .map(|(step, bits, _)| (*step, f64::from_bits(*bits)))
                .collect::<Vec<_>>()
        };
        assert_eq!(values("burned"), [(0, 1.5e-7), (1, -3.0)]);
        assert_eq!(values("burned_2"), [(0, 0.0), (1, 1.0)]);
    }
}

/// Goal: lines that are none are named and others imported; a file that is none of the two layouts is refused by what it is.
#[test]
fn what_is_wrong_is_named() {
    let world = World::new();
    let bad = "\"1\",\"57\"\n\"x\",\"57\",\"low\",\"false\",\"2\",\"1\",\"\",\"\",\"\"\n\
        \"1\",\"57\",\"low\",\"false\",\"2.5\",\"1\",\"\",\"\",\"\"\n\"1\",\"57\",\"low\",\"false\",\"2\",\"1\"x,\"\",\"\",\"\"\n";
    let report =
        imported(Kind::Netlogo, &world.source(&(head("Table") + TABLE + bad)), &world.file());
    assert_eq!((report.imported.len(), report.skipped.len()), (2, 1), "{report:?}");
    let said = report.skipped[0].to_string();
    assert!(
        said.contains("4 rows of the table skipped: line 13: 9 fields expected, got 2"),
        "{said}"
    );
    let refusal = |content: &str| {
        let world = World::new();
        let target = Database::builder(world.file()).open().unwrap();
        let source = world.source(content);
        import(&source, &target, &Options::new(Kind::Netlogo), &mut |_, _| Ok(()))
            .unwrap_err()
            .to_string()
    };
    for (content, why) in [
        (head("Lists") + TABLE, "got \"Lists version 2.0\""),
        ("time,value\n1,2\n".into(), "results of NetLogo's BehaviorSpace, got \"time\""),
        (String::new(), "got \"\""),
        (head("Table"), "a line that begins with [run number]"),
        (head("Table") + &SPREADSHEET.replacen("\"2\"", "\"two\"", 1), "run numbers, got \"two\""),
        (
            head("Table") + &SPREADSHEET.replace("\"[step]\"", "\"burned\""),
            "a column [step] for each run",
        ),
    ] {
        let refused = refusal(&content);
        assert!(refused.contains(why), "{why}: {refused}");
    }
    // Any part of either layout is read or refused.
    for whole in [head("Table") + TABLE, head("Spreadsheet") + SPREADSHEET] {
        for at in (0..whole.len()).step_by(3) {
            let mut bytes = whole.clone().into_bytes();
            bytes[at] = b"\",\n0["[at % 5];
            let target = Database::builder(world.0.path().join("other.db")).open().unwrap();
            let source = world.source(&String::from_utf8(bytes).unwrap());
            let _ = import(&source, &target, &Options::new(Kind::Netlogo), &mut |_, _| Ok(()));
        }
    }
}
