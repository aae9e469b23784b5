"""The first story of the phone app in WebKit, the engine of Safari, driven by WebDriver."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.browser.phone.world import SETTINGS, World, spoken
from tests.postgres import free_port
from tests.processes import start
from tests.server import UNLIMITED, Server, running_server
from tests.waiting import PATIENCE, eventually

BROWSERS = sorted(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver, the key of an element's id
NAMED = """const [selector, name] = arguments;
return [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility()).find((one) =>
  (one.ariaLabel ?? one.labels?.[0]?.textContent ?? one.textContent).includes(name)) ?? null;"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the numbers of the phone app's tests."""
    storage = tmp_path_factory.mktemp("webkit") / "storage"
    storage.mkdir()
    (storage / "message_settings.json").write_text(SETTINGS, "utf-8")
    with running_server(storage, UNLIMITED) as running:
        yield running


class WebKit:
    """A window of WebKitGTK's browser."""

    def __init__(self, address: str) -> None:
        self._address = address
        options = {"binary": str(BROWSERS[-1]), "args": ["--automation"]}
        asked = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
        self._session = f"session/{self._ask('session', asked)['sessionId']}"

    def _ask(self, path: str, content: Any) -> Any:
        answer = requests.post(f"{self._address}/{path}", json=content, timeout=PATIENCE)
        assert answer.ok, answer.text
        return answer.json()["value"]

    def open(self, url: str) -> None:
        self._ask(f"{self._session}/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        content = {"script": script, "args": arguments}
        return self._ask(f"{self._session}/execute/sync", content)

    def find(self, selector: str, name: str = "") -> str:
        """Wait for an element in sight with a name that contains this; returns its id."""
        what = f"{selector} with “{name}”"
        return str(eventually(lambda: self.run(NAMED, selector, name), what=what)[ELEMENT])

    def click(self, selector: str, name: str = "") -> None:
        """Click an element once it stands still: the driver does not wait for what slides in."""
        found = self.find(selector, name)
        places: list[Any] = [None]

        def stands_still() -> bool:
            place = "const { x, y } = arguments[0].getBoundingClientRect(); return [x, y];"
            places.append(self.run(place, {ELEMENT: found}))
            return bool(places[-1] == places[-2])

        eventually(stands_still)
        self._ask(f"{self._session}/element/{found}/click", {})

    def write(self, selector: str, text: str, name: str = "") -> None:
        found = self.find(selector, name)
        self._ask(f"{self._session}/element/{found}/value", {"text": text})

    def quit(self) -> None:
        requests.delete(f"{self._address}/{self._session}", timeout=PATIENCE)


@pytest.fixture
def webkit() -> Iterator[WebKit]:
    """A browser on a screen that nobody sees."""
    for program, package in (("WebKitWebDriver", "webkit2gtk-driver"), ("Xvfb", "xvfb")):
        if shutil.which(program) is None:
            pytest.skip(f"WebKit cannot be driven: {program} is not installed (package {package}).")
    if not BROWSERS:
        pytest.skip("WebKit cannot be driven: its MiniBrowser is not installed.")
    told, tells = os.pipe()
    screen = start(
        "Xvfb", "-displayfd", str(tells), "-screen", "0", "1280x900x24", pass_fds=(tells,)
    )
    os.close(tells)
    with os.fdopen(told) as number:
        display = f":{number.readline().strip()}"
    port = free_port()
    # As root, in a container, its sandbox cannot be set up.
    own = {"DISPLAY": display, "GDK_BACKEND": "x11", "WEBKIT_DISABLE_COMPOSITING_MODE": "1"}
    loose = {"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1"}
    driver = start("WebKitWebDriver", f"--port={port}", env=os.environ | own | loose)
    try:
        browser = eventually(lambda: _connected(f"http://127.0.0.1:{port}"))
        yield browser
        browser.quit()
    finally:
        for process in (driver, screen):
            process.terminate()
            process.wait(timeout=PATIENCE)


def _connected(address: str) -> WebKit | None:
    try:
        requests.get(f"{address}/status", timeout=PATIENCE)
    except requests.ConnectionError:
        return None
    return WebKit(address)


def test_the_first_story_in_webkit(webkit: WebKit, server: Server) -> None:
    world = World(server)
    before = _paired(world)
    peer, other = world.peer(), world.peer()
    world.text(peer, "", media=("/sandbox/static/bridge.jpg",))
    world.text(peer, "Are you open on Saturday?")
    eventually(
        lambda: [m for m in world.messages(peer) for f in m["media"] if f["state"] == "kept"]
    )
    webkit.open(f"{server.url}/phone/")
    webkit.write("#code", world.code())
    webkit.click("button", "Connect")

    webkit.click("a.row-link", spoken(peer))
    webkit.find(".message", "Are you open on Saturday?")
    webkit.write(".composer textarea", "From nine to one.")
    webkit.click("button.send")
    webkit.find(".message", "From nine to one.")
    world.receipt(world.sent(peer)["id"])
    webkit.find(".message", "Delivered")

    painted = "return document.querySelector('.picture img')?.naturalWidth ?? 0"
    eventually(lambda: webkit.run(painted))
    webkit.click("button.picture", "Picture")
    webkit.click("dialog button", "Close")

    webkit.click("button", "New conversation")
    webkit.write("#to", other)
    webkit.click("button", "Next")
    webkit.write(".composer textarea", "Good morning!", f"Message to {spoken(other)}")
    webkit.click("button.send")
    assert world.sent(other)["text"] == "Good morning!"

    webkit.click("button", "Settings")
    webkit.click("dialog button", "Sign out")
    webkit.click("dialog.question button", "Sign out")
    webkit.find("#code")
    eventually(lambda: _paired(world) == before, what="the sign-out")
    world.store.close()


def _paired(world: World) -> set[str]:
    """The devices of extension 201."""
    return {device["id"] for device in world.api("GET", "/devices")["items"]}
