"""The memory store from Python."""

import json
import math
import os
import pickle
import sqlite3
import sys
import threading
import time
import types

import numpy as np
import pytest

from siltstone import _siltstone, errors
from siltstone.memory import Episode, SQLiteStorage, SQLiteStorageError, import_godly_ai


@pytest.fixture
def store(tmp_path):
    with SQLiteStorage(tmp_path / "agent.db") as store:
        yield store


def test_payloads_come_back_as_they_were(store):
    """Goal: arrays with their dtype, and every plain value, bit for bit."""
    values = {
        "f4": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "big": np.array([1, -2], dtype=">i4"),
        "text": np.array(["a", "bcd"]),
        "when": np.array(["2026-01-01"], dtype="datetime64[ns]"),
        "complex": np.array(1 + 2j),
        "empty": np.zeros((0, 3)),
        "nested": [1, 2.5, None, True, b"\x00", ("x", -(2**63)), {"a": {3: "three"}}],
        "scalar": np.float32(0.5),
        "count": np.int16(7),
        "masked": np.ma.masked_array([1.0, 2.0], [False, False]),
    }
    back = store.retrieve_episode(store.store_episode(values, 0.5, "c")).data
    for name in ("f4", "big", "text", "when", "complex", "empty"):
        assert back[name].dtype.str == values[name].dtype.str
        assert np.array_equal(back[name], values[name])
    assert back["nested"] == values["nested"]
    assert back["scalar"] == 0.5 and type(back["scalar"]) is float
    assert back["count"] == 7 and type(back["count"]) is int
    assert back["masked"].tolist() == [1.0, 2.0]
    assert np.array_equal(store._deserialize_array(store._serialize_array(np.eye(2))), np.eye(2))


BAD_EPISODES = [
    ({"a": {1, 2}}, 0.5, "c", "experience_data['a']"),
    ([object()], 0.5, "c", "experience_data[0]"),
    (np.array([object()]), 0.5, "c", "dtype"),
    (np.ma.masked_array([1.0, 2.0], [True, False]), 0.5, "c", "masked"),
    (np.zeros(2, dtype=[("a", "f8")]), 0.5, "c", "dtype"),
    (2**63, 0.5, "c", "64 bits"),
    ({(1, 2): 3}, 0.5, "c", "key"),
    (lambda: 0, 0.5, "c", "function"),
    ([1], float("nan"), "c", "NaN"),
    ([1], "0.5", "c", "a number"),
    ([1], None, "c", "a number"),
    ([1], 0.5, 3, "a text"),
    ([1], 0.5, "\ud800", "text"),
]


@pytest.mark.parametrize(("data", "score", "context", "named"), BAD_EPISODES)
def test_what_cannot_be_stored_is_named(store, data, score, context, named):
    """Goal: a clear error of the documented class, and nothing written."""
    with pytest.raises(SQLiteStorageError, match=named.replace("[", r"\[")) as caught:
        store.store_episode(data, score, context)
    assert isinstance(caught.value, errors.InvalidError)
    assert store.get_database_stats()["episodes_count"] == 0


def test_bad_concepts_and_edges_are_named(store):
    """Goal: embeddings, ids and strengths are looked at before anything is written."""
    for embedding in ("hello", [], [1.0, float("nan")], None, np.array(["a"])):
        with pytest.raises(SQLiteStorageError):
            store.store_concept("a", embedding)
    a, b = store.store_concepts([{"name": n, "embedding": [1.0, 2.0]} for n in "ab"])
    for source, target, strength in ((a, 99, 1.0), (a, b, float("inf")), (a, 2**63, 1.0)):
        with pytest.raises(SQLiteStorageError):
            store.add_concept_relationship(source, target, "x", strength)
    with pytest.raises(SQLiteStorageError, match="0 to 1"):
        store.add_concept_relationship(a, b, "x", 1.5, strict=True)
    assert store.add_concept_relationship(a, b, "x", np.float32(0.5))
    assert store.get_concept_relationships(a) == [(b, "x", 0.5)]
    assert store.get_concept_relationships(b, incoming=True) == [(a, "x", 0.5)]
    with pytest.raises(SQLiteStorageError, match="2 dimensions"):
        store.search_similar([1.0, 2.0, 3.0])
    with pytest.raises(SQLiteStorageError):
        store.retrieve_episode("1")


