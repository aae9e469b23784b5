"""A server as after a first start, and the operator's browser, signed in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH

from tests.server import Server, running_server

PASSWORD = "a good password"
SIZES = {"desktop": (1280, 900), "tablet": (820, 1180)}
FACES = [(size, scheme) for size in SIZES for scheme in ("light", "dark")]
ADMIN = {"ADMIN_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server as after a first start: no Message Settings, no carrier but the sandbox."""
    with running_server(tmp_path_factory.mktemp("admin") / "storage", ADMIN) as running:
        yield running


@pytest.fixture
def operator(open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Open a page of ``/admin`` signed in; ``size`` and ``scheme`` are one of ``FACES``."""

    def open_signed_in(path: str = "/", size: str = "desktop", scheme: str = "light") -> Any:
        width, height = SIZES[size]
        page = open_page(
            f"/admin{path}",
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").wait_for()
        return page

    return open_signed_in


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong with a page, and whether it is wider than its window."""
    page.evaluate(Path(AXE_FILE_PATH).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    told = [
        f"{each['id']}: {node['html'][:200]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        told.append("the page is wider than its window")
    return told
