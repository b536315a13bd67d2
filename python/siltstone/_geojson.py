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
                text = json.dumps(feature, ensure_ascii=False, allow_nan=False, default=_refuse)
                file.write((",\n" if rows else "\n") + text)
                rows += 1
            file.write("\n]}\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return rows


def _refuse(value: Any) -> None:
    raise InvalidError(f"the properties: expected values that JSON has, got {value!r}")


def _urn(crs: str) -> str:
    if not (isinstance(crs, str) and re.fullmatch(r"EPSG:\d+", crs)):
        raise InvalidError(f"crs: expected {', '.join(_DEGREES)}, another EPSG:NUMBER, or None, got {crs!r}")
    return f"urn:ogc:def:crs:{crs.replace(':', '::')}"


def _features(batches: Iterable[Any], kind: str, columns: list[str], are_degrees: bool) -> Iterator[dict[str, Any]]:
    for batch in batches:
        names = batch.schema.names
        for name in columns:
            if name not in names:
                raise InvalidError(f"the geometry: expected columns of {', '.join(names)}, got {name!r}")
        own = [_coordinates(name, batch.column(name), 0 if kind == "Point" else 2) for name in columns]
        values = {
            name: _of_json(name, column)
            for name, column in zip(names, batch.columns, strict=True)
            if name not in columns
        }
        for i, place in enumerate(zip(*own, strict=True) if kind == "Point" else own[0]):
            positions = [list(place)] if kind == "Point" else place or []
            yield {
                "type": "Feature",
                "geometry": _geometry(kind, positions, are_degrees),
                "properties": {name: _plain(rows[i]) for name, rows in values.items()},
            }


def _coordinates(name: str, column: Any, depth: int) -> list[Any]:
    """The rows of a column of numbers, or of lists of them."""
    import pyarrow as pa

    kind, found = column.type, 0
    while _is_list(kind):
        kind, found = kind.value_type, found + 1
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if not (is_number and found == depth) and not (pa.types.is_null(kind) and found <= depth):
        expected = "lists of positions, which are lists of numbers" if depth else "numbers"
        raise InvalidError(f"the geometry: expected {expected} in {name!r}, got {column.type}")
    rows: list[Any] = column.to_pylist()
    return rows


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _of_json(name: str, column: Any) -> list[Any]:
    """The rows of a column, times and decimal numbers as texts."""
    import pyarrow as pa

    def made(kind: Any) -> Any:
        if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
            return pa.string()
        if _is_list(kind):
            return pa.large_list(made(kind.value_type))
        if pa.types.is_map(kind):
            return pa.map_(made(kind.key_type), made(kind.item_type))
        return pa.struct([field.with_type(made(field.type)) for field in kind]) if pa.types.is_struct(kind) else kind

    try:
        own = made(column.type)
        rows: list[Any] = (column if own == column.type else column.cast(own)).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise InvalidError(f"{name}: expected values that have a form as text, got {column.type} ({error})") from error
    return rows


def _geometry(kind: str, positions: list[list[float | None] | None], are_degrees: bool) -> dict[str, Any] | None:
    """Where a row is; None if that is not known."""
    known = [position for position in positions if position is not None]
    for position in known:
        if len(position) < 2:
            raise InvalidError(f"the geometry: expected positions of 2 numbers or more, got {position}")
    if not positions or len(known) < len(positions):
        return None
    if any(x is None or not math.isfinite(x) for position in known for x in position):
        return None
    for x, y, *_ in known:
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
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value.hex() if isinstance(value, bytes) else value
