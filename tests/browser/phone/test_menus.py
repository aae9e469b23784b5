"""Menus of messages and conversations in the phone app, and its keys."""

from collections.abc import Callable
from typing import Any

from tests.browser.phone.world import SHARED_NUMBER, World, enter, row, said, spoken, write
from tests.waiting import eventually

Open = Callable[..., Any]
DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def field(page: Any) -> Any:
    return page.locator(".composer textarea")


def menu(page: Any, name: str = "Message") -> Any:
    return page.get_by_role("dialog", name=name)


def hold(page: Any, node: Any) -> None:
    """A long touch, as a finger makes it."""
    node.wait_for()
    box = node.bounding_box()
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    finger = page.context.new_cdp_session(page)
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    page.get_by_role("dialog").wait_for()
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    finger.detach()


def test_a_message_is_copied_quoted_and_explained(phone: Open, world: World) -> None:
    peer = world.peer()
    page = phone(**DESK, permissions=["clipboard-read", "clipboard-write"])
    text = "Shall we say ten o’clock in front of the house, or is that too early for all of you?"
    world.text(peer, text)
    enter(page, spoken(peer))
    said(page, text).click(button="right")
    menu(page).get_by_role("button", name="Copy").click()
    menu(page).wait_for(state="detached")
    assert page.evaluate("navigator.clipboard.readText()") == text
    field(page).fill("Ten is fine.")
    said(page, text).hover()
    said(page, text).get_by_role("button", name="Menu of this message").click()
    menu(page).get_by_role("button", name="Reply with quote").click()
    quote = f"“{text[:79].strip()}…”\nTen is fine."
    assert field(page).input_value() == quote
    page.keyboard.press("Enter")
    world.receipt(world.sent(peer)["id"], "failed")
    page.get_by_role("button", name="Try again").wait_for()
    page.keyboard.press("Shift+Tab")
    for _ in range(20):  # back to the menus of the messages, without a mouse
        if page.evaluate("document.activeElement.matches('.message-more')"):
            break
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    menu(page).get_by_role("button", name="Details").click()
    details = menu(page, "Details").locator("dl").inner_text()
    assert spoken(peer) in details
    assert "Received" in details
    page.keyboard.press("Escape")
    page.locator(".message.mine").click(button="right")
    menu(page).get_by_role("button", name="Details").click()
    details = menu(page, "Details").locator("dl").inner_text().replace("\n", " ")
    for part in ("Front desk, (202) 555-0100", "Extension 201 (yours)", "Not delivered", "refuse"):
        assert part in details
    zone = "new Date().toLocaleTimeString('en-US', { timeZoneName: 'short' }).split(' ').at(-1)"
    assert page.evaluate(zone) in details


def test_a_message_is_forwarded_with_its_picture(phone: Open, world: World) -> None:
    peer, friend, page = world.peer(), world.peer(), phone(**PHONE)
    world.text(peer, "Look at this", media=("/sandbox/static/bridge.jpg",))
    row(page, spoken(peer)).click()
    page.locator(".picture img").wait_for()
    hold(page, page.locator(".message .words"))
    menu(page).get_by_role("button", name="Forward").click()
    page.get_by_text("Forward: Look at this").wait_for()
    page.get_by_label("To", exact=True).fill(friend)
    page.keyboard.press("Enter")
    page.get_by_label(f"Message to {spoken(friend)}").wait_for()
    assert field(page).input_value() == "Look at this"
    page.get_by_role("button", name="Send", exact=True).click()
    sent = world.sent(friend)
    assert (sent["text"], [m["content_type"] for m in sent["media"]]) == (
        "Look at this",
        ["image/jpeg"],
    )


def test_a_conversation_s_menu_in_the_list(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(**PHONE)
    world.text(peer, "hi")
    row(page, spoken(peer)).click()
    eventually(lambda: world.conversation(peer)["unread_count"] == 0)
    page.get_by_role("button", name="Back to the conversations").click()
    here = row(page, spoken(peer))
    hold(page, here)
    assert "#/c/" not in page.url  # it was not opened
    menu(page, spoken(peer)).get_by_role("button", name="Mark as unread").click()
    here.locator(".count").wait_for()
    assert world.conversation(peer)["unread_count"] == 1
    for name, key in (("Pin", "pinned"), ("Mute", "muted"), ("Done", "done")):
        hold(page, here)
        menu(page, spoken(peer)).get_by_role("button", name=name, exact=True).click()
        menu(page, spoken(peer)).wait_for(state="detached")
        assert world.conversation(peer)[key] is True
    hold(page, here)
    menu(page, spoken(peer)).get_by_role("button", name="Block").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Block").click()
    here.wait_for(state="detached")
    assert world.conversation(peer) is None


def test_an_open_conversation_that_is_marked_unread_is_left(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(**DESK)
    world.text(peer, "hi")
    enter(page, spoken(peer))
    eventually(lambda: world.conversation(peer)["unread_count"] == 0)
    page.get_by_role("button", name="Menu of this conversation").click()
    menu(page, spoken(peer)).get_by_role("button", name="Mark as unread").click()
    row(page, spoken(peer)).locator(".count").wait_for()
    page.get_by_text("Choose a conversation").wait_for()
    assert world.conversation(peer)["unread_count"] == 1


def test_what_fails_is_said_in_the_menu(phone: Open, world: World, complaints: list[str]) -> None:
    peer, page = world.peer(), phone(**DESK, service_workers="block")
    world.text(peer, "hi")
    enter(page, spoken(peer))
    page.route("**/api/v1/conversations/*/pin", lambda route: route.abort())
    page.get_by_role("button", name="Menu of this conversation").click()
    menu(page, spoken(peer)).get_by_role("button", name="Pin").click()
    menu(page, spoken(peer)).get_by_text("There is no connection.").wait_for()
    complaints.clear()  # the request that failed, as the browser notes it


def test_keys(phone: Open, world: World) -> None:
    here, there, page = world.peer(), world.peer(), phone(**DESK)
    world.text(here, "hi")
    enter(page, spoken(here))
    for one in world.api("GET", "/conversations?unread=1&limit=200")["items"]:
        world.api("POST", f"/conversations/{one['id']}/read", json={"up_to_seq": 10**9})
    world.text(there, "unread")
    row(page, spoken(there)).locator(".count").wait_for()
    page.keyboard.press("Alt+ArrowDown")
    page.get_by_label(f"Message to {spoken(there)}").wait_for()
    page.keyboard.press("Control+k")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("what?")
    assert page.get_by_label("Search").input_value() == "what?"
    page.keyboard.press("Escape")
    page.locator(".talk-scroll").focus()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").get_by_text("Search", exact=True).wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert world.messages(there, SHARED_NUMBER)[0]["text"] == "unread"
    write(page, "/unknown?")  # keys of the app are letters in a text
    assert world.sent(there)["text"] == "/unknown?"
