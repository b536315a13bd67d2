//! `runs`, `compare`, `show`, `split`, `delete`, and what takes experiments beside runs.

use std::path::Path;

use serde_json::json;
use siltstone::Array;
use siltstone::experiment::{Cell, ExperimentDatabase, SimulationOptions};
use siltstone_needs::needs;

use crate::silt::{shared, silt, silt_with};

/// A sweep of three simulations, the last of which failed.
fn sweep(folder: &Path, name: &str, experiment: &str) {
    let db = ExperimentDatabase::open(folder.join(name), experiment).unwrap();
    for run in 0..3 {
        let parameters = json!({"rate": f64::from(run) / 10.0, "kind": "walk"});
        let options = SimulationOptions::default().parameters(&parameters).unwrap();
        let sim = db.create_simulation_context(&format!("{experiment}_{run}"), options).unwrap();
        let none: [[Cell<'_>; 4]; 0] = [];
        for step in 0..20 {
            let mut agent = [Cell::Null; 10];
            (agent[0], agent[8]) = (Cell::Text("a"), Cell::Float(f64::from(run)));
            let total = Cell::Int(10 + step * i64::from(run));
            sim.log_step(step, [agent], none, &[("total_agents", total)]).unwrap();
        }
        if run == 2 { sim.fail("it \u{1b}[31mbroke") } else { sim.complete() }.unwrap();
    }
}

/// Goal: simulations are listed, compared and shown, for the eye and as JSON; names from a file do not steer the terminal.
#[test]
fn simulations_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    sweep(here, "a.db", "exp");
    let text = silt(here, "runs list a.db --format table").ok();
    for part in ["exp_0", "failed", "rate", "total_agents", "48", "█"] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains("walk"), "what is the same in all is left out\n{text}");
    let found = silt(here, "runs list a.db --json --where params.rate>0.05").json();
    assert_eq!(found["simulations"].as_array().unwrap().len(), 2);
    assert_eq!(found["simulations"][1]["parameters"]["rate"], json!(0.2));
    let compared = silt(
        here,
        "runs compare a.db --metric total_agents --metric agent_states.total_reward --at mean --json",
    );
    let expected = json!({"simulation_id": "exp_1", "rate": 0.1, "total_agents": 19.5, "agent_states.total_reward": 1.0});
    assert_eq!(compared.json()[1], expected);
    let less = silt(here, "runs compare a.db exp_0 exp_2 --json").json();
    assert_eq!(
        (&less[0]["metric"], &less[0]["final_difference"]),
        (&json!("total_agents"), &json!(38.0))
    );
    let text = silt(here, "runs show a.db exp_2").ok();
    assert!(
        text.contains("failed") && text.contains("rate = 0.2") && text.contains("agent_states"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text}");
    let shown = silt(here, "runs show a.db exp_2 --json").json();
    assert_eq!(shown["metrics"]["total_agents"]["values"][19], json!(48.0));
    let info = silt(here, "info a.db --json").json();
    assert_eq!(info["experiments"]["simulations"], json!({"completed": 2, "failed": 1}));
    let missing = silt(here, "runs show a.db nobody");
    assert_eq!(missing.code, 2, "{missing:?}");
    let wrong = silt(here, "runs list a.db --where speed>1");
    assert!(wrong.code == 2 && wrong.err.contains("got \"speed\"; there are:"), "{wrong:?}");
    let at = silt(here, "runs compare a.db --at middle");
    assert!(at.code == 2 && at.err.contains("final, mean"), "{at:?}");
}

/// Goal: `show` names the arrays of a run, and has no mean of a metric without values.
#[test]
fn arrays_and_metrics_without_values_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let db = ExperimentDatabase::open(here.join("a.db"), "exp").unwrap();
    let sim = db.create_simulation_context("r0", Default::default()).unwrap();
    let none = [("name", Cell::Text("nothing")), ("time_ms", Cell::Int(1))];
    sim.log("simulation_metrics", 0, &none).unwrap();
    sim.log_metric("nan", f64::NAN, Some(0)).unwrap();
    for step in 0..3 {
        let weights = Array::from_slice(&[0.5f32; 6]).reshape(vec![2, 3]).unwrap();
        sim.log_array("weights", step, &weights).unwrap();
    }
    sim.log_array("weights", 7, &Array::from_slice(&[1i64])).unwrap();
    let grid = Array::from_slice(&[0.5f64]).reshape(vec![1, 1]).unwrap();
    (0..2).for_each(|step| sim.log_array("grid", step, &grid).unwrap());
    sim.complete().unwrap();
    drop(db);
    let lines: Vec<String> = silt(here, "runs show a.db r0")
        .ok()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for line in [
        "nothing 0 - - -",
        "nan 1 NaN NaN -",
        "weights 4 2 dtypes 2 shapes 0 7",
        "grid 2 <f8 [1, 1] 0 1",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line}: {lines:#?}");
    }
    let arrays = silt(here, "runs show a.db r0 --json").json()["arrays"].clone();
    let expected = json!([
        {"name": "grid", "dtype": "<f8", "shape": [1, 1], "count": 2, "first_step": 0, "last_step": 1},
        {"name": "weights", "dtype": "<f4", "shape": [2, 3], "count": 3, "first_step": 0, "last_step": 2},
        {"name": "weights", "dtype": "<i8", "shape": [1], "count": 1, "first_step": 7, "last_step": 7},
    ]);
    assert_eq!(arrays, expected);
}

