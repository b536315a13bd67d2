"""Wrong arguments of every public method: an error of siltstone, or a TypeError that names the argument."""

import enum
import functools
import inspect
import logging
import pickle
import types

import pytest

from siltstone import experiment, memory, series, simulation, ticks
from siltstone.errors import InvalidError, InvalidTypeError, SiltstoneError

pd = pytest.importorskip("pandas")

WRONG = {
    "None": None,
    "-1": -1,
    "an object": object(),
    "NaN": float("nan"),
    "an empty text": "",
    "a huge text": "x" * 5000,
    "a huge integer": 2**70,
    "half a letter": "\ud800",
    "a list of lists": [[1], "x"],
}
#: Plausible values by the name of the parameter, so that one wrong argument is met at a time.
GOOD = {
    **dict.fromkeys(("key", "name", "signal", "symbol", "text", "context_hash", "concept", "metric"), "a"),
    **dict.fromkeys(("timestamp", "iteration", "n", "limit", "k", "step", "step_number", "keep"), 1),
    **dict.fromkeys(("dataset_name", "entity_group", "group", "dataset", "attribute"), "g"),
    "entity_data": {"g": {"id": {"data": [1]}, "v": {"data": [1.0]}}},
    "query": "SELECT 1",
    "sql": "SELECT 1",
    "data": pd.Series([1.0]),
    "series": pd.Series([1.0]),
    "ts_name": "flow#1_RAW#1",
    "ts_names": ["flow#1_RAW#1"],
    "signal_name": "flow#1",
    "input_time_series_names": ["flow#1_RAW#1"],
    "transform_function": series.resample,
    "to": "b",
    "new": "b",
    "simulation_id": "s",
    "first": "s",
    "second": "s",
    "bid": 1.0,
    "ask": 2.0,
    "closed": "both",
    "column": "v",
    "path": "out.csv",
}
#: They end the object or empty it, and come last.
LAST = ("clear", "stop", "close")


PROPERTIES = (property, functools.cached_property, types.GetSetDescriptorType, types.MemberDescriptorType)


def made_simulation(tmp_path):
    db = simulation.SimulationDatabase(tmp_path / "run.db")
    db.store_update(0, 0, "g", GOOD["entity_data"])
    yield db
    yield db.cursor("g", "g")
    yield db.state_at("g", "g", 0)
    yield db.updates_table("g", "g")
    yield db.sql("SELECT 1")
    results = simulation.get_simulation_results(updates_path=tmp_path / "run.db")
    yield results
    yield results.get_dataset("g")
    yield results.get_dataset("g").state
    yield results.get_dataset("g").state.get_attribute("g", "g", "v")
    collector = simulation.DataCollector({"storage": "file", "storage_dir": str(tmp_path / "updates")})
    collector.initialize()
    collector.new_time(0)
    yield collector


def made_series(tmp_path):
    for backend in (
        series.PandasInMemoryAdapter(),
        series.PandasOnDiskAdapter(tmp_path / "parquet"),
        series.SQLDatabaseAdapter(f"sqlite:{tmp_path}/series.db"),
    ):
        backend.save(pd.Series([1.0, 2.0], pd.date_range("2026-01-01", periods=2)), "a")
        yield backend
    dataset = series.Dataset("plant", backend=series.open("memory:"))
    signal = dataset[dataset.add(series.Signal(pd.Series([1.0]), name="flow"))]
    yield dataset
    yield signal
    yield signal["RAW"]
    yield series.SeriesContainer(backend, "a")
    yield series.StorageConfig()
    yield series.ProcessingStep()


def made_ticks(tmp_path):
    store = ticks.TickStore(ticks.TickStoreConfig.production("BROKER-001", sqlite_base_path=tmp_path / "ticks"))
    store.store_tick("A", 1.0, 2.0)
    yield store
    yield store.get_recent_ticks("A", 1)


def made_experiment(tmp_path):
    db = experiment.ExperimentDatabase(tmp_path / "experiment.db", "e")
    context = db.create_simulation_context("s")
    yield db
    yield context


def made_memory(tmp_path):
    store = memory.SQLiteStorage(str(tmp_path / "agent.db"))
    store.store_episode([1.0], 0.5, "a")
    yield store


MAKERS = [made_simulation, made_series, made_ticks, made_experiment, made_memory]


def parameters(method):
    try:
        found = inspect.signature(method).parameters.values()
    except ValueError:
        return None  # a method of the compiled half that says nothing of them
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one for one in found if one.kind not in kinds]


