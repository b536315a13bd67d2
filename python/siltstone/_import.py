"""What other tools wrote, into a file."""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, overload

from siltstone import _siltstone
from siltstone._reports import Skipped, skipped_reports
from siltstone.errors import InvalidError, InvalidTypeError
from siltstone.experiment import import_agentfarm
from siltstone.memory import import_godly_ai
from siltstone.series import import_dataset, import_influx, import_points
from siltstone.series._import import paths_of
from siltstone.simulation import import_epanet, import_json, import_states, import_sumo
from siltstone.ticks import import_quotes, import_ticks

PathLike = str | os.PathLike[str]
Progress = Callable[[int, int], object] | None
Tracker = Literal["mlflow", "tensorboard", "sacred", "trackio", "wandb", "netlogo"]


class Imported(NamedTuple):
    """What an import of a tracker's runs understood and did.

    Attributes
    ----------
    kind : str
        The tool.
    understood : str
        What the source was taken for.
    found : dict of str to int
        How much it has: ``runs``, ``parameters``, ``tags``, ``metrics``, ``points``, ``texts``, ``arrays``,
        ``artifacts``.
    imported : list of str
        Runs that were imported, by their ids in the file; of a dry run, those that were read.
    continued : list of str
        Runs that were there and had changed or grown: what was new was added.
    unchanged : list of str
        Runs that were there, and of which the source has nothing new.
    changed : dict of str to int
        What changed of continued runs beside their records (``status``, ``results``), and of how many.
    rows : int
        Records that were written.
    notes : list of str
        What is not finished in the source.
    not_carried : dict of str to int
        Kinds of things that the import does not carry, and how many of them the source has.
    skipped : list of Skipped
        What could not be read, and values that differ from the stored ones, which stay: skipped.
    """

    kind: str
    understood: str
    found: dict[str, int]
    imported: list[str]
    continued: list[str]
    unchanged: list[str]
    changed: dict[str, int]
    rows: int
    notes: list[str]
    not_carried: dict[str, int]
    skipped: list[Skipped]


def _runs(
    source: PathLike,
    output: PathLike | None,
    *,
    kind: str,
    prefix: str = "",
    compact: bool = False,
    progress: Progress = None,
) -> Imported:
    found = json.loads(_siltstone.import_runs(kind, source, output, prefix, compact, progress))
    found["skipped"] = skipped_reports(found["skipped"])
    for pairs in ("changed", "not_carried"):
        found[pairs] = dict(found[pairs])
    return Imported(**found)


def _ticks(source: Any, output: Any, **options: Any) -> Any:
    """A folder is one of the RTX engine."""
    is_folder = isinstance(source, (str, os.PathLike)) and os.path.isdir(source)
    # A dry run reads, and names the folder of nothing.
    return (import_ticks if is_folder else import_quotes)(source, "" if output is None else output, **options)


def _series(source: Any, output: Any, **options: Any) -> Any:
    """What is no table is a dataset of meteaudata."""
    paths = paths_of(source)
    if all(map(_siltstone.series_is_table, paths)):
        return import_points(paths, output, **options)
    if len(paths) > 1:
        raise InvalidError(f"source: expected tables, or one dataset of meteaudata, got {len(paths)} files")
    if "dataset" in options:
        options["name"] = options.pop("dataset")
    return import_dataset(paths[0], output, **options)


def _experiment(source: Any, output: Any, **options: Any) -> Any:
    return import_agentfarm(paths_of(source), output, **options)


#: What imports a kind; the functions whose options it takes; whether it has a ``dry_run``, or no output tells it.
_KINDS: dict[str, tuple[Callable[..., Any], tuple[Callable[..., Any], ...], bool]] = {
    "simulation": (import_json, (import_json,), False),
    "states": (import_states, (import_states,), False),
    "sumo": (import_sumo, (import_sumo,), False),
    "epanet": (import_epanet, (import_epanet,), False),
    "influx": (import_influx, (import_influx,), True),
    "series": (_series, (import_points, import_dataset), True),
    "ticks": (_ticks, (import_quotes, import_ticks), True),
    "experiment": (_experiment, (import_agentfarm,), False),
    "memory": (import_godly_ai, (import_godly_ai,), False),
}


