"""Phone app in a browser: whole tasks of its users."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from tests.browser.phone.world import (
    SALES,
    SHARED_NUMBER,
    SINGLE,
    World,
    enter,
    row,
    said,
    shown,
    spoken,
    texts,
    write,
)
from tests.browser.test_sandbox import HOSTILE
from tests.server import Server
from tests.waiting import eventually

Open = Callable[..., Any]


def test_a_text_arrives_is_answered_and_read_on_every_device(
    phone: Open, world: World, complaints: list[str]
) -> None:
    peer = world.peer()
    first, second = phone(), phone()
    world.text(peer, "Are you open on Saturday?")
    for page in (first, second):
        row(page, spoken(peer)).get_by_text("Are you open on Saturday?").wait_for()
        assert row(page, spoken(peer)).locator(".count .hidden").text_content() == "1 unread"
    enter(first, spoken(peer))
    said(first, "Are you open on Saturday?").wait_for()
    for page in (first, second):
        row(page, spoken(peer)).locator(".count").wait_for(state="hidden")
    assert world.conversation(peer)["unread_count"] == 0
    write(first, "From nine to one.")
    said(first, "From nine to one.").get_by_text("Sent", exact=True).wait_for()
    world.receipt(world.sent(peer)["id"])
    said(first, "From nine to one.").get_by_text("Delivered", exact=True).wait_for()
    row(second, spoken(peer)).get_by_text("You: From nine to one.").wait_for()
    world.text(peer, "Thank you!")  # while the conversation is open
    said(first, "Thank you!").wait_for()
    eventually(lambda: world.conversation(peer)["unread_count"] == 0)
    assert texts(first) == ["Are you open on Saturday?", "From nine to one.", "Thank you!"]
    first.reload()
    said(first, "Thank you!").wait_for()
    assert first.locator(".day").all_text_contents() == ["Today"]
    assert complaints == []


def test_pairing_by_hand_and_with_a_wrong_code(
    open_page: Open, world: World, server: Server, complaints: list[str]
) -> None:
    page = open_page("/phone/")
    page.get_by_label("Code", exact=True).fill("ABCD-2345")
    page.get_by_role("button", name="Connect").click()
    page.get_by_text("This code is wrong, used or too old.").wait_for()
    complaints.clear()  # the refusal, as the browser notes it
    page.get_by_label("Code", exact=True).fill("")
    page.get_by_label("Code", exact=True).press_sequentially(world.code("202").lower())
    page.get_by_label("Name of this device").fill("Kitchen tablet")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Messages", exact=True).wait_for()
    names = [d["name"] for d in world.api("GET", "/devices", "202")["items"]]
    assert "Kitchen tablet" in names
    assert page.evaluate("location.href") == f"{server.url}/phone/"


def test_a_code_never_reaches_the_server_s_log(phone: Open, server: Server) -> None:
    page = phone()
    assert "code" not in page.evaluate("location.href")
    assert "code=" not in server.log.read_text("utf-8")


def test_pictures_and_files_come_in(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "", media=("/sandbox/static/bridge.jpg",))
    row(page, spoken(peer)).get_by_text("Picture").wait_for()
    enter(page, spoken(peer))
    shown(page.locator(".picture img"))
    page.get_by_role("button", name=re.compile("Picture from .*: show it large")).click()
    large = page.get_by_role("dialog", name="Picture")
    shown(large.get_by_role("img"))
    page.keyboard.press("Escape")
    large.wait_for(state="detached")
    focused = page.evaluate("document.activeElement.className")
    assert focused == "picture"


def photo(side: int) -> bytes:
    """A picture that is as large in bytes as one from a camera."""
    noise = Image.frombytes("RGB", (side, side), Random(7).randbytes(side * side * 3))
    file = io.BytesIO()
    noise.save(file, "PNG")
    return file.getvalue()


def test_pictures_and_files_go_out_and_are_made_to_fit(
    phone: Open, world: World, tmp_path: Path
) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "Send me the photo")
    enter(page, spoken(peer))
    (tmp_path / "IMG_1.png").write_bytes(photo(1400))
    (tmp_path / "offer.pdf").write_bytes(b"%PDF-1.4\n%%EOF\n")
    assert (tmp_path / "IMG_1.png").stat().st_size > 3_500_000
    chooser = page.locator(".composer input[type=file]")
    chooser.set_input_files([tmp_path / "IMG_1.png", tmp_path / "offer.pdf"])
    page.get_by_role("button", name="Remove IMG_1.jpg").wait_for()
    assert page.locator("#cost").text_content() == "MMS"
    write(page, "Here it is")
    sent = world.sent(peer)
    assert [(m["content_type"], m["name"]) for m in sent["media"]] == [
        ("image/jpeg", "IMG_1.jpg"),
        ("application/pdf", "offer.pdf"),
    ]
    assert sent["media"][0]["size"] <= 3_500_000
    shown(page.locator(".picture img"))
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save offer.pdf").click()
    assert saved.value.suggested_filename == "offer.pdf"


def test_what_cannot_be_sent_is_said_at_once(phone: Open, world: World, tmp_path: Path) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "hi")
    enter(page, spoken(peer))
    (tmp_path / "tool.zip").write_bytes(b"PK\x03\x04")
    page.locator(".composer input[type=file]").set_input_files(tmp_path / "tool.zip")
    page.get_by_text("“tool.zip” is of a kind that cannot be sent.").wait_for()
    assert page.locator(".strip li").count() == 0


def test_written_offline_sent_once(phone: Open, world: World, complaints: list[str]) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "Where are you?")
    enter(page, spoken(peer))
    said(page, "Where are you?").wait_for()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.context.set_offline(True)
    page.locator("#connection").wait_for()
    write(page, "In the tunnel")
    said(page, "In the tunnel").get_by_text("Waiting to be sent", exact=True).wait_for()
    page.reload()  # the app itself comes from the device, too
    said(page, "In the tunnel").get_by_text("Waiting to be sent", exact=True).wait_for()
    assert texts(page) == ["Where are you?", "In the tunnel"]
    page.context.set_offline(False)
    said(page, "In the tunnel").get_by_text("Sent", exact=True).wait_for()
    page.locator("#connection").wait_for(state="hidden")
    assert [m["text"] for m in world.messages(peer)] == ["Where are you?", "In the tunnel"]
    assert texts(page) == ["Where are you?", "In the tunnel"]
    complaints.clear()  # the missing connection, as the browser notes it


def test_an_answer_that_is_lost_on_the_way_sends_nothing_twice(
    phone: Open, world: World, complaints: list[str]
) -> None:
    peer, page = world.peer(), phone(service_workers="block")
    world.text(peer, "hi")
    enter(page, spoken(peer))
    lost = []

    def lose(route: Any) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    page.route("**/api/v1/messages", lose)
    with page.expect_event("requestfailed"):
        write(page, "once")
    page.evaluate("dispatchEvent(new Event('offline'))")  # the stream is cut, and found again
    said(page, "once").get_by_text("Sent", exact=True).wait_for()
    page.reload()
    said(page, "once").get_by_text("Sent", exact=True).wait_for()
    assert lost == [202]
    assert [m["text"] for m in world.messages(peer)] == ["hi", "once"]
    assert texts(page) == ["hi", "once"]
    complaints.clear()  # the lost answer, as the browser notes it


SLOW_DISK = """() => {
    const real = Object.getOwnPropertyDescriptor(IDBTransaction.prototype, "oncomplete");
    const late = function (done) { real.set.call(this, () => setTimeout(done, 400)); };
    Object.defineProperty(IDBTransaction.prototype, "oncomplete", { ...real, set: late });
}"""
FULL_DISK = """() => {
    window.put = IDBObjectStore.prototype.put;
    IDBObjectStore.prototype.put = function (item) {
        if (this.name === "outbox") throw new DOMException("full", "QuotaExceededError");
        return window.put.call(this, item);
    };
}"""


def test_one_may_write_on_while_the_last_one_is_put_on_disk(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "hi")
    enter(page, spoken(peer))
    said(page, "hi").wait_for()
    page.evaluate(SLOW_DISK)
    for text in ("one", "two", "three"):
        page.locator(".composer textarea").press_sequentially(text)
        page.keyboard.press("Enter")
    said(page, "three").get_by_text("Sent", exact=True).wait_for()
    assert [m["text"] for m in world.messages(peer)] == ["hi", "one", "two", "three"]
    assert page.locator(".composer textarea").input_value() == ""


def test_a_draft_that_does_not_fit_into_storage_stays_in_the_composer(
    phone: Open, world: World
) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "hi")
    enter(page, spoken(peer))
    said(page, "hi").wait_for()
    page.evaluate(FULL_DISK)
    write(page, "No room for this")
    page.get_by_role("alert").get_by_text("The storage of this device is full.").wait_for()
    assert page.locator(".composer textarea").input_value() == "No room for this"
    page.evaluate("() => void (IDBObjectStore.prototype.put = window.put)")
    page.keyboard.press("Enter")
    said(page, "No room for this").get_by_text("Sent", exact=True).wait_for()
    assert [m["text"] for m in world.messages(peer)] == ["hi", "No room for this"]


def test_two_windows_send_what_waits_once(phone: Open, world: World, complaints: list[str]) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "hi")
    enter(page, spoken(peer))
    other = page.context.new_page()
    other.goto(page.url)
    said(other, "hi").wait_for()
    page.context.set_offline(True)
    for text in ("one", "two", "three"):
        write(page, text)
    said(page, "three").get_by_text("Waiting to be sent", exact=True).wait_for()
    page.context.set_offline(False)
    said(page, "three").get_by_text("Sent", exact=True).wait_for()
    said(other, "three").get_by_text("Sent", exact=True).wait_for()
    assert [m["text"] for m in world.messages(peer)] == ["hi", "one", "two", "three"]
    complaints.clear()


def test_a_failure_has_its_reason_and_is_tried_again(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "hi")
    enter(page, spoken(peer))
    write(page, "Can you read this?")
    world.receipt(world.sent(peer)["id"], "failed")
    message = said(page, "Can you read this?")
    message.get_by_text("Not delivered", exact=True).wait_for()
    message.get_by_text("The phone in the sandbox was told to refuse it.").wait_for()
    row(page, spoken(peer)).get_by_text("Not delivered: Can you read this?").wait_for()
    message.get_by_role("button", name="Try again").click()
    world.receipt(world.sent(peer)["id"])
    page.locator("[data-status=delivered]").wait_for()
    found = [(m["text"], m["status"]) for m in world.messages(peer)[1:]]
    assert found == [("Can you read this?", "failed"), ("Can you read this?", "delivered")]
    assert page.get_by_role("button", name="Try again").count() == 0
    page.reload()
    page.locator("[data-status=delivered]").wait_for()
    assert page.get_by_role("button", name="Try again").count() == 0


def with_hello(phone: Open, world: World, **changes: Any) -> tuple[Any, str]:
    """A conversation with a sent “Hello?” that the app sees with changes; also its peer."""
    peer, page = world.peer(), phone(service_workers="block")
    world.text(peer, "hi")
    message = world.api(
        "POST", "/messages", json={"to": peer, "from": SHARED_NUMBER, "text": "Hello?"}
    )
    world.sent(peer)

    def changed(route: Any) -> None:
        answer = route.fetch()
        found = answer.json()
        for item in found["items"]:
            if item["id"] == message["id"]:
                item.update(changes)
        route.fulfill(response=answer, json=found)

    page.route(re.compile(r".*/api/v1/conversations/.*/messages.*"), changed)
    enter(page, spoken(peer))
    return page, peer


@pytest.mark.parametrize(
    "more", [{"state": "cancelled"}, {"replaced_by": "another"}], ids=["cancelled", "replaced"]
)
def test_what_was_cancelled_or_replaced_is_not_offered_again(
    phone: Open, world: World, more: dict[str, Any]
) -> None:
    error = {"code": None, "reason": "Not now."}
    page, _ = with_hello(phone, world, status="failed", error=error, **more)
    said(page, "Hello?").get_by_text("Not now.").wait_for()
    assert page.get_by_role("button", name="Try again").count() == 0


def test_what_may_have_been_sent_is_sent_again_only_if_wanted(phone: Open, world: World) -> None:
    error = {"code": None, "reason": "No answer."}
    page, peer = with_hello(phone, world, status="unknown", error=error)
    shown = said(page, "Hello?")
    shown.get_by_text("May not have been sent").wait_for()
    shown.get_by_role("button", name="Send again").click()
    asked = page.get_by_role("alertdialog", name="Send it again?")
    asked.get_by_role("button", name="Cancel").click()
    asked.wait_for(state="detached")
    assert len(world.messages(peer)) == 2
    shown.get_by_role("button", name="Send again").click()
    asked.get_by_role("button", name="Send again").click()
    eventually(lambda: len(world.messages(peer)) == 3)


def test_what_the_server_refuses_says_why_and_can_be_deleted(
    phone: Open, world: World, complaints: list[str]
) -> None:
    page = phone()
    world.text("MTN", "Your balance is low")
    enter(page, "MTN")
    write(page, "Stop it")
    message = said(page, "Stop it")
    message.get_by_text("Nobody can reply to “MTN”: it is a name, not a number.").wait_for()
    message.get_by_role("button", name="Delete").click()
    message.wait_for(state="detached")
    complaints.clear()  # the refusal, as the browser notes it


def test_an_extension_with_several_numbers_chooses(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "To the desk")
    enter(page, spoken(peer))
    assert row(page, spoken(peer)).locator(".row-own").text_content() == "Front desk"
    page.get_by_role("button", name="From Front desk").click()
    sheet = page.get_by_role("dialog", name="Send from")
    sheet.get_by_role("button", name="Sales").click()
    page.get_by_role("button", name="From Sales").wait_for()
    write(page, "From the sales team")
    assert world.sent(peer, SALES)["from"] == SALES
    said(page, "From the sales team").get_by_text("Sent", exact=True).wait_for()
    assert sorted(
        page.locator("#conversations a", has_text=spoken(peer))
        .locator(".row-own")
        .all_text_contents()
    ) == ["Front desk", "Sales"]
    eventually(lambda: "#/c/" in page.url)


def test_an_extension_with_one_number_is_not_asked(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone("203")
    world.text(peer, "hi", to=SINGLE)
    enter(page, spoken(peer))
    assert page.locator(".row-own:visible").count() == 0
    assert page.locator(".from").is_disabled()


def test_a_new_conversation_with_any_number(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    page.get_by_role("button", name="New conversation").click()
    page.get_by_label("To", exact=True).fill("nobody at all")
    page.keyboard.press("Enter")
    page.get_by_text("Write a phone number, such as").wait_for()
    page.get_by_label("To", exact=True).fill(spoken(peer))
    page.get_by_label("From", exact=True).select_option(SALES)
    page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_label(f"Message to {spoken(peer)}").wait_for()
    write(page, "Good morning")
    said(page, "Good morning").get_by_text("Sent", exact=True).wait_for()
    assert world.sent(peer, SALES)["text"] == "Good morning"
    world.text(peer, "Good morning to you", to=SALES)
    said(page, "Good morning to you").wait_for()


def test_a_group(phone: Open, world: World) -> None:
    one, other, page = world.peer(), world.peer(), phone()
    page.get_by_role("button", name="New conversation").click()
    page.get_by_label("To", exact=True).fill(f"{one}, {other}")
    page.keyboard.press("Enter")
    name = f"{spoken(one)}, {spoken(other)}"
    page.get_by_label(f"Message to {name}").wait_for()
    write(page, "Lunch at noon?")
    said(page, "Lunch at noon?").get_by_text("Sent", exact=True).wait_for()
    row(page, name).wait_for()


def test_a_group_is_chosen_from_the_contacts(phone: Open, world: World) -> None:
    people = {name: world.peer() for name in ("Zoe Alder", "Zoe Birch", "Zoe Cedar")}
    for name, peer in people.items():
        world.api("PUT", f"/contacts/{peer}", json={"name": name})
    page = phone()
    page.get_by_role("button", name="New conversation").click()
    to, chosen = page.get_by_label("To", exact=True), page.get_by_role("list", name="Chosen")
    to.press_sequentially("zoe a")
    listed = page.get_by_role("list", name="Contacts").get_by_role("listitem")
    assert listed.count() == 1
    page.get_by_role("button", name="Add Zoe Alder").click()
    assert to.input_value() == ""
    to.press_sequentially("zoe")
    listed.filter(has_text="Zoe Birch").locator(".person-main").click()
    to.press_sequentially("Zoe Cedar,")
    assert chosen.get_by_role("listitem").all_text_contents() == list(people)
    page.get_by_role("button", name="Remove Zoe Birch").click()
    to.press_sequentially("nobody at all")
    page.keyboard.press("Enter")
    page.get_by_text("Write a phone number, such as").wait_for()
    to.fill("")
    page.keyboard.press("Backspace")  # takes out the last one
    assert chosen.get_by_role("listitem").all_text_contents() == ["Zoe Alder"]
    to.press_sequentially(people["Zoe Birch"])
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Message to Zoe Alder, Zoe Birch").wait_for()
    write(page, "Lunch?")
    said(page, "Lunch?").get_by_text("Sent", exact=True).wait_for()


def test_one_touch_writes_to_a_contact(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "hi")
    row(page, spoken(peer)).wait_for()
    page.get_by_role("button", name="New conversation").click()
    page.locator(".person-main", has_text=spoken(peer)).click()
    page.get_by_label(f"Message to {spoken(peer)}").wait_for()


def test_a_shared_number_shows_who_answered(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "Who is there?")
    enter(page, spoken(peer))
    world.api(
        "POST", "/messages", "202", json={"to": peer, "from": SHARED_NUMBER, "text": "It is Ann"}
    )
    said(page, "It is Ann").get_by_text("Extension 202").wait_for()
    row(page, spoken(peer)).get_by_text("202: It is Ann").wait_for()


def test_a_name_is_given_and_shared(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "hi")
    enter(page, spoken(peer))
    page.get_by_role("button", name="Add a name").click()
    sheet = page.get_by_role("dialog", name="Contact")
    sheet.get_by_label("Name").fill("Ann <b>Example</b>")
    page.keyboard.press("Enter")
    enter(page, "Ann <b>Example</b>")
    row(phone("202"), "Ann <b>Example</b>").wait_for()
    page.get_by_role("button", name="Ann <b>Example</b>").click()
    sheet.get_by_role("button", name="Remove contact").click()
    row(page, spoken(peer)).wait_for()


def test_what_anybody_writes_is_shown_as_text(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    title = page.title()
    crowd = "😀🎉👩‍👩‍👧‍👦" * 700
    wanted = [*HOSTILE, "\u202eevil\u202d", "\u2066\u2067\u2068 open", crowd]
    for text in wanted:
        world.text(peer, text)
    enter(page, spoken(peer))
    said(page, crowd).wait_for()
    assert texts(page) == wanted
    assert page.locator(".words :not(a)").count() == 0
    assert page.evaluate(
        "[...document.querySelectorAll('.words a')]"
        ".every((a) => /^(https?|mailto|tel):/.test(a.href))"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(
        "[...document.querySelectorAll('.message')].every((m) => m.scrollWidth <= m.clientWidth)"
    )
    assert page.title().rpartition(") ")[2] == title.rpartition(") ")[2]
    preview = row(page, spoken(peer)).locator(".row-preview")
    assert preview.evaluate("(node) => getComputedStyle(node).unicodeBidi") == "plaintext"


def test_names_previews_and_what_is_found_are_shown_as_text(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    title, name = page.title(), f"{HOSTILE[1]} {peer[-4:]}"
    world.api("PUT", f"/contacts/{peer}", json={"name": name})
    for text in HOSTILE:
        world.text(peer, f"zanzibar {text}")
    page.reload()
    preview = row(page, name).locator(".row-preview")
    eventually(lambda: preview.text_content().startswith("zanzibar \U0001f600\U0001f600"))
    page.get_by_label("Search").fill("zanzibar")
    hits = page.get_by_role("region", name="Messages found").get_by_role("link")
    hits.nth(len(HOSTILE) - 1).wait_for()
    found = "\n".join(hits.all_text_contents())
    assert all(text[:30].split("\n")[0] in found for text in HOSTILE)
    assert hits.locator("script, img, svg, style, iframe, a, b").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.title().rpartition(") ")[2] == title.rpartition(") ")[2]


def test_a_long_history_is_read_backwards(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    for n in range(120):
        world.text(peer, f"number {n}")
    eventually(lambda: len(world.messages(peer)) == 120)
    enter(page, spoken(peer))
    said(page, "number 119").wait_for()
    assert len(texts(page)) == 50
    end = page.locator(".talk-scroll")
    for loaded in (100, 120):
        end.evaluate("(node) => node.scrollTo(0, 100)")
        eventually(lambda wanted=loaded: page.locator(".message").count() == wanted)
    assert texts(page) == [f"number {n}" for n in range(120)]
    assert 0 < said(page, "number 20").bounding_box()["y"] < 720, "what was read stays in view"
    world.text(peer, "and a new one")
    page.get_by_role("button", name="New messages").click()
    said(page, "and a new one").wait_for()
    eventually(lambda: world.conversation(peer)["unread_count"] == 0)


def test_the_app_says_when_the_server_is_gone_and_goes_on_when_it_is_back(
    phone: Open, world: World, server: Server, complaints: list[str]
) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "before")
    enter(page, spoken(peer))
    server.stop()
    page.locator("#connection").wait_for()
    server.start()
    world.text(peer, "after")
    said(page, "after").wait_for()
    page.locator("#connection").wait_for(state="hidden")
    complaints.clear()  # the broken connections, as the browser notes them


def test_where_a_stream_is_held_back_the_app_asks_instead(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(service_workers="block")
    page.route("**/api/v1/events*", lambda route: None)  # never answered
    page.reload()
    page.get_by_role("heading", name="Messages", exact=True).wait_for()
    with page.expect_request("**/api/v1/sync*", timeout=20_000):
        pass
    world.text(peer, "all the same")
    row(page, spoken(peer)).get_by_text("all the same").wait_for()


TYPED_WHILE_SIGNED_OUT = """() => {
    const field = document.querySelector(".composer textarea");
    setInterval(() => {
        field.value += "x";
        field.dispatchEvent(new Event("input"));
    }, 50);
}"""


def test_a_revoked_device_forgets_everything(
    phone: Open, world: World, server: Server, complaints: list[str]
) -> None:
    peer, page = world.peer(), phone("203")
    world.text(peer, "secret", to=SINGLE)
    enter(page, spoken(peer))
    said(page, "secret").wait_for()
    listed = world.api("GET", "/devices", "203")["items"]
    device = max(d["id"] for d in listed if d["platform"] == "web")
    page.evaluate(TYPED_WHILE_SIGNED_OUT)
    world.api("DELETE", f"/devices/{device}", "203")
    page.get_by_text("This device was signed out.").wait_for()
    assert stored_drafts(page) == []
    complaints.clear()  # the refusal, as the browser notes it


def stored_drafts(page: Any) -> list[Any]:
    """Everything that the app has in this browser's database."""
    found: list[Any] = page.evaluate("""async () => {
        const { all } = await import("/phone/db.js");
        const stores = ["settings", "conversations", "contacts", "outbox", "messages"];
        return (await Promise.all(stores.map(all))).flat();
    }""")
    return found


