"""Accessibility of the phone app: keyboard, screen reader, window sizes, dark and light."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH

from services.core.segments import count
from tests.browser.phone.world import (
    IPHONE,
    SHARED_NUMBER,
    World,
    enter,
    row,
    said,
    shown,
    spoken,
)
from tests.waiting import eventually

Open = Callable[..., Any]
SIZES = [(320, 640), (390, 844), (768, 1024), (1280, 800)]


def faults(page: Any) -> list[str]:
    """What axe-core finds wrong with the page as it stands, in dialogs too."""
    page.evaluate(Path(AXE_FILE_PATH).read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['html'][:160]}"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]


def views(page: Any, world: World) -> Iterator[str]:
    """Go through everything that the app can show."""
    peer = world.peer()
    world.text(peer, "", media=("/sandbox/static/bridge.jpg",))
    world.text(peer, "Look at https://example.com/bridge")
    world.api("POST", "/messages", json={"to": peer, "from": SHARED_NUMBER, "text": "Nice"})
    world.receipt(world.sent(peer)["id"], "failed")
    yield "list"
    enter(page, spoken(peer))
    page.get_by_role("button", name="Try again").wait_for()
    shown(page.locator(".picture img"))
    yield "conversation"
    page.get_by_role("button", name="Emoji").click()
    page.locator(".composer textarea").fill("Hello " * 40)
    yield "writing"
    page.locator(".picture").click()
    shown(page.get_by_role("dialog").get_by_role("img"))
    yield "picture"
    page.keyboard.press("Escape")
    page.locator(".message .words:visible").last.click(button="right")
    page.get_by_role("dialog", name="Message").wait_for()
    yield "menu of a message"
    page.get_by_role("button", name="Details").click()
    page.get_by_role("dialog", name="Details").wait_for()
    yield "details"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Menu of this conversation").click()
    yield "menu of a conversation"
    page.keyboard.press("Escape")
    page.keyboard.press("Control+/")
    page.get_by_role("dialog", name="Keys").wait_for()
    yield "keys"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Add a name").click()
    yield "contact"
    page.keyboard.press("Escape")
    page.locator(".from").click()
    yield "number"
    page.keyboard.press("Escape")
    page.evaluate("location.hash = '#/new'")
    page.get_by_label("To", exact=True).wait_for()
    page.locator(".person .add").first.click()
    page.locator(".recipient").wait_for()
    yield "new"
    page.evaluate("location.hash = '#/'")
    page.get_by_role("button", name="Settings").click()
    yield "settings"
    page.keyboard.press("Escape")
    page.get_by_label("Search").fill("nothing like this")
    page.get_by_text("Nothing found").wait_for()
    yield "search"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(
    phone: Open, open_page: Open, world: World, width: int, scheme: str
) -> None:
    options = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme}
    still = {**options, "reduced_motion": "reduce"}
    pairing = open_page("/phone/#code=ABCD-2345", **still, bypass_csp=True)
    pairing.get_by_role("button", name="Connect").wait_for()
    assert faults(pairing) == []
    on_iphone = open_page("/phone/#code=ABCD-2345", **still, bypass_csp=True, user_agent=IPHONE)
    on_iphone.get_by_role("heading", name="Install Textbridge first").wait_for()
    assert faults(on_iphone) == []
    page = phone(**still, bypass_csp=True)
    for view in views(page, world):
        assert faults(page) == [], view


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_view_fits_every_window(phone: Open, world: World, width: int, height: int) -> None:
    """Nothing sticks out, and whatever can be touched is large enough for a finger, also where the
    signs of a font are tiny."""
    page = phone(viewport={"width": width, "height": height}, reduced_motion="reduce")
    shrink = """() => document.querySelectorAll(".emoji, .icon-button, .send")
        .forEach((node) => node.style.setProperty("font-size", "1px"))"""
    small = """() => [...document.querySelectorAll("button, input, select, textarea, a")]
        .filter((node) => node.checkVisibility({visibilityProperty: true}))
        .filter((node) => !node.closest("[inert]"))
        .filter((node) => !node.matches(".words a, .hidden, .from, [role=switch]"))
        .map((node) => [node.outerHTML.slice(0, 90), node.getBoundingClientRect(), node])
        .filter(([, box, node]) => box.width < 36 || box.height < 44 ||
            (box.right > innerWidth + 1 && !node.closest(".chips")))
        .map(([html, box]) => `${html} ${box.width} ${box.height}`)"""
    for view in views(page, world):
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        assert page.evaluate(small) == [], view
        page.evaluate(shrink)
        assert page.evaluate(small) == [], view


def test_the_keyboard_is_enough(open_page: Open, world: World) -> None:
    """From the code to a name for the one who wrote, without a mouse."""
    peer = world.peer()
    world.text(peer, "Can you hear me?")
    page = open_page("/phone/")
    press = page.keyboard.press
    eventually(lambda: page.evaluate("() => document.activeElement.id === 'code'"))
    page.keyboard.type(world.code())
    press("Enter")
    page.get_by_role("heading", name="Messages", exact=True).wait_for()
    row(page, spoken(peer)).wait_for()
    page.get_by_label("Search").focus()
    press("ArrowDown")
    press("Enter")
    page.get_by_label(f"Message to {spoken(peer)}").wait_for()
    page.keyboard.type("Loud")
    press("Shift+Enter")
    page.keyboard.type("and clear")
    press("Enter")
    said(page, "Loud\nand clear").get_by_text("Sent", exact=True).wait_for()
    page.keyboard.type("Bye ")
    press("Tab")
    press("Enter")  # the emoji
    press("ArrowRight")
    press("Enter")
    press("Escape")
    assert page.locator(".composer textarea").input_value() == "Bye 😄"
    page.get_by_role("button", name="Add a name").focus()
    press("Enter")
    page.keyboard.type("Ann by keyboard")
    press("Enter")
    row(page, "Ann by keyboard").wait_for()
    assert "talk-title" in page.evaluate("document.activeElement.className")
    press("Escape")  # back to the list
    eventually(
        lambda: page.evaluate(
            "() => document.activeElement.textContent.includes('Ann by keyboard')"
        )
    )


def test_a_screen_reader_hears_what_arrives(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "Anybody there?")
    heard = page.get_by_role("status").filter(has_text=f"{spoken(peer)}: Anybody there?")
    heard.wait_for(state="attached")
    enter(page, spoken(peer))
    log = page.get_by_role("log", name=f"Messages with {spoken(peer)}")
    assert log.get_by_text("Anybody there?").is_visible()


def test_nothing_moves_while_it_loads_and_while_one_writes(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "", media=("/sandbox/static/bridge.jpg",))
    world.text(peer, "What do you see?")
    row(page, spoken(peer)).wait_for()
    page.evaluate("""() => {
        window.moved = 0;
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) window.moved += entry.value;
        }).observe({ type: "layout-shift", buffered: false });
    }""")
    enter(page, spoken(peer))
    shown(page.locator(".picture img"))
    page.get_by_label(f"Message to {spoken(peer)}").press_sequentially("A bridge, at night €")
    assert page.evaluate("window.moved") < 0.02


# The same cost here and there

CASES = [
    "",
    "Hello",
    "x" * 160,
    "x" * 161,
    "x" * 306,
    "x" * 307,
    "€" * 80,
    "€" * 81,
    "x" * 152 + "€" + "x" * 153,
    "é",
    "ê",
    "ё" * 70,
    "ё" * 71,
    "😀" * 35,
    "😀" * 36,
    "x" * 66 + "😀" + "x" * 66,
    "line\nline\r\n",
    "“quoted”",
    "\f^{}\\[~]|€",
    "👩‍👩‍👧‍👦" * 20,
    "\u0000",
    "ΔΦΓΛΩΠΨΣΘΞ",
    "α",
]


def test_a_text_costs_in_the_app_what_it_costs_at_the_server(open_page: Open) -> None:
    page = open_page("/phone/")
    counted = page.evaluate(
        """async (texts) => {
            const { count } = await import("/phone/segments.js");
            return texts.map(count).map(({ encoding, units, count }) => [encoding, units, count]);
        }""",
        CASES,
    )
    wanted = [count(text) for text in CASES]
    assert counted == [[c.encoding, c.units, c.count] for c in wanted]


def test_the_cost_is_shown_while_one_writes(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone()
    world.text(peer, "hi")
    enter(page, spoken(peer))
    field, cost = page.locator(".composer textarea"), page.locator("#cost")
    for text, words in (
        ("", ""),
        ("x" * 160, ""),
        ("x" * 200, "Sends as 2 texts"),
        ("😀" * 36, "Sends as 2 texts"),
    ):
        field.fill(text)
        assert cost.text_content() == words


def test_what_is_written_waits_while_one_looks_elsewhere(phone: Open, world: World) -> None:
    one, other, page = world.peer(), world.peer(), phone()
    for peer in (one, other):
        world.text(peer, "hi")
    enter(page, spoken(one))
    page.locator(".composer textarea").fill("half a sent")
    enter(page, spoken(other))
    assert page.locator(".composer textarea").input_value() == ""
    enter(page, spoken(one))
    assert page.locator(".composer textarea").input_value() == "half a sent"


def test_a_loading_file_has_the_space_of_a_picture(phone: Open, world: World) -> None:
    peer = world.peer()
    world.text(peer, "", media=("/sandbox/static/bridge.jpg",))
    eventually(lambda: [m["media"][0]["state"] for m in world.messages(peer)] == ["kept"])
    page = phone(service_workers="block")

    def on_its_way(route: Any) -> None:
        answer = route.fetch()
        found = answer.json()
        found["items"][0]["media"][0].update(state="pending", url=None)
        route.fulfill(response=answer, json=found)

    page.route("**/api/v1/conversations/*/messages*", on_its_way)
    enter(page, spoken(peer))
    box = page.locator(".media > *")
    page.get_by_text("Downloading").wait_for()
    before = box.bounding_box()
    page.unroute_all()
    page.reload()
    shown(page.locator(".picture img"))
    after = box.bounding_box()
    assert (after["x"], after["width"]) == (before["x"], before["width"])
    assert before["height"] == before["width"] * 3 / 4  # the proportions are not known yet
