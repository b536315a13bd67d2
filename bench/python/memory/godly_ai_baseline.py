"""Godly-AI: Python's `sqlite3`, pickles, and a transaction a call.

Written anew from the description, as its code does it: its tables and indexes; arrays are copied, then pickled;
what is read comes as objects with the pickles in them. It searches no vectors: its way to what is most alike is to
read all concepts.
"""

import json
import pickle
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from data import CONTEXT, SCORE, Edges
from baseline import Baseline

PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = 10000",
    "PRAGMA temp_store = MEMORY",
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS episodes (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL,
    experience_data BLOB NOT NULL, performance_score REAL NOT NULL, context_hash TEXT NOT NULL,
    metadata TEXT DEFAULT '{}', created_at REAL DEFAULT (julianday('now')));
CREATE INDEX IF NOT EXISTS idx_episodes_timestamp ON episodes (timestamp);
CREATE INDEX IF NOT EXISTS idx_episodes_context_hash ON episodes (context_hash);
CREATE INDEX IF NOT EXISTS idx_episodes_performance_score ON episodes (performance_score);

CREATE TABLE IF NOT EXISTS concepts (id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE, embedding BLOB NOT NULL, creation_time REAL NOT NULL,
    access_count INTEGER DEFAULT 0, last_accessed REAL DEFAULT 0, metadata TEXT DEFAULT '{}');
CREATE INDEX IF NOT EXISTS idx_concepts_name ON concepts (name);
CREATE INDEX IF NOT EXISTS idx_concepts_creation_time ON concepts (creation_time);
CREATE INDEX IF NOT EXISTS idx_concepts_access_count ON concepts (access_count);

CREATE TABLE IF NOT EXISTS learning_events (id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_type TEXT NOT NULL, performance_delta REAL NOT NULL, strategy_used TEXT NOT NULL,
    timestamp REAL NOT NULL, parameters TEXT DEFAULT '{}');
CREATE INDEX IF NOT EXISTS idx_learning_events_task_type ON learning_events (task_type);
CREATE INDEX IF NOT EXISTS idx_learning_events_timestamp ON learning_events (timestamp);
CREATE INDEX IF NOT EXISTS idx_learning_events_performance_delta
    ON learning_events (performance_delta);

CREATE TABLE IF NOT EXISTS concept_relationships (id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_concept_id INTEGER NOT NULL, target_concept_id INTEGER NOT NULL,
    relationship_type TEXT NOT NULL, strength REAL DEFAULT 1.0,
    created_at REAL DEFAULT (julianday('now')),
    FOREIGN KEY (source_concept_id) REFERENCES concepts (id),
    FOREIGN KEY (target_concept_id) REFERENCES concepts (id),
    UNIQUE (source_concept_id, target_concept_id, relationship_type));
CREATE INDEX IF NOT EXISTS idx_concept_relationships_source
    ON concept_relationships (source_concept_id);
CREATE INDEX IF NOT EXISTS idx_concept_relationships_target
    ON concept_relationships (target_concept_id);
CREATE INDEX IF NOT EXISTS idx_concept_relationships_type
    ON concept_relationships (relationship_type);