/// Goal: every number of a parameter, result or metric is in an answer as it was: integers with all digits, and what JSON
/// does not have as a text, never as a blank or an object of ours.
#[test]
fn every_number_is_answered_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let db = ExperimentDatabase::open(here.join("a.db"), "exp").unwrap();
    for (run, text) in [
        r#"{"odd": 9007199254740993, "u64": 9223372036854775813, "x": NaN, "wide": 18446744073709551616, "mix": 0.5}"#,
        r#"{"odd": -1, "u64": 1, "x": -Infinity, "wide": Infinity, "mix": 9007199254740993, "deep": {"x": NaN}}"#,
    ]
    .into_iter()
    .enumerate()
    {
        let options = SimulationOptions::default().parameters_json(text).unwrap();
        let sim = db.create_simulation_context(&format!("r{run}"), options).unwrap();
        sim.log_metric("loss", if run == 0 { f64::NAN } else { f64::INFINITY }, None).unwrap();
        sim.complete().unwrap();
    }
    drop(db);
    let runs = silt(here, "runs list a.db --json").json()["simulations"].clone();
    let expected = json!({"odd": 9007199254740993_i64, "u64": 9223372036854775813_u64, "x": "NaN",
        "wide": "18446744073709551616", "mix": 0.5});
    assert_eq!(runs[0]["parameters"], expected);
    assert_eq!(runs[1]["parameters"]["deep"], json!({"x": "NaN"}));
    assert_eq!(silt(here, "runs show a.db r0 --json").json()["simulation"]["parameters"], expected);
    assert_eq!(
        silt(here, "runs show a.db r1 --json").json()["metrics"]["loss"]["values"],
        json!(["Infinity"])
    );
    let compared = silt(here, "runs compare a.db --metric loss --json").json();
    let expected = [
        ("odd", json!(9007199254740993_i64)),
        ("u64", json!(9223372036854775813_u64)),
        ("x", json!("NaN")),
        ("wide", json!("18446744073709551616")),
        ("mix", json!("0.5")),
        ("loss", json!("NaN")),
    ];
    for (name, value) in expected {
        assert_eq!(compared[0][name], value, "{name}");
    }
    assert_eq!(
        (&compared[1]["x"], &compared[1]["wide"], &compared[1]["mix"], &compared[1]["loss"]),
        (&json!("-Infinity"), &json!("Infinity"), &json!("9007199254740993"), &json!("Infinity"))
    );
    let table = silt(here, "runs compare a.db --metric loss --format csv").ok();
    assert!(table.contains("9007199254740993") && table.contains("NaN"), "{table}");
    let sql = silt_with(here, "query a.db --json", "SELECT 9e999 AS up, -9e999 AS down").json();
    assert_eq!(sql, json!([{"up": "Infinity", "down": "-Infinity"}]));
}

