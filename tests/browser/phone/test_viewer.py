"""Pictures in the phone app: thumbnails in the conversation, and the viewer over the screen."""

import io
import re
from collections.abc import Callable
from random import Random
from typing import Any

from PIL import Image

from tests.browser.phone.world import SHARED_NUMBER, World, enter, row, shown, spoken
from tests.waiting import eventually

Open = Callable[..., Any]
DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def photo(width: int, height: int, seed: int = 1) -> bytes:
    """A picture that is larger than its thumbnail, in pixels and in bytes."""
    small = Image.frombytes("RGB", (64, 48), Random(seed).randbytes(64 * 48 * 3))
    file = io.BytesIO()
    small.resize((width, height)).save(file, "JPEG", quality=95)
    return file.getvalue()


def send(world: World, peer: str, content: bytes, name: str = "beach.jpg") -> None:
    """A colleague sends a picture."""
    file = world.api("POST", "/media", "202", files={"file": (name, content, "image/jpeg")})
    asked = {"to": peer, "from": SHARED_NUMBER, "text": name, "media_ids": [file["id"]]}
    world.api("POST", "/messages", "202", json=asked)


def open_first(page: Any) -> Any:
    page.locator(".picture").first.click()
    return page.get_by_role("dialog", name="Picture")


def width_of(image: Any) -> int:
    return int(image.evaluate("(image) => image.decode().then(() => image.naturalWidth)"))


def loaded(page: Any, image: Any, width: int) -> None:
    """Wait until the viewer shows the picture with so many pixels."""
    wide = "([image, width]) => image.complete && image.naturalWidth === width"
    eventually(lambda: page.evaluate(wide, arg=[image.element_handle(), width]))


def scale(dialog: Any) -> float:
    box = dialog.get_by_role("img").bounding_box()
    return float(box["width"])


def test_a_conversation_loads_small_pictures_and_keeps_their_space(
    phone: Open, world: World, complaints: list[str]
) -> None:
    peer, page = world.peer(), phone(**DESK)
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    send(world, peer, photo(1600, 800))
    page.route("**/thumbnail.jpg*", lambda route: route.abort())  # before one is there
    enter(page, spoken(peer))
    frame = page.locator(".picture")
    frame.wait_for()
    box = frame.bounding_box()
    assert abs(box["width"] / box["height"] - 2) < 0.05
    page.unroute("**/thumbnail.jpg*")
    complaints.clear()  # the picture that was not there
    page.reload()
    shown(page.locator(".picture img"))
    assert width_of(page.locator(".picture img")) == 600
    assert frame.bounding_box()["height"] == box["height"]
    assert not [url for url in fetched if re.search(r"/media/[^/]*\.jpg", url)]


def test_the_viewer_goes_through_the_conversation_by_keys(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(**DESK)
    for position, width in enumerate((1200, 1300, 1400)):
        send(world, peer, photo(width, 900, position))
    world.text(peer, "", media=("/sandbox/static/bridge.jpg",))
    enter(page, spoken(peer))
    page.locator(".picture").nth(3).wait_for()
    dialog = open_first(page)
    image = dialog.get_by_role("img")
    assert f"Picture to {spoken(peer)}" in dialog.locator(".viewer-caption").inner_text()
    loaded(page, image, 1200)  # the whole picture, on demand
    page.keyboard.press("ArrowRight")
    loaded(page, image, 1300)
    dialog.get_by_role("button", name="The next picture").click()
    loaded(page, image, 1400)
    page.keyboard.press("ArrowRight")
    described = dialog.locator(".viewer-caption", has_text=f"Picture from {spoken(peer)}, ")
    described.wait_for()
    assert image.get_attribute("alt") == described.inner_text()
    end = dialog.get_by_role("button", name="The next picture")
    assert end.get_attribute("aria-disabled") == "true"
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "The next picture"
    page.keyboard.press("ArrowLeft")
    loaded(page, image, 1400)
    before = scale(dialog)
    page.keyboard.press("+")
    page.keyboard.press("+")
    eventually(lambda: page.evaluate("document.querySelector('.viewer-stage.zoomed')"))
    page.wait_for_timeout(200)
    assert scale(dialog) > before * 2
    page.keyboard.press("ArrowRight")  # moves the picture, which is zoomed
    assert image.evaluate("(image) => image.naturalWidth") == 1400
    page.keyboard.press("0")
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert page.evaluate("document.activeElement.className") == "picture"
    assert page.get_by_label(f"Message to {spoken(peer)}").is_visible()  # it is still open


def test_back_closes_the_viewer_and_then_the_conversation(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(**PHONE)
    send(world, peer, photo(1200, 900))
    row(page, spoken(peer)).click()
    page.locator(".picture img").wait_for()
    dialog = open_first(page)
    shown(dialog.get_by_role("img"))
    page.go_back()
    dialog.wait_for(state="detached")
    assert "#/c/" in page.url
    assert page.evaluate("document.activeElement.className") == "picture"
    dialog = open_first(page)
    dialog.get_by_role("button", name="Close").click()
    dialog.wait_for(state="detached")
    eventually(lambda: page.evaluate("!history.state?.viewer"))
    assert "#/c/" in page.url
    page.go_back()
    eventually(lambda: page.evaluate("!location.hash.startsWith('#/c/')"))


def test_it_is_zoomed_by_wheel_double_tap_and_two_fingers(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(**PHONE)
    send(world, peer, photo(1200, 900))
    row(page, spoken(peer)).click()
    page.locator(".picture img").wait_for()
    dialog = open_first(page)
    loaded(page, dialog.get_by_role("img"), 1200)
    plain = scale(dialog)
    zoomed = "document.querySelector('.viewer-stage.zoomed') !== null"
    page.touchscreen.tap(195, 422)
    page.touchscreen.tap(195, 422)
    eventually(lambda: page.evaluate(zoomed))
    page.touchscreen.tap(195, 422)
    page.touchscreen.tap(195, 422)
    eventually(lambda: page.evaluate(f"!({zoomed})"))
    fingers = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 80)):
        points = [{"x": 195 - apart, "y": 422, "id": 1}, {"x": 195 + apart, "y": 422, "id": 2}]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    eventually(lambda: page.evaluate(zoomed))
    page.wait_for_timeout(200)
    assert scale(dialog) > plain * 2
    page.keyboard.press("0")
    page.mouse.move(195, 422)
    page.mouse.wheel(0, -400)
    eventually(lambda: page.evaluate(zoomed))


def test_a_picture_is_saved_and_shared(phone: Open, world: World) -> None:
    peer, page = world.peer(), phone(**DESK)
    page.evaluate(
        "() => { navigator.canShare = () => true; navigator.share = async ({ files }) =>"
        " void (window.sharedFiles = files.map((file) => file.type)); }"
    )
    send(world, peer, photo(1200, 900))
    enter(page, spoken(peer))
    page.locator(".picture img").wait_for()
    dialog = open_first(page)
    with page.expect_download() as saved:
        dialog.get_by_role("link", name="Save the picture").click()
    with Image.open(saved.value.path()) as picture:
        assert picture.size == (1200, 900)
    dialog.get_by_role("button", name="Share the picture").click()
    eventually(lambda: page.evaluate("window.sharedFiles?.join() === 'image/jpeg'"))
