//! Routes of the page Runs.

use serde_json::json;
use siltstone::experiment::{ExperimentDatabase, SimulationOptions};

use super::HOSTILE;
use super::server::{Running, serve};

/// Runs of a sweep, some with hostile names, a parameter that some lack, one that is text.
fn sweep() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let experiments = ExperimentDatabase::open(folder.path().join("run.db"), "sweep").unwrap();
    for run in 0..30 {
        let mut parameters = json!({ "rate": run % 3, HOSTILE: HOSTILE, "seed": (run * 7) % 30, "deep": { "size": run } });
        if run % 10 == 9 {
            parameters.as_object_mut().unwrap().remove("rate");
        }
        let options = SimulationOptions::default().parameters(&parameters).unwrap();
        let id = if run == 0 { HOSTILE.to_owned() } else { format!("run_{run}") };
        let context = experiments.create_simulation_context(&id, options).unwrap();
        for step in 0..500 {
            let value = if (run, step) == (4, 333) {
                1e6
            } else {
                f64::from(run % 3) * 100.0 + f64::from(run)
            };
            context.log_metric("loss", value, Some(step)).unwrap();
        }
        let summary = if run == 29 { json!({}) } else { json!({ "score": -run * run }) };
        experiments
            .update_simulation_status(
                context.simulation_id(),
                "completed",
                Some(&summary.to_string()),
            )
            .unwrap();
    }
    experiments.close().unwrap();
    serve(folder, "run.db", &[])
}

/// Goal: runs in groups have the mean and the range of each, and those without the parameter are said.
#[test]
fn runs_are_grouped() {
    let server = sweep();
    let found = server.get("/api/runs/groups?metric=loss&by=rate&width=50").json();
    assert_eq!(
        found["groups"],
        json!([{ "label": "0", "runs": 9 }, { "label": "1", "runs": 9 }, { "label": "2", "runs": 9 }])
    );
    assert!(found["said"].as_str().unwrap().contains("3 runs have no such parameter"), "{found}");
    let rows = found["rows"].as_array().unwrap();
    assert!(rows.len() <= 3 * 51, "{} rows", rows.len());
    // The spike of one step of one run is the greatest of its group.
    let greatest = |group: i64| {
        let of = rows.iter().filter(|row| row[0] == json!(group));
        of.filter_map(|row| row[4].as_f64()).fold(0.0, f64::max)
    };
    assert_eq!((greatest(0), greatest(1)), (27.0, 1e6));
    let exact = server.get("/api/runs/groups?metric=loss&by=rate&from=100&until=102").json();
    let first = &exact["rows"][0];
    // The runs 0, 3, ..., 27 without 9: their mean is 126 / 9.
    assert_eq!(
        (&first[1], &first[2], &first[3], &first[4]),
        (&json!(100), &json!(14.0), &json!(0.0), &json!(27.0))
    );
    assert_eq!(exact["rows"].as_array().unwrap().len(), 6);
    let filtered =
        server.get("/api/runs/groups?metric=loss&by=deep.size&where=params.seed%20%3C%203").json();
    assert_eq!(filtered["groups"].as_array().unwrap().len(), 3, "{filtered}");
    for (query, word) in [("metric=loss&by=rat", "rat"), ("metric=los&by=rate", "loss")] {
        let refused = server.get(&format!("/api/runs/groups?{query}"));
        assert!(refused.status == 404 && refused.text().contains(word), "{}", refused.text());
    }
}

/// Goal: a filter that leaves no run, or none with the parameter, gives no group and says why; it is no error.
#[test]
fn a_filter_may_leave_no_group() {
    let server = sweep();
    for (filter, sentence) in [
        ("params.seed%20%3E%201000", "no run matches"),
        ("params.rate%20IS%20NULL", "no run to group; 3 runs have no such parameter"),
    ] {
        let answer = server.get(&format!("/api/runs/groups?metric=loss&by=rate&where={filter}"));
        assert_eq!(answer.status, 200, "{filter}: {}", answer.text());
        let found = answer.json();
        assert_eq!((&found["groups"], &found["rows"]), (&json!([]), &json!([])), "{filter}");
        assert_eq!(found["said"], json!(sentence), "{filter}");
        assert_eq!((&found["first"], &found["last"]), (&json!(null), &json!(null)), "{filter}");
    }
    // A name that no run of the file has is still refused.
    let refused = server.get("/api/runs/groups?metric=loss&by=rat&where=params.seed%20%3C%200");
    assert!(refused.status == 404 && refused.text().contains("rat"), "{}", refused.text());
}

