"""PostgreSQL's own client: `COPY` of a text file into a plain table, and out of it."""

import subprocess

import pandas as pd
import postgresql
from baseline import Baseline

SCHEMA = "CREATE TABLE IF NOT EXISTS point (key TEXT, time TIMESTAMP, value DOUBLE PRECISION)"


class Psql(Baseline):
    survives = "disk"
    unfair = "a table without an index; the texts that it copies are made and read by pandas, in its time"

    def __init__(self, folder):
        self.folder, self.address = folder, postgresql.address(folder)
        self._run(SCHEMA)

    @staticmethod
    def prepare(folder):
        postgresql.prepare(folder)

    def _run(self, *commands):
        command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", self.address]
        for sql in commands:
            command += ["-c", sql]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def save(self, key, series):
        self.save_many({key: series})

    def save_many(self, series):
        file = self.folder / "points.csv"
        frames = (
            pd.DataFrame({"key": key, "time": one.index, "value": one.to_numpy()})
            for key, one in series.items()
        )
        pd.concat(frames).to_csv(file, header=False, index=False)
        self._run(f"\\copy point FROM '{file}' CSV")
        file.unlink()

    def _copy_out(self, where):
        file = self.folder / "answer.csv"
        select = f"SELECT time, value FROM point WHERE {where} ORDER BY time"
        self._run(f"\\copy ({select}) TO '{file}' CSV")
        frame = pd.read_csv(
            file, names=["time", "value"], parse_dates=["time"], float_precision="round_trip"
        )
        file.unlink()
        return pd.Series(frame["value"].to_numpy(), pd.DatetimeIndex(frame["time"]))

    def load(self, key):
        return self._copy_out(f"key = '{key}'")

    def range(self, key, start, end):
        return self._copy_out(f"key = '{key}' AND time BETWEEN '{start}' AND '{end}'")

    def keys(self):
        out = self._run("\\copy (SELECT DISTINCT key FROM point ORDER BY key) TO STDOUT")
        return out.split()