def test_settings_and_signing_out(phone: Open, world: World) -> None:
    page = phone("203")
    page.get_by_role("button", name="Settings").click()
    sheet = page.get_by_role("dialog", name="Settings")
    sheet.get_by_text("Extension 203").wait_for()
    sheet.get_by_label("Name", exact=True).fill("Workshop")
    sheet.get_by_label("Name", exact=True).press("Tab")
    eventually(
        lambda: "Workshop" in [d["name"] for d in world.api("GET", "/devices", "203")["items"]]
    )
    sheet.get_by_role("button", name="Sign out").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Connect").wait_for()
    assert "Workshop" not in [d["name"] for d in world.api("GET", "/devices", "203")["items"]]
    assert stored_drafts(page) == []


def test_messages_are_found_by_their_words_and_people_by_name(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "The grünkohl is in the cellar")
    for n in range(60):
        world.text(peer, f"chatter {n}")
    row(page, spoken(peer)).wait_for()
    page.get_by_label("Search").fill("cellar GRÜN")
    hit = page.get_by_role("region", name="Messages found").get_by_role("link")
    hit.get_by_text("is in the").wait_for()
    assert hit.locator("mark").all_text_contents() == ["grün", "cellar"]
    hit.click()
    found = said(page, "The grünkohl is in the cellar")
    found.wait_for()
    eventually(lambda: page.evaluate("() => document.querySelector('.found')"))
    assert 0 < found.bounding_box()["y"] < 720
    page.get_by_label("Search").fill(f"({peer[2:5]}) {peer[5:8]}-{peer[8:]}")
    eventually(
        lambda: page.evaluate("() => document.querySelectorAll('#conversations li').length === 1")
    )
    page.get_by_label("Search").fill("no such thing")
    page.get_by_text("Nothing found").wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("Nothing found").wait_for(state="hidden")