/// Goal: numbers are grouped by their value also if a run has something else in their place, and what is equal is one group.
#[test]
fn numbers_are_grouped_beside_other_values() {
    let folder = tempfile::tempdir().unwrap();
    let experiments = ExperimentDatabase::open(folder.path().join("run.db"), "sweep").unwrap();
    let same = [json!(1), json!(1.0), json!("1"), json!(0.5), json!("auto"), json!(-0.0), json!(0)];
    for run in 0..70usize {
        let rate = if run == 33 { json!("none") } else { json!(run as f64 / 10.0) };
        let parameters = json!({ "rate": rate, "same": same[run % 7] });
        let options = SimulationOptions::default().parameters(&parameters).unwrap();
        let context =
            experiments.create_simulation_context(&format!("run_{run}"), options).unwrap();
        context.log_metric("loss", 1.0, Some(1)).unwrap();
    }
    experiments.close().unwrap();
    let server = serve(folder, "run.db", &[]);
    let found = server.get("/api/runs/groups?metric=loss&by=rate").json();
    let labels: Vec<&str> = found["groups"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|group| group["label"].as_str())
        .collect();
    let ranges = ["0.0 to 1.3", "1.4 to 2.7", "2.8 to 4.2", "4.3 to 5.6", "5.7 to 6.9"];
    assert_eq!(labels, ranges);
    assert_eq!(found["said"], json!("every step; 1 run, whose value is no number, is not drawn"));
    let found = server.get("/api/runs/groups?metric=loss&by=same").json();
    assert_eq!(
        found["groups"],
        json!([
            { "label": "-0.0", "runs": 20 },
            { "label": "0.5", "runs": 10 },
            { "label": "1", "runs": 20 },
            { "label": "\"1\"", "runs": 10 },
            { "label": "auto", "runs": 10 },
        ])
    );
}

/// Goal: a parameter's rank correlation is over the runs that have it and the result, whose number is said.
#[test]
fn parameters_have_an_importance() {
    let server = sweep();
    let found = server.get("/api/runs/importance?target=results.score").json();
    assert_eq!((&found["runs"], &found["without_target"]), (&json!(30), &json!(1)));
    let rows = found["parameters"].as_array().unwrap();
    let row = |name: &str| rows.iter().find(|row| row["parameter"] == name).unwrap();
    assert_eq!(rows[0]["parameter"], "deep.size");
    assert_eq!((&row("deep.size")["rho"], &row("deep.size")["runs"]), (&json!(-1.0), &json!(29)));
    assert_eq!((&row("rate")["runs"], &row("rate")["missing"]), (&json!(27), &json!(3)));
    assert_eq!(row(HOSTILE)["why"], "no numbers");
    assert!(row("seed")["rho"].as_f64().unwrap().abs() < 0.9);
    let of_metric =
        server.get("/api/runs/importance?target=metrics.loss&where=params.rate%20%3D%200").json();
    assert_eq!((&of_metric["runs"], &of_metric["values"][1]), (&json!(9), &json!(["run_3", 3.0])));
    for (target, status) in [("results.nothing", 404), ("metrics.nothing", 404), ("score", 400)] {
        let refused = server.get(&format!("/api/runs/importance?target={target}"));
        assert_eq!(refused.status, status, "{target}: {}", refused.text());
    }
}

/// Goal: of more parameters than a list has room for the strongest come, and how many are left out is said.
#[test]
fn the_strongest_parameters_come() {
    let folder = tempfile::tempdir().unwrap();
    let experiments = ExperimentDatabase::open(folder.path().join("run.db"), "sweep").unwrap();
    for run in 0..4 {
        let own = (0..200).map(|i| (format!("of_{run}_{i}"), json!(i)));
        let both = [("rate".to_owned(), json!(run)), ("a.b".to_owned(), json!(run * run))];
        let mut parameters: serde_json::Map<String, serde_json::Value> = own.chain(both).collect();
        // A name with a dot, and the same way through an object.
        parameters.insert("a".to_owned(), json!({ "b": 0 }));
        let options = SimulationOptions::default().parameters(&json!(parameters)).unwrap();
        let context =
            experiments.create_simulation_context(&format!("run_{run}"), options).unwrap();
        let (id, summary) = (context.simulation_id(), json!({ "score": run }).to_string());
        experiments.update_simulation_status(id, "completed", Some(&summary)).unwrap();
    }
    experiments.close().unwrap();
    let server = serve(folder, "run.db", &[]);
    let found = server.get("/api/runs/importance?target=results.score").json();
    let rows = found["parameters"].as_array().unwrap();
    assert_eq!(rows.len(), 500, "{}", found["said"]);
    assert_eq!(found["said"], json!("the 500 strongest parameters, 302 are left out"));
    assert!(rows.iter().any(|row| row["parameter"] == "rate" && row["rho"] == 1.0), "{found}");
    assert!(rows.iter().any(|row| row["parameter"] == "a.b" && row["rho"] == 1.0), "{found}");
    let few = server.get("/api/runs/importance?target=results.score&where=params.rate%20=%200");
    assert_eq!(few.json()["said"], json!(""));
}

