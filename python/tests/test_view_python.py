"""`siltstone.view`: the page served by this process, and its frame in a notebook."""

from __future__ import annotations

import gc
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

import siltstone
from siltstone.errors import InvalidTypeError, NotFoundError, StorageError

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def plant(path: Path) -> Path:
    with siltstone.open(path) as db:
        db.series.save(pd.Series([1.0, 2.0], pd.date_range("2026-01-01", periods=2, tz="UTC")), "flow")
    return path


def asked(page: siltstone.View, route: str = "/api/series") -> bytes:
    origin, token = page.address.split("/#token=")
    request = urllib.request.Request(origin + route, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def is_listening(address: str) -> bool:
    port = int(re.findall(r":(\d+)/", address)[0])
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_view_answers_until_it_is_closed(plant: Path) -> None:
    """Goal: a `with` block serves the file of a writer of the same process, and gives its port back."""
    with siltstone.open(plant) as db, siltstone.view(plant) as page:
        assert b'"flow"' in asked(page)
        db.series.save(pd.Series([3.0]), "level")
        assert b'"level"' in asked(page)
        assert not page.closed
        token = page.address.split("#token=")[1]
        assert token not in repr(page)
        assert "http://127.0.0.1:" in repr(page)
    assert page.closed
    assert "closed" in repr(page)
    assert not is_listening(page.address)
    page.close()
    with siltstone.open(plant, read_only=True) as db:
        page = db.view()
    assert b'"level"' in asked(page)
    page.close()


def test_what_cannot_be_shown_is_refused(plant: Path, tmp_path: Path) -> None:
    """Goal: a path that is not there, a port that is taken and wrong types are named, and no file is made."""
    with pytest.raises(NotFoundError, match=r"missing\.db"):
        siltstone.view(tmp_path / "missing.db")
    assert not (tmp_path / "missing.db").exists()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StorageError, match=str(port)):
            siltstone.view(plant, port=port)
    with pytest.raises(InvalidTypeError, match="port"):
        siltstone.view(plant, port="80")
    with pytest.raises(InvalidTypeError, match="path"):
        siltstone.view(5)


@pytest.mark.skipif(sys.platform != "linux", reason="a display is asked for by its variables")
def test_where_there_is_no_browser_it_is_said(plant: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: the page is served all the same, with a warning."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.warns(RuntimeWarning, match="no browser was opened: there is no display"):
        page = siltstone.view(plant, browser=True)
    assert b'"flow"' in asked(page)
    page.close()


def test_a_view_that_nobody_has_is_ended(plant: Path) -> None:
    """Goal: a forgotten server goes, one that a notebook shows stays until its path is shown again."""

    def is_ended(address: str) -> bool:
        gc.collect()
        end = time.monotonic() + 10
        while is_listening(address) and time.monotonic() < end:
            time.sleep(0.05)
        return not is_listening(address)

    page = siltstone.view(plant)
    address = page.address
    assert is_listening(address)
    del page
    assert is_ended(address)
    shown = siltstone.view(plant)
    assert 'src="http://127.0.0.1:' in shown._repr_html_()
    address = shown.address
    del shown
    gc.collect()
    time.sleep(0.5)
    assert is_listening(address)
    again = siltstone.view(plant)
    again._repr_html_()
    assert is_ended(address)
    again.close()
    assert "<iframe" not in again._repr_html_()
    assert "closed" in again._repr_html_()


def test_the_end_of_the_interpreter_ends_a_view(plant: Path) -> None:
    """Goal: a script that never closes its page ends at once, without a word, and leaves no file beside the data."""
    script = f"import siltstone\npage = siltstone.view({str(plant)!r})\nprint(page.address)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("http://127.0.0.1:")
    assert sorted(os.listdir(plant.parent)) == ["run.db"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_leaves_the_view_to_its_parent(plant: Path) -> None:
    """Goal: the child of a fork neither ends the page nor hangs on it."""
    with siltstone.view(plant) as page:
        child = os.fork()
        if child == 0:
            page.close()
            os._exit(0 if page.closed else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert b'"flow"' in asked(page)


# -- in a notebook: a page of another site that shows the frame -----------------------------------


@pytest.fixture
def notebook() -> Iterator[dict[str, str]]:
    """A page of another origin and site, as a notebook is; its body is what the dictionary has."""
    content = {"body": "", "address": ""}

    class Notebook(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<!doctype html><title>notebook</title>{content['body']}".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Notebook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # Another name of this machine is another site: no cookie of 127.0.0.1 goes along from there.
    content["address"] = f"http://localhost:{server.server_port}/"
    yield content
    server.shutdown()


def test_a_notebook_shows_the_page_and_nobody_else_may(
    browser: Browser, plant: Path, notebook: dict[str, str], tmp_path: Path
) -> None:
    """Goal: the frame of `_repr_html_` shows and moves through the data; the plain address is not shown in a frame."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with siltstone.view(plant) as shown:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        trouble: list[str] = []
        page.on("pageerror", lambda error: trouble.append(str(error)))
        notebook["body"] = shown._repr_html_()
        page.goto(notebook["address"])
        frame = page.frame_locator("iframe")
        sync_api.expect(frame.locator(".tiles")).to_contain_text("Points of series")
        frame.locator("#pages a", has_text="Series").click()
        frame.get_by_label("flow").check()
        sync_api.expect(frame.locator(".chart[data-ready]")).to_have_count(1)
        with page.expect_download() as kept:
            frame.get_by_role("button", name="CSV").click()
        kept.value.save_as(tmp_path / "flow.csv")
        assert len(pd.read_csv(tmp_path / "flow.csv")) == 2
        assert trouble == []

        notebook["body"] = f'<iframe src="{shown.address}"></iframe>'
        page.goto(notebook["address"])
        page.wait_for_load_state("networkidle")
        assert page.frames[1].locator("#bar").count() == 0, "a page that does not know the key shows the frame"
        context.close()


def test_the_key_of_a_frame_is_not_the_token(plant: Path) -> None:
    """Goal: what shows in the address of a request opens no data."""
    with siltstone.view(plant) as page:
        source = re.findall(r'src="([^"]+)"', page._repr_html_())[0]
        framed, token = source.split("#token=")
        assert page.address.endswith(token)
        assert token not in framed
        origin, query = framed.split("/?")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{origin}/api/series?{query}", timeout=20)


def test_a_proxy_may_ask_by_its_name(plant: Path) -> None:
    """Goal: names that are allowed are answered, one or several; others are refused."""

    def status(page: siltstone.View, host: str) -> int:
        origin, token = page.address.split("/#token=")
        headers = {"Authorization": f"Bearer {token}", "Host": host}
        try:
            request = urllib.request.Request(origin + "/api/series", headers=headers)
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            return refused.code

    with siltstone.view(plant, allow_host="box.example") as page:
        assert [status(page, host) for host in ("box.example", "other.example")] == [200, 403]
    with siltstone.open(plant) as db, db.view(allow_host=["box.example", "other.example"]) as page:
        assert [status(page, host) for host in ("other.example", "third.example")] == [200, 403]
