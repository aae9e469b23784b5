"""Numbers that are typed in the phone app: the country of the installation reads them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.phone.world import SETTINGS, World, write
from tests.server import UNLIMITED, Server, running_server
from tests.waiting import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in Brazil whose numbers are American."""
    storage = tmp_path_factory.mktemp("phone") / "storage"
    storage.mkdir()
    (storage / "message_settings.json").write_text(SETTINGS, "utf-8")
    country = {"DEFAULT_COUNTRY": "BR", "SEND_COUNTRIES": "*"}
    with running_server(storage, UNLIMITED | country) as running:
        yield running


def test_a_number_of_eleven_digits_is_the_one_of_its_country(
    phone: Callable[..., Any], world: World
) -> None:
    page = phone("203")
    page.locator("#new").click()
    page.get_by_label("To", exact=True).fill("11987654322")
    page.keyboard.press("Enter")
    write(page, "oi")
    listed = eventually(lambda: world.api("GET", "/conversations", "203")["items"])
    assert [one["peer"] for one in listed] == ["+5511987654322"]
