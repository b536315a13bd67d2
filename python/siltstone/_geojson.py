"""Tables whose rows have coordinates, as GeoJSON (RFC 7946)."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from siltstone.errors import ExistsError, InvalidError

#: Longitudes and latitudes in degrees, which RFC 7946 asks for.
_DEGREES = ("OGC:CRS84", "EPSG:4326")
#: The fewest positions of a geometry.
_LEAST = {"Point": 1, "LineString": 2, "Polygon": 4}


def write(path: Path, batches: Iterable[Any], kind: str, columns: list[str], crs: str | None, overwrite: bool) -> int:
    """Write batches of Arrow, whose columns have the coordinates; give the number of rows."""
    head: dict[str, Any] = {"type": "FeatureCollection"}
    if crs not in _DEGREES:
        # A member of GeoJSON before the RFC, which readers still follow.
        head["crs"] = None if crs is None else {"type": "name", "properties": {"name": _urn(crs)}}
    if path.exists() and not overwrite:
        raise ExistsError(f"{path} is there already; overwrite=True replaces it")
    rows, part = 0, path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(json.dumps(head)[:-1] + ', "features": [')
            for feature in _features(batches, kind, columns, crs in _DEGREES):
                file.write((",\n" if rows else "\n") + json.dumps(feature, ensure_ascii=False, allow_nan=False))
                rows += 1
            file.write("\n]}\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return rows


def _urn(crs: str) -> str:
    if not (isinstance(crs, str) and re.fullmatch(r"EPSG:\d+", crs)):
        raise InvalidError(f"crs: expected {', '.join(_DEGREES)}, another EPSG:NUMBER, or None, got {crs!r}")
    return f"urn:ogc:def:crs:{crs.replace(':', '::')}"


def _features(batches: Iterable[Any], kind: str, columns: list[str], are_degrees: bool) -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    for batch in batches:
        names = batch.schema.names
        for name in columns:
            if name not in names:
                raise InvalidError(f"the geometry: expected columns of {', '.join(names)}, got {name!r}")
        values = {
            name: (column.cast(pa.string()) if pa.types.is_temporal(column.type) else column).to_pylist()
            for name, column in zip(names, batch.columns, strict=True)
        }
        own = [values.pop(name) for name in columns]
        places = zip(*own, strict=True) if kind == "Point" else own[0]
        for place, row in zip(places, zip(*values.values(), strict=True), strict=True):
            positions = [list(place)] if kind == "Point" else place or []
            yield {
                "type": "Feature",
                "geometry": _geometry(kind, positions, are_degrees),
                "properties": {name: _plain(value) for name, value in zip(values, row, strict=True)},
            }


def _geometry(kind: str, positions: list[list[float | None]], are_degrees: bool) -> dict[str, Any] | None:
    """Where a row is; None if that is not known."""
    if not positions or any(x is None or not math.isfinite(x) for position in positions for x in position):
        return None
    for x, y, *_ in positions:
        if are_degrees and not (-180 <= x <= 180 and -90 <= y <= 90):  # type: ignore[operator]
            other = "crs='EPSG:...' says what they are"
            raise InvalidError(f"the geometry: expected degrees of longitude and latitude, got {(x, y)}; {other}")
    if kind == "Polygon" and positions[0] != positions[-1]:
        positions = [*positions, positions[0]]  # a ring is closed
    if len(positions) < _LEAST[kind]:
        raise InvalidError(f"the geometry: expected {_LEAST[kind]} positions of a {kind} or more, got {positions}")
    made: Any = {"Point": positions[0], "LineString": positions, "Polygon": [positions]}[kind]
    return {"type": kind, "coordinates": made}


def _plain(value: Any) -> Any:
    """What JSON has: what is not finite is null, bytes are in hexadecimal, as in JSON lines."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.hex() if isinstance(value, bytes) else value
