"""What the tests of the viewer's pages share: a browser, a server, the demo."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: A name that would run, if a page took it for markup.
HOSTILE = '<img src=x onerror="window.ran = true">'
DAY_NS = 86_400 * 10**9
START_NS = 1_709_510_400 * 10**9

Serve = Callable[[Path], str]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (make chromium)")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context
    context.close()


def watched(context: BrowserContext, *harmless: str) -> Iterator[Page]:
    """A page that must not complain but for these, nor ask another machine for anything."""
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda said: trouble.append(said.text) if said.type in ("error", "warning") else None)
    local = ("http://127.0.0.1:", "blob:http://127.0.0.1:")
    page.on("request", lambda request: None if request.url.startswith(local) else trouble.append(request.url))
    yield page
    # A refusal that a test asks for shows in the console too.
    known = ("the server responded with a status of", *harmless)
    assert [line for line in trouble if not any(text in line for text in known)] == []


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must not complain, nor ask another machine for anything."""
    yield from watched(context)


@pytest.fixture
def serve(silt: str) -> Iterator[Serve]:
    """Serves a path; the address with its token."""
    running: list[subprocess.Popen] = []

    def start(path: Path) -> str:
        command = [silt, "view", str(path), "--no-browser", "--port", "0"]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return running[-1].stdout.readline().strip()

    yield start
    for process in running:
        process.kill()
        process.wait()


def at(address: str, path: str, **parameters: object) -> str:
    """The address of another page of the server."""
    query = "?" + urlencode(parameters, doseq=True) if parameters else ""
    return address.replace("/#", f"{path}{query}#")


def drawn(page: Page) -> None:
    page.wait_for_selector("html[data-ready]")
    page.wait_for_selector(".chart[data-ready]")


@pytest.fixture(scope="session")
def demo(silt: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo."""
    folder = tmp_path_factory.mktemp("demo")
    subprocess.run([silt, "demo", "--fast", "--quiet", "--dir", str(folder)], check=True, stdout=subprocess.DEVNULL)
    return folder


def points(times_ns: np.ndarray, values: np.ndarray) -> pd.Series:
    return pd.Series(values, index=pd.to_datetime(times_ns).tz_localize("UTC"))
