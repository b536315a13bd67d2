"""MLflow's client: `log_metric` to its file store and to its SQLite store; in batches of 1,000 beside it."""

import logging
import os

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

from mlflow.entities import Metric
from mlflow.tracking import MlflowClient
from baseline import Baseline

logging.disable(logging.WARNING)
BATCH = 1_000


class _Mlflow(Baseline):
    def _address(self, folder):
        raise NotImplementedError

    def __init__(self, folder):
        address = self._address(folder)
        self.client = MlflowClient(address, registry_uri=address)
        runs = self.client.search_runs(["0"])
        self.run = runs[0].info.run_id if runs else None

    def begin(self, simulation, _agents):
        self.run = self.client.create_run("0", run_name=simulation).info.run_id

    def log_metrics_each(self, metrics):
        for name, value, step in metrics:
            self.client.log_metric(self.run, name, value, step=step)

    def log_metrics(self, metrics):
        """`log_batch`: the call for many."""
        for first in range(0, len(metrics), BATCH):
            part = metrics[first : first + BATCH]
            made = [Metric(name, value, 0, step) for name, value, step in part]
            self.client.log_batch(self.run, made)

    def metrics(self):
        found = []
        for name in self.client.get_run(self.run).data.metrics:
            history = self.client.get_metric_history(self.run, name)
            found += [(one.key, one.value, one.step) for one in history]
        return found


class File(_Mlflow):
    def _address(self, folder):
        return f"file:{folder / 'mlruns'}"


class Sqlite(_Mlflow):
    def _address(self, folder):
        return f"sqlite:///{folder / 'mlflow.db'}"
