//! The memory store against plain maps, whatever is done in whatever order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use siltstone::memory::{
    Direction, EpisodeUpdate, Filter, Limit, MemoryStore, Metric, NewConcept, NewEpisode,
    NewRelationship, Payload, SampleMode, SampleOptions, SearchOptions,
};
use siltstone::{Array, Error, Value};

const CONTEXTS: [&str; 3] = ["maze", "", "ß'\""];
const NAMES: [&str; 4] = ["a", "B", "a_b", "%"];
const SCORES: [f64; 5] = [0.0, -0.0, 0.5, -1e300, f64::INFINITY];
const PRIORITIES: [f64; 4] = [0.0, 0.25, 1.0, 7.0];
/// Vectors of equal and of different likeness, in single precision and not.
const VECTORS: [[f64; 3]; 6] = [
    [1.0, 0.0, 0.0],
    [0.1, 0.2, -0.3],
    [0.1, 0.2, -0.3000000000000001],
    [0.0, 0.0, 0.0],
    [-5e20, 1.0, 2.0],
    [1e-200, 2e-200, 0.0],
];

#[derive(Debug, Clone)]
enum Act {
    Store(Vec<(usize, i64, usize, Option<usize>)>),
    Update(usize, usize, usize),
    Delete(usize),
    Priority(usize, usize),
    Concept(usize, usize),
    DeleteConcept(usize),
    Edge(usize, usize, usize),
    Limit(usize, Option<u64>),
    Prune,
    /// A caller's own SQL.
    Sql(usize),
    /// Acts in one transaction, which is committed or not.
    Together(Vec<Act>, bool),
    Reopen,
    Compact,
    Check,
}

fn act() -> impl Strategy<Value = Act> {
    let episode = (0..CONTEXTS.len(), 0i64..6, 0..SCORES.len(), prop::option::of(0..VECTORS.len()));
    let (which, name) = (0..40usize, 0..NAMES.len());
    let simple = prop_oneof![
        6 => prop::collection::vec(episode, 1..4).prop_map(Act::Store),
        2 => (which.clone(), 0..CONTEXTS.len(), 0..SCORES.len()).prop_map(|(w, c, s)| Act::Update(w, c, s)),
        2 => which.clone().prop_map(Act::Delete),
        2 => (which.clone(), 0..PRIORITIES.len()).prop_map(|(w, p)| Act::Priority(w, p)),
        3 => (name.clone(), 0..VECTORS.len()).prop_map(|(n, v)| Act::Concept(n, v)),
        1 => name.clone().prop_map(Act::DeleteConcept),
        2 => (name.clone(), name, 0..SCORES.len() - 1).prop_map(|(a, b, s)| Act::Edge(a, b, s)),
        1 => (0..CONTEXTS.len(), prop::option::of(0u64..4)).prop_map(|(c, n)| Act::Limit(c, n)),
        1 => Just(Act::Prune),
        1 => which.prop_map(Act::Sql),
        3 => Just(Act::Check),
    ];
    prop_oneof![
        8 => simple.clone(),
        1 => (prop::collection::vec(simple, 1..5), any::<bool>()).prop_map(|(a, c)| Act::Together(a, c)),
        1 => Just(Act::Reopen),
        1 => Just(Act::Compact),
    ]
}

#[derive(Debug, Clone)]
struct Episode {
    context: usize,
    time: i64,
    score: f64,
    vector: Option<usize>,
    priority: f64,
}

/// What should be there.
#[derive(Debug, Clone, Default)]
struct Model {
    episodes: BTreeMap<i64, Episode>,
    concepts: BTreeMap<i64, (usize, usize)>,
    edges: BTreeMap<(i64, i64), f64>,
    limits: BTreeMap<usize, u64>,
}

impl Model {
    fn id(&self, which: usize) -> Option<i64> {
        self.episodes.keys().nth(which % self.episodes.len().max(1)).copied()
    }

    fn concept(&self, name: usize) -> Option<i64> {
        self.concepts.iter().find(|(_, (known, _))| *known == name).map(|(id, _)| *id)
    }

