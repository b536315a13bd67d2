//! The demo's agent: it walks through the rooms of a house, remembers what it has seen, and finds out by a dim view where
//! it is.

use std::path::Path;
use std::time::Instant;

use serde_json::json;
use siltstone::Array;
use siltstone::memory::{
    GraphOptions, MemoryStore, NewConcept, NewEpisode, Payload, RecallOptions, RecallWeights,
    SearchOptions,
};

use super::random::Random;
use super::show::{Scene, median};
use crate::exit::Outcome;
use crate::human;
use crate::table::Table;

/// Rooms in a row, and rows.
const HOUSE: (usize, usize) = (8, 5);
const ROOMS: usize = HOUSE.0 * HOUSE.1;
const STEPS: usize = 2_000;
/// Numbers of a view.
const VIEW: usize = 32;
/// How often the agent is put somewhere with its eyes half closed.
const TRIES: usize = 200;

/// Walks, remembers, and is put somewhere.
pub(super) fn record(file: &Path, seed: u64) -> Outcome<Scene> {
    let mut random = Random::new(seed);
    let views: Vec<Vec<f32>> =
        (0..ROOMS).map(|_| (0..VIEW).map(|_| (random.unit() - 0.5) as f32).collect()).collect();
    let berries: Vec<f64> = (0..ROOMS).map(|_| random.unit()).collect();
    let store = MemoryStore::open(file)?;
    store.create_tables()?;

    let start = Instant::now();
    let mut room = 0;
    for step in 0..STEPS {
        let seen = dim(&views[room], 0.3, &mut random);
        let found = berries[room] * (0.8 + 0.4 * random.unit());
        let experience = Payload::map([
            ("view", Payload::from(seen.clone())),
            ("room", Payload::from(room as i64)),
            ("step", Payload::from(step as i64)),
        ]);
        let episode = NewEpisode::new(experience, found.min(1.0), "demo house")
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
        let room = random.below(ROOMS);
        let seen = dim(&views[room], 1.6, &mut random);
        let start = Instant::now();
        let near = store.search_similar_episodes(&seen, 5, &SearchOptions::default())?;
        times.push(start.elapsed());
        let mut votes = [0; ROOMS];
        for hit in &near {
            votes[room_of(&hit.item.data()?) as usize] += 1;
        }
        right += usize::from((0..ROOMS).all(|other| other == room || votes[other] < votes[room]));
    }
    let searched = median(&mut times);

    let heading = format!("recalled in room {room}");
    let mut table = Table::new([&*heading, "score", "recency", "importance", "relevance"]);
    let weights = RecallWeights { recency: 0.2, importance: 0.5, relevance: 3.0 };
    let options = RecallOptions { weights, ..RecallOptions::default() };
    for memory in store.recall(&dim(&views[room], 0.3, &mut random), 3, &options)? {
        let mut row = vec![format!("room {}", room_of(&memory.episode.data()?))];
        let terms = [memory.score, memory.recency, memory.importance, memory.relevance];
        row.extend(terms.map(|x| format!("{x:.2}")));
        table.row(row);
    }
    let episodes = store.stats()?.episodes;
    let mut scene = Scene::new("An agent: it remembers the rooms of a house");
    let (episodes, each) =
        (human::plural(episodes, "episode"), human::duration(took / STEPS as u32));
    scene.fact("remembered", format!("{episodes} with what was seen, {each} each, safe at once"));
    scene.fact("lost", format!(
        "{right} of {TRIES} times the five nearest memories of a dim view say which room it is; a search takes {}",
        human::duration(searched),
    ));
    let relationships = human::plural(graph.relationships, "relationship");
    scene.fact("related", format!("each room with the three likest: {relationships}"));
    scene.line(format!("\n{table}"));
    Ok(scene)
}

/// A view with so much of another one in it.
fn dim(view: &[f32], dimness: f32, random: &mut Random) -> Array {
    let seen = view.iter().map(|x| x + dimness * (random.unit() as f32 - 0.5));
    Array::from(seen.collect::<Vec<f32>>())
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
