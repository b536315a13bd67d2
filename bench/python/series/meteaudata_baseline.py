"""meteaudata's adapters: the calls, files and tables that its code makes, in words of our own."""

import json
import math
from copy import deepcopy

import pandas as pd
import postgresql
from baseline import Baseline

METADATA = {"unit": "C"}


def about_index(index):
    """What meteaudata keeps of an index beside it."""
    return {
        "type": type(index).__name__,
        "name": index.name,
        "frequency": getattr(index, "freqstr", None) or pd.infer_freq(index[:1000]),
        "time_zone": None,
        "dtype": str(index.dtype),
    }


def index_again(values, about):
    """The index as it is made anew from its frequency."""
    times = pd.DatetimeIndex(pd.to_datetime(values))
    if about["frequency"]:
        return pd.Series(0, times).asfreq(about["frequency"]).index
    return times


class Memory(Baseline):
    survives = "-"
    in_memory = True

    def __init__(self, _folder):
        self.store = {}

    def save(self, key, series):
        self.store[key] = series.copy(), deepcopy(METADATA)

    def load(self, key):
        series, metadata = self.store[key]
        deepcopy(metadata)
        return series.copy()

    def keys(self):
        return list(self.store)


class _Folder(Baseline):
    def __init__(self, folder):
        self.folder = folder

    def _files(self, key):
        name = key.replace("/", "_")
        return self.folder / f"{name}.parquet", self.folder / f"{name}_meta.yaml"

    def keys(self):
        return sorted(file.stem for file in self.folder.glob("*.parquet"))


class Disk(_Folder):
    """A Parquet file and a YAML file for each series."""

    def save(self, key, series):
        import yaml

        data, about = self._files(key)
        series.to_frame().to_parquet(data)
        with about.open("w") as out:
            yaml.dump(METADATA | {"index_metadata": about_index(series.index)}, out)

    def load(self, key):
        import yaml

        data, about = self._files(key)
        series = pd.read_parquet(data).iloc[:, 0]
        metadata = yaml.safe_load(about.read_text())
        series.index = index_again(series.index, metadata["index_metadata"])
        return series


class Polars(_Folder):
    """Values in a Parquet file, the index as texts in a YAML file."""

    def save(self, key, series):
        import polars as pl
        import yaml

        data, about = self._files(key)
        pl.DataFrame({series.name or "value": pl.from_pandas(series)}).write_parquet(data)
        index = {
            "index_values": [str(value) for value in series.index],
            "index_metadata": about_index(series.index),
        }
        with about.open("w") as out:
            yaml.dump(METADATA | index, out)

    def load(self, key):
        import polars as pl
        import yaml

        data, about = self._files(key)
        series = pl.read_parquet(data).to_series(0).to_pandas()
        metadata = yaml.safe_load(about.read_text())
        # The adapter leaves this to its user.
        series.index = index_again(metadata["index_values"], metadata["index_metadata"])
        return series


class Sql(Baseline):
    """A row a point in SQLAlchemy's hands, written by `to_sql(method="multi")`."""

    many_in_a_statement = True

    def _address(self, folder):
        return f"sqlite:///{folder / 'series.db'}"

    def __init__(self, folder):
        import sqlalchemy as sa

        self.text = sa.text
        self.engine = sa.create_engine(self._address(folder))
        with self.engine.begin() as db:
            for sql in SCHEMA:
                db.execute(sa.text(sql))

    def save(self, key, series):
        with self.engine.connect() as db:
            for table in ("time_series_data", "time_series_metadata"):
                db.execute(self.text(f"DELETE FROM {table} WHERE key = :key"), {"key": key})
            points = [
                {
                    "key": key,
                    "idx": place,
                    "index_value": str(at),
                    "value": None if math.isnan(value) else float(value),
                }
                for place, (at, value) in enumerate(series.items())
            ]
            how = {"method": "multi"} if self.many_in_a_statement else {"chunksize": 50_000}
            frame = pd.DataFrame(points)
            frame.to_sql("time_series_data", db, if_exists="append", index=False, **how)
            about = METADATA | {"index_metadata": about_index(series.index)}
            db.execute(
                self.text("INSERT INTO time_series_metadata VALUES (:key, :json, :name, :n, :type)"),
                {
                    "key": key,
                    "json": json.dumps(about, default=str),
                    "name": series.name,
                    "n": len(series),
                    "type": str(series.dtype),
                },
            )
            db.commit()

    def load(self, key):
        sql = "SELECT index_value, value FROM time_series_data WHERE key = :key ORDER BY idx"
        about = "SELECT metadata_json, series_name FROM time_series_metadata WHERE key = :key"
        with self.engine.connect() as db:
            frame = pd.read_sql(self.text(sql), db, params={"key": key})
            metadata, name = db.execute(self.text(about), {"key": key}).one()
        index = index_again(frame["index_value"], json.loads(metadata)["index_metadata"])
        return pd.Series(frame["value"].to_numpy(), index, name=name)

    def keys(self):
        with self.engine.connect() as db:
            rows = db.execute(self.text("SELECT key FROM time_series_metadata ORDER BY key"))
            return [row[0] for row in rows]

    def close(self):
        self.engine.dispose()


class RepairedSql(Sql):
    unfair = "meteaudata_sql, its statements cut to what a database takes: it is not what users have"
    many_in_a_statement = False


class Postgresql(Sql):
    survives = "disk"
    prepare = staticmethod(postgresql.prepare)

    def _address(self, folder):
        return postgresql.address(folder).replace("postgresql:", "postgresql+psycopg:")


class RepairedPostgresql(Postgresql):
    unfair = "meteaudata_postgresql, its statements cut and its value a DOUBLE PRECISION"
    many_in_a_statement = False

    def __init__(self, folder):
        super().__init__(folder)
        with self.engine.begin() as db:
            db.execute(
                self.text("ALTER TABLE time_series_data ALTER COLUMN value TYPE DOUBLE PRECISION")
            )


SCHEMA = (
    """CREATE TABLE IF NOT EXISTS time_series_data (key TEXT NOT NULL, idx INTEGER NOT NULL,
    index_value TEXT NOT NULL, value REAL, PRIMARY KEY (key, idx))""",
    "CREATE INDEX IF NOT EXISTS idx_key ON time_series_data(key)",
    """CREATE TABLE IF NOT EXISTS time_series_metadata (key TEXT PRIMARY KEY,
    metadata_json TEXT NOT NULL, series_name TEXT, length INTEGER, dtype TEXT)""",
)
