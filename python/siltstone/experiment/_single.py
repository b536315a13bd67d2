"""One simulation by itself: in a file of its own, or in memory."""

from __future__ import annotations

import json
import os
import threading
import time
import warnings
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from siltstone import _siltstone
from siltstone._handle import StoreHandle
from siltstone._reports import CompactReport
from siltstone.errors import ExistsError, InvalidError
from siltstone.experiment._config import DataLoggingConfig, settings
from siltstone.experiment._database import ExperimentDatabase, PathLike
from siltstone.experiment._given import as_dict, facts
from siltstone.experiment._simulation import Simulation, end


class SimulationDatabase(StoreHandle, Simulation):
    """One simulation in a file of its own.

    The file is the same as that of :class:`ExperimentDatabase`, with a simulation that belongs to no experiment. The
    simulation is made, or gone on with, by the first call that logs.

    Parameters
    ----------
    db_path : path
        The file.
    config : dict or object, optional
        As of :class:`ExperimentDatabase`.
    simulation_id : str, optional
        Which simulation. Without one it is the only one of the file, or a new one with the name of the file.
    parameters : dict, optional
        Its parameters, if it is made.
    logging_config : DataLoggingConfig, optional
        When its rows go into the file.

    Examples
    --------
    >>> import os, tempfile
    >>> with SimulationDatabase(os.path.join(tempfile.mkdtemp(), "run.db"), simulation_id="run") as db:
    ...     db.logger.log_step(0, [("a", 0.0, 1.0, 5.0, 90.0, 100.0, 0, False, 0.5, 0)], [], {"total_agents": 1})
    ...     db.get_table_row_count("agent_states")
    1
    """

    def __init__(
        self,
        db_path: PathLike,
        config: Any = None,
        simulation_id: str | None = None,
        *,
        parameters: Mapping[str, Any] | None = None,
        logging_config: DataLoggingConfig | None = None,
    ) -> None:
        self._database = ExperimentDatabase(db_path, None, config)
        self._parameters = parameters
        self._logging_config = logging_config
        self._logger: _siltstone.DataLogger | None = None
        self._lock = threading.Lock()
        ids = self._database.get_simulation_ids()
        if simulation_id is None:
            if len(ids) > 1:
                self._database.close()
                expected = f"one of {', '.join(ids[:10])}"
                raise InvalidError(f"simulation_id: expected {expected}, got none")
            simulation_id = ids[0] if ids else Path(db_path).stem
        self._simulation_id = simulation_id
        self.config = config

    @property
    def simulation_id(self) -> str:
        return self._simulation_id

    @property
    def logger(self) -> _siltstone.DataLogger:
        if self._logger is None:
            with self._lock:
                if self._logger is None:
                    self._logger = self._begin()
        return self._logger

    def _begin(self) -> _siltstone.DataLogger:
        options: dict[str, Any] = {"logging_config": self._logging_config}
        if self._simulation_id in self._database.get_simulation_ids():
            return self._database.resume(self._simulation_id, **options).logger
        make = self._database.create_simulation_context
        return make(self._simulation_id, self._parameters, **options).logger

    def _make(self, parameters: Mapping[str, Any] | None) -> None:
        """Make the simulation, which must not be there."""
        make = self._database.create_simulation_context
        self._logger = make(self._simulation_id, parameters, self._logging_config).logger

    def add_simulation_record(
        self,
        simulation_id: str,
        start_time: datetime | None = None,
        status: str = "running",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Make the simulation; one that is there already stays as it is.

        Its start is the time of the call: ``start_time`` is taken for the sake of the documented call.
        """
        if simulation_id in self._database.get_simulation_ids():
            return
        context = self._database.create_simulation_context(simulation_id, parameters, self._logging_config)
        if simulation_id == self._simulation_id:
            self._logger = context.logger
        if status != "running":
            self._database.update_simulation_status(simulation_id, status)

    def update_simulation_status(self, status: str, results_summary: Mapping[str, Any] | None = None) -> None:
        """Say what became of the simulation; what waits is written first."""
        self.logger  # noqa: B018 - makes it
        self._database.update_simulation_status(self._simulation_id, status, results_summary)

    def compact(self) -> CompactReport:
        """As :meth:`ExperimentDatabase.compact`."""
        return self._database.compact(self._simulation_id)

    def vacuum(self) -> int:
        """As :meth:`ExperimentDatabase.vacuum`."""
        return self._database.vacuum()

    def close(self) -> None:
        """Write what waits, and let the file go."""
        self._database.close()

    #: The documented name of the same.
    cleanup = close

    def _leave(self, error: BaseException | None) -> None:
        if self._logger is not None:
            end(self._logger, error)
        self.close()

    def _shown(self) -> str:
        return f"{self.db_path!r}, {self._simulation_id!r}"


def setup_db(
    db_path: PathLike | None, simulation_id: str, parameters: Mapping[str, Any] | None = None
) -> SimulationDatabase | InMemorySimulationDatabase | None:
    """The database of a simulation that begins, with its record, as AgentFarm's environment asks for it.

    Parameters
    ----------
    db_path : path, optional
        The file; it is made if it is not there, and else the simulation joins those in it. ``":memory:"`` and ``""``:
        in memory. None: no database.
    simulation_id : str
        Its id.
    parameters : dict, optional
        Its parameters.

    Raises
    ------
    ExistsError
        If the file has a simulation of that id.
    """
    if db_path is None:
        return None
    if os.fspath(db_path) in ("", ":memory:"):
        return InMemorySimulationDatabase(simulation_id=simulation_id, parameters=parameters)
    db = SimulationDatabase(db_path, simulation_id=simulation_id)
    try:
        db._make(parameters)
    except BaseException:
        db.close()
        raise
    return db


class Persisted(NamedTuple):
    """What was kept. Its parts are found by their names too: ``kept["rows_copied"]``.

    Attributes
    ----------
    simulation_id : str
        The simulation.
    rows_copied : int
        Its records.
    unchanged : bool
        Whether the file had it already, equal in every record.
    duration : float
        Seconds that it took.
    """

    simulation_id: str
    rows_copied: int
    unchanged: bool
    duration: float

    def __getitem__(self, part: Any) -> Any:
        return getattr(self, part) if isinstance(part, str) else tuple.__getitem__(self, part)


class InMemorySimulationDatabase(StoreHandle, Simulation):
    """One simulation whose rows stay in memory until they are kept in a file.

    What would go beyond the limit spills into a file in the system's folder for temporary files, and so does
    everything when it is read: no row is lost to the limit. Nothing survives the process unless it is kept.

    Parameters
    ----------
    memory_limit_mb : float, optional
        The memory that rows may take, in MiB; 1024 unless given.
    config : dict or object, optional
        Taken as :class:`ExperimentDatabase` takes it, and used when it is kept.
    simulation_id : str
        Its id.
    parameters : dict, optional
        Its parameters.

    Examples
    --------
    >>> import os, tempfile
    >>> db = InMemorySimulationDatabase(memory_limit_mb=100, simulation_id="sim_000")
    >>> for step in range(3):
    ...     db.logger.log_step(step, [], [], {"total_agents": 10 + step})
    >>> db.persist_to_disk(os.path.join(tempfile.mkdtemp(), "exp_001.db")).rows_copied
    3
    >>> db.close()
    """

    def __init__(
        self,
        memory_limit_mb: float | None = None,
        config: Any = None,
        simulation_id: str = "simulation",
        *,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        settings(config)  # what it would say when it is kept is said now
        if memory_limit_mb is not None and not memory_limit_mb > 0:
            raise InvalidError(f"memory_limit_mb: expected more than 0, got {memory_limit_mb!r}")
        limit = None if memory_limit_mb is None else int(memory_limit_mb * (1 << 20))
        self._inner = _siltstone.InMemorySimulation(simulation_id, limit, as_dict(parameters), json.dumps(facts()))
        self._logger = self._inner.logger()
        self.config = config
        self._reader: ExperimentDatabase | None = None

    @property
    def simulation_id(self) -> str:
        return self._logger.simulation_id

    @property
    def logger(self) -> _siltstone.DataLogger:
        return self._logger

    @property
    def _database(self) -> ExperimentDatabase:  # type: ignore[override]
        if self._reader is None:
            self._reader = ExperimentDatabase._over(self._inner.database())
        return self._reader

    def get_memory_usage(self) -> dict[str, float]:
        """MiB that its rows take now, those that they may take, and the share in percent."""
        current, limit = (n / (1 << 20) for n in self._inner.memory())
        return {"current_mb": current, "limit_mb": limit, "usage_percent": 100 * current / limit}

    def persist_to_disk(
        self,
        db_path: PathLike,
        tables: list[str] | None = None,
        show_progress: bool = False,
        *,
        experiment_id: str | None = None,
    ) -> Persisted:
        """Keep the simulation in a file, new or shared with others, in one transaction, with the status that it has.

        Parameters
        ----------
        db_path : path
            The file.
        tables : None
            All tables are kept: some of them would be another simulation under the same id.
        show_progress : bool
            Taken for the sake of the documented call; it is one short transaction.
        experiment_id : str, optional
            The experiment of the file that it is given to; made if it is not there.

        Raises
        ------
        ExistsError
            If the file has another simulation of that id; nothing is written then.
        """
        if tables is not None:
            warnings.warn("all tables are kept, not only some", UserWarning, stacklevel=2)
        folder = os.path.dirname(os.path.abspath(db_path))
        os.makedirs(folder, exist_ok=True)
        start = time.monotonic()
        report = json.loads(self._inner.persist_to_disk(db_path, experiment_id))
        if report["conflicts"]:
            raise ExistsError(report["conflicts"][0]["why"])
        seconds = time.monotonic() - start
        return Persisted(self.simulation_id, report["rows"], bool(report["unchanged"]), seconds)

    @property
    def db_path(self) -> str:
        """``":memory:"``: it has no file of its own."""
        return ":memory:"

    def close(self) -> None:
        """Let it go. What was not kept is gone with the last one that holds it."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _leave(self, error: BaseException | None) -> None:
        self.close()

    def _shown(self) -> str:
        return repr(self.simulation_id)