    /// The episodes of a context, the latest first.
    fn of(&self, context: usize) -> Vec<i64> {
        let mut ids: Vec<i64> =
            self.episodes.iter().filter(|(_, e)| e.context == context).map(|(id, _)| *id).collect();
        ids.sort_by_key(|id| std::cmp::Reverse((self.episodes[id].time, *id)));
        ids
    }

    fn keep(&mut self, context: usize) {
        if let Some(most) = self.limits.get(&context) {
            for id in self.of(context).into_iter().skip(*most as usize) {
                self.episodes.remove(&id);
            }
        }
    }
}

fn vector(which: usize) -> Array {
    Array::from_slice(&VECTORS[which])
}

/// Does an act by a store and in the model.
fn work(store: &MemoryStore, model: &mut Model, act: &Act) -> Result<(), Error> {
    match act {
        Act::Store(rows) => {
            let episodes = rows.iter().map(|(context, time, score, embedding)| {
                let episode = NewEpisode::new(*time, SCORES[*score], CONTEXTS[*context])
                    .timestamp(*time as f64)
                    .metadata(format!(r#"{{"time": {time}}}"#));
                embedding.map_or(episode.clone(), |which| episode.embedding(vector(which)))
            });
            let ids = store.store_episodes(episodes.collect())?;
            for (id, (context, time, score, vector)) in ids.into_iter().zip(rows) {
                assert!(model.episodes.last_key_value().is_none_or(|(last, _)| id > *last));
                let score = SCORES[*score];
                let episode = Episode {
                    context: *context,
                    time: *time,
                    score,
                    vector: *vector,
                    priority: 1.0,
                };
                model.episodes.insert(id, episode);
            }
            rows.iter().for_each(|(context, ..)| model.keep(*context));
        }
        Act::Update(which, context, score) => {
            let Some(id) = model.id(*which) else { return Ok(()) };
            let update = EpisodeUpdate {
                performance_score: Some(SCORES[*score]),
                context_hash: Some(CONTEXTS[*context].into()),
                ..EpisodeUpdate::default()
            };
            assert!(store.update_episode(id, update)?);
            let episode = model.episodes.get_mut(&id).unwrap();
            (episode.score, episode.context) = (SCORES[*score], *context);
            model.keep(*context);
        }
        Act::Delete(which) => {
            let Some(id) = model.id(*which) else { return Ok(()) };
            assert_eq!(store.delete_episodes(&[id, -1])?, 1);
            model.episodes.remove(&id);
        }
        Act::Priority(which, priority) => {
            let Some(id) = model.id(*which) else { return Ok(()) };
            let priority = PRIORITIES[*priority];
            assert!(store.update_priorities(&[id, -1], &[priority, 1.0]).is_err());
            store.update_priorities(&[id], &[priority])?;
            model.episodes.get_mut(&id).unwrap().priority = priority;
        }
        Act::Concept(name, which) => {
            let id = store.store_concept(NewConcept::new(NAMES[*name], vector(*which)))?;
            assert!(model.concept(*name).is_none_or(|known| known == id));
            model.concepts.insert(id, (*name, *which));
        }
        Act::DeleteConcept(name) => {
            let Some(id) = model.concept(*name) else { return Ok(()) };
            assert_eq!(store.delete_concepts(&[id])?, 1);
            model.concepts.remove(&id);
            model.edges.retain(|(a, b), _| *a != id && *b != id);
        }
        Act::Edge(a, b, strength) => {
            let (Some(a), Some(b)) = (model.concept(*a), model.concept(*b)) else { return Ok(()) };
            let strength = SCORES[*strength];
            store.add_concept_relationship(NewRelationship {
                source_id: a,
                target_id: b,
                relationship_type: "near".into(),
                strength,
            })?;
            model.edges.insert((a, b), strength);
        }
        Act::Limit(context, capacity) => {
            let limit = capacity.map(|n| Limit { capacity: Some(n), ..Limit::default() });
            store.set_limit(Some(CONTEXTS[*context]), limit)?;
            match capacity {
                Some(n) => drop(model.limits.insert(*context, *n)),
                None => drop(model.limits.remove(context)),
            }
        }
        Act::Prune => {
            let would = store.prune(true)?;
            let gone: u64 = would.iter().map(|pruned| pruned.evicted).sum();
            let before = model.episodes.len();
            (0..CONTEXTS.len()).for_each(|context| model.keep(context));
            assert_eq!(gone, (before - model.episodes.len()) as u64);
            assert_eq!(store.prune(false)?, would);
        }
        Act::Sql(which) => {
            let Some(id) = model.id(*which) else { return Ok(()) };
            let db = store.database();
            let sql =
                "UPDATE episodes SET timestamp = 3.0, metadata = '{\"time\": 3}' WHERE id = ?";
            db.transaction(|| db.execute(sql, &[Value::Integer(id)]))?;
            model.episodes.get_mut(&id).unwrap().time = 3;
        }
        Act::Together(..) | Act::Reopen | Act::Compact | Act::Check => {}
    }
    Ok(())
}

/// How near a vector is, and whether two of them can be told apart.
fn likeness(metric: Metric, which: usize, query: &[f64; 3]) -> f64 {
    let row = &VECTORS[which];
    let unit = |v: &[f64; 3]| {
        let largest = v.iter().fold(0f64, |m, x| m.max(x.abs()));
        let scaled = v.map(|x| if largest > 0.0 { x / largest } else { 0.0 });
        let length = scaled.iter().map(|x| x * x).sum::<f64>().sqrt();
        scaled.map(|x| if length > 0.0 { x / length } else { 0.0 })
    };
    let dot = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    match metric {
        Metric::Cosine => dot(&unit(row), &unit(query)),
        Metric::Dot => dot(row, query),
        _ => -row.iter().zip(query).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt(),
    }
}

/// Holds hits against all that could be found: as many, each with its score, none better left out.
fn check_hits(
    found: &[(i64, f64)],
    all: &BTreeMap<i64, usize>,
    metric: Metric,
    query: &[f64; 3],
    k: usize,
) {
    assert_eq!(found.len(), k.min(all.len()));
    let sign = if metric == Metric::L2 { -1.0 } else { 1.0 };
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * a.abs().max(b.abs()).max(1e-200);
    let mut best: Vec<f64> = all.values().map(|which| likeness(metric, *which, query)).collect();
    best.sort_by(|a, b| b.total_cmp(a));
    for ((id, score), best) in found.iter().zip(best) {
        let own = likeness(metric, all[id], query);
        assert!(close(own, sign * score), "{metric:?} {id}: {own} {score}");
        assert!(close(own, best), "{metric:?} {id}: {own} where {best} is the best left");
    }
}

fn check(store: &MemoryStore, model: &Model) {
    let stats = store.stats().unwrap();
    let counts = (stats.episodes, stats.concepts, stats.concept_relationships);
    let want = (model.episodes.len(), model.concepts.len(), model.edges.len());
    assert_eq!(counts, (want.0 as u64, want.1 as u64, want.2 as u64));
    for (which, context) in CONTEXTS.iter().enumerate() {
        for least in [None, Some(0.0), Some(0.5)] {
            let found = store.episodes_by_context(context, 5, least).unwrap();
            let mut want = model.of(which);
            want.retain(|id| least.is_none_or(|least| model.episodes[id].score >= least));
            want.truncate(5);
            assert_eq!(found.iter().map(|e| e.id).collect::<Vec<_>>(), want);
            for episode in found {
                let known = &model.episodes[&episode.id];
                // SQLite keeps no sign of a zero.
                assert_eq!(episode.performance_score, known.score);
                assert_eq!(episode.timestamp, known.time as f64);
                assert!(matches!(episode.data().unwrap(), Payload::Int(_)));
            }
        }
    }
    for id in model.concepts.keys() {
        let mut want: Vec<(i64, f64)> = (model.edges.iter())
            .filter(|((source, _), _)| source == id)
            .map(|((_, target), strength)| (*target, *strength))
            .collect();
        want.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
        let found = store.concept_relationships(*id, Some("near"), Direction::Outgoing).unwrap();
        let found: Vec<(i64, f64)> = found.iter().map(|e| (e.concept_id, e.strength)).collect();
        assert_eq!(found, want);
    }
    for (query, metric) in
        [(VECTORS[1], Metric::Cosine), ([1.0, -2.0, 0.5], Metric::Dot), (VECTORS[5], Metric::L2)]
    {
        let options = SearchOptions { metric, ..SearchOptions::default() };
        let all = model.concepts.iter().map(|(id, (_, which))| (*id, *which)).collect();
        let found = store.search_similar(&Array::from_slice(&query), 3, &options).unwrap();
        let found: Vec<_> = found.iter().map(|hit| (hit.item.id, hit.score)).collect();
        check_hits(&found, &all, metric, &query, 3);
        let options = SearchOptions {
            filter: Some(Filter::parse(r#"{"time": {"gte": 2}}"#).unwrap()),
            until: Some(5.0),
            ..options
        };
        let all = (model.episodes.iter())
            .filter(|(_, e)| (2..5).contains(&e.time))
            .filter_map(|(id, e)| Some((*id, e.vector?)))
            .collect();
        let found = store.search_similar_episodes(&Array::from_slice(&query), 4, &options).unwrap();
        let found: Vec<_> = found.iter().map(|hit| (hit.item.id, hit.score)).collect();
        check_hits(&found, &all, metric, &query, 4);
    }
    let all: Vec<i64> = model.episodes.keys().copied().collect();
    let options = SampleOptions { mode: SampleMode::Uniform, seed: Some(1), ..Default::default() };
    let sample = store.sample_episodes(usize::MAX >> 8, &options).unwrap();
    let mut sampled: Vec<i64> = sample.episodes.iter().map(|e| e.id).collect();
    sampled.sort();
    assert_eq!(sampled, all);
    let context = 0;
    let options = SampleOptions {
        alpha: 0.5,
        beta: 1.0,
        context_hash: Some(CONTEXTS[context].into()),
        seed: Some(2),
        ..SampleOptions::default()
    };
    let masses: BTreeMap<i64, f64> = (model.episodes.iter())
        .filter(|(_, e)| e.context == context)
        .map(|(id, e)| (*id, e.priority.sqrt()))
        .collect();
    let total: f64 = masses.values().sum();
    match store.sample_episodes(7, &options) {
        Err(Error::Invalid { .. }) => assert_eq!(total, 0.0),
        sample => {
            let sample = sample.unwrap();
            assert_eq!(sample.episodes.len(), 7);
            let least = masses.values().copied().filter(|m| *m > 0.0).fold(f64::MAX, f64::min);
            for (i, episode) in sample.episodes.iter().enumerate() {
                let mass = masses[&episode.id];
                assert!(mass > 0.0);
                assert!((sample.probabilities[i] - mass / total).abs() < 1e-12);
                assert!((sample.weights[i] - least / mass).abs() < 1e-9);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Goal: whatever is stored, changed, removed, undone, compacted and reopened, by two handles in turn, what is found is what plain
    /// maps hold: orders, limits, searches by two copies in memory, samples.
    #[test]
    fn a_memory_is_what_maps_hold(acts in prop::collection::vec(act(), 1..50)) {
        let folder = tempfile::tempdir().unwrap();
        let open = || MemoryStore::open(folder.path().join("agent.db")).unwrap();
        let mut stores = [open(), open()];
        let mut model = Model::default();
        for (turn, act) in acts.iter().enumerate() {
            let store = &stores[turn % 2];
            match act {
                Act::Check => stores.iter().for_each(|store| check(store, &model)),
                Act::Reopen => stores = [open(), open()],
                Act::Compact => drop(store.compact(&mut |_, _| Ok(())).unwrap()),
                Act::Together(acts, commits) => {
                    let mut inside = model.clone();
                    let done = store.database().transaction(|| {
                        acts.iter().try_for_each(|act| work(store, &mut inside, act))?;
                        check(store, &inside);
                        match commits {
                            true => Ok(()),
                            false => Err(Error::Interrupted { action: "testing" }),
                        }
                    });
                    prop_assert_eq!(done.is_ok(), *commits);
                    if *commits {
                        model = inside;
                    }
                }
                act => work(store, &mut model, act).unwrap(),
            }
        }
        stores.iter().for_each(|store| check(store, &model));
        check(&open(), &model);
        prop_assert!(stores[0].database().verify().unwrap().is_ok());
    }
}
