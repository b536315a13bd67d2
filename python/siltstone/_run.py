"""A run in three lines: ``init``, ``log``, ``finish``. It is a simulation of the experiment store."""

from __future__ import annotations

import functools
import inspect
import json
import os
import secrets
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from siltstone import _siltstone
from siltstone._handle import StoreHandle, end_at_exit, failure, forget
from siltstone._run_values import LONGEST, TEXTS, Values, plain
from siltstone.errors import ExistsError, InvalidError, InvalidTypeError, NotFoundError
from siltstone.experiment import (
    DataLoggingConfig,
    ExperimentDatabase,
    SimulationContext,
)
from siltstone.experiment._given import as_dict, definition

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_TEXT_COLUMNS = {"name": "category", "text": "text", "time_ms": "int64"}
_RESUME = ("never", "allow", "must")
#: A reader sees what is half a second old.
_LOGGING = DataLoggingConfig(buffer_size=10_000, commit_interval=0.5)


class Config(Mapping[str, Any]):
    """The parameters of a run: read by key or as attributes; a new one is written to the file at once.

    A parameter that has a value keeps it: another one is refused.
    """

    def __init__(self, sim: SimulationContext, values: Mapping[str, Any]) -> None:
        self.__dict__.update(_sim=sim, _values=dict(values))

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"the run has no parameter {name!r}") from None

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __setattr__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def update(self, parameters: Any) -> None:
        """Add parameters: a dict, a dataclass, an ``argparse.Namespace``.

        Raises
        ------
        ExistsError
            For a parameter that has another value. None is added then.
        """
        new = _plain(parameters)
        self._sim.log_params(new)
        self._values.update(new)

    def __repr__(self) -> str:
        return repr(self._values)


class Summary(MutableMapping[str, Any]):
    """What came of a run: what was set here, and the last value of each metric that was logged.

    What is set is in the file at once. A finished run's can be read, from the file.
    """

    def __init__(self, sim: SimulationContext, values: Mapping[str, Any]) -> None:
        self._sim, self._set = sim, dict(values)
        # What was logged last of each metric by this process.
        self._last: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name in self._set:
            return self._set[name]
        if name in self._last:
            return float(self._last[name])
        try:
            found = self._read(lambda db, id: db.metric(id, name))
        except NotFoundError:
            raise KeyError(name) from None
        if not found and name not in self._read(ExperimentDatabase.metric_names):
            raise KeyError(name)  # the name of a text or an array
        return found[-1][1] if found else None

    def __setitem__(self, name: str, value: Any) -> None:
        self._write(self._set | {name: plain(name, value)})

    def __delitem__(self, name: str) -> None:
        if name not in self._set:
            raise KeyError(name)
        self._write({key: value for key, value in self._set.items() if key != name})

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._set, *self._read(ExperimentDatabase.metric_names)]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))

    def _read(self, ask: Callable[[ExperimentDatabase, str], T]) -> T:
        if self._sim._logger is None:  # finished
            with ExperimentDatabase(self._sim.db_path, read_only=True) as db:
                return ask(db, self._sim.simulation_id)
        self._sim.flush_all_buffers()
        return ask(self._sim.parent_db, self._sim.simulation_id)

    def _write(self, values: dict[str, Any]) -> None:
        self._sim.parent_db.update_simulation_record(self._sim.simulation_id, results_summary=values)
        self._set = values


