"""The views of the phone app one after the other, in any of its languages."""

import json
from collections.abc import Callable
from typing import Any

from scripts.translations import PHONE
from tests.screenshots.camera import Camera
from tests.screenshots.data import CARDS, Data
from tests.screenshots.pages import PHONE_VIEWS
from tests.waiting import eventually


def photograph(camera: Camera, language: str, locale: str) -> None:
    """Take all pictures of the app in one language.

    Raises ``AssertionError`` where these are not the views that ``PHONE_VIEWS`` names.
    """
    taken: list[str] = []
    with camera.window(locale, viewport={"width": 390, "height": 844}) as page:

        def take(view: str) -> None:
            camera.take(page, f"phone/{language}/{view}", whole=False)
            taken.append(view)

        _walk(page, camera.data, _words(language), take)
    assert tuple(taken) == PHONE_VIEWS


def _words(language: str) -> Callable[[str], str]:
    """The translation of a sentence of the app."""
    if language == "en":
        return lambda text: text
    known = json.loads((PHONE / f"static/words_{language}.json").read_text("utf-8"))
    return lambda text: str(known[text])


def _walk(page: Any, data: Data, t: Callable[[str], str], take: Callable[[str], None]) -> None:
    def narrow() -> None:
        page.set_viewport_size({"width": 390, "height": 844})

    def go(place: str) -> None:
        narrow()
        page.evaluate("place => (location.hash = place)", place)

    def close() -> None:
        open_ones = page.locator("dialog").count()
        page.keyboard.press("Escape")
        page.locator("dialog").nth(open_ones - 1).wait_for(state="detached")

    def enter(number: str) -> None:
        go("#/")
        address = page.locator("#conversations a").filter(has_text=number).first
        address.click()
        page.locator(".talk:not(.new) .message").first.wait_for()

    page.goto(f"{data.server.url}/phone/#code={data.code()}")
    page.locator("#pairing button[type=submit]").wait_for()
    take("pairing")
    narrow()
    page.evaluate("code => (document.getElementById('code').value = code)", data.code())
    page.locator("#pairing button[type=submit]").click()
    page.locator("#conversations li").nth(5).wait_for()
    take("list")

    enter("Ann Example")
    loaded = "() => document.querySelector('.picture img')?.naturalWidth > 0"
    eventually(lambda: page.evaluate(loaded))
    take("conversation")
    narrow()
    page.get_by_role("button", name=t("Menu of this conversation")).click()
    page.locator("dialog .menu-item").first.wait_for()
    take("menu")
    close()
    page.locator(".message .words:visible").last.click(button="right")
    page.locator("dialog .menu-item").first.wait_for()
    take("message-menu")
    close()
    page.locator(".picture").click()
    page.locator("dialog img").wait_for()
    take("viewer")
    close()

    enter("Dinner at seven?")
    take("group")
    enter("Thank you, that was quick")
    page.locator(".later .message").first.wait_for()
    take("scheduled")
    narrow()
    page.locator(".composer textarea").fill("See you ä€" * 20)
    page.locator(".later-button").click()
    page.locator("#when").wait_for()
    take("later")
    close()
    page.locator(".composer textarea").fill("")

    go("#/")
    page.locator("#settings").click()
    page.locator("#language").wait_for()
    take("settings")
    file = {"name": "cards.vcf", "mimeType": "text/vcard", "buffer": CARDS.encode()}
    page.locator("#contact-file").set_input_files(file)
    page.locator("#replace-contacts").wait_for()
    take("contacts-import")
    close()
    close()

    go("#/new")
    page.locator(".person .add").first.click()
    page.locator(".recipient").wait_for()
    take("new")
    go("#/")
    page.locator("#search").fill("Saturday")
    page.locator("#hits li").first.wait_for()
    take("search")