def test_a_search_goes_on_further_back_and_asks_before_it_goes_on_for_long(
    phone: Open, world: World
) -> None:
    """As if many messages stood between: a request finds nothing and says where to go on."""
    peer, page = world.peer(), phone()
    world.text(peer, "The piano is upstairs")
    row(page, spoken(peer)).wait_for()
    asked: list[str | None] = []

    def look(route: Any) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        asked.append(query.get("before", [None])[0])
        if len(asked) <= 13:
            told = {"items": [], "has_more": True, "next_before": 10**9 - len(asked)}
            route.fulfill(json=told)
        else:
            route.continue_()

    page.route("**/api/v1/search*", look)
    page.get_by_label("Search").fill("piano upst")
    page.get_by_text("Nothing found yet").wait_for()
    assert asked == [None, *(str(10**9 - turn) for turn in range(1, 10))]
    page.get_by_role("button", name="Search further back").click()
    hit = page.get_by_role("region", name="Messages found").get_by_role("link")
    hit.get_by_text("upstairs").wait_for()
    assert asked[10:] == [str(10**9 - turn) for turn in range(10, 14)]
    assert page.get_by_role("button", name="Search further back").is_hidden()
    assert page.get_by_text("Nothing found").is_hidden()


def test_a_conversation_that_is_not_in_the_list_yet_is_found(phone: Open, world: World) -> None:
    old = world.peer()
    world.text(old, "long ago")
    for _ in range(51):
        world.text(world.peer(), "newer")
    page = phone("202")
    row(page, "newer").first.wait_for()
    assert row(page, spoken(old)).count() == 0
    page.get_by_label("Search").fill(old[2:])
    row(page, spoken(old)).click()
    said(page, "long ago").wait_for()


def test_a_conversation_that_the_operator_deletes_leaves_the_screen(
    phone: Open, world: World, complaints: list[str]
) -> None:
    peer = world.peer()
    page = phone()
    world.text(peer, "Forget me")
    enter(page, spoken(peer))
    said(page, "Forget me").wait_for()
    gone = world.server.flask("people", "forget", peer, "--yes")
    assert gone.returncode == 0, gone.stderr
    said(page, "Forget me").wait_for(state="hidden")
    row(page, spoken(peer)).wait_for(state="hidden")
    page.get_by_role("heading", name="Messages", exact=True).wait_for()
    complaints[:] = [each for each in complaints if "404" not in each]
