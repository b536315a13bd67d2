"""Series as Plotly figures, where Plotly is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from siltstone.errors import InvalidError
from siltstone.series._steps import ProcessingType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siltstone.series._signal import Signal
    from siltstone.series._time_series import TimeSeries


class Line(NamedTuple):
    """A series of a figure, and the part of it that is drawn."""

    series: TimeSeries
    legend: str | None
    start: Any
    end: Any


#: Lines that share their axes, and the text of the vertical one.
Row = tuple[list[Line], "str | None"]


def _plotly() -> Any:
    try:
        import plotly.subplots
    except ImportError:
        raise InvalidError("plot: expected Plotly to be installed, got none; run pip install plotly") from None
    return plotly


def by_index(lines: list[Line]) -> list[list[Line]]:
    """A row for each kind of index: times, numbers and time spans share no axis."""
    rows: dict[str, list[Line]] = {}
    for line in lines:
        metadata = line.series.index_metadata
        kind = "numbers" if metadata.type in ("RangeIndex", "Index") and metadata.dtype != "object" else metadata.type
        rows.setdefault(kind, []).append(line)
    return list(rows.values())


def rows_of(signal: Signal, chosen: Iterable[TimeSeries], y_axis: str | None, start: Any, end: Any) -> list[Row]:
    """The rows of some series of a signal."""
    lines = [Line(one, None, start, end) for one in chosen]
    return [(row, y_axis or f"{signal.name} [{signal.units}]") for row in by_index(lines)]


def figure(rows: list[Row], title: str | None, x_axis: str | None) -> Any:
    """A figure with a row of lines below another."""
    plotly = _plotly()
    made = plotly.subplots.make_subplots(rows=max(len(rows), 1), cols=1)
    for at, (lines, y_axis) in enumerate(rows, start=1):
        for line in lines:
            made.add_trace(_trace(plotly.graph_objects, line), row=at, col=1)
        made.update_yaxes(title_text=y_axis, row=at, col=1)
        made.update_xaxes(title_text=x_axis or _axis(lines), row=at, col=1)
    made.update_layout(title=title)
    return made


def _axis(lines: list[Line]) -> str:
    metadata = lines[0].series.index_metadata if lines else None
    return (metadata.name if metadata is not None else None) or "index"


def _trace(objects: Any, line: Line) -> Any:
    import pandas as pd

    series, was_loaded = line.series, line.series.is_loaded
    drawn = series.series if line.start is line.end is None else series.load_range(line.start, line.end)
    if not was_loaded and series.is_loaded:
        series.unload()
    index = drawn.index
    steps = series.processing_steps
    if steps and steps[-1].type is ProcessingType.PREDICTION and steps[-1].step_distance and len(index) > 1:
        ahead = steps[-1].step_distance
        if isinstance(index, pd.DatetimeIndex):
            # A prediction stands where its point will be; behind the last one the last step goes on.
            step = index[-1] - index[-2]
            index = index[ahead:].append(pd.DatetimeIndex([index[-1] + i * step for i in range(1, ahead + 1)]))
            index = index[-len(drawn) :]
    if isinstance(index, pd.TimedeltaIndex):
        index = index.total_seconds()
    elif isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    elif not isinstance(index, pd.DatetimeIndex) and index.dtype.kind not in "iufO":
        index = index.astype(str)
    name = line.legend or series.name
    mode = "lines+markers" if len(drawn) < 1000 else "lines"
    return objects.Scatter(x=index, y=drawn.to_numpy(), name=name, mode=mode)
