//! What is in the file or the folder, store by store, as the first part of a report.

use serde_json::Value as Json;

use super::html::{count, escaped, facts, name, plain, section, size, table};

/// The most rows of a list before it says that there are more.
const MOST: usize = 20;

/// The overview, of the document that `/api/overview` has.
pub(super) fn html(document: &Json) -> String {
    match document["kind"].as_str() {
        Some("ticks") => ticks(&document["ticks"]),
        _ => file(&document["file"]),
    }
}

fn number(of: &Json) -> u64 {
    of.as_u64().unwrap_or(0)
}

fn list(of: &Json) -> &[Json] {
    of.as_array().map_or(&[], Vec::as_slice)
}

/// The name in a field.
fn field(of: &Json, key: &str) -> String {
    name(&plain(&of[key]))
}

fn counted(of: &Json, key: &str) -> String {
    count(number(&of[key]))
}

/// A table of the first rows, which says how many more there are.
fn rows(titles: &[&str], of: &[Json], row: impl Fn(&Json) -> Vec<String>) -> String {
    let shown: Vec<Vec<String>> = of.iter().take(MOST).map(row).collect();
    let mut out = table(titles, &shown);
    if of.len() > MOST {
        out += &format!("<p>{} more</p>\n", count((of.len() - MOST) as u64));
    }
    out
}

fn file(of: &Json) -> String {
    let mut stores = String::new();
    if !list(&of["datasets"]).is_empty() || !list(&of["initial_datasets"]).is_empty() {
        stores += &simulation(of);
    }
    if number(&of["series"]["count"]) > 0 {
        let series = &of["series"];
        stores += &section(
            "Series",
            "",
            &facts(&[
                ("Series", counted(series, "count")),
                ("Points", counted(series, "points")),
                ("Size", size(number(&series["bytes"]))),
            ]),
        );
    }
    let experiments = &of["experiments"];
    if experiments["simulations"].as_object().is_some_and(|known| !known.is_empty()) {
        stores += &self::experiments(experiments);
    }
    let memory = &of["memory"];
    if number(&memory["episodes"]) + number(&memory["concepts"]) > 0 {
        stores += &section(
            "Memory",
            "",
            &facts(&[
                ("Episodes", counted(memory, "episodes")),
                ("Concepts", counted(memory, "concepts")),
                ("Relationships", counted(memory, "concept_relationships")),
                ("Learning events", counted(memory, "learning_events")),
            ]),
        );
    }
    let day = &of["ticks"];
    let all = number(&day["rows"]) + number(&day["compacted"]);
    if all > 0 {
        let known = [("Ticks", count(all)), ("Symbols", counted(day, "symbols"))];
        stores += &section("Ticks", "of a day", &facts(&known));
    }
    let bytes = number(&of["bytes"]) + number(&of["log_bytes"]);
    let known = facts(&[("Size", size(bytes))]);
    match stores.is_empty() {
        true => {
            section("Overview", "", &format!("{known}<p>No store has data in this file yet.</p>\n"))
        }
        false => section("Overview", "", &known) + &stores,
    }
}

fn simulation(of: &Json) -> String {
    let run = &of["run"];
    let mut known = vec![("Status", field(run, "status"))];
    for (title, key) in [("Started", "started"), ("Ended", "finished"), ("Error", "error")] {
        if !run[key].is_null() {
            known.push((title, field(run, key)));
        }
    }
    known.push(("Keyframes", counted(&of["keyframes"], "count")));
    let groups: Vec<Json> = list(&of["datasets"])
        .iter()
        .flat_map(|dataset| {
            let of_dataset = |group: &Json| {
                let mut group = group.clone();
                group["dataset"] = dataset["name"].clone();
                group
            };
            list(&dataset["groups"]).iter().map(of_dataset).collect::<Vec<_>>()
        })
        .collect();
    let body = facts(&known)
        + &rows(&["Dataset", "Group", "#Updates", "Attributes"], &groups, |group| {
            let attributes = list(&group["attributes"]).iter().map(plain);
            let attributes = attributes.collect::<Vec<_>>().join(", ");
            vec![
                field(group, "dataset"),
                field(group, "name"),
                counted(group, "updates"),
                name(&attributes),
            ]
        });
    section("Simulation", "", &body)
}

fn experiments(of: &Json) -> String {
    let states = of["simulations"].as_object();
    let states = states
        .into_iter()
        .flatten()
        .map(|(status, n)| format!("{} {}", count(number(n)), name(status)));
    let states = states.collect::<Vec<_>>().join(", ");
    let known: Vec<String> =
        list(&of["experiments"]).iter().map(|one| field(one, "experiment_id")).collect();
    let mut body = facts(&[("Simulations", states), ("Experiments", known.join(", "))]);
    let failed = list(&of["failed"]);
    if !failed.is_empty() {
        body += &rows(&["Failed or crashed last", "Why"], failed, |one| {
            let why = if one["error"].is_null() { "status" } else { "error" };
            vec![field(one, "simulation_id"), field(one, why)]
        });
    }
    body += &rows(&["Table", "#Rows", "#Size"], list(&of["tables"]), |one| {
        vec![field(one, "table"), counted(one, "rows"), size(number(&one["bytes"]))]
    });
    section("Experiments", "", &body)
}

fn ticks(of: &Json) -> String {
    let symbols: Vec<String> = list(&of["symbols"]).iter().map(|one| name(&plain(one))).collect();
    let days = list(&of["days"]);
    let last: Vec<Json> = days.iter().rev().cloned().collect();
    let body = facts(&[
        ("Ticks", counted(of, "ticks")),
        ("Symbols", format!("{}: {}", symbols.len(), symbols.join(", "))),
        ("Days", count(days.len() as u64)),
        ("Size", size(number(&of["bytes"]))),
    ]) + &rows(&["Day", "#Ticks", "#Symbols", "#Size"], &last, |day| {
        let ticks = number(&day["rows"]) + number(&day["compacted"]);
        vec![
            escaped(&plain(&day["day"])),
            count(ticks),
            counted(day, "symbols"),
            size(number(&day["bytes"])),
        ]
    });
    section("Overview", "", &body)
}
