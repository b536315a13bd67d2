"""Gymnasium: the episodes of an environment."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium
import numpy as np

from siltstone._run import Run


class RecordEpisodes(gymnasium.Wrapper[Any, Any, Any, Any]):  # type: ignore[misc]
    """A wrapper that stores each episode when it ends, at the next step of the run.

    Metrics are ``episode.return`` and ``episode.length``; arrays ``episode.rewards``, ``episode.actions`` and
    ``episode.observations``, which has one more, at the beginning. Observations and actions that are no arrays of one
    shape are left out. An episode that is not ended when the environment is closed is stored as it is.

    Parameters
    ----------
    env : gymnasium.Env
        The environment.
    run : Run
        The run.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], run: Run) -> None:
        super().__init__(env)
        self._run = run
        self._forget([])

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; one that was not ended is stored."""
        self._store()
        observation, info = self.env.reset(**options)
        self._forget([observation])
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Do a step, and keep it."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._observations.append(observation)
        self._actions.append(action)
        self._rewards.append(float(reward))
        if terminated or truncated:
            self._store()
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Store the episode that is under way, and close the environment."""
        self._store()
        super().close()

    def _forget(self, observations: list[Any]) -> None:
        self._observations = observations
        self._actions: list[Any] = []
        self._rewards: list[float] = []

    def _store(self) -> None:
        if not self._rewards:
            return
        rewards = np.array(self._rewards)
        episode: dict[str, Any] = {"return": rewards.sum(), "length": len(rewards), "rewards": rewards}
        for name, items in (("actions", self._actions), ("observations", self._observations)):
            try:
                array = np.asarray(items)
            except ValueError:  # of different shapes
                continue
            if array.dtype.kind in "biuf":
                episode[name] = array
        self._run.log({"episode": episode})
        self._forget([])
