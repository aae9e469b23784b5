"""Files in the phone app that are more than a download: sounds, films, contact cards, PDFs."""

import io
import wave
from collections.abc import Callable
from typing import Any

from tests.browser.phone.world import SHARED_NUMBER, World, enter, row, spoken
from tests.waiting import eventually

Open = Callable[..., Any]
CARD = (
    "BEGIN:VCARD\r\nVERSION:2.1\r\n"
    "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=BCrgen=20=\r\nExample\r\n"
    "item1.TEL;type=CELL;type=pref:+1 (303) 555-\r\n 0123\r\nTEL;HOME:12 ab\r\nEND:VCARD\r\n"
    "BEGIN:VCARD\r\nVERSION:4.0\r\nN:Example;Ann;;;\r\nTEL;VALUE=uri:tel:+1-303-555-0124\r\n"
    "NOTE:<img src=x onerror=alert(1)>\r\nEND:VCARD\r\n"
)


def sound() -> bytes:
    """A second of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, 1, 8000, 8000, "NONE", ""))
        written.writeframes(b"\x80" * 8000)
    return file.getvalue()


def sent(world: World, peer: str, content: bytes, name: str, kind: str) -> None:
    """A colleague sends a file from the shared number."""
    file = world.api("POST", "/media", "202", files={"file": (name, content, kind)})
    asked = {"to": peer, "from": SHARED_NUMBER, "text": name, "media_ids": [file["id"]]}
    world.api("POST", "/messages", "202", json=asked)


def opened(phone: Open, world: World, content: bytes, name: str, kind: str) -> tuple[Any, str]:
    """The conversation in which somebody got a file."""
    peer, page = world.peer(), phone()
    sent(world, peer, content, name, kind)
    row(page, spoken(peer)).get_by_text(name).wait_for()
    enter(page, spoken(peer))
    return page, peer


def test_a_sound_is_played(phone: Open, world: World) -> None:
    page, peer = opened(phone, world, sound(), "hello.wav", "audio/wav")
    player = page.get_by_label(f"Recording to {spoken(peer)}")
    player.wait_for()
    player.evaluate("(node) => { node.muted = true; return node.play(); }")
    eventually(lambda: page.evaluate("() => document.querySelector('audio').currentTime > 0.1"))


def test_what_cannot_be_played_is_a_file(phone: Open, world: World) -> None:
    page, _ = opened(phone, world, b"\0\0\0\x18ftypmp42" + bytes(40), "film.mp4", "video/mp4")
    with page.expect_download() as saved:
        page.locator("a.file", has_text="film.mp4").click()
    assert saved.value.suggested_filename == "film.mp4"
    assert page.locator("video").count() == 0


def test_a_contact_card_is_saved_and_written_to(phone: Open, world: World) -> None:
    page, _ = opened(phone, world, CARD.encode(), "two.vcf", "text/vcard")
    cards = page.locator(".contact-card")
    cards.nth(1).wait_for()
    assert [c.split("\n")[0] for c in cards.all_inner_texts()] == ["Jürgen Example", "Ann Example"]
    assert cards.nth(0).get_by_role("button").count() == 2  # “12 ab” is no number
    page.get_by_role("button", name="Save Jürgen Example").click()
    sheet = page.get_by_role("dialog", name="Contact")
    assert sheet.get_by_label("Name").input_value() == "Jürgen Example"
    page.keyboard.press("Enter")
    sheet.wait_for(state="detached")
    names = {c["number"]: c["name"] for c in world.api("GET", "/contacts")["items"]}
    assert names["+13035550123"] == "Jürgen Example"
    page.get_by_role("button", name="Write to Ann Example").click()
    page.get_by_label(f"Message to {spoken('+13035550124')}").wait_for()
    assert SHARED_NUMBER in page.url


def test_a_pdf_opens_and_is_saved(phone: Open, world: World) -> None:
    page, _ = opened(phone, world, b"%PDF-1.4\n%%EOF\n", "offer.pdf", "application/pdf")
    link = page.locator("a.file-open", has_text="offer.pdf")
    assert (link.get_attribute("target"), link.get_attribute("download")) == ("_blank", None)
    answer = page.request.get(link.evaluate("(node) => node.href"))
    assert answer.headers["content-disposition"].startswith("inline")
    assert answer.headers["content-type"] == "application/pdf"
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save offer.pdf").click()
    assert saved.value.suggested_filename == "offer.pdf"
