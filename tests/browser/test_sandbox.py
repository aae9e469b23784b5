"""Sandbox in a browser: two phones on a page, and a text from one to the other."""

import shlex
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NUMBER, PEER
from tests.server import Server
from tests.waiting import PATIENCE, eventually

Open = Callable[..., Any]
_phones = count(100)

HOSTILE = [
    "<script>document.title = 'taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "<svg/onload=document.title='taken'>",
    "\"'><b id=taken>bold</b>",
    "javascript:document.title='taken'",
    "<style>body{display:none}</style>",
    "<a href='javascript:void(0)'>x</a>",
    "</p></div><iframe src=//evil.example></iframe>",
    "{{7*7}} ${7*7} <%= 7*7 %> &lt;b&gt; &amp; --><!-- ]]> <![CDATA[ x",
    "line one\nline two\n\tand a tab",
    "שלום \u202etxet desrever\u202c 日本 🌉",
    "x" * 1500 + " \u2066\u2067\u2068 left open, \u200fand a mark",
    "\U0001f600" * 790,  # the most that can be typed
]


@pytest.fixture
def sandbox(open_page: Open) -> Callable[..., Any]:
    """Open the sandbox with a phone outside that nobody has used yet."""

    def open_sandbox(**options: Any) -> Any:
        page = open_page("/", **options)
        ready(page)
        number = f"+1303555{next(_phones):04}"
        become(page, number)
        ready(page, number)
        return page

    return open_sandbox


def ready(page: Any, number: str = PEER) -> None:
    """Wait until both screens show the texts of this phone."""
    page.locator(f"html[data-phone='{number}']").wait_for()


def become(page: Any, number: str) -> None:
    page.get_by_label("Number").fill(number)
    page.get_by_label("Number").press("Enter")


def write(page: Any, side: str, text: str) -> None:
    page.locator(f"#{side} textarea").fill(text)
    page.locator(f"#{side} textarea").press("Enter")


def bubble(page: Any, side: str, text: str) -> Any:
    """The bubble with exactly this text on one of the two screens."""
    return page.locator(f"#{side} .text", has=page.get_by_text(text, exact=True)).last


def texts(page: Any, side: str) -> list[str]:
    found: list[str] = page.locator(f"#{side} .words").all_text_contents()
    return found


def test_a_text_crosses_and_the_answer_comes_back(open_page: Open, server: Server) -> None:
    """The newcomer's minute: open the page, press Send twice."""
    page = open_page("/")
    ready(page)
    assert page.url == f"{server.url}/sandbox"
    page.get_by_role("button", name="Send from the phone outside").click()
    bubble(page, "inside", "Hello! Are you open on Saturday?").wait_for()
    page.get_by_role("button", name="Send from the extension").click()
    answer = "Yes, from nine to one. See you then!"
    bubble(page, "outside", answer).wait_for()
    bubble(page, "inside", answer).get_by_text("Delivered").wait_for()
    page.locator("[data-total=out]", has_text="s").wait_for()
    assert page.locator(".steps li[data-state=done]").count() == 7
    both = ["Hello! Are you open on Saturday?", answer]
    assert texts(page, "inside") == texts(page, "outside") == both
    page.reload()
    ready(page)
    assert texts(page, "inside") == texts(page, "outside") == both
    assert page.locator("#inside .note").all_text_contents() == ["Delivered"]
    assert page.locator("#outside textarea").input_value() == ""


def test_what_anybody_writes_is_shown_as_text(sandbox: Open) -> None:
    page = sandbox()
    title = page.title()
    for text in HOSTILE:
        write(page, "outside", text)
        emptied(page, "outside")
    for text in HOSTILE:
        write(page, "inside", f"re: {text}")
        emptied(page, "inside")
    wanted = sorted([*HOSTILE, *(f"re: {text}" for text in HOSTILE)])
    for side in ("inside", "outside"):
        eventually(lambda at=side: sorted(texts(page, at)) == wanted)
        assert page.locator(f"#{side} .words *").count() == 0
    assert page.title() == title
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_phone_that_is_off_gets_nothing_and_the_extension_hears_why(sandbox: Open) -> None:
    page = sandbox()
    off = page.get_by_role("switch", name="Simulate: phone switched off")
    off.check()
    write(page, "inside", "Are you there?")
    bubble(page, "inside", "Are you there?").get_by_text("Not delivered: ").wait_for()
    page.get_by_text("A text came while this phone was off").wait_for()
    assert texts(page, "outside") == []
    assert page.locator("#outside textarea").is_disabled()
    off.uncheck()
    write(page, "inside", "And now?")
    bubble(page, "inside", "And now?").get_by_text("Delivered", exact=True).wait_for()
    assert texts(page, "outside") == ["And now?"]