def test_numpy_scalars_are_numbers_in_the_file(store, tmp_path):
    """Goal: a score of numpy's passes filters as the number that it is."""
    store.store_episode([1], np.float32(0.25), "c", timestamp=np.int64(7))
    store.store_episode([1], np.bool_(True), "c", metadata={"x": np.float32(0.5), "y": np.arange(2)})
    assert len(store.get_episodes_by_context("c", min_score=0.5)) == 1
    with sqlite3.connect(tmp_path / "agent.db") as plain:
        kinds = plain.execute("SELECT typeof(performance_score), metadata FROM episodes").fetchall()
    assert kinds == [("real", "{}"), ("real", '{"x": 0.5, "y": [0, 1]}')]


def test_transactions_nest(store):
    """Goal: a block is all or nothing, a block in it can fail alone, and SQL is part of it."""
    with pytest.raises(KeyboardInterrupt), store.transaction():
        store.store_episode([1], 0.5, "c")
        raise KeyboardInterrupt
    assert store.get_episodes_by_context("c") == []
    with store.transaction() as conn:
        store.store_episode([1], 0.1, "c")
        with pytest.raises(ZeroDivisionError), store.transaction():
            store.store_episode([1], 0.2, "c")
            1 / 0
        with store.transaction():
            store.store_episode([1], 0.3, "c")
        assert conn.execute("SELECT count(*) FROM episodes WHERE context_hash = ?", ("c",)).fetchone() == (2,)
        with pytest.raises(SQLiteStorageError):
            conn.execute("COMMIT")
        values = (None, True, np.int64(2), np.float32(0.5), "é", bytearray(b"a"), memoryview(b"b"))
        asked = conn.execute("SELECT ?, ?, ?, ?, ?, ?, ?", values)
        assert asked.fetchall() == [(None, 1, 2, 0.5, "é", b"a", b"b")] and len(asked.description) == 7
        for value in (np.longdouble(1), object(), 2**63):
            with pytest.raises(SQLiteStorageError):
                conn.execute("SELECT ?", (value,))
        with pytest.raises(SQLiteStorageError):
            store.vacuum_database()
        seen = []
        reader = threading.Thread(target=lambda: seen.append(store.get_episodes_by_context("c")))
        reader.start()
        reader.join()
    assert seen == [[]]
    assert [e.performance_score for e in store.get_episodes_by_context("c")] == [0.3, 0.1]


def test_search_is_exact(store):
    """Goal: the nearest by each metric are numpy's, with filters, and after changes by other connections."""
    chance = np.random.default_rng(1)
    vectors = chance.normal(size=(300, 33))
    store.store_concepts(
        {"name": str(i), "embedding": v, "metadata": {"i": i, "odd": bool(i % 2)}, "creation_time": i}
        for i, v in enumerate(vectors)
    )
    query = chance.normal(size=33)

    def check(vectors, allowed=slice(None), **options):
        cosine = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
        scores = {
            "cosine": cosine,
            "dot": vectors @ query,
            "l2": -np.linalg.norm(vectors - query, axis=1),
        }
        for metric, score in scores.items():
            rows = np.arange(len(vectors))[allowed]
            best = rows[np.argsort(-score[rows], kind="stable")][:10]
            hits = store.search_similar(query, 10, metric, **options)
            assert [hit.item.name for hit in hits] == [str(i) for i in best]
            sign = -1 if metric == "l2" else 1
            assert np.allclose([hit.score for hit in hits], sign * score[best], rtol=1e-12)

    check(vectors)
    check(vectors, slice(1, None, 2), where={"odd": True})
    check(vectors, slice(100, 120), since=100, until=120)
    check(vectors, slice(250, 300), where={"i": {"gte": 250}})
    vectors[7] = query * 2
    with SQLiteStorage(store.db_path) as other:
        other.store_concept("7", vectors[7], {"i": 7})
    check(vectors)
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.delete_concepts(range(1, 200))
        assert store.search_similar(query, 1)[0].item.name != "7"
        1 / 0
    check(vectors)


