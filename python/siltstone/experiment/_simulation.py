"""What every handle to one simulation can do, whatever it is in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siltstone import _json, _siltstone
from siltstone._query import QueryResult
from siltstone._table import Table
from siltstone.errors import InvalidError
from siltstone.experiment._given import definition

if TYPE_CHECKING:
    import numpy as np

    from siltstone.experiment._config import DataLoggingConfig
    from siltstone.experiment._database import ExperimentDatabase


class Simulation:
    """One simulation: what it logs, and what it logged.

    Attributes
    ----------
    logger : DataLogger
        Logs; its methods are those of this class that begin with ``log_`` and ``flush_``.
    simulation_id : str
        Its id.
    """

    _database: ExperimentDatabase

    @property
    def simulation_id(self) -> str:
        raise NotImplementedError

    @property
    def logger(self) -> _siltstone.DataLogger:
        raise NotImplementedError

    @property
    def db_path(self) -> str:
        """The file."""
        return self._database.db_path

    def _logger_of(self, simulation_id: str | None, config: DataLoggingConfig | None) -> _siltstone.DataLogger:
        """What logs it, with a buffer of its own if its configuration is another."""
        self._check_id(simulation_id or self.simulation_id)
        if config is None:
            return self.logger
        return self.logger.with_logging(config.buffer_size, config.commit_interval, config.durability)

    def _check_id(self, simulation_id: str) -> None:
        if simulation_id != self.simulation_id:
            got = f"{simulation_id!r}"
            raise InvalidError(f"simulation_id: expected {self.simulation_id!r}, got {got}")

    def _execute_in_transaction(self, func: Callable[[Any], Any]) -> Any:
        """What ``func`` returns for a SQLAlchemy session that reads; AgentFarm's environment asks so. What waits is
        written first.
        """
        with self._database.Session() as session:
            return func(session)

    # -- its record ------------------------------------------------------------------------------

    def add_simulation_record(
        self,
        simulation_id: str,
        start_time: datetime | None = None,
        status: str = "running",
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """Add parameters to the simulation, which is there from the beginning, and say its status.

        Its start is when it was made: ``start_time`` is taken for the sake of the documented call.

        Raises
        ------
        InvalidError
            For the id of another simulation.
        ExistsError
            For a parameter that has another value already.
        """
        self._check_id(simulation_id)
        if parameters:
            self.log_params(parameters)
        if status != "running":
            self.update_simulation_record(simulation_id, status=status)

    def update_simulation_record(
        self,
        simulation_id: str,
        *,
        status: str | None = None,
        end_time: datetime | None = None,
        results_summary: Mapping[str, Any] | None = None,
        simulation_db_path: str | os.PathLike[str] | None = None,
    ) -> None:
        """Change its record; see :meth:`ExperimentDatabase.update_simulation_record`."""
        self._check_id(simulation_id)
        self.logger  # noqa: B018 - makes it
        self._database.update_simulation_record(
            simulation_id,
            status=status,
            end_time=end_time,
            results_summary=results_summary,
            simulation_db_path=simulation_db_path,
        )

    # -- steps and agents ------------------------------------------------------------------------

    def log_step(
        self,
        step_number: int,
        agent_states: Any = None,
        resource_states: Any = None,
        metrics: Mapping[str, Any] | None = None,
    ) -> None:
        """Log a step: the states of all agents and resources, and numbers about the whole.

        A step that is logged again replaces what was logged of it. Unless the durability is ``"buffered"`` the step,
        and all that waited before it, is committed when this returns.

        Parameters
        ----------
        step_number : int
            0 or a later one.
        agent_states : iterable of tuple, or dict of columns, or Arrow table
            Tuples of ``(agent_id, position_x, position_y, resource_level, current_health, starting_health,
            starvation_counter, is_defending, total_reward, age)``; or these as columns, each an array or a list of one
            value an agent, some of which may be left out. Of two rows of one agent the last one counts.
        resource_states : iterable of tuple, or dict of columns, or Arrow table
            Tuples of ``(resource_id, amount, position_x, position_y)``, or these as columns.
        metrics : dict
            Columns of ``simulation_steps``. A number of another name is kept as :meth:`log_metric` keeps it, anything
            else in the column ``other_metrics``.

        Raises
        ------
        InvalidError
            For a row that does not fit; nothing of the step is kept then.
        BusyError, StorageError
            If it could not be written; it is kept in memory then, and the next flush tries again.
        """
        self.logger.log_step(step_number, agent_states, resource_states, None if metrics is None else dict(metrics))

    def log_agent(self, *args: Any, **kwargs: Any) -> None:
        """Register an agent: ``agent_id, birth_time, agent_type, position, initial_resources, starting_health,
        genome_id=None, generation=0, action_weights=None``. One that is registered already is replaced.
        """
        self.logger.log_agent(*args, **kwargs)

    def log_agents_batch(self, agents: Iterable[Mapping[str, Any]]) -> None:
        """Register agents, all or none: dicts with the arguments of :meth:`log_agent`."""
        self.logger.log_agents_batch([dict(agent) for agent in agents])

    def log_agent_action(self, *args: Any, **kwargs: Any) -> None:
        """Log what an agent did: ``step_number, agent_id, action_type, action_target_id=None, reward=None,
        details=None, module_type=None, module_id=None, action_taken=None, action_taken_mapped=None``.

        It waits in memory until enough rows do, a step is committed, or it is flushed.
        """
        self.logger.log_agent_action(*args, **kwargs)

    def log_learning_experience(self, *args: Any, **kwargs: Any) -> None:
        """Log a decision of a module: ``step_number, agent_id, module_type, module_id, action_taken,
        action_taken_mapped, reward=None``. It is a row of ``agent_actions``.
        """
        self.logger.log_learning_experience(*args, **kwargs)

    def log_resource(self, resource_id: str, initial_amount: float, position: tuple[float, float]) -> None:
        """Log a resource as it is before the first step."""
        self.logger.log_resource(resource_id, initial_amount, position)

    def log_health_incident(self, *args: Any, **kwargs: Any) -> None:
        """Log what changed the health of an agent: ``step_number, agent_id, health_before, health_after, cause,
        details=None``.
        """
        self.logger.log_health_incident(*args, **kwargs)

    def update_agent_death(self, agent_id: str, death_time: int, cause: str = "starvation") -> None:
        """Say that an agent has died, and log a health incident of this cause.

        Raises
        ------
        NotFoundError
            For an agent that was not registered.
        """
        self.logger.update_agent_death(agent_id, death_time, cause)

    def update_agent_state(self, agent_id: str, step_number: int, state_data: Mapping[str, Any]) -> None:
        """Log the state of one agent at a step: columns of ``agent_states``, or a ``position`` of two."""
        values = dict(state_data)
        if (position := values.pop("position", None)) is not None:
            values["position_x"], values["position_y"] = position[:2]
        self.logger.update_agent_state(agent_id, step_number, values)

    # -- records in general ----------------------------------------------------------------------

    def define_table(self, name: str, columns: Mapping[str, str], *, key: str | None = None) -> None:
        """Make a table of records in the file, unless it is there. All simulations of the file share it.

        Parameters
        ----------
        name : str
            Letters, digits and ``_``. It is a table of that name for SQL too, with ``simulation_id`` and ``step``.
        columns : dict of str to str
            Names and types: ``"float64"``, ``"float32"``, ``"int64"``, ``"int32"``, ``"int16"``, ``"int8"``,
            ``"uint32"``, ``"uint16"``, ``"uint8"``, ``"bool"``, ``"text"``, ``"category"`` (texts of which there are
            few), ``"json"``, ``"datetime64[ns]"``.
        key : str, optional
            Of one step and one value of this column there is one record: logged again, it replaces.

        Raises
        ------
        ExistsError
            If there is a table of that name with other columns.
        InvalidError
            For a name that a store needs for itself, in this file or another.

        Examples
        --------
        >>> import os, tempfile
        >>> from siltstone.experiment import ExperimentDatabase
        >>> db = ExperimentDatabase(os.path.join(tempfile.mkdtemp(), "heat.db"), "heat")
        >>> with db.create_simulation_context("sim_0", {"alpha": 0.1}) as sim:
        ...     sim.define_table("temperature", {"x": "float64", "celsius": "float64"})
        ...     sim.log("temperature", step=0, x=[0.0, 0.5], celsius=[20.0, 21.5])
        >>> len(db.query("SELECT * FROM temperature WHERE celsius > 21"))
        1
        >>> db.close()
        """
        self.logger.define_tables([definition(name, columns, key)])

    def log(self, table: str, rows: Any = None, *, step: int | None = None, **columns: Any) -> None:
        """Log records of a table: one, of scalars; or many, of arrays, lists, or an Arrow table.

        Parameters
        ----------
        table : str
            One that was defined, or a documented one.
        rows : dict of columns, or Arrow table, optional
            Many records; without a ``step`` they have it as a column.
        step : int
            Their step.
        **columns
            A scalar each, for one record; or arrays and lists of one length, for many.

        Raises
        ------
        InvalidError
            For a value that does not fit its column, a column that is not there, or columns of different lengths. None
            of the records is kept then.
        """
        if rows is not None:
            if columns:
                raise InvalidError("the records: expected rows, or columns by name, got both")
            self.logger.log_rows(table, step, rows)
        elif any(_is_column(value) for value in columns.values()):
            self.logger.log_rows(table, step, _columns(columns))
        elif step is None:
            raise InvalidError(f"the step of a record of {table}: expected an integer, got none")
        else:
            self.logger.log_row(table, step, columns)

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        """Log a number of a name. Without a step, it is the one behind the last of this name; logged again at the same
        step, it replaces.
        """
        self.logger.log_metric(name, value, step)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers of one step, all or none."""
        self.logger.log_metrics(dict(metrics), step)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Add parameters that were not known when the simulation was made.

        Their keys become texts as those of :meth:`ExperimentDatabase.create_simulation_context` do.

        Raises
        ------
        ExistsError
            For a parameter that has another value already.
        """
        self.logger.log_params(params)

    def log_array(self, name: str, array: Any, step: int = 0) -> None:
        """Keep an array of any numpy dtype under a name and a step; logged again, it replaces."""
        self.logger.log_array(name, array, step)

    def array(self, name: str, step: int | None = None) -> np.ndarray[Any, Any]:
        """An array that was kept; without a step, the last one of the name."""
        return self._database.array(self.simulation_id, name, step)

    def save_configuration(self, config: Mapping[str, Any]) -> None:
        """Keep a configuration; the latest one counts."""
        self.logger.save_configuration(config)

    def get_configuration(self) -> dict[str, Any]:
        """The configuration that was kept last; empty if none was."""
        text = self.logger.get_configuration()
        return _json.loads(text) if text else {}

    # -- buffers ---------------------------------------------------------------------------------

    def flush_all_buffers(self) -> None:
        """Write what waits, in one transaction. What is in memory is let go only after the commit."""
        self.logger.flush_all_buffers()

    # -- reading ---------------------------------------------------------------------------------

    def records(
        self,
        table: str,
        *,
        steps: tuple[int, int] | None = None,
        columns: list[str] | None = None,
        key: str | None = None,
    ) -> Table:
        """Records of this simulation; see :meth:`ExperimentDatabase.records`."""
        return self._database.records(self.simulation_id, table, steps=steps, columns=columns, key=key)

    def agent_states(self, *, steps: tuple[int, int] | None = None, agent_id: str | None = None) -> Table:
        """The states of its agents."""
        return self.records("agent_states", steps=steps, key=agent_id)

    def query(self, sql: str) -> QueryResult:
        """Rows of an SQL statement that reads, of all simulations of the file; see :meth:`ExperimentDatabase.query`."""
        return self._database.query(sql)

    @property
    def Session(self) -> Any:
        """Makes SQLAlchemy sessions that read the file; see :attr:`ExperimentDatabase.Session`."""
        return self._database.Session

    def export_data(
        self,
        filepath: str | os.PathLike[str],
        format: str = "csv",
        data_types: list[str] | None = None,
        start_step: int | None = None,
        end_step: int | None = None,
        include_metadata: bool = True,
    ) -> list[Path]:
        """Write tables of the simulation to files; see :func:`export_data`."""
        from siltstone.experiment._export import export_data

        return export_data(
            self._database,
            self.simulation_id,
            filepath,
            format,
            data_types,
            start_step,
            end_step,
            include_metadata,
        )

    def get_current_pragmas(self) -> dict[str, Any]:
        """SQLite's settings of the file, as its readers have them."""
        names = ["journal_mode", "page_size", "cache_size", "foreign_keys", "synchronous", "auto_vacuum"]
        return {name: self.query(f"PRAGMA {name}").rows[0][0] for name in names}

    def get_table_row_count(self, table: str) -> int:
        """How many records of a table it has, those that wait among them."""
        return self.logger.get_table_row_count(table)


def end(logger: _siltstone.DataLogger, error: BaseException | None) -> None:
    """What the end of a ``with`` block says of a simulation: completed, or failed with the exception's text."""
    if error is None:
        logger.complete()
    else:
        logger.fail(f"{type(error).__name__}: {error}")


def _is_column(value: Any) -> bool:
    is_array = getattr(value, "shape", ()) != () or hasattr(value, "__arrow_c_array__")
    return isinstance(value, list) or is_array


def _columns(columns: dict[str, Any]) -> dict[str, Any]:
    """Columns of one length: scalars beside them are the same in every record."""
    n = next(len(value) for value in columns.values() if _is_column(value))
    return {name: v if _is_column(v) else [v] * n for name, v in columns.items()}
