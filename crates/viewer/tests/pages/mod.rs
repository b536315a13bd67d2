//! The routes of the pages Simulation and Memory, asked as a browser asks them.

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use serde_json::{Value, json};
use siltstone::Array;
use siltstone::memory::{MemoryStore, NewConcept, NewEpisode, NewRelationship, Payload};
use siltstone::simulation::{
    Attribute, CLEARED, GIVEN, Group, InitialData, NOT_GIVEN, SimulationDatabase, Timeline,
};

use crate::server::{Answer, Running, serve};

/// A name that a page must not take for markup, nor SQL for its own.
const HOSTILE: &str = "<img src=x onerror=alert(1)>'; DROP TABLE \"update\"; --";

/// Three cars on a plane: one of them has no speed at first, and loses it again.
fn cars(path: &std::path::Path) -> SimulationDatabase {
    let db = SimulationDatabase::open(path).unwrap();
    let ids = [7i64, 8, 9];
    let group = |group: Group| vec![group];
    let begin = Group::new("cars")
        .with("id", ids)
        .with("geometry.x", [1.0, 2.0, 3.0])
        .with("geometry.y", [10.0, 20.0, 30.0])
        .with("name", &["a", "b", HOSTILE][..])
        .with("speed", [50.0, f64::NAN, 70.0]);
    db.store_update(0, 0, "net", group(begin), None).unwrap();
    for t in 1..=20 {
        let speed = Group::new("cars")
            .with("id", ids)
            .with("speed", [50.0 + f64::from(t as i32), 5.0, 70.0]);
        db.store_update(t * 10, 0, "net", group(speed), None).unwrap();
    }
    let gone = Attribute::new(Array::from_slice(&[0.0; 3])).with_mask(&[NOT_GIVEN, CLEARED, GIVEN]);
    db.store_update(
        300,
        0,
        "net",
        group(Group::new("cars").with("id", ids).with("speed", gone)),
        None,
    )
    .unwrap();
    let odd = Group::new(HOSTILE).with("id", [1i64]).with(HOSTILE, [1.5]);
    db.store_update(5, 0, HOSTILE, group(odd), None).unwrap();
    db.set_timeline(Timeline { reference: 1_577_836_800.0, time_scale: 60.0, start_time: 0 })
        .unwrap();
    db
}

fn simulation() -> Running {
    let folder = tempfile::tempdir().unwrap();
    cars(&folder.path().join("run.db")).close().unwrap();
    serve(folder, "run.db", &[])
}

/// What is said about an Arrow answer, and its rows.
fn arrow(answer: &Answer) -> (Value, RecordBatch) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut reader = StreamReader::try_new(&answer.body[..], None).unwrap();
    let about = serde_json::from_str(&reader.schema().metadata()["siltstone"]).unwrap();
    (about, reader.next().unwrap().unwrap())
}

const CARS: &str = "dataset=net&group=cars";

