"""Hooks of other libraries into a run, each in a module of its own: only the library that you import is needed.

- :mod:`siltstone.integrations.logging`: log records of Python's ``logging`` in the file of a run.
- :mod:`siltstone.integrations.keras`: a callback of ``fit``.
- :mod:`siltstone.integrations.optuna`: a callback of ``optimize``, a run a trial.
- :mod:`siltstone.integrations.mesa`: a data collector.
- :mod:`siltstone.integrations.gymnasium`: a wrapper that stores episodes.
"""