class Run(StoreHandle):
    """One run, as :func:`init` gives it. A ``with`` block finishes it, as failed if it raises.

    Attributes
    ----------
    id : str
        Its id: of its own in the file.
    path : str
        The file.
    project : str
        The experiment that it belongs to.
    name : str or None
        What it is called beside its id.
    config : Config
        Its parameters.
    summary : Summary
        What came of it.
    tags : tuple of str
        Its tags.
    step : int
        The step of the next :meth:`log` that is given none.
    simulation : SimulationContext
        The run in the experiment store, with all of its calls: tables of records, arrays, SQL.
    """

    def __init__(self, db: ExperimentDatabase, sim: SimulationContext) -> None:
        (info,) = db.simulations([sim.simulation_id])
        self.simulation, self._db = sim, db
        self.id, self.path, self.project = sim.simulation_id, db.db_path, str(info.experiment_id)
        self._name: str | None = info.provenance.get("run_name")
        self.config = Config(sim, info.parameters)
        self.summary = Summary(sim, info.results_summary)
        self._tags: tuple[str, ...] = tuple(info.provenance.get("tags", ()))
        self.step = _last_step(db, self.id) + 1
        self._log_metrics: Callable[[Any, int], bool | None] = sim.logger.log_metrics
        self._defined: dict[str, dict[str, str]] = {}
        self._is_finished = False
        self._lock = threading.Lock()
        # At the interpreter's end, before its database is closed: an exception that nothing caught since has ended it.
        self._raised = raised = [_mark(_uncaught())]
        # In a notebook or at a prompt it ends a cell, and what is logged afterwards shows that the run goes on.
        self._goes_on = hasattr(sys, "ps1")
        if self._goes_on:
            for call in dir(type(sim)):
                if call == "log" or call.startswith("log_"):
                    setattr(sim, call, _going_on(getattr(sim, call), raised))
        end_at_exit(
            sim.logger, lambda logger: _fail_if_raised(logger, raised[0]), f"the run {self.id!r} of {self.path}"
        )

    @property
    def name(self) -> str | None:
        """What it is called beside its id, as :func:`init` was told."""
        return self._name

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags, as :func:`init` was told."""
        return self._tags

    def log(self, data: Mapping[str, Any], step: int | None = None, *, commit: bool = True) -> None:
        """Log what a step has. It waits in memory for a moment; see :func:`init`.

        Parameters
        ----------
        data : dict
            Values by name. Numbers (those of numpy, and arrays and tensors without a dimension, too) are metrics, and
            None is one without a value at this step, NULL in SQL; a ``Decimal``, a ``Fraction`` or a long double is one
            that a float has exactly. A text is a record of the table ``texts``; an array or a tensor of numpy, torch or
            jax, an image of PIL and a :class:`Histogram` are arrays. A frame of pandas, Polars or PyArrow is records of
            the table of its name, which all runs of the file share; none is named ``texts``, and of one without rows
            nothing is logged. A dict has names of its own: ``{"val": {"loss": 0.1}}`` is the metric ``val.loss``.
        step : int, optional
            Its step; without one, that of :attr:`step`. Logged again at the same step, a number or an array replaces;
            texts and records are all kept.
        commit : bool
            Whether the next call without a step has the next one; with False it has the same.

        Raises
        ------
        InvalidError
            For a value of another kind, by its name. Nothing of the call is logged then.
        ExistsError
            For a table that the file has with other columns. The same.
        """
        with self._lock:  # two threads have two steps
            at = self.step if step is None else step
            try:
                are_own = self._log_metrics(data, at)
                # Others, as arrays without a dimension, may change afterwards.
                self.summary._last.update(data if are_own else {name: float(data[name]) for name in data})
            except (InvalidError, TypeError, AttributeError):
                self._log_all(data, at)
            self.step = max(self.step, at + commit)
            if self._goes_on:
                self._raised[0] = _mark(_uncaught())

    def _log_all(self, data: Any, step: int) -> None:
        """What is no dict of plain numbers. All of it is looked at before the first is written."""
        values, sim = Values(data), self.simulation
        self._log_metrics({}, step)  # refuses the step, and a run that is finished
        step = int(step)
        texts = {TEXTS: _TEXT_COLUMNS} if values.texts else {}
        self._define(texts | {name: table.types for name, table in values.tables.items()})
        self._log_metrics(values.metrics, step)
        self.summary._last.update(values.metrics)
        now = time.time_ns() // 1_000_000
        for name in values.missing:
            sim.log("simulation_metrics", step=step, name=name, value=None, time_ms=now)
        if values.texts:
            n = len(values.texts)
            rows = {"name": list(values.texts), "text": list(values.texts.values()), "time_ms": [now] * n}
            sim.log(TEXTS, rows, step=step)
        for name, array in values.arrays.items():
            sim.log_array(name, array, step)
        for name, table in values.tables.items():
            sim.log(name, table.rows, step=step)

    def _define(self, tables: dict[str, dict[str, str]]) -> None:
        """Have the file have tables: none is made if one is refused."""
        new = {name: types for name, types in tables.items() if self._defined.get(name) != types}
        if new:
            self.simulation.logger.define_tables([definition(name, types) for name, types in new.items()])
            self._defined |= new

    def flush(self) -> None:
        """Write what waits into the file."""
        self.simulation.flush_all_buffers()

    def finish(
        self,
        error: str | BaseException | None = None,
        *,
        status: str = "completed",
        exit_code: int | None = None,
    ) -> None:
        """Write what waits, and say how the run ended: once.

        What is logged afterwards is refused; a second call does nothing.

        Parameters
        ----------
        error : str or exception, optional
            Why it is ``failed``.
        status : str
            What it is without an error.
        exit_code : int, optional
            Of the program: another than 0 is an error, if none is given, whatever the ``status``.

        Raises
        ------
        InvalidTypeError
            For an ``exit_code`` that is no integer. The run goes on.
        """
        if isinstance(exit_code, bool) or not isinstance(exit_code, (int, type(None))):
            raise InvalidTypeError(f"exit_code: expected an integer, got {exit_code!r}")
        if self._is_finished:
            return
        if isinstance(error, SystemExit) and error.code in (None, 0):
            error = None
        if exit_code and error is None:
            error = f"exit code {exit_code}"
        if isinstance(error, BaseException):
            error = failure(error)
        if error is None:
            self._db.update_simulation_status(self.id, status)
        else:
            self.simulation.fail(error)
        forget(self.simulation.logger)
        self._is_finished = True
        self._db.close()
        self.simulation._let_go()
        self._log_metrics = self.simulation.log_metrics  # which refuses

    def _leave(self, error: BaseException | None) -> None:
        self.finish(error)

    def _shown(self) -> str:
        return f"{self.id!r}, {self.path!r}"


def init(
    path: str | os.PathLike[str],
    config: Any = None,
    *,
    project: str = "runs",
    name: str | None = None,
    id: str | None = None,
    resume: str = "never",
    tags: Iterable[str] = (),
    notes: str | None = None,
    logging: DataLoggingConfig = _LOGGING,
) -> Run:
    """Begin a run in a file, which is made if there is none. Any number of processes may have runs in it.

    Parameters
    ----------
    path : path
        The file.
    config : dict, dataclass, argparse.Namespace, or object with to_dict, optional
        The parameters of the run.
    project : str
        The experiment of the file that it belongs to.
    name : str, optional
        What it is called beside its id.
    id : str, optional
        Its id; without one it gets one of the time and six random letters.
    resume : {"never", "allow", "must"}
        What an ``id`` means that the file has: refused, gone on with, or expected. A run that is gone on with logs
        behind its last step.
    tags : list of str
        Words to find it by, kept with ``name`` and ``notes`` in its provenance. A run that is gone on with keeps its
        own.
    notes : str, optional
        What a reader should know of it.
    logging : DataLoggingConfig, optional
        When its rows go into the file: unless given after half a second, or 10,000 rows. A kill loses what waits.

    Returns
    -------
    Run
        To be finished by :meth:`Run.finish` or the end of a ``with`` block. One whose process ends without is
        ``stopped``, or ``failed`` with the exception that nothing caught; one that was killed is ``crashed`` as soon as
        somebody opens the file.

    Raises
    ------
    ExistsError
        If there is a run of that id, or a living process has it open.
    NotFoundError
        For ``resume="must"`` without such a run.

    Examples
    --------
    >>> import os, tempfile
    >>> import siltstone
    >>> path = os.path.join(tempfile.mkdtemp(), "sweep.db")
    >>> run = siltstone.init(path, config={"lr": 0.1})
    >>> for i in range(3):
    ...     run.log({"loss": 1 / (i + 1), "val": {"accuracy": i / 3}})
    >>> run.summary["val.accuracy"]
    0.6666666666666666
    >>> run.finish()
    """
    if resume not in _RESUME:
        raise InvalidError(f"resume: expected one of {', '.join(_RESUME)}, got {resume!r}")
    if id is None and resume == "must":
        raise InvalidError("resume: expected the id of the run to go on with, got none")
    words = [tags] if isinstance(tags, str) else list(tags)
    for word in words:
        if not isinstance(word, str):
            raise InvalidError(f"tags: expected texts, got {word!r}")
    own: dict[str, Any] = {"tags": words} if words else {}
    own |= {} if notes is None else {"notes": notes}
    own |= {} if name is None else {"run_name": name}
    db = ExperimentDatabase(Path(path), project)
    try:
        run = Run(db, _begin(db, id, _plain(config), resume, own, logging))
        known = db.simulations([run.id])[0].provenance
        if lost := [f"{key}={value!r}" for key, value in own.items() if known.get(key) != value]:
            warnings.warn(f"the run {run.id!r} keeps what it has, not {', '.join(lost)}", UserWarning, stacklevel=2)
        if run.project != project != "runs":
            warnings.warn(f"the run {run.id!r} stays in {run.project!r}, not {project!r}", UserWarning, stacklevel=2)
        return run
    except BaseException:
        db.close()
        raise


def _begin(
    db: ExperimentDatabase,
    id: str | None,
    config: dict[str, Any],
    resume: str,
    own: dict[str, Any],
    logging: DataLoggingConfig,
) -> SimulationContext:
    made = id if id is not None else time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(3)
    if resume != "never" and id is not None:
        try:
            (known,) = db.simulations([id])
        except NotFoundError:
            if resume == "must":
                raise
        else:
            # Before it is running again: what is refused changes nothing.
            for name, value in config.items():
                if name in known.parameters and not _is_same(known.parameters[name], value):
                    was = known.parameters[name]
                    raise ExistsError(f"config: expected {name} as the run {id!r} has it, {was!r}, got {value!r}")
            sim = db.resume(id, logging_config=logging)
            sim.log_params(config)
            return sim
    try:
        return db.create_simulation_context(made, config, logging, provenance=own or True)
    except ExistsError as error:
        if resume == "never":
            error.add_note('resume="allow" goes on with it')
        raise


def _is_same(known: Any, value: Any) -> bool:
    """Whether a parameter is what the file has, where texts, numbers, lists and dicts come back."""
    try:
        return bool(json.dumps(known, sort_keys=True) == json.dumps(value, sort_keys=True))
    except (TypeError, ValueError):  # numpy's: the store compares
        return True


def track(path: str | os.PathLike[str], **options: Any) -> Callable[[F], F]:
    """Make each call of a function a run: its arguments are the parameters, a dict that it returns is the summary.

    An argument that is no number, text, list or dict of these is a parameter by its ``repr``, and so is such a value of
    the dict; ``self`` is none.

    Parameters
    ----------
    path : path
        The file.
    **options
        As of :func:`init`, but ``config``.

    Returns
    -------
    callable
        The decorator. A function that has an argument named ``run`` gets the :class:`Run` in it.

    Examples
    --------
    >>> import os, tempfile
    >>> import siltstone
    >>> @siltstone.track(os.path.join(tempfile.mkdtemp(), "sweep.db"))
    ... def train(lr, run=None):
    ...     run.log({"loss": lr * 2})
    ...     return {"best": lr}
    >>> train(0.1)
    {'best': 0.1}
    """
    if callable(path):
        raise InvalidError("path: expected @track(path), with the path of a file, got @track alone")

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise InvalidError(f"track: expected a function that has run when it returns, got {function!r}")

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind_partial(*args, **kwargs)
            given.apply_defaults()
            config = {
                name: _as_parameter(value)
                for name, value in given.arguments.items()
                if name not in ("run", "self", "cls")
            }
            with init(path, config, **options) as run:
                if "run" in signature.parameters:
                    given.arguments["run"] = run
                result = function(*given.args, **given.kwargs)
                if isinstance(result, Mapping):
                    for name, value in result.items():
                        _sum_up(run.summary, name, value)
                return result

        return cast(F, call)

    return decorate


def _as_parameter(value: Any) -> Any:
    """An argument as a parameter: what is not JSON by its repr."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        return value if isinstance(value, (np.integer, np.bool_, np.float16, np.float32)) else _as_text(value)
    return value