/// A text in an address.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Goal: datasets and groups are listed, and what may be coordinates is proposed by names and called so.
#[test]
fn groups_are_listed() {
    let server = simulation();
    let found = server.get("/api/simulation").json();
    assert_eq!(found["datasets"][0]["name"], json!(HOSTILE));
    assert_eq!(found["datasets"][1], json!({ "name": "net", "groups": ["cars"] }));
    assert_eq!(found["timeline"]["time_scale"], json!(60.0));
    let group = server.get(&format!("/api/simulation/group?{CARS}")).json();
    let kinds: Vec<&str> = group["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["number", "number", "text", "number"]);
    assert_eq!(group["plane"], json!([{ "kind": "points", "x": "geometry.x", "y": "geometry.y" }]));
    let times = server.get(&format!("/api/simulation/times?{CARS}&from=195")).json();
    assert_eq!((&times["rows"], &times["times"]), (&json!([[200], [300]]), &json!(22)));
}

/// Goal: a group at a time has each value and null for what is undefined, whichever way the time is given and whatever was
/// asked for before.
#[test]
fn a_state_is_that_of_its_time() {
    let server = simulation();
    let speeds = |at: &str| {
        let rows = server.get(&format!("/api/simulation/state?{CARS}&attribute=speed{at}")).json()
            ["rows"]
            .clone();
        rows.as_array().unwrap().iter().map(|row| row[1].clone()).collect::<Value>()
    };
    // Forwards, backwards step by step, and at random.
    for t in (0..=20).chain((0..=20).rev()).chain([3, 17, 4, 16, 5]) {
        let expected = if t == 0 {
            json!([50.0, null, 70.0])
        } else {
            json!([50.0 + f64::from(t), 5.0, 70.0])
        };
        assert_eq!(speeds(&format!("&at={}", t * 10)), expected, "at {t}");
        assert_eq!(speeds(&format!("&at={}", t * 10 + 9)), expected, "after {t}");
    }
    assert_eq!(speeds("&at=-1"), json!([null, null, null]));
    assert_eq!(speeds(""), json!([70.0, null, 0.0]));
    assert_eq!(speeds("&at=2020-01-01T00:10:00Z"), json!([51.0, 5.0, 70.0]));
    let all = server.get(&format!("/api/simulation/state?{CARS}&at=0")).json();
    assert_eq!(all["columns"], json!(["id", "geometry.x", "geometry.y", "name", "speed"]));
    assert_eq!(all["rows"][2], json!([9, 3.0, 30.0, HOSTILE, 70.0]));
    let csv = server.get(&format!("/api/simulation/state?{CARS}&at=0&format=csv"));
    assert_eq!(csv.text().lines().count(), 4);
}

/// Goal: what an asker has is not sent again, and what changed is.
#[test]
fn a_column_that_is_known_is_left_out() {
    let server = simulation();
    let path =
        format!("/api/simulation/state?{CARS}&attribute=geometry.x&attribute=speed&format=arrow");
    let (about, batch) = arrow(&server.get(&format!("{path}&at=10")));
    assert_eq!((batch.num_columns(), &about["left_out"]), (3, &json!([])));
    let hash = |name: &str| about["hashes"][name].as_str().unwrap();
    let known: String =
        ["id", "geometry.x", "speed"].map(|name| format!("&known={}", hash(name))).concat();
    let (next, batch) = arrow(&server.get(&format!("{path}&at=20{known}")));
    assert_eq!(next["left_out"], json!(["geometry.x", "id"]));
    assert_eq!((batch.num_columns(), batch.num_rows()), (1, 3));
    assert_eq!(batch.schema().field(0).name(), "speed");
    let (same, batch) = arrow(&server.get(&format!("{path}&at=10{known}")));
    assert_eq!((batch.num_columns(), same["left_out"].as_array().unwrap().len()), (0, 3));
}

/// Goal: the range is that of the whole run, and the history of an entity has each of its values, undefined as null.
#[test]
fn ranges_and_histories_are_of_the_whole_run() {
    let server = simulation();
    let range = server.get(&format!("/api/simulation/range?{CARS}&attribute=speed")).json();
    assert_eq!(range, json!({ "min": 0.0, "max": 70.0 }));
    let path = format!("/api/simulation/history?{CARS}&id=8&attribute=speed");
    let all = server.get(&path).json();
    let rows = all["rows"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &rows[0], &rows[1], &rows[21]),
        (22, &json!([0, null]), &json!([10, 5.0]), &json!([300, null]))
    );
    let near = server.get(&format!("{path}&from=15&until=35&width=100&edges=true")).json();
    let times: Vec<&Value> = near["rows"].as_array().unwrap().iter().map(|row| &row[0]).collect();
    assert_eq!((json!(times), &near["points"]), (json!([10, 20, 30, 40]), &json!(2)));
    let reduced =
        server.get(&format!("/api/simulation/history?{CARS}&id=7&attribute=speed&width=1")).json();
    assert!(reduced["said"].as_str().unwrap().contains("min and max kept"), "{reduced}");
}