def test_search_is_exact_for_numbers_of_any_size(store):
    """Goal: embeddings beyond single precision, near to nothing or of widely different sizes lose no place."""
    chance = np.random.default_rng(3)
    sizes = 10.0 ** chance.integers(-150, 150, size=(120, 1))
    vectors = np.concatenate([chance.normal(size=(120, 9)) * sizes, chance.normal(size=(40, 9)), np.zeros((1, 9))])
    store.store_concepts({"name": str(i), "embedding": v} for i, v in enumerate(vectors))
    for query in (chance.normal(size=9), chance.normal(size=9) * 1e-140, chance.normal(size=9) * 1e140):
        unit = vectors[:-1] / np.linalg.norm(
            vectors[:-1] / np.abs(vectors[:-1]).max(1, keepdims=True), axis=1, keepdims=True
        )
        unit /= np.abs(vectors[:-1]).max(1, keepdims=True)
        largest = np.abs(query).max()
        cosine = unit @ (query / largest / np.linalg.norm(query / largest))
        hits = store.search_similar(query, 10)
        assert [hit.item.name for hit in hits] == [str(i) for i in np.argsort(-cosine, kind="stable")[:10]]
        assert np.allclose([hit.score for hit in hits], np.sort(cosine)[::-1][:10], rtol=1e-12)
    query = chance.normal(size=9)
    with np.errstate(over="ignore"):
        distance = np.linalg.norm(vectors - query, axis=1)
    hits = store.search_similar(query, 10, "l2")
    assert [hit.item.name for hit in hits] == [str(i) for i in np.argsort(distance, kind="stable")[:10]]
    assert store.search_similar(query, 0) == []


def test_a_graph_relates_what_numpy_does(store):
    """Goal: edges are those of the matrix of likenesses, by threshold and by number, and a graph can be built anew."""
    chance = np.random.default_rng(5)
    vectors = chance.normal(size=(8, 24))[chance.integers(8, size=300)] + chance.normal(size=(300, 24)) / 2
    ids = store.store_concepts({"name": str(i), "embedding": v} for i, v in enumerate(vectors))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -2)

    def edges(kind):
        rows = store.sql(
            "SELECT source_concept_id, target_concept_id, strength FROM concept_relationships"
            f" WHERE relationship_type = '{kind}'"
        ).rows
        return {(a - ids[0], b - ids[0]): strength for a, b, strength in rows}

    built = store.build_similarity_graph(threshold=0.7)
    want = {(a, b): likeness[a, b] for a, b in zip(*np.nonzero(likeness > 0.7), strict=True)}
    found = edges("similar_to")
    assert built == (300, len(want), 0) and len(want) > 1000
    assert found.keys() == want.keys()
    assert all(abs(found[edge] - want[edge]) < 1e-6 for edge in want)
    store.build_similarity_graph(k=3, relationship_type="near", normalize=True)
    nearest = np.argsort(-likeness, axis=1)[:, :3]
    assert edges("near").keys() == {(a, b) for a in range(300) for b in nearest[a]}
    again = store.build_similarity_graph(threshold=0.8, replace=True)
    assert again.removed == len(want) and len(edges("similar_to")) == again.relationships
    store.build_similarity_graph(k=1, relationship_type="product", normalize=False)
    products = vectors @ vectors.T
    np.fill_diagonal(products, -1e9)
    assert edges("product").keys() == {(a, b) for a, b in enumerate(products.argmax(axis=1))}
    store.store_concept("large", vectors[0] * 1e30)
    with pytest.raises(SQLiteStorageError, match="single precision"):
        store.build_similarity_graph(k=1, normalize=False)
    for options in ({}, {"k": 1, "relationship_type": ""}):
        with pytest.raises(SQLiteStorageError):
            store.build_similarity_graph(**options)


def test_recall_gives_its_terms(store):
    """Goal: the sum is that of its terms, and an old episode that fits is found."""
    now = 1_000_000.0
    for age, score, vector in ((0, 0.1, [1.0, 0]), (100, 0.9, [0, 1.0]), (10_000, 0.2, [0.6, 0.8])):
        store.store_episode([age], score, "c", now - age, embedding=vector)
    found = store.recall([0.6, 0.8], 3, {"recency": 1, "importance": 0.5}, half_life=100, now=now)
    for r in found:
        age = now - r.episode.timestamp
        assert r.recency == pytest.approx(0.5 ** (age / 100))
        assert r.importance == r.episode.performance_score
        assert r.score == pytest.approx(r.recency + 0.5 * r.importance + r.relevance)
    assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)
    fits = store.recall([0.6, 0.8], 1, {"recency": 0, "importance": 0})
    assert fits[0].relevance == pytest.approx(1) and fits[0].episode.data == [10_000]


