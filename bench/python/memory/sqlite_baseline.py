"""Python's `sqlite3` by a careful hand: Godly-AI's tables with what makes them quick, and lean ones."""

import json
import sqlite3
import time
from itertools import repeat

import numpy as np
from data import CONTEXT, SCORE, VALUES, Edges
from godly_ai_baseline import INTO_EPISODES, INTO_RELATIONSHIPS, GodlyAi, Episode, pickled
from baseline import Baseline

LEAN = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;
CREATE TABLE IF NOT EXISTS episodes (id INTEGER PRIMARY KEY, timestamp REAL NOT NULL,
    score REAL NOT NULL, context TEXT NOT NULL, metadata TEXT, experience BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS latest ON episodes (context, timestamp);
CREATE TABLE IF NOT EXISTS concepts (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    created REAL NOT NULL, embedding BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS relationships (source INTEGER NOT NULL, kind TEXT NOT NULL,
    target INTEGER NOT NULL, strength REAL NOT NULL, PRIMARY KEY (source, kind, target)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS incoming ON relationships (target);
"""


def related(ids: np.ndarray, vectors: np.ndarray, threshold: float):
    """The product of all with all at once: sources, targets and strengths, as lists."""
    products = vectors @ vectors.T
    np.fill_diagonal(products, -np.inf)
    source, target = np.nonzero(products > threshold)
    return ids[source].tolist(), ids[target].tolist(), products[source, target].tolist()


class Same(GodlyAi):
    """Godly-AI's tables and indexes, and pickles; one `executemany` a batch or graph, an index for the latest."""

    partly = False

    def __init__(self, folder):
        super().__init__(folder)
        index = "CREATE INDEX IF NOT EXISTS latest ON episodes (context_hash, timestamp)"
        self._connection().execute(index)

    def store_batch(self, rows):
        values = (
            (
                row["timestamp"],
                pickled(row["experience_data"]),
                row["performance_score"],
                row["context_hash"],
                "{}",
            )
            for row in rows
        )
        with self.transaction() as db:
            db.executemany(INTO_EPISODES, values)
            (last,) = db.execute("SELECT max(id) FROM episodes").fetchone()
        return list(range(last - len(rows) + 1, last + 1))

    def search(self, vector, k):
        raise NotImplementedError("as godly_ai")

    def graph(self, threshold):
        found = self.search_concepts("", 1_000_000)
        ids = np.array([concept.id for concept in found])
        vectors = np.stack([self.decode(Episode(0, 0.0, one.embedding)) for one in found])
        source, target, strength = related(ids, vectors, threshold)
        with self.transaction() as db:
            rows = zip(source, target, repeat("similar_to"), strength)
            db.executemany(INTO_RELATIONSHIPS, rows)
        return len(source)


class Lean(Baseline):
    """The bytes of arrays as they are, and only the indexes that are asked; what is read comes as rows."""

    unfair = "no indexes by time, score and type, no counts of access, and only arrays of one shape and type"

    def __init__(self, folder):
        self.db = sqlite3.connect(folder / "memory.db", isolation_level=None)
        self.db.executescript(LEAN)

    into = "INSERT INTO episodes (timestamp, score, context, experience) VALUES (?, ?, ?, ?)"

    def store_each(self, experiences):
        execute, ids = self.db.execute, []
        for one in experiences:
            row = time.time(), SCORE, CONTEXT, packed(one)
            ids.append(execute(self.into, row).lastrowid)
        return ids

    def store_batch(self, rows):
        values = (
            (
                row["timestamp"],
                row["performance_score"],
                row["context_hash"],
                packed(row["experience_data"]),
            )
            for row in rows
        )
        with self._commit():
            self.db.executemany(self.into, values)
            (last,) = self.db.execute("SELECT max(id) FROM episodes").fetchone()
        return list(range(last - len(rows) + 1, last + 1))

    def _commit(self):
        """A transaction; `with` of the connection ends it."""
        self.db.execute("BEGIN IMMEDIATE")
        return self.db

    def latest(self, limit):
        sql = """SELECT id, timestamp, experience, score, context FROM episodes
            WHERE context = ? ORDER BY timestamp DESC LIMIT ?"""
        return [Episode(*row) for row in self.db.execute(sql, (CONTEXT, limit))]

    def decode(self, episode):
        return unpacked(episode.experience_data)

    def store_concepts(self, vectors):
        now = time.time()
        with self._commit():
            rows = ((f"c{n}", now, row.tobytes()) for n, row in enumerate(vectors))
            into = "INSERT INTO concepts (name, created, embedding) VALUES (?, ?, ?)"
            self.db.executemany(into, rows)

    def graph(self, threshold):
        found = self.db.execute("SELECT id, embedding FROM concepts").fetchall()
        vectors = np.frombuffer(b"".join(data for _, data in found)).reshape(len(found), -1)
        ids = np.array([number for number, _ in found])
        source, target, strength = related(ids, vectors, threshold)
        with self._commit():
            rows = zip(source, repeat("similar_to"), target, strength)
            self.db.executemany("INSERT OR REPLACE INTO relationships VALUES (?, ?, ?, ?)", rows)
        return len(source)

    def edges(self, count):
        sql = "SELECT source, target, strength FROM relationships WHERE source <= ?"
        return Edges.of(self.db.execute(sql, [count]))

    def close(self):
        self.db.close()


def packed(experience) -> bytes:
    """An array of float64 as it is; of a dict a line of JSON that tells the shapes, then the arrays."""
    if isinstance(experience, np.ndarray):
        return experience.tobytes()
    arrays = {key: one for key, one in experience.items() if isinstance(one, np.ndarray)}
    told = {key: one.shape if key in arrays else one for key, one in experience.items()}
    head = json.dumps([told, list(arrays)]).encode()
    return b"".join([head, b"\n", *(one.tobytes() for one in arrays.values())])


def unpacked(data: bytes):
    if len(data) == 8 * VALUES:
        return np.frombuffer(data)
    head, _, data = data.partition(b"\n")
    told, arrays = json.loads(head)
    first = 0
    for key in arrays:
        shape = told[key]
        count = int(np.prod(shape))
        told[key] = np.frombuffer(data, count=count, offset=first).reshape(shape)
        first += 8 * count
    return told