/// Goal: a column of pixels keeps the least of its values that are not special beside the special ones, which are counted.
#[test]
fn a_history_keeps_the_least_value_beside_special_ones() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let begin = json!({
        "general": { "special": { "pumps.power": -9999.0 } },
        "data": { "pumps": { "id": [1], "power": [10.0] } },
    });
    let begin = InitialData::Json(begin.to_string().into_bytes());
    db.store_initial_dataset("plant", begin, false).unwrap();
    for t in 0..40 {
        let power = match t {
            5 | 15 | 25 => -9999.0,
            7 => -3.0,
            _ => 10.0,
        };
        let pumps = Group::new("pumps").with("id", [1i64]).with("power", [power]);
        db.store_update(t, 0, "plant", vec![pumps], None).unwrap();
    }
    db.close().unwrap();
    let server = serve(folder, "run.db", &[]);
    let path =
        "/api/simulation/history?dataset=plant&group=pumps&id=1&attribute=power&width=2&edges=true";
    let found = server.get(path).json();
    assert!(found["said"].as_str().unwrap().contains("min and max kept"), "{found}");
    let rows = found["rows"].as_array().unwrap();
    assert!(rows.len() < 30, "{found}");
    assert!(rows.contains(&json!([7, -3.0])), "the least value of its column: {found}");
    assert!(rows.contains(&json!([5, -9999.0])), "a special value of the same column: {found}");
    assert_eq!(found["special"], json!(3));
}

/// Goal: hostile names find what they name and nothing else, and what is not there is named in the refusal.
#[test]
fn names_of_a_simulation_are_data() {
    let server = simulation();
    let name = escaped(HOSTILE);
    let state =
        server.get(&format!("/api/simulation/state?dataset={name}&group={name}&attribute={name}"));
    assert_eq!(state.json()["rows"], json!([[1, 1.5]]));
    let range =
        server.get(&format!("/api/simulation/range?dataset={name}&group={name}&attribute={name}"));
    assert_eq!(range.json(), json!({ "min": 1.5, "max": 1.5 }));
    for (path, status, word) in [
        ("state?dataset=nothing&group=cars", 404, "nothing"),
        ("state?dataset=net&group=nothing", 404, "nothing"),
        ("state?dataset=net&group=cars&attribute=nothing", 404, "nothing"),
        ("state?dataset=net&group=cars&at=monday", 400, "monday"),
        ("state?dataset=net&group=cars&format=xml", 400, "xml"),
        ("times?dataset=net&group=nothing", 404, "nothing"),
        ("history?dataset=net&group=cars&id=1&attribute=speed", 404, "entity"),
        ("history?dataset=net&group=cars&id=7&attribute=name", 400, "numbers"),
        ("range?dataset=net&group=cars&attribute=nothing", 404, "nothing"),
    ] {
        let answer = server.get(&format!("/api/simulation/{path}"));
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(
            answer.json()["error"].as_str().unwrap().contains(word),
            "{path}: {}",
            answer.text()
        );
    }
}

/// Goal: an update that is written meanwhile is in the next state, also in a place that was looked at before.
#[test]
fn a_simulation_is_followed() {
    let server = simulation();
    let path = format!("/api/simulation/state?{CARS}&attribute=speed");
    assert_eq!(server.get(&path).json()["rows"][0], json!([7, 70.0]));
    let db = SimulationDatabase::open(server.path()).unwrap();
    let more = Group::new("cars").with("id", [7i64, 10]).with("speed", [1.0, 2.0]);
    db.store_update(400, 0, "net", vec![more], None).unwrap();
    let now = server.get(&path).json();
    assert_eq!((&now["rows"][0], &now["rows"][3]), (&json!([7, 1.0]), &json!([10, 2.0])));
    let before = server.get(&format!("{path}&at=300")).json();
    assert_eq!((&before["rows"][0], &before["rows"][3]), (&json!([7, 70.0]), &json!([10, null])));
    // Another file at the same path has another history.
    db.close().unwrap();
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{ending}", server.path().display()));
    }
    let db = SimulationDatabase::open(server.path()).unwrap();
    let other = Group::new("cars").with("id", [1i64]).with("speed", [9.0]);
    db.store_update(0, 0, "net", vec![other], None).unwrap();
    assert_eq!(server.get(&path).json()["rows"], json!([[1, 9.0]]));
}