def test_replay_draws_by_priority(store):
    """Goal: draws follow the priorities, weights take their bias back, and a seed gives the same again."""
    ids = store.store_episodes(
        {"experience_data": [i], "performance_score": 0.5, "context_hash": "ab"[i % 2]} for i in range(20)
    )
    store.update_priorities(ids, [float(i) for i in range(20)])
    sample = store.sample_episodes(2000, alpha=1.0, beta=1.0, seed=1)
    counts = np.bincount([e.id for e in sample.episodes], minlength=ids[-1] + 1)[ids[0] :]
    assert np.all(np.abs(counts - 2000 * np.arange(20) / 190) <= 2)
    assert sample.weights.max() <= 1.0 and sample.probabilities.min() > 0
    assert np.allclose(sample.weights * sample.probabilities, sample.weights[0] * sample.probabilities[0])
    again = store.sample_episodes(2000, alpha=1.0, beta=1.0, seed=1)
    assert [e.id for e in again.episodes] == [e.id for e in sample.episodes]
    uniform = store.sample_episodes(100, seed=2, context="a", mode="uniform")
    assert sorted(e.id for e in uniform.episodes) == ids[::2]
    first = store.sample_episodes(15, mode="fifo", reader="x").episodes
    rest = store.sample_episodes(15, mode="fifo", reader="x").episodes
    assert [e.id for e in first + rest] == ids
    store.rewind("x")
    assert store.sample_episodes(1, mode="fifo", reader="x").episodes[0].id == ids[0]
    store.delete_episodes(ids[:19])
    assert {e.id for e in store.sample_episodes(5).episodes} == {ids[19]}
    with pytest.raises(SQLiteStorageError, match="16777216"):
        store.sample_episodes(10**12)
    with pytest.raises(SQLiteStorageError, match="episode"):
        store.update_priorities([ids[19], 99], [1.0, 1.0])


def test_limits_keep_a_context_small(store):
    """Goal: capacity and age hold as episodes come, and a dry run says what would go without removing it."""

    def put(context, n, age=0.0):
        return store.store_episodes(
            {
                "experience_data": [i],
                "performance_score": 0.5,
                "context_hash": context,
                "timestamp": time.time() - age + i * 1e-3,
            }
            for i in range(n)
        )

    put("old", 3, age=1000)
    ids = put("many", 10)
    store.set_limit("many", capacity=4)
    store.set_limit(max_age=500)
    would = store.prune(dry_run=True)
    assert [(p.context_hash, p.expired, p.evicted, p.kept) for p in would] == [
        ("old", 3, 0, 0),
        ("many", 0, 6, 4),
    ]
    assert store.get_database_stats()["episodes_count"] == 13
    ids += put("many", 1, age=-10)
    assert [e.id for e in store.get_episodes_by_context("many")] == ids[:-5:-1]
    store.prune()
    assert store.get_database_stats()["episodes_count"] == 4
    assert store.limits()["many"]["capacity"] == 4
    store.set_limit("many")
    put("many", 10)
    assert len(store.get_episodes_by_context("many")) == 14


def test_backups_are_kept_and_restored(tmp_path):
    """Goal: backups of one second have names of their own, only own ones go, and one can be put back."""
    store = SQLiteStorage(tmp_path / "run.db", backup_interval=1, max_backups=2)
    other = SQLiteStorage(tmp_path / "run_backup_plan.db")
    store.store_episode([1], 0.5, "c")
    made = [store.create_backup() for _ in range(4)]
    assert len(set(made)) == 4
    left = sorted(tmp_path.glob("run_backup_*.db"))
    assert left == sorted([*made[2:], tmp_path / "run_backup_plan.db"])
    with pytest.raises(SQLiteStorageError, match="already"):
        store.create_backup(tmp_path / "run_backup_plan.db")
    named = store.create_backup(tmp_path / "mine.db")
    store.store_episode([2], 0.5, "c")
    assert store.create_backup(tmp_path / "mine.db") == named
    store.store_episode([3], 0.5, "c")
    assert len(store.sample_episodes(9, mode="uniform").episodes) == 3
    store.restore_backup(named)
    assert len(store.get_episodes_by_context("c")) == 2
    assert len(store.sample_episodes(9, mode="uniform").episodes) == 2
    with SQLiteStorage(made[3]) as copy:
        assert copy.get_database_stats()["episodes_count"] == 1
    store._last_backup = time.time() - 2
    assert store.auto_backup_if_needed() is not None
    assert store.auto_backup_if_needed() is None
    store._last_backup = time.time() + 86_400  # the clock was set back
    made = store.auto_backup_if_needed()
    assert made.exists()
    assert store.backups()[0] == made
    assert store.auto_backup_if_needed() is None
    store.close()
    store.close()
    with pytest.raises(errors.ClosedError):
        store.store_episode([1], 0.5, "c")
    other.close()