"""
INTO_EPISODES = """INSERT INTO episodes
    (timestamp, experience_data, performance_score, context_hash, metadata) VALUES (?, ?, ?, ?, ?)"""
INTO_CONCEPTS = """INSERT INTO concepts
    (name, embedding, creation_time, last_accessed, metadata) VALUES (?, ?, ?, ?, ?)"""
INTO_RELATIONSHIPS = """INSERT OR REPLACE INTO concept_relationships
    (source_concept_id, target_concept_id, relationship_type, strength) VALUES (?, ?, ?, ?)"""
MANY = 1_000_000


@dataclass
class Episode:
    id: int | None = None
    timestamp: float = 0.0
    experience_data: bytes = b""
    performance_score: float = 0.0
    context_hash: str = ""
    metadata: dict = field(default_factory=dict)


@dataclass
class Concept:
    id: int | None = None
    name: str = ""
    embedding: bytes = b""
    creation_time: float = 0.0
    access_count: int = 0
    last_accessed: float = 0.0
    metadata: dict = field(default_factory=dict)


def pickled(experience) -> bytes:
    if hasattr(
        experience, "device"
    ):  # an array of JAX, it is meant, but those of numpy 2 have it too
        experience = np.array(experience)
    return pickle.dumps(experience)


class GodlyAi(Baseline):
    searches = 2  # each reads all concepts
    partly = True

    def __init__(self, folder):
        self.file = folder / "memory.db"
        self.of_thread = threading.local()
        self._connection().executescript(SCHEMA)

    def _connection(self):
        if not hasattr(self.of_thread, "db"):
            db = sqlite3.connect(self.file, timeout=30, check_same_thread=False)
            db.row_factory = sqlite3.Row
            for pragma in PRAGMAS:
                db.execute(pragma)
            self.of_thread.db = db
        return self.of_thread.db

    @contextmanager
    def transaction(self):
        db = self._connection()
        try:
            yield db
            db.commit()
        except Exception:
            db.rollback()
            raise

    def store_each(self, experiences):
        return [self.store_episode(one, SCORE, CONTEXT) for one in experiences]

    def store_episode(self, experience, score, context, timestamp=None, metadata=None):
        timestamp = time.time() if timestamp is None else timestamp
        row = timestamp, pickled(experience), score, context, json.dumps(metadata or {})
        with self.transaction() as db:
            return db.execute(INTO_EPISODES, row).lastrowid

    def store_batch(self, rows):
        """The transaction with many inserts that the description advises."""
        ids = []
        with self.transaction() as db:
            for row in rows:
                data = pickled(row["experience_data"])
                about = row["performance_score"], row["context_hash"]
                values = row["timestamp"], data, *about, json.dumps({})
                ids.append(db.execute(INTO_EPISODES, values).lastrowid)
        return ids

    def latest(self, limit):
        sql = """SELECT id, timestamp, experience_data, performance_score, context_hash, metadata
            FROM episodes WHERE context_hash = ? ORDER BY timestamp DESC LIMIT ?"""
        with self.transaction() as db:
            found = db.execute(sql, (CONTEXT, limit)).fetchall()
        return [Episode(*tuple(row)[:5], json.loads(row["metadata"])) for row in found]

    def decode(self, episode):
        return pickle.loads(episode.experience_data)

    def store_concepts(self, vectors):
        """All in one transaction; a call each would do for no answer but take longer."""
        now = time.time()
        with self.transaction() as db:
            for n, row in enumerate(vectors):
                db.execute(INTO_CONCEPTS, (f"c{n}", pickled(row), now, now, json.dumps({})))

    def search_concepts(self, text, limit):
        sql = """SELECT id, name, embedding, creation_time, access_count, last_accessed, metadata
            FROM concepts WHERE name LIKE ?
            ORDER BY access_count DESC, creation_time DESC LIMIT ?"""
        with self.transaction() as db:
            found = db.execute(sql, (f"%{text}%", limit)).fetchall()
        return [Concept(*tuple(row)[:6], json.loads(row["metadata"])) for row in found]

    def search(self, vector, k):
        found = self.search_concepts("", MANY)
        scores = np.stack([pickle.loads(concept.embedding) for concept in found]) @ vector
        best = np.argsort(-scores)[:k]
        return [(found[at].id - 1, float(scores[at])) for at in best]

    def graph(self, threshold):
        """The two loops of the description."""
        found = self.search_concepts("", MANY)
        embeddings = {concept.id: pickle.loads(concept.embedding) for concept in found}
        edges = 0
        for one, this in embeddings.items():
            for other, that in embeddings.items():
                if one != other:
                    similarity = np.dot(this, that)
                    if similarity > threshold:
                        self.relate(one, other, "similar_to", similarity)
                        edges += 1
        return edges

    def relate(self, source, target, kind, strength):
        with self.transaction() as db:
            db.execute(INTO_RELATIONSHIPS, (source, target, kind, strength))

    def edges(self, count):
        sql = """SELECT source_concept_id, target_concept_id, strength FROM concept_relationships
            WHERE source_concept_id <= ?"""
        return Edges.of(map(tuple, self._connection().execute(sql, [count])))

    def close(self):
        self._connection().close()
        del self.of_thread.db
