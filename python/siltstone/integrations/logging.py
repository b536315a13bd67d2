"""Log records of Python's ``logging`` beside the metrics of a run."""

from __future__ import annotations

from logging import NOTSET, Handler, LogRecord

from siltstone._run import Run

#: The table of log records, which is made with the first handler of a run.
TABLE = "run_events"
_COLUMNS = {"time_ms": "int64", "level": "category", "logger": "category", "message": "text"}


class RunHandler(Handler):
    """A handler that stores records in the table ``run_events`` of a run, at the run's step.

    Parameters
    ----------
    run : Run
        The run. Its end does not remove the handler; what is logged afterwards is reported as ``logging`` reports it.
    level : int
        As of ``logging.Handler``.

    Examples
    --------
    >>> import logging, os, tempfile
    >>> import siltstone
    >>> from siltstone.integrations.logging import RunHandler
    >>> with siltstone.init(os.path.join(tempfile.mkdtemp(), "sweep.db")) as run:
    ...     handler = RunHandler(run)
    ...     logging.getLogger("solver").addHandler(handler)
    ...     logging.getLogger("solver").warning("step %d did not converge", 3)
    ...     logging.getLogger("solver").removeHandler(handler)
    ...     run.simulation.query("SELECT level, message FROM run_events").rows
    [('WARNING', 'step 3 did not converge')]
    """

    def __init__(self, run: Run, level: int = NOTSET) -> None:
        super().__init__(level)
        self._run = run
        run.simulation.define_table(TABLE, _COLUMNS)

    def emit(self, record: LogRecord) -> None:
        """Store a record, with its traceback if it has one."""
        try:
            self._run.simulation.log(
                TABLE,
                step=self._run.step,
                time_ms=int(record.created * 1000),
                level=record.levelname,
                logger=record.name,
                message=self.format(record),
            )
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Write what waits into the file; of a run that is finished nothing does."""
        if not self._run._is_finished:
            self._run.flush()
