"""Deleting in the phone app, and what is said where a text cannot be sent again."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.phone.test_menus import menu
from tests.browser.phone.world import SETTINGS, World, enter, row, said, spoken, write
from tests.server import UNLIMITED, Server, running_server
from tests.waiting import eventually

Open = Callable[..., Any]
DESK = {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose operator allows deleting."""
    storage = tmp_path_factory.mktemp("phone") / "storage"
    storage.mkdir()
    (storage / "message_settings.json").write_text(SETTINGS, "utf-8")
    with running_server(storage, {**UNLIMITED, "ALLOW_DELETE": "true"}) as running:
        yield running


def test_a_message_is_deleted_on_all_devices(phone: Open, world: World) -> None:
    peer = world.peer()
    mine, theirs = phone("201", **DESK), phone("202", **DESK)
    for text in ("first", "second"):
        world.text(peer, text)
    for page in (mine, theirs):
        row(page, spoken(peer)).wait_for()
        enter(page, spoken(peer))
        said(page, "second").wait_for()
    said(mine, "second").click(button="right")
    menu(mine).get_by_role("button", name="Delete …").click()
    question = mine.get_by_role("alertdialog", name="Delete this message?")
    question.get_by_text("for everybody who shares your number").wait_for()
    mine.keyboard.press("Escape")
    question.wait_for(state="detached")
    assert len(world.messages(peer)) == 2
    said(mine, "second").click(button="right")
    menu(mine).get_by_role("button", name="Delete …").click()
    mine.get_by_role("alertdialog").get_by_role("button", name="Delete", exact=True).click()
    for page in (mine, theirs):
        page.locator(".message .words", has_text="second").wait_for(state="detached")
        row(page, spoken(peer)).get_by_text("first").wait_for()
    assert [one["text"] for one in world.messages(peer)] == ["first"]
    eventually(lambda: mine.evaluate("document.activeElement.matches('.talk-scroll')"))
    mine.reload()
    said(mine, "first").wait_for()
    assert mine.locator(".message .words", has_text="second").count() == 0


def test_many_deleted_messages_load_their_conversation_a_few_times(
    phone: Open, world: World, complaints: list[str]
) -> None:
    peer, page = world.peer(), phone("202", **DESK)
    for count in range(30):
        world.text(peer, f"text {count}")
    row(page, spoken(peer)).get_by_text("text 29").wait_for()
    known = eventually(lambda: (found := world.messages(peer))[29:] and found)
    path = f"/api/v1/conversations/{known[0]['conversation_id']}"
    asked: list[str] = []
    page.on("request", lambda request: request.url.endswith(path) and asked.append(request.url))
    page.context.set_offline(True)
    for message in known[1:]:
        world.api("DELETE", f"/messages/{message['id']}?permanently=true")
    page.context.set_offline(False)
    row(page, spoken(peer)).get_by_text("text 0").wait_for()
    assert 1 <= len(asked) <= 10
    complaints.clear()  # requests without a connection


def test_a_conversation_is_deleted_while_a_colleague_has_it_open(
    phone: Open, world: World, complaints: list[str]
) -> None:
    peer = world.peer()
    mine, theirs = phone("201", **DESK), phone("202", **DESK)
    world.text(peer, "hello")
    row(theirs, spoken(peer)).wait_for()
    enter(theirs, spoken(peer))
    row(mine, spoken(peer)).click(button="right")
    menu(mine, spoken(peer)).get_by_role("button", name="Delete …").click()
    question = mine.get_by_role("alertdialog", name="Delete the conversation with")
    question.get_by_text("opt-outs stay").wait_for()
    question.get_by_role("button", name="Delete", exact=True).click()
    for page in (mine, theirs):
        row(page, spoken(peer)).wait_for(state="detached")
    theirs.get_by_text("Choose a conversation").wait_for()
    assert world.conversation(peer) is None
    world.text(peer, "and again")
    row(mine, spoken(peer)).get_by_text("and again").wait_for()
    complaints.clear()  # a request for what was gone meanwhile


def test_a_number_that_is_not_in_service_is_not_tried_again(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(**DESK)
    world.text(peer, "hello")
    row(page, spoken(peer)).wait_for()
    enter(page, spoken(peer))
    write(page, "to nobody")
    world.receipt(world.sent(peer)["id"], "out-of-service")
    eventually(lambda: world.messages(peer)[-1]["error"])
    page.get_by_text(
        "The recipient's number is not in service. Check the number, or reach them another way."
    ).wait_for()
    assert page.get_by_role("button", name="Try again").count() == 0
