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
        self._run = run

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Log the metrics of an epoch; its number is the step."""
        self._run.log(logs or {}, step=epoch)