/// An agent with 30 memories in two contexts, and five concepts in a chain.
fn memories() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::open(folder.path().join("run.db")).unwrap();
    for i in 0..30 {
        let angle = f64::from(i) / 5.0;
        let vector = Array::from_slice(&[angle.cos(), angle.sin(), 0.0]);
        let context = if i % 3 == 0 { HOSTILE } else { "maze" };
        let seen = Payload::map([
            ("text", Payload::Text(HOSTILE.to_owned())),
            ("seen", Payload::from(vector.clone())),
            ("long", Payload::List(vec![Payload::Int(1); 500])),
        ]);
        let episode = NewEpisode::new(seen, f64::from(i) / 30.0, context).embedding(vector);
        store.store_episode(episode.timestamp(1000.0 + f64::from(i))).unwrap();
    }
    store.store_episode(NewEpisode::new(Payload::Nothing, 0.5, "maze").timestamp(2000.0)).unwrap();
    let concept =
        |i: usize| NewConcept::new(format!("{HOSTILE} {i}"), Array::from_slice(&[i as f64, 1.0]));
    let ids = store.store_concepts((0..5).map(concept).collect()).unwrap();
    let edges = ids.windows(2).map(|pair| NewRelationship {
        source_id: pair[0],
        target_id: pair[1],
        relationship_type: "leads to".to_owned(),
        strength: 0.5,
    });
    store.add_concept_relationships(edges.collect()).unwrap();
    drop(store);
    serve(folder, "run.db", &[])
}

/// Goal: embeddings are drawn in the plane that they lie in, all or a bounded number that is said.
#[test]
fn embeddings_are_mapped() {
    let server = memories();
    let all = server.get("/api/memory/map").json();
    assert_eq!(all["said"], json!("PCA of all 30 episodes with an embedding"));
    let shares: f64 = all["shares"].as_array().unwrap().iter().filter_map(Value::as_f64).sum();
    assert!((shares - 1.0).abs() < 1e-6, "the vectors lie in a plane: {shares}");
    assert_eq!(all["columns"], json!(["id", "x", "y", "score", "context", "time"]));
    let few = server.get("/api/memory/map?most=10").json();
    assert_eq!(few["said"], json!("PCA of 10 of 30 episodes with an embedding, the most recent"));
    assert_eq!(few["rows"][0][0], json!(30));
    assert_eq!(server.get("/api/memory/map?of=concepts").json()["used"], json!(5));
    assert_eq!(server.get("/api/memory/map?of=nothing").status, 400);
}

/// Goal: what is no vector, or damaged, or too large for a picture is left out of the map and counted; the rest is drawn,
/// even if most are of that kind.
#[test]
fn embeddings_without_a_place_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let store = MemoryStore::open(&path).unwrap();
    let stored = |array: Array| {
        let episode = NewEpisode::new(Payload::Nothing, 0.5, "maze").embedding(array);
        store.store_episode(episode.timestamp(1000.0)).unwrap()
    };
    for _ in 0..5 {
        let bytes: Vec<u8> = [1.0f64, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        stored(Array::new(Array::from_slice(&[0.0]).dtype(), vec![1, 2], bytes).unwrap());
    }
    for i in 0..3 {
        stored(Array::from_slice(&[f64::from(i), 1.0, -f64::from(i)]));
    }
    stored(Array::from_slice(&[1.0, 2.0]));
    stored(Array::from_slice(&[1e300, 0.0, 0.0]));
    let pattern = 1_234.567_8f64;
    stored(Array::from_slice(&[pattern, 2.0, 3.0]));
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - 8).filter(|at| bytes[*at..at + 8] == pattern.to_le_bytes()).collect();
    assert!(!places.is_empty(), "the embedding is in the file");
    places.iter().for_each(|at| bytes[*at] ^= 1);
    std::fs::write(&path, bytes).unwrap();
    let server = serve(folder, "run.db", &[]);
    let answer = server.get("/api/memory/map");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = answer.json();
    assert_eq!((&found["used"], &found["dimension"]), (&json!(3), &json!(3)), "{found}");
    assert_eq!(
        found["said"],
        json!(
            "PCA of 3 of 11 episodes with an embedding; left out: 1 of another dimension than 3, 5 not a vector, \
             1 with a number that is not finite in 32 bits, 1 damaged"
        )
    );
    let rows = found["rows"].as_array().unwrap();
    assert!(
        rows.len() == 3 && rows.iter().all(|row| row[1].is_f64() && row[2].is_f64()),
        "{found}"
    );
}