def _as_text(value: Any) -> str:
    try:
        return repr(value).encode(errors="backslashreplace").decode()[:LONGEST]
    except Exception:  # it has no repr
        return object.__repr__(value)


def _sum_up(summary: Summary, name: Any, value: Any) -> None:
    """Set a value, by its repr if a summary does not take it: a function's result is not lost to it."""
    try:
        summary[name] = value
    except (InvalidError, RecursionError):
        try:
            summary[name] = _as_text(value)
        except InvalidError:
            summary[ascii(name)] = _as_text(value)


def _plain(parameters: Any) -> dict[str, Any]:
    if parameters is None:
        return {}
    plain = as_dict(parameters)
    if not isinstance(plain, Mapping):
        plain = vars(plain) if hasattr(plain, "__dict__") else plain
    if not isinstance(plain, Mapping):
        raise InvalidError(f"config: expected a dict of parameters, got {parameters!r}")
    return dict(plain)


def _last_step(db: ExperimentDatabase, id: str) -> int:
    """The last step of anything that a run has logged; -1 of none."""
    quoted = id.replace("'", "''")
    own = f"(SELECT id FROM simulations WHERE simulation_id = '{quoted}')"
    sql = f"""SELECT max(step) FROM (
        SELECT last_step AS step FROM record_summary WHERE simulation = {own}
        UNION ALL SELECT step FROM simulation_array WHERE simulation = {own})"""
    last = db.query(sql).rows[0][0]
    return -1 if last is None else int(last)


def _uncaught() -> BaseException | None:
    """The exception that ended the program, or a cell of a notebook."""
    return getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)


def _mark(error: BaseException | None) -> dict[str, Any] | None:
    """What tells an exception from all others without keeping it, and the frames that it holds: its attributes."""
    return None if error is None else error.__dict__


def _going_on(call: Callable[..., Any], raised: list[dict[str, Any] | None]) -> Callable[..., Any]:
    """A call that logs and says that what has raised before did not end the run."""

    @functools.wraps(call)
    def log(*args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        raised[0] = _mark(_uncaught())
        return result

    return log


def _fail_if_raised(logger: _siltstone.DataLogger, before: dict[str, Any] | None) -> None:
    error = _uncaught()
    if error is not None and _mark(error) is not before:
        logger.fail(failure(error) or "")
