"""Whether the records of simulations make sense."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from siltstone.experiment._database import ExperimentDatabase

#: A check: its name, what is wrong with a row that it finds, whether that is an error or a warning, whether it is about
#: integrity or statistics, and the rows, of which ``{s}`` narrows to the simulation.
_CHECKS: list[tuple[str, str, str, str, str]] = [
    (
        "table_existence",
        "simulations without any record",
        "warning",
        "integrity",
        "SELECT simulation_id FROM simulations s WHERE {s} AND NOT EXISTS "
        "(SELECT 1 FROM record_summary r WHERE r.simulation = s.id AND r.rows > 0)",
    ),
    (
        "agent_states_foreign_key",
        "states of agents that were never registered",
        "warning",
        "integrity",
        "SELECT DISTINCT simulation_id, agent_id FROM agent_states t WHERE {s} AND NOT EXISTS "
        "(SELECT 1 FROM agents a WHERE a.simulation_id = t.simulation_id AND a.agent_id = t.agent_id)",
    ),
    (
        "actions_foreign_key",
        "actions of agents that were never registered",
        "warning",
        "integrity",
        "SELECT DISTINCT simulation_id, agent_id FROM agent_actions t WHERE {s} AND NOT EXISTS "
        "(SELECT 1 FROM agents a WHERE a.simulation_id = t.simulation_id AND a.agent_id = t.agent_id)",
    ),
    (
        "agents_not_null",
        "agents without a type",
        "error",
        "integrity",
        "SELECT simulation_id, agent_id FROM agents WHERE {s} AND agent_type IS NULL",
    ),
    (
        "temporal_consistency",
        "agents that died before they were born",
        "error",
        "integrity",
        "SELECT simulation_id, agent_id FROM agents WHERE {s} AND death_time < birth_time",
    ),
    (
        "states_after_death",
        "states of agents that were dead",
        "warning",
        "integrity",
        "SELECT t.simulation_id, t.agent_id, t.step_number FROM agent_states t JOIN agents a "
        "ON a.simulation_id = t.simulation_id AND a.agent_id = t.agent_id "
        "WHERE {t} AND t.step_number > a.death_time",
    ),
    (
        "health_ranges",
        "a health below 0 or above the one at the start",
        "error",
        "statistical",
        "SELECT simulation_id, agent_id, step_number FROM agent_states WHERE {s} AND "
        "(current_health < 0 OR current_health > starting_health)",
    ),
    (
        "resource_ranges",
        "agents with a negative resource level",
        "error",
        "statistical",
        "SELECT simulation_id, agent_id, step_number FROM agent_states WHERE {s} AND resource_level < 0",
    ),
    (
        "resource_amounts",
        "resources with a negative amount",
        "error",
        "statistical",
        "SELECT simulation_id, resource_id, step_number FROM resource_states WHERE {s} AND amount < 0",
    ),
    (
        "generation_monotonicity",
        "a generation below 0",
        "error",
        "statistical",
        "SELECT simulation_id, agent_id FROM agents WHERE {s} AND generation < 0",
    ),
    (
        "population_consistency",
        "steps whose total_agents is not the number of their states",
        "warning",
        "statistical",
        "SELECT t.simulation_id, t.step_number FROM simulation_steps t JOIN (SELECT simulation_id, step_number, "
        "count(*) AS n FROM agent_states WHERE {s} GROUP BY 1, 2) c "
        "ON c.simulation_id = t.simulation_id AND c.step_number = t.step_number "
        "WHERE {t} AND abs(t.total_agents - c.n) > 2",
    ),
    (
        "step_continuity",
        "a gap behind these steps",
        "warning",
        "statistical",
        "SELECT simulation_id, step_number FROM (SELECT simulation_id, step_number, lead(step_number) OVER "
        "(PARTITION BY simulation_id ORDER BY step_number) AS next FROM simulation_steps WHERE {s}) "
        "WHERE next > step_number + 1",
    ),
]


class ValidationResult(NamedTuple):
    """What one check found.

    Attributes
    ----------
    name : str
        The check.
    passed : bool
        Whether nothing was found.
    severity : {"error", "warning"}
        How bad it is.
    message : str
        What is wrong, in words.
    count : int
        The rows that it is about.
    examples : list of tuple
        The first of them.
    """

    name: str
    passed: bool
    severity: str
    message: str
    count: int  # type: ignore[assignment]  # a documented name; a tuple's method has it too
    examples: list[tuple[Any, ...]]


class ValidationReport:
    """What all checks found.

    Attributes
    ----------
    database_path : str
        The file.
    simulation_id : str or None
        The simulation that was looked at; all of them if there is none.
    results : list of ValidationResult
        One a check.
    """

    def __init__(self, database_path: str, simulation_id: str | None, results: list[ValidationResult]) -> None:
        self.database_path = database_path
        self.simulation_id = simulation_id
        self.results = results

    @property
    def total_checks(self) -> int:
        """How many checks there were."""
        return len(self.results)

    @property
    def passed_checks(self) -> int:
        """How many found nothing."""
        return sum(result.passed for result in self.results)

    @property
    def failed_checks(self) -> int:
        """How many found something."""
        return self.total_checks - self.passed_checks

    @property
    def error_count(self) -> int:
        """How many found an error."""
        return sum(not r.passed and r.severity == "error" for r in self.results)

    @property
    def warning_count(self) -> int:
        """How many found something to look at."""
        return self.failed_checks - self.error_count

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return self.failed_checks == 0

    def get_summary(self) -> str:
        """The findings, a line each."""
        of = f"simulation {self.simulation_id}" if self.simulation_id else "all simulations"
        lines = [f"{of}: {self.passed_checks} of {self.total_checks} checks found nothing"]
        for result in self.results:
            if not result.passed:
                first = ", ".join(map(str, result.examples[0]))
                lines.append(f"{result.severity}: {result.count} {result.message}, first {first}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "database_path": self.database_path,
            "simulation_id": self.simulation_id,
            "is_clean": self.is_clean,
            "results": [result._asdict() for result in self.results],
        }

    def __repr__(self) -> str:
        return f"ValidationReport({self.get_summary()!r})"


def validate_simulation_database(
    db_path: str | os.PathLike[str],
    simulation_id: str | None = None,
    include_integrity: bool = True,
    include_statistical: bool = True,
) -> ValidationReport:
    """Look whether the records of a simulation, or of all, make sense.

    The file itself is looked at by :meth:`ExperimentDatabase.verify`; this is about what was logged. Nothing is
    changed.

    Parameters
    ----------
    db_path : path
        The file.
    simulation_id : str, optional
        Only this simulation: a hole in one is not hidden by the rows of another.
    include_integrity, include_statistical : bool
        Which checks are made.

    Raises
    ------
    NotFoundError
        If there is no such file or simulation.
    """
    kinds = [k for k, yes in (("integrity", include_integrity), ("statistical", include_statistical)) if yes]
    with ExperimentDatabase(db_path, read_only=True) as db:
        if simulation_id is not None:
            db.simulations([simulation_id])
        quoted = "" if simulation_id is None else "'" + simulation_id.replace("'", "''") + "'"
        narrow = "1" if simulation_id is None else f"simulation_id = {quoted}"
        narrow_t = "1" if simulation_id is None else f"t.simulation_id = {quoted}"
        results = []
        for name, message, severity, kind, sql in _CHECKS:
            if kind not in kinds:
                continue
            sql = sql.format(s=narrow, t=narrow_t)
            count = db.query(f"SELECT count(*) FROM ({sql})").rows[0][0]
            examples = [tuple(row) for row in db.query(f"{sql} LIMIT 5").rows] if count else []
            results.append(ValidationResult(name, count == 0, severity, message, count, examples))
    return ValidationReport(str(db_path), simulation_id, results)


def compare_simulations(db: ExperimentDatabase, first: str, second: str) -> dict[str, Any]:
    """Two simulations beside each other; every difference is the second less the first.

    Parameters
    ----------
    db : ExperimentDatabase
        The database.
    first, second : str
        The simulations.

    Returns
    -------
    dict
        ``metadata``, ``parameters`` and ``results``: what differs, as ``(first, second)``; ``metrics``: for each metric
        ``mean_difference``, ``max_difference``, ``min_difference`` and ``final_difference``, None where one has no
        value.
    """
    a, b = db.simulations([first, second])

    def differing(x: dict[str, Any], y: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        return {k: (x.get(k), y.get(k)) for k in {**x, **y} if x.get(k) != y.get(k)}

    known = ("status", "start_time", "end_time", "error", "last_step", "rows")
    metrics: dict[str, dict[str, float | None]] = {}
    names = list(dict.fromkeys(db.metric_names(first) + db.metric_names(second)))
    for at in ("mean", "max", "min", "final"):
        found = db.compare([first, second], names, at).to_arrow().to_pydict() if names else {}
        for name in names:
            x, y = found[name]
            value = None if x is None or y is None else y - x
            metrics.setdefault(name, {})[f"{at}_difference"] = value
    return {
        "metadata": differing({k: getattr(a, k) for k in known}, {k: getattr(b, k) for k in known}),
        "parameters": differing(a.parameters, b.parameters),
        "results": differing(a.results_summary, b.results_summary),
        "metrics": metrics,
    }
