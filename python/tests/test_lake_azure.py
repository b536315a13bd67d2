"""Lakes in Azure Blob Storage, by Azurite (`npm install azurite`): `azurite-blob` in the PATH, or in AZURITE_BLOB."""

import base64
import contextlib
import hashlib
import hmac
import multiprocessing
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

import pytest

import siltstone
from siltstone.memory import SQLiteStorage

AZURITE = os.environ.get("AZURITE_BLOB") or shutil.which("azurite-blob")
pytestmark = pytest.mark.skipif(AZURITE is None, reason="azurite-blob is not installed (npm install azurite)")

#: The account of every emulator, with the key that its documentation prints.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def make_container(port: int, name: str) -> None:
    now = datetime.now(timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": now, "x-ms-version": "2021-08-06"}
    said = "".join(f"{name}:{value}\n" for name, value in headers.items())
    signed = "PUT" + "\n" * 12 + said + f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    signature = base64.b64encode(hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()).decode()
    headers |= {"Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Length": "0"}
    url = f"http://127.0.0.1:{port}/{ACCOUNT}/{name}?restype=container"
    urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers)).close()


@pytest.fixture
def lake(monkeypatch):
    """The address of a lake in an empty container, to which the environment leads."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [AZURITE, "--silent", "--inMemoryPersistence", "--blobPort", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(400):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, "Azurite did not start"
            time.sleep(0.05)
        make_container(port, "team")
        monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
        monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", f"http://127.0.0.1:{port}")
        yield "az://team/lake"
    finally:
        process.kill()
        process.wait()


def sender(path: Path, lake: str, start) -> None:
    """One of several processes that publish at once, in several turns."""
    start.wait()
    for turn in range(5):
        with SQLiteStorage(path) as memory:
            event = {
                "task_type": path.stem,
                "performance_delta": turn / 2,
                "strategy_used": "explore",
                "timestamp": 0.0,
            }
            memory.store_learning_events([event] * 10)
        with siltstone.open(path) as db:
            db.publish(lake)


def test_several_senders_to_azure_have_each_row_there_once(lake, tmp_path):
    """Goal: put-if-absent holds: of commits at once none is lost, and what is pulled back is what was sent."""
    spawn = multiprocessing.get_context("spawn")
    paths, start = [tmp_path / f"{name}.db" for name in "abcd"], spawn.Barrier(4)
    processes = [spawn.Process(target=sender, args=(path, lake, start)) for path in paths]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    team = siltstone.lake(lake)
    table = team.tables()["learning_events"]
    assert (table.version, table.files, table.rows) == (19, 4, 200)
    by_file = {known.file: (store, known) for store, known in table.senders.items()}
    for path in paths:
        store, known = by_file[path.name]
        assert (known.commits, known.rows) == (5, 50)
        assert team.verify(path).ok
        assert team.pull(tmp_path / f"{path.stem}-back.db", store=store) == {"learning_events": 50}
    assert team.remove(by_file["a.db"][0]) == {"learning_events": 1}
    assert team.tables()["learning_events"].rows == 150