def test_godly_ai_databases_are_imported(store, tmp_path):
    """Goal: pickles of arrays and plain containers are read, anything else is refused by name, and nothing runs."""

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    schema = """
        CREATE TABLE episodes (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL, experience_data BLOB NOT
        NULL,
            performance_score REAL NOT NULL, context_hash TEXT NOT NULL, metadata TEXT DEFAULT '{}',
            created_at REAL DEFAULT (julianday('now')));
        CREATE TABLE concepts (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, embedding BLOB NOT NULL,
            creation_time REAL NOT NULL, access_count INTEGER DEFAULT 0, last_accessed REAL DEFAULT 0,
            metadata TEXT DEFAULT '{}');
        CREATE TABLE learning_events (id INTEGER PRIMARY KEY AUTOINCREMENT, task_type TEXT NOT NULL,
            performance_delta REAL NOT NULL, strategy_used TEXT NOT NULL, timestamp REAL NOT NULL,
            parameters TEXT DEFAULT '{}');
        CREATE TABLE concept_relationships (id INTEGER PRIMARY KEY AUTOINCREMENT, source_concept_id INTEGER NOT NULL,
            target_concept_id INTEGER NOT NULL, relationship_type TEXT NOT NULL, strength REAL DEFAULT 1.0,
            created_at REAL DEFAULT (julianday('now')));
    """
    plain = sqlite3.connect(tmp_path / "godly.db")
    plain.executescript(schema)
    payloads = [{"observation": np.eye(3), "action": "go", "reward": np.float32(1.5)}, np.arange(4.0), Evil(), {1, 2}]
    for i, payload in enumerate(payloads):
        row = (float(i), pickle.dumps(payload, 4), 0.5, "c", f'{{"i": {i}}}')
        plain.execute(
            "INSERT INTO episodes (timestamp, experience_data, performance_score, context_hash, metadata) "
            "VALUES (?, ?, ?, ?, ?)",
            row,
        )
    for name in ("a", "b"):
        embedding = pickle.dumps(np.random.rand(8).astype(np.float32), 4)
        plain.execute(
            "INSERT INTO concepts (name, embedding, creation_time, access_count) VALUES (?, ?, 1, 3)", (name, embedding)
        )
    for target in (2, 99):
        plain.execute(
            "INSERT INTO concept_relationships (source_concept_id, target_concept_id, relationship_type)"
            " VALUES (1, ?, 's')",
            (target,),
        )
    plain.execute(
        "INSERT INTO learning_events (task_type, performance_delta, strategy_used, timestamp) VALUES ('t', 0.5, 's', 1)"
    )
    plain.commit()
    plain.close()
    assert _siltstone.import_detect(tmp_path / "godly.db") == "memory"
    tried = import_godly_ai(tmp_path / "godly.db", None)
    report = store.import_database(tmp_path / "godly.db")
    assert report[:4] == (2, 2, 1, 1) and tried == report
    assert import_godly_ai(tmp_path / "godly.db", tmp_path / "new.db") == report
    with pytest.raises(SQLiteStorageError):
        import_godly_ai(tmp_path / "none.db", tmp_path / "none-new.db")
    assert not (tmp_path / "none-new.db").exists()
    whys = {(skipped.table, skipped.row): skipped.reason for skipped in report.skipped}
    assert set(whys) == {("episodes", 3), ("episodes", 4), ("concept_relationships", 2)}
    assert "system" in whys["episodes", 3] and not (tmp_path / "ran").exists()
    first = store.retrieve_episode(1)
    assert np.array_equal(first.data["observation"], np.eye(3)) and first.data["reward"] == 1.5
    assert first.metadata == {"i": 0}
    assert store.retrieve_concept(2).access_count == 3
    assert store.retrieve_concept(2).vector.dtype == np.float32
    with pytest.raises(errors.ExistsError):
        store.import_database(tmp_path / "godly.db")


