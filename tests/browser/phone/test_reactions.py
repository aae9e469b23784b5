"""Phone app in a browser: reactions beside their message, and senders that are no numbers."""

from collections.abc import Callable
from typing import Any

from tests.browser.phone.world import World, enter, said, spoken, texts

Open = Callable[..., Any]


def test_a_reaction_is_shown_beside_the_message_that_it_quotes(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "See you at 8")
    enter(page, spoken(peer))
    world.text(peer, "Loved “See you at 8”")
    reactions = said(page, "See you at 8").locator(".reactions")
    reactions.get_by_text("❤️").wait_for()
    world.text(peer, "Liked “something older”")
    said(page, "Liked “something older”").wait_for()
    assert texts(page) == ["See you at 8", "Liked “something older”"]
    world.text(peer, "Removed a heart from “See you at 8”")
    reactions.wait_for(state="hidden")


def test_an_odd_sender_is_shown_as_text(phone: Open, world: World) -> None:
    page, sender = phone(), '<img src=x onerror="document.title=1">,=cmd() O\'Reilly'
    world.text(sender, "Your order is ready")
    enter(page, sender)
    said(page, "Your order is ready").wait_for()
    assert page.locator(".talk-title h1").text_content() == sender
    assert page.title() != "1"
