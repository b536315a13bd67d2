"""Files of other simulators into a database."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from siltstone import _siltstone
from siltstone._arguments import mark
from siltstone._reports import FileReport, ImportReport, skipped_reports
from siltstone.simulation._attributes import schema_json
from siltstone.simulation._database import json_report

PathLike = str | os.PathLike[str]
Progress = Callable[[int, int], object] | None


def _report(text: str) -> FileReport:
    fields = json.loads(text)
    fields["skipped"] = skipped_reports(fields["skipped"])
    fields["conflicts"] = [(Path(of["source"]), of["what"], of["why"]) for of in fields["conflicts"]]
    return FileReport(**fields)


def import_json(
    updates_dir: PathLike | None,
    target: PathLike | None,
    *,
    init_dir: PathLike | None = None,
    schema: Any = None,
    workers: int = 0,
    update_pattern: str | None = None,
    progress: Progress = None,
) -> ImportReport:
    """Import folders of movici's JSON files.

    As :meth:`SimulationDatabase.import_json`, whose parameters it has.

    Parameters
    ----------
    updates_dir : path or None
        Folder of ``t<timestamp>_<iteration>_<dataset>.json``.
    target : path or None
        The database, made if it is not there; None to read and count only.
    init_dir : path, optional
        Folder of ``<dataset>.json``.
    schema, workers, update_pattern, progress
        As of :meth:`SimulationDatabase.import_json`.
    """
    return json_report(
        _siltstone.simulation_import_json(
            (init_dir, updates_dir), target, schema_json(schema), workers, update_pattern, progress
        )
    )


def import_states(
    source: PathLike,
    target: PathLike | None,
    *,
    time: str,
    id: str | None = None,
    wide: str | None = None,
    dataset: str,
    group: str,
    columns: Iterable[str] = (),
    missing: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    iteration: int = 0,
    time_unit: float | None = None,
    finished: bool = False,
    durability: str = "os",
    progress: Progress = None,
) -> FileReport:
    r"""Import a table of states: CSV, plain or packed as ``.gz`` or ``.zst``, Parquet or Arrow.

    All rows of a time become one update. Ids are integers, or texts, which get numbers and stay as
    an attribute. What can be read in two ways is refused. What the database has already is
    compared: the same stays unchanged, so that the same call resumes an interrupted import and
    follows a file that grows; what differs is named as a conflict and left out. A last line of text
    without a newline may be cut: it and the rows of its time are left out, unless ``finished``.

    Parameters
    ----------
    source : path
        The table.
    target : path or None
        The database, made if it is not there; None to read and count only.
    time : str
        The column of times: integers, or numbers with ``time_unit``.
    id : str, optional
        The column of the entities' ids; every other one is an attribute.
    wide : str, optional
        In place of ``id``: a column is an entity, and this is the attribute whose values they are.
    dataset, group : str
        Where the updates go.
    iteration : int
        Of the updates; another one for a second file with the same times of the same dataset.
    columns : list of str, optional
        The columns that are taken; all unless given.
    missing : {"keep", "clear"}, optional
        What an empty cell means, and an entity without a row at a later time: the value before it
        stays, or is undefined.
    separator : str, optional
        Between fields; found in the first line unless given.
    decimal : {".", ","}, optional
        The decimal mark of a text; it must be said where numbers may have others than a point.
    thousands : str, optional
        The mark between thousands.
    time_unit : float, optional
        What a timestamp counts, in the unit of the table's times: 0.001 makes milliseconds of seconds.
    finished : bool
        A last line without a newline is whole, and not left out as one that may be cut.
    durability : {"buffered", "os", "disk"}
        What an acknowledged update survives.
    progress : callable, optional
        Gets updates done and in all; what it raises stops the import.

    Raises
    ------
    InvalidError
        For a file that is none, or of which an option has to say more. Nothing was stored.

    Examples
    --------
    >>> import os, tempfile
    >>> from siltstone.simulation import SimulationDatabase, import_states
    >>> folder = tempfile.mkdtemp()
    >>> path, target = os.path.join(folder, "cars.csv"), os.path.join(folder, "run.db")
    >>> with open(path, "w") as file:
    ...     _ = file.write("t,car,speed\n0,a,1.5\n0,b,2\n1,a,3\n1,b,2.5\n")
    >>> import_states(path, target, time="t", id="car", dataset="traffic", group="cars").updates
    2
    >>> with SimulationDatabase(target) as db:
    ...     db.state_at("traffic", "cars", 1)["speed"]["data"]
    array([3. , 2.5])
    """
    marks = [mark(separator=separator), mark(decimal=decimal), mark(thousands=thousands)]
    states = (time, id, wide, group, list(columns), missing, marks)
    format = ("states", states)
    return _report(
        _siltstone.simulation_import(
            (source, target), format, (dataset, iteration, finished), time_unit, durability, progress
        )
    )


def import_sumo(
    source: PathLike,
    target: PathLike | None,
    *,
    dataset: str = "traffic",
    iteration: int = 0,
    time_unit: float = 0.001,
    finished: bool = False,
    durability: str = "os",
    progress: Progress = None,
) -> FileReport:
    r"""Import SUMO's floating car data: ``fcd`` output as XML (also ``.gz``), CSV or Parquet.

    A timestep becomes one update; ``vehicles``, ``persons`` and ``containers`` are groups. Their
    ids are texts: they get numbers and stay as the attribute ``name``. Who leaves becomes
    undefined. In CSV and Parquet that SUMO writes itself persons stand among the vehicles; XML, and
    what ``xml2csv`` makes of it, tells them apart. Of a file that is still written, or was cut off,
    the timesteps that are whole are stored, and the same call goes on; in CSV a last line without
    a newline counts as cut.

    Parameters
    ----------
    source : path
        The output.
    target : path or None
        The database, made if it is not there; None to read and count only.
    dataset : str
        Where the updates go.
    iteration : int
        Of the updates; another one for a second file with the same times of the same dataset.
    time_unit : float
        What a timestamp counts, in seconds.
    finished : bool
        In CSV a last line without a newline is whole, and not left out as one that may be cut.
    durability : {"buffered", "os", "disk"}
        What an acknowledged update survives.
    progress : callable, optional
        Gets updates done and in all; what it raises stops the import.

    Raises
    ------
    InvalidError
        For a file that is none. Nothing was stored.

    Examples
    --------
    >>> import os, tempfile
    >>> from siltstone.simulation import SimulationDatabase, import_sumo
    >>> folder = tempfile.mkdtemp()
    >>> path, target = os.path.join(folder, "fcd.xml"), os.path.join(folder, "run.db")
    >>> with open(path, "w") as file:
    ...     _ = file.write(
    ...         '<fcd-export><timestep time="0.50"><vehicle id="veh0" x="1.5" y="2" lane="a_0"/>'
    ...         '</timestep></fcd-export>'
    ...     )
    >>> import_sumo(path, target).updates
    1
    >>> with SimulationDatabase(target) as db:
    ...     db.state_at("traffic", "vehicles", 500)["x"]["data"]
    array([1.5])
    """
    return _report(
        _siltstone.simulation_import(
            (source, target), ("sumo", None), (dataset, iteration, finished), time_unit, durability, progress
        )
    )


def import_epanet(
    source: PathLike,
    target: PathLike | None,
    *,
    dataset: str = "network",
    iteration: int = 0,
    time_unit: float = 1.0,
    durability: str = "os",
    progress: Progress = None,
) -> FileReport:
    r"""Import EPANET's binary output (``.out``), of version 2.

    A period becomes one update of the groups ``nodes`` (demand, head, pressure, quality) and
    ``links`` (flow, velocity, headloss, quality, status, setting, reaction_rate, friction_factor),
    by EPANET's own numbers. Names, types, elevations, lengths, diameters and ends come with the
    first one; the energy of pumps is not read. Of a file that is cut off the whole periods are
    stored.

    Parameters
    ----------
    source : path
        The output.
    target : path or None
        The database, made if it is not there; None to read and count only.
    dataset : str
        Where the updates go.
    iteration : int
        Of the updates; another one for a second file with the same times of the same dataset.
    time_unit : float
        What a timestamp counts, in seconds.
    durability : {"buffered", "os", "disk"}
        What an acknowledged update survives.
    progress : callable, optional
        Gets updates done and in all; what it raises stops the import.

    Raises
    ------
    InvalidError, CorruptError
        For a file that is none, or whose parts contradict each other. Nothing was stored.
    """
    return _report(
        _siltstone.simulation_import(
            (source, target), ("epanet", None), (dataset, iteration, False), time_unit, durability, progress
        )
    )
