"""A text that somebody has written by answering a mail, in the phone app."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.core.authors import device_of_address
from services.gateway import Gateway, load_environment
from services.messaging.compose import Reply
from tests.browser.phone.world import SHARED_NUMBER, World, enter, row, said, spoken
from tests.server import Server

Open = Callable[..., Any]
ADDRESS = "reception.of.the.harbour.cafe@mail.example.com"


@pytest.fixture
def gateway(server: Server) -> Iterator[Gateway]:
    """The parts of the running server, in this process; the number has an e-mail address."""
    opened = Gateway(load_environment(server.env))
    opened.prepare()
    entry = {"number": SHARED_NUMBER, "carrier": "sandbox", "extensions": ["201", "202"]}
    opened.settings.put({**entry, "emails": [ADDRESS], "description": "Front desk"})
    yield opened
    opened.settings.put({**entry, "description": "Front desk"})
    opened.close()


@pytest.mark.parametrize("size", [(390, 844), (1280, 900)], ids=["phone", "desk"])
def test_the_address_stands_where_an_extension_stands(
    phone: Open, world: World, gateway: Gateway, size: tuple[int, int]
) -> None:
    peer = world.peer()
    world.text(peer, "Is the shop open?")
    known = world.conversation(peer)
    answer = Reply(text="Yes, until 4.", conversation_id=known["id"])
    gateway.composer.submit(device_of_address(ADDRESS), answer)
    page = phone("201", viewport={"width": size[0], "height": size[1]})
    row(page, spoken(peer)).get_by_text("reception.of.the.harbour.cafe: Yes").wait_for()
    enter(page, spoken(peer))
    said(page, "Yes, until 4.").wait_for()
    page.get_by_text(ADDRESS, exact=True).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    world.api("POST", f"/conversations/{known['id']}/assign", json={"owner": ADDRESS.upper()})
    page.locator(".talk-under", has_text=f"{ADDRESS} answers").wait_for()
    assert world.messages(peer)[-1]["sent_by"] == ADDRESS
