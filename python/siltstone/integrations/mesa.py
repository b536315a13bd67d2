"""Mesa: what a model and its agents report, in the file of a run."""

from __future__ import annotations

from typing import Any

import mesa
import numpy as np

from siltstone._run import Run

#: The table of what agents report, which is made with the first of it.
TABLE = "mesa_agents"
#: What kinds of numpy arrays are as columns of a table of records. What is an integer may be a float later.
_KINDS = {"b": "bool", "i": "float64", "u": "float64", "f": "float64"}


class RunCollector(mesa.DataCollector):  # type: ignore[misc]
    """Mesa's ``DataCollector`` that logs what it collects.

    What a model reports is metrics, what its agents report the table ``mesa_agents``: ``agent``, and a column for each
    reporter, of the type of its first values. Everything that Mesa's own collector offers is there too.

    Parameters
    ----------
    run : Run
        The run.
    **reporters
        As of ``mesa.DataCollector``.
    """

    def __init__(self, run: Run, **reporters: Any) -> None:
        super().__init__(**reporters)
        self._run = run
        self._columns: dict[str, str] | None = None

    def collect(self, model: mesa.Model) -> None:
        """Collect what is reported at the model's step, and log it."""
        super().collect(model)
        step = int(model.steps)
        self._run.log({name: values[-1] for name, values in self.model_vars.items()}, step=step)
        records = self._agent_records.get(model.steps) if self.agent_reporters else None
        if not records:
            return
        _, *values = zip(*records, strict=True)  # of each agent: the step, its number, and what it reports
        columns = dict(zip(["agent", *self.agent_reporters], map(_column, values), strict=True))
        if self._columns is None:
            self._columns = {"agent": "int64"} | {
                name: _KINDS.get(values.dtype.kind, "text") for name, values in columns.items() if name != "agent"
            }
            self._run.simulation.define_table(TABLE, self._columns)
        self._run.simulation.log(TABLE, columns, step=step)


def _column(values: tuple[Any, ...]) -> np.ndarray[Any, Any]:
    """Values of agents; None is NaN."""
    missing = [value is None for value in values]
    if not any(missing):
        return np.asarray(values)
    if all(isinstance(value, (int, float, np.number)) for value in values if value is not None):
        return np.array([np.nan if value is None else value for value in values])
    return np.array(["" if value is None else str(value) for value in values])
