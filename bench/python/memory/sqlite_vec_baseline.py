"""sqlite-vec's table `vec0`; by `apsw`, as not every Python lets its SQLite load it."""

import apsw
import sqlite_vec
from baseline import Baseline


class SqliteVec(Baseline):
    unfair = "no names"

    def __init__(self, folder):
        self.db = apsw.Connection(str(folder / "vectors.db"))
        self.db.enable_load_extension(True)
        self.db.load_extension(sqlite_vec.loadable_path())
        self.db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")

    def store_concepts(self, vectors):
        column = f"embedding FLOAT[{vectors.shape[1]}] distance_metric=cosine"
        self.db.execute(f"CREATE VIRTUAL TABLE vectors USING vec0({column})")
        with self.db:
            rows = ((n, row.tobytes()) for n, row in enumerate(vectors, 1))
            self.db.executemany("INSERT INTO vectors (rowid, embedding) VALUES (?, ?)", rows)

    def search(self, vector, k):
        sql = "SELECT rowid, distance FROM vectors WHERE embedding MATCH ? AND k = ?"
        return [(row - 1, 1 - far) for row, far in self.db.execute(sql, (vector.tobytes(), k))]

    def close(self):
        self.db.close()
