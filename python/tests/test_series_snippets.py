"""The examples of the series store's description, with their import lines changed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from siltstone.series import (
    Dataset,
    PandasInMemoryAdapter,
    PandasOnDiskAdapter,
    PolarsAdapter,
    ProcessingStep,
    SeriesContainer,
    Signal,
    SQLDatabaseAdapter,
    StorageBackend,
    StorageConfig,
    TimeSeries,
    resample,
)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def measured():
    index = pd.date_range("2026-01-01", periods=48, freq="h", name="t")
    return pd.Series(np.arange(48.0), index, name="RAW")


def use(dataset, measured):
    """What the description promises of any of them: process, and the result is saved with its step."""
    signal = dataset[dataset.add(Signal(measured, name="flow", units="m3/h"))]
    signal.process(
        input_time_series_names=["flow#1_RAW#1"],
        transform_function=resample,
        output_names=["DAILY"],
        overwrite=False,
        frequency="D",
    )
    made = Dataset.open(dataset._home.backend, dataset.name)["flow#1"]["DAILY#1"]
    assert made.series.tolist() == [11.5, 35.5]
    assert isinstance(made.series, pd.Series) and isinstance(made.processing_steps[0], ProcessingStep)


def test_example_1_in_memory(measured):
    """Goal: the current behaviour."""
    config = StorageConfig(backend_type="pandas-memory")
    backend = config.create_backend()
    dataset = Dataset(name="my_data", backend=backend)
    assert isinstance(backend, PandasInMemoryAdapter) and isinstance(backend, StorageBackend)
    use(dataset, measured)


def test_example_2_on_disk(measured):
    """Goal: on-disk pandas for large datasets."""
    config = StorageConfig(
        backend_type="pandas-disk",
        base_path=Path("data")
    )  # fmt: skip
    backend = config.create_backend()
    dataset = Dataset(name="large_data", backend=backend)
    assert isinstance(backend, PandasOnDiskAdapter)
    use(dataset, measured)


def test_example_3_polars(measured):
    """Goal: Polars; a signal has its index all the same."""
    config = StorageConfig(backend_type="polars")
    backend = config.create_backend()
    dataset = Dataset(name="polars_data", backend=backend)
    assert isinstance(backend, PolarsAdapter)
    use(dataset, measured)


def test_example_4_sql(measured):
    """Goal: a database, read by any SQLite tool under the documented names."""
    config = StorageConfig(
        backend_type="sql",
        connection_string="sqlite:///my_data.db"
    )  # fmt: skip
    backend = config.create_backend()
    dataset = Dataset(name="db_data", backend=backend)
    assert isinstance(backend, SQLDatabaseAdapter) and Path("my_data.db").is_file()
    use(dataset, measured)
    rows = backend.sql("SELECT index_value, value FROM time_series_data WHERE key = 'db_data/flow#1/DAILY#1'").rows
    assert [tuple(row) for row in rows] == [("2026-01-01 00:00:00", 11.5), ("2026-01-02 00:00:00", 35.5)]


def test_the_protocol_and_the_container(measured):
    """Goal: the documented calls, on every adapter."""
    for backend in (
        PandasInMemoryAdapter(),
        PandasOnDiskAdapter(base_path=Path("a")),
        PolarsAdapter(base_path=Path("b")),
        SQLDatabaseAdapter(connection_string="sqlite:///c.db"),
    ):
        backend.save(backend.from_pandas(measured), "key", {"unit": "m"})
        data, metadata = backend.load("key")
        assert metadata == {"unit": "m"} and backend.exists("key") and backend.list_keys() == ["key"]
        assert backend.to_pandas(data).tolist() == measured.tolist()
        container = SeriesContainer(backend=backend, key="key")
        container.materialize()
        container.save({"unit": "km"})
        assert backend.load("key")[1] == {"unit": "km"}
        backend.delete("key")
        with pytest.raises(KeyError):
            backend.load("key")
    with pytest.raises(ValueError, match="backend_type"):
        StorageConfig(backend_type="paper").create_backend()


def test_a_time_series_has_a_series_property(measured):
    """Goal: the property is there, and can be set."""
    one = TimeSeries(series=measured)
    assert one.series.tolist() == measured.tolist()
    one.series = measured * 2
    assert one.series.iloc[-1] == 94.0


@pytest.mark.parametrize("kind", ["memory", "disk", "sql"])
def test_the_adapters_pass_the_suite_for_a_backend_of_ones_own(kind, tmp_path):
    """Goal: ours do what the suite asks of a user's; one that does not is told which rule it breaks."""
    from itertools import count

    from siltstone.series import conformance

    made = count()
    folders = {
        "memory": PandasInMemoryAdapter,
        "disk": lambda: PandasOnDiskAdapter(tmp_path / f"d{next(made)}"),
        "sql": lambda: SQLDatabaseAdapter(f"sqlite:{tmp_path}/{next(made)}.db"),
    }
    assert conformance.check(folders[kind]) == len(conformance.RULES)


def test_a_backend_that_breaks_a_rule_is_told():
    """Goal: names made of keys, live objects, forgotten metadata: each is found."""
    from siltstone.series import conformance

    class Mine(dict):
        def save(self, data, key, metadata):
            self[key] = (data, metadata)

        def load(self, key):
            return self[key]

        def delete(self, key):
            del self[key]

        def exists(self, key):
            return key in self

        def list_keys(self):
            return list(self)

        def to_pandas(self, data):
            return data

        def from_pandas(self, series):
            return series

    class Flat(Mine):
        def save(self, data, key, metadata):
            super().save(data.copy(), key.replace("/", "_"), dict(metadata))

        def load(self, key):
            return super().load(key.replace("/", "_"))

    class Forgets(Mine):
        def save(self, data, key, metadata):
            super().save(data.copy(), key, {})

    for backend, rule in ((Mine, "what_is_handed_in_stays"), (Flat, "any_text_is_a_key"), (Forgets, "everything")):
        with pytest.raises(AssertionError, match=rule):
            conformance.check(backend)