def test_a_carriers_other_events_have_buttons(sandbox: Open, complaints: list[str]) -> None:
    page = sandbox()
    page.get_by_role("button", name="Group text").click()
    bubble(page, "outside", "Who is coming?").wait_for()
    page.get_by_text("Sent to a group with +13035550178").wait_for()
    assert texts(page, "inside") == []  # a conversation of its own
    page.get_by_role("button", name="STOP").click()
    bubble(page, "inside", "STOP").wait_for()
    write(page, "inside", "Are you there?")
    page.locator("#inside .problem", has_text="STOP").wait_for()
    page.get_by_role("button", name="START").click()
    bubble(page, "inside", "START").wait_for()
    page.get_by_role("button", name="Next text fails").click()
    write(page, "inside", "One")
    bubble(page, "inside", "One").get_by_text("Not delivered: ").wait_for()
    late = page.get_by_role("button", name="Next text arrives late")
    late.click()
    assert late.get_attribute("aria-pressed") == "true"
    write(page, "inside", "Two")
    page.get_by_text("A text is on its way.").wait_for()
    assert late.get_attribute("aria-pressed") == "false"
    assert "Two" not in texts(page, "outside")
    bubble(page, "inside", "Two").get_by_text("Sent, waiting for the receipt").wait_for()
    bubble(page, "inside", "Two").get_by_text("Delivered", exact=True).wait_for()
    assert "Two" in texts(page, "outside")
    assert all("422" in one or "403" in one for one in complaints)  # the text after STOP
    complaints.clear()


def test_pictures_cross_both_ways(sandbox: Open, tmp_path: Path) -> None:
    page = sandbox()
    page.get_by_role("button", name="Send a picture").click()
    shown(page, "inside", 1)
    picture = tmp_path / "red.png"
    picture.write_bytes(png())
    page.locator("#inside input[type=file]").set_input_files(picture)
    shown(page, "outside", 2)
    page.locator("#inside .note.good").wait_for()


def emptied(page: Any, side: str) -> None:
    """Wait until what was written has been taken."""
    eventually(
        lambda: page.evaluate(
            "(side) => document.querySelector(`#${side} textarea`).value === ''", arg=side
        )
    )


def shown(page: Any, side: str, pictures: int) -> None:
    """Wait until so many pictures are really painted."""
    eventually(
        lambda: page.evaluate(
            "([side, count]) => [...document.querySelectorAll(`#${side} img`)]"
            ".filter((image) => image.complete && image.naturalWidth > 0).length === count",
            arg=[side, pictures],
        )
    )