def test_files_that_are_not_ours(tmp_path):
    """Goal: an empty file is a new one; what is no database, or a newer one, is left as it is."""
    (tmp_path / "empty.db").touch()
    with SQLiteStorage(tmp_path / "empty.db") as store:
        store.store_episode([1], 0.5, "c")
    (tmp_path / "text.db").write_text("this is not a database at all, but it is long enough" * 20)
    with pytest.raises(SQLiteStorageError):
        SQLiteStorage(tmp_path / "text.db")
    with sqlite3.connect(tmp_path / "empty.db") as plain:
        plain.execute("UPDATE siltstone_schema SET version = 99 WHERE store = 'memory'")
    with pytest.raises(errors.TooNewError, match="99"):
        SQLiteStorage(tmp_path / "empty.db")


def test_threads_share_a_store(store):
    """Goal: ids are unique, every acknowledged row is there, and every access is counted once."""
    store.store_concept("shared", [1.0])
    ids, counts = [], []

    def work(thread):
        for i in range(50):
            ids.append(store.store_episode([thread, i], 0.5, "c"))
            counts.append(store.retrieve_concept_by_name("shared").access_count)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 400 and sorted(counts) == list(range(1, 401))
    assert len(store.get_episodes_by_context("c", limit=-1)) == 400
    assert store.verify().ok


def test_filters_of_metadata_know_their_operators(tmp_path):
    """Goal: the operators that others have work; one that is not known is an error and never an empty answer."""
    with SQLiteStorage(tmp_path / "m.db") as store:
        metadata = {"good": True, "tags": ["x"], "n": 3, "odd": math.nan, "far": math.inf, "big": 2**70}
        store.store_concepts([{"name": "a", "embedding": [1.0, 0.0], "metadata": metadata}])
        found = lambda where: len(store.search_similar([1.0, 0.0], where=where))  # noqa: E731
        for where, count in [
            ({"$and": [{"good": True}, {"n": {"$gte": 3}}]}, 1),
            ({"$or": [{"n": 1}, {"$not": {"n": 1}}]}, 1),
            ({"n": {"$in": [1, 3], "$nin": [4], "$ne": 5, "$eq": 3, "$gt": 2, "$lt": 4, "$lte": 3}}, 1),
            ({"gone": {"$exists": True}}, 0),
            ({"odd": {"$gt": 0}}, 0),
            ({"odd": math.nan}, 0),
            ({"far": math.inf}, 1),
            ({"big": {"$gt": 2**69}}, 1),
        ]:
            assert found(where) == count, where
        for where in ({"$nor": []}, {"n": {"$regex": "x"}}, {"$where": 1}, {"n": {"like": 3}}):
            with pytest.raises(SQLiteStorageError, match="where"):
                found(where)
        kept = store.search_concepts("a")[0].metadata
        assert str(kept) == str(metadata)
        assert store.sql("SELECT json_valid(metadata) FROM concepts").rows == [(1,)]


def test_embeddings_of_any_shape_and_none_that_means_nothing(tmp_path):
    """Goal: an embedding of two dimensions is kept as it is and no search takes it for a vector."""
    with SQLiteStorage(tmp_path / "m.db") as store:
        table = np.arange(4.0).reshape(2, 2)
        store.store_concept("table", table)
        store.store_concept("line", [0.0, 1.0, 2.0, 3.0])
        concept = store.retrieve_concept_by_name("table")
        assert np.array_equal(concept.vector, table) and concept.vector.shape == (2, 2)
        assert [hit.item.name for hit in store.search_similar([0.0, 1.0, 2.0, 3.0], k=5)] == ["line"]
        assert store.build_similarity_graph(k=1).relationships == 0
        assert store.verify().ok
        for wrong in ([], [math.nan, 1.0], [math.inf], np.zeros((0, 3)), 1.0, [[1.0], [1.0, 2.0]]):
            with pytest.raises(SQLiteStorageError, match="embedding"):
                store.store_concept("wrong", wrong)
        with pytest.raises(SQLiteStorageError, match="one dimension"):
            store.search_similar(table)


_JAX = ["jax", "jax._src", "jax._src.array"]


class _Jax:
    """An array that pickles as JAX's do: a call of JAX's own name with what rebuilds numpy's."""

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        for name in _JAX:
            sys.modules[name] = types.ModuleType(name)
        sys.modules[_JAX[-1]]._reconstruct_array = _reconstruct_array
        return (_reconstruct_array, (*self.array.__reduce__(), {"weak_type": False}))


def _reconstruct_array(*_):
    raise AssertionError("nothing of a pickle is run")


