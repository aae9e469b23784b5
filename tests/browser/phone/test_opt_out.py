"""Phone app in a browser: STOP while somebody types, softer wordings, blocked senders."""

from collections.abc import Callable
from typing import Any

from tests.browser.phone.world import World, enter, row, said, spoken, texts, write
from tests.waiting import eventually

Open = Callable[..., Any]


def test_stop_closes_the_field_and_start_opens_it_with_what_was_typed(
    phone: Open, world: World
) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "hello")
    enter(page, spoken(peer))
    field = page.locator(".composer textarea")
    field.fill("I was just wri")
    world.text(peer, "STOP")
    page.get_by_text("Nobody can text them until they text START").wait_for()
    field.wait_for(state="hidden")
    confirmation = [m for m in world.messages(peer) if m["direction"] == "out"]
    assert len(confirmation) == 1
    assert "you are unsubscribed" in confirmation[0]["text"]
    world.text(peer, "START")
    field.wait_for()
    assert field.input_value() == "I was just wri"
    write(page, "welcome back")
    eventually(lambda: world.sent(peer)["text"] == "welcome back")


def test_a_softer_wording_is_a_question_to_the_user(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "please stop texting me")
    enter(page, spoken(peer))
    page.get_by_role("button", name="Not an opt-out").click()
    page.get_by_role("button", name="Not an opt-out").wait_for(state="hidden")
    write(page, "Sorry!")
    said(page, "Sorry!").wait_for()
    world.text(peer, "I said don't text me")
    page.get_by_role("button", name="Opt out", exact=True).click()
    page.get_by_text("recorded in the app").wait_for()
    page.locator(".composer textarea").wait_for(state="hidden")
    assert world.conversation(peer)["opt_outs"][0]["source"] == "person"


def test_a_blocked_sender_leaves_the_list_and_comes_back(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "buy this")
    enter(page, spoken(peer))
    page.get_by_role("button", name=spoken(peer)).click()
    page.get_by_role("button", name="Block …").click()
    page.get_by_role("button", name="Block", exact=True).click()
    page.get_by_text("Blocked: nobody is notified").wait_for()
    row(page, spoken(peer)).wait_for(state="detached")
    page.goto(f"{world.server.url}/phone/")
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("link", name=spoken(peer)).click()
    page.get_by_role("button", name="Unblock").click()
    row(page, spoken(peer)).wait_for()
    assert texts(page) == ["buy this"]


def test_in_a_group_the_app_asks_which_member(phone: Open, world: World) -> None:
    one, other, page = world.peer(), world.peer(), phone()
    world.api("POST", "/messages", json={"text": "hi both", "to": [one, other]})
    page.locator(".row-link", has_text="hi both").click()

    def choose(button: str, peer: str) -> None:
        page.locator(".talk-title").click()
        page.get_by_role("button", name=button, exact=True).click()
        page.get_by_role("button", name=spoken(peer), exact=True).click()

    choose("Block …", other)
    page.get_by_role("button", name="Block", exact=True).click()
    page.locator("dialog").wait_for(state="detached")
    choose("Unblock …", other)
    page.locator("dialog").wait_for(state="detached")
    choose("Opt out …", one)
    page.get_by_text(f"Nobody can text {spoken(one)} from this number").wait_for()
    page.get_by_role("button", name="Opt out", exact=True).click()
    page.get_by_text("recorded in the app").wait_for()
    (group,) = (c for c in world.api("GET", "/conversations")["items"] if c["participants"])
    assert [found["peer"] for found in group["opt_outs"]] == [one]
    assert group["blocked_peers"] == []