def png() -> bytes:
    """A red picture of eight by eight."""

    def part(name: bytes, body: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + end

    rows = (b"\0" + b"\xff\0\0" * 8) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    parts = part(b"IHDR", header) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_each_phone_outside_has_a_conversation_of_its_own(
    sandbox: Open, complaints: list[str]
) -> None:
    page = sandbox()
    write(page, "outside", "from the first phone")
    bubble(page, "inside", "from the first phone").wait_for()
    first = page.get_by_label("Number").input_value()
    become(page, "(303) 555-0199")
    ready(page, "+13035550199")
    assert texts(page, "inside") == texts(page, "outside") == []
    become(page, first)
    ready(page, first)
    assert texts(page, "inside") == ["from the first phone"]
    assert complaints == []
    become(page, "?")
    page.locator("#phone-problem", has_text="“?”").wait_for()
    assert texts(page, "inside") == ["from the first phone"]
    complaints.clear()  # the refusal, as the browser notes it


def test_a_refusal_is_shown_and_what_was_written_stays(
    sandbox: Open, server: Server, complaints: list[str]
) -> None:
    page = sandbox()
    settings = server.storage / "message_settings.json"
    before = settings.read_text("utf-8")
    settings.write_text('{"version": 1, "numbers": []}', "utf-8")
    write(page, "inside", "nobody may say this")
    page.locator("#inside .problem", has_text="has no number").wait_for()
    assert page.locator("#inside textarea").input_value() == "nobody may say this"
    settings.write_text(before, "utf-8")
    page.locator("#inside textarea").press("Enter")
    bubble(page, "outside", "nobody may say this").wait_for()
    complaints.clear()  # the refusal, as the browser notes it


def test_the_keyboard_is_enough(sandbox: Open) -> None:
    page = sandbox()
    page.get_by_role("log", name="Texts on the phone outside").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    page.locator("#inside .words", has_text="second line").wait_for()
    assert texts(page, "inside") == ["first line\nsecond line"]
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == f"Text from the phone outside to {NUMBER}"


def test_everything_that_can_be_used_has_a_name(sandbox: Open) -> None:
    page = sandbox()
    outline = page.locator("body").aria_snapshot()
    lines = [line.strip() for line in outline.splitlines()]
    for line in lines:
        assert line not in ("- button", "- textbox", "- link", "- switch", "- img"), outline
    assert sum(line.startswith("- heading") for line in lines) >= 5


def test_the_commands_follow_hide_their_tokens_and_work(sandbox: Open, server: Server) -> None:
    page = sandbox(permissions=["clipboard-read", "clipboard-write"])
    write(page, "outside", "it's here")
    write(page, "inside", "and that's the answer")
    bubble(page, "outside", "and that's the answer").wait_for()
    assert "token=••••" in page.locator("[data-command=webhook] code").text_content()
    assert "Bearer ••••" in page.locator("[data-command=reply] code").text_content()
    for name, text in (("webhook", "it's here"), ("reply", "and that's the answer")):
        before = texts(page, "inside").count(text)
        command = copied(page, name)
        assert "•" not in command
        if shutil.which("curl"):
            subprocess.run(["sh", "-c", command], check=True, capture_output=True, timeout=PATIENCE)
            page.locator("#inside .words", has_text=text).nth(before).wait_for()
    program, command, *arguments = shlex.split(copied(page, "simulate").replace("\\\n", ""))
    assert program == ".venv/bin/flask"
    assert server.flask(command, *arguments).returncode == 0
    page.locator("#inside .words", has_text="it's here").nth(1).wait_for()
    assert server.flask(*shlex.split(copied(page, "device"))[1:]).returncode == 0


def copied(page: Any, name: str) -> str:
    """What the button beside a command puts on the clipboard."""
    page.evaluate("navigator.clipboard.writeText('')")
    page.locator(f"[data-command={name}]").get_by_role("button").click()
    eventually(lambda: page.evaluate("async () => await navigator.clipboard.readText() !== ''"))
    return str(page.evaluate("navigator.clipboard.readText()"))


@pytest.mark.parametrize(
    ("width", "scheme"), [(320, "light"), (390, "dark"), (768, "light"), (1280, "dark")]
)
def test_the_page_fits_every_window(sandbox: Open, tmp_path: Path, width: int, scheme: str) -> None:
    page = sandbox(viewport={"width": width, "height": 844}, color_scheme=scheme)
    write(page, "outside", "W" * 200)
    page.locator("#inside .words").wait_for()
    page.screenshot(path=tmp_path / f"sandbox-{width}-{scheme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for side in ("outside", "inside"):
        box = page.locator(f"#{side} textarea").bounding_box()
        assert box["width"] >= 120


def test_the_page_says_when_the_server_is_gone_and_goes_on_when_it_is_back(
    sandbox: Open, server: Server, complaints: list[str]
) -> None:
    page = sandbox()
    write(page, "outside", "before")
    bubble(page, "inside", "before").wait_for()
    server.stop()
    page.get_by_text("The server does not answer. Trying again").wait_for()
    server.start()
    page.locator("#trouble[hidden]").wait_for(state="attached")
    write(page, "outside", "after")
    bubble(page, "inside", "after").wait_for()
    complaints.clear()  # the broken connections, as the browser notes them