_reconstruct_array.__module__ = "jax._src.array"


def test_an_import_takes_arrays_of_jax_and_lists_as_embeddings(tmp_path):
    source = sqlite3.connect(tmp_path / "old.db")
    source.executescript("""
        CREATE TABLE episodes (id INTEGER PRIMARY KEY, timestamp REAL, experience_data BLOB, performance_score REAL,
            context_hash TEXT, metadata TEXT, created_at TEXT);
        CREATE TABLE concepts (id INTEGER PRIMARY KEY, name TEXT UNIQUE, embedding BLOB, creation_time REAL,
            access_count INTEGER, last_accessed REAL, metadata TEXT);
        CREATE TABLE learning_events (id INTEGER PRIMARY KEY, task_type TEXT, performance_delta REAL, strategy_used
        TEXT,
            timestamp REAL, parameters TEXT);
        CREATE TABLE concept_relationships (id INTEGER PRIMARY KEY, source_concept_id INTEGER, target_concept_id
        INTEGER,
            relationship_type TEXT, strength REAL, created_at TEXT);
    """)
    seen = np.arange(6, dtype=np.float32).reshape(2, 3)
    for protocol in range(2, 6):
        data = pickle.dumps({"seen": _Jax(seen), "more": [_Jax(seen[0])]}, protocol)
        source.execute("INSERT INTO episodes VALUES (?, 1.0, ?, 0.5, 'c', '{}', '2026-01-01')", [protocol, data])
    vectors = [
        [1, 2, 3],
        [0.5, 1],
        (1.0, 2.0),
        [[1.0, 2.0], [3.0, 4.0]],
        seen,
        "no",
        [1.0, math.nan],
        [],
        [[1], [1, 2]],
    ]
    for i, vector in enumerate(vectors):
        row = [i + 1, f"c{i}", pickle.dumps(vector), json.dumps({"x": math.nan})]
        source.execute("INSERT INTO concepts VALUES (?, ?, ?, 1.0, 0, 0.0, ?)", row)
    source.commit()
    source.close()
    for name in _JAX:
        sys.modules.pop(name, None)
    with SQLiteStorage(tmp_path / "new.db") as store:
        report = store.import_database(tmp_path / "old.db")
        assert (report.episodes, report.concepts) == (4, 5), report
        for episode in map(store.retrieve_episode, range(2, 6)):
            assert np.array_equal(episode.data["seen"], seen) and episode.data["seen"].dtype == np.float32
            assert np.array_equal(episode.data["more"][0], seen[0])
        for i, vector in enumerate(vectors[:5]):
            concept = store.retrieve_concept(i + 1)
            assert (
                np.array_equal(concept.vector, np.asarray(vector)) and concept.vector.dtype == np.asarray(vector).dtype
            )
            assert math.isnan(concept.metadata["x"])
        assert [skipped.row for skipped in report.skipped] == [6, 7, 8, 9]
    assert not set(_JAX) & set(sys.modules)


def test_records_are_short_to_read(store):
    """Goal: an embedding shows its length and dtype, a payload what it holds, bytes of others their number."""
    store.store_concept("chair", np.arange(512.0))
    assert "embedding=512 float64," in repr(store.search_similar(np.ones(512), 1)[0])
    store.store_episode({"image": 1}, 0.5, "c", metadata={str(i): i for i in range(50)})
    text = repr(store.get_recent_episodes(1)[0])
    assert "experience_data={'image': 1}," in text and len(text) < 250
    assert "experience_data=4 bytes" in repr(Episode(experience_data=b"\x80abc"))


def test_a_cosine_is_never_above_one(store):
    """Goal: a vector beside itself, scaled, in any dimension and dtype: at most 1, and -1 for its opposite."""
    rng = np.random.default_rng(0)
    for i in range(200):
        vector = rng.normal(size=2 + i % 78) * 10.0 ** rng.integers(-12, 12)
        store.store_concept(f"c{i}", vector)
        store.store_concept(f"-c{i}", -vector)
        store.store_concept(f"3c{i}", vector * 3)
        scores = [hit.score for hit in store.search_similar(vector, 10_000)]
        assert max(scores) <= 1 and min(scores) >= -1
    report = store.build_similarity_graph(0.999999, relationship_type="near")
    assert report.relationships
    strengths = [r[0] for r in store.sql("SELECT strength FROM concept_relationships").rows]
    assert min(strengths) > 0.999999 and max(strengths) <= 1
