"""The examples of the memory store's description, with their import lines changed."""

import datetime
import json
import logging
import pickle
import time

import numpy as np
import pytest

from siltstone.memory import SQLiteStorage, SQLiteStorageError

logger = logging.getLogger(__name__)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sqlite_store():
    with SQLiteStorage(
        db_path="./data/godly_ai.db",
        backup_interval=3600,
        max_backups=24,
        enable_wal=True,
        connection_timeout=30.0,
    ) as store:
        yield store


def test_configuration():
    sqlite_store = SQLiteStorage(db_path="godly_ai.db")
    assert (sqlite_store.backup_interval, sqlite_store.max_backups) == (3600, 10)
    sqlite_store.close()


def test_episodes(sqlite_store, capsys):
    episode_id = sqlite_store.store_episode(
        experience_data={
            "observation": np.random.rand(84, 84, 3),
            "action": "move_forward",
            "reward": 1.0,
            "next_observation": np.random.rand(84, 84, 3),
        },
        performance_score=0.85,
        context_hash="navigation_task_level_1",
        timestamp=time.time(),
        metadata={"difficulty": "medium", "episode_length": 150},
    )
    episode = sqlite_store.retrieve_episode(episode_id)
    if episode:
        print(f"Episode {episode.id}: score={episode.performance_score}")
        print(f"Metadata: {episode.metadata}")
    assert "score=0.85" in capsys.readouterr().out
    assert episode.data["observation"].shape == (84, 84, 3)
    assert episode.metadata == {"difficulty": "medium", "episode_length": 150}
    for found in (
        sqlite_store.get_episodes_by_context(context_hash="navigation_task_level_1", limit=50, min_score=0.7),
        sqlite_store.get_recent_episodes(time_window=3600.0, limit=100),
    ):
        assert found == [episode]


def test_concepts(sqlite_store):
    ids = [
        sqlite_store.store_concept(
            name=name,
            embedding=np.random.rand(512),
            metadata={"category": "machine_learning", "confidence": 0.95},
            creation_time=time.time(),
        )
        for name in ("neural_network", "perceptron", "layer")
    ]
    concept = sqlite_store.retrieve_concept(ids[0])
    if concept:
        embedding = sqlite_store._deserialize_array(concept.embedding)
        assert embedding.shape == (512,) and concept.access_count == 0
    assert sqlite_store.retrieve_concept_by_name("neural_network").access_count == 1
    neural_concepts = sqlite_store.search_concepts("neural", limit=10)
    assert [found.name for found in neural_concepts] == ["neural_network"]
    success = sqlite_store.add_concept_relationship(
        source_id=ids[0], target_id=ids[1], relationship_type="similar_to", strength=0.8
    )
    sqlite_store.add_concept_relationship(source_id=ids[0], target_id=ids[2], relationship_type="part_of", strength=0.9)
    assert success is True
    relationships = sqlite_store.get_concept_relationships(ids[0])
    assert relationships == [(ids[2], "part_of", 0.9), (ids[1], "similar_to", 0.8)]
    similar = sqlite_store.get_concept_relationships(ids[0], relationship_type="similar_to")
    for target_id, rel_type, strength in similar:
        assert (target_id, rel_type, strength) == (ids[1], "similar_to", 0.8)


def test_learning_events(sqlite_store):
    sqlite_store.store_learning_event(
        task_type="image_classification",
        performance_delta=0.15,
        strategy_used="adam_optimizer",
        parameters={"learning_rate": 0.001, "batch_size": 32, "epochs": 10},
        timestamp=time.time(),
    )
    events = sqlite_store.get_learning_events_by_task(
        task_type="image_classification", limit=50, min_performance_delta=0.05
    )
    assert [(e.strategy_used, e.parameters["epochs"]) for e in events] == [("adam_optimizer", 10)]
    best = sqlite_store.get_best_strategies(task_type="image_classification", limit=5)
    for strategy, avg_delta, usage_count in best:
        assert (strategy, avg_delta, usage_count) == ("adam_optimizer", 0.15, 1)


def test_database_management(sqlite_store, tmp_path):
    sqlite_store.store_learning_event("t", 0.1, "s")
    backup_path = sqlite_store.create_backup()
    assert backup_path.parent.samefile(tmp_path / "data") and backup_path.exists()
    custom_backup = sqlite_store.create_backup("./backups/manual_backup.db")
    assert custom_backup.samefile(tmp_path / "backups" / "manual_backup.db")
    assert sqlite_store.vacuum_database() is True
    stats = sqlite_store.get_database_stats()
    assert stats["learning_events_count"] == 1 and stats["schema_version"] == 1
    assert stats["db_size_mb"] > 0
    assert sqlite_store.auto_backup_if_needed() is None