/// Goal: while another process adds and removes runs, every answer has each value at its own run, and a run that is
/// gone takes no group with it.
#[test]
fn runs_may_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let experiments = ExperimentDatabase::open(&path, "sweep").unwrap();
    let add = |run: i32| {
        let options = SimulationOptions::default().parameters(&json!({ "rate": run % 3 })).unwrap();
        let id = format!("run_{run}");
        let context = experiments.create_simulation_context(&id, options).unwrap();
        context.log_metric("loss", f64::from(run), Some(1)).unwrap();
        experiments.update_simulation_status(&id, "completed", None).unwrap();
    };
    (0..60).for_each(add);
    experiments.database().flush().unwrap();
    let server = serve(folder, "run.db", &[]);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let wrong = std::thread::scope(|scope| {
        scope.spawn(|| {
            for run in 60.. {
                if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                add(run);
                experiments.delete_simulation(&format!("run_{}", run - 60)).unwrap();
            }
        });
        let mut wrong = Vec::new();
        for _ in 0..60 {
            let grouped = server.get("/api/runs/groups?metric=loss&by=rate");
            if grouped.status != 200 {
                wrong.push(grouped.text());
            }
            let answer = server.get("/api/runs/importance?target=metrics.loss");
            // No panic: the other thread would go on for ever.
            let found: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let values = found["values"].as_array().filter(|values| values.len() > 30);
            let Some(values) = values.filter(|_| answer.status == 200) else {
                wrong.push(answer.text());
                continue;
            };
            for value in values.iter().filter(|value| !value[1].is_null()) {
                let own = format!("run_{}", value[1].as_f64().unwrap_or(f64::NAN));
                if value[0] != json!(own) {
                    wrong.push(value.to_string());
                }
            }
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        wrong
    });
    assert!(wrong.is_empty(), "{} wrong, as {:?}", wrong.len(), &wrong[..wrong.len().min(3)]);
}

/// Goal: small curves come for the runs that are asked for, with their spikes, and a bounded number at a time.
#[test]
fn small_curves_come_together() {
    let server = sweep();
    let ids = |ids: &[&str]| {
        let list = serde_json::to_string(ids).unwrap();
        list.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>()
    };
    let path = |list: &str, metric: &str| format!("/api/runs/sparks?metric={metric}&ids={list}");
    let found = server.get(&path(&ids(&["run_4", HOSTILE, "gone"]), "loss")).json();
    let sparks = found["sparks"].as_array().unwrap();
    let values = sparks[0][1].as_array().unwrap();
    assert!(values.len() <= 6 * 61 && values.contains(&json!(1e6)), "{found}");
    assert!(sparks[1].is_array() && sparks[2].is_null(), "{found}");
    assert_eq!(server.get(&path("x", "loss")).status, 400);
    let many = vec!["run_1"; 201];
    assert_eq!(server.get(&path(&ids(&many), "loss")).status, 400);
}

/// Goal: who has the list gets what has changed since, under its filter, and of another list everything.
#[test]
fn a_known_list_is_brought_up_to_date() {
    let server = sweep();
    let whole = server.get("/api/runs").json();
    let known = whole["version"].as_str().unwrap();
    let same = server.get(&format!("/api/runs?known={known}")).json();
    assert_eq!(same, json!({ "version": known, "gone": [], "come": [] }));
    let path = server.path();
    let experiments = ExperimentDatabase::open(path, "sweep").unwrap();
    experiments.delete_simulation("run_7").unwrap();
    experiments.update_simulation_status("run_9", "failed", None).unwrap();
    experiments.create_simulation_context("new", SimulationOptions::default()).unwrap();
    let now = server.get("/api/runs").json()["runs"].as_array().unwrap().clone();
    let found = server.get(&format!("/api/runs?known={known}")).json();
    assert_eq!(found["gone"], json!([7, 9]));
    assert_eq!(found["come"], json!([[8, now[8]], [29, now[29]]]));
    assert_eq!((now.len(), &now[29]["simulation_id"]), (30, &json!("new")));
    for unknown in
        ["/api/runs?known=0", "/api/runs?known=", "/api/runs?where=status%3D%27failed%27&known=0"]
    {
        assert!(server.get(unknown).json()["runs"].is_array(), "{unknown}");
    }
}
