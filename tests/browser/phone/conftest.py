"""A server with numbers for the phone app, and the app, paired."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.phone.world import SETTINGS, World
from tests.server import UNLIMITED, Server, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with three numbers; one of them is shared by two extensions."""
    storage = tmp_path_factory.mktemp("phone") / "storage"
    storage.mkdir()
    (storage / "message_settings.json").write_text(SETTINGS, "utf-8")
    with running_server(storage, UNLIMITED) as running:
        yield running


@pytest.fixture(scope="module")
def world(server: Server) -> Iterator[World]:
    """Everything around the app."""
    world = World(server)
    yield world
    world.store.close()


@pytest.fixture
def phone(open_page: Callable[..., Any], world: World) -> Callable[..., Any]:
    """Open the app and pair it with an extension."""

    def pair(extension: str = "201", **options: Any) -> Any:
        page = open_page(f"/phone/#code={world.code(extension)}", **options)
        page.get_by_role("button", name="Connect").click()
        page.get_by_role("heading", name="Messages", exact=True).wait_for()
        return page

    return pair
