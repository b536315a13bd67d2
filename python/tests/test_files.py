"""Files beside a database: whole or not at all, and an exception that says which."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pytest

from siltstone import errors, series

pytestmark = pytest.mark.skipif(os.name != "posix", reason="folders are synced on Unix alone")

# A folder that may be written and not read cannot be synced: opening it is refused, except to root.
CHILD = """
import os, sys
import pandas as pd
from siltstone import _siltstone, errors, series
folder = sys.argv[1]
backend = series.open("memory:")
backend.save(pd.Series([1.0, 2.0], index=pd.to_datetime([0, 1])), "plant/flow#1/RAW#1")
if os.geteuid() == 0:
    os.setuid(65534)
for write in (
    lambda: _siltstone.write_file(f"{folder}/notes.txt", b"new"),
    lambda: backend.scan("plant/flow#1/RAW#1").write(f"{folder}/flow.parquet"),
    lambda: series.export_dataset(backend, "plant", f"{folder}/plant.zip"),
):
    try:
        write()
        print("synced")
    except errors.StorageError as error:
        print("not there", error)
    except errors.DurabilityUnknownError as error:
        print("there", isinstance(error, OSError), "loss of power" in str(error))
"""


def test_an_error_after_the_rename_says_that_the_file_is_there() -> None:
    """Goal: what was written and could not be synced is an exception of its own kind, and is there."""
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        folder = Path(parent, "out")
        folder.mkdir()
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        folder.chmod(0o333)
        command = [sys.executable, "-c", CHILD, str(folder)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        folder.chmod(0o755)
        assert said.splitlines() == ["there True True"] * 3
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["flow.parquet", "notes.txt", "plant.zip"]
        assert (folder / "notes.txt").read_bytes() == b"new"
        assert len(pd.read_parquet(folder / "flow.parquet")) == 2


def test_it_is_no_error_that_a_caller_repeats() -> None:
    """Goal: code that tries again after a StorageError does not do so after this one."""
    assert not issubclass(errors.DurabilityUnknownError, errors.StorageError)
    assert issubclass(errors.DurabilityUnknownError, errors.SiltstoneError)


def test_a_folder_of_series_is_verified(tmp_path: Path) -> None:
    """Goal: a changed byte of a Parquet file is an error of a read, and a finding of verify."""
    backend = series.open(f"parquet:{tmp_path}")
    backend.save(pd.Series(range(1000), dtype="float64"), "k")
    report = backend.verify()
    assert (report.checksums, report.ok) == (1, True)
    [file] = tmp_path.glob("*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(errors.CorruptError, match="'k'|\"k\""):
        backend.load("k")
    assert len(backend.verify().findings) == 1
    assert not series.open("memory:").verify().findings
