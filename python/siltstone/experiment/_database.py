"""Many simulations in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from siltstone import _json, _siltstone
from siltstone._handle import StoreHandle, end_at_exit, forget
from siltstone._query import QueryResult
from siltstone._reports import BackupReport, CompactReport, VerifyReport
from siltstone._table import Table
from siltstone.errors import ClosedError, InvalidError
from siltstone.experiment._config import DataLoggingConfig, Settings, settings
from siltstone.experiment._given import Which, as_dict, facts, which
from siltstone.experiment._reports import (
    Exported,
    MergeReport,
    SimulationInfo,
    TableSize,
    merge_report,
    simulation_infos,
)
from siltstone.experiment._simulation import Simulation, end

if TYPE_CHECKING:
    import numpy as np

PathLike = str | os.PathLike[str]


class ExperimentDatabase(StoreHandle):
    """A file of experiments and simulations. Threads share it; other processes may write to the file too.

    Leaving its ``with`` block, or the end of the interpreter, writes what waits. After a fork the child opens the file
    anew.

    Parameters
    ----------
    db_path : path
        The file. It is made, with its folder, if it is not there.
    experiment_id : str, optional
        The experiment that is joined, or made if it is not there. Without one, simulations belong to none.
    config : dict or object, optional
        May name a profile, ``db_pragma_profile``: ``"balanced"``, ``"performance"``, ``"safety"`` or ``"memory"``.
    read_only : bool
        Whether nothing may be made or changed.
    compact_when_completed : bool
        Whether a simulation that is marked ``completed`` here is compacted at once; see :meth:`compact`.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "sweep.db")
    >>> with ExperimentDatabase(path, "exp_001") as db:
    ...     for run in range(3):
    ...         with db.create_simulation_context(f"sim_{run}", {"rate": run / 10}) as sim:
    ...             for step in range(10):
    ...                 sim.log_step(step, metrics={"total_agents": 100 + run * step})
    ...     ids = db.get_simulation_ids()
    >>> ids
    ['sim_0', 'sim_1', 'sim_2']
    """

    def __init__(
        self,
        db_path: PathLike,
        experiment_id: str | None = None,
        config: Any = None,
        *,
        read_only: bool = False,
        compact_when_completed: bool = False,
    ) -> None:
        self._settings: Settings = settings(config)
        self._inner = _siltstone.ExperimentDatabase(
            db_path,
            experiment_id,
            self._settings.profile,
            self._settings.busy_timeout,
            read_only,
        )
        self.experiment_id = experiment_id
        self.config = config
        self._sessions: Any = None
        if compact_when_completed:
            self._inner.compact_when_completed(True)
        if not read_only:
            end_at_exit(self._inner, _siltstone.ExperimentDatabase.close, self.db_path)

    @classmethod
    def _over(cls, inner: _siltstone.ExperimentDatabase) -> ExperimentDatabase:
        """Of a file that is open."""
        db = cls.__new__(cls)
        db._settings, db._inner, db._sessions = Settings(), inner, None
        db.experiment_id = db.config = None
        return db

    @property
    def db_path(self) -> str:
        """The file."""
        return str(self._inner.path)

    # -- simulations -----------------------------------------------------------------------------

    def create_simulation_context(
        self,
        simulation_id: str,
        parameters: Mapping[str, Any] | None = None,
        logging_config: DataLoggingConfig | None = None,
        *,
        durability: str | None = None,
        provenance: bool | Mapping[str, Any] = True,
    ) -> SimulationContext:
        """Make a simulation, with the status ``running``.

        Parameters
        ----------
        simulation_id : str
            Its id, of its own in the file: 1 to 255 characters.
        parameters : dict, dataclass, or object with to_dict
            Its parameters. Keys that are numbers, True, False or None become texts, as :func:`json.dumps` makes them;
            two that become one are refused.
        logging_config : DataLoggingConfig, optional
            When its rows go into the file.
        durability : {"os", "disk", "buffered"}, optional
            That of ``logging_config``, unless given.
        provenance : bool or dict
            Whether command line, machine, versions of packages and the state of the code under git are written down;
            and what you say of the run beside these. Nothing of the environment is, and options that are named like
            secrets are hidden.

        Returns
        -------
        SimulationContext
            What logs it. As a context manager it marks the simulation ``completed`` at the end, or ``failed`` with the
            text of the exception.

        Raises
        ------
        ExistsError
            If there is a simulation of that id; :meth:`resume` goes on with it.
        """
        logging = self._logging(logging_config, durability)
        own = provenance if isinstance(provenance, Mapping) else {}
        is_recorded = bool(provenance) or provenance is own
        known = json.dumps((facts() if is_recorded else {}) | dict(own))
        plain = as_dict(parameters)
        logger = self._inner.create(simulation_id, plain, known, is_recorded, *logging)
        return SimulationContext(self, logger)

    def resume(
        self,
        simulation_id: str,
        from_step: int | None = None,
        logging_config: DataLoggingConfig | None = None,
        *,
        durability: str | None = None,
    ) -> SimulationContext:
        """Go on with a simulation, whatever its status; it is ``running`` again.

        Parameters
        ----------
        simulation_id : str
            One that is there.
        from_step : int, optional
            What was logged of this and later steps is removed, in one transaction. A context that logged it here until
            now writes what waits and is closed before.

        Raises
        ------
        NotFoundError
            If there is no such simulation.
        ExistsError
            If a living process has it open.
        """
        logging = self._logging(logging_config, durability)
        return SimulationContext(self, self._inner.resume(simulation_id, from_step, *logging))

    def _logging(self, config: DataLoggingConfig | None, durability: str | None) -> tuple[int, float, str]:
        if config is None:
            config = DataLoggingConfig(durability=self._settings.durability)
        return config.buffer_size, config.commit_interval, durability or config.durability

    def get_simulation_ids(self) -> list[str]:
        """The ids of the simulations of this experiment, in the order in which they were made."""
        return self._inner.simulation_ids()

    def update_simulation_status(
        self,
        simulation_id: str,
        status: str,
        results_summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Say what became of a simulation; what waits in its buffers is written first.

        With ``"completed"``, ``"failed"``, ``"crashed"``, ``"stopped"`` or ``"cancelled"`` it has ended now. Without a
        summary the one that is there stays.

        Raises
        ------
        NotFoundError
            If there is no such simulation.
        """
        self._inner.update_simulation_status(simulation_id, status, results_summary)

    def update_simulation_record(
        self,
        simulation_id: str,
        *,
        status: str | None = None,
        end_time: datetime | None = None,
        results_summary: Mapping[str, Any] | None = None,
        simulation_db_path: PathLike | None = None,
    ) -> None:
        """Change the record of a simulation; what is not given stays. What waits in its buffers is written first.

        Parameters
        ----------
        simulation_id : str
            The simulation.
        status : str, optional
            As of :meth:`update_simulation_status`.
        end_time : datetime, optional
            When it ended, if that is not now; without a zone, in local time.
        results_summary : dict, optional
            What came of it.
        simulation_db_path : path, optional
            The file in which it is kept.

        Raises
        ------
        NotFoundError
            If there is no such simulation.
        """
        if end_time is not None:
            end_time = end_time.astimezone(timezone.utc)
        path = None if simulation_db_path is None else os.fspath(simulation_db_path)
        self._inner.update_simulation_record(simulation_id, status, end_time, results_summary, path)

    def _logger_of(self, simulation_id: str | None, config: DataLoggingConfig | None) -> _siltstone.DataLogger:
        """What logs a simulation, which is made or gone on with."""
        if not simulation_id:
            raise InvalidError("simulation_id: expected the id of a simulation, got none")
        known = simulation_id in self.get_simulation_ids()
        begin = self.resume if known else self.create_simulation_context
        return begin(simulation_id, logging_config=config).logger

    def update_experiment_status(self, status: str, results_summary: Mapping[str, Any] | None = None) -> None:
        """Say what became of the experiment. Without a summary the one that is there stays."""
        self._inner.update_experiment_status(status, results_summary)

    def delete_simulation(self, simulation_id: str) -> int:
        """Remove a simulation with all of its records, in one transaction; how many. Rows that wait here go with it.
        :meth:`vacuum` gives the room back.
        """
        return self._inner.delete_simulation(simulation_id)

    def compact(self, simulation_id: str) -> CompactReport:
        """Pack the big tables of a simulation into column blocks: records, blocks, bytes of the file before and after.

        They are read as before, by every call and by :meth:`query`. :meth:`vacuum` gives the room back.
        """
        return CompactReport(*self._inner.compact(simulation_id))

    # -- reading ---------------------------------------------------------------------------------

    def records(
        self,
        simulation_id: str,
        table: str,
        *,
        steps: tuple[int, int] | None = None,
        columns: list[str] | None = None,
        key: str | None = None,
    ) -> Table:
        """Records of one simulation, with ``to_pandas``, ``to_polars``, ``to_arrow`` and the Arrow C stream.

        Parameters
        ----------
        simulation_id : str
            The simulation.
        table : str
            ``"agent_states"``, ``"simulation_steps"``, ``"simulation_metrics"``, ... or one that was defined.
        steps : (first, last), optional
            Those of these steps, the last among them.
        columns : list of str, optional
            These columns, behind the step.
        key : str, optional
            Those of one agent, of one metric, or of whatever else is the key of the table.
        """
        inner = self._inner.records(simulation_id, table, steps, columns, key)
        return Table(inner, f"{table} of {simulation_id}")

    def agent_states(
        self,
        simulation_id: str,
        *,
        steps: tuple[int, int] | None = None,
        agent_id: str | None = None,
    ) -> Table:
        """The states of the agents of a simulation."""
        return self.records(simulation_id, "agent_states", steps=steps, key=agent_id)

    def simulation_steps(self, simulation_id: str) -> Table:
        """The numbers of each step of a simulation."""
        return self.records(simulation_id, "simulation_steps")

    def array(self, simulation_id: str, name: str, step: int | None = None) -> np.ndarray[Any, Any]:
        """An array that a simulation kept; without a step, the last one of the name."""
        return self._inner.array(simulation_id, name, step)[1]

    def query(self, sql: str) -> QueryResult:
        """Rows of an SQL statement that reads: the documented tables, compacted simulations among them."""
        return QueryResult(*self._inner.sql(sql))

    @property
    def Session(self) -> Any:
        """Makes SQLAlchemy sessions that read the file; what waits is written first. Needs SQLAlchemy."""
        from siltstone.experiment import models

        if not self._inner.is_open:
            raise InvalidError(f"{self.db_path}: expected an open database, got a closed one")
        if self._sessions is None:
            self._sessions = models.session_factory(self.db_path)
        self.flush_all_buffers()
        return self._sessions

    # -- comparison ------------------------------------------------------------------------------

    def simulations(self, simulation_ids: Which = None) -> list[SimulationInfo]:
        """What is known of simulations: a list, which terminals and notebooks show as a table.

        Parameters
        ----------
        simulation_ids : str, or list of str, optional
            A list of ids; or SQL's ``WHERE`` over the columns of ``simulations``, over ``params.<name>`` and over
            ``results.<name>``: ``"params.rate > 0.1 AND status = 'completed'"``. Names are exact; ``params.a.b`` is a
            value in a dict, and a name that is no word stands in quotes: ``params."learning-rate"``. All of the
            experiment unless given.

        Raises
        ------
        NotFoundError
            For an id that is not there.
        InvalidError
            For a filter that SQLite does not take, and for a name that no simulation of the file has.
        """
        return simulation_infos(_json.loads(self._inner.simulations(which(simulation_ids))))

    def compare(
        self,
        simulation_ids: Which = None,
        metric: str | Sequence[str] = "total_agents",
        at: str | int = "final",
    ) -> Table:
        """A row a simulation, a column a metric.

        Sums are kept as rows are written, so that a mean over millions of rows reads none of them.

        Parameters
        ----------
        simulation_ids : str, or list of str, optional
            As of :meth:`simulations`.
        metric : str, or list of str
            A column of ``simulation_steps``, the name of a logged metric, or ``"table.column"``, as
            ``"agent_states.total_reward"``. A metric that was logged by the name of a column is one with it: at a step
            that has both, what was logged counts.
        at : {"final", "mean", "min", "max", "sum", "count"}, or int
            ``"final"``: at the last step that has a value. A number: at that step. Where a step has many values, their
            mean. NaN is left out of everything but a single value.

        Returns
        -------
        Table
            ``simulation_id``, and a column of float64 for each metric; null where a simulation has no value.
        """
        names = [metric] if isinstance(metric, str) else list(metric)
        ats = [(name, str(at)) for name in names]
        return Table(self._inner.compare(which(simulation_ids), ats), f"{', '.join(names)} at {at}")

    def pivot(self, simulation_ids: Which = None, metric: str = "total_agents") -> Table:
        """A row a step, a column a simulation: the values of a metric."""
        return Table(self._inner.pivot(which(simulation_ids), metric), metric)

    def parameters(self, simulation_ids: Which = None, *, only_differing: bool = False) -> Table:
        """A row a simulation, a column a parameter: all of them, or those in which the simulations differ."""
        return Table(self._inner.parameters(which(simulation_ids), only_differing), "parameters")

    def difference(self, first: str, second: str) -> Table:
        """Two simulations: a row a metric, its mean and last value in both, and the second less the first."""
        return Table(self._inner.difference(first, second), f"{second} less {first}")

    def metric(self, simulation_id: str, metric: str) -> list[tuple[int, float]]:
        """The values of a metric of one simulation: ``(step, value)``."""
        return self._inner.metric(simulation_id, metric)

    def metric_names(self, simulation_id: str) -> list[str]:
        """The names of the metrics that a simulation has."""
        return self._inner.metric_names(simulation_id)

    # -- the file --------------------------------------------------------------------------------

    def flush_all_buffers(self) -> None:
        """Write what waits in the buffers of all simulations that are open here."""
        self._inner.flush_all_buffers()

    def sizes(self) -> list[TableSize]:
        """The room that each simulation takes in each table, the most first."""
        return [TableSize(**size) for size in json.loads(self._inner.sizes())]

    def retain(
        self,
        *,
        keep_last: int | None = None,
        keep_for: float | None = None,
        where: str | None = None,
        all: bool = False,
        dry_run: bool = False,
    ) -> list[str]:
        """Remove simulations that have ended; the ids of those that went, or would go.

        What would remove every simulation of the file is refused, and nothing is removed, unless ``all`` is given.

        Parameters
        ----------
        keep_last : int, optional
            The latest so many stay.
        keep_for : float, optional
            Those that ended less than so many seconds ago stay.
        where : str, optional
            Only these may go: a filter as of :meth:`simulations`.
        all : bool
            Whether these may be all simulations of the file.
        dry_run : bool
            Whether nothing is removed.

        Raises
        ------
        InvalidError
            If nothing says which may go, or all simulations would go without ``all``.
        """
        return self._inner.retain(keep_last, keep_for, where, all, dry_run)

    def split(self, target: PathLike, simulation_ids: Which = None) -> MergeReport:
        """Copy simulations into another file, as :func:`merge` does."""
        return merge_report(self._inner.split(which(simulation_ids), target))

    def export(
        self,
        folder: PathLike,
        simulation_ids: Which = None,
        *,
        format: str = "parquet",
        tables: Sequence[str] = (),
        steps: tuple[int, int] | None = None,
        overwrite: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Exported]:
        """Write the records of simulations into a folder, a file a table and simulation.

        The files are ``<table>/experiment_id=<id>/simulation_id=<id>/part-0.parquet``: engines that know such folders
        read a table of them with both ids as columns.

        Parameters
        ----------
        folder : path
            The folder.
        simulation_ids : str, or list of str, optional
            As of :meth:`simulations`.
        format : {"parquet", "arrow", "csv", "jsonl"}
            What the files are.
        tables : list of str
            These tables; all that have records unless given.
        steps : (first, last), optional
            Records of these steps.
        overwrite : bool
            Whether files that are there may be replaced.
        progress : callable, optional
            Gets the files that are done, and their number.
        """
        written = self._inner.export(which(simulation_ids), folder, format, list(tables), steps, overwrite, progress)
        return [Exported(**file) for file in json.loads(written)]

    def vacuum(self) -> int:
        """Give the room of removed and compacted rows back to the file system; the bytes."""
        return self._inner.vacuum()

    def verify(self) -> VerifyReport:
        """Check the pages, the references and the checksum of every block and array."""
        return VerifyReport(**self._inner.verify())

    def backup_into(self, folder: PathLike, keep: int = 5) -> BackupReport:
        """Copy the file into a folder, verified; the oldest of more than ``keep`` copies made so go."""
        return BackupReport(**self._inner.backup_into(folder, keep))

    def close(self) -> None:
        """Write what waits, and let the file go. Simulations that still run here are ``stopped``; their contexts log
        nothing any more.
        """
        if self._sessions is not None:
            self._sessions.kw["bind"].dispose()
            self._sessions = None
        self._inner.close()
        forget(self._inner)

    def _leave(self, error: BaseException | None) -> None:
        self.close()

    def _shown(self) -> str:
        return f"{self.db_path!r}, {self.experiment_id!r}"


