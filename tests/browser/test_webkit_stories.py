"""Stories in WebKit, the engine of Safari: drafts, numbers, pictures, contacts, operator."""

from collections.abc import Iterator

import pytest

from tests.browser.admin.conftest import ADMIN, PASSWORD
from tests.browser.phone.conftest import world  # noqa: F401 - a fixture
from tests.browser.phone.world import SALES, SETTINGS, World, spoken
from tests.browser.test_webkit import WebKit, webkit  # noqa: F401 - a fixture
from tests.server import UNLIMITED, Server, running_server
from tests.waiting import eventually

FIELD = ".composer textarea"
STORED_DRAFTS = """return new Promise((resolve) => {
  indexedDB.open("textbridge-phone").onsuccess = ({ target }) => {
    const keys = target.result.transaction("settings").objectStore("settings").getAllKeys();
    keys.onsuccess = () => resolve(keys.result.filter((key) => key.startsWith("draft ")));
  };
});"""
NAMES = """return [...document.querySelectorAll("#conversations .row-name")]
  .filter((one) => one.checkVisibility()).map((one) => one.textContent);"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the numbers of the phone app's tests, and a password of the operator."""
    storage = tmp_path_factory.mktemp("webkit") / "storage"
    storage.mkdir()
    (storage / "message_settings.json").write_text(SETTINGS, "utf-8")
    with running_server(storage, {**UNLIMITED, **ADMIN}) as running:
        yield running


@pytest.fixture
def phone(webkit: WebKit, world: World) -> WebKit:  # noqa: F811
    """The phone app, paired with extension 201."""
    webkit.open(f"{world.server.url}/phone/#code={world.code()}")
    webkit.click("button", "Connect")
    webkit.find("h1", "Messages")
    return webkit


def written(browser: WebKit) -> str:
    return str(browser.run(f"return document.querySelector({FIELD!r}).value"))


def test_a_draft_survives_a_reload(phone: WebKit, world: World) -> None:  # noqa: F811
    first, second = world.peer(), world.peer()
    for peer in (first, second):
        world.text(peer, "hi")
    phone.click("a.row-link", spoken(first))
    phone.write(FIELD, "Half of a sen", f"Message to {spoken(first)}")
    phone.click("a.row-link", spoken(second))
    phone.find(FIELD, f"Message to {spoken(second)}")
    assert written(phone) == ""
    phone.find("a.row-link", "Draft: Half of a sen")
    eventually(lambda: phone.run(STORED_DRAFTS))  # a page that is left at once stores nothing
    phone.open(f"{world.server.url}/phone/")
    phone.click("a.row-link", "Draft: Half of a sen")
    phone.find(FIELD, f"Message to {spoken(first)}")
    eventually(lambda: written(phone) == "Half of a sen")
    phone.write(FIELD, "tence.")
    phone.click("button.send")
    assert world.sent(first)["text"] == "Half of a sentence."


def test_the_list_shows_one_number_or_what_is_unread(phone: WebKit, world: World) -> None:  # noqa: F811
    desk, sales = world.peer(), world.peer()
    world.text(desk, "to the desk")
    world.text(sales, "to sales", to=SALES)
    for peer in (desk, sales):
        phone.find("a.row-link", spoken(peer))
    phone.click(".chip", "Sales")
    eventually(lambda: phone.run(NAMES) == [spoken(sales)])
    phone.click(".chip", "Unread")
    eventually(lambda: {spoken(desk), spoken(sales)} <= set(phone.run(NAMES)))
    phone.click("a.row-link", spoken(sales))
    phone.find(".message", "to sales")
    phone.click(".chip", "All")
    eventually(lambda: {spoken(desk), spoken(sales)} <= set(phone.run(NAMES)))


def test_the_viewer_goes_from_picture_to_picture(phone: WebKit, world: World) -> None:  # noqa: F811
    peer = world.peer()
    for text in ("first", "second"):
        world.text(peer, text, media=("/sandbox/static/bridge.jpg",))
    eventually(
        lambda: (
            [file["state"] for one in world.messages(peer) for file in one["media"]] == ["kept"] * 2
        )
    )
    phone.click("a.row-link", spoken(peer))
    painted = """return [...document.querySelectorAll(".picture img")]
      .filter((one) => one.naturalWidth > 0).length"""
    eventually(lambda: phone.run(painted) == 2)
    phone.run("[...document.querySelectorAll('button.picture')].at(-1).click()")
    shown = "return document.querySelector('dialog img')?.naturalWidth ?? 0"
    eventually(lambda: phone.run(shown))
    phone.click("dialog button", "The picture before")
    eventually(lambda: phone.run(shown))
    phone.find("dialog button", "The next picture")
    phone.run("history.back()")  # as the phone's own button does
    eventually(lambda: not phone.run("return document.querySelector('dialog')"))
    phone.find(".message", "second")


def test_a_contact_gets_a_name_and_is_found_by_it(phone: WebKit, world: World) -> None:  # noqa: F811
    peer = world.peer()
    world.text(peer, "Who am I?")
    phone.click("a.row-link", spoken(peer))
    phone.click("button.talk-title")
    phone.write("dialog input[type=text]", "Ann of WebKit")
    phone.click("dialog button", "Save")
    phone.find("a.row-link", "Ann of WebKit")
    named = {one["name"]: one["number"] for one in world.api("GET", "/contacts")["items"]}
    assert named["Ann of WebKit"] == peer
    phone.click("button", "New conversation")
    phone.write("#to", "WebKit")
    phone.click(".person button", "Ann of WebKit")
    phone.find(FIELD, "Message to Ann of WebKit")


def test_the_operators_first_page(webkit: WebKit, server: Server) -> None:  # noqa: F811
    webkit.open(f"{server.url}/admin/")
    webkit.write("input[type=password]", PASSWORD)
    webkit.click("button", "Sign in")
    webkit.find("button", "Sign out")
    wide = "return document.documentElement.scrollWidth > innerWidth"
    assert not webkit.run(wide)
    webkit.click("nav a", "Messages")
    webkit.find("h1", "Messages")
    assert not webkit.run(wide)
    webkit.click("button", "Sign out")
    webkit.find("button", "Sign in")
