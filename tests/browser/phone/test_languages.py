"""The phone app in its languages: nothing English is left, and everything fits a small screen."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.translations import PHONE
from services.providers import PROVIDERS
from tests.browser.phone.world import SHARED_NUMBER, World, row, shown, spoken
from tests.waiting import eventually

Open = Callable[..., Any]
LOCALES = {"es": "es-MX", "fr-CA": "fr-CA", "de": "de-DE"}
LONG_NAME = "Maximiliane Featherstonehaugh-Hernández of the Accounts Office"
# Everything that a person sees or hears of the page as it stands.
WORDS = """() => {
  const found = [];
  const top = document.querySelector("dialog[open]") ?? document.body;
  for (const node of top.querySelectorAll("*")) {
    if (!node.checkVisibility({ visibilityProperty: true })) continue;
    for (const name of ["aria-label", "title", "placeholder"]) found.push(node.getAttribute(name));
    for (const one of node.childNodes) if (one.nodeType === Node.TEXT_NODE) found.push(one.data);
  }
  return found.filter(Boolean);
}"""
# Controls and words that stick out of the window.
OUTSIDE = """() => [...document.querySelectorAll("button, label, select, input, h1, h2, h3, p")]
  .filter((node) => node.checkVisibility() && !node.closest("[inert]"))
  .filter((node) => getComputedStyle(node).position !== "absolute" && !node.closest(".chips"))
  .filter((node) => {
    const { left, right, width } = node.getBoundingClientRect();
    return width > 1 && left < innerWidth && (right > innerWidth + 1 || left < -1);
  })
  .map((node) => node.outerHTML.slice(0, 160))"""


def catalogue(language: str) -> dict[str, Any]:
    words: dict[str, Any] = json.loads((PHONE / f"static/words_{language}.json").read_text("utf-8"))
    return words


def english(page: Any, words: dict[str, Any]) -> list[str]:
    """What is left in English of what the page shows."""
    foreign = {english for english, translated in words.items() if english != translated}
    patterns = [
        re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(one)))
        for one in foreign
        if "{" in one and len(re.sub(r"\{\w+\}|\W", "", one)) > 5
    ]
    translations = {text for text in words.values() if isinstance(text, str)}
    said = {text.strip() for text in page.evaluate(WORDS)} - translations
    return sorted(
        text for text in said if text in foreign or any(one.fullmatch(text) for one in patterns)
    )


def paired(open_page: Open, world: World, language: str, width: int = 390) -> Any:
    """The app with a code to connect. Nothing moves: what slides in is outside for a while."""
    page = open_page(
        f"/phone/#code={world.code()}",
        locale=LOCALES.get(language, "en-US"),
        viewport={"width": width, "height": 844},
        reduced_motion="reduce",
    )
    page.locator("#pairing button[type=submit]").wait_for()
    return page


def views(page: Any, world: World, words: dict[str, Any]) -> Iterator[str]:
    """The pages of the app: pairing, list, writing, a failed text, settings."""
    page.locator("#pairing button[type=submit]").wait_for()
    yield "pairing"
    page.locator("#pairing button[type=submit]").click()
    page.get_by_role("heading", name=words["Messages"], exact=True).first.wait_for()
    peer = world.peer()
    world.text(peer, "", media=("/sandbox/static/bridge.jpg",))
    world.api("POST", "/messages", json={"to": peer, "from": SHARED_NUMBER, "text": "123"})
    world.receipt(world.sent(peer)["id"], "failed")
    row(page, spoken(peer)).wait_for()
    yield "list"
    page.locator("#settings").click()
    page.locator("#language").wait_for()
    yield "settings"
    page.keyboard.press("Escape")
    page.locator("#new").click()
    page.locator("#to").fill("?")
    page.locator(".new-form button[type=submit]").click()
    page.locator("#to-problem").wait_for()
    yield "new"
    page.evaluate("location.hash = '#/'")
    row(page, spoken(peer)).click()
    page.get_by_role("button", name=words["Try again"]).wait_for()
    shown(page.locator(".picture img"))
    page.locator(".composer textarea").fill("ä€" * 90)
    yield "conversation"
    page.locator(".later-button").click()
    page.locator("#when").wait_for()
    yield "later"
    page.keyboard.press("Escape")
    page.locator(".talk:not(.new) .bar .icon-button").last.click()
    page.locator("dialog .menu-item").first.wait_for()
    yield "menu"
    page.keyboard.press("Escape")


@pytest.mark.parametrize("language", LOCALES)
def test_nothing_is_english_and_everything_fits(
    open_page: Open, world: World, language: str
) -> None:
    words, page = catalogue(language), paired(open_page, world, language)
    folder = os.environ.get("SCREENSHOTS")
    for view in views(page, world, words):
        assert page.locator("html").get_attribute("lang") == language
        assert english(page, words) == [], view
        for width in (320, 390):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view
            assert page.evaluate(OUTSIDE) == [], (view, width)
        if folder:
            page.screenshot(path=Path(folder) / f"{language}-{view}.png")


@pytest.mark.parametrize("language", ["en", *LOCALES])
def test_the_head_of_a_conversation_fits_the_smallest_phone(
    open_page: Open, world: World, language: str
) -> None:
    """The title gives way: the button back with its count, the call and the menu stay whole."""
    page, peer, other = paired(open_page, world, language, 320), world.peer(), world.peer()
    name = f"{peer[-4:]} {LONG_NAME}"
    world.api("PUT", f"/contacts/{peer}", json={"name": name})
    world.text(peer, "hi")
    world.text(other, "hi")
    conversation = eventually(lambda: world.conversation(peer))
    world.api("POST", f"/conversations/{conversation['id']}/assign", json={"owner": "202"})
    page.locator("#pairing button[type=submit]").click()
    row(page, name).click()
    page.locator(".back-count:visible").wait_for()
    head = page.locator(".talk:not(.new) > .bar")
    places = [one.bounding_box() for one in head.locator(".back, .talk-title, .icon-button").all()]
    places.sort(key=lambda place: place["x"])
    assert len(places) == 4
    ends = [0.0, *(place["x"] + place["width"] for place in places), 320.0]
    starts = [*(place["x"] for place in places), 320.0]
    assert all(end <= start for end, start in zip(ends, starts, strict=False)), places
    assert [place["width"] for place in places if place is not places[1]] == [44, 44, 44]
    assert places[1]["width"] > 100
    assert head.locator("h1").evaluate(
        "(node) => node.scrollWidth > node.clientWidth"
    )  # cut, with an ellipsis


@pytest.mark.parametrize("language", LOCALES)
def test_each_code_of_a_carrier_has_a_sentence(
    open_page: Open, world: World, language: str
) -> None:
    page = paired(open_page, world, language)
    said = page.evaluate(
        """async (tables) => {
            const { loadWords } = await import("/phone/words.js");
            await loadWords();
            const { reasonFor } = await import("/phone/reasons.js");
            return Object.entries(tables).flatMap(([carrier, codes]) =>
                codes.map((code) => [`${carrier} ${code}`, reasonFor(code, "English", carrier)]));
        }""",
        {each.name: [*each.causes, "no such code"] for each in PROVIDERS},
    )
    assert len(said) > 300
    translated = set(map(str, catalogue(language).values()))
    for code, words in said:
        known = words in translated and words != "English"
        assert known is not code.endswith("no such code"), (code, words)


def test_a_carriers_reason_is_in_the_persons_language(open_page: Open, world: World) -> None:
    words, page, peer = catalogue("de"), paired(open_page, world, "de"), world.peer()
    page.locator("#pairing button[type=submit]").click()
    world.text(peer, "Hallo")
    world.api("POST", "/messages", json={"to": peer, "from": SHARED_NUMBER, "text": "123"})
    world.receipt(world.sent(peer)["id"], "out-of-service")
    row(page, spoken(peer)).click()
    page.get_by_text(words["The number is wrong or not in service."]).wait_for()


def test_the_check_finds_english_words(open_page: Open, world: World) -> None:
    page = open_page("/phone/")
    page.locator("#pairing button[type=submit]").wait_for()
    assert "Connect" in english(page, catalogue("de"))


def test_english_loads_no_catalogue(open_page: Open) -> None:
    page = open_page("/phone/")
    page.locator("#pairing button[type=submit]").wait_for()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    loaded = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    kept = page.evaluate(
        "caches.keys().then((all) => Promise.all(all.map((one) => caches.open(one)"
        ".then((cache) => cache.keys())))).then((all) => all.flat().map((one) => one.url))"
    )
    assert kept
    assert not [one for one in [*loaded, *kept] if "words_" in one]


def test_a_language_is_chosen_kept_and_there_without_a_connection(
    open_page: Open, world: World, complaints: list[str]
) -> None:
    page = open_page(f"/phone/#code={world.code()}")
    page.get_by_role("button", name="Connect").click()
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Language").select_option("Deutsch")
    page.get_by_role("heading", name="Nachrichten").wait_for()
    eventually(
        lambda: page.evaluate(
            "caches.match('/phone/words_de.json').then((found) => Boolean(found))"
        )
    )
    eventually(
        lambda: (
            "language=de" in page.evaluate("navigator.serviceWorker.controller?.scriptURL ?? ''")
        )
    )
    page.context.set_offline(True)
    page.reload()
    page.get_by_role("heading", name="Nachrichten").wait_for()
    assert page.locator("html").get_attribute("lang") == "de"
    page.context.set_offline(False)
    complaints.clear()  # the missing connection, as the browser notes it
    page.get_by_role("button", name="Einstellungen").click()
    page.get_by_label("Sprache").select_option("")
    page.get_by_role("heading", name="Messages", exact=True).first.wait_for()
    complaints.clear()