def calls(thing):
    """Each public method, each parameter of it, each wrong value: what is called, and its arguments. Each property: it
    is read, and set to each wrong value if it can be set.
    """
    kind = type(thing)
    for name in sorted(set(dir(kind)) - set(LAST)):
        # What reads and changes as a dict raises what a dict does.
        if name.startswith("_") or (name in dir(dict) and isinstance(thing, simulation.State)):
            continue
        found = inspect.getattr_static(kind, name)
        if isinstance(found, PROPERTIES):
            yield from calls_of_property(thing, name, found)
        elif callable(getattr(kind, name)):
            yield from calls_of(f"{kind.__name__}.{name}", getattr(thing, name))


def last_calls(thing):
    """The same for what ends an object or empties it, which is called twice as it is meant too."""
    for name in LAST:
        if callable(getattr(type(thing), name, None)):
            what, method = f"{type(thing).__name__}.{name}", getattr(thing, name)
            yield from calls_of(what, method)
            yield from [(f"{what}()", method, [], {}, [])] * 2


def calls_of_property(thing, name, found):
    what = f"{type(thing).__name__}.{name}"
    yield what, getattr, [thing, name], {}, []
    if getattr(found, "fset", None):
        value = inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY)
        for wrong, given in WRONG.items():
            yield f"{what} = {wrong}", setattr, [thing, name, given], {}, [value]
            yield f"{what} after {wrong}", getattr, [thing, name], {}, []


def calls_of(name, method):
    """Each parameter, each wrong value: what is called, and its arguments."""
    listed = parameters(method) or []
    required = [one for one in listed if one.default is one.empty]
    for wrong in listed:
        for what, value in WRONG.items():
            given = {one.name: GOOD.get(one.name) for one in required}
            given[wrong.name] = value
            positional = [given.pop(one.name) for one in required if one.kind is one.POSITIONAL_ONLY]
            yield f"{name}({wrong.name}={what})", method, positional, given, listed


def tried(what, method, positional, given, listed):
    """What came out that should not have: a line, or nothing."""
    try:
        method(*positional, **given)
    except Exception as error:
        return [] if is_in_order(error, listed) else [f"{what}: {type(error).__name__}: {str(error)[:200]}"]
    except BaseException as error:  # a panic of the compiled half
        return [f"{what}: {type(error).__name__}"]
    return []


def is_in_order(error, listed):
    if isinstance(error, SiltstoneError):
        return len(str(error)) < 2000
    return isinstance(error, TypeError) and any(f"'{one.name}'" in str(error) for one in listed)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__.removeprefix("made_"))
def test_a_wrong_argument_is_named(make, tmp_path, monkeypatch):
    """Goal: None, -1, another type, NaN, an empty, a huge and a broken text at every place of every public method,
    those that end an object too, and of every property are taken, or refused by an error of ours or a TypeError that
    names the argument; no error of the binding gets out.
    """
    monkeypatch.chdir(tmp_path)
    logging.disable()
    raw, number, things = [], 0, []
    for thing in make(tmp_path):
        things.append(thing)
        for call in calls(thing):
            number += 1
            raw += tried(*call)
    for thing in reversed(things):
        for call in last_calls(thing):
            number += 1
            raw += tried(*call)
    logging.disable(logging.NOTSET)
    assert number > 50
    assert not raw, f"{len(raw)} of {number}:\n" + "\n".join(raw)


@pytest.mark.parametrize("module", [simulation, series, ticks, experiment, memory], ids=lambda module: module.__name__)
def test_a_wrong_argument_of_a_function_is_named(module, tmp_path, monkeypatch):
    """Goal: the functions of the package answer wrong arguments as its methods do, and can be pickled."""
    monkeypatch.chdir(tmp_path)
    raw = []
    for name in module.__all__:
        function = getattr(module, name)
        if inspect.isfunction(function):
            assert pickle.loads(pickle.dumps(function)) is function
            for call in calls_of(name, function):
                raw += tried(*call)
    assert not raw, f"{len(raw)}:\n" + "\n".join(raw)


@pytest.mark.parametrize("module", [simulation, series, ticks, experiment, memory], ids=lambda module: module.__name__)
def test_a_wrong_argument_of_a_constructor_is_named(module, tmp_path, monkeypatch):
    """Goal: the constructors of the package answer wrong arguments as its methods do."""
    monkeypatch.chdir(tmp_path)
    raw, number = [], 0
    for name in module.__all__:
        kind = getattr(module, name)
        is_made = isinstance(kind, type) and not issubclass(kind, (BaseException, enum.Enum, tuple))
        if not is_made or getattr(kind, "_is_protocol", False):
            continue
        for call in calls_of(name, kind):
            number += 1
            raw += tried(*call)
    assert number > 5
    assert not raw, f"{len(raw)} of {number}:\n" + "\n".join(raw)


