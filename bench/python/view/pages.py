"""Chromium, through Playwright."""

import shutil
from contextlib import contextmanager

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]


@contextmanager
def browser():
    """A browser; each page of it is one of a new profile."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise RuntimeError("Chromium is not installed: make chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


def fresh(browser, script: str | None = None):
    """A page with nothing in its cache; with a script that runs before any of its own."""
    # What measures is handed in as text, which the page's policy would refuse.
    context = browser.new_context(viewport={"width": 1680, "height": 1000}, bypass_csp=True)
    page = context.new_page()
    if script:
        page.add_init_script(script)
    return page


#: Notes when something that fits a selector is first in the page, and painted: ms since the page was asked for.
SEEN = """
window.seen = {};
window.watchFor = (name, selector) => {
  const look = () => {
    if (name in window.seen || !document.querySelector(selector)) return;
    window.seen[name] = -1;
    requestAnimationFrame(() => setTimeout(() => { window.seen[name] = performance.now(); }, 0));
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
};
"""


def seen(page, address: str, selector: str) -> float:
    """Milliseconds from asking for a page until what fits a selector is painted."""
    page.goto(address)
    page.wait_for_function("window.seen.it > 0", timeout=120_000)
    return page.evaluate("window.seen.it")


def watching(selector: str) -> str:
    """The script for a fresh page that is to be `seen`."""
    return SEEN + f"window.watchFor('it', {selector!r});"
