//! Records, parameters, episodes and concepts of users' own structs.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use serde::Serialize;
use siltstone::experiment::{ExperimentDatabase, RecordSchema, Selection, SimulationOptions};
use siltstone::memory::{MemoryStore, NewConcept, NewEpisode, NewLearningEvent, Payload};
use siltstone::{Array, Value};

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Wall,
    OpenAir,
}

#[derive(Serialize)]
struct Reading {
    x: f64,
    celsius: Option<f32>,
    kind: Kind,
}

/// Goal: a struct is a row, its fields are columns, NaN and nothing stay apart; in the documented tables too, where the step
/// is a field. Of many, all are kept or none.
#[test]
fn a_struct_is_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let db = ExperimentDatabase::open(folder.path().join("heat.db"), "heat").unwrap();
    let sim = db.create_simulation_context("sim_0", SimulationOptions::default()).unwrap();
    let columns = [("x", "float64"), ("celsius", "float32"), ("kind", "category")];
    sim.define_table(&RecordSchema::new("temperature", &columns).unwrap()).unwrap();
    let readings = [
        Reading { x: f64::NAN, celsius: Some(0.1), kind: Kind::OpenAir },
        Reading { x: -0.0, celsius: None, kind: Kind::Wall },
    ];
    sim.log_records("temperature", Some(3), &readings).unwrap();
    let table = sim.read("temperature", &Selection::all()).unwrap();
    let batch = &table.collect_batches().unwrap()[0];
    let x = batch.column_by_name("x").unwrap().as_primitive::<Float64Type>();
    assert!(x.value(0).is_nan() && x.value(1).to_bits() == (-0.0_f64).to_bits());
    let celsius = batch.column_by_name("celsius").unwrap();
    let celsius = celsius.as_primitive::<Float32Type>();
    assert_eq!(celsius.iter().collect::<Vec<_>>(), [Some(0.1), None]);
    let found = db.database().sql("SELECT step, kind FROM temperature ORDER BY kind").unwrap();
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(
        found.rows,
        [[Value::Integer(3), text("open_air")], [Value::Integer(3), text("wall")]]
    );

    #[derive(Serialize)]
    struct State<'a> {
        step_number: i64,
        agent_id: &'a str,
        age: u8,
    }
    let state = State { step_number: 7, agent_id: "a", age: 2 };
    sim.log_record("agent_states", None, &state).unwrap();
    db.flush_all_buffers().unwrap();
    let found = db.database().sql("SELECT step_number, agent_id, age FROM agent_states").unwrap();
    assert_eq!(found.rows, [[Value::Integer(7), text("a"), Value::Integer(2)]]);
}

/// Goal: a field that does not fit, that is not there, or that lacks is named, and nothing of the records is kept.
#[test]
fn an_error_of_a_struct_names_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let db = ExperimentDatabase::open(folder.path().join("heat.db"), "heat").unwrap();
    let sim = db.create_simulation_context("sim_0", SimulationOptions::default()).unwrap();
    let columns = [("x", "float64"), ("n", "int8")];
    sim.define_table(&RecordSchema::new("t", &columns).unwrap()).unwrap();
    let refused = |step, record: serde_json::Value| {
        let good = serde_json::json!({"x": 1.0, "step": 1});
        let good = if step == Some(1) { serde_json::json!({"x": 1.0}) } else { good };
        sim.log_records("t", step, &[good, record]).unwrap_err().to_string()
    };
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    for (step, record, wanted) in [
        (
            Some(1),
            r#"{"x": [1.0]}"#,
            "x of t: expected a number, a bool, a text or nothing, got a list",
        ),
        (Some(1), r#"{"n": 300}"#, "n of t: expected a value that int8 holds, got 300"),
        (
            Some(1),
            r#"{"n": 18446744073709551615}"#,
            "n of t: expected a number, a bool, a text or nothing, got an integer beyond 64 bits",
        ),
        (Some(1), r#"{"y": 1}"#, "a column of t: expected x, n, got \"y\""),
        (Some(1), r#"[1]"#, "a record of t: expected a struct, got a list"),
        (
            None,
            r#"{"x": 1.0}"#,
            "a record of t: expected a step, or an integer field \"step\", got neither",
        ),
        (None, r#"{"step": -1}"#, "step"),
    ] {
        let error = refused(step, json(record));
        assert!(error.contains(wanted), "{record}: {error}");
    }
    assert_eq!(sim.buffered().0, 0);
}

/// Goal: parameters, experiences and metadata of structs come back with every value: NaN and infinities are not nothing.
#[test]
fn structs_are_parameters_experiences_and_metadata() {
    #[derive(Serialize)]
    struct Rates {
        learning: f32,
        decay: f64,
        layers: Vec<u64>,
    }
    let rates = || Rates { learning: 0.1, decay: f64::INFINITY, layers: vec![u64::MAX] };
    let folder = tempfile::tempdir().unwrap();
    let db = ExperimentDatabase::open(folder.path().join("a.db"), "a").unwrap();
    let options = SimulationOptions::default().parameters(&rates()).unwrap();
    db.create_simulation_context("sim_0", options).unwrap();
    let known = db.simulations(siltstone::experiment::Which::All).unwrap().remove(0).plain();
    let known = serde_json::Value::Object(known.parameters).to_string();
    assert_eq!(known, r#"{"learning":0.1,"decay":"Infinity","layers":[18446744073709551615]}"#);

    let memory = MemoryStore::open(folder.path().join("b.db")).unwrap();
    let seen = Payload::of(&(Kind::Wall, Some(0.5), [1_i8, -1], "left")).unwrap();
    let list = Payload::List(vec![Payload::Int(1), Payload::Int(-1)]);
    let wanted = [Payload::from("wall"), Payload::Float(0.5), list, "left".into()];
    assert_eq!(seen, Payload::List(wanted.to_vec()));
    let episode = NewEpisode::new(seen.clone(), 0.5, "maze").metadata_of(&rates()).unwrap();
    let id = memory.store_episode(episode).unwrap();
    let stored = memory.retrieve_episode(id).unwrap().unwrap();
    assert_eq!(stored.data().unwrap(), seen);
    assert!(
        stored.metadata.contains(r#""learning":0.1"#) && stored.metadata.contains("inf"),
        "{stored:?}"
    );
    let concept = NewConcept::new("wall", Array::from_slice(&[1.0])).metadata_of(&rates()).unwrap();
    memory.store_concept(concept).unwrap();
    let event = NewLearningEvent::new("maze", 0.1, "greedy").parameters_of(&rates()).unwrap();
    memory.store_learning_event(event).unwrap();
    let error = Payload::of(&[rates()]).unwrap_err().to_string();
    assert!(error.starts_with("a payload[0].layers[0]: expected an integer of 64 bits"), "{error}");
}
