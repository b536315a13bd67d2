"""Where results are kept: a file a run, by date."""

import json
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path


def keep(record: dict, folder: Path, name: str) -> Path:
    """Write the record as `<date>-NAME.json` beside the earlier ones, with a number if its name is taken."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    stem = f"{now:%Y-%m-%d}-{name}"
    names = (f"{stem}{number}.json" for number in chain([""], (f"-{n}" for n in count(2))))
    file = next(file for file in map(folder.joinpath, names) if not file.exists())
    write(record, file)
    return file


def write(record: dict, file: Path) -> None:
    """Write the record with the time to a file."""
    time = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    file.write_text(json.dumps({"time": time} | record, indent=1))
