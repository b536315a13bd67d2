"""Keras: the metrics of each epoch."""

from __future__ import annotations

from typing import Any

import keras

from siltstone._run import Run


class RunCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """A callback of ``fit`` that logs the metrics of each epoch, by Keras' names (``loss``, ``val_loss``).

    Parameters
    ----------
    run : Run
        The run; ``fit`` does not finish it.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run, self._begin = run, 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Go on behind what the run has."""
        self._begin = self._run.step

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Log the metrics of an epoch; the epochs of a second ``fit`` are behind those of the first."""
        self._run.log(logs or {}, step=self._begin + epoch)
