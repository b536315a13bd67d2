"""The page Memory of `silt view`: embeddings, neighbours, recall, the graph of concepts, scores by context."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from siltstone.memory import SQLiteStorage

sync_api = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect
from test_view_simulation import page as quiet_page
from viewing import HOSTILE, Serve, at

if TYPE_CHECKING:
    from playwright.sync_api import Page

page = quiet_page


@pytest.fixture
def agent(path: Path) -> Path:
    """Eighty memories on a circle, in two contexts, one of them hostile; concepts of which each leads to the next."""
    with SQLiteStorage(path) as store:
        for i in range(80):
            angle = i * 2 * np.pi / 80
            store.store_episode(
                {"seen": HOSTILE, "step": i, "view": np.arange(100.0)},
                performance_score=i / 80,
                context_hash=[HOSTILE, "maze"][i % 2],
                metadata={"note": HOSTILE},
                timestamp=1_700_000_000.0 + i * 60,
                embedding=np.array([np.cos(angle), np.sin(angle), 0.0]),
            )
        names = [HOSTILE, *(f"place {i}" for i in range(1, 6))]
        ids = store.store_concepts({"name": name, "embedding": np.eye(6)[i]} for i, name in enumerate(names))
        for a, b in pairwise(ids):
            store.add_concept_relationship(a, b, "leads to", 0.5)
    return path


def ready(page: Page) -> None:
    page.wait_for_selector("html[data-ready='/memory']")
    page.wait_for_selector(".plane[data-ready]")


def test_a_memory_has_its_fields_and_neighbours(page: Page, serve: Serve, agent: Path) -> None:
    """Goal: a clicked point is an episode with its fields as text, whose neighbours lead on; a link brings it back."""
    page.goto(at(serve(agent), "/memory"))
    ready(page)
    expect(page.locator(".said").first).to_contain_text("PCA of all 80 episodes with an embedding")
    expect(page.locator(".said").first).to_contain_text("of 3 dimensions")
    box = page.locator(".plane").bounding_box()
    assert box is not None
    # The circle of radius 1 around the middle: a click on its right or left finds one.
    radius = box["height"] / 2.24
    page.mouse.click(box["x"] + box["width"] / 2 + radius, box["y"] + box["height"] / 2)
    title = page.locator("h2", has_text=re.compile(r"^Episode \d+$"))
    expect(title).to_be_visible()
    expect(page.locator(".card pre").first).to_contain_text("<img src=x onerror=")
    expect(page.locator(".card pre").nth(1)).to_contain_text("<img src=x onerror=")
    expect(page.locator(".card pre").first).to_contain_text("of shape [100]")
    before = int(title.inner_text().split()[1])
    neighbour = page.locator(".card", has=title).locator("tbody button").first
    number = int(neighbour.inner_text().split()[1])
    assert (number - before) % 80 in (1, 79)
    neighbour.click()
    expect(title).to_have_text(f"Episode {number}")
    page.goto(page.url)
    ready(page)
    expect(title).to_have_text(f"Episode {number}")
    page.get_by_label("Coloured by").select_option("context")
    expect(page.locator(".key-of-colors")).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0
    assert page.evaluate("window.ran") is None


def test_recall_follows_its_weights(page: Page, serve: Serve, agent: Path) -> None:
    """Goal: each slider changes what is recalled first, and the address keeps them."""
    page.goto(at(serve(agent), "/memory", id=20, w="0,0,1"))
    ready(page)
    first = page.locator(".card", has_text="Recall").locator("tbody tr").first
    expect(first).to_contain_text("episode 20")
    page.get_by_label("Weight of importance").fill("5")
    page.get_by_label("Weight of relevance").fill("0")
    expect(first).to_contain_text("episode 80")
    expect(page).to_have_url(re.compile("w=0%2C5%2C0"))
    page.get_by_label("Weight of importance").fill("0")
    page.get_by_label("Weight of relevance").fill("1")
    expect(first).to_contain_text("episode 20")


def test_concepts_are_a_graph(page: Page, serve: Serve, agent: Path) -> None:
    """Goal: the concepts around one, to the depth that was chosen, which is said; a click goes to another one."""
    page.goto(at(serve(agent), "/memory"))
    ready(page)
    page.get_by_label("Find a concept").fill("place 2")
    page.get_by_role("button", name="place 2", exact=True).first.click()
    nodes = page.locator(".around .node")
    expect(nodes).to_have_count(3)
    page.get_by_label("Depth").select_option("2")
    expect(nodes).to_have_count(5)
    expect(page.locator(".card", has_text="Concepts").locator(".said")).to_contain_text("5 concepts to a depth of 2")
    expect(page.locator(".around")).to_contain_text("<img")
    page.locator(".around .node", has_text="place 3").click()
    expect(page.locator(".around .node.first")).to_contain_text("place 3")
    assert page.locator("img").count() == 0


def test_scores_are_curves_of_contexts(page: Page, serve: Serve, agent: Path) -> None:
    """Goal: each context has its curve, which can be left out; what is stored meanwhile comes in."""
    page.goto(at(serve(agent), "/memory"))
    ready(page)
    page.wait_for_selector(".chart[data-ready]")
    timeline = page.locator(".picture", has_text="Scores by context")
    expect(timeline.locator(".legend")).to_contain_text(HOSTILE)
    timeline.get_by_role("button", name="maze").click()
    expect(timeline.locator(".legend")).not_to_contain_text("maze")
    with SQLiteStorage(agent) as store:
        store.store_episode([1], 0.5, "new", embedding=np.zeros(3))
        expect(page.locator(".said").first).to_contain_text("all 81 episodes", timeout=10_000)
        expect(timeline.get_by_role("button", name="new")).to_be_visible()


def test_a_link_to_a_memory_that_is_gone_opens_the_page(page: Page, serve: Serve, agent: Path) -> None:
    """Goal: an id that is not there, or is none, and a concept that is not there are said in place; the rest works."""
    address = serve(agent)
    for id in ("4000", "gone"):
        page.goto(at(address, "/memory", id=id, concept="5000"))
        ready(page)
        card = page.locator(".card", has=page.locator("h2", has_text=f"Episode {id}"))
        expect(card.locator("p")).to_contain_text(id)
        expect(page.locator(".card", has_text="Concepts")).to_contain_text("5000")
        expect(page.locator("#trouble")).to_be_hidden()
    card.get_by_label("Close").click()
    page.get_by_role("button", name="place 2", exact=True).first.click()
    expect(page.locator(".around .node")).to_have_count(3)
    expect(page.locator("#trouble")).to_be_hidden()


def test_what_is_stored_meanwhile_is_recalled(page: Page, serve: Serve, agent: Path) -> None:
    """Goal: neighbours, recall and concepts follow the writer, and the button with the focus keeps it."""
    page.goto(at(serve(agent), "/memory", id=20, w="0,0,1", concept=3))
    ready(page)
    expect(page.locator(".around .node")).to_have_count(3)
    button = page.get_by_role("button", name="place 4", exact=True).first
    button.focus()
    with SQLiteStorage(agent) as store:
        angle = 19 * 2 * np.pi / 80
        new = store.store_episode([1], 0.5, "new", embedding=np.array([np.cos(angle), np.sin(angle), 0.0]))
        store.add_concept_relationship(3, store.store_concept("newcomer", np.ones(6)), "leads to", 0.5)
        neighbours = page.locator(".card", has=page.locator("h2", has_text="Episode 20"))
        expect(neighbours).to_contain_text(f"episode {new}", timeout=10_000)
        expect(page.locator(".card", has_text="Recall")).to_contain_text(f"episode {new}")
        expect(page.locator(".around .node")).to_have_count(4)
        expect(page.get_by_role("button", name="newcomer").first).to_be_visible()
    expect(button).to_be_focused()


def test_a_memory_is_chosen_by_keys(page: Page, serve: Serve, agent: Path) -> None:
    """Goal: an id and Enter choose an episode, the arrows the next; the zoom of the scores is in the address."""
    page.goto(at(serve(agent), "/memory"))
    ready(page)
    field = page.get_by_label("Id", exact=True)
    field.fill("7")
    field.press("Enter")
    title = page.locator("h2", has_text=re.compile(r"^Episode \d+$"))
    expect(title).to_have_text("Episode 7")
    field.press("ArrowDown")
    expect(title).to_have_text(re.compile("Episode (6|8)"))
    field.press("ArrowUp")
    expect(title).to_have_text("Episode 7")
    assert "id=7" in page.url
    page.wait_for_load_state("networkidle")
    page.locator(".chart[data-ready]").press("+")
    expect(page).to_have_url(re.compile("zoom=17000"))
    zoom = re.search("zoom=[^&]*", page.url)
    page.goto(page.url)
    ready(page)
    expect(field).to_have_value("7")
    page.locator(".chart[data-ready]").press("0")
    expect(page).not_to_have_url(re.compile("zoom="))
    assert zoom is not None


def test_memory_is_read_again_in_sight_and_in_its_time(page: Page, serve: Serve, agent: Path) -> None:
    """Goal: while episodes are stored, what is in sight is read every few seconds, and what is not is left."""
    page.set_viewport_size({"width": 1280, "height": 400})
    page.goto(at(serve(agent), "/memory"))
    ready(page)
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.split("/api/")[-1].split("?")[0]))
    with SQLiteStorage(agent) as store:
        for i in range(30):
            store.store_episode(
                {"seen": "more"}, performance_score=0.5, context_hash="maze", timestamp=1_700_010_000.0 + i,
                embedding=np.array([0.0, 0.0, 1.0]),
            )  # fmt: skip
            page.wait_for_timeout(300)
    page.wait_for_timeout(3500)
    assert 1 <= asked.count("memory/map") <= 6, asked
    assert "memory/concepts" not in asked
    expect(page.locator(".said").first).to_contain_text("all 110 episodes")
    page.locator("h2", has_text="Concepts").scroll_into_view_if_needed()
    expect(page.locator("h2", has_text="Concepts")).to_be_visible()
    page.wait_for_timeout(1000)
    assert "memory/concepts" in asked
