"""A Polars Series as the columns of the library, and back, without pandas and without a loss."""

from __future__ import annotations

import decimal
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from siltstone.errors import InvalidTypeError
from siltstone.series import _convert
from siltstone.series._convert import POLARS, Column, Parts

if TYPE_CHECKING:
    import polars as pl


def from_polars(series: pl.Series) -> Parts:
    """The parts of a series; its index is the row number."""
    known, index = _convert.row_numbers(len(series))
    dtype, values = _values(series)
    return series.name or None, dtype, json.dumps(known), index, values


def to_polars(parts: Parts) -> pl.Series:
    """The values of these parts, as Polars holds them."""
    import polars as pl

    name, dtype, _, _, column = parts
    if dtype is not None and dtype.partition(":")[0] not in ("polars", "object", "arrow"):
        # A dtype of pandas: it knows what its values are.
        return pl.from_pandas(_convert.to_pandas(parts))
    return _series(name or "", (dtype or "").removeprefix(POLARS), column)


def _values(series: pl.Series) -> tuple[str | None, Column]:
    import polars as pl

    dtype, kept = series.dtype, None
    if dtype in (pl.String, pl.Binary):
        return None, ("text" if dtype == pl.String else "binary", series.to_list(), None)
    if isinstance(dtype, (pl.Enum, pl.Categorical)):
        kept = f"Enum:{json.dumps(dtype.categories.to_list())}" if isinstance(dtype, pl.Enum) else "Categorical"
        return POLARS + kept, ("text", series.cast(pl.String).to_list(), None)
    if isinstance(dtype, pl.Decimal):
        texts = [None if item is None else str(item) for item in series.to_list()]
        return f"{POLARS}Decimal:{dtype.precision}:{dtype.scale}", ("text", texts, None)
    if str(dtype) in ("Int128", "UInt128"):
        texts = [None if item is None else str(item) for item in series.to_list()]
        return POLARS + str(dtype), ("text", texts, None)
    if dtype == pl.Null:
        return POLARS + "Null", ("text", [None] * len(series), None)
    if isinstance(dtype, pl.Datetime):
        text = f"timestamp:{dtype.time_unit}" + (f":{dtype.time_zone}" if dtype.time_zone else "")
    elif isinstance(dtype, pl.Duration):
        text = f"duration:{dtype.time_unit}"
    elif dtype == pl.Date:
        text, kept = "timestamp:s", POLARS + "Date"
    elif dtype == pl.Time:
        text, kept = "duration:ns", POLARS + "Time"
    elif dtype == pl.Boolean or (dtype.is_numeric() and not dtype.is_nested()):
        text = str(dtype).lower().replace("boolean", "bool")
    else:
        raise InvalidTypeError(
            f"the values: expected numbers, booleans, texts, bytes, dates, times or categories, got {dtype}"
        )
    valid = series.is_not_null().to_numpy() if series.null_count() else None
    plain = series.to_physical()
    if valid is not None:
        plain = plain.fill_null(False if dtype == pl.Boolean else 0)
    values = plain.to_numpy()
    if dtype == pl.Date:
        values = values.astype("i8") * 86_400
    return kept, (text, np.ascontiguousarray(values).view(np.uint8), valid)


def _series(name: str, kept: str, column: Column) -> pl.Series:
    import polars as pl

    text, data, valid = column
    head, _, rest = text.partition(":")
    if head == "binary":
        return pl.Series(name, data, dtype=pl.Binary)
    if head == "text":
        return _of_texts(name, kept, data)
    if head in ("timestamp", "duration"):
        unit, _, zone = rest.partition(":")
        numbers = data.view("i8")
        if kept == "Date":
            made = pl.Series(name, (numbers // 86_400).astype("i4")).cast(pl.Date)
        elif kept == "Time":
            made = pl.Series(name, numbers).cast(pl.Time)
        else:
            if unit == "s":  # which Polars does not have
                unit, numbers = "ms", numbers * 1000
            made = pl.Series(name, numbers).cast(pl.Datetime(unit) if head == "timestamp" else pl.Duration(unit))
            if zone:
                made = made.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    elif head == "fixed":
        raise InvalidTypeError("the values: expected what Polars holds, got complex numbers")
    else:
        made = pl.Series(name, data.view(head))
    if valid is not None:
        made = made.zip_with(pl.Series(valid), pl.repeat(None, len(made), dtype=made.dtype, eager=True))
    return made


def _of_texts(name: str, kept: str, texts: list[Any]) -> pl.Series:
    import polars as pl

    kind, _, rest = kept.partition(":")
    if kind == "Null":
        return pl.Series(name, texts, dtype=pl.Null)
    if kind in ("Int128", "UInt128"):
        return pl.Series(name, [None if text is None else int(text) for text in texts], dtype=getattr(pl, kind))
    if kind == "Decimal":
        precision, scale = (None if part == "None" else int(part) for part in rest.split(":"))
        numbers = [None if text is None else decimal.Decimal(text) for text in texts]
        return pl.Series(name, numbers, dtype=pl.Decimal(precision, scale or 0))
    made = pl.Series(name, texts, dtype=pl.String)
    if kind == "Enum":
        return made.cast(pl.Enum(json.loads(rest)))
    return made.cast(pl.Categorical) if kind == "Categorical" else made