/// Goal: an episode is shown as text, of what is long the beginning; its neighbours are those of the library's search, and
/// recall follows its weights.
#[test]
fn an_episode_is_read_and_recalled() {
    let server = memories();
    let one = server.get("/api/memory/one?id=15&k=4").json();
    assert_eq!(one["experience"]["text"], json!(HOSTILE));
    assert!(one["experience"]["seen"].as_str().unwrap().starts_with("array <f8 of shape [3]:"));
    let long = one["experience"]["long"].as_array().unwrap();
    assert_eq!((long.len(), &long[100]), (101, &json!("… 400 more")));
    let mut near: Vec<i64> = one["neighbours"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["episode"]["id"].as_i64().unwrap())
        .collect();
    near.sort_unstable();
    assert_eq!(near, [13, 14, 16, 17]);
    let first = |weights: &str| {
        let found =
            server.get(&format!("/api/memory/recall?id=15&k=1&half_life=1{weights}")).json();
        found["recalled"][0]["episode"]["id"].as_i64().unwrap()
    };
    assert_eq!(first("&recency=0&importance=0&relevance=1"), 15);
    assert_eq!(first("&recency=0&importance=1&relevance=0"), 30);
    assert_eq!(first("&recency=1&importance=0&relevance=0"), 30);
    // What is later than the present has the recency of the present: of equals the lower id comes first.
    assert_eq!(first("&recency=1&importance=0&relevance=0&now=1004"), 5);
    assert_eq!(server.get("/api/memory/recall?id=15&recency=NaN").status, 400);
    assert_eq!(server.get("/api/memory/recall?id=31").status, 404);
    assert!(server.get("/api/memory/one?id=31").json().get("neighbours").is_none());
    assert_eq!(server.get("/api/memory/one?id=99").status, 404);
}

/// Goal: the graph around a concept has those to its depth, up to a number, and says what it leaves out.
#[test]
fn a_graph_is_bounded() {
    let server = memories();
    let found = server.get("/api/memory/concepts?query=3").json();
    assert_eq!(found["concepts"].as_array().unwrap().len(), 1);
    let names = |path: &str| {
        let graph = server.get(path).json();
        (
            graph["nodes"].as_array().unwrap().len(),
            graph["edges"].as_array().unwrap().len(),
            graph["said"].to_string(),
        )
    };
    let (nodes, edges, said) = names("/api/memory/graph?id=3&depth=1");
    assert_eq!((nodes, edges), (3, 2), "{said}");
    let (nodes, edges, said) = names("/api/memory/graph?id=1&depth=6");
    assert!(nodes == 5 && edges == 4 && said.contains("all of them"), "{said}");
    let (nodes, _, said) = names("/api/memory/graph?id=3&depth=2&most=2");
    assert!(nodes == 2 && said.contains("more concepts are left out"), "{said}");
    assert_eq!(server.get("/api/memory/graph?id=77").status, 404);
}

/// Goal: scores of a context are its own, whatever its name, and keep their extremes.
#[test]
fn scores_are_of_their_context() {
    let server = memories();
    let found = server.get("/api/memory/contexts").json();
    let counts: Vec<&Value> =
        found["contexts"].as_array().unwrap().iter().map(|of| &of["episodes"]).collect();
    assert_eq!((json!(counts), &found["all"]), (json!([21, 10]), &json!(2)));
    let scores =
        server.get(&format!("/api/memory/scores?context={}&width=1", escaped(HOSTILE))).json();
    assert_eq!(scores["points"], json!(10));
    let values: Vec<f64> =
        scores["rows"].as_array().unwrap().iter().filter_map(|row| row[1].as_f64()).collect();
    assert!(values.contains(&0.0) && values.contains(&0.9), "{values:?}");
    // The times are 1000, 1003, ... 1027: `from` is included, `until` is not.
    let points = |bounds: &str| {
        let path = format!("/api/memory/scores?context={}{bounds}", escaped(HOSTILE));
        server.get(&path).json()["points"].clone()
    };
    assert_eq!(
        (points(""), points("&from=1027"), points("&until=1027")),
        (json!(10), json!(1), json!(9))
    );
    assert_eq!(points("&from=1003&until=1006"), json!(1));
    // The widest picture has room for every point.
    for width in [usize::MAX, 1 << 62] {
        assert_eq!(points(&format!("&width={width}")), json!(10), "{width}");
    }
    assert_eq!(server.get("/api/memory/scores?context=nothing").status, 404);
}
