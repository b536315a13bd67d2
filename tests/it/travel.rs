//! Travel in time against a plain model.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use siltstone::Array;
use siltstone::simulation::{
    Attribute, CLEARED, GIVEN, Group, NOT_GIVEN, Options, SimulationDatabase, Update,
};

/// What one update says: entity, then per attribute a value, nothing, or "becomes undefined".
#[derive(Debug, Clone)]
enum Said {
    Value(i64),
    Nothing,
    Cleared,
}

#[derive(Debug, Clone)]
struct Step {
    timestamp: i64,
    group: usize,
    entities: BTreeMap<i64, [Said; 3]>,
}

const GROUPS: [&str; 2] = ["roads", "pipes"];

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        4 => (-1000i64..1000).prop_map(Said::Value),
        1 => Just(Said::Nothing),
        1 => Just(Said::Cleared),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let entities = prop::collection::btree_map(0i64..12, [said(), said(), said()], 0..6);
    (0i64..60, 0usize..2, entities).prop_map(|(timestamp, group, entities)| Step {
        timestamp,
        group,
        entities,
    })
}

/// A number, a text of varying width, a ragged list.
fn update(step: &Step, iteration: i64) -> Update {
    let ids: Vec<i64> = step.entities.keys().copied().collect();
    let column = |k: usize| -> Vec<&Said> { step.entities.values().map(|said| &said[k]).collect() };
    let mask = |k: usize| -> Vec<u8> {
        let flag = |said: &&Said| match said {
            Said::Value(_) => GIVEN,
            Said::Nothing => NOT_GIVEN,
            Said::Cleared => CLEARED,
        };
        column(k).iter().map(flag).collect()
    };
    let number = |said: &&Said| if let Said::Value(v) = said { *v } else { 0 };
    let numbers: Vec<f64> = column(0).iter().map(|s| number(s) as f64 / 8.0).collect();
    let texts: Vec<String> = column(1).iter().map(|s| text(number(s))).collect();
    let lists: Vec<Vec<i64>> = column(2).iter().map(|s| list(number(s))).collect();
    let ends: Vec<i64> = std::iter::once(0)
        .chain(lists.iter().scan(0, |end, list| {
            *end += list.len() as i64;
            Some(*end)
        }))
        .collect();
    let ragged = Attribute::ragged(Array::from_slice(&lists.concat()), Array::from_slice(&ends));
    let attributes = vec![
        ("id".to_owned(), Attribute::new(Array::from_slice(&ids))),
        ("x".to_owned(), Attribute::new(Array::from_slice(&numbers)).with_mask(&mask(0))),
        ("label".to_owned(), Attribute::new(Array::from_strs(&texts)).with_mask(&mask(1))),
        ("list".to_owned(), ragged.with_mask(&mask(2))),
    ];
    let data = vec![Group { name: GROUPS[step.group].into(), attributes }];
    Update { timestamp: step.timestamp, iteration, dataset: "net".into(), origin: None, data }
}

fn text(n: i64) -> String {
    "ß".repeat(n.unsigned_abs() as usize % 40)
}

fn list(n: i64) -> Vec<i64> {
    (0..n.rem_euclid(4)).map(|i| n + i).collect()
}

type Model = BTreeMap<i64, [Option<i64>; 3]>;

/// The state by replaying everything, the plain way.
fn model(steps: &[(Step, i64)], group: usize, until: i64) -> Model {
    let mut ordered: Vec<_> = steps.iter().collect();
    ordered.sort_by_key(|(step, iteration)| (step.timestamp, *iteration));
    let mut state = Model::new();
    for (step, _) in &ordered {
        for (id, said) in step.entities.iter().filter(|_| step.group == group) {
            let row = state.entry(*id).or_default();
            for (cell, said) in row.iter_mut().zip(said).filter(|_| step.timestamp <= until) {
                match said {
                    Said::Value(v) => *cell = Some(*v),
                    Said::Nothing => {}
                    Said::Cleared => *cell = None,
                }
            }
        }
    }
    state
}