/// Goal: files are merged, split, compacted, exported and cleaned up; a conflict is reported by the exit code.
#[test]
fn simulations_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    sweep(here, "a.db", "exp");
    sweep(here, "b.db", "other");
    let merged = silt(here, "merge a.db b.db -o all.db --json").json();
    assert_eq!(merged["copied"].as_array().unwrap().len(), 6);
    assert_eq!(
        silt(here, "merge a.db b.db -o all.db --json").json()["unchanged"]
            .as_array()
            .unwrap()
            .len(),
        6
    );
    let compacted = silt(here, "compact all.db --simulation exp_1 --json").json();
    assert_eq!((&compacted["rows"], &compacted["simulations"]), (&json!(40), &json!(["exp_1"])));
    assert_eq!(silt(here, "compact all.db --json").json()["rows"], json!(200));
    silt(here, "verify all.db").ok();
    let rows =
        silt_with(here, "query all.db --json", "SELECT count(*) AS n FROM agent_states").json();
    assert_eq!(rows, json!([{"n": 120}]));
    silt(here, "runs split all.db other_0 other_1 -o part.db").ok();
    assert_eq!(
        silt(here, "runs list part.db --json").json()["simulations"].as_array().unwrap().len(),
        2
    );
    let files =
        silt(here, "export all.db -o out --table agent_states --simulation exp_0 --json").json();
    assert_eq!(files["files"].as_array().unwrap().len(), 1);
    assert!(
        here.join("out/agent_states/experiment_id=exp/simulation_id=exp_0/part-0.parquet")
            .is_file()
    );
    let dry = silt(here, "runs delete all.db --where status='failed' --dry-run --json").json();
    assert_eq!(dry["deleted"], json!(["exp_2", "other_2"]));
    silt(here, "runs delete all.db exp_0").ok();
    assert_eq!(silt(here, "runs delete all.db").code, 2, "nothing says which");
    assert_eq!(silt(here, "runs delete all.db exp_1 nobody").code, 2);
    assert_eq!(
        silt(here, "runs list all.db --json").json()["simulations"].as_array().unwrap().len(),
        5
    );
    // Another simulation under a name that is there.
    sweep(here, "c.db", "other");
    let conflict = silt(here, "merge c.db -o all.db");
    assert!(conflict.code == 3 && conflict.err.contains("other_0"), "{conflict:?}");
}

/// Goal: what a filter deletes is told of how many, and all simulations of a file go only with --yes.
#[test]
fn a_filter_of_all_simulations_deletes_with_yes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    sweep(here, "a.db", "exp");
    let count = || {
        let runs = silt(here, "runs list a.db --json").json();
        runs["simulations"].as_array().unwrap().len()
    };
    let dry = silt(here, "runs delete a.db --where params.rate>=0 --dry-run");
    assert!(dry.code == 0 && dry.err.contains("3 of 3 simulations would be deleted"), "{dry:?}");
    for filter in ["--where params.rate>=0", "--keep-last 0"] {
        let all = silt(here, &format!("runs delete a.db {filter}"));
        assert!(all.code == 2 && all.err.contains("--yes"), "{all:?}");
        assert_eq!(count(), 3);
    }
    let one = silt(here, "runs delete a.db --where params.rate>0.15");
    assert!(one.code == 0 && one.err.contains("1 of 3 simulations deleted"), "{one:?}");
    assert_eq!(count(), 2);
    let typo = silt(here, "runs delete a.db --where params.rat>=0 --yes");
    assert!(typo.code == 2 && typo.err.contains("near it: params.rate"), "{typo:?}");
    let all = silt(here, "runs delete a.db --where params.rate>=0 --yes --json").json();
    assert_eq!((&all["of"], count()), (&json!(2), 0));
}

/// Goal: a database of AgentFarm becomes one of ours by a command.
#[needs(shared)]
#[test]
fn an_agentfarm_database_is_imported() {
    let source = shared("data/experiment").join("agents.db");
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::copy(&source, here.join("old.db")).unwrap();
    let dry = silt(here, "import experiment old.db --dry-run --json").json();
    assert!(silt(here, "import experiment old.db --dry-run").ok().contains("nothing was written"));
    let report = silt(here, "import experiment old.db -o new.db --json").json();
    assert_eq!(dry["sources"], report["sources"]);
    assert_eq!(report["sources"][0]["simulations"], json!(["sim_000", "sim_001", "sim_002"]));
    assert!(silt(here, "import experiment old.db -o new.db").ok().contains("3 unchanged"));
    assert_eq!(silt(here, "import experiment none.db -o new.db").code, 2);
    let final_agents = silt(here, "runs compare new.db --metric total_agents --json").json();
    assert_eq!(final_agents[2]["total_agents"], json!(5.0));
}

/// Goal: runs are imported as rows, which SQLite alone reads, or into blocks if that is asked for; what they say is the same.
#[test]
fn runs_are_imported_as_rows_or_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let run = here.join("mlruns/0/a1");
    std::fs::create_dir_all(run.join("metrics")).unwrap();
    for (name, text) in [
        ("../meta.yaml", "experiment_id: '0'\nname: Default\n"),
        ("meta.yaml", "run_id: a1\nstatus: 3\nstart_time: 0\nend_time: 5\n"),
        ("metrics/loss", "1 0.5 0\n2 0.25 1\n"),
    ] {
        std::fs::write(run.join(name), text).unwrap();
    }
    let asked =
        |file: &str, sql: &str| silt_with(here, &format!("query {file} --format csv"), sql).ok();
    for (words, file, blocks) in [("", "rows.db", 0), ("--compact", "blocks.db", 1)] {
        let said = silt(here, &format!("import mlflow mlruns -o {file} {words}")).ok();
        assert!(said.contains("1 run imported, 0 continued, 0 unchanged; 2 records"), "{said}");
        let points =
            asked(file, "SELECT step_number, name, value, time_ms FROM simulation_metrics");
        assert_eq!(points, "step_number,name,value,time_ms\n0,loss,0.5,1\n1,loss,0.25,2\n");
        let found = asked(file, "SELECT count(*) FROM record_block");
        assert_eq!(found, format!("count(*)\n{blocks}\n"));
    }
    let again = silt(here, "import mlflow mlruns -o rows.db --compact").ok();
    assert!(again.contains("0 continued, 1 unchanged; 0 records"), "{again}");
    let left = asked("rows.db", "SELECT count(*) FROM simulation_metrics_rows");
    assert_eq!(left, "count(*)\n0\n");
}

