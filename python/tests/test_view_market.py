"""The page Market of `silt view`: gaps, odd ticks and replay."""

from pathlib import Path

import numpy as np
import pytest

from siltstone.ticks import TickStore, TickStoreConfig

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Page, expect
from viewing import START_NS, Serve, at

SECOND = 10**9
#: What a symbol may have that a page could take for markup.
SYMBOL = "A&lt/#&gt=1"


@pytest.fixture
def ticks(base: Path) -> Path:
    """Two hours of ticks of a symbol with a gap of ten minutes, two crossed quotes and a locked one."""
    config = TickStoreConfig(broker_id="test", sqlite_base_path=str(base), backend="sqlite", enable_json_legacy=False)
    with TickStore(config) as store:
        for i in [*range(3_000), *range(3_600, 7_200)]:
            bid = 1.0 + (i % 50) / 1e4
            ask = {500: bid - 0.1, 501: bid - 0.1, 5_000: bid}.get(i, bid + 0.0001)
            store.store_tick(SYMBOL, bid, ask, ask - bid, "lp", START_NS + i * SECOND)
    return base


def shown(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("html[data-ready='/market']")
    page.wait_for_selector(".picture[data-marked]")


def test_gaps_and_odd_ticks_are_drawn(page: Page, serve: Serve, ticks: Path) -> None:
    """Goal: what is odd is counted and drawn, told at the cursor, and can be left out."""
    address = serve(ticks)
    shown(page, at(address, "/market"))
    said = page.locator(".picture .said").nth(1)
    expect(said).to_contain_text("1 gap longer than")
    expect(said).to_contain_text("3 odd ticks: crossed (ask < bid): 2, locked (ask = bid): 1")
    expect(page.locator(".picture h2")).to_have_text(SYMBOL)
    odd = START_NS / SECOND + 500
    shown(page, at(address, "/market", **{"from": odd - 20, "until": odd + 20}))
    expect(said).to_contain_text("2 odd ticks")
    box = page.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    expect(page.locator(".legend .bad")).to_contain_text("crossed")
    page.get_by_role("button", name="Gaps and odd ticks").click()
    expect(said).to_have_text("")
    assert "marks=off" in page.url


def test_a_replay_hides_what_comes(page: Page, serve: Serve, ticks: Path) -> None:
    """Goal: a replay shows nothing behind its time, is paused, sought and ended, and reaches the end of the window."""
    from_s = START_NS // SECOND
    shown(page, at(serve(ticks), "/market", show="ticks", **{"from": from_s, "until": from_s + 100}))

    def last() -> float:
        """The last time that is drawn, in seconds of the window."""
        return page.evaluate(
            """async () => {
                const canvas = document.querySelector(".chart canvas");
                const { width, height } = canvas;
                const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
                let last = 0;
                for (let i = 0; i < data.length; i += 4) {
                    const rgb = [data[i], data[i + 1], data[i + 2]];
                    const isLine = data[i + 3] && Math.max(...rgb) - Math.min(...rgb) > 90;
                    if (isLine) last = Math.max(last, (i / 4) % width);
                }
                const over = document.querySelector(".u-over").getBoundingClientRect();
                const box = canvas.getBoundingClientRect();
                return ((last / width) * box.width + box.left - over.left) / over.width * 100;
            }"""
        )

    assert last() > 95
    page.get_by_label("Speed of the replay").select_option("10")
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.get_by_role("timer")).to_contain_text("2024-03-04 00:00:2", timeout=20_000)
    page.get_by_role("button", name="Pause").click()
    now = page.get_by_role("timer").inner_text()
    assert 15 < last() < 60
    page.wait_for_timeout(300)
    assert page.get_by_role("timer").inner_text() == now
    page.get_by_label("Time of the replay").fill("800")
    expect(page.get_by_role("timer")).to_contain_text("00:01:20")
    assert 75 < last() < 85
    page.get_by_role("button", name="End replay").click()
    assert last() > 95
    # To the last window, and its end.
    end = from_s + 7_200
    shown(page, page.url.replace(str(from_s + 100), str(end)).replace(str(from_s), str(end - 100)))
    page.get_by_label("Speed of the replay").select_option("60")
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible(timeout=20_000)


