"""Optuna: a run a trial."""

from __future__ import annotations

import json
import os
from typing import Any

import optuna

from siltstone._run import init
from siltstone.errors import ExistsError


class RunCallback:
    """A callback of ``study.optimize`` that stores each trial as a run, under the id ``STUDY-NUMBER`` if that is free.

    Its parameters are those that were suggested, its metric ``intermediate`` what the trial reported, its summary the
    value (or ``values``) and the attributes that were set. A trial that was pruned is ``stopped``, one that failed is
    ``failed``.

    Parameters
    ----------
    path : path
        The file.
    project : str, optional
        The experiment; the name of the study, unless given.
    """

    def __init__(self, path: str | os.PathLike[str], project: str | None = None) -> None:
        self._path, self._project = path, project

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """Store a trial that has ended."""
        id = f"{study.study_name}-{trial.number}"
        options: dict[str, Any] = {"project": self._project or study.study_name, "name": id}
        try:
            run = init(self._path, trial.params, id=id, **options)
        except ExistsError:  # a study of that name before
            run = init(self._path, trial.params, **options)
        summary = {name: _plain(value) for name, value in trial.user_attrs.items()}
        if trial.values is not None:
            summary |= {"value": trial.values[0]} if len(trial.values) == 1 else {"values": list(trial.values)}
        is_pruned = trial.state == optuna.trial.TrialState.PRUNED
        with run:
            for step, value in sorted(trial.intermediate_values.items()):
                run.log({"intermediate": value}, step=step)
            run.summary.update(summary)
            failed = trial.state == optuna.trial.TrialState.FAIL
            run.finish("the trial failed" if failed else None, status="stopped" if is_pruned else "completed")


def _plain(value: Any) -> Any:
    """What an attribute is in JSON, or how it shows itself."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return repr(value)
    return value
