"""What every backend must do, as a suite that runs over any of them: for the tests of your own.

Examples
--------
>>> from siltstone.series import PandasInMemoryAdapter, conformance
>>> conformance.check(PandasInMemoryAdapter)
8
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from siltstone.series._backends import StorageBackend

#: Keys that are data and never paths.
KEYS = ["a/b", "a_b", "a\\b", "../up", ".", "", " ", "a\0b", "CON", "D:evil", "%", "a%2Fb", "\N{SNAIL}", "k" * 10_000]


def samples() -> dict[str, pd.Series]:
    """Series of many kinds of index and values, by what they are."""
    import numpy as np
    import pandas as pd

    values = np.array([1.5, np.nan, -0.0])
    hours = pd.date_range("2026-03-29", periods=3, freq="h")
    indexes: dict[str, pd.Index] = {
        "times": hours,
        "times of a zone": hours.tz_localize("UTC").tz_convert("Europe/Paris"),
        "time spans": pd.timedelta_range(0, periods=3, freq="D"),
        "integers that fall and repeat": pd.Index([3, 1, 1]),
        "floats": pd.Index([0.5, 1.5, np.inf]),
        "texts": pd.Index(["", "NA", "b"]),
        "a range": pd.RangeIndex(5, 2, -1, name="row"),
    }
    made = {kind: pd.Series(values, index, name="v") for kind, index in indexes.items()}
    kinds = {
        "integers": np.array([2**53 + 1, -1, 0]),
        "small floats": np.array([1.5, np.nan, -0.0], "f4"),
        "booleans": np.array([True, False, True]),
        "objects that are texts": np.array(["", "NA", None], object),
        "missing integers": pd.array([1, None, 3], dtype="Int64"),
        "times as values": hours.to_numpy(),
    }
    made |= {kind: pd.Series(items, hours) for kind, items in kinds.items()}
    made["nothing"] = pd.Series([], pd.DatetimeIndex([]), dtype="float64")
    return made


def _there(backend: StorageBackend, key: str, series: pd.Series, metadata: dict[str, Any]) -> None:
    import pandas as pd

    found, known = backend.load(key)
    pd.testing.assert_series_equal(backend.to_pandas(found), series, check_exact=True)
    assert known == metadata, f"{key!r}: the metadata {metadata} came back as {known}"


def _raises(call: Callable[..., Any], *args: Any) -> None:
    try:
        call(*args)
    except KeyError:
        return
    raise AssertionError(f"{call.__name__}{args}: expected a KeyError")


def everything_comes_back(backend: StorageBackend) -> None:
    """Each kind of index and of values comes back equal, with its metadata."""
    for kind, series in samples().items():
        metadata = {"kind": kind, "deep": {"list": [1, 2.5, None, True]}}
        backend.save(backend.from_pandas(series), kind, metadata)
        _there(backend, kind, series, metadata)


def any_text_is_a_key(backend: StorageBackend) -> None:
    """Each key is its own, and is listed as it was given."""
    import pandas as pd

    for i, key in enumerate(KEYS):
        backend.save(backend.from_pandas(pd.Series([float(i)])), key, {"i": i})
    for i, key in enumerate(KEYS):
        _there(backend, key, pd.Series([float(i)]), {"i": i})
    assert sorted(backend.list_keys()) == sorted(KEYS)


def a_save_replaces(backend: StorageBackend) -> None:
    """Points and metadata of before are gone."""
    import pandas as pd

    for n in (3, 1, 2):
        series = pd.Series([float(n)] * n)
        backend.save(backend.from_pandas(series), "k", {"n": n})
        _there(backend, "k", series, {"n": n})
    assert list(backend.list_keys()) == ["k"]


def what_is_handed_in_stays(backend: StorageBackend) -> None:
    """Neither series nor metadata of the caller are changed, and later changes of them change nothing kept."""
    import pandas as pd

    series, metadata = pd.Series([1.0, 2.0], name="mine"), {"list": [1]}
    backend.save(backend.from_pandas(series), "k", metadata)
    assert series.name == "mine" and metadata == {"list": [1]}
    metadata["list"].append(2)
    series.iloc[0] = 9.0
    _there(backend, "k", pd.Series([1.0, 2.0], name="mine"), {"list": [1]})


def what_is_loaded_is_ones_own(backend: StorageBackend) -> None:
    """A change of what was loaded changes nothing kept."""
    import pandas as pd

    backend.save(backend.from_pandas(pd.Series([1.0, 2.0])), "k", {"a": [1]})
    _, metadata = backend.load("k")
    metadata["a"].append(2)
    _there(backend, "k", pd.Series([1.0, 2.0]), {"a": [1]})


def what_is_not_there_is_a_key_error(backend: StorageBackend) -> None:
    """Loading and removing what is not there."""
    assert not backend.exists("k") and list(backend.list_keys()) == []
    _raises(backend.load, "k")
    _raises(backend.delete, "k")


def a_delete_removes(backend: StorageBackend) -> None:
    """One series and no other."""
    import pandas as pd

    for key in ("a", "b"):
        backend.save(backend.from_pandas(pd.Series([1.0])), key, {})
    backend.delete("a")
    assert not backend.exists("a") and backend.exists("b") and list(backend.list_keys()) == ["b"]
    _raises(backend.load, "a")


def a_bad_save_changes_nothing(backend: StorageBackend) -> None:
    """What cannot be kept is refused, and the old series stays whole; or it is kept and comes back."""
    import pandas as pd

    old = pd.Series([1.0, 2.0])
    backend.save(backend.from_pandas(old), "k", {"a": 1})
    mixed = pd.Series([1, "a", None], dtype=object)
    try:
        backend.save(mixed, "k", {"a": 2})
    except (ValueError, TypeError):
        _there(backend, "k", old, {"a": 1})
    else:
        _there(backend, "k", mixed, {"a": 2})


RULES = [
    everything_comes_back,
    any_text_is_a_key,
    a_save_replaces,
    what_is_handed_in_stays,
    what_is_loaded_is_ones_own,
    what_is_not_there_is_a_key_error,
    a_delete_removes,
    a_bad_save_changes_nothing,
]


def check(make: Callable[[], StorageBackend]) -> int:
    """Run the whole suite, each rule on an empty backend of its own; the number of rules.

    Parameters
    ----------
    make : callable
        Makes an empty backend.

    Raises
    ------
    AssertionError
        With the rule that is broken, and how.
    """
    for rule in RULES:
        try:
            rule(make())
        except AssertionError as error:
            raise AssertionError(f"{rule.__name__}: {error}") from error
    return len(RULES)
