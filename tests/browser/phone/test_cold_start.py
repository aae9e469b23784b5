"""The first visit of the phone app: few requests and few bytes, as a fresh clone serves it."""

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.phone.world import SALES, SETTINGS, World
from tests.server import ROOT, Server
from tests.waiting import eventually

MOST_REQUESTS, MOST_BYTES = 10, 80_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose program is a fresh clone."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("This is no clone, or git is not installed (package git).")
    folder = tmp_path_factory.mktemp("cold")
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    (folder / "storage").mkdir()
    (folder / "storage/message_settings.json").write_text(SETTINGS, "utf-8")
    running = Server(folder / "storage", {}, root=clone)
    running.start()
    yield running
    running.stop()


def test_a_first_visit_is_quick(browser: Any, server: Server) -> None:
    window = browser.new_context()
    requests: list[Any] = []

    def note(request: Any) -> None:
        requests.append(request)

    window.on("requestfinished", note)
    page = window.new_page()
    page.goto(f"{server.url}/phone/")
    page.get_by_role("button", name="Connect").wait_for()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.wait_for_load_state("networkidle")
    over_the_wire = {
        request: request.sizes()["responseBodySize"] + request.sizes()["responseHeadersSize"]
        for request in requests
        if request.sizes()["responseBodySize"] >= 0
    }
    told = "\n".join(f"{size} {request.url}" for request, size in over_the_wire.items())
    assert len(over_the_wire) <= MOST_REQUESTS, told
    assert sum(over_the_wire.values()) <= MOST_BYTES, told
    kept = page.evaluate(
        "caches.keys().then((names) => caches.open(names[0])).then((cache) => cache.keys())"
        ".then((found) => found.map((one) => new URL(one.url).pathname))"
    )
    assert {"/phone/", "/phone/manifest.webmanifest"} < set(kept)
    window.close()


def test_it_starts_without_a_connection(browser: Any, server: Server) -> None:
    window = browser.new_context()
    page = window.new_page()
    page.goto(f"{server.url}/phone/")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    window.set_offline(True)
    page.reload()
    page.get_by_role("button", name="Connect").wait_for()
    assert page.evaluate("getComputedStyle(document.body).fontFamily")
    window.close()


def test_after_an_update_the_new_files_are_shown_and_a_draft_is_still_there(
    browser: Any, server: Server
) -> None:
    window, world = browser.new_context(locale="en-US"), World(server)
    page = window.new_page()
    page.goto(f"{server.url}/phone/#code={world.code()}")
    page.get_by_role("button", name="Connect").click()
    page.get_by_role("heading", name="Messages", exact=True).wait_for()
    world.store.close()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.goto(f"{server.url}/phone/#/to/{SALES}/{world.peer()}")
    page.reload()  # the service worker answers from now on
    draft = page.locator(".composer textarea")
    draft.fill("Half of a sen")
    source = server.root / "blueprints/phone/static/base.css"
    before = source.read_text("utf-8")
    try:
        source.write_text(f"{before}\nbody {{ outline: 3px solid red; }}\n", "utf-8")
        server.stop()
        server.start()
        page.evaluate("navigator.serviceWorker.getRegistration().then((one) => one.update())")
        eventually(
            lambda: page.evaluate(
                "caches.keys().then((names) => caches.open(names[0]))"
                ".then((cache) => cache.match('/phone/base.css')).then(Boolean)"
            )
        )
        page.reload()
        draft.wait_for()
        assert page.evaluate("getComputedStyle(document.body).outlineWidth") == "3px"
        assert draft.input_value() == "Half of a sen"
    finally:
        source.write_text(before, "utf-8")
    window.close()
