//! The demo's agent: it walks through the rooms of a house, remembers what it has seen, and finds out by a dim view where
//! it is.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use siltstone::Array;
use siltstone::memory::{
    GraphOptions, MemoryStore, NewConcept, NewEpisode, Payload, RecallOptions, RecallWeights,
    SearchOptions,
};

use super::counts_none;
use super::random::Random;
use crate::exit::Outcome;

/// Rooms in a row, and rows.
const HOUSE: (usize, usize) = (8, 5);
const STEPS: usize = 2_000;
/// Numbers of a view.
const VIEW: usize = 32;
/// How often the agent is put somewhere with its eyes half closed.
const TRIES: usize = 200;
const CONTEXT: &str = "demo house";

/// What was remembered.
pub(super) struct Agent {
    pub(super) file: PathBuf,
    pub(super) episodes: u64,
    pub(super) took: Duration,
    pub(super) relationships: u64,
    /// How often the nearest memories named the room, and how long one search took: the median.
    pub(super) right: usize,
    pub(super) tries: usize,
    pub(super) searched: Duration,
    /// Where the agent stands in the end.
    pub(super) room: usize,
    /// Room, score, and its terms, of what is worth recalling there.
    pub(super) recalled: Vec<(i64, f64, [f64; 3])>,
}

/// Whether a file is the memories of an earlier demo, and nothing else.
pub(super) fn is_demo(file: &Path) -> bool {
    let sql = "SELECT (SELECT count(*) FROM episodes WHERE context_hash <> 'demo house') \
        + (SELECT count(*) FROM concepts WHERE name NOT LIKE 'room %') \
        + (SELECT count(*) FROM learning_events)";
    MemoryStore::open_read_only(file)
        .and_then(|db| counts_none(db.database(), sql))
        .unwrap_or(false)
}

/// Walks, remembers, and is put somewhere.
pub(super) fn record(file: PathBuf, seed: u64) -> Outcome<Agent> {
    let mut random = Random::new(seed);
    let rooms = HOUSE.0 * HOUSE.1;
    let views: Vec<Vec<f32>> = (0..rooms).map(|_| view(&mut random)).collect();
    let berries: Vec<f64> = (0..rooms).map(|_| random.unit()).collect();
    let store = MemoryStore::open(&file)?;
    store.create_tables()?;

    let start = Instant::now();
    let mut room = 0;
    for step in 0..STEPS {
        let seen = Array::from_slice(&dim(&views[room], 0.3, &mut random));
        let found = berries[room] * (0.8 + 0.4 * random.unit());
        let experience = Payload::map([
            ("view", Payload::from(seen.clone())),
            ("room", Payload::from(room as i64)),
            ("step", Payload::from(step as i64)),
        ]);
        let episode = NewEpisode::new(experience, found.min(1.0), CONTEXT)
            .metadata(json!({ "room": room }).to_string())
            .embedding(seen);
        store.store_episode(episode)?;
        room = next_room(room, &mut random);
    }
    let took = start.elapsed();

    let concept = |(i, view): (usize, &Vec<f32>)| {
        NewConcept::new(format!("room {i}"), Array::from_slice(view))
    };
    store.store_concepts(views.iter().enumerate().map(concept).collect())?;
    let graph = store.build_similarity_graph(&GraphOptions { k: Some(3), ..Default::default() })?;

    let (mut right, mut times) = (0, Vec::with_capacity(TRIES));
    for _ in 0..TRIES {
        let room = random.below(rooms);
        let seen = Array::from_slice(&dim(&views[room], 1.6, &mut random));
        let start = Instant::now();
        let near = store.search_similar_episodes(&seen, 5, &SearchOptions::default())?;
        times.push(start.elapsed());
        let mut votes = vec![0; rooms];
        for hit in &near {
            votes[room_of(&hit.item.data()?) as usize] += 1;
        }
        right += usize::from((0..rooms).all(|other| other == room || votes[other] < votes[room]));
    }
    times.sort();

    let seen = Array::from_slice(&dim(&views[room], 0.3, &mut random));
    let mut recalled = Vec::new();
    let weights = RecallWeights { recency: 0.2, importance: 0.5, relevance: 3.0 };
    let options = RecallOptions { weights, ..RecallOptions::default() };
    for memory in store.recall(&seen, 3, &options)? {
        let terms = [memory.recency, memory.importance, memory.relevance];
        recalled.push((room_of(&memory.episode.data()?), memory.score, terms));
    }
    let episodes = store.stats()?.episodes;
    drop(store);
    let searched = times[TRIES / 2];
    let (relationships, tries) = (graph.relationships, TRIES);
    Ok(Agent { file, episodes, took, relationships, right, tries, searched, room, recalled })
}

impl Agent {
    pub(super) fn document(&self) -> Value {
        json!({
            "path": self.file.display().to_string(),
            "episodes": self.episodes,
            "seconds": self.took.as_secs_f64(),
            "relationships": self.relationships,
            "tries": self.tries,
            "right": self.right,
            "search_median_seconds": self.searched.as_secs_f64(),
        })
    }
}

fn view(random: &mut Random) -> Vec<f32> {
    (0..VIEW).map(|_| (random.unit() - 0.5) as f32).collect()
}

/// A view with so much of another one in it.
fn dim(view: &[f32], dimness: f32, random: &mut Random) -> Vec<f32> {
    view.iter().map(|x| x + dimness * (random.unit() as f32 - 0.5)).collect()
}

/// A door away.
fn next_room(room: usize, random: &mut Random) -> usize {
    let (x, y) = (room % HOUSE.0, room / HOUSE.0);
    let (x, y) = match random.below(4) {
        0 => (x.saturating_sub(1), y),
        1 => ((x + 1).min(HOUSE.0 - 1), y),
        2 => (x, y.saturating_sub(1)),
        _ => (x, (y + 1).min(HOUSE.1 - 1)),
    };
    y * HOUSE.0 + x
}

fn room_of(experience: &Payload) -> i64 {
    match experience.get("room") {
        Some(Payload::Int(room)) => *room,
        _ => 0,
    }
}
