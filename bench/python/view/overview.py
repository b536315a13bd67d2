"""The first paint of the overview of a file of 1 GB, and the bytes of the page."""

import gzip
from statistics import median

import data
import pages
from server import Server

#: The pages whose files are counted: every one of them.
PAGES = ("/", "/simulation", "/series", "/runs", "/market", "/memory", "/sql")


def measure(options, folder, size):
    parts = [size[name] for name in ("entities", "steps", "series", "points")]
    path = data.mixed_file(folder, *parts)
    found = {"file, bytes": data.size_bytes(path), "first paint, ms": [], "overview is shown, ms": []}
    found |= {"start of the server, ms": [], "/api/overview, ms": [], "again, ms": []}
    with pages.browser() as browser:
        for _ in range(options.repeat):
            with Server(options.silt, path) as server:
                found["start of the server, ms"].append(1e3 * server.start_s)
                page = pages.fresh(browser, pages.watching(".tiles"))
                found["overview is shown, ms"].append(pages.seen(page, server.address, ".tiles"))
                paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1"
                found["first paint, ms"].append(page.evaluate(paint))
                text = page.inner_text("main")
                for name in (f"sensor_{0:03}", data.GROUP):
                    if name not in text:
                        raise RuntimeError(f"the overview does not show {name}")
                page.context.close()
            with Server(options.silt, path) as server:
                found["/api/overview, ms"].append(1e3 * server.ask("overview")[2])
                found["again, ms"].append(1e3 * server.ask("overview")[2])
    return {name: median(value) if isinstance(value, list) else value for name, value in found.items()}


def page_bytes(options, folder, _size):
    """Each file that the pages load, packed by itself as a proxy would."""
    path = data.runs_file(folder, 100)
    files = {}
    with pages.browser() as browser, Server(options.silt, path) as server:
        for one in PAGES:
            page = pages.fresh(browser)

            def loaded(response):
                name = response.url.partition("?")[0].partition("#")[0]
                is_page = response.request.resource_type == "document"
                if "/api/" not in name and response.ok and not name.startswith("blob:"):
                    files["the page" if is_page else name.rpartition("/")[2]] = response.body()

            page.on("response", loaded)
            page.goto(server.at(one))
            page.wait_for_selector("html[data-ready]")
            page.wait_for_load_state("networkidle")
            page.context.close()
    packed = {name: len(gzip.compress(body, 9)) for name, body in files.items()}
    return {
        "files": len(files),
        "bytes": sum(map(len, files.values())),
        "bytes, gzip": sum(packed.values()),
        "largest, gzip": max((n, name) for name, n in packed.items()),
    }