def test_errors_and_connections():
    invalid_data = object()
    with SQLiteStorage("test.db") as storage:
        with pytest.raises(SQLiteStorageError):
            storage.store_episode(experience_data=invalid_data, performance_score=0.8, context_hash="test")
        storage.store_episode(experience_data={"test": "data"}, performance_score=0.5, context_hash="test_context")


def test_batch_operations(sqlite_store):
    def store_multiple_episodes(episodes_data):
        with sqlite_store._transaction() as conn:
            for episode_data in episodes_data:
                conn.execute(
                    """
                    INSERT INTO episodes (timestamp, experience_data, performance_score, context_hash, metadata)
                    VALUES (?, ?, ?, ?, ?)
                """,
                    (
                        episode_data["timestamp"],
                        pickle.dumps(episode_data["experience"]),
                        episode_data["score"],
                        episode_data["context"],
                        json.dumps(episode_data.get("metadata", {})),
                    ),
                )

    store_multiple_episodes([{"timestamp": i, "experience": [i], "score": 0.5, "context": "c"} for i in range(5)])
    found = sqlite_store.get_episodes_by_context("c")
    assert [episode.timestamp for episode in found] == [4, 3, 2, 1, 0]
    with pytest.raises(SQLiteStorageError, match="pickle"):
        found[0].data


def test_best_practices(sqlite_store):
    def store_episode_with_concepts(episode_data, related_concepts):
        with sqlite_store._transaction():
            sqlite_store.store_episode(**episode_data)
            for concept_name in related_concepts:
                concept = sqlite_store.retrieve_concept_by_name(concept_name)
                if concept:
                    pass

    def daily_maintenance():
        sqlite_store.auto_backup_if_needed()
        if datetime.datetime.now().weekday() == 0:
            sqlite_store.vacuum_database()
        stats = sqlite_store.get_database_stats()
        if stats["db_size_mb"] > 1000:
            logger.warning(f"Database size: {stats['db_size_mb']:.1f} MB")

    def build_concept_graph():
        all_concepts = sqlite_store.search_concepts("", limit=10000)
        concept_embeddings = {}
        for concept in all_concepts:
            embedding = sqlite_store._deserialize_array(concept.embedding)
            concept_embeddings[concept.id] = embedding
        for concept1_id, embedding1 in concept_embeddings.items():
            for concept2_id, embedding2 in concept_embeddings.items():
                if concept1_id != concept2_id:
                    similarity = np.dot(embedding1, embedding2)
                    if similarity > 0.8:
                        sqlite_store.add_concept_relationship(concept1_id, concept2_id, "similar_to", similarity)

    for i in range(4):
        sqlite_store.store_concept(f"concept {i}", np.random.rand(512).astype(np.float32))
    store_episode_with_concepts(
        {"experience_data": np.zeros(3), "performance_score": 0.9, "context_hash": "c"},
        ["concept 1", "nothing"],
    )
    daily_maintenance()
    build_concept_graph()
    assert sqlite_store.retrieve_concept_by_name("concept 1").access_count == 2
    edges = sqlite_store.get_concept_relationships(1)
    assert len(edges) == 3 and all(strength > 1 for _, _, strength in edges)


def test_integration():
    class EpisodicMemory:
        def store_episode(self, experience_data, performance_score, context):
            self.last = experience_data

    class PersistentEpisodicMemory(EpisodicMemory):
        def __init__(self):
            super().__init__()
            self.sqlite_store = SQLiteStorage()

        def store_episode(self, experience_data, performance_score, context):
            episode_id = self.sqlite_store.store_episode(
                experience_data=experience_data,
                performance_score=performance_score,
                context_hash=context,
            )
            super().store_episode(experience_data, performance_score, context)
            return episode_id

        def retrieve_similar_episodes(self, context, min_score=0.7):
            return self.sqlite_store.get_episodes_by_context(context_hash=context, min_score=min_score, limit=10)

    memory = PersistentEpisodicMemory()
    memory.store_episode(np.ones(2), 0.9, "c")
    assert len(memory.retrieve_similar_episodes("c")) == 1
    sqlite_store = memory.sqlite_store

    def track_learning_progress(task_type, strategy, before, after, parameters):
        event_id = sqlite_store.store_learning_event(
            task_type=task_type,
            performance_delta=after - before,
            strategy_used=strategy,
            parameters=parameters,
        )
        if event_id % 100 == 0:
            best_strategies = sqlite_store.get_best_strategies(task_type, limit=5)
            logger.info(f"Best strategies for {task_type}: {best_strategies}")
        return event_id

    assert track_learning_progress("t", "s", 0.5, 0.75, {"x": 1}) == 1
    sqlite_store.close()