def test_the_sentence_names_argument_expectation_and_value(tmp_path):
    """Goal: the words of an error say what was wrong, what was expected and what came."""
    backend = series.open("memory:")
    with pytest.raises(InvalidTypeError, match=r"^key: expected a text, got None \(NoneType\)$"):
        backend.load(None)
    with pytest.raises(InvalidError, match="^key: expected a text that UTF-8 can hold"):
        backend.load("\ud800")
    with pytest.raises(InvalidTypeError, match="^keys: expected a list of which each is a text, got"):
        backend.load_many(["a", 1])
    with ticks.TickStore(ticks.TickStoreConfig.production("B", sqlite_base_path=tmp_path)) as store:
        for wrong, sentence in (
            ((None, 1.0, 2.0), r"symbol: expected a text, got None \(NoneType\)"),
            (("\ud800", 1.0, 2.0), "symbol: expected a text that UTF-8 can hold, got half a surrogate pair"),
            (("A", "1.0", 2.0), r"bid: expected a number, got '1.0' \(str\)"),
            (("A", 1.0, 10**400), "ask: expected a number that a float can hold, got a larger one"),
        ):
            with pytest.raises(InvalidError, match=f"^{sentence}$"):
                store.store_tick(*wrong)
        with pytest.raises(InvalidError, match="of 5000 letters") as raised:
            store.last("x" * 5000)
        assert len(str(raised.value)) < 500
    with (
        memory.SQLiteStorage(str(tmp_path / "agent.db")) as agent,
        pytest.raises(memory.SQLiteStorageError, match="^query: "),
    ):
        agent.sql(None)


def test_errors_of_others_pass_as_they_are():
    """Goal: what a function of the caller raises is no error of an argument, whatever its class."""

    def odd(*_):
        raise TypeError("mine")

    signal = series.Signal(pd.Series([1.0]), name="flow")
    with pytest.raises(TypeError, match="^mine$") as raised:
        signal.process(["RAW"], odd)
    assert not isinstance(raised.value, SiltstoneError)
    here, there = series.open("memory:"), series.open("memory:")
    here.save(pd.Series([1.0]), "a")
    with pytest.raises(TypeError, match="^mine$"):
        series.transfer(here, there, progress=odd)
    with pytest.raises(TypeError, match="'unit'"):
        series.Signal(unit="m")


def test_wrong_fields_and_parts_are_named(tmp_path):
    """Goal: a field of a configuration, a part of a list, and what the functions of series take, are named in errors of
    ours.
    """
    from siltstone.series import processing_steps

    hourly = pd.Series([1.0, 2.0], pd.date_range("2024", periods=2, freq="h"))
    db = experiment.ExperimentDatabase(tmp_path / "experiment.db", "e")
    run = simulation.SimulationDatabase(tmp_path / "run.db")

    def opened(**fields):
        return lambda: ticks.TickStore(ticks.TickStoreConfig(json_base_path=tmp_path / "json", **fields))

    for call, expected in [
        (opened(batch_size=-1), "batch_size: expected an integer of its range, got -1"),
        (opened(queue_size="many"), "queue_size: expected an integer, got 'many'"),
        (opened(broker_id=None), "broker_id: expected a text, got None"),
        (lambda: db.simulations([5]), "simulation_ids: expected a list of ids, which are texts, got 5"),
        (lambda: run.set_timeline(0, -5), "time_scale: expected a finite number of seconds above 0, got -5"),
        (lambda: run.set_timeline(float("inf")), "reference: expected a finite number"),
        (lambda: processing_steps.resample(hourly, "h"), "input_series: expected a list of pandas.Series, got Series"),
        (
            lambda: processing_steps.resample([[1.0]], "h"),
            "input_series: expected a list of pandas.Series, got list in it",
        ),
        (lambda: processing_steps.resample([hourly], None), "frequency: expected a text as '6h'"),
        (lambda: processing_steps.average_signals([hourly], ["a"]), "input_signals: expected a list of signals"),
    ]:
        with pytest.raises(SiltstoneError) as raised:
            call()
        assert str(raised.value).startswith(expected), raised.value
        assert isinstance(raised.value, ValueError)
    db.close()
    run.close()
