"""Series, signals and datasets in a notebook: small pictures and tables, every text escaped."""

from __future__ import annotations

import sys
from html import escape
from typing import TYPE_CHECKING, Any

from siltstone import _html
from siltstone.errors import InvalidError

if TYPE_CHECKING:
    from siltstone.series._dataset import Dataset
    from siltstone.series._signal import Signal
    from siltstone.series._time_series import TimeSeries

#: Points of a picture.
POINTS = 200
WIDTH, HEIGHT = 240, 40


def sparkline(series: Any) -> str:
    """A pandas Series of numbers as a small SVG; empty for one without numbers.

    Of many points the least and the greatest of each piece are drawn, so that no peak is lost.
    """
    import numpy as np
    import pandas as pd

    values = pd.to_numeric(series, errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
    if len(values) > 2 * POINTS:
        pieces = [piece for piece in np.array_split(values, POINTS) if np.isfinite(piece).any()]
        values = np.array([end for piece in pieces for end in (np.nanmin(piece), np.nanmax(piece))])
    finite = values[np.isfinite(values)]
    if not len(finite):
        return ""
    low, high = float(finite.min()), float(finite.max())
    scale = (HEIGHT - 4) / (high - low) if high > low else 0.0
    step = WIDTH / max(len(values) - 1, 1)
    lines, line = [], []
    for i, value in enumerate(values):
        if np.isfinite(value):
            line.append(f"{i * step:.1f},{HEIGHT - 2 - (value - low) * scale:.1f}")
        elif line:
            lines.append(line)
            line = []
    drawn = "".join(
        f'<polyline fill="none" stroke="currentColor" points="{" ".join(line)}"/>' for line in [*lines, line]
    )
    title = escape(f"{low:g} to {high:g}")
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{title}</title>{drawn}</svg>"
    )


def time_series(series: TimeSeries) -> str:
    """A series: its picture, and its history."""
    first, last = series.range
    rows = [[s.type, s.function_info.name, s.suffix, ", ".join(s.input_series_names)] for s in series.processing_steps]
    steps = _html.table("History", ["step", "function", "suffix", "made of"], rows, len(rows)) if rows else ""
    name = escape(str(series.name))
    text = escape(f"{len(series):,} points, {first} to {last}")
    return f"<div><strong>{name}</strong> {text}<br>{sparkline(series.series)}{steps}</div>"


def signal(one: Signal) -> str:
    """A signal: its series with their pictures."""
    rows = "".join(_row(series) for series in one)
    title = escape(f"{one.name} [{one.units}]")
    return f"<div><strong>{title}</strong><table>{rows}</table></div>"


def show(one: Any, format: str) -> None:
    """Show a series, a signal or a dataset: as HTML, which a notebook draws, as text, or as its plot."""
    if format == "plot":
        one.plot().show()
        return
    if format not in ("html", "text"):
        raise InvalidError(f"format: expected 'html', 'text' or 'plot', got {format!r}")
    if format == "html" and "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from IPython.display import display

        display(one)  # by its _repr_html_
        return
    print(one)


def _row(series: TimeSeries) -> str:
    was_loaded = series.is_loaded
    picture = sparkline(series.series)
    if not was_loaded:
        series.unload()
    cells = [escape(str(series.name)), f"{len(series):,}", picture]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def dataset(one: Dataset) -> str:
    """A dataset: its signals, without loading a point."""
    rows = []
    for signal in one:
        points = sum(len(series) for series in signal)
        rows.append([signal.name, signal.units, len(signal), f"{points:,}", signal.provenance.location or ""])
    return _html.table(one.name, ["signal", "units", "series", "points", "location"], rows, len(rows))
