//! The memory store: the documented calls, from Rust.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use siltstone::memory::{
    ConceptUpdate, Direction, EpisodeUpdate, MemoryStore, NewConcept, NewEpisode, NewLearningEvent,
    NewRelationship, Payload, SampleOptions,
};
use siltstone::{Array, Database, Error, Value};

pub(crate) fn store() -> (tempfile::TempDir, MemoryStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::open(folder.path().join("agent.db")).unwrap();
    (folder, store)
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn numbers(n: usize) -> Array {
    Array::from_slice(&(0..n).map(|i| i as f64 * 0.5 - 3.0).collect::<Vec<_>>())
}

fn edge(source_id: i64, target_id: i64, kind: &str, strength: f64) -> NewRelationship {
    NewRelationship { source_id, target_id, relationship_type: kind.into(), strength }
}

/// Goal: what an episode was comes back as it was, and is found by context and by time in a total order.
#[test]
fn episodes_come_back_in_the_documented_orders() {
    let (_folder, store) = store();
    let image = numbers(12).reshape(vec![2, 2, 3]).unwrap();
    let seen = Payload::map([
        ("observation", image.clone().into()),
        ("action", "move_forward".into()),
        ("reward", 1.0.into()),
    ]);
    let episode =
        NewEpisode::new(seen.clone(), 0.85, "level_1").metadata(r#"{"difficulty": "medium"}"#);
    let id = store.store_episode(episode).unwrap();
    let back = store.retrieve_episode(id).unwrap().unwrap();
    assert_eq!(back.data().unwrap(), seen);
    assert_eq!((back.performance_score, back.context_hash.as_str()), (0.85, "level_1"));
    assert_eq!(back.metadata, r#"{"difficulty": "medium"}"#);
    assert!((back.timestamp - seconds()).abs() < 60.0);
    assert!(store.retrieve_episode(id + 1).unwrap().is_none());

    let at = |time: f64, score: f64| NewEpisode::new(time, score, "level_2").timestamp(time);
    let ids =
        store.store_episodes(vec![at(5.0, 0.1), at(7.0, 0.9), at(7.0, 0.8), at(6.0, 0.7)]).unwrap();
    let found = |limit, least| {
        let found = store.episodes_by_context("level_2", limit, least).unwrap();
        found.into_iter().map(|episode| episode.id - ids[0]).collect::<Vec<_>>()
    };
    assert_eq!(found(100, None), [2, 1, 3, 0]);
    assert_eq!(found(100, Some(0.8)), [2, 1]);
    assert_eq!(found(1, Some(0.75)), [2]);
    assert_eq!(found(0, None), [0i64; 0]);
    assert_eq!(found(usize::MAX, None).len(), 4);
    let soon = store.store_episode(at(seconds() + 1000.0, 0.0)).unwrap();
    let recent: Vec<i64> =
        store.recent_episodes(3600.0, 100).unwrap().iter().map(|episode| episode.id).collect();
    assert_eq!(recent, [soon, id]);
    assert_eq!(store.recent_episodes(f64::INFINITY, 100).unwrap().len(), 6);
}

/// Goal: a concept is one name; it is counted when it is asked for by name, and by nothing else.
#[test]
fn concepts_are_found_by_name_and_counted() {
    let (_folder, store) = store();
    let concept = |name: &str| NewConcept::new(name, numbers(8)).creation_time(10.0);
    let id = store.store_concept(concept("neural_network").metadata(r#"{"a": 1}"#)).unwrap();
    let other = store.store_concept(concept("Neural").creation_time(11.0)).unwrap();
    assert_eq!(store.store_concept(concept("neural_network").creation_time(99.0)).unwrap(), id);
    let again = store.retrieve_concept(id).unwrap().unwrap();
    assert_eq!((again.creation_time, again.access_count, again.metadata.as_str()), (10.0, 0, "{}"));
    assert!(again.last_accessed > 1e9);
    assert_eq!(again.vector().unwrap(), numbers(8));
    let asked = store.retrieve_concept_by_name("neural_network").unwrap().unwrap();
    assert_eq!(asked.access_count, 1);
    assert_eq!(store.retrieve_concept(id).unwrap().unwrap(), asked);
    assert!(store.retrieve_concept_by_name("nothing").unwrap().is_none());
    let names = |query: &str| {
        let found = store.search_concepts(query, 10).unwrap();
        found.into_iter().map(|concept| concept.id).collect::<Vec<_>>()
    };
    assert_eq!(names("NEURAL"), [id, other], "the one that was asked for comes first");
    assert_eq!(names("l_n"), [id], "an underscore is any character");
    assert_eq!(names(""), [id, other]);
    store.store_concept(concept("third").creation_time(11.0)).unwrap();
    assert_eq!(names("%"), [id, other, other + 1], "of one time, in the order of storing");
    assert!(
        store
            .update_concept(
                other,
                ConceptUpdate { name: Some("renamed".into()), ..Default::default() }
            )
            .unwrap()
    );
    let taken = store
        .update_concept(other, ConceptUpdate { name: Some("third".into()), ..Default::default() });
    assert!(matches!(taken, Err(Error::Exists { .. })), "{taken:?}");
    assert_eq!(names("renamed"), [other]);
}

/// Goal: edges are one for each pair and type, come by strength, in both directions, and never lead to nothing.
#[test]
fn relationships_lead_from_one_concept_to_another() {
    let (_folder, store) = store();
    let ids: Vec<i64> = ["a", "b", "c"]
        .iter()
        .map(|name| store.store_concept(NewConcept::new(*name, numbers(2))).unwrap())
        .collect();
    let (a, b, c) = (ids[0], ids[1], ids[2]);
    let add = |source, target, kind: &str, strength| {
        store.add_concept_relationship(edge(source, target, kind, strength))
    };
    add(a, b, "similar_to", 0.8).unwrap();
    add(a, c, "part_of", 0.9).unwrap();
    add(a, c, "similar_to", 0.8).unwrap();
    add(a, b, "similar_to", 0.5).unwrap();
    add(a, a, "similar_to", 128.0).unwrap();
    let of = |id, kind, direction| {
        let found = store.concept_relationships(id, kind, direction).unwrap();
        found
            .into_iter()
            .map(|e| (e.concept_id, e.relationship_type, e.strength))
            .collect::<Vec<_>>()
    };
    let edge_of = |id: i64, kind: &str, strength: f64| (id, kind.to_owned(), strength);
    assert_eq!(
        of(a, None, Direction::Outgoing),
        [
            edge_of(a, "similar_to", 128.0),
            edge_of(c, "part_of", 0.9),
            edge_of(c, "similar_to", 0.8),
            edge_of(b, "similar_to", 0.5)
        ]
    );
    assert_eq!(of(a, Some("part_of"), Direction::Outgoing), [edge_of(c, "part_of", 0.9)]);
    assert_eq!(
        of(c, None, Direction::Incoming),
        [edge_of(a, "part_of", 0.9), edge_of(a, "similar_to", 0.8)]
    );
    assert_eq!(of(77, None, Direction::Outgoing), []);
    for (source, target, kind, strength) in [
        (a, 77, "x", 1.0),
        (77, a, "x", 1.0),
        (a, b, "", 1.0),
        (a, b, "x", f64::NAN),
        (a, b, "x", f64::INFINITY),
    ] {
        assert!(
            add(source, target, kind, strength).is_err(),
            "{source} {target} {kind} {strength}"
        );
    }
    let all_or_none = vec![edge(a, b, "new", 1.0), edge(a, 77, "new", 1.0)];
    let error = store.add_concept_relationships(all_or_none).unwrap_err();
    assert!(error.to_string().contains("concept \"77\" is not in"), "{error}");
    assert_eq!(store.stats().unwrap().concept_relationships, 4);
    assert_eq!(store.delete_concept_relationships(a, c, Some("part_of")).unwrap(), 1);
    assert_eq!(store.delete_concepts(&[b]).unwrap(), 1);
    assert_eq!(of(a, None, Direction::Outgoing).len(), 2);
    assert!(store.database().verify().unwrap().is_ok());
}

/// Goal: strategies are ranked by what they brought, as documented and by the mean of all uses.
#[test]
fn strategies_are_ranked() {
    let (_folder, store) = store();
    let event = |delta: f64, strategy: &str| NewLearningEvent::new("vision", delta, strategy);
    let mut events =
        vec![event(0.5, "lucky"), event(0.2, "b"), event(0.2, "a"), event(0.4, "steady")];
    events.extend((0..9).map(|_| event(-1.0, "lucky")));
    events.push(event(0.2, "b").timestamp(5.0).parameters(r#"{"rate": 0.1}"#));
    let ids = store.store_learning_events(events).unwrap();
    let ranked = |all| {
        let found = store.best_strategies("vision", 5, all).unwrap();
        found.into_iter().map(|s| (s.strategy, s.uses)).collect::<Vec<_>>()
    };
    let named = |names: [(&str, u64); 4]| names.map(|(name, n)| (name.to_owned(), n));
    assert_eq!(ranked(false), named([("lucky", 1), ("steady", 1), ("b", 2), ("a", 1)]));
    assert_eq!(ranked(true), named([("steady", 1), ("b", 2), ("a", 1), ("lucky", 10)]));
    let good = store.learning_events_by_task("vision", 100, Some(0.2)).unwrap();
    assert_eq!(good.len(), 5);
    assert_eq!(good[4].parameters, r#"{"rate": 0.1}"#);
    assert_eq!(good[0].id, ids[3]);
    assert_eq!(store.delete_learning_events(&ids[4..13]).unwrap(), 9);
    assert_eq!(ranked(true)[0].0, "lucky");
}

/// Goal: a transaction is all or nothing, whatever is called in it and through whatever handle; a part of it can fail alone;
/// others see nothing of it before it is committed, and its thread sees all.
#[test]
fn transactions_hold_what_is_called_in_them() {
    let (folder, store) = store();
    let other = MemoryStore::open(folder.path().join("agent.db")).unwrap();
    let db = store.database();
    let put = |store: &MemoryStore, score| store.store_episode(NewEpisode::new(score, score, "c"));
    let failed: Result<(), Error> = db.transaction(|| {
        put(&store, 0.1)?;
        put(&other, 0.2)?;
        assert_eq!(store.stats()?.episodes, 2);
        let seen =
            std::thread::scope(|s| s.spawn(|| other.stats().unwrap().episodes).join().unwrap());
        assert_eq!(seen, 0);
        assert!(store.add_concept_relationship(edge(1, 2, "x", 1.0)).is_err());
        Err(Error::Interrupted { action: "testing" })
    });
    assert!(failed.is_err());
    assert_eq!(store.stats().unwrap().episodes, 0);
    db.transaction(|| {
        put(&store, 0.1)?;
        let part: Result<(), Error> = other.database().transaction(|| {
            put(&store, 0.2)?;
            Err(Error::Interrupted { action: "testing" })
        });
        assert!(part.is_err());
        db.transaction(|| put(&store, 0.3))?;
        assert!(put(&store, f64::NAN).is_err());
        let a = store.store_concept(NewConcept::new("a", numbers(2)))?;
        let edges = vec![edge(a, a, "x", 1.0), edge(a, 77, "x", 1.0)];
        assert!(store.add_concept_relationships(edges).is_err());
        let vacuumed = db.vacuum().unwrap_err();
        assert!(vacuumed.to_string().contains("inside a transaction"), "{vacuumed}");
        Ok(())
    })
    .unwrap();
    let scores: Vec<f64> = store
        .episodes_by_context("c", 9, None)
        .unwrap()
        .iter()
        .map(|e| e.performance_score)
        .collect();
    assert_eq!(scores, [0.3, 0.1]);
    let stats = store.stats().unwrap();
    assert_eq!(
        (stats.concepts, stats.concept_relationships),
        (1, 0),
        "a call that fails leaves nothing"
    );
    assert!(!db.is_in_transaction() && !db.end_transaction());
    let panicked = std::panic::catch_unwind(|| {
        db.transaction(|| -> Result<(), Error> {
            put(&store, 0.4)?;
            panic!("on purpose")
        })
    });
    assert!(panicked.is_err() && !db.is_in_transaction());
    assert_eq!(store.stats().unwrap().episodes, 2);
    // A thread that ends with a transaction open gives the writer back.
    std::thread::scope(|s| {
        s.spawn(|| {
            std::mem::forget(db.begin().unwrap());
            put(&store, 0.5).unwrap();
        });
    });
    put(&store, 0.6).unwrap();
    assert_eq!(store.stats().unwrap().episodes, 3);
}

/// Goal: writes of other threads wait for a transaction, and all are there in the end.
#[test]
fn other_threads_wait_for_a_transaction() {
    let (_folder, store) = store();
    std::thread::scope(|s| {
        for thread in 0..4 {
            let store = &store;
            s.spawn(move || {
                for i in 0..25 {
                    let put = || store.store_episode(NewEpisode::new(i, thread as f64, "c"));
                    match i % 3 {
                        0 => drop(put().unwrap()),
                        1 => drop(
                            store.database().transaction(|| put().and_then(|_| put())).unwrap(),
                        ),
                        _ => {
                            let transaction = store.database().begin().unwrap();
                            put().unwrap();
                            transaction.roll_back().unwrap();
                        }
                    }
                }
            });
        }
    });
    assert_eq!(store.stats().unwrap().episodes, 4 * (9 + 2 * 8));
}

/// Goal: a caller's own SQL is part of the transaction, and can neither end it nor leave it.
#[test]
fn own_sql_runs_in_a_transaction_only() {
    let (folder, store) = store();
    store.create_tables().unwrap();
    let db = store.database();
    assert!(db.execute("DELETE FROM episodes", &[]).is_err());
    let insert = "INSERT INTO episodes (timestamp, experience_data, performance_score, context_hash) VALUES (?, ?, ?, ?)";
    let row = [
        Value::Real(1.0),
        Value::Blob(b"\x80\x04N.".to_vec()),
        Value::Real(0.5),
        Value::Text("c".into()),
    ];
    db.transaction(|| {
        let done = db.execute(insert, &row)?;
        assert_eq!((done.changes, done.last_id), (1, 1));
        let elsewhere = format!("ATTACH '{}' AS other", folder.path().join("x.db").display());
        for forbidden in
            ["COMMIT", "ROLLBACK", "SAVEPOINT a", "PRAGMA synchronous=OFF", &elsewhere, "SELEC"]
        {
            assert!(db.execute(forbidden, &[]).is_err(), "{forbidden}");
        }
        let found = db.execute("SELECT count(*) AS n FROM episodes", &[])?.found;
        assert_eq!((found.columns[0].as_str(), &found.rows[0][0]), ("n", &Value::Integer(1)));
        Ok(())
    })
    .unwrap();
    let pickled = store.retrieve_episode(1).unwrap().unwrap();
    assert_eq!(&pickled.experience_data[..], b"\x80\x04N.");
    assert!(pickled.data().unwrap_err().to_string().contains("pickle"));
    let report = db.verify().unwrap();
    assert!(report.is_ok() && report.without_checksum == 1, "{report:?}");
}

/// Goal: what changes is changed, what is removed is gone, and an id is never used again.
#[test]
fn episodes_are_changed_and_removed() {
    let (_folder, store) = store();
    let new = || NewEpisode::new(1.0, 0.5, "c").embedding(numbers(3)).priority(2.0);
    let ids = store.store_episodes(vec![new(), new()]).unwrap();
    let update = EpisodeUpdate {
        performance_score: Some(0.75),
        metadata: Some(r#"{"x": 1}"#.into()),
        experience: Some("other".into()),
        ..EpisodeUpdate::default()
    };
    assert!(store.update_episode(ids[0], update.clone()).unwrap());
    assert!(!store.update_episode(99, update).unwrap());
    let changed = store.retrieve_episode(ids[0]).unwrap().unwrap();
    assert_eq!((changed.performance_score, changed.data().unwrap()), (0.75, "other".into()));
    let nan = EpisodeUpdate { performance_score: Some(f64::NAN), ..EpisodeUpdate::default() };
    assert!(store.update_episode(ids[0], nan).is_err());
    assert_eq!(store.delete_episodes(&[ids[1], 99]).unwrap(), 1);
    assert_eq!(store.store_episode(new()).unwrap(), ids[1] + 1);
    let left = store.database().sql("SELECT count(*) FROM episode_embeddings").unwrap();
    assert_eq!(left.rows[0][0], Value::Integer(2));
    assert!(store.database().verify().unwrap().is_ok());
}

/// Goal: an embedding of more than one dimension is kept as it is, and no search takes it for a vector.
#[test]
fn an_embedding_of_two_dimensions_is_no_vector() {
    let (_folder, store) = store();
    let matrix = numbers(4).reshape(vec![2, 2]).unwrap();
    let id = store.store_concept(NewConcept::new("m", matrix.clone())).unwrap();
    store.store_concept(NewConcept::new("v", numbers(4))).unwrap();
    store.store_episode(NewEpisode::new(1.0, 0.5, "c").embedding(matrix.clone())).unwrap();
    assert_eq!(store.retrieve_concept(id).unwrap().unwrap().vector().unwrap(), matrix);
    let search = |vector: &Array| store.search_similar(vector, 5, &Default::default());
    let found = search(&numbers(4)).unwrap();
    assert_eq!(found.iter().map(|hit| hit.item.name.as_str()).collect::<Vec<_>>(), ["v"]);
    assert!(matches!(search(&matrix), Err(Error::Invalid { .. })));
    let update = ConceptUpdate { embedding: Some(numbers(4)), ..Default::default() };
    store.update_concept(id, update).unwrap();
    assert_eq!(search(&numbers(4)).unwrap().len(), 2);
    assert!(store.database().verify().unwrap().is_ok());
}

/// Goal: what cannot be stored is refused by name before anything is written.
#[test]
fn bad_input_is_refused_and_writes_nothing() {
    let (_folder, store) = store();
    store.create_tables().unwrap();
    let nan = Array::from_slice(&[1.0, f64::NAN]);
    let nothing = Array::from_slice::<f64>(&[]);
    let episode = |score: f64| NewEpisode::new(1.0, score, "c");
    let refused = [
        store.store_episode(episode(f64::NAN)),
        store.store_episode(episode(0.0).timestamp(f64::INFINITY)),
        store.store_episode(episode(0.0).metadata("[1]")),
        store.store_episode(episode(0.0).metadata("{")),
        store.store_episode(episode(0.0).embedding(nan.clone())),
        store.store_episode(episode(0.0).embedding(nothing.clone())),
        store.store_episode(episode(0.0).priority(-1.0)),
        store.store_concept(NewConcept::new("n", nan)),
        store.store_concept(NewConcept::new("e", nothing)),
        store.store_concept(NewConcept::new("t", Array::from_strs(&["a"]))),
        store.store_learning_event(NewLearningEvent::new("t", f64::NAN, "s")),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
    assert!(store.store_episodes(vec![episode(0.5), episode(f64::NAN)]).is_err());
    let stats = store.stats().unwrap();
    assert_eq!((stats.episodes, stats.concepts, stats.learning_events), (0, 0, 0));
    assert_eq!(stats.schema_version, 1);
}

/// Goal: no documented query sorts, or looks at a row that it does not return.
#[test]
fn documented_queries_are_served_by_indexes() {
    let (_folder, store) = store();
    store.create_tables().unwrap();
    for (sql, index) in [
        (
            "SELECT id, timestamp, experience_data FROM episodes WHERE context_hash = 'c' \
             ORDER BY timestamp DESC, id DESC LIMIT 5",
            "idx_episodes_context_hash",
        ),
        (
            "SELECT id, experience_data FROM episodes WHERE context_hash = 'c' AND performance_score >= 0.5 \
             ORDER BY timestamp DESC, id DESC LIMIT 5",
            "idx_episodes_context_hash",
        ),
        (
            "SELECT id, experience_data FROM episodes WHERE timestamp >= 5 ORDER BY timestamp DESC, id DESC LIMIT 5",
            "idx_episodes_timestamp",
        ),
        (
            "SELECT id, embedding FROM concepts WHERE name LIKE '%' || 'x' || '%' \
             ORDER BY access_count DESC, creation_time DESC, id LIMIT 5",
            "idx_concepts_access_count",
        ),
        (
            "SELECT target_concept_id, relationship_type, strength FROM concept_relationships \
             WHERE source_concept_id = 1 AND (NULL IS NULL OR relationship_type = NULL) \
             ORDER BY strength DESC, target_concept_id, relationship_type",
            "COVERING INDEX idx_concept_relationships_source",
        ),
        (
            "SELECT id, parameters FROM learning_events WHERE task_type = 't' AND performance_delta >= 0 \
             ORDER BY timestamp DESC, id DESC LIMIT 5",
            "idx_learning_events_task_type",
        ),
        (
            "SELECT strategy_used, avg(performance_delta), count(*) FROM learning_events \
             WHERE task_type = 't' AND performance_delta > 0 GROUP BY strategy_used",
            "COVERING INDEX idx_learning_events_strategy",
        ),
    ] {
        let plan = store.database().sql(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan = format!("{:?}", plan.rows);
        assert!(!plan.contains("TEMP B-TREE") && plan.contains(index), "{sql}\n{plan}");
    }
}

/// Goal: one byte of a payload that has changed is found when the row is read, and by the verification.
#[test]
fn a_flipped_byte_is_found() {
    let (folder, store) = store();
    let id =
        store.store_episode(NewEpisode::new(numbers(16), 0.5, "c").embedding(numbers(3))).unwrap();
    let concept = store.store_concept(NewConcept::new("a", numbers(4))).unwrap();
    let path = folder.path().join("agent.db");
    store.database().checkpoint().unwrap();
    drop(store);
    let db = Database::builder(&path).open().unwrap();
    for (table, column) in [
        ("episodes", "experience_data"),
        ("concepts", "embedding"),
        ("episode_embeddings", "embedding"),
    ] {
        let flip = format!(
            "UPDATE {table} SET {column} = CAST(substr({column}, 1, 20) || x'ff' || substr({column}, 22) AS BLOB)"
        );
        db.transaction(|| db.execute(&flip, &[])).unwrap();
    }
    let store = MemoryStore::over(db).unwrap();
    let read = store.retrieve_episode(id).unwrap_err().to_string();
    assert!(read.contains("episodes row 1") && read.contains("checksum"), "{read}");
    assert!(
        store.retrieve_concept(concept).is_err()
            && store.episodes_by_context("c", 1, None).is_err()
    );
    assert_eq!(store.database().verify().unwrap().findings.len(), 3);
}

/// Goal: a payload that one bit of the row's head made a text of the same bytes is found, and read as it was.
#[test]
fn a_payload_that_became_a_text_is_found() {
    let (folder, store) = store();
    let id =
        store.store_episode(NewEpisode::new(numbers(16), 0.5, "c").embedding(numbers(3))).unwrap();
    store.store_concept(NewConcept::new("a", numbers(4))).unwrap();
    let before = store.retrieve_episode(id).unwrap().unwrap();
    drop(store);
    let db = Database::builder(folder.path().join("agent.db")).open().unwrap();
    for (table, column) in [
        ("episodes", "experience_data"),
        ("concepts", "embedding"),
        ("episode_embeddings", "embedding"),
    ] {
        let change = format!("UPDATE {table} SET {column} = CAST({column} AS TEXT)");
        db.transaction(|| db.execute(&change, &[])).unwrap();
    }
    let store = MemoryStore::over(db).unwrap();
    let after = store.retrieve_episode(id).unwrap().unwrap();
    assert_eq!(after.experience_data, before.experience_data);
    let findings = store.database().verify().unwrap().findings;
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert!(findings.iter().all(|found| found.what.contains("is no blob")), "{findings:?}");
}

/// Goal: of vectors that are all alike, or nearly, those of the lowest ids are found, by blocks and by rows.
#[test]
fn equal_vectors_are_found_by_their_ids() {
    let (folder, store) = store();
    let like = |i: usize| [1.0f32, 2.0, if i == 900 { 3.000001 } else { 3.0 }];
    let concept = |i| NewConcept::new(format!("{i}"), Array::from_slice(&like(i)));
    store.store_concepts((1..=1000).map(concept).collect()).unwrap();
    let search = || {
        let store = MemoryStore::open(folder.path().join("agent.db")).unwrap();
        let query = Array::from_slice(&[0.0, 0.0, 1.0]);
        let hits = store.search_similar(&query, 3, &Default::default()).unwrap();
        hits.iter().map(|hit| hit.item.id).collect::<Vec<_>>()
    };
    assert_eq!(search(), [900, 1, 2]);
    assert_eq!(store.compact(&mut |_, _| Ok(())).unwrap().rows, 1000);
    assert_eq!(search(), [900, 1, 2]);
    store.delete_concepts(&[1, 900]).unwrap();
    assert_eq!(search(), [2, 3, 4]);
}

/// Goal: a handle whose file is put back to an earlier state by others, and goes on from there, searches what the file has
/// and not what it had.
#[test]
fn a_search_follows_a_file_that_was_put_back() {
    let (folder, store) = store();
    let path = folder.path().join("agent.db");
    let put = |x: f64, y: f64| {
        store.store_concept(NewConcept::new("a", Array::from_slice(&[x, y]))).unwrap();
    };
    let likeness = || {
        let hits = store.search_similar(&Array::from_slice(&[1.0, 0.0]), 1, &Default::default());
        hits.unwrap()[0].score
    };
    put(1.0, 0.0);
    let backup = folder.path().join("backup.db");
    store.database().backup(&backup).unwrap();
    put(0.0, 1.0);
    assert_eq!(likeness(), 0.0);
    siltstone::restore(&backup, &path, true).unwrap();
    assert_eq!(likeness(), 1.0);
    put(0.0, 1.0);
    assert_eq!(likeness(), 0.0);
    siltstone::restore(&backup, &path, true).unwrap();
    // As many changes as the handle has seen, and other ones.
    put(-1.0, 0.0);
    assert_eq!(likeness(), -1.0);
}

/// Goal: samples while others store and remove are of episodes that are there, as many as were asked for.
#[test]
fn draws_keep_up_with_writers() {
    let (_folder, store) = store();
    let new = |i: i64| NewEpisode::new(i, 0.5, ["a", "b"][i as usize % 2]);
    store.store_episodes((0..20).map(new).collect()).unwrap();
    let writing = AtomicUsize::new(2);
    std::thread::scope(|s| {
        for writer in 0..2 {
            let (store, writing) = (&store, &writing);
            s.spawn(move || {
                for i in 0..150 {
                    let id = store.store_episode(new(i)).unwrap();
                    match i % 3 {
                        0 if writer == 0 => drop(store.delete_episodes(&[id]).unwrap()),
                        1 => store.update_priorities(&[id], &[i as f64]).unwrap(),
                        _ => {}
                    }
                }
                writing.fetch_sub(1, Ordering::Release);
            });
        }
        for context in [None, Some("a"), Some("b")] {
            let (store, writing) = (&store, &writing);
            s.spawn(move || {
                let context_hash = context.map(str::to_owned);
                let options = SampleOptions { context_hash, ..SampleOptions::default() };
                while writing.load(Ordering::Acquire) > 0 {
                    let sampled = store.sample_episodes(8, &options).unwrap().episodes;
                    assert_eq!(sampled.len(), 8);
                    assert!(sampled.iter().all(|e| context.is_none_or(|c| c == e.context_hash)));
                }
            });
        }
    });
}