class SimulationContext(StoreHandle, Simulation):
    """One simulation of a database: made by :meth:`ExperimentDatabase.create_simulation_context`.

    Attributes
    ----------
    parent_db : ExperimentDatabase
        The database.
    """

    def __init__(self, parent_db: ExperimentDatabase, logger: _siltstone.DataLogger) -> None:
        self._database = self.parent_db = parent_db
        self._logger: _siltstone.DataLogger | None = logger
        self._id = logger.simulation_id
        # The hot calls go past Python.
        self.log_step = logger.log_step  # type: ignore[method-assign, assignment]
        self.log_agent_action = logger.log_agent_action  # type: ignore[method-assign]
        self.log_metric = logger.log_metric  # type: ignore[method-assign]

    @property
    def simulation_id(self) -> str:
        return self._id

    @property
    def logger(self) -> _siltstone.DataLogger:
        if self._logger is None:
            raise ClosedError(f"the simulation {self._id!r} belongs to a database that was closed")
        return self._logger

    def _let_go(self) -> None:
        """Its database was closed: the file, and the threads that wrote it, are not held here any more."""
        self._logger = None
        for name in ("log_step", "log_agent_action", "log_metric"):
            delattr(self, name)

    def complete(self, results_summary: Mapping[str, Any] | None = None) -> None:
        """Mark the simulation ``completed``; what waits is written first."""
        self.parent_db.update_simulation_status(self.simulation_id, "completed", results_summary)

    def fail(self, error: str) -> None:
        """Mark the simulation ``failed``, with the reason; what waits is written first."""
        self.logger.fail(error)

    def close(self) -> None:
        """Write what waits."""
        self.flush_all_buffers()

    #: The documented name of the same.
    cleanup = close

    def _leave(self, error: BaseException | None) -> None:
        end(self.logger, error)

    def _shown(self) -> str:
        return f"{self.simulation_id!r}, {self.parent_db!r}"