@overload
def import_(
    source: PathLike,
    kind: Tracker,
    output: PathLike | None = None,
    *,
    dry_run: bool = False,
    progress: Progress = None,
    prefix: str = "",
    compact: bool = False,
) -> Imported: ...
@overload
def import_(
    source: PathLike | Iterable[PathLike],
    kind: str | None = None,
    output: PathLike | None = None,
    *,
    dry_run: bool = False,
    progress: Progress = None,
    **options: Any,
) -> Any: ...
def import_(
    source: PathLike | Iterable[PathLike],
    kind: str | None = None,
    output: PathLike | None = None,
    *,
    dry_run: bool = False,
    progress: Progress = None,
    **options: Any,
) -> Any:
    """Import what another tool wrote; the source is only read, and nothing in it is run.

    A second import adds what is new, and changes nothing else; of tables of series ``append`` and ``overlap`` say what
    is new.

    Parameters
    ----------
    source : path, or list of paths
        The folder or file; files of ticks, of InfluxDB, of loggers and of AgentFarm may be several.
    kind : str, optional
        What wrote it: see :func:`import_kinds`. Unless given, its content says it where that is beyond doubt, and
        stderr what it was taken for.
    output : path
        The file that gets it (of ticks, the folder), which is made if it is not there. Not needed for a dry run.
    dry_run : bool
        Whether to read all of it, say what was understood, and write nothing.
    progress : callable, optional
        Gets what is done, and in all; what it raises stops the import.
    **options
        Those of the kind, by the names of its own function:

        - ``mlflow``, ``tensorboard``, ``sacred``, ``trackio``, ``wandb``, ``netlogo``: ``prefix``, a text in front of
          the id of each run, where folders have the same ids; ``compact``, whether runs that are over become column
          blocks, which is quicker, takes less space, and SQLite alone cannot read. A run becomes a simulation of the
          same id.
        - ``simulation``: :func:`siltstone.simulation.import_json`, the source being ``updates_dir``;
          ``states``, ``sumo``, ``epanet``: :func:`~siltstone.simulation.import_states` and its neighbours.
        - ``series``: :func:`siltstone.series.import_points`, or of a dataset of meteaudata
          :func:`~siltstone.series.import_dataset`; ``influx``: :func:`~siltstone.series.import_influx`.
        - ``ticks``: :func:`siltstone.ticks.import_quotes`, or of a folder :func:`~siltstone.ticks.import_ticks`.
        - ``experiment``: :func:`siltstone.experiment.import_agentfarm`;
          ``memory``: :func:`siltstone.memory.import_godly_ai`.

    Returns
    -------
    Imported, or the report of the kind's own function
        What was understood, what was done, and what was skipped.

    Raises
    ------
    NotFoundError
        For a source that is not there.
    InvalidError
        For a source that is none of the kind, a kind that is not known or that the source does not tell, an option that
        the kind does not have, and no output.

    Examples
    --------
    >>> import siltstone
    >>> report = siltstone.import_("mlruns", "mlflow", "runs.db")  # doctest: +SKIP
    >>> report.imported, report.skipped  # doctest: +SKIP
    (['8a1c5b1e0f9d4c6c9a0c5a4b7e2d1f30'], [])
    >>> siltstone.import_("export.lp.gz", output="plant.db").added  # doctest: +SKIP
    export.lp.gz: taken for influx: InfluxDB: annotated CSV and line protocol (also .gz, .zst)
    12
    """
    if output is None and not dry_run:
        raise InvalidError("output: expected a file, or dry_run=True, got nothing")
    if not isinstance(source, (str, os.PathLike)):
        source = list(source)
    if kind is None:
        first = paths_of(source)[0]
        kind = _siltstone.import_detect(first)
        print(f"{os.fspath(first)}: taken for {kind}: {import_kinds()[kind]}", file=sys.stderr)
    else:
        kind = _siltstone.import_kind(str(kind))
    tracker = (functools.partial(_runs, kind=kind), (_runs,), False)
    function, documented, has_dry_run = _KINDS.get(kind, tracker)
    known = {name for one in documented for name, of in inspect.signature(one).parameters.items() if _is_option(of)}
    for name in options:
        if name not in known - {"kind"}:
            names = ", ".join(sorted(known - {"kind", "dry_run", "progress"})) or "there is none"
            raise InvalidTypeError(f"{name}: expected an option of {kind} ({names})")
    if "progress" in known:
        options["progress"] = progress
    elif progress is not None:
        progress(0, 1)
    if has_dry_run:
        options["dry_run"] = dry_run
    elif dry_run:
        output = None
    report = function(source, output, **options)
    if "progress" not in known and progress is not None:
        progress(1, 1)
    return report


def _is_option(parameter: inspect.Parameter) -> bool:
    return parameter.kind is inspect.Parameter.KEYWORD_ONLY


def import_kinds() -> dict[str, str]:
    """Name the kinds that :func:`import_` takes, and what each of them reads."""
    return dict(_siltstone.import_kinds())
