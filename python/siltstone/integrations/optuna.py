"""Optuna: a run a trial."""

from __future__ import annotations

import os
from typing import Any

import optuna

from siltstone._run import init


class RunCallback:
    """A callback of ``study.optimize`` that stores each trial as a run, under the id ``STUDY-NUMBER``.

    Its parameters are those that were suggested, its metric ``intermediate`` what the trial reported, its summary the
    value (or ``values``) and the attributes that were set. A trial that was pruned is ``stopped``, one that failed is
    ``failed``.

    Parameters
    ----------
    path : path
        The file.
    name : str, optional
        The experiment; that of the study, unless given.
    """

    def __init__(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        self._path, self._name = path, name

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """Store a trial that has ended."""
        id = f"{study.study_name}-{trial.number}"
        run = init(self._path, trial.params, name=self._name or study.study_name, id=id)
        for step, value in sorted(trial.intermediate_values.items()):
            run.log({"intermediate": value}, step=step)
        summary: dict[str, Any] = dict(trial.user_attrs)
        if trial.values is not None:
            summary |= {"value": trial.values[0]} if len(trial.values) == 1 else {"values": list(trial.values)}
        run.summary.update(summary)
        if trial.state == optuna.trial.TrialState.PRUNED:
            run.finish(status="stopped")
        else:
            failed = trial.state == optuna.trial.TrialState.FAIL
            run.finish("the trial failed" if failed else None)