fn compare(db: &SimulationDatabase, state: &siltstone::simulation::GroupState, model: &Model) {
    let ids: BTreeSet<i64> = state.ids.iter().copied().collect();
    assert_eq!(ids, model.keys().copied().collect(), "{db:?}");
    assert_eq!(ids.len(), state.ids.len());
    let column = |name| state.column(name).unwrap();
    let (x, label, ragged) = (column("x"), column("label"), column("list"));
    let numbers = x.attribute.data.to_vec::<f64>().unwrap();
    let texts = label.attribute.data.to_strings().unwrap();
    let items = ragged.attribute.data.to_vec::<i64>().unwrap();
    let ends = ragged.attribute.row_ptr.as_ref().unwrap().to_i64s().unwrap();
    for (i, id) in state.ids.iter().enumerate() {
        let expected = &model[id];
        let got = x.is_defined(i).then(|| numbers[i]);
        assert_eq!(got, expected[0].map(|v| v as f64 / 8.0), "x of {id}");
        let got = label.is_defined(i).then(|| texts[i].clone());
        assert_eq!(got, expected[1].map(text), "label of {id}");
        let got =
            ragged.is_defined(i).then(|| items[ends[i] as usize..ends[i + 1] as usize].to_vec());
        assert_eq!(got, expected[2].map(list), "list of {id}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Goal: in any order of writing and of seeking, with keyframes or without, the state at each
    /// time is that of a plain replay.
    #[test]
    fn any_seek_equals_a_plain_replay(
        steps in prop::collection::vec(step(), 1..80),
        seeks in prop::collection::vec(-3i64..65, 1..20),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { no_keyframes: true, ..Options::default() };
        let db = SimulationDatabase::open_with(folder.path().join("run.db"), options).unwrap();
        let mut next = BTreeMap::new();
        let steps: Vec<_> = steps
            .into_iter()
            .map(|step| {
                let iteration = next.entry(step.timestamp).or_insert(0i64);
                *iteration += 1;
                (step, *iteration)
            })
            .collect();
        db.store_updates(steps.iter().map(|(step, i)| update(step, *i)).collect()).unwrap();
        for (group, name) in GROUPS.into_iter().enumerate() {
            if model(&steps, group, i64::MAX).is_empty() {
                continue;
            }
            let mut cursor = db.cursor("net", name, seeks[0]).unwrap();
            for seek in &seeks {
                cursor.move_to(*seek).unwrap();
                compare(&db, &cursor.state(), &model(&steps, group, *seek));
                compare(&db, &db.state_at("net", name, *seek).unwrap(), &model(&steps, group, *seek));
            }
        }
    }
}

/// Goal: a long run with keyframes, whose seeks start from them, whatever is written late.
#[test]
fn keyframes_shorten_seeks_and_late_updates_remove_them() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    let step = |t: i64| Step {
        timestamp: 2 * t,
        group: (t % 2) as usize,
        entities: (0..4)
            .map(|i| (t * 7 % 12 + i, [Said::Value(t), Said::Value(t % 50), Said::Value(t)]))
            .collect(),
    };
    let mut steps: Vec<(Step, i64)> = (0..3000).map(|t| (step(t), 0)).collect();
    db.store_updates(steps.iter().map(|(step, i)| update(step, *i)).collect()).unwrap();
    db.build_keyframes().unwrap();
    let keyframes = |db: &SimulationDatabase| {
        let found =
            db.database().sql("SELECT count(*), max(timestamp) FROM simulation_keyframe").unwrap();
        format!("{:?}", found.rows[0])
    };
    let before = keyframes(&db);
    assert!(!before.contains("Integer(0)"), "{before}");
    let check = |steps: &[(Step, i64)], times: &[i64]| {
        for (group, name) in GROUPS.into_iter().enumerate() {
            let mut cursor = db.cursor("net", name, times[0]).unwrap();
            for time in times {
                cursor.move_to(*time).unwrap();
                compare(&db, &cursor.state(), &model(steps, group, *time));
            }
        }
    };
    check(&steps, &[5999, 0, 3001, 3000, 2999, 511, 512, 513, 5000, -1, 7000]);
    // A late update changes every state after it.
    let late = (Step { timestamp: 2001, ..step(77) }, 0);
    db.store(update(&late.0, 0)).unwrap();
    steps.push(late);
    assert_ne!(keyframes(&db), before);
    check(&steps, &[5999, 2000, 2001, 2002, 0, 4000]);
    db.build_keyframes().unwrap();
    check(&steps, &[5999, 2000, 2001, 2002, 0, 4000]);
    // So does a user's own SQL.
    let path = db.database().path().to_owned();
    let status = std::process::Command::new("python3")
        .arg("-c")
        .arg("import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA foreign_keys=ON'); \
              c.execute('DELETE FROM \"update\" WHERE timestamp BETWEEN 1000 AND 1998'); c.commit()")
        .arg(&path)
        .status();
    if status.is_ok_and(|s| s.success()) {
        steps.retain(|(step, _)| !(1000..=1998).contains(&step.timestamp));
        check(&steps, &[5999, 999, 1500, 2000]);
    } else {
        eprintln!("skipped: no python3 to write with another SQLite");
    }
}

/// Goal: stepping visits each change of the group once, forwards and backwards.
#[test]
fn steps_go_from_change_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let db = SimulationDatabase::open(folder.path().join("run.db")).unwrap();
    for (t, group) in [(0, 0), (5, 1), (7, 0), (7, 1), (9, 1), (20, 0)] {
        let entities = BTreeMap::from([(1, [Said::Value(t), Said::Nothing, Said::Nothing])]);
        db.store(update(&Step { timestamp: t, group, entities }, group as i64)).unwrap();
    }
    let mut cursor = db.cursor("net", "roads", -1).unwrap();
    let mut forwards = Vec::new();
    while let Some(t) = cursor.next_change().unwrap() {
        forwards.push(t);
    }
    assert_eq!(forwards, [0, 7, 20]);
    let mut backwards = Vec::new();
    while let Some(t) = cursor.previous_change().unwrap() {
        backwards.push(t);
    }
    assert_eq!(backwards, [7, 0, -1]);
    assert!(!cursor.state().column("x").unwrap().is_defined(0));
    assert!(db.cursor("net", "nowhere", 0).is_err());
    assert!(db.cursor("nowhere", "roads", 0).is_err());
}