def test_the_tools_stay_while_ticks_are_written(page: Page, serve: Serve, ticks: Path) -> None:
    """Goal: the list of speeds, which may be open, and the button with the focus are the same after a write."""
    shown(page, at(serve(ticks), "/market"))
    page.get_by_role("button", name="Bid", exact=True).focus()
    speeds = page.get_by_label("Speed of the replay").element_handle()
    assert speeds is not None
    speeds.evaluate(
        "list => { list.left = 0; new MutationObserver((all) => { for (const one of all)"
        " if ([...one.removedNodes].some((node) => node.contains(list))) list.left += 1; })"
        ".observe(document.getElementById('page'), { childList: true, subtree: true }); }"
    )
    config = TickStoreConfig(broker_id="test", sqlite_base_path=str(ticks), backend="sqlite", enable_json_legacy=False)
    with TickStore(config) as store:
        for i in range(10):
            store.store_tick("EURUSD", 1.0, 1.1, 0.1, "lp", START_NS + i * SECOND)
    expect(page.get_by_role("button", name="EURUSD")).to_be_visible(timeout=10_000)
    expect(page.get_by_role("button", name="Bid", exact=True)).to_be_focused()
    assert speeds.evaluate("list => list.left") == 0
    page.get_by_role("button", name="Bid", exact=True).click()
    expect(page.get_by_role("button", name="Bid", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Mid", exact=True)).to_have_attribute("aria-pressed", "false")


#: Draws all ticks of the window, with those before and behind it, by the page's own charts; how many pixels differ by
#: more than edges that overlap do (32 of 255), how many have ink, and of how many ticks.
DIFFERING = """async (symbol) => {
    const [{ Chart }, { table }] = [await import("/chart.js"), await import("/api.js")];
    const query = new URLSearchParams(location.search);
    const [from, until] = ["from", "until"].map((name) => parseFloat(query.get(name)));
    const { columns } = await table("ticks/quotes", { symbol });
    const seconds = columns.time.map((ns) => Number(ns) / 1e9);
    const first = seconds.findIndex((x) => x >= from) - 1;
    const last = seconds.findIndex((x) => x > until) + 1;
    const lines = [["bid", "--line-1"], ["ask", "--line-2"]];
    const shown = document.querySelector(".chart");
    const chart = new Chart({ height: 340, onWindow: () => {} });
    shown.after(chart.element);
    chart.draw({
        kind: "time",
        window: { from, until },
        data: [seconds, ...lines.map(([name]) => columns[name].map(Number))].map((all) => all.slice(first, last)),
        lines: lines.map(([label, color]) => ({ label, color, scale: "price", stepped: true })),
        scales: { price: { label: "" } },
    });
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const [few, all] = [shown, chart.element].map((of) => of.querySelector("canvas"));
    const data = (of) => of.getContext("2d").getImageData(0, 0, of.width, of.height).data;
    const [one, other] = [data(few), data(all)];
    let [differing, inked] = [0, 0];
    for (let i = 0; i < other.length; i += 4) {
        inked += other[i + 3] > 0 && Math.abs(other[i + 2] - other[i]) > 60;
        differing += [0, 1, 2, 3].some((k) => Math.abs(other[i + k] - one[i + k]) > 32);
    }
    chart.close();
    chart.element.remove();
    return [differing, inked, last - first];
}"""


def test_reduced_ticks_are_drawn_as_all(page: Page, serve: Serve, base: Path) -> None:
    """Goal: after a move to prices with longer names, which narrow the picture, it is exactly that of all ticks."""
    count, step = 40_000, SECOND // 10
    walk = np.cumsum(np.random.default_rng(3).normal(size=count))
    bid = np.where(np.arange(count) < count // 2, np.round(walk) + 1_000, 1.000_1 + walk * 1e-8)
    config = TickStoreConfig.production("test", sqlite_base_path=base, queue_full="block")
    with TickStore(config) as store:
        for i, price in enumerate(bid.tolist()):
            store.store_tick("EURUSD", price, price * 1.000_001, price * 0.000_001, "lp", START_NS + i * step)
    # No tick stands just between two pixels, where rounding is by chance.
    begin = START_NS / SECOND + 0.037
    window = {"from": begin + 1_100, "until": begin + 1_900}
    shown(page, at(serve(base), "/market", show="ticks", marks="off", **window))
    for _ in range(3):
        page.evaluate("delete document.querySelector('.picture').dataset.marked")
        page.get_by_role("button", name="On", exact=True).click()
        page.wait_for_selector(".picture[data-marked]")
    differing, inked, ticks = page.evaluate(DIFFERING, "EURUSD")
    assert ticks > 7_900
    assert inked > 300
    assert differing == 0, f"{differing} pixels differ, of {inked} with ink"
