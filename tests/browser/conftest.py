"""A real browser in front of a real server; every page is watched for complaints."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.server import Server, running_server
from tests.waiting import PATIENCE

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WATCH = """addEventListener("securitypolicyviolation", (event) =>
    console.error(`blocked: ${event.effectiveDirective} ${event.blockedURI}`));"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as after a first start: no Message Settings, no carrier."""
    with running_server(tmp_path_factory.mktemp("browser") / "storage") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="The package playwright is missing.")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("Chromium is not installed (package chromium).")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield running
        running.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the pages of this test complained about; a test that expects some clears them."""
    return []


@pytest.fixture
def open_page(browser: Any, server: Server, complaints: list[str]) -> Iterator[Callable[..., Any]]:
    """Open a path in a browser window of its own; options are those of a browser context."""
    windows = []

    def dismiss(dialog: Any) -> None:
        complaints.append("a dialog")
        dialog.dismiss()

    def open_at(path: str, **options: Any) -> Any:
        window = browser.new_context(**({"locale": "en-US"} | options))
        windows.append(window)
        window.add_init_script(WATCH)
        page = window.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on("console", lambda said: complaints.append(said.text) if _bad(said) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", dismiss)
        page.goto(server.url + path)
        return page

    yield open_at
    for window in windows:
        window.close()
    assert complaints == []


def _bad(said: Any) -> bool:
    return said.type in ("error", "warning") and "blocked by Playwright" not in said.text