/// Goal: runs that have names show them beside their ids.
#[test]
fn names_of_runs_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let db = ExperimentDatabase::open(here.join("a.db"), "exp").unwrap();
    for (id, facts) in [("r0", json!({"run_name": "calm-fox"})), ("r1", json!({}))] {
        let options = SimulationOptions::default()
            .parameters(&json!({ "name": id }))
            .unwrap()
            .facts(facts.as_object().unwrap().clone());
        db.create_simulation_context(id, options).unwrap().complete().unwrap();
    }
    db.close().unwrap();
    let listed = silt(here, "runs list a.db --format csv").ok();
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("simulation,name,status,steps,rows,params.name"), "{listed}");
    assert!(lines[1].starts_with("r0,calm-fox,completed"), "{listed}");
    assert!(lines[2].starts_with("r1,,completed"), "{listed}");
}

/// Goal: a table says which parameters have no column; CSV and JSON rows have all that differ, objects too, and no name twice.
#[test]
fn no_parameter_is_left_out_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let db = ExperimentDatabase::open(here.join("a.db"), "exp").unwrap();
    for run in 0..2 {
        let mut parameters =
            json!({"model": {"layers": run}, "steps": run, "total_agents": run, "metric.x": run});
        (0..10).for_each(|i| parameters[format!("p{i}")] = json!(run));
        let options = SimulationOptions::default().parameters(&parameters).unwrap();
        let sim = db.create_simulation_context(&format!("exp_{run}"), options).unwrap();
        let none: [[Cell<'_>; 4]; 0] = [];
        let agent = [Cell::Null; 10];
        let mut agent = agent;
        agent[0] = Cell::Text("a");
        sim.log_step(0, [agent], none, &[("total_agents", Cell::Int(7))]).unwrap();
        sim.complete().unwrap();
    }
    db.close().unwrap();
    let table = silt(here, "runs list a.db --format table").ok();
    let last = table.lines().last().unwrap();
    assert!(
        last.starts_with("and 6 more: ") && last.contains("model") && last.contains("p9"),
        "{table}"
    );
    let csv = silt(here, "runs list a.db --format csv").ok();
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut names = header.clone();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), header.len(), "{csv}");
    for name in [
        "model",
        "params.steps",
        "steps",
        "params.total_agents",
        "total_agents",
        "params.metric.x",
        "p9",
    ] {
        assert!(names.contains(&name), "{name} is not in {csv}");
    }
    assert!(lines.next().unwrap().contains("layers"), "{csv}");
    let rows = silt(here, "runs list a.db --format json").json();
    assert_eq!(
        (&rows[1]["model"], &rows[1]["steps"], &rows[1]["params.steps"]),
        (&json!({"layers": 1}), &json!(1), &json!(1))
    );
    let compared = silt(here, "runs compare a.db --metric total_agents --format csv").ok();
    let header: Vec<&str> = compared.lines().next().unwrap().split(',').collect();
    assert!(
        header.contains(&"params.total_agents") && header.contains(&"total_agents"),
        "{compared}"
    );
}

/// Goal: an empty filter and half a day are refused with what is expected, and nothing is deleted.
#[test]
fn empty_filters_and_half_days_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    sweep(here, "a.db", "exp");
    for (command, last, part) in [
        ("runs delete a.db --yes --where", "", "the filter: expected SQL's WHERE"),
        ("runs list a.db --where", " ", "the filter: expected SQL's WHERE"),
        ("runs delete a.db --yes --keep-days", "0.5", "expected a whole number of days, as 30"),
    ] {
        let ran = silt_with(here, command, last);
        assert!(ran.code == 2 && ran.err.contains(part), "{command}: {ran:?}");
    }
    let runs = silt(here, "runs list a.db --json").json();
    assert_eq!(runs["simulations"].as_array().unwrap().len(), 3);
}
